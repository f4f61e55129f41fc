/**
 * Memory device: the blocks are a region that every reactor maps. Nothing is copied to read; host data are
 * received or copied straight into their blocks.  namespace → memory → shim (MEMORY_ZERO, COMPARE only).
 *
 * Pages exist when they were written first, and go back to the system when they are deallocated.
 * Invariant: a place handed out lies within the region; lba + blockCount <= blocks was checked before.
 */
import type { Buffers } from '../reactor/buffers.ts'
import type { Work } from '../reactor/work.ts'
import type { Slots } from '../reactor/slots.ts'
import { STATUS } from '../wire/status.ts'
import { type Device, type Outcome, PENDING, STALL, WANTS_DATA } from './device.ts'
import { statusOfErrno } from './errno.ts'

const TWO_32 = 4294967296

export class MemoryDevice implements Device {
  readonly kind = 'memory'
  readonly #slots: Slots
  readonly #work: Work
  readonly #buffers: Buffers
  readonly #region: number
  readonly #blockBytes: number

  constructor(slots: Slots, work: Work, buffers: Buffers, region: number, blockBytes: number) {
    this.#slots = slots
    this.#work = work
    this.#buffers = buffers
    this.#region = region
    this.#blockBytes = blockBytes
  }

  read(slot: number): Outcome {
    this.#aim(slot)
    return 0
  }

  place(slot: number): Outcome {
    this.#aim(slot)
    return WANTS_DATA
  }

  write(_slot: number): Outcome {
    return 0
  }

  flush(_slot: number): Outcome {
    return 0
  }

  zero(slot: number, _deallocate: boolean): Outcome {
    return this.deallocate(slot)
  }

  deallocate(slot: number): Outcome {
    this.#aim(slot)
    const slots = this.#slots
    const bytes = slots.blockCount[slot]! * this.#blockBytes
    this.#work.memoryZero(
      slot, this.#region, slots.lo[slot]!, slots.hi[slot]!, bytes | 0, (bytes / TWO_32) | 0,
    )
    return PENDING
  }

  placeCompare(slot: number): Outcome {
    const slots = this.#slots
    const at = this.#buffers.take(slots.bytes[slot]!)
    if (at === -1) return STALL
    slots.buffer[slot] = at
    slots.region[slot] = 0
    slots.lo[slot] = at
    slots.hi[slot] = 0
    return WANTS_DATA
  }

  compare(slot: number): Outcome {
    const slots = this.#slots
    const position = slots.lba[slot]! * this.#blockBytes
    this.#work.compare(
      slot, slots.buffer[slot]!, slots.bytes[slot]!, this.#region, position | 0, (position / TWO_32) | 0,
    )
    return PENDING
  }

  resume(_slot: number, result: number): Outcome {
    if (result < 0) return statusOfErrno(-result)
    return result === 0 ? 0 : STATUS.COMPARE_FAILURE
  }

  /** The slot's place becomes its blocks. */
  #aim(slot: number): void {
    const slots = this.#slots
    const position = slots.lba[slot]! * this.#blockBytes
    slots.region[slot] = this.#region
    slots.lo[slot] = position | 0
    slots.hi[slot] = (position / TWO_32) | 0
  }
}
