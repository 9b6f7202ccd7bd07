/* SPDX-License-Identifier: Apache-2.0 */
/* Vertices and triangles of each instance of each primitive (glTF 2.0 sections 3.7.2, 3.7.3). */
#include <math.h>
#include <string.h>

#include "geom/gltf_impl.h"

enum { TRIANGLES = 4, STRIP, CHUNK = 256 };

/* One instance being loaded. Vertices go to the scene's arrays from first_vertex on. */
struct draw {
    const struct gltf_primitive *p;
    const struct gltf_skin *skin; /* NULL = matrix */
    struct gltf_matrix matrix;
    uint32_t node, v, n; /* first vertex in the scene; number of vertices */
    uint32_t flags;
    int mirrored;
};

static int is_identity(const struct gltf_matrix *a)
{
    for (int c = 0; c < 4; c++)
        for (int r = 0; r < 3; r++)
            if (a->m[4 * c + r] != (c == r))
                return 0;
    return 1;
}

/* --- raw attributes
 * ---------------------------------------------------------------------------------- */

static void read_colors(const struct gltf_accessor *a, uint32_t first, uint32_t n, float (*out)[4])
{
    float rgb[CHUNK][3];

    if (a->width == 4)
        t3di_gltf_floats(a, first, n, 1, out[0]);
    for (uint32_t at = 0; at < n && a->width == 3; at += CHUNK) {
        uint32_t part = T3D_MIN(n - at, (uint32_t)CHUNK);

        t3di_gltf_floats(a, first + at, part, 1, rgb[0]);
        for (uint32_t i = 0; i < part; i++) {
            memcpy(out[at + i], rgb[i], sizeof rgb[i]);
            out[at + i][3] = 1;
        }
    }
    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 4; k++) { /* NaN becomes 1 */
            float c = out[i][k] < 1 ? out[i][k] : 1;

            out[i][k] = c > 0 ? c : 0;
        }
}

static void read_uv(const struct gltf_accessor *a, uint32_t first, uint32_t n, float (*out)[2])
{
    t3di_gltf_floats(a, first, n, 0, out[0]);
    if (t3di_all_finite(out, 2 * (size_t)n))
        return;
    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 2; k++)
            out[i][k] = isfinite(out[i][k]) ? out[i][k] : 0;
}

static void fill_color(float (*out)[4], uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        out[i][0] = out[i][1] = out[i][2] = out[i][3] = 1;
}

/* Attributes that no transform changes. */
static void read_fixed(struct t3di_gltf *g, struct draw *d)
{
    const struct gltf_primitive *p = d->p;
    struct t3d_scene *s = g->s;

    if (p->color != GLTF_NONE) {
        read_colors(&g->accessor[p->color], p->first_vertex, d->n, s->color + d->v);
        d->flags |= T3D_HAS_COLOR;
    } else if (s->color) {
        fill_color(s->color + d->v, d->n);
    }
    for (int k = 0; k < T3D_MAX_UV; k++)
        if (p->uv[k] != GLTF_NONE) {
            read_uv(&g->accessor[p->uv[k]], p->first_vertex, d->n, s->uv[k] + d->v);
            d->flags |= (unsigned)T3D_HAS_UV0 << k;
        } else if (s->uv[k]) {
            memset(s->uv[k] + d->v, 0, d->n * sizeof *s->uv[k]);
        }
}

/* Positions, normals and tangents as they stand in the file. */
static void read_moving(struct t3di_gltf *g, struct draw *d)
{
    const struct gltf_primitive *p = d->p;
    struct t3d_scene *s = g->s;

    t3di_gltf_floats(&g->accessor[p->position], p->first_vertex, d->n, 0, s->position[d->v]);
    if (p->normal != GLTF_NONE) {
        t3di_gltf_floats(&g->accessor[p->normal], p->first_vertex, d->n, 0, s->normal[d->v]);
        d->flags |= T3D_HAS_NORMAL;
    } else if (s->normal) {
        memset(s->normal + d->v, 0, d->n * sizeof *s->normal);
    }
    if (p->tangent != GLTF_NONE) {
        t3di_gltf_floats(&g->accessor[p->tangent], p->first_vertex, d->n, 0, s->tangent[d->v]);
        d->flags |= T3D_HAS_TANGENT;
    } else if (s->tangent) {
        memset(s->tangent + d->v, 0, d->n * sizeof *s->tangent);
    }
}

