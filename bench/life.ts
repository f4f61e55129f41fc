/**
 * What is not speed: start, memory, idle processor time, the first command after a pause, the tail
 * of a long run and the way to full speed.     bench.ts → life.
 *
 * Each starts a weft of its own, so that nothing before it counts, and takes it down.
 */
import { SPAN_BYTES } from './cases.ts'
import { runLoad, startLoad } from './load.ts'
import type { LoadResult } from './load.ts'
import { fill } from './matrix.ts'
import { median } from './statistics.ts'
import { cpuSeconds, residentBytes, startWeft } from './target.ts'
import type { WeftChoice } from './target.ts'

export type Life = {
  /** From the start of the process to the first ICResp, each time. */
  readonly startMs: readonly number[]
  readonly residentAtStartBytes: number
  readonly idleConnections: number
  readonly residentPerConnectionBytes: number
  /** Share of one core with all of them connected and silent but for their keep alives. */
  readonly idleCorePercent: number
  readonly afterIdle: LoadResult
}

export type LifePace = {
  readonly starts: number
  readonly idleConnections: number
  readonly idleSeconds: number
  readonly cpu: number
}

const SETTLE_MS = 1000

export async function measureLife(choice: WeftChoice, pace: LifePace): Promise<Life> {
  const startMs: number[] = []
  for (let i = 0; i < pace.starts; i++) {
    const weft = await startWeft(choice)
    startMs.push(weft.startedMs)
    await weft.stop()
  }
  const weft = await startWeft(choice)
  try {
    const { pid } = weft.target
    await settle()
    const residentAtStartBytes = residentBytes(pid!)
    const idle = await startLoad(weft.target, ['--connections', '0', '--seconds',
      String(pace.idleSeconds + 2 * SETTLE_MS / 1000), '--cpu', String(pace.cpu),
      '--idle-connections', String(pace.idleConnections)])
    await settle()
    // A controller is two connections: its admin queue and one I/O queue.
    const grown = residentBytes(pid!) - residentAtStartBytes
    const before = cpuSeconds(pid!)
    const began = performance.now()
    await new Promise((resolve) => setTimeout(resolve, pace.idleSeconds * 1000))
    const used = cpuSeconds(pid!) - before
    const seconds = (performance.now() - began) / 1000
    await idle.ended
    const afterIdle = await runLoad(weft.target, ['--latency-after-idle', '100', '--seconds',
      String(pace.idleSeconds), '--idle-connections', String(pace.idleConnections - 1),
      '--cpu', String(pace.cpu)])
    return {
      startMs, residentAtStartBytes, idleConnections: pace.idleConnections,
      residentPerConnectionBytes: grown / (2 * pace.idleConnections),
      idleCorePercent: 100 * used / seconds, afterIdle,
    }
  } finally {
    await weft.stop()
  }
}

export type LongRun = {
  readonly result: LoadResult
  /** From the first command after the start to the first tenth of a second at 95 % of full speed. */
  readonly warmUpMs: number
}

const INTERVAL_MS = 100
const WARM_UP_SECONDS = 5

/** A short run on a target that has just started, and a long one on the same when it is filled. */
export async function measureLong(
  choice: WeftChoice, seconds: number, cpu: number,
): Promise<LongRun> {
  const weft = await startWeft(choice)
  const words = ['--depth', '32', '--span', String(SPAN_BYTES), '--cpu', String(cpu)]
  try {
    const cold = await runLoad(weft.target, [...words, '--ramp', '0', '--seconds',
      String(WARM_UP_SECONDS), '--interval', String(INTERVAL_MS)])
    await fill([weft.target], cpu)
    const result = await runLoad(weft.target, [...words, '--seconds', String(seconds)])
    return { result, warmUpMs: warmUpMs(cold.intervals ?? []) }
  } finally {
    await weft.stop()
  }
}

/** The end of the first interval that reaches 95 % of the median of the second half. */
export function warmUpMs(intervals: readonly number[]): number {
  const full = median(intervals.slice(intervals.length >> 1))
  const first = intervals.findIndex((count) => count >= 0.95 * full)
  return first < 0 ? NaN : (first + 1) * INTERVAL_MS
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
}
