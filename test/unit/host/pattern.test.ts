/** What is told from what was written: every kind of wrong data, each found by what it is. */
import { expect, test } from 'vitest'
import { Histogram } from '../../../src/host/histogram.ts'
import { Pattern } from '../../../src/host/pattern.ts'
import type { Arena } from '../../../src/reactor/arena.ts'
import { crc32c } from '../../wire-bytes.ts'

const BYTES = 4096
const LBA = 2 ** 33 + 8

function stage(earlier = false) {
  const words = new Int32Array(4 * BYTES / 4)
  const bytes = Buffer.from(words.buffer)
  const shim = { crc32c: (_region: number, at: number, _hi: number, count: number) => crc32c(bytes.subarray(at, at + count)) | 0 }
  return { words, bytes, pattern: new Pattern({ words } as Arena, shim, BYTES, 100, earlier) }
}

test('what was written is right, and only that', () => {
  const { pattern, bytes } = stage()
  expect(pattern.check(0, 7, LBA)).toBe('')
  pattern.stamp(0, 7, LBA)
  pattern.written(7)
  expect(pattern.check(0, 7, LBA)).toBe('')
  expect(pattern.check(0, 7, LBA + 8)).toBe(`sector 0 was written to block ${LBA}`)
  bytes.copy(bytes, BYTES, 0, BYTES)
  pattern.stamp(0, 7, LBA)
  pattern.written(7)
  expect(pattern.check(BYTES, 7, LBA)).toBe('sector 0 is of write 1, the last one was 2')
})

test.each<[string, (bytes: Buffer) => void, string]>([
  ['torn', (bytes) => { bytes.copy(bytes, 512, BYTES + 512, BYTES + 1024) }, 'sector 1 is of write 1, the last one was 2'],
  ['damaged', (bytes) => { bytes[3000]! ^= 1 }, 'its CRC does not match'],
  ['zeroes', (bytes) => { bytes.fill(0, 1024, 1536) }, 'sector 2 was never written by this test'],
  ['shifted', (bytes) => { bytes.copy(bytes, 512, 1024, 1536) }, 'sector 1 is sector 2'],
])('data that is %s', (_name, damage, complaint) => {
  const { pattern, bytes } = stage()
  pattern.stamp(BYTES, 7, LBA)
  pattern.written(7)
  pattern.stamp(0, 7, LBA)
  pattern.written(7)
  damage(bytes)
  expect(pattern.check(0, 7, LBA)).toBe(complaint)
})

test('what an earlier run has written is looked at where it is asked for', () => {
  const { pattern, bytes } = stage(true)
  expect(pattern.check(0, 7, LBA)).toBe('')
  pattern.stamp(0, 7, LBA)
  expect(pattern.check(0, 7, LBA)).toBe('')
  bytes[3000]! ^= 1
  expect(pattern.check(0, 7, LBA)).toBe('its CRC does not match')
})

test('a histogram tells percentiles to within 3 %', () => {
  const histogram = new Histogram()
  for (let us = 1; us <= 100_000; us++) histogram.add(us - 0.5)
  expect(histogram.count).toBe(100_000)
  expect(histogram.meanUs).toBeCloseTo(50_000, 0)
  for (const share of [0.001, 0.5, 0.9, 0.99]) {
    const found = histogram.percentileUs(share) / (share * 100_000)
    expect(found).toBeGreaterThanOrEqual(0.99)
    expect(found).toBeLessThanOrEqual(1.04)
  }
  expect(histogram.percentileUs(1)).toBe(99_999.5)
  expect(histogram.rows().reduce((sum, { count }) => sum + count, 0)).toBe(100_000)
  expect(histogram.rows()[0]).toEqual({ fromUs: 0, toUs: 1, count: 1 })
  histogram.add(1e12)
  expect(histogram.percentileUs(1)).toBe(2 ** 31)
})
