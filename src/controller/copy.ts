/**
 * Copy: source ranges of a namespace, one after the other, to one place in it. io starts it, and asks for the
 * next step each time the device is done.                              NVM Command Set 1.0, 3.2.2
 *
 *   descriptors ─▶ plan ─▶ fetch range 0, 1, … into one buffer ─▶ store
 *
 * Everything is read before anything is written: a source that overlaps the target is copied as it was, and a
 * source that cannot be read leaves the target as it was. The descriptors are where the blocks go afterwards.
 * Invariant: all ranges are checked before the first is read; what they add up to fits the buffer.
 */
import { type Outcome, STALL, WANTS_DATA } from '../device/device.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { Slot, Slots } from '../reactor/slots.ts'
import { takeBits } from '../wire/layout.ts'
import { COPY_CDW12, COPY_FORMATS, COPY_RANGE } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import { takeU64 } from '../wire/value.ts'
import { COPY_RANGES_MAX, copyBlocksMax, copyRangeBlocksMax } from './command-size.ts'

const TWO_32 = 4294967296
const CDW10 = 10
const CDW12 = 12

/** One command on its way. Copies are rare, so a plan is made for each. */
type Plan = {
  readonly target: number
  readonly rangeCount: number
  readonly rangeBytes: number
  readonly fua: number
  readonly lbas: number[]
  readonly counts: number[]
  /** Blocks that were read so far. */
  done: number
  /** The range that is read next; rangeCount: the target is written next; beyond: nothing is left. */
  next: number
}

export class Copies {
  readonly #arena: Arena
  readonly #buffers: Buffers
  readonly #bytesMax: number
  readonly #plans: (Plan | null)[]

  /** bytesMax: of one Copy, and of the buffer it takes. */
  constructor(arena: Arena, slots: Slots, buffers: Buffers, bytesMax: number) {
    this.#arena = arena
    this.#buffers = buffers
    this.#bytesMax = bytesMax
    this.#plans = new Array<Plan | null>(slots.count).fill(null)
  }

  /** w: word index of the entry. through: the write cache is off. */
  start(slot: Slot, namespace: Namespace, w: number, through: boolean): Outcome {
    const words = this.#arena.words
    const cdw12 = words[w + CDW12]!
    const rangeBytes = COPY_FORMATS[takeBits(cdw12, COPY_CDW12.df)]
    if (rangeBytes === undefined) return STATUS.INVALID_FIELD
    const rangeCount = takeBits(cdw12, COPY_CDW12.nr) + 1
    if (rangeCount > COPY_RANGES_MAX) return STATUS.COMMAND_SIZE_LIMIT_EXCEEDED
    if (slot.bytes !== rangeCount * rangeBytes) return STATUS.DATA_SGL_LENGTH_INVALID
    if (namespace.readOnly) return STATUS.NAMESPACE_WRITE_PROTECTED
    this.#plans[slot.index] = {
      target: takeU64(this.#arena.view, (w + CDW10) * 4), rangeCount, rangeBytes,
      fua: through || takeBits(cdw12, COPY_CDW12.fua) === 1 ? 1 : 0,
      lbas: [], counts: [], done: 0, next: 0,
    }
    slot.readable = 1
    return this.place(slot)
  }

  /** Where the descriptors go, and the blocks after them: WANTS_DATA or STALL. */
  place(slot: Slot): Outcome {
    const at = this.#buffers.take(this.#bytesMax, slot.keepPages)
    if (at === -1) return STALL
    slot.own(at)
    return WANTS_DATA
  }

  /** The descriptors are there: a status. slot has the range that is wrong. */
  check(slot: Slot, namespace: Namespace): number {
    const plan = this.#plans[slot.index]!
    const { blockBytes } = namespace.snapshot
    const { view } = this.#arena
    let total = 0
    for (let index = 0; index < plan.rangeCount; index++) {
      const at = slot.buffer + index * plan.rangeBytes
      const lba = takeU64(view, at + COPY_RANGE.slba)
      const count = view.getUint16(at + COPY_RANGE.nlb, true) + 1
      if (count > copyRangeBlocksMax(this.#bytesMax, blockBytes)) return STATUS.COMMAND_SIZE_LIMIT_EXCEEDED
      if (!aim(slot, namespace, lba, count)) return STATUS.LBA_OUT_OF_RANGE
      if (namespace.isDefective(lba, count)) return STATUS.UNRECOVERED_READ_ERROR
      plan.lbas.push(lba)
      plan.counts.push(count)
      total += count
    }
    if (total > copyBlocksMax(this.#bytesMax, blockBytes)) return STATUS.COMMAND_SIZE_LIMIT_EXCEEDED
    return aim(slot, namespace, plan.target, total) ? 0 : STATUS.LBA_OUT_OF_RANGE
  }

  /** The next step: PENDING, or a status when there is none left. */
  next(slot: Slot, namespace: Namespace): Outcome {
    const plan = this.#plans[slot.index]!
    while (plan.next < plan.rangeCount) {
      const index = plan.next++
      const count = plan.counts[index]!
      const at = slot.buffer + plan.done * namespace.snapshot.blockBytes
      aim(slot, namespace, plan.lbas[index]!, count)
      plan.done += count
      const outcome = namespace.device.fetch(slot, at)
      if (outcome !== 0) return outcome
    }
    if (plan.next > plan.rangeCount) return 0
    plan.next++
    aim(slot, namespace, plan.target, plan.done)
    slot.fua = plan.fua
    return namespace.device.store(slot, slot.buffer)
  }
}

/** Puts blocks into the slot; false when they reach beyond the namespace. lba: NaN = no safe integer. */
function aim(slot: Slot, namespace: Namespace, lba: number, blockCount: number): boolean {
  if (!(lba + blockCount <= namespace.blockCount)) return false
  slot.lbaLo = lba | 0
  slot.lbaHi = (lba / TWO_32) | 0
  slot.blockCount = blockCount
  return true
}
