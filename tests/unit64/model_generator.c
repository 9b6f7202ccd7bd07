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
#include "../../lib/model/losses.c"         // NOLINT
#include "../../lib/model/stack.c"          // NOLINT
#include "draw/splat.h"
#include "whole_model.h"
#include "geom/camera.h"

enum { BATCH = 2, SIDE = 8, TEXT = 5, N_VIEWS = 20 };

static struct t3d_generator_config config = {.size = "tiny",
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

static void put_cameras(struct model *m)
{
    double(*camera)[T3D_SPLAT_CAMERA] = t3d_graph_data(m->g, m->s.cameras);
    struct t3d_view_set set;
    struct t3d_arena a = {0};
    struct t3d_err err = {0};

    fill_numbers(m->g, m->s.rgb, 0, 1);
    fill_numbers(m->g, m->s.alpha, 0, 1);
    assert_int_equal(t3d_view_set_load(&set, "ring16+4", &a, &err), T3D_OK);
    for (int i = 0; i < BATCH * T3D_GENERATOR_COMPARED; i++)
        t3d_splat_camera(camera[i], &set.camera[(7 * i) % N_VIEWS], SIDE, SIDE);
    t3d_arena_free(&a);
}

/* The text of a sample: tokens of a table, or features of encoders with room for TEXT and TEXT - 1;
 * behind them padding, which is not zero here. */
static void put_texts(struct model *m)
{
    int32_t *ids = t3d_graph_data(m->g, m->s.m.ids), *seen = t3d_graph_data(m->g, m->s.m.seen);
    int text = t3d_generator_text(&config), n = text + t3d_generator_tokens(&config);

    for (int i = 0; i < BATCH && !config.n_encoders; i++)
        for (int k = 0; k < TEXT; k++) {
            ids[i * TEXT + k] = (3 * i + 2 * k) % 8;
            seen[i * n + k] = k < 3 + i;
        }
    for (int e = 0; e < config.n_encoders; e++)
        fill_numbers(m->g, m->s.m.features[e], -2, 2);
    for (int i = 0; i < BATCH && config.n_encoders; i++) {
        ids[i] = 0;
        for (int k = 0; k < text; k++) /* the first has a text of 3 and 2 tokens, the second none */
            seen[i * n + k] = i ? k == 0 : (k >= 1 && k < 4) || (k >= 1 + TEXT && k < 3 + TEXT);
    }
}

static void fill(struct model *m)
{

    fill_numbers(m->g, m->s.m.noisy, -1, 1);
    fill_numbers(m->g, m->s.m.time, 0.1, 0.9);
    if (config.head == T3D_HEAD_IMAGE)
        fill_numbers(m->g, m->s.clean, -1, 1);
    else
        put_cameras(m);
    fill_numbers(m->g, m->s.weight, 0.5, 2);
    put_texts(m);
}

static int recompute; /* of the graphs that are made */

static struct model make(void)
{
    struct model m = {.g = t3d_graph_new(T3D_CPU, 1)};
    struct t3d_plan plan = {.recompute = recompute};
    struct t3d_err err = {0};

    m.s = t3d_generator_step_build(m.g, &config, BATCH, NULL);
    plan.loss = m.s.loss;
    if (t3d_graph_build(m.g, &plan, &err) < 0 ||
        t3d_generator_prepare(m.g, &m.s.m, &config, BATCH, &err) < 0)
        fail_msg("%s", err.msg);
    t3d_generator_init(m.g, 7);
    scatter(m.g);
    fill(&m);
    return m;
}

static void take_encoders(int n)
{
    config.vocab = n ? 0 : 7;
    config.n_encoders = n;
    for (int i = 0; i < n; i++) {
        config.encoder[i].width = 6 + 5 * i;
        config.encoder[i].tokens = TEXT - i;
    }
}

/* Of either head, with words of its own and with the features of one and two networks. */
static void with_each(void (*check)(struct model *m))
{
    for (int encoders = 0; encoders <= T3D_GENERATOR_ENCODERS; encoders++)
        for (int head = 0; head < 2; head++) {
            struct model m;

            take_encoders(encoders);
            config.head = (enum t3d_generator_head)head;
            m = make();
            check(&m);
            t3d_graph_free(m.g);
        }
    take_encoders(0);
    config.head = T3D_HEAD_GAUSS;
}

static void check_gradients(struct model *m)
{
    check_parameters(m->g, m->s.loss);
}

static void every_parameter_follows_its_gradient(void **state)
{
    (void)state;
    with_each(check_gradients);
}

static void check_recomputed(struct model *m)
{
    struct model again;

    recompute = 1;
    again = make();
    recompute = 0;
    check_same_bits(m->g, again.g, m->s.loss);
    t3d_graph_free(again.g);
}

static void computing_again_changes_no_bit(void **state)
{
    (void)state;
    with_each(check_recomputed);
}

/* The count that --plan prints is that of the graph. */
static void check_count(struct model *m)
{
    assert_int_equal(count_parameters(m->g), t3d_generator_params(&config));
}

static void parameters_are_counted(void **state)
{
    (void)state;
    with_each(check_count);
}

/* Numbers behind a text's end, and all of those of a sample without text, change no bit; numbers
 * within it do, of either network. */
static void padding_is_not_seen(void **state)
{
    struct model m;
    double before, *x[2];

    (void)state;
    take_encoders(2);
    m = make();
    before = loss_of(m.g, m.s.loss);
    x[0] = t3d_graph_data(m.g, m.s.m.features[0]);
    x[1] = t3d_graph_data(m.g, m.s.m.features[1]);
    for (int k = 0; k < 6; k++) {
        x[0][3 * 6 + k] = 1e3 * (k + 1); /* token 3 of 3 */
        x[0][TEXT * 6 + k] = -50;        /* token 0 of the sample without text */
    }
    for (int k = 0; k < 11; k++)
        x[1][2 * 11 + k] = 7 - k;
    assert_true(loss_of(m.g, m.s.loss) == before);
    x[0][2 * 6] += 1;
    assert_true(loss_of(m.g, m.s.loss) != before);
    x[0][2 * 6] -= 1;
    assert_true(loss_of(m.g, m.s.loss) == before);
    x[1][1 * 11 + 4] += 1;
    assert_true(loss_of(m.g, m.s.loss) != before);
    t3d_graph_free(m.g);
    take_encoders(0);
}

/* A long vector of features says no more than a short one of the same direction. */
static void features_have_no_length(void **state)
{
    struct model m;
    double before, *x;

    (void)state;
    take_encoders(1);
    m = make();
    before = loss_of(m.g, m.s.loss);
    x = t3d_graph_data(m.g, m.s.m.features[0]);
    for (int k = 0; k < BATCH * TEXT * 6; k++)
        x[k] *= 1000;
    assert_true(fabs(loss_of(m.g, m.s.loss) - before) < 1e-5 * before);
    t3d_graph_free(m.g);
    take_encoders(0);
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
        cmocka_unit_test(computing_again_changes_no_bit),
        cmocka_unit_test(parameters_are_counted),
        cmocka_unit_test(padding_is_not_seen),
        cmocka_unit_test(features_have_no_length),
        cmocka_unit_test(rays_meet_their_pixels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
