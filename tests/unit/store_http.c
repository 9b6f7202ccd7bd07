/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP engine against a server that lies as its script says (tests/serve/serve.c). What is
 * fetched is compared with the bytes that were served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "store/http.h"
#include "store/http_impl.h"

static char dir[] = "/tmp/t3d-http.XXXXXX", parts[64];
static pid_t server;
static int port;
static unsigned char bytes[700000];
static char sha[65], url[300];
static struct t3d_err err;

static const char *at(const char *path)
{
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", port, path);
    return url;
}

static struct t3d_http_conf conf(void)
{
    static const char *const loopback[] = {"127.0.0.1/32"};

    return (struct t3d_http_conf){.parts = parts,
                                  .allow_net = loopback,
                                  .n_allow_net = 1,
                                  .memory_bytes = 100000,
                                  .backoff_s = 0.01,
                                  .max_wait_s = 5,
                                  .slow_s = 1};
}

static struct t3d_http_result fetch_by(const struct t3d_http_conf *c,
                                       const struct t3d_http_request *q)
{
    struct t3d_http_result r = {0};
    struct t3d_http *h;
    int got;

    assert_int_equal(t3d_http_open(&h, c, &err), T3D_OK);
    assert_int_equal(t3d_http_submit(h, q, &err), T3D_OK);
    do
        got = t3d_http_next(h, 1000, &r, &err);
    while (got == T3D_RETRY);
    assert_int_equal(got, T3D_OK);
    assert_int_equal(t3d_http_pending(h), 0);
    t3d_http_close(h);
    return r;
}

static struct t3d_http_result fetch(const char *path, const char *sha256)
{
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at(path), .size = -1, .sha256 = sha256};

    return fetch_by(&c, &q);
}

static void is_whole(struct t3d_http_result *r)
{
    if (r->class != T3D_HTTP_OK)
        print_message("# %s\n", r->err.msg);
    assert_int_equal(r->class, T3D_HTTP_OK);
    assert_int_equal(r->bytes, sizeof bytes);
    assert_string_equal(r->sha256, sha);
    if (r->path) {
        struct t3d_blob b;

        assert_int_equal(t3d_blob_open(&b, r->path, 0, &err), T3D_OK);
        assert_int_equal(b.size, sizeof bytes);
        assert_memory_equal(b.data, bytes, sizeof bytes);
        t3d_blob_close(&b);
    } else {
        assert_memory_equal(r->data, bytes, sizeof bytes);
    }
    t3d_http_result_free(r);
}

static void fails(const char *path, enum t3d_http_class class, const char *reason)
{
    struct t3d_http_result r = fetch(path, NULL);

    if (r.class != class || strcmp(r.err.reason, reason) != 0)
        print_message("# %s: %s %s %s\n", path, t3d_http_class_name(r.class), r.err.reason,
                      r.err.msg);
    assert_int_equal(r.class, class);
    assert_string_equal(r.err.reason, reason);
    assert_null(r.data);
    assert_null(r.path);
    t3d_http_result_free(&r);
}

/* --- good servers */

static void whole_in_a_file(void **state)
{
    struct t3d_http_result r = fetch("f/a.glb", sha);

    (void)state;
    assert_non_null(r.path);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.attempts, 1);
    assert_string_not_equal(r.etag, "");
    is_whole(&r);
}

static void whole_in_memory(void **state)
{
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at("s/chunked/a.glb"), .size = sizeof bytes};
    struct t3d_http_result r;

    (void)state;
    c.memory_bytes = 1 << 20;
    r = fetch_by(&c, &q);
    assert_non_null(r.data);
    is_whole(&r);
}

static void redirects_are_followed(void **state)
{
    struct t3d_http_result r = fetch("s/hop4/a.glb", NULL);

    (void)state;
    assert_int_equal(r.attempts, 1);
    is_whole(&r);
}

/* --- troubles that pass */

static void transient_ones_are_tried_again(void **state)
{
    static const char *const path[] = {"s/503/a.glb", "s/chunked-cut/a.glb", "s/reset/a.glb",
                                       "s/drip/a.glb", "s/no-range/a.glb"};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(path); i++) {
        struct t3d_http_result r = fetch(path[i], NULL);

        assert_int_equal(r.attempts, strstr(path[i], "503") ? 3 : 2);
        is_whole(&r);
    }
}

static void pauses_are_bounded(void **state)
{
    (void)state;
    fails("s/429-hours/a.glb", T3D_HTTP_TRANSIENT, "rate-limited");
}

