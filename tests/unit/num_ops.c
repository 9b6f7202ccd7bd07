/* SPDX-License-Identifier: Apache-2.0 */
/* Every op in float: against double, for 1, 2 and 3 threads, alone and in a batch, in place, in an
 * arena full of NaN, with constants packed; on each instruction set and without oneDNN. */
#include "num_case.h"

#include <spawn.h>
#include <sys/wait.h>

#include "base/defs.h"
#include "wait_asleep.h"

extern char **environ;

static void compare(struct made *a, struct made *b, const struct t3d_op *op,
                    const struct t3d_op_case *k, const char *what)
{
    const t3d_real *x, *y;
    int64_t n, m;

    for (int j = 0; (x = result(a, k, j, &n)); j++) {
        y = result(b, k, j, &m);
        assert_true(n == m);
        for (int64_t i = 0; i < n; i++)
            if (memcmp(&x[i], &y[i], sizeof *x) != 0)
                fail_msg("%s, %s: %s: result %d differs at %lld: %.9g, %.9g", op->name, k->name,
                         what, j, (long long)i, (double)x[i], (double)y[i]);
    }
}

static void each_case(void (*fn)(const struct t3d_op *op, const struct t3d_op_case *k))
{
    for (int i = 0; t3d_ops[i]; i++)
        for (const struct t3d_op_case *k = t3d_ops[i]->cases; k->name; k++)
            if (!k->bench)
                fn(t3d_ops[i], k);
}

static void vary(const struct t3d_op *op, const struct t3d_op_case *k)
{
    const struct {
        const char *what;
        struct make_options o;
    } other[] = {
        {"2 threads", {.threads = 2}},
        {"3 threads", {.threads = 3}},
        {"poisoned", {.threads = 1, .poison = 1}},
        {"in place", {.threads = 2, .poison = 1, .inner = 1}},
    };
    struct made one = make_case(op, k, &(struct make_options){.threads = 1});

    run_case(&one, op->name);
    for (size_t i = 0; i < T3D_COUNT(other); i++) {
        struct made m = make_case(op, k, &other[i].o);

        run_case(&m, op->name);
        run_case(&m, op->name); /* the second run finds what the first has left */
        compare(&one, &m, op, k, other[i].what);
        t3d_graph_free(m.g);
    }
    t3d_graph_free(one.g);
}

static void bits_are_the_same_for_any_threads_and_memory(void **state)
{
    (void)state;
    each_case(vary);
}

/* The first sample alone. */
static void alone(const struct t3d_op *op, const struct t3d_op_case *k)
{
    struct made all, one;

    if (!k->batch)
        return;
    all = make_case(op, k, &(struct make_options){.threads = 2});
    one = make_case(op, k, &(struct make_options){.threads = 1, .one = 1});
    run_case(&all, op->name);
    run_case(&one, op->name);
    for (int j = 0; j < one.n_out; j++) {
        int64_t n, m;
        const t3d_real *x = result(&one, k, j, &n), *y = result(&all, k, j, &m);

        if (memcmp(x, y, (size_t)n * sizeof *x) != 0)
            fail_msg("%s, %s: the first sample depends on the others", op->name, k->name);
    }
    t3d_graph_free(all.g);
    t3d_graph_free(one.g);
}

static void a_sample_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    each_case(alone);
}

/* Inference: no aux outputs, weights packed, epilogues fused. */
static void infer(const struct t3d_op *op, const struct t3d_op_case *k)
{
    struct made a = make_case(op, k, &(struct make_options){.threads = 1});
    struct made b =
        make_case(op, k,
                  &(struct make_options){
                      .threads = 2, .poison = 1, .inner = 1, .constant = 1, .forward_only = 1});

    run_case(&a, op->name);
    run_case(&b, op->name);
    for (int j = 0; j < a.n_out; j++) {
        int64_t n;
        const t3d_real *x = result(&a, k, j, &n), *y = result(&b, k, j, &n);
        double scale = 1;

        for (int64_t i = 0; i < n; i++)
            scale = fmax(scale, fabs((double)x[i]));
        for (int64_t i = 0; i < n; i++)
            if (!(fabs((double)x[i] - (double)y[i]) <= 2e-6 * scale))
                fail_msg("%s, %s: %.9g in training, %.9g in inference", op->name, k->name,
                         (double)x[i], (double)y[i]);
    }
    t3d_graph_free(a.g);
    t3d_graph_free(b.g);
}

static void inference_equals_training(void **state)
{
    (void)state;
    each_case(infer);
}

/* Constant weights, which are packed, with a gradient for the first input: the same bits for any
 * threads and alone, and near those of weights that are not packed. */
static const t3d_real *first_gradient(struct made *m, int64_t *n)
{
    struct t3d_shape s = t3d_graph_shape(m->g, m->in[0]);

    *n = t3d_shape_count(&s);
    return t3d_graph_grad(m->g, m->in[0]);
}

