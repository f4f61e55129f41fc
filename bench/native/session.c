/*
 * Connects a controller the way a host does, one step at a time, and takes it down in order.
 * load → session.       NVMe over Fabrics: Connect, Property; NVMe base: Identify, Set Features
 *
 *   TCP → ICReq → Connect (admin) → CAP → CC.EN → CSTS.RDY → Identify → Number of Queues
 *   TCP → ICReq → Connect (I/O), per queue
 *
 * Invariant: nothing else is outstanding on a queue while a step of this file waits, so the next
 * bytes are the answer; a wait ends after WAIT_SECONDS with a sentence.
 */
#define _GNU_SOURCE
#include "crc32c.h"
#include "host.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_SECONDS = 10, ADMIN_SQSIZE = 31, H2C_MAX_MIN = 4096 };
enum { CC_ENABLE = 1 | 6 << 16 | 4 << 20, CC_SHUTDOWN = 1 << 14 };   /* entry sizes 64 and 16 B */
enum { CSTS_READY = 1, CSTS_FATAL = 2, CSTS_SHST = 0xc, CSTS_SHUT_DOWN = 0x8 };

static int open_socket(const struct options *options) {
  struct addrinfo *found, hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
  int error = getaddrinfo(options->address, options->port, &hints, &found);
  if (error != 0) fail("%s port %s: %s", options->address, options->port, gai_strerror(error));
  int s = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s < 0) fail("socket: %s", strerror(errno));
  int one = 1, bytes = (int)options->socket_buffer;
  struct timeval wait = { .tv_sec = WAIT_SECONDS };
  if (bytes > 0) {
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(s, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(s, found->ai_addr, found->ai_addrlen) != 0)
    fail("connect to %s port %s: %s", options->address, options->port, strerror(errno));
  freeaddrinfo(found);
  return s;
}

static void send_all(int s, const uint8_t *at, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = send(s, at, bytes, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("send: %s", strerror(errno));
    at += n;
    bytes -= (size_t)n;
  }
}

static void receive_all(int s, uint8_t *at, size_t bytes, const char *what) {
  while (bytes > 0) {
    ssize_t n = recv(s, at, bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) fail("the target closed the connection instead of answering %s", what);
    if (n < 0) fail("no answer to %s: %s", what, strerror(errno));
    at += n;
    bytes -= (size_t)n;
  }
}

static void exchange_ic(struct queue *q, const struct options *options) {
  uint8_t pdu[IC_BYTES] = { 0 };
  uint8_t digests = (uint8_t)(options->header_digest | options->data_digest << 1);
  put_header(pdu, PDU_ICREQ, 0, IC_BYTES, 0, IC_BYTES);
  pdu[IC_ALIGN] = (uint8_t)options->hpda;
  pdu[IC_DIGESTS] = digests;
  put32(pdu + IC_LIMIT, options->r2t_max - 1);
  send_all(q->socket, pdu, sizeof pdu);
  receive_all(q->socket, pdu, sizeof pdu, "ICReq");
  if (pdu[CH_TYPE] != PDU_ICRESP || pdu[CH_HLEN] != IC_BYTES || get32(pdu + CH_PLEN) != IC_BYTES)
    fail("ICReq was answered by PDU type %u of %u bytes", pdu[CH_TYPE], get32(pdu + CH_PLEN));
  if (get16(pdu + IC_PFV) != 0) fail("ICResp: PFV is %u", get16(pdu + IC_PFV));
  if (pdu[IC_DIGESTS] != digests)
    fail("ICResp: digests are %u, asked for %u", pdu[IC_DIGESTS], digests);
  if (pdu[IC_ALIGN] > 31) fail("ICResp: CPDA is %u, allowed: 0 to 31", pdu[IC_ALIGN]);
  q->align = (pdu[IC_ALIGN] + 1u) * 4;
  q->h2c_max = get32(pdu + IC_LIMIT);
  if (q->h2c_max < H2C_MAX_MIN || q->h2c_max % 4 != 0)
    fail("ICResp: MAXH2CDATA is %u, allowed: multiples of 4 from 4096", q->h2c_max);
  if (options->h2c_max > 0 && options->h2c_max < q->h2c_max) q->h2c_max = options->h2c_max;
  q->r2t_max = options->r2t_max;
  q->header_digest = options->header_digest;
  q->data_digest = options->data_digest;
}

