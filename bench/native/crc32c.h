/*
 * CRC32C (Castagnoli) for the digests of NVMe/TCP. Called by queue.c and session.c.
 * Reflected, initial value and final XOR 0xFFFFFFFF. Streams: start with CRC32C_SEED, feed, finish.
 */
#ifndef BENCH_CRC32C_H
#define BENCH_CRC32C_H
#include <stddef.h>
#include <stdint.h>

#define CRC32C_SEED 0xffffffffu

/* Builds the tables and picks the instruction where the processor has it. Once, before any use. */
void crc32c_open(void);
/* Feeds bytes into a running register (CRC32C_SEED at first) and returns the new register. */
uint32_t crc32c_feed(uint32_t reg, const void *bytes, size_t count);
static inline uint32_t crc32c_finish(uint32_t reg) { return ~reg; }
/* The digest of one run of bytes. */
uint32_t crc32c_of(const void *bytes, size_t count);
#endif
