/**
 * The arena of one reactor as TypeScript sees it: one native mapping, viewed once, addressed by offsets.
 * Everything on the data path reads and writes through `words`. Layout: native/shim.h.
 *
 * Invariant: offsets are bytes and end in At; a word index is an offset >> 2.
 */
import { H } from '../shim/abi.ts'

/** The memory that the shim gave this thread: a view, and where its areas begin (byte offsets). */
export class Arena {
  readonly words: Int32Array
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Counters of the shim, SHIM_N_*. */
  readonly counters: Float64Array
  readonly connectionsAt: number
  readonly readyAt: number
  readonly completionsAt: number
  readonly touchedAt: number
  readonly copiesAt: number
  readonly opsAt: number
  readonly scratchAt: number
  readonly txAt: number
  readonly buffersAt: number
  readonly rxAt: number

  constructor(memory: ArrayBuffer) {
    this.words = new Int32Array(memory)
    this.bytes = new Uint8Array(memory)
    this.view = new DataView(memory)
    this.counters = new Float64Array(memory, H.COUNTERS * 4, 16)
    this.connectionsAt = this.words[H.CONNECTIONS_AT]!
    this.readyAt = this.words[H.READY_AT]!
    this.completionsAt = this.words[H.COMPLETIONS_AT]!
    this.touchedAt = this.words[H.TOUCHED_AT]!
    this.copiesAt = this.words[H.COPIES_AT]!
    this.opsAt = this.words[H.OPS_AT]!
    this.scratchAt = this.words[H.SCRATCH_AT]!
    this.txAt = this.words[H.TX_AT]!
    this.buffersAt = this.words[H.BUFFERS_AT]!
    this.rxAt = this.words[H.RX_AT]!
  }
}
