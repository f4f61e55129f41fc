/*
 * erase.c: makes what is in a range of a file or a region disappear. Called by TypeScript on any
 * thread, as a call that waits; no op may touch the range meanwhile.
 *
 * Invariant: a file's size, and what is outside of the range, stay as they are.
 */
#include "core.h"
#include <string.h>

enum { PIECE_BYTES = 1 << 20 };
#define PAGE 4096ull

static void fill(uint8_t *at, uint64_t bytes, uint32_t pattern) {
  for (uint64_t i = 0; i + 4 <= bytes; i += 4) memcpy(at + i, &pattern, 4);
}

/* Writes the pattern, from memory that is aligned as direct transfers want it. */
static int write_pattern(int fd, uint64_t at, uint64_t bytes, uint32_t pattern) {
  uint8_t *piece = pages_map(PIECE_BYTES);
  if (!piece) return -ENOMEM;
  fill(piece, PIECE_BYTES, pattern);
  int32_t result = 0;
  while (bytes && result >= 0) {
    struct op op = {.code = SHIM_OP_WRITE, .fd = fd, .memory = piece, .at = at};
    op.bytes = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
    result = op_execute(&op);
    if (result == -EINTR) result = 0;
    else if (result == 0) result = -ENOSPC;
    at += result > 0 ? (uint64_t)result : 0;
    bytes -= result > 0 ? (uint64_t)result : 0;
  }
  pages_unmap(piece, PIECE_BYTES);
  return result < 0 ? result : 0;
}

int32_t shim_file_erase(int32_t file, double at, double bytes, int32_t how, int32_t pattern) {
  struct file_use use;
  if (file_use(file, &use) < 0) return -EINVAL;
  if (use.read_only) return -EROFS;
  if (!(at >= 0 && bytes >= 0 && at + bytes <= (double)use.bytes)) return -EINVAL;
  struct op op = {.fd = use.fd, .at = (uint64_t)at, .bytes = (uint64_t)bytes};
  op.code = how == SHIM_ERASE_SYNC ? SHIM_OP_SYNC : SHIM_OP_DISCARD;
  if (how == SHIM_ERASE_SYNC) return op_execute(&op);
  if (bytes < 1) return 0;
  if (how == SHIM_ERASE_DISCARD) return op_execute(&op);
  if (how != SHIM_ERASE_FILL) return -EINVAL;
  return write_pattern(use.fd, op.at, op.bytes, (uint32_t)pattern);
}

int32_t shim_region_erase(int32_t region, double at, double bytes, int32_t pattern) {
  uint8_t *base = shim_region_address(region);
  if (!base) return -EINVAL;
  uint64_t size = atomic_load_explicit(&regions[region].bytes, memory_order_relaxed);
  if (!(at >= 0 && bytes >= 0 && at + bytes <= (double)size)) return -EINVAL;
  uint8_t *from = base + (uint64_t)at, *end = from + (uint64_t)bytes;
  if (pattern) {
    fill(from, (uint64_t)bytes, (uint32_t)pattern);
    return 0;
  }
  uint8_t *first = (uint8_t *)(((uintptr_t)from + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
  uint8_t *last = (uint8_t *)((uintptr_t)end & ~(uintptr_t)(PAGE - 1));
  if (first >= last || !pages_forget(first, (uint64_t)(last - first))) {
    memset(from, 0, (size_t)bytes);
    return 0;
  }
  memset(from, 0, (size_t)(first - from));
  memset(last, 0, (size_t)(end - last));
  return 0;
}
