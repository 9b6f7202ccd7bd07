/* SPDX-License-Identifier: Apache-2.0 */
/* Members of large objects, and the table of texts that they are put into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "store/json_members.h"
#include "store/lookup.h"

static char path[64];
static struct t3d_err err;

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/t3d-members.%ld", (long)getpid());
    return 0;
}

static int tear_down(void **state)
{
    char more[80];

    (void)state;
    unlink(path);
    for (int i = 0; i < 2; i++) {
        snprintf(more, sizeof more, "%s%s", path, i ? "-wal" : "-shm");
        unlink(more);
    }
    return 0;
}

/* "key=value;" of each member, or "!reason". */
static void all(const char *text, size_t n, char *out, size_t room)
{
    struct t3d_json_members *j;
    struct t3d_json_member m;
    size_t k = 0;
    int r;

    assert_int_equal(t3d_write_file(path, text, n, &err), T3D_OK);
    assert_int_equal(t3d_json_members_open(&j, path, &err), T3D_OK);
    out[0] = 0;
    while ((r = t3d_json_members_next(j, &m, &err)) == T3D_OK)
        k += (size_t)snprintf(out + k, room - k, "%s=%s;", m.key, m.value);
    if (r != T3D_END)
        snprintf(out + k, room - k, "!%s", err.reason);
    t3d_json_members_close(j);
}

static void members(void **state)
{
    static const char *const cases[][2] = {
        {"{}", ""},
        {" { } \n", ""},
        {"{\"a\":1,\"b\" : {\"c\":[1,{\"d\":\"}\"}]} }", "a=1;b={\"c\":[1,{\"d\":\"}\"}]};"},
        {"{\"a\\\"\\u00e9\":\"x\\\"},\"}", "a\"\xc3\xa9=\"x\\\"},\";"},
        {"{\"a\":[],\"a\":null}\n", "a=[];a=null;"},
        {"[1]", "!bad-json"},
        {"", "!bad-json"},
        {"{\"a\":1", "!bad-json"},
        {"{\"a\":1,", "a=1;!bad-json"},
        {"{\"a\":1 \"b\":2}", "!bad-json"},
        {"{\"a\":1}x", "a=1;!bad-json"},
        {"{\"a\":]}", "!bad-json"},
        {"{\"a\":}", "!bad-json"},
        {"{a:1}", "!bad-json"},
        {"{1:1}", "!bad-json"},
        {"{\"a\" 1}", "!bad-json"},
        {"{\"a\":\"x", "!bad-json"},
    };
    char out[200];

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(cases); i++) {
        all(cases[i][0], strlen(cases[i][0]), out, sizeof out);
        if (strcmp(cases[i][0], "{\"a\":1 \"b\":2}") == 0)
            continue; /* the value is '1 "b"', which is for its reader to refuse */
        assert_string_equal(out, cases[i][1]);
    }
}

/* Longer than any buffer, with a gzip of it cut off. */
static void long_and_compressed(void **state)
{
    size_t n = 3000000, k;
    char *text = malloc(n + 2000), command[400];
    struct t3d_json_members *j;
    struct t3d_json_member m;
    int r, count = 0;

    (void)state;
    k = (size_t)snprintf(text, 2, "{");
    while (k < n)
        k += (size_t)snprintf(text + k, n + 2000 - k, "%s\"key%d\":\"%0*d\"", count ? "," : "",
                              count, count % 900 + 1, count),
            count++;
    k += (size_t)snprintf(text + k, 2, "}");
    assert_int_equal(t3d_write_file(path, text, k, &err), T3D_OK);
    snprintf(command, sizeof command, "gzip -c %s >%s.gz && mv %s.gz %s", path, path, path, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(t3d_json_members_open(&j, path, &err), T3D_OK);
    for (int i = 0; (r = t3d_json_members_next(j, &m, &err)) == T3D_OK; i++) {
        char want[1000];

        snprintf(want, sizeof want, "key%d", i);
        assert_string_equal(m.key, want);
        snprintf(want, sizeof want, "\"%0*d\"", i % 900 + 1, i);
        assert_string_equal(m.value, want);
        count--;
    }
    assert_int_equal(r, T3D_END);
    assert_int_equal(count, 0);
    t3d_json_members_close(j);
    assert_int_equal(truncate(path, 50000), 0);
    assert_int_equal(t3d_json_members_open(&j, path, &err), T3D_OK);
    while ((r = t3d_json_members_next(j, &m, &err)) == T3D_OK)
        ;
    assert_int_equal(r, T3D_FAIL);
    t3d_json_members_close(j);
    free(text);
}

static void a_table_of_texts(void **state)
{
    struct t3d_lookup *l;
    const char *text;

    (void)state;
    unlink(path);
    assert_int_equal(t3d_lookup_open(&l, path, &err), T3D_OK);
    assert_int_equal(t3d_lookup_has(l, "a", "1"), 0);
    assert_int_equal(t3d_lookup_begin(l, "a", 0, &err), T3D_OK);
    assert_int_equal(t3d_lookup_add(l, "k", "one", &err), T3D_OK);
    assert_int_equal(t3d_lookup_add(l, "K", "other", &err), T3D_OK);
    assert_int_equal(t3d_lookup_add(l, "k", "two", &err), T3D_OK);
    assert_int_equal(t3d_lookup_commit(l, "1", &err), T3D_OK);
    assert_int_equal(t3d_lookup_begin(l, "b", 0, &err), T3D_OK);
    assert_int_equal(t3d_lookup_add(l, "k", "lost", &err), T3D_OK);
    t3d_lookup_close(l); /* not committed */
    assert_int_equal(t3d_lookup_open(&l, path, &err), T3D_OK);
    assert_int_equal(t3d_lookup_has(l, "a", "1"), 1);
    assert_int_equal(t3d_lookup_has(l, "a", "2"), 0);
    assert_int_equal(t3d_lookup_has(l, "b", ""), 0);
    assert_int_equal(t3d_lookup_find(l, "a", "k", &text, &err), T3D_OK);
    assert_string_equal(text, "one\ntwo");
    assert_int_equal(t3d_lookup_find(l, "a", "K", &text, &err), T3D_OK);
    assert_string_equal(text, "other");
    assert_int_equal(t3d_lookup_find(l, "b", "k", &text, &err), T3D_END);
    assert_int_equal(t3d_lookup_begin(l, "a", 1, &err), T3D_OK);
    assert_int_equal(t3d_lookup_commit(l, "2", &err), T3D_OK);
    assert_int_equal(t3d_lookup_find(l, "a", "k", &text, &err), T3D_END);
    t3d_lookup_close(l);
    assert_int_equal(t3d_write_file(path, "no database", 11, &err), T3D_OK);
    assert_int_equal(t3d_lookup_open(&l, path, &err), T3D_OK); /* derived data is made anew */
    assert_int_equal(t3d_lookup_count(l, "a"), 0);
    t3d_lookup_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members),
        cmocka_unit_test(long_and_compressed),
        cmocka_unit_test(a_table_of_texts),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
