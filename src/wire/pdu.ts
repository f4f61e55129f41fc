/**
 * PDUs: the frames of NVMe/TCP. Tables only; src/tcp reads and writes them.
 * NVMe/TCP Transport 1.0a, PDU structure and PDU definitions.
 *
 *   ┌ CH 8 B ┬ PSH hlen-8 ┬ HDGST 0|4 ┬ PAD → pdo ┬ DATA ┬ DDGST 0|4 ┐   plen counts all of it
 *
 * hlen excludes the header digest and is fixed for a type. pdo is 0 where a PDU carries no data.
 * All numbers are little-endian.
 */
import { bits, layout } from './layout.ts'

/** The common header, which starts every PDU. */
export const CH = layout('CH', 8, {
  type: [0, 1], flags: [1, 1], hlen: [2, 1], pdo: [3, 1], plen: [4, 4],
})

/** hpda: 0-based dwords. maxr2t: 0-based, R2Ts outstanding for a command. */
export const ICREQ = layout('ICREQ', 128, {
  type: [0, 1], flags: [1, 1], hlen: [2, 1], pdo: [3, 1], plen: [4, 4],
  pfv: [8, 2], hpda: [10, 1], dgst: [11, 1], maxr2t: [12, 4], rsvd16: [16, 112],
})

/** cpda: 0-based dwords; Linux takes 0 only. maxh2cdata: bytes, at least 4096, a multiple of 4. */
export const ICRESP = layout('ICRESP', 128, {
  type: [0, 1], flags: [1, 1], hlen: [2, 1], pdo: [3, 1], plen: [4, 4],
  pfv: [8, 2], cpda: [10, 1], dgst: [11, 1], maxh2cdata: [12, 4], rsvd16: [16, 112],
})

/** sqe: see sqe.ts. In-capsule data starts at pdo. */
export const CAPSULE_CMD = layout('CAPSULE_CMD', 72, {
  type: [0, 1], flags: [1, 1], hlen: [2, 1], pdo: [3, 1], plen: [4, 4],
  sqe: [8, 64],
})

/** cqe: see cqe.ts. */
export const CAPSULE_RESP = layout('CAPSULE_RESP', 24, {
  type: [0, 1], flags: [1, 1], hlen: [2, 1], pdo: [3, 1], plen: [4, 4],
  cqe: [8, 16],
})

/** r2to, r2tl: bytes of the command's data that the controller asks for. */
export const R2T = layout('R2T', 24, {
  type: [0, 1], flags: [1, 1], hlen: [2, 1], pdo: [3, 1], plen: [4, 4],
  cccid: [8, 2], ttag: [10, 2], r2to: [12, 4], r2tl: [16, 4], rsvd20: [20, 4],
})

/** ttag is the host's copy of the R2T's and is not to be trusted. datao, datal: bytes. */
export const H2C_DATA = layout('H2C_DATA', 24, {
  type: [0, 1], flags: [1, 1], hlen: [2, 1], pdo: [3, 1], plen: [4, 4],
  cccid: [8, 2], ttag: [10, 2], datao: [12, 4], datal: [16, 4], rsvd20: [20, 4],
})

/** Linux ignores pdo and datao: data must follow the header at once and in order. */
export const C2H_DATA = layout('C2H_DATA', 24, {
  type: [0, 1], flags: [1, 1], hlen: [2, 1], pdo: [3, 1], plen: [4, 4],
  cccid: [8, 2], rsvd10: [10, 2], datao: [12, 4], datal: [16, 4], rsvd20: [20, 4],
})

/** H2CTermReq, C2HTermReq. fei is 4 bytes at offset 10: not aligned. Then the offending header. */
export const TERM_REQ = layout('TERM_REQ', 24, {
  type: [0, 1], flags: [1, 1], hlen: [2, 1], pdo: [3, 1], plen: [4, 4],
  fes: [8, 2], fei: [10, 4], rsvd14: [14, 10],
})

export const PDU_TYPE = Object.freeze({
  ICREQ: 0x00, ICRESP: 0x01, H2C_TERM_REQ: 0x02, C2H_TERM_REQ: 0x03, CAPSULE_CMD: 0x04,
  CAPSULE_RESP: 0x05, H2C_DATA: 0x06, C2H_DATA: 0x07, R2T: 0x09,
})

