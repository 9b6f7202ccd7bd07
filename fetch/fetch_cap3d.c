/* SPDX-License-Identifier: Apache-2.0 */
/* t3d fetch cap3d: captions, and ready-made renders, for the objects of the workspace. */
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "fetch/fetch.h"
#include "fetch/fetch_cap3d.h"
#include "store/cap3d.h"
#include "store/dataset.h"
#include "store/manifest.h"

struct conf {
    struct t3d_common common;
    const char *base_url, *revision, *captions;
    struct t3d_list renders;
    struct fetch_net net;
};

static const struct t3d_opt opts[] = {
    {0, "captions", T3D_OPT_STRING, offsetof(struct conf, captions), "FILE", NULL, NULL,
     "a list that is here already, in place of Cap3D's: csv, json or ndjson, by uid or sha256"},
    {0, "renders", T3D_OPT_FILES, offsetof(struct conf, renders), "ZIP", NULL, NULL,
     "no captions, but the 20 renders of each object that is here, from Cap3D's zip files "
     "(compressed_imgs_perobj_*.zip), as shards renders/cap3d-512"},
    {0, "base-url", T3D_OPT_STRING, offsetof(struct conf, base_url), "URL", NULL, NULL,
     "a mirror: takes the place of scheme and host of the addresses"},
    {0, "revision", T3D_OPT_STRING, offsetof(struct conf, revision), "REV", NULL, NULL,
     "branch, tag or commit of the data set; main by default"},
    FETCH_NET_OPTS(struct conf, net),
    {0}};

static int report(const struct conf *c, const struct t3d_cap3d_counts *n, struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject();
    int r;

    t3d_info("%llu captions in the list; %llu of %llu objects have one, %llu a new one",
             (unsigned long long)n->rows, (unsigned long long)n->matched,
             (unsigned long long)n->objects, (unsigned long long)n->changed);
    if (n->bad)
        t3d_warn("%llu rows were passed over, the first: %s", (unsigned long long)n->bad,
                 n->first_bad.msg);
    t3d_json_set_str(o, "stage", "fetch");
    t3d_json_set_str(o, "dataset", "cap3d");
    t3d_json_set_num(o, "rows", (double)n->rows);
    t3d_json_set_num(o, "bad_rows", (double)n->bad);
    t3d_json_set_num(o, "objects", (double)n->objects);
    t3d_json_set_num(o, "matched", (double)n->matched);
    t3d_json_set_num(o, "changed", (double)n->changed);
    r = c->common.dry_run ? T3D_OK : t3d_emit(o, err);
    cJSON_Delete(o);
    return r;
}

static int run_renders(const struct conf *c, struct t3d_err *err)
{
    struct fetch_renders n = {0};
    struct t3d_manifest *m;
    cJSON *o;
    int r = t3d_manifest_open(&m, c->common.workspace, 0, err);

    if (r == T3D_OK) {
        r = fetch_cap3d_renders(&c->common, &c->renders, m, &n, err);
        t3d_manifest_close(m);
    }
    if (r < 0)
        return r;
    t3d_info("renders of %llu objects: %llu taken, %llu unchanged, %llu failed, %llu have not "
             "passed fetch and filter",
             (unsigned long long)n.in_archives, (unsigned long long)n.ok,
             (unsigned long long)n.unchanged, (unsigned long long)n.failed,
             (unsigned long long)n.not_ready);
    o = cJSON_CreateObject();
    t3d_json_set_str(o, "stage", "fetch");
    t3d_json_set_str(o, "dataset", "cap3d");
    t3d_json_set_num(o, "in_archives", (double)n.in_archives);
    t3d_json_set_num(o, "ok", (double)n.ok);
    t3d_json_set_num(o, "unchanged", (double)n.unchanged);
    t3d_json_set_num(o, "failed", (double)n.failed);
    t3d_json_set_num(o, "not_ready", (double)n.not_ready);
    r = t3d_emit(o, err);
    cJSON_Delete(o);
    return r < 0                  ? r
           : t3d_stop_requested() ? t3d_stop_requested()
           : n.failed             ? T3D_EXIT_PARTIAL
                                  : 0;
}

static int run(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;
    char token[FETCH_TOKEN_SIZE], host[256];
    struct t3d_http_conf http;
    struct t3d_dataset_conf wish = {.workspace = c->common.workspace,
                                    .base_url = c->base_url,
                                    .revision = c->revision,
                                    .redo = c->common.redo,
                                    .http = &http};
    struct t3d_cap3d_counts n;
    struct t3d_manifest *m = NULL;
    int r;

    if (c->renders.n)
        return run_renders(c, err);
    fetch_host_of(c->base_url ? c->base_url : "https://huggingface.co", host);
    if (!c->net.token_host && c->net.token_file)
        c->net.token_host = host;
    r = fetch_net_open(&c->net, c->common.seed, token, &http, err);
    if (r == T3D_OK && !c->common.dry_run)
        r = t3d_manifest_open(&m, c->common.workspace, T3D_MANIFEST_CREATE, err);
    if (r == T3D_OK)
        r = t3d_cap3d_captions(m, &wish, c->captions, &n, err);
    t3d_manifest_close(m);
    return r == T3D_OK ? report(c, &n, err) : r;
}

const struct t3d_command fetch_cap3d = {.name = "cap3d",
                                        .summary = "take captions or renders of Cap3D for the "
                                                   "objects that are there",
                                        .opts = opts,
                                        .conf_size = sizeof(struct conf),
                                        .run = run};
