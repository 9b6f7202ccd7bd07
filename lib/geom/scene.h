/* SPDX-License-Identifier: Apache-2.0 */
/* geom/scene.h -- what every reader makes and every later stage uses: one flat, instanced,
 * world-space scene.
 *
 * World: right-handed, +Y up (glTF 2.0 section 3.4). Node transforms, skins in rest pose and
 * default morph weights are applied; each node instance has its own vertices. Triangles are
 * counter-clockwise seen from outside; a reader flips those of instances with a negative
 * determinant. Polygons are fan-triangulated; strips and fans are expanded; degenerate triangles
 * are kept (they are a measure).
 *
 * A scene that passed t3d_scene_check has: every index < n_vertices and inside its draw's vertex
 * range, finite positions, normals, uv, colours, Gaussians and material values, image references in
 * range.
 */
#ifndef T3D_GEOM_SCENE_H
#define T3D_GEOM_SCENE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

enum { T3D_MAX_UV = 4 };              /* distinct TEXCOORD sets kept; slots are per scene */
#define T3D_MAX_TRIANGLES (64u << 20) /* more, as instanced, is T3D_SKIP "too-large" */
#define T3D_MAX_VERTICES  (96u << 20)
#define T3D_MAX_GAUSSIANS (16u << 20)

enum t3d_alpha_mode { T3D_ALPHA_OPAQUE, T3D_ALPHA_MASK, T3D_ALPHA_BLEND };
enum t3d_wrap { T3D_WRAP_REPEAT, T3D_WRAP_CLAMP, T3D_WRAP_MIRROR };

enum t3d_texture_slot {
    T3D_TEX_BASE,        /* sRGB + alpha: base colour, or spec-gloss diffuse */
    T3D_TEX_METAL_ROUGH, /* linear: G roughness, B metallic */
    T3D_TEX_SPEC_GLOSS,  /* sRGB specular, A linear glossiness; only with spec_gloss */
    T3D_TEX_NORMAL,      /* linear, tangent space, +Y up (OpenGL) */
    T3D_TEX_OCCLUSION,   /* linear, R */
    T3D_TEX_EMISSIVE,    /* sRGB */
    T3D_TEX_COUNT
};

struct t3d_texture {
    int32_t image;          /* index into images, -1 = no texture */
    uint8_t uv;             /* slot 0..T3D_MAX_UV-1 */
    uint8_t wrap_s, wrap_t; /* enum t3d_wrap */
    uint8_t nearest;        /* magnification filter is NEAREST */
    float transform[6]; /* u' = t0 u + t1 v + t2, v' = t3 u + t4 v + t5 (KHR_texture_transform) */
};

struct t3d_material {
    float base[4];     /* linear factor, straight alpha */
    float emissive[3]; /* linear factor, with KHR_materials_emissive_strength applied */
    float metallic, roughness;
    float normal_scale, occlusion_strength;
    float specular[3], glossiness; /* only with spec_gloss */
    float alpha_cutoff;
    uint8_t alpha_mode, double_sided, unlit, spec_gloss;
    struct t3d_texture texture[T3D_TEX_COUNT];
};

enum t3d_draw_flag {
    T3D_HAS_NORMAL = 1,  /* else flat: use the triangle's geometric normal */
    T3D_HAS_TANGENT = 2, /* xyz + handedness w */
    T3D_HAS_COLOR = 4,
    T3D_HAS_UV0 = 8 /* slot k: T3D_HAS_UV0 << k */
};

/* One primitive of one node instance: triangles [first, first + n) use vertices [first, first + n).
 */
struct t3d_draw {
    uint32_t first_triangle, n_triangles;
    uint32_t first_vertex, n_vertices;
    uint32_t material; /* always valid: readers add a default material when needed */
    uint32_t flags;    /* enum t3d_draw_flag */
};

enum t3d_image_state {
    T3D_PICTURE_OK,
    T3D_PICTURE_MISSING,
    T3D_PICTURE_BAD,
    T3D_PICTURE_UNSUPPORTED
};

struct t3d_picture {
    uint32_t width, height; /* 0 unless state is OK */
    uint8_t state;          /* enum t3d_image_state */
    uint8_t has_alpha;      /* the file can carry alpha */
    uint8_t *pixels;        /* (height, width, 4) sRGB RGBA; NULL unless asked for and OK */
};

/* What a reader passed over or repaired; all zero for a plain file. */
struct t3d_scene_notes {
    uint32_t n_nodes, n_meshes, n_skins, n_animations, n_morph_targets;
    uint32_t n_lines, n_points; /* primitives skipped because they are not surfaces */
    uint32_t n_bad_primitives;  /* skipped: bad accessor, index out of range, ... */
    uint32_t n_bad_indices;     /* in those */
    uint32_t n_non_finite;      /* vertices with a NaN or infinite position */
    uint32_t n_dropped_uv;      /* texture references beyond T3D_MAX_UV sets */
    char first_bad[64];         /* reason of the first bad primitive, "" if none */
    char format[16];            /* "glb", "gltf", "obj", ... */
    char generator[64];         /* asset.generator, printable, cut */
};

struct t3d_scene {
    uint32_t n_vertices, n_triangles, n_draws, n_materials, n_images, n_gaussians;
    float (*position)[3];
    float (*normal)[3];         /* NULL when no draw has it; zero where a draw has none */
    float (*tangent)[4];        /* likewise */
    float (*color)[4];          /* linear; 1 where a draw has none */
    float (*uv[T3D_MAX_UV])[2]; /* likewise, 0 */
    uint32_t (*triangle)[3];    /* into the whole vertex arrays */
    struct t3d_draw *draw;
    struct t3d_material *material;
    struct t3d_picture *image;
    float *gaussian; /* (14 n_gaussians,), see t3d_gaussians_in in geom/gaussians.h; of files of
                        splats, which have no triangles as a rule */
    struct t3d_scene_notes notes;
};

/* A material with glTF's defaults (white, metallic 1, roughness 1, opaque, single-sided). */
struct t3d_material t3d_material_default(void);

/* The invariants above; also that the draws' triangles follow each other without gaps and cover all
 * (vertex ranges may overlap), pictures that are OK have a size, and the notes are printable.
 * T3D_SKIP with reason "index-out-of-range", "non-finite", "bad-scene". */
int t3d_scene_check(const struct t3d_scene *s, struct t3d_err *err) T3D_MUST_CHECK;

/* Flat, position-independent form for the sandbox: size of, write into (64-byte aligned buffer),
 * and a scene whose pointers lead into buf (buf must outlive it). Unpack checks every size and
 * offset and then calls t3d_scene_check: buf may come from a hostile process. */
size_t t3d_scene_packed_size(const struct t3d_scene *s);
void t3d_scene_pack(const struct t3d_scene *s, void *buf);
int t3d_scene_unpack(struct t3d_scene *s, void *buf, size_t size,
                     struct t3d_err *err) T3D_MUST_CHECK;

/* Bounding box of all vertices that a triangle uses; T3D_SKIP "no-triangles" without any. */
int t3d_scene_bounds(const struct t3d_scene *s, double lo[3], double hi[3],
                     struct t3d_err *err) T3D_MUST_CHECK;

/* The normalised object: p' = (p - centre) * scale has its bounding-box centre at the origin and a
 * bounding sphere of the used vertices of radius 1. */
struct t3d_normalisation {
    double centre[3], scale;
};
int t3d_scene_normalisation(const struct t3d_scene *s, struct t3d_normalisation *n,
                            struct t3d_err *err) T3D_MUST_CHECK;

#endif
