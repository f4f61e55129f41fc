/**
 * Keep alive: on a clock that a test turns.
 */
import { describe, expect, test } from 'vitest'
import { INACTIVITY_MS, KeepAlive } from '../../../src/controller/keep-alive.ts'
import { CONTROLLER_STATE } from '../../../src/controller/shared.ts'
import { controllerOf, sharedBlock } from './association.ts'

const KATO = 5000
const STEP_MS = 500

/** One controller, connected at `nowMs`, whose admin queue is on this reactor. */
function rig(more: { keepAliveMs?: number; kind?: 'nvm' | 'discovery'; nowMs?: number } = {}) {
  const shared = sharedBlock()
  const { controller, admin } = controllerOf({ keepAliveMs: KATO, ...more })
  const expired: string[] = []
  const keepAlive = new KeepAlive(shared, new Map([[1, controller]]), (which, reason) => {
    expired.push(`${which.index}: ${reason}`)
  })
  let now = more.nowMs ?? 0
  const word = (at: number, value: number): void => { shared.words[at] = value }
  word(controller.stampWord, now)
  word(controller.stateWord, CONTROLLER_STATE.READY)
  return {
    controller, admin, expired,
    /** Turns for so long, a tick every STEP_MS. */
    pass: (ms: number) => {
      for (const end = now + ms; now < end; ) {
        now += STEP_MS
        keepAlive.tick(now | 0)
      }
    },
    /** The machine stands still for so long. */
    pause: (ms: number) => { now += ms },
    command: () => word(controller.stampWord, now | 0),
    state: (state: number) => word(controller.stateWord, state),
  }
}

describe('with a timer', () => {
  test('no command for that long, and it is over', () => {
    const { pass, expired } = rig()
    pass(KATO - STEP_MS)
    expect(expired).toEqual([])
    pass(STEP_MS)
    expect(expired).toEqual(['1: keep alive expired: no command for 5 s'])
  })

  test('a command in each window is enough', () => {
    const { pass, command, expired } = rig()
    for (let round = 0; round < 20; round++) {
      pass(KATO - STEP_MS)
      command()
      pass(STEP_MS)
    }
    expect(expired).toEqual([])
    pass(KATO)
    expect(expired.length).toBe(1)
  })

  test('it is told again if nobody listened', () => {
    const { pass, expired } = rig()
    pass(3 * KATO)
    expect(expired.length).toBe(3)
  })

  test('before it is enabled too', () => {
    const { pass, state, expired } = rig()
    state(CONTROLLER_STATE.DISABLED)
    pass(KATO)
    expect(expired.length).toBe(1)
  })

  test.each([1500, 3 * KATO, 3_600_000])('a pause of the reactor of %i ms is not held against it', (ms) => {
    const { pass, pause, expired } = rig()
    pass(1000)
    pause(ms)
    // The tick that ends the pause does not count either.
    pass(KATO - 1000)
    expect(expired).toEqual([])
    pass(STEP_MS)
    expect(expired.length).toBe(1)
  })

  test('the clock may wrap', () => {
    const { pass, command, expired } = rig({ nowMs: 2 ** 31 - 2000 })
    pass(KATO - STEP_MS)
    command()
    pass(KATO)
    expect(expired).toEqual([])
    pass(KATO)
    expect(expired.length).toBe(1)
  })

  test('the longest one there is never ends', () => {
    const { pass, expired } = rig({ keepAliveMs: 4_294_967_000 })
    pass(KATO)
    expect(expired).toEqual([])
  })
})

describe('without a timer', () => {
  test('it may be silent for as long as it is enabled', () => {
    const { pass, expired } = rig({ keepAliveMs: 0 })
    pass(10 * INACTIVITY_MS)
    expect(expired).toEqual([])
  })

  test('disabled after a long silence it has its two minutes from then on', () => {
    const { pass, state, expired } = rig({ keepAliveMs: 0 })
    pass(10 * INACTIVITY_MS)
    state(CONTROLLER_STATE.DISABLED)
    pass(INACTIVITY_MS - STEP_MS)
    expect(expired).toEqual([])
    pass(STEP_MS)
    expect(expired).toEqual(['1: no command for 120 s, and no keep alive agreed on'])
  })

  test('a discovery controller is let go when it is silent', () => {
    const { pass, command, expired } = rig({ keepAliveMs: 0, kind: 'discovery' })
    pass(INACTIVITY_MS - STEP_MS)
    command()
    pass(INACTIVITY_MS)
    expect(expired).toEqual([])
    pass(INACTIVITY_MS)
    expect(expired.length).toBe(1)
  })

  test('one that asks for a timer late has all of it', () => {
    const { pass, admin, expired } = rig({ keepAliveMs: 0 })
    pass(INACTIVITY_MS)
    admin.features.keepAliveMs = KATO
    pass(KATO - STEP_MS)
    expect(expired).toEqual([])
    pass(STEP_MS)
    expect(expired.length).toBe(1)
  })
})

test('a controller whose admin queue is elsewhere is not looked at', () => {
  const { pass, controller, expired } = rig()
  controller.admin = null
  pass(10 * KATO)
  expect(expired).toEqual([])
})
