/* SPDX-License-Identifier: Apache-2.0 */
/* Objaverse-XL (allenai/objaverse-xl on Hugging Face's hub): a Parquet table for each source, with
 * the columns fileIdentifier, source, license, fileType, sha256, metadata, all text, any of them
 * null. The SHA-256 is that of the one file. Where a file is to be had depends on the source:
 * Sketchfab's objects lie in Objaverse 1.0, under a path that only its index knows; GitHub's are
 * one request at the commit that the identifier names, in place of a clone of the repository. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/walk.h"
#include "store/dataset_impl.h"
#include "store/fetch.h"
#include "store/manifest.h"

#define REPOSITORY "allenai/objaverse-xl"

enum { IDENTIFIER, SHA256, LICENSE, FORMAT, COLUMNS };

static const char *const columns[] = {"fileIdentifier", "sha256", "?license", "?fileType", NULL};

/* Names move between revisions: the first that is there. */
static const struct {
    const char *source, *names[3];
} tables[] = {
    {"sketchfab", {"sketchfab/sketchfab.parquet", "objaverse_v1/object-metadata.parquet"}},
    {"smithsonian", {"smithsonian/smithsonian.parquet", "smithsonian/object-metadata.parquet"}},
    {"github", {"github/github.parquet"}},
};

/* --- addresses
 * ------------------------------------------------------------------------------------ */

void t3d_sketchfab_uid(const char *identifier, char uid[129])
{
    const char *s = strrchr(identifier, '/');
    size_t n = s ? strcspn(s + 1, "?#") : 0;

    uid[0] = 0;
    if (n && n < 129)
        snprintf(uid, 129, "%.*s", (int)n, s + 1);
    if (!t3d_uid_valid(uid))
        uid[0] = 0;
}

static int bad(struct t3d_err *err, const char *identifier, const char *what)
{
    return t3d_err_set(err, T3D_SKIP, "bad-row", "'%.300s' %s", identifier, what);
}

/* https://github.com/ORG/REPO/blob/COMMIT/PATH; the path is as git has it, not encoded. */
static int github(const char **url, const char *id, const char *base, struct t3d_arena *a,
                  struct t3d_err *err)
{
    static const char home[] = "https://github.com/";
    const char *org = id + sizeof home - 1, *repo, *blob, *commit, *path, *home_url;
    char *rest, *encoded;

    if (strncmp(id, home, sizeof home - 1) != 0 || !(repo = strchr(org, '/')) ||
        !(blob = strchr(repo + 1, '/')) || strncmp(blob, "/blob/", 6) != 0 ||
        !(path = strchr(commit = blob + 6, '/')) || !path[1])
        return bad(err, id, "is not https://github.com/ORG/REPO/blob/COMMIT/PATH");
    rest = t3d_sprintf(a, "%.*s/%s", (int)(blob - org), org, commit);
    if (!rest)
        return t3d_err_nomem(err, id);
    if (!t3di_path_is_safe(rest))
        return t3d_err_set(err, T3D_SKIP, "bad-path", "'%.300s' has a path that leads elsewhere",
                           id);
    encoded = t3di_encode_path(rest, a);
    home_url = encoded ? t3d_sprintf(a, "https://raw.githubusercontent.com/%s", encoded) : NULL;
    *url = home_url ? t3di_rebase(base, home_url, a) : NULL;
    return *url ? T3D_OK : t3d_err_nomem(err, id);
}

