/**
 * Log pages: what Get Log Page returns. Tables only; src/controller/log-page.ts and
 * src/subsystem/discovery.ts fill them.   NVMe Base 2.0, Get Log Page; Discovery log.
 *
 * A host may read any part of a log that starts at a multiple of 4 bytes, so a log is made whole
 * and then cut. Numbers are little-endian; counters of 16 bytes never wrap.
 */
import { bits, layout } from './layout.ts'

export const LID = Object.freeze({
  SUPPORTED_LOGS: 0x00, ERRORS: 0x01, SMART: 0x02, FIRMWARE: 0x03, CHANGED_NAMESPACES: 0x04,
  EFFECTS: 0x05, ANA: 0x0c, PERSISTENT_EVENTS: 0x0d, FEATURE_EFFECTS: 0x12, MI_EFFECTS: 0x13, DISCOVERY: 0x70,
  RESERVATION_NOTICES: 0x80, SANITIZE: 0x81, CHANGED_ZONES: 0xbf,
})

/** LID 00h: 256 words, one a LID; see SUPPORTED_LOG_BITS. */
export const SUPPORTED_LOGS = layout('SUPPORTED_LOGS', 1024, { lids: [0, 1024] })
export const SUPPORTED_LOG_BITS = bits('SUPPORTED_LOG', 32, {
  lsupp: [0, 1], ios: [1, 1], lidspec: [16, 16],
})

/** LID 01h, one entry; the newest comes first. status as in a CQE, location: byte | bit << 8. */
export const ERROR_ENTRY = layout('ERROR_ENTRY', 64, {
  count: [0, 8], sqid: [8, 2], cid: [10, 2], status: [12, 2], location: [14, 2], lba: [16, 8],
  nsid: [24, 4], vendor: [28, 1], trtype: [29, 1], csi: [30, 1], opcode: [31, 1],
  specific: [32, 8], transport: [40, 2], rsvd42: [42, 21], version: [63, 1],
})
export const ERROR_ENTRY_BYTES = 64
/** location of an error that no single field caused. */
export const LOCATION_NONE = 0xffff

/** Byte 0 of the SMART log, and bits 7:0 of feature 0Bh. readOnly: all media, not by a host's wish. */
export const CRITICAL_WARNING_BITS = bits('CRITICAL_WARNING', 8, {
  spare: [0, 1], temperature: [1, 1], degraded: [2, 1], readOnly: [3, 1], backup: [4, 1],
  persistentMemory: [5, 1],
})

/** LID 02h. dur, duw: thousands of 512 bytes, rounded up. cbt: minutes. poh: hours. */
export const SMART_LOG = layout('SMART_LOG', 512, {
  cw: [0, 1], ctemp: [1, 2], avsp: [3, 1], avspt: [4, 1], pused: [5, 1], egcws: [6, 1],
  rsvd7: [7, 25], dur: [32, 16], duw: [48, 16], hrc: [64, 16], hwc: [80, 16], cbt: [96, 16],
  pcyc: [112, 16], poh: [128, 16], upl: [144, 16], mdie: [160, 16], eile: [176, 16],
  wctt: [192, 4], cctt: [196, 4], tsen: [200, 16], tmt1tc: [216, 4], tmt2tc: [220, 4],
  tttmt1: [224, 4], tttmt2: [228, 4], rsvd232: [232, 280],
})

/** LID 03h. afi: 2:0 the active slot. frs: 7 revisions of 8 bytes. */
export const FIRMWARE_LOG = layout('FIRMWARE_LOG', 512, {
  afi: [0, 1], rsvd1: [1, 7], frs: [8, 56], rsvd64: [64, 448],
})

/** LID 04h: NSIDs in ascending order; FFFFFFFFh alone when there are more than 1024. */
export const CHANGED_NAMESPACES = layout('CHANGED_NAMESPACES', 4096, { nsids: [0, 4096] })
export const CHANGED_NAMESPACES_MAX = 1024

/** LID 05h: one word an opcode, see EFFECT_BITS. */
export const EFFECTS_LOG = layout('EFFECTS_LOG', 4096, {
  admin: [0, 1024], io: [1024, 1024], rsvd2048: [2048, 2048],
})
/** lbcc: changes blocks. ncc, nic, ccc: changes namespaces or the controller. */
export const EFFECT_BITS = bits('EFFECT', 32, {
  csupp: [0, 1], lbcc: [1, 1], ncc: [2, 1], nic: [3, 1], ccc: [4, 1], cse: [16, 3], uss: [19, 1],
  scope: [20, 12],
})

