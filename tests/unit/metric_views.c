/* SPDX-License-Identifier: Apache-2.0 */
/* Families that look at views: consistency by warping (closed forms), what a CLIP says
 * (torchmetrics and transformers on models/clip-nano, tests/ref/make_metrics.py), costs. */
#include "metric/consistency.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "geom/gaussians.h"
#include "metric/cost.h"
#include "metric/networks.h"
#include "metric/views.h"

#define REF "tests/ref/metrics/"

enum { SIDE = 96, RING = 16, WIDTH = 83, HEIGHT = 61 };

/* --- warping ---------------------------------------------------------------------------------- */

struct rendered {
    struct t3d_view_set set;
    struct t3d_arena arena;
    uint8_t *rgba;
    float *depth;
};

/* A sphere of radius 1/2 about the origin, traced; the colour of a point is linear in its place, or
 * one of the view's own. */
static void render(struct rendered *r, int own)
{
    assert_int_equal(t3d_view_set_load(&r->set, "ring16+4", &r->arena, NULL), T3D_OK);
    r->rgba = calloc(RING * SIDE * SIDE, 4);
    r->depth = calloc(RING * SIDE * SIDE, sizeof *r->depth);
    for (size_t i = 0; i < (size_t)RING * SIDE * SIDE; i++) {
        const struct t3d_camera *c = &r->set.camera[i / (SIDE * SIDE)];
        double k[3][3], d[3], eye[3], world[3], a = 0, b = 0, e = -.25, root;

        t3d_camera_intrinsics(c, SIDE, k);
        d[0] = ((double)(i % SIDE) + .5 - k[0][2]) / k[0][0];
        d[1] = -((double)(i / SIDE % SIDE) + .5 - k[1][2]) / k[1][1];
        d[2] = -1;
        for (int j = 0; j < 3; j++) {
            eye[j] = c->c2w[j][3];
            world[j] = c->c2w[j][0] * d[0] + c->c2w[j][1] * d[1] + c->c2w[j][2] * d[2];
            a += world[j] * world[j];
            b += world[j] * eye[j];
            e += eye[j] * eye[j];
        }
        root = b * b - a * e;
        if (root < 0)
            continue;
        r->depth[i] = (float)((-b - sqrt(root)) / a);
        for (int j = 0; j < 3; j++) {
            double at = eye[j] + (double)r->depth[i] * world[j];
            r->rgba[4 * i + (size_t)j] = own ? (uint8_t)(60 + 10 * (i / (SIDE * SIDE) % 2))
                                             : (uint8_t)lround(255 * (.5 + .8 * at));
        }
        r->rgba[4 * i + 3] = 255;
    }
}

static struct t3d_consistency judge(const struct rendered *r, int threads)
{
    struct t3d_consistency c;

    assert_int_equal(
        t3d_view_consistency(&c, &r->set, RING, r->rgba, r->depth, SIDE, threads, NULL), T3D_OK);
    return c;
}

static void consistent(void **state)
{
    struct rendered r = {0};
    struct t3d_consistency one, three;
    size_t covered = 0;

    (void)state;
    render(&r, 0);
    one = judge(&r, 1);
    three = judge(&r, 3);
    assert_memory_equal(&one, &three, sizeof one);
    assert_true(one.value > .998); /* rounding to bytes, and colours between four pixels */
    for (size_t i = 0; i < (size_t)RING * SIDE * SIDE; i++)
        covered += r.depth[i] > 0;
    /* of 22.5 degrees further on most is seen from both, the rest is behind the horizon */
    assert_true(one.pixels > covered && (double)one.pixels < 1.9 * (double)covered);
    free(r.rgba);
    free(r.depth);
    t3d_arena_free(&r.arena);
}

/* Views alternate between two greys 10 apart; then nothing is seen twice; then nothing at all. */
static void inconsistent(void **state)
{
    struct rendered r = {0};
    struct t3d_consistency c;

    (void)state;
    render(&r, 1);
    c = judge(&r, 2);
    assert_float_equal(c.value, 1 - 10 / 255., 1e-12);
    for (size_t i = 0; i < (size_t)RING * SIDE * SIDE; i++)
        r.depth[i] *= i / (SIDE * SIDE) % 2 ? .9f : 1;
    c = judge(&r, 2);
    assert_true(isnan(c.value) && c.pixels == 0); /* the depths contradict each other */
    memset(r.rgba, 0, (size_t)4 * RING * SIDE * SIDE);
    assert_true(isnan(judge(&r, 1).value));
    free(r.rgba);
    free(r.depth);
    t3d_arena_free(&r.arena);
}

