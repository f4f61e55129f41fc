/**
 * The trace of a target: which PDUs come and go on the connections of one host, or of all. target makes it; the
 * methods of rpc start it, read it and stop it. Reactors record (tcp/tap.ts) into rings that are read here.
 *
 * One trace at a time, so that what is recorded is one program's; one that nobody reads any more ends by itself.
 * Invariant: reactors never wait for who reads: what does not fit is counted.
 */
import type { Change } from '../reactor/messages.ts'
import { indexOf } from '../reactor/number.ts'
import { type TraceRecord, TraceRing, type TraceWish } from '../reactor/trace-ring.ts'
import type { ControllerRecord } from '../subsystem/access.ts'

/** After so long without being read it ends. */
const FORGOTTEN_MS = 15_000

export type TracerParts = {
  readonly reactorCount: number
  /** Resolves when every reactor goes by it. */
  readonly change: (change: Change) => Promise<void>
  readonly controllers: () => readonly ControllerRecord[]
}

export type TracePiece = {
  readonly records: readonly (TraceRecord & { readonly reactor: number })[]
  /** Since the trace began: what did not fit. */
  readonly droppedCount: number
}

export class Tracer {
  readonly #parts: TracerParts
  #rings: readonly TraceRing[] = []
  #id = 0
  #lastId = 0
  #forgotten: NodeJS.Timeout | undefined

  constructor(parts: TracerParts) {
    this.#parts = parts
  }

  /** Its id; null: there is one already. */
  async start(wish: TraceWish): Promise<number | null> {
    if (this.#id !== 0) return null
    const id = ++this.#lastId
    this.#id = id
    this.#rings = Array.from({ length: this.#parts.reactorCount }, () => new TraceRing())
    this.#wait()
    const known = this.#parts.controllers().flatMap(({ hostNqn, subsystem, queues }) =>
      [...queues.values()].map(({ reactor, connection, serial, qid }) =>
        ({ reactor, connection, serial, qid, hostNqn, subsystem: subsystem.nqn })))
    const reactors = this.#rings.map(({ memory }, reactor) =>
      ({ wish, ring: memory, known: known.filter((each) => indexOf(each.reactor) === reactor) }))
    await this.#parts.change({ kind: 'trace', reactors })
    return id
  }

  /** The oldest that was not read yet, by time; null: there is no such trace. */
  read(id: number, most: number): TracePiece | null {
    if (id !== this.#id || id === 0) return null
    this.#wait()
    const records = this.#rings.flatMap((ring, reactor) =>
      ring.take(Math.ceil(most / this.#rings.length)).map((record) => ({ ...record, reactor })))
    return {
      records: records.sort((one, other) => one.timeMs - other.timeMs),
      droppedCount: this.#rings.reduce((sum, ring) => sum + ring.droppedCount, 0),
    }
  }

  /** False: there is no such trace. */
  async stop(id: number): Promise<boolean> {
    if (id !== this.#id || id === 0) return false
    clearTimeout(this.#forgotten)
    await this.#parts.change({ kind: 'trace', reactors: null })
    this.#id = 0
    this.#rings = []
    return true
  }

  #wait(): void {
    clearTimeout(this.#forgotten)
    this.#forgotten = setTimeout(() => void this.stop(this.#id), FORGOTTEN_MS)
    this.#forgotten.unref()
  }
}
