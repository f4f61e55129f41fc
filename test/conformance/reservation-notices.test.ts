/**
 * What a reservation tells hosts, and what they choose: the notification log (80h), its mask (82h), the persistence
 * (83h), Preempt and Abort.   NVMe Base 2.0, Reservation Notification log; Reservations; features 82h and 83h.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  asyncEventRequest, getLogPage, read, sqe, write, writeZeroes,
} from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { closeWires } from '../host.ts'
import {
  ACQUIRE, CPTPL_SET, REGISTER, RELEASE, ReservingHost, keys, reportOf, resvAcquire, resvReport,
} from '../reservation-bytes.ts'
import { cqeOf, h2cData, r2tOf } from '../wire-bytes.ts'

const OK = '0/00h'
const CONFLICT = '0/83h'
const KEY_A = 0xa0n
const KEY_B = 0xb0n
/** Type 6, information 0, LID 80h. */
const RESERVATION_EVENT = 0x800006

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
  for (const fid of [0x82, 0x83]) await setFeature(last, fid, 0xffffffff, 0)
  await closeWires()
})

const host = (key: bigint): Promise<ReservingHost> => ReservingHost.open(daemon.endpoint, key, undefined, 2)

async function cast(type: number): Promise<{ a: ReservingHost; b: ReservingHost }> {
  const [a, b] = [await host(KEY_A), await host(KEY_B)]
  expect([await a.register(), await b.register()]).toEqual([OK, OK])
  if (type !== 0) expect(await a.acquire(type)).toBe(OK)
  return { a, b }
}

type Notice = { count: number; type: number; available: number; nsid: number }

/** The oldest one. Notices come by the way by which a feature of a namespace is answered, so that none is late. */
async function notice(at: ReservingHost, rae = false): Promise<Notice> {
  await getFeature(at, 0x82, 1)
  const { data } = await at.session.admin.must(getLogPage(0x80, 16, 0, { rae }), { receive: 64 })
  return {
    count: Number(data.readBigUInt64LE(0)), type: data.readUInt8(8), available: data.readUInt8(9),
    nsid: data.readUInt32LE(12),
  }
}

const NONE: Notice = { count: 0, type: 0, available: 0, nsid: 0 }

function setFeature(at: ReservingHost, fid: number, nsid: number, value: number, save = false) {
  return at.session.admin.submit(sqe(0x09, nsid, [fid + (save ? 0x80000000 : 0), value]))
}

function getFeature(at: ReservingHost, fid: number, nsid: number, select = 0) {
  return at.session.admin.submit(sqe(0x0a, nsid, [fid + select * 0x100]))
}

