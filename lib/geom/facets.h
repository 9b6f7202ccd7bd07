/* SPDX-License-Identifier: Apache-2.0 */
/* geom/facets.h -- exact distances from points to the triangles of a mesh.
 *
 * The walk is that of geom/nearest.h: the sixteen points of a leaf ask together. It chooses the
 * triangle in single precision; the distance to that triangle is computed in double. */
#ifndef T3D_GEOM_FACETS_H
#define T3D_GEOM_FACETS_H

#include <stdint.h>

#include "geom/nearest.h"
#include "geom/scene.h"

struct t3d_facets;

/* The scene is borrowed. T3D_SKIP "no-triangles". Triangles without area count as what they are:
 * lines and points. */
int t3d_facets_new(struct t3d_facets **out, const struct t3d_scene *s, int threads,
                   struct t3d_err *err) T3D_MUST_CHECK;
void t3d_facets_free(struct t3d_facets *f);

/* The distance of each point of `from` to the mesh, in the order of from's input; and the triangle
 * (may be NULL). */
void t3d_facets_between(const struct t3d_nearest *from, const struct t3d_facets *to,
                        float *distance, uint32_t *triangle, int threads);

#endif
