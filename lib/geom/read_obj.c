/* SPDX-License-Identifier: Apache-2.0 */
/* Wavefront OBJ ("Advanced Visualizer manual, appendix B1"), polygonal part. Two passes: count,
 * fill.
 *
 * Beyond the book: colours behind v (sRGB, three numbers), index 0 and indices beyond the end skip
 * their face with a note, texture or normal indices are passed over where the file has no vt or vn
 * at all. */
#include "geom/obj_impl.h"

#include <math.h>
#include <string.h>

#include "geom/mesh_impl.h"
#include "geom/read_impl.h"

enum { NONE = -1, MAX_CHAIN = 64, GROUP_FLAGS = 4 };

/* One corner of a face, and one vertex of the result: numbers from 0, or NONE. */
struct corner {
    int32_t v, vt, vn;
};

struct obj {
    struct t3di_obj_read o;
    struct t3di_mtl_set mtl;
    struct t3di_names used; /* names behind usemtl; "" before the first */
    uint64_t n_v, n_vt, n_vn, n_corners, n_triangles, longest; /* pass 1: at most so many */
    uint64_t v, vt, vn;                                        /* pass 2: so many read */
    float (*position)[3], (*uv)[2], (*normal)[3], (*color)[4];
    struct corner *face;   /* (longest,) */
    struct corner *vertex; /* (n_corners,) */
    int32_t *head, *next;  /* vertices with the same v are a chain */
    /* A group becomes a draw: GROUP_FLAGS * material + bit 0 has normals, bit 1 has uv. */
    uint32_t *vertex_group;   /* (n_corners,) */
    uint32_t *triangle_group; /* (n_triangles,) */
    uint32_t (*triangle)[3];
    uint32_t n_vertices, n_done, material;
    int sees_all, looks_ahead; /* all numbers are read; a face named one that was not */
};

/* --- lines ---------------------------------------------------------------------------------------
 */

void t3di_lines_begin(struct t3di_lines *l, struct t3d_arena *a, const void *data, size_t size)
{
    const char *p = data;

    if (size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) { /* byte order mark */
        p += 3;
        size -= 3;
    }
    l->rest = (struct t3di_text){p, p + size};
    l->arena = a;
    l->separator = !memchr(p, '\n', size) && memchr(p, '\r', size) ? '\r' : '\n';
}

static const char *line_end(const struct t3di_lines *l, const char *p)
{
    const char *e = p < l->rest.end ? memchr(p, l->separator, (size_t)(l->rest.end - p)) : NULL;

    return e ? e : l->rest.end;
}

/* Does the text before e end in a backslash? */
static int continues(const char *p, const char *e)
{
    while (e > p && e[-1] == '\r')
        e--;
    return e > p && e[-1] == '\\';
}

static int join_lines(struct t3di_lines *l, const char *end, struct t3di_text *line,
                      struct t3d_err *err)
{
    size_t n;
    char *copy;

    while (end < l->rest.end && continues(l->rest.p, end))
        end = line_end(l, end + 1);
    n = (size_t)(end - l->rest.p);
    copy = t3d_strndup(l->arena, l->rest.p, n);
    if (!copy)
        return t3d_err_nomem(err, "a continued line");
    for (size_t i = 0; i < n; i++)
        if (copy[i] == l->separator || (copy[i] == '\\' && continues(copy + i, copy + i + 1) &&
                                        (i + 1 == n || copy[i + 1] == '\r' || copy[i + 1] == '\n')))
            copy[i] = ' ';
    *line = (struct t3di_text){copy, copy + n};
    l->rest.p = end;
    return T3D_OK;
}

int t3di_lines_next(struct t3di_lines *l, struct t3di_text *line, struct t3d_err *err)
{
    const char *end;

    if (l->rest.p == l->rest.end)
        return T3D_END;
    end = line_end(l, l->rest.p);
    *line = (struct t3di_text){l->rest.p, end};
    if (end > line->p && (end[-1] == '\\' || end[-1] == '\r') && *line->p != '#' &&
        continues(line->p, end)) {
        int r = join_lines(l, end, line, err);
        if (r < 0)
            return r;
        end = l->rest.p;
    }
    l->rest.p = end + (end < l->rest.end);
    t3di_skip_blanks(line);
    return T3D_OK;
}

