/*
 * dma.c: the memory that PCI devices may reach, and at which address each finds it.
 * Called by arena.c (buffer areas), TypeScript (further memory) and pci_*.c (address spaces).
 *
 *   memory: base, bytes ── address ──▶ space CONTAINER (vfio type 1) │ space IOAS (iommufd)
 *
 * Every piece has one address, chosen here when it is entered, the same in every space; spaces
 * come and go with the devices. Devices without an IOMMU use physical addresses instead, which
 * /proc/self/pagemap tells and which stay what they are for reserved huge pages only.
 *
 * Addresses begin above 4 GiB, clear of what platforms keep for interrupts, and end at 256 GiB,
 * since small IOMMUs have 39 bits.
 * Invariant: what a space maps is exactly what the table holds.
 */
#include "pci.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ull
#define ADDRESS_MIN (4ull << 30)
#define ADDRESS_MAX (256ull << 30)
#define PAGE_PRESENT (1ull << 63)
#define PAGE_FRAME ((1ull << 55) - 1)

enum { MEMORIES_MAX = SHIMS_MAX + 1024 };

struct memory {
  uint8_t *base;             /* NULL: free */
  uint64_t bytes, address;
  bool huge;
};

struct space {
  int fd;
  uint32_t id;
  int32_t uses;              /* devices; 0: there is none */
  const struct space_calls *calls;
};

static struct memory memories[MEMORIES_MAX];
static struct space spaces[SPACES];
static int32_t physical_devices;   /* open ones that have no IOMMU */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void dma_lock(void) { pthread_mutex_lock(&mutex); }
void dma_unlock(void) { pthread_mutex_unlock(&mutex); }

static uint64_t whole(uint64_t bytes, uint64_t unit) { return (bytes + unit - 1) & ~(unit - 1); }

static uint64_t end_of(const struct memory *memory) {
  return memory->address + whole(memory->bytes, HUGE_PAGE);
}

/* The lowest free address of so many bytes; 0: there is none. */
static uint64_t find_address(uint64_t bytes) {
  uint64_t at = ADDRESS_MIN;
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < MEMORIES_MAX; i++) {
      const struct memory *memory = &memories[i];
      if (!memory->base || end_of(memory) <= at || memory->address >= at + bytes) continue;
      at = end_of(memory);
      moved = true;
    }
  }
  return at + bytes <= ADDRESS_MAX ? at : 0;
}

static int map_in(const struct space *space, const struct memory *memory) {
  uint64_t bytes = whole(memory->bytes, PAGE);
  return space->calls->map(space->fd, space->id, memory->address, memory->base, bytes);
}

static void unmap_in(const struct space *space, const struct memory *memory) {
  space->calls->unmap(space->fd, space->id, memory->address, whole(memory->bytes, PAGE));
}

static int map_everywhere(const struct memory *memory) {
  for (int kind = 0; kind < SPACES; kind++) {
    int result = spaces[kind].uses ? map_in(&spaces[kind], memory) : 0;
    if (result == 0) continue;
    while (kind-- > 0) if (spaces[kind].uses) unmap_in(&spaces[kind], memory);
    return result;
  }
  return 0;
}

int dma_add(uint8_t *base, uint64_t bytes, bool huge) {
  dma_lock();
  int result = physical_devices && !huge ? -ENOBUFS : -ENOSPC;
  uint64_t address = result == -ENOBUFS ? 0 : find_address(whole(bytes, HUGE_PAGE));
  for (int i = 0; address && i < MEMORIES_MAX; i++) {
    if (memories[i].base) continue;
    struct memory memory = {.base = base, .bytes = bytes, .address = address, .huge = huge};
    result = map_everywhere(&memory);
    if (result == 0) memories[i] = memory;
    break;
  }
  dma_unlock();
  return result;
}

void dma_remove(const uint8_t *base) {
  dma_lock();
  for (int i = 0; i < MEMORIES_MAX; i++) {
    if (memories[i].base != base) continue;
    for (int kind = 0; kind < SPACES; kind++) {
      if (spaces[kind].uses) unmap_in(&spaces[kind], &memories[i]);
    }
    memories[i].base = NULL;
  }
  dma_unlock();
}

/* ---- spaces: with the lock held -------------------------------------------------------------- */

int space_find(int32_t kind, uint32_t *id) {
  *id = spaces[kind].id;
  return spaces[kind].uses ? spaces[kind].fd : -1;
}

