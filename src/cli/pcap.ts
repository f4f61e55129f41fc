/**
 * A trace as a pcap file, which Wireshark, tshark and tcpdump read: each PDU is a TCP segment of its connection, cut
 * after what was kept of it. trace-command.ts writes it.
 *
 *   file: │ header 24 │ packet │ packet │ …     packet: │ s 4 │ µs 4 │ kept 4 │ in all 4 │ IP │ TCP 20 │ PDU … │
 *
 * The segments are made up: they have the addresses, ports and sequence numbers of the connection, counted from where
 * the trace began. One that is longer than IPv4 can say has the length 0, as captures of segments that the network
 * card cuts have, and readers take the length of the packet then; IPv6 has an option for it.        RFC 2675, 2
 */
import { isIPv6 } from 'node:net'
import type { TraceFacts } from '../reactor/trace-ring.ts'
import type { TraceAnswerRecord } from '../rpc/methods/trace.ts'

const MAGIC = 0xa1b2c3d4
const SNAPLEN = 262_144
/** Packets begin with their IP header. */
const LINKTYPE_RAW = 101
const FILE_HEADER_BYTES = 24
const PACKET_HEADER_BYTES = 16
const TCP_BYTES = 20
const IPV4_BYTES = 20
const IPV6_BYTES = 40
const TCP = 6
const JUMBO_BYTES = 8
/** The option, and how long it is. */
const JUMBO = 0xc204
const TTL = 64
const WINDOW = 65_535
const FLAG = { FIN: 0x01, PSH: 0x08, ACK: 0x10 }

export function pcapHeader(): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES)
  header.writeUInt32LE(MAGIC, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(SNAPLEN, 16)
  header.writeUInt32LE(LINKTYPE_RAW, 20)
  return header
}

type Place = { readonly address: Buffer; readonly port: number }
type Known = { host: Place; target: Place; received: number; sent: number }

export class Pcap {
  readonly #connections = new Map<string, Known>()

  /** The packet of a record; null where it has none. */
  packet({ kind, connection, time_ms: atMs, stream_at: streamAt = 0, bytes = 0, header = '', facts }: TraceAnswerRecord): Buffer | null {
    if (facts !== undefined) this.#name(connection, facts)
    const known = this.#connections.get(connection)
    if (known === undefined || kind === 'connection') return null
    if (kind === 'ended') {
      this.#connections.delete(connection)
      return packetOf(atMs, known, 'received', known.received, 0, FLAG.FIN, Buffer.alloc(0))
    }
    known[kind] = streamAt + bytes
    return packetOf(atMs, known, kind, streamAt, bytes, FLAG.PSH, Buffer.from(header, 'base64'))
  }

  #name(connection: string, { remote, local }: TraceFacts): void {
    const before = this.#connections.get(connection)
    const { received = 0, sent = 0 } = before ?? {}
    this.#connections.set(connection, { host: placeOf(remote), target: placeOf(local), received, sent })
  }
}

function packetOf(
  atMs: number, known: Known, kind: 'received' | 'sent', streamAt: number, bytes: number, flag: number, kept: Buffer,
): Buffer {
  const { host, target } = known
  const [source, destination] = kind === 'received' ? [host, target] : [target, host]
  const acknowledged = kind === 'received' ? known.sent : known.received
  const ip = ipHeader(source.address, destination.address, TCP_BYTES + bytes)
  const tcp = Buffer.alloc(TCP_BYTES)
  tcp.writeUInt16BE(source.port, 0)
  tcp.writeUInt16BE(destination.port, 2)
  tcp.writeUInt32BE((streamAt + 1) % 2 ** 32, 4)
  tcp.writeUInt32BE((acknowledged + 1) % 2 ** 32, 8)
  tcp.writeUInt8((TCP_BYTES / 4) << 4, 12)
  tcp.writeUInt8(flag | FLAG.ACK, 13)
  tcp.writeUInt16BE(WINDOW, 14)
  const head = Buffer.alloc(PACKET_HEADER_BYTES)
  head.writeUInt32LE(Math.floor(atMs / 1000), 0)
  head.writeUInt32LE(Math.floor(atMs * 1000) % 1e6, 4)
  head.writeUInt32LE(ip.length + tcp.length + kept.length, 8)
  head.writeUInt32LE(ip.length + tcp.length + bytes, 12)
  return Buffer.concat([head, ip, tcp, kept])
}

/** payloadBytes: what follows it. */
function ipHeader(source: Buffer, destination: Buffer, payloadBytes: number): Buffer {
  if (source.length === 16) {
    const jumbo = payloadBytes > 0xffff
    const header = Buffer.alloc(IPV6_BYTES + (jumbo ? JUMBO_BYTES : 0))
    header.writeUInt8(0x60, 0)
    header.writeUInt16BE(jumbo ? 0 : payloadBytes, 4)
    header.writeUInt8(jumbo ? 0 : TCP, 6)
    header.writeUInt8(TTL, 7)
    source.copy(header, 8)
    destination.copy(header, 24)
    if (!jumbo) return header
    header.writeUInt8(TCP, IPV6_BYTES)
    header.writeUInt16BE(JUMBO, IPV6_BYTES + 2)
    header.writeUInt32BE(JUMBO_BYTES + payloadBytes, IPV6_BYTES + 4)
    return header
  }
  const header = Buffer.alloc(IPV4_BYTES)
  const bytes = IPV4_BYTES + payloadBytes
  header.writeUInt8(0x45, 0)
  header.writeUInt16BE(bytes > 0xffff ? 0 : bytes, 2)
  header.writeUInt8(TTL, 8)
  header.writeUInt8(TCP, 9)
  source.copy(header, 12)
  destination.copy(header, 16)
  header.writeUInt16BE(checksum(header), 10)
  return header
}

/** Of an IPv4 header whose field for it is 0.                                                RFC 791, 3.1 */
function checksum(header: Buffer): number {
  let sum = 0
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** "192.0.2.7:51234", "[2001:db8::7]:51234". */
function placeOf(text: string): Place {
  const gap = text.lastIndexOf(':')
  const address = text.slice(0, gap).replace(/^\[|\]$/g, '')
  return { address: addressBytes(address), port: Number(text.slice(gap + 1)) }
}

function addressBytes(text: string): Buffer {
  if (!isIPv6(text)) return Buffer.from(text.split('.').map(Number))
  const [front = '', back] = text.replace(/%.*$/, '').split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [before, after] = [groups(front), groups(back ?? '')]
  const zeroes = new Array<string>(8 - before.length - after.length).fill('0')
  return Buffer.from([...before, ...zeroes, ...after].map((each) => each.padStart(4, '0')).join(''), 'hex')
}
