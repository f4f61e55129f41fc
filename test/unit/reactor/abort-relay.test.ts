/**
 * Aborts between reactors: each answered once, also by those that have died.
 */
import { expect, test } from 'vitest'
import { AbortRelay } from '../../../src/reactor/abort-relay.ts'
import type { ToReactor } from '../../../src/reactor/messages.ts'

function rig() {
  const posted: [number, ToReactor][] = []
  const relay = new AbortRelay((reactor, message) => posted.push([reactor, message]))
  return { relay, take: () => posted.splice(0) }
}

const abort = { replyTo: 0, slot: 4, controller: 1, qid: 2, cid: 9 }
const answer = (slot: number, done: boolean) => ({ type: 'aborted', slot, done })

test('goes there, and its answer back', () => {
  const { relay, take } = rig()
  relay.ask(abort, 1)
  relay.answer(0, 4, true)
  expect(take()).toEqual([[1, { type: 'abort', ...abort }], [0, answer(4, true)]])
})

test('of a queue that is not there is answered at once', () => {
  const { relay, take } = rig()
  relay.ask(abort, null)
  expect(take()).toEqual([[0, answer(4, false)]])
})

test('one that the dead reactor was to answer is answered: not aborted; the others wait', () => {
  const { relay, take } = rig()
  relay.ask(abort, 1)
  relay.ask({ ...abort, slot: 5 }, 2)
  relay.ask({ ...abort, slot: 6 }, 1)
  relay.answer(0, 6, true)
  take()
  relay.lost(1)
  relay.lost(1)
  expect(take()).toEqual([[0, answer(4, false)]])
})
