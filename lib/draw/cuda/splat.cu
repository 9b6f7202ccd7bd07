/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of the Gaussian rasteriser. The mathematics of a Gaussian is draw/splat_math.h. */
#include "num/cuda/device.cuh"

#include "draw/cuda/splat_kernel.h"

/* One Gaussian at a time (this hides device.cuh's vec, of neighbouring numbers). */
#define vec  float
#define ivec int

__device__ static inline vec v_load(const float *p)
{
    return *p;
}

__device__ static inline vec v_set(float x)
{
    return x;
}

__device__ static inline vec v_min(vec a, vec b)
{
    return fminf(a, b);
}

__device__ static inline vec v_max(vec a, vec b)
{
    return fmaxf(a, b);
}

__device__ static inline vec v_select(ivec yes, vec a, vec b)
{
    return yes ? a : b;
}

__device__ static inline vec v_abs(vec x)
{
    return fabsf(x);
}

__device__ static inline vec v_sqrt(vec x)
{
    return sqrtf(x);
}

__device__ static inline vec v_log(vec x)
{
    return logf(x);
}

__device__ static inline vec v_exp(vec x)
{
    return expf(x);
}

#define T3DI_EACH __device__ static inline
#define T3DI_ROW  1
#include "draw/splat_math.h"

enum {
    TILE = T3DI_TILE,
    WARPS = THREADS / WARP,
    FIELDS = T3DI_D_FIELDS,
    DIGIT_BITS = 8,
    DIGITS = 1 << DIGIT_BITS, /* a thread each */
    GROUP = 32                /* pairs whose sums are brought together at once */
};
static_assert(TILE * TILE == (int)THREADS && (int)DIGITS == (int)THREADS, "a thread a pixel, and a digit");

#define UNSEEN 0xffffffffu /* sorts last: the bits of no positive depth */

/* A Gaussian as one camera sees it. */
struct t3di_cuda_splat2d {
    float u, v, a, b, c, log, rgb[3], z; /* as struct t3di_splat2d */
    short x0, y0, x1, y1;                /* pixels it may touch, inclusive; x0 > x1: none */
};
static_assert(sizeof(struct t3di_cuda_splat2d) == T3DI_CUDA_SPLAT2D, "the layout of scratch memory");

/* --- into the picture ----------------------------------------------------------------------- */

/* Gaussian i of the batch, ready for any view. */
__device__ static void prepare(float g[T3DI_G_FIELDS][1], const struct t3di_cuda_splat &s, int64_t i)
{
    float log_scale[3], q[4], square = 0, opacity = load(s.opacity, i), sum = opacity;

    for (int k = 0; k < 3; k++) {
        g[T3DI_G_X + k][0] = load(s.xyz, 3 * i + k);
        g[T3DI_G_RGB + k][0] = load(s.rgb, 3 * i + k);
        log_scale[k] = load(s.log_scale, 3 * i + k);
        sum += g[T3DI_G_X + k][0] + g[T3DI_G_RGB + k][0];
    }
    for (int k = 0; k < 4; k++) {
        q[k] = load(s.quaternion, 4 * i + k);
        square += q[k] * q[k];
    }
    covariance_of(g[T3DI_G_XX], log_scale, q, 1 / sqrtf(square));
    for (int k = 0; k < 6; k++)
        sum += g[T3DI_G_XX + k][0];
    sum += square;
    g[T3DI_G_LOG][0] = log_sigmoid(opacity);
    /* anything not finite makes the sum so */
    g[T3DI_G_CUT][0] = isfinite(sum) && square > 0 ? 2 * (g[T3DI_G_LOG][0] - s.min_log) : -1;
}

__device__ static void load_camera(float camera[T3D_SPLAT_CAMERA], const struct t3di_cuda_splat &s,
                                   int64_t view)
{
    for (int k = 0; k < T3D_SPLAT_CAMERA; k++)
        camera[k] = load(s.cameras, view * T3D_SPLAT_CAMERA + k);
}

