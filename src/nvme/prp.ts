/**
 * The data pointer of a command: where in the arena its payload is, as the device sees it.
 * queue-pair.ts calls it for each command.                        NVMe Base 2.0, PRP and SGL
 *
 *   1 page    PRP1                    2 pages   PRP1, PRP2
 *   more      PRP1, PRP2 ─▶ list of the other pages        or, where the device can:  one SGL data block
 *
 * A list lies in DMA memory, one for each command identifier, and never crosses a page.
 * Invariant: PRP1 may begin within a page, every other entry begins one.
 */
import { PAGE_MASK as CHUNK_MASK, PAGE_SHIFT as CHUNK_SHIFT, type PciAddresses } from '../shim/pci.ts'

/** The device sees memory in one piece within so many bytes, aligned; further it need not. */
export const CHUNK_BYTES = CHUNK_MASK + 1
const PAGE_BYTES = 4096
const PAGE_MASK = PAGE_BYTES - 1
const TWO_32 = 4294967296
const PRP1_WORD = 6
const PRP2_WORD = 8
/** In the first word: PSDT 01b, an SGL. */
const PSDT_SGL = 0x4000
const LIST_ENTRIES_MAX = PAGE_BYTES / 8

export class Pointers {
  readonly #words: Int32Array
  readonly #lo: Int32Array
  readonly #hi: Int32Array
  readonly #sgl: boolean
  readonly #listsAt: number
  readonly #listBytes: number
  readonly #listsIova: number

  /**
   * words: the DMA memory that queues and lists are in. listsAt: where in it lists are, of listBytes each,
   * which the device sees at listsIova. sgl: the device takes SGLs, and sees the arena in one piece.
   */
  constructor(
    words: Int32Array, addresses: PciAddresses, sgl: boolean, listsAt: number, listBytes: number, listsIova: number,
  ) {
    this.#words = words
    this.#lo = addresses.lo
    this.#hi = addresses.hi
    this.#sgl = sgl
    this.#listsAt = listsAt
    this.#listBytes = listBytes
    this.#listsIova = listsIova
  }

  /** Of the entry at word w: bytes at an arena offset. */
  point(w: number, cid: number, at: number, bytes: number): void {
    const words = this.#words
    words[w + PRP1_WORD] = (this.#lo[at >>> CHUNK_SHIFT]! + (at & CHUNK_MASK)) | 0
    words[w + PRP1_WORD + 1] = this.#hi[at >>> CHUNK_SHIFT]!
    const room = PAGE_BYTES - (at & PAGE_MASK)
    if (bytes <= room) return
    const next = at + room
    const rest = bytes - room
    if (rest <= PAGE_BYTES) {
      words[w + PRP2_WORD] = (this.#lo[next >>> CHUNK_SHIFT]! + (next & CHUNK_MASK)) | 0
      words[w + PRP2_WORD + 1] = this.#hi[next >>> CHUNK_SHIFT]!
      return
    }
    if (this.#sgl) {
      words[w] = words[w]! | PSDT_SGL
      words[w + PRP2_WORD] = bytes
      words[w + PRP2_WORD + 1] = 0
      return
    }
    this.#list(w, cid, next, rest)
  }

  /** Of the entry at word w: the list of its identifier itself, in which there are data. Its place in words. */
  own(w: number, cid: number): number {
    const iova = this.#listsIova + cid * this.#listBytes
    this.#words[w + PRP1_WORD] = iova | 0
    this.#words[w + PRP1_WORD + 1] = (iova / TWO_32) | 0
    return (this.#listsAt + cid * this.#listBytes) >> 2
  }

  #list(w: number, cid: number, at: number, bytes: number): void {
    const words = this.#words
    const lo = this.#lo
    const hi = this.#hi
    const iova = this.#listsIova + cid * this.#listBytes
    words[w + PRP2_WORD] = iova | 0
    words[w + PRP2_WORD + 1] = (iova / TWO_32) | 0
    let entry = (this.#listsAt + cid * this.#listBytes) >> 2
    for (let page = at; page < at + bytes; page += PAGE_BYTES) {
      words[entry] = (lo[page >>> CHUNK_SHIFT]! + (page & CHUNK_MASK)) | 0
      words[entry + 1] = hi[page >>> CHUNK_SHIFT]!
      entry += 2
    }
  }
}

/** Bytes of a list for payloads up to transferBytes: a power of two, so that none crosses a page. */
export function listBytesOf(transferBytes: number): number {
  const entries = Math.min(LIST_ENTRIES_MAX, Math.ceil(transferBytes / PAGE_BYTES))
  return Math.max(64, 1 << (32 - Math.clz32(entries * 8 - 1)))
}

/** The device sees all of it, from the first chunk that it sees on, in one piece. */
export function isLinear({ lo, hi }: PciAddresses): boolean {
  const first = lo.findIndex((each, index) => each !== 0 || hi[index] !== 0)
  if (first === -1) return false
  const at = (index: number): number => (lo[index]! >>> 0) + hi[index]! * TWO_32
  return lo.every((_, index) => index < first || at(index) === at(first) + (index - first) * CHUNK_BYTES)
}
