/*
 * op.c: operations on files and memory, the part that all engines share: checking a descriptor
 * and what a result leads to. Called by turn.c, the engines, pool.c; execute.c has the system calls.
 *
 * READ and WRITE go on after a short transfer; ZERO with FUA syncs after it; MEMORY_ZERO is done
 * here, a slice a turn, so that giving back a terabyte does not stop a reactor.
 *
 * Invariant: an op completes exactly once, and never more than ops_max are outstanding.
 */
#include "core.h"
#include <string.h>

#define PAGE 4096ull

static bool uses_file(int32_t code) { return code >= SHIM_OP_READ && code <= SHIM_OP_ZERO; }

/* Fills `op` from a descriptor. 0; -errno of a broken contract; 1: op->result is known already. */
static int decode(struct shim *shim, const int32_t *words, struct op *op) {
  int32_t code = words[SHIM_O_CODE], bytes = words[SHIM_O_BYTES];
  uint64_t range = wide(words[SHIM_O_RANGE_LO], words[SHIM_O_RANGE_HI]);
  op->code = code;
  op->token = words[SHIM_O_TOKEN];
  op->flags = words[SHIM_O_FLAGS];
  op->at = wide(words[SHIM_O_AT_LO], words[SHIM_O_AT_HI]);
  op->bytes = code == SHIM_OP_DISCARD || code == SHIM_OP_ZERO || code == SHIM_OP_MEMORY_ZERO
    ? range : (uint64_t)(uint32_t)bytes;
  op->syncing = false;
  op->next = NULL;
  if (code < SHIM_OP_READ || code > SHIM_OP_MOVE || op->flags & ~SHIM_OP_FUA) return -EINVAL;
  if (code == SHIM_OP_READ || code == SHIM_OP_WRITE || code == SHIM_OP_COMPARE ||
      code == SHIM_OP_MEMORY_ZERO || code == SHIM_OP_MOVE) {
    if (bytes < 0 && code != SHIM_OP_MEMORY_ZERO) return -EINVAL;
    op->memory = place(shim, words[SHIM_O_REGION], words[SHIM_O_LO], words[SHIM_O_HI], op->bytes);
    if (!op->memory) return -EFAULT;
    op->give_back = words[SHIM_O_REGION] != 0;
  }
  if (code == SHIM_OP_COMPARE || code == SHIM_OP_MOVE) {
    op->other = place(shim, words[SHIM_O_OTHER_REGION], words[SHIM_O_OTHER_LO],
                      words[SHIM_O_OTHER_HI], op->bytes);
    if (!op->other) return -EFAULT;
  }
  if (!uses_file(code)) return 0;
  struct file_use use;
  if (file_use(words[SHIM_O_FILE], &use) < 0) return -EINVAL;
  op->fd = use.fd;
  op->result = 0;
  if (code == SHIM_OP_SYNC) return 0;
  if (use.read_only && code != SHIM_OP_READ) op->result = -EROFS;
  else if (op->at > use.bytes || op->bytes > use.bytes - op->at) op->result = -EINVAL;
  else if (op->bytes) return 0;
  return 1;
}

void op_complete(struct shim *shim, struct op *op, int32_t result) {
  complete(shim, op->token, result);
  shim->ops_outstanding--;
  op->next = shim->ops_free;
  shim->ops_free = op;
}

static void start(struct shim *shim, struct op *op) {
  if (op->code == SHIM_OP_COMPARE) {
    op_complete(shim, op, memcmp(op->memory, op->other, op->bytes) != 0);
  } else if (op->code == SHIM_OP_MOVE) {
    memmove(op->other, op->memory, op->bytes);
    op_complete(shim, op, 0);
  } else if (op->code == SHIM_OP_MEMORY_ZERO) {
    if (shim->zero_last) shim->zero_last->next = op;
    else shim->zero_first = op;
    shim->zero_last = op;
  } else {
    shim->engine->operate(shim, op);
  }
}

/* Starts the first `amount` descriptors of the ops area. All are checked before any is started. */
int ops_start(struct shim *shim, int32_t amount) {
  if (amount < 0 || amount > shim->limits.ops_max - shim->ops_outstanding) return -EINVAL;
  const int32_t *words = (const int32_t *)(const void *)
    (shim->arena + shim->at[SHIM_H_OPS_AT]);
  struct op checked = {0};
  for (int32_t i = 0; i < amount; i++) {
    int verdict = decode(shim, words + 16 * (size_t)i, &checked);
    if (verdict < 0) return verdict;
  }
  for (int32_t i = 0; i < amount; i++) {
    struct op *op = shim->ops_free;
    shim->ops_free = op->next;
    shim->ops_outstanding++;
    int verdict = decode(shim, words + 16 * (size_t)i, op);
    if (verdict == 0) start(shim, op);
    else op_complete(shim, op, verdict < 0 ? verdict : op->result); /* a file closed meanwhile */
  }
  count(shim, SHIM_N_OPS, amount);
  if (shim->zero_first) ops_zero(shim);
  return 0;
}

/* Zeroes `bytes`: whole pages of private memory by giving them back, the edges by writing. */
static void zero(uint8_t *from, uint64_t bytes, bool give_back) {
  uint8_t *end = from + bytes;
  uint8_t *first = (uint8_t *)(((uintptr_t)from + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
  uint8_t *last = (uint8_t *)((uintptr_t)end & ~(uintptr_t)(PAGE - 1));
  if (!give_back || first >= last || !pages_forget(first, (uint64_t)(last - first))) {
    memset(from, 0, bytes);
    return;
  }
  memset(from, 0, (size_t)(first - from));
  memset(last, 0, (size_t)(end - last));
}

/* Goes on with MEMORY_ZERO, at most ZERO_SLICE_BYTES of it. */
void ops_zero(struct shim *shim) {
  uint64_t budget = ZERO_SLICE_BYTES;
  while (shim->zero_first && budget && !completions_full(shim)) {
    struct op *op = shim->zero_first;
    uint64_t slice = op->bytes < budget ? op->bytes : budget;
    zero(op->memory, slice, op->give_back);
    op->memory += slice;
    op->bytes -= slice;
    budget -= slice;
    if (op->bytes) return;
    shim->zero_first = op->next;
    if (!op->next) shim->zero_last = NULL;
    op_complete(shim, op, 0);
  }
}

/* What a step's result means: true when the op is over, with its *final result. */
bool op_advance(struct op *op, int32_t result, int32_t *final) {
  bool transfers = op->code == SHIM_OP_READ || op->code == SHIM_OP_WRITE;
  if (result == -EINTR || result == -EAGAIN) return false;
  *final = result < 0 ? result : 0;
  if (result < 0) return true;
  if (transfers) {
    if (result == 0) {
      *final = op->code == SHIM_OP_READ ? -EIO : -ENOSPC;
      return true;
    }
    op->memory += result;
    op->at += (uint64_t)result;
    op->bytes -= (uint64_t)result;
    return op->bytes == 0;
  }
  if (op->code == SHIM_OP_ZERO && (op->flags & SHIM_OP_FUA) && !op->syncing) {
    op->syncing = true;
    return false;
  }
  return true;
}
