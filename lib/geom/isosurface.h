/* SPDX-License-Identifier: Apache-2.0 */
/* geom/isosurface.h -- the surface where a field on a grid is zero, as a closed mesh.
 *
 *     struct t3d_grid g = {.n = {nx, ny, nz}, .origin = {..}, .step = h, .value = v};
 *     t3d_isosurface(&mesh, &g, threads, &arena, err);
 *     t3d_mesh_keep_large(&mesh, .02, &arena, err);
 *
 * Marching cubes (Lorensen and Cline 1987). Where the signs of a face's corners leave two ways open
 * the asymptotic decider chooses (Nielson and Hamann 1991), which depends on that face alone, so
 * neighbours agree. When the field is positive all over the grid's border the mesh is a closed
 * 2-manifold: an edge of the grid has one vertex, the four cells around it give one fan; no
 * diagonal of a polygon lies in a face of its cell. Fields are trilinear only at the faces: tunnels
 * through a single cell are not made. */
#ifndef T3D_GEOM_ISOSURFACE_H
#define T3D_GEOM_ISOSURFACE_H

#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

struct t3d_grid {
    int n[3]; /* points along x, y, z; each 2..1024 */
    double origin[3], step;
    const float *value; /* point (x, y, z) is number (z n[1] + y) n[0] + x, at origin + step (x, y,
                           z); below 0 = inside; finite */
};

struct t3d_mesh {
    uint32_t n_vertices, n_triangles;
    float (*position)[3];
    uint32_t (*triangle)[3]; /* counter-clockwise from outside */
};

/* Arrays in the arena. A field without zeros gives an empty mesh. Vertices and triangles come in
 * the grid's order, the same for any number of threads. T3D_SKIP "too-large" where there are more
 * than a scene may have. */
int t3d_isosurface(struct t3d_mesh *m, const struct t3d_grid *g, int threads, struct t3d_arena *a,
                   struct t3d_err *err) T3D_MUST_CHECK;

/* Drop, in place, connected pieces that are hollows (negative volume: no camera sees them) or have
 * fewer triangles than `share` of the largest. */
int t3d_mesh_keep_large(struct t3d_mesh *m, double share, struct t3d_arena *a,
                        struct t3d_err *err) T3D_MUST_CHECK;

/* Take bumps of the size of triangles from a closed mesh without shrinking it: `rounds` steps of
 * weight .5 and -.53 towards and from the mean of the neighbours (Taubin, "A Signal Processing
 * Approach to Fair Surface Design", 1995). */
int t3d_mesh_smooth(struct t3d_mesh *m, int rounds, struct t3d_arena *a,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* Unit normals of the vertices (n_vertices, 3): the mean of the triangles' around, by area; zero
 * where that has no direction. */
void t3d_mesh_normals(float (*normal)[3], const struct t3d_mesh *m);

#endif
