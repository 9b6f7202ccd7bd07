/* SPDX-License-Identifier: Apache-2.0 */
/* draw/cpu/tile_body.h -- one tile: fragments from visibility, their sums, the pixels. Included by
 * body.h. */
#ifndef T3D_DRAW_CPU_TILE_BODY_H
#define T3D_DRAW_CPU_TILE_BODY_H

#include "draw/cpu/raster_body.h"
#include "draw/cpu/shade_body.h"

typedef float f4 __attribute__((vector_size(16)));

/* ---- fragments
 * ------------------------------------------------------------------------------------- */

/* Note the nearest and farthest sample; returns 0 when eight pixels from z on hold none. */
VI int see_depth(const float *z, vf *low, vf *high)
{
    vf top = v_load(z);
    for (int k = W; k < 8 * T3DI_SAMPLES; k += W)
        top = v_max(top, v_load(z + k));
    if (!v_bits(v_lt(v_set(0.0f), top)))
        return 0;
    *high = v_max(*high, top);
    for (int k = 0; k < 8 * T3DI_SAMPLES; k += W) {
        vf a = v_load(z + k);
        *low = v_min(*low, v_sel(v_lt(v_set(0.0f), a), a, *low));
    }
    return 1;
}

static inline const struct t3di_shader *shader_of(const struct t3d_model *m, uint32_t id)
{
    return &m->shader[m->shader_of_draw[m->draw_of_triangle ? m->draw_of_triangle[id] : 0]];
}

/* mask: the samples it counts for; place: those at whose centroid it is shaded. */
static inline int add_fragment(struct t3di_view *v, size_t n, int pixel, unsigned mask,
                               unsigned place, uint32_t id)
{
    uint32_t rec = t3di_record(v, id);
    if (!rec) {
        v->out_of_memory = 1;
        return -1;
    }
    v->frag[n] = (struct t3di_frag){rec, (uint16_t)pixel, (uint8_t)mask, (uint8_t)place};
    if (v->m->n_shaders > 1)
        v->frag_shader[n] = (uint32_t)(shader_of(v->m, id) - v->m->shader);
    unsigned samples = (unsigned)__builtin_popcount(mask);
    v->sum.samples += samples;
    if (v->record[(size_t)rec * T3DI_BLOCK + 16 + 7] > 0.0f)
        v->sum.backfacing += samples;
    return 0;
}

/* Triangles that share a vertex have continuous uv, colours and normals there (vertices are split
 * at seams and belong to one draw): in a pixel they can be shaded together, unless their normals
 * are flat. */
static inline int is_one_surface(const struct t3di_view *v, uint32_t a, uint32_t b)
{
    const uint32_t *p = v->m->scene->triangle[a], *q = v->m->scene->triangle[b];
    int shared = 0;
    for (int i = 0; i < 3; i++)
        shared |= p[i] == q[0] || p[i] == q[1] || p[i] == q[2];
    return shared && shader_of(v->m, a)->has_normal;
}

/* The fragments of a pixel where several triangles are seen: those of one surface become one,
 * shaded on the triangle with most samples, at the centroid of all when that lies in or near it. */
static inline size_t add_pixel(struct t3di_view *v, size_t n, int pixel, unsigned left)
{
    const uint32_t *id = v->id + (size_t)pixel * T3DI_SAMPLES;
    uint32_t t[T3DI_SAMPLES];
    unsigned mask[T3DI_SAMPLES];
    int k = 0;
    for (; left; k++) {
        t[k] = id[__builtin_ctz(left)];
        mask[k] = v_equal8(id, t[k]) & left;
        left &= ~mask[k];
    }
    while (k > 0) {
        int best = 0, rest = 0;
        for (int i = 1; i < k; i++)
            if (__builtin_popcount(mask[i]) > __builtin_popcount(mask[best]))
                best = i;
        uint32_t main = t[best];
        unsigned own = mask[best], all = own;
        for (int i = 0; i < k; i++) {
            if (i == best)
                continue;
            if (is_one_surface(v, main, t[i])) {
                all |= mask[i];
                continue;
            }
            t[rest] = t[i], mask[rest++] = mask[i];
        }
        unsigned place = 2 * __builtin_popcount(own) >= __builtin_popcount(all) ? all : own;
        if (add_fragment(v, n++, pixel, all, place, main) < 0)
            return 0;
        k = rest;
    }
    return n;
}

