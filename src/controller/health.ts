/**
 * What the error and SMART logs report, read from the block that the reactors share.
 * admin calls it for Get Log Page 01h and 02h.                 NVMe Base 2.0, 5.16.1.2 and 5.16.1.3
 *
 * Invariant: counters cover all namespaces of the subsystem and all reactors since the daemon started.
 */
import type { Controller } from './controller.ts'
import type { ErrorEntry, HealthCounters } from './log-page.ts'
import { COUNT, ERROR_ENTRIES, ERROR_ENTRY, ROW, type Shared } from './shared.ts'

const TWO_32 = 4294967296
const MS_A_MINUTE = 60000

/** The controller's errors, newest first. */
export function errorsOf(shared: Shared, controller: Controller): ErrorEntry[] {
  const { words } = shared
  const row = shared.row(controller.index)
  const total = words[row + ROW.ERRORS]! >>> 0
  const entries: ErrorEntry[] = []
  for (let count = total; count > Math.max(0, total - ERROR_ENTRIES); count--) {
    const at = row + ROW.ENTRIES + ((count - 1) % ERROR_ENTRIES) * ERROR_ENTRY.WORDS
    entries.push({
      count,
      sqid: words[at + ERROR_ENTRY.QID_CID]! & 0xffff,
      cid: words[at + ERROR_ENTRY.QID_CID]! >>> 16,
      status: words[at + ERROR_ENTRY.STATUS]!,
      location: words[at + ERROR_ENTRY.LOCATION]! & 0xffff,
      lba: (words[at + ERROR_ENTRY.LBA_LO]! >>> 0) + words[at + ERROR_ENTRY.LBA_HI]! * TWO_32,
      nsid: words[at + ERROR_ENTRY.NSID]! >>> 0,
    })
  }
  return entries
}

/** nowMs: reactor milliseconds. */
export function healthOf(shared: Shared, controller: Controller, nowMs: number): HealthCounters {
  const total = (which: number): number => {
    let sum = 0
    for (const each of controller.subsystem.namespaces) sum += shared.total(each.counter, which)
    return sum
  }
  const row = shared.row(controller.index)
  const minutes = ((nowMs - shared.words[row + ROW.STARTED]!) >>> 0) / MS_A_MINUTE
  return {
    readBytes: total(COUNT.READ_BYTES),
    writtenBytes: total(COUNT.WRITTEN_BYTES),
    reads: total(COUNT.READS),
    writes: total(COUNT.WRITES),
    busyMinutes: 0,
    powerOnHours: Math.floor(minutes / 60),
    mediaErrors: total(COUNT.MEDIA_ERRORS),
    errors: shared.words[row + ROW.ERRORS]! >>> 0,
  }
}
