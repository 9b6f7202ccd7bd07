/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/draw_impl.h"

#include <math.h>

/* ---- screen triangles
 * ---------------------------------------------------------------------------- */

static int grow(void **p, size_t *cap, size_t need, size_t size)
{
    size_t n = *cap ? *cap : 1024;
    while (n < need)
        n *= 2;
    if (n == *cap)
        return 0;
    void *q = realloc(*p, n * size);
    if (!q)
        return -1;
    *p = q;
    *cap = n;
    return 0;
}

int t3di_grow_blend(struct t3di_view *v)
{
    size_t cap = v->cap_blend, value = cap, order = cap, need = v->n_blend + 1;
    if (grow((void **)&v->blend_value, &value, need, sizeof *v->blend_value) < 0 ||
        grow((void **)&v->blend_order, &order, need, sizeof *v->blend_order) < 0)
        return -1;
    return grow((void **)&v->blend, &v->cap_blend, need, sizeof *v->blend);
}

/* Pixels whose samples (1/16 to 15/16 pixel) can lie in [lo, hi] (1/256 pixel), inside the picture.
 */
static void pixel_range(int32_t lo, int32_t hi, int32_t last, int32_t *p0, int32_t *p1)
{
    *p0 = (lo - 240 + 255) >> 8;
    *p1 = (hi - 16) >> 8;
    if (*p0 < 0)
        *p0 = 0;
    if (*p1 > last)
        *p1 = last;
}

/* Screen triangles thinner than 1/16 of a snapping step have no usable gradients. */
static int too_thin(double area, const int32_t x[3], const int32_t y[3])
{
    double dx = abs(x[1] - x[0]) + abs(x[2] - x[0]), dy = abs(y[1] - y[0]) + abs(y[2] - y[0]);
    return fabs(area) * 16.0 < dx + dy;
}

static void depth_plane(float plane[5], const int32_t x[3], const int32_t y[3], const float iw[3])
{
    double x1 = x[1] - x[0], y1 = y[1] - y[0], x2 = x[2] - x[0], y2 = y[2] - y[0];
    double area = x1 * y2 - y1 * x2, z1 = (double)iw[1] - iw[0], z2 = (double)iw[2] - iw[0];
    plane[3] = (float)x[0] * (1.0f / 256.0f);
    plane[4] = (float)y[0] * (1.0f / 256.0f);
    if (area == 0.0 || too_thin(area, x, y)) {
        plane[0] = (iw[0] + iw[1] + iw[2]) / 3.0f;
        plane[1] = plane[2] = 0.0f;
        return;
    }
    plane[0] = iw[0];
    plane[1] = (float)((z1 * y2 - z2 * y1) / area * 256.0);
    plane[2] = (float)((z2 * x1 - z1 * x2) / area * 256.0);
}

/* known: 1/w at the anchor, d/dx, d/dy, anchor x, anchor y; NULL = computed from iw of the corners.
 */
int t3di_add_triangle(struct t3di_view *v, uint32_t id, uint32_t shader, const int32_t x[3],
                      const int32_t y[3], const float iw[3], const float known[5])
{
    int32_t last = (int32_t)v->c->resolution - 1, px0, px1, py0, py1;
    pixel_range(T3D_MIN(T3D_MIN(x[0], x[1]), x[2]), T3D_MAX(T3D_MAX(x[0], x[1]), x[2]), last, &px0,
                &px1);
    pixel_range(T3D_MIN(T3D_MIN(y[0], y[1]), y[2]), T3D_MAX(T3D_MAX(y[0], y[1]), y[2]), last, &py0,
                &py1);
    int64_t area = (int64_t)(x[1] - x[0]) * (y[2] - y[0]) - (int64_t)(y[1] - y[0]) * (x[2] - x[0]);
    if (px0 > px1 || py0 > py1 || area == 0)
        return 0;
    if (v->n_tri == v->cap_tri &&
        grow((void **)&v->tri, &v->cap_tri, v->n_tri + 1, sizeof *v->tri) < 0)
        return -1;
    float plane[5];
    if (known)
        memcpy(plane, known, sizeof plane);
    else
        depth_plane(plane, x, y, iw);
    struct t3di_tri *t = &v->tri[v->n_tri++];
    int b = area > 0 ? 1 : 2, c = 3 - b;
    t->x[0] = x[0], t->x[1] = x[b], t->x[2] = x[c];
    t->y[0] = y[0], t->y[1] = y[b], t->y[2] = y[c];
    t->z0 = plane[0], t->zx = plane[1], t->zy = plane[2];
    t->ax = plane[3], t->ay = plane[4];
    t->id = id, t->shader = shader;
    t->px0 = (int16_t)px0, t->px1 = (int16_t)px1, t->py0 = (int16_t)py0, t->py1 = (int16_t)py1;
    return 0;
}

