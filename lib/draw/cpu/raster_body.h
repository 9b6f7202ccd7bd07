/* SPDX-License-Identifier: Apache-2.0 */
/* draw/cpu/raster_body.h -- vertex transform and coverage. Included by body.h only. */
#ifndef T3D_DRAW_CPU_RASTER_BODY_H
#define T3D_DRAW_CPU_RASTER_BODY_H

#include "draw/cpu/texture_body.h"
#include "draw/draw_impl.h"

enum { PER = W / T3DI_SAMPLES }; /* pixels in a vector */
enum raster_mode { RASTER_OPAQUE, RASTER_MASK, RASTER_BLEND };

/* World to the picture: snapped position and 1/w, or -1 for what must be clipped. */
static inline void transform(struct t3di_view *v)
{
    const struct t3d_model *m = v->m;
    const float(*r)[3] = (const float(*)[3])v->r;
    for (uint32_t i = 0; i < m->n_vertices; i += W) {
        vf x = v_load(m->x + i), y = v_load(m->y + i), z = v_load(m->z + i);
        vf cx = v_fma(v_set(r[0][0]), x,
                      v_fma(v_set(r[0][1]), y, v_fma(v_set(r[0][2]), z, v_set(v->t[0]))));
        vf cy = v_fma(v_set(r[1][0]), x,
                      v_fma(v_set(r[1][1]), y, v_fma(v_set(r[1][2]), z, v_set(v->t[1]))));
        vf cz = v_fma(v_set(r[2][0]), x,
                      v_fma(v_set(r[2][1]), y, v_fma(v_set(r[2][2]), z, v_set(v->t[2]))));
        vf iw = 1.0f / cz, px = v->focal * cx * iw, py = v->focal * cy * iw;
        vf far_out = v_max(v_abs(px), v_abs(py));
        vm ok = v_and(v_le(v_set(v->near), cz), v_lt(far_out, v_set(T3DI_GUARD)));
        v_storei(v->sx + i, v_round((px + v->center) * 256.0f));
        v_storei(v->sy + i, v_round((py + v->center) * 256.0f));
        v_store(v->iw + i, v_sel(ok, iw, v_set(-1.0f)));
    }
}

/* The three edge functions in units of 16 (1/256 px)^2, at the corner of the tile; positive inside.
 * Samples lie on multiples of 1/16 pixel, so dividing by 16 and rounding down keeps every sign. */
struct edges {
    int64_t c[3];
    int32_t a[3], b[3]; /* per 1/16 pixel right and down */
};

struct raster {
    struct t3di_view *v;
    const struct t3di_tri *t;
    struct edges e;
    vf sample_x,
        sample_y; /* of the lanes, pixels; the second pixel of a vector is one further right */
    vi kx, ky;    /* the same in 1/16 pixel */
    vi lane;
    float ox, oy; /* tile corner minus anchor, pixels */
    uint32_t order;
};

VI struct edges edges_of(const struct t3di_tri *t, int ox, int oy)
{
    struct edges e;
    for (int k = 0; k < 3; k++) {
        int n = k == 2 ? 0 : k + 1;
        int32_t dx = t->x[n] - t->x[k], dy = t->y[n] - t->y[k];
        /* top-left rule: of an edge and its reverse exactly one owns the samples on it */
        int owns = dy < 0 || (dy == 0 && dx > 0);
        int64_t c = (int64_t)dx * (oy * 256 - t->y[k]) - (int64_t)dy * (ox * 256 - t->x[k]);
        e.a[k] = -dy, e.b[k] = dx;
        e.c[k] = (c - !owns) >> 4;
    }
    return e;
}

/* Samples of the lanes that pass the alpha test of a MASK material. */
static inline vm alpha_test(struct raster *r, vf x, vf y)
{
    struct t3di_view *v = r->v;
    const struct t3di_shader *sh = &v->m->shader[r->t->shader];
    uint32_t rec = t3di_record(v, r->t->id);
    if (!rec) {
        v->out_of_memory = 1;
        return v_mask(0);
    }
    const float *p = v->record + (size_t)rec * T3DI_BLOCK;
    vf dx = x - p[3], dy = y - p[8 + 3];
    vf w = 1.0f / v_fma(v_set(p[16]), dy, v_fma(v_set(p[8]), dx, v_set(p[0])));
    vf alpha = v_set(sh->base[3]);
    if (sh->has_color) {
        const float *q = p + T3DI_BLOCK + 7;
        alpha = alpha * v_clamp(v_fma(v_set(q[16]), dy, v_fma(v_set(q[8]), dx, v_set(q[0]))) * w,
                                0.0f, 1.0f);
    }
    const struct t3di_texture *t = &sh->texture[T3D_TEX_BASE];
    if (t->mips) {
        const float *q = t->uv ? p + 2 * T3DI_BLOCK + 2 * (t->uv - 1) : p + 1;
        struct uvd d;
        d.u = v_fma(v_set(q[16]), dy, v_fma(v_set(q[8]), dx, v_set(q[0]))) * w;
        d.v = v_fma(v_set(q[17]), dy, v_fma(v_set(q[9]), dx, v_set(q[1]))) * w;
        vf s = w * 0.35355339f; /* samples are 1/sqrt(8) pixel apart */
        d.ux = (q[8] - d.u * p[8]) * s, d.uy = (q[16] - d.u * p[16]) * s;
        d.vx = (q[9] - d.v * p[8]) * s, d.vy = (q[17] - d.v * p[16]) * s;
        vf texel[4];
        texture_sample(t, &d, 1, texel);
        alpha = alpha * texel[3];
    }
    return v_le(v_set(sh->cutoff), alpha);
}

