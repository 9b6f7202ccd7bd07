/* SPDX-License-Identifier: Apache-2.0 */
/* draw/cpu/shade_body.h -- from a fragment to its colour. Included by body.h only. */
#ifndef T3D_DRAW_CPU_SHADE_BODY_H
#define T3D_DRAW_CPU_SHADE_BODY_H

#include "draw/cpu/texture_body.h"
#include "draw/draw_impl.h"

/* What the lanes of one batch carry: W fragments of one shader. */
struct point {
    vf dx, dy;            /* place of the fragment minus the anchor of its planes, pixels */
    vf w;                 /* distance along the view axis */
    vf plane[3][8];       /* block 0 of the records: value, d/dx, d/dy */
    vf v[3];              /* unit vector to the eye */
    vf n[3];              /* unit shading normal */
    vf base[4];           /* linear, straight alpha */
    vf f0[3], diffuse[3]; /* reflectance at normal incidence; diffuse albedo */
    vf rough, metal, occlusion;
    vf emissive[3];
};

VI vf at_point(const struct point *p, const vf plane[3][8], int k)
{
    return v_fma(plane[2][k], p->dy, v_fma(plane[1][k], p->dx, plane[0][k]));
}

VI vf dot3(const vf a[3], const vf b[3])
{
    return v_fma(a[0], b[0], v_fma(a[1], b[1], a[2] * b[2]));
}

VI void normalise3(vf a[3])
{
    vf inv = 1.0f / v_sqrt(v_max(dot3(a, a), v_set(1e-30f)));
    for (int k = 0; k < 3; k++)
        a[k] = a[k] * inv;
}

/* Block number `block` of the records, transposed; one broadcast when all lanes see one triangle.
 */
VI void load_block(const float *const record[W], int block, int uniform, vf plane[3][8])
{
    for (int j = 0; j < 3; j++) {
        if (uniform) {
            for (int k = 0; k < 8; k++)
                plane[j][k] = v_set(record[0][block * T3DI_BLOCK + 8 * j + k]);
            continue;
        }
        V_RAW const float *row[W];
        for (int i = 0; i < W; i++)
            row[i] = record[i] + block * T3DI_BLOCK + 8 * j;
        v_load8t(plane[j], row);
    }
}

/* uv pair k (slot k and k + 1 of the planes) with its change over a pixel. */
VI struct uvd uv_at(const struct point *p, const vf plane[3][8], int k)
{
    struct uvd d;
    d.u = at_point(p, plane, k) * p->w;
    d.v = at_point(p, plane, k + 1) * p->w;
    d.ux = (plane[1][k] - d.u * p->plane[1][0]) * p->w;
    d.uy = (plane[2][k] - d.u * p->plane[2][0]) * p->w;
    d.vx = (plane[1][k + 1] - d.v * p->plane[1][0]) * p->w;
    d.vy = (plane[2][k + 1] - d.v * p->plane[2][0]) * p->w;
    return d;
}

struct inputs {
    vf extra[3][8]; /* block 1: tangent and colour */
    struct uvd uv[T3D_MAX_UV];
};

VI int look_up(const struct t3di_shader *sh, const struct inputs *in, int slot, int srgb, vf out[4])
{
    const struct t3di_texture *t = &sh->texture[slot];
    if (!t->mips)
        return 0;
    texture_sample(t, &in->uv[t->uv], srgb, out);
    return 1;
}

/* Tangent space normal into the world (glTF 2.0 section 3.9.3); T and N are interpolated
 * unnormalised in equal measure and the sum is normalised once, as MikkTSpace demands. */
VI void perturb_normal(struct point *p, const struct t3di_shader *sh, const struct inputs *in)
{
    V_RAW vf texel[4], t[3], b[3], n[3];
    if (!look_up(sh, in, T3D_TEX_NORMAL, 0, texel))
        return;
    vf hand = p->plane[0][7];
    for (int k = 0; k < 3; k++) {
        t[k] = at_point(p, in->extra, k) * p->w;
        n[k] = p->n[k];
    }
    for (int k = 0; k < 3; k++) {
        int i = (k + 1) % 3, j = (k + 2) % 3;
        b[k] = (n[i] * t[j] - n[j] * t[i]) * hand;
    }
    vf x = (texel[0] * 2.0f - 1.0f) * sh->normal_scale,
       y = (texel[1] * 2.0f - 1.0f) * sh->normal_scale;
    vf z = texel[2] * 2.0f - 1.0f;
    for (int k = 0; k < 3; k++)
        p->n[k] = v_fma(t[k], x, v_fma(b[k], y, n[k] * z));
}

