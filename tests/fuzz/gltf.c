/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: the glTF reader, and the flat form of what it makes. Seeds:
 *     T3D_SEEDS=DIR build/release/unit/geom_gltf
 *     T3D_SEEDS=DIR build/release/unit/geom_gltf_files */
#include <stdint.h>

#include "base/arena.h"
#include "geom/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any external name gives the file itself: its bytes are as good as others. */
static int resolve(void *ctx, const char *name, struct t3d_blob *out, struct t3d_err *err)
{
    const struct t3d_source *src = ctx;

    if (name[0] == '.')
        return t3d_err_set(err, T3D_SKIP, "missing-file", "no file '%s'", name);
    *out = (struct t3d_blob){.data = src->data, .size = src->size};
    return T3D_OK;
}

static void use(const struct t3d_scene *s, struct t3d_arena *a)
{
    struct t3d_normalisation n;
    struct t3d_scene t;
    size_t size;
    void *buf;

    if (t3d_scene_check(s, NULL) < 0)
        abort(); /* a reader promises a sound scene */
    size = t3d_scene_packed_size(s);
    buf = t3d_alloc_raw(a, size, 1);
    if (!buf)
        return;
    t3d_scene_pack(s, buf);
    if (t3d_scene_unpack(&t, buf, size, NULL) < 0)
        abort();
    if (t3d_scene_normalisation(&t, &n, NULL) == T3D_OK && !(n.scale > 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct t3d_arena a = {.limit = 64 << 20};
    struct t3d_source src = {.data = data, .size = size, .name = "x", .open = resolve, .ctx = &src};
    struct t3d_err err = {0};
    struct t3d_scene s;
    int r = t3d_read_gltf(&s, &a, &src, size % 3 ? T3D_READ_PIXELS : T3D_READ_HEADERS, &err);

    if (r == T3D_OK)
        use(&s, &a);
    else if (r != T3D_SKIP || !err.reason[0])
        abort(); /* no input is the program's failure */
    t3d_arena_free(&a);
    return 0;
}
