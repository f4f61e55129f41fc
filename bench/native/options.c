/*
 * Turns the command line of the load generator into struct options. Called by main in load.c.
 * One table holds every option: its name, its kind, its range and its help, so that --help and the
 * checks cannot disagree.    Sizes take the suffixes K, M, G, T (powers of 1024).
 */
#include "options.h"
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, FLAG, NO_FLAG, U32, I32, U64, SIZE32, SIZE64, REAL, OPERATION };

struct option {
  const char *name;
  enum kind kind;
  size_t at;                       /* offset in struct options */
  double min, max;
  const char *help;
};

#define AT(field) offsetof(struct options, field)

static const struct option table[] = {
  { "address", TEXT, AT(address), 0, 0, "target's address (127.0.0.1)" },
  { "port", TEXT, AT(port), 0, 0, "target's port (4420)" },
  { "nqn", TEXT, AT(nqn), 0, 0, "subsystem NQN (required)" },
  { "host-nqn", TEXT, AT(host_nqn), 0, 0, "host NQN" },
  { "nsid", U32, AT(nsid), 1, 4294967294.0, "namespace (1)" },
  { "connections", U32, AT(connections), 0, 4096, "I/O queues under load (1)" },
  { "queues-max", U32, AT(queues_max), 0, 4096, "I/O queues per controller (all granted)" },
  { "depth", U32, AT(depth), 1, 4096, "commands outstanding per I/O queue (32)" },
  { "op", OPERATION, AT(read_percent), 0, 0, "read, write or mix (read); mix is 70 % reads" },
  { "read-percent", U32, AT(read_percent), 0, 100, "share of reads" },
  { "block", SIZE32, AT(block), 512, 16777216, "bytes of a command (4096)" },
  { "sequential", FLAG, AT(sequential), 0, 0, "in order instead of random" },
  { "offset", SIZE64, AT(offset), 0, 9e15, "start within the namespace (0)" },
  { "span", SIZE64, AT(span), 0, 9e15, "bytes from there on (all)" },
  { "seconds", REAL, AT(seconds), 0, 1e6, "measured time (5)" },
  { "ramp", REAL, AT(ramp), 0, 1e5, "time before it (0.3)" },
  { "commands", U64, AT(commands), 0, 9e15, "measure exactly so many commands, without ramp" },
  { "rate", U64, AT(rate), 0, 1e9, "commands a second at most (no limit)" },
  { "verify", FLAG, AT(verify), 0, 0, "fill the span, check every read, check all at the end" },
  { "no-fill", NO_FLAG, AT(fill), 0, 0, "verify without filling; what was not written goes by" },
  { "header-digest", FLAG, AT(header_digest), 0, 0, "CRC32C over headers, both ways" },
  { "data-digest", FLAG, AT(data_digest), 0, 0, "CRC32C over data, both ways" },
  { "hpda", U32, AT(hpda), 0, 31, "alignment of C2HData, (hpda + 1) * 4 bytes (0)" },
  { "r2t-max", U32, AT(r2t_max), 1, 256, "R2Ts outstanding per command (1)" },
  { "in-capsule-max", SIZE32, AT(in_capsule_max), 0, 1048576, "largest in-capsule write" },
  { "h2c-max", SIZE32, AT(h2c_max), 0, 1073741824, "largest H2CData (target's MAXH2CDATA)" },
  { "flow-control", FLAG, AT(flow_control), 0, 0, "do not disable SQ flow control" },
  { "keep-alive-ms", U32, AT(keep_alive_ms), 0, 86400000, "KATO; 0 = none (15000)" },
  { "socket-buffer", SIZE32, AT(socket_buffer), 0, 1073741824, "SO_SNDBUF, SO_RCVBUF (system's)" },
  { "cpu", I32, AT(cpu), -1, 4095, "pin to this processor (not pinned)" },
  { "seed", U64, AT(seed), 1, 9e15, "of random numbers (1)" },
  { "idle-connections", U32, AT(idle), 0, 4096, "further controllers that stay idle (0)" },
  { "latency-after-idle", U32, AT(after_idle_ms), 0, 600000, "one command per pause of MS" },
  { "interval", U32, AT(interval_ms), 0, 600000, "list the completions of each MS" },
  { "watch-pid", U32, AT(watch_pid), 0, 4194304, "report this process's CPU time, measured too" },
  { "stall-seconds", REAL, AT(stall_seconds), 0.1, 1e5, "give up without progress (30)" },
  { "announce", FLAG, AT(announce), 0, 0, "print {\"event\":\"connected\"} when connected" },
  { "allow-errors", FLAG, AT(allow_errors), 0, 0, "exit 0 although commands failed" },
  { "text", FLAG, AT(text), 0, 0, "print for people instead of JSON" },
  { "self-test", FLAG, AT(self_test), 0, 0, "check CRC32C and histogram, connect to nothing" },
};
enum { OPTIONS = sizeof table / sizeof table[0] };

