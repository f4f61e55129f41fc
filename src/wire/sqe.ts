/**
 * Submission queue entries, as CapsuleCmd carries them. Tables only; src/queue and src/controller
 * decode them.            NVMe Base 2.0, Submission Queue Entry; NVM Command Set 1.0.
 *
 *   ┌ opcode 1 ┬ flags 1 ┬ CID 2 ┬ NSID 4 ┬ CDW2-3 8 ┬ MPTR 8 ┬ SGL1 16 ┬ CDW10-15 24 ┐
 *
 * One layout a command, all 64 bytes, all with the same head. Where the specification puts bit
 * fields into a dword, the layout names the bytes and a bits() table beside it the rest.
 * The commands of a fabric (opcode 7Fh) are in fabrics.ts.
 */
import { bits, layout } from './layout.ts'

const HEAD = {
  opcode: [0, 1], flags: [1, 1], cid: [2, 2], nsid: [4, 4], cdw2: [8, 4], cdw3: [12, 4],
  mptr: [16, 8], sglAddress: [24, 8], sglLength: [32, 4], rsvd36: [36, 3], sglId: [39, 1],
} as const

export const SQE_BYTES = 64

export const SQE = layout('SQE', 64, {
  ...HEAD,
  cdw10: [40, 4], cdw11: [44, 4], cdw12: [48, 4], cdw13: [52, 4], cdw14: [56, 4], cdw15: [60, 4],
})

/** fuse: 1 first, 2 second. psdt: 1 = SGL, the only one on a fabric. */
export const SQE_FLAGS = bits('SQE flags', 8, { fuse: [0, 2], psdt: [6, 2] })
export const PSDT_SGL = 0x40

/** Identifier byte of SGL1: type << 4 | subtype. */
export const SGL_ID = Object.freeze({
  /** Data in the capsule; the address is an offset into it and must be 0. */
  IN_CAPSULE: 0x01,
  /** Data moves by R2T and H2CData or by C2HData; length 0 means that there is none. */
  TRANSPORT: 0x5a,
})

// ---- I/O commands -----------------------------------------------------------------------------

/** Read, Write, Compare, Write Zeroes, Write Uncorrectable, Verify. nlb is 0-based. */
export const READ_WRITE = layout('READ_WRITE', 64, {
  ...HEAD,
  slba: [40, 8], nlb: [48, 2], control: [50, 2], dsm: [52, 1], rsvd53: [53, 1], dspec: [54, 2],
  reftag: [56, 4], apptag: [60, 2], appmask: [62, 2],
})

/** Bits 31:16 of CDW12. deac: Write Zeroes only. */
export const RW_CONTROL_BITS = bits('READ_WRITE control', 16, {
  dtype: [4, 4], stc: [8, 1], deac: [9, 1], prinfo: [10, 4], fua: [14, 1], lr: [15, 1],
})
/** The same as masks of `control`. */
export const RW_CONTROL = Object.freeze({
  DTYPE: 0x00f0, STC: 0x0100, DEAC: 0x0200, PRINFO: 0x3c00, PRACT: 0x2000, FUA: 0x4000, LR: 0x8000,
})

/** Dataset Management. nr is 0-based. */
export const DSM = layout('DSM', 64, {
  ...HEAD,
  nr: [40, 1], rsvd41: [41, 3], attributes: [44, 4], rsvd48: [48, 16],
})
export const DSM_ATTRIBUTE_BITS = bits('DSM attributes', 32, {
  idr: [0, 1], idw: [1, 1], ad: [2, 1],
})
/** Deallocate. */
export const DSM_AD = 4
export const DSM_RANGES_MAX = 256

/** One range of Dataset Management. nlb is not 0-based. */
export const DSM_RANGE = layout('DSM_RANGE', 16, { cattr: [0, 4], nlb: [4, 4], slba: [8, 8] })
export const DSM_RANGE_BYTES = 16

/** Copy. sdlba: where the blocks go. nr is 0-based. */
export const COPY = layout('COPY', 64, {
  ...HEAD,
  sdlba: [40, 8], nr: [48, 1], format: [49, 1], control: [50, 2], rsvd52: [52, 2], dspec: [54, 2],
  reftag: [56, 4], apptag: [60, 2], appmask: [62, 2],
})
/** df: the form of the source ranges, an index into COPY_FORMATS. */
export const COPY_CDW12 = bits('COPY CDW12', 32, {
  nr: [0, 8], df: [8, 4], prinfor: [12, 4], dtype: [20, 4], prinfow: [26, 4], fua: [30, 1], lr: [31, 1],
})
/** A source range: nlb is 0-based. Form 1 has longer tags after the same head. */
export const COPY_RANGE = layout('COPY_RANGE', 32, {
  rsvd0: [0, 8], slba: [8, 8], nlb: [16, 2], rsvd18: [18, 6], reftag: [24, 4], apptag: [28, 2],
  appmask: [30, 2],
})
/** Bytes of a source range by its form; OCFS has a bit for each. */
export const COPY_FORMATS: readonly number[] = [32, 40]

