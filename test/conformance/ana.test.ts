/**
 * Asymmetric namespace access: groups, states per listener, the log, its counts and events, and what
 * is refused. NVMe Base 2.0, 8.1 and log page 0Ch.
 *
 *   listener A ─ controller a ─┐  group 1: namespaces 1, 3        states are moved while hosts are
 *   listener B ─ controller b ─┴─ group 7: namespace 2            connected, on two reactors
 *
 * The target runs in this process, since states are moved by a call.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { readConfig, surroundings } from '../../src/config/read.ts'
import type { Log } from '../../src/control/log.ts'
import type { AnaName } from '../../src/subsystem/ana.ts'
import { startTarget, type Target } from '../../src/target.ts'
import {
  asyncEventRequest, flush, getFeatures, getLogPage, identify, read, setFeatures, write,
} from '../command-bytes.ts'
import { NQN, removeDirectory, temporaryDirectory } from '../daemon.ts'
import type { Completion, HostQueue } from '../host-queue.ts'
import { openSession, tryConnect, type Session } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'
import { R2T, h2cData, r2tOf } from '../wire-bytes.ts'

const SILENT = new Proxy({}, { get: () => () => {} }) as Log
const ANA_EVENT = 0x0c0302
/** Bit 11 of OAES, and of feature 0Bh. */
const ANA_NOTICES = 1 << 11
const ANYWHERE = { address: '127.0.0.1', port: 0 }

const folder = temporaryDirectory()
let target: Target

beforeAll(async () => {
  const input = {
    reactors: 2, state: folder, discovery: false,
    listeners: [ANYWHERE, { ...ANYWHERE, address: '127.0.0.2', ana: { 7: 'non-optimized' } }],
    subsystems: [{
      nqn: NQN,
      namespaces: [
        { nsid: 1, memory: '1M' }, { nsid: 2, memory: '1M', anaGroup: 7 }, { nsid: 3, memory: '1M' },
      ],
    }],
  }
  target = await startTarget(readConfig(input, 'test', surroundings(folder)), SILENT)
})
afterAll(async () => {
  await target.stop()
  removeDirectory(folder)
})
afterEach(async () => {
  await closeWires()
  await move(0, 'optimized')
  await move(1, 'optimized', 1)
  await move(1, 'non-optimized', 7)
})

/** Of a group, or of all. */
const move = (listener: number, state: AnaName, group?: number): Promise<void> => target.setAnaState({
  listener: target.listeners[listener]!, state, ...(group === undefined ? {} : { group }),
})
const open = (listener: number, queues = 1): Promise<Session> =>
  openSession(target.listeners[listener]!, { subnqn: NQN }, queues)

type Group = { group: number; state: number; count: number; nsids: number[] }

/** Log 0Ch, decoded at the offsets of the specification. */
async function log(admin: HostQueue, lsp = 0, rae = false): Promise<{ count: number; groups: Group[] }> {
  const { data } = await admin.must(getLogPage(0x0c, 256, 0, { lsp, rae }), { receive: 1024 })
  const groups: Group[] = []
  let at = 16
  for (let left = data.readUInt16LE(8); left > 0; left -= 1) {
    const nsids = Array.from({ length: data.readUInt32LE(at + 4) }, (_, index) =>
      data.readUInt32LE(at + 32 + 4 * index))
    groups.push({
      group: data.readUInt32LE(at), state: data.readUInt8(at + 16),
      count: Number(data.readBigUInt64LE(at + 8)), nsids,
    })
    at += 32 + 4 * nsids.length
  }
  expect(data.subarray(at).every((byte) => byte === 0)).toBe(true)
  return { count: Number(data.readBigUInt64LE(0)), groups }
}

test('ANA-01: what Identify says', async () => {
  const { admin } = await open(0)
  const { data } = await admin.must(identify(1), { receive: 4096 })
  expect((data[76] ?? 0) & 0x0b, 'CMIC').toBe(0x0b)
  expect(data.readUInt32LE(92) & ANA_NOTICES, 'OAES').toBe(ANA_NOTICES)
  expect(data[342], 'ANATT').toBeGreaterThan(0)
  expect((data[343] ?? 0) & 0x1f, 'ANACAP').toBe(0x1f)
  expect(data.readUInt32LE(344), 'ANAGRPMAX').toBeGreaterThanOrEqual(7)
  expect(data.readUInt32LE(348), 'NANAGRPID').toBeLessThanOrEqual(data.readUInt32LE(344))
  const [nn, mnan] = [data.readUInt32LE(516), data.readUInt32LE(540)]
  expect([mnan > 0, mnan <= nn]).toEqual([true, true])
})

