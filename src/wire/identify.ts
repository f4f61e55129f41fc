/**
 * Identify: what a controller says about itself and its namespaces. Tables only;
 * src/controller/identify.ts fills them, the test host and `weft identify` read them.
 * NVMe Base 2.0, Identify command; NVM Command Set 1.0, Identify data structures.
 *
 * Every answer is 4096 bytes. Text is ASCII padded with spaces, NQNs are UTF-8 ended by a NUL.
 * UUID, NGUID and EUI64 are byte strings, first digit first; all numbers are little-endian.
 */
import { bits, layout } from './layout.ts'

export const CNS = Object.freeze({
  NAMESPACE: 0x00, CONTROLLER: 0x01, ACTIVE_NAMESPACES: 0x02, NAMESPACE_DESCRIPTORS: 0x03,
  NAMESPACE_OF_COMMAND_SET: 0x05, CONTROLLER_OF_COMMAND_SET: 0x06,
  ACTIVE_NAMESPACES_OF_COMMAND_SET: 0x07, INDEPENDENT_NAMESPACE: 0x08,
  ALLOCATED_NAMESPACES: 0x10, ALLOCATED_NAMESPACE: 0x11, ATTACHED_CONTROLLERS: 0x12,
  CONTROLLERS: 0x13, NAMESPACE_GRANULARITY: 0x16, ALLOCATED_NAMESPACES_OF_COMMAND_SET: 0x1a,
  ALLOCATED_NAMESPACE_OF_COMMAND_SET: 0x1b, COMMAND_SETS: 0x1c,
})

/** I/O command sets. */
export const CSI = Object.freeze({ NVM: 0, KV: 1, ZNS: 2 })

export const CNTRLTYPE = Object.freeze({ IO: 1, DISCOVERY: 2, ADMIN: 3 })

/** CNS 01h. The names are those of the specification, with the 0-based ones left 0-based. */
export const IDENTIFY_CONTROLLER = layout('IDENTIFY_CONTROLLER', 4096, {
  vid: [0, 2], ssvid: [2, 2], sn: [4, 20], mn: [24, 40], fr: [64, 8], rab: [72, 1], ieee: [73, 3],
  cmic: [76, 1], mdts: [77, 1], cntlid: [78, 2], ver: [80, 4], rtd3r: [84, 4], rtd3e: [88, 4],
  oaes: [92, 4], ctratt: [96, 4], rrls: [100, 2], rsvd102: [102, 9], cntrltype: [111, 1],
  fguid: [112, 16], crdt1: [128, 2], crdt2: [130, 2], crdt3: [132, 2], rsvd134: [134, 119],
  nvmsr: [253, 1], vwci: [254, 1], mec: [255, 1], oacs: [256, 2], acl: [258, 1], aerl: [259, 1],
  frmw: [260, 1], lpa: [261, 1], elpe: [262, 1], npss: [263, 1], avscc: [264, 1], apsta: [265, 1],
  wctemp: [266, 2], cctemp: [268, 2], mtfa: [270, 2], hmpre: [272, 4], hmmin: [276, 4],
  tnvmcap: [280, 16], unvmcap: [296, 16], rpmbs: [312, 4], edstt: [316, 2], dsto: [318, 1],
  fwug: [319, 1], kas: [320, 2], hctma: [322, 2], mntmt: [324, 2], mxtmt: [326, 2],
  sanicap: [328, 4], hmminds: [332, 4], hmmaxd: [336, 2], nsetidmax: [338, 2],
  endgidmax: [340, 2], anatt: [342, 1], anacap: [343, 1], anagrpmax: [344, 4],
  nanagrpid: [348, 4], pels: [352, 4], domainid: [356, 2], rsvd358: [358, 10], megcap: [368, 16],
  rsvd384: [384, 128], sqes: [512, 1], cqes: [513, 1], maxcmd: [514, 2], nn: [516, 4],
  oncs: [520, 2], fuses: [522, 2], fna: [524, 1], vwc: [525, 1], awun: [526, 2], awupf: [528, 2],
  icsvscc: [530, 1], nwpc: [531, 1], acwu: [532, 2], ocfs: [534, 2], sgls: [536, 4],
  mnan: [540, 4], maxdna: [544, 16], maxcna: [560, 4], rsvd564: [564, 204], subnqn: [768, 256],
  rsvd1024: [1024, 768], ioccsz: [1792, 4], iorcsz: [1796, 4], icdoff: [1800, 2],
  fcatt: [1802, 1], msdbd: [1803, 1], ofcs: [1804, 2], dctype: [1806, 1], rsvd1807: [1807, 241],
  psd: [2048, 1024], vendor: [3072, 1024],
})

/** dctype: a discovery controller knows its own target only, or those of others too. */
export const DCTYPE = Object.freeze({ NOT_REPORTED: 0, DIRECT: 1, CENTRAL: 2 })