/* --- morph targets
 * ----------------------------------------------------------------------------------- */

/* out (n rows of `width` floats, the first three are used) += weight * deltas. */
static int add_deltas(struct t3di_gltf *g, const struct draw *d, uint32_t target, const char *name,
                      float weight, float *out, size_t width)
{
    uint32_t ref = t3di_gltf_ref(g, target, name, GLTF_ACCESSORS);
    const struct gltf_accessor *a;
    float delta[CHUNK][3];
    int r;

    if (ref == GLTF_NONE)
        return T3D_OK;
    r = t3di_gltf_accessor(g, ref, &a);
    if (r != T3D_OK)
        return r;
    if (a->width != 3 || a->count < g->accessor[d->p->position].count)
        return t3di_gltf_bad(g, "bad-morph-target");
    if (!a->data && !a->n_sparse)
        return T3D_OK;
    for (uint32_t at = 0; at < d->n; at += CHUNK) {
        uint32_t part = T3D_MIN(d->n - at, (uint32_t)CHUNK);

        t3di_gltf_floats(a, d->p->first_vertex + at, part, 0, delta[0]);
        for (uint32_t i = 0; i < part; i++)
            for (int k = 0; k < 3; k++)
                out[(at + i) * width + k] += weight * delta[i][k];
    }
    return T3D_OK;
}

/* Section 3.7.2.2: weights of the node, else of the mesh, else 0. */
static int morph(struct t3di_gltf *g, const struct draw *d)
{
    uint32_t mesh = g->list[GLTF_MESHES].tok[g->node[d->node].mesh];
    uint32_t targets = t3d_jtok_member(&g->j, d->p->tok, "targets");
    uint32_t weights = t3d_jtok_member(&g->j, g->node[d->node].tok, "weights"), n, t, w;
    int r = T3D_OK;

    weights = weights ? weights : t3d_jtok_member(&g->j, mesh, "weights");
    if (g->j.tok[weights].type != T3D_JTOK_ARRAY)
        return T3D_OK;
    n = T3D_MIN(d->p->n_targets, g->j.tok[weights].n);
    t = t3d_jtok_first(&g->j, targets);
    w = t3d_jtok_first(&g->j, weights);
    for (uint32_t i = 0; i < n && r == T3D_OK; i++, t = g->j.tok[t].next, w = g->j.tok[w].next) {
        float weight = (float)t3d_jtok_number(&g->j, w, 0);

        if (weight == 0)
            continue;
        r = add_deltas(g, d, t, "POSITION", weight, g->s->position[d->v], 3);
        if (r == T3D_OK && d->flags & T3D_HAS_NORMAL)
            r = add_deltas(g, d, t, "NORMAL", weight, g->s->normal[d->v], 3);
        if (r == T3D_OK && d->flags & T3D_HAS_TANGENT)
            r = add_deltas(g, d, t, "TANGENT", weight, g->s->tangent[d->v], 4);
    }
    return r;
}

/* --- transforms
 * ---------------------------------------------------------------------------------------- */

/* Cofactors of the upper 3x3, columns: det(M) times the inverse transpose, also of a singular M.
 * The sign is folded in, so that normals of a mirrored object still point outward. */
static void normal_matrix(const double m[16], double out[9])
{
    double sign;

    for (int c = 0; c < 3; c++) {
        const double *a = m + 4 * ((c + 1) % 3), *b = m + 4 * ((c + 2) % 3);

        for (int r = 0; r < 3; r++)
            out[3 * c + r] = a[(r + 1) % 3] * b[(r + 2) % 3] - a[(r + 2) % 3] * b[(r + 1) % 3];
    }
    sign = m[0] * out[0] + m[1] * out[1] + m[2] * out[2] < 0 ? -1 : 1;
    for (int k = 0; k < 9; k++)
        out[k] *= sign;
}

static void transform_point(const double m[16], float p[3])
{
    double x = p[0], y = p[1], z = p[2];

    for (int r = 0; r < 3; r++)
        p[r] = (float)(m[r] * x + m[4 + r] * y + m[8 + r] * z + m[12 + r]);
}

/* By the first three entries of columns that lie `step` apart, then to length 1; zero stays zero.
 */
