/**
 * Events: held requests and pending events find each other; what is masked, told already or forgotten.
 */
import { describe, expect, test } from 'vitest'
import { EVENT_REQUESTS_MAX } from '../../../src/controller/admin-state.ts'
import { Events, eventsSupported, noticesSupported } from '../../../src/controller/events.ts'
import { PENDING } from '../../../src/device/device.ts'
import { type Slot, Slots } from '../../../src/reactor/slots.ts'
import { controllerOf } from './association.ts'
import { ownerOf } from '../reactor/owner.ts'

const NAMESPACE = 1 << 8
const DISCOVERY = 0x8000_0000
const NAMESPACE_DW0 = 0x040002
const ERROR_DW0 = 0x010300
const CHANGED_LIST = 0x04
const ERROR_LOG = 0x01
const LIMIT_EXCEEDED = 0x4105
const ABORTED = 0x07
const EN = 0x00460001

function rig(asyncEvents = NAMESPACE) {
  const slots = new Slots(8)
  const finished: [cid: number, status: number, dw0: number][] = []
  const events = new Events(slots, (slot: Slot, status) => { finished.push([slot.cid, status, slot.dw0]) })
  const { admin } = controllerOf()
  admin.configure(EN)
  admin.features.asyncEvents = asyncEvents
  let cid = 100
  const hold = (): { outcome: number; slot: Slot } => {
    const slot = slots.take(ownerOf())
    slot.cid = cid++
    return { outcome: events.hold(slot, admin), slot }
  }
  return { events, admin, hold, finished }
}

describe('a request', () => {
  test('is held until something happens, the oldest first', () => {
    const { events, admin, hold, finished } = rig()
    expect([hold().outcome, hold().outcome]).toEqual([PENDING, PENDING])
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 3)
    events.raise(admin, 'PERSISTENT_INTERNAL_ERROR')
    expect(finished).toEqual([[100, 0, NAMESPACE_DW0], [101, 0, ERROR_DW0]])
    expect(admin.eventCount).toBe(0)
  })

  test('finds what happened before it, in that order', () => {
    const { events, admin, hold } = rig()
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 3)
    events.raise(admin, 'PERSISTENT_INTERNAL_ERROR')
    const [first, second, third] = [hold(), hold(), hold()]
    expect([first.outcome, first.slot.dw0]).toEqual([0, NAMESPACE_DW0])
    expect([second.outcome, second.slot.dw0]).toEqual([0, ERROR_DW0])
    expect(third.outcome).toBe(PENDING)
  })

  test('one too many is refused', () => {
    const { hold } = rig()
    const outcomes = Array.from({ length: EVENT_REQUESTS_MAX + 1 }, () => hold().outcome)
    expect(outcomes.at(-1)).toBe(LIMIT_EXCEEDED)
    expect(outcomes.slice(0, -1)).toEqual(Array(EVENT_REQUESTS_MAX).fill(PENDING))
  })

  test('can be aborted, and no other goes with it', () => {
    const { events, admin, hold, finished } = rig()
    hold()
    hold()
    hold()
    expect([events.abort(admin, 101), events.abort(admin, 101), events.abort(admin, 9)]).toEqual([true, false, false])
    expect(finished).toEqual([[101, ABORTED, 0]])
    events.raise(admin, 'NAMESPACE_ATTRIBUTES')
    events.raise(admin, 'PERSISTENT_INTERNAL_ERROR')
    expect(finished.slice(1).map(([cid]) => cid)).toEqual([100, 102])
  })
})

describe('an event', () => {
  test('that is masked is dropped, but the list of namespaces knows', () => {
    const { events, admin, hold } = rig(0)
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 3)
    expect(hold().outcome).toBe(PENDING)
    expect([...admin.changedNamespaces]).toEqual([3])
  })

  test('that cannot be masked is told', () => {
    const { events, admin, hold } = rig(0)
    events.raise(admin, 'TRANSIENT_INTERNAL_ERROR')
    expect(hold().slot.dw0).toBe(0x010400)
  })

  test('of SMART is masked by its own warning', () => {
    const { events, admin, hold } = rig(1 << 3)
    events.raise(admin, 'SMART_SPARE')
    expect(hold().outcome).toBe(PENDING)
    events.raise(admin, 'SMART_READ_ONLY')
    expect(admin.eventCount).toBe(0)
  })

  test('several of a type and log page are one', () => {
    const { events, admin, hold } = rig()
    for (const nsid of [5, 3, 5]) events.raise(admin, 'NAMESPACE_ATTRIBUTES', nsid)
    expect(hold().outcome).toBe(0)
    expect(hold().outcome).toBe(PENDING)
    expect([...admin.changedNamespaces]).toEqual([5, 3])
  })

  test('is told once until its log has been read', () => {
    const { events, admin, hold, finished } = rig()
    hold()
    hold()
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 1)
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 2)
    expect(finished.length).toBe(1)
    events.clear(admin, ERROR_LOG)
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 2)
    expect(finished.length, 'another log tells nothing about it').toBe(1)
    events.clear(admin, CHANGED_LIST)
    expect(admin.changedNamespaces.size).toBe(0)
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 4)
    expect(finished.length).toBe(2)
    expect([...admin.changedNamespaces]).toEqual([4])
  })

  test('that waits is over when its log is read, or when it is masked', () => {
    const { events, admin, hold } = rig()
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 1)
    events.raise(admin, 'PERSISTENT_INTERNAL_ERROR')
    events.clear(admin, ERROR_LOG)
    expect(admin.eventsPending).toEqual(['NAMESPACE_ATTRIBUTES'])
    events.mask(admin)
    expect(admin.eventsPending).toEqual(['NAMESPACE_ATTRIBUTES'])
    admin.features.asyncEvents = 0
    events.mask(admin)
    expect(hold().outcome).toBe(PENDING)
  })

  test('nothing is remembered of a controller that is not enabled, nor over a reset', () => {
    const { events, admin, hold, finished } = rig()
    hold()
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 1)
    hold()
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 2)
    events.reset(admin)
    expect(finished).toEqual([[100, 0, NAMESPACE_DW0], [101, ABORTED, 0]])
    admin.configure(0x00460000)
    admin.emptied()
    events.raise(admin, 'PERSISTENT_INTERNAL_ERROR')
    events.raise(admin, 'NAMESPACE_ATTRIBUTES', 2)
    expect([admin.eventsPending, admin.changedNamespaces.size, admin.eventsTold.size]).toEqual([[], 0, 0])
    events.reset(admin)
    expect(finished.length).toBe(2)
  })

  test('more namespaces than the list holds are not remembered one by one', () => {
    const { events, admin } = rig()
    for (let nsid = 1; nsid <= 3000; nsid++) events.raise(admin, 'NAMESPACE_ATTRIBUTES', nsid)
    expect(admin.changedNamespaces.size).toBe(1025)
  })
})

test('what is supported is what is told', () => {
  expect(noticesSupported('nvm') & NAMESPACE).toBe(NAMESPACE)
  expect(noticesSupported('nvm') & 0xff).toBe(0)
  expect(noticesSupported('discovery')).toBe(DISCOVERY)
  expect(eventsSupported('nvm', false) & 0xff).toBe(0x3f)
  expect(eventsSupported('discovery', false) & 0xff).toBe(0)
})
