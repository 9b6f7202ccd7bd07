/* SPDX-License-Identifier: Apache-2.0 */
/* One request: what libcurl is told, and what it calls us with. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/http_impl.h"

enum { LONGEST_ERROR_PAGE = 1 << 20 };

/* --- header fields
 * -------------------------------------------------------------------------------- */

static void reply_init(struct t3di_reply *r)
{
    memset(r, 0, sizeof *r);
    r->length = r->first = r->last = r->total = -1;
    r->limits = (struct t3di_limits){.retry_after = -1, .remaining = -1, .reset = -1};
}

/* "<64 hex digits>", as Hugging Face's hub gives for large files. */
static void linked(struct t3di_reply *r, const char *value)
{
    unsigned char md[T3D_SHA256_BYTES];

    if (*value == '"' && strlen(value) == 66)
        snprintf(r->linked, sizeof r->linked, "%.64s", value + 1);
    if (t3d_unhex(r->linked, sizeof md, md) < 0)
        r->linked[0] = 0;
}

/* Whole number, or -2. */
static int64_t whole(const char *s, char **end)
{
    int64_t v = 0;

    *end = (char *)(uintptr_t)s;
    if (*s < '0' || *s > '9')
        return -2;
    for (; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return -2;
    *end = (char *)(uintptr_t)s;
    return v;
}

/* "bytes 5-9/10", "bytes 5-9/" "*", "bytes *" "/10" (RFC 9110, section 14.4). */
static void content_range(struct t3di_reply *r, const char *s)
{
    char *end;

    r->first = r->last = r->total = -1;
    if (strncasecmp(s, "bytes ", 6) != 0)
        return;
    s += 6;
    if (*s == '*') {
        end = (char *)(uintptr_t)s + 1;
    } else {
        r->first = whole(s, &end);
        if (r->first < 0 || *end != '-')
            return;
        r->last = whole(end + 1, &end);
    }
    if (*end == '/' && end[1] != '*')
        r->total = whole(end + 1, &end);
}

static int is(const char *name, size_t n, const char *wanted)
{
    return strlen(wanted) == n && strncasecmp(name, wanted, n) == 0;
}

static void field(struct t3di_reply *r, const char *name, size_t n, const char *value)
{
    char *end;

    if (is(name, n, "etag")) {
        snprintf(r->etag, sizeof r->etag, "%s", strlen(value) < sizeof r->etag ? value : "");
    } else if (is(name, n, "x-linked-etag")) {
        linked(r, value);
    } else if (is(name, n, "content-length")) {
        r->length = whole(value, &end);
    } else if (is(name, n, "content-range")) {
        content_range(r, value);
    } else if (is(name, n, "content-encoding")) {
        r->encoded = *value && strcasecmp(value, "identity") != 0;
    } else if (is(name, n, "date")) {
        r->date = (double)curl_getdate(value, NULL);
    } else {
        t3di_limits_header(&r->limits, name, n, value, r->date);
    }
}

/* A strong ETag can be asked for in If-Range. */
static int is_strong(const char *etag)
{
    return etag[0] == '"';
}

/* 206: the very rest of what is there. */
static int fits_range(const struct t3di_transfer *t)
{
    const struct t3di_reply *r = &t->reply;

    if (r->first != (int64_t)t->start || r->last < r->first || r->total != r->last + 1)
        return 0;
    if (r->length >= 0 && r->length != r->last - r->first + 1)
        return 0;
    if (t->size >= 0 && r->total != t->size)
        return 0;
    return !*t->body.etag || !*r->etag || strcmp(t->body.etag, r->etag) == 0;
}

/* A reply to the question for a window: exactly that, or what there is of it. A file that is no
 * larger may come whole. */
static enum t3di_abort begin_window(struct t3di_transfer *t)
{
    const struct t3di_reply *r = &t->reply;
    uint64_t n = r->last >= r->first ? (uint64_t)(r->last - r->first) + 1 : 0;

    t3di_body_reset(&t->body);
    t->start = 0;
    if (r->status == 200)
        return r->length >= 0 && (uint64_t)r->length <= t->window && t->first <= 0 ? T3DI_GO_ON
                                                                                   : T3DI_NO_RANGES;
    if (r->first < 0 || !n || n > t->window || r->total <= r->last ||
        (t->first >= 0 ? r->first != t->first : r->last + 1 != r->total) ||
        (r->length >= 0 && (uint64_t)r->length != n))
        return T3DI_BAD_RANGE;
    t3di_body_reserve(&t->body, n, t->http->conf.memory_bytes);
    return T3DI_GO_ON;
}

/* All header fields of a reply that has a body for us are there. */
static enum t3di_abort begin_body(struct t3di_transfer *t)
{
    struct t3di_reply *r = &t->reply;
    int64_t total = r->length;

    if (r->encoded)
        return T3DI_ENCODED;
    if (t->window)
        return begin_window(t);
    if (r->status == 206) {
        if (!t->start || !fits_range(t))
            return T3DI_BAD_RANGE;
        t->pieces = 1;
        t->http->totals.resumed++;
        total = r->total;
    } else {
        t3di_body_reset(&t->body);
        t->start = 0;
        t->pieces = 0;
        if (is_strong(r->etag))
            snprintf(t->body.etag, sizeof t->body.etag, "%s", r->etag);
    }
    if (total == -2 || (total > 0 && (uint64_t)total > t->max_bytes))
        return T3DI_TOO_LARGE;
    if (t->size >= 0 && total >= 0 && total != t->size)
        return T3DI_WRONG_SIZE;
    if (total > 0)
        t3di_body_reserve(&t->body, (uint64_t)total, t->http->conf.memory_bytes);
    return T3DI_GO_ON;
}

static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
    struct t3di_transfer *t = arg;
    char text[1024], *colon, *value;
    size_t used;

    (void)one;
    while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    used = n;
    if (n >= sizeof text) /* no field that matters is so long */
        used = 0;
    memcpy(text, line, used);
    text[used] = 0;
    if (strncmp(text, "HTTP/", 5) == 0) {
        const char *s = strchr(text, ' ');

        reply_init(&t->reply);
        t->reply.status = s ? (int)strtol(s + 1, NULL, 10) : 0;
    } else if (n == 0 && !t->reply.begun && t->reply.status >= 200) {
        t->reply.begun = 1;
        if (t->reply.status == 200 || t->reply.status == 206)
            t->abort = begin_body(t);
    } else if (!t->reply.begun && (colon = strchr(text, ':'))) {
        for (value = colon + 1; *value == ' ' || *value == '\t'; value++)
            ;
        for (size_t k = strlen(value); k && (value[k - 1] == ' ' || value[k - 1] == '\t'); k--)
            value[k - 1] = 0;
        field(&t->reply, text, (size_t)(colon - text), value);
    }
    return 1; /* see on_header_all */
}