VI void surface(struct point *p, const struct t3di_shader *sh, const struct inputs *in)
{
    V_RAW vf texel[4];
    for (int k = 0; k < 4; k++)
        p->base[k] = v_set(sh->base[k]);
    if (look_up(sh, in, T3D_TEX_BASE, 1, texel))
        for (int k = 0; k < 4; k++)
            p->base[k] = p->base[k] * texel[k];
    if (sh->has_color)
        for (int k = 0; k < 4; k++)
            p->base[k] = p->base[k] * v_clamp(at_point(p, in->extra, 4 + k) * p->w, 0.0f, 1.0f);
    p->rough = v_set(sh->roughness), p->metal = v_set(sh->metallic), p->occlusion = v_set(1.0f);
    for (int k = 0; k < 3; k++) {
        p->n[k] = at_point(p, p->plane, 4 + k) * p->w;
        p->emissive[k] = v_set(sh->emissive[k]);
    }
    if (sh->has_tangent)
        perturb_normal(p, sh, in);
    normalise3(p->n);
    if (look_up(sh, in, T3D_TEX_OCCLUSION, 0, texel))
        p->occlusion = 1.0f + sh->occlusion_strength * (texel[0] - 1.0f);
    if (look_up(sh, in, T3D_TEX_EMISSIVE, 1, texel))
        for (int k = 0; k < 3; k++)
            p->emissive[k] = p->emissive[k] * texel[k];
}

/* Reflectances: metallic-roughness (glTF 2.0 appendix B) or KHR_materials_pbrSpecularGlossiness. */
VI void reflectance(struct point *p, const struct t3di_shader *sh, const struct inputs *in)
{
    V_RAW vf texel[4];
    if (sh->spec_gloss) {
        vf gloss = v_set(sh->glossiness);
        for (int k = 0; k < 3; k++)
            p->f0[k] = v_set(sh->specular[k]);
        if (look_up(sh, in, T3D_TEX_SPEC_GLOSS, 1, texel)) {
            for (int k = 0; k < 3; k++)
                p->f0[k] = p->f0[k] * texel[k];
            gloss = gloss * texel[3];
        }
        vf strongest = v_max(v_max(p->f0[0], p->f0[1]), p->f0[2]);
        for (int k = 0; k < 3; k++)
            p->diffuse[k] = p->base[k] * (1.0f - strongest);
        p->rough = 1.0f - gloss;
        /* for the metal-rough pass: what exceeds a dielectric's reflectance */
        p->metal = v_clamp((strongest - 0.04f) * (1.0f / 0.96f), 0.0f, 1.0f);
        return;
    }
    if (look_up(sh, in, T3D_TEX_METAL_ROUGH, 0, texel)) {
        p->rough = p->rough * texel[1];
        p->metal = p->metal * texel[2];
    }
    for (int k = 0; k < 3; k++) {
        p->diffuse[k] = p->base[k] * (1.0f - p->metal);
        p->f0[k] = v_fma(p->base[k] - 0.04f, p->metal, v_set(0.04f));
    }
}

VI vf poly5(const float c[5], vf x)
{
    vf r = v_fma(v_set(c[4]), x, v_set(c[3]));
    r = v_fma(r, x, v_set(c[2]));
    r = v_fma(r, x, v_set(c[1]));
    return v_fma(r, x, v_set(c[0]));
}

/* Split-sum integrals of GGX with height-correlated Smith (Karis 2013; Fdez-Aguera 2019): e =
 * directional albedo for F = 1, bias = the part that multiplies (1 - f0). Fitted to numerical
 * integrals over roughness .045..1 and N.V .002..1: largest error of e .0196 (.0033 for N.V > .15),
 * of bias/e .067
 * (.011 for N.V > .15). White stays white for any e: see indirect(). */
