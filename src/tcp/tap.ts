/**
 * A tap on the connections of one reactor: records the headers of the PDUs that come and go, while somebody traces.
 * connections puts it in the place of the receiver then, and the reactor lets it look before each turn.
 *
 *   ready ─▶ receive: what the receiver has consumed, PDU by PDU ─┐
 *   turn ──▶ look: send entries that are new ─────────────────────┴─▶ reactor/trace-ring.ts
 *
 * No payload is recorded, and so no secret: of what follows a header only the data of Connect, which says who
 * connects. Records of a connection whose host is not known yet are kept until it is, where one host is wanted.
 * Invariant: while nobody traces it is in nobody's way: not even a test is made for it.
 */
import type { Arena } from '../reactor/arena.ts'
import type { TracedReactor } from '../reactor/messages.ts'
import { TRACE, type TraceFacts, TraceRing, type TraceWish } from '../reactor/trace-ring.ts'
import { C, H, T } from '../shim/abi.ts'
import { CONNECT, CONNECT_DATA, CONNECT_DATA_BYTES, FABRICS, FABRICS_TYPE, NQN_BYTES } from '../wire/fabrics.ts'
import {
  CAPSULE_CMD, CAPSULE_CMD_BYTES, CH, CH_BYTES, PDU_TYPE, SHORT_HEADER_BYTES, TERM_REQ_COPY_BYTES_MAX,
} from '../wire/pdu.ts'
import { FABRICS_OPCODE, SQE } from '../wire/sqe.ts'
import { type Connection, PHASE } from './connection.ts'

/** ICReq and TermReqs are kept whole. */
const KEPT_BYTES_MAX = SHORT_HEADER_BYTES + TERM_REQ_COPY_BYTES_MAX
/** Records of a connection that wait for its Connect: ICReq, ICResp, and some to spare. */
const HELD_MAX = 8
/** How often connections that have gone are looked for. */
const LOOK_MS = 100

const VERDICT = { OPEN: 0, WANTED: 1, IGNORED: 2 } as const

/** What a host said of itself; before its Connect, and where there is no name. */
const NOBODY = { hostNqn: '', subsystem: '', qid: -1 }

type Held = { readonly kind: number; readonly timeMs: number; readonly streamAt: number; readonly wireBytes: number
  readonly bytes: Uint8Array }

type Stream = {
  readonly connection: Connection
  readonly serial: number
  readonly remote: string
  readonly local: string
  who: Pick<TraceFacts, 'hostNqn' | 'subsystem' | 'qid'>
  verdict: number
  receivedBytes: number
  sentBytes: number
  /** Of the PDU that is being received. */
  leftBytes: number
  /** The send entry to look at next. */
  nextEntry: number
  readonly held: Held[]
}

type Receives = { receive(connection: Connection): void }

export class Tap implements Receives {
  readonly #arena: Arena
  readonly #words: Int32Array
  readonly #connections: readonly Connection[]
  readonly #rxMask: number
  readonly #txMask: number
  readonly #streams: (Stream | undefined)[] = []
  #receiver: Receives | null = null
  #wish: TraceWish = { host: null, address: null }
  #ring: TraceRing | null = null
  #known: TracedReactor['known'] = []
  #lookedMs = 0

  constructor(arena: Arena, connections: readonly Connection[], txEntries: number, rxBytes: number) {
    this.#arena = arena
    this.#words = arena.words
    this.#connections = connections
    this.#rxMask = rxBytes - 1
    this.#txMask = txEntries - 1
  }

