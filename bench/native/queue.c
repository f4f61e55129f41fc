/*
 * One I/O queue under load: many commands outstanding, nothing ever waits.
 * load → queue → load_complete.                        NVMe/TCP Transport 1.0, data transfer rules
 *
 *   receive:  shared buffer ─ C2HData → command · R2T → requests · CapsuleResp → load_complete
 *   send:     headers, one after another │ payload │ headers …        one gather-send a turn
 *
 * A target is not trusted: everything it sends is checked, and the first break of the protocol ends
 * the program with a sentence. Payload is copied once, by the kernel, unless it is to be verified.
 * Invariant: the transmit lists only start over when they are empty, so nothing queued ever moves.
 */
#define _GNU_SOURCE
#include "crc32c.h"
#include "host.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { TX_ENTRIES = 4096, HEADERS_BYTES = 512 << 10, GATHER_MAX = 1024 };
/* The most that one PDU takes: header, payload and digest, each possibly an entry of its own. */
enum { PDU_ENTRIES = 3, PDU_HEADER_BYTES = CMD_BYTES + 2 * DIGEST_BYTES + 128 };

/* What every write sends unless it is verified: bytes that do not compress. */
static uint8_t *payload;
static uint32_t payload_bytes;

static void *allocate(size_t bytes) {
  void *memory = calloc(1, bytes);
  if (memory == NULL) fail("out of memory for %zu bytes", bytes);
  return memory;
}

static void open_payload(uint32_t bytes) {
  uint64_t state = 0x9e3779b97f4a7c15u;
  if (payload_bytes >= bytes) return;
  payload = allocate(bytes);
  payload_bytes = bytes;
  for (uint32_t i = 0; i + 8 <= bytes; i += 8) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    put64(payload + i, state ^ state >> 31);
  }
}

void queue_open(struct queue *q, uint32_t block, uint32_t depth, bool buffers) {
  q->block = block;
  q->depth = depth;
  q->commands = allocate(depth * sizeof *q->commands);
  q->free_list = allocate(depth * sizeof *q->free_list);
  q->tx = allocate(TX_ENTRIES * sizeof *q->tx);
  q->headers = allocate(HEADERS_BYTES);
  for (q->request_max = 1; q->request_max < depth * q->r2t_max;) q->request_max *= 2;
  q->requests = allocate(q->request_max * sizeof *q->requests);
  for (uint32_t i = 0; i < depth; i++) {
    q->free_list[i] = (uint16_t)(depth - 1 - i);
    if (buffers) q->commands[i].buffer = allocate(block);
  }
  q->free_count = depth;
  open_payload(block);
}

/* ---- sending -------------------------------------------------------------------------------- */

bool queue_has_room(const struct queue *q) {
  return q->tx_tail + PDU_ENTRIES <= TX_ENTRIES
      && q->headers_bytes + PDU_HEADER_BYTES <= HEADERS_BYTES;
}

/* Queues bytes; what directly follows the entry before only makes that one longer. */
static void append(struct queue *q, const uint8_t *at, uint32_t bytes) {
  if (q->tx_tail > q->tx_head) {
    struct iovec *last = &q->tx[q->tx_tail - 1];
    if ((uint8_t *)last->iov_base + last->iov_len == at) {
      last->iov_len += bytes;
      return;
    }
  }
  q->tx[q->tx_tail++] = (struct iovec){ .iov_base = (uint8_t *)(uintptr_t)at, .iov_len = bytes };
}

/* The next zeroed place for a header of up to `bytes`; append_pdu takes what it really needs. */
static uint8_t *next_header(struct queue *q, uint32_t bytes) {
  uint8_t *at = q->headers + q->headers_bytes;
  memset(at, 0, bytes);
  return at;
}

/* Queues the PDU whose header of hlen bytes was written at next_header: fills in the common header,
 * digests and padding. data NULL = none. */
