/* SPDX-License-Identifier: Apache-2.0 */
/* The reader. It reads the descriptor itself and not the stream, because only so can it know
 * whether the next line is here already (t3d_ndjson_wait). */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/json_impl.h"
#include "base/tool.h"
#include "base/tool_impl.h"

enum { LINE_MAX_BYTES = 16 << 20, CHUNK = 64 << 10 };

void t3d_ndjson_init(struct t3d_ndjson *in, FILE *f, const char *name)
{
    off_t at = ftello(f);

    memset(in, 0, sizeof *in);
    in->f = f;
    in->name = name;
    /* f may have read ahead of its position. */
    if (at >= 0 && fileno(f) >= 0)
        lseek(fileno(f), at, SEEK_SET);
}

void t3d_ndjson_fini(struct t3d_ndjson *in)
{
    free(in->line);
    memset(in, 0, sizeof *in);
}

/* The newline that ends the line at start, or NULL. */
static char *find_newline(struct t3d_ndjson *in)
{
    char *nl = NULL;

    if (in->scanned < in->end)
        nl = memchr(in->line + in->scanned, '\n', in->end - in->scanned);
    if (!nl)
        in->scanned = in->end;
    return nl;
}

static int make_room(struct t3d_ndjson *in)
{
    size_t capacity;
    char *p;

    if (in->start) {
        memmove(in->line, in->line + in->start, in->end - in->start);
        in->end -= in->start;
        in->scanned -= in->start;
        in->start = 0;
    }
    if (in->capacity - in->end >= CHUNK / 2)
        return 0;
    capacity = in->capacity ? 2 * in->capacity : 2 * CHUNK;
    p = realloc(in->line, capacity);
    if (!p)
        return -1;
    in->line = p;
    in->capacity = capacity;
    return 0;
}

/* Read what there is, at least one byte; sets eof. */
static int fill(struct t3d_ndjson *in, struct t3d_err *err)
{
    int fd = fileno(in->f);
    ssize_t n;

    if (make_room(in) < 0)
        return t3d_err_nomem(err, in->name);
    if (fd < 0) {
        n = (ssize_t)fread(in->line + in->end, 1, in->capacity - in->end, in->f);
    } else {
        do
            n = read(fd, in->line + in->end, in->capacity - in->end);
        while (n < 0 && errno == EINTR && !t3d_stop_requested());
    }
    if (n < 0 && errno == EINTR)
        n = 0;
    if (n < 0)
        return t3d_err_sys(err, "cannot read", in->name);
    in->end += (size_t)n;
    in->eof = n == 0;
    return T3D_OK;
}

/* 1: input can be read without blocking; 0: wake is readable, or it would block and block is 0; -1:
 * a stop was requested. */
static int wait_input(const struct t3d_ndjson *in, int wake, int block)
{
    struct pollfd p[3] = {{.fd = t3di_stop_fd(), .events = POLLIN},
                          {.fd = wake, .events = POLLIN},
                          {.fd = fileno(in->f), .events = POLLIN}};

    if (t3d_stop_requested())
        return -1;
    if (p[2].fd < 0)
        return 1;
    while (poll(p, 3, block ? -1 : 0) < 0)
        if (errno != EINTR && errno != EAGAIN)
            return 1; /* read will say what is wrong */
    return p[0].revents ? -1 : p[1].revents ? 0 : p[2].revents != 0;
}

int t3d_ndjson_wait(struct t3d_ndjson *in, int wake)
{
    struct t3d_err e;

    while (!in->eof && !find_newline(in) && in->end - in->start <= LINE_MAX_BYTES) {
        int r = wait_input(in, wake, wake >= 0);

        if (r <= 0)
            return r < 0; /* after a stop next returns at once */
        if (fill(in, &e) < 0)
            return 1; /* next meets the same error */
    }
    return 1;
}

/* The next line without its newline; start moves behind it. */
static int read_line(struct t3d_ndjson *in, char **line, size_t *n, struct t3d_err *err)
{
    char *nl;
    int too_long = 0;

    if (t3d_stop_requested())
        return T3D_END;
    while (!(nl = find_newline(in)) && !in->eof) {
        int r = wait_input(in, -1, 1) < 0 ? T3D_END : fill(in, err);

        if (r != T3D_OK)
            return r;
        if (in->end - in->start > LINE_MAX_BYTES) {
            too_long = 1;
            nl = find_newline(in);
            in->start = nl ? (size_t)(nl - in->line) : in->end;
        }
    }
    if (!nl && in->start == in->end && !too_long)
        return T3D_END;
    in->number++;
    *line = in->line + in->start;
    *n = nl ? (size_t)(nl - *line) : in->end - in->start;
    in->start += *n + (nl != NULL);
    in->scanned = in->start;
    if (too_long || *n > LINE_MAX_BYTES)
        return t3d_err_set(err, T3D_SKIP, "line-too-long", "%s, line %llu: more than 16 MiB",
                           in->name, (unsigned long long)in->number);
    return T3D_OK;
}

static int blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
            return 0;
    return 1;
}

int t3d_ndjson_next(struct t3d_ndjson *in, cJSON **record, struct t3d_err *err)
{
    const char *why = "is not a JSON object";
    size_t n, at = 0;
    char *line;
    int r;

    *record = NULL;
    do {
        r = read_line(in, &line, &n, err);
        if (r != T3D_OK)
            return r;
    } while (blank(line, n));
    *record = t3di_json_parse(line, n, &at, &why);
    if (*record && cJSON_IsObject(*record))
        return T3D_OK;
    cJSON_Delete(*record);
    *record = NULL;
    return t3d_err_set(err, T3D_SKIP, "not-json", "%s, line %llu: '%.*s%s' %s (byte %zu)", in->name,
                       (unsigned long long)in->number, (int)T3D_MIN(n, 60), line,
                       n > 60 ? "..." : "", why, at);
}
