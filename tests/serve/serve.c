/* SPDX-License-Identifier: Apache-2.0 */
/* serve [-d DIR] [-t SECONDS]: an HTTP/1.1 server on 127.0.0.1 for the tests, honest or as its
 * script says. Prints its port, serves until SECONDS (default 120) have passed or its standard
 * input ends, and says on stderr nothing.
 *
 *     /f/FILE          DIR/FILE, with a strong ETag, Range and If-Range
 *     /b/SIZE/NAME     SIZE bytes that depend on NAME in the first 16
 *     /s/CASE/FILE     DIR/FILE, after the trouble of CASE (see troubles below)
 *     /count/PATH      how often /PATH has been asked for
 *     /peak            most connections at once, then 0 again */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { CONNECTIONS = 1024, PATHS = 4096, BLOCK = 1 << 20, HEAD = 2048 };

struct body {
    const unsigned char *base; /* byte i is base[i % period], but the first 16 are stamp's */
    uint64_t period, size;
    char stamp[16];
    void *map;
};

struct conn {
    int fd;
    char in[8192];
    size_t n_in;
    char head[HEAD];
    size_t n_head, head_sent;
    struct body body;
    uint64_t at, end; /* bytes of body to send */
    int sending, close_after, chunked, endless, reset;
    double drip; /* next byte at; 0 = full speed */
};

static struct conn conns[CONNECTIONS];
static struct {
    char path[200];
    unsigned n;
} seen[PATHS];
static unsigned char block[BLOCK];
static const char *dir = ".";
static int port, epoll, n_conns, peak, drips;

static unsigned *counter(const char *path)
{
    unsigned h = 5381;

    for (const char *s = path; *s; s++)
        h = h * 33 + (unsigned char)*s;
    for (unsigned i = 0; i < PATHS; i++) {
        unsigned k = (h + i) % PATHS;

        if (!seen[k].path[0])
            snprintf(seen[k].path, sizeof seen[k].path, "%.199s", path);
        if (strncmp(seen[k].path, path, sizeof seen[k].path - 1) == 0)
            return &seen[k].n;
    }
    return &seen[0].n;
}

static unsigned char byte_at(const struct body *b, uint64_t i)
{
    return i < 16 && b->stamp[0] ? (unsigned char)b->stamp[i] : b->base[i % b->period];
}

static int open_file(struct body *b, const char *name)
{
    char path[4096];
    struct stat st;
    int fd;

    memset(b, 0, sizeof *b);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = strstr(name, "..") ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -1;
    }
    b->size = b->period = (uint64_t)st.st_size;
    if (st.st_size)
        b->base = b->map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    return b->map == MAP_FAILED ? -1 : 0;
}

static void made_up(struct body *b, const char *size, const char *name)
{
    memset(b, 0, sizeof *b);
    b->base = block;
    b->period = BLOCK;
    b->size = strtoull(size, NULL, 10);
    snprintf(b->stamp, sizeof b->stamp, "%-15.15s", name);
}

/* A header field of the request, copied without its name; "" = none. */
static void field(const struct conn *c, const char *name, char *out, size_t n)
{
    size_t k = strlen(name);

    out[0] = 0;
    for (const char *s = strchr(c->in, '\n'); s; s = strchr(s, '\n')) {
        s++;
        if (strncasecmp(s, name, k) == 0 && s[k] == ':') {
            s += k + 1;
            while (*s == ' ')
                s++;
            snprintf(out, n, "%.*s", (int)strcspn(s, "\r\n"), s);
            return;
        }
    }
}

static void head(struct conn *c, const char *status, const char *more)
{
    char date[64];
    struct timespec t;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    c->n_head = (size_t)snprintf(c->head, sizeof c->head, "HTTP/1.1 %s\r\nDate: %s\r\n%s\r\n",
                                 status, date, more);
    c->head_sent = 0;
    c->sending = 1;
}

static void plain(struct conn *c, const char *status, const char *more, const char *text)
{
    char fields[1024];

    memset(&c->body, 0, sizeof c->body);
    c->body.base = (const unsigned char *)text;
    c->body.size = c->body.period = strlen(text);
    c->at = 0;
    c->end = c->body.size;
    snprintf(fields, sizeof fields, "Content-Length: %zu\r\n%s", strlen(text), more);
    head(c, status, fields);
}

