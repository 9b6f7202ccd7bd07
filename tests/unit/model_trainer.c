/* SPDX-License-Identifier: Apache-2.0 */
/* The training loop on y = w x, whose steps can be followed by hand: gradients that are not finite,
 * checkpoints that cannot be read, the best validation. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "model/checkpoint.h"
#include "model/trainer.h"
#include "num/ops.h"

enum { WIDTH = 4, ROWS = 8 };

static char dir[] = "/tmp/t3d-trainer.XXXXXX";
static struct t3d_err err;

struct fit {
    struct t3d_graph *g;
    struct t3d_ref x, y, w, loss;
    int64_t poison_from, poison_until; /* steps whose input is not a number, as often as */
    int poisons;                       /* so many are left */
    int64_t filled[200];               /* micro-batches, in order */
    int n_filled, kept;
    double score[9]; /* of validations by step */
};

static int fill(void *ctx, int64_t micro, struct t3d_err *e)
{
    struct fit *f = ctx;
    t3d_real *x = t3d_graph_data(f->g, f->x), *y = t3d_graph_data(f->g, f->y);

    (void)e;
    for (int i = 0; i < ROWS * WIDTH; i++)
        x[i] = (t3d_real)((i * 7 + micro * 3) % 11) / 5 - 1;
    for (int i = 0; i < ROWS; i++)
        y[i] = x[i * WIDTH] - x[i * WIDTH + 1];
    if (micro >= f->poison_from && micro < f->poison_until && f->poisons > 0) {
        f->poisons--;
        x[3] = NAN;
    }
    if (f->n_filled < 200)
        f->filled[f->n_filled++] = micro;
    return T3D_OK;
}

static int validate(void *ctx, cJSON *line, struct t3d_err *e)
{
    struct fit *f = ctx;

    (void)e;
    t3d_json_set_num(line, "score", f->score[(int)t3d_json_num(line, "step", 0) / 5]);
    return T3D_OK;
}

static int keep(void *ctx, const char *to, struct t3d_err *e)
{
    struct fit *f = ctx;

    (void)e;
    assert_non_null(strstr(to, "/best"));
    f->kept++;
    return T3D_OK;
}

static void build(struct fit *f, int width)
{
    struct t3d_plan plan = {0};

    f->g = t3d_graph_new(T3D_CPU, 1);
    f->x = t3d_graph_input(f->g, "x", T3D_SHAPE(ROWS, width));
    f->y = t3d_graph_input(f->g, "y", T3D_SHAPE(ROWS, 1));
    f->w = t3d_graph_param(f->g, "w", T3D_SHAPE(1, width));
    f->loss = t3d_mse(f->g, t3d_matmul(f->g, f->x, f->w, T3D_NONE, T3D_ACT_NONE), f->y, T3D_NONE);
    plan.loss = f->loss;
    t3d_graph_keep(f->g, f->loss);
    assert_int_equal(t3d_graph_build(f->g, &plan, &err), T3D_OK);
    memset(t3d_graph_data(f->g, f->w), 0, (size_t)width * sizeof(t3d_real));
}

static int train(struct fit *f, int64_t steps, int accumulate, struct t3d_trainer_result *result)
{
    static const struct t3d_trainer_ops ops = {
        .fill = fill, .validate = validate, .score = "score", .keep = keep};
    const struct t3d_trainer_config c = {.dir = dir,
                                         .settings = "{}",
                                         .steps = steps,
                                         .schedule_steps = 40,
                                         .learning_rate = 0.1,
                                         .ema_decay = 0.9,
                                         .adamw = {T3D_ADAMW_DEFAULT},
                                         .accumulate = accumulate,
                                         .log_every = 1,
                                         .validate_every = 5,
                                         .checkpoint_every = 5,
                                         .keep_last = 2,
                                         .keep_best = 1,
                                         .progress = "none",
                                         .stage = "train",
                                         .samples = 1};

    return t3d_trainer_run(&c, &ops, f, f->g, f->loss, result, &err);
}