static void send_capsule(struct queue *q, uint8_t sqe[SQE_BYTES], const uint8_t *out,
                         uint32_t out_bytes) {
  uint8_t pdu[CMD_BYTES + DIGEST_BYTES + 128 + CONNECT_BYTES + DIGEST_BYTES] = { 0 };
  uint32_t header = CMD_BYTES + (q->header_digest ? DIGEST_BYTES : 0), flags = 0;
  uint32_t pdo = out_bytes == 0 ? 0 : (header + q->align - 1) / q->align * q->align;
  uint32_t tail = q->data_digest && out_bytes > 0 ? DIGEST_BYTES : 0;
  uint32_t plen = (out_bytes == 0 ? header : pdo + out_bytes) + tail;
  if (q->header_digest) flags |= FLAG_HDGST;
  if (tail > 0) flags |= FLAG_DDGST;
  sqe[SQE_FLAGS] = PSDT_SGL;
  if (out_bytes > 0) {
    put32(sqe + SQE_SGL_LENGTH, out_bytes);
    sqe[SQE_SGL_TYPE] = SGL_IN_CAPSULE;
    memcpy(pdu + pdo, out, out_bytes);
  } else {
    sqe[SQE_SGL_TYPE] = SGL_TRANSPORT;
  }
  put_header(pdu, PDU_CAPSULE_CMD, flags, CMD_BYTES, pdo, plen);
  memcpy(pdu + SQE_AT, sqe, SQE_BYTES);
  if (q->header_digest) put32(pdu + CMD_BYTES, crc32c_of(pdu, CMD_BYTES));
  if (tail > 0) put32(pdu + pdo + out_bytes, crc32c_of(out, out_bytes));
  send_all(q->socket, pdu, plen);
}

/* Reads one PDU's header and digest, checks both. */
static void receive_header(struct queue *q, uint8_t *pdu, const char *what) {
  receive_all(q->socket, pdu, 8, what);
  uint32_t digest = q->header_digest ? DIGEST_BYTES : 0;
  if (pdu[CH_TYPE] == PDU_C2H_TERM) {
    receive_all(q->socket, pdu + 8, 8, what);
    fail("%s: C2HTermReq, FES %u, FEI %u", what, get16(pdu + TERM_FES), get32(pdu + TERM_FEI));
  }
  if ((pdu[CH_TYPE] != PDU_CAPSULE_RESP && pdu[CH_TYPE] != PDU_C2H_DATA)
      || pdu[CH_HLEN] != RSP_BYTES)
    fail("%s was answered by PDU type %u, header of %u bytes", what, pdu[CH_TYPE], pdu[CH_HLEN]);
  receive_all(q->socket, pdu + 8, RSP_BYTES - 8 + digest, what);
  if (digest > 0 && get32(pdu + RSP_BYTES) != crc32c_of(pdu, RSP_BYTES))
    fail("%s: the answer's header digest is wrong", what);
}

