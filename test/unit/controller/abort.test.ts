/**
 * Aborts: every request is answered once, whatever becomes of the command that it names.
 */
import { describe, expect, test } from 'vitest'
import { Aborts } from '../../../src/controller/abort.ts'
import { Queue } from '../../../src/controller/queue.ts'
import type { ToControl } from '../../../src/reactor/messages.ts'
import { SLOT, Slots } from '../../../src/reactor/slots.ts'
import { controllerOf } from './association.ts'
import { ownerOf } from '../reactor/owner.ts'

const CONTROLLER = 1
const ABORT_REQUESTED = 0x0007
const PREEMPT_ABORT = 0x001b

function rig() {
  const slots = new Slots(8)
  const posted: ToControl[] = []
  const halves: number[] = []
  const aborts = new Aborts(slots, 3, (message) => posted.push(message))
  /** By connection: queue 2 of controller 1, queue 1 of it, queue 2 of controller 2, one that has not joined. */
  const queues = [[2, CONTROLLER], [1, CONTROLLER], [2, 2], [0, -1]].map(([qid, index], connection) => {
    const queue = new Queue(connection)
    queue.qid = qid!
    queue.controller = index === -1 ? null : controllerOf({ index: index! }).controller
    return queue
  })
  const command = (connection: number, cid: number, state: number = SLOT.RECEIVING) => {
    const slot = slots.take(ownerOf(connection))
    slot.cid = cid
    if (state !== SLOT.EXECUTING) slot.enter(state)
    return slot
  }
  const request = (more: { slot?: number; qid?: number; cid?: number } = {}): void => aborts.request(
    { type: 'abort', replyTo: 5, slot: 90, controller: CONTROLLER, qid: 2, cid: 7, ...more }, queues,
    (slot) => {
      halves.push(slot.cid)
      return slot.state !== SLOT.EXECUTING
    },
  )
  return { aborts, command, request, posted, halves }
}

const answer = (done: boolean, slot = 90): ToControl => ({ type: 'aborted', replyTo: 5, slot, done })

test('one of our own goes to the control plane', () => {
  const { aborts, posted } = rig()
  aborts.forward(4, CONTROLLER, 2, 7)
  expect(posted).toEqual([{ type: 'abort', reactor: 3, slot: 4, controller: CONTROLLER, qid: 2, cid: 7 }])
})

test.each([
  ['its data', SLOT.RECEIVING], ['a buffer, or for blocks', SLOT.HELD],
])('a command that waits for %s is aborted when they have come', (_what, state) => {
  const { aborts, command, request, posted } = rig()
  const slot = command(0, 7, state)
  request()
  expect(posted).toEqual([])
  expect(aborts.take(slot)).toBe(ABORT_REQUESTED)
  expect(posted).toEqual([answer(true)])
  expect(aborts.take(slot), 'once').toBe(0)
  expect(posted.length).toBe(1)
})

test.each([[0x105, SLOT.HELD, true], [0x201, SLOT.RECEIVING, true]])(
  'half of a pair, %i, is ended by the pair', (opcode, state, done) => {
    const { aborts, command, request, posted, halves } = rig()
    const slot = Object.assign(command(0, 7, state), { opcode })
    request()
    expect([halves, posted, aborts.take(slot)]).toEqual([[7], [answer(done)], 0])
  },
)

describe('is told at once that it was not aborted', () => {
  test.each<[string, number, number, number]>([
    ['another command of the queue', 0, 8, SLOT.RECEIVING],
    ['a command of another queue', 1, 7, SLOT.RECEIVING],
    ['a command of another controller', 2, 7, SLOT.RECEIVING],
    ['a command of a connection without a controller', 3, 7, SLOT.RECEIVING],
    ['a command that a device has', 0, 7, SLOT.EXECUTING],
    ['a command that was answered', 0, 7, SLOT.SENDING],
  ])('%s', (_what, connection, cid, state) => {
    const { aborts, command, request, posted } = rig()
    const slot = command(connection, cid, state)
    request()
    expect(posted).toEqual([answer(false)])
    expect(aborts.take(slot)).toBe(0)
  })

  test('the second Abort of a command; the first stands', () => {
    const { aborts, command, request, posted } = rig()
    const slot = command(0, 7)
    request({ slot: 90 })
    request({ slot: 91 })
    expect(posted).toEqual([answer(false, 91)])
    aborts.take(slot)
    expect(posted).toEqual([answer(false, 91), answer(true, 90)])
  })
})

test('several at a time do not mix', () => {
  const { aborts, command, request, posted } = rig()
  const [first, second] = [command(0, 7), command(0, 8)]
  request({ slot: 90, cid: 7 })
  request({ slot: 91, cid: 8 })
  aborts.take(second)
  aborts.take(first)
  expect(posted).toEqual([answer(true, 91), answer(true, 90)])
})

test('a command of a host that was preempted says so, and an Abort of it succeeds too', () => {
  const { aborts, command, request, posted } = rig()
  const [first, second] = [command(0, 7), command(0, 8)]
  aborts.preempt(first)
  request({ cid: 7 })
  expect(aborts.take(second)).toBe(0)
  expect(aborts.take(first)).toBe(PREEMPT_ABORT)
  expect(posted).toEqual([answer(true)])
  expect(aborts.take(first), 'once').toBe(0)
})
