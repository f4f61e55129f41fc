/**
 * Properties: which there are, in which size, and what writing CC sets going.
 */
import { describe, expect, test } from 'vitest'
import { Properties } from '../../../src/controller/properties.ts'
import { CONTROLLER_STATE } from '../../../src/controller/shared.ts'
import { controllerOf, sharedBlock } from './association.ts'

const [CAP, VS, CC, CSTS, CRTO] = [0x00, 0x08, 0x14, 0x1c, 0x68]
const [BYTES_4, BYTES_8] = [0, 1]
const ON = 0x0046_0001
const OFF = 0x0046_0000
const INVALID_FIELD = 0x4002

function rig(queueDepthMax = 128) {
  const shared = sharedBlock()
  const { controller, admin } = controllerOf({ queueDepthMax })
  const calls: string[] = []
  const properties = new Properties(shared, () => calls.push('empty'), () => calls.push('reset'))
  return {
    controller, admin, calls,
    get: (offset: number, size: number) => properties.get(controller, offset, size),
    set: (offset: number, size: number, value: number) => properties.set(controller, offset, size, value),
    state: () => shared.words[controller.stateWord],
  }
}

describe('reading', () => {
  test('CAP: MQES, CQR, TO 15 s, the NVM command set, CRWMS', () => {
    expect(rig(1024).get(CAP, BYTES_8)).toEqual({ status: 0, low: 0x1e01_03ff, high: 0x0800_0020 })
  })

  test('VS is 2.0, CRTO says 15 s', () => {
    expect(rig().get(VS, BYTES_4)).toEqual({ status: 0, low: 0x0002_0000, high: 0 })
    expect(rig().get(CRTO, BYTES_4)).toEqual({ status: 0, low: 30, high: 0 })
  })

  test('CC is what was written, CSTS what became of it', () => {
    const { get, set } = rig()
    set(CC, BYTES_4, ON)
    expect(get(CC, BYTES_4)).toEqual({ status: 0, low: ON, high: 0 })
    expect(get(CSTS, BYTES_4)).toEqual({ status: 0, low: 1, high: 0 })
  })

  test.each([
    [CAP, BYTES_4], [VS, BYTES_8], [CC, BYTES_8], [CSTS, BYTES_8], [CRTO, BYTES_8], [CSTS, 2],
    [CAP, 7], [0x04, BYTES_4], [0x0c, BYTES_4], [0x20, BYTES_4], [0x24, BYTES_4], [-1, BYTES_4],
  ])('%i in size %i: Invalid Field', (offset, size) => {
    expect(rig().get(offset, size)).toEqual({ status: INVALID_FIELD, low: 0, high: 0 })
  })
})

describe('writing', () => {
  test.each([[CAP, BYTES_8], [VS, BYTES_4], [CSTS, BYTES_4], [CC, BYTES_8], [0x20, BYTES_4]])(
    '%i in size %i: Invalid Field, and nothing happens', (offset, size) => {
      const { set, admin, calls } = rig()
      expect(set(offset, size, ON)).toBe(INVALID_FIELD)
      expect([admin.cc, admin.csts, ...calls]).toEqual([0, 0])
    },
  )

  test('the row is READY from enabling to disabling', () => {
    const { set, state, calls } = rig()
    expect(set(CC, BYTES_4, OFF)).toBe(0)
    expect(state()).toBe(CONTROLLER_STATE.NONE)
    expect(set(CC, BYTES_4, ON)).toBe(0)
    expect(state()).toBe(CONTROLLER_STATE.READY)
    expect(calls).toEqual([])
    expect(set(CC, BYTES_4, OFF)).toBe(0)
    expect(state()).toBe(CONTROLLER_STATE.DISABLED)
    expect(calls).toEqual(['reset', 'empty'])
  })

  test('a shutdown ends I/O, but forgets nothing', () => {
    const { set, state, calls } = rig()
    set(CC, BYTES_4, ON)
    set(CC, BYTES_4, ON | 0x4000)
    expect(state()).toBe(CONTROLLER_STATE.DISABLED)
    expect(calls).toEqual(['empty'])
  })

  test('what cannot be enabled is not ready', () => {
    const { set, state, calls } = rig()
    expect(set(CC, BYTES_4, 1)).toBe(0)
    expect(state()).toBe(CONTROLLER_STATE.DISABLED)
    expect(calls).toEqual([])
  })
})
