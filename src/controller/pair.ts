/**
 * Pairs: fused Compare and Write, run as one command. admit brings the halves in, io gives them places and
 * passes on what the device says; the blocks are held on all reactors meanwhile (hold.ts).
 * NVMe Base 2.0, 3.4.2 (Fused Operations); NVM Command Set 1.0, 2.1.3
 *
 *   first ──▶ buffer ─▶ data ─┐
 *                             ├─▶ ask for the blocks ─▶ granted ─▶ compare ─ same ─▶ store ─▶ both answered
 *   second ─▶ its part of it ─┘                                       └ else ───────────────▶ both answered
 *
 * One buffer, the first's, holds both halves' data and the blocks to compare with, so that no second ever waits
 * for a buffer that firsts without a second have. A second whose data are in its capsule takes it for a first that
 * waits, from what is kept for such data. Opcodes of the halves have a bit above 255 here, so that
 * nothing on the way of other commands has to ask what a command is half of.
 * Invariant: both halves are answered together, the first one first; neither while data of a half are under way,
 * as they go into the common buffer.
 */
import { type Outcome, PENDING, STALL, WANTS_DATA } from '../device/device.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Buffers } from '../reactor/buffers.ts'
import { lbaOf, SLOT, type Slot } from '../reactor/slots.ts'
import { ACCESS, IO_OPCODE } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import type { Queue } from './queue.ts'
import { reservationStatus } from './rights.ts'

/** ORed into the opcode of a half: FUSE 01b and 10b. */
export const FIRST_HALF = 0x100
export const SECOND_HALF = 0x200
const OPCODE_MASK = 0xff
const PAGE_BYTES = 4096

/** Where a half is: not come; without a place; its data under way; its data there; compared or stored. */
const STAGE = { ABSENT: 0, WAITING: 1, RECEIVING: 2, READY: 3, RUNNING: 4 } as const

type Half = { slot: Slot | null; stage: number; status: number }
type Pair = {
  readonly queue: Queue
  readonly first: Half
  readonly second: Half
  /** It is not run: the halves end with their statuses. */
  doomed: boolean
  /** Its name for the exclusion that it asks for, and the exclusion that it has. */
  readonly token: number
  held: number
}

export type PairParts = {
  readonly buffers: Buffers
  readonly namespaces: (Namespace | null)[]
  /** Answers a slot. */
  readonly finish: (slot: Slot, status: number) => void
  /** A half that was accepted fails: for the error log. */
  readonly failed: (slot: Slot, queue: Queue, status: number) => void
  /** Asks for the slot's blocks; granted() follows with this token. */
  readonly ask: (slot: Slot, token: number) => void
  readonly release: (id: number, namespace: number) => void
}

export class Pairs {
  readonly #parts: PairParts
  /** By slot index. */
  readonly #pairs = new Map<number, Pair>()
  /** By token: those that asked for their blocks. */
  readonly #asking = new Map<number, Pair>()
  /** By queue: the first half that came last, and whose second has not come. */
  readonly #open = new Map<Queue, Pair>()
  #lastToken = 0

  constructor(parts: PairParts) {
    this.#parts = parts
  }

  /** A first half. status: what is wrong with it already, 0 = nothing. */
  first(slot: Slot, queue: Queue, status: number): Outcome {
    const half = (): Half => ({ slot: null, stage: STAGE.ABSENT, status: 0 })
    const token = ++this.#lastToken
    const pair: Pair = { queue, first: half(), second: half(), doomed: status !== 0, token, held: 0 }
    this.#open.set(queue, pair)
    queue.fusing = true
    if (status !== 0) return status
    pair.first.slot = slot
    pair.first.stage = STAGE.WAITING
    this.#pairs.set(slot.index, pair)
    return this.place(slot)
  }

  /** A second half. status: what is wrong with it already. */
  second(slot: Slot, queue: Queue, status: number): Outcome {
    const pair = this.#open.get(queue)
    if (pair === undefined) return status === 0 ? STATUS.MISSING_FUSED : status
    this.#close(pair)
    if (status !== 0) {
      this.#doom(pair, STATUS.FAILED_FUSED, STATUS.FAILED_FUSED)
      return status
    }
    const first = pair.first.slot
    if (first === null || pair.doomed) return STATUS.FAILED_FUSED
    if (!sameBlocks(first, slot)) {
      this.#doom(pair, STATUS.INVALID_FIELD, STATUS.INVALID_FIELD)
      return STATUS.INVALID_FIELD
    }
    pair.second.slot = slot
    pair.second.stage = STAGE.WAITING
    this.#pairs.set(slot.index, pair)
    return this.place(slot)
  }

