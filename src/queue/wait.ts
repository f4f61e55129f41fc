/**
 * Commands that wait for a buffer: a list for each controller, and the controllers in a circle, so that what
 * one of them asks for is no queue for the others. admit fills it and empties it.
 *
 *   ┌▶ share ─▶ share ─▶ share ─┐       each: slot ─▶ slot ─▶ …        shift takes one, and the turn is the next's
 *   └───────────────────────────┘
 *
 * Invariant: every slot in it is HELD, of a live connection, and owns no buffer.
 */
import type { Share } from '../reactor/share.ts'
import { SLOT, type Slot } from '../reactor/slots.ts'

export class Waiters {
  /** The one whose turn it was: its next is the one whose turn it is. */
  #last: Share | null = null
  /** Controllers that wait. */
  count = 0

  /** transfersMax: R2Ts that the host allows at a time. */
  push(slot: Slot, share: Share, transfersMax: number): void {
    slot.enter(SLOT.HELD)
    slot.transfersMax = transfersMax
    this.#append(slot, share)
  }

  /** The controller whose turn it is; null = nobody waits. */
  get turn(): Share | null {
    return this.#last === null ? null : this.#last.next
  }

  /** It is the turn of the next one. */
  pass(): void {
    if (this.#last !== null) this.#last = this.#last.next
  }

  /** Takes the first command of the one whose turn it is, and passes. */
  shift(): Slot {
    const share = this.turn!
    const slot = share.first!
    share.first = slot.next
    slot.next = null
    if (share.first === null) this.#remove(share)
    else this.pass()
    return slot
  }

  /** Takes the slots of a connection out. */
  forget(connection: number): void {
    for (let left = this.count; left > 0; left--) {
      const share = this.turn!
      let slot = share.first
      this.#remove(share)
      while (slot !== null) {
        const next: Slot | null = slot.next
        slot.next = null
        if (slot.connection !== connection) this.#append(slot, share)
        slot = next
      }
    }
  }

  #append(slot: Slot, share: Share): void {
    if (share.next === null) this.#enter(share)
    if (share.last === null) share.first = slot
    else share.last.next = slot
    share.last = slot
  }

  /** Its turn comes after all the others'. */
  #enter(share: Share): void {
    this.count++
    share.next = this.#last === null ? share : this.#last.next
    if (this.#last !== null) this.#last.next = share
    this.#last = share
  }

  /** The one whose turn it is waits for nothing any more; it is the turn of the one behind it. */
  #remove(share: Share): void {
    this.count--
    if (this.count === 0) this.#last = null
    else this.#last!.next = share.next
    share.next = null
    share.first = null
    share.last = null
  }
}