/**
 * The rules of each type. digest: a header digest may follow the header. content: whether data
 * may (and with 'always' must) follow; a data digest covers it except in a TermReq.
 */
export type PduRules = {
  readonly type: number
  readonly name: string
  readonly sender: 'host' | 'target'
  readonly digest: boolean
  readonly content: 'never' | 'maybe' | 'always'
  readonly header: object
}

const pdu = (
  type: number, name: string, sender: PduRules['sender'], digest: boolean,
  content: PduRules['content'], header: object,
): PduRules => Object.freeze({ type, name, sender, digest, content, header })

export const PDUS: readonly PduRules[] = Object.freeze([
  pdu(0x00, 'ICReq', 'host', false, 'never', ICREQ),
  pdu(0x01, 'ICResp', 'target', false, 'never', ICRESP),
  pdu(0x02, 'H2CTermReq', 'host', false, 'always', TERM_REQ),
  pdu(0x03, 'C2HTermReq', 'target', false, 'always', TERM_REQ),
  pdu(0x04, 'CapsuleCmd', 'host', true, 'maybe', CAPSULE_CMD),
  pdu(0x05, 'CapsuleResp', 'target', true, 'never', CAPSULE_RESP),
  pdu(0x06, 'H2CData', 'host', true, 'always', H2C_DATA),
  pdu(0x07, 'C2HData', 'target', true, 'always', C2H_DATA),
  pdu(0x09, 'R2T', 'target', true, 'never', R2T),
])

/** flags of the common header, as masks. LAST ends an R2T (H2CData) or a command (C2HData). */
export const PDU_FLAG = Object.freeze({ HDGSTF: 1, DDGSTF: 2, LAST: 4, SUCCESS: 8 })

export const PDU_FLAG_BITS = bits('PDU flags', 8, {
  hdgstf: [0, 1], ddgstf: [1, 1], last: [2, 1], success: [3, 1],
})

/** dgst of ICReq and ICResp, as masks. */
export const DGST = Object.freeze({ HDGST_ENABLE: 1, DDGST_ENABLE: 2 })

export const DIGEST_BYTES = 4
export const CH_BYTES = 8
export const IC_BYTES = 128
export const CAPSULE_CMD_BYTES = 72
/** CapsuleResp, R2T, H2CData, C2HData, TermReq: all the other headers. */
export const SHORT_HEADER_BYTES = 24
/** A TermReq copies at most this much of the offending PDU's header. */
export const TERM_REQ_COPY_BYTES_MAX = 128
/** xPDA is in 0-based dwords; 31 is the most the field may say. */
export const PDA_MAX = 31
/** MAXH2CDATA may not be less. */
export const MAXH2CDATA_BYTES_MIN = 4096
/** In-capsule data that every target takes on the admin queue and with Fabrics commands. */
export const ADMIN_IN_CAPSULE_BYTES = 8192

/** Fatal error status of a TermReq. */
export const FES = Object.freeze({
  INVALID_PDU_HEADER_FIELD: 1, PDU_SEQUENCE_ERROR: 2, HEADER_DIGEST_ERROR: 3,
  DATA_TRANSFER_OUT_OF_RANGE: 4, DATA_TRANSFER_LIMIT_EXCEEDED: 5, UNSUPPORTED_PARAMETER: 6,
})

/** fei: what the four bytes at TERM_REQ.fei say. */
export const FES_TABLE = Object.freeze([
  { fes: 1, name: 'Invalid PDU Header Field', fei: 'offset of the field', text:
    'a field of the header, such as HLEN, PLEN, PDO or the type, has a value it may not have' },
  { fes: 2, name: 'PDU Sequence Error', fei: 'reserved', text:
    'the PDU may not come at this point, or belongs to no command or transfer that is open' },
  { fes: 3, name: 'Header Digest Error', fei: 'the digest received', text:
    'the digest of the header does not match its bytes' },
  { fes: 4, name: 'Data Transfer Out of Range', fei: 'reserved', text:
    'the data is not the next of its transfer or reaches beyond its end' },
  { fes: 5, name: 'Data Transfer Limit Exceeded', fei: 'reserved', text:
    'more data, or more R2Ts, than was agreed on' },
  { fes: 6, name: 'Unsupported Parameter', fei: 'offset of the field', text:
    'the value is legal, but this side does not support it' },
])