describe('notices', () => {
  test('RES-18: a registration that was preempted, and the event', async () => {
    const { a, b } = await cast(1)
    const event = b.session.admin.submit(asyncEventRequest(), { held: true })
    expect(await notice(b)).toEqual(NONE)
    expect(await a.acquire(1, ACQUIRE.preempt, KEY_B)).toBe(OK)
    expect((await event).dw0).toBe(RESERVATION_EVENT)
    expect(await notice(b, true)).toEqual({ count: 1, type: 1, available: 0, nsid: 1 })
    expect(await notice(b)).toEqual({ count: 1, type: 1, available: 0, nsid: 1 })
    expect(await notice(b)).toEqual(NONE)
    expect(await notice(a)).toEqual(NONE)
  })

  test('RES-18: a reservation that was released, one that was cleared', async () => {
    const { a, b } = await cast(3)
    expect(await a.release(3)).toBe(OK)
    b.nsid = 2
    a.nsid = 2
    expect([await a.register(), await b.register()]).toEqual([OK, OK])
    expect(await a.release(0, RELEASE.clear)).toBe(OK)
    expect(await notice(b)).toEqual({ count: 1, type: 2, available: 1, nsid: 1 })
    expect(await notice(b)).toEqual({ count: 2, type: 3, available: 0, nsid: 2 })
    expect(await notice(a)).toEqual(NONE)
  })

  test('RES-18: an event comes again while there is something to read', async () => {
    const { a, b } = await cast(0)
    for (let round = 0; round < 2; round += 1) {
      await b.register()
      await a.acquire(1, ACQUIRE.preempt, KEY_B)
    }
    for (let round = 0; round < 2; round += 1) {
      const event = await b.session.admin.submit(asyncEventRequest(), { held: true })
      expect(event.dw0).toBe(RESERVATION_EVENT)
      expect((await notice(b)).available).toBe(1 - round)
    }
    const last = b.session.admin.submit(asyncEventRequest(), { held: true })
    await b.session.admin.must(getLogPage(0x80, 16), { receive: 64 })
    expect(b.session.admin.outstanding.size).toBe(1)
    void last
  })

  test('RES-18: reading a part of the log takes nothing out', async () => {
    const { a, b } = await cast(1)
    await a.acquire(1, ACQUIRE.preempt, KEY_B)
    await b.session.admin.must(asyncEventRequest())
    await b.session.admin.must(getLogPage(0x80, 4), { receive: 16 })
    const { data } = await b.session.admin.must(getLogPage(0x80, 14, 8), { receive: 56 })
    expect(data.readUInt8(0), 'the type').toBe(1)
    expect(await notice(b)).toEqual(NONE)
  })

  test('RES-19: more than there is room for', async () => {
    const { a, b } = await cast(0)
    for (let round = 0; round < 70; round += 1) {
      await b.register()
      await a.acquire(1, ACQUIRE.preempt, KEY_B)
    }
    const first = await notice(b, true)
    expect(first).toEqual({ count: 1, type: 1, available: 63, nsid: 1 })
    for (let count = 1; count <= 64; count += 1) expect((await notice(b)).count).toBe(count)
    expect(await notice(b)).toEqual(NONE)
    await b.register()
    await a.acquire(1, ACQUIRE.preempt, KEY_B)
    expect((await notice(b)).count, 'six were lost').toBe(71)
  })
})

describe('the mask, 82h', () => {
  test('RES-20: by namespace and kind', async () => {
    const { a, b } = await cast(1)
    expect((await setFeature(b, 0x82, 1, 0b0010)).status).toBe(OK)
    expect([(await getFeature(a, 0x82, 1)).dw0, (await getFeature(a, 0x82, 2)).dw0]).toEqual([0b0010, 0])
    await a.acquire(1, ACQUIRE.preempt, KEY_B)
    expect(await notice(b)).toEqual(NONE)
    await b.register()
    await a.release(0, RELEASE.clear)
    expect((await notice(b)).type).toBe(3)
  })

  test('RES-20: all namespaces at once; what cannot be', async () => {
    const { a } = await cast(0)
    expect((await setFeature(a, 0x82, 0xffffffff, 0b1110)).status).toBe(OK)
    expect([(await getFeature(a, 0x82, 1)).dw0, (await getFeature(a, 0x82, 2)).dw0]).toEqual([0b1110, 0b1110])
    expect((await setFeature(a, 0x82, 1, 1)).status).toBe('0/02h')
    expect((await setFeature(a, 0x82, 1, 0x10)).status).toBe('0/02h')
    expect((await setFeature(a, 0x82, 3, 0)).status).toBe('0/0Bh')
    expect((await setFeature(a, 0x82, 0, 0)).status).toBe('0/0Bh')
    expect((await setFeature(a, 0x82, 1, 0, true)).status).toBe('1/0Dh')
    expect((await getFeature(a, 0x82, 0xffffffff)).status).toBe('0/02h')
    expect((await getFeature(a, 0x82, 1, 1)).dw0, 'default').toBe(0)
    expect((await getFeature(a, 0x82, 1, 3)).dw0, 'changeable, of a namespace').toBe(0b110)
  })
})

describe('persistence, 83h', () => {
  test('RES-21: is what PTPLS says, whoever sets it', async () => {
    const { a } = await cast(0)
    expect((await getFeature(a, 0x83, 1)).dw0).toBe(0)
    expect(await a.register(CPTPL_SET)).toBe(OK)
    expect((await getFeature(a, 0x83, 1)).dw0).toBe(1)
    expect((await setFeature(a, 0x83, 1, 0)).status).toBe(OK)
    expect((await a.report()).persistent).toBe(0)
    expect((await setFeature(a, 0x83, 0xffffffff, 1)).status).toBe(OK)
    expect([(await getFeature(a, 0x83, 1)).dw0, (await getFeature(a, 0x83, 2)).dw0]).toEqual([1, 1])
    expect((await setFeature(a, 0x83, 1, 2)).status).toBe('0/02h')
    expect((await setFeature(a, 0x83, 9, 1)).status).toBe('0/0Bh')
  })
})

