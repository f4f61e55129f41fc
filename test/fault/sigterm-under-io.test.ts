/**
 * SIGTERM while hosts write as fast as they can: the daemon ends with code 0, and whatever it had
 * acknowledged is in the file. Hosts find their connections closed, not hanging.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { asyncEventRequest, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory,
} from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const BLOCK_BYTES = 4096
const BLOCKS = 4096
const DEPTH = 16
const STOP_AFTER = 300

afterEach(closeWires)

/** Content of a block that no other block and no other round has. */
function content(block: number, round: number): Buffer {
  const data = Buffer.alloc(BLOCK_BYTES, round & 0xff)
  data.writeUInt32LE(block, 0)
  data.writeUInt32LE(round, 4)
  return data
}

describe.each([
  { engine: 'uring', reactors: 2 },
  { engine: 'epoll', reactors: 1 },
] as const)('$engine, $reactors reactors', ({ engine, reactors }) => {
  test('acknowledged writes are in the file', async () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'disk')
    const daemon = await startDaemon(configuration({
      engine,
      reactors,
      subsystems: [{
        nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, file: path, size: '16M', block: 4096 }],
      }],
    }))
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    void session.admin.submit(asyncEventRequest(), { held: true })
    /** Last acknowledged round of each block, and last one sent. */
    const acknowledged = new Map<number, number>()
    const sent = new Map<number, number>()
    let written = 0
    const lane = async (queue: HostQueue, first: number): Promise<void> => {
      for (let round = 1; ; round += 1) {
        for (let block = first; block < BLOCKS; block += 2 * DEPTH) {
          sent.set(block, round)
          const send = content(block, round)
          const inCapsule = block % 4 < 2
          const done = await queue.submit(write(1, block, 1), { send, inCapsule })
          if (done.status !== '0/00h') return
          acknowledged.set(block, round)
          written += 1
          if (written === STOP_AFTER) daemon.signal('SIGTERM')
        }
      }
    }
    const lanes = session.io.flatMap((queue, index) =>
      Array.from({ length: DEPTH }, (_, lane_) => lane(queue, index * DEPTH + lane_)))
    await Promise.allSettled(lanes)
    expect(await daemon.exit()).toBe(0)
    await Promise.all(session.io.map((queue) => queue.wire.closed()))
    await session.admin.wire.closed()
    expect(written).toBeGreaterThanOrEqual(STOP_AFTER)
    const medium = readFileSync(path)
    for (const [block, round] of acknowledged) {
      const found = medium.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)
      const rounds = [round, sent.get(block) ?? round]
      expect(rounds.some((one) => found.equals(content(block, one))), `block ${block}`).toBe(true)
    }
    removeDirectory(directory)
  })
})

test('with hosts connected and idle', async () => {
  const daemon = await startDaemon()
  const sessions = await Promise.all(Array.from({ length: 10 }, () =>
    openSession(daemon.endpoint, { subnqn: NQN })))
  await daemon.stop()
  for (const session of sessions) await session.admin.wire.closed()
})

test('twice, impatiently', async () => {
  const daemon = await startDaemon()
  await openSession(daemon.endpoint, { subnqn: NQN })
  daemon.signal('SIGTERM')
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
})
