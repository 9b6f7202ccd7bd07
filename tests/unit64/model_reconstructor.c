/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a whole training step of the reconstructor, in double, and that it sees what it
 * should see and nothing else. The model's source is compiled here once more, because the library's
 * is in float. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../lib/model/gaussian_head.c"      // NOLINT
#include "../../lib/model/generator.c"          // NOLINT
#include "../../lib/model/losses.c"             // NOLINT
#include "../../lib/model/reconstructor.c"      // NOLINT
#include "../../lib/model/reconstructor_step.c" // NOLINT
#include "../../lib/model/stack.c"              // NOLINT
#include "draw/splat.h"
#include "whole_model.h"

enum { BATCH = 2, SIDE = 8, N_VIEWS = 20, TOKENS = 16 };

static const struct t3d_generator_config config = {
    .size = "tiny", .width = 24, .layers = 2, .heads = 3, .side = SIDE, .patch = 4};
static const int shown[BATCH][VIEWS] = {{0, 4, 8, 12}, {3, 7, 11, 19}};

static const struct t3d_loss_config all = {.depth = .2, .opacity = .1};

struct model {
    struct t3d_graph *g;
    struct t3d_reconstructor_step s;
};

static void put_cameras(struct model *m)
{
    double(*camera)[T3D_SPLAT_CAMERA] = t3d_graph_data(m->g, m->s.cameras);
    struct t3d_view_rays rays = {0};
    struct t3d_view_set set;
    struct t3d_arena a = {0};
    struct t3d_err err = {0};

    assert_int_equal(t3d_view_set_load(&set, "ring16+4", &a, &err), T3D_OK);
    assert_int_equal(t3d_view_rays_new(&rays, &config, &set, &err), T3D_OK);
    for (int i = 0; i < BATCH; i++)
        t3d_reconstructor_place(m->g, &m->s.m, &rays, i, shown[i]);
    for (int i = 0; i < BATCH * T3D_RECONSTRUCTOR_COMPARED; i++)
        t3d_splat_camera(camera[i], &set.camera[(7 * i) % N_VIEWS], SIDE, SIDE);
    t3d_view_rays_free(&rays);
    t3d_arena_free(&a);
}

static int recompute; /* of the graphs that are made */

static struct model make(int hides, const struct t3d_loss_config *losses)
{
    struct model m = {.g = t3d_graph_new(T3D_CPU, 1)};
    struct t3d_plan plan = {.recompute = recompute};
    struct t3d_err err = {0};
    double *hidden;

    m.s = t3d_reconstructor_step_build(m.g, &config, BATCH, hides, losses);
    plan.loss = m.s.loss;
    if (t3d_graph_build(m.g, &plan, &err) < 0)
        fail_msg("%s", err.msg);
    t3d_generator_init(m.g, 7);
    scatter(m.g);
    put_cameras(&m);
    fill_numbers(m.g, m.s.m.views, -1, 1);
    fill_numbers(m.g, m.s.rgb, 0, 1);
    fill_numbers(m.g, m.s.alpha, 0, 1);
    if (m.s.losses.depth.node >= 0) {
        fill_numbers(m.g, m.s.losses.depth, 1.7, 3.7);
        fill_numbers(m.g, m.s.losses.counts, 0, 1);
    }
    if (!hides)
        return m;
    fill_numbers(m.g, m.s.counts, 0, 1);
    hidden = t3d_graph_data(m.g, m.s.m.hidden);
    for (int i = 0; i < BATCH * TOKENS; i++)
        hidden[i] = i % 4 != 0;
    return m;
}

static void every_parameter_follows_its_gradient(void **state)
{
    (void)state;
    for (int hides = 0; hides < 2; hides++) {
        struct model m = make(hides, hides ? &all : NULL);

        check_parameters(m.g, m.s.loss);
        t3d_graph_free(m.g);
    }
}

