/* SPDX-License-Identifier: Apache-2.0 */
/* geom/primitives_impl.h -- what the parts of the procedural world share. */
#ifndef T3D_GEOM_PRIMITIVES_IMPL_H
#define T3D_GEOM_PRIMITIVES_IMPL_H

#include "base/rng.h"
#include "geom/primitives.h"

enum t3di_shape {
    T3DI_CUBE,
    T3DI_SPHERE,
    T3DI_CYLINDER,
    T3DI_CONE,
    T3DI_TORUS, /* the core */
    T3DI_PYRAMID,
    T3DI_PRISM,
    T3DI_CAPSULE,
    T3DI_TETRAHEDRON,
    T3DI_RING,
    T3DI_DOME,
    T3DI_STAR,
    T3DI_SHAPES
};

enum { T3DI_COLORS = 12, T3DI_WHITE = 6, T3DI_BLACK = 7, T3DI_MAX_ITEMS = 3 };

enum t3di_texture { T3DI_PLAIN, T3DI_CHECKER, T3DI_STRIPES, T3DI_DOTS };
enum t3di_finish { T3DI_USUAL, T3DI_MATTE, T3DI_SHINY, T3DI_METALLIC };
enum t3di_relation {
    T3DI_ALONE,
    T3DI_ON,
    T3DI_LEFT,
    T3DI_BEHIND,
    T3DI_FRONT,
    T3DI_INSIDE,
    T3DI_BESIDE,
    T3DI_ON_LEFT,
    T3DI_ROW,
    T3DI_TOWER
};

/* Sizes at scale 1, where every shape stands on y = 0 around the y axis. */
struct t3di_shape_info {
    const char *name, *synonym; /* synonym may be NULL */
    int round;                  /* a surface of revolution about y: turning it changes nothing */
    double height;
    double inradius, circumradius; /* of the footprint seen from above */
};
extern const struct t3di_shape_info t3di_shape[T3DI_SHAPES];

struct t3di_color {
    const char *name;
    uint8_t srgb[3];
    float linear[3];
};
extern const struct t3di_color t3di_color[T3DI_COLORS];

struct t3di_item {
    int shape, color, texture, finish;
    int size; /* 0 unsaid, 1 small, 2 large */
    double scale;
    double yaw; /* radians about y */
    double roughness;
    double at[3]; /* where the foot's centre stands */
};

struct t3di_layout {
    int relation, n;
    struct t3di_item item[T3DI_MAX_ITEMS];
};

/* A mesh in world space, watertight when equal positions are welded; normals are smooth on curved
 * parts and split at creases; uv in units of one texture tile. */
struct t3di_part {
    uint32_t n_vertices, n_triangles;
    float (*position)[3], (*normal)[3], (*uv)[2];
    uint32_t (*triangle)[3];
};

int t3di_part_build(struct t3di_part *p, const struct t3di_item *item, struct t3d_arena *a,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* Half the extents in x and z of an item as it stands. */
void t3di_item_extent(const struct t3di_item *item, double half[2]);

enum { T3DI_BALANCED = 1, T3DI_STABLE = 2 };

/* Height of A's foot above B's foot when A rests on B, both upright on one axis: touching, not
 * intersecting. T3DI_STABLE; T3DI_BALANCED on a tip, a ridge or a ball's top; 0 when A would not
 * stay or the pair is not meant to be stacked. */
int t3di_rest(const struct t3di_item *top, const struct t3di_item *bottom, double *height);

/* Fill scale and at of the items. r NULL: canonical. Returns how the least stable one stands, as
 * above. */
int t3di_arrange(struct t3di_layout *l, struct t3d_rng *r);

/* The scene of a core combination, and one that is drawn, with the stream of its (seed, index):
 * what they are of; the latter arranged too. */
#define T3DI_FULL_STREAM "t3d primitives"
void t3di_core_layout(struct t3di_layout *l, uint32_t id);
void t3di_sample_full(struct t3di_layout *l, struct t3d_rng *r);
/* Draw anew what the caption leaves open, and arrange. */
int t3di_vary(struct t3di_layout *l, struct t3d_rng *r);
/* Captions, split, group; and with the .glb. uid is there. */
int t3di_describe(struct t3d_primitive_object *out, const struct t3di_layout *l,
                  struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;
int t3di_write_object(struct t3d_primitive_object *out, const struct t3di_layout *l,
                      struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

/* Captions, [0] canonical; 0 or -1 when memory is out. */
int t3di_captions(const struct t3di_layout *l, const char ***caption, size_t *n,
                  struct t3d_arena *a);

/* "red cube", "red and white striped cube", ... without article or size; as in the canonical
 * caption. */
char *t3di_noun(const struct t3di_item *item, struct t3d_arena *a);

/* The .glb file. extras: JSON text. */
int t3di_layout_write(const struct t3di_layout *l, const char *extras, const uint8_t **glb,
                      size_t *size, struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

#endif
