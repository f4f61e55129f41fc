/*
 * pci.c: the table of PCI devices, and what is the same for each however the system gives access
 * to it: register accesses, the command register, events. Called by TypeScript on any thread;
 * pci_*.c know the system's interfaces.
 *
 * A BAR whose memory was switched off or taken away faults; the fault is turned into what the bus
 * does, by putting a page of ones in its place.
 * Invariant: an entry's fields are written before `open` and cleared after it.
 */
#include "pci.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static struct device devices[DEVICES_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction fault_before;

static struct device *device_at(int32_t id) {
  if (id < 0 || id >= DEVICES_MAX) return NULL;
  return __atomic_load_n(&devices[id].open, __ATOMIC_ACQUIRE) ? &devices[id] : NULL;
}

/* ---- faults ---------------------------------------------------------------------------------- */

static bool replace_lost(const uint8_t *at) {
  for (int i = 0; i < DEVICES_MAX; i++) {
    struct device *device = &devices[i];
    uint8_t *bar = device->bar;
    if (!bar || at < bar || at >= bar + device->bar_bytes) continue;
    void *ones = mmap(bar, device->bar_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (ones == MAP_FAILED) return false;
    memset(bar, 0xff, device->bar_bytes);
    atomic_store(&device->lost, true);
    return true;
  }
  return false;
}

static void on_fault(int number, siginfo_t *info, void *context) {
  int before = errno;
  bool ours = replace_lost(info->si_addr);
  errno = before;
  if (ours) return;
  if (fault_before.sa_flags & SA_SIGINFO && fault_before.sa_sigaction) {
    fault_before.sa_sigaction(number, info, context);
  } else {
    signal(number, SIG_DFL); /* it happens again, and ends the process as it would have */
  }
}

static void catch_faults(void) {
  static bool done;
  if (done) return;
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  done = sigaction(SIGBUS, &action, &fault_before) == 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static const struct access *access_of(int32_t access) {
  switch (access) {
  case SHIM_PCI_MEMORY: return &memory_access;
  case SHIM_PCI_VFIO: return &group_access;
  case SHIM_PCI_IOMMUFD: return &cdev_access;
  case SHIM_PCI_UIO: return &uio_access;
  default: return NULL;
  }
}

/* Sets and clears bits of the command register. */
static int command(struct device *device, uint16_t set, uint16_t clear) {
  uint16_t value = 0;
  int result = device->access->config(device, PCI_COMMAND, sizeof value, &value, false);
  if (result < 0) return result;
  value = (uint16_t)((value | set) & ~clear);
  return device->access->config(device, PCI_COMMAND, sizeof value, &value, true);
}

static void close_events(struct device *device) {
  for (int32_t i = 0; i < device->event_count; i++) close(device->events[i]);
  device->event_count = 0;
}

static void close_device(struct device *device) {
  device->access->close(device);
  close_events(device);
  const int files[] = {device->wanted, device->failed, device->fd, device->group, device->folder};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) if (files[i] >= 0) close(files[i]);
  if (device->space >= 0) {
    dma_lock();
    space_leave(device->space);
    dma_unlock();
  }
  device->bar = NULL;
}

int32_t shim_pci_open(int32_t access, const char *name, const char *path,
                      struct shim_pci_facts *facts) {
  const struct access *how = access_of(access);
  if (!how || !name || !path || !facts) return -EINVAL;
  pthread_mutex_lock(&mutex);
  int32_t id = 0;
  while (id < DEVICES_MAX && devices[id].open) id++;
  int32_t result = id < DEVICES_MAX ? 0 : -ENOSPC;
  if (result == 0) {
    struct device *device = &devices[id];
    memset(device, 0, sizeof *device);
    device->access = how;
    device->fd = device->group = device->folder = device->wanted = device->failed = -1;
    device->space = -1;
    if (access != SHIM_PCI_MEMORY) catch_faults();
    result = how->open(device, name, path);
    if (result == 0) {
      result = command(device, PCI_COMMAND_MEMORY | PCI_COMMAND_NO_INTX, PCI_COMMAND_MASTER);
    }
    if (result < 0) {
      close_device(device);
    } else {
      device->facts.bar_bytes = (int32_t)device->bar_bytes;
      *facts = device->facts;
      __atomic_store_n(&device->open, true, __ATOMIC_RELEASE);
    }
  }
  pthread_mutex_unlock(&mutex);
  return result < 0 ? result : id;
}

int32_t shim_pci_close(int32_t id) {
  pthread_mutex_lock(&mutex);
  struct device *device = device_at(id);
  int32_t result = !device ? -EINVAL : atomic_load(&device->uses) ? -EBUSY : 0;
  if (result == 0) {
    __atomic_store_n(&device->open, false, __ATOMIC_RELEASE);
    (void)command(device, 0, PCI_COMMAND_MASTER);
    close_device(device);
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

/* ---- registers ------------------------------------------------------------------------------- */

static volatile uint32_t *register_at(const struct device *device, int32_t at) {
  if (!device || at < 0 || at & 3 || (uint64_t)at + 4 > device->bar_bytes) return NULL;
  return (volatile uint32_t *)(volatile void *)(device->bar + at);
}

int32_t shim_pci_read(int32_t id, int32_t at) {
  const volatile uint32_t *word = register_at(device_at(id), at);
  return word ? (int32_t)*word : -1;
}

int32_t shim_pci_write(int32_t id, int32_t at, int32_t value) {
  volatile uint32_t *word = register_at(device_at(id), at);
  if (!word) return -EINVAL;
  atomic_thread_fence(memory_order_seq_cst);
#if defined(__aarch64__)
  __asm__ volatile("dmb oshst" ::: "memory");
#endif
  *word = (uint32_t)value;
  return 0;
}

static bool config_sound(const struct device *device, int32_t at, int32_t bytes) {
  return device && (bytes == 1 || bytes == 2 || bytes == 4) && at >= 0 && at % bytes == 0;
}

double shim_pci_config_read(int32_t id, int32_t at, int32_t bytes) {
  struct device *device = device_at(id);
  if (!config_sound(device, at, bytes)) return -EINVAL;
  uint32_t value = 0; /* little-endian, as configuration space is */
  int result = device->access->config(device, at, bytes, &value, false);
  return result < 0 ? result : (double)value;
}

int32_t shim_pci_config_write(int32_t id, int32_t at, int32_t bytes, int32_t value) {
  struct device *device = device_at(id);
  if (!config_sound(device, at, bytes)) return -EINVAL;
  return device->access->config(device, at, bytes, &value, true);
}

int32_t shim_pci_master(int32_t id, int32_t on) {
  struct device *device = device_at(id);
  if (!device) return -EINVAL;
  return command(device, on ? PCI_COMMAND_MASTER : 0, on ? 0 : PCI_COMMAND_MASTER);
}

int32_t shim_pci_reset(int32_t id) {
  struct device *device = device_at(id);
  if (!device) return -EINVAL;
  int result = device->access->reset(device);
  if (result == 0) result = command(device, PCI_COMMAND_MEMORY | PCI_COMMAND_NO_INTX, 0);
  if (result == 0) atomic_store(&device->lost, false);
  return result;
}

/* ---- interrupts ------------------------------------------------------------------------------ */

int32_t shim_pci_interrupts(int32_t id, int32_t amount) {
  struct device *device = device_at(id);
  if (!device || amount < 0 || amount > device->facts.vectors || amount > VECTORS_MAX) {
    return -EINVAL;
  }
  if (device->event_count) {
    int result = device->access->interrupts(device, 0);
    if (result < 0) return result;
    close_events(device);
  }
  while (device->event_count < amount) {
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0) {
      int result = -errno;
      close_events(device);
      return result;
    }
    device->events[device->event_count++] = event;
  }
  int result = amount ? device->access->interrupts(device, amount) : 0;
  if (result < 0) close_events(device);
  return result;
}

static int drain(int event) {
  uint64_t fired = 0;
  return read(event, &fired, sizeof fired) < 0 ? 0 : fired > INT32_MAX ? INT32_MAX : (int)fired;
}

int32_t shim_pci_interrupted(int32_t id, int32_t vector) {
  struct device *device = device_at(id);
  if (!device || vector < 0 || vector >= device->event_count) return -EINVAL;
  return drain(device->events[vector]);
}

int32_t shim_pci_interrupt(int32_t id, int32_t vector) {
  struct device *device = device_at(id);
  if (!device || vector < 0 || vector >= device->event_count) return -EINVAL;
  const uint64_t one = 1;
  return write(device->events[vector], &one, sizeof one) < 0 ? -errno : 0;
}

int32_t shim_pci_state(int32_t id) {
  struct device *device = device_at(id);
  if (!device) return -EINVAL;
  if (device->wanted >= 0 && drain(device->wanted)) device->state |= SHIM_PCI_WANTED;
  if (device->failed >= 0 && drain(device->failed)) device->state |= SHIM_PCI_ERROR;
  return device->state | (atomic_load(&device->lost) ? SHIM_PCI_LOST : 0);
}

/* ---- queues and memory ----------------------------------------------------------------------- */

int device_use(int32_t id, int32_t tail_at, int32_t head_at, int32_t vector,
               struct queue *queue) {
  pthread_mutex_lock(&mutex);
  struct device *device = device_at(id);
  queue->tail = register_at(device, tail_at);
  queue->head = register_at(device, head_at);
  bool sound = queue->tail && queue->head && vector >= -1 && vector < device->event_count;
  if (sound) {
    queue->event = vector < 0 ? -1 : device->events[vector];
    atomic_fetch_add(&device->uses, 1);
  }
  pthread_mutex_unlock(&mutex);
  return sound ? 0 : -EINVAL;
}

void device_unuse(int32_t id) { atomic_fetch_sub(&devices[id].uses, 1); }

int32_t shim_dma_address(int32_t id, int32_t region, int32_t lo, int32_t hi, int32_t *out) {
  struct device *device = device_at(id);
  struct shim *shim = shim_here;
  static const struct shim none = {0};
  const uint8_t *at = device && out ? place(shim ? shim : &none, region, lo, hi, 1) : NULL;
  uint64_t address = 0;
  int result = at ? dma_place(at, device->physical, &address) : -EFAULT;
  if (result < 0) return result;
  out[0] = (int32_t)(uint32_t)address;
  out[1] = (int32_t)(uint32_t)(address >> 32);
  return 0;
}
