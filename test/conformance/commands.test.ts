/**
 * The optional commands: Verify, Copy, and the sizes that hosts are told for them and for Write
 * Zeroes and Compare.                NVM Command Set 1.0, 3.2; Identify, CNS 00h and 06h.
 *
 * Memory and files, blocks of 512 and of 4096 bytes, queues on two reactors.
 */
import { describe, expect, test } from 'vitest'
import {
  DEAC, compare, copy, copyRanges, identify, read, verify, write, writeZeroes,
} from '../command-bytes.ts'
import { NQN } from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { openSession } from '../host-session.ts'
import { DISKS, DISK_BYTES, READ_ONLY_NSID, serveDisks } from './disks.ts'

const MDTS_BYTES = 1024 * 1024
const LIMIT_BYTES = 32 * 1024 * 1024

const disks = serveDisks()
const { ioQueue } = disks

function pattern(bytes: number, seed: number): Buffer {
  const data = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += 4) data.writeUInt32LE((at * 69069 + seed * 7919) >>> 0, at)
  return data
}

describe.each(DISKS)('$device, $blockBytes-byte blocks', ({ nsid, blockBytes }) => {
  const blocks = DISK_BYTES / blockBytes
  const mcl = MDTS_BYTES / blockBytes
  const put = (queue: HostQueue, slba: number, send: Buffer) =>
    queue.must(write(nsid, slba, send.length / blockBytes), { send, inCapsule: false })
  const get = async (queue: HostQueue, slba: number, count: number) =>
    (await queue.must(read(nsid, slba, count), { receive: count * blockBytes })).data

  test.each([0, 1] as const)('CMD-01: five ranges, descriptor format %i', async (format) => {
    const queue = await ioQueue()
    await put(queue, 0, pattern(100 * blockBytes, 1))
    await put(queue, 1000, pattern(100 * blockBytes, 2))
    const ranges = [[3, 7], [90, 10], [0, 1], [3, 7], [50, 25]] as const
    const send = copyRanges(ranges.map(([slba, count]) => ({ slba, blocks: count })), format)
    await queue.must(copy(nsid, 1005, ranges.length, format), { send })
    const source = await get(queue, 0, 100)
    const wanted = Buffer.concat(ranges.map(([slba, count]) =>
      source.subarray(slba * blockBytes, (slba + count) * blockBytes)))
    const expected = pattern(100 * blockBytes, 2)
    wanted.copy(expected, 5 * blockBytes)
    expect((await get(queue, 1000, 100)).equals(expected)).toBe(true)
    expect(source.equals(pattern(100 * blockBytes, 1))).toBe(true)
  })

  test('CMD-01: the largest Copy, in one range and in 128, descriptors by R2T', async () => {
    const queue = await ioQueue()
    const data = pattern(MDTS_BYTES, 3)
    await put(queue, 0, data)
    await queue.must(copy(nsid, mcl, 1), { send: copyRanges([{ slba: 0, blocks: mcl }]) })
    expect((await get(queue, mcl, mcl)).equals(data)).toBe(true)
    const piece = mcl / 128
    const backwards = Array.from({ length: 128 }, (_, k) => ({ slba: (127 - k) * piece, blocks: piece }))
    await queue.must(copy(nsid, 3 * mcl, 128), { send: copyRanges(backwards), inCapsule: false })
    const back = await get(queue, 3 * mcl, mcl)
    for (const [k, { slba }] of backwards.entries()) {
      const at = k * piece * blockBytes
      const from = slba * blockBytes
      const same = back.subarray(at, at + piece * blockBytes)
        .equals(data.subarray(from, from + piece * blockBytes))
      expect(same, `range ${k}`).toBe(true)
    }
  })

  test('CMD-02: a source that overlaps the target is copied as it was', async () => {
    const queue = await ioQueue()
    const data = pattern(64 * blockBytes, 4)
    await put(queue, 200, data)
    const send = copyRanges([{ slba: 200, blocks: 30 }, { slba: 220, blocks: 30 }])
    await queue.must(copy(nsid, 201, 2), { send })
    const wanted = Buffer.concat([
      data.subarray(0, 30 * blockBytes), data.subarray(20 * blockBytes, 50 * blockBytes),
    ])
    expect((await get(queue, 201, 60)).equals(wanted)).toBe(true)
  })

  test('CMD-03: what Identify limits fails with 1/83h, and changes nothing', async () => {
    const session = await openSession(disks.endpoint, { subnqn: NQN })
    const queue = session.queue(1)
    const { data } = await session.admin.must(identify(0, nsid), { receive: 4096 })
    const limits = [data.readUInt16LE(74), data.readUInt32LE(76), data.readUInt8(80)]
    expect(limits).toEqual([mcl, mcl, 127])
    await put(queue, 0, Buffer.alloc(blockBytes, 1))
    const refused = async (ranges: { slba: number; blocks: number }[]): Promise<string> =>
      (await queue.submit(copy(nsid, 0, ranges.length), { send: copyRanges(ranges) })).status
    expect(await refused([{ slba: 5, blocks: mcl + 1 }])).toBe('1/83h')
    expect(await refused([{ slba: 5, blocks: mcl }, { slba: 5, blocks: 1 }])).toBe('1/83h')
    expect(await refused(Array(129).fill({ slba: 5, blocks: 1 }))).toBe('1/83h')
    expect((await get(queue, 0, 1)).equals(Buffer.alloc(blockBytes, 1))).toBe(true)
  })

  test('CMD-04: a source or a target beyond the end fails with 0/80h', async () => {
    const queue = await ioQueue()
    const at = async (source: number | bigint, target: number | bigint): Promise<string> =>
      (await queue.submit(copy(nsid, target, 2), {
        send: copyRanges([{ slba: 0, blocks: 1 }, { slba: source, blocks: 2 }]),
      })).status
    expect(await at(blocks - 1, 0)).toBe('0/80h')
    expect(await at((1n << 64n) - 1n, 0)).toBe('0/80h')
    expect(await at(0, blocks - 2)).toBe('0/80h')
    expect(await at(0, (1n << 64n) - 1n)).toBe('0/80h')
    expect(await at(blocks - 2, blocks - 3)).toBe('0/00h')
  })

  test('CMD-06: Verify, up to VSL', async () => {
    const queue = await ioQueue()
    await put(queue, 0, pattern(16 * blockBytes, 5))
    await queue.must(verify(nsid, 0, 1))
    await queue.must(verify(nsid, 1, LIMIT_BYTES / blockBytes))
    expect((await queue.submit(verify(nsid, blocks - 1, 2))).status).toBe('0/80h')
    expect((await queue.submit(verify(nsid, 0, 1), { receive: blockBytes })).status).toBe('0/0Fh')
    if (blockBytes === 512) return
    expect((await queue.submit(verify(nsid, 0, LIMIT_BYTES / blockBytes + 1))).status).toBe('0/02h')
  })

  test('CMD-07: Write Zeroes up to WZSL, kept or given back', async () => {
    const queue = await ioQueue()
    const count = LIMIT_BYTES / blockBytes
    for (const control of [0, DEAC]) {
      for (const slba of [0, count - 1, count, count + 1]) {
        await put(queue, 1 + slba, Buffer.alloc(blockBytes, 9))
      }
      await queue.must(writeZeroes(nsid, 1, count, control))
      expect((await get(queue, 1, 1)).every((byte) => byte === 0)).toBe(true)
      expect((await get(queue, count, 1)).every((byte) => byte === 0)).toBe(true)
      expect((await get(queue, count + 1, 1)).every((byte) => byte === 9)).toBe(true)
    }
    if (blockBytes === 512) return
    expect((await queue.submit(writeZeroes(nsid, 0, count + 1))).status).toBe('0/02h')
  })

  test('CMD-08: Compare of as much as MDTS allows', async () => {
    const queue = await ioQueue()
    const send = pattern(MDTS_BYTES, 6)
    await put(queue, 0, send)
    await queue.must(compare(nsid, 0, mcl), { send, inCapsule: false })
    const other = Buffer.from(send)
    other.writeUInt8(other.readUInt8(MDTS_BYTES - 1) ^ 1, MDTS_BYTES - 1)
    const done = await queue.submit(compare(nsid, 0, mcl), { send: other, inCapsule: false })
    expect(done.status).toBe('2/85h')
  })
})