/* Sends one command and waits for its completion; fails unless it succeeds. in: IDENTIFY_BYTES. */
static void execute(struct queue *q, uint8_t sqe[SQE_BYTES], const uint8_t *out,
                    uint32_t out_bytes, uint8_t *in, uint8_t cqe[CQE_BYTES], const char *what) {
  uint8_t pdu[256];
  uint32_t received = 0;
  send_capsule(q, sqe, out, out_bytes);
  receive_header(q, pdu, what);
  while (pdu[CH_TYPE] == PDU_C2H_DATA) {
    uint32_t at = RSP_BYTES + (q->header_digest ? DIGEST_BYTES : 0), pdo = pdu[CH_PDO];
    uint32_t length = get32(pdu + DATA_LENGTH);
    if (in == NULL || get32(pdu + DATA_OFFSET) != received || length > IDENTIFY_BYTES - received)
      fail("%s: C2HData of %u bytes at %u was not asked for", what, length,
           get32(pdu + DATA_OFFSET));
    if (pdo > at) receive_all(q->socket, pdu + at, pdo - at, what);
    receive_all(q->socket, in + received, length, what);
    if (q->data_digest) {
      uint8_t digest[DIGEST_BYTES];
      receive_all(q->socket, digest, DIGEST_BYTES, what);
      if (get32(digest) != crc32c_of(in + received, length)) fail("%s: data digest", what);
    }
    received += length;
    if (pdu[CH_FLAGS] & FLAG_SUCCESS) {
      memset(cqe, 0, CQE_BYTES);
      return;
    }
    receive_header(q, pdu, what);
  }
  memcpy(cqe, pdu + CQE_AT, CQE_BYTES);
  uint32_t status = get16(cqe + CQE_STATUS) >> 1;
  if (status != 0)
    fail("%s: status %x/%02xh, dword 0 %08xh", what, status >> 8 & 7, status & 255,
         get32(cqe + CQE_DW0));
  if (in != NULL && received != IDENTIFY_BYTES)
    fail("%s: %u bytes instead of %u", what, received, IDENTIFY_BYTES);
}

static void fabrics_connect(struct queue *q, const struct options *options, uint16_t id,
                            uint32_t sqsize, uint16_t controller_id, uint16_t *answer) {
  uint8_t sqe[SQE_BYTES] = { 0 }, cqe[CQE_BYTES], data[CONNECT_BYTES] = { 0 };
  char what[32];
  snprintf(what, sizeof what, "Connect of queue %u", id);
  sqe[SQE_OPCODE] = OPC_FABRICS;
  sqe[SQE_FCTYPE] = FCTYPE_CONNECT;
  put16(sqe + 42, id);
  put16(sqe + 44, sqsize);
  sqe[46] = options->flow_control ? 0 : 4;             /* CATTR: disable SQ flow control */
  if (id == 0) put32(sqe + 48, options->keep_alive_ms);
  memcpy(data, "weft load host 1", 16);                /* HOSTID */
  put16(data + 16, controller_id);
  snprintf((char *)data + 256, 224, "%s", options->nqn);
  snprintf((char *)data + 512, 224, "%s", options->host_nqn);
  execute(q, sqe, data, sizeof data, NULL, cqe, what);
  *answer = get16(cqe + CQE_DW0);
  if (get32(cqe + CQE_DW0) >> 17 & 3) fail("%s: the target wants authentication", what);
  q->success_allowed = !options->flow_control;
}

static uint64_t property_get(struct queue *q, uint32_t property, uint32_t bytes) {
  uint8_t sqe[SQE_BYTES] = { 0 }, cqe[CQE_BYTES];
  sqe[SQE_OPCODE] = OPC_FABRICS;
  sqe[SQE_FCTYPE] = FCTYPE_PROPERTY_GET;
  sqe[SQE_CDW10] = bytes == 8;
  put32(sqe + SQE_CDW11, property);
  execute(q, sqe, NULL, 0, NULL, cqe, "Property Get");
  return bytes == 8 ? get64(cqe) : get32(cqe);
}

static void property_set(struct queue *q, uint32_t property, uint32_t value) {
  uint8_t sqe[SQE_BYTES] = { 0 }, cqe[CQE_BYTES];
  sqe[SQE_OPCODE] = OPC_FABRICS;
  sqe[SQE_FCTYPE] = FCTYPE_PROPERTY_SET;
  put32(sqe + SQE_CDW11, property);
  put32(sqe + SQE_CDW12, value);
  execute(q, sqe, NULL, 0, NULL, cqe, "Property Set");
}

/* Polls CSTS until (CSTS & mask) == value, as a host does, every millisecond. */
static void await_status(struct queue *q, uint32_t mask, uint32_t value, const char *what) {
  for (int tries = 0; tries < WAIT_SECONDS * 1000; tries++) {
    uint32_t csts = (uint32_t)property_get(q, PROP_CSTS, 4);
    if (csts & CSTS_FATAL) fail("the controller reports a fatal status while %s", what);
    if ((csts & mask) == value) return;
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
  }
  fail("the controller is still not %s after %d s", what, WAIT_SECONDS);
}

