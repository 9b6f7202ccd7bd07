/* SPDX-License-Identifier: Apache-2.0 */
/* Several graphs of one network: packed constants and parameters in memory once; plans without
 * memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "num/ops.h"
#include "num/report.h"

enum { WIDTH = 96, OUT = 160 };

/* Numbers without a pattern that a wrong layout would keep. */
static t3d_real value_at(int64_t i)
{
    return (t3d_real)((double)(i * 7919 % 1013) / 1013 - 0.5);
}

static void fill(t3d_real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = value_at(i);
}

/* x w^T, rows rows; a pool or none. */
static struct t3d_graph *product(int64_t rows, const t3d_real *w, struct t3d_pool *pool,
                                 struct t3d_ref *y)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 2);
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(rows, WIDTH));
    struct t3d_err err = {0};

    assert_non_null(g);
    *y = t3d_matmul(g, x, t3d_graph_constant(g, "w", T3D_SHAPE(OUT, WIDTH), w), T3D_NONE,
                    T3D_ACT_NONE);
    if (pool)
        t3d_graph_use_pool(g, pool);
    if (t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err) < 0)
        fail_msg("%s", err.msg);
    fill(t3d_graph_data(g, x), rows * WIDTH);
    return g;
}

static void check_product(struct t3d_graph *g, struct t3d_ref y, const t3d_real *w, int64_t rows)
{
    const t3d_real *got;
    struct t3d_err err = {0};

    if (t3d_graph_forward(g, &err) < 0)
        fail_msg("%s", err.msg);
    got = t3d_graph_data(g, y);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < OUT; j++) {
            double want = 0;

            for (int64_t k = 0; k < WIDTH; k++)
                want += (double)value_at(i * WIDTH + k) * (double)w[j * WIDTH + k];
            assert_true(fabs(want - (double)got[i * OUT + j]) < 1e-4);
        }
}

static void a_pool_packs_a_constant_once(void **state)
{
    static t3d_real w[OUT * WIDTH], other[OUT * WIDTH];
    const t3d_real *of[3] = {w, w, other};
    struct t3d_pool *pool = t3d_pool_new();
    struct t3d_graph *g[3];
    struct t3d_ref y[3];
    struct t3d_graph_size size[3];
    size_t one;

    (void)state;
    assert_non_null(pool);
    fill(w, OUT * WIDTH);
    for (int i = 0; i < OUT * WIDTH; i++)
        other[i] = -2 * w[i];
    for (int i = 0; i < 3; i++) {
        g[i] = product(50 + 64 * i, of[i], pool, &y[i]);
        t3d_graph_size(g[i], &size[i]);
    }
    one = size[0].state_bytes;
    assert_true(one >= sizeof w);
    assert_true(size[0].shared_bytes == 0);
    assert_true(size[1].state_bytes == one && size[1].shared_bytes == one);
    assert_true(size[2].state_bytes == one && size[2].shared_bytes == 0);
    assert_true(t3d_pool_bytes(pool) == 2 * one);
    t3d_pool_free(pool); /* the graphs keep it */
    t3d_graph_free(g[0]);
    for (int i = 1; i < 3; i++) {
        check_product(g[i], y[i], of[i], 50 + 64 * i);
        t3d_graph_free(g[i]);
    }
}

/* Bytes of [p, p + bytes) that are in memory, by the kernel's account. */
static size_t resident(const void *p)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[256];
    unsigned long from, to, kb;
    int here = 0;
    size_t found = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = from <= (uintptr_t)p && (uintptr_t)p < to;
        if (here && sscanf(line, "Rss: %lu", &kb) == 1)
            found = kb * 1024;
    }
    fclose(f);
    return found;
}

static void a_mapped_constant_leaves_memory(void **state)
{
    enum { ROWS = 512, BYTES = ROWS * OUT * (int)sizeof(t3d_real) };
    FILE *f = tmpfile();
    struct t3d_pool *pool = t3d_pool_new();
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_err err = {0};
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(1, OUT)), w;
    t3d_real *map, sum = 0;

    (void)state;
    assert_true(f && pool && g);
    for (int i = 0; i < ROWS * OUT; i++) {
        t3d_real v = value_at(i);

        assert_true(fwrite(&v, sizeof v, 1, f) == 1);
    }
    assert_int_equal(fflush(f), 0);
    map = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, fileno(f), 0);
    assert_true(map != MAP_FAILED);
    for (int i = 0; i < ROWS * OUT; i++)
        sum += map[i];
    assert_true(resident(map) >= BYTES);
    w = t3d_graph_constant(g, "w", T3D_SHAPE(ROWS, OUT), map);
    t3d_matmul(g, x, w, T3D_NONE, T3D_ACT_NONE);
    t3d_graph_use_pool(g, pool);
    assert_int_equal(t3d_pool_add_mapping(pool, map, BYTES), T3D_OK);
    if (t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(resident(map) < BYTES / 2);
    for (int i = 0; i < ROWS * OUT; i++)
        sum -= map[i]; /* and comes back when it is read */
    assert_true(fabs((double)sum) < 1e-3);
    t3d_graph_free(g);
    t3d_pool_free(pool);
    munmap(map, BYTES);
    fclose(f);
}

