/*
 * core.h: what one open shim is made of, and the calls between the files of this directory.
 * Included by every .c file here and by nobody else; shim.h is what TypeScript sees.
 *
 *   turn.c ──▶ connection.c, op.c, queue.c ──▶ engine (uring.c | epoll.c | iocp.c) ──▶ kernel
 *                      ▲                        │
 *                      └──── received, sent, advance ◀── reaped
 *
 * Invariant: the kernel holds at most one send and one receive of a connection; a connection's
 * memory is reused, and its descriptor closed, only when it holds neither.
 */
#ifndef WEFT_CORE_H
#define WEFT_CORE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim.h"
#include "system.h"

enum {
  SHIMS_MAX = 256,         /* in one process */
  REGIONS_MAX = 4096,      /* besides region 0 */
  FILES_MAX = 4096,
  QUEUES_MAX = 64,         /* of devices, that one shim drives */
  ACCEPTORS_MAX = 64,      /* listeners that one shim accepts on */
  IOVECS_MAX = 1024,       /* of one send; the kernel's own limit (UIO_MAXIOV) */
  SEND_BYTES = 1 << 20,    /* a send gathers no further entry beyond this */
  PAD_BYTES_MAX = 128,
  AREAS_END = 32,          /* words of the header up to the end of the areas' offsets */
  HEADER_BYTES_MAX = 32,
  GATHERED_BYTES = 4096,   /* headers of one send that are copied side by side */
  SCRATCH_BYTES = 64 << 10,
  ZERO_SLICE_BYTES = 64 << 20,   /* memory given back to the system in one turn */
  ACCEPT_RETRY_MS = 100    /* pause after a failed accept: EMFILE would spin */
};

struct shim;

struct connection {
  int32_t index;
  int fd;                  /* -1: none */
  int32_t *block;          /* its control block in the arena */
  bool ready;              /* listed in ready in this turn */
  bool visit;              /* listed for a visit at the start of the next turn */
  bool mapped;             /* its receive ring is mapped */
  bool receiving;          /* a receive is armed; its buffers belong to the engine */
  bool sending;            /* a send is in flight; its iovecs belong to the engine */
  bool closing;            /* SHIM_F_CLOSE was seen */
  bool finished;           /* the sending side was shut down */
  bool nonempty;           /* uring: more was waiting behind the last receive */
  bool direct;             /* uring: the receive is tried by a call, not armed in the ring */
  bool sends_now;          /* uring: the last receive was direct, so sends are too */
  int16_t misses;          /* uring: direct tries in a row that found nothing */
  bool readable, writable; /* epoll: edges seen and not yet used up */
  bool hung;               /* epoll: the peer's end was seen; a short read means nothing */
  uint32_t placed_bytes;   /* of the receive in flight: how much of it is placement */
  uint32_t tx_next;        /* TX_HEAD once the send in flight is done */
  struct msghdr rx;
  struct iovec rx_iov[2];
  struct msghdr tx;
  struct iovec *tx_iov;    /* IOVECS_MAX of them */
  uint8_t *tx_headers;     /* GATHERED_BYTES, behind them */
};

struct op {
  int32_t index;
  int32_t code, token, flags;
  int fd;
  uint8_t *memory, *other;
  uint64_t at;             /* position in the file, or of the range in it */
  uint64_t bytes;          /* left to do */
  int32_t result;
  bool syncing;            /* the data is down, the sync that FUA asks for is under way */
  bool give_back;          /* MEMORY_ZERO: the pages are private, so the system may take them */
  struct op *next;         /* free list, pool queue, or zero queue */
};

struct acceptor {
  int listener;            /* -1: free */
  int32_t token;
  bool armed;
  bool stopping;
  uint64_t retry_ns;       /* when to arm again after a failure; 0: not paused */
};

/* A queue pair of a PCI device. */
struct queue {
  bool open;
  bool armed;              /* the engine watches its event; it tells once */
  int32_t device, region;
  int event;               /* of its vector, readable when it fired; -1: none */
  volatile uint32_t *tail, *head;
};

