/**
 * Pairs: which half gets which status, what is asked of the device, and that both are answered once.
 */
import { describe, expect, test } from 'vitest'
import { FIRST_HALF, Pairs, SECOND_HALF } from '../../../src/controller/pair.ts'
import { Queue } from '../../../src/controller/queue.ts'
import { type Device, PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { Namespace } from '../../../src/namespace/namespace.ts'
import { Buffers } from '../../../src/reactor/buffers.ts'
import { SLOT, type Slot, Slots } from '../../../src/reactor/slots.ts'
import { namespaceSnapshot } from './association.ts'

const PAGE = 4096
const COMPARE_FAILURE = 0x4285
const [FAILED_FUSED, MISSING_FUSED, INVALID_FIELD] = [0x09, 0x400a, 0x4002]
const [ABORTED, INTERRUPTED, WRITE_FAULT, DIGEST] = [0x07, 0x21, 0x280, 0x22]

function rig(pages = 64) {
  const slots = new Slots(16)
  const buffers = new Buffers(0, pages * PAGE)
  const done: string[] = []
  const says: number[] = []
  const ask = (what: string) => (slot: Slot, at?: number): number => {
    done.push(`${what} ${slot.cid}${at === undefined ? '' : ` ${at}`}`)
    return says.shift() ?? PENDING
  }
  const device = { compare: ask('compare'), store: ask('store') } as Partial<Device> as Device
  const namespace = new Namespace(namespaceSnapshot(1), device, 0)
  const pairs = new Pairs({
    buffers, namespaces: [namespace],
    finish: (slot, status) => {
      done.push(`${slot.cid}: ${status.toString(16)}`)
      if (slot.buffer !== -1) buffers.give(slot.buffer)
      slot.buffer = -1
      slots.free(slot)
    },
    failed: (slot, _queue, status) => done.push(`log ${slot.cid} ${status.toString(16)}`),
    ask: (_slot, token) => done.push(`ask ${token}`),
    release: (id, index) => done.push(`release ${id} ${index}`),
  })
  const queue = new Queue(2)
  const half = (cid: number, opcode: number, more: Partial<Slot> = {}): Slot => Object.assign(
    slots.take({ index: 2, sends: true, slotCount: 0, commandCount: 0, transferredBlocks: 0 }),
    { cid, opcode, bytes: 1024, blockCount: 2, lbaLo: 7, namespace: 0, ...more },
  )
  const first = (status = 0, more: Partial<Slot> = {}) => {
    const slot = half(1, FIRST_HALF | 5, more)
    return { slot, outcome: pairs.first(slot, queue, status) }
  }
  const second = (status = 0, more: Partial<Slot> = {}) => {
    const slot = half(2, SECOND_HALF | 1, more)
    return { slot, outcome: pairs.second(slot, queue, status) }
  }
  /** As transfers do when the data of a half have come. */
  const arrive = (slot: Slot): number => pairs.arrived(slot)
  const take = (): string[] => done.splice(0)
  return { pairs, queue, slots, buffers, namespace, first, second, arrive, take, says, half }
}

/** A pair that was granted and is being compared. */
function running() {
  const all = rig()
  const one = all.first()
  const two = all.second()
  all.arrive(one.slot)
  all.arrive(two.slot)
  all.take()
  all.pairs.granted(1, 50, 0, true)
  return { ...all, one: one.slot, two: two.slot }
}

describe('run', () => {
  test('both data come, the blocks are asked for, compared, stored, let go', () => {
    const { pairs, queue, namespace, buffers, first, second, arrive, take } = rig()
    const one = first()
    expect([one.outcome, queue.fusing]).toEqual([WANTS_DATA, true])
    const two = second()
    expect([two.outcome, two.slot.lo, queue.fusing]).toEqual([WANTS_DATA, one.slot.buffer + 2 * PAGE, false])
    expect([arrive(two.slot), take()]).toEqual([PENDING, []])
    expect([arrive(one.slot), take()]).toEqual([PENDING, ['ask 1']])
    expect([one.slot.state, two.slot.state]).toEqual([SLOT.HELD, SLOT.HELD])
    pairs.granted(1, 50, 0, true)
    expect([one.slot.state, two.slot.state, take()]).toEqual([SLOT.EXECUTING, SLOT.EXECUTING, ['compare 1']])
    expect(pairs.resumed(one.slot, 0, namespace)).toBe(PENDING)
    expect(take()).toEqual([`store 2 ${two.slot.lo}`])
    expect(pairs.resumed(two.slot, 0, namespace)).toBe(PENDING)
    expect(take()).toEqual(['1: 0', '2: 0', 'release 50 0'])
    expect(buffers.freePages).toBe(64)
  })

  test('different: the second fails, and nothing is stored', () => {
    const { pairs, namespace, one, take } = running()
    take()
    pairs.resumed(one, COMPARE_FAILURE, namespace)
    expect(take()).toEqual(['log 1 4285', '1: 4285', `2: ${FAILED_FUSED}`, 'release 50 0'])
  })

  test('the medium fails to store: so does the first', () => {
    const { pairs, namespace, one, two, take } = running()
    pairs.resumed(one, 0, namespace)
    take()
    pairs.resumed(two, WRITE_FAULT, namespace)
    expect(take()).toEqual(['log 2 280', '1: 9', '2: 280', 'release 50 0'])
  })

  test('a device that is done at once', () => {
    const { pairs, first, second, arrive, take, says } = rig()
    for (const { slot } of [first(), second()]) arrive(slot)
    says.push(0, 0)
    pairs.granted(1, 50, 0, true)
    expect(take().slice(-3)).toEqual(['1: 0', '2: 0', 'release 50 0'])
  })

  test('blocks that are not to be had', () => {
    const { pairs, first, second, arrive, take } = rig()
    for (const { slot } of [first(), second()]) arrive(slot)
    take()
    pairs.granted(1, 50, 0, false)
    expect(take()).toEqual([`log 1 ${INTERRUPTED.toString(16)}`, `1: ${INTERRUPTED.toString(16)}`, '2: 9'])
  })
})

describe('a pair that is none', () => {
  test('a second without a first', () => {
    expect(rig().second().outcome).toBe(MISSING_FUSED)
  })

  test('a first that something else follows ends when its data have come', () => {
    const { pairs, queue, first, second, arrive, take } = rig()
    const { slot } = first()
    pairs.orphan(queue)
    expect([queue.fusing, take()]).toEqual([false, []])
    arrive(slot)
    expect(take()).toEqual([`1: ${MISSING_FUSED.toString(16)}`])
    expect(second().outcome).toBe(MISSING_FUSED)
  })

  test('a first whose data are there, and that something else follows, ends at once', () => {
    const { pairs, queue, first, arrive, take } = rig()
    arrive(first().slot)
    pairs.orphan(queue)
    expect(take()).toEqual([`1: ${MISSING_FUSED.toString(16)}`])
  })

  test('a first that fails at once: its second fails for that', () => {
    const { first, second, take } = rig()
    expect([first(INVALID_FIELD).outcome, second().outcome, take()]).toEqual([INVALID_FIELD, FAILED_FUSED, []])
  })

  test('a second that fails at once: its first fails for that', () => {
    const { first, second, arrive, take } = rig()
    const { slot } = first()
    expect(second(INVALID_FIELD).outcome).toBe(INVALID_FIELD)
    arrive(slot)
    expect(take()).toEqual(['1: 9'])
  })

  test.each<[string, Partial<Slot>]>([
    ['block', { lbaLo: 8 }], ['upper half of the block', { lbaHi: 1 }], ['length', { blockCount: 3 }],
    ['namespace', { namespace: 1 }],
  ])('halves with another %s', (_what, more) => {
    const { first, second, arrive, take } = rig()
    const { slot } = first()
    expect(second(0, more).outcome).toBe(INVALID_FIELD)
    arrive(slot)
    expect(take()).toEqual([`1: ${INVALID_FIELD.toString(16)}`])
  })
})

describe('a half that is not to be run', () => {
  test.each([[DIGEST, 0], [ABORTED, 1]])('%i, half %i: both end when the data of both are there', (status, which) => {
    const { pairs, first, second, arrive, take } = rig()
    const slots = [first().slot, second().slot]
    pairs.broken(slots[which]!, status)
    expect(take()).toEqual([`log ${which + 1} ${status.toString(16)}`])
    arrive(slots[1 - which]!)
    expect(take()).toEqual([0, 1].map((index) => `${index + 1}: ${index === which ? status.toString(16) : '9'}`))
  })

  test('a first, before its second has come', () => {
    const { pairs, first, second, take } = rig()
    pairs.broken(first().slot, DIGEST)
    expect(take()).toEqual(['log 1 22', '1: 22'])
    expect(second().outcome).toBe(FAILED_FUSED)
  })
})

describe('an Abort of a half', () => {
  test('ends both, each with its status, and what was asked for is released', () => {
    const { pairs, first, second, arrive, take } = rig()
    const slots = [first().slot, second().slot]
    for (const slot of slots) arrive(slot)
    take()
    expect(pairs.abort(slots[1]!, ABORTED, FAILED_FUSED)).toBe(true)
    expect(take()).toEqual(['1: 9', '2: 7'])
    pairs.granted(1, 50, 0, true)
    expect(take()).toEqual(['release 50 0'])
  })

  test('too late, when the device has it', () => {
    const { pairs, one, two, take } = running()
    take()
    expect([pairs.abort(one, ABORTED), pairs.abort(two, ABORTED), take()]).toEqual([false, false, []])
  })
})

describe('without a buffer', () => {
  test('the first waits, and the second behind it', () => {
    const { pairs, buffers, first, second } = rig()
    const all = buffers.take(64 * PAGE)
    const [one, two] = [first(), second(0, { keepPages: 4 })]
    expect([one.outcome, two.outcome]).toEqual([STALL, STALL])
    buffers.give(all)
    expect([pairs.place(one.slot), pairs.place(two.slot)]).toEqual([WANTS_DATA, WANTS_DATA])
  })

  test('a second with its data in the capsule takes it for both, from what is kept for such data', () => {
    const { pairs, buffers, first, second, arrive, take } = rig()
    const most = buffers.take(32 * PAGE)
    const [one, two] = [first(0, { keepPages: 40 }), second(0, { keepPages: 0 })]
    expect([one.outcome, two.outcome]).toEqual([STALL, WANTS_DATA])
    expect([pairs.place(one.slot), one.slot.buffer, two.slot.lo]).toEqual(
      [WANTS_DATA, one.slot.buffer, one.slot.buffer + 2 * PAGE])
    expect([arrive(two.slot), arrive(one.slot), take()]).toEqual([PENDING, PENDING, ['ask 1']])
    buffers.give(most)
  })

  test('a second with its data in the capsule does not wait: what is behind it may have to come first', () => {
    const { pairs, buffers, first, second } = rig()
    const all = buffers.take(64 * PAGE)
    const [one, two] = [first(), second(0, { keepPages: 0 })]
    expect([one.outcome, two.outcome]).toEqual([STALL, FAILED_FUSED])
    expect([pairs.place(one.slot), one.slot.buffer]).toEqual([INTERRUPTED, -1])
    buffers.give(all)
    expect(buffers.freePages).toBe(64)
  })

  test('what waits ends when it would go on, if the pair was given up', () => {
    const { pairs, queue, buffers, first } = rig()
    const all = buffers.take(64 * PAGE)
    const one = first()
    pairs.orphan(queue)
    buffers.give(all)
    expect([pairs.place(one.slot), one.slot.buffer, buffers.freePages]).toEqual([MISSING_FUSED, -1, 64])
  })

  test('a capsule that comes again has changed nothing', () => {
    const { pairs, queue, buffers, slots, first, second, arrive, take } = rig()
    const all = buffers.take(64 * PAGE)
    const gone = first().slot
    pairs.withdraw(gone)
    slots.free(gone)
    expect(queue.fusing).toBe(false)
    buffers.give(all)
    const one = first().slot
    const again = second().slot
    pairs.withdraw(again)
    expect(queue.fusing).toBe(true)
    slots.free(again)
    const two = second()
    expect(two.outcome).toBe(WANTS_DATA)
    arrive(one)
    arrive(two.slot)
    expect(take()).toEqual(['ask 2'])
  })
})

describe('the host goes', () => {
  test('while the blocks are being had: they are let go', () => {
    const { pairs, first, second, arrive, take } = rig()
    for (const { slot } of [first(), second()]) arrive(slot)
    take()
    pairs.forget(2)
    pairs.granted(1, 50, 9, true)
    expect(take()).toEqual(['release 50 9'])
    pairs.granted(1, 51, 9, false)
    expect(take()).toEqual([])
  })

  test('while it runs: to its end', () => {
    const { pairs, namespace, one, two, take } = running()
    pairs.forget(2)
    pairs.resumed(one, 0, namespace)
    pairs.resumed(two, 0, namespace)
    expect(take().slice(-3)).toEqual(['1: 0', '2: 0', 'release 50 0'])
  })

  test('after a first: the next on that connection has none', () => {
    const { pairs, queue, first, second } = rig()
    first()
    pairs.forget(2)
    expect([queue.fusing, second().outcome]).toEqual([false, MISSING_FUSED])
  })

  test('of another connection: nothing', () => {
    const { pairs, first, second, arrive, take } = rig()
    const slots = [first().slot, second().slot]
    pairs.forget(3)
    for (const slot of slots) arrive(slot)
    expect(take()).toEqual(['ask 1'])
  })
})
