/* SPDX-License-Identifier: Apache-2.0 */
/* Objaverse 1.0 (allenai/objaverse on Hugging Face's hub): object-paths.json.gz is one object
 * {uid: "glbs/000-023/uid.glb"} and gives the order; metadata/000-023.json.gz has the licences of
 * the objects in that folder; lvis-annotations.json.gz is {category: [uid, ...]}. A uid is usually
 * 32 hexadecimal digits, but not always, and upper and lower case differ; the folder cannot be
 * computed from it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jsontok.h"
#include "base/log.h"
#include "store/dataset_impl.h"
#include "store/manifest.h"

#define REPOSITORY "allenai/objaverse"

enum { FOLDER = 32, MOST_FOLDERS = 1024 };

int t3d_objaverse_url(const char **url, const char *base, const char *revision, const char *path,
                      struct t3d_arena *a, struct t3d_err *err)
{
    const char *home, *encoded;

    if (!t3di_path_is_safe(path))
        return t3d_err_set(err, T3D_SKIP, "bad-path", "'%.200s' is not a path below the data set",
                           path);
    encoded = t3di_encode_path(path, a);
    home = encoded ? t3d_sprintf(a, "https://huggingface.co/datasets/" REPOSITORY "/resolve/%s/%s",
                                 revision ? revision : "main", encoded)
                   : NULL;
    *url = home ? t3di_rebase(base, home, a) : NULL;
    return *url ? T3D_OK : t3d_err_nomem(err, path);
}

/* "000-023" of "glbs/000-023/uid.glb"; "" = another layout, which has no annotations. */
static void folder_of(const char *path, char folder[FOLDER])
{
    const char *s = strchr(path, '/');
    size_t n = s ? strcspn(s + 1, "/") : 0;

    folder[0] = 0;
    if (n && n < FOLDER && s[1 + n] == '/' && strspn(s + 1, "0123456789-") == n)
        snprintf(folder, FOLDER, "%.*s", (int)n, s + 1);
}

/* --- annotations
 * ---------------------------------------------------------------------------------- */

/* "licence TAB bytes of the GLB" ("" and -1 = unknown). */
static int import_record(struct t3d_dataset *d, const struct t3d_json_member *m,
                         struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_jsontok j;
    const char *license;
    uint64_t bytes;
    char text[256];
    uint32_t glb;

    t3d_arena_reset(a);
    if (t3d_jsontok_parse(&j, a, m->value, m->n, 64, err) < 0)
        return t3d_err_prefix(err, "annotations of %s", m->key);
    license = t3d_jtok_string(&j, t3d_jtok_member(&j, T3D_JTOK_ROOT, "license"), a);
    glb = t3d_jtok_member(&j, t3d_jtok_member(&j, T3D_JTOK_ROOT, "archives"), "glb");
    if (!t3d_jtok_whole(&j, t3d_jtok_member(&j, glb, "size"), &bytes))
        bytes = 0;
    snprintf(text, sizeof text, "%.200s\t%lld", license ? license : "",
             bytes ? (long long)bytes : -1LL);
    return t3d_lookup_add(d->index, m->key, text, err);
}

static int import_annotations(struct t3d_dataset *d, const char *table, const char *path,
                              struct t3d_err *err)
{
    struct t3d_json_members *j;
    struct t3d_json_member m;
    struct t3d_arena a = {0};
    int r = t3d_lookup_begin(d->index, table, 1, err), x;

    if (r < 0)
        return r;
    r = path ? t3d_json_members_open(&j, path, err) : T3D_END;
    if (r < 0 && access(path, F_OK) < 0) /* taken by another process, which waits for us: again */
        return t3d_err_set(err, T3D_RETRY, "busy",
                           "'%s' is being read by another process: run the command again", path);
    if (r == T3D_OK) {
        while ((r = t3d_json_members_next(j, &m, err)) == T3D_OK) {
            x = import_record(d, &m, &a, err);
            if (x < 0) {
                r = x;
                break;
            }
        }
        t3d_json_members_close(j);
    }
    t3d_arena_free(&a);
    return r == T3D_END ? t3d_lookup_commit(d->index, "1", err) : r;
}

