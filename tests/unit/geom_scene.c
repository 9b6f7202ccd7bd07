/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "base/rng.h"

enum { NV = 7, NT = 3 };

/* Two draws: a triangle with everything on vertices 0-2, two bare triangles on 3-6. */
static void make_scene(struct t3d_scene *s, struct t3d_arena *a)
{
    static const uint32_t triangles[NT][3] = {{0, 1, 2}, {3, 4, 5}, {5, 4, 6}};

    *s = (struct t3d_scene){
        .n_vertices = NV, .n_triangles = NT, .n_draws = 2, .n_materials = 2, .n_images = 3};
    s->position = t3d_alloc(a, NV, sizeof *s->position);
    s->normal = t3d_alloc(a, NV, sizeof *s->normal);
    s->tangent = t3d_alloc(a, NV, sizeof *s->tangent);
    s->color = t3d_alloc(a, NV, sizeof *s->color);
    s->uv[0] = t3d_alloc(a, NV, sizeof *s->uv[0]);
    s->uv[2] = t3d_alloc(a, NV, sizeof *s->uv[2]);
    s->triangle = t3d_alloc(a, NT, sizeof *s->triangle);
    s->draw = t3d_alloc(a, 2, sizeof *s->draw);
    s->material = t3d_alloc(a, 2, sizeof *s->material);
    s->image = t3d_alloc(a, 3, sizeof *s->image);
    memcpy(s->triangle, triangles, sizeof triangles);
    for (int i = 0; i < NV; i++)
        for (int k = 0; k < 3; k++)
            s->position[i][k] = (float)(i * (k + 1) - k);
    s->uv[2][1][1] = .75f;
    s->draw[0] = (struct t3d_draw){
        0, 1, 0,
        3, 1, T3D_HAS_NORMAL | T3D_HAS_TANGENT | T3D_HAS_COLOR | T3D_HAS_UV0 | T3D_HAS_UV0 << 2};
    s->draw[1] = (struct t3d_draw){1, 2, 3, 4, 0, 0};
    s->material[0] = s->material[1] = t3d_material_default();
    s->material[1].texture[T3D_TEX_NORMAL].image = 2;
    s->image[0] = (struct t3d_picture){.state = T3D_PICTURE_MISSING};
    s->image[1] = (struct t3d_picture){.width = 3, .height = 5};
    s->image[2] = (struct t3d_picture){.width = 2, .height = 1, .has_alpha = 1};
    s->image[2].pixels = t3d_alloc(a, 8, 1);
    memcpy(s->image[2].pixels, "pixels!", 8);
    snprintf(s->notes.format, sizeof s->notes.format, "test");
    s->notes.n_lines = 4;
}

static void default_material_is_gltfs(void **state)
{
    struct t3d_material m = t3d_material_default();

    (void)state;
    for (int k = 0; k < 4; k++)
        assert_true(m.base[k] == 1);
    assert_true(m.metallic == 1 && m.roughness == 1 && m.normal_scale == 1);
    assert_true(m.occlusion_strength == 1 && m.alpha_cutoff == .5f && m.emissive[1] == 0);
    assert_int_equal(m.alpha_mode, T3D_ALPHA_OPAQUE);
    for (int k = 0; k < T3D_TEX_COUNT; k++) {
        const float identity[6] = {1, 0, 0, 0, 1, 0};

        assert_int_equal(m.texture[k].image, -1);
        assert_memory_equal(m.texture[k].transform, identity, sizeof identity);
    }
}

static void a_sound_scene_passes(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_scene s, empty = {0};
    struct t3d_draw nothing = {.flags = T3D_HAS_NORMAL};

    (void)state;
    make_scene(&s, &a);
    assert_int_equal(t3d_scene_check(&s, NULL), T3D_OK);
    assert_int_equal(t3d_scene_check(&empty, NULL), T3D_OK);
    /* a draw of nothing, as a child may send it */
    empty.material = s.material;
    empty.draw = &nothing;
    empty.n_materials = empty.n_draws = 1;
    assert_int_equal(t3d_scene_check(&empty, NULL), T3D_OK);
    t3d_arena_free(&a);
}

static const char *reason_of(const struct t3d_scene *s)
{
    static struct t3d_err err;

    err = (struct t3d_err){0};
    return t3d_scene_check(s, &err) == T3D_SKIP ? err.reason : "none";
}

#define SPOILS(statement, reason)                                                                  \
    do {                                                                                           \
        make_scene(&s, &a);                                                                        \
        statement;                                                                                 \
        assert_string_equal(reason_of(&s), reason);                                                \
    } while (0)