static void transform_direction(const double *m, int step, float v[3])
{
    double x = v[0], y = v[1], z = v[2], out[3], length = 0;

    for (int r = 0; r < 3; r++) {
        out[r] = m[r] * x + m[step + r] * y + m[2 * step + r] * z;
        length += out[r] * out[r];
    }
    length = sqrt(length);
    for (int r = 0; r < 3; r++)
        v[r] = length > 0 ? (float)(out[r] / length) : 0;
}

/* Vertex v by matrix m: the tangent's handedness turns with the sign of the determinant, because
 * M a x M b = det(M) M^-T (a x b). */
static void transform_vertex(struct t3d_scene *s, uint32_t flags, uint32_t v, const double m[16],
                             const double normals[9], int mirrored)
{
    transform_point(m, s->position[v]);
    if (flags & T3D_HAS_NORMAL)
        transform_direction(normals, 3, s->normal[v]);
    if (flags & T3D_HAS_TANGENT) {
        float *t = s->tangent[v];

        transform_direction(m, 4, t);
        t[3] = (t[3] < 0) != mirrored ? -1 : 1;
    }
}

static void transform_rigid(struct t3d_scene *s, const struct draw *d)
{
    double normals[9];

    normal_matrix(d->matrix.m, normals);
    if (!is_identity(&d->matrix)) {
        for (uint32_t i = 0; i < d->n; i++)
            transform_vertex(s, d->flags, d->v + i, d->matrix.m, normals, d->mirrored);
        return;
    }
    for (uint32_t i = 0; i < d->n && d->flags & T3D_HAS_NORMAL; i++)
        transform_direction(normals, 3, s->normal[d->v + i]);
    for (uint32_t i = 0; i < d->n && d->flags & T3D_HAS_TANGENT; i++) {
        float *t = s->tangent[d->v + i];

        transform_direction(d->matrix.m, 4, t);
        t[3] = t[3] < 0 ? -1 : 1;
    }
}

/* Influences of a chunk of vertices. */
struct influences {
    uint32_t joint[GLTF_MAX_JOINT_SETS][CHUNK][4];
    float weight[GLTF_MAX_JOINT_SETS][CHUNK][4];
};

/* Weighted sum of joint matrices of vertex i. Weights are scaled to sum 1; where all are zero the
 * first joint holds the vertex. -1 when a joint does not exist. */
static int blend(const struct draw *d, const struct influences *f, uint32_t i, double out[16])
{
    double sum = 0;

    memset(out, 0, 16 * sizeof *out);
    for (uint32_t k = 0; k < d->p->n_joint_sets; k++)
        for (int c = 0; c < 4; c++) {
            double w = f->weight[k][i][c];

            if (!(w > 0 && w < INFINITY))
                continue;
            if (f->joint[k][i][c] >= d->skin->n)
                return -1;
            for (int e = 0; e < 16; e++)
                out[e] += w * d->skin->joint[f->joint[k][i][c]].m[e];
            sum += w;
        }
    if (!(sum > 0)) {
        if (f->joint[0][i][0] >= d->skin->n)
            return -1;
        memcpy(out, d->skin->joint[f->joint[0][i][0]].m, 16 * sizeof *out);
        return 0;
    }
    for (int e = 0; e < 16; e++)
        out[e] /= sum;
    return 0;
}

static int transform_skinned(struct t3di_gltf *g, const struct draw *d)
{
    const struct gltf_primitive *p = d->p;
    struct influences f;
    double m[16], normals[9];

    for (uint32_t at = 0; at < d->n; at += CHUNK) {
        uint32_t part = T3D_MIN(d->n - at, (uint32_t)CHUNK), from = p->first_vertex + at;

        for (uint32_t k = 0; k < p->n_joint_sets; k++) {
            t3di_gltf_wholes(&g->accessor[p->joints[k]], from, part, f.joint[k][0]);
            t3di_gltf_floats(&g->accessor[p->weights[k]], from, part, 1, f.weight[k][0]);
        }
        for (uint32_t i = 0; i < part; i++) {
            if (blend(d, &f, i, m) < 0)
                return t3di_gltf_bad(g, "joint-out-of-range");
            normal_matrix(m, normals);
            transform_vertex(g->s, d->flags, d->v + at + i, m, normals, d->mirrored);
        }
    }
    return T3D_OK;
}