/* The pixels whose centre lies within radius of centre, and a little more; 0 when there are none. */
__device__ static int span(short *first, short *last, float centre, float radius, int size)
{
    float low = centre - radius - 0.52f, high = centre + radius - 0.48f;

    if (!(high >= 0 && low < (float)size))
        return 0;
    *first = low > 0 ? (short)low : 0;
    *last = high < (float)(size - 1) ? (short)high : (short)(size - 1);
    return 1;
}

static __global__ void project_kernel(struct t3di_cuda_splat s)
{
    int64_t n = s.samples * s.views * s.n;

    for (int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x; at < n;
         at += (int64_t)gridDim.x * THREADS) {
        int64_t view = at / s.n, i = at % s.n;
        struct t3di_cuda_splat2d o = {};
        float g[T3DI_G_FIELDS][1], camera[T3D_SPLAT_CAMERA], cut, idet;
        struct projection p;
        int seen;

        prepare(g, s, view / s.views * s.n + i);
        load_camera(camera, s, view);
        project_lanes(&p, g, 0, camera, s.width, s.height);
        cut = g[T3DI_G_CUT][0];
        idet = 1 / p.det;
        o.u = fmaf(p.t[0] * p.iz, camera[T3D_SPLAT_FX], camera[T3D_SPLAT_CX]);
        o.v = fmaf(p.t[1] * p.iz, camera[T3D_SPLAT_FY], camera[T3D_SPLAT_CY]);
        o.a = p.yy * idet;
        o.b = -p.xy * idet;
        o.c = p.xx * idet;
        o.log = g[T3DI_G_LOG][0];
        for (int k = 0; k < 3; k++)
            o.rgb[k] = g[T3DI_G_RGB + k][0];
        o.z = p.t[2];
        seen = cut > 0 && p.t[2] > s.near && p.det > 0 && idet > 0 &&
               span(&o.x0, &o.x1, o.u, sqrtf(cut * p.xx), s.width) &&
               span(&o.y0, &o.y1, o.v, sqrtf(cut * p.yy), s.height);
        if (!seen) {
            o.x0 = 1;
            o.x1 = 0;
        }
        s.splat[at] = o;
        s.key[0][at] = seen ? __float_as_uint(o.z) : UNSEEN;
        s.order[0][at] = (uint32_t)i;
    }
}

/* --- by depth ------------------------------------------------------------------------------- */

/* x becomes the sum over the threads before this one. */
__device__ static uint32_t before_me(uint32_t x)
{
    __shared__ uint32_t sum[THREADS];
    uint32_t t;

    __syncthreads();
    sum[threadIdx.x] = x;
    for (int step = 1; step < THREADS; step *= 2) {
        __syncthreads();
        t = (int)threadIdx.x >= step ? sum[threadIdx.x - step] : 0;
        __syncthreads();
        sum[threadIdx.x] += t;
    }
    __syncthreads();
    return sum[threadIdx.x] - x;
}

/* Lanes of this warp with the same digit. All of the warp call it. */
__device__ static unsigned same_digit(unsigned digit, int there)
{
    unsigned mask = warp_ballot(there);

    for (int b = 0; b < DIGIT_BITS; b++) {
        unsigned ones = warp_ballot(digit >> b & 1);

        mask &= digit >> b & 1 ? ones : ~ones;
    }
    return mask;
}

struct sorted {
    uint32_t *key, *order;
};

/* One pass of a radix sort of a view, least digit first, which keeps the order of equal digits. */
__device__ static void sort_pass(struct sorted from, struct sorted to, int64_t n, int shift)
{
    __shared__ uint32_t of_warp[WARPS][DIGITS];
    int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    uint32_t count = 0, next; /* of the digit that is this thread's */

    /* counted by the same walk that will place them, so that no atomics are needed */
    for (int place = 0; place < 2; place++) {
        next = place ? before_me(count) : 0;
        for (int64_t first = 0; first < n; first += THREADS) {
            int64_t i = first + threadIdx.x;
            int there = i < n;
            uint32_t key = there ? from.key[i] : 0, digit = key >> shift & (DIGITS - 1);
            unsigned mask = same_digit(digit, there);
            int rank = __popc(mask & ((1u << lane) - 1));

            for (int w = 0; w < WARPS; w++)
                of_warp[w][threadIdx.x] = 0;
            __syncthreads();
            if (there && rank == 0)
                of_warp[warp][digit] = (uint32_t)__popc(mask);
            __syncthreads();
            for (int w = 0; w < WARPS; w++) {
                uint32_t c = of_warp[w][threadIdx.x];

                of_warp[w][threadIdx.x] = next;
                next += c;
            }
            __syncthreads();
            if (there && place) {
                uint32_t at = of_warp[warp][digit] + (uint32_t)rank;

                to.key[at] = key;
                to.order[at] = from.order[i];
            }
            __syncthreads();
        }
        count = next;
    }
}

