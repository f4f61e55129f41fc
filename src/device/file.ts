/**
 * File device: the blocks are a regular file or a block device, read and written through the ring.
 * namespace → file → shim ops.  Payload lives in a buffer of the arena, page-aligned for O_DIRECT.
 *
 *   read     take buffer ─▶ READ ─▶ sent from it          write    take buffer ◀─ host data ─▶ WRITE
 *   compare  buffer of two halves: host data │ blocks     zero     ZERO, or DISCARD, or WRITE of zeroes, in pieces
 *
 * Invariant: a slot's op and its buffer end together; step says which op a completion belongs to.
 */
import { OP } from '../shim/abi.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { Work } from '../reactor/work.ts'
import type { Slots } from '../reactor/slots.ts'
import type { DeviceSnapshot } from '../subsystem/subsystem.ts'
import { STATUS } from '../wire/status.ts'
import { type Device, type Outcome, PENDING, STALL, WANTS_DATA } from './device.ts'
import { mediaStatusOfErrno } from './errno.ts'

const TWO_32 = 4294967296
const STEP = { READ: 1, WRITE: 2, SYNC: 3, DISCARD: 4, ZERO: 5, COMPARE_READ: 6, COMPARE: 7, FILL: 8 } as const
const OPERATIONS = ['', 'read', 'write', 'sync', 'discard', 'zero', 'read', 'compare', 'write']

type FileSnapshot = Extract<DeviceSnapshot, { kind: 'file' | 'block' }>

export class FileDevice implements Device {
  readonly kind: 'file' | 'block'
  readonly #slots: Slots
  readonly #work: Work
  readonly #buffers: Buffers
  readonly #snapshot: FileSnapshot
  readonly #blockBytes: number
  readonly #zeroAt: number
  readonly #zeroBytes: number
  readonly #failed: (errno: number, operation: string) => void

  /** zeroAt: arena offset of zeroBytes bytes that nobody writes. failed: told of each errno of the device. */
  constructor(
    slots: Slots, work: Work, buffers: Buffers, snapshot: FileSnapshot, blockBytes: number,
    zeroAt: number, zeroBytes: number, failed: (errno: number, operation: string) => void,
  ) {
    this.kind = snapshot.kind
    this.#slots = slots
    this.#work = work
    this.#buffers = buffers
    this.#snapshot = snapshot
    this.#blockBytes = blockBytes
    this.#zeroAt = zeroAt
    this.#zeroBytes = zeroBytes
    this.#failed = failed
  }

  read(slot: number): Outcome {
    const bytes = this.#slots.bytes[slot]!
    if (!this.#takeBuffer(slot, bytes)) return STALL
    this.#transfer(slot, OP.READ, STEP.READ, this.#slots.buffer[slot]!, bytes)
    return PENDING
  }

  place(slot: number): Outcome {
    return this.#takeBuffer(slot, this.#slots.bytes[slot]!) ? WANTS_DATA : STALL
  }

  write(slot: number): Outcome {
    this.#transfer(slot, OP.WRITE, STEP.WRITE, this.#slots.buffer[slot]!, this.#slots.bytes[slot]!)
    return PENDING
  }

  flush(slot: number): Outcome {
    this.#slots.step[slot] = STEP.SYNC
    this.#work.file(OP.SYNC, slot, this.#snapshot.file, 0, 0, 0, 0, 0)
    return PENDING
  }

  zero(slot: number, deallocate: boolean): Outcome {
    const { zero, discard } = this.#snapshot
    if (deallocate && discard) return this.#range(slot, OP.DISCARD, STEP.DISCARD)
    if (zero) return this.#range(slot, OP.ZERO, STEP.ZERO)
    this.#slots.progress[slot] = 0
    return this.#fill(slot)
  }

  deallocate(slot: number): Outcome {
    return this.#snapshot.discard ? this.#range(slot, OP.DISCARD, STEP.DISCARD) : 0
  }

  placeCompare(slot: number): Outcome {
    return this.#takeBuffer(slot, 2 * this.#half(slot)) ? WANTS_DATA : STALL
  }

  compare(slot: number): Outcome {
    const slots = this.#slots
    const at = slots.buffer[slot]! + this.#half(slot)
    this.#transfer(slot, OP.READ, STEP.COMPARE_READ, at, slots.bytes[slot]!)
    return PENDING
  }

  resume(slot: number, result: number): Outcome {
    const slots = this.#slots
    const step = slots.step[slot]!
    if (result < 0) return this.#failure(slot, step, -result)
    if (step === STEP.COMPARE_READ) {
      const at = slots.buffer[slot]!
      slots.step[slot] = STEP.COMPARE
      this.#work.compare(slot, at, slots.bytes[slot]!, 0, at + this.#half(slot), 0)
      return PENDING
    }
    if (step === STEP.COMPARE) return result === 0 ? 0 : STATUS.COMPARE_FAILURE
    if (step === STEP.FILL) return this.#fill(slot)
    if ((step === STEP.ZERO || step === STEP.DISCARD) && slots.fua[slot] === 1) return this.flush(slot)
    return 0
  }

  #failure(slot: number, step: number, errno: number): Outcome {
    if (step === STEP.ZERO && errno === 95) {
      this.#slots.progress[slot] = 0
      return this.#fill(slot)
    }
    this.#failed(errno, OPERATIONS[step]!)
    return mediaStatusOfErrno(errno, step !== STEP.READ && step !== STEP.COMPARE_READ)
  }

  #takeBuffer(slot: number, bytes: number): boolean {
    const slots = this.#slots
    const at = this.#buffers.take(bytes)
    if (at === -1) return false
    slots.buffer[slot] = at
    slots.region[slot] = 0
    slots.lo[slot] = at
    slots.hi[slot] = 0
    return true
  }

  /** READ or WRITE of the slot's blocks at an arena offset. */
  #transfer(slot: number, code: number, step: number, at: number, bytes: number): void {
    const slots = this.#slots
    const position = slots.lba[slot]! * this.#blockBytes
    slots.step[slot] = step
    this.#work.file(
      code, slot, this.#snapshot.file, slots.fua[slot] === 1 ? OP.FUA : 0, at, bytes,
      position | 0, (position / TWO_32) | 0,
    )
  }

  #range(slot: number, code: number, step: number): Outcome {
    const slots = this.#slots
    const position = slots.lba[slot]! * this.#blockBytes
    const bytes = slots.blockCount[slot]! * this.#blockBytes
    slots.step[slot] = step
    this.#work.fileRange(
      code, slot, this.#snapshot.file, 0,
      position | 0, (position / TWO_32) | 0, bytes | 0, (bytes / TWO_32) | 0,
    )
    return PENDING
  }

  /** Writes the next piece of zeroes; 0 when all blocks have been written. */
  #fill(slot: number): Outcome {
    const slots = this.#slots
    const done = slots.progress[slot]!
    const bytes = Math.min(this.#zeroBytes, slots.blockCount[slot]! * this.#blockBytes - done)
    if (bytes <= 0) return 0
    const position = slots.lba[slot]! * this.#blockBytes + done
    slots.progress[slot] = done + bytes
    slots.step[slot] = STEP.FILL
    this.#work.file(
      OP.WRITE, slot, this.#snapshot.file, slots.fua[slot] === 1 ? OP.FUA : 0, this.#zeroAt, bytes,
      position | 0, (position / TWO_32) | 0,
    )
    return PENDING
  }

  /** Half of a compare buffer: the data, rounded up to what O_DIRECT aligns to. */
  #half(slot: number): number {
    return (this.#slots.bytes[slot]! + 4095) & ~4095
  }
}
