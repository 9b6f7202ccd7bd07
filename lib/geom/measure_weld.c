/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "geom/measure_impl.h"

/* --- welding ---------------------------------------------------------------------------------- */

enum { BATCH = 16 }; /* hashes computed and slots fetched ahead */

struct key {
    uint64_t xy, z;
};

/* The bits of a position; adding zero turns -0 into +0. */
static struct key key_of(const float p[3])
{
    float q[3] = {p[0] + 0.0F, p[1] + 0.0F, p[2] + 0.0F};
    uint32_t b[3];

    memcpy(b, q, sizeof b);
    return (struct key){b[0] | (uint64_t)b[1] << 32, b[2]};
}

/* The secret keeps a file from choosing positions that collide; ids do not depend on it. */
struct table {
    uint64_t secret[2];
    uint64_t *slot; /* tag << 32 | id + 1; 0 = free */
    uint32_t mask;
};

static uint64_t hash(const struct table *t, struct key k)
{
    unsigned __int128 m = (unsigned __int128)(k.xy ^ t->secret[0]) * (k.z ^ t->secret[1]);

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static int table_init(struct table *t, uint32_t n_vertices, struct t3d_arena *a)
{
    uint64_t size = 64;

    while (size < n_vertices + (uint64_t)n_vertices / 3)
        size *= 2;
    if (getrandom(t->secret, sizeof t->secret, GRND_NONBLOCK) != sizeof t->secret) {
        t->secret[0] = 0x9E3779B97F4A7C15u ^ (uintptr_t)t;
        t->secret[1] = 0xC2B2AE3D27D4EB4Fu;
    }
    t->secret[1] |= 1ull << 63; /* never zero */
    t->slot = t3d_alloc(a, size, sizeof *t->slot);
    t->mask = (uint32_t)(size - 1);
    return t->slot != NULL;
}

static int same_place(const float a[3], const float b[3])
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

static void place(struct t3di_weld *w, struct table *t, const struct t3d_scene *s, uint32_t v,
                  uint64_t h)
{
    uint64_t tag = h & 0xffffffff00000000u;

    for (uint32_t i = (uint32_t)h & t->mask;; i = (i + 1) & t->mask) {
        uint64_t e = t->slot[i];
        uint32_t id = (uint32_t)e - 1;
        if (!e) {
            t->slot[i] = tag | (w->n + 1);
            w->first[w->n] = v;
            w->id[v] = w->n++;
            return;
        }
        if ((e ^ tag) >> 32 == 0 && same_place(s->position[w->first[id]], s->position[v])) {
            w->id[v] = id;
            return;
        }
    }
}

int t3di_weld_scene(struct t3di_weld *w, const struct t3d_scene *s, struct t3d_arena *a,
                    struct t3d_err *err)
{
    uint32_t n = s->n_vertices;
    uint64_t h[BATCH];
    struct table t;

    memset(w, 0, sizeof *w);
    w->id = t3d_alloc_raw(a, n, sizeof *w->id);
    w->first = t3d_alloc_raw(a, n, sizeof *w->first);
    if (!w->id || !w->first || !table_init(&t, n, a))
        return t3d_err_nomem(err, "welding vertices");
    for (uint32_t v = 0; v < n; v += BATCH) {
        uint32_t k = T3D_MIN(n - v, (uint32_t)BATCH);
        for (uint32_t i = 0; i < k; i++) {
            h[i] = hash(&t, key_of(s->position[v + i]));
            __builtin_prefetch(&t.slot[(uint32_t)h[i] & t.mask], 1);
        }
        for (uint32_t i = 0; i < k; i++)
            place(w, &t, s, v + i, h[i]);
    }
    return T3D_OK;
}

/* --- groups -------------------------------------------------------------------------------------
 */

int t3di_groups_init(struct t3di_groups *g, uint32_t most_keys, size_t most_values,
                     struct t3d_arena *a, struct t3d_err *err)
{
    g->n_keys = 0;
    g->start = t3d_alloc_raw(a, (size_t)most_keys + 2, sizeof *g->start);
    g->value = t3d_alloc_raw(a, most_values, sizeof *g->value);
    return g->start && g->value ? T3D_OK : t3d_err_nomem(err, "sorting triangles");
}

void t3di_groups_begin(struct t3di_groups *g, uint32_t n_keys)
{
    g->n_keys = n_keys;
    memset(g->start, 0, ((size_t)n_keys + 2) * sizeof *g->start);
}

void t3di_groups_sum(struct t3di_groups *g)
{
    for (size_t k = 2; k < (size_t)g->n_keys + 2; k++)
        g->start[k] += g->start[k - 1];
}

void t3di_sort_u64(uint64_t *v, uint64_t *spare, size_t n)
{
    size_t count[8][256] = {{0}};
    uint64_t *from = v, *to = spare;

    for (size_t i = 0; i < n; i++)
        for (int b = 0; b < 8; b++)
            count[b][v[i] >> 8 * b & 255]++;
    for (int b = 0; b < 8 && n; b++) {
        size_t at = 0;
        if (count[b][from[0] >> 8 * b & 255] == n) /* all alike */
            continue;
        for (int k = 0; k < 256; k++) {
            size_t c = count[b][k];
            count[b][k] = at;
            at += c;
        }
        for (size_t i = 0; i < n; i++)
            to[count[b][from[i] >> 8 * b & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != v)
        memcpy(v, from, n * sizeof *v);
}

static void insertion_sort(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t x = v[i];
        size_t j = i;
        for (; j > 0 && v[j - 1] > x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

int t3di_groups_sort(struct t3di_groups *g, struct t3d_arena *a, struct t3d_err *err)
{
    enum { SMALL = 64 };
    size_t largest = 0;
    uint64_t *spare = NULL;

    for (size_t k = 0; k < g->n_keys; k++) {
        size_t n = g->start[k + 1] - g->start[k];
        if (n <= SMALL) {
            insertion_sort(g->value + g->start[k], n);
            continue;
        }
        if (n > largest) {
            largest = n;
            spare = t3d_alloc_raw(a, n, sizeof *spare); /* grows with the largest group so far */
            if (!spare)
                return t3d_err_nomem(err, "sorting triangles");
        }
        t3di_sort_u64(g->value + g->start[k], spare, n);
    }
    return T3D_OK;
}
