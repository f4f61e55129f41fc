/**
 * Identify: fills the 4096 bytes that answer the command. Called by admin, calls nothing below it.
 * NVMe Base 2.0, Identify command; NVM Command Set 1.0; layouts in wire/identify.ts.
 *
 * Pure: facts in, bytes and a status out. What is said here has to be what the target does: a bit
 * set too many is a host that uses what is not there, a bit too few is a feature nobody finds.
 *
 * Invariant: identifiers and NMIC are the same through every controller of a subsystem; Linux
 * drops a path whose answers differ.
 */
import type {
  DeviceSnapshot, NamespaceSnapshot, SubsystemSnapshot,
} from '../subsystem/subsystem.ts'
import { NQN_BYTES, NVME_VERSION } from '../wire/fabrics.ts'
import {
  CMIC_BITS, CNS, CNTRLTYPE, CSI, CTRATT_BITS, DLFEAT_BITS, IDENTIFY_CONTROLLER,
  IDENTIFY_NAMESPACE, INDEPENDENT_NAMESPACE, LBAF, LPA_BITS, NAMESPACE_DESCRIPTOR,
  NAMESPACE_LIST_MAX, NIDL, NIDT, NSFEAT_BITS, OAES_BITS, ONCS_BITS, SGLS_BITS, VWC_BITS,
} from '../wire/identify.ts'
import { putBits } from '../wire/layout.ts'
import { CQE } from '../wire/cqe.ts'
import { SQE_BYTES } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import { putHex, putNqn, putPadded, putU64 } from '../wire/value.ts'
import { EVENT_REQUESTS_MAX } from './admin-state.ts'
import { KEEP_ALIVE_UNIT_MS } from './features.ts'
import { ERROR_ENTRIES } from './log-page.ts'

/** What Identify needs to know about the controller that answers. */
export type ControllerFacts = {
  readonly subsystem: SubsystemSnapshot
  readonly controllerId: number
  /** At most 8 ASCII characters; see TargetSnapshot. */
  readonly firmware: string
}

/** Aborts that may be outstanding. */
const ABORTS_MAX = 4
/** NSIDs that a host has to expect, so that namespaces can be added while it is connected. */
const NSID_ROOM = 1024
/** How long an orderly shutdown may take: flushing what is in flight. Linux waits for it. */
const SHUTDOWN_US = 5_000_000
const RECOMMENDED_BURST = 6
const CQE_BYTES = CQE.status + 2
const PAGE_BYTES = 4096

/**
 * Writes the answer to (cns, nsid, csi, cntid) into the 4096 zeroed bytes at `at`.
 * Returns a status; what is in the bytes when it is not 0 is not to be sent.
 */
export function identify(
  view: DataView, at: number, facts: ControllerFacts,
  cns: number, nsid: number, csi: number, cntid: number,
): number {
  if (cns === CNS.CONTROLLER) return putController(view, at, facts)
  // A discovery controller has no namespaces and knows no other Identify.
  if (facts.subsystem.kind === 'discovery') return STATUS.INVALID_FIELD
  // The slot's words are signed.
  return putAboutNamespaces(view, at, facts, cns, nsid >>> 0, csi, cntid)
}

function putAboutNamespaces(
  view: DataView, at: number, facts: ControllerFacts,
  cns: number, nsid: number, csi: number, cntid: number,
): number {
  switch (cns) {
    case CNS.NAMESPACE:
    case CNS.INDEPENDENT_NAMESPACE:
      return putNamespaceOf(view, at, facts.subsystem, cns, nsid)
    case CNS.NAMESPACE_OF_COMMAND_SET:
      if (csi !== CSI.NVM) return STATUS.INVALID_FIELD
      return putNamespaceOf(view, at, facts.subsystem, cns, nsid)
    case CNS.ACTIVE_NAMESPACES:
      return putActive(view, at, facts.subsystem, nsid)
    case CNS.ACTIVE_NAMESPACES_OF_COMMAND_SET:
      return csi === CSI.NVM ? putActive(view, at, facts.subsystem, nsid) : STATUS.INVALID_FIELD
    case CNS.NAMESPACE_DESCRIPTORS:
      return putDescriptors(view, at, facts.subsystem, nsid)
    case CNS.CONTROLLER_OF_COMMAND_SET:
      // All zero: Write Zeroes and Dataset Management have no limits of their own.
      return csi === CSI.NVM ? STATUS.SUCCESS : STATUS.INVALID_FIELD
    case CNS.COMMAND_SETS:
      if (cntid !== 0xffff && cntid !== facts.controllerId) return STATUS.INVALID_FIELD
      // One combination, vector 0: the NVM command set alone.
      putU64(view, at, 1 << CSI.NVM)
      return STATUS.SUCCESS
    default:
      return STATUS.INVALID_FIELD
  }
}

