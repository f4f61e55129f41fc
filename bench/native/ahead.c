/*
 * ahead.c: what it costs to copy 4 KiB to, and to digest 4 KiB of, random pages of 1 GiB, and what
 * it saves to ask for the next page meanwhile. docs/adr/0006 quotes it; `make -C bench/native ahead`.
 *
 *   receive ring, warm ──copy──▶ page i of 1 GiB, cold        prefetch ──▶ page i + 1
 *
 * Prints the best of 20 rounds of 2048 pages for each variant, in nanoseconds. Other programs on
 * the core's cache and memory bus make all of it slower: the ratios are the result. Needs 1 GiB.
 *
 * Invariant: no page is touched between rounds but by the variant that is measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include "core.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { PAGE_BYTES = 4096, PAGES = 1 << 18, BATCH = 2048, ROUNDS = 20, CAPSULE_BYTES = 4168,
       RING_BYTES = 256 << 10, RING_CAPSULES = RING_BYTES / CAPSULE_BYTES };

static uint8_t *memory, *ring;
static uint8_t *pages[BATCH + 1];
/* What the digests come to, so that no compiler leaves them out. */
static uint32_t sum;

static double clock_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- copies: from the ring to a page, and which comes next ---------------------------------- */

/* The C library's: a compiler that knows a bound puts its own in its place, which is slower here. */
static void *(*volatile library_copy)(void *, const void *, size_t) = memcpy;

static void copy_plain(uint8_t *target, const uint8_t *source, const uint8_t *next) {
  (void)next;
  library_copy(target, source, PAGE_BYTES);
}

/* As native/turn.c does it: only where the next page begins. */
static void copy_begun(uint8_t *target, const uint8_t *source, const uint8_t *next) {
  ahead(next, PAGE_BYTES, 0, 1);
  library_copy(target, source, PAGE_BYTES);
}

/* All of the next page, in steps. */
static void copy_ahead(uint8_t *target, const uint8_t *source, const uint8_t *next) {
  for (size_t at = 0; at < PAGE_BYTES; at += AHEAD_BYTES) {
    ahead(next, PAGE_BYTES, at, 1);
    library_copy(target + at, source + at, AHEAD_BYTES);
  }
}

static void copy_warm(uint8_t *target, const uint8_t *source, const uint8_t *next) {
  (void)target;
  (void)next;
  library_copy(memory, source, PAGE_BYTES);
}

#if defined(__x86_64__)
/* Past the cache: nothing is read of the page before it is written. */
__attribute__((target("avx2"))) static void copy_streaming(uint8_t *target, const uint8_t *source,
                                                           const uint8_t *next) {
  (void)next;
  for (size_t at = 0; at < PAGE_BYTES; at += 32) {
    __m256i value = _mm256_loadu_si256((const __m256i *)(const void *)(source + at));
    _mm256_stream_si256((__m256i *)(void *)(target + at), value);
  }
}

static void copy_string(uint8_t *target, const uint8_t *source, const uint8_t *next) {
  size_t bytes = PAGE_BYTES;
  (void)next;
  __asm__ volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
}
#endif

/* ---- digests -------------------------------------------------------------------------------- */

static void digest_plain(uint8_t *page, const uint8_t *source, const uint8_t *next) {
  (void)source;
  (void)next;
  sum += crc32c(page, PAGE_BYTES);
}

static void digest_ahead(uint8_t *page, const uint8_t *source, const uint8_t *next) {
  (void)source;
  sum += crc32c_ahead(page, PAGE_BYTES, next, PAGE_BYTES);
}

static void digest_warm(uint8_t *page, const uint8_t *source, const uint8_t *next) {
  (void)page;
  (void)source;
  (void)next;
  sum += crc32c(memory, PAGE_BYTES);
}

struct variant {
  const char *name;
  void (*work)(uint8_t *page, const uint8_t *source, const uint8_t *next);
};
static const struct variant variants[] = {
  {"copy 4 KiB to a random page", copy_plain},
  {"  the next page's first 512 bytes ahead", copy_begun},
  {"  all of it ahead, 512 bytes at a time", copy_ahead},
#if defined(__x86_64__)
  {"  stores past the cache", copy_streaming},
  {"  rep movsb", copy_string},
#endif
  {"  to one page that is in the cache", copy_warm},
  {"digest of 4 KiB in a random page", digest_plain},
  {"  the next page asked for meanwhile", digest_ahead},
  {"  of one page that is in the cache", digest_warm},
};

static double round_ns(const struct variant *variant) {
  for (int i = 0; i <= BATCH; i++) {
    pages[i] = memory + ((size_t)rand() & (PAGES - 1)) * PAGE_BYTES;
  }
  double began = clock_now();
  for (int i = 0; i < BATCH; i++) {
    variant->work(pages[i], ring + (size_t)(i % RING_CAPSULES) * CAPSULE_BYTES + 72, pages[i + 1]);
  }
  return (clock_now() - began) / BATCH;
}

static bool works_here(const struct variant *variant) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (variant->work == copy_streaming) return __builtin_cpu_supports("avx2");
#endif
  (void)variant;
  return true;
}

int main(void) {
  size_t bytes = (size_t)PAGES * PAGE_BYTES;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(0, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus); /* refused: the scheduler's choice will do */
  memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ring = aligned_alloc(PAGE_BYTES, RING_BYTES + PAGE_BYTES);
  if (memory == MAP_FAILED || !ring) {
    perror("ahead");
    return 1;
  }
  madvise(memory, bytes, MADV_HUGEPAGE);
  memset(memory, 1, bytes);
  memset(ring, 2, RING_BYTES + PAGE_BYTES);
  double best[sizeof variants / sizeof *variants] = {0};
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
      if (!works_here(&variants[i])) continue;
      double ns = round_ns(&variants[i]);
      if (best[i] == 0 || ns < best[i]) best[i] = ns;
    }
  }
  for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
    if (best[i] > 0) printf("%-38s %5.0f ns\n", variants[i].name, best[i]);
  }
  return sum == 1; /* it never is, but only who computed it knows */
}
