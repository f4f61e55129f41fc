/**
 * File device: the blocks are a regular file or a block device, read and written through the ring.
 * namespace → file → shim ops.  Payload lives in a buffer of the arena, page-aligned for O_DIRECT.
 *
 *   read     take buffer ─▶ READ ─▶ sent from it          write    take buffer ◀─ host data ─▶ WRITE
 *   compare  buffer of two halves: host data │ blocks     zero     ZERO, or DISCARD, or WRITE of zeroes, in pieces
 *
 * Invariant: a slot's op and its buffer end together; step says which op a completion belongs to.
 */
import { OP as OP_ } from '../shim/abi.ts'
import { ERRNO } from '../shim/errno.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { Work } from '../reactor/work.ts'
import { lbaOf, type Slot } from '../reactor/slots.ts'
import type { DeviceSnapshot } from '../subsystem/subsystem.ts'
import { STATUS as STATUS_ } from '../wire/status.ts'
import {
  type Device, type Outcome, PENDING as PENDING_, STALL as STALL_, WANTS_DATA as WANTS_DATA_,
} from './device.ts'
import { mediaStatusOfErrno } from './errno.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const OP = OP_
const STATUS = STATUS_
const PENDING = PENDING_
const STALL = STALL_
const WANTS_DATA = WANTS_DATA_

const TWO_32 = 4294967296
const STEP = {
  READ: 1, WRITE: 2, SYNC: 3, DISCARD: 4, ZERO: 5, COMPARE_READ: 6, COMPARE: 7, FILL: 8, PUNCH: 9, VERIFY: 10,
} as const
const OPERATIONS = ['', 'read', 'write', 'sync', 'discard', 'zero', 'read', 'compare', 'write', 'discard', 'read']
/** What Verify reads at a time. */
const VERIFY_BYTES = 128 * 1024
const { EOPNOTSUPP } = ERRNO

type FileSnapshot = Extract<DeviceSnapshot, { kind: 'file' | 'block' }>

export class FileDevice implements Device {
  readonly kind: 'file' | 'block'
  readonly #work: Work
  readonly #buffers: Buffers
  readonly #snapshot: FileSnapshot
  readonly #blockBytes: number
  readonly #base: number
  readonly #zeroAt: number
  readonly #zeroBytes: number
  readonly #failed: (errno: number, operation: string) => void

  /** zeroAt: arena offset of zeroBytes bytes that nobody writes. failed: told of each errno of the device. */
  constructor(
    work: Work, buffers: Buffers, snapshot: FileSnapshot, blockBytes: number,
    zeroAt: number, zeroBytes: number, failed: (errno: number, operation: string) => void,
  ) {
    this.kind = snapshot.kind
    this.#work = work
    this.#buffers = buffers
    this.#snapshot = snapshot
    this.#blockBytes = blockBytes
    this.#base = snapshot.base ?? 0
    this.#zeroAt = zeroAt
    this.#zeroBytes = zeroBytes
    this.#failed = failed
  }

