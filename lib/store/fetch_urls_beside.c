/* SPDX-License-Identifier: Apache-2.0 */
/* Files beside the one that an address names: the .bin, .mtl and pictures of an object, and single
 * members of a remote zip. A worker asks for them one after another, by an engine of its own with
 * one connection, so that an object's files do not wait behind a list. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/tool.h"
#include "store/fetch_urls_impl.h"

enum { MAX_FILES = 256, WAIT_MS = 100 };

struct t3di_side *t3di_side_of(struct t3di_urls *s, int thread, struct t3d_err *err)
{
    struct t3di_side *side = &s->side[thread];
    struct t3d_http_conf c = s->conf->http;

    if (side->http)
        return side;
    c.parts = s->parts;
    c.max_bytes = s->conf->max_bytes;
    c.transfers = c.per_host = 1;
    c.memory_bytes = 256u << 20; /* a member of a zip is asked for in one piece */
    return t3d_http_open(&side->http, &c, err) < 0 ? NULL : side;
}

void t3di_side_close(struct t3di_side *side)
{
    t3d_http_close(side->http);
    t3d_arena_free(&side->arena);
    *side = (struct t3di_side){0};
}

int t3di_side_fetch(struct t3di_side *side, const struct t3d_http_request *q,
                    struct t3d_http_result *out, struct t3d_err *err)
{
    int r = t3d_http_submit(side->http, q, err);

    if (r < 0)
        return r;
    do {
        if (t3d_stop_requested())
            t3d_http_stop(side->http, 0);
        r = t3d_http_next(side->http, WAIT_MS, out, err);
    } while (r == T3D_RETRY);
    if (r != T3D_OK)
        return r == T3D_END ? t3d_err_set(err, T3D_FAIL, "http", "a transfer was lost") : r;
    if (out->class == T3D_HTTP_OK)
        return T3D_OK;
    if (err)
        *err = out->err;
    if (out->class == T3D_HTTP_STOPPED && err->code != T3D_SKIP)
        t3d_err_set(err, T3D_SKIP, "stopped", "the run was stopped");
    return T3D_SKIP;
}

int t3di_side_file(struct t3d_http_result *r, const char *name, struct t3d_err *err)
{
    int fd =
        r->data ? memfd_create("t3d-beside", MFD_CLOEXEC) : open(r->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        t3d_err_sys(err, "cannot hold", name);
        return -1;
    }
    if (r->data && (t3d_write_all(fd, r->data, (size_t)r->bytes, name, err) < 0 ||
                    lseek(fd, 0, SEEK_SET) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* --- the address of a neighbour
 * ------------------------------------------------------------------- */

/* "base of url" + name, with everything but what may stand in a path written as %XX. */
static char *address(struct t3d_arena *a, const char *url, const char *name)
{
    size_t path = strcspn(url, "?#"), n;
    char *out, *o;

    while (path && url[path - 1] != '/')
        path--;
    n = strlen(name);
    out = t3d_alloc_raw(a, path + 3 * n + 1, 1);
    if (!out)
        return NULL;
    memcpy(out, url, path);
    o = out + path;
    for (const char *s = name; *s; s++) {
        unsigned char c = (unsigned char)*s;
        int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    strchr("-._~/", c);

        if (plain)
            *o++ = (char)c;
        else
            o += snprintf(o, 4, "%%%02X", c);
    }
    *o = 0;
    return out;
}

/* Only what lies in the folder of the address or below: so it is the same host, and no name of a
 * file makes us ask another. */
int t3di_beside_open(void *ctx, const char *name, struct t3d_err *err)
{
    struct t3di_beside *b = ctx;
    char plain[2048], *url;
    struct t3d_http_request q = {.size = -1};
    struct t3d_http_result r;
    struct t3d_err why;
    int fd = -1;

    if (t3d_archive_name(plain, sizeof plain, name, &why) < 0 || strstr(name, "://"))
        return t3d_err_set(err, T3D_SKIP, "unsafe-name",
                           "'%.200s' is not a name inside the object's folder", name),
               -1;
    if (++b->files > MAX_FILES)
        return t3d_err_value(err, T3D_SKIP, "too-many-files", MAX_FILES,
                             "it names more than %d files", MAX_FILES),
               -1;
    if (b->zip)
        return t3di_zip_open(b, plain, err);
    url = address(b->arena, b->url, plain);
    if (!url)
        return t3d_err_nomem(err, name), -1;
    q.url = url;
    q.max_bytes = b->left;
    if (t3di_side_fetch(b->side, &q, &r, &why) < 0) {
        int missing = r.class == T3D_HTTP_PERMANENT;

        b->transient |= !missing;
        t3d_err_set(err, T3D_SKIP, missing ? "missing-file" : why.reason, "%s", why.msg);
        t3d_http_result_free(&r);
        return -1;
    }
    if (t3d_http_is_page(r.data, r.data ? (size_t)r.bytes : 0))
        t3d_err_set(err, T3D_SKIP, "missing-file", "'%.300s' is a web page", url);
    else
        fd = t3di_side_file(&r, name, err);
    b->left -= T3D_MIN(b->left, r.bytes);
    t3d_http_result_free(&r);
    return fd;
}