/** Deallocated blocks read as zeroes; then Write Zeroes may deallocate too. */
export function discardReadsZero(device: DeviceSnapshot): boolean {
  return device.kind === 'memory' || device.kind === 'null' || device.discard
}

/** The largest NSID that is valid, active or not. */
export function nsidMax(subsystem: SubsystemSnapshot): number {
  return Math.max(subsystem.namespaces.at(-1)?.nsid ?? 0, NSID_ROOM)
}

function putController(view: DataView, at: number, facts: ControllerFacts): number {
  const { subsystem } = facts
  const field = IDENTIFY_CONTROLLER
  putPadded(view, at + field.sn, field.mn - field.sn, subsystem.serial)
  putPadded(view, at + field.mn, field.fr - field.mn, subsystem.model)
  putPadded(view, at + field.fr, field.rab - field.fr, facts.firmware)
  view.setUint8(at + field.rab, RECOMMENDED_BURST)
  view.setUint8(at + field.mdts, Math.floor(Math.log2(subsystem.mdtsBytes / PAGE_BYTES)))
  view.setUint16(at + field.cntlid, facts.controllerId, true)
  view.setUint32(at + field.ver, NVME_VERSION, true)
  view.setUint32(at + field.rtd3e, SHUTDOWN_US, true)
  const { hostId128, tbkas } = CTRATT_BITS
  view.setUint32(at + field.ctratt, putBits(hostId128, 1) | putBits(tbkas, 1), true)
  view.setUint8(at + field.acl, ABORTS_MAX - 1)
  view.setUint8(at + field.aerl, EVENT_REQUESTS_MAX - 1)
  view.setUint8(at + field.elpe, ERROR_ENTRIES - 1)
  view.setUint16(at + field.kas, KEEP_ALIVE_UNIT_MS / 100, true)
  view.setUint16(at + field.maxcmd, subsystem.queueDepthMax, true)
  const { support, offset } = SGLS_BITS
  view.setUint32(at + field.sgls, putBits(support, 1) | putBits(offset, 1), true)
  putNqn(view, at + field.subnqn, NQN_BYTES, subsystem.nqn)
  view.setUint32(at + field.ioccsz, Math.floor((SQE_BYTES + subsystem.inCapsuleBytes) / 16), true)
  view.setUint32(at + field.iorcsz, CQE_BYTES / 16, true)
  view.setUint8(at + field.msdbd, 1)
  if (subsystem.kind === 'discovery') putDiscoveryController(view, at)
  else putIoController(view, at, subsystem)
  return STATUS.SUCCESS
}

function putDiscoveryController(view: DataView, at: number): void {
  const field = IDENTIFY_CONTROLLER
  view.setUint8(at + field.cntrltype, CNTRLTYPE.DISCOVERY)
  view.setUint32(at + field.oaes, putBits(OAES_BITS.discoveryLog, 1), true)
  view.setUint8(at + field.lpa, putBits(LPA_BITS.extended, 1))
  // 1: a direct discovery controller, that is, one that knows its own target only.
  view.setUint8(at + field.dctype, 1)
}

function putIoController(view: DataView, at: number, subsystem: SubsystemSnapshot): void {
  const field = IDENTIFY_CONTROLLER
  const { multiPort, multiController } = CMIC_BITS
  view.setUint8(at + field.cmic, putBits(multiPort, 1) | putBits(multiController, 1))
  view.setUint8(at + field.cntrltype, CNTRLTYPE.IO)
  view.setUint32(at + field.oaes, putBits(OAES_BITS.namespaceAttributes, 1), true)
  // One slot, which is read-only.
  view.setUint8(at + field.frmw, 0x03)
  const { effects, extended, mlps } = LPA_BITS
  view.setUint8(at + field.lpa, putBits(effects, 1) | putBits(extended, 1) | putBits(mlps, 1))
  // The smallest and the largest size are the same: 2^6 and 2^4 bytes.
  view.setUint8(at + field.sqes, 0x66)
  view.setUint8(at + field.cqes, 0x44)
  view.setUint32(at + field.nn, nsidMax(subsystem), true)
  view.setUint32(at + field.mnan, nsidMax(subsystem), true)
  const { compare, dsm, writeZeroes, saveSelect } = ONCS_BITS
  const oncs = putBits(compare, 1) | putBits(dsm, 1) | putBits(writeZeroes, 1)
  view.setUint16(at + field.oncs, oncs | putBits(saveSelect, 1), true)
  // 3: Flush with NSID FFFFFFFFh flushes all namespaces.
  view.setUint8(at + field.vwc, putBits(VWC_BITS.present, 1) | putBits(VWC_BITS.broadcast, 3))
  // The Disconnect command.
  view.setUint16(at + field.ofcs, 1, true)
}

const find = (subsystem: SubsystemSnapshot, nsid: number): NamespaceSnapshot | undefined =>
  subsystem.namespaces.find((namespace) => namespace.nsid === nsid)

