/* SPDX-License-Identifier: Apache-2.0 */
#include "base/par.h"

#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* How long to wait for the oldest item when next has nothing yet (T3D_RETRY). */
enum { SILENT_MS = 5 };

struct slot {
    void *item;
    int done;
};

/* Items are numbered in input order; item i lives in slot i % window. emitted <= started <= read.
 */
struct pipe {
    const struct t3d_pipe_ops *ops;
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t can_start; /* an item was read, or stop was set */
    pthread_cond_t head_done; /* the oldest item is done */
    struct slot *slot;        /* window of them */
    size_t window;
    uint64_t read, started, emitted;
    int stop;  /* no new work */
    int dirty; /* emitted since the last idle */
    int wake;  /* eventfd, readable when the oldest item is done; -1 = nobody waits for it */
};

struct worker {
    struct pipe *pipe;
    pthread_t thread;
    int number;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pipe *p = w->pipe;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct slot *s;
        uint64_t i;

        while (p->started == p->read && !p->stop)
            pthread_cond_wait(&p->can_start, &p->lock);
        if (p->stop)
            break;
        i = p->started++;
        s = &p->slot[i % p->window];
        pthread_mutex_unlock(&p->lock);
        p->ops->work(p->ctx, w->number, s->item);
        pthread_mutex_lock(&p->lock);
        s->done = 1;
        if (i == p->emitted) {
            pthread_cond_signal(&p->head_done);
            if (p->wake >= 0)
                eventfd_write(p->wake, 1);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Before the calling thread waits. */
static int idle(struct pipe *p, struct t3d_err *err)
{
    if (!p->ops->idle || !p->dirty)
        return T3D_OK;
    p->dirty = 0;
    return p->ops->idle(p->ctx, err);
}

/* Is the oldest item done? limit_ms 0 = look, < 0 = wait for it, else wait so long at most. */
static int head_done(struct pipe *p, int limit_ms)
{
    struct slot *s = &p->slot[p->emitted % p->window];
    struct timespec until;
    int late = limit_ms == 0, done;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (limit_ms > 0 ? limit_ms : 0) * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&p->lock);
    while (!s->done && !late) {
        if (limit_ms < 0)
            pthread_cond_wait(&p->head_done, &p->lock);
        else
            late = pthread_cond_clockwait(&p->head_done, &p->lock, CLOCK_MONOTONIC, &until) != 0;
    }
    done = s->done;
    pthread_mutex_unlock(&p->lock);
    return done;
}

static int emit_one(struct pipe *p, struct t3d_err *err)
{
    struct slot *s = &p->slot[p->emitted % p->window];
    void *item = s->item;

    pthread_mutex_lock(&p->lock);
    s->item = NULL;
    s->done = 0;
    p->emitted++;
    pthread_mutex_unlock(&p->lock);
    p->dirty = 1;
    return p->ops->emit(p->ctx, item, err);
}

/* Emit all items that are done, in order. limit_ms as above, for the first one. */
static int emit_done(struct pipe *p, int limit_ms, struct t3d_err *err)
{
    int r = T3D_OK;

    if (p->emitted == p->read)
        return T3D_OK;
    if (!head_done(p, 0)) {
        r = limit_ms ? idle(p, err) : T3D_OK;
        if (r != T3D_OK || !limit_ms || !head_done(p, limit_ms))
            return r;
    }
    do
        r = emit_one(p, err);
    while (r == T3D_OK && p->emitted < p->read && head_done(p, 0));
    return r;
}

/* Sets *ready: next may be called; 0: something can be emitted first. */
static int may_read(struct pipe *p, int *ready, struct t3d_err *err)
{
    eventfd_t n;
    int r;

    *ready = p->read - p->emitted < p->window;
    if (!*ready || !p->ops->wait || p->ops->wait(p->ctx, -1))
        return T3D_OK;
    r = idle(p, err);
    if (r != T3D_OK || p->read == p->emitted)
        return r;
    *ready = p->ops->wait(p->ctx, p->wake);
    if (!*ready)
        eventfd_read(p->wake, &n);
    return T3D_OK;
}

static int read_one(struct pipe *p, struct t3d_err *err)
{
    void *item = NULL;
    int r = p->ops->next(p->ctx, &item, err);

    if (r != T3D_OK)
        return r;
    pthread_mutex_lock(&p->lock);
    p->slot[p->read % p->window] = (struct slot){.item = item};
    p->read++;
    pthread_cond_signal(&p->can_start);
    pthread_mutex_unlock(&p->lock);
    return T3D_OK;
}

/* One round of reading and emitting. *end: what next said, T3D_OK while there may be more. */
static int turn(struct pipe *p, int *end, struct t3d_err *err, struct t3d_err *next_err)
{
    int ready = 0, limit_ms = 0, r;

    if (*end == T3D_OK) {
        r = may_read(p, &ready, err);
        if (r != T3D_OK)
            return r;
        if (ready)
            *end = read_one(p, next_err);
        if (*end == T3D_RETRY) {
            *end = T3D_OK;
            limit_ms = SILENT_MS;
        }
    }
    if (*end != T3D_OK || p->read - p->emitted == p->window)
        limit_ms = -1;
    return emit_done(p, limit_ms, err);
}

/* The calling thread's part. The first error is the one to report: what next says at the end must
 * not be lost when emit fails on what was in flight. */
static int feed(struct pipe *p, struct t3d_err *err)
{
    struct t3d_err next_err = {0}, late = {0};
    int end = T3D_OK, r = T3D_OK;

    while (r == T3D_OK && (end == T3D_OK || p->emitted < p->read))
        r = turn(p, &end, &late, &next_err);
    if (end < 0) {
        r = end;
        late = next_err;
    }
    if (r < 0 && err)
        *err = late;
    return r;
}

static void stop_workers(struct pipe *p, struct worker *w, int n)
{
    pthread_mutex_lock(&p->lock);
    p->stop = 1;
    pthread_cond_broadcast(&p->can_start);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < n; i++)
        pthread_join(w[i].thread, NULL);
    for (; p->emitted < p->read; p->emitted++)
        p->ops->drop(p->ctx, p->slot[p->emitted % p->window].item);
}

