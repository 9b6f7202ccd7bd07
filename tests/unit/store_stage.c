/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "base/tool_impl.h"
#include "store/stage.h"

enum { OBJECTS = 200 };

static char dir[64], rejects_path[96];
static struct t3d_err err;

static const char *in_dir(const char *name)
{
    static char path[4][160];
    static int i;

    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
    return path[i];
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

/* Objects u0 ... u199; those with number 3 mod 50 were rejected by the filter. */
static int set_up(void **state)
{
    struct t3d_manifest *m;
    struct t3d_state s = {.code = T3D_STATE_OK, .value = NAN};

    (void)state;
    memset(&err, 0, sizeof err);
    snprintf(dir, sizeof dir, "/tmp/t3d-stage.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(rejects_path, sizeof rejects_path, "%s/rejects", dir);
    if (t3d_manifest_open(&m, dir, T3D_MANIFEST_CREATE, &err) < 0 ||
        t3d_manifest_begin(m, &err) < 0)
        return -1;
    memset(s.key, 'a', 64);
    for (int i = 0; i < OBJECTS; i++) {
        struct t3d_object o = {.ending = "glb", .source = "local"};
        snprintf(o.uid, sizeof o.uid, "u%d", i);
        t3d_sha256_hex(o.uid, strlen(o.uid), o.content);
        s.code = i % 50 == 3 ? T3D_STATE_REJECT : T3D_STATE_OK;
        if (t3d_manifest_register(m, &o, 1, &err) < 0 ||
            t3d_manifest_put_state(m, "filter", i, &s, &err) < 0)
            return -1;
    }
    if (t3d_manifest_commit(m, &err) < 0)
        return -1;
    t3d_manifest_close(m);
    return 0;
}

/* --- a stage that notes what it does
 * ------------------------------------------------------------------ */

struct trial {
    int log; /* every work and save appends a line here */
    int nap_us;
    int die_at; /* kill -9 in the n-th save */
    int saves;
    int version, redo, dry_run, threads, use_stdin;
    int gather; /* in batches of so many */
    long long gathered;
    const char *rejects;
};

/* Number 7 mod 20 is rejected, 11 mod 100 fails. */
static void trial_work(void *ctx, int thread, struct t3d_stage_item *item)
{
    struct trial *t = ctx;
    char line[64];
    int n = snprintf(line, sizeof line, "work %lld\n", (long long)item->object.num);

    (void)thread;
    item->weight = 1;
    if (t->nap_us)
        usleep((useconds_t)(t->nap_us * (1 + item->object.num % 3)));
    if (write(t->log, line, (size_t)n) != n)
        abort();
    item->code = T3D_STATE_OK;
    if (item->object.num % 20 == 7) {
        item->code = T3D_STATE_REJECT;
        t3d_err_value(&item->err, T3D_SKIP, "sevens", 7, "%s ends in seven", item->object.uid);
    } else if (item->object.num % 100 == 11) {
        item->code = T3D_STATE_FAIL;
        t3d_err_set(&item->err, T3D_SKIP, "eleven", "%s cannot be done", item->object.uid);
    }
}

static int trial_recall(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item,
                        struct t3d_err *e)
{
    (void)ctx, (void)m, (void)e;
    if (item->record)
        t3d_json_set_num(item->record, "square", (double)(item->object.num * item->object.num));
    return T3D_OK;
}

/* Nobody's transaction is open meanwhile, batches are full or the loop has to wait, the order is
 * that of the objects. A failure is made of number 13. */
static int trial_gather(void *ctx, struct t3d_stage_item *const *item, size_t n, struct t3d_err *e)
{
    struct trial *t = ctx;
    struct t3d_manifest *other;

    if (!n || n > (size_t)t->gather || t3d_manifest_open(&other, dir, 0, e) < 0 ||
        t3d_manifest_begin(other, e) < 0)
        return t3d_err_set(e, T3D_FAIL, "trial", "a batch of %zu", n);
    t3d_manifest_rollback(other);
    t3d_manifest_close(other);
    for (size_t i = 0; i < n; i++) {
        if (item[i]->result || (!t->use_stdin && item[i]->object.num < t->gathered))
            return t3d_err_set(e, T3D_FAIL, "trial", "%s comes late", item[i]->object.uid);
        t->gathered = item[i]->object.num;
        item[i]->result = t;
        if (item[i]->object.num == 13) {
            item[i]->code = T3D_STATE_FAIL;
            t3d_err_set(&item[i]->err, T3D_SKIP, "thirteen", "cannot be");
        }
    }
    return T3D_OK;
}

static int trial_save(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item,
                      struct t3d_err *e)
{
    struct trial *t = ctx;

    if (++t->saves == t->die_at)
        kill(getpid(), SIGKILL);
    if (t->gather && !item->result)
        return t3d_err_set(e, T3D_FAIL, "trial", "%s was not gathered", item->object.uid);
    return trial_recall(ctx, m, item, e);
}

/* The exit code that the tool would give. */
static int run(struct trial *t)
{
    static const char *const needs[] = {"filter", NULL}, *const if_run[] = {"filter-views", NULL};
    struct t3d_stage st = {.name = "render",
                           .needs = needs,
                           .needs_if_run = if_run,
                           .format_version = t->version,
                           .work = trial_work,
                           .save = trial_save,
                           .recall = trial_recall,
                           .gather = t->gather ? trial_gather : NULL,
                           .batch = (size_t)t->gather};
    struct t3d_common common = {.workspace = dir,
                                .threads = t->threads ? t->threads : 3,
                                .redo = t->redo,
                                .dry_run = t->dry_run,
                                .rejects = t->rejects,
                                .progress = "none",
                                .use_stdin = t->use_stdin,
                                .shard_count = 1};
    struct t3d_stage_summary sum;
    struct t3d_manifest *m;
    struct t3d_err e = {0};
    int r = t3d_manifest_open(&m, dir, 0, &e);

    t3d_log_init("t3d trial", T3D_LOG_QUIET);
    t->log = open(in_dir("log"), O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (r == T3D_OK)
        r = t3d_stage_run(&st, t, m, &common, &sum, &e);
    t3d_manifest_close(m);
    close(t->log);
    if (r < 0)
        fprintf(stderr, "# %s\n", e.msg);
    return r < 0 ? t3d_exit_code(r) : t3d_stage_exit(&sum);
}

/* In a process of its own, with stdin and stdout from and to files of dir (NULL = /dev/null). */
static pid_t start(struct trial *t, const char *in, const char *out)
{
    pid_t child = fork();

    if (child)
        return child;
    t3di_catch_signals();
    if (!freopen(in ? in_dir(in) : "/dev/null", "r", stdin) ||
        !freopen(out ? in_dir(out) : "/dev/null", "w", stdout))
        _exit(99);
    t->use_stdin = in != NULL;
    _exit(run(t));
}

static int finish(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int run_once(struct trial *t, const char *in, const char *out)
{
    return finish(start(t, in, out));
}

static char *text_of(const char *name)
{
    FILE *f = fopen(in_dir(name), "r");
    char *text = calloc(1, 1 << 20);

    assert_non_null(f);
    assert_non_null(text);
    (void)!fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    return text;
}

/* How often each object was worked on. */
static void count_work(int count[OBJECTS])
{
    char *text = text_of("log");

    memset(count, 0, OBJECTS * sizeof *count);
    for (char *s = text; (s = strstr(s, "work ")); s++)
        count[strtol(s + 5, NULL, 10)]++;
    free(text);
}

static int lines_of(const char *name)
{
    char *text = text_of(name);
    int n = 0;

    for (char *s = text; (s = strchr(s, '\n')); s++)
        n++;
    free(text);
    return n;
}

static void write_input(const char *name, const char *extra)
{
    FILE *f = fopen(in_dir(name), "w");

    for (int i = OBJECTS - 1; i >= 0; i--) {
        fprintf(f, "{\"mine\":[%d],\"uid\":\"u%d\"}\n", i, i);
        if (i == 100 && extra)
            fputs(extra, f);
    }
    fclose(f);
}

/* Expected stdout of write_input's records. */
static void write_expected(const char *name)
{
    FILE *f = fopen(in_dir(name), "w");

    for (int i = OBJECTS - 1; i >= 0; i--)
        if (i % 50 != 3 && i % 20 != 7 && i % 100 != 11)
            fprintf(f, "{\"mine\":[%d],\"uid\":\"u%d\",\"square\":%d}\n", i, i, i * i);
    fclose(f);
}

static void assert_same_text(const char *a, const char *b)
{
    char *x = text_of(a), *y = text_of(b);

    assert_string_equal(x, y);
    free(x);
    free(y);
}

enum { ELIGIBLE = OBJECTS - 4, REJECTED = 10, FAILED = 2 };

static void manifest_run_does_all_once(void **state)
{
    struct trial t = {.rejects = rejects_path};
    int count[OBJECTS];

    (void)state;
    assert_int_equal(run_once(&t, NULL, "out"), 3); /* some failed */
    count_work(count);
    for (int i = 0; i < OBJECTS; i++)
        assert_int_equal(count[i], i % 50 != 3);
    assert_int_equal(lines_of("out"), 0);
    assert_int_equal(lines_of("rejects"), REJECTED + FAILED);
    /* Again: only the failed ones, three times in all; the rejects are told again. */
    for (int i = 0; i < 4; i++)
        assert_int_equal(run_once(&t, NULL, NULL), 3);
    count_work(count);
    for (int i = 0; i < OBJECTS; i++)
        assert_int_equal(count[i], i % 50 == 3 ? 0 : i % 100 == 11 ? 3 : 1);
    assert_int_equal(lines_of("rejects"), REJECTED + FAILED);
    /* Another key: all again. */
    t.version = 1;
    assert_int_equal(run_once(&t, NULL, NULL), 3);
    count_work(count);
    assert_int_equal(count[0], 2);
    t.redo = 1;
    assert_int_equal(run_once(&t, NULL, NULL), 3);
    count_work(count);
    assert_int_equal(count[0], 3);
}

static void dry_run_does_nothing(void **state)
{
    struct trial t = {.dry_run = 1, .rejects = rejects_path};

    (void)state;
    write_input("in", NULL);
    assert_int_equal(run_once(&t, NULL, "out"), 0);
    assert_int_equal(run_once(&t, "in", "out"), 0);
    assert_int_equal(lines_of("out"), 0);
    assert_int_equal(lines_of("log"), 0);
    assert_int_not_equal(access(in_dir("rejects"), F_OK), 0);
}

static void records_keep_order_and_fields(void **state)
{
    struct trial t = {.nap_us = 300, .threads = 4, .rejects = rejects_path};
    char *rejects;

    (void)state;
    write_input("in", "{\"uid\":\"nobody\"}\n[1]\n{\"uid\":\"a b\"}\n{\"uid\":5}\n\n");
    write_expected("expected");
    assert_int_equal(run_once(&t, "in", "out"), 3);
    assert_same_text("out", "expected");
    rejects = text_of("rejects");
    assert_non_null(strstr(rejects, "{\"uid\":\"nobody\",\"stage\":\"render\",\"status\":\"fail\","
                                    "\"reason\":\"unknown-uid\",\"value\":null"));
    assert_non_null(strstr(rejects, "\"reason\":\"not-json\""));
    assert_non_null(strstr(rejects, "\"reason\":\"bad-uid\""));
    assert_non_null(strstr(rejects, "{\"uid\":\"u7\",\"stage\":\"render\",\"status\":\"reject\","
                                    "\"reason\":\"sevens\",\"value\":7,"));
    assert_non_null(strstr(rejects, "{\"uid\":\"u53\",\"stage\":\"render\",\"status\":\"reject\","
                                    "\"reason\":\"upstream-not-ok\""));
    free(rejects);
    assert_int_equal(lines_of("rejects"), REJECTED + FAILED + 4 + 4);
    /* From the stored states: the same. One thread: the same. */
    t.threads = 1;
    assert_int_equal(run_once(&t, "in", "out"), 3);
    assert_same_text("out", "expected");
    t.redo = 1;
    assert_int_equal(run_once(&t, "in", "out"), 3);
    assert_same_text("out", "expected");
}

static void double_records_are_done_once(void **state)
{
    struct trial t = {.nap_us = 1000};
    int count[OBJECTS];
    FILE *f = fopen(in_dir("in"), "w");

    (void)state;
    for (int i = 0; i < 30; i++)
        fprintf(f, "{\"uid\":\"u%d\"}\n", i % 3);
    fclose(f);
    assert_int_equal(run_once(&t, "in", "out"), 0);
    assert_int_equal(lines_of("out"), 30);
    count_work(count);
    for (int i = 0; i < 3; i++)
        assert_int_equal(count[i], 1);
}

/* A record is on stdout before the next one comes. */
static void records_do_not_wait_for_each_other(void **state)
{
    int in[2], out[2];
    char line[256];
    pid_t child;

    (void)state;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    child = fork();
    if (child == 0) {
        struct trial t = {.use_stdin = 1};
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        _exit(run(&t));
    }
    close(in[0]);
    close(out[1]);
    for (int i = 0; i < 5; i++) {
        struct pollfd p = {.fd = out[0], .events = POLLIN};
        int n = snprintf(line, sizeof line, "{\"uid\":\"u%d\"}\n", i == 3 ? 4 : i);
        assert_int_equal(write(in[1], line, (size_t)n), n);
        assert_int_equal(poll(&p, 1, 5000), 1);
        assert_true(read(out[0], line, sizeof line) > 0);
    }
    close(in[1]);
    assert_int_equal(finish(child), 0);
    close(out[0]);
}

static void two_runs_share_the_work(void **state)
{
    struct trial t = {.nap_us = 500};
    int count[OBJECTS];
    pid_t a, b, c;

    (void)state;
    write_input("in", NULL);
    write_expected("expected");
    a = start(&t, NULL, NULL);
    b = start(&t, "in", "out1");
    c = start(&t, "in", "out2");
    assert_int_equal(finish(a), 3);
    assert_int_equal(finish(b), 3);
    assert_int_equal(finish(c), 3);
    assert_same_text("out1", "expected");
    assert_same_text("out2", "expected");
    count_work(count);
    for (int i = 0; i < OBJECTS; i++)
        if (i % 100 != 11) /* failures are tried again */
            assert_int_equal(count[i], i % 50 != 3);
}

static void killed_runs_are_finished(void **state)
{
    int count[OBJECTS], again = 0;

    (void)state;
    write_input("in", NULL);
    write_expected("expected");
    for (int i = 0; i < 8; i++) {
        struct trial t = {.nap_us = 100, .die_at = 20};
        assert_int_equal(run_once(&t, i % 2 ? "in" : NULL, "out"), -SIGKILL);
    }
    struct trial last = {0};
    assert_int_equal(run_once(&last, "in", "out"), 3);
    assert_same_text("out", "expected");
    count_work(count);
    for (int i = 0; i < OBJECTS; i++)
        again += count[i] > 1;
    /* Lost: at most what was in flight or not committed. */
    assert_true(again <= 8 * (20 + 3 * 4));
}

/* A stage that works in batches does all, in order, once, for any number of threads and kills. */
static void batches_are_gathered(void **state)
{
    int count[OBJECTS];
    char *out;

    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        struct trial t = {.gather = 7, .threads = threads, .version = threads};
        remove(in_dir("log"));
        write_input("in", NULL);
        t.die_at = 100;
        assert_int_equal(run_once(&t, threads == 2 ? "in" : NULL, NULL), -SIGKILL);
        t.die_at = 0;
        assert_int_equal(run_once(&t, threads == 2 ? "in" : NULL, "out"), T3D_EXIT_PARTIAL);
        count_work(count);
        for (int i = 0; i < OBJECTS; i++)
            if (i % 50 != 3)
                assert_in_range(count[i], 1, 2);
        assert_int_equal(run_once(&t, "in", "out"), T3D_EXIT_PARTIAL); /* those that fail */
        out = text_of("out");
        assert_null(strstr(out, "\"u13\""));
        assert_non_null(strstr(out, "\"u14\""));
        free(out);
    }
}

static void signals_stop_and_give_back(void **state)
{
    struct trial t = {.nap_us = 20000};
    struct t3d_manifest *m;
    struct t3d_state s;
    int claimed = 0, done = 0;
    pid_t child;

    (void)state;
    child = start(&t, NULL, NULL);
    usleep(150000);
    kill(child, SIGTERM);
    assert_int_equal(finish(child), 75);
    assert_int_equal(t3d_manifest_open(&m, dir, 0, &err), T3D_OK);
    for (int i = 0; i < OBJECTS; i++) {
        assert_int_equal(t3d_manifest_find_state(m, "render", i, &s, &err), T3D_OK);
        claimed += s.code == T3D_STATE_CLAIMED;
        done += s.code == T3D_STATE_OK;
    }
    t3d_manifest_close(m);
    assert_int_equal(claimed, 0);
    assert_true(done > 0 && done < ELIGIBLE - REJECTED - FAILED);
    /* With nothing on stdin the signal must not wait for a record. */
    assert_int_equal(mkfifo(in_dir("fifo"), 0666), 0);
    child = fork();
    if (child == 0) {
        struct trial u = {.use_stdin = 1};
        t3di_catch_signals();
        if (!freopen(in_dir("fifo"), "r+", stdin))
            _exit(99);
        _exit(run(&u));
    }
    usleep(100000);
    kill(child, SIGINT);
    assert_int_equal(finish(child), 130);
}

static void upstream_binds_once_it_has_run(void **state)
{
    struct t3d_manifest *m;
    struct t3d_state s = {.code = T3D_STATE_OK, .value = NAN};
    struct trial t = {0};
    int count[OBJECTS], done = 0;

    (void)state;
    memset(s.key, 'b', 64);
    assert_int_equal(t3d_manifest_open(&m, dir, 0, &err), T3D_OK);
    assert_int_equal(t3d_manifest_put_state(m, "filter-views", 5, &s, &err), T3D_OK);
    t3d_manifest_close(m);
    assert_int_equal(run_once(&t, NULL, NULL), 0);
    count_work(count);
    for (int i = 0; i < OBJECTS; i++)
        done += count[i];
    assert_int_equal(done, 1);
    assert_int_equal(count[5], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(manifest_run_does_all_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dry_run_does_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_keep_order_and_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(double_records_are_done_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_do_not_wait_for_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_runs_share_the_work, set_up, tear_down),
        cmocka_unit_test_setup_teardown(killed_runs_are_finished, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_stop_and_give_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batches_are_gathered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(upstream_binds_once_it_has_run, set_up, tear_down),
    };

    signal(SIGINT, SIG_DFL); /* a shell's background job begins with it ignored */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
