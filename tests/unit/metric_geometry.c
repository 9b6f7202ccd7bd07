/* SPDX-License-Identifier: Apache-2.0 */
/* Geometry metrics against reference implementations (tests/ref/make_metrics.py), closed forms, and
 * themselves for any number of threads. */
#include "metric/pair.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/rng.h"
#include "geom/facets.h"
#include "geom/inside.h"
#include "geom/read.h"
#include "metric/emd.h"
#include "metric/iou.h"
#include "store/npy.h"

#define REF "tests/ref/metrics/"

static cJSON *expected(void)
{
    cJSON *o = NULL;
    struct t3d_err err;

    if (t3d_json_read(&o, REF "expected.json", 1 << 20, &err) < 0)
        fail_msg("%s", err.msg);
    return o;
}

static float (*load(const char *path, uint32_t *n))[3]
{
    struct t3d_npy npy;
    float(*p)[3];

    assert_int_equal(t3d_npy_open(&npy, path, NULL), T3D_OK);
    *n = (uint32_t)npy.shape[0];
    p = malloc(*n * sizeof *p);
    memcpy(p, npy.data, *n * sizeof *p);
    t3d_npy_close(&npy);
    return p;
}

static void near(double got, double wanted, double relative, const char *what)
{
    if (!(fabs(got - wanted) <= relative * fabs(wanted)))
        fail_msg("%s: got %.12g, wanted %.12g", what, got, wanted);
}

/* --- distances --- */

static void distances_as_scipy(void **state)
{
    struct t3d_points a, b;
    struct t3d_distances d;
    cJSON *want = expected(), *values = cJSON_GetObjectItem(want, "distance");
    struct t3d_distance_options o = {
        .scale = 1, .edge = t3d_json_num(want, "edge", 0), .threads = 1};
    int n = 0;

    (void)state;
    a.point = load(REF "a.npy", &a.n);
    a.normal = load(REF "a-normal.npy", &a.n);
    b.point = load(REF "b.npy", &b.n);
    b.normal = load(REF "b-normal.npy", &b.n);
    assert_int_equal(t3d_distances(&d, &a, &b, &o, NULL), T3D_OK);
    for (int i = 0; i < t3d_n_metrics; i++) {
        char name[96];
        if (t3d_metrics[i].kind != T3D_METRIC_POINTS)
            continue;
        snprintf(name, sizeof name, "%s:%s", t3d_metrics[i].family, t3d_metrics[i].dialect);
        near(t3d_metric_of_points(&t3d_metrics[i], &d), t3d_json_num(values, name, NAN), 1e-6,
             name);
        n++;
    }
    assert_int_equal(n, cJSON_GetArraySize(values));
    free(a.point);
    free(a.normal);
    free(b.point);
    free(b.normal);
    cJSON_Delete(want);
}

/* pytorch3d's chamfer_distance with norm=1, by brute force in double. */
static void manhattan_as_scipy(void **state)
{
    uint32_t n_a, n_b;
    float(*a)[3] = load(REF "a.npy", &n_a), (*b)[3] = load(REF "b.npy", &n_b);
    float *d = malloc((n_a + n_b) * sizeof *d), *e = malloc((n_a + n_b) * sizeof *e);
    struct t3d_nearest *ta, *tb;
    cJSON *want = expected();
    double sum[2] = {0};

    (void)state;
    assert_int_equal(t3d_nearest_new(&ta, (const float(*)[3])a, n_a, 1, NULL), T3D_OK);
    assert_int_equal(t3d_nearest_new(&tb, (const float(*)[3])b, n_b, 1, NULL), T3D_OK);
    t3d_nearest_manhattan(ta, tb, d, 1);
    t3d_nearest_manhattan(tb, ta, d + n_a, 1);
    t3d_nearest_manhattan(ta, tb, e, 3);
    assert_memory_equal(d, e, n_a * sizeof *d);
    for (uint32_t i = 0; i < n_a + n_b; i++)
        sum[i >= n_a] += (double)d[i];
    near(sum[0] / n_a + sum[1] / n_b, t3d_json_num(want, "manhattan", NAN), 1e-6, "cd-true-l1");
    t3d_nearest_free(ta);
    t3d_nearest_free(tb);
    free(a);
    free(b);
    free(d);
    free(e);
    cJSON_Delete(want);
}