/* A block a view. The keys end up where they began: the number of passes is even. */
static __global__ void sort_kernel(struct t3di_cuda_splat s)
{
    int64_t base = (int64_t)blockIdx.x * s.n;
    struct sorted a = {s.key[0] + base, s.order[0] + base},
                  b = {s.key[1] + base, s.order[1] + base};

    for (int shift = 0; shift < 32; shift += 2 * DIGIT_BITS) {
        sort_pass(a, b, s.n, shift);
        __syncthreads();
        sort_pass(b, a, s.n, shift + DIGIT_BITS);
        __syncthreads();
    }
}

static __global__ void gather_kernel(struct t3di_cuda_splat s)
{
    int64_t n = s.samples * s.views * s.n;

    for (int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x; at < n;
         at += (int64_t)gridDim.x * THREADS) {
        int64_t view = at / s.n, k = at % s.n;
        const struct t3di_cuda_splat2d *o = s.splat + view * s.n + s.order[0][at];
        int seen = s.key[0][at] != UNSEEN;

        s.rect[4 * at] = o->x0;
        s.rect[4 * at + 1] = o->y0;
        s.rect[4 * at + 2] = o->x1;
        s.rect[4 * at + 3] = o->y1;
        if (seen && (k + 1 == s.n || s.key[0][at + 1] == UNSEEN))
            s.seen[view] = (uint32_t)(k + 1);
        if (!seen && k == 0)
            s.seen[view] = 0;
    }
}

void t3di_cuda_splat_project(const struct t3di_cuda_splat *s, void *stream)
{
    int64_t views = s->samples * s->views;

    T3DI_LAUNCH(project_kernel, blocks_for(views * s->n), THREADS, stream, *s);
    T3DI_LAUNCH(sort_kernel, (unsigned)views, THREADS, stream, *s);
    T3DI_LAUNCH(gather_kernel, blocks_for(views * s->n), THREADS, stream, *s);
}

/* --- blending ------------------------------------------------------------------------------- */

/* Where a thread is: its view, its tile, its pixel. */
struct place {
    int64_t view;
    int tile_x, tile_y, x, y;
};

__device__ static struct place place_here(const struct t3di_cuda_tiles &t)
{
    int wide = t.x1 - t.x0, tiles = wide * (t.y1 - t.y0), tile = (int)(blockIdx.x % (unsigned)tiles);
    struct place p;

    p.view = blockIdx.x / (unsigned)tiles;
    p.tile_x = t.x0 + tile % wide;
    p.tile_y = t.y0 + tile / wide;
    p.x = p.tile_x * TILE + (int)threadIdx.x % TILE;
    p.y = p.tile_y * TILE + (int)threadIdx.x / TILE;
    return p;
}

/* Gaussians of a tile, front to back; all of one block share it. */
struct chunk {
    struct t3di_cuda_splat2d splat[THREADS];
    uint32_t k[THREADS];        /* number by depth */
    uint32_t gaussian[THREADS]; /* in the sample */
    int of_warp[WARPS];
};

