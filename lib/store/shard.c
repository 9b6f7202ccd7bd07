/* SPDX-License-Identifier: Apache-2.0 */
#include "store/shard.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "store/run_impl.h"
#include "store/shard_impl.h"

enum { OPEN_PARTS = 8 };

struct t3d_shards {
    char *dir;
    char suffix[32]; /* "" or ".p<i>of<N>" */
    struct t3di_part part[OPEN_PARTS];
    uint64_t clock;
    uint8_t *buffer; /* one object as tar bytes */
    size_t capacity;
    int64_t seen; /* shard that have[] is about; -1 = none */
    uint8_t have[T3D_SHARD_OBJECTS];
};

static struct t3di_part *find_open(struct t3d_shards *s, int64_t shard)
{
    for (int i = 0; i < OPEN_PARTS; i++)
        if (s->part[i].shard == shard)
            return &s->part[i];
    return NULL;
}

/* The shard's place among the open ones; the one used longest ago gives way. */
static int open_part(struct t3d_shards *s, int64_t shard, struct t3di_part **out,
                     struct t3d_err *err)
{
    struct t3di_part *p = find_open(s, shard);
    int r = T3D_OK;

    if (!p) {
        p = &s->part[0];
        for (int i = 1; i < OPEN_PARTS; i++)
            if (s->part[i].used < p->used)
                p = &s->part[i];
        t3di_part_fini(p);
        r = t3di_part_init(p, s->dir, shard, s->suffix, err);
        if (r < 0)
            p->shard = -1;
    }
    p->used = ++s->clock;
    *out = p;
    return r;
}

/* 1 and the number when name is NNNNNN<suffix>.journal. */
static int journal_name(const struct t3d_shards *s, const char *name, int64_t *shard)
{
    char *end, want[64];

    if (*name < '0' || *name > '9')
        return 0;
    errno = 0;
    *shard = strtoll(name, &end, 10);
    snprintf(want, sizeof want, "%06" PRId64 "%s.journal", *shard, s->suffix);
    return errno == 0 && strcmp(name, want) == 0;
}

static int compare_shards(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Numbers of the shards that have a journal, ascending. */
static int list_journals(const struct t3d_shards *s, int64_t **list, size_t *n, struct t3d_err *err)
{
    DIR *d = opendir(s->dir);
    struct dirent *e;
    int64_t shard;
    int r = d ? T3D_OK : t3d_err_sys(err, "cannot list", s->dir);

    *list = NULL;
    *n = 0;
    while (r == T3D_OK && (e = readdir(d))) {
        if (!journal_name(s, e->d_name, &shard))
            continue;
        if ((*n & (*n - 1)) == 0) {
            int64_t *more = realloc(*list, (*n ? 2 * *n : 1) * sizeof *more);
            if (!more) {
                r = t3d_err_nomem(err, s->dir);
                break;
            }
            *list = more;
        }
        (*list)[(*n)++] = shard;
    }
    if (d)
        closedir(d);
    if (*n)
        qsort(*list, *n, sizeof **list, compare_shards);
    return r;
}

/* Repair what dead runs left: t3di_part_lock does it. */
static int repair(struct t3d_shards *s, struct t3d_err *err)
{
    int64_t *list;
    size_t n;
    int r = list_journals(s, &list, &n, err);

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        struct t3di_part *p;
        r = open_part(s, list[i], &p, err);
        if (r == T3D_OK)
            r = t3di_part_lock(p, 0, err);
        if (r == T3D_OK)
            t3di_part_unlock(p);
        if (r == T3D_END)
            r = T3D_OK;
    }
    free(list);
    return r;
}

int t3d_shards_open(struct t3d_shards **out, const char *dir, uint32_t index, uint32_t count,
                    struct t3d_err *err)
{
    struct t3d_shards *s = calloc(1, sizeof *s);
    int r;

