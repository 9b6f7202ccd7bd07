/* SPDX-License-Identifier: Apache-2.0 */
/* model/generator_step.h -- the graph of a generator's training step: the Gaussians are drawn from
 * C cameras and compared with pictures (S is the side of one); with the head `image` the four views
 * are compared as they are. What else is asked for (losses: NULL = nothing) is added; it is about
 * Gaussians, so the head `image` has none of it. */
#ifndef T3D_MODEL_GENERATOR_STEP_H
#define T3D_MODEL_GENERATOR_STEP_H

#include "model/generator.h"
#include "model/losses.h"

enum { T3D_GENERATOR_COMPARED = 4 }; /* views that are drawn and compared */

struct t3d_generator_step {
    struct t3d_generator m;
    struct t3d_ref cameras; /* (B, C, T3D_SPLAT_CAMERA) */
    struct t3d_ref rgb;     /* (B, C, S, S, 3) wanted, over white, in [0, 1] */
    struct t3d_ref alpha;   /* (B, C, S, S, 1) wanted */
    struct t3d_ref clean;   /* head image: (B, tokens, 3 patch^2) wanted, instead of these three */
    struct t3d_ref weight;  /* (B) */
    struct t3d_losses losses;
    struct t3d_ref loss;    /* their sum */
    struct t3d_ref made;    /* what is compared with rgb, or with clean, kept */
    struct t3d_ref picture; /* the unweighted error of rgb, kept: -10 log10 of it is the PSNR */
};
struct t3d_generator_step t3d_generator_step_build(struct t3d_graph *g,
                                                   const struct t3d_generator_config *c, int batch,
                                                   const struct t3d_loss_config *losses);

#endif
