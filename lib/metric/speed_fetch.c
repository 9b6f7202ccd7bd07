/* SPDX-License-Identifier: Apache-2.0 */
/* The fetch row: objects of 10 kB from a server in a thread of ours on loopback, through the HTTP
 * engine and its hash into the content store and the manifest, all in one thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "metric/speed.h"
#include "store/content.h"
#include "store/http.h"
#include "store/intake.h"

enum { OBJECTS = 4000, BYTES = 10000, CONNECTIONS = 64 };

/* --- the server: one request a packet, as our engine sends them
 * ------------------------------------- */

struct server {
    int listener, epoll, stop, port;
    pthread_t thread;
    char reply[BYTES + 256];
    size_t head; /* bytes before the body */
};

static void answer(struct server *s, int fd)
{
    char request[2048];
    ssize_t k = recv(fd, request, sizeof request - 1, 0);

    if (k <= 0) {
        close(fd);
        return;
    }
    request[k] = 0;
    /* the body begins with the path, so that no two are the same */
    memcpy(s->reply + s->head, request, 32);
    k = send(fd, s->reply, s->head + BYTES, MSG_NOSIGNAL);
    if (k != (ssize_t)(s->head + BYTES))
        close(fd);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    struct epoll_event ev[CONNECTIONS];

    for (;;) {
        int n = epoll_wait(s->epoll, ev, CONNECTIONS, -1);

        for (int i = 0; i < n; i++) {
            struct epoll_event in = {.events = EPOLLIN};
            int on = 1;

            if (ev[i].data.fd == s->stop)
                return NULL;
            if (ev[i].data.fd != s->listener) {
                answer(s, ev[i].data.fd);
                continue;
            }
            in.data.fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
            if (in.data.fd < 0)
                continue;
            setsockopt(in.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            epoll_ctl(s->epoll, EPOLL_CTL_ADD, in.data.fd, &in);
        }
    }
}

static int watch(struct server *s, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev);
}

/* stop[1] closed ends it. */
static int server_start(struct server *s, int stop[2], struct t3d_err *err)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;

    s->head =
        (size_t)snprintf(s->reply, 256, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BYTES);
    memset(s->reply + s->head, 'x', BYTES);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->stop = stop[0];
    if (s->listener < 0 || s->epoll < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof a) < 0 ||
        listen(s->listener, CONNECTIONS) < 0 ||
        getsockname(s->listener, (struct sockaddr *)&a, &n) < 0 || watch(s, s->listener) < 0 ||
        watch(s, s->stop) < 0 || (errno = pthread_create(&s->thread, NULL, serve, s)) != 0)
        return t3d_err_sys(err, "cannot start", "a server on loopback");
    s->port = ntohs(a.sin_port);
    return T3D_OK;
}

/* --- the client
 * ----------------------------------------------------------------------------------- */

struct client {
    const char *workspace;
    struct t3d_http *http;
    struct t3d_manifest *m;
    struct t3d_intake *intake;
    int port, sent, end; /* numbers of the objects */
};

static int ask(struct client *c, struct t3d_err *err)
{
    char url[80];
    struct t3d_http_request q = {.url = url, .size = BYTES};

    snprintf(url, sizeof url, "http://127.0.0.1:%d/%08d.stl", c->port, c->sent++);
    return t3d_http_submit(c->http, &q, err);
}

static int enter(struct client *c, const struct t3d_http_result *r, struct t3d_err *err)
{
    struct t3d_intake_item *in = calloc(1, sizeof *in);
    struct t3d_object *o;

    if (!in)
        return t3d_err_nomem(err, "an object");
    o = &in->object;
    snprintf(o->content, sizeof o->content, "%s", r->sha256);
    snprintf(o->file_sha256, sizeof o->file_sha256, "%s", r->sha256);
    snprintf(o->ending, sizeof o->ending, "stl");
    o->bytes = r->bytes;
    o->source = "bench";
    o->path = in->file = t3d_sprintf(&in->arena, "http://127.0.0.1/%.12s.stl", r->sha256);
    in->stamp = t3d_sprintf(&in->arena, "%s\nstl\n", r->sha256);
    in->code = T3D_STATE_OK;
    if (!o->path || !in->stamp) {
        t3d_intake_item_free(in);
        return t3d_err_nomem(err, "an object");
    }
    return t3d_intake_add(c->intake, in, err);
}

