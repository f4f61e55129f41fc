/**
 * Null device: takes every write and forgets it, reads zeroes. For measuring everything but a medium.
 *
 * Reads are sent from one page area that nobody writes; writes are received into a buffer of their own, since
 * their digests are taken there.
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
  readonly #blockBytes: number

  /** zeroAt: arena offset of the largest transfer's bytes. */
  constructor(work: Work, buffers: Buffers, zeroAt: number, blockBytes: number) {
    this.#work = work
    this.#buffers = buffers
    this.#zeroAt = zeroAt
    this.#blockBytes = blockBytes
  }

  read(slot: Slot): Outcome {
    slot.placeInArena(this.#zeroAt)
    return 0
  }

  place(slot: Slot): Outcome {
    const at = this.#buffers.take(slot.bytes, slot.keepPages)
    if (at === -1) return STALL
    slot.own(at)
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
    return this.place(slot)
  }

  compare(slot: Slot): Outcome {
    this.#work.compare(slot.index, slot.buffer, slot.bytes, 0, this.#zeroAt, 0)
    return PENDING
  }

  fetch(slot: Slot, at: number): Outcome {
    const bytes = slot.blockCount * this.#blockBytes
    this.#work.move(slot.index, bytes, 0, this.#zeroAt, 0, 0, at, 0)
    return PENDING
  }

  store(_slot: Slot, _at: number): Outcome {
    return 0
  }

  verify(_slot: Slot): Outcome {
    return 0
  }

  resume(_slot: Slot, result: number): Outcome {
    return result === 0 ? 0 : STATUS.COMPARE_FAILURE
  }
}
