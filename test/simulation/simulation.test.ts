/**
 * The simulation in short: kept seeds, the same trace for the same seed, and that it finds what it is there for.
 * The long run is npm run sim.
 */
import { describe, expect, test } from 'vitest'
import { Random } from '../random.ts'
import { crc32c as plainCrc32c } from '../wire-bytes.ts'
import { crc32c } from './crc.ts'
import { Oracle } from './oracle.ts'
import { KEPT_SEEDS } from './seeds.ts'
import { World } from './world.ts'

describe('worlds', () => {
  test.each(KEPT_SEEDS)('seed $seed: $why', async ({ seed, size }) => {
    expect((await new World(seed).run(size)).commands).toBeGreaterThanOrEqual(size)
  })

  test('the same seed happens in the same way again', async () => {
    const one = await new World(5).run(1000)
    expect(await new World(5).run(1000)).toEqual(one)
    expect((await new World(6).run(1000)).trace).not.toBe(one.trace)
  })
})

describe('the oracle', () => {
  test('allows what was there during a read, and nothing older', () => {
    const oracle = new Oracle(1)
    const first = oracle.begin(0, 7, 10)
    expect(oracle.allows(0, 0, 11)).toBe(true)
    expect(oracle.allows(0, 7, 11)).toBe(true)
    oracle.readers[0]!++
    oracle.end(0, first, true, false, 12)
    expect(oracle.allows(0, 0, 11)).toBe(true)
    expect(oracle.allows(0, 0, 13)).toBe(false)
    expect(oracle.only(0)).toBe(7)
  })

  test('two writes that overlap may come to pass in either order', () => {
    const oracle = new Oracle(1)
    const [one, other] = [oracle.begin(0, 7, 10), oracle.begin(0, 8, 11)]
    oracle.end(0, one, true, false, 12)
    oracle.end(0, other, true, false, 13)
    expect([oracle.allows(0, 7, 14), oracle.allows(0, 8, 14), oracle.allows(0, 0, 14)]).toEqual([true, true, false])
    expect(oracle.only(0)).toBe(null)
  })

  test('after a power failure: what was flushed, or anything newer', () => {
    for (const [value, survives] of [[0, false], [7, true], [8, true], [9, false]] as const) {
      const oracle = new Oracle(1)
      oracle.end(0, oracle.begin(0, 7, 10), true, false, 11)
      oracle.flushed(12)
      oracle.end(0, oracle.begin(0, 8, 13), true, false, 14)
      expect(oracle.survives(0, value)).toBe(survives)
    }
  })

  test('a flush that began before a write ended says nothing of it', () => {
    const oracle = new Oracle(1)
    const write = oracle.begin(0, 7, 10)
    oracle.end(0, write, true, false, 12)
    oracle.flushed(11)
    expect(oracle.survives(0, 0)).toBe(true)
  })

  test('FUA is a flush of its own blocks', () => {
    const oracle = new Oracle(1)
    oracle.end(0, oracle.begin(0, 7, 10), true, true, 11)
    expect(oracle.survives(0, 0)).toBe(false)
  })
})

test('the fast CRC32C is the plain one', () => {
  const random = new Random(3)
  for (const length of [0, 1, 3, 4, 5, 63, 64, 4096]) {
    const bytes = random.bytes(length + 3)
    expect(crc32c(bytes, 3, length + 3) >>> 0).toBe(plainCrc32c(bytes.subarray(3)))
  }
})
