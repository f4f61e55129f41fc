/**
 * Random commands against a model: what the medium should hold, byte by byte, after any mixture of
 * writes, Write Zeroes and deallocation on several queues, checked by reads and compares.
 * NVM Command Set 1.0. A seed that fails goes into SEEDS.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  FUA, compare, datasetManagement, flush, rangeList, read, write, writeZeroes,
} from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'
import { Random } from '../random.ts'

const SEEDS = [11, 12]
const QUEUES = 3
const STEPS = 150
/** Each queue has a stretch of its own, so that only the order of its own commands counts. */
const STRETCH_BLOCKS = 4096
const NAMESPACES = [
  { nsid: 1, blockBytes: 512, device: 'memory' },
  { nsid: 2, blockBytes: 4096, device: 'file' },
]

describe.each(['uring', 'epoll'] as const)('%s', (engine) => {
  let daemon: Daemon
  let directory: string

  beforeAll(async () => {
    directory = temporaryDirectory()
    daemon = await startDaemon(configuration({
      engine,
      reactors: 2,
      subsystems: [{
        nqn: NQN,
        hosts: 'any',
        namespaces: [
          { nsid: 1, memory: '64M' },
          { nsid: 2, file: join(directory, 'disk'), size: '64M', block: 4096 },
        ],
      }],
    }))
  })
  afterAll(async () => {
    await daemon.stop()
    removeDirectory(directory)
  })
  afterEach(closeWires)

  describe.each(NAMESPACES)('$device', ({ nsid, blockBytes }) => {
    /** One queue's commands on its stretch; the model is one byte a block, filled all through. */
    async function lane(queue: HostQueue, first: number, random: Random): Promise<void> {
      const model = new Uint8Array(STRETCH_BLOCKS)
      await queue.must(writeZeroes(nsid, first, STRETCH_BLOCKS))
      const blocksMax = Math.min(256, (1 << 20) / blockBytes)
      for (let step = 0; step < STEPS; step += 1) {
        const at = random.below(STRETCH_BLOCKS - blocksMax)
        const count = 1 + random.below(random.chance(20) ? blocksMax : 16)
        const bytes = count * blockBytes
        const fill = 1 + random.below(255)
        switch (random.below(6)) {
          case 0:
          case 1: {
            const inCapsule = bytes <= 16384 && random.chance(50)
            const cdw12 = random.chance(20) ? FUA : 0
            const transfer = { send: Buffer.alloc(bytes, fill), inCapsule, h2cBytes: 32768 }
            await queue.must(write(nsid, first + at, count, cdw12), transfer)
            model.fill(fill, at, at + count)
            break
          }
          case 2:
            await queue.must(writeZeroes(nsid, first + at, count))
            model.fill(0, at, at + count)
            break
          case 3: {
            const send = rangeList([{ slba: first + at, blocks: count }])
            await queue.must(datasetManagement(nsid, 1), { send })
            model.fill(0, at, at + count)
            break
          }
          case 4: {
            const send = expected(model, at, count)
            await queue.must(compare(nsid, first + at, count), { send, inCapsule: false })
            break
          }
          default: {
            const back = await queue.must(read(nsid, first + at, count), { receive: bytes })
            expect(back.data.equals(expected(model, at, count)), `step ${step}`).toBe(true)
          }
        }
      }
      await queue.must(flush(nsid))
      for (let at = 0; at < STRETCH_BLOCKS; at += blocksMax) {
        const command = read(nsid, first + at, blocksMax)
        const back = await queue.must(command, { receive: blocksMax * blockBytes })
        expect(back.data.equals(expected(model, at, blocksMax)), `end ${at}`).toBe(true)
      }
    }

    function expected(model: Uint8Array, at: number, count: number): Buffer {
      const data = Buffer.alloc(count * blockBytes)
      for (let block = 0; block < count; block += 1) {
        data.fill(model[at + block] ?? 0, block * blockBytes, (block + 1) * blockBytes)
      }
      return data
    }

    test.each(SEEDS)('NVM-01 NVM-04 NVM-05 NVM-06 NVM-12: seed %i', async (seed) => {
      const digests = { header: seed % 2 === 0, data: seed % 2 === 0 }
      const wish = { subnqn: NQN, digests, maxr2t: seed % 3 }
      const session = await openSession(daemon.endpoint, wish, QUEUES)
      await Promise.all(session.io.map((queue, index) =>
        lane(queue, index * STRETCH_BLOCKS, new Random(seed * 100 + index))))
    })
  })
})
