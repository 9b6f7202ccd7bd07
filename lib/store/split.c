/* SPDX-License-Identifier: Apache-2.0 */
#include "store/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"

enum { UID_BLOCK = 1 << 16, NONE = T3D_SPLIT_NONE };

/* One object. The fields from `oldest` on hold for the whole component and are valid at its root.
 */
struct node {
    const char *uid;
    uint32_t parent;
    int8_t own_given, before;
    int8_t given, old;         /* of the component; NONE = none */
    uint32_t oldest;           /* lowest index */
    uint32_t given_by, old_by; /* lowest index that has one */
    uint32_t size;
    uint64_t anchor; /* hash of the anchor of `oldest` */
};

/* Digest of a group or geometry hash -> any object that has it. */
struct link {
    uint64_t digest;      /* 64 bits of SHA-256: of 10M names two meet once in 400 000 sets */
    uint32_t node_plus_1; /* 0 = free */
};

struct t3d_splits {
    uint64_t seed;
    double bound[2]; /* u below bound[0]: train; below bound[1]: val */
    struct node *node;
    size_t n, capacity;
    struct link *link; /* open addressing, capacity a power of two, at most half full */
    size_t n_links, link_capacity;
    struct t3d_arena arena; /* uids */
    char *block;
    size_t block_left;
};

static const char *const names[T3D_SPLITS] = {"train", "val", "test"};

const char *t3d_split_name(enum t3d_split s)
{
    return s >= 0 && s < T3D_SPLITS ? names[s] : NULL;
}

enum t3d_split t3d_split_from(const char *name)
{
    for (int i = 0; name && i < T3D_SPLITS; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum t3d_split)i;
    return T3D_SPLIT_NONE;
}

int t3d_splits_new(struct t3d_splits **out, uint64_t seed, const double share[T3D_SPLITS],
                   struct t3d_err *err)
{
    double sum = 0;
    struct t3d_splits *s;

    for (int i = 0; i < T3D_SPLITS; i++) {
        if (!(share[i] >= 0 && share[i] <= 1))
            return t3d_err_set(err, T3D_USAGE, "bad-share", "--%s %g: a share lies between 0 and 1",
                               names[i], share[i]);
        sum += share[i];
    }
    if (fabs(sum - 1) > 1e-6)
        return t3d_err_value(err, T3D_USAGE, "bad-shares", sum,
                             "--train %g, --val %g and --test %g sum to %.9g: they must sum to 1",
                             share[0], share[1], share[2], sum);
    s = calloc(1, sizeof *s);
    if (!s)
        return t3d_err_nomem(err, "the splits");
    s->seed = seed;
    s->bound[0] = share[0];
    /* Nothing may fall to a share of 0 by rounding of the sum. */
    s->bound[1] = share[2] == 0 ? 1 : share[0] + share[1];
    if (share[1] == 0 && share[2] == 0)
        s->bound[0] = 1;
    *out = s;
    return T3D_OK;
}

void t3d_splits_free(struct t3d_splits *s)
{
    if (!s)
        return;
    free(s->node);
    free(s->link);
    t3d_arena_free(&s->arena);
    free(s);
}

static uint32_t root_of(struct t3d_splits *s, uint32_t i)
{
    while (s->node[i].parent != i) {
        s->node[i].parent = s->node[s->node[i].parent].parent;
        i = s->node[i].parent;
    }
    return i;
}

static void join(struct t3d_splits *s, uint32_t i, uint32_t j)
{
    struct node *a, *b;

    i = root_of(s, i);
    j = root_of(s, j);
    if (i == j)
        return;
    a = &s->node[s->node[i].size >= s->node[j].size ? i : j];
    b = &s->node[s->node[i].size >= s->node[j].size ? j : i];
    b->parent = (uint32_t)(a - s->node);
    a->size += b->size;
    if (b->oldest < a->oldest) {
        a->oldest = b->oldest;
        a->anchor = b->anchor;
    }
    if (b->given != NONE && (a->given == NONE || b->given_by < a->given_by)) {
        a->given = b->given;
        a->given_by = b->given_by;
    }
    if (b->old != NONE && (a->old == NONE || b->old_by < a->old_by)) {
        a->old = b->old;
        a->old_by = b->old_by;
    }
}

static struct link *find_link(struct link *table, size_t capacity, uint64_t digest)
{
    size_t i = digest & (capacity - 1);

    while (table[i].node_plus_1 && table[i].digest != digest)
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

static int grow_links(struct t3d_splits *s, struct t3d_err *err)
{
    size_t capacity = s->link_capacity ? 2 * s->link_capacity : 1024;
    struct link *table = calloc(capacity, sizeof *table);

    if (!table)
        return t3d_err_nomem(err, "the groups of the splits");
    for (size_t i = 0; i < s->link_capacity; i++)
        if (s->link[i].node_plus_1)
            *find_link(table, capacity, s->link[i].digest) = s->link[i];
    free(s->link);
    s->link = table;
    s->link_capacity = capacity;
    return T3D_OK;
}

/* Join object i to whoever has the same name of this kind. */
static int join_by(struct t3d_splits *s, uint32_t i, char kind, const char *name,
                   struct t3d_err *err)
{
    char text[160];
    uint64_t digest;
    struct link *l;
    int r, n;