test('ANA-02: namespaces are shared, and have their groups', async () => {
  for (const listener of [0, 1]) {
    const { admin } = await open(listener)
    const seen: number[][] = []
    for (const nsid of [1, 2, 3]) {
      const { data } = await admin.must(identify(0, nsid), { receive: 4096 })
      const independent = (await admin.must(identify(8, nsid), { receive: 4096 })).data
      expect(independent.readUInt32LE(4)).toBe(data.readUInt32LE(92))
      seen.push([data.readUInt32LE(92), (data[30] ?? 0) & 1])
    }
    expect(seen).toEqual([[1, 1], [7, 1], [1, 1]])
  }
})

test('ANA-03: each controller reads the states of its listener', async () => {
  const [here, there] = [await open(0), await open(1)]
  expect((await log(here.admin)).groups).toMatchObject([
    { group: 1, state: 1, nsids: [1, 3] }, { group: 7, state: 1, nsids: [2] },
  ])
  expect((await log(there.admin)).groups).toMatchObject([
    { group: 1, state: 1, nsids: [1, 3] }, { group: 7, state: 2, nsids: [2] },
  ])
})

test('ANA-03: read in pieces, as long as it can become', async () => {
  const { admin } = await open(0)
  const { data } = await admin.must(identify(1), { receive: 4096 })
  const bytes = 16 + data.readUInt32LE(348) * 32 + data.readUInt32LE(540) * 4
  const whole = (await admin.must(getLogPage(0x0c, bytes / 4), { receive: bytes })).data
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes; at += 4096) {
    const piece = Math.min(4096, bytes - at)
    pieces.push((await admin.must(getLogPage(0x0c, piece / 4, at), { receive: piece })).data)
  }
  expect(Buffer.concat(pieces).equals(whole)).toBe(true)
  expect((await admin.submit(getLogPage(0x0c, 1, bytes + 4), { receive: 4 })).status).toBe('0/02h')
})

test('ANA-04: groups only', async () => {
  const { admin } = await open(0)
  expect((await log(admin, 1)).groups).toMatchObject([
    { group: 1, state: 1, nsids: [] }, { group: 7, state: 1, nsids: [] },
  ])
})

test('ANA-05: change counts', async () => {
  const [here, there] = [await open(0), await open(1)]
  const before = [await log(here.admin), await log(there.admin)]
  await move(0, 'inaccessible', 7)
  const after = await log(here.admin)
  expect(after.count).toBeGreaterThan(before[0]!.count)
  expect(after.groups[0]).toEqual(before[0]!.groups[0])
  expect(after.groups[1]!.count).toBeGreaterThan(before[0]!.groups[1]!.count)
  expect(await log(there.admin), 'the log of the other listener').toEqual(before[1])
  await move(0, 'inaccessible', 7)
  expect(await log(here.admin), 'a state that it had').toEqual(after)
  await move(0, 'change', 7)
  expect((await log(here.admin)).count).toBeGreaterThan(after.count)
})

