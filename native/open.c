/*
 * open.c: opening and closing the shim of a thread, choosing its engine, and waking it from others.
 * Called by TypeScript.
 *
 * Invariant: after shim_open() returned nothing is allocated until shim_close(), but the mapping of
 * a connection's ring at its first use.
 */
#include "core.h"
#include <stdlib.h>

enum { CLOSE_WAIT_MS = 10, COMPLETIONS_SPARE = ACCEPTORS_MAX };

_Static_assert(sizeof(struct shim_limits) == 64, "shim_limits is 16 words");
_Static_assert(sizeof(struct shim_file_facts) == 64, "shim_file_facts is 16 words");
_Static_assert(sizeof(struct shim_pci_facts) == 64, "shim_pci_facts is 16 words");

_Thread_local struct shim *shim_here;

static struct waker wakers[SHIMS_MAX];
static struct mutex mutex = MUTEX_FREE;

static bool power_of_two(int32_t value) { return value > 0 && (value & (value - 1)) == 0; }

static int check_limits(const struct shim_limits *limits) {
  if (limits->version != SHIM_VERSION) return -EINVAL;
  if (limits->engine < SHIM_ENGINE_AUTO || limits->engine > SHIM_ENGINE_IOCP) return -EINVAL;
  if (limits->connections_max < 1 || limits->connections_max > 4096) return -EINVAL;
  if (!power_of_two(limits->rx_bytes) || limits->rx_bytes < 65536) return -EINVAL;
  if (!power_of_two(limits->tx_entries) || limits->tx_entries < 64) return -EINVAL;
  if (limits->copies_max < 0 || limits->ops_max < 0 || limits->ops_max > 65536) return -EINVAL;
  if (limits->buffer_bytes < 0 || limits->buffer_bytes % 4096) return -EINVAL;
  if (limits->huge < 0 || limits->huge > 1) return -EINVAL;
  return limits->socket_buffer_bytes < 0 ? -EINVAL : 0;
}

static int take_waker(struct shim *shim) {
  int result = -EMFILE;
  mutex_lock(&mutex);
  for (int32_t id = 0; id < SHIMS_MAX; id++) {
    struct waker *waker = &wakers[id];
    if (atomic_load(&waker->open)) continue;
    /* Never closed: a slot's next shim takes over its descriptor, and a late wake hurts nobody. */
    if (!waker->made) waker->event = event_make();
    if (waker->event < 0) {
      result = waker->event;
      break;
    }
    waker->made = true;
    event_forget(waker->event); /* a wake of the one before */
    atomic_store(&waker->woken, false);
    atomic_store(&waker->sleeping, false);
    atomic_store(&waker->open, true);
    shim->waker = waker;
    shim->id = id;
    result = 0;
    break;
  }
  mutex_unlock(&mutex);
  return result;
}

static int open_engine(struct shim *shim) {
  int32_t wanted = shim->limits.engine;
  int result = -ENOSYS;
  for (size_t i = 0; engines[i] && result < 0; i++) {
    if (wanted != SHIM_ENGINE_AUTO && wanted != engines[i]->id) continue;
    shim->engine = engines[i];
    result = shim->engine->open(shim);
  }
  return result;
}