/* How a kernel interface starts and reaps what the common part decided. */
struct engine {
  int32_t id;                                           /* SHIM_ENGINE_* */
  int (*open)(struct shim *shim);
  void (*close)(struct shim *shim);
  int (*adopt)(struct shim *shim, struct connection *connection);
  void (*receive)(struct shim *shim, struct connection *connection);
  void (*send)(struct shim *shim, struct connection *connection);
  void (*cancel)(struct shim *shim, struct connection *connection);
  void (*operate)(struct shim *shim, struct op *op);
  int (*accept)(struct shim *shim, struct acceptor *acceptor);
  void (*accept_stop)(struct shim *shim, struct acceptor *acceptor);
  int (*watch)(struct shim *shim, int event, int32_t queue);  /* queue_told(), once, when readable */
  void (*watch_stop)(struct shim *shim, int event, int32_t queue);
  bool (*pending)(struct shim *shim);                   /* reap() would find something; cheap */
  void (*reap)(struct shim *shim);                      /* starts what is queued, reaps; no wait */
  void (*wait)(struct shim *shim, uint64_t ns);         /* blocks until there is something */
};
extern const struct engine uring_engine, epoll_engine, iocp_engine;
extern const struct engine *const engines[];   /* of this system, the best first; NULL ends them */

/* Lives for ever, so that a late wake finds memory and a descriptor of its own. */
struct waker {
  atomic_bool open;
  atomic_bool woken;
  atomic_bool sleeping;
  bool made;               /* event is a descriptor; made at the slot's first use */
  int event;               /* of event.c, told while a sleeping shim is to wake */
};

struct shim {
  int32_t *header;         /* the arena's first bytes */
  int32_t at[AREAS_END];   /* where areas begin; those in the header are for TypeScript to read */
  uint8_t *arena;
  uint64_t arena_bytes;
  double *counters;
  const struct engine *engine;
  void *state;             /* the engine's own */
  struct waker *waker;
  int32_t id;
  int32_t broken;          /* -errno of a broken contract; then only shim_close() is taken */
  struct shim_limits limits;

  struct connection *connections;
  int32_t *visits;         /* connections to look at when the next turn begins */
  int32_t visit_count;
  int32_t ready_count;
  int32_t *ready;          /* in the arena */
  int32_t *listed;         /* our own copy of it: TypeScript may write in the arena */
  int32_t *completions;
  int32_t completion_count, completions_max;

  struct op *ops;
  struct op *ops_free;
  int32_t ops_outstanding;
  struct op *zero_first, *zero_last;   /* MEMORY_ZERO under way, in order */

  struct acceptor acceptors[ACCEPTORS_MAX];
  int32_t acceptors_paused;

  struct queue queues[QUEUES_MAX];
  int32_t queue_count;     /* the highest open one, and one */

  int rx_memory;           /* what is behind all receive rings; -1: nothing */
  uint64_t now_ns, idle_ns, busy_ns;
  uint8_t *tables;         /* the mapping behind connections, visits and ops */
  uint64_t tables_bytes;
};

extern _Thread_local struct shim *shim_here;

/* thread.c */
uint64_t clock_ns(void);

/* arena.c */
int arena_open(struct shim *shim);
void arena_close(struct shim *shim);

/* mapping.c: the memory of arena_bytes, with room for rings at RX_AT. 0 or -errno. */
#define HUGE_PAGE (2ull << 20)
int arena_map(struct shim *shim);
void arena_unmap(struct shim *shim);
int arena_ring_map(struct shim *shim, struct connection *connection);
void arena_ring_forget(struct shim *shim, struct connection *connection);
static inline uint8_t *arena_ring(const struct shim *shim, int32_t connection) {
  return shim->arena + (uint32_t)shim->at[SHIM_H_RX_AT] +
         (uint64_t)connection * 2 * (uint32_t)shim->limits.rx_bytes;
}

/* region.c */
struct region { _Atomic(uint8_t *) base; _Atomic uint64_t bytes; };
extern struct region regions[REGIONS_MAX + 1];
static inline uint64_t wide(int32_t lo, int32_t hi) {
  return (uint64_t)(uint32_t)hi << 32 | (uint32_t)lo;
}
/*
 * The address of `bytes` at a place, or NULL when any of them lies outside the region. Of the arena
 * no payload comes from, or goes to, what tells the shim what to do.
 */
static inline uint8_t *place(const struct shim *shim, int32_t region, int32_t lo, int32_t hi,
                             uint64_t bytes) {
  uint64_t at = wide(lo, hi), size;
  uint8_t *base;
  if (region == 0) {
    if (at < (uint32_t)shim->at[SHIM_H_SCRATCH_AT]) return NULL;
    base = shim->arena;
    size = shim->arena_bytes;
  } else {
    if (region < 0 || region > REGIONS_MAX) return NULL;
    base = atomic_load_explicit(&regions[region].base, memory_order_acquire);
    if (!base) return NULL;
    size = atomic_load_explicit(&regions[region].bytes, memory_order_relaxed);
  }
  return at <= size && bytes <= size - at ? base + at : NULL;
}

