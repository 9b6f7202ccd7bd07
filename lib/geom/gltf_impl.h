/* SPDX-License-Identifier: Apache-2.0 */
/* geom/gltf_impl.h -- the parts of the glTF 2.0 reader (Khronos, "glTF 2.0 Specification", ISO/IEC
 * 12113:2022; sections are named where a rule is used).
 *
 * Order of work: read_gltf.c splits the container, parses the JSON and drives the rest; nodes and
 * world matrices (_node); a plan of every primitive in use, which checks accessors and index ranges
 * and bounds all memory before it is taken (_plan); materials (_material); vertices and triangles
 * of each instance
 * (_draw); Gaussians (_splat); pictures (_material). Accessors and buffers are resolved once, when
 * first used
 * (_accessor, _buffer).
 *
 * Functions return T3D_OK, GLTF_BAD (this primitive is bad: g->why says why, the object goes on),
 * or a grade below zero that ends the read. */
#ifndef T3D_GEOM_GLTF_IMPL_H
#define T3D_GEOM_GLTF_IMPL_H

#include "base/jsontok.h"
#include "geom/read_impl.h"

enum { GLTF_BAD = 1 };
#define GLTF_NONE UINT32_MAX /* no such element */

enum gltf_array {
    GLTF_ACCESSORS,
    GLTF_VIEWS,
    GLTF_BUFFERS,
    GLTF_IMAGES,
    GLTF_MATERIALS,
    GLTF_MESHES,
    GLTF_NODES,
    GLTF_SAMPLERS,
    GLTF_SCENES,
    GLTF_SKINS,
    GLTF_TEXTURES,
    GLTF_ARRAYS
};

struct gltf_list {
    uint32_t *tok; /* token of each element */
    uint32_t n;
};

struct gltf_buffer {
    const uint8_t *data;
    size_t size;
    const char *why; /* not NULL: cannot be used */
    int open;        /* the fields above are set */
};

/* Elements of `width` components; component i of element e is at data + e * stride + i * size. */
struct gltf_accessor {
    const uint8_t *data; /* NULL = all zero (before the sparse values) */
    const uint8_t *sparse_index, *sparse_value;
    size_t stride;
    uint32_t count, n_sparse;
    uint16_t component; /* 5120 i8, 5121 u8, 5122 i16, 5123 u16, 5125 u32, 5126 f32 */
    uint8_t width, size, normalized, sparse_size;
    uint8_t open;    /* resolved */
    const char *why; /* not NULL: cannot be used */
};

/* Column-major, as in the file: m[4 * column + row]. The last row is 0 0 0 1. */
struct gltf_matrix {
    double m[16];
};

struct gltf_node {
    struct gltf_matrix world;
    uint32_t parent, mesh, skin;
    uint32_t tok;
    uint32_t n_instances; /* 1, or that of EXT_mesh_gpu_instancing */
    uint8_t active, instanced;
};

enum { GLTF_MAX_JOINT_SETS = 4 };

struct gltf_primitive {
    uint32_t tok;
    uint32_t position, normal, tangent, color, indices; /* accessors, or GLTF_NONE */
    uint32_t uv[T3D_MAX_UV];
    uint32_t joints[GLTF_MAX_JOINT_SETS], weights[GLTF_MAX_JOINT_SETS], n_joint_sets;
    uint32_t mode;                     /* 4 triangles, 5 strip, 6 fan */
    uint32_t material;                 /* GLTF_NONE = default */
    uint32_t first_vertex, n_vertices; /* range of vertices in use */
    uint32_t n_triangles;
    uint32_t n_targets;
    int bad;
};

struct gltf_mesh {
    struct gltf_primitive *primitive; /* the usable ones */
    uint32_t n;
    uint64_t n_vertices, n_triangles, morph_work;
    int planned;
};

struct gltf_skin {
    struct gltf_matrix *joint; /* world of joint times inverse bind matrix */
    uint32_t n;
    int mirrored; /* most joints have a negative determinant */
    int open;
    const char *why;
};

