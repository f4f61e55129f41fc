/**
 * Digests of what was received: CRC32C of a header, of data in the ring, of data in their place.
 * receive calls it; the shim computes. What is sent gets its digests in the shim, from flags of the entry.
 * NVMe/TCP 1.0a, 3.3.1: CRC32C, little-endian, over HLEN bytes or over DATA, without padding.
 *
 *   ┌ header ┬ HDGST ┬ … ┬ header ┬ HDGST ┬ … ┐   hosts send commands of one length one after another,
 *   └── stride ──────────┴── stride ──────────┘   so one call computes the digests of several
 *
 * Invariant: a digest computed ahead is of bytes that were in the ring then and have not moved: forget()
 * goes before each look at a ring. Numbers compared here are int32, so that none is boxed.
 */
import type { Arena } from '../reactor/arena.ts'
import type { Shim } from '../shim/shim.ts'

/** Digests that are computed ahead at most. */
const SERIES_MAX = 64

/** Digests of equally long runs at equal distances. */
class Series {
  readonly #words: Int32Array
  readonly #compute: Shim['crc32cSeries']
  readonly #resultAt: number
  /** What comes next if the host goes on as before; left = digests of it that are known. */
  #at = 0
  #bytes = 0
  #stride = 0
  #left = 0
  #count = 0
  /** How many to compute ahead: doubled while guesses come true. */
  #ahead = 1

  constructor(arena: Arena, compute: Shim['crc32cSeries'], resultAt: number) {
    this.#words = arena.words
    this.#compute = compute
    this.#resultAt = resultAt
  }

  forget(): void {
    this.#left = 0
  }

  /** CRC32C of bytes at an arena offset. end: what lies before may be looked at. */
  take(at: number, bytes: number, stride: number, end: number): number {
    const known = this.#left !== 0
    if (!known || at !== this.#at || bytes !== this.#bytes) {
      this.#ahead = known ? 1 : Math.min(2 * this.#ahead, SERIES_MAX)
      const fits = 1 + Math.trunc((end - at - bytes) / stride)
      this.#count = Math.min(this.#ahead, fits)
      this.#left = this.#count
      this.#bytes = bytes
      this.#stride = stride
      this.#compute(at, bytes, stride, this.#count, this.#resultAt)
    }
    this.#at = at + this.#stride
    return this.#words[(this.#resultAt >> 2) + this.#count - this.#left--]!
  }
}

export class Digests {
  readonly #arena: Arena
  readonly #crc: Shim['crc32c']
  readonly #headers: Series
  readonly #data: Series

  constructor(arena: Arena, shim: Pick<Shim, 'crc32c' | 'crc32cSeries'>) {
    this.#arena = arena
    this.#crc = shim.crc32c
    this.#headers = new Series(arena, shim.crc32cSeries, arena.scratchAt)
    this.#data = new Series(arena, shim.crc32cSeries, arena.scratchAt + SERIES_MAX * 4)
  }

  /** The ring may hold other bytes than before. */
  forget(): void {
    this.#headers.forget()
    this.#data.forget()
  }

  /** The digest that stands at an arena offset, aligned or not. */
  at(at: number): number {
    if ((at & 3) === 0) return this.#arena.words[at >> 2]!
    const bytes = this.#arena.bytes
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  }

  /** The header of a PDU at an arena offset and the digest behind it. end: of what the ring holds. */
  headerMatches(at: number, hlen: number, plen: number, end: number): boolean {
    return this.#headers.take(at, hlen, plen, end) === this.at(at + hlen)
  }

  /** Data of a PDU in the ring, with their digest right behind. */
  dataMatches(at: number, bytes: number, plen: number, end: number): boolean {
    return this.#data.take(at, bytes, plen, end) === this.at(at + bytes)
  }

  /** Data at a place, all copies to it queued or done, against the digest at an arena offset. */
  placeMatches(region: number, lo: number, hi: number, bytes: number, digestAt: number): boolean {
    return (this.#crc(region, lo, hi, bytes) | 0) === this.at(digestAt)
  }
}
