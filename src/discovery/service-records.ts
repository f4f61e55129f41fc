/**
 * The DNS records by which a discovery service is found: which there are on each network interface,
 * and which of them answer a question. announcement.ts sends them.
 * RFC 6763 (DNS-SD); NVMe TP 8009: _nvme-disc._tcp, with p and nqn in TXT.
 *
 *   PTR _nvme-disc._tcp.local ─▶ SRV weft on NAME ─▶ A, AAAA weft-NAME.local
 *                                TXT p=tcp nqn=…
 *
 * Invariant: an address is told only on its own interface, and only where something listens on it.
 */
import type { NetworkInterfaceInfo } from 'node:os'
import type { DnsMessage, DnsQuestion, DnsRecord } from 'multicast-dns'
import type { Endpoint } from '../subsystem/subsystem.ts'

const TYPE = '_nvme-disc._tcp.local'
const ALL_TYPES = '_services._dns-sd._udp.local'
/** RFC 6762, 10: names of hosts may change sooner than what depends on them. */
const HOST_TTL_S = 120
const TTL_S = 4500

/** What is announced. */
export type AnnouncedService = {
  readonly nqn: string
  readonly central: boolean
  /** Where discovery is offered; of several on an interface, those that come first. */
  readonly endpoints: readonly Endpoint[]
}

/** What is told on one network interface. */
export type InterfacePlan = {
  readonly name: string
  /** Its own addresses that something listens on. */
  readonly addresses: readonly string[]
  readonly port: number
  /** By which the interface is told from others: an IPv4 address where it has one. */
  readonly own: NetworkInterfaceInfo
}

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>

/** A plan for each interface on which somebody else could reach the service; loopback is not one. */
export function interfacePlans(endpoints: readonly Endpoint[], interfaces: Interfaces): InterfacePlan[] {
  const plans: InterfacePlan[] = []
  for (const [name, addresses = []] of Object.entries(interfaces)) {
    const outer = addresses.filter(({ internal }) => !internal)
    const own = outer.find(({ family }) => family === 'IPv4') ?? outer[0]
    const first = endpoints.find((endpoint) => outer.some((each) => listensOn(endpoint, each)))
    if (own === undefined || first === undefined) continue
    const same = endpoints.filter(({ port }) => port === first.port)
    plans.push({
      name, port: first.port, own,
      addresses: outer.filter((each) => same.some((endpoint) => listensOn(endpoint, each)))
        .map(({ address }) => address),
    })
  }
  return plans
}

/** Text that is one label of a name: dots would make it several. */
export function labelOf(text: string): string {
  return text.split('.')[0]!.slice(0, 40)
}

/** instance and host: labels. All but the pointers are this target's alone. */
export function serviceRecords(
  service: AnnouncedService, plan: InterfacePlan, instance: string, host: string,
): DnsRecord[] {
  const [named, target] = [`${instance}.${TYPE}`, `${host}.local`]
  const subtype = `${service.central ? '_cdc' : '_ddc'}._sub.${TYPE}`
  return [
    { name: TYPE, type: 'PTR', ttl: TTL_S, data: named },
    { name: subtype, type: 'PTR', ttl: TTL_S, data: named },
    { name: ALL_TYPES, type: 'PTR', ttl: TTL_S, data: TYPE },
    {
      name: named, type: 'SRV', ttl: HOST_TTL_S, flush: true,
      data: { priority: 0, weight: 0, port: plan.port, target },
    },
    { name: named, type: 'TXT', ttl: TTL_S, flush: true, data: ['p=tcp', `nqn=${service.nqn}`] },
    ...plan.addresses.map((address) => ({
      name: target, type: address.includes(':') ? 'AAAA' : 'A', ttl: HOST_TTL_S, flush: true,
      data: address.split('%')[0]!,
    })),
  ]
}

/** What answers the questions, and what the asker will want next; null when nothing does. */
export function answersTo(records: readonly DnsRecord[], query: DnsMessage): DnsMessage | null {
  const known = query.answers ?? []
  const answers = records.filter((record) =>
    (query.questions ?? []).some((question) => isAsked(record, question))
    && !known.some((other) => isKnown(record, other)))
  if (answers.length === 0) return null
  const names = new Set(answers.flatMap(namesWithin))
  for (const record of records) {
    if (names.has(record.name)) for (const name of namesWithin(record)) names.add(name)
  }
  const additionals = records.filter((record) => names.has(record.name) && !answers.includes(record))
  return { answers, additionals }
}

/** The same, not true from now on. */
export function withdrawn(records: readonly DnsRecord[]): DnsRecord[] {
  return records.filter(({ name }) => name !== ALL_TYPES).map((record) => ({ ...record, ttl: 0 }))
}

/** Somebody else's: the name of the instance is taken. */
export function takesName(message: DnsMessage, named: string, port: number, target: string): boolean {
  return [...message.answers ?? [], ...message.additionals ?? []].some(({ name, type, data }) => {
    if (type !== 'SRV' || !same(name, named)) return false
    const other = (data ?? {}) as { readonly port?: number; readonly target?: string }
    return other.port !== port || !same(other.target ?? '', target)
  })
}

function listensOn({ address }: Endpoint, own: NetworkInterfaceInfo): boolean {
  if (address === '0.0.0.0') return own.family === 'IPv4'
  if (address === '::') return own.family === 'IPv6'
  return address.split('%')[0]!.toLowerCase() === own.address.split('%')[0]!.toLowerCase()
}

function isAsked(record: DnsRecord, { name, type }: DnsQuestion): boolean {
  return same(record.name, name) && (type === 'ANY' || type === record.type)
}

/** RFC 6762, 7.1: the asker knows it, and will for at least half of its time. */
function isKnown(record: DnsRecord, { name, type, ttl = 0, data }: DnsRecord): boolean {
  return type === 'PTR' && record.type === 'PTR' && same(record.name, name)
    && typeof data === 'string' && same(String(record.data), data) && ttl >= (record.ttl ?? 0) / 2
}

/** The names that a record leads to. */
function namesWithin({ type, data }: DnsRecord): string[] {
  if (type === 'PTR') return [String(data)]
  return type === 'SRV' ? [(data as { readonly target: string }).target] : []
}

const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()
