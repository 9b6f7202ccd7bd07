/* SPDX-License-Identifier: Apache-2.0 */
/* The op: shapes, scratch memory, and the order of work. */
#include "draw/splat.h"

#include <math.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/isa.h"
#include "draw/splat_impl.h"

enum {
    XYZ = T3DI_SPLAT_XYZ,
    LOG_SCALE = T3DI_SPLAT_LOG_SCALE,
    QUATERNION = T3DI_SPLAT_QUATERNION,
    OPACITY = T3DI_SPLAT_OPACITY,
    RGB = T3DI_SPLAT_RGB,
    CAMERAS = T3DI_SPLAT_CAMERAS,
    N_IN = T3DI_SPLAT_N_IN
};
enum { OUT_RGB, OUT_ALPHA, OUT_DEPTH, N_OUT };
enum { MAX_SIDE = 16384, PAIRS_PER_GAUSSIAN = 4, SMALL = 4096 };

const struct t3di_splat_isa *t3di_splat_isa(void)
{
    if (t3d_isa() >= T3D_ISA_AVX512 && t3di_splat_isa_avx512())
        return t3di_splat_isa_avx512();
    if (t3d_isa() >= T3D_ISA_AVX2 && t3di_splat_isa_avx2())
        return t3di_splat_isa_avx2();
    return t3di_splat_isa_portable();
}

/* --- shapes -------------------------------------------------------------------------------------
 */

static const struct t3d_splat *attr_of(const struct t3d_call *c)
{
    return c->attr;
}

static int check_input(struct t3d_call *c, int i, int64_t rows, int64_t width, const char *what,
                       struct t3d_err *err)
{
    const struct t3d_shape *s = &c->in_shape[i];

    if (s->n != 3 || s->type != T3D_REAL || s->dim[0] != c->in_shape[XYZ].dim[0] ||
        (rows && s->dim[1] != rows) || s->dim[2] != width)
        return t3d_shape_error(c, err, "%s must be (B, %s, %lld)", what, i == CAMERAS ? "V" : "N",
                               (long long)width);
    return T3D_OK;
}

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    static const struct {
        int64_t width;
        const char *name;
    } in[] = {{3, "xyz"},     {3, "log_scale"}, {4, "quaternion"},
              {1, "opacity"}, {3, "rgb"},       {T3D_SPLAT_CAMERA, "cameras"}};
    const struct t3d_splat *a = attr_of(c);
    int64_t n = c->in_shape[XYZ].n == 3 ? c->in_shape[XYZ].dim[1] : 0;

    for (int i = 0; i < N_IN; i++)
        if (check_input(c, i, i == CAMERAS ? 0 : n, in[i].width, in[i].name, err) < 0)
            return T3D_USAGE;
    if (n > INT32_MAX / T3DI_LANE || a->width < 1 || a->height < 1 || a->width > MAX_SIDE ||
        a->height > MAX_SIDE)
        return t3d_shape_error(c, err, "pictures of %d x %d are not drawn: sides are 1 to %d",
                               a->width, a->height, MAX_SIDE);
    if (a->pairs < n || a->pairs > UINT32_MAX)
        return t3d_shape_error(c, err,
                               "room for %lld pairs: at least one for each of %lld "
                               "Gaussians is needed",
                               (long long)a->pairs, (long long)n);
    for (int i = 0; i < N_OUT; i++)
        c->out_shape[i] = T3D_SHAPE(c->in_shape[XYZ].dim[0], c->in_shape[CAMERAS].dim[1], a->height,
                                    a->width, i == OUT_RGB ? 3 : 1);
    return T3D_OK;
}

static double flops(const struct t3d_call *c)
{
    /* projecting, and about a hundred operations for each of some twenty pixels */
    return 2300. * (double)c->in_shape[XYZ].dim[1] * (double)c->in_shape[CAMERAS].dim[0] *
           (double)c->in_shape[CAMERAS].dim[1];
}

