/**
 * Memory and null devices: where payload goes, and what is asked of the shim.
 */
import { describe, expect, test } from 'vitest'
import { PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { MemoryDevice } from '../../../src/device/memory.ts'
import { NullDevice } from '../../../src/device/null.ts'
import { DeviceRig, PAGE } from './device-rig.ts'

const [MEMORY_ZERO, COMPARE, MOVE] = [6, 7, 8]
const REGION = 3
const COMPARE_FAILURE = 0x4285
const COMMAND_INTERRUPTED = 0x21

describe('memory', () => {
  function rig(blockBytes = 512) {
    const device = new DeviceRig()
    return { device, memory: new MemoryDevice(device.work, device.buffers, REGION, blockBytes) }
  }

  test.each([[0, 512], [2 ** 23 - 1, 512], [2 ** 22, 512], [2 ** 31, 512], [2 ** 40 - 1, 4096]])(
    'block %i of %i bytes is read from, and written to, its place', (lba, blockBytes) => {
      const { device, memory } = rig(blockBytes)
      const at = (slot: { lo: number; hi: number }): number => (slot.lo >>> 0) + slot.hi * 2 ** 32
      const reading = device.slot(lba, 1, blockBytes)
      expect([memory.read(reading), reading.region, at(reading)]).toEqual([0, REGION, lba * blockBytes])
      const writing = device.slot(lba, 1, blockBytes)
      expect([memory.place(writing), writing.region, at(writing)]).toEqual([WANTS_DATA, REGION, lba * blockBytes])
      expect([memory.write(writing), memory.flush(writing), writing.buffer, device.idle()]).toEqual([0, 0, -1, true])
    },
  )

  test.each(['zero', 'deallocate'] as const)('%s: one op, beyond 4 GiB', (operation) => {
    const { device, memory } = rig(4096)
    const slot = device.slot(2 ** 33, 2 ** 21, 0)
    expect(memory[operation](slot, false)).toBe(PENDING)
    expect(device.op(slot)).toMatchObject({ code: MEMORY_ZERO, region: REGION, at: 2 ** 45, range: 2 ** 33 })
    expect(memory.resume(slot, 0)).toBe(0)
  })

  test('compare', () => {
    const { device, memory } = rig()
    const slot = device.slot(2 ** 33, 8, 4096)
    expect(memory.placeCompare(slot)).toBe(WANTS_DATA)
    expect([slot.region, slot.lo]).toEqual([0, slot.buffer])
    expect(memory.compare(slot)).toBe(PENDING)
    expect(device.op(slot)).toMatchObject({
      code: COMPARE, region: 0, at: slot.buffer, bytes: 4096, otherRegion: REGION, otherAt: 2 ** 42,
    })
    expect([0, 1, -12].map((result) => memory.resume(slot, result))).toEqual([
      0, COMPARE_FAILURE, COMMAND_INTERRUPTED,
    ])
  })

  test('blocks are moved to the arena, and from it', () => {
    const { device, memory } = rig()
    const slot = device.slot(2 ** 23 + 7, 3, 0)
    const position = 2 ** 32 + 7 * 512
    expect(memory.fetch(slot, 8192)).toBe(PENDING)
    expect(device.op(slot)).toMatchObject({ code: MOVE, region: REGION, at: position, bytes: 1536, otherRegion: 0, otherAt: 8192 })
    expect(memory.store(slot, 8192)).toBe(PENDING)
    expect(device.op(slot)).toMatchObject({ code: MOVE, region: 0, at: 8192, bytes: 1536, otherRegion: REGION, otherAt: position })
    expect([memory.resume(slot, 0), memory.verify(slot)]).toEqual([0, 0])
  })

  test('compare without a buffer', () => {
    const { device, memory } = rig()
    while (device.buffers.take(1) !== -1);
    const slot = device.slot(0, 1, 512)
    expect([memory.placeCompare(slot), slot.buffer]).toEqual([STALL, -1])
  })
})

describe('null', () => {
  function rig() {
    const device = new DeviceRig()
    const zeroAt = device.buffers.take(8 * PAGE)
    return { device, zeroAt, nothing: new NullDevice(device.work, device.buffers, zeroAt, 512) }
  }

  test('reads come from the zeroes', () => {
    const { device, nothing, zeroAt } = rig()
    const slot = device.slot(2 ** 40, 8, 4096)
    expect([nothing.read(slot), slot.region, slot.lo, slot.hi, slot.buffer]).toEqual([0, 0, zeroAt, 0, -1])
  })

  test('what two hosts write does not mix, as their digests are taken where it lies', () => {
    const { device, nothing, zeroAt } = rig()
    const [first, second] = [device.slot(0, 16, 8192), device.slot(0, 16, 8192)]
    expect([nothing.place(first), nothing.place(second)]).toEqual([WANTS_DATA, WANTS_DATA])
    expect(Math.abs(first.lo - second.lo)).toBeGreaterThanOrEqual(8192)
    for (const { lo } of [first, second]) expect(lo + 8192 <= zeroAt || lo >= zeroAt + 8 * PAGE).toBe(true)
    expect([nothing.write(first), first.buffer]).toEqual([0, first.lo])
    while (device.buffers.take(1) !== -1);
    expect(nothing.place(device.slot(0, 1, 512))).toBe(STALL)
  })

  test('the rest is done at once', () => {
    const { device, nothing } = rig()
    const slot = device.slot(0, 8, 0)
    expect([nothing.flush(slot), nothing.zero(slot, true), nothing.deallocate(slot), device.idle()]).toEqual([
      0, 0, 0, true,
    ])
  })

  test('blocks to copy are zeroes, and go nowhere', () => {
    const { device, nothing, zeroAt } = rig()
    const slot = device.slot(0, 8, 0)
    expect([nothing.fetch(slot, 4096), nothing.store(slot, 4096), nothing.verify(slot)]).toEqual([PENDING, 0, 0])
    expect(device.op(slot)).toMatchObject({ code: MOVE, at: zeroAt, bytes: 4096, otherAt: 4096 })
  })

  test('compare is with the zeroes', () => {
    const { device, nothing, zeroAt } = rig()
    const slot = device.slot(0, 8, 4096)
    expect([nothing.placeCompare(slot), slot.lo]).toEqual([WANTS_DATA, slot.buffer])
    expect(nothing.compare(slot)).toBe(PENDING)
    expect(device.op(slot)).toMatchObject({ code: COMPARE, at: slot.buffer, bytes: 4096, otherRegion: 0, otherAt: zeroAt })
    expect([nothing.resume(slot, 0), nothing.resume(slot, 1)]).toEqual([0, COMPARE_FAILURE])
  })
})
