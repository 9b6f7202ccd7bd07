/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, skins and faces of an assimp scene. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "geom/mesh_impl.h"
#include "geom/other_impl.h"
#include "geom/read_impl.h"

enum { MAX_NODES = 1 << 20, MAX_DEPTH = 1024 };

/* Row-major, the last row 0 0 0 1. */
struct matrix {
    double m[3][4];
};

struct node {
    const struct aiNode *ai;
    struct matrix world;
};

struct nodes {
    struct node *node; /* parents before children */
    uint32_t n;
    uint32_t *by_name; /* sorted */
};

/* --- matrices
 * ------------------------------------------------------------------------------------- */

static struct matrix from_ai(const struct aiMatrix4x4 *a)
{
    return (struct matrix){{{(double)a->a1, (double)a->a2, (double)a->a3, (double)a->a4},
                            {(double)a->b1, (double)a->b2, (double)a->b3, (double)a->b4},
                            {(double)a->c1, (double)a->c2, (double)a->c3, (double)a->c4}}};
}

static struct matrix multiply(const struct matrix *a, const struct matrix *b)
{
    struct matrix c;

    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++)
            c.m[i][k] = a->m[i][0] * b->m[0][k] + a->m[i][1] * b->m[1][k] +
                        a->m[i][2] * b->m[2][k] + (k == 3 ? a->m[i][3] : 0);
    return c;
}

static double determinant(const struct matrix *a)
{
    const double(*m)[4] = a->m;

    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
           m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/* The cofactors: what normals are multiplied by, up to a factor and the sign of the determinant. */
static void cofactors(const struct matrix *a, double out[3][3])
{
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            int i1 = (i + 1) % 3, i2 = (i + 2) % 3, k1 = (k + 1) % 3, k2 = (k + 2) % 3;
            out[i][k] = a->m[i1][k1] * a->m[i2][k2] - a->m[i1][k2] * a->m[i2][k1];
        }
}

/* --- which way is up
 * ------------------------------------------------------------------------------ */

static int metadata(const struct aiScene *ai, const char *key, int otherwise)
{
    const struct aiMetadata *d = ai->mMetaData;

    for (unsigned i = 0; d && i < d->mNumProperties; i++)
        if (strncmp(d->mKeys[i].data, key, sizeof d->mKeys[i].data) == 0 &&
            d->mValues[i].mType == AI_INT32 && d->mValues[i].mData) {
            int32_t v;
            memcpy(&v, d->mValues[i].mData, sizeof v);
            return v;
        }
    return otherwise;
}

/* The file's axes to ours. FBX says which of its axes are right, up and front (Autodesk,
 * FbxAxisSystem) and assimp leaves it at that; COLLADA's up_axis and 3DS's Z are turned by its
 * importers; 3MF (core specification, 2.1) has +Z up. */
static struct matrix to_our_world(const struct t3di_other *o)
{
    static const char *const name[3] = {"CoordAxis", "UpAxis", "FrontAxis"};
    struct matrix m = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}}, f = {{{0}}};
    int used = 0;

    if (strcmp(o->s->notes.format, "3mf") == 0)
        return (struct matrix){{{1, 0, 0, 0}, {0, 0, 1, 0}, {0, -1, 0, 0}}};
    if (strcmp(o->s->notes.format, "fbx") != 0)
        return m;
    for (int i = 0; i < 3; i++) {
        char sign[20];
        int axis = metadata(o->ai, name[i], i), minus;

        snprintf(sign, sizeof sign, "%sSign", name[i]);
        minus = metadata(o->ai, sign, 1) < 0;
        if (axis < 0 || axis > 2)
            return m;
        f.m[i][axis] = minus ? -1 : 1;
        used |= 1 << axis;
    }
    return used == 7 ? f : m;
}

