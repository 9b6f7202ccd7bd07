/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/draw_impl.h"

#include <math.h>

/* A mip chain that exists already: textures share chains when picture and use are the same. */
struct cached {
    int32_t image;
    enum t3di_mip_kind kind;
    uint8_t wrap_s, wrap_t;
    float cutoff;
    struct t3di_mips *mips;
};

struct cache {
    struct cached *entry;
    size_t n, cap;
};

static int find_mips(struct t3d_model *m, struct cache *c, const struct t3d_texture *t,
                     enum t3di_mip_kind kind, float cutoff, const struct t3di_mips **out,
                     struct t3d_err *err)
{
    const struct t3d_picture *p = &m->scene->image[t->image];
    if (kind != T3DI_MIP_MASK)
        cutoff = 0.0f;
    for (size_t k = 0; k < c->n; k++) {
        const struct cached *e = &c->entry[k];
        if (e->image == t->image && e->kind == kind && e->wrap_s == t->wrap_s &&
            e->wrap_t == t->wrap_t && !(e->cutoff < cutoff) && !(e->cutoff > cutoff)) {
            *out = e->mips;
            return T3D_OK;
        }
    }
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 16;
        struct cached *e = realloc(c->entry, cap * sizeof *e);
        if (!e)
            return t3d_err_nomem(err, "textures");
        c->entry = e, c->cap = cap;
    }
    struct cached *e = &c->entry[c->n];
    *e = (struct cached){t->image, kind, t->wrap_s, t->wrap_t, cutoff, NULL};
    int r = t3di_mips_new(&e->mips, &m->arena, p, kind, t->wrap_s, t->wrap_t, cutoff, err);
    if (r == T3D_OK)
        *out = c->entry[c->n++].mips;
    return r;
}

static int has_picture(const struct t3d_scene *s, const struct t3d_texture *t, uint32_t flags)
{
    if (t->image < 0 || (uint32_t)t->image >= s->n_images || t->uv >= T3D_MAX_UV)
        return 0;
    const struct t3d_picture *p = &s->image[t->image];
    return p->state == T3D_PICTURE_OK && p->pixels && p->width && p->height &&
           (flags & (T3D_HAS_UV0 << t->uv)) && s->uv[t->uv];
}

static int local_uv(struct t3di_shader *sh, uint8_t set)
{
    for (int k = 0; k < sh->n_uv; k++)
        if (sh->uv_set[k] == set)
            return k;
    sh->uv_set[sh->n_uv] = set;
    return sh->n_uv++;
}

static enum t3di_mip_kind kind_of(int slot, int alpha_mode)
{
    switch (slot) {
    case T3D_TEX_BASE:
        return alpha_mode == T3D_ALPHA_OPAQUE  ? T3DI_MIP_COLOR
               : alpha_mode == T3D_ALPHA_BLEND ? T3DI_MIP_BLEND
                                               : T3DI_MIP_MASK;
    case T3D_TEX_EMISSIVE:
        return T3DI_MIP_COLOR;
    case T3D_TEX_SPEC_GLOSS:
        return T3DI_MIP_GLOSS;
    default:
        return T3DI_MIP_DATA;
    }
}

/* A slot that cannot change the picture is left out: no lookup for it. */
static int is_used(const struct t3d_material *m, int slot)
{
    switch (slot) {
    case T3D_TEX_METAL_ROUGH:
        return !m->spec_gloss && !m->unlit;
    case T3D_TEX_SPEC_GLOSS:
        return m->spec_gloss && !m->unlit;
    case T3D_TEX_EMISSIVE:
        return !m->unlit &&
               (m->emissive[0] > 0.0f || m->emissive[1] > 0.0f || m->emissive[2] > 0.0f);
    case T3D_TEX_NORMAL:
        return m->normal_scale != 0.0f; /* the normal pass shows it for unlit materials too */
    case T3D_TEX_OCCLUSION:
        return m->occlusion_strength > 0.0f && !m->unlit;
    default:
        return 1;
    }
}

