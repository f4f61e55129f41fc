/**
 * Reactor: one turn, in its order, and the loop around it, on an arena that a test fills.
 */
import { expect, test } from 'vitest'
import { Reactor, type ReactorParts } from '../../../src/reactor/reactor.ts'
import { fakeArena } from './fake-arena.ts'

const NOW_MS = 2
const SPIN_US = 4
const WAIT_US = 5
const READY = 6
const COMPLETIONS = 7
const COPIES = 9
const WOKEN = 11
const ACCEPTING = 0x40000000

/** A reactor whose parts write down what is asked of them. */
function rig(parts: Partial<ReactorParts> & { readonly onTurn?: (turn: number) => number } = {}) {
  const arena = fakeArena()
  const words = arena.words
  const calls: string[] = []
  let turns = 0
  const reactor = new Reactor({
    shim: { turn: () => parts.onTurn?.(++turns) ?? 0 }, arena, spinUs: 50, waitUs: 1000, copiesMax: 16,
    completed: (slot, result) => calls.push(`completed ${slot} ${result}`),
    accepted: (token, result) => calls.push(`accepted ${token - ACCEPTING} ${result}`),
    ready: (connection) => calls.push(`ready ${connection}`),
    retry: () => calls.push('retry'),
    hasStalled: () => false, dueUs: (most) => most, tick: (nowMs) => calls.push(`tick ${nowMs}`), mail: () => false, ...parts,
  })
  return { reactor, arena, words, calls }
}

test('completions, then connections, then those that waited, then the clock', () => {
  const { reactor, arena, words, calls } = rig()
  words[NOW_MS] = 1000
  words[COMPLETIONS] = 3
  words.set([7, -5, 0, 0, ACCEPTING + 2, 31, 0, 0, 0, 0, 0, 0], arena.completionsAt >> 2)
  words[READY] = 2
  words.set([3, 1], arena.readyAt >> 2)
  reactor.turn()
  expect(calls).toEqual([
    'completed 7 -5', 'accepted 2 31', 'completed 0 0', 'ready 3', 'ready 1', 'retry', 'tick 1000',
  ])
})

test('who wants to look does so before each turn, until he has seen enough', () => {
  const seen: string[] = []
  const { reactor } = rig({ onTurn: (turn) => { seen.push(`turn ${turn}`); return 0 } })
  reactor.precede(() => { seen.push('look') })
  reactor.turn()
  reactor.precede(null)
  reactor.turn()
  expect(seen).toEqual(['look', 'turn 1', 'turn 2'])
})

test('the clock ticks every 20 ms at most, also where it wraps', () => {
  const { reactor, words, calls } = rig()
  for (const now of [0x7fff_fff0, 0x7fff_fff8, 0x8000_0003, 0x8000_0004]) {
    words[NOW_MS] = now
    reactor.turn()
  }
  expect(calls.filter((call) => call !== 'retry')).toEqual([
    `tick ${0x7fff_fff0}`, `tick ${0x8000_0004 | 0}`,
  ])
})

test('a turn does not wait when copies fill it and somebody waits for one', () => {
  const { reactor, words } = rig({ hasStalled: () => true })
  words[COPIES] = 15
  reactor.turn()
  expect([words[SPIN_US], words[WAIT_US]]).toEqual([50, 1000])
  words[COPIES] = 16
  reactor.turn()
  expect([words[SPIN_US], words[WAIT_US]]).toEqual([0, 0])
  words[COPIES] = 0
  reactor.turn()
  expect([words[SPIN_US], words[WAIT_US]]).toEqual([50, 1000])
})

test('a broken contract ends it', async () => {
  const { reactor } = rig({ onTurn: () => -14 })
  await expect(reactor.run()).rejects.toThrow('EFAULT')
})

test('it stops where the mail says so', async () => {
  let read = 0
  const mail = (): boolean => ++read < 3
  const { reactor, words } = rig({
    mail,
    onTurn: (turn) => {
      words[WOKEN] = turn % 2
      return 0
    },
  })
  await reactor.run()
  expect(read).toBe(3)
})

test('it reads its mail about every 250 ms though nobody wakes it', async () => {
  let read = 0
  let turns = 0
  const { reactor, words } = rig({
    mail: () => ++read < 2,
    onTurn: (turn) => {
      turns = turn
      words[NOW_MS] = turn * 50
      return 0
    },
  })
  await reactor.run()
  expect([turns, read]).toEqual([10, 2])
})
