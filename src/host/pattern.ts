/**
 * What is written so that it can be told later whether a read brings what belongs there. load.ts → here.
 *
 *   each sector of 512 B │ magic 4 │ generation 4 │ LBA of the unit 8 │ sector 4 │ filling … │
 *   the first one has at 20 │ CRC32C of all behind it 4 │
 *
 * A unit is what one command transfers. Its generation counts the writes to it in this run, so that an older write, a
 * write to another place, one that was torn and one that was damaged are all told from the right one.
 */
import type { Arena } from '../reactor/arena.ts'
import type { Shim } from '../shim/shim.ts'

const MAGIC = 0x77656674
const SECTOR_BYTES = 512
const WORD = { MAGIC: 0, GENERATION: 1, LBA_LO: 2, LBA_HI: 3, SECTOR: 4, CRC: 5 }
const CRC_END = (WORD.CRC + 1) * 4

export class Pattern {
  readonly #arena: Arena
  readonly #crc32c: Shim['crc32c']
  readonly #bytes: number
  /** Looks at what was written before this run as well, by commands of the same size at the same places. */
  readonly #earlier: boolean
  /** By unit: writes that were acknowledged. */
  readonly #generations: Uint32Array

  constructor(arena: Arena, shim: Pick<Shim, 'crc32c'>, bytes: number, unitCount: number, earlier: boolean) {
    this.#arena = arena
    this.#crc32c = shim.crc32c
    this.#bytes = bytes
    this.#earlier = earlier
    this.#generations = new Uint32Array(unitCount)
  }

  generation(unit: number): number {
    return this.#generations[unit]!
  }

  /** Marks data that is about to be written to the unit at `lba`. */
  stamp(at: number, unit: number, lba: number): void {
    const words = this.#arena.words
    const generation = this.#generations[unit]! + 1
    for (let sector = 0; sector * SECTOR_BYTES < this.#bytes; sector++) {
      const w = (at + sector * SECTOR_BYTES) >> 2
      words[w + WORD.MAGIC] = MAGIC
      words[w + WORD.GENERATION] = generation
      words[w + WORD.LBA_LO] = lba | 0
      words[w + WORD.LBA_HI] = (lba / 2 ** 32) | 0
      words[w + WORD.SECTOR] = sector
    }
    words[(at >> 2) + WORD.CRC] = this.#crc(at)
  }

  /** The write was acknowledged. */
  written(unit: number): void {
    this.#generations[unit]!++
  }

  /** What is wrong with data that was read; '' when nothing is. What nobody has written yet may be anything. */
  check(at: number, unit: number, lba: number): string {
    const words = this.#arena.words
    const wanted = this.#generations[unit]!
    if (wanted === 0 && (!this.#earlier || words[at >> 2] !== MAGIC)) return ''
    const first = words[(at >> 2) + WORD.GENERATION]!
    for (let sector = 0; sector * SECTOR_BYTES < this.#bytes; sector++) {
      const w = (at + sector * SECTOR_BYTES) >> 2
      if (words[w + WORD.MAGIC] !== MAGIC) return `sector ${sector} was never written by this test`
      const place = (words[w + WORD.LBA_LO]! >>> 0) + words[w + WORD.LBA_HI]! * 2 ** 32
      if (place !== lba) return `sector ${sector} was written to block ${place}`
      if (words[w + WORD.SECTOR] !== sector) return `sector ${sector} is sector ${words[w + WORD.SECTOR]}`
      const generation = words[w + WORD.GENERATION]!
      if (wanted !== 0 && generation !== wanted) return `sector ${sector} is of write ${generation}, the last one was ${wanted}`
      if (generation !== first) return `sector ${sector} is of write ${generation}, the first one of ${first}`
    }
    return words[(at >> 2) + WORD.CRC] === this.#crc(at) ? '' : 'its CRC does not match'
  }

  #crc(at: number): number {
    return this.#crc32c(0, at + CRC_END, 0, this.#bytes - CRC_END) | 0
  }
}
