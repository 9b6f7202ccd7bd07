/* SPDX-License-Identifier: Apache-2.0 */
/* What every primitive in use needs, found and checked before any vertex memory is taken (glTF 2.0
 * section 3.7.2). */
#include <string.h>

#include "geom/gltf_impl.h"

enum { POINTS, LINES, LINE_STRIP = 3, TRIANGLES, STRIP, FAN };
enum { SKIPPED = 2 }; /* lines or points: counted, neither good nor bad */
enum { U8 = 5121, U16 = 5123, U32 = 5125, F32 };

/* More than this many morphed vertices is no object but an attack on our time. */
static const uint64_t max_morph_work = (uint64_t)1 << 34;

void t3di_gltf_count_bad(struct t3di_gltf *g)
{
    struct t3d_scene_notes *n = &g->s->notes;

    if (!n->n_bad_primitives++)
        t3di_copy_printable(n->first_bad, sizeof n->first_bad, g->why);
}

static int too_large(struct t3di_gltf *g, const char *what, uint64_t n, uint64_t limit)
{
    return t3d_err_value(g->err, T3D_SKIP, "too-large", (double)n,
                         "the object has %llu or more %s, as instanced: the most is %llu",
                         (unsigned long long)n, what, (unsigned long long)limit);
}

/* --- attributes --------------------------------------------------------------------------------
 */

/* An attribute that goes with the positions: *ref stays GLTF_NONE when it is absent. */
static int attribute(struct t3di_gltf *g, uint32_t attributes, const char *name,
                     const struct gltf_accessor *position, unsigned least, unsigned most,
                     uint32_t *ref)
{
    const struct gltf_accessor *a;
    int r;

    *ref = t3di_gltf_ref(g, attributes, name, GLTF_ACCESSORS);
    if (*ref == GLTF_NONE)
        return T3D_OK;
    r = t3di_gltf_accessor(g, *ref, &a);
    if (r != T3D_OK)
        return r;
    if (a->width < least || a->width > most || a->component == U32)
        return t3di_gltf_bad(g, "bad-attribute-type");
    return a->count < position->count ? t3di_gltf_bad(g, "attribute-too-short") : T3D_OK;
}

static int joint_sets(struct t3di_gltf *g, struct gltf_primitive *p, uint32_t attributes,
                      const struct gltf_accessor *position)
{
    for (uint32_t k = 0; k < GLTF_MAX_JOINT_SETS; k++) {
        char joints[16], weights[16];
        int r;

        snprintf(joints, sizeof joints, "JOINTS_%u", k);
        snprintf(weights, sizeof weights, "WEIGHTS_%u", k);
        r = attribute(g, attributes, joints, position, 4, 4, &p->joints[k]);
        if (r == T3D_OK)
            r = attribute(g, attributes, weights, position, 4, 4, &p->weights[k]);
        if (r != T3D_OK)
            return r;
        if (p->joints[k] == GLTF_NONE || p->weights[k] == GLTF_NONE)
            break;
        if (g->accessor[p->joints[k]].component != U8 && g->accessor[p->joints[k]].component != U16)
            return t3di_gltf_bad(g, "bad-attribute-type");
        p->n_joint_sets = k + 1;
    }
    return T3D_OK;
}

static int attributes(struct t3di_gltf *g, struct gltf_primitive *p,
                      const struct gltf_accessor **position)
{
    uint32_t t = t3d_jtok_member(&g->j, p->tok, "attributes");
    int r;

    p->position = t3di_gltf_ref(g, t, "POSITION", GLTF_ACCESSORS);
    if (p->position == GLTF_NONE)
        return t3di_gltf_bad(g, "no-position");
    r = t3di_gltf_accessor(g, p->position, position);
    if (r != T3D_OK)
        return r;
    if ((*position)->width != 3 || (*position)->component == U32)
        return t3di_gltf_bad(g, "bad-attribute-type");
    if (!(*position)->data && !(*position)->n_sparse)
        return t3di_gltf_bad(g, t3di_gltf_extension(g, p->tok, "KHR_draco_mesh_compression")
                                    ? "draco-compressed"
                                    : "no-data");
    if ((r = attribute(g, t, "NORMAL", *position, 3, 3, &p->normal)) != T3D_OK ||
        (r = attribute(g, t, "TANGENT", *position, 4, 4, &p->tangent)) != T3D_OK ||
        (r = attribute(g, t, "COLOR_0", *position, 3, 4, &p->color)) != T3D_OK)
        return r;
    if (p->normal == GLTF_NONE)
        p->tangent = GLTF_NONE; /* section 3.7.2.1: flat normals, provided tangents are ignored */
    return joint_sets(g, p, t, *position);
}

