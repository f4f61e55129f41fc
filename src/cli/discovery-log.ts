/**
 * The discovery log of a target, read and put into words. discover.ts → here → host/host.ts.
 * NVMe Base 2.0, Discovery Log Page; the names of values are those of nvme-cli.
 *
 * The log is read in pieces, and again from the start when its generation changed meanwhile. Only
 * the last reading of each round answers the event that a change raises: none is missed.
 */
import { printable } from '../control/text.ts'
import { HostError } from '../host/error.ts'
import type { Host } from '../host/host.ts'
import {
  EXATTYPE, EXTENDED_ATTRIBUTE, EXTENDED_ATTRIBUTE_BYTES, EXTENDED_ENTRY_TAIL,
  EXTENDED_ENTRY_TAIL_BYTES,
} from '../wire/discovery-information.ts'
import { putBits, takeBits } from '../wire/layout.ts'
import {
  ADRFAM, DISCOVERY_ENTRY, DISCOVERY_ENTRY_BYTES, DISCOVERY_FLAGS, DISCOVERY_HEADER,
  DISCOVERY_HEADER_BYTES, DISCOVERY_SUBTYPE, EFLAGS_BITS, LID, SECTYPE, TREQ_BITS, TRTYPE,
} from '../wire/log-page.ts'
import { takeNqn, takePadded, takeU64 } from '../wire/value.ts'

const TRIES = 10
/** Header fields up to and with RECFMT: enough to know whether and what to read on. */
const HEAD_BYTES = 20
/** With TDLPL: how long a log of extended entries is. */
const EXTENDED_HEAD_BYTES = 24
const PIECE_BYTES = 4096
const RECORDS_MAX = 4096
const EXTENDED_BYTES_MAX = 2 * RECORDS_MAX * DISCOVERY_ENTRY_BYTES

export const REFERRAL = 'discovery subsystem referral'

export type DiscoveryRecord = {
  readonly trtype: string
  readonly adrfam: string
  readonly subtype: string
  readonly treq: string
  readonly portid: number
  readonly trsvcid: string
  readonly subnqn: string
  readonly traddr: string
  readonly eflags: string
  readonly sectype: string
  /** Of an extended entry, in words. */
  readonly attributes?: readonly string[]
}

export type DiscoveryLog = {
  readonly generation: number
  readonly records: readonly DiscoveryRecord[]
}

export type Wish = { readonly extended: boolean; readonly portLocal: boolean }

type Head = { readonly generation: number; readonly count: number; readonly bytes: number }

/** Throws a HostError. */
export async function readDiscoveryLog(host: Host, wish: Wish): Promise<DiscoveryLog> {
  const lsp = putBits(DISCOVERY_FLAGS.extended, +wish.extended)
    | putBits(DISCOVERY_FLAGS.portLocal, +wish.portLocal)
  for (let tries = 0; tries < TRIES; tries += 1) {
    const before = await readHead(host, lsp, wish.extended, true)
    const log = new Uint8Array(before.bytes)
    for (let done = 0; done < log.length; done += PIECE_BYTES) {
      const piece = Math.min(PIECE_BYTES, log.length - done)
      const at = DISCOVERY_HEADER_BYTES + done
      const view = await host.logPage(LID.DISCOVERY, at, piece, { lsp, retainEvent: true })
      log.set(new Uint8Array(view.buffer, view.byteOffset, piece), done)
    }
    const after = await readHead(host, lsp, wish.extended, false)
    if (after.generation === before.generation) {
      return { generation: before.generation, records: recordsOf(log, before, wish.extended) }
    }
  }
  throw new HostError('What the target offers changes faster than it can be read.')
}

async function readHead(
  host: Host, lsp: number, extended: boolean, retainEvent: boolean,
): Promise<Head> {
  const headBytes = extended ? EXTENDED_HEAD_BYTES : HEAD_BYTES
  const view = await host.logPage(LID.DISCOVERY, 0, headBytes, { lsp, retainEvent })
  const count = takeU64(view, DISCOVERY_HEADER.numrec)
  const format = view.getUint16(DISCOVERY_HEADER.recfmt, true)
  if (format !== 0) throw new HostError(`The discovery log has format ${format}, not 0.`)
  if (!(count <= RECORDS_MAX)) throw new HostError(`The discovery log claims ${count} records.`)
  const generation = takeU64(view, DISCOVERY_HEADER.genctr)
  if (!extended) return { generation, count, bytes: count * DISCOVERY_ENTRY_BYTES }
  if (takeBits(view.getUint8(DISCOVERY_HEADER.dlpf), DISCOVERY_FLAGS.extended) === 0) {
    throw new HostError('The target has no extended discovery entries: leave --extended out.')
  }
  const bytes = view.getUint32(DISCOVERY_HEADER.tdlpl, true) - DISCOVERY_HEADER_BYTES
  if (bytes < 0 || bytes > EXTENDED_BYTES_MAX || bytes % 4 !== 0) {
    throw new HostError(`The discovery log claims ${bytes + DISCOVERY_HEADER_BYTES} bytes.`)
  }
  return { generation, count, bytes }
}

