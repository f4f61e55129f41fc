/*
 * execute.c: what an op on a file means as a system call of Linux, for who waits for it: the threads
 * of pool.c. uring.c has the same for the ring.
 */
#include "core.h"
#include <fcntl.h>
#include <unistd.h>

static int result_of(ssize_t value) { return value < 0 ? -errno : (int)value; }

/* Does the next step of `op`, waiting for it; the result is for op_advance(). */
int32_t op_execute(struct op *op) {
  const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const int zero_range = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  struct iovec iov = {op->memory, op->bytes};
  off_t at = (off_t)op->at;
  if (op->syncing) return result_of(fdatasync(op->fd));
  switch (op->code) {
  case SHIM_OP_READ: return result_of(preadv(op->fd, &iov, 1, at));
  case SHIM_OP_WRITE:
    return result_of(pwritev2(op->fd, &iov, 1, at, op->flags & SHIM_OP_FUA ? RWF_DSYNC : 0));
  case SHIM_OP_SYNC: return result_of(fdatasync(op->fd));
  case SHIM_OP_DISCARD: return result_of(fallocate(op->fd, punch, at, (off_t)op->bytes));
  case SHIM_OP_ZERO: return result_of(fallocate(op->fd, zero_range, at, (off_t)op->bytes));
  default: return -EINVAL;
  }
}
