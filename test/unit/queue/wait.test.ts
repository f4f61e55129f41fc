/**
 * Waiters: controllers in turn, each one's commands in their order, and without those that have gone.
 */
import { expect, test } from 'vitest'
import { Waiters } from '../../../src/queue/wait.ts'
import { Share } from '../../../src/reactor/share.ts'
import { SLOT, Slots } from '../../../src/reactor/slots.ts'
import { ownerOf } from '../reactor/owner.ts'

function rig(count = 8) {
  const slots = new Slots(count)
  const waiters = new Waiters()
  const push = (share: Share, connection = 0, transfersMax = 1) => {
    const slot = slots.take(ownerOf(connection))
    waiters.push(slot, share, transfersMax)
    return slot
  }
  /** Indices of all slots, in the order in which they are taken out. */
  const drain = (): number[] => {
    const seen: number[] = []
    while (waiters.turn !== null) {
      const slot = waiters.shift()
      seen.push(slot.index)
      slots.free(slot)
    }
    return seen
  }
  return { waiters, push, drain }
}

test('of one controller: first in, first out, many times over', () => {
  const { push, drain, waiters } = rig()
  const share = new Share()
  for (let round = 0; round < 10; round++) {
    const pushed = [push(share, 0, 3), push(share), push(share)]
    expect(pushed.map(({ state }) => state)).toEqual([SLOT.HELD, SLOT.HELD, SLOT.HELD])
    expect([waiters.count, pushed[0]!.transfersMax]).toEqual([1, 3])
    expect(drain()).toEqual(pushed.map(({ index }) => index))
    expect([waiters.count, share.first, share.last, share.next]).toEqual([0, null, null, null])
  }
})

test('of several: in turn, whoever has more', () => {
  const { push, drain } = rig()
  const [a, b, c] = [new Share(), new Share(), new Share()]
  const order = [push(a), push(a), push(a), push(b), push(c), push(c)].map(({ index }) => index)
  expect(drain()).toEqual([0, 3, 4, 1, 5, 2].map((at) => order[at]))
})

test('one is passed over, and keeps its place in the circle', () => {
  const { waiters, push, drain } = rig()
  const [a, b] = [new Share(), new Share()]
  const order = [push(a), push(b), push(a)].map(({ index }) => index)
  expect(waiters.turn).toBe(a)
  waiters.pass()
  expect(waiters.turn).toBe(b)
  expect(drain()).toEqual([1, 0, 2].map((at) => order[at]))
})

test.each([[0, [1, 2, 3]], [1, [0, 3]], [2, [0, 1, 2]], [3, [0, 1, 2, 3]]])(
  'without connection %i the others keep their order', (gone, left) => {
    const { waiters, push, drain } = rig()
    const [a, b] = [new Share(), new Share()]
    const order = [push(a, 0), push(b, 1), push(a, 1), push(b, 2)].map(({ index }) => index)
    waiters.forget(gone)
    expect(drain().sort()).toEqual(left.map((at) => order[at]).sort())
  },
)

test('a controller whose only connection has gone waits no more', () => {
  const { waiters, push } = rig()
  const share = new Share()
  push(share, 4)
  waiters.forget(4)
  expect([waiters.count, waiters.turn, share.next]).toEqual([0, null, null])
})
