/**
 * The reservation of one namespace, as the tables of NVMe Base 2.0, 8.19 have it: every type, every role, every
 * command. Numbers are written by hand.
 */
import { describe, expect, test } from 'vitest'
import { REGISTRANTS_MAX, UNRESERVED, holds, rightsOf, type Reservation, type Verdict } from '../../../src/subsystem/reservation.ts'
import {
  A, B, C, X, KEY, NOTHING, TYPES, SUCCESS, INVALID_FIELD, CONFLICT, INTERNAL_ERROR, key,
  register, acquire, release, IEKEY, REGISTER, UNREGISTER, REPLACE, ACQUIRE, PREEMPT,
  PREEMPT_AND_ABORT, RELEASE, CLEAR, held, hostsOf,
} from './reservation-commands.ts'

/** A refused command changes nothing and tells nobody. */
function refused(now: Reservation, verdict: Verdict, status: number): void {
  expect(verdict).toEqual({ status, next: now, notices: [], aborted: [] })
}

describe('what hosts may do, by type', () => {
  // The specification's table: holder, registrant, stranger; r and w where it is permitted.
  const TABLE: [type: number, holder: string, registrant: string, stranger: string][] = [
    [1, 'rw', 'r', 'r'],
    [2, 'rw', '', ''],
    [3, 'rw', 'rw', 'r'],
    [4, 'rw', 'rw', ''],
    [5, 'rw', 'rw', 'r'],
    [6, 'rw', 'rw', ''],
  ]
  test.each(TABLE)('type %i: holder %s, registrant %s, stranger %s', (type, ...roles) => {
    const rights = rightsOf(held(type))!
    const may = (host: string): string =>
      rights.full.includes(host) ? 'rw' : rights.othersRead ? 'r' : ''
    expect([A, B, X].map(may)).toEqual(roles)
  })

  test('nothing is forbidden where there is no reservation', () => {
    expect(rightsOf(UNRESERVED)).toBeNull()
    expect(rightsOf(held(0))).toBeNull()
  })

  test.each(TYPES)('type %i: who holds it', (type) => {
    const now = held(type)
    expect([A, B, X].map((host) => holds(now, host))).toEqual([true, type >= 5, false])
    expect(holds(held(0), A)).toBe(false)
  })
})

describe('reservation commands, by type and role', () => {
  test.each(TYPES)('type %i: acquire of the same type', (type) => {
    const now = held(type)
    expect(acquire(now, A, ACQUIRE, type)).toEqual({ status: SUCCESS, next: now, notices: [], aborted: [] })
    if (type >= 5) expect(acquire(now, B, ACQUIRE, type).status).toBe(SUCCESS)
    else refused(now, acquire(now, B, ACQUIRE, type), CONFLICT)
    refused(now, acquire(now, X, ACQUIRE, type), CONFLICT)
  })

  test.each(TYPES)('type %i: acquire of another type is refused, even to the holder', (type) => {
    const now = held(type)
    for (const other of TYPES.filter((each) => each !== type)) {
      for (const host of [A, B, X]) refused(now, acquire(now, host, ACQUIRE, other), CONFLICT)
    }
  })

  test.each(TYPES)('type %i: preempt by a registrant, not by a stranger', (type) => {
    const now = held(type)
    for (const action of [PREEMPT, PREEMPT_AND_ABORT]) {
      expect(acquire(now, B, action, 1, KEY[B], KEY[C]).status).toBe(SUCCESS)
      refused(now, acquire(now, X, action, 1, NOTHING, KEY[A]), CONFLICT)
    }
  })

  test.each(TYPES)('type %i: release by the holder; by a registrant without effect; not by a stranger', (type) => {
    const now = held(type)
    expect(release(now, A, RELEASE, type).next).toEqual({ ...now, type: 0, holder: '' })
    const other = release(now, B, RELEASE, type)
    expect(other.status).toBe(SUCCESS)
    expect(other.next.type).toBe(type >= 5 ? 0 : type)
    refused(now, release(now, X, RELEASE, type), CONFLICT)
  })

  test.each(TYPES)('type %i: clear by any registrant, not by a stranger', (type) => {
    const now = held(type)
    for (const host of [A, B]) {
      const { status, next } = release(now, host, CLEAR, 0)
      expect(status).toBe(SUCCESS)
      expect(next).toEqual({ ...UNRESERVED, generation: now.generation + 1 })
    }
    refused(now, release(now, X, CLEAR, 0), CONFLICT)
  })

  test.each(TYPES)('type %i: register by a stranger', (type) => {
    const now = held(type)
    const { status, next } = register(now, X, REGISTER, NOTHING, key(7))
    expect(status).toBe(SUCCESS)
    expect(hostsOf(next)).toEqual([A, B, C, X])
    expect(holds(next, X)).toBe(type >= 5)
  })
})

