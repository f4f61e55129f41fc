/**
 * Controllers that there are for good, and the ranges that controllers are numbered in.
 * NVMe over Fabrics 1.1, controller model; Connect, CNTLID at byte 16 of the data.
 *
 *   FFFFh any, made for this Connect · FFFEh any of those there are · else the one of that number
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { getLogPage, identify, read } from '../command-bytes.ts'
import { startDaemon, configuration, type Daemon } from '../daemon.ts'
import { openAdmin, openSession, tryConnect } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'

const STATIC = 'nqn.2026-01.example:static'
const NARROW = 'nqn.2026-01.example:narrow'
const DISCOVERY = 'nqn.2014-08.org.nvmexpress.discovery'
const ANY_STATIC = 0xfffe
const FCATT = 1802

let daemon: Daemon

beforeAll(async () => {
  const namespaces = (): { nsid: number; memory: string }[] => [{ nsid: 1, memory: '1M' }]
  daemon = await startDaemon(configuration({
    subsystems: [
      { nqn: STATIC, controllers: 'static', minCntlid: 11, maxCntlid: 13, namespaces: namespaces() },
      { nqn: NARROW, minCntlid: 10, maxCntlid: 14, namespaces: namespaces() },
    ],
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

/** The status, where it says the fault is, and the CNTLID given. */
async function connect(subnqn: string, cntlid: number): Promise<[string, number]> {
  const wire = await Wire.initialized(daemon.endpoint)
  const { completion } = await tryConnect(wire, { subnqn, cntlid })
  return [completion.status, completion.dw0]
}

test('CON-23: the controller that is named', async () => {
  const session = await openSession(daemon.endpoint, { subnqn: STATIC, cntlid: 12 })
  expect(session.admin.cntlid).toBe(12)
  const { data } = await session.admin.must(identify(1), { receive: 4096 })
  expect(data.readUInt16LE(78)).toBe(12)
  expect((data[FCATT] ?? 0) & 1).toBe(1)
  await session.queue(1).must(read(1, 0, 8), { receive: 4096 })
})

test('CON-23: FFFEh takes one that is free; a number comes back with its last queue', async () => {
  await openAdmin(daemon.endpoint, { subnqn: STATIC, cntlid: 12 })
  const others = [await connect(STATIC, ANY_STATIC), await connect(STATIC, ANY_STATIC)]
  expect(others.map(([status, cntlid]) => `${status} ${cntlid}`).sort()).toEqual(['0/00h 11', '0/00h 13'])
  await closeWires()
  await expect.poll(async () => (await connect(STATIC, 12))[0]).toBe('0/00h')
})

test('CON-24: one that has another association, also where all have', async () => {
  for (const cntlid of [11, 12, 13]) {
    await expect.poll(async () => (await connect(STATIC, cntlid))[0]).toMatch(/^0\/00h$/)
  }
  expect(await connect(STATIC, 11)).toEqual(['1/81h', 0])
  expect(await connect(STATIC, ANY_STATIC)).toEqual(['1/81h', 0])
})

test.each([0, 10, 14, 0xfff0, 0xffff])('CON-24: CNTLID %i is none of them', async (cntlid) => {
  expect(await connect(STATIC, cntlid)).toEqual(['1/82h', 0x10010])
})

test('CON-25: a range that others have numbers of', async () => {
  const given = [await connect(NARROW, 0xffff), await connect(NARROW, 0xffff)]
  expect(given.map(([status, cntlid]) => `${status} ${cntlid}`).sort()).toEqual(['0/00h 10', '0/00h 14'])
  expect(await connect(NARROW, 0xffff)).toEqual(['1/81h', 0])
})

test('CON-26: what discovery says', async () => {
  const { admin } = await openSession(daemon.endpoint, { subnqn: DISCOVERY })
  const { data } = await admin.must(getLogPage(0x70, 1024), { receive: 4096 })
  const entries = [1, 2, 3].map((entry) => data.subarray(1024 * entry, 1024 * (entry + 1)))
  const listed = entries.map((entry) =>
    [entry.toString('latin1', 256, 512).replace(/\0+$/, ''), entry.readUInt16LE(6)])
  expect(listed).toEqual([[DISCOVERY, 0xffff], [STATIC, 0xfffe], [NARROW, 0xffff]])
})
