/* SPDX-License-Identifier: Apache-2.0 */
/* Segments that are computed again: the same bits, by so much less memory as a count of the values
 * says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "draw/splat.h"
#include "num/ops.h"
#include "num/report.h"
#include "wait_asleep.h"

enum { BATCH = 2, TOKENS = 5, WIDTH = 16 };

/* --- graphs --------------------------------------------------------------------------------------
 */

struct net {
    struct t3d_graph *g;
    struct t3d_ref loss, also; /* another value that is kept, or none */
};

static struct t3d_ref weight(struct net *n, const char *what, int i, int64_t rows, int64_t columns)
{
    char name[32];

    snprintf(name, sizeof name, "%s.%d", what, i);
    return t3d_graph_param(n->g, name, columns ? T3D_SHAPE(rows, columns) : T3D_SHAPE(rows));
}

static struct t3d_ref tokens(struct net *n)
{
    struct t3d_ref x = t3d_graph_input(n->g, "x", T3D_SHAPE(BATCH, TOKENS, WIDTH));

    return t3d_matmul(n->g, x, weight(n, "in", 0, WIDTH, WIDTH), T3D_NONE, T3D_ACT_NONE);
}

static void compare(struct net *n, struct t3d_ref y)
{
    struct t3d_ref target = t3d_graph_input(n->g, "target", t3d_graph_shape(n->g, y));

    n->loss = t3d_mse(n->g, y, target, T3D_NONE);
}

static void chain(struct net *n)
{
    struct t3d_ref x = tokens(n);

    for (int i = 0; i < 4; i++) {
        t3d_graph_segment_begin(n->g);
        x = t3d_linear(n->g, t3d_tanh(n->g, x), 1.5, 0.1); /* in place, the first time */
        x = t3d_add(n->g, t3d_silu(n->g, x), t3d_sigmoid(n->g, x));
        x = t3d_softmax(n->g, t3d_linear(n->g, x, 3, 0));
        t3d_graph_segment_end(n->g);
    }
    compare(n, x);
}

/* A block of a transformer, with activations before which a value is kept for backward, residuals
 * before and behind them, a split, and views. */
static struct t3d_ref block(struct net *n, struct t3d_ref x, int i)
{
    const struct t3d_attention attention = {.heads = 2};
    struct t3d_graph *g = n->g;
    struct t3d_ref h, part[3], flat;

    h = t3d_layer_norm(g, x, weight(n, "gain", i, WIDTH, 0), weight(n, "bias", i, WIDTH, 0), 1e-5);
    h = t3d_matmul(g, h, weight(n, "qkv", i, 3 * WIDTH, WIDTH), T3D_NONE, T3D_ACT_NONE);
    t3d_split(g, h, 2, 3, part);
    part[0] = t3d_rms_norm(g, t3d_graph_view(g, part[0], T3D_SHAPE(BATCH, TOKENS, 2, WIDTH / 2)),
                           weight(n, "query", i, WIDTH / 2, 0), 1e-6);
    part[0] = t3d_graph_view(g, part[0], T3D_SHAPE(BATCH, TOKENS, WIDTH));
    h = t3d_attend(g, part[0], part[1], part[2], T3D_NONE, T3D_NONE, &attention);
    x = t3d_matmul_add(g, h, weight(n, "out", i, WIDTH, WIDTH), T3D_NONE, T3D_ACT_NONE, x);
    h = t3d_rms_norm(g, x, T3D_NONE, 1e-6);
    h = t3d_matmul(g, h, weight(n, "up", i, 2 * WIDTH, WIDTH), weight(n, "shift", i, 2 * WIDTH, 0),
                   T3D_ACT_GELU);
    h = t3d_matmul(g, h, weight(n, "down", i, WIDTH, 2 * WIDTH), T3D_NONE, T3D_ACT_NONE);
    flat = t3d_graph_view(g, t3d_add(g, x, h), T3D_SHAPE(BATCH * TOKENS, WIDTH));
    h = t3d_matmul_add(g, flat, weight(n, "more", i, WIDTH, WIDTH), T3D_NONE, T3D_ACT_SILU, flat);
    return t3d_graph_view(g, h, T3D_SHAPE(BATCH, TOKENS, WIDTH));
}

