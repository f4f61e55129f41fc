/**
 * Changes that the control plane has posted to all reactors, until each has acknowledged them.
 * control-plane posts them; a reactor acknowledges each with 'changed' (messages.ts). In place of one that died
 * comes one that knows them already.
 *
 * Invariant: a change is done exactly once: when each reactor has acknowledged it or died, or when one has ended.
 */
import type { Change, ToReactor } from './messages.ts'

export class Changes {
  readonly #reactorCount: number
  readonly #broadcast: (message: ToReactor) => void
  /** By id: the indices of those that have not acknowledged it. */
  readonly #open = new Map<number, { readonly left: Set<number>; readonly done: () => void }>()
  #lastId = 0
  #abandoned = false

  constructor(reactorCount: number, broadcast: (message: ToReactor) => void) {
    this.#reactorCount = reactorCount
    this.#broadcast = broadcast
  }

  /** Resolves when each reactor has acknowledged it. */
  post(change: Change): Promise<void> {
    const id = ++this.#lastId
    return new Promise((done) => {
      if (this.#abandoned) return done()
      this.#open.set(id, { left: new Set(Array.from({ length: this.#reactorCount }, (_, index) => index)), done })
      this.#broadcast({ type: 'change', id, change })
    })
  }

  /** index: of the reactor. */
  acknowledged(id: number, index: number): void {
    const change = this.#open.get(id)
    // Of a reactor that acknowledged it while another one ended.
    if (change === undefined) return
    change.left.delete(index)
    if (change.left.size !== 0) return
    this.#open.delete(id)
    change.done()
  }

  /** A reactor has died, and is nobody's reason to wait. */
  lost(index: number): void {
    for (const id of [...this.#open.keys()]) this.acknowledged(id, index)
  }

  /** A reactor has ended: nothing is served any more, and everything that is left counts as done. */
  abandon(): void {
    this.#abandoned = true
    for (const { done } of this.#open.values()) done()
    this.#open.clear()
  }
}
