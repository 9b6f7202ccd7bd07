/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that hash and write the bodies which are too long for memory, so that the thread of the
 * transfers only copies. A body's blocks go through two lanes, one that hashes and one that writes;
 * a lane is in one thread at a time, so both see the blocks in order, and the two lanes of one body
 * run side by side. What waits is bounded: then the transfers wait. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"
#include "base/tool.h"
#include "store/http_impl.h"

enum { HASH, WRITE, LANES, BLOCK = 1 << 18, WAITING = 96, THREADS = 4 };

struct block {
    struct block *next[LANES];
    int lanes; /* that are not done with it */
    size_t n;
    uint8_t data[BLOCK];
};

struct lane {
    struct t3di_stream *stream;
    struct block *first, *last;
    struct lane *next; /* in the list of lanes that have work */
    int busy;          /* in that list, or in a thread */
};

struct t3di_stream {
    struct t3di_sink *sink;
    struct lane lane[LANES];
    struct t3d_sha256 *hash;
    int fd;
    const char *path;
    struct block *fill;
    size_t pending; /* blocks that some lane is not done with */
    int failed;
    struct t3d_err err;
};

struct t3di_sink {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pthread_t thread[THREADS];
    int n_threads, stop, event;
    struct lane *first, *last;
    struct block *unused;
    size_t waiting; /* blocks in lanes */
};

/* --- threads
 * -------------------------------------------------------------------------------------- */

static void process(struct t3di_stream *s, int kind, const struct block *b, struct t3d_err *err,
                    int *failed)
{
    if (kind == HASH)
        t3d_sha256_add(s->hash, b->data, b->n);
    else
        *failed = t3d_write_all(s->fd, b->data, b->n, s->path, err) < 0;
}

/* A lane is done with its first block. The lock is held. */
static void pass_on(struct t3di_sink *k, struct lane *l, int kind)
{
    struct block *b = l->first;

    l->first = b->next[kind];
    if (--b->lanes)
        return;
    b->next[0] = k->unused;
    k->unused = b;
    k->waiting--;
    if (--l->stream->pending == 0) {
        const uint64_t one = 1;

        if (write(k->event, &one, sizeof one) < 0) /* full: the transfers are awake then */
            errno = 0;
    }
    pthread_cond_broadcast(&k->done);
}

static void run_lane(struct t3di_sink *k, struct lane *l)
{
    struct t3di_stream *s = l->stream;
    int kind = (int)(l - s->lane);

    while (l->first) {
        struct t3d_err err = {0};
        int failed = 0, skip = s->failed;

        pthread_mutex_unlock(&k->lock);
        if (!skip)
            process(s, kind, l->first, &err, &failed);
        pthread_mutex_lock(&k->lock);
        if (failed) {
            s->failed = 1;
            s->err = err;
        }
        pass_on(k, l, kind);
    }
    l->busy = 0;
    pthread_cond_broadcast(&k->done);
}

static void *work(void *arg)
{
    struct t3di_sink *k = arg;

    pthread_mutex_lock(&k->lock);
    for (;;) {
        struct lane *l = k->first;

        if (!l && k->stop)
            break;
        if (!l) {
            pthread_cond_wait(&k->work, &k->lock);
            continue;
        }
        k->first = l->next;
        if (!k->first)
            k->last = NULL;
        run_lane(k, l);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* --- the sink
 * -------------------------------------------------------------------------------------- */

int t3di_sink_open(struct t3di_sink **out, struct t3d_err *err)
{
    struct t3di_sink *k = calloc(1, sizeof *k);
    int want = T3D_MIN(THREADS, T3D_MAX(2, t3d_cpu_count()));
    sigset_t all, old;

    if (!k)
        return t3d_err_nomem(err, "the writers");
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->work, NULL);
    pthread_cond_init(&k->done, NULL);
    k->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigfillset(&all); /* signals are for the thread that looks at them */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (k->event >= 0 && k->n_threads < want &&
           pthread_create(&k->thread[k->n_threads], NULL, work, k) == 0)
        k->n_threads++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!k->n_threads) {
        int r = t3d_err_sys(err, "cannot start", "the threads that write");

        t3di_sink_close(k);
        return r;
    }
    *out = k;
    return T3D_OK;
}

