/* SPDX-License-Identifier: Apache-2.0 */
/* T3Bench's sphere, smoothing and frame against what is known of them; judges that behave and
 * judges that do not; what is remembered. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/defs.h"
#include "base/json.h"
#include "base/rng.h"
#include "metric/judge.h"
#include "metric/t3bench.h"

static struct t3d_err err;

/* --- the sphere ------------------------------------------------------------------------------ */

static double angle(const double a[3], const double b[3])
{
    return acos(T3D_CLAMP(a[0] * b[0] + a[1] * b[1] + a[2] * b[2], -1, 1)) * 180 / M_PI;
}

/* 10 * 4^k + 2 vertices, of which 12 have five neighbours; the lengths of edges are those of
 * trimesh's icosphere. */
static void the_sphere_is_an_icosphere(void **state)
{
    static const int n[3] = {12, 42, 162};
    static const double least[3] = {63.43, 31.71, 15.85}, most[3] = {63.44, 36.01, 18.70};
    static struct t3d_t3bench_sphere s;

    (void)state;
    for (int k = 0; k < 3; k++) {
        int five = 0, edges = 0;

        assert_int_equal(t3d_t3bench_sphere(&s, n[k]), 0);
        assert_int_equal(s.n, n[k]);
        for (int i = 0; i < s.n; i++) {
            five += s.degree[i] == 5;
            edges += s.degree[i];
            assert_true(fabs(angle(s.at[i], s.at[i])) < 1e-5);
            for (int j = 0; j < s.degree[i]; j++) {
                double d = angle(s.at[i], s.at[s.neighbour[i][j]]);
                assert_true(d > least[k] && d < most[k]);
            }
        }
        assert_int_equal(five, 12);
        assert_int_equal(edges, 2 * 3 * (n[k] - 2)); /* Euler */
    }
    assert_int_equal(t3d_t3bench_sphere(&s, 161), -1);
}

static int joined(const struct t3d_t3bench_sphere *s, int i, int k)
{
    for (int j = 0; j < s->degree[i]; j++)
        if (s->neighbour[i][j] == k)
            return 1;
    return i == k;
}

/* As the product with a matrix of means, three times. */
static void smoothing_is_three_means(void **state)
{
    static struct t3d_t3bench_sphere s;
    double v[T3D_T3BENCH_VIEWPOINTS], w[T3D_T3BENCH_VIEWPOINTS], next[T3D_T3BENCH_VIEWPOINTS],
        best = -INFINITY;
    struct t3d_rng r = t3d_rng_for(3, "scores", 0);

    (void)state;
    assert_int_equal(t3d_t3bench_sphere(&s, 162), 0);
    for (int i = 0; i < s.n; i++)
        v[i] = w[i] = t3d_rng_normal(&r);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < s.n; i++) {
            double sum = 0, n = 0;

            for (int k = 0; k < s.n; k++)
                if (joined(&s, i, k)) {
                    sum += w[k];
                    n++;
                }
            next[i] = sum / n;
        }
        memcpy(w, next, sizeof w);
    }
    for (int i = 0; i < s.n; i++)
        best = fmax(best, w[i]);
    assert_true(fabs(t3d_t3bench_smooth(&s, v) - best) < 1e-12);
    for (int i = 0; i < s.n; i++)
        v[i] = .25;
    assert_true(fabs(t3d_t3bench_smooth(&s, v) - .25) < 1e-15);
}

static void cameras_look_at_the_middle(void **state)
{
    static struct t3d_t3bench_sphere s;
    static const double top[3] = {0, 1, 0}, bottom[3] = {0, -1, 0};
    struct t3d_camera c;

    (void)state;
    assert_int_equal(t3d_t3bench_sphere(&s, 162), 0);
    for (int i = 0; i < s.n; i++) {
        t3d_t3bench_camera(&c, s.at[i], 2.2, 60);
        for (int k = 0; k < 3; k++) {
            assert_true(fabs(c.c2w[k][3] - 2.2 * s.at[i][k]) < 1e-12);
            assert_true(fabs(c.c2w[k][2] - s.at[i][k]) < 1e-12); /* looks along -z */
        }
        assert_true(c.c2w[1][1] > -1e-12); /* up is up */
    }
    t3d_t3bench_camera(&c, top, 2.2, 60);
    assert_true(fabs(c.c2w[2][1] + 1) < 1e-12);
    t3d_t3bench_camera(&c, bottom, 2.2, 60);
    assert_true(fabs(c.c2w[2][1] + 1) < 1e-12);
}

