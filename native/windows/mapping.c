/*
 * mapping.c: the memory of an arena, on Windows. Called by arena.c, and by connection.c when a
 * connection comes and goes.
 *
 *   base ┌ committed: header … buffers ┐ ring 0 │ ring 0 again │ ring 1 │ ring 1 again │ …
 *                                        └── views of one section, committed when first adopted
 *
 * Views go only where nothing is reserved, so the place for all is found by reserving it once and
 * giving it up again; who takes a part of it in between costs another try.
 * Invariant: an arena is whole or not there.
 */
#include "os.h"
#include <string.h>

enum { TRIES = 16 };

static uint64_t front_bytes(const struct shim *shim) {
  return (uint64_t)(uint32_t)shim->at[SHIM_H_RX_AT];
}

/* An aligned place with so many free bytes; NULL: there is none. */
static uint8_t *find_place(uint64_t bytes) {
  uint8_t *base = VirtualAlloc(NULL, bytes + HUGE_PAGE, MEM_RESERVE, PAGE_NOACCESS);
  if (!base) return NULL;
  VirtualFree(base, 0, MEM_RELEASE);
  return (uint8_t *)(((uintptr_t)base + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
}

static void unmap_rings(struct shim *shim, int64_t views) {
  uint64_t bytes = (uint64_t)shim->limits.rx_bytes;
  for (int64_t i = 0; i < views; i++) {
    UnmapViewOfFile(shim->arena + front_bytes(shim) + (uint64_t)i * bytes);
  }
}

/* Two views a ring, one behind the other. */
static int map_rings(struct shim *shim) {
  uint64_t bytes = (uint64_t)shim->limits.rx_bytes;
  int64_t views = 2 * (int64_t)shim->limits.connections_max;
  uint8_t *place = shim->arena + front_bytes(shim);
  for (int64_t i = 0; i < views; i++) {
    uint64_t at = (uint64_t)(i / 2) * bytes;
    if (MapViewOfFileEx(handle_of(shim->rx_memory), FILE_MAP_READ | FILE_MAP_WRITE,
                        (DWORD)(at >> 32), (DWORD)at, bytes, place + (uint64_t)i * bytes)) {
      continue;
    }
    int error = error_last();
    unmap_rings(shim, i);
    return error;
  }
  return 0;
}

static int map_at(struct shim *shim, uint8_t *base) {
  uint64_t bytes = front_bytes(shim);
  shim->arena = VirtualAlloc(base, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  if (!shim->arena) return error_last();
  int result = map_rings(shim);
  if (result == 0) return 0;
  VirtualFree(shim->arena, 0, MEM_RELEASE);
  shim->arena = NULL;
  return result;
}

int arena_map(struct shim *shim) {
  uint64_t rings = (uint64_t)shim->limits.rx_bytes * (uint64_t)shim->limits.connections_max;
  HANDLE section = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_RESERVE,
                                      (DWORD)(rings >> 32), (DWORD)rings, NULL);
  if (!section) return error_last();
  shim->rx_memory = number_of(section);
  int result = -ENOMEM;
  for (int i = 0; i < TRIES && !shim->arena; i++) {
    uint8_t *base = find_place(shim->arena_bytes);
    if (!base) break;
    result = map_at(shim, base);
  }
  return shim->arena ? 0 : result;
}

void arena_unmap(struct shim *shim) {
  if (shim->arena) {
    unmap_rings(shim, 2 * (int64_t)shim->limits.connections_max);
    VirtualFree(shim->arena, 0, MEM_RELEASE);
  }
  if (shim->rx_memory != -1) CloseHandle(handle_of(shim->rx_memory));
  shim->rx_memory = -1;
  shim->arena = NULL;
}

int arena_ring_map(struct shim *shim, struct connection *connection) {
  if (connection->mapped) return 0;
  size_t bytes = (size_t)shim->limits.rx_bytes;
  uint8_t *ring = arena_ring(shim, connection->index);
  for (size_t half = 0; half < 2; half++) {
    if (!VirtualAlloc(ring + half * bytes, bytes, MEM_COMMIT, PAGE_READWRITE)) return error_last();
  }
  connection->mapped = true;
  return 0;
}

/* Pages of a section cannot be given back one by one: they wait for the next connection, which must
 * find nothing of the one before. */
void arena_ring_forget(struct shim *shim, struct connection *connection) {
  size_t tx_bytes = 64 * (size_t)shim->limits.tx_entries;
  memset(shim->arena + shim->at[SHIM_H_TX_AT] + (size_t)connection->index * tx_bytes, 0, tx_bytes);
  memset(arena_ring(shim, connection->index), 0, (size_t)shim->limits.rx_bytes);
}