static char *path_of(const char *name)
{
    static char path[300];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* Learning rate of a step in the log, NaN without a line. */
static double rate_at(int step)
{
    FILE *f = fopen(path_of("log.ndjson"), "r");
    double found = NAN;
    struct t3d_ndjson in;
    cJSON *o;

    assert_non_null(f);
    t3d_ndjson_init(&in, f, "log");
    while (t3d_ndjson_next(&in, &o, &err) == T3D_OK) {
        if (t3d_json_num(o, "step", 0) == step)
            found = t3d_json_num(o, "learning_rate", found);
        cJSON_Delete(o);
    }
    t3d_ndjson_fini(&in);
    fclose(f);
    return found;
}

static int clean(void **state)
{
    (void)state;
    t3d_remove_tree(dir);
    return t3d_make_dirs(dir, &err) == T3D_OK ? 0 : -1;
}

/* One bad step, two in a row: weights stay as they are, the run goes on. */
static void bad_steps_are_skipped(void **state)
{
    struct fit f = {.poison_from = 7, .poison_until = 9, .poisons = 2};
    struct t3d_trainer_result t;
    t3d_real *w;

    (void)state;
    build(&f, WIDTH);
    assert_int_equal(train(&f, 40, 1, &t), T3D_OK);
    assert_int_equal(t.step, 40);
    assert_int_equal(t.skipped, 2);
    w = t3d_graph_data(f.g, f.w);
    for (int i = 0; i < WIDTH; i++)
        assert_true(isfinite((double)w[i]));
    assert_true(w[0] > 0.3 && w[1] < -0.3); /* towards y = x0 - x1 */
    t3d_graph_free(f.g);
}

/* Three in a row: back to the checkpoint of step 5, with half the rate. */
static void three_roll_back(void **state)
{
    struct fit f = {.poison_from = 6, .poison_until = 9, .poisons = 3};
    struct t3d_trainer_result t;
    double before;

    (void)state;
    build(&f, WIDTH);
    assert_int_equal(train(&f, 12, 1, &t), T3D_OK);
    assert_int_equal(t.step, 12);
    assert_int_equal(f.filled[8], 8); /* the third bad one */
    assert_int_equal(f.filled[9], 5); /* then the first after the checkpoint */
    before = t3d_warmup_cosine(9, 0, 40, 0.1, 0);
    assert_true(fabs(rate_at(10) - before / 2) < 1e-12);
    t3d_graph_free(f.g);
}

/* A gradient that is never finite again: three roll-backs, then the run says so. */
static void divergence_is_said(void **state)
{
    struct fit f = {.poison_from = 6, .poison_until = 1000, .poisons = 1000};
    struct t3d_trainer_result t;

    (void)state;
    build(&f, WIDTH);
    assert_int_equal(train(&f, 20, 1, &t), T3D_FAIL);
    assert_string_equal(err.reason, "diverged");
    assert_non_null(strstr(err.msg, "after 3 roll-backs"));
    t3d_graph_free(f.g);

    clean(NULL);
    f = (struct fit){.poison_until = 1000, .poisons = 1000};
    build(&f, WIDTH);
    assert_int_equal(train(&f, 20, 1, &t), T3D_FAIL);
    assert_non_null(strstr(err.msg, "before the first checkpoint"));
    t3d_graph_free(f.g);
}

/* A newest checkpoint that is cut, or of a model with other weights: the one before it serves. */
static void bad_checkpoints_are_passed_over(void **state)
{
    struct fit f = {0}, wide = {0};
    struct t3d_trainer_result t;

    (void)state;
    build(&f, WIDTH);
    assert_int_equal(train(&f, 10, 1, &t), T3D_OK);
    t3d_graph_free(f.g);
    assert_int_equal(truncate(path_of("checkpoints/step-00000010.safetensors"), 200), 0);
    f = (struct fit){0};
    build(&f, WIDTH);
    assert_int_equal(train(&f, 12, 1, &t), T3D_OK);
    assert_int_equal(t.resumed, 5);
    assert_int_equal(t.refused, 1);
    assert_string_equal(t.why.reason, "bad-safetensors");
    t3d_graph_free(f.g);

    build(&wide, WIDTH + 1);
    assert_int_equal(train(&wide, 12, 1, &t), T3D_OK);
    assert_int_equal(t.resumed, 0);
    assert_string_equal(t.why.reason, "bad-checkpoint");
    assert_non_null(strstr(t.why.msg, "of another shape than this model's is 'weight/w'"));
    t3d_graph_free(wide.g);
}

/* The model of the highest score is kept; a run that goes on remembers it. */
static void the_best_is_kept(void **state)
{
    struct fit f = {.score = {0, 3, 2, 5}};
    struct t3d_trainer_result t;

    (void)state;
    build(&f, WIDTH);
    assert_int_equal(train(&f, 15, 1, &t), T3D_OK);
    assert_int_equal(f.kept, 2);
    t3d_graph_free(f.g);
    f = (struct fit){.score = {0, 0, 0, 0, 4, 6}};
    build(&f, WIDTH);
    assert_int_equal(train(&f, 25, 1, &t), T3D_OK);
    assert_int_equal(t.resumed, 15);
    assert_int_equal(f.kept, 1);
    t3d_graph_free(f.g);
}

/* Of two micro-batches a step takes the mean gradient: as one graph with both would. */
static void micro_batches_are_averaged(void **state)
{
    struct fit f = {0};
    struct t3d_trainer_result t;
    double loss = 0, sum[WIDTH] = {0};

    (void)state;
    build(&f, WIDTH);
    for (int64_t micro = 0; micro < 2; micro++) {
        assert_int_equal(fill(&f, micro, &err), T3D_OK);
        t3d_graph_zero_grad(f.g);
        assert_int_equal(t3d_graph_forward(f.g, &err), T3D_OK);
        assert_int_equal(t3d_graph_backward(f.g, &err), T3D_OK);
        loss += (double)*(t3d_real *)t3d_graph_data(f.g, f.loss) / 2;
        for (int i = 0; i < WIDTH; i++)
            sum[i] += (double)t3d_graph_grad(f.g, f.w)[i] / 2;
    }
    assert_int_equal(train(&f, 1, 2, &t), T3D_OK);
    assert_true(fabs(t.loss - loss) < 1e-6);
    for (int i = 0; i < WIDTH; i++)
        assert_true(fabs((double)t3d_graph_grad(f.g, f.w)[i] - sum[i]) < 1e-6);
    t3d_graph_free(f.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bad_steps_are_skipped, clean),
        cmocka_unit_test_setup(three_roll_back, clean),
        cmocka_unit_test_setup(divergence_is_said, clean),
        cmocka_unit_test_setup(bad_checkpoints_are_passed_over, clean),
        cmocka_unit_test_setup(the_best_is_kept, clean),
        cmocka_unit_test_setup(micro_batches_are_averaged, clean)};
    int failed;

    if (!mkdtemp(dir))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    t3d_remove_tree(dir);
    return failed;
}
