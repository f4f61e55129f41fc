/**
 * Ends connections in order: a C2HTermReq that says what was wrong, then no more from us, then a bounded
 * wait for the host to close.                            NVMe/TCP 1.0a, 3.5.1.1 and 3.6.2.4
 *
 *   ┌ TERM_REQ 24 B: fes, fei ┬ copy of the offending header, up to 128 B ┐   never a digest
 *
 * The header is always appended: a Linux host with header digests reads 28 bytes before it looks at any.
 * Invariant: a connection sends at most one C2HTermReq, and nothing after it.
 */
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import { H } from '../shim/abi.ts'
import {
  CAPSULE_CMD_BYTES, FES, FES_TABLE, IC_BYTES, PDU_TYPE, SHORT_HEADER_BYTES, TERM_REQ, TERM_REQ_COPY_BYTES_MAX,
} from '../wire/pdu.ts'
import { type Connection, PHASE } from './connection.ts'
import type { Sender } from './send.ts'

/** How long a host may take to close after a C2HTermReq or our FIN. */
export const LINGER_MS = 2000
const COPY_BYTES_MIN = 8

export class Terminator {
  readonly #arena: Arena
  readonly #pages: Buffers
  readonly #sender: Sender
  /** By connection: arena offset of the page that holds its C2HTermReq, -1 = none. */
  readonly #pageAt: Int32Array

  constructor(arena: Arena, pages: Buffers, sender: Sender, connectionsMax: number) {
    this.#arena = arena
    this.#pages = pages
    this.#sender = sender
    this.#pageAt = new Int32Array(connectionsMax).fill(-1)
  }

  /** fes, fei: see wire/pdu.ts. at: arena offset of the offending PDU, of which `available` bytes are there. */
  terminate(connection: Connection, fes: number, fei: number, at: number, available: number): void {
    const row = FES_TABLE[fes - 1]!
    const field = fes === FES.INVALID_PDU_HEADER_FIELD ? ` at byte ${fei}` : ''
    this.#begin(connection, `${row.name}${field}: ${row.text}`)
    const pageAt = this.#pages.take(SHORT_HEADER_BYTES + TERM_REQ_COPY_BYTES_MAX)
    if (pageAt === -1) return
    this.#pageAt[connection.index] = pageAt
    const { view, bytes } = this.#arena
    const copied = Math.max(COPY_BYTES_MIN, Math.min(available, this.#headerBytes(at)))
    const plen = SHORT_HEADER_BYTES + copied
    bytes.fill(0, pageAt, pageAt + plen)
    view.setUint8(pageAt + TERM_REQ.type, PDU_TYPE.C2H_TERM_REQ)
    view.setUint8(pageAt + TERM_REQ.hlen, SHORT_HEADER_BYTES)
    view.setUint32(pageAt + TERM_REQ.plen, plen, true)
    view.setUint16(pageAt + TERM_REQ.fes, fes, true)
    view.setUint32(pageAt + TERM_REQ.fei, fei >>> 0, true)
    bytes.copyWithin(pageAt + SHORT_HEADER_BYTES, at, at + Math.min(copied, available))
    this.#sender.sendArena(connection, pageAt, plen)
  }

  /** The H2CTermReq at an arena offset: nothing is sent any more. */
  terminatedByHost(connection: Connection, at: number): void {
    const fes = this.#arena.view.getUint16(at + TERM_REQ.fes, true)
    const row = FES_TABLE.find((each) => each.fes === fes)
    const text = row === undefined ? `fatal error status ${fes}` : `${row.name}: ${row.text}`
    this.#begin(connection, `the host ended the connection: ${text}`)
  }

  /** Ends a connection without an error of the host's: what is queued is sent, then no more. */
  dismiss(connection: Connection, reason: string, lingerMs = LINGER_MS): void {
    if (connection.phase < PHASE.TERMINATING) this.#begin(connection, reason, lingerMs)
  }

  /** The connection has gone: its page is free again. */
  forget(connection: Connection): void {
    const pageAt = this.#pageAt[connection.index]!
    if (pageAt === -1) return
    this.#pages.give(pageAt)
    this.#pageAt[connection.index] = -1
  }

  #begin(connection: Connection, reason: string, lingerMs = LINGER_MS): void {
    connection.phase = PHASE.TERMINATING
    connection.reason = reason
    connection.deadlineMs = (this.#arena.words[H.NOW_MS]! + lingerMs) | 0
    this.#sender.finish(connection)
  }

  /** How much of the PDU at an arena offset is its header: as its type says, else what a TermReq can hold. */
  #headerBytes(at: number): number {
    const type = this.#arena.bytes[at]!
    if (type === PDU_TYPE.ICREQ) return IC_BYTES
    if (type === PDU_TYPE.CAPSULE_CMD) return CAPSULE_CMD_BYTES
    const hlen = this.#arena.bytes[at + 2]!
    if (type === PDU_TYPE.H2C_DATA || type === PDU_TYPE.H2C_TERM_REQ) return SHORT_HEADER_BYTES
    return Math.min(TERM_REQ_COPY_BYTES_MAX, Math.max(COPY_BYTES_MIN, hlen))
  }
}
