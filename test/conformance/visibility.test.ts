/**
 * Namespaces that are there for some hosts of a subsystem only: to the others they are inactive, in every
 * command and log, and who gains or loses one while connected is told.
 * NVMe Base 2.0, 3.2.1, Namespaces: inactive NSIDs; Asynchronous Event Request.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  asyncEventRequest, flush, format, getFeatures, getLogPage, identify, read, sanitize, setFeatures, write,
} from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon, type DaemonConfig } from '../daemon.ts'
import type { Completion } from '../host-queue.ts'
import { openSession, someHost, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'

const NAMESPACE_ATTRIBUTES = 1 << 8
const NAMESPACE_EVENT = 0x040002
const INVALID_NAMESPACE = '0/0Bh'
const ONE = someHost('one')
const OTHER = someHost('other')

const serving = (hosts?: string[]): DaemonConfig => configuration({
  reactors: 2,
  subsystems: [{
    nqn: NQN, hosts: 'any',
    namespaces: [{ nsid: 1, memory: '16M' }, { nsid: 2, memory: '16M', ...(hosts && { hosts }) }],
  }],
})

let daemon: Daemon
beforeAll(async () => { daemon = await startDaemon(serving()) })
afterAll(() => daemon.stop())
beforeEach(() => daemon.reload(serving([ONE.hostnqn])))
afterEach(closeWires)

const open = (identity: typeof ONE, queues = 2): Promise<Session> =>
  openSession(daemon.endpoint, { subnqn: NQN, identity }, queues)

function numbers(data: Buffer): number[] {
  return Array.from({ length: data.length >> 2 }, (_, k) => data.readUInt32LE(4 * k)).filter((each) => each !== 0)
}

async function listed({ admin }: Session, cns: number, after = 0): Promise<number[]> {
  return numbers((await admin.must(identify(cns, after), { receive: 4096 })).data)
}

async function changed({ admin }: Session): Promise<number[]> {
  return numbers((await admin.must(getLogPage(4, 1024), { receive: 4096 })).data)
}

async function told(at: Session): Promise<{ dw0: number | null }> {
  await at.admin.must(setFeatures(0x0b, NAMESPACE_ATTRIBUTES))
  const seen: { dw0: number | null } = { dw0: null }
  void at.admin.submit(asyncEventRequest(), { held: true }).then(({ dw0 }) => { seen.dw0 = dw0 }, () => {})
  return seen
}

test('VIS-01: to a host that a namespace is not there for, its NSID is inactive', async () => {
  const [one, other] = [await open(ONE), await open(OTHER)]
  expect([await listed(one, 0x02), await listed(other, 0x02)]).toEqual([[1, 2], [1]])
  expect([await listed(one, 0x10), await listed(other, 0x10)]).toEqual([[1, 2], [1]])
  const about = await other.admin.must(identify(0, 2), { receive: 4096 })
  expect(about.data.every((byte) => byte === 0), 'valid, but inactive').toBe(true)
  const statusOf = async (cns: number): Promise<string> =>
    (await other.admin.submit(identify(cns, 2), { receive: 4096 })).status
  expect(await statusOf(0x03)).toBe(INVALID_NAMESPACE)
  for (const command of [getFeatures(0x84), setFeatures(0x84, 1), getFeatures(0x82), setFeatures(0x83, 1)]) {
    command.writeUInt32LE(2, 4)
    expect((await other.admin.submit(command)).status, 'features of the namespace').toBe(INVALID_NAMESPACE)
  }
})

test('VIS-02: I/O commands on it are refused on every queue, and those of others are executed', async () => {
  const [one, other] = [await open(ONE), await open(OTHER)]
  const block = Buffer.alloc(512, 0x77)
  for (const qid of [1, 2]) {
    await one.queue(qid).must(write(2, qid, 1), { send: block })
    const refused: Completion[] = [
      await other.queue(qid).submit(read(2, qid, 1), { receive: 512 }),
      await other.queue(qid).submit(write(2, qid, 1), { send: Buffer.alloc(512) }),
      await other.queue(qid).submit(flush(2)),
    ]
    expect(refused.map(({ status }) => status)).toEqual(Array(3).fill(INVALID_NAMESPACE))
    expect((await one.queue(qid).must(read(2, qid, 1), { receive: 512 })).data.equals(block)).toBe(true)
    await other.queue(qid).must(flush(0xffff_ffff))
  }
})

test('VIS-03: the ANA log has the NSIDs that a host sees', async () => {
  const nsids = async ({ admin }: Session): Promise<number[]> => {
    const { data } = await admin.must(getLogPage(0x0c, 16), { receive: 64 })
    expect(data.readUInt16LE(8), 'groups').toBe(1)
    return Array.from({ length: data.readUInt32LE(16 + 4) }, (_, k) => data.readUInt32LE(16 + 32 + 4 * k))
  }
  expect([await nsids(await open(ONE)), await nsids(await open(OTHER))]).toEqual([[1, 2], [1]])
})

test('VIS-04: who gains or loses it is told by event and list, and nobody else', async () => {
  const [one, other, third] = [await open(ONE), await open(OTHER), await open(someHost('third'))]
  const seen = [await told(one), await told(other), await told(third)]
  await daemon.reload(serving([OTHER.hostnqn]))
  await expect.poll(() => seen.map(({ dw0 }) => dw0)).toEqual([NAMESPACE_EVENT, NAMESPACE_EVENT, null])
  expect([await changed(one), await changed(other), await changed(third)]).toEqual([[2], [2], []])
  expect([await listed(one, 2), await listed(other, 2), await listed(third, 2)]).toEqual([[1], [1, 2], [1]])
  expect((await one.queue(1).submit(read(2, 0, 1), { receive: 512 })).status).toBe(INVALID_NAMESPACE)
  await other.queue(2).must(read(2, 0, 1), { receive: 512 })
})

test('VIS-04: a hidden namespace that is resized or goes is no news for who does not see it', async () => {
  const [one, other] = [await open(ONE), await open(OTHER)]
  const seen = [await told(one), await told(other)]
  await daemon.reload(configuration({
    reactors: 2, subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, memory: '16M' }] }],
  }))
  await expect.poll(() => seen[0]!.dw0).toBe(NAMESPACE_EVENT)
  expect([await changed(one), await changed(other)]).toEqual([[2], []])
  expect(seen[1]!.dw0).toBe(null)
})

test('VIS-05: the SMART log counts what was done in the subsystem, whoever sees it', async () => {
  const [one, other] = [await open(ONE), await open(OTHER)]
  const reads = async ({ admin }: Session): Promise<bigint> =>
    (await admin.must(getLogPage(2, 128), { receive: 512 })).data.readBigUInt64LE(64)
  const before = await reads(other)
  await one.queue(1).must(read(2, 0, 1), { receive: 512 })
  expect(await reads(other)).toBe(before + 1n)
})

test('VIS-06: who does not see a namespace cannot erase it', async () => {
  const [one, other] = [await open(ONE), await open(OTHER)]
  const sanicap = async ({ admin }: Session): Promise<number> =>
    (await admin.must(identify(1), { receive: 4096 })).data.readUInt32LE(328)
  expect([await sanicap(one), await sanicap(other)]).toEqual([0x60000006, 0])
  const seen = await told(other)
  await one.queue(1).must(write(2, 5, 1), { send: Buffer.alloc(512, 6) })
  expect((await other.admin.submit(format(2, 0))).status).toBe(INVALID_NAMESPACE)
  expect((await other.admin.submit(sanitize(2))).status).toBe('0/01h')
  await other.admin.must(format(1, 0))
  const { data } = await one.queue(2).must(read(2, 5, 1), { receive: 512 })
  expect(data.equals(Buffer.alloc(512, 6)), 'untouched').toBe(true)
  await one.admin.must(format(2, 0))
  await other.queue(1).must(read(1, 0, 1), { receive: 512 })
  expect(await changed(other), 'of its own only').toEqual([1])
  expect(seen.dw0).toBe(NAMESPACE_EVENT)
})