static void identify(struct queue *q, uint32_t cns, uint32_t nsid, uint8_t *data) {
  uint8_t sqe[SQE_BYTES] = { 0 }, cqe[CQE_BYTES];
  sqe[SQE_OPCODE] = OPC_IDENTIFY;
  put32(sqe + SQE_NSID, nsid);
  put32(sqe + SQE_CDW10, cns);
  put32(sqe + SQE_SGL_LENGTH, IDENTIFY_BYTES);
  execute(q, sqe, NULL, 0, data, cqe, cns == 0 ? "Identify namespace" : "Identify controller");
}

static void learn_limits(struct controller *c, const struct options *options, uint64_t cap) {
  uint8_t *data = malloc(IDENTIFY_BYTES);
  if (data == NULL) fail("out of memory");
  identify(&c->admin, 1, 0, data);
  uint32_t mdts = data[77], maxcmd = get16(data + 514), ioccsz = get32(data + 1792);
  c->transfer_max = mdts == 0 ? 0 : (uint64_t)4096 << mdts;
  c->in_capsule_max = ioccsz * 16 > SQE_BYTES ? ioccsz * 16 - SQE_BYTES : 0;
  c->depth_max = (uint32_t)(cap & 0xffff) + 1;
  if (maxcmd > 0 && maxcmd < c->depth_max) c->depth_max = maxcmd;
  if (get16(data + 78) != c->id)
    fail("Identify: CNTLID %u, but Connect answered %u", get16(data + 78), c->id);
  identify(&c->admin, 0, options->nsid, data);
  c->block_count = get64(data);
  uint32_t format = data[26] & 15, shift = data[128 + format * 4 + 2];
  if (c->block_count == 0) fail("namespace %u does not exist", options->nsid);
  if (shift < 9 || shift > 16) fail("namespace %u: blocks of 2^%u bytes", options->nsid, shift);
  c->block_bytes = 1u << shift;
  free(data);
}

void session_open(struct controller *c, const struct options *options, uint32_t queues) {
  uint8_t sqe[SQE_BYTES] = { 0 }, cqe[CQE_BYTES];
  struct queue *q = &c->admin;
  q->controller = c;
  q->socket = open_socket(options);
  exchange_ic(q, options);
  fabrics_connect(q, options, 0, ADMIN_SQSIZE, 0xffff, &c->id);
  uint64_t cap = property_get(q, PROP_CAP, 8);
  property_set(q, PROP_CC, CC_ENABLE);
  await_status(q, CSTS_READY, CSTS_READY, "ready");
  learn_limits(c, options, cap);
  sqe[SQE_OPCODE] = OPC_SET_FEATURES;
  put32(sqe + SQE_CDW10, 7);
  put32(sqe + SQE_CDW11, (queues - 1) | (queues - 1) << 16);
  execute(q, sqe, NULL, 0, NULL, cqe, "Set Features, Number of Queues");
  uint32_t sq = get16(cqe) + 1u, cq = get16(cqe + 2) + 1u;
  c->queues_granted = sq < cq ? sq : cq;
}

void session_open_queue(struct queue *q, struct controller *c, const struct options *options,
                        uint16_t id, uint32_t depth) {
  uint16_t answer;
  uint32_t entries = depth + (options->flow_control ? 1 : 0);
  if (entries < 2) entries = 2;
  q->id = id;
  q->controller = c;
  q->socket = open_socket(options);
  exchange_ic(q, options);
  fabrics_connect(q, options, id, entries - 1, c->id, &answer);
  q->in_capsule_max = c->in_capsule_max < options->in_capsule_max ? c->in_capsule_max
                                                                  : options->in_capsule_max;
}

void session_close(struct controller *c) {
  /* I/O queues first, as a host's driver does: nothing is outstanding on them any more. */
  for (uint32_t i = 0; i < c->queue_count; i++) close(c->queues[i].socket);
  property_set(&c->admin, PROP_CC, CC_ENABLE | CC_SHUTDOWN);
  await_status(&c->admin, CSTS_SHST, CSTS_SHUT_DOWN, "shut down");
  close(c->admin.socket);
}
