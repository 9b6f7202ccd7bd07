/* SPDX-License-Identifier: Apache-2.0 */
/* What the drivers of data sets share: index files, wishes, names of licences. */
#include "store/dataset.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/tool.h"
#include "store/dataset_impl.h"
#include "store/manifest.h"

#define HUB "https://huggingface.co"

enum { LINE = 4096 };

/* --- addresses
 * ------------------------------------------------------------------------------------ */

char *t3di_rebase(const char *base, const char *url, struct t3d_arena *a)
{
    const char *rest = strstr(url, "://");
    size_t n = base ? strlen(base) : 0;

    if (!base)
        return t3d_strdup(a, url);
    while (n && base[n - 1] == '/')
        n--;
    rest = rest ? strchr(rest + 3, '/') : NULL;
    return t3d_sprintf(a, "%.*s%s", (int)n, base, rest ? rest : "/");
}

char *t3di_encode_path(const char *path, struct t3d_arena *a)
{
    char *out = t3d_alloc(a, strlen(path) + 1, 3), *o = out;

    for (const unsigned char *s = (const unsigned char *)path; out && *s; s++)
        if (isalnum(*s) || strchr("-._~/", *s))
            *o++ = (char)*s;
        else
            o += snprintf(o, 4, "%%%02X", *s);
    return out;
}

