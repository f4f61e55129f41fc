/**
 * Allocation: which parts of a pool's file are taken. pools.ts asks for a part for each namespace that a host
 * creates, and gives it back when what was in it is erased.
 *
 *   0      a                  b          c              reach
 *   │ taken │ free            │ taken    │ free         │        first fit, in granules
 *
 * Taken bytes are bounded by the size of the pool, addresses by `reach`: a file with holes may reach further than
 * its size, so that as much as is free can be had in one piece, however parts came and went.
 * Invariant: parts are in ascending order, do not overlap, and take no more than the size together.
 */
import { assert } from '../assert.ts'

/** What parts begin at, and are made of. Hosts are told, as the granularity of sizes and capacities. */
export const GRANULE_BYTES = 1024 * 1024

/** Bytes, in multiples of a granule. */
export type Part = { readonly at: number; readonly bytes: number }

export class Allocation {
  readonly #totalBytes: number
  readonly #reachBytes: number
  #parts: Part[] = []
  #takenBytes = 0

  /** Multiples of a granule; totalBytes <= reachBytes. */
  constructor(totalBytes: number, reachBytes: number) {
    assert(totalBytes <= reachBytes, 'a pool has addresses for all of its bytes')
    this.#totalBytes = totalBytes
    this.#reachBytes = reachBytes
  }

  get freeBytes(): number {
    return this.#totalBytes - this.#takenBytes
  }

  /** Where the last part ends. */
  get endBytes(): number {
    const last = this.#parts.at(-1)
    return last === undefined ? 0 : last.at + last.bytes
  }

  /** The lowest place with room for so many bytes, taken now; null: there is none. */
  take(bytes: number): Part | null {
    if (bytes <= 0 || bytes % GRANULE_BYTES !== 0 || bytes > this.freeBytes) return null
    let at = 0
    for (const part of this.#parts) {
      if (part.at - at >= bytes) break
      at = part.at + part.bytes
    }
    const part = { at, bytes }
    return this.claim(part) ? part : null
  }

  /** Takes this very part. False: it is not free, or none of this pool. */
  claim(part: Part): boolean {
    const { at, bytes } = part
    const aligned = at >= 0 && bytes > 0 && at % GRANULE_BYTES === 0 && bytes % GRANULE_BYTES === 0
    if (!aligned || bytes > this.freeBytes || at + bytes > this.#reachBytes) return false
    if (this.#parts.some((each) => at < each.at + each.bytes && each.at < at + bytes)) return false
    this.#parts = [...this.#parts, part].sort((one, other) => one.at - other.at)
    this.#takenBytes += bytes
    return true
  }

  give({ at, bytes }: Part): void {
    const index = this.#parts.findIndex((each) => each.at === at && each.bytes === bytes)
    assert(index !== -1, 'what is given back to a pool was taken from it')
    this.#parts.splice(index, 1)
    this.#takenBytes -= bytes
  }
}

/** As many granules as hold so many bytes. */
export function granulesOf(bytes: number): number {
  return Math.ceil(bytes / GRANULE_BYTES) * GRANULE_BYTES
}
