/**
 * Capabilities: what Identify announces, one row a fact. A feature that lands adds its rows here, or a command
 * in commands.ts, or a feature in features.ts; nothing else has to know.   NVMe Base 2.0, Identify Controller
 *
 *   [field, value]     rows of one field are ORed, so that each feature can bring its own bits of OAES or CMIC
 *
 * What is said here has to be what the target does: a bit set too many is a host that uses what is not there, a
 * bit too few is a feature that nobody finds.
 *
 * Invariant: rows of a namespace depend on the namespace and its subsystem only, never on the controller or the
 * reactor that is asked: Linux drops a path whose answers differ.
 */
import { ANA_GROUPS_MAX, ANA_TRANSITION_S } from '../subsystem/ana.ts'
import type { Party } from '../subsystem/attachment.ts'
import { blockSizesOf, erasesAll } from '../subsystem/format.ts'
import { type DeviceSnapshot, hasZones, type NamespaceSnapshot, type SubsystemSnapshot } from '../subsystem/subsystem.ts'
import { isReadOnly } from '../namespace/namespace.ts'
import { CQE } from '../wire/cqe.ts'
import { NVME_VERSION } from '../wire/fabrics.ts'
import { FID } from '../wire/feature.ts'
import {
  ANACAP_BITS, CMIC_BITS, CNTRLTYPE, CTRATT_BITS, DCTYPE, DLFEAT_BITS, FNA_BITS, FPI_BITS, FUSES_BITS,
  type IDENTIFY_CONTROLLER,
  type IDENTIFY_NAMESPACE,
  LPA_BITS, NSFEAT_BITS, OAES_BITS, ONCS_BITS, SANICAP_BITS, SGLS_BITS, VWC_BITS,
} from '../wire/identify.ts'
import { putBits } from '../wire/layout.ts'
import { COPY_FORMATS, SQE_BYTES } from '../wire/sqe.ts'
import { EVENT_REQUESTS_MAX } from './admin-state.ts'
import {
  BLOCK_BYTES_MAX, COPY_RANGES_MAX, copyBlocksMax, copyRangeBlocksMax, fusedBlocksMax,
} from './command-size.ts'
import { adminCommandsOf, announcedBy, IO_COMMANDS } from './commands.ts'
import { noticesSupported } from './events.ts'
import { KEEP_ALIVE_UNIT_MS, supportedFeatures } from './features.ts'
import { hintsOf } from './hints.ts'
import { LOG_UNITS } from './history.ts'
import { ERROR_ENTRIES } from './shared.ts'

/** What Identify needs to know about the controller that answers. */
export type ControllerFacts = {
  readonly subsystem: SubsystemSnapshot
  readonly controllerId: number
  /** The subsystem's controllers in ascending order of their CNTLIDs. Asked only for lists of them. */
  readonly controllers: () => readonly Party[]
  /** At most 8 ASCII characters; see TargetSnapshot. */
  readonly firmware: string
  /** Bytes that the storage of a namespace takes, by its counter; null: not known. */
  readonly used: (counter: number) => number | null
}

export type ControllerRow = readonly [
  field: keyof typeof IDENTIFY_CONTROLLER, value: (facts: ControllerFacts) => number,
]
export type NamespaceRow = readonly [
  field: keyof typeof IDENTIFY_NAMESPACE,
  value: (namespace: NamespaceSnapshot, subsystem: SubsystemSnapshot) => number,
]

/** Aborts that may be outstanding. */
const ABORTS_MAX = 4
/** NSIDs that a host has to expect, so that namespaces can be added while it is connected. */
const NSID_ROOM = 1024
/** How long an orderly shutdown may take: flushing what is in flight. Linux waits for it. */
const SHUTDOWN_US = 5_000_000
const RECOMMENDED_BURST = 6
const CQE_BYTES = CQE.status + 2
const PAGE_BYTES = 4096

const hasFeature = (fid: number): boolean => supportedFeatures('nvm').includes(fid)

