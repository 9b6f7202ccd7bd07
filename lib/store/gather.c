/* SPDX-License-Identifier: Apache-2.0 */
#include "store/gather.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/walk.h"

/* Endings of files without which there still is a shape. */
static const char dispensable[] =
    "png jpg jpeg webp ktx2 basis dds tga bmp gif tif tiff exr hdr mtl";

void t3d_gather_begin(struct t3d_gather *g, const char *workspace, const void *folder,
                      int (*open)(void *folder, const char *name, struct t3d_err *err),
                      struct t3d_arena *a)
{
    memset(g, 0, sizeof *g);
    g->workspace = workspace;
    g->folder = folder;
    g->open = open;
    g->arena = a;
    t3d_stamp_init(&g->stamp);
}

void t3d_gather_stored(struct t3d_gather *g, const struct t3d_object *o)
{
    g->pictures_only = strcmp(o->ending, "obj") == 0;
}

int t3d_gather_main(struct t3d_gather *g, int fd, const struct stat *st, const char *path,
                    struct t3d_object *o, struct t3d_err *err)
{
    int r;

    t3d_content_ending(path, o->ending);
    t3d_gather_stored(g, o);
    r = t3d_content_add_fd(g->workspace, fd, path, o->ending, o->file_sha256, &o->bytes, err);
    return r < 0 ? r : t3d_stamp_add(&g->stamp, fd, st, o->file_sha256, "", err);
}

static int grow(struct t3d_gather *g, struct t3d_err *err)
{
    size_t capacity = g->capacity ? 2 * g->capacity : 16;
    struct t3d_part *part;

    if (g->n < g->capacity)
        return T3D_OK;
    part = t3d_alloc(g->arena, capacity, sizeof *part);
    if (!part)
        return t3d_err_nomem(err, "external files");
    if (g->n)
        memcpy(part, g->part, g->n * sizeof *part);
    g->part = part;
    g->capacity = capacity;
    return T3D_OK;
}

static int add_part(struct t3d_gather *g, int fd, const char *name, struct t3d_err *err)
{
    struct t3d_part *p;
    struct stat st;
    int r = grow(g, err);

    if (r < 0)
        return r;
    p = &g->part[g->n];
    memset(p, 0, sizeof *p);
    t3d_content_ending(name, p->ending);
    p->name = t3d_strdup(g->arena, name);
    if (!p->name)
        return t3d_err_nomem(err, name);
    if (fstat(fd, &st) < 0)
        return t3d_err_sys(err, "cannot look at", name);
    r = t3d_content_add_fd(g->workspace, fd, name, p->ending, p->sha256, &p->size, err);
    if (r == T3D_OK)
        r = t3d_stamp_add(&g->stamp, fd, &st, p->sha256, name, err);
    if (r == T3D_OK && lseek(fd, 0, SEEK_SET) < 0)
        r = t3d_err_sys(err, "cannot rewind", name);
    g->n += r == T3D_OK;
    return r;
}

static int is_missing(struct t3d_gather *g, const char *name, const struct t3d_err *why)
{
    g->missing++;
    if (!g->err.code && !g->pictures_only && !t3d_ending_in(name, dispensable))
        g->err = *why;
    t3d_stamp_add_missing(&g->stamp, name, strcmp(why->reason, "missing-file") == 0);
    return -1;
}

int t3d_gather_resolve(void *ctx, const char *name, struct t3d_err *err)
{
    struct t3d_gather *g = ctx;
    struct t3d_err why = {.code = T3D_SKIP, .value = NAN};
    /* The callback's context is not const; the name of the folder is not written to. */
    int fd = g->open((void *)(uintptr_t)g->folder, name, &why), r;

    if (fd < 0) {
        if (err)
            *err = why;
        return is_missing(g, name, &why);
    }
    for (size_t i = 0; i < g->n; i++)
        if (strcmp(g->part[i].name, name) == 0)
            return fd;
    r = add_part(g, fd, name, &why);
    if (r == T3D_OK)
        return fd;
    if (!g->err.code || r != T3D_SKIP)
        g->err = why;
    if (err)
        *err = why;
    close(fd);
    return -1;
}

int t3d_gather_check(const struct t3d_gather *g, struct t3d_err *err)
{
    if (g->err.code && err)
        *err = g->err;
    return g->err.code;
}

void t3d_gather_forget(struct t3d_gather *g)
{
    g->n = 0;
    g->missing = 0;
}

int t3d_gather_end(struct t3d_gather *g, struct t3d_object *o, const char **stamp,
                   struct t3d_err *err)
{
    int r = t3d_content_add_parts(g->workspace, o->file_sha256, g->part, g->n, o->content, err);

    for (size_t i = 0; i < g->n && r == T3D_OK; i++)
        o->bytes += g->part[i].size;
    return r < 0 ? r : t3d_stamp_text(&g->stamp, o->content, stamp, g->arena, err);
}

void t3d_gather_fini(struct t3d_gather *g)
{
    t3d_stamp_fini(&g->stamp);
}
