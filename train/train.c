/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-train: models from rendered views and captions. */
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/openmp.h"
#include "base/tool.h"
#include "metric/picture.h"
#include "model/clip_train.h"
#include "model/generator_train.h"
#include "model/reconstructor_train.h"
#include "model/run_dir.h"
#include "num/report.h"
#include "store/model_find.h"

/* Raise when the same settings give other weights: a run begun before is then not gone on with. */
enum { FORMAT_VERSION = 1, LOG_EVERY = 1, VOCABULARY = 1024, COARSE_STEPS = 800, FINE_STEPS = 400 };

#define MAX_STEPS 1000000000
#define HIDDEN    0.75 /* of the patches, in nerf_mae */

struct conf {
    struct t3d_common common;
    const char *model, *size, *head, *reconstructor, *pretrained, *pretrained_hash, *run, *view_set,
        *light, *weights, *device;
    struct t3d_device on;
    uint64_t steps, schedule_steps, batch, warmup, accumulate, checkpoint_every, validate_every,
        keep_last, neighbours;
    double learning_rate, max_grad_norm, weight_decay, ema_decay, backgrounds;
    uint64_t coarse_steps, fine_steps; /* 0 = one stage */
    int plan, multi_stage, keep_best;
};

static const struct t3d_opt opts[] = {
    {0, "model", T3D_OPT_STRING, offsetof(struct conf, model), "NAME", NULL,
     "turbo3d reconstructor nerf_mae clip",
     "what to train; turbo3d: text to Gaussians, for generate; reconstructor: four views to "
     "Gaussians; nerf_mae: the same from a quarter of their patches, to begin others from; clip: "
     "pictures and captions to one space, for embed"},
    {0, "size", T3D_OPT_STRING, offsetof(struct conf, size), "NAME", "nano",
     "nano small base large", "size of the model; clip: nano"},
    {0, "head", T3D_OPT_STRING, offsetof(struct conf, head), "NAME", NULL, "gauss image",
     "of turbo3d; gauss: text to Gaussians; image: text to four views, of which a reconstructor "
     "makes the object; else by size: nano and small gauss, base and large image"},
    {0, "reconstructor", T3D_OPT_STRING, offsetof(struct conf, reconstructor), "NAME-or-DIR", NULL,
     NULL,
     "for --head image: the one that goes with the generator, copied to its folder; may also "
     "be given to a run that is done"},
    {0, "pretrained", T3D_OPT_STRING, offsetof(struct conf, pretrained), "FILE-or-DIR", NULL, NULL,
     "begin with the weights of another model, those of the same name and shape; pretrained.json "
     "in "
     "the run's folder says which"},
    {0, "run", T3D_OPT_STRING, offsetof(struct conf, run), "NAME", NULL, NULL,
     "folder below runs/; else <model>-<size>"},
    {0, "steps", T3D_OPT_U64, offsetof(struct conf, steps), "N", NULL, NULL,
     "stop when N steps are done; else those of the schedule"},
    {0, "schedule-steps", T3D_OPT_U64, offsetof(struct conf, schedule_steps), "N", "1200", NULL,
     "steps after which the learning rate is 0"},
    {0, "multi-stage", T3D_OPT_BOOL, offsetof(struct conf, multi_stage), NULL, NULL, NULL,
     "first at half the resolution, then at the whole (nano: 32, then 64 pixels); not for clip"},
    {0, "coarse-steps", T3D_OPT_U64, offsetof(struct conf, coarse_steps), "N", NULL, NULL,
     "of --multi-stage, at half the resolution; else 800"},
    {0, "fine-steps", T3D_OPT_U64, offsetof(struct conf, fine_steps), "N", NULL, NULL,
     "the others; else 400. The schedule is as long as both"},
    {0, "batch-size", T3D_OPT_U64, offsetof(struct conf, batch), "N", NULL, NULL,
     "samples a micro-batch; else 32, for clip 256"},
    {0, "gradient-accumulation-steps", T3D_OPT_U64, offsetof(struct conf, accumulate), "N", "1",
     NULL, "micro-batches a step"},
    {0, "learning-rate", T3D_OPT_DOUBLE, offsetof(struct conf, learning_rate), "RATE", NULL, NULL,
     "highest learning rate; else 0.001, for clip 0.0015"},
    {0, "warmup-steps", T3D_OPT_U64, offsetof(struct conf, warmup), "N", "50", NULL,
     "steps in which the rate rises"},
    {0, "max-grad-norm", T3D_OPT_DOUBLE, offsetof(struct conf, max_grad_norm), "X", "1", NULL,
     "longer gradients are scaled down to it"},
    {0, "weight-decay", T3D_OPT_DOUBLE, offsetof(struct conf, weight_decay), "X", NULL, NULL,
     "AdamW's, of matrices; else 0, for clip 0.1"},
    {0, "ema-decay", T3D_OPT_DOUBLE, offsetof(struct conf, ema_decay), "X", "0.995", NULL,
     "of the averaged weights, which are what is kept; 0 = none"},
    {0, "backgrounds", T3D_OPT_DOUBLE, offsetof(struct conf, backgrounds), "SHARE", "0", NULL,
     "for clip: pictures that stand on a random colour, not on white"},
    {0, "neighbours", T3D_OPT_U64, offsetof(struct conf, neighbours), "N", NULL, NULL,
     "so many scenes with similar captions stand together in a batch, 0 = any; else 0, for clip 4"},
    {0, "view-set", T3D_OPT_STRING, offsetof(struct conf, view_set), "NAME", "ring16+4", NULL,
     "rendered views to train on; turbo3d has ring16+4"},
    {0, "light", T3D_OPT_STRING, offsetof(struct conf, light), "NAME", "studio", NULL,
     "their light"},
    {0, "checkpoint-every", T3D_OPT_U64, offsetof(struct conf, checkpoint_every), "N", "250", NULL,
     "steps; one is written at the end anyway"},
    {0, "keep-last", T3D_OPT_U64, offsetof(struct conf, keep_last), "N", "2", NULL,
     "checkpoints kept; 0 = all"},
    {0, "keep-best", T3D_OPT_BOOL, offsetof(struct conf, keep_best), NULL, "no", NULL,
     "also keep the model of the best validation, in best/ below the run"},
    {0, "validate-every", T3D_OPT_U64, offsetof(struct conf, validate_every), "N", "250", NULL,
     "steps between validations on split val; 0 = none"},
    {0, "weights", T3D_OPT_STRING, offsetof(struct conf, weights), "TYPE", "f32", "f32 f16",
     "numbers of model.safetensors"},
    {0, "device", T3D_OPT_STRING, offsetof(struct conf, device), "NAME", "cpu", NULL,
     "what computes: cpu, cuda:0; a run may go on elsewhere, with other last bits"},
    {0, "plan", T3D_OPT_BOOL, offsetof(struct conf, plan), NULL, NULL, NULL,
     "print parameters, memory, operations and the largest batch, and train nothing"},
    {0}};

