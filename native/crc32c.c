/*
 * crc32c.c: CRC32C (Castagnoli) of a run of bytes. Called by connection.c for what is sent and by
 * TypeScript, through region.c, for what was received.
 *
 * The processor's CRC instruction takes 8 bytes in 1 cycle but answers after 3, so three runs of
 * equal length are done side by side and joined afterwards:
 *
 *   ┌ a: N bytes ┬ b: N bytes ┬ c: N bytes ┐     crc = shift2N(a) ^ shiftN(b) ^ c
 *
 * shiftN is "as if N zero bytes followed", a linear map, tabulated per byte of the crc. N is chosen
 * so that 4 KiB is one long triple and 16 bytes, 512 bytes one short triple and 8 bytes.
 *
 * Invariant: every path gives the same value; the tables are complete before the library is loaded.
 */
#include "core.h"
#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define POLYNOMIAL 0x82f63b78u /* reflected */
enum { LONG_BYTES = 1360, SHORT_BYTES = 168 };

typedef uint32_t shift_table[4][256];
static shift_table long_once, long_twice, short_once, short_twice;
static uint32_t slices[8][256];
static bool accelerated;

#if defined(SHIM_CRC_BY_TABLE) /* the tests' way to the other path */
#elif defined(__x86_64__)
#define ACCELERATED __attribute__((target("sse4.2")))
#define CRC_WORD(crc, word) __builtin_ia32_crc32di(crc, word)
#define CRC_BYTE(crc, byte) __builtin_ia32_crc32qi((uint32_t)(crc), byte)
static bool has_instruction(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__)
#define ACCELERATED __attribute__((target("+crc")))
#define CRC_WORD(crc, word) __builtin_aarch64_crc32cx((uint32_t)(crc), word)
#define CRC_BYTE(crc, byte) __builtin_aarch64_crc32cb((uint32_t)(crc), byte)
static bool has_instruction(void) {
  return (getauxval(AT_HWCAP) & (1u << 7)) != 0; /* HWCAP_CRC32 */
}
#endif

/* The state after one zero bit. */
static uint32_t step(uint32_t crc) {
  return (crc >> 1) ^ (POLYNOMIAL & (0u - (crc & 1)));
}

static void make_shift(shift_table table, int bytes) {
  uint32_t bit[32];
  for (int i = 0; i < 32; i++) {
    bit[i] = 1u << i;
    for (int n = 0; n < bytes * 8; n++) bit[i] = step(bit[i]);
  }
  for (int k = 0; k < 4; k++) {
    for (int value = 0; value < 256; value++) {
      uint32_t sum = 0;
      for (int i = 0; i < 8; i++) if (value >> i & 1) sum ^= bit[8 * k + i];
      table[k][value] = sum;
    }
  }
}

__attribute__((constructor)) static void make_tables(void) {
  for (uint32_t value = 0; value < 256; value++) {
    uint32_t crc = value;
    for (int n = 0; n < 8; n++) crc = step(crc);
    slices[0][value] = crc;
  }
  for (int k = 1; k < 8; k++) {
    for (int value = 0; value < 256; value++) {
      uint32_t before = slices[k - 1][value];
      slices[k][value] = (before >> 8) ^ slices[0][before & 0xff];
    }
  }
  make_shift(long_once, LONG_BYTES);
  make_shift(long_twice, 2 * LONG_BYTES);
  make_shift(short_once, SHORT_BYTES);
  make_shift(short_twice, 2 * SHORT_BYTES);
#if defined(ACCELERATED)
  accelerated = has_instruction();
#endif
}

static inline uint64_t word_at(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

static uint32_t by_table(uint32_t crc, const uint8_t *from, size_t bytes) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; bytes >= 8; bytes -= 8, from += 8) {
    uint64_t word = word_at(from) ^ crc;
    crc = 0;
    for (int k = 0; k < 8; k++) crc ^= slices[7 - k][word >> (8 * k) & 0xff];
  }
#endif
  for (; bytes; bytes--, from++) crc = (crc >> 8) ^ slices[0][(crc ^ *from) & 0xff];
  return crc;
}

#if defined(ACCELERATED)
static inline uint32_t shift(const shift_table table, uint32_t crc) {
  return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
         table[3][crc >> 24];
}

#define TRIPLE(crc, from, length, once, twice)                                            \
  do {                                                                                    \
    uint64_t a_ = crc, b_ = 0, c_ = 0;                                                    \
    for (size_t i_ = 0; i_ < (length); i_ += 8) {                                         \
      a_ = CRC_WORD(a_, word_at(from + i_));                                              \
      b_ = CRC_WORD(b_, word_at(from + (length) + i_));                                   \
      c_ = CRC_WORD(c_, word_at(from + 2 * (length) + i_));                               \
    }                                                                                     \
    crc = shift(twice, (uint32_t)a_) ^ shift(once, (uint32_t)b_) ^ (uint32_t)c_;          \
  } while (0)

ACCELERATED static uint32_t by_instruction(uint32_t crc, const uint8_t *from, size_t bytes) {
  for (; bytes >= 3 * LONG_BYTES; bytes -= 3 * LONG_BYTES, from += 3 * LONG_BYTES) {
    TRIPLE(crc, from, LONG_BYTES, long_once, long_twice);
  }
  for (; bytes >= 3 * SHORT_BYTES; bytes -= 3 * SHORT_BYTES, from += 3 * SHORT_BYTES) {
    TRIPLE(crc, from, SHORT_BYTES, short_once, short_twice);
  }
  uint64_t wide_crc = crc;
  for (; bytes >= 8; bytes -= 8, from += 8) wide_crc = CRC_WORD(wide_crc, word_at(from));
  crc = (uint32_t)wide_crc;
  for (; bytes; bytes--, from++) crc = CRC_BYTE(crc, *from);
  return crc;
}
#endif

/* All but the inversions at both ends. */
static uint32_t extend(uint32_t crc, const uint8_t *from, size_t bytes) {
#if defined(ACCELERATED)
  if (accelerated) return by_instruction(crc, from, bytes);
#endif
  return by_table(crc, from, bytes);
}

uint32_t crc32c(const uint8_t *from, size_t bytes) { return ~extend(~0u, from, bytes); }

uint32_t crc32c_ahead(const uint8_t *from, size_t bytes, const uint8_t *next, size_t next_bytes) {
  uint32_t crc = ~0u;
  for (size_t at = 0; at < bytes; at += AHEAD_BYTES) {
    size_t left = bytes - at;
    ahead(next, next_bytes, at, 0);
    crc = extend(crc, from + at, left < AHEAD_BYTES ? left : AHEAD_BYTES);
  }
  return ~crc;
}
