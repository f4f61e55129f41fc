/*
 * iocp.c: the engine on an I/O completion port: sockets, files, accepts and the wake-up through one
 * port, that of the shim's waker. Called by turn.c, connection.c, op.c and acceptor.c through struct
 * engine.
 *
 *   WSARecv, WSASend, AcceptEx, ReadFile, WriteFile ──▶ port ──▶ request → connection, op, acceptor
 *   flushes, zeroing ──▶ a thread of the system's pool ──────┘
 *
 * A request that fails at once has no packet, so its result is told on the spot.
 * Invariant: every request that was begun ends in one packet, cancelled ones too; closing waits for
 * all, and a request's memory is used again only after its packet.
 */
#include "os.h"
#include <stdlib.h>
#include <string.h>

enum { PACKETS_MAX = 256, SEND_PARTS = 64, ACCEPT_ADDRESS_BYTES = sizeof(SOCKADDR_STORAGE) + 16 };
enum { TIMER_MS = 1 };
enum { KIND_RECEIVE = 0, KIND_SEND, KIND_OP, KIND_ACCEPT };

#define CANCELLED 0xC0000120u       /* STATUS_CANCELLED */

struct request {
  OVERLAPPED overlapped;           /* first: a packet names it */
  int32_t kind, index;
  struct op *op;
  struct shim *shim;
  int32_t executed;                /* what op_execute() gave; of an op that was waited for */
  bool waited;
};

struct acceptance {
  struct request request;
  int listener;                    /* tied to the port; -1: none */
  SOCKET accepted;
  uint8_t addresses[2 * ACCEPT_ADDRESS_BYTES];
};

struct port {
  HANDLE handle;
  ULONG kept;                      /* packets that wait() left for reap() */
  OVERLAPPED_ENTRY packets[PACKETS_MAX];
  struct request *receives, *sends, *ops;
  struct acceptance acceptances[ACCEPTORS_MAX];
};

static struct port *state_of(struct shim *shim) { return shim->state; }

static void name_requests(struct shim *shim, struct request *first, int32_t amount, int32_t kind) {
  for (int32_t i = 0; i < amount; i++) {
    first[i].kind = kind;
    first[i].index = i;
    first[i].shim = shim;
  }
}

static void iocp_close(struct shim *shim) {
  struct port *port = state_of(shim);
  free(port->receives);
  free(port);
  shim->state = NULL;
  timeEndPeriod(TIMER_MS);
}

static int iocp_open(struct shim *shim) {
  size_t connections = (size_t)shim->limits.connections_max;
  size_t ops = (size_t)shim->limits.ops_max;
  int result = sockets_begin();
  struct port *port = result < 0 ? NULL : calloc(1, sizeof *port);
  if (!port) return result < 0 ? result : -ENOMEM;
  shim->state = port;
  timeBeginPeriod(TIMER_MS); /* else waits end with the next of 64 ticks a second */
  port->handle = handle_of(shim->waker->event);
  port->receives = calloc(2 * connections + ops, sizeof *port->receives);
  if (!port->receives) {
    iocp_close(shim);
    return -ENOMEM;
  }
  port->sends = port->receives + connections;
  port->ops = port->sends + connections;
  name_requests(shim, port->receives, (int32_t)connections, KIND_RECEIVE);
  name_requests(shim, port->sends, (int32_t)connections, KIND_SEND);
  name_requests(shim, port->ops, (int32_t)ops, KIND_OP);
  for (int32_t i = 0; i < ACCEPTORS_MAX; i++) {
    name_requests(shim, &port->acceptances[i].request, 1, KIND_ACCEPT);
    port->acceptances[i].request.index = i;
    port->acceptances[i].listener = -1;
  }
  return 0;
}

static OVERLAPPED *begin(struct request *request) {
  memset(&request->overlapped, 0, sizeof request->overlapped);
  return &request->overlapped;
}

/* ---- connections ------------------------------------------------------------------------------ */

static int iocp_adopt(struct shim *shim, struct connection *connection) {
  HANDLE own = (HANDLE)socket_of(connection->fd);
  return CreateIoCompletionPort(own, state_of(shim)->handle, 0, 0) ? 0 : error_last();
}

