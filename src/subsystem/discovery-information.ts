/**
 * Discovery information: the data of Discovery Information Management, checked and decoded.
 * registration.ts calls it; layouts in wire/discovery-information.ts.
 *
 *   ┌ header 1024: TDL NUMENT ENTFMT ETYPE EKTYPE EID ENAME EVER ┬ entry ┬ entry …
 *
 * What is wrong with the header is an Invalid Field, what is wrong with an entry is Invalid Discovery
 * Information.
 * Invariant: an entry that leaves here can be listed as it is: its padding, name and address are right.
 */
import { isIPv4, isIPv6 } from 'node:net'
import {
  DISCOVERY_INFORMATION, DISCOVERY_INFORMATION_BYTES, EKTYPE_ALL, ENAME_BYTES, ENTFMT, ETYPE, EXTENDED_ATTRIBUTE,
  EXTENDED_ATTRIBUTE_BYTES, EXTENDED_ENTRY_TAIL, EXTENDED_ENTRY_TAIL_BYTES,
} from '../wire/discovery-information.ts'
import { NQN_BYTES, NQN_BYTES_MAX } from '../wire/fabrics.ts'
import { putBits } from '../wire/layout.ts'
import {
  ADRFAM, DISCOVERY_ENTRY, DISCOVERY_ENTRY_BYTES, DISCOVERY_SUBTYPE, EFLAGS_BITS, TRTYPE,
} from '../wire/log-page.ts'
import { STATUS } from '../wire/status.ts'
import { putPadded, takeNqn, takePadded, takeU64 } from '../wire/value.ts'
import type { RegisteredEntry } from './subsystem.ts'

const TRSVCID_BYTES = 32
const TRADDR_BYTES = 256
const ADMIN_DEPTH_MIN = 32

export type Information = {
  readonly entity: string
  /** Of ETYPE. */
  readonly entityType: number
  /** What a person calls it; '' for none. Whatever its bytes are, this is printable ASCII. */
  readonly name: string
  /** Each with its key: where it is, and what. */
  readonly entries: readonly (readonly [key: string, entry: RegisteredEntry])[]
}

/** A piece of the data: where it begins, and how long it is. */
type Extent = { readonly at: number; readonly bytes: number }

/** address: of the sender, for entries that leave theirs out. Returns a status where it is wrong. */
export function decodeInformation(data: Uint8Array, address: string): Information | number {
  const field = DISCOVERY_INFORMATION
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  if (data.length < DISCOVERY_INFORMATION_BYTES) return STATUS.DATA_SGL_LENGTH_INVALID
  const tdl = view.getUint32(field.tdl, true)
  const nument = takeU64(view, field.nument)
  const entfmt = view.getUint16(field.entfmt, true)
  const entityType = view.getUint16(field.etype, true)
  if (tdl < DISCOVERY_INFORMATION_BYTES || tdl > data.length) return STATUS.INVALID_FIELD
  if (entfmt !== ENTFMT.BASIC && entfmt !== ENTFMT.EXTENDED) return STATUS.INVALID_FIELD
  if (entityType < ETYPE.HOST || entityType > ETYPE.CENTRAL) return STATUS.INVALID_FIELD
  if (view.getUint16(field.ektype, true) !== EKTYPE_ALL) return STATUS.INVALID_FIELD
  const entity = nqnAt(view, field.eid)
  if (entity === null) return STATUS.INVALID_FIELD
  const least = DISCOVERY_ENTRY_BYTES + (entfmt === ENTFMT.EXTENDED ? EXTENDED_ENTRY_TAIL_BYTES : 0)
  if (!(nument * least <= tdl - DISCOVERY_INFORMATION_BYTES)) return STATUS.INVALID_FIELD
  const entries: [string, RegisteredEntry][] = []
  let at = DISCOVERY_INFORMATION_BYTES
  for (let left = nument; left > 0; left--) {
    const bytes = entfmt === ENTFMT.BASIC ? DISCOVERY_ENTRY_BYTES : extendedBytes(view, at, tdl)
    const entry = bytes === 0 ? null : entryOf(data, { at, bytes }, entity, entityType, address)
    if (entry === null) return STATUS.INVALID_DISCOVERY_INFORMATION
    entries.push([keyOf(entry.base), entry])
    at += bytes
  }
  return { entity, entityType, name: printableAscii(takePadded(view, field.ename, ENAME_BYTES)), entries }
}

