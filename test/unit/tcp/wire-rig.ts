/**
 * Connections of one reactor without a network: the real tcp and queue code on a fake arena, with an
 * executor that a test commands, and with what the shim does to rings done here.
 *
 *   feed(bytes) ─▶ receive ring, or a placement ─▶ ready()       send ring ─▶ sent() ─▶ PDUs
 *
 * Invariant: all bytes that come in are written by test/wire-bytes.ts, and all that go out are taken
 * apart by it.
 */
import { Aborts } from '../../../src/controller/abort.ts'
import { Pairs } from '../../../src/controller/pair.ts'
import type { Associations } from '../../../src/controller/associations.ts'
import type { RepeatableExecutor } from '../../../src/controller/executor.ts'
import type { Queue } from '../../../src/controller/queue.ts'
import { WANTS_DATA } from '../../../src/device/device.ts'
import { Admission } from '../../../src/queue/admit.ts'
import { Completer } from '../../../src/queue/complete.ts'
import { Transfers } from '../../../src/queue/transfer.ts'
import type { ToControl } from '../../../src/reactor/messages.ts'
import { Buffers } from '../../../src/reactor/buffers.ts'
import { type Slot, Slots } from '../../../src/reactor/slots.ts'
import { Work } from '../../../src/reactor/work.ts'
import { type Connection, PHASE } from '../../../src/tcp/connection.ts'
import { Connections } from '../../../src/tcp/connections.ts'
import { Digests } from '../../../src/tcp/digest.ts'
import { Holders } from '../../../src/tcp/holders.ts'
import { Handshake } from '../../../src/tcp/handshake.ts'
import { Receiver } from '../../../src/tcp/receive.ts'
import { Sender } from '../../../src/tcp/send.ts'
import { Terminator } from '../../../src/tcp/terminate.ts'
import { crc32c, digestBytes, parsePdu, type Pdu } from '../../wire-bytes.ts'
import { SIZES, type Sizes, fakeArena, performCopies } from '../reactor/fake-arena.ts'

/** Words of a control block, of the header: native/shim.h. */
const STATE = 0
const ERROR = 1
const RX_HEAD = 2
const RX_TAIL = 3
const TX_HEAD = 4
const TX_TAIL = 5
const FLAGS = 6
const PLACE = 7
const TOUCHED = 11
const NOW_MS = 2
const TOUCHED_COUNT = 8
const OPEN = 1
const ENDED = 2
const CLOSED = 3

const PAGE = 4096
const SLOTS = 32
/** Region 1: what a memory namespace would be. */
export const REGION = 1
const REGION_BYTES = 1 << 20

export type Agreed = { readonly header?: boolean; readonly data?: boolean; readonly transfersMax?: number }

export class WireRig {
  readonly sizes: Sizes
  readonly arena
  readonly region = new Uint8Array(REGION_BYTES)
  readonly slots = new Slots(SLOTS)
  readonly buffers: Buffers
  readonly pages: Buffers
  readonly work: Work
  readonly sender: Sender
  readonly connections: Connections
  readonly completer: Completer
  readonly transfers: Transfers
  readonly admission: Admission
  readonly aborts: Aborts
  readonly pairs: Pairs
  /** What holders look at: change freePages to make it scarce. */
  readonly pool = { freePages: 100, pages: 100 }
  readonly posted: ToControl[] = []
  /** Connections that have gone, with the reason, and queues that have left, in order. */
  readonly gone: string[] = []
  /** What the executor was asked, as "start 2 cid 7". */
  readonly asked: string[] = []
  readonly released: number[] = []
  /** What the executor does; by default a Write goes to the region at CID * 4096, a Read comes from there. */
  readonly executor: RepeatableExecutor = {
    start: (slot) => {
      Object.assign(slot, { region: REGION, lo: slot.cid * PAGE, hi: 0 })
      return slot.opcode === 1 ? WANTS_DATA : 0
    },
    run: () => 0,
    again: () => 0,
    released: () => 0,
    check: () => 0,
    proceed: () => 0,
    forget: () => {},
  }
  readonly adopted: number[] = []
  /** How many digests each call for several has computed. */
  readonly series: number[] = []
  readonly #adminAt: number

