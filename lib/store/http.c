/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: queues of hosts, retries, and the event loop around libcurl. */
#include "store/http.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/rng.h"
#include "store/http_impl.h"

enum { EVENTS = 64, SHOWN_HOSTS = 32 };

const char *t3d_http_class_name(enum t3d_http_class c)
{
    static const char *const name[] = {"ok", "permanent", "transient", "integrity", "stopped"};

    return name[c];
}

/* --- queues
 * --------------------------------------------------------------------------------------- */

static void push(struct t3di_queue *q, struct t3di_transfer *t)
{
    t->next = NULL;
    if (q->last)
        q->last->next = t;
    else
        q->first = t;
    q->last = t;
}

static void push_front(struct t3di_queue *q, struct t3di_transfer *t)
{
    t->next = q->first;
    q->first = t;
    if (!q->last)
        q->last = t;
}

static struct t3di_transfer *pop(struct t3di_queue *q)
{
    struct t3di_transfer *t = q->first;

    if (t) {
        q->first = t->next;
        if (!q->first)
            q->last = NULL;
        t->next = NULL;
    }
    return t;
}

/* --- transfers
 * ------------------------------------------------------------------------------------ */

static void transfer_free(struct t3di_transfer *t)
{
    if (!t)
        return;
    t3di_body_close(&t->body);
    curl_slist_free_all(t->fields);
    if (t->url != t->first_url)
        free(t->url);
    free(t->first_url);
    free(t);
}

static void finish(struct t3d_http *h, struct t3di_transfer *t, enum t3d_http_class class)
{
    t->class = class;
    push(&h->done, t);
}

static void finish_failed(struct t3d_http *h, struct t3di_transfer *t, enum t3d_http_class class,
                          const char *reason, const char *text)
{
    t3d_err_set(&t->err, T3D_SKIP, reason, "'%.300s': %s", t->first_url, text);
    finish(h, t, class);
}

/* Into the queue of its host. */
static int enqueue(struct t3d_http *h, struct t3di_transfer *t, int front, struct t3d_err *err)
{
    const char *authority = strstr(t->url, "://"), *end;
    char name[300];

    authority = authority ? authority + 3 : t->url;
    end = authority + strcspn(authority, "/?#");
    snprintf(name, sizeof name, "%.*s", (int)T3D_MIN(end - t->url, 290), t->url);
    t->host = t3di_host_find(&h->hosts, name, t3d_clock_s());
    if (!t->host)
        return t3d_err_nomem(err, name);
    if (front)
        push_front(&t->host->queue, t);
    else
        push(&t->host->queue, t);
    if (t->host->waiting)
        return T3D_OK;
    if (h->n_waiting == h->waiting_capacity) {
        size_t more = h->waiting_capacity ? 2 * h->waiting_capacity : 64;
        struct t3di_host **list = realloc(h->waiting, more * sizeof *list);

        if (!list) {
            pop(&t->host->queue);
            return t3d_err_nomem(err, name);
        }
        h->waiting = list;
        h->waiting_capacity = more;
    }
    t->host->waiting = 1;
    h->waiting[h->n_waiting++] = t->host;
    return T3D_OK;
}

int t3d_http_submit(struct t3d_http *h, const struct t3d_http_request *q, struct t3d_err *err)
{
    struct t3di_transfer *t = calloc(1, sizeof *t);
    struct t3d_err why = {0};
    int r = T3D_OK;

    if (!t)
        return t3d_err_nomem(err, q->url);
    t3di_body_init(&t->body);
    t->http = h;
    t->user = q->user;
    t->size = q->size;
    t->fresh = q->fresh || q->window;
    t->first = q->first;
    t->window = q->window;
    t->max_bytes = q->max_bytes ? q->max_bytes : h->conf.max_bytes;
    t->first_start = t3d_clock_s();
    if (q->sha256)
        for (int i = 0; i < 64 && q->sha256[i]; i++)
            t->sha256[i] =
                (char)(q->sha256[i] | (q->sha256[i] >= 'A' && q->sha256[i] <= 'F' ? 32 : 0));
    r = t3d_http_url(q->url, &t->first_url, &why);
    if (r == T3D_SKIP) {
        t->first_url = strdup(q->url);
        t->err = why;
        finish(h, t, T3D_HTTP_PERMANENT);
    } else if (r == T3D_OK) {
        t->url = t->first_url;
        if (h->stopping)
            finish_failed(h, t, T3D_HTTP_STOPPED, "stopped",
                          "was not fetched: the run was stopped");
        else
            r = enqueue(h, t, 0, err);
    }
    if (!t->first_url || r == T3D_FAIL) {
        transfer_free(t);
        return r == T3D_FAIL ? r : t3d_err_nomem(err, q->url);
    }
    t->url = t->first_url;
    h->pending++;
    return T3D_OK;
}

