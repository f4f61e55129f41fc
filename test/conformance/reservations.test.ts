/**
 * Reservations: Register, Report, Acquire, Release, and what they forbid to whom.
 * NVMe Base 2.0, Reservations; Command Behavior in the Presence of a Reservation.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  compare, copy, copyRanges, datasetManagement, flush, identify, rangeList, read, verify, write, writeZeroes,
} from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { closeWires } from '../host.ts'
import {
  ACQUIRE, CPTPL_CLEAR, CPTPL_SET, IEKEY, REGISTER, RELEASE, ReservingHost, keys, resvAcquire, resvRegister,
  resvRelease, resvReport,
} from '../reservation-bytes.ts'

const OK = '0/00h'
const INVALID_FIELD = '0/02h'
const CONFLICT = '0/83h'
const LENGTH = '0/0Fh'
const TYPES = [1, 2, 3, 4, 5, 6]
const KEY_A = 0x1122334455667788n
const KEY_B = 0xb0b0n

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({
    reactors: 2,
    subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, memory: '64M' }, { nsid: 2, memory: '8M' }] }],
  }))
})
afterAll(() => daemon.stop())
afterEach(async () => {
  const last = await ReservingHost.open(daemon.endpoint, 0xeeeen)
  await last.wipe()
  last.nsid = 2
  await last.wipe()
  await closeWires()
})

const host = (key: bigint, identity?: ReservingHost['identity'], queues = 1): Promise<ReservingHost> =>
  ReservingHost.open(daemon.endpoint, key, identity, queues)

/** A and B registered, X not; A has acquired, type 0: nobody has. */
async function cast(type: number): Promise<{ a: ReservingHost; b: ReservingHost; x: ReservingHost }> {
  const [a, b, x] = [await host(KEY_A), await host(KEY_B), await host(0x9999n)]
  expect([await a.register(), await b.register()]).toEqual([OK, OK])
  if (type !== 0) expect(await a.acquire(type)).toBe(OK)
  return { a, b, x }
}

test('RES-01: what Identify announces', async () => {
  const { session } = await host(KEY_A)
  const controller = (await session.admin.must(identify(1), { receive: 4096 })).data
  expect(controller.readUInt16LE(520) & 0x20, 'ONCS').toBe(0x20)
  const namespace = (await session.admin.must(identify(0, 1), { receive: 4096 })).data
  expect(namespace.readUInt8(30) & 1, 'NMIC: shared').toBe(1)
  expect(namespace.readUInt8(31), 'RESCAP').toBe(0xff)
  expect((await session.admin.must(identify(8, 1), { receive: 4096 })).data.readUInt8(2)).toBe(0xff)
})

describe('registering', () => {
  test('RES-02: once, again, and with another key', async () => {
    const a = await host(KEY_A)
    expect(await a.register(0, 0n)).toBe(INVALID_FIELD)
    expect(await a.register()).toBe(OK)
    expect(await a.register()).toBe(OK)
    expect(await a.register(0, 7n)).toBe(CONFLICT)
    expect((await a.report()).registrants.map(({ key }) => key)).toEqual([KEY_A])
  })

  test('RES-03: replacing and unregistering', async () => {
    const { a, b, x } = await cast(0)
    expect(await a.register(REGISTER.replace, 7n, 8n)).toBe(CONFLICT)
    expect(await a.register(REGISTER.replace, 7n, KEY_A)).toBe(OK)
    expect(await b.register(REGISTER.replace | IEKEY, 8n, 99n)).toBe(OK)
    expect(await x.register(REGISTER.replace, 9n)).toBe(CONFLICT)
    expect((await a.report()).registrants.map(({ key }) => key)).toEqual([7n, 8n])
    expect(await a.register(REGISTER.unregister, 0n, KEY_A)).toBe(CONFLICT)
    expect(await a.register(REGISTER.unregister, 0n, 7n)).toBe(OK)
    expect(await b.register(REGISTER.unregister | IEKEY, 0n, 0n)).toBe(OK)
    expect(await x.register(REGISTER.unregister | IEKEY, 0n, 0n)).toBe(CONFLICT)
    expect((await a.report()).registrants).toEqual([])
  })

  test('RES-04: actions and changes of persistence that do not exist', async () => {
    const a = await host(KEY_A)
    for (const action of [3, 7]) expect(await a.register(action)).toBe(INVALID_FIELD)
    expect(await a.register(0x40000000)).toBe(INVALID_FIELD)
    expect((await a.report()).registrants).toEqual([])
  })

  test('RES-22: 64 registrants and more', async () => {
    const a = await host(1n)
    expect(await a.register()).toBe(OK)
    let room = 1
    for (let status = OK; status === OK;) {
      const next = await host(BigInt(room + 1))
      status = await next.register()
      if (status === OK) room += 1
      else expect(status).toBe('0/06h')
      await next.session.end()
    }
    expect(room).toBeGreaterThanOrEqual(64)
    const { registrants } = await a.report()
    expect(registrants.map(({ key }) => key)).toEqual(Array.from({ length: room }, (_, index) => BigInt(index + 1)))
    expect(await a.release(0, RELEASE.clear)).toBe(OK)
  })
})

