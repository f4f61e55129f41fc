/**
 * I/O commands: Read, Write, Flush, Write Zeroes, Dataset Management, Compare, Verify, Copy. admit starts them, the reactor
 * resumes them when the device's op completes; they call namespace and device.  NVM Command Set 1.0, 3
 *
 *   state ─▶ namespace ─▶ fields ─▶ length ─▶ range ─▶ device          each check has one status
 *
 * Invariant: a device sees a slot only after lba + blockCount <= the namespace's blocks was checked.
 */
import { type Outcome, PENDING as PENDING_, STALL as STALL_ } from '../device/device.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import { lbaOf, type Slot } from '../reactor/slots.ts'
import { H as H_ } from '../shim/abi.ts'
import {
  DSM_AD as DSM_AD_, IO_OPCODE as IO_OPCODE_, RW_CONTROL as RW_CONTROL_,
} from '../wire/sqe.ts'
import { STATUS as STATUS_ } from '../wire/status.ts'
import { IO_SUPPORTED } from './commands.ts'
import {
  FUSED_BYTES_MAX, VERIFY_BYTES_MAX as VERIFY_BYTES_MAX_, ZEROES_BYTES_MAX as ZEROES_BYTES_MAX_,
} from './command-size.ts'
import type { Controller } from './controller.ts'
import type { Copies } from './copy.ts'
import type { Dataset } from './dataset.ts'
import type { RepeatableExecutor } from './executor.ts'
import { GUARD as GUARD_, type Guards } from './guard.ts'
import type { Holds } from './hold.ts'
import { whereOfIo } from './location.ts'
import { isHalf, type Pairs, SECOND_HALF } from './pair.ts'
import { Patience } from './patience.ts'
import { isDirect } from './preemption.ts'
import type { Queue } from './queue.ts'
import { decodeRange } from './range.ts'
import type { ReservationCommands } from './reservations.ts'
import { reservationGuard } from './rights.ts'
import { CONTROLLER_STATE as CONTROLLER_STATE_, COUNT as COUNT_, type Shared } from './shared.ts'
import type { Throttles } from './throttle.ts'
import type { Uncorrectable } from './uncorrectable.ts'
import { ZoneCommands } from './zones.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const H = H_
const DSM_AD = DSM_AD_
const IO_OPCODE = IO_OPCODE_
const RW_CONTROL = RW_CONTROL_
const STATUS = STATUS_
const CONTROLLER_STATE = CONTROLLER_STATE_
const COUNT = COUNT_
const VERIFY_BYTES_MAX = VERIFY_BYTES_MAX_
const ZEROES_BYTES_MAX = ZEROES_BYTES_MAX_
const PENDING = PENDING_
const STALL = STALL_
const GUARD = GUARD_

const READ = IO_OPCODE.READ
const WRITE = IO_OPCODE.WRITE
const ALL_NAMESPACES = -1
/** Halves of fused pairs have greater ones: pair.ts. */
const OPCODE_MAX = 0xff
/** CDW12 bits 31:16 hold RW_CONTROL. */
const FUA = RW_CONTROL.FUA << 16
const DEAC = RW_CONTROL.DEAC << 16

export class IoExecutor implements RepeatableExecutor {
  readonly #words: Int32Array
  readonly #shared: Int32Array
  readonly #counters: Float64Array
  readonly #table: Shared
  readonly #namespaces: (Namespace | null)[]
  readonly #dataset: Dataset
  readonly #copies: Copies
  readonly #guards: Guards
  readonly #holds: Holds
  readonly #throttles: Throttles
  readonly #patience: Patience
  readonly #pairs: Pairs
  readonly #zones: ZoneCommands
  readonly #reservations: ReservationCommands
  readonly #uncorrectable: Uncorrectable
  readonly #transferBytesMax: number

