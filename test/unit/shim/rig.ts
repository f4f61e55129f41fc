/**
 * One shim on this thread with what the tests do to it all the time: turns until something is the
 * case, consuming a ring, queueing entries, starting ops. Used by the tests of this folder.
 *
 * Invariant: the rig keeps to the contract of shim.h; tests that break it write words themselves.
 */
import net from 'node:net'
import { C, COMPLETION, COPY, ENGINE, H, O, STATE, T, WORDS } from '../../../src/shim/abi.ts'
import { loadShim, type Shim, type ShimLimits } from '../../../src/shim/shim.ts'

export const shim: Shim = loadShim()

/** The engines that this system permits, for describe.each. */
export const ENGINES = (['URING', 'EPOLL', 'IOCP'] as const)
  .filter((name) => shim.engines() & (1 << ENGINE[name]))
  .map((name) => ({ name, engine: ENGINE[name] }))

const TURNS_MAX = 20_000
const TURN_WAIT_US = 500
export const ACCEPT_TOKEN = 0x40000000

export const LIMITS: ShimLimits = {
  engine: ENGINE.AUTO, connectionsMax: 16, rxBytes: 65536, txEntries: 64, copiesMax: 16, opsMax: 32,
  bufferBytes: 4 << 20, socketBufferBytes: 0,
}

export type Entry = {
  readonly flags?: number
  readonly header?: Uint8Array
  readonly padBytes?: number
  readonly region?: number
  readonly at?: number
  readonly bytes?: number
}

export class Rig {
  readonly limits: ShimLimits
  readonly id: number
  readonly words: Int32Array
  readonly bytes: Uint8Array
  readonly doubles: Float64Array
  /** Results by token, in the order of arrival. */
  readonly results = new Map<number, number[]>()
  /** Connections that were ready in the last turn. */
  ready: number[] = []
  private nextToken = 1
  private readonly listeners: number[] = []
  private readonly clients: net.Socket[] = []

  constructor(limits: Partial<ShimLimits>, spinUs = 0) {
    this.limits = { ...LIMITS, ...limits }
    this.id = shim.open(this.limits)
    if (this.id < 0) throw new Error(`open: ${this.id}`)
    const arena = shim.arena()
    this.words = new Int32Array(arena)
    this.bytes = new Uint8Array(arena)
    this.doubles = new Float64Array(arena, 4 * H.COUNTERS, 64)
    this.words[H.WAIT_US] = TURN_WAIT_US
    this.words[H.SPIN_US] = spinUs
  }

  word(index: number): number { return this.words[index]! }

  /** Word index of a connection's control block. */
  block(connection: number): number {
    return (this.word(H.CONNECTIONS_AT) >> 2) + WORDS.CONNECTION * connection
  }

  state(connection: number): number { return this.word(this.block(connection) + C.STATE) }

  /** Arena offset of `at` bytes into the buffers. */
  buffer(at: number): number { return this.word(H.BUFFERS_AT) + at }

  turn(): number {
    const found = shim.turn()
    if (found < 0) return found
    this.ready = []
    for (let i = 0; i < this.word(H.READY); i++) {
      this.ready.push(this.word((this.word(H.READY_AT) >> 2) + i))
    }
    for (let i = 0; i < this.word(H.COMPLETIONS); i++) {
      const at = (this.word(H.COMPLETIONS_AT) >> 2) + WORDS.COMPLETION * i
      const token = this.word(at + COMPLETION.TOKEN)
      const results = this.results.get(token) ?? []
      results.push(this.word(at + COMPLETION.RESULT))
      this.results.set(token, results)
    }
    return found
  }

