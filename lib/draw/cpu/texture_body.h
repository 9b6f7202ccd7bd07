/* SPDX-License-Identifier: Apache-2.0 */
/* draw/cpu/texture_body.h -- filtered texture lookups. Included by body.h and raster_body.h only.
 */
#ifndef T3D_DRAW_CPU_TEXTURE_BODY_H
#define T3D_DRAW_CPU_TEXTURE_BODY_H

#include "draw/cpu/simd.h"
#include "draw/draw_impl.h"

/* Texture coordinates and their change over one pixel right (x) and down (y). */
struct uvd {
    vf u, v, ux, vx, uy, vy;
};

/* sRGB code (0..255) to linear light: the linear part exactly, the power by a polynomial of degree
 * 4 fitted to the codes above 10; largest error .05 of a code. */
VI vf srgb_decode(vf c)
{
    vf p = v_set(-0.11539170890f / 4228250625.0f);
    p = v_fma(p, c, v_set(0.52385717630f / 16581375.0f));
    p = v_fma(p, c, v_set(0.56195205450f / 65025.0f));
    p = v_fma(p, c, v_set(0.02808243968f / 255.0f));
    p = v_fma(p, c, v_set(0.00106349937f));
    return v_sel(v_lt(c, v_set(10.5f)), c * (1.0f / (255.0f * 12.92f)), p);
}

/* Texel left of (above) the position and the share of the next one, for one axis. */
VI void texel_axis(vf u, vf size, int wrap, vi *index, vf *share)
{
    vf x, lo;
    if (wrap == T3D_WRAP_REPEAT) {
        x = (u - v_floor(u)) * size - 0.5f;
        lo = v_floor(x);
        *share = x - lo;
        lo = v_sel(v_lt(lo, v_set(0.0f)), lo + size, lo);
    } else {
        if (wrap == T3D_WRAP_MIRROR) {
            vf t = u - 2.0f * v_floor(u * 0.5f);
            u = 1.0f - v_abs(t - 1.0f);
        }
        x = v_min(v_max(u * size - 0.5f, v_set(0.0f)), size - 1.0f);
        lo = v_floor(x);
        *share = x - lo;
    }
    /* also keeps NaN and infinity inside the picture */
    *index = v_maxi(v_trunc(v_min(lo, size - 1.0f)), v_seti(0));
}

VI void add_texel(vi t, vf weight, int srgb, vf out[4])
{
    for (int c = 0; c < 3; c++) {
        vf x = v_float((t >> (8 * c)) & 255);
        out[c] = v_fma(srgb ? srgb_decode(x) : x, weight, out[c]);
    }
    out[3] = v_fma(v_float((t >> 24) & 255), weight, out[3]);
}

/* out += weight * bilinear lookup in one level; sharp > 0 steepens the blend between texels
 * (NEAREST, but with edges as wide as a pixel). Channels are 0..1 for sRGB colours, else 0..255;
 * alpha 0..255. */
VI void add_bilinear(const struct t3di_mips *m, vf u, vf v, vi level, vf weight, vf sharp,
                     int nearest, int srgb, vf out[4])
{
    vi x, y, a, b, c, d;
    vf fx, fy;
    texel_axis(u, v_look(m->width, level), m->wrap_s, &x, &fx);
    texel_axis(v, v_look(m->height, level), m->wrap_t, &y, &fy);
    if (nearest) {
        fx = v_clamp(v_fma(fx - 0.5f, sharp, v_set(0.5f)), 0.0f, 1.0f);
        fy = v_clamp(v_fma(fy - 0.5f, sharp, v_set(0.5f)), 0.0f, 1.0f);
    }
    vi stride = v_looki(m->stride, level), at = v_looki(m->offset, level) + y * stride + x;
    v_gather2(m->texel, at, &a, &b);
    v_gather2(m->texel, at + stride, &c, &d);
    vf lower = weight * fy, upper = weight - lower, lx = lower * fx, ux = upper * fx;
    add_texel(a, upper - ux, srgb, out);
    add_texel(b, ux, srgb, out);
    add_texel(c, lower - lx, srgb, out);
    add_texel(d, lx, srgb, out);
}

/* Trilinear with up to 8 probes along the long axis of the footprint. srgb: RGB decoded to linear.
 * out: RGBA in 0..1. */
VI void texture_sample(const struct t3di_texture *t, const struct uvd *in, int srgb, vf out[4])
{
    const struct t3di_mips *m = t->mips;
    struct uvd d = *in;
    if (t->has_transform) {
        const float *k = t->transform;
        d.u = k[0] * in->u + k[1] * in->v + k[2], d.v = k[3] * in->u + k[4] * in->v + k[5];
        d.ux = k[0] * in->ux + k[1] * in->vx, d.vx = k[3] * in->ux + k[4] * in->vx;
        d.uy = k[0] * in->uy + k[1] * in->vy, d.vy = k[3] * in->uy + k[4] * in->vy;
    }
    float w = m->width[0], h = m->height[0];
    vf xx = d.ux * d.ux * (w * w) + d.vx * d.vx * (h * h);
    vf yy = d.uy * d.uy * (w * w) + d.vy * d.vy * (h * h);
    vf major2 = v_clamp(v_max(xx, yy), 1e-12f, 1e12f), minor2 = v_min(xx, yy);
    vf sharp = t->nearest ? 1.0f / v_sqrt(major2) : v_set(1.0f);
    for (int c = 0; c < 4; c++)
        out[c] = v_set(0.0f);
    if (!v_bits(v_lt(v_set(1.0f), major2))) { /* magnified everywhere */
        add_bilinear(m, d.u, d.v, v_seti(0), v_set(1.0f), sharp, t->nearest, srgb, out);
    } else {
        /* below one texel the short axis asks for nothing finer */
        vf major = v_sqrt(major2), ratio = v_sqrt(major2 / v_max(minor2, v_set(1.0f)));
        vf n = v_clamp(-v_floor(0.25f - ratio), 1.0f,
                       8.0f); /* a little over n probes is good enough */
        n = v_sel(v_le(major2, v_set(1.0f)), v_set(1.0f), n);
        vf inv = 1.0f / n, top = v_set((float)(m->n_levels - 1));
        vf lod = v_min(v_max(v_log2(v_max(major * inv, v_set(1.0f))), v_set(0.0f)), top);
        vf base = v_floor(lod), blend = lod - base;
        vi l0 = v_trunc(base), l1 = v_trunc(v_min(base + 1.0f, top));
        vm along_x = v_lt(yy, xx);
        vf du = v_sel(along_x, d.ux, d.uy), dv = v_sel(along_x, d.vx, d.vy);
        int both = v_bits(v_lt(v_set(0.0f), blend)) != 0;
        sharp = v_max(sharp, v_set(1.0f)); /* only where magnified */
        for (int k = 0, probes = (int)v_hmax(n); k < probes; k++) {
            vf where = ((float)k + 0.5f) * inv - 0.5f;
            vf weight = v_sel(v_lt(v_set((float)k), n), inv, v_set(0.0f));
            vf u = v_fma(du, where, d.u), v = v_fma(dv, where, d.v);
            add_bilinear(m, u, v, l0, weight * (1.0f - blend), sharp, t->nearest, srgb, out);
            if (both)
                add_bilinear(m, u, v, l1, weight * blend, v_set(1.0f), 0, srgb, out);
        }
    }
    for (int c = srgb ? 3 : 0; c < 4; c++)
        out[c] = out[c] * (1.0f / 255.0f);
}

#endif