/** Of every controller. */
export const CONTROLLER_ROWS: readonly ControllerRow[] = [
  ['rab', () => RECOMMENDED_BURST],
  ['mdts', ({ subsystem }) => Math.floor(Math.log2(subsystem.mdtsBytes / PAGE_BYTES))],
  ['cntlid', ({ controllerId }) => controllerId],
  ['ver', () => NVME_VERSION],
  ['rtd3e', () => SHUTDOWN_US],
  ['ctratt', () => putBits(CTRATT_BITS.hostId128, 1) | putBits(CTRATT_BITS.tbkas, 1)],
  ['acl', () => ABORTS_MAX - 1],
  ['aerl', () => EVENT_REQUESTS_MAX - 1],
  ['elpe', () => ERROR_ENTRIES - 1],
  ['kas', () => KEEP_ALIVE_UNIT_MS / 100],
  ['maxcmd', ({ subsystem }) => subsystem.queueDepthMax],
  ['sgls', () => putBits(SGLS_BITS.support, 1) | putBits(SGLS_BITS.offset, 1)],
  ['ioccsz', ({ subsystem }) => Math.floor((SQE_BYTES + subsystem.inCapsuleBytes) / 16)],
  ['iorcsz', () => CQE_BYTES / 16],
  ['msdbd', () => 1],
]

export const DISCOVERY_ROWS: readonly ControllerRow[] = [
  ['cntrltype', () => CNTRLTYPE.DISCOVERY],
  ['oaes', () => noticesSupported('discovery')],
  ['lpa', () => putBits(LPA_BITS.extended, 1)],
  ['dctype', ({ subsystem }) => subsystem.central === true ? DCTYPE.CENTRAL : DCTYPE.DIRECT],
]

export const IO_ROWS: readonly ControllerRow[] = [
  ['cmic', () => putBits(CMIC_BITS.ana, 1)],
  ['anatt', () => ANA_TRANSITION_S],
  // All five states; a namespace may get another group while it is attached.
  ['anacap', () => putBits(ANACAP_BITS.optimized, 1) | putBits(ANACAP_BITS.nonOptimized, 1)
    | putBits(ANACAP_BITS.inaccessible, 1) | putBits(ANACAP_BITS.persistentLoss, 1) | putBits(ANACAP_BITS.change, 1)],
  // Whoever creates a namespace may choose its group.
  ['anacap', ({ subsystem }) => putBits(ANACAP_BITS.groupByCommand, +(subsystem.pool !== undefined))],
  ['anagrpmax', () => ANA_GROUPS_MAX],
  ['nanagrpid', () => ANA_GROUPS_MAX],
  ['cmic', () => putBits(CMIC_BITS.multiPort, 1) | putBits(CMIC_BITS.multiController, 1)],
  ['cntrltype', () => CNTRLTYPE.IO],
  ['ctratt', () => putBits(CTRATT_BITS.granularity, 1)],
  ['oaes', () => noticesSupported('nvm')],
  ['oaes', ({ subsystem }) => putBits(OAES_BITS.zones, +hasZones(subsystem))],
  ['oacs', ({ subsystem }) => announcedBy(adminCommandsOf(subsystem))],
  // One slot, which is read-only.
  ['frmw', () => 0x03],
  ['lpa', () => putBits(LPA_BITS.smartPerNamespace, 1) | putBits(LPA_BITS.persistentEvents, 1)],
  ['pels', () => LOG_UNITS],
  ['lpa', () => putBits(LPA_BITS.effects, 1) | putBits(LPA_BITS.extended, 1) | putBits(LPA_BITS.mlps, 1)],
  // The smallest and the largest size are the same: 2^6 and 2^4 bytes.
  ['sqes', () => 0x66],
  ['cqes', () => 0x44],
  ['nn', ({ subsystem }) => nsidMax(subsystem)],
  ['mnan', ({ subsystem }) => nsidMax(subsystem)],
  ['oncs', () => announcedBy(IO_COMMANDS)],
  ['oncs', () => putBits(ONCS_BITS.saveSelect, 1) | putBits(ONCS_BITS.timestamp, +hasFeature(FID.TIMESTAMP))],
  // One namespace at a time, and without a cryptographic erase.
  ['fna', () => putBits(FNA_BITS.noBroadcast, 1)],
  // What was erased is deallocated, too; nothing changes the medium after that.
  ['sanicap', ({ subsystem }) => !erasesAll(subsystem) ? 0 : (putBits(SANICAP_BITS.block, 1)
    | putBits(SANICAP_BITS.overwrite, 1) | putBits(SANICAP_BITS.ndi, 1) | putBits(SANICAP_BITS.nodmmas, 1)) >>> 0],
  ['fuses', () => putBits(FUSES_BITS.compareAndWrite, 1)],
  // In blocks of any format: the namespaces tell their own.
  ['acwu', ({ subsystem }) => fusedBlocksMax(subsystem.mdtsBytes, BLOCK_BYTES_MAX) - 1],
  // No write protection and write protection; until a power cycle; permanent.
  ['nwpc', () => 0b111],
  ['ocfs', () => (1 << COPY_FORMATS.length) - 1],
  // 3: Flush with NSID FFFFFFFFh flushes all namespaces.
  ['vwc', () => putBits(VWC_BITS.present, 1) | putBits(VWC_BITS.broadcast, 3)],
  ['fcatt', ({ subsystem }) => +(subsystem.controllers.kind === 'static')],
  // The Disconnect command.
  ['ofcs', () => 1],
]

