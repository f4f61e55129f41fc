/*
 * event.c: what wakes a thread from others, on Windows: the completion port that it waits on anyhow.
 * Called by open.c; iocp.c uses the port for everything else.
 *
 * A packet without a request is a wake, and one too many hurts nobody.
 */
#include "os.h"

int event_make(void) {
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  return port ? number_of(port) : error_last();
}

int event_tell(int event) {
  return PostQueuedCompletionStatus(handle_of(event), 0, 0, NULL) ? 0 : error_last();
}

void event_forget(int event) { (void)event; }
