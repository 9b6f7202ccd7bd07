/* SPDX-License-Identifier: Apache-2.0 */
/* draw: pictures against closed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "draw_scene.h"
#include "image/colour.h"

enum { R = 256 };

static struct t3d_canvas *draw(struct ds *d, unsigned passes, const struct t3d_camera *camera,
                               const char *light)
{
    struct t3d_err err = {0};
    struct t3d_model *m;
    struct t3d_canvas *c;
    assert_int_equal(t3d_model_new(&m, &d->s, &ds_identity, &err), T3D_OK);
    assert_int_equal(t3d_canvas_new(&c, R, passes, &err), T3D_OK);
    assert_int_equal(t3d_draw(c, m, camera, t3d_light_find(light), &err), T3D_OK);
    t3d_model_free(m);
    return c;
}

static struct t3d_camera front(void)
{
    return ds_camera(0, 0);
}

/* Alpha of a translucent sheet: 128 where each sample is covered once, 191 where twice. */
static void sheet_material(struct ds *d)
{
    struct t3d_material m = ds_material(1, 1, 1, 0, 1);
    m.base[3] = .5f;
    m.alpha_mode = T3D_ALPHA_BLEND;
    ds_draw(d, m, T3D_HAS_NORMAL);
}

/* Random points of a grid, its rows as strips with random diagonals and random winding. */
static void random_sheet(struct ds *d, struct t3d_rng *r, int n, float side)
{
    uint32_t row = (uint32_t)n + 1, first = d->s.n_vertices;
    for (int j = 0; j <= n; j++)
        for (int i = 0; i <= n; i++) {
            int edge = i == 0 || j == 0 || i == n || j == n;
            double a = edge ? 0 : .45 * (t3d_rng_uniform(r) - .5),
                   b = edge ? 0 : .45 * (t3d_rng_uniform(r) - .5);
            ds_vertex(d, side * (float)(2 * (i + a) / n - 1), side * (float)(2 * (j + b) / n - 1),
                      0, 0, 0, 1, 0, 0);
        }
    for (uint32_t j = 0; j < (uint32_t)n; j++)
        for (uint32_t i = 0; i < (uint32_t)n; i++) {
            /* both diagonals stay inside the quad: jitter is below a quarter cell */
            uint32_t o = first + j * row + i, q[4] = {o, o + 1, o + row + 1, o + row};
            uint32_t k = t3d_rng_below(r, 2), flip = t3d_rng_below(r, 2);
            uint32_t t[6] = {q[k], q[k + 1], q[k + 2], q[k], q[k + 2], q[(k + 3) % 4]};
            for (int h = 0; h < 6; h += 3)
                ds_triangle(d, t[h], t[h + 1 + (int)flip], t[h + 2 - (int)flip]);
        }
}

static void every_sample_is_covered_once(void **state)
{
    (void)state;
    for (int trial = 0; trial < 24; trial++) {
        struct t3d_rng r = t3d_rng_for(1, "sheet", (uint64_t)trial);
        int n = 1 + (int)t3d_rng_below(&r, trial % 3 == 0 ? 90 : 12);
        struct ds d;
        ds_init(&d, 100 * 100, 100 * 100 * 2);
        random_sheet(&d, &r, n, .7f);
        sheet_material(&d);
        struct t3d_camera k = front();
        struct t3d_canvas *c = draw(&d, T3D_PASS_COLOR, &k, "flat");
        int half = (int)(.7 / 2.7 * R / (2 * tan(T3D_DEFAULT_FOV_DEG * M_PI / 360)));
        for (int y = 0; y < R; y++)
            for (int x = 0; x < R; x++) {
                int dx = abs(2 * x + 1 - R) / 2, dy = abs(2 * y + 1 - R) / 2;
                if (dx < half - 1 && dy < half - 1)
                    assert_int_equal(c->color[4 * (y * R + x) + 3], 128);
                if (dx > half + 1 || dy > half + 1)
                    assert_int_equal(c->color[4 * (y * R + x) + 3], 0);
            }
        t3d_canvas_free(c);
        ds_free(&d);
    }
}

