/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/sandbox_impl.h"

/* --- in the child: each word is one thing a parser may do or must not do -------------------------
 */

static volatile int sink;
static volatile int *volatile nowhere;

static int say(struct t3d_sandbox_child *c, long value)
{
    char text[32];

    snprintf(text, sizeof text, "%ld", value);
    return t3d_sandbox_child_send(c, text, strlen(text) + 1) < 0;
}

static int forbidden(const char *what)
{
    if (strcmp(what, "open") == 0)
        return open("/etc/passwd", O_RDONLY) >= 0 ? 10 : 20;
    if (strcmp(what, "socket") == 0)
        return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 10 : 20;
    if (strcmp(what, "exec") == 0)
        return execl("/bin/true", "true", (char *)NULL) < 0 ? 20 : 10;
    if (strcmp(what, "kill") == 0)
        return kill(getppid(), SIGKILL) == 0 ? 10 : 20;
    if (strcmp(what, "code") == 0)
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
                       MAP_FAILED
                   ? 10
                   : 20;
    if (strcmp(what, "fork") == 0) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        return pid > 0 ? 10 : 20;
    }
    return 30;
}

static int count_descriptors(void)
{
    int n = 0;

    for (int fd = 3; fd < 64; fd++)
        n += lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF;
    return n;
}

static int use_memory(size_t total)
{
    for (size_t n = 0; n < total; n += 16u << 20) {
        char *p = malloc(16u << 20);
        if (!p)
            return T3D_SANDBOX_NO_MEMORY;
        for (size_t i = 0; i < 16u << 20; i += 4096)
            p[i] = 1;
    }
    return 0;
}

static int ask(struct t3d_sandbox_child *c, char *word, size_t capacity)
{
    int fds[T3D_SANDBOX_FDS];

    if (t3d_sandbox_child_send(c, "who?", 5) < 0 ||
        t3d_sandbox_child_receive(c, word, capacity, fds) < 0)
        return 1;
    return t3d_sandbox_child_send(c, word, strlen(word) + 1) < 0;
}

/* CPU time. */
static int work(double s)
{
    struct timespec t0, t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    while ((double)(t.tv_sec - t0.tv_sec) + 1e-9 * (double)(t.tv_nsec - t0.tv_nsec) < s);
    return 0;
}

static int run(struct t3d_sandbox_child *c, void *ctx)
{
    static int calls;
    char word[256] = "", text[16] = "";
    int fds[T3D_SANDBOX_FDS];

    (void)ctx;
    if (t3d_sandbox_child_receive(c, word, sizeof word - 1, fds) < 0)
        return 1;
    if (strcmp(word, "well") == 0)
        return 0;
    if (strcmp(word, "calls") == 0)
        return say(c, ++calls);
    if (strcmp(word, "read") == 0)
        return pread(fds[0], text, 5, 0) == 5 && pwrite(fds[1], text, 5, 0) == 5 ? 0 : 2;
    if (strcmp(word, "descriptors") == 0)
        return say(c, count_descriptors());
    if (strcmp(word, "ask") == 0)
        return ask(c, word, sizeof word);
    if (strcmp(word, "ask and die") == 0)
        return t3d_sandbox_child_send(c, "who?", 5) < 0 ? 1 : 5;
    if (strcmp(word, "memory") == 0)
        return use_memory(512u << 20);
    if (strcmp(word, "grown") == 0)
        t3d_sandbox_child_retire(c);
    if (strcmp(word, "grown") == 0)
        return 0;
    if (strcmp(word, "work") == 0)
        return work(0.06);
    if (strcmp(word, "crash") == 0)
        sink = *nowhere;
    while (strcmp(word, "spin") == 0)
        sink++;
    return forbidden(word);
}

/* --- the caller's side
 * ----------------------------------------------------------------------------- */

static struct t3d_sandbox *sb;

