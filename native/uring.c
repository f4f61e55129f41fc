/*
 * uring.c: the engine on io_uring: sockets, files, accepts and the wake-up through one ring.
 * Called by turn.c, connection.c, op.c and socket.c through struct engine.
 *
 *   user_data = kind | index << 3, so a completion finds its connection, op or acceptor at once
 *
 * A turn is one system call: all sends, receives and ops that were queued since the last one enter
 * together. While spinning nothing is called unless the ring's flags say that the kernel wants to
 * run. A few connections that are busy are better served by calls of their own, which neither arm
 * nor wake anything: they are `direct` until they miss too often (docs/adr/0008).
 *
 * Invariant: every entry submitted, cancellations too, completes once; closing waits for all.
 */
#include "core.h"
#include "ring.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef IORING_RECVSEND_POLL_FIRST
#define IORING_RECVSEND_POLL_FIRST (1U << 0)
#endif
#ifndef IORING_CQE_F_SOCK_NONEMPTY
#define IORING_CQE_F_SOCK_NONEMPTY (1U << 2)
#endif

enum { SQ_ENTRIES = 256, CQ_ENTRIES_MAX = 32768 };
enum { DIRECT_MAX = 4, MISSES_MAX = 64 }; /* busy connections; tries in a row that find nothing */
enum { KIND_RECEIVE = 0, KIND_SEND, KIND_OP, KIND_ACCEPT, KIND_WAKE, KIND_CANCEL,
       KIND_QUEUE };

struct uring {
  struct ring ring;
  bool polls_first;        /* the kernel knows POLL_FIRST */
  int direct_count;
  int32_t direct[DIRECT_MAX]; /* connections whose receive is tried, and not in the ring */
};

static struct uring *state_of(struct shim *shim) { return shim->state; }

static inline uint64_t tag(int kind, int32_t index) {
  return (uint64_t)kind | (uint64_t)(uint32_t)index << 3;
}

static struct io_uring_sqe *entry_of(struct shim *shim, int kind, int32_t index) {
  struct io_uring_sqe *entry = ring_next(&state_of(shim)->ring);
  if (entry) entry->user_data = tag(kind, index);
  else breach(shim, -EBUSY);
  return entry;
}

static void watch_wake(struct shim *shim) {
  struct io_uring_sqe *entry = entry_of(shim, KIND_WAKE, 0);
  if (!entry) return;
  entry->opcode = IORING_OP_POLL_ADD;
  entry->fd = shim->waker->event;
  entry->poll32_events = POLLIN;
}

static int uring_open(struct shim *shim) {
  static const uint32_t LARGEST = CQ_ENTRIES_MAX;
  uint32_t completions = 2 * (uint32_t)shim->limits.connections_max +
                         (uint32_t)shim->limits.ops_max + 2 * ACCEPTORS_MAX + QUEUES_MAX +
                         SQ_ENTRIES;
  struct uring *uring = calloc(1, sizeof *uring);
  if (!uring) return -ENOMEM;
  int result = ring_open(&uring->ring, SQ_ENTRIES, completions < LARGEST ? completions : LARGEST);
  if (result < 0) {
    free(uring);
    return result;
  }
  /* TASKRUN_FLAG came with 5.19, as did POLL_FIRST. */
  uring->polls_first = (uring->ring.setup_flags & IORING_SETUP_TASKRUN_FLAG) != 0;
  shim->state = uring;
  watch_wake(shim);
  return 0;
}

static void uring_close(struct shim *shim) {
  struct uring *uring = state_of(shim);
  ring_close(&uring->ring);
  free(uring);
  shim->state = NULL;
}

static int uring_adopt(struct shim *shim, struct connection *connection) {
  (void)shim;
  return socket_mode(connection->fd, true);
}

static void receive_by_ring(struct shim *shim, struct connection *connection) {
  struct io_uring_sqe *entry = entry_of(shim, KIND_RECEIVE, connection->index);
  connection->receiving = entry != NULL;
  if (!entry) return;
  entry->fd = connection->fd;
  if (connection->rx.msg_iovlen == 1) {
    entry->opcode = IORING_OP_RECV;
    entry->addr = (uint64_t)(uintptr_t)connection->rx.msg_iov->iov_base;
    entry->len = (uint32_t)connection->rx.msg_iov->iov_len;
  } else {
    entry->opcode = IORING_OP_RECVMSG;
    entry->addr = (uint64_t)(uintptr_t)&connection->rx;
    entry->len = 1;
  }
  /* An attempt that finds nothing costs 0.3 us; the last completion told whether more was there. */
  if (state_of(shim)->polls_first && !connection->nonempty) {
    entry->ioprio = IORING_RECVSEND_POLL_FIRST;
  }
}

