/* SPDX-License-Identifier: Apache-2.0 */
/* metric/page_poster_impl.h -- still pictures of objects, from where the viewer starts. */
#ifndef T3D_METRIC_PAGE_POSTER_IMPL_H
#define T3D_METRIC_PAGE_POSTER_IMPL_H

#include "geom/gaussians.h"
#include "geom/scene.h"
#include "metric/page_object.h"

/* PNGs in the arena; g in the frame of the page. */
int t3di_poster_splats(struct t3d_page_png *out, const struct t3d_gaussians *g, int threads,
                       struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;
int t3di_poster_mesh(struct t3d_page_png *out, const struct t3d_scene *s, struct t3d_arena *a,
                     struct t3d_err *err) T3D_MUST_CHECK;
/* RGBA pixels as PNG. */
int t3di_png_in_arena(struct t3d_page_png *out, const uint8_t *pixels, uint32_t w, uint32_t h,
                      struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

#endif
