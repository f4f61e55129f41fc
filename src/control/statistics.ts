/**
 * Counters of the reactors, gathered until each has sent its own, then one line of the log.
 * control-plane asks the reactors and brings what they answer.
 *
 * Invariant: a line has every reactor once.
 */
import type { ToControl } from '../reactor/messages.ts'
import type { Log } from './log.ts'

type Counters = Extract<ToControl, { type: 'statistics' }>

export class Statistics {
  readonly #reactorCount: number
  readonly #log: Pick<Log, 'statistics'>
  readonly #gathered = new Map<number, Counters>()

  constructor(reactorCount: number, log: Pick<Log, 'statistics'>) {
    this.#reactorCount = reactorCount
    this.#log = log
  }

  /** The reactors are asked anew. */
  begin(): void {
    this.#gathered.clear()
  }

  gather(counters: Counters): void {
    this.#gathered.set(counters.reactor, counters)
    if (this.#gathered.size !== this.#reactorCount) return
    const reactors = [...this.#gathered.values()]
      .toSorted((left, right) => left.reactor - right.reactor)
      .map(({ type: _type, ...facts }) => facts)
    this.#gathered.clear()
    this.#log.statistics({ reactors })
  }
}
