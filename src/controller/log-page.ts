/**
 * Log pages: builds what Get Log Page reads, except the discovery log (subsystem/discovery.ts).
 * Called by admin.               NVMe Base 2.0, Get Log Page; layouts in wire/log-page.ts.
 *
 * A log is built whole for each command and then cut to what the host asked for: that makes every
 * offset and length right, and none of it is in the data path.
 *
 * Invariant: LID 00h names a log exactly when logPage() has it.
 */
import { PENDING } from '../device/device.ts'
import { hasZones, type NamespaceSnapshot, type SubsystemSnapshot, zonesOf } from '../subsystem/subsystem.ts'
import { FID } from '../wire/feature.ts'
import { CSI } from '../wire/identify.ts'
import { layoutOf, putBits } from '../wire/layout.ts'
import {
  CHANGED_NAMESPACES, CHANGED_NAMESPACES_MAX, DISCOVERY_FLAGS, EFFECTS_LOG, ERROR_ENTRY, ERROR_ENTRY_BYTES,
  FEATURE_EFFECT_BITS, FIRMWARE_LOG, LID, SMART_LOG, SUPPORTED_LOG_BITS, TRTYPE,
} from '../wire/log-page.ts'
import { NSID_ALL } from '../wire/sqe.ts'
import { CONTEXT_ACTION, PERSISTENT_LOG_BYTES } from '../wire/persistent-event.ts'
import { STATUS } from '../wire/status.ts'
import { putPadded, putU64 } from '../wire/value.ts'
import type { AdminState } from './admin-state.ts'
import { adminCommandsOf, IO_COMMANDS, ZONE_COMMANDS } from './commands.ts'
import { mergeSmart } from './device-health.ts'
import { namespaceFeature, supportedFeatures } from './features.ts'
import { sanitizeLog } from './media.ts'
import { ERROR_ENTRIES } from './shared.ts'

const FIRMWARE_BYTES = 8
/** LSP 1:0 of LID 0Dh. */
const CONTEXT_ACTION_MASK = 3
/** Of an entry that tells the opcode and the command set. */
const ERROR_ENTRY_VERSION = 1
const SCOPE_NAMESPACE = 1
const SCOPE_CONTROLLER = 2
const SMART_UNIT_BYTES = 512_000

/** A command that failed. */
export type ErrorEntry = {
  /** 1 for the first error of the subsystem, counting on through all runs. */
  readonly count: number
  readonly sqid: number
  readonly cid: number
  /** Of STATUS. */
  readonly status: number
  /** Byte of the command that is wrong, or LOCATION_NONE. */
  readonly location: number
  readonly opcode: number
  /** 0 where the command has none. */
  readonly lba: number
  readonly nsid: number
}

/** What has happened, and what is wrong. */
export type HealthCounters = {
  /** CRITICAL_WARNING_BITS. */
  readonly warning: number
  readonly readBytes: number
  readonly writtenBytes: number
  /** Commands: Read and Compare, Write. */
  readonly reads: number
  readonly writes: number
  readonly busyMinutes: number
  readonly powerCycles: number
  readonly powerOnHours: number
  readonly unsafeShutdowns: number
  readonly mediaErrors: number
  /** Entries that the error log ever had. */
  readonly errors: number
}

/** Where the changing part of the logs comes from; asked only for the log that is read. */
export type LogSources = {
  readonly subsystem: SubsystemSnapshot
  readonly firmware: string
  /** Newest first. */
  readonly errors: () => readonly ErrorEntry[]
  /** null: of the subsystem. */
  readonly health: (namespace: NamespaceSnapshot | null) => HealthCounters
  /** SMART logs of the NVMe devices behind it. */
  readonly devices?: (namespace: NamespaceSnapshot | null) => readonly Uint8Array[]
  /** NSIDs in ascending order. Reading forgets them, where RAE is 0: that is the caller's part. */
  readonly changedNamespaces: () => readonly number[]
  /** The log of changed zones of a namespace; reading forgets them in the same way. */
  readonly changedZones?: (nsid: number) => Uint8Array
  /** As the controller's path has it. */
  readonly ana: () => Uint8Array
  readonly discovery: () => Uint8Array
  /** The persistent events, by CONTEXT_ACTION, or the status that refuses it. */
  readonly persistentEvents: (action: number) => Uint8Array | number
  readonly notice: () => Uint8Array
}

/** What a Get Log Page says besides where its data go. */
export type LogRequest = {
  readonly lid: number
  readonly nsid: number
  /** Log specific; 0 for most logs. */
  readonly lsp: number
  readonly lsi: number
  readonly csi: number
}

/** The whole log, or the status that refuses it. */
type Builder = (sources: LogSources, request: LogRequest) => Uint8Array | number

