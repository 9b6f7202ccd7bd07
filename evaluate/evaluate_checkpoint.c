/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "evaluate/evaluate.h"
#include "metric/cost.h"
#include "metric/file_hash.h"
#include "store/manifest.h"
#include "store/model_find.h"

/* --- the objects of the split --- */

static int make_room(struct evaluate_run *x, size_t *room, struct t3d_err *err)
{
    size_t n = *room ? 2 * *room : 64;
    struct t3d_match *match = t3d_alloc(&x->arena, n, sizeof *match);
    struct evaluate_made *made = t3d_alloc(&x->arena, n, sizeof *made);

    if (!match || !made)
        return t3d_err_nomem(err, "the objects");
    if (*room) {
        memcpy(match, x->matches.match, *room * sizeof *match);
        memcpy(made, x->made, *room * sizeof *made);
    }
    x->matches.match = match;
    x->made = made;
    *room = n;
    return T3D_OK;
}

static int add_object(struct evaluate_run *x, const struct t3d_object *o, struct t3d_err *err)
{
    struct t3d_match *m = &x->matches.match[x->matches.n];
    struct evaluate_made *made = &x->made[x->matches.n++];
    char *ref = NULL;
    int r = T3D_OK;

    m->uid = t3d_strdup(&x->arena, o->uid);
    made->content = t3d_strdup(&x->arena, o->content);
    if (!m->uid || !made->content)
        return t3d_err_nomem(err, o->uid);
    if (!*o->content) {
        made->why = "missing-file";
        made->message = "the workspace knows of the object and does not have it: fetch it again";
        return T3D_OK;
    }
    r = t3d_content_locate(&made->parts, &ref, x->conf->common.workspace, o, &x->arena, err);
    if (r == T3D_OK)
        made->parts.main_sha256 = t3d_strdup(&x->arena, o->file_sha256);
    m->ref = ref;
    if (o->n_captions && *o->caption[0]) {
        made->caption = o->caption[0];
        m->pred = t3d_sprintf(&x->arena, "%s.generated/%s.ply", x->output, o->uid);
        return m->pred && r == T3D_OK ? r : r < 0 ? r : t3d_err_nomem(err, o->uid);
    }
    made->why = "no-caption";
    made->message = "the object has no caption to make one from: t3d fetch local "
                    "--captions FILE gives it one";
    return r;
}

/* Is it in the split, in --shard, and has no filter turned it down? */
static int wanted(const struct evaluate_run *x, struct t3d_manifest *m, const struct t3d_object *o,
                  int *yes, struct t3d_err *err)
{
    const struct t3d_common *c = &x->conf->common;
    struct t3d_state s;
    int r;

    *yes = 0;
    if (strcmp(x->conf->split, "all") != 0 && (!o->split || strcmp(o->split, x->conf->split) != 0))
        return T3D_OK;
    if (c->shard_count > 1 && t3d_hash64(o->uid) % c->shard_count != c->shard_index)
        return T3D_OK;
    r = t3d_manifest_find_state(m, "filter", o->num, &s, err);
    *yes = r >= 0 && s.code != T3D_STATE_REJECT;
    return r < 0 ? r : T3D_OK;
}

static int read_objects(struct evaluate_run *x, struct t3d_manifest *m, struct t3d_err *err)
{
    size_t most = t3d_opt_given(&x->conf->common, "count") ? x->conf->count : SIZE_MAX, room = 0;
    struct t3d_object o;
    struct t3d_cursor *c;
    int r = t3d_cursor_open(&c, m, 0, err), yes;

    if (r < 0)
        return r;
    while (r == T3D_OK && x->matches.n < most) {
        r = t3d_cursor_next(c, &o, &x->arena, err);
        if (r != T3D_OK)
            break;
        r = wanted(x, m, &o, &yes, err);
        if (r == T3D_OK && yes && x->matches.n == room)
            r = make_room(x, &room, err);
        if (r == T3D_OK && yes)
            r = add_object(x, &o, err);
    }
    t3d_cursor_close(c);
    return r < 0 ? r : T3D_OK;
}

int evaluate_made_find(struct evaluate_run *x, struct t3d_err *err)
{
    const struct evaluate_conf *c = x->conf;
    struct t3d_manifest *m;
    char *dir;
    int r = t3d_model_find(&dir, c->common.workspace, c->checkpoint, &x->arena, err);

    if (r == T3D_OK)
        r = t3d_manifest_open(&m, c->common.workspace, T3D_MANIFEST_READONLY, err);
    if (r < 0)
        return r;
    r = read_objects(x, m, err);
    t3d_manifest_close(m);
    if (r == T3D_OK && x->matches.n == 0)
        r = t3d_err_set(err, T3D_USAGE, "usage",
                        "the workspace '%s' has no object%s%s to compare with: t3d splits says "
                        "which objects are in which split, --split all takes every one",
                        c->common.workspace, strcmp(c->split, "all") ? " in split " : "",
                        strcmp(c->split, "all") ? c->split : "");
    return r;
}