int t3di_path_is_safe(const char *path)
{
    size_t n;

    if (!*path || strlen(path) > 2000)
        return 0;
    for (const char *s = path; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f || *s == '\\')
            return 0;
    for (const char *s = path;; s += n + 1) {
        n = strcspn(s, "/");
        if (n == 0 || (n == 1 && *s == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
            return 0;
        if (!s[n])
            return 1;
    }
}

/* --- index files
 * ---------------------------------------------------------------------------------- */

struct getting {
    const struct t3d_dataset_conf *conf;
    const char *folder, *repository;
    struct t3d_http *http;
    struct t3d_arena arena;
    struct t3di_index_file *file;
};

struct asked { /* user of a request */
    struct t3di_index_file *file;
    int name;
};

static int ask(struct getting *g, struct asked *q, struct t3d_err *err)
{
    const char *home =
        t3d_sprintf(&g->arena, HUB "/datasets/%s/resolve/%s/%s", g->repository,
                    g->conf->revision ? g->conf->revision : "main", q->file->names[q->name]);
    struct t3d_http_request request = {.size = -1, .user = q};

    request.url = home ? t3di_rebase(g->conf->base_url, home, &g->arena) : NULL;
    return request.url ? t3d_http_submit(g->http, &request, err)
                       : t3d_err_nomem(err, g->repository);
}

/* A login page in place of the file must not stay there. */
static int check_page(const char *path, const char *name, struct t3d_err *err)
{
    unsigned char head[512];
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;

    if (f)
        fclose(f);
    if (!t3d_http_is_page(head, n))
        return T3D_OK;
    unlink(path);
    return t3d_err_set(err, T3D_FAIL, "html-page", "%s is a web page, not the list", name);
}

static int keep(struct t3di_index_file *f, struct t3d_http_result *r, struct t3d_err *err)
{
    int x = t3d_make_parent(f->path, err);

    if (x == T3D_OK && r->path) {
        if (rename(r->path, f->path) < 0)
            x = t3d_err_sys(err, "cannot create", f->path);
        free(r->path);
        r->path = NULL;
    } else if (x == T3D_OK) {
        x = t3d_write_file(f->path, r->data, r->bytes, err);
    }
    return x == T3D_OK ? check_page(f->path, f->names[0], err) : x;
}

static int settle(struct getting *g, struct t3d_http_result *r, struct t3d_err *err)
{
    struct asked *q = r->user;

    if (r->class == T3D_HTTP_OK)
        return keep(q->file, r, err);
    if (r->class == T3D_HTTP_STOPPED)
        return t3d_err_set(err, T3D_RETRY, "stopped", "stopped");
    if (r->status == 404 && q->file->names[q->name + 1]) {
        q->name++;
        return ask(g, q, err);
    }
    if (r->status == 404 && q->file->optional) {
        free(q->file->path);
        q->file->path = NULL;
        return T3D_OK;
    }
    *err = r->err;
    err->code = r->class == T3D_HTTP_TRANSIENT ? T3D_RETRY : T3D_FAIL;
    if (r->status == 401 || r->status == 403)
        return t3d_err_set(err, T3D_FAIL, r->err.reason,
                           "%.400s: it may need a token: --token-file", r->err.msg);
    return err->code;
}

static int transfer(struct getting *g, struct t3d_err *err)
{
    struct t3d_http_result result;
    int r;

    for (;;) {
        if (t3d_stop_requested())
            t3d_http_stop(g->http, 0);
        r = t3d_http_next(g->http, 200, &result, err);
        if (r == T3D_RETRY)
            continue;
        if (r != T3D_OK)
            return r == T3D_END ? T3D_OK : r;
        r = settle(g, &result, err);
        t3d_http_result_free(&result);
        if (r < 0)
            return r;
    }
}

static int get(struct getting *g, struct asked *asked, size_t n, struct t3d_err *err)
{
    struct t3d_http_conf c = g->conf->http ? *g->conf->http : (struct t3d_http_conf){0};
    int r;

    c.parts = t3d_sprintf(&g->arena, "%s/.parts", g->folder);
    c.max_bytes = (uint64_t)64 << 30;
    c.per_host = 8;
    if (!c.parts)
        return t3d_err_nomem(err, g->folder);
    t3d_info("fetching %zu index file%s of %s", n, n == 1 ? "" : "s", g->repository);
    r = t3d_http_open(&g->http, &c, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = ask(g, &asked[i], err);
    if (r == T3D_OK)
        r = transfer(g, err);
    t3d_http_close(g->http);
    rmdir(c.parts);
    return r;
}

int t3di_dataset_fetch(const struct t3d_dataset_conf *c, const char *folder, const char *repository,
                       struct t3di_index_file *file, size_t n, struct t3d_err *err)
{
    struct getting g = {.conf = c, .folder = folder, .repository = repository, .file = file};
    struct asked *asked = calloc(n + 1, sizeof *asked);
    size_t k = 0;
    int r = asked ? T3D_OK : t3d_err_nomem(err, folder);

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        if (asprintf(&file[i].path, "%s/%s", folder, file[i].names[0]) < 0) {
            file[i].path = NULL;
            r = t3d_err_nomem(err, folder);
        } else if (c->redo || access(file[i].path, R_OK) < 0) {
            asked[k++].file = &file[i];
        }
    }
    if (r == T3D_OK && k)
        r = get(&g, asked, k, err);
    for (size_t i = 0; r < 0 && i < n; i++) {
        free(file[i].path);
        file[i].path = NULL;
    }
    t3d_arena_free(&g.arena);
    free(asked);
    return r;
}

static char *lists_folder(const struct t3d_dataset_conf *c, const char *dataset)
{
    char *s;
    const char *revision = c->revision ? c->revision : "main";

    return asprintf(&s, "%s/lists/%s/%s", c->workspace, dataset, revision) < 0 ? NULL : s;
}

static int check_revision(const struct t3d_dataset_conf *c, struct t3d_err *err)
{
    if (!c->revision || t3d_uid_valid(c->revision))
        return T3D_OK;
    return t3d_err_set(err, T3D_USAGE, "usage",
                       "--revision takes a branch, tag or commit of letters, digits, . _ -, not "
                       "'%.100s'",
                       c->revision);
}

int t3d_dataset_file(const struct t3d_dataset_conf *conf, const char *dataset,
                     const char *repository, const char *const *names, char **path,
                     struct t3d_err *err)
{
    struct t3di_index_file f = {0};
    char *folder = lists_folder(conf, dataset);
    int r = folder ? check_revision(conf, err) : t3d_err_nomem(err, dataset);

    for (size_t i = 0; i < 3 && names[i]; i++)
        f.names[i] = names[i];
    if (r == T3D_OK)
        r = t3di_dataset_fetch(conf, folder, repository, &f, 1, err);
    free(folder);
    *path = f.path;
    return r;
}

/* --- wishes
 * --------------------------------------------------------------------------------------- */

int t3di_wanted_add(struct t3di_wanted *w, const char *uid, struct t3d_err *err)
{
    if (w->n == w->capacity) {
        size_t capacity = w->capacity ? 2 * w->capacity : 1024;
        uint64_t *more = realloc(w->hash, capacity * sizeof *more);

        if (!more)
            return t3d_err_nomem(err, "the list of uids");
        w->hash = more;
        w->capacity = capacity;
    }
    w->hash[w->n++] = t3d_hash64(uid);
    return T3D_OK;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

void t3di_wanted_sort(struct t3di_wanted *w)
{
    if (w->n)
        qsort(w->hash, w->n, sizeof *w->hash, by_value);
}

int t3di_wanted_has(struct t3di_wanted *w, const char *uid)
{
    uint64_t h, *at;

    if (!w->capacity)
        return 1;
    h = t3d_hash64(uid);
    at = w->n ? bsearch(&h, w->hash, w->n, sizeof h, by_value) : NULL;
    if (at && w->found)
        w->found[at - w->hash] = 1;
    return at != NULL;
}

int t3di_word_in(const struct t3d_list *list, const char *word)
{
    for (size_t i = 0; i < list->n && word; i++)
        if (strcasecmp(list->item[i], word) == 0)
            return 1;
    return list->n == 0;
}

static int has(const char *text, const char *word)
{
    return strstr(text, word) != NULL;
}

/* Sketchfab's slugs ("by-nc"), SPDX ("CC-BY-NC-4.0") and Sketchfab's long names ("Creative Commons
 * - Attribution - Non-Commercial") are the same licences. */
void t3d_license_slug(const char *license, char slug[64])
{
    char s[256], plain[256];
    size_t n = 0;

    snprintf(s, sizeof s, " %.250s ", license);
    for (char *c = s; *c; c++)
        *c = isalnum((unsigned char)*c) || *c == '.' ? (char)tolower((unsigned char)*c) : ' ';
    for (const char *c = s; *c; c++) /* one blank between words */
        if (*c != ' ' || !n || plain[n - 1] != ' ')
            plain[n++] = *c;
    plain[n] = 0;
    if (has(plain, " cc0 ") || has(plain, " public domain ")) {
        snprintf(slug, 64, "cc0");
    } else if (has(plain, " attribution ") || strncmp(plain, " by ", 4) == 0 ||
               strncmp(plain, " cc by ", 7) == 0) {
        snprintf(
            slug, 64, "by%s%s%s",
            has(plain, " nc ") || has(plain, " noncommercial ") || has(plain, " non commercial ")
                ? "-nc"
                : "",
            has(plain, " nd ") || has(plain, " noderivatives ") || has(plain, " noderivs ") ||
                    has(plain, " no derivatives ")
                ? "-nd"
                : "",
            has(plain, " sa ") || has(plain, " sharealike ") || has(plain, " share alike ") ? "-sa"
                                                                                            : "");
    } else {
        snprintf(slug, 64, "%.63s", license);
        for (char *c = slug; *c; c++)
            *c = (char)tolower((unsigned char)*c);
    }
}

int t3di_license_in(const struct t3d_list *list, const char *license)
{
    char one[64], other[64];

    if (!list->n)
        return 1;
    if (!license)
        return 0;
    t3d_license_slug(license, one);
    for (size_t i = 0; i < list->n; i++) {
        t3d_license_slug(list->item[i], other);
        if (strcmp(one, other) == 0)
            return 1;
    }
    return 0;
}

/* The next uid of the file: blank lines and comments are passed over, a line may have more behind
 * a comma, blank or tab. */
static int next_uid(FILE *f, char line[LINE], uint64_t *number)
{
    while (fgets(line, LINE, f)) {
        ++*number;
        line[strcspn(line, ", \t\r\n")] = 0;
        if (*line && *line != '#')
            return 1;
    }
    return 0;
}

static int read_uids(struct t3d_dataset *d, struct t3d_err *err)
{
    char line[LINE];
    int r = T3D_OK;

    d->uids = fopen(d->conf.uids, "re");
    if (!d->uids)
        return t3d_err_set(err, T3D_USAGE, "usage", "--uids: cannot read '%s': %s", d->conf.uids,
                           strerror(errno));
    while (r == T3D_OK && next_uid(d->uids, line, &d->uids_line))
        r = t3di_wanted_add(&d->wanted, line, err);
    if (r == T3D_OK && !d->wanted.n)
        r = t3d_err_set(err, T3D_USAGE, "usage", "--uids: '%s' has none", d->conf.uids);
    if (r < 0)
        return r;
    t3di_wanted_sort(&d->wanted);
    d->wanted.found = calloc(d->wanted.n, 1);
    rewind(d->uids);
    d->uids_line = 0;
    return d->wanted.found ? T3D_OK : t3d_err_nomem(err, d->conf.uids);
}

/* Those that were asked for and that the index does not have. */
static int next_missing(struct t3d_dataset *d, struct t3d_url_row *row, struct t3d_err *err)
{
    char line[LINE];

    while (d->uids && next_uid(d->uids, line, &d->uids_line)) {
        uint64_t h = t3d_hash64(line);
        const uint64_t *at = bsearch(&h, d->wanted.hash, d->wanted.n, sizeof h, by_value);

        if (!at || d->wanted.found[at - d->wanted.hash])
            continue;
        d->wanted.found[at - d->wanted.hash] = 1; /* named once */
        row->line = d->uids_line;
        row->uid = t3d_uid_valid(line) ? t3d_strdup(&d->row, line) : NULL;
        row->url = t3d_sprintf(&d->row, "%s:%s", d->name, line);
        t3d_err_set(&row->bad, T3D_SKIP, "not-listed", "'%.200s': the data set does not have it",
                    line);
        return row->url ? T3D_OK : t3d_err_nomem(err, line);
    }
    return T3D_END;
}

/* --- the list
 * ------------------------------------------------------------------------------------- */

int t3d_dataset_open(struct t3d_dataset **out, enum t3d_dataset_kind kind,
                     const struct t3d_dataset_conf *conf, struct t3d_err *err)
{
    struct t3d_dataset *d = calloc(1, sizeof *d);
    char *path = NULL;
    int r;

    if (!d)
        return t3d_err_nomem(err, "a data set");
    d->conf = *conf;
    d->name = kind == T3D_OBJAVERSE ? "objaverse" : "objaverse-xl";
    r = check_revision(conf, err);
    d->folder = lists_folder(conf, d->name);
    if (r == T3D_OK && (!d->folder || asprintf(&path, "%s/index.db", d->folder) < 0))
        r = t3d_err_nomem(err, d->name);
    if (r == T3D_OK && conf->uids)
        r = read_uids(d, err);
    if (r == T3D_OK && conf->redo)
        t3d_lookup_remove(path);
    if (r == T3D_OK)
        r = t3d_lookup_open(&d->index, path, err);
    free(path);
    if (r == T3D_OK)
        r = kind == T3D_OBJAVERSE ? t3di_objaverse_open(d, err) : t3di_objaverse_xl_open(d, err);
    if (r < 0) {
        t3d_dataset_close(d);
        return r;
    }
    *out = d;
    return T3D_OK;
}

void t3d_dataset_close(struct t3d_dataset *d)
{
    if (!d)
        return;
    t3d_json_members_close(d->paths);
    t3d_parquet_close(d->table);
    t3d_lookup_close(d->index);
    if (d->uids)
        fclose(d->uids);
    free(d->wanted.hash);
    free(d->wanted.found);
    free(d->category.hash);
    t3d_arena_free(&d->row);
    t3d_arena_free(&d->block_arena);
    free(d->folder);
    free(d);
}

int t3d_dataset_next(struct t3d_dataset *d, struct t3d_url_row *row, struct t3d_err *err)
{
    int r = T3D_END;

    if (d->conf.count && d->n.chosen == d->conf.count)
        return T3D_END;
    t3d_arena_reset(&d->row);
    memset(row, 0, sizeof *row);
    row->size = -1;
    if (!d->index_end) {
        r = d->next(d, row, err);
        d->index_end = r == T3D_END;
    }
    if (r == T3D_END)
        return next_missing(d, row, err);
    d->n.chosen += r == T3D_OK;
    return r;
}

void t3d_dataset_count(const struct t3d_dataset *d, struct t3d_dataset_counts *n)
{
    *n = d->n;
}
