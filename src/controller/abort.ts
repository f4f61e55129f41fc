/**
 * Aborts: Abort commands for I/O queues, which may live on another reactor than the admin queue.
 * admin asks through the control plane; the reactor of the queue answers.       NVMe Base 2.0, 5.1
 * Commands of hosts that were preempted are aborted in the same way (preemption.ts).
 *
 * A command that still waits for its data, for a buffer, or for blocks that somebody has for himself, is not run
 * when they have come: it completes with Command Abort Requested, and the Abort after it. Half of a fused pair
 * takes the other half with it. A command that a device has is not aborted, and the Abort says so.
 * Invariant: every request is answered exactly once, also when the connection goes.
 */
import type { ToControl, ToReactor } from '../reactor/messages.ts'
import { SLOT, type Slot, type Slots } from '../reactor/slots.ts'
import { STATUS } from '../wire/status.ts'
import type { Queue } from './queue.ts'

/** Halves of fused pairs have greater ones. */
const OPCODE_MAX = 0xff

type Request = Extract<ToReactor, { type: 'abort' }>

export class Aborts {
  readonly #slots: Slots
  readonly #reactor: number
  readonly #post: (message: ToControl) => void
  /** By slot that is to be aborted. */
  readonly #requests = new Map<number, Request>()
  /** Slots of hosts that were preempted. */
  readonly #preempted = new Set<number>()

  constructor(slots: Slots, reactor: number, post: (message: ToControl) => void) {
    this.#slots = slots
    this.#reactor = reactor
    this.#post = post
  }

  /** An Abort of this reactor's admin queue, for a command on queue qid. The slot waits for 'aborted'. */
  forward(slot: number, controller: number, qid: number, cid: number): void {
    this.#post({ type: 'abort', reactor: this.#reactor, slot, controller, qid, cid })
  }

  /** Somebody's Abort of a command on one of this reactor's queues. abortPair: of half of one, see Pairs. */
  request(request: Request, queues: readonly Queue[], abortPair: (slot: Slot) => boolean): void {
    const slots = this.#slots
    for (const slot of slots.all) {
      const waits = slot.state === SLOT.RECEIVING || slot.state === SLOT.HELD
      if (!waits || slot.cid !== request.cid) continue
      const queue = queues[slot.connection]
      if (queue?.controller?.index !== request.controller || queue.qid !== request.qid) continue
      if (slot.opcode > OPCODE_MAX) return this.#answer(request, abortPair(slot))
      if (this.#requests.has(slot.index)) break
      this.#requests.set(slot.index, request)
      return
    }
    this.#answer(request, false)
  }

  /** The slot, which waits for its data or a buffer, is not to run: its host lost its registration. */
  preempt(slot: Slot): void {
    this.#preempted.add(slot.index)
  }

  /** Whether this slot is to be aborted; of -1: whether any is. */
  wants(slot: number): boolean {
    if (slot === -1) return this.#requests.size !== 0 || this.#preempted.size !== 0
    return this.#requests.has(slot) || this.#preempted.has(slot)
  }

  /** The status of a slot that is to be aborted, now that it could run, or 0. An Abort for it is answered. */
  take(slot: Slot): number {
    if (this.#requests.size === 0 && this.#preempted.size === 0) return 0
    const preempted = this.#preempted.delete(slot.index)
    const request = this.#requests.get(slot.index)
    if (request !== undefined) {
      this.#requests.delete(slot.index)
      this.#answer(request, true)
    }
    if (preempted) return STATUS.PREEMPT_ABORT
    return request === undefined ? 0 : STATUS.ABORT_REQUESTED
  }

  #answer(request: Request, done: boolean): void {
    this.#post({ type: 'aborted', replyTo: request.replyTo, slot: request.slot, done })
  }
}
