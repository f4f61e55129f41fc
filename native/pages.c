/*
 * pages.c: memory of the process's own, on Linux: mappings and reservations, and the pages of both.
 * Called by open.c (tables), region.c and op.c; mapping.c has the arena.
 *
 * Invariant: nothing here touches a page, so what is never used costs addresses only.
 */
#include "core.h"
#include <sys/mman.h>

static uint8_t *map(uint64_t bytes, int protection) {
  void *mapping = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return mapping == MAP_FAILED ? NULL : mapping;
}

uint8_t *pages_map(uint64_t bytes) { return map(bytes, PROT_READ | PROT_WRITE); }

uint8_t *pages_reserve(uint64_t bytes) { return map(bytes, PROT_NONE); }

int pages_open(uint8_t *from, uint64_t bytes, bool huge) {
  if (bytes && mprotect(from, bytes, PROT_READ | PROT_WRITE)) return -errno;
  if (bytes && huge) (void)madvise(from, bytes, MADV_HUGEPAGE); /* a wish: small pages serve too */
  return 0;
}

int pages_shut(uint8_t *from, uint64_t bytes) {
  (void)madvise(from, bytes, MADV_DONTNEED);
  return mprotect(from, bytes, PROT_NONE) ? -errno : 0;
}

void pages_unmap(uint8_t *base, uint64_t bytes) { munmap(base, bytes); }

bool pages_forget(uint8_t *from, uint64_t bytes) {
  return madvise(from, bytes, MADV_DONTNEED) == 0;
}