static void residual_blocks(struct net *n)
{
    struct t3d_ref x = tokens(n);

    for (int i = 0; i < 3; i++) {
        t3d_graph_segment_begin(n->g);
        x = block(n, x, i);
        t3d_graph_segment_end(n->g);
    }
    compare(n, x);
}

/* One weight in all segments and outside: its gradient gathers from all of them, in their order. */
static void shared_parameters(struct net *n)
{
    struct t3d_ref x = tokens(n), w = weight(n, "shared", 0, WIDTH, WIDTH);

    for (int i = 0; i < 3; i++) {
        t3d_graph_segment_begin(n->g);
        x = t3d_matmul(n->g, t3d_silu(n->g, x), w, T3D_NONE, T3D_ACT_QUICK_GELU);
        x = t3d_matmul_add(n->g, x, w, T3D_NONE, T3D_ACT_NONE, x);
        t3d_graph_segment_end(n->g);
    }
    compare(n, t3d_matmul(n->g, x, w, T3D_NONE, T3D_ACT_NONE));
}

/* Values from the middle of a segment are read in it, in a later one and at the end, or kept. */
static void used_in_and_outside(struct net *n)
{
    struct t3d_ref x = tokens(n), middle[3], part[2], half;

    for (int i = 0; i < 3; i++) {
        t3d_graph_segment_begin(n->g);
        middle[i] = t3d_silu(n->g, t3d_linear(n->g, x, 1, 0.2 * i));
        t3d_split(n->g, t3d_sigmoid(n->g, middle[i]), 2, 2, part);
        if (i == 1)
            n->also = t3d_linear(n->g, part[1], 2, 0);
        half = t3d_mul(n->g, part[0], i == 1 ? n->also : part[1]);
        x = t3d_matmul(n->g, half, weight(n, "w", i, WIDTH, WIDTH / 2), T3D_NONE, T3D_ACT_RELU);
        if (i == 2)
            x = t3d_mul(n->g, x, middle[0]);
        t3d_graph_segment_end(n->g);
    }
    t3d_graph_keep(n->g, n->also);
    compare(n, t3d_add(n->g, t3d_mul(n->g, middle[1], middle[2]), x));
}

/* Losses whose backward reads what forward has left, tables and rows, all within segments; the last
 * holds the loss itself. */
static void losses_inside(struct net *n)
{
    struct t3d_graph *g = n->g;
    struct t3d_ref ids = t3d_graph_input(g, "ids", T3D_SHAPE_INT(BATCH, TOKENS));
    struct t3d_ref row = t3d_graph_input(g, "row", T3D_SHAPE_INT(BATCH, 3));
    struct t3d_ref log_scale = weight(n, "log_scale", 0, 1, 0), x, a, b, first;

    t3d_graph_segment_begin(g);
    x = t3d_embedding(g, weight(n, "table", 0, 4, WIDTH), ids);
    x = t3d_scatter(g, t3d_gather(g, t3d_gelu(g, x), row), row, TOKENS);
    x = t3d_graph_view(g, x, T3D_SHAPE(BATCH * TOKENS, WIDTH));
    t3d_graph_segment_end(g);
    t3d_graph_segment_begin(g);
    a = t3d_unit_rows(g, x, 1e-3);
    b = t3d_matmul(g, a, weight(n, "w", 0, WIDTH, WIDTH), T3D_NONE, T3D_ACT_NONE);
    first = t3d_contrastive(g, a, t3d_unit_rows(g, b, 1e-3), log_scale);
    first = t3d_mul(g, first, first);
    t3d_graph_segment_end(g);
    t3d_graph_segment_begin(g);
    ids = t3d_graph_view(g, ids, T3D_SHAPE_INT(BATCH * TOKENS));
    x = t3d_cross_entropy(g, t3d_linear(g, b, 4, 0), ids);
    n->loss = t3d_add(g, t3d_mul(g, x, x), first);
    t3d_graph_segment_end(g);
}

