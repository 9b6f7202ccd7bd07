/* SPDX-License-Identifier: Apache-2.0 */
/* t3d fetch urls: a list of addresses; and what all commands that fetch over HTTP share. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "fetch/fetch.h"

struct conf {
    struct t3d_common common;
    const char *captions, *license, *dataset, *retry;
    struct t3d_list licenses;
    uint64_t max_size;
    struct fetch_net net;
};

static const struct t3d_opt opts[] = {
    {0, "captions", T3D_OPT_STRING, offsetof(struct conf, captions), "FILE", NULL, NULL,
     "captions, licences and ids beside those of the list, matched by address, sha256 or uid"},
    {0, "license", T3D_OPT_STRING, offsetof(struct conf, license), "L", NULL, NULL,
     "licence of objects to which no list gives one (SPDX identifier)"},
    {0, "licenses", T3D_OPT_WORDS, offsetof(struct conf, licenses), "LIST", NULL, NULL,
     "fetch only objects with one of these licences; the others are rejected"},
    {0, "max-size", T3D_OPT_SIZE, offsetof(struct conf, max_size), "BYTES", "1Gi", NULL,
     "largest object"},
    {0, "dataset", T3D_OPT_STRING, offsetof(struct conf, dataset), "NAME", NULL, NULL,
     "name of the data set in the manifest; urls by default"},
    {0, "retry", T3D_OPT_STRING, offsetof(struct conf, retry), "WHAT", NULL, "failed",
     "failed: only rows that have failed before, permanent failures too"},
    FETCH_NET_OPTS(struct conf, net),
    {0}};

int fetch_read_token(const char *path, char token[FETCH_TOKEN_SIZE], struct t3d_err *err)
{
    struct t3d_blob b;
    size_t n;
    int r = t3d_blob_open(&b, path, FETCH_TOKEN_SIZE - 1, err);

    if (r < 0)
        return t3d_err_set(err, T3D_USAGE, "usage", "--token-file '%s' cannot be read", path);
    for (n = 0; n < b.size && b.data[n] > ' '; n++)
        token[n] = (char)b.data[n];
    token[n] = 0;
    t3d_blob_close(&b);
    return n ? T3D_OK : t3d_err_set(err, T3D_USAGE, "usage", "--token-file '%s' is empty", path);
}

void fetch_host_of(const char *url, char host[256])
{
    const char *s = strstr(url, "://");

    s = s ? s + 3 : url;
    snprintf(host, 256, "%.*s", (int)strcspn(s, "/?#"), s);
}

static int check_net(const struct fetch_net *n, struct t3d_err *err)
{
    if (n->transfers < 1 || n->transfers > 1024 || n->per_host < 1 || n->per_host > 1024)
        return t3d_err_set(err, T3D_USAGE, "usage", "--transfers and --per-host take 1 to 1024");
    if (n->attempts < 1 || n->attempts > 100)
        return t3d_err_set(err, T3D_USAGE, "usage", "--attempts takes 1 to 100");
    if (n->timeout < 1 || n->backoff <= 0 || n->max_wait <= 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--timeout takes 1 or more, --backoff and --max-wait more than 0");
    return T3D_OK;
}

int fetch_net_open(const struct fetch_net *n, uint64_t seed, char token[FETCH_TOKEN_SIZE],
                   struct t3d_http_conf *http, struct t3d_err *err)
{
    int r = check_net(n, err);

    *token = 0;
    if (r == T3D_OK && n->token_file)
        r = fetch_read_token(n->token_file, token, err);
    *http = (struct t3d_http_conf){.allow_net = n->allow_net.item,
                                   .n_allow_net = n->allow_net.n,
                                   .token = *token ? token : NULL,
                                   .token_host = n->token_host,
                                   .transfers = (unsigned)n->transfers,
                                   .per_host = (unsigned)n->per_host,
                                   .attempts = (unsigned)n->attempts,
                                   .slow_s = n->timeout,
                                   .backoff_s = n->backoff,
                                   .max_wait_s = n->max_wait,
                                   .seed = seed};
    return r;
}

static int run(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    char token[FETCH_TOKEN_SIZE];
    struct t3d_fetch f = {.common = &c->common, .names = fetch_names, .unpacker = fetch_unpacker};
    struct t3d_fetch_urls urls = {
        .list = c->common.use_stdin || !c->common.operands.n ? "-" : c->common.operands.item[0],
        .captions = c->captions,
        .license = c->license,
        .dataset = c->dataset,
        .licenses = &c->licenses,
        .max_bytes = c->max_size,
        .retry = c->retry ? c->retry : ""};
    int r;

    if (c->common.use_stdin == (c->common.operands.n > 0) || c->common.operands.n > 1)
        return t3d_err_set(err, T3D_USAGE, "usage", "name one list of addresses, or -");
    if (c->max_size < 1)
        return t3d_err_set(err, T3D_USAGE, "usage", "--max-size takes more than 0");
    r = fetch_net_open(&c->net, c->common.seed, token, &urls.http, err);
    return r < 0 ? r : t3d_fetch_close(&f, t3d_fetch_urls(&f, &urls, err));
}

const struct t3d_command fetch_urls = {.name = "urls",
                                       .operands = "[-] [LIST]",
                                       .summary = "take 3D files from a list of addresses",
                                       .opts = opts,
                                       .conf_size = sizeof(struct conf),
                                       .run = run};
