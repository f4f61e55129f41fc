/**
 * The reservation commands of hosts A, B and C, who have a key each, and of the stranger X.
 */
import { UNRESERVED, decide, type Reservation, type Verdict } from '../../../src/subsystem/reservation.ts'

export const [A, B, C, X] = ['a', 'b', 'c', 'f'].map((digit) => digit.repeat(32)) as [string, string, string, string]
export const KEY = { [A]: key(0xa), [B]: key(0xb), [C]: key(0xc) } as Record<string, string>
export const NOTHING = key(0)
export const TYPES = [1, 2, 3, 4, 5, 6]
export const SUCCESS = 0
export const INVALID_FIELD = 0x4002
export const CONFLICT = 0x4083
export const INTERNAL_ERROR = 0x0006

export function key(value: number): string {
  return value.toString(16).padStart(16, '0')
}

export const register = (now: Reservation, host: string, action: number, own: string, next: string, bits = 0): Verdict =>
  decide(now, host, { opcode: 0x0d, cdw10: action | bits, key: own, secondKey: next })
export const acquire = (now: Reservation, host: string, action: number, type: number, own = KEY[host] ?? NOTHING,
  victim = NOTHING, bits = 0): Verdict =>
  decide(now, host, { opcode: 0x11, cdw10: action | type << 8 | bits, key: own, secondKey: victim })
export const release = (now: Reservation, host: string, action: number, type: number, own = KEY[host] ?? NOTHING,
  bits = 0): Verdict =>
  decide(now, host, { opcode: 0x15, cdw10: action | type << 8 | bits, key: own, secondKey: NOTHING })

export const IEKEY = 8
export const [REGISTER, UNREGISTER, REPLACE] = [0, 1, 2]
export const [ACQUIRE, PREEMPT, PREEMPT_AND_ABORT] = [0, 1, 2]
export const [RELEASE, CLEAR] = [0, 1]

/** A, B and C are registered, A has acquired; X is a stranger. type 0: nobody has. */
export function held(type: number, hosts: readonly string[] = [A, B, C]): Reservation {
  let now = UNRESERVED
  for (const host of hosts) now = register(now, host, REGISTER, NOTHING, KEY[host]!).next
  return type === 0 ? now : acquire(now, A, ACQUIRE, type).next
}

export const hostsOf = (now: Reservation): string[] => now.registrants.map(({ hostId }) => hostId)