static int open_sandbox(void **state)
{
    struct t3d_sandbox_options o = {
        .run = run, .memory_bytes = 128u << 20, .wall_s = 0.3, .cpu_s = 5};
    struct t3d_err err;

    (void)state;
    return t3d_sandbox_open(&sb, 3, &o, &err);
}

static int close_sandbox(void **state)
{
    (void)state;
    t3d_sandbox_close(sb);
    return 0;
}

/* Receives until the request ends; gives how it ended, and the last message. */
static int hear(int slot, char *reply, struct t3d_err *err)
{
    char msg[256];
    size_t n;
    int r;

    while ((r = t3d_sandbox_receive(sb, slot, msg, sizeof msg - 1, &n, err)) == T3D_OK) {
        msg[n] = 0;
        if (reply)
            memcpy(reply, msg, n + 1);
        if (strcmp(msg, "who?") == 0)
            assert_int_equal(t3d_sandbox_send(sb, slot, "a friend", 9, NULL, 0, err), T3D_OK);
    }
    return r;
}

static int talk(int slot, const char *word, const int *fds, char *reply, struct t3d_err *err)
{
    int r = t3d_sandbox_send(sb, slot, word, strlen(word) + 1, fds, fds ? 2 : 0, err);

    assert_int_equal(r, T3D_OK);
    return hear(slot, reply, err);
}

/* How many requests the slot's child has served, this one included. */
static long calls(int slot)
{
    struct t3d_err err;
    char reply[256];

    assert_int_equal(talk(slot, "calls", NULL, reply, &err), T3D_END);
    return strtol(reply, NULL, 10);
}

static void a_child_serves_its_number_and_is_replaced(void **state)
{
    struct t3d_err err;
    char reply[256];
    int most = t3d_sandbox_has_seccomp(sb) ? T3D_SANDBOX_REQUESTS : 1;

    (void)state;
    for (int i = 0; i < 3 * T3D_SANDBOX_REQUESTS; i++)
        for (int slot = 0; slot < 2; slot++)
            assert_int_equal(calls(slot), 1 + i % most);
    assert_int_equal(talk(0, "ask", NULL, reply, &err), T3D_END);
    assert_string_equal(reply, "a friend");
}

static void a_doubtful_child_is_replaced(void **state)
{
    static const char *const words[] = {"crash", "unknown", "memory",
                                        "spin",  "grown",   "ask and die"};
    struct t3d_err err;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(words); i++) {
        if (T3DI_ASAN && strcmp(words[i], "memory") == 0)
            continue; /* not limited there */
        calls(0);
        (void)!talk(0, words[i], NULL, NULL, &err);
        assert_int_equal(calls(0), 1);
    }
    t3d_sandbox_retire(sb, 0);
    t3d_sandbox_retire(sb, 0);
    assert_int_equal(calls(0), 1);
}

static void a_crash_fails_its_own_request_only(void **state)
{
    struct t3d_err err;

    (void)state;
    for (int k = 0; k < 10; k++)
        for (int i = 0; i < 10; i++)
            assert_int_equal(talk(0, i == k ? "crash" : "well", NULL, NULL, &err),
                             i == k ? T3D_SKIP : T3D_END);
}

/* A child's CPU time is counted over its life: one that has used an eighth of a request's share
 * ends, so that the next request has a whole one. */
static void cpu_time_is_a_requests_own(void **state)
{
    struct t3d_sandbox_options o = {.run = run, .wall_s = 30, .cpu_s = 0.2};
    struct t3d_sandbox *kept = sb;
    struct t3d_err err;

    (void)state;
    assert_int_equal(t3d_sandbox_open(&sb, 1, &o, &err), T3D_OK);
    calls(0);
    assert_int_equal(talk(0, "work", NULL, NULL, &err), T3D_END);
    assert_int_equal(calls(0), 1);
    assert_int_equal(talk(0, "spin", NULL, NULL, &err), T3D_SKIP);
    assert_string_equal(err.reason, "parser-timeout");
    t3d_sandbox_close(sb);
    sb = kept;
}