    *out = NULL;
    if (!s || !(s->dir = strdup(dir))) {
        free(s);
        return t3d_err_nomem(err, "shards");
    }
    s->seen = -1;
    for (int i = 0; i < OPEN_PARTS; i++) {
        memset(&s->part[i], 0, sizeof s->part[i]);
        s->part[i].shard = -1;
        s->part[i].lock_fd = s->part[i].part_fd = s->part[i].journal_fd = -1;
    }
    if (count > 1)
        snprintf(s->suffix, sizeof s->suffix, ".p%" PRIu32 "of%" PRIu32, index, count);
    r = t3d_make_dirs(dir, err);
    if (r == T3D_OK) {
        t3di_remove_stale(dir);
        r = repair(s, err);
    }
    if (r < 0) {
        t3d_shards_close(s);
        return r;
    }
    *out = s;
    return T3D_OK;
}

void t3d_shards_close(struct t3d_shards *s)
{
    if (!s)
        return;
    for (int i = 0; i < OPEN_PARTS; i++)
        t3di_part_fini(&s->part[i]);
    free(s->buffer);
    free(s->dir);
    free(s);
}

/* --- put
 * ------------------------------------------------------------------------------------------- */

static int compare_members(const void *a, const void *b)
{
    return strcmp((*(const struct t3d_member *const *)a)->suffix,
                  (*(const struct t3d_member *const *)b)->suffix);
}

static int reserve(struct t3d_shards *s, size_t n, struct t3d_err *err)
{
    uint8_t *more;

    if (n <= s->capacity)
        return T3D_OK;
    more = realloc(s->buffer, n);
    if (!more)
        return t3d_err_nomem(err, "a shard");
    s->buffer = more;
    s->capacity = n;
    return T3D_OK;
}

static int pack_members(struct t3d_shards *s, const char *key,
                        const struct t3d_member *const *member, size_t n, uint64_t *bytes,
                        struct t3d_err *err)
{
    uint64_t at = 0, total = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        total += t3di_tar_span(member[i]->size);
    r = reserve(s, total, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        char name[256];
        uint64_t span = t3di_tar_span(member[i]->size),
                 pad = span - T3DI_TAR_BLOCK - member[i]->size;
        snprintf(name, sizeof name, "%s.%s", key, member[i]->suffix);
        if (i && strcmp(member[i]->suffix, member[i - 1]->suffix) == 0)
            return t3d_err_set(err, T3D_SKIP, "bad-member", "member '%s' is given twice", name);
        r = t3di_tar_header(s->buffer + at, name, member[i]->size, err);
        if (r < 0)
            return r;
        if (member[i]->size)
            memcpy(s->buffer + at + T3DI_TAR_BLOCK, member[i]->data, member[i]->size);
        memset(s->buffer + at + span - pad, 0, pad);
        at += span;
    }
    *bytes = total;
    return r;
}

/* The object as tar bytes into s->buffer, members sorted by name. */
static int pack(struct t3d_shards *s, const char *key, const struct t3d_member *member, size_t n,
                uint64_t *bytes, struct t3d_err *err)
{
    const struct t3d_member **sorted;
    int r;

    if (strlen(key) != T3DI_KEY || !t3di_key_valid(key, 0))
        return t3d_err_set(err, T3D_FAIL, "bad-key", "shard key '%.40s' is not 32 hex digits", key);
    if (n == 0)
        return t3d_err_set(err, T3D_SKIP, "bad-member", "object %s has no members", key);
    for (size_t i = 0; i < n; i++)
        if (member[i].size >> 33 || strlen(member[i].suffix) > 100 - T3DI_KEY - 1 ||
            strpbrk(member[i].suffix, "\"\\/\n"))
            return t3d_err_set(err, T3D_SKIP, "bad-member",
                               "member '%s.%.100s' of %zu bytes does not fit into ustar", key,
                               member[i].suffix, member[i].size);
    sorted = malloc(n * sizeof *sorted);
    if (!sorted)
        return t3d_err_nomem(err, "a shard");
    for (size_t i = 0; i < n; i++)
        sorted[i] = &member[i];
    qsort(sorted, n, sizeof *sorted, compare_members);
    r = pack_members(s, key, sorted, n, bytes, err);
    free(sorted);
    return r;
}

static int check_num(int64_t num, struct t3d_err *err)
{
    if (num >= 0)
        return T3D_OK;
    return t3d_err_set(err, T3D_FAIL, "bad-number", "object number %" PRId64 " is negative", num);
}

