/* SPDX-License-Identifier: Apache-2.0 */
/* Every op's gradients in double against central differences. `num_ops64 dump` writes all results
 * as raw doubles: the float test compares its own with them. */
#include "../unit/num_case.h"

#include "base/defs.h"

enum { SAMPLES = 40 }; /* elements of an input that are moved */

static double loss_of(struct made *m)
{
    struct t3d_err err = {0};

    if (t3d_graph_forward(m->g, &err) < 0)
        fail_msg("%s", err.msg);
    return *(double *)t3d_graph_data(m->g, m->loss);
}

static void check_input(struct made *m, const struct t3d_op *op, const struct t3d_op_case *k,
                        int input)
{
    struct t3d_shape s = t3d_graph_shape(m->g, m->in[input]);
    int64_t n = t3d_shape_count(&s), step = n / SAMPLES + 1;
    double *x = t3d_graph_data(m->g, m->in[input]), *g = t3d_graph_grad(m->g, m->in[input]);
    double tolerance = k->tolerance > 0 ? k->tolerance : 1e-6, scale = 1, h = 1e-5;

    for (int64_t i = 0; i < n; i++)
        scale = fmax(scale, fabs(g[i]));
    for (int64_t i = 0; i < n; i += step) {
        double was = x[i], up, down, want;

        x[i] = was + h;
        up = loss_of(m);
        x[i] = was - h;
        down = loss_of(m);
        x[i] = was;
        want = (up - down) / (2 * h);
        if (!(fabs(want - g[i]) <= tolerance * scale))
            fail_msg("%s, %s: gradient %lld of input %d is %.12g, by differences %.12g", op->name,
                     k->name, (long long)i, input, g[i], want);
    }
}

static void gradients_equal_differences(void **state)
{
    int n_cases = 0;

    (void)state;
    for (int i = 0; t3d_ops[i]; i++)
        for (const struct t3d_op_case *k = t3d_ops[i]->cases; k->name; k++) {
            struct made m;

            if (k->bench)
                continue;
            m = make_case(t3d_ops[i], k, &(struct make_options){.threads = 1});
            run_case(&m, t3d_ops[i]->name);
            for (int j = 0; m.loss.node >= 0 && j < k->n_in; j++)
                if (!has_no_grad(k, j))
                    check_input(&m, t3d_ops[i], k, j);
            t3d_graph_free(m.g);
            n_cases++;
        }
    assert_true(n_cases > 40);
}

static int dump(void)
{
    for (int i = 0; t3d_ops[i]; i++)
        for (const struct t3d_op_case *k = t3d_ops[i]->cases; k->name; k++) {
            const double *x;
            struct made m;
            int64_t n;

            if (k->bench)
                continue;
            m = make_case(t3d_ops[i], k, &(struct make_options){.threads = 1});
            run_case(&m, t3d_ops[i]->name);
            for (int j = 0; (x = result(&m, k, j, &n)); j++)
                fwrite(x, sizeof *x, (size_t)n, stdout);
            t3d_graph_free(m.g);
        }
    return fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_equal_differences)};

    if (argc > 1 && strcmp(argv[1], "dump") == 0)
        return dump();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