static size_t on_header_all(char *line, size_t one, size_t n, void *arg)
{
    struct t3di_transfer *t = arg;

    on_header(line, one, n, arg);
    return t->abort ? 0 : n * one;
}

/* --- body
 * ----------------------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
    struct t3di_transfer *t = arg;
    struct t3d_http *h = t->http;

    (void)one;
    t->got += n;
    h->totals.bytes += n;
    if (t->reply.status != 200 && t->reply.status != 206) {
        if (t->got > LONGEST_ERROR_PAGE)
            t->abort = T3DI_LONG_REPLY;
    } else if (t->body.have + n > t->max_bytes) {
        t->abort = T3DI_TOO_LARGE; /* the length was not given, or is a lie */
    } else if (t->size >= 0 && t->body.have + n > (uint64_t)t->size) {
        t->abort = T3DI_WRONG_SIZE;
    } else if (t3di_body_add(&t->body, &h->parts, t->first_url, t->sha256[0] != 0, data, n,
                             h->conf.memory_bytes, &t->err) < 0) {
        t->abort = T3DI_BROKEN;
    }
    return t->abort ? 0 : n;
}

/* --- connections
 * ---------------------------------------------------------------------------------- */

/* Called with each resolved address, also of redirects: the name does not matter. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct t3di_transfer *t = arg;
    const struct t3d_http *h = t->http;

    (void)purpose;
    if (!t3di_net_allows(h->allow, h->conf.n_allow_net, &a->addr)) {
        t->refused = 1;
        return CURL_SOCKET_BAD;
    }
    t->refused = 0;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

CURL *t3di_easy_new(struct t3d_http *h)
{
    const struct t3d_http_conf *c = &h->conf;
    CURL *e = curl_easy_init();

    if (!e)
        return NULL;
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L); /* each hop is ours to judge */
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "t3d/" T3D_VERSION);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * c->connect_s));
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)c->slow_bytes);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)T3D_MAX(1, c->slow_s));
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, 300L);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header_all);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    return e;
}

