/* SPDX-License-Identifier: Apache-2.0 */
/* geom/cpu/inside_body.h -- solid angles of a few triangles for sixteen cells at a time. */
#ifndef T3D_GEOM_CPU_INSIDE_BODY_H
#define T3D_GEOM_CPU_INSIDE_BODY_H

#include "geom/cpu/simd16.h"
#include "geom/inside_impl.h"

struct v3 {
    v16 x, y, z;
};

V16 v16 dot(struct v3 a, struct v3 b)
{
    return v16_fma(a.x, b.x, v16_fma(a.y, b.y, v16_mul(a.z, b.z)));
}

V16 v16 negative(v16 a)
{
    return v16_sub(v16_set(0), a);
}

V16 v16 magnitude(v16 a)
{
    return v16_max(a, negative(a));
}

/* The angle of (x, y) in (-pi, pi]; 0 at the origin. A least-squares polynomial in the square of
 * the tangent on [0, 1], off by at most 2e-7. */
V16 v16 angle(v16 y, v16 x)
{
    static const float k[] = {1.0f,
                              -0.3333311975002289f,
                              0.19993707537651062f,
                              -0.14213122427463531f,
                              0.1068110242486f,
                              -0.07596058398485184f,
                              0.043845806270837784f,
                              -0.016820834949612617f,
                              0.0030481612775474787f};
    v16 ax = magnitude(x), ay = magnitude(y), zero = v16_set(0), r, t, u;

    t = v16_div(v16_min(ax, ay), v16_max(v16_max(ax, ay), v16_set(1e-37f)));
    u = v16_mul(t, t);
    r = v16_set(k[8]);
    for (int i = 7; i >= 0; i--)
        r = v16_fma(r, u, v16_set(k[i]));
    r = v16_mul(r, t);
    r = v16_blend(v16_lt(ax, ay), v16_sub(v16_set(1.57079632679489662f), r), r);
    r = v16_blend(v16_lt(x, zero), v16_sub(v16_set(3.14159265358979324f), r), r);
    return v16_blend(v16_lt(y, zero), negative(r), r);
}

V16 struct v3 corner(const struct t3di_caps *c, int which, uint32_t i, struct v3 at)
{
    const float *d = c->data + (size_t)(3 * which) * c->stride + i;

    return (struct v3){v16_sub(v16_set(d[0]), at.x), v16_sub(v16_set(d[c->stride]), at.y),
                       v16_sub(v16_set(d[2 * (size_t)c->stride]), at.z)};
}

/* Half the solid angle: Van Oosterom and Strackee, "The solid angle of a plane triangle", IEEE
 * Transactions on Biomedical Engineering 30 (1983), equation 8. */
V16 v16 half_solid_angle(struct v3 a, struct v3 b, struct v3 c)
{
    v16 la = v16_sqrt(dot(a, a)), lb = v16_sqrt(dot(b, b)), lc = v16_sqrt(dot(c, c));
    struct v3 n = {v16_sub(v16_mul(b.y, c.z), v16_mul(b.z, c.y)),
                   v16_sub(v16_mul(b.z, c.x), v16_mul(b.x, c.z)),
                   v16_sub(v16_mul(b.x, c.y), v16_mul(b.y, c.x))};
    v16 d = v16_mul(v16_mul(la, lb), lc);

    d = v16_fma(dot(a, b), lc, v16_fma(dot(a, c), lb, v16_fma(dot(b, c), la, d)));
    return angle(dot(a, n), d);
}

/* A bound of the fans' winding number anywhere within reach of a point: area / (4 pi distance^2),
 * at most a half, for each triangle. */
V16 float bound_of(const struct t3di_caps *c, float x, float y, float z, float reach)
{
    const float *d = c->data + (size_t)T3DI_CAP_CENTRE * c->stride;
    v16 sum = v16_set(0);
    float lane[16], total = 0;

    for (uint32_t i = 0; i < c->n; i += 16) {
        struct v3 p = {v16_sub(v16_load(d + i), v16_set(x)),
                       v16_sub(v16_load(d + c->stride + i), v16_set(y)),
                       v16_sub(v16_load(d + 2 * (size_t)c->stride + i), v16_set(z))};
        v16 far = v16_sub(v16_sub(v16_sqrt(dot(p, p)), v16_set(reach)),
                          v16_load(d + 3 * (size_t)c->stride + i));
        v16 area = v16_load(d + 4 * (size_t)c->stride + i);
        far = v16_max(far, v16_set(1e-9f));
        /* what stands behind the last triangle has no area */
        sum = v16_add(sum, v16_min(v16_div(area, v16_mul(far, far)),
                                   v16_blend(v16_lt(v16_set(0), area), v16_set(.5f), v16_set(0))));
    }
    v16_store(lane, sum);
    for (int i = 0; i < 16; i++)
        total += lane[i];
    return total;
}

V16 void sixteen(const struct t3di_caps *c, float x, float y, const float z[16],
                 const int16_t *winding, uint8_t *inside)
{
    struct v3 at = {v16_set(x), v16_set(y), v16_load(z)};
    v16 sum = v16_set(0);
    float lane[16];

    for (uint32_t i = 0; i < c->n; i++)
        sum = v16_add(
            sum, half_solid_angle(corner(c, 0, i, at), corner(c, 1, i, at), corner(c, 2, i, at)));
    v16_store(lane, sum);
    for (int i = 0; i < 16; i++)
        inside[i] = __builtin_fabsf((float)winding[i] - lane[i] * .159154943091895336f) >= .5f;
}

#define T3DI_COLUMN(name)                                                                          \
    void name(const struct t3di_caps *c, float x, float y, float z0, float dz,                     \
              const int16_t *winding, uint8_t *inside, uint32_t n)                                 \
    {                                                                                              \
        for (uint32_t i = 0; i < n; i += 16) {                                                     \
            float z[16];                                                                           \
            for (uint32_t k = 0; k < 16; k++)                                                      \
                z[k] = z0 + (float)(i + k) * dz;                                                   \
            if (bound_of(c, x, y, .5f * (z[0] + z[15]), 7.5f * dz) >= .499f)                       \
                sixteen(c, x, y, z, winding + i, inside + i);                                      \
            else                                                                                   \
                for (uint32_t k = 0; k < 16; k++)                                                  \
                    inside[i + k] = winding[i + k] != 0;                                           \
        }                                                                                          \
    }

#endif
