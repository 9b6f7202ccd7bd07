/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reconstructor_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "draw/splat.h"
#include "model/file.h"
#include "model/picture_impl.h"
#include "model/training_text.h"

enum {
    INPUTS = T3D_GENERATOR_VIEWS,
    SEEN = T3D_RECONSTRUCTOR_COMPARED,
    OWN = 1, /* of the compared views of a training sample: one that is an input, too */
    TURN = 4,
    MAX_VALIDATION = 64 /* objects */
};

#define OBJECT_ALPHA 0.01 /* a pixel of at least this alpha is the object's: NeRF-MAE's bound */

struct training {
    const struct t3d_reconstructor_train_config *c;
    struct t3d_generator_config size;
    struct t3d_loader *train, *val;
    struct t3d_graph *g;
    struct t3d_reconstructor_step step;
    struct t3d_arena arena;               /* of the view set */
    t3d_real (*camera)[T3D_SPLAT_CAMERA]; /* (views of the set) */
    double (*range)[2];                   /* (the same) of depth pictures */
    struct t3d_view_rays rays;
    int32_t *pixel;   /* (gaussians) place in the loader's pixels */
    uint8_t *picture; /* (side, side, 4) drawn, for validation */
    int batch;
    double stall_s, psnr, ssim;
};

/* --- inputs ---------------------------------------------------------------------------------- */

static void put_views(struct training *t, const uint8_t *rgba, int i)
{
    int n = t3d_generator_gaussians(&t->size);
    t3d_real *out = (t3d_real *)t3d_graph_data(t->g, t->step.m.views) + 3 * (size_t)n * (size_t)i;

    for (int k = 0; k < n; k++)
        for (int j = 0; j < 3; j++)
            out[3 * k + j] = 2 * t3di_over_white(rgba + 4 * (size_t)t->pixel[k], j) - 1;
}

/* Patches in an order of the sample's own (Fisher and Yates); the first ones are hidden. */
static void hide(struct training *t, int i, struct t3d_rng *r)
{
    int n = t3d_generator_tokens(&t->size), many = (int)lround(t->c->hidden * n);
    int p = 3 * t->size.patch * t->size.patch;
    t3d_real *hidden = (t3d_real *)t3d_graph_data(t->g, t->step.m.hidden) + (size_t)i * (size_t)n,
             *views = (t3d_real *)t3d_graph_data(t->g, t->step.m.views) +
                      (size_t)i * (size_t)n * (size_t)p;

    for (int k = 0; k < n; k++)
        hidden[k] = k < many;
    for (int k = n - 1; k > 0; k--) {
        int j = (int)t3d_rng_below(r, (uint32_t)k + 1);
        t3d_real x = hidden[k];

        hidden[k] = hidden[j];
        hidden[j] = x;
    }
    for (int k = 0; k < n; k++)
        if (hidden[k] > 0)
            memset(views + (size_t)k * (size_t)p, 0, (size_t)p * sizeof *views);
}

/* View `from` of the sample as the one that is compared at place `to`. */
static void put_target(struct training *t, const struct t3d_batch *b, int i, int from, int to)
{
    size_t n = (size_t)b->side * (size_t)b->side, at = (size_t)i * SEEN + (size_t)to;
    const uint8_t *rgba = b->pixels + 4 * n * (size_t)(i * b->views + from);
    t3d_real *rgb = (t3d_real *)t3d_graph_data(t->g, t->step.rgb) + 3 * n * at,
             *alpha = (t3d_real *)t3d_graph_data(t->g, t->step.alpha) + n * at,
             *camera = (t3d_real *)t3d_graph_data(t->g, t->step.cameras) + at * T3D_SPLAT_CAMERA;

    memcpy(camera, t->camera[b->view[i * b->views + from]], sizeof *t->camera);
    t3di_put_picture(rgb, alpha, rgba, n);
    if (b->depth)
        t3di_put_depth((t3d_real *)t3d_graph_data(t->g, t->step.losses.depth) + n * at,
                       (t3d_real *)t3d_graph_data(t->g, t->step.losses.counts) + n * at,
                       b->depth + n * (size_t)(i * b->views + from), rgba, n,
                       t->range[b->view[i * b->views + from]], 1);
    if (t->c->hidden > 0) {
        t3d_real *counts = (t3d_real *)t3d_graph_data(t->g, t->step.counts) + n * at;

        for (size_t k = 0; k < n; k++)
            counts[k] = alpha[k] > (t3d_real)OBJECT_ALPHA;
    }
}