/* A fan of slivers around a point inside, seen from close by and aslant: near plane and guard band
 * cut. */
static void clipping_leaves_no_gap(void **state)
{
    (void)state;
    for (int trial = 0; trial < 8; trial++) {
        struct t3d_rng r = t3d_rng_for(2, "fan", (uint64_t)trial);
        struct ds d;
        ds_init(&d, 20000, 40000);
        if (trial % 2) {
            random_sheet(&d, &r, 60, 300);
        } else {
            uint32_t hub = ds_vertex(&d, (float)t3d_rng_uniform(&r), (float)t3d_rng_uniform(&r), 0,
                                     0, 0, 1, 0, 0);
            uint32_t n = 3 + t3d_rng_below(&r, 400);
            for (uint32_t k = 0; k < n; k++) {
                double a = 2 * M_PI * k / n, len = 1e3 * (1 + t3d_rng_uniform(&r));
                ds_vertex(&d, (float)(len * cos(a)), (float)(len * sin(a)), 0, 0, 0, 1, 0, 0);
            }
            for (uint32_t k = 0; k < n; k++)
                ds_triangle(&d, hub, hub + 1 + k, hub + 1 + (k + 1) % n);
        }
        sheet_material(&d);
        struct t3d_camera k =
            ds_camera(20.0 * (t3d_rng_uniform(&r) - .5), 20.0 * (t3d_rng_uniform(&r) - .5));
        k.distance = .05 + .5 * t3d_rng_uniform(&r);
        k.near = .01, k.far = 100;
        t3d_camera_place(&k);
        struct t3d_canvas *c = draw(&d, T3D_PASS_COLOR, &k, "flat");
        for (int i = 0; i < R * R; i++)
            assert_int_equal(c->color[4 * i + 3], 128);
        assert_true(c->measures.touches_border > .999);
        t3d_canvas_free(c);
        ds_free(&d);
    }
}

static void sphere_has_its_depth_and_normals(void **state)
{
    (void)state;
    struct ds d;
    ds_init(&d, 80000, 160000);
    ds_sphere(&d, 192, .9f);
    ds_draw(&d, ds_material(1, 1, 1, 0, 1), T3D_HAS_NORMAL);
    struct t3d_camera k = ds_camera(33, 21);
    struct t3d_canvas *c = draw(&d, T3D_PASS_DEPTH | T3D_PASS_NORMAL, &k, "studio");
    double f = R / (2 * tan(k.fov_deg * M_PI / 360)), worst_z = 0, worst_n = 0;
    int inside = 0;
    for (int y = 0; y < R; y++)
        for (int x = 0; x < R; x++) {
            /* ray (px, py, -1) in camera axes: |eye + t ray|^2 = .81 */
            double px = (x + .5 - R / 2.0) / f, py = -(y + .5 - R / 2.0) / f,
                   qq = px * px + py * py + 1;
            double b = k.distance, disc = b * b - qq * (b * b - .81);
            const uint8_t *n = c->normal + 4 * (y * R + x);
            uint16_t z16 = c->depth[y * R + x];
            if (disc < -.02)
                assert_int_equal(z16, 65535);
            if (disc < .08)
                continue;
            double t = (b - sqrt(disc)) / qq, hit[3] = {t * px, t * py, b - t};
            double z = k.near + (k.far - k.near) * z16 / 65535.0;
            worst_z = fmax(worst_z, fabs(z - t));
            for (int j = 0; j < 3; j++) {
                double w = 0;
                for (int i = 0; i < 3; i++)
                    w += k.c2w[j][i] * hit[i] / .9;
                worst_n = fmax(worst_n, fabs(n[j] - (127.5 * w + 127.5)));
            }
            assert_int_equal(n[3], 255);
            inside++;
        }
    assert_true(inside > 10000);
    assert_true(worst_z < 4e-4);
    assert_true(worst_n < 1.6);
    assert_true(fabs(c->measures.depth_min - (2.7 - .9)) < 1e-3);
    assert_true(c->measures.backfacing < 1e-4); /* snapping may turn a facet at the silhouette */
    assert_true(c->measures.touches_border == 0.0);
    /* the silhouette of a sphere is a circle of radius .9 / sqrt(2.7^2 - .9^2) f */
    double radius = .9 / sqrt(2.7 * 2.7 - .81) * f;
    assert_true(fabs(c->measures.coverage - M_PI * radius * radius / (R * R)) < 2e-4);
    t3d_canvas_free(c);
    ds_free(&d);
}

