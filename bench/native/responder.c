/*
 * The ceiling that the kernel's TCP stack leaves: answers NVMe/TCP commands with the right bytes
 * and nothing else. No checks, no states, no namespace sharing, no limits: not a target.
 * bench.ts --responder starts it; load connects to it as to any target.
 *
 *   turn = one receive per connection → find commands → one gather-send per connection
 *
 * Reads come from memory of the namespace's size, so that the kernel's copy misses the same caches;
 * writes are received and dropped, or copied there with --store. One thread spins for 50 ms after
 * the last byte, then blocks. Invariant: a connection receives only when all it owed is sent.
 */
#define _GNU_SOURCE
#include "crc32c.h"
#include "wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RX_BYTES = 256 << 10, TX_ENTRIES = 16384, HEADERS_BYTES = 1 << 20, EVENTS = 64,
       GATHER_MAX = 1024, POLL_EACH_MAX = 4, CONNECTIONS_MAX = 4096, H2C_MAX = 1 << 20,
       MDTS = 8, DEPTH_MAX = 4096, QUEUES = 128, LBA_BYTES = 512 };

struct connection {
  int socket;
  uint16_t id;                     /* QID, from Connect */
  bool header_digest, data_digest;
  uint32_t cc;
  uint8_t kept[2048];              /* start of a PDU; Connect is the largest */
  uint32_t kept_bytes;
  uint64_t skip_bytes;             /* payload under way, to memory or nowhere */
  uint8_t *skip_to;
  int32_t skip_cid;                /* answered when the payload is there; -1 = none */
  struct iovec *tx;
  uint32_t tx_head, tx_tail, headers_bytes;
  uint8_t *headers;
  uint8_t *targets[DEPTH_MAX];     /* of writes that wait for H2CData; TTAG = CID below DEPTH_MAX */
};

static struct connection *connections[CONNECTIONS_MAX];
static uint32_t connection_count;
static uint8_t *memory, rx[RX_BYTES + 4096];
static uint64_t memory_bytes = (uint64_t)1 << 30;
static uint32_t in_capsule_bytes = 16384;
static bool stores;
static uint16_t controllers;