/* One fragment for each surface that is seen in a pixel. Returns their number. */
static inline size_t find_fragments(struct t3di_view *v)
{
    size_t n = 0;
    uint64_t away = 0;
    uint32_t last = UINT32_MAX; /* the triangle that filled the pixel before, as most do */
    vf low = v_set(v->sum.iw_min), high = v_set(v->sum.iw_max);
    for (int pixel = 0; pixel < T3DI_TILE_PIXELS && !v->out_of_memory; pixel++) {
        if (pixel % 8 == 0 && !see_depth(v->z + (size_t)pixel * T3DI_SAMPLES, &low, &high)) {
            pixel += 7;
            continue;
        }
        const uint32_t *id = v->id + (size_t)pixel * T3DI_SAMPLES;
        const uint32_t *z = (const uint32_t *)(const void *)(v->z + (size_t)pixel * T3DI_SAMPLES);
        unsigned covered = ~v_equal8(z, 0) & 255u;
        if (!covered)
            continue;
        uint32_t first = id[__builtin_ctz(covered)];
        if (covered == 255 && first == last && v_equal8(id, first) == 255) {
            v->frag[n] = (struct t3di_frag){v->frag[n - 1].record, (uint16_t)pixel, 255, 255};
            if (v->m->n_shaders > 1)
                v->frag_shader[n] = v->frag_shader[n - 1];
            n++;
            v->sum.samples += T3DI_SAMPLES;
            v->sum.backfacing += away;
            continue;
        }
        if ((v_equal8(id, first) & covered) == covered) {
            uint64_t before = v->sum.backfacing;
            add_fragment(v, n++, pixel, covered, covered, first);
            last = first;
            away = v->sum.backfacing > before ? T3DI_SAMPLES : 0;
        } else {
            n = add_pixel(v, n, pixel, covered);
            last = UINT32_MAX;
        }
    }
    for (int i = 0; i < W; i++) {
        v->sum.iw_min = T3D_MIN(v->sum.iw_min, low[i]);
        v->sum.iw_max = T3D_MAX(v->sum.iw_max, high[i]);
    }
    return n;
}

/* Order by shader, otherwise unchanged. Returns the sorted list; shader_count[s] = end of shader s.
 */
static inline const struct t3di_frag *sort_by_shader(struct t3di_view *v, size_t n)
{
    uint32_t *count = v->shader_count, k = v->m->n_shaders;
    if (k == 1) {
        count[0] = (uint32_t)n;
        return v->frag;
    }
    memset(count, 0, k * sizeof *count);
    for (size_t i = 0; i < n; i++)
        count[v->frag_shader[i]]++;
    uint32_t sum = 0;
    for (uint32_t s = 0; s < k; s++) {
        uint32_t c = count[s];
        count[s] = sum;
        sum += c;
    }
    for (size_t i = 0; i < n; i++)
        v->sorted[count[v->frag_shader[i]]++] = v->frag[i];
    return v->sorted;
}

static inline float weight_of(const struct t3di_view *v, const struct t3di_frag *f)
{
    if (!v->n_blend)
        return f->mask == 255 ? 1.0f : (float)__builtin_popcount(f->mask) * (1.0f / T3DI_SAMPLES);
    const float *t = v->through + (size_t)f->pixel * T3DI_SAMPLES;
    float sum = 0.0f;
    for (int s = 0; s < T3DI_SAMPLES; s++)
        sum += f->mask >> s & 1 ? t[s] : 0.0f;
    return sum * (1.0f / T3DI_SAMPLES);
}

static const unsigned pass_bit[T3DI_N_PASS] = {T3D_PASS_COLOR, T3D_PASS_NORMAL, T3D_PASS_ALBEDO,
                                               T3D_PASS_METAL_ROUGH};

static inline void accumulate(struct t3di_view *v, const struct t3di_frag *f, int n,
                              const vf value[T3DI_N_PASS][4])
{
    for (int k = 0; k < T3DI_N_PASS; k++) {
        if (!(v->c->passes & pass_bit[k]))
            continue;
        V_RAW f4 r[W];
        v_store4t((float *)r, value[k]);
        for (int i = 0; i < n; i++) {
            f4 *a = (f4 *)v->acc[k][f[i].pixel];
            *a += r[V_SLOT4(i)] * weight_of(v, &f[i]);
        }
    }
}