/* --- indices -----------------------------------------------------------------------------------
 */

/* Range of the first n indices, and how many of them are not below `limit`. */
static uint32_t scan(const struct gltf_accessor *a, uint32_t n, uint32_t limit, uint32_t *low,
                     uint32_t *high)
{
    uint32_t buf[1024], lo = UINT32_MAX, hi = 0, wrong = 0;

    for (uint32_t at = 0; at < n; at += T3D_COUNT(buf)) {
        uint32_t part = T3D_MIN(n - at, (uint32_t)T3D_COUNT(buf));

        t3di_gltf_wholes(a, at, part, buf);
        for (uint32_t i = 0; i < part; i++) {
            lo = buf[i] < lo ? buf[i] : lo;
            hi = buf[i] > hi ? buf[i] : hi;
            wrong += buf[i] >= limit;
        }
    }
    *low = lo;
    *high = hi;
    return wrong;
}

static int indices(struct t3di_gltf *g, struct gltf_primitive *p,
                   const struct gltf_accessor *position)
{
    const struct gltf_accessor *a = NULL;
    uint32_t n = position->count, low = 0, high, wrong;
    int r;

    p->indices = t3di_gltf_ref(g, p->tok, "indices", GLTF_ACCESSORS);
    if (p->indices != GLTF_NONE) {
        r = t3di_gltf_accessor(g, p->indices, &a);
        if (r != T3D_OK)
            return r;
        if (a->width != 1 || (a->component != U8 && a->component != U16 && a->component != U32))
            return t3di_gltf_bad(g, "bad-index-type");
        if (!a->data && !a->n_sparse)
            return t3di_gltf_bad(g, "no-data");
        n = a->count;
    }
    if (n < 3)
        return t3di_gltf_bad(g, "too-few-vertices");
    p->n_triangles = p->mode == TRIANGLES ? n / 3 : n - 2;
    if (p->n_triangles > T3D_MAX_TRIANGLES) /* before they are looked through */
        return too_large(g, "triangles", p->n_triangles, T3D_MAX_TRIANGLES);
    n = p->mode == TRIANGLES ? n / 3 * 3 : n;
    high = n - 1;
    if (a) {
        wrong = scan(a, n, position->count, &low, &high);
        g->s->notes.n_bad_indices += wrong;
        if (wrong)
            return t3di_gltf_bad(g, "index-out-of-range");
    }
    p->first_vertex = low;
    p->n_vertices = high - low + 1;
    return T3D_OK;
}

/* --- primitives and meshes -----------------------------------------------------------------------
 */

static int plan_primitive(struct t3di_gltf *g, struct gltf_primitive *p, uint32_t tok)
{
    uint32_t mode = t3d_jtok_member(&g->j, tok, "mode");
    uint32_t targets = t3d_jtok_member(&g->j, tok, "targets");
    const struct gltf_accessor *position;
    uint64_t m = TRIANGLES;
    int r;

    *p = (struct gltf_primitive){.tok = tok};
    for (int k = 0; k < T3D_MAX_UV; k++)
        p->uv[k] = GLTF_NONE;
    if ((mode && !t3d_jtok_whole(&g->j, mode, &m)) || m > FAN)
        return t3di_gltf_bad(g, "bad-mode");
    if (m <= LINE_STRIP) {
        g->s->notes.n_points += m == POINTS;
        g->s->notes.n_lines += m != POINTS;
        return SKIPPED;
    }
    p->mode = (uint32_t)m;
    p->material = t3di_gltf_ref(g, tok, "material", GLTF_MATERIALS);
    if (p->material == GLTF_INVALID)
        return t3di_gltf_bad(g, "bad-material");
    if (g->j.tok[targets].type == T3D_JTOK_ARRAY)
        p->n_targets = g->j.tok[targets].n;
    r = attributes(g, p, &position);
    return r == T3D_OK ? indices(g, p, position) : r;
}