static void white_in_a_white_room_is_white(void **state)
{
    (void)state;
    for (int metal = 0; metal < 2; metal++)
        for (int rough = 0; rough <= 10; rough++) {
            struct ds d;
            ds_init(&d, 20000, 40000);
            ds_sphere(&d, 48, .8f);
            ds_draw(&d, ds_material(1, 1, 1, (float)metal, (float)rough / 10), T3D_HAS_NORMAL);
            struct t3d_camera k = front();
            struct t3d_canvas *c = draw(&d, T3D_PASS_COLOR, &k, "uniform");
            for (int i = 0; i < R * R; i++)
                if (c->color[4 * i + 3] == 255)
                    for (int j = 0; j < 3; j++)
                        assert_in_range(c->color[4 * i + j], 253, 255); /* 2 % of linear light */
            t3d_canvas_free(c);
            ds_free(&d);
        }
}

static void texels_come_out_as_they_are(void **state)
{
    (void)state;
    enum { N = 64 };
    struct ds d;
    struct t3d_rng r = t3d_rng_for(3, "texels", 0);
    ds_init(&d, 8, 8);
    uint8_t *px = ds_image(&d, N, N);
    for (int i = 0; i < N * N * 4; i++)
        px[i] = i % 4 == 3 ? 255 : (uint8_t)t3d_rng_u32(&r);
    /* exactly one texel a pixel: a quad of N x N pixels around the centre */
    struct t3d_camera k = front();
    float half = (float)(N / 2 * k.distance * 2 * tan(k.fov_deg * M_PI / 360) / R);
    ds_quad(&d, half, half, 0);
    struct t3d_material m = ds_material(1, 1, 1, 0, 1);
    m.texture[T3D_TEX_BASE].image = 0;
    m.unlit = 1;
    ds_draw(&d, m, T3D_HAS_NORMAL | T3D_HAS_UV0);
    struct t3d_canvas *c = draw(&d, T3D_PASS_COLOR | T3D_PASS_ALBEDO, &k, "studio");
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++)
            for (int j = 0; j < 4; j++) {
                size_t at = 4 * (size_t)((y + (R - N) / 2) * R + x + (R - N) / 2) + (size_t)j;
                assert_in_range(c->color[at],
                                px[4 * (y * N + x) + j] - 1 < 0 ? 0 : px[4 * (y * N + x) + j] - 1,
                                px[4 * (y * N + x) + j] + 1);
                assert_int_equal(c->color[at], c->albedo[at]);
            }
    assert_true(fabs(c->measures.coverage - (double)(N * N) / (R * R)) < 1e-9);
    t3d_canvas_free(c);
    ds_free(&d);
}

static void fine_checker_is_grey_in_linear_light(void **state)
{
    (void)state;
    enum { N = 1024 };
    struct ds d;
    ds_init(&d, 8, 8);
    uint8_t *px = ds_image(&d, N, N);
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            uint8_t *p = px + 4 * (y * N + x);
            p[0] = p[1] = p[2] = (x ^ y) & 1 ? 255 : 0;
            p[3] = 255;
        }
    ds_quad(&d, .8f, .8f, 0);
    struct t3d_material m = ds_material(1, 1, 1, 0, 1);
    m.texture[T3D_TEX_BASE].image = 0;
    ds_draw(&d, m, T3D_HAS_NORMAL | T3D_HAS_UV0);
    struct t3d_camera k = ds_camera(35, 20);
    struct t3d_canvas *c = draw(&d, T3D_PASS_COLOR, &k, "flat");
    int seen = 0;
    for (int i = 0; i < R * R; i++)
        if (c->color[4 * i + 3] == 255) {
            assert_in_range(c->color[4 * i], 186, 190); /* sRGB of .5 is 187.5 */
            seen++;
        }
    assert_true(seen > 5000);
    t3d_canvas_free(c);
    ds_free(&d);
}

