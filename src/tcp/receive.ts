/**
 * Receives PDUs: turns the bytes of one connection into whole PDUs, in place.
 * reactor → receive → queue.                          NVMe/TCP Transport 1.0a, 3.6 PDU definitions
 *
 *   ┌ CH 8 B ┬ PSH hlen-8 ┬ HDGST 0|4 ┬ PAD → pdo ┬ DATA ┬ DDGST 0|4 ┐   plen = all of it
 *
 * A capsule is looked at when all of it is in the ring; H2CData when its header is, and its payload goes to the
 * slot's place as it comes: copied as far as it is in the ring, received there directly for the rest.
 * Invariant: consumed <= received; nothing is consumed of a PDU that could not be admitted yet.
 */
import type { Arena } from '../reactor/arena.ts'
import type { Work } from '../reactor/work.ts'
import { C as C_, STATE as STATE_ } from '../shim/abi.ts'
import {
  type Admission, ADMITTED as ADMITTED_, MISMATCH as MISMATCH_, STALL as STALL_,
} from '../queue/admit.ts'
import type { Transfers } from '../queue/transfer.ts'
import {
  ADMIN_IN_CAPSULE_BYTES as ADMIN_IN_CAPSULE_BYTES_, CAPSULE_CMD as CAPSULE_CMD_,
  CAPSULE_CMD_BYTES as CAPSULE_CMD_BYTES_, CH as CH_, CH_BYTES as CH_BYTES_, DIGEST_BYTES as DIGEST_BYTES_, FES as FES_, H2C_DATA as H2C_DATA_, IC_BYTES as IC_BYTES_, PDU_FLAG as PDU_FLAG_,
  PDU_TYPE as PDU_TYPE_, SHORT_HEADER_BYTES as SHORT_HEADER_BYTES_, TERM_REQ_COPY_BYTES_MAX as TERM_REQ_COPY_BYTES_MAX_,
} from '../wire/pdu.ts'
import { type Connection, PHASE as PHASE_ } from './connection.ts'
import type { Digests } from './digest.ts'
import type { Handshake } from './handshake.ts'
import type { Terminator } from './terminate.ts'
import type { Sender } from './send.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const C = C_
const STATE = STATE_
const ADMITTED = ADMITTED_
const MISMATCH = MISMATCH_
const STALL = STALL_
const ADMIN_IN_CAPSULE_BYTES = ADMIN_IN_CAPSULE_BYTES_
const CAPSULE_CMD = CAPSULE_CMD_
const CAPSULE_CMD_BYTES = CAPSULE_CMD_BYTES_
const CH = CH_
const CH_BYTES = CH_BYTES_
const DIGEST_BYTES = DIGEST_BYTES_
const FES = FES_
const H2C_DATA = H2C_DATA_
const IC_BYTES = IC_BYTES_
const PDU_FLAG = PDU_FLAG_
const PDU_TYPE = PDU_TYPE_
const SHORT_HEADER_BYTES = SHORT_HEADER_BYTES_
const TERM_REQ_COPY_BYTES_MAX = TERM_REQ_COPY_BYTES_MAX_
const PHASE = PHASE_

/** A payload rest at least this long is received directly into its place. */
const PLACE_BYTES_MIN = 2048
/** What a step of the loop says when it has not consumed anything: more bytes, or a resource, must come. */
const WAIT = -1
const HOST_PDO_UNIT = 4

export class Receiver {
  readonly #arena: Arena
  readonly #words: Int32Array
  readonly #work: Work
  readonly #transfers: Transfers
  readonly #admission: Admission
  readonly #digests: Digests
  readonly #handshake: Handshake
  readonly #terminator: Terminator
  readonly #sender: Sender
  readonly #stalled: (connection: Connection) => void
  readonly #rxMask: number
  readonly #capsuleDataMax: number
  /** Arena offset of an aligned copy of a header that the ring holds unaligned. */
  readonly #alignedAt: number

  constructor(parts: {
    arena: Arena, work: Work, transfers: Transfers, admission: Admission, digests: Digests,
    handshake: Handshake, terminator: Terminator, sender: Sender, stalled: (connection: Connection) => void,
    rxBytes: number, inCapsuleBytes: number, alignedAt: number,
  }) {
    this.#arena = parts.arena
    this.#words = parts.arena.words
    this.#work = parts.work
    this.#transfers = parts.transfers
    this.#admission = parts.admission
    this.#digests = parts.digests
    this.#handshake = parts.handshake
    this.#terminator = parts.terminator
    this.#sender = parts.sender
    this.#stalled = parts.stalled
    this.#rxMask = parts.rxBytes - 1
    this.#capsuleDataMax = Math.max(parts.inCapsuleBytes, ADMIN_IN_CAPSULE_BYTES)
    this.#alignedAt = parts.alignedAt
  }