static inline void shade_opaque(struct t3di_view *v, int tx, int ty, size_t n)
{
    const struct t3di_frag *f = sort_by_shader(v, n);
    uint32_t at = 0;
    for (uint32_t s = 0; s < v->m->n_shaders; s++)
        for (uint32_t end = v->shader_count[s]; at < end;) {
            int k = (int)T3D_MIN(end - at, (uint32_t)W);
            V_RAW vf value[T3DI_N_PASS][4];
            shade_batch(v, &v->m->shader[s], f + at, k, tx, ty, value);
            accumulate(v, f + at, k, (const vf(*)[4])value);
            at += (uint32_t)k;
        }
}

/* ---- blended layers
 * ---------------------------------------------------------------------------------- */

static inline int is_nearer(const struct t3di_blend_frag *a, const struct t3di_blend_frag *b)
{
    return a->iw > b->iw || (a->iw >= b->iw && a->order < b->order);
}

/* Indices of the blended fragments by pixel, nearest first. */
static inline void sort_blend(struct t3di_view *v)
{
    uint32_t *start = v->blend_start;
    memset(start, 0, (T3DI_TILE_PIXELS + 1) * sizeof *start);
    for (size_t i = 0; i < v->n_blend; i++)
        start[v->blend[i].f.pixel + 1]++;
    for (int p = 0; p < T3DI_TILE_PIXELS; p++)
        start[p + 1] += start[p];
    for (size_t i = v->n_blend; i-- > 0;)
        v->blend_order[--start[v->blend[i].f.pixel + 1]] = (uint32_t)i;
    for (int p = 0; p < T3DI_TILE_PIXELS; p++) {
        uint32_t lo = start[p + 1],
                 hi = p + 2 <= T3DI_TILE_PIXELS ? start[p + 2] : (uint32_t)v->n_blend;
        for (uint32_t i = lo + 1; i < hi; i++) {
            uint32_t x = v->blend_order[i], j = i;
            for (; j > lo && is_nearer(&v->blend[x], &v->blend[v->blend_order[j - 1]]); j--)
                v->blend_order[j] = v->blend_order[j - 1];
            v->blend_order[j] = x;
        }
    }
}

/* Fragments come triangle by triangle, so runs of one shader are long. */
static inline void shade_blend(struct t3di_view *v, int tx, int ty)
{
    for (size_t at = 0; at < v->n_blend;) {
        struct t3di_frag f[W];
        uint32_t shader = v->blend[at].shader;
        int n = 0;
        for (; n < W && at + (size_t)n < v->n_blend && v->blend[at + (size_t)n].shader == shader;
             n++)
            f[n] = v->blend[at + (size_t)n].f;
        V_RAW vf value[T3DI_N_PASS][4];
        shade_batch(v, &v->m->shader[shader], f, n, tx, ty, value);
        for (int k = 0; k < T3DI_N_PASS; k++) {
            V_RAW f4 r[W];
            v_store4t((float *)r, value[k]);
            for (int i = 0; i < n; i++)
                memcpy(&v->blend_value[at + (size_t)i][4 * k], &r[V_SLOT4(i)], sizeof(f4));
        }
        at += (size_t)n;
    }
}

/* From the nearest layer to the farthest, over each sample: a layer gets what the nearer ones let
 * through. */