/* Gives a mapping an id, and keeps it: the id >= 1 or -errno. release: what to do before it goes. */
int32_t region_adopt(uint8_t *base, uint64_t bytes, uint64_t mapped_bytes,
                     void (*release)(const uint8_t *base));

/* dma.c: memory that devices reach. */
int dma_add(uint8_t *base, uint64_t bytes, bool huge);
void dma_remove(const uint8_t *base);
/* Reserved huge pages at an aligned place of a reservation; false: there are not enough. */
bool dma_huge(uint8_t *base, uint64_t bytes);

/* queue.c */
int queues_ring(struct shim *shim);
bool queues_look(struct shim *shim);
bool queues_polled(const struct shim *shim);
void queues_arm(struct shim *shim);
void queues_close(struct shim *shim);
static inline void queue_told(struct shim *shim, int32_t queue) {
  shim->queues[queue].armed = false;
}

/* file.c. Looks an open file up: 0, or -EINVAL. */
struct file_use { int fd; bool read_only; uint64_t bytes; };
int file_use(int32_t file, struct file_use *use);

/*
 * Bytes that are read or written next are spread over a whole namespace, and a core that waits for
 * one cache line after the other takes a fifth longer: whoever goes through bytes asks for AHEAD_BYTES
 * of what comes next, a digest with each step of its own, a copy for its beginning (docs/adr/0006).
 */
enum { AHEAD_BYTES = 512, LINE_BYTES = 64 };
static inline void ahead(const uint8_t *next, size_t next_bytes, size_t at, int write) {
  size_t end = at + AHEAD_BYTES < next_bytes ? at + AHEAD_BYTES : next_bytes;
  for (; at < end; at += LINE_BYTES) {
    if (write) __builtin_prefetch(next + at, 1);
    else __builtin_prefetch(next + at, 0);
  }
}

/* crc32c.c */
uint32_t crc32c(const uint8_t *from, size_t bytes);
/* The same; meanwhile the lines at `next` come into the cache. */
uint32_t crc32c_ahead(const uint8_t *from, size_t bytes, const uint8_t *next, size_t next_bytes);

/* connection.c */
void connection_visit(struct shim *shim, struct connection *connection);
void connection_received(struct shim *shim, struct connection *connection, int32_t result);
bool connection_sent(struct shim *shim, struct connection *connection, int32_t result);
void connection_settle(struct shim *shim, struct connection *connection);
void connection_close(struct shim *shim, struct connection *connection);
static inline void connection_ready(struct shim *shim, struct connection *connection) {
  if (connection->ready) return;
  connection->ready = true;
  shim->listed[shim->ready_count] = connection->index;
  shim->ready[shim->ready_count++] = connection->index;
}
static inline void connection_list(struct shim *shim, struct connection *connection) {
  if (connection->visit) return;
  connection->visit = true;
  shim->visits[shim->visit_count++] = connection->index;
}

/* op.c */
int ops_start(struct shim *shim, int32_t count);
void ops_zero(struct shim *shim);
int32_t op_execute(struct op *op);                        /* any thread; execute.c */
bool op_advance(struct op *op, int32_t result, int32_t *final);  /* any thread */
void op_complete(struct shim *shim, struct op *op, int32_t result);

/* pool.c: threads that execute ops, for engines without asynchronous files. */
struct pool;
struct pool *pool_open(struct waker *waker);
void pool_close(struct pool *pool);
void pool_put(struct pool *pool, struct op *op);
bool pool_pending(struct pool *pool);
struct op *pool_take(struct pool *pool);                  /* one that is done, or NULL */

/* turn.c */
void clock_publish(struct shim *shim);
int copies_perform(struct shim *shim);
static inline bool completions_full(const struct shim *shim) {
  return shim->completion_count >= shim->completions_max;
}
static inline void complete(struct shim *shim, int32_t token, int32_t result) {
  int32_t *entry = shim->completions + 4 * (size_t)shim->completion_count++;
  entry[0] = token;
  entry[1] = result;
  entry[2] = 0;
  entry[3] = 0;
}
static inline void count(struct shim *shim, int32_t counter, double amount) {
  shim->counters[counter] += amount;
}
static inline void breach(struct shim *shim, int32_t error) {
  if (!shim->broken) shim->broken = error;
}

/* acceptor.c */
void acceptor_result(struct shim *shim, struct acceptor *acceptor, int32_t result);
void acceptors_retry(struct shim *shim);

/* socket.c, on Linux */
int socket_mode(int fd, bool blocking);

#endif