static DWORD parts_of(const struct msghdr *message, WSABUF *parts, DWORD most) {
  DWORD amount = 0;
  for (; amount < most && amount < message->msg_iovlen; amount++) {
    parts[amount].buf = message->msg_iov[amount].iov_base;
    parts[amount].len = (ULONG)message->msg_iov[amount].iov_len;
  }
  return amount;
}

static void iocp_receive(struct shim *shim, struct connection *connection) {
  WSABUF parts[2];
  DWORD flags = 0, amount = parts_of(&connection->rx, parts, 2);
  OVERLAPPED *overlapped = begin(&state_of(shim)->receives[connection->index]);
  count(shim, SHIM_N_SYSCALLS, 1);
  if (WSARecv(socket_of(connection->fd), parts, amount, NULL, &flags, overlapped, NULL) == 0) return;
  if (WSAGetLastError() == WSA_IO_PENDING) return;
  connection_received(shim, connection, error_of_socket());
}

static void iocp_send(struct shim *shim, struct connection *connection) {
  WSABUF parts[SEND_PARTS];
  DWORD amount = parts_of(&connection->tx, parts, SEND_PARTS);
  OVERLAPPED *overlapped = begin(&state_of(shim)->sends[connection->index]);
  count(shim, SHIM_N_SYSCALLS, 1);
  if (WSASend(socket_of(connection->fd), parts, amount, NULL, 0, overlapped, NULL) == 0) return;
  if (WSAGetLastError() == WSA_IO_PENDING) return;
  (void)connection_sent(shim, connection, error_of_socket());
}

static void iocp_cancel(struct shim *shim, struct connection *connection) {
  struct port *port = state_of(shim);
  HANDLE own = (HANDLE)socket_of(connection->fd);
  if (connection->receiving) CancelIoEx(own, &port->receives[connection->index].overlapped);
  if (connection->sending) CancelIoEx(own, &port->sends[connection->index].overlapped);
}

/* ---- files ------------------------------------------------------------------------------------ */

static void CALLBACK wait_for(PTP_CALLBACK_INSTANCE instance, PVOID context) {
  struct request *request = context;
  (void)instance;
  request->executed = op_execute(request->op);
  PostQueuedCompletionStatus(handle_of(request->shim->waker->event), 0, 0, &request->overlapped);
}

static void begin_waiting(struct request *request) {
  begin(request);
  request->waited = true;
  if (!TrySubmitThreadpoolCallback(wait_for, request, NULL)) wait_for(NULL, request);
}

/* 0: a packet comes; else -errno. */
static int begin_transfer(struct shim *shim, struct request *request) {
  struct op *op = request->op;
  HANDLE handle;
  if (!file_aligned(op)) return -EINVAL;
  int result = file_handle(op->fd, shim, &handle);
  if (result < 0) return result;
  OVERLAPPED *overlapped = begin(request);
  overlapped->Offset = (DWORD)op->at;
  overlapped->OffsetHigh = (DWORD)(op->at >> 32);
  request->waited = false;
  count(shim, SHIM_N_SYSCALLS, 1);
  BOOL done = op->code == SHIM_OP_READ
    ? ReadFile(handle, op->memory, (DWORD)op->bytes, NULL, overlapped)
    : WriteFile(handle, op->memory, (DWORD)op->bytes, NULL, overlapped);
  return done || GetLastError() == ERROR_IO_PENDING ? 0 : error_last();
}

static void iocp_operate(struct shim *shim, struct op *op) {
  struct request *request = &state_of(shim)->ops[op->index];
  request->op = op;
  if (op->syncing || (op->code != SHIM_OP_READ && op->code != SHIM_OP_WRITE)) {
    begin_waiting(request);
    return;
  }
  int result = begin_transfer(shim, request);
  if (result < 0) op_complete(shim, op, result);
}

/* A write that asks for it is flushed before it completes. */
static bool flushes_now(struct op *op, int32_t final) {
  if (final < 0 || op->code != SHIM_OP_WRITE || !(op->flags & SHIM_OP_FUA) || op->syncing) {
    return false;
  }
  op->syncing = true;
  return true;
}

