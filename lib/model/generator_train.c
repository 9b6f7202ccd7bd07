/* SPDX-License-Identifier: Apache-2.0 */
#include "model/generator_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rng.h"
#include "draw/splat.h"
#include "geom/camera.h"
#include "model/conditioning.h"
#include "model/file.h"
#include "model/picture_impl.h"
#include "model/reconstruct.h"
#include "model/sample_sheet.h"
#include "model/training_text.h"
#include "model/vocabulary.h"
#include "num/ops.h"

enum {
    INPUTS = T3D_GENERATOR_VIEWS,
    OTHERS = 2,
    SEEN = T3D_GENERATOR_COMPARED,
    READ = INPUTS + OTHERS,
    TIMES = 4,
    MAX_VALIDATION = 64,
    SHEET_ROWS = 4
};

#define MAX_WEIGHT 10.0
#define DROPPED    0.1 /* share of texts */
/* logit t is normal around one of these. Pictures of flat colours can be read out of much noise, by
 * averaging over pixels; where only the text can tell is so early that the first alone hardly goes
 * there, and colours are then not tied to their parts. */
static const double time_mean[2] = {-0.4, -4};
static const double time_below[TIMES] = {0.02, 0.1, 0.5, 1}; /* of the log's psnr_by_time */

struct training {
    const struct t3d_generator_train_config *c;
    struct t3d_generator_config size;
    struct t3d_loader *train, *val;
    struct t3d_conditioning *text;
    struct t3d_condition *condition; /* (batch) */
    uint64_t cut;
    struct t3d_graph *g;
    struct t3d_generator_step step;
    struct t3d_arena arena;               /* of the view set */
    t3d_real (*camera)[T3D_SPLAT_CAMERA]; /* (views of the set) */
    double (*range)[2];                   /* (the same) of depth pictures */
    int32_t *pixel;                       /* (gaussians) place in the loader's pixels */
    int batch;
    double stall_s;
    char reconstructor_hash[T3D_SHA256_HEX];
};

/* --- inputs ---------------------------------------------------------------------------------- */

/* t x + (1 - t) e for the pixels of the input views, x in [-1, 1]. */
static void put_noisy(const struct training *t, const uint8_t *rgba, t3d_real time, t3d_real *out,
                      struct t3d_rng *r)
{
    for (int i = 0; i < t3d_generator_gaussians(&t->size); i++)
        for (int k = 0; k < 3; k++) {
            t3d_real x = 2 * t3di_over_white(rgba + 4 * (size_t)t->pixel[i], k) - 1;

            out[3 * i + k] = time * x + (1 - time) * (t3d_real)t3d_rng_normal(r);
        }
}

/* View `from` of the sample as the one that is compared at place `to`. */
static void put_target(struct training *t, const struct t3d_batch *b, int i, int from, int to)
{
    double weight = (double)((t3d_real *)t3d_graph_data(t->g, t->step.weight))[i];
    size_t n = (size_t)b->side * (size_t)b->side, at = (size_t)i * SEEN + (size_t)to;
    const uint8_t *rgba = b->pixels + 4 * n * (size_t)(i * READ + from);
    t3d_real *rgb = (t3d_real *)t3d_graph_data(t->g, t->step.rgb) + 3 * n * at,
             *alpha = (t3d_real *)t3d_graph_data(t->g, t->step.alpha) + n * at,
             *camera = (t3d_real *)t3d_graph_data(t->g, t->step.cameras) + at * T3D_SPLAT_CAMERA;

    memcpy(camera, t->camera[b->view[i * READ + from]], sizeof *t->camera);
    t3di_put_picture(rgb, alpha, rgba, n);
    if (b->depth)
        t3di_put_depth((t3d_real *)t3d_graph_data(t->g, t->step.losses.depth) + n * at,
                       (t3d_real *)t3d_graph_data(t->g, t->step.losses.counts) + n * at,
                       b->depth + n * (size_t)(i * READ + from), rgba, n,
                       t->range[b->view[i * READ + from]], weight);
}

/* The clean views themselves, for the head image. */
static void put_clean(struct training *t, const uint8_t *rgba, int i)
{
    int n = t3d_generator_gaussians(&t->size);
    t3d_real *out = (t3d_real *)t3d_graph_data(t->g, t->step.clean) + 3 * (size_t)n * (size_t)i;

    for (int k = 0; k < n; k++)
        for (int j = 0; j < 3; j++)
            out[3 * k + j] = 2 * t3di_over_white(rgba + 4 * (size_t)t->pixel[k], j) - 1;
}

