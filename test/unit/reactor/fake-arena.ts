/**
 * An arena without a shim: a plain ArrayBuffer with the header words that native/shim.h describes,
 * and what a turn of the shim does with memory (copies), done here. For tests of what runs on it.
 *
 * Invariant: areas lie in the order of the list below and do not overlap; places are laid out with
 * numbers of this file, not of src/limits.ts.
 */
import { Arena } from '../../../src/reactor/arena.ts'

export const SIZES = {
  connections: 4, rxBytes: 65536, txEntries: 64, copiesMax: 16, opsMax: 32, bufferBytes: 1 << 20,
}
export type Sizes = typeof SIZES

/** Header words that give the places of the areas, in the order in which they lie here. */
const AT = {
  connections: 16, ready: 17, completions: 18, touched: 19, copies: 20, ops: 21, scratch: 22,
  tx: 23, buffers: 24, rx: 25,
}
const COPIES_WORD = 9
const OPS_WORD = 10
const OP_WORDS = 16

export function fakeArena(sizes: Partial<Sizes> = {}): Arena {
  const { connections, rxBytes, txEntries, copiesMax, opsMax, bufferBytes } = { ...SIZES, ...sizes }
  const bytesOf = {
    connections: 64 * connections, ready: 4 * connections, completions: 16 * opsMax,
    touched: 4 * connections, copies: 32 * copiesMax, ops: 64 * opsMax, scratch: 65536,
    tx: 64 * txEntries * connections, buffers: bufferBytes, rx: 2 * rxBytes * connections,
  }
  const places = new Map<number, number>()
  let end = 4096
  for (const [name, word] of Object.entries(AT)) {
    places.set(word, end)
    end = Math.ceil((end + bytesOf[name as keyof typeof bytesOf]) / 4096) * 4096
  }
  const memory = new ArrayBuffer(end)
  const words = new Int32Array(memory)
  for (const [word, place] of places) words[word] = place
  return new Arena(memory)
}

/** Performs the copies that are queued, as a turn does first. regions: memory by id; 0 is the arena. */
export function performCopies(arena: Arena, regions: ReadonlyMap<number, Uint8Array> = new Map()): void {
  const { words, copiesAt } = arena
  for (let index = 0; index < words[COPIES_WORD]!; index++) {
    const w = (copiesAt >> 2) + 8 * index
    const memory = words[w] === 0 ? arena.bytes : regions.get(words[w]!)!
    const at = (words[w + 1]! >>> 0) + words[w + 2]! * 2 ** 32
    memory.set(arena.bytes.subarray(words[w + 4]!, words[w + 4]! + words[w + 6]!), at)
  }
  words[COPIES_WORD] = 0
}

/** An op as the shim reads it. */
export type Op = {
  readonly code: number
  readonly token: number
  readonly file: number
  readonly flags: number
  readonly region: number
  readonly at: number
  readonly bytes: number
  /** In the file. */
  readonly position: number
  readonly range: number
  readonly otherRegion: number
  readonly otherAt: number
}

/** Takes the ops that are queued, as a turn does after the copies. */
export function takeOps(arena: Arena): Op[] {
  const { words, opsAt } = arena
  const wide = (w: number): number => (words[w]! >>> 0) + words[w + 1]! * 2 ** 32
  const ops = Array.from({ length: words[OPS_WORD]! }, (_, index) => {
    const w = (opsAt >> 2) + OP_WORDS * index
    return {
      code: words[w]!, token: words[w + 1]!, file: words[w + 2]!, flags: words[w + 3]!,
      region: words[w + 4]!, at: wide(w + 5), bytes: words[w + 7]!, position: wide(w + 8),
      range: wide(w + 10), otherRegion: words[w + 12]!, otherAt: wide(w + 13),
    }
  })
  words[OPS_WORD] = 0
  return ops
}
