/* SPDX-License-Identifier: Apache-2.0 */
/* The Gaussian rasteriser against a plain renderer in double that goes through all Gaussians at
 * every pixel; odd inputs; the same bits for any threads, batch and room; every instruction set. */
#include "splat_scene.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const struct scene usual = {.samples = 2,
                                   .n = 150,
                                   .views = 2,
                                   .threads = 2,
                                   .scale = -2.3,
                                   .max_logit = 4,
                                   .attr = {.width = 53, .height = 37}};

/* --- the plain renderer --------------------------------------------------------------------------
 */

struct plain {
    double u, v, z, conic[3], opacity, rgb[3];
};

static void plain_rotation(double r[3][3], const t3d_real *raw)
{
    double l =
        sqrt((double)(raw[0] * raw[0] + raw[1] * raw[1] + raw[2] * raw[2] + raw[3] * raw[3]));
    double w = raw[0] / l, x = raw[1] / l, y = raw[2] / l, z = raw[3] / l;
    const double m[3][3] = {{1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
                            {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
                            {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)}};

    memcpy(r, m, sizeof m);
}

/* All matrices are multiplied out; slopes inside the picture need no clamp in these scenes. */
static void plain_project(struct plain *p, struct splatted *m, int64_t i, const t3d_real *camera)
{
    const t3d_real *x = (t3d_real *)t3d_graph_data(m->g, m->in[S_XYZ]) + i * 3,
                   *s = (t3d_real *)t3d_graph_data(m->g, m->in[S_LOG_SCALE]) + i * 3,
                   *q = (t3d_real *)t3d_graph_data(m->g, m->in[S_QUATERNION]) + i * 4,
                   *o = (t3d_real *)t3d_graph_data(m->g, m->in[S_OPACITY]) + i,
                   *c = (t3d_real *)t3d_graph_data(m->g, m->in[S_RGB]) + i * 3,
                   *w = camera + T3D_SPLAT_W2C;
    double r[3][3], t[3], j[2][3] = {{0}}, b[2][3] = {{0}}, xx = 0.3, xy = 0, yy = 0.3, det;

    plain_rotation(r, q);
    for (int k = 0; k < 3; k++)
        t[k] = (double)w[4 * k] * x[0] + (double)w[4 * k + 1] * x[1] + (double)w[4 * k + 2] * x[2] +
               w[4 * k + 3];
    j[0][0] = camera[0] / t[2];
    j[1][1] = camera[1] / t[2];
    j[0][2] = -camera[0] * t[0] / (t[2] * t[2]);
    j[1][2] = -camera[1] * t[1] / (t[2] * t[2]);
    for (int a = 0; a < 2; a++)
        for (int k = 0; k < 3; k++)
            for (int d = 0; d < 3; d++)
                for (int e = 0; e < 3; e++)
                    b[a][k] += j[a][d] * w[4 * d + e] * r[e][k] * exp((double)s[k]);
    for (int k = 0; k < 3; k++) {
        xx += b[0][k] * b[0][k];
        xy += b[0][k] * b[1][k];
        yy += b[1][k] * b[1][k];
    }
    det = xx * yy - xy * xy;
    *p = (struct plain){.u = camera[0] * t[0] / t[2] + camera[2],
                        .v = camera[1] * t[1] / t[2] + camera[3],
                        .z = t[2],
                        .conic = {yy / det, -xy / det, xx / det},
                        .opacity = 1 / (1 + exp(-(double)o[0])),
                        .rgb = {c[0], c[1], c[2]}};
}

static int nearer(const void *a, const void *b)
{
    double x = ((const struct plain *)a)->z, y = ((const struct plain *)b)->z;

    return x < y ? -1 : x > y;
}

/* rgb, alpha, mean depth at a pixel; *edge: some decision was so close that float may differ. */
static void plain_pixel(double out[5], const struct plain *p, int n, double x, double y, int *edge)
{
    double light = 1;

    memset(out, 0, 5 * sizeof *out);
    *edge = 0;
    for (int i = 0; i < n; i++) {
        double dx = x - p[i].u, dy = y - p[i].v;
        double a = p[i].opacity * exp(-(p[i].conic[0] * dx * dx + p[i].conic[2] * dy * dy) / 2 -
                                      p[i].conic[1] * dx * dy);

        a = fmin(a, 0.99);
        *edge |= fabs(a * 255 - 1) < 1e-3 || fabs(light * (1 - a) / 1e-4 - 1) < 1e-3;
        if (a < 1. / 255)
            continue;
        if (light * (1 - a) < 1e-4)
            break;
        for (int k = 0; k < 3; k++)
            out[k] += light * a * p[i].rgb[k];
        out[4] += light * a * p[i].z;
        light *= 1 - a;
    }
    out[3] = 1 - light;
}

static void compare_view(struct splatted *m, const struct scene *s, int view, int *compared)
{
    struct plain *p = malloc((size_t)s->n * sizeof *p);
    const t3d_real *camera = (t3d_real *)t3d_graph_data(m->g, m->in[S_CAMERAS]);
    const t3d_real *rgb = t3d_graph_data(m->g, m->out[0]), *alpha = t3d_graph_data(m->g, m->out[1]),
                   *depth = t3d_graph_data(m->g, m->out[2]);

    assert_non_null(p);
    for (int i = 0; i < s->n; i++)
        plain_project(&p[i], m, (int64_t)(view / s->views) * s->n + i,
                      camera + view * T3D_SPLAT_CAMERA);
    qsort(p, (size_t)s->n, sizeof *p, nearer);
    for (int i = 0; i < s->attr.width * s->attr.height; i++) {
        int64_t at = (int64_t)view * s->attr.width * s->attr.height + i;
        double want[5];
        int edge;

        plain_pixel(want, p, s->n, i % s->attr.width + 0.5, i / s->attr.width + 0.5, &edge);
        if (edge)
            continue;
        ++*compared;
        for (int k = 0; k < 5; k++) {
            double is = k < 3 ? rgb[at * 3 + k] : k == 3 ? alpha[at] : depth[at];

            if (!(fabs(is - want[k]) < 2e-4))
                fail_msg("view %d, pixel %d, number %d: %.7g, plainly %.7g", view, i, k, is,
                         want[k]);
        }
    }
    free(p);
}

static void pictures_equal_the_plain_renderer(void **state)
{
    struct splatted m = make_scene(&usual);
    int compared = 0, pixels = 4 * usual.attr.width * usual.attr.height;

    (void)state;
    run_scene(&m);
    for (int v = 0; v < 4; v++)
        compare_view(&m, &usual, v, &compared);
    assert_true(compared > pixels * 3 / 4);
    t3d_graph_free(m.g);
}

/* --- closed forms
 * ---------------------------------------------------------------------------------- */

static struct scene single(double scale)
{
    return (struct scene){.samples = 1,
                          .n = 1,
                          .views = 1,
                          .threads = 1,
                          .scale = scale,
                          .attr = {.width = 33, .height = 33}};
}

static void put(struct splatted *m, int input, int at, double x)
{
    ((t3d_real *)t3d_graph_data(m->g, m->in[input]))[at] = (t3d_real)x;
}

static t3d_real see(struct splatted *m, int out, int at)
{
    return ((t3d_real *)t3d_graph_data(m->g, m->out[out]))[at];
}

/* One round Gaussian at the origin: its alpha at distance d of the centre pixel is o exp(-d^2 / 2
 * S), S = (f s / 2.7)^2 + 0.3. */
static void a_round_gaussian_is_the_closed_form(void **state)
{
    struct scene s = single(0);
    struct splatted m = make_scene(&s);
    double f = 33 / (2 * tan(T3D_DEFAULT_FOV_DEG * M_PI / 360)), size = 0.15,
           var = pow(f * size / T3D_DEFAULT_DISTANCE, 2) + 0.3;

    (void)state;
    for (int k = 0; k < 3; k++) {
        put(&m, S_XYZ, k, 0);
        put(&m, S_LOG_SCALE, k, log(size));
    }
    put(&m, S_OPACITY, 0, log(0.8 / 0.2));
    run_scene(&m);
    for (int d = 0; d < 6; d++) {
        assert_float_equal(see(&m, 1, 16 * 33 + 16 + d), 0.8 * exp(-d * d / (2 * var)), 1e-5);
        assert_float_equal(see(&m, 1, (16 - d) * 33 + 16), 0.8 * exp(-d * d / (2 * var)), 1e-5);
    }
    assert_float_equal(see(&m, 2, 16 * 33 + 16), 0.8 * T3D_DEFAULT_DISTANCE, 1e-5);
    t3d_graph_free(m.g);
}

/* The nearer of two sheets decides colour and median depth. */
static void the_nearer_one_hides_the_other(void **state)
{
    struct scene s = single(2);
    struct splatted m;
    const t3d_real *camera;

    (void)state;
    s.n = 2;
    s.attr.depth = T3D_SPLAT_MEDIAN;
    m = make_scene(&s);
    camera = (t3d_real *)t3d_graph_data(m.g, m.in[S_CAMERAS]) + T3D_SPLAT_W2C;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++) {
            /* along the optical axis, the second one nearer */
            put(&m, S_XYZ, i * 3 + k, (i ? -0.5 : 0.5) * camera[8 + k]);
            put(&m, S_LOG_SCALE, i * 3 + k, 0);
            put(&m, S_RGB, i * 3 + k, i);
        }
    put(&m, S_OPACITY, 0, log(9));
    put(&m, S_OPACITY, 1, log(9));
    run_scene(&m);
    assert_float_equal(see(&m, 0, (16 * 33 + 16) * 3), 0.9, 1e-4);
    assert_float_equal(see(&m, 1, 16 * 33 + 16), 1 - 0.1 * 0.1, 1e-4);
    assert_float_equal(see(&m, 2, 16 * 33 + 16), T3D_DEFAULT_DISTANCE - 0.5, 1e-5);
    t3d_graph_free(m.g);
}

