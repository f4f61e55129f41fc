/*
 * event.c: what wakes a thread from others, on Linux: an eventfd. Called by open.c and pool.c; the
 * engines watch the descriptor.
 */
#include "core.h"
#include <sys/eventfd.h>
#include <unistd.h>

int event_make(void) {
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return event < 0 ? -errno : event;
}

int event_tell(int event) {
  const uint64_t one = 1;
  return write(event, &one, sizeof one) < 0 ? -errno : 0;
}

void event_forget(int event) {
  uint64_t late;
  while (read(event, &late, sizeof late) > 0) continue;
}
