/**
 * The block that all reactors and the control plane share: a row per controller, counters per namespace and
 * reactor, and a row per subsystem. Plain native memory (one region), viewed by every thread.
 *
 *   controllers × 1024 words │ errors of each subsystem │ (reactors + 1) × namespaces × 8 doubles │ health
 *   row: state, stamp, error count, write cache … │ 64 error entries of 8 words, from word 64
 *
 * The counters after those of the last reactor are what was kept from earlier runs; see records.ts.
 * Invariant: each word has one writer, but STAMP (any reactor, any order) and errors (Atomics.add).
 */
import type { Limits } from '../limits.ts'
import type { Party } from '../subsystem/attachment.ts'

export const ROW_WORDS = 1024
/** Words of a controller's row. */
export const ROW = {
  /** CONTROLLER_STATE. Written by the reactor of the admin queue. */
  STATE: 0,
  /** Milliseconds (H.NOW_MS) of the last command on any of its queues. */
  STAMP: 1,
  /** Errors ever logged by this controller. */
  ERRORS: 2,
  /** 1 = every write goes to the medium: the host switched the volatile write cache off. */
  WRITE_THROUGH: 3,
  /** I/O queues that the controller granted, and that are connected. The latter by the control plane. */
  GRANTED: 5,
  IO_QUEUES: 6,
  /** CNTLID, and the row of the subsystem. Written by the control plane. */
  CNTLID: 7,
  SUBSYSTEM: 8,
  /** Of its attachments: subsystem/attachment.ts. Written by the control plane. */
  OWNER: 9,
  ENTRIES: 64,
} as const
export const CONTROLLER_STATE = { NONE: 0, DISABLED: 1, READY: 2, GONE: 3 } as const

export const ERROR_ENTRIES = 64
/** Words of an error entry. QID_CID: SQID | CID << 16. WHERE: see whereOf in location.ts. */
export const ERROR_ENTRY = {
  WORDS: 8, COUNT: 0, QID_CID: 1, STATUS: 2, LBA_LO: 3, LBA_HI: 4, NSID: 5, WHERE: 6,
} as const

/** Doubles of a namespace's counters. */
export const COUNT = {
  DOUBLES: 8, READS: 0, WRITES: 1, READ_BYTES: 2, WRITTEN_BYTES: 3, OTHERS: 4, ERRORS: 5,
  /** Commands that a medium failed. */
  MEDIA_ERRORS: 6,
  /** Bits of the SMART log's critical warning, in the kept counters only. */
  WARNING: 7,
  /** 1 + the bytes that its storage takes, 0 = not known; in those of the first reactor only. See usage.ts. */
  USED: 7,
} as const

/** Doubles of a subsystem's row, written by the control plane: what the SMART log tells of it. */
export const HEALTH = {
  DOUBLES: 16, POWER_CYCLES: 0, UNSAFE_SHUTDOWNS: 1, POWER_ON_MS: 2, BUSY_MS: 3,
  /** Errors logged before this start. */
  ERRORS_BEFORE: 4, WARNING: 5,
  /** Counters of namespaces that it has no longer: COUNT.READS to COUNT.MEDIA_ERRORS, from here on. */
  REMOVED: 8,
} as const
/** The row of everything that has no health: discovery. */
export const NO_SUBSYSTEM = 0

/** Word and double indices of the areas, and their size. */
function areasOf(limits: Limits, reactorCount: number) {
  const errorsAt = limits.controllers * ROW_WORDS
  const countersAt = errorsAt + 2 * Math.ceil((limits.subsystems + 1) / 2)
  const counterCount = (reactorCount + 1) * limits.namespaces * COUNT.DOUBLES
  const healthCount = (limits.subsystems + 1) * HEALTH.DOUBLES
  return { errorsAt, countersAt, counterCount, healthCount, bytes: countersAt * 4 + (counterCount + healthCount) * 8 }
}

export function sharedBytes(limits: Limits, reactorCount: number): number {
  return areasOf(limits, reactorCount).bytes
}

export class Shared {
  readonly words: Int32Array
  readonly counters: Float64Array
  /** HEALTH.DOUBLES of each subsystem; see healthAt. */
  readonly health: Float64Array
  readonly #limits: Limits
  readonly #reactorCount: number
  /** Word index of the errors that were logged since the start, by row of the subsystem. */
  readonly #errorsAt: number

