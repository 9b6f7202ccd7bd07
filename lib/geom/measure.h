/* SPDX-License-Identifier: Apache-2.0 */
/* geom/measure.h -- numbers about a scene on which filter decides. Each is defined in doc/formats.md. */
#ifndef T3D_GEOM_MEASURE_H
#define T3D_GEOM_MEASURE_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "geom/scene.h"

struct t3d_measures {
    uint64_t triangles, vertices;         /* as instanced, degenerate included */
    uint64_t vertices_welded;             /* distinct positions (bitwise, -0 = +0) */
    uint64_t components;                  /* of triangles connected over welded vertices */
    uint64_t degenerate, duplicate;       /* zero area or repeated corner; same three welded corners */
    uint64_t boundary_edges, nonmanifold_edges; /* welded: used by 1 triangle; by more than 2 */
    int watertight, watertight_welded;    /* every edge used by exactly 2 triangles; by stored indices,
                                             and by welded positions without degenerate triangles */
    int winding_consistent;               /* welded: the two triangles run over each edge oppositely */
    double volume, area;                  /* signed volume; of stored winding */
    double bbox_min[3], bbox_max[3], radius; /* as stored, before normalising */
    double extent_ratio;                  /* smallest / largest side of the box */
    uint64_t materials, draws, images;
    uint64_t missing_textures, bad_textures; /* referenced by a material in use */
    uint64_t base_width, base_height;     /* largest base-colour texture by its shorter side; 0 = none */
    uint64_t max_texture;                 /* longest side of any texture in use */
    int alpha_mask, alpha_blend, has_vertex_colors, has_normals, has_uv;
    double uv_coverage;                   /* share of the area of triangles whose draw has uv slot 0 with
                                             non-zero uv area */
    char geometry_hash[65];               /* SHA-256 over sorted triangles of positions normalised and
                                             rounded to 2^-14: equal for the same shape in another file */
    struct t3d_scene_notes notes;
};

/* Fails only for lack of memory; scratch is taken from the arena. */
int t3d_measure(struct t3d_measures *m, const struct t3d_scene *s, struct t3d_arena *a,
                struct t3d_err *err) T3D_MUST_CHECK;

/* Flat JSON object; caller frees. */
cJSON *t3d_measures_json(const struct t3d_measures *m);

#endif
