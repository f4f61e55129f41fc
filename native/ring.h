/*
 * ring.h: one io_uring, by its system calls alone. Used by uring.c only.
 *
 *   ring_next() → fill the entry → ring_enter() → ring_peek() / ring_seen()
 *
 * Invariant: one thread uses a ring, the one that opened it.
 */
#ifndef WEFT_RING_H
#define WEFT_RING_H
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef IORING_SQ_TASKRUN
#define IORING_SQ_TASKRUN (1U << 2)
#endif
#ifndef IORING_SQ_CQ_OVERFLOW
#define IORING_SQ_CQ_OVERFLOW (1U << 1)
#endif

struct ring {
  int fd;
  int enter_fd;              /* fd, or its index among the registered rings */
  unsigned enter_flags;
  bool times;                /* the kernel takes a timeout with the enter call */
  uint32_t setup_flags;
  _Atomic uint32_t *sq_head, *sq_tail, *sq_flags;
  uint32_t sq_mask, sq_entries, sq_local;
  struct io_uring_sqe *sqes;
  _Atomic uint32_t *cq_head, *cq_tail;
  uint32_t cq_mask, cq_local;
  struct io_uring_cqe *cqes;
  void *rings;
  uint64_t rings_bytes, sqes_bytes;
  uint64_t enters;           /* system calls made; the owner takes and clears it */
};

int ring_open(struct ring *ring, uint32_t sq_entries, uint32_t cq_entries);
void ring_close(struct ring *ring);
/* A zeroed submission entry, or NULL when the kernel takes none of those that are queued. */
struct io_uring_sqe *ring_next(struct ring *ring);
/* Submits what is queued, runs what the kernel deferred, waits `ns` at most for a completion. */
int ring_enter(struct ring *ring, uint64_t ns);
/* The calling process may use io_uring at all: 0 or -errno. */
int ring_permitted(void);

static inline uint32_t ring_queued(const struct ring *ring) {
  return ring->sq_local - atomic_load_explicit(ring->sq_head, memory_order_relaxed);
}
static inline bool ring_deferred(const struct ring *ring) {
  return (atomic_load_explicit(ring->sq_flags, memory_order_relaxed) &
          (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
}
static inline bool ring_completed(const struct ring *ring) {
  return atomic_load_explicit(ring->cq_tail, memory_order_acquire) != ring->cq_local;
}
static inline const struct io_uring_cqe *ring_peek(const struct ring *ring) {
  return ring_completed(ring) ? &ring->cqes[ring->cq_local & ring->cq_mask] : (void *)0;
}
static inline void ring_seen(struct ring *ring) {
  atomic_store_explicit(ring->cq_head, ++ring->cq_local, memory_order_release);
}

#endif
