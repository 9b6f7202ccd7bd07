/* SPDX-License-Identifier: Apache-2.0 */
/* The plan, backward through whole networks, recomputation, and learning. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "num/ops.h"
#include "num/optim.h"
#include "wait_asleep.h"

enum { WIDTH = 16, TOKENS = 6, BATCH = 3, BLOCKS = 3 };

static struct t3d_ref param(struct t3d_graph *g, const char *name, int64_t rows, int64_t columns)
{
    return t3d_graph_param(g, name, columns ? T3D_SHAPE(rows, columns) : T3D_SHAPE(rows));
}

/* A transformer block: what the networks of the project are made of. */
static struct t3d_ref block(struct t3d_graph *g, struct t3d_ref x, int i)
{
    struct t3d_ref h, w[8];
    char name[32];

    for (int k = 0; k < 8; k++) {
        static const int rows[] = {WIDTH, WIDTH, 3 * WIDTH, WIDTH, 2 * WIDTH, WIDTH, WIDTH, WIDTH};
        static const int columns[] = {0, 0, WIDTH, WIDTH, WIDTH, 2 * WIDTH, 0, 0};

        snprintf(name, sizeof name, "blocks.%d.%d", i, k);
        w[k] = param(g, name, rows[k], columns[k]);
    }
    t3d_graph_segment_begin(g);
    t3d_graph_scope(g, "blocks.%d", i);
    h = t3d_layer_norm(g, x, w[0], w[1], 1e-5);
    h = t3d_matmul(g, h, w[2], T3D_NONE, T3D_ACT_NONE);
    h = t3d_attend_packed(g, h, T3D_NONE, T3D_NONE, &(struct t3d_attention){.heads = 2});
    x = t3d_matmul_add(g, h, w[3], T3D_NONE, T3D_ACT_NONE, x);
    h = t3d_layer_norm(g, x, w[6], w[7], 1e-5);
    h = t3d_matmul(g, h, w[4], T3D_NONE, T3D_ACT_GELU);
    x = t3d_matmul_add(g, h, w[5], T3D_NONE, T3D_ACT_NONE, x);
    t3d_graph_segment_end(g);
    return x;
}

struct net {
    struct t3d_graph *g;
    struct t3d_ref x, target, loss;
};

static void fill_params(struct t3d_graph *g, uint64_t seed)
{
    for (int i = 0; i < t3d_graph_n_params(g); i++) {
        const char *name;
        struct t3d_ref r = t3d_graph_param_at(g, i, &name);
        struct t3d_shape s = t3d_graph_shape(g, r);
        struct t3d_rng rng = t3d_rng_for(seed, name, 0);
        t3d_real *w = t3d_graph_data(g, r);

        for (int64_t j = 0; j < t3d_shape_count(&s); j++)
            w[j] = (t3d_real)(t3d_rng_normal(&rng) / sqrt((double)s.dim[s.n - 1]));
    }
}

static void fill_input(struct t3d_graph *g, struct t3d_ref r, uint64_t seed)
{
    struct t3d_shape s = t3d_graph_shape(g, r);
    struct t3d_rng rng = t3d_rng_for(seed, "input", 0);
    t3d_real *x = t3d_graph_data(g, r);

    for (int64_t j = 0; j < t3d_shape_count(&s); j++)
        x[j] = (t3d_real)t3d_rng_normal(&rng);
}

static struct net make_net(int recompute, int poison)
{
    struct net n = {.g = t3d_graph_new(T3D_CPU, 2)};
    struct t3d_err err = {0};
    struct t3d_ref y;