/* Points near one surface to the triangles of the other, as trimesh has it. */
static void surfaces_as_trimesh(void **state)
{
    static const char *const name[2][2] = {{"surface-one.npy", "two.obj"},
                                           {"surface-two.npy", "one.obj"}};
    cJSON *want = expected(), *values = cJSON_GetObjectItem(want, "surface");
    struct t3d_distance_options o = {
        .scale = 1, .edge = t3d_json_num(values, "edge", 0), .threads = 2};
    struct t3d_distances d = {.edge = o.edge, .f_auc = NAN};
    int n = 0;

    (void)state;
    for (int k = 0; k < 2; k++) {
        char path[64];
        struct t3d_arena a = {0};
        struct t3d_blob blob;
        struct t3d_source source;
        struct t3d_scene scene;
        struct t3d_facets *f;
        struct t3d_nearest *t;
        uint32_t count;
        float(*p)[3], *distance;

        snprintf(path, sizeof path, REF "%s", name[k][0]);
        p = load(path, &count);
        snprintf(path, sizeof path, REF "%s", name[k][1]);
        assert_int_equal(t3d_blob_open(&blob, path, 0, NULL), T3D_OK);
        source = (struct t3d_source){.data = blob.data, .size = blob.size, .name = path};
        assert_int_equal(t3d_read_scene(&scene, &a, &source, 0, NULL), T3D_OK);
        assert_int_equal(t3d_facets_new(&f, &scene, 1, NULL), T3D_OK);
        assert_int_equal(t3d_nearest_new(&t, (const float(*)[3])p, count, 1, NULL), T3D_OK);
        distance = malloc(count * sizeof *distance);
        t3d_facets_between(t, f, distance, NULL, 1);
        assert_int_equal(t3d_one_way_sum(k ? &d.ref : &d.pred, distance, count, &o, NULL), T3D_OK);
        free(distance);
        free(p);
        t3d_nearest_free(t);
        t3d_facets_free(f);
        t3d_arena_free(&a);
        t3d_blob_close(&blob);
    }
    for (int i = 0; i < t3d_n_metrics; i++) {
        char full[96];
        if (t3d_metrics[i].kind != T3D_METRIC_SURFACE)
            continue;
        snprintf(full, sizeof full, "%s:%s", t3d_metrics[i].family, t3d_metrics[i].dialect);
        near(t3d_metric_of_points(&t3d_metrics[i], &d), t3d_json_num(values, full, NAN), 1e-6,
             full);
        n++;
    }
    assert_int_equal(n, cJSON_GetArraySize(values) - 1);
    cJSON_Delete(want);
}

/* Two grids one step apart, scaled: every distance is known. */
static void shifted_grid(void **state)
{
    float p[100][3], q[100][3];
    struct t3d_points a = {100, p, NULL}, b = {100, q, NULL};
    struct t3d_distance_options o = {.scale = .5, .edge = 4.5, .threads = 1};
    struct t3d_distances d;

    (void)state;
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < 3; k++) {
            p[i][k] = k == 0 ? (float)(i % 10) : k == 1 ? (float)(i / 10) : 0;
            q[i][k] = p[i][k] + (k == 2 ? .25f : 0);
        }
    assert_int_equal(t3d_distances(&d, &a, &b, &o, NULL), T3D_OK);
    assert_float_equal(d.pred.sum, 100 * .125, 1e-12);
    assert_float_equal(d.ref.sum_squares, 100 * .125 * .125, 1e-12);
    assert_float_equal(d.pred.most, .125, 0);
    assert_float_equal(d.pred.q95, .125, 0);
    assert_int_equal(d.pred.within[2], 0);   /* 2 % of 4.5 is .09 */
    assert_int_equal(d.pred.within[3], 100); /* 5 % is .225 */
    assert_float_equal(d.f_auc, (.225 - .125) / .225, 1e-12);
    assert_int_equal(d.pred.n_cos, 0);
}

/* The floors' closed forms against two samplings of a square, whose border they leave out. */
static void floors_of_a_square(void **state)
{
    enum { N = 40000 };
    struct t3d_rng r = t3d_rng_for(1, "square", 0);
    float(*p)[3] = calloc(2 * N, sizeof *p);
    struct t3d_points a = {N, p, NULL}, b = {N, p + N, NULL};
    struct t3d_distance_options o = {.scale = 1, .edge = 1, .threads = 2};
    struct t3d_distances d;

    (void)state;
    for (int i = 0; i < 2 * N; i++)
        for (int k = 0; k < 2; k++)
            p[i][k] = (float)t3d_rng_uniform(&r);
    assert_int_equal(t3d_distances(&d, &a, &b, &o, NULL), T3D_OK);
    for (int i = 0; i < t3d_n_metrics; i++) {
        double floor = t3d_metric_floor(&t3d_metrics[i], N, 1);
        if (isfinite(floor))
            near(t3d_metric_of_points(&t3d_metrics[i], &d), floor, .03, t3d_metrics[i].dialect);
    }
    free(p);
}

