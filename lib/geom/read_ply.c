/* SPDX-License-Identifier: Apache-2.0 */
/* PLY: vertices with normals, colours (sRGB) and texture coordinates, faces, triangle strips.
 * Elements and properties of other names are passed over; a file without faces is a point cloud.
 * MeshLab's "comment TextureFile" and its coordinates for each corner ("list uchar float texcoord")
 * are understood. Vertices with what 3D Gaussian Splatting writes (f_dc, opacity, scale, rot), in a
 * file without faces, are Gaussians. */
#include "geom/ply_impl.h"

#include <math.h>
#include <string.h>

#include "geom/mesh_impl.h"
#include "geom/read_impl.h"
#include "geom/splat_impl.h"

struct ply {
    struct t3di_ply file;
    struct t3d_scene *s;
    struct t3d_arena *a;
    float (*corner_uv)[3][2]; /* of each triangle, or NULL */
    uint32_t flags;
};

static int truncated(struct t3d_err *err, const char *what, uint64_t row)
{
    return t3d_err_value(err, T3D_SKIP, "truncated", (double)row,
                         "%s %llu of the PLY file is cut off or has a word that is no number", what,
                         (unsigned long long)row);
}

/* --- vertices
 * ---------------------------------------------------------------------------------------- */

static int has_roles(const struct t3di_ply *f, const struct t3di_ply_element *e, int first,
                     int last)
{
    int all = 1;

    for (int role = first; role <= last; role++) {
        int found = 0;
        for (uint32_t i = e->first; i < e->first + e->n; i++)
            found |= f->property[i].role == role;
        all &= found;
    }
    return all;
}

/* The value of colours that means all: by type for integers, 0 = to be guessed. */
static float full_colour(const struct t3di_ply *f, const struct t3di_ply_element *e)
{
    for (uint32_t i = e->first; i < e->first + e->n; i++)
        if (f->property[i].role == T3DI_PLY_R)
            return f->property[i].type == T3DI_U8    ? 255.f
                   : f->property[i].type == T3DI_U16 ? 65535.f
                                                     : 0.f;
    return 0;
}

static int alloc_vertices(struct ply *p, const struct t3di_ply_element *e, struct t3d_err *err)
{
    struct t3d_scene *s = p->s;
    size_t n = e->count;

    if (!has_roles(&p->file, e, T3DI_PLY_X, T3DI_PLY_Z))
        return t3d_err_set(err, T3D_SKIP, "bad-header",
                           "the vertices of the PLY file lack x, y or z");
    p->flags = (has_roles(&p->file, e, T3DI_PLY_NX, T3DI_PLY_NZ) ? T3D_HAS_NORMAL : 0u) |
               (has_roles(&p->file, e, T3DI_PLY_R, T3DI_PLY_B) ? T3D_HAS_COLOR : 0u) |
               (has_roles(&p->file, e, T3DI_PLY_U, T3DI_PLY_V) ? T3D_HAS_UV0 : 0u);
    s->position = t3d_alloc_raw(p->a, n, sizeof *s->position);
    s->normal = p->flags & T3D_HAS_NORMAL ? t3d_alloc_raw(p->a, n, sizeof *s->normal) : NULL;
    s->color = p->flags & T3D_HAS_COLOR ? t3d_alloc_raw(p->a, n, sizeof *s->color) : NULL;
    s->uv[0] = p->flags & T3D_HAS_UV0 ? t3d_alloc_raw(p->a, n, sizeof *s->uv[0]) : NULL;
    if (!s->position || (p->flags & T3D_HAS_NORMAL && !s->normal) ||
        (p->flags & T3D_HAS_COLOR && !s->color) || (p->flags & T3D_HAS_UV0 && !s->uv[0]))
        return t3di_no_room(p->a, err, "the vertices");
    s->n_vertices = (uint32_t)n;
    return T3D_OK;
}