test('CMD-05: Copy of a form that OCFS has not, of another length, to what may only be read', async () => {
  const session = await openSession(disks.endpoint, { subnqn: NQN })
  const queue = session.queue(1)
  const { data } = await session.admin.must(identify(1), { receive: 4096 })
  expect(data.readUInt16LE(534), 'OCFS').toBe(3)
  const send = copyRanges([{ slba: 0, blocks: 1 }])
  for (const format of [2, 3, 15]) {
    expect((await queue.submit(copy(1, 0, 1, format), { send })).status).toBe('0/02h')
  }
  expect((await queue.submit(copy(1, 0, 2), { send })).status).toBe('0/0Fh')
  expect((await queue.submit(copy(1, 0, 1, 1), { send })).status).toBe('0/0Fh')
  expect((await queue.submit(copy(1, 0, 1))).status).toBe('0/0Fh')
  expect((await queue.submit(copy(READ_ONLY_NSID, 0, 1), { send })).status).toBe('0/20h')
  expect((await queue.submit(copy(99, 0, 1), { send })).status).toBe('0/0Bh')
  await queue.must(verify(READ_ONLY_NSID, 0, 8))
})

test('CMD-06 CMD-07: CNS 06h tells VSL and WZSL', async () => {
  const { admin } = await openSession(disks.endpoint, { subnqn: NQN }, 0)
  const { data } = await admin.must(identify(6), { receive: 4096 })
  expect([4096 << data.readUInt8(0), 4096 << data.readUInt8(1)]).toEqual([LIMIT_BYTES, LIMIT_BYTES])
  expect(data.subarray(2).every((byte) => byte === 0), 'no other limits').toBe(true)
})
