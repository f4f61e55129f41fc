/**
 * Records: the health of each subsystem over all runs of the target. lives makes it, gives it a
 * turn each second, and tells it of devices; the reactors count (shared.ts), and read what it
 * writes there.
 *
 *   file ─▶ kept counters, health rows ─▶ SMART log
 *   counters ─▶ every minute in which commands came, and at the end ─▶ file
 *
 * A file says whether its run has ended in order: the next run finds one that was killed.
 * Invariant: what the reactors counted is never changed here; kept counters make up for the past.
 */
import { StartError } from '../config/start-error.ts'
import type { NamespaceSnapshot, SubsystemSnapshot } from '../subsystem/subsystem.ts'
import { CRITICAL_WARNING_BITS } from '../wire/log-page.ts'
import { putBits } from '../wire/layout.ts'
import { COUNT, HEALTH, NO_SUBSYSTEM, type Shared } from './shared.ts'

/** What of a namespace is kept; the order is that of COUNT. */
const KEPT = {
  reads: COUNT.READS, writes: COUNT.WRITES, readBytes: COUNT.READ_BYTES,
  writtenBytes: COUNT.WRITTEN_BYTES, mediaErrors: COUNT.MEDIA_ERRORS,
} as const

export type KeptCounters = { readonly [Name in keyof typeof KEPT]: number }

/** The file of a subsystem. */
export type KeptHealth = {
  /** True until the run that wrote it has ended in order. */
  readonly running: boolean
  readonly powerCycles: number
  readonly unsafeShutdowns: number
  readonly powerOnMs: number
  readonly busyMs: number
  readonly errors: number
  /** By UUID. */
  readonly namespaces: Readonly<Record<string, KeptCounters>>
  /** Of namespaces that there are no longer. */
  readonly removed: KeptCounters
}

type HealthKeeper = {
  readonly load: (nqn: string) => KeptHealth | null
  /** Reports its own failures. */
  readonly save: (nqn: string, health: KeptHealth) => Promise<void>
}

type Warnings = { degraded: boolean; readOnly: boolean }
/** Which warnings a subsystem has now that it had not before. */
export type NewWarnings = { readonly nqn: string } & Readonly<Warnings>

type Watched = {
  readonly snapshot: NamespaceSnapshot
  /** Media errors of late: each adds 1, and FADING is left of them a second later. */
  recentErrors: number
  seenErrors: number
  seenCommands: number
  warnings: Warnings
}
type Ledger = {
  readonly nqn: string
  /** In the shared block. */
  readonly row: number
  /** By UUID. */
  readonly watched: Map<string, Watched>
  used: boolean
  readonly unsafe: boolean
  warnings: Warnings
  savedMs: number
  /** No command was executed since it was saved. */
  idle: boolean
}

const MS_AN_HOUR = 3_600_000
/** Time between two saves of what is used, and of what is idle: a disk may sleep meanwhile. */
const SAVE_MS = 60_000
const SAVE_IDLE_MS = MS_AN_HOUR
/** Errors of late: from DEGRADED on the medium is failing, until fewer than RECOVERED are left. */
const FADING = 0.97
const DEGRADED = 8
const RECOVERED = 1
const NOTHING: KeptCounters = { reads: 0, writes: 0, readBytes: 0, writtenBytes: 0, mediaErrors: 0 }

/** How the life of a subsystem goes, for the header of its persistent event log. */
export type LifeFacts = {
  readonly powerOnHours: number
  readonly powerCycles: number
  /** The run before this one was killed. */
  readonly unsafe: boolean
}

export class Records {
  readonly #shared: Shared
  readonly #subsystemsMax: number
  readonly #keeper: HealthKeeper
  readonly #records = new Map<string, Ledger>()
  #nowMs: number

  /** subsystemsMax: rows of the shared block. nowMs: of a clock that never goes back. */
  constructor(shared: Shared, subsystemsMax: number, keeper: HealthKeeper, nowMs: number) {
    this.#shared = shared
    this.#subsystemsMax = subsystemsMax
    this.#keeper = keeper
    this.#nowMs = nowMs
  }

  /** What is exported from now on. Throws where a file is not to be trusted. */
  adopt(subsystems: readonly SubsystemSnapshot[]): void {
    for (const record of this.#records.values()) {
      if (subsystems.some((each) => each.nqn === record.nqn)) continue
      if (record.used) void this.#save(record, false)
      this.#records.delete(record.nqn)
    }
    for (const subsystem of subsystems) {
      if (subsystem.kind !== 'nvm') continue
      const record = this.#records.get(subsystem.nqn) ?? this.#open(subsystem)
      this.#follow(record, subsystem.namespaces)
    }
  }

  /** Row of the shared block; 0 = it has none. */
  rowOf(nqn: string): number {
    return this.#records.get(nqn)?.row ?? NO_SUBSYSTEM
  }