/* The values of a row by their roles; 0 where the file ends or has a word that is no number. */
static int read_values(struct ply *p, const struct t3di_ply_element *e, float value[T3DI_PLY_ROLES])
{
    for (uint32_t k = e->first; k < e->first + e->n; k++) {
        const struct t3di_ply_property *q = &p->file.property[k];
        if (q->role == T3DI_PLY_OTHER || q->list_type) {
            if (!t3di_ply_skip(&p->file, q))
                return 0;
        } else if (!t3di_ply_float(&p->file, q->type, &value[q->role])) {
            return 0;
        }
    }
    t3di_ply_end_row(&p->file);
    return 1;
}

static int read_vertex(struct ply *p, const struct t3di_ply_element *e, uint64_t i, float full)
{
    struct t3d_scene *s = p->s;
    float value[T3DI_PLY_ROLES];

    value[T3DI_PLY_A] = full > 0 ? full : NAN; /* NaN: white, as t3di_colors_to_linear says */
    if (!read_values(p, e, value))
        return 0;
    memcpy(s->position[i], &value[T3DI_PLY_X], sizeof *s->position);
    if (s->normal)
        memcpy(s->normal[i], &value[T3DI_PLY_NX], sizeof *s->normal);
    if (s->color)
        memcpy(s->color[i], &value[T3DI_PLY_R], sizeof *s->color);
    if (s->uv[0]) {
        s->uv[0][i][0] = isfinite(value[T3DI_PLY_U]) ? value[T3DI_PLY_U] : 0;
        s->uv[0][i][1] = isfinite(value[T3DI_PLY_V]) ? 1 - value[T3DI_PLY_V] : 0;
    }
    return 1;
}

/* Normals are kept when all have a direction; writers fill the columns with zeros too. */
static void settle_normals(struct ply *p)
{
    for (uint32_t i = 0; p->s->normal && i < p->s->n_vertices; i++)
        if (!t3di_normalise(p->s->normal[i])) {
            p->s->normal = NULL;
            p->flags &= ~(uint32_t)T3D_HAS_NORMAL;
        }
}

/* --- Gaussians --- */

static int are_gaussians(const struct ply *p, const struct t3di_ply_element *e)
{
    for (uint32_t i = 0; i < p->file.n_elements; i++)
        if (p->file.element[i].kind > T3DI_PLY_VERTEX && p->file.element[i].count)
            return 0;
    return has_roles(&p->file, e, T3DI_PLY_X, T3DI_PLY_Z) &&
           has_roles(&p->file, e, T3DI_PLY_DC0, T3DI_PLY_ROT3);
}

/* Rows of the file become Gaussians of the scene, which then has no vertices. */
static int read_gaussians(struct ply *p, const struct t3di_ply_element *e, struct t3d_err *err)
{
    struct t3d_scene *s = p->s;
    int r = t3di_alloc_gaussians(s, p->a, e->count, err);

    s->n_vertices = 0;
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < e->count; i++) {
        struct t3di_gaussian g;
        float value[T3DI_PLY_ROLES];
        if (!read_values(p, e, value))
            return truncated(err, "vertex", i);
        memcpy(g.xyz, &value[T3DI_PLY_X], sizeof g.xyz);
        memcpy(g.log_scale, &value[T3DI_PLY_SCALE0], sizeof g.log_scale);
        memcpy(g.quaternion, &value[T3DI_PLY_ROT0], sizeof g.quaternion);
        g.opacity = value[T3DI_PLY_OPACITY];
        for (int k = 0; k < 3; k++)
            g.rgb[k] = .5f + T3DI_SH0 * value[T3DI_PLY_DC0 + k];
        t3di_turn_up(&g);
        t3di_put_gaussian(s, i, &g);
    }
    return T3D_OK;
}

static int read_vertices(struct ply *p, const struct t3di_ply_element *e, struct t3d_err *err)
{
    float full = full_colour(&p->file, e);
    int r = alloc_vertices(p, e, err);

    if (r < 0)
        return r;
    for (uint64_t i = 0; i < e->count; i++)
        if (!read_vertex(p, e, i, full))
            return truncated(err, "vertex", i);
    settle_normals(p);
    if (p->s->color)
        t3di_colors_to_linear(p->s->color, p->s->n_vertices, full);
    return T3D_OK;
}

