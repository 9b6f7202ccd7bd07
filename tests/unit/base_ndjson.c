/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct t3d_ndjson in;
static FILE *file;

/* A reader on a file with this content. */
static void open_text(const char *text, size_t n)
{
    file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    rewind(file);
    t3d_ndjson_init(&in, file, "test");
}

static void shut(void)
{
    t3d_ndjson_fini(&in);
    fclose(file);
}

static void expect_a(double want)
{
    cJSON *o;

    assert_int_equal(t3d_ndjson_next(&in, &o, NULL), T3D_OK);
    assert_true(t3d_json_num(o, "a", -1) == want);
    cJSON_Delete(o);
}

static void expect_grade(int grade, const char *reason)
{
    struct t3d_err e = {0};
    cJSON *o;

    assert_int_equal(t3d_ndjson_next(&in, &o, &e), grade);
    assert_null(o);
    assert_string_equal(e.reason, reason);
}

static void records_come_in_order(void **state)
{
    static const char text[] = "{\"a\":1}\n\n  \r\n{\"a\":2}\r\n{\"a\":3}";

    (void)state;
    open_text(text, sizeof text - 1);
    expect_a(1);
    assert_int_equal(in.number, 1);
    expect_a(2);
    assert_int_equal(in.number, 4);
    expect_a(3);
    expect_grade(T3D_END, "");
    expect_grade(T3D_END, "");
    shut();
}

static void bad_lines_are_passed_over(void **state)
{
    static const char text[] =
        "{\"a\":1}\n[1]\nnonsense\n{\"a\":\0}\n{\"a\":1} x\n\"\xff\"\n{\"a\":2}\n";

    (void)state;
    open_text(text, sizeof text - 1);
    expect_a(1);
    for (int i = 0; i < 5; i++)
        expect_grade(T3D_SKIP, "not-json");
    assert_int_equal(in.number, 6);
    expect_a(2);
    expect_grade(T3D_END, "");
    shut();
}

/* Lines of all lengths around the size of the buffer's steps. */
static void lines_may_be_long(void **state)
{
    static const size_t sizes[] = {1, 65535, 65536, 131072, 131073, 300000, 5 << 20};

    (void)state;
    file = tmpfile();
    for (size_t i = 0; i < T3D_COUNT(sizes); i++) {
        fprintf(file, "{\"a\":%zu,\"s\":\"", sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            fputc('x', file);
        fprintf(file, "\"}\n");
    }
    rewind(file);
    t3d_ndjson_init(&in, file, "test");
    for (size_t i = 0; i < T3D_COUNT(sizes); i++) {
        cJSON *o;

        assert_int_equal(t3d_ndjson_next(&in, &o, NULL), T3D_OK);
        assert_true(t3d_json_num(o, "a", -1) == (double)sizes[i]);
        assert_int_equal(strlen(t3d_json_str(o, "s", "")), sizes[i]);
        cJSON_Delete(o);
    }
    expect_grade(T3D_END, "");
    shut();
}

static void too_long_lines_cost_no_memory(void **state)
{
    char *big = malloc(40 << 20);

    (void)state;
    memset(big, 'x', 40 << 20);
    file = tmpfile();
    fwrite(big, 1, 40 << 20, file);
    fprintf(file, "\n{\"a\":2}\n");
    fwrite(big, 1, 20 << 20, file);
    rewind(file);
    t3d_ndjson_init(&in, file, "test");
    expect_grade(T3D_SKIP, "line-too-long");
    assert_true(in.capacity <= 64 << 20);
    expect_a(2);
    assert_int_equal(in.number, 2);
    expect_grade(T3D_SKIP, "line-too-long");
    expect_grade(T3D_END, "");
    shut();
    free(big);
}

static void reading_begins_at_the_position_of_the_stream(void **state)
{
    static const char text[] = "header\n{\"a\":1}\n";
    char line[100];

    (void)state;
    open_text(text, sizeof text - 1);
    t3d_ndjson_fini(&in);
    assert_non_null(fgets(line, sizeof line, file)); /* the stream has read ahead */
    t3d_ndjson_init(&in, file, "test");
    expect_a(1);
    shut();
    file = fmemopen((char[]){"{\"a\":5}"}, 7, "r"); /* no descriptor */
    t3d_ndjson_init(&in, file, "test");
    expect_a(5);
    expect_grade(T3D_END, "");
    shut();
}

static void waiting_tells_what_is_here(void **state)
{
    int data[2], wake[2];

    (void)state;
    assert_int_equal(pipe(data), 0);
    assert_int_equal(pipe(wake), 0);
    file = fdopen(data[0], "r");
    t3d_ndjson_init(&in, file, "test");
    assert_int_equal(t3d_ndjson_wait(&in, -1), 0);
    assert_int_equal(write(data[1], "{\"a\":1}\n{\"a\"", 12), 12);
    assert_int_equal(t3d_ndjson_wait(&in, -1), 1);
    expect_a(1);
    assert_int_equal(t3d_ndjson_wait(&in, -1), 0); /* half a line is not a line */
    assert_int_equal(write(wake[1], "x", 1), 1);
    assert_int_equal(t3d_ndjson_wait(&in, wake[0]), 0);
    assert_int_equal(write(data[1], ":2}\n", 4), 4);
    assert_int_equal(t3d_ndjson_wait(&in, -1), 1);
    expect_a(2);
    close(data[1]);
    assert_int_equal(t3d_ndjson_wait(&in, -1), 1); /* the end is here, too */
    expect_grade(T3D_END, "");
    shut();
    close(wake[0]);
    close(wake[1]);
}

static void written_is_read(void **state)
{
    cJSON *o = cJSON_CreateObject();

    (void)state;
    file = tmpfile();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t3d_json_set_num(o, "a", i + 0.1), 0);
        assert_int_equal(t3d_ndjson_write(file, o, NULL), T3D_OK);
    }
    cJSON_Delete(o);
    rewind(file);
    t3d_ndjson_init(&in, file, "test");
    for (int i = 0; i < 3; i++)
        expect_a(i + 0.1);
    expect_grade(T3D_END, "");
    shut();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_in_order),
        cmocka_unit_test(bad_lines_are_passed_over),
        cmocka_unit_test(lines_may_be_long),
        cmocka_unit_test(too_long_lines_cost_no_memory),
        cmocka_unit_test(reading_begins_at_the_position_of_the_stream),
        cmocka_unit_test(waiting_tells_what_is_here),
        cmocka_unit_test(written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
