/*
 * connection.c: what is common to all engines about one connection: what to send next, where to
 * receive to, how it ends. Called by turn.c (visits) and by the engines (results).
 *
 *   FREE ──adopt──▶ OPEN ──end of stream, error──▶ ENDED
 *     ▲               └──────────F_CLOSE──────────▶  │ F_CLOSE
 *     └──release── CLOSED ◀──nothing in flight───────┘
 *
 * A send gathers entries until it has no room for iovecs or a byte bound is passed; digests are
 * made then, once. A receive goes first to the placement, then to the free part of the ring.
 *
 * Invariant: TX_HEAD moves only when all bytes up to it were taken by the kernel.
 */
#include "core.h"
#include <string.h>

enum { IOVECS_OF_ENTRY = 4 };

static uint8_t zeroes[PAD_BYTES_MAX];

/* ---- sending -------------------------------------------------------------------------------- */

/* The payload of an entry; NULL when it has none, or one outside of its region. */
static uint8_t *payload_of(struct shim *shim, const int32_t *entry) {
  int32_t bytes = entry[SHIM_T_BYTES];
  if (bytes <= 0) return NULL;
  return place(shim, entry[SHIM_T_REGION], entry[SHIM_T_LO], entry[SHIM_T_HI], (uint64_t)bytes);
}

/* The digest of a payload goes into its entry. next: the entry that is gathered after it, or NULL. */
static void digest_payload(struct shim *shim, int32_t *entry, const uint8_t *payload,
                           const int32_t *next) {
  const uint8_t *next_payload = next ? payload_of(shim, next) : NULL;
  size_t next_bytes = next_payload ? (size_t)next[SHIM_T_BYTES] : 0;
  size_t bytes = (size_t)entry[SHIM_T_BYTES];
  entry[SHIM_T_DATA_DIGEST] = (int32_t)crc32c_ahead(payload, bytes, next_payload, next_bytes);
}

/*
 * A header without payload is copied behind the one before it: many answers are one iovec then, for
 * each of which the kernel would take longer than the copy. Returns how many iovecs it took.
 */
static int gather_header(struct connection *connection, const uint8_t *header, uint32_t bytes,
                         struct iovec *iov, uint32_t *gathered) {
  uint8_t *to = connection->tx_headers + *gathered;
  memcpy(to, header, HEADER_BYTES_MAX); /* two moves; what is too much is overwritten */
  *gathered += bytes;
  if (iov > connection->tx_iov && (uint8_t *)iov[-1].iov_base + iov[-1].iov_len == to) {
    iov[-1].iov_len += bytes;
    return 0;
  }
  *iov = (struct iovec){to, bytes};
  return 1;
}

/* Adds the iovecs of one entry at `iov`; returns how many, or -errno of a broken contract. */
static int gather_entry(struct shim *shim, struct connection *connection, int32_t *entry,
                        struct iovec *iov, uint32_t *gathered, const int32_t *next) {
  int32_t flags = entry[SHIM_T_FLAGS];
  uint32_t header_bytes = (uint32_t)entry[SHIM_T_HEADER_BYTES];
  uint32_t pad_bytes = (uint32_t)entry[SHIM_T_PAD_BYTES];
  int32_t bytes = entry[SHIM_T_BYTES];
  uint8_t *header = (uint8_t *)(entry + SHIM_T_HEADER);
  int n = 0;
  if (flags & ~(SHIM_TX_HEADER_DIGEST | SHIM_TX_DATA_DIGEST)) return -EINVAL;
  if (header_bytes > HEADER_BYTES_MAX || pad_bytes > PAD_BYTES_MAX || bytes < 0) return -EINVAL;
  if (flags & SHIM_TX_HEADER_DIGEST) {
    if (header_bytes > HEADER_BYTES_MAX - 4) return -EINVAL;
    uint32_t digest = crc32c(header, header_bytes);
    memcpy(header + header_bytes, &digest, 4);
    header_bytes += 4;
  }
  if (!(bytes | (int32_t)pad_bytes) && header_bytes &&
      *gathered <= GATHERED_BYTES - HEADER_BYTES_MAX) {
    return gather_header(connection, header, header_bytes, iov, gathered);
  }
  if (header_bytes) iov[n++] = (struct iovec){header, header_bytes};
  if (pad_bytes) iov[n++] = (struct iovec){zeroes, pad_bytes};
  if (!bytes) return n;
  uint8_t *payload = payload_of(shim, entry);
  if (!payload) return -EFAULT;
  iov[n++] = (struct iovec){payload, (size_t)bytes};
  if (flags & SHIM_TX_DATA_DIGEST) {
    digest_payload(shim, entry, payload, next);
    iov[n++] = (struct iovec){entry + SHIM_T_DATA_DIGEST, 4};
  }
  return n;
}

