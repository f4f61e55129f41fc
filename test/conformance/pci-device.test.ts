/**
 * A namespace of an NVMe controller that weft drives, as hosts see it: every command that changes or reads blocks, on
 * two reactors, against a fake controller that checks what it is told.   NVM Command Set 1.0, I/O commands
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  DEAC, FUA, asyncEventRequest, compare, copy, copyRanges, datasetManagement, flush, getLogPage, identify, rangeList, read,
  setFeatures, verify, write, writeZeroes,
} from '../command-bytes.ts'
import { closeWires } from '../host.ts'
import { openSession, type Session } from '../host-session.ts'
import { FAKE_SMART } from '../nvme/commands.ts'
import { FAKE_DEFAULTS, type FakeOptions } from '../nvme/device.ts'
import { SERVED_NQN, serveFake, type Served } from '../nvme/served.ts'

const MEDIUM = FAKE_DEFAULTS.namespaces[0]!
const [WRITE, FLUSH_OPCODE, DSM, ZEROES, COMPARE] = [1, 0, 9, 8, 5]

const kinds: [name: string, options: Partial<FakeOptions>][] = [
  ['a device with every command, PRPs', { namespaces: [MEDIUM, { ...MEDIUM, nsid: 2, blockBytes: 4096, blockCount: 1024 }] }],
  ['a device with SGLs, a boundary and small transfers', {
    sgls: 1, mdts: 2, mqes: 31, stride: 2,
    namespaces: [{ ...MEDIUM, noiob: 64 }, { ...MEDIUM, nsid: 2, blockBytes: 4096, blockCount: 1024 }],
  }],
  ['a device with Read and Write alone', {
    oncs: 0, vwc: 0, namespaces: [{ ...MEDIUM, dlfeat: 0 }, { ...MEDIUM, nsid: 2, blockBytes: 4096, blockCount: 1024 }],
  }],
]

function pattern(bytes: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => (at * 31 + (at >> 8) * 7 + seed) & 0xff))
}

describe.each(kinds)('%s', (_name, options) => {
  let served: Served
  let session: Session
  const oncs = options.oncs ?? FAKE_DEFAULTS.oncs

  beforeAll(async () => {
    served = await serveFake(options, [['--pci', '03:00.0/2']])
    session = await openSession(served.endpoint, { subnqn: SERVED_NQN }, 2)
  })
  afterAll(async () => {
    await closeWires()
    await served.stop()
    expect(served.device.violations).toEqual([])
  })
  afterEach(() => { expect(served.device.violations).toEqual([]) })

  test('blocks of both namespaces are the device\'s, whatever the size and the reactor', async () => {
    for (const [qid, nsid, blockBytes] of [[1, 1, 512], [2, 1, 512], [1, 2, 4096], [2, 2, 4096]] as const) {
      for (const bytes of [4096, 12288, 131072, 1048576]) {
        const queue = session.queue(qid)
        const data = pattern(bytes, qid * 3 + nsid + bytes)
        const [lba, blocks] = [bytes / blockBytes, bytes / blockBytes]
        await queue.must(write(nsid, lba, blocks), { send: data, inCapsule: false })
        expect(Buffer.compare(served.device.media.blocks(nsid, lba, blocks), data)).toBe(0)
        const { data: back } = await queue.must(read(nsid, lba, blocks), { receive: bytes })
        expect(back.equals(data)).toBe(true)
      }
    }
  })

  test('a block in a capsule', async () => {
    const data = pattern(512, 5)
    await session.queue(1).must(write(1, 3, 1), { send: data })
    expect(Buffer.compare(served.device.media.blocks(1, 3, 1), data)).toBe(0)
  })

  test('many commands at a time on both queues', async () => {
    const all = Array.from({ length: 128 }, async (_, k) => {
      const queue = session.queue(1 + k % 2)
      const data = pattern(8192, k)
      await queue.must(write(1, k * 16, 16), { send: data, inCapsule: k % 3 === 0 })
      const { data: back } = await queue.must(read(1, k * 16, 16), { receive: 8192 })
      return back.equals(data)
    })
    expect(await Promise.all(all)).toEqual(all.map(() => true))
  })

  test('Force Unit Access and Flush reach the device', async () => {
    served.device.seen.length = 0
    await session.queue(1).must(write(1, 0, 8, FUA), { send: pattern(4096, 1) })
    await session.queue(1).must(flush(1))
    const seen = served.device.seen.filter(({ qid }) => qid !== 0)
    expect(seen.filter(({ opcode }) => opcode === WRITE).every(({ control }) => (control & 0x4000) !== 0)).toBe(true)
    // Without a volatile write cache there is nothing to flush.
    expect(seen.some(({ opcode }) => opcode === FLUSH_OPCODE)).toBe(options.vwc !== 0)
  })

  test('Write Zeroes, with and without Deallocate', async () => {
    for (const cdw12 of [0, DEAC]) {
      await session.queue(1).must(write(1, 100, 64), { send: pattern(32768, 9), inCapsule: false })
      served.device.seen.length = 0
      await session.queue(1).must(writeZeroes(1, 101, 62, cdw12))
      const { data } = await session.queue(1).must(read(1, 100, 64), { receive: 32768 })
      expect(data.subarray(512, 63 * 512).every((byte) => byte === 0)).toBe(true)
      expect(data.subarray(0, 512).equals(pattern(32768, 9).subarray(0, 512))).toBe(true)
      expect(data.subarray(63 * 512).equals(pattern(32768, 9).subarray(63 * 512))).toBe(true)
      expect(served.device.seen.some(({ opcode }) => opcode === ZEROES)).toBe((oncs & 8) !== 0)
    }
  })

  test('Dataset Management: every range, and nothing where the device cannot', async () => {
    await session.queue(1).must(write(1, 200, 32), { send: pattern(16384, 3), inCapsule: false })
    served.device.seen.length = 0
    await session.queue(1).must(datasetManagement(1, 2), { send: rangeList([{ slba: 200, blocks: 8 }, { slba: 220, blocks: 4 }]) })
    const ranges = served.device.seen.filter(({ opcode }) => opcode === DSM)
    expect(ranges).toHaveLength((oncs & 4) === 0 ? 0 : 2)
    const { data } = await session.queue(1).must(read(1, 200, 32), { receive: 16384 })
    expect(data.subarray(8 * 512, 20 * 512).equals(pattern(16384, 3).subarray(8 * 512, 20 * 512))).toBe(true)
  })

  test('Compare: the same is success, another is 2/85h', async () => {
    const data = pattern(65536, 8)
    await session.queue(2).must(write(1, 300, 128), { send: data, inCapsule: false })
    served.device.seen.length = 0
    await session.queue(2).must(compare(1, 300, 128), { send: data, inCapsule: false })
    data[40000]! ^= 1
    const { status } = await session.queue(2).submit(compare(1, 300, 128), { send: data, inCapsule: false })
    expect(status).toBe('2/85h')
    expect(served.device.seen.some(({ opcode }) => opcode === COMPARE)).toBe((oncs & 1) !== 0)
  })

  test('Verify and Copy', async () => {
    const data = pattern(32768, 4)
    await session.queue(1).must(write(1, 500, 64), { send: data, inCapsule: false })
    await session.queue(1).must(verify(1, 500, 64))
    const ranges = copyRanges([{ slba: 500, blocks: 32 }, { slba: 532, blocks: 32 }])
    await session.queue(1).must(copy(1, 600, 2), { send: ranges })
    expect(Buffer.compare(served.device.media.blocks(1, 600, 64), data)).toBe(0)
  })

  test('a medium error has the status of the device, and is logged once', async () => {
    served.device.faults.bad.add(700)
    const lost = await session.queue(1).submit(read(1, 696, 8), { receive: 4096 })
    const failed = await session.queue(1).submit(write(1, 700, 1), { send: pattern(512, 0) })
    const bad = await session.queue(1).submit(verify(1, 700, 1))
    served.device.faults.bad.clear()
    expect([lost.status, failed.status, bad.status]).toEqual(['2/81h', '2/80h', '2/81h'])
    await served.line('deviceError')
  })

  test('the SMART log has the temperature, wear and counters of the device', async () => {
    let log: Buffer = Buffer.alloc(512)
    const reads = async (): Promise<boolean> => {
      log = (await session.admin.must(getLogPage(0x02, 128, 0, { nsid: 0xffffffff }), { receive: 512 })).data
      return log.readUInt16LE(1) === FAKE_SMART.temperature
    }
    for (let tries = 0; tries < 1000 && !await reads(); tries++) await new Promise((resolve) => { setTimeout(resolve, 20) })
    expect([log.readUInt16LE(1), log[3], log[5], log.readUInt32LE(128)])
      .toEqual([FAKE_SMART.temperature, FAKE_SMART.spare, FAKE_SMART.used, FAKE_SMART.hours])
    expect(log.readUInt32LE(160)).toBeGreaterThanOrEqual(FAKE_SMART.mediaErrors)
    // Ours: what the host has read.
    expect(log.readUInt32LE(64)).toBeGreaterThan(0)
  })

  test('an error and a warning that the device tells of by itself reach hosts, each time its log was read', async () => {
    await session.admin.must(setFeatures(0x0b, 0x1f))
    for (const [type, information, log, dwords] of [[0, 4, 0x01, 16], [1, 1, 0x02, 128], [0, 3, 0x01, 16]] as const) {
      const told = session.admin.must(asyncEventRequest(), { held: true })
      served.device.event(type, information, log)
      expect((await told).dw0).toBe(type | information << 8 | log << 16)
      await session.admin.must(getLogPage(log, dwords, 0, { nsid: 0xffffffff }), { receive: 4 * dwords })
    }
    await served.line('Unrecovered Read Error')
  })

  test('Identify says what the device does: size, blocks, boundary', async () => {
    const { data } = await session.admin.must(identify(0, 1), { receive: 4096 })
    expect([data.readBigUInt64LE(0), data[130], data.readUInt16LE(46)])
      .toEqual([8192n, 9, options.namespaces![0]!.noiob])
    expect(data[33]! & 7).toBe(options.namespaces![0]!.dlfeat === 9 ? 1 : 0)
  })
})
