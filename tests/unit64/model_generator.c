/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a whole training step of the generator, from the loss of its pictures through the
 * rasteriser, the head and the blocks to every parameter, in double: along itself against central
 * differences. The model's source is compiled here once more, because the library's is in float. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../lib/model/gaussian_head.c"  // NOLINT
#include "../../lib/model/generator.c"      // NOLINT
#include "../../lib/model/generator_step.c" // NOLINT
#include "../../lib/model/stack.c"          // NOLINT
#include "draw/splat.h"

enum { BATCH = 2, SIDE = 8, TEXT = 5, N_VIEWS = 20 };

static const struct t3d_generator_config config = {.size = "tiny",
                                                   .width = 24,
                                                   .layers = 2,
                                                   .heads = 3,
                                                   .side = SIDE,
                                                   .patch = 4,
                                                   .text_tokens = TEXT,
                                                   .vocab = 7};

struct model {
    struct t3d_graph *g;
    struct t3d_generator_step s;
};

static void fill_numbers(struct model *m, struct t3d_ref r, double low, double high)
{
    struct t3d_shape s = t3d_graph_shape(m->g, r);
    struct t3d_rng rng = t3d_rng_for(3, "input", (uint64_t)r.node);
    double *x = t3d_graph_data(m->g, r);

    for (int64_t i = 0; i < t3d_shape_count(&s); i++)
        x[i] = low + (high - low) * t3d_rng_uniform(&rng);
}

static void fill(struct model *m)
{
    int32_t *ids = t3d_graph_data(m->g, m->s.m.ids), *seen = t3d_graph_data(m->g, m->s.m.seen);
    double(*camera)[T3D_SPLAT_CAMERA] = t3d_graph_data(m->g, m->s.cameras);
    int n = TEXT + t3d_generator_tokens(&config);
    struct t3d_view_set set;
    struct t3d_arena a = {0};
    struct t3d_err err = {0};

    fill_numbers(m, m->s.m.noisy, -1, 1);
    fill_numbers(m, m->s.m.time, 0.1, 0.9);
    fill_numbers(m, m->s.rgb, 0, 1);
    fill_numbers(m, m->s.alpha, 0, 1);
    fill_numbers(m, m->s.weight, 0.5, 2);
    for (int i = 0; i < BATCH; i++)
        for (int k = 0; k < TEXT; k++) {
            ids[i * TEXT + k] = (3 * i + 2 * k) % 8;
            seen[i * n + k] = k < 3 + i;
        }
    assert_int_equal(t3d_view_set_load(&set, "ring16+4", &a, &err), T3D_OK);
    for (int i = 0; i < BATCH * T3D_GENERATOR_COMPARED; i++)
        t3d_splat_camera(camera[i], &set.camera[(7 * i) % N_VIEWS], SIDE, SIDE);
    t3d_arena_free(&a);
}

/* Gates that start at 0 would hide the blocks: everything is drawn anew. */
static void scatter(struct model *m)
{
    for (int i = 0; i < t3d_graph_n_params(m->g); i++) {
        const char *name;
        struct t3d_ref p = t3d_graph_param_at(m->g, i, &name);
        struct t3d_shape s = t3d_graph_shape(m->g, p);
        struct t3d_rng r = t3d_rng_for(9, name, 0);
        double *x = t3d_graph_data(m->g, p);

        for (int64_t k = 0; k < t3d_shape_count(&s); k++)
            x[k] += 0.2 * t3d_rng_normal(&r);
    }
}

static struct model make(void)
{
    struct model m = {.g = t3d_graph_new(T3D_CPU, 1)};
    struct t3d_plan plan = {0};
    struct t3d_err err = {0};

    m.s = t3d_generator_step_build(m.g, &config, BATCH);
    plan.loss = m.s.loss;
    if (t3d_graph_build(m.g, &plan, &err) < 0 ||
        t3d_generator_prepare(m.g, &m.s.m, &config, BATCH, &err) < 0)
        fail_msg("%s", err.msg);
    t3d_generator_init(m.g, 7);
    scatter(&m);
    fill(&m);
    return m;
}

static double loss_of(struct model *m)
{
    struct t3d_err err = {0};

    if (t3d_graph_forward(m->g, &err) < 0)
        fail_msg("%s", err.msg);
    return *(double *)t3d_graph_data(m->g, m->s.loss);
}