    assert_non_null(n.g);
    n.x = t3d_graph_input(n.g, "x", T3D_SHAPE(BATCH, TOKENS, WIDTH));
    n.target = t3d_graph_input(n.g, "target", T3D_SHAPE(BATCH, TOKENS, WIDTH));
    y = t3d_matmul(n.g, n.x, param(n.g, "first", WIDTH, WIDTH), T3D_NONE, T3D_ACT_NONE);
    for (int i = 0; i < BLOCKS; i++)
        y = block(n.g, y, i);
    n.loss = t3d_mse(n.g, y, n.target, T3D_NONE);
    if (t3d_graph_build(
            n.g,
            &(struct t3d_plan){
                .loss = n.loss, .recompute = recompute, .check_finite = 1, .poison = poison},
            &err) < 0)
        fail_msg("%s", err.msg);
    fill_params(n.g, 1);
    fill_input(n.g, n.x, 2);
    fill_input(n.g, n.target, 3);
    return n;
}

static void step(struct net *n)
{
    struct t3d_err err = {0};

    t3d_graph_zero_grad(n->g);
    if (t3d_graph_forward(n->g, &err) < 0 || t3d_graph_backward(n->g, &err) < 0)
        fail_msg("%s", err.msg);
}

/* --- the plan -----------------------------------------------------------------------------------
 */

static void check_slots(struct t3d_graph *g)
{
    int n = t3d_graph_n_slots(g);
    struct t3d_graph_size size;

    t3d_graph_size(g, &size);
    for (int i = 0; i < n; i++) {
        struct t3d_graph_slot a = t3d_graph_slot_at(g, i);

        assert_true(a.first <= a.last && a.offset % 64 == 0);
        assert_true(a.offset + a.bytes <= size.arena_bytes);
        for (int j = 0; j < i; j++) {
            struct t3d_graph_slot b = t3d_graph_slot_at(g, j);
            int apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;

            if (a.in_place_of >= 0 || b.in_place_of >= 0)
                continue; /* their memory is that of the slot they go on with */
            if (!apart && a.first <= b.last && b.first <= a.last)
                fail_msg("slots %d and %d live at the same time in the same place", i, j);
        }
    }
}

static void live_values_never_overlap(void **state)
{
    struct net plain = make_net(0, 0), again = make_net(1, 0);
    struct t3d_graph_size a, b;

    (void)state;
    check_slots(plain.g);
    check_slots(again.g);
    t3d_graph_size(plain.g, &a);
    t3d_graph_size(again.g, &b);
    assert_true(a.arena_bytes < a.unplanned_bytes / 2);
    assert_true(b.arena_bytes < a.arena_bytes); /* what recomputation is for */
    assert_true(b.backward_flops > a.backward_flops);
    assert_true(a.forward_flops == b.forward_flops && a.n_params == 1 + 8 * BLOCKS);
    t3d_graph_free(plain.g);
    t3d_graph_free(again.g);
}

static void a_chain_runs_in_place(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(1000));
    struct t3d_graph_size size;
    struct t3d_err err = {0};
    t3d_real *y;

    (void)state;
    for (int i = 0; i < 5; i++)
        x = t3d_linear(g, x, 2, 1);
    assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err), T3D_OK);
    t3d_graph_size(g, &size);
    assert_true(size.arena_bytes < 2 * 1000 * sizeof(t3d_real));
    fill_input(g, t3d_graph_find(g, "x"), 1);
    assert_int_equal(t3d_graph_forward(g, &err), T3D_OK);
    y = t3d_graph_data(g, x);
    for (int i = 0; i < 1000; i++) {
        double want = ((t3d_real *)t3d_graph_data(g, t3d_graph_find(g, "x")))[i];

        for (int k = 0; k < 5; k++)
            want = 2 * want + 1;
        assert_true(fabs((double)y[i] - want) < 1e-3);
    }
    t3d_graph_free(g);
}

static void flops_are_those_of_the_products(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(5, 7)), w = param(g, "w", 3, 7);
    struct t3d_ref y = t3d_matmul(g, x, w, T3D_NONE, T3D_ACT_NONE);
    struct t3d_graph_size size;
    struct t3d_err err = {0};

    (void)state;
    assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err), T3D_OK);
    t3d_graph_size(g, &size);
    assert_true(size.forward_flops == 2 * 5 * 7 * 3 && size.backward_flops == 0);
    assert_non_null(t3d_graph_data(g, y));
    t3d_graph_free(g);
}