describe('registering', () => {
  test('again with the same key changes nothing but the generation', () => {
    const now = held(0)
    expect(register(now, B, REGISTER, NOTHING, KEY[B]!).next).toEqual({ ...now, generation: 4 })
  })

  test('again with another key is refused, also with IEKEY', () => {
    const now = held(1)
    refused(now, register(now, A, REGISTER, KEY[A]!, key(9)), CONFLICT)
    refused(now, register(now, A, REGISTER, KEY[A]!, key(9), IEKEY), CONFLICT)
  })

  test('two hosts may have one key', () => {
    const now = register(held(0), X, REGISTER, NOTHING, KEY[A]!).next
    expect(now.registrants.filter((each) => each.key === KEY[A])).toHaveLength(2)
  })

  test.each([REGISTER, REPLACE, REPLACE | IEKEY])('the key 0 is refused, action %i', (action) => {
    const now = held(0)
    for (const host of [A, X]) refused(now, register(now, host, action, KEY[A]!, NOTHING), INVALID_FIELD)
  })

  test.each([3, 4, 5, 6, 7])('action %i does not exist', (action) => {
    const now = held(1)
    refused(now, register(now, A, action, KEY[A]!, key(9)), INVALID_FIELD)
  })

  test('as many as there is room for', () => {
    let now = UNRESERVED
    const host = (index: number): string => index.toString(16).padStart(32, '0')
    for (let index = 1; index <= REGISTRANTS_MAX; index += 1) {
      now = register(now, host(index), REGISTER, NOTHING, key(index)).next
    }
    expect(now.registrants).toHaveLength(REGISTRANTS_MAX)
    expect(REGISTRANTS_MAX).toBeGreaterThanOrEqual(64)
    refused(now, register(now, X, REGISTER, NOTHING, key(1)), INTERNAL_ERROR)
    refused(now, register(now, X, REPLACE, NOTHING, key(1), IEKEY), INTERNAL_ERROR)
    expect(register(now, host(1), REPLACE, key(1), key(2)).status).toBe(SUCCESS)
  })

  test.each([[key(0xa), 0, SUCCESS], [key(9), 0, CONFLICT], [key(9), IEKEY, SUCCESS]])(
    'replacing with the present key %s and IEKEY %i', (own, bits, status) => {
      const now = held(1)
      const verdict = register(now, A, REPLACE, own, key(0xaa), bits)
      if (status !== SUCCESS) return refused(now, verdict, status)
      expect(verdict.next.registrants[0]).toEqual({ hostId: A, key: key(0xaa) })
      expect(holds(verdict.next, A)).toBe(true)
    })

  test('replacing what a stranger does not have: only with IEKEY', () => {
    const now = held(1)
    refused(now, register(now, X, REPLACE, NOTHING, key(7)), CONFLICT)
    expect(hostsOf(register(now, X, REPLACE, NOTHING, key(7), IEKEY).next)).toEqual([A, B, C, X])
  })
})

