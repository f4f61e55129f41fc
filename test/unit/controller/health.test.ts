/**
 * Health: which counters are summed, and since when the hours count.
 */
import { expect, test } from 'vitest'
import { healthOf } from '../../../src/controller/health.ts'
import { COUNT, ROW } from '../../../src/controller/shared.ts'
import { controllerOf, namespaceSnapshot, sharedBlock, subsystemSnapshot } from './association.ts'

const HOUR_MS = 3_600_000

function rig() {
  const shared = sharedBlock(2)
  const subsystem = subsystemSnapshot({ namespaces: [namespaceSnapshot(1), namespaceSnapshot(3)] })
  const controller = Object.assign(controllerOf().controller, { subsystem })
  const count = (reactor: number, namespace: number, which: number, value: number): void => {
    shared.counters[shared.counterAt(reactor, namespace) + which] = value
  }
  return { shared, controller, count }
}

test('all namespaces of the subsystem on all reactors, and no others', () => {
  const { shared, controller, count } = rig()
  for (const [index, which] of [
    COUNT.READS, COUNT.WRITES, COUNT.READ_BYTES, COUNT.WRITTEN_BYTES, COUNT.MEDIA_ERRORS,
  ].entries()) {
    count(0, 0, which, 1 + index)
    count(1, 0, which, 10)
    count(1, 2, which, 100)
    count(0, 1, which, 5000)
  }
  shared.words[shared.row(controller.index) + ROW.ERRORS] = 9
  expect(healthOf(shared, controller, 0)).toEqual({
    reads: 111, writes: 112, readBytes: 113, writtenBytes: 114, mediaErrors: 115, errors: 9,
    busyMinutes: 0, powerOnHours: 0,
  })
})

test('hours count from the start of the target, also where the clock wraps', () => {
  const { shared, controller } = rig()
  shared.words[shared.row(controller.index) + ROW.STARTED] = 0x7fff_ff00
  const after = (ms: number): number =>
    healthOf(shared, controller, (0x7fff_ff00 + ms) | 0).powerOnHours
  expect([after(0), after(HOUR_MS - 1), after(HOUR_MS), after(30 * HOUR_MS)]).toEqual([0, 0, 1, 30])
})

test('2^31 errors and more are a number', () => {
  const { shared, controller } = rig()
  shared.words[shared.row(controller.index) + ROW.ERRORS] = -1
  expect(healthOf(shared, controller, 0).errors).toBe(0xffff_ffff)
})