/* --- settings -------------------------------------------------------------------------------- */

/* What decides the weights; a run keeps those it was begun with. */
static const struct {
    const char *option;
    size_t offset;
    enum t3d_opt_type type;
} settings[] = {{"schedule-steps", offsetof(struct conf, schedule_steps), T3D_OPT_U64},
                {"batch-size", offsetof(struct conf, batch), T3D_OPT_U64},
                {"gradient-accumulation-steps", offsetof(struct conf, accumulate), T3D_OPT_U64},
                {"learning-rate", offsetof(struct conf, learning_rate), T3D_OPT_DOUBLE},
                {"warmup-steps", offsetof(struct conf, warmup), T3D_OPT_U64},
                {"max-grad-norm", offsetof(struct conf, max_grad_norm), T3D_OPT_DOUBLE},
                {"weight-decay", offsetof(struct conf, weight_decay), T3D_OPT_DOUBLE},
                {"ema-decay", offsetof(struct conf, ema_decay), T3D_OPT_DOUBLE},
                {"backgrounds", offsetof(struct conf, backgrounds), T3D_OPT_DOUBLE},
                {"neighbours", offsetof(struct conf, neighbours), T3D_OPT_U64},
                {"seed", offsetof(struct conf, common.seed), T3D_OPT_U64},
                {"model", offsetof(struct conf, model), T3D_OPT_STRING},
                {"size", offsetof(struct conf, size), T3D_OPT_STRING},
                {"head", offsetof(struct conf, head), T3D_OPT_STRING},
                {"coarse-steps", offsetof(struct conf, coarse_steps), T3D_OPT_U64},
                {"fine-steps", offsetof(struct conf, fine_steps), T3D_OPT_U64},
                {"pretrained", offsetof(struct conf, pretrained_hash), T3D_OPT_STRING},
                {"view-set", offsetof(struct conf, view_set), T3D_OPT_STRING},
                {"light", offsetof(struct conf, light), T3D_OPT_STRING}};