/* --- bits ---------------------------------------------------------------------------------------
 */

static void recomputation_and_poison_change_no_bit(void **state)
{
    struct net plain = make_net(0, 0), again = make_net(1, 1);
    int64_t n;

    (void)state;
    step(&plain);
    step(&again);
    assert_memory_equal(t3d_graph_data(plain.g, plain.loss), t3d_graph_data(again.g, again.loss),
                        sizeof(t3d_real));
    t3d_graph_grad_block(plain.g, &n);
    assert_memory_equal(t3d_graph_grad_block(plain.g, &n), t3d_graph_grad_block(again.g, &n),
                        (size_t)n * sizeof(t3d_real));
    t3d_graph_free(plain.g);
    t3d_graph_free(again.g);
}

static void gradients_accumulate_until_cleared(void **state)
{
    struct net n = make_net(0, 0);
    struct t3d_err err = {0};
    t3d_real *grad, once[WIDTH * WIDTH];

    (void)state;
    step(&n);
    grad = t3d_graph_grad(n.g, t3d_graph_find(n.g, "first"));
    memcpy(once, grad, sizeof once);
    assert_int_equal(t3d_graph_forward(n.g, &err), T3D_OK);
    assert_int_equal(t3d_graph_backward(n.g, &err), T3D_OK);
    for (int i = 0; i < WIDTH * WIDTH; i++)
        assert_true(fabs((double)grad[i] - 2 * (double)once[i]) <=
                    1e-5 * (1 + fabs((double)once[i])));
    assert_int_equal(t3d_graph_backward(n.g, &err), T3D_USAGE); /* no forward since */
    t3d_graph_free(n.g);
}

/* A sum that uses one value in many ways, against its derivative by hand: y = x x + 3 x + x, a view
 * and a slice of x; dy/dx = 2 x + 4, plus 1 for the view, plus 1 for the first half. */
static void one_value_gathers_from_all_its_uses(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_ref x = t3d_graph_param(g, "x", T3D_SHAPE(8)), h = t3d_linear(g, x, 1, 0);
    struct t3d_ref y = t3d_add(g, t3d_add(g, t3d_mul(g, h, h), t3d_linear(g, h, 3, 0)), h);
    struct t3d_ref view = t3d_graph_view(g, h, T3D_SHAPE(2, 4));
    struct t3d_ref loss = t3d_add(g, t3d_sum(g, y, -1), t3d_sum(g, view, -1));
    struct t3d_err err = {0};
    t3d_real *data, *grad;

    (void)state;
    loss = t3d_add(g, loss, t3d_sum(g, t3d_slice(g, view, 0, 0, 1), -1));
    if (t3d_graph_build(g, &(struct t3d_plan){.loss = loss, .poison = 1}, &err) < 0)
        fail_msg("%s", err.msg);
    fill_params(g, 5);
    assert_int_equal(t3d_graph_forward(g, &err), T3D_OK);
    assert_int_equal(t3d_graph_backward(g, &err), T3D_OK);
    data = t3d_graph_data(g, x);
    grad = t3d_graph_grad(g, x);
    for (int i = 0; i < 8; i++)
        assert_true(fabs((double)grad[i] - (2 * (double)data[i] + 5 + (i < 4))) < 1e-5);
    t3d_graph_free(g);
}

/* --- errors -------------------------------------------------------------------------------------
 */

static void the_first_complaint_is_reported_at_build(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(2, 3)), w = param(g, "w", 4, 5);
    struct t3d_err err = {0};

    (void)state;
    t3d_graph_scope(g, "head");
    x = t3d_matmul(g, x, w, T3D_NONE, T3D_ACT_NONE);
    x = t3d_softmax(g, x);
    assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = x}, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "head"));
    assert_non_null(strstr(err.msg, "(2, 3), (4, 5)"));
    t3d_graph_free(g);
}

