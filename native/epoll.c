/*
 * epoll.c: the engine on epoll, for kernels and containers that forbid io_uring: non-blocking
 * sockets with edges, and files through pool.c. Called by turn.c, connection.c, op.c and socket.c
 * through struct engine.
 *
 * An armed receive or send is tried while its socket is known to be ready; when the kernel answers
 * EAGAIN it stays armed and the next edge tries again.
 *
 *   event data = kind | index << 3
 *
 * Invariant: an edge is forgotten only when a try has used it up.
 */
#include "core.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 };
enum { KIND_CONNECTION = 0, KIND_ACCEPTOR, KIND_WAKE, KIND_QUEUE };

struct poller {
  int fd;
  bool coarse;             /* epoll_pwait2 is missing: milliseconds, rounded up */
  int kept;                /* events that wait() left for reap() */
  struct pool *pool;
  struct epoll_event events[EVENTS_MAX];
};

static struct poller *state_of(struct shim *shim) { return shim->state; }

static int control(struct shim *shim, int operation, int fd, uint32_t events, int kind,
                   int32_t index) {
  struct epoll_event event = {
    .events = events, .data.u64 = (uint64_t)kind | (uint64_t)(uint32_t)index << 3,
  };
  count(shim, SHIM_N_SYSCALLS, 1);
  return epoll_ctl(state_of(shim)->fd, operation, fd, &event) ? -errno : 0;
}

static void epoll_close(struct shim *shim) {
  struct poller *poller = state_of(shim);
  if (poller->pool) pool_close(poller->pool);
  if (poller->fd >= 0) close(poller->fd);
  free(poller);
  shim->state = NULL;
}

static int epoll_open(struct shim *shim) {
  struct poller *poller = calloc(1, sizeof *poller);
  if (!poller) return -ENOMEM;
  shim->state = poller;
  poller->fd = epoll_create1(EPOLL_CLOEXEC);
  int result = poller->fd < 0 ? -errno : 0;
  if (result == 0) result = control(shim, EPOLL_CTL_ADD, shim->waker->event, EPOLLIN, KIND_WAKE, 0);
  if (result == 0 && shim->limits.ops_max) {
    poller->pool = pool_open(shim->waker);
    if (!poller->pool) result = -EAGAIN;
  }
  if (result < 0) epoll_close(shim);
  return result;
}

static int epoll_adopt(struct shim *shim, struct connection *connection) {
  /* Edges that were there before are told at once, so both begin as "not known to be ready". */
  return control(shim, EPOLL_CTL_ADD, connection->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                 KIND_CONNECTION, connection->index);
}

static void try_receive(struct shim *shim, struct connection *connection) {
  size_t wanted = 0;
  for (size_t i = 0; i < connection->rx.msg_iovlen; i++) {
    wanted += connection->rx.msg_iov[i].iov_len;
  }
  ssize_t bytes = recvmsg(connection->fd, &connection->rx, MSG_DONTWAIT);
  int error = bytes < 0 ? errno : 0;
  count(shim, SHIM_N_SYSCALLS, 1);
  if (error == EINTR) {
    connection_received(shim, connection, -EINTR);
    return;
  }
  if (error == EAGAIN) {
    connection->readable = false;
    return;
  }
  /* A short read has emptied the socket, unless the end of the stream is still to be read. */
  if (bytes > 0 && (size_t)bytes < wanted && !connection->hung) connection->readable = false;
  connection_received(shim, connection, error ? -error : (int32_t)bytes);
}

static void epoll_receive(struct shim *shim, struct connection *connection) {
  if (connection->readable) try_receive(shim, connection);
}

static void epoll_send(struct shim *shim, struct connection *connection) {
  while (connection->sending && connection->writable) {
    ssize_t bytes = sendmsg(connection->fd, &connection->tx, MSG_DONTWAIT | MSG_NOSIGNAL);
    int error = bytes < 0 ? errno : 0;
    count(shim, SHIM_N_SYSCALLS, 1);
    if (error == EINTR) continue;
    if (error == EAGAIN) {
      connection->writable = false;
      break;
    }
    if (!connection_sent(shim, connection, error ? -error : (int32_t)bytes)) break;
  }
}

static void epoll_cancel(struct shim *shim, struct connection *connection) {
  (void)shim;
  connection->receiving = false; /* armed is only our own word here; the kernel holds nothing */
  connection->sending = false;
}

static void epoll_operate(struct shim *shim, struct op *op) {
  pool_put(state_of(shim)->pool, op);
}

static int epoll_accept(struct shim *shim, struct acceptor *acceptor) {
  int32_t index = (int32_t)(acceptor - shim->acceptors);
  int result = socket_mode(acceptor->listener, false);
  if (result < 0) return result;
  uint32_t events = EPOLLIN | EPOLLONESHOT;
  result = control(shim, EPOLL_CTL_MOD, acceptor->listener, events, KIND_ACCEPTOR, index);
  if (result == -ENOENT) {
    result = control(shim, EPOLL_CTL_ADD, acceptor->listener, events, KIND_ACCEPTOR, index);
  }
  acceptor->armed = result == 0;
  return result;
}

