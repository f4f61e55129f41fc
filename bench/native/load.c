/*
 * A native-speed NVMe/TCP host that measures a target: connects, issues, counts, reports.
 * main → options → session (connect) → phases of queue turns → report.
 *
 *   fill?  →  ramp  →  measured  →  drain  →  check?  →  shut down
 *
 * One thread spins over all queues; time is read once a turn and once after each receive, so that a
 * command costs no clock call of its own. Exit codes: see options.c.
 * Invariant: a command is issued only into a free slot and below issue_max, and is counted once.
 */
#define _GNU_SOURCE
#include "crc32c.h"
#include "load.h"
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_PROTOCOL = 2, EXIT_FAILED = 3, EXIT_DIFFER = 4 };
enum { EVENTS = 128, KEEP_ALIVE_TURN_NS = 20000000, IDLE_STEP_NS = 5000000, WARM_NS = 200000 };

void fail(const char *format, ...) {
  va_list values;
  va_start(values, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, values);
  fprintf(stderr, "\n");
  va_end(values);
  fflush(stdout);
  exit(EXIT_PROTOCOL);
}

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint8_t *load_receive_buffer(struct load *l) { return l->receive_buffer; }

void load_count_syscall(struct load *l, bool receive) {
  if (receive) {
    l->receives++;
    l->now = now_ns();
  } else {
    l->sends++;
  }
}

static void count_status(struct load *l, uint32_t status) {
  uint32_t i = 0;
  l->failed++;
  while (i < l->status_count && l->statuses[i] != (status & 0x7ff)) i++;
  if (i == STATUSES_MAX) return;
  if (i == l->status_count) l->statuses[l->status_count++] = status & 0x7ff;
  l->status_hits[i]++;
}

static void verify(struct load *l, struct queue *q, struct command *command) {
  if (command->generation == 0) return;
  int64_t at = workload_compare(&l->work, command->unit, command->generation, command->buffer);
  l->verified++;
  if (at < 0) return;
  if (l->differing++ > 0) return;
  uint32_t lba_bytes = l->work.lba_bytes;
  const uint8_t *block = command->buffer + at / lba_bytes * lba_bytes;
  fprintf(stderr, "load: queue %u: LBA %lu differs at byte %ld; expected generation %u, block says "
          "LBA %lu generation %lu\n", q->id,
          workload_lba(&l->work, command->unit) + (uint64_t)at / lba_bytes, (long)(at % lba_bytes),
          command->generation, get64(block), get64(block + 8));
}