static void bad_graphs_are_refused(void **state)
{
    const struct t3d_shape huge = T3D_SHAPE((int64_t)1 << 40, (int64_t)1 << 40);
    struct t3d_err err = {0};

    (void)state;
    for (int i = 0; i < 5; i++) {
        struct t3d_graph *g = t3d_graph_new(i == 4 ? T3D_CUDA : T3D_CPU, 1);
        struct t3d_ref x = t3d_graph_input(g, "x", i == 0 ? huge : T3D_SHAPE(2, 3));
        struct t3d_ref loss = t3d_sum(g, x, -1);

        if (i == 1)
            t3d_graph_input(g, "x", T3D_SHAPE(1));
        if (i == 2)
            loss = x;
        /* 3: a loss without a parameter */
        assert_int_equal(
            t3d_graph_build(g, &(struct t3d_plan){.loss = i == 4 ? T3D_NONE : loss}, &err),
            T3D_USAGE);
        t3d_graph_free(g);
    }
}

static void a_nan_is_named(void **state)
{
    struct net n = make_net(0, 0);
    struct t3d_err err = {0};
    t3d_real *w = t3d_graph_data(n.g, t3d_graph_find(n.g, "blocks.1.4"));

    (void)state;
    w[7] = (t3d_real)NAN;
    assert_int_equal(t3d_graph_forward(n.g, &err), T3D_FAIL);
    assert_non_null(strstr(err.msg, "blocks.1/matmul_act"));
    t3d_graph_free(n.g);
}

static void an_index_out_of_range_is_an_error(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_ref ids = t3d_graph_input(g, "ids", T3D_SHAPE_INT(2));
    struct t3d_ref y = t3d_embedding(g, param(g, "table", 4, 3), ids);
    struct t3d_err err = {0};

    (void)state;
    assert_true(y.node >= 0);
    assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err), T3D_OK);
    ((int32_t *)t3d_graph_data(g, ids))[1] = 4;
    assert_int_equal(t3d_graph_forward(g, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "index 1 is 4"));
    t3d_graph_free(g);
}

/* --- learning -----------------------------------------------------------------------------------
 */

struct xor_net {
    struct t3d_graph *g;
    struct t3d_ref loss;
    struct t3d_adamw *opt;
};

static struct xor_net make_xor(void)
{
    static const t3d_real input[] = {0, 0, 0, 1, 1, 0, 1, 1};
    static const int32_t label[] = {0, 1, 1, 0};
    struct xor_net n = {.g = t3d_graph_new(T3D_CPU, 2)};
    struct t3d_ref x = t3d_graph_input(n.g, "x", T3D_SHAPE(4, 2)), h;
    struct t3d_ref target = t3d_graph_input(n.g, "target", T3D_SHAPE_INT(4));
    struct t3d_err err = {0};

    h = t3d_matmul(n.g, x, param(n.g, "w1", 8, 2), param(n.g, "b1", 8, 0), T3D_ACT_SILU);
    h = t3d_matmul(n.g, h, param(n.g, "w2", 2, 8), param(n.g, "b2", 2, 0), T3D_ACT_NONE);
    n.loss = t3d_cross_entropy(n.g, h, target);
    if (t3d_graph_build(n.g, &(struct t3d_plan){.loss = n.loss}, &err) < 0)
        fail_msg("%s", err.msg);
    fill_params(n.g, 4);
    memcpy(t3d_graph_data(n.g, x), input, sizeof input);
    memcpy(t3d_graph_data(n.g, target), label, sizeof label);
    n.opt = t3d_adamw_new(n.g, &(struct t3d_adamw_config){T3D_ADAMW_DEFAULT});
    assert_non_null(n.opt);
    return n;
}

static void free_xor(struct xor_net *n)
{
    t3d_adamw_free(n->opt);
    t3d_graph_free(n->g);
}

