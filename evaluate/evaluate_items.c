/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/par.h"
#include "evaluate/evaluate.h"
#include "geom/read.h"
#include "metric/views.h"

enum { MAX_WARNINGS = 10, WAVE_BYTES = 512 << 20 /* of pictures that wait for the networks */ };

/* --- one pair --- */

/* An object of the workspace stands where the generator has learned it. */
static int open_reference(struct t3d_geometry *ref, const struct evaluate_run *x,
                          const struct evaluate_item *item, int thread, unsigned flags,
                          struct t3d_err *err)
{
    struct evaluate_made *made = x->made ? &x->made[item->match - x->matches.match] : NULL;
    int r;

    if (!made)
        return t3d_geometry_open(ref, x->importer, thread, item->match->ref, flags, err);
    r = t3d_geometry_open_by(ref, x->importer, thread, item->match->ref, t3d_content_resolve,
                             &made->parts, flags, err);
    if (r == T3D_OK && (r = t3d_geometry_normalise(ref, err)) < 0)
        t3d_geometry_close(ref);
    return r;
}

static int measure_shapes(const struct evaluate_run *x, struct evaluate_item *item, int thread,
                          struct t3d_err *err)
{
    const struct t3d_metric_choice *c = &item->choice;
    struct t3d_pair_options o = x->options;
    int keeps = t3d_networks_need(c), draws = keeps || t3d_metrics_need(c, T3D_METRIC_PICTURE) ||
                                              t3d_metrics_need(c, T3D_METRIC_WARP);
    int captions = t3d_metrics_need(c, T3D_METRIC_CAPTION);
    unsigned flags = draws || captions ? T3D_READ_PIXELS : T3D_READ_HEADERS;
    struct t3d_geometry pred, ref;
    int r = open_reference(&ref, x, item, thread, flags, err);

    if (r < 0)
        return t3d_err_prefix(err, "reference");
    r = t3d_geometry_open(&pred, x->importer, thread, item->match->pred, flags, err);
    if (r < 0) {
        t3d_geometry_close(&ref);
        return t3d_err_prefix(err, "prediction");
    }
    o.choice = *c;
    item->n_pictures = pred.is_cloud || ref.is_cloud ? 0 : EVALUATE_VIEWS;
    r = t3d_pair_shapes(&item->result, &o, item->match->uid, &pred, &ref, err);
    if (r == T3D_OK && draws)
        r = t3d_pair_views(&item->result, &o, &pred, &ref, keeps ? &item->pictures : NULL, err);
    if (r == T3D_OK && captions && !pred.is_cloud)
        r = t3d_networks_caption(x->networks, &item->result, c,
                                 pred.gaussians.n ? NULL : &pred.scene,
                                 pred.gaussians.n ? &pred.gaussians : NULL,
                                 (size_t)(item->match - x->matches.match), err);
    t3d_geometry_close(&pred);
    t3d_geometry_close(&ref);
    return r;
}

static int measure_pictures(const struct evaluate_run *x, struct evaluate_item *item,
                            struct t3d_err *err)
{
    struct t3d_pair_options o = x->options;

    o.choice = item->choice;
    item->n_pictures = 1;
    return t3d_pair_pictures(&item->result, &o, item->match->pred, item->match->ref,
                             t3d_networks_need(&o.choice) ? &item->pictures : NULL, err);
}

static int measure_item(const struct evaluate_run *x, struct evaluate_item *item, int thread,
                        struct t3d_err *err)
{
    const struct t3d_match *m = item->match;
    int r;

    t3d_pair_clear(&item->result);
    if (m->ambiguous)
        return t3d_err_set(err, T3D_SKIP, "ambiguous-name",
                           "several files are called '%s': keep one in each folder", m->uid);
    if (x->made && x->made[m - x->matches.match].why)
        return t3d_err_set(err, T3D_SKIP, x->made[m - x->matches.match].why, "%s",
                           x->made[m - x->matches.match].message);
    if (!m->pred || !m->ref)
        return t3d_err_set(err, T3D_SKIP, m->pred ? "no-reference" : "no-prediction",
                           "'%s' has no counterpart in --%s", m->pred ? m->pred : m->ref,
                           m->pred ? "ref" : "pred");
    r = evaluate_row_begin(x, item, thread, err);
    if (r != T3D_OK)
        return r == T3D_END ? T3D_OK : r;
    return x->matches.pictures ? measure_pictures(x, item, err)
                               : measure_shapes(x, item, thread, err);
}

static void work(void *ctx, int thread, void *p)
{
    struct evaluate_item *item = p;

    if (measure_item(ctx, item, thread, &item->err) == T3D_OK)
        item->err.code = T3D_OK;
}

/* --- rows --- */

static void know_metrics(struct evaluate_run *x, const cJSON *row)
{
    const cJSON *v;

    cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(row, "metrics")) {
        int i = evaluate_metric_of(v->string);

        if (i < 0)
            continue;
        x->warped |= t3d_metrics[i].kind == T3D_METRIC_WARP;
        t3d_report_metric(x->report, v->string, t3d_metrics[i].better,
                          t3d_metric_target(&t3d_metrics[i], v->string),
                          t3d_metrics[i].target_text);
    }
}