/* own: how many of the compared views are inputs. All is a function of the seed and the place. */
static void put_sample(struct training *t, const struct t3d_batch *b, int i, int own)
{
    size_t n = (size_t)b->side * (size_t)b->side;
    uint64_t position = (uint64_t)b->step * (uint64_t)b->n + (uint64_t)i;
    struct t3d_rng r = t3d_rng_for(t->c->data.seed, "views", position);
    int first = (int)t3d_rng_below(&r, INPUTS);

    put_views(t, b->pixels + 4 * n * (size_t)(i * b->views), i);
    t3d_reconstructor_place(t->g, &t->step.m, &t->rays, i, b->view + i * b->views);
    if (t->c->hidden > 0)
        hide(t, i, &r);
    for (int k = 0; k < SEEN; k++)
        put_target(t, b, i, k < own ? (first + k) % INPUTS : INPUTS + k - own, k);
}

static void put_batch(struct training *t, const struct t3d_batch *b, int own)
{
#pragma omp parallel for num_threads(t->c->threads)
    for (int i = 0; i < b->n; i++)
        put_sample(t, b, i, own);
}

static int fill(void *ctx, int64_t micro, struct t3d_err *err)
{
    struct training *t = ctx;
    const struct t3d_batch *b;
    int r = t3d_loader_at(t->train, micro, &b, &t->stall_s, err);

    if (r == T3D_OK)
        put_batch(t, b, OWN);
    return r;
}

/* --- figures --------------------------------------------------------------------------------- */

static void describe(void *ctx, cJSON *line)
{
    struct training *t = ctx;
    double error = (double)*(t3d_real *)t3d_graph_data(t->g, t->step.picture);

    t3d_json_set_num(line, "psnr", -10 * log10(error));
    t3d_losses_describe(&t->step.losses, t->g, line);
    t3d_json_set_num(line, "loader_stall_s", t->stall_s);
    t->stall_s = 0;
}

static uint8_t byte_of(t3d_real x)
{
    return (uint8_t)lrint(255 * fmin(fmax((double)x, 0), 1));
}

/* Picture k of sample i: of all that were drawn. */
static int score_view(struct training *t, const struct t3d_batch *b, const t3d_real *drawn, int i,
                      int k, double *psnr, double *ssim, struct t3d_err *err)
{
    size_t n = (size_t)b->side * (size_t)b->side;

    drawn += 3 * n * (size_t)(i * SEEN + k);
    for (size_t p = 0; p < n; p++) {
        for (size_t j = 0; j < 3; j++)
            t->picture[4 * p + j] = byte_of(drawn[3 * p + j]);
        t->picture[4 * p + 3] = 255;
    }
    return t->c->score(psnr, ssim, t->picture,
                       b->pixels + 4 * n * (size_t)(i * b->views + INPUTS + k), b->side, err);
}

/* Every object of split val once, as far as there are groups, at most MAX_VALIDATION of them: the
 * same ones and the same views each time. */
static int validate(void *ctx, cJSON *line, struct t3d_err *err)
{
    struct training *t = ctx;
    int objects, done = 0, r = T3D_OK;

    if (!t->val)
        return T3D_OK;
    objects = (int)T3D_MIN(t3d_loader_groups(t->val), (size_t)MAX_VALIDATION);
    t->psnr = t->ssim = 0;
    t3d_loader_seek(t->val, 0);
    while (done < objects && r == T3D_OK) {
        const t3d_real *drawn = NULL;
        const struct t3d_batch *b;

        r = t3d_loader_next(t->val, &b, err);
        if (r == T3D_OK) {
            put_batch(t, b, 0);
            r = t3d_graph_forward(t->g, err);
            drawn = t3d_graph_data(t->g, t->step.drawn);
        }
        for (int i = 0; r == T3D_OK && i < b->n && done < objects; i++, done++)
            for (int k = 0; k < SEEN && r == T3D_OK; k++) {
                double psnr, ssim;

                r = score_view(t, b, drawn, i, k, &psnr, &ssim, err);
                t->psnr += psnr / (objects * SEEN);
                t->ssim += ssim / (objects * SEEN);
            }
    }
    t3d_json_set_num(line, "val_psnr", t->psnr);
    t3d_json_set_num(line, "val_ssim", t->ssim);
    t3d_json_set_num(line, "val_objects", objects);
    return r;
}

