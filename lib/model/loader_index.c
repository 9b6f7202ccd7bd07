/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <glob.h>
#include <inttypes.h>

#include "model/loader_impl.h"
#include "store/shard.h"
#include "store/split_rows.h"

enum { TAR_BLOCK = 512, MAX_RESOLUTION = 1 << 16 };

/* What the manifest says of the objects: group and whether they are wanted, by number. */
struct choice {
    uint64_t group;
    int wanted;
};

struct choosing {
    struct choice *row;
    size_t n;
    enum t3d_split split;
    int any_split; /* some object has a split */
    int all;       /* no list of uids */
    struct t3d_err *err;
};

/* --- which set ------------------------------------------------------------------------------- */

/* Resolution of "<view_set>-<resolution>[-<light>]", 0 for other names. */
static uint32_t set_resolution(const char *name, const char *view_set, const char *light)
{
    size_t n = strlen(view_set);
    unsigned long r;
    char *end;

    if (strncmp(name, view_set, n) != 0 || name[n] != '-' || name[n + 1] < '0' || name[n + 1] > '9')
        return 0;
    r = strtoul(name + n + 1, &end, 10);
    if (r > MAX_RESOLUTION)
        return 0;
    if (*end == '-')
        return light && strcmp(end + 1, light) == 0 ? (uint32_t)r : 0;
    return *end || light ? 0 : (uint32_t)r;
}

static int choose_set(struct t3di_index *x, const struct t3d_loader_config *c, struct t3d_err *err)
{
    const char *light = c->light && strcmp(c->light, "studio") != 0 ? c->light : NULL;
    char *renders = t3d_path_join(&x->arena, c->workspace, "renders");
    const struct dirent *e;
    DIR *d;

    if (!renders)
        return t3d_err_nomem(err, "a path");
    d = opendir(renders);
    while (d && (e = readdir(d))) {
        uint32_t r = set_resolution(e->d_name, c->view_set, light);
        if (r >= c->resolution && (!x->resolution || r < x->resolution)) {
            x->resolution = r;
            x->dir = t3d_sprintf(&x->arena, "%s/%s", renders, e->d_name);
        }
    }
    if (d)
        closedir(d);
    if (x->resolution)
        return x->dir ? T3D_OK : t3d_err_nomem(err, "a path");
    return t3d_err_set(err, T3D_USAGE, "no-renders",
                       "'%s' has no pictures of the views %s with %u pixels or more: run `t3d "
                       "render --view-set %s --resolution %u%s%s`",
                       renders, c->view_set, c->resolution, c->view_set, c->resolution,
                       light ? " --light " : "", light ? light : "");
}

/* --- which objects --------------------------------------------------------------------------- */

static struct choice *choice_at(struct choosing *k, int64_t num)
{
    if ((size_t)num >= k->n) {
        size_t n = T3D_MAX((size_t)num + 1, k->n + k->n / 2);
        struct choice *row = realloc(k->row, n * sizeof *row);
        if (!row)
            return NULL;
        memset(row + k->n, 0, (n - k->n) * sizeof *row);
        k->row = row;
        k->n = n;
    }
    return &k->row[num];
}

static int add_row(void *ctx, const struct t3d_split_row *row, struct t3d_err *err)
{
    struct choosing *k = ctx;
    struct choice *c = choice_at(k, row->num);

    if (!c)
        return t3d_err_nomem(err, "the objects");
    c->group = t3d_hash64(row->group && *row->group ? row->group : row->uid);
    c->wanted = k->all && row->stored == k->split;
    k->any_split |= row->stored != T3D_SPLIT_NONE;
    return T3D_OK;
}

static int want_uid(struct choosing *k, struct t3d_manifest *m, const char *uid,
                    struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_object o;
    int r = t3d_manifest_find(m, uid, &o, &a, err);

    if (r == T3D_END)
        r = t3d_err_set(err, T3D_USAGE, "unknown-uid", "'%.128s' is no object of the manifest",
                        uid);
    else if (r == T3D_OK && t3d_split_from(o.split) != k->split)
        r = t3d_err_set(err, T3D_USAGE, "wrong-split",
                        "object '%s' is of split %s: only objects of split %s are read here", uid,
                        o.split ? o.split : "(none)", t3d_split_name(k->split));
    else if (r == T3D_OK && (size_t)o.num < k->n && k->row[o.num].group)
        k->row[o.num].wanted = 1; /* else it is not rendered */
    t3d_arena_free(&a);
    return r;
}

