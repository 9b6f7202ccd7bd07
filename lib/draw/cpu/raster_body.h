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
            (struct t3di_blend_frag){{rec, (uint16_t)(pixel + k), (uint8_t)mask, 0},
                                     r->t->shader,
                                     r->t->id,
                                     sum / (float)__builtin_popcount(mask)};
    }
}

/* Pixels [x0, x1] x [y0, y1] of the tile; e at pixel (x0, y0). x0 is a multiple of PER. */
VI void raster_rect(struct raster *r, const int32_t c[3], const int32_t a[3], const int32_t b[3],
                    int x0, int y0, int x1, int y1, enum raster_mode mode, int inside)
{
    struct t3di_view *v = r->v;
    const struct t3di_tri *t = r->t;
    vi row[3], step[3];
    for (int k = 0; k < 3; k++) {
        row[k] = c[k] + a[k] * r->kx + b[k] * r->ky;
        step[k] = v_seti(a[k] * 16 * PER);
    }
    for (int y = y0; y <= y1; y++) {
        vi e0 = row[0], e1 = row[1], e2 = row[2];
        vf zrow = v_fma(v_set(t->zy), r->sample_y + (r->oy + (float)y), v_set(t->z0));
        for (int x = x0; x <= x1; x += PER) {
            vm m = v_mask(V_ALL);
            if (!inside) {
                m = v_lti(v_seti(-1), e0 | e1 | e2);
                e0 += step[0], e1 += step[1], e2 += step[2];
                if (!v_bits(m))
                    continue;
            }
            vf sx = r->sample_x + (r->ox + (float)x);
            vf z = v_fma(v_set(t->zx), sx, zrow);
            size_t at = ((size_t)y * T3DI_TILE + (size_t)x) * T3DI_SAMPLES;
            m = v_and(m, v_lt(v_load(v->z + at), z));
            if (!v_bits(m))
                continue;
            if (mode == RASTER_BLEND) {
                collect(r, y * T3DI_TILE + x, v_bits(m), z);
                continue;
            }
            if (mode == RASTER_MASK)
                m = v_and(m, alpha_test(r, sx + t->ax, r->sample_y + (r->oy + (float)y + t->ay)));
            v_store_if(v->z + at, m, z);
            v_storei_if(v->id + at, m, v_seti((int32_t)(t->id + 1)));
        }
        for (int k = 0; k < 3; k++)
            row[k] += b[k] * 16;
    }
}

/* A block of 8 x 8 pixels: edges that all its samples pass are dropped, blocks beyond an edge
 * skipped. */
VI void raster_block(struct raster *r, int bx, int by, int x1, int y1, enum raster_mode mode)
{
    int32_t c[3], a[3], b[3];
    int inside = 1;
    for (int k = 0; k < 3; k++) {
        int64_t ea = r->e.a[k], eb = r->e.b[k], e = r->e.c[k] + ea * 16 * bx + eb * 16 * by;
        int64_t hi = e + T3D_MAX(ea, 0) * 128 + T3D_MAX(eb, 0) * 128;
        int64_t lo = e + T3D_MIN(ea, 0) * 128 + T3D_MIN(eb, 0) * 128;
        if (hi < 0)
            return;
        int in = lo >= 0;
        c[k] = in ? 0 : (int32_t)e, a[k] = in ? 0 : (int32_t)ea, b[k] = in ? 0 : (int32_t)eb;
        inside &= in;
    }
    x1 = T3D_MIN(x1, bx + 7), y1 = T3D_MIN(y1, by + 7);
    if (inside)
        raster_rect(r, c, a, b, bx, by, x1, y1, mode, 1);
    else
        raster_rect(r, c, a, b, bx, by, x1, y1, mode, 0);
}

VI void raster_triangle(struct raster *r, int ox, int oy, enum raster_mode mode)
{
    const struct t3di_tri *t = r->t;
    r->e = edges_of(t, ox, oy);
    r->ox = (float)ox - t->ax, r->oy = (float)oy - t->ay;
    int x0 = T3D_MAX(t->px0 - ox, 0) & ~(PER - 1), x1 = T3D_MIN(t->px1 - ox, T3DI_TILE - 1);
    int y0 = T3D_MAX(t->py0 - oy, 0), y1 = T3D_MIN(t->py1 - oy, T3DI_TILE - 1);
    int32_t extent = 0;
    for (int k = 0; k < 3; k++)
        extent = T3D_MAX(extent, T3D_MAX(abs(r->e.a[k]), abs(r->e.b[k])));
    if (extent <= 16 * 256) { /* small: every value fits 32 bits */
        int32_t c[3];
        for (int k = 0; k < 3; k++)
            c[k] =
                (int32_t)(r->e.c[k] + (int64_t)r->e.a[k] * 16 * x0 + (int64_t)r->e.b[k] * 16 * y0);
        raster_rect(r, c, r->e.a, r->e.b, x0, y0, x1, y1, mode, 0);
        return;
    }
    for (int by = y0 & ~7; by <= y1; by += 8)
        for (int bx = x0 & ~7; bx <= x1; bx += 8)
            raster_block(r, bx, by, x1, y1, mode);
}

/* All triangles of a tile, in order: opaque and MASK ones first, then BLEND ones against them. */
static inline void raster_tile(struct t3di_view *v, int tx, int ty)
{
    size_t b = (size_t)ty * (size_t)v->n_tiles + (size_t)tx;
    struct raster r = {.v = v};
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
