/**
 * The device's failure becomes the host's status: errno to NVMe status, once, here.
 * Every device calls it with what the shim reported.          NVMe Base 2.0, Figure 95 and 98
 *
 * Invariant: no errno becomes Invalid Opcode or Invalid Field, which hosts read as "not supported".
 */
import { STATUS } from '../wire/status.ts'
import { ERRNO } from '../shim/errno.ts'

const { EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EPERM, EACCES, ENXIO, ENODEV, ENOMEM, EAGAIN } = ERRNO
/** Not in Node's table: ENODATA and EREMOTEIO of Linux come from a medium that lost a sector. */
const ENODATA = 61
const EREMOTEIO = 121

/** errno: positive. Unknown ones are an internal error, which hosts may retry. */
export function statusOfErrno(errno: number): number {
  switch (errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return STATUS.CAPACITY_EXCEEDED
    case EROFS:
    case EPERM:
    case EACCES:
      return STATUS.NAMESPACE_WRITE_PROTECTED
    case ENXIO:
    case ENODEV:
      return STATUS.NAMESPACE_NOT_READY
    case ENOMEM:
    case EAGAIN:
      return STATUS.COMMAND_INTERRUPTED
    case EIO:
    case ENODATA:
    case EREMOTEIO:
      return STATUS.INTERNAL_ERROR
    default:
      return STATUS.INTERNAL_ERROR
  }
}

/** The same where it is known which way the data went: a medium error names its kind. */
export function mediaStatusOfErrno(errno: number, writing: boolean): number {
  if (errno === EIO || errno === ENODATA || errno === EREMOTEIO) {
    return writing ? STATUS.WRITE_FAULT : STATUS.UNRECOVERED_READ_ERROR
  }
  return statusOfErrno(errno)
}