static void fail(const char *what) {
  fprintf(stderr, "responder: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void append(struct connection *c, const uint8_t *at, uint32_t bytes) {
  if (c->tx_tail > c->tx_head) {
    struct iovec *last = &c->tx[c->tx_tail - 1];
    if ((uint8_t *)last->iov_base + last->iov_len == at) {
      last->iov_len += bytes;
      return;
    }
  }
  c->tx[c->tx_tail++] = (struct iovec){ .iov_base = (uint8_t *)(uintptr_t)at, .iov_len = bytes };
}

/* Queues a PDU of 24 header bytes with w2 .. w5 as its specific header, and optional data. */
static void answer(struct connection *c, uint32_t type, uint32_t flags, const uint32_t words[4],
                   const uint8_t *data, uint32_t bytes) {
  uint8_t *at = c->headers + c->headers_bytes;
  uint32_t header = RSP_BYTES + (c->header_digest ? DIGEST_BYTES : 0);
  uint32_t tail = c->data_digest && bytes > 0 ? DIGEST_BYTES : 0;
  flags |= (c->header_digest ? FLAG_HDGST : 0) | (tail > 0 ? FLAG_DDGST : 0);
  put_header(at, type, flags, RSP_BYTES, bytes > 0 ? header : 0, header + bytes + tail);
  for (int i = 0; i < 4; i++) put32(at + 8 + 4 * i, words[i]);
  if (c->header_digest) put32(at + RSP_BYTES, crc32c_of(at, RSP_BYTES));
  append(c, at, header);
  c->headers_bytes += header;
  if (bytes > 0) append(c, data, bytes);
  if (tail == 0) return;
  put32(at + header, crc32c_of(data, bytes));
  append(c, at + header, DIGEST_BYTES);
  c->headers_bytes += DIGEST_BYTES;
}

static void respond(struct connection *c, uint32_t cid, uint32_t status, uint64_t result) {
  const uint32_t words[4] = { (uint32_t)result, (uint32_t)(result >> 32), 0, cid | status << 17 };
  answer(c, PDU_CAPSULE_RESP, 0, words, NULL, 0);
}

static void send_data(struct connection *c, uint32_t cid, const uint8_t *data, uint32_t bytes) {
  const uint32_t words[4] = { cid, 0, bytes, 0 };
  answer(c, PDU_C2H_DATA, FLAG_LAST | FLAG_SUCCESS, words, data, bytes);
}

static void identify(struct connection *c, uint32_t cid, uint32_t cns) {
  static uint8_t pages[2][IDENTIFY_BYTES];
  uint8_t *page = pages[cns & 1];
  if (cns == 1) {
    page[77] = MDTS;
    put16(page + 78, controllers);
    put16(page + 320, 100);                            /* KAS */
    put16(page + 514, DEPTH_MAX);
    put32(page + 516, 1);
    put32(page + 536, 1);
    put32(page + 1792, (SQE_BYTES + in_capsule_bytes) / 16);
    put32(page + 1796, 1);
  } else {
    put64(page, memory_bytes / LBA_BYTES);
    put64(page + 8, memory_bytes / LBA_BYTES);
    page[130] = 9;
  }
  send_data(c, cid, page, IDENTIFY_BYTES);
}

static void admin(struct connection *c, const uint8_t *sqe) {
  uint32_t cid = get16(sqe + SQE_CID), property = get32(sqe + SQE_CDW11);
  if (sqe[SQE_OPCODE] == OPC_IDENTIFY) {
    identify(c, cid, sqe[SQE_CDW10]);
  } else if (sqe[SQE_OPCODE] != OPC_FABRICS) {
    respond(c, cid, 0, (QUEUES - 1) | (QUEUES - 1) << 16);
  } else if (sqe[SQE_FCTYPE] == FCTYPE_CONNECT) {
    c->id = get16(sqe + 42);
    if (c->id == 0) controllers++;
    respond(c, cid, 0, controllers);
  } else if (sqe[SQE_FCTYPE] == FCTYPE_PROPERTY_SET) {
    if (property == PROP_CC) c->cc = get32(sqe + SQE_CDW12);
    respond(c, cid, 0, 0);
  } else {
    uint64_t cap = (DEPTH_MAX - 1) | (uint64_t)1 << 16 | (uint64_t)20 << 24 | (uint64_t)1 << 37;
    uint64_t csts = (c->cc & 1) | (c->cc >> 14 & 3 ? 8 : 0);
    respond(c, cid, 0, property == PROP_CAP ? cap : property == PROP_CSTS ? csts : c->cc);
  }
}

static uint8_t *place(const uint8_t *sqe) {
  return memory + get64(sqe + SQE_CDW10) * LBA_BYTES % memory_bytes;
}

/* ---- finding commands ------------------------------------------------------------------------ */

static void begin_payload(struct connection *c, uint8_t *to, uint32_t bytes, int32_t cid) {
  c->skip_to = stores ? to : NULL;
  c->skip_bytes = bytes + (c->data_digest ? DIGEST_BYTES : 0);
  c->skip_cid = cid;
}

/* One PDU header. Where the payload goes on in the stream, it is taken by take_payload. */
static void take_pdu(struct connection *c, const uint8_t *at) {
  const uint8_t *sqe = at + SQE_AT;
  uint32_t cid = get16(sqe + SQE_CID), length = get32(sqe + SQE_SGL_LENGTH);
  if (at[CH_TYPE] == PDU_ICREQ) {
    uint8_t *ic = c->headers;
    memset(ic, 0, IC_BYTES);
    put_header(ic, PDU_ICRESP, 0, IC_BYTES, 0, IC_BYTES);
    ic[IC_DIGESTS] = at[IC_DIGESTS] & 3;
    put32(ic + IC_LIMIT, H2C_MAX);
    append(c, ic, IC_BYTES);
    c->headers_bytes = IC_BYTES;
    c->header_digest = (at[IC_DIGESTS] & 1) != 0;
    c->data_digest = (at[IC_DIGESTS] & 2) != 0;
  } else if (at[CH_TYPE] == PDU_H2C_DATA) {
    uint16_t tag = get16(at + DATA_TTAG);
    bool last = (at[CH_FLAGS] & FLAG_LAST) != 0;
    begin_payload(c, c->targets[tag % DEPTH_MAX] + get32(at + DATA_OFFSET), get32(at + DATA_LENGTH),
                  last ? tag : -1);
  } else if (c->id == 0 || sqe[SQE_OPCODE] == OPC_FABRICS) {
    admin(c, sqe);
  } else if (sqe[SQE_OPCODE] == OPC_READ) {
    send_data(c, cid, place(sqe), length);
  } else if (sqe[SQE_OPCODE] == OPC_WRITE && sqe[SQE_SGL_TYPE] == SGL_IN_CAPSULE) {
    begin_payload(c, place(sqe), length, (int32_t)cid);
  } else if (sqe[SQE_OPCODE] == OPC_WRITE) {
    const uint32_t words[4] = { cid | cid << 16, 0, length, 0 };
    c->targets[cid % DEPTH_MAX] = place(sqe);
    answer(c, PDU_R2T, 0, words, NULL, 0);
  } else {
    respond(c, cid, 1, 0);
  }
}

/* Bytes of a PDU before its payload; Connect's data counts as header. */
static uint32_t header_bytes(const struct connection *c, const uint8_t *at) {
  uint32_t digest = c->header_digest ? DIGEST_BYTES : 0;
  if (at[CH_TYPE] == PDU_H2C_DATA) return DATA_BYTES + digest;
  if (at[CH_TYPE] != PDU_CAPSULE_CMD) return get32(at + CH_PLEN);
  bool fabrics = at[SQE_AT] == OPC_FABRICS;
  return fabrics ? get32(at + CH_PLEN) : CMD_BYTES + digest;
}

static uint32_t take_payload(struct connection *c, const uint8_t *at, uint32_t there) {
  uint32_t taken = there < c->skip_bytes ? there : (uint32_t)c->skip_bytes;
  uint32_t digest = c->data_digest ? DIGEST_BYTES : 0;
  if (c->skip_to != NULL && c->skip_bytes > digest) {
    uint64_t data = c->skip_bytes - digest;
    uint64_t bytes = taken < data ? taken : data;
    memcpy(c->skip_to, at, bytes);
    c->skip_to += bytes;
  }
  c->skip_bytes -= taken;
  if (c->skip_bytes == 0 && c->skip_cid >= 0) respond(c, (uint32_t)c->skip_cid, 0, 0);
  return taken;
}

static void close_connection(struct connection *c) {
  for (uint32_t i = 0; i < connection_count; i++)
    if (connections[i] == c) connections[i] = connections[--connection_count];
  close(c->socket);
  free(c->tx);
  free(c->headers);
  free(c);
}

/* Sends what is owed. False when the connection is gone. */
static bool send_owed(struct connection *c) {
  while (c->tx_head < c->tx_tail) {
    uint32_t count = c->tx_tail - c->tx_head;
    struct msghdr message = { .msg_iov = c->tx + c->tx_head,
                              .msg_iovlen = count < GATHER_MAX ? count : GATHER_MAX };
    ssize_t n = sendmsg(c->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n < 0) return false;
    for (size_t left = (size_t)n; left > 0;) {
      struct iovec *entry = &c->tx[c->tx_head];
      size_t part = left < entry->iov_len ? left : entry->iov_len;
      entry->iov_base = (uint8_t *)entry->iov_base + part;
      entry->iov_len -= part;
      left -= part;
      if (entry->iov_len == 0) c->tx_head++;
    }
  }
  c->tx_head = c->tx_tail = c->headers_bytes = 0;
  return true;
}

/* One receive, its commands, one send. Returns bytes received, or -1 when the connection ended. */
static ssize_t turn(struct connection *c) {
  if (c->tx_head < c->tx_tail) {
    if (!send_owed(c)) return -1;
    if (c->tx_head < c->tx_tail) return 0;
  }
  memcpy(rx, c->kept, c->kept_bytes);
  ssize_t n = recv(c->socket, rx + c->kept_bytes, RX_BYTES, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (n <= 0) return -1;
  const uint8_t *at = rx, *end = rx + c->kept_bytes + n;
  while (at < end) {
    uint32_t there = (uint32_t)(end - at);
    if (c->skip_bytes > 0) {
      at += take_payload(c, at, there);
      continue;
    }
    if (there < 12) break;
    uint32_t bytes = header_bytes(c, at);
    if (bytes < 12 || bytes > sizeof c->kept) return -1;
    if (there < bytes) break;
    take_pdu(c, at);
    at += bytes;
  }
  c->kept_bytes = (uint32_t)(end - at);
  memcpy(c->kept, at, c->kept_bytes);
  return send_owed(c) ? n : -1;
}

/* ---- the program ---------------------------------------------------------------------------- */

static int open_listener(uint32_t port) {
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t length = sizeof address;
  int one = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (s < 0 || bind(s, (struct sockaddr *)&address, sizeof address) != 0 || listen(s, 1024) != 0)
    fail("listen on 127.0.0.1");
  getsockname(s, (struct sockaddr *)&address, &length);
  printf("{\"event\":\"ready\",\"port\":%u}\n", ntohs(address.sin_port));
  fflush(stdout);
  return s;
}

static void accept_one(int listener, int watcher) {
  int one = 1, s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (s < 0) return;
  struct connection *c = calloc(1, sizeof *c);
  if (c == NULL || connection_count == CONNECTIONS_MAX) fail("too many connections");
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->socket = s;
  c->skip_cid = -1;
  c->tx = malloc(TX_ENTRIES * sizeof *c->tx);
  c->headers = malloc(HEADERS_BYTES);
  if (c->tx == NULL || c->headers == NULL) fail("memory");
  connections[connection_count++] = c;
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
  if (epoll_ctl(watcher, EPOLL_CTL_ADD, s, &event) != 0) fail("epoll_ctl");
}

static void serve(int listener) {
  struct epoll_event events[EVENTS];
  int watcher = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
  if (watcher < 0 || epoll_ctl(watcher, EPOLL_CTL_ADD, listener, &event) != 0) fail("epoll");
  uint64_t active = 0, now = 0;
  for (uint32_t turns = 0;; turns++) {
    bool blocks = false;
    if ((turns & 255) == 0) {
      now = now_ns();
      blocks = now - active > 50000000;
    }
    if (connection_count == 0 || connection_count > POLL_EACH_MAX || (turns & 255) == 0) {
      int ready = epoll_wait(watcher, events, EVENTS, blocks ? 100 : 0);
      for (int i = 0; i < ready; i++) {
        struct connection *c = events[i].data.ptr;
        if (c == NULL) accept_one(listener, watcher);
        else if (turn(c) < 0) close_connection(c);
      }
      if (ready > 0) active = now = now_ns();
    }
    for (uint32_t i = 0; i < connection_count && connection_count <= POLL_EACH_MAX; i++) {
      ssize_t n = turn(connections[i]);
      if (n > 0) active = now;
      if (n < 0) close_connection(connections[i--]);
    }
    for (uint32_t i = 0; i < connection_count && connection_count > POLL_EACH_MAX; i++)
      if (connections[i]->tx_head < connections[i]->tx_tail) send_owed(connections[i]);
  }
}

int main(int count, char **words) {
  uint32_t port = 0;
  int cpu = -1;
  for (int i = 1; i < count; i++) {
    const char *value = i + 1 < count ? words[i + 1] : "";
    if (strcmp(words[i], "--store") == 0) stores = true;
    else if (strcmp(words[i], "--port") == 0) port = (uint32_t)atoi(value), i++;
    else if (strcmp(words[i], "--cpu") == 0) cpu = atoi(value), i++;
    else if (strcmp(words[i], "--mib") == 0) memory_bytes = strtoull(value, NULL, 10) << 20, i++;
    else if (strcmp(words[i], "--in-capsule") == 0) in_capsule_bytes = (uint32_t)atoi(value), i++;
    else {
      printf("responder [--port N] [--cpu N] [--mib N] [--in-capsule BYTES] [--store]\n"
             "Answers NVMe/TCP on 127.0.0.1 without checks: a ceiling to measure against.\n");
      return strcmp(words[i], "--help") == 0 ? 0 : 1;
    }
  }
  if (cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) fail("pin");
  }
  crc32c_open();
  memory = mmap(NULL, memory_bytes + H2C_MAX, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("memory");
  memset(memory, 0x5a, memory_bytes);
  serve(open_listener(port));
}
