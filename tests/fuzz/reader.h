/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target of a reader that promises a valid scene, in headers, pixels and names mode.
 * Seeds are files of the format. */
#ifndef T3D_TESTS_FUZZ_READER_H
#define T3D_TESTS_FUZZ_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "geom/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int fuzz_reader(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                        unsigned flags, struct t3d_err *err);

/* The input is also every external file: a .mtl or a picture. */
static int fuzz_open_same(void *ctx, const char *name, struct t3d_blob *out, struct t3d_err *err)
{
    const struct t3d_blob *same = ctx;

    if (!name[0])
        return t3d_err_set(err, T3D_SKIP, "missing-file", "no name");
    *out = *same;
    return T3D_OK;
}

static int fuzz_read(fuzz_reader *read, const char *name, const uint8_t *data, size_t size)
{
    struct t3d_blob same = {.data = data, .size = size};
    struct t3d_source src = {
        .data = data, .size = size, .name = name, .open = fuzz_open_same, .ctx = &same};

    for (unsigned flags = T3D_READ_HEADERS; flags <= T3D_READ_NAMES; flags++) {
        struct t3d_arena a = {.limit = 256u << 20};
        struct t3d_scene s;
        struct t3d_err err;

        if (read(&s, &a, &src, flags, &err) == T3D_OK && t3d_scene_check(&s, &err) != T3D_OK)
            __builtin_trap();
        t3d_arena_free(&a);
    }
    return 0;
}

#endif
