/**
 * Tasks: what commands of this reactor leave to the control plane, which answers each with 'performed'. admin and io
 * ask; reactor-thread brings the answers.
 *
 * Invariant: every slot that asked is finished once, also when its host has gone; `pending` counts those that wait.
 */
import type { ToControl, ToReactor } from '../reactor/messages.ts'
import { type Slot, SQE_WORDS, type Slots } from '../reactor/slots.ts'
import type { UpkeepTask } from '../subsystem/upkeep.ts'
import { LOCATION_NONE } from '../wire/log-page.ts'
import type { Queue } from './queue.ts'
import type { Shared } from './shared.ts'

const NSID_WORD = 1

export type TaskParts = {
  readonly slots: Slots
  readonly reactor: number
  readonly shared: Pick<Shared, 'logError'>
  readonly post: (message: ToControl) => void
  readonly finish: (slot: Slot, status: number) => void
  /** null when its connection has gone. */
  readonly queueOf: (slot: Slot) => Queue | null
}

export class Tasks {
  readonly #parts: TaskParts
  pending = 0

  constructor(parts: TaskParts) {
    this.#parts = parts
  }

  /** controller: index of whose command it is. nsid: for its error log. */
  perform(slot: Slot, controller: number, task: UpkeepTask): void {
    const { slots, reactor } = this.#parts
    slots.sqe[slot.index * SQE_WORDS + NSID_WORD] = task.nsid
    this.post({ type: 'perform', reactor, slot: slot.index, controller, task })
  }

  /** A message that 'performed' answers. */
  post(message: Extract<ToControl, { type: 'perform' | 'manage-discovery' }>): void {
    this.pending++
    this.#parts.post(message)
  }

  answered({ slot: index, status, dw0 = 0 }: Extract<ToReactor, { type: 'performed' }>): void {
    const { slots, shared, queueOf, finish } = this.#parts
    const slot = slots.all[index]!
    const queue = queueOf(slot)
    this.pending--
    if (status > 0 && queue !== null && queue.controller !== null) {
      const nsid = slots.sqe[index * SQE_WORDS + NSID_WORD]!
      shared.logError(queue.controller.index, queue.qid, slot.cid, status, 0, nsid, LOCATION_NONE | slot.opcode << 16)
    }
    slot.dw0 = dw0
    finish(slot, status)
  }
}
