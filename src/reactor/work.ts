/**
 * Work for the shim's next turn: copies between places in memory, and ops on files and regions.
 * device and queue write it; the shim performs copies first, then ops, then sends. native/shim.h.
 *
 * A place is (region, lo, hi): region 0 is this reactor's arena. Positions cross as two int32 words and never
 * as a number beyond 2^31: such a number, passed to a call that is not inlined, is boxed on the heap.
 *
 * Invariant: copies <= copiesMax a turn; opsOutstanding <= opsMax always. Callers ask for room first.
 */
import { assert } from '../assert.ts'
import { H as H_, O as O_, OP as OP_ } from '../shim/abi.ts'
import type { Arena } from './arena.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const H = H_
const O = O_
const OP = OP_

const COPY_WORDS = 8
const OP_WORDS = 16

export class Work {
  readonly #words: Int32Array
  readonly #copiesWord: number
  readonly #opsWord: number
  readonly #copiesMax: number
  readonly #opsMax: number
  opsOutstanding = 0

  constructor(arena: Arena, copiesMax: number, opsMax: number) {
    this.#words = arena.words
    this.#copiesWord = arena.copiesAt >> 2
    this.#opsWord = arena.opsAt >> 2
    this.#copiesMax = copiesMax
    this.#opsMax = opsMax
  }

  /** Copies that still fit before the next turn. */
  copyRoom(): number {
    return this.#copiesMax - this.#words[H.COPIES]!
  }

  opRoom(): number {
    return this.#opsMax - this.opsOutstanding
  }

  /** Copies bytes from the arena (sourceAt) to a place. */
  copy(region: number, lo: number, hi: number, sourceAt: number, bytes: number): void {
    const words = this.#words
    const index = words[H.COPIES]!
    assert(index < this.#copiesMax, 'copies fit a turn')
    const w = this.#copiesWord + index * COPY_WORDS
    words[w] = region
    words[w + 1] = lo
    words[w + 2] = hi
    words[w + 3] = 0
    words[w + 4] = sourceAt
    words[w + 5] = 0
    words[w + 6] = bytes
    words[w + 7] = 0
    words[H.COPIES] = index + 1
  }

  /** Whether one of the copies that are queued goes into this region. */
  copiesTo(region: number): boolean {
    const words = this.#words
    for (let index = 0; index < words[H.COPIES]!; index++) {
      if (words[this.#copiesWord + index * COPY_WORDS] === region) return true
    }
    return false
  }

  /** READ, WRITE between the arena and a file; SYNC with bytes 0. */
  file(
    code: number, token: number, file: number, flags: number,
    arenaAt: number, bytes: number, positionLo: number, positionHi: number,
  ): void {
    const w = this.#op(code, token)
    const words = this.#words
    words[w + O.FILE] = file
    words[w + O.FLAGS] = flags
    words[w + O.LO] = arenaAt
    words[w + O.BYTES] = bytes
    words[w + O.AT_LO] = positionLo
    words[w + O.AT_HI] = positionHi
  }

  /** DISCARD and ZERO of a range of a file. */
  fileRange(
    code: number, token: number, file: number, flags: number,
    positionLo: number, positionHi: number, bytesLo: number, bytesHi: number,
  ): void {
    const w = this.#op(code, token)
    const words = this.#words
    words[w + O.FILE] = file
    words[w + O.FLAGS] = flags
    words[w + O.AT_LO] = positionLo
    words[w + O.AT_HI] = positionHi
    words[w + O.RANGE_LO] = bytesLo
    words[w + O.RANGE_HI] = bytesHi
  }

  /** MEMORY_ZERO of a range of a region. */
  memoryZero(
    token: number, region: number, lo: number, hi: number, bytesLo: number, bytesHi: number,
  ): void {
    const w = this.#op(OP.MEMORY_ZERO, token)
    const words = this.#words
    words[w + O.REGION] = region
    words[w + O.LO] = lo
    words[w + O.HI] = hi
    words[w + O.RANGE_LO] = bytesLo
    words[w + O.RANGE_HI] = bytesHi
  }

  /** COMPARE of arena bytes with the same number of bytes at (region, lo, hi). Completes with 0 or 1. */
  compare(
    token: number, arenaAt: number, bytes: number, region: number, lo: number, hi: number,
  ): void {
    const w = this.#op(OP.COMPARE, token)
    const words = this.#words
    words[w + O.LO] = arenaAt
    words[w + O.BYTES] = bytes
    words[w + O.OTHER_REGION] = region
    words[w + O.OTHER_LO] = lo
    words[w + O.OTHER_HI] = hi
  }

  /** MOVE of bytes from one place to another. Completes with 0, after the copies of its turn. */
  move(
    token: number, bytes: number, region: number, lo: number, hi: number,
    targetRegion: number, targetLo: number, targetHi: number,
  ): void {
    const w = this.#op(OP.MOVE, token)
    const words = this.#words
    words[w + O.REGION] = region
    words[w + O.LO] = lo
    words[w + O.HI] = hi
    words[w + O.BYTES] = bytes
    words[w + O.OTHER_REGION] = targetRegion
    words[w + O.OTHER_LO] = targetLo
    words[w + O.OTHER_HI] = targetHi
  }

  /** Reserves the next op entry, zeroed but for its code and token; returns its word index. */
  #op(code: number, token: number): number {
    const words = this.#words
    assert(this.opsOutstanding < this.#opsMax, 'ops outstanding stay within their limit')
    this.opsOutstanding++
    const index = words[H.OPS]!
    const w = this.#opsWord + index * OP_WORDS
    words[w + O.CODE] = code
    words[w + O.TOKEN] = token
    for (let k = 2; k < OP_WORDS; k++) words[w + k] = 0
    words[H.OPS] = index + 1
    return w
  }
}