/* The body, or the range asked for if the ETag still holds. */
static void honest(struct conn *c, const char *etag)
{
    char range[100], condition[200], more[500];
    uint64_t first = 0;
    int partial;

    field(c, "Range", range, sizeof range);
    field(c, "If-Range", condition, sizeof condition);
    partial = strncmp(range, "bytes=", 6) == 0 && (!*condition || strcmp(condition, etag) == 0);
    c->end = c->body.size;
    if (partial && range[6] == '-') { /* the last so many */
        first = strtoull(range + 7, NULL, 10);
        first = first < c->body.size ? c->body.size - first : 0;
    } else if (partial) {
        char *dash;

        first = strtoull(range + 6, &dash, 10);
        if (*dash == '-' && dash[1] && strtoull(dash + 1, NULL, 10) < c->end)
            c->end = strtoull(dash + 1, NULL, 10) + 1;
    }
    c->at = first;
    if (partial && first >= c->body.size) {
        c->at = c->end = 0;
        snprintf(more, sizeof more,
                 "Content-Length: 0\r\nETag: %s\r\nContent-Range: bytes */%llu\r\n", etag,
                 (unsigned long long)c->body.size);
        head(c, "416 Range Not Satisfiable", more);
        return;
    }
    snprintf(more, sizeof more, "Content-Length: %llu\r\nETag: %s\r\nAccept-Ranges: bytes\r\n",
             (unsigned long long)(c->end - c->at), etag);
    if (partial) {
        size_t k = strlen(more);

        snprintf(more + k, sizeof more - k, "Content-Range: bytes %llu-%llu/%llu\r\n",
                 (unsigned long long)c->at, (unsigned long long)c->end - 1,
                 (unsigned long long)c->body.size);
    }
    head(c, partial ? "206 Partial Content" : "200 OK", more);
}

/* Half of what was promised, then the connection ends. */
static void cut_half(struct conn *c)
{
    c->end = c->at + (c->end - c->at) / 2;
    c->close_after = 1;
}

static void chunked(struct conn *c, const char *more)
{
    char fields[300];

    c->chunked = 1;
    c->at = 0;
    c->end = c->body.size;
    snprintf(fields, sizeof fields, "Transfer-Encoding: chunked\r\n%s", more);
    head(c, "200 OK", fields);
}

static void redirect(struct conn *c, const char *to)
{
    char more[400];

    snprintf(more, sizeof more, "Location: %s\r\n", to);
    plain(c, "302 Found", more, "moved");
}

