/**
 * Load on a target: reads and writes on several queues until a time or an amount is reached, measured, and verified
 * where that is asked for. `weft perf` → here → ring-queue.ts; the admin queue is host.ts.
 *
 *   fill every queue ─▶ one turn of the shim ─▶ what is done is counted, and its slot free      as a reactor does
 *
 * Invariant: with verification, no two commands in flight touch one unit.
 */
import { setImmediate as breathe } from 'node:timers/promises'
import { Arena } from '../reactor/arena.ts'
import { ENGINE, H } from '../shim/abi.ts'
import { errnoName, type Shim } from '../shim/shim.ts'
import { AUTHREQ_ATR, CATTR_NO_SQ_FLOW, CONNECT, FABRICS_TYPE } from '../wire/fabrics.ts'
import { IO_OPCODE } from '../wire/sqe.ts'
import { DO_NOT_RETRY, describeStatus } from '../wire/status.ts'
import { authenticate } from './authentication.ts'
import { authentication, bytesOf, connectData, fabrics, hostNqn } from './capsule.ts'
import { HostError } from './error.ts'
import { type Extent, extentOf } from './extent.ts'
import { Histogram } from './histogram.ts'
import { Host, type HostTarget } from './host.ts'
import { Pattern } from './pattern.ts'
import { CAPSULE_STRIDE, RingQueue } from './ring-queue.ts'

export type LoadWish = HostTarget & {
  readonly nsid: number
  /** Share of reads, from 0 to 1. */
  readonly reads: number
  readonly random: boolean
  readonly blockBytes: number
  readonly depth: number
  readonly connections: number
  /** The part of the namespace that is used; null: all behind offset. */
  readonly sizeBytes: number | null
  readonly offsetBytes: number
  /** Whichever comes first; null: no bound. */
  readonly timeMs: number | null
  readonly amountBytes: number | null
  readonly verify: boolean
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  readonly seed: number
}

export type Side = { count: number; bytes: number; readonly latency: Histogram }

export type LoadResult = {
  readonly read: Side
  readonly write: Side
  readonly seconds: number
  readonly connections: number
  /** Units that were compared with what was written; those that were different, the first of them told. */
  verified: number
  wrong: number
  readonly complaints: string[]
  /** By the words of the status. */
  readonly errors: Map<string, number>
}

const CONNECT_MS = 5000
const HANDSHAKE_BYTES = 8192
const PAGE_BYTES = 4096
const SPIN_US = 50
const WAIT_US = 20_000
const BREATHE_MS = 50
const DRAIN_MS = 60_000
const COMPLAINTS_MAX = 10
const RX_BYTES_MIN = 256 * 1024

/** Throws a HostError. progress is called about twenty times a second; enough ends it early. */
export async function load(
  shim: Shim, wish: LoadWish, progress: (result: LoadResult, elapsedMs: number) => void, enough: () => boolean,
): Promise<LoadResult> {
  const host = await Host.open(wish)
  try {
    const extent = await extentOf(host, wish)
    const run = new Run(shim, wish, extent)
    try {
      await run.open(host)
      return await run.work(progress, enough)
    } finally {
      run.close()
    }
  } finally {
    await host.close()
  }
}

