/**
 * The same data through every engine, one reactor and two, every device that a test can make.
 * NVM Command Set 1.0, Read and Write; NVMe Base 2.0, queues.
 *
 * Each combination is one daemon; what a write left on one queue is read through another, which
 * with two reactors lives on the other core.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { join } from 'node:path'
import {
  FUA, compare, datasetManagement, flush, rangeList, read, write, writeZeroes,
} from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'
import type { Digests } from '../wire-bytes.ts'

const NAMESPACES = [
  { nsid: 1, blockBytes: 512, device: 'memory' },
  { nsid: 2, blockBytes: 512, device: 'file' },
  { nsid: 3, blockBytes: 4096, device: 'file' },
]
const NO: Digests = { header: false, data: false }
const BOTH: Digests = { header: true, data: true }

function pattern(bytes: number, seed: number): Buffer {
  const data = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += 4) data.writeUInt32LE((at * 48271 + seed * 104729) >>> 0, at)
  return data
}

describe.each([
  { engine: 'uring', reactors: 1 },
  { engine: 'uring', reactors: 2 },
  { engine: 'epoll', reactors: 1 },
  { engine: 'epoll', reactors: 2 },
] as const)('$engine, $reactors reactors', ({ engine, reactors }) => {
  let daemon: Daemon
  let directory: string

  beforeAll(async () => {
    directory = temporaryDirectory()
    daemon = await startDaemon(configuration({
      engine,
      reactors,
      subsystems: [{
        nqn: NQN,
        hosts: 'any',
        namespaces: [
          { nsid: 1, memory: '64M' },
          { nsid: 2, file: join(directory, 'small'), size: '64M', block: 512 },
          { nsid: 3, file: join(directory, 'large'), size: '64M', block: 4096 },
        ],
      }],
    }))
  })
  afterAll(async () => {
    await daemon.stop()
    removeDirectory(directory)
  })
  afterEach(closeWires)

  describe.each(NAMESPACES)('$device of $blockBytes-byte blocks', ({ nsid, blockBytes }) => {
    test.each([NO, BOTH])('NVM-12: four queues write, the next one reads, digests %o',
      async (digests) => {
        const session = await openSession(daemon.endpoint, { subnqn: NQN, digests }, 4)
        const sizes = [blockBytes, 16384, 65536, 1 << 20]
        for (const [turn, bytes] of sizes.entries()) {
          const count = bytes / blockBytes
          const writes = session.io.map((queue, index) => {
            const send = pattern(bytes, 10 * turn + index)
            const inCapsule = bytes <= 16384
            const done = queue.must(write(nsid, index * count, count), { send, inCapsule })
            return { send, done }
          })
          await Promise.all(writes.map((one) => one.done))
          for (const [index, one] of writes.entries()) {
            const reader = session.queue(((index + 1) % 4) + 1)
            const back = await reader.must(read(nsid, index * count, count), { receive: bytes })
            expect(back.data.equals(one.send)).toBe(true)
          }
        }
      })

    test('NVM-02 NVM-03 NVM-04 NVM-05 NVM-06: FUA, Flush, Write Zeroes, Deallocate, Compare',
      async () => {
        const queue = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
        const send = pattern(64 * blockBytes, 99)
        await queue.must(write(nsid, 512, 64, FUA), { send, inCapsule: false })
        await queue.must(flush(nsid))
        await queue.must(compare(nsid, 512, 64), { send, inCapsule: false })
        await queue.must(writeZeroes(nsid, 513, 7))
        await queue.must(datasetManagement(nsid, 1),
          { send: rangeList([{ slba: 530, blocks: 17 }]) })
        const differs = await queue.submit(compare(nsid, 512, 64), { send, inCapsule: false })
        expect(differs.status).toBe('2/85h')
        send.fill(0, blockBytes, 8 * blockBytes)
        send.fill(0, 18 * blockBytes, 35 * blockBytes)
        const back = await queue.must(read(nsid, 512, 64), { receive: send.length })
        expect(back.data.equals(send)).toBe(true)
      })

    test('NVM-01: a deep queue of mixed sizes', async () => {
      const queue = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
      const pieces = Array.from({ length: 64 }, (_, index) => {
        const count = [1, 2, 4, 8, 16][index % 5] as number
        return { slba: 2048 + index * 16, send: pattern(count * blockBytes, index) }
      })
      await Promise.all(pieces.map(({ slba, send }, index) => {
        const inCapsule = send.length <= 16384 && index % 2 === 0
        return queue.must(write(nsid, slba, send.length / blockBytes), { send, inCapsule })
      }))
      await Promise.all(pieces.map(async ({ slba, send }) => {
        const command = read(nsid, slba, send.length / blockBytes)
        const back = await queue.must(command, { receive: send.length })
        expect(back.data.equals(send)).toBe(true)
      }))
    })
  })
})
