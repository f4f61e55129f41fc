/**
 * kill -9 under verified writes, at random moments, many times: whatever a host was told is on the medium, is. Every
 * write that was acknowledged before a completed Flush, or with FUA, is read back by the next daemon.
 * npm run soak -- --kills N.                                                                   WEFT_KILLS, WEFT_SEED
 *
 * A process that is killed loses nothing that the kernel has: what this shows is that nothing is acknowledged before
 * the kernel has it, and that what is kept is readable after any end. The simulation has the power failures.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { FUA, flush, read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import type { HostQueue } from '../host-queue.ts'
import { closeWires } from '../host.ts'
import { Random } from '../random.ts'

const KILLS = Number(process.env['WEFT_KILLS'] ?? 3)
const SEED = Number(process.env['WEFT_SEED'] ?? 1)
const BLOCKS = 1008
const WRITERS = 6
const BLOCK_BYTES = 512

/** What a block may hold: the version that is certainly there or newer, and those that were sent after it. */
type Block = { certain: number; acknowledged: number; sent: number }

let directory: string

beforeAll(() => {
  directory = temporaryDirectory()
})
afterAll(() => removeDirectory(directory))
afterEach(closeWires)

const config = () => configuration({
  reactors: 2, state: join(directory, 'state'),
  subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [
    { nsid: 1, file: join(directory, 'disk'), size: '1M' }, { nsid: 2, memory: '1M' },
  ] }],
})

function content(block: number, version: number): Buffer {
  const data = Buffer.alloc(BLOCK_BYTES)
  if (version === 0) return data
  for (let at = 0; at < BLOCK_BYTES; at += 8) {
    data.writeUInt32LE(version, at)
    data.writeUInt32LE(block * 64 + at, at + 4)
  }
  return data
}

/** Writes block after block of its own share until the daemon is gone. */
async function writer(queue: HostQueue, share: number, blocks: Block[], random: Random): Promise<void> {
  for (;;) {
    const number = random.below(BLOCKS / WRITERS) * WRITERS + share
    const block = blocks[number] as Block
    const version = ++block.sent
    const through = random.chance(15)
    const answer = await queue.submit(write(1, number, 1, through ? FUA : 0), { send: content(number, version) })
      .catch(() => null)
    if (answer === null) return
    expect(answer.status).toBe('0/00h')
    block.acknowledged = version
    if (through) block.certain = version
    if (!random.chance(5)) continue
    const before = blocks.map(({ acknowledged }) => acknowledged)
    const flushed = await queue.submit(flush(1)).catch(() => null)
    if (flushed === null) return
    expect(flushed.status).toBe('0/00h')
    for (const [index, each] of blocks.entries()) each.certain = Math.max(each.certain, before[index] as number)
  }
}

/** Compares every block with what it may hold; that is certain from now on. */
async function verify(queue: HostQueue, blocks: Block[]): Promise<void> {
  for (let first = 0; first < BLOCKS; first += 8) {
    const { data } = await queue.must(read(1, first, 8), { receive: 8 * BLOCK_BYTES })
    for (let number = first; number < first + 8; number++) {
      const block = blocks[number] as Block
      const found = data.subarray((number - first) * BLOCK_BYTES, (number - first + 1) * BLOCK_BYTES)
      const version = found.readUInt32LE(0)
      expect(found.equals(content(number, version)), `block ${number} is whole`).toBe(true)
      expect(version, `block ${number}: not older than what was flushed`).toBeGreaterThanOrEqual(block.certain)
      expect(version, `block ${number}: nothing that was never sent`).toBeLessThanOrEqual(block.sent)
      // What the kernel has survives the process.
      expect(version, `block ${number}: what was acknowledged`).toBeGreaterThanOrEqual(block.acknowledged)
      Object.assign(block, { certain: version, acknowledged: version, sent: Math.max(version, block.sent) })
    }
  }
}

test(`killed ${KILLS} times under writes, seed ${SEED}`, { timeout: KILLS * 30_000 + 60_000 }, async () => {
  const random = new Random(SEED)
  const blocks: Block[] = Array.from({ length: BLOCKS }, () => ({ certain: 0, acknowledged: 0, sent: 0 }))
  let daemon: Daemon | null = null
  let writes = 0
  for (let kill = 0; kill <= KILLS; kill++) {
    daemon = await startDaemon(config())
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    await verify(session.queue(1), blocks)
    const memory = await session.queue(1).must(read(2, 0, 8), { receive: 4096 })
    expect(memory.data.equals(Buffer.alloc(4096)), 'memory begins empty').toBe(true)
    if (kill === KILLS) break
    const written = (): number => blocks.reduce((sum, { sent }) => sum + sent, 0)
    const goal = written() + 20 + random.below(600)
    const writing = Array.from({ length: WRITERS }, (_, share) =>
      writer(session.queue(1 + (share % 2)), share, blocks, new Random(SEED + kill * WRITERS + share)))
    await session.queue(1).must(write(2, 0, 8), { send: Buffer.alloc(4096, 7) })
    await expect.poll(written, { timeout: 20_000, interval: 1 }).toBeGreaterThanOrEqual(goal)
    await daemon.kill()
    await Promise.all(writing)
    writes = written()
    await closeWires()
  }
  await closeWires()
  await (daemon as Daemon).stop()
  console.log(`killed ${KILLS} times, after ${writes} writes; nothing that was promised is missing`)
})