  /** namespaces: of the whole target on this reactor, by index; slots.namespace points into it. */
  constructor(parts: {
    arena: Arena, buffers: Buffers, shared: Shared, namespaces: (Namespace | null)[], dataset: Dataset, copies: Copies,
    guards: Guards, holds: Holds, throttles: Throttles, pairs: Pairs, reservations: ReservationCommands,
    uncorrectable: Uncorrectable, transferBytesMax: number,
  }) {
    this.#words = parts.arena.words
    this.#shared = parts.shared.words
    this.#counters = parts.shared.counters
    this.#table = parts.shared
    this.#namespaces = parts.namespaces
    this.#dataset = parts.dataset
    this.#copies = parts.copies
    this.#guards = parts.guards
    this.#holds = parts.holds
    this.#throttles = parts.throttles
    const own = {
      range: this.#range.bind(this), durability: this.#durability.bind(this), count: this.#count.bind(this),
    }
    this.#patience = new Patience({ ...parts, words: parts.arena.words, ...own })
    this.#zones = new ZoneCommands({ ...parts, ...own })
    this.#pairs = parts.pairs
    this.#reservations = parts.reservations
    this.#uncorrectable = parts.uncorrectable
    this.#transferBytesMax = parts.transferBytesMax
  }

  start(slot: Slot, queue: Queue, w: number): Outcome {
    const controller = queue.controller
    if (controller === null) return queue.closedStatus
    const outcome = this.#start(slot, controller, w)
    if (outcome > 0) this.#failed(slot, queue, controller, outcome, this.#words[w + 1]!)
    return outcome
  }

