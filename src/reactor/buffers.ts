/**
 * Payload buffers: the arena's buffer area, handed out in powers of two from 4 KiB (a buddy allocator).
 * Devices read into and write from them; tcp sends from and receives into them. Allocation-free.
 *
 *   order 0 = 4 KiB, order k = 4 KiB << k;  a block's buddy is at (block ^ (1 << order))
 *
 * Invariant: every page is in exactly one free block or one taken buffer; freePages counts the former.
 */
import { assert } from '../assert.ts'

const PAGE_BYTES = 4096
const PAGE_SHIFT = 12
const TAKEN = 0x40
const NONE = -1

export class Buffers {
  readonly #at: number
  readonly #pages: number
  readonly #orders: number
  /** Per page that begins a block: its order, | TAKEN while it is handed out; 0xff inside a block. */
  readonly #state: Uint8Array
  readonly #next: Int32Array
  readonly #previous: Int32Array
  readonly #first: Int32Array
  freePages: number

  /** at: arena offset, 4096-aligned; bytes: multiple of 4096. */
  constructor(at: number, bytes: number) {
    assert(at % PAGE_BYTES === 0 && bytes % PAGE_BYTES === 0, 'buffer area is made of whole pages')
    this.#at = at
    this.#pages = bytes >> PAGE_SHIFT
    this.#orders = 32 - Math.clz32(Math.max(1, this.#pages))
    this.#state = new Uint8Array(this.#pages).fill(0xff)
    this.#next = new Int32Array(this.#pages).fill(NONE)
    this.#previous = new Int32Array(this.#pages).fill(NONE)
    this.#first = new Int32Array(this.#orders).fill(NONE)
    this.freePages = 0
    for (let page = 0; page < this.#pages; ) {
      const order = Math.min(
        page === 0 ? this.#orders - 1 : 31 - Math.clz32(page & -page),
        31 - Math.clz32(this.#pages - page),
      )
      this.#link(page, order)
      this.freePages += 1 << order
      page += 1 << order
    }
  }

  get pages(): number {
    return this.#pages
  }

  /**
   * Arena offset of a buffer of at least `bytes` bytes (page-aligned), or -1 when there is none that leaves
   * keepPages pages free.
   */
  take(bytes: number, keepPages = 0): number {
    const wanted = bytes <= PAGE_BYTES ? 0 : 32 - Math.clz32((bytes - 1) >> PAGE_SHIFT)
    let order = wanted
    while (order < this.#orders && this.#first[order] === NONE) order++
    if (order >= this.#orders || this.freePages - (1 << wanted) < keepPages) return -1
    const page = this.#first[order]!
    this.#unlink(page, order)
    while (order > wanted) {
      order--
      this.#link(page + (1 << order), order)
    }
    this.#state[page] = wanted | TAKEN
    this.freePages -= 1 << wanted
    return this.#at + page * PAGE_BYTES
  }

  /** As take(), for what is kept for good: at start, when there is enough. */
  reserve(bytes: number): number {
    const at = this.take(bytes)
    assert(at !== -1, 'the buffers hold what is reserved at start')
    return at
  }

  /** Pages of a buffer that was taken. */
  pagesAt(at: number): number {
    return 1 << (this.#state[(at - this.#at) >> PAGE_SHIFT]! & 0x3f)
  }

  /** Gives back what take() returned. */
  give(at: number): void {
    let page = (at - this.#at) >> PAGE_SHIFT
    assert(page >= 0 && page < this.#pages, 'buffer lies in its area')
    const state = this.#state[page]!
    assert(state !== 0xff && (state & TAKEN) !== 0, 'buffer is given back once')
    let order = state & 0x3f
    this.freePages += 1 << order
    this.#state[page] = 0xff
    while (order + 1 < this.#orders) {
      const buddy = page ^ (1 << order)
      if (buddy + (1 << order) > this.#pages || this.#state[buddy] !== order) break
      this.#unlink(buddy, order)
      page &= ~(1 << order)
      order++
    }
    this.#link(page, order)
  }

  #link(page: number, order: number): void {
    const first = this.#first[order]!
    this.#state[page] = order
    this.#next[page] = first
    this.#previous[page] = NONE
    if (first !== NONE) this.#previous[first] = page
    this.#first[order] = page
  }

  #unlink(page: number, order: number): void {
    const next = this.#next[page]!
    const previous = this.#previous[page]!
    if (next !== NONE) this.#previous[next] = previous
    if (previous !== NONE) this.#next[previous] = next
    else this.#first[order] = next
    this.#state[page] = 0xff
  }
}