static void computing_again_changes_no_bit(void **state)
{
    (void)state;
    for (int hides = 0; hides < 2; hides++) {
        struct model m = make(hides, NULL), again;

        recompute = 1;
        again = make(hides, NULL);
        recompute = 0;
        check_same_bits(m.g, again.g, m.s.loss);
        t3d_graph_free(m.g);
        t3d_graph_free(again.g);
    }
}

/* The counts that --plan prints are those of the graphs. */
static void parameters_are_counted(void **state)
{
    (void)state;
    for (int hides = 0; hides < 2; hides++) {
        struct model m = make(hides, NULL);

        assert_int_equal(count_parameters(m.g), t3d_reconstructor_params(&config, hides));
        t3d_graph_free(m.g);
    }
}

/* Each Gaussian lies on the ray of its pixel: drawn from its own view it is in the middle of it. */
static void gaussians_lie_in_their_pixels(void **state)
{
    struct model m = make(0, NULL);
    const double *xyz;
    struct t3d_view_set set;
    struct t3d_arena a = {0};
    struct t3d_err err = {0};

    (void)state;
    loss_of(m.g, m.s.loss);
    xyz = t3d_graph_data(m.g, m.s.m.xyz);
    assert_int_equal(t3d_view_set_load(&set, "ring16+4", &a, &err), T3D_OK);
    for (int i = 0; i < BATCH * t3d_generator_gaussians(&config); i++) {
        int sample = i / t3d_generator_gaussians(&config);
        struct t3d_generator_pixel p =
            t3d_generator_pixel(&config, i % t3d_generator_gaussians(&config));
        double row[T3D_SPLAT_CAMERA], t[3];

        t3d_splat_camera(row, &set.camera[shown[sample][p.view]], SIDE, SIDE);
        for (int k = 0; k < 3; k++)
            t[k] = row[4 + 4 * k] * xyz[3 * i] + row[5 + 4 * k] * xyz[3 * i + 1] +
                   row[6 + 4 * k] * xyz[3 * i + 2] + row[7 + 4 * k];
        assert_true(fabs(row[0] * t[0] / t[2] + row[2] - p.x - 0.5) < 1e-9);
        assert_true(fabs(row[1] * t[1] / t[2] + row[3] - p.y - 0.5) < 1e-9);
    }
    t3d_arena_free(&a);
    t3d_graph_free(m.g);
}

/* The views are a set: in another order, with their rays, they give the same pictures. */
static void order_of_views_does_not_matter(void **state)
{
    struct model m = make(0, NULL);
    double before = loss_of(m.g, m.s.loss);
    double *views = t3d_graph_data(m.g, m.s.m.views), *ray = t3d_graph_data(m.g, m.s.m.ray),
           *origin = t3d_graph_data(m.g, m.s.m.origin);

    (void)state;
    for (int i = 0; i < BATCH; i++) {
        size_t n = SIDE * SIDE, at = (size_t)i * VIEWS * n;

        for (size_t k = 0; k < 2 * n; k++) {
            size_t from = at + k, to = at + k + 2 * n;

            for (size_t j = 0; j < 6; j++) {
                double x = ray[6 * from + j];
                ray[6 * from + j] = ray[6 * to + j];
                ray[6 * to + j] = x;
            }
            for (size_t j = 0; j < 3; j++) {
                double x = origin[3 * from + j], y = views[3 * from + j];
                origin[3 * from + j] = origin[3 * to + j];
                origin[3 * to + j] = x;
                views[3 * from + j] = views[3 * to + j];
                views[3 * to + j] = y;
            }
        }
    }
    assert_true(fabs(loss_of(m.g, m.s.loss) / before - 1) < 1e-9);
    t3d_graph_free(m.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_follows_its_gradient),
        cmocka_unit_test(computing_again_changes_no_bit),
        cmocka_unit_test(parameters_are_counted),
        cmocka_unit_test(gaussians_lie_in_their_pixels),
        cmocka_unit_test(order_of_views_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
