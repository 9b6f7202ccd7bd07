/* SPDX-License-Identifier: Apache-2.0 */
/* model/clip_train.h -- train a CLIP on rendered views and captions of a workspace. */
#ifndef T3D_MODEL_CLIP_TRAIN_H
#define T3D_MODEL_CLIP_TRAIN_H

#include "model/clip.h"
#include "model/loader.h"
#include "model/trainer.h"

struct t3d_clip_train_config {
    struct t3d_clip_config size;       /* vocab: most entries of the vocabulary to make */
    struct t3d_loader_config data;     /* split "train", batch, seed; the rest is set here */
    struct t3d_trainer_config trainer; /* dir; settings, samples and stage are set here */
    cJSON *settings;                   /* what else decides the result; the caller's */
    double backgrounds; /* share of pictures that stand on a colour drawn at random, not on white */
    enum t3d_tensor_type type; /* of model.safetensors */
    int threads;
};

struct t3d_clip_train_result {
    struct t3d_trainer_result trainer;
    size_t samples, groups;
    uint64_t unreadable; /* samples passed over, and what was wrong with the last */
    struct t3d_err why;
    int64_t params;
    int tokens; /* of the longest caption */
};

/* Makes or resumes the run in trainer.dir: vocabulary from the training captions, weights, log,
 * checkpoints; when all steps are done, the folder is a CLIP as transformers saves it. */
int t3d_clip_train(const struct t3d_clip_train_config *c, struct t3d_clip_train_result *result,
                   struct t3d_err *err) T3D_MUST_CHECK;

#endif
