/**
 * Work: the words of copies and ops, and that they stay within their limits.
 */
import { expect, test } from 'vitest'
import { OP } from '../../../src/shim/abi.ts'
import { Work } from '../../../src/reactor/work.ts'
import { fakeArena, takeOps } from './fake-arena.ts'

const BEYOND = 5 * 2 ** 32 + 0x9000_0000
const BEYOND_LO = 0x9000_0000 | 0
const NOTHING = {
  code: 0, token: 0, file: 0, flags: 0, region: 0, at: 0, bytes: 0, position: 0, range: 0,
  otherRegion: 0, otherAt: 0,
}

test('a copy, to a place beyond 4 GiB', () => {
  const arena = fakeArena()
  const work = new Work(arena, 16, 32)
  work.copy(3, BEYOND_LO, 5, 8192, 512)
  work.copy(0, 4096, 0, 12288, 4)
  const w = arena.copiesAt >> 2
  expect([...arena.words.subarray(w, w + 16)]).toEqual([
    3, BEYOND_LO, 5, 0, 8192, 0, 512, 0, 0, 4096, 0, 0, 12288, 0, 4, 0,
  ])
  expect(arena.words[9]).toBe(2)
  expect(work.copyRoom()).toBe(14)
})

test('which regions the copies of this turn go into', () => {
  const arena = fakeArena()
  const work = new Work(arena, 16, 32)
  work.copy(3, 0, 0, 8192, 512)
  work.copy(0, 4096, 0, 12288, 4)
  work.copy(7, 0, 0, 8192, 512)
  arena.words[9] = 2
  expect([0, 1, 3, 7].map((region) => work.copiesTo(region))).toEqual([true, false, true, false])
})

test('no more copies than a turn takes', () => {
  const arena = fakeArena()
  const work = new Work(arena, 2, 32)
  work.copy(0, 0, 0, 0, 1)
  work.copy(0, 0, 0, 0, 1)
  expect(work.copyRoom()).toBe(0)
  expect(() => work.copy(0, 0, 0, 0, 1)).toThrow('copies fit a turn')
})

test('each kind of op, at positions beyond 4 GiB', () => {
  const arena = fakeArena()
  const work = new Work(arena, 16, 32)
  work.file(OP.WRITE, 1, 9, OP.FUA, 4096, 8192, BEYOND_LO, 5)
  work.fileRange(OP.ZERO, 2, 9, OP.FUA, BEYOND_LO, 5, BEYOND_LO, 5)
  work.memoryZero(3, 7, BEYOND_LO, 5, BEYOND_LO, 5)
  work.compare(4, 4096, 512, 7, BEYOND_LO, 5)
  expect(work.opsOutstanding).toBe(4)
  expect(takeOps(arena)).toEqual([
    { ...NOTHING, code: 2, token: 1, file: 9, flags: 1, at: 4096, bytes: 8192, position: BEYOND },
    { ...NOTHING, code: 5, token: 2, file: 9, flags: 1, position: BEYOND, range: BEYOND },
    { ...NOTHING, code: 6, token: 3, region: 7, at: BEYOND, range: BEYOND },
    { ...NOTHING, code: 7, token: 4, at: 4096, bytes: 512, otherRegion: 7, otherAt: BEYOND },
  ])
})

test('an entry that was used for another op keeps nothing of it', () => {
  const arena = fakeArena()
  const work = new Work(arena, 16, 32)
  work.compare(4, 4096, 512, 7, -1, 5)
  takeOps(arena)
  work.file(OP.SYNC, 5, 2, 0, 0, 0, 0, 0)
  expect(takeOps(arena)).toEqual([{ ...NOTHING, code: 3, token: 5, file: 2 }])
})

test('an op counts until it completes, not until it is taken', () => {
  const arena = fakeArena()
  const work = new Work(arena, 16, 2)
  work.file(OP.SYNC, 0, 0, 0, 0, 0, 0, 0)
  work.file(OP.SYNC, 1, 0, 0, 0, 0, 0, 0)
  takeOps(arena)
  expect(work.opRoom()).toBe(0)
  expect(() => work.file(OP.SYNC, 2, 0, 0, 0, 0, 0, 0)).toThrow('within their limit')
  work.opsOutstanding--
  expect(work.opRoom()).toBe(1)
})
