/**
 * Namespaces, listeners and subsystems come, go and change their size while hosts read and write as fast as
 * they can, on two reactors. What does not change loses no command and no byte; commands on what does are
 * answered, with success or with the one status that is right; and in the end nothing is held any more.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { compare, datasetManagement, flush, keepAlive, rangeList, read, write, writeZeroes } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon, type DaemonConfig,
  type NamespaceConfig,
} from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { openSession, type Session } from '../host-session.ts'
import { ConnectionEnded, closeWires } from '../host.ts'
import { cqeOf, h2cData, r2tOf } from '../wire-bytes.ts'

const BLOCK_BYTES = 4096
const DEPTH = 8
const LANE_BLOCKS = 32
const ROUNDS = 3
const MIB = 1 << 20
const SUCCESS = '0/00h'
const INVALID_NAMESPACE = '0/0Bh'
const OUT_OF_RANGE = '0/80h'

afterEach(closeWires)

function content(block: number, round: number): Buffer {
  const data = Buffer.alloc(BLOCK_BYTES, round & 0xff)
  data.writeUInt32LE(block, 0)
  data.writeUInt32LE(round, 4)
  return data
}

/** Writes and reads back its own blocks until it is told to stop; throws at the first that is wrong. */
async function verify(queue: HostQueue, nsid: number, first: number, goesOn: () => boolean): Promise<number> {
  let count = 0
  for (let round = 1; goesOn(); round += 1) {
    for (let block = first; block < first + LANE_BLOCKS; block += 1) {
      const data = content(block, round)
      await queue.must(write(nsid, block, 1), { send: data, inCapsule: block % 2 === 0 })
      const { data: back } = await queue.must(read(nsid, block, 1), { receive: BLOCK_BYTES })
      if (!back.equals(data)) throw new Error(`block ${block} of namespace ${nsid} is wrong in round ${round}`)
      count += 2
    }
  }
  return count
}

/** Commands of all kinds on a namespace that comes and goes; the statuses that they ended with. */
async function disturb(queue: HostQueue, nsid: number, blocks: number, goesOn: () => boolean): Promise<Map<string, number>> {
  const ends = new Map<string, number>()
  const data = Buffer.alloc(BLOCK_BYTES, 0xee)
  for (let k = 0; goesOn(); k += 1) {
    const block = (k * 37) % blocks
    const commands = [
      () => queue.submit(write(nsid, block, 1), { send: data, inCapsule: k % 2 === 0 }),
      () => queue.submit(read(nsid, block, 1), { receive: BLOCK_BYTES }),
      () => queue.submit(compare(nsid, block, 1), { send: data }),
      () => queue.submit(writeZeroes(nsid, block, 1)),
      () => queue.submit(datasetManagement(nsid, 2), {
        send: rangeList([{ slba: block, blocks: 1 }, { slba: blocks - 1, blocks: 1 }]),
      }),
      () => queue.submit(flush(nsid)),
    ]
    const { status } = await commands[k % commands.length]!()
    ends.set(status, (ends.get(status) ?? 0) + 1)
  }
  return ends
}

const descriptors = (daemon: Daemon): number => readdirSync(`/proc/${daemon.child.pid}/fd`).length
/** A memory namespace has addresses for what it may grow to: nothing else is as large, but for V8's own. */
const largeMappings = (daemon: Daemon): number => {
  const ranges = readFileSync(`/proc/${daemon.child.pid}/maps`, 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+) ---p/gm)
  return [...ranges].filter(([, from, to]) => parseInt(to!, 16) - parseInt(from!, 16) > 32 * 1024 ** 3).length
}

const STABLE: NamespaceConfig = { nsid: 1, memory: '16M', block: 4096 }
const serving = (...namespaces: NamespaceConfig[]): DaemonConfig =>
  configuration({ reactors: 2, subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [STABLE, ...namespaces] }] })

