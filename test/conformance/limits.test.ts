/**
 * What a target is at least large enough for, and what it says when something is used up.
 *
 *   MQES (CAP 15:0) · Number of Queues (07h, 0's based) · SQSIZE of Connect (0's based) agree
 */
import { afterEach, describe, expect, test } from 'vitest'
import { identify, propertyGet, read, setFeatures, write } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon, type DaemonConfig } from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { openAdmin, openSession, tryConnect } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'
import { NO_DIGESTS, R2T, cqeOf, h2cData, r2tOf } from '../wire-bytes.ts'

const QUEUES = 128
const DEPTH = 1024
/** Queue entries of one controller that are to be in use at a time, at least. */
const ENTRIES = 65_535
const NAMESPACES = 1024

let daemon: Daemon

afterEach(async () => {
  await closeWires()
  await daemon.stop()
})

const start = async (changes: DaemonConfig): Promise<void> => {
  daemon = await startDaemon(configuration(changes))
}

describe('queues', () => {
  test('LIM-01 LIM-02: 128 of depth 1024, and more than 65,535 commands at a time', async () => {
    await start({ reactors: 2 })
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
    const { dw0 } = await session.admin.must(propertyGet(0, 8))
    expect((dw0 & 0xffff) + 1, 'MQES').toBe(DEPTH)
    const granted = await session.admin.must(setFeatures(0x07, 0x00ff_00ff))
    expect([granted.dw0 & 0xffff, granted.dw0 >>> 16], 'NSQA, NCQA').toEqual([QUEUES - 1, QUEUES - 1])
    for (let qid = 1; qid <= QUEUES; qid += 1) await session.connectIo(qid, { sqsize: DEPTH - 1 })
    const beyond = await tryConnect(await Wire.initialized(daemon.endpoint), session.ioWish(QUEUES + 1))
    expect([beyond.completion.status, beyond.completion.dw0]).toEqual(['1/82h', 42])
    await fill(session.io)
  })

  /** Writes on all queues that wait for their data, all at once; then one queue is brought to its end. */
  async function fill(queues: readonly HostQueue[]): Promise<void> {
    const perQueue = Math.ceil((ENTRIES + 1) / queues.length)
    for (const queue of queues) {
      const capsules = Array.from({ length: perQueue }, () =>
        queue.capsule(write(1, 0, 1), { send: Buffer.alloc(512), inCapsule: false }))
      await queue.wire.send(...capsules)
    }
    const asked = (): number => queues.reduce((sum, { wire }) => sum + wire.unread, 0)
    await expect.poll(asked).toBe(perQueue * queues.length)
    expect(asked()).toBeGreaterThan(ENTRIES)
    const last = queues.at(-1)!
    const seen = new Set<number>()
    for (let left = perQueue; left > 0; left -= 1) {
      const pdu = await last.wire.next()
      expect(pdu.type).toBe(R2T)
      const { cccid, ttag } = r2tOf(pdu)
      seen.add(cccid)
      await last.wire.send(h2cData({ cccid, ttag, datao: 0, data: Buffer.alloc(512, 9), last: true }, NO_DIGESTS))
    }
    for (let left = perQueue; left > 0; left -= 1) {
      const answer = cqeOf(await last.wire.next())
      expect([answer.status, seen.delete(answer.cid)]).toEqual(['0/00h', true])
    }
    expect(await daemon.slotsInUse()).toBeGreaterThan(ENTRIES - perQueue)
  }

  test('LIM-02: what is configured is what CAP, Set Features and Connect say', async () => {
    await start({ limits: { queueDepth: 100, ioQueues: 3 } })
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
    expect((await session.admin.must(propertyGet(0, 8))).dw0 & 0xffff).toBe(99)
    expect((await session.admin.must(setFeatures(0x07, 0x0009_0009))).dw0).toBe(0x0002_0002)
    const connect = async (qid: number, sqsize: number): Promise<string> => {
      const wire = await Wire.initialized(daemon.endpoint)
      return (await tryConnect(wire, session.ioWish(qid, { sqsize }))).completion.status
    }
    expect([await connect(3, 99), await connect(1, 100), await connect(4, 99)]).toEqual(['0/00h', '1/82h', '1/82h'])
  })
})

test('LIM-03: 1024 namespaces of a subsystem', async () => {
  const namespaces = Array.from({ length: NAMESPACES }, (_, index) => ({ nsid: index + 1, memory: '64K' }))
  await start({ subsystems: [{ nqn: NQN, namespaces }] })
  const session = await openSession(daemon.endpoint, { subnqn: NQN })
  const { data } = await session.admin.must(identify(2), { receive: 4096 })
  const listed = Array.from({ length: NAMESPACES }, (_, index) => data.readUInt32LE(4 * index))
  expect(listed).toEqual(namespaces.map(({ nsid }) => nsid))
  for (const nsid of [1, 512, NAMESPACES]) {
    await session.queue(1).must(write(nsid, 7, 1), { send: Buffer.alloc(512, nsid & 0xff) })
  }
  for (const nsid of [1, 512, NAMESPACES]) {
    const { data: found } = await session.queue(1).must(read(nsid, 7, 1), { receive: 512 })
    expect(found.equals(Buffer.alloc(512, nsid & 0xff))).toBe(true)
  }
})

test('LIM-04: controllers that are used up are refused with 1/81h, and that is said once', async () => {
  await start({ subsystems: [{ nqn: NQN, minCntlid: 5, maxCntlid: 6, namespaces: [{ memory: '1M' }] }] })
  await openAdmin(daemon.endpoint, { subnqn: NQN })
  await openAdmin(daemon.endpoint, { subnqn: NQN })
  for (let times = 0; times < 5; times += 1) {
    const wire = await Wire.initialized(daemon.endpoint)
    const { completion } = await tryConnect(wire, { subnqn: NQN })
    expect([completion.status, completion.dnr]).toEqual(['1/81h', false])
  }
  await daemon.statistics()
  const said = daemon.lines.filter((line) => /from 5 to 6 are in use/.test(JSON.stringify(line)))
  expect(said.length).toBe(1)
})
