/* SPDX-License-Identifier: Apache-2.0 */
/* store/stage_impl.h -- inside of the record loop: choosing objects, and what is not yet committed.
 */
#ifndef T3D_STORE_STAGE_IMPL_H
#define T3D_STORE_STAGE_IMPL_H

#include <stdio.h>

#include "base/json.h"
#include "store/stage.h"

struct t3d_progress;

enum t3di_entry_kind {
    T3DI_WORK,   /* to be worked on, claimed */
    T3DI_STORED, /* done before with this key: state in item.before */
    T3DI_BAD,    /* cannot be worked on: item.err says why; code is FAIL or NONE (skipped) */
    T3DI_DROP,   /* not ours, or nothing to do and nobody to tell */
    T3DI_BUSY    /* another run has it */
};

struct t3di_entry {
    struct t3d_stage_item item;
    enum t3di_entry_kind kind;
    struct t3di_entry *next;
};

/* First in, first out. */
struct t3di_queue {
    struct t3di_entry *first, *last;
    size_t n;
};

struct t3di_loop {
    const struct t3d_stage *st;
    void *ctx;
    struct t3d_manifest *m;
    const struct t3d_common *common;
    struct t3d_stage_summary *sum;
    struct t3d_progress *progress;
    char params[65]; /* hash of stage name, version and parameters */
    uint32_t if_run; /* bit i: needs_if_run[i] has run */
    /* where objects come from */
    struct t3d_ndjson in;
    struct t3d_cursor *cursor; /* NULL once it has ended */
    struct t3d_arena scratch;
    int64_t *deferred; /* numbers of objects that were busy */
    size_t n_deferred, at_deferred;
    int ended;
    struct t3di_queue backlog; /* read, to be decided on in their turn */
    struct t3di_queue ready;   /* decided on and claimed */
    struct t3di_queue held;    /* worked on, waiting for `gather` */
    size_t weight;             /* of those */
    uint64_t in_flight;
    double reap_due;
    /* results */
    FILE *rejects;
    int open; /* a transaction is open */
    double opened;
    size_t in_batch;
    cJSON **out;   /* records for stdout once the batch is committed */
    char **reject; /* lines for --rejects, likewise */
    size_t n_out, n_reject;
};

void t3di_queue_push(struct t3di_queue *q, struct t3di_entry *e);
struct t3di_entry *t3di_queue_pop(struct t3di_queue *q);
void t3di_entry_free(struct t3di_loop *l, struct t3di_entry *e);

/* stage_choose.c. The next object to hand out: T3D_OK, T3D_END, T3D_RETRY (wait), or an error. */
int t3di_choose(struct t3di_loop *l, struct t3di_entry **out, struct t3d_err *err) T3D_MUST_CHECK;
/* --dry-run: look at all, count into sum (ok = would be done). */
int t3di_choose_count(struct t3di_loop *l, struct t3d_err *err) T3D_MUST_CHECK;
/* Hash of the stage's parameters, and which optional upstream stages bind. */
int t3di_choose_init(struct t3di_loop *l, struct t3d_err *err) T3D_MUST_CHECK;

/* stage.c. Gather and emit what is held. */
int t3di_release(struct t3di_loop *l, struct t3d_err *err) T3D_MUST_CHECK;

/* stage_batch.c. Begin the batch if none is open; commit it and hand on its records and rejects. */
int t3di_batch_begin(struct t3di_loop *l, struct t3d_err *err) T3D_MUST_CHECK;
int t3di_batch_commit(struct t3di_loop *l, struct t3d_err *err) T3D_MUST_CHECK;
/* Queue the item's record (taken from it) or its line for --rejects. */
int t3di_batch_record(struct t3di_loop *l, struct t3d_stage_item *item,
                      struct t3d_err *err) T3D_MUST_CHECK;
int t3di_batch_reject(struct t3di_loop *l, const char *uid, const char *status, const char *reason,
                      double value, const char *message, struct t3d_err *err) T3D_MUST_CHECK;
/* Throw away what is queued. */
void t3di_batch_drop(struct t3di_loop *l);

/* stage_part.c: with --shard i/N the records of this part, for `t3d manifest merge`. */
int t3di_stage_write_part(struct t3d_manifest *m, const char *stage, uint32_t index, uint32_t count,
                          struct t3d_err *err) T3D_MUST_CHECK;

#endif