/* --- nodes
 * ---------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b, void *ctx)
{
    const struct nodes *t = ctx;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    int r = strncmp(t->node[i].ai->mName.data, t->node[k].ai->mName.data,
                    sizeof t->node[i].ai->mName.data);

    return r ? r : i < k ? -1 : i > k;
}

static int add_children(struct t3di_other *o, struct nodes *t, uint32_t *capacity,
                        const struct node *parent, struct t3d_err *err)
{
    const struct aiNode *ai = parent->ai;
    struct matrix world = parent->world;

    for (unsigned i = 0; i < ai->mNumChildren; i++) {
        struct matrix local = from_ai(&ai->mChildren[i]->mTransformation);

        if (t->n == MAX_NODES)
            return t3d_err_value(err, T3D_SKIP, "too-large", MAX_NODES,
                                 "the file has more than %d nodes", MAX_NODES);
        if (t->n == *capacity) {
            uint32_t more = 2 * *capacity;
            struct node *node = t3d_alloc_raw(o->a, more, sizeof *node);
            if (!node)
                return t3di_no_room(o->a, err, "the nodes");
            memcpy(node, t->node, t->n * sizeof *node);
            t->node = node;
            *capacity = more;
        }
        t->node[t->n++] = (struct node){ai->mChildren[i], multiply(&world, &local)};
    }
    return T3D_OK;
}

static int collect(struct t3di_other *o, struct nodes *t, struct t3d_err *err)
{
    uint32_t capacity = 64;
    struct matrix world = to_our_world(o), local;
    int r = T3D_OK;

    t->node = t3d_alloc_raw(o->a, capacity, sizeof *t->node);
    if (!t->node)
        return t3di_no_room(o->a, err, "the nodes");
    if (!o->ai->mRootNode)
        return T3D_OK;
    local = from_ai(&o->ai->mRootNode->mTransformation);
    t->node[t->n++] = (struct node){o->ai->mRootNode, multiply(&world, &local)};
    for (uint32_t i = 0; i < t->n && r == T3D_OK; i++) {
        struct node parent = t->node[i];
        r = add_children(o, t, &capacity, &parent, err);
    }
    o->s->notes.n_nodes = t->n;
    if (r < 0)
        return r;
    t->by_name = t3d_alloc_raw(o->a, t->n, sizeof *t->by_name);
    if (!t->by_name)
        return t3di_no_room(o->a, err, "the nodes");
    for (uint32_t i = 0; i < t->n; i++)
        t->by_name[i] = i;
    qsort_r(t->by_name, t->n, sizeof *t->by_name, compare_names, t);
    return T3D_OK;
}

static const struct node *find(const struct nodes *t, const struct aiString *name)
{
    uint32_t lo = 0, hi = t->n;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        const struct aiNode *n = t->node[t->by_name[mid]].ai;
        if (strncmp(n->mName.data, name->data, sizeof name->data) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < t->n &&
        strncmp(t->node[t->by_name[lo]].ai->mName.data, name->data, sizeof name->data) == 0)
        return &t->node[t->by_name[lo]];
    return NULL;
}

/* --- one mesh of one node
 * ------------------------------------------------------------------------- */

/* Sum over the bones of weight * world(bone) * offset, in rest pose, for each vertex; NULL in *out
 * when the mesh has no skin that can be followed. */
static int skin(struct t3di_other *o, const struct nodes *t, const struct aiMesh *m,
                const struct matrix *plain, struct matrix **out, struct t3d_err *err)
{
    struct matrix *sum;
    float *weight;

    *out = NULL;
    if (!m->mNumBones || !m->mBones)
        return T3D_OK;
    o->s->notes.n_skins++;
    sum = t3d_alloc(o->a, m->mNumVertices, sizeof *sum);
    weight = t3d_alloc(o->a, m->mNumVertices, sizeof *weight);
    if (!sum || !weight)
        return t3di_no_room(o->a, err, "a skin");
    for (unsigned b = 0; b < m->mNumBones; b++) {
        const struct aiBone *bone = m->mBones[b];
        const struct node *n = find(t, &bone->mName);
        struct matrix offset = from_ai(&bone->mOffsetMatrix), full;

        if (!n)
            return T3D_OK;
        full = multiply(&n->world, &offset);
        for (unsigned i = 0; i < bone->mNumWeights && bone->mWeights; i++) {
            const struct aiVertexWeight *w = &bone->mWeights[i];

            if (w->mVertexId >= m->mNumVertices || !(w->mWeight > 0) || !isfinite(w->mWeight))
                continue;
            weight[w->mVertexId] += w->mWeight;
            for (int k = 0; k < 12; k++)
                sum[w->mVertexId].m[k / 4][k % 4] += (double)w->mWeight * full.m[k / 4][k % 4];
        }
    }
    for (unsigned v = 0; v < m->mNumVertices; v++)
        for (int k = 0; k < 12; k++)
            sum[v].m[k / 4][k % 4] =
                weight[v] > 0 ? sum[v].m[k / 4][k % 4] / (double)weight[v] : plain->m[k / 4][k % 4];
    *out = sum;
    return T3D_OK;
}

static void put_position(float out[3], const struct matrix *w, const struct aiVector3D *p)
{
    for (int i = 0; i < 3; i++)
        out[i] = (float)(w->m[i][0] * (double)p->x + w->m[i][1] * (double)p->y +
                         w->m[i][2] * (double)p->z + w->m[i][3]);
}

