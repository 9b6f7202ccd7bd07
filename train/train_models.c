/* SPDX-License-Identifier: Apache-2.0 */
#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "metric/picture.h"
#include "model/clip_train.h"
#include "model/generator_train.h"
#include "model/reconstructor_train.h"
#include "store/model_find.h"
#include "train/train.h"

enum { LOG_EVERY = 1 };

#define HIDDEN 0.75 /* of the patches, in nerf_mae */

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

static struct t3d_trainer_config trainer_of(const struct train_conf *c, const char *dir)
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
                  .beta2 = train_is_clip(c) ? 0.98 : 0.99,
                  .eps = train_is_clip(c) ? 1e-6 : 1e-8,
                  .weight_decay = c->weight_decay},
        .accumulate = (int)c->accumulate,
        .log_every = LOG_EVERY,
        .validate_every = (int64_t)c->validate_every,
        .checkpoint_every = (int64_t)c->checkpoint_every,
        .keep_last = (int)c->keep_last,
        .keep_best = c->keep_best,
        .progress = c->common.progress,
        .device = c->on,
        .recompute = c->recompute};
}

static struct t3d_loader_config data_of(const struct train_conf *c)
{
    return (struct t3d_loader_config){.workspace = c->common.workspace,
                                      .view_set = c->view_set,
                                      .light = c->light,
                                      .split = "train",
                                      .batch = (int)c->batch,
                                      .neighbours = (int)T3D_MIN(c->neighbours, (uint64_t)65536),
                                      .seed = c->common.seed};
}

static enum t3d_tensor_type type_of(const struct train_conf *c)
{
    return strcmp(c->weights, "f16") == 0 ? T3D_TENSOR_F16 : T3D_TENSOR_F32;
}

static void report_pretrained(const struct train_conf *c, const struct t3d_pretrained_report *r)
{
    if (r->matched)
        t3d_info("begun with '%s': %d parameters, %lld of %lld numbers; as they were: %d that it "
                 "lacks, %d of another shape, %d of another vocabulary; %d of its tensors unused",
                 c->pretrained, r->matched, (long long)r->numbers, (long long)r->all_numbers,
                 r->missing, r->other_shape, r->other_text, r->unused);
}

/* The source, and its hash, which stands for it in the settings. */
int train_find_pretrained(struct train_conf *c, struct t3d_arena *a, struct t3d_err *err)
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
int train_need_pretrained(const struct train_conf *c, const char *dir, struct t3d_err *err)
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

int train_clip(const struct train_conf *c, const char *dir, const cJSON *stored,
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

int train_generator(const struct train_conf *c, const char *dir, const cJSON *stored,
                    struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_generator_train_config k = {.size = train_generator_of(c),
                                           .coarse_steps = (int64_t)c->coarse_steps,
                                           .data = data_of(c),
                                           .trainer = trainer_of(c, dir),
                                           .loss = c->loss,
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
    if (t.cut)
        t3d_warn("%llu captions are longer than %d tokens and were cut: --text-tokens takes longer "
                 "ones",
                 (unsigned long long)t.cut, k.size.text_tokens);
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

int train_reconstructor(const struct train_conf *c, const char *dir, const cJSON *stored,
                        struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_reconstructor_train_config k = {.size = train_reconstructor_of(c),
                                               .coarse_steps = (int64_t)c->coarse_steps,
                                               .hidden = train_is_nerf_mae(c) ? HIDDEN : 0,
                                               .data = data_of(c),
                                               .trainer = trainer_of(c, dir),
                                               .loss = c->loss,
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
