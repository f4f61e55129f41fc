/**
 * Null device: takes every write and forgets it, reads zeroes. For measuring everything but a medium.
 *
 * Reads are sent from one page area that nobody writes; writes are received into another that nobody reads.
 * Invariant: zeroAt is never the target of a copy, a placement or an op.
 */
import type { Buffers } from '../reactor/buffers.ts'
import type { Work } from '../reactor/work.ts'
import type { Slot } from '../reactor/slots.ts'
import { STATUS as STATUS_ } from '../wire/status.ts'
import {
  type Device, type Outcome, PENDING as PENDING_, STALL as STALL_, WANTS_DATA as WANTS_DATA_,
} from './device.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const STATUS = STATUS_
const PENDING = PENDING_
const STALL = STALL_
const WANTS_DATA = WANTS_DATA_

export class NullDevice implements Device {
  readonly kind = 'null'
  readonly #work: Work
  readonly #buffers: Buffers
  readonly #zeroAt: number
  readonly #sinkAt: number

  /** zeroAt, sinkAt: arena offsets of the largest transfer's bytes each. */
  constructor(work: Work, buffers: Buffers, zeroAt: number, sinkAt: number) {
    this.#work = work
    this.#buffers = buffers
    this.#zeroAt = zeroAt
    this.#sinkAt = sinkAt
  }

  read(slot: Slot): Outcome {
    return this.#aim(slot, this.#zeroAt)
  }

  place(slot: Slot): Outcome {
    this.#aim(slot, this.#sinkAt)
    return WANTS_DATA
  }

  write(_slot: Slot): Outcome {
    return 0
  }

  flush(_slot: Slot): Outcome {
    return 0
  }

  zero(_slot: Slot, _deallocate: boolean): Outcome {
    return 0
  }

  deallocate(_slot: Slot): Outcome {
    return 0
  }

  placeCompare(slot: Slot): Outcome {
    const at = this.#buffers.take(slot.bytes, slot.keepPages)
    if (at === -1) return STALL
    slot.buffer = at
    this.#aim(slot, at)
    return WANTS_DATA
  }

  compare(slot: Slot): Outcome {
    this.#work.compare(slot.index, slot.buffer, slot.bytes, 0, this.#zeroAt, 0)
    return PENDING
  }

  resume(_slot: Slot, result: number): Outcome {
    return result === 0 ? 0 : STATUS.COMPARE_FAILURE
  }

  #aim(slot: Slot, at: number): Outcome {
    slot.placeInArena(at)
    return 0
  }
}