  /** Where a half's data go: WANTS_DATA, STALL, or the status that it ends with. */
  place(slot: Slot): Outcome {
    const pair = this.#pairs.get(slot.index)!
    const half = halfOf(pair, slot)
    if (pair.doomed) {
      this.#pairs.delete(slot.index)
      half.slot = null
      half.stage = STAGE.ABSENT
      return half.status
    }
    const bytes = roomOf(slot)
    const first = pair.first.slot!
    // The host's data, the blocks, and the data of the second half.
    if (first.buffer === -1) {
      const at = this.#parts.buffers.take(3 * bytes, slot.keepPages)
      if (at !== -1) first.own(at)
      else if (half === pair.first || slot.keepPages !== 0) return STALL
      else {
        // Its data are in the capsule: in the ring it would keep back what commands that have buffers wait for.
        this.#doom(pair, STATUS.COMMAND_INTERRUPTED, STATUS.FAILED_FUSED)
        return this.place(slot)
      }
    }
    if (half === pair.second) slot.placeInArena(first.buffer + 2 * bytes)
    half.stage = STAGE.RECEIVING
    return WANTS_DATA
  }

  /** The capsule is not taken now, and comes again: the half was not here. */
  withdraw(slot: Slot): void {
    const pair = this.#pairs.get(slot.index)
    if (pair === undefined) return
    const half = halfOf(pair, slot)
    this.#pairs.delete(slot.index)
    half.slot = null
    half.stage = STAGE.ABSENT
    if (half === pair.first) this.#close(pair)
    else {
      this.#open.set(pair.queue, pair)
      pair.queue.fusing = true
    }
  }

  /** The half's data are there. */
  arrived(slot: Slot): Outcome {
    const pair = this.#pairs.get(slot.index)!
    this.#ready(pair, slot)
    if (!pair.doomed && pair.first.stage === STAGE.READY && pair.second.stage === STAGE.READY) {
      this.#asking.set(pair.token, pair)
      this.#parts.ask(pair.first.slot!, pair.token)
    }
    this.#settle(pair)
    return PENDING
  }

  /** The half's data are there, but it is not to be run. It is answered here. */
  broken(slot: Slot, status: number): void {
    const pair = this.#pairs.get(slot.index)!
    this.#ready(pair, slot)
    this.#parts.failed(slot, pair.queue, status)
    const first = slot === pair.first.slot
    this.#doom(pair, first ? status : STATUS.FAILED_FUSED, first ? STATUS.FAILED_FUSED : status)
    this.#settle(pair)
  }

  /** Another command came behind a first half. */
  orphan(queue: Queue): void {
    const pair = this.#open.get(queue)
    if (pair === undefined) return
    this.#close(pair)
    this.#doom(pair, STATUS.MISSING_FUSED, STATUS.FAILED_FUSED)
  }

  /** The blocks of a first half are held, or are not to be had. held: the index of their namespace. */
  granted(token: number, id: number, held: number, granted: boolean): void {
    const pair = this.#asking.get(token)
    this.#asking.delete(token)
    if (pair === undefined) {
      // Its host has gone.
      if (granted) this.#parts.release(id, held)
      return
    }
    const first = pair.first.slot!
    const namespace = this.#parts.namespaces[first.namespace]
    pair.held = granted ? id : 0
    if (!granted || namespace === null || namespace === undefined) {
      this.#end(pair, granted ? STATUS.INVALID_NAMESPACE : STATUS.COMMAND_INTERRUPTED, STATUS.FAILED_FUSED)
      return
    }
    // Somebody may have reserved the namespace since the halves came.
    const forbidden = reservationStatus(namespace, pair.queue.controller?.hostId ?? '', ACCESS.BOTH)
    const unreadable = namespace.isDefective(lbaOf(first), first.blockCount)
    if (namespace.barred !== 0 || unreadable) {
      this.#end(pair, namespace.barred || STATUS.UNRECOVERED_READ_ERROR, STATUS.FAILED_FUSED)
      return
    }
    if (forbidden !== 0) {
      this.#end(pair, STATUS.FAILED_FUSED, forbidden)
      return
    }
    pair.first.stage = STAGE.RUNNING
    pair.second.stage = STAGE.RUNNING
    first.enter(SLOT.EXECUTING)
    pair.second.slot!.enter(SLOT.EXECUTING)
    this.resumed(first, namespace.device.compare(first), namespace)
  }

