/*
 * pages.c: memory of the process's own, on Windows. Called by open.c (tables), region.c and op.c;
 * mapping.c has the arena.
 *
 * Committed pages count against the page file from then on, and are given when touched. Large pages
 * would have to be committed all at once, by an account with a right of its own: none are asked for.
 */
#include "os.h"

uint8_t *pages_map(uint64_t bytes) {
  return VirtualAlloc(NULL, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

uint8_t *pages_reserve(uint64_t bytes) {
  return VirtualAlloc(NULL, bytes, MEM_RESERVE, PAGE_NOACCESS);
}

int pages_open(uint8_t *from, uint64_t bytes, bool huge) {
  (void)huge;
  if (!bytes) return 0;
  return VirtualAlloc(from, bytes, MEM_COMMIT, PAGE_READWRITE) ? 0 : -ENOMEM;
}

int pages_shut(uint8_t *from, uint64_t bytes) {
  return VirtualFree(from, bytes, MEM_DECOMMIT) ? 0 : error_last();
}

void pages_unmap(uint8_t *base, uint64_t bytes) {
  (void)bytes;
  VirtualFree(base, 0, MEM_RELEASE);
}

/* Between decommitting and committing again another reactor's access would fault: they are kept. */
bool pages_forget(uint8_t *from, uint64_t bytes) {
  (void)from;
  (void)bytes;
  return false;
}
