/**
 * Connect: every check, its status and the offset of the field at fault.
 * NVMe over Fabrics 1.1, Connect command and response. Where peers differ, weft does what the
 * specification says, or else what Linux's own target does.
 *
 *   SQE   40 RECFMT · 42 QID · 44 SQSIZE · 46 CATTR · 48 KATO
 *   data   0 HOSTID · 16 CNTLID · 256 SUBNQN · 512 HOSTNQN
 *   DW0   15:0 IPO · 16 IATTR (1 = the offset is in the data)
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  connect, connectData, flush, getFeatures, identify, keepAlive, propertyGet, read, setFeatures,
} from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { HostQueue } from '../host-queue.ts'
import {
  connectQueue, enable, getProperty, openAdmin, openSession, someHost, tryConnect,
  type ConnectWish,
} from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'

const PRIVATE_NQN = 'nqn.2026-01.example:private'
const LISTED_HOST = 'nqn.2026-01.example:listed'
const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'
const MQES_OFFSET = 0

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({
    subsystems: [
      { nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, memory: '64M' }] },
      { nqn: PRIVATE_NQN, hosts: [LISTED_HOST], namespaces: [{ nsid: 1, memory: '8M' }] },
    ],
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

/** Status of one Connect on a fresh connection, and where it says the fault is. */
async function connectStatus(wish: Partial<ConnectWish>): Promise<[string, string]> {
  const wire = await Wire.initialized(daemon.endpoint, wish)
  const { completion } = await tryConnect(wire, { subnqn: NQN, ...wish })
  const where = completion.dw0 & 0x10000 ? 'data' : 'SQE'
  return [completion.status, `${where} ${completion.dw0 & 0xffff}`]
}

const enabled = () => openSession(daemon.endpoint, { subnqn: NQN }, 0)

test('CON-01: CNTLID', async () => {
  const { cntlid } = (await openAdmin(daemon.endpoint, { subnqn: NQN })).admin
  expect(cntlid).toBeGreaterThanOrEqual(1)
  expect(cntlid).toBeLessThanOrEqual(0xffef)
})

test('CON-01: no authentication is asked for', async () => {
  const wire = await Wire.initialized(daemon.endpoint)
  const { completion } = await tryConnect(wire, { subnqn: NQN })
  expect(completion.dw0 >>> 16).toBe(0)
})

test.each([16, 512, 1020])('CON-02: %i bytes of data', async (bytes) => {
  const data = connectData({ ...someHost(), subnqn: NQN }).subarray(0, bytes)
  expect((await connectStatus({ data }))[0]).toBe('0/0Fh')
})

test.each([1, 0xffff])('CON-03: RECFMT %i', async (recfmt) => {
  expect((await connectStatus({ recfmt }))[0]).toBe('1/80h')
})

test.each([
  'nqn.2026-01.example:nobody',
  `${NQN}x`,
  NQN.slice(0, -1),
  NQN.toUpperCase(),
])('CON-04: SUBNQN %s', async (subnqn) => {
  expect(await connectStatus({ subnqn })).toEqual(['1/82h', 'data 256'])
})

describe('a subsystem with an allow-list', () => {
  test('CON-05: a host that is not on it', async () => {
    expect((await connectStatus({ subnqn: PRIVATE_NQN }))[0]).toBe('1/84h')
  })

  test('CON-05: a host whose name begins like one on it', async () => {
    const identity = { ...someHost(), hostnqn: `${LISTED_HOST}2` }
    expect((await connectStatus({ subnqn: PRIVATE_NQN, identity }))[0]).toBe('1/84h')
  })

  test('ACC-01: a host that is on it, which is refused nowhere else', async () => {
    const identity = { ...someHost(), hostnqn: LISTED_HOST }
    const mine = await openSession(daemon.endpoint, { subnqn: PRIVATE_NQN, identity })
    await mine.queue(1).must(read(1, 0, 1), { receive: 512 })
    await openSession(daemon.endpoint, { subnqn: NQN, identity })
  })

  test('ACC-01: the I/O queue of another host does not slip in', async () => {
    const identity = { ...someHost(), hostnqn: LISTED_HOST }
    const mine = await openSession(daemon.endpoint, { subnqn: PRIVATE_NQN, identity }, 0)
    const wish = mine.ioWish(1, { identity: someHost() })
    expect((await connectStatus(wish))[0]).toMatch(/^1\/8[24]h$/)
  })
})

