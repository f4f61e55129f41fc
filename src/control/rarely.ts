/**
 * Rarely: lets the same line into the log once a minute, with the number of those that were kept back. For what
 * is refused because something has run out: a host that asks again and again must not fill the log.
 * The control plane asks it.
 *
 * Invariant: it remembers a bounded number of keys; those that are forgotten are told again.
 */
const INTERVAL_MS = 60_000
const KEYS_MAX = 1024

export class Rarely {
  readonly #nowMs: () => number
  /** By key: when it was told last, and how often it was not since. */
  readonly #told = new Map<string, { atMs: number; keptBack: number }>()

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** null: not now. Else what to add to the line: '', or how many there were since the last one. */
  tell(key: string): string | null {
    const nowMs = this.#nowMs()
    const known = this.#told.get(key)
    if (known !== undefined && nowMs - known.atMs < INTERVAL_MS) {
      known.keptBack++
      return null
    }
    if (this.#told.size >= KEYS_MAX) this.#told.clear()
    this.#told.set(key, { atMs: nowMs, keptBack: 0 })
    const count = known?.keptBack ?? 0
    return count === 0 ? '' : ` (and ${count} more like it since it was said last)`
  }
}