static int setup_draw(struct t3di_view *v, const struct t3d_draw *d, uint32_t shader)
{
    const uint32_t(*triangle)[3] = (const uint32_t(*)[3])v->m->scene->triangle;
    for (uint32_t id = d->first_triangle; id < d->first_triangle + d->n_triangles; id++) {
        const uint32_t *i = triangle[id];
        float iw[3] = {v->iw[i[0]], v->iw[i[1]], v->iw[i[2]]};
        if (iw[0] <= 0.0f || iw[1] <= 0.0f || iw[2] <= 0.0f) {
            if (t3di_setup_clipped(v, id, shader) < 0)
                return -1;
            continue;
        }
        int32_t x[3] = {v->sx[i[0]], v->sx[i[1]], v->sx[i[2]]};
        int32_t y[3] = {v->sy[i[0]], v->sy[i[1]], v->sy[i[2]]};
        if (t3di_add_triangle(v, id, shader, x, y, iw, NULL) < 0)
            return -1;
    }
    return 0;
}

/* ---- tiles
 * --------------------------------------------------------------------------------------- */

#define TILES_OF(t, tx, ty)                                                                        \
    for (int ty = (t)->py0 / T3DI_TILE; ty <= (t)->py1 / T3DI_TILE; ty++)                          \
        for (int tx = (t)->px0 / T3DI_TILE; tx <= (t)->px1 / T3DI_TILE; tx++)

/* Counting sort into tiles: within a tile, triangles keep their order. */
static int sort_into_tiles(struct t3di_view *v)
{
    size_t n_bins = (size_t)v->n_tiles * (size_t)v->n_tiles;
    uint32_t *start = v->bin_start;
    memset(start, 0, (n_bins + 1) * sizeof *start);
    uint64_t total = 0;
    for (size_t k = 0; k < v->n_tri; k++)
        TILES_OF(&v->tri[k], tx, ty)
        {
            start[(size_t)ty * (size_t)v->n_tiles + (size_t)tx + 1]++;
            total++;
        }
    if (total >= UINT32_MAX || grow((void **)&v->bin, &v->cap_bin, total, sizeof *v->bin) < 0)
        return -1;
    for (size_t b = 0; b < n_bins; b++)
        start[b + 1] += start[b];
    for (size_t k = v->n_tri; k-- > 0;) /* backwards: start[b + 1] runs down to the bin's start */
        TILES_OF(&v->tri[k], tx, ty)
    v->bin[--start[(size_t)ty * (size_t)v->n_tiles + (size_t)tx + 1]] = (uint32_t)k;
    memmove(start, start + 1, n_bins * sizeof *start);
    start[n_bins] = (uint32_t)total;
    return 0;
}

int t3di_setup(struct t3di_view *v)
{
    const struct t3d_model *m = v->m;
    v->n_tri = 0;
    for (int blend = 0; blend < 2; blend++)
        for (uint32_t d = 0; d < m->scene->n_draws; d++) {
            uint32_t shader = m->shader_of_draw[d];
            if ((m->shader[shader].alpha_mode == T3D_ALPHA_BLEND) != blend)
                continue;
            if (setup_draw(v, &m->scene->draw[d], shader) < 0)
                return -1;
        }
    return sort_into_tiles(v);
}

/* ---- plane records
 * --------------------------------------------------------------------------------- */

static uint32_t draw_of(const struct t3d_model *m, uint32_t id)
{
    return m->draw_of_triangle ? m->draw_of_triangle[id] : 0;
}