/* --- scratch memory ------------------------------------------------------------------------------
 */

/* The sizes of a call. */
struct dims {
    int64_t samples, views, n, blocks; /* Gaussians of a sample, and blocks of T3DI_LANE */
    int tiles_x, tiles_y;
    int64_t chunks; /* of one tile's list, at most */
};

static struct dims dims_of(const struct t3d_call *c)
{
    const struct t3d_splat *a = attr_of(c);
    struct dims d = {.samples = c->in_shape[XYZ].dim[0],
                     .views = c->in_shape[CAMERAS].dim[1],
                     .n = c->in_shape[XYZ].dim[1],
                     .tiles_x = (a->width + T3DI_TILE - 1) / T3DI_TILE,
                     .tiles_y = (a->height + T3DI_TILE - 1) / T3DI_TILE};

    d.blocks = (d.n + T3DI_LANE - 1) / T3DI_LANE;
    d.chunks = (d.n + T3DI_CHUNK - 1) / T3DI_CHUNK;
    return d;
}

/* What a thread that blends tiles needs. */
struct brush {
    struct t3di_tile *tile;
    struct t3di_tile_grad *grad;
    struct t3di_kept kept;
    t3di_pixels *light; /* (chunks) transmittance before each chunk */
};

struct scratch {
    t3d_real (*block)[T3DI_G_FIELDS][T3DI_LANE]; /* (samples, blocks) */
    t3d_real *sums;         /* (samples, views, blocks, T3DI_D_FIELDS, T3DI_LANE) backward */
    struct t3di_view *view; /* (threads) */
    struct brush *brush;    /* (threads) */
};

/* Hands out pieces of a block of memory; with base NULL it only counts. */
struct carver {
    char *base;
    size_t used;
};

static void *carve(struct carver *m, int64_t n, size_t size)
{
    void *p = m->base ? m->base + m->used : NULL;

    m->used += ((size_t)n * size + 63) & ~(size_t)63;
    return p;
}

static void carve_view(struct carver *m, struct t3di_view *v, const struct dims *d,
                       int64_t capacity, int backward)
{
    v->capacity = capacity;
    v->splat = carve(m, d->n + T3DI_LANE, sizeof *v->splat);
    v->order = carve(m, d->n, sizeof *v->order);
    v->key = carve(m, d->n, sizeof *v->key);
    v->spare[0] = carve(m, d->n, sizeof *v->spare[0]);
    v->spare[1] = carve(m, d->n, sizeof *v->spare[1]);
    v->slot = carve(m, d->n, sizeof *v->slot);
    v->start = carve(m, (int64_t)d->tiles_x * d->tiles_y + 1, sizeof *v->start);
    v->pair = carve(m, capacity, sizeof *v->pair);
    v->sums = backward ? carve(m, capacity, sizeof *v->sums) : NULL;
}

static void carve_brush(struct carver *m, struct brush *b, const struct dims *d, int backward)
{
    b->tile = carve(m, 1, sizeof *b->tile);
    if (!backward)
        return;
    b->grad = carve(m, 1, sizeof *b->grad);
    b->kept.alpha = carve(m, T3DI_CHUNK * T3DI_BLOCKS + 1, sizeof *b->kept.alpha);
    b->kept.before = carve(m, T3DI_CHUNK * T3DI_BLOCKS + 1, sizeof *b->kept.before);
    b->kept.block = carve(m, T3DI_CHUNK * T3DI_BLOCKS + 1, 1);
    b->light = carve(m, d->chunks, sizeof *b->light);
}