static void put_normal(float out[3], const struct matrix *w, const struct aiVector3D *n)
{
    double c[3][3], sign = determinant(w) < 0 ? -1 : 1;

    cofactors(w, c);
    for (int i = 0; i < 3; i++)
        out[i] = (float)(sign * (c[i][0] * (double)n->x + c[i][1] * (double)n->y +
                                 c[i][2] * (double)n->z));
    if (!t3di_normalise(out))
        memset(out, 0, 3 * sizeof *out);
}

static uint32_t put_vertices(struct t3di_other *o, const struct aiMesh *m, const struct matrix *w,
                             const struct matrix *skinned, uint32_t at)
{
    struct t3d_scene *s = o->s;
    uint32_t flags = 0;

    for (unsigned i = 0; i < m->mNumVertices; i++) {
        const struct matrix *x = skinned ? &skinned[i] : w;

        put_position(s->position[at + i], x, &m->mVertices[i]);
        if (m->mNormals)
            put_normal(s->normal[at + i], x, &m->mNormals[i]);
    }
    flags |= m->mNormals ? T3D_HAS_NORMAL : 0;
    for (int k = 0; k < T3D_MAX_UV; k++)
        for (unsigned i = 0; i < m->mNumVertices && m->mTextureCoords[k]; i++) {
            float u = m->mTextureCoords[k][i].x, v = 1 - m->mTextureCoords[k][i].y;

            flags |= (uint32_t)T3D_HAS_UV0 << k;
            s->uv[k][at + i][0] = isfinite(u) ? u : 0;
            s->uv[k][at + i][1] = isfinite(v) ? v : 0;
        }
    if (m->mColors[0]) {
        for (unsigned i = 0; i < m->mNumVertices; i++)
            memcpy(s->color[at + i], &m->mColors[0][i], sizeof s->color[at + i]);
        t3di_colors_to_linear(s->color + at, m->mNumVertices, 1);
        flags |= T3D_HAS_COLOR;
    }
    return flags;
}

static int in_range(const struct aiMesh *m, const struct aiFace *f)
{
    for (unsigned k = 0; k < f->mNumIndices; k++)
        if (f->mIndices[k] >= m->mNumVertices)
            return 0;
    return 1;
}

static void put_faces(struct t3di_other *o, const struct aiMesh *m, uint32_t at, int flip)
{
    struct t3d_scene *s = o->s;

    for (unsigned i = 0; i < m->mNumFaces; i++) {
        const struct aiFace *f = &m->mFaces[i];

        if (f->mNumIndices < 3) {
            s->notes.n_points += f->mNumIndices == 1;
            s->notes.n_lines += f->mNumIndices == 2;
            continue;
        }
        if (!f->mIndices || !in_range(m, f)) {
            s->notes.n_bad_indices++;
            t3di_note_bad(&s->notes, "index-out-of-range");
            continue;
        }
        for (unsigned k = 2; k < f->mNumIndices; k++) {
            uint32_t *t = s->triangle[s->n_triangles++];
            t[0] = at + f->mIndices[0];
            t[1] = at + f->mIndices[flip ? k : k - 1];
            t[2] = at + f->mIndices[flip ? k - 1 : k];
        }
    }
}

static int is_usable(const struct aiScene *ai, const struct aiNode *n, unsigned i)
{
    return n->mMeshes[i] < ai->mNumMeshes && ai->mMeshes[n->mMeshes[i]]->mVertices &&
           ai->mMeshes[n->mMeshes[i]]->mFaces;
}

/* Triangles of a face list as fans. */
static uint64_t count_triangles(const struct aiMesh *m)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < m->mNumFaces; i++)
        n += m->mFaces[i].mNumIndices > 2 ? m->mFaces[i].mNumIndices - 2 : 0;
    return n;
}

struct totals {
    uint64_t vertices, triangles, draws;
    int has_normal, has_color, has_uv[T3D_MAX_UV];
};

static int count(struct t3di_other *o, const struct nodes *t, struct totals *n, struct t3d_err *err)
{
    for (uint32_t i = 0; i < t->n; i++)
        for (unsigned k = 0; k < t->node[i].ai->mNumMeshes; k++) {
            const struct aiMesh *m;
            int r;

            if (!is_usable(o->ai, t->node[i].ai, k)) {
                t3di_note_bad(&o->s->notes, "bad-mesh");
                continue;
            }
            m = o->ai->mMeshes[t->node[i].ai->mMeshes[k]];
            n->vertices += m->mNumVertices;
            n->triangles += count_triangles(m);
            n->draws++;
            n->has_normal |= m->mNormals != NULL;
            n->has_color |= m->mColors[0] != NULL;
            for (int u = 0; u < T3D_MAX_UV; u++)
                n->has_uv[u] |= m->mTextureCoords[u] != NULL;
            r = t3di_check_counts(n->vertices, n->triangles, err);
            if (r < 0)
                return r;
        }
    return T3D_OK;
}

