/*
 * Which block comes next, and what it holds. Called by load.c.
 * The span is cut into units of one command's size; a unit has a generation, which counts its
 * writes. A verified block describes itself: every word follows from (LBA, generation).
 * Invariant: a unit is in at most one outstanding command when verifying, so that what a read must
 * find is known.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H
#include <stdbool.h>
#include <stdint.h>

struct workload {
  uint64_t unit_count;
  uint64_t first_lba;
  uint32_t unit_lbas, lba_bytes;
  uint64_t random;                 /* state */
  uint64_t cursor;                 /* sequential position, shared by all queues */
  uint32_t *generations;           /* NULL unless verifying; 0 = never written by us */
  uint8_t *taken;                  /* NULL unless verifying; 1 = outstanding */
};

void workload_open(struct workload *w, uint64_t seed, bool verify);
/* The next random number. */
uint64_t workload_random(struct workload *w);
/* Chooses a unit; when verifying, one that is not outstanding, and takes it. Returns UINT64_MAX
 * when all of them are outstanding. */
uint64_t workload_take(struct workload *w, bool sequential);
void workload_return(struct workload *w, uint64_t unit);
uint64_t workload_lba(const struct workload *w, uint64_t unit);
/* Writes the bytes of a unit at a generation. */
void workload_fill(const struct workload *w, uint64_t unit, uint32_t generation, uint8_t *bytes);
/* Compares. Returns -1 when equal, else the offset of the first byte that differs. */
int64_t workload_compare(const struct workload *w, uint64_t unit, uint32_t generation,
                         const uint8_t *bytes);
#endif
