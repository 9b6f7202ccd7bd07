/* SPDX-License-Identifier: Apache-2.0 */
/* .tar + .part -> .tar, by number. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "store/shard_impl.h"

/* One object of the shard: where its bytes are. */
struct range {
    int from; /* 0 = nowhere, 1 = old .tar, 2 = .part */
    char key[T3DI_KEY + 1];
    uint64_t offset, size;
};

struct merge {
    struct t3di_part *p;
    struct t3d_blob old; /* the .tar there is; size 0 = none */
    struct range range[T3D_SHARD_OBJECTS];
    uint64_t total; /* bytes of all ranges */
    size_t n;
};

/* Number of an object in the old .tar: the journal knows the new ones (also when the .tar is
 * already the new one), the .idx the others. -1 = neither: it cannot be placed and is left out, to
 * be done again. */
static int place(const struct merge *m, const struct t3d_shard_entry *known, size_t n_known,
                 const char *key)
{
    for (int i = 0; i < T3D_SHARD_OBJECTS; i++)
        if (m->p->slot[i].kind != T3DI_SLOT_NONE && strcmp(m->p->slot[i].key, key) == 0)
            return i;
    for (size_t i = 0; i < n_known; i++)
        if (strcmp(known[i].key, key) == 0)
            return (int)(known[i].num % T3D_SHARD_OBJECTS);
    return -1;
}

/* The (key, num) pairs of the .idx; none when it is missing or damaged. */
static int read_known(const struct merge *m, struct t3d_shard_entry *known, size_t *n,
                      struct t3d_err *err)
{
    FILE *f = fopen(m->p->idx, "re");
    char line[512];

    *n = 0;
    if (!f && errno != ENOENT)
        return t3d_err_sys(err, "cannot read", m->p->idx);
    while (f && *n < T3D_SHARD_OBJECTS && fgets(line, sizeof line, f)) {
        struct t3d_shard_entry *e = &known[*n];
        if (t3d_shard_entry_parse(line, e, NULL) != T3D_OK ||
            e->num / T3D_SHARD_OBJECTS != m->p->shard)
            continue;
        if (*n == 0 || strcmp(e->key, known[*n - 1].key) != 0)
            ++*n;
    }
    if (f)
        fclose(f);
    return T3D_OK;
}

/* Objects of the old .tar that the journal does not replace or remove. */
static int keep_old(struct merge *m, struct t3d_err *err)
{
    struct t3d_shard_entry *known = calloc(T3D_SHARD_OBJECTS, sizeof *known);
    struct t3di_tar_member member;
    uint64_t pos = 0, at = 0;
    size_t n_known;
    int r = known ? read_known(m, known, &n_known, err) : t3d_err_nomem(err, m->p->tar);

    while (r == T3D_OK && t3di_tar_next(m->old.data, m->old.size, &pos, &member, NULL) == T3D_OK) {
        int i = -1;
        if (t3di_key_valid(member.name, '.')) {
            member.name[T3DI_KEY] = 0;
            i = place(m, known, n_known, member.name);
        }
        if (i >= 0 &&
            (m->p->slot[i].kind == T3DI_SLOT_NONE || m->p->slot[i].kind == T3DI_SLOT_LOST)) {
            struct range *to = &m->range[i];
            if (!to->from) {
                to->from = 1;
                to->offset = at;
                memcpy(to->key, member.name, sizeof to->key);
            }
            if (to->from == 1 && to->offset + to->size == at && strcmp(to->key, member.name) == 0)
                to->size += pos - at;
        }
        at = pos;
    }
    free(known);
    return r;
}

static void plan_new(struct merge *m)
{
    for (int i = 0; i < T3D_SHARD_OBJECTS; i++) {
        const struct t3di_slot *s = &m->p->slot[i];
        if (s->kind != T3DI_SLOT_PART)
            continue;
        m->range[i] = (struct range){.from = 2, .offset = s->offset, .size = s->size};
        memcpy(m->range[i].key, s->key, sizeof s->key);
    }
}

/* 1 when the .part is, byte for byte, what the .tar shall be (less the end marker). */
static int in_order(struct merge *m)
{
    int ordered = 1;

    m->n = 0;
    m->total = 0;
    for (int i = 0; i < T3D_SHARD_OBJECTS; i++) {
        const struct range *r = &m->range[i];
        if (!r->from)
            continue;
        ordered &= r->from == 2 && r->offset == m->total;
        m->total += r->size;
        m->n++;
    }
    return ordered && m->total == m->p->end;
}

static int finish_by_rename(struct merge *m, struct t3d_err *err)
{
    static const uint8_t end[T3DI_TAR_END];
    struct t3di_part *p = m->p;
    int r = T3D_OK;

    if (lseek(p->part_fd, (off_t)p->end, SEEK_SET) < 0)
        r = t3d_err_sys(err, "cannot write", p->part);
    if (r == T3D_OK)
        r = t3d_write_all(p->part_fd, end, sizeof end, p->part, err);
    if (r == T3D_OK && fsync(p->part_fd) < 0)
        r = t3d_err_sys(err, "cannot write", p->part);
    if (r < 0) {
        (void)!ftruncate(p->part_fd, (off_t)p->end);
        return r;
    }
    return rename(p->part, p->tar) < 0 ? t3d_err_sys(err, "cannot rename to", p->tar) : T3D_OK;
}

