/* SPDX-License-Identifier: Apache-2.0 */
/* draw/cuda/splat_kernel.h -- the kernels of the Gaussian rasteriser as plain C calls; each puts
 * work on a stream and returns. Pure C: the op (op_splat.c) knows only this.
 *
 * A tile is a block of threads, a thread a pixel. Each tile walks all Gaussians of its view, sorted
 * by depth, 256 at a time, and keeps those that touch it: there are no lists in memory. Going back,
 * the sums of each pair of tile and Gaussian have a place of their own, and a Gaussian's pairs are
 * added in the order of tiles: no atomics, so the same bits each time. */
#ifndef T3D_DRAW_CUDA_SPLAT_KERNEL_H
#define T3D_DRAW_CUDA_SPLAT_KERNEL_H

#include <stdint.h>

#include "num/cuda/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is drawn, and the scratch memory of a call; V = samples x views. */
struct t3di_cuda_splat {
    int64_t samples, views, n; /* cameras and Gaussians a sample */
    int width, height, median;
    float near, min_log; /* min_log: of min_alpha */
    struct t3di_dev xyz, log_scale, quaternion, opacity, rgb, cameras;

    struct t3di_cuda_splat2d *splat; /* (V, n) as the camera sees them */
    uint32_t *key[2], *order[2];     /* (V, n) [0]: by depth, those not seen last; [1]: spare */
    short *rect;                     /* (V, n, 4) pixels touched, by depth */
    uint32_t *seen;                  /* (V) */
    /* backward */
    int64_t pairs;         /* room a view */
    uint32_t *slot, *used; /* (V, n) first pair of each Gaussian; (V) pairs of each view */
    float *pair;           /* (V, pairs, 10) */
    float *sum;            /* (V, 10, n) */
};
enum { T3DI_CUDA_SPLAT2D = 48 }; /* bytes of a struct t3di_cuda_splat2d */

/* Tiles [x0, x1) x [y0, y1). */
struct t3di_cuda_tiles {
    int x0, y0, x1, y1;
};

/* Fills splat, order, rect and seen. */
void t3di_cuda_splat_project(const struct t3di_cuda_splat *s, void *stream);
/* The pictures. */
void t3di_cuda_splat_blend(const struct t3di_cuda_splat *s, struct t3di_dev rgb,
                           struct t3di_dev alpha, struct t3di_dev depth, void *stream);
/* Fills slot and used for the pairs of these tiles. */
void t3di_cuda_splat_slots(const struct t3di_cuda_splat *s, const struct t3di_cuda_tiles *t,
                           void *stream);
/* Upstream gradients (an absent one has p = NULL), through these tiles, onto sum; slot is for them.
 */
void t3di_cuda_splat_unblend(const struct t3di_cuda_splat *s, const struct t3di_cuda_tiles *t,
                             struct t3di_dev rgb, struct t3di_dev alpha, struct t3di_dev depth,
                             void *stream);

/* Gradients of the inputs; set: overwrite. An absent one has p = NULL. */
struct t3di_cuda_splat_grad {
    struct t3di_dev xyz, log_scale, quaternion, opacity, rgb;
    int set_xyz, set_log_scale, set_quaternion, set_opacity, set_rgb;
};
void t3di_cuda_splat_unproject(const struct t3di_cuda_splat *s,
                               const struct t3di_cuda_splat_grad *g, void *stream);

#ifdef __cplusplus
}
#endif

#endif
