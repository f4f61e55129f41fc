/**
 * Digests of what was received: CRC32C of a header, of data in the ring, of data in their place.
 * receive calls it; the shim computes. What is sent gets its digests in the shim, from flags of the entry.
 * NVMe/TCP 1.0a, 3.3.1: CRC32C, little-endian, over HLEN bytes or over DATA, without padding.
 *
 * Invariant: numbers compared here are int32, so that none is boxed.
 */
import type { Arena } from '../reactor/arena.ts'
import type { Shim } from '../shim/shim.ts'

export class Digests {
  readonly #arena: Arena
  readonly #crc: Shim['crc32c']
  readonly #arenaCrc: Shim['arenaCrc32c']

  constructor(arena: Arena, shim: Pick<Shim, 'crc32c' | 'arenaCrc32c'>) {
    this.#arena = arena
    this.#crc = shim.crc32c
    this.#arenaCrc = shim.arenaCrc32c
  }

  /** The digest that stands at an arena offset, aligned or not. */
  at(at: number): number {
    if ((at & 3) === 0) return this.#arena.words[at >> 2]!
    const bytes = this.#arena.bytes
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  }

  /** The header of hlen bytes at an arena offset and the digest behind it. */
  headerMatches(at: number, hlen: number): boolean {
    return (this.#arenaCrc(at, hlen) | 0) === this.at(at + hlen)
  }

  /** Data in the ring, with their digest right behind. */
  dataMatches(at: number, bytes: number): boolean {
    return (this.#arenaCrc(at, bytes) | 0) === this.at(at + bytes)
  }

  /** Data at a place, all copies to it queued or done, against the digest at an arena offset. */
  placeMatches(region: number, lo: number, hi: number, bytes: number, digestAt: number): boolean {
    return (this.#crc(region, lo, hi, bytes) | 0) === this.at(digestAt)
  }
}
