/*
 * pci_uio.c: PCI devices without an IOMMU, bound to uio_pci_generic: registers and configuration
 * space through sysfs, physical addresses, no interrupts. Called by pci.c.
 *
 * Nothing keeps such a device from writing anywhere. Keeping /dev/uioN open has Linux switch bus
 * mastering off when this process ends, however it ends.
 * Invariant: the lock on /dev/uioN is held from open to close: one process a device.
 */
#include "pci.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map_bar(struct device *device) {
  int file = openat(device->folder, "resource0", O_RDWR | O_SYNC | O_CLOEXEC);
  struct stat status;
  if (file < 0) return -errno;
  int result = fstat(file, &status) ? -errno : 0;
  if (result == 0 && (status.st_size < 4096 || status.st_size > INT32_MAX)) result = -ENODEV;
  if (result == 0) {
    device->bar_bytes = (uint64_t)status.st_size;
    int flags = device->bar ? MAP_SHARED | MAP_FIXED : MAP_SHARED;
    void *bar = mmap(device->bar, device->bar_bytes, PROT_READ | PROT_WRITE, flags, file, 0);
    if (bar == MAP_FAILED) result = -errno;
    else device->bar = bar;
  }
  close(file);
  return result;
}

static int uio_open(struct device *device, const char *name, const char *path) {
  device->folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (device->folder < 0) return -errno;
  device->group = open(path, O_RDWR | O_CLOEXEC);
  if (device->group < 0) return -errno;
  if (flock(device->group, LOCK_EX | LOCK_NB)) return errno == EWOULDBLOCK ? -EBUSY : -errno;
  device->fd = openat(device->folder, "config", O_RDWR | O_CLOEXEC);
  if (device->fd < 0) return -errno;
  device->facts.reset = faccessat(device->folder, "reset", W_OK, 0) == 0;
  int result = physical_join();
  if (result < 0) return result;
  device->physical = true;
  return map_bar(device);
}

static void uio_close(struct device *device) {
  if (device->physical) physical_leave();
  if (device->bar) munmap(device->bar, device->bar_bytes);
}

static int uio_config(struct device *device, int32_t at, int32_t bytes, void *value, bool writes) {
  ssize_t done = writes ? pwrite(device->fd, value, (size_t)bytes, at)
                        : pread(device->fd, value, (size_t)bytes, at);
  return done == bytes ? 0 : done < 0 ? -errno : -EIO;
}

static int uio_reset(struct device *device) {
  if (!device->facts.reset) return -EOPNOTSUPP;
  int file = openat(device->folder, "reset", O_WRONLY | O_CLOEXEC);
  if (file < 0) return -errno;
  int result = write(file, "1", 1) < 0 ? -errno : 0;
  close(file);
  return result == 0 ? map_bar(device) : result;
}

static int uio_interrupts(struct device *device, int32_t amount) {
  return device && amount == 0 ? 0 : -EINVAL;
}

const struct access uio_access = {
  .open = uio_open, .close = uio_close, .config = uio_config, .reset = uio_reset,
  .interrupts = uio_interrupts,
};
