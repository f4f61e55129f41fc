/**
 * Identify: fills the 4096 bytes that answer the command. Called by admin, calls nothing below it.
 * NVMe Base 2.0, Identify command; NVM Command Set 1.0; layouts in wire/identify.ts.
 *
 * Pure: facts in, bytes and a status out. What a controller and a namespace can do is a row each in
 * capabilities.ts, commands.ts and features.ts.
 *
 * Invariant: identifiers and NMIC are the same through every controller of a subsystem; Linux
 * drops a path whose answers differ.
 */
import { assert } from '../assert.ts'
import { GRANULE_BYTES } from '../device/allocation.ts'
import { allocatedIn, isAttached } from '../subsystem/attachment.ts'
import {
  hasZones, type NamespaceSnapshot, type PoolSnapshot, type SubsystemSnapshot, zonesOf,
} from '../subsystem/subsystem.ts'
import { blockSizesOf } from '../subsystem/format.ts'
import { NQN_BYTES } from '../wire/fabrics.ts'
import {
  CNS, CONTROLLER_LIST, CONTROLLER_LIST_MAX, CSI, GRANULARITY, GRANULARITY_LIST, IDENTIFY_CONTROLLER,
  IDENTIFY_NAMESPACE, INDEPENDENT_NAMESPACE, LBAF,
  NAMESPACE_DESCRIPTOR, NAMESPACE_LIST_MAX, NIDL, NIDT, NVM_CONTROLLER,
} from '../wire/identify.ts'
import { layoutOf } from '../wire/layout.ts'
import { NSID_ALL } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import { putHex, putNqn, putPadded, putU64 } from '../wire/value.ts'
import { ZONED_CONTROLLER, ZONED_FORMAT, ZONED_NAMESPACE, ZONE_EXTENSION_UNIT_BYTES } from '../wire/zone.ts'
import {
  CONTROLLER_ROWS, type ControllerFacts, DISCOVERY_ROWS, IO_ROWS, isSparse, NAMESPACE_ROWS, nsidMax,
} from './capabilities.ts'
import { BLOCK_BYTES_MAX, VERIFY_BYTES_MAX, ZEROES_BYTES_MAX, sizeExponent } from './command-size.ts'

/** One of the list. */
const LBAF_BYTES = 4

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
      if (nsid === NSID_ALL && facts.subsystem.pool !== undefined) return putCommon(view, at, facts.subsystem.pool)
      return putNamespaceOf(view, at, facts, cns, nsid)
    case CNS.INDEPENDENT_NAMESPACE:
      return putNamespaceOf(view, at, facts, cns, nsid)
    case CNS.ALLOCATED_NAMESPACE:
      return putNamespaceOf(view, at, { ...facts, subsystem: whole(facts.subsystem) }, cns, nsid)
    case CNS.NAMESPACE_OF_COMMAND_SET:
    case CNS.ALLOCATED_NAMESPACE_OF_COMMAND_SET:
      if (csi === CSI.ZNS && hasZones(facts.subsystem)) return putZonedNamespaceOf(view, at, facts.subsystem, nsid)
      if (csi !== CSI.NVM) return STATUS.INVALID_FIELD
      return putNamespaceOf(view, at, facts, cns, nsid)
    case CNS.ACTIVE_NAMESPACES:
      return putList(view, at, facts.subsystem, nsid)
    case CNS.ALLOCATED_NAMESPACES:
      return putList(view, at, whole(facts.subsystem), nsid)
    case CNS.ACTIVE_NAMESPACES_OF_COMMAND_SET:
      return putListOf(view, at, facts.subsystem, nsid, csi)
    case CNS.ALLOCATED_NAMESPACES_OF_COMMAND_SET:
      return putListOf(view, at, whole(facts.subsystem), nsid, csi)
    case CNS.ATTACHED_CONTROLLERS:
      return putAttached(view, at, facts, nsid, cntid)
    case CNS.CONTROLLERS:
      return putControllers(view, at, facts.controllers().map((each) => each.cntlid), cntid)
    case CNS.NAMESPACE_DESCRIPTORS:
      return putDescriptors(view, at, facts.subsystem, nsid)
    case CNS.CONTROLLER_OF_COMMAND_SET:
      if (csi === CSI.ZNS && hasZones(facts.subsystem)) return putAppendSize(view, at, facts.subsystem)
      return csi === CSI.NVM ? putCommandSizes(view, at) : STATUS.INVALID_FIELD
    case CNS.NAMESPACE_GRANULARITY:
      return putGranularity(view, at, facts.subsystem)
    case CNS.COMMAND_SETS:
      if (cntid !== 0xffff && cntid !== facts.controllerId) return STATUS.INVALID_FIELD
      // One combination, vector 0: the NVM command set, and zones where a namespace has them.
      putU64(view, at, 1 << CSI.NVM | +hasZones(facts.subsystem) << CSI.ZNS)
      return STATUS.SUCCESS
    default:
      return STATUS.INVALID_FIELD
  }
}