/* --- triangles
 * --------------------------------------------------------------------------------------------- */

/* Section 3.7.2.1: triangle i of a strip is (i, i + 1 + i % 2, i + 2 - i % 2), of a fan
 * (i + 1, i + 2, 0). The n indices stand at the end of `out` (3 (n - 2) long): triangle i is
 * written before their place i + 1 is reached. */
static void expand(uint32_t *out, uint32_t n, int strip)
{
    const uint32_t *in = out + 3 * (size_t)(n - 2) - n;
    uint32_t hub = in[0];

    for (size_t i = 0; i + 2 < n; i++) {
        uint32_t a = in[i], b = in[i + 1], c = in[i + 2];

        out[3 * i] = strip ? a : b;
        out[3 * i + 1] = strip ? (i & 1 ? c : b) : c;
        out[3 * i + 2] = strip ? (i & 1 ? b : c) : hub;
    }
}

static void read_triangles(struct t3di_gltf *g, const struct draw *d)
{
    const struct gltf_primitive *p = d->p;
    uint32_t *out = g->s->triangle[g->s->n_triangles];
    size_t corners = 3 * (size_t)p->n_triangles;
    uint32_t n = p->mode == TRIANGLES ? (uint32_t)corners : p->n_triangles + 2;
    uint32_t *in = out + (corners - n),
             move = d->v - p->first_vertex; /* may wrap: so do the sums */

    if (p->indices != GLTF_NONE)
        t3di_gltf_wholes(&g->accessor[p->indices], 0, n, in);
    else
        for (uint32_t i = 0; i < n; i++)
            in[i] = i;
    if (move)
        for (uint32_t i = 0; i < n; i++)
            in[i] += move;
    if (p->mode != TRIANGLES)
        expand(out, n, p->mode == STRIP);
    if (d->mirrored)
        for (size_t i = 0; i < corners; i += 3) {
            uint32_t t = out[i + 1];

            out[i + 1] = out[i + 2];
            out[i + 2] = t;
        }
}

/* --- repairs
 * -----------------------------------------------------------------------------------------------
 */

static int is_unit(const float v[3])
{
    return v[0] * v[0] + v[1] * v[1] + v[2] * v[2] > .5f; /* false for NaN; else 0 or about 1 */
}

static void add_face(const struct t3d_scene *s, const uint32_t t[3], const uint8_t *lost,
                     uint32_t v)
{
    const float *a = s->position[t[0]], *b = s->position[t[1]], *c = s->position[t[2]];
    double e[3], f[3];

    for (int k = 0; k < 3; k++) {
        e[k] = (double)b[k] - a[k];
        f[k] = (double)c[k] - a[k];
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3 && lost[t[i] - v]; k++)
            s->normal[t[i]][k] +=
                (float)(e[(k + 1) % 3] * f[(k + 2) % 3] - e[(k + 2) % 3] * f[(k + 1) % 3]);
}

/* Normals that are zero or not finite: the area-weighted mean of the faces around the vertex
 * instead. */
static int repair_normals(struct t3di_gltf *g, const struct draw *d)
{
    static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    struct t3d_scene *s = g->s;
    uint8_t *lost = NULL;

    for (uint32_t i = 0; i < d->n; i++) {
        if (is_unit(s->normal[d->v + i]))
            continue;
        if (!lost && !(lost = t3d_alloc(g->a, d->n, 1)))
            return t3di_no_room(g->a, g->err, "normals");
        lost[i] = 1;
        memset(s->normal[d->v + i], 0, sizeof *s->normal);
    }
    if (!lost)
        return T3D_OK;
    for (uint32_t t = 0; t < d->p->n_triangles; t++)
        add_face(s, s->triangle[s->n_triangles + t], lost, d->v);
    for (uint32_t i = 0; i < d->n; i++) {
        float *n = s->normal[d->v + i];

        if (!lost[i])
            continue;
        transform_direction(identity, 3, n);
        if (!is_unit(n))
            memcpy(n, (float[3]){0, 1, 0}, sizeof *s->normal);
    }
    return T3D_OK;
}

/* Tangents that are zero or not finite: any direction at right angles to the normal, by its
 * smallest component. */
