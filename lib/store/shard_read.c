/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "store/shard_impl.h"

struct t3d_shard_reader {
    struct t3d_blob blob;
    uint64_t pos;
    char *path;
};

int t3d_shard_reader_open(struct t3d_shard_reader **out, const char *path, struct t3d_err *err)
{
    struct t3d_shard_reader *r = calloc(1, sizeof *r);
    int s;

    *out = NULL;
    if (!r || !(r->path = strdup(path))) {
        free(r);
        return t3d_err_nomem(err, path);
    }
    s = t3d_blob_open(&r->blob, path, 0, err);
    if (s < 0) {
        t3d_shard_reader_close(r);
        return s;
    }
    *out = r;
    return T3D_OK;
}

void t3d_shard_reader_close(struct t3d_shard_reader *r)
{
    if (!r)
        return;
    t3d_blob_close(&r->blob);
    free(r->path);
    free(r);
}

static int next_member(struct t3d_shard_reader *r, uint64_t *pos, struct t3di_tar_member *m,
                       struct t3d_err *err)
{
    int s = t3di_tar_next(r->blob.data, r->blob.size, pos, m, err);

    if (s == T3D_OK && !t3di_key_valid(m->name, '.'))
        s = t3d_err_set(err, T3D_SKIP, "bad-shard", "member '%s' does not begin with a key",
                        m->name);
    return s < 0 ? t3d_err_prefix(err ? err : &(struct t3d_err){.code = s}, "'%s'", r->path) : s;
}

/* Members from r->pos that share a key. */
static int count_members(struct t3d_shard_reader *r, char key[T3DI_KEY + 1], size_t *n,
                         struct t3d_err *err)
{
    struct t3di_tar_member m;
    uint64_t pos = r->pos;
    int s;

    *n = 0;
    while ((s = next_member(r, &pos, &m, err)) == T3D_OK) {
        if (*n == 0)
            snprintf(key, T3DI_KEY + 1, "%.32s", m.name);
        else if (memcmp(key, m.name, T3DI_KEY) != 0)
            break;
        ++*n;
    }
    return s < 0 ? s : *n ? T3D_OK : T3D_END;
}

int t3d_shard_reader_next(struct t3d_shard_reader *r, struct t3d_sample *out, struct t3d_arena *a,
                          struct t3d_err *err)
{
    struct t3di_tar_member m;
    char key[T3DI_KEY + 1];
    size_t n;
    int s = count_members(r, key, &n, err);

    if (s != T3D_OK)
        return s;
    out->key = t3d_strdup(a, key);
    out->member = t3d_alloc(a, n, sizeof *out->member);
    out->n = n;
    if (!out->key || !out->member)
        return t3d_err_nomem(err, r->path);
    for (size_t i = 0; i < n; i++) {
        s = next_member(r, &r->pos, &m, err);
        if (s != T3D_OK)
            return s;
        out->member[i].suffix = t3d_strdup(a, m.name + T3DI_KEY + 1);
        out->member[i].data = r->blob.data + m.offset;
        out->member[i].size = m.size;
        if (!out->member[i].suffix)
            return t3d_err_nomem(err, r->path);
    }
    return T3D_OK;
}

/* --- index
 * ----------------------------------------------------------------------------------------- */

int t3d_shard_entry_parse(const char *line, struct t3d_shard_entry *e, struct t3d_err *err)
{
    int end = 0;

    if (sscanf(line,
               "{\"key\":\"%32[0-9a-f]\",\"member\":\"%100[^\"]\",\"offset\":%" SCNu64
               ",\"size\":%" SCNu64 ",\"num\":%" SCNd64 "}%n",
               e->key, e->member, &e->offset, &e->size, &e->num, &end) == 5 &&
        end && (!line[end] || line[end] == '\n') && t3di_key_valid(e->key, 0) && e->num >= 0 &&
        strncmp(e->member, e->key, T3DI_KEY) == 0)
        return T3D_OK;
    return t3d_err_set(err, T3D_SKIP, "bad-index", "'%.120s' is not a line of a shard index", line);
}

/* Only the last field of each line is looked at: a million objects have 22 million lines. */
int t3di_index_have(const char *idx, const char *tar, int64_t shard,
                    uint8_t have[T3D_SHARD_OBJECTS], struct t3d_err *err)
{
    struct t3d_err missing = {0};
    struct t3d_blob b;
    int r;

    memset(have, 0, T3D_SHARD_OBJECTS);
    if (access(tar, F_OK) < 0)
        return T3D_OK;
    r = t3d_blob_open(&b, idx, 0, &missing);
    if (r == T3D_SKIP)
        return T3D_OK;
    if (r < 0) {
        if (err)
            *err = missing;
        return r;
    }
    for (const uint8_t *p = b.data, *end; (end = memchr(p, '\n', (size_t)(b.data + b.size - p)));
         p = end + 1) {
        const uint8_t *d = end - 1;
        int64_t num = 0, ten = 1;
        if (d <= p || *d != '}')
            continue;
        while (--d > p && *d >= '0' && *d <= '9' && ten < INT64_MAX / 100) {
            num += (*d - '0') * ten;
            ten *= 10;
        }
        if (*d == ':' && ten > 1 && num / T3D_SHARD_OBJECTS == shard)
            have[num % T3D_SHARD_OBJECTS] = 1;
    }
    t3d_blob_close(&b);
    return T3D_OK;
}

