/**
 * One I/O queue pair of a controller, and the only thread that touches it: a reactor. device/pci.ts submits, the
 * reactor polls once a turn.                        NVMe Base 2.0, Queue Operation; NVMe over PCIe 1.0, doorbells
 *
 *   submit ─▶ pieces (transfer limit, boundary) ─▶ SQ ─ doorbell, by the next turn ─▶ device
 *   finished ◀─ the last piece of a slot ◀─ CQ, until the phase is the old one ◀────────┘
 *
 * A slot has one request at a time, and a request as many commands as it takes. What finds no identifier is in
 * the backlog, and so is, while the controller is reset, everything that the device has not answered.
 *
 * Invariant: a slot's buffer is the device's from submit() until finished() has told; owner says whose cid is.
 */
import { H as H_, Q as Q_, RING as RING_ } from '../shim/abi.ts'
import { IO_OPCODE as IO_OPCODE_, ZONE_OPCODE as ZONE_OPCODE_ } from '../wire/sqe.ts'
import { CQE_STATUS_SHIFT as CQE_STATUS_SHIFT_ } from '../wire/pcie.ts'
import { STATUS as STATUS_ } from '../wire/status.ts'
import type { Geometry } from './geometry.ts'
import type { Pointers } from './prp.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const H = H_
const Q = Q_
const RING = RING_
const IO_OPCODE = IO_OPCODE_
const ZONE_OPCODE = ZONE_OPCODE_
const CQE_STATUS_SHIFT = CQE_STATUS_SHIFT_
const STATUS = STATUS_

/** As device/device.ts: the slot will be told. */
const PENDING = -1
const NONE = -1
const NOT_PARKED = -2
const TWO_32 = 4294967296
const SQE_SHIFT = 4
const CQE_WORDS_SHIFT = 2
const PHASE_SHIFT = 16
/** Words of a request. LENGTH: bytes of data where they are no blocks; negative: there are none. */
const R = {
  OPCODE: 0, NSID: 1, CONTROL: 2, LBA_LO: 3, LBA_HI: 4, BLOCKS: 5, DONE: 6, AT: 7, OUT: 8, STATUS: 9, NEXT: 10,
  SHIFT: 11, LIMIT: 12, BOUNDARY: 13, CDW13: 14, LENGTH: 15,
} as const
const REQUEST_SHIFT = 4
const STATE = { RUNNING: 0, HELD: 1, GONE: 2 } as const
/** Status codes without More and CRD, which concern another log and other timers than ours. */
const STATUS_MASK = 0x47ff
const DSM_DEALLOCATE = 4

export type QueuePairParts = {
  /** The arena, and where in it, as a word index, the shim's block of this queue is: what a turn rings and awaits. */
  readonly arena: Int32Array
  readonly blockWord: number
  /** The queues and the lists. */
  readonly words: Int32Array
  /** Byte offsets in words; the submission queue is at 0. */
  readonly cqAt: number
  readonly depth: number
  readonly pointers: Pointers
  readonly slotCount: number
  /** A slot's request is done, with a status. */
  readonly finished: (slot: number, status: number) => void
}

export class QueuePair {
  /** Commands at the device. */
  outstanding = 0
  /** A completion made no sense: the controller has to be reset. */
  broken = false
  /** While finished() is called for a Zone Append: the block that it begins at. */
  appendedLo = 0
  appendedHi = 0
  readonly #parts: QueuePairParts
  readonly #arena: Int32Array
  #block: number
  readonly #words: Int32Array
  readonly #pointers: Pointers
  readonly #cqWord: number
  readonly #depth: number
  readonly #requests: Int32Array
  readonly #owner: Int32Array
  readonly #started: Int32Array
  readonly #free: Int32Array
  #freeCount = 0
  #tail = 0
  #head = 0
  #phase = 1
  #first = NONE
  #last = NONE
  #state: number = STATE.RUNNING
  #goneStatus = 0