describe('states', () => {
  const io = (queue: HostQueue, nsid: number): Promise<Completion>[] => [
    queue.submit(read(nsid, 0, 1), { receive: 512 }),
    queue.submit(write(nsid, 0, 1), { send: Buffer.alloc(512, nsid) }),
    queue.submit(flush(nsid)),
  ]

  test.each<[AnaName, number, string]>([
    ['optimized', 1, '0/00h'], ['non-optimized', 2, '0/00h'], ['inaccessible', 3, '3/02h'],
    ['persistent-loss', 4, '3/01h'], ['change', 15, '3/03h'],
  ])('ANA-06: %s', async (state, code, status) => {
    const [here, there] = [await open(0, 2), await open(1)]
    await move(0, state, 7)
    expect((await log(here.admin)).groups[1]!.state).toBe(code)
    for (const queue of here.io) {
      for (const answer of await Promise.all(io(queue, 2))) expect([answer.status, answer.dnr]).toEqual([status, false])
      for (const answer of await Promise.all(io(queue, 1))) expect(answer.status).toBe('0/00h')
    }
    for (const answer of await Promise.all(io(there.queue(1), 2))) expect(answer.status).toBe('0/00h')
  })

  test.each<[AnaName, string, string]>([
    ['non-optimized', '0/00h', '0/00h'], ['inaccessible', '3/02h', '0/00h'],
    ['persistent-loss', '3/01h', '3/01h'], ['change', '3/03h', '0/00h'],
  ])('ANA-07: admin commands, %s', async (state, ofNamespace, ofController) => {
    const { admin } = await open(0)
    await move(0, state, 7)
    const about = (sqe: Buffer, nsid: number): Buffer => {
      sqe.writeUInt32LE(nsid, 4)
      return sqe
    }
    const get = await admin.submit(about(getFeatures(0x0a), 2))
    expect(get.status).toBe(ofNamespace === '0/00h' ? get.status : ofNamespace)
    expect(get.status.startsWith('3/')).toBe(ofNamespace !== '0/00h')
    const set = await admin.submit(about(setFeatures(0x06, 1), 2))
    expect(set.status.startsWith('3/')).toBe(ofController !== '0/00h')
    expect((await admin.submit(about(getFeatures(0x0a), 1))).status).not.toMatch(/^3/)
    await admin.must(setFeatures(0x06, 1))
    await admin.must(identify(0, 2), { receive: 4096 })
    await admin.must(getLogPage(0x02, 128), { receive: 512 })
  })

  test.each<[AnaName, boolean]>([['optimized', true], ['inaccessible', false], ['persistent-loss', false]])(
    'ANA-08: NUSE, %s', async (state, told) => {
      const { admin } = await open(0)
      await move(0, state, 7)
      const use = async (nsid: number): Promise<bigint> =>
        (await admin.must(identify(0, nsid), { receive: 4096 })).data.readBigUInt64LE(16)
      expect([await use(1) > 0n, await use(2) > 0n]).toEqual([true, told])
    },
  )

  test('ANA-12: Flush of all namespaces', async () => {
    const [here, there] = [await open(0), await open(1)]
    await move(0, 'inaccessible', 7)
    expect((await here.queue(1).submit(flush(0xffffffff))).status).toBe('3/02h')
    expect((await there.queue(1).submit(flush(0xffffffff))).status).toBe('0/00h')
  })
})

test('ANA-09: the event, once until the log is read, to those that it concerns', async () => {
  const [here, there] = [await open(0), await open(1)]
  for (const { admin } of [here, there]) await admin.must(setFeatures(0x0b, ANA_NOTICES))
  void there.admin.submit(asyncEventRequest(), { held: true })
  const first = here.admin.submit(asyncEventRequest(), { held: true })
  await move(0, 'change', 7)
  const told = await first
  expect([told.status, told.dw0]).toEqual(['0/00h', ANA_EVENT])
  const next = here.admin.submit(asyncEventRequest(), { held: true })
  await move(0, 'inaccessible', 7)
  await here.admin.must(identify(1), { receive: 4096 })
  expect(here.admin.outstanding.size, 'nothing before the log was read').toBe(1)
  await log(here.admin, 0, true)
  await move(0, 'change', 7)
  await here.admin.must(identify(1), { receive: 4096 })
  expect(here.admin.outstanding.size, 'nothing after it was read with RAE').toBe(1)
  await log(here.admin)
  await move(0, 'optimized', 7)
  expect((await next).dw0).toBe(ANA_EVENT)
  await there.admin.must(identify(1), { receive: 4096 })
  expect(there.admin.outstanding.size, 'its own listener has not changed').toBe(1)
})

test('ANA-10: a write that has begun', async () => {
  const [here, there] = [await open(0, 0), await open(1)]
  const wire = await Wire.initialized(target.listeners[0]!)
  const { queue } = await tryConnect(wire, here.ioWish(1))
  const cid = queue.takeCid()
  const data = Buffer.alloc(4096, 0x77)
  await wire.send(queue.capsule(write(2, 8, 8), { send: data, inCapsule: false }, cid))
  const r2t = await wire.next()
  expect(r2t.type).toBe(R2T)
  await move(0, 'inaccessible', 7)
  const done = queue.expectAnswer(cid, { send: data })
  const { ttag } = r2tOf(r2t)
  await wire.send(h2cData({ cccid: cid, ttag, datao: 0, data, last: true }, wire.digests))
  expect((await done).status).toBe('0/00h')
  const { data: found } = await there.queue(1).must(read(2, 8, 8), { receive: 4096 })
  expect(found.equals(data)).toBe(true)
})

test('ANA-11: the queues of a controller come by one listener', async () => {
  const session = await open(0, 2)
  const wish = session.ioWish(1)
  await session.queue(1).wire.destroy()
  const wire = await Wire.initialized(target.listeners[1]!)
  const { completion } = await tryConnect(wire, wish)
  expect([completion.status, completion.dw0]).toEqual(['1/82h', 42])
  const connected = async (): Promise<string> =>
    (await tryConnect(await Wire.initialized(target.listeners[0]!), wish)).completion.status
  await expect.poll(connected, { message: 'by the listener of its admin queue' }).toBe('0/00h')
})