static int start(struct t3d_http *h, struct t3di_transfer *t)
{
    int r = T3D_OK;

    if (!t->attempts && !t->fresh)
        r = t3di_body_recall(&t->body, &h->parts, t->first_url, t->sha256[0] != 0, &h->fatal);
    if (r == T3D_OK)
        r = t3di_easy_start(h, t, &h->fatal);
    if (r < 0) {
        if (t->easy)
            curl_easy_cleanup(t->easy);
        t->easy = NULL;
        finish(h, t, T3D_HTTP_STOPPED);
        return r;
    }
    if (t->url == t->first_url)
        t->attempts++;
    t3di_host_start(t->host);
    for (t->slot = 0; h->active[t->slot]; t->slot++)
        ;
    h->active[t->slot] = t;
    h->n_active++;
    return T3D_OK;
}

/* Decorrelated jitter: uniform between the base and three times the pause before (M. Brooker,
 * "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). */
static double next_pause(const struct t3d_http *h, const struct t3di_transfer *t)
{
    struct t3d_rng rng = t3d_rng_for(h->conf.seed, t->first_url, t->attempts);
    double base = h->conf.backoff_s, high = 3 * T3D_MAX(t->pause, base);

    return T3D_MIN(60, base + t3d_rng_uniform(&rng) * (high - base));
}

static void retry(struct t3d_http *h, struct t3di_transfer *t)
{
    double now = t3d_clock_s(), wait = T3D_MAX(0, t->host->not_before - now);
    char text[160];

    if (t->attempts >= h->conf.attempts) {
        finish(h, t, T3D_HTTP_TRANSIENT);
        return;
    }
    if (h->stopping) { /* it might have come: the next run tries again */
        finish_failed(h, t, T3D_HTTP_STOPPED, "stopped", "was cut off: the run was stopped");
        return;
    }
    if (wait > h->conf.max_wait_s) {
        snprintf(text, sizeof text, "the host asks for a pause of %.0f s, more than --max-wait",
                 wait);
        finish_failed(h, t, T3D_HTTP_TRANSIENT, "rate-limited", text);
        return;
    }
    h->totals.retries++;
    t->pause = next_pause(h, t);
    /* When the host has said how long, waiters come spread over a little of their own pause. */
    t->due = now + (wait > 0 ? wait + t->pause / 10 : t->pause);
    if (t->url != t->first_url)
        free(t->url);
    t->url = t->first_url;
    t->redirects = 0;
    h->next_due = T3D_MIN(h->next_due, t->due);
    push(&h->delayed, t);
}

/* Free the handle and the place among those that run. */
static void release(struct t3d_http *h, struct t3di_transfer *t)
{
    curl_multi_remove_handle(h->multi, t->easy);
    h->idle[h->n_idle++] = t->easy;
    t->easy = NULL;
    h->active[t->slot] = NULL;
    h->n_active--;
}

/* What the verdict says. */
static int follow(struct t3d_http *h, struct t3di_transfer *t, enum t3di_next next)
{
    if (t->abort == T3DI_BROKEN) {
        h->fatal = t->err;
        finish(h, t, T3D_HTTP_STOPPED);
        return h->fatal.code;
    }
    if (next == T3DI_DONE)
        finish(h, t, t->class);
    else if (next == T3DI_LATER)
        retry(h, t);
    else if (h->stopping)
        finish_failed(h, t, T3D_HTTP_STOPPED, "stopped", "was not fetched: the run was stopped");
    else
        return enqueue(h, t, 1, &h->fatal);
    return T3D_OK;
}