  /** Turns until `condition` holds; the event loop runs between, for the other ends of sockets. */
  async until(what: string, condition: () => boolean): Promise<void> {
    for (let i = 0; i < TURNS_MAX; i++) {
      if (condition()) return
      const found = this.turn()
      if (found < 0) throw new Error(`turn: ${found} while waiting until ${what}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    throw new Error(`never: ${what}`)
  }

  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const found = this.turn()
      if (found < 0) throw new Error(`turn: ${found}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** The first result with this token that was not taken yet. */
  async result(token: number): Promise<number> {
    await this.until(`completion ${token}`, () => (this.results.get(token)?.length ?? 0) > 0)
    return this.results.get(token)!.shift()!
  }

  listen(address = '127.0.0.1'): { listener: number; port: number } {
    const listener = shim.listen(address, 0, 16)
    if (listener < 0) throw new Error(`listen: ${listener}`)
    this.listeners.push(listener)
    const port = Number(shim.address(listener, false).split(' ')[1])
    const accepted = shim.accept(listener, ACCEPT_TOKEN + listener)
    if (accepted < 0) throw new Error(`accept: ${accepted}`)
    return { listener, port }
  }

  /** A client and the connection that the shim has of it. */
  async connect(listening = this.listen()): Promise<{ client: net.Socket; connection: number }> {
    const client = net.connect({ port: listening.port, host: '127.0.0.1', noDelay: true })
    client.on('error', () => {})
    this.clients.push(client)
    const connection = shim.adopt(await this.result(ACCEPT_TOKEN + listening.listener))
    if (connection < 0) throw new Error(`adopt: ${connection}`)
    return { client, connection }
  }

  touch(connection: number): void {
    const block = this.block(connection)
    if (this.words[block + C.TOUCHED]) return
    this.words[block + C.TOUCHED] = 1
    const count = this.word(H.TOUCHED)
    this.words[(this.word(H.TOUCHED_AT) >> 2) + count] = connection
    this.words[H.TOUCHED] = count + 1
  }

  flag(connection: number, flags: number): void {
    this.words[this.block(connection) + C.FLAGS] = flags
    this.touch(connection)
  }

  available(connection: number): number {
    const block = this.block(connection)
    return (this.word(block + C.RX_TAIL) - this.word(block + C.RX_HEAD)) >>> 0
  }

  /** Arena offset of the first byte in the ring that was not consumed. */
  ringAt(connection: number): number {
    const head = this.word(this.block(connection) + C.RX_HEAD) & (this.limits.rxBytes - 1)
    return this.word(H.RX_AT) + connection * 2 * this.limits.rxBytes + head
  }

  /** Takes up to `max` bytes out of the ring. */
  consume(connection: number, max = Infinity): Buffer {
    const count = Math.min(max, this.available(connection))
    const at = this.ringAt(connection)
    const taken = Buffer.from(this.bytes.subarray(at, at + count))
    this.words[this.block(connection) + C.RX_HEAD]! += count
    this.touch(connection)
    return taken
  }

  place(connection: number, region: number, at: number, bytes: number): void {
    const block = this.block(connection)
    this.words[block + C.PLACE_REGION] = region
    this.words[block + C.PLACE_LO] = at
    this.words[block + C.PLACE_HI] = 0
    this.words[block + C.PLACE_BYTES] = bytes
    this.touch(connection)
  }

  queued(connection: number): number {
    const block = this.block(connection)
    return (this.word(block + C.TX_TAIL) - this.word(block + C.TX_HEAD)) >>> 0
  }

  /** Word index of the entry that send() fills next. */
  entry(connection: number): number {
    const tail = this.word(this.block(connection) + C.TX_TAIL) & (this.limits.txEntries - 1)
    return (this.word(H.TX_AT) >> 2) + (connection * this.limits.txEntries + tail) * WORDS.TX
  }

  send(connection: number, entry: Entry): void {
    if (this.queued(connection) >= this.limits.txEntries) throw new Error('tx ring is full')
    const at = this.entry(connection)
    this.words.fill(0, at, at + WORDS.TX)
    this.words[at + T.FLAGS] = entry.flags ?? 0
    this.words[at + T.HEADER_BYTES] = entry.header?.length ?? 0
    this.words[at + T.PAD_BYTES] = entry.padBytes ?? 0
    this.words[at + T.REGION] = entry.region ?? 0
    this.words[at + T.LO] = entry.at ?? 0
    this.words[at + T.BYTES] = entry.bytes ?? 0
    if (entry.header) this.bytes.set(entry.header, 4 * (at + T.HEADER))
    this.words[this.block(connection) + C.TX_TAIL]!++
    this.touch(connection)
  }

  copy(target: [number, number], source: [number, number], bytes: number): void {
    const at = (this.word(H.COPIES_AT) >> 2) + WORDS.COPY * this.words[H.COPIES]!++
    this.words.fill(0, at, at + WORDS.COPY)
    this.words[at + COPY.TARGET_REGION] = target[0]
    this.words[at + COPY.TARGET_LO] = target[1]
    this.words[at + COPY.SOURCE_REGION] = source[0]
    this.words[at + COPY.SOURCE_LO] = source[1]
    this.words[at + COPY.BYTES] = bytes
  }

  /** Queues an op of these words, by index (O.*); returns its token. */
  op(words: Readonly<Record<number, number>>): number {
    const at = (this.word(H.OPS_AT) >> 2) + WORDS.OP * this.words[H.OPS]!++
    this.words.fill(0, at, at + WORDS.OP)
    for (const [index, value] of Object.entries(words)) this.words[at + Number(index)] = value
    this.words[at + O.TOKEN] = this.nextToken
    return this.nextToken++
  }

  /** Runs one op to its result. */
  async run(words: Readonly<Record<number, number>>): Promise<number> {
    return await this.result(this.op(words))
  }

  close(): void {
    for (const client of this.clients) client.destroy()
    shim.close()
    for (const listener of this.listeners) shim.socketClose(listener)
  }

  counter(index: number): number { return this.doubles[index]! }
}

/** Bytes that differ at every offset for longer than any ring, so that a shift shows. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let value = seed >>> 0
  for (let i = 0; i < length; i++) {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0
    bytes[i] = value >>> 24
  }
  return bytes
}

/** Everything a client receives, as it arrives. */
export function collect(client: net.Socket): { readonly bytes: () => Buffer; ended: boolean } {
  const parts: Buffer[] = []
  let joined = Buffer.alloc(0)
  const collected = {
    bytes: (): Buffer => {
      if (parts.length) joined = Buffer.concat([joined, ...parts.splice(0)])
      return joined
    },
    ended: false,
  }
  client.on('data', (chunk) => parts.push(chunk))
  client.on('end', () => { collected.ended = true })
  return collected
}

export const isClosed = (rig: Rig, connection: number): boolean =>
  rig.state(connection) === STATE.CLOSED
