/**
 * The meter: counts and times the commands of one reactor into the tally. complete brings every command, and counts
 * those that end well in the turn that took them by itself, in `quick`; reactor-thread publishes from time to time.
 *
 * A command's time is that from the turn that took it from the network to the turn that answered it: the clock is
 * read once a turn (H.NOW_US), so one that is answered within its turn counts as less than a microsecond.
 * Invariant: between two publish() a count stays an int32: 2^31 commands take longer than that.
 */
import type { Namespace } from '../namespace/namespace.ts'
import type { Arena } from '../reactor/arena.ts'
import { bucketOf } from '../reactor/histogram.ts'
import type { Slot } from '../reactor/slots.ts'
import { H } from '../shim/abi.ts'
import type { Queue } from './queue.ts'
import { CLASS_AT, GAUGE, HOST, OPCODES, STATUSES_AT, STATUS_PLACE, SUM_US, type Tally } from './tally.ts'

/** Opcodes of I/O commands that there are, but for a half's bits (pair.ts), fit this. */
export const QUICK_BITS = 7
export const QUICK_MASK = (1 << QUICK_BITS) - 1
const OPCODE_MASK = 0xff
const STATUS_MASK = 0x7ff

/** A connection, as far as it is metered. */
export type Metered = {
  readonly queue: Queue
  readonly slotCount: number
  commandCount: number
  transferredBlocks: number
}

/** What a reactor has, and how much of it is in use. */
export type Gauges = {
  readonly slots: { readonly count: number; readonly freeCount: number }
  readonly buffers: { readonly pages: number; readonly freePages: number }
  readonly connections: { readonly openCount: number; readonly all: readonly Metered[] }
  /** Answered, and garbage collections, since the start. */
  readonly commands: number
  readonly collections: number
}

type Numbered = { readonly index: number }

export class Meter {
  readonly words: Int32Array
  /** By namespace + 1 and opcode: commands that took no turn more than their own, since publish(). */
  readonly quick: Int32Array
  readonly #shim: Float64Array
  readonly #doubles: Float64Array
  readonly #namespaces: readonly (Namespace | null)[]
  readonly #tally: Tally
  readonly #reactor: number
  #elapsedUs = 0
  #lastUs: number

  /** indexCount: of namespaces. */
  constructor(
    arena: Arena, tally: Tally, reactor: number, namespaces: readonly (Namespace | null)[], indexCount: number,
  ) {
    this.words = arena.words
    this.#shim = arena.counters
    this.#doubles = tally.doubles
    this.#namespaces = namespaces
    this.quick = new Int32Array((indexCount + 1) << QUICK_BITS)
    this.#tally = tally
    this.#reactor = reactor
    this.#lastUs = arena.words[H.NOW_US]!
  }

  /** A command that did not end well within the turn that took it. */
  record(slot: Slot, us: number, status: number): void {
    const namespace = this.#namespaces[slot.namespace]
    if (namespace === null || namespace === undefined) return
    const doubles = this.#doubles
    const at = namespace.tallyAt + CLASS_AT[slot.opcode & OPCODE_MASK]!
    const bucket = at + bucketOf(us)
    doubles[bucket] = doubles[bucket]! + 1
    if (us > 0) doubles[at + SUM_US] = doubles[at + SUM_US]! + us
    if (status === 0) return
    const place = namespace.tallyAt + STATUSES_AT + STATUS_PLACE[status & STATUS_MASK]!
    doubles[place] = doubles[place]! + 1
  }

  /** What the reactor is like now. Its connections' counts are taken from them. */
  publish(gauges: Gauges, controllers: Iterable<Numbered>): void {
    const { slots, buffers, connections, commands, collections } = gauges
    const doubles = this.#doubles
    const nowUs = this.words[H.NOW_US]!
    this.#elapsedUs += (nowUs - this.#lastUs) >>> 0
    this.#lastUs = nowUs
    const at = this.#tally.gaugesAt(this.#reactor)
    doubles[at + GAUGE.SLOTS_USED] = slots.count - slots.freeCount
    doubles[at + GAUGE.SLOTS] = slots.count
    doubles[at + GAUGE.CONNECTIONS] = connections.openCount
    doubles[at + GAUGE.BUFFERS_USED] = buffers.pages - buffers.freePages
    doubles[at + GAUGE.BUFFERS] = buffers.pages
    doubles[at + GAUGE.COMMANDS] = commands
    doubles[at + GAUGE.COLLECTIONS] = collections
    doubles[at + GAUGE.OPEN_US] = this.#elapsedUs
    for (let k = 0; k < GAUGE.COUNTER_COUNT; k++) doubles[at + GAUGE.COUNTERS + k] = this.#shim[k]!
    doubles[at + GAUGE.BEAT_MS] = this.words[H.NOW_MS]!
    this.#publishQuick()
    this.#publishHosts(connections.all, controllers)
  }

  #publishQuick(): void {
    const doubles = this.#doubles
    const quick = this.quick
    for (const namespace of this.#namespaces) {
      if (namespace === null) continue
      const from = (namespace.index + 1) << QUICK_BITS
      for (const opcode of OPCODES) {
        const count = quick[from + opcode]!
        if (count === 0) continue
        quick[from + opcode] = 0
        const bucket = namespace.tallyAt + CLASS_AT[opcode]!
        doubles[bucket] = doubles[bucket]! + count
      }
    }
  }

  #publishHosts(connections: readonly Metered[], controllers: Iterable<Numbered>): void {
    const doubles = this.#doubles
    for (const { index } of controllers) {
      const at = this.#tally.hostAt(this.#reactor, index)
      doubles[at + HOST.OUTSTANDING] = 0
      doubles[at + HOST.QUEUES] = 0
    }
    for (const connection of connections) {
      const { controller, qid } = connection.queue
      if (controller === null || qid === 0) continue
      const at = this.#tally.hostAt(this.#reactor, controller.index)
      doubles[at + HOST.COMMANDS] = doubles[at + HOST.COMMANDS]! + connection.commandCount
      doubles[at + HOST.BLOCKS] = doubles[at + HOST.BLOCKS]! + (connection.transferredBlocks >>> 0)
      doubles[at + HOST.OUTSTANDING] = doubles[at + HOST.OUTSTANDING]! + connection.slotCount
      doubles[at + HOST.QUEUES] = doubles[at + HOST.QUEUES]! + 1
      connection.commandCount = 0
      connection.transferredBlocks = 0
    }
  }
}