static cJSON *settings_json(const struct conf *c)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_num(o, "version", FORMAT_VERSION);
    for (size_t i = 0; i < T3D_COUNT(settings); i++) {
        const char *p = (const char *)c + settings[i].offset;
        if (settings[i].type == T3D_OPT_STRING && *(const char *const *)p)
            t3d_json_set_str(o, settings[i].option, *(const char *const *)p);
        else if (settings[i].type != T3D_OPT_STRING)
            t3d_json_set_num(o, settings[i].option,
                             settings[i].type == T3D_OPT_DOUBLE ? *(const double *)p
                                                                : (double)*(const uint64_t *)p);
    }
    return o;
}

static int differs(const struct conf *c, const cJSON *stored, size_t i)
{
    cJSON *now = settings_json(c);
    int same = cJSON_Compare(cJSON_GetObjectItem(now, settings[i].option),
                             cJSON_GetObjectItem(stored, settings[i].option), 1);

    cJSON_Delete(now);
    return !same;
}

/* Options that are not given are those of the run; given ones must agree with it. */
static int take_settings(struct conf *c, const cJSON *stored, struct t3d_err *err)
{
    if (t3d_json_num(stored, "version", 0) != FORMAT_VERSION)
        return t3d_err_set(err, T3D_USAGE, "other-version",
                           "the run was begun by another version of t3d: give --redo, or another "
                           "--run");
    for (size_t i = 0; i < T3D_COUNT(settings); i++) {
        char *p = (char *)c + settings[i].offset;
        const char *option = settings[i].option;

        if (t3d_opt_given(&c->common, option)) {
            if (differs(c, stored, i))
                return t3d_err_set(err, T3D_USAGE, "other-settings",
                                   "the run was begun with another --%s: leave it out to go on, "
                                   "give --redo to begin anew, or another --run",
                                   option);
        } else if (settings[i].type == T3D_OPT_STRING) {
            *(const char **)p = t3d_json_str(stored, option, *(const char **)p);
        } else if (settings[i].type == T3D_OPT_DOUBLE) {
            *(double *)p = t3d_json_num(stored, option, *(double *)p);
        } else {
            *(uint64_t *)p = (uint64_t)t3d_json_num(stored, option, (double)*(uint64_t *)p);
        }
    }
    return T3D_OK;
}

static int is_clip(const struct conf *c)
{
    return c->model && strcmp(c->model, "clip") == 0;
}

static int is_nerf_mae(const struct conf *c)
{
    return c->model && strcmp(c->model, "nerf_mae") == 0;
}

/* A model of views alone, without text. */
static int is_of_views(const struct conf *c)
{
    return c->model && (strcmp(c->model, "reconstructor") == 0 || is_nerf_mae(c));
}

static int is_generator(const struct conf *c)
{
    return c->model && strcmp(c->model, "turbo3d") == 0;
}

/* Nano is as it is the coarse stage; the others are the fine one. */
static int side_of(const struct conf *c, int side)
{
    return c->coarse_steps && strcmp(c->size, "nano") == 0 ? 2 * side : side;
}

static struct t3d_generator_config reconstructor_of(const struct conf *c)
{
    struct t3d_generator_config g = *t3d_reconstructor_size(c->size);

    g.side = side_of(c, g.side);
    return g;
}

static struct t3d_generator_config generator_of(const struct conf *c)
{
    struct t3d_generator_config g = *t3d_generator_size(c->size);