/* --- emd --- */

static void emd_as_scipy(void **state)
{
    cJSON *want = expected(), *values = cJSON_GetObjectItem(want, "emd");
    uint32_t n, n_a, n_b, *index;
    float(*a)[3] = load(REF "a.npy", &n_a), (*b)[3] = load(REF "b.npy", &n_b);
    struct t3d_emd e;

    (void)state;
    n = (uint32_t)t3d_json_num(values, "n", 0);
    index = malloc(n * sizeof *index);
    for (int squared = 0; squared < 2; squared++) {
        const char *name = squared ? "emd-sq" : "emd";
        uint8_t used[2000] = {0};
        double sum = 0;
        assert_int_equal(
            t3d_emd(&e, (const float(*)[3])a, (const float(*)[3])b, n, squared, index, NULL),
            T3D_OK);
        near(e.value, t3d_json_num(values, name, NAN), 1.1e-6, name);
        assert_true(e.exact && e.bound <= t3d_json_num(values, name, NAN) * (1 + 1e-12));
        for (uint32_t i = 0; i < n; i++) { /* a matching, of that cost */
            double d = 0;
            assert_int_equal(used[index[i]]++, 0);
            for (int k = 0; k < 3; k++)
                d += pow((double)a[i][k] - (double)b[index[i]][k], 2);
            sum += squared ? d : sqrt(d);
        }
        near(sum / n, e.value, 1e-12, "the matching");
    }
    free(a);
    free(b);
    free(index);
    cJSON_Delete(want);
}

/* On a line the cheapest matching is that of the sorted points (for any convex cost). */
static void emd_on_a_line(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 15, 16, 17, 40, 300};

    (void)state;
    for (size_t s = 0; s < T3D_COUNT(sizes); s++) {
        uint32_t n = sizes[s];
        float(*a)[3] = calloc(n, sizeof *a), (*b)[3] = calloc(n, sizeof *b);
        double linear = 0, square = 0;
        struct t3d_emd e;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t j = (i * 7 + 3) % n;
            a[i][1] = (float)i * 3; /* sorted by i */
            b[n % 7 ? j : i][1] = (float)i * 2 + 1;
            linear += fabs(i * 3. - (i * 2. + 1)) / n;
            square += pow(i * 3. - (i * 2. + 1), 2) / n;
        }
        for (int squared = 0; squared < 2; squared++) {
            assert_int_equal(
                t3d_emd(&e, (const float(*)[3])a, (const float(*)[3])b, n, squared, NULL, NULL),
                T3D_OK);
            assert_true(e.exact);
            near(e.value, squared ? square : linear, 1.1e-6, "a line");
        }
        free(a);
        free(b);
    }
}

static void emd_of_odd_clouds(void **state)
{
    enum { N = 64 };
    float a[N][3] = {{0}}, b[N][3] = {{0}};
    struct t3d_emd e;
    struct t3d_err err;

    (void)state;
    assert_int_equal(t3d_emd(&e, (const float(*)[3])a, (const float(*)[3])b, N, 0, NULL, &err), 0);
    assert_true(e.value == 0 && e.exact); /* all in one point */
    for (int i = 0; i < N; i++)
        b[i][0] = 3; /* one point to one point: any matching */
    assert_int_equal(t3d_emd(&e, (const float(*)[3])a, (const float(*)[3])b, N, 0, NULL, &err), 0);
    near(e.value, 3, 1e-6, "two points");
    for (int i = 0; i < N; i++)
        b[i][0] = a[i][0] = (float)i * 1e20f; /* equal, and huge */
    assert_int_equal(t3d_emd(&e, (const float(*)[3])a, (const float(*)[3])b, N, 0, NULL, &err), 0);
    assert_true(e.value == 0);
    assert_int_equal(t3d_emd(&e, (const float(*)[3])a, (const float(*)[3])b, 0, 0, NULL, &err),
                     T3D_SKIP);
    assert_string_equal(err.reason, "no-points");
    a[5][1] = NAN;
    assert_int_equal(t3d_emd(&e, (const float(*)[3])a, (const float(*)[3])b, N, 0, NULL, &err),
                     T3D_SKIP);
    assert_string_equal(err.reason, "non-finite");
}