/* --- pass 1
 * ---------------------------------------------------------------------------------------- */

static int is_statement(const struct t3di_text *line, const char *word, size_t n)
{
    return (size_t)(line->end - line->p) > n && memcmp(line->p, word, n) == 0 &&
           t3di_is_blank(line->p[n]);
}

static uint64_t count_words(const char *p, const char *end)
{
    uint64_t n = 0;
    int inside = 0;

    for (; p < end; p++) {
        int word = (unsigned char)*p > ' ';
        n += word && !inside;
        inside = word;
    }
    return n;
}

/* The first comment that says something names the exporter, more often than not. */
static void note_generator(struct t3d_scene_notes *notes, const struct t3di_text *line)
{
    char text[sizeof notes->generator] = "";
    size_t n = 0;

    for (const char *p = line->p; p < line->end && n < sizeof text - 1; p++)
        if (n || (*p | 32) >= 'a')
            text[n++] = *p;
    t3di_copy_printable(notes->generator, sizeof notes->generator, text);
}

static int count_line(struct obj *o, const struct t3di_text *line, struct t3d_err *err)
{
    struct t3d_scene_notes *notes = &o->o.scene->notes;
    struct t3di_text rest;

    if (line->end - line->p < 2)
        return T3D_OK;
    if (is_statement(line, "v", 1)) {
        o->n_v++;
    } else if (is_statement(line, "vt", 2)) {
        o->n_vt++;
    } else if (is_statement(line, "vn", 2)) {
        o->n_vn++;
    } else if (is_statement(line, "f", 1)) {
        uint64_t n = count_words(line->p + 1, line->end);
        o->n_corners += n;
        o->n_triangles += n > 2 ? n - 2 : 0;
        o->longest = T3D_MAX(o->longest, n);
    } else if (is_statement(line, "mtllib", 6)) {
        rest = (struct t3di_text){line->p + 6, line->end};
        return t3di_mtl_library(&o->mtl, &o->o, &rest, err);
    } else if (is_statement(line, "l", 1)) {
        notes->n_lines++;
    } else if (is_statement(line, "p", 1)) {
        notes->n_points++;
    } else if (is_statement(line, "o", 1)) {
        notes->n_nodes++;
    } else if (is_statement(line, "surf", 4)) {
        t3di_note_bad(notes, "free-form-surface");
    } else if (*line->p == '#' && !notes->generator[0]) {
        note_generator(notes, line);
    }
    return T3D_OK;
}

static int count(struct obj *o, struct t3d_err *err)
{
    struct t3di_lines l;
    struct t3di_text line;
    int r;

    t3di_lines_begin(&l, o->o.arena, o->o.src->data, o->o.src->size);
    while ((r = t3di_lines_next(&l, &line, err)) == T3D_OK)
        if ((r = count_line(o, &line, err)) < 0)
            return r;
    if (r < 0)
        return r;
    /* Texture coordinates and normals have indices of their own, so their limit is that of
     * vertices. */
    return t3di_check_counts(T3D_MAX(o->n_v, T3D_MAX(o->n_vt, o->n_vn)), o->n_triangles, err);
}

/* --- pass 2: numbers
 * ------------------------------------------------------------------------------- */

/* Up to n numbers; gives how many there were. */
static int read_floats(struct t3di_text *t, float *out, int n)
{
    int k = 0;

    for (; k < n; k++) {
        t3di_skip_blanks(t);
        if (t->p == t->end || !t3di_read_float(t, &out[k]) ||
            (t->p < t->end && !t3di_is_space(*t->p)))
            break;
    }
    return k;
}