static void the_frame_is_of_what_is_opaque(void **state)
{
    static const float xyz[12] = {1, 1, 1, 3, 1, 1, 2, 2, 1, 90, 90, 90}, scale[12] = {0},
                       turn[16] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1},
                       opacity[4] = {1, 0, 2, -1}, rgb[12] = {0};
    struct t3d_gaussians g = {4, xyz, scale, turn, opacity, rgb}, out;
    struct t3d_arena a = {0};

    (void)state;
    assert_int_equal(t3d_t3bench_fit(&out, &g, &a, &err), T3D_OK);
    /* the mean of the first three is (2, 4/3, 1), the largest distance along an axis 1 */
    assert_true(fabs((double)out.xyz[0] + 1) < 1e-6 && fabs((double)out.xyz[1] + 1 / 3.) < 1e-6);
    assert_true(fabs((double)out.xyz[9] - 88) < 1e-4);
    g.n = 1;
    assert_int_equal(t3d_t3bench_fit(&out, &g, &a, &err), T3D_SKIP);
    assert_string_equal(err.reason, "no-extent");
    g.n = 0;
    assert_int_equal(t3d_t3bench_fit(&out, &g, &a, &err), T3D_SKIP);
    t3d_arena_free(&a);
}

static void scores_are_numbers(void **state)
{
    static const struct {
        const char *text;
        int score;
        const char *reason;
    } rows[] = {{"3", 3, NULL},
                {" 4\n", 4, NULL},
                {"2.5", 2, NULL},
                {"3.5", 4, NULL},
                {"5.", 5, NULL},
                {"0", 0, "judge-range"},
                {"6", 0, "judge-range"},
                {"nan", 0, "judge-prose"},
                {"", 0, "judge-prose"},
                {"3/5", 0, "judge-prose"},
                {"It is 3", 0, "judge-prose"}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(rows); i++) {
        int score = 0, r = t3d_t3bench_score(&score, rows[i].text, &err);

        assert_int_equal(r, rows[i].reason ? T3D_SKIP : T3D_OK);
        assert_int_equal(score, rows[i].score);
        if (rows[i].reason)
            assert_string_equal(err.reason, rows[i].reason);
    }
}

/* --- judges ---------------------------------------------------------------------------------- */

/* id of a line, by the shell alone */
#define ID    "i=${l#*\\\"id\\\":}; i=${i%%[,\\}]*}; "
#define HELLO "read -r l; " ID "echo \"{\\\"id\\\":$i,\\\"text\\\":\\\"test\\\"}\"; "
#define EACH  HELLO "while read -r l; do " ID

static struct t3d_answer ask_judge(const char *command, struct t3d_memo *memo, int attempts,
                                   t3d_answer_check *check)
{
    struct t3d_judge_options o = {command, .3, attempts, .01};
    cJSON *q = t3d_t3bench_ask_score("a red cube", "red");
    struct t3d_answer a = {0};
    struct t3d_judge *j;

    if (t3d_judge_open(&j, &o, memo, &a.err) < 0) {
        cJSON_Delete(q);
        return a;
    }
    assert_int_equal(t3d_judge_ask(j, &q, 1, check, NULL, &a, &err), T3D_OK);
    assert_string_equal(t3d_judge_name(j), "test");
    t3d_judge_close(j);
    cJSON_Delete(q);
    return a;
}

static int is_score(const char *text, struct t3d_err *e)
{
    int score;

    return t3d_t3bench_score(&score, text, e);
}

