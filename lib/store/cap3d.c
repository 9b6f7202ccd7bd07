/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cap3d.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/tool.h"
#include "store/captions_impl.h"
#include "store/dataset.h"
#include "store/lookup.h"
#include "store/manifest.h"

enum { BATCH = 500, MOST = 64 };

/* --- the list becomes a table
 * ---------------------------------------------------------------------------- */

struct import {
    struct t3d_lookup *table;
    struct t3d_cap3d_counts *n;
};

static int put(struct import *im, const char *key, const char *caption, struct t3d_err *err)
{
    char lower[T3D_UID_SIZE], *clean;
    unsigned char md[T3D_SHA256_BYTES];
    int r;

    if (!key || !*key || strlen(key) >= sizeof lower || !*caption || !t3di_is_utf8(caption)) {
        if (!im->n->bad++)
            t3d_err_set(&im->n->first_bad, T3D_SKIP, "bad-row",
                        "a row without a key or a caption of UTF-8: '%.60s'", key ? key : "");
        return T3D_OK;
    }
    clean = strdup(caption);
    if (!clean)
        return t3d_err_nomem(err, "a caption");
    for (char *c = clean; *c; c++) /* shards hold one caption a line */
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    snprintf(lower, sizeof lower, "%s", key);
    for (char *c = lower; *c && t3d_unhex(key, sizeof md, md) == 0; c++) /* a SHA-256 */
        *c = *c >= 'A' && *c <= 'F' ? (char)(*c + 'a' - 'A') : *c;
    r = t3d_lookup_add(im->table, lower, clean, err);
    free(clean);
    return r;
}

static int take_row(void *ctx, const struct t3di_caption_row *row, struct t3d_err *err)
{
    struct import *im = ctx;
    const char *key = NULL;
    const cJSON *one;
    int r = T3D_OK;

    for (int f = 0; f < T3DI_FIELDS && !key; f++)
        if ((f == T3DI_KEY || f == T3DI_SHA256 || f == T3DI_UID) && row->field[f] && *row->field[f])
            key = row->field[f];
    im->n->rows++;
    if (row->captions) {
        cJSON_ArrayForEach (one, row->captions)
            if (cJSON_IsString(one) && r == T3D_OK)
                r = put(im, key, one->valuestring, err);
        return r;
    }
    return put(im, key, row->field[T3DI_CAPTION] ? row->field[T3DI_CAPTION] : "", err);
}

static int take_bad(void *ctx, const char *reason, const char *text, struct t3d_err *err)
{
    struct import *im = ctx;

    (void)err;
    if (!im->n->bad++)
        t3d_err_set(&im->n->first_bad, T3D_SKIP, reason, "%s", text);
    return T3D_OK;
}

/* What the table was made from: size and time say whether it is still so. */
static int identity(const char *path, char text[128], struct t3d_err *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return t3d_err_set(err, T3D_USAGE, "usage", "cannot read the captions '%s'", path);
    snprintf(text, 128, "%lld %lld.%09ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
             st.st_mtim.tv_nsec);
    return T3D_OK;
}

static int make_table(struct t3d_lookup *l, const char *path, struct t3d_cap3d_counts *n,
                      struct t3d_err *err)
{
    struct import im = {.table = l, .n = n};
    struct t3di_caption_reader reader = {.row = take_row, .bad = take_bad, .ctx = &im};
    char from[128];
    int r = identity(path, from, err);

    if (r < 0)
        return r;
    if (t3d_lookup_has(l, "captions", from)) {
        n->rows = t3d_lookup_count(l, "captions");
        return T3D_OK;
    }
    r = t3d_lookup_begin(l, "captions", 1, err);
    if (r == T3D_OK)
        r = t3di_captions_each(&reader, path, err);
    return r == T3D_OK ? t3d_lookup_commit(l, from, err) : r;
}

/* --- objects
 * -------------------------------------------------------------------------------------- */