static int choose_objects(struct choosing *k, const struct t3d_loader_config *c,
                          struct t3d_err *err)
{
    static const char *const optional[] = {"fetch", "filter", "filter-views"};
    static const char no_key[T3D_SHA256_HEX];
    const char *needs[T3D_SPLIT_NEEDS + 1] = {"render"};
    struct t3d_manifest *m;
    size_t n = 1;
    int r = t3d_manifest_open(&m, c->workspace, T3D_MANIFEST_READONLY, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < T3D_COUNT(optional); i++)
        if (t3d_manifest_stage_has_run(m, optional[i]))
            needs[n++] = optional[i];
    r = t3d_split_rows(m, needs, no_key, -1, add_row, k, err);
    for (size_t i = 0; i < c->n_uids && r == T3D_OK; i++)
        r = want_uid(k, m, c->uid[i], err);
    t3d_manifest_close(m);
    return r;
}

/* --- the shards ------------------------------------------------------------------------------ */

static void *grow(void *table, size_t n, size_t *capacity, size_t size)
{
    size_t c = *capacity ? *capacity + *capacity / 2 : 1024;
    void *p;

    if (n < *capacity)
        return table;
    p = realloc(table, c * size);
    if (p)
        *capacity = c;
    return p;
}

static int add_picture(struct t3di_picture **table, size_t *n, size_t *capacity,
                       const uint8_t *data, uint64_t size)
{
    struct t3di_picture *p = grow(*table, *n, capacity, sizeof *p);

    if (!p)
        return -1;
    *table = p;
    p[(*n)++] = (struct t3di_picture){data, (uint32_t)size};
    return 0;
}

static struct t3di_sample *add_sample(struct t3di_index *x, const char *key, uint64_t group)
{
    struct t3di_sample *s = grow(x->sample, x->n_samples, &x->sample_capacity, sizeof *x->sample);

    if (!s)
        return NULL;
    x->sample = s;
    s += x->n_samples++;
    *s = (struct t3di_sample){.group_hash = group,
                              .first_view = (uint32_t)x->n_pictures,
                              .first_depth = (uint32_t)x->n_depths};
    memcpy(s->key, key, sizeof s->key);
    return s;
}

/* "v07.png" gives 7 for the ending ".png", other members -1. */
static int view_number(const char *suffix, const char *ending, int *digits)
{
    char *end;
    long n;

    if (suffix[0] != 'v' || suffix[1] < '0' || suffix[1] > '9')
        return -1;
    n = strtol(suffix + 1, &end, 10);
    *digits = (int)(end - suffix - 1);
    return strcmp(end, ending) == 0 && n < 100000 ? (int)n : -1;
}

static int add_member(struct t3di_index *x, struct t3di_sample *s, const struct t3d_blob *tar,
                      const struct t3d_shard_entry *e, struct t3d_err *err)
{
    const char *suffix = e->member + 33;
    int digits = 0, view = view_number(suffix, ".png", &digits),
        depth = x->need_depth ? view_number(suffix, ".depth.png", &digits) : -1;

    if (e->offset < TAR_BLOCK || e->offset > tar->size || e->size > tar->size - e->offset ||
        e->size > UINT32_MAX)
        return t3d_err_set(err, T3D_SKIP, "bad-index",
                           "member '%s' at %" PRIu64 " with %" PRIu64
                           " bytes is not within its shard of %zu bytes: run `t3d manifest check`",
                           e->member, e->offset, e->size, tar->size);
    if (strcmp(suffix, "txt") == 0) {
        s->text = tar->data + e->offset;
        s->text_size = (uint32_t)e->size;
    } else if (view >= 0) {
        s->torn |= (uint32_t)view != s->n_views;
        x->digits = digits;
        s->n_views++;
        if (add_picture(&x->picture, &x->n_pictures, &x->picture_capacity, tar->data + e->offset,
                        e->size) < 0)
            return t3d_err_nomem(err, "the index of the shards");
    } else if (depth >= 0) {
        s->torn |= (uint32_t)depth != s->n_depths;
        s->n_depths++;
        if (add_picture(&x->depth, &x->n_depths, &x->depth_capacity, tar->data + e->offset,
                        e->size) < 0)
            return t3d_err_nomem(err, "the index of the shards");
    }
    return T3D_OK;
}

