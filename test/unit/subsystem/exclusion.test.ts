/**
 * Exclusions: one at a time for each namespace, in the order in which they were asked for, each answered once.
 */
import { describe, expect, test } from 'vitest'
import { Exclusions } from '../../../src/subsystem/exclusion.ts'

function rig() {
  const done: string[] = []
  const late: (() => void)[] = []
  const holding = new Map<number, () => void>()
  const exclusions = new Exclusions({
    hold: (id, { namespace, lba, blockCount }, held) => {
      done.push(`hold ${id} ${namespace} ${lba}+${blockCount}`)
      holding.set(id, held)
    },
    letGo: (id, { namespace }) => done.push(`let go ${id} ${namespace}`),
    answer: ({ reactor, token }, id, granted) => done.push(`${granted ? 'granted' : 'refused'} ${reactor}.${token} ${id}`),
    later: (what) => {
      late.push(what)
      return () => { late[late.indexOf(what)] = () => { throw new Error('cancelled') } }
    },
  })
  const ask = (reactor: number, token: number, namespace = 3): void =>
    exclusions.ask({ reactor, token, namespace, lba: 8, blockCount: 2 })
  const take = (): string[] => done.splice(0)
  const held = (id: number): void => holding.get(id)!()
  return { exclusions, ask, take, late, held }
}

test('held by all reactors, then granted, then let go by all', () => {
  const { exclusions, ask, take, held } = rig()
  ask(1, 44)
  expect(take()).toEqual(['hold 1 3 8+2'])
  held(1)
  expect(take()).toEqual(['granted 1.44 1'])
  exclusions.release(1, 3)
  expect(take()).toEqual(['let go 1 3'])
})

test('one after the other, in their order; other namespaces do not wait', () => {
  const { exclusions, ask, take, held } = rig()
  for (const token of [1, 2, 3]) ask(0, token)
  ask(0, 9, 4)
  expect(take()).toEqual(['hold 1 3 8+2', 'hold 2 4 8+2'])
  held(1)
  exclusions.release(1, 3)
  expect(take()).toEqual(['granted 0.1 1', 'let go 1 3', 'hold 3 3 8+2'])
  held(3)
  exclusions.release(3, 3)
  held(4)
  exclusions.release(4, 3)
  expect(take()).toEqual(['granted 0.2 3', 'let go 3 3', 'hold 4 3 8+2', 'granted 0.3 4', 'let go 4 3'])
  ask(0, 5)
  expect(take()).toEqual(['hold 5 3 8+2'])
})

describe('too late', () => {
  test('refused, let go, and the next one has its turn', () => {
    const { exclusions, ask, take, late, held } = rig()
    ask(0, 1)
    ask(1, 2)
    late[0]!()
    expect(take()).toEqual(['hold 1 3 8+2', 'refused 0.1 1', 'let go 1 3', 'hold 2 3 8+2'])
    // The reactor that was late says it of the first one.
    held(1)
    exclusions.release(1, 3)
    expect(take()).toEqual([])
    held(2)
    expect(take()).toEqual(['granted 1.2 2'])
  })

  test('one that was granted in time is not refused any more', () => {
    const { ask, take, late, held } = rig()
    ask(0, 1)
    held(1)
    expect(() => late[0]!()).toThrow('cancelled')
    expect(take()).toEqual(['hold 1 3 8+2', 'granted 0.1 1'])
  })
})

test('of a reactor that died: what it had is let go, what it asked for is forgotten, the next one has its turn', () => {
  const { exclusions, ask, take, held, late } = rig()
  ask(1, 1)
  ask(1, 2)
  ask(0, 3)
  ask(0, 4, 5)
  held(1)
  held(2)
  take()
  exclusions.forget(1)
  expect(take()).toEqual(['let go 1 3', 'hold 3 3 8+2'])
  held(3)
  exclusions.release(1, 3)
  expect(take()).toEqual(['granted 0.3 3'])
  expect(late[0], 'nobody waits for it any more').toThrow('cancelled')
})