/* --- volume --- */

/* The box [lo, hi], its corners numbered by bits x, y, z; faces from `first` on (6 faces, 2
 * triangles each: -z first). */
static void make_box(struct t3d_scene *s, float (*p)[3], uint32_t (*t)[3], const double lo[3],
                     const double hi[3], uint32_t first)
{
    static const uint32_t faces[12][3] = {{0, 2, 1}, {1, 2, 3}, {4, 5, 6}, {5, 7, 6},
                                          {0, 1, 4}, {1, 5, 4}, {2, 6, 3}, {3, 6, 7},
                                          {0, 4, 2}, {2, 4, 6}, {1, 3, 5}, {3, 7, 5}};

    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 3; k++)
            p[i][k] = (float)(i >> k & 1 ? hi[k] : lo[k]);
    memcpy(t, faces + 2 * first, (12 - 2 * first) * sizeof *t);
    *s = (struct t3d_scene){
        .position = p, .triangle = t, .n_vertices = 8, .n_triangles = 12 - 2 * first};
}

/* A box that is whole, or has no bottom, is inside out, or has a face twice: cells counted by hand
 * in a grid of [-1, 1]^3, of which it covers [-.5, .5]^3. */
static void cells_of_a_box(void **state)
{
    const double lo[3] = {-.5, -.5, -.5}, hi[3] = {.5, .5, .5};
    struct t3d_grid g = {{-1, -1, -1}, {1, 1, 1}};
    struct t3d_arena a = {0};
    struct t3d_inside in;
    struct t3d_scene s;
    uint32_t t[14][3];
    float p[8][3];

    (void)state;
    make_box(&s, p, t, lo, hi, 0);
    assert_int_equal(t3d_inside(&in, &s, &g, &a, NULL), T3D_OK);
    assert_true(in.closed && in.n == 64 * 64 * 64);
    assert_true(in.cell[(32 * 128 + 32) * 128 + 32] == 1 &&
                in.cell[(31 * 128 + 32) * 128 + 32] == 0);
    memcpy(t[12], t[3], sizeof t[12]); /* a triangle twice: the cap takes one off again */
    s.n_triangles = 13;
    assert_int_equal(t3d_inside(&in, &s, &g, &a, NULL), T3D_OK);
    assert_true(!in.closed && in.caps == 3);
    for (int i = 0; i < 12; i++) { /* inside out, with one pair missing: open */
        uint32_t swap = t[i][0];
        t[i][0] = t[i][1];
        t[i][1] = swap;
    }
    s.n_triangles = 12;
    assert_int_equal(t3d_inside(&in, &s, &g, &a, NULL), T3D_OK);
    assert_int_equal(in.n, 64 * 64 * 64);
    t3d_arena_free(&a);
}

/* The winding number of a cell, summed in double. */
static double winding(const struct t3d_scene *s, const double q[3])
{
    double w = 0;

    for (uint32_t t = 0; t < s->n_triangles; t++) {
        double c[3][3], l[3], n, d;
        for (int v = 0; v < 3; v++) {
            for (int k = 0; k < 3; k++)
                c[v][k] = (double)s->position[s->triangle[t][v]][k] - q[k];
            l[v] = sqrt(c[v][0] * c[v][0] + c[v][1] * c[v][1] + c[v][2] * c[v][2]);
        }
        n = c[0][0] * (c[1][1] * c[2][2] - c[1][2] * c[2][1]) +
            c[0][1] * (c[1][2] * c[2][0] - c[1][0] * c[2][2]) +
            c[0][2] * (c[1][0] * c[2][1] - c[1][1] * c[2][0]);
        d = l[0] * l[1] * l[2];
        for (int v = 0; v < 3; v++) {
            const double *x = c[v], *y = c[(v + 1) % 3];
            d += (x[0] * y[0] + x[1] * y[1] + x[2] * y[2]) * l[(v + 2) % 3];
        }
        w += atan2(n, d) / (2 * 3.14159265358979323846);
    }
    return w;
}

