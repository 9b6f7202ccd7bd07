/* SPDX-License-Identifier: Apache-2.0 */
/* Making small glTF files inside a test and reading them back: JSON members with single quotes for
 * double ones, over a BIN chunk that view(), accessor(), floats() and shorts() fill. */
#ifndef T3D_TESTS_GLB_MAKER_H
#define T3D_TESTS_GLB_MAKER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "base/hash.h"
#include "geom/read.h"

/* The BIN chunk in the making, and the JSON of accessors and buffer views over it. */
static struct {
    uint8_t data[1 << 16];
    size_t n;
    char views[1 << 14], accessors[1 << 14];
    int n_views, n_accessors;
} bin;

static struct t3d_arena arena;
static struct t3d_scene scene;
static struct t3d_err err;

T3D_UNUSED static int fresh(void **state)
{
    (void)state;
    memset(&bin, 0, sizeof bin);
    t3d_arena_free(&arena);
    arena = (struct t3d_arena){0};
    return 0;
}

T3D_UNUSED static void append(char *to, size_t size, const char *fmt, ...) T3D_PRINTF(3, 4);
T3D_UNUSED static void append(char *to, size_t size, const char *fmt, ...)
{
    size_t n = strlen(to);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(to + n, size - n, fmt, ap);
    va_end(ap);
}

/* A buffer view over n more bytes; returns its index. stride 0 = none. */
T3D_UNUSED static int view(const void *data, size_t n, int stride)
{
    append(bin.views, sizeof bin.views, "%s{'buffer':0,'byteOffset':%zu,'byteLength':%zu",
           bin.n_views ? "," : "", bin.n, n);
    if (stride)
        append(bin.views, sizeof bin.views, ",'byteStride':%d", stride);
    append(bin.views, sizeof bin.views, "}");
    memcpy(bin.data + bin.n, data, n);
    bin.n += (n + 3) & ~(size_t)3;
    return bin.n_views++;
}

/* An accessor on view v (-1 = none); more: further members, each behind a comma. */
T3D_UNUSED static int accessor(int v, int component, int count, const char *type, const char *more)
{
    append(bin.accessors, sizeof bin.accessors, "%s{'componentType':%d,'count':%d,'type':'%s'",
           bin.n_accessors ? "," : "", component, count, type);
    if (v >= 0)
        append(bin.accessors, sizeof bin.accessors, ",'bufferView':%d", v);
    append(bin.accessors, sizeof bin.accessors, "%s}", more);
    return bin.n_accessors++;
}

T3D_UNUSED static int floats(const float *f, int count, int width)
{
    static const char *const types[] = {"", "SCALAR", "VEC2", "VEC3", "VEC4"};

    return accessor(view(f, sizeof *f * (size_t)(count * width), 0), 5126, count,
                    width == 16 ? "MAT4" : types[width], "");
}

T3D_UNUSED static int shorts(const uint16_t *u, int count)
{
    return accessor(view(u, sizeof *u * (size_t)count, 0), 5123, count, "SCALAR", "");
}

/* Accessor of the unit right triangle (0,0,0) (1,0,0) (0,1,0). */
T3D_UNUSED static int unit_triangle(void)
{
    static const float p[9] = {0, 0, 0, 1, 0, 0, 0, 1, 0};

    return floats(p, 3, 3);
}

T3D_UNUSED static void quotes(char *s)
{
    for (; *s; s++)
        *s = *s == '\'' ? '"' : *s;
}

T3D_UNUSED static void put32(uint8_t *p, size_t v)
{
    for (int k = 0; k < 4; k++)
        p[k] = (uint8_t)(v >> 8 * k);
}

/* A .glb of the given members (single quotes stand for double ones), accessors and BIN chunk. */
T3D_UNUSED static size_t glb(uint8_t *out, size_t size, const char *members)
{
    char *json = malloc(1 << 17);
    size_t n, total;

    snprintf(json, 1 << 17,
             "{'asset':{'version':'2.0','generator':'test\\u0007 \\u00e9'},"
             "'buffers':[{'byteLength':%zu}],'bufferViews':[%s],'accessors':[%s]%s%s}",
             bin.n, bin.views, bin.accessors, *members ? "," : "", members);
    quotes(json);
    for (n = strlen(json); n % 4; n++)
        memcpy(json + n, " ", 2);
    total = 20 + n + 8 + bin.n;
    assert_true(total <= size);
    memcpy(out, "glTF\2\0\0\0", 8);
    put32(out + 8, total);
    put32(out + 12, n);
    memcpy(out + 16, "JSON", 4);
    memcpy(out + 20, json, n);
    put32(out + 20 + n, bin.n);
    memcpy(out + 24 + n, "BIN\0", 4);
    memcpy(out + 28 + n, bin.data, bin.n);
    free(json);
    return total;
}

