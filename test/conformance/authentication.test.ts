/**
 * DH-HMAC-CHAP: what has to authenticate, how it does, and what it may do before.
 * NVMe Base 2.0, 8.13 (in-band authentication); NVMe over Fabrics 1.1, Connect response.
 *
 *   Connect (ATR) ─▶ Negotiate ─▶ Challenge ─▶ Reply ─▶ Success1 (─▶ Success2)       on every queue
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  AUTH_RECEIVE, AUTH_SEND, CONTROLLER_SECRET, GROUP_BYTES, HASHES, HOST_SECRET, authCommand, head, negotiate,
  receiveMessage, sendMessage, type HashId,
} from '../authentication-bytes.ts'
import {
  DISCOVERY_NQN, connect, connectData, disconnect, flush, getFeatures, getLogPage, identify, keepAlive, propertyGet,
  propertySet, read, write,
} from '../command-bytes.ts'
import { configuration, startDaemon, type Daemon } from '../daemon.ts'
import { authenticate, begin } from '../host-authentication.ts'
import type { HostQueue } from '../host-queue.ts'
import { Session, enable, openAdmin, someHost, tryConnect } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'

const SUBSYSTEM = 'nqn.2026-01.example:guarded'
const ATR = 1 << 17
const ASCR = 1 << 18
const [KEYED, MUTUAL, FREE, PLAIN] = ['keyed', 'mutual', 'free', 'plain'].map((name) => someHost(name))

let daemon: Daemon

beforeAll(async () => {
  const hosts = [
    { nqn: KEYED!.hostnqn, key: HOST_SECRET },
    { nqn: MUTUAL!.hostnqn, key: HOST_SECRET, controllerKey: CONTROLLER_SECRET },
    { nqn: PLAIN!.hostnqn, key: HOST_SECRET, hashes: ['sha-256'], dhGroups: ['null'] },
    FREE!.hostnqn,
  ]
  daemon = await startDaemon(configuration({
    reactors: 2,
    discovery: { listeners: false, hosts: [{ nqn: KEYED!.hostnqn, key: HOST_SECRET }, FREE!.hostnqn] },
    subsystems: [{ nqn: SUBSYSTEM, hosts, namespaces: [{ nsid: 1, memory: '16M' }] }],
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const namesOf = (host: { hostnqn: string }, subnqn = SUBSYSTEM) => ({ hostnqn: host.hostnqn, subnqn })

/** An admin queue that has connected and not authenticated. */
async function connected(identity = KEYED!, subnqn = SUBSYSTEM): Promise<Session> {
  return openAdmin(daemon.endpoint, { subnqn, identity })
}

/** An enabled controller, and an I/O queue that has connected and not authenticated. */
async function withIo(identity = KEYED!): Promise<{ session: Session; io: HostQueue }> {
  const session = await connected(identity)
  await authenticate(session.admin, { names: namesOf(identity) })
  await enable(session.admin)
  return { session, io: await session.connectIo(1) }
}

describe('Connect', () => {
  test.each([
    ['AUT-01: a host with a key', () => KEYED!, SUBSYSTEM, ATR],
    ['AUT-01: the discovery service, per its own list', () => KEYED!, DISCOVERY_NQN, ATR],
    ['AUT-02: a host without a key', () => FREE!, SUBSYSTEM, 0],
    ['AUT-02: the discovery service, for a host without a key', () => FREE!, DISCOVERY_NQN, 0],
  ])('%s', async (_name, identity, subnqn, bits) => {
    const wire = await Wire.initialized(daemon.endpoint)
    const { completion } = await tryConnect(wire, { subnqn, identity: identity() })
    expect(completion.status).toBe('0/00h')
    expect(completion.dw0 & (ATR | ASCR)).toBe(bits)
  })

  test('AUT-01: I/O queues too', async () => {
    const session = await connected()
    await authenticate(session.admin, { names: namesOf(KEYED!) })
    await enable(session.admin)
    const wire = await Wire.initialized(daemon.endpoint)
    const { completion } = await tryConnect(wire, session.ioWish(1))
    expect(completion.dw0 & (ATR | ASCR)).toBe(ATR)
  })

  test('AUT-02: a host without a key works at once', async () => {
    const { admin } = await connected(FREE!)
    await enable(admin)
    await admin.must(identify(1), { receive: 4096 })
  })
})

