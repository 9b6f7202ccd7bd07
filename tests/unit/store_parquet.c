/* SPDX-License-Identifier: Apache-2.0 */
/* Parquet files of pyarrow against the rows that pyarrow read back: tests/ref/make_parquet.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "store/parquet.h"
#include "store/snappy_impl.h"

static struct t3d_err err;

/* The cell is what the record says. Byte arrays of fixed size stand as text there. */
static void compare(const struct t3d_parquet_value *v, const cJSON *o, const char *name)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, name);

    assert_non_null(m);
    switch (v->type) {
    case T3D_PARQUET_NULL:
        assert_true(cJSON_IsNull(m));
        break;
    case T3D_PARQUET_TEXT:
        assert_true(cJSON_IsString(m));
        assert_int_equal(v->n, strlen(m->valuestring));
        assert_memory_equal(v->text, m->valuestring, v->n);
        break;
    case T3D_PARQUET_WHOLE:
        if (cJSON_IsBool(m))
            assert_int_equal(v->whole, cJSON_IsTrue(m));
        else
            assert_true(cJSON_IsNumber(m) && (double)v->whole == m->valuedouble);
        break;
    default:
        assert_true(cJSON_IsNumber(m) && v->real == m->valuedouble);
    }
}

static void check(const char *name, const char *const *columns, int want)
{
    struct t3d_parquet_value v[T3D_PARQUET_COLUMNS];
    struct t3d_parquet *p;
    struct t3d_ndjson in;
    char path[200];
    cJSON *row;
    FILE *f;
    int n = 0, r;

    snprintf(path, sizeof path, "tests/ref/parquet/%s.ndjson", name);
    f = fopen(path, "re");
    assert_non_null(f);
    t3d_ndjson_init(&in, f, path);
    snprintf(path, sizeof path, "tests/ref/parquet/%s.parquet", name);
    assert_int_equal(t3d_parquet_open(&p, path, columns, &err), T3D_OK);
    assert_int_equal(t3d_parquet_rows(p), want);
    while ((r = t3d_parquet_next(p, v, &err)) == T3D_OK) {
        assert_int_equal(t3d_ndjson_next(&in, &row, &err), T3D_OK);
        for (size_t i = 0; columns[i]; i++)
            compare(&v[i], row, columns[i]);
        cJSON_Delete(row);
        n++;
    }
    assert_int_equal(r, T3D_END);
    assert_int_equal(n, want);
    t3d_parquet_close(p);
    t3d_ndjson_fini(&in);
    fclose(f);
}

static const char *const list[] = {"sha256",   "fileIdentifier", "license", "source",
                                   "fileType", "metadata",       NULL};

static void lists_of_all_codecs_and_page_versions(void **state)
{
    (void)state;
    check("snappy", list, 120);
    check("zstd_v2", list, 90);
    check("snappy_v2", list, 60);
    check("gzip", list, 60);
    check("stored", list, 40);
    check("none", list, 0);
}

static void columns_of_all_types(void **state)
{
    static const char *const columns[] = {"last", "i32",  "i64",     "f32", "f64",
                                          "yes",  "four", "nothing", NULL};

    (void)state;
    check("types", columns, 100);
    check("types_v2", columns, 100);
}

static void columns_that_are_not_there(void **state)
{
    static const char *const may[] = {"?uri", "source", NULL}, *const must[] = {"uri", NULL},
                             *const nested[] = {"list", NULL}, *const pair[] = {"pair", NULL};
    struct t3d_parquet_value v[2];
    struct t3d_parquet *p;

    (void)state;
    assert_int_equal(t3d_parquet_open(&p, "tests/ref/parquet/gzip.parquet", may, &err), T3D_OK);
    assert_int_equal(t3d_parquet_next(p, v, &err), T3D_OK);
    assert_int_equal(v[0].type, T3D_PARQUET_NULL);
    assert_int_equal(v[1].type, T3D_PARQUET_TEXT);
    t3d_parquet_close(p);
    assert_int_equal(t3d_parquet_open(&p, "tests/ref/parquet/gzip.parquet", must, &err), T3D_FAIL);
    assert_string_equal(err.reason, "no-column");
    assert_int_equal(t3d_parquet_open(&p, "tests/ref/parquet/types.parquet", nested, &err),
                     T3D_FAIL);
    assert_string_equal(err.reason, "unsupported-parquet");
    assert_int_equal(t3d_parquet_open(&p, "tests/ref/parquet/types.parquet", pair, &err), T3D_FAIL);
}

