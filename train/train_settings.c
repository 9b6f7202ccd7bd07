/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/json.h"
#include "model/clip_train.h"
#include "model/generator_train.h"
#include "model/reconstructor.h"
#include "train/train.h"

/* Raise the version when the same settings give other weights: a run begun before is then not gone
 * on with. */
enum { FORMAT_VERSION = 1, VOCABULARY = 1024, COARSE_STEPS = 800, FINE_STEPS = 400 };

#define MAX_STEPS 1000000000

/* What decides the weights; a run keeps those it was begun with. */
static const struct {
    const char *option;
    size_t offset;
    enum t3d_opt_type type;
} settings[] = {
    {"schedule-steps", offsetof(struct train_conf, schedule_steps), T3D_OPT_U64},
    {"batch-size", offsetof(struct train_conf, batch), T3D_OPT_U64},
    {"gradient-accumulation-steps", offsetof(struct train_conf, accumulate), T3D_OPT_U64},
    {"learning-rate", offsetof(struct train_conf, learning_rate), T3D_OPT_DOUBLE},
    {"warmup-steps", offsetof(struct train_conf, warmup), T3D_OPT_U64},
    {"max-grad-norm", offsetof(struct train_conf, max_grad_norm), T3D_OPT_DOUBLE},
    {"weight-decay", offsetof(struct train_conf, weight_decay), T3D_OPT_DOUBLE},
    {"ema-decay", offsetof(struct train_conf, ema_decay), T3D_OPT_DOUBLE},
    {"backgrounds", offsetof(struct train_conf, backgrounds), T3D_OPT_DOUBLE},
    {"neighbours", offsetof(struct train_conf, neighbours), T3D_OPT_U64},
    {"loss-ssim", offsetof(struct train_conf, loss.ssim), T3D_OPT_DOUBLE},
    {"loss-perceptual", offsetof(struct train_conf, loss.perceptual), T3D_OPT_DOUBLE},
    {"perceptual-weights", offsetof(struct train_conf, perceptual_hash), T3D_OPT_STRING},
    {"loss-depth", offsetof(struct train_conf, loss.depth), T3D_OPT_DOUBLE},
    {"loss-opacity", offsetof(struct train_conf, loss.opacity), T3D_OPT_DOUBLE},
    {"seed", offsetof(struct train_conf, common.seed), T3D_OPT_U64},
    {"model", offsetof(struct train_conf, model), T3D_OPT_STRING},
    {"size", offsetof(struct train_conf, size), T3D_OPT_STRING},
    {"head", offsetof(struct train_conf, head), T3D_OPT_STRING},
    {"coarse-steps", offsetof(struct train_conf, coarse_steps), T3D_OPT_U64},
    {"fine-steps", offsetof(struct train_conf, fine_steps), T3D_OPT_U64},
    {"pretrained", offsetof(struct train_conf, pretrained_hash), T3D_OPT_STRING},
    {"text-encoder", offsetof(struct train_conf, text_encoder), T3D_OPT_STRING},
    {"text-tokens", offsetof(struct train_conf, text_tokens), T3D_OPT_U64},
    {"view-set", offsetof(struct train_conf, view_set), T3D_OPT_STRING},
    {"light", offsetof(struct train_conf, light), T3D_OPT_STRING}};

/* A term of the loss that is not there is not a setting: runs from before there were any go on. */
static void set_number(cJSON *o, size_t i, double value)
{
    if (value != 0 || strncmp(settings[i].option, "loss-", 5) != 0)
        t3d_json_set_num(o, settings[i].option, value);
}

cJSON *train_settings_json(const struct train_conf *c)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_num(o, "version", FORMAT_VERSION);
    for (size_t i = 0; i < T3D_COUNT(settings); i++) {
        const char *p = (const char *)c + settings[i].offset;
        if (settings[i].type == T3D_OPT_STRING && *(const char *const *)p)
            t3d_json_set_str(o, settings[i].option, *(const char *const *)p);
        else if (settings[i].type != T3D_OPT_STRING)
            set_number(o, i,
                       settings[i].type == T3D_OPT_DOUBLE ? *(const double *)p
                                                          : (double)*(const uint64_t *)p);
    }
    return o;
}

static int differs(const struct train_conf *c, const cJSON *stored, size_t i)
{
    cJSON *now = train_settings_json(c);
    const cJSON *a = cJSON_GetObjectItem(now, settings[i].option),
                *b = cJSON_GetObjectItem(stored, settings[i].option);
    int same = (!a && !b) || cJSON_Compare(a, b, 1);

    cJSON_Delete(now);
    return !same;
}

/* Options that are not given are those of the run; given ones must agree with it. */
int train_take_settings(struct train_conf *c, const cJSON *stored, struct t3d_err *err)
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

#define RECOMPUTE "gradient-checkpointing"

int train_take_means(struct train_conf *c, cJSON *stored)
{
    int before = t3d_json_bool(stored, RECOMPUTE, 0);

    if (!t3d_opt_given(&c->common, RECOMPUTE))
        c->recompute = before;
    if (cJSON_HasObjectItem(stored, RECOMPUTE) && before == c->recompute)
        return 0;
    cJSON_DeleteItemFromObject(stored, RECOMPUTE);
    t3d_json_set_bool(stored, RECOMPUTE, c->recompute);
    return 1;
}