/* 1 = all of the body has come, but threads are at work on it; the verdict waits for them. */
static int must_settle(struct t3di_transfer *t, CURLcode code)
{
    struct t3d_err err;

    return code == CURLE_OK && !t->abort && t->body.stream &&
           (t->reply.status == 200 || t->reply.status == 206) &&
           t3di_body_poll(&t->body, &err) == T3D_RETRY;
}

/* libcurl is done with a transfer. */
static int conclude(struct t3d_http *h, struct t3di_transfer *t, CURLcode code)
{
    char text[CURL_ERROR_SIZE] = "";
    double now = t3d_clock_s();
    enum t3di_next next = T3DI_DONE;
    int throttled, settle = must_settle(t, code);

    snprintf(text, sizeof text, "%s", curl_easy_strerror(code));
    if (!settle)
        next = t3di_verdict(h, t, code, text);
    release(h, t);
    throttled = t->reply.begun && t3di_is_throttled(&t->reply);
    if (t->reply.begun) {
        double before = T3D_MAX(t->host->not_before, now);

        t3di_host_limits(t->host, &t->reply.limits, throttled, now);
        h->totals.waited_s += T3D_MAX(0, t->host->not_before - before);
    }
    t3di_host_end(t->host, h->conf.per_host, now, now - t->start_time, t->got,
                  next != T3DI_LATER && !throttled);
    if (!settle)
        return follow(h, t, next);
    push(&h->settling, t);
    return T3D_OK;
}

/* Those whose last bytes have been hashed and written. */
static int settle(struct t3d_http *h)
{
    struct t3di_queue later = {0};
    struct t3di_transfer *t;
    char text[CURL_ERROR_SIZE] = "";
    struct t3d_err err;
    int r = T3D_OK;

    while ((t = pop(&h->settling)))
        if (r < 0 || t3di_body_poll(&t->body, &err) == T3D_RETRY)
            push(&later, t);
        else
            r = follow(h, t, t3di_verdict(h, t, CURLE_OK, text));
    h->settling = later;
    return r;
}

/* --- the loop
 * ------------------------------------------------------------------------------------- */

/* Hosts in turn, as long as there is room; *wait = seconds until some host may be asked again. */
static int start_ready(struct t3d_http *h, double now, double *wait)
{
    size_t idle = 0;

    while (h->n_waiting && h->n_active < h->conf.transfers && idle < h->n_waiting) {
        struct t3di_host *host = h->waiting[h->turn %= h->n_waiting];
        double w = t3di_host_wait(host, now);
        struct t3di_transfer *t;
        int r;

        if (!host->queue.first) {
            host->waiting = 0;
            h->waiting[h->turn] = h->waiting[--h->n_waiting];
            continue;
        }
        if (w > h->conf.max_wait_s) {
            while ((t = pop(&host->queue)))
                finish_failed(h, t, T3D_HTTP_TRANSIENT, "rate-limited",
                              "the host asks for a longer pause than --max-wait");
            continue;
        }
        if (w != 0) {
            *wait = w > 0 ? T3D_MIN(*wait, w) : *wait;
            h->turn++;
            idle++;
            continue;
        }
        r = start(h, pop(&host->queue));
        if (r < 0)
            return r;
        h->turn++;
        idle = 0;
    }
    return T3D_OK;
}

/* Those whose pause is over go back into their queues. */
static int wake_delayed(struct t3d_http *h, double now)
{
    struct t3di_queue later = {0};
    struct t3di_transfer *t;
    int r = T3D_OK;

    if (now < h->next_due)
        return T3D_OK;
    h->next_due = INFINITY;
    while ((t = pop(&h->delayed))) {
        if (t->due > now && !h->stopping) {
            h->next_due = T3D_MIN(h->next_due, t->due);
            push(&later, t);
        } else if (h->stopping) {
            finish_failed(h, t, T3D_HTTP_STOPPED, "stopped",
                          "was not fetched: the run was stopped");
        } else if (r == T3D_OK) {
            r = enqueue(h, t, 0, &h->fatal);
            if (r < 0)
                finish(h, t, T3D_HTTP_STOPPED);
        } else {
            push(&later, t);
        }
    }
    h->delayed = later;
    return r;
}

static int read_messages(struct t3d_http *h)
{
    CURLMsg *m;
    int left, r = T3D_OK;

    while (r == T3D_OK && (m = curl_multi_info_read(h->multi, &left)))
        if (m->msg == CURLMSG_DONE) {
            char *t = NULL;

            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
            r = conclude(h, (struct t3di_transfer *)(void *)t, m->data.result);
        }
    return r;
}

