/* SPDX-License-Identifier: Apache-2.0 */
/* The node forest (glTF 2.0 section 3.5), skins (3.7.3) and EXT_mesh_gpu_instancing. */
#include <math.h>
#include <string.h>

#include "geom/gltf_impl.h"

static const struct gltf_matrix identity = {{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}};

/* out = a b of affine matrices. */
static void multiply(struct gltf_matrix *out, const struct gltf_matrix *a,
                     const struct gltf_matrix *b)
{
    for (int c = 0; c < 4; c++)
        for (int r = 0; r < 3; r++)
            out->m[4 * c + r] = a->m[r] * b->m[4 * c] + a->m[4 + r] * b->m[4 * c + 1] +
                                a->m[8 + r] * b->m[4 * c + 2] + (c == 3 ? a->m[12 + r] : 0);
    out->m[3] = out->m[7] = out->m[11] = 0;
    out->m[15] = 1;
}

double t3di_gltf_determinant(const struct gltf_matrix *a)
{
    const double *m = a->m;

    return m[0] * (m[5] * m[10] - m[9] * m[6]) - m[4] * (m[1] * m[10] - m[9] * m[2]) +
           m[8] * (m[1] * m[6] - m[5] * m[2]);
}

/* T R S, with q = (x, y, z, w). The quaternion is normalised first: files round it. */
static void compose(struct gltf_matrix *out, const double t[3], const double q[4],
                    const double s[3])
{
    double length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    double n = length > 0 ? 1 / length : 0;
    double x = q[0] * n, y = q[1] * n, z = q[2] * n, w = length > 0 ? q[3] * n : 1;
    const double r[9] = {1 - 2 * (y * y + z * z), 2 * (x * y + z * w),     2 * (x * z - y * w),
                         2 * (x * y - z * w),     1 - 2 * (x * x + z * z), 2 * (y * z + x * w),
                         2 * (x * z + y * w),     2 * (y * z - x * w),     1 - 2 * (x * x + y * y)};

    *out = identity;
    for (int c = 0; c < 3; c++)
        for (int k = 0; k < 3; k++)
            out->m[4 * c + k] = r[3 * c + k] * s[c];
    for (int k = 0; k < 3; k++)
        out->m[12 + k] = t[k];
}

static void local_matrix(const struct t3di_gltf *g, uint32_t tok, struct gltf_matrix *out)
{
    double t[3] = {0, 0, 0}, q[4] = {0, 0, 0, 1}, s[3] = {1, 1, 1};
    uint32_t matrix = t3d_jtok_member(&g->j, tok, "matrix");

    *out = identity;
    if (matrix && t3di_gltf_numbers(g, matrix, out->m, 16) == 16)
        return;
    t3di_gltf_numbers(g, t3d_jtok_member(&g->j, tok, "translation"), t, 3);
    t3di_gltf_numbers(g, t3d_jtok_member(&g->j, tok, "rotation"), q, 4);
    t3di_gltf_numbers(g, t3d_jtok_member(&g->j, tok, "scale"), s, 3);
    compose(out, t, q, s);
}

/* --- hierarchy ---------------------------------------------------------------------------- */

static int bad_node(struct t3di_gltf *g, const char *reason, uint32_t node, const char *what)
{
    return t3d_err_value(g->err, T3D_SKIP, reason, node, "node %u %s", node, what);
}

static int read_node(struct t3di_gltf *g, uint32_t i)
{
    struct gltf_node *n = &g->node[i];

    n->tok = g->list[GLTF_NODES].tok[i];
    n->mesh = t3di_gltf_ref(g, n->tok, "mesh", GLTF_MESHES);
    n->skin = t3di_gltf_ref(g, n->tok, "skin", GLTF_SKINS);
    n->n_instances = 1;
    if (n->mesh == GLTF_INVALID || n->skin == GLTF_INVALID)
        return bad_node(g, "bad-node", i, "names a mesh or skin that does not exist");
    return T3D_OK;
}

static int find_parents(struct t3di_gltf *g)
{
    for (uint32_t i = 0; i < g->list[GLTF_NODES].n; i++) {
        uint32_t list = t3d_jtok_member(&g->j, g->node[i].tok, "children");
        uint32_t t = t3d_jtok_first(&g->j, list);

        for (uint32_t k = 0; t && k < g->j.tok[list].n; k++, t = g->j.tok[t].next) {
            uint64_t child;

            if (!t3d_jtok_whole(&g->j, t, &child) || child >= g->list[GLTF_NODES].n)
                return bad_node(g, "bad-node", i, "has a child that does not exist");
            if (g->node[child].parent != GLTF_NONE)
                return bad_node(g, "multiple-parents", (uint32_t)child, "has two parents");
            g->node[child].parent = i;
        }
    }
    return T3D_OK;
}

