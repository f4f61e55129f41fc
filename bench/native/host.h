/*
 * The host's nouns: a controller (one association), its queues (one TCP connection each), and the
 * commands that are outstanding on a queue.    session.c connects them, queue.c moves their bytes.
 *
 *   controller ─┬─ admin queue ── keep alive
 *               └─ I/O queue ── command[cid] ── buffer (verify only)
 *
 * Invariant: a cid is the index of its command; a command that is not busy is in its queue's free
 * list exactly once; bytes sent for a write = bytes asked by its R2Ts = its length.
 */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H
#include "options.h"
#include "wire.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct load;

struct command {
  uint64_t started_ns;
  uint64_t unit;                   /* which block of the workload */
  uint32_t generation;             /* of what is written, or expected of what is read */
  uint32_t moved_bytes;            /* received of a read, asked by R2T of a write */
  uint32_t sent_bytes;             /* H2CData queued of a write */
  uint16_t r2t_open;               /* R2Ts not answered in full yet */
  uint8_t opcode;                  /* OPC_READ or OPC_WRITE */
  bool busy, damaged;              /* damaged: a data digest did not match */
  uint8_t *buffer;                 /* the command's own memory when verifying, else NULL */
};

/* An R2T, answered in the order of arrival. */
struct request { uint32_t offset, left; uint16_t cid, ttag; };

struct queue {
  int socket;
  uint16_t id;
  struct controller *controller;
  bool header_digest, data_digest, success_allowed;
  uint32_t align;                  /* bytes, from CPDA: where H2C data may begin */
  uint32_t h2c_max, r2t_max, in_capsule_max;
  uint32_t block, depth;
  struct command *commands;
  uint16_t *free_list;
  uint32_t free_count;
  /* receiving: bytes of a header that has not arrived in whole, and the data PDU under way */
  uint8_t kept[256];
  uint32_t kept_bytes;
  uint32_t data_left, data_crc;
  uint16_t data_cid;
  uint8_t data_flags;
  bool data_open;                  /* a data PDU is under way: its data or its digest */
  /* sending: headers are laid one after another; all starts over when everything is sent */
  struct iovec *tx;
  uint32_t tx_head, tx_tail;
  uint8_t *headers;
  uint32_t headers_bytes;
  struct request *requests;        /* ring; entries a power of two >= depth * r2t_max */
  uint32_t request_head, request_tail, request_max;
};

struct controller {
  struct queue admin;
  struct queue *queues;
  uint32_t queue_count;
  uint16_t id;
  uint32_t depth_max;              /* from CAP.MQES and MAXCMD */
  uint32_t in_capsule_max;         /* from IOCCSZ */
  uint64_t transfer_max;           /* from MDTS; 0 = none */
  uint64_t block_count;            /* of the namespace */
  uint32_t block_bytes;
  uint32_t queues_granted;
  uint64_t keep_alive_at_ns;       /* when the next one is due */
  bool keep_alive_open;
};

/* Ends the program with one sentence on stderr and exit code 2. */
__attribute__((noreturn, format(printf, 1, 2)))
void fail(const char *format, ...);
uint64_t now_ns(void);

/* ---- session.c: connecting, in order, waiting for each answer ------------------------------ */

/* Connects the admin queue, enables the controller, reads what it can do and asks for
 * `queues` I/O queues. */
void session_open(struct controller *controller, const struct options *options, uint32_t queues);
/* Connects I/O queue `id` (from 1) with `depth` entries. */
void session_open_queue(struct queue *queue, struct controller *controller,
                        const struct options *options, uint16_t id, uint32_t depth);
/* Shuts the controller down in order and closes its connections. */
void session_close(struct controller *controller);

/* ---- keep-alive.c: admin queues once connected --------------------------------------------- */

void keep_alive_open(uint32_t keep_alive_ms);
void keep_alive_add(struct controller *controller);
/* Sends what is due and reads what came; at most every 20 ms worth calling. */
void keep_alive_turn(uint64_t now);

/* ---- queue.c: many commands at a time, never waiting ----------------------------------------- */

/* Prepares a connected queue for load. buffers: each command gets memory of its own. */
void queue_open(struct queue *queue, uint32_t block, uint32_t depth, bool buffers);
/* True when a command of the queue's block size can be queued now. */
bool queue_has_room(const struct queue *queue);
/* Queues one read or write; payload is what a write sends (it must stay until it completed). */
void queue_issue(struct queue *queue, uint16_t cid, uint64_t lba, uint32_t lba_count,
                 uint32_t nsid);
/* Sends what is queued, as much as the socket takes. Returns bytes sent. */
uint64_t queue_send(struct queue *queue, struct load *load);
/* Receives what has come and completes commands through load_complete. Returns bytes received. */
uint64_t queue_receive(struct queue *queue, struct load *load);

/* ---- load.c: called back -------------------------------------------------------------------- */

/* A command ended with a status field (without the phase bit). It is free again afterwards. */
void load_complete(struct load *load, struct queue *queue, uint16_t cid, uint32_t status);
/* Where queue_receive may put bytes, LOAD_RX_BYTES of them; shared by all queues. */
enum { LOAD_RX_BYTES = 256 << 10 };
uint8_t *load_receive_buffer(struct load *load);
void load_count_syscall(struct load *load, bool receive);
#endif
