/**
 * Null device: takes every write and forgets it, reads zeroes. For measuring everything but a medium.
 *
 * Reads are sent from one page area that nobody writes; writes are received into another that nobody reads.
 * Invariant: zeroAt is never the target of a copy, a placement or an op.
 */
import type { Buffers } from '../reactor/buffers.ts'
import type { Work } from '../reactor/work.ts'
import type { Slots } from '../reactor/slots.ts'
import { STATUS } from '../wire/status.ts'
import { type Device, type Outcome, PENDING, STALL, WANTS_DATA } from './device.ts'

export class NullDevice implements Device {
  readonly kind = 'null'
  readonly #slots: Slots
  readonly #work: Work
  readonly #buffers: Buffers
  readonly #zeroAt: number
  readonly #sinkAt: number

  /** zeroAt, sinkAt: arena offsets of the largest transfer's bytes each. */
  constructor(slots: Slots, work: Work, buffers: Buffers, zeroAt: number, sinkAt: number) {
    this.#slots = slots
    this.#work = work
    this.#buffers = buffers
    this.#zeroAt = zeroAt
    this.#sinkAt = sinkAt
  }

  read(slot: number): Outcome {
    return this.#aim(slot, this.#zeroAt)
  }

  place(slot: number): Outcome {
    this.#aim(slot, this.#sinkAt)
    return WANTS_DATA
  }

  write(_slot: number): Outcome {
    return 0
  }

  flush(_slot: number): Outcome {
    return 0
  }

  zero(_slot: number, _deallocate: boolean): Outcome {
    return 0
  }

  deallocate(_slot: number): Outcome {
    return 0
  }

  placeCompare(slot: number): Outcome {
    const at = this.#buffers.take(this.#slots.bytes[slot]!)
    if (at === -1) return STALL
    this.#slots.buffer[slot] = at
    this.#aim(slot, at)
    return WANTS_DATA
  }

  compare(slot: number): Outcome {
    const slots = this.#slots
    this.#work.compare(slot, slots.buffer[slot]!, slots.bytes[slot]!, 0, this.#zeroAt, 0)
    return PENDING
  }

  resume(_slot: number, result: number): Outcome {
    return result === 0 ? 0 : STATUS.COMPARE_FAILURE
  }

  #aim(slot: number, at: number): Outcome {
    this.#slots.region[slot] = 0
    this.#slots.lo[slot] = at
    this.#slots.hi[slot] = 0
    return 0
  }
}