void load_complete(struct load *l, struct queue *q, uint16_t cid, uint32_t status) {
  struct command *command = &q->commands[cid];
  bool reads = command->opcode == OPC_READ;
  l->completed++;
  if (status != 0) count_status(l, status);
  if (l->work.generations != NULL) {
    if (status == 0 && reads) verify(l, q, command);
    /* A failed write may or may not have happened: its block is not checked until rewritten. */
    if (!reads) l->work.generations[command->unit] = status == 0 ? command->generation : 0;
    workload_return(&l->work, command->unit);
  }
  if (!l->measuring) return;
  l->measured++;
  if (reads) l->reads++;
  else l->writes++;
  histogram_add(&l->latencies, l->now - command->started_ns);
  if (l->options.interval_ms > 0) {
    uint64_t i = (l->now - l->begin_ns) / ((uint64_t)l->options.interval_ms * 1000000);
    if (i < INTERVALS_MAX) l->intervals[i]++;
  }
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void issue(struct load *l, struct queue *q, uint64_t unit) {
  uint16_t cid = q->free_list[--q->free_count];
  struct command *command = &q->commands[cid];
  bool reads = l->read_percent == 100
            || (l->read_percent > 0 && workload_random(&l->work) % 100 < l->read_percent);
  command->opcode = reads ? OPC_READ : OPC_WRITE;
  command->unit = unit;
  command->started_ns = l->now;
  if (l->work.generations != NULL) {
    command->generation = l->work.generations[unit];
    if (!reads) {
      if (++command->generation == 0) command->generation = 1;
      workload_fill(&l->work, unit, command->generation, command->buffer);
    }
  }
  queue_issue(q, cid, workload_lba(&l->work, unit), l->work.unit_lbas, l->options.nsid);
  l->issued++;
}

/* Fills a queue's free slots, as far as limits, pace and room allow. */
static void issue_all(struct load *l, struct queue *q) {
  while (q->free_count > 0 && l->issued < l->issue_max && queue_has_room(q)) {
    if (l->pace_ns > 0 && l->now < l->next_issue_ns) return;
    uint64_t unit = workload_take(&l->work, l->sequential);
    if (unit == UINT64_MAX) return;
    if (l->pace_ns > 0) {
      /* What could not be issued in time is not made up for beyond one millisecond. */
      uint64_t earliest = l->now > 1000000 ? l->now - 1000000 : 0;
      l->next_issue_ns = (l->next_issue_ns > earliest ? l->next_issue_ns : earliest) + l->pace_ns;
    }
    issue(l, q, unit);
  }
}

/* One look at one queue. Returns bytes moved. */
static uint64_t turn_queue(struct load *l, struct queue *q) {
  uint64_t moved = queue_receive(q, l);
  issue_all(l, q);
  return moved + queue_send(q, l);
}

/* One turn over all queues. Returns bytes moved. */
static uint64_t turn(struct load *l) {
  struct epoll_event events[EVENTS];
  uint64_t moved = 0;
  if (l->watcher < 0) {
    for (uint32_t i = 0; i < l->queue_count; i++) moved += turn_queue(l, l->queues[i]);
    return moved;
  }
  int ready = epoll_wait(l->watcher, events, EVENTS, 0);
  for (int i = 0; i < ready; i++) moved += turn_queue(l, events[i].data.ptr);
  if (ready > 0 && l->pace_ns == 0) return moved;
  /* A quiet moment: what a full socket, the pace or a taken block held back, goes on here. */
  for (uint32_t i = 0; i < l->queue_count; i++) {
    issue_all(l, l->queues[i]);
    moved += queue_send(l->queues[i], l);
  }
  return moved;
}

/* Turns until `until` ns, or all of issue_max completed, or (drain) nothing is outstanding. */
static void run(struct load *l, uint64_t until, bool drain) {
  uint64_t keep_alive = 0, stall = (uint64_t)(l->options.stall_seconds * 1e9), seen = l->completed;
  l->progress_ns = now_ns();
  for (;;) {
    uint64_t began = now_ns();
    l->now = began;
    if (began >= until || l->completed == l->issue_max) return;
    if (drain && l->completed == l->issued) return;
    if (began >= keep_alive) {
      keep_alive_turn(began);
      keep_alive = began + KEEP_ALIVE_TURN_NS;
      if (l->completed != seen || l->completed == l->issued) l->progress_ns = began;
      seen = l->completed;
      if (began - l->progress_ns > stall)
        fail("no command completed for %.1f s; %lu are outstanding", l->options.stall_seconds,
             l->issued - l->completed);
    }
    if (turn(l) == 0 && l->measuring) l->waiting_ns += now_ns() - began;
  }
}

static void start_all(struct load *l) {
  l->now = now_ns();
  for (uint32_t i = 0; i < l->queue_count; i++) {
    issue_all(l, l->queues[i]);
    queue_send(l->queues[i], l);
  }
}

/* Waits without spinning, but serves keep alives. */
void load_rest(uint64_t until) {
  for (uint64_t t = now_ns(); t < until; t = now_ns()) {
    keep_alive_turn(t);
    uint64_t step = until - t < IDLE_STEP_NS ? until - t : IDLE_STEP_NS;
    nanosleep(&(struct timespec){ .tv_nsec = (long)step }, NULL);
  }
}

/* ---- phases --------------------------------------------------------------------------------- */

static void pass_over_span(struct load *l, uint32_t read_percent) {
  l->read_percent = read_percent;
  l->sequential = true;
  l->work.cursor = 0;
  l->issued = l->completed = 0;
  l->issue_max = l->work.unit_count;
  start_all(l);
  run(l, UINT64_MAX, false);
}

/* CPU seconds that the watched process has used so far; 0 when there is none. */
static double watched_seconds(uint32_t pid) {
  char path[64], text[1024];
  unsigned long user = 0, system = 0;
  if (pid == 0) return 0;
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) fail("--watch-pid %u: %s", pid, strerror(errno));
  size_t bytes = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[bytes] = 0;
  /* The name in brackets may hold anything; utime and stime are fields 14 and 15. */
  const char *after = strrchr(text, ')');
  if (after == NULL || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                              &user, &system) != 2)
    fail("--watch-pid: %s is not understood", path);
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void add_usage(struct load *l, double sign) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double user = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
  double system = (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
  l->user_seconds += sign * user;
  l->system_seconds += sign * system;
  l->watched_seconds += sign * watched_seconds(l->options.watch_pid);
}