void train_drop_means(cJSON *stored)
{
    cJSON_DeleteItemFromObject(stored, RECOMPUTE);
}

int train_is_clip(const struct train_conf *c)
{
    return c->model && strcmp(c->model, "clip") == 0;
}

int train_is_nerf_mae(const struct train_conf *c)
{
    return c->model && strcmp(c->model, "nerf_mae") == 0;
}

/* A model of views alone, without text. */
int train_is_of_views(const struct train_conf *c)
{
    return c->model && (strcmp(c->model, "reconstructor") == 0 || train_is_nerf_mae(c));
}

int train_is_generator(const struct train_conf *c)
{
    return c->model && strcmp(c->model, "turbo3d") == 0;
}

/* Nano is as it is the coarse stage; the others are the fine one. */
static int side_of(const struct train_conf *c, int side)
{
    return c->coarse_steps && strcmp(c->size, "nano") == 0 ? 2 * side : side;
}

struct t3d_generator_config train_reconstructor_of(const struct train_conf *c)
{
    struct t3d_generator_config g = *t3d_reconstructor_size(c->size);

    g.side = side_of(c, g.side);
    return g;
}

struct t3d_generator_config train_generator_of(const struct train_conf *c)
{
    struct t3d_generator_config g = *t3d_generator_size(c->size);

    g.vocab = c->n_encoders ? 0 : VOCABULARY;
    g.n_encoders = c->n_encoders;
    memcpy(g.encoder, c->encoder, sizeof g.encoder);
    g.side = side_of(c, g.side);
    if (c->head)
        g.head = (enum t3d_generator_head)t3d_generator_head(c->head);
    if (c->text_tokens)
        g.text_tokens = (int)c->text_tokens;
    return g;
}

/* Defaults that differ by model. */
void train_presets(struct train_conf *c)
{
    if (!t3d_opt_given(&c->common, "batch-size"))
        c->batch = train_is_clip(c) ? 256 : 32;
    if (!t3d_opt_given(&c->common, "learning-rate"))
        c->learning_rate = train_is_clip(c) ? 0.0015 : 0.001;
    if (!t3d_opt_given(&c->common, "neighbours"))
        c->neighbours = train_is_clip(c) ? 4 : 0;
    if (c->multi_stage && !t3d_opt_given(&c->common, "coarse-steps"))
        c->coarse_steps = COARSE_STEPS;
    if (c->multi_stage && !t3d_opt_given(&c->common, "fine-steps"))
        c->fine_steps = FINE_STEPS;
    if (c->multi_stage && !t3d_opt_given(&c->common, "schedule-steps"))
        c->schedule_steps = c->coarse_steps + c->fine_steps;
    if (!t3d_opt_given(&c->common, "head") && train_is_generator(c))
        c->head = t3d_generator_head_name[t3d_generator_size(c->size)->head];
    if (!t3d_opt_given(&c->common, "text-encoder") && train_is_generator(c))
        c->text_encoder = "learned";
    if (!t3d_opt_given(&c->common, "weight-decay"))
        c->weight_decay = train_is_clip(c) ? 0.1 : train_is_of_views(c) ? 0.05 : 0;
}

int train_check_head(const struct train_conf *c, struct t3d_err *err)
{
    if (c->reconstructor && (!c->head || strcmp(c->head, "image") != 0))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--reconstructor is for --model turbo3d --head image: the head gauss "
                           "needs none");
    return T3D_OK;
}

int train_check(const struct train_conf *c, struct t3d_err *err)
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
    if (train_is_clip(c) && !t3d_clip_size(c->size))
        return t3d_err_set(err, T3D_USAGE, "usage", "--model clip has --size nano, not '%s'",
                           c->size);
    if (!train_is_clip(c) && (strcmp(c->view_set, "ring16+4") != 0 || c->backgrounds > 0))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--model %s trains on views of ring16+4 over white: leave out "
                           "--view-set %s and --backgrounds %g",
                           c->model, c->view_set, c->backgrounds);
    if (!train_is_generator(c) && c->head)
        return t3d_err_set(err, T3D_USAGE, "usage", "--head %s is for --model turbo3d", c->head);
    if (!train_is_generator(c) && (c->text_encoder || c->text_tokens))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--text-encoder and --text-tokens are for --model turbo3d");
    if (c->text_tokens && (c->text_tokens < 2 || c->text_tokens > 512))
        return t3d_err_set(err, T3D_USAGE, "usage", "--text-tokens is within 2 and 512");
    if (c->coarse_steps > MAX_STEPS || c->fine_steps > MAX_STEPS ||
        !c->coarse_steps != !c->fine_steps || (c->multi_stage && !c->coarse_steps) ||
        (c->coarse_steps &&
         (train_is_clip(c) || c->schedule_steps != c->coarse_steps + c->fine_steps)))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--multi-stage, with --coarse-steps and --fine-steps, is for a run of "
                           "turbo3d, reconstructor or nerf_mae that is begun so; leave out "
                           "--schedule-steps, which is the sum of both");
    if (train_is_clip(c) && c->pretrained)
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
    return train_check_loss(c, err);
}