static int read_position(struct obj *o, struct t3di_text *t, struct t3d_err *err)
{
    float x[7];
    int n = read_floats(t, x, 7);

    for (int k = 0; k < 3; k++)
        o->position[o->v][k] = n >= 3 ? x[k] : NAN;
    if (n >= 6 && !o->color) {
        o->color = t3d_alloc_raw(o->o.arena, o->n_v, sizeof *o->color);
        if (!o->color)
            return t3d_err_nomem(err, "the colours of the vertices");
        for (uint64_t i = 0; i < o->n_v; i++)
            o->color[i][0] = o->color[i][1] = o->color[i][2] = o->color[i][3] = NAN;
    }
    if (n >= 6)
        memcpy(o->color[o->v], &x[n - 3], 3 * sizeof *x); /* seven: w lies between */
    o->v++;
    return T3D_OK;
}

static void read_uv(struct obj *o, struct t3di_text *t)
{
    float x[2] = {0, 0};

    read_floats(t, x, 2);
    for (int k = 0; k < 2; k++)
        o->uv[o->vt][k] = isfinite(x[k]) ? x[k] : 0;
    o->vt++;
}

/* One that has no direction stays zero, and makes its faces flat. */
static void read_normal(struct obj *o, struct t3di_text *t)
{
    float *n = o->normal[o->vn++];

    if (read_floats(t, n, 3) < 3 || !t3di_normalise(n))
        memset(n, 0, 3 * sizeof *n);
}

/* --- pass 2: faces
 * --------------------------------------------------------------------------------- */

/* An index of the file to a number from 0: NONE where there is nothing to refer to, -2 where it is
 * wrong. */
static int32_t resolve(struct obj *o, int64_t index, uint64_t read, uint64_t total)
{
    int64_t i = index > 0 ? index - 1 : (int64_t)read + index;

    if (index == 0 || i < 0 || i >= (int64_t)total)
        return -2;
    if (i >= (int64_t)read && !o->sees_all) {
        o->looks_ahead = 1;
        return -2;
    }
    return (int32_t)i;
}

/* "1", "1/2", "1//3", "1/2/3", "1/": T3D_OK, or T3D_SKIP for something else. */
static int read_corner(struct obj *o, struct t3di_text *t, struct corner *c)
{
    int64_t i;

    c->vt = c->vn = NONE;
    if (!t3di_read_int(t, &i))
        return T3D_SKIP;
    c->v = resolve(o, i, o->v, o->n_v);
    if (t->p < t->end && *t->p == '/') {
        t->p++;
        if (t3di_read_int(t, &i) && o->n_vt)
            c->vt = resolve(o, i, o->vt, o->n_vt);
    }
    if (t->p < t->end && *t->p == '/') {
        t->p++;
        if (t3di_read_int(t, &i) && o->n_vn)
            c->vn = resolve(o, i, o->vn, o->n_vn);
    }
    return t->p == t->end || t3di_is_space(*t->p) ? T3D_OK : T3D_SKIP;
}

/* The result's vertex for a corner. Very long chains (one position with very many uv) are left
 * unsearched, so that no file makes this quadratic; its vertices are then stored more than once. */
static uint32_t find_vertex(struct obj *o, const struct corner *c, uint32_t group)
{
    int32_t i = o->head[c->v];

    for (int steps = 0; i >= 0 && steps < MAX_CHAIN; steps++, i = o->next[i])
        if (o->vertex[i].vt == c->vt && o->vertex[i].vn == c->vn && o->vertex_group[i] == group)
            return (uint32_t)i;
    i = (int32_t)o->n_vertices++;
    o->vertex[i] = *c;
    o->vertex_group[i] = group;
    o->next[i] = o->head[c->v];
    o->head[c->v] = i;
    return (uint32_t)i;
}

