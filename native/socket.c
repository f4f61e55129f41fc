/*
 * socket.c: listeners, connecting, addresses and options, on Linux. A socket is its descriptor, so
 * that any thread may take it. Called by TypeScript and by acceptor.c and connection.c.
 */
#include "core.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ADDRESS_BYTES = 64 };
enum { KEEPALIVE_IDLE_S = 30, KEEPALIVE_INTERVAL_S = 10, KEEPALIVE_COUNT = 4 };

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

/* ---- of sockets that are open ---------------------------------------------------------------- */

int socket_check(int socket) {
  int type = 0;
  socklen_t bytes = sizeof type;
  return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &bytes) ? -errno : 0;
}

bool socket_streams(int socket) {
  int type = 0;
  socklen_t bytes = sizeof type;
  return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_STREAM;
}

void socket_options(int fd, int32_t buffer_bytes) {
  const int one = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S;
  const int probes = KEEPALIVE_COUNT;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  if (!buffer_bytes) return;
  /* The FORCE forms pass the system's limit, and need a capability that we may not have. */
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof buffer_bytes)) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes)) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  }
}

void socket_finish(int socket) { shutdown(socket, SHUT_WR); }

void socket_break(int socket) { shutdown(socket, SHUT_RDWR); }

void socket_close(int socket) { close(socket); }

int32_t shim_socket_close(int32_t socket) {
  int result = socket_check(socket);
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