static void epoll_accept_stop(struct shim *shim, struct acceptor *acceptor) {
  control(shim, EPOLL_CTL_DEL, acceptor->listener, 0, KIND_ACCEPTOR, 0);
  acceptor->armed = false;
}

static int epoll_watch(struct shim *shim, int event, int32_t queue) {
  uint32_t events = EPOLLIN | EPOLLONESHOT;
  int result = control(shim, EPOLL_CTL_MOD, event, events, KIND_QUEUE, queue);
  return result == -ENOENT ? control(shim, EPOLL_CTL_ADD, event, events, KIND_QUEUE, queue) : result;
}

static void epoll_watch_stop(struct shim *shim, int event, int32_t queue) {
  control(shim, EPOLL_CTL_DEL, event, 0, KIND_QUEUE, queue);
  queue_told(shim, queue);
}

static bool epoll_pending(struct shim *shim) {
  (void)shim;
  return true; /* only a system call can tell */
}

static void connection_event(struct shim *shim, struct connection *connection, uint32_t events) {
  if (connection->fd < 0) return;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    connection->hung = true;
    connection->readable = true;
    connection->writable = true;
  }
  if (events & EPOLLIN) connection->readable = true;
  if (events & EPOLLOUT) connection->writable = true;
  if (connection->sending && connection->writable) epoll_send(shim, connection);
  if (connection->receiving && connection->readable) try_receive(shim, connection);
}

static void acceptor_event(struct shim *shim, struct acceptor *acceptor) {
  if (acceptor->listener < 0) return;
  if (completions_full(shim)) {
    epoll_accept(shim, acceptor);
    return;
  }
  int fd = accept4(acceptor->listener, NULL, NULL, SOCK_CLOEXEC);
  int32_t result = fd < 0 ? -errno : fd;
  count(shim, SHIM_N_SYSCALLS, 1);
  acceptor_result(shim, acceptor, result);
}

static void wake_event(struct shim *shim) {
  uint64_t value;
  count(shim, SHIM_N_SYSCALLS, 1);
  if (read(shim->waker->event, &value, sizeof value) < 0 && errno != EAGAIN) {
    breach(shim, -errno);
  }
}

static void epoll_reap(struct shim *shim) {
  struct poller *poller = state_of(shim);
  if (!poller->kept) {
    count(shim, SHIM_N_SYSCALLS, 1);
    poller->kept = epoll_wait(poller->fd, poller->events, EVENTS_MAX, 0);
  }
  for (int i = 0; i < poller->kept; i++) {
    const struct epoll_event *event = &poller->events[i];
    uint32_t index = (uint32_t)(event->data.u64 >> 3);
    switch (event->data.u64 & 7) {
    case KIND_CONNECTION:
      connection_event(shim, &shim->connections[index], event->events);
      break;
    case KIND_ACCEPTOR: acceptor_event(shim, &shim->acceptors[index]); break;
    case KIND_QUEUE: queue_told(shim, (int32_t)index); break;
    default: wake_event(shim); break;
    }
  }
  poller->kept = 0;
  if (!poller->pool || !pool_pending(poller->pool)) return;
  for (struct op *op; !completions_full(shim) && (op = pool_take(poller->pool));) {
    op_complete(shim, op, op->result);
  }
}

static void epoll_wait_for(struct shim *shim, uint64_t ns) {
  struct poller *poller = state_of(shim);
  if (poller->pool && pool_pending(poller->pool)) return;
  int found = -1;
  count(shim, SHIM_N_SYSCALLS, 1);
#ifdef SYS_epoll_pwait2
  if (!poller->coarse) {
    struct timespec limit = {.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
    found = (int)syscall(SYS_epoll_pwait2, poller->fd, poller->events, EVENTS_MAX, &limit, NULL, 0);
    if (found < 0 && errno != EINTR) poller->coarse = true;
  }
#else
  poller->coarse = true;
#endif
  if (poller->coarse) {
    found = epoll_wait(poller->fd, poller->events, EVENTS_MAX, (int)((ns + 999999) / 1000000));
  }
  poller->kept = found > 0 ? found : 0;
}

const struct engine epoll_engine = {
  .id = SHIM_ENGINE_EPOLL, .open = epoll_open, .close = epoll_close, .adopt = epoll_adopt,
  .receive = epoll_receive, .send = epoll_send, .cancel = epoll_cancel, .operate = epoll_operate,
  .accept = epoll_accept, .accept_stop = epoll_accept_stop, .watch = epoll_watch,
  .watch_stop = epoll_watch_stop, .pending = epoll_pending, .reap = epoll_reap, .wait = epoll_wait_for,
};
