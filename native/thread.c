/*
 * thread.c: processors and the clock. Called by TypeScript (pin, cpus) and by turn.c (the clock).
 *
 * Invariant: the clock is monotonic and read without a system call where the kernel offers that.
 */
#include "core.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

int32_t shim_pin(int32_t cpu) {
  if (cpu < 0 || cpu >= CPU_SETSIZE) return -EINVAL;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)cpu, &set);
  return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int32_t shim_cpus(int32_t *cpus, int32_t max) {
  cpu_set_t set;
  CPU_ZERO(&set);
  /* Of the process, not of this thread: a pinned thread sees the others' processors too. */
  if (sched_getaffinity(getpid(), sizeof set, &set)) return -errno;
  int32_t found = 0;
  for (int32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET((size_t)cpu, &set)) continue;
    if (found < max) cpus[found] = cpu;
    found++;
  }
  return found < max ? found : max;
}

uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
