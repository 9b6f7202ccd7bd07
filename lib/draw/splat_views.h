/* SPDX-License-Identifier: Apache-2.0 */
/* draw/splat_views.h -- an object made of Gaussians from every camera of a view set. */
#ifndef T3D_DRAW_SPLAT_VIEWS_H
#define T3D_DRAW_SPLAT_VIEWS_H

#include "geom/camera.h"
#include "geom/gaussians.h"

struct t3d_splat_picture {
    uint8_t *rgba; /* (views, side, side, 4) straight alpha, sRGB */
    float *depth;  /* (views, side, side) median depth along the camera's axis, 0 = nothing there */
};

/* Pictures of side x side pixels, in the arena; views are drawn one after the other, so memory does
 * not grow with their number. No Gaussian gives empty pictures. */
int t3d_splat_views(struct t3d_splat_picture *out, const struct t3d_gaussians *g,
                    const struct t3d_view_set *set, int side, int threads, struct t3d_arena *a,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* Gaussians that were trained at one resolution look thin at a higher one, since the low pass of
 * 0.3 pixels^2 that was part of every picture shrinks: it goes into the Gaussians themselves, each
 * scale s becomes sqrt(s^2 + 0.3 (2.7 / f)^2), f the focal length in pixels of training at side x
 * side. log_scale of out is in the arena, the rest is shared. */
int t3d_splat_soften(struct t3d_gaussians *out, const struct t3d_gaussians *g, int side,
                     struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

#endif
