/*
 * Which block comes next, and what it holds: see workload.h.               load → workload.
 *
 *   block │ word 0: LBA │ word 1: generation │ words 2 …: mixed from both and their position │
 *
 * A stale, a misplaced and a damaged block are thus told apart by their first 16 bytes.
 */
#include "workload.h"
#include "host.h"
#include <stdlib.h>

void workload_open(struct workload *w, uint64_t seed, bool verify) {
  w->random = seed * 0x9e3779b97f4a7c15u | 1;
  if (!verify) return;
  if (w->unit_count > UINT32_MAX) fail("--verify: the span has too many blocks; give --span");
  w->generations = calloc(w->unit_count, sizeof *w->generations);
  w->taken = calloc(w->unit_count, 1);
  if (w->generations == NULL || w->taken == NULL) fail("out of memory");
}

uint64_t workload_random(struct workload *w) {
  w->random ^= w->random << 13;
  w->random ^= w->random >> 7;
  w->random ^= w->random << 17;
  return w->random;
}

uint64_t workload_take(struct workload *w, bool sequential) {
  uint64_t unit;
  if (sequential) {
    unit = w->cursor;
    w->cursor = unit + 1 == w->unit_count ? 0 : unit + 1;
  } else {
    unit = (uint64_t)((unsigned __int128)workload_random(w) * w->unit_count >> 64);
  }
  if (w->taken == NULL) return unit;
  for (uint64_t tries = 0; tries < w->unit_count; tries++) {
    if (!w->taken[unit]) {
      w->taken[unit] = 1;
      return unit;
    }
    unit = unit + 1 == w->unit_count ? 0 : unit + 1;
  }
  return UINT64_MAX;
}

void workload_return(struct workload *w, uint64_t unit) {
  if (w->taken != NULL) w->taken[unit] = 0;
}

uint64_t workload_lba(const struct workload *w, uint64_t unit) {
  return w->first_lba + unit * w->unit_lbas;
}

static uint64_t word(uint64_t lba, uint32_t generation, uint32_t index) {
  if (index == 0) return lba;
  if (index == 1) return generation;
  uint64_t mixed = (lba * 0x9e3779b97f4a7c15u) ^ ((uint64_t)generation << 32 | index);
  mixed = (mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9u;
  return mixed ^ mixed >> 32;
}

void workload_fill(const struct workload *w, uint64_t unit, uint32_t generation, uint8_t *bytes) {
  uint64_t lba = workload_lba(w, unit);
  for (uint32_t block = 0; block < w->unit_lbas; block++)
    for (uint32_t i = 0; i < w->lba_bytes / 8; i++, bytes += 8)
      put64(bytes, word(lba + block, generation, i));
}

int64_t workload_compare(const struct workload *w, uint64_t unit, uint32_t generation,
                         const uint8_t *bytes) {
  uint64_t lba = workload_lba(w, unit);
  int64_t offset = 0;
  for (uint32_t block = 0; block < w->unit_lbas; block++)
    for (uint32_t i = 0; i < w->lba_bytes / 8; i++, offset += 8)
      if (get64(bytes + offset) != word(lba + block, generation, i)) return offset;
  return -1;
}