const NVM_LOGS = new Map<number, Builder>([
  [LID.SUPPORTED_LOGS, ({ subsystem }) => supportedLogs(subsystem.kind, hasZones(subsystem))],
  [LID.ERRORS, (sources) => errorLog(sources.errors())],
  [LID.SMART, smartLogOf],
  [LID.FIRMWARE, (sources) => firmwareLog(sources.firmware)],
  [LID.CHANGED_NAMESPACES, (sources) => changedNamespaceList(sources.changedNamespaces())],
  [LID.ANA, (sources) => sources.ana()],
  [LID.EFFECTS, ({ subsystem }, { csi }) => {
    if (csi === CSI.ZNS && hasZones(subsystem)) return effectsLog(subsystem, ZONE_COMMANDS)
    return csi === CSI.NVM ? effectsLog(subsystem) : STATUS.INVALID_FIELD
  }],
  [LID.PERSISTENT_EVENTS, (sources, { lsp }) => sources.persistentEvents(lsp & CONTEXT_ACTION_MASK)],
  [LID.FEATURE_EFFECTS, () => featureEffectsLog()],
  [LID.CHANGED_ZONES, changedZonesOf],
  [LID.RESERVATION_NOTICES, (sources) => sources.notice()],
  [LID.SANITIZE, (sources) => sanitizeLog(sources.subsystem)],
  // All zero: there is no NVMe-MI.
  [LID.MI_EFFECTS, () => new Uint8Array(4096)],
])
const DISCOVERY_LOGS = new Map<number, Builder>([
  [LID.SUPPORTED_LOGS, (sources) => supportedLogs(sources.subsystem.kind)],
  [LID.DISCOVERY, (sources) => sources.discovery()],
])

const logsOf = (kind: SubsystemSnapshot['kind']): Map<number, Builder> =>
  kind === 'nvm' ? NVM_LOGS : DISCOVERY_LOGS

/** Logs that tell of one namespace, where the host names one; the others are of controller and subsystem. */
const OF_NAMESPACES: ReadonlySet<number> = new Set([LID.SMART, LID.CHANGED_ZONES])

/** The whole log, or the status that refuses it. */
export function logPage(request: LogRequest, sources: LogSources): Uint8Array | number {
  const { lid, nsid } = request
  const build = logsOf(sources.subsystem.kind).get(lid)
  if (build === undefined || !hasLog(sources.subsystem, lid)) return STATUS.INVALID_LOG_PAGE
  if (!isGlobal(nsid) && !OF_NAMESPACES.has(lid)) return STATUS.INVALID_FIELD
  return build(sources, request)
}

const isGlobal = (nsid: number): boolean => nsid === 0 || nsid >>> 0 === NSID_ALL

function hasLog(subsystem: SubsystemSnapshot, lid: number): boolean {
  return lid !== LID.CHANGED_ZONES || hasZones(subsystem)
}

/** LID BFh, of a namespace with zones alone. */
function changedZonesOf({ subsystem, changedZones }: LogSources, { nsid }: LogRequest): Uint8Array | number {
  const namespace = subsystem.namespaces.find((each) => each.nsid === nsid)
  if (namespace === undefined) return STATUS.INVALID_NAMESPACE
  return zonesOf(namespace) === null ? STATUS.INVALID_FIELD : changedZones?.(nsid) ?? STATUS.INVALID_LOG_PAGE
}

function smartLogOf(sources: LogSources, { nsid }: LogRequest): Uint8Array | number {
  if (isGlobal(nsid)) return smartLog(sources.health(null), sources.devices?.(null))
  const namespace = sources.subsystem.namespaces.find((each) => each.nsid === nsid)
  return namespace === undefined ? STATUS.INVALID_NAMESPACE
    : smartLog(sources.health(namespace), sources.devices?.(namespace))
}

/**
 * LID 0Dh of a controller: the log as it was when its host established a reporting context. PENDING: one is to be
 * established, and the log is to be asked for.
 */
export function persistentEvents(admin: Pick<AdminState, 'eventContext'>, action: number): Uint8Array | number {
  switch (action) {
    case CONTEXT_ACTION.READ:
      return admin.eventContext ?? STATUS.COMMAND_SEQUENCE_ERROR
    case CONTEXT_ACTION.ESTABLISH:
      return admin.eventContext === null ? PENDING : STATUS.COMMAND_SEQUENCE_ERROR
    case CONTEXT_ACTION.RELEASE:
      admin.eventContext = null
      // It returns nothing; some hosts ask for the header all the same.
      return new Uint8Array(PERSISTENT_LOG_BYTES)
    default:
      return STATUS.INVALID_FIELD
  }
}

/**
 * Copies the log from lpo on into target and fills what is left with zeroes. lpo: bytes, NaN where
 * it is no safe integer. Returns a status.
 */
export function cutLog(log: Uint8Array, lpo: number, target: Uint8Array): number {
  if (!(lpo <= log.length) || lpo % 4 !== 0) return STATUS.INVALID_FIELD
  const part = log.subarray(lpo, lpo + target.length)
  target.set(part)
  target.fill(0, part.length)
  return STATUS.SUCCESS
}

/** What of a discovery log a host may choose: its LIDSPEC. */
const DISCOVERY_WISHES = putBits(DISCOVERY_FLAGS.extended, 1) | putBits(DISCOVERY_FLAGS.portLocal, 1)

