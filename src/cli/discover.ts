/**
 * `weft discover ADDRESS`: lists what a discovery service offers this host, as nvme-cli does.
 * main.ts → here → host.ts.     NVMe Base 2.0, Discovery Log Page.
 *
 * The log is read in pieces, and again from the start when its generation changed meanwhile.
 */
import { DISCOVERY_NQN } from '../subsystem/subsystem.ts'
import {
  ADRFAM, DISCOVERY_ENTRY, DISCOVERY_ENTRY_BYTES, DISCOVERY_HEADER, DISCOVERY_HEADER_BYTES,
  DISCOVERY_SUBTYPE, EFLAGS_BITS, LID, SECTYPE, TREQ_BITS, TRTYPE,
} from '../wire/log-page.ts'
import { takeBits } from '../wire/layout.ts'
import { takeNqn, takePadded, takeU64 } from '../wire/value.ts'
import { printable } from '../control/text.ts'
import { HostError } from './host-error.ts'
import { Host } from './host.ts'

const TRIES = 10
/** Header fields up to and with RECFMT: enough to know whether and what to read on. */
const HEAD_BYTES = 20
const PIECE_BYTES = 4096
const RECORDS_MAX = 4096

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
}

export type Discovery = {
  readonly generation: number
  readonly records: readonly DiscoveryRecord[]
}

/** Throws a HostError. */
export async function discover(address: string, port: number): Promise<Discovery> {
  const host = await Host.open({ address, port, nqn: DISCOVERY_NQN })
  try {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const before = await head(host)
      const records: DiscoveryRecord[] = []
      const bytes = before.count * DISCOVERY_ENTRY_BYTES
      for (let done = 0; done < bytes; done += PIECE_BYTES) {
        const piece = Math.min(PIECE_BYTES, bytes - done)
        const view = await host.logPage(LID.DISCOVERY, DISCOVERY_HEADER_BYTES + done, piece)
        for (let at = 0; at < piece; at += DISCOVERY_ENTRY_BYTES) records.push(recordOf(view, at))
      }
      if ((await head(host)).generation === before.generation) {
        return { generation: before.generation, records }
      }
    }
    throw new HostError('What the target offers changes faster than it can be read.')
  } finally {
    await host.close()
  }
}

/** As `nvme discover` shows it. */
export function discoveryText({ generation, records }: Discovery): string {
  const lines = [
    `Discovery Log Number of Records ${records.length}, Generation counter ${generation}`,
  ]
  for (const [index, record] of records.entries()) {
    lines.push(`=====Discovery Log Entry ${index}======`)
    for (const [name, value] of Object.entries(record)) {
      lines.push(`${`${name}:`.padEnd(9)}${value}`)
    }
  }
  return `${lines.join('\n')}\n`
}

async function head(host: Host): Promise<{ generation: number; count: number }> {
  const view = await host.logPage(LID.DISCOVERY, 0, HEAD_BYTES)
  const count = takeU64(view, DISCOVERY_HEADER.numrec)
  const format = view.getUint16(DISCOVERY_HEADER.recfmt, true)
  if (format !== 0) throw new HostError(`The discovery log has format ${format}, not 0.`)
  if (!(count <= RECORDS_MAX)) throw new HostError(`The discovery log claims ${count} records.`)
  return { generation: takeU64(view, DISCOVERY_HEADER.genctr), count }
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
  'discovery subsystem referral': DISCOVERY_SUBTYPE.REFERRAL,
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
