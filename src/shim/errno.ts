/**
 * Error numbers of the shim: those of Linux on every system, as native/shim.h promises. Read by whoever
 * tells one from another; Node's own table has other numbers on Windows.
 */
import { constants } from 'node:os'

/** What the shim answers on Windows: native/windows/error.c. */
const LINUX = {
  EPERM: 1, ENOENT: 2, EINTR: 4, EIO: 5, ENXIO: 6, EBADF: 9, EAGAIN: 11, EWOULDBLOCK: 11, ENOMEM: 12,
  EACCES: 13, EFAULT: 14, EBUSY: 16, EEXIST: 17, EXDEV: 18, ENODEV: 19, EISDIR: 21, EINVAL: 22,
  ENFILE: 23, EMFILE: 24, EFBIG: 27, ENOSPC: 28, EROFS: 30, EPIPE: 32, ENAMETOOLONG: 36, ENOSYS: 38,
  EPROTO: 71, ENOTSOCK: 88, EOPNOTSUPP: 95, EAFNOSUPPORT: 97, EADDRINUSE: 98, EADDRNOTAVAIL: 99,
  ENETUNREACH: 101, ECONNABORTED: 103, ECONNRESET: 104, ENOBUFS: 105, ENOTCONN: 107, ETIMEDOUT: 110,
  ECONNREFUSED: 111, EHOSTUNREACH: 113, EDQUOT: 122, ECANCELED: 125,
}

export const ERRNO: Readonly<typeof LINUX> & Readonly<Record<string, number>> =
  process.platform === 'win32' ? LINUX : constants.errno