describe('Preempt and Abort', () => {
  /** A write that has announced its data and not sent them; send() sends them and gives its status. */
  async function unfinishedWrite(at: ReservingHost, lba: number, blocks: number, fill: number) {
    const queue = at.session.queue(2)
    const data = Buffer.alloc(512 * blocks, fill)
    const cid = queue.takeCid()
    await queue.wire.send(queue.capsule(write(1, lba, blocks), { send: data, inCapsule: false }, cid))
    const { cccid, ttag } = r2tOf(await queue.wire.next())
    return async (): Promise<string> => {
      await queue.wire.send(h2cData({ cccid, ttag, datao: 0, data, last: true }, queue.wire.digests))
      return cqeOf(await queue.wire.next()).status
    }
  }

  test('RES-16: of hosts that have nothing under way, with everything that Preempt does', async () => {
    const { a, b } = await cast(2)
    expect(await b.acquire(1, ACQUIRE.preemptAndAbort, KEY_A)).toBe(OK)
    expect(await b.report()).toMatchObject({ type: 1, registrants: [{ hostid: b.hostid, holds: 1 }] })
    expect((await notice(a)).type).toBe(1)
    expect((await a.queue.submit(writeZeroes(1, 0, 1))).status).toBe(CONFLICT)
  })

  test('RES-16: a write into memory whose data come is finished before it is answered', async () => {
    const { a, b } = await cast(1)
    const send = await unfinishedWrite(a, 0, 8, 0xaa)
    let answered = false
    const preempting = b.acquire(1, ACQUIRE.preemptAndAbort, KEY_A).then((status) => {
      answered = true
      return status
    })
    await a.queue.submit(read(2, 0, 1), { receive: 512 })
    expect(answered).toBe(false)
    expect(await send()).toBe(OK)
    expect(await preempting).toBe(OK)
    await b.queue.must(write(1, 0, 8), { send: Buffer.alloc(4096, 0xbb) })
    expect((await b.queue.must(read(1, 0, 8), { receive: 4096 })).data).toEqual(Buffer.alloc(4096, 0xbb))
  })

  test('RES-16: a host that does not send the data that it announced loses its connection', async () => {
    const { a, b } = await cast(1)
    await unfinishedWrite(a, 0, 8, 0xaa)
    expect(await b.acquire(1, ACQUIRE.preemptAndAbort, KEY_A)).toBe(OK)
    await a.session.queue(2).wire.closed()
    expect((await a.queue.submit(read(1, 0, 1), { receive: 512 })).status).toBe(OK)
  })

  test('RES-14: a write into memory that was under way is over when an Acquire is answered', async () => {
    const { a, b } = await cast(0)
    const send = await unfinishedWrite(a, 0, 8, 0xaa)
    const acquiring = b.queue.submit(resvAcquire(1, 0, 2), { send: keys(KEY_B, 0n) })
    let answered = false
    void acquiring.then(() => { answered = true })
    // Goes to all reactors and back, as the Acquire does: long enough for an answer that does not wait.
    await daemon.statistics()
    expect(answered, 'before the data of the write have come').toBe(false)
    expect(await send()).toBe(OK)
    expect((await acquiring).status).toBe(OK)
    expect((await a.queue.submit(write(1, 0, 1), { send: Buffer.alloc(512) })).status).toBe(CONFLICT)
    const report = await a.queue.must(resvReport(1, 64), { receive: 256 })
    expect(reportOf(report.data).type).toBe(2)
  })

  test('RES-15: the host that preempts itself has its new key replaced, nothing else', async () => {
    const { a } = await cast(1)
    expect(await a.register(REGISTER.replace, 7n, KEY_A)).toBe(OK)
    a.key = 7n
    expect(await a.acquire(4, ACQUIRE.preemptAndAbort, 7n)).toBe(OK)
    expect((await a.report())).toMatchObject({ type: 4 })
  })
})
