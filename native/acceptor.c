/*
 * acceptor.c: accepting on listeners, one accept after the other. Called by TypeScript; the engines
 * report each accept through acceptor_result().
 *
 * Invariant: an accept that fails for want of something (descriptors, memory) is told once and
 * tried again after ACCEPT_RETRY_MS, never in a tight loop.
 */
#include "core.h"

static struct acceptor *find_acceptor(struct shim *shim, int listener) {
  for (int i = 0; i < ACCEPTORS_MAX; i++) {
    if (shim->acceptors[i].listener == listener && !shim->acceptors[i].stopping) {
      return &shim->acceptors[i];
    }
  }
  return NULL;
}

int32_t shim_accept(int32_t listener, int32_t token) {
  struct shim *shim = shim_here;
  if (!shim || listener < 0) return -EINVAL;
  int result = socket_check(listener);
  if (result < 0) return result;
  if (find_acceptor(shim, listener)) return -EBUSY;
  struct acceptor *acceptor = shim->acceptors;
  while (acceptor < shim->acceptors + ACCEPTORS_MAX && acceptor->listener >= 0) acceptor++;
  if (acceptor == shim->acceptors + ACCEPTORS_MAX) return -ENOSPC;
  *acceptor = (struct acceptor){.listener = listener, .token = token};
  result = shim->engine->accept(shim, acceptor);
  if (result < 0) acceptor->listener = -1;
  return result;
}

int32_t shim_accept_stop(int32_t listener) {
  struct shim *shim = shim_here;
  struct acceptor *acceptor = shim && listener >= 0 ? find_acceptor(shim, listener) : NULL;
  if (!acceptor) return -EINVAL;
  if (acceptor->retry_ns) shim->acceptors_paused--;
  acceptor->retry_ns = 0;
  acceptor->stopping = true;
  shim->engine->accept_stop(shim, acceptor);
  if (!acceptor->armed) acceptor->listener = -1;
  return 0;
}

static void pause_for(struct shim *shim, struct acceptor *acceptor) {
  acceptor->retry_ns = clock_ns() + ACCEPT_RETRY_MS * 1000000ull;
  shim->acceptors_paused++;
}

/* One accept is over: a socket or -errno. Arms the next, unless it is stopped or must pause. */
void acceptor_result(struct shim *shim, struct acceptor *acceptor, int32_t result) {
  acceptor->armed = false;
  if (acceptor->stopping) {
    if (result >= 0) socket_close(result);
    acceptor->listener = -1;
    return;
  }
  /* These are about one peer that went away again, or about nothing. */
  bool silent = result == -ECONNABORTED || result == -EINTR || result == -EAGAIN ||
                result == -EPROTO;
  if (!silent) complete(shim, acceptor->token, result);
  if ((result >= 0 || silent) && shim->engine->accept(shim, acceptor) == 0) return;
  pause_for(shim, acceptor);
}

void acceptors_retry(struct shim *shim) {
  uint64_t now = clock_ns();
  for (int i = 0; i < ACCEPTORS_MAX; i++) {
    struct acceptor *acceptor = &shim->acceptors[i];
    if (acceptor->listener < 0 || !acceptor->retry_ns || now < acceptor->retry_ns) continue;
    acceptor->retry_ns = 0;
    shim->acceptors_paused--;
    if (shim->engine->accept(shim, acceptor) < 0) pause_for(shim, acceptor);
  }
}
