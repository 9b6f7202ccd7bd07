/* SPDX-License-Identifier: Apache-2.0 */
/* Random access: where is the sample of an object? In the .tar by its .idx, or in the .part by its
 * journal while a run goes on. Nothing is locked: what an index says is believed only if the bytes
 * there begin with a member of the key, and a shard that changes meanwhile is looked at again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "store/shard_impl.h"

enum { FILES = 64, LOOKS = 20, NAP_NS = 5000000 };

struct found {
    int fd; /* index into file[] + 1; 0 = nowhere */
    char key[T3DI_KEY + 1];
    uint64_t offset, size;
};

struct t3d_shard_finder {
    char *dir;
    int64_t shard; /* that the rest is about; -1 = none */
    int file[FILES], n_files;
    struct found found[T3D_SHARD_OBJECTS];
};

int t3d_shard_finder_open(struct t3d_shard_finder **out, const char *dir, struct t3d_err *err)
{
    struct t3d_shard_finder *f = calloc(1, sizeof *f);

    *out = NULL;
    if (!f || !(f->dir = strdup(dir))) {
        free(f);
        return t3d_err_nomem(err, "shards");
    }
    f->shard = -1;
    *out = f;
    return T3D_OK;
}

static void forget(struct t3d_shard_finder *f)
{
    for (int i = 0; i < f->n_files; i++)
        close(f->file[i]);
    f->n_files = 0;
    f->shard = -1;
    memset(f->found, 0, sizeof f->found);
}

void t3d_shard_finder_close(struct t3d_shard_finder *f)
{
    if (!f)
        return;
    forget(f);
    free(f->dir);
    free(f);
}

/* Index into file[] + 1, or 0. */
static int open_file(struct t3d_shard_finder *f, const char *path)
{
    int fd = f->n_files < FILES ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return 0;
    f->file[f->n_files++] = fd;
    return f->n_files;
}

/* Members of an object lie behind each other: the first line begins its range, the others end it.
 */
static void read_index(struct t3d_shard_finder *f, const char *path, int file)
{
    FILE *idx = fopen(path, "re");
    struct t3d_shard_entry e;
    char line[512];

    while (idx && fgets(line, sizeof line, idx)) {
        struct found *to;
        if (t3d_shard_entry_parse(line, &e, NULL) != T3D_OK ||
            e.num / T3D_SHARD_OBJECTS != f->shard || e.offset < T3DI_TAR_BLOCK)
            continue;
        to = &f->found[e.num % T3D_SHARD_OBJECTS];
        if (to->fd != file || strcmp(to->key, e.key) != 0) {
            *to = (struct found){.fd = file, .offset = e.offset - T3DI_TAR_BLOCK};
            memcpy(to->key, e.key, sizeof to->key);
        }
        to->size = e.offset - T3DI_TAR_BLOCK + t3di_tar_span(e.size) - to->offset;
    }
    if (idx)
        fclose(idx);
}

static void read_journal(struct t3d_shard_finder *f, const char *path, int file)
{
    FILE *journal = fopen(path, "re");
    struct t3di_slot s;
    char line[512];
    int at;

    while (journal && fgets(line, sizeof line, journal)) {
        size_t n = strlen(line);
        if (n && line[n - 1] == '\n')
            line[n - 1] = 0;
        if (t3di_note_parse(line, f->shard, &at, &s) < 0)
            continue;
        f->found[at] = (struct found){
            .fd = s.kind == T3DI_SLOT_PART ? file : 0, .offset = s.offset, .size = s.size};
        memcpy(f->found[at].key, s.key, sizeof s.key);
    }
    if (journal)
        fclose(journal);
}

/* What one writer's files say; stem is DIR/NNNNNN or DIR/NNNNNN.p<i>of<N>. */
static void look_at(struct t3d_shard_finder *f, const char *stem)
{
    char path[4096];
    int part, tar;

    snprintf(path, sizeof path, "%s.part", stem);
    part = open_file(f, path);
    snprintf(path, sizeof path, "%s.tar", stem);
    tar = open_file(f, path);
    snprintf(path, sizeof path, "%s.idx", stem);
    if (tar)
        read_index(f, path, tar);
    snprintf(path, sizeof path, "%s.journal", stem);
    /* Without a .part it has just become the .tar, byte for byte. */
    if (part || tar)
        read_journal(f, path, part ? part : tar);
}