/* --- faces
 * ------------------------------------------------------------------------------------------- */

/* Corner k of a polygon (or strip) that is being read. */
struct run {
    uint32_t first, last, before;
    uint64_t k, triangle; /* triangle: next free one */
    uint32_t bad;
    int is_strip;
};

static void put_triangle(struct ply *p, struct run *u, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t *t = p->s->triangle[u->triangle++];

    t[0] = a;
    t[1] = b;
    t[2] = c;
}

/* Every triangle has the room that count_triangles found, whether an index is good or bad. */
static void put_corner(struct ply *p, struct run *u, int64_t index)
{
    uint32_t i = (uint32_t)index;

    if (u->is_strip && index == -1) {
        u->k = 0;
        return;
    }
    if (index < 0 || index >= (int64_t)p->s->n_vertices) {
        u->bad++;
        i = 0;
    }
    if (u->k >= 2 && !u->is_strip)
        put_triangle(p, u, u->first, u->last, i);
    else if (u->k >= 2 && u->k % 2)
        put_triangle(p, u, u->last, u->before, i);
    else if (u->k >= 2)
        put_triangle(p, u, u->before, u->last, i);
    u->first = u->k ? u->first : i;
    u->before = u->last;
    u->last = i;
    u->k++;
}

/* The list of indices of one row. */
static int read_indices(struct ply *p, const struct t3di_ply_property *q, struct run *u)
{
    struct t3d_scene_notes *notes = &p->s->notes;
    uint64_t start = u->triangle;
    int64_t n, index;

    if (!t3di_ply_int(&p->file, q->list_type, &n) || n < 0)
        return 0;
    u->k = u->bad = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!t3di_ply_int(&p->file, q->type, &index))
            return 0;
        put_corner(p, u, index);
    }
    notes->n_lines += !u->is_strip && n == 2;
    notes->n_points += !u->is_strip && n == 1;
    if (u->bad) {
        notes->n_bad_indices += u->bad;
        t3di_note_bad(notes, "index-out-of-range");
        u->triangle = start;
    }
    return 1;
}

/* The texture coordinates of one face, for the triangles [from, to) of its fan. */
static int read_texcoord(struct ply *p, const struct t3di_ply_property *q, uint64_t from,
                         uint64_t to)
{
    float uv[2], first[2] = {0, 0}, last[2] = {0, 0};
    int64_t n;

    if (!t3di_ply_int(&p->file, q->list_type, &n) || n < 0)
        return 0;
    for (int64_t k = 0; k < n; k++) {
        float *value = &uv[k % 2];
        if (!t3di_ply_float(&p->file, q->type, value))
            return 0;
        *value = !isfinite(*value) ? 0 : k % 2 ? 1 - *value : *value;
        if (k % 2 == 0)
            continue;
        if (k >= 5 && from < to) {
            memcpy(p->corner_uv[from][0], first, sizeof uv);
            memcpy(p->corner_uv[from][1], last, sizeof uv);
            memcpy(p->corner_uv[from++][2], uv, sizeof uv);
        }
        if (k == 1)
            memcpy(first, uv, sizeof uv);
        memcpy(last, uv, sizeof uv);
    }
    return 1;
}

/* Triangles of the element at most, without moving. */
static int count_triangles(const struct ply *p, const struct t3di_ply_element *e, uint64_t *n)
{
    struct t3di_ply look = p->file;

    for (uint64_t i = 0; i < e->count; i++, t3di_ply_end_row(&look))
        for (uint32_t k = e->first; k < e->first + e->n; k++) {
            const struct t3di_ply_property *q = &look.property[k];
            struct t3di_text before = look.body;
            int64_t corners = 0;
            if (q->role == T3DI_PLY_INDICES && t3di_ply_int(&look, q->list_type, &corners))
                *n += corners > 2 ? (uint64_t)corners - 2 : 0;
            look.body = before;
            if (!t3di_ply_skip(&look, q))
                return 0;
        }
    return 1;
}