/* A quiet connection, which the ring has told of, may be the first of many commands. */
static void uring_receive(struct shim *shim, struct connection *connection) {
  struct uring *uring = state_of(shim);
  if (uring->direct_count == DIRECT_MAX || !shim->header[SHIM_H_SPIN_US]) {
    receive_by_ring(shim, connection);
    return;
  }
  connection->direct = true;
  connection->misses = 0;
  uring->direct[uring->direct_count++] = connection->index;
}

static void forget_direct(struct uring *uring, int at, struct connection *connection) {
  connection->direct = false;
  uring->direct[at] = uring->direct[--uring->direct_count];
}

static void try_direct(struct shim *shim) {
  struct uring *uring = state_of(shim);
  for (int i = uring->direct_count - 1; i >= 0; i--) {
    struct connection *connection = &shim->connections[uring->direct[i]];
    ssize_t bytes = recvmsg(connection->fd, &connection->rx, MSG_DONTWAIT);
    count(shim, SHIM_N_SYSCALLS, 1);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (++connection->misses < MISSES_MAX) continue;
      forget_direct(uring, i, connection);
      connection->nonempty = false;
      receive_by_ring(shim, connection);
      continue;
    }
    int32_t result = bytes < 0 ? -errno : (int32_t)bytes;
    forget_direct(uring, i, connection);
    connection->sends_now = true;
    connection_received(shim, connection, result);
  }
}

/* Before a wait: whatever comes then has to end it. */
static void leave_direct(struct shim *shim) {
  struct uring *uring = state_of(shim);
  while (uring->direct_count) {
    struct connection *connection = &shim->connections[uring->direct[0]];
    forget_direct(uring, 0, connection);
    connection->nonempty = false;
    receive_by_ring(shim, connection);
  }
}

/* True: nothing of connection->tx is left to send, or it ended. */
static bool send_now(struct shim *shim, struct connection *connection) {
  ssize_t bytes = sendmsg(connection->fd, &connection->tx, MSG_DONTWAIT | MSG_NOSIGNAL);
  int error = bytes < 0 ? errno : 0;
  count(shim, SHIM_N_SYSCALLS, 1);
  if (error == EAGAIN || error == EINTR) return false;
  return !connection_sent(shim, connection, error ? -error : (int32_t)bytes);
}

static void uring_send(struct shim *shim, struct connection *connection) {
  if (connection->sends_now && send_now(shim, connection)) return;
  struct io_uring_sqe *entry = entry_of(shim, KIND_SEND, connection->index);
  connection->sending = entry != NULL;
  if (!entry) return;
  entry->fd = connection->fd;
  entry->msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
  if (connection->tx.msg_iovlen == 1) {
    entry->opcode = IORING_OP_SEND;
    entry->addr = (uint64_t)(uintptr_t)connection->tx.msg_iov->iov_base;
    entry->len = (uint32_t)connection->tx.msg_iov->iov_len;
  } else {
    entry->opcode = IORING_OP_SENDMSG;
    entry->addr = (uint64_t)(uintptr_t)&connection->tx;
    entry->len = 1;
  }
}

static void cancel(struct shim *shim, uint64_t target) {
  struct io_uring_sqe *entry = entry_of(shim, KIND_CANCEL, 0);
  if (!entry) return;
  entry->opcode = IORING_OP_ASYNC_CANCEL;
  entry->fd = -1;
  entry->addr = target;
}

static void uring_cancel(struct shim *shim, struct connection *connection) {
  struct uring *uring = state_of(shim);
  for (int i = 0; i < uring->direct_count; i++) {
    if (uring->direct[i] != connection->index) continue;
    forget_direct(uring, i, connection);
    connection->receiving = false; /* only our own word; the kernel holds nothing */
    break;
  }
  if (connection->receiving) cancel(shim, tag(KIND_RECEIVE, connection->index));
  if (connection->sending) cancel(shim, tag(KIND_SEND, connection->index));
}

