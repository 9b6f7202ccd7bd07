/* SPDX-License-Identifier: Apache-2.0 */
#include "base/par.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

struct item {
    int number, result, thread;
};

struct run {
    int n, next, emitted;     /* items to make; made; emitted in order */
    int fail_next, fail_emit; /* the number at which to fail, -1 = never */
    int emit_grade;
    int window, silent,
        idle_calls; /* silent: next says T3D_RETRY that many times before each item */
    int most;       /* most items in flight */
    atomic_int live, worked;
    int source; /* descriptor to read from, for the test of wait */
};

static int next(void *ctx, void **out, struct t3d_err *err)
{
    struct run *r = ctx;
    struct item *i;

    if (r->next == r->fail_next)
        return t3d_err_set(err, T3D_FAIL, "next", "next %d", r->next);
    if (r->next == r->n)
        return T3D_END;
    if (r->silent && r->idle_calls % 2 == 0 && r->live)
        return T3D_RETRY;
    i = calloc(1, sizeof *i);
    i->number = r->next++;
    *out = i;
    r->live++;
    if (r->live > r->most)
        r->most = r->live;
    return T3D_OK;
}

static void work(void *ctx, int thread, void *item)
{
    struct run *r = ctx;
    struct item *i = item;

    if (i->number % 7 == 0)
        usleep(200); /* so that later items overtake */
    i->thread = thread;
    i->result = i->number * i->number;
    r->worked++;
}

static int emit(void *ctx, void *item, struct t3d_err *err)
{
    struct run *r = ctx;
    struct item i = *(struct item *)item;

    free(item);
    r->live--;
    assert_int_equal(i.number, r->emitted);
    assert_int_equal(i.result, i.number * i.number);
    r->emitted++;
    if (i.number == r->fail_emit)
        return r->emit_grade < 0 ? t3d_err_set(err, r->emit_grade, "emit", "emit %d", i.number)
                                 : r->emit_grade;
    return T3D_OK;
}

static void drop(void *ctx, void *item)
{
    free(item);
    ((struct run *)ctx)->live--;
}

static int idle(void *ctx, struct t3d_err *err)
{
    (void)err;
    ((struct run *)ctx)->idle_calls++;
    return T3D_OK;
}

static const struct t3d_pipe_ops ops = {.next = next, .work = work, .emit = emit, .drop = drop};
static const struct t3d_pipe_ops idle_ops = {
    .next = next, .work = work, .emit = emit, .drop = drop, .idle = idle};

static const int thread_counts[] = {0, 1, 2, 3, 8};

static void all_are_emitted_in_order(void **state)
{
    (void)state;
    for (size_t t = 0; t < T3D_COUNT(thread_counts); t++)
        for (int window = 0; window <= 9; window += 3) {
            struct run r = {.n = 500, .fail_next = -1, .fail_emit = -1};
            int threads = thread_counts[t];

            assert_int_equal(t3d_pipe_run(&ops, &r, threads, (size_t)window, NULL), T3D_OK);
            assert_int_equal(r.emitted, 500);
            assert_int_equal(r.live, 0);
            assert_true(r.most <= (threads < 2 ? 1 : window ? window : 4 * threads));
        }
}

static void nothing_to_do(void **state)
{
    (void)state;
    for (size_t t = 0; t < T3D_COUNT(thread_counts); t++) {
        struct run r = {.fail_next = -1, .fail_emit = -1};

        assert_int_equal(t3d_pipe_run(&ops, &r, thread_counts[t], 0, NULL), T3D_OK);
    }
}

static void an_error_of_next_lets_the_rest_out(void **state)
{
    (void)state;
    for (size_t t = 0; t < T3D_COUNT(thread_counts); t++) {
        struct run r = {.n = 100, .fail_next = 41, .fail_emit = -1};
        struct t3d_err e;

        assert_int_equal(t3d_pipe_run(&ops, &r, thread_counts[t], 16, &e), T3D_FAIL);
        assert_string_equal(e.msg, "next 41");
        assert_int_equal(r.emitted, 41);
        assert_int_equal(r.live, 0);
    }
}

