/**
 * Places in the document that methods edit: finding a subsystem, its listeners and its hosts, in the
 * forms in which a person may have written them. methods/* use it.
 *
 * What was left out is written out before it is changed, so that a change changes nothing else.
 */
import { DISCOVERY_PORT, IO_PORT } from '../config/complete.ts'
import type { Draft } from '../config/document.ts'
import { DISCOVERY_NQN, type Endpoint } from '../subsystem/subsystem.ts'
import type { Context } from './context.ts'
import { CODE, RpcError } from './error.ts'

export function subsystemIn(draft: Draft, nqn: string): Draft {
  const found = (draft.subsystems as Draft[]).find((each) => each.nqn === nqn)
  if (found === undefined) throw noSubsystem(nqn)
  return found
}

export function noSubsystem(nqn: string): RpcError {
  return new RpcError(CODE.INVALID_PARAMS, `Subsystem with NQN '${nqn}' not found`)
}

/** The listeners of a subsystem, as a list of its own. */
export function listenersIn(draft: Draft, subsystem: Draft, { document: { config } }: Context): Draft[] {
  if (subsystem.listeners !== undefined) return subsystem.listeners as Draft[]
  const written = draft.listeners as Draft[] | undefined
  const everywhere = written ?? config.subsystems.find(({ nqn }) => nqn === subsystem.nqn)?.listeners
    ?? config.listeners
  // A port that the system chose is another one at the next start: it cannot be named.
  subsystem.listeners = structuredClone(everywhere.filter(({ port }) => port !== 0))
  return subsystem.listeners as Draft[]
}

/** Where discovery is offered besides, as a list. */
export function discoveryIn(draft: Draft, { document: { config } }: Context): Draft[] {
  const whole: unknown = draft.discovery
  const isObject = typeof whole === 'object' && whole !== null && !Array.isArray(whole)
  const held = isObject ? whole as Draft : draft
  const key = isObject ? 'listeners' : 'discovery'
  if (!Array.isArray(held[key])) {
    held[key] = held[key] === false ? [] : config.discovery.map(({ address, port }) => ({ address, port }))
  }
  return held[key] as Draft[]
}

/** An empty list is none that a person would write. */
export function closeDiscovery(draft: Draft): void {
  if (Array.isArray(draft.discovery)) {
    if (draft.discovery.length === 0) draft.discovery = false
  } else if (draft.discovery?.listeners?.length === 0) {
    draft.discovery.listeners = false
  }
}

export function isDiscovery(nqn: string, { document: { config } }: Context): boolean {
  return nqn === DISCOVERY_NQN || nqn === config.discoveryService.nqn
}

export function placeOf(list: readonly Draft[], { address, port }: Endpoint, discovery: boolean): number {
  const usual = discovery ? DISCOVERY_PORT : IO_PORT
  return list.findIndex((each) => each.address === address && (each.port ?? usual) === port)
}

/** The hosts of a subsystem as a list; 'any' becomes the flag beside it. */
export function hostsIn(subsystem: Draft): (string | Draft)[] {
  if (!Array.isArray(subsystem.hosts)) {
    subsystem.hosts = []
    subsystem.anyHost = true
  }
  return subsystem.hosts as (string | Draft)[]
}

export function nameOfHost(host: string | Draft): string {
  return typeof host === 'string' ? host : String(host.nqn)
}

export function namespaceIn(subsystem: Draft, nsid: number): Draft | undefined {
  return ((subsystem.namespaces ?? []) as Draft[]).find((each) => each.nsid === nsid)
}