static void uring_operate(struct shim *shim, struct op *op) {
  struct io_uring_sqe *entry = entry_of(shim, KIND_OP, op->index);
  if (!entry) {
    op_complete(shim, op, -EBUSY);
    return;
  }
  bool discards = op->code == SHIM_OP_DISCARD;
  entry->fd = op->fd;
  if (op->code == SHIM_OP_SYNC || op->syncing) {
    entry->opcode = IORING_OP_FSYNC;
    entry->fsync_flags = IORING_FSYNC_DATASYNC;
  } else if (op->code == SHIM_OP_READ || op->code == SHIM_OP_WRITE) {
    entry->opcode = op->code == SHIM_OP_READ ? IORING_OP_READ : IORING_OP_WRITE;
    entry->off = op->at;
    entry->addr = (uint64_t)(uintptr_t)op->memory;
    entry->len = (uint32_t)op->bytes;
    if (op->code == SHIM_OP_WRITE && (op->flags & SHIM_OP_FUA)) entry->rw_flags = RWF_DSYNC;
  } else {
    entry->opcode = IORING_OP_FALLOCATE;
    entry->off = op->at;
    entry->addr = op->bytes;
    entry->len = FALLOC_FL_KEEP_SIZE | (discards ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
  }
}

static int uring_accept(struct shim *shim, struct acceptor *acceptor) {
  int result = socket_mode(acceptor->listener, true);
  if (result < 0) return result;
  struct io_uring_sqe *entry = entry_of(shim, KIND_ACCEPT, (int32_t)(acceptor - shim->acceptors));
  if (!entry) return -EBUSY;
  entry->opcode = IORING_OP_ACCEPT;
  entry->fd = acceptor->listener;
  entry->accept_flags = SOCK_CLOEXEC;
  acceptor->armed = true;
  return 0;
}

static void uring_accept_stop(struct shim *shim, struct acceptor *acceptor) {
  if (!acceptor->armed) return;
  cancel(shim, tag(KIND_ACCEPT, (int32_t)(acceptor - shim->acceptors)));
  ring_enter(&state_of(shim)->ring, 0); /* now: an armed accept keeps the port open */
}

static int uring_watch(struct shim *shim, int event, int32_t queue) {
  struct io_uring_sqe *entry = entry_of(shim, KIND_QUEUE, queue);
  if (!entry) return -EBUSY;
  entry->opcode = IORING_OP_POLL_ADD;
  entry->fd = event;
  entry->poll32_events = POLLIN;
  return 0;
}

static void uring_watch_stop(struct shim *shim, int event, int32_t queue) {
  (void)event;
  cancel(shim, tag(KIND_QUEUE, queue)); /* it completes as if it had been told */
}

static bool uring_pending(struct shim *shim) {
  const struct ring *ring = &state_of(shim)->ring;
  return state_of(shim)->direct_count || ring_completed(ring) || ring_deferred(ring) ||
         ring_queued(ring);
}

static void wake_seen(struct shim *shim) {
  uint64_t value;
  if (read(shim->waker->event, &value, sizeof value) < 0 && errno != EAGAIN) {
    breach(shim, -errno);
  }
  watch_wake(shim);
}

static void reap_one(struct shim *shim, uint64_t user_data, int32_t result, uint32_t flags) {
  uint32_t index = (uint32_t)(user_data >> 3);
  struct connection *connection = &shim->connections[index];
  int32_t final = 0;
  switch (user_data & 7) {
  case KIND_RECEIVE:
    connection->nonempty = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
    connection->sends_now = false;
    connection_received(shim, connection, result == -ECANCELED ? 0 : result);
    return;
  case KIND_SEND:
    if (result == -EINTR || result == -EAGAIN) result = 0;
    if (connection_sent(shim, connection, result)) uring_send(shim, connection);
    return;
  case KIND_OP:
    if (op_advance(&shim->ops[index], result, &final)) {
      op_complete(shim, &shim->ops[index], final);
    } else {
      uring_operate(shim, &shim->ops[index]);
    }
    return;
  case KIND_ACCEPT: acceptor_result(shim, &shim->acceptors[index], result); return;
  case KIND_WAKE: wake_seen(shim); return;
  case KIND_QUEUE: queue_told(shim, (int32_t)index); return;
  default: return;
  }
}

static void count_enters(struct shim *shim, struct ring *ring) {
  count(shim, SHIM_N_SYSCALLS, (double)ring->enters);
  ring->enters = 0;
}

static void uring_reap(struct shim *shim) {
  struct ring *ring = &state_of(shim)->ring;
  if (ring_queued(ring) || ring_deferred(ring)) ring_enter(ring, 0);
  for (const struct io_uring_cqe *cqe; (cqe = ring_peek(ring)) && !completions_full(shim);) {
    uint64_t user_data = cqe->user_data;
    int32_t result = cqe->res;
    uint32_t flags = cqe->flags;
    ring_seen(ring);
    reap_one(shim, user_data, result, flags);
  }
  count_enters(shim, ring);
  if (state_of(shim)->direct_count) try_direct(shim);
}

static void uring_wait(struct shim *shim, uint64_t ns) {
  struct ring *ring = &state_of(shim)->ring;
  leave_direct(shim);
  if (ring_completed(ring)) return;
  ring_enter(ring, ns);
  count_enters(shim, ring);
}

const struct engine uring_engine = {
  .id = SHIM_ENGINE_URING, .open = uring_open, .close = uring_close, .adopt = uring_adopt,
  .receive = uring_receive, .send = uring_send, .cancel = uring_cancel, .operate = uring_operate,
  .accept = uring_accept, .accept_stop = uring_accept_stop, .watch = uring_watch,
  .watch_stop = uring_watch_stop, .pending = uring_pending, .reap = uring_reap, .wait = uring_wait,
};
