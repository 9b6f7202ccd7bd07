/* SPDX-License-Identifier: Apache-2.0 */
/* model/reconstructor_train.h -- train a reconstructor on rendered views of a workspace.
 *
 * A sample's input views are 0, 4, 8, 12 of ring16+4, moved on together by 0 to 3; the Gaussians
 * are drawn from one of them and from three other views of the set. Validation, on split val: input
 * 0, 4, 8, 12, and every picture is of another view. With `hidden` above 0 that share of each
 * sample's patches is hidden, another one each time: the model is then "nerf_mae". */
#ifndef T3D_MODEL_RECONSTRUCTOR_TRAIN_H
#define T3D_MODEL_RECONSTRUCTOR_TRAIN_H

#include "model/loader.h"
#include "model/pretrained.h"
#include "model/reconstructor_step.h"
#include "model/trainer.h"

/* PSNR (dB) and SSIM of two pictures (side, side, 4), 8 bit, straight alpha, over white. */
typedef int t3d_picture_score(double *psnr, double *ssim, const uint8_t *a, const uint8_t *b,
                              int side, struct t3d_err *err);

struct t3d_reconstructor_train_config {
    struct t3d_generator_config size;
    double hidden;
    struct t3d_loader_config data;     /* split "train", batch, seed; the rest is set here */
    struct t3d_trainer_config trainer; /* dir; settings, samples and stage are set here */
    struct t3d_loss_config loss;       /* terms beside those of colour and alpha */
    cJSON *settings;                   /* what else decides the result; the caller's */
    int64_t coarse_steps;              /* first so many at half the resolution; 0 = none */
    const char *pretrained;            /* weights to begin with (model/pretrained.h), or NULL */
    t3d_picture_score *score;          /* for validation; NULL = none */
    enum t3d_tensor_type type;         /* of model.safetensors */
    int threads;
};

struct t3d_reconstructor_train_result {
    struct t3d_trainer_result trainer;
    size_t samples, groups;
    uint64_t unreadable; /* samples passed over, and what was wrong with the last */
    struct t3d_err why;
    int64_t params;
    struct t3d_pretrained_report pretrained; /* of a run that began with it now; else zeros */
    double psnr, ssim;                       /* of the last validation; NAN without one */
};

/* Makes or resumes the run in trainer.dir; when all steps are done the folder has config.json and
 * model.safetensors. */
int t3d_reconstructor_train(const struct t3d_reconstructor_train_config *c,
                            struct t3d_reconstructor_train_result *result,
                            struct t3d_err *err) T3D_MUST_CHECK;

#endif
