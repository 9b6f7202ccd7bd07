/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "geom/measure_impl.h"

/* A position on the grid: three coordinates of 0..32768, x highest, so that keys order like
 * positions. */
static uint64_t grid_key(const float p[3], const struct t3d_normalisation *n)
{
    uint64_t key = 0;

    for (int k = 0; k < 3; k++) {
        double x = ((double)p[k] - n->centre[k]) * n->scale * 16384;
        key = key << 16 | (uint64_t)(T3D_CLAMP(x, -16384, 16384) + 16384.5);
    }
    return key;
}

struct pair {
    uint64_t key;
    uint32_t id;
};

/* By key, with the bytes of the keys, least significant first; the result may be in either array.
 */
static struct pair *sort_pairs(struct pair *from, struct pair *to, size_t n)
{
    size_t count[6][256] = {{0}};

    for (size_t i = 0; i < n; i++)
        for (int b = 0; b < 6; b++)
            count[b][from[i].key >> 8 * b & 255]++;
    for (int b = 0; b < 6 && n; b++) {
        size_t at = 0;
        if (count[b][from[0].key >> 8 * b & 255] == n) /* all alike */
            continue;
        for (int k = 0; k < 256; k++) {
            size_t c = count[b][k];
            count[b][k] = at;
            at += c;
        }
        for (size_t i = 0; i < n; i++)
            to[count[b][from[i].key >> 8 * b & 255]++] = from[i];
        struct pair *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* The distinct grid places of the welded vertices, ascending. */
struct grid {
    uint32_t n;
    uint64_t *key;  /* (n) */
    uint32_t *rank; /* (welded places) into key */
};

static int make_grid(struct grid *g, const struct t3d_scene *s, const struct t3d_normalisation *n,
                     const struct t3di_weld *w, struct t3d_arena *a, struct t3d_err *err)
{
    struct pair *p = t3d_alloc_raw(a, w->n, sizeof *p), *spare = t3d_alloc_raw(a, w->n, sizeof *p);

    g->n = 0;
    g->key = t3d_alloc_raw(a, w->n, sizeof *g->key);
    g->rank = t3d_alloc_raw(a, w->n, sizeof *g->rank);
    if (!p || !spare || !g->key || !g->rank)
        return t3d_err_nomem(err, "the geometry hash");
    for (uint32_t i = 0; i < w->n; i++)
        p[i] = (struct pair){grid_key(s->position[w->first[i]], n), i};
    p = sort_pairs(p, spare, w->n);
    for (uint32_t i = 0; i < w->n; i++) {
        if (i == 0 || p[i].key != p[i - 1].key)
            g->key[g->n++] = p[i].key;
        g->rank[p[i].id] = g->n - 1;
    }
    return T3D_OK;
}

/* The triangle's three ranks, ascending; 0 when two are equal. */
static int ranks(const struct grid *g, const struct t3di_weld *w, const uint32_t t[3],
                 uint32_t c[3])
{
    uint32_t x = g->rank[w->id[t[0]]], y = g->rank[w->id[t[1]]], z = g->rank[w->id[t[2]]];
    uint32_t low = T3D_MIN(x, y), high = T3D_MAX(x, y);

    c[0] = T3D_MIN(low, z);
    c[2] = T3D_MAX(high, z);
    c[1] = T3D_MAX(low, T3D_MIN(high, z));
    return c[0] != c[1] && c[1] != c[2];
}

/* Triangles by their first corner, each group sorted by the others. */
static int sort_triangles(struct t3di_groups *out, const struct grid *g, const struct t3d_scene *s,
                          const struct t3di_weld *w, struct t3d_arena *a, struct t3d_err *err)
{
    uint32_t c[3];

    t3di_groups_begin(out, g->n);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t t = 0; t < s->n_triangles; t++) {
            if (!ranks(g, w, s->triangle[t], c))
                continue;
            if (pass == 0)
                out->start[(size_t)c[0] + 2]++;
            else
                out->value[out->start[(size_t)c[0] + 1]++] = (uint64_t)c[1] << 32 | c[2];
        }
        if (pass == 0)
            t3di_groups_sum(out);
    }
    return t3di_groups_sort(out, a, err);
}

static uint8_t *put_key(uint8_t *p, uint64_t key)
{
    for (int k = 5; k >= 0; k--)
        *p++ = (uint8_t)(key >> 8 * k);
    return p;
}

int t3di_geometry_hash(char hex[65], const struct t3d_scene *s, const struct t3d_normalisation *n,
                       const struct t3di_weld *w, struct t3di_groups *t, struct t3d_arena *a,
                       struct t3d_err *err)
{
    uint8_t text[18 * 512], *p = text;
    struct t3d_sha256 *h;
    struct grid g;
    int r = make_grid(&g, s, n, w, a, err);

    if (r == T3D_OK)
        r = sort_triangles(t, &g, s, w, a, err);
    if (r == T3D_OK)
        r = t3d_sha256_new(&h, err);
    if (r < 0)
        return r;
    t3d_sha256_add_str(h, "t3d geometry 1");
    for (uint32_t k = 0; k < t->n_keys; k++)
        for (uint32_t i = t->start[k]; i < t->start[k + 1]; i++) {
            p = put_key(p, g.key[k]);
            p = put_key(p, g.key[t->value[i] >> 32]);
            p = put_key(p, g.key[(uint32_t)t->value[i]]);
            if (p == text + sizeof text) {
                t3d_sha256_add(h, text, sizeof text);
                p = text;
            }
        }
    t3d_sha256_add(h, text, (size_t)(p - text));
    t3d_sha256_end(h, hex);
    return T3D_OK;
}