static void print_help(void) {
  printf("load: an NVMe/TCP host that measures a target.\n\n"
         "  load --nqn NQN [--address 127.0.0.1] [--port 4420] [option value]...\n\n");
  for (size_t i = 0; i < OPTIONS; i++) {
    const struct option *o = &table[i];
    bool bare = o->kind == FLAG || o->kind == NO_FLAG;
    printf("  --%-20s %-6s %s\n", o->name, bare ? "" : o->kind == TEXT ? "TEXT" : "N", o->help);
  }
  printf("\nA result is one JSON line; latencies in nanoseconds.\n"
         "Exit: 0 good, 1 usage, 2 connection or protocol, 3 commands failed, 4 data differ.\n");
}

/* Parses a number with an optional size suffix. False when it is none. */
static bool parse_number(const char *text, bool size, double *value) {
  char *end;
  errno = 0;
  *value = strtod(text, &end);
  if (end == text || errno != 0 || isnan(*value)) return false;
  const char *suffix = "KMGT";
  const char *found = size && *end != 0 ? strchr(suffix, *end & 0xdf) : NULL;
  if (found == NULL) return *end == 0;
  *value *= (double)((uint64_t)1 << 10 * (found - suffix + 1));
  return end[1] == 0 || strcmp(end + 1, "iB") == 0;
}

static bool parse_operation(const char *text, uint32_t *read_percent) {
  if (strcmp(text, "read") == 0) *read_percent = 100;
  else if (strcmp(text, "write") == 0) *read_percent = 0;
  else if (strcmp(text, "mix") == 0) *read_percent = 70;
  else return false;
  return true;
}

/* Stores one value. False, after a sentence, when it is out of range. */
static bool store(const struct option *o, const char *text, struct options *options) {
  uint8_t *field = (uint8_t *)options + o->at;
  double value = 0;
  bool size = o->kind == SIZE32 || o->kind == SIZE64;
  if (o->kind == TEXT) {
    memcpy(field, &text, sizeof text);
    return true;
  }
  if (o->kind == OPERATION) {
    if (parse_operation(text, (uint32_t *)(void *)field)) return true;
    fprintf(stderr, "load: --op is '%s'; allowed: read, write, mix\n", text);
    return false;
  }
  if (!parse_number(text, size, &value) || value < o->min || value > o->max
      || (o->kind != REAL && value != floor(value))) {
    fprintf(stderr, "load: --%s is '%s'; allowed: %.0f to %.0f\n", o->name, text, o->min, o->max);
    return false;
  }
  if (o->kind == REAL) memcpy(field, &value, sizeof value);
  else if (o->kind == U64 || o->kind == SIZE64) memcpy(field, &(uint64_t){ (uint64_t)value }, 8);
  else if (o->kind == I32) memcpy(field, &(int32_t){ (int32_t)value }, 4);
  else memcpy(field, &(uint32_t){ (uint32_t)value }, 4);
  return true;
}

static const struct option *find(const char *word) {
  for (size_t i = 0; i < OPTIONS; i++)
    if (strcmp(word, table[i].name) == 0) return &table[i];
  return NULL;
}

void options_read(struct options *options, int count, char **words) {
  *options = (struct options){
    .address = "127.0.0.1", .port = "4420",
    .host_nqn = "nqn.2014-08.org.nvmexpress:uuid:77656674-6265-4e63-8000-000000000001",
    .nsid = 1, .connections = 1, .depth = 32, .read_percent = 100, .block = 4096, .seconds = 5,
    .ramp = 0.3, .fill = true, .r2t_max = 1, .in_capsule_max = 1048576, .keep_alive_ms = 15000,
    .cpu = -1, .seed = 1, .stall_seconds = 30,
  };
  bool good = true;
  for (int i = 1; i < count; i++) {
    if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
      print_help();
      exit(0);
    }
    const struct option *o = strncmp(words[i], "--", 2) == 0 ? find(words[i] + 2) : NULL;
    if (o == NULL) {
      fprintf(stderr, "load: unknown option '%s'; --help lists them\n", words[i]);
      good = false;
    } else if (o->kind == FLAG || o->kind == NO_FLAG) {
      *((bool *)options + o->at) = o->kind == FLAG;
    } else if (i + 1 == count) {
      fprintf(stderr, "load: --%s needs a value\n", o->name);
      good = false;
    } else {
      good = store(o, words[++i], options) && good;
    }
  }
  if (options->nqn == NULL && !options->self_test) {
    fprintf(stderr, "load: --nqn is required: the NQN of the subsystem to connect to\n");
    good = false;
  }
  if (!good) exit(1);
  if (options->commands > 0) options->ramp = 0;
}
