/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/measure.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "geom/measure_impl.h"

/* --- sizes --------------------------------------------------------------------------------------
 */

static void measure_box(struct t3d_measures *m, struct t3d_normalisation *n,
                        const struct t3d_scene *s)
{
    double shortest, longest;

    if (t3d_scene_bounds(s, m->bbox_min, m->bbox_max, NULL) < 0)
        return; /* no triangle: all zero */
    if (t3d_scene_normalisation(s, n, NULL) == T3D_OK)
        m->radius = 1 / n->scale;
    else
        n->scale = 0; /* one point */
    shortest = longest = m->bbox_max[0] - m->bbox_min[0];
    for (int k = 1; k < 3; k++) {
        shortest = fmin(shortest, m->bbox_max[k] - m->bbox_min[k]);
        longest = fmax(longest, m->bbox_max[k] - m->bbox_min[k]);
    }
    m->extent_ratio = longest > 0 ? shortest / longest : 0;
}

/* Area of the triangle and six times the volume of its cone to the centre. */
static double triangle_area(const struct t3d_scene *s, const uint32_t t[3], const double centre[3],
                            double *cone)
{
    const float *a = s->position[t[0]], *b = s->position[t[1]], *c = s->position[t[2]];
    double ux = (double)b[0] - a[0], uy = (double)b[1] - a[1], uz = (double)b[2] - a[2];
    double vx = (double)c[0] - a[0], vy = (double)c[1] - a[1], vz = (double)c[2] - a[2];
    double nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;

    *cone = (a[0] - centre[0]) * nx + (a[1] - centre[1]) * ny + (a[2] - centre[2]) * nz;
    return sqrt(nx * nx + ny * ny + nz * nz) / 2;
}

static int has_uv_area(const struct t3d_scene *s, const uint32_t t[3])
{
    const float *a = s->uv[0][t[0]], *b = s->uv[0][t[1]], *c = s->uv[0][t[2]];

    return ((double)b[0] - a[0]) * ((double)c[1] - a[1]) !=
           ((double)b[1] - a[1]) * ((double)c[0] - a[0]);
}

/* Area, volume, uv coverage, and which triangles have a repeated corner. */
static void measure_surface(struct t3d_measures *m, const struct t3d_scene *s,
                            const struct t3di_weld *w, uint8_t *collapsed)
{
    double centre[3], covered = 0, cones = 0, cone;

    for (int k = 0; k < 3; k++)
        centre[k] = m->bbox_min[k] + (m->bbox_max[k] - m->bbox_min[k]) / 2;
    for (uint32_t i = 0; i < s->n_draws; i++) {
        const struct t3d_draw *d = &s->draw[i];
        int uv = s->uv[0] && d->flags & T3D_HAS_UV0;
        for (uint32_t t = d->first_triangle; t < d->first_triangle + d->n_triangles; t++) {
            const uint32_t *c = s->triangle[t];
            double area = triangle_area(s, c, centre, &cone);
            uint32_t x = w->id[c[0]], y = w->id[c[1]], z = w->id[c[2]];
            collapsed[t] = x == y || y == z || z == x;
            m->degenerate += area == 0 || collapsed[t];
            m->area += area;
            cones += cone;
            if (uv && has_uv_area(s, c))
                covered += area;
        }
    }
    m->volume = cones / 6;
    m->uv_coverage = m->area > 0 ? covered / m->area : 0;
}

/* --- materials ----------------------------------------------------------------------------------
 */

enum { IN_USE = 1, AS_BASE = 2 };

static void mark_textures(uint8_t *use, const struct t3d_scene *s, const struct t3d_material *m)
{
    for (int k = 0; k < T3D_TEX_COUNT; k++) {
        int32_t i = m->texture[k].image;
        if (i >= 0 && (uint32_t)i < s->n_images)
            use[i] |= k == T3D_TEX_BASE ? IN_USE | AS_BASE : IN_USE;
    }
}