static int smallest_texel_alpha(const struct t3d_scene *s, const struct t3d_texture *t)
{
    const struct t3d_picture *p = &s->image[t->image];
    uint8_t lowest = 255;
    if (!p->has_alpha)
        return 255;
    for (size_t k = 0, n = (size_t)p->width * p->height; k < n; k++)
        lowest = T3D_MIN(lowest, p->pixels[4 * k + 3]);
    return lowest;
}

/* The alpha mode that gives the same picture at the least cost: many exporters mark opaque
 * materials BLEND, for which sorting and lost depth would be pure harm. */
static uint8_t needed_alpha_mode(const struct t3d_scene *s, const struct t3d_material *m,
                                 const struct t3d_draw *d)
{
    if (m->alpha_mode == T3D_ALPHA_OPAQUE)
        return T3D_ALPHA_OPAQUE;
    double lowest = (double)m->base[3];
    if (has_picture(s, &m->texture[T3D_TEX_BASE], d->flags))
        lowest *= smallest_texel_alpha(s, &m->texture[T3D_TEX_BASE]) / 255.0;
    if ((d->flags & T3D_HAS_COLOR) && s->color)
        for (uint32_t k = 0; k < d->n_vertices && lowest > 0.0; k++)
            if (s->color[d->first_vertex + k][3] < 1.0f)
                lowest = 0.0;
    if (m->alpha_mode == T3D_ALPHA_MASK)
        return lowest >= (double)m->alpha_cutoff ? T3D_ALPHA_OPAQUE : T3D_ALPHA_MASK;
    return lowest >= 250.0 / 255.0 ? T3D_ALPHA_OPAQUE : T3D_ALPHA_BLEND;
}

static int make_texture(struct t3d_model *m, struct cache *c, struct t3di_shader *sh,
                        const struct t3d_material *mat, int slot, struct t3d_err *err)
{
    const struct t3d_texture *t = &mat->texture[slot];
    struct t3di_texture *out = &sh->texture[slot];
    static const float identity[6] = {1, 0, 0, 0, 1, 0};
    out->uv = (uint8_t)local_uv(sh, t->uv);
    out->nearest = t->nearest;
    memcpy(out->transform, t->transform, sizeof out->transform);
    for (int k = 0; k < 6; k++)
        out->has_transform |= t->transform[k] < identity[k] || t->transform[k] > identity[k];
    return find_mips(m, c, t, kind_of(slot, sh->alpha_mode), mat->alpha_cutoff, &out->mips, err);
}

static int make_shader(struct t3d_model *m, struct cache *c, struct t3di_shader *sh,
                       const struct t3d_draw *d, struct t3d_err *err)
{
    const struct t3d_scene *s = m->scene;
    const struct t3d_material *mat = &s->material[d->material];
    memcpy(sh->base, mat->base, sizeof sh->base);
    memcpy(sh->emissive, mat->emissive, sizeof sh->emissive);
    memcpy(sh->specular, mat->specular, sizeof sh->specular);
    sh->metallic = mat->metallic, sh->roughness = mat->roughness, sh->glossiness = mat->glossiness;
    sh->normal_scale = mat->normal_scale, sh->occlusion_strength = mat->occlusion_strength;
    sh->cutoff = mat->alpha_cutoff;
    sh->unlit = mat->unlit, sh->spec_gloss = mat->spec_gloss;
    sh->alpha_mode = needed_alpha_mode(s, mat, d);
    sh->has_color = (d->flags & T3D_HAS_COLOR) && s->color;
    sh->has_normal = (d->flags & T3D_HAS_NORMAL) && s->normal;
    sh->has_emissive = !mat->unlit && (mat->emissive[0] > 0.0f || mat->emissive[1] > 0.0f ||
                                       mat->emissive[2] > 0.0f);
    for (int slot = 0; slot < T3D_TEX_COUNT; slot++) {
        if (!has_picture(s, &mat->texture[slot], d->flags) || !is_used(mat, slot))
            continue;
        if (slot == T3D_TEX_NORMAL && !sh->has_normal)
            continue; /* flat normals: tangents are ignored too (glTF 2.0 section 3.7.2.1) */
        int r = make_texture(m, c, sh, mat, slot, err);
        if (r < 0)
            return r;
    }
    sh->has_tangent = sh->texture[T3D_TEX_NORMAL].mips != NULL;
    sh->n_blocks = sh->n_uv > 1 ? 3 : sh->has_color || sh->has_tangent ? 2 : 1;
    return T3D_OK;
}