/* A flat sheet of Gaussians and a cloud of one: drawn, warped, named. */
static void splats(void **state)
{
    enum { N = 400 };
    static float xyz[N][3], log_scale[N][3], quaternion[N][4], opacity[N], rgb[N][3];
    struct t3d_gaussians g = {N, xyz[0], log_scale[0], quaternion[0], opacity, rgb[0]};
    struct t3d_pair_options o = {.resolution = 64, .threads = 2};
    static const char *const words[] = {"view-consistency:warp-l1"};
    static struct t3d_pair_result out;
    int row = 0;

    (void)state;
    assert_int_equal(t3d_metrics_choose(&o.choice, words, 1, NULL), T3D_OK);
    while (!o.choice.on[row])
        row++;
    for (int i = 0; i < N; i++) { /* a sphere of radius .6, Fibonacci's lattice */
        double z = 1 - (2 * i + 1.) / N, a = 2.399963 * i, r = sqrt(1 - z * z);
        double p[3] = {r * cos(a), r * sin(a), z};
        for (int k = 0; k < 3; k++) {
            xyz[i][k] = (float)(.6 * p[k]);
            log_scale[i][k] = logf(.05f);
            rgb[i][k] = (float)(.5 + .3 * p[k]);
        }
        quaternion[i][0] = 1;
        opacity[i] = 5;
    }
    t3d_pair_clear(&out);
    assert_int_equal(t3d_pair_warp(&out, &o, &g, NULL), T3D_OK);
    assert_true(out.value[row] > .95 && out.value[row] <= 1);
    assert_string_equal(out.id[row], "view-consistency:warp-l1:ring16-64");
    g.n = 0;
    t3d_pair_clear(&out);
    assert_int_equal(t3d_pair_warp(&out, &o, &g, NULL), T3D_OK);
    assert_true(isnan(out.value[row]) && out.note[row][0]);
}

/* --- CLIP ------------------------------------------------------------------------------------- */

static void near(const cJSON *want, const char *name, double got, double tolerance)
{
    double w = t3d_json_num(want, name, NAN);

    if (!(fabs(got - w) <= tolerance * fabs(w)))
        fail_msg("%s: got %.9g, wanted %.9g", name, got, w);
}

/* A disc of the colour on white, as make_metrics.py. */
static void draw_disc(uint8_t *p, uint8_t red, uint8_t green, uint8_t blue)
{
    memset(p, 255, (size_t)4 * WIDTH * HEIGHT);
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        int x = i % WIDTH - 41, y = i / WIDTH - 30;
        if (x * x + y * y >= 400)
            continue;
        p[4 * i] = red;
        p[4 * i + 1] = green;
        p[4 * i + 2] = blue;
    }
}

static void open_networks(struct t3d_networks **n, struct t3d_metric_choice *c,
                          t3d_metric_reasons reason)
{
    static const char *const words[] = {"clip-score:raw",           "clip-score:x100",
                                        "clip-score:hessel",        "clip-score:torchmetrics",
                                        "clip-score:best-view",     "r-precision:r1",
                                        "r-precision:r5",           "lpips",
                                        "view-consistency:opposite"};
    struct t3d_err err;

    assert_int_equal(t3d_metrics_choose(c, words, T3D_COUNT(words), &err), T3D_OK);
    if (t3d_networks_open(n, c,
                          &(struct t3d_networks_options){.workspace = "no-such-folder",
                                                         .clip = "models/clip-nano",
                                                         .threads = 2},
                          reason, &err) < 0)
        fail_msg("%s", err.msg);
}