static void measure_picture(struct t3d_measures *m, const struct t3d_picture *p, int use)
{
    uint64_t side = T3D_MIN(p->width, p->height), longest = T3D_MAX(p->width, p->height);
    uint64_t base = T3D_MIN(m->base_width, m->base_height);

    m->missing_textures += p->state == T3D_PICTURE_MISSING;
    m->bad_textures += p->state == T3D_PICTURE_BAD || p->state == T3D_PICTURE_UNSUPPORTED;
    if (p->state != T3D_PICTURE_OK)
        return;
    m->max_texture = T3D_MAX(m->max_texture, longest);
    if (use & AS_BASE &&
        (side > base || (side == base && longest > T3D_MAX(m->base_width, m->base_height)))) {
        m->base_width = p->width;
        m->base_height = p->height;
    }
}

static int measure_materials(struct t3d_measures *m, const struct t3d_scene *s, struct t3d_arena *a,
                             struct t3d_err *err)
{
    uint8_t *use = t3d_alloc(a, s->n_images, 1);

    if (!use)
        return t3d_err_nomem(err, "measuring textures");
    for (uint32_t i = 0; i < s->n_draws; i++) {
        const struct t3d_draw *d = &s->draw[i];
        const struct t3d_material *material = &s->material[d->material];
        if (!d->n_triangles)
            continue;
        mark_textures(use, s, material);
        m->alpha_mask |= material->alpha_mode == T3D_ALPHA_MASK;
        m->alpha_blend |= material->alpha_mode == T3D_ALPHA_BLEND;
        m->has_normals |= (d->flags & T3D_HAS_NORMAL) != 0;
        m->has_vertex_colors |= (d->flags & T3D_HAS_COLOR) != 0;
        m->has_uv |= (d->flags & T3D_HAS_UV0) != 0;
    }
    for (uint32_t i = 0; i < s->n_images; i++)
        if (use[i])
            measure_picture(m, &s->image[i], use[i]);
    return T3D_OK;
}

int t3d_measure(struct t3d_measures *m, const struct t3d_scene *s, struct t3d_arena *a,
                struct t3d_err *err)
{
    uint8_t *collapsed = t3d_alloc(a, s->n_triangles, 1);
    struct t3d_normalisation n = {{0, 0, 0}, 0};
    struct t3di_groups g;
    struct t3di_weld w;
    int r;

