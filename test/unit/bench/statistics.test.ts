/** Medians, ratios and tables: what the bench prints must not depend on the order of the runs. */
import { describe, expect, test } from 'vitest'
import { median, medianRatio, microseconds, short, table } from '../../../bench/statistics.ts'

describe('median', () => {
  test('is the middle value of an odd number of runs, in any order', () => {
    expect(median([9, 1, 5])).toBe(5)
  })
  test('is the mean of the middle two of an even number', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
  })
  test('is not a number without runs', () => {
    expect(median([])).toBeNaN()
  })
})

test('a ratio is taken within each pair, so that drift between pairs cancels', () => {
  // The machine slows down tenfold between pairs; weft is twice as fast in each of them.
  expect(medianRatio([200, 20, 2], [100, 10, 1])).toBe(2)
  expect(medianRatio([200, 20], [100, 10, 5])).toBe(2)
})

test('numbers are short for people', () => {
  expect([698_123, 29_500, 9_994, 812.4, 31.26, 7.254, 0, NaN].map(short))
    .toEqual(['698 k', '29.5 k', '9994', '812', '31.3', '7.25', '0', '–'])
  expect(microseconds(8_800)).toBe('8.80')
})

test('a table aligns its columns and tolerates short rows', () => {
  expect(table(['case', 'IOPS'], [['read', '7'], ['write'], ['mix', '1000']])).toBe(
    'case   IOPS\n─────  ────\nread      7\nwrite\nmix    1000')
})
