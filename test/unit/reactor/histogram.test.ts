/**
 * The histogram: every time has one bucket, which holds it, and shares of what was counted.
 */
import { describe, expect, test } from 'vitest'
import { BUCKETS, bucketOf, quantileUs, startUs } from '../../../src/reactor/histogram.ts'

describe('the bucket of a time', () => {
  test.each([0, 1, 3, 4, 7, 8, 9, 10, 15, 16, 19, 20, 999, 1000, 4095, 4096, 1_000_000, 2 ** 24 - 1])(
    '%i µs lies between its bounds', (us) => {
      const bucket = bucketOf(us)
      expect(startUs(bucket)).toBeLessThanOrEqual(us)
      expect(startUs(bucket + 1)).toBeGreaterThan(us)
    })

  test('no bucket is skipped, and none is wider than a quarter of where it begins', () => {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      expect(bucketOf(startUs(bucket))).toBe(bucket)
      const width = startUs(bucket + 1) - startUs(bucket)
      expect(width).toBeLessThanOrEqual(Math.max(1, startUs(bucket) / 4))
    }
  })

  test('what is too long is in the last one, what is no time in the first', () => {
    expect([bucketOf(2 ** 31 - 1), bucketOf(2 ** 25)]).toEqual([BUCKETS - 1, BUCKETS - 1])
    expect([bucketOf(-1), bucketOf(-(2 ** 31))]).toEqual([0, 0])
  })
})

test('a share of what was counted stayed below its time', () => {
  const counts = new Array<number>(BUCKETS).fill(0)
  expect(quantileUs(counts, 0.5)).toBeNaN()
  counts[bucketOf(100)] = 99
  counts[bucketOf(9000)] = 1
  expect(quantileUs(counts, 0.5)).toBe(startUs(bucketOf(100) + 1))
  expect(quantileUs(counts, 0.99)).toBe(startUs(bucketOf(100) + 1))
  expect(quantileUs(counts, 0.999)).toBe(startUs(bucketOf(9000) + 1))
})