/* One result; the time of each phase is added. T3D_END when all are there. */
static int one(struct client *c, struct t3d_speed_row *row, struct t3d_err *err)
{
    struct t3d_http_result result;
    double t[4];
    int r = T3D_OK;

    t[0] = t3d_clock_s();
    while (r == T3D_OK && c->sent < c->end && t3d_http_room(c->http))
        r = ask(c, err);
    if (r == T3D_OK)
        r = t3d_http_next(c->http, 10000, &result, err);
    if (r != T3D_OK)
        return r == T3D_RETRY ? t3d_err_set(err, T3D_FAIL, "timeout", "loopback is silent") : r;
    if (result.class != T3D_HTTP_OK) {
        *err = result.err;
        err->code = T3D_FAIL;
        return T3D_FAIL;
    }
    t[1] = t3d_clock_s();
    r = t3d_content_put(c->workspace, result.data, (size_t)result.bytes, "stl", result.sha256, err);
    t[2] = t3d_clock_s();
    if (r == T3D_OK)
        r = enter(c, &result, err);
    t[3] = t3d_clock_s();
    t3d_http_result_free(&result);
    for (int i = 0; i < 3; i++)
        row->phase_s[i] += t[i + 1] - t[i];
    return r;
}

static int fetch_all(struct client *c, struct t3d_speed_row *row, struct t3d_err *err)
{
    double start;
    int r;

    do
        r = one(c, row, err);
    while (r == T3D_OK);
    start = t3d_clock_s();
    if (r == T3D_END)
        r = t3d_intake_finish(c->intake, NULL, err);
    else
        t3d_intake_abort(c->intake);
    row->phase_s[2] += t3d_clock_s() - start;
    return r;
}

int t3di_speed_fetch(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    static const char *const loopback[] = {"127.0.0.1/32"};
    static int runs; /* other objects each time: deleting files slows ext4's next seconds down */
    char *workspace = t3d_sprintf(&b->arena, "%s/fetch%d", b->scratch, runs);
    char *parts = t3d_sprintf(&b->arena, "%s/fetch%d/incoming", b->scratch, runs);
    struct t3d_http_conf conf = {
        .parts = parts, .allow_net = loopback, .n_allow_net = 1, .transfers = 32};
    struct client c = {.workspace = workspace, .sent = runs * OBJECTS};
    struct server *s = calloc(1, sizeof *s);
    int stop[2], r;

    *row = (struct t3d_speed_row){.unit = "objects",
                                  .work = OBJECTS,
                                  .bytes = (double)OBJECTS * BYTES,
                                  .threads = 1,
                                  .phase = {"transfer and hash", "store", "manifest"}};
    if (!s || !workspace || !parts || pipe(stop) < 0) {
        free(s);
        return t3d_err_nomem(err, "the fetch row");
    }
    c.end = ++runs * OBJECTS;
    r = server_start(s, stop, err);
    c.port = s->port;
    if (r == T3D_OK) {
        r = t3d_make_dirs(workspace, err);
        if (r == T3D_OK)
            r = t3d_manifest_open(&c.m, workspace, T3D_MANIFEST_CREATE, err);
        if (r == T3D_OK)
            r = t3d_http_open(&c.http, &conf, err);
        if (r == T3D_OK)
            r = t3d_intake_open(&c.intake, c.m, NULL, err);
        if (r == T3D_OK)
            r = fetch_all(&c, row, err);
        t3d_http_close(c.http);
        t3d_manifest_close(c.m);
        close(stop[1]);
        pthread_join(s->thread, NULL);
    } else {
        close(stop[1]);
    }
    close(stop[0]);
    close(s->listener);
    close(s->epoll);
    free(s);
    return r;
}
