/*
 * pool.c: a few threads that execute ops on files, one step after the other, for an engine whose
 * kernel interface has no asynchronous files. Called by epoll.c.
 *
 *   pool_put ──▶ queue ──▶ threads: op_execute, op_advance ──▶ done ──▶ pool_take
 *
 * Invariant: the owner either sees done_count before it sleeps, or is woken by its event.
 */
#include "core.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { THREADS = 4, STACK_BYTES = 128 << 10 };

struct pool {
  pthread_mutex_t mutex;
  pthread_cond_t queued;
  struct op *first, *last;       /* to do */
  struct op *done_first, *done_last;
  atomic_int done_count;
  bool closing;
  struct waker *waker;
  pthread_t threads[THREADS];
  int thread_count;
};

static void put_last(struct op **first, struct op **last, struct op *op) {
  op->next = NULL;
  if (*last) (*last)->next = op;
  else *first = op;
  *last = op;
}

static struct op *take_first(struct op **first, struct op **last) {
  struct op *op = *first;
  if (!op) return NULL;
  *first = op->next;
  if (!*first) *last = NULL;
  op->next = NULL;
  return op;
}

static void *work(void *argument) {
  struct pool *pool = argument;
  pthread_mutex_lock(&pool->mutex);
  while (true) {
    struct op *op = take_first(&pool->first, &pool->last);
    if (!op) {
      if (pool->closing) break;
      pthread_cond_wait(&pool->queued, &pool->mutex);
      continue;
    }
    pthread_mutex_unlock(&pool->mutex);
    while (!op_advance(op, op_execute(op), &op->result)) continue;
    pthread_mutex_lock(&pool->mutex);
    put_last(&pool->done_first, &pool->done_last, op);
    atomic_fetch_add(&pool->done_count, 1);
    /* That it is full means readable, which is all that is wanted. */
    if (atomic_load(&pool->waker->sleeping)) (void)event_tell(pool->waker->event);
  }
  pthread_mutex_unlock(&pool->mutex);
  return NULL;
}

struct pool *pool_open(struct waker *waker) {
  struct pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->waker = waker;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->queued, NULL);
  sigset_t all, before;
  pthread_attr_t attributes;
  sigfillset(&all);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the process's, not these threads' */
  while (pool->thread_count < THREADS &&
         pthread_create(&pool->threads[pool->thread_count], &attributes, work, pool) == 0) {
    pool->thread_count++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (pool->thread_count) return pool;
  pool_close(pool);
  return NULL;
}

void pool_close(struct pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  pool->closing = true;
  pthread_cond_broadcast(&pool->queued);
  pthread_mutex_unlock(&pool->mutex);
  for (int i = 0; i < pool->thread_count; i++) pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->queued);
  pthread_mutex_destroy(&pool->mutex);
  free(pool);
}

void pool_put(struct pool *pool, struct op *op) {
  pthread_mutex_lock(&pool->mutex);
  put_last(&pool->first, &pool->last, op);
  pthread_cond_signal(&pool->queued);
  pthread_mutex_unlock(&pool->mutex);
}

bool pool_pending(struct pool *pool) { return atomic_load(&pool->done_count) > 0; }

struct op *pool_take(struct pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  struct op *op = take_first(&pool->done_first, &pool->done_last);
  if (op) atomic_fetch_sub(&pool->done_count, 1);
  pthread_mutex_unlock(&pool->mutex);
  return op;
}
