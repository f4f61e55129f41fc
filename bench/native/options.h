/*
 * What a person asks the load generator for. Filled by options.c, read by everybody else.
 * Sizes in bytes, times in the unit of their name. Invariant after options_read: every value is in
 * the range that its help text names; what depends on the target is checked in load.c.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

struct options {
  const char *address;             /* IPv4 or IPv6 literal */
  const char *port;
  const char *nqn;
  const char *host_nqn;
  uint32_t nsid;
  uint32_t connections;            /* I/O queues that carry load */
  uint32_t queues_max;             /* I/O queues per controller; 0 = as many as are granted */
  uint32_t depth;                  /* commands outstanding on each of them */
  uint32_t read_percent;           /* 100 = reads, 0 = writes */
  uint32_t block;                  /* bytes of a command */
  bool sequential;
  uint64_t offset, span;           /* part of the namespace; span 0 = up to its end */
  double seconds, ramp;            /* measured time, and the time before it */
  uint64_t commands;               /* instead of seconds; 0 = seconds count */
  uint64_t rate;                   /* commands a second over all connections; 0 = no limit */
  bool verify, fill;               /* check what is read; write the span first */
  bool header_digest, data_digest;
  uint32_t hpda;                   /* raw: (hpda + 1) * 4 bytes */
  uint32_t r2t_max;                /* outstanding R2Ts of a command, from 1 */
  uint32_t in_capsule_max;         /* larger writes wait for R2T even when IOCCSZ would take them */
  uint32_t h2c_max;                /* H2CData bytes below the target's MAXH2CDATA; 0 = its own */
  bool flow_control;               /* leave SQ flow control on */
  uint32_t keep_alive_ms;
  uint32_t socket_buffer;          /* SO_SNDBUF and SO_RCVBUF; 0 = the system's choice */
  int32_t cpu;                     /* -1 = not pinned */
  uint64_t seed;
  uint32_t idle;                   /* controllers that connect and stay idle */
  uint32_t after_idle_ms;          /* one command after each pause of this length */
  uint32_t interval_ms;            /* commands completed in each interval, listed */
  uint32_t watch_pid;              /* process whose CPU time is reported beside; 0 = none */
  double stall_seconds;            /* give up when nothing completes for so long */
  bool announce;                   /* a JSON line when all is connected */
  bool allow_errors, text, self_test;
};

/* Reads the command line. On a mistake it prints one sentence per mistake and exits with 1;
 * --help prints and exits with 0. */
void options_read(struct options *options, int count, char **words);
#endif
