/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of generators on objects whose answer is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/defs.h"
#include "geom/primitives.h"
#include "geom/read.h"
#include "metric/caption_accuracy.h"
#include "net/encoder.h"

enum { SIDE = 16, MANY = 40 };

static struct t3d_caption_pool *pool;
static struct t3d_err err;

static uint32_t id_of(const char *caption)
{
    int id = t3d_primitives_core_find(caption);

    assert_true(id >= 0);
    return (uint32_t)id;
}

static void canonical_pictures_are_their_own_nearest(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id++)
        assert_int_equal(t3d_caption_pool_nearest(pool, t3d_caption_pool_picture(pool, id)), id);
}

/* The nearest by the definition, in floating point. */
static uint32_t naive_nearest(const uint8_t *picture)
{
    size_t n = t3d_caption_pool_bytes(pool);
    double best = INFINITY;
    uint32_t found = 0;

    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id++) {
        const uint8_t *c = t3d_caption_pool_picture(pool, id);
        double sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += pow((double)c[i] - (double)picture[i], 2);
        if (sum < best) {
            best = sum;
            found = id;
        }
    }
    return found;
}

static void faded_and_mixed_pictures_go_where_they_are_nearest(void **state)
{
    size_t n = t3d_caption_pool_bytes(pool);
    uint8_t *p = malloc(n);
    uint32_t red = id_of("a red cube on a blue cylinder"), own = 0;

    (void)state;
    assert_non_null(p);
    for (uint32_t id = 7; id < T3D_CORE_COMBINATIONS; id += 97) {
        for (size_t i = 0; i < n; i++) /* a sixth of another object shines through */
            p[i] = (uint8_t)((5 * t3d_caption_pool_picture(pool, id)[i] +
                              t3d_caption_pool_picture(pool, red)[i]) /
                             6);
        assert_int_equal(t3d_caption_pool_nearest(pool, p), naive_nearest(p));
        own += t3d_caption_pool_nearest(pool, p) == id;
    }
    assert_true(own >= 9); /* of 10 */
    free(p);
}

static void views_differ_and_stand_on_white(void **state)
{
    const uint8_t *p = t3d_caption_pool_picture(pool, id_of("a red cube"));
    size_t middle = 3 * (SIDE / 2 * SIDE + SIDE / 2);

    (void)state;
    assert_int_equal(t3d_caption_pool_bytes(pool), 4 * SIDE * SIDE * 3);
    for (int k = 0; k < 3; k++)
        assert_int_equal(p[k], 255);
    assert_true(p[middle] > 100 && p[middle + 1] < 90 && p[middle + 2] < 90);
}

/* A ball of Gaussians on a spiral around it, in the colour of the middle of the blue sphere. */
static struct t3d_gaussians blue_ball(void)
{
    enum { N = 800 };
    static float xyz[N][3], log_scale[N][3], quaternion[N][4], opacity[N], rgb[N][3];
    const uint8_t *blue =
        t3d_caption_pool_picture(pool, id_of("a blue sphere")) + 3 * (SIDE / 2 * SIDE + SIDE / 2);

    for (int i = 0; i < N; i++) {
        double y = (2 * i + 1.0) / N - 1, r = sqrt(1 - y * y), turn = 2.399963 * i;

        xyz[i][0] = (float)(0.97 * r * cos(turn));
        xyz[i][1] = (float)(0.97 * y);
        xyz[i][2] = (float)(0.97 * r * sin(turn));
        quaternion[i][0] = 1;
        opacity[i] = 8;
        for (int k = 0; k < 3; k++) {
            log_scale[i][k] = -3;
            rgb[i][k] = (float)blue[k] / 255;
        }
    }
    return (struct t3d_gaussians){N, *xyz, *log_scale, *quaternion, opacity, *rgb};
}