/** TEL of the entry; 0 where it, or an attribute, does not fit. */
function extendedBytes(view: DataView, at: number, end: number): number {
  if (at + DISCOVERY_ENTRY_BYTES + EXTENDED_ENTRY_TAIL_BYTES > end) return 0
  const tail = at + DISCOVERY_ENTRY_BYTES
  const bytes = view.getUint32(tail + EXTENDED_ENTRY_TAIL.tel, true)
  if (bytes > end - at || bytes % 4 !== 0) return 0
  let attribute = tail + EXTENDED_ENTRY_TAIL_BYTES
  for (let left = view.getUint16(tail + EXTENDED_ENTRY_TAIL.numexat, true); left > 0; left--) {
    if (attribute + EXTENDED_ATTRIBUTE_BYTES > at + bytes) return 0
    const valueBytes = view.getUint16(attribute + EXTENDED_ATTRIBUTE.exatlen, true)
    if (valueBytes === 0 || valueBytes % 4 !== 0) return 0
    attribute += EXTENDED_ATTRIBUTE_BYTES + valueBytes
  }
  return attribute === at + bytes ? bytes : 0
}

/** null where it cannot be listed. */
function entryOf(
  data: Uint8Array, { at, bytes }: Extent, entity: string, entityType: number, address: string,
): RegisteredEntry | null {
  const base = Uint8Array.from(data.subarray(at, at + DISCOVERY_ENTRY_BYTES))
  const view = new DataView(base.buffer)
  if (!completeAddress(view, address) || nqnAt(view, DISCOVERY_ENTRY.subnqn) === null) return null
  const isHost = entityType === ETYPE.HOST
  if (!isHost && !completeSubsystem(view)) return null
  const kind = isHost ? 'host' : 'subsystem'
  if (bytes === DISCOVERY_ENTRY_BYTES) return { entity, kind, base, attributeCount: 0, attributes: new Uint8Array(0) }
  const tail = at + DISCOVERY_ENTRY_BYTES
  const whole = new DataView(data.buffer, data.byteOffset, data.byteLength)
  return {
    entity, kind, base, attributeCount: whole.getUint16(tail + EXTENDED_ENTRY_TAIL.numexat, true),
    attributes: Uint8Array.from(data.subarray(tail + EXTENDED_ENTRY_TAIL_BYTES, at + bytes)),
  }
}

/** An entry without an address is at that of its sender. Only TCP and RDMA have addresses of numbers. */
function completeAddress(view: DataView, address: string): boolean {
  const field = DISCOVERY_ENTRY
  const trtype = view.getUint8(field.trtype)
  if (trtype !== TRTYPE.TCP && trtype !== TRTYPE.RDMA) return false
  const written = takePadded(view, field.traddr, TRADDR_BYTES)
  const traddr = written === '' ? address : written
  const family = isIPv4(traddr) ? ADRFAM.IPV4 : isIPv6(traddr) ? ADRFAM.IPV6 : 0
  if (family === 0 || family !== view.getUint8(field.adrfam)) return false
  putPadded(view, field.traddr, TRADDR_BYTES, traddr)
  return true
}

/** The discovery service of somebody else is, in our log, one that we refer to. */
function completeSubsystem(view: DataView): boolean {
  const field = DISCOVERY_ENTRY
  const trsvcid = takePadded(view, field.trsvcid, TRSVCID_BYTES)
  const port = /^\d{1,5}$/.test(trsvcid) ? Number(trsvcid) : 0
  if (port < 1 || port > 65535 || view.getUint16(field.asqsz, true) < ADMIN_DEPTH_MIN) return false
  putPadded(view, field.trsvcid, TRSVCID_BYTES, String(port))
  const subtype = view.getUint8(field.subtype)
  if (subtype < DISCOVERY_SUBTYPE.REFERRAL || subtype > DISCOVERY_SUBTYPE.CURRENT_DISCOVERY) return false
  if (subtype === DISCOVERY_SUBTYPE.CURRENT_DISCOVERY) {
    view.setUint8(field.subtype, DISCOVERY_SUBTYPE.REFERRAL)
    const flags = view.getUint16(field.eflags, true)
    view.setUint16(field.eflags, flags & ~putBits(EFLAGS_BITS.dupretinfo, 1), true)
  }
  return true
}

/** null where it is empty, too long, or no UTF-8. */
function nqnAt(view: DataView, at: number): string | null {
  const nqn = takeNqn(view, at, NQN_BYTES)
  return nqn === null || nqn === '' || Buffer.byteLength(nqn) > NQN_BYTES_MAX ? null : nqn
}

/** What makes it this entry and no other: transport, address, port, name. */
function keyOf(base: Uint8Array): string {
  const view = new DataView(base.buffer)
  const { trtype, trsvcid, traddr, subnqn } = DISCOVERY_ENTRY
  return [
    view.getUint8(trtype), takePadded(view, traddr, TRADDR_BYTES), takePadded(view, trsvcid, TRSVCID_BYTES),
    takeNqn(view, subnqn, NQN_BYTES),
  ].join(' ')
}

function printableAscii(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').trim()
}