/* Without its bottom: every 997th cell against the sum of all solid angles. */
static void cells_of_an_open_box(void **state)
{
    const double lo[3] = {-.63, -.41, -.5}, hi[3] = {.5, .7, .33};
    struct t3d_grid g = {{-1, -1, -1}, {1, 1.5, 1}};
    struct t3d_arena a = {0};
    struct t3d_inside in;
    struct t3d_scene s;
    uint32_t t[12][3], inside = 0;
    float p[8][3];

    (void)state;
    make_box(&s, p, t, lo, hi, 1);
    assert_int_equal(t3d_inside(&in, &s, &g, &a, NULL), T3D_OK);
    assert_true(!in.closed && in.caps == 4);
    for (size_t i = 0; i < (size_t)128 * 128 * 128; i += 997) {
        size_t at[3] = {i / 128 / 128, i / 128 % 128, i % 128};
        double q[3], w;
        for (int k = 0; k < 3; k++)
            q[k] = g.lo[k] + ((double)at[k] + .5) * (g.hi[k] - g.lo[k]) / 128;
        w = fabs(winding(&s, q));
        if (fabs(w - .5) > 1e-5)
            assert_int_equal(in.cell[i], w > .5);
        inside += in.cell[i];
    }
    assert_true(inside > 100);
    t3d_arena_free(&a);
}

static void open_mesh(struct t3d_geometry *s, struct t3d_arena *a, const char *path)
{
    struct t3d_blob b;
    struct t3d_source src = {.name = path};
    struct t3d_err err;

    *s = (struct t3d_geometry){0};
    assert_int_equal(t3d_blob_open(&b, path, 0, NULL), T3D_OK);
    src.data = b.data;
    src.size = b.size;
    assert_int_equal(t3d_read_scene(&s->scene, a, &src, T3D_READ_HEADERS, &err), T3D_OK);
    t3d_blob_close(&b);
    assert_int_equal(t3d_scene_bounds(&s->scene, s->lo, s->hi, NULL), T3D_OK);
}

static void iou_as_numpy(void **state)
{
    static const char *const name[] = {"one", "opened"};
    cJSON *want = expected();
    struct t3d_arena a = {0};
    struct t3d_geometry two, first;
    struct t3d_iou iou[2];

    (void)state;
    open_mesh(&two, &a, REF "two.obj");
    for (int i = 0; i < 2; i++) {
        cJSON *values = cJSON_GetObjectItem(cJSON_GetObjectItem(want, "iou"), name[i]);
        char path[64];
        snprintf(path, sizeof path, REF "%s.obj", name[i]);
        open_mesh(&first, &a, path);
        for (int k = 0; k < 2; k++)
            assert_int_equal(t3d_iou(&iou[k], &first, &two, 1 + k, NULL), T3D_OK);
        assert_memory_equal(&iou[0], &iou[1], sizeof iou[0]);
        assert_int_equal(iou[0].pred_open, i);
        /* cells whose centre is on the surface to the last bit may fall either way */
        assert_true(fabs((double)iou[0].both - t3d_json_num(values, "both", 0)) <= 2);
        assert_true(fabs((double)iou[0].either - t3d_json_num(values, "either", 0)) <= 2);
    }
    t3d_arena_free(&a);
    cJSON_Delete(want);
}

/* --- pairs --- */

/* Two boxes shifted by a quarter of their side: IoU 3/5, whatever the frame; and the same bits from
 * one thread and three. */