    g.vocab = VOCABULARY;
    g.side = side_of(c, g.side);
    if (c->head)
        g.head = (enum t3d_generator_head)t3d_generator_head(c->head);
    return g;
}

/* Defaults that differ by model. */
static void presets(struct conf *c)
{
    if (!t3d_opt_given(&c->common, "batch-size"))
        c->batch = is_clip(c) ? 256 : 32;
    if (!t3d_opt_given(&c->common, "learning-rate"))
        c->learning_rate = is_clip(c) ? 0.0015 : 0.001;
    if (!t3d_opt_given(&c->common, "neighbours"))
        c->neighbours = is_clip(c) ? 4 : 0;
    if (c->multi_stage && !t3d_opt_given(&c->common, "coarse-steps"))
        c->coarse_steps = COARSE_STEPS;
    if (c->multi_stage && !t3d_opt_given(&c->common, "fine-steps"))
        c->fine_steps = FINE_STEPS;
    if (c->multi_stage && !t3d_opt_given(&c->common, "schedule-steps"))
        c->schedule_steps = c->coarse_steps + c->fine_steps;
    if (!t3d_opt_given(&c->common, "head") && is_generator(c))
        c->head = t3d_generator_head_name[t3d_generator_size(c->size)->head];
    if (!t3d_opt_given(&c->common, "weight-decay"))
        c->weight_decay = is_clip(c) ? 0.1 : is_of_views(c) ? 0.05 : 0;
}

static int check(const struct conf *c, struct t3d_err *err)
{
    if (c->common.shard_count > 1)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "a run is one process over the whole set: run it without --shard");
    if (c->common.rejects)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "no object is rejected in training: leave out --rejects; samples that "
                           "cannot be read are passed over and counted");
    if (!c->model)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "say what to train: --model turbo3d, reconstructor, nerf_mae or clip");
    if (is_clip(c) && !t3d_clip_size(c->size))
        return t3d_err_set(err, T3D_USAGE, "usage", "--model clip has --size nano, not '%s'",
                           c->size);
    if (!is_clip(c) && (strcmp(c->view_set, "ring16+4") != 0 || c->backgrounds > 0))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--model %s trains on views of ring16+4 over white: leave out "
                           "--view-set %s and --backgrounds %g",
                           c->model, c->view_set, c->backgrounds);
    if (!is_generator(c) && c->head)
        return t3d_err_set(err, T3D_USAGE, "usage", "--head %s is for --model turbo3d", c->head);
    if (c->reconstructor && (!c->head || strcmp(c->head, "image") != 0))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--reconstructor is for --model turbo3d --head image: the head gauss "
                           "needs none");
    if (c->coarse_steps > MAX_STEPS || c->fine_steps > MAX_STEPS ||
        !c->coarse_steps != !c->fine_steps || (c->multi_stage && !c->coarse_steps) ||
        (c->coarse_steps && (is_clip(c) || c->schedule_steps != c->coarse_steps + c->fine_steps)))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--multi-stage, with --coarse-steps and --fine-steps, is for a run of "
                           "turbo3d, reconstructor or nerf_mae that is begun so; leave out "
                           "--schedule-steps, which is the sum of both");
    if (is_clip(c) && c->pretrained)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--pretrained is for --model turbo3d, reconstructor and nerf_mae");
    if (c->batch < 2 || c->batch > 65536)
        return t3d_err_set(err, T3D_USAGE, "usage", "--batch-size %llu is not within 2 and 65536",
                           (unsigned long long)c->batch);
    if (c->accumulate < 1 || c->accumulate > 65536)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--gradient-accumulation-steps %llu is not within 1 and 65536",
                           (unsigned long long)c->accumulate);
    if (!(c->learning_rate > 0) || c->max_grad_norm < 0 || c->weight_decay < 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--learning-rate must be above 0, --max-grad-norm and --weight-decay "
                           "at least 0");
    if (c->ema_decay < 0 || c->ema_decay >= 1 || c->backgrounds < 0 || c->backgrounds > 1)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--ema-decay is from 0 up to below 1, --backgrounds from 0 to 1");
    if (t3d_opt_given(&c->common, "steps") && !c->steps)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--steps 0 trains nothing: --plan prints what a run would need");
    if (c->schedule_steps < 1 || c->schedule_steps > MAX_STEPS || c->steps > MAX_STEPS)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--schedule-steps and --steps are within 1 and 1,000,000,000");
    return T3D_OK;
}

