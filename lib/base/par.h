/* SPDX-License-Identifier: Apache-2.0 */
/* base/par.h -- the record loop: read in order, work in parallel, write in order.
 *
 *     static const struct t3d_pipe_ops ops = {.next = read_record, .work = render, .emit = write_record};
 *     r = t3d_pipe_run(&ops, ctx, threads, window, err);
 *
 * The calling thread runs next and emit (never at the same time); `threads` workers run work. An item is
 * emitted as soon as it and all before it are done; at most `window` items are in flight, which bounds
 * memory. With threads == 1 everything happens in the calling thread, and results are the same. */
#ifndef T3D_BASE_PAR_H
#define T3D_BASE_PAR_H

#include <stddef.h>

#include "base/err.h"

struct t3d_pipe_ops {
    /* T3D_OK with *item (owned by the pipe until emit), T3D_END, or an error that stops the run after
     * what is in flight has been emitted. T3D_RETRY = nothing yet (standard input is silent): the pipe
     * waits up to 5 ms for the oldest item in flight, emits what is done, and asks again; a source that
     * knows of no item in flight waits by itself instead. */
    int (*next)(void *ctx, void **item, struct t3d_err *err);
    /* Any thread; thread is 0..threads-1. Failures of one item belong into the item. */
    void (*work)(void *ctx, int thread, void *item);
    /* In input order; frees the item, also when it returns an error. */
    int (*emit)(void *ctx, void *item, struct t3d_err *err);
    /* Frees an item that will not be emitted because the run stops. */
    void (*drop)(void *ctx, void *item);
    /* Called in the calling thread before it waits (with one thread: before work), so that a batch of
     * results can be committed. An error stops the run. May be NULL. */
    int (*idle)(void *ctx, struct t3d_err *err);
};

/* Returns T3D_OK at the end, or the first error of next or emit (T3D_END from emit = stop quietly). */
int t3d_pipe_run(const struct t3d_pipe_ops *ops, void *ctx, int threads, size_t window,
                 struct t3d_err *err) T3D_MUST_CHECK;

#endif