static void op_done(struct shim *shim, struct request *request, int32_t result) {
  struct op *op = request->op;
  int32_t final = 0;
  if (request->waited) result = request->executed;
  if (op->syncing && op->code == SHIM_OP_WRITE) op_complete(shim, op, result);
  else if (!op_advance(op, result, &final) || flushes_now(op, final)) iocp_operate(shim, op);
  else op_complete(shim, op, final);
}

/* ---- accepting -------------------------------------------------------------------------------- */

static int family_of(int listener) {
  SOCKADDR_STORAGE address;
  int bytes = sizeof address;
  memset(&address, 0, sizeof address);
  return getsockname(socket_of(listener), (struct sockaddr *)&address, &bytes)
    ? AF_INET : address.ss_family;
}

/* Once for each listener, which can have one port only. */
static int tie(struct port *port, struct acceptance *acceptance, int listener) {
  if (acceptance->listener == listener) return 0;
  if (!CreateIoCompletionPort((HANDLE)socket_of(listener), port->handle, 0, 0)) {
    return GetLastError() == ERROR_INVALID_PARAMETER ? -EBUSY : error_last();
  }
  acceptance->listener = listener;
  return 0;
}

static int iocp_accept(struct shim *shim, struct acceptor *acceptor) {
  struct port *port = state_of(shim);
  struct acceptance *acceptance = &port->acceptances[acceptor - shim->acceptors];
  int result = tie(port, acceptance, acceptor->listener);
  if (result < 0) return result;
  acceptance->accepted = WSASocketW(family_of(acceptor->listener), SOCK_STREAM, IPPROTO_TCP, NULL,
                                    0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  if (acceptance->accepted == INVALID_SOCKET) return error_of_socket();
  DWORD received = 0;
  count(shim, SHIM_N_SYSCALLS, 1);
  if (AcceptEx(socket_of(acceptor->listener), acceptance->accepted, acceptance->addresses, 0,
               ACCEPT_ADDRESS_BYTES, ACCEPT_ADDRESS_BYTES, &received,
               begin(&acceptance->request)) ||
      WSAGetLastError() == WSA_IO_PENDING) {
    acceptor->armed = true;
    return 0;
  }
  result = error_of_socket();
  closesocket(acceptance->accepted);
  return result;
}

static void iocp_accept_stop(struct shim *shim, struct acceptor *acceptor) {
  struct acceptance *acceptance = &state_of(shim)->acceptances[acceptor - shim->acceptors];
  if (!acceptor->armed) acceptance->listener = -1;
  else CancelIoEx((HANDLE)socket_of(acceptor->listener), &acceptance->request.overlapped);
}

/* A listener that was closed is accepted on no more, whatever its number is by now. */
static void accepted(struct shim *shim, struct acceptor *acceptor, struct acceptance *acceptance,
                     int32_t result) {
  SOCKET own = socket_of(acceptor->listener);
  bool closed = result == -ECANCELED;
  if (acceptor->stopping || closed) acceptance->listener = -1;
  if (closed && !acceptor->stopping) {
    closesocket(acceptance->accepted);
    acceptor->armed = false;
    acceptor->listener = -1;
    return;
  }
  if (result >= 0 && setsockopt(acceptance->accepted, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT,
                                (const char *)&own, sizeof own)) {
    result = error_of_socket();
  }
  if (result >= 0) {
    acceptor_result(shim, acceptor, (int32_t)acceptance->accepted);
    return;
  }
  closesocket(acceptance->accepted);
  /* What is not about this machine is about one peer that went away again. */
  bool ours = result == -ENOBUFS || result == -EMFILE || result == -ENOMEM;
  acceptor_result(shim, acceptor, ours ? result : -ECONNABORTED);
}

/* ---- the port --------------------------------------------------------------------------------- */

static int iocp_watch(struct shim *shim, int event, int32_t queue) {
  return (void)shim, (void)event, (void)queue, -EOPNOTSUPP;
}

static void iocp_watch_stop(struct shim *shim, int event, int32_t queue) {
  (void)event;
  queue_told(shim, queue);
}

static bool iocp_pending(struct shim *shim) {
  (void)shim;
  return true; /* only a system call can tell */
}

static int32_t socket_result(int socket, const OVERLAPPED_ENTRY *packet) {
  DWORD bytes = 0, flags = 0;
  uint32_t status = (uint32_t)packet->lpOverlapped->Internal;
  if (status == 0) return (int32_t)packet->dwNumberOfBytesTransferred;
  if (status == CANCELLED) return -ECANCELED;
  return WSAGetOverlappedResult(socket_of(socket), packet->lpOverlapped, &bytes, FALSE, &flags)
    ? (int32_t)bytes : error_of_socket();
}

static int32_t file_result(struct shim *shim, const struct request *request,
                           const OVERLAPPED_ENTRY *packet) {
  DWORD bytes = 0;
  HANDLE handle;
  if (request->waited || packet->lpOverlapped->Internal == 0) {
    return (int32_t)packet->dwNumberOfBytesTransferred;
  }
  int result = file_handle(request->op->fd, shim, &handle);
  if (result < 0) return result;
  if (GetOverlappedResult(handle, packet->lpOverlapped, &bytes, FALSE)) return (int32_t)bytes;
  return GetLastError() == ERROR_HANDLE_EOF ? 0 : error_last();
}

static void reap_one(struct shim *shim, const OVERLAPPED_ENTRY *packet) {
  struct request *request = (struct request *)packet->lpOverlapped;
  if (!request) return; /* a wake */
  struct connection *connection;
  struct acceptor *acceptor;
  int32_t result;
  switch (request->kind) {
  case KIND_RECEIVE:
    connection = &shim->connections[request->index];
    result = socket_result(connection->fd, packet);
    connection_received(shim, connection, result == -ECANCELED ? 0 : result);
    return;
  case KIND_SEND:
    connection = &shim->connections[request->index];
    if (connection_sent(shim, connection, socket_result(connection->fd, packet))) {
      iocp_send(shim, connection);
    }
    return;
  case KIND_OP: op_done(shim, request, file_result(shim, request, packet)); return;
  default:
    acceptor = &shim->acceptors[request->index];
    accepted(shim, acceptor, (struct acceptance *)request,
             socket_result(acceptor->listener, packet));
    return;
  }
}

static void iocp_reap(struct shim *shim) {
  struct port *port = state_of(shim);
  if (!port->kept) {
    count(shim, SHIM_N_SYSCALLS, 1);
    if (!GetQueuedCompletionStatusEx(port->handle, port->packets, PACKETS_MAX, &port->kept, 0,
                                     FALSE)) {
      port->kept = 0;
    }
  }
  ULONG amount = port->kept;
  port->kept = 0;
  for (ULONG i = 0; i < amount; i++) reap_one(shim, &port->packets[i]);
}

/* Milliseconds are what the port knows; less than one is rounded up. */
static void iocp_wait(struct shim *shim, uint64_t ns) {
  struct port *port = state_of(shim);
  DWORD wait_ms = (DWORD)((ns + 999999) / 1000000);
  if (port->kept) return;
  count(shim, SHIM_N_SYSCALLS, 1);
  if (!GetQueuedCompletionStatusEx(port->handle, port->packets, PACKETS_MAX, &port->kept, wait_ms,
                                   FALSE)) {
    port->kept = 0;
  }
}

const struct engine iocp_engine = {
  .id = SHIM_ENGINE_IOCP, .open = iocp_open, .close = iocp_close, .adopt = iocp_adopt,
  .receive = iocp_receive, .send = iocp_send, .cancel = iocp_cancel, .operate = iocp_operate,
  .accept = iocp_accept, .accept_stop = iocp_accept_stop, .watch = iocp_watch,
  .watch_stop = iocp_watch_stop, .pending = iocp_pending, .reap = iocp_reap, .wait = iocp_wait,
};

const struct engine *const engines[] = {&iocp_engine, NULL};

int32_t shim_engines(void) { return 1 << SHIM_ENGINE_IOCP; }