/* An object that was made as a mesh, seen as the candidates are. */
static void meshes_are_drawn_and_judged(void **state)
{
    uint32_t id = id_of("an orange cylinder on a green sphere");
    uint8_t *p = malloc(t3d_caption_pool_bytes(pool));
    struct t3d_primitive_object o;
    struct t3d_source source = {.name = "scene.glb"};
    struct t3d_arena a = {0};
    struct t3d_scene scene;

    (void)state;
    assert_int_equal(t3d_primitives_core(&o, id, &a, &err), T3D_OK);
    source.data = o.glb;
    source.size = o.glb_size;
    assert_int_equal(t3d_read_scene(&scene, &a, &source, T3D_READ_PIXELS, &err), T3D_OK);
    assert_int_equal(t3d_caption_pool_paint(pool, &scene, p, &err), T3D_OK);
    assert_memory_equal(p, t3d_caption_pool_picture(pool, id), t3d_caption_pool_bytes(pool));
    t3d_arena_free(&a);
    free(p);
}

static void gaussians_are_drawn_and_judged(void **state)
{
    struct t3d_gaussians none = {0}, ball = blue_ball();
    uint8_t *p = malloc(t3d_caption_pool_bytes(pool));

    (void)state;
    assert_non_null(p);
    assert_int_equal(t3d_caption_pool_draw(pool, &none, p, &err), T3D_OK);
    for (size_t i = 0; i < t3d_caption_pool_bytes(pool); i++)
        assert_int_equal(p[i], 255);
    assert_int_equal(t3d_caption_pool_nearest(pool, p), naive_nearest(p));
    assert_int_equal(t3d_caption_pool_draw(pool, &ball, p, &err), T3D_OK);
    assert_int_equal(t3d_caption_pool_nearest(pool, p), id_of("a blue sphere"));
    free(p);
}

static void tally_counts_parts(void **state)
{
    struct t3d_caption_tally t = {0};
    const struct t3d_primitives_set *set = t3d_caption_pool_set(pool);
    uint32_t want = id_of("a red cube on a blue cone");

    (void)state;
    t3d_caption_count(&t, set, want, want, 1);
    assert_true(t.n == 1 && t.right == 1 && t.parts == 2 && t.colors == 2 && t.shapes == 2);
    assert_true(t.canonical == 1 && t.canonical_right == 1);
    t3d_caption_count(&t, set, want, id_of("a red torus on a green cone"), 0);
    assert_true(t.n == 2 && t.right == 1 && t.parts == 4 && t.colors == 3 && t.shapes == 3);
    assert_true(t.canonical == 1 && t.canonical_right == 1);
    t3d_caption_count(&t, set, want, id_of("a red cube"), 1);
    assert_true(t.n == 3 && t.right == 1 && t.parts == 6 && t.colors == 4 && t.shapes == 4);
    assert_true(t.canonical == 2 && t.canonical_right == 1);
    t3d_caption_count(&t, set, id_of("a red cube"), want, 0);
    assert_true(t.n == 4 && t.right == 1 && t.parts == 7 && t.colors == 5 && t.shapes == 5);
    assert_true(t.with_parts[0] == 1 && t.with_parts_right[0] == 0);
    assert_true(t.with_parts[1] == 3 && t.with_parts_right[1] == 1 && t.with_parts[2] == 0);
}

/* The bound p solves (phat - p)^2 = z^2 p (1 - p) / n, below phat. */
static void wilson_solves_its_equation(void **state)
{
    static const uint64_t cases[][2] = {{0, 10}, {1, 10}, {5, 10}, {476, 512}, {512, 512}, {1, 1}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(cases); i++) {
        double n = (double)cases[i][1], hat = (double)cases[i][0] / n, z = 1.96,
               p = t3d_wilson_lower(cases[i][0], cases[i][1], z);

        assert_true(p >= 0 && p <= hat);
        assert_true(fabs((hat - p) * (hat - p) - z * z * p * (1 - p) / n) < 1e-12);
    }
    assert_true(t3d_wilson_lower(0, 0, 1.96) == 0);
}

/* --- a maker that gives nothing -------------------------------------------------------------- */

struct fake {
    size_t asked;
    uint32_t combination[MANY * 10];
    uint64_t seed[MANY * 10];
    char text[MANY * 10][96];
};

static int fake_run(void *ctx, const struct t3d_caption_query *q, int n, struct t3d_err *e)
{
    struct fake *f = ctx;

    (void)e;
    assert_true(n >= 1 && n <= 7);
    for (int i = 0; i < n; i++, f->asked++) {
        f->combination[f->asked] = q[i].candidate;
        f->seed[f->asked] = q[i].seed;
        snprintf(f->text[f->asked], sizeof f->text[0], "%s", q[i].text);
        assert_string_equal(t3d_primitives_core_split(q[i].candidate), "test");
        assert_int_equal(q[i].number == 0, t3d_primitives_core_find(q[i].text) >= 0);
    }
    return T3D_OK;
}

