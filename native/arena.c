/*
 * arena.c: the one mapping that TypeScript sees, and where each area lies in it. Called by open.c;
 * mapping.c has the memory itself, and maps receive rings.
 *
 *   header │ connections │ ready │ completions │ touched │ copies │ ops │ queues │ scratch
 *          │ tx rings │ buffers │ rx ring 0, again │ rx ring 1, again │ …
 *
 * Invariant: the arena is smaller than 2 GiB, so every offset in it is a positive int32.
 */
#include "core.h"
#include <string.h>

#define PAGE 4096ull
#define VIEW 65536ull                /* where Windows may begin a mapping of a ring */
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
  at = place_area(shim, SHIM_H_RX_AT, at, 2 * (uint64_t)limits->rx_bytes * connections, VIEW);
  return (at + PAGE - 1) & ~(PAGE - 1);
}

int arena_open(struct shim *shim) {
  shim->rx_memory = -1;
  shim->arena_bytes = lay_out(shim);
  if (shim->arena_bytes > ARENA_BYTES_MAX) return -EFBIG;
  int result = arena_map(shim);
  if (result < 0) return result;
  uint8_t *arena = shim->arena;
  shim->header = (int32_t *)(void *)arena;
  shim->counters = (double *)(void *)(arena + 4 * SHIM_H_COUNTERS);
  memcpy(arena, shim->at, sizeof shim->at);
  shim->ready = (int32_t *)(void *)(arena + shim->at[SHIM_H_READY_AT]);
  shim->completions = (int32_t *)(void *)(arena + shim->at[SHIM_H_COMPLETIONS_AT]);
  return open_buffers(shim);
}

void arena_close(struct shim *shim) {
  if (shim->arena) dma_remove(shim->arena + shim->at[SHIM_H_BUFFERS_AT]);
  arena_unmap(shim);
}