static inline void composite_blend(struct t3di_view *v)
{
    for (int k = 0; k < T3DI_TILE_PIXELS * T3DI_SAMPLES; k++)
        v->through[k] = 1.0f;
    for (size_t i = 0; i < v->n_blend; i++) {
        const struct t3di_blend_frag *b = &v->blend[v->blend_order[i]];
        const float *value = v->blend_value[v->blend_order[i]];
        float w = weight_of(v, &b->f), *t = v->through + (size_t)b->f.pixel * T3DI_SAMPLES;
        float alpha = value[3];
        for (int k = 0; k < T3DI_N_PASS; k++) {
            if (!(v->c->passes & pass_bit[k]))
                continue;
            float *a = v->acc[k][b->f.pixel];
            for (int c = 0; c < 3; c++)
                a[c] += w * alpha * value[4 * k + c];
            a[3] += w * alpha;
        }
        for (int s = 0; s < T3DI_SAMPLES; s++)
            if (b->f.mask >> s & 1)
                t[s] *= 1.0f - alpha;
        float *near = &v->nearest_blend[b->f.pixel];
        *near = T3D_MAX(*near, b->iw);
        v->sum.iw_max = T3D_MAX(v->sum.iw_max, b->iw);
        v->sum.iw_min = T3D_MIN(v->sum.iw_min, b->iw);
    }
}

/* ---- pixels
 * -------------------------------------------------------------------------------------------- */

/* Linear [0, 1] to sRGB code as a float: 12.92 x, or a polynomial of degree 4 in the fourth root;
 * largest error .01 of a code. */
VI vf srgb_encode(vf x)
{
    vf t = v_sqrt(v_sqrt(x));
    vf p = v_fma(v_set(20.743574f), t, v_set(-85.56427f));
    p = v_fma(p, t, v_set(286.29456f));
    p = v_fma(p, t, v_set(50.010231f));
    p = v_fma(p, t, v_set(-16.4753f));
    return v_sel(v_lt(x, v_set(0.0031308f)), x * (12.92f * 255.0f), p);
}

VI vi pack(vf r, vf g, vf b, vf a)
{
    return v_round(r) | v_round(g) << 8 | v_round(b) << 16 | v_round(a) << 24;
}

struct row {
    vf c[4];    /* sums of W pixels */
    vf inverse; /* 1 / weight, 0 where nothing is */
    vf alpha;   /* code 0..255 */
};

VI struct row load_row(const float (*acc)[4])
{
    struct row r;
    v_load4t(r.c, (const float *)acc);
    vm any = v_lt(v_set(0.0f), r.c[3]);
    r.inverse = v_sel(any, 1.0f / r.c[3], v_set(0.0f));
    r.alpha = v_clamp(r.c[3] * 255.0f, 0.0f, 255.0f);
    return r;
}

struct light_sums {
    vf alpha, lum, lum2;
};

VI vi color_pixels(const struct row *r, struct light_sums *s)
{
    vf c[3];
    for (int k = 0; k < 3; k++)
        c[k] = v_clamp(r->c[k] * r->inverse, 0.0f, 1.0f);
    vf lum = v_fma(c[0], v_set(0.2126f), v_fma(c[1], v_set(0.7152f), c[2] * 0.0722f));
    s->alpha = s->alpha + r->c[3];
    s->lum = v_fma(lum, r->c[3], s->lum);
    s->lum2 = v_fma(lum * lum, r->c[3], s->lum2);
    return pack(srgb_encode(c[0]), srgb_encode(c[1]), srgb_encode(c[2]), r->alpha);
}

VI vi pass_pixels(const struct row *r, int pass)
{
    vf c[3];
    for (int k = 0; k < 3; k++)
        c[k] = r->c[k] * r->inverse;
    vm any = v_lt(v_set(0.0f), r->c[3]);
    if (pass == 1) {
        normalise3(c);
        for (int k = 0; k < 3; k++)
            c[k] = v_sel(any, v_fma(c[k], v_set(127.5f), v_set(127.5f)), v_set(0.0f));
    } else {
        for (int k = 0; k < 3; k++) {
            c[k] = v_clamp(c[k], 0.0f, 1.0f);
            c[k] = pass == 2 ? srgb_encode(c[k]) : c[k] * 255.0f;
        }
    }
    return pack(c[0], c[1], c[2], r->alpha);
}

static inline uint8_t *picture_of(const struct t3d_canvas *c, int pass)
{
    return pass == 0 ? c->color : pass == 1 ? c->normal : pass == 2 ? c->albedo : c->metal_rough;
}