static void an_error_of_emit_stops_and_drops(void **state)
{
    (void)state;
    for (size_t t = 0; t < T3D_COUNT(thread_counts); t++) {
        struct run r = {.n = 1000, .fail_next = -1, .fail_emit = 41, .emit_grade = T3D_IO};
        struct t3d_err e;

        assert_int_equal(t3d_pipe_run(&ops, &r, thread_counts[t], 16, &e), T3D_IO);
        assert_string_equal(e.msg, "emit 41");
        assert_int_equal(r.emitted, 42);
        assert_int_equal(r.live, 0);
        assert_true(r.next <= 42 + 16);
    }
}

static void the_end_from_emit_is_quiet(void **state)
{
    (void)state;
    for (size_t t = 0; t < T3D_COUNT(thread_counts); t++) {
        struct run r = {.n = 1000, .fail_next = -1, .fail_emit = 10, .emit_grade = T3D_END};

        assert_int_equal(t3d_pipe_run(&ops, &r, thread_counts[t], 16, NULL), T3D_OK);
        assert_int_equal(r.emitted, 11);
        assert_int_equal(r.live, 0);
    }
}

static void a_silent_source_is_asked_again(void **state)
{
    (void)state;
    for (size_t t = 0; t < T3D_COUNT(thread_counts); t++) {
        struct run r = {.n = 20, .fail_next = -1, .fail_emit = -1, .silent = 1};

        assert_int_equal(t3d_pipe_run(&idle_ops, &r, thread_counts[t], 16, NULL), T3D_OK);
        assert_int_equal(r.emitted, 20);
        assert_true(r.idle_calls > 0);
    }
}

static void idle_is_called_with_one_thread(void **state)
{
    struct run r = {.n = 20, .fail_next = -1, .fail_emit = -1};

    (void)state;
    assert_int_equal(t3d_pipe_run(&idle_ops, &r, 1, 0, NULL), T3D_OK);
    assert_int_equal(r.idle_calls, 19); /* not before the first: nothing to commit */
}

/* A producer that sends the next item only after it has seen the last one come out. */
static int echo_source, echo_sink;

static int echo_wait(void *ctx, int wake)
{
    struct pollfd p[2] = {{.fd = wake, .events = POLLIN}, {.fd = echo_source, .events = POLLIN}};

    (void)ctx;
    poll(p, 2, wake < 0 ? 0 : -1);
    return p[0].revents ? 0 : p[1].revents != 0;
}

static int echo_next(void *ctx, void **out, struct t3d_err *err)
{
    char c;

    if (read(echo_source, &c, 1) != 1)
        return T3D_END;
    return next(ctx, out, err);
}

static int echo_emit(void *ctx, void *item, struct t3d_err *err)
{
    int r = emit(ctx, item, err);

    assert_int_equal(write(echo_sink, "x", 1), 1);
    return r;
}

static void *producer(void *arg)
{
    int *fd = arg;
    char c;

    for (int i = 0; i < 50; i++)
        if (write(fd[0], "x", 1) != 1 || read(fd[1], &c, 1) != 1)
            break;
    close(fd[0]);
    return NULL;
}

static void a_done_item_does_not_wait_for_the_next(void **state)
{
    static const struct t3d_pipe_ops echo = {
        .next = echo_next, .work = work, .emit = echo_emit, .drop = drop, .wait = echo_wait};

    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        struct run r = {.n = 1000, .fail_next = -1, .fail_emit = -1};
        int to[2], from[2], ends[2];
        pthread_t thread;

        assert_int_equal(pipe(to), 0);
        assert_int_equal(pipe(from), 0);
        echo_source = to[0];
        echo_sink = from[1];
        ends[0] = to[1];
        ends[1] = from[0];
        pthread_create(&thread, NULL, producer, ends);
        alarm(10); /* a deadlock ends the test */
        assert_int_equal(t3d_pipe_run(&echo, &r, threads, 0, NULL), T3D_OK);
        alarm(0);
        pthread_join(thread, NULL);
        assert_int_equal(r.emitted, 50);
        close(to[0]);
        close(from[0]);
        close(from[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_emitted_in_order),
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(an_error_of_next_lets_the_rest_out),
        cmocka_unit_test(an_error_of_emit_stops_and_drops),
        cmocka_unit_test(the_end_from_emit_is_quiet),
        cmocka_unit_test(a_silent_source_is_asked_again),
        cmocka_unit_test(idle_is_called_with_one_thread),
        cmocka_unit_test(a_done_item_does_not_wait_for_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
