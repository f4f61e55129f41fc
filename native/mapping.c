/*
 * mapping.c: the memory of an arena, on Linux. Called by arena.c, and by connection.c when a
 * connection comes and goes.
 *
 * The reservation costs nothing; pages appear when touched. Receive rings are one sparse memfd,
 * each part of it mapped twice in a row, so that a run of bytes across the end is contiguous.
 */
#include "core.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Addresses of which the first is aligned as those of huge pages are, so that offsets are, too. */
static uint8_t *reserve(uint64_t bytes) {
  uint8_t *mapping = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return NULL;
  size_t before = (size_t)(-(uintptr_t)mapping & (HUGE_PAGE - 1));
  if (before) munmap(mapping, before);
  munmap(mapping + before + bytes, HUGE_PAGE - before);
  return mapping + before;
}

int arena_map(struct shim *shim) {
  shim->arena = reserve(shim->arena_bytes);
  if (!shim->arena) return -errno;
  shim->rx_memory = memfd_create("weft-receive", MFD_CLOEXEC);
  if (shim->rx_memory < 0) return -errno;
  uint64_t rings = (uint64_t)shim->limits.rx_bytes * (uint64_t)shim->limits.connections_max;
  return ftruncate(shim->rx_memory, (off_t)rings) ? -errno : 0;
}

void arena_unmap(struct shim *shim) {
  if (shim->rx_memory >= 0) close(shim->rx_memory);
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
  (void)madvise(connection->tx_iov, IOVECS_MAX * sizeof(struct iovec) + GATHERED_BYTES,
                MADV_DONTNEED);
}