/* Everything of a sample but its text. Its numbers are a function of the seed and its position. */
static void put_sample(struct training *t, const struct t3d_batch *b, int i)
{
    size_t n = (size_t)b->side * (size_t)b->side;
    uint64_t position = (uint64_t)b->step * (uint64_t)b->n + (uint64_t)i;
    struct t3d_rng r = t3d_rng_for(t->c->data.seed, "noise", position);
    double mean = time_mean[t3d_rng_below(&r, T3D_COUNT(time_mean))];
    t3d_real time = (t3d_real)(1 / (1 + exp(-(mean + t3d_rng_normal(&r)))));
    t3d_real *noisy = t3d_graph_data(t->g, t->step.m.noisy);
    int first = (int)t3d_rng_below(&r, INPUTS);

    ((t3d_real *)t3d_graph_data(t->g, t->step.m.time))[i] = time;
    ((t3d_real *)t3d_graph_data(t->g, t->step.weight))[i] =
        (t3d_real)fmin(1 / ((1 - (double)time) * (1 - (double)time)), MAX_WEIGHT);
    put_noisy(t, b->pixels + 4 * n * (size_t)(i * b->views), time,
              noisy + (size_t)i * 3 * (size_t)t3d_generator_gaussians(&t->size), &r);
    if (t->size.head == T3D_HEAD_IMAGE) {
        put_clean(t, b->pixels + 4 * n * (size_t)(i * b->views), i);
        return;
    }
    for (int k = 0; k < OTHERS; k++) {
        put_target(t, b, i, (first + k * (INPUTS / 2)) % INPUTS, k);
        put_target(t, b, i, INPUTS + k, SEEN - OTHERS + k);
    }
}

/* share: of the texts that are dropped. */
static int put_texts(struct training *t, const struct t3d_batch *b, double share,
                     struct t3d_err *err)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t position = (uint64_t)b->step * (uint64_t)b->n + (uint64_t)i;
        struct t3d_rng r = t3d_rng_for(t->c->data.seed, "text", position);
        int dropped = t3d_rng_uniform(&r) < share;

        t->condition[i] = (struct t3d_condition){
            .text = dropped ? NULL : b->caption[i].text, .size = b->caption[i].size, .row = i};
    }
    return t3d_conditioning_put(t->text, t->g, &t->step.m, &t->size, t->condition, (size_t)b->n,
                                err);
}

/* dropped: share of texts. */
static int put_batch(struct training *t, const struct t3d_batch *b, double dropped,
                     struct t3d_err *err)
{
#pragma omp parallel for num_threads(t->c->threads)
    for (int i = 0; i < b->n; i++)
        put_sample(t, b, i);
    return put_texts(t, b, dropped, err);
}

static int fill(void *ctx, int64_t micro, struct t3d_err *err)
{
    struct training *t = ctx;
    const struct t3d_batch *b;
    int r = t3d_loader_at(t->train, micro, &b, &t->stall_s, err);

    return r == T3D_OK ? put_batch(t, b, DROPPED, err) : r;
}

/* --- figures --------------------------------------------------------------------------------- */

struct errors { /* mean squares of samples' pictures, by time */
    double sum[TIMES];
    int n[TIMES];
};

/* Of the first n samples of the batch that was run last. */
static void add_errors(struct training *t, int n, struct errors *e)
{
    int image = t->size.head == T3D_HEAD_IMAGE;
    struct t3d_shape shape = t3d_graph_shape(t->g, t->step.made);
    const t3d_real *made = t3d_graph_data(t->g, t->step.made),
                   *wanted = t3d_graph_data(t->g, image ? t->step.clean : t->step.rgb),
                   *time = t3d_graph_data(t->g, t->step.m.time);
    int64_t row = t3d_shape_count(&shape) / t->batch;

    for (int i = 0; i < n; i++) {
        double sum = 0;
        int bin = 0;

        for (int64_t k = i * row; k < (i + 1) * row; k++)
            sum += (double)(made[k] - wanted[k]) * (double)(made[k] - wanted[k]);
        while (bin < TIMES - 1 && (double)time[i] >= time_below[bin])
            bin++;
        e->sum[bin] += sum / (double)row / (image ? 4 : 1); /* of [-1, 1] a quarter */
        e->n[bin]++;
    }
}

