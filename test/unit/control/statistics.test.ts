/**
 * Counters of the reactors: one line when all have sent theirs, in their order.
 */
import { expect, test } from 'vitest'
import { Statistics } from '../../../src/control/statistics.ts'

const counters = (reactor: number, commands: number) => ({
  type: 'statistics', reactor, collections: 0, commands, slotsInUse: 0, busyUs: 0, turns: 0,
} as const)

test('a line when the last one has come; what was asked for before does not count', () => {
  const lines: object[] = []
  const statistics = new Statistics(2, { statistics: ({ reactors }) => lines.push(reactors) })
  statistics.begin()
  statistics.gather(counters(0, 1))
  statistics.begin()
  statistics.gather(counters(1, 5))
  expect(lines).toEqual([])
  statistics.gather(counters(0, 4))
  const seen = (lines[0] as { reactor: number; commands: number }[])
  expect(seen.map(({ reactor, commands }) => [reactor, commands])).toEqual([[0, 4], [1, 5]])
  expect(seen[0]).not.toHaveProperty('type')
})

test('a line has every reactor once, however often they are asked', () => {
  const lines: object[] = []
  const statistics = new Statistics(2, { statistics: ({ reactors }) => lines.push(reactors) })
  statistics.begin()
  statistics.begin()
  for (const [reactor, commands] of [[0, 1], [0, 2], [1, 3], [1, 4]] as const) statistics.gather(counters(reactor, commands))
  expect(lines).toEqual([[expect.objectContaining({ reactor: 0, commands: 2 }), expect.objectContaining({ reactor: 1, commands: 3 })]])
})