/* Breadth first from the roots, without recursion. As no node has two parents, one that is not
 * reached lies on a cycle or below it. */
static int order_nodes(struct t3di_gltf *g)
{
    uint32_t n = g->list[GLTF_NODES].n, done = 0;

    for (uint32_t i = 0; i < n; i++)
        if (g->node[i].parent == GLTF_NONE)
            g->order[done++] = i;
    for (uint32_t at = 0; at < done; at++) {
        uint32_t list = t3d_jtok_member(&g->j, g->node[g->order[at]].tok, "children");
        uint32_t t = t3d_jtok_first(&g->j, list);

        for (uint32_t k = 0; t && k < g->j.tok[list].n; k++, t = g->j.tok[t].next) {
            uint64_t child = 0;

            if (t3d_jtok_whole(&g->j, t, &child))
                g->order[done++] = (uint32_t)child;
        }
    }
    if (done < n)
        return t3d_err_value(g->err, T3D_SKIP, "node-cycle", n - done,
                             "%u of %u nodes are their own ancestors, or below such a node",
                             n - done, n);
    return T3D_OK;
}

static void place_nodes(struct t3di_gltf *g)
{
    for (uint32_t k = 0; k < g->list[GLTF_NODES].n; k++) {
        struct gltf_node *n = &g->node[g->order[k]];
        struct gltf_matrix local;

        local_matrix(g, n->tok, &local);
        if (n->parent == GLTF_NONE)
            n->world = local;
        else
            multiply(&n->world, &g->node[n->parent].world, &local);
    }
}

/* The default scene, else the first, else (no scenes) every root: a file made for exchange. */
static int activate(struct t3di_gltf *g)
{
    uint32_t n = g->list[GLTF_NODES].n,
             scene = t3di_gltf_ref(g, T3D_JTOK_ROOT, "scene", GLTF_SCENES);
    uint32_t list, t;

    if (scene == GLTF_INVALID)
        return t3d_err_set(g->err, T3D_SKIP, "bad-gltf", "the default scene does not exist");
    if (!g->list[GLTF_SCENES].n) {
        for (uint32_t i = 0; i < n; i++)
            g->node[i].active = 1;
        return T3D_OK;
    }
    scene = scene == GLTF_NONE ? 0 : scene;
    list = t3d_jtok_member(&g->j, g->list[GLTF_SCENES].tok[scene], "nodes");
    t = t3d_jtok_first(&g->j, list);
    for (uint32_t k = 0; t && k < g->j.tok[list].n; k++, t = g->j.tok[t].next) {
        uint64_t root;

        if (!t3d_jtok_whole(&g->j, t, &root) || root >= n)
            return t3d_err_set(g->err, T3D_SKIP, "bad-gltf",
                               "scene %u names a node that does not exist", scene);
        g->node[root].active = 1;
    }
    for (uint32_t k = 0; k < n; k++) {
        struct gltf_node *node = &g->node[g->order[k]];

        if (node->parent != GLTF_NONE && g->node[node->parent].active)
            node->active = 1;
    }
    return T3D_OK;
}

int t3di_gltf_nodes(struct t3di_gltf *g)
{
    uint32_t n = g->list[GLTF_NODES].n;
    int r = T3D_OK;

    g->node = t3d_alloc(g->a, n, sizeof *g->node);
    g->order = t3d_alloc_raw(g->a, n, sizeof *g->order);
    if (!g->node || !g->order)
        return t3di_no_room(g->a, g->err, "the nodes of a glTF file");
    for (uint32_t i = 0; i < n; i++)
        g->node[i].parent = GLTF_NONE;
    for (uint32_t i = 0; i < n && r == T3D_OK; i++)
        r = read_node(g, i);
    if (r < 0 || (r = find_parents(g)) < 0 || (r = order_nodes(g)) < 0)
        return r;
    place_nodes(g);
    return activate(g);
}

/* --- skins ---------------------------------------------------------------------------------- */

/* Inverse bind matrix of joint i; identity without the accessor. */
static void inverse_bind(const struct gltf_accessor *a, uint32_t i, struct gltf_matrix *out)
{
    float m[16];

    *out = identity;
    if (!a)
        return;
    t3di_gltf_floats(a, i, 1, 0, m);
    for (int k = 0; k < 16; k++)
        out->m[k] = m[k];
}

