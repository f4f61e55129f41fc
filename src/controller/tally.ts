/**
 * The tally: what the reactors have counted and measured, in memory that all threads map, so that it is read
 * without stopping one. meter.ts writes it; control (metrics, status) reads and adds up.
 *
 *   for each reactor: │ gauges, 32 doubles │ controllers × 4 doubles │ namespaces × TALLY_DOUBLES │
 *   namespace:        │ for each class of commands: 96 buckets, sum of µs, 0 │ errors by status, 128 │ demand │
 *
 * Doubles count to 2^53 and are written whole. Pages are given when touched: what is not there costs nothing.
 * Invariant: each double has one writer, a reactor; the control plane clears rows that no reactor uses.
 */
import type { Limits } from '../limits.ts'
import { BUCKETS } from '../reactor/histogram.ts'
import { IO_OPCODE, ZONE_OPCODE } from '../wire/sqe.ts'
import { STATUS_ROWS } from '../wire/status.ts'

/** Of a reactor. COUNTERS: those of the shim, shim/abi.ts. */
export const GAUGE = {
  DOUBLES: 32,
  /** H.NOW_MS of its last look: it turns while this moves. */
  BEAT_MS: 0, SLOTS_USED: 1, SLOTS: 2, CONNECTIONS: 3, BUFFERS_USED: 4, BUFFERS: 5, COMMANDS: 6,
  COLLECTIONS: 7, OPEN_US: 8, COUNTERS: 16, COUNTER_COUNT: 10,
} as const

/** Of a controller's queues on a reactor. OUTSTANDING: commands that are not answered yet. */
export const HOST = { DOUBLES: 4, COMMANDS: 0, BLOCKS: 1, OUTSTANDING: 2, QUEUES: 3 } as const
/** What HOST.BLOCKS counts, whatever the blocks of the namespace. */
export const HOST_BLOCK_SHIFT = 9

/** Classes of commands, in the order of their histograms. */
export const CLASSES = [
  'read', 'write', 'flush', 'write_zeroes', 'deallocate', 'write_uncorrectable', 'compare', 'verify', 'copy',
  'reservation', 'zone_append', 'zone_management', 'other',
] as const
export type CommandClass = (typeof CLASSES)[number]
const CLASS_DOUBLES = BUCKETS + 2
export const SUM_US = BUCKETS
export const STATUSES_AT = CLASSES.length * CLASS_DOUBLES
const STATUSES = 128
/** What hosts ask of a namespace that has limits, for throttle.ts; then the next namespace. */
const DEMAND_AT = STATUSES_AT + STATUSES
export const DEMAND = { WEIGHT: 0, USED: 1, WAITED: 2 } as const
export const TALLY_DOUBLES = DEMAND_AT + 4

const CLASS_OF = new Map<number, CommandClass>([
  [IO_OPCODE.READ, 'read'], [IO_OPCODE.WRITE, 'write'], [IO_OPCODE.FLUSH, 'flush'],
  [IO_OPCODE.WRITE_ZEROES, 'write_zeroes'], [IO_OPCODE.DATASET_MANAGEMENT, 'deallocate'],
  [IO_OPCODE.WRITE_UNCORRECTABLE, 'write_uncorrectable'], [IO_OPCODE.COMPARE, 'compare'],
  [IO_OPCODE.VERIFY, 'verify'], [IO_OPCODE.COPY, 'copy'],
  [IO_OPCODE.RESERVATION_REGISTER, 'reservation'], [IO_OPCODE.RESERVATION_REPORT, 'reservation'],
  [IO_OPCODE.RESERVATION_ACQUIRE, 'reservation'], [IO_OPCODE.RESERVATION_RELEASE, 'reservation'],
  [ZONE_OPCODE.APPEND, 'zone_append'], [ZONE_OPCODE.MANAGEMENT_SEND, 'zone_management'],
  [ZONE_OPCODE.MANAGEMENT_RECEIVE, 'zone_management'],
])

/** Those of I/O commands that there are: only they can end well. */
export const OPCODES: readonly number[] = [...CLASS_OF.keys()]

/** By opcode: where the doubles of its class are. */
export const CLASS_AT: Readonly<Int32Array> = Int32Array.from({ length: 256 }, (_, opcode) =>
  CLASSES.indexOf(CLASS_OF.get(opcode) ?? 'other') * CLASS_DOUBLES)

