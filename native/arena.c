/*
 * arena.c: the one mapping that TypeScript sees: where each area lies, and the receive rings.
 * Called by open.c, and by connection.c when a connection comes and goes.
 *
 *   header │ connections │ ready │ completions │ touched │ copies │ ops │ queues │ scratch
 *          │ tx rings │ buffers │ rx ring 0, again │ rx ring 1, again │ …
 *
 * The reservation costs nothing; pages appear when touched. Receive rings are one sparse memfd,
 * each part of it mapped twice in a row, so that a run of bytes across the end is contiguous.
 *
 * Invariant: the arena is smaller than 2 GiB, so every offset in it is a positive int32.
 */
#include "core.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ull
#define HUGE_PAGE (2ull << 20)
#define ARENA_BYTES_MAX 0x7ffff000ull

static uint64_t place_area(struct shim *shim, int32_t word, uint64_t at, uint64_t bytes,
                           uint64_t align) {
  at = (at + align - 1) & ~(align - 1);
  if (at <= ARENA_BYTES_MAX) shim->at[word] = (int32_t)at;
  return at + bytes;
}

static uint64_t buffer_bytes(const struct shim_limits *limits) {
  uint64_t bytes = (uint64_t)limits->buffer_bytes;
  return limits->huge ? (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1) : bytes;
}

/* Addresses of which the first is aligned as those of huge pages are, so that offsets are, too. */
static uint8_t *reserve_arena(uint64_t bytes) {
  uint8_t *mapping = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return NULL;
  size_t before = (size_t)(-(uintptr_t)mapping & (HUGE_PAGE - 1));
  if (before) munmap(mapping, before);
  munmap(mapping + before + bytes, HUGE_PAGE - before);
  return mapping + before;
}

/* Makes the buffer area what devices may reach. */
static int open_buffers(struct shim *shim) {
  uint8_t *buffers = shim->arena + shim->at[SHIM_H_BUFFERS_AT];
  uint64_t bytes = buffer_bytes(&shim->limits);
  if (!bytes) return 0;
  bool huge = shim->limits.huge && dma_huge(buffers, bytes);
  shim->header[SHIM_H_HUGE] = huge;
  return dma_add(buffers, bytes, huge);
}

/* Lays the areas out, writing their offsets to shim->at; returns the arena's size. */
static uint64_t lay_out(struct shim *shim) {
  const struct shim_limits *limits = &shim->limits;
  uint64_t connections = (uint64_t)limits->connections_max, at = PAGE;
  at = place_area(shim, SHIM_H_CONNECTIONS_AT, at, 64 * connections, 64);
  at = place_area(shim, SHIM_H_READY_AT, at, 4 * connections, 64);
  at = place_area(shim, SHIM_H_COMPLETIONS_AT, at, 16 * (uint64_t)shim->completions_max, 64);
  at = place_area(shim, SHIM_H_TOUCHED_AT, at, 4 * connections, 64);
  at = place_area(shim, SHIM_H_COPIES_AT, at, 32 * (uint64_t)limits->copies_max, 64);
  at = place_area(shim, SHIM_H_OPS_AT, at, 64 * (uint64_t)limits->ops_max, 64);
  at = place_area(shim, SHIM_H_QUEUES_AT, at, 64 * QUEUES_MAX, 64);
  at = place_area(shim, SHIM_H_SCRATCH_AT, at, SCRATCH_BYTES, PAGE);
  at = place_area(shim, SHIM_H_TX_AT, at, 64 * (uint64_t)limits->tx_entries * connections, PAGE);
  at = place_area(shim, SHIM_H_BUFFERS_AT, at, buffer_bytes(limits), HUGE_PAGE);
  at = place_area(shim, SHIM_H_RX_AT, at, 2 * (uint64_t)limits->rx_bytes * connections, PAGE);
  return (at + PAGE - 1) & ~(PAGE - 1);
}

int arena_open(struct shim *shim) {
  uint64_t bytes = lay_out(shim);
  shim->rx_memory = -1;
  if (bytes > ARENA_BYTES_MAX) return -EFBIG;
  uint8_t *arena = reserve_arena(bytes);
  if (!arena) return -errno;
  shim->arena = arena;
  shim->arena_bytes = bytes;
  shim->header = (int32_t *)(void *)arena;
  shim->counters = (double *)(void *)(arena + 4 * SHIM_H_COUNTERS);
  memcpy(arena, shim->at, sizeof shim->at);
  shim->ready = (int32_t *)(void *)(arena + shim->at[SHIM_H_READY_AT]);
  shim->completions = (int32_t *)(void *)(arena + shim->at[SHIM_H_COMPLETIONS_AT]);
  shim->rx_memory = memfd_create("weft-receive", MFD_CLOEXEC);
  if (shim->rx_memory < 0) return -errno;
  uint64_t rings = (uint64_t)shim->limits.rx_bytes * (uint64_t)shim->limits.connections_max;
  return ftruncate(shim->rx_memory, (off_t)rings) ? -errno : open_buffers(shim);
}

void arena_close(struct shim *shim) {
  if (shim->rx_memory >= 0) close(shim->rx_memory);
  if (shim->arena) dma_remove(shim->arena + shim->at[SHIM_H_BUFFERS_AT]);
  if (shim->arena) munmap(shim->arena, shim->arena_bytes);
  shim->rx_memory = -1;
  shim->arena = NULL;
}

int arena_ring_map(struct shim *shim, struct connection *connection) {
  if (connection->mapped) return 0;
  size_t bytes = (size_t)shim->limits.rx_bytes;
  uint8_t *ring = arena_ring(shim, connection->index);
  off_t at = (off_t)connection->index * (off_t)bytes;
  for (size_t half = 0; half < 2; half++) {
    void *mapping = mmap(ring + half * bytes, bytes, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_FIXED, shim->rx_memory, at);
    if (mapping == MAP_FAILED) return -errno;
  }
  connection->mapped = true;
  return 0;
}

/* Gives the pages of a connection that is gone back to the system; its mappings stay. */
void arena_ring_forget(struct shim *shim, struct connection *connection) {
  off_t bytes = shim->limits.rx_bytes;
  (void)fallocate(shim->rx_memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  connection->index * bytes, bytes);
  size_t tx_bytes = 64 * (size_t)shim->limits.tx_entries;
  uint8_t *tx = shim->arena + shim->at[SHIM_H_TX_AT] + (size_t)connection->index * tx_bytes;
  (void)madvise(tx, tx_bytes, MADV_DONTNEED);
  (void)madvise(connection->tx_iov, IOVECS_MAX * sizeof(struct iovec), MADV_DONTNEED);
}
