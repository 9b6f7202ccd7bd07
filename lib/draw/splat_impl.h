/* SPDX-License-Identifier: Apache-2.0 */
/* draw/splat_impl.h -- what the parts of the Gaussian rasteriser share: the layout of its scratch
 * memory and the inner loops, which are compiled once for each instruction set (and once more in
 * double, with the numerics core).
 *
 * Forward, for each sample: prepare (Gaussians to covariances). For each view: project; sort by
 * depth; list the Gaussians of each tile; blend the tiles. Backward does the same, then walks each
 * tile's list from the back, writes ten sums for each pair of tile and Gaussian, adds the pairs of
 * a Gaussian in the order of tiles, and leads these through the projections of all views, in order,
 * back to the parameters. Nothing is added in an order that threads decide. */
#ifndef T3D_DRAW_SPLAT_IMPL_H
#define T3D_DRAW_SPLAT_IMPL_H

#include "draw/splat.h"

/* Inputs and outputs of the op. */
enum {
    T3DI_SPLAT_XYZ,
    T3DI_SPLAT_LOG_SCALE,
    T3DI_SPLAT_QUATERNION,
    T3DI_SPLAT_OPACITY,
    T3DI_SPLAT_RGB,
    T3DI_SPLAT_CAMERAS,
    T3DI_SPLAT_N_IN
};

enum {
    T3DI_TILE = 16, /* side of a tile, pixels */
    T3DI_SIDE = 4,  /* side of a block of pixels: a small Gaussian touches few of them */
    T3DI_SQUARE = T3DI_SIDE * T3DI_SIDE,
    T3DI_BLOCKS = T3DI_TILE * T3DI_TILE / T3DI_SQUARE, /* of a tile */
    T3DI_LANE = 16,                                    /* Gaussians worked on together */
    T3DI_CHUNK = 256 /* Gaussians of a tile whose weights backward keeps at once */
};

/* A block of Gaussians ready for any view, (field, lane). */
enum {
    T3DI_G_X,
    T3DI_G_Y,
    T3DI_G_Z,
    T3DI_G_XX, /* covariance */
    T3DI_G_XY,
    T3DI_G_XZ,
    T3DI_G_YY,
    T3DI_G_YZ,
    T3DI_G_ZZ,
    T3DI_G_LOG, /* of the opacity */
    T3DI_G_CUT, /* 2 ln(opacity / min_alpha): the squared radius, in deviations; <= 0 = not drawn */
    T3DI_G_RGB,
    T3DI_G_FIELDS = T3DI_G_RGB + 3
};

/* Sums over the pixels of a pair, or of a Gaussian in a view. With s = d^T conic d / 2, dx and dy
 * from the centre to the pixel, v = dL/ds. */
enum {
    T3DI_D_RGB,
    T3DI_D_DEPTH = 3,
    T3DI_D_V,
    T3DI_D_VX,
    T3DI_D_VXX,
    T3DI_D_VY,
    T3DI_D_VXY,
    T3DI_D_VYY,
    T3DI_D_FIELDS
};

/* A Gaussian as one camera sees it. */
struct t3di_splat2d {
    t3d_real u, v;           /* centre, pixels */
    t3d_real a, b, c;        /* conic: s = a dx^2 / 2 + b dx dy + c dy^2 / 2 */
    t3d_real log, rgb[3], z; /* log of the opacity */
    int16_t x0, y0, x1, y1;  /* pixels it may touch, inclusive */
    uint32_t gaussian;
};

struct t3di_pair {
    uint32_t splat; /* in struct t3di_view.splat */
    uint32_t slot;  /* in struct t3di_view.sums: a splat's are side by side, in order of tiles */
};

/* Pixels of a tile under way, block by block, each row by row. transmittance < 0: the pixel has
 * ended (at the magnitude). */
typedef t3d_real t3di_pixels[T3DI_BLOCKS][T3DI_SQUARE];

static inline t3d_real *t3di_pixel(t3di_pixels p, int x, int y)
{
    return &p[y / T3DI_SIDE * (T3DI_TILE / T3DI_SIDE) + x / T3DI_SIDE]
             [y % T3DI_SIDE * T3DI_SIDE + x % T3DI_SIDE];
}

struct t3di_tile {
    t3di_pixels transmittance, sum[4]; /* rgb, depth */
    int x, y;                          /* first pixel */
};

/* What backward keeps of a chunk: for each block that a pair has touched its pixels' alpha and the
 * transmittance before it. */
struct t3di_kept {
    t3d_real (*alpha)[T3DI_SQUARE], (*before)[T3DI_SQUARE]; /* (T3DI_CHUNK * T3DI_BLOCKS + 1) */
    uint8_t *block;                                         /* (the same) */
    uint32_t start[T3DI_CHUNK + 1];                         /* first block of pair i of the chunk */
};

/* Upstream gradients of a tile, and the sum of what lies behind. */
struct t3di_tile_grad {
    t3di_pixels of[4];  /* rgb, depth */
    t3di_pixels behind; /* dL/dalpha of the picture comes in here */
};

