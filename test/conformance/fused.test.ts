/**
 * Fused Compare and Write: both halves, either half alone, and that nothing on another queue comes
 * between them.                       NVMe Base 2.0, 3.4.2; NVM Command Set 1.0, 2.1.3.
 *
 * Memory and files, queues of several hosts on two reactors.
 */
import { describe, expect, test } from 'vitest'
import {
  compare, fused, identify, keepAlive, read, verify, write, writeZeroes,
} from '../command-bytes.ts'
import { NQN } from '../daemon.ts'
import type { Completion, HostQueue } from '../host-queue.ts'
import { openSession } from '../host-session.ts'
import { DISKS, READ_ONLY_NSID, serveDisks } from './disks.ts'

const FUSED_BYTES = 128 * 1024

const disks = serveDisks()
const { ioQueue } = disks

const statuses = async (...done: Promise<Completion>[]): Promise<string[]> =>
  (await Promise.all(done)).map(({ status }) => status)

// Three of them: pairs that race take long.
describe.each(DISKS.slice(0, 3))('$device, $blockBytes-byte blocks', ({ nsid, blockBytes }) => {
  const get = async (queue: HostQueue, slba: number, count: number) =>
    (await queue.must(read(nsid, slba, count), { receive: count * blockBytes })).data
  const put = (queue: HostQueue, slba: number, send: Buffer) =>
    queue.must(write(nsid, slba, send.length / blockBytes), { send, inCapsule: false })
  /** Compares with `expected` and writes `wanted`, both of the same length. */
  const swap = (
    queue: HostQueue, slba: number, expected: Buffer, wanted: Buffer, inCapsule = true,
  ): Promise<string[]> => {
    const count = expected.length / blockBytes
    return statuses(
      queue.submit(fused(compare(nsid, slba, count), 1), { send: expected, inCapsule }),
      queue.submit(fused(write(nsid, slba, count), 2), { send: wanted, inCapsule }),
    )
  }

  test.each([true, false])('FUS-01: data in the capsule: %o', async (inCapsule) => {
    const queue = await ioQueue()
    const [old, fresh] = [Buffer.alloc(2 * blockBytes, 3), Buffer.alloc(2 * blockBytes, 4)]
    await put(queue, 100, Buffer.alloc(4 * blockBytes, 3))
    expect(await swap(queue, 101, old, fresh, inCapsule)).toEqual(['0/00h', '0/00h'])
    const after = Buffer.concat([old.subarray(blockBytes), fresh, old.subarray(blockBytes)])
    expect((await get(queue, 100, 4)).equals(after)).toBe(true)
  })

  test('FUS-02: other data: 2/85h and 0/09h, and nothing is written', async () => {
    const queue = await ioQueue()
    const old = Buffer.alloc(2 * blockBytes, 5)
    await put(queue, 100, old)
    const other = Buffer.from(old)
    other.writeUInt8(6, other.length - 1)
    expect(await swap(queue, 100, other, Buffer.alloc(old.length, 7))).toEqual(['2/85h', '0/09h'])
    expect((await get(queue, 100, 2)).equals(old)).toBe(true)
    expect(await swap(queue, 100, old, other)).toEqual(['0/00h', '0/00h'])
  })

  test('FUS-03: halves on other blocks than each other fail with 0/02h, both', async () => {
    const queue = await ioQueue()
    const send = Buffer.alloc(2 * blockBytes)
    await put(queue, 100, Buffer.alloc(4 * blockBytes))
    for (const second of [write(nsid, 101, 2), write(nsid, 100, 1)]) {
      const bytes = second.readUInt16LE(48) === 0 ? blockBytes : 2 * blockBytes
      expect(await statuses(
        queue.submit(fused(compare(nsid, 100, 2), 1), { send }),
        queue.submit(fused(second, 2), { send: Buffer.alloc(bytes, 1) }),
      )).toEqual(['0/02h', '0/02h'])
    }
    expect((await get(queue, 100, 4)).every((byte) => byte === 0)).toBe(true)
  })

  test('FUS-04: as many blocks as NACWU says, and one more', async () => {
    const session = await openSession(disks.endpoint, { subnqn: NQN })
    const queue = session.queue(1)
    const { data } = await session.admin.must(identify(0, nsid), { receive: 4096 })
    const most = data.readUInt16LE(38) + 1
    expect([data.readUInt8(24) & 2, most * blockBytes]).toEqual([2, FUSED_BYTES])
    await queue.must(writeZeroes(nsid, 0, most + 1))
    const zeroes = Buffer.alloc(FUSED_BYTES)
    expect(await swap(queue, 0, zeroes, Buffer.alloc(FUSED_BYTES, 8), false)).toEqual(['0/00h', '0/00h'])
    const more = Buffer.alloc(FUSED_BYTES + blockBytes)
    expect(await swap(queue, 0, more, more, false)).toEqual(['0/14h', '0/14h'])
    expect((await get(queue, 0, most)).every((byte) => byte === 8)).toBe(true)
  })

  test('FUS-08: counters that four queues raise lose nothing, and are never seen in between', async () => {
    const rounds = 12
    const blocks = 4
    const bytes = blocks * blockBytes
    const value = (count: number): Buffer => Buffer.alloc(bytes, Buffer.from([count, count >>> 8]))
    const queues = await Promise.all([0, 1, 2, 3].map(ioQueue))
    const reader = await ioQueue()
    await put(reader, 40, value(0))
    let raising = true
    const raise = async (queue: HostQueue): Promise<void> => {
      for (let done = 0; done < rounds;) {
        const count = (await get(queue, 40, blocks)).readUInt16LE(0)
        const both = await swap(queue, 40, value(count), value(count + 1), count % 2 === 0)
        if (both[1] === '0/00h') done += 1
        else expect(both).toEqual(['2/85h', '0/09h'])
      }
    }
    const watch = async (): Promise<void> => {
      while (raising) {
        const seen = await get(reader, 40, blocks)
        expect(seen.equals(value(seen.readUInt16LE(0))), 'one counter in all blocks').toBe(true)
      }
    }
    const watching = watch()
    await Promise.all(queues.map(raise))
    raising = false
    await watching
    expect((await get(reader, 40, blocks)).readUInt16LE(0)).toBe(4 * rounds)
  })

  test('FUS-08: a write is before both halves, and fails them, or after both', async () => {
    const [one, two] = [await ioQueue(), await ioQueue()]
    const [old, wanted, other] = [1, 2, 3].map((byte) => Buffer.alloc(FUSED_BYTES, byte))
    const middle = FUSED_BYTES / blockBytes / 2
    for (let round = 0; round < 30; round += 1) {
      await put(one, 0, old!)
      const pair = swap(one, 0, old!, wanted!, false)
      // Behind a few others, so that it comes at different times.
      for (let ahead = 0; ahead < round % 6; ahead += 1) await get(two, 1000, 1)
      await two.must(write(nsid, middle, 1), { send: other!.subarray(0, blockBytes) })
      await pair
      expect((await get(two, middle, 1)).equals(other!.subarray(0, blockBytes)), `round ${round}`).toBe(true)
    }
  })

  test('FUS-09: writes of other queues to the same and to other blocks go on meanwhile', async () => {
    const [one, two] = [await ioQueue(), await ioQueue()]
    const zeroes = Buffer.alloc(blockBytes)
    await put(one, 60, Buffer.alloc(2 * blockBytes))
    const running = Array.from({ length: 40 }, (_, k) => [
      swap(one, 60, zeroes, zeroes, k % 2 === 0),
      statuses(two.submit(write(nsid, 60 + k % 2, 1), { send: zeroes, inCapsule: k % 3 === 0 })),
      statuses(two.submit(writeZeroes(nsid, 60, 1)), two.submit(verify(nsid, 60, 2))),
    ]).flat()
    for (const each of await Promise.all(running)) expect(new Set(each)).toEqual(new Set(['0/00h']))
  })
})