/** LID 0Ch: the header, then ngrps descriptors. Counts name what the log, and a descriptor, say. */
export const ANA_LOG = layout('ANA_LOG', 16, { chgcnt: [0, 8], ngrps: [8, 2], rsvd10: [10, 6] })
export const ANA_LOG_BYTES = 16
/** Followed by nnsids NSIDs of 4 bytes, in ascending order. state: ANA_STATE. */
export const ANA_GROUP = layout('ANA_GROUP', 32, {
  grpid: [0, 4], nnsids: [4, 4], chgcnt: [8, 8], state: [16, 1], rsvd17: [17, 15],
})
export const ANA_GROUP_BYTES = 32
/** LSP bit 0: return groups only, without NSIDs. */
export const ANA_RGO = 1
/** What a host gets of a namespace through a controller. */
export const ANA_STATE = Object.freeze({
  OPTIMIZED: 0x1, NON_OPTIMIZED: 0x2, INACCESSIBLE: 0x3, PERSISTENT_LOSS: 0x4, CHANGE: 0xf,
})

/** LID 12h: one word a feature, see FEATURE_EFFECT_BITS. */
export const FEATURE_EFFECTS = layout('FEATURE_EFFECTS', 1024, { fids: [0, 1024] })
/** scope: 1 namespace, 2 controller. */
export const FEATURE_EFFECT_BITS = bits('FEATURE_EFFECT', 32, {
  fsupp: [0, 1], udcc: [1, 1], ncc: [2, 1], nic: [3, 1], ccc: [4, 1], uss: [19, 1],
  scope: [20, 12],
})

/** LID 13h: one word an NVMe-MI command. */
export const MI_EFFECTS = layout('MI_EFFECTS', 4096, {
  commands: [0, 1024], rsvd1024: [1024, 3072],
})

/** LID 70h: the header, then numrec entries. dlpf: DISCOVERY_FLAGS. tdlpl: bytes of all of it. */
export const DISCOVERY_HEADER = layout('DISCOVERY_HEADER', 1024, {
  genctr: [0, 8], numrec: [8, 8], recfmt: [16, 2], dlpf: [18, 1], rsvd19: [19, 1], tdlpl: [20, 4],
  rsvd24: [24, 1000],
})
export const DISCOVERY_HEADER_BYTES = 1024
/** What a host asks for (LSP), what was returned (DLPF), and what is supported (LIDSPEC). */
export const DISCOVERY_FLAGS = bits('DISCOVERY_FLAGS', 8, {
  extended: [0, 1], portLocal: [1, 1], allSubsystems: [2, 1],
})

/** trsvcid and traddr: ASCII padded with spaces. sectype: the first byte of TSAS on TCP. */
export const DISCOVERY_ENTRY = layout('DISCOVERY_ENTRY', 1024, {
  trtype: [0, 1], adrfam: [1, 1], subtype: [2, 1], treq: [3, 1], portid: [4, 2], cntlid: [6, 2],
  asqsz: [8, 2], eflags: [10, 2], rsvd12: [12, 20], trsvcid: [32, 32], rsvd64: [64, 192],
  subnqn: [256, 256], traddr: [512, 256], sectype: [768, 1], rsvd769: [769, 255],
})
export const DISCOVERY_ENTRY_BYTES = 1024

export const TRTYPE = Object.freeze({ RDMA: 1, FC: 2, TCP: 3, LOOP: 254 })
export const ADRFAM = Object.freeze({ IPV4: 1, IPV6: 2 })
export const DISCOVERY_SUBTYPE = Object.freeze({ REFERRAL: 1, NVM: 2, CURRENT_DISCOVERY: 3 })
export const TREQ_BITS = bits('TREQ', 8, { secureChannel: [0, 2], noSqFlow: [2, 1] })
export const EFLAGS_BITS = bits('EFLAGS', 16, { dupretinfo: [0, 1], epcsd: [1, 1], ncc: [2, 1] })
export const SECTYPE = Object.freeze({ NONE: 0, TLS12: 1, TLS13: 2 })
