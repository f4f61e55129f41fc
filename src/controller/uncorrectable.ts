/**
 * Write Uncorrectable, and what makes such blocks readable again. io calls it; the control plane keeps the ranges
 * (subsystem/defect.ts), and answers.
 *
 *   Write Uncorrectable ─▶ 'perform' mark ─▶ every reactor has it ─▶ 'performed'
 *   a write of such blocks ─ on the medium ─▶ 'perform' heal ─▶ every reactor has it ─▶ 'performed' ─▶ its answer
 *
 * Invariant: a write is answered only when its blocks can be read through every queue.
 */
import { type Outcome, PENDING } from '../device/device.ts'
import type { Namespace } from '../namespace/namespace.ts'
import { lbaOf, type Slot } from '../reactor/slots.ts'
import { zonesOf } from '../subsystem/subsystem.ts'
import type { UpkeepTask } from '../subsystem/upkeep.ts'
import { ACCESS, accessOf, IO_OPCODE } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'

export class Uncorrectable {
  readonly #perform: (slot: Slot, controller: number, task: UpkeepTask) => void
  readonly #controllerOf: (slot: Slot) => number

  /** controllerOf: index of the controller whose command it is; -1 = its host has gone. */
  constructor(
    perform: (slot: Slot, controller: number, task: UpkeepTask) => void, controllerOf: (slot: Slot) => number,
  ) {
    this.#perform = perform
    this.#controllerOf = controllerOf
  }

  /** The slot's blocks were checked. A zone takes what is written at its write pointer only. */
  mark(slot: Slot, namespace: Namespace, controller: number): Outcome {
    if (zonesOf(namespace.snapshot) !== null) return STATUS.INVALID_OPCODE
    return this.#ask(slot, namespace, controller, 'mark')
  }

  /** A command has succeeded on a namespace that has defects: PENDING, or 0 when it has not written over one. */
  heal(slot: Slot, namespace: Namespace): Outcome {
    const { opcode } = slot
    const writes = (accessOf(opcode) & ACCESS.WRITES) !== 0 && opcode !== IO_OPCODE.FLUSH
    // To deallocate is advice, and says nothing about what a read returns.
    if (!writes || opcode === IO_OPCODE.DATASET_MANAGEMENT) return 0
    const controller = this.#controllerOf(slot)
    if (controller === -1 || !namespace.isDefective(lbaOf(slot), slot.blockCount)) return 0
    return this.#ask(slot, namespace, controller, 'heal')
  }

  #ask(slot: Slot, { nsid }: Namespace, controller: number, kind: 'mark' | 'heal'): Outcome {
    this.#perform(slot, controller, { kind, nsid, lba: lbaOf(slot), blockCount: slot.blockCount })
    return PENDING
  }
}
