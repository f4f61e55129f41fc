/**
 * A histogram of times in microseconds, in fixed memory: four equal buckets for each power of two, so that a
 * bucket is never wider than a quarter of what is in it. meter counts with it, control reads it.
 *
 *   µs      0 1 2 3 │ 4 5 6 7 │ 8-9 10-11 12-13 14-15 │ 16-19 … │ … almost 2^25 and more
 *   bucket  0 1 2 3 │ 4 5 6 7 │ 8   9     10    11    │ 12    … │ 95
 *
 * Invariant: bucketOf(us) is the only bucket with startUs(bucket) <= us < startUs(bucket + 1), but for the last.
 */
export const BUCKETS = 96
const LAST_US = 0x1ffffff

/** us: an int32; less than 0 counts as 0, as a clock of two turns may seem to go back. */
export function bucketOf(us: number): number {
  if (us < 4) return us < 0 ? 0 : us
  if (us >= LAST_US) return BUCKETS - 1
  const exponent = 31 - Math.clz32(us)
  return ((exponent - 1) << 2) + ((us >>> (exponent - 2)) & 3)
}

/** Where a bucket begins; of BUCKETS: where the last one would end. */
export function startUs(bucket: number): number {
  if (bucket < 4) return bucket
  return (4 + (bucket & 3)) * 2 ** ((bucket >> 2) - 1)
}

/** The time that a share (0 to 1) of what was counted stayed below, NaN when nothing was. */
export function quantileUs(counts: ArrayLike<number>, share: number): number {
  let total = 0
  for (let bucket = 0; bucket < BUCKETS; bucket++) total += counts[bucket]!
  if (total === 0) return NaN
  const wanted = Math.max(1, Math.ceil(total * share))
  let seen = 0
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    seen += counts[bucket]!
    if (seen >= wanted) return startUs(bucket + 1)
  }
  return startUs(BUCKETS)
}