  /** Consumes as much of the connection's ring as can be. Idempotent. */
  receive(connection: Connection): void {
    const words = this.#words
    const control = connection.control
    if (connection.placingBytes !== 0) this.#placed(connection)
    const tail = words[control + C.RX_TAIL]!
    let head = words[control + C.RX_HEAD]!
    if (connection.headerDigestBytes + connection.dataDigestBytes !== 0) this.#digests.forget()
    for (;;) {
      if (connection.phase >= PHASE.TERMINATING) {
        head = tail
        break
      }
      const available = (tail - head) | 0
      const at = connection.rxAt + (head & this.#rxMask)
      const used = connection.payloadTag !== -1
        ? this.#payload(connection, at, available)
        : this.#pdu(connection, at, available)
      if (used === WAIT) break
      head = (head + used) | 0
    }
    words[control + C.RX_HEAD] = head
    if (connection.payloadBytes >= PLACE_BYTES_MIN && head === tail) this.#place(connection)
    if (words[control + C.STATE] === STATE.OPEN) this.#sender.touch(connection)
  }

  /** One PDU, or the header of an H2CData, at arena offset at. Bytes consumed, or WAIT. */
  #pdu(connection: Connection, at: number, available: number): number {
    if (available < CH_BYTES) return WAIT
    const headerAt = (at & 3) === 0 ? at : this.#align(at, available)
    const w = headerAt >> 2
    const word0 = this.#words[w]!
    const plen = this.#words[w + 1]!
    const type = word0 & 0xff
    if (type === PDU_TYPE.CAPSULE_CMD && connection.phase >= PHASE.JOINING) {
      return this.#capsule(connection, at, w, word0, plen, available)
    }
    if (type === PDU_TYPE.H2C_DATA && connection.phase >= PHASE.JOINING) {
      // Of a second Connect, perhaps, while the first is being decided on.
      if (connection.phase === PHASE.ADMITTING) return WAIT
      return this.#data(connection, at, w, word0, plen, available)
    }
    if (type === PDU_TYPE.ICREQ && connection.phase === PHASE.GREETING) {
      return this.#greeting(connection, at, word0, plen, available)
    }
    if (type === PDU_TYPE.H2C_TERM_REQ) return this.#goodbye(connection, at, word0, plen, available)
    const known = type === PDU_TYPE.CAPSULE_CMD || type === PDU_TYPE.H2C_DATA || type === PDU_TYPE.ICREQ
    if (known) return this.#fail(connection, FES.PDU_SEQUENCE_ERROR, 0, at, available)
    return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, CH.type, at, available)
  }

  #capsule(
    connection: Connection, at: number, w: number, word0: number, plen: number, available: number,
  ): number {
    const flags = (word0 >>> 8) & 0xff
    const pdo = word0 >>> 24
    const headerBytes = CAPSULE_CMD_BYTES + connection.headerDigestBytes
    if (((word0 >>> 16) & 0xff) !== CAPSULE_CMD_BYTES) {
      return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, CH.hlen, at, available)
    }
    const hasData = plen !== headerBytes
    const bad = this.#capsuleFault(connection, flags, pdo, plen, headerBytes, hasData)
    if (bad >= 0) return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, bad, at, available)
    if (hasData && plen > headerBytes + 255 + this.#capsuleDataMax + DIGEST_BYTES) {
      return this.#fail(connection, FES.DATA_TRANSFER_LIMIT_EXCEEDED, 0, at, available)
    }
    if (available < plen) return WAIT
    if (connection.headerDigestBytes !== 0 && !this.#digests.headerMatches(
      at, CAPSULE_CMD_BYTES, plen, at + available,
    )) {
      return this.#fail(connection, FES.HEADER_DIGEST_ERROR, this.#digests.at(at + CAPSULE_CMD_BYTES), at, available)
    }
    if (connection.phase === PHASE.ADMITTING) return WAIT
    if (this.#work.copyRoom() < 1 || !this.#sender.hasRoom(connection)) {
      return this.#wait(connection)
    }
    const dataBytes = hasData ? plen - pdo - connection.dataDigestBytes : 0
    const dataAt = at + pdo
    const digestFailed = hasData && connection.dataDigestBytes !== 0 &&
      !this.#digests.dataMatches(dataAt, dataBytes, plen, at + available)
    const result = this.#admission.admit(
      connection, w + (CAPSULE_CMD.sqe >> 2), dataAt, dataBytes, digestFailed,
    )
    if (result === ADMITTED) return plen
    if (result === STALL) return this.#wait(connection)
    return result === MISMATCH
      ? this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, CH.plen, at, available)
      : this.#fail(connection, FES.DATA_TRANSFER_LIMIT_EXCEEDED, 0, at, available)
  }

  /** Offset of the header field that is wrong, or -1. */
  #capsuleFault(
    connection: Connection, flags: number, pdo: number, plen: number, headerBytes: number, hasData: boolean,
  ): number {
    if (((flags & PDU_FLAG.HDGSTF) !== 0) !== (connection.headerDigestBytes !== 0)) return CH.flags
    if (plen < headerBytes) return CH.plen
    if (!hasData) return -1
    if (((flags & PDU_FLAG.DDGSTF) !== 0) !== (connection.dataDigestBytes !== 0)) return CH.flags
    if (pdo < headerBytes || pdo % HOST_PDO_UNIT !== 0) return CH.pdo
    return plen <= pdo + connection.dataDigestBytes ? CH.plen : -1
  }

  /** H2CData: consumes the header and what pads it, and opens the payload. */
  #data(
    connection: Connection, at: number, w: number, word0: number, plen: number, available: number,
  ): number {
    const words = this.#words
    const flags = (word0 >>> 8) & 0xff
    const pdo = word0 >>> 24
    const headerBytes = SHORT_HEADER_BYTES + connection.headerDigestBytes
    let fault = -1
    if (((word0 >>> 16) & 0xff) !== SHORT_HEADER_BYTES) fault = CH.hlen
    else if (((flags & PDU_FLAG.HDGSTF) !== 0) !== (connection.headerDigestBytes !== 0)) fault = CH.flags
    else if (((flags & PDU_FLAG.DDGSTF) !== 0) !== (connection.dataDigestBytes !== 0)) fault = CH.flags
    else if (pdo < headerBytes || pdo % HOST_PDO_UNIT !== 0) fault = CH.pdo
    else if (plen <= pdo + connection.dataDigestBytes) fault = CH.plen
    if (fault >= 0) return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, fault, at, available)
    if (available < pdo) return WAIT
    if (connection.headerDigestBytes !== 0 && !this.#digests.headerMatches(
      at, SHORT_HEADER_BYTES, plen, at + available,
    )) {
      return this.#fail(connection, FES.HEADER_DIGEST_ERROR, this.#digests.at(at + SHORT_HEADER_BYTES), at, available)
    }
    const transfers = this.#transfers
    const tag = words[w + (H2C_DATA.cccid >> 2)]! >>> 16
    const offset = words[w + (H2C_DATA.datao >> 2)]!
    const bytes = words[w + (H2C_DATA.datal >> 2)]!
    if (!transfers.matches(tag, connection.index, words[w + (H2C_DATA.cccid >> 2)]! & 0xffff)) {
      return this.#fail(connection, FES.PDU_SEQUENCE_ERROR, 0, at, available)
    }
    if (bytes !== plen - pdo - connection.dataDigestBytes) {
      return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, CH.plen, at, available)
    }
    const next = transfers.next[tag]!
    const end = transfers.end[tag]!
    if (offset !== next || bytes > end - next) {
      return this.#fail(connection, FES.DATA_TRANSFER_OUT_OF_RANGE, 0, at, available)
    }
    if (((flags & PDU_FLAG.LAST) !== 0) !== (next + bytes === end)) {
      return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, CH.flags, at, available)
    }
    this.#open(connection, tag, offset, bytes)
    return pdo
  }

  #open(connection: Connection, tag: number, offset: number, bytes: number): void {
    const slot = this.#transfers.slotOf(tag)
    const lo = (slot.lo >>> 0) + offset
    connection.payloadTag = tag
    connection.payloadBytes = bytes
    connection.payloadLength = bytes
    connection.payloadRegion = slot.region
    connection.payloadLo = lo | 0
    connection.payloadHi = slot.hi + (lo >= 4294967296 ? 1 : 0)
    connection.payloadStartLo = connection.payloadLo
    connection.payloadStartHi = connection.payloadHi
  }

  /** Payload of the open H2CData, then its digest. Bytes consumed, or WAIT. */
  #payload(connection: Connection, at: number, available: number): number {
    if (connection.payloadBytes !== 0) {
      if (available <= 0) return WAIT
      if (this.#work.copyRoom() < 1) return this.#wait(connection)
      const bytes = Math.min(available, connection.payloadBytes)
      const slot = this.#transfers.slotOf(connection.payloadTag)
      this.#admission.place(slot, this.#transfers.next[connection.payloadTag]! +
        connection.payloadLength - connection.payloadBytes, at, bytes)
      this.#advance(connection, bytes)
      return bytes
    }
    // A host can answer R2Ts that it has not read yet, and a new one takes room that its old ones still have.
    if (connection.transfersMax !== 1 && !this.#sender.hasRoomToAsk(connection)) return this.#wait(connection)
    let used = 0
    if (connection.dataDigestBytes !== 0) {
      if (available < DIGEST_BYTES) return WAIT
      used = DIGEST_BYTES
      const matches = this.#digests.placeMatches(
        connection.payloadRegion, connection.payloadStartLo, connection.payloadStartHi,
        connection.payloadLength, at,
      )
      if (!matches) this.#transfers.slotOf(connection.payloadTag).digestFailed = 1
    }
    const tag = connection.payloadTag
    connection.payloadTag = -1
    const slot = this.#transfers.slotOf(tag)
    if (this.#transfers.arrived(tag, connection.payloadLength) &&
      this.#transfers.close(tag, connection.transfersMax)) {
      this.#admission.complete(slot, connection.queue)
    }
    return used
  }

  #advance(connection: Connection, bytes: number): void {
    const lo = (connection.payloadLo >>> 0) + bytes
    connection.payloadLo = lo | 0
    if (lo >= 4294967296) connection.payloadHi++
    connection.payloadBytes -= bytes
  }

  /** Asks the shim to receive the rest of the payload where it belongs. */
  #place(connection: Connection): void {
    const words = this.#words
    const control = connection.control
    words[control + C.PLACE_REGION] = connection.payloadRegion
    words[control + C.PLACE_LO] = connection.payloadLo
    words[control + C.PLACE_HI] = connection.payloadHi
    words[control + C.PLACE_BYTES] = connection.payloadBytes
    connection.placingBytes = connection.payloadBytes
  }

  /** Takes note of what the shim has placed since. */
  #placed(connection: Connection): void {
    const rest = this.#words[connection.control + C.PLACE_BYTES]!
    this.#advance(connection, connection.placingBytes - rest)
    connection.placingBytes = rest
  }

  #greeting(
    connection: Connection, at: number, word0: number, plen: number, available: number,
  ): number {
    if (((word0 >>> 16) & 0xff) !== IC_BYTES) {
      return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, CH.hlen, at, available)
    }
    if (plen !== IC_BYTES) return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, CH.plen, at, available)
    if (available < IC_BYTES) return WAIT
    const fault = this.#handshake.greet(connection, at)
    if (fault >= 0) return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, fault, at, available)
    return IC_BYTES
  }

  /** H2CTermReq: the host ends the connection and says why. */
  #goodbye(connection: Connection, at: number, word0: number, plen: number, available: number): number {
    if (((word0 >>> 16) & 0xff) !== SHORT_HEADER_BYTES) {
      return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, CH.hlen, at, available)
    }
    if (plen < SHORT_HEADER_BYTES || plen > SHORT_HEADER_BYTES + TERM_REQ_COPY_BYTES_MAX) {
      return this.#fail(connection, FES.INVALID_PDU_HEADER_FIELD, CH.plen, at, available)
    }
    if (available < plen) return WAIT
    this.#terminator.terminatedByHost(connection, at)
    return plen
  }

  /** Backpressure: not now; the connection is looked at again when a slot or a buffer is given back. */
  #wait(connection: Connection): number {
    this.#stalled(connection)
    return WAIT
  }

  #fail(connection: Connection, fes: number, fei: number, at: number, available: number): number {
    this.#terminator.terminate(connection, fes, fei, at, available)
    return 0
  }

  #align(at: number, available: number): number {
    const bytes = Math.min(available, IC_BYTES)
    this.#arena.bytes.copyWithin(this.#alignedAt, at, at + bytes)
    return this.#alignedAt
  }
}

