/**
 * What `weft perf` says: a line while it goes on, and in the end figures and a histogram, for people or as JSON.
 * perf-command.ts → here.
 */
import { formatSize } from '../config/size.ts'
import type { Histogram } from '../host/histogram.ts'
import type { LoadResult, LoadWish, Side } from '../host/load.ts'

const MIB = 1024 ** 2
const BAR_WIDTH = 40
const PROGRESS_WIDTH = 20
const SHARES = [['p50', 0.5], ['p90', 0.9], ['p99', 0.99], ['p99.9', 0.999], ['p99.99', 0.9999]] as const

/** One line without its end. */
export function progressText({ read, write }: LoadResult, elapsedMs: number, { timeMs, amountBytes }: LoadWish): string {
  const done = Math.min(1, Math.max(elapsedMs / (timeMs ?? Infinity), (read.bytes + write.bytes) / (amountBytes ?? Infinity)))
  const bar = '#'.repeat(Math.round(done * PROGRESS_WIDTH)).padEnd(PROGRESS_WIDTH)
  const seconds = Math.max(elapsedMs, 1) / 1000
  const rate = (read.bytes + write.bytes) / seconds / MIB
  return `[${bar}] ${String(Math.round(done * 100)).padStart(3)} %  ${Math.round((read.count + write.count) / seconds)} IOPS  `
    + `${rate.toFixed(1)} MiB/s\x1b[K`
}

export function reportText(result: LoadResult, wish: LoadWish): string {
  const { blockBytes, depth, nqn } = wish
  const queues = result.connections === 1 ? '1 connection' : `${result.connections} connections`
  const lines = [`${nqn}: ${formatSize(blockBytes)} a command, ${queues} of depth ${depth}, ${result.seconds.toFixed(1)} s`]
  for (const [name, side] of [['read', result.read], ['write', result.write]] as const) {
    if (side.count !== 0) lines.push(...sideLines(name, side, result.seconds))
  }
  if (wish.verify) {
    lines.push(`verified ${result.verified} commands' data: ${result.wrong === 0 ? 'all of it right' : `${result.wrong} WRONG`}`)
    for (const each of result.complaints) lines.push(`  ${each}`)
  }
  for (const [words, count] of result.errors) lines.push(`failed ${count} times: ${words}`)
  return `${lines.join('\n')}\n`
}

function sideLines(name: string, side: Side, seconds: number): string[] {
  const { count, bytes, latency } = side
  const rate = `${Math.round(count / seconds)} IOPS, ${(bytes / seconds / MIB).toFixed(1)} MiB/s`
  const shares = SHARES.map(([label, share]) => `${label} ${timeText(latency.percentileUs(share))}`)
  return [
    `${name}: ${rate}, ${formatSize(bytes)} in ${count} commands`,
    `  latency: least ${timeText(latency.minUs)}, mean ${timeText(latency.meanUs)}, most ${timeText(latency.maxUs)}`,
    `  ${shares.join(', ')}`,
    ...histogramLines(latency),
  ]
}

function histogramLines(latency: Histogram): string[] {
  const rows = latency.rows()
  const most = Math.max(...rows.map(({ count }) => count))
  return rows.map(({ fromUs, toUs, count }) => {
    const share = `${(count / latency.count * 100).toFixed(2)} %`
    const bar = '#'.repeat(Math.max(1, Math.round(count / most * BAR_WIDTH)))
    return `  ${timeText(fromUs).padStart(7)} - ${timeText(toUs).padEnd(7)} ${share.padStart(8)} ${bar}`
  })
}

export function reportJson(result: LoadResult, wish: LoadWish): object {
  const { seconds, connections, verified, wrong, complaints, errors } = result
  const { nqn, nsid, address, port, blockBytes, depth, random, reads } = wish
  return {
    target: { address, port, nqn, nsid }, job: { blockBytes, depth, connections, random, reads }, seconds,
    read: sideJson(result.read, seconds), write: sideJson(result.write, seconds),
    ...(wish.verify ? { verified, wrong, complaints } : {}),
    errors: Object.fromEntries(errors),
  }
}

function sideJson({ count, bytes, latency }: Side, seconds: number): object {
  const shares = Object.fromEntries(SHARES.map(([label, share]) => [label, latency.percentileUs(share)]))
  return {
    commands: count, bytes, iops: count / seconds, bytesPerSecond: bytes / seconds,
    latencyUs: count === 0 ? null : { min: latency.minUs, mean: latency.meanUs, max: latency.maxUs, ...shares },
    histogram: latency.rows(),
  }
}

function timeText(us: number): string {
  if (us < 1000) return `${us < 10 ? us.toFixed(1) : Math.round(us)} us`
  if (us < 1_000_000) return `${Number((us / 1000).toPrecision(3))} ms`
  return `${Number((us / 1_000_000).toPrecision(3))} s`
}
