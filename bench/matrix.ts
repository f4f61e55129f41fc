/**
 * Runs cases on several targets in turn and keeps every run.        bench.ts → matrix → load.
 *
 *   pair 1: weft, peer, responder   pair 2: responder, peer, weft   pair 3: weft, …
 *
 * Targets share one core, so all but the one measured are paused where their process is known.
 * The order turns round with each pair: what drifts, drifts for all of them.
 */
import type { Case } from './cases.ts'
import { SPAN_BYTES } from './cases.ts'
import { runLoad } from './load.ts'
import type { LoadResult, Target } from './load.ts'
import { median, medianRatio } from './statistics.ts'
import { pause } from './target.ts'

export type Pace = {
  readonly pairs: number
  readonly seconds: number
  readonly cpu: number
}

/** The runs of one case: by target name, in the order of the pairs. */
export type CaseRuns = {
  readonly case: Case
  readonly runs: Readonly<Record<string, readonly LoadResult[]>>
  /** What kept a target from running this case. */
  readonly refusals: Readonly<Record<string, string>>
}

const FILL_BLOCK = 128 * 1024

/**
 * Writes the whole span once: memory that was never written reads from one shared zero page, out
 * of the cache, which no disk with something on it does.
 */
export async function fill(targets: readonly Target[], cpu: number): Promise<void> {
  for (const target of targets) {
    await alone(targets, target, () => runLoad(target, ['--op', 'write', '--sequential',
      '--block', String(FILL_BLOCK), '--depth', '8', '--span', String(SPAN_BYTES),
      '--commands', String(Math.floor(SPAN_BYTES / FILL_BLOCK)), '--cpu', String(cpu)]))
  }
}

export async function runCase(
  one: Case, targets: readonly Target[], pace: Pace, note: (text: string) => void,
): Promise<CaseRuns> {
  const runs: Record<string, LoadResult[]> = {}
  const refusals: Record<string, string> = {}
  const words = [...one.words, '--nsid', String(one.nsid), '--seconds', String(pace.seconds),
    '--span', String(SPAN_BYTES), '--cpu', String(pace.cpu)]
  for (let pair = 0; pair < pace.pairs; pair++) {
    for (const target of pair % 2 === 0 ? targets : targets.toReversed()) {
      if (refusals[target.name] !== undefined) continue
      note(`${one.name}: ${target.name}, ${pair + 1} of ${pace.pairs}`)
      try {
        const seeded = [...words, '--seed', String(pair + 1)]
        const run = await alone(targets, target, () => runLoad(target, seeded))
        ;(runs[target.name] ??= []).push(run)
      } catch (error) {
        refusals[target.name] = (error as Error).message
      }
    }
  }
  return { case: one, runs, refusals }
}

/** Runs with every other target paused. */
export async function alone<T>(
  targets: readonly Target[], measured: Target, run: () => Promise<T>,
): Promise<T> {
  const others = targets.filter((target) => target !== measured)
  for (const target of others) pause(target, true)
  try {
    return await run()
  } finally {
    for (const target of others) pause(target, false)
  }
}

/** One line of a table: the medians of all runs of a target. */
export type Medians = {
  readonly iops: number
  readonly mibPerSecond: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  /** CPU time of the target for one command, in ns; NaN when its process is not known. */
  readonly cpuNs: number
  readonly waitingPercent: number
}

export function mediansOf(runs: readonly LoadResult[]): Medians {
  const of = (pick: (run: LoadResult) => number): number => median(runs.map(pick))
  return {
    iops: of((run) => run.iops),
    mibPerSecond: of((run) => run.mibPerSecond),
    p50: of((run) => run.latencyNs.p50),
    p99: of((run) => run.latencyNs.p99),
    p999: of((run) => run.latencyNs.p999),
    cpuNs: of((run) => run.watchedSeconds > 0 ? run.watchedSeconds * 1e9 / run.commands : NaN),
    waitingPercent: of((run) => run.waitingPercent),
  }
}

/** Weft's figures divided by another target's, pair by pair; the median of these. */
export function ratiosTo(
  ours: readonly LoadResult[], theirs: readonly LoadResult[],
): { readonly iops: number, readonly p50: number, readonly p99: number, readonly p999: number } {
  const of = (pick: (run: LoadResult) => number): number =>
    medianRatio(ours.map(pick), theirs.map(pick))
  return {
    iops: of((run) => run.iops),
    p50: of((run) => run.latencyNs.p50),
    p99: of((run) => run.latencyNs.p99),
    p999: of((run) => run.latencyNs.p999),
  }
}
