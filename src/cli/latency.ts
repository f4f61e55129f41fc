/**
 * How long commands took between two reports: a row for each kind that there was, with quantiles and a histogram.
 * screen.ts shows them.
 *
 *   COMMAND  P50   P99    P99.9  <1µs      1ms       1s
 *   read     80µs  320µs  2.0ms       ▁▃█▄▁  ▁             a column for each power of two µs
 *
 * Invariant: what has come at least once has a mark, however many of the others there were.
 */
import type { ClassReport, SubsystemReport } from '../control/report.ts'
import { CLASSES } from '../controller/tally.ts'
import { BUCKETS, quantileUs, startUs } from '../reactor/histogram.ts'

const MARKS = '▁▂▃▄▅▆▇█'
/** The first is for less than 1 µs; the others begin at 1, 2, 4 … µs, the last at 8 s. */
const COLUMNS = 25
const SCALE = '<1µs'.padEnd(11) + '1ms'.padEnd(10) + '1s'

export const LATENCY_HEADS = ['LATENCY', 'NS', 'COMMAND', 'P50', 'P99', 'P99.9', SCALE] as const

export function latencyRows(before: readonly SubsystemReport[], after: readonly SubsystemReport[]): string[][] {
  return after.flatMap(({ nqn, namespaces }) => namespaces.flatMap(({ nsid, commands }) => {
    const former = before.find((each) => each.nqn === nqn)?.namespaces.find((each) => each.nsid === nsid)
    return CLASSES.flatMap((name) => {
      const counts = since(former?.commands[name], commands[name])
      if (counts.every((count) => count === 0)) return []
      const quantiles = [0.5, 0.99, 0.999].map((share) => timeText(quantileUs(counts, share)))
      return [[nqn, String(nsid), name.replaceAll('_', ' '), ...quantiles, histogramText(counts)]]
    })
  }))
}

/** What has come, by bucket. A weft that was started anew has begun at 0. */
export function since(before: ClassReport | undefined, after: ClassReport): number[] {
  return after.buckets.map((count, bucket) => Math.max(0, count - (before?.buckets[bucket] ?? 0)))
}

/** What commands stayed below. */
export function timeText(us: number): string {
  if (Number.isNaN(us)) return '-'
  if (us < 1000) return `${us}µs`
  return us < 1_000_000 ? `${(us / 1000).toFixed(1)}ms` : `${(us / 1_000_000).toFixed(1)}s`
}

function histogramText(counts: readonly number[]): string {
  const columns = new Array<number>(COLUMNS).fill(0)
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const from = startUs(bucket)
    columns[from < 1 ? 0 : Math.min(COLUMNS - 1, 1 + Math.floor(Math.log2(from)))]! += counts[bucket] ?? 0
  }
  const most = Math.max(...columns)
  return columns.map((count) => count === 0 ? ' ' : MARKS[Math.ceil(count / most * MARKS.length) - 1]).join('')
}