/* Those of the 256 from `first` by depth that touch the tile; all threads of the block call it. */
__device__ static int take_chunk(struct chunk *c, const struct t3di_cuda_splat &s,
                                 const struct place &p, uint32_t first, uint32_t seen)
{
    uint32_t k = first + threadIdx.x;
    int warp = (int)threadIdx.x / WARP, hit = 0, at = 0, total = 0;
    unsigned mask;

    if (k < seen) {
        const short *r = s.rect + 4 * (p.view * s.n + k);

        hit = r[0] / TILE <= p.tile_x && r[2] / TILE >= p.tile_x && r[1] / TILE <= p.tile_y &&
              r[3] / TILE >= p.tile_y;
    }
    mask = warp_ballot(hit);
    __syncthreads(); /* the chunk before may still be read */
    if (threadIdx.x % WARP == 0)
        c->of_warp[warp] = __popc(mask);
    __syncthreads();
    for (int w = 0; w < WARPS; w++) {
        at += w < warp ? c->of_warp[w] : 0;
        total += c->of_warp[w];
    }
    if (hit) {
        at += __popc(mask & ((1u << threadIdx.x % WARP) - 1));
        c->k[at] = k;
        c->gaussian[at] = s.order[0][p.view * s.n + k];
        c->splat[at] = s.splat[p.view * s.n + c->gaussian[at]];
    }
    __syncthreads();
    return total;
}

/* Is any thread of the block still at work? All of them call it. */
__device__ static int any_of_block(int yes)
{
    __shared__ unsigned of_warp[WARPS];
    unsigned mask = warp_ballot(yes), all = 0;

    __syncthreads();
    if (threadIdx.x % WARP == 0)
        of_warp[threadIdx.x / WARP] = mask;
    __syncthreads();
    for (int w = 0; w < WARPS; w++)
        all |= of_warp[w];
    return all != 0;
}

/* ln of what is left of the opacity at a pixel, dx and dy from the centre to it. */
__device__ static float log_alpha(const struct t3di_cuda_splat2d *o, float dx, float dy)
{
    float along = fmaf(dx, -0.5f * o->a, dy * -o->b);

    return fmaf(dx, along, fmaf(dy * dy, -0.5f * o->c, o->log));
}

static __global__ void blend_kernel(struct t3di_cuda_splat s, struct t3di_cuda_tiles t,
                                    struct t3di_dev rgb, struct t3di_dev alpha,
                                    struct t3di_dev depth)
{
    __shared__ struct chunk c;
    struct place p = place_here(t);
    uint32_t seen = s.seen[p.view];
    float light = 1, sum[3] = {0, 0, 0}, z = 0, x = (float)p.x + 0.5f, y = (float)p.y + 0.5f;
    int alive = 1;

    for (uint32_t first = 0; first < seen && any_of_block(alive); first += THREADS) {
        int n = take_chunk(&c, s, p, first, seen);

        for (int j = 0; j < n && alive; j++) {
            const struct t3di_cuda_splat2d *o = &c.splat[j];
            float log = log_alpha(o, x - o->u, y - o->v), a, weight;

            if (!(log >= s.min_log))
                continue;
            a = fminf(expf(log), MAX_ALPHA);
            if (!(light - a * light >= MIN_LIGHT)) {
                alive = 0;
                break;
            }
            weight = a * light;
            for (int k = 0; k < 3; k++)
                sum[k] = fmaf(weight, o->rgb[k], sum[k]);
            if (!s.median)
                z = fmaf(weight, o->z, z);
            else if (light > 0.5f && light - weight <= 0.5f)
                z = o->z;
            light -= weight;
        }
    }
    if (p.x < s.width && p.y < s.height) {
        int64_t at = (p.view * s.height + p.y) * s.width + p.x;

        for (int k = 0; k < 3; k++)
            store(rgb, 3 * at + k, sum[k]);
        store(alpha, at, 1 - light);
        store(depth, at, z);
    }
}

static unsigned tile_blocks(const struct t3di_cuda_splat *s, const struct t3di_cuda_tiles *t)
{
    return (unsigned)(s->samples * s->views * (t->x1 - t->x0) * (t->y1 - t->y0));
}

void t3di_cuda_splat_blend(const struct t3di_cuda_splat *s, struct t3di_dev rgb,
                           struct t3di_dev alpha, struct t3di_dev depth, void *stream)
{
    struct t3di_cuda_tiles t = {0, 0, (s->width + TILE - 1) / TILE, (s->height + TILE - 1) / TILE};