static void repair_tangents(struct t3d_scene *s, const struct draw *d)
{
    static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};

    for (uint32_t i = d->v; i < d->v + d->n; i++) {
        const float *n = s->normal[i];
        float *t = s->tangent[i], x = fabsf(n[0]), y = fabsf(n[1]), z = fabsf(n[2]);
        int a = x <= y && x <= z ? 0 : y <= z ? 1 : 2, b = (a + 1) % 3, c = (a + 2) % 3;

        if (is_unit(t))
            continue;
        t[a] = 0;
        t[b] = -n[c];
        t[c] = n[b];
        transform_direction(identity, 3, t);
    }
}

static int check_positions(struct t3di_gltf *g, const struct draw *d)
{
    const struct t3d_scene *s = g->s;
    uint32_t n = 0;

    if (t3di_all_finite(s->position + d->v, 3 * (size_t)d->n))
        return T3D_OK;
    for (uint32_t i = 0; i < d->n; i++)
        n += !t3di_all_finite(s->position + d->v + i, 3);
    g->s->notes.n_non_finite += n;
    return t3di_gltf_bad(g, "non-finite");
}

/* --- all instances
 * -------------------------------------------------------------------------------------------- */

static int load(struct t3di_gltf *g, struct draw *d)
{
    int r;

    read_moving(g, d);
    r = morph(g, d);
    if (r != T3D_OK)
        return r;
    if (d->skin)
        r = transform_skinned(g, d);
    else
        transform_rigid(g->s, d);
    if (r == T3D_OK)
        r = check_positions(g, d);
    if (r != T3D_OK)
        return r;
    read_fixed(g, d);
    read_triangles(g, d);
    if (d->flags & T3D_HAS_NORMAL)
        r = repair_normals(g, d);
    if (r == T3D_OK && d->flags & T3D_HAS_TANGENT)
        repair_tangents(g->s, d);
    return r;
}

static int add_draw(struct t3di_gltf *g, struct gltf_primitive *p, struct draw *d)
{
    struct t3d_scene *s = g->s;
    uint32_t material =
        p->material == GLTF_NONE ? g->default_material : g->material_map[p->material];
    int r;

    d->p = p;
    d->v = s->n_vertices;
    d->n = p->n_vertices;
    d->flags = 0;
    r = load(g, d);
    if (r == GLTF_BAD) {
        if (!p->bad)
            t3di_gltf_count_bad(g);
        p->bad = 1;
        return T3D_OK;
    }
    if (r < 0)
        return r;
    s->draw[s->n_draws++] = (struct t3d_draw){.first_triangle = s->n_triangles,
                                              .n_triangles = p->n_triangles,
                                              .first_vertex = d->v,
                                              .n_vertices = d->n,
                                              .material = material,
                                              .flags = d->flags};
    s->n_vertices += d->n;
    s->n_triangles += p->n_triangles;
    return T3D_OK;
}

/* A skinned mesh follows its joints alone (section 3.7.3.3): the node's own transform is left out.
 */
static int add_instance(struct t3di_gltf *g, uint32_t node, uint32_t instance)
{
    const struct gltf_node *n = &g->node[node];
    struct gltf_mesh *m = &g->mesh[n->mesh];
    struct draw d = {.node = node};
    const struct gltf_skin *skin = NULL;
    int r = t3di_gltf_instance(g, n, instance, &d.matrix), mirrored, skin_r = T3D_OK;

    if (r != T3D_OK)
        return r;
    mirrored = t3di_gltf_determinant(&d.matrix) < 0;
    if (n->skin != GLTF_NONE && (skin_r = t3di_gltf_skin(g, n->skin, &skin)) < 0)
        return skin_r;
    for (uint32_t k = 0; k < m->n && r == T3D_OK; k++) {
        struct gltf_primitive *p = &m->primitive[k];

        d.skin = p->n_joint_sets ? skin : NULL;
        d.mirrored = d.skin ? d.skin->mirrored : mirrored;
        if (p->bad)
            continue;
        if (skin_r == GLTF_BAD && p->n_joint_sets) {
            g->why = "bad-skin";
            t3di_gltf_count_bad(g);
            p->bad = 1;
            continue;
        }
        r = add_draw(g, p, &d);
    }
    return r;
}

