/* SPDX-License-Identifier: Apache-2.0 */
/* base/par.h -- the record loop: read in order, work in parallel, write in order.
 *
 *     static const struct t3d_pipe_ops ops = {.next = read, .work = render, .emit = write, ...};
 *     r = t3d_pipe_run(&ops, ctx, threads, window, err);
 *
 * The calling thread runs next and emit (never at the same time); `threads` workers run work. An
 * item is emitted as soon as it and all before it are done; at most `window` items are in flight,
 * which bounds memory. With threads == 1 everything happens in the calling thread, and results are
 * the same. */
#ifndef T3D_BASE_PAR_H
#define T3D_BASE_PAR_H

#include <stddef.h>

#include "base/err.h"

struct t3d_pipe_ops {
    /* T3D_OK with *item (owned by the pipe until emit), T3D_END, or an error that stops the run
     * after what is in flight has been emitted. T3D_RETRY = nothing yet (standard input is silent):
     * the pipe waits up to 5 ms for the oldest item in flight, emits what is done, and asks again;
     * a source that knows of no item in flight waits by itself instead. */
    int (*next)(void *ctx, void **item, struct t3d_err *err);
    /* Any thread; thread is 0..threads-1. Failures of one item belong into the item. */
    void (*work)(void *ctx, int thread, void *item);
    /* In input order; frees the item, also when it returns an error. */
    int (*emit)(void *ctx, void *item, struct t3d_err *err);
    /* Frees an item that will not be emitted because the run stops. */
    void (*drop)(void *ctx, void *item);
    /* Called in the calling thread before it waits (with one thread: before work), so that a batch
     * of results can be committed. An error stops the run. May be NULL. */
    int (*idle)(void *ctx, struct t3d_err *err);
    /* For a next that may block (records from a pipe): wait until next will not block (1) or the
     * descriptor `wake` becomes readable (0), which says that an item can be emitted; wake -1 = do
     * not wait, only say (1 or 0). t3d_ndjson_wait is one. Without it (NULL) and without T3D_RETRY
     * a done item may have to wait for the next one to arrive. */
    int (*wait)(void *ctx, int wake);
};

/* Returns T3D_OK at the end, or the first error of next or emit. T3D_END from emit stops quietly:
 * what is in flight is dropped and T3D_OK returned. threads < 1 counts as 1, window 0 as 4 a
 * thread. If the system gives fewer threads the run goes on with those. */
int t3d_pipe_run(const struct t3d_pipe_ops *ops, void *ctx, int threads, size_t window,
                 struct t3d_err *err) T3D_MUST_CHECK;

#endif