static void shifted_boxes(void **state)
{
    static const char *const words[] = {"chamfer", "f-score", "hausdorff", "normal-consistency",
                                        "emd",     "emd-sq",  "iou"};
    struct t3d_pair_options o = {.frame = T3D_FRAME_REF_BBOX1,
                                 .frame_name = "ref-bbox1",
                                 .n_points = 20000,
                                 .n_emd_points = 300,
                                 .emd_floor = 1};
    struct t3d_pair_result *res = calloc(2, sizeof *res);
    struct t3d_geometry pred = {.lo = {2, 0, 0}, .hi = {10, 8, 8}, .radius = 1},
                        ref = {.hi = {8, 8, 8}, .radius = 1};
    uint32_t t[2][12][3];
    float p[2][8][3];
    int seen = 0;

    (void)state;
    make_box(&pred.scene, p[0], t[0], pred.lo, pred.hi, 0);
    make_box(&ref.scene, p[1], t[1], ref.lo, ref.hi, 0);
    assert_int_equal(
        t3d_metrics_choose(&o.choice, (const char *const *)words, T3D_COUNT(words), NULL), T3D_OK);
    for (int k = 0; k < 2; k++) {
        o.threads = 1 + 2 * k;
        assert_int_equal(t3d_pair_shapes(&res[k], &o, "box", &pred, &ref, NULL), T3D_OK);
    }
    assert_memory_equal(&res[0], &res[1], sizeof res[0]);
    for (int i = 0; i < t3d_n_metrics; i++) {
        if (strcmp(res->id[i], "iou:grid128:ref-bbox1") == 0 && ++seen)
            assert_float_equal(res->value[i], .6, .012);
        /* a sheet against its copy at distance 1/4: the two sides that face the shift */
        if (strcmp(res->id[i], "hausdorff:max:ref-bbox1:n20000") == 0 && ++seen)
            assert_float_equal(res->value[i], .25, .01);
        if (strcmp(res->id[i], "emd-sq:exact:ref-bbox1:n300") == 0 && ++seen)
            assert_true(res->value[i] > 1. / 32 && isfinite(res->floor[i]) &&
                        res->floor[i] < res->value[i]);
    }
    assert_int_equal(seen, 3);
    free(res);
}

static void frames(void **state)
{
    const double scale[] = {1, 1. / 8, 1 / sqrt(192.), 1 / sqrt(48.), .25};
    struct t3d_geometry pred = {.lo = {2, 0, 0}, .hi = {10, 8, 8}}, ref = {.hi = {8, 8, 8}};
    uint32_t t[12][3];
    float p[8][3];
    double got, edge;
    struct t3d_err err;

    (void)state;
    ref.radius = sqrt(48.);
    make_box(&ref.scene, p, t, ref.lo, ref.hi, 0);
    for (int k = 0; k < 5; k++) {
        assert_int_equal(t3d_frame_apply((enum t3d_frame_kind)k, &pred, &ref, &got, &edge, NULL),
                         T3D_OK);
        assert_float_equal(got, scale[k], 1e-12);
        assert_float_equal(edge, 8 * scale[k], 1e-12);
    }
    pred.scene = ref.scene;
    assert_int_equal(t3d_frame_apply(T3D_FRAME_SELF_BBOX1, &pred, &ref, &got, &edge, NULL), T3D_OK);
    assert_true(got == 1 && edge == 1 && ref.lo[0] == -.5 && pred.hi[2] == .5);
    assert_float_equal(ref.scene.position[7][1], .5, 0);
    free(pred.own);
    free(ref.own);
    memcpy(ref.hi, ref.lo, sizeof ref.hi);
    assert_int_equal(t3d_frame_apply(T3D_FRAME_REF_BBOX1, &pred, &ref, &got, &edge, &err),
                     T3D_SKIP);
    assert_string_equal(err.reason, "no-extent");
}

static void choosing(void **state)
{
    static const char *const good[] = {"chamfer:cd-sum", "psnr", "lpips"};
    static const char *const bad[] = {"chamfer:cd-sun", "chamfr"};
    struct t3d_metric_choice c;
    struct t3d_err err;

    (void)state;
    assert_int_equal(t3d_metrics_choose(&c, good, 3, &err), T3D_OK);
    for (int i = 0; i < t3d_n_metrics; i++)
        assert_int_equal(c.on[i], strcmp(t3d_metrics[i].dialect, "cd-sum") == 0 ||
                                      ((strcmp(t3d_metrics[i].family, "psnr") == 0 ||
                                        strcmp(t3d_metrics[i].family, "lpips") == 0) &&
                                       t3d_metrics[i].by_default));
    assert_int_equal(t3d_metrics_choose(&c, bad, 1, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "cd-sum"));
    assert_int_equal(t3d_metrics_choose(&c, bad + 1, 1, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "chamfer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_as_scipy),
        cmocka_unit_test(manhattan_as_scipy),
        cmocka_unit_test(surfaces_as_trimesh),
        cmocka_unit_test(shifted_grid),
        cmocka_unit_test(floors_of_a_square),
        cmocka_unit_test(emd_as_scipy),
        cmocka_unit_test(emd_on_a_line),
        cmocka_unit_test(emd_of_odd_clouds),
        cmocka_unit_test(cells_of_a_box),
        cmocka_unit_test(cells_of_an_open_box),
        cmocka_unit_test(iou_as_numpy),
        cmocka_unit_test(shifted_boxes),
        cmocka_unit_test(frames),
        cmocka_unit_test(choosing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
