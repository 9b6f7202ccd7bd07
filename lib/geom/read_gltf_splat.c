/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussians of glTF: KHR_gaussian_splatting (KhronosGroup/glTF, extensions/2.0/Khronos, release
 * candidate of 2026). POINTS with ROTATION (x y z w), SCALE, OPACITY and the degree 0 of spherical
 * harmonics; higher degrees, which depend on the direction, are passed over. */
#include <math.h>
#include <string.h>

#include "geom/gltf_impl.h"
#include "geom/splat_impl.h"

#define EXTENSION "KHR_gaussian_splatting"

enum { POSITION, ROTATION, SCALE, OPACITY, SH0, N_ATTRIBUTES };
enum { POINTS = 0, U32 = 5125, CHUNK = 256 };
#define MAX_LOOKS (64u << 20) /* more is no object but an attack on our time */

static const struct {
    const char *name;
    unsigned width;
} attribute[N_ATTRIBUTES] = {{"POSITION", 3},
                             {EXTENSION ":ROTATION", 4},
                             {EXTENSION ":SCALE", 3},
                             {EXTENSION ":OPACITY", 1},
                             {EXTENSION ":SH_DEGREE_0_COEF_0", 3}};

/* One primitive with Gaussians. */
struct cloud {
    const struct gltf_accessor *a[N_ATTRIBUTES];
    uint32_t n;
};

/* A node's transform: of the points, and as the rotation and scale that it has to be. */
struct pose {
    const struct gltf_matrix *m;
    double rotation[4], log_scale; /* w x y z */
};

/* --- what is there ------------------------------------------------------------------------------
 */

static int find_attributes(struct t3di_gltf *g, struct cloud *c, uint32_t primitive)
{
    uint32_t t = t3d_jtok_member(&g->j, primitive, "attributes");

    for (int k = 0; k < N_ATTRIBUTES; k++) {
        uint32_t ref = t3di_gltf_ref(g, t, attribute[k].name, GLTF_ACCESSORS);
        int r;
        if (ref == GLTF_NONE)
            return t3di_gltf_bad(g, "no-gaussian-attribute");
        r = t3di_gltf_accessor(g, ref, &c->a[k]);
        if (r != T3D_OK)
            return r;
        if (c->a[k]->width != attribute[k].width || c->a[k]->component == U32)
            return t3di_gltf_bad(g, "bad-attribute-type");
        if (!c->a[k]->data && !c->a[k]->n_sparse)
            return t3di_gltf_bad(g, "no-data");
        if (c->a[k]->count < c->a[0]->count)
            return t3di_gltf_bad(g, "attribute-too-short");
    }
    c->n = c->a[POSITION]->count;
    return T3D_OK;
}

static int is_cloud(const struct t3di_gltf *g, uint32_t primitive)
{
    uint32_t mode = t3d_jtok_member(&g->j, primitive, "mode");
    uint64_t m = POINTS + 1;

    return mode && t3d_jtok_whole(&g->j, mode, &m) && m == POINTS &&
           t3di_gltf_extension(g, primitive, EXTENSION);
}

/* --- placing ------------------------------------------------------------------------------------
 */

/* Shepperd's method: the largest of the four is taken from the diagonal. */
static void quaternion_of(double q[4], const double r[3][3])
{
    double t[4] = {r[0][0] + r[1][1] + r[2][2], r[0][0] - r[1][1] - r[2][2],
                   r[1][1] - r[0][0] - r[2][2], r[2][2] - r[0][0] - r[1][1]};
    int best = 0;
    double s;

    for (int k = 1; k < 4; k++)
        best = t[k] > t[best] ? k : best;
    s = sqrt(fmax(t[best] + 1, 0)) / 2;
    q[best] = s;
    if (best == 0) {
        for (int k = 0; k < 3; k++)
            q[1 + k] = (r[(k + 2) % 3][(k + 1) % 3] - r[(k + 1) % 3][(k + 2) % 3]) / (4 * s);
        return;
    }
    for (int k = 0; k < 3; k++)
        if (k != best - 1)
            q[1 + k] = (r[k][best - 1] + r[best - 1][k]) / (4 * s);
    q[0] = (r[(best + 1) % 3][best % 3] - r[best % 3][(best + 1) % 3]) / (4 * s);
}

/* Only a rotation (or reflection, which Gaussians do not show) times one scale. */
static int pose_of(struct t3di_gltf *g, struct pose *p, const struct gltf_matrix *m)
{
    double scale = cbrt(fabs(t3di_gltf_determinant(m))), r[3][3];
    double sign = t3di_gltf_determinant(m) < 0 ? -1 : 1;

    if (!(scale > 0) || !isfinite(scale))
        return t3di_gltf_bad(g, "flat-gaussians");
    for (int row = 0; row < 3; row++)
        for (int c = 0; c < 3; c++)
            r[row][c] = sign * m->m[4 * c + row] / scale;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            double dot = r[a][0] * r[b][0] + r[a][1] * r[b][1] + r[a][2] * r[b][2];
            if (!(fabs(dot - (a == b)) < 1e-3))
                return t3di_gltf_bad(g, "sheared-gaussians");
        }
    p->m = m;
    p->log_scale = log(scale);
    quaternion_of(p->rotation, (const double(*)[3])r);
    return T3D_OK;
}

/* out = a b of w x y z; b as the file has it: x y z w. */
static void rotate(float out[4], const double a[4], const float b[4])
{
    const double w = b[3], x = b[0], y = b[1], z = b[2];

    out[0] = (float)(a[0] * w - a[1] * x - a[2] * y - a[3] * z);
    out[1] = (float)(a[0] * x + a[1] * w + a[2] * z - a[3] * y);
    out[2] = (float)(a[0] * y - a[1] * z + a[2] * w + a[3] * x);
    out[3] = (float)(a[0] * z + a[1] * y - a[2] * x + a[3] * w);
}