  constructor(memory: ArrayBuffer, limits: Limits, reactorCount: number) {
    const { errorsAt, countersAt, counterCount, healthCount } = areasOf(limits, reactorCount)
    this.words = new Int32Array(memory, 0, countersAt)
    this.counters = new Float64Array(memory, countersAt * 4, counterCount)
    this.health = new Float64Array(memory, countersAt * 4 + counterCount * 8, healthCount)
    this.#limits = limits
    this.#reactorCount = reactorCount
    this.#errorsAt = errorsAt
  }

  /** Word index of a controller's row. */
  row(controller: number): number {
    return controller * ROW_WORDS
  }

  /** Index of the first double of a namespace's counters on a reactor. */
  counterAt(reactor: number, namespace: number): number {
    return (reactor * this.#limits.namespaces + namespace) * COUNT.DOUBLES
  }

  /** The same of what was kept. */
  keptAt(namespace: number): number {
    return this.counterAt(this.#reactorCount, namespace)
  }

  /** Index of the first double of a subsystem's health. */
  healthAt(subsystem: number): number {
    return subsystem * HEALTH.DOUBLES
  }

  /** A counter of a namespace, summed over the reactors and what was kept. */
  total(namespace: number, which: number): number {
    let sum = 0
    for (let reactor = 0; reactor <= this.#reactorCount; reactor++) {
      sum += this.counters[this.counterAt(reactor, namespace) + which]!
    }
    return sum
  }

  /** Bytes that the storage of a namespace takes, null: not known. */
  used(namespace: number): number | null {
    const used = this.counters[this.counterAt(0, namespace) + COUNT.USED]!
    return used === 0 ? null : used - 1
  }

  /** The control plane's to call. */
  setUsed(namespace: number, bytes: number | null): void {
    this.counters[this.counterAt(0, namespace) + COUNT.USED] = bytes === null ? 0 : 1 + bytes
  }

  /** Errors that all controllers of a subsystem ever logged. */
  errors(subsystem: number): number {
    return this.health[this.healthAt(subsystem) + HEALTH.ERRORS_BEFORE]!
      + (this.words[this.#errorsAt + subsystem]! >>> 0)
  }

  /**
   * Adds an entry to the controller's error log. where: see location.ts. Errors are numbered through the
   * subsystem, so that a number names one error whichever controller had it.
   */
  logError(
    controller: number, qid: number, cid: number, status: number, lba: number, nsid: number, where: number,
  ): void {
    const { words } = this
    const row = this.row(controller)
    const count = Atomics.add(words, this.#errorsAt + words[row + ROW.SUBSYSTEM]!, 1) + 1
    // Unsigned: a host can make 2^31 errors within an hour.
    const position = Atomics.add(words, row + ROW.ERRORS, 1) >>> 0
    const at = row + ROW.ENTRIES + (position % ERROR_ENTRIES) * ERROR_ENTRY.WORDS
    words[at + ERROR_ENTRY.COUNT] = count
    words[at + ERROR_ENTRY.QID_CID] = qid | (cid << 16)
    words[at + ERROR_ENTRY.STATUS] = status
    words[at + ERROR_ENTRY.LBA_LO] = lba | 0
    words[at + ERROR_ENTRY.LBA_HI] = (lba / 4294967296) | 0
    words[at + ERROR_ENTRY.NSID] = nsid
    words[at + ERROR_ENTRY.WHERE] = where
  }

  /** The controllers that are of the same subsystem as this one, in ascending order of their CNTLIDs. */
  partiesOf(controller: number): Party[] {
    const { words } = this
    const subsystem = words[this.row(controller) + ROW.SUBSYSTEM]!
    const parties: Party[] = []
    for (let index = 0; index < this.#limits.controllers; index++) {
      const row = this.row(index)
      const state = words[row + ROW.STATE]!
      const exists = state === CONTROLLER_STATE.DISABLED || state === CONTROLLER_STATE.READY
      if (!exists || words[row + ROW.SUBSYSTEM] !== subsystem) continue
      parties.push({ cntlid: words[row + ROW.CNTLID]!, owner: words[row + ROW.OWNER]! })
    }
    return parties.sort((one, other) => one.cntlid - other.cntlid)
  }

  /** A new controller takes the row. */
  clear(controller: number): void {
    const row = this.row(controller)
    this.words.fill(0, row, row + ROW_WORDS)
  }
}