describe('a half alone', () => {
  const send = Buffer.alloc(512)

  test('FUS-05: a second without a first fails with 0/0Ah', async () => {
    const queue = await ioQueue()
    await queue.must(writeZeroes(1, 5, 1))
    for (const inCapsule of [true, false]) {
      const done = await queue.submit(fused(write(1, 5, 1), 2), { send: Buffer.alloc(512, 1), inCapsule })
      expect(done.status).toBe('0/0Ah')
    }
    expect((await queue.must(read(1, 5, 1), { receive: 512 })).data[0]).toBe(0)
  })

  test.each([true, false])('FUS-05: a first that something else follows fails with 0/0Ah', async (inCapsule) => {
    const queue = await ioQueue()
    await queue.must(writeZeroes(1, 5, 1))
    const first = (): Promise<Completion> =>
      queue.submit(fused(compare(1, 5, 1), 1), { send, inCapsule })
    expect(await statuses(first(), queue.submit(read(1, 0, 1), { receive: 512 }))).toEqual(['0/0Ah', '0/00h'])
    expect(await statuses(first(), queue.submit(read(1, 2 ** 40, 1), { receive: 512 }),
      queue.submit(fused(write(1, 5, 1), 2), { send }))).toEqual(['0/0Ah', '0/80h', '0/0Ah'])
    // Another first: it is the one that the second belongs to.
    expect(await statuses(first(), first(), queue.submit(fused(write(1, 5, 1), 2), { send })))
      .toEqual(['0/0Ah', '0/00h', '0/00h'])
  })

  test('FUS-05: halves on different queues are no pair', async () => {
    const session = await openSession(disks.endpoint, { subnqn: NQN }, 2)
    const first = session.queue(1).submit(fused(compare(1, 5, 1), 1), { send })
    const second = await session.queue(2).submit(fused(write(1, 5, 1), 2), { send })
    expect(second.status).toBe('0/0Ah')
    await session.queue(1).must(read(1, 0, 1), { receive: 512 })
    expect((await first).status).toBe('0/0Ah')
  })

  test('FUS-05: a first whose host goes is nothing to the next one', async () => {
    const queue = await ioQueue()
    void queue.submit(fused(compare(1, 5, 1), 1), { send, held: true })
    await queue.must(keepAlive()).catch(() => {})
    await queue.wire.destroy()
    const next = await ioQueue()
    expect((await next.submit(fused(write(1, 5, 1), 2), { send })).status).toBe('0/0Ah')
  })
})

