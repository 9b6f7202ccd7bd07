/* SPDX-License-Identifier: Apache-2.0 */
/* store/stage.h -- the record loop that filter, render and later stages share: choose the objects,
 * claim them, work in parallel, save in order, write records and rejects, count.
 *
 * With `-` as operand the records of stdin are worked on and one record per object goes to stdout
 * as soon as it is done, in input order, unknown fields passed through; without it every eligible
 * object of the manifest (upstream ok, this stage not done with this key, in --shard) is, and
 * stdout stays empty. An object whose stage is done with the same key is not worked on again; with
 * `-` its record is passed on (or not, if the stored state is a reject) from the stored state.
 *
 * key = SHA-256 over (stage name, format version, canonical parameters, content hash, keys of the
 * stages in `inputs`).
 * Order of writes: save() puts the data, then the manifest row is committed, then the record goes
 * to stdout. Rows are committed in batches: at once when the loop has nothing else to do, at the
 * latest after 256 objects or 0.5 s.
 *
 * A failed object is tried again by the next run, three times with the same key; then it counts as
 * failed until --redo. Rejects and failures stored with this key are written to --rejects again, so
 * that the file is complete whatever was killed before. With `-` a record that is not JSON, has no
 * usable uid or names no object is a failure ("not-json", "bad-uid", "unknown-uid"); one whose
 * upstream state is not ok goes to
 * --rejects as "upstream-not-ok" and counts as skipped.
 *
 * Two runs on one workspace share the work: what the other has claimed is waited for at the end
 * (with `-`: in its turn) and then taken from the stored state, or done here if the other has died.
 * Nobody holds a claim while waiting, so they cannot block each other. */
#ifndef T3D_STORE_STAGE_H
#define T3D_STORE_STAGE_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/opt.h"
#include "store/manifest.h"

struct t3d_stage_item {
    struct t3d_object object; /* strings live in arena */
    cJSON *record;            /* from stdin, or NULL; work and save may add members */
    char key[65];
    struct t3d_state before;  /* this stage's state before this run */
    enum t3d_state_code code; /* set by work: OK, REJECT or FAIL (starts as FAIL) */
    struct t3d_err err;       /* reason, value and message when not OK */
    void *result;             /* the tool's, from work to save; freed by done() */
    size_t weight;            /* set by work: counts towards the stage's batch */
    struct t3d_arena arena;
};

struct t3d_stage {
    const char *name;         /* "filter", "render/ring16+4-512" */
    const char *also;         /* a second name under which the same state is put, so that later
                                 stages can need "render" whatever the view set; or NULL */
    const char *const *needs; /* stages that must be ok, NULL-terminated, may be NULL */
    const char *const *needs_if_run; /* ... but only if they have run at all */
    int format_version;
    const cJSON *params;       /* canonical effective parameters: what changes the output */
    const char *const *inputs; /* stages whose output is read: their keys are part of the key;
                                  NULL-terminated, may be NULL */
    int words_matter;          /* captions, licence and source are part of the key */
    size_t window;             /* most items in flight per thread; 0 = 4 */
    /* Serial, in the calling thread, before work: fetch what work needs from the manifest. An error
     * stops the run. May be NULL. */
    int (*load)(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item,
                struct t3d_err *err);
    /* Any thread. Sets code and err. */
    void (*work)(void *ctx, int thread, struct t3d_stage_item *item);
    /* Serial, in order, outside of any transaction: what is done for many objects at once, such as
     * a run of a network. Gets the items that were worked on since the last call; may change code
     * and err; what it stores must be safe when it returns. Called when the items' weights reach
     * `batch`, and before the loop waits for anything else. An error stops the run. May be NULL. */
    int (*gather)(void *ctx, struct t3d_stage_item *const *item, size_t n, struct t3d_err *err);
    size_t batch;
    /* Serial, in order, for OK and REJECT (and FAIL): store data, measures, shard members. Runs
     * inside a write transaction of m. An error stops the run. May be NULL. */
    int (*save)(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item,
                struct t3d_err *err);
    /* Frees item->result. May be NULL. */
    void (*done)(void *ctx, struct t3d_stage_item *item);
    /* 1 when the output of an object that is ok with this key is still there (renders/ may have
     * been deleted); else it is done again. NULL = always. */
    int (*have)(void *ctx, const struct t3d_object *o);
    /* With `-`, for an object that was ok before with this key: add to item->record what save adds
     * after work, so that a rerun prints the same. May be NULL. */
    int (*recall)(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item,
                  struct t3d_err *err);
    /* --dry-run only counts: none of the above but have is called. */
};

struct t3d_stage_summary {
    uint64_t seen, ok, rejected, failed,
        skipped;   /* skipped: done before with this key, or not eligible */
    uint64_t busy; /* still claimed by another live run when this one was stopped */
    int stop;      /* exit code that a signal asked for, or 0 */
    double seconds;
};

/* Returns a grade; T3D_OK with summary->failed > 0 is exit code 3 (t3d_stage_exit). Claims are
 * given back on every way out. Prints the summary line through base/log. */
int t3d_stage_run(const struct t3d_stage *st, void *ctx, struct t3d_manifest *m,
                  const struct t3d_common *common, struct t3d_stage_summary *summary,
                  struct t3d_err *err) T3D_MUST_CHECK;

/* Exit code for a summary: 0, 3, or the code of the signal that stopped the run (75, 130). */
int t3d_stage_exit(const struct t3d_stage_summary *s);

#endif
