/*
 * unavailable.c: what shim.h has and this system lacks: Unix datagrams and, so far, any way to drive
 * a PCI device. Called by TypeScript, arena.c and queue.c.
 *
 * Invariant: nothing opens, so whatever needs an open device answers -EINVAL.
 */
#include "../pci.h"

int32_t shim_notify(const char *path, const char *text) {
  return path && text ? -EOPNOTSUPP : -EINVAL;
}

int32_t shim_pci_open(int32_t access, const char *name, const char *path,
                      struct shim_pci_facts *facts) {
  (void)access;
  return name && path && facts ? -EOPNOTSUPP : -EINVAL;
}

int32_t shim_pci_close(int32_t device) { return (void)device, -EINVAL; }

int32_t shim_pci_read(int32_t device, int32_t at) { return (void)device, (void)at, -1; }

int32_t shim_pci_write(int32_t device, int32_t at, int32_t value) {
  return (void)device, (void)at, (void)value, -EINVAL;
}

double shim_pci_config_read(int32_t device, int32_t at, int32_t bytes) {
  return (void)device, (void)at, (void)bytes, -EINVAL;
}

int32_t shim_pci_config_write(int32_t device, int32_t at, int32_t bytes, int32_t value) {
  return (void)device, (void)at, (void)bytes, (void)value, -EINVAL;
}

int32_t shim_pci_master(int32_t device, int32_t on) { return (void)device, (void)on, -EINVAL; }

int32_t shim_pci_reset(int32_t device) { return (void)device, -EINVAL; }

int32_t shim_pci_interrupts(int32_t device, int32_t count) {
  return (void)device, (void)count, -EINVAL;
}

int32_t shim_pci_interrupted(int32_t device, int32_t vector) {
  return (void)device, (void)vector, -EINVAL;
}

int32_t shim_pci_interrupt(int32_t device, int32_t vector) {
  return (void)device, (void)vector, -EINVAL;
}

int32_t shim_pci_state(int32_t device) { return (void)device, -EINVAL; }

int32_t shim_dma_create(double bytes) { return (void)bytes, -EOPNOTSUPP; }

int32_t shim_dma_address(int32_t device, int32_t region, int32_t lo, int32_t hi, int32_t *out) {
  return (void)device, (void)region, (void)lo, (void)hi, (void)out, -EFAULT;
}

void *shim_dma_pointer(int32_t lo, int32_t hi, int32_t bytes) {
  return (void)lo, (void)hi, (void)bytes, NULL;
}

int device_use(int32_t device, int32_t tail_at, int32_t head_at, int32_t vector,
               struct queue *queue) {
  return (void)device, (void)tail_at, (void)head_at, (void)vector, (void)queue, -EINVAL;
}

void device_unuse(int32_t device) { (void)device; }

int dma_add(uint8_t *base, uint64_t bytes, bool huge) {
  return (void)base, (void)bytes, (void)huge, 0;
}

void dma_remove(const uint8_t *base) { (void)base; }

bool dma_huge(uint8_t *base, uint64_t bytes) { return (void)base, (void)bytes, false; }
