/**
 * The reservation of one namespace: who is registered, who holds it, and what a command changes. Pure: a state
 * and a command in, the next state out. reservations.ts keeps the states.      NVMe Base 2.0, 8.19
 *
 *   not registered ─register─▶ registrant ─acquire, preempt─▶ holder ─release─▶ registrant
 *          ◀─ unregister, clear, or another host's preempt ──────┘
 *
 * Invariants: the holder of a type that has one is a registrant; a type that all registrants hold ends with
 * the last of them; a command that is answered with an error changes nothing.
 */
import { takeBits } from '../wire/layout.ts'
import {
  CPTPL, NOTICE, RACQA, RESERVATION_ACQUIRE_BITS, RESERVATION_REGISTER_BITS, RESERVATION_RELEASE_BITS, RREGA, RRELA,
  RTYPE,
} from '../wire/reservation.ts'
import { IO_OPCODE } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'

/** Registrants of one namespace; one more is refused. */
export const REGISTRANTS_MAX = 256
/** A key of 64 bits as 16 hexadecimal digits. */
export const NO_KEY = '0000000000000000'

export type Registrant = {
  /** 32 hexadecimal digits. */
  readonly hostId: string
  /** 16 hexadecimal digits, not NO_KEY. */
  readonly key: string
}

export type Reservation = {
  /** Wraps at 2^32. */
  readonly generation: number
  /** RTYPE. */
  readonly type: number
  /** Host identifier of the one holder; '' where there is none, or all registrants are. */
  readonly holder: string
  /** In the order in which they registered. */
  readonly registrants: readonly Registrant[]
  /** It outlives a loss of power: the Persist Through Power Loss state. */
  readonly persistent: boolean
}

/** Reservation Register, Acquire or Release as it came. */
export type ReservationCommand = {
  readonly opcode: number
  readonly cdw10: number
  /** CRKEY; and NRKEY or PRKEY. 16 hexadecimal digits. */
  readonly key: string
  readonly secondKey: string
}

/** What registrants have to be told: one of NOTICE, and to which hosts. */
export type Notice = { readonly type: number; readonly hostIds: readonly string[] }

export type Verdict = {
  readonly status: number
  readonly next: Reservation
  readonly notices: readonly Notice[]
  /** Hosts whose commands have to be over before the command is answered. */
  readonly aborted: readonly string[]
}

/** What hosts may do on this namespace: all that the data path has to know. */
export type Rights = {
  /** These may do everything. */
  readonly full: readonly string[]
  /** The others may read. */
  readonly othersRead: boolean
}

export const UNRESERVED: Reservation = {
  generation: 0, type: RTYPE.NONE, holder: '', registrants: [], persistent: false,
}

/** The command of a host. */
export function decide(now: Reservation, hostId: string, command: ReservationCommand): Verdict {
  switch (command.opcode) {
    case IO_OPCODE.RESERVATION_REGISTER:
      return register(now, hostId, command)
    case IO_OPCODE.RESERVATION_ACQUIRE:
      return acquire(now, hostId, command)
    case IO_OPCODE.RESERVATION_RELEASE:
      return release(now, hostId, command)
    default:
      return refuse(now, STATUS.INVALID_OPCODE)
  }
}

/** Whether the host is a holder. */
export function holds(now: Reservation, hostId: string): boolean {
  return isOfAll(now.type) ? registrantOf(now, hostId) !== undefined : now.type !== RTYPE.NONE && now.holder === hostId
}

/** null: there is no reservation, and nobody has to be asked. */
export function rightsOf({ type, holder, registrants }: Reservation): Rights | null {
  if (type === RTYPE.NONE) return null
  const one = type === RTYPE.WRITE_EXCLUSIVE || type === RTYPE.EXCLUSIVE_ACCESS
  const othersRead = type === RTYPE.WRITE_EXCLUSIVE || type === RTYPE.WRITE_EXCLUSIVE_REGISTRANTS
    || type === RTYPE.WRITE_EXCLUSIVE_ALL
  return { full: one ? [holder] : registrants.map(({ hostId }) => hostId), othersRead }
}