describe('SQSIZE', () => {
  test('CON-06: 0 on the admin queue', async () => {
    expect(await connectStatus({ sqsize: 0 })).toEqual(['1/82h', 'SQE 44'])
  })

  test('CON-06: 0 and MQES + 1 on an I/O queue; MQES itself is taken', async () => {
    const session = await enabled()
    const { dw0 } = await session.admin.must(propertyGet(MQES_OFFSET, 8))
    const mqes = dw0 & 0xffff
    expect(await connectStatus(session.ioWish(1, { sqsize: 0 }))).toEqual(['1/82h', 'SQE 44'])
    const beyond = await connectStatus(session.ioWish(1, { sqsize: mqes + 1 }))
    expect(beyond).toEqual(['1/82h', 'SQE 44'])
    expect((await connectStatus(session.ioWish(1, { sqsize: mqes })))[0]).toBe('0/00h')
  })
})

test.each([0, 1, 0xfffe])('CON-07: CNTLID %i on the admin queue', async (cntlid) => {
  expect(await connectStatus({ cntlid })).toEqual(['1/82h', 'data 16'])
})

describe('I/O queues', () => {
  test.each([0, 0xffef, 0xffff])('CON-08: CNTLID %i that nobody has', async (cntlid) => {
    const session = await enabled()
    expect(await connectStatus(session.ioWish(1, { cntlid }))).toEqual(['1/82h', 'data 16'])
  })

  test('CON-08: the CNTLID of an association that has gone', async () => {
    const session = await enabled()
    const other = await enabled()
    await session.end()
    const gone = session.ioWish(1)
    await expect.poll(() => connectStatus(gone)).toEqual(['1/82h', 'data 16'])
    await other.connectIo(1)
  })

  test('CON-09: another HOSTNQN', async () => {
    const session = await enabled()
    const identity = { ...session.wish.identity, hostnqn: someHost().hostnqn }
    const [status, where] = await connectStatus(session.ioWish(1, { identity }))
    expect(status).toBe('1/82h')
    expect(['data 16', 'data 512']).toContain(where)
  })

  test('CON-10: another HOSTID', async () => {
    const session = await enabled()
    const identity = { ...session.wish.identity, hostid: someHost().hostid }
    const [status, where] = await connectStatus(session.ioWish(1, { identity }))
    expect(status).toBe('1/82h')
    expect(['data 0', 'data 16']).toContain(where)
  })

  test('CON-11: before CC.EN', async () => {
    const session = await openAdmin(daemon.endpoint, { subnqn: NQN })
    expect(await connectStatus(session.ioWish(1))).toEqual(['1/82h', 'SQE 42'])
    await enable(session.admin)
    await session.connectIo(1)
  })

  test('CON-12: on a discovery controller', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: DISCOVERY_NQN }, 0)
    expect(await connectStatus(session.ioWish(1))).toEqual(['1/82h', 'SQE 42'])
  })

  test('CON-13: beyond what was granted', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    expect(await connectStatus(session.ioWish(3))).toEqual(['1/82h', 'SQE 42'])
    expect(await connectStatus(session.ioWish(0xffff))).toEqual(['1/82h', 'SQE 42'])
  })

  test('CON-14: a QID that is taken', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 1)
    expect((await connectStatus(session.ioWish(1)))[0]).toBe('0/0Ch')
    await session.queue(1).must(read(1, 0, 1), { receive: 512 })
  })

  test('CON-21: another SUBNQN', async () => {
    const session = await enabled()
    const identity = { ...session.wish.identity, hostnqn: LISTED_HOST }
    const [status, where] = await connectStatus(session.ioWish(1, { subnqn: PRIVATE_NQN }))
    expect(status).toMatch(/^1\/8[24]h$/)
    if (status === '1/82h') expect(['data 16', 'data 256']).toContain(where)
    const listed = await connectStatus(session.ioWish(1, { subnqn: PRIVATE_NQN, identity }))
    expect(listed[0]).toBe('1/82h')
  })

  test('CON-22: a QID is free when its connection has gone', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    await session.queue(2).wire.destroy()
    const wish = session.ioWish(2)
    await expect.poll(async () => (await connectStatus(wish))[0]).toBe('0/00h')
    await session.queue(1).must(read(1, 0, 1), { receive: 512 })
  })

  test('ACC-02: they go when the admin connection goes', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    await session.admin.wire.destroy()
    await session.queue(1).wire.closed()
    await session.queue(2).wire.closed()
  })

  test('ACC-02: the association lives when an I/O connection goes', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    session.queue(1).wire.reset()
    await session.admin.must(keepAlive())
    await session.queue(2).must(read(1, 0, 1), { receive: 512 })
  })
})

