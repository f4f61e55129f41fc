/**
 * Fabrics commands (opcode 7Fh) and the properties of a controller. Tables only; src/controller
 * decodes them.     NVMe Base 2.0, Fabrics Command Set; Controller Properties.
 *
 * Byte 4 of the SQE is FCTYPE here, where other commands have NSID; bytes 5 to 23 are reserved.
 * Connect is the first command of each queue and carries 1024 bytes of data in its capsule.
 */
import { bits, layout } from './layout.ts'

const HEAD = {
  opcode: [0, 1], flags: [1, 1], cid: [2, 2], fctype: [4, 1], rsvd5: [5, 19],
  sglAddress: [24, 8], sglLength: [32, 4], rsvd36: [36, 3], sglId: [39, 1],
} as const

export const FABRICS_TYPE = Object.freeze({
  PROPERTY_SET: 0x00, CONNECT: 0x01, PROPERTY_GET: 0x04, AUTHENTICATION_SEND: 0x05,
  AUTHENTICATION_RECEIVE: 0x06, DISCONNECT: 0x08,
})

/** What all Fabrics commands have in common. */
export const FABRICS = layout('FABRICS', 64, { ...HEAD, rsvd40: [40, 24] })

/** sqsize is 0-based; kato: ms, 0 = keep alive off, admin queue only. */
export const CONNECT = layout('CONNECT', 64, {
  ...HEAD,
  recfmt: [40, 2], qid: [42, 2], sqsize: [44, 2], cattr: [46, 1], rsvd47: [47, 1], kato: [48, 4],
  rsvd52: [52, 12],
})
export const CATTR_BITS = bits('CONNECT cattr', 8, {
  prclass: [0, 2], noSqFlow: [2, 1], queueDelete: [3, 1],
})
/** The host does without SQHD; only then may C2HData say SUCCESS. */
export const CATTR_NO_SQ_FLOW = 4

/** Dword 0 of the completion, beside CNTLID: the host has to authenticate before anything else. */
export const AUTHREQ_ATR = 1 << 17

/** hostid: 16 bytes as they are. NQNs: UTF-8, ended by a NUL, at most 223 bytes. */
export const CONNECT_DATA = layout('CONNECT_DATA', 1024, {
  hostid: [0, 16], cntlid: [16, 2], rsvd18: [18, 238], subnqn: [256, 256], hostnqn: [512, 256],
  rsvd768: [768, 256],
})
export const CONNECT_DATA_BYTES = 1024
export const NQN_BYTES = 256
export const NQN_BYTES_MAX = 223
/** Admin Connect: any controller, allocated dynamically, or any of those that there are for good. */
export const CNTLID_DYNAMIC = 0xffff
export const CNTLID_STATIC = 0xfffe
/** Ids that can be given to a controller. */
export const CNTLID_MIN = 1
export const CNTLID_MAX = 0xffef

export const PROPERTY_GET = layout('PROPERTY_GET', 64, {
  ...HEAD,
  attrib: [40, 1], rsvd41: [41, 3], ofst: [44, 4], rsvd48: [48, 16],
})
export const PROPERTY_SET = layout('PROPERTY_SET', 64, {
  ...HEAD,
  attrib: [40, 1], rsvd41: [41, 3], ofst: [44, 4], value: [48, 8], rsvd56: [56, 8],
})
/** Bits 2:0 of attrib: the size of the property. */
export const PROPERTY_SIZE = Object.freeze({ BYTES_4: 0, BYTES_8: 1 })

/** Ends an I/O queue, the one it comes on. */
export const DISCONNECT = layout('DISCONNECT', 64, {
  ...HEAD,
  recfmt: [40, 2], rsvd42: [42, 22],
})

/** tl: bytes, equal to the SGL's length. */
export const AUTHENTICATION_SEND = layout('AUTHENTICATION_SEND', 64, {
  ...HEAD,
  rsvd40: [40, 1], spsp0: [41, 1], spsp1: [42, 1], secp: [43, 1], tl: [44, 4], rsvd48: [48, 16],
})
export const AUTHENTICATION_RECEIVE = layout('AUTHENTICATION_RECEIVE', 64, {
  ...HEAD,
  rsvd40: [40, 1], spsp0: [41, 1], spsp1: [42, 1], secp: [43, 1], al: [44, 4], rsvd48: [48, 16],
})

// ---- Properties -------------------------------------------------------------------------------

export const PROPERTY = Object.freeze({
  CAP: 0x00, VS: 0x08, CC: 0x14, CSTS: 0x1c, NSSR: 0x20, CRTO: 0x68,
})

export const PROPERTIES = Object.freeze([
  { offset: 0x00, name: 'CAP', bytes: 8, text: 'what the controller can do' },
  { offset: 0x08, name: 'VS', bytes: 4, text: 'the version of the specification it keeps' },
  { offset: 0x14, name: 'CC', bytes: 4, text: 'what the host wants of it' },
  { offset: 0x1c, name: 'CSTS', bytes: 4, text: 'what state it is in' },
  { offset: 0x20, name: 'NSSR', bytes: 4, text: 'resets the subsystem, where CAP.NSSRS says so' },
  { offset: 0x68, name: 'CRTO', bytes: 4, text: 'how long it may take to be ready' },
])

/** mqes: 0-based. to: 500 ms. mpsmin, mpsmax: 2^(12+n) bytes. cssNvm, cssIocs: bits 37 and 43. */
export const CAP = bits('CAP', 64, {
  mqes: [0, 16], cqr: [16, 1], ams: [17, 2], to: [24, 8], dstrd: [32, 4], nssrs: [36, 1],
  cssNvm: [37, 1], cssIocs: [43, 1], cssNoio: [44, 1], bps: [45, 1], cps: [46, 2], mpsmin: [48, 4],
  mpsmax: [52, 4], pmrs: [56, 1], cmbs: [57, 1], nsss: [58, 1], crwms: [59, 1], crims: [60, 1],
})

/** iosqes, iocqes: powers of two. shn: see SHN. */
export const CC = bits('CC', 32, {
  en: [0, 1], css: [4, 3], mps: [7, 4], ams: [11, 3], shn: [14, 2], iosqes: [16, 4],
  iocqes: [20, 4], crime: [24, 1],
})
export const CC_CSS = Object.freeze({ NVM: 0, ALL: 6, ADMIN_ONLY: 7 })
export const CC_IOSQES = 6
export const CC_IOCQES = 4
export const SHN = Object.freeze({ NONE: 0, NORMAL: 1, ABRUPT: 2 })

export const CSTS = bits('CSTS', 32, {
  rdy: [0, 1], cfs: [1, 1], shst: [2, 2], nssro: [4, 1], pp: [5, 1], st: [6, 1],
})
export const CSTS_MASK = Object.freeze({
  RDY: 1, CFS: 2, SHST_OCCURRING: 4, SHST_COMPLETE: 8, NSSRO: 16, PP: 32,
})

/** Both in 500 ms: ready with media, ready independent of media. */
export const CRTO = bits('CRTO', 32, { crwmt: [0, 16], crimt: [16, 16] })

/** Major, minor, tertiary. */
export const VS_BITS = bits('VS', 32, { ter: [0, 8], mnr: [8, 8], mjr: [16, 16] })
/** NVMe 2.0: what VS and Identify say. */
export const NVME_VERSION = 0x0002_0000
