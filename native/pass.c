/*
 * pass.c: sockets that go from one process to another, over a Unix socket. Called by TypeScript, on
 * any thread. The receiver opens an inbox, the sender passes, the receiver takes.
 *
 * Invariant: what is taken is closed on exec, and nothing that was passed leaks: what does not fit is
 * closed.
 */
#include "core.h"
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKETS_MAX = 200 };

static int address_of(const char *path, struct sockaddr_un *where, socklen_t *bytes) {
  memset(where, 0, sizeof *where);
  where->sun_family = AF_UNIX;
  if (!path || !*path || strlen(path) >= sizeof where->sun_path) return -EINVAL;
  strcpy(where->sun_path, path);
  *bytes = (socklen_t)sizeof *where;
  return 0;
}

int32_t shim_inbox(const char *path) {
  struct sockaddr_un where;
  socklen_t bytes;
  int result = address_of(path, &where, &bytes);
  if (result < 0) return result;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (bind(fd, (struct sockaddr *)&where, bytes) == 0) return fd;
  result = -errno;
  close(fd);
  return result;
}

int32_t shim_pass(const char *path, const int32_t *sockets, int32_t count) {
  struct sockaddr_un where;
  union { struct cmsghdr head; char bytes[CMSG_SPACE(sizeof(int) * SOCKETS_MAX)]; } control;
  char byte = 0;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_name = &where, .msg_iov = &data, .msg_iovlen = 1};
  if (count < 1 || count > SOCKETS_MAX) return -EINVAL;
  int result = address_of(path, &where, &message.msg_namelen);
  if (result < 0) return result;
  memset(&control, 0, sizeof control);
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
  memcpy(CMSG_DATA(head), sockets, sizeof(int) * (size_t)count);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  result = sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
  close(fd);
  return result;
}

int32_t shim_take(int32_t inbox, int32_t *sockets, int32_t max, int32_t wait_ms) {
  union { struct cmsghdr head; char bytes[CMSG_SPACE(sizeof(int) * SOCKETS_MAX)]; } control;
  char byte = 0;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
    .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control,
  };
  struct pollfd wait = {.fd = inbox, .events = POLLIN};
  int32_t taken = 0;
  int ready = poll(&wait, 1, wait_ms);
  if (ready <= 0) return ready == 0 ? -ETIMEDOUT : -errno;
  if (recvmsg(inbox, &message, MSG_CMSG_CLOEXEC) < 0) return -errno;
  for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t k = 0; k < count; k++) {
      int fd;
      memcpy(&fd, CMSG_DATA(head) + k * sizeof fd, sizeof fd);
      if (taken < max) sockets[taken++] = fd;
      else close(fd);
    }
  }
  return taken;
}