static void append_pdu(struct queue *q, uint32_t type, uint32_t flags, uint32_t hlen,
                       const uint8_t *data, uint32_t bytes) {
  uint8_t *at = q->headers + q->headers_bytes;
  uint32_t header = hlen + (q->header_digest ? DIGEST_BYTES : 0);
  uint32_t pdo = bytes == 0 ? 0 : (header + q->align - 1) / q->align * q->align;
  uint32_t begin = bytes == 0 ? header : pdo;
  uint32_t tail = q->data_digest && bytes > 0 ? DIGEST_BYTES : 0;
  flags |= (q->header_digest ? FLAG_HDGST : 0) | (tail > 0 ? FLAG_DDGST : 0);
  put_header(at, type, flags, hlen, pdo, begin + bytes + tail);
  if (q->header_digest) put32(at + hlen, crc32c_of(at, hlen));
  append(q, at, begin);
  q->headers_bytes += begin;
  if (bytes > 0) append(q, data, bytes);
  if (tail == 0) return;
  put32(at + begin, crc32c_of(data, bytes));
  append(q, at + begin, DIGEST_BYTES);
  q->headers_bytes += DIGEST_BYTES;
}

static const uint8_t *payload_of(const struct command *command) {
  return command->buffer != NULL ? command->buffer : payload;
}

void queue_issue(struct queue *q, uint16_t cid, uint64_t lba, uint32_t lba_count, uint32_t nsid) {
  struct command *command = &q->commands[cid];
  uint8_t *sqe = next_header(q, CMD_BYTES + 128 + DIGEST_BYTES) + SQE_AT;
  bool in_capsule = command->opcode == OPC_WRITE && q->block <= q->in_capsule_max;
  command->busy = true;
  command->damaged = false;
  command->moved_bytes = command->sent_bytes = 0;
  command->r2t_open = 0;
  sqe[SQE_OPCODE] = command->opcode;
  sqe[SQE_FLAGS] = PSDT_SGL;
  put16(sqe + SQE_CID, cid);
  put32(sqe + SQE_NSID, nsid);
  put32(sqe + SQE_SGL_LENGTH, q->block);
  sqe[SQE_SGL_TYPE] = in_capsule ? SGL_IN_CAPSULE : SGL_TRANSPORT;
  put64(sqe + SQE_CDW10, lba);
  put32(sqe + SQE_CDW12, lba_count - 1);
  if (in_capsule) command->moved_bytes = command->sent_bytes = q->block;
  append_pdu(q, PDU_CAPSULE_CMD, 0, CMD_BYTES, payload_of(command), in_capsule ? q->block : 0);
}

/* Answers R2Ts in the order of their arrival, while there is room. */
static void answer_requests(struct queue *q) {
  while (q->request_head != q->request_tail && queue_has_room(q)) {
    struct request *r = &q->requests[q->request_head & (q->request_max - 1)];
    struct command *command = &q->commands[r->cid];
    uint32_t bytes = r->left < q->h2c_max ? r->left : q->h2c_max;
    uint8_t *at = next_header(q, DATA_BYTES + 128 + DIGEST_BYTES);
    put16(at + DATA_CID, r->cid);
    put16(at + DATA_TTAG, r->ttag);
    put32(at + DATA_OFFSET, r->offset);
    put32(at + DATA_LENGTH, bytes);
    append_pdu(q, PDU_H2C_DATA, bytes == r->left ? FLAG_LAST : 0, DATA_BYTES,
               payload_of(command) + r->offset, bytes);
    command->sent_bytes += bytes;
    r->offset += bytes;
    r->left -= bytes;
    if (r->left > 0) continue;
    command->r2t_open--;
    q->request_head++;
  }
}

