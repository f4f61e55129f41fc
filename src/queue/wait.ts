/**
 * Commands that wait for a buffer: a first-in, first-out ring of slots, as large as the pool of slots.
 * admit fills it and empties it.
 *
 * Invariant: every slot in it is HELD, of a live connection, and owns no buffer.
 */
import { assert } from '../assert.ts'
import { SLOT, type Slot } from '../reactor/slots.ts'

export class Waiters {
  readonly #slots: (Slot | null)[]
  readonly #transfersMax: Int32Array
  #head = 0
  #count = 0

  constructor(slotCount: number) {
    this.#slots = new Array<Slot | null>(slotCount).fill(null)
    this.#transfersMax = new Int32Array(slotCount)
  }

  /** transfersMax: R2Ts that the host allows at a time. */
  push(slot: Slot, transfersMax: number): void {
    assert(this.#count < this.#slots.length, 'there are no more waiters than slots')
    const at = (this.#head + this.#count++) % this.#slots.length
    this.#slots[at] = slot
    this.#transfersMax[at] = transfersMax
    slot.enter(SLOT.HELD)
  }

  first(): Slot | null {
    return this.#count === 0 ? null : this.#slots[this.#head]!
  }

  /** Takes the first one out; returns its transfersMax. */
  shift(): number {
    const transfersMax = this.#transfersMax[this.#head]!
    this.#slots[this.#head] = null
    this.#head = (this.#head + 1) % this.#slots.length
    this.#count--
    return transfersMax
  }

  /** Takes the slots of a connection out. */
  forget(connection: number): void {
    for (let left = this.#count; left > 0; left--) {
      const slot = this.first()!
      const transfersMax = this.shift()
      if (slot.connection === connection) continue
      const at = (this.#head + this.#count++) % this.#slots.length
      this.#slots[at] = slot
      this.#transfersMax[at] = transfersMax
    }
  }
}
