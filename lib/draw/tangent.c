/* SPDX-License-Identifier: Apache-2.0 */
/* Tangents for normal maps of meshes that bring none: the rule of MikkTSpace (Mikkelsen 2008,
 * "Simulation of wrinkled surfaces revisited", section 3.7; required by glTF 2.0 section 3.7.2.1).
 * The direction of u of every triangle is projected into the plane of the vertex normal and summed,
 * weighted by the triangle's angle, over the vertices with equal position, normal and uv, apart for
 * triangles whose uv are mirrored. Interpolated without normalising; the fragment normalises once.
 */
#include "draw/draw_impl.h"

#include <math.h>

struct key {
    float p[3], n[3], uv[2];
};

static struct key key_of(const struct t3d_scene *s, uint32_t i, int set)
{
    struct key k;
    for (int j = 0; j < 3; j++) {
        k.p[j] = s->position[i][j] + 0.0f; /* -0 becomes +0 */
        k.n[j] = s->normal[i][j] + 0.0f;
    }
    for (int j = 0; j < 2; j++)
        k.uv[j] = s->uv[set][i][j] + 0.0f;
    return k;
}

static uint64_t hash_of(const struct key *k)
{
    uint32_t w[8];
    memcpy(w, k, sizeof w);
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (int j = 0; j < 8; j++)
        h = (h ^ w[j]) * 0xff51afd7ed558ccdu, h ^= h >> 32;
    return h;
}

/* first[k] = the first vertex of the draw that equals vertex k of the draw. */
static void weld(const struct t3d_scene *s, const struct t3d_draw *d, int set, uint32_t *first,
                 uint32_t *table, size_t size)
{
    memset(table, 0xff, size * sizeof *table);
    for (uint32_t k = 0; k < d->n_vertices; k++) {
        struct key a = key_of(s, d->first_vertex + k, set), b;
        size_t h = hash_of(&a) & (size - 1);
        for (; table[h] != UINT32_MAX; h = (h + 1) & (size - 1)) {
            b = key_of(s, d->first_vertex + table[h], set);
            if (memcmp(&a, &b, sizeof a) == 0)
                break;
        }
        if (table[h] == UINT32_MAX)
            table[h] = k;
        first[k] = table[h];
    }
}

static void sub(double r[3], const float a[3], const float b[3])
{
    for (int k = 0; k < 3; k++)
        r[k] = (double)a[k] - (double)b[k];
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* a minus its part along n (of unit length), normalised; 0 when nothing is left. */
static int project(double a[3], const float n[3])
{
    double d = a[0] * (double)n[0] + a[1] * (double)n[1] + a[2] * (double)n[2], len = 0.0;
    for (int k = 0; k < 3; k++)
        a[k] -= d * (double)n[k];
    len = sqrt(dot(a, a));
    if (len < 1e-30)
        return 0;
    for (int k = 0; k < 3; k++)
        a[k] /= len;
    return 1;
}

static void add_triangle(struct t3d_model *m, const struct t3d_draw *d, const uint32_t i[3],
                         int set, const uint32_t *first)
{
    const struct t3d_scene *s = m->scene;
    const float *t0 = s->uv[set][i[0]], *t1 = s->uv[set][i[1]], *t2 = s->uv[set][i[2]];
    double du1 = (double)t1[0] - (double)t0[0], dv1 = (double)t1[1] - (double)t0[1];
    double du2 = (double)t2[0] - (double)t0[0], dv2 = (double)t2[1] - (double)t0[1];
    double area = du1 * dv2 - du2 * dv1, e1[3], e2[3], along[3];
    if (area == 0.0)
        return;
    sub(e1, s->position[i[1]], s->position[i[0]]);
    sub(e2, s->position[i[2]], s->position[i[0]]);
    for (int k = 0; k < 3; k++)
        along[k] = (dv2 * e1[k] - dv1 * e2[k]) * (area < 0.0 ? -1.0 : 1.0);
    for (int c = 0; c < 3; c++) {
        const float *n = s->normal[i[c]];
        double t[3] = {along[0], along[1], along[2]}, a[3], b[3];
        sub(a, s->position[i[(c + 1) % 3]], s->position[i[c]]);
        sub(b, s->position[i[(c + 2) % 3]], s->position[i[c]]);
        if (!project(t, n) || !project(a, n) || !project(b, n))
            continue;
        double w = acos(T3D_CLAMP(dot(a, b), -1.0, 1.0));
        float *sum = m->tangent[area < 0.0][d->first_vertex + first[i[c] - d->first_vertex]];
        for (int k = 0; k < 3; k++)
            sum[k] += (float)(w * t[k]);
    }
}

static void finish(struct t3d_model *m, const struct t3d_draw *d, const uint32_t *first)
{
    for (int side = 0; side < 2; side++)
        for (uint32_t k = d->n_vertices; k-- > 0;) { /* representatives come first: do them last */
            float *t = m->tangent[side][d->first_vertex + k];
            memcpy(t, m->tangent[side][d->first_vertex + first[k]], 3 * sizeof *t);
            float len = sqrtf(t[0] * t[0] + t[1] * t[1] + t[2] * t[2]);
            for (int j = 0; j < 3 && len > 0.0f; j++)
                t[j] /= len;
        }
}

static int tangents_of_draw(struct t3d_model *m, uint32_t draw, struct t3d_err *err)
{
    const struct t3d_draw *d = &m->scene->draw[draw];
    const struct t3di_shader *sh = &m->shader[m->shader_of_draw[draw]];
    int set = sh->uv_set[sh->texture[T3D_TEX_NORMAL].uv];
    size_t size = 16;
    while (size < 2 * (size_t)d->n_vertices)
        size *= 2;
    uint32_t *table = malloc(size * sizeof *table);
    uint32_t *first = malloc(((size_t)d->n_vertices + 1) * sizeof *first);
    if (!table || !first) {
        free(table);
        free(first);
        return t3d_err_nomem(err, "tangents");
    }
    weld(m->scene, d, set, first, table, size);
    for (uint32_t t = d->first_triangle; t < d->first_triangle + d->n_triangles; t++)
        add_triangle(m, d, m->scene->triangle[t], set, first);
    finish(m, d, first);
    free(table);
    free(first);
    return 0;
}

int t3di_tangents(struct t3d_model *m, struct t3d_err *err)
{
    const struct t3d_scene *s = m->scene;
    for (uint32_t d = 0; d < s->n_draws; d++) {
        const struct t3di_shader *sh = &m->shader[m->shader_of_draw[d]];
        if (!sh->has_tangent || (s->draw[d].flags & T3D_HAS_TANGENT))
            continue;
        if (!m->tangent_computed) {
            m->tangent_computed = t3d_alloc(&m->arena, s->n_draws, 1);
            for (int k = 0; k < 2; k++)
                m->tangent[k] = t3d_alloc(&m->arena, s->n_vertices, sizeof *m->tangent[k]);
            if (!m->tangent_computed || !m->tangent[0] || !m->tangent[1])
                return t3d_err_nomem(err, "tangents");
        }
        m->tangent_computed[d] = 1;
        int r = tangents_of_draw(m, d, err);
        if (r < 0)
            return r;
    }
    return T3D_OK;
}
