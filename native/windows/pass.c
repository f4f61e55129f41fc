/*
 * pass.c: sockets for another process, which this system hands over in another way. Called by TypeScript.
 *
 * Invariant: nothing is passed.
 */
#include "../core.h"

int32_t shim_inbox(const char *path) { return path ? -EOPNOTSUPP : -EINVAL; }

int32_t shim_pass(const char *path, const int32_t *sockets, int32_t count) {
  return (void)count, path && sockets ? -EOPNOTSUPP : -EINVAL;
}

int32_t shim_take(int32_t inbox, int32_t *sockets, int32_t max, int32_t wait_ms) {
  return (void)inbox, (void)sockets, (void)max, (void)wait_ms, -EOPNOTSUPP;
}
