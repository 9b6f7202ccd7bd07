/* SPDX-License-Identifier: Apache-2.0 */
/* What the drivers of data sets ask for: pure functions from an entry to an address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "store/dataset.h"

static struct t3d_arena arena;
static struct t3d_err err;

/* The pair of objaverse-xl's README; the second by Python's uuid.uuid5(NAMESPACE_DNS, ''). */
static void uuids(void **state)
{
    char uuid[37];

    (void)state;
    t3d_uuid5_url("https://github.com/mattdeitke/objaverse-xl-test-files/blob/"
                  "ead0bed6a76012452273bbe18d12e4d68a881956/example.abc",
                  uuid);
    assert_string_equal(uuid, "0fde27a0-99f0-5029-8e20-be9b8ecabb59");
    t3d_uuid5_url("", uuid);
    assert_string_equal(uuid, "4ebd0208-8328-5d69-8c44-ec50939c0967");
}

static void licenses(void **state)
{
    static const char *const cases[][2] = {
        {"by", "by"},
        {"by-nc-sa", "by-nc-sa"},
        {"CC-BY-NC-4.0", "by-nc"},
        {"Creative Commons - Attribution", "by"},
        {"Creative Commons - Attribution - Non-Commercial - No Derivatives", "by-nc-nd"},
        {"Attribution-NonCommercial-ShareAlike", "by-nc-sa"},
        {"CC BY-ND 4.0", "by-nd"},
        {"cc0", "cc0"},
        {"CC0-1.0", "cc0"},
        {"Creative Commons - Public Domain Dedication", "cc0"},
        {"MIT License", "mit license"},
        {"NOASSERTION", "noassertion"},
        {"Standby", "standby"},
        {"", ""},
    };
    char slug[64];

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(cases); i++) {
        t3d_license_slug(cases[i][0], slug);
        assert_string_equal(slug, cases[i][1]);
    }
}

static void paths(void **state)
{
    const char *url;

    (void)state;
    assert_int_equal(t3d_objaverse_url(&url, NULL, NULL, "glbs/000-023/x.glb", &arena, &err), 0);
    assert_string_equal(url, "https://huggingface.co/datasets/allenai/objaverse/resolve/main/glbs/"
                             "000-023/x.glb");
    assert_int_equal(
        t3d_objaverse_url(&url, "http://m:1/a/", "0123", "glbs/a b#.glb", &arena, &err), 0);
    assert_string_equal(url,
                        "http://m:1/a/datasets/allenai/objaverse/resolve/0123/glbs/a%20b%23.glb");
    for (size_t i = 0; i < 7; i++) {
        static const char *const refused[] = {"",         "/etc/x.glb", "../x.glb", "a/../x.glb",
                                              "a//b.glb", "a\nb.glb",   "a\\b.glb"};

        assert_int_equal(t3d_objaverse_url(&url, NULL, NULL, refused[i], &arena, &err), T3D_SKIP);
        assert_string_equal(err.reason, "bad-path");
    }
}

static void entries(void **state)
{
    static const struct {
        struct t3d_xl_entry e;
        const char *url, *reason;
    } cases[] = {
        {{"sketchfab", "https://sketchfab.com/3d-models/ysqP6", "glbs/1/y.glb"},
         "https://huggingface.co/datasets/allenai/objaverse/resolve/main/glbs/1/y.glb",
         NULL},
        {{"sketchfab", "https://sketchfab.com/3d-models/ysqP6", NULL}, NULL, "not-listed"},
        {{"sketchfab", "https://sketchfab.com/3d-models/", "glbs/1/y.glb"}, NULL, "bad-row"},
        {{"github", "https://github.com/o/r/blob/c0/a b/100%/#1.glb", NULL},
         "https://raw.githubusercontent.com/o/r/c0/a%20b/100%25/%231.glb",
         NULL},
        {{"github", "https://github.com/o/r/tree/c0/x.glb", NULL}, NULL, "bad-row"},
        {{"github", "https://github.com/o/r/blob/c0/", NULL}, NULL, "bad-row"},
        {{"github", "https://example.org/o/r/blob/c0/x.glb", NULL}, NULL, "bad-row"},
        {{"github", "https://github.com/o/r/blob/c0/../../x.glb", NULL}, NULL, "bad-path"},
        {{"smithsonian", "https://3d-api.si.edu/x.glb", NULL}, "https://3d-api.si.edu/x.glb", NULL},
        {{"smithsonian", "file:///etc/passwd", NULL}, NULL, "bad-row"},
    };
    const char *url;
    char uid[129];

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(cases); i++) {
        int r = t3d_objaverse_xl_url(&url, uid, &cases[i].e, NULL, NULL, &arena, &err);

        assert_int_equal(r, cases[i].url ? T3D_OK : T3D_SKIP);
        if (cases[i].url)
            assert_string_equal(url, cases[i].url);
        else
            assert_string_equal(err.reason, cases[i].reason);
    }
    assert_int_equal(t3d_objaverse_xl_url(&url, uid, &cases[0].e, NULL, NULL, &arena, &err), 0);
    assert_string_equal(uid, "ysqP6");
    assert_int_equal(
        t3d_objaverse_xl_url(&url, uid, &cases[8].e, "http://127.0.0.1:8", NULL, &arena, &err), 0);
    assert_string_equal(url, "http://127.0.0.1:8/x.glb");
    t3d_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuids),
        cmocka_unit_test(licenses),
        cmocka_unit_test(paths),
        cmocka_unit_test(entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