function register(now: Reservation, hostId: string, { cdw10, key, secondKey: newKey }: ReservationCommand): Verdict {
  const action = takeBits(cdw10, RESERVATION_REGISTER_BITS.rrega)
  const ignoreKey = takeBits(cdw10, RESERVATION_REGISTER_BITS.iekey) === 1
  const cptpl = takeBits(cdw10, RESERVATION_REGISTER_BITS.cptpl)
  if (cptpl !== CPTPL.KEEP && cptpl !== CPTPL.CLEAR && cptpl !== CPTPL.SET) return refuse(now, STATUS.INVALID_FIELD)
  const persistent = cptpl === CPTPL.KEEP ? now.persistent : cptpl === CPTPL.SET
  const own = registrantOf(now, hostId)
  const changed = (next: Reservation, notices: readonly Notice[] = []): Verdict =>
    grant(counted({ ...next, persistent }), notices)
  if (action === RREGA.UNREGISTER) {
    if (own === undefined || !(ignoreKey || own.key === key)) return refuse(now, STATUS.RESERVATION_CONFLICT)
    const next = without(now, [hostId])
    const told = now.type !== next.type && now.type > RTYPE.EXCLUSIVE_ACCESS
    return changed(next, told ? [{ type: NOTICE.RESERVATION_RELEASED, hostIds: hostsOf(next) }] : [])
  }
  if (action !== RREGA.REGISTER && action !== RREGA.REPLACE) return refuse(now, STATUS.INVALID_FIELD)
  if (newKey === NO_KEY) return refuse(now, STATUS.INVALID_FIELD)
  if (own === undefined) {
    // Replacing regardless of the present key is done by hosts that do not know whether they are registered.
    if (action === RREGA.REPLACE && !ignoreKey) return refuse(now, STATUS.RESERVATION_CONFLICT)
    if (now.registrants.length >= REGISTRANTS_MAX) return refuse(now, STATUS.INTERNAL_ERROR)
    return changed({ ...now, registrants: [...now.registrants, { hostId, key: newKey }] })
  }
  const permitted = action === RREGA.REGISTER ? own.key === newKey : ignoreKey || own.key === key
  if (!permitted) return refuse(now, STATUS.RESERVATION_CONFLICT)
  const registrants = now.registrants.map((each) => each === own ? { hostId, key: newKey } : each)
  return changed({ ...now, registrants })
}

function acquire(now: Reservation, hostId: string, { cdw10, key, secondKey }: ReservationCommand): Verdict {
  const action = takeBits(cdw10, RESERVATION_ACQUIRE_BITS.racqa)
  const type = takeBits(cdw10, RESERVATION_ACQUIRE_BITS.rtype)
  if (takeBits(cdw10, RESERVATION_ACQUIRE_BITS.iekey) === 1) return refuse(now, STATUS.INVALID_FIELD)
  if (type < RTYPE.WRITE_EXCLUSIVE || type > RTYPE.EXCLUSIVE_ACCESS_ALL) return refuse(now, STATUS.INVALID_FIELD)
  if (action > RACQA.PREEMPT_AND_ABORT) return refuse(now, STATUS.INVALID_FIELD)
  if (registrantOf(now, hostId)?.key !== key) return refuse(now, STATUS.RESERVATION_CONFLICT)
  if (action !== RACQA.ACQUIRE) return preempt(now, hostId, type, secondKey, action === RACQA.PREEMPT_AND_ABORT)
  if (now.type === RTYPE.NONE) return grant(reserved(now, hostId, type))
  return holds(now, hostId) && now.type === type ? grant(now) : refuse(now, STATUS.RESERVATION_CONFLICT)
}