/* The annotations of all folders of the block, those that are missing at once. */
static int need_annotations(struct t3d_dataset *d, struct t3d_err *err)
{
    struct t3di_index_file *file = calloc(MOST_FOLDERS, sizeof *file);
    char folder[FOLDER], table[64];
    struct t3d_arena a = {0};
    size_t n = 0;
    int r = file ? T3D_OK : t3d_err_nomem(err, "the annotations");

    for (size_t i = 0; i < d->block_n && r == T3D_OK && n < MOST_FOLDERS; i++) {
        size_t k;

        folder_of(d->block[i].path, folder);
        snprintf(table, sizeof table, "annotations/%s", folder);
        if (!*folder || d->block[i].bad.code || t3d_lookup_has(d->index, table, "1"))
            continue;
        file[n].names[0] = t3d_sprintf(&a, "metadata/%s.json.gz", folder);
        file[n].optional = 1;
        if (!file[n].names[0])
            r = t3d_err_nomem(err, "the annotations");
        for (k = 0; r == T3D_OK && strcmp(file[k].names[0], file[n].names[0]) != 0; k++)
            ;
        n += k == n;
    }
    if (r == T3D_OK && n)
        r = t3di_dataset_fetch(&d->conf, d->folder, REPOSITORY, file, n, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        snprintf(table, sizeof table, "annotations/%.*s", (int)strcspn(file[i].names[0] + 9, "."),
                 file[i].names[0] + 9);
        if (t3d_lookup_has(d->index, table, "1")) /* another process was faster */
            continue;
        if (!file[i].path)
            t3d_warn("the data set has no '%s': the licences of its objects are unknown",
                     file[i].names[0]);
        r = import_annotations(d, table, file[i].path, err);
        if (file[i].path)
            unlink(file[i].path);
    }
    for (size_t i = 0; file && i < n; i++)
        free(file[i].path);
    t3d_arena_free(&a);
    free(file);
    return r;
}

/* --- object paths
 * --------------------------------------------------------------------------------- */

static int take_path(struct t3di_candidate *c, const struct t3d_json_member *m, struct t3d_arena *a,
                     struct t3d_err *err)
{
    struct t3d_jsontok j;

    c->bad.code = 0;
    c->uid = t3d_strdup(a, m->key);
    c->path = "";
    if (t3d_jsontok_parse(&j, a, m->value, m->n, 64, &c->bad) == T3D_OK) {
        c->path = t3d_jtok_string(&j, T3D_JTOK_ROOT, a);
        if (!c->path)
            t3d_err_set(&c->bad, T3D_SKIP, "bad-row", "'%.200s': its path is not a string", m->key);
    }
    c->bad.code = c->bad.code ? T3D_SKIP : 0;
    if (!c->path)
        c->path = "";
    if (!t3d_uid_valid(m->key))
        t3d_err_set(&c->bad, T3D_SKIP, "bad-uid",
                    "a uid is 1 to 128 of A-Z a-z 0-9 . _ -, not '%.200s'", m->key);
    return c->uid ? T3D_OK : t3d_err_nomem(err, m->key);
}

/* Entries that are asked for, as many as fit. T3D_END = there are no more. */
static int fill_block(struct t3d_dataset *d, struct t3d_err *err)
{
    uint64_t left = d->conf.count ? d->conf.count - d->n.chosen : T3DI_BLOCK;
    size_t most = !d->conf.licenses.n && left < T3DI_BLOCK ? (size_t)left : T3DI_BLOCK;
    struct t3d_json_member m;
    int r = T3D_OK;

    t3d_arena_reset(&d->block_arena);
    d->block_n = d->block_at = 0;
    while (d->block_n < most && (r = t3d_json_members_next(d->paths, &m, err)) == T3D_OK) {
        d->n.entries++;
        if (!t3di_wanted_has(&d->wanted, m.key)) {
            d->n.not_listed++;
        } else if (!t3di_wanted_has(&d->category, m.key)) {
            d->n.categories++;
        } else {
            r = take_path(&d->block[d->block_n++], &m, &d->block_arena, err);
            if (r < 0)
                return r;
        }
    }
    if (r < 0)
        return r;
    if (d->block_n && !d->conf.no_annotations)
        r = need_annotations(d, err);
    return r < 0 ? r : d->block_n ? T3D_OK : T3D_END;
}

static int describe(struct t3d_dataset *d, const struct t3di_candidate *c, struct t3d_url_row *row,
                    struct t3d_err *err)
{
    char folder[FOLDER], table[64];
    const char *text, *tab;
    int r;

    folder_of(c->path, folder);
    snprintf(table, sizeof table, "annotations/%s", folder);
    r = d->conf.no_annotations ? T3D_END : t3d_lookup_find(d->index, table, c->uid, &text, err);
    if (r != T3D_OK)
        return r == T3D_END ? T3D_OK : r;
    tab = strchr(text, '\t');
    if (tab && tab > text) {
        row->license = t3d_strndup(&d->row, text, (size_t)(tab - text));
        if (!row->license)
            return t3d_err_nomem(err, c->uid);
    }
    row->about = tab ? strtoll(tab + 1, NULL, 10) : -1;
    return T3D_OK;
}