static size_t layout(const struct t3d_call *c, int backward, void *base, struct scratch *s)
{
    struct dims d = dims_of(c);
    struct carver m = {base, 0};

    s->block = carve(&m, d.samples * d.blocks, sizeof *s->block);
    s->sums = backward ? carve(&m, d.samples * d.views * d.blocks,
                               sizeof(t3d_real[T3DI_D_FIELDS][T3DI_LANE]))
                       : NULL;
    s->view = carve(&m, c->threads, sizeof *s->view);
    s->brush = carve(&m, c->threads, sizeof *s->brush);
    for (int i = 0; i < c->threads; i++) {
        struct t3di_view v;
        struct brush b = {0};

        carve_view(&m, &v, &d, attr_of(c)->pairs, backward);
        carve_brush(&m, &b, &d, backward);
        if (base) {
            s->view[i] = v;
            s->brush[i] = b;
        }
    }
    return m.used;
}

static size_t work(const struct t3d_call *c, int backward)
{
    struct scratch s;

    return layout(c, backward, NULL, &s);
}

/* --- one view ------------------------------------------------------------------------------------
 */

struct job {
    const struct t3d_call *c;
    const struct t3di_splat_isa *isa;
    struct dims d;
    struct scratch s;
    int backward;
};

static struct job make_job(const struct t3d_call *c, int backward)
{
    struct job j = {.c = c, .isa = t3di_splat_isa(), .d = dims_of(c), .backward = backward};

    layout(c, backward, c->work, &j.s);
    return j;
}

/* Block i of the batch, and the number of its first Gaussian in the batch. */
static int64_t params_of(const struct job *j, int64_t i, struct t3di_splat_params *p)
{
    int64_t first = i % j->d.blocks * T3DI_LANE, left = j->d.n - first,
            at = i / j->d.blocks * j->d.n + first;
    const struct t3d_call *c = j->c;

    p->xyz = (const t3d_real *)c->in[XYZ] + at * 3;
    p->log_scale = (const t3d_real *)c->in[LOG_SCALE] + at * 3;
    p->quaternion = (const t3d_real *)c->in[QUATERNION] + at * 4;
    p->opacity = (const t3d_real *)c->in[OPACITY] + at;
    p->rgb = (const t3d_real *)c->in[RGB] + at * 3;
    p->n = (int)(left < T3DI_LANE ? left : T3DI_LANE);
    return at;
}

static void prepare_all(const struct job *j)
{
#pragma omp parallel for num_threads(j->c->threads) if (j->d.samples * j->d.n > SMALL)
    for (int64_t i = 0; i < j->d.samples * j->d.blocks; i++) {
        struct t3di_splat_params p;

        params_of(j, i, &p);
        j->isa->prepare(j->s.block[i], &p, attr_of(j->c));
    }
}

static void project_view(const struct job *j, int64_t view, struct t3di_view *v)
{
    const t3d_real *camera = (const t3d_real *)j->c->in[CAMERAS] + view * T3D_SPLAT_CAMERA;
    int64_t first = view / j->d.views * j->d.blocks;

    v->n = 0;
    for (int64_t i = 0; i < j->d.blocks; i++)
        v->n += (uint32_t)j->isa->project(v->splat + v->n, j->s.block[first + i],
                                          (uint32_t)(i * T3DI_LANE), camera, attr_of(j->c));
    t3di_splat_sort(v);
}

static void begin_tile(struct t3di_tile *t, int x, int y)
{
    memset(t->sum, 0, sizeof t->sum);
    for (int i = 0; i < T3DI_BLOCKS; i++)
        for (int k = 0; k < T3DI_SQUARE; k++)
            t->transmittance[i][k] = 1;
    t->x = x * T3DI_TILE;
    t->y = y * T3DI_TILE;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* The pixels of the tile that are in the picture go to the outputs. */
static void store_tile(const struct job *j, int64_t view, struct t3di_tile *t)
{
    const struct t3d_splat *a = attr_of(j->c);
    t3d_real *rgb = j->c->out[OUT_RGB], *alpha = j->c->out[OUT_ALPHA],
             *depth = j->c->out[OUT_DEPTH];
    int w = least(T3DI_TILE, a->width - t->x), h = least(T3DI_TILE, a->height - t->y);

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int64_t at = (view * a->height + t->y + y) * a->width + t->x + x;

            for (int k = 0; k < 3; k++)
                rgb[at * 3 + k] = *t3di_pixel(t->sum[k], x, y);
            alpha[at] = 1 - (t3d_real)fabs((double)*t3di_pixel(t->transmittance, x, y));
            depth[at] = *t3di_pixel(t->sum[3], x, y);
        }
}

