/**
 * The simulated disk: blocks, a volatile cache before them, and what goes wrong with both.
 * shim submits; world lets the power fail. A sync covers what was complete when it began, and nothing else.
 *
 *   write ─▶ image ─ sync, FUA ─▶ medium           power failure: each block of the image that was not synced
 *                                                  is as it is now, or as it is on the medium
 * Invariant: a block is written whole or not at all.
 */
import type { Random } from '../random.ts'

export class Storage {
  readonly blockBytes: number
  readonly image: Uint8Array
  readonly #medium: Uint8Array
  readonly #dirty = new Set<number>()
  /** How often it has failed an operation. */
  failedCount = 0

  constructor(blockBytes: number, blockCount: number) {
    this.blockBytes = blockBytes
    this.image = new Uint8Array(blockBytes * blockCount)
    this.#medium = new Uint8Array(blockBytes * blockCount)
  }

  /** from: null = zeroes. */
  write(at: number, from: Uint8Array | null, fromAt: number, bytes: number, through: boolean): void {
    if (from === null) this.image.fill(0, at, at + bytes)
    else this.image.set(from.subarray(fromAt, fromAt + bytes), at)
    for (let block = at / this.blockBytes; block < (at + bytes) / this.blockBytes; block++) {
      if (through) this.#settle(block)
      else this.#dirty.add(block)
    }
  }

  sync(): void {
    for (const block of this.#dirty) this.#settle(block)
  }

  /** A sync that failed: some of it is on the medium. */
  syncPartly(random: Random): void {
    for (const block of this.#dirty) if (random.chance(50)) this.#settle(block)
  }

  fail(random: Random): void {
    for (const block of this.#dirty) {
      const at = block * this.blockBytes
      if (random.chance(60)) this.image.set(this.#medium.subarray(at, at + this.blockBytes), at)
    }
    this.sync()
  }

  #settle(block: number): void {
    const at = block * this.blockBytes
    this.#medium.set(this.image.subarray(at, at + this.blockBytes), at)
    this.#dirty.delete(block)
  }
}
