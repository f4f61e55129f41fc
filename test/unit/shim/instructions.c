/*
 * instructions.c: how many instructions of the shim one I/O takes, counted by stepping through it.
 * instructions.test.ts → here → the shim, as a library.
 *
 *   parent: ptrace, steps, counts ──▶ child: open, [ mark · turn · mark ] × ROUNDS, checks
 *
 * Only instructions at addresses within the library count, so neither libc nor the kernel nor the
 * processor's speed matters. The host is the other end of a socket pair in the child itself, and
 * does its part outside of the marks. One JSON line a case. Exit: 0; 77 stepping is not permitted.
 *
 * Invariant: what is counted is a steady state: rounds before it filled every cache of pages.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../../../native/shim.h"

enum {
  NOT_PERMITTED = 77, ROUNDS = 3, WARM_UP = 3, NT_PRSTATUS = 1,
  PAYLOAD_BYTES = 4096, CAPSULE_BYTES = 72, ANSWER_BYTES = 24, DIGEST_BYTES = 4,
  /* What a socket's buffer holds of answers whatever the system's limits are. */
  IOS_MAX = 32, RX_BYTES = 65536, TX_ENTRIES = 64, BUFFER_BYTES = IOS_MAX * PAYLOAD_BYTES
};
#define MARK_BEGIN SIGUSR1
#define MARK_END SIGUSR2

/* The library's calls, by name. */
static struct {
  int32_t (*open)(const struct shim_limits *);
  void *(*arena)(void);
  int32_t (*turn)(void);
  int32_t (*adopt)(int32_t);
  int32_t (*region_create)(double, int32_t);
  int32_t (*crc32c_series)(int32_t, int32_t, int32_t, int32_t, int32_t);
} shim;

struct scenario {
  const char *name;
  int32_t ios;             /* a round */
  bool digests;
  bool copies;             /* copies instead of answers */
};
static const struct scenario scenarios[] = {
  {"answers, 32 a turn", 32, false, false},
  {"answers, 1 a turn", 1, false, false},
  {"answers with digests, 32 a turn", 32, true, false},
  {"copies, 32 a turn", 32, false, true},
};

static void require(bool condition, const char *what) {
  if (condition) return;
  fprintf(stderr, "instructions: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* ---- the child: a shim, and a host at the other end ------------------------------------------ */

static int32_t *words;
static int host;
static int32_t region;

static int32_t *at(int32_t word) { return words + words[word] / 4; }

static void open_shim(void) {
  const struct shim_limits limits = {
    .version = SHIM_VERSION, .engine = SHIM_ENGINE_EPOLL, .connections_max = 1,
    .rx_bytes = RX_BYTES, .tx_entries = TX_ENTRIES, .copies_max = IOS_MAX, .ops_max = 0, .buffer_bytes = BUFFER_BYTES,
  };
  int pair[2];
  require(shim.open(&limits) >= 0, "shim_open");
  words = shim.arena();
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
  host = pair[0];
  require(shim.adopt(pair[1]) == 0, "shim_adopt");
  region = shim.region_create(64 << 20, 0);
  require(region > 0, "shim_region_create");
}

/* Whole runs of bytes only: what is short here means that a round did less than it should. */
static void host_writes(size_t bytes) {
  static uint8_t capsules[IOS_MAX * (CAPSULE_BYTES + DIGEST_BYTES)];
  require(write(host, capsules, bytes) == (ssize_t)bytes, "write");
}

static void host_reads(size_t bytes) {
  static uint8_t answers[IOS_MAX * (ANSWER_BYTES + PAYLOAD_BYTES + 2 * DIGEST_BYTES)];
  ssize_t got = recv(host, answers, sizeof answers, MSG_DONTWAIT | MSG_WAITALL);
  require(got == (ssize_t)bytes, "recv");
}

static void queue_answers(const struct scenario *scenario) {
  int32_t *block = at(SHIM_H_CONNECTIONS_AT);
  for (int32_t i = 0; i < scenario->ios; i++) {
    int32_t *entry = at(SHIM_H_TX_AT) + 16 * (block[SHIM_C_TX_TAIL]++ & (TX_ENTRIES - 1));
    memset(entry, 0, 64);
    entry[SHIM_T_FLAGS] = scenario->digests ? SHIM_TX_HEADER_DIGEST | SHIM_TX_DATA_DIGEST : 0;
    entry[SHIM_T_HEADER_BYTES] = ANSWER_BYTES;
    entry[SHIM_T_REGION] = region;
    entry[SHIM_T_LO] = i * 17 * PAYLOAD_BYTES;
    entry[SHIM_T_BYTES] = PAYLOAD_BYTES;
  }
  block[SHIM_C_TOUCHED] = 1;
  *at(SHIM_H_TOUCHED_AT) = 0;
  words[SHIM_H_TOUCHED] = 1;
}

static void queue_copies(int32_t copies) {
  for (int32_t i = 0; i < copies; i++) {
    int32_t *copy = at(SHIM_H_COPIES_AT) + 8 * i;
    memset(copy, 0, 32);
    copy[0] = region;
    copy[1] = i * 17 * PAYLOAD_BYTES;
    copy[4] = words[SHIM_H_BUFFERS_AT] + i * PAYLOAD_BYTES;
    copy[6] = PAYLOAD_BYTES;
  }
  words[SHIM_H_COPIES] = copies;
}

/* A turn under load: it sends the answers to the capsules of the turn before, and receives more. */
static void answer_round(const struct scenario *scenario, bool counted) {
  int32_t *block = at(SHIM_H_CONNECTIONS_AT), count = scenario->ios;
  int32_t capsule = CAPSULE_BYTES + (scenario->digests ? DIGEST_BYTES : 0);
  int32_t answer = ANSWER_BYTES + PAYLOAD_BYTES + (scenario->digests ? 2 * DIGEST_BYTES : 0);
  host_writes((size_t)(count * capsule));
  queue_answers(scenario);
  if (counted) raise(MARK_BEGIN);
  int32_t found = shim.turn();
  if (scenario->digests) {
    shim.crc32c_series(words[SHIM_H_RX_AT], CAPSULE_BYTES, capsule, count,
                       words[SHIM_H_SCRATCH_AT]);
  }
  if (counted) raise(MARK_END);
  require(found == 1, "the connection is ready");
  require(block[SHIM_C_RX_TAIL] - block[SHIM_C_RX_HEAD] == count * capsule, "all is received");
  require(block[SHIM_C_TX_HEAD] == block[SHIM_C_TX_TAIL], "all is sent");
  block[SHIM_C_RX_HEAD] = block[SHIM_C_RX_TAIL];
  host_reads((size_t)(count * answer));
}

static void copy_round(const struct scenario *scenario, bool counted) {
  double *copied = (double *)(void *)(words + SHIM_H_COUNTERS) + SHIM_N_COPIED_BYTES;
  double before = *copied;
  queue_copies(scenario->ios);
  if (counted) raise(MARK_BEGIN);
  int32_t found = shim.turn();
  if (counted) raise(MARK_END);
  require(found == 0 && *copied - before == scenario->ios * PAYLOAD_BYTES, "all is copied");
}

static void run_scenario(const struct scenario *scenario) {
  if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) exit(NOT_PERMITTED);
  open_shim();
  if (!scenario->copies) require(shim.turn() >= 0, "the first turn");
  for (int round = 0; round < WARM_UP + ROUNDS; round++) {
    if (scenario->copies) copy_round(scenario, round >= WARM_UP);
    else answer_round(scenario, round >= WARM_UP);
  }
  exit(0);
}

/* ---- the parent: steps and counts ------------------------------------------------------------ */

static uintptr_t text_from, text_to;

/* Where the library's instructions lie. The child is a fork, so they lie there in it, too. */
static void find_text(const void *inside) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512], mode[8];
  require(maps != NULL, "/proc/self/maps");
  while (fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[2] != 'x') continue;
    if ((uintptr_t)inside < from || (uintptr_t)inside >= to) continue;
    text_from = from;
    text_to = to;
  }
  fclose(maps);
  require(text_to != 0, "the library's text");
}