describe('unregistering', () => {
  test.each([[key(0xb), 0, SUCCESS], [key(9), 0, CONFLICT], [key(9), IEKEY, SUCCESS]])(
    'with the present key %s and IEKEY %i', (own, bits, status) => {
      const now = held(1)
      const verdict = register(now, B, UNREGISTER, own, NOTHING, bits)
      if (status !== SUCCESS) return refused(now, verdict, status)
      expect(hostsOf(verdict.next)).toEqual([A, C])
      expect(verdict.next.type).toBe(1)
      expect(verdict.notices).toEqual([])
    })

  test('a stranger cannot, even with IEKEY', () => {
    const now = held(1)
    refused(now, register(now, X, UNREGISTER, NOTHING, NOTHING), CONFLICT)
    refused(now, register(now, X, UNREGISTER, NOTHING, NOTHING, IEKEY), CONFLICT)
  })

  // By type: whether the reservation ends when A goes, and who is told.
  test.each([
    [1, true, []], [2, true, []], [3, true, [B, C]], [4, true, [B, C]], [5, false, []], [6, false, []],
  ])('type %i: the holder goes, the reservation ends: %s, told: %j', (type, ends, told) => {
    const { next, notices } = register(held(type), A, UNREGISTER, KEY[A]!, NOTHING)
    expect(next.type).toBe(ends ? 0 : type)
    expect(next.holder).toBe('')
    expect(notices).toEqual(told.length === 0 ? [] : [{ type: 2, hostIds: told }])
  })

  test.each([5, 6])('type %i ends with its last registrant', (type) => {
    let now = held(type)
    for (const host of [A, B]) now = register(now, host, UNREGISTER, KEY[host]!, NOTHING).next
    expect(now.type).toBe(type)
    const { next, notices } = register(now, C, UNREGISTER, KEY[C]!, NOTHING)
    expect(next.type).toBe(0)
    expect(notices).toEqual([])
  })
})

describe('acquiring', () => {
  test.each([0, 7, 255])('type %i does not exist', (type) => {
    for (const action of [ACQUIRE, PREEMPT, PREEMPT_AND_ABORT]) {
      const now = held(0)
      refused(now, acquire(now, A, action, type, KEY[A], KEY[B]), INVALID_FIELD)
    }
  })

  test('with the wrong key, or none registered, is a conflict', () => {
    const now = held(0)
    refused(now, acquire(now, A, ACQUIRE, 1, key(9)), CONFLICT)
    refused(now, acquire(now, X, ACQUIRE, 1, key(9)), CONFLICT)
    refused(UNRESERVED, acquire(UNRESERVED, X, ACQUIRE, 1, NOTHING), CONFLICT)
  })

  test('IEKEY, and actions that do not exist, are refused', () => {
    const now = held(0)
    refused(now, acquire(now, A, ACQUIRE, 1, KEY[A], NOTHING, IEKEY), INVALID_FIELD)
    refused(now, acquire(now, A, 3, 1), INVALID_FIELD)
    refused(now, acquire(now, A, 7, 1), INVALID_FIELD)
  })
})

