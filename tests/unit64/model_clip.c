/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a whole CLIP in double: along itself and along random directions, tensor by
 * tensor, against central differences of the loss. The model's source is compiled here once more,
 * because the library's is in float. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../lib/model/clip.c" // NOLINT

enum { BATCH = 3, TOKENS = 7 };

static const struct t3d_clip_config config = {
    .image_size = 16,
    .patch = 4,
    .vision = {.width = 12, .layers = 2, .heads = 3, .mlp = 20},
    .text = {.width = 8, .layers = 2, .heads = 2, .mlp = 12},
    .vocab = 11,
    .context = 9,
    .embed = 6};

struct model {
    struct t3d_graph *g;
    struct t3d_clip clip;
};

static void fill(struct model *m)
{
    struct t3d_rng r = t3d_rng_for(1, "inputs", 0);
    double *pixels = t3d_graph_data(m->g, m->clip.pixels);
    int32_t *ids = t3d_graph_data(m->g, m->clip.ids), *seen = t3d_graph_data(m->g, m->clip.seen);
    int32_t *end = t3d_graph_data(m->g, m->clip.end), *first = t3d_graph_data(m->g, m->clip.first);

    for (int i = 0; i < BATCH * 3 * 16 * 16; i++)
        pixels[i] = t3d_rng_normal(&r);
    for (int i = 0; i < BATCH; i++) {
        end[i] = TOKENS - 1 - i; /* texts of different lengths */
        first[i] = 0;
        for (int k = 0; k < TOKENS; k++) {
            ids[i * TOKENS + k] = k < end[i] ? (int32_t)t3d_rng_below(&r, 10) : 10;
            seen[i * TOKENS + k] = k <= end[i];
        }
    }
}

static struct model make(void)
{
    struct model m = {.g = t3d_graph_new(T3D_CPU, 1)};
    struct t3d_plan plan = {0};
    struct t3d_err err = {0};

    m.clip = t3d_clip_build(m.g, &config, BATCH, TOKENS);
    plan.loss = m.clip.loss;
    if (t3d_graph_build(m.g, &plan, &err) < 0)
        fail_msg("%s", err.msg);
    t3d_clip_init(m.g, &config, 7);
    fill(&m);
    return m;
}

static double loss_of(struct model *m)
{
    struct t3d_err err = {0};

    if (t3d_graph_forward(m->g, &err) < 0)
        fail_msg("%s", err.msg);
    return *(double *)t3d_graph_data(m->g, m->clip.loss);
}

/* d loss / d h of w + h v, and the gradient's product with v. */
static void check_direction(struct model *m, const char *name, double *w, const double *v,
                            const double *g, int64_t n)
{
    double h = 1e-6, up, down, got = 0, want;

    for (int64_t i = 0; i < n; i++)
        w[i] += h * v[i];
    up = loss_of(m);
    for (int64_t i = 0; i < n; i++)
        w[i] -= 2 * h * v[i];
    down = loss_of(m);
    for (int64_t i = 0; i < n; i++) {
        w[i] += h * v[i];
        got += g[i] * v[i];
    }
    want = (up - down) / (2 * h);
    if (!(fabs(got - want) <= 1e-6 + 1e-6 * fabs(want)))
        fail_msg("%s: the gradient gives %.10g, differences %.10g", name, got, want);
}

static void gradient_equals_differences(void **state)
{
    struct model m = make();
    struct t3d_err err = {0};
    int64_t total;
    double *saved, v[4096];

    (void)state;
    loss_of(&m);
    if (t3d_graph_backward(m.g, &err) < 0)
        fail_msg("%s", err.msg);
    saved = malloc((size_t)(t3d_graph_grad_block(m.g, &total), total) * sizeof *saved);
    memcpy(saved, t3d_graph_grad_block(m.g, &total), (size_t)total * sizeof *saved);
    for (int i = 0; i < t3d_graph_n_params(m.g); i++) {
        const char *name;
        struct t3d_ref p = t3d_graph_param_at(m.g, i, &name);
        struct t3d_shape s = t3d_graph_shape(m.g, p);
        int64_t n = t3d_shape_count(&s);
        const double *g = saved + (t3d_graph_grad(m.g, p) - t3d_graph_grad_block(m.g, &total));
        struct t3d_rng r = t3d_rng_for(2, name, 0);
        double norm = 0;

        assert_true(n <= 4096);
        for (int64_t k = 0; k < n; k++)
            norm += g[k] * g[k];
        for (int64_t k = 0; k < n; k++)
            v[k] = norm > 0 ? g[k] / sqrt(norm) : 0;
        check_direction(&m, name, t3d_graph_data(m.g, p), v, g, n);
        for (int64_t k = 0; k < n; k++)
            v[k] = t3d_rng_normal(&r);
        check_direction(&m, name, t3d_graph_data(m.g, p), v, g, n);
    }
    free(saved);
    t3d_graph_free(m.g);
}

/* What stands behind the end token changes nothing: every caption may be padded. */
static void padding_changes_nothing(void **state)
{
    struct model m = make();
    int32_t *ids = t3d_graph_data(m.g, m.clip.ids), *end = t3d_graph_data(m.g, m.clip.end);
    double before = loss_of(&m);

    (void)state;
    for (int i = 0; i < BATCH; i++)
        for (int k = end[i] + 1; k < TOKENS; k++)
            ids[i * TOKENS + k] = k % 10;
    assert_true(loss_of(&m) == before);
    ids[1] ^= 1; /* but this does */
    assert_true(loss_of(&m) != before);
    t3d_graph_free(m.g);
}

static void parameters_are_counted(void **state)
{
    struct model m = make();
    int64_t n = 0;

    (void)state;
    for (int i = 0; i < t3d_graph_n_params(m.g); i++) {
        const char *name;
        struct t3d_shape s = t3d_graph_shape(m.g, t3d_graph_param_at(m.g, i, &name));
        n += t3d_shape_count(&s);
    }
    assert_int_equal(t3d_clip_params(&config), n);
    t3d_graph_free(m.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradient_equals_differences),
                                       cmocka_unit_test(padding_changes_nothing),
                                       cmocka_unit_test(parameters_are_counted)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
