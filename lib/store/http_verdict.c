/* SPDX-License-Identifier: Apache-2.0 */
/* What has become of a transfer when libcurl is done with it. */
#include <stdlib.h>
#include <string.h>

#include "store/http_impl.h"

enum { RESTARTS = 2 };

int t3di_is_throttled(const struct t3di_reply *r)
{
    return r->status == 429 || r->status == 503 ||
           (r->status == 403 && (r->limits.remaining == 0 || r->limits.retry_after >= 0));
}

static enum t3di_next failed(struct t3di_transfer *t, enum t3d_http_class class, const char *reason,
                             const char *text)
{
    t->class = class;
    t3d_err_set(&t->err, T3D_SKIP, reason, "'%.300s': %s", t->first_url, text);
    return class == T3D_HTTP_TRANSIENT ? T3DI_LATER : T3DI_DONE;
}

/* What is held is not what the server has: all of it once more, but not for ever. */
static enum t3di_next again_or(struct t3di_transfer *t, const char *reason, const char *text)
{
    t3di_body_reset(&t->body);
    t->pieces = 0;
    if (t->restarts++ < RESTARTS)
        return T3DI_AGAIN;
    return failed(t, T3D_HTTP_INTEGRITY, reason, text);
}

static enum t3di_next aborted(struct t3di_transfer *t)
{
    char text[160];

    switch (t->abort) {
    case T3DI_TOO_LARGE:
        t3di_body_reset(&t->body);
        snprintf(text, sizeof text, "is larger than %llu bytes, which is the limit (--max-size)",
                 (unsigned long long)t->max_bytes);
        return failed(t, T3D_HTTP_PERMANENT, "too-large", text);
    case T3DI_WRONG_SIZE:
        if (t->pieces)
            return again_or(t, "wrong-size", "is not as long as the list says");
        t3di_body_reset(&t->body);
        snprintf(text, sizeof text, "is not the %lld bytes that the list says", (long long)t->size);
        return failed(t, T3D_HTTP_INTEGRITY, "wrong-size", text);
    case T3DI_BAD_RANGE:
        return again_or(t, "bad-range", "the server sends other parts than were asked for");
    case T3DI_NO_RANGES:
        return failed(t, T3D_HTTP_PERMANENT, "no-ranges", "the server does not send parts of it");
    case T3DI_ENCODED:
        return failed(t, T3D_HTTP_PERMANENT, "content-encoding",
                      "comes compressed although it was asked for as it is");
    case T3DI_BROKEN:
        t->class = T3D_HTTP_STOPPED;
        return T3DI_DONE;
    default:
        return T3DI_LATER;
    }
}

/* A login page or a pointer in place of the file says more than its hash. */
static enum t3di_next other_content(struct t3di_transfer *t, const char *text)
{
    const struct t3di_body *b = &t->body;
    int is_page = b->data && t3d_http_is_page(b->data, b->have);
    int is_pointer = b->data && t3d_http_is_pointer(b->data, b->have);

    t3di_body_reset(&t->body);
    if (is_page)
        return failed(t, T3D_HTTP_INTEGRITY, "html-page", "is a web page, not the file");
    if (is_pointer)
        return failed(t, T3D_HTTP_INTEGRITY, "lfs-pointer",
                      "is a pointer of Git LFS, not the file");
    return failed(t, T3D_HTTP_INTEGRITY, "wrong-sha256", text);
}

/* All bytes are there. */
static enum t3di_next whole(struct t3di_transfer *t)
{
    char sha256[65], text[300];

    if (t->size >= 0 && t->body.have != (uint64_t)t->size)
        return t->pieces
                   ? again_or(t, "wrong-size", "is not as long as the list says")
                   : failed(t, T3D_HTTP_INTEGRITY, "wrong-size", "is shorter than the list says");
    if (t3di_body_end(&t->body, sha256, &t->err) < 0) {
        t->abort = T3DI_BROKEN;
        t->class = T3D_HTTP_STOPPED;
        return T3DI_DONE;
    }
    if (t->sha256[0] && strcmp(sha256, t->sha256) != 0) {
        snprintf(text, sizeof text, "has the SHA-256 %s, the list says %s", sha256, t->sha256);
        if (t->pieces)
            return again_or(t, "wrong-sha256", text);
        return other_content(t, text);
    }
    memcpy(t->sha256, sha256, sizeof sha256);
    t->class = T3D_HTTP_OK;
    return T3DI_DONE;
}

