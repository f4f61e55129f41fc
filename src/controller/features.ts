/**
 * Features: the values that a host sets on its controller, and what may be set.
 * admin calls it with decoded commands; io looks at writeCacheEnabled. Pure: no clock, no queues.
 * NVMe Base 2.0, Set Features and Get Features; layouts in wire/feature.ts.
 *
 * One row a feature; those that hold for a whole controller are not kept over a reset, except
 * the host identifier, which Connect brought. A host sees its defaults again after it resets.
 *
 * Invariant: what is stored was valid, and a command that is answered with an error stores nothing.
 */
import {
  EXHID, FEATURE_CAPABILITY_BITS, FEATURE_SELECT, FID, HOST_BEHAVIOUR,
  HOST_BEHAVIOUR_BYTES, HOST_IDENTIFIER_BYTES, QUEUES_BITS, TEMPERATURE_BITS, TIMESTAMP, TIMESTAMP_BITS, TIMESTAMP_BYTES,
  WRITE_PROTECTION_BITS,
} from '../wire/feature.ts'
import { type BitPlace, putBits, takeBits } from '../wire/layout.ts'
import { NOTICE_MASK_BITS, PERSISTENCE_BITS } from '../wire/reservation.ts'
import { NSID_ALL } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import { eventsSupported } from './events.ts'

/** Identify's KAS: the unit that keep-alive times are rounded up to. */
export const KEEP_ALIVE_UNIT_MS = 1000

/** Where a controller's features start from. */
export type FeatureOrigin = {
  readonly kind: 'nvm' | 'discovery'
  readonly ioQueuesMax: number
  /** As agreed on at Connect; 0 = off. */
  readonly keepAliveMs: number
  /** 16 bytes, from Connect. */
  readonly hostId: Uint8Array
}

/** The features of one controller. Only setFeature changes them. */
export type Features = {
  readonly origin: FeatureOrigin
  arbitration: number
  /** Off: every write has to be on the medium before it is answered, as if it had FUA. */
  writeCacheEnabled: boolean
  /** I/O queue pairs granted; QIDs above are not to be connected. */
  ioQueueCount: number
  writeAtomicity: number
  /** Bits of ASYNC_EVENT_BITS: the events that the host wants to be told. */
  asyncEvents: number
  keepAliveMs: number
  /** What a host's clock showed at a moment of ours, which only counts differences. */
  timestamp: { readonly valueMs: number; readonly atMs: number; readonly set: boolean }
  /** HOST_BEHAVIOUR_BYTES. */
  readonly hostBehaviour: Uint8Array
  /** Kelvin, by THSEL: too hot, too cold. */
  readonly temperatures: [over: number, under: number]
  /** When they began: at Connect or a reset. */
  readonly startedMs: number
}

export type SetRequest = {
  readonly fid: number
  readonly save: boolean
  readonly nsid: number
  readonly cdw11: number
  /** What the host sent: featureBytes(fid) bytes. */
  readonly payload: Uint8Array
  /** I/O queues that are connected. */
  readonly ioQueues: number
  /** Some namespace of the subsystem has zones. */
  readonly zones: boolean
  /** Of a clock that never jumps. */
  readonly nowMs: number
}

export type GetRequest = {
  readonly fid: number
  readonly select: number
  readonly cdw11: number
  readonly nowMs: number
}

/** status, DW0 of the completion, and the data where the feature has some (else empty). */
export type FeatureAnswer = {
  readonly status: number
  readonly dw0: number
  readonly payload: Uint8Array
}

type Row = {
  readonly fid: number
  readonly name: string
  readonly kinds: readonly FeatureOrigin['kind'][]
  readonly changeable: boolean
  /** Data instead of a dword; 0 = a dword. */
  readonly bytes: number
  /** Returns a status and stores when it is 0. */
  readonly set: (features: Features, request: SetRequest) => number
  readonly get: (features: Features, cdw11: number) => number
  readonly payload?: (features: Features, nowMs: number) => Uint8Array
}

const NVM = ['nvm'] as const
const BOTH = ['nvm', 'discovery'] as const

/** A feature with one legal value, which a host may set as often as it likes. */
const fixed = (value: number) => ({
  set: (_features: Features, request: SetRequest) =>
    request.cdw11 === value ? STATUS.SUCCESS : STATUS.INVALID_FIELD,
  get: () => value,
})

