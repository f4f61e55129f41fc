/*
 * file.c: files and block devices: opening with a lock, and what the system says about them.
 * Called by TypeScript on any thread; op.c looks descriptors up through file_use().
 *
 *   stat → open → lock → create or grow → O_DIRECT? → alignment → discard? zero? → table
 *
 * Invariant: nothing is written to, or changed in, a file whose lock was refused; probing changes
 * no byte that a reader could see.
 */
#include "core.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x00002000U
#endif
enum { STATX_MASK = 0, STATX_MEMORY_ALIGN = 38, STATX_OFFSET_ALIGN = 39 }; /* words */
enum { SECTOR_BYTES = 512, PAGE_BYTES = 4096, PROBE_ALIGN_BYTES = 1 << 20 };

struct file {
  atomic_bool open;
  int fd;
  bool read_only;
  _Atomic uint64_t bytes;
  struct shim_file_facts facts;
};
static struct file files[FILES_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

int file_use(int32_t file, struct file_use *use) {
  if (file < 0 || file >= FILES_MAX) return -EINVAL;
  if (!atomic_load_explicit(&files[file].open, memory_order_acquire)) return -EINVAL;
  use->fd = files[file].fd;
  use->read_only = files[file].read_only;
  use->bytes = atomic_load_explicit(&files[file].bytes, memory_order_relaxed);
  return 0;
}

static int size_of(int fd, bool block_device, uint64_t *bytes) {
  struct stat stat;
  if (block_device) return ioctl(fd, BLKGETSIZE64, bytes) ? -errno : 0;
  if (fstat(fd, &stat)) return -errno;
  *bytes = (uint64_t)stat.st_size;
  return 0;
}

static void put_size(struct shim_file_facts *facts, uint64_t bytes) {
  facts->bytes_lo = (int32_t)(uint32_t)bytes;
  facts->bytes_hi = (int32_t)(uint32_t)(bytes >> 32);
}

/* ---- opening -------------------------------------------------------------------------------- */

/* Opens without creating, then with; O_NONBLOCK so that a pipe in its place does not stop us. */
static int open_path(const char *path, int32_t flags, struct shim_file_facts *facts) {
  struct stat stat;
  int mode = (flags & SHIM_FILE_READ_ONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
  int fd = -1;
  memset(&stat, 0, sizeof stat);
  if (lstat(path, &stat) == 0 || errno != ENOENT) {
    if (stat.st_mode && S_ISLNK(stat.st_mode) && fstatat(AT_FDCWD, path, &stat, 0)) return -errno;
    if (S_ISDIR(stat.st_mode)) return -EISDIR;
    fd = open(path, S_ISBLK(stat.st_mode) ? mode | O_EXCL : mode);
  } else if (flags & SHIM_FILE_CREATE && !(flags & SHIM_FILE_READ_ONLY)) {
    fd = open(path, mode | O_CREAT | O_EXCL, 0600);
    facts->created = fd >= 0;
  } else {
    return -ENOENT;
  }
  if (fd < 0) return -errno;
  int kept = fcntl(fd, F_GETFL);
  if (fstat(fd, &stat) || kept < 0 || fcntl(fd, F_SETFL, kept & ~O_NONBLOCK) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  facts->block_device = S_ISBLK(stat.st_mode);
  if (S_ISBLK(stat.st_mode) || S_ISREG(stat.st_mode)) return fd;
  close(fd);
  return -ENODEV;
}

static int lock_and_size(int fd, int32_t flags, uint64_t wanted, struct shim_file_facts *facts) {
  uint64_t bytes = 0;
  if (flock(fd, (flags & SHIM_FILE_READ_ONLY ? LOCK_SH : LOCK_EX) | LOCK_NB)) return -errno;
  int result = size_of(fd, facts->block_device, &bytes);
  if (result < 0) return result;
  bool grows = facts->created || (flags & SHIM_FILE_GROW && !(flags & SHIM_FILE_READ_ONLY));
  if (!facts->block_device && grows && bytes < wanted) {
    if (ftruncate(fd, (off_t)wanted)) return -errno;
    bytes = wanted;
  }
  put_size(facts, bytes);
  return 0;
}

/* ---- what the system says ------------------------------------------------------------------- */

static bool reads(int fd, uint8_t *aligned, size_t bytes) {
  return pread(fd, aligned, bytes, 0) >= 0;
}

/* Unit and alignment of direct transfers; false when the file system only pretends to have them. */
static bool find_alignment(int fd, struct shim_file_facts *facts) {
  struct stat stat;
  uint32_t extended[64]; /* struct statx; headers before 6.1 do not have the two members wanted */
  int logical = 0;
  unsigned physical = 0;
  _Alignas(PAGE_BYTES) uint8_t buffer[PAGE_BYTES];
  if (fstat(fd, &stat)) return false;
  facts->memory_align_bytes = SECTOR_BYTES;
  facts->logical_bytes = PAGE_BYTES;
  facts->physical_bytes = (int32_t)stat.st_blksize;
  memset(extended, 0, sizeof extended);
  if (facts->block_device) {
    if (ioctl(fd, BLKSSZGET, &logical) == 0) facts->logical_bytes = logical;
    if (ioctl(fd, BLKPBSZGET, &physical) == 0) facts->physical_bytes = (int32_t)physical;
    facts->memory_align_bytes = facts->logical_bytes;
  } else if (reads(fd, buffer, SECTOR_BYTES)) {
    facts->logical_bytes = SECTOR_BYTES;
  }
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, extended) == 0 &&
      (extended[STATX_MASK] & STATX_DIOALIGN)) {
    if (!extended[STATX_OFFSET_ALIGN]) return false;
    facts->logical_bytes = (int32_t)extended[STATX_OFFSET_ALIGN];
    facts->memory_align_bytes = (int32_t)extended[STATX_MEMORY_ALIGN];
  }
  return reads(fd, buffer, PAGE_BYTES);
}

static void find_direct(int fd, int32_t flags, struct shim_file_facts *facts) {
  struct stat stat;
  int kept = fcntl(fd, F_GETFL);
  if (!(flags & SHIM_FILE_BUFFERED)) {
    if (kept < 0 || fcntl(fd, F_SETFL, kept | O_DIRECT) < 0) {
      facts->direct_errno = errno;
    } else if (find_alignment(fd, facts)) {
      facts->direct = 1;
      return;
    } else {
      facts->direct_errno = EINVAL;
      (void)fcntl(fd, F_SETFL, kept);
    }
  }
  facts->logical_bytes = 1;
  facts->memory_align_bytes = 1;
  facts->physical_bytes = fstat(fd, &stat) ? 0 : (int32_t)stat.st_blksize;
}

/* A number that the kernel tells about a block device, or about the whole of a partition's. */
static uint64_t queue_number(dev_t device, const char *name) {
  static const char *const forms[] = {"/sys/dev/block/%u:%u/queue/%s",
                                      "/sys/dev/block/%u:%u/../queue/%s"};
  char path[128], text[32];
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, forms[i], major(device), minor(device), name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = 0;
    return strtoull(text, NULL, 10);
  }
  return 0;
}