int t3d_objaverse_xl_url(const char **url, char uid[129], const struct t3d_xl_entry *e,
                         const char *base, const char *revision, struct t3d_arena *a,
                         struct t3d_err *err)
{
    *url = NULL;
    t3d_uuid5_url(e->identifier, uid);
    if (strcmp(e->source, "sketchfab") == 0) {
        char own[129];

        t3d_sketchfab_uid(e->identifier, own);
        if (!*own)
            return bad(err, e->identifier, "does not end in a uid of Sketchfab");
        memcpy(uid, own, sizeof own);
        if (!e->object_path)
            return t3d_err_set(err, T3D_SKIP, "not-listed",
                               "'%.300s' is not among the files of Objaverse 1.0", e->identifier);
        return t3d_objaverse_url(url, base, revision, e->object_path, a, err);
    }
    if (strcmp(e->source, "github") == 0)
        return github(url, e->identifier, base, a, err);
    if (strncmp(e->identifier, "https://", 8) != 0)
        return bad(err, e->identifier, "is not an address");
    *url = t3di_rebase(base, e->identifier, a);
    return *url ? T3D_OK : t3d_err_nomem(err, e->identifier);
}

/* --- rows
 * ----------------------------------------------------------------------------------------- */

/* A cell as a string; NULL = null (or memory is out: then *lost). */
static char *text_of(const struct t3d_parquet_value *v, struct t3d_arena *a, int *lost)
{
    char *s;

    if (v->type != T3D_PARQUET_TEXT || memchr(v->text, 0, v->n))
        return NULL;
    s = t3d_strndup(a, v->text, v->n);
    *lost |= !s;
    return s;
}

/* 1 = the formats asked for have it; nothing asked for = those that can be read. */
static int wants_format(const struct t3d_dataset *d, const char *format)
{
    char name[64];

    if (!format || d->conf.formats.n)
        return !format || t3di_word_in(&d->conf.formats, format);
    snprintf(name, sizeof name, "x.%.60s", format);
    return t3d_ending_in(name, T3D_FETCH_FORMATS);
}

static int find_path(struct t3d_dataset *d, struct t3d_xl_entry *e, struct t3d_err *err)
{
    const char *text;
    char uid[129];
    int r;

    if (strcmp(e->source, "sketchfab") != 0)
        return T3D_OK;
    t3d_sketchfab_uid(e->identifier, uid);
    r = t3d_lookup_find(d->index, "paths", uid, &text, err);
    e->object_path = r == T3D_OK ? t3d_strdup(&d->row, text) : NULL;
    return r == T3D_OK && !e->object_path ? t3d_err_nomem(err, uid) : r < 0 ? r : T3D_OK;
}

/* One entry: T3D_OK, or T3D_END when it is passed over. */
static int take_entry(struct t3d_dataset *d, const struct t3d_parquet_value *v,
                      struct t3d_url_row *row, struct t3d_err *err)
{
    int lost = 0, r;
    unsigned char md[T3D_SHA256_BYTES];
    struct t3d_xl_entry e = {.source = d->now,
                             .identifier = text_of(&v[IDENTIFIER], &d->row, &lost)};
    char *uid = t3d_alloc(&d->row, 129, 1);

    row->sha256 = text_of(&v[SHA256], &d->row, &lost);
    row->license = text_of(&v[LICENSE], &d->row, &lost);
    row->format = text_of(&v[FORMAT], &d->row, &lost);
    if (lost || !uid)
        return t3d_err_nomem(err, d->now);
    if (!wants_format(d, row->format)) {
        d->n.formats++;
        return T3D_END;
    }
    if (!t3di_license_in(&d->conf.licenses, row->license)) {
        d->n.licenses++;
        return T3D_END;
    }
    r = e.identifier ? find_path(d, &e, err) : T3D_OK;
    if (r < 0)
        return r;
    if (!e.identifier)
        r = t3d_err_set(&row->bad, T3D_SKIP, "bad-row", "%s entry %llu has no fileIdentifier",
                        d->now, (unsigned long long)d->n.entries);
    else
        r = t3d_objaverse_xl_url(&row->url, uid, &e, d->conf.base_url, NULL, &d->row, &row->bad);
    if (r < 0 && r != T3D_SKIP) {
        *err = row->bad;
        return r;
    }
    if (d->wanted.capacity && !(*uid && t3di_wanted_has(&d->wanted, uid)) &&
        !(row->sha256 && t3di_wanted_has(&d->wanted, row->sha256))) {
        d->n.not_listed++;
        return T3D_END;
    }
    if (row->sha256 && t3d_unhex(row->sha256, sizeof md, md) < 0 && !row->bad.code)
        t3d_err_set(&row->bad, T3D_SKIP, "bad-sha256",
                    "'%.200s': the SHA-256 is not 64 hexadecimal digits: '%.80s'", e.identifier,
                    row->sha256);
    row->uid = *uid ? uid : NULL;
    if (!row->url)
        row->url =
            t3d_sprintf(&d->row, "objaverse-xl:%.300s", e.identifier ? e.identifier : row->bad.msg);
    return row->url ? T3D_OK : t3d_err_nomem(err, d->now);
}