static inline void collect(struct raster *r, int pixel, unsigned bits, vf z)
{
    struct t3di_view *v = r->v;
    for (int k = 0; k < PER; k++, bits >>= T3DI_SAMPLES) {
        unsigned mask = bits & 255u;
        if (!mask)
            continue;
        uint32_t rec = t3di_record(v, r->t->id);
        if (!rec || (v->n_blend == v->cap_blend && t3di_grow_blend(v) < 0)) {
            v->out_of_memory = 1;
            return;
        }
        float sum = 0.0f;
        for (int s = 0; s < T3DI_SAMPLES; s++)
            sum += mask >> s & 1 ? z[k * T3DI_SAMPLES + s] : 0.0f;
        v->blend[v->n_blend++] =
            (struct t3di_blend_frag){{rec, (uint16_t)(pixel + k), (uint8_t)mask, (uint8_t)mask},
                                     r->t->shader,
                                     r->t->id,
                                     sum / (float)__builtin_popcount(mask)};
    }
}

/* A rectangle of the tile and the edge functions that still matter in it (others are 0 everywhere).
 */
struct rect {
    int x0, y0, x1, y1;       /* pixels, inclusive; x0 is a multiple of PER */
    int32_t c[3], a[3], b[3]; /* c at pixel (x0, y0) */
};

/* One line of pixels from `from` to `to`, relative to x0. */
VI void raster_line(struct raster *r, const struct rect *q, const vi row[3], vf zrow, vf first_x,
                    int y, int from, int to, enum raster_mode mode)
{
    const struct t3di_tri *t = r->t;
    const vf zx = v_set(t->zx);
    const vi id = v_seti((int32_t)t->id);
    vi e0 = row[0] + q->a[0] * 16 * from, e1 = row[1] + q->a[1] * 16 * from;
    vi e2 = row[2] + q->a[2] * 16 * from;
    const vi s0 = v_seti(q->a[0] * 16 * PER), s1 = v_seti(q->a[1] * 16 * PER);
    const vi s2 = v_seti(q->a[2] * 16 * PER);
    vf sx = first_x + (float)from;
    size_t at = ((size_t)y * T3DI_TILE + (size_t)(q->x0 + from)) * T3DI_SAMPLES;
    float *zp = r->v->z + at;
    uint32_t *ip = r->v->id + at;
    for (int x = from; x <= to; x += PER, sx += (float)PER, zp += W, ip += W) {
        vf z = v_fma(zx, sx, zrow), old = v_load(zp);
        vm m = v_and(v_lti(v_seti(-1), e0 | e1 | e2), v_lt(old, z));
        e0 += s0, e1 += s1, e2 += s2;
        if (!v_bits(m))
            continue;
        if (mode == RASTER_BLEND) {
            collect(r, y * T3DI_TILE + q->x0 + x, v_bits(m), z);
            continue;
        }
        if (mode == RASTER_MASK)
            m = v_and(m, alpha_test(r, sx + t->ax, r->sample_y + (r->oy + (float)y + t->ay)));
        /* whole vectors: the next triangle's load can be forwarded from the store */
        v_store(zp, v_sel(m, z, old));
        v_storei(ip, v_seli(m, id, v_loadi(ip)));
    }
}

/* Pixels of W lines that may hold a covered sample: where no edge is negative at the sample that
 * suits it best. Single precision, widened by far more than its error for |x| <= 64; the exact test
 * follows. */
VI void line_spans(const struct raster *r, const struct rect *q, int y, int32_t from[W],
                   int32_t to[W])
{
    vf lo = v_set(0.0f), hi = v_set((float)(q->x1 - q->x0));
    for (int k = 0; k < 3; k++) {
        int32_t a = q->a[k], b = q->b[k];
        /* samples lie in 1/16 .. 15/16 of the pixel */
        int32_t best = (a > 0 ? 15 : 1) * a + (b > 0 ? 15 : 1) * b;
        vf c = v_float(q->c[k] + best + b * 16 * ((y - q->y0) + r->lane));
        if (a == 0) {
            hi = v_sel(v_lt(c, v_set(0.0f)), v_set(-1.0f), hi);
            continue;
        }
        vf x = c * (-1.0f / (16.0f * (float)a));
        if (a > 0)
            lo = v_max(lo, x - 0.01f);
        else
            hi = v_min(hi, x + 0.01f);
    }
    lo = v_min(lo, v_set(64.0f)), hi = v_max(hi, v_set(-1.0f));
    v_storei(from, (v_trunc(lo + 0.9999f)) & ~(PER - 1));
    v_storei(to, v_trunc(hi + 1.0f) - 1);
}