uint64_t queue_send(struct queue *q, struct load *load) {
  uint64_t sent = 0;
  answer_requests(q);
  while (q->tx_head < q->tx_tail) {
    uint32_t count = q->tx_tail - q->tx_head;
    struct msghdr message = { .msg_iov = q->tx + q->tx_head,
                              .msg_iovlen = count < GATHER_MAX ? count : GATHER_MAX };
    ssize_t n = sendmsg(q->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    load_count_syscall(load, false);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return sent;
    if (n < 0) fail("send on queue %u: %s", q->id, strerror(errno));
    sent += (uint64_t)n;
    for (size_t left = (size_t)n; left > 0;) {
      struct iovec *entry = &q->tx[q->tx_head];
      size_t part = left < entry->iov_len ? left : entry->iov_len;
      entry->iov_base = (uint8_t *)entry->iov_base + part;
      entry->iov_len -= part;
      left -= part;
      if (entry->iov_len == 0) q->tx_head++;
    }
    if (q->tx_head < q->tx_tail) continue;
    q->tx_head = q->tx_tail = q->headers_bytes = 0;
    answer_requests(q);
  }
  return sent;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static struct command *busy_command(struct queue *q, uint32_t cid, const char *what) {
  if (cid >= q->depth || !q->commands[cid].busy)
    fail("queue %u: %s for CID %u, which is not outstanding", q->id, what, cid);
  return &q->commands[cid];
}

static void complete(struct queue *q, struct load *load, uint16_t cid, uint32_t status) {
  struct command *command = &q->commands[cid];
  if (status == 0 && command->moved_bytes != q->block)
    fail("queue %u: success after %u of %u bytes", q->id, command->moved_bytes, q->block);
  if (command->r2t_open > 0) fail("queue %u: completed before its R2Ts were answered", q->id);
  if (command->damaged && status == 0) status = 0x22;           /* transient transport error */
  load_complete(load, q, cid, status);
  command->busy = false;
  q->free_list[q->free_count++] = cid;
}

static void begin_data(struct queue *q, const uint8_t *at) {
  uint32_t cid = get16(at + DATA_CID), length = get32(at + DATA_LENGTH);
  uint32_t tail = q->data_digest ? DIGEST_BYTES : 0;
  struct command *command = busy_command(q, cid, "C2HData");
  if (command->opcode != OPC_READ) fail("queue %u: C2HData for a write", q->id);
  if (get32(at + DATA_OFFSET) != command->moved_bytes || length == 0
      || length > q->block - command->moved_bytes)
    fail("queue %u: C2HData of %u bytes at %u, expected at %u of %u", q->id, length,
         get32(at + DATA_OFFSET), command->moved_bytes, q->block);
  if (get32(at + CH_PLEN) != at[CH_PDO] + length + tail)
    fail("queue %u: C2HData with PLEN %u, PDO %u, DATAL %u", q->id, get32(at + CH_PLEN),
         at[CH_PDO], length);
  if (q->data_digest && !(at[CH_FLAGS] & FLAG_DDGST)) fail("queue %u: no DDGSTF", q->id);
  bool last = command->moved_bytes + length == q->block;
  if (last != !!(at[CH_FLAGS] & FLAG_LAST)) fail("queue %u: LAST is wrong in C2HData", q->id);
  if ((at[CH_FLAGS] & FLAG_SUCCESS) && (!last || !q->success_allowed))
    fail("queue %u: SUCCESS where it is not allowed", q->id);
  q->data_open = true;
  q->data_left = length;
  q->data_cid = (uint16_t)cid;
  q->data_flags = at[CH_FLAGS];
  q->data_crc = CRC32C_SEED;
}

/* Takes bytes of the data PDU under way: payload, then digest. Returns how many it took; 0 when the
 * digest is not there in whole. */
static uint32_t take_data(struct queue *q, struct load *load, const uint8_t *at, uint32_t there) {
  struct command *command = &q->commands[q->data_cid];
  uint32_t taken = 0;
  if (q->data_left > 0) {
    taken = there < q->data_left ? there : q->data_left;
    if (q->data_digest) q->data_crc = crc32c_feed(q->data_crc, at, taken);
    if (command->buffer != NULL) memcpy(command->buffer + command->moved_bytes, at, taken);
    command->moved_bytes += taken;
    q->data_left -= taken;
    if (q->data_left > 0) return taken;
  }
  if (q->data_digest) {
    if (there - taken < DIGEST_BYTES) return taken;
    if (get32(at + taken) != crc32c_finish(q->data_crc)) command->damaged = true;
    taken += DIGEST_BYTES;
  }
  q->data_open = false;
  if (q->data_flags & FLAG_SUCCESS) complete(q, load, q->data_cid, 0);
  return taken;
}

static void take_request(struct queue *q, const uint8_t *at) {
  uint16_t cid = get16(at + DATA_CID);
  uint32_t offset = get32(at + DATA_OFFSET), length = get32(at + DATA_LENGTH);
  struct command *command = busy_command(q, cid, "R2T");
  if (command->opcode != OPC_WRITE) fail("queue %u: R2T for a read", q->id);
  if (offset != command->moved_bytes || length == 0 || length > q->block - command->moved_bytes)
    fail("queue %u: R2T of %u bytes at %u, expected at %u of %u", q->id, length, offset,
         command->moved_bytes, q->block);
  if (++command->r2t_open > q->r2t_max)
    fail("queue %u: more than %u R2Ts outstanding for one command", q->id, q->r2t_max);
  command->moved_bytes += length;
  q->requests[q->request_tail++ & (q->request_max - 1)] =
    (struct request){ .offset = offset, .left = length, .cid = cid, .ttag = get16(at + DATA_TTAG) };
}

static void take_response(struct queue *q, struct load *load, const uint8_t *at) {
  const uint8_t *cqe = at + CQE_AT;
  uint16_t cid = get16(cqe + CQE_CID);
  busy_command(q, cid, "CapsuleResp");
  complete(q, load, cid, get16(cqe + CQE_STATUS) >> 1);
}

/* Bytes of the header at `at`, with digest and padding; fails when no host would accept it. */
static uint32_t header_bytes(const struct queue *q, const uint8_t *at) {
  uint32_t type = at[CH_TYPE], plen = get32(at + CH_PLEN);
  uint32_t header = RSP_BYTES + (q->header_digest ? DIGEST_BYTES : 0);
  if (type == PDU_C2H_TERM) return plen >= RSP_BYTES && plen <= TERM_BYTES_MAX ? plen : RSP_BYTES;
  if (type != PDU_CAPSULE_RESP && type != PDU_C2H_DATA && type != PDU_R2T)
    fail("queue %u: PDU of type %u", q->id, type);
  if (at[CH_HLEN] != RSP_BYTES) fail("queue %u: HLEN %u, type %u", q->id, at[CH_HLEN], type);
  if (q->header_digest && !(at[CH_FLAGS] & FLAG_HDGST)) fail("queue %u: no HDGSTF", q->id);
  if (type != PDU_C2H_DATA) {
    if (plen != header) fail("queue %u: PLEN %u in PDU type %u", q->id, plen, type);
    return header;
  }
  if (at[CH_PDO] < header) fail("queue %u: PDO %u in C2HData", q->id, at[CH_PDO]);
  return at[CH_PDO];
}

static void take_header(struct queue *q, struct load *load, const uint8_t *at) {
  if (at[CH_TYPE] == PDU_C2H_TERM)
    fail("queue %u: C2HTermReq, FES %u, FEI %u", q->id, get16(at + TERM_FES), get32(at + TERM_FEI));
  if (q->header_digest && get32(at + RSP_BYTES) != crc32c_of(at, RSP_BYTES))
    fail("queue %u: header digest of PDU type %u is wrong", q->id, at[CH_TYPE]);
  if (at[CH_TYPE] == PDU_C2H_DATA) begin_data(q, at);
  else if (at[CH_TYPE] == PDU_R2T) take_request(q, at);
  else take_response(q, load, at);
}

uint64_t queue_receive(struct queue *q, struct load *load) {
  uint8_t *at = load_receive_buffer(load);
  memcpy(at, q->kept, q->kept_bytes);
  ssize_t n = recv(q->socket, at + q->kept_bytes, LOAD_RX_BYTES - q->kept_bytes, MSG_DONTWAIT);
  load_count_syscall(load, true);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (n == 0) fail("queue %u: the target closed the connection", q->id);
  if (n < 0) fail("receive on queue %u: %s", q->id, strerror(errno));
  const uint8_t *end = at + q->kept_bytes + n;
  while (at < end) {
    uint32_t there = (uint32_t)(end - at);
    if (q->data_open) {
      uint32_t taken = take_data(q, load, at, there);
      if (taken == 0) break;
      at += taken;
      continue;
    }
    if (there < 8) break;
    uint32_t bytes = header_bytes(q, at);
    if (there < bytes) break;
    take_header(q, load, at);
    at += bytes;
  }
  q->kept_bytes = (uint32_t)(end - at);
  memcpy(q->kept, at, q->kept_bytes);
  return (uint64_t)n;
}