static uintptr_t address_of(pid_t child) {
  struct user_regs_struct registers;
  struct iovec where = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, child, (void *)(uintptr_t)NT_PRSTATUS, &where)) exit(NOT_PERMITTED);
#if defined(__x86_64__)
  return registers.rip;
#else
  return registers.pc;
#endif
}

/* Lets the child run, and steps through what is between its marks. */
static uint64_t count_steps(pid_t child) {
  uint64_t steps = 0;
  uintptr_t before = 0;
  bool stepping = false;
  int status;
  require(waitpid(child, &status, 0) == child, "waitpid");
  while (WIFSTOPPED(status)) {
    int pass = 0, signal = WSTOPSIG(status);
    if (signal == MARK_BEGIN) stepping = true;
    else if (signal == MARK_END) stepping = false;
    else if (signal != SIGTRAP) pass = signal;
    else if (stepping) {
      /* A repeated string instruction traps at each repetition, and is one. */
      uintptr_t address = address_of(child);
      steps += address != before && address >= text_from && address < text_to;
      before = address;
    }
    if (ptrace(stepping ? PTRACE_SINGLESTEP : PTRACE_CONT, child, NULL, (void *)(intptr_t)pass)) {
      exit(errno == EIO || errno == EPERM ? NOT_PERMITTED : 1);
    }
    require(waitpid(child, &status, 0) == child, "waitpid");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return steps;
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void *name(void *library, const char *symbol) {
  void *found = dlsym(library, symbol);
  require(found != NULL, symbol);
  return found;
}

int main(int argc, char **argv) {
  void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (!library) {
    fprintf(stderr, "usage: instructions SHIM_LIBRARY (%s)\n", argc == 2 ? dlerror() : "missing");
    return 2;
  }
  *(void **)(void *)&shim.open = name(library, "shim_open");
  *(void **)(void *)&shim.arena = name(library, "shim_arena");
  *(void **)(void *)&shim.turn = name(library, "shim_turn");
  *(void **)(void *)&shim.adopt = name(library, "shim_adopt");
  *(void **)(void *)&shim.region_create = name(library, "shim_region_create");
  *(void **)(void *)&shim.crc32c_series = name(library, "shim_crc32c_series");
  void *turn = NULL;
  memcpy(&turn, &shim.turn, sizeof turn);
  find_text(turn);
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
    const struct scenario *scenario = &scenarios[i];
    fflush(stdout);
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) run_scenario(scenario);
    double per_io = (double)count_steps(child) / (ROUNDS * scenario->ios);
    printf("{\"case\": \"%s\", \"instructions\": %.1f}\n", scenario->name, per_io);
  }
  return 0;
}