static int next_table(struct t3d_dataset *d, struct t3d_err *err)
{
    struct t3di_index_file f = {0};
    int r = T3D_OK;

    t3d_parquet_close(d->table);
    d->table = NULL;
    for (;; d->source++) {
        if (d->source == T3D_COUNT(tables))
            return T3D_END;
        if (t3di_word_in(&d->conf.sources, tables[d->source].source))
            break;
    }
    memcpy(f.names, tables[d->source].names, sizeof tables[d->source].names);
    d->now = tables[d->source++].source;
    if (strcmp(d->now, "sketchfab") == 0)
        r = t3di_objaverse_paths(d, err);
    if (r == T3D_OK)
        r = t3di_dataset_fetch(&d->conf, d->folder, REPOSITORY, &f, 1, err);
    if (r == T3D_OK)
        r = t3d_parquet_open(&d->table, f.path, columns, err);
    free(f.path);
    return r;
}

static int next(struct t3d_dataset *d, struct t3d_url_row *row, struct t3d_err *err)
{
    struct t3d_parquet_value v[COLUMNS];
    int r = T3D_END;

    for (;;) {
        if (d->table)
            r = t3d_parquet_next(d->table, v, err);
        if (r == T3D_END) {
            r = next_table(d, err);
            if (r != T3D_OK)
                return r;
            continue;
        }
        if (r < 0)
            return r;
        d->n.entries++;
        t3d_arena_reset(&d->row);
        memset(row, 0, offsetof(struct t3d_url_row, caption));
        row->size = row->about = -1;
        r = take_entry(d, v, row, err);
        if (r != T3D_END)
            return r;
        r = T3D_OK;
    }
}

int t3di_objaverse_xl_open(struct t3d_dataset *d, struct t3d_err *err)
{
    const struct t3d_list *list = &d->conf.sources;

    d->next = next;
    for (size_t i = 0; i < list->n; i++) {
        int known = 0;

        for (size_t k = 0; k < T3D_COUNT(tables); k++)
            known |= strcasecmp(list->item[i], tables[k].source) == 0;
        if (strcasecmp(list->item[i], "thingiverse") == 0)
            return t3d_err_set(err, T3D_USAGE, "usage",
                               "thingiverse is not fetched: its operator has asked that the list "
                               "not be downloaded from the site and answers with 429 and 403 "
                               "(allenai/objaverse-xl, thread 37); files that you have are taken "
                               "by 't3d fetch local'");
        if (strcasecmp(list->item[i], "polycam") == 0)
            return t3d_err_set(err, T3D_USAGE, "usage",
                               "polycam is not in the lists: it is given on request, to academic "
                               "use; then 't3d fetch local' takes it");
        if (!known)
            return t3d_err_set(err, T3D_USAGE, "usage",
                               "--sources are sketchfab, smithsonian and github, not '%.50s'",
                               list->item[i]);
    }
    if (d->conf.categories.n)
        return t3d_err_set(err, T3D_USAGE, "usage", "--lvis is for 't3d fetch objaverse'");
    return T3D_OK;
}
