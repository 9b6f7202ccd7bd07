/* SPDX-License-Identifier: Apache-2.0 */
#include "store/stamp.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "store/content.h"

static long long nanoseconds(struct timespec t)
{
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void t3d_stamp_init(struct t3d_stamp *s)
{
    memset(s, 0, sizeof *s);
    s->f = open_memstream(&s->text, &s->size);
    clock_gettime(CLOCK_REALTIME, &s->start);
}

static int same_file(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && nanoseconds(a->st_mtim) == nanoseconds(b->st_mtim) &&
           nanoseconds(a->st_ctim) == nanoseconds(b->st_ctim);
}

int t3d_stamp_add(struct t3d_stamp *s, int fd, const struct stat *st, const char *sha256,
                  const char *name, struct t3d_err *err)
{
    struct stat now;

    if (fstat(fd, &now) < 0)
        return t3d_err_sys(err, "cannot look at", name);
    if (!same_file(st, &now))
        return t3d_err_set(err, T3D_SKIP, "changed-while-read",
                           "%s%s changed while it was read: fetch it again",
                           *name ? name : "the file", *name ? " beside it" : "");
    s->fresh |= nanoseconds(st->st_ctim) > nanoseconds(s->start) - 2000000000LL;
    /* A line holds one name. */
    s->fresh |= strchr(name, '\n') != NULL;
    if (s->f)
        fprintf(s->f, "%s %lld %lld %lld %s\n", sha256, (long long)st->st_size,
                nanoseconds(st->st_mtim), nanoseconds(st->st_ctim), name);
    return T3D_OK;
}

void t3d_stamp_add_missing(struct t3d_stamp *s, const char *name, int watch)
{
    s->fresh |= strchr(name, '\n') != NULL;
    if (s->f && watch)
        fprintf(s->f, "- 0 0 0 %s\n", name);
}

void t3d_stamp_fini(struct t3d_stamp *s)
{
    if (s->f)
        fclose(s->f);
    free(s->text);
    memset(s, 0, sizeof *s);
}

int t3d_stamp_text(struct t3d_stamp *s, const char *content, const char **text, struct t3d_arena *a,
                   struct t3d_err *err)
{
    int bad = !s->f || fclose(s->f) != 0;

    s->f = NULL;
    *text = bad ? NULL : s->fresh ? "" : t3d_sprintf(a, "%s\n%s", content, s->text);
    t3d_stamp_fini(s);
    return *text ? T3D_OK : t3d_err_nomem(err, "a stamp");
}

/* The copy in the store, of this size (-1 = any). */
static int is_stored(struct t3d_arena *a, const char *workspace, const char *sha256,
                     const char *ending, long long size)
{
    char *path = t3d_content_path(a, workspace, sha256, ending);
    struct stat st;

    return path && stat(path, &st) == 0 && (size < 0 || st.st_size == size);
}

static int line_holds(struct t3d_arena *a, const char *line, size_t n, const char *workspace,
                      const char *path, const char *folder)
{
    char sha256[65], ending[16], *name;
    long long size, mtime, ctime;
    struct stat st;
    int at = 0;

    if (sscanf(line, "%64s %lld %lld %lld%n", sha256, &size, &mtime, &ctime, &at) != 4 ||
        (size_t)at >= n)
        return 0;
    name = t3d_strndup(a, line + at + 1, n - (size_t)at - 1);
    if (name && *name)
        path = t3d_path_join(a, folder, name);
    if (!name || !path)
        return 0;
    if (strcmp(sha256, "-") == 0)
        return stat(path, &st) < 0;
    t3d_content_ending(path, ending);
    return stat(path, &st) == 0 && st.st_size == size && nanoseconds(st.st_mtim) == mtime &&
           nanoseconds(st.st_ctim) == ctime && is_stored(a, workspace, sha256, ending, size);
}

int t3d_stamp_holds(const char *text, const char *workspace, const char *path, const char *folder)
{
    struct t3d_arena a = {0};
    const char *end = text ? strchr(text, '\n') : NULL, *line;
    char content[65];
    int holds = end && end - text == 64, files = 0;

    if (!holds)
        return 0;
    memcpy(content, text, 64);
    content[64] = 0;
    for (line = end + 1; holds && *line && (end = strchr(line, '\n')); line = end + 1) {
        holds = line_holds(&a, line, (size_t)(end - line), workspace, path, folder);
        files += *line != '-';
    }
    if (holds && files > 1)
        holds = is_stored(&a, workspace, content, "parts", -1);
    t3d_arena_free(&a);
    return holds && files > 0;
}

int t3d_stamp_is_stored(const char *text, const char *workspace, const char *ending)
{
    struct t3d_arena a = {0};
    char content[65];
    int r;

    if (!text || strcspn(text, "\n") != 64)
        return 0;
    memcpy(content, text, 64);
    content[64] = 0;
    r = is_stored(&a, workspace, content, ending, -1);
    t3d_arena_free(&a);
    return r;
}