static void fake_object(void *ctx, int i, struct t3d_gaussians *g)
{
    (void)ctx;
    (void)i;
    *g = (struct t3d_gaussians){0};
}

static void every_held_out_caption_is_asked(void **state)
{
    static struct fake f;
    struct t3d_caption_maker m = {.ctx = &f, .batch = 7, .run = fake_run, .object = fake_object};
    struct t3d_caption_tally t;
    size_t held_out = 0;
    double seconds;

    (void)state;
    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id++)
        held_out += strcmp(t3d_primitives_core_split(id), "test") == 0;
    assert_true(held_out * 10 >= T3D_CORE_COMBINATIONS); /* a tenth of the combinations */
    assert_true(2 * held_out + 5 < T3D_COUNT(f.seed));
    assert_int_equal(
        t3d_caption_accuracy(&t, &seconds, pool, &m,
                             &(struct t3d_caption_questions){T3D_CORE_COMBINATIONS, "test",
                                                             2 * held_out + 5, 11, NULL},
                             &err),
        T3D_OK);
    assert_int_equal(f.asked, 2 * held_out + 5);
    assert_int_equal(t.n, f.asked);
    assert_int_equal(t.canonical, held_out);
    assert_true(t.right <= 2 * 3); /* all pictures are the same: one combination at most */
    for (size_t i = held_out; i < f.asked; i++) {
        assert_int_equal(f.combination[i], f.combination[i - held_out]);
        assert_string_not_equal(f.text[i], f.text[i - held_out]);
        assert_int_equal(f.seed[i], f.seed[i - held_out] + 1);
    }
    assert_int_equal(f.seed[0], 11);
    assert_int_equal(
        t3d_caption_accuracy(&t, &seconds, pool, &m,
                             &(struct t3d_caption_questions){T3D_CORE_KINDS, "tests", 1, 0, NULL},
                             &err),
        T3D_USAGE);
}

/* --- diversity ------------------------------------------------------------------------------- */

static uint64_t last_seed[MANY];

static int run_seeds(void *ctx, const struct t3d_caption_query *q, int n, struct t3d_err *e)
{
    (void)e;
    for (int i = 0; i < n; i++) {
        last_seed[i] = q[i].seed;
        assert_int_equal(q[i].number, 0);
        ++*(size_t *)ctx;
    }
    return T3D_OK;
}

/* The same ball of each odd seed, nothing of the others. */
static void ball_of_odd(void *ctx, int i, struct t3d_gaussians *g)
{
    (void)ctx;
    *g = last_seed[i] % 2 ? blue_ball() : (struct t3d_gaussians){0};
}

static void diversity_is_the_mean_over_pairs(void **state)
{
    size_t asked = 0, n = t3d_caption_pool_bytes(pool);
    struct t3d_caption_maker m = {
        .ctx = &asked, .batch = 5, .run = run_seeds, .object = ball_of_odd};
    const struct t3d_caption_questions what = {T3D_CORE_COMBINATIONS, "test", 0, 10, NULL};
    struct t3d_gaussians ball = blue_ball();
    uint8_t *p = malloc(n);
    double d, sum = 0;

    (void)state;
    assert_int_equal(t3d_caption_pool_draw(pool, &ball, p, &err), T3D_OK);
    for (size_t i = 0; i < n; i++)
        sum += pow((255 - p[i]) / 255., 2);
    assert_int_equal(t3d_caption_diversity(&d, pool, &m, &what, 4, 4, &err), T3D_OK);
    assert_int_equal(asked, 16); /* seeds 10 to 13: four of six pairs differ */
    assert_true(fabs(d - sqrt(sum / (double)n) * 2 / 3) < 1e-9);
    assert_int_equal(t3d_caption_diversity(&d, pool, &m, &what, 4, 1, &err), T3D_USAGE);
    free(p);
}

