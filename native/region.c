/*
 * region.c: memory that TypeScript may name: region ids, and digests of places in them.
 * Called by TypeScript on any thread; place() in core.h reads the table from every turn.
 *
 * Invariant: a region's size is written before its base and its base cleared before its memory
 * goes, so a reader that sees a base sees the size that belongs to it.
 */
#include "core.h"
#include <string.h>

#define HUGE_BYTES (2ull << 20)
#define ROOM_BYTES (64ull << 30)
#define ROOM_FACTOR 4

struct region regions[REGIONS_MAX + 1];
static uint64_t mapped_bytes[REGIONS_MAX + 1];
static uint8_t *mapped_base[REGIONS_MAX + 1];
static bool huge_pages[REGIONS_MAX + 1];
static void (*before_release[REGIONS_MAX + 1])(const uint8_t *base);
static struct mutex mutex = MUTEX_FREE;

static uint64_t whole_pages(uint64_t bytes) { return (bytes + 4095) & ~4095ull; }

static uint8_t *huge_aligned(uint8_t *at) {
  return (uint8_t *)(((uintptr_t)at + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
}

struct entry {
  uint8_t *base, *mapping;
  uint64_t bytes, mapped_bytes;
  bool huge;
  void (*release)(const uint8_t *base);
};

/* Takes a free id for it: >= 1, or -ENOSPC. */
static int32_t enter(struct entry entry) {
  mutex_lock(&mutex);
  int32_t id = 1;
  while (id <= REGIONS_MAX && mapped_base[id]) id++;
  if (id <= REGIONS_MAX) {
    mapped_base[id] = entry.mapping;
    mapped_bytes[id] = entry.mapped_bytes;
    huge_pages[id] = entry.huge;
    before_release[id] = entry.release;
    atomic_store_explicit(&regions[id].bytes, entry.bytes, memory_order_relaxed);
    atomic_store_explicit(&regions[id].base, entry.base, memory_order_release);
  }
  mutex_unlock(&mutex);
  return id <= REGIONS_MAX ? id : -ENOSPC;
}

int32_t shim_region_create(double bytes, int32_t huge) {
  if (!(bytes >= 1 && bytes <= 9007199254740991.0)) return -EINVAL;
  uint64_t size = whole_pages((uint64_t)bytes);
  uint64_t total = huge ? size + HUGE_BYTES : size;
  uint64_t roomy = size * ROOM_FACTOR > ROOM_BYTES ? size * ROOM_FACTOR : ROOM_BYTES;
  uint8_t *mapping = huge ? pages_reserve(roomy + HUGE_BYTES) : NULL;
  if (mapping) total = roomy + HUGE_BYTES;
  else mapping = pages_reserve(total);
  if (!mapping) return -ENOMEM;
  uint8_t *base = huge ? huge_aligned(mapping) : mapping;
  int result = pages_open(base, size, huge != 0);
  if (result < 0) {
    pages_unmap(mapping, total);
    return result;
  }
  int32_t id = enter((struct entry){
    .base = base, .bytes = (uint64_t)bytes, .mapping = mapping, .mapped_bytes = total,
    .huge = huge != 0,
  });
  if (id < 0) pages_unmap(mapping, total);
  return id;
}

int32_t region_adopt(uint8_t *base, uint64_t bytes, uint64_t total,
                     void (*release)(const uint8_t *base)) {
  return enter((struct entry){
    .base = base, .bytes = bytes, .mapping = base, .mapped_bytes = total, .release = release,
  });
}

static int resize(int32_t id, uint64_t bytes) {
  uint8_t *base = atomic_load_explicit(&regions[id].base, memory_order_acquire);
  uint64_t before = atomic_load_explicit(&regions[id].bytes, memory_order_relaxed);
  uint64_t pages = whole_pages(bytes), pages_before = whole_pages(before);
  if (pages > mapped_bytes[id] - (uint64_t)(base - mapped_base[id])) return -ENOMEM;
  if (bytes > before) {
    int result = pages > pages_before
      ? pages_open(base + pages_before, pages - pages_before, huge_pages[id]) : 0;
    if (result < 0) return result;
    atomic_store_explicit(&regions[id].bytes, bytes, memory_order_release);
    return 0;
  }
  atomic_store_explicit(&regions[id].bytes, bytes, memory_order_release);
  memset(base + bytes, 0, (size_t)((pages < before ? pages : before) - bytes));
  if (pages == pages_before) return 0;
  return pages_shut(base + pages, pages_before - pages);
}

int32_t shim_region_resize(int32_t region, double bytes) {
  if (region < 1 || region > REGIONS_MAX) return -EINVAL;
  if (!(bytes >= 1 && bytes <= 9007199254740991.0)) return -EINVAL;
  mutex_lock(&mutex);
  bool fixed = before_release[region] != NULL; /* a device knows where it is */
  int result = mapped_base[region] && !fixed ? resize(region, (uint64_t)bytes) : -EINVAL;
  mutex_unlock(&mutex);
  return result;
}

int32_t shim_region_release(int32_t region) {
  if (region < 1 || region > REGIONS_MAX) return -EINVAL;
  mutex_lock(&mutex);
  uint8_t *mapping = mapped_base[region];
  if (mapping) {
    if (before_release[region]) before_release[region](mapping);
    atomic_store_explicit(&regions[region].base, NULL, memory_order_release);
    pages_unmap(mapping, mapped_bytes[region]);
    mapped_base[region] = NULL;
  }
  mutex_unlock(&mutex);
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

int32_t shim_crc32c_series(int32_t at, int32_t bytes, int32_t stride, int32_t count,
                           int32_t result_at) {
  struct shim *shim = shim_here;
  if (!shim) return -EINVAL;
  bool sound = bytes >= 0 && stride >= 0 && count > 0 && (result_at & 3) == 0;
  uint64_t span = sound ? (uint64_t)(count - 1) * (uint64_t)stride + (uint64_t)bytes : 0;
  const uint8_t *from = sound ? place(shim, 0, at, 0, span) : NULL;
  uint8_t *result = sound ? place(shim, 0, result_at, 0, 4 * (uint64_t)count) : NULL;
  if (!from || !result) {
    breach(shim, -EFAULT);
    return -EFAULT;
  }
  for (int32_t k = 0; k < count; k++, from += stride, result += 4) {
    uint32_t crc = crc32c(from, (size_t)bytes);
    memcpy(result, &crc, sizeof crc);
  }
  return 0;
}