/* What is wrong with the face, or NULL. Attributes that a corner lacks are taken from all. */
static const char *judge_face(struct obj *o, uint64_t n, uint32_t *flags)
{
    struct t3d_scene_notes *notes = &o->o.scene->notes;
    uint32_t bad = 0, has_normal = 1, has_uv = 1;

    for (uint64_t i = 0; i < n; i++) {
        const struct corner *c = &o->face[i];
        bad += (c->v < 0) + (c->vt < NONE) + (c->vn < NONE);
        has_uv &= c->vt >= 0;
        has_normal &= c->vn >= 0 && (o->normal[c->vn][0] != 0 || o->normal[c->vn][1] != 0 ||
                                     o->normal[c->vn][2] != 0);
    }
    notes->n_bad_indices += bad;
    if (bad)
        return "index-out-of-range";
    for (uint64_t i = 0; i < n; i++) {
        if (!t3di_finite3(o->position[o->face[i].v]))
            return "non-finite";
        o->face[i].vt = has_uv ? o->face[i].vt : NONE;
        o->face[i].vn = has_normal ? o->face[i].vn : NONE;
    }
    *flags = has_normal | has_uv << 1;
    return NULL;
}

static void read_face(struct obj *o, struct t3di_text *t)
{
    struct t3d_scene_notes *notes = &o->o.scene->notes;
    const char *reason;
    uint32_t flags, group, first, last, next;
    uint64_t n = 0;

    for (t3di_skip_blanks(t); t->p < t->end && *t->p != '#'; t3di_skip_blanks(t))
        if (read_corner(o, t, &o->face[n++]) < 0) {
            t3di_note_bad(notes, "bad-number");
            return;
        }
    if (n < 3) {
        notes->n_points += n < 2;
        notes->n_lines += n == 2;
        return;
    }
    if ((reason = judge_face(o, n, &flags))) {
        t3di_note_bad(notes, reason);
        return;
    }
    group = GROUP_FLAGS * o->material + flags;
    first = find_vertex(o, &o->face[0], group);
    last = find_vertex(o, &o->face[1], group);
    for (uint64_t i = 2; i < n; i++, last = next) {
        next = find_vertex(o, &o->face[i], group);
        o->triangle_group[o->n_done] = group;
        o->triangle[o->n_done][0] = first;
        o->triangle[o->n_done][1] = last;
        o->triangle[o->n_done++][2] = next;
    }
}

static int use_material(struct obj *o, const struct t3di_text *text, struct t3d_err *err)
{
    struct t3di_text name = t3di_trim(text);
    int64_t i = t3di_names_add(&o->used, name.p, (size_t)(name.end - name.p));

    if (i < 0)
        return t3d_err_nomem(err, "the names of materials");
    o->material = (uint32_t)i;
    return T3D_OK;
}

static int fill_line(struct obj *o, struct t3di_text *line, struct t3d_err *err)
{
    if (line->end - line->p < 2)
        return T3D_OK;
    if (is_statement(line, "v", 1)) {
        line->p++;
        return read_position(o, line, err);
    } else if (is_statement(line, "vt", 2)) {
        line->p += 2;
        read_uv(o, line);
    } else if (is_statement(line, "vn", 2)) {
        line->p += 2;
        read_normal(o, line);
    } else if (is_statement(line, "f", 1)) {
        line->p++;
        read_face(o, line);
    } else if (is_statement(line, "usemtl", 6)) {
        line->p += 6;
        return use_material(o, line, err);
    }
    return T3D_OK;
}

static int alloc_fill(struct obj *o, struct t3d_err *err)
{
    struct t3d_arena *a = o->o.arena;

    o->position = t3d_alloc_raw(a, o->n_v, sizeof *o->position);
    o->uv = t3d_alloc_raw(a, o->n_vt, sizeof *o->uv);
    o->normal = t3d_alloc_raw(a, o->n_vn, sizeof *o->normal);
    o->face = t3d_alloc_raw(a, o->longest, sizeof *o->face);
    o->vertex = t3d_alloc_raw(a, o->n_corners, sizeof *o->vertex);
    o->head = t3d_alloc_raw(a, o->n_v, sizeof *o->head);
    o->next = t3d_alloc_raw(a, o->n_corners, sizeof *o->next);
    o->triangle = t3d_alloc_raw(a, o->n_triangles, sizeof *o->triangle);
    o->vertex_group = t3d_alloc_raw(a, o->n_corners, sizeof *o->vertex_group);
    o->triangle_group = t3d_alloc_raw(a, o->n_triangles, sizeof *o->triangle_group);
    if (!o->position || !o->uv || !o->normal || !o->face || !o->vertex || !o->head || !o->next ||
        !o->triangle || !o->vertex_group || !o->triangle_group)
        return t3di_no_room(a, err, "the vertices and faces");
    memset(o->head, -1, o->n_v * sizeof *o->head);
    return T3D_OK;
}

