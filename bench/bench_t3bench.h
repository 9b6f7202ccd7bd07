/* SPDX-License-Identifier: Apache-2.0 */
/* bench/bench_t3bench.h -- what the parts of `t3d bench t3bench` share: bench_t3bench.c has the
 * options and the run, _prompts.c the files of prompts, _items.c the objects, _guess.c --dry-run.
 */
#ifndef T3D_BENCH_BENCH_T3BENCH_H
#define T3D_BENCH_BENCH_T3BENCH_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/tool.h"
#include "metric/judge.h"
#include "metric/report.h"
#include "metric/t3bench.h"
#include "model/sampler.h"

struct t3d_progress;

struct t3bench_conf {
    struct t3d_common common;
    struct t3d_list prompts, text_encoder;
    const char *as, *checkpoint, *scorer, *judge, *captioner, *output, *cache, *pictures;
    uint64_t count, steps, batch, resolution, viewpoints, attempts;
    double guidance, min_opacity, timeout, answer_seconds;
};

struct t3bench_prompt {
    const char *uid, *group, *text; /* "single/001": the file's name and the line's number */
};

struct t3bench_prompts {
    struct t3bench_prompt *item;
    size_t n, capacity;
};

struct t3bench_item {
    const struct t3bench_prompt *prompt;
    char key[T3D_SHA256_HEX];  /* of the quality */
    char full[T3D_SHA256_HEX]; /* of the whole row */
    const cJSON *known;        /* the row as an earlier run had it; borrowed */
    int slot;                  /* in the sampler's batch; -1 = not made */
};

struct t3bench {
    const struct t3bench_conf *conf;
    struct t3bench_prompts prompts;
    struct t3bench_item *item;
    size_t n;
    struct t3d_t3bench_options options;
    struct t3d_sampler *sampler;
    struct t3d_judge *judge, *captioner; /* captioner: NULL = the judge */
    struct t3d_memo *memo;
    struct t3d_report *report;
    struct t3d_progress *progress;
    struct t3d_arena arena, scratch; /* of the run; of one object */
    const char *output, *cache, *scorer_name;
    char quality_id[T3D_METRIC_ID_SIZE], alignment_id[2 * T3D_METRIC_ID_SIZE];
    size_t reused, warned, cut;
    double written_s, write_cost_s;
};

/* --- _prompts.c --- */

/* From files of a prompt a line, or the prompt_*.txt of folders; in the arena. T3D_USAGE names file
 * and line of what cannot be one. */
int t3bench_read_prompts(struct t3bench *b, struct t3d_err *err) T3D_MUST_CHECK;

/* --- _items.c --- */

/* Keys of all items and what is known of them. */
int t3bench_know(struct t3bench *b, struct t3d_err *err) T3D_MUST_CHECK;
/* Make the objects of items[i], ... that are not known, as many as a batch takes. */
int t3bench_make(struct t3bench *b, size_t i, struct t3d_err *err) T3D_MUST_CHECK;
/* Object of an item that was made, in the benchmark's frame, in scratch. */
int t3bench_object(struct t3bench *b, const struct t3bench_item *item, struct t3d_gaussians *g,
                   struct t3d_err *err) T3D_MUST_CHECK;
/* The scorer's row of the prompt, in scratch. */
int t3bench_text(struct t3bench *b, const char *prompt, float **row,
                 struct t3d_err *err) T3D_MUST_CHECK;
/* Alignment: captions, their merger and the score go into the row. T3D_SKIP when an answer cannot
 * be had. */
int t3bench_align(struct t3bench *b, const struct t3bench_item *item, const struct t3d_gaussians *g,
                  cJSON *row, struct t3d_err *err) T3D_MUST_CHECK;
/* All items, in order, into the report. */
int t3bench_items(struct t3bench *b, struct t3d_err *err) T3D_MUST_CHECK;

/* --- _guess.c --- */

/* Calls and time that are left, as a record on standard output. */
int t3bench_guess(struct t3bench *b, struct t3d_err *err) T3D_MUST_CHECK;

#endif
