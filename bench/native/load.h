/*
 * One run of the load generator: its options, its connections and what it counted.
 * load.c connects and drives it, report.c prints it.
 * Invariant: issued - completed = commands outstanding; measured counts are a part of completed.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
#include "histogram.h"
#include "host.h"
#include "workload.h"

enum { STATUSES_MAX = 64, INTERVALS_MAX = 4096 };

struct load {
  struct options options;
  struct controller *controllers;  /* those under load, then the idle ones */
  uint32_t controller_count, busy_controllers;
  struct queue **queues;           /* those under load */
  uint32_t queue_count;
  int watcher;                     /* epoll of many queues; -1 = poll each */
  struct workload work;
  uint8_t *receive_buffer;
  /* the phase under way */
  uint64_t issue_max, issued, completed;
  uint32_t read_percent;
  bool sequential, measuring;
  uint64_t now;                    /* ns, since the turn began or bytes came */
  uint64_t next_issue_ns, pace_ns; /* with --rate */
  uint64_t progress_ns;            /* when a command completed last */
  /* results */
  uint64_t measured, reads, writes, begin_ns, end_ns, waiting_ns, connect_ns;
  double user_seconds, system_seconds, watched_seconds;
  uint64_t receives, sends, verified, differing;
  uint64_t failed;
  uint32_t status_count;
  uint32_t statuses[STATUSES_MAX];
  uint64_t status_hits[STATUSES_MAX];
  uint64_t intervals[INTERVALS_MAX];
  struct histogram latencies;
};

/* connect.c: connects everything; fails with a sentence. */
void connect_all(struct load *load);
/* connect.c: settles keep alives, shuts every controller down, closes. */
void close_all(struct load *load);
/* load.c: waits until `until` (now_ns) without spinning, but serves keep alives. */
void load_rest(uint64_t until);
/* report.c: prints the result on stdout, as one JSON line or for people. */
void report(const struct load *load);
#endif
