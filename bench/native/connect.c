/*
 * Connects all controllers and queues of a run, checks what the target allows, and takes them down.
 * load → connect → session, queue, keep-alive.
 *
 *   --connections Q: controllers with as many I/O queues as the target grants, until there are Q
 *   --idle-connections N: N further controllers with one I/O queue each, never used
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { POLL_EACH_MAX = 4 };        /* above so many queues, epoll says which have bytes */

static void check_limits(struct load *l, const struct controller *c) {
  struct options *o = &l->options;
  uint64_t bytes = c->block_count * c->block_bytes;
  if (o->block % c->block_bytes != 0)
    fail("--block %u is no multiple of the namespace's %u bytes", o->block, c->block_bytes);
  if (c->transfer_max > 0 && o->block > c->transfer_max)
    fail("--block %u is above the target's MDTS, %lu bytes", o->block, c->transfer_max);
  if (o->depth > c->depth_max)
    fail("--depth %u is above what the target allows, %u", o->depth, c->depth_max);
  if (o->offset % o->block != 0) fail("--offset is no multiple of --block");
  if (o->offset + o->block > bytes || o->span > bytes - o->offset)
    fail("--offset and --span reach beyond the namespace's %lu bytes", bytes);
  uint64_t span = o->span > 0 ? o->span : bytes - o->offset;
  l->work.lba_bytes = c->block_bytes;
  l->work.unit_lbas = o->block / c->block_bytes;
  l->work.first_lba = o->offset / c->block_bytes;
  l->work.unit_count = span / o->block;
  if (l->work.unit_count == 0) fail("--span is smaller than --block");
}

/* Connects one controller with up to `wanted` I/O queues; returns how many it got. */
static uint32_t connect_controller(struct load *l, uint32_t wanted, uint32_t depth, bool busy) {
  struct controller *c = &l->controllers[l->controller_count++];
  session_open(c, &l->options, wanted);
  uint32_t count = c->queues_granted < wanted ? c->queues_granted : wanted;
  if (busy && l->work.unit_count == 0) check_limits(l, c);
  if (depth > c->depth_max) depth = c->depth_max;
  c->queues = calloc(count, sizeof *c->queues);
  if (c->queues == NULL) fail("out of memory");
  c->queue_count = count;
  for (uint32_t i = 0; i < count; i++) {
    struct queue *q = &c->queues[i];
    session_open_queue(q, c, &l->options, (uint16_t)(i + 1), depth);
    if (!busy) continue;
    queue_open(q, l->options.block, depth, l->options.verify);
    l->queues[l->queue_count++] = q;
  }
  keep_alive_add(c);
  return count;
}

void connect_all(struct load *l) {
  const struct options *o = &l->options;
  uint64_t began = now_ns();
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  l->controllers = calloc(o->connections + o->idle + 1, sizeof *l->controllers);
  l->queues = calloc(o->connections + 1, sizeof(struct queue *));
  l->receive_buffer = malloc(LOAD_RX_BYTES);
  if (l->controllers == NULL || l->queues == NULL || l->receive_buffer == NULL)
    fail("out of memory");
  keep_alive_open(o->keep_alive_ms);
  for (uint32_t left = o->connections; left > 0; l->busy_controllers++) {
    uint32_t wanted = o->queues_max > 0 && o->queues_max < left ? o->queues_max : left;
    left -= connect_controller(l, wanted, o->depth, true);
    keep_alive_turn(now_ns());
  }
  for (uint32_t i = 0; i < o->idle; i++) {
    connect_controller(l, 1, 128, false);
    keep_alive_turn(now_ns());
  }
  l->connect_ns = now_ns() - began;
  l->watcher = -1;
  if (l->queue_count <= POLL_EACH_MAX) return;
  l->watcher = epoll_create1(EPOLL_CLOEXEC);
  for (uint32_t i = 0; i < l->queue_count; i++) {
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = l->queues[i] };
    if (l->watcher < 0 || epoll_ctl(l->watcher, EPOLL_CTL_ADD, l->queues[i]->socket, &event) != 0)
      fail("epoll: %s", strerror(errno));
  }
}

void close_all(struct load *l) {
  for (uint32_t i = 0; i < l->controller_count; i++) {
    struct controller *c = &l->controllers[i];
    for (int tries = 0; c->keep_alive_open && tries < 1000; tries++) load_rest(now_ns() + 1000000);
    if (c->keep_alive_open) fail("controller %u did not answer Keep Alive", c->id);
    c->keep_alive_at_ns = UINT64_MAX;
  }
  for (uint32_t i = 0; i < l->controller_count; i++) session_close(&l->controllers[i]);
}
