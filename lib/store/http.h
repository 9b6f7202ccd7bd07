/* SPDX-License-Identifier: Apache-2.0 */
/* store/http.h -- many downloads at once over HTTP(S), one request for each, on libcurl's multi
 * interface.
 *
 *     t3d_http_open(&h, &conf, err);
 *     while more addresses and t3d_http_room(h): t3d_http_submit(h, &request, err);
 *     while ((r = t3d_http_next(h, 100, &result, err)) == T3D_OK) { ...;
 * t3d_http_result_free(&result); } t3d_http_close(h);
 *
 * One thread. Results come in the order in which transfers end.
 *
 * A body is held in memory up to conf.memory_bytes, above that in a partial file, and hashed as it
 * comes. A transfer that breaks off goes on where it was: Range with If-Range (RFC 9110, sections
 * 13.1.5 and 14), with a strong ETag, or, where the caller knows the SHA-256, without one. A
 * partial file is named by address and ETag, so that a later process goes on with it; one process
 * at a time has it (flock). A reply that is not the rest of what is there begins anew.
 *
 * Failures are permanent (404, refused address, too large, ...), transient (429, 5xx, time-outs,
 * broken connections: tried again, conf.attempts times in all, with decorrelated jitter between
 * tries) or of integrity (size or SHA-256 differs; a body that was put together from parts is
 * fetched once more in one piece). Retry-After and RateLimit fields hold for all transfers of the
 * host (scheme, name and port). How many transfers a host has at once follows its goodput.
 *
 * Only http and https, at most 5 redirects, each checked anew. Whatever an address is called, what
 * it resolves to is checked when the connection is made: private, loopback, link-local, multicast
 * and other special ranges, also inside IPv6 forms, are refused unless conf.allow_net has them
 * (behind a proxy of the environment it is the proxy's address that is seen). Bodies are taken as
 * they come: a Content-Encoding is refused, never decoded. No cookies, no .netrc, no passwords in
 * addresses. */
#ifndef T3D_STORE_HTTP_H
#define T3D_STORE_HTTP_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_http;

/* 0 or NULL = the default. Strings and lists are borrowed until t3d_http_close. */
struct t3d_http_conf {
    const char *parts;            /* folder of partial files, made when needed; must be given */
    const char *const *allow_net; /* "127.0.0.0/8", "fd00::/8", "10.0.0.1" */
    size_t n_allow_net;
    const char *token;      /* bearer token, sent to token_host alone, over https or to loopback */
    const char *token_host; /* "host" or "host:port" */
    unsigned transfers;     /* at once; 64 */
    unsigned per_host;      /* most at once of one host; 32 */
    unsigned attempts;      /* 5 */
    uint64_t max_bytes;     /* of one body; 4 GiB */
    uint64_t memory_bytes;  /* of one body before it goes to a file; 1 MiB */
    double connect_s;       /* 20 */
    double slow_s;          /* less than slow_bytes a second for so long ends an attempt; 30 */
    uint64_t slow_bytes;    /* 1000 */
    double backoff_s;       /* first pause; 0.5 */
    double max_wait_s;      /* a host that asks for a longer pause fails; 300 */
    uint64_t seed;          /* of the jitter */
};

/* T3D_USAGE for a CIDR or a token that is not one. */
int t3d_http_open(struct t3d_http **h, const struct t3d_http_conf *conf,
                  struct t3d_err *err) T3D_MUST_CHECK;
/* Partial files of a body with a validator stay. NULL is fine. */
void t3d_http_close(struct t3d_http *h);

struct t3d_http_request {
    const char *url;
    const char *sha256; /* 64 hex digits, NULL = unknown */
    int64_t size;       /* -1 = unknown */
    uint64_t max_bytes; /* 0 = conf's */
    int fresh;          /* begin anew: no partial file of an earlier run */
    /* Not 0: only bytes [first, first + window), or the last `window` when first is -1, as far as
     * there are. A server that does not do ranges is permanent, "no-ranges". */
    int64_t first;
    uint64_t window;
    void *user;
};

enum t3d_http_class { /* ok permanent transient integrity stopped */
                      T3D_HTTP_OK,
                      T3D_HTTP_PERMANENT,
                      T3D_HTTP_TRANSIENT,
                      T3D_HTTP_INTEGRITY,
                      T3D_HTTP_STOPPED /* t3d_http_stop came before the end */
};
const char *t3d_http_class_name(enum t3d_http_class c);

struct t3d_http_result {
    void *user;
    enum t3d_http_class class;
    struct t3d_err err;  /* T3D_SKIP with the reason when class is not OK */
    int status;          /* last HTTP status; 0 = there was none */
    unsigned attempts;   /* requests, redirects not counted */
    char etag[160];      /* as sent, "" = none */
    char sha256[65];     /* of the body, when OK */
    int advertised;      /* the server has given this SHA-256 itself (X-Linked-ETag) */
    uint64_t bytes;      /* of the body, when OK */
    uint64_t total;      /* of the whole file, when a window was asked for */
    unsigned char *data; /* the body, malloc'd: set to NULL to keep it; NULL when it is in path */
    char *path;          /* the file with the body, malloc'd: rename it, else it is removed */
    double seconds;      /* from the first request to the end */
};

/* How many transfers can be submitted before one should wait for results. */
size_t t3d_http_room(const struct t3d_http *h);
/* Number of transfers submitted and not yet handed out. */
size_t t3d_http_pending(const struct t3d_http *h);
/* The request is copied. Never refuses an address: a bad one is a result. Fails for memory. */
int t3d_http_submit(struct t3d_http *h, const struct t3d_http_request *q,
                    struct t3d_err *err) T3D_MUST_CHECK;
/* T3D_OK with a result, T3D_END when nothing is under way, T3D_RETRY when nothing ended within
 * timeout_ms (or a signal came); T3D_IO when a partial file cannot be written. */
int t3d_http_next(struct t3d_http *h, int timeout_ms, struct t3d_http_result *r,
                  struct t3d_err *err) T3D_MUST_CHECK;
void t3d_http_result_free(struct t3d_http_result *r);
/* Start nothing more: what waits becomes STOPPED at once, what runs after `grace_s` more seconds.
 */
void t3d_http_stop(struct t3d_http *h, double grace_s);

struct t3d_http_totals {
    uint64_t requests, bytes, retries, resumed, redirects; /* bytes: of bodies, as received */
    double waited_s;                                       /* that hosts have asked for */
};
void t3d_http_count(const struct t3d_http *h, struct t3d_http_totals *t);
/* {"requests","bytes","retries","resumed","redirects","waited_s","hosts":[{"host","requests",
 * "bytes","throttled","p50_ms","p99_ms"}]}, the 32 busiest hosts; NULL when memory is out. */
cJSON *t3d_http_statistics(const struct t3d_http *h);

/* The address as it will be asked for: parsed, blanks encoded, without fragment. T3D_SKIP "bad-url"
 * for what is not http(s), has a password, or is no address; "bad-url" says why. malloc'd. */
int t3d_http_url(const char *url, char **clean, struct t3d_err *err) T3D_MUST_CHECK;
/* The last component of the path of a clean address, without query, into buf ("" = none). */
void t3d_http_url_name(const char *url, char *buf, size_t n);

/* 1 when a file begins like a web page: a login or an error instead of what was asked for. */
int t3d_http_is_page(const void *data, size_t n);
/* 1 when it is a pointer of Git LFS (git-lfs, docs/spec.md). */
int t3d_http_is_pointer(const void *data, size_t n);

#endif
