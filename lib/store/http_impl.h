/* SPDX-License-Identifier: Apache-2.0 */
/* store/http_impl.h -- what the files of the HTTP engine share. */
#ifndef T3D_STORE_HTTP_IMPL_H
#define T3D_STORE_HTTP_IMPL_H

#include <curl/curl.h>
#include <netinet/in.h>

#include "base/hash.h"
#include "store/http.h"

enum { T3DI_ETAG_SIZE = 160, T3DI_MAX_REDIRECTS = 5, T3DI_LATENCIES = 48 };

/* --- http_net.c: addresses ---------------------------------------------------------------------
 */

struct t3di_net {
    unsigned char addr[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
};

int t3di_net_parse(struct t3di_net *n, const char *cidr, struct t3d_err *err) T3D_MUST_CHECK;
/* 1 when a connection to sa may be made: public, or in one of the allowed nets. */
int t3di_net_allows(const struct t3di_net *allow, size_t n, const struct sockaddr *sa);

/* --- http_host.c: what is known of a host -------------------------------------------------------
 */

struct t3di_transfer;

struct t3di_queue {
    struct t3di_transfer *first, *last;
};

struct t3di_host {
    struct t3di_host *next; /* in its bucket */
    char *name;             /* "https://host:443" */
    struct t3di_queue queue;
    int waiting;       /* in the ring of hosts that have a queue */
    unsigned active;   /* transfers that run */
    double limit;      /* of them; follows the goodput */
    double not_before; /* no request before this moment */
    int64_t remaining; /* requests left until reset; -1 = the host does not say */
    double reset;
    /* the goodput of the interval under way and the best one at this limit */
    double since, work, best, calm;
    unsigned ended, grew;
    uint64_t requests, bytes, throttled;
    uint32_t latency[T3DI_LATENCIES]; /* by t3di_latency_bucket */
};

struct t3di_hosts {
    struct t3di_host **bucket;
    size_t n, buckets;
    unsigned per_host;
};

/* Find or add; NULL when memory is out. */
struct t3di_host *t3di_host_find(struct t3di_hosts *t, const char *name, double now);
void t3di_hosts_free(struct t3di_hosts *t);
/* Seconds until one more request may be made; 0 = now, -1 = not before one ends. */
double t3di_host_wait(const struct t3di_host *h, double now);
void t3di_host_start(struct t3di_host *h);
/* A transfer has ended after seconds with bytes; good = the host is well. */
void t3di_host_end(struct t3di_host *h, unsigned per_host, double now, double seconds,
                   uint64_t bytes, int good);

/* What a reply says about limits; seconds from now, -1 = nothing. */
struct t3di_limits {
    double retry_after;
    int64_t remaining;
    double reset;
};
void t3di_limits_header(struct t3di_limits *l, const char *name, size_t name_n, const char *value,
                        double date);
/* The reply of a host: throttled = 429, 503 or 403 without more requests. */
void t3di_host_limits(struct t3di_host *h, const struct t3di_limits *l, int throttled, double now);
double t3di_host_latency(const struct t3di_host *h, double quantile); /* seconds */

/* --- http_sink.c: threads that hash and write ----------------------------------------------------
 */

struct t3di_sink;
struct t3di_stream; /* of one body */

int t3di_sink_open(struct t3di_sink **k, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_sink_close(struct t3di_sink *k); /* no stream is left; NULL is fine */
/* Becomes readable when a stream has nothing left to do. */
int t3di_sink_event(const struct t3di_sink *k);
/* fd is at its end; path is borrowed, hash used until the stream is freed. */
int t3di_stream_new(struct t3di_stream **s, struct t3di_sink *k, int fd, const char *path,
                    struct t3d_sha256 *hash, struct t3d_err *err) T3D_MUST_CHECK;
/* Copies; waits when too much is under way. */
int t3di_stream_add(struct t3di_stream *s, const void *data, size_t n,
                    struct t3d_err *err) T3D_MUST_CHECK;
/* T3D_OK = all is hashed and written, T3D_RETRY = not yet; else the error of the writer. */
int t3di_stream_poll(struct t3di_stream *s, struct t3d_err *err) T3D_MUST_CHECK;
/* Waits for all that was added, or without keep drops it. The error of the writer when keep. */
int t3di_stream_free(struct t3di_stream *s, int keep, struct t3d_err *err);

/* --- http_part.c: the body of a transfer ---------------------------------------------------------
 */

/* Bytes held so far, in memory or in a partial file, and their hash. */
struct t3di_body {
    uint64_t have;
    unsigned char *data;
    size_t capacity;
    char *path; /* of the file, NULL = in memory */
    int fd, keep;
    struct t3d_sha256 *hash;
    struct t3di_stream *stream; /* hashes and writes while there is a file */
    char etag[T3DI_ETAG_SIZE];  /* the strong ETag of what is held, "" = none */
};

/* Partial files that were there when the engine was opened, by digest of the address. */
struct t3di_parts {
    const char *folder;
    char **name; /* sorted */
    size_t n;
    int made;               /* the folder is there */
    struct t3di_sink *sink; /* started when the first body goes to a file */
};

int t3di_parts_open(struct t3di_parts *p, const char *folder, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_parts_close(struct t3di_parts *p);
void t3di_body_init(struct t3di_body *b);
/* Take over the partial file of an earlier process, if there is one that can be gone on with. */
int t3di_body_recall(struct t3di_body *b, struct t3di_parts *p, const char *url, int has_sha256,
                     struct t3d_err *err) T3D_MUST_CHECK;
/* Room for a body whose length is known. Fails silently. */
void t3di_body_reserve(struct t3di_body *b, uint64_t bytes, uint64_t memory_bytes);
int t3di_body_add(struct t3di_body *b, struct t3di_parts *p, const char *url, int has_sha256,
                  const void *data, size_t n, uint64_t memory_bytes,
                  struct t3d_err *err) T3D_MUST_CHECK;
/* Forget all bytes. */
void t3di_body_reset(struct t3di_body *b);
/* Free; a file that can be gone on with stays. */
void t3di_body_close(struct t3di_body *b);
/* T3D_RETRY while threads are at work on it; T3D_OK; or the error of a write. */
int t3di_body_poll(struct t3di_body *b, struct t3d_err *err) T3D_MUST_CHECK;
/* The hash of all; the body can only be taken or reset afterwards. */
int t3di_body_end(struct t3di_body *b, char sha256[65], struct t3d_err *err) T3D_MUST_CHECK;

/* --- transfers ----------------------------------------------------------------------------------
 */

enum t3di_abort { /* why a callback ended the transfer */
                  T3DI_GO_ON,
                  T3DI_TOO_LARGE,
                  T3DI_WRONG_SIZE,
                  T3DI_BAD_RANGE,
                  T3DI_NO_RANGES,
                  T3DI_ENCODED,
                  T3DI_LONG_REPLY, /* an error page without end: the status says enough */
                  T3DI_BROKEN      /* err has it: disk full, no memory */
};

struct t3di_reply {
    int status;
    int begun;            /* all header fields are there */
    int encoded;          /* has a Content-Encoding other than identity */
    int64_t length;       /* Content-Length; -1 = none, -2 = not a number that fits */
    int64_t first, total; /* Content-Range; -1 = none */
    int64_t last;
    double date; /* Date, seconds since 1970; 0 = none */
    char etag[T3DI_ETAG_SIZE];
    char linked[65]; /* X-Linked-ETag, when it is a SHA-256: of the file that is redirected to */
    struct t3di_limits limits;
};

struct t3di_transfer {
    struct t3di_transfer *next; /* in a queue */
    struct t3d_http *http;
    char *first_url, *url; /* as asked for; of this hop */
    char sha256[65];
    int64_t size;
    uint64_t max_bytes;
    void *user;
    struct t3di_host *host;
    CURL *easy;
    struct curl_slist *fields;
    struct t3di_body body;
    struct t3di_reply reply;
    uint64_t start; /* what the request asked for begins here */
    uint64_t got;   /* bytes of this reply */
    unsigned attempts, redirects, restarts, slot;
    CURLcode code; /* of libcurl, at the end */
    int pieces;    /* the body was put together from replies */
    int fresh;     /* no partial file of an earlier run */
    int64_t first; /* with a window: its first byte, -1 = it is the end */
    uint64_t window;
    int advertised; /* sha256 is the server\'s */
    int refused;    /* the address was refused when connecting */
    enum t3di_abort abort;
    double first_start, start_time, due, pause;
    enum t3d_http_class class;
    struct t3d_err err;
};

struct t3d_http {
    struct t3d_http_conf conf;
    struct t3di_net *allow;
    struct t3di_hosts hosts;
    struct t3di_parts parts;
    CURLM *multi;
    CURL **idle; /* easy handles that are free */
    size_t n_idle;
    struct curl_slist *fields; /* of each request */
    int epoll;
    double timer;                  /* when curl wants to be called; < 0 = never */
    struct t3di_transfer **active; /* conf.transfers of them, NULL = free; slot is the index */
    size_t n_active, pending;
    struct t3di_host **waiting; /* hosts with a queue */
    size_t n_waiting, waiting_capacity, turn;
    struct t3di_queue delayed, done;
    struct t3di_queue settling; /* all has come and is not yet hashed and written */
    int watched;                /* epoll has the sink's event */
    double next_due;
    int stopping;
    double stop_at;
    struct t3d_http_totals totals;
    struct t3d_err fatal; /* code 0 = none */
};

/* http_easy.c: one request. */
CURL *t3di_easy_new(struct t3d_http *h);
int t3di_easy_start(struct t3d_http *h, struct t3di_transfer *t,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* http_verdict.c: what has become of a transfer when libcurl is done with it. */
enum t3di_next {
    T3DI_DONE,  /* class and err are set */
    T3DI_AGAIN, /* at once: a redirect (url is the new one), or from the beginning */
    T3DI_LATER  /* transient: after a pause */
};
enum t3di_next t3di_verdict(struct t3d_http *h, struct t3di_transfer *t, CURLcode code,
                            char curl_text[static CURL_ERROR_SIZE]);
/* 1 when the host is to be asked less. */
int t3di_is_throttled(const struct t3di_reply *r);

#endif
