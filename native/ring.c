/*
 * ring.c: one io_uring, by its system calls alone: set-up in the best form this kernel has, the two
 * mapped queues, and the enter call. Called by uring.c and, to see what is permitted, by open.c.
 *
 *   DEFER_TASKRUN (6.1) → COOP_TASKRUN (5.19) → plain (5.10): what is tried, in this order
 *
 * Invariant: entries between sq_head and sq_local are filled and not yet taken by the kernel.
 */
#include "core.h"
#include "ring.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif
#ifndef IORING_ENTER_REGISTERED_RING
#define IORING_ENTER_REGISTERED_RING (1U << 4)
#endif
#ifndef IORING_ENTER_EXT_ARG
#define IORING_ENTER_EXT_ARG (1U << 3)
#define IORING_FEAT_EXT_ARG (1U << 8)
struct io_uring_getevents_arg { uint64_t sigmask; uint32_t sigmask_sz, pad; uint64_t ts; };
#endif
/* Of REGISTER_RING_FDS; the headers call it by different names. */
struct ring_slot { uint32_t offset, reserved; uint64_t data; };
enum { REGISTER_RING_FDS = 20, UNREGISTER_RING_FDS = 21, SUBMIT_TRIES = 8 };

/* Without these a request might be lost or its arguments read too late. */
static const uint32_t FEATURES = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP |
                                 IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL;

static int ring_setup(uint32_t entries, struct io_uring_params *params) {
  long fd = syscall(SYS_io_uring_setup, entries, params);
  return fd < 0 ? -errno : (int)fd;
}

static int setup_best(uint32_t sq_entries, uint32_t cq_entries, struct io_uring_params *params) {
  static const uint32_t forms[] = {
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
      IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0,
  };
  int fd = -EINVAL;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0] && fd == -EINVAL; i++) {
    memset(params, 0, sizeof *params);
    params->flags = forms[i] | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
    params->cq_entries = cq_entries;
    fd = ring_setup(sq_entries, params);
  }
  if (fd < 0 || (params->features & FEATURES) == FEATURES) return fd;
  close(fd);
  return -ENOSYS;
}

static int map_rings(struct ring *ring, const struct io_uring_params *params) {
  uint64_t sq_bytes = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
  uint64_t cq_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
  ring->rings_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
  ring->sqes_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
  uint8_t *base = mmap(NULL, ring->rings_bytes, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_POPULATE, ring->fd, (off_t)IORING_OFF_SQ_RING);
  if (base == MAP_FAILED) return -errno;
  ring->rings = base;
  void *sqes = mmap(NULL, ring->sqes_bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, ring->fd, (off_t)IORING_OFF_SQES);
  if (sqes == MAP_FAILED) return -errno;
  ring->sqes = sqes;
  ring->sq_head = (_Atomic uint32_t *)(void *)(base + params->sq_off.head);
  ring->sq_tail = (_Atomic uint32_t *)(void *)(base + params->sq_off.tail);
  ring->sq_flags = (_Atomic uint32_t *)(void *)(base + params->sq_off.flags);
  ring->sq_entries = params->sq_entries;
  ring->sq_mask = params->sq_entries - 1;
  ring->cq_head = (_Atomic uint32_t *)(void *)(base + params->cq_off.head);
  ring->cq_tail = (_Atomic uint32_t *)(void *)(base + params->cq_off.tail);
  ring->cq_mask = params->cq_entries - 1;
  ring->cqes = (struct io_uring_cqe *)(void *)(base + params->cq_off.cqes);
  uint32_t *array = (uint32_t *)(void *)(base + params->sq_off.array);
  for (uint32_t i = 0; i < params->sq_entries; i++) array[i] = i;
  return 0;
}

/* Saves a look-up of the descriptor in every enter call; kernels before 5.18 do without. */
static void register_ring(struct ring *ring) {
  struct ring_slot update = {.offset = ~0u, .data = (uint32_t)ring->fd};
  ring->enter_fd = ring->fd;
  if (syscall(SYS_io_uring_register, ring->fd, REGISTER_RING_FDS, &update, 1) != 1) return;
  ring->enter_fd = (int)update.offset;
  ring->enter_flags = IORING_ENTER_REGISTERED_RING;
}

int ring_open(struct ring *ring, uint32_t sq_entries, uint32_t cq_entries) {
  struct io_uring_params params;
  memset(ring, 0, sizeof *ring);
  ring->fd = setup_best(sq_entries, cq_entries, &params);
  if (ring->fd < 0) return ring->fd;
  ring->times = (params.features & IORING_FEAT_EXT_ARG) != 0;
  ring->setup_flags = params.flags;
  int result = map_rings(ring, &params);
  if (result < 0) ring_close(ring);
  else register_ring(ring);
  return result;
}

void ring_close(struct ring *ring) {
  if (ring->sqes) munmap(ring->sqes, ring->sqes_bytes);
  if (ring->rings) munmap(ring->rings, ring->rings_bytes);
  if (ring->enter_flags) {
    /* The thread's slot holds the ring too; a thread may open another one later. */
    struct ring_slot update = {.offset = (uint32_t)ring->enter_fd};
    (void)syscall(SYS_io_uring_register, ring->fd, UNREGISTER_RING_FDS, &update, 1);
  }
  if (ring->fd >= 0) close(ring->fd);
  ring->fd = -1;
}

int ring_permitted(void) {
  struct io_uring_params params;
  int fd = setup_best(2, 4, &params);
  if (fd < 0) return fd;
  close(fd);
  return 0;
}

static int enter(struct ring *ring, uint32_t submit, uint32_t wait, uint64_t ns) {
  struct __kernel_timespec limit = {.tv_sec = (int64_t)(ns / 1000000000u),
                                    .tv_nsec = (int64_t)(ns % 1000000000u)};
  struct io_uring_getevents_arg argument = {.ts = (uint64_t)(uintptr_t)&limit};
  unsigned flags = ring->enter_flags | IORING_ENTER_GETEVENTS;
  ring->enters++;
  long result = wait && ring->times
    ? syscall(SYS_io_uring_enter, ring->enter_fd, submit, wait, flags | IORING_ENTER_EXT_ARG,
              &argument, sizeof argument)
    : syscall(SYS_io_uring_enter, ring->enter_fd, submit, 0, flags, NULL, 0);
  return result < 0 ? -errno : (int)result;
}

int ring_enter(struct ring *ring, uint64_t ns) {
  atomic_store_explicit(ring->sq_tail, ring->sq_local, memory_order_release);
  if (ns == 0 || !ring->times) {
    int result = enter(ring, ring_queued(ring), 0, 0);
    /* A kernel without SUBMIT_ALL stops behind an entry that fails at once. */
    for (int i = 0; i < SUBMIT_TRIES && ring_queued(ring) && result > 0; i++) {
      result = enter(ring, ring_queued(ring), 0, 0);
    }
    if (ns == 0 || ring_completed(ring)) return result;
    struct pollfd ready = {.fd = ring->fd, .events = POLLIN};
    struct timespec limit = {.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
    ring->enters++;
    return ppoll(&ready, 1, &limit, NULL);
  }
  return enter(ring, ring_queued(ring), 1, ns);
}

struct io_uring_sqe *ring_next(struct ring *ring) {
  for (int i = 0; ring_queued(ring) == ring->sq_entries; i++) {
    if (i == SUBMIT_TRIES) return NULL;
    ring_enter(ring, 0);
  }
  struct io_uring_sqe *entry = &ring->sqes[ring->sq_local++ & ring->sq_mask];
  memset(entry, 0, sizeof *entry);
  return entry;
}