/* Upstream gradients of the tile's pixels, 0 outside the picture. behind starts as what the final
 * transmittance T is worth: dL/dT = -dL/dalpha. */
static void load_grad(const struct job *j, int64_t view, struct t3di_tile *t,
                      struct t3di_tile_grad *g)
{
    const struct t3d_splat *a = attr_of(j->c);
    const t3d_real *rgb = j->c->grad_out[OUT_RGB], *alpha = j->c->grad_out[OUT_ALPHA],
                   *depth = a->depth == T3D_SPLAT_MEAN ? j->c->grad_out[OUT_DEPTH] : NULL;
    int w = least(T3DI_TILE, a->width - t->x), h = least(T3DI_TILE, a->height - t->y);

    memset(g, 0, sizeof *g);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int64_t at = (view * a->height + t->y + y) * a->width + t->x + x;

            for (int k = 0; k < 3 && rgb; k++)
                *t3di_pixel(g->of[k], x, y) = rgb[at * 3 + k];
            if (alpha)
                *t3di_pixel(g->behind, x, y) =
                    -alpha[at] * (t3d_real)fabs((double)*t3di_pixel(t->transmittance, x, y));
            if (depth)
                *t3di_pixel(g->of[3], x, y) = depth[at];
        }
}

/* Forward, remembering the light before each chunk of the list. *last: pairs of the last chunk that
 * were looked at, whose weights are in b->kept. Returns the number of chunks. */
static int64_t blend_chunks(const struct job *j, const struct t3di_view *v, struct brush *b,
                            const struct t3di_pair *pair, int64_t n, int64_t *last)
{
    int64_t chunk = 0;

    for (int64_t done = 0; done < n; done += T3DI_CHUNK) {
        int64_t length = n - done < T3DI_CHUNK ? n - done : T3DI_CHUNK;

        memcpy(b->light[chunk++], b->tile->transmittance, sizeof *b->light);
        *last = j->isa->blend(b->tile, v->splat, pair + done, length, attr_of(j->c), &b->kept);
        if (*last < length)
            break;
    }
    return chunk;
}

/* Chunk by chunk from the back; each but the last is blended again, for its weights. */
static void tile_backward(const struct job *j, int64_t view, const struct t3di_view *v,
                          struct brush *b, const struct t3di_pair *pair, int64_t n)
{
    int64_t length = 0, chunks = blend_chunks(j, v, b, pair, n, &length);

    load_grad(j, view, b->tile, b->grad);
    for (int64_t i = chunks ? (chunks - 1) * T3DI_CHUNK + length : 0; i < n; i++)
        memset(v->sums[pair[i].slot], 0, sizeof *v->sums);
    for (int64_t k = chunks - 1; k >= 0; k--) {
        const struct t3di_pair *p = pair + k * T3DI_CHUNK;

        if (k < chunks - 1) {
            memcpy(b->tile->transmittance, b->light[k], sizeof *b->light);
            length = j->isa->blend(b->tile, v->splat, p, T3DI_CHUNK, attr_of(j->c), &b->kept);
        }
        j->isa->unblend(b->grad, b->tile, v->splat, p, length, &b->kept, v->sums);
    }
}

static void draw_tile(const struct job *j, int64_t view, const struct t3di_view *v,
                      const struct t3di_region *r, int tile, struct brush *b)
{
    int width = r->x1 - r->x0;
    const struct t3di_pair *pair = v->pair + v->start[tile];
    int64_t n = v->start[tile + 1] - v->start[tile];

    begin_tile(b->tile, r->x0 + tile % width, r->y0 + tile / width);
    if (j->backward) {
        tile_backward(j, view, v, b, pair, n);
    } else {
        j->isa->blend(b->tile, v->splat, pair, n, attr_of(j->c), NULL);
        store_tile(j, view, b->tile);
    }
}

