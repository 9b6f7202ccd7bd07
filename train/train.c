/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-train: models from rendered views and captions. */
#include "train/train.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "base/openmp.h"
#include "model/run_dir.h"
#include "net/lpips.h"

static const struct t3d_opt opts[] = {
    {0, "model", T3D_OPT_STRING, offsetof(struct train_conf, model), "NAME", NULL,
     "turbo3d reconstructor nerf_mae clip",
     "what to train; turbo3d: text to Gaussians, for generate; reconstructor: four views to "
     "Gaussians; nerf_mae: the same from a quarter of their patches, to begin others from; clip: "
     "pictures and captions to one space, for embed"},
    {0, "size", T3D_OPT_STRING, offsetof(struct train_conf, size), "NAME", "nano",
     "nano small base large", "size of the model; clip: nano"},
    {0, "head", T3D_OPT_STRING, offsetof(struct train_conf, head), "NAME", NULL, "gauss image",
     "of turbo3d; gauss: text to Gaussians; image: text to four views, of which a reconstructor "
     "makes the object; else by size: nano and small gauss, base and large image"},
    {0, "reconstructor", T3D_OPT_STRING, offsetof(struct train_conf, reconstructor), "NAME-or-DIR",
     NULL, NULL,
     "for --head image: the one that goes with the generator, copied to its folder; may also "
     "be given to a run that is done"},
    {0, "pretrained", T3D_OPT_STRING, offsetof(struct train_conf, pretrained), "FILE-or-DIR", NULL,
     NULL,
     "begin with the weights of another model, those of the same name and shape; pretrained.json "
     "in "
     "the run's folder says which"},
    {0, "text-encoder", T3D_OPT_STRING, offsetof(struct train_conf, text_encoder), "LIST", NULL,
     NULL,
     "of turbo3d, where its text comes from; learned (default): words learned from the captions; "
     "one or two names or folders of CLIP and T5 networks, joined by a comma: their token "
     "features, which `t3d embed --model NAME --tokens` has made before"},
    {0, "text-tokens", T3D_OPT_U64, offsetof(struct train_conf, text_tokens), "N", NULL, NULL,
     "longest text in tokens, of each text encoder; else 16 for nano, 77 for the others"},
    {0, "run", T3D_OPT_STRING, offsetof(struct train_conf, run), "NAME", NULL, NULL,
     "folder below runs/; else <model>-<size>"},
    {0, "steps", T3D_OPT_U64, offsetof(struct train_conf, steps), "N", NULL, NULL,
     "stop when N steps are done; else those of the schedule"},
    {0, "schedule-steps", T3D_OPT_U64, offsetof(struct train_conf, schedule_steps), "N", "1200",
     NULL, "steps after which the learning rate is 0"},
    {0, "multi-stage", T3D_OPT_BOOL, offsetof(struct train_conf, multi_stage), NULL, NULL, NULL,
     "first at half the resolution, then at the whole (nano: 32, then 64 pixels); not for clip"},
    {0, "coarse-steps", T3D_OPT_U64, offsetof(struct train_conf, coarse_steps), "N", NULL, NULL,
     "of --multi-stage, at half the resolution; else 800"},
    {0, "fine-steps", T3D_OPT_U64, offsetof(struct train_conf, fine_steps), "N", NULL, NULL,
     "the others; else 400. The schedule is as long as both"},
    {0, "batch-size", T3D_OPT_U64, offsetof(struct train_conf, batch), "N", NULL, NULL,
     "samples a micro-batch; else 32, for clip 256"},
    {0, "gradient-accumulation-steps", T3D_OPT_U64, offsetof(struct train_conf, accumulate), "N",
     "1", NULL, "micro-batches a step"},
    {0, "gradient-checkpointing", T3D_OPT_BOOL, offsetof(struct train_conf, recompute), NULL, "no",
     NULL,
     "keep less of each block of the network and compute it again on the way back: less memory, "
     "more operations, the same weights to the bit; a run may go on with it or without"},
    {0, "learning-rate", T3D_OPT_DOUBLE, offsetof(struct train_conf, learning_rate), "RATE", NULL,
     NULL, "highest learning rate; else 0.001, for clip 0.0015"},
    {0, "warmup-steps", T3D_OPT_U64, offsetof(struct train_conf, warmup), "N", "50", NULL,
     "steps in which the rate rises"},
    {0, "max-grad-norm", T3D_OPT_DOUBLE, offsetof(struct train_conf, max_grad_norm), "X", "1", NULL,
     "longer gradients are scaled down to it"},
    {0, "weight-decay", T3D_OPT_DOUBLE, offsetof(struct train_conf, weight_decay), "X", NULL, NULL,
     "AdamW's, of matrices; else 0, for clip 0.1"},
    {0, "ema-decay", T3D_OPT_DOUBLE, offsetof(struct train_conf, ema_decay), "X", "0.995", NULL,
     "of the averaged weights, which are what is kept; 0 = none"},
    {0, "loss-perceptual", T3D_OPT_DOUBLE, offsetof(struct train_conf, loss.perceptual), "X", "0",
     NULL, "share in the loss of LPIPS, drawn beside wanted views; .5 in GS-LRM; not for clip"},
    {0, "perceptual-weights", T3D_OPT_STRING, offsetof(struct train_conf, perceptual_weights),
     "NAME-or-DIR", NULL, NULL,
     "its network: lpips-vgg, lpips-alex or lpips-squeeze of `t3d fetch weights`, or a folder; "
     "stays as it is"},
    {0, "loss-ssim", T3D_OPT_DOUBLE, offsetof(struct train_conf, loss.ssim), "X", "0", NULL,
     "share of 1 - SSIM of these views; not for clip"},
    {0, "loss-depth", T3D_OPT_DOUBLE, offsetof(struct train_conf, loss.depth), "X", "0", NULL,
     "share in the loss of the drawn depth's distance from the rendered one; not for clip"},
    {0, "loss-opacity", T3D_OPT_DOUBLE, offsetof(struct train_conf, loss.opacity), "X", "0", NULL,
     "share of the Gaussians' mean opacity: those that nothing needs vanish; not for clip"},
    {0, "backgrounds", T3D_OPT_DOUBLE, offsetof(struct train_conf, backgrounds), "SHARE", "0", NULL,
     "for clip: pictures that stand on a random colour, not on white"},
    {0, "neighbours", T3D_OPT_U64, offsetof(struct train_conf, neighbours), "N", NULL, NULL,
     "so many scenes with similar captions stand together in a batch, 0 = any; else 0, for clip 4"},
    {0, "view-set", T3D_OPT_STRING, offsetof(struct train_conf, view_set), "NAME", "ring16+4", NULL,
     "rendered views to train on; turbo3d has ring16+4"},
    {0, "light", T3D_OPT_STRING, offsetof(struct train_conf, light), "NAME", "studio", NULL,
     "their light"},
    {0, "checkpoint-every", T3D_OPT_U64, offsetof(struct train_conf, checkpoint_every), "N", "250",
     NULL, "steps; one is written at the end anyway"},
    {0, "keep-last", T3D_OPT_U64, offsetof(struct train_conf, keep_last), "N", "2", NULL,
     "checkpoints kept; 0 = all"},
    {0, "keep-best", T3D_OPT_BOOL, offsetof(struct train_conf, keep_best), NULL, "no", NULL,
     "also keep the model of the best validation, in best/ below the run"},
    {0, "validate-every", T3D_OPT_U64, offsetof(struct train_conf, validate_every), "N", "250",
     NULL, "steps between validations on split val; 0 = none"},
    {0, "weights", T3D_OPT_STRING, offsetof(struct train_conf, weights), "TYPE", "f32", "f32 f16",
     "numbers of model.safetensors"},
    {0, "device", T3D_OPT_STRING, offsetof(struct train_conf, device), "NAME", "cpu", NULL,
     "what computes: cpu, cuda:0; a run may go on elsewhere, with other last bits"},
    {0, "plan", T3D_OPT_BOOL, offsetof(struct train_conf, plan), NULL, NULL, NULL,
     "print parameters, memory, operations and the largest batch, and train nothing"},
    {0}};

