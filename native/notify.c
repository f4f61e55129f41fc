/*
 * notify.c: one datagram to a Unix socket, which Node cannot send: how a service tells the system's
 * manager of itself. Called by TypeScript, on any thread.
 */
#include "core.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int32_t shim_notify(const char *path, const char *text) {
  struct sockaddr_un where = {.sun_family = AF_UNIX};
  if (!path || !text) return -EINVAL;
  size_t length = strlen(path);
  if (length < 2 || length >= sizeof where.sun_path) return -EINVAL;
  memcpy(where.sun_path, path, length);
  if (where.sun_path[0] == '@') where.sun_path[0] = 0; /* abstract: there is no file */
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&where, bytes);
  int error = errno;
  close(fd);
  return sent < 0 ? -error : 0;
}
