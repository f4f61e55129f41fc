/**
 * The shim, simulated: the same arena and the same turn as native/shim.h, over a simulated network and disk.
 * The real reactor runs on it, and notices nothing. machine.ts makes one for each reactor.
 *
 *   turn = copies → ops → visits (gather, arm) → what has arrived, left, completed → ready, completions
 *
 * Invariant: as in the real one, a receive that is armed and a send that was gathered keep their places until they
 * are over, however late that is; a place outside of its region ends the simulation.
 */
import { C, COPY, ENGINE, H, SHIM_VERSION, STATE, WORDS } from '../../src/shim/abi.ts'
import type { Shim, ShimLimits } from '../../src/shim/shim.ts'
import { crc32c } from './crc.ts'
import { Link } from './link.ts'
import type { Machine } from './machine.ts'
import { Operations } from './operations.ts'

const HEADER_BYTES = 4096
const SCRATCH_BYTES = 64 * 1024
const PAGE_BYTES = 4096

export class SimulatedShim implements Partial<Shim> {
  readonly id: number
  readonly machine: Machine
  words = new Int32Array(0)
  bytes = new Uint8Array(0)
  limits!: ShimLimits
  completionCount = 0
  woken = false
  readonly links: Link[] = []
  readonly #ready: number[] = []
  #visits: number[] = []
  #operations!: Operations
  #acceptor = -1
  #listener = -1

  constructor(machine: Machine, id: number) {
    this.machine = machine
    this.id = id
  }

  readonly open = (limits: ShimLimits): number => {
    this.limits = limits
    const lists = [
      limits.connectionsMax * 64, limits.connectionsMax * 4, (limits.opsMax + 64) * WORDS.COMPLETION * 4,
      limits.connectionsMax * 4, limits.copiesMax * WORDS.COPY * 4, limits.opsMax * WORDS.OP * 4,
      SCRATCH_BYTES, limits.connectionsMax * limits.txEntries * WORDS.TX * 4, limits.bufferBytes,
      limits.connectionsMax * limits.rxBytes * 2,
    ]
    let at = HEADER_BYTES
    const places = lists.map((bytes) => {
      const place = at
      at += Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
      return place
    })
    const memory = new ArrayBuffer(at)
    this.words = new Int32Array(memory)
    this.bytes = new Uint8Array(memory)
    this.words[H.VERSION] = SHIM_VERSION
    this.words[H.ENGINE] = ENGINE.URING
    for (const [index, place] of places.entries()) this.words[H.CONNECTIONS_AT + index] = place
    this.#operations = new Operations(this)
    this.#tell()
    return this.id
  }

  readonly arena = (): ArrayBuffer => this.words.buffer as ArrayBuffer
  /** Connections are closed, operations come to their end, the arena is no more. */
  readonly close = (): number => {
    for (const link of this.links) link.abandon()
    this.links.length = 0
    this.#operations.finish()
    this.#acceptor = -1
    this.words = new Int32Array(0)
    this.bytes = new Uint8Array(0)
    return 0
  }

  readonly wake = (id: number): number => {
    this.machine.wake(id)
    return 0
  }

  readonly regionView = (region: number, bytes: number): ArrayBuffer => {
    const whole = this.machine.region(region).buffer as ArrayBuffer
    if (whole.byteLength < bytes) throw new Error(`region ${region} is smaller than ${bytes} bytes`)
    return whole
  }

  readonly accept = (listener: number, token: number): number => {
    this.#listener = listener
    this.#acceptor = token
    return 0
  }