describe('the report', () => {
  test('RES-05: byte by byte', async () => {
    const { a, b, x } = await cast(3)
    await b.session.end()
    const { generation } = await x.report()
    const { data } = await x.reportBytes(64 + 3 * 64)
    const gen = Buffer.alloc(4)
    gen.writeUInt32LE(generation)
    const cntlid = Buffer.alloc(2)
    cntlid.writeUInt16LE(a.session.admin.cntlid)
    const before = [
      gen.toString('hex'), '03', '0200', '0000', '00', '00'.repeat(54),
      cntlid.toString('hex'), '01', '00'.repeat(5), '8877665544332211', a.hostid, '00'.repeat(32),
    ].join('')
    expect(data.toString('hex', 0, 128)).toBe(before)
    expect(data.toString('hex', 128 + 2)).toBe([
      '00', '00'.repeat(5), 'b0b0000000000000', b.hostid, '00'.repeat(32), '00'.repeat(64),
    ].join(''))
  })

  test('RES-05: of the types that all hold, all are holders; PTPLS', async () => {
    const { a, b } = await cast(6)
    expect(await b.register(CPTPL_SET)).toBe(OK)
    const { registrants, persistent } = await a.report()
    expect(registrants.map(({ holds }) => holds)).toEqual([1, 1])
    expect(persistent).toBe(1)
    expect(await b.register(CPTPL_CLEAR)).toBe(OK)
    expect((await a.report()).persistent).toBe(0)
  })

  test.each([4, 8, 24, 64, 68, 128, 4096])('RES-06: %i bytes of it', async (bytes) => {
    const { a } = await cast(1)
    const whole = (await a.reportBytes(64 * 3)).data
    const { data } = await a.reportBytes(bytes)
    expect(data).toEqual(Buffer.concat([whole, Buffer.alloc(4096)]).subarray(0, bytes))
  })

  test('RES-07: without EDS', async () => {
    const { a } = await cast(1)
    expect((await a.reportBytes(64, 0)).status).toBe('0/18h')
  })

  test('RES-05: the generation counts Register, Clear and Preempt', async () => {
    const { a, b } = await cast(0)
    const { generation } = await a.report()
    await a.acquire(5)
    await a.release(5)
    await a.acquire(1, ACQUIRE.preempt, 12345n)
    expect((await a.report()).generation).toBe(generation)
    await b.register()
    await a.acquire(1, ACQUIRE.preempt, KEY_B)
    await a.release(0, RELEASE.clear)
    expect((await a.report()).generation).toBe(generation + 3)
  })
})

describe('RES-08: lengths', () => {
  test.each<[string, Buffer, number]>([
    ['Register', resvRegister(1, 0), 8], ['Register', resvRegister(1, 0), 32], ['Register', resvRegister(1, 0), 0],
    ['Acquire', resvAcquire(1, 0, 1), 8], ['Release', resvRelease(1, 0, 1), 4], ['Release', resvRelease(1, 0, 1), 24],
  ])('RES-08: %s, %#', async (_name, command, bytes) => {
    const a = await host(KEY_A)
    expect((await a.queue.submit(command, bytes === 0 ? {} : { send: Buffer.alloc(bytes) })).status).toBe(LENGTH)
  })

  test('RES-08: Release with CRKEY alone; keys that do not come in the capsule', async () => {
    const { a } = await cast(2)
    const crkey = keys(KEY_A, 0n).subarray(0, 8)
    expect((await a.queue.submit(resvRelease(1, 0, 2), { send: crkey, inCapsule: false })).status).toBe(OK)
    expect((await a.report()).type).toBe(0)
  })

  test('RES-08: a report of another length than NUMD says', async () => {
    const { a } = await cast(0)
    expect((await a.queue.submit(resvReport(1, 16), { receive: 128 })).status).toBe(LENGTH)
  })
})