/* The tables beside the arena: connections, iovecs, visits, ops. Pages appear when touched. */
static int open_tables(struct shim *shim) {
  size_t connections = (size_t)shim->limits.connections_max;
  size_t ops = (size_t)shim->limits.ops_max;
  size_t gather_bytes = IOVECS_MAX * sizeof(struct iovec) + GATHERED_BYTES;
  size_t iov_bytes = connections * gather_bytes;
  size_t connection_bytes = connections * sizeof(struct connection);
  size_t op_bytes = ops * sizeof(struct op);
  shim->tables_bytes = iov_bytes + connection_bytes + op_bytes +
                       2 * connections * sizeof(int32_t);
  uint8_t *tables = pages_map(shim->tables_bytes);
  if (!tables) return -ENOMEM;
  shim->connections = (struct connection *)(void *)(tables + iov_bytes);
  shim->ops = (struct op *)(void *)(tables + iov_bytes + connection_bytes);
  shim->visits = (int32_t *)(void *)(tables + iov_bytes + connection_bytes + op_bytes);
  shim->listed = shim->visits + connections;
  shim->tables = tables;
  int32_t *blocks = (int32_t *)(void *)(shim->arena + shim->at[SHIM_H_CONNECTIONS_AT]);
  for (size_t i = 0; i < connections; i++) {
    shim->connections[i].index = (int32_t)i;
    shim->connections[i].fd = -1;
    shim->connections[i].block = blocks + 16 * i;
    shim->connections[i].tx_iov = (struct iovec *)(void *)(tables + gather_bytes * i);
    shim->connections[i].tx_headers = (uint8_t *)(shim->connections[i].tx_iov + IOVECS_MAX);
  }
  for (size_t i = ops; i-- > 0;) {
    shim->ops[i].index = (int32_t)i;
    shim->ops[i].next = shim->ops_free;
    shim->ops_free = &shim->ops[i];
  }
  return 0;
}

static void free_shim(struct shim *shim) {
  if (shim->waker) atomic_store(&shim->waker->open, false);
  if (shim->tables) pages_unmap(shim->tables, shim->tables_bytes);
  arena_close(shim);
  free(shim);
}

int32_t shim_open(const struct shim_limits *limits) {
  if (shim_here) return -EBUSY;
  int result = limits ? check_limits(limits) : -EINVAL;
  if (result < 0) return result;
  struct shim *shim = calloc(1, sizeof *shim);
  if (!shim) return -ENOMEM;
  shim->limits = *limits;
  shim->completions_max = limits->ops_max + COMPLETIONS_SPARE;
  for (int i = 0; i < ACCEPTORS_MAX; i++) shim->acceptors[i].listener = -1;
  result = arena_open(shim);
  if (result == 0) result = open_tables(shim);
  if (result == 0) result = take_waker(shim);
  if (result == 0) result = open_engine(shim);
  if (result < 0) {
    free_shim(shim);
    return result;
  }
  shim->header[SHIM_H_VERSION] = SHIM_VERSION;
  shim->header[SHIM_H_ENGINE] = shim->engine->id;
  shim->now_ns = clock_ns();
  clock_publish(shim);
  shim_here = shim;
  return shim->id;
}

static bool busy(const struct shim *shim) {
  if (shim->ops_outstanding) return true;
  for (int i = 0; i < ACCEPTORS_MAX; i++) if (shim->acceptors[i].listener >= 0) return true;
  for (int32_t i = 0; i < shim->limits.connections_max; i++) {
    if (shim->connections[i].fd >= 0) return true;
  }
  return false;
}

int32_t shim_close(void) {
  struct shim *shim = shim_here;
  if (!shim) return -EINVAL;
  for (int i = 0; i < ACCEPTORS_MAX; i++) {
    if (shim->acceptors[i].listener >= 0) shim_accept_stop(shim->acceptors[i].listener);
  }
  queues_close(shim);
  for (int32_t i = 0; i < shim->limits.connections_max; i++) {
    connection_close(shim, &shim->connections[i]);
  }
  while (busy(shim)) {
    shim->completion_count = 0;
    ops_zero(shim);
    shim->engine->reap(shim);
    if (busy(shim)) shim->engine->wait(shim, CLOSE_WAIT_MS * 1000000ull);
  }
  shim->engine->close(shim);
  shim_here = NULL;
  free_shim(shim);
  return 0;
}

void *shim_arena(void) { return shim_here ? shim_here->arena : NULL; }

double shim_arena_bytes(void) { return shim_here ? (double)shim_here->arena_bytes : 0; }

int32_t shim_wake(int32_t id) {
  if (id < 0 || id >= SHIMS_MAX || !atomic_load(&wakers[id].open)) return -EINVAL;
  struct waker *waker = &wakers[id];
  atomic_store(&waker->woken, true);
  return atomic_load(&waker->sleeping) ? event_tell(waker->event) : 0;
}
