/* SPDX-License-Identifier: Apache-2.0 */
/* draw/splat_views.h -- an object made of Gaussians from every camera of a view set. */
#ifndef T3D_DRAW_SPLAT_VIEWS_H
#define T3D_DRAW_SPLAT_VIEWS_H

#include "geom/camera.h"
#include "geom/gaussians.h"

/* One object from one camera after the other, with room made once; one painter per thread.
 *
 *     t3d_splat_painter_new(&p, &gaussians, 512, 1, err);
 *     t3d_splat_paint(p, &camera, T3D_SPLAT_STRAIGHT, rgba, NULL, err);      for each camera
 *     t3d_splat_painter_free(p);
 */
struct t3d_splat_painter;

enum t3d_splat_background {
    T3D_SPLAT_STRAIGHT, /* straight alpha */
    T3D_SPLAT_BLACK     /* opaque, over black */
};

/* side: of the pictures, pixels. Copies the Gaussians. */
int t3d_splat_painter_new(struct t3d_splat_painter **out, const struct t3d_gaussians *g, int side,
                          int threads, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_splat_painter_free(struct t3d_splat_painter *p);
/* rgba (side, side, 4); depth (side, side) as below, or NULL. */
int t3d_splat_paint(struct t3d_splat_painter *p, const struct t3d_camera *c,
                    enum t3d_splat_background background, uint8_t *rgba, float *depth,
                    struct t3d_err *err) T3D_MUST_CHECK;

struct t3d_splat_picture {
    uint8_t *rgba; /* (views, side, side, 4) straight alpha, sRGB */
    float *depth;  /* (views, side, side) median depth along the camera's axis, 0 = nothing there */
};

/* Pictures of side x side pixels, in the arena. Threads share out the views, or, of very large
 * pictures, the parts of each; memory beside the pictures does not grow with their number. No
 * Gaussian gives empty pictures. */
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