static int sweep(struct obj *o, struct t3d_err *err)
{
    struct t3di_lines l;
    struct t3di_text line;
    int r;

    t3di_lines_begin(&l, o->o.arena, o->o.src->data, o->o.src->size);
    while ((r = t3di_lines_next(&l, &line, err)) == T3D_OK)
        if ((r = fill_line(o, &line, err)) < 0)
            return r;
    return r < 0 ? r : T3D_OK;
}

static int fill(struct obj *o, struct t3d_err *err)
{
    struct t3d_scene_notes notes = o->o.scene->notes;
    int r = alloc_fill(o, err);

    if (r < 0 || t3di_names_add(&o->used, "", 0) < 0)
        return r < 0 ? r : t3d_err_nomem(err, "the names of materials");
    r = sweep(o, err);
    if (r == T3D_OK && o->looks_ahead) {
        /* Rare: faces stand before their vertices. Now that all are read, once more. */
        o->sees_all = 1;
        o->v = o->vt = o->vn = 0;
        o->n_vertices = o->n_done = o->material = 0;
        o->o.scene->notes = notes;
        memset(o->head, -1, o->n_v * sizeof *o->head);
        r = sweep(o, err);
    }
    for (uint64_t i = 0; i < o->v; i++)
        o->o.scene->notes.n_non_finite += !t3di_finite3(o->position[i]);
    return r < 0 ? r : t3di_check_counts(o->n_vertices, o->n_done, err);
}

/* --- result
 * ---------------------------------------------------------------------------------------- */

/* Places of n items sorted by group, keeping their order: place[i] of item i, and end[g] of group
 * g. */
static uint32_t *sort_by_group(struct obj *o, const uint32_t *group, uint32_t n, uint32_t *end)
{
    uint32_t *place = t3d_alloc_raw(o->o.arena, n, sizeof *place), sum = 0;

    if (!place)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        end[group[i]]++;
    for (uint32_t g = 0; g < GROUP_FLAGS * o->used.n; g++) {
        uint32_t count_of_group = end[g];
        end[g] = sum;
        sum += count_of_group;
    }
    for (uint32_t i = 0; i < n; i++)
        place[i] = end[group[i]]++;
    return place;
}

static int emit_vertices(struct obj *o, const uint32_t *place, struct t3d_err *err)
{
    struct t3d_scene *s = o->o.scene;
    struct t3d_arena *a = o->o.arena;
    uint32_t n = o->n_vertices;

    s->n_vertices = n;
    s->position = t3d_alloc_raw(a, n, sizeof *s->position);
    s->normal = o->n_vn ? t3d_alloc(a, n, sizeof *s->normal) : NULL;
    s->uv[0] = o->n_vt ? t3d_alloc(a, n, sizeof *s->uv[0]) : NULL;
    s->color = o->color ? t3d_alloc_raw(a, n, sizeof *s->color) : NULL;
    if (!s->position || (o->n_vn && !s->normal) || (o->n_vt && !s->uv[0]) ||
        (o->color && !s->color))
        return t3di_no_room(a, err, "the vertices");
    if (o->color)
        t3di_colors_to_linear(o->color, o->n_v, 0);
    for (uint32_t i = 0; i < n; i++) {
        const struct corner *c = &o->vertex[i];
        uint32_t k = place[i];
        memcpy(s->position[k], o->position[c->v], sizeof *s->position);
        if (c->vn >= 0)
            memcpy(s->normal[k], o->normal[c->vn], sizeof *s->normal);
        if (c->vt >= 0) {
            s->uv[0][k][0] = o->uv[c->vt][0];
            s->uv[0][k][1] = 1 - o->uv[c->vt][1]; /* glTF's v grows downwards */
        }
        if (o->color)
            memcpy(s->color[k], o->color[c->v], sizeof *s->color);
    }
    return T3D_OK;
}