/* Two pictures as two views of one object; the texts are in other orders. */
static void scores_as_torchmetrics(void **state)
{
    static const char *const caption[2] = {"a red cube", NULL};
    static const char *const others[] = {"an orange sphere", "a blue torus on a green cone",
                                         "a red sphere", "a red cube"};
    const struct t3d_text_pool pool = {"others", others, 4};
    static t3d_metric_reasons reason;
    struct t3d_pictures p = {.n = 2, .width = WIDTH, .height = HEIGHT};
    struct t3d_metric_choice c;
    static struct t3d_pair_result out;
    struct t3d_networks *n;
    cJSON *expected, *want;
    struct t3d_err err;
    int found = 0;

    (void)state;
    assert_int_equal(t3d_json_read(&expected, REF "expected.json", 1 << 20, NULL), T3D_OK);
    want = cJSON_GetObjectItem(expected, "clip");
    open_networks(&n, &c, reason);
    if (t3d_networks_texts(n, &c, caption, 2, &pool, reason, &err) < 0)
        fail_msg("%s", err.msg);
    p.pred = malloc(8 * WIDTH * HEIGHT);
    draw_disc(p.pred, 220, 30, 30);
    draw_disc(p.pred + 4 * WIDTH * HEIGHT, 40, 60, 220);
    t3d_pair_clear(&out);
    assert_int_equal(t3d_networks_measure(n, &out, &c, T3D_NETWORK_CLIP, &p, 0, "", &err), T3D_OK);
    for (int i = 0; i < t3d_n_metrics; i++) {
        char name[64];
        if (t3d_metrics[i].kind == T3D_METRIC_LPIPS && t3d_metrics[i].by_default)
            assert_non_null(strstr(reason[i], "fetch weights lpips-")); /* not there: says how */
        if (isnan(out.value[i]))
            continue;
        snprintf(name, sizeof name, "%s:%s", t3d_metrics[i].family, t3d_metrics[i].dialect);
        near(want, name, out.value[i], 1e-4);
        assert_int_equal(strncmp(out.id[i], name, strlen(name)), 0);
        assert_non_null(strstr(out.id[i], ":clip-nano@"));
        if (t3d_metrics[i].kind == T3D_METRIC_RANK)
            assert_non_null(strstr(out.id[i], ":others4-"));
        found++;
    }
    assert_int_equal(found, 7);
    t3d_pair_clear(&out); /* without a caption; of one view there is no opposite one */
    assert_int_equal(t3d_networks_measure(n, &out, &c, T3D_NETWORK_CLIP, &p, 1, "", &err), T3D_OK);
    for (int i = 0; i < t3d_n_metrics; i++)
        assert_true(isnan(out.value[i]));
    t3d_networks_free(n);
    t3d_pictures_free(&p);
    cJSON_Delete(expected);
}

/* No captions, or none that would do: the metrics leave the choice and say why. */
static void without_captions(void **state)
{
    static const char *const words[] = {"clip-score", "caption-accuracy"};
    static const char *const caption[1] = {"a chair"};
    const struct t3d_text_pool pool = {0};
    static t3d_metric_reasons reason;
    struct t3d_metric_choice c;
    struct t3d_networks *n;
    int core = 0;

    (void)state;
    assert_int_equal(t3d_metrics_choose(&c, words, 2, NULL), T3D_OK);
    assert_int_equal(t3d_networks_open(&n, &c,
                                       &(struct t3d_networks_options){.workspace = ".",
                                                                      .clip = "models/clip-nano",
                                                                      .threads = 1},
                                       reason, NULL),
                     T3D_OK);
    assert_int_equal(t3d_networks_texts(n, &c, caption, 1, &pool, reason, NULL), T3D_OK);
    for (int i = 0; i < t3d_n_metrics; i++) {
        if (t3d_metrics[i].kind != T3D_METRIC_CAPTION)
            continue;
        assert_int_equal(c.on[i], 0);
        assert_non_null(strstr(reason[i], "a chair"));
        core++;
    }
    assert_int_equal(core, 3);
    t3d_networks_free(n);
}

/* --- costs ------------------------------------------------------------------------------------ */

static double mean_of(const cJSON *summary, const char *id)
{
    return t3d_json_num(cJSON_GetObjectItemCaseSensitive(summary, id), "mean", NAN);
}

static void costs(void **state)
{
    static const double seconds[] = {4, 1, 3, 2, 5};
    const struct t3d_cost cost = {.seconds = seconds,
                                  .n = 5,
                                  .wall_s = NAN,
                                  .model_bytes = 7e6,
                                  .peak_bytes = 5e9,
                                  .splat_fps = NAN,
                                  .price_per_hour = 3.6};
    char path[] = "/tmp/t3d-cost-XXXXXX";
    struct t3d_report *r;
    const cJSON *s;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(t3d_report_new(&r, "evaluate", "x", 0, NULL), T3D_OK);
    assert_int_equal(t3d_cost_report(r, &cost, NULL), T3D_OK);
    assert_int_equal(t3d_report_write(r, path, 1, NULL), T3D_OK);
    s = t3d_report_summary(r);
    assert_float_equal(mean_of(s, "cost:seconds-p50"), 3, 1e-12);
    assert_float_equal(mean_of(s, "cost:seconds-p95"), 4.8, 1e-12); /* numpy.percentile */
    assert_float_equal(mean_of(s, "cost:objects-per-minute"), 20, 1e-12);
    assert_float_equal(mean_of(s, "cost:price"), .003, 1e-12);
    assert_float_equal(mean_of(s, "cost:model-mb"), 7, 1e-12);
    assert_true(cJSON_IsFalse(
        cJSON_GetObjectItem(cJSON_GetObjectItemCaseSensitive(s, "cost:peak-mb"), "pass")));
    assert_null(cJSON_GetObjectItemCaseSensitive(s, "cost:splat-fps-0"));
    t3d_report_free(r);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(consistent),       cmocka_unit_test(inconsistent),
        cmocka_unit_test(splats),           cmocka_unit_test(scores_as_torchmetrics),
        cmocka_unit_test(without_captions), cmocka_unit_test(costs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