/* --- the plan -------------------------------------------------------------------------------- */

struct planning {
    const struct conf *conf;
    int threads;
};

static struct t3d_ref build(struct t3d_graph *g, const struct conf *c, int batch)
{
    const struct t3d_clip_config *clip = t3d_clip_size(c->size);
    struct t3d_generator_config generator, reconstructor;

    if (is_clip(c))
        return t3d_clip_build(g, clip, batch, clip->context).loss;
    reconstructor = reconstructor_of(c);
    if (is_of_views(c))
        return t3d_reconstructor_step_build(g, &reconstructor, batch, is_nerf_mae(c)).loss;
    generator = generator_of(c);
    return t3d_generator_step_build(g, &generator, batch).loss;
}

static struct t3d_graph *plan_of(void *arg, int64_t batch, struct t3d_err *err)
{
    const struct planning *p = arg;
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, p->threads);
    struct t3d_plan plan = {.dry = 1};

    if (!g) {
        t3d_err_nomem(err, "a plan");
        return NULL;
    }
    plan.loss = build(g, p->conf, (int)batch);
    if (t3d_graph_build(g, &plan, err) < 0) {
        t3d_graph_free(g);
        return NULL;
    }
    return g;
}

static void print_size(const struct conf *c)
{
    const struct t3d_clip_config *clip = t3d_clip_size(c->size);
    struct t3d_generator_config g;

    if (is_clip(c)) {
        printf(
            "%s-%s: %lld parameters with a vocabulary of %d, batch of %llu, texts of %d tokens\n",
            c->model, c->size, (long long)t3d_clip_params(clip), clip->vocab,
            (unsigned long long)c->batch, clip->context);
        return;
    }
    if (is_of_views(c)) {
        g = reconstructor_of(c);
        printf("%s-%s: %lld parameters, batch of %llu, %d views of %d pixels, %d Gaussians\n",
               c->model, c->size, (long long)t3d_reconstructor_params(&g, is_nerf_mae(c)),
               (unsigned long long)c->batch, T3D_GENERATOR_VIEWS, g.side,
               t3d_generator_gaussians(&g));
        return;
    }
    g = generator_of(c);
    printf("%s-%s: %lld parameters with a vocabulary of %d, batch of %llu, %d views of %d pixels, ",
           c->model, c->size, (long long)t3d_generator_params(&g), g.vocab,
           (unsigned long long)c->batch, T3D_GENERATOR_VIEWS, g.side);
    if (g.head == T3D_HEAD_IMAGE)
        printf("head image: a reconstructor makes the object of them\n");
    else
        printf("%d Gaussians\n", t3d_generator_gaussians(&g));
}

static int print_plan(const struct conf *c, struct t3d_err *err)
{
    struct planning p = {.conf = c, .threads = (int)c->common.threads};
    struct t3d_graph *g = plan_of(&p, (int64_t)c->batch, err);
    size_t memory = t3d_report_memory();
    int64_t batch;
    int r;

    if (!g)
        return T3D_FAIL;
    print_size(c);
    r = t3d_report_plan(stdout, g) < 0 ? t3d_err_sys(err, "cannot write", "stdout") : T3D_OK;
    t3d_graph_free(g);
    if (r == T3D_OK)
        r = t3d_report_largest_batch(plan_of, &p, memory, 65536, &batch, err);
    if (r == T3D_OK)
        printf("largest batch in the %zu MiB that are free: %lld\n", memory >> 20,
               (long long)batch);
    return r;
}

/* --- training -------------------------------------------------------------------------------- */