/* --- shared parameters --------------------------------------------------------------------------
 */

struct net {
    struct t3d_graph *g;
    struct t3d_ref x, loss;
};

/* Mean of (x w^T v^T)^2 over `rows` rows; of: whose parameters it has. */
static struct net make(int64_t rows, struct t3d_graph *of, int train, int swap)
{
    struct net n = {.g = t3d_graph_new(T3D_CPU, 1)};
    struct t3d_err err = {0};
    struct t3d_ref w, v;

    assert_non_null(n.g);
    n.x = t3d_graph_input(n.g, "x", T3D_SHAPE(rows, 5));
    if (swap)
        v = t3d_graph_param(n.g, "v", T3D_SHAPE(2, 7));
    w = t3d_graph_param(n.g, "w", T3D_SHAPE(7, 5));
    if (!swap)
        v = t3d_graph_param(n.g, "v", T3D_SHAPE(2, 7));
    if (of)
        t3d_graph_share_params(n.g, of);
    n.loss = t3d_matmul(n.g, n.x, w, T3D_NONE, T3D_ACT_NONE);
    n.loss = t3d_matmul(n.g, n.loss, v, T3D_NONE, T3D_ACT_NONE);
    n.loss = t3d_mean(n.g, t3d_mul(n.g, n.loss, n.loss), -1);
    if (t3d_graph_build(n.g, &(struct t3d_plan){.loss = train ? n.loss : T3D_NONE}, &err) < 0)
        fail_msg("%s", err.msg);
    fill(t3d_graph_data(n.g, n.x), rows * 5);
    return n;
}

static double run(const struct net *n, int backward)
{
    struct t3d_err err = {0};

    if (t3d_graph_forward(n->g, &err) < 0 || (backward && t3d_graph_backward(n->g, &err) < 0))
        fail_msg("%s", err.msg);
    return (double)*(t3d_real *)t3d_graph_data(n->g, n->loss);
}

static void graphs_of_two_shapes_share_parameters(void **state)
{
    struct net train = make(6, NULL, 1, 0), check = make(6, train.g, 0, 1);
    struct net more = make(3, train.g, 1, 1), own = make(3, NULL, 1, 0);
    int64_t n, m;
    t3d_real *w = t3d_graph_param_block(train.g, &n), sum[128];
    const t3d_real *grad;

    (void)state;
    assert_ptr_equal(t3d_graph_param_block(check.g, &m), w);
    assert_true(n == m && n <= 128);
    fill(w, n);
    memcpy(t3d_graph_param_block(own.g, &m), w, (size_t)n * sizeof *w);
    assert_true(run(&train, 1) == run(&check, 0));
    grad = t3d_graph_grad_block(train.g, &n);
    memcpy(sum, grad, (size_t)n * sizeof *sum);
    run(&own, 1);
    for (int64_t i = 0; i < n; i++)
        sum[i] += t3d_graph_grad_block(own.g, &m)[i];
    run(&more, 1); /* adds to what train has left */
    for (int64_t i = 0; i < n; i++)
        assert_true(fabs((double)(sum[i] - grad[i])) < 1e-6);
    t3d_graph_free(check.g);
    t3d_graph_free(more.g);
    w[0] += 1; /* still there */
    t3d_graph_free(own.g);
    t3d_graph_free(train.g);
}

static void parameters_that_do_not_fit_are_refused(void **state)
{
    struct net train = make(6, NULL, 0, 0);

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
        struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(1, i == 1 ? 4 : 5));
        struct t3d_ref w =
            t3d_graph_param(g, i == 0 ? "u" : "w", T3D_SHAPE(i == 1 ? 8 : 7, i == 1 ? 4 : 5));
        struct t3d_ref loss = t3d_mean(g, t3d_matmul(g, x, w, T3D_NONE, T3D_ACT_NONE), -1);
        struct t3d_err err = {0};

        t3d_graph_share_params(g, train.g);
        /* 0: a name that is not there; 1: another shape; 2: gradients of a graph without */
        if (i < 2)
            loss = T3D_NONE;
        assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = loss}, &err), T3D_USAGE);
        assert_non_null(strstr(err.msg, i == 0 ? "'u'" : i == 1 ? "'w'" : "no gradients"));
        t3d_graph_free(g);
    }
    t3d_graph_free(train.g);
}