describe('acquiring', () => {
  test.each(TYPES)('RES-09: type %i, by whom', async (type) => {
    const { a, b, x } = await cast(0)
    expect(await x.acquire(type)).toBe(CONFLICT)
    expect(await a.acquire(type, 0, 0n, 5n)).toBe(CONFLICT)
    expect(await a.acquire(type)).toBe(OK)
    expect(await a.acquire(type)).toBe(OK)
    expect(await a.acquire(type === 6 ? 1 : type + 1)).toBe(CONFLICT)
    expect(await b.acquire(type)).toBe(type >= 5 ? OK : CONFLICT)
    expect((await x.report()).type).toBe(type)
  })

  test('RES-10: what does not exist', async () => {
    const { a } = await cast(0)
    for (const type of [0, 7, 255]) expect(await a.acquire(type)).toBe(INVALID_FIELD)
    for (const action of [3, 7, IEKEY]) expect(await a.acquire(1, action)).toBe(INVALID_FIELD)
    expect((await a.report()).type).toBe(0)
  })

  test('a namespace that there is not', async () => {
    const a = await host(KEY_A)
    a.nsid = 3
    expect([await a.register(), await a.acquire(1), await a.release(1)]).toEqual(Array(3).fill('0/0Bh'))
    expect((await a.reportBytes(64)).status).toBe('0/0Bh')
  })
})

describe('commands in the presence of a reservation', () => {
  const block = Buffer.alloc(512)
  const READS: Record<string, (queue: HostQueue, nsid: number) => Promise<{ status: string }>> = {
    read: (queue, nsid) => queue.submit(read(nsid, 0, 1), { receive: 512 }),
    compare: (queue, nsid) => queue.submit(compare(nsid, 0, 1), { send: block }),
    verify: (queue, nsid) => queue.submit(verify(nsid, 0, 1)),
  }
  const WRITES: typeof READS = {
    write: (queue, nsid) => queue.submit(write(nsid, 0, 1), { send: block }),
    'write by R2T': (queue, nsid) => queue.submit(write(nsid, 0, 1), { send: block, inCapsule: false }),
    flush: (queue, nsid) => queue.submit(flush(nsid)),
    'write zeroes': (queue, nsid) => queue.submit(writeZeroes(nsid, 0, 1)),
    deallocate: (queue, nsid) => queue.submit(datasetManagement(nsid, 1), { send: rangeList([{ slba: 0, blocks: 1 }]) }),
    copy: (queue, nsid) => queue.submit(copy(nsid, 8, 1), { send: copyRanges([{ slba: 0, blocks: 1 }]) }),
  }
  // The specification's table: reads and writes of the holder, a registrant, a stranger.
  const TABLE: [type: number, holder: string, registrant: string, stranger: string][] = [
    [0, 'rw', 'rw', 'rw'], [1, 'rw', 'r', 'r'], [2, 'rw', '', ''], [3, 'rw', 'rw', 'r'], [4, 'rw', 'rw', ''],
    [5, 'rw', 'rw', 'r'], [6, 'rw', 'rw', ''],
  ]
  test.each(TABLE)('RES-11: type %i: holder %s, registrant %s, stranger %s', async (type, ...permitted) => {
    const { a, b, x } = await cast(type)
    for (const [index, { queue }] of [a, b, x].entries()) {
      for (const [kind, commands] of [['r', READS], ['w', WRITES]] as const) {
        for (const [name, command] of Object.entries(commands)) {
          const expected = permitted[index]!.includes(kind) ? OK : CONFLICT
          expect((await command(queue, 1)).status, `${name} of host ${index}`).toBe(expected)
          expect((await command(queue, 2)).status, `${name} on another namespace`).toBe(OK)
        }
      }
    }
  })

  test('RES-11: released, everybody may do everything', async () => {
    const { a, x } = await cast(2)
    expect(await a.release(2)).toBe(OK)
    for (const command of Object.values({ ...READS, ...WRITES })) expect((await command(x.queue, 1)).status).toBe(OK)
  })

  test('RES-11: a write that was forbidden changed nothing', async () => {
    const { a, x } = await cast(1)
    await a.queue.must(write(1, 64, 8), { send: Buffer.alloc(4096, 0xaa) })
    for (const inCapsule of [true, false]) {
      const send = Buffer.alloc(4096, 0xbb)
      expect((await x.queue.submit(write(1, 64, 8), { send, inCapsule })).status).toBe(CONFLICT)
    }
    expect((await x.queue.submit(writeZeroes(1, 64, 8))).status).toBe(CONFLICT)
    expect((await a.queue.must(read(1, 64, 8), { receive: 4096 })).data).toEqual(Buffer.alloc(4096, 0xaa))
  })

  test('RES-12: a flush of all namespaces', async () => {
    const { a, x } = await cast(1)
    expect((await a.queue.submit(flush(0xffffffff))).status).toBe(OK)
    expect((await x.queue.submit(flush(0xffffffff))).status).toBe(CONFLICT)
    expect((await x.queue.submit(flush(2))).status).toBe(OK)
  })

  test('RES-13: another controller of the same host has its rights', async () => {
    const { a, x } = await cast(2)
    const other = await host(KEY_A, { ...a.identity, hostnqn: 'nqn.2026-01.example:another-name' }, 2)
    for (const queue of other.session.io) expect((await WRITES.write!(queue, 1)).status).toBe(OK)
    expect((await WRITES.write!(x.queue, 1)).status).toBe(CONFLICT)
    expect(await other.release(2)).toBe(OK)
    expect((await WRITES.write!(x.queue, 1)).status).toBe(OK)
  })
})