/* The lines of an .idx; those of one object stand together. */
static int add_entries(struct t3di_index *x, const struct choosing *k, const struct t3d_blob *tar,
                       const struct t3d_blob *idx, struct t3d_err *err)
{
    const char *p = (const char *)idx->data, *stop = p + idx->size, *end;
    struct t3di_sample *s = NULL;
    struct t3d_shard_entry e;
    char line[512];
    int r = T3D_OK;

    for (; r == T3D_OK && p < stop; p = end + 1) {
        end = memchr(p, '\n', (size_t)(stop - p));
        if (!end || (size_t)(end - p) >= sizeof line)
            return t3d_err_set(err, T3D_SKIP, "bad-index", "a line has no end");
        memcpy(line, p, (size_t)(end - p));
        line[end - p] = '\0';
        r = t3d_shard_entry_parse(line, &e, err);
        if (r != T3D_OK || (size_t)e.num >= k->n || !k->row[e.num].wanted)
            continue;
        if (!s || strcmp(s->key, e.key) != 0)
            s = add_sample(x, e.key, k->row[e.num].group);
        r = s ? add_member(x, s, tar, &e, err) : t3d_err_nomem(err, "the index of the shards");
    }
    return r;
}

static int add_shard(struct t3di_index *x, const struct choosing *k, const char *path,
                     struct t3d_err *err)
{
    struct t3d_blob *tar = &x->blob[x->n_blobs], idx = {0};
    char *name = t3d_strdup(&x->arena, path);
    int r = name ? t3d_blob_open(tar, path, 0, err) : t3d_err_nomem(err, path);

    if (r < 0)
        return r;
    x->n_blobs++;
    memcpy(name + strlen(name) - 3, "idx", 3);
    r = t3d_blob_open(&idx, name, 0, err);
    if (r == T3D_OK)
        r = add_entries(x, k, tar, &idx, err);
    if (r < 0)
        t3d_err_prefix(err, "'%s'", name);
    t3d_blob_close(&idx);
    return r;
}

static int add_shards(struct t3di_index *x, const struct choosing *k, struct t3d_err *err)
{
    char *pattern = t3d_sprintf(&x->arena, "%s/*.tar", x->dir);
    glob_t found = {0};
    int r = pattern ? T3D_OK : t3d_err_nomem(err, "a path");

    if (r == T3D_OK)
        glob(pattern, 0, NULL, &found);
    x->blob = t3d_alloc(&x->arena, found.gl_pathc, sizeof *x->blob);
    if (!x->blob && r == T3D_OK)
        r = t3d_err_nomem(err, "the shards");
    for (size_t i = 0; i < found.gl_pathc && r == T3D_OK; i++)
        r = add_shard(x, k, found.gl_pathv[i], err);
    globfree(&found);
    return r;
}

/* --- the order ------------------------------------------------------------------------------- */

static int by_group_and_key(const void *a, const void *b)
{
    const struct t3di_sample *x = a, *y = b;

    if (x->group_hash != y->group_hash)
        return x->group_hash < y->group_hash ? -1 : 1;
    return strcmp(x->key, y->key);
}

/* Samples that serve nothing leave; the rest is sorted into groups. */
static int sort_samples(struct t3di_index *x, int need_captions, struct t3d_err *err)
{
    struct t3d_sha256 *h;
    size_t n = 0;
    int r;

    for (size_t i = 0; i < x->n_samples; i++)
        if (x->sample[i].n_views && (x->sample[i].text_size || !need_captions))
            x->sample[n++] = x->sample[i];
    x->n_samples = n;
    if (n)
        qsort(x->sample, n, sizeof *x->sample, by_group_and_key);
    x->group_first = t3d_alloc(&x->arena, n + 1, sizeof *x->group_first);
    if (!x->group_first)
        return t3d_err_nomem(err, "the index of the shards");
    r = t3d_sha256_new(&h, err);
    if (r < 0)
        return r;
    t3d_sha256_add_str(h, t3d_path_base(x->dir));
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || x->sample[i].group_hash != x->sample[i - 1].group_hash)
            x->group_first[x->n_groups++] = (uint32_t)i;
        x->sample[i].group = (uint32_t)x->n_groups - 1;
        x->n_views = T3D_MAX(x->n_views, (int)x->sample[i].n_views);
        t3d_sha256_add_str(h, x->sample[i].key);
    }
    x->group_first[x->n_groups] = (uint32_t)n;
    t3d_sha256_end(h, x->hash);
    return T3D_OK;
}

