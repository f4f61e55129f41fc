/**
 * Transfers: host data that is asked for by R2T and arrives as H2CData. One tag per R2T.
 * queue asks; receive checks every H2CData against its tag and reports arrival.   NVMe/TCP 1.0a, 3.5
 *
 *   command data │0 ──── R2T tag a ────│──── R2T tag b ────│ … bytes│
 *                 next ▲ .. end
 *
 * Where the host allows several R2Ts at a time, a command is asked for in pieces of transferBytes; else at once.
 * Invariant: a tag is open from its R2T to its last byte; asked = received when a command's last tag closes.
 */
import { assert } from '../assert.ts'
import { SLOT as SLOT_, type Slot, type Slots } from '../reactor/slots.ts'
import type { Transport } from './transport.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const SLOT = SLOT_

const CLOSED = -1

export class Transfers {
  readonly #slots: Slots
  readonly #transport: Transport
  readonly #transferBytes: number
  readonly #commandTransfers: number
  readonly count: number
  freeCount: number
  /** Slot of an open tag, -1 = closed. */
  readonly #slotIndex: Int32Array
  /** Offset of the next byte that must come, and of the end, within the command's data. */
  readonly next: Int32Array
  readonly end: Int32Array
  readonly #free: Int32Array
  /** R2Ts beside the first of their commands that may be open, and are: each slot finds a tag in any case. */
  readonly #spareMax: number
  #spareCount = 0

  constructor(
    slots: Slots, transport: Transport, count: number, transferBytes: number, commandTransfers: number,
  ) {
    assert(count > 0 && count <= 65535, 'tags fit 16 bits')
    assert(count >= slots.count, 'every slot can ask for its data')
    this.#slots = slots
    this.#transport = transport
    this.#transferBytes = transferBytes
    this.#commandTransfers = commandTransfers
    this.#spareMax = count - slots.count
    this.count = count
    this.freeCount = count
    this.#slotIndex = new Int32Array(count).fill(CLOSED)
    this.next = new Int32Array(count)
    this.end = new Int32Array(count)
    this.#free = new Int32Array(count)
    for (let k = 0; k < count; k++) this.#free[k] = count - 1 - k
  }

  /** Asks for all of the slot's data. transfersMax: R2Ts that the host allows at a time, 1 or more. */
  begin(slot: Slot, transfersMax: number): void {
    slot.enter(SLOT.RECEIVING)
    this.#ask(slot, transfersMax)
  }

  /** The command that an open tag belongs to. */
  slotOf(tag: number): Slot {
    return this.#slots.all[this.#slotIndex[tag]!]!
  }

  /** True when the tag is open and belongs to this connection and command. Nothing of it is trusted. */
  matches(tag: number, connection: number, cid: number): boolean {
    if (tag >= this.count) return false
    if (this.#slotIndex[tag] === CLOSED) return false
    const slot = this.slotOf(tag)
    return slot.connection === connection && slot.cid === cid
  }

  /** bytes of the tag's data have arrived. True when it was the last of the tag. */
  arrived(tag: number, bytes: number): boolean {
    const slot = this.slotOf(tag)
    const next = this.next[tag]! + bytes
    assert(next <= this.end[tag]!, 'no more arrives than was asked for')
    this.next[tag] = next
    slot.received += bytes
    return next === this.end[tag]
  }

  /** Closes a tag whose data are complete, and asks for more. True when the command has all its data. */
  close(tag: number, transfersMax: number): boolean {
    const slot = this.slotOf(tag)
    this.#release(tag)
    if (slot.asked < slot.bytes) this.#ask(slot, transfersMax)
    if (slot.open !== 0) return false
    assert(slot.received === slot.bytes, 'what was asked for has been received')
    slot.enter(SLOT.EXECUTING)
    return true
  }

  /** Closes every tag of a connection that has gone. */
  forget(connection: number): void {
    if (this.freeCount === this.count) return
    for (let tag = 0; tag < this.count; tag++) {
      if (this.#slotIndex[tag] === CLOSED) continue
      if (this.slotOf(tag).connection === connection) this.#release(tag)
    }
  }

  #release(tag: number): void {
    const slot = this.slotOf(tag)
    slot.open -= 1
    if (slot.open !== 0) this.#spareCount--
    this.#slotIndex[tag] = CLOSED
    this.#free[this.freeCount++] = tag
  }

  #ask(slot: Slot, transfersMax: number): void {
    const bytes = slot.bytes
    const openMax = Math.min(transfersMax, this.#commandTransfers)
    const piece = openMax === 1 ? bytes : this.#transferBytes
    let asked = slot.asked
    while (asked < bytes && slot.open < openMax) {
      if (slot.open !== 0) {
        if (this.#spareCount === this.#spareMax) break
        this.#spareCount++
      }
      const length = Math.min(piece, bytes - asked)
      const tag = this.#free[--this.freeCount]!
      this.#slotIndex[tag] = slot.index
      this.next[tag] = asked
      this.end[tag] = asked + length
      this.#transport.requestData(slot, tag, asked, length)
      asked += length
      slot.open += 1
    }
    slot.asked = asked
  }
}