static int run_in(struct train_conf *c, const char *dir, struct t3d_arena *a, struct t3d_err *err)
{
    cJSON *stored = NULL;
    int fd, r = t3d_run_dir_open(&fd, dir, c->common.redo, err);

    if (r < 0)
        return r;
    r = t3d_run_dir_read(&stored, dir, err);
    if (r == T3D_OK && stored)
        r = train_take_settings(c, stored, err);
    if (r == T3D_OK)
        r = train_check(c, err);
    if (r == T3D_OK)
        r = train_check_head(c, err);
    if (r == T3D_OK && stored)
        r = train_need_pretrained(c, dir, err);
    if (r == T3D_OK)
        r = train_find_text(c, err);
    if (r == T3D_OK)
        r = train_need_perceptual(c, err);
    if (r == T3D_OK && !stored)
        stored = train_settings_json(c);
    if (r == T3D_OK && train_take_means(c, stored))
        r = t3d_run_dir_write(stored, dir, err);
    train_drop_means(stored);
    if (r == T3D_OK)
        r = (train_is_clip(c)       ? train_clip
             : train_is_of_views(c) ? train_reconstructor
                                    : train_generator)(c, dir, stored, a, err);
    cJSON_Delete(stored);
    close(fd);
    return r;
}

static int run_named(struct train_conf *c, struct t3d_arena *a, struct t3d_err *err)
{
    char *name = c->run ? t3d_strdup(a, c->run) : t3d_sprintf(a, "%s-%s", c->model, c->size);
    char *dir = name ? t3d_sprintf(a, "%s/runs/%s", c->common.workspace, name) : NULL;
    int r;

    if (!dir)
        return t3d_err_nomem(err, "a path");
    if (strchr(name, '/') || name[0] == '.' || !*name)
        return t3d_err_set(err, T3D_USAGE, "usage", "--run '%s' is not a plain name", name);
    if (!c->plan && !c->common.dry_run)
        return run_in(c, dir, a, err);
    r = train_check_head(c, err);
    if (r == T3D_OK)
        r = train_need_perceptual(c, err);
    return r == T3D_OK ? train_print_plan(c, err) : r;
}

static int run(void *conf, struct t3d_err *err)
{
    struct train_conf *c = conf;
    struct t3d_arena a = {0};
    int r;

    train_presets(c);
    r = train_check(c, err);
    if (r == T3D_OK)
        r = t3d_device_parse(&c->on, c->device, err);
    if (r == T3D_OK && c->pretrained)
        r = train_find_pretrained(c, &a, err);
    if (r == T3D_OK)
        r = train_name_text(c, &a, err);
    if (r == T3D_OK && (c->plan || c->common.dry_run))
        r = train_find_text(c, err);
    if (r == T3D_OK && c->perceptual_weights)
        r = train_open_perceptual(c, &a, err);
    if (r == T3D_OK)
        r = run_named(c, &a, err);
    t3d_lpips_free(c->perceptual);
    t3d_arena_free(&a);
    return r;
}

static const struct t3d_command command = {.operands = "[-]",
                                           .summary = "train a model on rendered views",
                                           .opts = opts,
                                           .conf_size = sizeof(struct train_conf),
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