static void summarise(void *ctx, cJSON *line)
{
    const struct training *t = ctx;

    t3d_training_summary(line, t3d_reconstructor_params(&t->size, t->c->hidden > 0), 0, t->train,
                         t->c->threads);
    if (isfinite(t->psnr)) {
        t3d_json_set_num(line, "val_psnr", t->psnr);
        t3d_json_set_num(line, "val_ssim", t->ssim);
    }
}

/* --- the run --------------------------------------------------------------------------------- */

static int open_data(struct training *t, struct t3d_err *err)
{
    struct t3d_loader_config data = t->c->data;
    int r;

    data.resolution = (uint32_t)t->size.side;
    data.view_set = "ring16+4";
    data.views = INPUTS + SEEN - OWN;
    data.view = t3d_generator_view;
    data.fixed = INPUTS;
    data.need_depth = t->c->loss.depth > 0;
    data.turn = TURN;
    r = t3d_loader_open(&t->train, &data, err);
    if (r < 0 || !t->c->trainer.validate_every || !t->c->score)
        return r;
    data.split = "val";
    data.views = INPUTS + SEEN;
    data.turn = 0;
    data.seed = 0;
    data.neighbours = 0;
    data.need_depth = 0; /* the loss is not looked at */
    data.uid = NULL;
    data.n_uids = 0;
    r = t3d_loader_open(&t->val, &data, err);
    if (r == T3D_USAGE && err && strcmp(err->reason, "no-samples") == 0)
        r = T3D_OK; /* a small set may have none */
    return r;
}

/* The set's cameras and rays, and where in the four input views the network's pixels are. */
static int lay_out(struct training *t, struct t3d_err *err)
{
    int n = t3d_generator_gaussians(&t->size), side = t->size.side;
    struct t3d_view_set set;
    int r = t3d_view_set_load(&set, "ring16+4", &t->arena, err);

    if (r == T3D_OK)
        r = t3d_view_rays_new(&t->rays, &t->size, &set, err);
    if (r < 0)
        return r;
    t->camera = calloc(set.n, sizeof *t->camera);
    t->range = calloc(set.n, sizeof *t->range);
    t->pixel = calloc((size_t)n, sizeof *t->pixel);
    t->picture = calloc((size_t)side * (size_t)side, 4);
    if (!t->camera || !t->range || !t->pixel || !t->picture)
        return t3d_err_nomem(err, "the cameras");
    for (size_t i = 0; i < set.n; i++) {
        t3d_splat_camera(t->camera[i], &set.camera[i], side, side);
        t->range[i][0] = set.camera[i].near;
        t->range[i][1] = set.camera[i].far;
    }
    for (int i = 0; i < n; i++) {
        struct t3d_generator_pixel p = t3d_generator_pixel(&t->size, i);

        t->pixel[i] = (p.view * side + p.y) * side + p.x;
    }
    return T3D_OK;
}

static int build(struct training *t, struct t3d_err *err)
{
    struct t3d_plan plan = {.recompute = t->c->trainer.recompute};
    int r;

    t->g = t3d_device_graph(&t->c->trainer.device, t->c->threads);
    if (!t->g)
        return t3d_err_nomem(err, "the model");
    t->step = t3d_reconstructor_step_build(t->g, &t->size, t->batch, t->c->hidden > 0, &t->c->loss);
    plan.loss = t->step.loss;
    r = t3d_graph_build(t->g, &plan, err);
    if (r == T3D_OK)
        t3d_generator_init(t->g, t->c->data.seed);
    return r;
}