/* --- odd inputs
 * ------------------------------------------------------------------------------------ */

static void expect_finite(struct splatted *m, const struct scene *s)
{
    for (int k = 0; k < 3; k++) {
        struct t3d_shape shape = t3d_graph_shape(m->g, m->out[k]);

        for (int64_t i = 0; i < t3d_shape_count(&shape); i++)
            assert_true(isfinite(see(m, k, (int)i)));
    }
    for (int i = 0; i < S_CAMERAS; i++)
        for (int k = 0; k < s->samples * s->n * splat_width[i]; k++)
            if (!isfinite(t3d_graph_grad(m->g, m->in[i])[k]))
                fail_msg("gradient %d of input %d is not finite", k, i);
}

static void odd_gaussians_do_no_harm(void **state)
{
    static const struct {
        int input, at;
        double x;
    } odd[] = {{S_XYZ, 0, NAN},         {S_XYZ, 4, INFINITY},    {S_XYZ, 6, 1e30},
               {S_LOG_SCALE, 9, NAN},   {S_LOG_SCALE, 12, 60},   {S_LOG_SCALE, 15, 1e30},
               {S_LOG_SCALE, 18, -1e9}, {S_QUATERNION, 29, NAN}, {S_OPACITY, 8, NAN},
               {S_OPACITY, 9, 1e9},     {S_OPACITY, 10, -1e9},   {S_RGB, 33, NAN}};
    struct splatted m = make_scene(&usual);

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        put(&m, odd[i].input, odd[i].at, odd[i].x);
    for (int k = 0; k < 4; k++)
        put(&m, S_QUATERNION, 4 * 12 + k, 0);
    run_scene_back(&m);
    expect_finite(&m, &usual);
    for (int k = 0; k < 3; k++)
        assert_true(t3d_graph_grad(m.g, m.in[S_XYZ])[k] == 0);
    t3d_graph_free(m.g);
}

