/*
 * region.c: memory that TypeScript may name: region ids, and digests of places in them.
 * Called by TypeScript on any thread; place() in core.h reads the table from every turn.
 *
 * Invariant: a region's size is written before its base and its base cleared before its memory
 * goes, so a reader that sees a base sees the size that belongs to it.
 */
#include "core.h"
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#define HUGE_BYTES (2ull << 20)

struct region regions[REGIONS_MAX + 1];
static uint64_t mapped_bytes[REGIONS_MAX + 1];
static uint8_t *mapped_base[REGIONS_MAX + 1];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

int32_t shim_region_create(double bytes, int32_t huge) {
  if (!(bytes >= 1 && bytes <= 9007199254740991.0)) return -EINVAL;
  uint64_t size = ((uint64_t)bytes + 4095) & ~4095ull;
  uint64_t total = huge ? size + HUGE_BYTES : size;
  uint8_t *mapping = mmap(NULL, total, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return -errno;
  uint8_t *base = mapping;
  if (huge) {
    base = (uint8_t *)(((uintptr_t)mapping + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
    (void)madvise(base, size, MADV_HUGEPAGE); /* a wish: small pages serve as well */
  }
  pthread_mutex_lock(&mutex);
  int32_t id = 1;
  while (id <= REGIONS_MAX && mapped_base[id]) id++;
  if (id <= REGIONS_MAX) {
    mapped_base[id] = mapping;
    mapped_bytes[id] = total;
    atomic_store_explicit(&regions[id].bytes, (uint64_t)bytes, memory_order_relaxed);
    atomic_store_explicit(&regions[id].base, base, memory_order_release);
  }
  pthread_mutex_unlock(&mutex);
  if (id <= REGIONS_MAX) return id;
  munmap(mapping, total);
  return -ENOSPC;
}

int32_t shim_region_release(int32_t region) {
  if (region < 1 || region > REGIONS_MAX) return -EINVAL;
  pthread_mutex_lock(&mutex);
  uint8_t *mapping = mapped_base[region];
  if (mapping) {
    atomic_store_explicit(&regions[region].base, NULL, memory_order_release);
    munmap(mapping, mapped_bytes[region]);
    mapped_base[region] = NULL;
  }
  pthread_mutex_unlock(&mutex);
  return mapping ? 0 : -EINVAL;
}

void *shim_region_address(int32_t region) {
  if (region < 1 || region > REGIONS_MAX) return NULL;
  return atomic_load_explicit(&regions[region].base, memory_order_acquire);
}

static uint32_t digest(struct shim *shim, int32_t region, int32_t lo, int32_t hi, int32_t bytes) {
  const uint8_t *from = bytes < 0 ? NULL : place(shim, region, lo, hi, (uint64_t)bytes);
  if (!from) {
    breach(shim, -EFAULT);
    return 0;
  }
  return crc32c(from, (size_t)bytes);
}

uint32_t shim_crc32c(int32_t region, int32_t lo, int32_t hi, int32_t bytes) {
  struct shim *shim = shim_here;
  if (!shim) return 0;
  int result = copies_perform(shim);
  if (result < 0) breach(shim, result);
  return digest(shim, region, lo, hi, bytes);
}

uint32_t shim_arena_crc32c(int32_t at, int32_t bytes) {
  struct shim *shim = shim_here;
  return shim ? digest(shim, 0, at, 0, bytes) : 0;
}