function putController(view: DataView, at: number, facts: ControllerFacts): number {
  const { subsystem } = facts
  const field = IDENTIFY_CONTROLLER
  putPadded(view, at + field.sn, field.mn - field.sn, subsystem.serial)
  putPadded(view, at + field.mn, field.fr - field.mn, subsystem.model)
  putPadded(view, at + field.fr, field.rab - field.fr, facts.firmware)
  putNqn(view, at + field.subnqn, NQN_BYTES, subsystem.nqn)
  for (const [name, value] of CONTROLLER_ROWS) orField(view, at, field, name, value(facts))
  const rows = subsystem.kind === 'discovery' ? DISCOVERY_ROWS : IO_ROWS
  for (const [name, value] of rows) orField(view, at, field, name, value(facts))
  if (subsystem.pool !== undefined) {
    putBytes128(view, at + field.tnvmcap, subsystem.pool.totalBytes)
    putBytes128(view, at + field.unvmcap, subsystem.pool.freeBytes)
  }
  return STATUS.SUCCESS
}

/** ORs bits into a field of 1, 2 or 4 bytes. */
function orField(view: DataView, at: number, structure: object, name: string, value: number): void {
  const { offset, width } = layoutOf(structure).fields.find((each) => each.name === name)!
  const place = at + offset
  assert(value >= 0 && value < 2 ** (8 * width) && width <= 4, 'a capability fits its field')
  if (width === 1) view.setUint8(place, view.getUint8(place) | value)
  else if (width === 2) view.setUint16(place, view.getUint16(place, true) | value, true)
  else view.setUint32(place, view.getUint32(place, true) | value, true)
}

/** Dataset Management has no limits of its own. */
function putCommandSizes(view: DataView, at: number): number {
  view.setUint8(at + NVM_CONTROLLER.vsl, sizeExponent(VERIFY_BYTES_MAX))
  view.setUint8(at + NVM_CONTROLLER.wzsl, sizeExponent(ZEROES_BYTES_MAX))
  return STATUS.SUCCESS
}

/** One entry, for all LBA formats: a size is cut to whole blocks; of a pool, granules are taken. */
function putGranularity(view: DataView, at: number, { pool }: SubsystemSnapshot): number {
  const bytes = pool === undefined ? BLOCK_BYTES_MAX : GRANULE_BYTES
  putU64(view, at + GRANULARITY_LIST.entries + GRANULARITY.nsg, bytes)
  putU64(view, at + GRANULARITY_LIST.entries + GRANULARITY.ncg, bytes)
  return STATUS.SUCCESS
}

/** The subsystem with all namespaces that are allocated, attached to this controller or not. */
const whole = (subsystem: SubsystemSnapshot): SubsystemSnapshot =>
  ({ ...subsystem, namespaces: allocatedIn(subsystem) })

const find = (subsystem: SubsystemSnapshot, nsid: number): NamespaceSnapshot | undefined =>
  subsystem.namespaces.find((namespace) => namespace.nsid === nsid)

/** An NSID that is valid but inactive is answered with zeroes; one that is not valid is refused. */
function putNamespaceOf(view: DataView, at: number, facts: ControllerFacts, cns: number, nsid: number): number {
  const { subsystem } = facts
  if (nsid === 0 || nsid > nsidMax(subsystem)) return STATUS.INVALID_NAMESPACE
  const namespace = find(subsystem, nsid)
  if (namespace === undefined) return STATUS.SUCCESS
  if (cns === CNS.NAMESPACE || cns === CNS.ALLOCATED_NAMESPACE) putNamespace(view, at, facts, namespace)
  if (cns === CNS.INDEPENDENT_NAMESPACE) {
    for (const [name, value] of NAMESPACE_ROWS) {
      // NSFEAT has the same name there, but other bits.
      if (name === 'nsfeat' || !(name in INDEPENDENT_NAMESPACE)) continue
      orField(view, at, INDEPENDENT_NAMESPACE, name, value(namespace, subsystem))
    }
    view.setUint8(at + INDEPENDENT_NAMESPACE.nstat, 1)
  }
  // NAMESPACE_OF_COMMAND_SET tells about protection information only: there is none, all zero.
  return STATUS.SUCCESS
}

/** The same of what its zones are like. A namespace of another command set has none to tell of. */
function putZonedNamespaceOf(view: DataView, at: number, subsystem: SubsystemSnapshot, nsid: number): number {
  if (nsid === 0 || nsid > nsidMax(subsystem)) return STATUS.INVALID_NAMESPACE
  const namespace = find(subsystem, nsid)
  const zones = namespace === undefined ? null : zonesOf(namespace)
  if (namespace !== undefined && zones === null) return STATUS.IOCS_NOT_SUPPORTED
  if (zones === null) return STATUS.SUCCESS
  const field = ZONED_NAMESPACE
  view.setUint16(at + field.zoc, zones.zoc, true)
  view.setUint16(at + field.ozcs, zones.ozcs, true)
  for (const [index, word] of zones.resources.entries()) view.setUint32(at + field.mar + 4 * index, word, true)
  putU64(view, at + field.lbafe + ZONED_FORMAT.zsze, zones.zoneBlocks)
  view.setUint8(at + field.lbafe + ZONED_FORMAT.zdes, zones.extensionBytes / ZONE_EXTENSION_UNIT_BYTES)
  return STATUS.SUCCESS
}