static void nothing_to_see_is_black(void **state)
{
    struct scene s = single(-2);
    struct splatted m = make_scene(&s);

    (void)state;
    for (int k = 0; k < 3; k++) /* behind the camera */
        put(&m, S_XYZ, k, -9 * ((t3d_real *)t3d_graph_data(m.g, m.in[S_CAMERAS]))[12 + k]);
    run_scene_back(&m);
    for (int i = 0; i < 33 * 33; i++)
        assert_true(see(&m, 0, i) == 0 && see(&m, 1, i) == 0);
    expect_finite(&m, &s);
    t3d_graph_free(m.g);
}

static void wrong_shapes_are_named(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_err err = {0};
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(1, 5, 3)),
                   q = t3d_graph_input(g, "q", T3D_SHAPE(1, 4, 4)),
                   o = t3d_graph_input(g, "o", T3D_SHAPE(1, 5, 1)),
                   c = t3d_graph_input(g, "c", T3D_SHAPE(1, 2, T3D_SPLAT_CAMERA));

    (void)state;
    t3d_splat(g, x, x, q, o, x, c, &(struct t3d_splat){.width = 8, .height = 8});
    assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "quaternion must be (B, N, 4)"));
    t3d_graph_free(g);
}

/* --- bits
 * ------------------------------------------------------------------------------------------ */