  constructor(parts: QueuePairParts) {
    this.#parts = parts
    this.#arena = parts.arena
    this.#block = parts.blockWord
    this.#words = parts.words
    this.#pointers = parts.pointers
    this.#cqWord = parts.cqAt >> 2
    this.#depth = parts.depth
    this.#requests = new Int32Array(parts.slotCount << REQUEST_SHIFT)
    for (let slot = 0; slot < parts.slotCount; slot++) this.#requests[(slot << REQUEST_SHIFT) + R.NEXT] = NOT_PARKED
    this.#owner = new Int32Array(parts.depth).fill(NONE)
    this.#started = new Int32Array(parts.depth)
    this.#free = new Int32Array(parts.depth)
    this.#forget()
  }

  /**
   * Starts a command of a slot on these blocks; at: arena offset of the data of commands that have some.
   * Returns PENDING, or the status of a device that is not there.
   */
  submit(
    slot: number, opcode: number, geometry: Geometry, limit: number, control: number,
    lbaLo: number, lbaHi: number, blocks: number, at: number,
  ): number {
    this.#requests[(slot << REQUEST_SHIFT) + R.LENGTH] = 0
    return this.#submit(slot, opcode, geometry, limit, control, lbaLo, lbaHi, blocks, at)
  }

  /** A command about zones, as submit(). bytes: of its data at an arena offset; 0 = there are none. */
  manage(
    slot: number, opcode: number, geometry: Geometry, lbaLo: number, lbaHi: number,
    cdw12: number, cdw13: number, at: number, bytes: number,
  ): number {
    const r = slot << REQUEST_SHIFT
    this.#requests[r + R.LENGTH] = bytes === 0 ? -1 : bytes
    this.#requests[r + R.CDW13] = cdw13
    return this.#submit(slot, opcode, geometry, 1, cdw12, lbaLo, lbaHi, 1, at)
  }

