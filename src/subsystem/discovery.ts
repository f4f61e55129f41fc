/**
 * Discovery: tells one host which subsystems it may connect to, and where. Called by admin for
 * LID 70h.        NVMe Base 2.0, Discovery log page; NVMe/TCP Transport 1.0a; wire/log-page.ts.
 *
 *   ┌ header 1024 ┬ this discovery service ┬ subsystem × endpoint … ┬ registered … ┬ referral … ┐
 *
 * A wildcard endpoint is listed as the address that the host reached us at, since 0.0.0.0 means
 * nothing to a host. One of the other address family is left out: nobody knows which address of
 * that family, if any, this host could reach. So is a loopback address, for a host from elsewhere.
 * Port local entries are those of the address that the host reached, whatever their TCP port.
 *
 * Invariant: a host sees a subsystem here exactly when its Connect would be allowed.
 */
import {
  EXATTYPE, EXTENDED_ATTRIBUTE, EXTENDED_ATTRIBUTE_BYTES, EXTENDED_ENTRY_TAIL,
  EXTENDED_ENTRY_TAIL_BYTES,
} from '../wire/discovery-information.ts'
import { CNTLID_DYNAMIC, CNTLID_STATIC, NQN_BYTES } from '../wire/fabrics.ts'
import { putBits, takeBits } from '../wire/layout.ts'
import {
  ADRFAM, DISCOVERY_ENTRY, DISCOVERY_ENTRY_BYTES, DISCOVERY_FLAGS, DISCOVERY_HEADER,
  DISCOVERY_HEADER_BYTES, DISCOVERY_SUBTYPE, EFLAGS_BITS, TREQ_BITS, TRTYPE,
} from '../wire/log-page.ts'
import { putNqn, putPadded, putU64 } from '../wire/value.ts'
import { DISCOVERY_NQN } from './subsystem.ts'
import type { Endpoint, RegisteredEntry, SubsystemSnapshot, TargetSnapshot } from './subsystem.ts'

/** The depth of every admin queue: what the specification asks for at least. */
const ADMIN_DEPTH = 32
const TRSVCID_BYTES = 32
const TRADDR_BYTES = 256

export type DiscoveryEntry = {
  readonly subtype: number
  readonly nqn: string
  readonly endpoint: Endpoint
  /** 0: a port that is not ours. */
  readonly portId: number
  /** What people call it, for hosts that ask for extended entries. */
  readonly label?: string | undefined
  /** What an admin Connect is to ask for. */
  readonly cntlid: number
}

/** An entry with its attributes, as bytes. */
type Entry = Pick<RegisteredEntry, 'base' | 'attributeCount' | 'attributes'>

/** What a host asks for besides the log itself. */
export type DiscoveryWish = {
  /** Entries with attributes. */
  readonly extended: boolean
  /** Only what is at the address that the host reached. */
  readonly portLocal: boolean
}

/** The wish in a log specific parameter. Whether ALLSUBE is set does not matter: DLPF says so. */
export function discoveryWish(lsp: number): DiscoveryWish {
  return {
    extended: takeBits(lsp, DISCOVERY_FLAGS.extended) === 1,
    portLocal: takeBits(lsp, DISCOVERY_FLAGS.portLocal) === 1,
  }
}

/** The log as this host sees it. reached: the local end of the connection that it asks over. */
export function discoveryLog(
  target: TargetSnapshot, hostNqn: string, reached: Endpoint, wish: DiscoveryWish,
): Uint8Array {
  const { extended, portLocal } = wish
  const own = discoveryEntries(target, hostNqn, reached, portLocal)
  const entries: Entry[] = [
    ...own.map((entry) => ({ base: entryBytes(entry), ...labelAttribute(entry.label) })),
    ...portLocal ? [] : listed(target),
  ]
  const parts = entries.flatMap((entry) =>
    extended ? [entry.base, tailBytes(entry), entry.attributes] : [entry.base])
  const log = new Uint8Array(parts.reduce((sum, { length }) => sum + length, DISCOVERY_HEADER_BYTES))
  const view = new DataView(log.buffer)
  putU64(view, DISCOVERY_HEADER.genctr, target.generation)
  putU64(view, DISCOVERY_HEADER.numrec, entries.length)
  view.setUint8(DISCOVERY_HEADER.dlpf,
    putBits(DISCOVERY_FLAGS.extended, +extended) | putBits(DISCOVERY_FLAGS.portLocal, +portLocal))
  view.setUint32(DISCOVERY_HEADER.tdlpl, log.length, true)
  let at = DISCOVERY_HEADER_BYTES
  for (const part of parts) {
    log.set(part, at)
    at += part.length
  }
  return log
}