static double learn(struct xor_net *n, int from, int to)
{
    struct t3d_err err = {0};

    for (int i = from; i < to; i++) {
        t3d_graph_zero_grad(n->g);
        if (t3d_graph_forward(n->g, &err) < 0 || t3d_graph_backward(n->g, &err) < 0)
            fail_msg("%s", err.msg);
        t3d_grad_clip(n->g, 1);
        t3d_adamw_step(n->opt, n->g, t3d_warmup_cosine(i, 10, 300, 0.05, 0.001));
    }
    return (double)*(t3d_real *)t3d_graph_data(n->g, n->loss);
}

static void two_layers_learn_xor(void **state)
{
    struct xor_net n = make_xor();
    double before = learn(&n, 0, 1), after = learn(&n, 1, 300);

    (void)state;
    assert_true(before > 0.4);
    if (!(after < 0.01))
        fail_msg("the loss is %g after 300 steps", after);
    free_xor(&n);
}

/* A run that stops, saves and goes on gives the bits of one that does not. */
static void resuming_changes_no_bit(void **state)
{
    struct xor_net whole = make_xor(), first = make_xor(), rest = make_xor();
    int64_t n, m;
    size_t bytes;

    (void)state;
    learn(&whole, 0, 50);
    learn(&first, 0, 20);
    t3d_graph_param_block(first.g, &n);
    bytes = (size_t)n * sizeof(t3d_real);
    memcpy(t3d_graph_param_block(rest.g, &n), t3d_graph_param_block(first.g, &n), bytes);
    memcpy(t3d_adamw_first(rest.opt, &m), t3d_adamw_first(first.opt, &m), bytes);
    memcpy(t3d_adamw_second(rest.opt, &m), t3d_adamw_second(first.opt, &m), bytes);
    *t3d_adamw_steps(rest.opt) = *t3d_adamw_steps(first.opt);
    assert_true(n == m && *t3d_adamw_steps(rest.opt) == 20);
    learn(&rest, 20, 50);
    assert_memory_equal(t3d_graph_param_block(rest.g, &n), t3d_graph_param_block(whole.g, &n),
                        bytes);
    free_xor(&whole);
    free_xor(&first);
    free_xor(&rest);
}

/* A transformer learns to repeat the token before: attention, norms and embeddings together. */
static void a_transformer_learns(void **state)
{
    struct net n = make_net(1, 0);
    struct t3d_adamw *opt = t3d_adamw_new(n.g, &(struct t3d_adamw_config){T3D_ADAMW_DEFAULT});
    double first = 0, last = 0;

    (void)state;
    assert_non_null(opt);
    memmove((t3d_real *)t3d_graph_data(n.g, n.target) + WIDTH, t3d_graph_data(n.g, n.x),
            (BATCH * TOKENS - 1) * WIDTH * sizeof(t3d_real));
    for (int i = 0; i < 150; i++) {
        step(&n);
        last = (double)*(t3d_real *)t3d_graph_data(n.g, n.loss);
        first = i ? first : last;
        t3d_grad_clip(n.g, 1);
        t3d_adamw_step(opt, n.g, 0.01);
    }
    if (!(last < 0.05 * first))
        fail_msg("the loss went from %g to %g", first, last);
    t3d_adamw_free(opt);
    t3d_graph_free(n.g);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_values_never_overlap),
        cmocka_unit_test(a_chain_runs_in_place),
        cmocka_unit_test(flops_are_those_of_the_products),
        cmocka_unit_test(recomputation_and_poison_change_no_bit),
        cmocka_unit_test(gradients_accumulate_until_cleared),
        cmocka_unit_test(one_value_gathers_from_all_its_uses),
        cmocka_unit_test(the_first_complaint_is_reported_at_build),
        cmocka_unit_test(bad_graphs_are_refused),
        cmocka_unit_test(a_nan_is_named),
        cmocka_unit_test(an_index_out_of_range_is_an_error),
        cmocka_unit_test(two_layers_learn_xor),
        cmocka_unit_test(resuming_changes_no_bit),
        cmocka_unit_test(a_transformer_learns),
    };

    (void)argc;
    wait_asleep(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