static void layers_hide_and_blend(void **state)
{
    (void)state;
    struct ds d;
    ds_init(&d, 64, 64);
    /* opaque blue at the back; half red before it; a green one with holes; all facing the camera */
    ds_quad(&d, .8f, .8f, -.5f);
    ds_draw(&d, ds_material(0, 0, 1, 0, 1), T3D_HAS_NORMAL);
    ds_quad(&d, .3f, .3f, 0);
    struct t3d_material m = ds_material(1, 0, 0, 0, 1);
    m.base[3] = .25f;
    m.alpha_mode = T3D_ALPHA_BLEND;
    ds_draw(&d, m, T3D_HAS_NORMAL);
    ds_quad(&d, .2f, .2f, .4f);
    m = ds_material(0, 1, 0, 0, 1);
    m.base[3] = .5f;
    m.alpha_mode = T3D_ALPHA_BLEND;
    ds_draw(&d, m, T3D_HAS_NORMAL);
    ds_quad(&d, .1f, .1f, -.7f); /* hidden */
    ds_draw(&d, m, T3D_HAS_NORMAL);
    struct t3d_camera k = front();
    struct t3d_canvas *c = draw(&d, T3D_PASS_COLOR | T3D_PASS_DEPTH, &k, "flat");
    const uint8_t *p = c->color + 4 * (R / 2 * R + R / 2);
    /* green .5 over red .25 over blue: green .5, red .125, blue .375 of linear light */
    assert_in_range(p[0], (int)(t3d_linear_to_srgb(.125f) * 255),
                    (int)(t3d_linear_to_srgb(.125f) * 255) + 1);
    assert_in_range(p[1], 187, 188);
    assert_in_range(p[2], (int)(t3d_linear_to_srgb(.375f) * 255),
                    (int)(t3d_linear_to_srgb(.375f) * 255) + 1);
    assert_int_equal(p[3], 255);
    double z = k.near + (k.far - k.near) * c->depth[R / 2 * R + R / 2] / 65535.0;
    assert_true(fabs(z - 3.2) < 1e-4); /* blended layers do not write depth over opaque ones */
    t3d_canvas_free(c);
    ds_free(&d);
}

static void mask_cuts_at_the_cutoff(void **state)
{
    (void)state;
    enum { N = 64 };
    struct ds d;
    ds_init(&d, 8, 8);
    uint8_t *px = ds_image(&d, N, N);
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            uint8_t *p = px + 4 * (y * N + x);
            p[0] = p[1] = p[2] = 200;
            p[3] = (uint8_t)(x * 4 + 2); /* (x + .5) / N */
        }
    ds_quad(&d, .8f, .8f, 0);
    struct t3d_material m = ds_material(1, 1, 1, 0, 1);
    m.texture[T3D_TEX_BASE].image = 0;
    m.alpha_mode = T3D_ALPHA_MASK;
    m.alpha_cutoff = .25f;
    m.texture[T3D_TEX_BASE].wrap_s = m.texture[T3D_TEX_BASE].wrap_t = T3D_WRAP_CLAMP;
    ds_draw(&d, m, T3D_HAS_NORMAL | T3D_HAS_UV0);
    struct t3d_camera k = front();
    struct t3d_canvas *c = draw(&d, T3D_PASS_COLOR | T3D_PASS_DEPTH, &k, "flat");
    /* the right three quarters remain */
    double f = R / (2 * tan(k.fov_deg * M_PI / 360)), side = 1.6 / 2.7 * f;
    assert_true(fabs(c->measures.coverage - .75 * side * side / (R * R)) < 1e-3);
    int left = (int)(R / 2.0 - .25 * side);
    for (int x = 0; x < R; x++) {
        if (x < left - 2 && x > 0)
            assert_int_equal(c->depth[R / 2 * R + x], 65535);
        if (x > left + 2 && x < R / 2 + side / 2 - 1)
            assert_int_equal(c->color[4 * (R / 2 * R + x)], 200);
    }
    t3d_canvas_free(c);
    ds_free(&d);
}