/* Gathers what is queued into connection->tx. False: nothing to send, or the contract broke. */
static bool gather(struct shim *shim, struct connection *connection) {
  int32_t *block = connection->block;
  uint32_t entries = (uint32_t)shim->limits.tx_entries;
  uint32_t head = (uint32_t)block[SHIM_C_TX_HEAD], tail = (uint32_t)block[SHIM_C_TX_TAIL];
  if (tail - head > entries) {
    breach(shim, -EINVAL);
    return false;
  }
  int32_t *ring = (int32_t *)(void *)(shim->arena + shim->at[SHIM_H_TX_AT]) +
                  (size_t)connection->index * entries * 16;
  int n = 0;
  uint32_t gathered = 0;
  size_t bytes = 0;
  for (; head != tail && n <= IOVECS_MAX - IOVECS_OF_ENTRY && bytes < SEND_BYTES; head++) {
    int32_t *entry = ring + (size_t)(head & (entries - 1)) * 16;
    const int32_t *next = ring + (size_t)((head + 1) & (entries - 1)) * 16;
    int added = gather_entry(shim, connection, entry, connection->tx_iov + n, &gathered,
                             head + 1 == tail ? NULL : next);
    if (added < 0) {
      breach(shim, added);
      return false;
    }
    for (int i = 0; i < added; i++) bytes += connection->tx_iov[n + i].iov_len;
    n += added;
  }
  connection->tx_next = head;
  connection->tx.msg_iov = connection->tx_iov;
  connection->tx.msg_iovlen = (size_t)n;
  return n > 0;
}

static void send_next(struct shim *shim, struct connection *connection) {
  int32_t *block = connection->block;
  while (block[SHIM_C_TX_TAIL] != block[SHIM_C_TX_HEAD]) {
    if (gather(shim, connection)) {
      connection->sending = true;
      count(shim, SHIM_N_SENDS, 1);
      shim->engine->send(shim, connection);
      return;
    }
    if (shim->broken) return;
    block[SHIM_C_TX_HEAD] = (int32_t)connection->tx_next; /* entries without a byte */
    connection_ready(shim, connection);
  }
  if ((block[SHIM_C_FLAGS] & SHIM_F_FINISH) && !connection->finished) {
    connection->finished = true;
    socket_finish(connection->fd);
  }
}

static void end(struct shim *shim, struct connection *connection, int32_t error) {
  int32_t *block = connection->block;
  connection_ready(shim, connection);
  if (block[SHIM_C_STATE] != SHIM_STATE_OPEN) return;
  block[SHIM_C_STATE] = SHIM_STATE_ENDED;
  if (!connection->closing) block[SHIM_C_ERROR] = error;
}

/* The result of a send: bytes or -errno. True: some is left, and the engine sends
 * connection->tx. */
