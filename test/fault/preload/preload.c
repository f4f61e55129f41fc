/*
 * preload.c: what a system does when it is ill. Preloaded into the daemon by tests; a control file (WEFT_ILLNESS) says
 * what is wrong now, and is read again each time it is asked for.
 *
 *   "sectors FROM TO"   reads and writes of bytes between these of any regular file fail with EIO
 *   "sync"              fdatasync of regular files fails with EIO
 *   "clock SECONDS"     the time of day is off by so many
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

struct illness { char kind[16]; long long from, to; };

/* By system calls alone: this is called from within others of libc. */
static struct illness illness(void) {
  struct illness found = {"", 0, 0};
  const char *path = getenv("WEFT_ILLNESS");
  char text[80] = "";
  if (!path) return found;
  long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return found;
  long bytes = syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  if (bytes > 0) sscanf(text, "%15s %lld %lld", found.kind, &found.from, &found.to);
  return found;
}

static int is_file(int fd) {
  struct stat stat;
  return fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
}

static int fails(int fd, const struct iovec *iov, int count, off_t at) {
  struct illness now = illness();
  long long bytes = 0;
  if (strcmp(now.kind, "sectors") || !is_file(fd)) return 0;
  for (int i = 0; i < count; i++) bytes += (long long)iov[i].iov_len;
  return at < now.to && at + bytes > now.from;
}

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t at) {
  if (fails(fd, iov, count, at)) return errno = EIO, -1;
  return syscall(SYS_preadv, fd, iov, count, at, 0L);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags) {
  if (fails(fd, iov, count, at)) return errno = EIO, -1;
  return syscall(SYS_pwritev2, fd, iov, count, at, 0L, flags);
}

int fdatasync(int fd) {
  if (!strcmp(illness().kind, "sync") && is_file(fd)) return errno = EIO, -1;
  return (int)syscall(SYS_fdatasync, fd);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  long result = syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    struct illness now = illness();
    if (!strcmp(now.kind, "clock")) time->tv_sec += (time_t)now.from;
  }
  return (int)result;
}

int gettimeofday(struct timeval *time, void *zone) {
  struct illness now = illness();
  (void)zone;
  long result = syscall(SYS_gettimeofday, time, NULL);
  if (result == 0 && !strcmp(now.kind, "clock")) time->tv_sec += (time_t)now.from;
  return (int)result;
}