static void back_faces_are_lit_and_counted(void **state)
{
    (void)state;
    struct ds d;
    ds_init(&d, 16, 16);
    ds_quad(&d, .5f, .5f, 0);
    ds_draw(&d, ds_material(.5f, .5f, .5f, 0, .5f), T3D_HAS_NORMAL);
    struct t3d_camera k = front(), behind = ds_camera(180, 0);
    struct t3d_canvas *c = draw(&d, T3D_PASS_NORMAL, &k, "uniform");
    struct t3d_canvas *b = draw(&d, T3D_PASS_NORMAL, &behind, "uniform");
    assert_true(c->measures.backfacing == 0.0 && b->measures.backfacing == 1.0);
    size_t centre = 4 * (R / 2 * R + R / 2);
    assert_int_equal(c->normal[centre + 2], 255);
    assert_int_equal(b->normal[centre + 2], 0);
    assert_memory_equal(c->color + centre, b->color + centre, 4);
    t3d_canvas_free(c);
    t3d_canvas_free(b);
    ds_free(&d);
}

/* Colour bleeds under transparent pixels; nothing there is black. */
static void transparent_pixels_keep_the_colour(void **state)
{
    (void)state;
    struct ds d;
    ds_init(&d, 20000, 40000);
    ds_sphere(&d, 32, .6f);
    ds_draw(&d, ds_material(.8f, .1f, .1f, 0, 1), T3D_HAS_NORMAL);
    struct t3d_camera k = front();
    struct t3d_canvas *c = draw(&d, T3D_PASS_COLOR, &k, "flat");
    for (int i = 0; i < R * R; i++) {
        assert_in_range(c->color[4 * i], 229, 232);
        assert_in_range(c->color[4 * i + 1], 88, 90);
    }
    t3d_canvas_free(c);
    ds_free(&d);
}

/* Everything at once, for the comparisons below. */
static void busy_scene(struct ds *d)
{
    ds_init(d, 60000, 120000);
    struct t3d_rng r = t3d_rng_for(4, "busy", 0);
    uint8_t *px = ds_image(d, 37, 53);
    for (int i = 0; i < 37 * 53 * 4; i++)
        px[i] = (uint8_t)t3d_rng_u32(&r);
    ds_sphere(d, 40, .6f);
    struct t3d_material m = ds_material(1, .9f, .8f, .7f, .6f);
    for (int s = 0; s < T3D_TEX_COUNT; s++)
        m.texture[s].image = 0;
    m.normal_scale = .3f;
    m.texture[T3D_TEX_BASE].transform[0] = 3;
    ds_draw(d, m, T3D_HAS_NORMAL | T3D_HAS_UV0 | T3D_HAS_COLOR);
    ds_quad(d, .9f, .7f, .1f);
    m.alpha_mode = T3D_ALPHA_MASK;
    m.texture[T3D_TEX_BASE].wrap_s = T3D_WRAP_MIRROR;
    m.texture[T3D_TEX_BASE].nearest = 1;
    ds_draw(d, m, T3D_HAS_NORMAL | T3D_HAS_UV0);
    ds_sphere(d, 20, .8f);
    m.alpha_mode = T3D_ALPHA_BLEND;
    m.spec_gloss = 1, m.specular[1] = .5f, m.glossiness = .8f;
    ds_draw(d, m, T3D_HAS_NORMAL | T3D_HAS_UV0);
}

enum { ALL = 31, PIXELS = R * R * 18 };