int space_add(int32_t kind, int fd, uint32_t id, const struct space_calls *calls) {
  struct space *space = &spaces[kind];
  *space = (struct space){.fd = fd, .id = id, .calls = calls};
  for (int i = 0; i < MEMORIES_MAX; i++) {
    int result = memories[i].base ? map_in(space, &memories[i]) : 0;
    if (result < 0) return result; /* what is mapped goes with the descriptor */
  }
  return 0;
}

void space_keep(int32_t kind) { spaces[kind].uses++; }

void space_leave(int32_t kind) {
  if (--spaces[kind].uses == 0) close(spaces[kind].fd);
}

/* ---- memory ---------------------------------------------------------------------------------- */

bool dma_huge(uint8_t *base, uint64_t bytes) {
  /* Populated: its physical place is asked for, and a lack of pages must show now. */
  void *mapping = mmap(base, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED | MAP_POPULATE, -1, 0);
  if (mapping != MAP_FAILED) {
    /* A child that is forked must not have its parent's pages moved when that writes to them. */
    (void)madvise(base, bytes, MADV_DONTFORK);
    return true;
  }
  /* A failed fixed mapping may have left a hole. */
  (void)mmap(base, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  (void)madvise(base, bytes, MADV_HUGEPAGE);
  return false;
}

static void forget(const uint8_t *base) { dma_remove(base); }

int32_t shim_dma_create(double bytes) {
  if (!(bytes >= 1 && bytes <= (double)(1u << 30))) return -EINVAL;
  uint64_t total = whole((uint64_t)bytes, HUGE_PAGE), spare = total + HUGE_PAGE;
  uint8_t *mapping = mmap(NULL, spare, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return -errno;
  size_t before = (size_t)(-(uintptr_t)mapping & (HUGE_PAGE - 1));
  if (before) munmap(mapping, before);
  uint8_t *base = mapping + before;
  munmap(base + total, HUGE_PAGE - before);
  bool huge = dma_huge(base, total);
  (void)madvise(base, total, MADV_DONTFORK);
  int32_t result = dma_add(base, (uint64_t)bytes, huge);
  if (result == 0) {
    result = region_adopt(base, (uint64_t)bytes, total, forget);
    if (result < 0) dma_remove(base);
  }
  if (result < 0) munmap(base, total);
  return result;
}

/* The physical address of a page, which is touched so that there is one; 0: it is not told. */
static uint64_t physical(const uint8_t *page) {
  uint64_t entry = 0;
  (void)*(const volatile uint8_t *)page;
  int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  off_t at = (off_t)((uintptr_t)page / PAGE * sizeof entry);
  ssize_t bytes = pread(fd, &entry, sizeof entry, at);
  close(fd);
  return bytes == sizeof entry && entry & PAGE_PRESENT ? (entry & PAGE_FRAME) * PAGE : 0;
}

int physical_join(void) {
  int result = 0;
  dma_lock();
  for (int i = 0; result == 0 && i < MEMORIES_MAX; i++) {
    const struct memory *memory = &memories[i];
    if (memory->base && (!memory->huge || !physical(memory->base))) result = -ENOBUFS;
  }
  if (result == 0) physical_devices++;
  dma_unlock();
  return result;
}

void physical_leave(void) {
  dma_lock();
  physical_devices--;
  dma_unlock();
}

int dma_place(const uint8_t *at, bool is_physical, uint64_t *address) {
  int result = -EFAULT;
  dma_lock();
  for (int i = 0; i < MEMORIES_MAX; i++) {
    const struct memory *memory = &memories[i];
    if (!memory->base || at < memory->base || at >= memory->base + memory->bytes) continue;
    uint64_t offset = (uint64_t)(at - memory->base);
    uint64_t page = is_physical && memory->huge ? physical(at - offset % PAGE) : 0;
    if (is_physical && !page) break;
    *address = is_physical ? page + offset % PAGE : memory->address + offset;
    result = 0;
    break;
  }
  dma_unlock();
  return result;
}

void *shim_dma_pointer(int32_t lo, int32_t hi, int32_t bytes) {
  uint64_t address = wide(lo, hi);
  uint8_t *found = NULL;
  dma_lock();
  for (int i = 0; i < MEMORIES_MAX && bytes > 0; i++) {
    const struct memory *memory = &memories[i];
    if (!memory->base || address < memory->address) continue;
    uint64_t offset = address - memory->address;
    if (offset < memory->bytes && (uint64_t)bytes <= memory->bytes - offset) {
      found = memory->base + offset;
    }
  }
  dma_unlock();
  return found;
}
