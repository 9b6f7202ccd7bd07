/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rows.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "store/npy.h"
#include "store/tensor.h"

enum { OBJECTS = 60, WIDTH = 3 };

static char root[] = "/tmp/t3d-rows.XXXXXX";

/* The truth: which version of each object the set shall hold, 0 = none. */
static int version[OBJECTS];

static const struct t3d_rows_table tables[] = {
    {.name = "texts", .width = WIDTH}, {.name = "tokens", .width = 1, .half = 1, .runs = 1}};

static int open_set(struct t3d_rows **s, const char *model)
{
    cJSON *about = cJSON_CreateObject();
    struct t3d_err err = {0};
    int r;

    t3d_json_set_str(about, "model", model);
    r = t3d_rows_open(
        s,
        &(struct t3d_rows_options){
            .dir = root, .set = "embed", .table = tables, .n_tables = 2, .about = about},
        &err);
    cJSON_Delete(about);
    if (r < 0)
        fprintf(stderr, "%s\n", err.msg);
    return r;
}

static void make_key(char key[33], int num, int v)
{
    snprintf(key, 33, "%016x%016x", num, v);
}

/* Object num in version v: its number of lines, and its rows, are a function of both. */
static size_t lines_of(int num, int v)
{
    return v ? (size_t)(1 + (num * 7 + v) % 3) : 0;
}

static float value_of(int num, int v, size_t line, int i)
{
    return (float)(num * 100 + v * 10 + (int)line * 3 + i);
}

static int put(struct t3d_rows *s, const int *num, size_t n)
{
    static float row[OBJECTS][3][WIDTH], token[OBJECTS][8];
    static struct t3d_rows_line line[OBJECTS][3], run[OBJECTS][3];
    static char text[OBJECTS][3][64];
    struct t3d_rows_object o[OBJECTS];
    struct t3d_err err = {0};
    int r;

    memset(o, 0, sizeof o);
    for (size_t k = 0; k < n; k++) {
        int v = version[num[k]];
        size_t at = 0;
        o[k].num = num[k];
        make_key(o[k].key, num[k], v);
        for (size_t i = 0; i < lines_of(num[k], v); i++) {
            snprintf(text[k][i], sizeof text[k][i], "\"uid\":\"o%d\",\"i\":%zu", num[k], i);
            line[k][i] = (struct t3d_rows_line){text[k][i], 1};
            run[k][i] = (struct t3d_rows_line){i ? text[k][i] : "", i};
            for (int j = 0; j < WIDTH; j++)
                row[k][i][j] = value_of(num[k], v, i, j);
            for (size_t j = 0; j < i; j++)
                token[k][at++] = value_of(num[k], v, i, 0);
        }
        o[k].block[0] = (struct t3d_rows_block){row[k][0], line[k], lines_of(num[k], v)};
        o[k].block[1] = (struct t3d_rows_block){token[k], run[k], lines_of(num[k], v)};
    }
    r = t3d_rows_put(s, o, n, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.msg);
    return r;
}

static char *slurp(const char *name, size_t *n)
{
    char path[256], *text;
    FILE *f;
    long size;

    snprintf(path, sizeof path, "%s/%s", root, name);
    f = fopen(path, "re");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    text = calloc(1, (size_t)size + 1);
    *n = fread(text, 1, (size_t)size, f);
    fclose(f);
    return text;
}

/* The files against the truth, line by line and number by number. */
static void check_files(void)
{
    char path[2][256], want[256], *text, *runs, *p, *q;
    struct t3d_npy rows, half;
    uint64_t row = 0, token = 0;
    size_t n;

    snprintf(path[0], sizeof path[0], "%s/texts.npy", root);
    snprintf(path[1], sizeof path[1], "%s/tokens.npy", root);
    assert_int_equal(t3d_npy_open(&rows, path[0], NULL), T3D_OK);
    assert_int_equal(t3d_npy_open(&half, path[1], NULL), T3D_OK);
    p = text = slurp("texts.ndjson", &n);
    q = runs = slurp("tokens.ndjson", &n);
    assert_non_null(text);
    assert_non_null(runs);
    for (int num = 0; num < OBJECTS; num++) {
        int v = version[num];
        for (size_t i = 0; i < lines_of(num, v); i++, row++) {
            size_t k = (size_t)snprintf(want, sizeof want,
                                        "{\"row\":%d,\"uid\":\"o%d\",\"i\":%zu,\"key\":\"%016x%016x"
                                        "\",\"num\":%d}\n",
                                        (int)row, num, i, num, v, num);
            assert_memory_equal(p, want, k);
            p += k;
            for (int j = 0; j < WIDTH; j++)
                assert_true(((const float *)rows.data)[row * WIDTH + (uint64_t)j] ==
                            value_of(num, v, i, j));
            k = (size_t)snprintf(want, sizeof want, "{\"row\":%d,\"n\":%zu,", (int)token, i);
            assert_memory_equal(q, want, k);
            q = strchr(q, '\n') + 1;
            for (size_t j = 0; j < i; j++, token++)
                assert_true(t3d_half_to_float(((const uint16_t *)half.data)[token]) ==
                            t3d_half_to_float(t3d_half_from_float(value_of(num, v, i, 0))));
        }
    }
    assert_int_equal(*p, 0);
    assert_int_equal(*q, 0);
    assert_int_equal(rows.shape[0], row);
    assert_int_equal(half.shape[0], token);
    t3d_npy_close(&rows);
    t3d_npy_close(&half);
    free(text);
    free(runs);
    snprintf(path[0], sizeof path[0], "%s/embed.journal", root);
    assert_int_not_equal(access(path[0], F_OK), 0);
}

