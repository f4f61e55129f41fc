/*
 * turn.c: a turn. TypeScript calls shim_turn() as often as it can; everything else here happens in
 * it.
 *
 *   copies → ops → doors → visits (send, arm) → reap → spin → block → ready and completions
 *
 * A connection is visited when it was touched, was adopted, or was ready in the turn before: so a
 * receive is armed again even if TypeScript had nothing to say about it.
 *
 * Invariant: nothing here is proportional to the number of connections, only to what happens.
 */
#include "core.h"
#include <string.h>

enum { POLLS_PER_CLOCK = 16, /* spins between two looks at the clock */
       COPIES_AHEAD = 2 };   /* copies whose targets are on their way into the cache */

static inline void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void clock_publish(struct shim *shim) {
  shim->header[SHIM_H_NOW_US] = (int32_t)(uint32_t)(shim->now_ns / 1000);
  shim->header[SHIM_H_NOW_MS] = (int32_t)(uint32_t)(shim->now_ns / 1000000);
}

static uint8_t *copy_end(const struct shim *shim, const int32_t *words, int32_t bytes) {
  return bytes < 0 ? NULL : place(shim, words[0], words[1], words[2], (uint64_t)bytes);
}

/* The first lines of a copy's target come into the cache; the processor itself goes on from there. */
static inline void copy_soon(const struct shim *shim, const int32_t *words) {
  ahead(copy_end(shim, words, words[6]), (size_t)words[6], 0, 1);
}

static int copy_all(struct shim *shim, int32_t amount) {
  if (amount < 0 || amount > shim->limits.copies_max) return -EINVAL;
  const int32_t *first = (const int32_t *)(const void *)
    (shim->arena + shim->at[SHIM_H_COPIES_AT]);
  for (int32_t i = 0; i < amount; i++) {
    const int32_t *words = first + 8 * (size_t)i;
    if (!copy_end(shim, words, words[6]) || !copy_end(shim, words + 3, words[6])) return -EFAULT;
  }
  uint64_t bytes = 0;
  for (int32_t i = 0; i < amount && i < COPIES_AHEAD; i++) copy_soon(shim, first + 8 * (size_t)i);
  for (int32_t i = 0; i < amount; i++) {
    const int32_t *words = first + 8 * (size_t)i;
    if (i + COPIES_AHEAD < amount) copy_soon(shim, words + 8 * COPIES_AHEAD);
    memmove(copy_end(shim, words, words[6]), copy_end(shim, words + 3, words[6]),
            (size_t)words[6]);
    bytes += (uint32_t)words[6];
  }
  count(shim, SHIM_N_COPIED_BYTES, (double)bytes);
  return 0;
}

/* Performs the copies that are queued, so that what they bring can be read. 0 or -errno. */
int copies_perform(struct shim *shim) {
  int32_t copies = shim->header[SHIM_H_COPIES];
  if (!copies) return 0;
  shim->header[SHIM_H_COPIES] = 0;
  return copy_all(shim, copies);
}

/* Lists what TypeScript touched beside what the last turn left to visit; each once. */
static int list_touched(struct shim *shim, int32_t amount) {
  const int32_t *touched = (const int32_t *)(const void *)
    (shim->arena + shim->at[SHIM_H_TOUCHED_AT]);
  if (amount < 0 || amount > shim->limits.connections_max) return -EINVAL;
  for (int32_t i = 0; i < amount; i++) {
    int32_t index = touched[i];
    if (index < 0 || index >= shim->limits.connections_max) return -EINVAL;
    struct connection *connection = &shim->connections[index];
    connection->block[SHIM_C_TOUCHED] = 0;
    connection_list(shim, connection);
  }
  return 0;
}

static void list_ready(struct shim *shim) {
  for (int32_t i = 0; i < shim->ready_count; i++) {
    struct connection *connection = &shim->connections[shim->listed[i]];
    connection->ready = false;
    connection_list(shim, connection);
  }
  shim->ready_count = 0;
}

/* A visit may list its connection again, for the next turn: never past the entry being read. */
static void visit_all(struct shim *shim) {
  int32_t amount = shim->visit_count;
  shim->visit_count = 0;
  for (int32_t i = 0; i < amount; i++) {
    struct connection *connection = &shim->connections[shim->visits[i]];
    connection->visit = false;
    connection_visit(shim, connection);
    if (shim->broken) return;
  }
}

static inline bool found(struct shim *shim) {
  if (shim->ready_count + shim->completion_count > 0 || shim->broken) return true;
  return shim->queue_count && queues_look(shim);
}