/* Faces and strips may both occur: the second finds the triangles of the first. */
static int alloc_triangles(struct ply *p, const struct t3di_ply_element *e, struct t3d_err *err)
{
    uint64_t n = p->s->n_triangles;
    uint32_t(*old)[3] = p->s->triangle;
    int r;

    if (!count_triangles(p, e, &n))
        return t3d_err_set(
            err, T3D_SKIP, "truncated",
            "the faces of the PLY file are cut off or have a word that is no number");
    if ((r = t3di_check_counts(0, n, err)) < 0)
        return r;
    p->s->triangle = t3d_alloc_raw(p->a, n, sizeof *p->s->triangle);
    if (!p->s->triangle)
        return t3di_no_room(p->a, err, "the triangles");
    if (old && p->s->n_triangles)
        memcpy(p->s->triangle, old, p->s->n_triangles * sizeof *old);
    p->corner_uv = NULL;
    if (!old && e->kind == T3DI_PLY_FACE &&
        has_roles(&p->file, e, T3DI_PLY_TEXCOORD, T3DI_PLY_TEXCOORD)) {
        p->corner_uv = t3d_alloc(p->a, n, sizeof *p->corner_uv);
        if (!p->corner_uv)
            return t3di_no_room(p->a, err, "the texture coordinates");
    }
    return T3D_OK;
}

static int read_faces(struct ply *p, const struct t3di_ply_element *e, struct t3d_err *err)
{
    struct run u = {.triangle = p->s->n_triangles, .is_strip = e->kind == T3DI_PLY_STRIPS};
    int r = alloc_triangles(p, e, err);

    if (r < 0)
        return r;
    for (uint64_t i = 0; i < e->count; i++) {
        uint64_t from = u.triangle;
        for (uint32_t k = e->first; k < e->first + e->n; k++) {
            const struct t3di_ply_property *q = &p->file.property[k];
            int ok = q->role == T3DI_PLY_INDICES ? read_indices(p, q, &u)
                     : q->role == T3DI_PLY_TEXCOORD && p->corner_uv
                         ? read_texcoord(p, q, from, u.triangle)
                         : t3di_ply_skip(&p->file, q);
            if (!ok)
                return truncated(err, "face", i);
        }
        t3di_ply_end_row(&p->file);
    }
    p->s->n_triangles = (uint32_t)u.triangle;
    return T3D_OK;
}

/* --- the whole
 * --------------------------------------------------------------------------------------- */

static int read_rows(struct ply *p, const struct t3di_ply_element *e, struct t3d_err *err)
{
    uint64_t left =
        (uint64_t)(p->file.body.end - p->file.body.p) + (p->file.format == T3DI_PLY_ASCII);
    uint64_t least = t3di_ply_least_bytes(&p->file, e);

    if (least > left)
        return t3d_err_value(
            err, T3D_SKIP, "truncated", (double)e->count,
            "the PLY file says %llu rows of an element, but only %llu bytes follow",
            (unsigned long long)e->count, (unsigned long long)left);
    if (e->kind == T3DI_PLY_VERTEX)
        return are_gaussians(p, e) ? read_gaussians(p, e, err) : read_vertices(p, e, err);
    if (!e->n)
        return T3D_OK;
    if (e->kind != T3DI_PLY_UNKNOWN)
        return read_faces(p, e, err);
    for (uint64_t i = 0; i < e->count; i++, t3di_ply_end_row(&p->file))
        for (uint32_t k = e->first; k < e->first + e->n; k++)
            if (!t3di_ply_skip(&p->file, &p->file.property[k]))
                return truncated(err, "row", i);
    return T3D_OK;
}

