/**
 * An I/O queue of a host at native speed: commands and their data go through the rings of the shim, as they do in
 * a reactor. load.ts drives it.            NVMe/TCP Transport 1.0a, PDUs; NVMe over Fabrics, Connect
 *
 *   slot = CID:  │ capsule, 72 B of 128 │  and elsewhere │ its data │       both in the arena
 *   sent as      entry: capsule, its digest │ entry: padding, data, its digest     or, for an R2T, entries of H2CData
 *
 * A header is sent as a payload, since that of a capsule is longer than an entry's own; its digest is a payload's.
 * Invariant: a PDU is looked at when it is whole; what does not belong there is a HostError.
 */
import type { Arena } from '../reactor/arena.ts'
import { C, FLAG, H, STATE, T, TX } from '../shim/abi.ts'
import { errnoName, type Shim } from '../shim/shim.ts'
import {
  C2H_DATA, CAPSULE_CMD_BYTES, CAPSULE_RESP, CH, CH_BYTES, DGST, DIGEST_BYTES, ICREQ, ICRESP, IC_BYTES, PDU_FLAG, PDU_TYPE,
  R2T, SHORT_HEADER_BYTES, TERM_REQ, FES_TABLE,
} from '../wire/pdu.ts'
import { CQE } from '../wire/cqe.ts'
import { PSDT_SGL, SGL_ID } from '../wire/sqe.ts'
import { bytesOf } from './capsule.ts'
import { HostError } from './error.ts'

/** Room of a slot for its capsule: it stays in two cache lines. */
export const CAPSULE_STRIDE = 128
const HANDSHAKE_MS = 10_000
const DWORD = 4
const NO_SLOT = -1

export type RingQueueParts = {
  readonly arena: Arena
  readonly shim: Shim
  /** Powers of two: entries of the send ring, bytes of the receive ring. */
  readonly txEntries: number
  readonly rxBytes: number
  readonly slotCount: number
  /** In the arena; slot s has its capsule at + s * CAPSULE_STRIDE, its data at + s * dataBytes. */
  readonly capsulesAt: number
  readonly dataAt: number
  readonly dataBytes: number
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  readonly name: string
}

export class RingQueue {
  readonly #parts: RingQueueParts
  readonly #words: Int32Array
  readonly #view: DataView
  readonly #connection: number
  readonly #control: number
  readonly #txWord: number
  readonly #rxAt: number
  #headerDigest = false
  #dataDigest = false
  /** Bytes between a header and its data, by the length of the header. */
  #unit = DWORD
  #maxDataBytes = 0
  /** By slot: bytes of its data; what arrived of them. */
  readonly #bytes: Int32Array
  readonly #arrived: Int32Array
  readonly #busy: Uint8Array
  /** Data that a write may bring in its capsule. */
  inCapsuleBytes = 0
  busyCount = 0
  /** Whether what is read is copied to the slot's data; else it is dropped. */
  keeps = true
  /** Called with each command that is done: CQE status without the phase, and DW0. */
  done: (slot: number, status: number, dw0: number) => void = () => {}

