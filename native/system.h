/*
 * system.h: what the files that every system shares need of the one they run on. Included by core.h.
 *
 *   arena, acceptor, connection, op, open, queue, region, turn ──▶ here ──▶ Linux │ windows/
 *
 * A descriptor is an int everywhere: handles and sockets of Windows have 32 bits that count.
 * Error numbers are those of Linux, whatever the system's own headers say.
 */
#ifndef WEFT_SYSTEM_H
#define WEFT_SYSTEM_H
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#include "windows/errno.h"

struct iovec { void *iov_base; size_t iov_len; };
struct msghdr { struct iovec *msg_iov; size_t msg_iovlen; };
struct mutex { void *word; };              /* an SRWLOCK, whose free state is all zeroes */
#define MUTEX_FREE {0}
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
#else
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct mutex { pthread_mutex_t own; };
#define MUTEX_FREE {PTHREAD_MUTEX_INITIALIZER}
static inline void mutex_lock(struct mutex *mutex) { pthread_mutex_lock(&mutex->own); }
static inline void mutex_unlock(struct mutex *mutex) { pthread_mutex_unlock(&mutex->own); }
#endif

/* pages.c. Zeroed memory of its own, pages given when touched; NULL: there is none. */
uint8_t *pages_map(uint64_t bytes);
/* Addresses without memory behind them, until pages_open() of a part; NULL: there are none. */
uint8_t *pages_reserve(uint64_t bytes);
int pages_open(uint8_t *from, uint64_t bytes, bool huge);      /* 0 or -errno */
int pages_shut(uint8_t *from, uint64_t bytes);                 /* its pages go back */
void pages_unmap(uint8_t *base, uint64_t bytes);               /* a whole mapping or reservation */
/* Whole pages in use read as zero and go back to the system. False: it cannot, nothing is changed. */
bool pages_forget(uint8_t *from, uint64_t bytes);

/* event.c: what wakes a thread from others. Made once for each slot of wakers, never closed. */
int event_make(void);                                           /* a descriptor, or -errno */
int event_tell(int event);                                      /* any thread; 0 or -errno */
void event_forget(int event);                                   /* what was told before */

/* socket.c */
int socket_check(int socket);                                   /* 0, or why it is none: -errno */
bool socket_streams(int socket);
void socket_options(int socket, int32_t buffer_bytes);          /* of one that was adopted */
void socket_finish(int socket);                                 /* ends the sending side */
void socket_break(int socket);                                  /* ends both sides */
void socket_close(int socket);

#endif
