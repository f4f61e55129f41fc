/**
 * What fio measured, in the few numbers that are compared; and files of it.
 * fio/run.ts → results; plot.ts reads what is here.
 *
 * A file holds one target: its label and its figures by case, so that any number of files, from any
 * number of machines and days, can be laid beside each other.
 */
import { readFileSync } from 'node:fs'
import { microseconds, short, table } from '../statistics.ts'

export type Figures = {
  readonly iops: number
  readonly mibPerSecond: number
  readonly p50Ns: number
  readonly p99Ns: number
  readonly p999Ns: number
  /** Share of one core that fio itself used, user and system. */
  readonly cpuPercent: number
}

export type TargetResults = {
  readonly format: 'weft fio results 1'
  readonly label: string
  readonly device: string
  readonly machine: string
  readonly cases: Readonly<Record<string, Figures>>
}

type FioLatency = { readonly percentile?: Readonly<Record<string, number>> }
type FioJob = {
  readonly error?: number
  readonly usr_cpu: number
  readonly sys_cpu: number
  readonly mixed?: FioDirection
}
type FioDirection = {
  readonly iops: number
  readonly bw_bytes: number
  readonly clat_ns?: FioLatency
}

/** Reads fio's JSON output, made with unified_rw_reporting. fio may print notes before it. */
export function figuresOf(output: string): Figures {
  const parsed = JSON.parse(output.slice(output.indexOf('{'))) as { jobs: readonly FioJob[] }
  const job = parsed.jobs[0]
  if (job?.mixed === undefined) throw new Error('fio reported no job')
  if ((job.error ?? 0) !== 0) throw new Error(`fio: the job failed with errno ${job.error}`)
  const percentile = job.mixed.clat_ns?.percentile ?? {}
  const at = (wanted: number): number => {
    const key = Object.keys(percentile).find((text) => Math.abs(Number(text) - wanted) < 1e-6)
    return key === undefined ? NaN : percentile[key]!
  }
  return {
    iops: job.mixed.iops,
    mibPerSecond: job.mixed.bw_bytes / 2 ** 20,
    p50Ns: at(50), p99Ns: at(99), p999Ns: at(99.9),
    cpuPercent: job.usr_cpu + job.sys_cpu,
  }
}

export function readResults(file: string): TargetResults {
  const strange = new Error(`${file} was not written by bench/fio/run.ts`)
  let parsed: TargetResults
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8')) as TargetResults
  } catch (error) {
    throw error instanceof SyntaxError ? strange : error
  }
  if (parsed.format !== 'weft fio results 1') throw strange
  return parsed
}

/** The cases of all targets, in the order of the first that has them. */
export function caseNames(targets: readonly TargetResults[]): string[] {
  return [...new Set(targets.flatMap(({ cases }) => Object.keys(cases)))]
}

/** One line a case and target; × is the ratio of IOPS to the first target. */
export function resultsTable(targets: readonly TargetResults[]): string {
  const rows = caseNames(targets).flatMap((name) => {
    const first = targets[0]!.cases[name]
    return targets.filter(({ cases }) => cases[name] !== undefined).map((target, index) => {
      const figures = target.cases[name]!
      const ratio = first === undefined ? '' : (figures.iops / first.iops).toFixed(2)
      return [index === 0 ? name : '', target.label, short(figures.iops),
        short(figures.mibPerSecond), microseconds(figures.p50Ns), microseconds(figures.p99Ns),
        microseconds(figures.p999Ns), `${Math.round(figures.cpuPercent)} %`, ratio]
    })
  })
  return table(['case', 'target', 'IOPS', 'MiB/s', 'p50 µs', 'p99 µs', 'p99.9 µs', 'host CPU',
    `× ${targets[0]?.label ?? ''}`], rows)
}
