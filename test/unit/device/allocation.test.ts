/** The allocator of a pool, against a model that knows of each granule who has it. */
import { describe, expect, test } from 'vitest'
import { Allocation, GRANULE_BYTES, granulesOf, type Part } from '../../../src/device/allocation.ts'
import { Random } from '../../random.ts'

const [TOTAL, REACH] = [40, 64]
const bytes = (granules: number): number => granules * GRANULE_BYTES

describe('Allocation', () => {
  test('takes the lowest place with room, and gives it out again', () => {
    const pool = new Allocation(bytes(10), bytes(10))
    const [one, two, three] = [3, 2, 4].map((each) => pool.take(bytes(each))!)
    expect([one!.at, two!.at, three!.at]).toEqual([0, bytes(3), bytes(5)])
    expect(pool.freeBytes).toBe(bytes(1))
    pool.give(two!)
    expect(pool.take(bytes(1))!.at).toBe(bytes(3))
    expect(pool.take(bytes(3))).toBeNull()
    expect(pool.endBytes).toBe(bytes(9))
  })

  test('what is free can be had in one piece where addresses reach further than the size', () => {
    const pool = new Allocation(bytes(4), bytes(8))
    const parts = [0, 1, 2, 3].map(() => pool.take(bytes(1))!)
    pool.give(parts[0]!)
    pool.give(parts[2]!)
    expect(pool.take(bytes(2))).toEqual({ at: bytes(4), bytes: bytes(2) })
    expect(pool.freeBytes).toBe(0)
    expect(pool.take(bytes(1)), 'the size counts').toBeNull()
  })

  test('claims what was kept, once, where it is right', () => {
    const pool = new Allocation(bytes(4), bytes(8))
    expect(pool.claim({ at: bytes(6), bytes: bytes(2) })).toBe(true)
    expect(pool.claim({ at: bytes(5), bytes: bytes(2) }), 'overlaps').toBe(false)
    expect(pool.claim({ at: bytes(8), bytes: bytes(1) }), 'beyond').toBe(false)
    expect(pool.claim({ at: 512, bytes: bytes(1) }), 'not at a granule').toBe(false)
    expect(pool.claim({ at: 0, bytes: bytes(3) }), 'more than is free').toBe(false)
    expect(pool.claim({ at: 0, bytes: bytes(2) })).toBe(true)
  })

  test('rounds up to granules', () => {
    expect([1, GRANULE_BYTES, GRANULE_BYTES + 1].map(granulesOf)).toEqual([bytes(1), bytes(1), bytes(2)])
  })

  test('agrees with a model of granules through random creations and deletions', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = new Random(seed)
      const pool = new Allocation(bytes(TOTAL), bytes(REACH))
      const owner = new Array<number>(REACH).fill(0)
      const taken = new Map<number, Part>()
      for (let step = 1; step <= 200; step++) {
        const parts = [...taken]
        if (parts.length !== 0 && random.below(2) === 0) {
          const [name, part] = parts[random.below(parts.length)]!
          pool.give(part)
          taken.delete(name)
          owner.forEach((each, k) => { if (each === name) owner[k] = 0 })
        } else {
          const wanted = 1 + random.below(12)
          const free = TOTAL - owner.filter((each) => each !== 0).length
          const at = firstFit(owner, wanted)
          const part = pool.take(bytes(wanted))
          if (wanted > free || at === -1) {
            expect(part).toBeNull()
            continue
          }
          expect(part).toEqual({ at: bytes(at), bytes: bytes(wanted) })
          owner.fill(step, at, at + wanted)
          taken.set(step, part!)
        }
        expect(pool.freeBytes).toBe(bytes(TOTAL - owner.filter((each) => each !== 0).length))
        expect(pool.endBytes).toBe(bytes(owner.findLastIndex((each) => each !== 0) + 1))
      }
    }
  })
})

function firstFit(owner: readonly number[], wanted: number): number {
  for (let at = 0; at + wanted <= owner.length; at++) {
    if (owner.slice(at, at + wanted).every((each) => each === 0)) return at
  }
  return -1
}