static int plan_mesh(struct t3di_gltf *g, struct gltf_mesh *m, uint32_t tok)
{
    uint32_t list = t3d_jtok_member(&g->j, tok, "primitives"), t = t3d_jtok_first(&g->j, list);
    uint32_t n = g->j.tok[list].type == T3D_JTOK_ARRAY ? g->j.tok[list].n : 0;

    m->planned = 1;
    m->primitive = t3d_alloc_raw(g->a, n, sizeof *m->primitive);
    if (!m->primitive)
        return t3di_no_room(g->a, g->err, "the primitives of a mesh");
    for (uint32_t i = 0; i < n; i++, t = g->j.tok[t].next) {
        struct gltf_primitive *p = &m->primitive[m->n];
        int r = plan_primitive(g, p, t);

        if (r < 0)
            return r;
        if (r == GLTF_BAD)
            t3di_gltf_count_bad(g);
        if (r != T3D_OK)
            continue;
        m->n++;
        m->n_vertices += p->n_vertices;
        m->n_triangles += p->n_triangles;
        m->morph_work += p->n_targets * ((uint64_t)p->n_vertices + 1);
    }
    return T3D_OK;
}

/* The sums stay below 2^64: each product is of numbers that were compared to a limit below 2^35. */
static int add_instances(struct t3di_gltf *g, const struct gltf_mesh *m, uint32_t n,
                         uint64_t *vertices, uint64_t *triangles, uint64_t *work)
{
    if (!m->n)
        return T3D_OK;
    if (n > T3D_MAX_TRIANGLES)
        return too_large(g, "triangles", n, T3D_MAX_TRIANGLES);
    if (m->n_vertices <= T3D_MAX_VERTICES)
        *vertices += m->n_vertices * n;
    if (m->n_vertices > T3D_MAX_VERTICES || *vertices > T3D_MAX_VERTICES)
        return too_large(g, "vertices", T3D_MAX(m->n_vertices, *vertices), T3D_MAX_VERTICES);
    if (m->n_triangles <= T3D_MAX_TRIANGLES)
        *triangles += m->n_triangles * n;
    if (m->n_triangles > T3D_MAX_TRIANGLES || *triangles > T3D_MAX_TRIANGLES)
        return too_large(g, "triangles", T3D_MAX(m->n_triangles, *triangles), T3D_MAX_TRIANGLES);
    if (m->morph_work <= max_morph_work)
        *work += m->morph_work * n;
    if (m->morph_work > max_morph_work || *work > max_morph_work)
        return too_large(g, "morphed vertices", T3D_MAX(m->morph_work, *work), max_morph_work);
    return T3D_OK;
}

int t3di_gltf_plan(struct t3di_gltf *g)
{
    uint64_t vertices = 0, triangles = 0, work = 0;
    int r;

    for (uint32_t i = 0; i < g->list[GLTF_NODES].n; i++) {
        struct gltf_node *n = &g->node[i];
        struct gltf_mesh *m;

        if (!n->active || n->mesh == GLTF_NONE)
            continue;
        m = &g->mesh[n->mesh];
        if (!m->planned && (r = plan_mesh(g, m, g->list[GLTF_MESHES].tok[n->mesh])) < 0)
            return r;
        r = t3di_gltf_instance_count(g, n);
        if (r < 0)
            return r;
        if (r == GLTF_BAD) {
            t3di_gltf_count_bad(g);
            n->active = 0;
            continue;
        }
        r = add_instances(g, m, n->n_instances, &vertices, &triangles, &work);
        if (r < 0)
            return r;
    }
    g->s->n_vertices = (uint32_t)vertices;
    g->s->n_triangles = (uint32_t)triangles;
    return T3D_OK;
}
