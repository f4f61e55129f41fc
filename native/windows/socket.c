/*
 * socket.c: listeners, connecting, addresses and options, on Windows. A socket is its handle, so that
 * any thread may take it. Called by TypeScript and by acceptor.c and connection.c.
 *
 * Invariant: a socket is tied to no completion port before a shim adopts it or accepts on it.
 */
#include "os.h"
#include <mstcpip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS_BYTES = 64, KEEPALIVE_IDLE_MS = 30000, KEEPALIVE_INTERVAL_MS = 10000 };

union any_address {
  struct sockaddr common;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static BOOL CALLBACK begin(PINIT_ONCE once, PVOID parameter, PVOID *context) {
  WSADATA facts;
  (void)once;
  (void)parameter;
  (void)context;
  return WSAStartup(MAKEWORD(2, 2), &facts) == 0;
}

int sockets_begin(void) {
  static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
  return InitOnceExecuteOnce(&once, begin, NULL, NULL) ? 0 : -ENETUNREACH;
}

/* Parses a literal; an IPv6 one may end in %number of an interface. Its length, or -EINVAL. */
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
  if (zone && (address->v6.sin6_scope_id = (ULONG)strtoul(zone, NULL, 10)) == 0) return -EINVAL;
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons((uint16_t)port);
  return (int)sizeof address->v6;
}

static SOCKET make(int family) {
  return WSASocketW(family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                    WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
}

static int give_up(SOCKET made) {
  int error = error_of_socket();
  closesocket(made);
  return error;
}

int32_t shim_listen(const char *address, int32_t port, int32_t backlog) {
  union any_address where;
  const DWORD one = 1;
  int result = sockets_begin();
  int length = result < 0 ? result : parse(address, port, &where);
  if (length < 0) return length;
  SOCKET made = make(where.common.sa_family);
  if (made == INVALID_SOCKET) return error_of_socket();
  /* SO_REUSEADDR would let another program take the port; a port in TIME_WAIT is free anyhow. */
  setsockopt(made, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&one, sizeof one);
  if (where.common.sa_family == AF_INET6) {
    setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, (const char *)&one, sizeof one);
  }
  if (bind(made, &where.common, length)) {
    /* That is also what a port says which another program has for itself. */
    result = give_up(made);
    return result == -EACCES ? -EADDRINUSE : result;
  }
  if (listen(made, backlog < 1 ? 1 : backlog)) return give_up(made);
  return (int32_t)made;
}

/* Waits for what connect() has begun: 0 or -errno. */
static int await_connection(SOCKET made, int32_t wait_ms) {
  fd_set written, failed;
  struct timeval limit = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
  FD_ZERO(&written);
  FD_ZERO(&failed);
  FD_SET(made, &written);
  FD_SET(made, &failed);
  int ready = select(0, NULL, &written, &failed, wait_ms < 0 ? NULL : &limit);
  if (ready == SOCKET_ERROR) return error_of_socket();
  if (ready == 0) return -ETIMEDOUT;
  DWORD error = 0;
  int bytes = sizeof error;
  if (getsockopt(made, SOL_SOCKET, SO_ERROR, (char *)&error, &bytes)) return error_of_socket();
  return error ? -error_number(error) : 0;
}

int32_t shim_connect(const char *address, int32_t port, int32_t wait_ms) {
  union any_address where;
  u_long mode = 1;
  int result = sockets_begin();
  int length = result < 0 ? result : parse(address, port, &where);
  if (length < 0) return length;
  SOCKET made = make(where.common.sa_family);
  if (made == INVALID_SOCKET) return error_of_socket();
  ioctlsocket(made, (long)FIONBIO, &mode);
  if (connect(made, &where.common, length)) {
    result = WSAGetLastError() == WSAEWOULDBLOCK ? await_connection(made, wait_ms)
                                                 : error_of_socket();
  }
  if (result < 0) {
    closesocket(made);
    return result;
  }
  mode = 0;
  ioctlsocket(made, (long)FIONBIO, &mode);
  return (int32_t)made;
}

/* ---- of sockets that are open ---------------------------------------------------------------- */

int socket_check(int socket) {
  int type = 0, bytes = sizeof type;
  int result = sockets_begin();
  if (result < 0) return result;
  return getsockopt(socket_of(socket), SOL_SOCKET, SO_TYPE, (char *)&type, &bytes)
    ? error_of_socket() : 0;
}

bool socket_streams(int socket) {
  int type = 0, bytes = sizeof type;
  return getsockopt(socket_of(socket), SOL_SOCKET, SO_TYPE, (char *)&type, &bytes) == 0 &&
         type == SOCK_STREAM;
}

void socket_options(int socket, int32_t buffer_bytes) {
  const DWORD one = 1;
  struct tcp_keepalive alive = {.onoff = 1, .keepalivetime = KEEPALIVE_IDLE_MS,
                                .keepaliveinterval = KEEPALIVE_INTERVAL_MS};
  SOCKET own = socket_of(socket);
  DWORD none = 0;
  setsockopt(own, IPPROTO_TCP, TCP_NODELAY, (const char *)&one, sizeof one);
  WSAIoctl(own, SIO_KEEPALIVE_VALS, &alive, sizeof alive, NULL, 0, &none, NULL, NULL);
  if (!buffer_bytes) return;
  setsockopt(own, SOL_SOCKET, SO_SNDBUF, (const char *)&buffer_bytes, sizeof buffer_bytes);
  setsockopt(own, SOL_SOCKET, SO_RCVBUF, (const char *)&buffer_bytes, sizeof buffer_bytes);
}

void socket_finish(int socket) { shutdown(socket_of(socket), SD_SEND); }

void socket_break(int socket) { shutdown(socket_of(socket), SD_BOTH); }

void socket_close(int socket) { closesocket(socket_of(socket)); }

/* What is under way on it, on any thread, has its packet before the handle is another's. */
int32_t shim_socket_close(int32_t socket) {
  int result = socket_check(socket);
  if (result < 0) return result;
  CancelIoEx((HANDLE)socket_of(socket), NULL);
  socket_close(socket);
  return 0;
}

int32_t shim_address(int32_t socket, int32_t remote, char *out) {
  union any_address address;
  char text[INET6_ADDRSTRLEN];
  int bytes = sizeof address;
  memset(&address, 0, sizeof address);
  if (remote ? getpeername(socket_of(socket), &address.common, &bytes)
             : getsockname(socket_of(socket), &address.common, &bytes)) {
    return error_of_socket();
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