/* --- plans and profiles -------------------------------------------------------------------------
 */

static t3d_real frozen[64 * 64];

/* A chain of products whose activations grow with the batch. */
static struct t3d_graph *chain(void *arg, int64_t batch, struct t3d_err *err)
{
    struct t3d_plan plan = *(struct t3d_plan *)arg;
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(batch, 64));

    x = t3d_matmul(g, x, t3d_graph_constant(g, "w", T3D_SHAPE(64, 64), frozen), T3D_NONE,
                   T3D_ACT_NONE);
    x = t3d_matmul(g, x, t3d_graph_param(g, "v", T3D_SHAPE(64, 64)), T3D_NONE, T3D_ACT_GELU);
    x = t3d_mean(g, t3d_mul(g, x, x), -1);
    if (plan.loss.node >= 0)
        plan.loss = x;
    if (t3d_graph_build(g, &plan, err) < 0) {
        t3d_graph_free(g);
        return NULL;
    }
    return g;
}

static void a_dry_plan_says_what_a_real_one_takes(void **state)
{
    struct t3d_plan plan = {.loss = {0, 0}}, dry = {.loss = {0, 0}, .dry = 1};
    struct t3d_err err = {0};
    struct t3d_graph *a = chain(&plan, 100, &err), *b = chain(&dry, 100, &err);
    struct t3d_graph_size x, y;
    int64_t n;

    (void)state;
    assert_true(a && b);
    t3d_graph_size(a, &x);
    t3d_graph_size(b, &y);
    assert_true(x.arena_bytes == y.arena_bytes && x.total_bytes == y.total_bytes);
    assert_true(x.constant_bytes == 64 * 64 * sizeof(t3d_real) && x.state_bytes == y.state_bytes);
    assert_true(x.grad_bytes == x.param_bytes && x.forward_flops == y.forward_flops);
    assert_int_equal(t3d_graph_forward(b, &err), T3D_USAGE);
    assert_null(t3d_graph_data(b, t3d_graph_find(b, "x")));
    assert_null(t3d_graph_param_block(b, &n));
    t3d_graph_free(a);
    t3d_graph_free(b);
}

static void the_largest_batch_is_the_last_that_fits(void **state)
{
    struct t3d_plan dry = {.loss = {0, 0}, .dry = 1};
    struct t3d_err err = {0};
    int64_t batch;

    (void)state;
    for (int64_t want = 0; want < 40; want += 13) {
        struct t3d_graph *g = chain(&dry, want + 1, &err);
        struct t3d_graph_size s;

        assert_non_null(g);
        t3d_graph_size(g, &s);
        t3d_graph_free(g);
        assert_int_equal(
            t3d_report_largest_batch(chain, &dry, s.total_bytes - 1, 1000, &batch, &err), T3D_OK);
        assert_int_equal(batch, want);
    }
    assert_int_equal(t3d_report_largest_batch(chain, &dry, SIZE_MAX, 37, &batch, &err), T3D_OK);
    assert_int_equal(batch, 37);
    assert_true(t3d_report_memory() > 1 << 20);
}

static void reports_name_memory_and_time(void **state)
{
    struct t3d_plan plan = {.loss = {0, 0}, .profile = 1};
    struct t3d_err err = {0};
    struct t3d_graph *g = chain(&plan, 8, &err);
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    assert_true(g && f);
    assert_int_equal(t3d_graph_forward(g, &err), T3D_OK);
    assert_int_equal(t3d_report_plan(f, g), 0);
    assert_int_equal(t3d_report_profile(f, g, 2), 0);
    fclose(f);
    assert_non_null(strstr(text, "in all"));
    assert_non_null(strstr(text, "\nmatmul_act "));
    assert_non_null(strstr(text, "slowest nodes"));
    assert_int_equal(t3d_graph_row_at(g, t3d_graph_n_rows(g) - 1).runs, 1);
    free(text);
    t3d_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_packs_a_constant_once),
        cmocka_unit_test(a_mapped_constant_leaves_memory),
        cmocka_unit_test(graphs_of_two_shapes_share_parameters),
        cmocka_unit_test(parameters_that_do_not_fit_are_refused),
        cmocka_unit_test(a_dry_plan_says_what_a_real_one_takes),
        cmocka_unit_test(the_largest_batch_is_the_last_that_fits),
        cmocka_unit_test(reports_name_memory_and_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
