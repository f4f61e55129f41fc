/*
 * pci.h: what an open PCI device is made of, and the calls between the files that know one.
 * Included by pci*.c, dma.c and queue.c.
 *
 *   pci.c ──▶ pci_memory.c │ pci_vfio.c (group, cdev) │ pci_uio.c
 *     │                          │ space
 *     └──────▶ dma.c ◀───────────┘
 *
 * Invariant: an id and the BAR's address stay as they are from open to close.
 */
#ifndef WEFT_PCI_H
#define WEFT_PCI_H
#include "core.h"

enum {
  DEVICES_MAX = 64,
  VECTORS_MAX = 256,
  PCI_COMMAND = 4,           /* offset in configuration space, and bits of it */
  PCI_COMMAND_MEMORY = 1 << 1,
  PCI_COMMAND_MASTER = 1 << 2,
  PCI_COMMAND_NO_INTX = 1 << 10
};

struct device;

/* How the system gives access to a device. All but open are called for an open one only. */
struct access {
  /* Fills fds, BAR, facts. On failure what it took is given back by close(). 0 or -errno. */
  int (*open)(struct device *device, const char *name, const char *path);
  void (*close)(struct device *device);
  int (*config)(struct device *device, int32_t at, int32_t bytes, void *value, bool writes);
  int (*reset)(struct device *device);               /* the BAR is mapped where it was */
  int (*interrupts)(struct device *device, int32_t count);  /* events[] fire from now on */
};
extern const struct access memory_access, group_access, cdev_access, uio_access;

struct device {
  bool open;
  const struct access *access;
  uint8_t *bar;
  uint64_t bar_bytes;
  struct shim_pci_facts facts;
  int fd, group, folder;     /* -1: none */
  int wanted, failed;        /* eventfds of what the system says; -1: none */
  bool physical;             /* it reaches memory by physical addresses */
  uint64_t bar_at, config_at;  /* offsets of both in fd */
  int32_t state;             /* what was told so far */
  int32_t space;             /* of dma.c; -1: none */
  atomic_int uses;           /* open queues */
  atomic_bool lost;          /* an access to the BAR failed */
  uint8_t config[256];       /* of SHIM_PCI_MEMORY */
  int32_t event_count;
  int events[VECTORS_MAX];
};

/* pci.c */
int device_use(int32_t device, int32_t tail_at, int32_t head_at, int32_t vector,
               struct queue *queue);
void device_unuse(int32_t device);

/* dma.c: an address space of devices behind an IOMMU. One of each kind, while a device needs it. */
enum { SPACE_CONTAINER = 0, SPACE_IOAS, SPACES };
struct space_calls {
  int (*map)(int fd, uint32_t id, uint64_t address, void *base, uint64_t bytes);
  int (*unmap)(int fd, uint32_t id, uint64_t address, uint64_t bytes);
};
/* The space's descriptor when there is one, else -1. */
int space_find(int32_t kind, uint32_t *id);
/* Tells a new space all memory there is, and all that will come; the descriptor is its own. */
int space_add(int32_t kind, int fd, uint32_t id, const struct space_calls *calls);
void space_keep(int32_t kind);
void space_leave(int32_t kind);
/* A device that reaches memory by physical addresses comes: 0 when all DMA memory is made of huge
 * pages whose place the system tells, as all that comes must be until it leaves; else -ENOBUFS. */
int physical_join(void);
void physical_leave(void);
/* Where a device finds a byte of DMA memory. 0 or -EFAULT. Takes the lock itself. */
int dma_place(const uint8_t *at, bool is_physical, uint64_t *address);
/* Held while a device opens or closes; guards spaces and memory. */
void dma_lock(void);
void dma_unlock(void);

#endif