  /** A buffer may be free now. The entry was checked when the command came. */
  again(slot: Slot): Outcome {
    const namespace = this.#namespaces[slot.namespace]
    if (namespace === null || namespace === undefined) return STATUS.INVALID_NAMESPACE
    if (namespace.barred !== 0 && slot.opcode <= OPCODE_MAX) return namespace.barred
    if ((namespace.guards & GUARD.HELD) !== 0 && slot.opcode <= OPCODE_MAX && this.#holds.covers(slot)) return STALL
    switch (slot.opcode) {
      case READ:
        return namespace.device.read(slot)
      case WRITE:
        return namespace.device.place(slot)
      case IO_OPCODE.COMPARE:
        return namespace.device.placeCompare(slot)
      case IO_OPCODE.VERIFY:
        return namespace.device.verify(slot)
      case IO_OPCODE.COPY:
        return this.#copies.place(slot)
      case IO_OPCODE.WRITE_ZEROES:
        return namespace.device.zero(slot, slot.step !== 0)
      case IO_OPCODE.DATASET_MANAGEMENT:
        return this.#dataset.place(slot)
      default:
        if (slot.opcode > OPCODE_MAX) return this.#pairs.place(slot)
        return IO_SUPPORTED[slot.opcode] === 0 ? this.#zones.again(slot, namespace) : this.#reservations.again(slot)
    }
  }

  /** A command without data that waited for its turn; what may forbid it may have come meanwhile. */
  released(slot: Slot, queue: Queue): Outcome {
    const namespace = this.#namespaces[slot.namespace]
    const controller = queue.controller
    if (namespace === null || namespace === undefined || controller === null) return STATUS.INVALID_NAMESPACE
    const status = namespace.guards === 0 ? 0 : this.#guards.check(slot, controller, namespace)
    const outcome = status === 0 ? this.again(slot) : status
    if (outcome > 0) this.#failed(slot, queue, controller, outcome, namespace.nsid)
    return outcome
  }

  /** The host's data are in place. */
  run(slot: Slot, queue: Queue): Outcome {
    const namespace = this.#namespaces[slot.namespace]
    const controller = queue.controller
    if (namespace === null || namespace === undefined || controller === null) return STATUS.INVALID_NAMESPACE
    const forbidden = this.#forbidden(slot, controller, namespace)
    if (forbidden === 0 && namespace.guards !== 0) {
      if ((namespace.guards & GUARD.THROTTLED) !== 0 && this.#throttles.parks(slot, controller)) return PENDING
      if ((namespace.guards & GUARD.HELD) !== 0 && this.#holds.parks(slot)) return PENDING
    }
    if (namespace.defectCount !== 0) slot.fua = 1
    let outcome = forbidden === 0 ? this.#run(slot, namespace) : forbidden
    if (outcome === 0 && namespace.defectCount !== 0) outcome = this.#uncorrectable.heal(slot, namespace)
    if (outcome > 0) this.#failed(slot, queue, controller, outcome, namespace.nsid)
    return outcome
  }

  /** A slot that was parked goes on: nobody has its blocks any more. */
  proceed(slot: Slot, queue: Queue): Outcome {
    const namespace = this.#namespaces[slot.namespace]
    if (slot.opcode !== WRITE || namespace?.device.kind !== 'memory') return this.run(slot, queue)
    const forbidden = queue.controller === null ? 0 : this.#forbidden(slot, queue.controller, namespace)
    if (forbidden !== 0) {
      this.failed(slot, queue, forbidden)
      return forbidden
    }
    if ((namespace.guards & GUARD.HELD) !== 0 && this.#holds.parks(slot)) return PENDING
    this.#count(namespace, COUNT.WRITES, 1)
    this.#count(namespace, COUNT.WRITTEN_BYTES, slot.bytes)
    return namespace.device.store(slot, slot.buffer)
  }

  /** A reservation may have come while the data were on their way; preemption.ts. Pairs ask for themselves. */
  #forbidden(slot: Slot, controller: Controller, namespace: Namespace): number {
    if (namespace.barred !== 0 && slot.opcode <= OPCODE_MAX) return namespace.barred
    if (namespace.rights === null || slot.opcode > OPCODE_MAX || isDirect(slot)) return 0
    return reservationGuard(slot, controller, namespace)
  }

  /** As start() looks at a command, but for half of a fused pair, which is not run. */
  check(slot: Slot, queue: Queue, w: number): number {
    const status = this.#checkHalf(slot, queue, w)
    if (status !== 0) this.failed(slot, queue, status)
    return status
  }

  /** A command that was accepted fails elsewhere. */
  failed(slot: Slot, queue: Queue, status: number): void {
    if (queue.controller === null) return
    this.#failed(slot, queue, queue.controller, status, this.#namespaces[slot.namespace]?.nsid ?? 0)
  }

  forget(connection: number): void {
    this.#pairs.forget(connection)
    this.#holds.forget(connection)
    this.#throttles.forget(connection)
  }

  /** The device's op has completed with result. queue: null when the host has gone. */
  resume(slot: Slot, result: number, queue: Queue | null): Outcome {
    const namespace = this.#namespaces[slot.namespace]
    if (namespace === null || namespace === undefined) return STATUS.INVALID_NAMESPACE
    let outcome = namespace.device.resume(slot, result)
    if (slot.opcode !== READ && slot.opcode !== WRITE) outcome = this.#step(slot, namespace, outcome)
    if (outcome === 0 && namespace.defectCount !== 0) outcome = this.#uncorrectable.heal(slot, namespace)
    if (outcome > 0 && queue !== null && queue.controller !== null) {
      this.#failed(slot, queue, queue.controller, outcome, namespace.nsid)
    }
    return outcome
  }

  /** The next step of a command of several. outcome: what the device said of the last one. */
  #step(slot: Slot, namespace: Namespace, outcome: Outcome): Outcome {
    if (slot.opcode > OPCODE_MAX) return this.#pairs.resumed(slot, outcome, namespace)
    if (this.#dataset.isFlushing(slot)) {
      const next = outcome === 0 ? this.#dataset.nextFlush(slot) : outcome
      if (next > 0) this.#dataset.endFlush(slot)
      return next
    }
    if (outcome !== 0) return outcome
    if (slot.opcode === IO_OPCODE.DATASET_MANAGEMENT) return this.#dataset.next(slot, namespace)
    return slot.opcode === IO_OPCODE.COPY ? this.#copies.next(slot, namespace) : 0
  }

  #checkHalf(slot: Slot, queue: Queue, w: number): number {
    const controller = queue.controller
    const words = this.#words
    if (controller === null || this.#shared[controller.stateWord] !== CONTROLLER_STATE.READY) {
      return STATUS.COMMAND_SEQUENCE_ERROR
    }
    this.#shared[controller.stampWord] = words[H.NOW_MS]!
    const namespace = controller.namespaces[words[w + 1]!] ?? null
    if (namespace === null) return STATUS.INVALID_NAMESPACE
    slot.namespace = namespace.index
    const status = namespace.guards === 0 ? 0 : this.#guards.check(slot, controller, namespace)
    if (status !== 0) return status
    if (!isHalf(slot)) return STATUS.INVALID_FIELD
    const second = (slot.opcode & SECOND_HALF) !== 0
    if (second && namespace.readOnly) return STATUS.NAMESPACE_WRITE_PROTECTED
    if (slot.bytes >>> 0 > FUSED_BYTES_MAX) return STATUS.ATOMIC_WRITE_UNIT_EXCEEDED
    if (second) this.#durability(slot, namespace, controller, w)
    this.#count(namespace, second ? COUNT.WRITES : COUNT.OTHERS, 1)
    if (second) this.#count(namespace, COUNT.WRITTEN_BYTES, slot.bytes)
    return this.#range(slot, namespace, w, true)
  }

  #start(slot: Slot, controller: Controller, w: number): Outcome {
    const words = this.#words
    if (this.#shared[controller.stateWord] !== CONTROLLER_STATE.READY) return STATUS.COMMAND_SEQUENCE_ERROR
    this.#shared[controller.stampWord] = words[H.NOW_MS]!
    const nsid = words[w + 1]!
    const opcode = slot.opcode
    if (opcode === IO_OPCODE.FLUSH && nsid === ALL_NAMESPACES) {
      return this.#guards.checkAll(slot, controller) || this.#dataset.flushAll(slot, controller)
    }
    if (nsid <= 0 || nsid >= controller.namespaces.length) return STATUS.INVALID_NAMESPACE
    const namespace = controller.namespaces[nsid]!
    if (namespace === null) return STATUS.INVALID_NAMESPACE
    slot.namespace = namespace.index
    if (namespace.guards !== 0) {
      const status = this.#guards.check(slot, controller, namespace)
      if (status !== 0) return status
      if ((namespace.guards & (GUARD.HELD | GUARD.THROTTLED)) !== 0) {
        const outcome = this.#patience.look(slot, namespace, controller, w)
        if (outcome !== 0) return outcome
      }
    }
    if (opcode === READ) return this.#read(slot, namespace, w)
    if (opcode === WRITE) return this.#write(slot, namespace, controller, w)
    if (IO_SUPPORTED[opcode] === 0) return this.#zones.start(slot, namespace, controller, w)
    this.#count(namespace, COUNT.OTHERS, 1)
    switch (opcode) {
      case IO_OPCODE.FLUSH:
        return namespace.device.flush(slot)
      case IO_OPCODE.WRITE_ZEROES:
        return this.#writeZeroes(slot, namespace, controller, w)
      case IO_OPCODE.COMPARE: {
        const status = this.#range(slot, namespace, w, true)
        return status === 0 ? namespace.device.placeCompare(slot) : status
      }
      case IO_OPCODE.VERIFY:
        return this.#verify(slot, namespace, w)
      case IO_OPCODE.WRITE_UNCORRECTABLE:
        return this.#writeUncorrectable(slot, namespace, controller, w)
      case IO_OPCODE.COPY:
        return this.#copies.start(slot, namespace, w, (this.#shared[controller.writeThroughWord]! | namespace.defectCount) !== 0)
      case IO_OPCODE.DATASET_MANAGEMENT:
        return this.#dataset.start(slot, namespace, words[w + 10]! & 0xff, (words[w + 11]! & DSM_AD) !== 0)
      default:
        // Of those that there are, the reservation commands are left.
        return this.#reservations.start(slot, controller, w)
    }
  }

  #run(slot: Slot, namespace: Namespace): Outcome {
    switch (slot.opcode) {
      case WRITE:
        this.#count(namespace, COUNT.WRITES, 1)
        this.#count(namespace, COUNT.WRITTEN_BYTES, slot.bytes)
        return namespace.device.write(slot)
      case IO_OPCODE.COMPARE:
        this.#count(namespace, COUNT.READS, 1)
        this.#count(namespace, COUNT.READ_BYTES, slot.bytes)
        return namespace.device.compare(slot)
      case IO_OPCODE.COPY: {
        const status = this.#copies.check(slot, namespace)
        return status === 0 ? this.#copies.next(slot, namespace) : status
      }
      case IO_OPCODE.DATASET_MANAGEMENT:
        return this.#dataset.next(slot, namespace)
      default:
        if (slot.opcode > OPCODE_MAX) return this.#pairs.arrived(slot)
        return IO_SUPPORTED[slot.opcode] === 0 ? this.#zones.run(slot, namespace) : this.#reservations.run(slot)
    }
  }