/* The parameters of n <= T3DI_LANE Gaussians. */
struct t3di_splat_params {
    const t3d_real *xyz, *log_scale, *quaternion, *opacity, *rgb;
    int n;
};

/* Gradients of a block's parameters, (field, lane). */
enum {
    T3DI_P_XYZ,
    T3DI_P_LOG_SCALE = 3,
    T3DI_P_QUATERNION = 6,
    T3DI_P_OPACITY = 10,
    T3DI_P_RGB,
    T3DI_P_FIELDS = T3DI_P_RGB + 3
};

struct t3di_splat_isa {
    /* The lanes beyond the n given are not drawn. */
    void (*prepare)(t3d_real block[T3DI_G_FIELDS][T3DI_LANE], const struct t3di_splat_params *p,
                    const struct t3d_splat *attr);
    /* Those of a block that are seen, to out; returns how many. */
    int (*project)(struct t3di_splat2d *out, const t3d_real block[T3DI_G_FIELDS][T3DI_LANE],
                   uint32_t first, const t3d_real *camera, const struct t3d_splat *attr);
    /* Blend pairs into the tile until all its pixels have ended; returns the pairs looked at. kept:
     * what backward needs, of at most T3DI_CHUNK pairs; or NULL. */
    int64_t (*blend)(struct t3di_tile *t, const struct t3di_splat2d *splat,
                     const struct t3di_pair *pair, int64_t n, const struct t3d_splat *attr,
                     struct t3di_kept *kept);
    /* The sums of n pairs whose blocks blend has kept, last first. */
    void (*unblend)(struct t3di_tile_grad *g, const struct t3di_tile *t,
                    const struct t3di_splat2d *splat, const struct t3di_pair *pair, int64_t n,
                    const struct t3di_kept *kept, t3d_real (*sums)[T3DI_D_FIELDS]);
    /* Through the projections of n_views views, in order, to the parameters: sums (view, stride,
     * field, lane). */
    void (*unproject)(t3d_real grad[T3DI_P_FIELDS][T3DI_LANE],
                      const t3d_real block[T3DI_G_FIELDS][T3DI_LANE],
                      const struct t3di_splat_params *p, const t3d_real *sums, int64_t view_stride,
                      const t3d_real *cameras, int n_views, const struct t3d_splat *attr);
};

const struct t3di_splat_isa *t3di_splat_isa(void); /* the best for this processor */
const struct t3di_splat_isa *t3di_splat_isa_portable(void);
const struct t3di_splat_isa *t3di_splat_isa_avx2(void);   /* NULL where it is not built */
const struct t3di_splat_isa *t3di_splat_isa_avx512(void); /* NULL where it is not built */

/* The functions of the op on a device (lib/draw/cuda; lib/draw/nocuda in builds without it). */
size_t t3di_splat_cuda_work(const struct t3d_call *c, int backward);
int t3di_splat_cuda_forward(const struct t3d_call *c, struct t3d_err *err);
int t3di_splat_cuda_backward(const struct t3d_call *c, struct t3d_err *err);

/* --- lists of the Gaussians of each tile (splat_list.c) -----------------------------------------
 */

struct t3di_view {
    struct t3di_splat2d *splat; /* (N) those seen, in the order of the Gaussians */
    uint32_t n;
    uint32_t *order, *key, *spare[2]; /* (N) order: splats by depth, ties by number */
    uint32_t *slot;                   /* (N) first slot of each splat in this region */
    struct t3di_pair *pair;           /* (capacity) */
    t3d_real (*sums)[T3DI_D_FIELDS];  /* (capacity) backward */
    uint32_t *start;                  /* (tiles + 1) of the region's tiles in pair */
    int64_t capacity;
};

/* Tiles [x0, x1) x [y0, y1). */
struct t3di_region {
    int x0, y0, x1, y1;
};

void t3di_splat_sort(struct t3di_view *v);
/* Pairs of the region's tiles. */
int64_t t3di_splat_count(const struct t3di_view *v, const struct t3di_region *r);
/* Fill slot, pair and start for a region whose pairs fit. */
void t3di_splat_list(struct t3di_view *v, const struct t3di_region *r);
/* The part of the region that a splat touches, empty when x0 >= x1 or y0 >= y1. */
static inline struct t3di_region t3di_splat_tiles(const struct t3di_splat2d *s,
                                                  const struct t3di_region *r)
{
    struct t3di_region t = {s->x0 / T3DI_TILE, s->y0 / T3DI_TILE, s->x1 / T3DI_TILE + 1,
                            s->y1 / T3DI_TILE + 1};

    t.x0 = t.x0 > r->x0 ? t.x0 : r->x0;
    t.y0 = t.y0 > r->y0 ? t.y0 : r->y0;
    t.x1 = t.x1 < r->x1 ? t.x1 : r->x1;
    t.y1 = t.y1 < r->y1 ? t.y1 : r->y1;
    return t;
}

#endif
