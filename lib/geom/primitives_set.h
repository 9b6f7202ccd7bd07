/* SPDX-License-Identifier: Apache-2.0 */
/* geom/primitives_set.h -- scenes of the built-in world that differ in words: candidates among
 * which one is to be recognised.
 *
 *     r = t3d_primitives_set_new(&s, "relations", err);
 *     r = t3d_primitives_set_object(&o, s, i, 0, &arena, err);
 *     t3d_primitives_set_free(s);
 *
 * **core**: the 930 combinations, i = combination id. The others are pools of the drawn scenes of
 * T3D_WORLD_FULL (odd indices, seed 0, in order) that are not of the core, whose canonical caption
 * no scene before has, and that stand in their canonical arrangement too; the first 1,024 of
 *
 *     full        all of them
 *     three       three parts
 *     relations   two parts, other than one on the other
 *     textures    at least one part that is checkered, striped or dotted
 *
 * A caption of the pool thus always has its own scene among the candidates. The set's hash is over
 * all canonical captions. */
#ifndef T3D_GEOM_PRIMITIVES_SET_H
#define T3D_GEOM_PRIMITIVES_SET_H

#include "geom/primitives.h"

extern const char t3d_primitives_sets[]; /* "core full three relations textures" */

struct t3d_primitives_set;

struct t3d_primitives_words {
    int n_parts, relation;
    int color[3], shape[3]; /* of the parts, as the canonical caption names them */
    int n_textured;
};

/* T3D_USAGE for another name. */
int t3d_primitives_set_new(struct t3d_primitives_set **out, const char *name,
                           struct t3d_err *err) T3D_MUST_CHECK;
void t3d_primitives_set_free(struct t3d_primitives_set *s);

uint32_t t3d_primitives_set_count(const struct t3d_primitives_set *s);
const char *t3d_primitives_set_name(const struct t3d_primitives_set *s); /* "core930" */
const char *t3d_primitives_set_hash(const struct t3d_primitives_set *s); /* SHA-256, hex */
/* Borrowed; captions and split of scene i. */
const struct t3d_primitive_object *t3d_primitives_set_words(const struct t3d_primitives_set *s,
                                                            uint32_t i,
                                                            struct t3d_primitives_words *w);

/* Scene i as a file. variant 0: canonical, nothing varies; any other: what the caption leaves open
 * (sizes, gaps, roughness, angles of polyhedra outside of the core) is drawn, another number
 * another draw. */
int t3d_primitives_set_object(struct t3d_primitive_object *out, const struct t3d_primitives_set *s,
                              uint32_t i, uint64_t variant, struct t3d_arena *a,
                              struct t3d_err *err) T3D_MUST_CHECK;

#endif
