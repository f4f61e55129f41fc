/**
 * Waiters: a queue of slots, in order, round its ring, and without those that have gone.
 */
import { expect, test } from 'vitest'
import { Waiters } from '../../../src/queue/wait.ts'
import { SLOT, Slots } from '../../../src/reactor/slots.ts'
import { ownerOf } from '../reactor/owner.ts'

function rig(count = 4) {
  const slots = new Slots(count)
  const waiters = new Waiters(count)
  const push = (connection: number, transfersMax = 1) => {
    const slot = slots.take(ownerOf(connection))
    waiters.push(slot, transfersMax)
    return slot
  }
  const shift = () => {
    const slot = waiters.first()
    if (slot === null) return null
    const transfersMax = waiters.shift()
    slots.free(slot)
    return { index: slot.index, transfersMax }
  }
  return { waiters, push, shift }
}

test('first in, first out, many times round', () => {
  const { push, shift } = rig()
  for (let round = 0; round < 10; round++) {
    const pushed = [push(0, round + 1), push(0, 2), push(0, 3)].map((slot) => slot.index)
    expect([shift(), shift(), shift(), shift()]).toEqual([
      { index: pushed[0], transfersMax: round + 1 }, { index: pushed[1], transfersMax: 2 },
      { index: pushed[2], transfersMax: 3 }, null,
    ])
  }
})

test('a slot that waits is held', () => {
  const { push } = rig()
  expect(push(0).state).toBe(SLOT.HELD)
})

test('all slots may wait', () => {
  const { push, shift } = rig(4)
  shift()
  for (let count = 0; count < 4; count++) push(count)
  expect([shift(), shift(), shift(), shift()].every((each) => each !== null)).toBe(true)
})

test.each([[0, [1, 1, 2]], [1, [0, 2]], [2, [0, 1, 1]], [3, [0, 1, 1, 2]]])(
  'without connection %i the others keep their order', (gone, left) => {
    const { waiters, push } = rig(5)
    const connections = [0, 1, 1, 2].map((connection) => push(connection, connection + 10))
    waiters.forget(gone)
    const seen: number[] = []
    for (let slot = waiters.first(); slot !== null; slot = waiters.first()) {
      seen.push(slot.connection)
      expect(waiters.shift()).toBe(slot.connection + 10)
    }
    expect([seen, connections.length]).toEqual([left, 4])
  },
)