static void draw_busy(uint8_t *out)
{
    struct ds d;
    busy_scene(&d);
    struct t3d_camera k = ds_camera(140, 25);
    struct t3d_canvas *c = draw(&d, ALL, &k, "studio");
    memcpy(out, c->color, R * R * 4);
    memcpy(out + R * R * 4, c->normal, R * R * 4);
    memcpy(out + R * R * 8, c->albedo, R * R * 4);
    memcpy(out + R * R * 12, c->metal_rough, R * R * 4);
    memcpy(out + R * R * 16, c->depth, R * R * 2);
    t3d_canvas_free(c);
    ds_free(&d);
}

static void same_bytes_twice(void **state)
{
    (void)state;
    uint8_t *a = malloc(PIXELS), *b = malloc(PIXELS);
    assert_non_null(a);
    assert_non_null(b);
    draw_busy(a);
    draw_busy(b);
    assert_memory_equal(a, b, PIXELS);
    free(a);
    free(b);
}

/* The choice is made once a process: each class draws in a child of its own. */
static void instruction_sets_agree(void **state)
{
    (void)state;
    static const char *const name[3] = {"portable", "avx2", "avx512"};
    uint8_t *p[3];
    for (int k = 0; k < 3; k++) {
        p[k] = mmap(NULL, PIXELS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(p[k], MAP_FAILED);
        pid_t child = fork();
        if (child == 0) {
            setenv("T3D_ISA", name[k], 1);
            draw_busy(p[k]);
            _exit(0);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    for (int k = 1; k < 3; k++) {
        int far_off = 0;
        for (int i = 0; i < R * R * 16; i++)
            far_off += abs(p[k][i] - p[0][i]) > 1;
        /* a rounded alpha test or depth comparison may flip a sample of some pixel */
        assert_in_range(far_off, 0, 40);
    }
    for (int k = 0; k < 3; k++)
        munmap(p[k], PIXELS);
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    struct t3d_err err = {0};
    struct t3d_canvas *c = NULL;
    assert_int_equal(t3d_canvas_new(&c, 0, T3D_PASS_COLOR, &err), T3D_USAGE);
    assert_int_equal(t3d_canvas_new(&c, 100000, T3D_PASS_COLOR, &err), T3D_USAGE);
    assert_string_equal(err.reason, "bad-resolution");
    assert_null(t3d_light_find("moon"));
    struct ds d;
    struct t3d_model *m;
    ds_init(&d, 8, 8);
    ds_quad(&d, 1, 1, 0);
    ds_draw(&d, ds_material(1, 1, 1, 0, 1), T3D_HAS_NORMAL);
    assert_int_equal(t3d_model_new(&m, &d.s, &ds_identity, &err), T3D_OK);
    assert_int_equal(t3d_canvas_new(&c, 17, T3D_PASS_COLOR, &err), T3D_OK);
    struct t3d_camera k = front();
    k.w2c[0][3] = NAN;
    assert_int_equal(t3d_draw(c, m, &k, t3d_light_find("studio"), &err), T3D_USAGE);
    k = front();
    k.near = 0;
    assert_int_equal(t3d_draw(c, m, &k, t3d_light_find("studio"), &err), T3D_USAGE);
    t3d_canvas_free(c);
    t3d_model_free(m);
    ds_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: its children choose their instruction set before this process does */
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(every_sample_is_covered_once),
        cmocka_unit_test(clipping_leaves_no_gap),
        cmocka_unit_test(sphere_has_its_depth_and_normals),
        cmocka_unit_test(white_in_a_white_room_is_white),
        cmocka_unit_test(texels_come_out_as_they_are),
        cmocka_unit_test(fine_checker_is_grey_in_linear_light),
        cmocka_unit_test(layers_hide_and_blend),
        cmocka_unit_test(mask_cuts_at_the_cutoff),
        cmocka_unit_test(back_faces_are_lit_and_counted),
        cmocka_unit_test(transparent_pixels_keep_the_colour),
        cmocka_unit_test(same_bytes_twice),
        cmocka_unit_test(impossible_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