static int on_watch(CURL *e, curl_socket_t fd, int what, void *arg, void *known)
{
    struct t3d_http *h = arg;
    struct epoll_event ev = {.data.fd = fd};

    (void)e;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, &ev);
        return 0;
    }
    ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(h->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0 &&
        epoll_ctl(h->epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev) < 0)
        return -1;
    curl_multi_assign(h->multi, fd, h);
    return 0;
}

static int on_timer(CURLM *m, long ms, void *arg)
{
    struct t3d_http *h = arg;

    (void)m;
    h->timer = ms < 0 ? -1 : t3d_clock_s() + 1e-3 * (double)ms;
    return 0;
}

/* The threads that write say when a body is whole. */
static void watch_sink(struct t3d_http *h)
{
    struct epoll_event ev = {.events = EPOLLIN};

    if (h->watched || !h->parts.sink)
        return;
    ev.data.fd = t3di_sink_event(h->parts.sink);
    h->watched = epoll_ctl(h->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev) == 0;
}

/* Wait for sockets and timers, at most so long. 1 = a signal came. */
static int turn(struct t3d_http *h, double seconds)
{
    struct epoll_event ev[EVENTS];
    double now = t3d_clock_s();
    int n, running;

    if (h->timer >= 0)
        seconds = T3D_MIN(seconds, h->timer - now);
    watch_sink(h);
    n = epoll_wait(h->epoll, ev, EVENTS,
                   seconds > 0 ? (int)ceil(1000 * T3D_MIN(seconds, 1000)) : 0);
    if (n < 0)
        return errno == EINTR;
    for (int i = 0; i < n; i++)
        if (h->watched && ev[i].data.fd == t3di_sink_event(h->parts.sink)) {
            uint64_t count;

            if (read(ev[i].data.fd, &count, sizeof count) < 0) /* another has read it */
                continue;
        } else
            curl_multi_socket_action(
                h->multi, ev[i].data.fd,
                (ev[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                    (ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                    (ev[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
                &running);
    if (h->timer >= 0 && t3d_clock_s() >= h->timer) {
        h->timer = -1;
        curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    return 0;
}

/* The grace is over: what runs is cut off; its partial file stays. */
static void cut(struct t3d_http *h)
{
    for (size_t i = 0; i < h->conf.transfers; i++) {
        struct t3di_transfer *t = h->active[i];

        if (!t)
            continue;
        release(h, t);
        t->host->active--;
        finish_failed(h, t, T3D_HTTP_STOPPED, "stopped", "was cut off: the run was stopped");
    }
}

static void hand_out(struct t3d_http *h, struct t3di_transfer *t, struct t3d_http_result *r)
{
    memset(r, 0, sizeof *r);
    r->user = t->user;
    r->class = t->class;
    r->err = t->err;
    r->status = t->reply.status;
    r->attempts = t->attempts;
    r->seconds = t3d_clock_s() - t->first_start;
    snprintf(r->etag, sizeof r->etag, "%s", t->reply.etag);
    if (t->class == T3D_HTTP_OK) {
        memcpy(r->sha256, t->sha256, sizeof r->sha256);
        r->advertised = t->advertised;
        r->bytes = t->body.have;
        r->total = t->reply.total > 0 ? (uint64_t)t->reply.total : t->body.have;
        r->path = t->body.path;
        t->body.path = NULL;
        if (!r->path) {
            r->data = t->body.data ? t->body.data : calloc(1, 1);
            t->body.data = NULL;
        }
    }
    h->pending--;
    transfer_free(t);
}

int t3d_http_next(struct t3d_http *h, int timeout_ms, struct t3d_http_result *result,
                  struct t3d_err *err)
{
    double now = t3d_clock_s(), until = now + 1e-3 * timeout_ms;

    for (int last = 0;; now = t3d_clock_s()) {
        struct t3di_transfer *t = pop(&h->done);
        double wait = T3D_MAX(0, until - now);

        if (t && !h->fatal.code) {
            hand_out(h, t, result);
            return T3D_OK;
        }
        if (t)
            push_front(&h->done, t);
        if (h->fatal.code) {
            if (err)
                *err = h->fatal;
            return h->fatal.code;
        }
        if (!h->pending)
            return T3D_END;
        if (last)
            return T3D_RETRY;
        if (h->stopping && now >= h->stop_at)
            cut(h);
        if (wake_delayed(h, now) < 0 || start_ready(h, now, &wait) < 0)
            continue;
        wait = T3D_MIN(wait, h->next_due - now);
        if (h->stopping)
            wait = T3D_MIN(wait, T3D_MAX(0, h->stop_at - now));
        if (h->done.first)
            continue;
        last = turn(h, wait);
        if (read_messages(h) == T3D_OK && settle(h) == T3D_OK && t3d_clock_s() >= until)
            last = 1;
    }
}

void t3d_http_stop(struct t3d_http *h, double grace_s)
{
    if (h->stopping)
        return;
    h->stopping = 1;
    h->stop_at = t3d_clock_s() + grace_s;
    h->next_due = 0;
    for (size_t i = 0; i < h->n_waiting; i++) {
        struct t3di_transfer *t;

        while ((t = pop(&h->waiting[i]->queue)))
            finish_failed(h, t, T3D_HTTP_STOPPED, "stopped",
                          "was not fetched: the run was stopped");
    }
}

void t3d_http_result_free(struct t3d_http_result *r)
{
    free(r->data);
    if (r->path)
        unlink(r->path);
    free(r->path);
    memset(r, 0, sizeof *r);
}

size_t t3d_http_room(const struct t3d_http *h)
{
    size_t most = 8 * (size_t)h->conf.transfers;

    return h->pending < most ? most - h->pending : 0;
}

size_t t3d_http_pending(const struct t3d_http *h)
{
    return h->pending;
}

/* --- open, close
 * ---------------------------------------------------------------------------------- */

static void defaults(struct t3d_http_conf *c)
{
    c->transfers = c->transfers ? c->transfers : 64;
    c->per_host = c->per_host ? c->per_host : 32;
    c->attempts = c->attempts ? c->attempts : 5;
    c->max_bytes = c->max_bytes ? c->max_bytes : (uint64_t)4 << 30;
    c->memory_bytes = c->memory_bytes ? c->memory_bytes : 1 << 20;
    c->connect_s = c->connect_s > 0 ? c->connect_s : 20;
    c->slow_s = c->slow_s > 0 ? c->slow_s : 30;
    c->slow_bytes = c->slow_bytes ? c->slow_bytes : 1000;
    c->backoff_s = c->backoff_s > 0 ? c->backoff_s : 0.5;
    c->max_wait_s = c->max_wait_s > 0 ? c->max_wait_s : 300;
}

static int check_conf(struct t3d_http *h, struct t3d_err *err)
{
    const struct t3d_http_conf *c = &h->conf;
    int r = T3D_OK;

    h->allow = calloc(c->n_allow_net + 1, sizeof *h->allow);
    if (!h->allow)
        return t3d_err_nomem(err, "the networks allowed");
    for (size_t i = 0; i < c->n_allow_net && r == T3D_OK; i++)
        r = t3di_net_parse(&h->allow[i], c->allow_net[i], err);
    for (const char *s = c->token ? c->token : ""; *s; s++)
        if (*s <= ' ' || *s > '~')
            return t3d_err_set(err, T3D_USAGE, "usage",
                               "the token has a character that is not printable ASCII");
    if (r == T3D_OK && c->token && (!c->token_host || !*c->token_host))
        r = t3d_err_set(err, T3D_USAGE, "usage", "a token needs the one host that it is for");
    return r;
}

static int open_curl(struct t3d_http *h, struct t3d_err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(h->multi = curl_multi_init()))
        return t3d_err_set(err, T3D_FAIL, "curl", "libcurl does not start");
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->conf.transfers);
    h->fields = curl_slist_append(NULL, "Accept-Encoding: identity");
    h->active = calloc(h->conf.transfers, sizeof(struct t3di_transfer *));
    h->idle = calloc(h->conf.transfers + 1, sizeof(CURL *));
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (h->epoll < 0)
        return t3d_err_sys(err, "cannot make", "an event queue");
    return h->fields && h->active && h->idle ? T3D_OK : t3d_err_nomem(err, "the HTTP engine");
}

int t3d_http_open(struct t3d_http **out, const struct t3d_http_conf *conf, struct t3d_err *err)
{
    struct t3d_http *h = calloc(1, sizeof *h);
    int r;

    if (!h)
        return t3d_err_nomem(err, "the HTTP engine");
    h->conf = *conf;
    defaults(&h->conf);
    h->hosts.per_host = h->conf.per_host;
    h->epoll = -1;
    h->timer = -1;
    h->next_due = INFINITY;
    r = check_conf(h, err);
    if (r == T3D_OK)
        r = open_curl(h, err);
    if (r == T3D_OK)
        r = t3di_parts_open(&h->parts, h->conf.parts, err);
    if (r < 0) {
        t3d_http_close(h);
        return r;
    }
    *out = h;
    return T3D_OK;
}

static void drop_queue(struct t3di_queue *q)
{
    struct t3di_transfer *t;

    while ((t = pop(q)))
        transfer_free(t);
}

void t3d_http_close(struct t3d_http *h)
{
    if (!h)
        return;
    if (h->active)
        cut(h);
    for (size_t i = 0; i < h->n_waiting; i++)
        drop_queue(&h->waiting[i]->queue);
    drop_queue(&h->delayed);
    drop_queue(&h->done);
    drop_queue(&h->settling);
    for (size_t i = 0; i < h->n_idle; i++)
        curl_easy_cleanup(h->idle[i]);
    if (h->multi)
        curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->fields);
    t3di_hosts_free(&h->hosts);
    t3di_parts_close(&h->parts);
    if (h->epoll >= 0)
        close(h->epoll);
    free(h->waiting);
    free(h->active);
    free(h->idle);
    free(h->allow);
    free(h);
}

/* --- what it did
 * ---------------------------------------------------------------------------------- */

void t3d_http_count(const struct t3d_http *h, struct t3d_http_totals *t)
{
    *t = h->totals;
}

static int by_requests(const void *a, const void *b)
{
    const struct t3di_host *x = *(struct t3di_host *const *)a, *y = *(struct t3di_host *const *)b;

    return x->requests != y->requests ? (x->requests < y->requests ? 1 : -1)
                                      : strcmp(x->name, y->name);
}

static cJSON *hosts_json(const struct t3d_http *h)
{
    struct t3di_host **list = calloc(h->hosts.n + 1, sizeof *list);
    cJSON *all = cJSON_CreateArray();
    size_t n = 0;

    for (size_t i = 0; list && h->hosts.bucket && i < h->hosts.buckets; i++)
        for (struct t3di_host *one = h->hosts.bucket[i]; one; one = one->next)
            list[n++] = one;
    if (n)
        qsort(list, n, sizeof *list, by_requests);
    for (size_t i = 0; i < T3D_MIN(n, SHOWN_HOSTS); i++) {
        cJSON *o = cJSON_CreateObject();

        t3d_json_set_str(o, "host", list[i]->name);
        t3d_json_set_num(o, "requests", (double)list[i]->requests);
        t3d_json_set_num(o, "bytes", (double)list[i]->bytes);
        t3d_json_set_num(o, "throttled", (double)list[i]->throttled);
        t3d_json_set_num(o, "at_once", floor(list[i]->limit));
        t3d_json_set_num(o, "p50_ms", round(1e4 * t3di_host_latency(list[i], 0.5)) / 10);
        t3d_json_set_num(o, "p99_ms", round(1e4 * t3di_host_latency(list[i], 0.99)) / 10);
        cJSON_AddItemToArray(all, o);
    }
    free(list);
    return all;
}

cJSON *t3d_http_statistics(const struct t3d_http *h)
{
    cJSON *o = cJSON_CreateObject();

    if (!o)
        return NULL;
    t3d_json_set_num(o, "requests", (double)h->totals.requests);
    t3d_json_set_num(o, "bytes", (double)h->totals.bytes);
    t3d_json_set_num(o, "retries", (double)h->totals.retries);
    t3d_json_set_num(o, "resumed", (double)h->totals.resumed);
    t3d_json_set_num(o, "redirects", (double)h->totals.redirects);
    t3d_json_set_num(o, "waited_s", round(1000 * h->totals.waited_s) / 1000);
    t3d_json_set(o, "hosts", hosts_json(h));
    return o;
}
