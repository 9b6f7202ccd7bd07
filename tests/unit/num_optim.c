/* SPDX-License-Identifier: Apache-2.0 */
/* The optimiser against a naive one in double. */
#include "num/optim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "num/ops.h"

enum { ROWS = 37, COLUMNS = 501, BIAS = 19, STEPS = 20 };

static struct t3d_graph *make(int threads)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, threads);
    struct t3d_ref w = t3d_graph_param(g, "w", T3D_SHAPE(ROWS, COLUMNS));
    struct t3d_ref b = t3d_graph_param(g, "b", T3D_SHAPE(BIAS));
    struct t3d_plan plan = {.loss = t3d_add(g, t3d_sum(g, w, -1), t3d_sum(g, b, -1))};
    struct t3d_err err = {0};

    if (t3d_graph_build(g, &plan, &err) < 0)
        fail_msg("%s", err.msg);
    return g;
}

/* Made-up numbers of a parameter's data or gradient at a step. */
static void fill(t3d_real *x, int64_t n, int step, int what)
{
    struct t3d_rng r = t3d_rng_for((uint64_t)step, "optim", (uint64_t)what);

    for (int64_t i = 0; i < n; i++)
        x[i] = (t3d_real)t3d_rng_normal(&r);
}

struct naive {
    double w[ROWS * COLUMNS], m[ROWS * COLUMNS], v[ROWS * COLUMNS];
};

static void naive_step(struct naive *a, const t3d_real *g, int n, int t, double lr, double decay)
{
    for (int i = 0; i < n; i++) {
        a->m[i] = 0.9 * a->m[i] + 0.1 * (double)g[i];
        a->v[i] = 0.999 * a->v[i] + 0.001 * (double)g[i] * (double)g[i];
        a->w[i] -=
            lr * (a->m[i] / (1 - pow(0.9, t)) / (sqrt(a->v[i] / (1 - pow(0.999, t))) + 1e-8) +
                  decay * a->w[i]);
    }
}

static void check(const t3d_real *w, const struct naive *a, int n)
{
    for (int i = 0; i < n; i++)
        if (!(fabs((double)w[i] - a->w[i]) < 2e-5))
            fail_msg("element %d is %.9g, not %.9g", i, (double)w[i], a->w[i]);
}

static void adamw_equals_the_paper(void **state)
{
    struct t3d_graph *g = make(2);
    struct t3d_adamw *opt =
        t3d_adamw_new(g, &(struct t3d_adamw_config){0.9, 0.999, 1e-8, .weight_decay = 0.1});
    struct t3d_ref w = t3d_graph_find(g, "w"), b = t3d_graph_find(g, "b");
    struct naive *big = calloc(1, sizeof *big), *small = calloc(1, sizeof *small);

    (void)state;
    assert_true(opt && big && small);
    fill(t3d_graph_data(g, w), ROWS * COLUMNS, 0, 0);
    fill(t3d_graph_data(g, b), BIAS, 0, 1);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        big->w[i] = (double)((t3d_real *)t3d_graph_data(g, w))[i];
    for (int i = 0; i < BIAS; i++)
        small->w[i] = (double)((t3d_real *)t3d_graph_data(g, b))[i];
    for (int t = 1; t <= STEPS; t++) {
        fill(t3d_graph_grad(g, w), ROWS * COLUMNS, t, 2);
        fill(t3d_graph_grad(g, b), BIAS, t, 3);
        naive_step(big, t3d_graph_grad(g, w), ROWS * COLUMNS, t, 0.01 * t, 0.1);
        naive_step(small, t3d_graph_grad(g, b), BIAS, t, 0.01 * t, 0); /* one axis: no decay */
        t3d_adamw_step(opt, g, 0.01 * t);
    }
    check(t3d_graph_data(g, w), big, ROWS * COLUMNS);
    check(t3d_graph_data(g, b), small, BIAS);
    free(big);
    free(small);
    t3d_adamw_free(opt);
    t3d_graph_free(g);
}

static void clipping_scales_to_the_norm(void **state)
{
    struct t3d_graph *one = make(1), *three = make(3);
    double sum = 0, norm, after = 0;
    int64_t n;
    t3d_real *g;

    (void)state;
    for (int k = 0; k < 2; k++) {
        g = t3d_graph_grad(k ? three : one, t3d_graph_find(one, "w"));
        fill(g, ROWS * COLUMNS, 7, 0);
        fill(t3d_graph_grad(k ? three : one, t3d_graph_find(one, "b")), BIAS, 7, 1);
    }
    g = t3d_graph_grad_block(one, &n);
    for (int64_t i = 0; i < n; i++)
        sum += (double)g[i] * (double)g[i];
    norm = t3d_grad_clip(one, 0.5);
    assert_true(fabs(norm - sqrt(sum)) < 1e-6 * norm);
    for (int64_t i = 0; i < n; i++)
        after += (double)g[i] * (double)g[i];
    assert_true(fabs(sqrt(after) - 0.5) < 1e-6);
    assert_true(t3d_grad_clip(three, 0.5) == norm);
    assert_memory_equal(g, t3d_graph_grad_block(three, &n), (size_t)n * sizeof *g);
    assert_true(t3d_grad_clip(one, 1) < 0.500001); /* small enough: stays */
    g[3] = (t3d_real)INFINITY;
    assert_true(isinf(t3d_grad_clip(one, 1)) && isinf(g[3]));
    t3d_graph_free(one);
    t3d_graph_free(three);
}

static void ema_follows(void **state)
{
    struct t3d_graph *g = make(2);
    int64_t n;
    t3d_real *w = t3d_graph_param_block(g, &n), *ema = calloc((size_t)n, sizeof *ema);
    double *want = calloc((size_t)n, sizeof *want);

    (void)state;
    assert_true(ema && want);
    for (int t = 0; t < 10; t++) {
        fill(w, n, t, 5);
        t3d_ema_update(ema, g, 0.9);
        for (int64_t i = 0; i < n; i++)
            want[i] = 0.9 * want[i] + 0.1 * (double)w[i];
    }
    for (int64_t i = 0; i < n; i++)
        assert_true(fabs((double)ema[i] - want[i]) < 1e-5);
    free(want);
    free(ema);
    t3d_graph_free(g);
}

static void the_schedule_has_its_corners(void **state)
{
    (void)state;
    assert_true(fabs(t3d_warmup_cosine(0, 10, 110, 2, 0.5) - 0.2) < 1e-12);
    assert_true(fabs(t3d_warmup_cosine(9, 10, 110, 2, 0.5) - 2) < 1e-12);
    assert_true(fabs(t3d_warmup_cosine(10, 10, 110, 2, 0.5) - 2) < 1e-12);
    assert_true(fabs(t3d_warmup_cosine(60, 10, 110, 2, 0.5) - 1.25) < 1e-12);
    assert_true(t3d_warmup_cosine(110, 10, 110, 2, 0.5) == 0.5);
    assert_true(t3d_warmup_cosine(1000, 10, 110, 2, 0.5) == 0.5);
    assert_true(t3d_warmup_cosine(0, 0, 1, 2, 0.5) == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_equals_the_paper),
        cmocka_unit_test(clipping_scales_to_the_norm),
        cmocka_unit_test(ema_follows),
        cmocka_unit_test(the_schedule_has_its_corners),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
