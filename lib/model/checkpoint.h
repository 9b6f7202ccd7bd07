/* SPDX-License-Identifier: Apache-2.0 */
/* model/checkpoint.h -- the state of a training run between two steps, in one safetensors file.
 *
 * For every parameter NAME: weight/NAME, first/NAME and second/NAME (AdamW's moments), and ema/NAME
 * where there is an average. Metadata: format, step, adamw_steps, lr_scale, rollbacks, settings,
 * and best once there was a validation.
 * Names and shapes are the model's, so that other programs can read them, and a file is whole or
 * not there. */
#ifndef T3D_MODEL_CHECKPOINT_H
#define T3D_MODEL_CHECKPOINT_H

#include <stdint.h>

#include "num/optim.h"

struct t3d_arena;

struct t3d_training_state {
    struct t3d_graph *g;
    struct t3d_adamw *adamw;
    struct t3d_ema *ema;  /* or NULL */
    int64_t step;         /* steps done */
    double lr_scale;      /* halved by each roll-back */
    int64_t rollbacks;    /* so far */
    double best;          /* score of the best validation so far; NaN = none */
    const char *settings; /* of the run: a checkpoint of other settings is refused */
};

/* DIR/step-NNNNNNNN.safetensors; then, when keep > 0, all but the last `keep` go. */
int t3d_checkpoint_save(const char *dir, const struct t3d_training_state *s, int keep,
                        struct t3d_err *err) T3D_MUST_CHECK;
/* One file. T3D_SKIP "bad-safetensors", "bad-checkpoint" (a tensor is missing or of another shape,
 * other settings): then the state is as it was. */
int t3d_checkpoint_load(const char *path, struct t3d_training_state *s,
                        struct t3d_err *err) T3D_MUST_CHECK;
/* The newest that can be read; T3D_END when there is none. *refused counts newer ones that could
 * not be, err says what was wrong with the last of them. One of other settings is returned as the
 * error it is. */
int t3d_checkpoint_resume(const char *dir, struct t3d_training_state *s, int *refused,
                          struct t3d_err *err) T3D_MUST_CHECK;

#endif
