/* SPDX-License-Identifier: Apache-2.0 */
/* geom/surface.h -- points spread evenly over the triangles of a scene.
 *
 *     t3d_surface_new(&f, &scene, err);
 *     t3d_surface_sample(f, seed, uid, 0, 0, n, point, triangle, threads);
 *
 * Point i of a stream is a pure function of (seed, name, stream, i): its triangle is drawn in
 * proportion to the area (Walker's alias method as in Vose 1991), its place by barycentric
 * coordinates (1 - sqrt u, sqrt u (1 - v), sqrt u v) (Turk, Graphics Gems, 1990, p. 24). Nothing is
 * rejected, so the first k points of a stream are a sample of k points. */
#ifndef T3D_GEOM_SURFACE_H
#define T3D_GEOM_SURFACE_H

#include <stdint.h>

#include "geom/scene.h"

struct t3d_surface;

/* The scene is borrowed. T3D_SKIP "no-triangles" without any, "no-extent" when none has an area
 * that is a positive finite number. Triangles without area are never drawn. */
int t3d_surface_new(struct t3d_surface **out, const struct t3d_scene *s,
                    struct t3d_err *err) T3D_MUST_CHECK;
void t3d_surface_free(struct t3d_surface *f);

double t3d_surface_area(const struct t3d_surface *f);

/* Points first .. first + n - 1 of the stream, and the triangle of each (may be NULL). */
void t3d_surface_sample(const struct t3d_surface *f, uint64_t seed, const char *name,
                        uint64_t stream, uint64_t first, uint32_t n, float (*point)[3],
                        uint32_t *triangle, int threads);

/* The unit normal of a triangle by its winding, in single precision; zero when it has no area. */
void t3d_triangle_normal(const struct t3d_scene *s, uint32_t triangle, float normal[3]);

#endif