  #submit(
    slot: number, opcode: number, geometry: Geometry, limit: number, control: number,
    lbaLo: number, lbaHi: number, blocks: number, at: number,
  ): number {
    if (this.#state === STATE.GONE) return this.#goneStatus
    const requests = this.#requests
    const r = slot << REQUEST_SHIFT
    requests[r + R.OPCODE] = opcode
    requests[r + R.NSID] = geometry.nsid
    requests[r + R.CONTROL] = control
    requests[r + R.LBA_LO] = lbaLo
    requests[r + R.LBA_HI] = lbaHi
    requests[r + R.BLOCKS] = blocks
    requests[r + R.DONE] = 0
    requests[r + R.AT] = at
    requests[r + R.OUT] = 0
    requests[r + R.STATUS] = 0
    requests[r + R.SHIFT] = geometry.blockShift
    requests[r + R.LIMIT] = limit
    const moves = (opcode & 3) !== 0 && opcode !== IO_OPCODE.DATASET_MANAGEMENT
    requests[r + R.BOUNDARY] = moves ? geometry.boundaryBlocks : 0
    this.#advance(slot)
    if (this.#arena[this.#block + Q.WATCH_MASK] === 0 && this.#state === STATE.RUNNING) this.#await()
    return PENDING
  }

  /** What has completed, then what waits. The next turn of the shim rings the doorbells. */
  poll(): void {
    if (this.#state !== STATE.RUNNING) return
    const words = this.#words
    let reaped = 0
    // A queue that is all completions ends the walk, whatever its phases say.
    while (reaped < this.#depth) {
      const entry = this.#cqWord + (this.#head << CQE_WORDS_SHIFT)
      const last = Atomics.load(words, entry + 3)
      if (((last >>> 16) & 1) !== this.#phase) break
      if (++this.#head === this.#depth) {
        this.#head = 0
        this.#phase ^= 1
      }
      reaped++
      this.#reaped(entry, last & 0xffff, last >>> CQE_STATUS_SHIFT & STATUS_MASK)
    }
    if (reaped !== 0) {
      this.#arena[this.#block + Q.HEAD] = this.#head
      this.#arena[this.#block + Q.RING] = this.#arena[this.#block + Q.RING]! | RING.HEAD
    }
    this.#pump()
    this.#await()
  }

  /** Nothing is read of the queues or written to them from now on, until restart() or fail(). */
  hold(): void {
    if (this.#state === STATE.RUNNING) this.#state = STATE.HELD
    this.#silence()
  }

  /** The shim has another block for it: the device was given back to the system, and taken again. */
  moveTo(blockWord: number): void {
    this.#block = blockWord
  }

  /** The queues are new, and empty: what the device did not answer is submitted again. */
  restart(): void {
    this.#requeue()
    this.#state = STATE.RUNNING
    this.#pump()
    this.#await()
  }

  /** The device is gone, and reaches no memory: everything ends with this status, and what comes too. */
  fail(status: number): void {
    this.#requeue()
    this.#state = STATE.GONE
    this.#goneStatus = status
    this.#silence()
    for (let slot = this.#unpark(); slot !== NONE; slot = this.#unpark()) this.#parts.finished(slot, status)
  }

  /** The identifier of a command that is out for more than ms, or -1. */
  overdue(nowMs: number, ms: number): number {
    if (this.#state !== STATE.RUNNING || this.#freeCount === this.#depth - 1) return NONE
    for (let cid = 0; cid < this.#depth; cid++) {
      if (this.#owner[cid] !== NONE && ((nowMs - this.#started[cid]!) | 0) > ms) return cid
    }
    return NONE
  }

  /** Requests that are not answered. */
  get pending(): boolean {
    return this.#first !== NONE || this.#freeCount !== this.#depth - 1
  }

  /** One completion, at word `entry`. */
  #reaped(entry: number, cid: number, status: number): void {
    const slot = cid < this.#depth ? this.#owner[cid]! : NONE
    if (slot === NONE) {
      this.broken = true
      return
    }
    this.#owner[cid] = NONE
    this.#free[this.#freeCount++] = cid
    this.outstanding--
    const requests = this.#requests
    const r = slot << REQUEST_SHIFT
    const out = requests[r + R.OUT]! - 1
    requests[r + R.OUT] = out
    if (requests[r + R.OPCODE] === ZONE_OPCODE.APPEND) {
      this.appendedLo = this.#words[entry]!
      this.appendedHi = this.#words[entry + 1]!
    }
    if (status !== 0 && requests[r + R.STATUS] === 0) {
      requests[r + R.STATUS] = status
      // What has not begun would change nothing.
      requests[r + R.DONE] = requests[r + R.BLOCKS]!
    }
    if (out === 0 && requests[r + R.NEXT] === NOT_PARKED) this.#finish(slot, requests[r + R.STATUS]!)
  }

  /** An abort of ours is no answer that a host would expect: it may try again. */
  #finish(slot: number, status: number): void {
    const ours = status === STATUS.ABORT_REQUESTED || status === STATUS.SQ_DELETION
    this.#parts.finished(slot, ours ? STATUS.COMMAND_INTERRUPTED : status)
  }

  /** Submits pieces of a slot's request as long as there are identifiers. */
  #advance(slot: number): void {
    const requests = this.#requests
    const r = slot << REQUEST_SHIFT
    const blocks = requests[r + R.BLOCKS]!
    const limit = requests[r + R.LIMIT]!
    const boundary = requests[r + R.BOUNDARY]!
    let done = requests[r + R.DONE]!
    while (done < blocks) {
      if (this.#freeCount === 0 || this.#state !== STATE.RUNNING) return this.#park(slot)
      const lba = (requests[r + R.LBA_LO]! >>> 0) + requests[r + R.LBA_HI]! * TWO_32 + done
      let piece = blocks - done
      if (piece > limit) piece = limit
      if (boundary !== 0) {
        const room = boundary - lba % boundary
        if (piece > room) piece = room
      }
      this.#write(slot, r, lba, piece, done)
      done += piece
      requests[r + R.DONE] = done
      requests[r + R.OUT] = requests[r + R.OUT]! + 1
    }
  }

  /** One submission queue entry: blocks from lba on, `done` of the request having gone before. */
  #write(slot: number, r: number, lba: number, blocks: number, done: number): void {
    const requests = this.#requests
    const words = this.#words
    const cid = this.#free[--this.#freeCount]!
    const opcode = requests[r + R.OPCODE]!
    const w = this.#tail << SQE_SHIFT
    this.#owner[cid] = slot
    this.#started[cid] = this.#arena[H.NOW_MS]!
    this.outstanding++
    words[w] = opcode | cid << 16
    words[w + 1] = requests[r + R.NSID]!
    for (let k = 2; k < 16; k++) words[w + k] = 0
    if (opcode === IO_OPCODE.DATASET_MANAGEMENT) {
      const range = this.#pointers.own(w, cid)
      words[range] = 0
      words[range + 1] = blocks
      words[range + 2] = lba | 0
      words[range + 3] = (lba / TWO_32) | 0
      words[w + 11] = DSM_DEALLOCATE
    } else if (opcode !== IO_OPCODE.FLUSH) {
      words[w + 10] = lba | 0
      words[w + 11] = (lba / TWO_32) | 0
      words[w + 12] = (blocks - 1) | requests[r + R.CONTROL]!
      const shift = requests[r + R.SHIFT]!
      const length = requests[r + R.LENGTH]!
      if (length !== 0) words[w + 13] = requests[r + R.CDW13]!
      const bytes = length === 0 ? blocks << shift : length
      if ((opcode & 3) !== 0 && bytes > 0) this.#pointers.point(w, cid, requests[r + R.AT]! + (done << shift), bytes)
    }
    if (++this.#tail === this.#depth) this.#tail = 0
    this.#arena[this.#block + Q.TAIL] = this.#tail
    this.#arena[this.#block + Q.RING] = this.#arena[this.#block + Q.RING]! | RING.TAIL
  }

  #pump(): void {
    while (this.#freeCount !== 0) {
      const slot = this.#unpark()
      if (slot === NONE) return
      this.#advance(slot)
      const r = slot << REQUEST_SHIFT
      // It failed while its rest waited, and nothing of it is left.
      if (this.#requests[r + R.OUT] === 0 && this.#requests[r + R.NEXT] === NOT_PARKED) {
        this.#finish(slot, this.#requests[r + R.STATUS]!)
      }
    }
  }

  /** What the next turn waits for: the phase of the next completion, where there will be one. */
  #await(): void {
    const arena = this.#arena
    const block = this.#block
    if (this.outstanding === 0) {
      arena[block + Q.WATCH_MASK] = 0
      return
    }
    arena[block + Q.WATCH_AT] = (this.#cqWord + (this.#head << CQE_WORDS_SHIFT) + 3) << 2
    arena[block + Q.WATCH_VALUE] = this.#phase << PHASE_SHIFT
    arena[block + Q.WATCH_MASK] = 1 << PHASE_SHIFT
  }

  #park(slot: number): void {
    const requests = this.#requests
    requests[(slot << REQUEST_SHIFT) + R.NEXT] = NONE
    if (this.#last === NONE) this.#first = slot
    else requests[(this.#last << REQUEST_SHIFT) + R.NEXT] = slot
    this.#last = slot
  }

  /** The slot that waits longest, or NONE. */
  #unpark(): number {
    const slot = this.#first
    if (slot === NONE) return NONE
    const r = slot << REQUEST_SHIFT
    this.#first = this.#requests[r + R.NEXT]!
    if (this.#first === NONE) this.#last = NONE
    this.#requests[r + R.NEXT] = NOT_PARKED
    return slot
  }

  /** Every request that has begun waits again, from its beginning: all of them may be done twice. */
  #requeue(): void {
    const requests = this.#requests
    for (let cid = 0; cid < this.#depth; cid++) {
      const slot = this.#owner[cid]!
      if (slot === NONE) continue
      const r = slot << REQUEST_SHIFT
      if (requests[r + R.NEXT] === NOT_PARKED) this.#park(slot)
      requests[r + R.DONE] = 0
      requests[r + R.OUT] = 0
      requests[r + R.STATUS] = 0
    }
    this.#forget()
  }

  /** The next turn rings nothing, and waits for nothing. */
  #silence(): void {
    this.#arena[this.#block + Q.RING] = 0
    this.#arena[this.#block + Q.WATCH_MASK] = 0
  }

  #forget(): void {
    this.#owner.fill(NONE)
    // A queue with a free entry is never taken for an empty one.
    this.#freeCount = this.#depth - 1
    for (let k = 0; k < this.#freeCount; k++) this.#free[k] = this.#freeCount - 1 - k
    this.#tail = 0
    this.#head = 0
    this.#phase = 1
    this.outstanding = 0
    this.broken = false
  }
}