static int next(struct t3d_dataset *d, struct t3d_url_row *row, struct t3d_err *err)
{
    for (;;) {
        const struct t3di_candidate *c;
        int r;

        if (d->block_at == d->block_n && (r = fill_block(d, err)) != T3D_OK)
            return r;
        c = &d->block[d->block_at++];
        row->uid = c->uid;
        row->format = "glb";
        row->about = -1;
        row->license = NULL;
        r = describe(d, c, row, err);
        if (r < 0)
            return r;
        if (!t3di_license_in(&d->conf.licenses, row->license)) {
            d->n.licenses++;
            continue;
        }
        row->bad = c->bad;
        if (!row->bad.code)
            r = t3d_objaverse_url(&row->url, d->conf.base_url, d->conf.revision, c->path, &d->row,
                                  &row->bad);
        if (row->bad.code && row->bad.code != T3D_SKIP) {
            *err = row->bad;
            return r;
        }
        if (!row->url)
            row->url = t3d_sprintf(&d->row, "objaverse:%.300s", c->uid);
        if (!t3d_uid_valid(c->uid))
            row->uid = NULL;
        return row->url ? T3D_OK : t3d_err_nomem(err, c->uid);
    }
}

/* --- LVIS
 * ------------------------------------------------------------------------------------------- */

static int add_category(struct t3d_dataset *d, const struct t3d_json_member *m, struct t3d_arena *a,
                        struct t3d_err *err)
{
    struct t3d_jsontok j;
    int r = t3d_jsontok_parse(&j, a, m->value, m->n, 8, err);

    for (uint32_t t = t3d_jtok_first(&j, T3D_JTOK_ROOT), i = 0;
         r == T3D_OK && i < j.tok[T3D_JTOK_ROOT].n; i++, t = j.tok[t].next) {
        const char *uid = t3d_jtok_string(&j, t, a);

        r = uid ? t3di_wanted_add(&d->category, uid, err) : T3D_OK;
    }
    return r;
}

static int read_categories(struct t3d_dataset *d, struct t3d_err *err)
{
    struct t3di_index_file f = {.names = {"lvis-annotations.json.gz"}};
    const struct t3d_list *list = &d->conf.categories;
    int all = list->n == 1 && strcmp(list->item[0], "all") == 0, x = T3D_OK, r;
    struct t3d_json_members *j;
    struct t3d_json_member m;
    struct t3d_arena a = {0};
    size_t known = 0;

    r = t3di_dataset_fetch(&d->conf, d->folder, REPOSITORY, &f, 1, err);
    if (r < 0)
        return r;
    r = t3d_json_members_open(&j, f.path, err);
    free(f.path);
    if (r < 0)
        return r;
    while (x == T3D_OK && (r = t3d_json_members_next(j, &m, err)) == T3D_OK) {
        t3d_arena_reset(&a);
        if (all || t3di_word_in(list, m.key)) {
            known++;
            x = add_category(d, &m, &a, err);
        }
    }
    t3d_json_members_close(j);
    t3d_arena_free(&a);
    t3di_wanted_sort(&d->category);
    if (x < 0 || (r < 0 && r != T3D_END))
        return x < 0 ? x : r;
    if (known < list->n || !d->category.capacity)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--lvis: %zu of the %zu categories are in LVIS; names are written as in "
                           "lvis-annotations.json, for example 'chair'",
                           known, list->n);
    return T3D_OK;
}

/* --- open
 * ------------------------------------------------------------------------------------------- */

static int open_paths(struct t3d_dataset *d, struct t3d_err *err)
{
    struct t3di_index_file f = {.names = {"object-paths.json.gz"}};
    int r = t3di_dataset_fetch(&d->conf, d->folder, REPOSITORY, &f, 1, err);

    if (r == T3D_OK)
        r = t3d_json_members_open(&d->paths, f.path, err);
    free(f.path);
    return r;
}

int t3di_objaverse_open(struct t3d_dataset *d, struct t3d_err *err)
{
    int r = T3D_OK;

    if (d->conf.licenses.n && d->conf.no_annotations)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--licenses needs the annotations: leave --no-annotations out");
    if (d->conf.categories.n)
        r = read_categories(d, err);
    d->next = next;
    return r == T3D_OK ? open_paths(d, err) : r;
}

int t3di_objaverse_paths(struct t3d_dataset *d, struct t3d_err *err)
{
    struct t3di_candidate c;
    struct t3d_json_member m;
    int r = T3D_OK;

    if (d->has_paths || t3d_lookup_has(d->index, "paths", "1")) {
        d->has_paths = 1;
        return T3D_OK;
    }
    r = open_paths(d, err);
    if (r == T3D_OK)
        r = t3d_lookup_begin(d->index, "paths", 1, err);
    while (r == T3D_OK && (r = t3d_json_members_next(d->paths, &m, err)) == T3D_OK) {
        t3d_arena_reset(&d->block_arena);
        r = take_path(&c, &m, &d->block_arena, err);
        if (r == T3D_OK && !c.bad.code)
            r = t3d_lookup_add(d->index, c.uid, c.path, err);
    }
    t3d_json_members_close(d->paths);
    d->paths = NULL;
    if (r == T3D_END)
        r = t3d_lookup_commit(d->index, "1", err);
    d->has_paths = r == T3D_OK;
    return r;
}
