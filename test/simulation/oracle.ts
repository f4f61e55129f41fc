/**
 * What may stand in the blocks of one namespace: every version that a host wrote, until another one has certainly
 * taken its place; and, for after a power failure, until that is certainly on the medium. world asks it.
 *
 *   version   from ── submitted        done ── answered (Infinity: not yet)        until ── replaced for certain
 *
 * Two writes of a block that overlap in time may come to pass in either order; a write that failed, or was never
 * answered, may have come to pass or not. Moments are counted, not measured.
 * Invariant: a read may return what was there at any moment between its submission and its answer, nothing else.
 */
export type Version = {
  /** First word of the block; 0 = zeroes. */
  readonly value: number
  readonly from: number
  done: number
  /** It succeeded. */
  kept: boolean
  until: number
  /** The medium has certainly something newer. */
  replaced: boolean
  /** It came to an end in the middle, in memory that hosts' data go straight into: the block is anything. */
  torn: boolean
}

const BEYOND = Infinity

export class Oracle {
  readonly blockCount: number
  readonly #versions: Version[][]
  /** Commands that read and write each block now, and those that want it left alone. */
  readonly readers: Int32Array
  readonly writers: Int32Array
  readonly pins: Int32Array
  /** Blocks whose medium may be behind. */
  readonly #dirty = new Set<number>()

  constructor(blockCount: number) {
    this.blockCount = blockCount
    this.readers = new Int32Array(blockCount)
    this.writers = new Int32Array(blockCount)
    this.pins = new Int32Array(blockCount)
    this.#versions = Array.from({ length: blockCount }, () => [first(0)])
  }

  begin(block: number, value: number, now: number): Version {
    const version = { value, from: now, done: BEYOND, kept: false, until: BEYOND, replaced: false, torn: false }
    this.#versions[block]!.push(version)
    this.#dirty.add(block)
    return version
  }

  /** It was answered. through: and is on the medium. */
  end(block: number, version: Version, kept: boolean, through: boolean, now: number): void {
    version.done = now
    version.kept = kept
    if (!kept) return
    for (const other of this.#versions[block]!) {
      if (other.done >= version.from) continue
      if (other.until > now) other.until = now
      if (through) other.replaced = true
    }
    this.#tidy(block)
  }

  /** A flush that was submitted at `from` succeeded. */
  flushed(from: number): void {
    for (const block of this.#dirty) {
      const versions = this.#versions[block]!
      let newest = -1
      for (const { done, kept, from: began } of versions) {
        if (kept && done < from && began > newest) newest = began
      }
      for (const version of versions) if (version.done < newest) version.replaced = true
      this.#tidy(block)
    }
  }

  /** Whether a read between these moments may find this. */
  allows(block: number, value: number, from: number): boolean {
    for (const version of this.#versions[block]!) {
      if ((version.value === value || version.torn) && version.until >= from) return true
    }
    return false
  }

  /** The value of a block that can have only one, else null. */
  only(block: number): number | null {
    const versions = this.#versions[block]!
    let found: number | null = null
    for (const { value, until, torn } of versions) {
      if (until !== BEYOND) continue
      if (torn || (found !== null && found !== value)) return null
      found = value
    }
    return found
  }

  /** After a power failure: whether the block may hold this. It does, from now on. */
  survives(block: number, value: number): boolean {
    const known = this.#versions[block]!.some((version) => version.value === value && !version.replaced)
    this.set(block, value)
    return known
  }

  set(block: number, value: number): void {
    this.#versions[block] = [first(value)]
    this.#dirty.delete(block)
  }

  /** Nobody is connected any more. */
  release(): void {
    this.readers.fill(0)
    this.writers.fill(0)
    this.pins.fill(0)
  }

  describe(block: number): string {
    return JSON.stringify(this.#versions[block])
  }

  #tidy(block: number): void {
    const versions = this.#versions[block]!
    const quiet = this.readers[block] === 0
    let kept = 0
    for (const version of versions) {
      if (quiet && version.until !== BEYOND && version.replaced) continue
      versions[kept++] = version
    }
    versions.length = kept
    if (kept === 1) this.#dirty.delete(block)
  }
}

function first(value: number): Version {
  return { value, from: 0, done: 0, kept: true, until: BEYOND, replaced: false, torn: false }
}
