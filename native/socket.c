/*
 * socket.c: listeners, accepting, addresses. A socket is its descriptor, so that any thread may
 * take it. Called by TypeScript; the engines report each accept through acceptor_result().
 *
 * Invariant: an accept that fails for want of something (descriptors, memory) is told once and
 * tried again after ACCEPT_RETRY_MS, never in a tight loop.
 */
#include "core.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ADDRESS_BYTES = 64 };

union any_address {
  struct sockaddr common;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* Parses a literal; an IPv6 one may end in %interface. The length of the address, or -EINVAL. */
static int parse(const char *text, int32_t port, union any_address *address) {
  char copy[ADDRESS_BYTES];
  memset(address, 0, sizeof *address);
  if (!text || strlen(text) >= sizeof copy || port < 0 || port > 65535) return -EINVAL;
  if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons((uint16_t)port);
    return (int)sizeof address->v4;
  }
  strcpy(copy, text);
  char *zone = strchr(copy, '%');
  if (zone) *zone++ = 0;
  if (inet_pton(AF_INET6, copy, &address->v6.sin6_addr) != 1) return -EINVAL;
  if (zone && (address->v6.sin6_scope_id = if_nametoindex(zone)) == 0) return -EINVAL;
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons((uint16_t)port);
  return (int)sizeof address->v6;
}

int32_t shim_listen(const char *address, int32_t port, int32_t backlog) {
  union any_address where;
  const int one = 1;
  int length = parse(address, port, &where);
  if (length < 0) return length;
  int fd = socket(where.common.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (where.common.sa_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  }
  if (bind(fd, &where.common, (socklen_t)length) || listen(fd, backlog < 1 ? 1 : backlog)) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int32_t shim_connect(const char *address, int32_t port, int32_t wait_ms) {
  union any_address where;
  int length = parse(address, port, &where);
  if (length < 0) return length;
  int fd = socket(where.common.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  int error = connect(fd, &where.common, (socklen_t)length) ? errno : 0;
  if (error == EINPROGRESS) {
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    socklen_t bytes = sizeof error;
    int ready = poll(&wait, 1, wait_ms);
    if (ready <= 0) error = ready == 0 ? ETIMEDOUT : errno;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes)) error = errno;
  }
  if (error == 0) return fd;
  close(fd);
  return -error;
}

static int check_socket(int32_t socket) {
  int type = 0;
  socklen_t bytes = sizeof type;
  return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &bytes) ? -errno : 0;
}

int32_t shim_socket_close(int32_t socket) {
  int result = check_socket(socket);
  if (result == 0) close(socket);
  return result;
}

int32_t shim_address(int32_t socket, int32_t remote, char *out) {
  union any_address address;
  char text[INET6_ADDRSTRLEN];
  socklen_t bytes = sizeof address;
  memset(&address, 0, sizeof address);
  if (remote ? getpeername(socket, &address.common, &bytes)
             : getsockname(socket, &address.common, &bytes)) {
    return -errno;
  }
  if (address.common.sa_family == AF_INET) {
    inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
    snprintf(out, ADDRESS_BYTES, "%s %u", text, (unsigned)ntohs(address.v4.sin_port));
  } else if (address.common.sa_family == AF_INET6) {
    const uint8_t *bytes16 = address.v6.sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr)) {
      inet_ntop(AF_INET, bytes16 + 12, text, sizeof text);
    } else {
      inet_ntop(AF_INET6, bytes16, text, sizeof text);
    }
    snprintf(out, ADDRESS_BYTES, "%s %u", text, (unsigned)ntohs(address.v6.sin6_port));
  } else {
    return -EAFNOSUPPORT;
  }
  return 0;
}

/* io_uring waits on a blocking socket but not on a non-blocking one; epoll needs the latter. */
int socket_mode(int fd, bool blocking) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  int wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  return wanted != flags && fcntl(fd, F_SETFL, wanted) < 0 ? -errno : 0;
}

/* ---- accepting ------------------------------------------------------------------------------ */

static struct acceptor *find_acceptor(struct shim *shim, int listener) {
  for (int i = 0; i < ACCEPTORS_MAX; i++) {
    if (shim->acceptors[i].listener == listener && !shim->acceptors[i].stopping) {
      return &shim->acceptors[i];
    }
  }
  return NULL;
}

int32_t shim_accept(int32_t listener, int32_t token) {
  struct shim *shim = shim_here;
  if (!shim || listener < 0) return -EINVAL;
  int result = check_socket(listener);
  if (result < 0) return result;
  if (find_acceptor(shim, listener)) return -EBUSY;
  struct acceptor *acceptor = shim->acceptors;
  while (acceptor < shim->acceptors + ACCEPTORS_MAX && acceptor->listener >= 0) acceptor++;
  if (acceptor == shim->acceptors + ACCEPTORS_MAX) return -ENOSPC;
  *acceptor = (struct acceptor){.listener = listener, .token = token};
  result = shim->engine->accept(shim, acceptor);
  if (result < 0) acceptor->listener = -1;
  return result;
}

int32_t shim_accept_stop(int32_t listener) {
  struct shim *shim = shim_here;
  struct acceptor *acceptor = shim && listener >= 0 ? find_acceptor(shim, listener) : NULL;
  if (!acceptor) return -EINVAL;
  if (acceptor->retry_ns) shim->acceptors_paused--;
  acceptor->retry_ns = 0;
  acceptor->stopping = true;
  shim->engine->accept_stop(shim, acceptor);
  if (!acceptor->armed) acceptor->listener = -1;
  return 0;
}

/* One accept is over: a socket or -errno. Arms the next, unless it is stopped or must pause. */
void acceptor_result(struct shim *shim, struct acceptor *acceptor, int32_t result) {
  acceptor->armed = false;
  if (acceptor->stopping) {
    if (result >= 0) close(result);
    acceptor->listener = -1;
    return;
  }
  /* These are about one peer that went away again, or about nothing. */
  bool silent = result == -ECONNABORTED || result == -EINTR || result == -EAGAIN ||
                result == -EPROTO;
  if (!silent) complete(shim, acceptor->token, result);
  if (result >= 0 || silent) {
    shim->engine->accept(shim, acceptor);
    return;
  }
  acceptor->retry_ns = clock_ns() + ACCEPT_RETRY_MS * 1000000ull;
  shim->acceptors_paused++;
}

void acceptors_retry(struct shim *shim) {
  uint64_t now = clock_ns();
  for (int i = 0; i < ACCEPTORS_MAX; i++) {
    struct acceptor *acceptor = &shim->acceptors[i];
    if (acceptor->listener < 0 || !acceptor->retry_ns || now < acceptor->retry_ns) continue;
    acceptor->retry_ns = 0;
    shim->acceptors_paused--;
    shim->engine->accept(shim, acceptor);
  }
}