/* Stems of parts of --shard i/N. */
static void look_at_parts(struct t3d_shard_finder *f, int64_t shard)
{
    char begin[32], stem[4096];
    DIR *d = opendir(f->dir);
    struct dirent *e;

    snprintf(begin, sizeof begin, "%06" PRId64 ".p", shard);
    while (d && (e = readdir(d))) {
        const char *ending = strrchr(e->d_name, '.');
        if (strncmp(e->d_name, begin, strlen(begin)) != 0 || !ending ||
            (strcmp(ending, ".journal") != 0 && strcmp(ending, ".idx") != 0) ||
            ending - e->d_name < (ptrdiff_t)strlen(begin))
            continue;
        snprintf(stem, sizeof stem, "%s/%.*s", f->dir, (int)(ending - e->d_name), e->d_name);
        look_at(f, stem);
    }
    if (d)
        closedir(d);
}

static void look(struct t3d_shard_finder *f, int64_t shard, int parts)
{
    char stem[4096];

    forget(f);
    f->shard = shard;
    snprintf(stem, sizeof stem, "%s/%06" PRId64, f->dir, shard);
    look_at(f, stem);
    if (parts)
        look_at_parts(f, shard);
}

/* Does the sample begin where the index says? */
static int is_there(const struct t3d_shard_finder *f, const struct found *at, const char *key)
{
    uint8_t block[T3DI_TAR_BLOCK];

    return at->fd && strcmp(at->key, key) == 0 &&
           pread(f->file[at->fd - 1], block, sizeof block, (off_t)at->offset) == sizeof block &&
           memcmp(block, key, T3DI_KEY) == 0 && block[T3DI_KEY] == '.';
}

int t3d_shard_find(struct t3d_shard_finder *f, int64_t num, const char *key,
                   struct t3d_shard_place *place, struct t3d_err *err)
{
    const struct found *at = num >= 0 ? &f->found[num % T3D_SHARD_OBJECTS] : NULL;
    struct timespec nap = {.tv_nsec = NAP_NS};

    if (!at)
        return T3D_END;
    for (int i = 0; f->shard != num / T3D_SHARD_OBJECTS || !is_there(f, at, key); i++) {
        if (i > 1 && (!at->fd || strcmp(at->key, key) != 0))
            return T3D_END; /* no index has it */
        if (i == LOOKS)
            return t3d_err_set(err, T3D_SKIP, "bad-shard",
                               "the index of shard %" PRId64
                               " in '%s' does not fit its tar: render "
                               "again",
                               num / T3D_SHARD_OBJECTS, f->dir);
        if (i > 1)
            nanosleep(&nap, NULL);
        look(f, num / T3D_SHARD_OBJECTS, i > 0);
    }
    place->fd = fcntl(f->file[at->fd - 1], F_DUPFD_CLOEXEC, 0);
    place->offset = at->offset;
    place->size = at->size;
    return place->fd < 0 ? t3d_err_sys(err, "cannot open a shard in", f->dir) : T3D_OK;
}

static int read_all(const struct t3d_shard_place *place, uint8_t *to, struct t3d_err *err)
{
    for (uint64_t done = 0; done < place->size;) {
        ssize_t n = pread(place->fd, to + done, place->size - done, (off_t)(place->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return t3d_err_sys(err, "cannot read", "a shard");
        if (n == 0)
            return t3d_err_set(err, T3D_SKIP, "bad-shard", "a shard ends amid a sample");
        done += (uint64_t)n;
    }
    return T3D_OK;
}

int t3d_shard_read(const struct t3d_shard_place *place, struct t3d_sample *s, struct t3d_arena *a,
                   struct t3d_err *err)
{
    struct t3di_tar_member m;
    uint8_t *data = t3d_alloc_raw(a, place->size, 1);
    uint64_t most = place->size / T3DI_TAR_BLOCK, pos = 0;
    int r = data ? read_all(place, data, err) : t3d_err_nomem(err, "a sample");

    if (r < 0)
        return r;
    memset(s, 0, sizeof *s);
    s->member = t3d_alloc(a, most, sizeof *s->member);
    s->key = t3d_strndup(a, (const char *)data, T3DI_KEY);
    if (!s->member || !s->key)
        return t3d_err_nomem(err, "a sample");
    while (r == T3D_OK && pos < place->size) {
        r = t3di_tar_next(data, place->size, &pos, &m, err);
        if (r == T3D_OK && (memcmp(m.name, s->key, T3DI_KEY) != 0 || m.name[T3DI_KEY] != '.'))
            r = T3D_END;
        if (r != T3D_OK)
            break;
        s->member[s->n].suffix = t3d_strdup(a, m.name + T3DI_KEY + 1);
        s->member[s->n].data = data + m.offset;
        s->member[s->n].size = m.size;
        if (!s->member[s->n++].suffix)
            return t3d_err_nomem(err, "a sample");
    }
    if (r == T3D_END)
        r = t3d_err_set(err, T3D_SKIP, "bad-shard", "sample %s has foreign bytes in it", s->key);
    return r;
}
