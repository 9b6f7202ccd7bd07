/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "base/walk.h"
#include "bench/bench_t3bench.h"

enum { MAX_FILE = 64 << 20, MAX_PROMPT = 4096 };

static int add(struct t3bench *b, const char *group, size_t number, const char *text, size_t size,
               struct t3d_err *err)
{
    struct t3bench_prompts *p = &b->prompts;

    if (p->n == p->capacity) {
        struct t3bench_prompt *more = realloc(p->item, (2 * p->capacity + 64) * sizeof *more);

        if (!more)
            return t3d_err_nomem(err, "the prompts");
        p->item = more;
        p->capacity = 2 * p->capacity + 64;
    }
    p->item[p->n] =
        (struct t3bench_prompt){.uid = t3d_sprintf(&b->arena, "%s/%03zu", group, number),
                                .group = group,
                                .text = t3d_strndup(&b->arena, text, size)};
    if (!p->item[p->n].uid || !p->item[p->n].text)
        return t3d_err_nomem(err, "the prompts");
    p->n++;
    return T3D_OK;
}

static int check_line(const char *path, size_t number, const char *line, size_t size,
                      struct t3d_err *err)
{
    if (size > MAX_PROMPT || memchr(line, 0, size) || t3d_utf8_valid(line, size) < size)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "'%s', line %zu is not a prompt: a line of UTF-8, at most %d bytes",
                           path, number, MAX_PROMPT);
    return T3D_OK;
}

/* prompt_single.txt is the set "single", any other NAME.txt the set "NAME". */
static char *group_of(struct t3bench *b, const char *path)
{
    const char *base = t3d_path_base(path), *ending = t3d_path_ending(path);
    size_t skip = strncmp(base, "prompt_", 7) == 0 && base[7] ? 7 : 0, n = strlen(base) - skip;

    if (*ending)
        n -= strlen(ending) + 1;
    return t3d_strndup(&b->arena, base + skip, n);
}

static int check_group(const struct t3bench *b, const char *path, const char *group,
                       struct t3d_err *err)
{
    size_t n = strlen(group);

    if (n < 1 || n > 64 || group[0] == '.' ||
        strspn(group, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != n)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "'%s': a file's name becomes that of its set, [A-Za-z0-9._-]{1,64}",
                           path);
    for (size_t i = 0; i < b->prompts.n; i++)
        if (strcmp(b->prompts.item[i].group, group) == 0)
            return t3d_err_set(err, T3D_USAGE, "usage", "'%s': there is a set '%s' already", path,
                               group);
    return T3D_OK;
}

static int read_lines(struct t3bench *b, const char *path, const char *group,
                      const struct t3d_blob *blob, struct t3d_err *err)
{
    const char *p = (const char *)blob->data, *end = p + blob->size;
    uint64_t left = b->conf->count ? b->conf->count : UINT64_MAX;
    size_t number = 0;
    int r = T3D_OK;

    while (p < end && left && r == T3D_OK) {
        const char *stop = memchr(p, '\n', (size_t)(end - p)), *line = p;
        size_t size = (size_t)((stop ? stop : end) - p);

        p += size + 1;
        number++;
        while (size && strchr(" \t\r", line[size - 1]))
            size--;
        while (size && strchr(" \t", *line)) {
            line++;
            size--;
        }
        if (!size)
            continue;
        left--;
        r = check_line(path, number, line, size, err);
        if (r == T3D_OK)
            r = add(b, group, number, line, size, err);
    }
    return r;
}

static int read_file(struct t3bench *b, const char *path, struct t3d_err *err)
{
    size_t before = b->prompts.n;
    char *group = group_of(b, path), hex[T3D_SHA256_HEX];
    struct t3d_blob blob;
    int r = group ? check_group(b, path, group, err) : t3d_err_nomem(err, path);

    if (r == T3D_OK)
        r = t3d_blob_open(&blob, path, MAX_FILE, err);
    if (r < 0)
        return r == T3D_SKIP ? t3d_err_set(err, T3D_USAGE, "usage", "%s", strdupa(err->msg)) : r;
    t3d_sha256_hex(blob.data, blob.size, hex);
    r = read_lines(b, path, group, &blob, err);
    t3d_blob_close(&blob);
    if (r == T3D_OK && b->prompts.n == before)
        r = t3d_err_set(err, T3D_USAGE, "usage", "'%s' has no prompt: one a line is wanted", path);
    t3d_report_input(b->report, t3d_path_base(path), hex);
    return r;
}

static int is_named(const struct t3d_walk_file *f)
{
    return strncmp(f->below, "prompt_", 7) == 0;
}

/* The .txt in it, below it none; where some are named as T3Bench's own, only these. */
static int read_folder(struct t3bench *b, const char *path, struct t3d_err *err)
{
    struct t3d_walk walk = {0};
    size_t n = 0, named = 0;
    int r = t3d_walk(&walk, &b->arena, &path, 1, "txt", err);

    for (size_t i = 0; r == T3D_OK && i < walk.n; i++)
        named += (size_t)is_named(&walk.file[i]);
    for (size_t i = 0; r == T3D_OK && i < walk.n; i++) {
        const struct t3d_walk_file *f = &walk.file[i];

        if (f->error || strchr(f->below, '/') || (named && !is_named(f)))
            continue;
        r = read_file(b, f->path, err);
        n++;
    }
    if (r == T3D_OK && n == 0)
        r = t3d_err_set(err, T3D_USAGE, "usage", "'%s' has no .txt with prompts", path);
    return r;
}

int t3bench_read_prompts(struct t3bench *b, struct t3d_err *err)
{
    const struct t3d_list *list = &b->conf->prompts;
    int r = T3D_OK;

    if (list->n == 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "name the prompts: --prompts FILE... or the folder that has T3Bench's "
                           "prompt_single.txt, prompt_surr.txt and prompt_multi.txt");
    for (size_t i = 0; i < list->n && r == T3D_OK; i++) {
        struct stat st;

        if (stat(list->item[i], &st) < 0)
            r = t3d_err_set(err, T3D_USAGE, "usage", "--prompts '%s': %s", list->item[i],
                            strerror(errno));
        else
            r = S_ISDIR(st.st_mode) ? read_folder(b, list->item[i], err)
                                    : read_file(b, list->item[i], err);
    }
    return r;
}