static void each_invariant_is_checked(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_scene s;

    (void)state;
    SPOILS(s.triangle[2][1] = NV, "index-out-of-range");
    SPOILS(s.triangle[0][2] = 3, "index-out-of-range"); /* of the scene, but not of its draw */
    SPOILS(s.triangle[1][0] = 2, "index-out-of-range"); /* below the draw's first vertex */
    SPOILS(s.triangle[1][0] = UINT32_MAX, "index-out-of-range");
    SPOILS(s.position[6][2] = NAN, "non-finite");
    SPOILS(s.normal[0][0] = INFINITY, "non-finite");
    SPOILS(s.tangent[0][3] = -INFINITY, "non-finite");
    SPOILS(s.color[1][0] = NAN, "non-finite");
    SPOILS(s.uv[2][6][1] = NAN, "non-finite");
    SPOILS(s.material[0].alpha_cutoff = NAN, "non-finite");
    SPOILS(s.material[1].base[0] = INFINITY, "non-finite");
    SPOILS(s.material[1].texture[5].transform[5] = NAN, "non-finite");
    SPOILS(s.material[1].texture[0].image = 3, "bad-scene");
    SPOILS(s.material[1].texture[0].image = -2, "bad-scene");
    SPOILS(s.material[1].texture[0].uv = T3D_MAX_UV, "bad-scene");
    SPOILS(s.material[1].texture[0].wrap_t = 3, "bad-scene");
    SPOILS(s.material[0].alpha_mode = 3, "bad-scene");
    SPOILS(s.material[0].unlit = 2, "bad-scene");
    SPOILS(s.draw[0].material = 2, "bad-scene");
    SPOILS(s.draw[0].flags |= T3D_HAS_UV0 << 1, "bad-scene"); /* no such array */
    SPOILS(s.draw[0].flags |= T3D_HAS_UV0 << T3D_MAX_UV, "bad-scene");
    SPOILS(s.draw[1].first_triangle = 2, "bad-scene");
    SPOILS(s.draw[1].n_triangles = 3, "bad-scene");
    SPOILS(s.draw[1].n_triangles = 1, "bad-scene"); /* the last triangle has no draw */
    SPOILS(s.draw[1].n_vertices = 5, "bad-scene");
    SPOILS(s.draw[1].first_vertex = UINT32_MAX, "bad-scene");
    SPOILS(s.n_draws = 1, "bad-scene");
    SPOILS(s.image[0].width = 1, "bad-scene");
    SPOILS(s.image[1].height = 0, "bad-scene");
    SPOILS(s.image[1].width = 20000, "bad-scene");
    SPOILS(s.image[1].state = 4, "bad-scene");
    SPOILS(s.notes.generator[0] = '\n', "bad-scene");
    SPOILS(memset(s.notes.format, 'x', sizeof s.notes.format), "bad-scene");
    SPOILS(s.position = NULL, "bad-scene");
    SPOILS(s.n_triangles = T3D_MAX_TRIANGLES + 1, "bad-scene");
    t3d_arena_free(&a);
}

/* Pack into memory that ends exactly at the end. */
static void *pack(const struct t3d_scene *s, size_t *size)
{
    void *buf;

    *size = t3d_scene_packed_size(s);
    assert_int_equal(*size % 64, 0);
    buf = aligned_alloc(64, *size);
    memset(buf, 0xa5, *size);
    t3d_scene_pack(s, buf);
    return buf;
}

static void packing_keeps_everything(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_scene s, t;
    size_t size, again;
    void *buf, *buf2;

    (void)state;
    make_scene(&s, &a);
    buf = pack(&s, &size);
    assert_int_equal(t3d_scene_unpack(&t, buf, size, NULL), T3D_OK);
    assert_int_equal(t.n_vertices, NV);
    assert_memory_equal(t.position, s.position, NV * sizeof *s.position);
    assert_memory_equal(t.triangle, s.triangle, NT * sizeof *s.triangle);
    assert_memory_equal(t.draw, s.draw, 2 * sizeof *s.draw);
    assert_memory_equal(t.material, s.material, 2 * sizeof *s.material);
    assert_memory_equal(&t.notes, &s.notes, sizeof s.notes);
    assert_true(t.uv[2][1][1] == .75f);
    assert_null(t.uv[1]);
    assert_null(t.image[1].pixels);
    assert_int_equal(t.image[1].height, 5);
    assert_memory_equal(t.image[2].pixels, "pixels!", 8);
    /* every byte is determined, padding too */
    buf2 = pack(&t, &again);
    assert_int_equal(again, size);
    memset(buf, 0x5a, size);
    t3d_scene_pack(&s, buf);
    assert_memory_equal(buf, buf2, size);
    free(buf);
    free(buf2);
    t3d_arena_free(&a);
}

/* Touch all that a later stage would touch. */
static double walk(const struct t3d_scene *s)
{
    double sum = 0, lo[3], hi[3];

    for (uint32_t i = 0; i < s->n_images; i++)
        for (size_t k = 0;
             s->image[i].pixels && k < (size_t)4 * s->image[i].width * s->image[i].height; k++)
            sum += s->image[i].pixels[k];
    for (uint32_t i = 0; i < s->n_draws; i++)
        sum += s->material[s->draw[i].material].base[0] +
               (s->draw[i].flags & T3D_HAS_NORMAL && s->draw[i].n_vertices
                    ? s->normal[s->draw[i].first_vertex][0]
                    : 0);
    return t3d_scene_bounds(s, lo, hi, NULL) == T3D_OK ? sum + lo[0] : sum;
}

