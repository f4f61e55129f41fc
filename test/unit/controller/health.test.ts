/**
 * Health: which counters are summed, for a subsystem and for one of its namespaces.
 */
import { expect, test } from 'vitest'
import { healthOf } from '../../../src/controller/health.ts'
import { COUNT, HEALTH, ROW } from '../../../src/controller/shared.ts'
import { controllerOf, namespaceSnapshot, sharedBlock, subsystemSnapshot } from './association.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const ROW_OF_IT = 7
const COUNTERS = [COUNT.READS, COUNT.WRITES, COUNT.READ_BYTES, COUNT.WRITTEN_BYTES, COUNT.MEDIA_ERRORS]

function rig() {
  const shared = sharedBlock(2)
  const namespaces = [namespaceSnapshot(1), namespaceSnapshot(3)]
  const subsystem = subsystemSnapshot({ namespaces })
  const controller = Object.assign(controllerOf().controller, { subsystem })
  shared.words[shared.row(controller.index) + ROW.SUBSYSTEM] = ROW_OF_IT
  const count = (at: number, which: number, value: number): void => { shared.counters[at + which] = value }
  const health = (which: number, value: number): void => {
    shared.health[shared.healthAt(ROW_OF_IT) + which] = value
  }
  for (const [index, which] of COUNTERS.entries()) {
    count(shared.counterAt(0, 0), which, 1 + index)
    count(shared.counterAt(1, 0), which, 10)
    count(shared.counterAt(1, 2), which, 100)
    count(shared.keptAt(2), which, 1000)
    count(shared.counterAt(0, 1), which, 5_000_000)
    health(HEALTH.REMOVED + which, 20_000)
  }
  return { shared, controller, namespaces, count, health }
}

test('all namespaces of the subsystem, those removed, on all reactors and before, and no others', () => {
  const { shared, namespaces } = rig()
  expect(healthOf(shared, ROW_OF_IT, namespaces)).toEqual({
    reads: 21111, writes: 21112, readBytes: 21113, writtenBytes: 21114, mediaErrors: 21115, errors: 0,
    busyMinutes: 0, powerOnHours: 0, powerCycles: 0, unsafeShutdowns: 0, warning: 0,
  })
})

test('one namespace', () => {
  const { shared, namespaces, count, health } = rig()
  count(shared.keptAt(2), COUNT.WARNING, 4)
  health(HEALTH.WARNING, 8)
  expect(healthOf(shared, ROW_OF_IT, namespaces, namespaces[1])).toMatchObject({
    reads: 1100, writes: 1100, readBytes: 1100, writtenBytes: 1100, mediaErrors: 1100, warning: 4,
  })
  expect(healthOf(shared, ROW_OF_IT, namespaces).warning).toBe(8)
})

test('hours, minutes, and how runs began and ended, are of the subsystem', () => {
  const { shared, health, namespaces } = rig()
  health(HEALTH.POWER_ON_MS, 30 * HOUR_MS - 1)
  health(HEALTH.BUSY_MS, 5 * MINUTE_MS - 1)
  health(HEALTH.POWER_CYCLES, 12)
  health(HEALTH.UNSAFE_SHUTDOWNS, 3)
  const wanted = { powerOnHours: 29, busyMinutes: 4, powerCycles: 12, unsafeShutdowns: 3 }
  expect(healthOf(shared, ROW_OF_IT, namespaces)).toMatchObject(wanted)
  expect(healthOf(shared, ROW_OF_IT, namespaces, namespaces[0])).toMatchObject(wanted)
  health(HEALTH.POWER_ON_MS, 30 * HOUR_MS)
  expect(healthOf(shared, ROW_OF_IT, namespaces).powerOnHours).toBe(30)
})

test('errors of all runs', () => {
  const { shared, controller, health, namespaces } = rig()
  health(HEALTH.ERRORS_BEFORE, 0xffff_ffff)
  shared.logError(controller.index, 1, 1, 1, 0, 1, 0)
  expect(healthOf(shared, ROW_OF_IT, namespaces).errors).toBe(0x1_0000_0000)
})
