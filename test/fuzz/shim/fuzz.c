/*
 * fuzz.c: what TypeScript may write into the arena, written by libFuzzer: copies, ops, send entries, placements, lists,
 * control blocks. Compiled with the shim's sources and the address and undefined behaviour sanitizers; run.sh runs it.
 *
 *   input: byte 0 engine, then commands of 16 bytes: what │ which │ words …     and turns in between
 *
 * Checked: every place that crosses is inside its region, or the turn answers -errno and touches nothing; no input
 * crashes, hangs or leaks. Guard pages around the arena and the region make a byte outside a crash.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "shim.h"

enum { CONNECTIONS = 2, TX_ENTRIES = 64, RX_BYTES = 65536, COPIES = 16, OPS = 16, REGION_BYTES = 65536 };
enum { COMMAND_BYTES = 20, TURNS_MAX = 24 };
enum {
  DO_TURN = 0, DO_COPY, DO_OP, DO_ENTRY, DO_PLACE, DO_FLAGS, DO_TOUCH, DO_COUNT, DO_PEER_SENDS, DO_PEER_READS, DO_CRC,
  DO_SERIES, DO_PEER_CLOSES, DO_CONTROL, DO_KINDS
};

static int32_t region = -1, file = -1;

static void set_up(void) {
  struct shim_file_facts facts;
  char path[] = "/tmp/weft-fuzz-XXXXXX";
  int fd = mkstemp(path);
  if (fd < 0) abort();
  close(fd);
  unlink(path);
  region = shim_region_create(REGION_BYTES, 0);
  file = shim_file_open(path, SHIM_FILE_CREATE | SHIM_FILE_BUFFERED, REGION_BYTES, &facts);
  unlink(path);
  if (region < 1 || file < 0) abort();
}

/* As they were when it opened. */
static int32_t areas[32];

static int32_t *area(void *arena, int32_t word) { return (int32_t *)(void *)((char *)arena + areas[word]); }

/* Half of what is named exists, so that the checks behind the first one are reached. */
static int32_t region_of(uint8_t byte) { return byte < 110 ? 0 : byte < 220 ? region : (int32_t)byte - 240; }

static int32_t near(int32_t value, uint8_t how, int32_t limit) {
  switch (how & 7) {
  case 0: return value;
  case 1: return limit - (value & 0xff);
  case 2: return limit;
  case 3: return value & 0xfff;
  default: return (int32_t)((uint32_t)value % (uint32_t)(limit > 0 ? limit : 1));
  }
}

struct input { const uint8_t *at; size_t left; };

static void place_words(int32_t *words, const uint8_t *bytes, int32_t limit) {
  int32_t value;
  memcpy(&value, bytes + 4, 4);
  words[0] = region_of(bytes[2]);
  words[1] = near(value, bytes[3], words[0] == region ? REGION_BYTES : limit);
  words[2] = bytes[3] >= 0xf8 ? (int32_t)(int8_t)bytes[8] : 0;
}

static int32_t size_of(const uint8_t *bytes) {
  int32_t value;
  memcpy(&value, bytes, 4);
  return bytes[3] & 0x80 ? value : value & 0xffff;
}

