/* SPDX-License-Identifier: Apache-2.0 */
/* OFF, ASCII ("Geomview manual", section 4.2.5: [ST][C][N]OFF), with the quirks of ModelNet40:
 * "OFF490 926 0" on one line, blank and '#' lines anywhere, no count of edges, numbers behind a
 * face. */
#include "geom/read.h"

#include <math.h>
#include <string.h>

#include "geom/mesh_impl.h"
#include "geom/read_impl.h"
#include "geom/text_impl.h"

enum { MAX_EXTRA = 16 };

struct off {
    struct t3d_scene *s;
    struct t3d_arena *a;
    struct t3di_text t;
    int has_uv, has_color, has_normal;
    uint64_t n_vertices, n_faces;
};

/* To the next word, over lines and comments; 0 at the end. */
static int skip(struct t3di_text *t)
{
    for (;;) {
        t3di_skip_spaces(t);
        if (t->p == t->end || *t->p != '#')
            return t->p < t->end;
        while (t->p < t->end && *t->p != '\n' && *t->p != '\r')
            t->p++;
    }
}

/* To the next word of the line; 0 at its end. */
static int skip_in_line(struct t3di_text *t)
{
    t3di_skip_blanks(t);
    return t->p < t->end && *t->p != '\n' && *t->p != '#';
}

static void skip_line(struct t3di_text *t)
{
    const char *e = t->p < t->end ? memchr(t->p, '\n', (size_t)(t->end - t->p)) : NULL;

    t->p = e ? e : t->end;
}

static int at_word_end(const struct t3di_text *t)
{
    return t->p == t->end || t3di_is_space(*t->p) || *t->p == '#';
}

static int is_next(struct t3di_text *t, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n) != 0)
        return 0;
    t->p += n;
    return 1;
}

/* The keyword, which may be missing, stuck to the counts, or followed by BINARY. */
static int read_keyword(struct off *o, struct t3d_err *err)
{
    struct t3di_text word;

    if (!skip(&o->t))
        return t3d_err_set(err, T3D_SKIP, "bad-header", "the OFF file is empty");
    o->has_uv = is_next(&o->t, "ST");
    o->has_color = is_next(&o->t, "C");
    o->has_normal = is_next(&o->t, "N");
    word = o->t;
    if (is_next(&o->t, "4") || is_next(&o->t, "n"))
        if (is_next(&o->t, "OFF") || is_next(&o->t, "nOFF"))
            return t3d_err_set(err, T3D_SKIP, "unsupported-off",
                               "the OFF file is not three-dimensional");
    o->t = word;
    if (!is_next(&o->t, "OFF") && (o->has_uv || o->has_color || o->has_normal))
        return t3d_err_set(err, T3D_SKIP, "bad-header", "the file does not begin with OFF");
    if (skip_in_line(&o->t) && is_next(&o->t, "BINARY"))
        return t3d_err_set(err, T3D_SKIP, "unsupported-off", "binary OFF is not read");
    return T3D_OK;
}

static int read_counts(struct off *o, struct t3d_err *err)
{
    uint64_t left;
    int64_t n[2];

    for (int k = 0; k < 2; k++)
        if (!skip(&o->t) || !t3di_read_int(&o->t, &n[k]) || !at_word_end(&o->t) || n[k] < 0)
            return t3d_err_set(err, T3D_SKIP, "bad-header",
                               "the OFF file has no counts of vertices and faces");
    skip_line(&o->t);
    o->n_vertices = (uint64_t)n[0];
    o->n_faces = (uint64_t)n[1];
    /* Each number takes a byte and a space, but for the last. */
    left = (uint64_t)(o->t.end - o->t.p) + 1;
    if (o->n_vertices > left / 6 || o->n_faces > left / 2)
        return t3d_err_value(
            err, T3D_SKIP, "truncated", (double)o->n_vertices,
            "the OFF file says %llu vertices and %llu faces, but %llu bytes follow",
            (unsigned long long)o->n_vertices, (unsigned long long)o->n_faces,
            (unsigned long long)left - 1);
    return t3di_check_counts(o->n_vertices, 0, err);
}

/* --- vertices
 * ---------------------------------------------------------------------------------------- */

static int bad_vertex(struct t3d_err *err, uint64_t i)
{
    return t3d_err_value(err, T3D_SKIP, "bad-number", (double)i,
                         "vertex %llu of the OFF file is cut off or has a word that is no number",
                         (unsigned long long)i);
}

/* What stands behind the position in its line: normal, colour, texture, as the keyword says. */
static void take_extra(struct off *o, uint64_t i, const float *x, int n)
{
    struct t3d_scene *s = o->s;

    if (o->has_normal && n >= 3) {
        memcpy(s->normal[i], x, 3 * sizeof *x);
        if (!t3di_normalise(s->normal[i]))
            memset(s->normal[i], 0, 3 * sizeof *x);
        x += 3;
        n -= 3;
    }
    if (o->has_uv && n >= 2) {
        n -= 2;
        for (int k = 0; k < 2; k++)
            s->uv[0][i][k] = isfinite(x[n + k]) ? x[n + k] : 0;
        s->uv[0][i][1] = 1 - s->uv[0][i][1];
    }
    if (o->has_color && n >= 3)
        memcpy(s->color[i], x, (size_t)T3D_MIN(n, 4) * sizeof *x);
}