/* Texture coordinates of corners: split the vertices so that each has one pair. */
static int split_vertices(struct ply *p, struct t3d_err *err)
{
    struct t3d_scene *s = p->s, old = *s;
    size_t n = 3 * (size_t)s->n_triangles;
    int r = t3di_check_counts(n, 0, err);

    if (r < 0)
        return r;
    s->position = t3d_alloc_raw(p->a, n, sizeof *s->position);
    s->normal = old.normal ? t3d_alloc_raw(p->a, n, sizeof *s->normal) : NULL;
    s->color = old.color ? t3d_alloc_raw(p->a, n, sizeof *s->color) : NULL;
    if (!s->position || (old.normal && !s->normal) || (old.color && !s->color))
        return t3di_no_room(p->a, err, "the vertices");
    s->n_vertices = (uint32_t)n;
    s->uv[0] = (float(*)[2])p->corner_uv;
    p->flags |= T3D_HAS_UV0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = old.triangle[i / 3][i % 3];
        memcpy(s->position[i], old.position[from], sizeof *s->position);
        if (s->normal)
            memcpy(s->normal[i], old.normal[from], sizeof *s->normal);
        if (s->color)
            memcpy(s->color[i], old.color[from], sizeof *s->color);
        s->triangle[i / 3][i % 3] = i;
    }
    return T3D_OK;
}

static int read_texture(struct ply *p, const struct t3d_source *src, unsigned flags,
                        struct t3d_material *m, struct t3d_err *err)
{
    const struct t3di_text *name = &p->file.texture;
    struct t3d_picture picture = {.state = T3D_PICTURE_MISSING};
    struct t3d_blob b;
    int r;

    if (name->p == name->end || !(p->flags & T3D_HAS_UV0))
        return T3D_OK;
    p->s->image = t3d_alloc(p->a, 1, sizeof *p->s->image);
    if (!p->s->image)
        return t3d_err_nomem(err, "the picture");
    r = t3di_open_beside(src, p->a, name->p, (size_t)(name->end - name->p), &b, err);
    if (r == T3D_OK)
        r = t3di_read_picture(&picture, p->a, b.data, b.size, flags, err);
    if (r < 0)
        return r;
    p->s->image[0] = picture;
    p->s->n_images = 1;
    m->texture[T3D_TEX_BASE].image = 0;
    return T3D_OK;
}

int t3d_read_ply(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                 unsigned flags, struct t3d_err *err)
{
    struct ply *p = t3d_alloc(a, 1, sizeof *p); /* large for a stack */
    struct t3d_material m = t3di_plain_material();
    uint64_t n_vertices = 0;
    int r;

    memset(s, 0, sizeof *s);
    memcpy(s->notes.format, "ply", 4);
    if (!p)
        return t3d_err_nomem(err, "the PLY header");
    p->s = s;
    p->a = a;
    if ((r = t3di_ply_header(&p->file, src, &s->notes, err)) < 0)
        return r;
    if (flags & T3D_READ_NAMES) {
        const struct t3di_text *name = &p->file.texture;
        struct t3d_blob b;
        r = name->p == name->end
                ? T3D_OK
                : t3di_open_beside(src, a, name->p, (size_t)(name->end - name->p), &b, err);
        return r < 0 ? r : T3D_OK;
    }
    for (uint32_t i = 0; i < p->file.n_elements; i++)
        if (p->file.element[i].kind == T3DI_PLY_VERTEX)
            n_vertices = p->file.element[i].count;
    if ((r = t3di_check_counts(n_vertices, 0, err)) < 0)
        return r;
    s->n_vertices = (uint32_t)n_vertices; /* faces may come first */
    for (uint32_t i = 0; i < p->file.n_elements; i++)
        if ((r = read_rows(p, &p->file.element[i], err)) < 0)
            return r;
    s->notes.n_points += s->n_triangles ? 0 : s->n_vertices + s->n_gaussians;
    s->notes.n_nodes = s->notes.n_meshes = 1;
    if (p->corner_uv && s->n_triangles && (r = split_vertices(p, err)) < 0)
        return r;
    t3di_drop_non_finite(s);
    if ((r = read_texture(p, src, flags, &m, err)) < 0)
        return r;
    return t3di_one_draw(s, a, &m, p->flags, err);
}