static int open_skin(struct t3di_gltf *g, struct gltf_skin *s, uint32_t tok)
{
    uint32_t list = t3d_jtok_member(&g->j, tok, "joints"), t = t3d_jtok_first(&g->j, list);
    uint32_t bind = t3di_gltf_ref(g, tok, "inverseBindMatrices", GLTF_ACCESSORS), mirrored = 0;
    const struct gltf_accessor *a = NULL;
    uint64_t node;
    int r;

    if (!t)
        return t3di_gltf_bad(g, "bad-skin");
    s->n = g->j.tok[list].n;
    if (bind != GLTF_NONE) {
        r = t3di_gltf_accessor(g, bind, &a);
        if (r != T3D_OK)
            return r;
        if (a->width != 16 || a->component != 5126 || a->count < s->n)
            return t3di_gltf_bad(g, "bad-skin");
    }
    s->joint = t3d_alloc_raw(g->a, s->n, sizeof *s->joint);
    if (!s->joint)
        return t3di_no_room(g->a, g->err, "a skin");
    for (uint32_t i = 0; i < s->n; i++, t = g->j.tok[t].next) {
        struct gltf_matrix b;

        if (!t3d_jtok_whole(&g->j, t, &node) || node >= g->list[GLTF_NODES].n)
            return t3di_gltf_bad(g, "bad-skin");
        inverse_bind(a, i, &b);
        multiply(&s->joint[i], &g->node[node].world, &b);
        mirrored += t3di_gltf_determinant(&s->joint[i]) < 0;
    }
    s->mirrored = mirrored > s->n / 2;
    return T3D_OK;
}

int t3di_gltf_skin(struct t3di_gltf *g, uint32_t index, const struct gltf_skin **out)
{
    struct gltf_skin *s = &g->skin[index];

    if (!s->open) {
        int r = open_skin(g, s, g->list[GLTF_SKINS].tok[index]);

        if (r < 0)
            return r;
        s->open = 1;
        s->why = r == GLTF_BAD ? g->why : NULL;
    }
    *out = s;
    return s->why ? t3di_gltf_bad(g, s->why) : T3D_OK;
}

/* --- instances -------------------------------------------------------------------------------- */

static const char *const instance_attributes[] = {"TRANSLATION", "ROTATION", "SCALE"};

int t3di_gltf_instance_count(struct t3di_gltf *g, struct gltf_node *n)
{
    uint32_t e = t3di_gltf_extension(g, n->tok, "EXT_mesh_gpu_instancing");
    uint32_t attributes = t3d_jtok_member(&g->j, e, "attributes");
    uint32_t count = GLTF_NONE;

    n->n_instances = 1;
    if (!e)
        return T3D_OK;
    for (int k = 0; k < 3; k++) {
        uint32_t ref = t3di_gltf_ref(g, attributes, instance_attributes[k], GLTF_ACCESSORS);
        const struct gltf_accessor *a;
        int r;

        if (ref == GLTF_NONE)
            continue;
        r = t3di_gltf_accessor(g, ref, &a);
        if (r != T3D_OK)
            return r;
        if (a->width != (k == 1 ? 4 : 3) || (count != GLTF_NONE && a->count != count))
            return t3di_gltf_bad(g, "bad-instancing");
        count = a->count;
    }
    if (count == GLTF_NONE) /* only custom attributes: nothing says where */
        return t3di_gltf_bad(g, "bad-instancing");
    n->n_instances = count;
    n->instanced = 1;
    return T3D_OK;
}

int t3di_gltf_instance(struct t3di_gltf *g, const struct gltf_node *n, uint32_t i,
                       struct gltf_matrix *out)
{
    uint32_t attributes = t3d_jtok_member(
        &g->j, t3di_gltf_extension(g, n->tok, "EXT_mesh_gpu_instancing"), "attributes");
    double trs[3][4] = {{0, 0, 0, 0}, {0, 0, 0, 1}, {1, 1, 1, 0}};
    struct gltf_matrix local;

    *out = n->world;
    if (!n->instanced)
        return T3D_OK;
    for (int k = 0; k < 3; k++) {
        uint32_t ref = t3di_gltf_ref(g, attributes, instance_attributes[k], GLTF_ACCESSORS);
        const struct gltf_accessor *a;
        float v[4];
        int r;

        if (ref == GLTF_NONE)
            continue;
        r = t3di_gltf_accessor(g, ref, &a);
        if (r != T3D_OK)
            return r;
        t3di_gltf_floats(a, i, 1, 0, v);
        for (int c = 0; c < a->width; c++)
            trs[k][c] = v[c];
    }
    compose(&local, trs[0], trs[1], trs[2]);
    multiply(out, &n->world, &local);
    return T3D_OK;
}