static void descriptors_go_in_and_no_other_is_there(void **state)
{
    struct t3d_err err;
    char reply[256], text[6] = "";
    int fd[2] = {memfd_create("in", 0), memfd_create("out", 0)};

    (void)state;
    assert_int_equal(pwrite(fd[0], "hello", 5, 0), 5);
    assert_int_equal(talk(2, "read", fd, NULL, &err), T3D_END);
    assert_int_equal(pread(fd[1], text, 5, 0), 5);
    assert_string_equal(text, "hello");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(talk(2, "descriptors", fd, reply, &err), T3D_END);
        assert_string_equal(reply, "3"); /* the socket and the two of this request */
    }
    close(fd[0]);
    close(fd[1]);
}

static void crashes_are_told_apart(void **state)
{
    struct t3d_err err;

    (void)state;
    assert_int_equal(talk(0, "crash", NULL, NULL, &err), T3D_SKIP);
    assert_string_equal(err.reason, "parser-crashed");
    if (!T3DI_ASAN)
        assert_true(err.value == SIGSEGV);
    assert_int_equal(talk(0, "unknown", NULL, NULL, &err), T3D_SKIP);
    assert_string_equal(err.reason, "parser-crashed");
    assert_true(err.value == 30);
    assert_int_equal(talk(0, "well", NULL, NULL, &err), T3D_END);
}

/* The answer of the caller stays in the socket when the child dies first; the next one passes it
 * over. */
static void a_stale_answer_reaches_nobody(void **state)
{
    struct t3d_err err;
    char reply[256];

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(talk(0, "ask and die", NULL, NULL, &err), T3D_SKIP);
        assert_int_equal(talk(0, "calls", NULL, reply, &err), T3D_END);
        assert_string_equal(reply, "1");
    }
}

static void limits_hold(void **state)
{
    struct t3d_err err;

    (void)state;
    assert_int_equal(talk(0, "spin", NULL, NULL, &err), T3D_SKIP);
    assert_string_equal(err.reason, "parser-timeout");
    if (!T3DI_ASAN) {
        assert_int_equal(talk(0, "memory", NULL, NULL, &err), T3D_SKIP);
        assert_string_equal(err.reason, "parser-memory");
    }
    assert_int_equal(talk(0, "well", NULL, NULL, &err), T3D_END);
}

static void forbidden_calls_kill(void **state)
{
    static const char *const words[] = {"open", "socket", "exec", "kill", "code", "fork"};
    struct t3d_err err;

    (void)state;
    if (!t3d_sandbox_has_seccomp(sb))
        skip();
    for (size_t i = 0; i < T3D_COUNT(words); i++) {
        assert_int_equal(talk(1, words[i], NULL, NULL, &err), T3D_SKIP);
        assert_string_equal(err.reason, "parser-crashed");
        assert_true(err.value == (T3DI_ASAN ? 20 : SIGSYS));
    }
    assert_int_equal(talk(1, "well", NULL, NULL, &err), T3D_END);
}

static void a_request_can_be_abandoned(void **state)
{
    struct t3d_err err;

    (void)state;
    assert_int_equal(t3d_sandbox_send(sb, 0, "spin", 5, NULL, 0, &err), T3D_OK);
    t3d_sandbox_abandon(sb, 0);
    t3d_sandbox_abandon(sb, 0);
    assert_int_equal(talk(0, "well", NULL, NULL, &err), T3D_END);
}

/* Pids of the processes whose parent is pid, by /proc; gives how many. */
static int children_of(pid_t pid, pid_t *out, int max)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)) && n < max) {
        char path[300], line[512] = "", *s;
        int parent = 0;
        FILE *f;
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        if (e->d_name[0] < '0' || e->d_name[0] > '9' || !(f = fopen(path, "r")))
            continue;
        s = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
        fclose(f);
        if (s && sscanf(s, ") %*c %d", &parent) == 1 && parent == pid)
            out[n++] = (pid_t)strtol(e->d_name, NULL, 10);
    }
    if (d)
        closedir(d);
    return n;
}

