/**
 * Counts the garbage collections of this thread, which are to stay rare: reactor-thread reports them.
 */
import { PerformanceObserver } from 'node:perf_hooks'

export class Collections {
  count = 0
  readonly #observer = new PerformanceObserver((list) => {
    this.count += list.getEntries().length
  })

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  end(): void {
    this.#observer.disconnect()
  }
}