describe.each(['uring', 'epoll'] as const)('%s', (engine) => {
  test('namespaces of memory and in files come, go, grow and shrink', async () => {
    const directory = temporaryDirectory()
    const daemon = await startDaemon({ ...serving(), engine })
    const change = async (...namespaces: NamespaceConfig[]): Promise<void> => {
      const lines = await daemon.reload({ ...serving(...namespaces), engine })
      expect(lines.join('\n')).toMatch(/what it says is served/)
    }
    expect(largeMappings(daemon)).toBeGreaterThan(0)
    const before = [descriptors(daemon), largeMappings(daemon)]
    const sessions = [await openSession(daemon.endpoint, { subnqn: NQN }, 4), await openSession(daemon.endpoint, { subnqn: NQN }, 4)]
    let changing = true
    const goesOn = (): boolean => changing
    const lanes = sessions.flatMap((session, k) => Array.from({ length: DEPTH }, (_, lane) =>
      verify(session.queue(1 + lane % 4), 1, (k * DEPTH + lane) * LANE_BLOCKS, goesOn)))
    const disturbances = sessions.flatMap((session) => [2, 3].flatMap((nsid) => [1, 2, 3, 4].map((qid) =>
      disturb(session.queue(qid), nsid, 4 * MIB / BLOCK_BYTES, goesOn))))
    const memory = (size: string): NamespaceConfig => ({ nsid: 2, memory: size, block: 4096 })
    const file = (size: string): NamespaceConfig => ({ nsid: 3, file: join(directory, 'disk'), size, block: 4096 })
    for (let round = 0; round < ROUNDS; round += 1) {
      await change(memory('2M'))
      await change(memory('4M'), file('2M'))
      await change(memory('1M'), file('4M'))
      await change(file('1M'))
      await change({ nsid: 2, null: '4M', block: 4096 })
      await change()
    }
    changing = false
    const counts = await Promise.all(lanes)
    const ends = await Promise.all(disturbances)
    expect(Math.min(...counts)).toBeGreaterThan(0)
    const statuses = new Set(ends.flatMap((each) => [...each.keys()]))
    // Compare with what the lanes before it wrote may find something else.
    statuses.delete('2/85h')
    expect([...statuses].toSorted()).toEqual([SUCCESS, INVALID_NAMESPACE, OUT_OF_RANGE])
    for (const session of sessions) await session.end()
    expect(await daemon.slotsInUse()).toBe(0)
    // What is closed goes a moment later.
    await expect.poll(() => [descriptors(daemon), largeMappings(daemon)]).toEqual(before)
    await daemon.stop()
    removeDirectory(directory)
  })

  test('another subsystem and another listener go, with commands under way', async () => {
    const OTHER = 'nqn.2026-01.example:weft-other'
    const here = { address: '127.0.0.1', port: 0 }
    const there = { address: '127.0.0.2', port: 0 }
    const other = { nqn: OTHER, hosts: 'any' as const, namespaces: [{ nsid: 1, memory: '16M', block: 4096 as const }] }
    const both: DaemonConfig = {
      ...serving(), engine, listeners: [here, there], subsystems: [...serving().subsystems!, other],
    }
    const daemon = await startDaemon({ ...serving(), engine })
    const stable = await openSession(daemon.endpoint, { subnqn: NQN }, 4)
    let changing = true
    const lanes = Array.from({ length: DEPTH }, (_, lane) =>
      verify(stable.queue(1 + lane % 4), 1, lane * LANE_BLOCKS, () => changing))
    for (let round = 0; round < 4; round += 1) {
      const listening = daemon.listening.length
      await daemon.reload(both)
      const second = daemon.listening[listening]!
      const going: Session[] = [
        await openSession(daemon.endpoint, { subnqn: OTHER }, 2), await openSession(second, { subnqn: NQN }, 2),
      ]
      const cut = going.flatMap((session, k) => [1, 2].map((qid) =>
        verify(session.queue(qid), 1, 2048 + (k * 2 + qid) * LANE_BLOCKS, () => true)))
      const ended = Promise.allSettled(cut)
      await daemon.reload({ ...serving(), engine })
      for (const each of await ended) {
        expect(each.status === 'rejected' ? each.reason : each).toBeInstanceOf(ConnectionEnded)
      }
      for (const { admin } of going) {
        await admin.wire.closed()
        expect(admin.wire.brokenOff, 'in order').toBe(false)
      }
    }
    changing = false
    expect(Math.min(...await Promise.all(lanes))).toBeGreaterThan(0)
    await stable.end()
    expect(await daemon.slotsInUse()).toBe(0)
    await daemon.stop()
  })
})

describe('commands that outlive their namespace', () => {
  test('a write whose data come after its namespace went is finished; then its file is closed', async () => {
    const directory = temporaryDirectory()
    const image = { file: join(directory, 'disk'), size: '4M', block: 4096 } as const
    const daemon = await startDaemon(serving({ nsid: 2, ...image }))
    const { admin, io: [queue] } = await openSession(daemon.endpoint, { subnqn: NQN }, 1)
    if (queue === undefined) throw new Error('no queue')
    const send = Buffer.alloc(4 * BLOCK_BYTES, 0xab)
    const cid = queue.takeCid()
    await queue.wire.send(queue.capsule(write(2, 7, 4), { send, inCapsule: false }, cid))
    const { ttag } = r2tOf(await queue.wire.next())
    const lines = await daemon.reload(serving())
    expect(lines.join()).toMatch(/have not finished their commands on Namespace 2/)
    await admin.must(keepAlive())
    await queue.wire.send(h2cData({ cccid: cid, ttag, datao: 0, data: send }))
    expect(cqeOf(await queue.wire.next())).toMatchObject({ cid, status: SUCCESS })
    while (!(await daemon.reload(serving({ nsid: 3, ...image }))).join().includes('was added')) {
      // In use by its former self, until a reactor has looked again.
    }
    const { data } = await queue.must(read(3, 7, 4), { receive: send.length })
    expect(data.equals(send)).toBe(true)
    await daemon.stop()
    removeDirectory(directory)
  })

  test('data that a host takes after their namespace went are right', async () => {
    const daemon = await startDaemon(serving({ nsid: 2, memory: '64M', block: 4096 }))
    const { io: [queue] } = await openSession(daemon.endpoint, { subnqn: NQN }, 1)
    if (queue === undefined) throw new Error('no queue')
    const blocks = MIB / BLOCK_BYTES
    const send = Buffer.alloc(MIB, 0xcd)
    for (let k = 0; k < 48; k += 1) await queue.must(write(2, k * blocks, blocks), { send, inCapsule: false })
    queue.wire.pause()
    const reading = Array.from({ length: 48 }, (_, k) => queue.must(read(2, k * blocks, blocks), { receive: MIB }))
    // More than sockets hold: answers stay queued. By the second report all commands have been taken.
    for (let k = 0; k < 2; k += 1) await daemon.statistics()
    const lines = await daemon.reload(serving())
    expect(lines.join()).toMatch(/have not finished their commands on Namespace 2/)
    queue.wire.resume()
    for (const { data } of await Promise.all(reading)) expect(data.equals(send)).toBe(true)
    await daemon.stop()
  })
})
