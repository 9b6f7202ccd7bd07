/* SPDX-License-Identifier: Apache-2.0 */
/* train/train.h -- what the parts of t3d-train share. */
#ifndef T3D_TRAIN_TRAIN_H
#define T3D_TRAIN_TRAIN_H

#include "base/tool.h"
#include "model/generator.h"
#include "model/losses.h"
#include "num/device.h"

struct train_conf {
    struct t3d_common common;
    const char *model, *size, *head, *reconstructor, *pretrained, *pretrained_hash, *run, *view_set,
        *light, *weights, *device, *text_encoder;
    struct t3d_device on;
    uint64_t steps, schedule_steps, batch, warmup, accumulate, checkpoint_every, validate_every,
        keep_last, neighbours;
    double learning_rate, max_grad_norm, weight_decay, ema_decay, backgrounds;
    uint64_t coarse_steps, fine_steps;                            /* 0 = one stage */
    uint64_t text_tokens;                                         /* 0 = by size */
    struct t3d_generator_encoder encoder[T3D_GENERATOR_ENCODERS]; /* of text_encoder */
    int n_encoders;
    struct t3d_loss_config loss;
    const char *perceptual_weights, *perceptual_hash;
    struct t3d_lpips *perceptual; /* opened from them */
    int plan, multi_stage, keep_best, recompute;
};

/* --- settings: what decides the weights; a run keeps those it was begun with -------------------
 */

cJSON *train_settings_json(const struct train_conf *c);
/* What a run was begun with; T3D_USAGE names an option given now that says otherwise. */
int train_take_settings(struct train_conf *c, const cJSON *stored, struct t3d_err *err);
/* How a run computes what the settings decide: kept beside them, and taken over unless given now.
 * Returns 1 when `stored` was changed. */
int train_take_means(struct train_conf *c, cJSON *stored);
/* The settings alone. */
void train_drop_means(cJSON *stored);
void train_presets(struct train_conf *c); /* what depends on the model */
int train_check(const struct train_conf *c, struct t3d_err *err);
/* What goes with a head or not: once the head of a run that goes on is known. */
int train_check_head(const struct train_conf *c, struct t3d_err *err);

int train_is_clip(const struct train_conf *c);
int train_is_nerf_mae(const struct train_conf *c);
int train_is_of_views(const struct train_conf *c); /* reconstructor or nerf_mae */
int train_is_generator(const struct train_conf *c);
struct t3d_generator_config train_reconstructor_of(const struct train_conf *c);
struct t3d_generator_config train_generator_of(const struct train_conf *c);

/* --text-encoder as settings have it: names, joined by commas. */
int train_name_text(struct train_conf *c, struct t3d_arena *a, struct t3d_err *err);
/* What the workspace has of these networks; T3D_USAGE names the command that makes it. */
int train_find_text(struct train_conf *c, struct t3d_err *err);

/* --- terms of the loss -------------------------------------------------------------------------
 */

int train_check_loss(const struct train_conf *c, struct t3d_err *err); /* part of train_check */
/* The network of --perceptual-weights, by name or path, and the hash that stands for it in the
 * settings; t3d_lpips_free(c->perceptual) when all is done. */
int train_open_perceptual(struct train_conf *c, struct t3d_arena *a, struct t3d_err *err);
/* With the settings that hold: the network is there where the loss needs it, and only there. */
int train_need_perceptual(struct train_conf *c, struct t3d_err *err);

/* --- the plan: nothing is trained --------------------------------------------------------------
 */

int train_print_plan(const struct train_conf *c, struct t3d_err *err);

/* --- training ----------------------------------------------------------------------------------
 */

/* The model of --pretrained by name or path, and whether a new run needs it. */
int train_find_pretrained(struct train_conf *c, struct t3d_arena *a, struct t3d_err *err);
int train_need_pretrained(const struct train_conf *c, const char *dir, struct t3d_err *err);

/* Make or go on with the run in dir, of settings `stored`; the exit code a signal asked for. */
int train_clip(const struct train_conf *c, const char *dir, const cJSON *stored,
               struct t3d_arena *a, struct t3d_err *err);
int train_generator(const struct train_conf *c, const char *dir, const cJSON *stored,
                    struct t3d_arena *a, struct t3d_err *err);
int train_reconstructor(const struct train_conf *c, const char *dir, const cJSON *stored,
                        struct t3d_arena *a, struct t3d_err *err);

#endif