/** The smallest of all of its namespaces, since a controller tells one size. */
function putAppendSize(view: DataView, at: number, { namespaces, mdtsBytes }: SubsystemSnapshot): number {
  const bytes = Math.min(...namespaces.map((each) => zonesOf(each)?.appendBytes ?? mdtsBytes))
  view.setUint8(at + ZONED_CONTROLLER.zasl, bytes >= mdtsBytes ? 0 : sizeExponent(bytes))
  return STATUS.SUCCESS
}

function csiOf(namespace: NamespaceSnapshot): number {
  return zonesOf(namespace) === null ? CSI.NVM : CSI.ZNS
}

/** NSID FFFFFFFFh: what all namespaces that can be created have in common. */
function putCommon(view: DataView, at: number, { blockSizes }: PoolSnapshot): number {
  const field = IDENTIFY_NAMESPACE
  view.setUint8(at + field.nlbaf, blockSizes.length - 1)
  putFormats(view, at, blockSizes)
  return STATUS.SUCCESS
}

function putFormats(view: DataView, at: number, blockSizes: readonly number[]): void {
  for (const [k, blockBytes] of blockSizes.entries()) {
    view.setUint8(at + IDENTIFY_NAMESPACE.lbaf + LBAF_BYTES * k + LBAF.lbads, Math.log2(blockBytes))
  }
}

function putNamespace(
  view: DataView, at: number, { subsystem, used }: ControllerFacts, namespace: NamespaceSnapshot,
): void {
  const field = IDENTIFY_NAMESPACE
  const { blockBytes, blockCount, counter, device } = namespace
  const usedBytes = isSparse(device) ? used(counter) : null
  putU64(view, at + field.nsze, blockCount)
  putU64(view, at + field.ncap, blockCount)
  // What a file takes besides its blocks may be counted too.
  putU64(view, at + field.nuse, usedBytes === null ? blockCount : Math.min(blockCount, Math.ceil(usedBytes / blockBytes)))
  putBytes128(view, at + field.nvmcap, namespace.capacityBytes ?? blockBytes * blockCount)
  for (const [name, value] of NAMESPACE_ROWS) orField(view, at, field, name, value(namespace, subsystem))
  putHex(view, at + field.nguid, namespace.nguid)
  putFormats(view, at, blockSizesOf(namespace))
}

/** Capacities are 128 bits wide, and may need more of them than a safe integer has. */
function putBytes128(view: DataView, at: number, bytes: number): void {
  const wide = BigInt(bytes)
  view.setBigUint64(at, BigInt.asUintN(64, wide), true)
  view.setBigUint64(at + 8, wide >> 64n, true)
}

/** Of a command set that there is. */
function putListOf(view: DataView, at: number, subsystem: SubsystemSnapshot, nsid: number, csi: number): number {
  if (csi !== CSI.NVM && (csi !== CSI.ZNS || !hasZones(subsystem))) return STATUS.INVALID_FIELD
  return putList(view, at, subsystem, nsid, csi)
}

/** NSIDs greater than nsid, of all namespaces or of those of a command set. The two highest values cannot have a successor. */
function putList(
  view: DataView, at: number, subsystem: SubsystemSnapshot, nsid: number, csi: number | null = null,
): number {
  if (nsid >= 0xffff_fffe) return STATUS.INVALID_NAMESPACE
  const above = subsystem.namespaces.filter((each) => each.nsid > nsid && (csi === null || csi === csiOf(each)))
  for (const [index, namespace] of above.slice(0, NAMESPACE_LIST_MAX).entries()) {
    view.setUint32(at + 4 * index, namespace.nsid, true)
  }
  return STATUS.SUCCESS
}

/** The controllers that a namespace is attached to. */
function putAttached(view: DataView, at: number, facts: ControllerFacts, nsid: number, cntid: number): number {
  if (nsid === NSID_ALL) return STATUS.INVALID_FIELD
  const namespace = find(whole(facts.subsystem), nsid)
  if (namespace === undefined) return STATUS.INVALID_NAMESPACE
  const parties = facts.controllers().filter((each) => isAttached(namespace.attachment, each))
  return putControllers(view, at, parties.map((each) => each.cntlid), cntid)
}

/** Those of these CNTLIDs that are not below cntid. */
function putControllers(view: DataView, at: number, cntlids: readonly number[], cntid: number): number {
  const listed = cntlids.filter((cntlid) => cntlid >= cntid).slice(0, CONTROLLER_LIST_MAX)
  view.setUint16(at + CONTROLLER_LIST.count, listed.length, true)
  for (const [index, cntlid] of listed.entries()) {
    view.setUint16(at + CONTROLLER_LIST.cntlids + 2 * index, cntlid, true)
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
    [NIDT.CSI, NIDL.CSI, csiOf(namespace).toString(16).padStart(2, '0')],
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
