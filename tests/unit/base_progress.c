/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/log.h"
#include "base/log_impl.h"

static char text[65536];
static int saved_stderr;
static FILE *capture;

static void begin(void)
{
    fflush(stderr);
    saved_stderr = dup(2);
    capture = tmpfile();
    assert_non_null(capture);
    dup2(fileno(capture), 2);
}

/* What has gone to stderr since begin, in text. */
static void end(void)
{
    size_t n;

    dup2(saved_stderr, 2);
    close(saved_stderr);
    rewind(capture);
    n = fread(text, 1, sizeof text - 1, capture);
    text[n] = 0;
    fclose(capture);
}

static void messages_have_one_line_and_a_level(void **state)
{
    (void)state;
    begin();
    t3d_log_init("t3d test", T3D_LOG_INFO);
    t3d_error("a%d", 1);
    t3d_warn("b\nc\033[0m\302\233d\303\251");
    t3d_info("d");
    t3d_debug("e");
    t3d_log_init("t3d test", T3D_LOG_ERROR);
    t3d_error("f");
    t3d_warn("g");
    t3d_log_init("t3d test", T3D_LOG_QUIET);
    t3d_error("h");
    t3d_log_init("t3d test", T3D_LOG_DEBUG);
    t3d_debug("i");
    end();
    assert_string_equal(text, "t3d test: a1\nt3d test: warning: b?c?[0m??d\303\251\nt3d test: d\n"
                              "t3d test: f\nt3d test: debug: i\n");
}

static void messages_stand_above_the_bar(void **state)
{
    (void)state;
    begin();
    t3d_log_init("t", T3D_LOG_INFO);
    t3di_log_bar("bar");
    t3d_info("x");
    t3di_log_bar("");
    t3di_log_bar("");
    t3d_info("y");
    end();
    assert_string_equal(text, "\r\033[Kbar\r\033[Kt: x\nbar\r\033[Kt: y\n");
}

static void *add_many(void *p)
{
    for (int i = 0; i < 1000; i++)
        t3d_progress_add(p, i % 10 == 0 ? 1 : i % 100 == 1 ? 2 : 0);
    return NULL;
}

static void json_counts_what_threads_add(void **state)
{
    struct t3d_progress *p;
    pthread_t thread[4];
    cJSON *o;

    (void)state;
    begin();
    t3d_log_init("t", T3D_LOG_ERROR); /* --quiet does not hide what was asked for */
    p = t3d_progress_new("json", "render", "objects", 0);
    t3d_progress_total(p, 5000);
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, add_many, p);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    t3d_progress_free(p);
    end();
    o = cJSON_Parse(text);
    assert_string_equal(t3d_json_str(o, "message_type", ""), "progress");
    assert_string_equal(t3d_json_str(o, "stage", ""), "render");
    assert_true(t3d_json_num(o, "done", 0) == 4000);
    assert_true(t3d_json_num(o, "total", 0) == 5000);
    assert_true(t3d_json_num(o, "rejected", 0) == 400);
    assert_true(t3d_json_num(o, "failed", 0) == 40);
    assert_true(t3d_json_num(o, "rate", 0) > 0);
    assert_true(t3d_json_num(o, "eta_s", -1) >= 0);
    cJSON_Delete(o);
}

static void nothing_is_said_when_not_wanted(void **state)
{
    static const char *const mode[] = {"none", "auto"};

    (void)state;
    begin();
    t3d_log_init("t", T3D_LOG_INFO);
    for (int i = 0; i < 2; i++) { /* no terminal, and over before the first line is due */
        struct t3d_progress *p = t3d_progress_new(mode[i], "s", "objects", 10);

        t3d_progress_add(p, 0);
        t3d_progress_free(p);
    }
    t3d_progress_add(NULL, 0);
    t3d_progress_total(NULL, 1);
    t3d_progress_free(NULL);
    end();
    assert_string_equal(text, "");
}

static void the_bar_goes_away(void **state)
{
    struct t3d_progress *p;

    (void)state;
    begin();
    p = t3d_progress_new("bar", "filter", "objects", 4);
    t3d_progress_add(p, 0);
    usleep(120000);
    t3d_progress_add(p, 1);
    t3d_progress_free(p);
    end();
    assert_non_null(strstr(text, "\r\033[Kt3d filter: 2/4 objects (50 %)"));
    assert_non_null(strstr(text, " left, 1 rejected"));
    assert_string_equal(text + strlen(text) - 4, "\r\033[K");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_have_one_line_and_a_level),
        cmocka_unit_test(messages_stand_above_the_bar),
        cmocka_unit_test(json_counts_what_threads_add),
        cmocka_unit_test(nothing_is_said_when_not_wanted),
        cmocka_unit_test(the_bar_goes_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
