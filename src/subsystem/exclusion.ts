/**
 * Exclusions: who may have blocks of a namespace for himself, on all reactors. A reactor asks, the control plane
 * holds the blocks everywhere, grants them to the one that asked, and lets them go when he is done.
 *
 *   ask ─▶ queue of the namespace ─▶ hold, everywhere ─ all held ─▶ granted ─ release ─▶ let go, everywhere ─▶ next
 *                                        └─ HOLD_MS pass ─▶ refused ───────────────────▶ let go, everywhere ─▶ next
 *
 * In the order in which they ask; between two of them, commands that waited go on. What is held is only what was
 * asked for, so that commands on other blocks never notice.
 * Invariant: of a namespace at most one range is held; each request is answered once, at the latest HOLD_MS
 * after its turn has come.
 */

import type { Change, ToReactor } from '../reactor/messages.ts'

/** How long the reactors may need to have nothing under way on blocks that somebody wants for himself. */
const HOLD_MS = 1000

/** In place of a reactor. */
const CONTROL_PLANE = -1

/** Blocks of a namespace of the target. */
export type BlockRange = { readonly namespace: number; readonly lba: number; readonly blockCount: number }

/** token: the reactor's own name for what it waits with. */
export type ExclusionRequest = BlockRange & { readonly reactor: number; readonly token: number }

export type ExclusionParts = {
  /** Tells all reactors to hold the range, and calls held when nothing on any of them touches it any more. */
  readonly hold: (id: number, range: BlockRange, held: () => void) => void
  /** Tells all reactors that what was held by this id is no more. */
  readonly letGo: (id: number, range: BlockRange) => void
  /** Answers a request. id: for release(). */
  readonly answer: (request: ExclusionRequest, id: number, granted: boolean) => void
  /** Calls after a while, unless the function that it returns was called before. */
  readonly later: (what: () => void) => () => void
}

type Present = {
  readonly id: number
  readonly request: ExclusionRequest
  readonly cancel: () => void
}

export class Exclusions {
  readonly #parts: ExclusionParts
  /** By namespace: whose turn it is, and those behind. */
  readonly #present = new Map<number, Present>()
  readonly #waiting = new Map<number, ExclusionRequest[]>()
  /** By token: requests of the control plane itself. */
  readonly #taking = new Map<number, (id: number | null) => void>()
  #lastId = 0
  #lastToken = 0

  constructor(parts: ExclusionParts) {
    this.#parts = parts
  }

  /** For the control plane itself. Resolves with what lets the range go again, or with null: it was refused. */
  take(range: BlockRange): Promise<(() => void) | null> {
    const { namespace, lba, blockCount } = range
    return new Promise((resolve) => {
      const token = ++this.#lastToken
      this.#taking.set(token, (id) => resolve(id === null ? null : () => this.release(id, namespace)))
      this.ask({ namespace, lba, blockCount, reactor: CONTROL_PLANE, token })
    })
  }

  ask(request: ExclusionRequest): void {
    const waiting = this.#waiting.get(request.namespace)
    if (this.#present.has(request.namespace)) {
      if (waiting === undefined) this.#waiting.set(request.namespace, [request])
      else waiting.push(request)
      return
    }
    this.#begin(request)
  }

  /** He to whom it was granted is done. */
  release(id: number, namespace: number): void {
    if (this.#present.get(namespace)?.id === id) this.#end(namespace)
  }

  /** A reactor has died: what it had is free again, and what it asked for nobody waits for. */
  forget(reactor: number): void {
    for (const [namespace, waiting] of this.#waiting) {
      const left = waiting.filter((each) => each.reactor !== reactor)
      if (left.length === 0) this.#waiting.delete(namespace)
      else this.#waiting.set(namespace, left)
    }
    for (const [namespace, { request, cancel }] of [...this.#present]) {
      if (request.reactor !== reactor) continue
      cancel()
      this.#end(namespace)
    }
  }

  #answer(request: ExclusionRequest, id: number, granted: boolean): void {
    if (request.reactor !== CONTROL_PLANE) return this.#parts.answer(request, id, granted)
    this.#taking.get(request.token)!(granted ? id : null)
    this.#taking.delete(request.token)
  }

  #begin(request: ExclusionRequest): void {
    const id = ++this.#lastId
    const cancel = this.#parts.later(() => this.#giveUp(id, request.namespace))
    this.#present.set(request.namespace, { id, request, cancel })
    this.#parts.hold(id, request, () => this.#held(id, request.namespace))
  }

  #held(id: number, namespace: number): void {
    const present = this.#present.get(namespace)
    // One that was given up meanwhile.
    if (present?.id !== id) return
    present.cancel()
    this.#answer(present.request, id, true)
  }

  #giveUp(id: number, namespace: number): void {
    const present = this.#present.get(namespace)
    if (present?.id !== id) return
    this.#answer(present.request, id, false)
    this.#end(namespace)
  }

  #end(namespace: number): void {
    const { id, request } = this.#present.get(namespace)!
    this.#present.delete(namespace)
    this.#parts.letGo(id, request)
    const waiting = this.#waiting.get(namespace)
    const next = waiting?.shift()
    if (waiting?.length === 0) this.#waiting.delete(namespace)
    if (next !== undefined) this.#begin(next)
  }
}

/** Exclusions of a control plane: change tells all reactors, and post one of them. */
export function exclusionsOver(
  change: (change: Change) => Promise<void>, post: (reactor: number, message: ToReactor) => void,
  later: (what: () => void, ms: number) => () => void = afterwards,
): Exclusions {
  return new Exclusions({
    hold: (id, { namespace, lba, blockCount }, held) => {
      void change({ kind: 'hold', id, namespace, lba, blockCount }).then(held)
    },
    letGo: (id, { namespace }) => { void change({ kind: 'let-go', id, namespace }) },
    answer: ({ reactor, token, namespace }, id, granted) => {
      post(reactor, { type: 'granted', token, id, namespace, granted })
    },
    later: (what) => later(what, HOLD_MS),
  })
}

function afterwards(what: () => void, ms: number): () => void {
  const timer = setTimeout(what, ms)
  return () => clearTimeout(timer)
}