VI void directional_albedo(vf nv, vf rough, vf *e, vf *bias)
{
    static const float ce[5][5] = {{0.9735806f, -0.2355909f, 0.6287807f, -0.5035665f, 0.1055088f},
                                   {-0.3920337f, 6.137945f, -14.1455f, 9.640936f, -3.922219f},
                                   {0.8703453f, -36.35735f, 104.5462f, -107.2806f, 43.42295f},
                                   {-0.8062159f, 60.31309f, -178.1047f, 177.5654f, -65.24317f},
                                   {0.335444f, -29.2638f, 81.96072f, -65.4811f, 15.00074f}};
    static const float cb[4][5] = {{0.452343f, 6.260675f, -16.23724f, 3.826099f, 6.166128f},
                                   {-0.9388611f, -52.66073f, 165.8463f, -142.8403f, 28.99404f},
                                   {-0.340826f, 109.7789f, -351.4673f, 344.1864f, -100.2023f},
                                   {1.924699f, -64.73716f, 196.5896f, -193.6285f, 59.04131f}};
    vf q = nv / v_fma(rough, rough, nv), y = 1.0f - nv;
    vf s = poly5(ce[4], rough), t = poly5(cb[3], rough);
    for (int k = 3; k >= 0; k--)
        s = v_fma(s, q, poly5(ce[k], rough));
    for (int k = 2; k >= 0; k--)
        t = v_fma(t, y, poly5(cb[k], rough));
    *e = v_clamp(s, 0.05f, 1.0f);
    *bias = *e * v_clamp(t * y * y, 0.0f, 1.0f);
}

/* Irradiance / pi for normal n. */
VI vf irradiance(const float c[10], const vf n[3])
{
    vf r = v_fma(v_set(c[1]), n[0], v_set(c[0]));
    r = v_fma(v_set(c[2]), n[1], r);
    r = v_fma(v_set(c[3]), n[2], r);
    vf a = v_fma(v_set(c[7]), n[0], v_fma(v_set(c[4]), n[1], v_set(c[6]) * n[2]));
    vf b = v_fma(v_set(c[8]), n[1], v_set(c[5]) * n[2]);
    r = v_fma(a, n[0], r);
    r = v_fma(b, n[1], r);
    return v_max(v_fma(v_set(c[9]) * n[2], n[2], r), v_set(0.0f));
}

/* Radiance of the surroundings in the reflected direction, blurred as roughness asks. The GGX lobe
 * stands for a spherical Gaussian whose mean cosine is that of the lobe for N = V (fit of
 * 1/sharpness in alpha, relative error below .14); the convolution of two Gaussians has the sum of
 * their 1/sharpness. */
VI void reflected(const struct t3d_light *l, const vf dir[3], vf rough, vf out[3])
{
    vf a = rough * rough;
    vf blur =
        a * v_fma(a, v_fma(a, v_fma(a, v_set(3.2888970f), v_set(-5.8884943f)), v_set(2.8020378f)),
                  v_set(0.17988692f));
    vf up = dir[1] *
            (1.0f - blur * v_set(0.95f)); /* mean cosine of a lobe = coth s - 1/s, nearly this */
    for (int k = 0; k < 3; k++)
        out[k] = v_fma(up, v_set(l->gradient[k]), v_set(l->ambient[k]));
    for (int j = 0; j < l->n_lobes; j++) {
        const struct t3di_lobe *b = &l->lobe[j];
        vf t =
            v_fma(dir[0], v_set(b->axis[0]), v_fma(dir[1], v_set(b->axis[1]), dir[2] * b->axis[2]));
        vf s = 1.0f / (blur + 1.0f / b->sharpness);
        /* equal integrals over the sphere: c (1 - exp(-2 s)) / s stays */
        vf scale = s * (1.0f / b->sharpness) / (1.0f - v_exp(-2.0f * s));
        vf g = v_exp((t - 1.0f) * s) * scale;
        for (int k = 0; k < 3; k++)
            out[k] = v_fma(g, v_set(b->color[k]), out[k]);
    }
    for (int k = 0; k < 3; k++)
        out[k] = v_max(out[k], v_set(0.0f));
}