/* --- check
 * ----------------------------------------------------------------------------------------- */

struct check {
    FILE *idx;
    char *path;
    char key[T3DI_KEY + 1], last[T3DI_TAR_NAME];
    int64_t num;
    char (*seen)[T3DI_KEY + 1];
    size_t n_seen;
    uint64_t members;
};

/* Order within and between objects; keys are unique in the shard. */
static int check_order(struct check *c, const struct t3di_tar_member *m,
                       const struct t3d_shard_entry *e, struct t3d_err *err)
{
    if (memcmp(c->key, m->name, T3DI_KEY) == 0) {
        if (strcmp(c->last, m->name) >= 0 || e->num != c->num)
            return t3d_err_set(err, T3D_SKIP, "bad-shard", "member '%s' is out of order", m->name);
    } else {
        for (size_t i = 0; i < c->n_seen; i++)
            if (memcmp(c->seen[i], m->name, T3DI_KEY) == 0)
                return t3d_err_set(err, T3D_SKIP, "bad-shard", "key %s is there twice", c->seen[i]);
        if (e->num <= c->num || c->n_seen == T3D_SHARD_OBJECTS)
            return t3d_err_set(err, T3D_SKIP, "bad-shard",
                               "object %.32s (number %" PRId64 ") is out of order", m->name,
                               e->num);
        snprintf(c->key, sizeof c->key, "%.32s", m->name);
        memcpy(c->seen[c->n_seen++], c->key, sizeof c->key);
    }
    snprintf(c->last, sizeof c->last, "%s", m->name);
    c->num = e->num;
    return T3D_OK;
}

/* Pictures have checksums of their own, descriptions a syntax. */
static int check_data(const uint8_t *data, const struct t3di_tar_member *m, struct t3d_err *err)
{
    const char *ending = t3d_path_ending(m->name);
    int good = 1;

    if (strcmp(ending, "png") == 0) {
        good = t3di_png_sound(data + m->offset, m->size);
    } else if (strcmp(ending, "json") == 0) {
        cJSON *o = cJSON_ParseWithLength((const char *)data + m->offset, m->size);
        good = o != NULL;
        cJSON_Delete(o);
    }
    return good ? T3D_OK
                : t3d_err_set(err, T3D_SKIP, "bad-shard", "the bytes of '%s' are damaged", m->name);
}

static int check_member(struct check *c, const struct t3di_tar_member *m, struct t3d_err *err)
{
    struct t3d_shard_entry e;
    char line[512];
    int r;

    if (!t3di_key_valid(m->name, '.'))
        return t3d_err_set(err, T3D_SKIP, "bad-shard", "member '%s' does not begin with a key",
                           m->name);
    if (!fgets(line, sizeof line, c->idx))
        return t3d_err_set(err, T3D_SKIP, "bad-index", "the index has no line for member '%s'",
                           m->name);
    r = t3d_shard_entry_parse(line, &e, err);
    if (r == T3D_OK &&
        (strcmp(e.member, m->name) != 0 || e.offset != m->offset || e.size != m->size))
        r = t3d_err_set(err, T3D_SKIP, "bad-index",
                        "the index says '%s' at %" PRIu64 ", the tar has '%s' at %" PRIu64,
                        e.member, e.offset, m->name, m->offset);
    return r == T3D_OK ? check_order(c, m, &e, err) : r;
}

static int check_blob(struct check *c, const struct t3d_blob *b, struct t3d_err *err)
{
    struct t3di_tar_member m;
    char line[8];
    uint64_t pos = 0;
    int r;

    while ((r = t3di_tar_next(b->data, b->size, &pos, &m, err)) == T3D_OK)
        if ((r = check_member(c, &m, err)) < 0 || (r = check_data(b->data, &m, err)) < 0)
            break;
    if (r == T3D_END && fgets(line, sizeof line, c->idx))
        r = t3d_err_set(err, T3D_SKIP, "bad-index",
                        "the index has lines beyond the end of the tar");
    return r == T3D_END ? T3D_OK : r;
}

int t3d_shard_check(const char *path, struct t3d_err *err)
{
    struct check c = {.num = -1};
    struct t3d_err local = {0};
    struct t3d_blob b = {0};
    size_t n = strlen(path);
    int r = T3D_OK;

    err = err ? err : &local;
    c.seen = calloc(T3D_SHARD_OBJECTS, sizeof *c.seen);
    if (n < 4 || asprintf(&c.path, "%.*s.idx", (int)(n - 4), path) < 0)
        c.path = NULL;
    if (!c.seen || !c.path)
        r = t3d_err_nomem(err, path);
    if (r == T3D_OK)
        r = t3d_blob_open(&b, path, 0, err);
    if (r == T3D_OK && !(c.idx = fopen(c.path, "re")))
        r = t3d_err_set(err, T3D_SKIP, "bad-index", "the shard has no index '%s'", c.path);
    if (r == T3D_OK && (r = check_blob(&c, &b, err)) < 0)
        t3d_err_prefix(err, "'%s'", path);
    if (c.idx)
        fclose(c.idx);
    t3d_blob_close(&b);
    free(c.path);
    free(c.seen);
    return r;
}