static void a_lost_zygote_is_replaced(void **state)
{
    struct t3d_err err;
    pid_t mother[4], zygote[8];
    int n;

    (void)state;
    for (int slot = 0; slot < 3; slot++)
        assert_int_equal(talk(slot, "well", NULL, NULL, &err), T3D_END);
    assert_int_equal(children_of(getpid(), mother, 4), 1);
    n = children_of(mother[0], zygote, 8);
    assert_int_equal(n, 3);
    for (int i = 0; i < n; i++)
        kill(zygote[i], SIGKILL);
    usleep(20000);
    for (int slot = 0; slot < 3; slot++)
        assert_int_equal(talk(slot, "well", NULL, NULL, &err), T3D_END);
    assert_int_equal(children_of(mother[0], zygote, 8), 3);
}

/* Waits until the process is stopped, so that it cannot take what is sent afterwards. */
static void stop(pid_t pid)
{
    char path[64], line[512] = "";

    assert_true(pid > 0);
    kill(pid, SIGSTOP);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (int tries = 0; tries < 500; tries++) {
        FILE *f = fopen(path, "r");
        const char *name_end = f && fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
        if (f)
            fclose(f);
        if (name_end && name_end[2] == 'T')
            return;
        usleep(2000);
    }
    fail_msg("process %d does not stop: %s", (int)pid, line);
}

/* Killed from outside with the request still in the socket: the next child takes it. */
static void a_request_that_nobody_took_goes_to_the_next_child(void **state)
{
    struct t3d_err err;
    char reply[256];
    pid_t mother, zygote[8], child[8];
    int n;

    (void)state;
    calls(0);
    assert_int_equal(children_of(getpid(), &mother, 1), 1);
    n = children_of(mother, zygote, 8);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        child[i] = 0;
        for (int tries = 0; tries < 500 && children_of(zygote[i], &child[i], 1) == 0; tries++)
            usleep(2000);
        stop(child[i]);
    }
    assert_int_equal(t3d_sandbox_send(sb, 0, "calls", 6, NULL, 0, &err), T3D_OK);
    for (int i = 0; i < n; i++)
        kill(child[i], SIGKILL);
    assert_int_equal(hear(0, reply, &err), T3D_END);
    assert_string_equal(reply, "1");
}

static void *many(void *slot)
{
    struct t3d_err err;

    for (int i = 0; i < 100; i++)
        if (talk((int)(intptr_t)slot, "well", NULL, NULL, &err) != T3D_END)
            return slot;
    return NULL;
}

static void threads_have_slots_of_their_own(void **state)
{
    pthread_t t[3];
    void *bad;

    (void)state;
    for (intptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, many, (void *)i), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
}