struct group_size {
    uint32_t group, n;
};

static int by_size(const void *a, const void *b)
{
    const struct group_size *x = a, *y = b;

    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

static int make_rounds(struct t3di_index *x, struct t3d_err *err)
{
    struct group_size *s = t3d_alloc(&x->arena, x->n_groups, sizeof *s);
    size_t n = x->n_groups, at = 0;

    x->by_size = t3d_alloc(&x->arena, n, sizeof *x->by_size);
    if (!s || !x->by_size)
        return t3d_err_nomem(err, "the index of the shards");
    for (size_t g = 0; g < n; g++)
        s[g] = (struct group_size){(uint32_t)g, x->group_first[g + 1] - x->group_first[g]};
    qsort(s, n, sizeof *s, by_size);
    for (size_t g = 0; g < n; g++)
        x->by_size[g] = s[g].group;
    x->n_rounds = s[0].n;
    x->round_at = t3d_alloc(&x->arena, x->n_rounds + 1, sizeof *x->round_at);
    if (!x->round_at)
        return t3d_err_nomem(err, "the index of the shards");
    for (size_t r = 0; r < x->n_rounds; r++) {
        while (n && s[n - 1].n <= r)
            n--;
        x->round_at[r] = (uint32_t)at;
        at += n;
    }
    x->round_at[x->n_rounds] = (uint32_t)at;
    return T3D_OK;
}

/* Every sample has one for each of its views. */
static int check_depth(const struct t3di_index *x, const struct t3d_loader_config *c,
                       struct t3d_err *err)
{
    const char *light = c->light && strcmp(c->light, "studio") != 0 ? c->light : NULL;
    const struct t3di_sample *without = NULL;
    size_t n = 0;

    for (size_t i = 0; i < x->n_samples && x->need_depth; i++)
        if (x->sample[i].n_depths < x->sample[i].n_views && !n++)
            without = &x->sample[i];
    if (!n)
        return T3D_OK;
    return t3d_err_set(err, T3D_USAGE, "no-depth",
                       "'%s' lacks depth pictures of %zu of %zu objects, of %s... first: run `t3d "
                       "render --passes color,depth --view-set %s --resolution %u%s%s`",
                       x->dir, n, x->n_samples, without->key, c->view_set, x->resolution,
                       light ? " --light " : "", light ? light : "");
}

static int check_found(const struct t3di_index *x, const struct t3d_loader_config *c,
                       const struct choosing *k, struct t3d_err *err)
{
    if (x->n_samples)
        return T3D_OK;
    if (!k->any_split)
        return t3d_err_set(err, T3D_USAGE, "no-split",
                           "no object has a split: run `t3d splits` first");
    return t3d_err_set(err, T3D_USAGE, "no-samples",
                       "'%s' holds no object of split %s%s that is rendered and accepted", x->dir,
                       c->split, c->need_captions ? " with a caption" : "");
}

int t3di_index_open(struct t3di_index *x, const struct t3d_loader_config *c, struct t3d_err *err)
{
    struct choosing k = {.split = t3d_split_from(c->split), .all = !c->uid};
    int r = choose_set(x, c, err);

    x->need_depth = c->need_depth;
    if (r == T3D_OK)
        r = choose_objects(&k, c, err);
    if (r == T3D_OK)
        r = add_shards(x, &k, err);
    if (r == T3D_OK)
        r = sort_samples(x, c->need_captions, err);
    if (r == T3D_OK)
        r = check_found(x, c, &k, err);
    if (r == T3D_OK)
        r = check_depth(x, c, err);
    if (r == T3D_OK)
        r = make_rounds(x, err);
    free(k.row);
    return r;
}

void t3di_index_close(struct t3di_index *x)
{
    for (size_t i = 0; i < x->n_blobs; i++)
        t3d_blob_close(&x->blob[i]);
    free(x->sample);
    free(x->picture);
    free(x->depth);
    t3d_arena_free(&x->arena);
}

struct t3d_caption t3di_caption(const struct t3di_sample *s, size_t i, size_t *n)
{
    const char *p = (const char *)s->text, *stop = p + s->text_size, *end;
    struct t3d_caption found = {0};

    *n = 0;
    for (; p < stop; p = end + 1) {
        end = memchr(p, '\n', (size_t)(stop - p));
        end = end ? end : stop;
        if (end > p && (*n)++ == i)
            found = (struct t3d_caption){p, (size_t)(end - p)};
    }
    return found;
}