bool connection_sent(struct shim *shim, struct connection *connection, int32_t result) {
  if (result < 0) {
    connection->sending = false;
    end(shim, connection, -result);
    connection_settle(shim, connection);
    return false;
  }
  count(shim, SHIM_N_SENT_BYTES, result);
  size_t left = (size_t)result;
  struct msghdr *tx = &connection->tx;
  while (tx->msg_iovlen && left >= tx->msg_iov->iov_len) {
    left -= tx->msg_iov->iov_len;
    tx->msg_iov++;
    tx->msg_iovlen--;
  }
  if (tx->msg_iovlen) {
    tx->msg_iov->iov_base = (uint8_t *)tx->msg_iov->iov_base + left;
    tx->msg_iov->iov_len -= left;
    if (!connection->closing) return true;
  } else {
    connection->block[SHIM_C_TX_HEAD] = (int32_t)connection->tx_next;
  }
  connection->sending = false;
  connection_ready(shim, connection);
  connection_settle(shim, connection);
  return false;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void arm(struct shim *shim, struct connection *connection) {
  int32_t *block = connection->block;
  uint32_t ring_bytes = (uint32_t)shim->limits.rx_bytes;
  uint32_t head = (uint32_t)block[SHIM_C_RX_HEAD], tail = (uint32_t)block[SHIM_C_RX_TAIL];
  if (tail - head > ring_bytes) {
    breach(shim, -EINVAL);
    return;
  }
  if (head == tail) {
    block[SHIM_C_RX_HEAD] = 0; /* the same few pages again: warm, and few when idle */
    block[SHIM_C_RX_TAIL] = 0;
    head = tail = 0;
  }
  int n = 0;
  int32_t place_bytes = block[SHIM_C_PLACE_BYTES];
  connection->placed_bytes = 0;
  if (place_bytes) {
    uint8_t *target = place_bytes < 0 ? NULL
      : place(shim, block[SHIM_C_PLACE_REGION], block[SHIM_C_PLACE_LO], block[SHIM_C_PLACE_HI],
              (uint64_t)place_bytes);
    if (!target || head != tail) {
      breach(shim, target ? -EINVAL : -EFAULT);
      return;
    }
    connection->rx_iov[n++] = (struct iovec){target, (size_t)place_bytes};
    connection->placed_bytes = (uint32_t)place_bytes;
  }
  uint32_t space = ring_bytes - (tail - head);
  if (space) {
    uint8_t *ring = arena_ring(shim, connection->index);
    connection->rx_iov[n++] = (struct iovec){ring + (tail & (ring_bytes - 1)), space};
  }
  if (!n) return;
  connection->rx.msg_iov = connection->rx_iov;
  connection->rx.msg_iovlen = (size_t)n;
  connection->receiving = true;
  shim->engine->receive(shim, connection);
}

static void advance_place(int32_t *block, uint32_t bytes) {
  uint64_t at = wide(block[SHIM_C_PLACE_LO], block[SHIM_C_PLACE_HI]) + bytes;
  block[SHIM_C_PLACE_LO] = (int32_t)(uint32_t)at;
  block[SHIM_C_PLACE_HI] = (int32_t)(uint32_t)(at >> 32);
  block[SHIM_C_PLACE_BYTES] -= (int32_t)bytes;
}

/*
 * A placement that was asked for while a receive into the ring was in flight already: the bytes are
 * copied to it, and what follows them moves down to the ring's start. Returns what stays in the
 * ring.
 */
static uint32_t place_late(struct shim *shim, struct connection *connection, uint32_t bytes) {
  int32_t *block = connection->block;
  uint8_t *from = connection->rx_iov[0].iov_base;
  uint32_t wanted = (uint32_t)block[SHIM_C_PLACE_BYTES];
  uint32_t taken = wanted < bytes ? wanted : bytes;
  uint8_t *target = place(shim, block[SHIM_C_PLACE_REGION], block[SHIM_C_PLACE_LO],
                          block[SHIM_C_PLACE_HI], wanted);
  if (!target || block[SHIM_C_RX_HEAD] != block[SHIM_C_RX_TAIL]) {
    breach(shim, target ? -EINVAL : -EFAULT);
    return bytes;
  }
  memmove(target, from, taken);
  memmove(from, from + taken, bytes - taken);
  advance_place(block, taken);
  count(shim, SHIM_N_COPIED_BYTES, taken);
  return bytes - taken;
}

/* The result of a receive: bytes, 0 at the end of the stream, or -errno. */
void connection_received(struct shim *shim, struct connection *connection, int32_t result) {
  int32_t *block = connection->block;
  connection->receiving = false;
  if (result <= 0) {
    if (result != -EAGAIN && result != -EINTR) end(shim, connection, -result);
    else connection_list(shim, connection); /* armed again when the next turn begins */
    connection_settle(shim, connection);
    return;
  }
  uint32_t bytes = (uint32_t)result;
  count(shim, SHIM_N_RECEIVES, 1);
  count(shim, SHIM_N_RECEIVED_BYTES, bytes);
  if (connection->placed_bytes) {
    uint32_t placed = bytes < connection->placed_bytes ? bytes : connection->placed_bytes;
    /* TypeScript may have taken the placement back meanwhile. */
    if (block[SHIM_C_PLACE_BYTES] >= (int32_t)placed) advance_place(block, placed);
    bytes -= placed;
  } else if (block[SHIM_C_PLACE_BYTES] > 0) {
    bytes = place_late(shim, connection, bytes);
  }
  block[SHIM_C_RX_TAIL] = (int32_t)((uint32_t)block[SHIM_C_RX_TAIL] + bytes);
  connection_ready(shim, connection);
  connection_settle(shim, connection);
}

/* ---- coming and going ----------------------------------------------------------------------- */

/* CLOSED, as soon as nothing of it is in flight. */
void connection_settle(struct shim *shim, struct connection *connection) {
  if (!connection->closing || connection->receiving || connection->sending) return;
  if (connection->fd < 0) return;
  socket_close(connection->fd);
  connection->fd = -1;
  connection->block[SHIM_C_STATE] = SHIM_STATE_CLOSED;
  connection_ready(shim, connection);
}

void connection_close(struct shim *shim, struct connection *connection) {
  if (connection->closing || connection->fd < 0) return;
  connection->closing = true;
  if (connection->receiving || connection->sending) {
    socket_break(connection->fd);
    shim->engine->cancel(shim, connection);
  }
  connection_settle(shim, connection);
}

/* What a turn does with a connection that was touched, adopted, or ready in the turn before. */
void connection_visit(struct shim *shim, struct connection *connection) {
  int32_t *block = connection->block;
  int32_t flags = block[SHIM_C_FLAGS];
  if (connection->fd < 0) return;
  if (flags & SHIM_F_CLOSE) connection_close(shim, connection);
  else if (block[SHIM_C_STATE] == SHIM_STATE_OPEN) {
    if (!connection->sending) send_next(shim, connection);
    if (!connection->receiving && !(flags & SHIM_F_PAUSE) && !shim->broken &&
        block[SHIM_C_STATE] == SHIM_STATE_OPEN) {
      arm(shim, connection);
    }
  }
}

/* All but the word that says whether it is in the list of touched connections. */
static void clear_block(struct connection *connection) {
  int32_t touched = connection->block[SHIM_C_TOUCHED];
  memset(connection->block, 0, 64);
  connection->block[SHIM_C_TOUCHED] = touched;
}

int32_t shim_adopt(int32_t socket) {
  struct shim *shim = shim_here;
  if (!shim) return -EINVAL;
  int result = socket_check(socket);
  if (result < 0) return result;
  if (!socket_streams(socket)) return -EINVAL;
  int32_t index = 0;
  while (index < shim->limits.connections_max &&
         shim->connections[index].block[SHIM_C_STATE] != SHIM_STATE_FREE) {
    index++;
  }
  if (index == shim->limits.connections_max) return -ENOSPC;
  struct connection *connection = &shim->connections[index];
  result = arena_ring_map(shim, connection);
  if (result < 0) return result;
  struct connection fresh = {.index = index, .fd = socket, .block = connection->block,
                             .mapped = true, .visit = connection->visit,
                             .ready = connection->ready, .tx_iov = connection->tx_iov,
                             .tx_headers = connection->tx_headers};
  *connection = fresh;
  socket_options(socket, shim->limits.socket_buffer_bytes);
  result = shim->engine->adopt(shim, connection);
  if (result < 0) {
    connection->fd = -1;
    return result;
  }
  clear_block(connection);
  connection->block[SHIM_C_STATE] = SHIM_STATE_OPEN;
  connection_list(shim, connection);
  return index;
}

int32_t shim_release(int32_t index) {
  struct shim *shim = shim_here;
  if (!shim || index < 0 || index >= shim->limits.connections_max) return -EINVAL;
  struct connection *connection = &shim->connections[index];
  if (connection->block[SHIM_C_STATE] != SHIM_STATE_CLOSED) return -EBUSY;
  if (connection->fd >= 0) return -EBUSY;
  arena_ring_forget(shim, connection);
  clear_block(connection);
  return 0;
}
