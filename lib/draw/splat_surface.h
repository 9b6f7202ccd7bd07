/* SPDX-License-Identifier: Apache-2.0 */
/* draw/splat_surface.h -- the surface of an object made of Gaussians, as a coloured mesh.
 *
 * The Gaussians are drawn from all sides; their median depths make one solid (geom/tsdf.h) whose
 * surface is taken by marching cubes (geom/isosurface.h). Small loose pieces are dropped. The same
 * mesh for any number of threads. */
#ifndef T3D_DRAW_SPLAT_SURFACE_H
#define T3D_DRAW_SPLAT_SURFACE_H

#include "geom/colored_mesh.h"
#include "geom/scene.h"

#define T3D_SPLAT_SURFACE_ID "from:tsdf128" /* of the defaults, in names of metrics */

struct t3d_splat_surface {
    int resolution; /* grid points along the longest side, 16..512; 0 = 128 */
    int side;       /* pixels of a side of the depth pictures; 0 = 2 x resolution */
    int threads;
};

/* Arrays in the arena, in the Gaussians' own coordinates. T3D_SKIP "no-gaussians" without any,
 * "no-surface" when nothing is half opaque from any side, "non-finite" for a position or scale. */
int t3d_splat_surface(struct t3d_colored_mesh *out, const struct t3d_gaussians *g,
                      const struct t3d_splat_surface *o, struct t3d_arena *a,
                      struct t3d_err *err) T3D_MUST_CHECK;

/* Where the Gaussians are: box and bounding sphere of the centres of those that are at least a
 * tenth opaque (or else of all), each as large as its largest scale. */
int t3d_splat_frame(struct t3d_normalisation *n, const struct t3d_gaussians *g,
                    struct t3d_err *err) T3D_MUST_CHECK;

#endif