static void start(void)
{
    t3d_remove_tree(root);
    memset(version, 0, sizeof version);
}

static int pick(struct t3d_rng *g, int n)
{
    return (int)t3d_rng_below(g, (uint32_t)n);
}

/* Any order, any batches, replaced and removed objects, several openings: the files are a function
 * of the set. */
static void any_order(void **state)
{
    struct t3d_rng g;
    struct t3d_rows *s = NULL;
    char key[33];

    (void)state;
    g = t3d_rng_for(1, "rows", 0);
    start();
    for (int step = 0; step < 300; step++) {
        int num[5], n = 1 + pick(&g, 5);
        if (!s)
            assert_int_equal(open_set(&s, "a"), T3D_OK);
        for (int i = 0; i < n; i++) {
            num[i] = pick(&g, OBJECTS);
            for (int j = 0; j < i; j++)
                if (num[j] == num[i])
                    n = i--, j = i;
        }
        for (int i = 0; i < n; i++)
            version[num[i]] = pick(&g, 4);
        assert_int_equal(put(s, num, (size_t)n), T3D_OK);
        for (int i = 0; i < OBJECTS; i++) {
            make_key(key, i, version[i]);
            assert_int_equal(t3d_rows_has(s, i, key), version[i] != 0);
            make_key(key, i, 9);
            assert_int_equal(t3d_rows_has(s, i, key), 0);
        }
        if (pick(&g, 8) == 0) {
            assert_int_equal(t3d_rows_finish(s, NULL), T3D_OK);
            t3d_rows_close(s);
            s = NULL;
            check_files();
        } else if (pick(&g, 5) == 0) {
            t3d_rows_close(s);
            s = NULL;
        }
    }
    if (!s)
        assert_int_equal(open_set(&s, "a"), T3D_OK);
    assert_int_equal(t3d_rows_finish(s, NULL), T3D_OK);
    check_files();
    t3d_rows_limit(s, 30);
    t3d_rows_close(s);
    assert_int_equal(open_set(&s, "a"), T3D_OK);
    t3d_rows_limit(s, 30);
    assert_int_equal(t3d_rows_finish(s, NULL), T3D_OK);
    for (int i = 30; i < OBJECTS; i++)
        version[i] = 0;
    check_files();
    t3d_rows_close(s);
}

/* A child is killed while it puts and finishes; whoever comes next puts what is missing. */
static void killed(void **state)
{
    struct t3d_rng g;
    int amid = 0;

    (void)state;
    g = t3d_rng_for(2, "rows", 0);
    start();
    for (int round = 0; round < 60; round++) {
        struct t3d_rows *s = NULL;
        char key[33];
        pid_t pid;
        int status;

        for (int i = 0; i < OBJECTS; i++)
            if (round % 10 == 0 || pick(&g, 6) == 0)
                version[i] = 1 + pick(&g, 3);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            if (open_set(&s, "a") != T3D_OK)
                _exit(2);
            for (int i = 0; i < OBJECTS; i++) {
                make_key(key, i, version[i]);
                if (!t3d_rows_has(s, i, key) && put(s, &i, 1) != T3D_OK)
                    _exit(3);
            }
            _exit(t3d_rows_finish(s, NULL) == T3D_OK ? 0 : 4);
        }
        usleep((useconds_t)pick(&g, 5000));
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        amid += WIFSIGNALED(status);
        if (round % 3 == 0) {
            int missing = 0;
            assert_int_equal(open_set(&s, "a"), T3D_OK);
            for (int i = 0; i < OBJECTS; i++) {
                make_key(key, i, version[i]);
                if (!t3d_rows_has(s, i, key)) {
                    assert_int_equal(put(s, &i, 1), T3D_OK);
                    missing++;
                }
            }
            assert_int_equal(t3d_rows_finish(s, NULL), T3D_OK);
            t3d_rows_close(s);
            check_files();
        }
    }
    assert_true(amid > 5);
}