static int make_room(struct t3di_other *o, const struct totals *n, struct t3d_err *err)
{
    struct t3d_scene *s = o->s;
    int bad = 0;

    s->position = t3d_alloc(o->a, n->vertices, sizeof *s->position);
    s->triangle = t3d_alloc(o->a, n->triangles, sizeof *s->triangle);
    s->draw = t3d_alloc(o->a, n->draws, sizeof *s->draw);
    bad |= !s->position || !s->triangle || !s->draw;
    if (n->has_normal)
        bad |= !(s->normal = t3d_alloc(o->a, n->vertices, sizeof *s->normal));
    if (n->has_color)
        bad |= !(s->color = t3d_alloc(o->a, n->vertices, sizeof *s->color));
    for (int u = 0; u < T3D_MAX_UV; u++)
        if (n->has_uv[u])
            bad |= !(s->uv[u] = t3d_alloc(o->a, n->vertices, sizeof *s->uv[u]));
    for (uint64_t i = 0; !bad && n->has_color && i < n->vertices; i++)
        for (int k = 0; k < 4; k++)
            s->color[i][k] = 1;
    return bad ? t3di_no_room(o->a, err, "the meshes") : T3D_OK;
}

static int put_mesh(struct t3di_other *o, const struct nodes *t, const struct node *n, unsigned k,
                    struct t3d_err *err)
{
    struct t3d_scene *s = o->s;
    const struct aiMesh *m = o->ai->mMeshes[n->ai->mMeshes[k]];
    struct t3d_draw *d = &s->draw[s->n_draws];
    struct matrix *skinned;
    int r = skin(o, t, m, &n->world, &skinned, err), flip;

    if (r < 0)
        return r;
    flip = determinant(skinned && m->mNumVertices ? &skinned[0] : &n->world) < 0;
    *d = (struct t3d_draw){.first_triangle = s->n_triangles,
                           .first_vertex = s->n_vertices,
                           .n_vertices = m->mNumVertices,
                           .material = T3D_MIN(m->mMaterialIndex, s->n_materials - 1)};
    d->flags = put_vertices(o, m, &n->world, skinned, s->n_vertices);
    put_faces(o, m, s->n_vertices, flip);
    d->n_triangles = s->n_triangles - d->first_triangle;
    s->n_vertices += m->mNumVertices;
    s->notes.n_meshes++;
    s->notes.n_morph_targets += m->mNumAnimMeshes;
    s->n_draws += d->n_triangles > 0;
    return T3D_OK;
}

/* Triangles with a vertex that is not finite go, and the draws close up. */
static void drop_non_finite(struct t3d_scene *s)
{
    uint32_t kept = 0, draws = 0;

    for (uint32_t i = 0; i < s->n_draws; i++) {
        struct t3d_draw d = s->draw[i];
        uint32_t first = kept;

        for (uint32_t k = d.first_triangle; k < d.first_triangle + d.n_triangles; k++) {
            const uint32_t *t = s->triangle[k];
            if (t3di_finite3(s->position[t[0]]) && t3di_finite3(s->position[t[1]]) &&
                t3di_finite3(s->position[t[2]]))
                memmove(s->triangle[kept++], t, sizeof *s->triangle);
            else
                t3di_note_bad(&s->notes, "non-finite");
        }
        d.first_triangle = first;
        d.n_triangles = kept - first;
        if (d.n_triangles)
            s->draw[draws++] = d;
    }
    s->n_triangles = kept;
    s->n_draws = draws;
    for (uint32_t i = 0; i < s->n_vertices; i++)
        if (!t3di_finite3(s->position[i])) {
            memset(s->position[i], 0, sizeof *s->position);
            s->notes.n_non_finite++;
        }
}

int t3di_other_meshes(struct t3di_other *o, struct t3d_err *err)
{
    struct nodes t = {0};
    struct totals n = {0};
    int r = collect(o, &t, err);

    o->s->notes.n_animations = o->ai->mNumAnimations;
    if (r == T3D_OK)
        r = count(o, &t, &n, err);
    if (r == T3D_OK)
        r = make_room(o, &n, err);
    for (uint32_t i = 0; i < t.n && r == T3D_OK; i++)
        for (unsigned k = 0; k < t.node[i].ai->mNumMeshes && r == T3D_OK; k++)
            if (is_usable(o->ai, t.node[i].ai, k))
                r = put_mesh(o, &t, &t.node[i], k, err);
    if (r == T3D_OK)
        drop_non_finite(o->s);
    return r;
}
