/**
 * The shared block: rows and counters do not meet; the error log is a ring that never leaves its row.
 */
import { expect, test } from 'vitest'
import { errorsOf } from '../../../src/controller/health.ts'
import {
  COUNT, ERROR_ENTRIES, HEALTH, ROW, ROW_WORDS, Shared, sharedBytes,
} from '../../../src/controller/shared.ts'
import { LIMITS, controllerOf, sharedBlock } from './association.ts'

test('every reactor sees one memory', () => {
  const memory = new ArrayBuffer(sharedBytes(LIMITS, 2))
  const [first, second] = [new Shared(memory, LIMITS, 2), new Shared(memory, LIMITS, 2)]
  first.words[first.row(3) + ROW.STAMP] = 5
  first.counters[first.counterAt(1, 2)] = 6
  expect([second.words[second.row(3) + ROW.STAMP], second.counters[second.counterAt(1, 2)]]).toEqual([5, 6])
})

test('each counter of each reactor and namespace has its own place', () => {
  const shared = sharedBlock(2)
  const places = [0, 1].flatMap((reactor) => [0, 1, 2, 3].map((namespace) => shared.counterAt(reactor, namespace)))
  expect(places).toEqual([0, 8, 16, 24, 32, 40, 48, 56])
  expect([0, 1, 2, 3].map((namespace) => shared.keptAt(namespace)), 'after the last reactor').toEqual([64, 72, 80, 88])
  expect(shared.counters.length).toBe(96)
})

test('health is nobody else’s memory', () => {
  const shared = sharedBlock(2)
  shared.health.fill(9)
  expect([shared.words.every((word) => word === 0), shared.counters.every((each) => each === 0)]).toEqual([true, true])
  expect(shared.health.length).toBe(16 * (LIMITS.subsystems + 1))
  shared.counters.fill(1)
  shared.words.fill(1)
  expect(shared.health.every((each) => each === 9)).toBe(true)
})

test('a total is over the reactors and what was kept, of one namespace', () => {
  const shared = sharedBlock(2)
  for (const [reactor, namespace, value] of [[0, 1, 3], [1, 1, 4], [0, 0, 100], [1, 2, 1000]]) {
    shared.counters[shared.counterAt(reactor!, namespace!) + COUNT.WRITES] = value!
  }
  expect(shared.total(1, COUNT.WRITES)).toBe(7)
  shared.counters[shared.keptAt(1) + COUNT.WRITES] = 500
  expect(shared.total(1, COUNT.WRITES)).toBe(507)
})

test('clearing a row leaves its neighbours', () => {
  const shared = sharedBlock()
  shared.words.fill(9)
  shared.clear(1)
  expect(shared.words.subarray(shared.row(1), shared.row(2)).every((word) => word === 0)).toBe(true)
  expect([shared.words[shared.row(1) - 1], shared.words[shared.row(2)]]).toEqual([9, 9])
})

test('errors come back newest first, as they were', () => {
  const shared = sharedBlock()
  const { controller } = controllerOf()
  shared.logError(controller.index, 0, 0xffff, 0x4002, 0, 0, 0x02_ffff)
  shared.logError(controller.index, 3, 7, 0x4080, 5 * 2 ** 32 + 0x9000_0000, 0xffff_ffff, 0xff_0028)
  expect(errorsOf(shared, controller)).toEqual([
    {
      count: 2, sqid: 3, cid: 7, status: 0x4080, location: 40, opcode: 0xff, lba: 5 * 2 ** 32 + 0x9000_0000,
      nsid: 0xffff_ffff,
    },
    { count: 1, sqid: 0, cid: 0xffff, status: 0x4002, location: 0xffff, opcode: 2, lba: 0, nsid: 0 },
  ])
})

test('errors are numbered through the subsystem, from those of earlier runs on', () => {
  const shared = sharedBlock()
  const controllers = [1, 2, 3].map((index) => controllerOf({ index }).controller)
  shared.words[shared.row(1) + ROW.SUBSYSTEM] = 4
  shared.words[shared.row(2) + ROW.SUBSYSTEM] = 4
  shared.words[shared.row(3) + ROW.SUBSYSTEM] = 5
  shared.health[shared.healthAt(4) + HEALTH.ERRORS_BEFORE] = 2 ** 33
  for (const index of [1, 2, 3, 1]) shared.logError(index, 1, index, 1, 0, 1, 0)
  const counts = controllers.map((each) => errorsOf(shared, each).map(({ count }) => count))
  expect(counts).toEqual([[2 ** 33 + 3, 2 ** 33 + 1], [2 ** 33 + 2], [1]])
  expect([shared.errors(4), shared.errors(5), shared.errors(6)]).toEqual([2 ** 33 + 3, 1, 0])
})

test('the newest are kept', () => {
  const shared = sharedBlock()
  const { controller } = controllerOf()
  for (let cid = 1; cid <= ERROR_ENTRIES + 10; cid++) shared.logError(controller.index, 1, cid, 1, 0, 1, 0)
  const cids = errorsOf(shared, controller).map((each) => each.cid)
  expect(cids).toEqual(Array.from({ length: ERROR_ENTRIES }, (_, index) => ERROR_ENTRIES + 10 - index))
})

test('more errors than 2^31, which a hostile host sends within an hour, stay in the log', () => {
  const shared = sharedBlock()
  const { controller } = controllerOf({ index: 2 })
  const row = shared.row(2)
  shared.words[row + ROW.ERRORS] = 0x7fff_fff0
  for (let cid = 0; cid < 2 * ERROR_ENTRIES; cid++) shared.logError(2, 1, cid, 1, 0, 1, 0)
  expect(shared.words.subarray(0, row + ROW.ERRORS).every((word) => word === 0), 'below the log').toBe(true)
  expect(shared.words.subarray(row + ROW.ERRORS + 1, row + ROW.ENTRIES).every((word) => word === 0)).toBe(true)
  const end = row + ROW.ENTRIES + 8 * ERROR_ENTRIES
  expect(shared.words.subarray(end, row + ROW_WORDS).every((word) => word === 0), 'above it').toBe(true)
  const errors = errorsOf(shared, controller)
  expect(errors.map((each) => each.cid)).toEqual(
    Array.from({ length: ERROR_ENTRIES }, (_, index) => 2 * ERROR_ENTRIES - 1 - index),
  )
  expect(errors[0]!.count).toBe(2 * ERROR_ENTRIES)
})

test('controllers of a subsystem: those that exist, ascending', () => {
  const shared = sharedBlock()
  for (const [index, state, subsystem, cntlid] of [[0, 1, 3, 9], [1, 2, 3, 4], [2, 3, 3, 5], [3, 2, 4, 6]]) {
    shared.words.set([state!], shared.row(index!) + ROW.STATE)
    shared.words.set([cntlid!, subsystem!], shared.row(index!) + ROW.CNTLID)
  }
  expect([0, 3].map((each) => shared.partiesOf(each).map(({ cntlid }) => cntlid))).toEqual([[4, 9], [6]])
})
