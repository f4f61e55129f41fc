/*
 * queue.c: queue pairs of PCI devices that this thread drives: rings their doors once a turn, looks
 * whether the word that each waits for has come, and has their events watched before a turn blocks.
 * Called by turn.c; opened and closed by TypeScript.
 *
 * Nothing here knows what a queue is for: a door is a register, news is a word of memory.
 * Invariant: a queue's event is drained before its word is looked at, and watched before the turn
 * blocks; so what comes in between is seen either in the word or by the event.
 */
#include "core.h"
#include "pci.h"

static inline int32_t *block_of(const struct shim *shim, int32_t queue) {
  return (int32_t *)(void *)(shim->arena + shim->at[SHIM_H_QUEUES_AT]) + 16 * (size_t)queue;
}

/* Everything written to memory before is what the device finds there when it sees the door. */
static inline void order_before_device(void) {
#if defined(__aarch64__)
  __asm__ volatile("dmb oshst" ::: "memory");
#else
  atomic_thread_fence(memory_order_release);
#endif
}

int32_t shim_queue_open(int32_t device, int32_t tail_at, int32_t head_at, int32_t region,
                        int32_t vector) {
  struct shim *shim = shim_here;
  if (!shim || region < 1 || !place(shim, region, 0, 0, 4)) return -EINVAL;
  int32_t index = 0;
  while (index < QUEUES_MAX && (shim->queues[index].open || shim->queues[index].armed)) index++;
  if (index == QUEUES_MAX) return -ENOSPC;
  struct queue *queue = &shim->queues[index];
  int result = device_use(device, tail_at, head_at, vector, queue);
  if (result < 0) return result;
  queue->open = true;
  queue->device = device;
  queue->region = region;
  int32_t *block = block_of(shim, index);
  for (int word = 0; word < 16; word++) block[word] = 0;
  if (index >= shim->queue_count) shim->queue_count = index + 1;
  return index;
}

static void close_queue(struct shim *shim, int32_t index) {
  struct queue *queue = &shim->queues[index];
  if (queue->armed) shim->engine->watch_stop(shim, queue->event, index);
  queue->open = false;
  device_unuse(queue->device);
  while (shim->queue_count && !shim->queues[shim->queue_count - 1].open) shim->queue_count--;
}

int32_t shim_queue_close(int32_t queue) {
  struct shim *shim = shim_here;
  if (!shim || queue < 0 || queue >= QUEUES_MAX || !shim->queues[queue].open) return -EINVAL;
  close_queue(shim, queue);
  return 0;
}

void queues_close(struct shim *shim) {
  for (int32_t i = 0; i < QUEUES_MAX; i++) if (shim->queues[i].open) close_queue(shim, i);
}

int queues_ring(struct shim *shim) {
  for (int32_t i = 0; i < shim->queue_count; i++) {
    int32_t *block = block_of(shim, i);
    int32_t doors = block[SHIM_Q_RING];
    if (!doors) continue;
    struct queue *queue = &shim->queues[i];
    if (!queue->open || doors & ~(SHIM_RING_TAIL | SHIM_RING_HEAD)) return -EINVAL;
    block[SHIM_Q_RING] = 0;
    order_before_device();
    if (doors & SHIM_RING_HEAD) *queue->head = (uint32_t)block[SHIM_Q_HEAD];
    if (doors & SHIM_RING_TAIL) *queue->tail = (uint32_t)block[SHIM_Q_TAIL];
    count(shim, SHIM_N_DOORS, doors == (SHIM_RING_TAIL | SHIM_RING_HEAD) ? 2 : 1);
  }
  return 0;
}

bool queues_look(struct shim *shim) {
  int32_t news = 0;
  for (int32_t i = 0; i < shim->queue_count; i++) {
    const int32_t *block = block_of(shim, i);
    uint32_t mask = (uint32_t)block[SHIM_Q_WATCH_MASK];
    if (!mask || !shim->queues[i].open) continue;
    int32_t at = block[SHIM_Q_WATCH_AT];
    const uint8_t *word = at & 3 ? NULL : place(shim, shim->queues[i].region, at, 0, 4);
    if (!word) {
      breach(shim, -EFAULT);
      return true;
    }
    uint32_t value = __atomic_load_n((const uint32_t *)(const void *)word, __ATOMIC_ACQUIRE);
    if ((value & mask) == (uint32_t)block[SHIM_Q_WATCH_VALUE]) news++;
  }
  shim->header[SHIM_H_NEWS] = news;
  return news > 0;
}

bool queues_polled(const struct shim *shim) {
  for (int32_t i = 0; i < shim->queue_count; i++) {
    const struct queue *queue = &shim->queues[i];
    if (queue->open && queue->event < 0 && block_of(shim, i)[SHIM_Q_WATCH_MASK]) return true;
  }
  return false;
}

void queues_arm(struct shim *shim) {
  for (int32_t i = 0; i < shim->queue_count; i++) {
    struct queue *queue = &shim->queues[i];
    if (!queue->open || queue->armed || queue->event < 0) continue;
    if (!block_of(shim, i)[SHIM_Q_WATCH_MASK]) continue;
    event_forget(queue->event);
    count(shim, SHIM_N_SYSCALLS, 1);
    int result = shim->engine->watch(shim, queue->event, i);
    if (result < 0) breach(shim, result);
    else queue->armed = true;
  }
}