/* Accessors of the TEXCOORD sets in use. A bad one makes the primitive bad. */
static int find_uv(struct t3di_gltf *g, struct gltf_primitive *p)
{
    uint32_t attributes = t3d_jtok_member(&g->j, p->tok, "attributes");
    const struct gltf_accessor *a;
    char name[24];
    int r;

    for (uint32_t k = 0; k < g->n_uv; k++) {
        snprintf(name, sizeof name, "TEXCOORD_%u", g->uv_set[k]);
        p->uv[k] = t3di_gltf_ref(g, attributes, name, GLTF_ACCESSORS);
        if (p->uv[k] == GLTF_NONE)
            continue;
        r = t3di_gltf_accessor(g, p->uv[k], &a);
        if (r != T3D_OK)
            return r;
        if (a->width != 2)
            return t3di_gltf_bad(g, "bad-attribute-type");
        if (a->count < g->accessor[p->position].count)
            return t3di_gltf_bad(g, "attribute-too-short");
    }
    return T3D_OK;
}

struct wants {
    int normal, tangent, color, uv[T3D_MAX_UV];
};

static int find_attributes(struct t3di_gltf *g, struct wants *w)
{
    for (uint32_t i = 0; i < g->list[GLTF_MESHES].n; i++)
        for (uint32_t k = 0; k < g->mesh[i].n; k++) {
            struct gltf_primitive *p = &g->mesh[i].primitive[k];
            int r = find_uv(g, p);

            if (r < 0)
                return r;
            if (r == GLTF_BAD) {
                t3di_gltf_count_bad(g);
                p->bad = 1;
                continue;
            }
            w->normal |= p->normal != GLTF_NONE;
            w->tangent |= p->tangent != GLTF_NONE;
            w->color |= p->color != GLTF_NONE;
            for (int c = 0; c < T3D_MAX_UV; c++)
                w->uv[c] |= p->uv[c] != GLTF_NONE;
        }
    return T3D_OK;
}

static uint64_t count_draws(const struct t3di_gltf *g)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < g->list[GLTF_NODES].n; i++)
        if (g->node[i].active && g->node[i].mesh != GLTF_NONE)
            n += (uint64_t)g->mesh[g->node[i].mesh].n * g->node[i].n_instances;
    return n;
}

/* Memory for the planned numbers of vertices, triangles and draws; the counts then start at 0. */
static int make_room(struct t3di_gltf *g, const struct wants *w)
{
    struct t3d_scene *s = g->s;
    uint32_t v = s->n_vertices;
    int ok;

    s->position = t3d_alloc_raw(g->a, v, sizeof *s->position);
    s->triangle = t3d_alloc_raw(g->a, s->n_triangles, sizeof *s->triangle);
    s->draw = t3d_alloc_raw(g->a, count_draws(g), sizeof *s->draw);
    ok = s->position && s->triangle && s->draw;
    if (ok && w->normal)
        ok = (s->normal = t3d_alloc_raw(g->a, v, sizeof *s->normal)) != NULL;
    if (ok && w->tangent)
        ok = (s->tangent = t3d_alloc_raw(g->a, v, sizeof *s->tangent)) != NULL;
    if (ok && w->color)
        ok = (s->color = t3d_alloc_raw(g->a, v, sizeof *s->color)) != NULL;
    for (int k = 0; k < T3D_MAX_UV && ok; k++)
        if (w->uv[k])
            ok = (s->uv[k] = t3d_alloc_raw(g->a, v, sizeof *s->uv[k])) != NULL;
    s->n_vertices = s->n_triangles = 0;
    return ok ? T3D_OK : t3di_no_room(g->a, g->err, "the vertices of a glTF file");
}

int t3di_gltf_draws(struct t3di_gltf *g)
{
    struct wants w = {0};
    int r = find_attributes(g, &w);

    if (r < 0 || (r = make_room(g, &w)) < 0)
        return r;
    for (uint32_t i = 0; i < g->list[GLTF_NODES].n; i++) {
        const struct gltf_node *n = &g->node[i];

        if (!n->active || n->mesh == GLTF_NONE || !g->mesh[n->mesh].n)
            continue;
        for (uint32_t k = 0; k < n->n_instances; k++) {
            r = add_instance(g, i, k);
            if (r < 0)
                return r;
        }
    }
    return T3D_OK;
}