const ROWS: readonly Row[] = [
  {
    // Round robin is the only arbitration, so that weights and burst change nothing.
    fid: FID.ARBITRATION, name: 'Arbitration', kinds: NVM, changeable: true, bytes: 0,
    set: (features, { cdw11 }) => {
      features.arbitration = cdw11
      return STATUS.SUCCESS
    },
    get: (features) => features.arbitration,
  },
  {
    // NPSS 0: power state 0 is the only one.
    fid: FID.POWER_MANAGEMENT, name: 'Power Management', kinds: NVM, changeable: true, bytes: 0,
    ...fixed(0),
  },
  {
    // There is no sensor, so that no threshold is ever crossed.
    fid: FID.TEMPERATURE_THRESHOLD, name: 'Temperature Threshold', kinds: NVM, changeable: true,
    bytes: 0, set: setTemperature,
    get: ({ temperatures }, cdw11) => temperatures[takeBits(cdw11, TEMPERATURE_BITS.thsel)] ?? 0,
  },
  {
    // No time limit for recovery, no errors for deallocated blocks.
    fid: FID.ERROR_RECOVERY, name: 'Error Recovery', kinds: NVM, changeable: true, bytes: 0,
    ...fixed(0),
  },
  {
    fid: FID.VOLATILE_WRITE_CACHE, name: 'Volatile Write Cache', kinds: NVM, changeable: true,
    bytes: 0,
    set: (features, { cdw11 }) => {
      features.writeCacheEnabled = (cdw11 & 1) === 1
      return STATUS.SUCCESS
    },
    get: (features) => (features.writeCacheEnabled ? 1 : 0),
  },
  {
    fid: FID.NUMBER_OF_QUEUES, name: 'Number of Queues', kinds: NVM, changeable: true, bytes: 0,
    set: setQueues, get: (features) => queuesWord(features.ioQueueCount),
  },
  {
    // Writes are atomic by one block only, in any case: AWUN is 0.
    fid: FID.WRITE_ATOMICITY, name: 'Write Atomicity Normal', kinds: NVM, changeable: true,
    bytes: 0,
    set: (features, { cdw11 }) => {
      features.writeAtomicity = cdw11 & 1
      return STATUS.SUCCESS
    },
    get: (features) => features.writeAtomicity,
  },
  {
    fid: FID.ASYNC_EVENTS, name: 'Asynchronous Event Configuration', kinds: BOTH,
    changeable: true, bytes: 0,
    set: (features, { cdw11, zones }) => {
      if ((cdw11 & ~eventsSupported(features.origin.kind, zones)) !== 0) return STATUS.INVALID_FIELD
      features.asyncEvents = cdw11
      return STATUS.SUCCESS
    },
    get: (features) => features.asyncEvents,
  },
  {
    fid: FID.TIMESTAMP, name: 'Timestamp', kinds: NVM, changeable: true, bytes: TIMESTAMP_BYTES,
    set: setTimestamp, get: () => 0, payload: timestampOf,
  },
  {
    fid: FID.KEEP_ALIVE_TIMER, name: 'Keep Alive Timer', kinds: BOTH, changeable: true, bytes: 0,
    set: (features, { cdw11 }) => {
      if (cdw11 === 0) return STATUS.KEEP_ALIVE_INVALID
      features.keepAliveMs = roundKeepAlive(cdw11)
      return STATUS.SUCCESS
    },
    get: (features) => features.keepAliveMs,
  },
  {
    fid: FID.HOST_BEHAVIOUR, name: 'Host Behavior Support', kinds: NVM, changeable: true,
    bytes: HOST_BEHAVIOUR_BYTES, set: setHostBehaviour, get: () => 0,
    payload: (features) => features.hostBehaviour,
  },
  {
    // On a fabric, Connect has said who the host is.
    fid: FID.HOST_IDENTIFIER, name: 'Host Identifier', kinds: NVM, changeable: false,
    bytes: HOST_IDENTIFIER_BYTES, set: () => STATUS.COMMAND_SEQUENCE_ERROR, get: () => 0,
    payload: (features) => features.origin.hostId,
  },
]

/** A feature of a namespace. The control plane keeps its value: see reservations.ts, and subsystem/protection.ts. */
export type NamespaceFeature = {
  readonly fid: number
  readonly name: string
  readonly verb: 'mask' | 'persistence' | 'protection'
  /** Bits of CDW11 that there are. All are 0 by default. */
  readonly bits: number
}