  constructor(sizes: Partial<Sizes> = {}, limits: { transferBytes?: number; keepPages?: number } = {}) {
    this.sizes = { ...SIZES, ...sizes }
    const arena = fakeArena(this.sizes)
    this.arena = arena
    const { txEntries, rxBytes, copiesMax, opsMax, connections, bufferBytes } = this.sizes
    this.#adminAt = arena.buffersAt + bufferBytes / 2
    this.buffers = new Buffers(arena.buffersAt, bufferBytes / 2)
    this.pages = new Buffers(this.#adminAt, bufferBytes / 2)
    this.work = new Work(arena, copiesMax, opsMax)
    const shim = {
      adopt: () => this.#adopt(),
      release: (index: number) => {
        this.#word(index, STATE, 0)
        return this.released.push(index)
      },
    }
    this.connections = new Connections(arena, shim, txEntries, rxBytes)
    this.sender = new Sender(arena, txEntries)
    this.completer = new Completer(
      this.slots, this.buffers, this.pages, this.#adminAt, this.sender,
      { record: () => {}, quick: new Int32Array(1024), words: arena.words },
    )
    this.transfers = new Transfers(this.slots, this.sender, SLOTS * 2, limits.transferBytes ?? 1024, 2)
    this.aborts = new Aborts(this.slots, 0, (message) => this.posted.push(message))
    const executor = (): RepeatableExecutor => ({
      start: (slot, queue, w) => this.#asked('start', slot, this.executor.start(slot, queue, w)),
      run: (slot, queue) => this.#asked('run', slot, this.executor.run(slot, queue)),
      again: (slot) => this.#asked('again', slot, this.executor.again(slot)),
      released: (slot, queue) => this.executor.released(slot, queue),
      check: (slot, queue, w) => this.#asked('check', slot, this.executor.check(slot, queue, w)),
      proceed: (slot, queue) => this.executor.proceed(slot, queue),
      forget: (connection) => this.pairs.forget(connection),
    })
    this.pairs = new Pairs({
      buffers: this.buffers, namespaces: [], finish: (slot, status) => this.completer.finish(slot, status),
      failed: () => {}, ask: (slot) => this.asked.push(`ask cid ${slot.cid}`), release: () => {},
    })
    this.admission = new Admission({
      pairs: this.pairs, queueOf: (slot) => this.connections.all[slot.connection]!.queue,
      arena, slots: this.slots, work: this.work, completer: this.completer, transfers: this.transfers,
      fabrics: executor(), admin: executor(), io: executor(), aborts: this.aborts, inCapsuleBytes: 8192,
      transferBytesMax: 1 << 20, keepPages: limits.keepPages ?? 0, adminPages: 0,
    })
    const terminator = new Terminator(arena, this.pages, this.sender, connections)
    const receiver = new Receiver({
      arena, work: this.work, transfers: this.transfers, admission: this.admission, terminator,
      digests: new Digests(arena, {
        crc32c: (region, lo, hi, bytes) => this.#crcOfPlace(region, lo, hi, bytes),
        crc32cSeries: (at, bytes, stride, count, resultAt) => {
          this.series.push(count)
          for (let k = 0; k < count; k++) {
            const from = at + k * stride
            arena.words[(resultAt >> 2) + k] = crc32c(arena.bytes.subarray(from, from + bytes))
          }
          return 0
        },
      }),
      handshake: new Handshake(arena, this.sender, this.pages.take(PAGE), 10_000), sender: this.sender,
      stalled: this.connections.stall, rxBytes, inCapsuleBytes: 8192, alignedAt: this.pages.take(PAGE),
    })
    const associations = { leave: (queue: Queue) => this.gone.push(`queue ${queue.connection} left`) }
    this.connections.assemble({
      slots: this.slots, sender: this.sender, receiver, terminator,
      holders: new Holders(arena, this.slots, [this.pool]), exhausted: () => this.gone.push('no slot'), completer: this.completer,
      transfers: this.transfers, admission: this.admission, aborts: this.aborts,
      associations: associations as unknown as Associations,
      gone: (connection, reason) => this.gone.push(`${connection.index}: ${reason}`),
    })
  }

  /** A connection that waits for ICReq. */
  open(): Connection {
    const connection = this.connections.adopt(7, { address: '192.0.2.1', port: 4420 }, '192.0.2.7:1')
    if (typeof connection === 'number') throw new Error(`not adopted: ${connection}`)
    return connection
  }

  /** A connection that carries I/O queue 1, with what its handshake would have agreed on. */
  live(agreed: Agreed = {}): Connection {
    const connection = this.open()
    connection.agree(agreed.header ?? false, agreed.data ?? false, 4, agreed.transfersMax ?? 1)
    connection.phase = PHASE.LIVE
    Object.assign(connection.queue, { qid: 1, depth: 128 })
    return connection
  }

  /** Bytes come in: to where the shim was asked to place them, the rest to the ring. */
  feed(connection: Connection, ...parts: Uint8Array[]): void {
    const bytes = Buffer.concat(parts)
    const { words } = this.arena
    const place = connection.control + PLACE
    const placed = Math.min(words[place + 3]!, bytes.length)
    const memory = words[place] === 0 ? this.arena.bytes : this.region
    memory.set(bytes.subarray(0, placed), words[place + 1])
    words[place + 1]! += placed
    words[place + 3]! -= placed
    const { rxBytes } = this.sizes
    let tail = words[connection.control + RX_TAIL]!
    for (const byte of bytes.subarray(placed)) {
      const at = connection.rxAt + (tail & (rxBytes - 1))
      this.arena.bytes[at] = byte
      this.arena.bytes[at + rxBytes] = byte
      tail = (tail + 1) | 0
    }
    words[connection.control + RX_TAIL] = tail
    this.connections.ready(connection.index)
  }

  /** Bytes in the ring that nobody has consumed. */
  unread(connection: Connection): number {
    return this.#of(connection, RX_TAIL) - this.#of(connection, RX_HEAD)
  }

  /** Bytes that the shim is to place. */
  placing(connection: Connection): number {
    return this.#of(connection, PLACE + 3)
  }

  /** What a turn does before anything else. */
  turn(): void {
    performCopies(this.arena, new Map([[REGION, this.region]]))
    const { words, touchedAt } = this.arena
    for (let k = 0; k < words[TOUCHED_COUNT]!; k++) this.#word(words[(touchedAt >> 2) + k]!, TOUCHED, 0)
    words[TOUCHED_COUNT] = 0
  }

  /** Turns, lets everything that is queued leave, and looks again at those that waited. */
  sent(connection: Connection): Pdu[] {
    const pdus = this.queued(connection)
    this.#word(connection.index, TX_HEAD, this.#of(connection, TX_TAIL))
    this.connections.ready(connection.index)
    this.connections.retry()
    return pdus
  }

  /** What is in the send ring, as bytes would leave, and stays there. */
  queued(connection: Connection): Pdu[] {
    this.turn()
    const [head, tail] = [this.#of(connection, TX_HEAD), this.#of(connection, TX_TAIL)]
    return Array.from({ length: tail - head }, (_, index) => {
      const bytes = this.#gather(connection, head + index)
      if (bytes.length !== bytes.readUInt32LE(4)) throw new Error(`${bytes.length} bytes are not PLEN`)
      return parsePdu(bytes)
    })
  }

  /** The words of the entry that was queued last. */
  lastEntry(connection: Connection): number[] {
    const index = (this.#of(connection, TX_TAIL) - 1) & (this.sizes.txEntries - 1)
    return [...this.arena.words.subarray(connection.txWord + 16 * index, connection.txWord + 16 * index + 16)]
  }

  flags(connection: Connection): number { return this.#of(connection, FLAGS) }

  now(ms: number): void { this.arena.words[NOW_MS] = ms }

  /** The host has gone: what it sent before is in the ring. errno 0 = in order. */
  end(connection: Connection, errno = 0): void {
    this.#word(connection.index, STATE, ENDED)
    this.#word(connection.index, ERROR, errno)
    this.connections.ready(connection.index)
  }

  /** Nothing of it is in flight any more. */
  closed(connection: Connection): void {
    this.#word(connection.index, STATE, CLOSED)
    this.connections.ready(connection.index)
  }

  /** Slots, pages and tags that are taken: all 0 when nothing is left of anything. */
  inUse(): { slots: number; pages: number; adminPages: number; tags: number } {
    return {
      slots: this.slots.count - this.slots.freeCount,
      pages: this.buffers.pages - this.buffers.freePages,
      // Two are the rig's own.
      adminPages: this.pages.pages - this.pages.freePages - 2,
      tags: this.transfers.count - this.transfers.freeCount,
    }
  }

  #asked(what: string, slot: Slot, outcome: number): number {
    this.asked.push(`${what} ${slot.opcode} cid ${slot.cid}`)
    return outcome
  }

  #adopt(): number {
    const { words, connectionsAt } = this.arena
    for (let index = 0; index < this.sizes.connections; index++) {
      const w = (connectionsAt >> 2) + 16 * index
      if (words[w] !== 0) continue
      words.fill(0, w, w + 16)
      words[w] = OPEN
      this.adopted.push(index)
      return index
    }
    return -28
  }

  #crcOfPlace(region: number, lo: number, hi: number, bytes: number): number {
    performCopies(this.arena, new Map([[REGION, this.region]]))
    if (hi !== 0) throw new Error('beyond the region')
    return crc32c((region === 0 ? this.arena.bytes : this.region).subarray(lo, lo + bytes))
  }

  #gather(connection: Connection, count: number): Buffer {
    const { words, bytes } = this.arena
    const e = connection.txWord + 16 * (count & (this.sizes.txEntries - 1))
    const [flags, headerBytes, padBytes, region, lo, , payloadBytes] = words.subarray(e, e + 7)
    const header = Buffer.from(bytes.slice(4 * (e + 8), 4 * (e + 8) + headerBytes!))
    const memory = region === 0 ? bytes : this.region
    const payload = Buffer.from(memory.slice(lo!, lo! + payloadBytes!))
    return Buffer.concat([
      header, (flags! & 1) !== 0 ? digestBytes(header) : Buffer.alloc(0), Buffer.alloc(padBytes!), payload,
      payloadBytes !== 0 && (flags! & 2) !== 0 ? digestBytes(payload) : Buffer.alloc(0),
    ])
  }

  #of(connection: Connection, word: number): number {
    return this.arena.words[connection.control + word]!
  }

  #word(index: number, word: number, value: number): void {
    this.arena.words[(this.arena.connectionsAt >> 2) + 16 * index + word] = value
  }
}