/** LID 00h. */
export function supportedLogs(kind: SubsystemSnapshot['kind'], zones = false): Uint8Array {
  const view = blank(1024)
  for (const lid of logsOf(kind).keys()) {
    if (lid === LID.CHANGED_ZONES && !zones) continue
    view.setUint32(4 * lid, putBits(SUPPORTED_LOG_BITS.lsupp, 1), true)
  }
  if (kind === 'discovery') view.setUint16(4 * LID.DISCOVERY + 2, DISCOVERY_WISHES, true)
  return bytesOf(view)
}

/** LID 01h: always ERROR_ENTRIES entries, unused ones zero. errors: newest first. */
export function errorLog(errors: readonly ErrorEntry[]): Uint8Array {
  const view = blank(ERROR_ENTRIES * ERROR_ENTRY_BYTES)
  for (const [index, error] of errors.slice(0, ERROR_ENTRIES).entries()) {
    const at = index * ERROR_ENTRY_BYTES
    putU64(view, at + ERROR_ENTRY.count, error.count)
    view.setUint16(at + ERROR_ENTRY.sqid, error.sqid, true)
    view.setUint16(at + ERROR_ENTRY.cid, error.cid, true)
    view.setUint16(at + ERROR_ENTRY.status, error.status << 1, true)
    view.setUint16(at + ERROR_ENTRY.location, error.location, true)
    putU64(view, at + ERROR_ENTRY.lba, error.lba)
    view.setUint32(at + ERROR_ENTRY.nsid, error.nsid, true)
    view.setUint8(at + ERROR_ENTRY.trtype, TRTYPE.TCP)
    view.setUint8(at + ERROR_ENTRY.csi, CSI.NVM)
    view.setUint8(at + ERROR_ENTRY.opcode, error.opcode)
    view.setUint8(at + ERROR_ENTRY.version, ERROR_ENTRY_VERSION)
  }
  return bytesOf(view)
}

/** LID 02h. Temperatures are those of devices (device-health.ts); without them 0: there is no sensor. */
export function smartLog(health: HealthCounters, devices: readonly Uint8Array[] = []): Uint8Array {
  const view = blank(512)
  view.setUint8(SMART_LOG.cw, health.warning)
  view.setUint8(SMART_LOG.avsp, 100)
  putU64(view, SMART_LOG.dur, Math.ceil(health.readBytes / SMART_UNIT_BYTES))
  putU64(view, SMART_LOG.duw, Math.ceil(health.writtenBytes / SMART_UNIT_BYTES))
  putU64(view, SMART_LOG.hrc, health.reads)
  putU64(view, SMART_LOG.hwc, health.writes)
  putU64(view, SMART_LOG.cbt, health.busyMinutes)
  putU64(view, SMART_LOG.pcyc, health.powerCycles)
  putU64(view, SMART_LOG.poh, health.powerOnHours)
  putU64(view, SMART_LOG.upl, health.unsafeShutdowns)
  putU64(view, SMART_LOG.mdie, health.mediaErrors)
  putU64(view, SMART_LOG.eile, health.errors)
  mergeSmart(view, devices)
  return bytesOf(view)
}

/** LID 03h: one slot, the active one. */
export function firmwareLog(firmware: string): Uint8Array {
  const view = blank(512)
  view.setUint8(FIRMWARE_LOG.afi, 1)
  putPadded(view, FIRMWARE_LOG.frs, FIRMWARE_BYTES, firmware)
  return bytesOf(view)
}

/** LID 04h. */
export function changedNamespaceList(nsids: readonly number[]): Uint8Array {
  const view = blank(layoutOf(CHANGED_NAMESPACES).bytes)
  const listed = nsids.length > CHANGED_NAMESPACES_MAX ? [NSID_ALL] : nsids
  for (const [index, nsid] of listed.entries()) view.setUint32(4 * index, nsid, true)
  return bytesOf(view)
}

/** LID 05h: the commands there are, and what they change. */
export function effectsLog(subsystem: SubsystemSnapshot, commands = IO_COMMANDS): Uint8Array {
  const view = blank(layoutOf(EFFECTS_LOG).bytes)
  for (const { opcode, effects } of adminCommandsOf(subsystem)) {
    view.setUint32(EFFECTS_LOG.admin + 4 * opcode, effects, true)
  }
  for (const { opcode, effects } of commands) view.setUint32(EFFECTS_LOG.io + 4 * opcode, effects, true)
  return bytesOf(view)
}

/** LID 12h: a feature holds for the controller as a whole, or for a namespace. */
export function featureEffectsLog(): Uint8Array {
  const view = blank(1024)
  for (const fid of supportedFeatures('nvm')) {
    const scope = namespaceFeature('nvm', fid) !== undefined ? SCOPE_NAMESPACE : SCOPE_CONTROLLER
    const { fsupp, ncc, scope: place } = FEATURE_EFFECT_BITS
    // What protects a namespace shows in Identify: hosts should look again.
    const changes = putBits(ncc, +(fid === FID.WRITE_PROTECTION))
    view.setUint32(4 * fid, (putBits(fsupp, 1) | changes | putBits(place, scope)) >>> 0, true)
  }
  return bytesOf(view)
}

const blank = (bytes: number): DataView => new DataView(new ArrayBuffer(bytes))
const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer)