/* One that is told to wait holds back the others of its host. */
static void the_pause_is_shared(void **state)
{
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at("s/429-seconds/b.glb"), .size = -1};
    struct t3d_http_result r;
    struct t3d_http *h;
    double start = t3d_clock_s();
    int late = 0;

    (void)state;
    c.transfers = 1;
    assert_int_equal(t3d_http_open(&h, &c, &err), T3D_OK);
    assert_int_equal(t3d_http_submit(h, &q, &err), T3D_OK);
    q.url = at("f/a.glb");
    assert_int_equal(t3d_http_submit(h, &q, &err), T3D_OK);
    while (t3d_http_next(h, 3000, &r, &err) == T3D_OK) {
        assert_int_equal(r.class, T3D_HTTP_OK);
        late += t3d_clock_s() - start > 0.9;
        t3d_http_result_free(&r);
    }
    assert_int_equal(late, 2);
    t3d_http_close(h);
}

static void a_broken_one_goes_on(void **state)
{
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at("s/truncate/a.glb"), .size = -1};
    struct t3d_http_totals n;
    struct t3d_http_result r;
    struct t3d_http *h;

    (void)state;
    assert_int_equal(t3d_http_open(&h, &c, &err), T3D_OK);
    assert_int_equal(t3d_http_submit(h, &q, &err), T3D_OK);
    assert_int_equal(t3d_http_next(h, 3000, &r, &err), T3D_OK);
    t3d_http_count(h, &n);
    assert_int_equal(n.requests, 2);
    assert_int_equal(n.resumed, 1);
    assert_int_equal(n.bytes, sizeof bytes); /* nothing came twice */
    is_whole(&r);
    t3d_http_close(h);
}

static void other_parts_are_not_glued(void **state)
{
    static const char *const path[] = {"s/wrong-total/a.glb", "s/wrong-start/a.glb",
                                       "s/etag-change/a.glb"};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(path); i++) {
        struct t3d_http_result r = fetch(path[i], NULL);

        is_whole(&r);
    }
}

/* A server that sends other bytes under the same ETag is found out by the hash. */
static void the_hash_decides(void **state)
{
    struct t3d_http_result r = fetch("s/splice/a.glb", sha);

    (void)state;
    assert_true(r.attempts >= 3);
    is_whole(&r);
}

/* Half now, the rest in another engine. */
static void a_later_process_goes_on(void **state)
{
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at("s/truncate/c.glb"), .size = -1};
    struct t3d_http_totals n;
    struct t3d_http_result r;
    struct t3d_http *h;

    (void)state;
    c.attempts = 1;
    r = fetch_by(&c, &q);
    assert_int_equal(r.class, T3D_HTTP_TRANSIENT);
    assert_string_equal(r.err.reason, "truncated");
    t3d_http_result_free(&r);
    assert_int_equal(t3d_http_open(&h, &c, &err), T3D_OK);
    assert_int_equal(t3d_http_submit(h, &q, &err), T3D_OK);
    assert_int_equal(t3d_http_next(h, 3000, &r, &err), T3D_OK);
    t3d_http_count(h, &n);
    assert_int_equal(n.resumed, 1);
    assert_int_equal(n.bytes, sizeof bytes / 2);
    is_whole(&r);
    t3d_http_close(h);
    assert_int_equal(rmdir(parts), 0); /* nothing is left */
}

/* --- troubles that stay */

static void permanent_ones_are_not(void **state)
{
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at("f/none.glb"), .size = -1};
    struct t3d_http_result r = fetch_by(&c, &q);

    (void)state;
    assert_int_equal(r.status, 404);
    assert_int_equal(r.attempts, 1);
    t3d_http_result_free(&r);
    fails("f/none.glb", T3D_HTTP_PERMANENT, "http-404");
    fails("s/403/a.glb", T3D_HTTP_PERMANENT, "http-403");
    fails("s/500/a.glb", T3D_HTTP_TRANSIENT, "http-500");
    fails("s/gzip/a.glb", T3D_HTTP_PERMANENT, "content-encoding");
    fails("s/huge/a.glb", T3D_HTTP_PERMANENT, "too-large");
    fails("s/large/a.glb", T3D_HTTP_PERMANENT, "too-large");
}