/* Draws with the same material and the same kinds of attributes share a shader. Draws whose alpha
 * mode depends on their vertex colours have one of their own. */
static int make_shaders(struct t3d_model *m, struct t3d_err *err)
{
    const struct t3d_scene *s = m->scene;
    struct cache cache = {0};
    int r = T3D_OK;
    m->shader = t3d_alloc(&m->arena, s->n_draws, sizeof *m->shader);
    m->shader_of_draw = t3d_alloc(&m->arena, s->n_draws, sizeof *m->shader_of_draw);
    uint32_t *draw_of_shader = t3d_alloc(&m->arena, s->n_draws, sizeof *draw_of_shader);
    uint32_t *latest = t3d_alloc(&m->arena, s->n_materials, sizeof *latest);
    if (!m->shader || !m->shader_of_draw || !draw_of_shader || !latest)
        return t3d_err_nomem(err, "materials");
    for (uint32_t d = 0; d < s->n_draws && r == T3D_OK; d++) {
        const struct t3d_draw *draw = &s->draw[d];
        uint32_t known = latest[draw->material];
        int colored = (draw->flags & T3D_HAS_COLOR) &&
                      s->material[draw->material].alpha_mode != T3D_ALPHA_OPAQUE;
        if (known && !colored && s->draw[draw_of_shader[known - 1]].flags == draw->flags) {
            m->shader_of_draw[d] = known - 1;
            continue;
        }
        r = make_shader(m, &cache, &m->shader[m->n_shaders], draw, err);
        draw_of_shader[m->n_shaders] = d;
        m->shader_of_draw[d] = m->n_shaders++;
        latest[draw->material] = m->n_shaders;
    }
    free(cache.entry);
    for (uint32_t k = 0; k < m->n_shaders; k++) {
        m->any_blend |= m->shader[k].alpha_mode == T3D_ALPHA_BLEND;
        m->any_mask |= m->shader[k].alpha_mode == T3D_ALPHA_MASK;
    }
    return r;
}

static int make_positions(struct t3d_model *m, const struct t3d_normalisation *n,
                          struct t3d_err *err)
{
    const struct t3d_scene *s = m->scene;
    size_t padded = ((size_t)s->n_vertices + 15) / 16 * 16 + 16;
    float **axis[3] = {&m->x, &m->y, &m->z};
    for (int k = 0; k < 3; k++) {
        *axis[k] = t3d_alloc(&m->arena, padded, sizeof(float));
        if (!*axis[k])
            return t3d_err_nomem(err, "vertices");
        for (uint32_t i = 0; i < s->n_vertices; i++)
            (*axis[k])[i] = (float)(((double)s->position[i][k] - n->centre[k]) * n->scale);
    }
    if (s->n_draws > 1) {
        m->draw_of_triangle = t3d_alloc(&m->arena, s->n_triangles, sizeof *m->draw_of_triangle);
        if (!m->draw_of_triangle)
            return t3d_err_nomem(err, "triangles");
        for (uint32_t d = 0; d < s->n_draws; d++)
            for (uint32_t t = 0; t < s->draw[d].n_triangles; t++)
                m->draw_of_triangle[s->draw[d].first_triangle + t] = d;
    }
    return T3D_OK;
}

int t3d_model_new(struct t3d_model **out, const struct t3d_scene *s,
                  const struct t3d_normalisation *n, struct t3d_err *err)
{
    struct t3d_model *m = calloc(1, sizeof *m);
    if (!m)
        return t3d_err_nomem(err, "model");
    m->scene = s;
    m->n_vertices = s->n_vertices;
    m->n_triangles = s->n_triangles;
    int r = make_positions(m, n, err);
    if (r == T3D_OK)
        r = make_shaders(m, err);
    if (r == T3D_OK)
        r = t3di_tangents(m, err);
    if (r != T3D_OK) {
        t3d_model_free(m);
        return r;
    }
    *out = m;
    return T3D_OK;
}

void t3d_model_free(struct t3d_model *m)
{
    if (!m)
        return;
    t3d_arena_free(&m->arena);
    free(m);
}