/** What is our own, as plain data: the service, subsystems, referrals. */
export function discoveryEntries(
  target: TargetSnapshot, hostNqn: string, reached: Endpoint, portLocal = false,
): DiscoveryEntry[] {
  const { ports, referrals } = target.discovery
  const discovery = target.subsystems.find((subsystem) => subsystem.kind === 'discovery')
  const entries: DiscoveryEntry[] = [{
    subtype: DISCOVERY_SUBTYPE.CURRENT_DISCOVERY, nqn: discovery?.nqn ?? DISCOVERY_NQN,
    endpoint: withoutZone(reached), portId: portIdOf(ports, reachedEndpoint(ports, reached)),
    cntlid: CNTLID_DYNAMIC,
  }]
  for (const subsystem of target.subsystems) {
    if (subsystem.kind !== 'nvm' || !isAllowed(subsystem, hostNqn)) continue
    const seen = new Set<string>()
    // Configured addresses first: they are the ones that a person chose.
    const inOrder = subsystem.endpoints.toSorted((a, b) => +isWildcard(a) - +isWildcard(b))
    for (const configured of inOrder) {
      const endpoint = reachable(configured, reached)
      if (endpoint === null || seen.has(keyOf(endpoint))) continue
      if (portLocal && endpoint.address !== withoutZone(reached).address) continue
      seen.add(keyOf(endpoint))
      entries.push({
        subtype: DISCOVERY_SUBTYPE.NVM, nqn: subsystem.nqn, endpoint,
        portId: portIdOf(ports, configured), label: subsystem.label,
        cntlid: subsystem.controllers.kind === 'static' ? CNTLID_STATIC : CNTLID_DYNAMIC,
      })
    }
  }
  if (portLocal) return entries
  for (const { endpoint, nqn, hosts } of referrals) {
    if (hosts !== null && !hosts.includes(hostNqn)) continue
    entries.push({ subtype: DISCOVERY_SUBTYPE.REFERRAL, nqn, endpoint, portId: 0, cntlid: CNTLID_DYNAMIC })
  }
  return entries
}

/**
 * Whether this host's log is another one now. Where the host came in by is not looked at: it may
 * be told of a change that its address hides, but misses none.
 */
export function logDiffers(
  before: TargetSnapshot, after: TargetSnapshot, hostNqn: string,
): boolean {
  return registeredDiffer(before, after) || visibleText(before, hostNqn) !== visibleText(after, hostNqn)
}

/** `after` with the ports that it adds, and a new generation when any host sees another log. */
export function nextGeneration(before: TargetSnapshot, after: TargetSnapshot): TargetSnapshot {
  const ports = portsWith(before.discovery.ports, after.subsystems)
  const changed = registeredDiffer(before, after)
    || JSON.stringify(tellable(before)) !== JSON.stringify(tellable(after))
  return {
    ...after, generation: before.generation + (changed ? 1 : 0),
    discovery: { ...after.discovery, ports },
  }
}

/** Those known, and behind them the endpoints that are new: a PORTID is never another port's. */
export function portsWith(
  known: readonly Endpoint[], subsystems: readonly SubsystemSnapshot[],
): Endpoint[] {
  const ports = [...known]
  for (const endpoint of subsystems.flatMap(({ endpoints }) => endpoints)) {
    if (!ports.some((port) => keyOf(port) === keyOf(endpoint))) ports.push(endpoint)
  }
  return ports
}

const isAllowed = (subsystem: SubsystemSnapshot, hostNqn: string): boolean =>
  subsystem.hosts === null || subsystem.hosts.includes(hostNqn)

const keyOf = (endpoint: Endpoint): string => `${endpoint.address} ${endpoint.port}`
const isIpv6 = (address: string): boolean => address.includes(':')
const isWildcard = ({ address }: Endpoint): boolean => address === '0.0.0.0' || address === '::'
const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.')

/** Those that others connect to. */
function listed(target: TargetSnapshot): RegisteredEntry[] {
  return target.discovery.registered.filter(({ kind }) => kind === 'subsystem')
}

function registeredDiffer(before: TargetSnapshot, after: TargetSnapshot): boolean {
  const [old, now] = [listed(before), listed(after)]
  return old.length !== now.length || now.some((entry, index) => {
    const other = old[index]!
    return entry !== other && (Buffer.compare(entry.base, other.base) !== 0
      || Buffer.compare(entry.attributes, other.attributes) !== 0)
  })
}

/** All that the log is made of, but for who may see it and what others registered. */
function tellable(target: TargetSnapshot): unknown {
  return [
    target.discovery.referrals,
    target.subsystems.map(({ kind, nqn, hosts, endpoints, controllers, label }) =>
      [kind, nqn, hosts, endpoints, controllers.kind, label]),
  ]
}