/* key: the PSNR of all; key_by_time: null where no sample was. */
static void put_psnr(cJSON *line, const char *key, const struct errors *e)
{
    cJSON *list = cJSON_CreateArray();
    char by_time[40];
    double sum = 0;
    int n = 0;

    for (int i = 0; i < TIMES; i++) {
        cJSON_AddItemToArray(list, e->n[i] ? cJSON_CreateNumber(-10 * log10(e->sum[i] / e->n[i]))
                                           : cJSON_CreateNull());
        sum += e->sum[i];
        n += e->n[i];
    }
    snprintf(by_time, sizeof by_time, "%s_by_time", key);
    t3d_json_set_num(line, key, -10 * log10(sum / n));
    (void)t3d_json_set(line, by_time, list);
}

static void describe(void *ctx, cJSON *line)
{
    struct training *t = ctx;
    struct errors e = {0};

    add_errors(t, t->batch, &e);
    put_psnr(line, "psnr", &e);
    t3d_losses_describe(&t->step.losses, t->g, line);
    t3d_json_set_num(line, "loader_stall_s", t->stall_s);
    t->stall_s = 0;
}

static int draw_sheet(struct training *t, const struct t3d_batch *b, int n, cJSON *line,
                      struct t3d_err *err)
{
    const struct t3d_sampler_options o = {.threads = t->c->threads, .batch = n};
    size_t view = 4 * (size_t)b->side * (size_t)b->side;
    struct t3d_sample_row row[SHEET_ROWS];
    struct t3d_arena a = {0};
    struct t3d_sampler *s = NULL;
    char name[64], *path;
    int r = t3d_sampler_of(&s, t->text, &t->size, t->g, &o, err);

    snprintf(name, sizeof name, "samples/step-%08.0f.png", t3d_json_num(line, "step", 0));
    for (int i = 0; i < n && r == T3D_OK; i++) {
        char *caption = t3d_sprintf(&a, "%.*s", (int)b->caption[i].size, b->caption[i].text);

        row[i] = (struct t3d_sample_row){{caption, (uint64_t)i},
                                         b->pixels + view * (size_t)(i * b->views)};
        r = caption ? T3D_OK : t3d_err_nomem(err, "a caption");
    }
    if (r == T3D_OK) {
        path = t3d_path_join(&a, t->c->trainer.dir, name);
        r = path ? t3d_sample_sheet(path, s, row, n, err) : t3d_err_nomem(err, name);
    }
    if (r == T3D_OK)
        t3d_json_set_str(line, "sheet", name);
    t3d_sampler_close(s);
    t3d_arena_free(&a);
    return r;
}

/* The same objects, views, times and noise each time; no caption is dropped. */
static int validate(void *ctx, cJSON *line, struct t3d_err *err)
{
    struct training *t = ctx;
    struct errors e = {0};
    int objects, done = 0, r = T3D_OK;

    if (!t->val)
        return T3D_OK;
    objects = (int)T3D_MIN(t3d_loader_samples(t->val), (size_t)MAX_VALIDATION);
    t3d_loader_seek(t->val, 0);
    while (done < objects && r == T3D_OK) {
        const struct t3d_batch *b;
        int n = T3D_MIN(t->batch, objects - done);

        r = t3d_loader_next(t->val, &b, err);
        if (r == T3D_OK)
            r = put_batch(t, b, 0, err);
        if (r == T3D_OK)
            r = t3d_graph_forward(t->g, err);
        if (r == T3D_OK)
            add_errors(t, n, &e);
        if (r == T3D_OK && done == 0)
            r = draw_sheet(t, b, T3D_MIN(n, (int)SHEET_ROWS), line, err);
        done += n;
    }
    put_psnr(line, "val_psnr", &e);
    t3d_json_set_num(line, "val_objects", objects);
    return r;
}

static void summarise(void *ctx, cJSON *line)
{
    const struct training *t = ctx;

    t3d_training_summary(line, t3d_generator_params(&t->size), t->size.vocab, t->train,
                         t->c->threads);
}

/* --- the run --------------------------------------------------------------------------------- */