const NAMESPACE_ROWS: readonly NamespaceFeature[] = [
  {
    fid: FID.RESERVATION_NOTIFICATION, name: 'Reservation Notification Mask', verb: 'mask',
    bits: maskOf(NOTICE_MASK_BITS),
  },
  {
    fid: FID.RESERVATION_PERSISTENCE, name: 'Reservation Persistence', verb: 'persistence',
    bits: maskOf(PERSISTENCE_BITS),
  },
  {
    fid: FID.WRITE_PROTECTION, name: 'Namespace Write Protection Config', verb: 'protection',
    bits: maskOf(WRITE_PROTECTION_BITS),
  },
]

/** TMPSEL. */
const COMPOSITE = 0
const ALL_SENSORS = 15
const HOTTEST = 0xffff
/** Arbitration burst 7: as many commands of a queue at a time as there are. */
const BURST_UNLIMITED = 7
const NOTHING = new Uint8Array(0)

/** The defaults: what a controller has after Connect, and again after a reset. nowMs: of a clock that never jumps. */
export function initialFeatures(origin: FeatureOrigin, nowMs: number): Features {
  return {
    origin, arbitration: BURST_UNLIMITED, writeCacheEnabled: true, ioQueueCount: origin.ioQueuesMax,
    writeAtomicity: 0, asyncEvents: 0, keepAliveMs: origin.keepAliveMs,
    hostBehaviour: new Uint8Array(HOST_BEHAVIOUR_BYTES), timestamp: { valueMs: 0, atMs: nowMs, set: false },
    temperatures: [HOTTEST, 0], startedMs: nowMs,
  }
}

/** The FIDs that a controller of this kind has, in ascending order. */
export function supportedFeatures(kind: FeatureOrigin['kind']): number[] {
  const rows = [...ROWS.filter((row) => row.kinds.includes(kind)), ...kind === 'nvm' ? NAMESPACE_ROWS : []]
  return rows.map((row) => row.fid).sort((one, other) => one - other)
}

export function namespaceFeature(kind: FeatureOrigin['kind'], fid: number): NamespaceFeature | undefined {
  return kind === 'nvm' ? NAMESPACE_ROWS.find((row) => row.fid === fid) : undefined
}

/** Bytes that Set Features carries to, and Get Features from, the host: 0 for most features. */
export function featureBytes(features: Features, fid: number): number {
  return rowOf(features, fid)?.bytes ?? 0
}

/** A keep-alive time of Connect or Set Features, in ms: rounded up to the unit; 0 stays 0. */
export function roundKeepAlive(kato: number): number {
  const units = Math.ceil(kato / KEEP_ALIVE_UNIT_MS)
  return Math.min(units, Math.floor(0xffff_ffff / KEEP_ALIVE_UNIT_MS)) * KEEP_ALIVE_UNIT_MS
}

export function setFeature(features: Features, request: SetRequest): FeatureAnswer {
  const row = rowOf(features, request.fid)
  const nsid = request.nsid >>> 0
  if (row === undefined) return answer(STATUS.INVALID_FIELD)
  if (request.save) return answer(STATUS.FEATURE_NOT_SAVEABLE)
  if (nsid !== 0 && nsid !== NSID_ALL) return answer(STATUS.FEATURE_NOT_NAMESPACE_SPECIFIC)
  // The slot's words are signed.
  const status = row.set(features, { ...request, cdw11: request.cdw11 >>> 0 })
  if (status !== STATUS.SUCCESS) return answer(status)
  // Number of Queues is the one feature whose Set answers what became of the request.
  return answer(status, row.fid === FID.NUMBER_OF_QUEUES ? row.get(features, 0) : 0)
}

export function getFeature(features: Features, request: GetRequest): FeatureAnswer {
  const row = rowOf(features, request.fid)
  if (row === undefined) return answer(STATUS.INVALID_FIELD)
  const { select } = request
  if (select === FEATURE_SELECT.CAPABILITIES) {
    return answer(STATUS.SUCCESS, putBits(FEATURE_CAPABILITY_BITS.changeable, +row.changeable))
  }
  if (select > FEATURE_SELECT.CAPABILITIES) return answer(STATUS.INVALID_FIELD)
  if (row.fid === FID.TEMPERATURE_THRESHOLD && !isThreshold(request.cdw11, COMPOSITE)) {
    return answer(STATUS.INVALID_FIELD)
  }
  // The 64-bit identifier does not exist on a fabric.
  if (row.fid === FID.HOST_IDENTIFIER && (request.cdw11 & EXHID) === 0) {
    return answer(STATUS.INVALID_FIELD)
  }
  // Nothing can be saved, and then SAVED means DEFAULT.
  const from = select === FEATURE_SELECT.CURRENT ? features : initialFeatures(features.origin, request.nowMs)
  return answer(STATUS.SUCCESS, row.get(from, request.cdw11), row.payload?.(from, request.nowMs))
}

