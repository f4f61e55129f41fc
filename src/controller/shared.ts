/**
 * The block that all reactors and the control plane share: a row per controller, and counters per namespace
 * and reactor. Plain native memory (one region), viewed by every thread.
 *
 *   controllers × 1024 words │ reactors × namespaces × 8 doubles
 *   row: state, stamp, error count, write cache … │ 64 error entries of 8 words, from word 64
 *
 * Invariant: each word has one writer, but STAMP (any reactor, any order) and ERRORS (Atomics.add).
 */
import type { Limits } from '../limits.ts'

export const ROW_WORDS = 1024
/** Words of a controller's row. */
export const ROW = {
  /** CONTROLLER_STATE. Written by the reactor of the admin queue. */
  STATE: 0,
  /** Milliseconds (H.NOW_MS) of the last command on any of its queues. */
  STAMP: 1,
  /** Errors ever logged. */
  ERRORS: 2,
  /** 1 = every write goes to the medium: the host switched the volatile write cache off. */
  WRITE_THROUGH: 3,
  /** H.NOW_MS when the target started. Written by the control plane. */
  STARTED: 4,
  /** I/O queues that the controller granted, and that are connected. The latter by the control plane. */
  GRANTED: 5,
  IO_QUEUES: 6,
  ENTRIES: 64,
} as const
export const CONTROLLER_STATE = { NONE: 0, DISABLED: 1, READY: 2, GONE: 3 } as const

export const ERROR_ENTRIES = 64
/** Words of an error entry. qidCid: SQID | CID << 16. */
export const ERROR_ENTRY = {
  WORDS: 8, COUNT: 0, QID_CID: 1, STATUS: 2, LBA_LO: 3, LBA_HI: 4, NSID: 5, LOCATION: 6,
} as const

/** Doubles of a namespace's counters. */
export const COUNT = {
  DOUBLES: 8, READS: 0, WRITES: 1, READ_BYTES: 2, WRITTEN_BYTES: 3, OTHERS: 4, ERRORS: 5,
  /** Commands that a medium failed. */
  MEDIA_ERRORS: 6,
} as const

export function sharedBytes(limits: Limits, reactorCount: number): number {
  return limits.controllers * ROW_WORDS * 4 + reactorCount * limits.namespaces * COUNT.DOUBLES * 8
}

export class Shared {
  readonly words: Int32Array
  readonly counters: Float64Array
  readonly #limits: Limits
  readonly #reactorCount: number

  constructor(memory: ArrayBuffer, limits: Limits, reactorCount: number) {
    const rowsBytes = limits.controllers * ROW_WORDS * 4
    this.words = new Int32Array(memory, 0, rowsBytes >> 2)
    this.counters = new Float64Array(
      memory, rowsBytes, reactorCount * limits.namespaces * COUNT.DOUBLES,
    )
    this.#limits = limits
    this.#reactorCount = reactorCount
  }

  /** Word index of a controller's row. */
  row(controller: number): number {
    return controller * ROW_WORDS
  }

  /** Index of the first double of a namespace's counters on a reactor. */
  counterAt(reactor: number, namespace: number): number {
    return (reactor * this.#limits.namespaces + namespace) * COUNT.DOUBLES
  }

  /** A counter of a namespace, summed over the reactors. */
  total(namespace: number, which: number): number {
    let sum = 0
    for (let reactor = 0; reactor < this.#reactorCount; reactor++) {
      sum += this.counters[this.counterAt(reactor, namespace) + which]!
    }
    return sum
  }

  /** Adds an entry to the controller's error log. */
  logError(
    controller: number, qid: number, cid: number, status: number, lba: number, nsid: number, location: number,
  ): void {
    const row = this.row(controller)
    // Unsigned: a host can make 2^31 errors within an hour.
    const count = (Atomics.add(this.words, row + ROW.ERRORS, 1) + 1) >>> 0
    const at = row + ROW.ENTRIES + (((count - 1) >>> 0) % ERROR_ENTRIES) * ERROR_ENTRY.WORDS
    this.words[at + ERROR_ENTRY.COUNT] = count
    this.words[at + ERROR_ENTRY.QID_CID] = qid | (cid << 16)
    this.words[at + ERROR_ENTRY.STATUS] = status
    this.words[at + ERROR_ENTRY.LBA_LO] = lba | 0
    this.words[at + ERROR_ENTRY.LBA_HI] = (lba / 4294967296) | 0
    this.words[at + ERROR_ENTRY.NSID] = nsid
    this.words[at + ERROR_ENTRY.LOCATION] = location
  }

  /** A new controller takes the row. */
  clear(controller: number): void {
    const row = this.row(controller)
    this.words.fill(0, row, row + ROW_WORDS)
  }
}