describe('before the host has authenticated', () => {
  test.each([
    ['Property Get', () => propertyGet(0x1c, 4), {}],
    ['Property Set', () => propertySet(0x14, 0x00460001), {}],
    ['Identify', () => identify(1), { receive: 4096 }],
    ['Get Log Page', () => getLogPage(2, 128), { receive: 512 }],
    ['Get Features', () => getFeatures(7), {}],
    ['Keep Alive', () => keepAlive(), {}],
  ])('AUT-03: %s on the admin queue', async (_name, command, transfer) => {
    const { admin } = await connected()
    const { status, dnr } = await admin.submit(command(), transfer)
    expect([status, dnr]).toEqual(['1/91h', true])
  })

  test.each([
    ['Read', () => read(1, 0, 1), { receive: 512 }],
    ['Write, data in the capsule', () => write(1, 0, 1), { send: Buffer.alloc(512) }],
    ['Write, data by R2T', () => write(1, 0, 1), { send: Buffer.alloc(512), inCapsule: false }],
    ['Flush', () => flush(1), {}],
  ])('AUT-03: %s on an I/O queue', async (_name, command, transfer) => {
    const { io } = await withIo()
    expect((await io.submit(command(), transfer)).status).toBe('1/91h')
  })

  test('AUT-03: and while it authenticates', async () => {
    const { admin } = await connected()
    await begin(admin, 1)
    expect((await admin.submit(identify(1), { receive: 4096 })).status).toBe('1/91h')
  })

  test('AUT-04: Connect a second time is out of sequence', async () => {
    const { admin } = await connected()
    const data = connectData({ ...KEYED!, subnqn: SUBSYSTEM })
    expect((await admin.submit(connect(), { send: data })).status).toBe('0/0Ch')
  })

  test('AUT-04: Disconnect ends an I/O queue', async () => {
    const { io } = await withIo()
    await io.must(disconnect())
    await io.wire.closed()
  })

  test('AUT-03: an I/O queue is not opened by the admin queue', async () => {
    const { session, io } = await withIo()
    await session.admin.must(identify(1), { receive: 4096 })
    expect((await io.submit(read(1, 0, 1), { receive: 512 })).status).toBe('1/91h')
  })
})

describe('every hash with every group', () => {
  const hashes = Object.keys(HASHES).map(Number) as HashId[]
  const all = hashes.flatMap((hash) => GROUP_BYTES.map((_bytes, group) => [hash, group] as const))

  test.each(all)('AUT-05: hash %i, group %i, one way', async (hash, group) => {
    const { admin } = await connected()
    const challenge = await authenticate(admin, {
      names: namesOf(KEYED!), offered: { hashes: [hash], groups: [group] },
    })
    expect([challenge.hash, challenge.group]).toEqual([hash, group])
    expect(challenge.value.length).toBe(HASHES[hash][1])
    expect(challenge.dhValue.length).toBe(GROUP_BYTES[group])
    expect(challenge.seqnum).not.toBe(0)
    await enable(admin)
  })

  test.each(all)('AUT-06: hash %i, group %i, both ways', async (hash, group) => {
    const { admin } = await connected(MUTUAL!)
    await authenticate(admin, {
      names: namesOf(MUTUAL!), controller: true, offered: { hashes: [hash], groups: [group] },
    })
    await enable(admin)
  })
})

describe('negotiation', () => {
  test('AUT-07: the strongest of all is chosen, whatever the order', async () => {
    const { admin } = await connected()
    const { hash, group } = await begin(admin, 1, { hashes: [3, 1, 2], groups: [0, 5, 1] })
    expect([hash, group]).toEqual([3, 5])
  })

  test('AUT-07: of what is configured and offered', async () => {
    const { admin } = await connected(PLAIN!)
    const { hash, group } = await begin(admin, 1)
    expect([hash, group]).toEqual([1, 0])
  })

  test('AUT-07: the protocol may be any of the descriptors', async () => {
    const { admin } = await connected()
    const one = negotiate(1)
    const message = Buffer.concat([one, one.subarray(8)])
    message.writeUInt8(2, 7)
    message.writeUInt8(9, 8)
    expect((await sendMessage(admin, message)).status).toBe('0/00h')
    const { data } = await receiveMessage(admin)
    expect([...data.subarray(0, 2)]).toEqual([1, 1])
  })

  test('AUT-08: challenges and sequence numbers are never the same', async () => {
    const seen = new Set<string>()
    for (let index = 0; index < 8; index += 1) {
      const { admin } = await connected(PLAIN!)
      const { value, seqnum } = await begin(admin, 1)
      seen.add(value.toString('hex')).add(String(seqnum))
    }
    expect(seen.size).toBe(16)
  })

  test('AUT-09: what is behind a message is zero', async () => {
    const { admin } = await connected(PLAIN!)
    await sendMessage(admin, negotiate(7))
    const { data } = await receiveMessage(admin, 1024)
    expect(data.subarray(48).every((byte) => byte === 0)).toBe(true)
    expect(data.subarray(16, 48).some((byte) => byte !== 0)).toBe(true)
  })
})

