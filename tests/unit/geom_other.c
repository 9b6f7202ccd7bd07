/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of other formats without its library, and what it tells by the bytes. What it reads is
 * tested by tests/tool/formats.t. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "geom/read.h"

static struct t3d_err read_bytes(const char *bytes, size_t n, const char *name)
{
    struct t3d_source src = {.data = (const uint8_t *)bytes, .size = n, .name = name};
    struct t3d_arena a = {0};
    struct t3d_scene s;
    struct t3d_err err = {0};

    assert_int_equal(t3d_read_scene(&s, &a, &src, 0, &err), T3D_SKIP);
    t3d_arena_free(&a);
    return err;
}

static void the_bytes_tell(void **state)
{
    static const struct {
        const char *bytes, *name;
        int known;
    } cases[] = {{"Kaydara FBX Binary  ", "a.glb", 1},
                 {"; FBX 7.3\nFBXHeaderExtension:  {", "a.fbx", 1},
                 {"<?xml version=\"1.0\"?>\n<COLLADA>", "a", 1},
                 {"MM\x10\x20\x30\x40\x50\x60", "a.3DS", 1},
                 {"MM\x10\x20\x30\x40\x50\x60", "a.tif", 0},
                 {"PK\3\4aaaaaaa", "a.3mf", 1},
                 {"PK\3\4aaaaaaa", "a.zip", 0},
                 {"<html>", "a.dae", 0},
                 {"text", "a.fbx", 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct t3d_err err = read_bytes(cases[i].bytes, strlen(cases[i].bytes), cases[i].name);
        assert_string_equal(err.reason, cases[i].known ? "no-library" : "unknown-format");
    }
}

static void broken_files_are_told(void **state)
{
    (void)state;
    if (t3d_read_other_load() < 0)
        skip();
    assert_string_equal(read_bytes("Kaydara FBX Binary  \0\x1a\0\0\0\0", 27, "a.fbx").reason,
                        "bad-file");
    assert_string_equal(
        read_bytes("MM\xff\xff\xff\xff\x3d\x3d\xff\xff\xff\x7f", 12, "a.3ds").reason, "bad-file");
    assert_string_equal(read_bytes("<COLLADA><a", 11, "a.dae").reason, "bad-file");
    assert_string_equal(read_bytes("PK\3\4aaaaaaa", 11, "a.3mf").reason, "bad-file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_bytes_tell),
                                       cmocka_unit_test(broken_files_are_told)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