/* The captions of a text, one a line; 1 = they are others than the object has. */
static int split(char *text, const char **caption, size_t *n, const struct t3d_object *o)
{
    int differs;

    *n = 0;
    for (char *line; *n < MOST && (line = strsep(&text, "\n"));)
        caption[(*n)++] = line;
    differs = *n != o->n_captions;
    for (size_t i = 0; !differs && i < *n; i++)
        differs = strcmp(caption[i], o->caption[i]) != 0;
    return differs;
}

static int describe(struct t3d_manifest *m, struct t3d_lookup *l, struct t3d_object *o,
                    struct t3d_arena *a, struct t3d_cap3d_counts *n, struct t3d_err *err)
{
    const char *text, *caption[MOST];
    char *copy;
    size_t k;
    int r = t3d_lookup_find(l, "captions", o->uid, &text, err);

    n->objects++;
    if (r == T3D_END && o->file_sha256[0])
        r = t3d_lookup_find(l, "captions", o->file_sha256, &text, err);
    if (r != T3D_OK)
        return r == T3D_END ? T3D_OK : r;
    n->matched++;
    copy = t3d_strdup(a, text);
    if (!copy)
        return t3d_err_nomem(err, o->uid);
    if (!split(copy, caption, &k, o))
        return T3D_OK;
    n->changed++;
    o->n_captions = k;
    o->caption = caption;
    r = t3d_manifest_register(m, o, 1, err);
    return r < 0 ? r : T3D_OK;
}

/* The objects in batches, each in a transaction of its own. */
static int describe_all(struct t3d_manifest *m, struct t3d_lookup *l, struct t3d_cap3d_counts *n,
                        struct t3d_err *err)
{
    struct t3d_cursor *c;
    struct t3d_arena a = {0};
    struct t3d_object o;
    int r = t3d_cursor_open(&c, m, 0, err), x = T3D_OK, k = 0;

    if (r < 0)
        return r;
    while (x == T3D_OK && !t3d_stop_requested() &&
           (r = t3d_cursor_next(c, &o, &a, err)) == T3D_OK) {
        if (k == 0)
            x = t3d_manifest_begin(m, err);
        if (x == T3D_OK)
            x = describe(m, l, &o, &a, n, err);
        k++;
        if (x == T3D_OK && k == BATCH) {
            x = t3d_manifest_commit(m, err);
            k = 0;
        }
        t3d_arena_reset(&a);
    }
    if (k && x == T3D_OK)
        x = t3d_manifest_commit(m, err);
    else if (k)
        t3d_manifest_rollback(m);
    t3d_cursor_close(c);
    t3d_arena_free(&a);
    return x < 0 ? x : r < 0 && r != T3D_END ? r : T3D_OK;
}

int t3d_cap3d_captions(struct t3d_manifest *m, const struct t3d_dataset_conf *conf,
                       const char *file, struct t3d_cap3d_counts *n, struct t3d_err *err)
{
    static const char *const names[] = {"Cap3D_automated_Objaverse_full.csv", NULL};
    char *path = NULL, *db = NULL;
    struct t3d_lookup *l = NULL;
    int r;

    memset(n, 0, sizeof *n);
    if (file)
        r = (path = strdup(file)) ? T3D_OK : t3d_err_nomem(err, file);
    else
        r = t3d_dataset_file(conf, "cap3d", "tiange/Cap3D", names, &path, err);
    if (r == T3D_OK && asprintf(&db, "%s/lists/cap3d/captions.db", conf->workspace) < 0)
        r = t3d_err_nomem(err, path);
    if (r == T3D_OK)
        r = t3d_lookup_open(&l, db, err);
    if (r == T3D_OK)
        r = make_table(l, path, n, err);
    if (r == T3D_OK && m)
        r = describe_all(m, l, n, err);
    t3d_lookup_close(l);
    free(path);
    free(db);
    return r;
}
