/**
 * A load that verifies every byte it reads, for as long as it is asked to, with what it costs over time: latency,
 * commands a second, memory of the daemon.  npm run soak -- --minutes M.            WEFT_SOAK_MINUTES, WEFT_SOAK_SVG
 */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { flush, keepAlive, read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession, type Session } from '../host-session.ts'
import type { HostQueue } from '../host-queue.ts'
import { closeWires } from '../host.ts'
import { Random } from '../random.ts'
import { drawing } from './drawing.ts'

const MINUTES = Number(process.env['WEFT_SOAK_MINUTES'] ?? 0.1)
const SVG = process.env['WEFT_SOAK_SVG'] ?? ''
const SAMPLES_MAX = 360
const WORKERS_A_QUEUE = 8
const QUEUES = 4
const BLOCKS = 4096
const MEBIBYTE = 1024 * 1024

let daemon: Daemon
let directory: string

beforeAll(async () => {
  directory = temporaryDirectory()
  daemon = await startDaemon(configuration({
    reactors: 2,
    subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [
      { nsid: 1, memory: '16M' }, { nsid: 2, file: join(directory, 'disk'), size: '16M' },
    ] }],
  }))
})
afterAll(async () => {
  await daemon.stop()
  removeDirectory(directory)
})
afterEach(closeWires)

/** What the commands of the present sample took, in ms. */
let taken: number[] = []

/** Writes and reads back its own share of both namespaces. */
async function worker(queue: HostQueue, share: number, going: () => boolean): Promise<void> {
  const random = new Random(share + 1)
  const known = new Map<string, Buffer>()
  const shareBlocks = BLOCKS / (WORKERS_A_QUEUE * QUEUES)
  while (going()) {
    const nsid = 1 + random.below(2)
    const slba = share * shareBlocks + random.below(shareBlocks / 8) * 8
    const began = performance.now()
    if (random.chance(50) || !known.has(`${nsid} ${slba}`)) {
      const send = Buffer.alloc(4096, random.bytes(16))
      await queue.must(write(nsid, slba, 8), { send })
      known.set(`${nsid} ${slba}`, send)
      if (random.chance(1)) await queue.must(flush(nsid))
    } else {
      const { data } = await queue.must(read(nsid, slba, 8), { receive: 4096 })
      expect(data.equals(known.get(`${nsid} ${slba}`) as Buffer), `block ${slba} of namespace ${nsid}`).toBe(true)
    }
    taken.push(performance.now() - began)
  }
}

async function sample(session: Session, everyMs: number, count: number): Promise<Record<string, number[]>> {
  const found = { rate: [] as number[], median: [] as number[], high: [] as number[], memory: [] as number[],
    descriptors: [] as number[] }
  for (let k = 0; k < count; k++) {
    taken = []
    await new Promise((resolve) => { setTimeout(resolve, everyMs) })
    const sorted = taken.toSorted((one, other) => one - other)
    found.rate.push(sorted.length / (everyMs / 1000))
    found.median.push(sorted[sorted.length >> 1] ?? 0)
    found.high.push(sorted[Math.floor(sorted.length * 0.999)] ?? 0)
    found.memory.push((await daemon.residentBytes()) / MEBIBYTE)
    found.descriptors.push(readdirSync(`/proc/${daemon.child.pid}/fd`).length)
    await session.admin.must(keepAlive())
  }
  return found
}

test(`${MINUTES} minutes under load`, { timeout: MINUTES * 60_000 * 2 + 120_000 }, async () => {
  const session = await openSession(daemon.endpoint, { subnqn: NQN, kato: 60_000 }, QUEUES)
  let going = true
  const workers = Array.from({ length: WORKERS_A_QUEUE * QUEUES }, (_, share) =>
    worker(session.queue(1 + (share % QUEUES)), share, () => going))
  const count = Math.max(4, Math.min(SAMPLES_MAX, Math.round(MINUTES * 60)))
  const found = await Promise.race([
    sample(session, MINUTES * 60_000 / count, count),
    // A worker ends by itself only when something is wrong.
    Promise.all(workers).then(() => { throw new Error('the workers ended early') }),
  ])
  going = false
  await Promise.all(workers)
  await closeWires()
  await expect.poll(() => daemon.slotsInUse(), { timeout: 20_000 }).toBe(0)
  const { rate = [], median = [], high = [], memory = [], descriptors = [] } = found
  const total = rate.reduce((sum, each) => sum + each * (MINUTES * 60 / count), 0)
  console.log(`${total.toFixed(0)} commands verified in ${MINUTES} minutes; memory ${memory[count >> 2]!.toFixed(0)} MiB `
    + `after a quarter, ${memory.at(-1)!.toFixed(0)} MiB at the end`)
  // What is touched first is touched in the first quarter; a leak goes on.
  expect(memory.at(-1)! - memory[count >> 2]!).toBeLessThan(64)
  expect(descriptors.at(-1)!).toBeLessThanOrEqual(descriptors[0]!)
  if (SVG === '') return
  writeFileSync(SVG, drawing(`weft, ${MINUTES} minutes of 4 KiB reads and writes, each verified`, MINUTES * 60 / count, [
    { name: 'commands a second', unit: '/s', values: rate }, { name: 'median latency', unit: 'ms', values: median },
    { name: '99.9 % latency', unit: 'ms', values: high }, { name: 'resident memory', unit: 'MiB', values: memory },
  ]))
})
