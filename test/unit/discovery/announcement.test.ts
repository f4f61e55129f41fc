/** Announcing: what is sent when, to whom; with a network that is none. */
import { EventEmitter } from 'node:events'
import type { DnsMessage, DnsSender, MulticastOptions } from 'multicast-dns'
import { expect, test } from 'vitest'
import { Announcement, type AnnouncementParts } from '../../../src/discovery/announcement.ts'

const NQN = 'nqn.2014-08.org.nvmexpress.discovery'
const TYPE = '_nvme-disc._tcp.local'
const ETH0 = {
  address: '192.0.2.5', netmask: '', mac: '', internal: false, cidr: '192.0.2.5/24', family: 'IPv4' as const,
}
const NEIGHBOUR: DnsSender = { address: '192.0.2.77', port: 5353 }

type Sent = { message: DnsMessage; to: DnsSender | null }

class Network extends EventEmitter {
  readonly options: MulticastOptions
  readonly asked: string[] = []
  readonly sent: Sent[] = []
  destroyed = false

  constructor(options: MulticastOptions) {
    super()
    this.options = options
  }

  query(questions: readonly { name: string; type: string }[]): void {
    this.asked.push(...questions.map(({ name, type }) => `${name} ${type}`))
  }

  respond(message: DnsMessage, to: DnsSender | (() => void) | null = null, done?: () => void): void {
    this.sent.push({ message, to: typeof to === 'function' ? null : to })
    if (typeof to === 'function') to()
    done?.()
  }

  destroy(closed?: () => void): void {
    this.destroyed = true
    closed?.()
  }
}

function rig(addresses = [ETH0], endpoints = [{ address: '0.0.0.0', port: 8009 }]) {
  const networks: Network[] = []
  const said: string[] = []
  const waits: (() => void)[] = []
  const interfaces = { eth0: addresses }
  const parts = {
    open: (options: MulticastOptions) => {
      const network = new Network(options)
      networks.push(network)
      return network
    },
    log: { notice: (sentence: string) => said.push(sentence), warning: (sentence: string) => said.push(sentence) },
    interfaces: () => ({ ...interfaces }), hostname: () => 'box.example.com',
    wait: () => new Promise<void>((resolve) => { waits.push(resolve) }),
  } as unknown as AnnouncementParts
  const service = { nqn: NQN, central: false, endpoints }
  const announcement = new Announcement(service, parts)
  /** Lets the time that somebody waits for pass. */
  const pass = async (count: number): Promise<void> => {
    for (let time = 0; time < count; time += 1) {
      waits.shift()!()
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
    }
  }
  return { announcement, service, networks, said, pass, interfaces }
}

const typesOf = ({ message }: Sent): string[] => message.answers!.map(({ type, ttl }) => `${type} ${ttl}`)

test('probes three times, tells twice, and takes it back', async () => {
  const { announcement, networks: [network], said, pass } = rig()
  expect(network!.options).toEqual({ interface: '192.0.2.5', bind: '0.0.0.0' })
  await pass(2)
  expect(network!.asked).toEqual(new Array(3).fill(`weft on box.${TYPE} ANY`))
  expect(network!.sent).toEqual([])
  await pass(1)
  expect(network!.sent.map(typesOf)).toEqual([['PTR 4500', 'PTR 4500', 'PTR 4500', 'SRV 120', 'TXT 4500', 'A 120']])
  expect(said).toEqual(['Announced "weft on box" by mDNS on eth0.'])
  await pass(1)
  expect(network!.sent).toHaveLength(2)
  await announcement.stop()
  expect(typesOf(network!.sent[2]!)).toEqual(['PTR 0', 'PTR 0', 'SRV 0', 'TXT 0', 'A 0'])
  expect(network!.destroyed).toBe(true)
})

test('a name that is taken is left to its owner', async () => {
  const { networks: [network], said, pass, announcement } = rig()
  network!.emit('response', { answers: [{
    name: `weft on box.${TYPE}`, type: 'SRV', data: { port: 1, target: 'other.local' },
  }] }, NEIGHBOUR)
  await pass(4)
  expect(said).toEqual(['Announced "weft on box-2" by mDNS on eth0.'])
  const srv = network!.sent[0]!.message.answers!.find(({ type }) => type === 'SRV')!
  expect(srv).toMatchObject({ name: `weft on box-2.${TYPE}`, data: { target: 'weft-box-2.local' } })
  await announcement.stop()
})

test('questions: of neighbours to all, of simple resolvers to them, of others not at all', async () => {
  const { networks: [network], pass, announcement } = rig()
  const question = { id: 7, questions: [{ name: TYPE, type: 'PTR' }] }
  network!.emit('query', question, NEIGHBOUR)
  expect(network!.sent, 'before the name is known to be free').toEqual([])
  await pass(4)
  network!.sent.length = 0
  network!.emit('query', question, NEIGHBOUR)
  network!.emit('query', question, { address: '192.0.2.78', port: 40000 })
  network!.emit('query', question, { address: '198.51.100.1', port: 5353 })
  network!.emit('query', { questions: [{ name: '_http._tcp.local', type: 'PTR' }] }, NEIGHBOUR)
  expect(network!.sent.map(({ to }) => to)).toEqual([null, { address: '192.0.2.78', port: 40000 }])
  expect(network!.sent[1]!.message).toMatchObject(question)
  await announcement.stop()
  network!.sent.length = 0
  network!.emit('query', question, NEIGHBOUR)
  expect(network!.sent).toEqual([])
})

test('loopback alone is not announced, and somebody is told so', async () => {
  const { announcement, networks, said } = rig([ETH0], [{ address: '127.0.0.1', port: 8009 }])
  expect(networks).toEqual([])
  expect(said).toEqual([
    'Nothing is announced by mDNS yet: the discovery service cannot be reached from elsewhere.',
  ])
  await announcement.stop()
})

test('a change withdraws what was told and tells anew', async () => {
  const { announcement, service, networks, pass } = rig()
  await pass(4)
  announcement.update({ ...service, endpoints: [{ address: '192.0.2.5', port: 4420 }] })
  expect(typesOf(networks[0]!.sent.at(-1)!)).toContain('SRV 0')
  await Promise.resolve()
  expect(networks[0]!.destroyed).toBe(true)
  expect(networks).toHaveLength(2)
  announcement.update({ ...service, endpoints: [{ address: '192.0.2.5', port: 4420 }] })
  expect(networks, 'the same again').toHaveLength(2)
  await announcement.stop()
})

test('interfaces that cannot be listed for a while change nothing', async () => {
  const { announcement, service, networks, pass, interfaces } = rig()
  await pass(4)
  Object.defineProperty(interfaces, 'eth0', { get: () => { throw new Error('EMFILE') } })
  announcement.update({ ...service, nqn: 'nqn.other' })
  expect(networks.map(({ destroyed }) => destroyed)).toEqual([false])
  await announcement.stop()
})

test('a port that is taken ends it with a warning, not the target', async () => {
  const { networks: [network], said, announcement } = rig()
  network!.emit('error', new Error('bind EACCES 0.0.0.0:5353'))
  expect(said).toEqual(['mDNS does not work on eth0 (bind EACCES 0.0.0.0:5353): '
    + 'the discovery service is not announced there.'])
  await announcement.stop()
})