/* Image-based light with multiple scattering between facets (Fdez-Aguera 2019, equations 16 to 20):
 * what is not reflected at once or after several bounces is what the diffuse part receives, so a
 * white surface in a white room is white. */
VI void indirect(const struct point *p, const struct t3d_light *l, vf nv, vf e, vf bias, vf out[3])
{
    V_RAW vf dir[3], radiance[3];
    vf nv2 = 2.0f * dot3(p->n, p->v);
    for (int k = 0; k < 3; k++)
        dir[k] = v_fma(nv2, p->n[k], -p->v[k]);
    (void)nv;
    reflected(l, dir, p->rough, radiance);
    vf ems = 1.0f - e;
    for (int k = 0; k < 3; k++) {
        vf single = v_fma(p->f0[k], e - bias, bias);
        vf avg = v_fma(p->f0[k], v_set(20.0f / 21.0f), v_set(1.0f / 21.0f));
        vf multi = ems * single * avg / (1.0f - avg * ems);
        vf irr = irradiance(l->irradiance[k], p->n);
        vf kd = p->diffuse[k] * (1.0f - single - multi);
        out[k] = p->occlusion * v_fma(single, radiance[k], (multi + kd) * irr);
    }
}

/* The key light: GGX, height-correlated Smith, Schlick (glTF 2.0 appendix B.3), energy lost to
 * multiple scattering given back (Lagarde and Golubev 2018: 1 + f0 (1/e - 1)). alpha is kept above
 * .03: the light is not a point. */
VI void direct(const struct point *p, const struct t3d_light *l, vf nv, vf e, vf out[3])
{
    const float *d = l->key_direction;
    vf nl = v_fma(p->n[0], v_set(d[0]), v_fma(p->n[1], v_set(d[1]), p->n[2] * d[2]));
    vm lit = v_lt(v_set(0.0f), nl);
    if (!v_bits(lit))
        return;
    nl = v_max(nl, v_set(0.0f));
    vf h[3];
    for (int k = 0; k < 3; k++)
        h[k] = p->v[k] + d[k];
    normalise3(h);
    vf nh = v_clamp(dot3(p->n, h), 0.0f, 1.0f), vh = v_clamp(dot3(p->v, h), 0.0f, 1.0f);
    vf a = v_max(p->rough * p->rough, v_set(0.03f)), a2 = a * a;
    vf b = v_fma(nh * nh, a2 - 1.0f, v_set(1.0f));
    vf smith =
        nl * v_sqrt(v_fma(nv * nv, 1.0f - a2, a2)) + nv * v_sqrt(v_fma(nl * nl, 1.0f - a2, a2));
    vf dv = a2 * 0.5f / v_max(b * b * smith, v_set(1e-9f)); /* D V pi */
    vf y = 1.0f - vh, y2 = y * y, schlick = y2 * y2 * y;
    vf back = 1.0f / e - 1.0f;
    for (int k = 0; k < 3; k++) {
        vf f = v_fma(1.0f - p->f0[k], schlick, p->f0[k]);
        vf spec = f * dv * v_fma(p->f0[k], back, v_set(1.0f));
        out[k] = v_fma(nl * l->key_color[k], v_fma(1.0f - f, p->diffuse[k], spec), out[k]);
    }
}

/* Khronos PBR Neutral tone mapper (Khronos 2024): base colours under white light keep their values.
 */
VI void tone_map(vf c[3])
{
    const float start = 0.8f - 0.04f, desaturation = 0.15f, d = 1.0f - start;
    vf low = v_min(v_min(c[0], c[1]), c[2]);
    vf offset = v_sel(v_lt(low, v_set(0.08f)), low - 6.25f * low * low, v_set(0.04f));
    for (int k = 0; k < 3; k++)
        c[k] = c[k] - offset;
    vf peak = v_max(v_max(c[0], c[1]), c[2]);
    vm high = v_lt(v_set(start), peak);
    if (!v_bits(high))
        return;
    vf p = v_max(peak, v_set(start));
    vf to = 1.0f - d * d / (p + (d - start)), scale = to / p;
    vf mix = 1.0f / v_fma(p - to, v_set(desaturation), v_set(1.0f)); /* share that keeps its hue */
    for (int k = 0; k < 3; k++)
        c[k] = v_sel(high, v_fma(v_fma(c[k], scale, -to), mix, to), c[k]);
}

