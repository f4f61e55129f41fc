/**
 * The controller's state machine: what CC asks for, what CSTS says, and when.
 */
import { describe, expect, test } from 'vitest'
import { CHANGE } from '../../../src/controller/admin-state.ts'
import { controllerOf } from './association.ts'

/** CC: EN bit 0, CSS 6:4, MPS 10:7, AMS 13:11, SHN 15:14, IOSQES 19:16 = 6, IOCQES 23:20 = 4. */
const OFF = 0x0046_0000
const ON = 0x0046_0001
const SHN_NORMAL = 0x4000
const SHN_ABRUPT = 0x8000
const RDY = 1
const CFS = 2
const OCCURRING = 4
const COMPLETE = 8

const fresh = (kind: 'nvm' | 'discovery' = 'nvm') => controllerOf({ kind }).admin

function enabled() {
  const admin = fresh()
  expect(admin.configure(ON)).toBe(CHANGE.ENABLED)
  return admin
}

describe('enabling', () => {
  test('is ready at once', () => {
    const admin = enabled()
    expect([admin.csts, admin.enabled, admin.cc]).toEqual([RDY, true, ON])
  })

  test('sizes alone, as Linux writes them first, enable nothing', () => {
    const admin = fresh()
    expect(admin.configure(OFF)).toBe(CHANGE.NONE)
    expect([admin.csts, admin.enabled, admin.cc]).toEqual([0, false, OFF])
    expect(admin.configure(ON)).toBe(CHANGE.ENABLED)
  })

  test('twice changes nothing', () => {
    const admin = enabled()
    expect(admin.configure(ON)).toBe(CHANGE.NONE)
    expect(admin.csts).toBe(RDY)
  })

  test.each([
    ['I/O submission queue entries of 128 bytes', 0x0047_0001], ['no size', 0x0000_0001],
    ['completion queue entries of 8 bytes', 0x0036_0001], ['pages of 8 KiB', 0x0046_0081],
    ['weighted round robin', 0x0046_0801], ['another command set', 0x0046_0061],
  ])('%s: the controller is fatal until it is disabled', (_what, cc) => {
    const admin = fresh()
    expect(admin.configure(cc)).toBe(CHANGE.FATAL)
    expect([admin.csts, admin.enabled]).toEqual([CFS, false])
    expect(admin.configure(OFF)).toBe(CHANGE.DISABLED)
    admin.emptied()
    expect(admin.csts).toBe(0)
    expect(admin.configure(ON)).toBe(CHANGE.ENABLED)
  })

  test('a discovery controller has no I/O queues, so any size will do', () => {
    const admin = fresh('discovery')
    expect(admin.configure(1)).toBe(CHANGE.ENABLED)
    expect(fresh('discovery').configure(0x81)).toBe(CHANGE.FATAL)
  })
})

describe('disabling', () => {
  test('RDY goes when the I/O queues have gone', () => {
    const admin = enabled()
    expect(admin.configure(OFF)).toBe(CHANGE.DISABLED)
    expect([admin.csts, admin.enabled]).toEqual([RDY, false])
    admin.emptied()
    expect(admin.csts).toBe(0)
  })

  test('a host that enables again too early is ready, and stays so', () => {
    const admin = enabled()
    admin.configure(OFF)
    expect(admin.configure(ON)).toBe(CHANGE.ENABLED)
    admin.emptied()
    expect([admin.csts, admin.enabled]).toEqual([RDY, true])
  })

  test('together with a shutdown notification it is still a reset', () => {
    const admin = enabled()
    expect(admin.configure(OFF | SHN_NORMAL)).toBe(CHANGE.DISABLED)
    admin.emptied()
    expect(admin.csts).toBe(0)
  })
})

describe('shutting down', () => {
  test.each([SHN_NORMAL, SHN_ABRUPT])('SHN %i occurs, then is complete; RDY stays', (shn) => {
    const admin = enabled()
    expect(admin.configure(ON | shn)).toBe(CHANGE.SHUT_DOWN)
    expect(admin.csts).toBe(RDY | OCCURRING)
    admin.emptied()
    expect(admin.csts).toBe(RDY | COMPLETE)
  })

  test('said again it changes nothing', () => {
    const admin = enabled()
    admin.configure(ON | SHN_NORMAL)
    expect(admin.configure(ON | SHN_NORMAL)).toBe(CHANGE.NONE)
    expect(admin.configure(ON | SHN_ABRUPT)).toBe(CHANGE.NONE)
    admin.emptied()
    expect(admin.csts).toBe(RDY | COMPLETE)
  })

  test('disabled before it is complete: nothing is left', () => {
    const admin = enabled()
    admin.configure(ON | SHN_NORMAL)
    expect(admin.configure(OFF | SHN_NORMAL)).toBe(CHANGE.DISABLED)
    admin.emptied()
    admin.emptied()
    expect(admin.csts).toBe(0)
  })

  test('only a reset brings it back', () => {
    const admin = enabled()
    admin.configure(ON | SHN_NORMAL)
    admin.emptied()
    expect(admin.configure(ON)).toBe(CHANGE.NONE)
    expect(admin.csts).toBe(RDY | COMPLETE)
    admin.configure(OFF)
    admin.emptied()
    expect(admin.configure(ON)).toBe(CHANGE.ENABLED)
    expect(admin.csts).toBe(RDY)
  })

  test('of a controller that was never enabled', () => {
    const admin = fresh()
    expect(admin.configure(OFF | SHN_NORMAL)).toBe(CHANGE.SHUT_DOWN)
    expect(admin.csts).toBe(OCCURRING)
    admin.emptied()
    expect(admin.csts).toBe(COMPLETE)
    expect(admin.configure(ON)).toBe(CHANGE.ENABLED)
    expect(admin.csts).toBe(RDY)
  })
})