/* Records of stdin: only their objects. */
static int read_uids(struct t3d_loader_config *data, struct t3d_arena *a, struct t3d_err *err)
{
    size_t n = 0, capacity = 0;
    const char **uid = NULL;
    struct t3d_ndjson in;
    cJSON *record;
    int r;

    t3d_ndjson_init(&in, stdin, "standard input");
    while ((r = t3d_ndjson_next(&in, &record, err)) == T3D_OK) {
        if (n == capacity) {
            const char **more = t3d_alloc(a, capacity = 2 * capacity + 1024, sizeof *more);
            if (more && n)
                memcpy(more, uid, n * sizeof *uid);
            uid = more;
        }
        if (uid && !(uid[n++] = t3d_strdup(a, t3d_json_str(record, "uid", ""))))
            uid = NULL;
        cJSON_Delete(record);
        if (!uid) {
            r = t3d_err_nomem(err, "the records");
            break;
        }
    }
    t3d_ndjson_fini(&in);
    if (r == T3D_END && n == 0)
        r = t3d_err_set(err, T3D_USAGE, "no-samples", "standard input has no record");
    data->uid = uid;
    data->n_uids = n;
    return r == T3D_END ? T3D_OK : r;
}

struct done {
    const struct t3d_trainer_result *trainer;
    size_t samples, groups;
    uint64_t unreadable;
    const struct t3d_err *why;
    int64_t params;
};

static void report(const struct done *r, const char *dir, int64_t steps)
{
    const struct t3d_trainer_result *t = r->trainer;

    if (t->refused)
        t3d_warn("%d checkpoints could not be read: %s", t->refused, t->why.msg);
    if (r->unreadable)
        t3d_warn("%llu samples could not be read and were passed over: %s",
                 (unsigned long long)r->unreadable, r->why->msg);
    if (t->skipped)
        t3d_warn("%lld steps were skipped: loss or gradient was not finite", (long long)t->skipped);
    if (t->stop)
        t3d_info("stopped at step %lld of %lld: the same command goes on", (long long)t->step,
                 (long long)steps);
    else
        t3d_info("%s: step %lld, loss %.4g, %.0f s; %lld parameters, %zu objects, %zu captions of "
                 "their own",
                 dir, (long long)t->step, t->loss, t->seconds, (long long)r->params, r->samples,
                 r->groups);
}

static struct t3d_trainer_config trainer_of(const struct conf *c, const char *dir)
{
    return (struct t3d_trainer_config){
        .dir = dir,
        .steps = (int64_t)(c->steps ? c->steps : c->schedule_steps),
        .schedule_steps = (int64_t)c->schedule_steps,
        .warmup = (int64_t)c->warmup,
        .learning_rate = c->learning_rate,
        .max_grad_norm = c->max_grad_norm,
        .ema_decay = c->ema_decay,
        /* CLIP's constants; for the generator the variance is followed faster */
        .adamw = {.beta1 = 0.9,
                  .beta2 = is_clip(c) ? 0.98 : 0.99,
                  .eps = is_clip(c) ? 1e-6 : 1e-8,
                  .weight_decay = c->weight_decay},
        .accumulate = (int)c->accumulate,
        .log_every = LOG_EVERY,
        .validate_every = (int64_t)c->validate_every,
        .checkpoint_every = (int64_t)c->checkpoint_every,
        .keep_last = (int)c->keep_last,
        .keep_best = c->keep_best,
        .progress = c->common.progress,
        .device = c->on};
}

static struct t3d_loader_config data_of(const struct conf *c)
{
    return (struct t3d_loader_config){.workspace = c->common.workspace,
                                      .view_set = c->view_set,
                                      .light = c->light,
                                      .split = "train",
                                      .batch = (int)c->batch,
                                      .neighbours = (int)T3D_MIN(c->neighbours, (uint64_t)65536),
                                      .seed = c->common.seed};
}

static enum t3d_tensor_type type_of(const struct conf *c)
{
    return strcmp(c->weights, "f16") == 0 ? T3D_TENSOR_F16 : T3D_TENSOR_F32;
}

static void report_pretrained(const struct conf *c, const struct t3d_pretrained_report *r)
{
    if (r->matched)
        t3d_info("begun with '%s': %d parameters, %lld of %lld numbers; as they were: %d that it "
                 "lacks, %d of another shape, %d of another vocabulary; %d of its tensors unused",
                 c->pretrained, r->matched, (long long)r->numbers, (long long)r->all_numbers,
                 r->missing, r->other_shape, r->other_text, r->unused);
}

