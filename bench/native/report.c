/*
 * Prints what a run measured: one JSON line, or a few lines for people.       load → report.
 * Latencies are from the turn that queued a command to the turn that received its completion.
 * "waitingPercent" is the share of the time in which the generator found nothing to do: near 0, it
 * is the generator that limits the figure, not the target.
 */
#include "load.h"
#include <stdio.h>

struct quantile { const char *name; double fraction; };
static const struct quantile quantiles[] = {
  { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 }, { "p9999", 0.9999 },
};
enum { QUANTILES = sizeof quantiles / sizeof quantiles[0] };

static void report_json(const struct load *l, double seconds, double iops, double mean) {
  const struct histogram *h = &l->latencies;
  double bytes = (double)l->measured * l->options.block;
  printf("{\"event\":\"result\",\"iops\":%.1f,\"mibPerSecond\":%.2f,\"commands\":%lu,\"reads\":%lu,"
         "\"writes\":%lu,\"seconds\":%.6f,\"latencyNs\":{\"min\":%lu,\"mean\":%.0f",
         iops, bytes / seconds / 1048576, l->measured, l->reads, l->writes, seconds, h->min, mean);
  for (uint32_t i = 0; i < QUANTILES; i++)
    printf(",\"%s\":%lu", quantiles[i].name, histogram_quantile(h, quantiles[i].fraction));
  printf(",\"max\":%lu},\"failed\":%lu,\"errors\":{", h->max, l->failed);
  for (uint32_t i = 0; i < l->status_count; i++)
    printf("%s\"%x/%02x\":%lu", i > 0 ? "," : "", l->statuses[i] >> 8 & 7, l->statuses[i] & 255,
           l->status_hits[i]);
  printf("},\"verified\":%lu,\"differing\":%lu,\"waitingPercent\":%.1f,\"userSeconds\":%.3f,"
         "\"systemSeconds\":%.3f,\"watchedSeconds\":%.3f,\"receives\":%lu,\"sends\":%lu,\"connectMs\":%.3f,"
         "\"controllers\":%u,\"connections\":%u,\"depth\":%u,\"block\":%u",
         l->verified, l->differing, 100.0 * (double)l->waiting_ns / 1e9 / seconds, l->user_seconds,
         l->system_seconds, l->watched_seconds, l->receives, l->sends, (double)l->connect_ns / 1e6,
         l->controller_count, l->queue_count, l->options.depth, l->options.block);
  if (l->options.interval_ms > 0) {
    uint64_t used = (uint64_t)(seconds * 1e3) / l->options.interval_ms;
    printf(",\"intervalMs\":%u,\"intervals\":[", l->options.interval_ms);
    for (uint64_t i = 0; i < used && i < INTERVALS_MAX; i++)
      printf("%s%lu", i > 0 ? "," : "", l->intervals[i]);
    printf("]");
  }
  printf("}\n");
}

static void report_text(const struct load *l, double seconds, double iops, double mean) {
  const struct histogram *h = &l->latencies;
  printf("%.0f IOPS, %.1f MiB/s, %lu commands in %.2f s\n", iops,
         iops * l->options.block / 1048576, l->measured, seconds);
  printf("latency in us: mean %.2f", mean / 1e3);
  for (uint32_t i = 0; i < QUANTILES; i++)
    printf(", %s %.2f", quantiles[i].name,
           (double)histogram_quantile(h, quantiles[i].fraction) / 1e3);
  printf(", max %.2f\n", (double)h->max / 1e3);
  for (uint32_t i = 0; i < l->status_count; i++)
    printf("status %x/%02xh: %lu commands\n", l->statuses[i] >> 8 & 7, l->statuses[i] & 255,
           l->status_hits[i]);
  if (l->options.verify) printf("%lu commands verified\n", l->verified);
  printf("generator waited %.1f %% of the time\n",
         100.0 * (double)l->waiting_ns / 1e9 / seconds);
}

void report(const struct load *l) {
  double seconds = (double)(l->end_ns - l->begin_ns) / 1e9;
  if (seconds <= 0) seconds = 1e-9;
  double mean = l->latencies.count > 0 ? l->latencies.sum / (double)l->latencies.count : 0;
  double iops = (double)l->measured / seconds;
  if (l->options.text) report_text(l, seconds, iops, mean);
  else report_json(l, seconds, iops, mean);
}
