/**
 * What the error and SMART logs report, read from the block that the reactors share.
 * admin calls it for Get Log Page 01h and 02h.                 NVMe Base 2.0, 5.16.1.2 and 5.16.1.3
 *
 * Controllers come and go with their hosts, so that counters are those of the subsystem, or of one namespace.
 * Invariant: counters cover all reactors, and all runs whose records were kept.
 */
import type { NamespaceSnapshot } from '../subsystem/subsystem.ts'
import type { Controller } from './controller.ts'
import type { ErrorEntry, HealthCounters } from './log-page.ts'
import { COUNT, ERROR_ENTRIES, ERROR_ENTRY, HEALTH, ROW, type Shared } from './shared.ts'

const TWO_32 = 4294967296
const MS_A_MINUTE = 60000
const MS_AN_HOUR = 60 * MS_A_MINUTE

/** The controller's errors, newest first. */
export function errorsOf(shared: Shared, controller: Controller): ErrorEntry[] {
  const { words, health } = shared
  const row = shared.row(controller.index)
  const total = words[row + ROW.ERRORS]! >>> 0
  const before = health[shared.healthAt(words[row + ROW.SUBSYSTEM]!) + HEALTH.ERRORS_BEFORE]!
  const entries: ErrorEntry[] = []
  for (let position = total - 1; position >= Math.max(0, total - ERROR_ENTRIES); position--) {
    const at = row + ROW.ENTRIES + (position % ERROR_ENTRIES) * ERROR_ENTRY.WORDS
    entries.push({
      count: before + (words[at + ERROR_ENTRY.COUNT]! >>> 0),
      sqid: words[at + ERROR_ENTRY.QID_CID]! & 0xffff,
      cid: words[at + ERROR_ENTRY.QID_CID]! >>> 16,
      status: words[at + ERROR_ENTRY.STATUS]!,
      location: words[at + ERROR_ENTRY.WHERE]! & 0xffff,
      opcode: words[at + ERROR_ENTRY.WHERE]! >>> 16,
      lba: (words[at + ERROR_ENTRY.LBA_LO]! >>> 0) + words[at + ERROR_ENTRY.LBA_HI]! * TWO_32,
      nsid: words[at + ERROR_ENTRY.NSID]! >>> 0,
    })
  }
  // Two reactors may have taken their numbers in one order and their places in the other.
  return entries.sort((one, other) => other.count - one.count)
}

/** Of the subsystem with this row and these namespaces, or of one of them. */
export function healthOf(
  shared: Shared, subsystem: number, namespaces: readonly NamespaceSnapshot[],
  namespace: NamespaceSnapshot | null = null,
): HealthCounters {
  const at = shared.healthAt(subsystem)
  const health = (which: number): number => shared.health[at + which]!
  const total = (which: number): number => namespace !== null
    ? shared.total(namespace.counter, which)
    : namespaces.reduce(
      (sum, each) => sum + shared.total(each.counter, which), health(HEALTH.REMOVED + which))
  return {
    warning: namespace === null
      ? health(HEALTH.WARNING) : shared.counters[shared.keptAt(namespace.counter) + COUNT.WARNING]!,
    readBytes: total(COUNT.READ_BYTES),
    writtenBytes: total(COUNT.WRITTEN_BYTES),
    reads: total(COUNT.READS),
    writes: total(COUNT.WRITES),
    busyMinutes: Math.floor(health(HEALTH.BUSY_MS) / MS_A_MINUTE),
    powerCycles: health(HEALTH.POWER_CYCLES),
    powerOnHours: Math.floor(health(HEALTH.POWER_ON_MS) / MS_AN_HOUR),
    unsafeShutdowns: health(HEALTH.UNSAFE_SHUTDOWNS),
    mediaErrors: total(COUNT.MEDIA_ERRORS),
    errors: shared.errors(subsystem),
  }
}
