/**
 * Sends PDUs: writes entries into a connection's send ring; the shim gathers header, payload and digests
 * into one send per connection and turn. queue → send → shim.       NVMe/TCP 1.0a, 3.6
 *
 *   entry, 16 words: │ flags, header bytes, pad, place, bytes, digest │ header 8 .. 14 │ 15: slot + 1 │
 *
 * The last word is ours: the slot whose buffer is given back when the entry has left, + 1 (0 = none).
 * Invariant: entries in the ring + slotEntries for each slot of the connection <= its size.
 */
import { assert } from '../assert.ts'
import type { Arena } from '../reactor/arena.ts'
import { C as C_, FLAG as FLAG_, H as H_, T as T_ } from '../shim/abi.ts'
import type { Slot } from '../reactor/slots.ts'
import type { Transport } from '../queue/transport.ts'
import {
  PDU_FLAG as PDU_FLAG_, PDU_TYPE as PDU_TYPE_, SHORT_HEADER_BYTES as SHORT_HEADER_BYTES_,
} from '../wire/pdu.ts'
import { type Connection, PHASE as PHASE_ } from './connection.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const C = C_
const FLAG = FLAG_
const H = H_
const T = T_
const PDU_FLAG = PDU_FLAG_
const PDU_TYPE = PDU_TYPE_
const SHORT_HEADER_BYTES = SHORT_HEADER_BYTES_
const PHASE = PHASE_

const SLOT_WORD = 15
const SUCCESS_FLAG = PDU_FLAG.SUCCESS << 8

export class Sender implements Transport {
  readonly #words: Int32Array
  readonly #txMask: number
  readonly #touchedWord: number

  constructor(arena: Arena, txEntries: number) {
    this.#words = arena.words
    this.#txMask = txEntries - 1
    this.#touchedWord = arena.touchedAt >> 2
  }