static void sizes_are_bounded(void **state)
{
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at("s/endless/a.glb"), .size = -1, .max_bytes = 300000};
    struct t3d_http_result r = fetch_by(&c, &q);

    (void)state;
    assert_string_equal(r.err.reason, "too-large");
    t3d_http_result_free(&r);
    q = (struct t3d_http_request){.url = at("s/endless/a.glb"), .size = 1000};
    r = fetch_by(&c, &q);
    assert_string_equal(r.err.reason, "wrong-size");
    assert_int_equal(r.class, T3D_HTTP_INTEGRITY);
    t3d_http_result_free(&r);
    q = (struct t3d_http_request){.url = at("f/a.glb"), .size = sizeof bytes + 1};
    r = fetch_by(&c, &q);
    assert_string_equal(r.err.reason, "wrong-size");
    t3d_http_result_free(&r);
}

static void a_wrong_hash_is_refused(void **state)
{
    char wrong[65];
    struct t3d_http_result r;

    (void)state;
    t3d_sha256_hex("x", 1, wrong);
    r = fetch("f/a.glb", wrong);
    assert_int_equal(r.class, T3D_HTTP_INTEGRITY);
    assert_string_equal(r.err.reason, "wrong-sha256");
    assert_int_equal(r.attempts, 1);
    assert_null(r.path);
    t3d_http_result_free(&r);
}

static void bad_places_are_refused(void **state)
{
    (void)state;
    fails("s/to-file/a.glb", T3D_HTTP_PERMANENT, "bad-redirect");
    fails("s/to-ftp/a.glb", T3D_HTTP_PERMANENT, "bad-redirect");
    fails("s/to-gopher/a.glb", T3D_HTTP_PERMANENT, "bad-redirect");
    fails("s/loop/a.glb", T3D_HTTP_PERMANENT, "too-many-redirects");
    fails("s/to-private/a.glb", T3D_HTTP_PERMANENT, "private-address");
    fails("s/to-mapped/a.glb", T3D_HTTP_PERMANENT, "private-address");
    fails("s/to-octal/a.glb", T3D_HTTP_PERMANENT, "private-address");
}

static void loopback_needs_leave(void **state)
{
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at("f/a.glb"), .size = -1};
    struct t3d_http_result r;

    (void)state;
    c.n_allow_net = 0;
    r = fetch_by(&c, &q);
    assert_string_equal(r.err.reason, "private-address");
    t3d_http_result_free(&r);
    q.url = "file:///etc/passwd";
    r = fetch_by(&c, &q);
    assert_string_equal(r.err.reason, "bad-url");
    t3d_http_result_free(&r);
}

static void the_token_stays_at_home(void **state)
{
    static const char *const nets[] = {"127.0.0.1/32", "::1"};
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at("s/token/a.glb"), .size = -1};
    struct t3d_http_result r;
    char host[40];

    (void)state;
    snprintf(host, sizeof host, "127.0.0.1:%d", port);
    c.token = "sesame";
    c.token_host = host;
    c.allow_net = nets;
    c.n_allow_net = 2;
    r = fetch_by(&c, &q);
    is_whole(&r);
    q.url = at("s/to-other/a.glb"); /* localhost is another host, and has its own way in */
    r = fetch_by(&c, &q);
    is_whole(&r);
    c.token_host = "127.0.0.1"; /* the default port */
    q.url = at("s/token/a.glb");
    r = fetch_by(&c, &q);
    assert_string_equal(r.err.reason, "http-401");
    t3d_http_result_free(&r);
}

/* --- many */

static void many_at_once(void **state)
{
    enum { N = 2000 };
    static unsigned char seen[N];
    struct t3d_http_conf c = conf();
    struct t3d_http_result r;
    struct t3d_http *h;
    char path[64], want[65], *body = malloc(1000);
    size_t sent = 0, got = 0;
    int x;

    (void)state;
    c.per_host = 8;
    assert_int_equal(t3d_http_open(&h, &c, &err), T3D_OK);
    do {
        while (sent < N && t3d_http_room(h)) {
            struct t3d_http_request q = {.size = 1000, .user = &seen[sent]};

            snprintf(path, sizeof path, "b/1000/n%zu", sent++);
            q.url = at(path);
            assert_int_equal(t3d_http_submit(h, &q, &err), T3D_OK);
        }
        x = t3d_http_next(h, 1000, &r, &err);
        assert_true(x >= 0);
        if (x == T3D_OK) {
            size_t i = (size_t)((unsigned char *)r.user - seen);

            assert_int_equal(r.class, T3D_HTTP_OK);
            assert_int_equal(seen[i]++, 0);
            snprintf(path, sizeof path, "n%zu ", i);
            assert_memory_equal(r.data, path, strlen(path));
            t3d_sha256_hex(r.data, r.bytes, want);
            assert_string_equal(r.sha256, want);
            got++;
            t3d_http_result_free(&r);
        }
    } while (x != T3D_END);
    assert_int_equal(got, N);
    t3d_http_close(h);
    free(body);
    r = fetch("peak", NULL);
    assert_int_equal(r.class, T3D_HTTP_OK);
    assert_true(strtol((char *)r.data, NULL, 10) <= 9);
    t3d_http_result_free(&r);
}

