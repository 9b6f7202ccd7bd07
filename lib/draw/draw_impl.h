/* SPDX-License-Identifier: Apache-2.0 */
/* draw/draw_impl.h -- what the files of the rasteriser share.
 *
 * One view goes through: transform (all vertices), setup (triangles that touch the picture, sorted
 * into tiles), then tile by tile: visibility of 8 samples a pixel, fragments (one for each triangle
 * seen in a pixel), shading, resolve. Screen coordinates: x right, y down, pixel (i, j) covers [i,
 * i+1) x [j, j+1); vertices are snapped to 1/256 pixel. */
#ifndef T3D_DRAW_DRAW_IMPL_H
#define T3D_DRAW_DRAW_IMPL_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/arena.h"
#include "draw/draw.h"

enum {
    T3DI_TILE = 64, /* pixels, both ways */
    T3DI_TILE_PIXELS = T3DI_TILE * T3DI_TILE,
    T3DI_SAMPLES = 8, /* coverage samples a pixel */
    T3DI_MAX_RESOLUTION = 4096,
    T3DI_GUARD = 4096, /* pixels around the picture without clipping */
    T3DI_MAX_LEVELS = 16,
    T3DI_MAX_TEXTURE = 4096, /* larger pictures are halved first */
    T3DI_MAX_LOBES = 6,
    T3DI_N_PASS = 4 /* shaded: colour, normal, albedo, metal-rough */
};

/* ---- the model ------------------------------------------------------------------------------- */

/* The mip chain of one picture under one use. Rows have one more texel and the picture one more row
 * than the level, so that a 2x2 footprint is always inside; what they hold follows the wrap mode.
 */
struct t3di_mips {
    uint32_t *texel; /* RGBA8 as stored (sRGB codes, or linear data) */
    float width[T3DI_MAX_LEVELS], height[T3DI_MAX_LEVELS];
    int32_t stride[T3DI_MAX_LEVELS], offset[T3DI_MAX_LEVELS]; /* texels */
    int n_levels;
    uint8_t wrap_s, wrap_t;
    uint8_t min_alpha; /* smallest alpha of level 0 */
};

enum t3di_mip_kind {
    T3DI_MIP_COLOR, /* sRGB, alpha ignored */
    T3DI_MIP_BLEND, /* sRGB, colours weighted by alpha */
    T3DI_MIP_MASK,  /* the same, and alpha scaled to keep the share of texels above the cutoff */
    T3DI_MIP_DATA,  /* linear, channels on their own */
    T3DI_MIP_GLOSS  /* RGB sRGB, alpha linear and independent */
};

struct t3di_texture {
    const struct t3di_mips *mips; /* NULL = no texture */
    uint8_t uv;                   /* 0..3: which of the shader's uv sets */
    uint8_t nearest, has_transform;
    float transform[6];
};

/* A material as one kind of draw uses it. */
struct t3di_shader {
    float base[4], emissive[3], specular[3];
    float metallic, roughness, glossiness, normal_scale, occlusion_strength, cutoff;
    uint8_t alpha_mode, unlit, spec_gloss;
    uint8_t has_color, has_normal, has_tangent, has_emissive;
    uint8_t n_uv, uv_set[T3D_MAX_UV]; /* the scene's uv slots that its textures use */
    uint8_t n_blocks;                 /* of a plane record, see below */
    struct t3di_texture texture[T3D_TEX_COUNT];
};

struct t3d_model {
    const struct t3d_scene *scene;
    struct t3d_arena arena;
    uint32_t n_vertices, n_triangles, n_shaders;
    float *x, *y, *z; /* normalised, padded to a multiple of 16 */
    uint32_t *shader_of_draw;
    uint32_t *draw_of_triangle; /* NULL when there is one draw */
    struct t3di_shader *shader;
    /* Tangents computed here, for vertices of draws that need them: [0] of triangles with positive
     * area in (u, v), [1] of those with negative. NULL when no draw needs them. */
    float (*tangent[2])[3];
    uint8_t *tangent_computed; /* per draw */
    int any_blend, any_mask;
};

/* ---- light ------------------------------------------------------------------------------------
 */

/* L(d) = ambient + gradient (d . up) + sum of lobes a exp(sharpness (d . axis - 1)): its
 * convolution with a cosine (irradiance) and with a reflection lobe has a closed form. */
struct t3di_lobe {
    float axis[3], sharpness, color[3];
};

struct t3d_light {
    const char *name;
    int flat; /* albedo only */
    int tone_map;
    float ambient[3], gradient[3];
    int n_lobes;
    struct t3di_lobe lobe[T3DI_MAX_LOBES];
    float key_direction[3],
        key_color[3];        /* towards the light; irradiance / pi at normal incidence */
    float irradiance[3][10]; /* of 1 x y z xy yz zx xx yy zz, divided by pi */
};

/* ---- a view -------------------------------------------------------------------------------------
 */

/* A triangle on the screen, vertices ordered so that the inside is positive. 1/w at (x, y) pixels
 * is z0 + zx (x - x[0]/256) + zy (y - y[0]/256). */
struct t3di_tri {
    int32_t x[3], y[3]; /* 1/256 pixel */
    float z0, zx, zy;
    float ax, ay; /* where z0 holds, pixels */
    uint32_t id;  /* scene triangle */
    uint32_t shader;
    int16_t px0, px1, py0, py1; /* pixels that can hold a covered sample, inclusive */
};