/* The pairs of each splat in this region onto the sums of its Gaussian, in the order of tiles. */
static void collect(const struct job *j, int64_t view, const struct t3di_view *v,
                    const struct t3di_region *r)
{
    t3d_real(*sums)[T3DI_D_FIELDS][T3DI_LANE] =
        (void *)(j->s.sums + view * j->d.blocks * T3DI_D_FIELDS * T3DI_LANE);

    for (uint32_t i = 0; i < v->n; i++) {
        struct t3di_region t = t3di_splat_tiles(&v->splat[i], r);
        uint32_t g = v->splat[i].gaussian, slot = v->slot[i];
        int64_t n = t.x0 < t.x1 && t.y0 < t.y1 ? (int64_t)(t.x1 - t.x0) * (t.y1 - t.y0) : 0;

        for (int64_t p = 0; p < n; p++)
            for (int k = 0; k < T3DI_D_FIELDS; k++)
                sums[g / T3DI_LANE][k][g % T3DI_LANE] += v->sums[slot + p][k];
    }
}

static void draw_region(const struct job *j, int64_t view, struct t3di_view *v,
                        const struct t3di_region *r, struct brush *brush, int threads)
{
    int tiles = (r->x1 - r->x0) * (r->y1 - r->y0);

    t3di_splat_list(v, r);
    if (threads > 1) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
        for (int i = 0; i < tiles; i++)
            draw_tile(j, view, v, r, i, &brush[omp_get_thread_num()]);
    } else {
        for (int i = 0; i < tiles; i++)
            draw_tile(j, view, v, r, i, brush);
    }
    if (j->backward)
        collect(j, view, v, r);
}

/* A region whose pairs do not fit is halved: by rows down to one row of tiles, then by columns; one
 * tile always fits. The parts come in the order of tiles. */
static void draw_parts(const struct job *j, int64_t view, struct t3di_view *v, struct t3di_region r,
                       struct brush *brush, int threads)
{
    struct t3di_region a = r, b = r;

    if (t3di_splat_count(v, &r) <= v->capacity) {
        draw_region(j, view, v, &r, brush, threads);
        return;
    }
    if (r.y1 - r.y0 > 1)
        a.y1 = b.y0 = (r.y0 + r.y1) / 2;
    else
        a.x1 = b.x0 = (r.x0 + r.x1) / 2;
    draw_parts(j, view, v, a, brush, threads);
    draw_parts(j, view, v, b, brush, threads);
}

static void draw_view(const struct job *j, int64_t view, struct t3di_view *v, struct brush *brush,
                      int threads)
{
    if (j->backward)
        memset(j->s.sums + view * j->d.blocks * T3DI_D_FIELDS * T3DI_LANE, 0,
               (size_t)j->d.blocks * sizeof(t3d_real[T3DI_D_FIELDS][T3DI_LANE]));
    project_view(j, view, v);
    draw_parts(j, view, v, (struct t3di_region){0, 0, j->d.tiles_x, j->d.tiles_y}, brush, threads);
}

/* Threads share out the views; where these are few, the tiles of each. */
static void draw_all(const struct job *j)
{
    int64_t views = j->d.samples * j->d.views;
    int threads = j->c->threads;

    prepare_all(j);
    if (views >= 2 * threads) {
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (int64_t i = 0; i < views; i++) {
            int t = omp_get_thread_num();

            draw_view(j, i, &j->s.view[t], &j->s.brush[t], 1);
        }
    } else {
        for (int64_t i = 0; i < views; i++)
            draw_view(j, i, j->s.view, j->s.brush, threads);
    }
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct job j = make_job(c, 0);

    (void)err;
    draw_all(&j);
    return T3D_OK;
}

/* --- from pixels to parameters -------------------------------------------------------------------
 */

