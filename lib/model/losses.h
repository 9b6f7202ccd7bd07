/* SPDX-License-Identifier: Apache-2.0 */
/* model/losses.h -- what the loss of a training step is made of: the errors of colour and alpha,
 * and the terms that a run may add to them. Each term is one number, known by its name before its
 * share in the sum is taken.
 *
 *   ssim      1 - SSIM of the pictures over white, mean over windows wholly inside, channels and
 *             pictures: Gaussian window of 11 x 11, deviation 1.5 (Wang et al., "Image Quality
 *             Assessment", 2004, section III.C; = T3D_SSIM_GAUSS11 of metric/picture.h).
 *   perceptual  LPIPS of the pictures over white, mean over pictures (net/lpips_distance.h, rule of
 *             torchmetrics): GS-LRM and LGM have such a term at .5 and 1.
 *
 * With the Gaussians' drawn alpha A and depth D = sum of weight x z (draw/splat.h), the wanted
 * depth z of a pixel and its wanted alpha a:
 *
 *   depth     mean over all pixels of a |D - A z| / (A + .01). That is A / (A + .01) |D / A - z|,
 *             the distance of the expected depth from the wanted one, as far as anything is drawn
 *             there; pixels without a wanted depth count 0. In units of the normalised object.
 *             (L1 of the blended depth: Chung et al., "Depth-Regularized Optimization for 3D
 *             Gaussian Splatting in Few-Shot Images", 2024; with weights to the sum 1 and without
 *             a division by 0 here.)
 *   opacity   mean over all Gaussians of sigmoid(opacity): those that nothing needs vanish (Ziwen
 *             et al., "Long-LRM", 2024, which has it at .1). */
#ifndef T3D_MODEL_LOSSES_H
#define T3D_MODEL_LOSSES_H

#include <cjson/cJSON.h>

#include "num/graph.h"

struct t3d_lpips;

enum t3d_loss_term {
    T3D_LOSS_RGB,
    T3D_LOSS_ALPHA,
    T3D_LOSS_HAAR,
    T3D_LOSS_SSIM,
    T3D_LOSS_PERCEPTUAL,
    T3D_LOSS_DEPTH,
    T3D_LOSS_OPACITY,
    T3D_LOSS_TERMS
};
extern const char *const t3d_loss_name[T3D_LOSS_TERMS]; /* "rgb", "alpha", ... */

/* Shares of the terms that a run may add; 0 = it is not there, and costs nothing. */
struct t3d_loss_config {
    double ssim, perceptual, depth, opacity;
    const struct t3d_lpips *net; /* of perceptual; must outlive the graph */
};

struct t3d_losses {
    struct t3d_ref sum;                  /* of share x term */
    struct t3d_ref term[T3D_LOSS_TERMS]; /* kept; T3D_NONE where there is none */
    /* inputs of the depth (B, C, S, S, 1) and (B, C, S, S), else T3D_NONE: what is wanted (0 where
     * nothing is), and what each pixel counts: its alpha, 0 where no depth is wanted, times the
     * sample's weight */
    struct t3d_ref depth, counts;
};

/* Nothing yet. */
struct t3d_losses t3d_losses_begin(void);
void t3d_losses_add(struct t3d_graph *g, struct t3d_losses *l, enum t3d_loss_term term,
                    struct t3d_ref value, double share);

/* What was drawn of B samples' N Gaussians from C cameras. */
struct t3d_drawn {
    struct t3d_ref rgb, wanted;  /* (B, C, S, S, 3) over white, in [0, 1] */
    struct t3d_ref alpha, depth; /* (B, C, S, S, 1) */
    struct t3d_ref opacity;      /* (B, N, 1) before the sigmoid */
    struct t3d_ref weight;       /* (B) of the samples' pictures, or T3D_NONE */
};
/* The terms of c, which may be NULL. */
void t3d_losses_of_drawn(struct t3d_graph *g, struct t3d_losses *l, const struct t3d_loss_config *c,
                         const struct t3d_drawn *d);

/* The terms of the step that was run last, as numbers "loss_<name>" of the log's line. */
void t3d_losses_describe(const struct t3d_losses *l, struct t3d_graph *g, cJSON *line);

#endif