    T3DI_LAUNCH(blend_kernel, tile_blocks(s, &t), THREADS, stream, *s, t, rgb, alpha, depth);
}

/* --- and back: pairs ------------------------------------------------------------------------ */

/* The tiles of the region that a Gaussian touches; empty when x0 >= x1 or y0 >= y1. */
__device__ static struct t3di_cuda_tiles touched(const struct t3di_cuda_splat2d &o,
                                                 const struct t3di_cuda_tiles &t)
{
    struct t3di_cuda_tiles r = {o.x0 / TILE, o.y0 / TILE, o.x1 / TILE + 1, o.y1 / TILE + 1};

    if (o.x0 > o.x1)
        r.x1 = r.x0;
    r.x0 = r.x0 > t.x0 ? r.x0 : t.x0;
    r.y0 = r.y0 > t.y0 ? r.y0 : t.y0;
    r.x1 = r.x1 < t.x1 ? r.x1 : t.x1;
    r.y1 = r.y1 < t.y1 ? r.y1 : t.y1;
    return r;
}

__device__ static uint32_t area(const struct t3di_cuda_tiles &t)
{
    return t.x0 < t.x1 && t.y0 < t.y1 ? (uint32_t)((t.x1 - t.x0) * (t.y1 - t.y0)) : 0;
}

/* A block a view. */
static __global__ void slot_kernel(struct t3di_cuda_splat s, struct t3di_cuda_tiles t)
{
    int64_t base = (int64_t)blockIdx.x * s.n;
    uint32_t used = 0;
    __shared__ uint32_t last;

    for (int64_t first = 0; first < s.n; first += THREADS) {
        int64_t i = first + threadIdx.x;
        uint32_t mine = i < s.n ? area(touched(s.splat[base + i], t)) : 0, at = before_me(mine);

        if (i < s.n)
            s.slot[base + i] = used + at;
        if (threadIdx.x == THREADS - 1)
            last = at + mine;
        __syncthreads();
        used += last;
        __syncthreads();
    }
    if (threadIdx.x == 0)
        s.used[blockIdx.x] = used;
}

void t3di_cuda_splat_slots(const struct t3di_cuda_splat *s, const struct t3di_cuda_tiles *t,
                           void *stream)
{
    T3DI_LAUNCH(slot_kernel, (unsigned)(s->samples * s->views), THREADS, stream, *s, *t);
}

/* --- and back: pixels ----------------------------------------------------------------------- */

/* A pixel on its way back. */
struct back {
    float x, y, light, behind, of[3], depth;
    uint32_t stop; /* number by depth of the first that did not count */
};

/* Forward once more, for the light that is left and where the pixel ended. Returns the first of the
 * last chunk that any pixel of the tile looked at. */
__device__ static uint32_t forward_again(struct back *b, struct chunk *c,
                                         const struct t3di_cuda_splat &s, const struct place &p,
                                         uint32_t seen)
{
    uint32_t last = 0;
    int alive = 1;

    b->light = 1;
    b->stop = seen;
    for (uint32_t first = 0; first < seen && any_of_block(alive); first += THREADS) {
        int n = take_chunk(c, s, p, first, seen);

        last = first;
        for (int j = 0; j < n && alive; j++) {
            const struct t3di_cuda_splat2d *o = &c->splat[j];
            float log = log_alpha(o, b->x - o->u, b->y - o->v), a;

            if (!(log >= s.min_log))
                continue;
            a = fminf(expf(log), MAX_ALPHA);
            if (!(b->light - a * b->light >= MIN_LIGHT)) {
                alive = 0;
                b->stop = c->k[j];
                break;
            }
            b->light -= a * b->light;
        }
    }
    return last;
}

/* One pixel's part of a pair's sums; 0 when it has none. As unblend_lanes of the processor, whose
 * comment has the equations; the light before is found from the light after. */
