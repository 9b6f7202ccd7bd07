/* SPDX-License-Identifier: Apache-2.0 */
/* geom/measure.h -- numbers about a scene on which filter decides. Each is defined in
 * doc/formats.md. */
#ifndef T3D_GEOM_MEASURE_H
#define T3D_GEOM_MEASURE_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "geom/scene.h"

struct t3d_measures {
    uint64_t triangles, vertices;   /* as instanced, degenerate included */
    uint64_t vertices_welded;       /* distinct positions (bitwise, -0 = +0) */
    uint64_t components;            /* of triangles connected over welded vertices */
    uint64_t degenerate, duplicate; /* zero area or repeated welded corner; same three welded
                                       corners as an earlier triangle */
    /* Topology over welded positions leaves out triangles with a repeated corner; slivers of zero
     * area with three corners stay, for they close T-junctions. */
    uint64_t boundary_edges, nonmanifold_edges; /* welded: used by 1 triangle; by more than 2 */
    int watertight;         /* every edge used by exactly 2 triangles, by the stored indices */
    int watertight_welded;  /* the same by welded positions */
    int winding_consistent; /* welded: the triangles of each edge of two run over it oppositely */
    double volume, area; /* signed, from the box's centre (exact when closed); of stored winding */
    double bbox_min[3], bbox_max[3], radius; /* as stored, before normalising */
    double extent_ratio;                     /* smallest / largest side of the box */
    uint64_t materials, draws, images;
    uint64_t missing_textures, bad_textures; /* pictures referenced by a material in use */
    uint64_t base_width,
        base_height;             /* largest base-colour texture by its shorter side; 0 = none */
    uint64_t max_texture;        /* longest side of any texture in use */
    int alpha_mask, alpha_blend; /* some material in use has that mode */
    int has_vertex_colors, has_normals, has_uv; /* some draw has them (uv: slot 0) */
    double uv_coverage;     /* share of the area of triangles whose draw has uv slot 0 with non-zero
                               uv area */
    char geometry_hash[65]; /* SHA-256 over sorted triangles of positions normalised and rounded to
                               2^-14, winding and collapsed triangles aside: equal for the same
                               shape in another file; near-duplicates are objects of equal hash */
    struct t3d_scene_notes notes;
};

/* Fails only for lack of memory; scratch is taken from the arena. */
int t3d_measure(struct t3d_measures *m, const struct t3d_scene *s, struct t3d_arena *a,
                struct t3d_err *err) T3D_MUST_CHECK;

/* Flat JSON object; caller frees. */
cJSON *t3d_measures_json(const struct t3d_measures *m);

/* T3D_SKIP when no later stage can do anything with an object of these measures (as JSON): it has
 * no triangles, for the reason that the reader met first or "no-triangles", or they have
 * "no-extent". */
int t3d_measures_check(const cJSON *m, const char *uid, struct t3d_err *err);

#endif
