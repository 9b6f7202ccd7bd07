/* SPDX-License-Identifier: Apache-2.0 */
/* model/reconstructor_step.h -- the graph of a reconstructor's training step: the Gaussians are
 * drawn from C cameras, some of them new to it, and compared with pictures. S is the side of a
 * picture.
 *
 * Loss: mean square of rgb over white and of alpha (LGM: Tang et al., 2024), and the mean absolute
 * value of three levels of Haar coefficients of rgb. Where patches are hidden the colour counts in
 * the object alone, as NeRF-MAE has it. What else is asked for (losses: NULL = nothing) is added.
 */
#ifndef T3D_MODEL_RECONSTRUCTOR_STEP_H
#define T3D_MODEL_RECONSTRUCTOR_STEP_H

#include "model/losses.h"
#include "model/reconstructor.h"

enum { T3D_RECONSTRUCTOR_COMPARED = 4 };

struct t3d_reconstructor_step {
    struct t3d_reconstructor m;
    struct t3d_ref cameras; /* (B, C, T3D_SPLAT_CAMERA) */
    struct t3d_ref rgb;     /* (B, C, S, S, 3) wanted, over white, in [0, 1] */
    struct t3d_ref alpha;   /* (B, C, S, S, 1) wanted */
    struct t3d_ref counts;  /* (B, C, S, S): 1 = the colour counts; T3D_NONE where all do */
    struct t3d_ref drawn;   /* (B, C, S, S, 3) over white, kept */
    struct t3d_losses losses;
    struct t3d_ref loss;    /* their sum */
    struct t3d_ref picture; /* the mean square of rgb, kept: -10 log10 of it is the PSNR */
};
struct t3d_reconstructor_step t3d_reconstructor_step_build(struct t3d_graph *g,
                                                           const struct t3d_generator_config *c,
                                                           int batch, int hides,
                                                           const struct t3d_loss_config *losses);

#endif