/* The next hop, as libcurl resolves it against this one. */
static enum t3di_next redirected(struct t3di_transfer *t)
{
    struct t3d_err why;
    char text[300], *to = NULL, *clean;

    curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
    if (!to)
        return failed(t, T3D_HTTP_PERMANENT, "bad-redirect",
                      "redirects to nowhere, or to an address that is neither http nor https");
    if (++t->redirects > T3DI_MAX_REDIRECTS)
        return failed(t, T3D_HTTP_PERMANENT, "too-many-redirects", "redirects more than 5 times");
    if (t3d_http_url(to, &clean, &why) < 0) {
        snprintf(text, sizeof text, "redirects to '%.200s', which is refused", to);
        return failed(t, T3D_HTTP_PERMANENT, "bad-redirect", text);
    }
    if (!t->window && t->reply.linked[0] && t->sha256[0] &&
        strcmp(t->reply.linked, t->sha256) != 0) {
        free(clean);
        snprintf(text, sizeof text, "has the SHA-256 %s at home, the list says %s", t->reply.linked,
                 t->sha256);
        return failed(t, T3D_HTTP_INTEGRITY, "wrong-sha256", text);
    }
    if (t->reply.linked[0] && !t->window) {
        snprintf(t->sha256, sizeof t->sha256, "%s", t->reply.linked);
        t->advertised = 1;
    }
    if (t->url != t->first_url)
        free(t->url);
    t->url = clean;
    t->http->totals.redirects++;
    return T3DI_AGAIN;
}

static enum t3di_next by_status(struct t3di_transfer *t)
{
    const struct t3di_reply *r = &t->reply;
    char reason[32], text[64];

    snprintf(reason, sizeof reason, "http-%d", r->status);
    snprintf(text, sizeof text, "HTTP status %d", r->status);
    switch (r->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return redirected(t);
    case 416:
        if (t->window) /* also where only the question for an end is not understood */
            return failed(t, T3D_HTTP_PERMANENT, "no-ranges", text);
        /* If-Range held, else the whole would have come: nothing is missing when the total is what
         * is there. */
        if (t->start && r->total == (int64_t)t->start)
            return whole(t);
        if (t->start)
            return again_or(t, reason, text);
        return failed(t, T3D_HTTP_PERMANENT, reason, text);
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return failed(t, T3D_HTTP_TRANSIENT, reason, text);
    default: /* 520 and so on: a front end could not reach the origin */
        if (t3di_is_throttled(r) || (r->status >= 520 && r->status <= 530))
            return failed(t, T3D_HTTP_TRANSIENT, reason, text);
        return failed(t, T3D_HTTP_PERMANENT, reason, text);
    }
}

static enum t3di_next by_error(struct t3di_transfer *t, CURLcode code, const char *text)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return failed(t, T3D_HTTP_PERMANENT, "bad-url", text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return failed(t, T3D_HTTP_PERMANENT, "tls", text);
    case CURLE_FILESIZE_EXCEEDED:
        t->abort = T3DI_TOO_LARGE;
        return aborted(t);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return failed(t, T3D_HTTP_PERMANENT, "bad-reply", text);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return failed(t, T3D_HTTP_TRANSIENT, "dns", text);
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return failed(t, T3D_HTTP_TRANSIENT, "connect", text);
    case CURLE_OPERATION_TIMEDOUT:
        return failed(t, T3D_HTTP_TRANSIENT, "timeout", text);
    case CURLE_PARTIAL_FILE:
        return failed(t, T3D_HTTP_TRANSIENT, "truncated", text);
    default:
        return failed(t, T3D_HTTP_TRANSIENT, "network", text);
    }
}

enum t3di_next t3di_verdict(struct t3d_http *h, struct t3di_transfer *t, CURLcode code,
                            char curl_text[static CURL_ERROR_SIZE])
{
    enum t3di_next next;

    (void)h;
    if (t->refused && !t->reply.status)
        return failed(t, T3D_HTTP_PERMANENT, "private-address",
                      "leads to a private or special address; --allow-net CIDR allows it");
    if (t->abort && t->abort != T3DI_LONG_REPLY)
        return aborted(t);
    if (!t->abort && code != CURLE_OK) {
        next = by_error(t, code, *curl_text ? curl_text : curl_easy_strerror(code));
    } else if (t->reply.status == 200 || t->reply.status == 206) {
        return whole(t);
    } else {
        next = by_status(t);
    }
    return next;
}