static void stopped(void **state)
{
    struct t3d_http_conf c = conf();
    struct t3d_http_request q = {.url = at("s/drips/b.glb"), .size = -1};
    struct t3d_http_result r;
    struct t3d_http *h;
    double start = t3d_clock_s();

    (void)state;
    assert_int_equal(t3d_http_open(&h, &c, &err), T3D_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(t3d_http_submit(h, &q, &err), T3D_OK);
    assert_int_equal(t3d_http_next(h, 50, &r, &err), T3D_RETRY);
    t3d_http_stop(h, 0.1);
    for (int i = 0; i < 100; i++) {
        int x;

        while ((x = t3d_http_next(h, 1000, &r, &err)) == T3D_RETRY)
            ;
        assert_int_equal(x, T3D_OK);
        assert_int_equal(r.class, T3D_HTTP_STOPPED);
        t3d_http_result_free(&r);
    }
    assert_int_equal(t3d_http_next(h, 50, &r, &err), T3D_END);
    assert_true(t3d_clock_s() - start < 3);
    t3d_http_close(h);
}

/* --- addresses: the ranges of RFC 6890 by hand */

static int allows(const char *text, const struct t3di_net *n)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct t3di_net a;

    assert_int_equal(t3di_net_parse(&a, text, &err), T3D_OK);
    if (strchr(text, ':')) {
        memcpy(&in6.sin6_addr, a.addr, 16);
        return t3di_net_allows(n, n != NULL, (struct sockaddr *)&in6);
    }
    memcpy(&in.sin_addr, a.addr + 12, 4);
    return t3di_net_allows(n, n != NULL, (struct sockaddr *)&in);
}

static void addresses(void **state)
{
    static const char *const no[] = {
        "0.0.0.0",      "10.1.2.3",        "100.64.0.1",      "100.127.255.255", "127.0.0.1",
        "127.9.9.9",    "169.254.169.254", "172.16.0.1",      "172.31.255.255",  "192.168.0.1",
        "192.0.2.1",    "198.18.0.1",      "224.0.0.1",       "255.255.255.255", "::",
        "::1",          "::ffff:8.8.8.8",  "::ffff:10.0.0.1", "::8.8.8.8",       "64:ff9b::a00:1",
        "64:ff9b:1::1", "100::1",          "2001::1",         "2001:db8::1",     "2002:808:808::1",
        "fc00::1",      "fdff::1",         "fe80::1",         "fec0::1",         "ff02::1"};
    static const char *const yes[] = {"8.8.8.8",     "100.63.255.255",       "100.128.0.0",
                                      "172.15.0.1",  "172.32.0.1",           "192.169.0.1",
                                      "223.1.1.1",   "2606:2800:220:1::946", "64:ff9b::808:808",
                                      "2a00:1450::1"};
    static const char *const bad[] = {"",       "x",     "10.0.0.0/33", "10.0.0.0/",
                                      "::/129", "1.2.3", "10.0.0.0/8x", "10.0.0.0/-1"};
    struct t3di_net n;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(no); i++)
        if (allows(no[i], NULL))
            fail_msg("%s is allowed", no[i]);
    for (size_t i = 0; i < T3D_COUNT(yes); i++)
        if (!allows(yes[i], NULL))
            fail_msg("%s is refused", yes[i]);
    for (size_t i = 0; i < T3D_COUNT(bad); i++)
        assert_int_equal(t3di_net_parse(&n, bad[i], &err), T3D_USAGE);
    assert_int_equal(t3di_net_parse(&n, "10.16.0.0/12", &err), T3D_OK);
    assert_true(allows("10.31.255.255", &n));
    assert_false(allows("10.32.0.0", &n));
    assert_true(allows("::ffff:10.17.0.1", &n));
    assert_int_equal(t3di_net_parse(&n, "fd00::/9", &err), T3D_OK);
    assert_true(allows("fd7f::1", &n));
    assert_false(allows("fd80::1", &n));
}