/* Of the world itself: its own scenes, found by reading and drawing each by hand. */
static void the_world_is_judged_too(void **state)
{
    enum { N = 12 };
    const struct t3d_caption_questions what = {T3D_CORE_KINDS, "all", N, 5, NULL};
    uint8_t *p = malloc(t3d_caption_pool_bytes(pool));
    struct t3d_arena a = {0};
    struct t3d_caption_tally t;
    double seconds, d;
    uint64_t right = 0;

    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        struct t3d_primitive_object o;
        struct t3d_source source = {.name = "scene.glb"};
        struct t3d_scene scene;

        assert_int_equal(t3d_primitives_set_object(&o, t3d_caption_pool_set(pool), i, 6, &a, &err),
                         T3D_OK);
        source.data = o.glb;
        source.size = o.glb_size;
        assert_int_equal(t3d_read_scene(&scene, &a, &source, T3D_READ_PIXELS, &err), T3D_OK);
        assert_int_equal(t3d_caption_pool_paint(pool, &scene, p, &err), T3D_OK);
        right += naive_nearest(p) == i;
    }
    assert_int_equal(t3d_caption_accuracy(&t, &seconds, pool, NULL, &what, &err), T3D_OK);
    assert_true(t.n == N && t.right == right && right >= N - 1);
    assert_int_equal(t3d_caption_diversity(&d, pool, NULL, &what, 4, 3, &err), T3D_OK);
    assert_true(d > 0 && d < .05); /* roughness alone */
    t3d_arena_free(&a);
    free(p);
}

/* --- richer worlds, and a CLIP ---------------------------------------------------------------- */

static void each_scene_of_a_pool_is_its_own_nearest(void **state)
{
    struct t3d_caption_pool *rich;
    uint32_t own = 0;

    (void)state;
    assert_int_equal(t3d_caption_pool_new(&rich, "relations", 32, 2, &err), T3D_OK);
    for (uint32_t i = 0; i < 1024; i += 9)
        own += t3d_caption_pool_nearest(rich, t3d_caption_pool_picture(rich, i)) == i;
    assert_int_equal(own, 114);
    t3d_caption_pool_free(rich);
}

/* clip-nano knows scenes of the core by four views (its card: 98 % by one); what it answers follows
 * the picture, not the question. */
static void a_clip_reads_the_pictures(void **state)
{
    const struct t3d_encoder_options o = {.threads = 2, .background = {255, 255, 255}};
    struct t3d_caption_pool *large;
    struct t3d_caption_clip *clip;
    struct t3d_encoder *e;
    uint32_t right = 0, found;

    (void)state;
    if (t3d_encoder_open(&e, "models/clip-nano", &o, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(t3d_caption_pool_new(&large, "core", 64, 2, &err), T3D_OK);
    assert_int_equal(t3d_caption_clip_new(&clip, e, large, &err), T3D_OK);
    for (uint32_t id = 5; id < T3D_CORE_COMBINATIONS; id += 23) {
        assert_int_equal(
            t3d_caption_clip_nearest(clip, t3d_caption_pool_picture(large, id), &found, &err),
            T3D_OK);
        right += found == id;
    }
    assert_true(right >= 39); /* of 41 */
    t3d_caption_clip_free(clip);
    t3d_caption_pool_free(large);
    t3d_encoder_free(e);
}

static int set_up(void **state)
{
    (void)state;
    return t3d_caption_pool_new(&pool, "core", SIDE, 2, &err) == T3D_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    t3d_caption_pool_free(pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_pictures_are_their_own_nearest),
        cmocka_unit_test(faded_and_mixed_pictures_go_where_they_are_nearest),
        cmocka_unit_test(views_differ_and_stand_on_white),
        cmocka_unit_test(meshes_are_drawn_and_judged),
        cmocka_unit_test(gaussians_are_drawn_and_judged),
        cmocka_unit_test(tally_counts_parts),
        cmocka_unit_test(wilson_solves_its_equation),
        cmocka_unit_test(every_held_out_caption_is_asked),
        cmocka_unit_test(diversity_is_the_mean_over_pairs),
        cmocka_unit_test(the_world_is_judged_too),
        cmocka_unit_test(each_scene_of_a_pool_is_its_own_nearest),
        cmocka_unit_test(a_clip_reads_the_pictures)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
