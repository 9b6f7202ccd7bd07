/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tool.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"

/* A tool with two subcommands, run in a child process with files for its standard descriptors. */
struct conf {
    struct t3d_common common;
    int64_t grade;
    struct t3d_list files;
};

static const struct t3d_opt opts[] = {
    {'g', "grade", T3D_OPT_INT, offsetof(struct conf, grade), "N", "0", NULL, "what to return"},
    {0, "files", T3D_OPT_FILES, offsetof(struct conf, files), "FILE", NULL, NULL, "files"},
    {0}};

static int run_return(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;

    if (c->grade < 0)
        return t3d_err_set(err, (int)c->grade, "asked", "asked to fail");
    printf("%zu %zu %s\n", c->files.n, c->common.operands.n,
           c->common.threads > 0 ? "threads" : "");
    return (int)c->grade;
}

/* Emit for ever, until the reader has gone or a stop is asked for. */
static int run_emit(void *conf, struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject();
    int r = T3D_OK;

    (void)conf;
    while (r == T3D_OK && !t3d_stop_requested()) {
        r = t3d_emit(o, err);
        if (r == T3D_OK)
            usleep(500);
    }
    cJSON_Delete(o);
    return r;
}

static int run_wait(void *conf, struct t3d_err *err)
{
    struct t3d_ndjson in;
    cJSON *o;
    int r;

    (void)conf;
    t3d_ndjson_init(&in, stdin, "standard input");
    while ((r = t3d_ndjson_next(&in, &o, err)) == T3D_OK)
        cJSON_Delete(o);
    t3d_ndjson_fini(&in);
    return r == T3D_END ? T3D_OK : r;
}

static int run_hang(void *conf, struct t3d_err *err)
{
    (void)conf;
    (void)err;
    for (;;)
        pause();
    return T3D_OK;
}

static const struct t3d_command c_return = {"return", "[WORD...]",         "return a grade",
                                            opts,     sizeof(struct conf), run_return};
static const struct t3d_command c_emit = {
    "emit", "[-]", "emit records", NULL, sizeof(struct t3d_common), run_emit};
static const struct t3d_command c_wait = {
    "wait", "[-]", "read records", NULL, sizeof(struct t3d_common), run_wait};
static const struct t3d_command c_hang = {"hang",  NULL, "hang", NULL, sizeof(struct t3d_common),
                                          run_hang};
static const struct t3d_command *const commands[] = {&c_return, &c_emit, &c_wait, &c_hang, NULL};
static const struct t3d_tool tool = {
    .name = "test", .summary = "a tool for tests", .about = "One.\n\nTwo.", .commands = commands};

static char out[65536], err_text[65536];

