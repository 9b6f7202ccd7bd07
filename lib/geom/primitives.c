/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/primitives.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "geom/primitives_impl.h"

/* --- the core --------------------------------------------------------------------------------- */

int t3d_primitives_core_kinds(uint32_t id, int colour[2], int shape[2])
{
    int n = id < T3D_CORE_KINDS ? 1 : 2;
    uint32_t pair = id - T3D_CORE_KINDS;
    uint32_t kind[2] = {n == 1 ? id : pair / T3D_CORE_KINDS, n == 1 ? 0 : pair % T3D_CORE_KINDS};

    for (int i = 0; i < n; i++) {
        colour[i] = (int)kind[i] / T3D_CORE_SHAPES;
        shape[i] = (int)kind[i] % T3D_CORE_SHAPES;
    }
    return n;
}

const char *t3d_primitives_color_name(int colour)
{
    return colour >= 0 && colour < T3DI_COLORS ? t3di_color[colour].name : NULL;
}

const char *t3d_primitives_shape_name(int shape)
{
    return shape >= 0 && shape < T3DI_SHAPES ? t3di_shape[shape].name : NULL;
}

void t3di_core_layout(struct t3di_layout *l, uint32_t id)
{
    int colour[2], shape[2];

    memset(l, 0, sizeof *l);
    l->n = t3d_primitives_core_kinds(id, colour, shape);
    l->relation = l->n == 1 ? T3DI_ALONE : T3DI_ON;
    for (int i = 0; i < l->n; i++) {
        l->item[i].shape = shape[i];
        l->item[i].color = colour[i];
        l->item[i].roughness = .6;
    }
}

static int article_is_an(const char *word)
{
    return strchr("aeiou", word[0]) != NULL;
}

static int core_text(uint32_t id, char *text, size_t size)
{
    int colour[2], shape[2], n = t3d_primitives_core_kinds(id, colour, shape), k = 0;

    for (int i = 0; i < n; i++) {
        const char *c = t3di_color[colour[i]].name;
        k += snprintf(text + k, size - (size_t)k, "%s%s %s %s", i ? " on " : "",
                      article_is_an(c) ? "an" : "a", c, t3di_shape[shape[i]].name);
    }
    return k;
}

const char *t3d_primitives_core_caption(uint32_t id, struct t3d_arena *a)
{
    char text[96];

    return id < T3D_CORE_COMBINATIONS && core_text(id, text, sizeof text) > 0 ? t3d_strdup(a, text)
                                                                              : NULL;
}

int t3d_primitives_core_find(const char *caption)
{
    char text[96];

    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id++) {
        core_text(id, text, sizeof text);
        if (strcmp(text, caption) == 0)
            return (int)id;
    }
    return T3D_NOT_CORE;
}

/* 12 of 100 are held out for test and 4 for validation, by the hash of the words. */
static const char *split_of(const char *words)
{
    char key[1024];
    uint64_t h;

    snprintf(key, sizeof key, "t3d primitives split: %s", words);
    h = t3d_hash64(key) % 100;
    return h < 12 ? "test" : h < 16 ? "val" : "train";
}

const char *t3d_primitives_core_split(uint32_t id)
{
    char text[96];

    core_text(id % T3D_CORE_COMBINATIONS, text, sizeof text);
    return split_of(text);
}

/* --- recognising the core in other scenes -------------------------------------------------------
 */

static int core_kind(const struct t3di_item *m)
{
    if (m->shape >= T3D_CORE_SHAPES || m->color >= T3D_CORE_COLORS || m->texture || m->finish ||
        m->size)
        return -1;
    return m->color * T3D_CORE_SHAPES + m->shape;
}

static int core_pair(const struct t3di_item *top, const struct t3di_item *bottom)
{
    int a = core_kind(top), b = core_kind(bottom);

    return a < 0 || b < 0 ? T3D_NOT_CORE : T3D_CORE_KINDS + a * T3D_CORE_KINDS + b;
}

static int find_combination(const struct t3di_layout *l)
{
    if (l->relation == T3DI_ALONE)
        return core_kind(&l->item[0]);
    return l->relation == T3DI_ON ? core_pair(&l->item[0], &l->item[1]) : T3D_NOT_CORE;
}

