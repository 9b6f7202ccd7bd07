/* SPDX-License-Identifier: Apache-2.0 */
/* The splat op's gradients in double against central differences. min_alpha is tiny there: at its
 * usual value each moved Gaussian makes pixels jump. */
#include "../unit/splat_scene.h"

static double difference(struct splatted *m, t3d_real *x, double h)
{
    double was = *x, up, down;

    *x = was + h;
    up = run_scene(m);
    *x = was - h;
    down = run_scene(m);
    *x = was;
    return (up - down) / (2 * h);
}

static void check(const struct scene *s, int every)
{
    struct splatted m = make_scene(s);

    run_scene_back(&m);
    for (int i = 0; i < S_CAMERAS; i++) {
        t3d_real *x = t3d_graph_data(m.g, m.in[i]), *g = t3d_graph_grad(m.g, m.in[i]);
        int n = s->samples * s->n * splat_width[i];
        double scale = 1e-3;

        for (int k = 0; k < n; k++)
            scale = fmax(scale, fabs(g[k]));
        for (int k = 0; k < n; k += every) {
            double want = difference(&m, &x[k], 1e-5);

            if (!(fabs(want - g[k]) <= 2e-6 * scale))
                fail_msg("input %d, element %d: gradient %.12g, by differences %.12g", i, k, g[k],
                         want);
        }
    }
    t3d_graph_free(m.g);
}

static void gradients_equal_differences(void **state)
{
    (void)state;
    check(&(struct scene){.samples = 2,
                          .n = 21,
                          .views = 2,
                          .threads = 1,
                          .scale = -2,
                          .max_logit = 1.5,
                          .attr = {.width = 37, .height = 21, .min_alpha = 1e-13}},
          1);
}

/* More than one chunk of a tile's list, and pixels that end in the middle of it. */
static void long_lists_too(void **state)
{
    (void)state;
    check(&(struct scene){.samples = 1,
                          .n = 700,
                          .views = 1,
                          .threads = 1,
                          .scale = -2.5,
                          .max_logit = -3.9,
                          .attr = {.width = 16, .height = 16, .min_alpha = 1e-13}},
          41);
}

/* A Gaussian beyond the edge of the picture, where J is held: its gradient stays that of what is
 * computed. */
static void outside_the_picture_too(void **state)
{
    struct scene s = {.samples = 1,
                      .n = 3,
                      .views = 1,
                      .threads = 1,
                      .scale = -0.6,
                      .max_logit = 1,
                      .attr = {.width = 16, .height = 16, .min_alpha = 1e-13}};
    struct splatted m = make_scene(&s);
    t3d_real *x = t3d_graph_data(m.g, m.in[S_XYZ]), *g;

    (void)state;
    for (int k = 0; k < 9; k++)
        x[k] *= 3;
    run_scene_back(&m);
    g = t3d_graph_grad(m.g, m.in[S_XYZ]);
    for (int k = 0; k < 9; k++) {
        double want = difference(&m, &x[k], 1e-5);

        if (!(fabs(want - g[k]) <= 2e-6 * fmax(1, fabs(want))))
            fail_msg("element %d: gradient %.12g, by differences %.12g", k, g[k], want);
    }
    t3d_graph_free(m.g);
}

/* An alpha at its upper limit hands nothing on but its colour. */
static void a_clamped_alpha_has_no_gradient(void **state)
{
    struct scene s = {.samples = 1,
                      .n = 1,
                      .views = 1,
                      .threads = 1,
                      .scale = 3,
                      .max_logit = 0,
                      .attr = {.width = 8, .height = 8}};
    struct splatted m = make_scene(&s);

    (void)state;
    *(t3d_real *)t3d_graph_data(m.g, m.in[S_OPACITY]) = 9;
    for (int k = 0; k < 3; k++)
        ((t3d_real *)t3d_graph_data(m.g, m.in[S_XYZ]))[k] = 0;
    run_scene_back(&m);
    assert_true(t3d_graph_grad(m.g, m.in[S_OPACITY])[0] == 0);
    assert_true(t3d_graph_grad(m.g, m.in[S_LOG_SCALE])[0] == 0);
    assert_true(t3d_graph_grad(m.g, m.in[S_RGB])[0] != 0);
    t3d_graph_free(m.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_equal_differences),
        cmocka_unit_test(long_lists_too),
        cmocka_unit_test(outside_the_picture_too),
        cmocka_unit_test(a_clamped_alpha_has_no_gradient),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