static void limits(void **state)
{
    static const struct {
        const char *name, *value;
        double retry_after, reset;
        int64_t remaining;
    } c[] = {{"Retry-After", "120", 120, -1, -1},
             {"retry-after", "Sun, 06 Nov 1994 08:49:47 GMT", 10, -1, -1},
             {"retry-after", "soon", -1, -1, -1},
             {"RateLimit", "\"resolvers\";r=12;t=34", -1, 34, 12},
             {"RateLimit", "\"t\";t=7;r=0", -1, 7, 0},
             {"RateLimit", "limit=10, remaining=3, reset=5", -1, 5, 3},
             {"X-RateLimit-Remaining", "0", -1, -1, 0},
             {"X-RateLimit-Reset", "60", -1, 60, -1}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(c); i++) {
        struct t3di_limits l = {.retry_after = -1, .remaining = -1, .reset = -1};

        /* 784111777 is 08:49:37 of that day (RFC 9110, section 5.6.7) */
        t3di_limits_header(&l, c[i].name, strlen(c[i].name), c[i].value, 784111777);
        assert_true(l.retry_after == c[i].retry_after);
        assert_true(l.reset == c[i].reset);
        assert_int_equal(l.remaining, c[i].remaining);
    }
}

static void urls(void **state)
{
    static const char *const good[][3] = {
        {"http://h/a b.glb#x", "http://h/a%20b.glb", "a%20b.glb"},
        {"HTTPS://H.example/x/y.obj?q=1/2", "https://H.example/x/y.obj?q=1/2", "y.obj"},
        {"http://h", "http://h/", ""}};
    static const char *const bad[] = {"",
                                      "ftp://h/x",
                                      "file:///x",
                                      "h/x.glb",
                                      "http://",
                                      "http://u:p@h/x",
                                      "http://h/\r\nx",
                                      "javascript:1",
                                      "http://[::1/x"};
    char *clean, name[64];

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(good); i++) {
        assert_int_equal(t3d_http_url(good[i][0], &clean, &err), T3D_OK);
        assert_string_equal(clean, good[i][1]);
        t3d_http_url_name(clean, name, sizeof name);
        assert_string_equal(name, good[i][2]);
        free(clean);
    }
    for (size_t i = 0; i < T3D_COUNT(bad); i++)
        if (t3d_http_url(bad[i], &clean, &err) != T3D_SKIP)
            fail_msg("'%s' is taken", bad[i]);
}

static int start_server(void **state)
{
    char program[4096], path[128], line[16] = "";
    const char *build = getenv("T3D_BUILD");
    int out[2];
    unsigned x = 7;

    (void)state;
    if (!build || !mkdtemp(dir) || pipe(out) < 0)
        return -1;
    snprintf(parts, sizeof parts, "%s/parts", dir);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)((x = x * 1664525u + 1013904223u) >> 24);
    t3d_sha256_hex(bytes, sizeof bytes, sha);
    for (const char *n = "abc"; *n; n++) {
        snprintf(path, sizeof path, "%s/%c.glb", dir, *n);
        if (t3d_write_file(path, bytes, sizeof bytes, &err) < 0)
            return -1;
    }
    snprintf(program, sizeof program, "%s/aid/serve", build);
    server = fork();
    if (server == 0) {
        dup2(out[1], 1);
        execl(program, "serve", "-d", dir, "-t", "60", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    if (read(out[0], line, sizeof line - 1) <= 0)
        return -1;
    close(out[0]);
    port = (int)strtol(line, NULL, 10);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    t3d_remove_tree(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(limits),
        cmocka_unit_test(urls),
        cmocka_unit_test(whole_in_a_file),
        cmocka_unit_test(whole_in_memory),
        cmocka_unit_test(redirects_are_followed),
        cmocka_unit_test(a_broken_one_goes_on),
        cmocka_unit_test(other_parts_are_not_glued),
        cmocka_unit_test(the_hash_decides),
        cmocka_unit_test(a_later_process_goes_on),
        cmocka_unit_test(permanent_ones_are_not),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(a_wrong_hash_is_refused),
        cmocka_unit_test(bad_places_are_refused),
        cmocka_unit_test(loopback_needs_leave),
        cmocka_unit_test(the_token_stays_at_home),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(stopped),
        cmocka_unit_test(transient_ones_are_tried_again),
        cmocka_unit_test(pauses_are_bounded),
        cmocka_unit_test(the_pause_is_shared),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