  /** Records what is wanted from now on; null: nothing. Returns what is to receive, as the receiver does now. */
  follow(traced: TracedReactor | null, receiver: Receives): Receives {
    const former = this.#receiver ?? receiver
    this.#streams.length = 0
    this.#receiver = traced === null ? null : former
    this.#ring = traced === null ? null : new TraceRing(traced.ring)
    if (traced === null) return former
    this.#wish = traced.wish
    this.#known = traced.known
    for (const connection of this.#connections) if (connection.phase !== PHASE.FREE) this.#streamOf(connection)
    this.#known = []
    return this
  }

  receive(connection: Connection): void {
    const words = this.#words
    const { control } = connection
    const stream = this.#streamOf(connection)
    // A send ring that is empty starts over: just now, if it has.
    if (words[control + C.TX_TAIL] === 0) stream.nextEntry = 0
    if (connection.placingBytes !== 0) stream.leftBytes -= connection.placingBytes - words[control + C.PLACE_BYTES]!
    const head = words[control + C.RX_HEAD]!
    this.#receiver!.receive(connection)
    this.#received(stream, head, words[control + C.RX_HEAD]!)
  }

  /** What is to be sent in the coming turn, and what has gone. */
  look(): void {
    const words = this.#words
    const first = this.#arena.touchedAt >> 2
    for (let k = 0; k < words[H.TOUCHED]!; k++) this.#sent(this.#streamOf(this.#connections[words[first + k]!]!))
    const nowMs = words[H.NOW_MS]!
    if (((nowMs - this.#lookedMs) | 0) < LOOK_MS) return
    this.#lookedMs = nowMs
    for (const stream of this.#streams) {
      if (stream === undefined) continue
      const { connection, serial } = stream
      if (connection.phase === PHASE.FREE || connection.serial !== serial) this.#ended(stream)
    }
  }

  #streamOf(connection: Connection): Stream {
    const present = this.#streams[connection.index]
    if (present !== undefined && present.serial === connection.serial) return present
    if (present !== undefined) this.#ended(present)
    const { index, serial, remote, local: { address, port }, payloadTag, payloadBytes, dataDigestBytes } = connection
    const { hostNqn, subsystem, qid } =
      this.#known.find((each) => each.connection === index && each.serial === serial) ?? NOBODY
    const stream: Stream = {
      connection, serial, remote, local: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
      who: { hostNqn, subsystem, qid }, verdict: VERDICT.OPEN, receivedBytes: 0, sentBytes: 0,
      leftBytes: payloadTag === -1 ? 0 : payloadBytes + dataDigestBytes,
      nextEntry: this.#words[connection.control + C.TX_TAIL]!, held: [],
    }
    this.#streams[index] = stream
    this.#decide(stream)
    return stream
  }

  #decide(stream: Stream): void {
    const { host, address } = this.#wish
    const { remote, who: { hostNqn } } = stream
    const here = address === null || remote === address || remote.slice(0, remote.lastIndexOf(':')) === address
    const wanted = host === null || hostNqn === host
    if (!here || (!wanted && hostNqn !== '')) stream.verdict = VERDICT.IGNORED
    else stream.verdict = wanted ? VERDICT.WANTED : VERDICT.OPEN
    if (stream.verdict === VERDICT.WANTED) this.#name(stream)
    for (const { bytes, ...record } of stream.held.splice(0)) {
      if (stream.verdict === VERDICT.WANTED) this.#write(stream, record, bytes, 0, bytes.length)
    }
  }

  #name(stream: Stream): void {
    const { remote, local, who } = stream
    this.#tell(stream, TRACE.NAMED, JSON.stringify({ remote, local, ...who } satisfies TraceFacts))
  }

  #ended(stream: Stream): void {
    const { connection, serial, verdict } = stream
    if (verdict === VERDICT.WANTED) this.#tell(stream, TRACE.ENDED, connection.serial === serial ? connection.reason : '')
    this.#streams[connection.index] = undefined
  }