/* A hostile process may send anything: one word changed at every place, many at random, every size.
 */
static void mutated_buffers_do_no_harm(void **state)
{
    static const uint32_t evil[] = {0, 1, 3, 0x7f, 0xff, 0x7fffffff, 0x80000000, UINT32_MAX};
    struct t3d_rng r = t3d_rng_for(7, "mutate", 0);
    struct t3d_arena a = {0};
    struct t3d_scene s, t;
    size_t size, accepted = 0;
    char *whole, *buf;

    (void)state;
    make_scene(&s, &a);
    whole = pack(&s, &size);
    buf = aligned_alloc(64, size);
    for (size_t at = 0; at + 4 <= size; at += 2)
        for (size_t k = 0; k < T3D_COUNT(evil); k++) {
            memcpy(buf, whole, size);
            memcpy(buf + at, &evil[k], 4);
            if (t3d_scene_unpack(&t, buf, size, NULL) == T3D_OK)
                accepted += walk(&t) < 1e300;
        }
    for (int i = 0; i < 20000; i++) {
        memcpy(buf, whole, size);
        for (uint32_t k = 1 + t3d_rng_below(&r, 4); k; k--)
            buf[t3d_rng_below(&r, (uint32_t)size)] = (char)t3d_rng_u32(&r);
        if (t3d_scene_unpack(&t, buf, size, NULL) == T3D_OK)
            accepted += walk(&t) < 1e300;
    }
    free(buf);
    for (size_t n = 0; n < size; n++) {
        buf = aligned_alloc(64, (n + 64) / 64 * 64);
        memcpy(buf, whole, n);
        assert_int_equal(t3d_scene_unpack(&t, buf, n, NULL), T3D_SKIP);
        free(buf);
    }
    buf = aligned_alloc(64, size + 64);
    memcpy(buf, whole, size);
    memset(buf + size, 0, 64);
    assert_int_equal(t3d_scene_unpack(&t, buf, size + 64, NULL), T3D_SKIP);
    free(buf);
    assert_true(accepted > 100); /* changed floats are no damage */
    free(whole);
    t3d_arena_free(&a);
}

static void bounds_ignore_unused_vertices(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_scene s;
    struct t3d_normalisation n;
    struct t3d_err err;
    double lo[3], hi[3];

    (void)state;
    make_scene(&s, &a);
    s.position[1][0] = 1e6f;
    memcpy(s.triangle[0], (uint32_t[3]){0, 0, 2}, 12);
    assert_int_equal(t3d_scene_bounds(&s, lo, hi, &err), T3D_OK);
    assert_true(lo[0] == 0 && hi[0] == 6 && lo[1] == -1 && hi[1] == 11 && lo[2] == -2 &&
                hi[2] == 16);
    /* corners (0,-1,-2) and (6,11,16) of the box are vertices 0 and 6: radius is half the diagonal
     */
    assert_int_equal(t3d_scene_normalisation(&s, &n, &err), T3D_OK);
    assert_true(n.centre[0] == 3 && n.centre[1] == 5 && n.centre[2] == 7);
    assert_true(fabs(n.scale * sqrt(9 + 36 + 81) - 1) < 1e-15);
    s.n_triangles = 0;
    assert_int_equal(t3d_scene_normalisation(&s, &n, &err), T3D_SKIP);
    assert_string_equal(err.reason, "no-triangles");
    s.n_triangles = 1;
    memset(s.triangle[0], 0, sizeof s.triangle[0]);
    assert_int_equal(t3d_scene_normalisation(&s, &n, &err), T3D_SKIP);
    assert_string_equal(err.reason, "no-extent");
    t3d_arena_free(&a);
}

/* An equilateral triangle: the sphere about the box's centre is larger than half the diagonal of no
 * axis-aligned case; radius = the farthest corner, sqrt(1/4 + 3/16). */
static void the_sphere_is_of_the_vertices(void **state)
{
    float p[3][3] = {{0, 0, 0}, {1, 0, 0}, {.5f, (float)sqrt(.75), 0}};
    uint32_t t[1][3] = {{0, 1, 2}};
    struct t3d_scene s = {.n_vertices = 3, .n_triangles = 1, .position = p, .triangle = t};
    struct t3d_normalisation n;

    (void)state;
    assert_int_equal(t3d_scene_normalisation(&s, &n, NULL), T3D_OK);
    assert_true(fabs(n.scale - 1 / sqrt(.25 + .75 / 4)) < 1e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_material_is_gltfs),
        cmocka_unit_test(a_sound_scene_passes),
        cmocka_unit_test(each_invariant_is_checked),
        cmocka_unit_test(packing_keeps_everything),
        cmocka_unit_test(mutated_buffers_do_no_harm),
        cmocka_unit_test(bounds_ignore_unused_vertices),
        cmocka_unit_test(the_sphere_is_of_the_vertices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