    if (!name || !*name)
        return T3D_OK;
    if (2 * (s->n_links + 1) > s->link_capacity && (r = grow_links(s, err)) < 0)
        return r;
    n = snprintf(text, sizeof text, "%c%s", kind, name);
    if ((size_t)n >= sizeof text) { /* a long one counts by its own digest */
        text[0] = kind;
        text[1] = '#';
        t3d_sha256_hex(name, strlen(name), text + 2);
    }
    digest = t3d_hash64(text);
    l = find_link(s->link, s->link_capacity, digest);
    if (l->node_plus_1) {
        join(s, l->node_plus_1 - 1, i);
        return T3D_OK;
    }
    l->digest = digest;
    l->node_plus_1 = i + 1;
    s->n_links++;
    return T3D_OK;
}

static int hash_anchor(const struct t3d_splits *s, const struct t3d_split_member *m,
                       uint64_t *anchor, struct t3d_err *err)
{
    int by_group = m->group && *m->group, by_geometry = m->geometry && *m->geometry;
    const char *kind = by_group ? "group" : by_geometry ? "geometry" : "uid";
    const char *name = by_group ? m->group : by_geometry ? m->geometry : m->uid;
    size_t n = strlen(name) + 40;
    char *text = malloc(n);

    if (!text)
        return t3d_err_nomem(err, m->uid);
    snprintf(text, n, "%llu:%s:%s", (unsigned long long)s->seed, kind, name);
    *anchor = t3d_hash64(text);
    free(text);
    return T3D_OK;
}

static const char *keep_uid(struct t3d_splits *s, const char *uid)
{
    size_t n = strlen(uid) + 1;
    char *p;

    if (n > s->block_left) {
        s->block_left = T3D_MAX(n, UID_BLOCK);
        s->block = t3d_alloc_raw(&s->arena, s->block_left, 1);
        if (!s->block) {
            s->block_left = 0;
            return NULL;
        }
    }
    p = s->block;
    memcpy(p, uid, n);
    s->block += n;
    s->block_left -= n;
    return p;
}

static int grow_nodes(struct t3d_splits *s, struct t3d_err *err)
{
    size_t capacity = s->capacity ? s->capacity + s->capacity / 2 : 1024;
    struct node *node;

    if (s->n < s->capacity)
        return T3D_OK;
    if (capacity >= UINT32_MAX)
        return t3d_err_set(err, T3D_FAIL, "too-many-objects", "more than %u objects in one split",
                           UINT32_MAX);
    node = realloc(s->node, capacity * sizeof *node);
    if (!node)
        return t3d_err_nomem(err, "the objects of the splits");
    s->node = node;
    s->capacity = capacity;
    return T3D_OK;
}

int t3d_splits_add(struct t3d_splits *s, const struct t3d_split_member *m, size_t *index,
                   struct t3d_err *err)
{
    uint32_t i = (uint32_t)s->n;
    struct node node = {.parent = i,
                        .own_given = (int8_t)m->given,
                        .before = (int8_t)m->before,
                        .given = (int8_t)m->given,
                        .old = (int8_t)m->before,
                        .oldest = i,
                        .given_by = i,
                        .old_by = i,
                        .size = 1};
    int r = grow_nodes(s, err);

    if (r < 0 || (r = hash_anchor(s, m, &node.anchor, err)) < 0)
        return r;
    node.uid = keep_uid(s, m->uid);
    if (!node.uid)
        return t3d_err_nomem(err, m->uid);
    s->node[s->n++] = node;
    *index = i;
    r = join_by(s, i, 'p', m->group, err);
    return r < 0 ? r : join_by(s, i, 'g', m->geometry, err);
}

size_t t3d_splits_count(const struct t3d_splits *s)
{
    return s->n;
}

const char *t3d_splits_uid(const struct t3d_splits *s, size_t index)
{
    return s->node[index].uid;
}

enum t3d_split t3d_splits_before(const struct t3d_splits *s, size_t index)
{
    return (enum t3d_split)s->node[index].before;
}

size_t t3d_splits_oldest(struct t3d_splits *s, size_t index)
{
    return s->node[root_of(s, (uint32_t)index)].oldest;
}

enum t3d_split t3d_splits_of(struct t3d_splits *s, size_t index)
{
    const struct node *root = &s->node[root_of(s, (uint32_t)index)];
    double u;

    if (s->node[index].own_given != NONE)
        return (enum t3d_split)s->node[index].own_given;
    if (root->given != NONE)
        return (enum t3d_split)root->given;
    if (root->old != NONE)
        return (enum t3d_split)root->old;
    u = (double)(root->anchor >> 11) * 0x1p-53;
    return u < s->bound[0] ? T3D_SPLIT_TRAIN : u < s->bound[1] ? T3D_SPLIT_VAL : T3D_SPLIT_TEST;
}

void t3d_splits_report(struct t3d_splits *s, struct t3d_split_report *r)
{
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < s->n; i++) {
        const struct node *node = &s->node[i], *root = &s->node[root_of(s, (uint32_t)i)];
        enum t3d_split split = t3d_splits_of(s, i);

        r->count[split]++;
        r->components += root == node && node->size > 1;
        r->given += node->own_given != NONE;
        if (node->before != NONE && node->before != (int)split && r->moved++ == 0)
            r->moved_first = i;
        if (node->own_given != NONE && node->own_given != root->given && r->conflicts++ == 0)
            r->conflict_first = i;
    }
}

static int by_uid(const void *a, const void *b, void *splits)
{
    const struct t3d_splits *s = splits;

    return strcmp(s->node[*(const size_t *)a].uid, s->node[*(const size_t *)b].uid);
}

size_t *t3d_splits_sorted(struct t3d_splits *s, enum t3d_split which, size_t *n)
{
    size_t *list;

    *n = 0;
    for (size_t i = 0; i < s->n; i++)
        *n += t3d_splits_of(s, i) == which;
    if (!*n)
        return NULL;
    list = calloc(*n, sizeof *list);
    if (!list)
        return NULL;
    *n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (t3d_splits_of(s, i) == which)
            list[(*n)++] = i;
    qsort_r(list, *n, sizeof *list, by_uid, s);
    return list;
}