/* value[pass][channel]: colour in linear display light, normal, albedo, (0, roughness, metallic);
 * value[0][3] is alpha. */
VI void shade(const struct t3d_light *l, const struct t3di_shader *sh, struct point *p,
              const struct inputs *in, vf value[T3DI_N_PASS][4])
{
    surface(p, sh, in);
    reflectance(p, sh, in);
    vf c[3];
    if (sh->unlit || l->flat) {
        for (int k = 0; k < 3; k++)
            c[k] = p->base[k];
    } else {
        p->rough = v_clamp(p->rough, 0.045f, 1.0f);
        vf nv = v_clamp(dot3(p->n, p->v), 0.002f, 1.0f), e, bias;
        directional_albedo(nv, p->rough, &e, &bias);
        indirect(p, l, nv, e, bias, c);
        if (l->key_color[0] > 0.0f)
            direct(p, l, nv, e, c);
        if (sh->has_emissive)
            for (int k = 0; k < 3; k++)
                c[k] = c[k] + p->emissive[k];
        if (l->tone_map)
            tone_map(c);
    }
    for (int k = 0; k < 3; k++) {
        value[0][k] = v_clamp(c[k], 0.0f, 1.0f);
        value[1][k] = p->n[k];
        value[2][k] = v_clamp(p->base[k], 0.0f, 1.0f);
    }
    value[3][0] = v_set(0.0f);
    value[3][1] = v_clamp(p->rough, 0.0f, 1.0f);
    value[3][2] = v_clamp(p->metal, 0.0f, 1.0f);
    vf alpha = sh->alpha_mode == T3D_ALPHA_BLEND ? v_clamp(p->base[3], 0.0f, 1.0f) : v_set(1.0f);
    for (int k = 0; k < T3DI_N_PASS; k++)
        value[k][3] = alpha;
}

/* W fragments of one shader. n < W: the rest repeats the last. */
VI void shade_batch(const struct t3di_view *v, const struct t3di_shader *sh,
                    const struct t3di_frag *f, int n, int tx, int ty, vf value[T3DI_N_PASS][4])
{
    V_RAW struct point p;
    V_RAW struct inputs in;
    V_RAW const float *record[W];
    V_RAW float px[W], py[W];
    uint32_t first = f[0].record, other = 0;
    for (int i = 0; i < W; i++) {
        const struct t3di_frag *g = &f[i < n ? i : n - 1];
        record[i] = v->record + (size_t)g->record * T3DI_BLOCK;
        other |= g->record ^ first;
        px[i] = (float)(g->pixel % T3DI_TILE) + t3di_centroid_x[g->place];
        py[i] = (float)(g->pixel / T3DI_TILE) + t3di_centroid_y[g->place];
    }
    int uniform = other == 0;
    vf x = v_load(px) + (float)(tx * T3DI_TILE), y = v_load(py) + (float)(ty * T3DI_TILE);
    load_block(record, 0, uniform, p.plane);
    p.dx = x - p.plane[0][3], p.dy = y - p.plane[1][3];
    p.w = 1.0f / at_point(&p, (const vf(*)[8])p.plane, 0);
    in.uv[0] = uv_at(&p, (const vf(*)[8])p.plane, 1);
    if (sh->n_blocks > 1)
        load_block(record, 1, uniform, in.extra);
    if (sh->n_blocks > 2) {
        V_RAW vf more[3][8];
        load_block(record, 2, uniform, more);
        for (int k = 1; k < sh->n_uv; k++)
            in.uv[k] = uv_at(&p, (const vf(*)[8])more, 2 * (k - 1));
    }
    vf rx = (x - v->center) / v->focal, ry = (y - v->center) / v->focal;
    for (int k = 0; k < 3;
         k++) /* from the surface back to the eye; rows of r are the camera's axes */
        p.v[k] = -v_fma(rx, v_set(v->r[0][k]), v_fma(ry, v_set(v->r[1][k]), v_set(v->r[2][k])));
    normalise3(p.v);
    shade(v->light, sh, &p, &in, value);
}

#endif