/* Sample 0 of b is that of a: pictures and gradients. */
static void expect_same(struct splatted *a, struct splatted *b, const struct scene *s, int samples,
                        const char *what)
{
    size_t pixels = (size_t)samples * (size_t)(s->views * s->attr.width * s->attr.height);

    for (int k = 0; k < 3; k++)
        if (memcmp(t3d_graph_data(a->g, a->out[k]), t3d_graph_data(b->g, b->out[k]),
                   pixels * (k ? 1 : 3) * sizeof(t3d_real)) != 0)
            fail_msg("%s: picture %d differs", what, k);
    for (int i = 0; i < S_CAMERAS; i++)
        if (memcmp(t3d_graph_grad(a->g, a->in[i]), t3d_graph_grad(b->g, b->in[i]),
                   (size_t)(samples * s->n * splat_width[i]) * sizeof(t3d_real)) != 0)
            fail_msg("%s: gradient of input %d differs", what, i);
}

static void bits_hold_still(void **state)
{
    static const struct {
        const char *what;
        int threads, samples;
        int64_t pairs;
    } other[] = {{"2 threads", 2, 2, 0},
                 {"3 threads", 3, 2, 0},
                 {"4 threads share tiles", 4, 2, 0},
                 {"alone", 1, 1, 0},
                 {"little room", 1, 2, 150},
                 {"a little more room, 4 threads", 4, 2, 331}};
    struct scene s = usual;
    struct splatted one;

    (void)state;
    s.threads = 1;
    one = make_scene(&s);
    run_scene_back(&one);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        struct scene t = usual;
        struct splatted m;

        t.threads = other[i].threads;
        t.samples = other[i].samples;
        t.attr.pairs = other[i].pairs;
        m = make_scene(&t);
        run_scene_back(&m);
        expect_same(&one, &m, &t, t.samples, other[i].what);
        t3d_graph_free(m.g);
    }
    t3d_graph_free(one.g);
}

static void the_same_holds_on_other_instruction_sets(void **state)
{
    static const char *const isa[] = {"portable", "avx2"};
    char path[4096] = {0}, *argv[] = {path, (char *)(uintptr_t) "inner", NULL};

    (void)state;
    assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t pid;

        setenv("T3D_ISA", isa[i], 1);
        assert_int_equal(posix_spawn(&pid, path, NULL, NULL, argv, environ), 0);
        unsetenv("T3D_ISA");
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status)
            fail_msg("with T3D_ISA=%s the tests fail", isa[i]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_equal_the_plain_renderer),
        cmocka_unit_test(a_round_gaussian_is_the_closed_form),
        cmocka_unit_test(the_nearer_one_hides_the_other),
        cmocka_unit_test(odd_gaussians_do_no_harm),
        cmocka_unit_test(nothing_to_see_is_black),
        cmocka_unit_test(wrong_shapes_are_named),
        cmocka_unit_test(bits_hold_still),
        cmocka_unit_test(the_same_holds_on_other_instruction_sets),
    };

    (void)argv;
    if (argc > 1) {
        if (!freopen("/dev/null", "w", stdout)) /* the outer run prints the plan */
            return 1;
        return cmocka_run_group_tests_name(
            "inner", ((struct CMUnitTest[]){tests[0], tests[3], tests[6]}), NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