describe('releasing', () => {
  test.each(TYPES)('RES-17: type %i', async (type) => {
    const { a, b, x } = await cast(type)
    expect(await x.release(type)).toBe(CONFLICT)
    expect(await a.release(type, 0, 5n)).toBe(CONFLICT)
    expect(await a.release(type === 1 ? 2 : 1)).toBe(INVALID_FIELD)
    expect(await b.release(type)).toBe(OK)
    expect((await x.report()).type).toBe(type >= 5 ? 0 : type)
    expect(await a.release(type)).toBe(OK)
    expect((await x.report()).type).toBe(0)
    expect((await x.report()).registrants).toHaveLength(2)
  })

  test('RES-17: clear, by any registrant', async () => {
    const { a, b, x } = await cast(2)
    expect(await x.release(2, RELEASE.clear)).toBe(CONFLICT)
    expect(await b.release(0, RELEASE.clear)).toBe(OK)
    expect(await a.report()).toMatchObject({ type: 0, registrants: [] })
  })

  test('RES-17: actions that do not exist, IEKEY', async () => {
    const { a } = await cast(1)
    for (const action of [2, 7, IEKEY]) expect(await a.release(1, action)).toBe(INVALID_FIELD)
    expect((await a.report()).type).toBe(1)
  })
})

describe('preempting', () => {
  test.each(TYPES.slice(0, 4))('RES-15: type %i, by the key of the holder', async (type) => {
    const { a, b, x } = await cast(type)
    expect(await x.acquire(1, ACQUIRE.preempt, KEY_A)).toBe(CONFLICT)
    expect(await b.acquire(2, ACQUIRE.preempt, 5n)).toBe(CONFLICT)
    expect(await b.acquire(2, ACQUIRE.preempt, 0n)).toBe(INVALID_FIELD)
    expect(await b.acquire(2, ACQUIRE.preempt, KEY_A)).toBe(OK)
    const { type: now, registrants } = await a.report()
    expect([now, registrants.map(({ hostid, holds }) => [hostid, holds])]).toEqual([2, [[b.hostid, 1]]])
    expect((await a.queue.submit(read(1, 0, 1), { receive: 512 })).status).toBe(CONFLICT)
    expect((await b.queue.submit(read(1, 0, 1), { receive: 512 })).status).toBe(OK)
  })

  test.each([5, 6])('RES-15: type %i, all others at once', async (type) => {
    const { a, b, x } = await cast(type)
    expect(await x.register()).toBe(OK)
    expect(await b.acquire(1, ACQUIRE.preempt, 0n)).toBe(OK)
    const { type: now, registrants } = await a.report()
    expect([now, registrants.map(({ hostid }) => hostid)]).toEqual([1, [b.hostid]])
  })

  test('RES-15: without a reservation, registrations alone', async () => {
    const { a, b } = await cast(0)
    expect(await b.acquire(1, ACQUIRE.preempt, KEY_A)).toBe(OK)
    expect((await a.report()).registrants.map(({ hostid }) => hostid)).toEqual([b.hostid])
    expect((await a.report()).type).toBe(0)
  })
})
