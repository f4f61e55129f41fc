/**
 * Buffers: the buddy allocator against a model that only remembers what is taken.
 */
import { describe, expect, test } from 'vitest'
import { Buffers } from '../../../src/reactor/buffers.ts'

const PAGE = 4096
const AT = 3 * PAGE

const area = (pages: number): Buffers => new Buffers(AT, pages * PAGE)
const roundedPages = (bytes: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, bytes / PAGE)))

/** Takes buffers of `pages` until there is none; returns where they are. */
function drain(buffers: Buffers, pages = 1): number[] {
  const taken: number[] = []
  for (let at = buffers.take(pages * PAGE); at !== -1; at = buffers.take(pages * PAGE)) taken.push(at)
  return taken
}

/** A sequence that is the same every time. */
function sequence(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
}

test.each([1, 2, 3, 7, 8, 13, 64, 100, 2048])('%i pages: all of them, each once', (pages) => {
  const buffers = area(pages)
  expect([buffers.pages, buffers.freePages]).toEqual([pages, pages])
  const taken = drain(buffers).toSorted((left, right) => left - right)
  expect(taken).toEqual(Array.from({ length: pages }, (_, page) => AT + page * PAGE))
  expect(buffers.freePages).toBe(0)
})

test('sizes are rounded up to a power of two of pages', () => {
  const buffers = area(64)
  for (const [bytes, pages] of [[0, 1], [1, 1], [4096, 1], [4097, 2], [8192, 2], [8193, 4], [20480, 8]]) {
    const before = buffers.freePages
    const at = buffers.take(bytes!)
    expect(before - buffers.freePages, `${bytes} bytes`).toBe(pages)
    expect((at - AT) % (pages! * PAGE), 'aligned to its size').toBe(0)
    buffers.give(at)
    expect(buffers.freePages).toBe(before)
  }
})

test('more than there is, in one piece or at all, is -1 and changes nothing', () => {
  const buffers = area(12)
  expect(buffers.take(13 * PAGE)).toBe(-1)
  expect(buffers.take(9 * PAGE)).toBe(-1)
  expect(buffers.freePages).toBe(12)
  expect(drain(buffers, 8)).toEqual([AT])
  expect(drain(buffers, 4)).toEqual([AT + 8 * PAGE])
  expect(buffers.take(1)).toBe(-1)
})

test.each([1, 6, 16, 37, 1000])('%i pages: whole again, in whichever order they come back', (pages) => {
  for (const seed of [1, 2, 3]) {
    const random = sequence(seed)
    const buffers = area(pages)
    const largest = 2 ** Math.floor(Math.log2(pages))
    const taken = drain(buffers)
    while (taken.length !== 0) buffers.give(taken.splice(random(taken.length), 1)[0]!)
    expect(buffers.freePages).toBe(pages)
    expect(buffers.take(largest * PAGE), 'the largest block').toBe(AT)
  }
})

test.each([[64, 1], [100, 2], [513, 3]])('%i pages, at random: no overlap, no loss (seed %i)', (pages, seed) => {
  const random = sequence(seed)
  const buffers = area(pages)
  const owner = new Int32Array(pages).fill(-1)
  const taken = new Map<number, number>()
  for (let step = 1; step <= 4000; step++) {
    if (random(100) < 55) {
      const bytes = 1 + random(random(4) === 0 ? 32 * PAGE : 4 * PAGE)
      const at = buffers.take(bytes)
      if (at === -1) continue
      const first = (at - AT) / PAGE
      const count = roundedPages(bytes)
      expect(owner.subarray(first, first + count).every((each) => each === -1)).toBe(true)
      expect(first + count).toBeLessThanOrEqual(pages)
      owner.fill(step, first, first + count)
      taken.set(at, count)
    } else if (taken.size !== 0) {
      const [at, count] = [...taken][random(taken.size)]!
      buffers.give(at)
      taken.delete(at)
      owner.fill(-1, (at - AT) / PAGE, (at - AT) / PAGE + count)
    }
    expect(buffers.freePages).toBe(owner.filter((each) => each === -1).length)
  }
  for (const at of taken.keys()) buffers.give(at)
  expect(drain(buffers).length).toBe(pages)
})

describe('pages that are kept', () => {
  test('are left free by those who have to, and taken by the others', () => {
    const buffers = area(8)
    expect(buffers.take(4 * PAGE, 5)).toBe(-1)
    expect(buffers.take(4 * PAGE, 4)).not.toBe(-1)
    expect(buffers.take(1, 4)).toBe(-1)
    expect(buffers.take(4 * PAGE)).not.toBe(-1)
    expect(buffers.freePages).toBe(0)
  })
})

describe('our own mistakes end the reactor', () => {
  test('giving twice', () => {
    const buffers = area(4)
    const [first, second] = [buffers.take(PAGE), buffers.take(PAGE)]
    buffers.give(first)
    expect(() => buffers.give(first)).toThrow('given back once')
    buffers.give(second)
    expect(() => buffers.give(second)).toThrow('given back once')
  })

  test('giving the middle of a buffer, or what is elsewhere', () => {
    const buffers = area(4)
    const at = buffers.take(4 * PAGE)
    expect(() => buffers.give(at + PAGE)).toThrow('given back once')
    expect(() => buffers.give(AT - PAGE)).toThrow('in its area')
    expect(() => buffers.give(AT + 4 * PAGE)).toThrow('in its area')
  })

  test('an area that is not made of pages', () => {
    expect(() => new Buffers(100, PAGE)).toThrow('whole pages')
    expect(() => new Buffers(PAGE, 100)).toThrow('whole pages')
  })
})