  read(slot: Slot): Outcome {
    const bytes = slot.bytes
    if (!this.#takeBuffer(slot, bytes)) return STALL
    this.#transfer(slot, OP.READ, STEP.READ, slot.buffer, bytes)
    return PENDING
  }

  place(slot: Slot): Outcome {
    return this.#takeBuffer(slot, slot.bytes) ? WANTS_DATA : STALL
  }

  write(slot: Slot): Outcome {
    this.#transfer(slot, OP.WRITE, STEP.WRITE, slot.buffer, slot.bytes)
    return PENDING
  }

  flush(slot: Slot): Outcome {
    slot.step = STEP.SYNC
    this.#work.file(OP.SYNC, slot.index, this.#snapshot.file, 0, 0, 0, 0, 0)
    return PENDING
  }

  zero(slot: Slot, deallocate: boolean): Outcome {
    const { zero, discard } = this.#snapshot
    if (deallocate && discard) return this.#range(slot, OP.DISCARD, STEP.PUNCH)
    if (zero) return this.#range(slot, OP.ZERO, STEP.ZERO)
    slot.progress = 0
    return this.#fill(slot)
  }

  deallocate(slot: Slot): Outcome {
    return this.#snapshot.discard ? this.#range(slot, OP.DISCARD, STEP.DISCARD) : 0
  }

  placeCompare(slot: Slot): Outcome {
    return this.#takeBuffer(slot, 2 * this.#half(slot)) ? WANTS_DATA : STALL
  }

  compare(slot: Slot): Outcome {
    const at = slot.buffer + this.#half(slot)
    this.#transfer(slot, OP.READ, STEP.COMPARE_READ, at, slot.bytes)
    return PENDING
  }

  fetch(slot: Slot, at: number): Outcome {
    this.#transfer(slot, OP.READ, STEP.READ, at, slot.blockCount * this.#blockBytes)
    return PENDING
  }

  store(slot: Slot, at: number): Outcome {
    this.#transfer(slot, OP.WRITE, STEP.WRITE, at, slot.blockCount * this.#blockBytes)
    return PENDING
  }

  verify(slot: Slot): Outcome {
    if (!this.#takeBuffer(slot, Math.min(VERIFY_BYTES, slot.blockCount * this.#blockBytes))) return STALL
    slot.progress = 0
    return this.#piece(slot, OP.READ, STEP.VERIFY, slot.buffer, VERIFY_BYTES)
  }

  resume(slot: Slot, result: number): Outcome {
    const step = slot.step
    if (result < 0) return this.#failure(slot, step, -result)
    if (step === STEP.COMPARE_READ) {
      const at = slot.buffer
      slot.step = STEP.COMPARE
      this.#work.compare(slot.index, at, slot.bytes, 0, at + this.#half(slot), 0)
      return PENDING
    }
    if (step === STEP.COMPARE) return result === 0 ? 0 : STATUS.COMPARE_FAILURE
    if (step === STEP.FILL) return this.#fill(slot)
    if (step === STEP.VERIFY) return this.#piece(slot, OP.READ, STEP.VERIFY, slot.buffer, VERIFY_BYTES)
    if ((step === STEP.ZERO || step === STEP.PUNCH) && slot.fua === 1) return this.flush(slot)
    return 0
  }

  #failure(slot: Slot, step: number, errno: number): Outcome {
    if (errno === EOPNOTSUPP && (step === STEP.ZERO || step === STEP.PUNCH)) {
      slot.progress = 0
      return this.#fill(slot)
    }
    // To deallocate is advice.
    if (errno === EOPNOTSUPP && step === STEP.DISCARD) return 0
    this.#failed(errno, OPERATIONS[step]!)
    return mediaStatusOfErrno(errno, OPERATIONS[step] !== 'read')
  }

  #takeBuffer(slot: Slot, bytes: number): boolean {
    const at = this.#buffers.take(bytes, slot.keepPages)
    if (at === -1) return false
    slot.own(at)
    return true
  }

  /** READ or WRITE of the slot's blocks at an arena offset. */
  #transfer(slot: Slot, code: number, step: number, at: number, bytes: number): void {
    const position = this.#base + lbaOf(slot) * this.#blockBytes
    slot.step = step
    this.#work.file(
      code, slot.index, this.#snapshot.file, slot.fua === 1 && code === OP.WRITE ? OP.FUA : 0, at, bytes,
      position | 0, (position / TWO_32) | 0,
    )
  }

  #range(slot: Slot, code: number, step: number): Outcome {
    const position = this.#base + lbaOf(slot) * this.#blockBytes
    const bytes = slot.blockCount * this.#blockBytes
    slot.step = step
    this.#work.fileRange(
      code, slot.index, this.#snapshot.file, 0,
      position | 0, (position / TWO_32) | 0, bytes | 0, (bytes / TWO_32) | 0,
    )
    return PENDING
  }

  #fill(slot: Slot): Outcome {
    return this.#piece(slot, OP.WRITE, STEP.FILL, this.#zeroAt, this.#zeroBytes)
  }

  /** READ or WRITE of the next piece of the slot's blocks at an arena offset; 0 when all are done. */
  #piece(slot: Slot, code: number, step: number, at: number, bytesMax: number): Outcome {
    const done = slot.progress
    const bytes = Math.min(bytesMax, slot.blockCount * this.#blockBytes - done)
    if (bytes <= 0) return 0
    const position = this.#base + lbaOf(slot) * this.#blockBytes + done
    slot.progress = done + bytes
    slot.step = step
    this.#work.file(
      code, slot.index, this.#snapshot.file, slot.fua === 1 ? OP.FUA : 0, at, bytes,
      position | 0, (position / TWO_32) | 0,
    )
    return PENDING
  }

  /** Half of a compare buffer: the data, rounded up to what O_DIRECT aligns to. */
  #half(slot: Slot): number {
    return (slot.bytes + 4095) & ~4095
  }
}