__device__ static int unblend_pixel(struct back *b, const struct t3di_cuda_splat2d *o,
                                    float d[FIELDS])
{
    float dx = b->x - o->u, dy = b->y - o->v, log = log_alpha(o, dx, dy), a, e, v, weight;

    a = fminf(expf(log), MAX_ALPHA);
    b->light /= 1 - a;
    weight = a * b->light;
    e = b->depth * o->z;
    for (int k = 0; k < 3; k++) {
        e = fmaf(b->of[k], o->rgb[k], e);
        d[T3DI_D_RGB + k] = weight * b->of[k];
    }
    d[T3DI_D_DEPTH] = weight * b->depth;
    v = a >= MAX_ALPHA ? 0 : a * (b->behind / (1 - a) - b->light * e);
    b->behind = fmaf(weight, e, b->behind);
    d[T3DI_D_V] = v;
    d[T3DI_D_VX] = v * dx;
    d[T3DI_D_VXX] = v * dx * dx;
    d[T3DI_D_VY] = v * dy;
    d[T3DI_D_VXY] = v * dx * dy;
    d[T3DI_D_VYY] = v * dy * dy;
    return 1;
}

/* Sums of the warps over pairs of a group, brought together. */
struct group {
    float part[GROUP][WARPS][FIELDS];
};

/* Pairs c[first, first + n) of a chunk: the sums of their warps to where the pair has its place. */
__device__ static void put_group(const struct group *g, const struct chunk *c, int first, int n,
                                 const struct t3di_cuda_splat &s, const struct place &p,
                                 const struct t3di_cuda_tiles &t)
{
    __syncthreads();
    for (int i = (int)threadIdx.x; i < n * FIELDS; i += THREADS) {
        int j = i / FIELDS, field = i % FIELDS;
        struct t3di_cuda_tiles r = touched(c->splat[first + j], t);
        int64_t slot = s.slot[p.view * s.n + c->gaussian[first + j]] +
                       (uint32_t)((p.tile_y - r.y0) * (r.x1 - r.x0) + p.tile_x - r.x0);
        float sum = 0;

        for (int w = 0; w < WARPS; w++)
            sum += g->part[j][w][field];
        s.pair[(p.view * s.pairs + slot) * FIELDS + field] = sum;
    }
    __syncthreads();
}

static __global__ void unblend_kernel(struct t3di_cuda_splat s, struct t3di_cuda_tiles t,
                                      struct t3di_dev rgb, struct t3di_dev alpha,
                                      struct t3di_dev depth)
{
    __shared__ struct chunk c;
    __shared__ struct group g;
    struct place p = place_here(t);
    int64_t at = (p.view * s.height + p.y) * s.width + p.x;
    int inside = p.x < s.width && p.y < s.height;
    uint32_t seen = s.seen[p.view], first;
    struct back b;
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;

    b.x = (float)p.x + 0.5f;
    b.y = (float)p.y + 0.5f;
    first = forward_again(&b, &c, s, p, seen);
    for (int k = 0; k < 3; k++)
        b.of[k] = inside && rgb.p ? load(rgb, 3 * at + k) : 0;
    b.depth = inside && depth.p && !s.median ? load(depth, at) : 0;
    b.behind = inside && alpha.p ? -load(alpha, at) * b.light : 0;
    for (int64_t from = first; seen && from >= 0; from -= THREADS) {
        int n = take_chunk(&c, s, p, (uint32_t)from, seen);

        for (int end = n; end > 0; end -= GROUP) {
            int begin = end > GROUP ? end - GROUP : 0;

            for (int j = end - 1; j >= begin; j--) {
                const struct t3di_cuda_splat2d *o = &c.splat[j];
                float d[FIELDS] = {};
                int counts = c.k[j] < b.stop &&
                             log_alpha(o, b.x - o->u, b.y - o->v) >= s.min_log;

                if (counts)
                    unblend_pixel(&b, o, d);
                counts = warp_ballot(counts) != 0;
                for (int k = 0; k < FIELDS; k++) {
                    float sum = counts ? warp_sum(d[k]) : 0;

                    if (lane == 0)
                        g.part[j - begin][warp][k] = sum;
                }
            }
            put_group(&g, &c, begin, end - begin, s, p, t);
        }
    }
}

