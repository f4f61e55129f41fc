/*
 * CRC32C at memory speed: three interleaved streams of the processor's CRC instruction, joined by
 * tables; eight bytes a step from tables elsewhere.                    Called by queue, session.
 *
 *   ├── lane A, 1360 B ──┼── lane B, 1360 B ──┼── lane C, 1360 B ──┤     4080 B a round
 *
 * The instruction answers every cycle but takes three; three lanes keep it busy. A register is
 * linear over GF(2), so lane A moves past B and C by `skip`: the table of "1360 zero bytes follow".
 * Invariant: hardware and tables give the same register for every input (the self-test of load).
 */
#include "crc32c.h"
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

enum { LANE_BYTES = 1360 };          /* 3 * 1360 = 4080: one round and two words of 4 KiB */
static const uint32_t POLYNOMIAL = 0x82f63b78u;   /* reflected */

static uint32_t tables[8][256];      /* tables[k][b]: byte b followed by k zero bytes */
static uint32_t skip[4][256];        /* skip[k][b]: register b << 8 k after a lane of zeros */
static bool instruction;

static uint32_t feed_tables(uint32_t reg, const uint8_t *at, size_t count) {
  while (count >= 8) {
    uint32_t low, high;
    memcpy(&low, at, 4);
    memcpy(&high, at + 4, 4);
    low ^= reg;
    reg = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255]
        ^ tables[4][low >> 24] ^ tables[3][high & 255] ^ tables[2][high >> 8 & 255]
        ^ tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    at += 8;
    count -= 8;
  }
  while (count-- > 0) reg = reg >> 8 ^ tables[0][(reg ^ *at++) & 255];
  return reg;
}

#if defined(__x86_64__)
static inline uint64_t word_at(const uint8_t *at) {
  uint64_t word;
  memcpy(&word, at, 8);
  return word;
}

static inline uint32_t skip_lane(uint32_t reg) {
  return skip[0][reg & 255] ^ skip[1][reg >> 8 & 255] ^ skip[2][reg >> 16 & 255]
       ^ skip[3][reg >> 24];
}

__attribute__((target("sse4.2")))
static uint32_t feed_instruction(uint32_t reg, const uint8_t *at, size_t count) {
  uint64_t a = reg;
  while (count >= 3 * LANE_BYTES) {
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < LANE_BYTES; i += 8) {
      a = _mm_crc32_u64(a, word_at(at + i));
      b = _mm_crc32_u64(b, word_at(at + LANE_BYTES + i));
      c = _mm_crc32_u64(c, word_at(at + 2 * LANE_BYTES + i));
    }
    a = skip_lane(skip_lane((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
    at += 3 * LANE_BYTES;
    count -= 3 * LANE_BYTES;
  }
  for (; count >= 8; at += 8, count -= 8) a = _mm_crc32_u64(a, word_at(at));
  reg = (uint32_t)a;
  while (count-- > 0) reg = _mm_crc32_u8(reg, *at++);
  return reg;
}
#endif

void crc32c_open(void) {
  static const uint8_t zeros[LANE_BYTES];
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t reg = b;
    for (int bit = 0; bit < 8; bit++) reg = reg >> 1 ^ (reg & 1 ? POLYNOMIAL : 0);
    tables[0][b] = reg;
  }
  for (int k = 1; k < 8; k++)
    for (uint32_t b = 0; b < 256; b++)
      tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 255];
  for (int k = 0; k < 4; k++)
    for (uint32_t b = 0; b < 256; b++) skip[k][b] = feed_tables(b << 8 * k, zeros, LANE_BYTES);
#if defined(__x86_64__)
  instruction = __builtin_cpu_supports("sse4.2") != 0;
#endif
}

uint32_t crc32c_feed(uint32_t reg, const void *bytes, size_t count) {
#if defined(__x86_64__)
  if (instruction) return feed_instruction(reg, bytes, count);
#endif
  return feed_tables(reg, bytes, count);
}

uint32_t crc32c_of(const void *bytes, size_t count) {
  return crc32c_finish(crc32c_feed(CRC32C_SEED, bytes, count));
}