describe('preempting', () => {
  const told = (verdict: Verdict, type: number): readonly string[] =>
    verdict.notices.find((each) => each.type === type)?.hostIds ?? []

  test.each([1, 2, 3, 4])('type %i: the holder, by its key: the reservation changes hands', (type) => {
    for (const wanted of TYPES) {
      const verdict = acquire(held(type), B, PREEMPT, wanted, KEY[B], KEY[A])
      expect(verdict.status).toBe(SUCCESS)
      expect(verdict.next).toEqual({
        generation: 4, type: wanted, holder: wanted >= 5 ? '' : B, persistent: false,
        registrants: [{ hostId: B, key: KEY[B] }, { hostId: C, key: KEY[C] }],
      })
      expect(told(verdict, 1)).toEqual([A])
      expect(told(verdict, 2)).toEqual(wanted === type ? [] : [C])
      expect(verdict.aborted).toEqual([])
    }
  })

  test.each([1, 2, 3, 4])('type %i: another registrant, by its key: the reservation stays', (type) => {
    const verdict = acquire(held(type), B, PREEMPT, 6, KEY[B], KEY[C])
    expect(hostsOf(verdict.next)).toEqual([A, B])
    expect([verdict.next.type, verdict.next.holder]).toEqual([type, A])
    expect(told(verdict, 1)).toEqual([C])
    expect(told(verdict, 2)).toEqual([])
  })

  test.each([1, 2, 3, 4])('type %i: the key 0 is refused, a key that nobody has is a conflict', (type) => {
    const now = held(type)
    refused(now, acquire(now, B, PREEMPT, 1, KEY[B], NOTHING), INVALID_FIELD)
    refused(now, acquire(now, B, PREEMPT, 1, KEY[B], key(9)), CONFLICT)
  })

  test.each([1, 2, 3, 4])('type %i: the holder preempts itself and has another type', (type) => {
    const wanted = type === 4 ? 1 : 4
    const verdict = acquire(held(type), A, PREEMPT, wanted, KEY[A], KEY[A])
    expect([verdict.next.type, verdict.next.holder]).toEqual([wanted, A])
    expect(hostsOf(verdict.next)).toEqual([A, B, C])
    expect(told(verdict, 1)).toEqual([])
    expect(told(verdict, 2)).toEqual([B, C])
  })

  test('all that share the key of the holder, but not who preempts', () => {
    let now = held(1)
    for (const host of [B, C]) now = register(now, host, REPLACE, KEY[host]!, KEY[A]!).next
    const verdict = acquire(now, B, PREEMPT, 2, KEY[A], KEY[A])
    expect(hostsOf(verdict.next)).toEqual([B])
    expect([verdict.next.type, verdict.next.holder]).toEqual([2, B])
    expect(told(verdict, 1)).toEqual([A, C])
  })

  test.each([5, 6])('type %i: the key 0 means all others', (type) => {
    for (const wanted of TYPES) {
      const verdict = acquire(held(type), B, PREEMPT, wanted, KEY[B], NOTHING)
      expect(hostsOf(verdict.next)).toEqual([B])
      expect(verdict.next.type).toBe(wanted)
      expect(holds(verdict.next, B)).toBe(true)
      expect(told(verdict, 1)).toEqual([A, C])
      expect(told(verdict, 2)).toEqual([])
    }
  })

  test.each([5, 6])('type %i: a key means its registrants; the reservation stays', (type) => {
    const now = held(type)
    const verdict = acquire(now, B, PREEMPT, 1, KEY[B], KEY[A])
    expect(hostsOf(verdict.next)).toEqual([B, C])
    expect(verdict.next.type).toBe(type)
    expect(told(verdict, 1)).toEqual([A])
    refused(now, acquire(now, B, PREEMPT, 1, KEY[B], key(9)), CONFLICT)
  })

  test.each([5, 6])('type %i: it ends when the last registrant unregisters itself so', (type) => {
    const verdict = acquire(held(type, [A]), A, PREEMPT, 1, KEY[A], KEY[A])
    expect(verdict.next).toEqual({ ...UNRESERVED, generation: 2 })
    expect(verdict.notices).toEqual([])
  })

  test('without a reservation: registrations go, no reservation comes', () => {
    const now = held(0)
    const verdict = acquire(now, B, PREEMPT, 1, KEY[B], KEY[A])
    expect(hostsOf(verdict.next)).toEqual([B, C])
    expect(verdict.next.type).toBe(0)
    expect(told(verdict, 1)).toEqual([A])
    refused(now, acquire(now, B, PREEMPT, 1, KEY[B], key(9)), CONFLICT)
    refused(now, acquire(now, B, PREEMPT, 1, KEY[B], NOTHING), INVALID_FIELD)
  })

  test('and aborting: the commands of all who lost their registration, not of who preempts', () => {
    expect(acquire(held(1), B, PREEMPT_AND_ABORT, 1, KEY[B], KEY[A]).aborted).toEqual([A])
    expect(acquire(held(5), B, PREEMPT_AND_ABORT, 1, KEY[B], NOTHING).aborted).toEqual([A, C])
    expect(acquire(held(5), B, PREEMPT_AND_ABORT, 1, KEY[B], KEY[B]).aborted).toEqual([])
    expect(acquire(held(1), A, PREEMPT_AND_ABORT, 2, KEY[A], KEY[A]).aborted).toEqual([])
  })
})