static inline void resolve_pass(struct t3di_view *v, int pass, int tx, int ty, int width,
                                int height)
{
    uint8_t *out = picture_of(v->c, pass);
    struct light_sums s = {v_set(0.0f), v_set(0.0f), v_set(0.0f)};
    for (int y = 0; y < height; y++) {
        uint8_t *line =
            out + ((size_t)(ty * T3DI_TILE + y) * v->c->resolution + (size_t)tx * T3DI_TILE) * 4;
        uint64_t covered = 0;
        for (int x = 0; x < width; x += W) {
            struct row r = load_row((const float(*)[4]) & v->acc[pass][y * T3DI_TILE + x]);
            vi code = pass == 0 ? color_pixels(&r, &s) : pass_pixels(&r, pass);
            V_RAW int32_t px[W];
            v_store_pixels(px, code);
            memcpy(line + 4 * x, px, 4 * (size_t)T3D_MIN(W, width - x));
            for (int i = 0; pass == 0 && i < W; i++)
                covered |= (uint64_t)((uint32_t)px[i] >> 24 != 0) << (x + i);
        }
        if (pass == 0)
            v->covered[(size_t)(ty * T3DI_TILE + y) * (size_t)v->n_tiles + (size_t)tx] = covered;
    }
    for (int i = 0; i < W; i++) {
        v->sum.alpha += (double)s.alpha[i];
        v->sum.lum += (double)s.lum[i];
        v->sum.lum2 += (double)s.lum2[i];
    }
}

/* Distance of a pixel: 1/w averaged over the samples at most 2 % farther than the nearest (samples
 * of one surface average to the pixel's centre; a background seen past an edge stays out). */
static inline void resolve_depth(struct t3di_view *v, int tx, int ty, int width, int height)
{
    float near = v->near, scale = 65535.0f / (v->far - near);
    size_t corner = (size_t)ty * T3DI_TILE * v->c->resolution + (size_t)tx * T3DI_TILE;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int pixel = y * T3DI_TILE + x;
            const float *z = v->z + (size_t)pixel * T3DI_SAMPLES;
            float top = 0.0f, sum = 0.0f, count = 0.0f;
            for (int s = 0; s < T3DI_SAMPLES; s++)
                top = T3D_MAX(top, z[s]);
            for (int s = 0; s < T3DI_SAMPLES; s++) {
                float in = z[s] >= 0.98f * top ? 1.0f : 0.0f;
                sum += in * z[s], count += in;
            }
            float iw = top > 0.0f ? sum / count : v->n_blend ? v->nearest_blend[pixel] : 0.0f;
            float code = T3D_CLAMP((1.0f / iw - near) * scale + 0.5f, 0.0f, 65534.0f);
            v->c->depth[corner + (size_t)y * v->c->resolution + (size_t)x] =
                iw > 0.0f ? (uint16_t)code : 65535;
        }
}

static inline void tile(struct t3di_view *v, int tx, int ty)
{
    int width = T3D_MIN(T3DI_TILE, (int)v->c->resolution - tx * T3DI_TILE);
    int height = T3D_MIN(T3DI_TILE, (int)v->c->resolution - ty * T3DI_TILE);
    uint64_t t0 = t3di_clock();
    memset(v->z, 0, sizeof(float) * T3DI_TILE_PIXELS * T3DI_SAMPLES);
    v->n_blend = 0;
    raster_tile(v, tx, ty);
    size_t n = find_fragments(v);
    uint64_t t1 = t3di_clock();
    v->nanoseconds[T3DI_RASTER] += t1 - t0;
    if (v->out_of_memory)
        return;
    for (int k = 0; k < T3DI_N_PASS; k++)
        if (v->c->passes & pass_bit[k])
            memset(v->acc[k], 0, sizeof v->acc[k]);
    if (v->n_blend) {
        memset(v->nearest_blend, 0, T3DI_TILE_PIXELS * sizeof *v->nearest_blend);
        shade_blend(v, tx, ty);
        sort_blend(v);
        composite_blend(v);
    }
    shade_opaque(v, tx, ty, n);
    uint64_t t2 = t3di_clock();
    v->nanoseconds[T3DI_SHADE] += t2 - t1;
    for (int k = 0; k < T3DI_N_PASS; k++)
        if (v->c->passes & pass_bit[k])
            resolve_pass(v, k, tx, ty, width, height);
    if (v->c->depth)
        resolve_depth(v, tx, ty, width, height);
    v->nanoseconds[T3DI_RESOLVE] += t3di_clock() - t2;
}

#endif
