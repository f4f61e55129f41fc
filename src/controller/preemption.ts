/**
 * Preemptions: what hosts had begun on a namespace when it was reserved against them. The control plane asks every
 * reactor, and answers the reservation command when all have acknowledged.            NVMe Base 2.0, 8.19
 *
 *                                   reserved            Preempt and Abort
 *   at its device                   finishes            finishes, and is waited for
 *   its data go into the blocks     finishes, and is waited for; not longer than LATE_MS, then its connection ends
 *   waits for its data or a buffer  refused when it     marked: answered with Preempt Abort instead of being run;
 *                                   could run (io)      of a fused pair, both halves
 *
 * A command whose host has gone may be one of those that are meant, so it is waited for too. Reservation commands
 * are not: they touch no blocks, and wait for each other.
 * Invariant: done is called once; nothing that was waited for changes blocks after that.
 */
import type { Namespace } from '../namespace/namespace.ts'
import { type Owner, SLOT, type Slot, type Slots } from '../reactor/slots.ts'
import { ACCESS, IO_OPCODE, accessOf } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import type { Aborts } from './abort.ts'
import type { Pairs } from './pair.ts'

/** Halves of fused pairs have bits above it. */
const OPCODE_MASK = 0xff
/** How long a host may take to send data that it has announced. */
const LATE_MS = 2000
const LATE = 'it does not send its data, and its commands on the namespace have to end'

export type PreemptionParts = {
  readonly slots: Slots
  readonly aborts: Pick<Aborts, 'preempt'>
  readonly pairs: Pick<Pairs, 'abort'>
  /** By index. */
  readonly namespaces: readonly (Namespace | null)[]
  /** The host identifier behind a slot, null where its connection has gone. */
  readonly hostOf: (slot: Slot) => string | null
  /** Ends the connection of a slot. */
  readonly dismiss: (slot: Slot, reason: string) => void
  /** The next turn is not to sleep. */
  readonly wake: () => void
  /** Reactor milliseconds. */
  readonly nowMs: () => number
}

/** A command that is waited for: slots are used again at once, so it is known by who sent it too. */
type Running = { readonly slot: Slot; readonly cid: number; readonly owner: Owner | null }
type Preemption = {
  running: Running[]
  readonly beganMs: number
  readonly done: () => void
  /** Nothing was left when poll() looked last. */
  quiet: boolean
}

export class Preemptions {
  readonly #parts: PreemptionParts
  #preemptions: Preemption[] = []

  constructor(parts: PreemptionParts) {
    this.#parts = parts
  }

  /** The namespace was reserved: these hosts may do everything, others not. */
  reserve(uuid: string, full: readonly string[], done: () => void): void {
    this.#wait(this.#find(uuid, (hostId) => !full.includes(hostId)).filter((slot) => this.#isDirect(slot)), done)
  }

  /** These hosts were preempted, and their commands are to be aborted. */
  abort(uuid: string, hostIds: readonly string[], done: () => void): void {
    const { aborts, pairs } = this.#parts
    const running: Slot[] = []
    for (const slot of this.#find(uuid, (hostId) => hostIds.includes(hostId))) {
      if (slot.state === SLOT.EXECUTING || this.#isDirect(slot)) running.push(slot)
      else if (slot.opcode > OPCODE_MASK) pairs.abort(slot, STATUS.PREEMPT_ABORT)
      else aborts.preempt(slot)
    }
    this.#wait(running, done)
  }

  /** Everything that has begun on the namespace ends; what still waits is for others to refuse. */
  settle(uuid: string, done: () => void): void {
    const found = this.#find(uuid, () => true)
    this.#wait(found.filter((slot) => slot.state === SLOT.EXECUTING || this.#isDirect(slot)), done)
  }

  /** True while something is waited for: poll() is to be called after each turn. */
  get waiting(): boolean {
    return this.#preemptions.length !== 0
  }

  poll(): void {
    const { dismiss, wake, nowMs } = this.#parts
    for (const each of [...this.#preemptions]) {
      each.running = each.running.filter(isUnderWay)
      const quiet = each.running.length === 0
      if (!quiet && ((nowMs() - each.beganMs) | 0) > LATE_MS) {
        for (const { slot } of each.running) if (slot.state === SLOT.RECEIVING) dismiss(slot, LATE)
      }
      // Once more a turn later: copies into the blocks that were queued in this one have been performed then.
      if (!quiet || !each.quiet) {
        each.quiet = quiet
        if (quiet) wake()
        continue
      }
      this.#preemptions = this.#preemptions.filter((other) => other !== each)
      each.done()
    }
  }

  #wait(slots: readonly Slot[], done: () => void): void {
    const running = slots.map((slot) => ({ slot, cid: slot.cid, owner: slot.owner }))
    this.#preemptions.push({ running, beganMs: this.#parts.nowMs(), done, quiet: false })
    this.#parts.wake()
  }

  /** Commands on the namespace that touch blocks, of the hosts that `isMeant` picks. */
  #find(uuid: string, isMeant: (hostId: string) => boolean): Slot[] {
    const { slots, namespaces, hostOf } = this.#parts
    return slots.all.filter((slot) => {
      if (slot.state === SLOT.FREE || slot.state === SLOT.SENDING) return false
      if (accessOf(slot.opcode & OPCODE_MASK) === ACCESS.NONE) return false
      if (namespaces[slot.namespace]?.snapshot.uuid !== uuid) return false
      const hostId = hostOf(slot)
      return hostId === null || isMeant(hostId)
    })
  }

  /** Its data are received into the blocks themselves. */
  #isDirect(slot: Slot): boolean {
    return slot.state === SLOT.RECEIVING && isDirect(slot)
  }
}

/** A write whose data go into the blocks as they come; nothing is left to refuse when all are there. */
export function isDirect(slot: Slot): boolean {
  return slot.opcode === IO_OPCODE.WRITE && slot.buffer === -1
}

/** Still, though its connection may have gone meanwhile. */
function isUnderWay({ slot, cid, owner }: Running): boolean {
  const begun = slot.state === SLOT.EXECUTING || slot.state === SLOT.RECEIVING
  return begun && slot.cid === cid && (slot.owner === owner || slot.owner === null)
}