/** Zone Management Send. cdw13: ZONE_SEND_CDW13 of zone.ts. */
export const ZONE_MANAGEMENT_SEND = layout('ZONE_MANAGEMENT_SEND', 64, {
  ...HEAD, slba: [40, 8], cdw12: [48, 4], cdw13: [52, 4], rsvd56: [56, 8],
})
/** Zone Management Receive. numd: dwords, 0-based. cdw13: ZONE_RECEIVE_CDW13. */
export const ZONE_MANAGEMENT_RECEIVE = layout('ZONE_MANAGEMENT_RECEIVE', 64, {
  ...HEAD, slba: [40, 8], numd: [48, 4], cdw13: [52, 4], rsvd56: [56, 8],
})
/** nlb is 0-based. Where it was written: DW0 and DW1 of the completion. */
export const ZONE_APPEND = layout('ZONE_APPEND', 64, {
  ...HEAD, zslba: [40, 8], nlb: [48, 2], control: [50, 2], rsvd52: [52, 4],
  reftag: [56, 4], apptag: [60, 2], appmask: [62, 2],
})
/** Besides IO_OPCODE, on a namespace with zones only. */
export const ZONE_OPCODE = Object.freeze({ MANAGEMENT_SEND: 0x79, MANAGEMENT_RECEIVE: 0x7a, APPEND: 0x7d })

export const IO_OPCODE = Object.freeze({
  FLUSH: 0x00, WRITE: 0x01, READ: 0x02, WRITE_UNCORRECTABLE: 0x04, COMPARE: 0x05,
  WRITE_ZEROES: 0x08, DATASET_MANAGEMENT: 0x09, VERIFY: 0x0c, RESERVATION_REGISTER: 0x0d,
  RESERVATION_REPORT: 0x0e, RESERVATION_ACQUIRE: 0x11, RESERVATION_RELEASE: 0x15, COPY: 0x19,
})

/** What an I/O command does to the blocks of its namespace. */
export const ACCESS = Object.freeze({ NONE: 0, READS: 1, WRITES: 2, BOTH: 3 })
const ACCESS_TABLE = accessTable([
  [ACCESS.READS, [IO_OPCODE.READ, IO_OPCODE.COMPARE, IO_OPCODE.VERIFY, ZONE_OPCODE.MANAGEMENT_RECEIVE]],
  [ACCESS.WRITES, [
    IO_OPCODE.FLUSH, IO_OPCODE.WRITE, IO_OPCODE.WRITE_UNCORRECTABLE, IO_OPCODE.WRITE_ZEROES,
    IO_OPCODE.DATASET_MANAGEMENT, ZONE_OPCODE.MANAGEMENT_SEND, ZONE_OPCODE.APPEND,
  ]],
  [ACCESS.BOTH, [IO_OPCODE.COPY]],
])

/**
 * ACCESS of an opcode, 0 to 255: what reservations and write protection decide by. Flush counts as
 * writing, as the specification lists it; reservation commands, and opcodes that do not exist,
 * touch no blocks. Bits above the opcode's do not count: those of fused commands.
 */
export function accessOf(opcode: number): number {
  return ACCESS_TABLE[opcode & 0xff]!
}

function accessTable(rows: readonly (readonly [number, readonly number[]])[]): Uint8Array {
  const table = new Uint8Array(256)
  for (const [access, opcodes] of rows) for (const opcode of opcodes) table[opcode] = access
  return table
}

// ---- Admin commands ---------------------------------------------------------------------------

export const IDENTIFY = layout('IDENTIFY', 64, {
  ...HEAD,
  cns: [40, 1], rsvd41: [41, 1], cntid: [42, 2], cnssid: [44, 2], rsvd46: [46, 1], csi: [47, 1],
  rsvd48: [48, 8], uidx: [56, 1], rsvd57: [57, 7],
})
export const IDENTIFY_BYTES = 4096

/** numdl, numdu: the 0-based number of dwords. lpo: bytes, a multiple of 4. */
export const GET_LOG_PAGE = layout('GET_LOG_PAGE', 64, {
  ...HEAD,
  lid: [40, 1], lspRae: [41, 1], numdl: [42, 2], numdu: [44, 2], lsi: [46, 2], lpo: [48, 8],
  uidx: [56, 1], rsvd57: [57, 1], ot: [58, 1], csi: [59, 1], rsvd60: [60, 4],
})
/** OT: the offset is an index, for logs that have one. */
export const GET_LOG_PAGE_OT = 0x80
/** rae 1: the event that points to this log stays unanswered, so that it is not sent again. */
export const GET_LOG_PAGE_LSP_RAE = bits('GET_LOG_PAGE lspRae', 8, { lsp: [0, 7], rae: [7, 1] })

