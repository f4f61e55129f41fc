/*
 * pci_memory.c: a PCI device that is none: its registers are a region that somebody in this process
 * plays the device on. The same calls, doors and events as with a real one. Called by pci.c.
 *
 * Invariant: the region outlives the device.
 */
#include "pci.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { VECTORS = 64 };

static int memory_open(struct device *device, const char *name, const char *path) {
  (void)path;
  char *end;
  long region = strtol(name, &end, 10);
  if (*end || end == name || region < 1 || region > REGIONS_MAX) return -EINVAL;
  device->bar = atomic_load(&regions[region].base);
  device->bar_bytes = atomic_load(&regions[region].bytes);
  if (!device->bar || device->bar_bytes > INT32_MAX) return -EINVAL;
  device->facts.vectors = VECTORS;
  device->facts.reset = 1;
  device->facts.translated = 1;
  return 0;
}

static void memory_close(struct device *device) { (void)device; }

static int memory_config(struct device *device, int32_t at, int32_t bytes, void *value,
                         bool writes) {
  if ((size_t)at + (size_t)bytes > sizeof device->config) return -EINVAL;
  if (writes) memcpy(device->config + at, value, (size_t)bytes);
  else memcpy(value, device->config + at, (size_t)bytes);
  return 0;
}

/* Whoever plays the device asked for it, and knows. */
static int memory_reset(struct device *device) { return device ? 0 : -EINVAL; }

/* Its events fire by shim_pci_interrupt(). */
static int memory_interrupts(struct device *device, int32_t amount) {
  return device && amount >= 0 ? 0 : -EINVAL;
}

const struct access memory_access = {
  .open = memory_open, .close = memory_close, .config = memory_config, .reset = memory_reset,
  .interrupts = memory_interrupts,
};
