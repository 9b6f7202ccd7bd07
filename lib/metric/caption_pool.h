/* SPDX-License-Identifier: Apache-2.0 */
/* metric/caption_pool.h -- pictures of known scenes, among which that of a made object is looked
 * for.
 *
 * The candidates are a set of scenes of the built-in world (geom/primitives_set.h): "core", the 930
 * combinations of the core, or one of the richer pools. Their canonical scenes are drawn from the
 * four input views of a generator at its resolution, over white. A made object is drawn from the
 * same cameras; the candidate with the least sum of squared differences is the answer. No network
 * judges, so none can be fooled. */
#ifndef T3D_METRIC_CAPTION_POOL_H
#define T3D_METRIC_CAPTION_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "geom/gaussians.h"
#include "geom/primitives_set.h"
#include "geom/scene.h"

enum { T3D_CAPTION_VIEWS = 4 };

struct t3d_caption_pool;

/* set: a name of t3d_primitives_sets; side: of the pictures, pixels. */
int t3d_caption_pool_new(struct t3d_caption_pool **out, const char *set, int side, int threads,
                         struct t3d_err *err) T3D_MUST_CHECK;
void t3d_caption_pool_free(struct t3d_caption_pool *p);
const struct t3d_primitives_set *t3d_caption_pool_set(const struct t3d_caption_pool *p);

int t3d_caption_pool_side(const struct t3d_caption_pool *p);
size_t t3d_caption_pool_bytes(const struct t3d_caption_pool *p); /* of one candidate's pictures */
/* (4 views, side, side, RGB) over white; borrowed. */
const uint8_t *t3d_caption_pool_picture(const struct t3d_caption_pool *p, uint32_t candidate);
/* The candidate nearest to these pictures; of equal ones the first. */
uint32_t t3d_caption_pool_nearest(const struct t3d_caption_pool *p, const uint8_t *picture);
/* Sum of squared differences of two objects' pictures. */
uint64_t t3d_caption_pool_distance(const struct t3d_caption_pool *p, const uint8_t *a,
                                   const uint8_t *b);

/* The pictures of an object made of Gaussians. */
int t3d_caption_pool_draw(const struct t3d_caption_pool *p, const struct t3d_gaussians *g,
                          uint8_t *picture, struct t3d_err *err) T3D_MUST_CHECK;
/* Those of a mesh, normalised as the candidates are; read with T3D_READ_PIXELS. */
int t3d_caption_pool_paint(const struct t3d_caption_pool *p, const struct t3d_scene *scene,
                           uint8_t *picture, struct t3d_err *err) T3D_MUST_CHECK;
/* Those of n scenes (candidate[i], variant[i]) as t3d_primitives_set_object draws them: what the
 * world itself makes of their captions. picture (n, bytes). */
int t3d_caption_pool_variants(const struct t3d_caption_pool *p, const uint32_t *candidate,
                              const uint64_t *variant, size_t n, uint8_t *picture,
                              struct t3d_err *err) T3D_MUST_CHECK;

#endif
