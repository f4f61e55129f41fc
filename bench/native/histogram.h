/*
 * Latencies in nanoseconds, counted in buckets whose width is below 0.8 % of their value.
 * Called by load.c; fixed memory (57 KiB), one addition a sample, nothing allocated.
 *
 *   0 .. 255 ns: one bucket a nanosecond.  Above: 128 buckets for every doubling, up to 2^62.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H
#include <stdint.h>

enum { HISTOGRAM_STEPS = 128, HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * 57 };

struct histogram {
  uint64_t count, min, max;
  double sum;
  uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline uint32_t histogram_bucket(uint64_t ns) {
  if (ns < 2 * HISTOGRAM_STEPS) return (uint32_t)ns;
  uint32_t shift = (uint32_t)(63 - __builtin_clzll(ns)) - 7;      /* 7 = log2(HISTOGRAM_STEPS) */
  uint32_t bucket = shift * HISTOGRAM_STEPS + (uint32_t)(ns >> shift);
  return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static inline void histogram_add(struct histogram *h, uint64_t ns) {
  if (h->count == 0 || ns < h->min) h->min = ns;
  if (ns > h->max) h->max = ns;
  h->count++;
  h->sum += (double)ns;
  h->buckets[histogram_bucket(ns)]++;
}

/* The smallest latency that at least `fraction` (0 .. 1) of the samples do not exceed, to a
 * bucket's middle, and never above the largest sample. 0 without samples. */
static inline uint64_t histogram_quantile(const struct histogram *h, double fraction) {
  double wanted = fraction * (double)h->count;
  uint64_t seen = 0;
  for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && h->count > 0; i++) {
    seen += h->buckets[i];
    if (seen == 0 || (double)seen < wanted) continue;
    if (i < 2 * HISTOGRAM_STEPS) return i;
    uint32_t shift = i / HISTOGRAM_STEPS - 1;
    uint64_t low = (uint64_t)(i - shift * HISTOGRAM_STEPS) << shift;
    uint64_t middle = low + ((uint64_t)1 << shift >> 1);
    return middle > h->max ? h->max : middle;
  }
  return h->max;
}
#endif