/* beta_i: planes (value at the anchor, d/dx, d/dy) with attribute/w = sum attribute_i beta_i. */
static void corner_planes(const struct t3di_view *v, uint32_t id, double anchor[2],
                          double beta[3][3])
{
    const uint32_t *i = v->m->scene->triangle[id];
    double iw[3] = {(double)v->iw[i[0]], (double)v->iw[i[1]], (double)v->iw[i[2]]};
    if (iw[0] <= 0.0 || iw[1] <= 0.0 || iw[2] <= 0.0) {
        anchor[0] = anchor[1] = (double)v->center;
        t3di_clip_planes(v, id, anchor[0], anchor[1], beta);
        return;
    }
    int32_t x[3] = {v->sx[i[0]], v->sx[i[1]], v->sx[i[2]]};
    int32_t y[3] = {v->sy[i[0]], v->sy[i[1]], v->sy[i[2]]};
    double x1 = x[1] - x[0], y1 = y[1] - y[0], x2 = x[2] - x[0], y2 = y[2] - y[0];
    double area = x1 * y2 - y1 * x2;
    anchor[0] = x[0] / 256.0, anchor[1] = y[0] / 256.0;
    memset(beta, 0, 3 * sizeof beta[0]);
    if (area == 0.0 || too_thin(area, x, y)) {
        for (int k = 0; k < 3; k++)
            beta[k][0] = iw[k] / 3.0;
        return;
    }
    double s = 256.0 / area;
    beta[0][0] = iw[0];
    beta[0][1] = iw[0] * (y1 - y2) * s, beta[0][2] = iw[0] * (x2 - x1) * s;
    beta[1][1] = iw[1] * y2 * s, beta[1][2] = -iw[1] * x2 * s;
    beta[2][1] = -iw[2] * y1 * s, beta[2][2] = iw[2] * x1 * s;
}

/* Attributes of the three corners in the order of a record's blocks: 8 floats each. */
struct corners {
    float a[3][24];
};

static void put_array(struct corners *q, int k, const uint32_t i[3], const float *a, size_t stride,
                      int n, float factor)
{
    for (int c = 0; c < 3; c++)
        for (int j = 0; j < n; j++)
            q->a[c][k + j] = factor * a[i[c] * stride + (size_t)j];
}

/* Planes of attribute/w: a0 sum(beta) + (a1 - a0) beta1 + (a2 - a0) beta2, so that what is equal at
 * all corners stays exact. */
static void put_planes(float *record, int n_blocks, const struct corners *q,
                       const double beta[3][3])
{
    for (int j = 0; j < 3; j++) {
        float all = (float)(beta[0][j] + beta[1][j] + beta[2][j]);
        float b1 = (float)beta[1][j], b2 = (float)beta[2][j];
        for (int block = 0; block < n_blocks; block++) {
            float *out = record + block * T3DI_BLOCK + 8 * j;
            const float *a0 = q->a[0] + 8 * block, *a1 = q->a[1] + 8 * block,
                        *a2 = q->a[2] + 8 * block;
            for (int k = 0; k < 8; k++)
                out[k] = a0[k] * all + (a1[k] - a0[k]) * b1 + (a2[k] - a0[k]) * b2;
        }
    }
}

/* Geometric normal, of unit length, towards the eye; returns 1 when the triangle faces away. */
static int facing_normal(const struct t3di_view *v, const uint32_t i[3], float g[3])
{
    const struct t3d_model *m = v->m;
    double p0[3] = {(double)m->x[i[0]], (double)m->y[i[0]], (double)m->z[i[0]]};
    double a[3] = {(double)m->x[i[1]] - p0[0], (double)m->y[i[1]] - p0[1],
                   (double)m->z[i[1]] - p0[2]};
    double b[3] = {(double)m->x[i[2]] - p0[0], (double)m->y[i[2]] - p0[1],
                   (double)m->z[i[2]] - p0[2]};
    double n[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
    double len = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]), side = 0.0;
    for (int k = 0; k < 3; k++)
        side += n[k] * (v->eye[k] - p0[k]);
    double s = (side < 0.0 ? -1.0 : 1.0) / (len > 0.0 ? len : 1.0);
    for (int k = 0; k < 3; k++)
        g[k] = (float)(n[k] * s);
    return side < 0.0;
}

/* Vertex normals, turned as a whole to the side that is seen (glTF 2.0 section 3.9.4 "Double
 * sided"; where stored normals and winding disagree, the visible side is lit all the same). Returns
 * the sign. */
