/* SPDX-License-Identifier: Apache-2.0 */
/* t3d fetch objaverse, t3d fetch objaverse-xl: what of the lists is wanted, over HTTP. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "store/dataset.h"

struct conf {
    struct t3d_common common;
    const char *base_url, *revision, *uids, *captions, *retry;
    struct t3d_list licenses, formats, sources, lvis;
    uint64_t count, max_size;
    int annotations;
    struct fetch_net net;
};

/* clang-format off */
#define LIST_OPTS                                                                                  \
    {0, "base-url", T3D_OPT_STRING, offsetof(struct conf, base_url), "URL", NULL, NULL,            \
     "a mirror: takes the place of scheme and host of all addresses"},                             \
    {0, "revision", T3D_OPT_STRING, offsetof(struct conf, revision), "REV", NULL, NULL,            \
     "branch, tag or commit of the data set; main by default"},                                    \
    {0, "uids", T3D_OPT_STRING, offsetof(struct conf, uids), "FILE", NULL, NULL,                   \
     "fetch only these: a uid (or SHA-256) a line; more columns are ignored"},                     \
    {'n', "count", T3D_OPT_U64, offsetof(struct conf, count), "N", "0", NULL,                      \
     "fetch the first N that are wanted; 0 = all"},                                                \
    {0, "limit", T3D_OPT_U64, offsetof(struct conf, count), "N", "0", NULL, "the same"},           \
    {0, "licenses", T3D_OPT_WORDS, offsetof(struct conf, licenses), "LIST", NULL, NULL,            \
     "fetch only objects with these licences, as slug (by-nc), SPDX (CC-BY-NC-4.0) or long name"}, \
    {0, "captions", T3D_OPT_STRING, offsetof(struct conf, captions), "FILE", NULL, NULL,           \
     "captions matched by uid or sha256, for example Cap3D's csv"},                                \
    {0, "max-size", T3D_OPT_SIZE, offsetof(struct conf, max_size), "BYTES", "1Gi", NULL,           \
     "largest object"},                                                                            \
    {0, "retry", T3D_OPT_STRING, offsetof(struct conf, retry), "WHAT", NULL, "failed",             \
     "failed: only rows that have failed before, permanent failures too"},                         \
    FETCH_NET_OPTS(struct conf, net)
/* clang-format on */

static const struct t3d_opt one_opts[] = {
    LIST_OPTS,
    {0, "lvis", T3D_OPT_WORDS, offsetof(struct conf, lvis), "LIST", NULL, NULL,
     "fetch only objects of these categories of LVIS; all = every object that has one"},
    {0, "annotations", T3D_OPT_BOOL, offsetof(struct conf, annotations), NULL, "yes", NULL,
     "fetch the annotations of the objects' folders: licences and sizes come from them"},
    {0}};

static const struct t3d_opt xl_opts[] = {
    LIST_OPTS,
    {0, "sources", T3D_OPT_WORDS, offsetof(struct conf, sources), "LIST", NULL, NULL,
     "of sketchfab, smithsonian, github; all three by default, in this order"},
    {0, "formats", T3D_OPT_WORDS, offsetof(struct conf, formats), "LIST", NULL, NULL,
     "fetch only these file types; by default those that can be read"},
    {0}};

static int next(void *ctx, struct t3d_url_row *row, struct t3d_err *err)
{
    return t3d_dataset_next(ctx, row, err);
}

static void count(void *ctx, cJSON *statistics)
{
    struct t3d_dataset_counts n;

    t3d_dataset_count(ctx, &n);
    t3d_json_set_num(statistics, "index_entries", (double)n.entries);
    t3d_json_set_num(statistics, "not_in_uids", (double)n.not_listed);
    t3d_json_set_num(statistics, "other_licenses", (double)n.licenses);
    t3d_json_set_num(statistics, "other_formats", (double)n.formats);
    t3d_json_set_num(statistics, "other_categories", (double)n.categories);
}

static void tell(const struct t3d_dataset *d)
{
    struct t3d_dataset_counts n;

    t3d_dataset_count(d, &n);
    t3d_info("%llu entries of the index looked at: %llu wanted; passed over: %llu not in --uids, "
             "%llu by licence, %llu by format, %llu by category",
             (unsigned long long)n.entries, (unsigned long long)n.chosen,
             (unsigned long long)n.not_listed, (unsigned long long)n.licenses,
             (unsigned long long)n.formats, (unsigned long long)n.categories);
}

static int fetch(struct conf *c, enum t3d_dataset_kind kind, const char *name, struct t3d_err *err)
{
    char token[FETCH_TOKEN_SIZE], host[256];
    struct t3d_dataset *d;
    struct t3d_fetch f = {.common = &c->common, .names = fetch_names};
    struct t3d_fetch_rows rows = {.next = next, .count = count};
    struct t3d_list none = {0};
    struct t3d_fetch_urls urls = {.list = name,
                                  .rows = &rows,
                                  .captions = c->captions,
                                  .dataset = name,
                                  .licenses = &none,
                                  .max_bytes = c->max_size,
                                  .retry = c->retry ? c->retry : ""};
    struct t3d_dataset_conf wish = {.workspace = c->common.workspace,
                                    .base_url = c->base_url,
                                    .revision = c->revision,
                                    .uids = c->uids,
                                    .licenses = c->licenses,
                                    .formats = c->formats,
                                    .sources = c->sources,
                                    .categories = c->lvis,
                                    .count = c->count,
                                    .no_annotations = !c->annotations,
                                    .redo = c->common.redo,
                                    .http = &urls.http};
    int r;

    if (c->max_size < 1)
        return t3d_err_set(err, T3D_USAGE, "usage", "--max-size takes more than 0");
    fetch_host_of(c->base_url ? c->base_url : "https://huggingface.co", host);
    if (!c->net.token_host && c->net.token_file)
        c->net.token_host = host;
    r = fetch_net_open(&c->net, c->common.seed, token, &urls.http, err);
    if (r == T3D_OK)
        r = t3d_dataset_open(&d, kind, &wish, err);
    if (r < 0)
        return r;
    rows.ctx = d;
    r = t3d_fetch_close(&f, t3d_fetch_urls(&f, &urls, err));
    if (r >= 0)
        tell(d);
    t3d_dataset_close(d);
    return r;
}

static int run_one(void *conf, struct t3d_err *err)
{
    return fetch(conf, T3D_OBJAVERSE, "objaverse", err);
}

static int run_xl(void *conf, struct t3d_err *err)
{
    return fetch(conf, T3D_OBJAVERSE_XL, "objaverse-xl", err);
}

const struct t3d_command fetch_objaverse = {.name = "objaverse",
                                            .summary = "take objects of Objaverse 1.0",
                                            .opts = one_opts,
                                            .conf_size = sizeof(struct conf),
                                            .run = run_one};

const struct t3d_command fetch_objaverse_xl = {.name = "objaverse-xl",
                                               .summary = "take objects of Objaverse-XL",
                                               .opts = xl_opts,
                                               .conf_size = sizeof(struct conf),
                                               .run = run_xl};