/* Loss after a step of length h along the gradient of one parameter. */
static double moved(struct model *m, double *x, const double *g, int64_t n, double h)
{
    double loss;

    for (int64_t k = 0; k < n; k++)
        x[k] += h * g[k];
    loss = loss_of(m);
    for (int64_t k = 0; k < n; k++)
        x[k] -= h * g[k];
    return loss;
}

static void check(struct model *m, int i)
{
    const char *name;
    struct t3d_ref p = t3d_graph_param_at(m->g, i, &name);
    struct t3d_shape s = t3d_graph_shape(m->g, p);
    double *x = t3d_graph_data(m->g, p), *g = t3d_graph_grad(m->g, p), square = 0, h, is;
    int64_t n = t3d_shape_count(&s);

    for (int64_t k = 0; k < n; k++)
        square += g[k] * g[k];
    if (square == 0)
        fail_msg("%s has no gradient", name);
    h = 1e-7 / sqrt(square);
    is = (moved(m, x, g, n, h) - moved(m, x, g, n, -h)) / (2 * h);
    /* a pixel that crosses the smallest alpha jumps: few do over so short a way */
    if (!(fabs(is / square - 1) < 2e-3))
        fail_msg("%s: along the gradient %.9g, by differences %.9g", name, square, is);
}

static void every_parameter_follows_its_gradient(void **state)
{
    struct model m = make();
    struct t3d_err err = {0};

    (void)state;
    loss_of(&m);
    t3d_graph_zero_grad(m.g);
    assert_int_equal(t3d_graph_backward(m.g, &err), T3D_OK);
    for (int i = 0; i < t3d_graph_n_params(m.g); i++)
        check(&m, i);
    t3d_graph_free(m.g);
}

/* The count that --plan prints is that of the graph. */
static void parameters_are_counted(void **state)
{
    struct model m = make();
    int64_t n = 0;

    (void)state;
    for (int i = 0; i < t3d_graph_n_params(m.g); i++) {
        struct t3d_shape s = t3d_graph_shape(m.g, t3d_graph_param_at(m.g, i, NULL));

        n += t3d_shape_count(&s);
    }
    assert_int_equal(n, t3d_generator_params(&config));
    t3d_graph_free(m.g);
}

/* Rays go through the pixels that the rasteriser draws: a point on a ray lands in its pixel. */
static void rays_meet_their_pixels(void **state)
{
    struct model m = make();
    const double *ray = t3d_graph_data(m.g, m.s.m.ray), *origin = t3d_graph_data(m.g, m.s.m.origin);
    struct t3d_view_set set;
    struct t3d_arena a = {0};
    struct t3d_err err = {0};

    (void)state;
    assert_int_equal(t3d_view_set_load(&set, "ring16+4", &a, &err), T3D_OK);
    for (int i = 0; i < t3d_generator_gaussians(&config); i++) {
        struct t3d_generator_pixel p = t3d_generator_pixel(&config, i);
        double row[T3D_SPLAT_CAMERA], t[3], x[3];

        t3d_splat_camera(row, &set.camera[t3d_generator_view[p.view]], SIDE, SIDE);
        for (int k = 0; k < 3; k++)
            x[k] = origin[3 * i + k] + 2.1 * ray[6 * i + 3 + k];
        for (int k = 0; k < 3; k++)
            t[k] = row[4 + 4 * k] * x[0] + row[5 + 4 * k] * x[1] + row[6 + 4 * k] * x[2] +
                   row[7 + 4 * k];
        assert_true(fabs(row[0] * t[0] / t[2] + row[2] - p.x - 0.5) < 1e-9);
        assert_true(fabs(row[1] * t[1] / t[2] + row[3] - p.y - 0.5) < 1e-9);
        /* o x d is at right angles to both */
        assert_true(fabs(ray[6 * i] * origin[3 * i] + ray[6 * i + 1] * origin[3 * i + 1] +
                         ray[6 * i + 2] * origin[3 * i + 2]) < 1e-9);
    }
    t3d_arena_free(&a);
    t3d_graph_free(m.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_follows_its_gradient),
        cmocka_unit_test(parameters_are_counted),
        cmocka_unit_test(rays_meet_their_pixels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
