/*
 * engines.c: the engines that Linux has, the best first. Read by open.c.
 */
#include "core.h"
#include "ring.h"

const struct engine *const engines[] = {&uring_engine, &epoll_engine, NULL};

int32_t shim_engines(void) {
  return 1 << SHIM_ENGINE_EPOLL | (ring_permitted() == 0 ? 1 << SHIM_ENGINE_URING : 0);
}