/** Of a namespace, CNS 00h; CNS 08h has those that its layout has too, but NSFEAT. */
export const NAMESPACE_ROWS: readonly NamespaceRow[] = [
  ['nsfeat', ({ device }) => putBits(NSFEAT_BITS.thin, +isSparse(device)) | putBits(NSFEAT_BITS.optperf, 1)],
  // NAWUN, NAWUPF and NACWU are its own.
  ['nsfeat', () => putBits(NSFEAT_BITS.atomics, 1)],
  // Shared: several controllers may have it.
  ['nmic', ({ isPrivate }) => +(isPrivate !== true)],
  // All six types, through power loss too, and Ignore Existing Key as of NVMe 1.3.
  ['rescap', () => 0xff],
  ['dlfeat', ({ device }) => discardReadsZero(device)
    ? putBits(DLFEAT_BITS.read, 1) | putBits(DLFEAT_BITS.deac, 1) : 0],
  ['nacwu', ({ blockBytes }, { mdtsBytes }) => fusedBlocksMax(mdtsBytes, blockBytes) - 1],
  ['mssrl', ({ blockBytes }, { mdtsBytes }) => copyRangeBlocksMax(mdtsBytes, blockBytes)],
  ['mcl', ({ blockBytes }, { mdtsBytes }) => copyBlocksMax(mdtsBytes, blockBytes)],
  ['msrc', () => COPY_RANGES_MAX - 1],
  // Counted from 0. Smaller or unaligned writes and deallocations work, but slower.
  ['npwg', (namespace) => hintsOf(namespace).writeBlocks - 1],
  ['npwa', (namespace) => hintsOf(namespace).writeBlocks - 1],
  ['npdg', (namespace) => hintsOf(namespace).deallocateBlocks - 1],
  ['npda', (namespace) => hintsOf(namespace).deallocateBlocks - 1],
  ['nows', (namespace) => hintsOf(namespace).optimalBlocks - 1],
  ['noiob', (namespace) => hintsOf(namespace).boundaryBlocks],
  // What is whole after a loss of power is so at any time. Across a boundary of that size nothing is promised.
  ['nawun', (namespace) => hintsOf(namespace).atomicBlocks - 1],
  ['nawupf', (namespace) => hintsOf(namespace).atomicBlocks - 1],
  ['nabsn', (namespace) => hintsOf(namespace).atomicBlocks - 1],
  ['nabspf', (namespace) => hintsOf(namespace).atomicBlocks - 1],
  ['anagrpid', ({ anaGroup }) => anaGroup],
  ['nlbaf', (namespace) => blockSizesOf(namespace).length - 1],
  ['flbas', (namespace) => blockSizesOf(namespace).indexOf(namespace.blockBytes)],
  ['fpi', ({ formatting }) => putBits(FPI_BITS.supported, 1) | putBits(FPI_BITS.left, formatting ?? 0)],
  ['nsattr', (namespace) => +isReadOnly(namespace)],
]

/** The largest NSID that is valid, active or not. */
export function nsidMax(subsystem: SubsystemSnapshot): number {
  return Math.max(subsystem.namespaces.at(-1)?.nsid ?? 0, NSID_ROOM)
}

/** Deallocated blocks read as zeroes; then Write Zeroes may deallocate too. */
export function discardReadsZero(device: DeviceSnapshot): boolean {
  return device.kind === 'memory' || device.kind === 'null' || device.discard
}

/** Space is taken when blocks are written first, and given back when they are deallocated; NUSE tells how much. */
export function isSparse(device: DeviceSnapshot): boolean {
  return device.kind === 'file' && device.discard
}
