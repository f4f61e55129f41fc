/**
 * Admits commands: from a submission queue entry in the receive ring to a slot that runs, waits for its
 * data, or is answered. receive calls it; it calls the executors and complete.   NVMe over Fabrics, 2.3
 *
 *   opcode bits 1:0  00 none │ 01 host → controller │ 10 controller → host │ 11 never     (7Fh: of FCTYPE)
 *   SGL1 id          01h in the capsule, offset 0 │ 5Ah by the transport │ anything else is refused
 *
 * Who gets a buffer, and when: reactor/share.ts. A command without one waits outside of the ring (wait.ts), since the data that would free one may be
 * behind it in the same stream. Only in-capsule data wait in the ring, for buffers kept for them.
 * Invariant: a STALL has changed nothing; the same capsule is admitted again later.
 */
import type { Aborts } from '../controller/abort.ts'
import type { Executor, RepeatableExecutor } from '../controller/executor.ts'
import { FIRST_HALF, type Pairs, SECOND_HALF } from '../controller/pair.ts'
import { type Outcome, STALL as STALL_, WANTS_DATA as WANTS_DATA_ } from '../device/device.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Share } from '../reactor/share.ts'
import type { Work } from '../reactor/work.ts'
import { H as H_ } from '../shim/abi.ts'
import { ADMIN_IN_CAPSULE_BYTES as ADMIN_IN_CAPSULE_BYTES_ } from '../wire/pdu.ts'
import { SGL_ID as SGL_ID_ } from '../wire/sqe.ts'
import { STATUS as STATUS_ } from '../wire/status.ts'
import { type Completer, FROM_HOST as FROM_HOST_, TO_HOST as TO_HOST_ } from './complete.ts'
import type { Queue } from '../controller/queue.ts'
import { type Owner, SLOT as SLOT_, type Slot, type Slots } from '../reactor/slots.ts'
import type { Transfers } from './transfer.ts'
import { Waiters } from './wait.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const H = H_
const STALL = STALL_
const WANTS_DATA = WANTS_DATA_
const ADMIN_IN_CAPSULE_BYTES = ADMIN_IN_CAPSULE_BYTES_
const SGL_ID = SGL_ID_
const STATUS = STATUS_
const FROM_HOST = FROM_HOST_
const TO_HOST = TO_HOST_
const SLOT = SLOT_

export { STALL }

/** A connection that commands come by. */
export interface Client extends Owner {
  readonly queue: Queue
  /** R2Ts that the host allows at a time for one command. */
  readonly transfersMax: number
}

/** The command has a slot, or an answer. */
export const ADMITTED = 0
/** The capsule's data are not what SGL1 says: the transport ends the connection. */
export const MISMATCH = -5
/** More in-capsule data than this queue takes. */
export const TOO_LONG = -6

/** While commands wait for a buffer, those that come later wait behind them: small ones starve no large one. */
const ALL_PAGES = 0x7fffffff
/** Identify, and most logs. */
const SHORT_ANSWER_BYTES = 16 * 1024
const FABRICS_OPCODE = 0x7f
const SGL_ADDRESS_WORD = 6
const SGL_LENGTH_WORD = 8
const SGL_ID_WORD = 9
/** FUSE in the first word of an entry. */
const FUSE_SHIFT = 8
const FUSE_MASK = 0x3
const [FUSE_FIRST, FUSE_SECOND] = [1, 2]
const OPCODE_MAX = 0xff
/** The entry is half of a fused pair. */
const FUSED = -7
const PSDT_SHIFT = 6

export class Admission {
  readonly #arena: Arena
  readonly #slots: Slots
  readonly #work: Work
  readonly #completer: Completer
  readonly #transfers: Transfers
  readonly #fabrics: Executor
  readonly #admin: Executor
  readonly #io: RepeatableExecutor
  readonly #waiters = new Waiters()
  readonly #aborts: Aborts
  readonly #pairs: Pairs
  readonly #queueOf: (slot: Slot) => Queue
  readonly #inCapsuleBytes: number
  readonly #transferBytesMax: number
  readonly #keepPages: number
  readonly #adminPages: number
  /** Commands that found no slot, and ended with Command Interrupted. */
  exhaustedCount = 0
  /** Commands wait for buffers that nobody's share denies them: there are too few. */
  #scarce = false