describe('releasing', () => {
  // By type: who is told.
  test.each([[1, []], [2, []], [3, [B, C]], [4, [B, C]], [5, [B, C]], [6, [B, C]]])(
    'type %i: told: %j', (type, told) => {
      expect(release(held(type), A, RELEASE, type).notices)
        .toEqual(told.length === 0 ? [] : [{ type: 2, hostIds: told }])
    })

  test.each(TYPES)('type %i: the holder has to name it', (type) => {
    const now = held(type)
    for (const other of [0, 7, ...TYPES].filter((each) => each !== type)) {
      refused(now, release(now, A, RELEASE, other), INVALID_FIELD)
    }
  })

  test('what nobody holds is no error, a wrong key is a conflict', () => {
    const now = held(0)
    expect(release(now, A, RELEASE, 1)).toEqual({ status: SUCCESS, next: now, notices: [], aborted: [] })
    refused(now, release(now, A, RELEASE, 1, key(9)), CONFLICT)
    refused(now, release(now, A, CLEAR, 1, key(9)), CONFLICT)
  })

  test('IEKEY, and actions that do not exist, are refused', () => {
    const now = held(1)
    refused(now, release(now, A, RELEASE, 1, KEY[A], IEKEY), INVALID_FIELD)
    for (const action of [2, 7]) refused(now, release(now, A, action, 1), INVALID_FIELD)
  })

  test.each([0, ...TYPES])('type %i: clear tells all other registrants that they were preempted', (type) => {
    expect(release(held(type), B, CLEAR, 0).notices).toEqual([{ type: 3, hostIds: [A, C] }])
  })
})

describe('the generation', () => {
  test.each<[string, (now: Reservation) => Verdict, number]>([
    ['register', (now) => register(now, X, REGISTER, NOTHING, key(7)), 1],
    ['register with the same key', (now) => register(now, A, REGISTER, NOTHING, KEY[A]!), 1],
    ['unregister', (now) => register(now, B, UNREGISTER, KEY[B]!, NOTHING), 1],
    ['replace', (now) => register(now, B, REPLACE, KEY[B]!, key(7)), 1],
    ['clear', (now) => release(now, B, CLEAR, 0), 1],
    ['preempt of two', (now) => acquire(now, B, PREEMPT, 1, KEY[B], NOTHING), 1],
    ['preempt and abort', (now) => acquire(now, B, PREEMPT_AND_ABORT, 1, KEY[B], KEY[C]), 1],
    ['acquire', (now) => acquire(now, A, ACQUIRE, 5), 0],
    ['release', (now) => release(now, A, RELEASE, 5), 0],
    ['a refused register', (now) => register(now, A, REGISTER, NOTHING, key(7)), 0],
    ['a refused preempt', (now) => acquire(now, B, PREEMPT, 1, KEY[B], key(9)), 0],
  ])('%s', (_name, command, counts) => {
    const now = held(5)
    expect(command(now).next.generation).toBe(now.generation + counts)
  })

  test('wraps', () => {
    const now = { ...held(0), generation: 0xffffffff }
    expect(register(now, X, REGISTER, NOTHING, key(7)).next.generation).toBe(0)
  })
})

describe('persistence through power loss', () => {
  const SET = 0xc0000000 | 0
  const CLEARED = 0x80000000 | 0
  const RESERVED = 0x40000000

  test('is set, kept and cleared by Register', () => {
    const kept = register(UNRESERVED, A, REGISTER, NOTHING, KEY[A]!, SET).next
    expect(kept.persistent).toBe(true)
    const also = register(kept, B, REGISTER, NOTHING, KEY[B]!).next
    expect(also.persistent).toBe(true)
    expect(release(also, B, CLEAR, 0).next.persistent).toBe(true)
    expect(register(also, B, UNREGISTER, KEY[B]!, NOTHING, CLEARED).next.persistent).toBe(false)
  })

  test('is not changed by a Register that is refused', () => {
    const now = held(0)
    refused(now, register(now, A, REGISTER, NOTHING, key(9), SET), CONFLICT)
    refused(now, register(now, A, REGISTER, NOTHING, KEY[A]!, RESERVED), INVALID_FIELD)
  })
})