static void later_date(char *buf, size_t n, int seconds)
{
    struct timespec t;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += seconds;
    gmtime_r(&t.tv_sec, &tm);
    strftime(buf, n, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
}

/* --- troubles: n = how often this path has been asked for before. 1 = answered
 * ---------------------
 */

static int slow_down(struct conn *c, const char *what, unsigned n)
{
    char more[100];

    if (strcmp(what, "429-seconds") == 0 && n == 0)
        plain(c, "429 Too Many Requests", "Retry-After: 1\r\n", "slow down");
    else if (strcmp(what, "429-date") == 0 && n == 0) {
        later_date(more, sizeof more, 2);
        plain(c, "429 Too Many Requests", more, "slow down");
    } else if (strcmp(what, "429-ratelimit") == 0 && n == 0)
        plain(c, "429 Too Many Requests", "RateLimit: \"resolvers\";r=0;t=1\r\n", "slow down");
    else if (strcmp(what, "429-hours") == 0)
        plain(c, "429 Too Many Requests", "Retry-After: 7200\r\n", "slow down");
    else if (strcmp(what, "503") == 0 && n < 2)
        plain(c, "503 Service Unavailable", "", "busy");
    else if (strcmp(what, "500") == 0)
        plain(c, "500 Internal Server Error", "", "broken");
    else if (strcmp(what, "403-limit") == 0 && n == 0)
        plain(c, "403 Forbidden", "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1\r\n", "later");
    else if (strcmp(what, "403") == 0)
        plain(c, "403 Forbidden", "", "no");
    else
        return 0;
    return 1;
}

static int ranges(struct conn *c, const char *what, unsigned n)
{
    char range[100], more[300];
    int ranged;

    field(c, "Range", range, sizeof range);
    ranged = *range != 0;
    if (strcmp(what, "truncate") == 0) {
        honest(c, "\"v1\"");
    } else if (strcmp(what, "no-range") == 0) { /* the whole, whatever was asked for */
        c->at = 0;
        c->end = c->body.size;
        snprintf(more, sizeof more, "Content-Length: %llu\r\nETag: \"v1\"\r\n",
                 (unsigned long long)c->end);
        head(c, "200 OK", more);
    } else if (strcmp(what, "wrong-total") == 0 || strcmp(what, "wrong-start") == 0) {
        int total = strcmp(what, "wrong-total") == 0;

        honest(c, "\"v1\"");
        if (ranged) {
            uint64_t first = total ? c->at : c->at + 1;

            snprintf(
                more, sizeof more,
                "Content-Length: %llu\r\nETag: \"v1\"\r\nContent-Range: bytes %llu-%llu/%llu\r\n",
                (unsigned long long)(c->end - first), (unsigned long long)first,
                (unsigned long long)c->end - 1, (unsigned long long)c->body.size + total * 10);
            c->at = first;
            head(c, "206 Partial Content", more);
        }
    } else if (strcmp(what, "etag-change") == 0) {
        if (n == 0) { /* an older version: other bytes of the same length */
            c->body.base = block;
            c->body.period = BLOCK;
        }
        honest(c, n == 0 ? "\"v1\"" : "\"v2\"");
    } else if (strcmp(what, "splice") == 0) { /* other bytes under the same ETag */
        if (ranged) {
            c->body.base = block;
            c->body.period = BLOCK;
        }
        honest(c, "\"v1\"");
    } else {
        return 0;
    }
    if (n == 0)
        cut_half(c);
    return 1;
}

static int places(struct conn *c, const char *what, const char *name)
{
    char to[300];

    if (strcmp(what, "to-file") == 0)
        redirect(c, "file:///etc/passwd");
    else if (strcmp(what, "to-ftp") == 0)
        redirect(c, "ftp://127.0.0.1/x.glb");
    else if (strcmp(what, "to-gopher") == 0)
        redirect(c, "gopher://127.0.0.1:1/x");
    else if (strcmp(what, "to-private") == 0) {
        snprintf(to, sizeof to, "http://127.0.0.2:%d/f/%s", port, name);
        redirect(c, to);
    } else if (strcmp(what, "to-mapped") == 0) {
        snprintf(to, sizeof to, "http://[::ffff:127.0.0.2]:%d/f/%s", port, name);
        redirect(c, to);
    } else if (strcmp(what, "to-octal") == 0) {
        snprintf(to, sizeof to, "http://0177.0.0.2:%d/f/%s", port, name);
        redirect(c, to);
    } else if (strcmp(what, "loop") == 0) {
        snprintf(to, sizeof to, "/s/loop/%s", name);
        redirect(c, to);
    } else if (strncmp(what, "hop", 3) == 0) { /* hop3: three more, then the file */
        int left = what[3] - '0';

        if (left > 1)
            snprintf(to, sizeof to, "/s/hop%d/%.200s", left - 1, name);
        else
            snprintf(to, sizeof to, "/f/%.200s", name);
        redirect(c, to);
    } else if (strcmp(what, "to-other") == 0) { /* the same server by another name */
        snprintf(to, sizeof to, "http://localhost:%d/s/no-token/%s", port, name);
        redirect(c, to);
    } else {
        return 0;
    }
    return 1;
}

static int bodies(struct conn *c, const char *what, unsigned n)
{
    char value[200];

    if (strcmp(what, "chunked") == 0) {
        chunked(c, "ETag: \"v1\"\r\n");
    } else if (strcmp(what, "chunked-cut") == 0) {
        chunked(c, "");
        if (n == 0)
            cut_half(c);
    } else if (strcmp(what, "endless") == 0) {
        c->endless = 1;
        chunked(c, "");
    } else if (strncmp(what, "drip", 4) == 0 && (n == 0 || what[4] == 's')) {
        honest(c, "\"v1\"");
        c->drip = t3d_clock_s();
        drips = 1;
    } else if (strcmp(what, "reset") == 0 && n == 0) {
        c->reset = 1;
        head(c, "200 OK", "Content-Length: 10\r\n");
    } else if (strcmp(what, "gzip") == 0) {
        honest(c, "\"v1\"");
        head(c, "200 OK", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n");
        c->chunked = c->endless = 1;
    } else if (strcmp(what, "huge") == 0) {
        head(c, "200 OK", "Content-Length: 9223372036854775808\r\n");
    } else if (strcmp(what, "large") == 0) {
        head(c, "200 OK", "Content-Length: 9000000000000\r\n");
    } else if (strcmp(what, "html") == 0) {
        plain(c, "200 OK", "Content-Type: text/html\r\n",
              "<!DOCTYPE html><html><body>Log in to go on</body></html>");
    } else if (strcmp(what, "lfs") == 0) {
        plain(c, "200 OK", "",
              "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    } else if (strcmp(what, "token") == 0 || strcmp(what, "no-token") == 0) {
        field(c, "Authorization", value, sizeof value);
        if ((strcmp(value, "Bearer sesame") == 0) != (what[0] == 't'))
            plain(c, "401 Unauthorized", "", "who are you?");
        else
            honest(c, "\"v1\"");
    } else {
        return 0;
    }
    return 1;
}

static void trouble(struct conn *c, char *path)
{
    char full[200], *name = strchr(path, '/');
    unsigned n, *count;

    snprintf(full, sizeof full, "s/%.190s", path);
    count = counter(full);
    n = *count - 1;
    if (!name) {
        plain(c, "404 Not Found", "", "no such case");
        return;
    }
    *name++ = 0;
    if (open_file(&c->body, name) < 0)
        plain(c, "404 Not Found", "", "no such file");
    else if (!slow_down(c, path, n) && !ranges(c, path, n) && !places(c, path, name) &&
             !bodies(c, path, n))
        honest(c, "\"v1\"");
}

/* %XX in place. */
static void decode(char *path)
{
    char *to = path;
    unsigned c;

    for (const char *s = path; *s; s++) {
        if (*s == '%' && sscanf(s + 1, "%2x", &c) == 1 && c) {
            *to++ = (char)c;
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = 0;
}

static void answer(struct conn *c)
{
    static char text[32];
    char path[1024], *s, etag[64];

    snprintf(path, sizeof path, "%.*s", (int)strcspn(c->in + 5, " ?"), c->in + 5);
    decode(path);
    c->close_after = c->chunked = c->endless = c->reset = 0;
    c->drip = 0;
    if (strncmp(path, "count/", 6) == 0) {
        snprintf(text, sizeof text, "%u\n", *counter(path + 6));
        plain(c, "200 OK", "", text);
        return;
    }
    if (strcmp(path, "peak") == 0) {
        snprintf(text, sizeof text, "%d\n", peak);
        peak = 0;
        plain(c, "200 OK", "", text);
        return;
    }
    if (strncmp(path, "b/", 2) != 0)
        ++*counter(path);
    if (strncmp(path, "s/", 2) == 0) {
        trouble(c, path + 2);
    } else if (strncmp(path, "b/", 2) == 0 && (s = strchr(path + 2, '/'))) {
        *s++ = 0;
        made_up(&c->body, path + 2, s);
        honest(c, "\"b\"");
    } else if (strncmp(path, "f/", 2) == 0 && open_file(&c->body, path + 2) == 0) {
        snprintf(etag, sizeof etag, "\"%llx\"", (unsigned long long)c->body.size);
        honest(c, etag);
    } else {
        plain(c, "404 Not Found", "", "no such file");
    }
}

/* --- connections
 * ---------------------------------------------------------------------------------- */

static void watch(struct conn *c, unsigned events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};

    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static void end_body(struct conn *c)
{
    if (c->body.map)
        munmap(c->body.map, c->body.size);
    memset(&c->body, 0, sizeof c->body);
    c->sending = 0;
}

static void hang_up(struct conn *c)
{
    end_body(c);
    close(c->fd);
    c->fd = -1;
    n_conns--;
}

/* Up to n bytes of the body into buf. */
static size_t fill(struct conn *c, unsigned char *buf, size_t n)
{
    uint64_t left = c->endless ? n : c->end - c->at;

    if (n > left)
        n = (size_t)left;
    if (c->endless)
        memset(buf, 'x', n);
    else
        for (size_t i = 0; i < n;) {
            const struct body *b = &c->body;
            uint64_t at = c->at + i, off = at % b->period;
            size_t k = n - i;

            if (at < 16 && b->stamp[0]) {
                buf[i++] = byte_at(b, at);
                continue;
            }
            if (k > b->period - off)
                k = (size_t)(b->period - off);
            memcpy(buf + i, b->base + off, k);
            i += k;
        }
    return n;
}

/* 1 = all is sent, 0 = later, -1 = the other side has gone. */
static int send_some(struct conn *c)
{
    static unsigned char buf[256 * 1024 + 64];
    size_t n = 0, body = 0;

    if (c->head_sent < c->n_head) {
        n = c->n_head - c->head_sent;
        memcpy(buf, c->head + c->head_sent, n);
    }
    if (c->chunked && n == 0) {
        char size[32];

        body = fill(c, buf + 16, 4096);
        n = (size_t)snprintf(size, sizeof size, "%zx\r\n", body);
        memmove(buf + n, buf + 16, body);
        memcpy(buf, size, n);
        n += body;
        memcpy(buf + n, "\r\n", 2);
        n += 2;
        if (c->close_after && c->at + body == c->end)
            n -= 7; /* in the middle of a chunk */
        if (send(c->fd, buf, n, MSG_NOSIGNAL) != (ssize_t)n)
            return -1; /* chunks are small: a full socket is a client that has stopped */
        c->at += body;
        return body == 0 || (c->close_after && c->at == c->end);
    }
    if (!c->chunked)
        body = fill(c, buf + n, c->drip > 0 ? 1 : sizeof buf - n);
    if (n + body) {
        ssize_t k = send(c->fd, buf, n + body, MSG_NOSIGNAL);

        if (k < 0)
            return errno == EAGAIN ? 0 : -1;
        c->head_sent += (size_t)k < n ? (size_t)k : n;
        c->at += (size_t)k > n ? (uint64_t)k - n : 0;
    }
    return c->head_sent == c->n_head && !c->chunked && c->at == c->end;
}

static void answer_next(struct conn *c);

static void push(struct conn *c)
{
    int r;

    if (c->drip > 0) {
        if (t3d_clock_s() < c->drip)
            return;
        c->drip += 0.1;
    }
    r = send_some(c);
    if (r > 0 && c->reset) {
        struct linger no = {.l_onoff = 1};

        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &no, sizeof no);
    }
    if (r < 0 || (r > 0 && (c->close_after || c->reset))) {
        hang_up(c);
    } else if (r > 0) {
        end_body(c);
        answer_next(c);
    } else {
        watch(c, c->drip > 0 ? EPOLLIN : EPOLLOUT);
    }
}

/* A request is in the buffer when it has a blank line. */
static void answer_next(struct conn *c)
{
    char *end;
    size_t used;

    c->in[c->n_in] = 0;
    end = strstr(c->in, "\r\n\r\n");
    if (!end) {
        watch(c, EPOLLIN);
        return;
    }
    used = (size_t)(end + 4 - c->in);
    end[2] = 0;
    if (strncmp(c->in, "GET /", 5) == 0)
        answer(c);
    else
        plain(c, "405 Method Not Allowed", "", "GET only");
    memmove(c->in, c->in + used, c->n_in - used);
    c->n_in -= used;
    push(c);
}

static void receive(struct conn *c)
{
    ssize_t k = recv(c->fd, c->in + c->n_in, sizeof c->in - 1 - c->n_in, 0);

    if (k == 0 || (k < 0 && errno != EAGAIN)) {
        hang_up(c);
        return;
    }
    if (k > 0)
        c->n_in += (size_t)k;
    if (!c->sending)
        answer_next(c);
}

static void welcome(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    struct epoll_event ev = {.events = EPOLLIN};

    if (fd < 0)
        return;
    for (int i = 0; i < CONNECTIONS; i++)
        if (conns[i].fd < 0) {
            memset(&conns[i], 0, sizeof conns[i]);
            conns[i].fd = fd;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ev.data.ptr = &conns[i];
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
            if (++n_conns > peak)
                peak = n_conns;
            return;
        }
    close(fd);
}

static int listen_here(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 512) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) < 0) {
        perror("serve");
        exit(1);
    }
    port = ntohs(a.sin_port);
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event ev[256] = {{.events = EPOLLIN}};
    unsigned seconds = 120, x = 1;
    int listener, c;

    while ((c = getopt(argc, argv, "d:t:")) != -1)
        if (c == 'd')
            dir = optarg;
        else if (c == 't')
            seconds = (unsigned)strtoul(optarg, NULL, 10);
    for (int i = 0; i < BLOCK; i++)
        block[i] = (unsigned char)((x = x * 1103515245u + 12345u) >> 16);
    for (int i = 0; i < CONNECTIONS; i++)
        conns[i].fd = -1;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    alarm(seconds);
    listener = listen_here();
    printf("%d\n", port);
    fflush(stdout);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev[0]);
    for (;;) {
        int n = epoll_wait(epoll, ev, 256, 50);

        for (int i = 0; i < n; i++) {
            struct conn *one = ev[i].data.ptr;

            if (!one)
                welcome(listener);
            else if (one->fd >= 0 && one->sending && (ev[i].events & EPOLLOUT))
                push(one);
            else if (one->fd >= 0 && (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                receive(one);
        }
        for (int i = 0; drips && i < CONNECTIONS; i++)
            if (conns[i].fd >= 0 && conns[i].sending && conns[i].drip > 0)
                push(&conns[i]);
    }
}
