/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/primitives_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "geom/primitives_impl.h"

enum { POOL = 1024, TRIES = 8 };

const char t3d_primitives_sets[] = "core full three relations textures";

struct entry {
    struct t3di_layout layout;
    struct t3d_primitive_object words; /* without a file */
};

struct t3d_primitives_set {
    struct t3d_arena arena;
    struct entry *entry;
    const char **known; /* canonical captions, sorted */
    uint32_t n;
    int is_core;
    char name[32], hash[T3D_SHA256_HEX];
};

/* --- which scenes --- */

static int is_textured(const struct t3di_layout *l)
{
    int n = 0;

    for (int i = 0; i < l->n; i++)
        n += l->item[i].texture != T3DI_PLAIN;
    return n;
}

static int belongs(const struct t3di_layout *l, const char *name)
{
    switch (name[0]) {
    case 't':
        return name[1] == 'h' ? l->n == 3 : is_textured(l) > 0;
    case 'r':
        return l->n == 2 && l->relation != T3DI_ON;
    default:
        return 1;
    }
}

/* Where the caption belongs in the sorted list; *found: it is there. */
static uint32_t place(const struct t3d_primitives_set *s, const char *caption, int *found)
{
    uint32_t low = 0, high = s->n;

    *found = 0;
    while (low < high && !*found) {
        uint32_t middle = (low + high) / 2;
        int order = strcmp(s->known[middle], caption);

        *found = order == 0;
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return low;
}

static int add(struct t3d_primitives_set *s, const struct t3di_layout *l, struct t3d_err *err)
{
    struct entry *e = &s->entry[s->n];
    uint32_t at;
    int found, r;

    e->layout = *l;
    memset(&e->words, 0, sizeof e->words);
    r = t3di_describe(&e->words, l, &s->arena, err);
    if (r < 0 || (!s->is_core && e->words.combination != T3D_NOT_CORE))
        return r;
    at = place(s, e->words.caption[0], &found);
    if (found)
        return T3D_OK;
    memmove(s->known + at + 1, s->known + at, (s->n - at) * sizeof *s->known);
    s->known[at] = e->words.caption[0];
    s->n++;
    return T3D_OK;
}

static int canonical(struct t3di_layout *l)
{
    static const double roughness[] = {.6, .95, .15, .325}; /* middles of what is drawn */

    for (int i = 0; i < l->n; i++) {
        l->item[i].yaw = 0;
        l->item[i].roughness = roughness[l->item[i].finish];
    }
    return t3di_arrange(l, NULL);
}

static int add_drawn(struct t3d_primitives_set *s, const char *name, uint64_t index,
                     struct t3d_err *err)
{
    struct t3d_rng rng = t3d_rng_for(0, T3DI_FULL_STREAM, index);
    struct t3di_layout l;

    t3di_sample_full(&l, &rng);
    if (!belongs(&l, name) || canonical(&l) != T3DI_STABLE)
        return T3D_OK;
    return add(s, &l, err);
}

static int add_core(struct t3d_primitives_set *s, uint32_t id, struct t3d_err *err)
{
    struct t3di_layout l;

    t3di_core_layout(&l, id);
    (void)canonical(&l);
    return add(s, &l, err);
}

/* --- the set --- */

static int fill(struct t3d_primitives_set *s, const char *name, struct t3d_err *err)
{
    uint32_t want = s->is_core ? T3D_CORE_COMBINATIONS : POOL;
    struct t3d_sha256 *h;
    int r = T3D_OK;

    s->entry = t3d_alloc(&s->arena, want + 1, sizeof *s->entry);
    s->known = t3d_alloc(&s->arena, want + 1, sizeof *s->known);
    if (!s->entry || !s->known)
        return t3d_err_nomem(err, "the candidates");
    for (uint64_t i = 0; s->n < want && r == T3D_OK; i++)
        r = s->is_core ? add_core(s, (uint32_t)i, err) : add_drawn(s, name, 2 * i + 1, err);
    if (r == T3D_OK)
        r = t3d_sha256_new(&h, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < s->n; i++)
        t3d_sha256_add_str(h, s->entry[i].words.caption[0]);
    t3d_sha256_end(h, s->hash);
    snprintf(s->name, sizeof s->name, "%.16s%u", name, s->n);
    return T3D_OK;
}

int t3d_primitives_set_new(struct t3d_primitives_set **out, const char *name, struct t3d_err *err)
{
    static const char *const names[] = {"core", "full", "three", "relations", "textures"};
    struct t3d_primitives_set *s;
    size_t k = 0;
    int r;

    while (k < T3D_COUNT(names) && strcmp(names[k], name) != 0)
        k++;
    if (k == T3D_COUNT(names))
        return t3d_err_set(err, T3D_USAGE, "usage", "no set of scenes is called '%.40s': one of %s",
                           name, t3d_primitives_sets);
    s = calloc(1, sizeof *s);
    if (!s)
        return t3d_err_nomem(err, "the candidates");
    s->is_core = k == 0;
    r = fill(s, name, err);
    if (r < 0)
        t3d_primitives_set_free(s);
    else
        *out = s;
    return r;
}

void t3d_primitives_set_free(struct t3d_primitives_set *s)
{
    if (!s)
        return;
    t3d_arena_free(&s->arena);
    free(s);
}

uint32_t t3d_primitives_set_count(const struct t3d_primitives_set *s)
{
    return s->n;
}

const char *t3d_primitives_set_name(const struct t3d_primitives_set *s)
{
    return s->name;
}

const char *t3d_primitives_set_hash(const struct t3d_primitives_set *s)
{
    return s->hash;
}

const struct t3d_primitive_object *t3d_primitives_set_words(const struct t3d_primitives_set *s,
                                                            uint32_t i,
                                                            struct t3d_primitives_words *w)
{
    const struct t3di_layout *l = &s->entry[i].layout;

    if (w) {
        *w = (struct t3d_primitives_words){.n_parts = l->n, .relation = l->relation};
        w->n_textured = is_textured(l);
        for (int k = 0; k < l->n; k++) {
            w->color[k] = l->item[k].color;
            w->shape[k] = l->item[k].shape;
        }
    }
    return &s->entry[i].words;
}

/* --- scenes --- */

/* As the world draws its own. What does not stand is drawn again, and stays canonical at last. */
static void vary(struct t3di_layout *l, const struct t3d_primitives_set *s, uint32_t i,
                 uint64_t variant)
{
    struct t3d_rng r = t3d_rng_for(variant, s->name, i);

    for (int tries = 0; tries < TRIES; tries++) {
        if (s->is_core) {
            for (int k = 0; k < l->n; k++)
                l->item[k].roughness = .5 + .2 * t3d_rng_uniform(&r);
            (void)t3di_arrange(l, &r); /* every pair of the core stacks at every size drawn */
            return;
        }
        if (t3di_vary(l, &r) == T3DI_STABLE)
            return;
    }
    (void)canonical(l);
}

int t3d_primitives_set_object(struct t3d_primitive_object *out, const struct t3d_primitives_set *s,
                              uint32_t i, uint64_t variant, struct t3d_arena *a,
                              struct t3d_err *err)
{
    struct t3di_layout l;

    memset(out, 0, sizeof *out);
    if (i >= s->n)
        return t3d_err_set(err, T3D_USAGE, "usage", "%s has no scene %u", s->name, i);
    l = s->entry[i].layout;
    if (variant)
        vary(&l, s, i, variant);
    if (s->is_core && !variant)
        snprintf(out->uid, sizeof out->uid, "prim-canon-%u", i);
    else
        snprintf(out->uid, sizeof out->uid, "prim-%s-%u-%llu", s->name, i,
                 (unsigned long long)variant);
    return t3di_write_object(out, &l, a, err);
}
