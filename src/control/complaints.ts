/**
 * Complaints: what the log says of things that have run out, now and then and not once for each command or host
 * that it happens to. The control plane tells it.
 */
import type { Log } from './log.ts'
import { Rarely } from './rarely.ts'

export class Complaints {
  readonly #log: Log
  readonly #rarely: Rarely

  constructor(log: Log, rarely = new Rarely()) {
    this.#log = log
    this.#rarely = rarely
  }

  /** A reactor has no command slot left. */
  noSlots(reactor: number): void {
    this.#say(`slots ${reactor}`, (more) => this.#log.warning(
      `Reactor ${reactor} has no command slot left: commands end with Command Interrupted${more}.`,
    ))
  }

  /** A connection that carried no queue has gone. connection -1: the reactor had no room for it. */
  lost(reactor: number, connection: number, address: string, reason: string): void {
    if (connection !== -1) return this.#log.connectionError({ address, reason })
    this.#say(`connections ${reactor}`, (more) => this.#log.connectionError({ address, reason: `${reason}${more}` }))
  }

  /** There is no controller for a Connect. */
  noController(facts: { hostNqn: string; address: string; subsystem: string }, reason: string): void {
    this.#say(`controllers ${facts.subsystem}`, (more) => this.#log.refused({ ...facts, reason: `${reason}${more}` }))
  }

  #say(key: string, say: (more: string) => void): void {
    const more = this.#rarely.tell(key)
    if (more !== null) say(more)
  }
}