export const CMIC_BITS = bits('CMIC', 8, {
  multiPort: [0, 1], multiController: [1, 1], sriov: [2, 1], ana: [3, 1],
})
/** The states that controllers report; groupFixed: a namespace keeps its group while attached. */
export const ANACAP_BITS = bits('ANACAP', 8, {
  optimized: [0, 1], nonOptimized: [1, 1], inaccessible: [2, 1], persistentLoss: [3, 1],
  change: [4, 1], groupFixed: [6, 1], groupByCommand: [7, 1],
})
export const OAES_BITS = bits('OAES', 32, {
  namespaceAttributes: [8, 1], firmwareActivation: [9, 1], ana: [11, 1],
  predictableLatency: [12, 1], lbaStatus: [13, 1], enduranceGroups: [14, 1],
  normalShutdown: [15, 1], zones: [27, 1], discoveryLog: [31, 1],
})
export const OACS_BITS = bits('OACS', 16, {
  security: [0, 1], format: [1, 1], firmware: [2, 1], namespaceManagement: [3, 1],
  selfTest: [4, 1], directives: [5, 1], mi: [6, 1], virtualization: [7, 1], doorbells: [8, 1],
  lbaStatus: [9, 1], lockdown: [10, 1],
})
export const CTRATT_BITS = bits('CTRATT', 32, { hostId128: [0, 1], tbkas: [6, 1], granularity: [7, 1], elbas: [15, 1] })
export const LPA_BITS = bits('LPA', 8, {
  smartPerNamespace: [0, 1], effects: [1, 1], extended: [2, 1], telemetry: [3, 1],
  persistentEvents: [4, 1], mlps: [5, 1],
})
export const ONCS_BITS = bits('ONCS', 16, {
  compare: [0, 1], writeUncorrectable: [1, 1], dsm: [2, 1], writeZeroes: [3, 1],
  saveSelect: [4, 1], reservations: [5, 1], timestamp: [6, 1], verify: [7, 1], copy: [8, 1],
})
export const FUSES_BITS = bits('FUSES', 16, { compareAndWrite: [0, 1] })
/** Formatting, and secure erasing, one namespace concerns all; crypto: there is a crypto erase. */
export const FNA_BITS = bits('FNA', 8, {
  formatAll: [0, 1], eraseAll: [1, 1], crypto: [2, 1], noBroadcast: [3, 1],
})
/** untilPowerCycle and permanent need protect. */
export const NWPC_BITS = bits('NWPC', 8, {
  protect: [0, 1], untilPowerCycle: [1, 1], permanent: [2, 1],
})
/** ndi: no deallocation after a sanitize is inhibited. nodmmas: what such a sanitize changes. */
export const SANICAP_BITS = bits('SANICAP', 32, {
  crypto: [0, 1], block: [1, 1], overwrite: [2, 1], ndi: [29, 1], nodmmas: [30, 2],
})
/** broadcast: Flush with NSID FFFFFFFFh, 2 not supported, 3 supported. */
export const VWC_BITS = bits('VWC', 8, { present: [0, 1], broadcast: [1, 2] })
/** support: 1 = any length. offset: in-capsule data is addressed by an offset. */
export const SGLS_BITS = bits('SGLS', 32, {
  support: [0, 2], keyed: [2, 1], bitBucket: [16, 1], offset: [20, 1], transport: [21, 1],
})

/** CNS 00h. lbaf: 64 formats of 4 bytes, see LBAF. */
export const IDENTIFY_NAMESPACE = layout('IDENTIFY_NAMESPACE', 4096, {
  nsze: [0, 8], ncap: [8, 8], nuse: [16, 8], nsfeat: [24, 1], nlbaf: [25, 1], flbas: [26, 1],
  mc: [27, 1], dpc: [28, 1], dps: [29, 1], nmic: [30, 1], rescap: [31, 1], fpi: [32, 1],
  dlfeat: [33, 1], nawun: [34, 2], nawupf: [36, 2], nacwu: [38, 2], nabsn: [40, 2], nabo: [42, 2],
  nabspf: [44, 2], noiob: [46, 2], nvmcap: [48, 16], npwg: [64, 2], npwa: [66, 2], npdg: [68, 2],
  npda: [70, 2], nows: [72, 2], mssrl: [74, 2], mcl: [76, 4], msrc: [80, 1], rsvd81: [81, 11],
  anagrpid: [92, 4], rsvd96: [96, 3], nsattr: [99, 1], nvmsetid: [100, 2], endgid: [102, 2],
  nguid: [104, 16], eui64: [120, 8], lbaf: [128, 256], vendor: [384, 3712],
})