function recordsOf(log: Uint8Array, { count }: Head, extended: boolean): DiscoveryRecord[] {
  const records: DiscoveryRecord[] = []
  const view = new DataView(log.buffer)
  const least = DISCOVERY_ENTRY_BYTES + (extended ? EXTENDED_ENTRY_TAIL_BYTES : 0)
  let at = 0
  for (let index = 0; index < count; index += 1) {
    if (at + least > log.length) throw new HostError('The discovery log ends within an entry.')
    const record = recordOf(view, at)
    if (!extended) {
      records.push(record)
      at += DISCOVERY_ENTRY_BYTES
      continue
    }
    const tail = at + DISCOVERY_ENTRY_BYTES
    const bytes = view.getUint32(tail + EXTENDED_ENTRY_TAIL.tel, true)
    if (bytes < least || at + bytes > log.length) {
      throw new HostError(`Entry ${index} of the discovery log claims ${bytes} bytes.`)
    }
    records.push({ ...record, attributes: attributesOf(view, tail, at + bytes) })
    at += bytes
  }
  return records
}

function attributesOf(view: DataView, tail: number, end: number): string[] {
  const attributes: string[] = []
  let at = tail + EXTENDED_ENTRY_TAIL_BYTES
  let left = view.getUint16(tail + EXTENDED_ENTRY_TAIL.numexat, true)
  for (; left > 0 && at + EXTENDED_ATTRIBUTE_BYTES <= end; left -= 1) {
    const type = view.getUint16(at + EXTENDED_ATTRIBUTE.exattype, true)
    const bytes = view.getUint16(at + EXTENDED_ATTRIBUTE.exatlen, true)
    at += EXTENDED_ATTRIBUTE_BYTES
    if (at + bytes > end) break
    attributes.push(attributeText(type, Buffer.from(view.buffer, view.byteOffset + at, bytes)))
    at += bytes + (-bytes & 3)
  }
  return attributes
}

function attributeText(type: number, value: Buffer): string {
  if (type === EXATTYPE.HOST_ID) return `host id ${value.toString('hex')}`
  if (type === EXATTYPE.SYMBOLIC_NAME || type === EXATTYPE.SYMBOLIC_NAME_UTF8) {
    return `name ${printable(value.toString('utf8').replace(/[ \0]+$/, ''))}`
  }
  return `attribute ${type}: ${value.toString('hex')}`
}

function recordOf(view: DataView, at: number): DiscoveryRecord {
  const treq = view.getUint8(at + DISCOVERY_ENTRY.treq)
  return {
    trtype: nameOf(TRTYPE, view.getUint8(at + DISCOVERY_ENTRY.trtype)),
    adrfam: nameOf(ADRFAM, view.getUint8(at + DISCOVERY_ENTRY.adrfam)),
    subtype: nameOf(SUBTYPES, view.getUint8(at + DISCOVERY_ENTRY.subtype)),
    treq: SECURE_CHANNEL[takeBits(treq, TREQ_BITS.secureChannel)]!
      + (takeBits(treq, TREQ_BITS.noSqFlow) === 1 ? ', sq flow control disable supported' : ''),
    portid: view.getUint16(at + DISCOVERY_ENTRY.portid, true),
    trsvcid: printable(takePadded(view, at + DISCOVERY_ENTRY.trsvcid, 32)),
    subnqn: printable(takeNqn(view, at + DISCOVERY_ENTRY.subnqn, 256) ?? '?'),
    traddr: printable(takePadded(view, at + DISCOVERY_ENTRY.traddr, 256)),
    eflags: eflagsText(view.getUint16(at + DISCOVERY_ENTRY.eflags, true)),
    sectype: nameOf(SECTYPE, view.getUint8(at + DISCOVERY_ENTRY.sectype)),
  }
}

const SECURE_CHANNEL = ['not specified', 'required', 'not required', 'reserved']
const SUBTYPES = {
  [REFERRAL]: DISCOVERY_SUBTYPE.REFERRAL,
  'nvme subsystem': DISCOVERY_SUBTYPE.NVM,
  'current discovery subsystem': DISCOVERY_SUBTYPE.CURRENT_DISCOVERY,
}
const EFLAGS = [
  ['duplicate discovery information', EFLAGS_BITS.dupretinfo],
  ['explicit discovery connections', EFLAGS_BITS.epcsd],
  ['no cdc connectivity', EFLAGS_BITS.ncc],
] as const

function nameOf(codes: Readonly<Record<string, number>>, value: number): string {
  const found = Object.entries(codes).find(([, code]) => code === value)
  return found === undefined ? `unknown (${value})` : found[0].toLowerCase()
}

function eflagsText(flags: number): string {
  const names = EFLAGS.filter(([, place]) => takeBits(flags, place) === 1).map(([name]) => name)
  return names.length === 0 ? 'none' : names.join(', ')
}
