/**
 * Completion queue entries, as CapsuleResp carries them. Tables only; src/queue writes them.
 * NVMe Base 2.0, Completion Queue Entry; NVMe over Fabrics changes SQHD and SQID.
 *
 *   ┌ DW0 4 ┬ DW1 4 ┬ SQHD 2 ┬ SQID 2 ┬ CID 2 ┬ status 2 ┐
 *
 * status = code << 1 with a code of status.ts: bit 0, the phase, is always 0 on a fabric.
 */
import { bits, layout } from './layout.ts'

/** sqhd: FFFFh in the answer to a Connect that disabled SQ flow control. */
export const CQE = layout('CQE', 16, {
  dw0: [0, 4], dw1: [4, 4], sqhd: [8, 2], sqid: [10, 2], cid: [12, 2], status: [14, 2],
})

export const CQE_STATUS = bits('CQE status', 16, {
  p: [0, 1], sc: [1, 8], sct: [9, 3], crd: [12, 2], more: [14, 1], dnr: [15, 1],
})

/** Property Get answers with a 64-bit value in DW0 and DW1. */
export const CQE_PROPERTY_GET = layout('CQE_PROPERTY_GET', 16, {
  value: [0, 8], sqhd: [8, 2], sqid: [10, 2], cid: [12, 2], status: [14, 2],
})

/** A successful Connect. authreq: bit 1 ATR, authentication is required; bit 2 ASCR. */
export const CQE_CONNECT = layout('CQE_CONNECT', 16, {
  cntlid: [0, 2], authreq: [2, 2], rsvd4: [4, 4], sqhd: [8, 2], sqid: [10, 2], cid: [12, 2],
  status: [14, 2],
})

/** Connect Invalid Parameters. iattr bit 0: ipo counts from the start of the data, not the SQE. */
export const CQE_CONNECT_INVALID = layout('CQE_CONNECT_INVALID', 16, {
  ipo: [0, 2], iattr: [2, 1], rsvd3: [3, 5], sqhd: [8, 2], sqid: [10, 2], cid: [12, 2],
  status: [14, 2],
})

/** Asynchronous Event Request: type and information say what happened, lid which log has more. */
export const CQE_EVENT = layout('CQE_EVENT', 16, {
  type: [0, 1], info: [1, 1], lid: [2, 1], rsvd3: [3, 5], sqhd: [8, 2], sqid: [10, 2],
  cid: [12, 2], status: [14, 2],
})

/** SQHD of the answer to a Connect that disabled SQ flow control. */
export const SQHD_NO_FLOW_CONTROL = 0xffff
/** Bit 0 of DW0 of an Abort's completion: the command was not aborted. */
export const ABORT_NOT_ABORTED = 1

/** Asynchronous events, as DW0: type | info << 8 | lid << 16. */
export const EVENT = Object.freeze({
  NAMESPACE_ATTRIBUTE_CHANGED: 0x02 | 0x00 << 8 | 0x04 << 16,
  ANA_CHANGED: 0x02 | 0x03 << 8 | 0x0c << 16,
  DISCOVERY_LOG_CHANGED: 0x02 | 0xf0 << 8 | 0x70 << 16,
})
