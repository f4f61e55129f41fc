/**
 * Aborts on their way from the reactor of an admin queue to that of the queue that is meant, and back.
 * control-plane brings both; 'abort' and 'aborted' in messages.ts.
 *
 * Invariant: an abort is answered once, also where the reactor that was to answer it has died.
 */
import type { ToReactor } from './messages.ts'

export type Abort = {
  /** Who asks, and with which slot. */
  readonly replyTo: number
  readonly slot: number
  readonly controller: number
  readonly qid: number
  readonly cid: number
}

export class AbortRelay {
  readonly #post: (reactor: number, message: ToReactor) => void
  /** By who asked: the reactor that is to answer. */
  readonly #asked = new Map<string, { readonly abort: Abort; readonly reactor: number }>()

  constructor(post: (reactor: number, message: ToReactor) => void) {
    this.#post = post
  }

  /** reactor: of the queue; null = there is no such queue. */
  ask(abort: Abort, reactor: number | null): void {
    if (reactor === null) return this.answer(abort.replyTo, abort.slot, false)
    this.#asked.set(keyOf(abort.replyTo, abort.slot), { abort, reactor })
    this.#post(reactor, { type: 'abort', ...abort })
  }

  answer(replyTo: number, slot: number, done: boolean): void {
    this.#asked.delete(keyOf(replyTo, slot))
    this.#post(replyTo, { type: 'aborted', slot, done })
  }

  /** A reactor has died, and its commands with it. */
  lost(reactor: number): void {
    for (const { abort, reactor: asked } of [...this.#asked.values()]) {
      if (asked === reactor || abort.replyTo === reactor) this.answer(abort.replyTo, abort.slot, false)
    }
  }
}

function keyOf(replyTo: number, slot: number): string {
  return `${replyTo}:${slot}`
}
