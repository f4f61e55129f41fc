/*
 * pci_vfio.c: PCI devices through VFIO. Linux keeps each device's memory accesses within what we
 * mapped for it, and resets it when this process ends, however it ends. Called by pci.c.
 *
 *   group:  /dev/vfio/vfio ◀── container ── group /dev/vfio/N ── device       (every kernel)
 *   cdev:   /dev/iommu ◀── address space ── device /dev/vfio/devices/vfioN    (Linux 6.6 and later)
 *
 * Documentation/driver-api/vfio.rst, Documentation/userspace-api/iommufd.rst. What newer headers
 * name is spelled out here, so that old ones do to compile.
 * Invariant: a space is shared by all devices of its kind and goes with the last one.
 */
#include "pci.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* linux/iommufd.h, and what linux/vfio.h has of it. */
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define ATTACH_PAGE_TABLE _IO(VFIO_TYPE, VFIO_BASE + 19)
#define IOAS_ALLOC _IO(';', 0x81)
#define IOAS_MAP _IO(';', 0x85)
#define IOAS_UNMAP _IO(';', 0x86)
enum { MAP_FIXED_ADDRESS = 1, MAP_WRITEABLE = 2, MAP_READABLE = 4 };
struct bind_iommufd { uint32_t argsz, flags; int32_t iommufd; uint32_t device_id; };
struct attach_page_table { uint32_t argsz, flags, id; };
struct ioas_alloc { uint32_t size, flags, id; };
struct ioas_map { uint32_t size, flags, id, reserved; uint64_t base, bytes, address; };
struct ioas_unmap { uint32_t size, id; uint64_t address, bytes; };

