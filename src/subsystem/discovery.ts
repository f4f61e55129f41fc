/**
 * Discovery: tells one host which subsystems it may connect to, and where. Called by admin for
 * LID 70h.        NVMe Base 2.0, Discovery log page; NVMe/TCP Transport 1.0a; wire/log-page.ts.
 *
 *   ┌ header 1024 ┬ the discovery subsystem 1024 ┬ subsystem × endpoint 1024 each … ┐
 *
 * A wildcard endpoint is listed as the address that the host reached us at, since 0.0.0.0 means
 * nothing to a host. One of the other address family is left out: nobody knows which address of
 * that family, if any, this host could reach. So is a loopback address, for a host from elsewhere.
 *
 * Invariant: a host sees a subsystem here exactly when its Connect would be allowed.
 */
import { CNTLID_DYNAMIC, NQN_BYTES } from '../wire/fabrics.ts'
import { putBits } from '../wire/layout.ts'
import {
  ADRFAM, DISCOVERY_ENTRY, DISCOVERY_ENTRY_BYTES, DISCOVERY_HEADER, DISCOVERY_HEADER_BYTES,
  DISCOVERY_SUBTYPE, EFLAGS_BITS, TREQ_BITS, TRTYPE,
} from '../wire/log-page.ts'
import { putNqn, putPadded, putU64 } from '../wire/value.ts'
import { DISCOVERY_NQN } from './subsystem.ts'
import type { Endpoint, SubsystemSnapshot, TargetSnapshot } from './subsystem.ts'

/** The depth of every admin queue: what the specification asks for at least. */
const ADMIN_DEPTH = 32
const TRSVCID_BYTES = 32
const TRADDR_BYTES = 256

export type DiscoveryEntry = {
  readonly subtype: number
  readonly nqn: string
  readonly endpoint: Endpoint
  readonly portId: number
}

/** The log as this host sees it. reached: the local end of the connection that it asks over. */
export function discoveryLog(
  target: TargetSnapshot, hostNqn: string, reached: Endpoint,
): Uint8Array {
  const entries = discoveryEntries(target, hostNqn, reached)
  const log = new Uint8Array(DISCOVERY_HEADER_BYTES + DISCOVERY_ENTRY_BYTES * entries.length)
  const view = new DataView(log.buffer)
  putU64(view, DISCOVERY_HEADER.genctr, target.generation)
  putU64(view, DISCOVERY_HEADER.numrec, entries.length)
  for (const [index, entry] of entries.entries()) {
    putEntry(view, DISCOVERY_HEADER_BYTES + DISCOVERY_ENTRY_BYTES * index, entry)
  }
  return log
}

/** The same as plain data. */
export function discoveryEntries(
  target: TargetSnapshot, hostNqn: string, reached: Endpoint,
): DiscoveryEntry[] {
  const portId = portsOf(target)
  const discovery = target.subsystems.find((subsystem) => subsystem.kind === 'discovery')
  const entries: DiscoveryEntry[] = [{
    subtype: DISCOVERY_SUBTYPE.CURRENT_DISCOVERY, nqn: discovery?.nqn ?? DISCOVERY_NQN,
    endpoint: withoutZone(reached), portId: reachedPort(target, reached, portId),
  }]
  for (const subsystem of target.subsystems) {
    if (subsystem.kind !== 'nvm' || !isAllowed(subsystem, hostNqn)) continue
    const seen = new Set<string>()
    // Configured addresses first: they are the ones that a person chose.
    const inOrder = subsystem.endpoints.toSorted((a, b) => +isWildcard(a) - +isWildcard(b))
    for (const configured of inOrder) {
      const endpoint = concrete(configured, reached)
      if (endpoint === null || seen.has(keyOf(endpoint))) continue
      seen.add(keyOf(endpoint))
      entries.push({
        subtype: DISCOVERY_SUBTYPE.NVM, nqn: subsystem.nqn, endpoint,
        portId: portId.get(keyOf(configured))!,
      })
    }
  }
  return entries
}

const isAllowed = (subsystem: SubsystemSnapshot, hostNqn: string): boolean =>
  subsystem.hosts === null || subsystem.hosts.includes(hostNqn)

const keyOf = (endpoint: Endpoint): string => `${endpoint.address} ${endpoint.port}`
const isIpv6 = (address: string): boolean => address.includes(':')
const isWildcard = ({ address }: Endpoint): boolean => address === '0.0.0.0' || address === '::'
const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.')

/** An interface name after % means something on this machine only. */
function withoutZone(endpoint: Endpoint): Endpoint {
  return { address: endpoint.address.split('%')[0]!, port: endpoint.port }
}

/** What a host that reached us at `reached` should use for this endpoint; null: it cannot. */
function concrete(endpoint: Endpoint, reached: Endpoint): Endpoint | null {
  if (isWildcard(endpoint)) {
    if (isIpv6(endpoint.address) !== isIpv6(reached.address)) return null
    return withoutZone({ address: reached.address, port: endpoint.port })
  }
  if (isLoopback(endpoint.address) && !isLoopback(reached.address)) return null
  return withoutZone(endpoint)
}

/** Port ids: endpoints that are configured alike, for whichever subsystem, are one port. From 1. */
function portsOf(target: TargetSnapshot): Map<string, number> {
  const ports = new Map<string, number>()
  for (const endpoint of target.subsystems.flatMap((subsystem) => subsystem.endpoints)) {
    if (!ports.has(keyOf(endpoint))) ports.set(keyOf(endpoint), ports.size + 1)
  }
  return ports
}

/** The port that the host came in by: the very address, else the wildcard of its family. */
function reachedPort(
  target: TargetSnapshot, reached: Endpoint, ports: ReadonlyMap<string, number>,
): number {
  const wildcard = isIpv6(reached.address) ? '::' : '0.0.0.0'
  const endpoint = target.subsystems.flatMap((subsystem) => subsystem.endpoints).find(
    (one) => keyOf(one) === keyOf(reached) || keyOf(one) === `${wildcard} ${reached.port}`,
  )
  return endpoint === undefined ? 0 : ports.get(keyOf(endpoint))!
}

function putEntry(view: DataView, at: number, entry: DiscoveryEntry): void {
  const field = DISCOVERY_ENTRY
  const { address, port } = entry.endpoint
  view.setUint8(at + field.trtype, TRTYPE.TCP)
  view.setUint8(at + field.adrfam, isIpv6(address) ? ADRFAM.IPV6 : ADRFAM.IPV4)
  view.setUint8(at + field.subtype, entry.subtype)
  view.setUint8(at + field.treq, putBits(TREQ_BITS.noSqFlow, 1))
  view.setUint16(at + field.portid, entry.portId, true)
  view.setUint16(at + field.cntlid, CNTLID_DYNAMIC, true)
  view.setUint16(at + field.asqsz, ADMIN_DEPTH, true)
  if (entry.subtype === DISCOVERY_SUBTYPE.CURRENT_DISCOVERY) {
    // Other endpoints would tell the same; a host may stay connected and be told of changes.
    const { dupretinfo, epcsd } = EFLAGS_BITS
    view.setUint16(at + field.eflags, putBits(dupretinfo, 1) | putBits(epcsd, 1), true)
  }
  putPadded(view, at + field.trsvcid, TRSVCID_BYTES, String(port))
  putNqn(view, at + field.subnqn, NQN_BYTES, entry.nqn)
  putPadded(view, at + field.traddr, TRADDR_BYTES, address)
}