/* The rasteriser once in a segment, once behind them. */
static void drawn(struct net *n)
{
    enum { GAUSSIANS = 40, SIDE = 12 };
    static const int width[] = {3, 3, 4, 1, 3};
    const struct t3d_splat splat = {.width = SIDE, .height = SIDE};
    struct t3d_graph *g = n->g;
    struct t3d_ref x, in[5], cameras, rgb[2];

    cameras = t3d_graph_input(g, "cameras", T3D_SHAPE(BATCH, 2, T3D_SPLAT_CAMERA));
    x = t3d_graph_input(g, "x", T3D_SHAPE(BATCH, GAUSSIANS, 14));
    for (int i = 0; i < 2; i++) {
        t3d_graph_segment_begin(g);
        x = t3d_matmul(g, x, weight(n, "w", i, 14, 14), T3D_NONE, T3D_ACT_SILU);
        for (int k = 0, at = 0; k < 5; at += width[k++])
            in[k] =
                t3d_linear(g, t3d_slice(g, x, 2, at, width[k]), k == 1 ? 0.1 : 1, k == 1 ? -1 : 0);
        if (i == 1)
            t3d_graph_segment_end(g);
        rgb[i] = t3d_splat(g, in[0], in[1], in[2], in[3], in[4], cameras, &splat);
        rgb[i] = t3d_silu(g, t3d_add(g, rgb[i], t3d_graph_output(rgb[i], 1)));
        if (i == 0)
            t3d_graph_segment_end(g);
    }
    compare(n, t3d_sub(g, rgb[0], rgb[1]));
}

static const struct {
    const char *name;
    void (*make)(struct net *n);
} graphs[] = {{"chain", chain},
              {"residual blocks", residual_blocks},
              {"shared parameters", shared_parameters},
              {"used in and outside", used_in_and_outside},
              {"losses inside", losses_inside},
              {"drawn", drawn}};

/* --- bits ----------------------------------------------------------------------------------------
 */

static void put(struct t3d_graph *g, struct t3d_ref r, const char *name, int step)
{
    struct t3d_shape s = t3d_graph_shape(g, r);
    struct t3d_rng rng = t3d_rng_for(7, name, (uint64_t)step);
    void *p = t3d_graph_data(g, r);

    for (int64_t i = 0; i < t3d_shape_count(&s); i++)
        if (s.type == T3D_INT)
            ((int32_t *)p)[i] = (int32_t)(3 * t3d_rng_uniform(&rng));
        else
            ((t3d_real *)p)[i] = (t3d_real)(0.5 * t3d_rng_normal(&rng));
}

/* In front of the camera, whatever the numbers are. */
static void put_cameras(struct t3d_graph *g, struct t3d_ref r)
{
    static const t3d_real row[T3D_SPLAT_CAMERA] = {9, 9, 6, 6, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 4};
    struct t3d_shape s = t3d_graph_shape(g, r);
    t3d_real *p = t3d_graph_data(g, r);

    for (int64_t i = 0; i < s.dim[0] * s.dim[1]; i++) {
        memcpy(p + i * T3D_SPLAT_CAMERA, row, sizeof row);
        p[i * T3D_SPLAT_CAMERA + T3D_SPLAT_CX] += (t3d_real)i;
    }
}

static void fill(struct t3d_graph *g, int step)
{
    static const char *const inputs[] = {"x", "target", "ids", "row", "cameras"};

    for (int i = 0; i < t3d_graph_n_params(g); i++) {
        const char *name;
        struct t3d_ref r = t3d_graph_param_at(g, i, &name);

        put(g, r, name, step);
    }
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct t3d_ref r = t3d_graph_find(g, inputs[i]);

        if (r.node >= 0 && strcmp(inputs[i], "cameras") == 0)
            put_cameras(g, r);
        else if (r.node >= 0)
            put(g, r, inputs[i], step);
    }
}