/* The source, and its hash, which stands for it in the settings. */
static int find_pretrained(struct conf *c, struct t3d_arena *a, struct t3d_err *err)
{
    static const char ending[] = ".safetensors";
    size_t n = strlen(c->pretrained), e = sizeof ending - 1;
    char *hash = t3d_alloc(a, T3D_SHA256_HEX, 1), *dir;
    int r = T3D_OK;

    if (n < e || strcmp(c->pretrained + n - e, ending) != 0) {
        r = t3d_model_find(&dir, c->common.workspace, c->pretrained, a, err);
        c->pretrained = r == T3D_OK ? dir : NULL;
    }
    if (r == T3D_OK)
        r = hash ? t3d_pretrained_hash(c->pretrained, hash, err) : t3d_err_nomem(err, "a hash");
    c->pretrained_hash = hash;
    return r;
}

/* A run that has no checkpoint yet begins anew and needs what it began with. */
static int need_pretrained(const struct conf *c, const char *dir, struct t3d_err *err)
{
    char pattern[4096];
    glob_t found = {0};
    int n;

    if (c->pretrained || !c->pretrained_hash)
        return T3D_OK;
    snprintf(pattern, sizeof pattern, "%s/checkpoints/step-*.safetensors", dir);
    n = glob(pattern, 0, NULL, &found) == 0;
    globfree(&found);
    return n ? T3D_OK
             : t3d_err_set(err, T3D_USAGE, "usage",
                           "the run begins with the weights of another model and has no checkpoint "
                           "yet: give --pretrained again");
}

static int train_clip(const struct conf *c, const char *dir, const cJSON *stored,
                      struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_clip_train_config k = {.size = *t3d_clip_size(c->size),
                                      .data = data_of(c),
                                      .trainer = trainer_of(c, dir),
                                      .settings = (cJSON *)stored,
                                      .backgrounds = c->backgrounds,
                                      .type = type_of(c),
                                      .threads = (int)c->common.threads};
    struct t3d_clip_train_result t = {0};
    int r = c->common.use_stdin ? read_uids(&k.data, a, err) : T3D_OK;

    if (r == T3D_OK)
        r = t3d_clip_train(&k, &t, err);
    if (r < 0)
        return r;
    report(&(struct done){&t.trainer, t.samples, t.groups, t.unreadable, &t.why, t.params}, dir,
           k.trainer.steps);
    return t.trainer.stop;
}

static int train_generator(const struct conf *c, const char *dir, const cJSON *stored,
                           struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_generator_train_config k = {.size = generator_of(c),
                                           .coarse_steps = (int64_t)c->coarse_steps,
                                           .data = data_of(c),
                                           .trainer = trainer_of(c, dir),
                                           .settings = (cJSON *)stored,
                                           .pretrained = c->pretrained,
                                           .type = type_of(c),
                                           .threads = (int)c->common.threads};
    struct t3d_generator_train_result t = {0};
    char *found = NULL;
    int r = c->common.use_stdin ? read_uids(&k.data, a, err) : T3D_OK;

    if (r == T3D_OK && c->reconstructor)
        r = t3d_model_find(&found, c->common.workspace, c->reconstructor, a, err);
    k.reconstructor = found;
    if (r == T3D_OK)
        r = t3d_generator_train(&k, &t, err);
    if (r < 0)
        return r;
    report_pretrained(c, &t.pretrained);
    report(&(struct done){&t.trainer, t.samples, t.groups, t.unreadable, &t.why, t.params}, dir,
           k.trainer.steps);
    return t.trainer.stop;
}

/* What `evaluate` says of two pictures by default. */
static int score(double *psnr, double *ssim, const uint8_t *a, const uint8_t *b, int side,
                 struct t3d_err *err)
{
    const struct t3d_picture_pair p = {a, b, (uint32_t)side, (uint32_t)side};
    int capped;

    *psnr = t3d_psnr(&p, T3D_PSNR_WHITE, 1, &capped);
    return t3d_ssim(ssim, &p, T3D_SSIM_GAUSS11, 1, err);
}

