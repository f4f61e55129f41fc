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
import { SLOT, type Slots } from '../reactor/slots.ts'
import type { Transport } from './transport.ts'

const CLOSED = -1

export class Transfers {
  readonly #slots: Slots
  readonly #transport: Transport
  readonly #transferBytes: number
  readonly #commandTransfers: number
  readonly count: number
  freeCount: number
  /** Slot of an open tag, -1 = closed. */
  readonly slot: Int32Array
  /** Offset of the next byte that must come, and of the end, within the command's data. */
  readonly next: Int32Array
  readonly end: Int32Array
  readonly #free: Int32Array
  /** By slot: bytes asked for so far, and tags that are open. */
  readonly #asked: Int32Array
  readonly #open: Int32Array

  constructor(
    slots: Slots, transport: Transport, count: number, transferBytes: number, commandTransfers: number,
  ) {
    assert(count > 0 && count <= 65535, 'tags fit 16 bits')
    assert(count >= slots.count * commandTransfers, 'every slot can ask for all that it may')
    this.#slots = slots
    this.#transport = transport
    this.#transferBytes = transferBytes
    this.#commandTransfers = commandTransfers
    this.count = count
    this.freeCount = count
    this.slot = new Int32Array(count).fill(CLOSED)
    this.next = new Int32Array(count)
    this.end = new Int32Array(count)
    this.#free = new Int32Array(count)
    for (let k = 0; k < count; k++) this.#free[k] = count - 1 - k
    this.#asked = new Int32Array(slots.count)
    this.#open = new Int32Array(slots.count)
  }

  /** Asks for all of the slot's data. transfersMax: R2Ts that the host allows at a time, 1 or more. */
  begin(slot: number, transfersMax: number): void {
    this.#slots.enter(slot, SLOT.RECEIVING)
    this.#asked[slot] = 0
    this.#open[slot] = 0
    this.#ask(slot, transfersMax)
  }

  /** True when the tag is open and belongs to this connection and command. Nothing of it is trusted. */
  matches(tag: number, connection: number, cid: number): boolean {
    if (tag >= this.count) return false
    const slot = this.slot[tag]!
    return slot !== CLOSED && this.#slots.connection[slot] === connection && this.#slots.cid[slot] === cid
  }

  /** bytes of the tag's data have arrived. True when it was the last of the tag. */
  arrived(tag: number, bytes: number): boolean {
    const slot = this.slot[tag]!
    const next = this.next[tag]! + bytes
    assert(next <= this.end[tag]!, 'no more arrives than was asked for')
    this.next[tag] = next
    this.#slots.received[slot] = this.#slots.received[slot]! + bytes
    return next === this.end[tag]
  }

  /** Closes a tag whose data are complete, and asks for more. True when the command has all its data. */
  close(tag: number, transfersMax: number): boolean {
    const slot = this.slot[tag]!
    this.#release(tag)
    this.#open[slot] = this.#open[slot]! - 1
    if (this.#asked[slot]! < this.#slots.bytes[slot]!) this.#ask(slot, transfersMax)
    if (this.#open[slot] !== 0) return false
    assert(this.#slots.received[slot] === this.#slots.bytes[slot], 'what was asked for has been received')
    this.#slots.enter(slot, SLOT.EXECUTING)
    return true
  }

  /** Closes every tag of a connection that has gone. */
  forget(connection: number): void {
    if (this.freeCount === this.count) return
    for (let tag = 0; tag < this.count; tag++) {
      const slot = this.slot[tag]!
      if (slot !== CLOSED && this.#slots.connection[slot] === connection) this.#release(tag)
    }
  }

  #release(tag: number): void {
    this.slot[tag] = CLOSED
    this.#free[this.freeCount++] = tag
  }

  #ask(slot: number, transfersMax: number): void {
    const bytes = this.#slots.bytes[slot]!
    const openMax = Math.min(transfersMax, this.#commandTransfers)
    const piece = openMax === 1 ? bytes : this.#transferBytes
    let asked = this.#asked[slot]!
    while (asked < bytes && this.#open[slot]! < openMax) {
      const length = Math.min(piece, bytes - asked)
      const tag = this.#free[--this.freeCount]!
      this.slot[tag] = slot
      this.next[tag] = asked
      this.end[tag] = asked + length
      this.#transport.requestData(slot, tag, asked, length)
      asked += length
      this.#open[slot] = this.#open[slot]! + 1
    }
    this.#asked[slot] = asked
  }
}
