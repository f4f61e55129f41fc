/**
 * The bench's figures as text: one block of lines a case, one line a target.    bench.ts → print.
 * Latencies and CPU time in microseconds; ratios are weft's figure divided by the other target's.
 */
import type { Life, LongRun } from './life.ts'
import { mediansOf, ratiosTo } from './matrix.ts'
import type { CaseRuns } from './matrix.ts'
import type { Part, Profile } from './profile.ts'
import { median, microseconds, short, table } from './statistics.ts'

const TITLES = ['case', 'target', 'IOPS', 'MiB/s', 'p50 µs', 'p99 µs', 'p99.9 µs', 'CPU µs/I/O',
  'waits', '× IOPS', '× p50', '× p99', '× p99.9', 'aim']
/** Below this the generator, not the target, is what limits the figure. */
const BUSY_PERCENT = 5
/** How much of the responder's IOPS weft is meant to reach, whatever the case. */
const RESPONDER_RATIO = 0.9

/** A table over all cases. `weft` must be among the targets for ratios to be printed. */
export function casesTable(all: readonly CaseRuns[]): string {
  const rows = all.flatMap((one) => Object.keys({ ...one.runs, ...one.refusals })
    .map((name, index) => [index === 0 ? one.case.name : '', ...targetCells(one, name)]))
  return table(TITLES, rows)
}

function targetCells(one: CaseRuns, name: string): string[] {
  const runs = one.runs[name]
  if (runs === undefined) return [name, `not run: ${one.refusals[name]}`]
  const { iops, mibPerSecond, p50, p99, p999, cpuNs, waitingPercent } = mediansOf(runs)
  const cells = [name, short(iops), short(mibPerSecond), microseconds(p50), microseconds(p99),
    microseconds(p999), microseconds(cpuNs),
    `${Math.round(waitingPercent)} %${waitingPercent < BUSY_PERCENT ? ' !' : ''}`]
  const ours = one.runs['weft']
  if (name === 'weft' || ours === undefined) return cells
  const ratios = ratiosTo(ours, runs)
  const wanted = name === 'responder' ? RESPONDER_RATIO : name === 'peer' ? one.case.ratio : 0
  const aim = wanted === 0 ? '' : `${wanted} ${ratios.iops >= wanted ? '✓' : '✗'}`
  return [...cells, ...[ratios.iops, ratios.p50, ratios.p99, ratios.p999]
    .map((ratio) => ratio.toFixed(2)), aim]
}

export const CASES_NOTE = '"waits": how much of the time the generator found nothing to do; '
  + `below ${BUSY_PERCENT} % (!) the generator\nlimits the IOPS, and CPU µs/I/O is the figure to `
  + 'compare. × is weft divided by that target, median of pairs.'

export function lifeTable(life: Life): string {
  const { afterIdle } = life
  return table(['life', 'measured', 'aim'], [
    ['start to first ICResp, ms', short(median(life.startMs)), '< 500'],
    ['memory at start, MiB', short(life.residentAtStartBytes / 2 ** 20), '< 150'],
    [`memory per idle connection, KiB (of ${2 * life.idleConnections})`,
      short(life.residentPerConnectionBytes / 1024), '< 64'],
    [`idle, ${life.idleConnections} controllers, % of a core`,
      life.idleCorePercent.toFixed(2), '< 1'],
    ['first command after idle, p50 µs', microseconds(afterIdle.latencyNs.p50), '≤ 60'],
    ['first command after idle, p99 µs', microseconds(afterIdle.latencyNs.p99), ''],
  ])
}

export function longTable({ result, warmUpMs }: LongRun): string {
  return table([`read, depth 32, ${Math.round(result.seconds)} s`, 'measured'], [
    ['IOPS', short(result.iops)],
    ['p50 µs', microseconds(result.latencyNs.p50)],
    ['p99.9 µs', microseconds(result.latencyNs.p999)],
    ['p99.99 µs', microseconds(result.latencyNs.p9999)],
    ['max µs', microseconds(result.latencyNs.max)],
    ['95 % of full speed, ms after a cold start', short(warmUpMs)],
  ])
}

const PARTS: readonly (readonly [Part, string])[] = [
  ['typescript', 'TypeScript'], ['node', 'Node, koffi'], ['shim', 'shim'], ['kernel', 'kernel'],
]

/** Nanoseconds of CPU time for one command. */
export function profileTable(profiles: readonly Profile[]): string {
  const rows = profiles.map(({ name, totalNs, ns }) =>
    [name, short(totalNs), ...PARTS.map(([part]) => short(ns[part]))])
  return table(['ns/I/O', 'all', ...PARTS.map(([, title]) => title)], rows)
}
