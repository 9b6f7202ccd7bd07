/* SPDX-License-Identifier: Apache-2.0 */
/* The .part and .journal of one shard: locking, repair, appending. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "store/shard_impl.h"

static char *path(const char *dir, int64_t shard, const char *suffix, const char *ending)
{
    char *s = NULL;

    return asprintf(&s, "%s/%06" PRId64 "%s.%s", dir, shard, suffix, ending) < 0 ? NULL : s;
}

int t3di_part_init(struct t3di_part *p, const char *dir, int64_t shard, const char *suffix,
                   struct t3d_err *err)
{
    memset(p, 0, sizeof *p);
    p->shard = shard;
    p->lock_fd = p->part_fd = p->journal_fd = -1;
    p->tar = path(dir, shard, suffix, "tar");
    p->idx = path(dir, shard, suffix, "idx");
    p->part = path(dir, shard, suffix, "part");
    p->journal = path(dir, shard, suffix, "journal");
    p->lock = path(dir, shard, suffix, "lock");
    if (p->tar && p->idx && p->part && p->journal && p->lock)
        return T3D_OK;
    t3di_part_fini(p);
    return t3d_err_nomem(err, dir);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_files(struct t3di_part *p)
{
    close_fd(&p->part_fd);
    close_fd(&p->journal_fd);
    memset(p->slot, 0, sizeof p->slot);
    p->end = p->journal_end = 0;
}

void t3di_part_fini(struct t3di_part *p)
{
    close_files(p);
    close_fd(&p->lock_fd);
    free(p->tar);
    free(p->idx);
    free(p->part);
    free(p->journal);
    free(p->lock);
    memset(p, 0, sizeof *p);
    p->shard = -1;
    p->lock_fd = p->part_fd = p->journal_fd = -1;
}

/* Is fd still the file that path names? */
static int same_file(int fd, const char *name)
{
    struct stat a, b;

    return fd >= 0 && fstat(fd, &a) == 0 && stat(name, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* The lock file is removed by whoever finishes the shard, so the lock counts only if the file is
 * still the one that the path names. */
static int take_lock(struct t3di_part *p, struct t3d_err *err)
{
    for (;;) {
        if (p->lock_fd < 0)
            p->lock_fd = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (p->lock_fd < 0)
            return t3d_err_sys(err, "cannot create the lock", p->lock);
        if (flock(p->lock_fd, LOCK_EX) < 0) {
            if (errno == EINTR)
                continue;
            return t3d_err_sys(err, "cannot lock", p->lock);
        }
        if (same_file(p->lock_fd, p->lock))
            return T3D_OK;
        close_fd(&p->lock_fd);
    }
}

void t3di_part_unlock(struct t3di_part *p)
{
    if (p->lock_fd >= 0)
        flock(p->lock_fd, LOCK_UN);
}

int t3di_note_parse(const char *line, int64_t shard, int *at, struct t3di_slot *s)
{
    int64_t num;
    int end = 0;

    if (sscanf(line,
               "{\"num\":%" SCNd64 ",\"key\":\"%32[0-9a-f]\",\"offset\":%" SCNu64
               ",\"size\":%" SCNu64 "}%n",
               &num, s->key, &s->offset, &s->size, &end) != 4 ||
        !end || line[end] || !t3di_key_valid(s->key, 0) || num < 0 ||
        num / T3D_SHARD_OBJECTS != shard)
        return -1;
    if (s->offset > UINT64_MAX - s->size)
        return -1;
    *at = (int)(num % T3D_SHARD_OBJECTS);
    s->kind = s->size ? T3DI_SLOT_PART : T3DI_SLOT_GONE;
    return 0;
}

/* Do the bytes of a slot look like one object: headers whole, all of its key? What a power cut has
 * left full of zeros does not. */
static int slot_whole(const struct t3di_part *p, const struct t3di_slot *s)
{
    uint8_t block[T3DI_TAR_BLOCK + T3DI_TAR_END] = {0};
    uint64_t at = 0;

    while (at < s->size) {
        struct t3di_tar_member m;
        uint64_t pos = 0;
        /* The header alone, seen as a tar with exactly the room that is left. */
        if (pread(p->part_fd, block, T3DI_TAR_BLOCK, (off_t)(s->offset + at)) != T3DI_TAR_BLOCK)
            return 0;
        if (t3di_tar_next(block, s->size - at, &pos, &m, NULL) != T3D_OK ||
            memcmp(m.name, s->key, T3DI_KEY) != 0 || m.name[T3DI_KEY] != '.')
            return 0;
        at += pos;
    }
    return at == s->size;
}

static void apply_note(struct t3di_part *p, const char *line, uint64_t part_size, int check)
{
    struct t3di_slot s;
    int at;

    if (t3di_note_parse(line, p->shard, &at, &s) < 0)
        return;
    if (s.kind == T3DI_SLOT_PART) {
        uint64_t end = s.offset + s.size;
        if (end > part_size || (check && !slot_whole(p, &s)))
            s.kind = T3DI_SLOT_LOST;
        else if (end > p->end)
            p->end = end;
    }
    p->slot[at] = s;
}

/* Read the lines behind journal_end. */
static int read_journal(struct t3di_part *p, struct t3d_err *err)
{
    struct stat part, journal;
    int check = p->journal_end == 0; /* written before we opened it: by a run that may be dead */
    size_t n;
    char *text, *line, *end;
    ssize_t k;

    if (fstat(p->part_fd, &part) < 0 || fstat(p->journal_fd, &journal) < 0)
        return t3d_err_sys(err, "cannot look at", p->journal);
    if ((uint64_t)journal.st_size <= p->journal_end)
        return T3D_OK;
    n = (size_t)journal.st_size - p->journal_end;
    text = malloc(n + 1);
    if (!text)
        return t3d_err_nomem(err, p->journal);
    k = pread(p->journal_fd, text, n, (off_t)p->journal_end);
    if (k < 0) {
        free(text);
        return t3d_err_sys(err, "cannot read", p->journal);
    }
    text[k] = 0;
    for (line = text; (end = memchr(line, '\n', (size_t)(text + k - line))); line = end + 1) {
        *end = 0;
        apply_note(p, line, (uint64_t)part.st_size, check);
    }
    p->journal_end += (uint64_t)(line - text);
    free(text);
    return T3D_OK;
}

static int open_files(struct t3di_part *p, int create, struct t3d_err *err)
{
    int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0);

    p->journal_fd = open(p->journal, flags, 0666);
    if (p->journal_fd < 0 && errno == ENOENT && !create)
        return T3D_END;
    if (p->journal_fd < 0)
        return t3d_err_sys(err, "cannot open", p->journal);
    p->part_fd = open(p->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->part_fd < 0)
        return t3d_err_sys(err, "cannot open", p->part);
    return T3D_OK;
}

/* A part whose rename to .tar was the last thing a dead run did: finish what it began before
 * anything new is added, since a new .part would make its notes mean something else. */
static int complete_rename(struct t3di_part *p, struct t3d_err *err)
{
    int r;

    if (access(p->journal, F_OK) < 0 || access(p->part, F_OK) == 0)
        return T3D_OK;
    close_files(p);
    r = open_files(p, 0, err);
    if (r == T3D_OK)
        r = read_journal(p, err);
    if (r == T3D_OK)
        r = t3di_part_finish(p, err);
    close_files(p);
    return r < 0 ? r : T3D_RETRY;
}

int t3di_part_lock(struct t3di_part *p, int create, struct t3d_err *err)
{
    int r = take_lock(p, err);

    if (r < 0)
        return r;
    while ((r = complete_rename(p, err)) == T3D_RETRY) {
        r = take_lock(p, err);
        if (r < 0)
            return r;
    }
    if (r == T3D_OK && !(same_file(p->journal_fd, p->journal) && same_file(p->part_fd, p->part))) {
        close_files(p);
        r = open_files(p, create, err);
    }
    if (r == T3D_OK)
        r = read_journal(p, err);
    /* Torn tails: nobody else is writing while we hold the lock. */
    if (r == T3D_OK && (ftruncate(p->part_fd, (off_t)p->end) < 0 ||
                        ftruncate(p->journal_fd, (off_t)p->journal_end) < 0))
        r = t3d_err_sys(err, "cannot cut the torn tail of", p->part);
    if (r != T3D_OK) {
        close_files(p);
        if (r == T3D_END)
            unlink(p->lock); /* made by this look; free for others by the check in take_lock */
        close_fd(&p->lock_fd);
    }
    return r;
}

int t3di_part_note(struct t3di_part *p, int64_t num, const struct t3di_slot *s, struct t3d_err *err)
{
    char line[160];
    int n = snprintf(line, sizeof line,
                     "{\"num\":%" PRId64 ",\"key\":\"%s\",\"offset\":%" PRIu64 ",\"size\":%" PRIu64
                     "}\n",
                     num, s->key, s->offset, s->size);
    int r = T3D_OK;

    if (lseek(p->journal_fd, (off_t)p->journal_end, SEEK_SET) < 0)
        r = t3d_err_sys(err, "cannot write", p->journal);
    if (r == T3D_OK)
        r = t3d_write_all(p->journal_fd, line, (size_t)n, p->journal, err);
    if (r < 0) {
        (void)!ftruncate(p->journal_fd, (off_t)p->journal_end);
        return r;
    }
    p->journal_end += (uint64_t)n;
    p->slot[num % T3D_SHARD_OBJECTS] = *s;
    if (s->kind == T3DI_SLOT_PART)
        p->end = s->offset + s->size;
    return T3D_OK;
}