static void near(const t3d_real *x, const t3d_real *y, int64_t n, int exact, const char *op,
                 const char *name)
{
    double scale = 1;

    for (int64_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)x[i]));
    for (int64_t i = 0; i < n; i++)
        if (exact ? memcmp(&x[i], &y[i], sizeof *x) != 0
                  : !(fabs((double)x[i] - (double)y[i]) <= 2e-6 * scale))
            fail_msg("%s, %s: %.9g, with packed weights %.9g", op, name, (double)x[i],
                     (double)y[i]);
}

static void pack(const struct t3d_op *op, const struct t3d_op_case *k)
{
    const struct make_options other[] = {
        {.threads = 1, .constant = 1, .poison = 1},
        {.threads = 2, .constant = 1},
        {.threads = 3, .constant = 1, .poison = 1, .inner = 1},
        {.threads = 2, .constant = 1, .one = 1},
    };
    struct made plain, first = {0};

    if (k->n_in < 2 || has_no_grad(k, 0) || !op->backend[T3D_CPU].backward)
        return;
    plain = make_case(op, k, &(struct make_options){.threads = 1});
    run_case(&plain, op->name);
    for (size_t i = 0; i < T3D_COUNT(other); i++) {
        struct made m;
        int64_t n, unused;

        if (other[i].one && !(k->batch & 1))
            continue;
        m = make_case(op, k, &other[i]);
        run_case(&m, op->name);
        for (int j = 0; j < m.n_out; j++) {
            const t3d_real *y = result(&m, k, j, &n);

            near(result(&plain, k, j, &unused), y, n, 0, op->name, k->name);
            near(i ? result(&first, k, j, &unused) : y, y, n, 1, op->name, k->name);
        }
        if (!other[i].one && first_gradient(&m, &n)) {
            near(first_gradient(&plain, &n), first_gradient(&m, &n), n, 0, op->name, k->name);
            near(first_gradient(i ? &first : &m, &n), first_gradient(&m, &n), n, 1, op->name,
                 k->name);
        }
        if (i)
            t3d_graph_free(m.g);
        else
            first = m;
    }
    t3d_graph_free(first.g);
    t3d_graph_free(plain.g);
}

static void packed_weights_keep_the_rules(void **state)
{
    (void)state;
    each_case(pack);
}

static FILE *truth;

static void against_double(const struct t3d_op *op, const struct t3d_op_case *k)
{
    struct made m = make_case(op, k, &(struct make_options){.threads = 2});
    const t3d_real *x;
    int64_t n;

    run_case(&m, op->name);
    for (int j = 0; (x = result(&m, k, j, &n)); j++) {
        double *want = malloc((size_t)n * sizeof *want), scale = 1e-3;

        assert_non_null(want);
        assert_int_equal(fread(want, sizeof *want, (size_t)n, truth), n);
        for (int64_t i = 0; i < n; i++)
            scale = fmax(scale, fabs(want[i]));
        for (int64_t i = 0; i < n; i++)
            if (!(fabs((double)x[i] - want[i]) <= 1e-5 * scale))
                fail_msg("%s, %s: result %d at %lld is %.9g, in double %.9g", op->name, k->name, j,
                         (long long)i, (double)x[i], want[i]);
        free(want);
    }
    t3d_graph_free(m.g);
}

static void program(char path[static 4096], const char *suffix)
{
    ssize_t n = readlink("/proc/self/exe", path, 4000);

    assert_true(n > 0);
    snprintf(path + n, 64, "%s", suffix);
}

static void float_equals_double(void **state)
{
    char path[4096];

    (void)state;
    program(path, "64 dump");
    truth = popen(path, "r");
    assert_non_null(truth);
    each_case(against_double);
    assert_int_equal(fgetc(truth), EOF);
    assert_int_equal(pclose(truth), 0);
}

static void the_same_holds_for(const char *name, const char *value)
{
    char path[4096], *argv[] = {path, (char *)(uintptr_t) "inner", NULL};
    int status;
    pid_t pid;

    program(path, "");
    setenv(name, value, 1);
    assert_int_equal(posix_spawn(&pid, path, NULL, NULL, argv, environ), 0);
    unsetenv(name);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status)
        fail_msg("with %s=%s the tests fail", name, value);
}

static void the_same_holds_on_other_instruction_sets(void **state)
{
    (void)state;
    the_same_holds_for("T3D_ISA", "portable");
    the_same_holds_for("T3D_ISA", "avx2");
    the_same_holds_for("T3D_BLAS", "plain");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_equals_double),
        cmocka_unit_test(bits_are_the_same_for_any_threads_and_memory),
        cmocka_unit_test(a_sample_does_not_depend_on_its_batch),
        cmocka_unit_test(inference_equals_training),
        cmocka_unit_test(packed_weights_keep_the_rules),
        cmocka_unit_test(the_same_holds_on_other_instruction_sets),
    };

    wait_asleep(argv);
    if (argc > 1) {
        if (!freopen("/dev/null", "w", stdout)) /* the outer run prints the plan */
            return 1;
        return cmocka_run_group_tests_name(
            "inner", ((struct CMUnitTest[]){tests[0], tests[1], tests[2], tests[3], tests[4]}),
            NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