static int emit_triangles(struct obj *o, const uint32_t *place, const uint32_t *vertex_place,
                          struct t3d_err *err)
{
    struct t3d_scene *s = o->o.scene;

    s->triangle = t3d_alloc_raw(o->o.arena, o->n_done, sizeof *s->triangle);
    if (!s->triangle)
        return t3di_no_room(o->o.arena, err, "the triangles");
    s->n_triangles = o->n_done;
    for (uint32_t i = 0; i < o->n_done; i++)
        for (int k = 0; k < 3; k++)
            s->triangle[place[i]][k] = vertex_place[o->triangle[i][k]];
    return T3D_OK;
}

/* One draw for each group that has triangles; materials are renumbered to those used. */
static int emit_draws(struct obj *o, const uint32_t *triangle_end, const uint32_t *vertex_end,
                      struct t3d_err *err)
{
    struct t3d_scene *s = o->o.scene;
    uint32_t n_groups = GROUP_FLAGS * o->used.n, triangle = 0, vertex = 0, n_names = 0,
             last = UINT32_MAX;
    char **name = t3d_alloc(o->o.arena, o->used.n, sizeof *name);

    for (uint32_t g = 0; g < n_groups; g++)
        s->n_draws += triangle_end[g] > (g ? triangle_end[g - 1] : 0);
    s->draw = t3d_alloc(o->o.arena, s->n_draws, sizeof *s->draw);
    if (!name || !s->draw)
        return t3d_err_nomem(err, "the draws");
    for (uint32_t g = 0, i = 0; g < n_groups; g++) {
        struct t3d_draw *d = &s->draw[i];
        if (triangle_end[g] == triangle)
            continue;
        if (g / GROUP_FLAGS != last)
            name[n_names++] = o->used.name[last = g / GROUP_FLAGS];
        *d = (struct t3d_draw){
            triangle, triangle_end[g] - triangle, vertex, vertex_end[g] - vertex, n_names - 1, 0};
        d->flags = (g & 1 ? T3D_HAS_NORMAL : 0u) | (g & 2 ? T3D_HAS_UV0 : 0u) |
                   (o->color ? T3D_HAS_COLOR : 0u);
        triangle = triangle_end[g];
        vertex = vertex_end[g];
        i++;
    }
    return t3di_mtl_scene(&o->mtl, &o->o, name, n_names, err);
}

static int emit(struct obj *o, struct t3d_err *err)
{
    uint32_t *end[2], *place[2];
    int r;

    for (int i = 0; i < 2; i++) {
        end[i] = t3d_alloc(o->o.arena, GROUP_FLAGS * (size_t)o->used.n, sizeof **end);
        place[i] = !end[i] ? NULL
                   : i     ? sort_by_group(o, o->triangle_group, o->n_done, end[i])
                           : sort_by_group(o, o->vertex_group, o->n_vertices, end[i]);
        if (!place[i])
            return t3di_no_room(o->o.arena, err, "the order of the faces");
    }
    if ((r = emit_vertices(o, place[0], err)) < 0)
        return r;
    if ((r = emit_triangles(o, place[1], place[0], err)) < 0)
        return r;
    return emit_draws(o, end[1], end[0], err);
}

int t3d_read_obj(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                 unsigned flags, struct t3d_err *err)
{
    struct obj o = {.o = {s, a, src, flags}, .used = {.a = a}, .mtl = {.names = {.a = a}}};
    int r;

    memset(s, 0, sizeof *s);
    memcpy(s->notes.format, "obj", 4);
    if ((r = count(&o, err)) < 0)
        return r;
    if (flags & T3D_READ_NAMES)
        return t3di_mtl_ask(&o.mtl, &o.o, err);
    if ((r = fill(&o, err)) < 0)
        return r;
    s->notes.n_nodes += s->notes.n_nodes == 0;
    s->notes.n_meshes = s->notes.n_nodes;
    return emit(&o, err);
}
