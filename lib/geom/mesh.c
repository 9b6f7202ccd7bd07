/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/mesh_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "image/colour.h"

/* Linear; the default of Blender's and most viewers' plain material. */
#define T3DI_UNKNOWN_ALBEDO 0.8f

struct t3d_material t3di_plain_material(void)
{
    struct t3d_material m = t3d_material_default();

    m.metallic = 0;
    return m;
}

int t3di_one_draw(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_material *m,
                  uint32_t flags, struct t3d_err *err)
{
    s->material = t3d_alloc(a, 1, sizeof *s->material);
    s->draw = t3d_alloc(a, 1, sizeof *s->draw);
    if (!s->material || !s->draw)
        return t3d_err_nomem(err, "the material");
    s->material[0] = *m;
    /* A surface of which no colour is known is light grey and not white: its shading stays visible.
     */
    if (!(flags & T3D_HAS_COLOR) && m->texture[T3D_TEX_BASE].image < 0)
        for (int k = 0; k < 3; k++)
            s->material[0].base[k] *= T3DI_UNKNOWN_ALBEDO;
    s->n_materials = 1;
    s->draw[0].n_triangles = s->n_triangles;
    s->draw[0].n_vertices = s->n_vertices;
    s->draw[0].flags = flags;
    s->n_draws = s->n_triangles > 0;
    return T3D_OK;
}

int t3di_check_counts(uint64_t vertices, uint64_t triangles, struct t3d_err *err)
{
    if (vertices > T3D_MAX_VERTICES)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)vertices,
                             "the file has %llu vertices, more than %u",
                             (unsigned long long)vertices, T3D_MAX_VERTICES);
    if (triangles > T3D_MAX_TRIANGLES)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)triangles,
                             "the file has %llu triangles, more than %u",
                             (unsigned long long)triangles, T3D_MAX_TRIANGLES);
    return T3D_OK;
}

void t3di_note_bad(struct t3d_scene_notes *n, const char *reason)
{
    n->n_bad_primitives++;
    if (!n->first_bad[0])
        snprintf(n->first_bad, sizeof n->first_bad, "%s", reason);
}

int t3di_finite3(const float p[3])
{
    return isfinite(p[0]) && isfinite(p[1]) && isfinite(p[2]);
}

void t3di_drop_non_finite(struct t3d_scene *s)
{
    uint32_t kept = 0, bad = 0;

    for (uint32_t i = 0; i < s->n_vertices; i++)
        bad += !t3di_finite3(s->position[i]);
    if (!bad)
        return;
    s->notes.n_non_finite += bad;
    for (uint32_t i = 0; i < s->n_triangles; i++) {
        const uint32_t *t = s->triangle[i];
        if (t3di_finite3(s->position[t[0]]) && t3di_finite3(s->position[t[1]]) &&
            t3di_finite3(s->position[t[2]]))
            memmove(s->triangle[kept++], t, sizeof *s->triangle);
        else
            t3di_note_bad(&s->notes, "non-finite");
    }
    s->n_triangles = kept;
    for (uint32_t i = 0; i < s->n_vertices; i++)
        if (!t3di_finite3(s->position[i]))
            memset(s->position[i], 0, sizeof *s->position);
}

int t3di_normalise(float v[3])
{
    double n = sqrt((double)v[0] * v[0] + (double)v[1] * v[1] + (double)v[2] * v[2]);

    if (!(n > 0) || !isfinite(n))
        return 0;
    for (int k = 0; k < 3; k++)
        v[k] = (float)(v[k] / n);
    return 1;
}

void t3di_colors_to_linear(float (*color)[4], size_t n, float full)
{
    const float *table = t3d_srgb_to_linear_table();
    float most = 0;

    for (size_t i = 0; full <= 0 && i < n; i++)
        for (int k = 0; k < 4; k++)
            most = isfinite(color[i][k]) ? T3D_MAX(most, color[i][k]) : most;
    full = full > 0 ? full : most > 1 ? 255 : 1;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 4; k++) {
            float c = isfinite(color[i][k]) ? color[i][k] : full;
            c = full == 255 ? c : c / full * 255; /* in codes: they are the usual case */
            c = T3D_CLAMP(c, 0, 255);
            if (k == 3)
                color[i][k] = c / 255;
            else
                color[i][k] = c == (float)(int)c ? table[(int)c] : t3d_srgb_to_linear(c / 255);
        }
}

int t3di_open_beside(const struct t3d_source *src, struct t3d_arena *a, const char *name, size_t n,
                     struct t3d_blob *b, struct t3d_err *err)
{
    char *path = t3d_strndup(a, name, n), *base;
    struct t3d_err why;
    int r;

    if (!path)
        return t3d_err_nomem(err, "the name of a file");
    if (!src->open || !*path)
        return T3D_END;
    for (char *s = path; *s; s++)
        *s = *s == '\\' ? '/' : *s;
    r = src->open(src->ctx, path, b, &why);
    base = strrchr(path, '/');
    if (r == T3D_SKIP && base && base[1])
        r = src->open(src->ctx, base + 1, b, &why);
    if (r < 0 && r != T3D_SKIP) {
        if (err)
            *err = why;
        return r;
    }
    return r == T3D_SKIP ? T3D_END : T3D_OK;
}