static float put_normals(const struct t3di_view *v, struct corners *q, const uint32_t i[3],
                         int has_normal, const float g[3])
{
    float dot = 0.0f;
    for (int c = 0; c < 3; c++) {
        const float *s = has_normal ? v->m->scene->normal[i[c]] : g;
        if (s[0] * s[0] + s[1] * s[1] + s[2] * s[2] < 1e-12f)
            s = g;
        for (int k = 0; k < 3; k++) {
            q->a[c][4 + k] = s[k];
            dot += s[k] * g[k];
        }
    }
    float sign = dot < 0.0f ? -1.0f : 1.0f;
    for (int c = 0; c < 3; c++)
        for (int k = 0; k < 3; k++)
            q->a[c][4 + k] *= sign;
    return sign;
}

/* Triangles with mirrored uv have tangents of their own (MikkTSpace). */
static int uv_area_negative(const struct t3d_scene *s, const uint32_t i[3], int set)
{
    const float(*uv)[2] = (const float(*)[2])s->uv[set];
    float du1 = uv[i[1]][0] - uv[i[0]][0], dv1 = uv[i[1]][1] - uv[i[0]][1];
    float du2 = uv[i[2]][0] - uv[i[0]][0], dv2 = uv[i[2]][1] - uv[i[0]][1];
    return du1 * dv2 - du2 * dv1 < 0.0f;
}

/* Returns the handedness. */
static float put_tangents(const struct t3di_view *v, struct corners *q, const uint32_t i[3],
                          uint32_t draw, const struct t3di_shader *sh, float sign)
{
    const struct t3d_scene *s = v->m->scene;
    if (!v->m->tangent_computed || !v->m->tangent_computed[draw]) {
        put_array(q, 8, i, s->tangent[0], 4, 3, sign);
        return sign * (s->tangent[i[0]][3] < 0.0f ? -1.0f : 1.0f);
    }
    int negative = uv_area_negative(s, i, sh->uv_set[sh->texture[T3D_TEX_NORMAL].uv]);
    put_array(q, 8, i, v->m->tangent[negative][0], 3, 3, sign);
    /* v runs down the picture and the bitangent up it: a chart that is not mirrored has a
     * negative area in (u, v) and handedness +1 (glTF 2.0 section 3.7.2.1). */
    return sign * (negative ? 1.0f : -1.0f);
}

uint32_t t3di_record(struct t3di_view *v, uint32_t id)
{
    if (v->record_of[id])
        return v->record_of[id];
    uint32_t draw = draw_of(v->m, id), flags = v->m->scene->draw[draw].flags;
    const struct t3di_shader *sh = &v->m->shader[v->m->shader_of_draw[draw]];
    const struct t3d_scene *s = v->m->scene;
    if (v->n_record + sh->n_blocks > v->cap_record &&
        grow((void **)&v->record, &v->cap_record, v->n_record + sh->n_blocks,
             T3DI_BLOCK * sizeof(float)) < 0)
        return 0;
    uint32_t at = (uint32_t)v->n_record;
    v->n_record += sh->n_blocks;
    float *r = v->record + (size_t)at * T3DI_BLOCK, g[3], hand = 0.0f;
    const uint32_t *i = s->triangle[id];
    double anchor[2], beta[3][3];
    struct corners q = {{{0}}};
    corner_planes(v, id, anchor, beta);
    q.a[0][0] = q.a[1][0] = q.a[2][0] = 1.0f;
    int away = facing_normal(v, i, g);
    float sign = put_normals(v, &q, i, (flags & T3D_HAS_NORMAL) != 0, g);
    for (int k = 0; k < sh->n_uv; k++)
        put_array(&q, k ? 16 + 2 * (k - 1) : 1, i, s->uv[sh->uv_set[k]][0], 2, 2, 1.0f);
    if (sh->has_color)
        put_array(&q, 12, i, s->color[0], 4, 4, 1.0f);
    if (sh->has_tangent)
        hand = put_tangents(v, &q, i, draw, sh, sign);
    put_planes(r, sh->n_blocks, &q, (const double(*)[3])beta);
    r[3] = (float)anchor[0], r[8 + 3] = (float)anchor[1];
    r[7] = hand, r[16 + 7] = (float)away;
    return v->record_of[id] = at;
}