int evaluate_ref_hash(char hex[65], const struct evaluate_run *x, size_t i, int thread,
                      struct t3d_err *err)
{
    if (!x->made)
        return t3d_file_hash(hex, x->importer, thread, x->matches.match[i].ref, err);
    snprintf(hex, 65, "%s", x->made[i].content);
    return T3D_OK;
}

/* --- making --- */

static int make_all(struct evaluate_run *x, struct evaluate_maker *maker, size_t *n_made,
                    struct t3d_err *err)
{
    struct t3d_progress *p =
        t3d_progress_new(x->conf->common.progress, "generate", "objects", x->matches.n);
    int r = T3D_OK;

    for (size_t i = 0; i < x->matches.n && r >= 0 && !t3d_stop_requested(); i++) {
        struct evaluate_made *made = &x->made[i];
        if (!made->why) {
            r = evaluate_maker_run(maker, made->caption, x->matches.match[i].pred, &made->cost,
                                   err);
            *n_made += r == T3D_OK;
        }
        t3d_progress_add(p, made->why ? 2 : 0);
    }
    t3d_progress_free(p);
    return r < 0 ? r : T3D_OK;
}

int evaluate_make(struct evaluate_run *x, struct t3d_err *err)
{
    const struct evaluate_conf *c = x->conf;
    const struct evaluate_maker_options o = {.workspace = c->common.workspace,
                                             .checkpoint = c->checkpoint,
                                             .device = c->device,
                                             .encoder = c->text_encoder.item,
                                             .n_encoders = c->text_encoder.n,
                                             .threads = (int)c->common.threads,
                                             .steps = (int)c->steps,
                                             .guidance = c->guidance,
                                             .seed = c->common.seed,
                                             .redo = c->common.redo};
    struct evaluate_maker *maker;
    size_t n_made = 0;
    int r = evaluate_maker_open(&maker, &o, err);

    if (r < 0)
        return t3d_err_prefix(err, "--checkpoint");
    snprintf(x->weights, sizeof x->weights, "%s", evaluate_maker_hash(maker));
    x->model_bytes = evaluate_maker_bytes(maker);
    r = make_all(x, maker, &n_made, err);
    if (r == T3D_OK)
        t3d_info("%zu objects made, in %s.generated", n_made, x->output);
    evaluate_maker_close(maker);
    return r;
}

/* --- the report --- */

void evaluate_made_describe(const struct evaluate_run *x, cJSON *settings)
{
    if (!x->made)
        return;
    t3d_json_set_str(settings, "checkpoint", x->weights);
    t3d_json_set_str(settings, "split", x->conf->split);
    t3d_json_set_num(settings, "num_diffusion_steps", (double)x->conf->steps);
    t3d_json_set_num(settings, "guidance", x->conf->guidance);
    t3d_json_set_str(settings, "device", x->conf->device);
}

int evaluate_made_cost(struct evaluate_run *x, struct t3d_err *err)
{
    const struct evaluate_conf *c = x->conf;
    struct t3d_cost cost = {.wall_s = NAN,
                            .model_bytes = x->model_bytes,
                            .peak_bytes = NAN,
                            .splat_fps = NAN,
                            .splat_side = EVALUATE_FPS_SIDE,
                            .price_per_hour =
                                t3d_opt_given(&c->common, "price-per-hour") ? c->price : NAN};
    double *seconds, picture_s = 0;
    size_t drawn = 0;

    if (!x->made || !t3d_metrics_need(&x->options.choice, T3D_METRIC_COST))
        return T3D_OK;
    seconds = t3d_alloc(&x->arena, x->matches.n, sizeof *seconds);
    if (!seconds)
        return t3d_err_nomem(err, "the costs");
    for (size_t i = 0; i < x->matches.n; i++) {
        const struct evaluate_made *made = &x->made[i];
        if (made->why)
            continue;
        seconds[cost.n++] = made->cost.seconds;
        cost.peak_bytes = fmax(cost.peak_bytes, made->cost.peak_bytes);
        if (isfinite(made->cost.fps)) {
            picture_s += 1 / made->cost.fps;
            drawn++;
        }
    }
    cost.seconds = seconds;
    if (drawn)
        cost.splat_fps = (double)drawn / picture_s;
    return t3d_cost_report(x->report, &cost, err);
}