static int save(void *ctx, const char *dir, struct t3d_err *err)
{
    struct training *t = ctx;
    const char *model = t->c->hidden > 0 ? "nerf_mae" : "reconstructor";
    int r = t3d_make_dirs(dir, err);

    if (r == T3D_OK)
        r = t3d_model_write_json(dir, "config.json", t3d_reconstructor_json(&t->size, model), err);
    return r == T3D_OK ? t3d_model_write_weights(dir, t->g, t->c->type, NULL, 0, err) : r;
}

static int train(struct training *t, const char *settings, int64_t steps,
                 struct t3d_reconstructor_train_result *result, struct t3d_err *err)
{
    static const struct t3d_trainer_ops ops = {.fill = fill,
                                               .validate = validate,
                                               .score = "val_psnr",
                                               .keep = save,
                                               .describe = describe,
                                               .summarise = summarise};
    const struct t3d_trainer_stage stage = {settings, steps, t->batch,
                                            t->size.side != t->c->size.side};

    return t3d_trainer_run_stage(&t->c->trainer, &stage, &ops, t, t->g, t->step.loss,
                                 &result->trainer, err);
}

static void fini(struct training *t)
{
    t3d_graph_free(t->g);
    t3d_loader_close(t->train);
    t3d_loader_close(t->val);
    t3d_view_rays_free(&t->rays);
    t3d_arena_free(&t->arena);
    free(t->camera);
    free(t->range);
    free(t->pixel);
    free(t->picture);
}

/* Up to `steps` at a resolution; goes on where the last checkpoint is, of whichever stage.
 * settings: NULL = those of this one. */
static int run_stage(const struct t3d_reconstructor_train_config *c, int side, int64_t steps,
                     const char *settings, struct t3d_reconstructor_train_result *result,
                     struct t3d_err *err)
{
    struct training t = {.c = c, .size = c->size, .batch = c->data.batch, .psnr = NAN, .ssim = NAN};
    char *own = NULL;
    int r;

    t.size.side = side;
    r = open_data(&t, err);
    if (r == T3D_OK)
        r = lay_out(&t, err);
    if (r == T3D_OK)
        r = build(&t, err);
    if (r == T3D_OK && c->pretrained && !result->trainer.step)
        r = t3d_pretrained_begin(c->pretrained, c->trainer.dir, t.g, NULL, &result->pretrained,
                                 err);
    if (r == T3D_OK && !settings &&
        !(settings = own = t3d_training_settings(c->settings, t.train, NULL)))
        r = t3d_err_nomem(err, "the settings");
    if (r == T3D_OK)
        r = train(&t, settings, steps, result, err);
    if (t.train) {
        result->samples = t3d_loader_samples(t.train);
        result->groups = t3d_loader_groups(t.train);
        result->unreadable += t3d_loader_skipped(t.train, &result->why);
    }
    result->params = t3d_reconstructor_params(&t.size, c->hidden > 0);
    result->psnr = t.psnr;
    result->ssim = t.ssim;
    free(own);
    fini(&t);
    return r;
}

/* What decides the result is that of the last stage; what is wrong with it is said first. */
static int look_ahead(const struct t3d_reconstructor_train_config *c, char **settings,
                      struct t3d_err *err)
{
    struct training t = {.c = c, .size = c->size, .batch = c->data.batch};
    int r = open_data(&t, err);

    if (r == T3D_OK && !(*settings = t3d_training_settings(c->settings, t.train, NULL)))
        r = t3d_err_nomem(err, "the settings");
    fini(&t);
    return r;
}

int t3d_reconstructor_train(const struct t3d_reconstructor_train_config *c,
                            struct t3d_reconstructor_train_result *result, struct t3d_err *err)
{
    int64_t coarse = T3D_MIN(c->coarse_steps, c->trainer.steps);
    char *settings = NULL;
    int r = coarse ? look_ahead(c, &settings, err) : T3D_OK;

    memset(result, 0, sizeof *result);
    result->psnr = result->ssim = NAN;
    if (r == T3D_OK && coarse)
        r = run_stage(c, c->size.side / 2, coarse, settings, result, err);
    if (r == T3D_OK && !result->trainer.stop && coarse < c->trainer.steps)
        r = run_stage(c, c->size.side, c->trainer.steps, settings, result, err);
    free(settings);
    return r;
}
