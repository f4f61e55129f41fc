/**
 * The reactor: one per core, one worker thread, one loop.  target starts it; it turns until it is stopped.
 *
 *   turn = shim_turn (reap, receive, submit, send) ─▶ completions ─▶ ready connections ─▶ those that stalled
 *
 * While there is work the loop never leaves this thread; about every SLICE_MS, and when somebody posted a
 * message, it drains the mailbox and lets the event loop run once.
 * Invariant: nothing in a turn allocates; a contract broken with the shim ends the reactor.
 */
import { assert } from '../assert.ts'
import { COMPLETION as COMPLETION_, H as H_, WORDS as WORDS_ } from '../shim/abi.ts'
import { errnoName, type Shim } from '../shim/shim.ts'
import type { Arena } from './arena.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const COMPLETION = COMPLETION_
const H = H_
const WORDS = WORDS_

/** Tokens from here on are listeners; below, slots. */
export const ACCEPT_TOKEN = 0x40000000
const SLICE_MS = 250
const TICK_MS = 20

export type ReactorParts = {
  /** Another one in its place, while somebody looks. */
  shim: Pick<Shim, 'turn'>
  readonly arena: Arena
  /** How long a turn spins before it blocks, and then blocks at most. -1 spins for ever. */
  readonly spinUs: number
  readonly waitUs: number
  readonly copiesMax: number
  /** An op with a slot as its token completed. */
  readonly completed: (slot: number, result: number) => void
  /** A socket was accepted, or -errno. */
  readonly accepted: (token: number, result: number) => void
  readonly ready: (connection: number) => void
  readonly retry: () => void
  readonly hasStalled: () => boolean
  /** How long a turn may block at most, so that what waits for a time does not wait longer. */
  readonly dueUs: (most: number) => number
  readonly tick: (nowMs: number) => void
  /** Drains the mailbox. False = stop turning. */
  readonly mail: () => boolean
}

export class Reactor {
  readonly #parts: ReactorParts
  readonly #shim: Pick<Shim, 'turn'>
  #lastTickMs = 0
  /** It has died: there may be nothing left to turn on. */
  halted = false

  constructor(parts: ReactorParts) {
    this.#parts = parts
    this.#shim = parts.shim
    parts.arena.words[H.SPIN_US] = parts.spinUs
  }

  /** Has `look` look just before each turn from now on, when all that it will send is queued; null: nobody. */
  precede(look: (() => void) | null): void {
    const shim = this.#shim
    this.#parts.shim = look === null ? shim : {
      turn: () => {
        look()
        return shim.turn()
      },
    }
  }

  /** Turns until a message says stop. Rejects when an invariant of our own is broken. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      const slice = (): void => {
        if (this.halted) return
        try {
          if (this.#slice()) setImmediate(slice)
          else resolve()
        } catch (error) {
          reject(error)
        }
      }
      slice()
    })
  }

  /** Turns for about SLICE_MS. False when the reactor was told to stop. */
  #slice(): boolean {
    const { mail, arena } = this.#parts
    const words = arena.words
    const beganMs = words[H.NOW_MS]!
    do {
      if (!this.step()) return false
    } while (((words[H.NOW_MS]! - beganMs) | 0) < SLICE_MS)
    return mail()
  }

  /** A turn, and the mail when somebody woke it. False when the reactor was told to stop. */
  step(): boolean {
    this.turn()
    return this.#parts.arena.words[H.WOKEN] === 0 || this.#parts.mail()
  }

  turn(): void {
    const { shim, arena, completed, accepted, ready, copiesMax, waitUs, spinUs } = this.#parts
    const words = arena.words
    const pressed = words[H.COPIES]! >= copiesMax && this.#parts.hasStalled()
    words[H.WAIT_US] = pressed ? 0 : this.#parts.dueUs(waitUs)
    words[H.SPIN_US] = pressed ? 0 : spinUs
    const count = shim.turn()
    if (count < 0) assert(false, `the shim's contract holds (${errnoName(count)})`)
    const completions = words[H.COMPLETIONS]!
    const readies = words[H.READY]!
    for (let k = 0; k < completions; k++) {
      const w = (arena.completionsAt >> 2) + k * WORDS.COMPLETION
      const token = words[w + COMPLETION.TOKEN]!
      const result = words[w + COMPLETION.RESULT]!
      if (token < ACCEPT_TOKEN) completed(token, result)
      else accepted(token, result)
    }
    const readyWord = arena.readyAt >> 2
    for (let k = 0; k < readies; k++) ready(words[readyWord + k]!)
    this.#parts.retry()
    const nowMs = words[H.NOW_MS]!
    if (((nowMs - this.#lastTickMs) | 0) >= TICK_MS) {
      this.#lastTickMs = nowMs
      this.#parts.tick(nowMs)
    }
  }
}