static uint8_t file[1 << 18];

/* A resolver that knows some names and counts its calls. */
static struct {
    const char *name;
    const void *data;
    size_t size;
} beside[4];
static char asked[256];

T3D_UNUSED static int resolve(void *ctx, const char *name, struct t3d_blob *out, struct t3d_err *e)
{
    (void)ctx;
    append(asked, sizeof asked, "[%s]", name);
    for (size_t i = 0; i < T3D_COUNT(beside); i++)
        if (beside[i].name && strcmp(beside[i].name, name) == 0) {
            *out = (struct t3d_blob){.data = beside[i].data, .size = beside[i].size};
            return T3D_OK;
        }
    return t3d_err_set(e, T3D_SKIP, "missing-file", "no file '%s'", name);
}

/* With T3D_SEEDS=DIR every file that a test makes is kept there: a corpus for tests/fuzz/gltf.c. */
static void keep_seed(const uint8_t *data, size_t n)
{
    const char *dir = getenv("T3D_SEEDS");
    char hex[T3D_SHA256_HEX], path[4096];

    if (!dir)
        return;
    t3d_sha256_hex(data, n, hex);
    snprintf(path, sizeof path, "%s/%.16s", dir, hex);
    assert_int_equal(t3d_write_file(path, data, n, NULL), T3D_OK);
}

/* Read a copy that ends exactly at the end of its memory. What passes must be a sound scene. */
T3D_UNUSED static int read_bytes(const uint8_t *data, size_t n, unsigned flags)
{
    uint8_t *exact = t3d_alloc_raw(&arena, n, 1);
    uint8_t *copy = malloc(n ? n : 1);
    struct t3d_source src = {.data = copy, .size = n, .name = "test.glb", .open = resolve};
    int r;

    assert_non_null(exact);
    memcpy(copy, data, n);
    err = (struct t3d_err){0};
    asked[0] = 0;
    r = t3d_read_scene(&scene, &arena, &src, flags, &err);
    free(copy); /* the scene keeps nothing of the file */
    if (r == T3D_OK && t3d_scene_check(&scene, &err) < 0)
        fail_msg("unsound scene: %s", err.msg);
    return r;
}

T3D_UNUSED static int try(const char *members)
{
    size_t n = glb(file, sizeof file, members);

    keep_seed(file, n);
    return read_bytes(file, n, T3D_READ_HEADERS);
}

T3D_UNUSED static void must(const char *members)
{
    if (try(members) != T3D_OK)
        fail_msg("%s: %s", members, err.msg);
}

T3D_UNUSED static void refused(const char *members, const char *reason)
{
    assert_int_equal(try(members), T3D_SKIP);
    assert_string_equal(err.reason, reason);
}

/* One node with one mesh of one primitive with these members. */
T3D_UNUSED static void must_primitive(const char *primitive)
{
    char text[4096];

    snprintf(text, sizeof text, "'nodes':[{'mesh':0}],'meshes':[{'primitives':[{%s}]}]", primitive);
    must(text);
}

T3D_UNUSED static void near_rows(const float *got, const double *want, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= 1e-6 * (1 + fabs(want[i]))))
            fail_msg("%s [%zu] is %.9g, not %.9g", what, i, got[i], want[i]);
}
#define NEAR(got, n, ...) near_rows((const float *)(got), (const double[]){__VA_ARGS__}, n, #got)

T3D_UNUSED static void triangles_are(size_t n, const uint32_t *want)
{
    assert_int_equal(scene.n_triangles, n);
    assert_memory_equal(scene.triangle, want, n * 12);
}
#define TRIANGLES(n, ...) triangles_are(n, (const uint32_t[]){__VA_ARGS__})

#endif