/* The pairs of each Gaussian, in the order of tiles. */
static __global__ void collect_kernel(struct t3di_cuda_splat s, struct t3di_cuda_tiles t)
{
    int64_t n = s.samples * s.views * s.n;

    for (int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x; at < n;
         at += (int64_t)gridDim.x * THREADS) {
        int64_t view = at / s.n, i = at % s.n;
        uint32_t pairs = area(touched(s.splat[at], t));

        for (uint32_t q = 0; q < pairs; q++)
            for (int k = 0; k < FIELDS; k++)
                s.sum[(view * FIELDS + k) * s.n + i] +=
                    s.pair[(view * s.pairs + s.slot[at] + q) * FIELDS + k];
    }
}

void t3di_cuda_splat_unblend(const struct t3di_cuda_splat *s, const struct t3di_cuda_tiles *t,
                             struct t3di_dev rgb, struct t3di_dev alpha, struct t3di_dev depth,
                             void *stream)
{
    int64_t views = s->samples * s->views;
    struct t3di_dev pair = {s->pair, 0};

    /* pairs that no pixel looked at stay 0 */
    t3di_cuda_zero(pair, views * s->pairs * FIELDS, stream);
    T3DI_LAUNCH(unblend_kernel, tile_blocks(s, t), THREADS, stream, *s, *t, rgb, alpha, depth);
    T3DI_LAUNCH(collect_kernel, blocks_for(views * s->n), THREADS, stream, *s, *t);
}

/* --- and back: parameters ------------------------------------------------------------------- */

__device__ static void give(struct t3di_dev g, int64_t i, float x, int set)
{
    if (g.p)
        store(g, i, set ? x : load(g, i) + x);
}

/* All views' shares of position, covariance, log opacity and colour. */
__device__ static void unproject_views(float g[13], const float block[T3DI_G_FIELDS][1],
                                       const struct t3di_cuda_splat &s, int64_t sample, int64_t i)
{
    for (int64_t v = sample * s.views; v < (sample + 1) * s.views; v++) {
        float d[FIELDS], camera[T3D_SPLAT_CAMERA], most = 0;

        for (int k = 0; k < FIELDS; k++) {
            d[k] = s.sum[(v * FIELDS + k) * s.n + i];
            most = fmaxf(most, fabsf(d[k]));
        }
        if (!(most > 0))
            continue; /* where nothing was drawn the projection need not be finite */
        load_camera(camera, s, v);
        unproject_lanes(g, block, 0, d, camera, s.width, s.height);
    }
}

static __global__ void unproject_kernel(struct t3di_cuda_splat s, struct t3di_cuda_splat_grad to)
{
    int64_t n = s.samples * s.n;

    for (int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x; at < n;
         at += (int64_t)gridDim.x * THREADS) {
        float block[T3DI_G_FIELDS][1], g[13] = {}, scale[3], q[4];
        int drawn;

        prepare(block, s, at);
        drawn = block[T3DI_G_CUT][0] > 0;
        unproject_views(g, block, s, at / s.n, at % s.n);
        for (int k = 0; k < 3; k++)
            scale[k] = load(s.log_scale, 3 * at + k);
        for (int k = 0; k < 4; k++)
            q[k] = load(s.quaternion, 4 * at + k);
        shape_grad(scale, q, g + 3);
        for (int k = 0; k < 3; k++) {
            give(to.xyz, 3 * at + k, drawn ? g[k] : 0, to.set_xyz);
            give(to.log_scale, 3 * at + k, drawn ? scale[k] : 0, to.set_log_scale);
            give(to.rgb, 3 * at + k, drawn ? g[10 + k] : 0, to.set_rgb);
        }
        for (int k = 0; k < 4; k++)
            give(to.quaternion, 4 * at + k, drawn ? q[k] : 0, to.set_quaternion);
        /* d log sigmoid(x) / dx = sigmoid(-x) */
        give(to.opacity, at, drawn ? g[9] / (1 + expf(load(s.opacity, at))) : 0, to.set_opacity);
    }
}

void t3di_cuda_splat_unproject(const struct t3di_cuda_splat *s,
                               const struct t3di_cuda_splat_grad *g, void *stream)
{
    T3DI_LAUNCH(unproject_kernel, blocks_for(s->samples * s->n), THREADS, stream, *s, *g);
}