/* 1 when a stack within the scene is a held-out combination, whatever else stands there. */
static int holds_test_pair(const struct t3di_layout *l)
{
    int pairs = l->relation == T3DI_TOWER ? 2 : l->relation == T3DI_ON_LEFT;

    for (int i = 0; i < pairs; i++) {
        int id = core_pair(&l->item[i], &l->item[i + 1]);
        if (id != T3D_NOT_CORE && strcmp(t3d_primitives_core_split((uint32_t)id), "test") == 0)
            return 1;
    }
    return 0;
}

/* --- sampling the full world --------------------------------------------------------------------
 */

static int chance(struct t3d_rng *r, uint32_t percent)
{
    return t3d_rng_below(r, 100) < percent;
}

static int pick_relation(struct t3d_rng *r, int n)
{
    static const struct {
        int n, percent, relation;
    } table[] = {{1, 100, T3DI_ALONE}, {2, 30, T3DI_ON},      {2, 20, T3DI_LEFT},
                 {2, 12, T3DI_BEHIND}, {2, 12, T3DI_FRONT},   {2, 11, T3DI_INSIDE},
                 {2, 15, T3DI_BESIDE}, {3, 40, T3DI_ON_LEFT}, {3, 35, T3DI_ROW},
                 {3, 25, T3DI_TOWER}};
    int x = (int)t3d_rng_below(r, 100);

    for (size_t i = 0; i < T3D_COUNT(table); i++) {
        if (table[i].n != n)
            continue;
        x -= table[i].percent;
        if (x < 0)
            return table[i].relation;
    }
    return T3DI_ALONE;
}

/* What no caption says: how rough its finish is, and at what angle a polyhedron stands. */
static void vary_item(struct t3di_item *m, struct t3d_rng *r)
{
    static const double roughness[][2] = {{.5, .7}, {.9, 1}, {.1, .2}, {.25, .4}};

    m->roughness = roughness[m->finish][0] +
                   t3d_rng_uniform(r) * (roughness[m->finish][1] - roughness[m->finish][0]);
    if (!t3di_shape[m->shape].round)
        m->yaw = (t3d_rng_uniform(r) - .5) * 1.4;
}

int t3di_vary(struct t3di_layout *l, struct t3d_rng *r)
{
    for (int i = 0; i < l->n; i++)
        vary_item(&l->item[i], r);
    if (l->relation == T3DI_INSIDE)
        l->item[1].yaw = 0;
    return t3di_arrange(l, r);
}

static void pick_item(struct t3di_item *m, struct t3d_rng *r)
{
    memset(m, 0, sizeof *m);
    m->shape = (int)t3d_rng_below(r, T3DI_SHAPES);
    m->color = (int)t3d_rng_below(r, T3DI_COLORS);
    if (chance(r, 20))
        m->texture = 1 + (int)t3d_rng_below(r, 3);
    if (chance(r, 15))
        m->finish = 1 + (int)t3d_rng_below(r, 3);
    vary_item(m, r);
}

/* What the relation asks of its parts. */
static void suit_items(struct t3di_layout *l, struct t3d_rng *r)
{
    if (l->relation == T3DI_INSIDE) {
        l->item[1].shape = T3DI_RING;
        l->item[1].yaw = 0;
        while (l->item[0].shape == T3DI_RING)
            pick_item(&l->item[0], r);
    }
    if (l->relation == T3DI_BESIDE) {
        int large = (int)t3d_rng_below(r, 2);
        l->item[large].size = 2;
        l->item[1 - large].size = 1;
    }
}

void t3di_sample_full(struct t3di_layout *l, struct t3d_rng *r)
{
    uint32_t x = t3d_rng_below(r, 100);

    memset(l, 0, sizeof *l);
    l->n = x < 30 ? 1 : x < 75 ? 2 : 3;
    l->relation = pick_relation(r, l->n);
    for (int tries = 0; tries < 64; tries++) {
        for (int i = 0; i < l->n; i++)
            pick_item(&l->item[i], r);
        suit_items(l, r);
        int hold = t3di_arrange(l, r);
        if (hold == T3DI_STABLE || (hold && find_combination(l) != T3D_NOT_CORE))
            return;
    }
    l->relation = T3DI_ROW + (l->n < 3) * (T3DI_LEFT - T3DI_ROW); /* these always stand */
    (void)t3di_arrange(l, r);
}