/* width of a block's gradients onto those of an input. */
static void give(const struct t3d_call *c, int input, int width, int64_t at, int n,
                 const t3d_real (*grad)[T3DI_LANE])
{
    t3d_real *g = c->grad_in[input];

    for (int i = 0; g && i < n; i++)
        for (int k = 0; k < width; k++) {
            t3d_real *to = g + (at + i) * width + k;

            *to = c->grad_fresh[input] ? grad[k][i] : *to + grad[k][i];
        }
}

static void give_block(const struct job *j, int64_t i)
{
    const struct dims *d = &j->d;
    int64_t sample = i / d->blocks, field = T3DI_D_FIELDS * T3DI_LANE;
    const t3d_real *cameras =
        (const t3d_real *)j->c->in[CAMERAS] + sample * d->views * T3D_SPLAT_CAMERA;
    t3d_real grad[T3DI_P_FIELDS][T3DI_LANE];
    const t3d_real(*from)[T3DI_LANE] = (const t3d_real(*)[T3DI_LANE])grad;
    struct t3di_splat_params p;
    int64_t at = params_of(j, i, &p);

    j->isa->unproject(grad, j->s.block[i], &p,
                      j->s.sums + (sample * d->views * d->blocks + i % d->blocks) * field,
                      d->blocks * field, cameras, (int)d->views, attr_of(j->c));
    give(j->c, XYZ, 3, at, p.n, from + T3DI_P_XYZ);
    give(j->c, LOG_SCALE, 3, at, p.n, from + T3DI_P_LOG_SCALE);
    give(j->c, QUATERNION, 4, at, p.n, from + T3DI_P_QUATERNION);
    give(j->c, OPACITY, 1, at, p.n, from + T3DI_P_OPACITY);
    give(j->c, RGB, 3, at, p.n, from + T3DI_P_RGB);
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct job j = make_job(c, 1);

    (void)err;
    draw_all(&j);
#pragma omp parallel for num_threads(c->threads) if (j.d.samples * j.d.n > SMALL)
    for (int64_t i = 0; i < j.d.samples * j.d.blocks; i++)
        give_block(&j, i);
    return T3D_OK;
}

/* --- the op --------------------------------------------------------------------------------------
 */

static const struct t3d_op_case cases[] = {{.name = NULL}};

const struct t3d_op t3d_op_splat = {
    .name = "splat",
    .min_in = N_IN,
    .max_in = N_IN,
    .n_out = N_OUT,
    .attr_size = sizeof(struct t3d_splat),
    .shape = shape,
    .backward_reads_in = (1u << N_IN) - 1,
    .sets_grad = (1u << CAMERAS) - 1,
    .flops = flops,
    .backend[T3D_CPU] = {.work = work, .forward = forward, .backward = backward},
#ifndef T3D_REAL_DOUBLE
    .backend[T3D_CUDA] = {.work = t3di_splat_cuda_work,
                          .forward = t3di_splat_cuda_forward,
                          .backward = t3di_splat_cuda_backward},
#endif
    .cases = cases};

struct t3d_ref t3d_splat(struct t3d_graph *g, struct t3d_ref xyz, struct t3d_ref log_scale,
                         struct t3d_ref quaternion, struct t3d_ref opacity, struct t3d_ref rgb,
                         struct t3d_ref cameras, const struct t3d_splat *attr)
{
    const struct t3d_ref in[N_IN] = {xyz, log_scale, quaternion, opacity, rgb, cameras};
    struct t3d_splat a = *attr;
    struct t3d_shape s = t3d_graph_shape(g, xyz);

    a.near = a.near > 0 ? a.near : 0.2;
    a.min_alpha = a.min_alpha > 0 ? a.min_alpha : 1. / 255;
    if (!a.pairs && s.n == 3)
        a.pairs = PAIRS_PER_GAUSSIAN * s.dim[1];
    return t3d_graph_node(g, &t3d_op_splat, &a, in, N_IN);
}
