/**
 * Announcement: tells the networks that this machine is on, by multicast DNS, where the discovery
 * service is; and takes it back. target starts and stops it, where `announce` is configured.
 * RFC 6762: names are probed first, told twice, and withdrawn with a TTL of 0.
 *
 *   probe ×3, 250 ms apart ─▶ announce ─ 1 s ─▶ announce ─▶ answers ─▶ goodbye
 *
 * Interfaces and addresses come and go: they are looked at again every LOOK_MS.
 * Invariant: nothing is sent to, or answered from, an interface that the service cannot be reached on.
 */
import { BlockList, isIPv6 } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import type { DnsMessage, DnsRecord, DnsSender, Multicast, MulticastOptions } from 'multicast-dns'
import type { Log } from '../control/log.ts'
import {
  answersTo, interfacePlans, labelOf, serviceRecords, takesName, withdrawn,
  type AnnouncedService, type InterfacePlan,
} from './service-records.ts'

const MDNS_PORT = 5353
const MDNS_IPV6 = 'ff02::fb'
const PROBES = 3
const PROBE_MS = 250
const AGAIN_MS = 1000
const LOOK_MS = 30_000
const NAMES_MAX = 100

/** What a test puts other things in place of. */
export type AnnouncementParts = {
  readonly open: (options: MulticastOptions) => Multicast
  readonly log: Pick<Log, 'notice' | 'warning'>
  readonly interfaces: typeof networkInterfaces
  readonly hostname: () => string
  readonly wait: (ms: number) => Promise<void>
}

/** The real ones. */
export async function announcementParts(log: AnnouncementParts['log']): Promise<AnnouncementParts> {
  const { default: open } = await import('multicast-dns')
  const { setTimeout: wait } = await import('node:timers/promises')
  return {
    open, log, interfaces: networkInterfaces, hostname,
    wait: (ms) => wait(ms, undefined, { ref: false }),
  }
}

export class Announcement {
  readonly #parts: AnnouncementParts
  #service: AnnouncedService
  /** By the text of their plan. */
  readonly #voices = new Map<string, Voice>()
  readonly #looking: NodeJS.Timeout
  #stopped = false

  constructor(service: AnnouncedService, parts: AnnouncementParts) {
    this.#service = service
    this.#parts = parts
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref()
    this.#look()
    if (this.#voices.size === 0) {
      parts.log.warning('Nothing is announced by mDNS yet: the discovery service cannot be reached from elsewhere.')
    }
  }

  /** Something else is offered now. */
  update(service: AnnouncedService): void {
    this.#service = service
    if (!this.#stopped) this.#look()
  }

  /** Resolves when everything is withdrawn. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#looking)
    await Promise.all([...this.#voices.values()].map((voice) => voice.stop()))
    this.#voices.clear()
  }

  #look(): void {
    const service = this.#service
    const interfaces = this.#interfaces()
    if (interfaces === null) return
    const wanted = new Map(interfacePlans(service.endpoints, interfaces)
      .map((plan) => [JSON.stringify([service, plan]), plan]))
    for (const [key, voice] of this.#voices) {
      if (wanted.has(key)) continue
      this.#voices.delete(key)
      void voice.stop()
    }
    for (const [key, plan] of wanted) {
      if (!this.#voices.has(key)) this.#voices.set(key, new Voice(service, plan, this.#parts))
    }
  }

  /** null: the system cannot say at the moment, as when there are no file descriptors left. */
  #interfaces(): ReturnType<AnnouncementParts['interfaces']> | null {
    try {
      return this.#parts.interfaces()
    } catch {
      return null
    }
  }
}

/** One network interface. */
class Voice {
  readonly #service: AnnouncedService
  readonly #plan: InterfacePlan
  readonly #parts: AnnouncementParts
  readonly #multicast: Multicast
  readonly #link: BlockList
  /** Empty until the name is known to be free. */
  #records: readonly DnsRecord[] = []
  #taken = false
  #probing = { named: '', host: '' }
  #ended = false

