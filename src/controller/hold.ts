/**
 * Holds: blocks of a namespace that somebody has for himself at the moment (subsystem/exclusion.ts). What
 * touches them on this reactor waits; what touched them already is waited for.
 *
 *   begin ─▶ what has begun on the blocks ends (poll) ─▶ held ─▶ end ─▶ what waited goes on
 *
 * A command that has no data yet waits like one without a buffer (queue/wait.ts). One whose data have come is
 * parked here. One that a device has, or whose data go straight into the blocks, is waited for.
 * Invariant: a parked slot is HELD and of a live connection; a hold is reported once.
 */
import { type Outcome, STALL, WANTS_DATA } from '../device/device.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Buffers } from '../reactor/buffers.ts'
import { lbaOf, SLOT, type Slot, type Slots } from '../reactor/slots.ts'
import { IO_OPCODE } from '../wire/sqe.ts'
import { GUARD } from './guard.ts'

type Hold = {
  readonly id: number
  readonly namespace: number
  readonly lba: number
  readonly end: number
  readonly held: () => void
  /** Nothing was in the way when poll() looked last. */
  quiet: boolean
}

export class Holds {
  readonly #slots: Slots
  readonly #buffers: Buffers
  readonly #namespaces: (Namespace | null)[]
  readonly #sendsFrom: (region: number, from: number, end: number) => boolean
  readonly #wake: () => void
  readonly #proceed: (slot: Slot) => void
  /** By namespace. */
  readonly #holds = new Map<number, Hold>()
  /** Those that something is still in the way of. */
  #draining: Hold[] = []
  #parked: Slot[] = []

  constructor(parts: {
    slots: Slots, buffers: Buffers, namespaces: (Namespace | null)[],
    /** Runs a slot whose data have come. */
    proceed: (slot: Slot) => void,
    /** An answer that has not left yet takes its payload from these bytes of a region. */
    sendsFrom: (region: number, from: number, end: number) => boolean,
    /** The next turn is not to sleep. */
    wake: () => void,
  }) {
    this.#slots = parts.slots
    this.#buffers = parts.buffers
    this.#namespaces = parts.namespaces
    this.#sendsFrom = parts.sendsFrom
    this.#wake = parts.wake
    this.#proceed = parts.proceed
  }

  /** Calls held once, when nothing touches the blocks any more, or when they are let go before. */
  begin(id: number, namespace: number, lba: number, blockCount: number, held: () => void): void {
    const hold = { id, namespace, lba, end: lba + blockCount, held, quiet: false }
    this.#holds.set(namespace, hold)
    const found = this.#namespaces[namespace]
    if (found !== null && found !== undefined) found.guards |= GUARD.HELD
    this.#draining.push(hold)
    this.poll()
  }

  end(id: number, namespace: number): void {
    const hold = this.#holds.get(namespace)
    if (hold?.id !== id) return
    this.#holds.delete(namespace)
    if (this.#draining.includes(hold)) hold.held()
    this.#draining = this.#draining.filter((each) => each !== hold)
    const found = this.#namespaces[namespace]
    if (found !== null && found !== undefined) found.guards &= ~GUARD.HELD
    const parked = this.#parked.filter((slot) => slot.namespace === namespace)
    this.#parked = this.#parked.filter((slot) => slot.namespace !== namespace)
    for (const slot of parked) {
      slot.enter(SLOT.EXECUTING)
      this.#proceed(slot)
    }
  }

  /** True while something is waited for: poll() is to be called after each turn. */
  get draining(): boolean {
    return this.#draining.length !== 0
  }

  poll(): void {
    for (const hold of [...this.#draining]) {
      const busy = this.#slots.all.some((slot) => this.#isInTheWay(slot, hold)) || this.#isBeingSent(hold)
      // Once more a turn later: copies into the blocks that were queued in this one have been performed then.
      if (busy || !hold.quiet) {
        hold.quiet = !busy
        if (!busy) this.#wake()
        continue
      }
      this.#draining = this.#draining.filter((each) => each !== hold)
      hold.held()
    }
  }

  /** True when the slot's blocks, or some that it may come to, are held. */
  covers(slot: Slot): boolean {
    const hold = this.#holds.get(slot.namespace)
    return hold !== undefined && touches(slot, hold)
  }

  /** A buffer for data that would go straight into held blocks: WANTS_DATA or STALL. */
  keep(slot: Slot): Outcome {
    const at = this.#buffers.take(slot.bytes, slot.keepPages)
    if (at === -1) return STALL
    slot.own(at)
    return WANTS_DATA
  }

  /** True when the slot, whose data have come, has to wait; then it is parked. */
  parks(slot: Slot): boolean {
    const hold = this.#holds.get(slot.namespace)
    if (hold === undefined || this.#isDirect(slot) || !touches(slot, hold)) return false
    slot.enter(SLOT.HELD)
    this.#parked.push(slot)
    return true
  }

  /** The slot waits here no more: its connection has gone, or it was aborted. */
  forget(connection: number): void {
    if (this.#parked.length === 0) return
    this.#parked = this.#parked.filter((slot) => slot.connection !== connection)
  }

  #isInTheWay(slot: Slot, hold: Hold): boolean {
    if (slot.namespace !== hold.namespace) return false
    const begun = slot.state === SLOT.EXECUTING || (slot.state === SLOT.RECEIVING && this.#isDirect(slot))
    return begun && touches(slot, hold)
  }

  /** What was read from memory is sent from its blocks. */
  #isBeingSent({ namespace, lba, end }: Hold): boolean {
    const snapshot = this.#namespaces[namespace]?.snapshot
    if (snapshot?.device.kind !== 'memory') return false
    return this.#sendsFrom(snapshot.device.region, lba * snapshot.blockBytes, end * snapshot.blockBytes)
  }

  /** Its data are received into the blocks themselves. */
  #isDirect(slot: Slot): boolean {
    return slot.opcode === IO_OPCODE.WRITE && slot.buffer === -1
  }
}

/** Several ranges, of which the slot shows the present one only, count as all blocks. */
function touches(slot: Slot, hold: Hold): boolean {
  if (slot.opcode === IO_OPCODE.DATASET_MANAGEMENT || slot.opcode === IO_OPCODE.COPY) return true
  if (slot.opcode === IO_OPCODE.FLUSH || slot.opcode === IO_OPCODE.VERIFY) return false
  // The control plane, which executes it, takes its blocks itself.
  if (slot.opcode === IO_OPCODE.WRITE_UNCORRECTABLE) return false
  const lba = lbaOf(slot)
  return lba < hold.end && lba + slot.blockCount > hold.lba
}
