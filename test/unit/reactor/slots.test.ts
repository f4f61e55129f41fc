/**
 * Slots: the edges of a command's life, the pool, and block numbers beyond 2^32.
 */
import { describe, expect, test } from 'vitest'
import { lbaOf, SLOT, Slot, Slots } from '../../../src/reactor/slots.ts'
import { ownerOf } from './owner.ts'

const STATES = Object.values(SLOT)
/** from → to, as drawn on top of slots.ts. */
const LEGAL = new Set([
  [SLOT.FREE, SLOT.EXECUTING],
  [SLOT.EXECUTING, SLOT.RECEIVING], [SLOT.EXECUTING, SLOT.HELD], [SLOT.EXECUTING, SLOT.SENDING],
  [SLOT.EXECUTING, SLOT.FREE],
  [SLOT.RECEIVING, SLOT.EXECUTING], [SLOT.RECEIVING, SLOT.SENDING], [SLOT.RECEIVING, SLOT.FREE],
  [SLOT.HELD, SLOT.EXECUTING], [SLOT.HELD, SLOT.SENDING], [SLOT.HELD, SLOT.FREE],
  [SLOT.SENDING, SLOT.FREE],
].map(String))

describe.each(STATES)('from state %i', (from) => {
  test.each(STATES)('to state %i', (to) => {
    const slot = new Slot(0)
    slot.state = from
    if (LEGAL.has(String([from, to]))) {
      slot.enter(to)
      expect(slot.state).toBe(to)
    } else {
      expect(() => slot.enter(to)).toThrow('legal edge')
      expect(slot.state).toBe(from)
    }
  })
})

describe('the pool', () => {
  test('hands out each slot once, and says when one is left', () => {
    const slots = new Slots(5)
    const taken = new Set<number>()
    for (let left = 5; left > 0; left--) {
      expect([slots.freeCount, slots.exhaustedFor(ownerOf())]).toEqual([left, left === 1])
      taken.add(slots.take(ownerOf()).index)
    }
    expect(taken).toEqual(new Set([0, 1, 2, 3, 4]))
    expect(() => slots.take(ownerOf())).toThrow('a slot left')
  })

  test('keeps the last eighth from those who have more than is left', () => {
    const slots = new Slots(80)
    const [greedy, modest] = [ownerOf(1), ownerOf(2)]
    while (!slots.exhaustedFor(greedy)) slots.take(greedy)
    expect([slots.freeCount, slots.exhaustedFor(modest)]).toEqual([10, false])
    while (!slots.exhaustedFor(modest)) slots.take(modest)
    expect([slots.freeCount, modest.slotCount]).toEqual([5, 5])
    expect(slots.exhaustedFor(ownerOf(3))).toBe(false)
  })

  test('takes back a slot once, and without a buffer', () => {
    const slots = new Slots(2)
    const owner = ownerOf(7)
    const slot = slots.take(owner)
    expect([slot.connection, owner.slotCount]).toEqual([7, 1])
    slot.buffer = 4096
    expect(() => slots.free(slot)).toThrow('buffer back')
    slot.buffer = -1
    slots.free(slot)
    expect([slots.freeCount, owner.slotCount]).toEqual([2, 0])
    expect(() => slots.free(slot)).toThrow('legal edge')
    expect(slots.freeCount).toBe(2)
  })

  test('a slot that is used again knows nothing of the command before', () => {
    const slots = new Slots(1)
    const owner = ownerOf()
    const fresh = { ...slots.take(owner) }
    const slot = slots.all[0]!
    Object.assign(slot, {
      status: 1, dw0: 2, dw1: 3, lbaLo: 4, lbaHi: 5, namespace: 6, fua: 1, received: 8,
      digestFailed: 1, readable: 1, step: 11, asked: 12, open: 13,
    })
    slots.free(slot)
    expect({ ...slots.take(owner) }).toEqual(fresh)
  })

  test('room for the entry of each slot', () => {
    expect(new Slots(3).sqe.length).toBe(48)
  })

  test.each([0, 65536])('not %i slots', (count) => {
    expect(() => new Slots(count)).toThrow('16 bits')
  })
})

test('a slot that owns a buffer has its payload there', () => {
  const slot = new Slot(0)
  Object.assign(slot, { region: 5, lo: 6, hi: 7 })
  slot.own(8192)
  expect([slot.buffer, slot.region, slot.lo, slot.hi]).toEqual([8192, 0, 8192, 0])
})

test.each([
  [0, 0, 0], [-1, 0, 0xffff_ffff], [0, 1, 2 ** 32], [-2, 0x1fffff, Number.MAX_SAFE_INTEGER - 1],
])('words %i and %i are block %i', (lbaLo, lbaHi, lba) => {
  expect(lbaOf(Object.assign(new Slot(0), { lbaLo, lbaHi }))).toBe(lba)
})

test('it can be described', () => {
  expect(new Slot(4).describe()).toBe('slot 4 free connection -1 cid 0')
})