static void refuses(const char *name, const char *reason, const char *text)
{
    struct t3d_parquet_value v[8];
    struct t3d_parquet *p;
    char path[200];

    snprintf(path, sizeof path, "tests/ref/parquet/refused_%s.parquet", name);
    assert_int_equal(t3d_parquet_open(&p, path, list, &err), T3D_OK);
    assert_int_equal(t3d_parquet_next(p, v, &err), T3D_FAIL);
    assert_string_equal(err.reason, reason);
    assert_non_null(strstr(err.msg, text));
    assert_int_equal(t3d_parquet_next(p, v, &err), T3D_END);
    t3d_parquet_close(p);
}

static void what_is_not_read_is_named(void **state)
{
    (void)state;
    refuses("brotli", "unsupported-parquet", "Brotli");
    refuses("delta", "unsupported-parquet", "DELTA_BYTE_ARRAY");
}

/* Reads all it can of n bytes; the grade at the end. */
static int read_bytes(int fd, const void *data, size_t n)
{
    struct t3d_parquet_value v[T3D_PARQUET_COLUMNS];
    struct t3d_parquet *p;
    char path[64];
    int r;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, n, 0) != (ssize_t)n)
        return T3D_IO;
    r = t3d_parquet_open(&p, path, list, &err);
    if (r < 0)
        return r;
    for (int i = 0; i < 1000 && (r = t3d_parquet_next(p, v, &err)) == T3D_OK; i++)
        ;
    t3d_parquet_close(p);
    return r;
}

static void cut_off_and_damaged_files(void **state)
{
    struct t3d_blob b;
    uint8_t *copy;
    int fd = memfd_create("parquet", MFD_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(t3d_blob_open(&b, "tests/ref/parquet/stored.parquet", 0, &err), T3D_OK);
    copy = malloc(b.size);
    assert_int_equal(read_bytes(fd, b.data, b.size), T3D_END);
    for (size_t n = 0; n < b.size; n += 97) {
        assert_int_equal(read_bytes(fd, b.data, n), T3D_FAIL);
        assert_string_equal(err.reason, "bad-parquet");
    }
    for (size_t i = 4; i < b.size; i += 3) { /* whatever comes of it, it ends */
        memcpy(copy, b.data, b.size);
        copy[i] ^= (uint8_t)(1 + i % 255);
        read_bytes(fd, copy, b.size);
    }
    memcpy(copy, b.data, b.size);
    copy[b.size / 3] ^= 1; /* inside of a page: pages have checksums here */
    assert_int_equal(read_bytes(fd, copy, b.size), T3D_FAIL);
    assert_non_null(strstr(err.msg, "checksum"));
    free(copy);
    t3d_blob_close(&b);
    close(fd);
}

/* Streams written by hand from format_description.txt. */
static void snappy(void **state)
{
    static const uint8_t abc[] = {3, 2 << 2, 'a', 'b', 'c'};
    static const uint8_t twice[] = {12, 2 << 2, 'a', 'b', 'c', 5 << 2 | 1, 3};
    static const uint8_t far[] = {6, 2 << 2, 'a', 'b', 'c', 2 << 2 | 2, 3, 0};
    static const uint8_t farther[] = {6, 2 << 2, 'a', 'b', 'c', 2 << 2 | 3, 3, 0, 0, 0};
    static const uint8_t before[] = {6, 2 << 2, 'a', 'b', 'c', 2 << 2 | 2, 4, 0};
    uint8_t out[300], is_long[2 + 2 + 200];

    (void)state;
    assert_int_equal(t3di_snappy(abc, sizeof abc, out, 3), 0);
    assert_memory_equal(out, "abc", 3);
    assert_int_equal(t3di_snappy(abc, sizeof abc, out, 4), -1);
    assert_int_equal(t3di_snappy(abc, sizeof abc - 1, out, 3), -1);
    assert_int_equal(t3di_snappy(twice, sizeof twice, out, 12), 0);
    assert_memory_equal(out, "abcabcabcabc", 12);
    assert_int_equal(t3di_snappy(far, sizeof far, out, 6), 0);
    assert_memory_equal(out, "abcabc", 6);
    assert_int_equal(t3di_snappy(farther, sizeof farther, out, 6), 0);
    assert_int_equal(t3di_snappy(before, sizeof before, out, 6), -1);
    memset(is_long, 'x', sizeof is_long);
    memcpy(is_long, "\xc8\x01\xf0\xc7", 4); /* 200 bytes: a literal with its length behind it */
    assert_int_equal(t3di_snappy(is_long, sizeof is_long, out, 200), 0);
    assert_int_equal(out[199], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snappy),
        cmocka_unit_test(lists_of_all_codecs_and_page_versions),
        cmocka_unit_test(columns_of_all_types),
        cmocka_unit_test(columns_that_are_not_there),
        cmocka_unit_test(what_is_not_read_is_named),
        cmocka_unit_test(cut_off_and_damaged_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