static int append(struct t3di_part *p, const uint8_t *data, uint64_t n, struct t3d_err *err)
{
    int r = T3D_OK;

    if (lseek(p->part_fd, (off_t)p->end, SEEK_SET) < 0)
        r = t3d_err_sys(err, "cannot write", p->part);
    if (r == T3D_OK)
        r = t3d_write_all(p->part_fd, data, n, p->part, err);
    if (r < 0)
        (void)!ftruncate(p->part_fd, (off_t)p->end);
    return r;
}

int t3d_shards_put(struct t3d_shards *s, int64_t num, const char *key,
                   const struct t3d_member *member, size_t n, struct t3d_err *err)
{
    struct t3di_slot slot = {.kind = T3DI_SLOT_PART};
    struct t3di_part *p;
    int r = check_num(num, err);

    if (r == T3D_OK)
        r = pack(s, key, member, n, &slot.size, err);
    if (r == T3D_OK)
        r = open_part(s, num / T3D_SHARD_OBJECTS, &p, err);
    if (r == T3D_OK)
        r = t3di_part_lock(p, 1, err);
    if (r < 0)
        return r;
    slot.offset = p->end;
    memcpy(slot.key, key, T3DI_KEY);
    r = append(p, s->buffer, slot.size, err);
    if (r == T3D_OK)
        r = t3di_part_note(p, num, &slot, err);
    t3di_part_unlock(p);
    s->seen = -1;
    return r;
}

int t3d_shards_remove(struct t3d_shards *s, int64_t num, struct t3d_err *err)
{
    struct t3di_slot slot = {.kind = T3DI_SLOT_GONE};
    struct t3di_part *p;
    int r;

    if (!t3d_shards_has(s, num))
        return T3D_OK;
    r = open_part(s, num / T3D_SHARD_OBJECTS, &p, err);
    if (r == T3D_OK)
        r = t3di_part_lock(p, 1, err);
    if (r < 0)
        return r;
    memset(slot.key, '0', T3DI_KEY);
    r = t3di_part_note(p, num, &slot, err);
    t3di_part_unlock(p);
    s->seen = -1;
    return r;
}

/* --- has
 * ------------------------------------------------------------------------------------------- */

static int look(struct t3d_shards *s, int64_t shard, struct t3d_err *err)
{
    struct t3di_part *p;
    int r = open_part(s, shard, &p, err);

    if (r == T3D_OK)
        r = t3di_index_have(p->idx, p->tar, shard, s->have, err);
    if (r == T3D_OK && access(p->journal, F_OK) == 0) {
        r = t3di_part_lock(p, 0, err);
        for (int i = 0; i < T3D_SHARD_OBJECTS && r == T3D_OK; i++) {
            if (p->slot[i].kind == T3DI_SLOT_PART)
                s->have[i] = 1;
            if (p->slot[i].kind == T3DI_SLOT_GONE)
                s->have[i] = 0;
        }
        if (r == T3D_OK)
            t3di_part_unlock(p);
        if (r == T3D_END) /* finished this moment */
            r = t3di_index_have(p->idx, p->tar, shard, s->have, err);
    }
    s->seen = r == T3D_OK ? shard : -1;
    return r;
}

int t3d_shards_has(struct t3d_shards *s, int64_t num)
{
    if (num < 0)
        return 0;
    if (s->seen != num / T3D_SHARD_OBJECTS && look(s, num / T3D_SHARD_OBJECTS, NULL) != T3D_OK)
        return 0;
    return s->have[num % T3D_SHARD_OBJECTS];
}

int t3d_shards_finish(struct t3d_shards *s, struct t3d_err *err)
{
    int64_t *list;
    size_t n;
    int r = list_journals(s, &list, &n, err);

    s->seen = -1;
    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        struct t3di_part *p;
        r = open_part(s, list[i], &p, err);
        if (r == T3D_OK)
            r = t3di_part_lock(p, 0, err);
        if (r == T3D_OK)
            r = t3di_part_finish(p, err);
        if (r == T3D_END)
            r = T3D_OK;
        t3di_part_fini(p);
    }
    free(list);
    return r;
}