static int open_data(struct training *t, struct t3d_err *err)
{
    struct t3d_loader_config data = t->c->data;
    int r;

    data.resolution = (uint32_t)t->size.side;
    data.view_set = "ring16+4";
    data.views = t->size.head == T3D_HEAD_IMAGE ? INPUTS : READ;
    data.view = t3d_generator_view;
    data.fixed = INPUTS;
    data.need_depth = t->c->loss.depth > 0;
    data.need_captions = 1;
    r = t3d_loader_open(&t->train, &data, err);
    if (r < 0 || !t->c->trainer.validate_every)
        return r;
    data.split = "val";
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

static int open_vocabulary(struct training *t, struct t3d_err *err)
{
    const char *from = t->c->pretrained, *dir = t->c->trainer.dir;
    struct t3d_clip_tokenizer *tokenizer;
    int r = from ? t3d_pretrained_vocabulary(from, dir, err) : T3D_OK;

    if (r == T3D_OK)
        r = t3d_vocabulary_open(&tokenizer, dir, t->train, t->size.vocab, err);
    if (r < 0)
        return r;
    t->size.vocab = (int)t3d_clip_tokenizer_size(tokenizer);
    return t3d_conditioning_learned(&t->text, tokenizer, err);
}

static int open_features(struct training *t, struct t3d_err *err)
{
    int r = t3d_conditioning_stored(&t->text, &t->size, t->c->data.workspace, err);

    t->size.vocab = 0;
    if (r == T3D_OK)
        r = t3d_conditioning_covers(t->text, t->train, &t->cut, err);
    return r == T3D_OK && t->val ? t3d_conditioning_covers(t->text, t->val, &t->cut, err) : r;
}

static int open_text(struct training *t, struct t3d_err *err)
{
    t->condition = calloc((size_t)t->batch, sizeof *t->condition);
    if (!t->condition)
        return t3d_err_nomem(err, "a batch of texts");
    return t->size.n_encoders ? open_features(t, err) : open_vocabulary(t, err);
}

/* The one that is given, or was given before; that it fits is known before the first step. */
static int check_reconstructor(struct training *t, struct t3d_err *err)
{
    char *before = t3d_path_join(&t->arena, t->c->trainer.dir, "reconstructor");
    const char *dir = t->c->reconstructor;
    struct t3d_reconstruct *s;
    int r;

    if (!before)
        return t3d_err_nomem(err, "a path");
    if (!dir && access(before, F_OK) == 0)
        dir = before;
    if (!dir)
        return T3D_OK;
    r = t3d_reconstruct_open(&s, dir, 1, &(struct t3d_device){T3D_CPU, 0}, 1, err);
    if (r < 0)
        return r;
    if (t3d_reconstruct_config(s)->side != t->size.side)
        r = t3d_err_set(err, T3D_USAGE, "usage",
                        "the reconstructor '%s' takes views of %d pixels, the generator makes some "
                        "of %d",
                        dir, t3d_reconstruct_config(s)->side, t->size.side);
    memcpy(t->reconstructor_hash, t3d_reconstruct_hash(s), sizeof t->reconstructor_hash);
    t3d_reconstruct_close(s);
    return r;
}

/* The set's cameras, and where in the four input views the network's pixels are. */
static int lay_out(struct training *t, struct t3d_err *err)
{
    int n = t3d_generator_gaussians(&t->size), side = t->size.side;
    struct t3d_view_set set;
    int r = t3d_view_set_load(&set, "ring16+4", &t->arena, err);

    if (r < 0)
        return r;
    t->camera = calloc(set.n, sizeof *t->camera);
    t->range = calloc(set.n, sizeof *t->range);
    t->pixel = calloc((size_t)n, sizeof *t->pixel);
    if (!t->camera || !t->range || !t->pixel)
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
    t->step = t3d_generator_step_build(t->g, &t->size, t->batch, &t->c->loss);
    plan.loss = t->step.loss;
    r = t3d_graph_build(t->g, &plan, err);
    if (r == T3D_OK)
        r = t3d_generator_prepare(t->g, &t->step.m, &t->size, t->batch, err);
    if (r == T3D_OK)
        t3d_generator_init(t->g, t->c->data.seed);
    return r;
}

/* The reconstructor: the one given, or for another folder the run's. */
static int copy_parts(struct training *t, const char *dir, struct t3d_err *err)
{
    const char *run = t->c->trainer.dir, *from = t->c->reconstructor;
    int other = strcmp(dir, run) != 0, r = T3D_OK;

    if (other)
        r = t3d_make_dirs(dir, err);
    if (r == T3D_OK && other && !t->size.n_encoders)
        r = t3d_vocabulary_copy(run, dir, err);
    if (r == T3D_OK && !from && other && *t->reconstructor_hash &&
        !(from = t3d_path_join(&t->arena, run, "reconstructor")))
        r = t3d_err_nomem(err, dir);
    return r == T3D_OK && from ? t3d_reconstruct_copy(from, dir, err) : r;
}

static int save(void *ctx, const char *dir, struct t3d_err *err)
{
    struct training *t = ctx;
    int r = copy_parts(t, dir, err);

    if (r == T3D_OK)
        r = t3d_model_write_json(
            dir, "config.json",
            t3d_generator_json(&t->size, t3d_conditioning_hash(t->text),
                               *t->reconstructor_hash ? t->reconstructor_hash : NULL),
            err);
    return r == T3D_OK ? t3d_model_write_weights(dir, t->g, t->c->type, NULL, 0, err) : r;
}

static int begin(struct training *t, struct t3d_generator_train_result *result, struct t3d_err *err)
{
    if (!t->c->pretrained)
        return T3D_OK;
    return t3d_pretrained_begin(t->c->pretrained, t->c->trainer.dir, t->g,
                                t3d_conditioning_hash(t->text), &result->pretrained, err);
}

static int train(struct training *t, const char *settings, int64_t steps,
                 struct t3d_generator_train_result *result, struct t3d_err *err)
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

static char *settings_of(const struct training *t)
{
    return t3d_training_settings(t->c->settings, t->train, t3d_conditioning_hash(t->text));
}

static void fini(struct training *t)
{
    t3d_graph_free(t->g);
    t3d_conditioning_free(t->text);
    free(t->condition);
    t3d_loader_close(t->train);
    t3d_loader_close(t->val);
    t3d_arena_free(&t->arena);
    free(t->camera);
    free(t->range);
    free(t->pixel);
}

/* Up to `steps` at a resolution; goes on where the last checkpoint is, of whichever stage.
 * settings: NULL = those of this one. */
static int run_stage(const struct t3d_generator_train_config *c, int side, int64_t steps,
                     const char *settings, struct t3d_generator_train_result *result,
                     struct t3d_err *err)
{
    struct training t = {.c = c, .size = c->size, .batch = c->data.batch};
    char *own = NULL;
    int r;

    t.size.side = side;
    r = side == c->size.side ? check_reconstructor(&t, err) : T3D_OK;
    if (r == T3D_OK)
        r = open_data(&t, err);
    if (r == T3D_OK)
        r = open_text(&t, err);
    if (r == T3D_OK)
        r = lay_out(&t, err);
    if (r == T3D_OK)
        r = build(&t, err);
    if (r == T3D_OK && !result->trainer.step)
        r = begin(&t, result, err);
    if (r == T3D_OK && !settings && !(settings = own = settings_of(&t)))
        r = t3d_err_nomem(err, "the settings");
    if (r == T3D_OK)
        r = train(&t, settings, steps, result, err);
    if (t.train) {
        result->samples = t3d_loader_samples(t.train);
        result->groups = t3d_loader_groups(t.train);
        result->unreadable += t3d_loader_skipped(t.train, &result->why);
    }
    result->cut = t.cut;
    result->params = t3d_generator_params(&t.size);
    free(own);
    fini(&t);
    return r;
}

/* What decides the result is that of the last stage; what is wrong with it is said first. */
static int look_ahead(const struct t3d_generator_train_config *c, char **settings,
                      struct t3d_err *err)
{
    struct training t = {.c = c, .size = c->size, .batch = c->data.batch};
    int r = check_reconstructor(&t, err);

    if (r == T3D_OK)
        r = open_data(&t, err);
    if (r == T3D_OK)
        r = open_text(&t, err);
    if (r == T3D_OK && !(*settings = settings_of(&t)))
        r = t3d_err_nomem(err, "the settings");
    fini(&t);
    return r;
}

int t3d_generator_train(const struct t3d_generator_train_config *c,
                        struct t3d_generator_train_result *result, struct t3d_err *err)
{
    int64_t coarse = T3D_MIN(c->coarse_steps, c->trainer.steps);
    char *settings = NULL;
    int r = coarse ? look_ahead(c, &settings, err) : T3D_OK;

    memset(result, 0, sizeof *result);
    if (r == T3D_OK && coarse)
        r = run_stage(c, c->size.side / 2, coarse, settings, result, err);
    if (r == T3D_OK && !result->trainer.stop && coarse < c->trainer.steps)
        r = run_stage(c, c->size.side, c->trainer.steps, settings, result, err);
    free(settings);
    return r;
}