static void perform(void *arena, int32_t limit, const int32_t *connections, const int *peers, const uint8_t *bytes) {
  int32_t *header = arena;
  int32_t index = bytes[1] % CONNECTIONS, words[16] = {0}, value;
  int32_t *block = area(arena, SHIM_H_CONNECTIONS_AT) + 16 * (connections[index] < 0 ? 0 : connections[index]);
  memcpy(&value, bytes + 12, 4);
  static uint8_t data[8192];
  switch (bytes[0] % DO_KINDS) {
  case DO_COPY:
    place_words(words, bytes, limit);
    place_words(words + 3, bytes + 8, limit);
    words[6] = size_of(bytes + 16);
    memcpy(area(arena, SHIM_H_COPIES_AT) + 8 * (header[SHIM_H_COPIES] & (COPIES - 1)), words, 32);
    header[SHIM_H_COPIES]++;
    break;
  case DO_OP:
    words[SHIM_O_CODE] = bytes[1] % 11;
    words[SHIM_O_TOKEN] = 1;
    words[SHIM_O_FILE] = bytes[9] < 230 ? file : (int32_t)(int8_t)bytes[9];
    words[SHIM_O_FLAGS] = bytes[10] & 3 ? 0 : bytes[10] >> 4 & 3;
    place_words(words + SHIM_O_REGION, bytes, limit);
    words[SHIM_O_BYTES] = size_of(bytes + 16);
    words[SHIM_O_AT_LO] = near(value, bytes[11], REGION_BYTES);
    words[SHIM_O_AT_HI] = bytes[11] == 0xff ? -1 : 0;
    words[SHIM_O_RANGE_LO] = words[SHIM_O_BYTES];
    words[SHIM_O_RANGE_HI] = bytes[11] == 0xfe;
    words[SHIM_O_OTHER_REGION] = region_of(bytes[12]);
    words[SHIM_O_OTHER_LO] = near(value, bytes[13], limit);
    memcpy(area(arena, SHIM_H_OPS_AT) + 16 * (header[SHIM_H_OPS] & (OPS - 1)), words, 64);
    header[SHIM_H_OPS]++;
    break;
  case DO_ENTRY:
    words[SHIM_T_FLAGS] = bytes[9] & 7;
    words[SHIM_T_HEADER_BYTES] = bytes[10] & 0x80 ? (int32_t)(int8_t)bytes[10] : bytes[10] & 0x1f;
    words[SHIM_T_PAD_BYTES] = bytes[11] & 0x80 ? bytes[11] : bytes[11] & 3;
    place_words(words + SHIM_T_REGION, bytes, limit);
    words[SHIM_T_BYTES] = size_of(bytes + 16);
    memcpy(area(arena, SHIM_H_TX_AT) + 16 * (index * TX_ENTRIES + (block[SHIM_C_TX_TAIL] & (TX_ENTRIES - 1))), words, 64);
    block[SHIM_C_TX_TAIL]++;
    break;
  case DO_PLACE:
    place_words(block + SHIM_C_PLACE_REGION, bytes, limit);
    block[SHIM_C_PLACE_BYTES] = size_of(bytes + 16);
    break;
  case DO_FLAGS: block[SHIM_C_FLAGS] = bytes[2] & 15; break;
  case DO_TOUCH:
    if (header[SHIM_H_TOUCHED] >= 0 && header[SHIM_H_TOUCHED] < CONNECTIONS) {
      area(arena, SHIM_H_TOUCHED_AT)[header[SHIM_H_TOUCHED]] = bytes[2] & 0x80 ? (int32_t)(int8_t)bytes[3] : index;
    }
    header[SHIM_H_TOUCHED]++;
    break;
  case DO_COUNT: header[SHIM_H_TOUCHED + bytes[2] % 3] = bytes[3] & 0x80 ? value : bytes[3]; break;
  case DO_PEER_SENDS:
    if (peers[index] >= 0) (void)!send(peers[index], data, (size_t)(value & 8191), MSG_NOSIGNAL);
    break;
  case DO_PEER_READS:
    if (peers[index] >= 0) (void)!read(peers[index], data, sizeof data);
    break;
  case DO_CRC:
    place_words(words, bytes, limit);
    (void)shim_crc32c(words[0], words[1], words[2], size_of(bytes + 16));
    break;
  case DO_SERIES:
    (void)shim_crc32c_series(near(value, bytes[2], limit), size_of(bytes + 16), bytes[3], bytes[4],
                             near(value, bytes[5], limit) & ~3);
    break;
  case DO_PEER_CLOSES:
    if (peers[index] >= 0) shutdown(peers[index], SHUT_WR);
    break;
  case DO_CONTROL: block[bytes[2] % 6 + SHIM_C_RX_HEAD] += (int32_t)(int8_t)bytes[3]; break;
  default: break;
  }
}

static int connect_pair(int *peer) {
  int pair[2], size = 65536;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair)) abort();
  setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  *peer = pair[1];
  return pair[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (region < 0) set_up();
  if (size < 1 + COMMAND_BYTES) return 0;
  struct shim_limits limits = {
    .version = SHIM_VERSION, .engine = bytes[0] % 8 == 0 ? SHIM_ENGINE_URING : SHIM_ENGINE_EPOLL,
    .connections_max = CONNECTIONS, .rx_bytes = RX_BYTES, .tx_entries = TX_ENTRIES, .copies_max = COPIES,
    .ops_max = OPS, .buffer_bytes = 65536,
  };
  if (shim_open(&limits) < 0) {
    limits.engine = SHIM_ENGINE_EPOLL;
    if (shim_open(&limits) < 0) abort();
  }
  void *arena = shim_arena();
  memcpy(areas, arena, sizeof areas);
  int32_t limit = (int32_t)shim_arena_bytes(), connections[CONNECTIONS];
  int peers[CONNECTIONS];
  for (int i = 0; i < CONNECTIONS; i++) {
    int socket = connect_pair(&peers[i]);
    connections[i] = shim_adopt(socket);
    if (connections[i] < 0) close(socket);
  }
  int turns = 0;
  int32_t result = 0;
  int32_t *header = arena;
  for (const uint8_t *at = bytes + 1; result >= 0 && at + COMMAND_BYTES <= bytes + size; at += COMMAND_BYTES) {
    perform(arena, limit, connections, peers, at);
    if (at[0] % DO_KINDS != DO_TURN) continue;
    if (++turns > TURNS_MAX) break;
    header[SHIM_H_SPIN_US] = 0;
    header[SHIM_H_WAIT_US] = 0;
    result = shim_turn();
  }
  header[SHIM_H_SPIN_US] = 0;
  header[SHIM_H_WAIT_US] = 0;
  if (result >= 0) result = shim_turn();
  if (result < 0 && shim_turn() != result) abort(); /* broken once, broken until it is closed */
  for (int i = 0; i < CONNECTIONS; i++) close(peers[i]);
  if (shim_close() < 0) abort();
  return 0;
}