/** An NSID that is valid but inactive is answered with zeroes; one that is not valid is refused. */
function putNamespaceOf(
  view: DataView, at: number, subsystem: SubsystemSnapshot, cns: number, nsid: number,
): number {
  if (nsid === 0 || nsid > nsidMax(subsystem)) return STATUS.INVALID_NAMESPACE
  const namespace = find(subsystem, nsid)
  if (namespace === undefined) return STATUS.SUCCESS
  if (cns === CNS.NAMESPACE) putNamespace(view, at, namespace)
  if (cns === CNS.INDEPENDENT_NAMESPACE) {
    view.setUint8(at + INDEPENDENT_NAMESPACE.nmic, 1)
    view.setUint8(at + INDEPENDENT_NAMESPACE.nsattr, namespace.readOnly ? 1 : 0)
    view.setUint8(at + INDEPENDENT_NAMESPACE.nstat, 1)
  }
  // NAMESPACE_OF_COMMAND_SET tells about protection information only: there is none, all zero.
  return STATUS.SUCCESS
}

function putNamespace(view: DataView, at: number, namespace: NamespaceSnapshot): void {
  const field = IDENTIFY_NAMESPACE
  const { blockBytes, blockCount, device } = namespace
  putU64(view, at + field.nsze, blockCount)
  putU64(view, at + field.ncap, blockCount)
  putU64(view, at + field.nuse, blockCount)
  const { thin, optperf } = NSFEAT_BITS
  view.setUint8(at + field.nsfeat, putBits(thin, +isSparse(device)) | putBits(optperf, 1))
  view.setUint8(at + field.nmic, 1)
  if (discardReadsZero(device)) {
    const { read, deac } = DLFEAT_BITS
    view.setUint8(at + field.dlfeat, putBits(read, 1) | putBits(deac, 1))
  }
  putBytes128(view, at + field.nvmcap, blockBytes, blockCount)
  // All five are 0-based blocks. Smaller or unaligned writes and deallocations work, but slower.
  const granuleBlocks = Math.max(1, granuleBytes(device) / blockBytes)
  for (const name of ['npwg', 'npwa', 'npdg', 'npda', 'nows'] as const) {
    view.setUint16(at + field[name], granuleBlocks - 1, true)
  }
  view.setUint8(at + field.nsattr, namespace.readOnly ? 1 : 0)
  putHex(view, at + field.nguid, namespace.nguid)
  view.setUint8(at + field.lbaf + LBAF.lbads, Math.log2(blockBytes))
}

/** Space is taken when blocks are written first, so a write may find that none is left. */
function isSparse(device: DeviceSnapshot): boolean {
  return device.kind === 'memory' || (device.kind === 'file' && device.discard)
}

/** The unit that the storage prefers. Memory: a page, which is what deallocation can give back. */
function granuleBytes(device: DeviceSnapshot): number {
  if (device.kind === 'memory') return PAGE_BYTES
  return device.kind === 'null' ? 0 : device.physicalBytes
}

/** NVMCAP is 128 bits wide and may need more of them than a safe integer has. */
function putBytes128(view: DataView, at: number, blockBytes: number, blockCount: number): void {
  const bytes = BigInt(blockBytes) * BigInt(blockCount)
  view.setBigUint64(at, BigInt.asUintN(64, bytes), true)
  view.setBigUint64(at + 8, bytes >> 64n, true)
}

/** NSIDs greater than nsid. The two highest values cannot have a successor. */
function putActive(
  view: DataView, at: number, subsystem: SubsystemSnapshot, nsid: number,
): number {
  if (nsid >= 0xffff_fffe) return STATUS.INVALID_NAMESPACE
  const above = subsystem.namespaces.filter((namespace) => namespace.nsid > nsid)
  for (const [index, namespace] of above.slice(0, NAMESPACE_LIST_MAX).entries()) {
    view.setUint32(at + 4 * index, namespace.nsid, true)
  }
  return STATUS.SUCCESS
}

/** Unlike CNS 00h, an inactive NSID is refused. */
function putDescriptors(
  view: DataView, at: number, subsystem: SubsystemSnapshot, nsid: number,
): number {
  const namespace = find(subsystem, nsid)
  if (namespace === undefined) return STATUS.INVALID_NAMESPACE
  const head = NAMESPACE_DESCRIPTOR.rsvd2 + 2
  const descriptors = [
    [NIDT.NGUID, NIDL.NGUID, namespace.nguid], [NIDT.UUID, NIDL.UUID, namespace.uuid],
    [NIDT.CSI, NIDL.CSI, '00'],
  ] as const
  let end = at
  for (const [nidt, nidl, nid] of descriptors) {
    view.setUint8(end + NAMESPACE_DESCRIPTOR.nidt, nidt)
    view.setUint8(end + NAMESPACE_DESCRIPTOR.nidl, nidl)
    putHex(view, end + head, nid)
    end += head + nidl
  }
  return STATUS.SUCCESS
}
