/* SPDX-License-Identifier: Apache-2.0 */
#include "store/captions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static char file[64];

static int open_text(struct t3d_captions **c, const char *text, size_t n, struct t3d_err *err)
{
    assert_int_equal(t3d_write_file(file, text, n, err), T3D_OK);
    *c = NULL;
    return t3d_captions_open(c, file, err);
}

static struct t3d_captions *open_list(const char *text)
{
    struct t3d_captions *c;
    struct t3d_err err = {0};
    int r = open_text(&c, text, strlen(text), &err);

    if (r < 0)
        fprintf(stderr, "%s\n", err.msg);
    assert_int_equal(r, T3D_OK);
    return c;
}

static struct t3d_arena arena;

static int find(struct t3d_captions *c, struct t3d_caption_match *m, const char *below,
                const char *absolute, const char *sha256, const char *uid)
{
    struct t3d_caption_query q = {below, absolute, sha256, uid};

    return t3d_captions_find(c, &q, m, &arena, NULL);
}

static void expect(struct t3d_captions *c, const char *below, size_t n, const char *first)
{
    struct t3d_caption_match m;

    assert_int_equal(find(c, &m, below, NULL, NULL, NULL), T3D_OK);
    assert_int_equal(m.n_captions, n);
    if (n)
        assert_string_equal(m.caption[0], first);
}

static void csv_follows_rfc_4180(void **state)
{
    struct t3d_captions *c = open_list("Path,Caption,Licence,pack\r\n"
                                       "a.glb,\"red, \"\"round\"\" cube\",CC0-1.0,p1\r\n"
                                       "\r\n"
                                       "./b/c.obj,\"two\r\nlines\",,p2\r\n"
                                       "d.stl,,MIT,\r\n"
                                       "e.off,last");
    struct t3d_caption_match m;
    struct t3d_caption_counts n;

    (void)state;
    assert_int_equal(find(c, &m, "a.glb", NULL, NULL, NULL), T3D_OK);
    assert_string_equal(m.caption[0], "red, \"round\" cube");
    assert_string_equal(m.license, "CC0-1.0");
    assert_string_equal(m.dataset, "p1");
    assert_null(m.uid);
    expect(c, "b/c.obj", 1, "two  lines");
    assert_int_equal(find(c, &m, "d.stl", NULL, NULL, NULL), T3D_OK);
    assert_int_equal(m.n_captions, 0);
    assert_string_equal(m.license, "MIT");
    t3d_captions_count(c, &n);
    assert_int_equal(n.rows, 3);
    assert_int_equal(n.matched, 3);
    assert_int_equal(n.bad, 1); /* two columns instead of four */
    assert_non_null(strstr(n.first_bad.msg, "line 7"));
    t3d_captions_close(c);
}

static void two_columns_need_no_header(void **state)
{
    struct t3d_captions *c = open_list("ysqP6VH2x99bODrQRbcYdQjSLjV,a chair\n" SHA_A
                                       ",\"a table, round\"\nchair,by its name\n");
    struct t3d_caption_match m;

    (void)state;
    assert_int_equal(find(c, &m, "x.glb", NULL, NULL, "ysqP6VH2x99bODrQRbcYdQjSLjV"), T3D_OK);
    assert_string_equal(m.by, "uid");
    assert_string_equal(m.caption[0], "a chair");
    assert_int_equal(find(c, &m, "x.glb", NULL, SHA_A, "none"), T3D_OK);
    assert_string_equal(m.by, "sha256");
    assert_string_equal(m.caption[0], "a table, round");
    assert_int_equal(find(c, &m, "x/ysqP6VH2x99bODrQRbcYdQjSLjV.glb", NULL, NULL, "u"), T3D_OK);
    assert_string_equal(m.by, "name");
    assert_string_equal(m.caption[0], "a chair");
    assert_int_equal(find(c, &m, "x.glb", NULL, NULL, "other"), T3D_END);
    t3d_captions_close(c);
}

