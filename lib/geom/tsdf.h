/* SPDX-License-Identifier: Apache-2.0 */
/* geom/tsdf.h -- one solid from depth pictures all around it: a truncated signed distance field
 * (Curless and Levoy, "A Volumetric Method for Building Complex Models from Range Images", 1996).
 *
 *     t3d_tsdf(&grid, &views, 128, threads, &arena, err);
 *     t3d_isosurface(&mesh, &grid, threads, &arena, err);
 *     t3d_tsdf_colors(color, &mesh, &views, grid.step, threads);
 *
 * The distance that a view gives a point is that to the plane through its pixel's surface point.
 * What no view has seen is inside, so the surface has no holes. */
#ifndef T3D_GEOM_TSDF_H
#define T3D_GEOM_TSDF_H

#include "geom/camera.h"
#include "geom/isosurface.h"

struct t3d_depth_views {
    const struct t3d_view_set *set;
    int side;            /* pictures are side x side pixels, 8..16384 */
    const float *depth;  /* (views, side, side) along the camera's axis; 0 = nothing there */
    const uint8_t *rgba; /* (views, side, side, 4) sRGB, or NULL: only colors needs it */
};

/* Distances in steps of the grid, cut to [-1, 1] x T3D_TSDF_STEPS. The longest side of the box of
 * all surface points takes `resolution` points (16..512) less a margin; cells are cubes, the grid's
 * border is outside. value is in the arena. T3D_SKIP "no-surface" when the pictures are empty. */
enum { T3D_TSDF_STEPS = 4 };
int t3d_tsdf(struct t3d_grid *g, const struct t3d_depth_views *v, int resolution, int threads,
             struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

/* Colours of vertices with their normals, linear RGBA: the mean over the views that see a vertex,
 * by the square of the cosine; what none sees takes the colour of a neighbour on the mesh. step:
 * the grid's. T3D_FAIL without memory. */
int t3d_tsdf_colors(float (*color)[4], const struct t3d_mesh *m, const float (*normal)[3],
                    const struct t3d_depth_views *v, double step, int threads,
                    struct t3d_err *err) T3D_MUST_CHECK;

#endif