  readonly acceptStop = (listener: number): number => {
    if (listener === this.#listener) this.#acceptor = -1
    return 0
  }

  readonly socketClose = (socket: number): number => {
    this.machine.network.close(socket)
    return 0
  }

  readonly adopt = (number: number): number => {
    const socket = this.machine.network.sockets.get(number)
    if (socket === undefined) throw new Error('a socket that is adopted is open')
    let index = 0
    while (index < this.limits.connectionsMax && this.word(index, C.STATE) !== STATE.FREE) index++
    if (index === this.limits.connectionsMax) return -28
    const link = this.links[index] ??= new Link(this, index)
    link.begin(socket)
    this.list(index)
    return index
  }

  readonly release = (index: number): number => {
    if (this.word(index, C.STATE) !== STATE.CLOSED) return -16
    this.links[index]!.clear()
    return 0
  }

  readonly crc32c = (region: number, lo: number, hi: number, count: number): number => {
    this.#copy()
    const at = this.place(region, lo, hi, count)
    return crc32c(this.memory(region), at, at + count)
  }

  readonly crc32cSeries = (
    at: number, bytes: number, stride: number, count: number, resultAt: number,
  ): number => {
    for (let k = 0; k < count; k++) {
      this.place(0, at + k * stride, 0, bytes)
      this.words[(resultAt >> 2) + k] = crc32c(this.bytes, at + k * stride, at + k * stride + bytes)
    }
    return 0
  }

  readonly turn = (): number => {
    const { words } = this
    words[H.WOKEN] = 0
    this.completionCount = 0
    for (const index of this.#ready) this.list(index)
    this.#ready.length = 0
    const touched = words[H.TOUCHED]!
    words[H.TOUCHED] = 0
    for (let k = 0; k < touched; k++) {
      const index = words[(words[H.TOUCHED_AT]! >> 2) + k]!
      this.setWord(index, C.TOUCHED, 0)
      this.list(index)
    }
    this.#copy()
    const ops = words[H.OPS]!
    words[H.OPS] = 0
    this.#operations.start(words[H.OPS_AT]! >> 2, ops)
    const visits = this.#visits
    this.#visits = []
    for (const index of visits) {
      const link = this.links[index]
      if (link === undefined) continue
      link.listed = false
      link.visit()
    }
    for (const link of this.links) link.advance()
    this.#operations.reap()
    this.#accept()
    this.#tell()
    return words[H.READY]! + words[H.COMPLETIONS]!
  }

  /** Operations that are under way. */
  get outstanding(): number {
    return this.#operations.count
  }

  /** Is there anything that a turn would find now? */
  get busy(): boolean {
    if (this.woken || this.#ready.length !== 0 || this.words[H.OPS] !== 0) return true
    if (this.#visits.some((index) => this.links[index]?.wants)) return true
    const first = this.words[H.TOUCHED_AT]! >> 2
    for (let k = 0; k < this.words[H.TOUCHED]!; k++) if (this.links[this.words[first + k]!]?.wants) return true
    return false
  }

  /** The power fails: what is under way has happened, or not. */
  fail(): void {
    this.#operations.fail()
  }

  list(index: number): void {
    const link = this.links[index]
    if (link === undefined || link.listed) return
    link.listed = true
    this.#visits.push(index)
  }

  ready(index: number): void {
    if (!this.#ready.includes(index)) this.#ready.push(index)
  }

  complete(token: number, result: number): void {
    const at = (this.words[H.COMPLETIONS_AT]! >> 2) + this.completionCount++ * WORDS.COMPLETION
    this.words[at] = token
    this.words[at + 1] = result
  }

  word(index: number, word: number): number {
    return this.words[(this.words[H.CONNECTIONS_AT]! >> 2) + index * WORDS.CONNECTION + word]!
  }

  setWord(index: number, word: number, value: number): void {
    this.words[(this.words[H.CONNECTIONS_AT]! >> 2) + index * WORDS.CONNECTION + word] = value
  }

  memory(region: number): Uint8Array {
    return region === 0 ? this.bytes : this.machine.region(region)
  }

  /** The index of a place in its memory; throws where the real shim would answer -EFAULT. */
  place(region: number, lo: number, hi: number, count: number): number {
    const at = (lo >>> 0) + hi * 2 ** 32
    if (count < 0 || hi < 0 || at + count > this.memory(region).length) {
      throw new Error(`a place outside of region ${region}: ${at} + ${count}`)
    }
    return at
  }

  #copy(): void {
    const { words } = this
    const copies = words[H.COPIES]!
    words[H.COPIES] = 0
    if (copies > this.limits.copiesMax) throw new Error('more copies than there may be')
    for (let k = 0; k < copies; k++) {
      const w = (words[H.COPIES_AT]! >> 2) + k * WORDS.COPY
      const bytes = words[w + COPY.BYTES]!
      const [target, source] = [words[w + COPY.TARGET_REGION]!, words[w + COPY.SOURCE_REGION]!]
      const to = this.place(target, words[w + COPY.TARGET_LO]!, words[w + COPY.TARGET_HI]!, bytes)
      const from = this.place(source, words[w + COPY.SOURCE_LO]!, words[w + COPY.SOURCE_HI]!, bytes)
      this.memory(target).set(this.memory(source).subarray(from, from + bytes), to)
    }
  }

  #accept(): void {
    const { backlog } = this.machine.network
    if (this.#acceptor === -1) return
    for (let socket = backlog.shift(); socket !== undefined; socket = backlog.shift()) {
      this.complete(this.#acceptor, socket.number)
    }
  }

  #tell(): void {
    const { words } = this
    const { clock } = this.machine.network
    words[H.NOW_MS] = clock.ms
    words[H.NOW_US] = clock.us | 0
    words[H.READY] = this.#ready.length
    words[H.COMPLETIONS] = this.completionCount
    for (let k = 0; k < this.#ready.length; k++) words[(words[H.READY_AT]! >> 2) + k] = this.#ready[k]!
    if (!this.woken) return
    this.woken = false
    words[H.WOKEN] = 1
  }
}

