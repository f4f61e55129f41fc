/**
 * The handshake of a connection: ICReq in, ICResp out, in one piece (Linux reads it once).
 * receive calls it with a whole ICReq.                NVMe/TCP 1.0a, 3.6.2.2 and 3.6.2.3
 *
 * The answer depends on the digests alone, so its four forms are written once, at start.
 * Invariant: CPDA is 0, because Linux takes nothing else.
 */
import type { Arena } from '../reactor/arena.ts'
import { DGST, IC_BYTES, ICREQ, ICRESP, PDA_MAX, PDU_TYPE } from '../wire/pdu.ts'
import { type Connection, PHASE } from './connection.ts'
import type { Sender } from './send.ts'

/** MAXH2CDATA: large, so that a host sends an R2T's data in one PDU where it likes. Bytes. */
export const H2C_DATA_BYTES_MAX = 4 * 1024 * 1024
const FORMS = 4

export class Handshake {
  readonly #arena: Arena
  readonly #sender: Sender
  readonly #formsAt: number
  readonly #joinMs: number

  /** formsAt: arena offset of 512 bytes of its own. joinMs: how long a host then has for Connect. */
  constructor(arena: Arena, sender: Sender, formsAt: number, joinMs: number) {
    this.#arena = arena
    this.#sender = sender
    this.#formsAt = formsAt
    this.#joinMs = joinMs
    const view = arena.view
    for (let form = 0; form < FORMS; form++) {
      const at = formsAt + form * IC_BYTES
      arena.bytes.fill(0, at, at + IC_BYTES)
      view.setUint8(at + ICRESP.type, PDU_TYPE.ICRESP)
      view.setUint8(at + ICRESP.hlen, IC_BYTES)
      view.setUint32(at + ICRESP.plen, IC_BYTES, true)
      view.setUint8(at + ICRESP.dgst, form)
      view.setUint32(at + ICRESP.maxh2cdata, H2C_DATA_BYTES_MAX, true)
    }
  }

  /** Answers the ICReq at an arena offset. -1, or the offset of the field that is wrong. */
  greet(connection: Connection, at: number): number {
    const view = this.#arena.view
    if (view.getUint16(at + ICREQ.pfv, true) !== 0) return ICREQ.pfv
    const hpda = view.getUint8(at + ICREQ.hpda)
    if (hpda > PDA_MAX) return ICREQ.hpda
    const form = view.getUint8(at + ICREQ.dgst) & (DGST.HDGST_ENABLE | DGST.DDGST_ENABLE)
    const transfersMax = Math.min(view.getUint32(at + ICREQ.maxr2t, true) + 1, 65536)
    connection.agree(
      (form & DGST.HDGST_ENABLE) !== 0, (form & DGST.DDGST_ENABLE) !== 0, (hpda + 1) * 4, transfersMax,
    )
    connection.phase = PHASE.JOINING
    connection.deadlineMs = (connection.deadlineMs + this.#joinMs) | 0
    this.#sender.sendArena(connection, this.#formsAt + form * IC_BYTES, IC_BYTES)
    return -1
  }
}