static void matches_by_path_first_and_longest(void **state)
{
    struct t3d_captions *c = open_list("path,sha256,uid,caption\n"
                                       "b/x.glb,,,one\n"
                                       "a/b/x.glb,,mine,two\n"
                                       "x.glb,,,three\n"
                                       "," SHA_A ",by-hash,four\n");
    struct t3d_caption_match m;

    (void)state;
    expect(c, "b/x.glb", 1, "one");
    assert_int_equal(find(c, &m, "y/b/x.glb", "/r/a/b/x.glb", NULL, NULL), T3D_OK);
    assert_string_equal(m.by, "path-suffix");
    assert_string_equal(m.caption[0], "two");
    assert_string_equal(m.uid, "mine");
    assert_int_equal(find(c, &m, "bb/x.glb", "/r/bb/x.glb", NULL, NULL), T3D_OK);
    assert_string_equal(m.caption[0], "three");
    assert_int_equal(find(c, &m, "xx.glb", "/r/xx.glb", NULL, NULL), T3D_END);
    assert_int_equal(find(c, &m, "xx.glb", "/r/xx.glb", SHA_A, NULL), T3D_OK);
    assert_string_equal(m.uid, "by-hash");
    t3d_captions_close(c);
}

static void several_captions_keep_their_order(void **state)
{
    struct t3d_captions *c =
        open_list("path,caption\nq.glb,first\nq.glb,second\n"
                  "r.glb,\"[\"\"one\"\", \"\"\"\", \"\"two\"\"]\"\nq.glb,third\n");
    struct t3d_caption_match m;

    (void)state;
    assert_int_equal(find(c, &m, "q.glb", NULL, NULL, NULL), T3D_OK);
    assert_int_equal(m.n_captions, 3);
    assert_string_equal(m.caption[0], "first");
    assert_string_equal(m.caption[1], "second");
    assert_string_equal(m.caption[2], "third");
    assert_int_equal(find(c, &m, "r.glb", NULL, NULL, NULL), T3D_OK);
    assert_int_equal(m.n_captions, 2);
    assert_string_equal(m.caption[1], "two");
    t3d_captions_close(c);
}

static void json_has_four_shapes(void **state)
{
    static const char *const lists[] = {
        "{\"a.glb\": \"caf\\u00e9, {round}\", \"b.glb\": [\"x\", \"y\\\"]\"]}",
        "\xef\xbb\xbf [{\"path\":\"a.glb\",\"caption\":\"caf\xc3\xa9, {round}\"},\n"
        " {\"file\":\"b.glb\",\"captions\":[\"x\",\"y\\\"]\"],\"n\":[1,{\"z\":2}]}]\n",
        "{\"path\":\"a.glb\",\"caption\":\"caf\\u00e9, {round}\"}\n\n"
        "{\"captions\":[\"x\",\"y\\\"]\"],\"path\":\"b.glb\",\"caption\":null}\n",
        "{\"a.glb\": {\"caption\": \"caf\\u00e9, {round}\", \"license\": \"MIT\"},"
        " \"b.glb\": {\"captions\": [\"x\", \"y\\\"]\"]}}"};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(lists); i++) {
        struct t3d_captions *c = open_list(lists[i]);
        struct t3d_caption_counts n;
        struct t3d_caption_match m;

        expect(c, "a.glb", 1, "caf\xc3\xa9, {round}");
        expect(c, "b.glb", 2, "x");
        assert_int_equal(find(c, &m, "b.glb", NULL, NULL, NULL), T3D_OK);
        assert_string_equal(m.caption[1], "y\"]");
        t3d_captions_count(c, &n);
        assert_int_equal(n.rows, 2);
        assert_int_equal(n.bad, 0);
        t3d_captions_close(c);
    }
}

