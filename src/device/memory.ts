/**
 * Memory device: the blocks are a region that every reactor maps. Nothing is copied to read; host data are
 * received or copied straight into their blocks.  namespace → memory → shim (no files).
 *
 * Pages exist when they were written first, and go back to the system when they are deallocated.
 * Invariant: a place handed out lies within the region; lba + blockCount <= blocks was checked before.
 */
import type { Buffers } from '../reactor/buffers.ts'
import type { Work } from '../reactor/work.ts'
import { lbaOf, type Slot } from '../reactor/slots.ts'
import { STATUS as STATUS_ } from '../wire/status.ts'
import {
  type Device, type Outcome, PENDING as PENDING_, STALL as STALL_, WANTS_DATA as WANTS_DATA_,
} from './device.ts'
import { statusOfErrno } from './errno.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const STATUS = STATUS_
const PENDING = PENDING_
const STALL = STALL_
const WANTS_DATA = WANTS_DATA_

const TWO_32 = 4294967296

export class MemoryDevice implements Device {
  readonly kind = 'memory'
  readonly #work: Work
  readonly #buffers: Buffers
  readonly #region: number
  readonly #blockBytes: number

  constructor(work: Work, buffers: Buffers, region: number, blockBytes: number) {
    this.#work = work
    this.#buffers = buffers
    this.#region = region
    this.#blockBytes = blockBytes
  }

  read(slot: Slot): Outcome {
    this.#aim(slot)
    return 0
  }

  place(slot: Slot): Outcome {
    this.#aim(slot)
    return WANTS_DATA
  }

  write(_slot: Slot): Outcome {
    return 0
  }

  flush(_slot: Slot): Outcome {
    return 0
  }

  zero(slot: Slot, _deallocate: boolean): Outcome {
    return this.deallocate(slot)
  }

  deallocate(slot: Slot): Outcome {
    this.#aim(slot)
    const bytes = slot.blockCount * this.#blockBytes
    this.#work.memoryZero(
      slot.index, this.#region, slot.lo, slot.hi, bytes | 0, (bytes / TWO_32) | 0,
    )
    return PENDING
  }

  placeCompare(slot: Slot): Outcome {
    const at = this.#buffers.take(slot.bytes, slot.keepPages)
    if (at === -1) return STALL
    slot.own(at)
    return WANTS_DATA
  }

  compare(slot: Slot): Outcome {
    const position = lbaOf(slot) * this.#blockBytes
    this.#work.compare(
      slot.index, slot.buffer, slot.bytes, this.#region, position | 0, (position / TWO_32) | 0,
    )
    return PENDING
  }

  fetch(slot: Slot, at: number): Outcome {
    const position = lbaOf(slot) * this.#blockBytes
    this.#work.move(
      slot.index, slot.blockCount * this.#blockBytes,
      this.#region, position | 0, (position / TWO_32) | 0, 0, at, 0,
    )
    return PENDING
  }

  store(slot: Slot, at: number): Outcome {
    const position = lbaOf(slot) * this.#blockBytes
    this.#work.move(
      slot.index, slot.blockCount * this.#blockBytes,
      0, at, 0, this.#region, position | 0, (position / TWO_32) | 0,
    )
    return PENDING
  }

  /** Memory that can be mapped can be read. */
  verify(_slot: Slot): Outcome {
    return 0
  }

  resume(_slot: Slot, result: number): Outcome {
    if (result < 0) return statusOfErrno(-result)
    return result === 0 ? 0 : STATUS.COMPARE_FAILURE
  }

  /** The slot's place becomes its blocks. */
  #aim(slot: Slot): void {
    const position = lbaOf(slot) * this.#blockBytes
    slot.region = this.#region
    slot.lo = position | 0
    slot.hi = (position / TWO_32) | 0
  }
}
