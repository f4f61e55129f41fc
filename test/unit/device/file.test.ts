/**
 * File device: which ops become of a command, in which order, at which positions; and every errno.
 */
import { describe, expect, test } from 'vitest'
import { PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { FileDevice } from '../../../src/device/file.ts'
import type { DeviceSnapshot } from '../../../src/subsystem/subsystem.ts'
import { DeviceRig, PAGE } from './device-rig.ts'

const [READ, WRITE, SYNC, DISCARD, ZERO, COMPARE] = [1, 2, 3, 4, 5, 7]
const FUA = 1
const FILE = 6
const ZERO_BYTES = 4 * PAGE
const [EIO, ENOSPC, EOPNOTSUPP, EINVAL] = [5, 28, 95, 22]
const WRITE_FAULT = 0x280
const UNRECOVERED_READ = 0x281
const COMPARE_FAILURE = 0x4285
const CAPACITY_EXCEEDED = 0x4081
const INTERNAL_ERROR = 0x06

type File = Extract<DeviceSnapshot, { kind: 'file' | 'block' }>

function rig(more: Partial<File> = {}, blockBytes = 512) {
  const device = new DeviceRig()
  const failures: string[] = []
  const snapshot: File = {
    kind: 'file', path: '/disk', file: FILE, direct: true, logicalBytes: 512, physicalBytes: 4096,
    optimalBytes: 0, discardBytes: 4096, boundaryBytes: 0, discard: true,
    zero: true, readOnly: false, ...more,
  }
  const zeroAt = device.buffers.take(ZERO_BYTES)
  const file = new FileDevice(
    device.work, device.buffers, snapshot, blockBytes, zeroAt, ZERO_BYTES,
    (errno, operation) => failures.push(`${operation} ${errno}`),
  )
  const run = (slot: Parameters<DeviceRig['run']>[0], outcome: number, ...results: number[]) =>
    device.run(slot, outcome, (each, result) => file.resume(each, result), results)
  return { device, file, failures, zeroAt, run }
}

describe('read and write', () => {
  test.each([[0, 512], [9_000_000_000, 512], [2 ** 31, 4096], [2 ** 40 + 5, 4096]])(
    'block %i of %i bytes', (lba, blockBytes) => {
      const { device, file, run } = rig({}, blockBytes)
      const bytes = 8 * blockBytes
      const reading = device.slot(lba, 8, bytes)
      const read = run(reading, file.read(reading), 0)
      expect(read.ops).toMatchObject([
        { code: READ, file: FILE, flags: 0, region: 0, at: reading.buffer, bytes, position: lba * blockBytes },
      ])
      expect([read.outcome, reading.region, reading.lo]).toEqual([0, 0, reading.buffer])
      const writing = device.slot(lba, 8, bytes)
      expect(file.place(writing)).toBe(WANTS_DATA)
      expect(device.idle()).toBe(true)
      const write = run(writing, file.write(writing), 0)
      expect(write.ops).toMatchObject([
        { code: WRITE, file: FILE, flags: 0, at: writing.buffer, bytes, position: lba * blockBytes },
      ])
      expect(write.outcome).toBe(0)
    },
  )

  test('onto the medium, where it is asked for', () => {
    const { device, file, run } = rig()
    const slot = device.slot(0, 1, 512, { fua: 1 })
    file.place(slot)
    expect(run(slot, file.write(slot), 0).ops).toMatchObject([{ code: WRITE, flags: FUA }])
  })

  test('blocks for an offset of the arena, and from it', () => {
    const { device, file, run } = rig({}, 4096)
    const slot = device.slot(2 ** 33, 2, 0, { fua: 1 })
    expect(run(slot, file.fetch(slot, 8192), 0)).toMatchObject({
      ops: [{ code: READ, flags: 0, at: 8192, bytes: 8192, position: 2 ** 45 }], outcome: 0,
    })
    expect(run(slot, file.store(slot, 8192), 0)).toMatchObject({
      ops: [{ code: WRITE, flags: FUA, at: 8192, bytes: 8192, position: 2 ** 45 }], outcome: 0,
    })
  })

  test('Verify reads piece after piece into one buffer, until one fails', () => {
    const { device, file, run, failures } = rig()
    const slot = device.slot(100, 600, 0)
    const { ops, outcome } = run(slot, file.verify(slot), 0, 0, 0)
    expect(ops.map(({ code, at, bytes, position }) => [code, at - slot.buffer, bytes, position])).toEqual([
      [READ, 0, 131072, 51200], [READ, 0, 131072, 182272], [READ, 0, 45056, 313344],
    ])
    expect([outcome, failures]).toEqual([0, []])
    const bad = device.slot(100, 8, 0)
    device.buffers.give(slot.buffer)
    expect(run(bad, file.verify(bad), -EIO).outcome).toBe(UNRECOVERED_READ)
    expect(failures).toEqual([`read ${EIO}`])
  })

  test('without a buffer nothing happens', () => {
    const { device, file } = rig()
    while (device.buffers.take(1) !== -1);
    const slot = device.slot(0, 1, 512)
    expect([file.read(slot), file.place(slot), file.placeCompare(slot), file.verify(slot)]).toEqual(Array(4).fill(STALL))
    expect([slot.buffer, device.idle()]).toEqual([-1, true])
  })

  test('buffers that are kept for others are not taken', () => {
    const { device, file } = rig()
    const slot = device.slot(0, 1, 512, { keepPages: device.buffers.freePages })
    expect(file.read(slot)).toBe(STALL)
    slot.keepPages--
    expect(file.read(slot)).toBe(PENDING)
  })
})

describe('flush', () => {
  test('is one sync', () => {
    const { device, file, run } = rig()
    const slot = device.slot(0, 0, 0)
    const { ops, outcome } = run(slot, file.flush(slot), 0)
    expect(ops).toMatchObject([{ code: SYNC, file: FILE, bytes: 0 }])
    expect(outcome).toBe(0)
  })
})

describe('zeroes', () => {
  const BLOCKS = 65536
  const LBA = 2 ** 33

  test('by the file system', () => {
    const { device, file, run } = rig({}, 4096)
    const slot = device.slot(LBA, BLOCKS, 0)
    const { ops, outcome } = run(slot, file.zero(slot, false), 0)
    expect(ops).toMatchObject([{ code: ZERO, file: FILE, position: LBA * 4096, range: BLOCKS * 4096 }])
    expect(outcome).toBe(0)
  })

  test('by a hole, where that is allowed, and on the medium where it is asked for', () => {
    const { device, file, run } = rig()
    const slot = device.slot(LBA, 8, 0, { fua: 1 })
    const { ops, outcome } = run(slot, file.zero(slot, true), 0, 0)
    expect(ops).toMatchObject([{ code: DISCARD, position: LBA * 512, range: 4096 }, { code: SYNC }])
    expect(outcome).toBe(0)
  })

  test.each([[true, false], [false, false]])('a hole is not made where there are none (DEAC %s)', (deallocate) => {
    const { device, file, run } = rig({ discard: false })
    const slot = device.slot(0, 8, 0)
    expect(run(slot, file.zero(slot, deallocate), 0).ops).toMatchObject([{ code: ZERO }])
  })

  test.each([[8, [1]], [32, [4]], [33, [4, 0.125]], [100, [4, 4, 4, 0.5]]])(
    '%i blocks by writing, in pieces of the zeroes there are', (blockCount, pages) => {
      const { device, file, run, zeroAt } = rig({ zero: false, discard: false })
      const slot = device.slot(LBA, blockCount, 0, { fua: 1 })
      const { ops, outcome } = run(slot, file.zero(slot, false), ...pages.map(() => 0))
      let position = LBA * 512
      for (const [index, each] of pages.entries()) {
        expect(ops[index]).toMatchObject({ code: WRITE, flags: FUA, at: zeroAt, bytes: each * PAGE, position })
        position += each * PAGE
      }
      expect([outcome, device.idle()]).toEqual([0, true])
    },
  )

  test('by writing after all, when the file system refuses', () => {
    const { device, file, run, failures } = rig({ discard: false })
    const slot = device.slot(0, 33, 0)
    const { ops, outcome } = run(slot, file.zero(slot, false), -EOPNOTSUPP, 0, 0)
    expect(ops.map(({ code, bytes }) => [code, bytes])).toEqual([[ZERO, 0], [WRITE, 4 * PAGE], [WRITE, 512]])
    expect([outcome, failures]).toEqual([0, []])
  })

  test('by something else after all, when it makes no holes', () => {
    const { device, file, run, failures } = rig()
    const slot = device.slot(0, 8, 0)
    const { ops, outcome } = run(slot, file.zero(slot, true), -EOPNOTSUPP, 0)
    expect(ops.map(({ code }) => code)).toEqual([DISCARD, WRITE])
    expect([outcome, failures]).toEqual([0, []])
  })

  test('a piece that fails ends it', () => {
    const { device, file, run, failures } = rig({ zero: false, discard: false })
    const slot = device.slot(0, 100, 0)
    expect(run(slot, file.zero(slot, false), 0, -ENOSPC).outcome).toBe(CAPACITY_EXCEEDED)
    expect([failures, device.idle()]).toEqual([['write 28'], true])
  })
})

describe('deallocate', () => {
  test('makes a hole, or does nothing', () => {
    const { device, file, run } = rig()
    const slot = device.slot(2 ** 33, 8, 16)
    expect(run(slot, file.deallocate(slot), 0)).toMatchObject({
      ops: [{ code: DISCARD, position: 2 ** 42, range: 4096 }], outcome: 0,
    })
    const without = rig({ discard: false })
    expect(without.file.deallocate(without.device.slot(0, 8, 16))).toBe(0)
    expect(without.device.idle()).toBe(true)
  })

  test('is advice: a file system that makes no holes after all fails nobody', () => {
    const { device, file, run, failures } = rig()
    const slot = device.slot(0, 8, 16)
    slot.opcode = 9
    expect(run(slot, file.deallocate(slot), -EOPNOTSUPP).outcome).toBe(0)
    expect(failures).toEqual([])
  })
})

describe('compare', () => {
  test.each([[512, 2], [4096, 2], [4608, 4], [12288, 8]])(
    '%i bytes: both halves in one buffer, read, then compared', (bytes, pages) => {
      const { device, file, run } = rig()
      const slot = device.slot(2 ** 33, bytes / 512, bytes)
      const free = device.buffers.freePages
      expect(file.placeCompare(slot)).toBe(WANTS_DATA)
      expect(free - device.buffers.freePages).toBe(pages)
      const half = Math.ceil(bytes / PAGE) * PAGE
      const { ops, outcome } = run(slot, file.compare(slot), 0, 0)
      expect(ops).toMatchObject([
        { code: READ, at: slot.buffer + half, bytes, position: 2 ** 42 },
        { code: COMPARE, region: 0, at: slot.buffer, bytes, otherRegion: 0, otherAt: slot.buffer + half },
      ])
      expect([outcome, slot.lo]).toEqual([0, slot.buffer])
    },
  )

  test('different', () => {
    const { device, file, run, failures } = rig()
    const slot = device.slot(0, 1, 512)
    file.placeCompare(slot)
    expect(run(slot, file.compare(slot), 0, 1).outcome).toBe(COMPARE_FAILURE)
    expect(failures).toEqual([])
  })

  test('not readable', () => {
    const { device, file, run, failures } = rig()
    const slot = device.slot(0, 1, 512)
    file.placeCompare(slot)
    expect(run(slot, file.compare(slot), -EIO).outcome).toBe(UNRECOVERED_READ)
    expect([failures, device.idle()]).toEqual([['read 5'], true])
  })
})

test.each<[string, number, number]>([
  ['read', EIO, UNRECOVERED_READ], ['write', EIO, WRITE_FAULT], ['flush', EIO, WRITE_FAULT],
  ['write', ENOSPC, CAPACITY_EXCEEDED], ['read', EINVAL, INTERNAL_ERROR], ['deallocate', EIO, WRITE_FAULT],
])('%s fails with errno %i', (operation, errno, status) => {
  const { device, file, run, failures } = rig()
  const slot = device.slot(0, 1, 512)
  if (operation === 'write') file.place(slot)
  const outcome = file[operation as 'read' | 'write' | 'flush' | 'deallocate'](slot)
  expect(run(slot, outcome, -errno).outcome).toBe(status)
  const names = new Map([['flush', 'sync'], ['deallocate', 'discard']])
  expect(failures).toEqual([`${names.get(operation) ?? operation} ${errno}`])
})