static void place(struct t3di_gaussian *out, const struct pose *p, const float *const value[])
{
    const float *xyz = value[POSITION];
    const double *m = p->m->m;

    for (int k = 0; k < 3; k++) {
        out->xyz[k] = (float)(m[k] * (double)xyz[0] + m[4 + k] * (double)xyz[1] +
                              m[8 + k] * (double)xyz[2] + m[12 + k]);
        out->log_scale[k] = (float)(log((double)value[SCALE][k]) + p->log_scale);
        out->rgb[k] = .5f + T3DI_SH0 * value[SH0][k];
    }
    rotate(out->quaternion, p->rotation, value[ROTATION]);
    out->opacity = value[OPACITY][0] >= 0 && value[OPACITY][0] <= 1
                       ? t3di_logit((double)value[OPACITY][0])
                       : NAN;
}

static void read_cloud(struct t3di_gltf *g, const struct cloud *c, const struct pose *p,
                       uint32_t first)
{
    float buf[N_ATTRIBUTES][CHUNK * 4];

    for (uint32_t at = 0; at < c->n; at += CHUNK) {
        uint32_t part = T3D_MIN(c->n - at, (uint32_t)CHUNK);
        for (int k = 0; k < N_ATTRIBUTES; k++)
            t3di_gltf_floats(c->a[k], at, part, 0, buf[k]);
        for (uint32_t i = 0; i < part; i++) {
            const float *value[N_ATTRIBUTES];
            struct t3di_gaussian out;
            for (int k = 0; k < N_ATTRIBUTES; k++)
                value[k] = buf[k] + attribute[k].width * (size_t)i;
            place(&out, p, value);
            t3di_put_gaussian(g->s, first + at + i, &out);
        }
    }
}

/* --- the whole ----------------------------------------------------------------------------------
 */

struct gather {
    uint64_t n, looks; /* Gaussians so far; primitives looked at */
    int read;          /* else they are counted */
};

static int too_many(struct t3di_gltf *g, const char *what, uint64_t n, uint64_t limit)
{
    return t3d_err_value(g->err, T3D_SKIP, "too-large", (double)n,
                         "the object has %llu or more %s, as instanced: the most is %llu",
                         (unsigned long long)n, what, (unsigned long long)limit);
}

static int add_cloud(struct t3di_gltf *g, struct gather *o, const struct gltf_matrix *m,
                     uint32_t primitive)
{
    struct pose p;
    struct cloud c;
    int r = find_attributes(g, &c, primitive);

    if (r == T3D_OK)
        r = pose_of(g, &p, m);
    if (r != T3D_OK)
        return r;
    if (o->n + c.n > T3D_MAX_GAUSSIANS)
        return too_many(g, "Gaussians", o->n + c.n, T3D_MAX_GAUSSIANS);
    if (o->read)
        read_cloud(g, &c, &p, (uint32_t)o->n);
    o->n += c.n;
    return T3D_OK;
}

static int add_instance(struct t3di_gltf *g, struct gather *o, const struct gltf_node *node,
                        uint32_t instance)
{
    uint32_t list = t3d_jtok_member(&g->j, g->list[GLTF_MESHES].tok[node->mesh], "primitives"),
             t = t3d_jtok_first(&g->j, list),
             end = g->j.tok[list].type == T3D_JTOK_ARRAY ? g->j.tok[list].n : 0;
    struct gltf_matrix m;
    int r = t3di_gltf_instance(g, node, instance, &m);

    o->looks += (uint64_t)end + 1;
    if (o->looks > MAX_LOOKS)
        return too_many(g, "primitives", o->looks, MAX_LOOKS);
    for (uint32_t i = 0; i < end && r >= 0; i++, t = g->j.tok[t].next) {
        if (!is_cloud(g, t))
            continue;
        if (r == T3D_OK)
            r = add_cloud(g, o, &m, t);
        if (r == GLTF_BAD && !o->read)
            t3di_gltf_count_bad(g);
        r = r == GLTF_BAD ? T3D_OK : r;
    }
    return r < 0 ? r : T3D_OK;
}

static int add_all(struct t3di_gltf *g, struct gather *o)
{
    for (uint32_t i = 0; i < g->list[GLTF_NODES].n; i++) {
        const struct gltf_node *node = &g->node[i];
        for (uint32_t k = 0; node->active && node->mesh != GLTF_NONE && k < node->n_instances;
             k++) {
            int r = add_instance(g, o, node, k);
            if (r < 0)
                return r;
        }
    }
    return T3D_OK;
}

static int has_clouds(const struct t3di_gltf *g)
{
    for (uint32_t i = 0; i < g->list[GLTF_MESHES].n; i++) {
        uint32_t list = t3d_jtok_member(&g->j, g->list[GLTF_MESHES].tok[i], "primitives"),
                 t = t3d_jtok_first(&g->j, list);
        for (uint32_t k = 0; g->j.tok[list].type == T3D_JTOK_ARRAY && k < g->j.tok[list].n;
             k++, t = g->j.tok[t].next)
            if (is_cloud(g, t))
                return 1;
    }
    return 0;
}

int t3di_gltf_splats(struct t3di_gltf *g)
{
    struct gather count = {.read = 0}, read = {.read = 1};
    int r = T3D_OK;

    if (!has_clouds(g))
        return r;
    r = add_all(g, &count);
    if (r == T3D_OK)
        r = t3di_alloc_gaussians(g->s, g->a, count.n, g->err);
    return r == T3D_OK ? add_all(g, &read) : r;
}