/* --- objects ------------------------------------------------------------------------------------
 */

int t3di_describe(struct t3d_primitive_object *out, const struct t3di_layout *l,
                  struct t3d_arena *a, struct t3d_err *err)
{
    out->combination = find_combination(l);
    if (t3di_captions(l, &out->caption, &out->n_captions, a) < 0)
        return t3d_err_nomem(err, "captions");
    out->split = split_of(out->caption[0]);
    if (holds_test_pair(l))
        out->split = "test";
    if (out->combination != T3D_NOT_CORE)
        snprintf(out->group, sizeof out->group, "prim-core-%03d", out->combination);
    else
        snprintf(out->group, sizeof out->group, "prim-%016" PRIx64, t3d_hash64(out->caption[0]));
    return T3D_OK;
}

int t3di_write_object(struct t3d_primitive_object *out, const struct t3di_layout *l,
                      struct t3d_arena *a, struct t3d_err *err)
{
    const char *extras;
    int r = t3di_describe(out, l, a, err);

    if (r < 0)
        return r;
    extras = t3d_sprintf(a, "{\"uid\":\"%s\",\"caption\":\"%s\",\"group\":\"%s\",\"split\":\"%s\"}",
                         out->uid, out->caption[0], out->group, out->split);
    if (!extras)
        return t3d_err_nomem(err, "a primitive object");
    return t3di_layout_write(l, extras, &out->glb, &out->glb_size, a, err);
}

/* Position i of runs of the first n combinations as permutations of them; 389 is a prime that
 * shares no factor with 930 and 30. */
static uint32_t core_order(uint64_t seed, uint64_t i, uint32_t n)
{
    struct t3d_rng r = t3d_rng_for(seed, "t3d primitives order", i / n);

    return (uint32_t)((i % n * 389 + t3d_rng_below(&r, n)) % n);
}

int t3d_primitives_object(struct t3d_primitive_object *out, enum t3d_world world, uint64_t seed,
                          uint64_t index, struct t3d_arena *a, struct t3d_err *err)
{
    static const char *const prefix[] = {"prim-core", "prim", "prim-one"};
    int full = world == T3D_WORLD_FULL;
    struct t3d_rng r = t3d_rng_for(seed, full ? T3DI_FULL_STREAM : "t3d primitives core", index);
    struct t3di_layout l;

    memset(out, 0, sizeof *out);
    snprintf(out->uid, sizeof out->uid, "%s-%" PRIu64 "-%" PRIu64, prefix[world], seed, index);
    if (full && index % 2) {
        t3di_sample_full(&l, &r);
    } else {
        t3di_core_layout(
            &l, core_order(seed, full ? index / 2 : index,
                           world == T3D_WORLD_ONE ? T3D_CORE_KINDS : T3D_CORE_COMBINATIONS));
        for (int i = 0; i < l.n; i++)
            l.item[i].roughness = .5 + .2 * t3d_rng_uniform(&r);
        (void)t3di_arrange(&l, &r); /* every pair of the core stacks at every size drawn */
    }
    return t3di_write_object(out, &l, a, err);
}

int t3d_primitives_core(struct t3d_primitive_object *out, uint32_t id, struct t3d_arena *a,
                        struct t3d_err *err)
{
    struct t3di_layout l;

    memset(out, 0, sizeof *out);
    if (id >= T3D_CORE_COMBINATIONS)
        return t3d_err_set(err, T3D_USAGE, "bad-combination", "core combination %u is not below %d",
                           id, T3D_CORE_COMBINATIONS);
    snprintf(out->uid, sizeof out->uid, "prim-canon-%u", id);
    t3di_core_layout(&l, id);
    (void)t3di_arrange(&l, NULL);
    return t3di_write_object(out, &l, a, err);
}
