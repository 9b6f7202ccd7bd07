/* SPDX-License-Identifier: Apache-2.0 */
#include "store/text_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static char root[] = "/tmp/t3d-texts.XXXXXX";

/* The list of `content`, printed as KEY|INDEX|TEXT or KEY|INDEX!REASON, a line an entry. */
static const char *read_list(const char *name, const char *content, size_t size)
{
    static char out[4096];
    char path[128];
    struct t3d_text_list l;
    struct t3d_err err = {0};
    size_t n = 0;
    int r;

    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(t3d_write_file(path, content, size, &err), T3D_OK);
    r = t3d_text_list_open(&l, path, &err);
    if (r < 0) {
        snprintf(out, sizeof out, "error %s", err.reason);
        return r == T3D_USAGE ? out : "wrong grade";
    }
    out[0] = 0;
    for (size_t i = 0; i < l.n; i++) {
        const struct t3d_text *t = &l.text[i];
        n += (size_t)snprintf(out + n, sizeof out - n, "%s|%u%s%s\n", t->key ? t->key : "",
                              t->index, t->text ? "|" : "!", t->text ? t->text : t->reason);
    }
    t3d_text_list_close(&l);
    return out;
}

#define EXPECT(name, content, want)                                                                \
    assert_string_equal(read_list(name, content, sizeof content - 1), want)

static void lines(void **state)
{
    (void)state;
    EXPECT("a.txt", "a cup\n\n  two, \"three\"\r\nlast",
           "|0|a cup\n|0|\n|0|  two, \"three\"\n|0|last\n");
    EXPECT("a.txt", "", "");
    EXPECT("a.txt", "\n", "|0|\n");
    EXPECT("a.txt", "\xef\xbb\xbf{\"x\"", "|0|{\"x\"\n");
    EXPECT("a.txt", "ok\n\xff\nn\0l\n\xc3\xa9\n", "|0|ok\n|0!not-utf8\n|0!not-text\n|0|\xc3\xa9\n");
}

static void tables(void **state)
{
    (void)state;
    EXPECT("a.csv", "uid,caption\nu1,a cup\nu2,\nu3,\"a, b\"\n", "u1|0|a cup\nu2|0|\nu3|0|a, b\n");
    EXPECT("a.csv", "0a1,a cup\n0b2,a table\n", "0a1|0|a cup\n0b2|0|a table\n"); /* Cap3D's CSV */
    EXPECT("a.csv", "caption\na cup\na table\n", "|0|a cup\n|0|a table\n");
    EXPECT("a.csv", "uid,caption\nu1,a,b\nu2,c\nu3,\xff\n", "|0!bad-csv\nu2|0|c\nu3|0!not-utf8\n");
    EXPECT("a.csv", "uid,caption\nu1,\"[\"\"a\"\", \"\"b\"\"]\"\n", "u1|0|a\nu1|1|b\n");
    EXPECT("a.csv", "uid,caption\nu1,\"a", "error truncated");
    EXPECT("a.csv", "uid,license,size\n1,2,3\n", "1|0!no-caption\n");
}

static void json(void **state)
{
    (void)state;
    EXPECT("a.json", "{\"u1\": \"a cup\", \"u2\": [\"b\", 7, \"\"]}",
           "u1|0|a cup\nu2|0|b\nu2|1!not-text\nu2|2|\n");
    EXPECT("a.json", "[\"a\", \"b\"]", "|0|a\n|0|b\n");
    EXPECT("a.ndjson",
           "{\"uid\":\"u1\",\"caption\":\"a\"}\n{\"uid\":\"u2\",\"captions\":[\"b\",\"c\"]}\n",
           "u1|0|a\nu2|0|b\nu2|1|c\n");
    EXPECT("a.json", "[{\"path\":\"x/y.glb\",\"text\":\"a\"}, 3]",
           "x/y.glb|0|a\n|0!not-a-record\n");
    EXPECT("a.json", "{\"u1\": \"a cup\", \"u2", "error not-json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines), cmocka_unit_test(tables),
                                       cmocka_unit_test(json)};
    int failed;

    if (!mkdtemp(root))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    t3d_remove_tree(root);
    return failed;
}
