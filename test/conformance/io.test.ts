/**
 * I/O commands and every status that they can end with.
 * NVM Command Set 1.0; NVMe Base 2.0, status codes. Data are moved on a memory namespace of each
 * block size; other devices, engines and reactors have io-data.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  DEAC, FUA, compare, datasetManagement, flush, getLogPage, identify, rangeList, read, sqe,
  write, writeZeroes,
} from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const MEMORY_BYTES = 64 * 1024 * 1024
const SMALL = { nsid: 1, blockBytes: 512, blocks: MEMORY_BYTES / 512 }
const LARGE = { nsid: 2, blockBytes: 4096, blocks: MEMORY_BYTES / 4096 }
const NULL_NSID = 7
const READ_ONLY_NSID = 8

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({
    subsystems: [{
      nqn: NQN,
      hosts: 'any',
      namespaces: [
        { nsid: 1, memory: '64M' },
        { nsid: 2, memory: '64M', block: 4096 },
        { nsid: NULL_NSID, null: '1T' },
        { nsid: READ_ONLY_NSID, memory: '8M', readOnly: true },
      ],
    }],
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const ioQueue = async (): Promise<HostQueue> =>
  (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)

function pattern(bytes: number, seed: number): Buffer {
  const data = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += 4) data.writeUInt32LE((at * 69069 + seed * 7919) >>> 0, at)
  return data
}

describe.each([SMALL, LARGE])('$blockBytes-byte blocks', ({ nsid, blockBytes, blocks }) => {
  const put = (queue: HostQueue, slba: number, send: Buffer, cdw12 = 0) =>
    queue.must(write(nsid, slba, send.length / blockBytes, cdw12),
      { send, inCapsule: send.length <= 16384 })
  const get = async (queue: HostQueue, slba: number, count: number) =>
    (await queue.must(read(nsid, slba, count), { receive: count * blockBytes })).data

  test.each([1, 2, 3, 8, 16, 17, 256])('NVM-01: %i blocks', async (count) => {
    const queue = await ioQueue()
    const send = pattern(count * blockBytes, count)
    await put(queue, 40, send)
    expect((await get(queue, 40, count)).equals(send)).toBe(true)
    // The same blocks one at a time.
    for (let index = 0; index < Math.min(count, 4); index += 1) {
      const one = send.subarray(index * blockBytes, (index + 1) * blockBytes)
      expect((await get(queue, 40 + index, 1)).equals(one)).toBe(true)
    }
  })

  test('NVM-01: the first and the last block', async () => {
    const queue = await ioQueue()
    const [first, last] = [pattern(blockBytes, 1), pattern(blockBytes, 2)]
    await put(queue, 0, first)
    await put(queue, blocks - 1, last)
    expect((await get(queue, 0, 1)).equals(first)).toBe(true)
    expect((await get(queue, blocks - 1, 1)).equals(last)).toBe(true)
  })

  test('NVM-02: FUA', async () => {
    const queue = await ioQueue()
    const send = pattern(blockBytes, 3)
    await put(queue, 8, send, FUA)
    const done = await queue.must(read(nsid, 8, 1, FUA), { receive: blockBytes })
    expect(done.data.equals(send)).toBe(true)
  })

  test.each([0, DEAC, FUA])('NVM-04: Write Zeroes with CDW12 %i', async (cdw12) => {
    const queue = await ioQueue()
    const send = pattern(32 * blockBytes, 4)
    await put(queue, 100, send)
    const done = await queue.submit(writeZeroes(nsid, 110, 5, cdw12))
    if (cdw12 === DEAC && done.status === '0/02h') return
    expect(done.status).toBe('0/00h')
    send.fill(0, 10 * blockBytes, 15 * blockBytes)
    expect((await get(queue, 100, 32)).equals(send)).toBe(true)
  })

  test('NVM-05: deallocate two ranges of three', async () => {
    const queue = await ioQueue()
    const send = pattern(64 * blockBytes, 5)
    await put(queue, 200, send)
    const ranges = rangeList([
      { slba: 201, blocks: 1 }, { slba: 210, blocks: 20 }, { slba: 240, blocks: 0 },
    ])
    await queue.must(datasetManagement(nsid, 3), { send: ranges })
    send.fill(0, blockBytes, 2 * blockBytes)
    send.fill(0, 10 * blockBytes, 30 * blockBytes)
    expect((await get(queue, 200, 64)).equals(send)).toBe(true)
  })

  test('NVM-05: 256 ranges, in the capsule and by R2T', async () => {
    const queue = await ioQueue()
    const ranges = rangeList(Array.from({ length: 256 }, (_, index) =>
      ({ slba: 1000 + 2 * index, blocks: 1 })))
    for (const inCapsule of [true, false]) {
      const send = pattern(512 * blockBytes, 6).subarray(0, 256 * blockBytes)
      await put(queue, 1000, send)
      await queue.must(datasetManagement(nsid, 256), { send: ranges, inCapsule })
      for (let index = 0; index < 256; index += 2) {
        send.fill(0, index * blockBytes, (index + 1) * blockBytes)
      }
      expect((await get(queue, 1000, 256)).equals(send)).toBe(true)
    }
  })

  test('NVM-06: Compare, equal and different in the last byte', async () => {
    const queue = await ioQueue()
    for (const count of [1, 8, 64]) {
      const send = pattern(count * blockBytes, 7)
      const inCapsule = send.length <= 16384
      await put(queue, 300, send)
      await queue.must(compare(nsid, 300, count), { send, inCapsule })
      const other = Buffer.from(send)
      other.writeUInt8(other.readUInt8(other.length - 1) ^ 1, other.length - 1)
      const done = await queue.submit(compare(nsid, 300, count), { send: other, inCapsule })
      expect(done.status).toBe('2/85h')
      expect((await get(queue, 300, count)).equals(send)).toBe(true)
    }
  })

  test.each([
    ['the block after the last', 0n, 1],
    ['two blocks at the last', -1n, 2],
    ['far beyond', 1n << 40n, 1],
    ['2^53', (1n << 53n) - BigInt(MEMORY_BYTES), 1],
    ['where SLBA + NLB overflows', (1n << 64n) - 1n - BigInt(MEMORY_BYTES), 8],
  ])('NVM-07: %s', async (_name, offset, count) => {
    const queue = await ioQueue()
    const slba = offset >= 1n << 50n ? offset : BigInt(blocks) + offset
    const bytes = count * blockBytes
    const send = Buffer.alloc(bytes)
    expect((await queue.submit(read(nsid, slba, count), { receive: bytes })).status).toBe('0/80h')
    for (const inCapsule of bytes <= 16384 ? [true, false] : [false]) {
      const done = await queue.submit(write(nsid, slba, count), { send, inCapsule })
      expect([done.status, done.r2ts.length]).toEqual(['0/80h', 0])
    }
    expect((await queue.submit(writeZeroes(nsid, slba, count))).status).toBe('0/80h')
    const compared = await queue.submit(compare(nsid, slba, count), { send, inCapsule: false })
    expect(compared.status).toBe('0/80h')
    const ranges = rangeList([{ slba, blocks: count }])
    const trimmed = await queue.submit(datasetManagement(nsid, 1), { send: ranges })
    expect(trimmed.status).toBe('0/80h')
  })

  test.each([
    ['one block less', 7],
    ['one block more', 9],
  ])('NVM-08: an SGL of %s', async (_name, count) => {
    const queue = await ioQueue()
    const bytes = count * blockBytes
    expect((await queue.submit(read(nsid, 0, 8), { receive: bytes })).status).toBe('0/0Fh')
    const send = Buffer.alloc(bytes)
    const done = await queue.submit(write(nsid, 0, 8), { send, inCapsule: false })
    expect([done.status, done.r2ts.length]).toEqual(['0/0Fh', 0])
    if (bytes <= 16384) {
      expect((await queue.submit(write(nsid, 0, 8), { send })).status).toBe('0/0Fh')
    }
    await get(queue, 0, 8)
  })

  test('NVM-16: a range that begins inside and ends outside', async () => {
    const queue = await ioQueue()
    const send = pattern(blockBytes, 8)
    await put(queue, blocks - 1, send)
    const ranges = rangeList([{ slba: blocks - 1, blocks: 2 }])
    const done = await queue.submit(datasetManagement(nsid, 1), { send: ranges })
    expect(done.status).toBe('0/80h')
    expect((await get(queue, blocks - 1, 1)).equals(send)).toBe(true)
  })

  test('NVM-16: attributes without deallocate', async () => {
    const queue = await ioQueue()
    const send = pattern(8 * blockBytes, 9)
    await put(queue, 0, send)
    const ranges = rangeList([{ slba: 0, blocks: 8 }])
    await queue.must(datasetManagement(nsid, 1, 3), { send: ranges })
    expect((await get(queue, 0, 8)).equals(send)).toBe(true)
  })

  test('NVM-18: all of it zeroed, in the largest steps there are', async () => {
    const queue = await ioQueue()
    await put(queue, blocks - 1, pattern(blockBytes, 10))
    const most = (32 << 20) / blockBytes
    for (let slba = 0; slba < blocks; slba += most) {
      const count = Math.min(most, blocks - slba)
      expect((await queue.submit(writeZeroes(nsid, slba, count))).status).toBe('0/00h')
    }
    expect((await get(queue, blocks - 1, 1)).every((byte) => byte === 0)).toBe(true)
    await put(queue, blocks - 1, pattern(blockBytes, 11))
    const everything = rangeList([{ slba: 0, blocks }])
    await queue.must(datasetManagement(nsid, 1), { send: everything })
    expect((await get(queue, blocks - 1, 1)).every((byte) => byte === 0)).toBe(true)
  })
})

describe('flush', () => {
  test('NVM-03: one namespace', async () => {
    await (await ioQueue()).must(flush(1))
  })

  test('NVM-03: FFFFFFFFh, as VWC says', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const { data } = await session.admin.must(identify(1), { receive: 4096 })
    const all = (data.readUInt8(525) >>> 1) & 3
    const done = await session.queue(1).submit(flush(0xffffffff))
    expect(done.status).toBe(all === 3 ? '0/00h' : '0/0Bh')
  })
})

describe('namespaces', () => {
  test.each([0, 3, 99, 0xffffffff])('NVM-09: NSID %i', async (nsid) => {
    const queue = await ioQueue()
    const send = Buffer.alloc(512)
    const commands = [
      queue.submit(read(nsid, 0, 1), { receive: 512 }),
      queue.submit(write(nsid, 0, 1), { send }),
      queue.submit(write(nsid, 0, 1), { send, inCapsule: false }),
      queue.submit(compare(nsid, 0, 1), { send }),
      queue.submit(writeZeroes(nsid, 0, 1)),
      queue.submit(datasetManagement(nsid, 1), { send: rangeList([{ slba: 0, blocks: 1 }]) }),
    ]
    if (nsid !== 0xffffffff) commands.push(queue.submit(flush(nsid)))
    for (const done of await Promise.all(commands)) expect(done.status).toBe('0/0Bh')
  })

  test('NVM-14: what is written to one is not seen in another', async () => {
    const queue = await ioQueue()
    const send = pattern(4096, 12)
    await queue.must(writeZeroes(2, 0, 1))
    await queue.must(write(1, 0, 8), { send })
    const other = await queue.must(read(2, 0, 1), { receive: 4096 })
    expect(other.data.every((byte) => byte === 0)).toBe(true)
  })

  test('NVM-15: null', async () => {
    const queue = await ioQueue()
    const send = pattern(65536, 13)
    await queue.must(write(NULL_NSID, 2 ** 30, 128), { send, inCapsule: false })
    const done = await queue.must(read(NULL_NSID, 2 ** 30, 128), { receive: 65536 })
    expect(done.data.every((byte) => byte === 0)).toBe(true)
    await queue.must(flush(NULL_NSID))
    await queue.must(writeZeroes(NULL_NSID, 0, 8))
    const beyond = await queue.submit(read(NULL_NSID, 2 ** 31, 1), { receive: 512 })
    expect(beyond.status).toBe('0/80h')
  })
})

test('NVM-19: a namespace that may only be read', async () => {
  const session = await openSession(daemon.endpoint, { subnqn: NQN })
  const queue = session.queue(1)
  const [nsid, send] = [READ_ONLY_NSID, Buffer.alloc(512, 1)]
  const ranges = rangeList([{ slba: 0, blocks: 1 }])
  const refused = await Promise.all([
    queue.submit(write(nsid, 0, 1), { send }),
    queue.submit(write(nsid, 0, 1), { send, inCapsule: false }),
    queue.submit(writeZeroes(nsid, 0, 1)),
    queue.submit(datasetManagement(nsid, 1), { send: ranges }),
  ])
  for (const { status } of refused) expect(status).toBe('0/20h')
  const { data } = await queue.must(read(nsid, 0, 1), { receive: 512 })
  expect(data.every((byte) => byte === 0)).toBe(true)
  const described = await session.admin.must(identify(0, nsid), { receive: 4096 })
  expect(described.data.readUInt8(99) & 1, 'NSATTR: write protected').toBe(1)
})

describe('opcodes', () => {
  test.each([0x03, 0x06, 0x79, 0x7a, 0x7d, 0x80, 0xff])(
    'NVM-10: %i on an I/O queue', async (opcode) => {
      const queue = await ioQueue()
      expect((await queue.submit(sqe(opcode, 1))).status).toBe('0/01h')
      const send = Buffer.alloc(4096)
      const toTarget = (opcode & 3) === 1
      if (toTarget) expect((await queue.submit(sqe(opcode, 1), { send })).status).toBe('0/01h')
      const big = await queue.submit(sqe(opcode, 1), { send, inCapsule: false })
      expect([big.status, big.r2ts.length]).toEqual(['0/01h', 0])
      await queue.must(read(1, 0, 1), { receive: 512 })
    })

  test.each([0x00, 0x01, 0x04, 0x05, 0x07, 0x0d, 0x10, 0x11, 0x14, 0x15, 0x7c, 0xc0])(
    'NVM-10: %i on the admin queue', async (opcode) => {
      const { admin } = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
      expect((await admin.submit(sqe(opcode, 1))).status).toBe('0/01h')
    })
})

describe('MDTS', () => {
  test('NVM-11: the largest transfer is done, one block more is not', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const { data } = await session.admin.must(identify(1), { receive: 4096 })
    const mdts = data.readUInt8(77)
    expect(mdts, 'a limit').toBeGreaterThan(0)
    const most = 4096 << mdts
    const queue = session.queue(1)
    const send = pattern(most, 14)
    await queue.must(write(1, 0, most / 512), { send, inCapsule: false })
    const back = await queue.must(read(1, 0, most / 512), { receive: most })
    expect(back.data.equals(send)).toBe(true)
    const bytes = most + 512
    const tooMuch = await queue.submit(read(1, 0, bytes / 512), { receive: bytes })
    expect(tooMuch.status).toBe('0/02h')
    const command = write(1, 0, bytes / 512)
    const refused = await queue.submit(command, { send: Buffer.alloc(bytes), inCapsule: false })
    expect([refused.status, refused.r2ts.length]).toEqual(['0/02h', 0])
    await queue.must(read(1, 0, 1), { receive: 512 })
  })

  test('NVM-11: a log page longer than that', async () => {
    const { admin } = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
    const { data } = await admin.must(identify(1), { receive: 4096 })
    const most = 4096 << data.readUInt8(77)
    await admin.must(getLogPage(2, most / 4), { receive: most })
    const beyond = await admin.submit(getLogPage(2, most / 4 + 1), { receive: most + 4 })
    expect([beyond.status, beyond.c2h.length]).toEqual(['0/02h', 0])
    await admin.must(getLogPage(2, 128), { receive: 512 })
  })

  test('NVM-11: an SGL of 4 GiB - 1', async () => {
    const queue = await ioQueue()
    const cid = queue.takeCid()
    const done = queue.expectAnswer(cid)
    await queue.wire.send(queue.capsule(read(1, 0, 65536), { receive: 2 ** 32 - 1 }, cid))
    expect(['0/02h', '0/0Fh']).toContain((await done).status)
    await queue.must(read(1, 0, 1), { receive: 512 })
  })
})

test('NVM-17: Do Not Retry', async () => {
  const queue = await ioQueue()
  const failures = await Promise.all([
    queue.submit(read(1, 2 ** 40, 1), { receive: 512 }),
    queue.submit(read(99, 0, 1), { receive: 512 }),
    queue.submit(sqe(0x80, 1)),
    queue.submit(read(1, 0, 8), { receive: 512 }),
  ])
  for (const { status, dnr } of failures) expect([status, dnr]).toEqual([status, true])
})