/* One command after each pause, alone on its queue. */
static void measure_after_idle(struct load *l) {
  uint64_t end = l->options.commands > 0 ? UINT64_MAX
                                         : now_ns() + (uint64_t)(l->options.seconds * 1e9);
  uint64_t wanted = l->options.commands > 0 ? l->options.commands : UINT64_MAX;
  l->measuring = true;
  l->begin_ns = now_ns();
  for (uint64_t i = 0; i < wanted && now_ns() < end; i++) {
    struct queue *q = l->queues[i % l->queue_count];
    uint64_t due = now_ns() + (uint64_t)l->options.after_idle_ms * 1000000;
    load_rest(due - WARM_NS);
    while (now_ns() < due) continue;       /* this processor is awake: the target's may not be */
    l->issue_max = l->issued + 1;
    l->now = now_ns();
    issue_all(l, q);
    queue_send(q, l);
    run(l, UINT64_MAX, true);
  }
  l->measuring = false;
  l->end_ns = now_ns();
}

static void measure(struct load *l) {
  const struct options *o = &l->options;
  l->read_percent = o->read_percent;
  l->sequential = o->sequential;
  l->work.cursor = 0;
  l->issued = l->completed = 0;
  l->issue_max = o->commands > 0 ? o->commands : UINT64_MAX;
  l->pace_ns = o->rate > 0 ? 1000000000u / o->rate : 0;
  l->next_issue_ns = now_ns();
  if (l->queue_count == 0) {
    l->begin_ns = now_ns();
    load_rest(l->begin_ns + (uint64_t)(o->seconds * 1e9));
    l->end_ns = now_ns();
    return;
  }
  if (o->after_idle_ms > 0) {
    measure_after_idle(l);
    return;
  }
  l->measuring = o->commands > 0 || o->ramp <= 0;
  l->begin_ns = now_ns();
  add_usage(l, -1);
  start_all(l);
  if (o->ramp > 0) {
    run(l, now_ns() + (uint64_t)(o->ramp * 1e9), false);
    l->user_seconds = l->system_seconds = l->watched_seconds = 0;
    l->receives = l->sends = 0;
    add_usage(l, -1);
    l->measuring = true;
    l->begin_ns = now_ns();
  }
  run(l, o->commands > 0 ? UINT64_MAX : l->begin_ns + (uint64_t)(o->seconds * 1e9), false);
  l->end_ns = now_ns();
  add_usage(l, 1);
  l->measuring = false;
  l->issue_max = l->issued;
  run(l, UINT64_MAX, true);
}

/* ---- the program ---------------------------------------------------------------------------- */

static int self_test(void) {
  static uint8_t bytes[20000];
  static struct histogram h;
  bool good = crc32c_of("123456789", 9) == 0xe3069283u && crc32c_of(bytes, 32) == 0x8a9136aau;
  for (uint32_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * i * 31 + i);
  for (uint32_t split = 0; split < sizeof bytes; split += 617) {
    uint32_t reg = crc32c_feed(CRC32C_SEED, bytes, split);
    for (uint32_t i = split; i < sizeof bytes; i++) reg = crc32c_feed(reg, bytes + i, 1);
    good = good && crc32c_finish(reg) == crc32c_of(bytes, sizeof bytes);
  }
  for (uint64_t i = 1; i <= 100000; i++) histogram_add(&h, i * 10);
  double median = (double)histogram_quantile(&h, 0.5), tail = (double)histogram_quantile(&h, 0.999);
  good = good && median > 496000 && median < 504000 && tail > 991000 && tail < 1000001
      && histogram_quantile(&h, 1) == h.max;
  printf("{\"event\":\"self-test\",\"good\":%s}\n", good ? "true" : "false");
  return good ? 0 : EXIT_DIFFER;
}

int main(int count, char **words) {
  static struct load load;
  struct load *l = &load;
  options_read(&l->options, count, words);
  crc32c_open();
  if (l->options.self_test) return self_test();
  if (l->options.cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)l->options.cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
      fail("--cpu %d: %s", l->options.cpu, strerror(errno));
  }
  connect_all(l);
  if (l->queue_count > 0) workload_open(&l->work, l->options.seed, l->options.verify);
  if (l->options.announce) {
    printf("{\"event\":\"connected\",\"controllers\":%u}\n", l->controller_count);
    fflush(stdout);
  }
  bool verifies = l->options.verify && l->queue_count > 0;
  if (verifies && l->options.fill) pass_over_span(l, 0);
  measure(l);
  if (verifies) {
    l->pace_ns = 0;
    pass_over_span(l, 100);
  }
  close_all(l);
  report(l);
  if (l->differing > 0) return EXIT_DIFFER;
  return l->failed > 0 && !l->options.allow_errors ? EXIT_FAILED : 0;
}