describe('afterwards', () => {
  test('AUT-10: I/O on an authenticated queue', async () => {
    const { session, io } = await withIo(MUTUAL!)
    await authenticate(io, { names: namesOf(MUTUAL!), controller: true })
    const bytes = Buffer.alloc(4096, 0x5a)
    await io.must(write(1, 0, 8), { send: bytes })
    expect((await io.must(read(1, 0, 8), { receive: 4096 })).data.equals(bytes)).toBe(true)
    await session.end()
  })

  test('AUT-10: the log says so', async () => {
    const { admin } = await connected(MUTUAL!)
    await authenticate(admin, { names: namesOf(MUTUAL!), controller: true, offered: { hashes: [2], groups: [1] } })
    const line = await daemon.line((each) => each['event'] === 'hostConnected'
      && each['authentication'] === 'sha-384, ffdhe2048, both ways', 'the host is connected')
    expect(line['hostNqn']).toBe(MUTUAL!.hostnqn)
  })

  test('AUT-11: again on queues that are open, with I/O meanwhile', async () => {
    const { session, io } = await withIo()
    await authenticate(io, { names: namesOf(KEYED!) })
    await Promise.all([begin(session.admin, 2), begin(io, 2)])
    await io.must(read(1, 0, 1), { receive: 512 })
    await session.admin.must(identify(1), { receive: 4096 })
  })

  test('AUT-11: as often as the host likes', async () => {
    const { session, io } = await withIo()
    for (let tid = 1; tid <= 4; tid += 1) {
      await authenticate(io, { names: namesOf(KEYED!), tid })
      await authenticate(session.admin, { names: namesOf(KEYED!), tid })
      await io.must(read(1, 0, 1), { receive: 512 })
    }
  })

  test('AUT-12: the discovery service tells what it has', async () => {
    const { admin } = await connected(KEYED!, DISCOVERY_NQN)
    expect((await admin.submit(getLogPage(0x70, 256), { receive: 1024 })).status).toBe('1/91h')
    await authenticate(admin, { names: namesOf(KEYED!, DISCOVERY_NQN) })
    await enable(admin)
    await admin.must(getLogPage(0x70, 256), { receive: 1024 })
  })

  test('AUT-12: the discovery service refuses whom it does not list', async () => {
    const wire = await Wire.initialized(daemon.endpoint)
    const { completion } = await tryConnect(wire, { subnqn: DISCOVERY_NQN, identity: PLAIN! })
    expect(completion.status).toBe('1/84h')
  })
})

describe('the commands', () => {
  test.each([
    ['SECP', { secp: 0xe8 }], ['SPSP0', { spsp0: 0 }], ['SPSP1', { spsp1: 2 }],
  ])('AUT-13: a wrong %s', async (_name, changes) => {
    const { admin } = await connected()
    const message = negotiate(1)
    expect((await admin.submit(authCommand(AUTH_SEND, 72, changes), { send: message })).status).toBe('0/02h')
    expect((await admin.submit(authCommand(AUTH_RECEIVE, 72, changes), { receive: 72 })).status).toBe('0/02h')
  })

  test('AUT-13: no length, and more than any message has', async () => {
    const { admin } = await connected()
    expect((await admin.submit(authCommand(AUTH_SEND, 0), { send: negotiate(1) })).status).toBe('0/02h')
    expect((await admin.submit(authCommand(AUTH_RECEIVE, 0), { receive: 4096 })).status).toBe('0/02h')
    expect((await admin.submit(authCommand(AUTH_RECEIVE, 16388), { receive: 16388 })).status).toBe('0/02h')
  })

  test('AUT-13: a length that is not that of the SGL', async () => {
    const { admin } = await connected()
    expect((await admin.submit(authCommand(AUTH_SEND, 71), { send: negotiate(1) })).status).toBe('0/0Fh')
    expect((await admin.submit(authCommand(AUTH_RECEIVE, 4096), { receive: 1024 })).status).toBe('0/0Fh')
  })

  test('AUT-13: a message that is asked for by R2T', async () => {
    const { admin } = await connected()
    const done = await admin.submit(authCommand(AUTH_SEND, 72), { send: negotiate(1), inCapsule: false })
    expect(done.status).toBe('0/00h')
    expect((await receiveMessage(admin)).data.readUInt8(1)).toBe(1)
  })

  test('AUT-14: Authentication Receive before any Send is out of sequence', async () => {
    const { admin } = await connected()
    expect((await receiveMessage(admin)).status).toBe('0/0Ch')
  })

  test('AUT-14: a second command while one is being worked on is out of sequence', async () => {
    const { admin } = await connected()
    await sendMessage(admin, negotiate(1, { groups: [5] }))
    const both = await Promise.all([receiveMessage(admin), receiveMessage(admin)])
    expect(both.map(({ status }) => status)).toEqual(['0/00h', '0/0Ch'])
  })

  test('AUT-15: of a host without a key they are no commands', async () => {
    const { admin } = await connected(FREE!)
    expect((await sendMessage(admin, negotiate(1))).status).toBe('0/01h')
    expect((await receiveMessage(admin)).status).toBe('0/01h')
    await enable(admin)
  })

  test('AUT-04: before Connect they are out of sequence', async () => {
    const wire = await Wire.initialized(daemon.endpoint)
    const { queue } = await tryConnect(wire, { subnqn: 'nqn.2026-01.example:nobody' })
    expect((await sendMessage(queue, head(16, 0, 0, 1))).status).toBe('0/0Ch')
  })
})