static inline bool woken(const struct shim *shim) {
  return atomic_load_explicit(&shim->waker->woken, memory_order_relaxed);
}

/* Completions that concern nobody else (a cancellation, part of a send) do not end the wait. */
static void block(struct shim *shim, uint64_t start_ns, uint64_t wait_ns) {
  struct waker *waker = shim->waker;
  atomic_store(&waker->sleeping, true);
  for (uint64_t gone = 0; gone < wait_ns && !atomic_load(&waker->woken);) {
    if (shim->queue_count) {
      queues_arm(shim);
      if (found(shim)) break; /* it came before its event was watched */
    }
    count(shim, SHIM_N_BLOCKS, 1);
    shim->engine->wait(shim, wait_ns - gone);
    shim->engine->reap(shim);
    if (found(shim)) break;
    gone = clock_ns() - start_ns;
  }
  atomic_store(&waker->sleeping, false);
}

/* Spins, then blocks, until there is something or the time is over. */
static void idle(struct shim *shim) {
  int32_t spin_us = shim->header[SHIM_H_SPIN_US], wait_us = shim->header[SHIM_H_WAIT_US];
  const struct engine *engine = shim->engine;
  if (wait_us < 0) wait_us = 0;
  if (shim->acceptors_paused && wait_us > ACCEPT_RETRY_MS * 1000) wait_us = ACCEPT_RETRY_MS * 1000;
  bool blocks = spin_us >= 0 && wait_us > 0;
  if (shim->queue_count && blocks && queues_polled(shim)) {
    spin_us = wait_us; /* nothing but looking tells when such a device is done */
    blocks = false;
  }
  uint64_t spin_ns = (uint64_t)(spin_us >= 0 ? spin_us : wait_us) * 1000;
  if (!spin_ns && !blocks) {
    shim->now_ns = clock_ns();
    return;
  }
  uint64_t start = clock_ns(), now = start;
  while (now - start < spin_ns) {
    for (int i = 0; i < POLLS_PER_CLOCK; i++) {
      if (woken(shim)) goto over;
      if (engine->pending(shim)) {
        engine->reap(shim);
        if (found(shim)) goto over;
      } else if (shim->queue_count && queues_look(shim)) {
        goto over;
      }
      pause_briefly();
    }
    now = clock_ns();
  }
  if (blocks && !woken(shim) && !found(shim)) block(shim, now, (uint64_t)wait_us * 1000);
over:
  shim->now_ns = clock_ns();
  shim->idle_ns = shim->now_ns - start;
}

static int begin(struct shim *shim) {
  int32_t *header = shim->header;
  int32_t ops = header[SHIM_H_OPS];
  int32_t touched = header[SHIM_H_TOUCHED];
  int result = 0;
  header[SHIM_H_WOKEN] = 0;
  shim->completion_count = 0;
  list_ready(shim);
  if (touched) {
    header[SHIM_H_TOUCHED] = 0;
    result = list_touched(shim, touched);
    if (result < 0) return result;
  }
  result = copies_perform(shim);
  if (result < 0) return result;
  if (ops) {
    header[SHIM_H_OPS] = 0;
    result = ops_start(shim, ops);
    if (result < 0) return result;
  } else if (shim->zero_first) {
    ops_zero(shim);
  }
  if (shim->queue_count) {
    result = queues_ring(shim);
    if (result < 0) return result;
  }
  if (shim->acceptors_paused) acceptors_retry(shim);
  visit_all(shim);
  return 0;
}

int32_t shim_turn(void) {
  struct shim *shim = shim_here;
  if (!shim) return -EINVAL;
  if (shim->broken) return shim->broken;
  uint64_t before = shim->now_ns;
  shim->idle_ns = 0;
  int result = begin(shim);
  if (result < 0) breach(shim, result);
  if (!shim->broken) {
    shim->engine->reap(shim);
    if (!found(shim) && !shim->zero_first) idle(shim);
    else shim->now_ns = clock_ns();
  }
  if (shim->broken) return shim->broken;
  if (woken(shim)) {
    atomic_store(&shim->waker->woken, false);
    shim->header[SHIM_H_WOKEN] = 1;
  }
  shim->busy_ns += shim->now_ns - before - shim->idle_ns;
  count(shim, SHIM_N_TURNS, 1);
  shim->counters[SHIM_N_BUSY_US] = (double)shim->busy_ns * 1e-3;
  clock_publish(shim);
  if (shim->queue_count) queues_look(shim);
  shim->header[SHIM_H_READY] = shim->ready_count;
  shim->header[SHIM_H_COMPLETIONS] = shim->completion_count;
  return shim->ready_count + shim->completion_count;
}