  /** Takes a connected socket over. */
  constructor(socket: number, parts: RingQueueParts) {
    const { arena, shim, txEntries, rxBytes, slotCount } = parts
    this.#parts = parts
    this.#words = arena.words
    this.#view = arena.view
    this.#connection = shim.adopt(socket)
    if (this.#connection < 0) throw new HostError(`A connection cannot be used (${errnoName(this.#connection)}).`)
    this.#control = (arena.connectionsAt >> 2) + this.#connection * 16
    this.#txWord = (arena.txAt >> 2) + this.#connection * txEntries * 16
    this.#rxAt = arena.rxAt + this.#connection * 2 * rxBytes
    this.#bytes = new Int32Array(slotCount)
    this.#arrived = new Int32Array(slotCount)
    this.#busy = new Uint8Array(slotCount)
    this.#touch()
  }

  get index(): number {
    return this.#connection
  }

  /** ICReq and ICResp. */
  greet(): void {
    const { arena, capsulesAt, headerDigest, dataDigest } = this.#parts
    const view = this.#view
    arena.bytes.fill(0, capsulesAt, capsulesAt + IC_BYTES)
    view.setUint8(capsulesAt + CH.type, PDU_TYPE.ICREQ)
    view.setUint8(capsulesAt + CH.hlen, IC_BYTES)
    view.setUint32(capsulesAt + CH.plen, IC_BYTES, true)
    view.setUint8(capsulesAt + ICREQ.dgst, (headerDigest ? DGST.HDGST_ENABLE : 0) | (dataDigest ? DGST.DDGST_ENABLE : 0))
    this.#send(0, capsulesAt, IC_BYTES, 0)
    const deadlineMs = performance.now() + HANDSHAKE_MS
    while (this.#received() < IC_BYTES) this.#wait(deadlineMs)
    const at = this.#headAt()
    if (view.getUint8(at + CH.type) === PDU_TYPE.C2H_TERM_REQ) this.#terminated(at)
    if (view.getUint8(at + CH.type) !== PDU_TYPE.ICRESP) throw this.#misplaced()
    const digests = view.getUint8(at + ICRESP.dgst)
    this.#headerDigest = (digests & DGST.HDGST_ENABLE) !== 0
    this.#dataDigest = (digests & DGST.DDGST_ENABLE) !== 0
    if (this.#headerDigest !== headerDigest || this.#dataDigest !== dataDigest) {
      throw new HostError(`${this.#parts.name} does not use the digests that were asked for.`)
    }
    this.#unit = (view.getUint8(at + ICRESP.cpda) + 1) * DWORD
    this.#maxDataBytes = view.getUint32(at + ICRESP.maxh2cdata, true)
    if (this.#maxDataBytes < DWORD) throw this.#misplaced()
    this.#consume(IC_BYTES)
  }

  /**
   * One command of the handshake, alone on the queue: its data, or room for the answer, is that of slot 0.
   * Returns status and DW0.
   */
  execute(sqe: DataView, data: Uint8Array | null, answerBytes: number): { status: number; dw0: number; answer: Uint8Array } {
    const { arena, capsulesAt, dataAt, dataBytes } = this.#parts
    const bytes = data?.length ?? answerBytes
    if (bytes > dataBytes) throw this.#misplaced()
    if (data !== null) arena.bytes.set(data, dataAt)
    arena.bytes.set(bytesOf(sqe), capsulesAt + CH_BYTES)
    let result: { status: number; dw0: number } | null = null
    const before = this.done
    this.done = (_slot, status, dw0) => { result = { status, dw0 } }
    this.#prepare(0)
    this.#start(0, bytes, data !== null, true)
    const deadlineMs = performance.now() + HANDSHAKE_MS
    while (result === null) {
      this.#wait(deadlineMs)
      this.receive()
    }
    this.done = before
    return { ...(result as { status: number; dw0: number }), answer: arena.bytes.slice(dataAt, dataAt + answerBytes) }
  }

  /** What of a slot's capsule stays the same for all of its commands. */
  prepare(slot: number, nsid: number): void {
    const { arena, capsulesAt } = this.#parts
    const at = capsulesAt + slot * CAPSULE_STRIDE
    arena.bytes.fill(0, at, at + CAPSULE_STRIDE)
    this.#prepare(slot)
    this.#words[(at >> 2) + 3] = nsid
  }

  /** Reads or writes blocks: nlb is 0's based, bytes what they are. */
  start(slot: number, opcode: number, lba: number, nlb: number, bytes: number, writes: boolean): void {
    const words = this.#words
    const w = (this.#parts.capsulesAt + slot * CAPSULE_STRIDE) >> 2
    words[w + 2] = opcode | PSDT_SGL << 8 | slot << 16
    words[w + 12] = lba | 0
    words[w + 13] = (lba / 2 ** 32) | 0
    words[w + 14] = nlb
    this.#start(slot, bytes, writes, writes && bytes <= this.inCapsuleBytes)
  }

  /** Takes what has arrived; to be called after a turn. Throws a HostError where the connection has ended. */
  receive(): void {
    const view = this.#view
    for (let bytes = this.#received(); bytes >= CH_BYTES; bytes = this.#received()) {
      const at = this.#headAt()
      const plen = view.getUint32(at + CH.plen, true)
      if (plen < SHORT_HEADER_BYTES || plen > this.#parts.rxBytes) throw this.#misplaced()
      if (bytes < plen) break
      this.#take(at, plen)
      this.#consume(plen)
    }
    if (this.#words[this.#control + C.STATE] === STATE.OPEN) return
    const errno = this.#words[this.#control + C.ERROR]!
    throw new HostError(`${this.#parts.name} ended the connection${errno === 0 ? '' : ` (${errnoName(errno)})`}.`)
  }

  close(): void {
    this.#words[this.#control + C.FLAGS] = FLAG.CLOSE
    this.#touch()
  }

  get isClosed(): boolean {
    return this.#words[this.#control + C.STATE] === STATE.CLOSED
  }

  #prepare(slot: number): void {
    const { capsulesAt } = this.#parts
    const at = capsulesAt + slot * CAPSULE_STRIDE
    const w = at >> 2
    this.#view.setUint8(at + CH_BYTES + 1, PSDT_SGL)
    this.#view.setUint16(at + CH_BYTES + 2, slot, true)
    this.#words[w + 8] = 0
    this.#words[w + 9] = 0
  }

  #start(slot: number, bytes: number, writes: boolean, inCapsule: boolean): void {
    const { capsulesAt, dataAt, dataBytes } = this.#parts
    const words = this.#words
    const at = capsulesAt + slot * CAPSULE_STRIDE
    const w = at >> 2
    const brings = writes && inCapsule && bytes !== 0
    const headBytes = CAPSULE_CMD_BYTES + (this.#headerDigest ? DIGEST_BYTES : 0)
    const pdo = brings ? this.#padded(headBytes) : 0
    const flags = (this.#headerDigest ? PDU_FLAG.HDGSTF : 0) | (brings && this.#dataDigest ? PDU_FLAG.DDGSTF : 0)
    words[w] = PDU_TYPE.CAPSULE_CMD | flags << 8 | CAPSULE_CMD_BYTES << 16 | pdo << 24
    words[w + 1] = brings ? pdo + bytes + (this.#dataDigest ? DIGEST_BYTES : 0) : headBytes
    words[w + 10] = bytes
    words[w + 11] = (brings ? SGL_ID.IN_CAPSULE : SGL_ID.TRANSPORT) << 24
    this.#bytes[slot] = bytes
    this.#arrived[slot] = 0
    this.#busy[slot] = 1
    this.busyCount++
    this.#send(0, at, CAPSULE_CMD_BYTES, this.#headerDigest ? TX.DATA_DIGEST : 0)
    if (brings) this.#send(pdo - headBytes, dataAt + slot * dataBytes, bytes, this.#dataDigest ? TX.DATA_DIGEST : 0)
  }

  #padded(bytes: number): number {
    return Math.ceil(bytes / this.#unit) * this.#unit
  }

  #take(at: number, plen: number): void {
    const view = this.#view
    const type = view.getUint8(at + CH.type)
    if (type === PDU_TYPE.C2H_TERM_REQ) this.#terminated(at)
    if (this.#headerDigest) this.#check(at, SHORT_HEADER_BYTES, at + SHORT_HEADER_BYTES, 'header')
    if (type === PDU_TYPE.CAPSULE_RESP) {
      const cqe = at + CAPSULE_RESP.cqe
      const slot = this.#slotOf(view.getUint16(cqe + CQE.cid, true))
      return this.#finish(slot, view.getUint16(cqe + CQE.status, true) >> 1, view.getUint32(cqe + CQE.dw0, true))
    }
    if (type === PDU_TYPE.C2H_DATA) return this.#takeData(at, plen)
    if (type === PDU_TYPE.R2T) return this.#sendData(at)
    throw this.#misplaced()
  }

  #takeData(at: number, plen: number): void {
    const { arena, dataAt, dataBytes } = this.#parts
    const view = this.#view
    const slot = this.#slotOf(view.getUint16(at + C2H_DATA.cccid, true))
    const offset = view.getUint32(at + C2H_DATA.datao, true)
    const bytes = view.getUint32(at + C2H_DATA.datal, true)
    const from = at + view.getUint8(at + CH.pdo)
    const end = from + bytes + (this.#dataDigest ? DIGEST_BYTES : 0)
    if (offset !== this.#arrived[slot] || offset + bytes > this.#bytes[slot]! || end > at + plen) throw this.#misplaced()
    if (this.#dataDigest) this.#check(from, bytes, from + bytes, 'data')
    if (this.keeps) arena.bytes.copyWithin(dataAt + slot * dataBytes + offset, from, from + bytes)
    this.#arrived[slot] = offset + bytes
    if ((view.getUint8(at + CH.flags) & PDU_FLAG.SUCCESS) !== 0) this.#finish(slot, 0, 0)
  }

  /** What an R2T asks for. */
  #sendData(at: number): void {
    const { dataAt, dataBytes } = this.#parts
    const view = this.#view
    const words = this.#words
    const slot = this.#slotOf(view.getUint16(at + R2T.cccid, true))
    const tag = view.getUint16(at + R2T.ttag, true)
    const from = view.getUint32(at + R2T.r2to, true)
    const end = from + view.getUint32(at + R2T.r2tl, true)
    if (end > this.#bytes[slot]!) throw this.#misplaced()
    const headBytes = SHORT_HEADER_BYTES + (this.#headerDigest ? DIGEST_BYTES : 0)
    const pdo = this.#padded(headBytes)
    for (let offset = from; offset < end; offset += this.#maxDataBytes) {
      const bytes = Math.min(end - offset, this.#maxDataBytes)
      const last = offset + bytes === end
      const flags = (this.#headerDigest ? PDU_FLAG.HDGSTF : 0) | (this.#dataDigest ? PDU_FLAG.DDGSTF : 0) | (last ? PDU_FLAG.LAST : 0)
      const e = this.#send(pdo - headBytes, dataAt + slot * dataBytes + offset, bytes,
        (this.#headerDigest ? TX.HEADER_DIGEST : 0) | (this.#dataDigest ? TX.DATA_DIGEST : 0))
      words[e + T.HEADER_BYTES] = SHORT_HEADER_BYTES
      words[e + T.HEADER] = PDU_TYPE.H2C_DATA | flags << 8 | SHORT_HEADER_BYTES << 16 | pdo << 24
      words[e + T.HEADER + 1] = pdo + bytes + (this.#dataDigest ? DIGEST_BYTES : 0)
      words[e + T.HEADER + 2] = slot | tag << 16
      words[e + T.HEADER + 3] = offset
      words[e + T.HEADER + 4] = bytes
      words[e + T.HEADER + 5] = 0
    }
  }

  #finish(slot: number, status: number, dw0: number): void {
    this.#busy[slot] = 0
    this.busyCount--
    this.done(slot, status, dw0)
  }

  /** Whether everything that a read asks for has come. */
  isComplete(slot: number): boolean {
    return this.#arrived[slot] === this.#bytes[slot]
  }

  /** Takes the next entry of the send ring; returns its word index. */
  #send(padBytes: number, at: number, bytes: number, flags: number): number {
    const { txEntries, name } = this.#parts
    const words = this.#words
    const tail = words[this.#control + C.TX_TAIL]!
    if (((tail - words[this.#control + C.TX_HEAD]!) | 0) >= txEntries) {
      throw new HostError(`${name} asks for data in smaller pieces than there is room to send.`)
    }
    const e = this.#txWord + (tail & (txEntries - 1)) * 16
    words[e + T.FLAGS] = flags
    words[e + T.HEADER_BYTES] = 0
    words[e + T.PAD_BYTES] = padBytes
    words[e + T.REGION] = 0
    words[e + T.LO] = at
    words[e + T.HI] = 0
    words[e + T.BYTES] = bytes
    words[this.#control + C.TX_TAIL] = (tail + 1) | 0
    this.#touch()
    return e
  }

  /** The shim looks at what was touched. */
  #touch(): void {
    const words = this.#words
    if (words[this.#control + C.TOUCHED] === 1) return
    words[this.#control + C.TOUCHED] = 1
    words[(this.#parts.arena.touchedAt >> 2) + words[H.TOUCHED]!++] = this.#connection
  }

  #received(): number {
    return (this.#words[this.#control + C.RX_TAIL]! - this.#words[this.#control + C.RX_HEAD]!) | 0
  }

  #headAt(): number {
    return this.#rxAt + (this.#words[this.#control + C.RX_HEAD]! & (this.#parts.rxBytes - 1))
  }

  #consume(bytes: number): void {
    this.#words[this.#control + C.RX_HEAD] = (this.#words[this.#control + C.RX_HEAD]! + bytes) | 0
    this.#touch()
  }

  #wait(deadlineMs: number): void {
    if (performance.now() > deadlineMs) throw new HostError(`${this.#parts.name} does not answer.`)
    this.#parts.shim.turn()
    if (this.#words[this.#control + C.STATE] !== STATE.OPEN && this.#received() === 0) {
      throw new HostError(`${this.#parts.name} ended the connection.`)
    }
  }

  #check(at: number, bytes: number, digestAt: number, what: string): void {
    const computed = this.#parts.shim.crc32c(0, at, 0, bytes) | 0
    if (computed === this.#view.getInt32(digestAt, true)) return
    throw new HostError(`A ${what} digest of ${this.#parts.name} does not match what came with it.`)
  }

  #slotOf(cid: number): number {
    const slot = cid < this.#busy.length && this.#busy[cid] === 1 ? cid : NO_SLOT
    if (slot === NO_SLOT) throw this.#misplaced()
    return slot
  }

  #terminated(at: number): never {
    const fes = this.#view.getUint16(at + TERM_REQ.fes, true)
    const why = FES_TABLE.find((row) => row.fes === fes)?.name ?? `FES ${fes}`
    throw new HostError(`${this.#parts.name} terminated the connection: ${why}.`)
  }

  #misplaced(): HostError {
    return new HostError(`${this.#parts.name} sent a PDU that does not belong there.`)
  }
}