/*
 * Punching is tried beyond the end, where nobody reads. Zeroing there would allocate what cannot
 * everywhere be taken back, so the file systems that have it are known by name.
 */
static void probe_file(int fd, uint64_t bytes, struct shim_file_facts *facts) {
  static const uint32_t zeroing[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                     F2FS_SUPER_MAGIC};
  struct statfs system;
  off_t beyond = (off_t)((bytes / PROBE_ALIGN_BYTES + 1) * PROBE_ALIGN_BYTES);
  facts->discard = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, beyond,
                             PAGE_BYTES) == 0;
  if (!facts->discard || fstatfs(fd, &system)) return;
  for (size_t i = 0; i < sizeof zeroing / sizeof zeroing[0]; i++) {
    if ((uint32_t)system.f_type == zeroing[i]) facts->zero = 1;
  }
}

/* A number of bytes that fits a fact; 0 where it does not. */
static int32_t fact(uint64_t bytes) {
  return bytes <= INT32_MAX ? (int32_t)bytes : 0;
}

/*
 * What a block device prefers. One that does not start at a multiple of its physical block (an old
 * partition) has no unit that is better than the logical block.
 */
static void find_preferences(int fd, dev_t device, struct shim_file_facts *facts) {
  int misaligned = 0;
  if (ioctl(fd, BLKALIGNOFF, &misaligned) == 0 && misaligned != 0) {
    facts->physical_bytes = facts->logical_bytes;
  }
  facts->optimal_bytes = fact(queue_number(device, "optimal_io_size"));
  facts->discard_bytes = fact(queue_number(device, "discard_granularity"));
  facts->boundary_bytes = fact(queue_number(device, "chunk_sectors") * SECTOR_BYTES);
}

