/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate/evaluate.h -- what the parts of t3d-evaluate share: evaluate.c has the options and the
 * run, evaluate_checkpoint.c what a generator makes for the objects of a split, evaluate_items.c
 * the pairs, evaluate_rows.c their rows, evaluate_report.c what is known before and after them. */
#ifndef T3D_EVALUATE_EVALUATE_H
#define T3D_EVALUATE_EVALUATE_H

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/progress.h"
#include "base/tool.h"
#include "evaluate/evaluate_maker.h"
#include "geom/import.h"
#include "metric/match.h"
#include "metric/networks.h"
#include "metric/pair.h"
#include "metric/report.h"
#include "store/content.h"
#include "store/text_list.h"

struct evaluate_conf {
    struct t3d_common common;
    const char *pred, *ref, *normalize, *output, *benchmark;
    const char *captions, *pool, *clip, *lpips;
    const char *checkpoint, *split, *device;
    struct t3d_list metrics, compare, text_encoder;
    int emd_floor;
    uint64_t points, emd_points, resolution, count, steps;
    double guidance, price;
};

#define EVALUATE_NO_SPLATS                                                                         \
    "needs splats: a mesh with fixed colours agrees with itself from all sides"

/* An object of the workspace, and what was made for its caption. */
struct evaluate_made {
    const char *caption, *content; /* NULL = has none; hash of the object, its parts included */
    struct t3d_content_ctx parts;
    const char *why, *message; /* nothing was made: the reason; else NULL */
    struct evaluate_cost cost;
};

enum { EVALUATE_VIEWS = 20 /* of T3D_VIEW_SET */ };

/* A pair in hand. */
struct evaluate_item {
    const struct t3d_match *match;
    char key[65];                       /* of what needs no network; "" = not known yet */
    char network_key[T3D_NETWORKS][65]; /* "" = not in use */
    struct t3d_metric_choice choice;    /* what is still to be measured */
    const cJSON *old;                   /* row of an earlier run, some of which stands, or NULL */
    cJSON *json;                        /* the row, when it is known whole */
    int reused;                         /* nothing is to be measured */
    struct t3d_err err, network_err[T3D_NETWORKS];
    struct t3d_pair_result result;
    int n_pictures;               /* of each side: views of objects, one of files, none of clouds */
    struct t3d_pictures pictures; /* kept for the networks */
};

struct evaluate_run {
    const struct evaluate_conf *conf;
    const char *command_line, *output;
    struct t3d_importer *importer; /* one slot a worker */
    int threads;                   /* workers */
    struct t3d_pair_options options;
    struct t3d_matches matches;
    struct t3d_networks *networks;
    t3d_metric_reasons reason;     /* of metrics that were asked for and cannot be had */
    struct t3d_metric_choice lost; /* of those, the ones whose network's weights are wrong */
    struct t3d_captions *captions;
    struct t3d_text_list pool;
    const char **caption;       /* of each match; NULL = has none */
    struct evaluate_made *made; /* of each match, when there is a checkpoint; else NULL */
    char weights[65];           /* of the checkpoint */
    double model_bytes;
    int warped; /* an item has view-consistency:warp-l1 */
    struct t3d_report *report;
    struct t3d_progress *progress;
    cJSON *before; /* items of an earlier run by uid */
    struct t3d_arena arena;
    /* Hashes of what results depend on beside the files: all but the metrics' names; those that
     * need no network; of each network in use what it is and its metrics' names. */
    char params[65], names[65], network[T3D_NETWORKS][65];
    size_t next, room, warned, reused, in_part; /* room: items that the wave may still have */
    struct evaluate_item **held;                /* of the wave, measured but for the networks */
    size_t n_held;
    double written_s, write_cost_s;
};

/* --- evaluate_networks.c --- */

/* Captions and networks that the metrics need; those that cannot be had leave the choice. */
int evaluate_networks(struct evaluate_run *x, struct t3d_err *err) T3D_MUST_CHECK;
void evaluate_networks_free(struct evaluate_run *x);

/* --- evaluate_checkpoint.c --- */

/* The objects of the split as references, and one made from each first caption as prediction, in
 * OUTPUT.generated: x->matches and x->made. What is there from an earlier run is not made again. */
int evaluate_made_find(struct evaluate_run *x, struct t3d_err *err) T3D_MUST_CHECK;
int evaluate_make(struct evaluate_run *x, struct t3d_err *err) T3D_MUST_CHECK;
void evaluate_made_describe(const struct evaluate_run *x, cJSON *settings);
/* The family cost, when it is chosen. */
int evaluate_made_cost(struct evaluate_run *x, struct t3d_err *err) T3D_MUST_CHECK;
/* Of the reference of match i, with the files that it names. */
int evaluate_ref_hash(char hex[65], const struct evaluate_run *x, size_t i, int thread,
                      struct t3d_err *err) T3D_MUST_CHECK;

/* --- evaluate_items.c --- */

/* Measure every pair, in order, into the report, which is written now and then. */
int evaluate_items(struct evaluate_run *x, struct t3d_err *err) T3D_MUST_CHECK;

/* --- evaluate_rows.c --- */

/* Keys, and what of an earlier row stands. T3D_END: all of it. */
int evaluate_row_begin(const struct evaluate_run *x, struct evaluate_item *item, int thread,
                       struct t3d_err *err) T3D_MUST_CHECK;
/* The row of an item that is measured, or failed. */
cJSON *evaluate_row(const struct evaluate_run *x, struct evaluate_item *item);
/* Of a full name the row of t3d_metrics, -1 = none. */
int evaluate_metric_of(const char *id);

/* --- evaluate_report.c --- */

/* The report with its settings, their hash in x->params, and the items of an earlier run. */
int evaluate_begin(struct evaluate_run *x, struct t3d_err *err) T3D_MUST_CHECK;
/* Write it whole and print the summary; the exit status. */
int evaluate_finish(struct evaluate_run *x, struct t3d_err *err) T3D_MUST_CHECK;
/* --compare A.json B.json. */
int evaluate_compare(const struct evaluate_conf *c, struct t3d_err *err) T3D_MUST_CHECK;

#endif