  #read(slot: Slot, namespace: Namespace, w: number): Outcome {
    const status = this.#range(slot, namespace, w, true)
    if (status !== 0) return status
    this.#count(namespace, COUNT.READS, 1)
    this.#count(namespace, COUNT.READ_BYTES, slot.bytes)
    return namespace.device.read(slot)
  }

  #write(slot: Slot, namespace: Namespace, controller: Controller, w: number): Outcome {
    if (namespace.readOnly) return STATUS.NAMESPACE_WRITE_PROTECTED
    const status = this.#range(slot, namespace, w, true)
    if (status !== 0) return status
    this.#durability(slot, namespace, controller, w)
    return namespace.device.place(slot)
  }

  #writeZeroes(slot: Slot, namespace: Namespace, controller: Controller, w: number): Outcome {
    if (namespace.readOnly) return STATUS.NAMESPACE_WRITE_PROTECTED
    const status = this.#range(slot, namespace, w, false)
    if (status !== 0) return status
    if (slot.blockCount << namespace.blockShift > ZEROES_BYTES_MAX) return STATUS.INVALID_FIELD
    this.#durability(slot, namespace, controller, w)
    const outcome = namespace.device.zero(slot, (this.#words[w + 12]! & DEAC) !== 0)
    return outcome === 0 && namespace.defectCount !== 0 ? this.#uncorrectable.heal(slot, namespace) : outcome
  }

  #writeUncorrectable(slot: Slot, namespace: Namespace, controller: Controller, w: number): Outcome {
    if (namespace.readOnly) return STATUS.NAMESPACE_WRITE_PROTECTED
    const status = this.#range(slot, namespace, w, false)
    return status === 0 ? this.#uncorrectable.mark(slot, namespace, controller.index) : status
  }

  #verify(slot: Slot, namespace: Namespace, w: number): Outcome {
    const status = this.#range(slot, namespace, w, false)
    if (status !== 0) return status
    if (slot.blockCount << namespace.blockShift > VERIFY_BYTES_MAX) return STATUS.INVALID_FIELD
    return namespace.device.verify(slot)
  }

  /** FUA, or a write cache that the host switched off; what heals a block has to be there after it is readable. */
  #durability(slot: Slot, namespace: Namespace, controller: Controller, w: number): void {
    const through = this.#shared[controller.writeThroughWord]! | namespace.defectCount
    slot.fua = (this.#words[w + 12]! & FUA) !== 0 || through !== 0 ? 1 : 0
  }

  #range(slot: Slot, namespace: Namespace, w: number, withData: boolean): number {
    return decodeRange(this.#words, w, slot, namespace, withData, this.#transferBytesMax)
  }

  #count(namespace: Namespace, which: number, amount: number): void {
    const at = namespace.counterAt + which
    this.#counters[at] = this.#counters[at]! + amount
  }

  /** A command that fails is counted, and entered in its controller's error log. */
  #failed(slot: Slot, queue: Queue, controller: Controller, status: number, nsid: number): void {
    const namespace = this.#namespaces[slot.namespace]
    if (namespace !== null && namespace !== undefined) {
      const media = status === STATUS.WRITE_FAULT || status === STATUS.UNRECOVERED_READ_ERROR
      this.#count(namespace, COUNT.ERRORS, 1)
      if (media) this.#count(namespace, COUNT.MEDIA_ERRORS, 1)
    }
    this.#table.logError(
      controller.index, queue.qid, slot.cid, status, lbaOf(slot), nsid, whereOfIo(slot.opcode & OPCODE_MAX, status),
    )
  }
}