/* The test's own end of stdin and stdout; -1 = files. */
static pid_t start(char **argv, int in, int to)
{
    pid_t pid;
    int argc = 0;

    fflush(NULL);
    pid = fork();
    if (pid)
        return pid;
    signal(SIGINT, SIG_DFL); /* a shell's background job begins with it ignored */
    dup2(open("err", O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    dup2(in >= 0 ? in : open("/dev/null", O_RDONLY), 0);
    dup2(to >= 0 ? to : open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    for (int fd = 3; fd < 64; fd++)
        close(fd);
    while (argv[argc])
        argc++;
    exit(t3d_tool_main(&tool, argc, argv));
}

static int finish(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void slurp(const char *path, char *buf, size_t size)
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(buf, 1, size - 1, f) : 0;

    buf[n] = 0;
    if (f)
        fclose(f);
}

static int call(char **argv)
{
    int status = finish(start(argv, -1, -1));

    slurp("out", out, sizeof out);
    slurp("err", err_text, sizeof err_text);
    return status;
}

#define CALL(...) call((char *[]){(char[]){"t3d-test"}, __VA_ARGS__, NULL})
#define W(text)   ((char[]){text})

static char dir[] = "/tmp/t3d-tool.XXXXXX", old[4096];

static int set_up(void **state)
{
    (void)state;
    return getcwd(old, sizeof old) && mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink("out");
    unlink("err");
    return chdir(old) == 0 ? rmdir(dir) : -1;
}

static void grades_become_exit_codes(void **state)
{
    static const int row[][2] = {{0, 0},   {1, 1},  {3, 3},  {-1, 1},
                                 {-2, 75}, {-3, 1}, {-4, 2}, {-5, 74}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(row); i++) {
        char grade[8];

        snprintf(grade, sizeof grade, "-g%d", row[i][0]);
        assert_int_equal(CALL(W("return"), grade), row[i][1]);
        if (row[i][0] < 0)
            assert_true(strncmp(err_text, "t3d test: asked to fail\n", 24) == 0);
        assert_int_equal(t3d_exit_code(row[i][0] < 0 ? row[i][0] : 0),
                         row[i][0] < 0 ? row[i][1] : 0);
    }
}

static void the_subcommand_may_stand_anywhere(void **state)
{
    (void)state;
    assert_int_equal(CALL(W("-g"), W("0"), W("-C"), W("emit"), W("return"), W("a")), 0);
    assert_string_equal(out, "0 1 threads\n");
    assert_int_equal(CALL(W("return"), W("--files"), W("emit"), W("b"), W("-q"), W("emit")), 0);
    assert_string_equal(out, "2 1 threads\n");
    assert_int_equal(CALL(W("--grade=0"), W("return")), 0);
    assert_int_equal(CALL(W("-g0"), W("-qv"), W("return")), 0);
}

static void mistakes_are_usage_errors(void **state)
{
    (void)state;
    assert_int_equal(CALL(W("retrun")), 2);
    assert_string_equal(out, "");
    assert_non_null(strstr(err_text, "did you mean 'return'"));
    assert_int_equal(CALL(W("-v")), 2);
    assert_non_null(strstr(err_text, "return emit wait hang"));
    assert_int_equal(CALL(W("return"), W("--grad=1")), 2);
    assert_string_equal(err_text, "t3d test: unknown option --grad (did you mean --grade?)\n"
                                  "Try 't3d test return --help'.\n");
}

static void questions_are_answered(void **state)
{
    (void)state;
    assert_int_equal(CALL(W("--help")), 0);
    assert_non_null(strstr(out, "  emit "));
    assert_int_equal(CALL(W("return"), W("--help")), 0);
    assert_non_null(strstr(out, "-g, --grade N"));
    assert_int_equal(CALL(W("--version")), 0);
    assert_string_equal(out, "t3d test " T3D_VERSION "\n");
    assert_int_equal(CALL(W("--help=man")), 0);
    assert_non_null(strstr(out, ".It Fl g , Fl \\-grade Ar"));
    assert_int_equal(CALL(W("--help=summary")), 0);
    assert_string_equal(out, "a tool for tests\n");
    for (int i = 0; i < 3; i++) {
        char option[64];

        snprintf(option, sizeof option, "--completion=%s",
                 (const char *[]){"bash", "zsh", "fish"}[i]);
        assert_int_equal(CALL(option), 0);
        assert_non_null(strstr(out, "grade"));
        assert_non_null(strstr(out, "workspace"));
    }
}

static void a_reader_that_goes_is_a_quiet_end(void **state)
{
    int fd[2];
    char c;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(fd), 0);
    pid = start((char *[]){W("t3d-test"), W("emit"), NULL}, -1, fd[1]);
    close(fd[1]);
    assert_int_equal(read(fd[0], &c, 1), 1);
    close(fd[0]);
    assert_int_equal(finish(pid), 0);
    slurp("err", err_text, sizeof err_text);
    assert_string_equal(err_text, "");
}

static void a_full_disk_is_an_io_error(void **state)
{
    int full = open("/dev/full", O_WRONLY);

    (void)state;
    if (full < 0)
        skip();
    assert_int_equal(finish(start((char *[]){W("t3d-test"), W("emit"), NULL}, -1, full)), 74);
    slurp("err", err_text, sizeof err_text);
    assert_non_null(strstr(err_text, "cannot write 'standard output'"));
    assert_int_equal(finish(start((char *[]){W("t3d-test"), W("--help"), NULL}, -1, full)), 74);
    close(full);
}

/* Also while the tool waits for input that does not come. */
static void signals_stop_what_waits(void **state)
{
    static const int row[][2] = {{SIGINT, 130}, {SIGTERM, 75}, {SIGUSR1, 75}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(row); i++) {
        int fd[2];
        pid_t pid;

        assert_int_equal(pipe(fd), 0);
        pid = start((char *[]){W("t3d-test"), W("wait"), W("-"), NULL}, fd[0], -1);
        usleep(50000);
        kill(pid, row[i][0]);
        assert_int_equal(finish(pid), row[i][1]);
        close(fd[0]);
        close(fd[1]);
    }
}

static void a_second_interrupt_ends_at_once(void **state)
{
    pid_t pid = start((char *[]){W("t3d-test"), W("hang"), NULL}, -1, -1);
    int status;

    (void)state;
    usleep(50000);
    kill(pid, SIGINT);
    usleep(50000);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* it goes on with what is in hand */
    kill(pid, SIGINT);
    assert_int_equal(finish(pid), 130);
}

static void operands_are_found_behind_options(void **state)
{
    static const struct {
        const char *argv[6];
        int at;
    } row[] = {{{"t3d"}, 0},
               {{"t3d", "render"}, 1},
               {{"t3d", "-C", "dir", "render"}, 3},
               {{"t3d", "-Cdir", "--threads=2", "-q", "render"}, 4},
               {{"t3d", "--seed", "5", "render"}, 3},
               {{"t3d", "--help"}, 0},
               {{"t3d", "--", "render"}, 0}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(row); i++) {
        int argc = 0;

        while (row[i].argv[argc])
            argc++;
        assert_int_equal(t3d_first_operand(argc, (char **)(uintptr_t)row[i].argv), row[i].at);
    }
    assert_true(t3d_cpu_count() >= 1);
    setenv("SLURM_CPUS_PER_TASK", "1", 1);
    assert_int_equal(t3d_cpu_count(), 1);
    unsetenv("SLURM_CPUS_PER_TASK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grades_become_exit_codes),
        cmocka_unit_test(the_subcommand_may_stand_anywhere),
        cmocka_unit_test(mistakes_are_usage_errors),
        cmocka_unit_test(questions_are_answered),
        cmocka_unit_test(a_reader_that_goes_is_a_quiet_end),
        cmocka_unit_test(a_full_disk_is_an_io_error),
        cmocka_unit_test(signals_stop_what_waits),
        cmocka_unit_test(a_second_interrupt_ends_at_once),
        cmocka_unit_test(operands_are_found_behind_options),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
