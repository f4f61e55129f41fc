/*
 * Keep Alive on the admin queues of all controllers, beside the load and without ever waiting.
 * load → keep-alive.                                     NVMe base: Keep Alive; KATO in Connect
 *
 * Each controller sends one every half of its KATO. Every connection that should be silent (admin
 * and idle I/O queues) is watched, so that a target which drops one is noticed.
 * Invariant: at most one Keep Alive is outstanding per controller.
 */
#define _GNU_SOURCE
#include "crc32c.h"
#include "host.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 64 };
#define NS 1000000000u
#define ANSWER_NS_MAX (4u * NS)    /* beyond the time at which the next one was due */

static int watcher = -1;
static uint64_t period_ns;
static struct controller **controllers;
static uint32_t count, room;

void keep_alive_open(uint32_t keep_alive_ms) {
  period_ns = (uint64_t)keep_alive_ms * 1000000 / 2;
  watcher = epoll_create1(EPOLL_CLOEXEC);
  if (watcher < 0) fail("epoll_create1: %s", strerror(errno));
}

static void watch(struct queue *q) {
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = q };
  if (epoll_ctl(watcher, EPOLL_CTL_ADD, q->socket, &event) != 0)
    fail("epoll_ctl: %s", strerror(errno));
}

void keep_alive_add(struct controller *c) {
  if (count == room) {
    room = room == 0 ? 16 : room * 2;
    controllers = realloc(controllers, room * sizeof(struct controller *));
    if (controllers == NULL) fail("out of memory");
  }
  /* Spread over the period, so that 1000 controllers do not all speak at once. */
  c->keep_alive_at_ns = now_ns() + period_ns / 2 + period_ns / 2 * (count % 64) / 64;
  controllers[count++] = c;
  watch(&c->admin);
  for (uint32_t i = 0; i < c->queue_count; i++)
    if (c->queues[i].commands == NULL) watch(&c->queues[i]);
}

static void send_keep_alive(struct controller *c) {
  uint8_t pdu[CMD_BYTES + DIGEST_BYTES] = { 0 };
  struct queue *q = &c->admin;
  uint32_t bytes = CMD_BYTES + (q->header_digest ? DIGEST_BYTES : 0);
  put_header(pdu, PDU_CAPSULE_CMD, q->header_digest ? FLAG_HDGST : 0, CMD_BYTES, 0, bytes);
  pdu[SQE_AT + SQE_OPCODE] = OPC_KEEP_ALIVE;
  pdu[SQE_AT + SQE_FLAGS] = PSDT_SGL;
  pdu[SQE_AT + SQE_SGL_TYPE] = SGL_TRANSPORT;
  if (q->header_digest) put32(pdu + CMD_BYTES, crc32c_of(pdu, CMD_BYTES));
  if (send(q->socket, pdu, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)bytes)
    fail("Keep Alive of controller %u: %s", c->id, strerror(errno));
  c->keep_alive_open = true;
}

static void receive_answer(struct queue *q) {
  struct controller *c = q->controller;
  uint32_t bytes = RSP_BYTES + (q->header_digest ? DIGEST_BYTES : 0);
  ssize_t n = recv(q->socket, q->kept + q->kept_bytes, sizeof q->kept - q->kept_bytes,
                   MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0)
    fail("controller %u, queue %u: the target closed an idle connection%s%s", c->id, q->id,
         n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
  q->kept_bytes += (uint32_t)n;
  if (q->kept_bytes >= 12 && q->kept[CH_TYPE] == PDU_C2H_TERM)
    fail("controller %u: C2HTermReq, FES %u", c->id, get16(q->kept + TERM_FES));
  if (q->kept_bytes < bytes) return;
  uint32_t status = get16(q->kept + CQE_AT + CQE_STATUS) >> 1;
  if (q != &c->admin || !c->keep_alive_open || q->kept_bytes > bytes
      || q->kept[CH_TYPE] != PDU_CAPSULE_RESP)
    fail("controller %u, queue %u: PDU type %u was not asked for", c->id, q->id, q->kept[CH_TYPE]);
  if (status != 0) fail("Keep Alive: status %x/%02xh", status >> 8 & 7, status & 255);
  q->kept_bytes = 0;
  c->keep_alive_open = false;
}

void keep_alive_turn(uint64_t now) {
  struct epoll_event events[EVENTS];
  for (uint32_t i = 0; i < count && period_ns > 0; i++) {
    struct controller *c = controllers[i];
    if (now < c->keep_alive_at_ns) continue;
    if (c->keep_alive_open) {
      if (now > c->keep_alive_at_ns + ANSWER_NS_MAX)
        fail("controller %u did not answer Keep Alive within %u s", c->id, ANSWER_NS_MAX / NS);
      continue;
    }
    send_keep_alive(c);
    c->keep_alive_at_ns = now + period_ns;
  }
  int ready = epoll_wait(watcher, events, EVENTS, 0);
  for (int i = 0; i < ready; i++) receive_answer(events[i].data.ptr);
}