  lifeOf(nqn: string): LifeFacts {
    const record = this.#records.get(nqn)
    const at = this.#shared.healthAt(record?.row ?? NO_SUBSYSTEM)
    const health = (which: number): number => this.#shared.health[at + which]!
    return {
      powerOnHours: Math.floor(health(HEALTH.POWER_ON_MS) / MS_AN_HOUR),
      powerCycles: health(HEALTH.POWER_CYCLES), unsafe: record?.unsafe ?? false,
    }
  }

  /** A host uses the subsystem: from now on there is something to keep. */
  use(nqn: string): void {
    const record = this.#records.get(nqn)
    if (record === undefined || record.used) return
    record.used = true
    void this.#save(record, true)
  }

  /** The medium of a namespace takes no writes any more, though it should. */
  mediumReadOnly(nqn: string, nsid: number): void {
    for (const each of this.#records.get(nqn)?.watched.values() ?? []) {
      if (each.snapshot.nsid === nsid && !each.snapshot.readOnly) each.warnings.readOnly = true
    }
  }

  /** Once a second. Returns the warnings that are new. */
  tick(nowMs: number): NewWarnings[] {
    const passedMs = Math.max(0, nowMs - this.#nowMs)
    this.#nowMs = nowMs
    const news: NewWarnings[] = []
    for (const record of this.#records.values()) {
      const { health } = this.#shared
      const at = this.#shared.healthAt(record.row)
      health[at + HEALTH.POWER_ON_MS]! += passedMs
      if (this.#look(record)) {
        health[at + HEALTH.BUSY_MS]! += passedMs
        record.idle = false
      }
      const added = this.#warn(record)
      if (added !== null) news.push(added)
      const dueMs = record.savedMs + (record.idle ? SAVE_IDLE_MS : SAVE_MS)
      if (record.used && nowMs >= dueMs) void this.#save(record, true)
    }
    return news
  }

  /** The run ends in order. Resolves when that is on the medium. */
  async close(nowMs: number): Promise<void> {
    this.tick(nowMs)
    await Promise.all([...this.#records.values()].filter((each) => each.used)
      .map((each) => this.#save(each, false)))
  }

  /** What would be written now. */
  keptOf(nqn: string, running: boolean): KeptHealth | null {
    const record = this.#records.get(nqn)
    if (record === undefined) return null
    const at = this.#shared.healthAt(record.row)
    const health = (which: number): number => this.#shared.health[at + which]!
    return {
      running, powerCycles: health(HEALTH.POWER_CYCLES),
      unsafeShutdowns: health(HEALTH.UNSAFE_SHUTDOWNS),
      powerOnMs: Math.round(health(HEALTH.POWER_ON_MS)), busyMs: Math.round(health(HEALTH.BUSY_MS)),
      errors: this.#shared.errors(record.row),
      namespaces: Object.fromEntries([...record.watched].map(([uuid, { snapshot }]) => [
        uuid, countersFrom((which) => this.#shared.total(snapshot.counter, which)),
      ])),
      removed: countersFrom((which) => health(HEALTH.REMOVED + which)),
    }
  }

  #open(subsystem: SubsystemSnapshot): Ledger {
    const { nqn } = subsystem
    const kept = this.#keeper.load(nqn)
    const record: Ledger = {
      nqn, row: this.#freeRow(), watched: new Map(), used: kept !== null,
      unsafe: kept?.running === true,
      // A start that fails later is not a run: what is kept already is written by the first tick.
      warnings: { degraded: false, readOnly: false }, savedMs: this.#nowMs - SAVE_IDLE_MS,
      idle: true,
    }
    this.#records.set(nqn, record)
    const { health } = this.#shared
    const at = this.#shared.healthAt(record.row)
    health.fill(0, at, at + HEALTH.DOUBLES)
    health[at + HEALTH.POWER_CYCLES] = (kept?.powerCycles ?? 0) + 1
    health[at + HEALTH.UNSAFE_SHUTDOWNS] = (kept?.unsafeShutdowns ?? 0) + +record.unsafe
    health[at + HEALTH.POWER_ON_MS] = kept?.powerOnMs ?? 0
    health[at + HEALTH.BUSY_MS] = kept?.busyMs ?? 0
    health[at + HEALTH.ERRORS_BEFORE] = kept?.errors ?? 0
    const present = new Set(subsystem.namespaces.map((each) => each.uuid))
    const gone = Object.entries(kept?.namespaces ?? {}).filter(([uuid]) => !present.has(uuid))
    this.#addRemoved(at, kept?.removed ?? NOTHING)
    for (const [, counters] of gone) this.#addRemoved(at, counters)
    for (const each of subsystem.namespaces) {
      this.#watch(record, each, kept?.namespaces[each.uuid] ?? NOTHING)
    }
    return record
  }

  #freeRow(): number {
    const taken = new Set([...this.#records.values()].map((each) => each.row))
    let row = NO_SUBSYSTEM + 1
    while (taken.has(row)) row++
    if (row > this.#subsystemsMax) {
      throw new StartError(
        `There are more than ${this.#subsystemsMax} subsystems.`, 'Export fewer.',
      )
    }
    return row
  }

  /** Namespaces that have come, gone, or changed. */
  #follow(record: Ledger, namespaces: readonly NamespaceSnapshot[]): void {
    for (const [uuid, watched] of record.watched) {
      const now = namespaces.find(
        (each) => each.uuid === uuid && each.counter === watched.snapshot.counter)
      if (now !== undefined) {
        record.watched.set(uuid, { ...watched, snapshot: now })
        continue
      }
      const { counter } = watched.snapshot
      const counted = countersFrom((which) => this.#shared.total(counter, which))
      this.#addRemoved(this.#shared.healthAt(record.row), counted)
      record.watched.delete(uuid)
    }
    for (const each of namespaces) {
      if (!record.watched.has(each.uuid)) this.#watch(record, each, NOTHING)
    }
  }

  /** Its counters continue from these. Reactors may have counted for another one before. */
  #watch(record: Ledger, snapshot: NamespaceSnapshot, kept: KeptCounters): void {
    const { counters } = this.#shared
    const at = this.#shared.keptAt(snapshot.counter)
    counters.fill(0, at, at + COUNT.DOUBLES)
    for (const [name, which] of Object.entries(KEPT) as [keyof KeptCounters, number][]) {
      counters[at + which] = kept[name] - this.#shared.total(snapshot.counter, which)
    }
    record.watched.set(snapshot.uuid, {
      snapshot, recentErrors: 0,
      seenErrors: this.#shared.total(snapshot.counter, COUNT.MEDIA_ERRORS),
      seenCommands: this.#commands(snapshot.counter),
      warnings: { degraded: false, readOnly: false },
    })
  }

  #addRemoved(at: number, kept: KeptCounters): void {
    for (const [name, which] of Object.entries(KEPT) as [keyof KeptCounters, number][]) {
      this.#shared.health[at + HEALTH.REMOVED + which]! += kept[name]
    }
  }

  #commands(counter: number): number {
    const total = (which: number): number => this.#shared.total(counter, which)
    return total(COUNT.READS) + total(COUNT.WRITES) + total(COUNT.OTHERS)
  }

  /** What a second has brought. True when commands were executed in it. */
  #look(record: Ledger): boolean {
    let busy = false
    for (const each of record.watched.values()) {
      const errors = this.#shared.total(each.snapshot.counter, COUNT.MEDIA_ERRORS)
      const commands = this.#commands(each.snapshot.counter)
      if (commands !== each.seenCommands) busy = true
      each.recentErrors = each.recentErrors * FADING + errors - each.seenErrors
      each.seenErrors = errors
      each.seenCommands = commands
      if (each.recentErrors >= DEGRADED) each.warnings.degraded = true
      else if (each.recentErrors < RECOVERED) each.warnings.degraded = false
    }
    return busy
  }

  /** Writes the warnings for the reactors. */
  #warn(record: Ledger): NewWarnings | null {
    const { counters, health } = this.#shared
    const all = [...record.watched.values()]
    for (const { snapshot, warnings } of all) {
      counters[this.#shared.keptAt(snapshot.counter) + COUNT.WARNING] = bitsOf(warnings)
    }
    const writable = all.filter(({ snapshot }) => !snapshot.readOnly)
    const now: Warnings = {
      degraded: all.some(({ warnings }) => warnings.degraded),
      // Of the subsystem: all of its media.
      readOnly: writable.length !== 0 && writable.every(({ warnings }) => warnings.readOnly),
    }
    const before = record.warnings
    record.warnings = now
    health[this.#shared.healthAt(record.row) + HEALTH.WARNING] = bitsOf(now)
    const added = {
      degraded: now.degraded && !before.degraded, readOnly: now.readOnly && !before.readOnly,
    }
    return added.degraded || added.readOnly ? { nqn: record.nqn, ...added } : null
  }

  #save(record: Ledger, running: boolean): Promise<void> {
    record.savedMs = this.#nowMs
    record.idle = true
    return this.#keeper.save(record.nqn, this.keptOf(record.nqn, running)!)
  }
}

function countersFrom(total: (which: number) => number): KeptCounters {
  return {
    reads: total(KEPT.reads), writes: total(KEPT.writes), readBytes: total(KEPT.readBytes),
    writtenBytes: total(KEPT.writtenBytes), mediaErrors: total(KEPT.mediaErrors),
  }
}

function bitsOf({ degraded, readOnly }: Warnings): number {
  const bits = CRITICAL_WARNING_BITS
  return putBits(bits.degraded, +degraded) | putBits(bits.readOnly, +readOnly)
}