  constructor(parts: {
    arena: Arena, slots: Slots, work: Work, completer: Completer, transfers: Transfers,
    fabrics: Executor, admin: Executor, io: RepeatableExecutor, aborts: Aborts, pairs: Pairs,
    /** The queue that a slot came by. */
    queueOf: (slot: Slot) => Queue,
    inCapsuleBytes: number, transferBytesMax: number,
    /** Buffer pages that only in-capsule data may take. */
    keepPages: number,
    /** Pages for admin commands. */
    adminPages: number,
  }) {
    this.#arena = parts.arena
    this.#slots = parts.slots
    this.#work = parts.work
    this.#completer = parts.completer
    this.#transfers = parts.transfers
    this.#fabrics = parts.fabrics
    this.#admin = parts.admin
    this.#io = parts.io
    this.#aborts = parts.aborts
    this.#pairs = parts.pairs
    this.#queueOf = parts.queueOf
    this.#inCapsuleBytes = parts.inCapsuleBytes
    this.#transferBytesMax = parts.transferBytesMax
    this.#keepPages = parts.keepPages
    this.#adminPages = parts.adminPages
  }

  /**
   * w: word index of the SQE. dataAt: arena offset of dataBytes of in-capsule data; digestFailed: they are
   * not what the host sent. ADMITTED, STALL, MISMATCH or TOO_LONG.
   */
  admit(
    client: Client, w: number, dataAt: number, dataBytes: number, digestFailed: boolean,
  ): number {
    const words = this.#arena.words
    const { queue, transfersMax } = client
    const slots = this.#slots
    const opcode = words[w]! & 0xff
    const sglLength = words[w + SGL_LENGTH_WORD]!
    const inCapsule = words[w + SGL_ID_WORD]! >>> 24 === SGL_ID.IN_CAPSULE
    if (dataBytes !== (inCapsule ? sglLength : 0)) return MISMATCH
    if (dataBytes > this.#inCapsuleBytes && dataBytes > this.#capsuleLimit(queue, opcode)) return TOO_LONG
    // Two call sites, so that the one of I/O commands only ever sees one executor: ADR 5.
    const isIo = queue.qid !== 0 && opcode !== FABRICS_OPCODE
    const exhausted = slots.exhaustedFor(client)
    if (exhausted) this.exhaustedCount++
    const slot = slots.take(client)
    slot.cid = words[w]! >>> 16
    slot.opcode = opcode
    slot.startedUs = words[H.NOW_US]!
    slot.bytes = sglLength
    slot.direction = sglLength === 0 ? 0 : opcode & 3
    slot.keepPages = inCapsule ? 0 : isIo ? this.#keepFor(queue.share) : this.#keepForAdmin(queue.share, sglLength)
    if (queue.fusing && ((words[w]! >>> FUSE_SHIFT) & FUSE_MASK) !== FUSE_SECOND) this.#pairs.orphan(queue)
    let outcome: Outcome = this.#check(slot, w, opcode, dataBytes)
    if (outcome === 0) {
      if (digestFailed) outcome = STATUS.TRANSIENT_TRANSPORT_ERROR
      else if (exhausted) outcome = STATUS.COMMAND_INTERRUPTED
      else if (isIo) outcome = this.#io.start(slot, queue, w)
      else outcome = this.executor(queue, opcode).start(slot, queue, w)
    } else if (outcome === FUSED) {
      const refused = digestFailed ? STATUS.TRANSIENT_TRANSPORT_ERROR : exhausted ? STATUS.COMMAND_INTERRUPTED : 0
      outcome = isIo ? this.#half(slot, queue, w, dataBytes, refused) : STATUS.INVALID_FIELD
    }
    if (outcome === STALL) {
      if (dataBytes === 0 && isIo) {
        if (queue.share.pages <= this.#keepPages) this.#scarce = true
        this.#waiters.push(slot, queue.share, transfersMax)
        return ADMITTED
      }
      if (slot.opcode > OPCODE_MAX) this.#pairs.withdraw(slot)
      slots.free(slot)
      return STALL
    }
    if (slot.buffer !== -1) this.#completer.charge(slot, queue.share)
    if (outcome === WANTS_DATA) {
      if (!inCapsule) {
        this.#transfers.begin(slot, transfersMax)
        return ADMITTED
      }
      this.place(slot, 0, dataAt, dataBytes)
      slot.received = dataBytes
      outcome = isIo ? this.#io.run(slot, queue) : this.executor(queue, opcode).run(slot, queue)
    }
    if (outcome >= 0) this.#completer.finish(slot, outcome)
    return ADMITTED
  }

  /**
   * Buffers were given back: goes on with the commands that wait for one, those of each controller in their
   * order. One that waits for its own commands is passed over; where there is too little for anybody, the one
   * whose turn it is gets what comes first.
   */
  retry(): void {
    const waiters = this.#waiters
    this.#scarce = false
    for (let passed = 0; passed < waiters.count; ) {
      const share = waiters.turn!
      const slot = share.first!
      const bound = share.pages > this.#keepPages
      slot.keepPages = bound ? share.pages : this.#keepPages
      const aborted = this.#aborts.take(slot)
      const outcome = aborted === 0 ? this.#io.again(slot) : aborted
      if (outcome === STALL) {
        if (!bound) {
          this.#scarce = true
          return
        }
        waiters.pass()
        passed++
        continue
      }
      passed = 0
      waiters.shift()
      slot.enter(SLOT.EXECUTING)
      this.#goOn(slot, outcome, share, slot.transfersMax)
    }
  }

  /** The connection has gone, and its slots are being freed. */
  forget(connection: number): void {
    this.#waiters.forget(connection)
    this.#io.forget(connection)
  }

  /** Puts bytes from the arena (sourceAt) into the slot's place, offset bytes into its data. */
  place(slot: Slot, offset: number, sourceAt: number, bytes: number): void {
    const region = slot.region
    if (slot.readable === 1) {
      this.#arena.bytes.copyWithin(slot.lo + offset, sourceAt, sourceAt + bytes)
      return
    }
    const lo = (slot.lo >>> 0) + offset
    this.#work.copy(region, lo | 0, slot.hi + (lo >= 4294967296 ? 1 : 0), sourceAt, bytes)
  }

  /** What a command waited for behind its data is over: it goes on. */
  proceed(slot: Slot): void {
    const aborted = this.#aborts.take(slot)
    const outcome = aborted === 0 ? this.#io.proceed(slot, this.#queueOf(slot)) : aborted
    if (outcome >= 0) this.#completer.finish(slot, outcome)
  }

  /** A command that waited for its turn goes on; data that came in its capsule have waited with it. */
  release(slot: Slot): void {
    if (slot.received !== 0) return this.proceed(slot)
    const client = slot.owner as Client
    const aborted = this.#aborts.take(slot)
    const outcome = aborted === 0 ? this.#io.released(slot, client.queue) : aborted
    if (outcome === STALL) return this.#waiters.push(slot, client.queue.share, client.transfersMax)
    this.#goOn(slot, outcome, client.queue.share, client.transfersMax)
  }

  /** It has got what it waited for, or an answer. */
  #goOn(slot: Slot, outcome: Outcome, share: Share, transfersMax: number): void {
    if (slot.buffer !== -1) this.#completer.charge(slot, share)
    if (outcome === WANTS_DATA && this.#completer.answers(slot)) this.#transfers.begin(slot, transfersMax)
    else if (outcome === WANTS_DATA) this.#completer.free(slot)
    else if (outcome >= 0) this.#completer.finish(slot, outcome)
  }

  /** All data of a command that was asked for have arrived. */
  complete(slot: Slot, queue: Queue): void {
    const aborted = this.#aborts.take(slot)
    if (aborted !== 0) this.#refuse(slot, aborted)
    else if (slot.digestFailed === 1) this.#refuse(slot, STATUS.TRANSIENT_TRANSPORT_ERROR)
    else {
      const outcome = this.executor(queue, slot.opcode).run(slot, queue)
      if (outcome >= 0) this.#completer.finish(slot, outcome)
    }
  }

  /** All data have arrived of a command that is not to be run. */
  #refuse(slot: Slot, status: number): void {
    if (slot.opcode > OPCODE_MAX) this.#pairs.broken(slot, status)
    else this.#completer.finish(slot, status)
  }

  /** Half of a fused pair. refused: the status that it gets in any case, 0 = none. */
  #half(slot: Slot, queue: Queue, w: number, dataBytes: number, refused: number): Outcome {
    const fuse = (this.#arena.words[w]! >>> FUSE_SHIFT) & FUSE_MASK
    if (fuse !== FUSE_FIRST && fuse !== FUSE_SECOND) return STATUS.INVALID_FIELD
    const { opcode } = slot
    let status = this.#entry(slot, w, opcode, dataBytes) || refused
    slot.opcode = opcode | (fuse === FUSE_FIRST ? FIRST_HALF : SECOND_HALF)
    if (status === 0) status = this.#io.check(slot, queue, w)
    return fuse === FUSE_FIRST ? this.#pairs.first(slot, queue, status) : this.#pairs.second(slot, queue, status)
  }

  executor(queue: Queue, opcode: number): Executor {
    if (opcode === FABRICS_OPCODE) return this.#fabrics
    return queue.qid === 0 ? this.#admin : this.#io
  }

  /** Pages that an I/O command leaves free. Those that come while others wait, wait behind them. */
  #keepFor(share: Share): number {
    if (this.#waiters.count !== 0 && (this.#scarce || share.next !== null)) return ALL_PAGES
    return share.pages > this.#keepPages ? share.pages : this.#keepPages
  }

  /** The same of admin commands: long answers leave room for short ones, and both for Connects. */
  #keepForAdmin(share: Share, bytes: number): number {
    const keep = bytes > SHORT_ANSWER_BYTES ? this.#adminPages >> 2 : this.#adminPages >> 3
    return Math.max(keep, share.adminPages)
  }

