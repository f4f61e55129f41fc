/**
 * Patience: whether a command that nothing is wrong with has to wait before it begins, for blocks that are
 * somebody's alone (hold.ts), or for its turn where a namespace has limits (throttle.ts). io asks for the commands
 * of a namespace that has either.
 *
 * Invariant: what is not as it should be with a command is left for io to say: it does not wait.
 */
import { type Outcome, PENDING, STALL } from '../device/device.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Slot } from '../reactor/slots.ts'
import { IO_OPCODE, RW_CONTROL, SGL_ID, ZONE_OPCODE } from '../wire/sqe.ts'
import { ZEROES_BYTES_MAX } from './command-size.ts'
import type { Controller } from './controller.ts'
import { GUARD } from './guard.ts'
import type { Holds } from './hold.ts'
import { COUNT } from './shared.ts'
import type { Throttles } from './throttle.ts'

/** Words of an entry. */
const SGL_ID_WORD = 9
const DEAC = RW_CONTROL.DEAC << 16

export type PatienceParts = {
  readonly words: Int32Array
  readonly holds: Pick<Holds, 'covers' | 'keep'>
  readonly throttles: Pick<Throttles, 'expects' | 'delays'>
  /** Of IoExecutor: what it decodes and checks, keeps in the slot, and counts. */
  readonly range: (slot: Slot, namespace: Namespace, w: number, withData: boolean) => number
  readonly durability: (slot: Slot, namespace: Namespace, controller: Controller, w: number) => void
  readonly count: (namespace: Namespace, which: number, amount: number) => void
}

export class Patience {
  readonly #parts: PatienceParts

  constructor(parts: PatienceParts) {
    this.#parts = parts
  }

  /** 0: it begins; else what io's start() says of it. */
  look(slot: Slot, namespace: Namespace, controller: Controller, w: number): Outcome {
    if ((namespace.guards & GUARD.HELD) !== 0) {
      const outcome = this.#holdBack(slot, namespace, controller, w)
      if (outcome !== 0) return outcome
    }
    return (namespace.guards & GUARD.THROTTLED) === 0 ? 0 : this.#throttle(slot, namespace, controller, w)
  }

  /**
   * Blocks of the namespace are held: STALL when the command has to wait for them without data; WANTS_DATA when its
   * data wait with it; else 0. Others are parked when their data have come.
   */
  #holdBack(slot: Slot, namespace: Namespace, controller: Controller, w: number): Outcome {
    const { holds, range, durability, words } = this.#parts
    const { opcode } = slot
    const zeroing = opcode === IO_OPCODE.WRITE_ZEROES
    const direct = opcode === IO_OPCODE.WRITE && namespace.device.kind === 'memory'
    if (opcode !== IO_OPCODE.READ && !zeroing && !direct) return 0
    if (range(slot, namespace, w, !zeroing) !== 0) return 0
    if (zeroing && slot.blockCount << namespace.blockShift > ZEROES_BYTES_MAX) return 0
    if (opcode !== IO_OPCODE.READ && namespace.readOnly || !holds.covers(slot)) return 0
    if (opcode !== IO_OPCODE.READ) durability(slot, namespace, controller, w)
    slot.step = zeroing ? words[w + 12]! & DEAC : 0
    // A capsule that waits in the stream is in the way of data that the hold may be waiting for.
    return direct && this.#isInCapsule(w) ? holds.keep(slot) : STALL
  }

  /** The namespace has limits: PENDING when the command waits, WANTS_DATA or STALL when it will with its data. */
  #throttle(slot: Slot, namespace: Namespace, controller: Controller, w: number): Outcome {
    const { throttles, range, durability, count } = this.#parts
    const { opcode } = slot
    const reads = opcode === IO_OPCODE.READ
    const writes = opcode === IO_OPCODE.WRITE || (opcode === ZONE_OPCODE.APPEND && namespace.device.zones != null)
    if (!reads && !writes && opcode !== IO_OPCODE.COMPARE) return 0
    if (writes && namespace.readOnly || range(slot, namespace, w, true) !== 0) return 0
    const inCapsule = this.#isInCapsule(w)
    const waits = inCapsule ? throttles.expects(slot, controller, namespace)
      : throttles.delays(slot, controller, namespace)
    if (!waits) return 0
    if (writes) durability(slot, namespace, controller, w)
    else count(namespace, reads ? COUNT.READS : COUNT.OTHERS, 1)
    if (reads) count(namespace, COUNT.READ_BYTES, slot.bytes)
    if (!inCapsule) return PENDING
    return writes ? this.#keep(slot, namespace) : namespace.device.placeCompare(slot)
  }

  /** Not into the blocks, but to where the data can wait. */
  #keep(slot: Slot, namespace: Namespace): Outcome {
    return namespace.device.kind === 'memory' ? this.#parts.holds.keep(slot) : namespace.device.place(slot)
  }

  #isInCapsule(w: number): boolean {
    return this.#parts.words[w + SGL_ID_WORD]! >>> 24 === SGL_ID.IN_CAPSULE
  }
}