static void a_single_record_is_not_a_map(void **state)
{
    struct t3d_captions *c =
        open_list("{\"uid\":\"chair-1\",\"path\":\"a.glb\",\"caption\":\"x\"}\n");
    struct t3d_caption_match m;

    (void)state;
    assert_int_equal(find(c, &m, "a.glb", NULL, NULL, NULL), T3D_OK);
    assert_string_equal(m.uid, "chair-1");
    assert_int_equal(find(c, &m, "path", NULL, NULL, NULL), T3D_END);
    t3d_captions_close(c);
}

static void bad_rows_are_counted(void **state)
{
    struct t3d_captions *c = open_list("uid,sha256,caption\n"
                                       "a b,,bad uid\n"
                                       ",12,bad sha\n"
                                       ",,no key\n"
                                       "u,,caf\xe9\n"
                                       "\"v\"w,,junk behind the quote\n"
                                       "good,,fine\n");
    struct t3d_caption_counts n;

    (void)state;
    t3d_captions_count(c, &n);
    assert_int_equal(n.bad, 5);
    assert_int_equal(n.rows, 1);
    assert_string_equal(n.first_bad.reason, "bad-uid");
    assert_non_null(strstr(n.first_bad.msg, "line 2"));
    t3d_captions_close(c);
    c = open_list(
        "[{\"caption\":\"no key\"}, 7, {\"uid\":3,\"caption\":\"x\"}, {\"uid\":\"a\" \"b\"}]");
    t3d_captions_count(c, &n);
    assert_int_equal(n.bad, 4);
    t3d_captions_close(c);
}

static void cut_off_lists_are_refused(void **state)
{
    static const char *const bad[] = {"path,caption\na.glb,\"open",
                                      "{\"a\":\"b\",",
                                      "{\"a\":\"b",
                                      "[{\"path\":\"a\",\"caption\":\"b\"}",
                                      "{\"path\":\"a\",\"caption\":\"b\"}\n{\"path\":\"b\"",
                                      "{\"path\":\"a\",\"caption\":\"b\"}\nrubbish",
                                      "path,license,caption,x\n\"",
                                      "a,b,c\n1,2,3\n",
                                      "path,colour,size\na,b,c\n",
                                      "\x1f\x8b\x08 gzip"};
    struct t3d_captions *c;
    struct t3d_err err;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(bad); i++)
        assert_int_equal(open_text(&c, bad[i], strlen(bad[i]), &err), T3D_USAGE);
    assert_int_equal(t3d_captions_open(&c, "/nonexistent/list.csv", &err), T3D_USAGE);
    /* Empty lists are lists. */
    c = open_list("");
    t3d_captions_close(c);
    c = open_list("{}");
    t3d_captions_close(c);
}

/* Every prefix of good files: never a crash, and a refusal or fewer rows. */
static void prefixes_are_safe(void **state)
{
    static const char *const good[] = {
        "path,caption\r\n\"a\",\"b\"\"c\"\r\nd,\"[\"\"x\"\"]\"\r\n",
        "[{\"path\":\"a\",\"captions\":[\"\\u00e9\"]},{\"uid\":\"b\",\"caption\":\"c\"}]"};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(good); i++)
        for (size_t n = 0; n <= strlen(good[i]); n++) {
            struct t3d_captions *c;
            struct t3d_err err;
            if (open_text(&c, good[i], n, &err) == T3D_OK)
                t3d_captions_close(c);
        }
}

static int set_up(void **state)
{
    int fd;

    (void)state;
    snprintf(file, sizeof file, "/tmp/t3d-captions.XXXXXX");
    fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    t3d_arena_free(&arena);
    return unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_follows_rfc_4180),
        cmocka_unit_test(two_columns_need_no_header),
        cmocka_unit_test(matches_by_path_first_and_longest),
        cmocka_unit_test(several_captions_keep_their_order),
        cmocka_unit_test(json_has_four_shapes),
        cmocka_unit_test(a_single_record_is_not_a_map),
        cmocka_unit_test(bad_rows_are_counted),
        cmocka_unit_test(cut_off_lists_are_refused),
        cmocka_unit_test(prefixes_are_safe),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