describe('a half that is wrong', () => {
  const send = Buffer.alloc(512)

  test.each([
    ['beyond the end', compare(1, 2 ** 30, 1), '0/80h'], ['of no namespace', compare(99, 5, 1), '0/0Bh'],
    ['of another length', compare(1, 5, 2), '0/0Fh'], ['a Write', write(1, 5, 1), '0/02h'],
  ])('FUS-06: a first %s: its second fails with 0/09h', async (_what, command, status) => {
    const queue = await ioQueue()
    expect(await statuses(
      queue.submit(fused(command, 1), { send }), queue.submit(fused(write(1, 5, 1), 2), { send }),
    )).toEqual([status, '0/09h'])
  })

  test.each([
    ['beyond the end', write(1, 2 ** 30, 1), '0/80h'], ['of another length', write(1, 5, 2), '0/0Fh'],
    ['a Compare', compare(1, 5, 1), '0/02h'], ['read-only', write(READ_ONLY_NSID, 5, 1), '0/20h'],
  ])('FUS-06: a second %s: its first fails with 0/09h', async (_what, command, status) => {
    const queue = await ioQueue()
    for (const inCapsule of [true, false]) {
      expect(await statuses(
        queue.submit(fused(compare(1, 5, 1), 1), { send, inCapsule }),
        queue.submit(fused(command, 2), { send, inCapsule }),
      )).toEqual(['0/09h', status])
    }
  })

  test('FUS-07: FUSE 3, and FUSE on the admin queue, fail with 0/02h', async () => {
    const session = await openSession(disks.endpoint, { subnqn: NQN })
    const queue = session.queue(1)
    expect((await queue.submit(fused(compare(1, 0, 1), 3), { send })).status).toBe('0/02h')
    expect((await queue.submit(fused(read(1, 0, 1), 3), { receive: 512 })).status).toBe('0/02h')
    for (const fuse of [1, 2, 3] as const) {
      expect((await session.admin.submit(fused(identify(1), fuse), { receive: 4096 })).status).toBe('0/02h')
    }
    await queue.must(read(1, 0, 1), { receive: 512 })
  })
})

test('FUS-01: Identify says that there is Compare and Write, and ACWU of the largest blocks', async () => {
  const { admin } = await openSession(disks.endpoint, { subnqn: NQN }, 0)
  const { data } = await admin.must(identify(1), { receive: 4096 })
  expect([data.readUInt16LE(522), data.readUInt16LE(532)]).toEqual([1, FUSED_BYTES / 4096 - 1])
})