/** What a host says of a namespace that it creates; as in IDENTIFY_NAMESPACE. */
export const NAMESPACE_REQUEST = layout('NAMESPACE_REQUEST', 4096, {
  nsze: [0, 8], ncap: [8, 8], rsvd16: [16, 10], flbas: [26, 1], rsvd27: [27, 2], dps: [29, 1], nmic: [30, 1],
  rsvd31: [31, 61], anagrpid: [92, 4], rsvd96: [96, 4], nvmsetid: [100, 2], endgid: [102, 2], rsvd104: [104, 280],
  lbstm: [384, 8], rsvd392: [392, 632], vendor: [1024, 3072],
})
export const NAMESPACE_REQUEST_BYTES = 4096
/** The LBA format: its number in two parts, and where metadata would be. */
export const FLBAS_BITS = bits('FLBAS', 8, { low: [0, 4], extended: [4, 1], high: [5, 2] })

/** One LBA format. lbads: block size as a power of two. */
export const LBAF = layout('LBAF', 4, { ms: [0, 2], lbads: [2, 1], rp: [3, 1] })

/** Format progress. left: percent. */
export const FPI_BITS = bits('FPI', 8, { left: [0, 7], supported: [7, 1] })

export const NSFEAT_BITS = bits('NSFEAT', 8, {
  thin: [0, 1], atomics: [1, 1], dae: [2, 1], uidreuse: [3, 1], optperf: [4, 1],
})
/** Types of reservation. ptpl: they survive a loss of power; iekey: ignored as 1.3 and later say. */
export const RESCAP_BITS = bits('RESCAP', 8, {
  ptpl: [0, 1], we: [1, 1], ea: [2, 1], weRo: [3, 1], eaRo: [4, 1], weAr: [5, 1], eaAr: [6, 1],
  iekey: [7, 1],
})
/** read: 1 = deallocated blocks read as zeroes. deac: Write Zeroes may deallocate. */
export const DLFEAT_BITS = bits('DLFEAT', 8, { read: [0, 3], deac: [3, 1], guard: [4, 1] })

/** CNS 03h: descriptors one after the other; nidl 0 ends the list. nid has nidl bytes. */
export const NAMESPACE_DESCRIPTOR = layout('NAMESPACE_DESCRIPTOR', 4, {
  nidt: [0, 1], nidl: [1, 1], rsvd2: [2, 2],
})
/** nidt, and the nidl that belongs to it. */
export const NIDT = Object.freeze({ EUI64: 1, NGUID: 2, UUID: 3, CSI: 4 })
export const NIDL = Object.freeze({ EUI64: 8, NGUID: 16, UUID: 16, CSI: 1 })

/** CNS 05h, CSI 0: about protection information, of which there is none. */
export const NVM_NAMESPACE = layout('NVM_NAMESPACE', 4096, {
  lbstm: [0, 8], pic: [8, 1], rsvd9: [9, 3], elbaf: [12, 256], rsvd268: [268, 3828],
})

/** CNS 06h, CSI 0. Sizes are 2^n × 4 KiB; 0 = no limit. dmrl: ranges; dmrsl, dmsl: blocks. */
export const NVM_CONTROLLER = layout('NVM_CONTROLLER', 4096, {
  vsl: [0, 1], wzsl: [1, 1], wusl: [2, 1], dmrl: [3, 1], dmrsl: [4, 4], dmsl: [8, 8],
  rsvd16: [16, 4080],
})

/** CNS 08h. */
export const INDEPENDENT_NAMESPACE = layout('INDEPENDENT_NAMESPACE', 4096, {
  nsfeat: [0, 1], nmic: [1, 1], rescap: [2, 1], fpi: [3, 1], anagrpid: [4, 4], nsattr: [8, 1],
  rsvd9: [9, 1], nvmsetid: [10, 2], endgid: [12, 2], nstat: [14, 1], rsvd15: [15, 4081],
})

/** CNS 12h, 13h: ascending CNTLIDs of 2 bytes. */
export const CONTROLLER_LIST = layout('CONTROLLER_LIST', 4096, { count: [0, 2], cntlids: [2, 4094] })
export const CONTROLLER_LIST_MAX = 2047

/**
 * CNS 16h. num: entries, 0-based. attributes bit 0: there is an entry for each LBA format; else the first is for
 * all of them.
 */
export const GRANULARITY_LIST = layout('GRANULARITY_LIST', 288, {
  attributes: [0, 4], num: [4, 1], rsvd5: [5, 27], entries: [32, 256],
})
/** What sizes and capacities of namespaces are best multiples of, in bytes. */
export const GRANULARITY = layout('GRANULARITY', 16, { nsg: [0, 8], ncg: [8, 8] })

/** CNS 02h, 07h, 10h: ascending NSIDs, ended by a 0 unless full. */
export const NAMESPACE_LIST_MAX = 1024
