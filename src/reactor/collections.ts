/**
 * Counts the garbage collections of this thread, which are to stay rare: reactor-thread reports them.
 */
import { PerformanceObserver } from 'node:perf_hooks'

export class Collections {
  count = 0
  readonly #observer = new PerformanceObserver((list) => {
    this.count += list.getEntries().length
  })

  /** What was allocated at start leaves the young generation now, and not under load. */
  begin(): void {
    gc?.()
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  end(): void {
    this.#observer.disconnect()
  }
}
