/* SPDX-License-Identifier: Apache-2.0 */
/* model/generator_train.h -- train a generator on rendered views and captions of a workspace.
 *
 * A sample's four input views are mixed with noise at a time t, half of them logit-normal(-0.4, 1)
 * and half (-4, 1), nearly noise alone; the Gaussians that come out are drawn from two of these
 * cameras and two others of the set, and compared over white. The weight is that of the velocity, 1
 * / (1 - t)^2, at most 10. One text in ten is dropped, for guidance. With the head `image` the four
 * clean views are what is predicted and compared, and nothing is drawn; the reconstructor that is
 * to make objects of them is copied into the folder.
 *
 * The log has the PSNR of what is compared, also by time: psnr_by_time of t below 0.02, 0.1, 0.5
 * and 1. Validation gives the same of split val, and samples/step-NNNNNNNN.png. */
#ifndef T3D_MODEL_GENERATOR_TRAIN_H
#define T3D_MODEL_GENERATOR_TRAIN_H

#include "model/generator_step.h"
#include "model/loader.h"
#include "model/pretrained.h"
#include "model/trainer.h"

struct t3d_generator_train_config {
    struct t3d_generator_config size;  /* vocab: most entries of the vocabulary to make; with
                                          encoders their features are those of data.workspace */
    struct t3d_loader_config data;     /* split "train", batch, seed; the rest is set here */
    struct t3d_trainer_config trainer; /* dir; settings, samples and stage are set here */
    struct t3d_loss_config loss;       /* terms beside those of colour and alpha */
    cJSON *settings;                   /* what else decides the result; the caller's */
    int64_t coarse_steps;              /* first so many at half the resolution; 0 = none */
    const char *pretrained;            /* weights to begin with (model/pretrained.h), or NULL */
    const char *reconstructor;         /* its folder, for the head image; NULL = none yet */
    enum t3d_tensor_type type;         /* of model.safetensors */
    int threads;
};

struct t3d_generator_train_result {
    struct t3d_trainer_result trainer;
    size_t samples, groups;
    uint64_t cut;        /* captions longer than the model takes; 0 where words are learned */
    uint64_t unreadable; /* samples passed over, and what was wrong with the last */
    struct t3d_err why;
    int64_t params;
    struct t3d_pretrained_report pretrained; /* of a run that began with it now; else zeros */
};

/* Makes or resumes the run in trainer.dir; when all steps are done the folder is what
 * model/sampler.h opens. */
int t3d_generator_train(const struct t3d_generator_train_config *c,
                        struct t3d_generator_train_result *result,
                        struct t3d_err *err) T3D_MUST_CHECK;

#endif
