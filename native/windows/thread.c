/*
 * thread.c: processors, the clock and locks, on Windows. Called by TypeScript (pin, cpus), by turn.c
 * (the clock) and by whoever has a table.
 *
 * A processor's number is 64 × its group + its place there, as the task manager counts where all
 * groups are full.
 */
#include "os.h"

enum { GROUP_CPUS = 64 };

int32_t shim_pin(int32_t cpu) {
  if (cpu < 0 || cpu / GROUP_CPUS >= GetActiveProcessorGroupCount()) return -EINVAL;
  GROUP_AFFINITY affinity = {.Group = (WORD)(cpu / GROUP_CPUS),
                             .Mask = (KAFFINITY)1 << (cpu % GROUP_CPUS)};
  return SetThreadGroupAffinity(GetCurrentThread(), &affinity, NULL) ? 0 : error_last();
}

/* What of a group this process may use; one that spans several groups may use all of each. */
static uint64_t cpus_of(WORD group, WORD groups) {
  DWORD_PTR process = 0, system = 0;
  DWORD count = GetActiveProcessorCount(group);
  if (groups == 1 && GetProcessAffinityMask(GetCurrentProcess(), &process, &system) && process) {
    return process;
  }
  return count >= GROUP_CPUS ? ~0ull : (1ull << count) - 1;
}

int32_t shim_cpus(int32_t *cpus, int32_t max) {
  WORD groups = GetActiveProcessorGroupCount();
  int32_t found = 0;
  for (WORD group = 0; group < groups; group++) {
    uint64_t mask = cpus_of(group, groups);
    for (int32_t i = 0; i < GROUP_CPUS && found < max; i++) {
      if (mask >> i & 1) cpus[found++] = group * GROUP_CPUS + i;
    }
  }
  return found;
}

uint64_t clock_ns(void) {
  static _Atomic uint64_t frequency;
  LARGE_INTEGER now, per_second;
  uint64_t hertz = atomic_load_explicit(&frequency, memory_order_relaxed);
  if (!hertz) {
    QueryPerformanceFrequency(&per_second);
    hertz = (uint64_t)per_second.QuadPart;
    atomic_store_explicit(&frequency, hertz, memory_order_relaxed);
  }
  QueryPerformanceCounter(&now);
  uint64_t ticks = (uint64_t)now.QuadPart;
  return ticks / hertz * 1000000000u + ticks % hertz * 1000000000u / hertz;
}

void mutex_lock(struct mutex *mutex) { AcquireSRWLockExclusive((SRWLOCK *)mutex); }

void mutex_unlock(struct mutex *mutex) { ReleaseSRWLockExclusive((SRWLOCK *)mutex); }