static struct net make(void (*make_graph)(struct net *n), int threads, int recompute)
{
    struct net n = {t3d_graph_new(T3D_CPU, threads), T3D_NONE, T3D_NONE};
    struct t3d_plan plan = {.recompute = recompute, .check_finite = 1, .poison = 1};
    struct t3d_err err = {0};

    assert_non_null(n.g);
    make_graph(&n);
    plan.loss = n.loss;
    if (t3d_graph_build(n.g, &plan, &err) < 0)
        fail_msg("%s", err.msg);
    return n;
}

static void run(struct net *n, int step)
{
    struct t3d_err err = {0};

    fill(n->g, step);
    t3d_graph_zero_grad(n->g);
    if (t3d_graph_forward(n->g, &err) < 0 || t3d_graph_backward(n->g, &err) < 0)
        fail_msg("%s", err.msg);
}

static void must_be_equal(struct net *a, struct net *b, const char *name, int threads)
{
    int64_t n, m;
    const t3d_real *x = t3d_graph_grad_block(a->g, &n), *y = t3d_graph_grad_block(b->g, &m);
    struct t3d_shape s = t3d_graph_shape(a->g, a->also);

    assert_true(n == m);
    if (memcmp(t3d_graph_data(a->g, a->loss), t3d_graph_data(b->g, b->loss), sizeof *x))
        fail_msg("%s, %d threads: another loss", name, threads);
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&x[i], &y[i], sizeof *x))
            fail_msg("%s, %d threads: gradient %d is %g, was %g", name, threads, (int)i,
                     (double)y[i], (double)x[i]);
    if (a->also.node >= 0)
        assert_memory_equal(t3d_graph_data(a->g, a->also), t3d_graph_data(b->g, b->also),
                            t3d_shape_bytes(&s));
}

/* A gradient of nothing but zeros would be equal, too. */
static void must_have_gradients(struct net *n, const char *name)
{
    for (int i = 0; i < t3d_graph_n_params(n->g); i++) {
        const char *parameter;
        struct t3d_ref r = t3d_graph_param_at(n->g, i, &parameter);
        struct t3d_shape s = t3d_graph_shape(n->g, r);
        const t3d_real *d = t3d_graph_grad(n->g, r);
        int found = 0;

        for (int64_t k = 0; k < t3d_shape_count(&s); k++)
            found |= d[k] != 0;
        if (!found)
            fail_msg("%s: %s has no gradient", name, parameter);
    }
}

static void no_bit_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        struct net plain = make(graphs[i].make, 1, 0);

        for (int threads = 1; threads <= 3; threads++) {
            struct net again = make(graphs[i].make, threads, 1);

            for (int step = 0; step < 2; step++) {
                run(&plain, step);
                run(&again, step);
                must_be_equal(&plain, &again, graphs[i].name, threads);
            }
            t3d_graph_free(again.g);
        }
        must_have_gradients(&plain, graphs[i].name);
        t3d_graph_free(plain.g);
    }
}

/* What is computed again takes its time in backward, and only there. */
static void something_is_computed_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        struct net plain = make(graphs[i].make, 1, 0), again = make(graphs[i].make, 1, 1);
        struct t3d_graph_size a, b;

        t3d_graph_size(plain.g, &a);
        t3d_graph_size(again.g, &b);
        assert_true(a.again_flops == 0 && b.again_flops > 0 && b.again_flops < b.forward_flops);
        assert_true(b.backward_flops == a.backward_flops + b.again_flops);
        assert_true(b.forward_flops == a.forward_flops);
        assert_true(b.arena_bytes <= a.arena_bytes);
        t3d_graph_free(plain.g);
        t3d_graph_free(again.g);
    }
}

/* --- memory --------------------------------------------------------------------------------------
 */

enum { ONE = 1024 /* a value's place: a multiple of 64 bytes */ };

