/**
 * Commands of several steps: Dataset Management, whose ranges are deallocated one after another, and Flush
 * of all namespaces. io starts them and asks for the next step each time a device is done.
 * NVM Command Set 1.0, 3.2.3 and Base 2.0, 7.1 (Flush with NSID FFFFFFFFh)
 *
 * progress = ranges done (DSM); namespaces done (Flush of all).
 * Invariant: all ranges are checked before the first is deallocated.
 */
import { type Outcome, PENDING, STALL, WANTS_DATA } from '../device/device.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import { lbaOf, type Slot, type Slots } from '../reactor/slots.ts'
import { DSM_RANGE, DSM_RANGE_BYTES } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import type { Controller } from './controller.ts'

const HIGH_MAX = 0x1fffff

export class Dataset {
  readonly #arena: Arena
  readonly #buffers: Buffers
  /** By slot: ranges of its DSM; 0 = none are deallocated. */
  readonly #rangeCount: Uint16Array
  /** By slot: the controller whose namespaces are being flushed. */
  readonly #flushing: (Controller | null)[]

  constructor(arena: Arena, slots: Slots, buffers: Buffers) {
    this.#arena = arena
    this.#buffers = buffers
    this.#rangeCount = new Uint16Array(slots.count)
    this.#flushing = new Array<Controller | null>(slots.count).fill(null)
  }

  /** Dataset Management. rangeMax: NR, 0-based. Without deallocate it is advice, and done. */
  start(slot: Slot, namespace: Namespace, rangeMax: number, deallocate: boolean): Outcome {
    if (slot.bytes < (rangeMax + 1) * DSM_RANGE_BYTES) return STATUS.DATA_SGL_LENGTH_INVALID
    if (deallocate && namespace.readOnly) return STATUS.NAMESPACE_WRITE_PROTECTED
    slot.readable = 1
    slot.progress = -1
    this.#rangeCount[slot.index] = deallocate ? rangeMax + 1 : 0
    return this.place(slot)
  }

  /** Where the ranges go: WANTS_DATA or STALL. */
  place(slot: Slot): Outcome {
    const at = this.#buffers.take(slot.bytes, slot.keepPages)
    if (at === -1) return STALL
    slot.own(at)
    return WANTS_DATA
  }

  /** The next range, or the next namespace; 0 when there is none left. */
  next(slot: Slot, namespace: Namespace): Outcome {
    const count = this.#rangeCount[slot.index]!
    if (slot.progress === -1) {
      const status = this.#check(slot, namespace, count)
      if (status !== 0) return status
    }
    for (let index = slot.progress + 1; index < count; index++) {
      slot.progress = index
      this.#decode(slot, index)
      if (slot.blockCount === 0) continue
      const outcome = namespace.device.deallocate(slot)
      if (outcome !== 0) return outcome
    }
    return 0
  }

  /** Flush with NSID FFFFFFFFh: every namespace of the subsystem, one after another. */
  flushAll(slot: Slot, controller: Controller): Outcome {
    this.#flushing[slot.index] = controller
    slot.progress = 0
    return this.nextFlush(slot)
  }

  /** True while the slot flushes several namespaces. */
  isFlushing(slot: Slot): boolean {
    return this.#flushing[slot.index] !== null
  }

  nextFlush(slot: Slot): Outcome {
    const namespaces = this.#flushing[slot.index]!.namespaces
    for (let nsid = slot.progress + 1; nsid < namespaces.length; nsid++) {
      const namespace = namespaces[nsid]!
      if (namespace === null) continue
      slot.progress = nsid
      slot.namespace = namespace.index
      const outcome = namespace.device.flush(slot)
      if (outcome === PENDING) return PENDING
      if (outcome !== 0) {
        this.endFlush(slot)
        return outcome
      }
    }
    this.endFlush(slot)
    return 0
  }

  /** A flush failed, or its host has gone. */
  endFlush(slot: Slot): void {
    this.#flushing[slot.index] = null
  }

  #check(slot: Slot, namespace: Namespace, count: number): number {
    for (let index = 0; index < count; index++) {
      if (!this.#decode(slot, index)) return STATUS.LBA_OUT_OF_RANGE
      if (lbaOf(slot) + slot.blockCount > namespace.blockCount) {
        return STATUS.LBA_OUT_OF_RANGE
      }
    }
    return 0
  }

  /** Puts range `index` into lba and blockCount; false when it is beyond every namespace. */
  #decode(slot: Slot, index: number): boolean {
    const words = this.#arena.words
    const w = (slot.buffer + index * DSM_RANGE_BYTES) >> 2
    const count = words[w + (DSM_RANGE.nlb >> 2)]!
    const high = words[w + (DSM_RANGE.slba >> 2) + 1]! >>> 0
    slot.lbaLo = words[w + (DSM_RANGE.slba >> 2)]!
    slot.lbaHi = high | 0
    slot.blockCount = count
    return count >= 0 && high <= HIGH_MAX
  }
}