function visibleText(target: TargetSnapshot, hostNqn: string): string {
  return JSON.stringify([
    target.discovery.referrals.filter(({ hosts }) => hosts === null || hosts.includes(hostNqn)),
    target.subsystems.filter((subsystem) => isAllowed(subsystem, hostNqn))
      .map(({ kind, nqn, endpoints, controllers, label }) =>
        [nqn, controllers.kind, label, kind === 'nvm' ? endpoints : []]),
  ])
}

/** An interface name after % means something on this machine only. */
function withoutZone(endpoint: Endpoint): Endpoint {
  return { address: endpoint.address.split('%')[0]!, port: endpoint.port }
}

/** What a host that reached us at `reached` should use for this endpoint; null: it cannot. */
export function reachable(endpoint: Endpoint, reached: Endpoint): Endpoint | null {
  if (isWildcard(endpoint)) {
    if (isIpv6(endpoint.address) !== isIpv6(reached.address)) return null
    return withoutZone({ address: reached.address, port: endpoint.port })
  }
  if (isLoopback(endpoint.address) && !isLoopback(reached.address)) return null
  return withoutZone(endpoint)
}

/** The endpoint that the host came in by: the very address, else the wildcard of its family. */
function reachedEndpoint(ports: readonly Endpoint[], reached: Endpoint): Endpoint {
  if (portIdOf(ports, reached) !== 0) return reached
  return { address: isIpv6(reached.address) ? '::' : '0.0.0.0', port: reached.port }
}

/** 0 where there is no such port. */
function portIdOf(ports: readonly Endpoint[], endpoint: Endpoint): number {
  return ports.findIndex((port) => keyOf(port) === keyOf(endpoint)) + 1
}

/** The 1024 bytes of an entry. */
export function entryBytes(entry: DiscoveryEntry): Uint8Array {
  const bytes = new Uint8Array(DISCOVERY_ENTRY_BYTES)
  putEntry(new DataView(bytes.buffer), 0, entry)
  return bytes
}

function putEntry(view: DataView, at: number, entry: DiscoveryEntry): void {
  const field = DISCOVERY_ENTRY
  const { endpoint: { address, port }, subtype } = entry
  view.setUint8(at + field.trtype, TRTYPE.TCP)
  view.setUint8(at + field.adrfam, isIpv6(address) ? ADRFAM.IPV6 : ADRFAM.IPV4)
  view.setUint8(at + field.subtype, subtype)
  // What another discovery service requires is for it to say.
  const ours = subtype !== DISCOVERY_SUBTYPE.REFERRAL
  view.setUint8(at + field.treq, putBits(TREQ_BITS.noSqFlow, +ours))
  view.setUint16(at + field.portid, entry.portId, true)
  view.setUint16(at + field.cntlid, entry.cntlid, true)
  view.setUint16(at + field.asqsz, ADMIN_DEPTH, true)
  if (subtype === DISCOVERY_SUBTYPE.CURRENT_DISCOVERY) {
    // Other endpoints would tell the same; a host may stay connected and be told of changes.
    const { dupretinfo, epcsd } = EFLAGS_BITS
    view.setUint16(at + field.eflags, putBits(dupretinfo, 1) | putBits(epcsd, 1), true)
  }
  putPadded(view, at + field.trsvcid, TRSVCID_BYTES, String(port))
  putNqn(view, at + field.subnqn, NQN_BYTES, entry.nqn)
  putPadded(view, at + field.traddr, TRADDR_BYTES, address)
}

/** What stands between an entry and its attributes. */
function tailBytes({ attributeCount, attributes }: Entry): Uint8Array {
  const bytes = new Uint8Array(EXTENDED_ENTRY_TAIL_BYTES)
  const view = new DataView(bytes.buffer)
  const total = DISCOVERY_ENTRY_BYTES + bytes.length + attributes.length
  view.setUint32(EXTENDED_ENTRY_TAIL.tel, total, true)
  view.setUint16(EXTENDED_ENTRY_TAIL.numexat, attributeCount, true)
  return bytes
}

/** A symbolic name in ASCII, filled up with spaces; no attribute where there is none. */
function labelAttribute(label = ''): Omit<Entry, 'base'> {
  if (label === '') return { attributeCount: 0, attributes: new Uint8Array(0) }
  const valueBytes = label.length + (-label.length & 3)
  const attributes = new Uint8Array(EXTENDED_ATTRIBUTE_BYTES + valueBytes)
  const view = new DataView(attributes.buffer)
  view.setUint16(EXTENDED_ATTRIBUTE.exattype, EXATTYPE.SYMBOLIC_NAME, true)
  view.setUint16(EXTENDED_ATTRIBUTE.exatlen, valueBytes, true)
  putPadded(view, EXTENDED_ATTRIBUTE_BYTES, valueBytes, label)
  return { attributeCount: 1, attributes }
}