static void judges_that_misbehave_are_found_out(void **state)
{
    static const struct {
        const char *command, *reason;
    } rows[] = {
        {"exit 3", "judge-died"},
        {"echo hello; cat >/dev/null", "judge-protocol"},
        {"cat >/dev/null", "judge-timeout"},
        {HELLO "read -r l; kill -9 $$", "judge-died"},
        {HELLO "sleep 60", "judge-timeout"},
        {HELLO "read -r l; echo 'I would say 3'; sleep 60", "judge-protocol"},
        {HELLO "read -r l; echo '{\"id\":99,\"text\":\"3\"}'; sleep 60", "judge-protocol"},
        {HELLO "exec yes | tr -d '\\n'", "judge-overflow"},
        {EACH "echo \"{\\\"id\\\":$i,\\\"text\\\":\\\"I would say 3\\\"}\"; done", "judge-prose"},
        {EACH "echo \"{\\\"id\\\":$i,\\\"error\\\":\\\"no credit\\\",\\\"retry\\\":false}\"; done",
         "judge-error"},
        {"read -r l; echo '{\"id\":1,\"text\":\"a/b\"}'; cat", "judge-protocol"},
    };
    struct t3d_memo *memo;

    (void)state;
    assert_int_equal(t3d_memo_open(&memo, NULL, &err), T3D_OK);
    for (size_t i = 0; i < T3D_COUNT(rows); i++) {
        struct t3d_answer a = ask_judge(rows[i].command, memo, 1, is_score);

        if (a.text || strcmp(a.err.reason, rows[i].reason) != 0)
            fail_msg("%s: %s, %s: %s", rows[i].command, a.text ? a.text : "no answer", a.err.reason,
                     a.err.msg);
        free(a.text);
    }
    t3d_memo_close(memo);
}

/* The first one dies, the second answers prose, the third a number; and it is asked once. */
static void questions_are_asked_again_and_answers_kept(void **state)
{
    static const char command[] =
        HELLO "read -r l; " ID "n=$(cat count 2>/dev/null || echo 0); echo $((n + 1)) >count; "
              "case $n in 0) exit 1;; 1) t=well;; *) t=4;; esac; "
              "echo \"{\\\"id\\\":$i,\\\"text\\\":\\\"$t\\\"}\"; cat >/dev/null";
    char dir[] = "/tmp/t3bench.XXXXXX", here[4096];
    struct t3d_memo *memo;
    struct t3d_answer a;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(t3d_memo_open(&memo, "memo", &err), T3D_OK);
    a = ask_judge(command, memo, 5, is_score);
    assert_non_null(a.text);
    assert_string_equal(a.text, "4");
    assert_int_equal(a.attempts, 4); /* 0: died, 1: prose, then its silence, then 4 */
    free(a.text);
    t3d_memo_close(memo);
    assert_int_equal(t3d_memo_open(&memo, "memo", &err), T3D_OK);
    a = ask_judge(HELLO "exit", memo, 1, is_score);
    assert_non_null(a.text);
    assert_string_equal(a.text, "4");
    free(a.text);
    t3d_memo_close(memo);
    remove("memo");
    remove("count");
    assert_int_equal(chdir(here), 0);
    rmdir(dir);
}

