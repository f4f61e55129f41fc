/**
 * Two hosts on two reactors: one acquires and releases, the other writes on all of its queues without a pause. A
 * write that begins after the acquire was answered is refused; what the holder writes then stays.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { join } from 'node:path'
import type { HostQueue } from '../host-queue.ts'
import { closeWires } from '../host.ts'
import { ACQUIRE, REGISTER, ReservingHost } from '../reservation-bytes.ts'

const OK = '0/00h'
const CONFLICT = '0/83h'
const ROUNDS = 40
const QUEUES = 4
const BLOCKS = 8
const KEY_A = 0xa0n
const KEY_B = 0xb0n
const directory = temporaryDirectory()

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({
    reactors: 2,
    subsystems: [{
      nqn: NQN, hosts: 'any',
      namespaces: [{ nsid: 1, memory: '16M' }, { nsid: 2, file: join(directory, 'disk'), size: '16M' }],
    }],
  }))
})
afterAll(async () => {
  await daemon.stop()
  removeDirectory(directory)
})
afterEach(closeWires)

/** In which round the others may not write, or may, at the moment; 0 = neither. Changed when an answer has come. */
type Phase = { forbidden: number; permitted: number; over: boolean }

/**
 * Writes until it is over. What began and ended while writes were forbidden was refused; one that ended later
 * may have been on its way for so long that the target saw it then.
 */
async function writer(queue: HostQueue, nsid: number, lba: number, inCapsule: boolean, phase: Phase, wrong: string[]) {
  const counts = { refused: 0, done: 0 }
  const send = Buffer.alloc(512 * BLOCKS, 0xbb)
  while (!phase.over) {
    const { forbidden, permitted } = phase
    const { status } = await queue.submit(write(nsid, lba, BLOCKS), { send, inCapsule })
    if (status === OK) counts.done += 1
    if (status === CONFLICT) counts.refused += 1
    if (forbidden !== 0 && phase.forbidden === forbidden && status !== CONFLICT)
      wrong.push(`${status} while it was reserved`)
    if (permitted !== 0 && phase.permitted === permitted && status !== OK)
      wrong.push(`${status} while it was not`)
  }
  return counts
}

test.each([1, 2])('RES-14: namespace %i', async (nsid) => {
  const a = await ReservingHost.open(daemon.endpoint, KEY_A, undefined, 2)
  const b = await ReservingHost.open(daemon.endpoint, KEY_B, undefined, QUEUES)
  a.nsid = nsid
  b.nsid = nsid
  expect(await a.register()).toBe(OK)
  const phase: Phase = { forbidden: 0, permitted: 0, over: false }
  const wrong: string[] = []
  const writers = b.session.io.map((queue, index) =>
    writer(queue, nsid, index * BLOCKS, index % 2 === 0, phase, wrong))
  for (let round = 0; round < ROUNDS; round += 1) {
    phase.permitted = 0
    expect(await a.acquire(1 + round % 6)).toBe(OK)
    phase.forbidden = round + 1
    // Queues of both reactors: what the holder has written is not written over.
    const send = Buffer.alloc(512 * BLOCKS, round + 1)
    for (let index = 0; index < QUEUES; index += 1) {
      await a.session.queue(1 + index % 2).must(write(nsid, index * BLOCKS, BLOCKS), { send })
    }
    await a.session.queue(2).must(read(nsid, 0, BLOCKS), { receive: 512 * BLOCKS })
    if (nsid === 1) {
      for (let index = 0; index < QUEUES; index += 1) {
        const { data } = await a.queue.must(read(nsid, index * BLOCKS, BLOCKS), { receive: 512 * BLOCKS })
        expect(data.equals(send), `round ${round}, queue ${index + 1}`).toBe(true)
      }
    }
    phase.forbidden = 0
    expect(await a.release(1 + round % 6)).toBe(OK)
    phase.permitted = round + 1
    await a.queue.must(read(nsid, 0, 1), { receive: 512 })
  }
  phase.over = true
  const counts = await Promise.all(writers)
  expect(wrong).toEqual([])
  for (const { refused, done } of counts) expect(Math.min(refused, done)).toBeGreaterThan(0)
})

test('RES-16: a host that preempts and aborts another one that writes, over and over', async () => {
  const [a, b] = [
    await ReservingHost.open(daemon.endpoint, KEY_A, undefined, 2),
    await ReservingHost.open(daemon.endpoint, KEY_B, undefined, QUEUES),
  ]
  a.nsid = 2
  b.nsid = 2
  expect(await a.register()).toBe(OK)
  const phase: Phase = { forbidden: 0, permitted: 0, over: false }
  const wrong: string[] = []
  const writers = b.session.io.slice(1).map((queue, index) =>
    writer(queue, 2, index * BLOCKS, index % 2 === 0, phase, wrong))
  for (let round = 0; round < ROUNDS; round += 1) {
    expect(await b.register()).toBe(OK)
    expect(await b.acquire(2)).toBe(OK)
    expect(await a.acquire(1, ACQUIRE.preemptAndAbort, KEY_B)).toBe(OK)
    phase.forbidden = round + 1
    const send = Buffer.alloc(512 * BLOCKS, round + 1)
    await a.queue.must(write(2, 0, BLOCKS), { send })
    await a.session.queue(2).must(read(2, 64, 1), { receive: 512 })
    const { data } = await a.queue.must(read(2, 0, BLOCKS), { receive: 512 * BLOCKS })
    expect(data.equals(send), `round ${round}`).toBe(true)
    phase.forbidden = 0
    expect(await a.release(1)).toBe(OK)
  }
  phase.over = true
  await Promise.all(writers)
  expect(wrong).toEqual([])
  expect(await a.register(REGISTER.unregister, 0n, KEY_A)).toBe(OK)
})