function rowOf(features: Features, fid: number): Row | undefined {
  return ROWS.find((row) => row.fid === fid && row.kinds.includes(features.origin.kind))
}

/** All bits that are fields. */
function maskOf(fields: Readonly<Record<string, BitPlace>>): number {
  return Object.values(fields).reduce((mask, place) => mask | putBits(place, 2 ** place[1] - 1), 0)
}

function answer(status: number, dw0 = 0, payload: Uint8Array = NOTHING): FeatureAnswer {
  return { status, dw0, payload }
}

/** A queue pair needs one of each, and there are as many of one as of the other. */
function setQueues(features: Features, { cdw11, ioQueues }: SetRequest): number {
  const nsqr = takeBits(cdw11, QUEUES_BITS.nsq)
  const ncqr = takeBits(cdw11, QUEUES_BITS.ncq)
  if (nsqr === 0xffff || ncqr === 0xffff) return STATUS.INVALID_FIELD
  if (ioQueues > 0) return STATUS.COMMAND_SEQUENCE_ERROR
  features.ioQueueCount = Math.min(Math.min(nsqr, ncqr) + 1, features.origin.ioQueuesMax)
  return STATUS.SUCCESS
}

function queuesWord(queueCount: number): number {
  const last = queueCount - 1
  return (putBits(QUEUES_BITS.nsq, last) | putBits(QUEUES_BITS.ncq, last)) >>> 0
}

function setTimestamp(features: Features, { payload, nowMs }: SetRequest): number {
  if (payload.length !== TIMESTAMP_BYTES) return STATUS.DATA_SGL_LENGTH_INVALID
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  const low = view.getUint32(TIMESTAMP.timestamp, true)
  const valueMs = low + view.getUint16(TIMESTAMP.timestamp + 4, true) * 2 ** 32
  features.timestamp = { valueMs, atMs: nowMs, set: true }
  return STATUS.SUCCESS
}

/** It goes on by itself; without a host that has set it, from 0. */
function timestampOf({ timestamp }: Features, nowMs: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(TIMESTAMP_BYTES))
  const value = Math.floor(timestamp.valueMs + nowMs - timestamp.atMs) % 2 ** 48
  view.setUint32(TIMESTAMP.timestamp, value % 2 ** 32, true)
  view.setUint16(TIMESTAMP.timestamp + 4, Math.floor(value / 2 ** 32), true)
  view.setUint8(TIMESTAMP.attributes, putBits(TIMESTAMP_BITS.origin, +timestamp.set))
  return new Uint8Array(view.buffer)
}

/** The sensor of the whole controller is the only one. */
function setTemperature(features: Features, { cdw11 }: SetRequest): number {
  if (!isThreshold(cdw11, COMPOSITE) && !isThreshold(cdw11, ALL_SENSORS)) return STATUS.INVALID_FIELD
  features.temperatures[takeBits(cdw11, TEMPERATURE_BITS.thsel)] = takeBits(cdw11, TEMPERATURE_BITS.tmpth)
  return STATUS.SUCCESS
}

/** CDW11 names this sensor, and a threshold that there is. */
function isThreshold(cdw11: number, sensor: number): boolean {
  return takeBits(cdw11, TEMPERATURE_BITS.tmpsel) === sensor && takeBits(cdw11, TEMPERATURE_BITS.thsel) <= 1
}

/** ETDAS and LBAFEE need what Identify says this controller does not have. */
function setHostBehaviour(features: Features, { payload }: SetRequest): number {
  if (payload.length !== HOST_BEHAVIOUR_BYTES) return STATUS.DATA_SGL_LENGTH_INVALID
  const acre = payload[HOST_BEHAVIOUR.acre]!
  const others = payload[HOST_BEHAVIOUR.etdas]! | payload[HOST_BEHAVIOUR.lbafee]!
  if (acre > 1 || others !== 0) return STATUS.INVALID_FIELD
  features.hostBehaviour[HOST_BEHAVIOUR.acre] = acre
  return STATUS.SUCCESS
}