/* Many large questions to a judge that reads all before it answers, backwards. */
static void answers_may_come_in_any_order(void **state)
{
    enum { MANY = 40 };
    struct t3d_judge_options o = {HELLO "a=; n=0; while [ $n -lt 40 ]; do read -r l; " ID
                                        "a=\"$i $a\"; n=$((n + 1)); done; "
                                        "for i in $a; do echo \"{\\\"id\\\":$i,"
                                        "\\\"text\\\":\\\"$i\\\"}\"; done; cat >/dev/null",
                                  5, 1, .01};
    struct t3d_answer a[MANY];
    struct t3d_judge *j;
    struct t3d_memo *memo;
    cJSON *q[MANY];
    char pad[4096];

    (void)state;
    memset(pad, 'x', sizeof pad - 1);
    pad[sizeof pad - 1] = 0;
    for (int i = 0; i < MANY; i++) {
        q[i] = t3d_t3bench_ask_score("a red cube", pad);
        t3d_json_set_num(q[i], "number", i);
    }
    assert_int_equal(t3d_memo_open(&memo, NULL, &err), T3D_OK);
    if (t3d_judge_open(&j, &o, memo, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(t3d_judge_ask(j, q, MANY, NULL, "number", a, &err), T3D_OK);
    for (int i = 0; i < MANY; i++) {
        assert_non_null(a[i].text);
        assert_int_equal(strtol(a[i].text, NULL, 10), i + 2); /* 1 was hello */
        free(a[i].text);
        cJSON_Delete(q[i]);
    }
    t3d_judge_close(j);
    t3d_memo_close(memo);
}

static void what_a_kill_left_is_cut_off(void **state)
{
    char path[] = "/tmp/t3bench-memo.XXXXXX";
    struct t3d_memo *m, *other;
    FILE *f;

    (void)state;
    close(mkstemp(path));
    assert_int_equal(t3d_memo_open(&m, path, &err), T3D_OK);
    assert_int_equal(t3d_memo_put(m, "one", cJSON_CreateNumber(1), &err), T3D_OK);
    assert_int_equal(t3d_memo_put(m, "two", cJSON_CreateString("x\ny"), &err), T3D_OK);
    assert_int_equal(t3d_memo_put(m, "one", cJSON_CreateNumber(3), &err), T3D_OK);
    assert_int_equal(t3d_memo_open(&other, path, &err), T3D_RETRY);
    t3d_memo_close(m);
    f = fopen(path, "a");
    fputs("{\"key\":\"three\",\"val", f);
    fclose(f);
    assert_int_equal(t3d_memo_open(&m, path, &err), T3D_OK);
    assert_int_equal(t3d_memo_find(m, "one")->valueint, 3);
    assert_string_equal(t3d_memo_find(m, "two")->valuestring, "x\ny");
    assert_null(t3d_memo_find(m, "three"));
    assert_int_equal(t3d_memo_put(m, "three", cJSON_CreateNumber(4), &err), T3D_OK);
    t3d_memo_close(m);
    assert_int_equal(t3d_memo_open(&m, path, &err), T3D_OK);
    assert_int_equal(t3d_memo_find(m, "three")->valueint, 4);
    t3d_memo_close(m);
    f = fopen(path, "a");
    fputs("[1]\n", f);
    fclose(f);
    assert_int_equal(t3d_memo_open(&m, path, &err), T3D_SKIP);
    remove(path);
}

static void the_stub_goes_by_its_rules(void **state)
{
    static const struct {
        const char *prompt, *caption, *score;
    } rows[] = {{"a red cube", "red", "3"},
                {"a red cube", "a red cube on a table", "5"},
                {"a red cube", "nothing", "1"},
                {"A Red Cube.", "the cube is RED", "5"},
                {"", "red", "1"}};
    static const char *const caption[3] = {"a red and blue object", "a red object", "a green dog"};
    cJSON *q, *a;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(rows); i++) {
        q = t3d_t3bench_ask_score(rows[i].prompt, rows[i].caption);
        assert_int_equal(t3d_judge_stub(&a, q, &err), T3D_OK);
        assert_string_equal(t3d_json_str(a, "text", ""), rows[i].score);
        cJSON_Delete(q);
        cJSON_Delete(a);
    }
    q = t3d_t3bench_ask_merge(caption, 3);
    assert_int_equal(t3d_judge_stub(&a, q, &err), T3D_OK);
    assert_string_equal(t3d_json_str(a, "text", ""), "red");
    cJSON_Delete(q);
    cJSON_Delete(a);
    q = t3d_t3bench_ask_caption("/nowhere.png", "");
    assert_int_equal(t3d_judge_stub(&a, q, &err), T3D_OK);
    assert_non_null(t3d_json_str(a, "error", NULL));
    cJSON_Delete(q);
    cJSON_Delete(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_sphere_is_an_icosphere),
                                       cmocka_unit_test(smoothing_is_three_means),
                                       cmocka_unit_test(cameras_look_at_the_middle),
                                       cmocka_unit_test(the_frame_is_of_what_is_opaque),
                                       cmocka_unit_test(scores_are_numbers),
                                       cmocka_unit_test(judges_that_misbehave_are_found_out),
                                       cmocka_unit_test(questions_are_asked_again_and_answers_kept),
                                       cmocka_unit_test(answers_may_come_in_any_order),
                                       cmocka_unit_test(what_a_kill_left_is_cut_off),
                                       cmocka_unit_test(the_stub_goes_by_its_rules)};

    signal(SIGPIPE, SIG_IGN); /* as the tools do */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