static int read_vertices(struct off *o, struct t3d_err *err)
{
    struct t3d_scene *s = o->s;
    size_t n = o->n_vertices;

    s->position = t3d_alloc_raw(o->a, n, sizeof *s->position);
    s->normal = o->has_normal ? t3d_alloc(o->a, n, sizeof *s->normal) : NULL;
    s->uv[0] = o->has_uv ? t3d_alloc(o->a, n, sizeof *s->uv[0]) : NULL;
    s->color = o->has_color ? t3d_alloc(o->a, n, sizeof *s->color) : NULL;
    if (!s->position || (o->has_normal && !s->normal) || (o->has_uv && !s->uv[0]) ||
        (o->has_color && !s->color))
        return t3di_no_room(o->a, err, "the vertices");
    s->n_vertices = (uint32_t)n;
    for (uint64_t i = 0; i < n; i++) {
        float extra[MAX_EXTRA];
        int k = 0;
        for (; k < 3; k++)
            if (!skip(&o->t) || !t3di_read_float(&o->t, &s->position[i][k]) || !at_word_end(&o->t))
                return bad_vertex(err, i);
        for (k = 0; k < MAX_EXTRA && skip_in_line(&o->t); k++)
            if (!t3di_read_float(&o->t, &extra[k]) || !at_word_end(&o->t))
                return bad_vertex(err, i);
        if (o->has_color)
            for (int c = 0; c < 4; c++)
                s->color[i][c] = NAN; /* none: white */
        take_extra(o, i, extra, k);
    }
    if (o->has_color)
        t3di_colors_to_linear(s->color, n, 0);
    return T3D_OK;
}

/* --- faces
 * ------------------------------------------------------------------------------------------- */

static int bad_face(struct t3d_err *err, uint64_t i)
{
    return t3d_err_value(err, T3D_SKIP, "bad-number", (double)i,
                         "face %llu of the OFF file is cut off or has a word that is no number",
                         (unsigned long long)i);
}

/* One face. Its corners go to emit as a fan when that is not NULL: there is room for all, though
 * bad ones are counted out. *triangles grows by what it has. */
static int read_face(struct off *o, uint64_t face, uint64_t *triangles, uint32_t (*emit)[3],
                     struct t3d_err *err)
{
    struct t3d_scene_notes *notes = &o->s->notes;
    int64_t n, index;
    uint32_t first = 0, last = 0, bad = 0;

    if (!skip(&o->t) || !t3di_read_int(&o->t, &n) || !at_word_end(&o->t) || n < 0)
        return bad_face(err, face);
    for (int64_t k = 0; k < n; k++) {
        if (!skip(&o->t) || !t3di_read_int(&o->t, &index) || !at_word_end(&o->t))
            return bad_face(err, face);
        bad += index < 0 || index >= (int64_t)o->n_vertices;
        if (emit && k >= 2) {
            emit[k - 2][0] = first;
            emit[k - 2][1] = last;
            emit[k - 2][2] = (uint32_t)index;
        }
        first = k ? first : (uint32_t)index;
        last = (uint32_t)index;
    }
    skip_line(&o->t); /* colours of the face */
    if (!emit || !bad)
        *triangles += n > 2 ? (uint64_t)n - 2 : 0;
    if (!emit)
        return T3D_OK;
    notes->n_lines += !bad && n == 2;
    notes->n_points += !bad && n == 1;
    notes->n_bad_indices += bad;
    if (bad)
        t3di_note_bad(notes, "index-out-of-range");
    return T3D_OK;
}

static int read_faces(struct off *o, struct t3d_err *err)
{
    const char *start = o->t.p;
    uint64_t n = 0, done = 0;
    int r;

    for (uint64_t i = 0; i < o->n_faces; i++)
        if ((r = read_face(o, i, &n, NULL, err)) < 0)
            return r;
    if ((r = t3di_check_counts(0, n, err)) < 0)
        return r;
    o->s->triangle = t3d_alloc_raw(o->a, n, sizeof *o->s->triangle);
    if (!o->s->triangle)
        return t3di_no_room(o->a, err, "the triangles");
    o->t.p = start;
    for (uint64_t i = 0; i < o->n_faces; i++)
        if ((r = read_face(o, i, &done, o->s->triangle + done, err)) < 0)
            return r;
    o->s->n_triangles = (uint32_t)done;
    return T3D_OK;
}

int t3d_read_off(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                 unsigned flags, struct t3d_err *err)
{
    struct off o = {.s = s, .a = a};
    struct t3d_material m = t3di_plain_material();
    int r;

    memset(s, 0, sizeof *s);
    memcpy(s->notes.format, "off", 4);
    if (flags & T3D_READ_NAMES)
        return T3D_OK;
    o.t = (struct t3di_text){(const char *)src->data, (const char *)src->data + src->size};
    if ((r = read_keyword(&o, err)) < 0 || (r = read_counts(&o, err)) < 0 ||
        (r = read_vertices(&o, err)) < 0 || (r = read_faces(&o, err)) < 0)
        return r;
    s->notes.n_nodes = s->notes.n_meshes = 1;
    s->notes.n_points += o.n_faces ? 0 : s->n_vertices;
    t3di_drop_non_finite(s);
    return t3di_one_draw(s, a, &m,
                         (o.has_normal ? T3D_HAS_NORMAL : 0u) | (o.has_uv ? T3D_HAS_UV0 : 0u) |
                             (o.has_color ? T3D_HAS_COLOR : 0u),
                         err);
}