static int call(int fd, unsigned long request, void *argument) {
  return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

/* ---- the device, however it was come by ------------------------------------------------------ */

static int map_bar(struct device *device) {
  int flags = device->bar ? MAP_SHARED | MAP_FIXED : MAP_SHARED;
  void *bar = mmap(device->bar, device->bar_bytes, PROT_READ | PROT_WRITE, flags, device->fd,
                   (off_t)device->bar_at);
  if (bar == MAP_FAILED) return -errno;
  device->bar = bar;
  return 0;
}

static int open_regions(struct device *device) {
  struct vfio_region_info bar = {.argsz = sizeof bar, .index = VFIO_PCI_BAR0_REGION_INDEX};
  struct vfio_region_info config = {.argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX};
  int result = call(device->fd, VFIO_DEVICE_GET_REGION_INFO, &bar);
  if (result == 0) result = call(device->fd, VFIO_DEVICE_GET_REGION_INFO, &config);
  if (result < 0) return result;
  if (!(bar.flags & VFIO_REGION_INFO_FLAG_MMAP) || bar.size > INT32_MAX) return -ENODEV;
  device->bar_at = bar.offset;
  device->bar_bytes = bar.size;
  device->config_at = config.offset;
  return map_bar(device);
}

static int set_events(struct device *device, uint32_t index, uint32_t amount, const int *events) {
  _Alignas(struct vfio_irq_set) uint8_t bytes[sizeof(struct vfio_irq_set) +
                                              VECTORS_MAX * sizeof(int32_t)];
  struct vfio_irq_set *set = (struct vfio_irq_set *)(void *)bytes;
  *set = (struct vfio_irq_set){
    .argsz = (uint32_t)(sizeof *set + amount * sizeof(int32_t)), .index = index, .count = amount,
    .flags = VFIO_IRQ_SET_ACTION_TRIGGER |
             (amount ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
  };
  if (amount) memcpy(set->data, events, amount * sizeof(int32_t));
  return call(device->fd, VFIO_DEVICE_SET_IRQS, set);
}

static uint32_t events_of(struct device *device, uint32_t index) {
  struct vfio_irq_info info = {.argsz = sizeof info, .index = index};
  bool told = call(device->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) == 0;
  return told && info.flags & VFIO_IRQ_INFO_EVENTFD ? info.count : 0;
}

/* The event of something that befalls the device; -1 where the system does not tell. */
static int notice(struct device *device, uint32_t index) {
  if (!events_of(device, index)) return -1;
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event >= 0 && set_events(device, index, 1, &event) < 0) {
    close(event);
    event = -1;
  }
  return event;
}

static int open_device(struct device *device) {
  struct vfio_device_info info = {.argsz = sizeof info};
  int result = call(device->fd, VFIO_DEVICE_GET_INFO, &info);
  if (result < 0) return result;
  if (!(info.flags & VFIO_DEVICE_FLAGS_PCI)) return -ENODEV;
  uint32_t vectors = events_of(device, VFIO_PCI_MSIX_IRQ_INDEX);
  device->facts.vectors = (int32_t)(vectors < VECTORS_MAX ? vectors : VECTORS_MAX);
  device->facts.reset = (info.flags & VFIO_DEVICE_FLAGS_RESET) != 0;
  device->facts.translated = 1;
  device->wanted = notice(device, VFIO_PCI_REQ_IRQ_INDEX);
  device->failed = notice(device, VFIO_PCI_ERR_IRQ_INDEX);
  return open_regions(device);
}

static void vfio_close(struct device *device) {
  if (device->bar) munmap(device->bar, device->bar_bytes);
}

static int vfio_config(struct device *device, int32_t at, int32_t bytes, void *value,
                       bool writes) {
  off_t position = (off_t)device->config_at + at;
  ssize_t done = writes ? pwrite(device->fd, value, (size_t)bytes, position)
                        : pread(device->fd, value, (size_t)bytes, position);
  return done == bytes ? 0 : done < 0 ? -errno : -EIO;
}

static int vfio_reset(struct device *device) {
  if (!device->facts.reset) return -EOPNOTSUPP;
  int result = call(device->fd, VFIO_DEVICE_RESET, NULL);
  return result == 0 ? map_bar(device) : result; /* a fault may have taken its place */
}

static int vfio_interrupts(struct device *device, int32_t amount) {
  return set_events(device, VFIO_PCI_MSIX_IRQ_INDEX, (uint32_t)amount, device->events);
}

/* ---- container and group --------------------------------------------------------------------- */

static int container_map(int fd, uint32_t id, uint64_t address, void *base, uint64_t bytes) {
  (void)id;
  struct vfio_iommu_type1_dma_map map = {
    .argsz = sizeof map, .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
    .vaddr = (uint64_t)(uintptr_t)base, .iova = address, .size = bytes,
  };
  return call(fd, VFIO_IOMMU_MAP_DMA, &map);
}

static int container_unmap(int fd, uint32_t id, uint64_t address, uint64_t bytes) {
  (void)id;
  struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof unmap, .iova = address, .size = bytes};
  return call(fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static const struct space_calls container_calls = {.map = container_map, .unmap = container_unmap};

/* With the lock of dma.c held. */
static int join_container(struct device *device) {
  uint32_t none;
  int container = space_find(SPACE_CONTAINER, &none);
  bool fresh = container < 0;
  if (fresh) container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
  if (container < 0) return -errno;
  bool able = !fresh || (ioctl(container, VFIO_GET_API_VERSION) == VFIO_API_VERSION &&
                         ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1);
  int result = able ? call(device->group, VFIO_GROUP_SET_CONTAINER, &container) : -EOPNOTSUPP;
  if (result == 0 && fresh && ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0) {
    result = -errno;
  }
  if (result < 0) {
    if (fresh) close(container);
    return result;
  }
  if (fresh) result = space_add(SPACE_CONTAINER, container, 0, &container_calls);
  space_keep(SPACE_CONTAINER);
  device->space = SPACE_CONTAINER;
  return result;
}

static int group_open(struct device *device, const char *name, const char *path) {
  device->group = open(path, O_RDWR | O_CLOEXEC);
  if (device->group < 0) return -errno;
  struct vfio_group_status status = {.argsz = sizeof status};
  int result = call(device->group, VFIO_GROUP_GET_STATUS, &status);
  if (result < 0) return result;
  if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) return -EXDEV;
  dma_lock();
  result = join_container(device);
  dma_unlock();
  if (result < 0) return result;
  device->fd = ioctl(device->group, VFIO_GROUP_GET_DEVICE_FD, name);
  return device->fd < 0 ? -errno : open_device(device);
}

const struct access group_access = {
  .open = group_open, .close = vfio_close, .config = vfio_config, .reset = vfio_reset,
  .interrupts = vfio_interrupts,
};

/* ---- iommufd and cdev ------------------------------------------------------------------------ */

static int ioas_map(int fd, uint32_t id, uint64_t address, void *base, uint64_t bytes) {
  struct ioas_map map = {
    .size = sizeof map, .flags = MAP_FIXED_ADDRESS | MAP_WRITEABLE | MAP_READABLE, .id = id,
    .base = (uint64_t)(uintptr_t)base, .bytes = bytes, .address = address,
  };
  return call(fd, IOAS_MAP, &map);
}

static int ioas_unmap(int fd, uint32_t id, uint64_t address, uint64_t bytes) {
  struct ioas_unmap unmap = {.size = sizeof unmap, .id = id, .address = address, .bytes = bytes};
  return call(fd, IOAS_UNMAP, &unmap);
}

static const struct space_calls ioas_calls = {.map = ioas_map, .unmap = ioas_unmap};

/* With the lock of dma.c held. */
static int join_ioas(struct device *device) {
  uint32_t id;
  int iommufd = space_find(SPACE_IOAS, &id);
  bool fresh = iommufd < 0;
  if (fresh) iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
  if (iommufd < 0) return -errno;
  struct bind_iommufd bind = {.argsz = sizeof bind, .iommufd = iommufd};
  int result = call(device->fd, BIND_IOMMUFD, &bind);
  struct ioas_alloc alloc = {.size = sizeof alloc};
  if (result == 0 && fresh) {
    result = call(iommufd, IOAS_ALLOC, &alloc);
    id = alloc.id;
  }
  struct attach_page_table attach = {.argsz = sizeof attach, .id = id};
  if (result == 0) result = call(device->fd, ATTACH_PAGE_TABLE, &attach);
  if (result < 0) {
    if (fresh) close(iommufd);
    return result;
  }
  if (fresh) result = space_add(SPACE_IOAS, iommufd, id, &ioas_calls);
  space_keep(SPACE_IOAS);
  device->space = SPACE_IOAS;
  return result;
}

static int cdev_open(struct device *device, const char *name, const char *path) {
  (void)name;
  device->fd = open(path, O_RDWR | O_CLOEXEC);
  if (device->fd < 0) return -errno;
  dma_lock();
  int result = join_ioas(device);
  dma_unlock();
  return result < 0 ? result : open_device(device);
}

const struct access cdev_access = {
  .open = cdev_open, .close = vfio_close, .config = vfio_config, .reset = vfio_reset,
  .interrupts = vfio_interrupts,
};
