/**
 * Lives: what is kept of each subsystem over all runs of the target, its health (records.ts) and
 * its persistent events (history.ts). target makes it and gives it a turn each second; the control
 * plane tells it what happens.
 *
 * Invariant: nothing is written for a subsystem that no host has ever used.
 */
import type { SubsystemSnapshot } from '../subsystem/subsystem.ts'
import type { EventName } from '../wire/event.ts'
import { healthOf } from './health.ts'
import { History, type KeptHistory } from './history.ts'
import { smartLog } from './log-page.ts'
import { type KeptHealth, Records } from './records.ts'
import type { Shared } from './shared.ts'

/** Files of one subject. save() reports its own failures. */
export type Keeper<Value> = {
  readonly load: (nqn: string) => Value | null
  readonly save: (nqn: string, value: Value) => Promise<void>
}

export type LivesParts = {
  readonly shared: Shared
  /** Rows of the shared block. */
  readonly subsystemsMax: number
  readonly health: Keeper<KeptHealth>
  readonly events: Keeper<KeptHistory>
  readonly firmware: string
  /** Milliseconds of a clock that never goes back. */
  readonly uptimeMs: () => number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

/** A controller, as far as its subsystem is concerned. */
type Of = { readonly cntlid: number; readonly subsystem: SubsystemSnapshot } | null

export class Lives {
  readonly #records: Records
  readonly #history: History
  readonly #health: LivesParts['health']
  readonly #events: LivesParts['events']
  readonly #uptimeMs: () => number

  constructor({ shared, subsystemsMax, health, events, firmware, uptimeMs, nowMs }: LivesParts) {
    const records = new Records(shared, subsystemsMax, health, uptimeMs())
    this.#records = records
    this.#history = new History({
      ...events, nowMs, firmware,
      health: ({ nqn, namespaces }) => smartLog(healthOf(shared, records.rowOf(nqn), namespaces)),
    })
    this.#health = health
    this.#events = events
    this.#uptimeMs = uptimeMs
  }

  /** What is exported from now on. Throws StartError where a file is not to be trusted. */
  adopt(subsystems: readonly SubsystemSnapshot[]): void {
    this.#records.adopt(subsystems)
    this.#history.adopt(subsystems, (nqn) => this.#records.lifeOf(nqn))
  }

  /** Throws StartError where a file of this subsystem is not to be trusted. */
  check(nqn: string): void {
    this.#health.load(nqn)
    this.#events.load(nqn)
  }

  /** A host uses the subsystem. Returns its row in the shared block; 0 = it has none. */
  use(nqn: string): number {
    this.#records.use(nqn)
    this.#history.use(nqn)
    return this.#records.rowOf(nqn)
  }

  /** The medium of a namespace takes no writes any more, though it should. */
  mediumReadOnly(nqn: string, nsid: number): void {
    this.#records.mediumReadOnly(nqn, nsid)
  }

  /** event: PERSISTENT_EVENT_TYPE, with the data that event-data.ts makes. */
  record(of: Of, event: number, data: Uint8Array): void {
    if (of !== null) this.#history.record(of.subsystem.nqn, event, data, of.cntlid)
  }

  /** LID 0Dh. */
  log(of: Of): Uint8Array {
    const nqn = of?.subsystem.nqn ?? ''
    return this.#history.log(nqn, this.#records.lifeOf(nqn))
  }

  /** Once a second. raise: tells all controllers of a subsystem of an event. */
  tick(raise: (event: EventName, nqn: string) => void): void {
    for (const { nqn, degraded, readOnly } of this.#records.tick(this.#uptimeMs())) {
      if (degraded) raise('SMART_DEGRADED', nqn)
      if (readOnly) raise('SMART_READ_ONLY', nqn)
    }
    this.#history.tick()
  }

  /** The run ends in order. Resolves when that is on the medium. */
  async close(): Promise<void> {
    await Promise.all([this.#records.close(this.#uptimeMs()), this.#history.close()])
  }
}
