/* SPDX-License-Identifier: Apache-2.0 */
/* geom/inside.h -- which cells of a regular grid have their centre inside a mesh.
 *
 * Where every edge (of welded positions) is used by exactly two triangles: parity, the number of
 * surfaces crossed on the way to infinity is odd. Else the generalised winding number (Jacobson,
 * Kavan, Sorkine-Hornung, "Robust inside-outside segmentation using generalized winding numbers",
 * SIGGRAPH 2013): inside where its absolute value is at least .5.
 *
 * Both are exact up to rounding at cells that lie on the surface, at any number of triangles:
 * crossings are counted along the columns of the grid, with each edge of a slice shared by its
 * triangles; an open mesh is closed by a fan over each boundary loop, whose solid angle is then
 * taken off again where it can matter. */
#ifndef T3D_GEOM_INSIDE_H
#define T3D_GEOM_INSIDE_H

#include <stdint.h>

#include "geom/scene.h"

struct t3d_arena;

enum { T3D_GRID = 128 }; /* cells along each axis */

struct t3d_grid {
    double lo[3],
        hi[3]; /* cell i of an axis has its centre at lo + (i + .5) (hi - lo) / T3D_GRID */
};

struct t3d_inside {
    uint8_t *cell; /* (x, y, z), T3D_GRID each, in the arena: 1 = inside */
    int closed;    /* decided by parity */
    uint64_t n;    /* cells inside */
    uint32_t caps; /* triangles that closed the mesh */
};

/* T3D_SKIP "no-extent" when the box has no volume. */
int t3d_inside(struct t3d_inside *in, const struct t3d_scene *s, const struct t3d_grid *g,
               struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

#endif