/** sv: bit 7, save. cdw11 is the value, or what the feature says about its data. */
export const SET_FEATURES = layout('SET_FEATURES', 64, {
  ...HEAD,
  fid: [40, 1], rsvd41: [41, 2], sv: [43, 1], cdw11: [44, 4], cdw12: [48, 4], cdw13: [52, 4],
  uidx: [56, 1], rsvd57: [57, 3], cdw15: [60, 4],
})
export const SET_FEATURES_SV = 0x80

/** sel: 2:0, see FEATURE_SELECT. */
export const GET_FEATURES = layout('GET_FEATURES', 64, {
  ...HEAD,
  fid: [40, 1], sel: [41, 1], rsvd42: [42, 2], cdw11: [44, 4], rsvd48: [48, 8], uidx: [56, 1],
  rsvd57: [57, 7],
})

/** The command to abort is named by its queue and its identifier. */
export const ABORT = layout('ABORT', 64, {
  ...HEAD,
  sqid: [40, 2], abortedCid: [42, 2], rsvd44: [44, 20],
})

/** sel: 3:0, see NAMESPACE_MANAGEMENT_SEL. csi: of a namespace to create. */
export const NAMESPACE_MANAGEMENT = layout('NAMESPACE_MANAGEMENT', 64, {
  ...HEAD,
  sel: [40, 1], rsvd41: [41, 6], csi: [47, 1], rsvd48: [48, 16],
})
export const NAMESPACE_MANAGEMENT_SEL = Object.freeze({ CREATE: 0, DELETE: 1 })

/** sel: 3:0, see NAMESPACE_ATTACHMENT_SEL. The data is a CONTROLLER_LIST. */
export const NAMESPACE_ATTACHMENT = layout('NAMESPACE_ATTACHMENT', 64, {
  ...HEAD,
  sel: [40, 1], rsvd41: [41, 23],
})
export const NAMESPACE_ATTACHMENT_SEL = Object.freeze({ ATTACH: 0, DETACH: 1 })

/** tas: 3:0, see DIM_TASK in discovery-information.ts. */
export const DISCOVERY_INFORMATION_MANAGEMENT = layout('DISCOVERY_INFORMATION_MANAGEMENT', 64, {
  ...HEAD,
  tas: [40, 1], rsvd41: [41, 23],
})

export const ADMIN_OPCODE = Object.freeze({
  DELETE_IO_SQ: 0x00, CREATE_IO_SQ: 0x01, GET_LOG_PAGE: 0x02, DELETE_IO_CQ: 0x04,
  CREATE_IO_CQ: 0x05, IDENTIFY: 0x06, ABORT: 0x08, SET_FEATURES: 0x09, GET_FEATURES: 0x0a,
  ASYNC_EVENT_REQUEST: 0x0c, NAMESPACE_MANAGEMENT: 0x0d, FIRMWARE_COMMIT: 0x10,
  FIRMWARE_DOWNLOAD: 0x11, DEVICE_SELF_TEST: 0x14, NAMESPACE_ATTACHMENT: 0x15, KEEP_ALIVE: 0x18,
  DIRECTIVE_SEND: 0x19, DIRECTIVE_RECEIVE: 0x1a, DISCOVERY_INFORMATION_MANAGEMENT: 0x21,
  FORMAT_NVM: 0x80, SECURITY_SEND: 0x81, SECURITY_RECEIVE: 0x82, SANITIZE: 0x84, GET_LBA_STATUS: 0x86,
})

/** Format NVM. lbafl, lbafu: the LBA format; pi: protection information; ses: 1 = erase user data. */
export const FORMAT_CDW10 = bits('FORMAT_NVM CDW10', 32, {
  lbafl: [0, 4], mset: [4, 1], pi: [5, 3], pil: [8, 1], ses: [9, 3], lbafu: [12, 2],
})
/** Sanitize. sanact: see SANACT in sanitize.ts; owpass 0: 16 passes; CDW11 is the pattern of an overwrite. */
export const SANITIZE_CDW10 = bits('SANITIZE CDW10', 32, {
  sanact: [0, 3], ause: [3, 1], owpass: [4, 4], oipbp: [8, 1], ndas: [9, 1],
})

/** The opcode of all Fabrics commands, on every queue; see fabrics.ts for their types. */
export const FABRICS_OPCODE = 0x7f

/** The low two bits of an opcode (of a Fabrics command: of FCTYPE) say where data goes. */
export const DIRECTION = Object.freeze({
  NONE: 0, HOST_TO_CONTROLLER: 1, CONTROLLER_TO_HOST: 2, BOTH: 3,
})
export const NSID_ALL = 0xffff_ffff