  /** Tells the shim to look at this connection in the coming turn. */
  touch(connection: Connection): void {
    const words = this.#words
    const control = connection.control
    if (words[control + C.TOUCHED] !== 0) return
    words[control + C.TOUCHED] = 1
    const count = words[H.TOUCHED]!
    words[this.#touchedWord + count] = connection.index
    words[H.TOUCHED] = count + 1
  }

  /** CapsuleResp. */
  respond(slot: Slot): void {
    const connection = slot.owner as Connection
    this.#response(connection, slot, slot.dw0, slot.dw1, slot.status)
  }

  /** C2HData with all of the payload; the SUCCESS flag replaces the CapsuleResp where that is allowed. */
  sendData(slot: Slot): void {
    const words = this.#words
    const connection = slot.owner as Connection
    const bytes = slot.bytes
    const dw0 = slot.dw0
    const success = connection.queue.flowControlOff && dw0 === 0 && slot.dw1 === 0
    const e = this.#entry(connection)
    words[e + T.FLAGS] = connection.dataTxFlags
    words[e + T.HEADER_BYTES] = SHORT_HEADER_BYTES
    words[e + T.PAD_BYTES] = connection.dataPadBytes
    words[e + T.REGION] = slot.region
    words[e + T.LO] = slot.lo
    words[e + T.HI] = slot.hi
    words[e + T.BYTES] = bytes
    words[e + T.HEADER] = success ? connection.dataWord0 | SUCCESS_FLAG : connection.dataWord0
    words[e + T.HEADER + 1] = connection.dataOverheadBytes + bytes
    words[e + T.HEADER + 2] = slot.cid
    words[e + T.HEADER + 3] = 0
    words[e + T.HEADER + 4] = bytes
    words[e + T.HEADER + 5] = 0
    words[e + SLOT_WORD] = success ? this.#holds(connection, slot) : 0
    if (success) connection.queue.advance()
    else this.#response(connection, slot, dw0, slot.dw1, 0)
  }

  /** R2T. */
  requestData(slot: Slot, tag: number, offset: number, bytes: number): void {
    const words = this.#words
    const connection = slot.owner as Connection
    const e = this.#header(connection, PDU_TYPE.R2T)
    words[e + T.HEADER + 2] = slot.cid | (tag << 16)
    words[e + T.HEADER + 3] = offset
    words[e + T.HEADER + 4] = bytes
    words[e + T.HEADER + 5] = 0
    words[e + SLOT_WORD] = 0
  }

  /** Bytes that stand in the arena already: an ICResp or a C2HTermReq. No digest. */
  sendArena(connection: Connection, at: number, bytes: number): void {
    const words = this.#words
    const e = this.#entry(connection)
    words[e + T.FLAGS] = 0
    words[e + T.HEADER_BYTES] = 0
    words[e + T.PAD_BYTES] = 0
    words[e + T.REGION] = 0
    words[e + T.LO] = at
    words[e + T.HI] = 0
    words[e + T.BYTES] = bytes
    words[e + SLOT_WORD] = 0
  }

  /** After what is queued: no more from us. */
  finish(connection: Connection): void {
    const control = connection.control
    this.#words[control + C.FLAGS] = this.#words[control + C.FLAGS]! | FLAG.FINISH
    this.touch(connection)
  }

  /** Now, whatever is queued. CLOSED follows. */
  close(connection: Connection): void {
    const control = connection.control
    connection.phase = PHASE.CLOSING
    this.#words[control + C.FLAGS] = FLAG.CLOSE
    this.touch(connection)
  }

  /** Index of the next slot whose answer has left, or -1. Call until it says -1. */
  nextReleased(connection: Connection): number {
    return this.#nextHeld(connection, this.#words[connection.control + C.TX_HEAD]!)
  }

  /** Whether the ring has room for all that one more slot may send. */
  hasRoom(connection: Connection): boolean {
    const used = (this.#words[connection.control + C.TX_TAIL]! - connection.releasedCount) | 0
    return used + (connection.slotCount + 1) * connection.slotEntries <= this.#txMask
  }

  /** Whether it has room for one more R2T of a command that has sent its first ones. */
  hasRoomToAsk(connection: Connection): boolean {
    const used = (this.#words[connection.control + C.TX_TAIL]! - connection.releasedCount) | 0
    return used + connection.slotCount * connection.slotEntries <= this.#txMask
  }

  /** An empty ring starts over: the same few cache lines, and few pages for a connection that idles. */
  rewind(connection: Connection): void {
    const words = this.#words
    const control = connection.control
    const tail = words[control + C.TX_TAIL]!
    if (tail === 0 || words[control + C.TX_HEAD] !== tail || connection.releasedCount !== tail) return
    words[control + C.TX_HEAD] = 0
    words[control + C.TX_TAIL] = 0
    connection.releasedCount = 0
  }

  /** Index of the next slot whose answer will never leave, or -1. For a CLOSED connection. */
  nextDropped(connection: Connection): number {
    return this.#nextHeld(connection, this.#words[connection.control + C.TX_TAIL]!)
  }

  /** Looks at the entries up to end only while there are some that hold a slot: each is a cold line. */
  #nextHeld(connection: Connection, end: number): number {
    while (connection.heldCount !== 0 && connection.releasedCount !== end) {
      const e = connection.txWord + ((connection.releasedCount & this.#txMask) << 4)
      connection.releasedCount = (connection.releasedCount + 1) | 0
      const word = this.#words[e + SLOT_WORD]!
      if (word !== 0) {
        connection.heldCount--
        return word - 1
      }
    }
    connection.releasedCount = end
    return -1
  }

  /** The slot word of a command's last entry. */
  #holds(connection: Connection, slot: Slot): number {
    if (slot.buffer === -1) return 0
    connection.heldCount++
    return slot.index + 1
  }

  #response(connection: Connection, slot: Slot, dw0: number, dw1: number, status: number): void {
    const words = this.#words
    const queue = connection.queue
    const head = queue.advance()
    const e = this.#header(connection, PDU_TYPE.CAPSULE_RESP)
    words[e + T.HEADER + 2] = dw0
    words[e + T.HEADER + 3] = dw1
    words[e + T.HEADER + 4] = queue.flowControlOff ? queue.takeOffHead() : head
    words[e + T.HEADER + 5] = slot.cid | (status << 17)
    words[e + SLOT_WORD] = this.#holds(connection, slot)
  }

  /** An entry with the 24-byte header of a PDU without data; returns its word index. */
  #header(connection: Connection, type: number): number {
    const words = this.#words
    const e = this.#entry(connection)
    words[e + T.FLAGS] = connection.shortTxFlags
    words[e + T.HEADER_BYTES] = SHORT_HEADER_BYTES
    words[e + T.PAD_BYTES] = 0
    words[e + T.BYTES] = 0
    words[e + T.HEADER] = connection.shortWord0 | type
    words[e + T.HEADER + 1] = connection.shortBytes
    return e
  }

  /** Takes the next entry of the ring; returns its word index. */
  #entry(connection: Connection): number {
    const words = this.#words
    const control = connection.control
    const tail = words[control + C.TX_TAIL]!
    assert(((tail - connection.releasedCount) | 0) <= this.#txMask, 'the send ring has room')
    words[control + C.TX_TAIL] = (tail + 1) | 0
    this.touch(connection)
    return connection.txWord + ((tail & this.#txMask) << 4)
  }
}