/* Plane record of one triangle: n_blocks x {value at the anchor, d/dx, d/dy} x 8 floats, of
 * attribute/w. Block 0: 1/w, u, v, *, nx, ny, nz, *; block 1: tangent xyz, *, colour rgba; block 2:
 * uv sets 1..3, *, *. The starred: value[3] = anchor x, dx[3] = anchor y (pixels), value[7] =
 * handedness of the tangent. */
enum { T3DI_BLOCK = 24 };

struct t3di_frag {
    uint32_t record; /* offset in records, in units of T3DI_BLOCK floats */
    uint16_t pixel;  /* in the tile, y * T3DI_TILE + x */
    uint8_t mask;    /* covered samples */
    uint8_t place;   /* samples at whose centroid it is shaded */
};

struct t3di_blend_frag {
    struct t3di_frag f;
    uint32_t shader, order; /* order = id of the triangle */
    float iw;
};

/* Where the time of a view goes: measured always (four clock readings a tile), read by tests/bench.
 */
enum t3di_phase {
    T3DI_TRANSFORM,
    T3DI_SETUP,
    T3DI_RASTER, /* and finding the fragments */
    T3DI_SHADE,
    T3DI_RESOLVE, /* and the colour under alpha 0 */
    T3DI_N_PHASE
};

static inline uint64_t t3di_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct t3di_view {
    uint64_t nanoseconds[T3DI_N_PHASE];
    const struct t3d_model *m;
    const struct t3d_light *light;
    struct t3d_canvas *c;
    int n_tiles;                    /* a side */
    double eye[3];                  /* in the world */
    float r[3][3], t[3];            /* world to OpenCV camera */
    float focal, center, near, far; /* pixels, pixels, distances */

    int32_t *sx, *sy; /* vertices */
    float *iw;        /* 1/w; -1 = must be clipped */
    size_t cap_vertices;

    struct t3di_tri *tri;
    size_t n_tri, cap_tri;
    uint32_t *bin_start; /* n_tiles^2 + 1 */
    uint32_t *bin;
    size_t cap_bin;

    uint32_t *record_of; /* per scene triangle, 0 = none yet */
    size_t cap_record_of;
    float *record;
    size_t n_record, cap_record; /* units of T3DI_BLOCK floats */

    /* one tile */
    float *z;                        /* [pixel][sample] 1/w, 0 = nothing */
    uint32_t *id;                    /* scene triangle where z > 0 */
    struct t3di_frag *frag, *sorted; /* T3DI_TILE_PIXELS * T3DI_SAMPLES each */
    uint32_t *frag_shader;
    uint32_t *shader_count; /* n_shaders + 1 */
    size_t cap_shaders;
    float (*acc)[T3DI_TILE_PIXELS][4]; /* [pass]: weighted sums; colour has the weight in [3] */
    float *through;                    /* [pixel][sample] transmittance of blended layers */
    struct t3di_blend_frag *blend;
    float (*blend_value)[T3DI_N_PASS * 4];
    uint32_t *blend_start, *blend_order;
    size_t n_blend, cap_blend;
    float *nearest_blend; /* [pixel] 1/w */

    uint64_t *covered, *filled; /* [row][tile x]: bit = pixel with alpha > 0; with colour */
    struct {
        double alpha, lum, lum2, weight;
        uint64_t samples, backfacing, color[3], n_color;
        float iw_min, iw_max;
    } sum;
    int out_of_memory;
};

/* Build (or find) the record of a triangle; 0 = out of memory. */
uint32_t t3di_record(struct t3di_view *v, uint32_t id);
/* Triangles on the screen, sorted into tiles. 0 or -1 (memory). */
int t3di_setup(struct t3di_view *v);
/* Clip against the near plane and the guard band and add what is left. */
int t3di_setup_clipped(struct t3di_view *v, uint32_t id, uint32_t shader);
int t3di_add_triangle(struct t3di_view *v, uint32_t id, uint32_t shader, const int32_t x[3],
                      const int32_t y[3], const float iw[3], const float known[5]);
/* beta_i(x, y) = c + dx (x - anchor) + dy (y - anchor) with attribute/w = sum of attribute_i
 * beta_i. */
void t3di_clip_planes(const struct t3di_view *v, uint32_t id, double anchor_x, double anchor_y,
                      double beta[3][3]);
int t3di_grow_blend(struct t3di_view *v);
/* Colour under alpha 0. */
void t3di_bleed(struct t3di_view *v);

/* The parts that exist once for each instruction set. */
struct t3di_isa {
    const char *name;
    void (*transform)(struct t3di_view *v);
    void (*tile)(struct t3di_view *v, int tx, int ty);
};
const struct t3di_isa *t3di_isa_portable(void);
const struct t3di_isa *t3di_isa_avx2(void); /* NULL when not compiled in */
const struct t3di_isa *t3di_isa_avx512(void);

/* texture.c, tangent.c */
int t3di_mips_new(struct t3di_mips **out, struct t3d_arena *a, const struct t3d_picture *p,
                  enum t3di_mip_kind kind, int wrap_s, int wrap_t, float cutoff,
                  struct t3d_err *err);
int t3di_tangents(struct t3d_model *m, struct t3d_err *err);

extern const float t3di_sample_x[T3DI_SAMPLES], t3di_sample_y[T3DI_SAMPLES]; /* pixels, in (0, 1) */
extern const int8_t t3di_sample_kx[T3DI_SAMPLES], t3di_sample_ky[T3DI_SAMPLES]; /* 1/16 pixel */
extern float t3di_centroid_x[256],
    t3di_centroid_y[256]; /* of a set of samples; filled at first use */

#endif
