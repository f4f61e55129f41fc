/**
 * Dataset Management and Flush of all namespaces: commands of several steps, with a device that a
 * test commands.
 */
import { describe, expect, test } from 'vitest'
import { Dataset } from '../../../src/controller/dataset.ts'
import { type Device, PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { Namespace } from '../../../src/namespace/namespace.ts'
import { Buffers } from '../../../src/reactor/buffers.ts'
import { lbaOf, type Slot, Slots } from '../../../src/reactor/slots.ts'
import { fakeArena } from '../reactor/fake-arena.ts'
import { controllerOf, namespaceSnapshot } from './association.ts'
import { ownerOf } from '../reactor/owner.ts'

const BLOCKS = 2 ** 34
const LENGTH_INVALID = 0x400f
const OUT_OF_RANGE = 0x4080
const WRITE_PROTECTED = 0x4020
const PAGE = 4096

function rig(readOnly = false) {
  const arena = fakeArena({ bufferBytes: 16 * PAGE })
  const slots = new Slots(4)
  const buffers = new Buffers(arena.buffersAt, 16 * PAGE)
  const dataset = new Dataset(arena, slots, buffers)
  const done: string[] = []
  /** What the device says, one after the other; then PENDING. */
  const outcomes: number[] = []
  const say = (what: string): number => {
    done.push(what)
    return outcomes.shift() ?? PENDING
  }
  const namespaceOf = (nsid: number): Namespace => new Namespace(
    namespaceSnapshot(nsid, { blockCount: BLOCKS, readOnly }),
    {
      deallocate: (slot: Slot) => say(`${lbaOf(slot)}+${slot.blockCount}`),
      flush: () => say(`flush ${nsid}`),
    } as Partial<Device> as Device,
    0,
  )
  const namespace = namespaceOf(1)
  const command = (bytes: number): Slot => Object.assign(slots.take(ownerOf()), { bytes, direction: 1 })
  /** Ranges: first block, blocks. */
  const start = (ranges: readonly (readonly [number, number])[], deallocate = true): { slot: Slot; outcome: number } => {
    const slot = command(16 * ranges.length)
    const outcome = dataset.start(slot, namespace, ranges.length - 1, deallocate)
    for (const [index, [lba, count]] of outcome === WANTS_DATA ? ranges.entries() : []) {
      arena.view.setUint32(slot.buffer + 16 * index + 4, count, true)
      arena.view.setBigUint64(slot.buffer + 16 * index + 8, BigInt(lba), true)
    }
    return { slot, outcome }
  }
  return { dataset, namespace, namespaceOf, buffers, command, start, done, outcomes }
}

describe('Dataset Management', () => {
  test('deallocates range after range, then is done', () => {
    const { dataset, namespace, start, done } = rig()
    const { slot } = start([[0, 8], [2 ** 33, 1], [BLOCKS - 2, 2]])
    expect(slot.readable).toBe(1)
    expect([1, 2, 3, 4].map(() => dataset.next(slot, namespace))).toEqual([PENDING, PENDING, PENDING, 0])
    expect(done).toEqual(['0+8', `${2 ** 33}+1`, `${BLOCKS - 2}+2`])
  })

  test('a device that is done at once is asked for the next at once', () => {
    const { dataset, namespace, start, done, outcomes } = rig()
    outcomes.push(0, 0, PENDING)
    const { slot } = start([[0, 1], [1, 1], [2, 1], [3, 1]])
    expect(dataset.next(slot, namespace)).toBe(PENDING)
    expect(done.length).toBe(3)
    expect([dataset.next(slot, namespace), dataset.next(slot, namespace), done.length]).toEqual([PENDING, 0, 4])
  })

  test('256 ranges', () => {
    const { dataset, namespace, start, done, outcomes } = rig()
    outcomes.push(...Array.from({ length: 256 }, () => 0))
    const { slot } = start(Array.from({ length: 256 }, (_, index) => [index, 1]))
    expect([dataset.next(slot, namespace), done.length, done.at(-1)]).toEqual([0, 256, '255+1'])
  })

  test('ranges without blocks are nothing', () => {
    const { dataset, namespace, start, done } = rig()
    const { slot } = start([[5, 0], [7, 1], [BLOCKS, 0]])
    expect([dataset.next(slot, namespace), dataset.next(slot, namespace)]).toEqual([PENDING, 0])
    expect(done).toEqual(['7+1'])
  })

  test('without deallocate it is advice, even to a range that is nowhere, or where nothing may be written', () => {
    for (const readOnly of [false, true]) {
      const { dataset, namespace, start, done } = rig(readOnly)
      const { slot, outcome } = start([[BLOCKS, 1]], false)
      expect([outcome, dataset.next(slot, namespace), done]).toEqual([WANTS_DATA, 0, []])
    }
  })

  test.each<[string, number, number]>([
    ['one block beyond the end', BLOCKS - 7, 8], ['behind the end', BLOCKS + 1, 0], ['beyond 2^53', 2 ** 53, 1],
    ['2^31 blocks', 0, 0x8000_0000], ['2^32 - 1 blocks', 0, 0xffff_ffff],
  ])('%s: refused, before anything was deallocated', (_what, lba, count) => {
    const { dataset, namespace, start, done } = rig()
    const { slot } = start([[0, 8], [lba, count]])
    expect([dataset.next(slot, namespace), done]).toEqual([OUT_OF_RANGE, []])
  })

  test('where nothing may be written', () => {
    expect(rig(true).start([[0, 1]]).outcome).toBe(WRITE_PROTECTED)
  })

  test('fewer data than ranges', () => {
    const { dataset, namespace, command } = rig()
    expect(dataset.start(command(31), namespace, 1, true)).toBe(LENGTH_INVALID)
    expect(dataset.start(command(32), namespace, 1, true)).toBe(WANTS_DATA)
  })

  test('without a buffer it is as if it had not been asked', () => {
    const { dataset, buffers, start } = rig()
    const taken: number[] = []
    for (let at = buffers.take(1); at !== -1; at = buffers.take(1)) taken.push(at)
    const { slot, outcome } = start([[0, 8]])
    expect([outcome, slot.buffer]).toEqual([STALL, -1])
    buffers.give(taken.pop()!)
    expect([dataset.place(slot), slot.buffer !== -1]).toEqual([WANTS_DATA, true])
  })

  test('a slot that is used again starts over', () => {
    const { dataset, namespace, start, done, outcomes } = rig()
    const { slot } = start([[0, 1], [1, 1]])
    dataset.next(slot, namespace)
    const { index } = slot
    outcomes.push(0)
    const again = start([[4, 1]])
    expect(again.slot.index).not.toBe(index)
    expect([dataset.next(again.slot, namespace), done]).toEqual([0, ['0+1', '4+1']])
  })
})

describe('Flush of all namespaces', () => {
  function flushing(outcomes: number[]) {
    const parts = rig()
    const { controller } = controllerOf({ namespaces: [null, parts.namespaceOf(1), null, parts.namespaceOf(3)] })
    parts.outcomes.push(...outcomes)
    const slot = parts.command(0)
    return { ...parts, slot, outcome: parts.dataset.flushAll(slot, controller) }
  }

  test('one after the other, then done', () => {
    const { dataset, slot, outcome, done } = flushing([PENDING, PENDING])
    expect([outcome, dataset.isFlushing(slot), slot.namespace]).toEqual([PENDING, true, 0])
    expect([dataset.nextFlush(slot), slot.namespace]).toEqual([PENDING, 2])
    expect([dataset.nextFlush(slot), dataset.isFlushing(slot)]).toEqual([0, false])
    expect(done).toEqual(['flush 1', 'flush 3'])
  })

  test('at once, where nothing is cached', () => {
    const { dataset, slot, outcome } = flushing([0, 0])
    expect([outcome, dataset.isFlushing(slot)]).toEqual([0, false])
  })

  test('the first that fails at once ends it', () => {
    const { dataset, slot, outcome, done } = flushing([0x280, 0])
    expect([outcome, dataset.isFlushing(slot), done]).toEqual([0x280, false, ['flush 1']])
  })

  test('a subsystem without namespaces', () => {
    const { dataset, command } = rig()
    expect(dataset.flushAll(command(0), controllerOf({ namespaces: [null] }).controller)).toBe(0)
  })

  test('one that failed is over', () => {
    const { dataset, slot } = flushing([PENDING])
    dataset.endFlush(slot)
    expect(dataset.isFlushing(slot)).toBe(false)
  })
})