describe('order', () => {
  test.each([0, 1])('CON-15: a second Connect on queue %i', async (qid) => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const queue = qid === 0 ? session.admin : session.queue(1)
    const wish = qid === 0 ? session.wish : session.ioWish(1)
    const cntlid = wish.cntlid ?? 0xffff
    const data = connectData({ ...session.wish.identity, subnqn: NQN, cntlid })
    const done = await queue.submit(connect({ qid, sqsize: 31 }), { send: data })
    expect(done.status).toBe('0/0Ch')
    if (qid === 0) await queue.must(keepAlive())
    else await queue.must(flush(1))
  })

  test.each([
    ['Property Get', propertyGet(0, 8), 0],
    ['Identify', identify(1), 4096],
    ['Read', read(1, 0, 1), 512],
    ['Keep Alive', keepAlive(), 0],
  ])('CON-16: %s before Connect', async (_name, command, receive) => {
    const wire = await Wire.initialized(daemon.endpoint)
    const queue = new HostQueue(wire, 0)
    const done = await queue.submit(command, receive ? { receive } : {})
    expect(done.status).toBe('0/0Ch')
    const { completion } = await tryConnect(wire, { subnqn: NQN })
    expect(completion.status).toBe('0/00h')
  })

  test('CON-20: a refused Connect, then a good one on the same connection', async () => {
    const wire = await Wire.initialized(daemon.endpoint)
    const refused = await tryConnect(wire, { subnqn: 'nqn.2026-01.example:nobody' })
    expect(refused.completion.status).toBe('1/82h')
    const { queue, completion } = await tryConnect(wire, { subnqn: NQN })
    expect(completion.status).toBe('0/00h')
    await enable(queue)
  })
})

describe('NQNs', () => {
  const withNqn = (at: number, fill: (data: Buffer) => void) => {
    const data = connectData({ ...someHost(), subnqn: NQN })
    data.fill(0, at, at + 256)
    fill(data)
    return connectStatus({ data })
  }

  test.each([256, 512])('CON-17: not terminated, at %i', async (at) => {
    const answer = await withNqn(at, (data) => data.fill(0x61, at, at + 256))
    expect(answer).toEqual(['1/82h', `data ${at}`])
  })

  test.each([256, 512])('CON-17: 224 bytes, at %i', async (at) => {
    const answer = await withNqn(at, (data) => data.write('nqn.2026-01.a:'.padEnd(224, 'b'), at))
    expect(answer).toEqual(['1/82h', `data ${at}`])
  })

  test.each([256, 512])('CON-17: empty, at %i', async (at) => {
    expect(await withNqn(at, () => {})).toEqual(['1/82h', `data ${at}`])
  })

  test('CON-17: a HOSTNQN of 223 bytes is taken', async () => {
    const answer = await withNqn(512, (data) => data.write('nqn.2026-01.a:'.padEnd(223, 'b'), 512))
    expect(answer[0]).toBe('0/00h')
  })
})

test('CON-18: thirty-two controllers at once have thirty-two CNTLIDs', async () => {
  const identity = someHost()
  const wish = { subnqn: NQN, identity }
  const queues = await Promise.all(
    Array.from({ length: 32 }, () => connectQueue(daemon.endpoint, wish)))
  expect(new Set(queues.map((queue) => queue.cntlid)).size).toBe(32)
})

test.each([5000, 10_000, 120_000])('CON-19: KATO %i', async (kato) => {
  const { admin } = await openSession(daemon.endpoint, { subnqn: NQN, kato }, 0)
  const { dw0 } = await admin.must(getFeatures(0x0f))
  expect(dw0).toBeGreaterThanOrEqual(kato)
  expect(dw0).toBeLessThan(kato + 1000)
})

test('CON-13: queues up to the number granted all work', async () => {
  const session = await enabled()
  const { dw0 } = await session.admin.must(setFeatures(0x07, 3 + 3 * 0x10000))
  const granted = (dw0 & 0xffff) + 1
  for (let qid = 1; qid <= granted; qid += 1) await session.connectIo(qid)
  for (const queue of session.io) await queue.must(read(1, 0, 1), { receive: 512 })
  expect(await getProperty(session.admin, 0x1c)).toBe(1)
})
