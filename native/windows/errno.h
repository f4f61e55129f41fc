/*
 * errno.h: the numbers of Linux for the names that the shim uses, in place of those of this system's
 * C library: shim.h promises them everywhere, and 33 and below are the same anyhow.
 * Included by system.h, behind the library's own.
 */
#ifndef WEFT_WINDOWS_ERRNO_H
#define WEFT_WINDOWS_ERRNO_H
#undef ENAMETOOLONG
#define ENAMETOOLONG 36
#undef ENOSYS
#define ENOSYS 38
#undef EWOULDBLOCK
#define EWOULDBLOCK 11
#undef EPROTO
#define EPROTO 71
#undef ENOTSOCK
#define ENOTSOCK 88
#undef EOPNOTSUPP
#define EOPNOTSUPP 95
#undef EAFNOSUPPORT
#define EAFNOSUPPORT 97
#undef EADDRINUSE
#define EADDRINUSE 98
#undef EADDRNOTAVAIL
#define EADDRNOTAVAIL 99
#undef ENETUNREACH
#define ENETUNREACH 101
#undef ECONNABORTED
#define ECONNABORTED 103
#undef ECONNRESET
#define ECONNRESET 104
#undef ENOBUFS
#define ENOBUFS 105
#undef ENOTCONN
#define ENOTCONN 107
#undef ETIMEDOUT
#define ETIMEDOUT 110
#undef ECONNREFUSED
#define ECONNREFUSED 111
#undef EHOSTUNREACH
#define EHOSTUNREACH 113
#undef ECANCELED
#define ECANCELED 125
#endif
