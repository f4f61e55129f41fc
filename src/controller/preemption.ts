/**
 * Preemptions: the end of what hosts had begun on a namespace before Preempt and Abort took their registration.
 * The control plane asks every reactor, and answers the command when all have acknowledged.  NVMe Base 2.0, 8.19
 *
 *   waits for its data or a buffer ─▶ marked: it is answered with Preempt Abort instead of being run
 *   half of a fused pair           ─▶ the pair is answered with Preempt Abort
 *   at its device                  ─▶ let finish, and waited for
 *
 * A command whose host has gone may be one of those that are meant, so it is waited for too. Reservation
 * commands are not: they touch no blocks, and wait for each other.
 * Invariant: done is called once, when nothing of these hosts can reach the blocks any more.
 */
import type { Namespace } from '../namespace/namespace.ts'
import { SLOT, type Slot, type Slots } from '../reactor/slots.ts'
import { ACCESS, accessOf } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import type { Aborts } from './abort.ts'
import type { Pairs } from './pair.ts'

/** Halves of fused pairs have bits above it. */
const OPCODE_MASK = 0xff

export type PreemptionParts = {
  readonly slots: Slots
  readonly aborts: Pick<Aborts, 'preempt'>
  readonly pairs: Pick<Pairs, 'abort'>
  /** By index. */
  readonly namespaces: readonly (Namespace | null)[]
  /** The host identifier behind a slot, null where its connection has gone. */
  readonly hostOf: (slot: Slot) => string | null
}

/** A command at its device. */
type Running = { readonly slot: Slot; readonly cid: number }
type Preemption = { running: Running[]; readonly done: () => void }

export class Preemptions {
  readonly #parts: PreemptionParts
  #waiting: Preemption[] = []

  constructor(parts: PreemptionParts) {
    this.#parts = parts
  }

  /** uuid: of the namespace. */
  begin(uuid: string, hostIds: readonly string[], done: () => void): void {
    const { slots, aborts, pairs } = this.#parts
    const running: Running[] = []
    for (const slot of slots.all) {
      if (!this.#isMeant(slot, uuid, hostIds)) continue
      if (slot.state === SLOT.EXECUTING) running.push({ slot, cid: slot.cid })
      else if (slot.opcode > OPCODE_MASK) pairs.abort(slot, STATUS.PREEMPT_ABORT)
      else aborts.preempt(slot)
    }
    this.#waiting.push({ running, done })
    this.#settle()
  }

  /** A command has finished, whoever's it is. */
  finished(slot: Slot): void {
    if (this.#waiting.length === 0) return
    for (const each of this.#waiting) each.running = each.running.filter((one) => one.slot !== slot)
    this.#settle()
  }

  /** Commands may also end without their device. */
  tick(): void {
    if (this.#waiting.length === 0) return
    for (const each of this.#waiting) {
      each.running = each.running.filter(({ slot, cid }) => slot.state === SLOT.EXECUTING && slot.cid === cid)
    }
    this.#settle()
  }

  #settle(): void {
    this.#waiting = this.#waiting.filter(({ running, done }) => {
      if (running.length !== 0) return true
      done()
      return false
    })
  }

  #isMeant(slot: Slot, uuid: string, hostIds: readonly string[]): boolean {
    if (slot.state === SLOT.FREE || slot.state === SLOT.SENDING || accessOf(slot.opcode & OPCODE_MASK) === ACCESS.NONE) return false
    if (this.#parts.namespaces[slot.namespace]?.snapshot.uuid !== uuid) return false
    const hostId = this.#parts.hostOf(slot)
    return hostId === null || hostIds.includes(hostId)
  }
}