/** victim: the key of those whose registration is to go. */
function preempt(now: Reservation, hostId: string, type: number, victim: string, abort: boolean): Verdict {
  const others = now.registrants.filter((each) => each.hostId !== hostId)
  const matching = now.registrants.filter((each) => each.key === victim)
  let next: Reservation
  if (isOfAll(now.type) && victim === NO_KEY) {
    next = reserved(without(now, others.map((each) => each.hostId)), hostId, type)
  } else if (!isOfAll(now.type) && now.type !== RTYPE.NONE && registrantOf(now, now.holder)!.key === victim) {
    const losers = others.filter((each) => each.key === victim)
    next = reserved(without(now, losers.map((each) => each.hostId)), hostId, type)
  } else if (victim === NO_KEY) {
    return refuse(now, STATUS.INVALID_FIELD)
  } else if (matching.length === 0) {
    return refuse(now, STATUS.RESERVATION_CONFLICT)
  } else {
    // The reservation stays as it is, but where it belongs to all registrants and none is left.
    next = without(now, matching.map((each) => each.hostId))
  }
  const left = new Set(hostsOf(next))
  const removed = others.map((each) => each.hostId).filter((each) => !left.has(each))
  left.delete(hostId)
  const released = now.type !== RTYPE.NONE && now.type !== next.type ? [...left] : []
  return {
    ...grant(counted(next), [
      { type: NOTICE.REGISTRATION_PREEMPTED, hostIds: removed },
      { type: NOTICE.RESERVATION_RELEASED, hostIds: released },
    ]),
    aborted: abort ? removed : [],
  }
}

function release(now: Reservation, hostId: string, { cdw10, key }: ReservationCommand): Verdict {
  const action = takeBits(cdw10, RESERVATION_RELEASE_BITS.rrela)
  const type = takeBits(cdw10, RESERVATION_RELEASE_BITS.rtype)
  if (takeBits(cdw10, RESERVATION_RELEASE_BITS.iekey) === 1) return refuse(now, STATUS.INVALID_FIELD)
  if (action !== RRELA.RELEASE && action !== RRELA.CLEAR) return refuse(now, STATUS.INVALID_FIELD)
  if (registrantOf(now, hostId)?.key !== key) return refuse(now, STATUS.RESERVATION_CONFLICT)
  const others = hostsOf(now).filter((each) => each !== hostId)
  if (action === RRELA.CLEAR) {
    return grant(counted({ ...now, type: RTYPE.NONE, holder: '', registrants: [] }),
      [{ type: NOTICE.RESERVATION_PREEMPTED, hostIds: others }])
  }
  // A registrant that does not hold it has nothing to release, and that is no error.
  if (!holds(now, hostId)) return grant(now)
  if (type !== now.type) return refuse(now, STATUS.INVALID_FIELD)
  const told = now.type > RTYPE.EXCLUSIVE_ACCESS ? others : []
  return grant({ ...now, type: RTYPE.NONE, holder: '' }, [{ type: NOTICE.RESERVATION_RELEASED, hostIds: told }])
}

function isOfAll(type: number): boolean {
  return type === RTYPE.WRITE_EXCLUSIVE_ALL || type === RTYPE.EXCLUSIVE_ACCESS_ALL
}

function registrantOf(now: Reservation, hostId: string): Registrant | undefined {
  return now.registrants.find((each) => each.hostId === hostId)
}

function hostsOf(now: Reservation): string[] {
  return now.registrants.map(({ hostId }) => hostId)
}

function reserved(now: Reservation, hostId: string, type: number): Reservation {
  return { ...now, type, holder: isOfAll(type) ? '' : hostId }
}

/** Without these registrants, and without the reservation where it was theirs alone. */
function without(now: Reservation, hostIds: readonly string[]): Reservation {
  const registrants = now.registrants.filter(({ hostId }) => !hostIds.includes(hostId))
  const ends = isOfAll(now.type) ? registrants.length === 0 : hostIds.includes(now.holder)
  return ends ? { ...now, registrants, type: RTYPE.NONE, holder: '' } : { ...now, registrants }
}

/** Every Register, Clear and Preempt that succeeds counts, whatever it changed. */
function counted(next: Reservation): Reservation {
  return { ...next, generation: (next.generation + 1) >>> 0 }
}

function grant(next: Reservation, notices: readonly Notice[] = []): Verdict {
  return { status: STATUS.SUCCESS, next, notices: notices.filter(({ hostIds }) => hostIds.length > 0), aborted: [] }
}

function refuse(now: Reservation, status: number): Verdict {
  return { status, next: now, notices: [], aborted: [] }
}