static void cut(struct t3d_rng *g, const char *name)
{
    char path[256];
    size_t n = 0;
    char *text = slurp(name, &n);

    free(text);
    snprintf(path, sizeof path, "%s/%s", root, name);
    if (n)
        assert_int_equal(truncate(path, (off_t)(t3d_rng_uniform(g) * (double)(n + 1))), 0);
}

/* Any file of an unfinished set may be cut at any byte (a power cut): what is then still there is
 * whole. */
static void torn(void **state)
{
    static const char *const names[] = {"texts.npy.part", "texts.ndjson.part", "tokens.npy.part",
                                        "tokens.ndjson.part", "embed.journal"};
    struct t3d_rng g;

    (void)state;
    g = t3d_rng_for(3, "rows", 0);
    for (int round = 0; round < 40; round++) {
        struct t3d_rows *s;
        char key[33];
        start();
        assert_int_equal(open_set(&s, "a"), T3D_OK);
        for (int i = 0; i < 20; i++) {
            version[i] = 1;
            assert_int_equal(put(s, &i, 1), T3D_OK);
        }
        t3d_rows_close(s);
        cut(&g, names[round % 5]);
        assert_int_equal(open_set(&s, "a"), T3D_OK);
        for (int i = 0; i < 20; i++) {
            make_key(key, i, version[i]);
            if (!t3d_rows_has(s, i, key))
                version[i] = 0;
        }
        assert_int_equal(put(s, (int[]){20}, 1), T3D_OK); /* begins a journal if it was lost */
        assert_int_equal(t3d_rows_finish(s, NULL), T3D_OK);
        t3d_rows_close(s);
        check_files();
    }
}

/* Another model's rows are never joined to these. */
static void another_model(void **state)
{
    struct t3d_rows *s;
    char key[33];

    (void)state;
    start();
    assert_int_equal(open_set(&s, "a"), T3D_OK);
    assert_null(t3d_rows_replaces(s));
    version[1] = version[2] = 1;
    assert_int_equal(put(s, (int[]){1, 2}, 2), T3D_OK);
    assert_int_equal(t3d_rows_finish(s, NULL), T3D_OK);
    assert_int_equal(put(s, (int[]){5}, 1), T3D_OK); /* left behind */
    t3d_rows_close(s);

    assert_int_equal(open_set(&s, "b"), T3D_OK);
    assert_non_null(t3d_rows_replaces(s));
    make_key(key, 1, 1);
    assert_int_equal(t3d_rows_has(s, 1, key), 0);
    version[1] = version[2] = 0;
    version[3] = 2;
    assert_int_equal(put(s, (int[]){3}, 1), T3D_OK);
    assert_int_equal(t3d_rows_finish(s, NULL), T3D_OK);
    t3d_rows_close(s);
    check_files();
}

static void halves(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) { /* every half comes back */
        float f = t3d_half_to_float((uint16_t)h);
        if (f == f)
            assert_int_equal(t3d_half_from_float(f), h);
        else
            assert_true(isnan(t3d_half_to_float(t3d_half_from_float(f))));
    }
    for (uint32_t h = 0; h < 0x7bff;
         h++) { /* between two halves: the nearer, in the middle the even */
        float a = t3d_half_to_float((uint16_t)h), b = t3d_half_to_float((uint16_t)(h + 1));
        float middle = (float)(((double)a + b) / 2);
        assert_int_equal(t3d_half_from_float(middle), h & 1 ? h + 1 : h);
        assert_int_equal(t3d_half_from_float(nextafterf(middle, a)), h);
        assert_int_equal(t3d_half_from_float(nextafterf(middle, b)), h + 1);
    }
    assert_int_equal(t3d_half_from_float(65519.f), 0x7bff);
    assert_int_equal(t3d_half_from_float(65520.f), 0x7c00);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(halves), cmocka_unit_test(any_order),
                                       cmocka_unit_test(torn), cmocka_unit_test(killed),
                                       cmocka_unit_test(another_model)};
    int failed;

    if (!mkdtemp(root))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    t3d_remove_tree(root);
    return failed;
}