static int copy_range(int from, uint64_t offset, uint64_t size, FILE *to, const char *name,
                      struct t3d_err *err)
{
    char *block = malloc(1 << 20);
    int r = block ? T3D_OK : t3d_err_nomem(err, name);

    while (size && r == T3D_OK) {
        size_t want = size < 1 << 20 ? (size_t)size : 1 << 20;
        ssize_t k = pread(from, block, want, (off_t)offset);
        if (k < 0 && errno == EINTR)
            continue;
        if (k == 0)
            errno = EIO;
        if (k <= 0 || fwrite(block, 1, (size_t)k, to) != (size_t)k) {
            r = t3d_err_sys(err, "cannot copy to", name);
            break;
        }
        offset += (uint64_t)k;
        size -= (uint64_t)k;
    }
    free(block);
    return r;
}

static int finish_by_copy(struct merge *m, struct t3d_err *err)
{
    static const uint8_t end[T3DI_TAR_END];
    struct t3di_part *p = m->p;
    struct t3d_out out = {0};
    int old = open(p->tar, O_RDONLY | O_CLOEXEC), r;

    r = old < 0 && errno != ENOENT ? t3d_err_sys(err, "cannot open", p->tar) : T3D_OK;
    if (r == T3D_OK)
        r = t3d_out_open(&out, p->tar, err);
    for (int i = 0; i < T3D_SHARD_OBJECTS && r == T3D_OK; i++) {
        const struct range *g = &m->range[i];
        if (g->from)
            r = copy_range(g->from == 1 ? old : p->part_fd, g->offset, g->size, out.f, p->tar, err);
    }
    if (r == T3D_OK && fwrite(end, 1, sizeof end, out.f) != sizeof end)
        r = t3d_err_sys(err, "cannot write", p->tar);
    if (r == T3D_OK)
        r = t3d_out_commit(&out, 1, err);
    t3d_out_abort(&out);
    if (old >= 0)
        close(old);
    return r;
}

/* The index from the finished .tar, whose objects are in the order of m->range. */
static int write_index(struct merge *m, struct t3d_err *err)
{
    struct t3di_tar_member member;
    struct t3d_blob tar;
    struct t3d_out out = {0};
    uint64_t pos = 0;
    int i = -1, r = t3d_blob_open(&tar, m->p->tar, 0, err);

    if (r < 0)
        return r == T3D_SKIP && err ? (err->code = T3D_FAIL) : r;
    r = t3d_out_open(&out, m->p->idx, err);
    while (r == T3D_OK && (r = t3di_tar_next(tar.data, tar.size, &pos, &member, err)) == T3D_OK) {
        while (i < 0 ||
               (i < T3D_SHARD_OBJECTS &&
                (!m->range[i].from || memcmp(m->range[i].key, member.name, T3DI_KEY) != 0)))
            i++;
        if (i == T3D_SHARD_OBJECTS)
            break;
        fprintf(out.f,
                "{\"key\":\"%.32s\",\"member\":\"%s\",\"offset\":%" PRIu64 ",\"size\":%" PRIu64
                ",\"num\":%" PRId64 "}\n",
                member.name, member.name, member.offset, member.size,
                m->p->shard * T3D_SHARD_OBJECTS + i);
    }
    if (r == T3D_OK || r == T3D_SKIP)
        r = t3d_err_set(err, T3D_FAIL, "bad-shard", "'%s' has changed while it was being finished",
                        m->p->tar);
    if (r == T3D_END)
        r = t3d_out_commit(&out, 1, err);
    t3d_out_abort(&out);
    t3d_blob_close(&tar);
    return r;
}

static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        (void)!fsync(fd);
        close(fd);
    }
    free(dir);
}

static int merge(struct merge *m, struct t3d_err *err)
{
    struct t3d_err missing = {0};
    int r = t3d_blob_open(&m->old, m->p->tar, 0, &missing), ordered;

    if (r < 0 && !(r == T3D_SKIP && strcmp(missing.reason, "missing-file") == 0)) {
        if (err)
            *err = missing;
        return r == T3D_SKIP ? (err ? err->code = T3D_FAIL : T3D_FAIL) : r;
    }
    r = keep_old(m, err);
    t3d_blob_close(&m->old);
    if (r < 0)
        return r;
    plan_new(m);
    ordered = in_order(m);
    if (m->n == 0) {
        unlink(m->p->tar);
        unlink(m->p->idx);
        return T3D_OK;
    }
    r = ordered ? finish_by_rename(m, err) : finish_by_copy(m, err);
    return r == T3D_OK ? write_index(m, err) : r;
}

int t3di_part_finish(struct t3di_part *p, struct t3d_err *err)
{
    struct merge *m = calloc(1, sizeof *m);
    int r;

    if (!m) {
        t3di_part_unlock(p);
        return t3d_err_nomem(err, p->tar);
    }
    m->p = p;
    r = merge(m, err);
    free(m);
    if (r == T3D_OK) {
        sync_folder(p->tar);
        unlink(p->part);
        unlink(p->journal);
        unlink(p->lock);
    }
    t3di_part_unlock(p);
    return r;
}
