/**
 * What a traced reactor has seen, on its way to the control plane: a ring in shared memory, written by the reactor
 * and emptied by the control plane whenever somebody reads the trace. tcp/tap.ts → here → control/tracer.ts.
 *
 *   ┌ HEAD ┬ TAIL ┬ DROPPED ┬ … 64 B ┬ record, a multiple of 8 B ┬ record ┬ … ┐
 *   record: │ total 4 │ kind 1 │ 0 │ connection 2 │ serial 4 │ wire 4 │ time 8 │ stream 8 │ kept 4 │ 0 4 │ bytes … │
 *
 * Invariants: one writes, one reads; a record that does not fit is counted and left out, never waited for.
 */

/** NAMED: what is known of the connection, as JSON. ENDED: why it ended, as text. */
export const TRACE = { PAD: 0, NAMED: 1, RECEIVED: 2, SENT: 3, ENDED: 4 } as const

/** Who is traced; null: whoever it is. */
export type TraceWish = {
  readonly host: string | null
  /** "192.0.2.7" or, for one connection, "192.0.2.7:51234". */
  readonly address: string | null
}

/** Of a connection. hostNqn and subsystem '', and qid -1, before its Connect. */
export type TraceFacts = {
  readonly remote: string
  readonly local: string
  readonly hostNqn: string
  readonly subsystem: string
  readonly qid: number
}

export type TraceRecord = {
  readonly kind: number
  readonly connection: number
  readonly serial: number
  /** Since 1970. */
  readonly timeMs: number
  /** Bytes of this direction before it, since the trace began. */
  readonly streamAt: number
  /** What it has in all. */
  readonly wireBytes: number
  /** What of it was kept, from its beginning. */
  readonly bytes: Uint8Array
}

const [HEAD, TAIL, DROPPED] = [0, 1, 2]
const CONTROL_BYTES = 64
const HEADER_BYTES = 40
const RING_BYTES = 4 * 1024 * 1024

export class TraceRing {
  /** To be given to the other side. */
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #size: number

  /** memory: of the other side; its size is a power of two and a bit. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(CONTROL_BYTES + RING_BYTES)) {
    this.memory = memory
    this.#size = memory.byteLength - CONTROL_BYTES
    this.#words = new Int32Array(memory, 0, CONTROL_BYTES / 4)
    this.#bytes = new Uint8Array(memory, CONTROL_BYTES)
    this.#view = new DataView(memory, CONTROL_BYTES)
  }

  /** Of this many bytes of records. */
  static of(bytes: number): TraceRing {
    return new TraceRing(new SharedArrayBuffer(CONTROL_BYTES + bytes))
  }

  /** Records that were left out so far. */
  get droppedCount(): number {
    return Atomics.load(this.#words, DROPPED)
  }

  /** from, to: of source. */
  write(record: Omit<TraceRecord, 'bytes'>, source: Uint8Array, from: number, to: number): void {
    const total = (HEADER_BYTES + to - from + 7) & ~7
    const tail = this.#words[TAIL]!
    const at = tail & (this.#size - 1)
    const padBytes = this.#size - at < total ? this.#size - at : 0
    const used = (tail - Atomics.load(this.#words, HEAD)) | 0
    if (used + padBytes + total > this.#size) {
      Atomics.add(this.#words, DROPPED, 1)
      return
    }
    if (padBytes !== 0) this.#begin(at, padBytes, TRACE.PAD)
    const place = padBytes === 0 ? at : 0
    this.#begin(place, total, record.kind)
    const view = this.#view
    view.setUint16(place + 6, record.connection, true)
    view.setUint32(place + 8, record.serial, true)
    view.setUint32(place + 12, record.wireBytes, true)
    view.setFloat64(place + 16, record.timeMs, true)
    view.setFloat64(place + 24, record.streamAt, true)
    view.setUint32(place + 32, to - from, true)
    this.#bytes.set(source.subarray(from, to), place + HEADER_BYTES)
    Atomics.store(this.#words, TAIL, (tail + padBytes + total) | 0)
  }

  /** The oldest records, so many at most, which are gone from it then. */
  take(most: number): TraceRecord[] {
    const taken: TraceRecord[] = []
    const tail = Atomics.load(this.#words, TAIL)
    let head = this.#words[HEAD]!
    while (head !== tail && taken.length < most) {
      const at = head & (this.#size - 1)
      const view = this.#view
      if (view.getUint8(at + 4) !== TRACE.PAD) taken.push(this.#record(at))
      head = (head + view.getUint32(at, true)) | 0
    }
    Atomics.store(this.#words, HEAD, head)
    return taken
  }

  #begin(at: number, total: number, kind: number): void {
    this.#view.setUint32(at, total, true)
    this.#view.setUint8(at + 4, kind)
  }

  #record(at: number): TraceRecord {
    const view = this.#view
    const from = at + HEADER_BYTES
    return {
      kind: view.getUint8(at + 4), connection: view.getUint16(at + 6, true), serial: view.getUint32(at + 8, true),
      wireBytes: view.getUint32(at + 12, true), timeMs: view.getFloat64(at + 16, true),
      streamAt: view.getFloat64(at + 24, true), bytes: this.#bytes.slice(from, from + view.getUint32(at + 32, true)),
    }
  }
}