  #tell(stream: Stream, kind: number, text: string): void {
    const bytes = new TextEncoder().encode(text)
    this.#write(stream, { kind, timeMs: nowMs(), streamAt: stream.receivedBytes, wireBytes: 0 }, bytes, 0, bytes.length)
  }

  #write(stream: Stream, record: Omit<Held, 'bytes'>, source: Uint8Array, from: number, to: number): void {
    const { connection, serial } = stream
    this.#ring!.write({ ...record, connection: connection.index, serial }, source, from, to)
  }

  /** What the receiver has consumed of the ring. */
  #received(stream: Stream, head: number, end: number): void {
    if (stream.verdict === VERDICT.IGNORED) return
    const { connection } = stream
    let at = head
    while (at !== end) {
      const available = (end - at) | 0
      if (stream.leftBytes <= 0) {
        const offset = connection.rxAt + (at & this.#rxMask)
        stream.leftBytes = this.#wireBytes(connection, offset, available)
        if (isConnect(this.#arena.view, offset, available)) this.#meet(stream, offset)
        const kept = Math.min(this.#keptBytes(connection, offset, available), available, stream.leftBytes)
        const streamAt = stream.receivedBytes
        stream.receivedBytes += stream.leftBytes
        this.#record(stream, TRACE.RECEIVED, streamAt, stream.leftBytes, offset, kept)
      }
      const bytes = Math.min(stream.leftBytes, available)
      stream.leftBytes -= bytes
      at = (at + bytes) | 0
    }
  }

  /** Of a connection that is being ended: what came is consumed, and need not be PDUs. */
  #wireBytes(connection: Connection, offset: number, available: number): number {
    if (available < CH_BYTES) return available
    const plen = this.#arena.view.getUint32(offset + CH.plen, true)
    const sane = plen >= CH_BYTES && (plen <= available || connection.phase < PHASE.TERMINATING)
    return sane ? plen : available
  }

  #keptBytes(connection: Connection, offset: number, available: number): number {
    const { view } = this.#arena
    const type = view.getUint8(offset)
    if (type === PDU_TYPE.H2C_DATA) return SHORT_HEADER_BYTES + connection.headerDigestBytes
    if (type !== PDU_TYPE.CAPSULE_CMD) return KEPT_BYTES_MAX
    if (!isConnect(view, offset, available)) return CAPSULE_CMD_BYTES + connection.headerDigestBytes
    return view.getUint8(offset + CH.pdo) + CONNECT_DATA_BYTES
  }

  /** A Connect says who it is. */
  #meet(stream: Stream, offset: number): void {
    const { view, bytes } = this.#arena
    const dataAt = offset + view.getUint8(offset + CH.pdo)
    stream.who = {
      hostNqn: textAt(bytes, dataAt + CONNECT_DATA.hostnqn), subsystem: textAt(bytes, dataAt + CONNECT_DATA.subnqn),
      qid: view.getUint16(offset + CAPSULE_CMD.sqe + CONNECT.qid, true),
    }
    this.#decide(stream)
  }

  /** Entries of the send ring that are new. */
  #sent(stream: Stream): void {
    const words = this.#words
    const { connection } = stream
    const tail = words[connection.control + C.TX_TAIL]!
    for (let k = stream.nextEntry; k !== tail && stream.verdict !== VERDICT.IGNORED; k = (k + 1) | 0) {
      const e = connection.txWord + ((k & this.#txMask) << 4)
      const headerBytes = words[e + T.HEADER_BYTES]!
      // Without a header of its own it is one that stands in the arena: ICResp, C2HTermReq.
      const whole = headerBytes === 0
      const wireBytes = whole ? words[e + T.BYTES]! : words[e + T.HEADER + 1]!
      const from = whole ? words[e + T.LO]! : (e + T.HEADER) << 2
      this.#record(stream, TRACE.SENT, stream.sentBytes, wireBytes, from, whole ? wireBytes : headerBytes)
      stream.sentBytes += wireBytes
    }
    stream.nextEntry = tail
  }

  #record(stream: Stream, kind: number, streamAt: number, wireBytes: number, from: number, kept: number): void {
    const record = { kind, timeMs: nowMs(), streamAt, wireBytes }
    const { bytes } = this.#arena
    if (stream.verdict === VERDICT.WANTED) this.#write(stream, record, bytes, from, from + kept)
    else if (stream.verdict === VERDICT.OPEN && stream.held.length < HELD_MAX) {
      stream.held.push({ ...record, bytes: bytes.slice(from, from + kept) })
    }
  }
}

/** A CapsuleCmd with all of the data of Connect in it. */
function isConnect(view: DataView, at: number, available: number): boolean {
  if (available < CAPSULE_CMD_BYTES || view.getUint8(at) !== PDU_TYPE.CAPSULE_CMD) return false
  const pdo = view.getUint8(at + CH.pdo)
  return view.getUint8(at + CAPSULE_CMD.sqe + SQE.opcode) === FABRICS_OPCODE
    && view.getUint8(at + CAPSULE_CMD.sqe + FABRICS.fctype) === FABRICS_TYPE.CONNECT
    && pdo >= CAPSULE_CMD_BYTES && available >= pdo + CONNECT_DATA_BYTES
}

/** Up to its NUL. */
function textAt(bytes: Uint8Array, at: number): string {
  const field = bytes.subarray(at, at + NQN_BYTES)
  const end = field.indexOf(0)
  return Buffer.from(end === -1 ? field : field.subarray(0, end)).toString('utf8')
}

function nowMs(): number {
  return performance.timeOrigin + performance.now()
}