  /** 0, or the status of what is wrong with the entry before anybody looks at the command. */
  #check(slot: Slot, w: number, opcode: number, dataBytes: number): number {
    if (((this.#arena.words[w]! >>> FUSE_SHIFT) & FUSE_MASK) !== 0) return FUSED
    return this.#entry(slot, w, opcode, dataBytes)
  }

  #entry(slot: Slot, w: number, opcode: number, dataBytes: number): number {
    const words = this.#arena.words
    const flags = (words[w]! >>> 8) & 0xff
    if (flags >>> PSDT_SHIFT !== 1) return STATUS.INVALID_FIELD
    if (opcode === FABRICS_OPCODE && slot.bytes !== 0) slot.direction = words[w + 1]! & 3
    const id = words[w + SGL_ID_WORD]! >>> 24
    if (id === SGL_ID.IN_CAPSULE) {
      if ((words[w + SGL_ADDRESS_WORD]! | words[w + SGL_ADDRESS_WORD + 1]!) !== 0) {
        return STATUS.SGL_OFFSET_INVALID
      }
      if (dataBytes !== 0 && slot.direction !== FROM_HOST) return STATUS.SGL_DESCRIPTOR_TYPE_INVALID
    } else if (id !== SGL_ID.TRANSPORT) {
      return STATUS.SGL_DESCRIPTOR_TYPE_INVALID
    }
    const direction = slot.direction
    if (direction === (FROM_HOST | TO_HOST)) return STATUS.INVALID_OPCODE
    if (slot.bytes >>> 0 > this.#transferBytesMax) return STATUS.INVALID_FIELD
    return 0
  }

  #capsuleLimit(queue: Queue, opcode: number): number {
    const admin = queue.qid === 0 || opcode === FABRICS_OPCODE
    return admin ? ADMIN_IN_CAPSULE_BYTES : this.#inCapsuleBytes
  }
}