    memset(m, 0, sizeof *m);
    if (!collapsed)
        return t3d_err_nomem(err, "measuring an object");
    m->triangles = s->n_triangles;
    m->vertices = s->n_vertices;
    m->materials = s->n_materials;
    m->draws = s->n_draws;
    m->images = s->n_images;
    m->notes = s->notes;
    measure_box(m, &n, s);
    r = t3di_weld_scene(&w, s, a, err);
    if (r == T3D_OK)
        r = t3di_groups_init(&g, s->n_vertices, (size_t)s->n_triangles * 3, a, err);
    if (r < 0)
        return r;
    m->vertices_welded = w.n;
    measure_surface(m, s, &w, collapsed);
    r = t3di_topology(m, s, &w, collapsed, &g, a, err);
    if (r == T3D_OK)
        r = t3di_geometry_hash(m->geometry_hash, s, &n, &w, &g, a, err);
    return r == T3D_OK ? measure_materials(m, s, a, err) : r;
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

enum kind { COUNT, COUNT32, FLAG, REAL, VECTOR, TEXT };

struct field {
    const char *key;
    size_t offset;
    enum kind kind;
};

#define FIELD(member, kind)                                                                        \
    {                                                                                              \
#member, offsetof(struct t3d_measures, member), kind                                       \
    }
#define NOTE(member, kind)                                                                         \
    {                                                                                              \
#member, offsetof(struct t3d_measures, notes.member), kind                                 \
    }

static const struct field fields[] = {
    FIELD(triangles, COUNT),
    FIELD(vertices, COUNT),
    FIELD(vertices_welded, COUNT),
    FIELD(components, COUNT),
    FIELD(degenerate, COUNT),
    FIELD(duplicate, COUNT),
    FIELD(boundary_edges, COUNT),
    FIELD(nonmanifold_edges, COUNT),
    FIELD(watertight, FLAG),
    FIELD(watertight_welded, FLAG),
    FIELD(winding_consistent, FLAG),
    FIELD(volume, REAL),
    FIELD(area, REAL),
    FIELD(bbox_min, VECTOR),
    FIELD(bbox_max, VECTOR),
    FIELD(radius, REAL),
    FIELD(extent_ratio, REAL),
    FIELD(materials, COUNT),
    FIELD(draws, COUNT),
    FIELD(images, COUNT),
    FIELD(missing_textures, COUNT),
    FIELD(bad_textures, COUNT),
    FIELD(base_width, COUNT),
    FIELD(base_height, COUNT),
    FIELD(max_texture, COUNT),
    FIELD(alpha_mask, FLAG),
    FIELD(alpha_blend, FLAG),
    FIELD(has_vertex_colors, FLAG),
    FIELD(has_normals, FLAG),
    FIELD(has_uv, FLAG),
    FIELD(uv_coverage, REAL),
    FIELD(geometry_hash, TEXT),
    NOTE(n_nodes, COUNT32),
    NOTE(n_meshes, COUNT32),
    NOTE(n_skins, COUNT32),
    NOTE(n_animations, COUNT32),
    NOTE(n_morph_targets, COUNT32),
    NOTE(n_lines, COUNT32),
    NOTE(n_points, COUNT32),
    NOTE(n_bad_primitives, COUNT32),
    NOTE(n_bad_indices, COUNT32),
    NOTE(n_non_finite, COUNT32),
    NOTE(n_dropped_uv, COUNT32),
    NOTE(first_bad, TEXT),
    NOTE(format, TEXT),
    NOTE(generator, TEXT),
};

static cJSON *field_value(const struct t3d_measures *m, const struct field *f)
{
    const void *p = (const char *)m + f->offset;

    switch (f->kind) {
    case COUNT:
        return cJSON_CreateNumber((double)*(const uint64_t *)p);
    case COUNT32:
        return cJSON_CreateNumber(*(const uint32_t *)p);
    case FLAG:
        return cJSON_CreateBool(*(const int *)p);
    case REAL:
        return cJSON_CreateNumber(*(const double *)p);
    case VECTOR:
        return cJSON_CreateDoubleArray(p, 3);
    default:
        return cJSON_CreateString(p);
    }
}

cJSON *t3d_measures_json(const struct t3d_measures *m)
{
    cJSON *o = cJSON_CreateObject();

    for (size_t i = 0; o && i < T3D_COUNT(fields); i++) {
        cJSON *v = field_value(m, &fields[i]);
        if (v && cJSON_AddItemToObjectCS(o, fields[i].key, v))
            continue;
        cJSON_Delete(v);
        cJSON_Delete(o);
        o = NULL;
    }
    return o;
}

int t3d_measures_check(const cJSON *m, const char *uid, struct t3d_err *err)
{
    const char *first = t3d_json_str(m, "first_bad", "");
    double bad = t3d_json_num(m, "n_bad_primitives", 0);

    if (t3d_json_num(m, "triangles", 0) == 0 && bad > 0)
        return t3d_err_value(
            err, T3D_SKIP, *first ? first : "no-triangles", bad,
            "%s: the object has no triangles, since %g of its primitives cannot be used", uid, bad);
    if (t3d_json_num(m, "triangles", 0) == 0)
        return t3d_err_value(err, T3D_SKIP, "no-triangles", 0, "%s: the object has no triangles",
                             uid);
    if (t3d_json_num(m, "radius", 0) == 0)
        return t3d_err_value(err, T3D_SKIP, "no-extent", 0,
                             "%s: all triangles of the object lie in one point", uid);
    return T3D_OK;
}
