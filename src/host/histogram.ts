/**
 * Latencies of many commands in little memory: load.ts counts, cli/perf.ts shows.
 *
 * Buckets of 1 µs up to 64 µs, then 32 to each doubling: what is told is at most 3 % too large.
 */

const EXACT = 64
const STEPS = 32
const DOUBLINGS = 32
/** Half an hour: what takes longer counts as that long. */
const US_MAX = 2 ** 31 - 1
const STEP_BITS = Math.log2(STEPS)
const EXACT_BITS = Math.log2(EXACT)

export class Histogram {
  readonly counts = new Float64Array(EXACT + STEPS * DOUBLINGS)
  count = 0
  sumUs = 0
  maxUs = 0
  minUs = Infinity

  add(us: number): void {
    this.counts[bucketOf(us)]!++
    this.count++
    this.sumUs += us
    if (us > this.maxUs) this.maxUs = us
    if (us < this.minUs) this.minUs = us
  }

  get meanUs(): number {
    return this.count === 0 ? 0 : this.sumUs / this.count
  }

  /** The latency that this share of the commands did not exceed. */
  percentileUs(share: number): number {
    let left = Math.ceil(this.count * share)
    for (let bucket = 0; left > 0; bucket++) {
      left -= this.counts[bucket]!
      if (left <= 0) return Math.min(upperUs(bucket), this.maxUs)
    }
    return 0
  }

  /** One row for each doubling that has any: from, to, how many. */
  rows(): { readonly fromUs: number; readonly toUs: number; readonly count: number }[] {
    const rows: { fromUs: number; toUs: number; count: number }[] = []
    for (const [bucket, count] of this.counts.entries()) {
      if (count === 0) continue
      const toUs = 2 ** Math.ceil(Math.log2(Math.max(1, upperUs(bucket))))
      const last = rows.at(-1)
      if (last?.toUs === toUs) last.count += count
      else rows.push({ fromUs: toUs <= 1 ? 0 : toUs / 2, toUs, count })
    }
    return rows
  }
}

function bucketOf(us: number): number {
  const whole = Math.min(Math.max(0, Math.floor(us)), US_MAX)
  if (whole < EXACT) return whole
  const doubling = 31 - Math.clz32(whole) - EXACT_BITS
  return Math.min(EXACT + STEPS * DOUBLINGS - 1, EXACT + doubling * STEPS + ((whole >>> (doubling + EXACT_BITS - STEP_BITS)) - STEPS))
}

/** What is below the next bucket. */
function upperUs(bucket: number): number {
  if (bucket < EXACT) return bucket + 1
  const doubling = Math.floor((bucket - EXACT) / STEPS)
  return ((bucket - EXACT) % STEPS + STEPS + 1) * 2 ** (doubling + EXACT_BITS - STEP_BITS)
}