/* The token goes to its host alone: by https, or to a loopback address as it stands in the address.
 */
static int may_have_token(const struct t3d_http *h, const char *url)
{
    const char *host = h->conf.token_host;
    size_t n = host ? strlen(host) : 0;
    int secure = strncmp(url, "https://", 8) == 0;
    const char *s = strstr(url, "://");

    if (!h->conf.token || !n || !s || strncasecmp(s + 3, host, n) != 0)
        return 0;
    s += 3;
    if (s[n] != 0 && !strchr("/?#", s[n])) /* "host" alone is not "host:8080" */
        return 0;
    return secure || strncmp(s, "127.", 4) == 0 || strncmp(s, "[::1]", 5) == 0 ||
           (strncasecmp(s, "localhost", 9) == 0 && (!s[9] || strchr(":/", s[9])));
}

static int add_field(struct curl_slist **list, const char *name, const char *value)
{
    struct curl_slist *more;
    char *line;
    int bad = asprintf(&line, "%s: %s", name, value) < 0;

    if (bad)
        return -1;
    more = curl_slist_append(*list, line);
    free(line);
    if (more)
        *list = more;
    return more ? 0 : -1;
}

static int own_fields(struct t3d_http *h, struct t3di_transfer *t)
{
    int token = may_have_token(h, t->url), condition = t->start > 0 && *t->body.etag, bad = 0;

    curl_slist_free_all(t->fields);
    t->fields = NULL;
    if (!token && !condition)
        return 0;
    bad = add_field(&t->fields, "Accept-Encoding", "identity");
    if (!bad && token) {
        char *value;

        bad = asprintf(&value, "Bearer %s", h->conf.token) < 0;
        if (!bad) {
            bad = add_field(&t->fields, "Authorization", value);
            free(value);
        }
    }
    if (!bad && condition)
        bad = add_field(&t->fields, "If-Range", t->body.etag);
    return bad;
}

int t3di_easy_start(struct t3d_http *h, struct t3di_transfer *t, struct t3d_err *err)
{
    char range[64];
    CURL *e;

    t->easy = e = h->n_idle ? h->idle[--h->n_idle] : t3di_easy_new(h);
    if (!e)
        return t3d_err_nomem(err, t->url);
    reply_init(&t->reply);
    t->abort = T3DI_GO_ON;
    t->refused = 0;
    t->got = 0;
    if (t->window)
        t3di_body_reset(&t->body);
    t->start = t->body.have;
    t->start_time = t3d_clock_s();
    if (own_fields(h, t) < 0)
        return t3d_err_nomem(err, t->url);
    if (t->window && t->first < 0)
        snprintf(range, sizeof range, "-%llu", (unsigned long long)t->window);
    else if (t->window)
        snprintf(range, sizeof range, "%lld-%llu", (long long)t->first,
                 (unsigned long long)t->first + t->window - 1);
    else
        snprintf(range, sizeof range, "%llu-", (unsigned long long)t->start);
    curl_easy_setopt(e, CURLOPT_URL, t->url);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(e, CURLOPT_RANGE, t->start || t->window ? range : NULL);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->fields ? t->fields : h->fields);
    if (curl_multi_add_handle(h->multi, e) != CURLM_OK)
        return t3d_err_set(err, T3D_FAIL, "curl", "libcurl refuses '%.200s'", t->url);
    h->totals.requests++;
    return T3D_OK;
}