/* n segments of k activations each, then m behind them, and their sum. The first reads a parameter,
 * which is no value of the plan. */
static struct t3d_graph_size size_of_chain(int n, int k, int m, int recompute)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_ref x = t3d_graph_param(g, "x", T3D_SHAPE(ONE));
    struct t3d_plan plan = {.recompute = recompute, .dry = 1};
    struct t3d_graph_size s;
    struct t3d_err err = {0};

    for (int i = 0; i < n; i++) {
        t3d_graph_segment_begin(g);
        for (int j = 0; j < k; j++)
            x = t3d_silu(g, x);
        t3d_graph_segment_end(g);
    }
    for (int j = 0; j < m; j++)
        x = t3d_silu(g, x);
    plan.loss = t3d_sum(g, x, -1);
    if (t3d_graph_build(g, &plan, &err) < 0)
        fail_msg("%s", err.msg);
    t3d_graph_size(g, &s);
    t3d_graph_free(g);
    return s;
}

static void must_be(struct t3d_graph_size s, int values, int again)
{
    const size_t one = ONE * sizeof(t3d_real), loss = 64;

    if (s.arena_bytes != (size_t)values * one + loss)
        fail_msg("%zu bytes for %d values of %zu bytes and the loss", s.arena_bytes, values, one);
    assert_true(s.again_flops == again * (double)ONE);
}

/* Each backward reads its op's input. When the last begins, the outputs of all nk ops but the last
 * are kept, and beside them lie its two gradients: nk - 1 + 2. Segment i needs the outputs of those
 * before it, of its own k ops all but the last, and two gradients: i - 1 + k - 1 + 2, most for the
 * last one, n + k. There the last segment's values, had they been kept, lie anyway: it runs once,
 * and the k - 1 ops of the n - 1 others twice. With m ops behind the segments n + m - 1 values and
 * two gradients meet when backward begins: where m > k - 1 no segment is kept any more. */
static void memory_falls_as_counted(void **state)
{
    (void)state;
    for (int n = 2; n < 7; n++)
        for (int k = 2; k < 6; k++) {
            must_be(size_of_chain(n, k, 0, 0), n * k + 1, 0);
            must_be(size_of_chain(n, k, 0, 1), n + k, (n - 1) * (k - 1));
            must_be(size_of_chain(n, k, k + 2, 0), n * k + k + 3, 0);
            must_be(size_of_chain(n, k, k + 2, 1), n + k + 3, n * (k - 1));
        }
}

static void the_report_tells_it_apart(void **state)
{
    char text[4096] = "";
    FILE *f = fmemopen(text, sizeof text, "w");
    struct net n = make(residual_blocks, 1, 1);

    (void)state;
    assert_non_null(f);
    assert_int_equal(t3d_report_plan(f, n.g), 0);
    fclose(f);
    assert_non_null(strstr(text, " computed again\n"));
    t3d_graph_free(n.g);
}

/* --- errors --------------------------------------------------------------------------------------
 */

static void odd_segments_are_refused(void **state)
{
    static const struct {
        const char *calls; /* b = begin, e = end */
        const char *says;
    } odd[] = {{"b", "has no end"},
               {"e", "has not begun"},
               {"bb", "within another"},
               {"bee", "has not begun"}};

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
        struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(2));
        struct t3d_err err = {0};

        for (const char *c = odd[i].calls; *c; c++) {
            (*c == 'b' ? t3d_graph_segment_begin : t3d_graph_segment_end)(g);
            x = t3d_silu(g, x);
        }
        assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err), T3D_USAGE);
        assert_non_null(strstr(err.msg, odd[i].says));
        t3d_graph_free(g);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bit_changes),           cmocka_unit_test(something_is_computed_again),
        cmocka_unit_test(memory_falls_as_counted),  cmocka_unit_test(the_report_tells_it_apart),
        cmocka_unit_test(odd_segments_are_refused),
    };

    (void)argc;
    wait_asleep(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