static int train_reconstructor(const struct conf *c, const char *dir, const cJSON *stored,
                               struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_reconstructor_train_config k = {.size = reconstructor_of(c),
                                               .coarse_steps = (int64_t)c->coarse_steps,
                                               .hidden = is_nerf_mae(c) ? HIDDEN : 0,
                                               .data = data_of(c),
                                               .trainer = trainer_of(c, dir),
                                               .settings = (cJSON *)stored,
                                               .pretrained = c->pretrained,
                                               .score = score,
                                               .type = type_of(c),
                                               .threads = (int)c->common.threads};
    struct t3d_reconstructor_train_result t = {0};
    int r = c->common.use_stdin ? read_uids(&k.data, a, err) : T3D_OK;

    if (r == T3D_OK)
        r = t3d_reconstructor_train(&k, &t, err);
    if (r < 0)
        return r;
    report_pretrained(c, &t.pretrained);
    report(&(struct done){&t.trainer, t.samples, t.groups, t.unreadable, &t.why, t.params}, dir,
           k.trainer.steps);
    if (isfinite(t.psnr) && !t.trainer.stop)
        t3d_info("views that it was not given, objects of split val: PSNR %.2f dB, SSIM %.4f",
                 t.psnr, t.ssim);
    return t.trainer.stop;
}

static int run_in(struct conf *c, const char *dir, struct t3d_arena *a, struct t3d_err *err)
{
    cJSON *stored = NULL;
    int fd, r = t3d_run_dir_open(&fd, dir, c->common.redo, err);

    if (r < 0)
        return r;
    r = t3d_run_dir_read(&stored, dir, err);
    if (r == T3D_OK && stored)
        r = take_settings(c, stored, err);
    if (r == T3D_OK)
        r = check(c, err);
    if (r == T3D_OK && stored)
        r = need_pretrained(c, dir, err);
    if (r == T3D_OK && !stored) {
        stored = settings_json(c);
        r = t3d_run_dir_write(stored, dir, err);
    }
    if (r == T3D_OK)
        r = (is_clip(c)       ? train_clip
             : is_of_views(c) ? train_reconstructor
                              : train_generator)(c, dir, stored, a, err);
    cJSON_Delete(stored);
    close(fd);
    return r;
}

static int run(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;
    struct t3d_arena a = {0};
    char *name, *dir;
    int r;

    presets(c);
    r = check(c, err);
    if (r == T3D_OK)
        r = t3d_device_parse(&c->on, c->device, err);
    if (r == T3D_OK && c->pretrained)
        r = find_pretrained(c, &a, err);
    if (r < 0) {
        t3d_arena_free(&a);
        return r;
    }
    name = c->run ? t3d_strdup(&a, c->run) : t3d_sprintf(&a, "%s-%s", c->model, c->size);
    dir = name ? t3d_sprintf(&a, "%s/runs/%s", c->common.workspace, name) : NULL;
    if (!dir)
        r = t3d_err_nomem(err, "a path");
    else if (strchr(name, '/') || name[0] == '.' || !*name)
        r = t3d_err_set(err, T3D_USAGE, "usage", "--run '%s' is not a plain name", name);
    else if (c->plan || c->common.dry_run)
        r = print_plan(c, err);
    else
        r = run_in(c, dir, &a, err);
    t3d_arena_free(&a);
    return r;
}

static const struct t3d_command command = {.operands = "[-]",
                                           .summary = "train a model on rendered views",
                                           .opts = opts,
                                           .conf_size = sizeof(struct conf),
                                           .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "train",
    .summary = "train a model on rendered views",
    .about =
        "The objects of split train are read from the rendered shards, in an order that the seed "
        "decides. runs/NAME gets log.ndjson (a line a step), checkpoints, and when all steps are "
        "done model.safetensors; for clip the folder is then one that transformers and `t3d embed "
        "--model DIR` load.\n\n"
        "The same command again goes on at the last checkpoint and gives the same weights, to the "
        "bit, as a run that was never stopped; options that decide the result are those that the "
        "run was begun with. SIGTERM and SIGINT write a checkpoint and stop (exit 75 and 130).\n\n"
        "With - only the objects of the records on standard input are read; one that is not of "
        "split train is refused.",
    .commands = commands};

int main(int argc, char **argv)
{
    t3d_openmp_share(argv);
    return t3d_tool_main(&tool, argc, argv);
}