void t3di_sink_close(struct t3di_sink *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&k->lock);
    k->stop = 1;
    pthread_cond_broadcast(&k->work);
    pthread_mutex_unlock(&k->lock);
    for (int i = 0; i < k->n_threads; i++)
        pthread_join(k->thread[i], NULL);
    for (struct block *b = k->unused, *next; b; b = next) {
        next = b->next[0];
        free(b);
    }
    if (k->event >= 0)
        close(k->event);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->work);
    pthread_cond_destroy(&k->done);
    free(k);
}

int t3di_sink_event(const struct t3di_sink *k)
{
    return k->event;
}

/* --- a body
 * ---------------------------------------------------------------------------------------- */

int t3di_stream_new(struct t3di_stream **out, struct t3di_sink *k, int fd, const char *path,
                    struct t3d_sha256 *hash, struct t3d_err *err)
{
    struct t3di_stream *s = calloc(1, sizeof *s);

    if (!s)
        return t3d_err_nomem(err, path);
    s->sink = k;
    s->fd = fd;
    s->path = path;
    s->hash = hash;
    for (int i = 0; i < LANES; i++)
        s->lane[i].stream = s;
    *out = s;
    return T3D_OK;
}

/* The block that is being filled into both lanes. The error of an earlier one. */
static int hand_over(struct t3di_stream *s, struct t3d_err *err)
{
    struct t3di_sink *k = s->sink;
    struct block *b = s->fill;
    int r = T3D_OK;

    if (!b)
        return T3D_OK;
    s->fill = NULL;
    pthread_mutex_lock(&k->lock);
    while (k->waiting >= WAITING)
        pthread_cond_wait(&k->done, &k->lock);
    k->waiting++;
    s->pending++;
    b->lanes = LANES;
    for (int i = 0; i < LANES; i++) {
        struct lane *l = &s->lane[i];

        b->next[i] = NULL;
        if (l->first)
            l->last->next[i] = b;
        else
            l->first = b;
        l->last = b;
        if (l->busy)
            continue;
        l->busy = 1;
        l->next = NULL;
        if (k->first)
            k->last->next = l;
        else
            k->first = l;
        k->last = l;
        pthread_cond_signal(&k->work);
    }
    if (s->failed) {
        *err = s->err;
        r = s->err.code;
    }
    pthread_mutex_unlock(&k->lock);
    return r;
}

static struct block *empty_block(struct t3di_sink *k)
{
    struct block *b;

    pthread_mutex_lock(&k->lock);
    b = k->unused;
    if (b)
        k->unused = b->next[0];
    pthread_mutex_unlock(&k->lock);
    if (!b)
        b = malloc(sizeof *b);
    if (b)
        b->n = 0;
    return b;
}

int t3di_stream_add(struct t3di_stream *s, const void *data, size_t n, struct t3d_err *err)
{
    for (const uint8_t *p = data; n;) {
        size_t k;

        if (!s->fill && !(s->fill = empty_block(s->sink)))
            return t3d_err_nomem(err, s->path);
        k = T3D_MIN(n, BLOCK - s->fill->n);
        memcpy(s->fill->data + s->fill->n, p, k);
        s->fill->n += k;
        p += k;
        n -= k;
        if (s->fill->n == BLOCK) {
            int r = hand_over(s, err);

            if (r < 0)
                return r;
        }
    }
    return T3D_OK;
}

int t3di_stream_poll(struct t3di_stream *s, struct t3d_err *err)
{
    int r = hand_over(s, err);

    if (r < 0)
        return r;
    pthread_mutex_lock(&s->sink->lock);
    r = s->pending ? T3D_RETRY : T3D_OK;
    if (s->failed) {
        *err = s->err;
        r = s->err.code;
    }
    pthread_mutex_unlock(&s->sink->lock);
    return r;
}

int t3di_stream_free(struct t3di_stream *s, int keep, struct t3d_err *err)
{
    struct t3di_sink *k = s->sink;
    struct t3d_err why;
    int r;

    if (keep && hand_over(s, &why) < 0 && err)
        *err = why;
    pthread_mutex_lock(&k->lock);
    if (!keep)
        s->failed = 1; /* what waits is passed over */
    while (s->pending || s->lane[HASH].busy || s->lane[WRITE].busy)
        pthread_cond_wait(&k->done, &k->lock);
    if (s->fill) {
        s->fill->next[0] = k->unused;
        k->unused = s->fill;
    }
    r = keep && s->failed ? s->err.code : T3D_OK;
    if (r < 0 && err)
        *err = s->err;
    pthread_mutex_unlock(&k->lock);
    free(s);
    return r;
}
