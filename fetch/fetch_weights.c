/* SPDX-License-Identifier: Apache-2.0 */
/* t3d fetch weights: the files of networks. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "fetch/fetch.h"
#include "store/weights.h"

struct conf {
    struct t3d_common common;
    struct t3d_list allow_net;
    const char *base_url, *revision, *token_file;
    int list, json;
};

static const struct t3d_opt opts[] = {
    {0, "list", T3D_OPT_BOOL, offsetof(struct conf, list), NULL, NULL, NULL,
     "print the catalogue: names, sizes, licences, addresses and SHA-256 where known"},
    {0, "json", T3D_OPT_BOOL, offsetof(struct conf, json), NULL, NULL, NULL,
     "with --list: one JSON object a line"},
    {0, "base-url", T3D_OPT_STRING, offsetof(struct conf, base_url), "URL", NULL, NULL,
     "a mirror: takes the place of scheme and host of the addresses"},
    {0, "revision", T3D_OPT_STRING, offsetof(struct conf, revision), "REV", NULL, NULL,
     "branch, tag or commit of the hub's repository; main by default"},
    {0, "allow-net", T3D_OPT_WORDS, offsetof(struct conf, allow_net), "CIDR", NULL, NULL,
     "private network that may be connected to, for a mirror"},
    {0, "token-file", T3D_OPT_STRING, offsetof(struct conf, token_file), "FILE", NULL, NULL,
     "file with a bearer token, sent to the home of the files (or --base-url) alone"},
    {0}};

static int list_weights(const struct conf *c, struct t3d_err *err)
{
    size_t n;
    const struct t3d_weights *w = t3d_weights_all(&n);
    int r = T3D_OK;

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        struct t3d_weights_file f[T3D_WEIGHTS_FILES];
        size_t files = t3d_weights_files(&w[i], c->base_url, c->revision, f);

        if (c->json) {
            cJSON *o = t3d_weights_record(&w[i], c->base_url, c->revision);

            r = t3d_emit(o, err);
            cJSON_Delete(o);
            continue;
        }
        printf("%-22s about %u MB  %s  %s\n", w[i].name, w[i].about_mb, w[i].license, w[i].about);
        for (size_t k = 0; k < files; k++)
            printf("    %s  sha256 %s%s%s%s\n", f[k].url, f[k].sha256 ? f[k].sha256 : "unknown",
                   f[k].sha256 && strlen(f[k].sha256) < 64 ? "..." : "",
                   f[k].optional ? "  (if there)" : "", f[k].otherwise ? "  (or the next)" : "");
    }
    return r;
}

static int fetch_one(const struct conf *c, const char *name, const char *token, struct t3d_err *err)
{
    struct t3d_weights_where where = {.workspace = c->common.workspace,
                                      .base_url = c->base_url,
                                      .revision = c->revision,
                                      .progress = c->common.progress,
                                      .redo = c->common.redo,
                                      .http = {.allow_net = c->allow_net.item,
                                               .n_allow_net = c->allow_net.n,
                                               .seed = c->common.seed}};
    struct t3d_weights_file f[T3D_WEIGHTS_FILES];
    struct t3d_weights_done done;
    char near[64], host[256];
    const struct t3d_weights *w = t3d_weights_find(name, near);
    int r;

    if (!w)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "no weights are called '%s'%s%s%s: --list shows the catalogue", name,
                           *near ? " (did you mean '" : "", near, *near ? "'?)" : "");
    t3d_weights_files(w, c->base_url, c->revision, f);
    fetch_host_of(f[0].url, host);
    where.http.token = token;
    where.http.token_host = token ? host : NULL;
    if (c->common.dry_run) {
        t3d_info("dry run: %s: about %u MB from %s (%s)", w->name, w->about_mb, host, w->license);
        return T3D_OK;
    }
    r = t3d_weights_fetch(w, &where, &done, err);
    if (r == T3D_OK)
        t3d_info("%s: %zu files, %.1f MB, %s; licence %s", w->name, done.files,
                 (double)done.bytes / 1e6, done.was_there ? "are there already" : "fetched",
                 w->license);
    return r;
}

static int run(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    char token[FETCH_TOKEN_SIZE] = "";
    int r = T3D_OK;

    if (c->list)
        return list_weights(c, err);
    if (!c->common.operands.n)
        return t3d_err_set(err, T3D_USAGE, "usage", "name the weights: --list shows them");
    if (c->token_file)
        r = fetch_read_token(c->token_file, token, err);
    for (size_t i = 0; i < c->common.operands.n && r == T3D_OK; i++)
        r = fetch_one(c, c->common.operands.item[i], *token ? token : NULL, err);
    return r;
}

const struct t3d_command fetch_weights = {.name = "weights",
                                          .operands = "[NAME...]",
                                          .summary = "get the weights of a network",
                                          .opts = opts,
                                          .conf_size = sizeof(struct conf),
                                          .run = run};