/** By SCT and SC (11 bits): the place of a status among STATUSES; 0 = one that has no row. */
export const STATUS_PLACE: Readonly<Uint8Array> = placesOf()

/** The names of the statuses by place; '' where there is none. */
export const STATUS_NAMES: readonly string[] = Array.from({ length: STATUSES }, (_, place) =>
  place === 0 ? 'UNKNOWN' : STATUS_ROWS[place]?.[0] ?? '')

function placesOf(): Uint8Array {
  const places = new Uint8Array(2048)
  for (const [row, [, sct, sc]] of STATUS_ROWS.entries()) {
    const code = (sct << 8) | sc
    // Of Fabrics statuses that share a code with others, the first one gives the name.
    if (places[code] === 0 && row < STATUSES) places[code] = row
  }
  return places
}

function reactorDoubles(limits: Pick<Limits, 'controllers' | 'namespaces'>): number {
  return GAUGE.DOUBLES + limits.controllers * HOST.DOUBLES + limits.namespaces * TALLY_DOUBLES
}

export function tallyBytes(limits: Pick<Limits, 'controllers' | 'namespaces'>, reactorCount: number): number {
  return reactorCount * reactorDoubles(limits) * 8
}

export class Tally {
  readonly doubles: Float64Array
  readonly reactorCount: number
  readonly #limits: Pick<Limits, 'controllers' | 'namespaces'>

  constructor(memory: ArrayBuffer, limits: Pick<Limits, 'controllers' | 'namespaces'>, reactorCount: number) {
    this.doubles = new Float64Array(memory, 0, reactorCount * reactorDoubles(limits))
    this.reactorCount = reactorCount
    this.#limits = limits
  }

  gaugesAt(reactor: number): number {
    return reactor * reactorDoubles(this.#limits)
  }

  hostAt(reactor: number, controller: number): number {
    return this.gaugesAt(reactor) + GAUGE.DOUBLES + controller * HOST.DOUBLES
  }

  /** counter: of NamespaceSnapshot. */
  namespaceAt(reactor: number, counter: number): number {
    return this.gaugesAt(reactor) + GAUGE.DOUBLES + this.#limits.controllers * HOST.DOUBLES + counter * TALLY_DOUBLES
  }

  demandAt(reactor: number, counter: number): number {
    return this.namespaceAt(reactor, counter) + DEMAND_AT
  }

  gauge(reactor: number, which: number): number {
    return this.doubles[this.gaugesAt(reactor) + which]!
  }

  /** One of HOST, over all reactors. */
  host(controller: number, which: number): number {
    return this.#sum((reactor) => this.hostAt(reactor, controller) + which)
  }

  /** Buckets and SUM_US of a class of commands of a namespace, over all reactors. */
  histogram(counter: number, which: CommandClass): Float64Array {
    const sums = new Float64Array(CLASS_DOUBLES)
    const offset = CLASSES.indexOf(which) * CLASS_DOUBLES
    for (let reactor = 0; reactor < this.reactorCount; reactor++) {
      const at = this.namespaceAt(reactor, counter) + offset
      for (let k = 0; k < CLASS_DOUBLES; k++) sums[k]! += this.doubles[at + k]!
    }
    return sums
  }

  /** Commands of a namespace that ended with the status at this place. */
  errors(counter: number, place: number): number {
    return this.#sum((reactor) => this.namespaceAt(reactor, counter) + STATUSES_AT + place)
  }

  clearNamespace(counter: number): void {
    for (let reactor = 0; reactor < this.reactorCount; reactor++) {
      const at = this.namespaceAt(reactor, counter)
      this.doubles.fill(0, at, at + TALLY_DOUBLES)
    }
  }

  clearController(controller: number): void {
    for (let reactor = 0; reactor < this.reactorCount; reactor++) {
      const at = this.hostAt(reactor, controller)
      this.doubles.fill(0, at, at + HOST.DOUBLES)
    }
  }

  #sum(at: (reactor: number) => number): number {
    let sum = 0
    for (let reactor = 0; reactor < this.reactorCount; reactor++) sum += this.doubles[at(reactor)]!
    return sum
  }
}
