/**
 * Reservations: what the four commands carry, what Reservation Report answers, and the log of notices.
 * Tables only; src/subsystem/reservation.ts decides, src/controller/reserving.ts decodes.
 * NVMe Base 2.0, Reservation Register, Report, Acquire, Release; Reservation Notification log.
 *
 * Keys are 64 bits that only ever are compared. Host identifiers are 16 bytes as Connect brought them: the 24-byte
 * registrant structure, for 64-bit identifiers, does not exist on a fabric.
 */
import { bits, layout } from './layout.ts'

/** RTYPE. Of the last two, every registrant is a holder. */
export const RTYPE = Object.freeze({
  NONE: 0, WRITE_EXCLUSIVE: 1, EXCLUSIVE_ACCESS: 2, WRITE_EXCLUSIVE_REGISTRANTS: 3,
  EXCLUSIVE_ACCESS_REGISTRANTS: 4, WRITE_EXCLUSIVE_ALL: 5, EXCLUSIVE_ACCESS_ALL: 6,
})

/** CDW10 of Reservation Register. */
export const RESERVATION_REGISTER_BITS = bits('RESERVATION_REGISTER cdw10', 32, {
  rrega: [0, 3], iekey: [3, 1], cptpl: [30, 2],
})
export const RREGA = Object.freeze({ REGISTER: 0, UNREGISTER: 1, REPLACE: 2 })
/** Change of Persist Through Power Loss state. */
export const CPTPL = Object.freeze({ KEEP: 0, CLEAR: 2, SET: 3 })

/** CDW10 of Reservation Acquire. */
export const RESERVATION_ACQUIRE_BITS = bits('RESERVATION_ACQUIRE cdw10', 32, {
  racqa: [0, 3], iekey: [3, 1], rtype: [8, 8],
})
export const RACQA = Object.freeze({ ACQUIRE: 0, PREEMPT: 1, PREEMPT_AND_ABORT: 2 })

/** CDW10 of Reservation Release. */
export const RESERVATION_RELEASE_BITS = bits('RESERVATION_RELEASE cdw10', 32, {
  rrela: [0, 3], iekey: [3, 1], rtype: [8, 8],
})
export const RRELA = Object.freeze({ RELEASE: 0, CLEAR: 1 })

/** The data of the three. second: NRKEY of Register, PRKEY of Acquire; Release may leave it out. */
export const RESERVATION_KEYS = layout('RESERVATION_KEYS', 16, { crkey: [0, 8], second: [8, 8] })
export const RESERVATION_KEYS_BYTES = 16
export const RESERVATION_KEY_BYTES = 8

/** CDW11 of Reservation Report; CDW10 is the 0-based number of dwords. */
export const RESERVATION_REPORT_BITS = bits('RESERVATION_REPORT cdw11', 32, { eds: [0, 1] })

/** What Reservation Report answers first. regstrnt: registrants that follow, cut or not. */
export const RESERVATION_STATUS = layout('RESERVATION_STATUS', 64, {
  gen: [0, 4], rtype: [4, 1], regstrnt: [5, 2], rsvd7: [7, 2], ptpls: [9, 1], rsvd10: [10, 54],
})
export const RESERVATION_STATUS_BYTES = 64

/** One registrant. cntlid: FFFFh where its host has no controller at the moment. rcsts: 1 holds it. */
export const REGISTRANT = layout('REGISTRANT', 64, {
  cntlid: [0, 2], rcsts: [2, 1], rsvd3: [3, 5], rkey: [8, 8], hostid: [16, 16], rsvd32: [32, 32],
})
export const REGISTRANT_BYTES = 64
export const CNTLID_NONE = 0xffff

/** LID 80h: the oldest notice that was not read. available: those behind it, 255 at most. */
export const RESERVATION_NOTICE = layout('RESERVATION_NOTICE', 64, {
  count: [0, 8], type: [8, 1], available: [9, 1], rsvd10: [10, 2], nsid: [12, 4], rsvd16: [16, 48],
})
export const RESERVATION_NOTICE_BYTES = 64
export const NOTICE = Object.freeze({
  NONE: 0, REGISTRATION_PREEMPTED: 1, RESERVATION_RELEASED: 2, RESERVATION_PREEMPTED: 3,
})

/** FID 82h: a bit for each kind of notice, 1 = it is not given. */
export const NOTICE_MASK_BITS = bits('RESERVATION_NOTIFICATION', 32, {
  registrationPreempted: [1, 1], reservationReleased: [2, 1], reservationPreempted: [3, 1],
})
/** FID 83h. */
export const PERSISTENCE_BITS = bits('RESERVATION_PERSISTENCE', 32, { ptpl: [0, 1] })

/** RESCAP of Identify Namespace. iekey: Ignore Existing Key is what 1.3 and later say it is. */
export const RESCAP_BITS = bits('RESCAP', 8, {
  ptpl: [0, 1], writeExclusive: [1, 1], exclusiveAccess: [2, 1], writeExclusiveRegistrants: [3, 1],
  exclusiveAccessRegistrants: [4, 1], writeExclusiveAll: [5, 1], exclusiveAccessAll: [6, 1],
  iekey: [7, 1],
})
