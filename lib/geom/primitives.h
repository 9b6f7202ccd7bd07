/* SPDX-License-Identifier: Apache-2.0 */
/* geom/primitives.h -- the built-in world: captioned procedural objects as .glb files.
 *
 *     struct t3d_primitive_object o;
 *     for (uint64_t i = 0; i < count; i++)
 *         t3d_primitives_object(&o, T3D_WORLD_FULL, seed, i, &arena, err);
 *
 * An object is a scene of one to three parts (12 shapes, 12 colours) that rest on each other or
 * stand side by side on the plane y = 0. "Left", "right", "behind" and "in front" are as seen from
 * view 0, which looks from +Z: left is -X, behind is -Z. The same (world, seed, index) gives the
 * same bytes.
 *
 * **The core**: red green blue yellow purple orange x cube sphere cylinder cone torus, one part (30
 * combinations) or "A on B" (900): ids 0..29 and 30..929. T3D_WORLD_CORE gives core scenes only:
 * each run of 930 indices holds every combination once, in an order that depends on the seed, so
 * that a prefix is a fair sample. T3D_WORLD_ONE: the same of the 30 lone parts. T3D_WORLD_FULL:
 * even indices are the core as above; odd ones are drawn:
 *
 *     parts       1: 30 %, 2: 45 %, 3: 25 %
 *     two parts   on 30 %, to the left of 20 %, behind 12 %, in front of 12 %, inside a ring 11 %,
 *                 a large one beside a small one 15 %
 *     three       A on B to the left of C 40 %, a row 35 %, a tower 25 %
 *     a part      textured (checkered, striped, dotted) 20 %, matte, shiny or metallic 15 %
 *
 * Outside of the core nothing is balanced on a tip or a ball. Sampled scenes vary a little in size,
 * gap and roughness, and polyhedra (outside of the core) in the angle at which they stand; the
 * canonical scene of a combination (t3d_primitives_core) does not.
 *
 * **Split**: test = held-out combinations, val = a few more, by the hash of the combination alone:
 * never by seed, index or count. A scene of the full world that holds "A on B" or a lone A as in a
 * held-out core combination, in plain material, is test too, so nothing held out is ever trained
 * on. */
#ifndef T3D_GEOM_PRIMITIVES_H
#define T3D_GEOM_PRIMITIVES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

enum {
    T3D_CORE_COLORS = 6,
    T3D_CORE_SHAPES = 5,
    T3D_CORE_KINDS = T3D_CORE_COLORS * T3D_CORE_SHAPES, /* kind = colour * 5 + shape */
    T3D_CORE_COMBINATIONS = T3D_CORE_KINDS + T3D_CORE_KINDS * T3D_CORE_KINDS,
    T3D_NOT_CORE = -1
};

enum t3d_world { T3D_WORLD_CORE, T3D_WORLD_FULL, T3D_WORLD_ONE };

struct t3d_primitive_object {
    char uid[64]; /* "prim-<seed>-<index>", "prim-core-..." or "prim-one-..."; "prim-canon-<id>" */
    char group[32];       /* of scenes with the same words in the canonical caption but for sizes */
    const char *split;    /* "train", "val" or "test" */
    int combination;      /* core combination id, or T3D_NOT_CORE */
    const char **caption; /* [0] is the canonical one; all in the arena */
    size_t n_captions;    /* at least 3 */
    const uint8_t *glb;
    size_t glb_size;
};

/* The object of (world, seed, index). Fails only for lack of memory. */
int t3d_primitives_object(struct t3d_primitive_object *out, enum t3d_world world, uint64_t seed,
                          uint64_t index, struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

/* The canonical scene of core combination id < T3D_CORE_COMBINATIONS; T3D_USAGE for others. */
int t3d_primitives_core(struct t3d_primitive_object *out, uint32_t id, struct t3d_arena *a,
                        struct t3d_err *err) T3D_MUST_CHECK;

/* The split of a core combination; its canonical caption (in the arena, NULL = out of memory); the
 * combination whose canonical caption this is, or T3D_NOT_CORE. */
const char *t3d_primitives_core_split(uint32_t id);
const char *t3d_primitives_core_caption(uint32_t id, struct t3d_arena *a);
int t3d_primitives_core_find(const char *caption);

/* Words: kinds[k] of combination id are colour and shape of its parts, top first. Returns the
 * number of parts (1 or 2). */
int t3d_primitives_core_kinds(uint32_t id, int colour[2], int shape[2]);
const char *t3d_primitives_color_name(int colour); /* NULL beyond the last */
const char *t3d_primitives_shape_name(int shape);

#endif