static int run_serial(struct pipe *p, struct t3d_err *err)
{
    const struct t3d_pipe_ops *ops = p->ops;

    for (;;) {
        void *item = NULL;
        int r = T3D_OK;

        if (ops->wait && !ops->wait(p->ctx, -1))
            r = idle(p, err);
        if (r == T3D_OK)
            r = ops->next(p->ctx, &item, err);
        if (r == T3D_RETRY) {
            poll(NULL, 0, SILENT_MS);
            continue;
        }
        if (r != T3D_OK)
            return r;
        r = idle(p, err);
        if (r != T3D_OK) {
            ops->drop(p->ctx, item);
            return r;
        }
        ops->work(p->ctx, 0, item);
        p->dirty = 1;
        r = ops->emit(p->ctx, item, err);
        if (r != T3D_OK)
            return r;
    }
}

static int run_parallel(struct pipe *p, struct worker *w, int threads, struct t3d_err *err)
{
    int n = 0, r;

    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->can_start, NULL);
    pthread_cond_init(&p->head_done, NULL);
    for (; n < threads; n++) {
        w[n] = (struct worker){.pipe = p, .number = n};
        if (pthread_create(&w[n].thread, NULL, work, &w[n]))
            break;
    }
    r = n ? feed(p, err) : run_serial(p, err);
    stop_workers(p, w, n);
    pthread_cond_destroy(&p->head_done);
    pthread_cond_destroy(&p->can_start);
    pthread_mutex_destroy(&p->lock);
    return r;
}

int t3d_pipe_run(const struct t3d_pipe_ops *ops, void *ctx, int threads, size_t window,
                 struct t3d_err *err)
{
    struct pipe p = {.ops = ops, .ctx = ctx, .wake = -1};
    struct worker *w = NULL;
    int r;

    if (threads <= 1) {
        r = run_serial(&p, err);
        return r == T3D_END ? T3D_OK : r;
    }
    p.window = window ? window : 4 * (size_t)threads;
    p.slot = calloc(p.window, sizeof *p.slot);
    w = calloc((size_t)threads, sizeof *w);
    if (ops->wait)
        p.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!p.slot || !w)
        r = t3d_err_nomem(err, "the record loop");
    else if (ops->wait && p.wake < 0)
        r = t3d_err_sys(err, "cannot make", "an event descriptor");
    else
        r = run_parallel(&p, w, threads, err);
    if (p.wake >= 0)
        close(p.wake);
    free(w);
    free(p.slot);
    return r == T3D_END ? T3D_OK : r;
}
