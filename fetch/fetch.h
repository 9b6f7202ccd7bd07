/* SPDX-License-Identifier: Apache-2.0 */
/* fetch/fetch.h -- what the commands of t3d-fetch share; each has a file fetch_<name>.c. */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include "base/opt.h"
#include "store/fetch.h"

enum { FETCH_TOKEN_SIZE = 4096 };

extern const struct t3d_command fetch_local, fetch_urls, fetch_primitives, fetch_weights,
    fetch_objaverse, fetch_objaverse_xl, fetch_cap3d;
/* Refused, with what to do instead. */
extern const struct t3d_command fetch_shapenet, fetch_modelnet40, fetch_mcb, fetch_abc,
    fetch_front3d, fetch_sketchfab;

extern struct t3d_unpacker *fetch_unpacker; /* a slot for each thread */

/* Reads the names of other files in a stored one, behind the sandbox: struct t3d_fetch's names. */
int fetch_names(int thread, const char *path, const char *ending, struct t3d_gather *files,
                struct t3d_err *err);

/* How to fetch over HTTP: the options of all commands that do. */
struct fetch_net {
    struct t3d_list allow_net;
    const char *token_file, *token_host;
    uint64_t transfers, per_host, attempts;
    double timeout, backoff, max_wait;
};

/* Rows of an option table; `net` is the member of `conf`. */
/* clang-format off */
#define FETCH_NET_OPTS(conf, net)                                                                  \
    {0, "allow-net", T3D_OPT_WORDS, offsetof(conf, net.allow_net), "CIDR", NULL, NULL,             \
     "private networks that may be connected to"},                                                 \
    {0, "token-file", T3D_OPT_STRING, offsetof(conf, net.token_file), "FILE", NULL, NULL,          \
     "file with a bearer token for --token-host"},                                                 \
    {0, "token-host", T3D_OPT_STRING, offsetof(conf, net.token_host), "HOST", NULL, NULL,          \
     "the one host (and :port) that the token is sent to, over https"},                            \
    {0, "transfers", T3D_OPT_U64, offsetof(conf, net.transfers), "N", "64", NULL,                  \
     "most transfers at once"},                                                                    \
    {0, "per-host", T3D_OPT_U64, offsetof(conf, net.per_host), "N", "32", NULL,                    \
     "most transfers at once from one host; how many there are follows its goodput"},              \
    {0, "attempts", T3D_OPT_U64, offsetof(conf, net.attempts), "N", "5", NULL,                     \
     "requests for an object whose failures are transient"},                                       \
    {0, "timeout", T3D_OPT_DOUBLE, offsetof(conf, net.timeout), "S", "30", NULL,                   \
     "end an attempt that has had less than 1000 bytes a second for so long"},                     \
    {0, "backoff", T3D_OPT_DOUBLE, offsetof(conf, net.backoff), "S", "0.5", NULL,                  \
     "first pause before another attempt; it grows to 60 s, with jitter"},                         \
    {0, "max-wait", T3D_OPT_DOUBLE, offsetof(conf, net.max_wait), "S", "300", NULL,                \
     "longest pause that a host may ask for"}
/* clang-format on */

/* Checks the values, reads the token into `token`, which http borrows, and fills http in. */
int fetch_net_open(const struct fetch_net *n, uint64_t seed, char token[FETCH_TOKEN_SIZE],
                   struct t3d_http_conf *http, struct t3d_err *err) T3D_MUST_CHECK;
/* The first line of the file; secrets are never on the command line, where others see them. */
int fetch_read_token(const char *path, char token[FETCH_TOKEN_SIZE],
                     struct t3d_err *err) T3D_MUST_CHECK;
/* "host:port" of an address. */
void fetch_host_of(const char *url, char host[256]);

#endif