/* A caller that dies without closing takes mother, zygotes and children with it. */
static void nothing_outlives_the_caller(void **state)
{
    int pipe_fd[2];
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(pipe_fd), 0);
    pid = fork();
    if (pid == 0) {
        struct t3d_sandbox_options o = {.run = run, .wall_s = 30};
        struct t3d_sandbox *own;
        struct t3d_err err;
        pid_t mother[4], zygote[4], all[4] = {0};
        close(pipe_fd[0]);
        if (t3d_sandbox_open(&own, 1, &o, &err) < 0 ||
            t3d_sandbox_send(own, 0, "spin", 5, NULL, 0, &err) < 0)
            _exit(1);
        children_of(getpid(), mother, 4);
        all[0] = mother[0];
        children_of(mother[0], zygote, 4);
        all[1] = zygote[0];
        /* The zygote may still be making its child. */
        for (int i = 0; i < 500 && children_of(zygote[0], &all[2], 1) == 0; i++)
            usleep(2000);
        if (write(pipe_fd[1], all, sizeof all) != sizeof all)
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    close(pipe_fd[1]);
    {
        pid_t all[4] = {0};
        int gone = 0;
        assert_int_equal(read(pipe_fd[0], all, sizeof all), (int)sizeof all);
        assert_int_equal(read(pipe_fd[0], &byte, 1), 0);
        waitpid(pid, NULL, 0);
        for (int tries = 0; tries < 200 && !gone; tries++) {
            gone = 1;
            for (int i = 0; i < 3; i++) {
                char path[64], line[256] = "";
                FILE *f;
                assert_true(all[i] > 1);
                snprintf(path, sizeof path, "/proc/%d/stat", (int)all[i]);
                f = fopen(path, "r");
                /* An orphan that nobody buries is a zombie here: gone all the same. */
                if (f && fgets(line, sizeof line, f) && !strstr(line, ") Z"))
                    gone = 0;
                if (f)
                    fclose(f);
            }
            usleep(10000);
        }
        assert_true(gone);
    }
    close(pipe_fd[0]);
}

static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupts++;
}

/* In a process group of its own: a ^C goes to all of it, and then to each process by name. */
static int interrupted_caller(void)
{
    struct t3d_sandbox_options o = {.run = run, .wall_s = 30};
    struct sigaction catch = {.sa_handler = on_interrupt};
    pid_t mother, zygote, child;
    struct t3d_err err;

    setpgid(0, 0);
    sigaction(SIGINT, &catch, NULL);
    if (t3d_sandbox_open(&sb, 1, &o, &err) < 0 ||
        t3d_sandbox_send(sb, 0, "work", 5, NULL, 0, &err) < 0)
        return 1;
    if (children_of(getpid(), &mother, 1) != 1 || children_of(mother, &zygote, 1) != 1)
        return 2;
    while (children_of(zygote, &child, 1) != 1)
        usleep(1000);
    kill(0, SIGINT);
    for (int i = 0; i < 3; i++) {
        kill((pid_t[]){mother, zygote, child}[i], SIGINT);
        kill((pid_t[]){mother, zygote, child}[i], SIGTERM);
    }
    if (hear(0, NULL, &err) != T3D_END || calls(0) != 1 ||
        calls(0) != (t3d_sandbox_has_seccomp(sb) ? 2 : 1))
        return 3;
    t3d_sandbox_close(sb);
    return interrupts == 1 ? 0 : 4;
}

static void an_interrupt_is_for_the_caller(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0)
        _exit(interrupted_caller());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void libraries_are_named(void **state)
{
    (void)state;
    assert_ptr_equal(strstr(t3d_sandbox_libraries(), "libseccomp 2."), t3d_sandbox_libraries());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_serves_its_number_and_is_replaced),
        cmocka_unit_test(a_doubtful_child_is_replaced),
        cmocka_unit_test(a_crash_fails_its_own_request_only),
        cmocka_unit_test(cpu_time_is_a_requests_own),
        cmocka_unit_test(descriptors_go_in_and_no_other_is_there),
        cmocka_unit_test(crashes_are_told_apart),
        cmocka_unit_test(a_stale_answer_reaches_nobody),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(forbidden_calls_kill),
        cmocka_unit_test(a_request_can_be_abandoned),
        cmocka_unit_test(a_lost_zygote_is_replaced),
        cmocka_unit_test(a_request_that_nobody_took_goes_to_the_next_child),
        cmocka_unit_test(threads_have_slots_of_their_own),
        cmocka_unit_test(nothing_outlives_the_caller),
        cmocka_unit_test(an_interrupt_is_for_the_caller),
        cmocka_unit_test(libraries_are_named),
    };

    return cmocka_run_group_tests(tests, open_sandbox, close_sandbox);
}