  constructor(service: AnnouncedService, plan: InterfacePlan, parts: AnnouncementParts) {
    this.#service = service
    this.#plan = plan
    this.#parts = parts
    const { address, family, cidr } = plan.own
    this.#link = new BlockList()
    const [net, prefix] = (cidr ?? `${address}/${family === 'IPv6' ? 128 : 32}`).split('/')
    this.#link.addSubnet(net!, Number(prefix), family === 'IPv6' ? 'ipv6' : 'ipv4')
    this.#multicast = parts.open(family === 'IPv6'
      ? { type: 'udp6', ip: `${MDNS_IPV6}%${plan.name}`, interface: `::%${plan.name}`, bind: '::' }
      : { interface: address, bind: '0.0.0.0' })
    this.#multicast.on('query', (message, from) => this.#answer(message, from))
    this.#multicast.on('response', (message) => this.#hear(message))
    this.#multicast.on('error', (error) => this.#fail(error))
    this.#multicast.on('warning', () => {})
    void this.#begin()
  }

  async stop(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await new Promise<void>((done) => {
      if (this.#records.length === 0) return done()
      this.#multicast.respond({ answers: withdrawn(this.#records) }, () => done())
    })
    await new Promise<void>((done) => { this.#multicast.destroy(done) })
  }

  async #begin(): Promise<void> {
    const { log, wait } = this.#parts
    const machine = labelOf(this.#parts.hostname())
    for (let count = 1; count <= NAMES_MAX; count += 1) {
      const suffix = count === 1 ? '' : `-${count}`
      const [instance, host] = [`weft on ${machine}${suffix}`, `weft-${machine}${suffix}`]
      const records = serviceRecords(this.#service, this.#plan, instance, host)
      if (!await this.#isFree(records, host)) continue
      if (this.#ended) return
      this.#records = records
      this.#multicast.respond({ answers: records })
      log.notice(`Announced "${instance}" by mDNS on ${this.#plan.name}.`, { interface: this.#plan.name })
      await wait(AGAIN_MS)
      if (!this.#ended) this.#multicast.respond({ answers: records })
      return
    }
  }

  async #isFree(records: readonly DnsRecord[], host: string): Promise<boolean> {
    const named = records.find(({ type }) => type === 'SRV')!.name
    this.#probing = { named, host: `${host}.local` }
    this.#taken = false
    for (let probe = 0; probe < PROBES && !this.#taken && !this.#ended; probe += 1) {
      this.#multicast.query([{ name: named, type: 'ANY' }])
      await this.#parts.wait(PROBE_MS)
    }
    return !this.#taken
  }

  #hear(message: DnsMessage): void {
    const { named, host } = this.#probing
    if (this.#records.length === 0 && takesName(message, named, this.#plan.port, host)) this.#taken = true
  }

  /** RFC 6762, 6.7 and 11: a simple resolver is answered alone, and who is not on this link not at all. */
  #answer(query: DnsMessage, from: DnsSender): void {
    if (this.#ended || !this.#isNear(from)) return
    const answer = answersTo(this.#records, query)
    if (answer === null) return
    if (from.port === MDNS_PORT) this.#multicast.respond(answer)
    else {
      const { id = 0, questions = [] } = query
      this.#multicast.respond({ ...answer, id, questions }, { address: from.address, port: from.port })
    }
  }

  #isNear({ address }: DnsSender): boolean {
    const plain = address.split('%')[0]!
    const family = isIPv6(plain) ? 'ipv6' : 'ipv4'
    return family === this.#plan.own.family.toLowerCase()
      && (this.#link.check(plain, family) || plain.startsWith('fe80:'))
  }

  #fail(error: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#records = []
    this.#multicast.destroy()
    this.#parts.log.warning(`mDNS does not work on ${this.#plan.name} (${error.message}): `
      + 'the discovery service is not announced there.')
  }
}