  /** What the device said to the compare or to the store. PENDING: everything that is to be answered is. */
  resumed(slot: Slot, outcome: Outcome, namespace: Namespace): Outcome {
    const pair = this.#pairs.get(slot.index)!
    if (outcome === PENDING) return PENDING
    const second = pair.second.slot!
    if (slot === second) this.#end(pair, outcome === 0 ? 0 : STATUS.FAILED_FUSED, outcome)
    else if (outcome !== 0) this.#end(pair, outcome, STATUS.FAILED_FUSED)
    else this.resumed(second, namespace.device.store(second, second.lo), namespace)
    return PENDING
  }

  /** The pair of this half is not to be run any more; false when a device has it. other: of the other half. */
  abort(slot: Slot, status: number, other = status): boolean {
    const pair = this.#pairs.get(slot.index)
    if (pair === undefined || pair.doomed || pair.first.stage === STAGE.RUNNING) return false
    // Blocks that are granted to it later are released at once.
    this.#asking.delete(pair.token)
    if (slot === pair.first.slot) this.#doom(pair, status, other)
    else this.#doom(pair, other, status)
    return true
  }

  /** The connection has gone: its slots are freed by others, but those that a device has. */
  forget(connection: number): void {
    for (const [queue, pair] of [...this.#open]) if (queue.connection === connection) this.#close(pair)
    for (const [index, pair] of [...this.#pairs]) {
      if (pair.queue.connection !== connection || pair.first.stage === STAGE.RUNNING) continue
      this.#pairs.delete(index)
      this.#asking.delete(pair.token)
    }
  }

  #close(pair: Pair): void {
    this.#open.delete(pair.queue)
    pair.queue.fusing = false
  }

  #ready(pair: Pair, slot: Slot): void {
    halfOf(pair, slot).stage = STAGE.READY
    slot.enter(SLOT.HELD)
  }

  #doom(pair: Pair, first: number, second: number): void {
    if (pair.doomed) return
    pair.doomed = true
    pair.first.status = first
    pair.second.status = second
    this.#settle(pair)
  }

  /** Answers what is here of a pair that is not run, as soon as nothing is under way into its buffer. */
  #settle(pair: Pair): void {
    if (!pair.doomed || [pair.first, pair.second].some((half) => half.stage === STAGE.RECEIVING)) return
    for (const half of [pair.first, pair.second]) {
      if (half.stage === STAGE.READY) this.#finish(half)
    }
  }

  #end(pair: Pair, first: number, second: number): void {
    const { failed, release } = this.#parts
    const namespace = pair.first.slot!.namespace
    if (first !== 0 && first !== STATUS.FAILED_FUSED) failed(pair.first.slot!, pair.queue, first)
    if (second !== 0 && second !== STATUS.FAILED_FUSED) failed(pair.second.slot!, pair.queue, second)
    pair.first.status = first
    pair.second.status = second
    this.#finish(pair.first)
    this.#finish(pair.second)
    if (pair.held !== 0) release(pair.held, namespace)
  }

  #finish(half: Half): void {
    const slot = half.slot!
    this.#pairs.delete(slot.index)
    half.slot = null
    half.stage = STAGE.ABSENT
    this.#parts.finish(slot, half.status)
  }
}

/** Bytes of a half's data, rounded up to what direct transfers align to. */
function roomOf(slot: Slot): number {
  return Math.ceil(slot.bytes / PAGE_BYTES) * PAGE_BYTES
}

function halfOf(pair: Pair, slot: Slot): Half {
  return pair.first.slot === slot ? pair.first : pair.second
}

function sameBlocks(first: Slot, second: Slot): boolean {
  return first.namespace === second.namespace && lbaOf(first) === lbaOf(second)
    && first.blockCount === second.blockCount
}

/** What the halves must be: Compare, then Write. */
export function isHalf(slot: Slot): boolean {
  const opcode = slot.opcode & OPCODE_MASK
  return (slot.opcode & FIRST_HALF) !== 0 ? opcode === IO_OPCODE.COMPARE : opcode === IO_OPCODE.WRITE
}