VI void raster_rect(struct raster *r, const struct rect *q, enum raster_mode mode)
{
    const struct t3di_tri *t = r->t;
    const vf zy = v_set(t->zy), z0 = v_set(t->z0);
    const vf first_x = r->sample_x + (r->ox + (float)q->x0), first_y = r->sample_y + r->oy;
    V_RAW vi row[3];
    for (int k = 0; k < 3; k++)
        row[k] = q->c[k] + q->a[k] * r->kx + q->b[k] * r->ky;
    V_RAW int32_t from[W], to[W];
    int narrow = q->x1 - q->x0 < 2 * PER;
    for (int y = q->y0, n = 0; y <= q->y1; y++, n++) {
        if (!narrow && n % W == 0)
            line_spans(r, q, y, from, to);
        int lo = narrow ? 0 : from[n % W], hi = narrow ? q->x1 - q->x0 : to[n % W];
        if (lo <= hi)
            raster_line(r, q, row, v_fma(zy, first_y + (float)y, z0), first_x, y, lo, hi, mode);
        for (int k = 0; k < 3; k++)
            row[k] += q->b[k] * 16;
    }
}

/* The part of the triangle in a rectangle: edges that all samples pass are dropped; 0 = beyond an
 * edge. */
VI int cut_rect(const struct raster *r, int x0, int y0, int x1, int y1, struct rect *q)
{
    x1 |= PER - 1; /* whole vectors */
    q->x0 = x0, q->y0 = y0, q->x1 = x1, q->y1 = y1;
    for (int k = 0; k < 3; k++) {
        int64_t a = r->e.a[k], b = r->e.b[k], e = r->e.c[k] + a * 16 * x0 + b * 16 * y0;
        int64_t right = a * 16 * (x1 - x0 + 1), down = b * 16 * (y1 - y0 + 1);
        if (e + T3D_MAX(right, 0) + T3D_MAX(down, 0) < 0)
            return 0;
        int in = e + T3D_MIN(right, 0) + T3D_MIN(down, 0) >= 0;
        q->c[k] = in ? 0 : (int32_t)e, q->a[k] = in ? 0 : (int32_t)a, q->b[k] = in ? 0 : (int32_t)b;
    }
    return 1;
}

VI void raster_triangle(struct raster *r, int ox, int oy, enum raster_mode mode)
{
    const struct t3di_tri *t = r->t;
    struct rect q;
    r->e = edges_of(t, ox, oy);
    r->ox = (float)ox - t->ax, r->oy = (float)oy - t->ay;
    int x0 = T3D_MAX(t->px0 - ox, 0) & ~(PER - 1), x1 = T3D_MIN(t->px1 - ox, T3DI_TILE - 1);
    int y0 = T3D_MAX(t->py0 - oy, 0), y1 = T3D_MIN(t->py1 - oy, T3DI_TILE - 1);
    int32_t extent = 0;
    for (int k = 0; k < 3; k++)
        extent = T3D_MAX(extent, abs(r->e.a[k]) + abs(r->e.b[k]));
    /* an edge that crosses the rectangle is nowhere in it beyond extent * 16 * 64: 32 bits are
     * enough */
    if (extent <= 1 << 20) {
        if (cut_rect(r, x0, y0, x1, y1, &q))
            raster_rect(r, &q, mode);
        return;
    }
    for (int by = y0; by <= y1; by += 8)
        for (int bx = x0; bx <= x1; bx += 8)
            if (cut_rect(r, bx, by, T3D_MIN(bx + 7, x1), T3D_MIN(by + 7, y1), &q))
                raster_rect(r, &q, mode);
}

/* All triangles of a tile, in order: opaque and MASK ones first, then BLEND ones against them. */
static inline void raster_tile(struct t3di_view *v, int tx, int ty)
{
    size_t b = (size_t)ty * (size_t)v->n_tiles + (size_t)tx;
    struct raster r = {.v = v, .lane = v_iota()};
    for (int k = 0; k < W; k++) {
        int s = k % T3DI_SAMPLES, p = k / T3DI_SAMPLES;
        r.kx[k] = t3di_sample_kx[s] + 16 * p;
        r.ky[k] = t3di_sample_ky[s];
    }
    r.sample_x = v_float(r.kx) * (1.0f / 16.0f);
    r.sample_y = v_float(r.ky) * (1.0f / 16.0f);
    for (uint32_t k = v->bin_start[b]; k < v->bin_start[b + 1]; k++) {
        r.t = &v->tri[v->bin[k]];
        switch (v->m->shader[r.t->shader].alpha_mode) {
        case T3D_ALPHA_OPAQUE:
            raster_triangle(&r, tx * T3DI_TILE, ty * T3DI_TILE, RASTER_OPAQUE);
            break;
        case T3D_ALPHA_MASK:
            raster_triangle(&r, tx * T3DI_TILE, ty * T3DI_TILE, RASTER_MASK);
            break;
        default:
            raster_triangle(&r, tx * T3DI_TILE, ty * T3DI_TILE, RASTER_BLEND);
        }
    }
}

#endif