struct t3di_gltf {
    struct t3d_arena *a;
    struct t3d_scene *s;
    const struct t3d_source *src;
    struct t3d_err *err;
    unsigned flags;
    const char *why; /* with GLTF_BAD */

    struct t3d_jsontok j;
    struct gltf_list list[GLTF_ARRAYS];
    const uint8_t *bin; /* the BIN chunk of a .glb */
    size_t bin_size;

    struct gltf_buffer *buffer;
    struct gltf_accessor *accessor;
    struct gltf_node *node;
    uint32_t *order; /* nodes, parents before children */
    struct gltf_mesh *mesh;
    struct gltf_skin *skin;

    uint32_t *material_map;    /* material of the file -> of the scene, GLTF_NONE = not in use */
    uint32_t default_material; /* of the scene, GLTF_NONE = not in use */
    uint32_t *image_map;       /* image of the file -> of the scene */
    uint32_t uv_set[T3D_MAX_UV], n_uv;
};

/* --- small helpers (read_gltf.c) --- */
int t3di_gltf_bad(struct t3di_gltf *g, const char *why);
/* Object member that names an element of `array`: GLTF_NONE when absent; GLTF_NONE - 1 when it is
 * no valid index. */
#define GLTF_INVALID (UINT32_MAX - 1)
uint32_t t3di_gltf_ref(const struct t3di_gltf *g, uint32_t tok, const char *key,
                       enum gltf_array array);
/* Numbers of an array into out, as far as both reach; returns how many were there. */
size_t t3di_gltf_numbers(const struct t3di_gltf *g, uint32_t tok, double *out, size_t n);
uint32_t t3di_gltf_extension(const struct t3di_gltf *g, uint32_t tok, const char *name);

/* --- read_gltf_buffer.c --- */
int t3di_gltf_buffer(struct t3di_gltf *g, uint32_t index, const struct gltf_buffer **out);
/* Bytes of bufferView `index`. */
int t3di_gltf_view(struct t3di_gltf *g, uint32_t index, const uint8_t **data, size_t *size,
                   size_t *stride);
/* Bytes behind a uri: data: or an external file. T3D_SKIP from the resolver, "bad-uri". */
int t3di_gltf_uri(struct t3di_gltf *g, uint32_t tok, const uint8_t **data, size_t *size);
/* Ask the resolver for every external file, whatever it answers. */
int t3di_gltf_names(struct t3di_gltf *g);

/* --- read_gltf_accessor.c --- */
int t3di_gltf_accessor(struct t3di_gltf *g, uint32_t index, const struct gltf_accessor **out);
/* Elements [first, first + n) as floats, a.width each (normalised where the accessor says so, or
 * always when normalize is set). */
void t3di_gltf_floats(const struct gltf_accessor *a, uint32_t first, uint32_t n, int normalize,
                      float *out);
/* The same as whole numbers, for component types u8, u16, u32. */
void t3di_gltf_wholes(const struct gltf_accessor *a, uint32_t first, uint32_t n, uint32_t *out);

/* --- read_gltf_node.c --- */
int t3di_gltf_nodes(struct t3di_gltf *g);
int t3di_gltf_skin(struct t3di_gltf *g, uint32_t index, const struct gltf_skin **out);
/* World matrix of instance i of a node. */
int t3di_gltf_instance(struct t3di_gltf *g, const struct gltf_node *n, uint32_t i,
                       struct gltf_matrix *out);
int t3di_gltf_instance_count(struct t3di_gltf *g, struct gltf_node *n);
double t3di_gltf_determinant(const struct gltf_matrix *m);

/* --- read_gltf_plan.c --- */
int t3di_gltf_plan(struct t3di_gltf *g);
void t3di_gltf_count_bad(struct t3di_gltf *g);

/* --- read_gltf_material.c --- */
int t3di_gltf_materials(struct t3di_gltf *g);
int t3di_gltf_pictures(struct t3di_gltf *g);

/* --- read_gltf_splat.c --- */
int t3di_gltf_splats(struct t3di_gltf *g);

/* --- read_gltf_draw.c --- */
int t3di_gltf_draws(struct t3di_gltf *g);

#endif