class Run {
  readonly #shim: Shim
  readonly #wish: LoadWish
  readonly #extent: Extent
  readonly #arena: Arena
  readonly #dataBytes: number
  readonly #queues: RingQueue[] = []
  readonly #pattern: Pattern | null
  /** By queue and slot: what it does, since when, and the free ones of each queue. */
  readonly #units: Float64Array
  readonly #writes: Uint8Array
  readonly #startedMs: Float64Array
  readonly #free: number[][]
  /** Units that a command is in flight for. */
  readonly #taken: Set<number> = new Set()
  readonly #result: LoadResult = {
    read: { count: 0, bytes: 0, latency: new Histogram() }, write: { count: 0, bytes: 0, latency: new Histogram() },
    seconds: 0, connections: 0, verified: 0, wrong: 0, complaints: [], errors: new Map(),
  }
  #nowMs = performance.now()
  #cursor = 0
  #dataAt = 0
  #random: number
  #startedBytes = 0
  #reading = false

  constructor(shim: Shim, wish: LoadWish, extent: Extent) {
    const { depth, connections, blockBytes, verify, seed } = wish
    this.#shim = shim
    this.#wish = wish
    this.#extent = extent
    this.#dataBytes = Math.max(HANDSHAKE_BYTES, Math.ceil(blockBytes / PAGE_BYTES) * PAGE_BYTES)
    const slots = depth * connections
    const opened = shim.open({
      engine: ENGINE.AUTO, connectionsMax: connections, rxBytes: this.#rxBytes, txEntries: this.#txEntries, copiesMax: 1,
      opsMax: 1, bufferBytes: Math.ceil(slots * (CAPSULE_STRIDE + this.#dataBytes) / PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES,
      socketBufferBytes: 0,
    })
    if (opened < 0) {
      throw new HostError(`There is no memory for ${connections} connections of depth ${depth} (${errnoName(opened)}); `
        + 'choose less of --connections, --depth or --bs.')
    }
    this.#arena = new Arena(shim.arena())
    this.#pattern = verify ? new Pattern(this.#arena, shim, blockBytes, extent.unitCount, wish.reads === 1) : null
    this.#units = new Float64Array(slots)
    this.#writes = new Uint8Array(slots)
    this.#startedMs = new Float64Array(slots)
    this.#free = Array.from({ length: connections }, () => Array.from({ length: depth }, (_, slot) => slot))
    this.#random = (seed ^ 0x9e3779b9) | 1
  }

  /** Connects every queue, one after the other. */
  async open(host: Host): Promise<void> {
    const { address, port, depth, connections, verify, headerDigest, dataDigest, nsid } = this.#wish
    const slots = depth * connections
    const capsulesAt = this.#arena.buffersAt
    const dataAt = Math.ceil((capsulesAt + slots * CAPSULE_STRIDE) / PAGE_BYTES) * PAGE_BYTES
    this.#arena.words[H.SPIN_US] = SPIN_US
    this.#arena.words[H.WAIT_US] = WAIT_US
    this.#fill(dataAt, slots * this.#dataBytes)
    const name = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
    for (let index = 0; index < connections; index++) {
      const socket = this.#shim.connect(address, port, CONNECT_MS)
      if (socket < 0) throw new HostError(`${name} cannot be reached (${errnoName(socket)}).`)
      const queue = new RingQueue(socket, {
        arena: this.#arena, shim: this.#shim, txEntries: this.#txEntries, rxBytes: this.#rxBytes, slotCount: depth,
        capsulesAt: capsulesAt + index * depth * CAPSULE_STRIDE, dataAt: dataAt + index * depth * this.#dataBytes,
        dataBytes: this.#dataBytes, headerDigest, dataDigest, name,
      })
      this.#queues.push(queue)
      queue.greet()
      await this.#connect(queue, index + 1, host.controllerId)
      queue.keeps = verify
      queue.inCapsuleBytes = Math.max(0, this.#extent.inCapsuleBytes)
      for (let slot = 0; slot < depth; slot++) queue.prepare(slot, nsid)
      const base = index * depth
      queue.done = (slot, status) => this.#done(queue, index, base + slot, slot, status)
    }
    this.#dataAt = dataAt
  }

  async #connect(queue: RingQueue, qid: number, controller: number): Promise<void> {
    const { nqn, depth, secrets = null } = this.#wish
    const sqe = fabrics(FABRICS_TYPE.CONNECT)
    sqe.setUint16(CONNECT.qid, qid, true)
    sqe.setUint16(CONNECT.sqsize, depth, true)
    sqe.setUint8(CONNECT.cattr, CATTR_NO_SQ_FLOW)
    const data = connectData(nqn, controller)
    const { status, dw0 } = queue.execute(sqe, bytesOf(data), 0)
    if (status !== 0) throw refused(`Connect of I/O queue ${qid}`, status)
    if ((dw0 & AUTHREQ_ATR) === 0) return
    if (secrets === null) throw new HostError(`${nqn} wants ${hostNqn()} to authenticate: name a file with its key by --key.`)
    await authenticate({
      send: async (message) => {
        await this.#exchange(queue, authentication(FABRICS_TYPE.AUTHENTICATION_SEND, message.length), message, 0)
      },
      receive: (bytes) => this.#exchange(queue, authentication(FABRICS_TYPE.AUTHENTICATION_RECEIVE, bytes), null, bytes),
    }, { host: hostNqn(), subsystem: nqn }, secrets)
  }

  async #exchange(queue: RingQueue, sqe: DataView, data: Uint8Array | null, bytes: number): Promise<Buffer> {
    const { status, answer } = queue.execute(sqe, data, bytes)
    if (status !== 0) throw refused(data === null ? 'Authentication Receive' : 'Authentication Send', status)
    return Buffer.from(answer)
  }

  async work(progress: (result: LoadResult, elapsedMs: number) => void, enough: () => boolean): Promise<LoadResult> {
    const { timeMs, reads } = this.#wish
    const startMs = performance.now()
    const endMs = timeMs === null ? Infinity : startMs + timeMs
    let stopped = false
    await this.#loop(() => {
      progress(this.#result, this.#nowMs - startMs)
      stopped = enough()
      return !stopped && this.#nowMs < endMs && !this.#isSpent
    })
    const result = { ...this.#result, seconds: (this.#nowMs - startMs) / 1000, connections: this.#queues.length }
    if (this.#pattern === null || reads === 1 || stopped) return result
    const { verified, wrong } = await this.#readBack(enough)
    return { ...result, verified, wrong }
  }

  /** Everything that was written once more. Does not count as load. */
  async #readBack(enough: () => boolean): Promise<LoadResult> {
    this.#reading = true
    this.#cursor = 0
    await this.#loop(() => this.#cursor < this.#extent.unitCount && !enough())
    return this.#result
  }

  get #isSpent(): boolean {
    const { amountBytes } = this.#wish
    return amountBytes !== null && this.#startedBytes >= amountBytes
  }

  /** Goes on until goesOn says no, and all that has begun is done. */
  async #loop(goesOn: () => boolean): Promise<void> {
    const arena = this.#arena
    let breatheMs = 0
    let drainMs = Infinity
    let on = true
    for (;;) {
      if (on) for (const [index, queue] of this.#queues.entries()) this.#fillQueue(queue, index)
      let busy = 0
      for (const queue of this.#queues) busy += queue.busyCount
      if (!on && busy === 0) return
      const result = this.#shim.turn()
      if (result < 0) throw new HostError(`The rings cannot be used any more (${errnoName(result)}).`)
      this.#nowMs = performance.now()
      const ready = arena.words[H.READY]!
      for (let k = 0; k < ready; k++) {
        const connection = arena.words[(arena.readyAt >> 2) + k]!
        this.#queues.find((queue) => queue.index === connection)!.receive()
      }
      if (this.#nowMs > drainMs) throw new HostError(`The target has not answered ${busy} commands for ${DRAIN_MS / 1000} s.`)
      const spent = this.#isSpent && !this.#reading
      if (this.#nowMs < breatheMs && !(on && spent)) continue
      breatheMs = this.#nowMs + BREATHE_MS
      if (on && !goesOn()) {
        on = false
        drainMs = this.#nowMs + DRAIN_MS
      }
      await breathe()
    }
  }

  #fillQueue(queue: RingQueue, index: number): void {
    const { blockBytes, depth, reads } = this.#wish
    const { lbaBytes, firstLba } = this.#extent
    const free = this.#free[index]!
    const blocks = blockBytes / lbaBytes
    while (free.length !== 0) {
      if (!this.#reading && this.#isSpent) return
      const unit = this.#reading ? this.#nextWritten() : this.#nextUnit()
      if (unit === -1) return
      const slot = free.pop()!
      const k = index * depth + slot
      const lba = firstLba + unit * blocks
      const writes = !this.#reading && (reads === 0 || (reads !== 1 && this.#chance() >= reads))
      if (this.#pattern !== null) {
        this.#taken.add(unit)
        if (writes) this.#pattern.stamp(this.#dataAt + k * this.#dataBytes, unit, lba)
      }
      this.#units[k] = unit
      this.#writes[k] = writes ? 1 : 0
      this.#startedMs[k] = this.#nowMs
      this.#startedBytes += blockBytes
      queue.start(slot, writes ? IO_OPCODE.WRITE : IO_OPCODE.READ, lba, blocks - 1, blockBytes, writes)
    }
  }

  /** -1: every one that could be is in flight. */
  #nextUnit(): number {
    const { unitCount } = this.#extent
    for (let tries = 0; tries < 8; tries++) {
      let unit = this.#cursor
      if (this.#wish.random) unit = Math.floor(this.#chance() * unitCount)
      else this.#cursor = (this.#cursor + 1) % unitCount
      if (this.#pattern === null || !this.#taken.has(unit)) return unit
    }
    return -1
  }

  #nextWritten(): number {
    const { unitCount } = this.#extent
    while (this.#cursor < unitCount && this.#pattern!.generation(this.#cursor) === 0) this.#cursor++
    return this.#cursor < unitCount ? this.#cursor++ : -1
  }

  #done(queue: RingQueue, index: number, k: number, slot: number, status: number): void {
    const { blockBytes } = this.#wish
    const unit = this.#units[k]!
    const writes = this.#writes[k] === 1
    const side = writes ? this.#result.write : this.#result.read
    this.#free[index]!.push(slot)
    this.#taken.delete(unit)
    if (status !== 0) return this.#failed(status)
    if (!writes && !queue.isComplete(slot)) throw new HostError('The target sent less data than was asked for.')
    if (!this.#reading) {
      side.count++
      side.bytes += blockBytes
      side.latency.add((this.#nowMs - this.#startedMs[k]!) * 1000)
    }
    if (this.#pattern === null) return
    if (writes) this.#pattern.written(unit)
    else this.#verify(unit, this.#dataAt + k * this.#dataBytes)
  }

  #verify(unit: number, at: number): void {
    const { blockBytes } = this.#wish
    const { lbaBytes, firstLba } = this.#extent
    const lba = firstLba + unit * (blockBytes / lbaBytes)
    const wrong = this.#pattern!.check(at, unit, lba)
    this.#result.verified++
    if (wrong === '') return
    this.#result.wrong++
    if (this.#result.complaints.length < COMPLAINTS_MAX) this.#result.complaints.push(`Block ${lba}: ${wrong}.`)
  }

  #failed(status: number): void {
    const words = describeStatus(status & ~DO_NOT_RETRY, false)
    this.#result.errors.set(words, (this.#result.errors.get(words) ?? 0) + 1)
  }

  close(): void {
    for (const queue of this.#queues) queue.close()
    const endMs = performance.now() + CONNECT_MS
    while (performance.now() < endMs && this.#queues.some((queue) => !queue.isClosed)) {
      if (this.#shim.turn() < 0) break
    }
    this.#shim.close()
  }

  /** xorshift32, from 0 to below 1. */
  #chance(): number {
    let x = this.#random
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#random = x
    return (x >>> 0) / 2 ** 32
  }

  /** With what no storage can compress or find twice. */
  #fill(at: number, bytes: number): void {
    for (let w = at >> 2; w < (at + bytes) >> 2; w++) {
      this.#chance()
      this.#arena.words[w] = this.#random
    }
  }

  get #rxBytes(): number {
    return powerOfTwo(Math.max(RX_BYTES_MIN, 2 * this.#dataBytes))
  }

  /** A capsule, its data, and the pieces that R2Ts may ask for. */
  get #txEntries(): number {
    return powerOfTwo(Math.max(64, this.#wish.depth * (2 + Math.ceil(this.#wish.blockBytes / PAGE_BYTES))))
  }
}

function refused(what: string, status: number): HostError {
  return new HostError(`${what} was refused: ${describeStatus(status & ~DO_NOT_RETRY, true)}.`)
}

function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value))
}
