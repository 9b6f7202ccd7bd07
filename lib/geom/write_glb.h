/* SPDX-License-Identifier: Apache-2.0 */
/* geom/write_glb.h -- binary glTF 2.0 files from meshes in memory.
 *
 *     struct t3d_glb g = {.mesh = &m, .n_meshes = 1, .material = &mat, .n_materials = 1};
 *     t3d_write_glb(&g, &arena, &bytes, &size, err);
 *
 * The bytes are a pure function of the description: no time, path or version is in them. Each mesh
 * becomes one mesh with one primitive and one node without a transform, in the order given; all are
 * roots of the one scene. Specification: glTF 2.0 (Khronos, 2021), sections 3 and 4.4. */
#ifndef T3D_GEOM_WRITE_GLB_H
#define T3D_GEOM_WRITE_GLB_H

#include "geom/scene.h"

struct t3d_glb_mesh {
    const char *name;                 /* of mesh and node, UTF-8; NULL = none */
    uint32_t n_vertices, n_triangles; /* both at least 1 */
    const float (*position)[3];
    const float (*normal)[3]; /* these may be NULL */
    const float (*tangent)[4];
    const float (*color)[4];          /* linear RGBA */
    const float (*uv[T3D_MAX_UV])[2]; /* slots are used from 0 without gaps */
    const uint32_t (*triangle)[3];    /* into this mesh's vertices */
    uint32_t material;
};

struct t3d_glb_image {
    const uint8_t *data; /* a whole PNG, JPEG or WebP file, embedded as it is */
    size_t size;
    const char *mime; /* "image/png", "image/jpeg" or "image/webp" (EXT_texture_webp) */
};

struct t3d_glb {
    const struct t3d_glb_mesh *mesh;
    const struct t3d_material *material; /* texture[].image leads into image */
    const char *const *material_name;    /* NULL, or n_materials names */
    const struct t3d_glb_image *image;
    uint32_t n_meshes, n_materials, n_images;
    const char *extras;       /* JSON text of the scene's extras; NULL = none */
    const char *asset_extras; /* the same of the asset */
};

/* *data is in the arena. T3D_USAGE "bad-glb" names the mesh and the field of a description that
 * makes no valid file (empty mesh, index out of range, non-finite position, reference out of
 * range); T3D_SKIP "too-large" above 4 GiB. */
int t3d_write_glb(const struct t3d_glb *g, struct t3d_arena *a, uint8_t **data, size_t *size,
                  struct t3d_err *err) T3D_MUST_CHECK;

#endif