static void find_abilities(int fd, struct shim_file_facts *facts) {
  struct stat stat;
  if (fstat(fd, &stat)) return;
  if (facts->block_device) {
    facts->rotational = queue_number(stat.st_rdev, "rotational") != 0;
    find_preferences(fd, stat.st_rdev, facts);
    bool zeroes = queue_number(stat.st_rdev, "write_zeroes_max_bytes") != 0;
    facts->discard = zeroes && !facts->read_only; /* punching asks the device for zeroes */
    facts->zero = facts->discard;
  } else if (!facts->read_only) {
    probe_file(fd, wide(facts->bytes_lo, facts->bytes_hi), facts);
    if (facts->discard) facts->discard_bytes = (int32_t)stat.st_blksize;
  }
}

/* ---- the table ------------------------------------------------------------------------------ */

static int32_t insert(int fd, const struct shim_file_facts *facts) {
  int32_t id = 0;
  pthread_mutex_lock(&mutex);
  while (id < FILES_MAX && atomic_load(&files[id].open)) id++;
  if (id < FILES_MAX) {
    files[id].fd = fd;
    files[id].read_only = facts->read_only;
    files[id].facts = *facts;
    atomic_store(&files[id].bytes, wide(facts->bytes_lo, facts->bytes_hi));
    atomic_store_explicit(&files[id].open, true, memory_order_release);
  }
  pthread_mutex_unlock(&mutex);
  return id < FILES_MAX ? id : -ENFILE;
}

int32_t shim_file_open(const char *path, int32_t flags, double bytes,
                       struct shim_file_facts *facts) {
  const int32_t known = SHIM_FILE_CREATE | SHIM_FILE_READ_ONLY | SHIM_FILE_BUFFERED |
                        SHIM_FILE_GROW;
  if (!path || !facts || flags & ~known) return -EINVAL;
  if (!(bytes >= 0 && bytes <= 9007199254740991.0)) return -EINVAL;
  memset(facts, 0, sizeof *facts);
  int fd = open_path(path, flags, facts);
  if (fd < 0) return fd;
  facts->read_only = (flags & SHIM_FILE_READ_ONLY) != 0;
  int32_t result = lock_and_size(fd, flags, (uint64_t)bytes, facts);
  if (result == 0) {
    find_direct(fd, flags, facts);
    find_abilities(fd, facts);
    result = insert(fd, facts);
  }
  if (result >= 0) return result;
  if (facts->created) (void)unlink(path);
  close(fd);
  return result;
}

int32_t shim_file_facts(int32_t file, struct shim_file_facts *facts) {
  if (file < 0 || file >= FILES_MAX || !facts) return -EINVAL;
  uint64_t bytes = 0;
  int result = -EINVAL;
  pthread_mutex_lock(&mutex);
  if (atomic_load(&files[file].open)) {
    result = size_of(files[file].fd, files[file].facts.block_device, &bytes);
    if (result == 0) {
      put_size(&files[file].facts, bytes);
      atomic_store(&files[file].bytes, bytes);
      *facts = files[file].facts;
    }
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

int32_t shim_file_resize(int32_t file, double bytes) {
  if (file < 0 || file >= FILES_MAX) return -EINVAL;
  if (!(bytes >= 0 && bytes <= 9007199254740991.0)) return -EINVAL;
  int result = -EINVAL;
  pthread_mutex_lock(&mutex);
  if (atomic_load(&files[file].open) && !files[file].facts.block_device) {
    result = files[file].read_only ? -EROFS : 0;
    if (result == 0 && ftruncate(files[file].fd, (off_t)bytes)) result = -errno;
    if (result == 0) {
      put_size(&files[file].facts, (uint64_t)bytes);
      atomic_store(&files[file].bytes, (uint64_t)bytes);
    }
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

int32_t shim_file_close(int32_t file) {
  int result = -EINVAL;
  if (file < 0 || file >= FILES_MAX) return result;
  pthread_mutex_lock(&mutex);
  if (atomic_load(&files[file].open)) {
    close(files[file].fd);
    atomic_store(&files[file].open, false);
    result = 0;
  }
  pthread_mutex_unlock(&mutex);
  return result;
}
