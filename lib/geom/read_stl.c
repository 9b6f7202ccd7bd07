/* SPDX-License-Identifier: Apache-2.0 */
/* STL, binary and ASCII (3D Systems, "StereoLithography Interface Specification", 1989). Normals of
 * facets are passed over: many are zero or wrong, and the corners say the same. */
#include "geom/read.h"

#include <string.h>

#include "geom/mesh_impl.h"
#include "geom/read_impl.h"
#include "geom/text_impl.h"

enum { HEAD = 84, FACET = 50 };

static uint32_t read_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int alloc_facets(struct t3d_scene *s, struct t3d_arena *a, uint64_t n, struct t3d_err *err)
{
    int r = t3di_check_counts(3 * n, n, err);

    if (r < 0)
        return r;
    s->n_triangles = (uint32_t)n;
    s->n_vertices = 3 * (uint32_t)n;
    s->position = t3d_alloc_raw(a, s->n_vertices, sizeof *s->position);
    s->triangle = t3d_alloc_raw(a, s->n_triangles, sizeof *s->triangle);
    if (!s->position || !s->triangle)
        return t3di_no_room(a, err, "the facets");
    for (uint32_t i = 0; i < s->n_vertices; i++)
        s->triangle[i / 3][i % 3] = i;
    return T3D_OK;
}

static int read_binary(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                       struct t3d_err *err)
{
    uint32_t n = read_u32(src->data + 80);
    uint64_t needed, body = src->size - HEAD;
    int r;

    /* Writers that stream leave the count at 0 or -1; then the size tells. */
    if ((n == 0 || n == UINT32_MAX) && body % FACET == 0 && body / FACET < UINT32_MAX)
        n = (uint32_t)(body / FACET);
    needed = HEAD + (uint64_t)FACET * n;
    if (needed > src->size)
        return t3d_err_value(err, T3D_SKIP, "truncated", n,
                             "the STL has %zu bytes, but its %u triangles take %llu", src->size, n,
                             (unsigned long long)needed);
    r = alloc_facets(s, a, n, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = src->data + HEAD + (size_t)FACET * i + 12;
        for (int k = 0; k < 9; k++, p += 4) {
            uint32_t bits = read_u32(p);
            memcpy(&s->position[3 * i + (uint32_t)k / 3][k % 3], &bits, 4);
        }
    }
    return T3D_OK;
}

/* --- ASCII
 * ----------------------------------------------------------------------------------------- */

static int next_word(struct t3di_text *t, struct t3di_text *word)
{
    t3di_skip_spaces(t);
    return t3di_read_word(t, word);
}

/* "vertex" words: three make a facet, whatever stands between. */
static uint64_t count_vertices(struct t3di_text t)
{
    struct t3di_text word;
    uint64_t n = 0;

    while (next_word(&t, &word))
        n += t3di_word_is(&word, "vertex");
    return n;
}

static int bad_number(struct t3d_err *err, uint64_t vertex)
{
    return t3d_err_value(err, T3D_SKIP, "bad-number", (double)vertex,
                         "vertex %llu of the STL has no three numbers", (unsigned long long)vertex);
}

static int read_ascii(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                      struct t3d_err *err)
{
    struct t3di_text t = {(const char *)src->data, (const char *)src->data + src->size}, word;
    uint64_t n = count_vertices(t), in_facet = 0, i = 0;
    int r = alloc_facets(s, a, n / 3, err);

    if (r < 0)
        return r;
    while (next_word(&t, &word)) {
        if (t3di_word_is(&word, "endfacet") && in_facet != 3)
            return t3d_err_value(err, T3D_SKIP, "bad-facet", (double)(i / 3),
                                 "facet %llu of the STL has %llu vertices",
                                 (unsigned long long)(i / 3), (unsigned long long)in_facet);
        if (t3di_word_is(&word, "facet"))
            in_facet = 0;
        if (!t3di_word_is(&word, "vertex"))
            continue;
        if (i == 3 * (n / 3))
            break; /* the last facet is cut off */
        for (int k = 0; k < 3; k++) {
            t3di_skip_spaces(&t);
            if (!t3di_read_float(&t, &s->position[i][k]) || (t.p < t.end && !t3di_is_space(*t.p)))
                return bad_number(err, i);
        }
        i++;
        in_facet++;
    }
    if (n % 3 || (n && in_facet != 3))
        return t3d_err_value(err, T3D_SKIP, "truncated", (double)n,
                             "the STL ends inside a facet, after vertex %llu",
                             (unsigned long long)n);
    return T3D_OK;
}

/* "solid" begins many binary files too: those have the size that their count says. */
static int is_ascii(const struct t3d_source *src)
{
    size_t i = 0, looked;

    if (src->size >= HEAD && src->size == HEAD + (uint64_t)FACET * read_u32(src->data + 80))
        return 0;
    while (i < src->size && t3di_is_space((char)src->data[i]))
        i++;
    if (src->size - i < 5 || memcmp(src->data + i, "solid", 5) != 0)
        return 0;
    looked = T3D_MIN(src->size, 1024);
    for (i = 0; i < looked; i++)
        if (src->data[i] == 0)
            return 0;
    return 1;
}

int t3d_read_stl(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                 unsigned flags, struct t3d_err *err)
{
    struct t3d_material m = t3di_plain_material();
    int ascii = is_ascii(src), r;

    memset(s, 0, sizeof *s);
    memcpy(s->notes.format, "stl", 4);
    if (flags & T3D_READ_NAMES)
        return T3D_OK;
    if (!ascii && src->size < HEAD)
        return t3d_err_value(err, T3D_SKIP, "truncated", (double)src->size,
                             "the STL has %zu bytes: neither a binary head nor 'solid'", src->size);
    r = ascii ? read_ascii(s, a, src, err) : read_binary(s, a, src, err);
    if (r < 0)
        return r;
    s->notes.n_nodes = s->notes.n_meshes = 1;
    t3di_drop_non_finite(s);
    return t3di_one_draw(s, a, &m, 0, err);
}