static int write_now_and_then(struct evaluate_run *x, struct t3d_err *err)
{
    double start = t3d_clock_s();
    int r;

    if (start - x->written_s < fmax(2, 20 * x->write_cost_s))
        return T3D_OK;
    r = t3d_report_write(x->report, x->output, 0, err);
    x->written_s = t3d_clock_s();
    x->write_cost_s = x->written_s - start;
    return r;
}

static void drop(void *ctx, void *p)
{
    struct evaluate_item *item = p;

    (void)ctx;
    cJSON_Delete(item->json);
    t3d_pictures_free(&item->pictures);
    free(item);
}

static int emit(void *ctx, void *p, struct t3d_err *err)
{
    struct evaluate_run *x = ctx;
    struct evaluate_item *item = p;
    int r = item->err.code, bad;

    if (r != T3D_OK && r != T3D_SKIP) { /* not this item's fault */
        *err = item->err;
        drop(x, item);
        return r;
    }
    if (!item->json)
        item->json = evaluate_row(x, item);
    bad = strcmp(t3d_json_str(item->json, "status", ""), "ok") != 0;
    if (bad && x->warned++ < MAX_WARNINGS)
        t3d_warn("%s: %s", item->match->uid, t3d_json_str(item->json, "message", ""));
    else if (bad && x->warned == MAX_WARNINGS + 1)
        t3d_warn("the report has the other items that failed");
    x->reused += (size_t)item->reused;
    x->in_part += item->old && !item->reused;
    t3d_progress_add(x->progress, bad ? 2 : 0);
    know_metrics(x, item->json);
    r = t3d_report_add(x->report, item->json, err);
    t3d_pictures_free(&item->pictures);
    free(item);
    return r == T3D_OK ? write_now_and_then(x, err) : r;
}

static int next(void *ctx, void **p, struct t3d_err *err)
{
    struct evaluate_run *x = ctx;
    const struct t3d_common *c = &x->conf->common;
    struct evaluate_item *item;

    while (x->next < x->matches.n && c->shard_count > 1 &&
           t3d_hash64(x->matches.match[x->next].uid) % c->shard_count != c->shard_index)
        x->next++;
    if (x->next == x->matches.n || x->room == 0 || t3d_stop_requested())
        return T3D_END;
    x->room--;
    item = calloc(1, sizeof *item);
    if (!item)
        return t3d_err_nomem(err, "an item");
    item->match = &x->matches.match[x->next++];
    *p = item;
    return T3D_OK;
}

/* --- waves ---
 *
 * Items are measured side by side, one a thread, but for what needs networks, which take one item
 * at a time with all threads: a wave of items is measured, then goes through the networks. */

static int hold(void *ctx, void *p, struct t3d_err *err)
{
    struct evaluate_run *x = ctx;

    (void)err;
    x->held[x->n_held++] = p;
    return T3D_OK;
}

/* What one network cannot do does not keep the others from it. */
static void ask_networks(struct evaluate_run *x, struct evaluate_item *item)
{
    char what[48] = "";

    if (item->err.code != T3D_OK || item->reused)
        return;
    if (!x->matches.pictures)
        snprintf(what, sizeof what, T3D_VIEW_SET "-%u", x->options.resolution);
    for (int k = 0; k < T3D_NETWORKS; k++) {
        struct t3d_err err;
        int r = t3d_networks_measure(x->networks, &item->result, &item->choice, k, &item->pictures,
                                     (size_t)(item->match - x->matches.match), what, &err);

        if (r == T3D_SKIP)
            item->network_err[k] = err;
        else if (r != T3D_OK)
            item->err = err;
    }
}

/* T3D_END behind the last wave. */
static int run_wave(struct evaluate_run *x, struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {.next = next, .work = work, .emit = hold, .drop = drop};
    int r;

    x->n_held = 0;
    r = t3d_pipe_run(&ops, x, x->threads, 0, err);
    for (size_t i = 0; i < x->n_held; i++) {
        if (r < 0 || t3d_stop_requested()) {
            drop(x, x->held[i]);
            continue;
        }
        ask_networks(x, x->held[i]);
        r = emit(x, x->held[i], err);
    }
    return r == T3D_OK && x->n_held == 0 ? T3D_END : r;
}

static int run_waves(struct evaluate_run *x, struct t3d_err *err)
{
    size_t bytes = 2 * 20 * 4 * (size_t)x->options.resolution * x->options.resolution;
    size_t wave = T3D_MAX(WAVE_BYTES / bytes, (size_t)x->threads);
    int r = T3D_OK;

    if (x->matches.pictures) /* of any size: no more than are in memory anyway */
        wave = (size_t)x->threads;
    x->held = t3d_alloc(&x->arena, wave, sizeof *x->held);
    if (!x->held)
        return t3d_err_nomem(err, "the items");
    while (r == T3D_OK && !t3d_stop_requested()) {
        x->room = wave;
        r = run_wave(x, err);
    }
    return r == T3D_END ? T3D_OK : r;
}

int evaluate_items(struct evaluate_run *x, struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {.next = next, .work = work, .emit = emit, .drop = drop};
    int r;

    x->progress = t3d_progress_new(x->conf->common.progress, "evaluate", "items", x->matches.n);
    x->written_s = t3d_clock_s();
    x->room = SIZE_MAX;
    if (t3d_networks_need(&x->options.choice))
        r = run_waves(x, err);
    else
        r = t3d_pipe_run(&ops, x, x->threads, 0, err);
    t3d_progress_free(x->progress);
    return r;
}
