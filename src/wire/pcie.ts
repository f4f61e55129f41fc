/**
 * NVMe over PCIe: the registers of a controller in its BAR 0, and the commands that only the host of a PCIe
 * controller sends. Tables only; src/nvme reads and writes them.
 * NVMe Base 2.0, Controller Properties and I/O queue commands; NVMe over PCIe 1.0.
 *
 * What both transports share is in fabrics.ts (CAP, CC, CSTS), sqe.ts, cqe.ts and identify.ts.
 */
import { bits, layout } from './layout.ts'

const HEAD = {
  opcode: [0, 1], flags: [1, 1], cid: [2, 2], nsid: [4, 4], cdw2: [8, 4], cdw3: [12, 4],
  mptr: [16, 8], prp1: [24, 8], prp2: [32, 8],
} as const

/** Byte offsets. The doorbells begin at DOORBELLS: tail of SQ n at 2n, head of CQ n at 2n + 1 strides. */
export const REGISTER = Object.freeze({
  CAP: 0x00, VS: 0x08, INTMS: 0x0c, INTMC: 0x10, CC: 0x14, CSTS: 0x1c, NSSR: 0x20, AQA: 0x24,
  ASQ: 0x28, ACQ: 0x30, CRTO: 0x68, DOORBELLS: 0x1000,
})

/** Both 0-based. */
export const AQA_BITS = bits('AQA', 32, { asqs: [0, 12], acqs: [16, 12] })

/** Any command of a PCIe controller whose data are described by PRPs. */
export const PRP_COMMAND = layout('PRP_COMMAND', 64, {
  ...HEAD,
  cdw10: [40, 4], cdw11: [44, 4], cdw12: [48, 4], cdw13: [52, 4], cdw14: [56, 4], cdw15: [60, 4],
})

/** qsize: 0-based. pc: physically contiguous; ien: with interrupts. */
export const CREATE_IO_CQ = layout('CREATE_IO_CQ', 64, {
  ...HEAD, qid: [40, 2], qsize: [42, 2], flags2: [44, 2], vector: [46, 2], rsvd48: [48, 16],
})
export const CREATE_IO_CQ_BITS = bits('CREATE_IO_CQ flags2', 16, { pc: [0, 1], ien: [1, 1] })
export const CREATE_IO_SQ = layout('CREATE_IO_SQ', 64, {
  ...HEAD, qid: [40, 2], qsize: [42, 2], flags2: [44, 2], cqid: [46, 2], nvmsetid: [48, 2], rsvd50: [50, 14],
})
export const CREATE_IO_SQ_BITS = bits('CREATE_IO_SQ flags2', 16, { pc: [0, 1], qprio: [1, 2] })

/** SGL data block descriptor. Its identifier byte is type 0, subtype 0: an address. */
export const SGL_DATA_BLOCK = layout('SGL_DATA_BLOCK', 16, {
  address: [0, 8], bytes: [8, 4], rsvd12: [12, 3], id: [15, 1],
})

/** The phase of a completion is bit 16 of its last dword; the status is above it. */
export const CQE_PHASE = 1 << 16
export const CQE_STATUS_SHIFT = 17
