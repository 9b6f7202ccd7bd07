/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "geom/read.h"
#include "geom/text_impl.h"
#include "image/colour.h"
#include "image/png.h"

static struct t3d_arena arena;

/* External files: name, text, name, text, ..., NULL. */
static int open_from_list(void *ctx, const char *name, struct t3d_blob *out, struct t3d_err *err)
{
    const char *const *list = ctx;

    for (; list && *list; list += 2)
        if (strcmp(*list, name) == 0) {
            *out = (struct t3d_blob){.data = (const uint8_t *)list[1], .size = strlen(list[1])};
            return T3D_OK;
        }
    return t3d_err_set(err, T3D_SKIP, "missing-file", "'%s'", name);
}

static struct t3d_scene read_with(const char *text, const char *const *files)
{
    struct t3d_source src = {.data = (const uint8_t *)text,
                             .size = strlen(text),
                             .name = "a.obj",
                             .open = open_from_list,
                             .ctx = (void *)(uintptr_t)files};
    struct t3d_scene s;
    struct t3d_err err;

    t3d_arena_reset(&arena);
    assert_int_equal(t3d_read_obj(&s, &arena, &src, T3D_READ_PIXELS, &err), T3D_OK);
    assert_int_equal(t3d_scene_check(&s, &err), T3D_OK);
    return s;
}

static struct t3d_scene read_text(const char *text)
{
    return read_with(text, NULL);
}

/* --- numbers -------------------------------------------------------------------------------------
 */

static void assert_as_strtof(const char *text)
{
    struct t3di_text t = {text, text + strlen(text)};
    float ours = -1, theirs;
    char *end;

    theirs = strtof(text, &end);
    assert_int_equal(t3di_read_float(&t, &ours), 1);
    if (memcmp(&ours, &theirs, 4) != 0 || t.p != end)
        fail_msg("%s: %a instead of %a", text, (double)ours, (double)theirs);
}

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u; /* xorshift64 (Marsaglia 2003) */

    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
}

static void floats_are_those_of_strtof(void **state)
{
    char text[400];

    (void)state;
    for (int i = 0; i < 60000; i++) {
        uint32_t bits = (uint32_t)next_random(), up;
        float f, g;
        memcpy(&f, &bits, 4);
        if (!isfinite(f))
            continue;
        snprintf(text, sizeof text, "%.*g", 1 + i % 19, (double)f);
        assert_as_strtof(text);
        snprintf(text, sizeof text, "%.*f", i % 12, (double)f);
        assert_as_strtof(text);
        up = bits + 1;
        memcpy(&g, &up, 4);
        if (i % 8 || !isfinite(g))
            continue;
        /* Midpoints of neighbours, exact and one digit beside. */
        snprintf(text, sizeof text, "%.160e", ((double)f + (double)g) / 2);
        assert_as_strtof(text);
        *(strchr(text, 'e') - 1) = '1';
        assert_as_strtof(text);
        snprintf(text, sizeof text, "%.17e", ((double)f + (double)g) / 2);
        assert_as_strtof(text);
    }
}

static void hard_floats(void **state)
{
    static const char *const text[] = {
        "0",
        "-0",
        "1.",
        ".5",
        "+3",
        "16777217",
        "16777219",
        "16777217.0000000000000000000000001",
        "1e400",
        "-1e-400",
        "3.4028235e38",
        "3.4028236e38",
        "3.40282356779733661637539395458142568447e38",
        "3.40282356779733661637539395458142568448e38",
        "7.0064923216240853546186479164495806564013097093825788587853e-46",
        "7.0064923216240853546186479164495806564013097093825788587854e-46",
        "1e-45",
        "1.1754943e-38",
        "00000000000000000000000000000000001.5",
        "123456789012345678901234567890",
        "1e",
        "0.00000000000000000000000000000000000000000000000000000123e50",
        "1e999999999999",
        "inf"};
    static const char *const bad[] = {"", "-", ".", "x", "e5", "-.e1"};
    struct t3di_text t;
    float f;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(text); i++)
        assert_as_strtof(text[i]);
    for (size_t i = 0; i < T3D_COUNT(bad); i++) {
        t = (struct t3di_text){bad[i], bad[i] + strlen(bad[i])};
        assert_int_equal(t3di_read_float(&t, &f), 0);
    }
    t = (struct t3di_text){"1.#QNAN", NULL};
    t.end = t.p + 7;
    assert_int_equal(t3di_read_float(&t, &f), 1);
    assert_true(isnan(f) && t.p == t.end);
}

/* --- geometry ------------------------------------------------------------------------------------
 */

static void faces_are_fanned_and_vertices_shared(void **state)
{
    struct t3d_scene s = read_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv .5 2 0\n"
                                   "f 1 2 3 4\nf -1 -2 -3\n");
    static const uint32_t want[3][3] = {{0, 1, 2}, {0, 2, 3}, {4, 3, 2}};

    (void)state;
    assert_int_equal(s.n_vertices, 5);
    assert_int_equal(s.n_triangles, 3);
    assert_memory_equal(s.triangle, want, sizeof want);
    assert_int_equal(s.draw[0].flags, 0);
    assert_true(s.position[4][0] == .5f && s.position[4][1] == 2);
}

/* Corners of one position with other uv or normals are other vertices; equal ones are one. */
static void corners_are_told_apart(void **state)
{
    struct t3d_scene s =
        read_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\n"
                  "vt 0 0\nvt 1 0.25\nvn 0 0 2\nvn 0 3 0\n"
                  "f 1/1/1 2/2/1 3/1/1\nf 2/2/1 4/2/1 3/2/1\nf 2/2/2 4/2/1 3/2/1\n");

    (void)state;
    assert_int_equal(s.n_vertices, 6); /* 1/1/1 2/2/1 3/1/1 4/2/1 3/2/1 2/2/2 */
    assert_int_equal(s.draw[0].flags, T3D_HAS_NORMAL | T3D_HAS_UV0);
    assert_true(s.uv[0][1][0] == 1 && s.uv[0][1][1] == .75f); /* v is flipped */
    assert_true(s.normal[0][2] == 1 && s.normal[5][1] == 1);  /* unit */
}

static void odd_spellings_are_read(void **state)
{
    struct t3d_scene s =
        read_text("\xef\xbb\xbf# c\\\r\nv 0 0 \\\r\n 0\r\nv\t1 0 0 1\r\nv 0 1 0\r\n"
                  "  f 1/ 2// \\\r\n3 # end\r\nl 1 2\r\np 1\r\ng x\r\ns off\r\n");

    (void)state;
    assert_int_equal(s.n_triangles, 1);
    assert_int_equal(s.n_vertices, 3);
    assert_int_equal(s.notes.n_lines, 1);
    assert_int_equal(s.notes.n_points, 1);
    assert_int_equal(s.notes.n_bad_primitives, 0);
    s = read_text("f 1//1 2//1 3//1\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0 1\n"); /* faces first */
    assert_int_equal(s.n_triangles, 1);
    assert_int_equal(s.notes.n_bad_indices, 0);
    assert_int_equal(s.draw[0].flags, T3D_HAS_NORMAL);
    s = read_text("v 0 0 0\rv 1 0 0\rv 0 1 0\rf 1 2 3\r");
    assert_int_equal(s.n_triangles, 1);
}

static void bad_faces_are_skipped_with_a_reason(void **state)
{
    static const char *const faces[] = {
        "f 1 2 4",         "f 0 1 2", "f 1 2 -4", "f 1 2 1000000000", "f 1 2 99999999999999999999",
        "f 1//2 2//1 3//1"};
    char text[300];
    struct t3d_scene s;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(faces); i++) {
        snprintf(text, sizeof text, "v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0 1\n%s\nf 1 2 3\n", faces[i]);
        s = read_text(text);
        assert_int_equal(s.n_triangles, 1);
        assert_int_equal(s.notes.n_bad_primitives, 1);
        assert_int_equal(s.notes.n_bad_indices, 1);
        assert_string_equal(s.notes.first_bad, "index-out-of-range");
    }
    s = read_text("v 0 0 0\nv 1 nan 0\nv 0 1 0\nv 0 0 1e99\nv 5 5 5\nf 1 2 3\nf 1 3 4\nf 1 3 5\n");
    assert_int_equal(s.n_triangles, 1);
    assert_int_equal(s.notes.n_non_finite, 2);
    assert_string_equal(s.notes.first_bad, "non-finite");
    s = read_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 x\n");
    assert_string_equal(s.notes.first_bad, "bad-number");
    s = read_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/7 2/8 3/9\n"); /* no vt at all: passed over */
    assert_int_equal(s.n_triangles, 1);
    assert_int_equal(s.draw[0].flags, 0);
}

static void colours_are_srgb(void **state)
{
    struct t3d_scene s = read_text("v 0 0 0 1 0 0.5\nv 1 0 0 0 1 0\nv 0 1 0\nf 1 2 3\n");

    (void)state;
    assert_int_equal(s.draw[0].flags, T3D_HAS_COLOR);
    assert_true(s.color[0][0] == 1 && s.color[0][1] == 0 && s.color[0][3] == 1);
    assert_true(fabsf(s.color[0][2] - t3d_srgb_to_linear(.5f)) < 1e-6f);
    assert_true(s.color[2][0] == 1 && s.color[2][1] == 1);
    s = read_text("v 0 0 0 255 0 51\nv 1 0 0 0 0 0\nv 0 1 0 0 0 0\nf 1 2 3\n");
    assert_true(fabsf(s.color[0][2] - t3d_srgb_to_linear(.2f)) < 1e-6f);
}

/* --- materials -----------------------------------------------------------------------------------
 */

static void groups_become_draws(void **state)
{
    static const char *const files[] = {"a b.mtl",
                                        "newmtl red one\nKd 1 0 0\nNs 98\nKe 0 .5 0\nd 0.5\n"
                                        "newmtl two\nKd .5\nKs 0 0 0\nNs 98\nPm 0.25\n",
                                        NULL};
    struct t3d_scene s = read_with("mtllib a b.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
                                   "usemtl red one\nf 1 2 3\nusemtl two\nf 1 2 4\nusemtl red one\n"
                                   "f 2 3 4\nusemtl none\nf 1 3 4\n",
                                   files);

    (void)state;
    assert_int_equal(s.n_draws, 3);
    assert_int_equal(s.n_materials, 3);
    assert_int_equal(s.draw[0].n_triangles, 2);
    assert_int_equal(s.draw[0].n_vertices, 4);
    assert_int_equal(s.draw[1].n_vertices, 3); /* each draw has vertices of its own */
    assert_true(s.material[0].base[0] == 1 && s.material[0].base[1] == 0);
    assert_true(s.material[0].base[3] == .5f && s.material[0].alpha_mode == T3D_ALPHA_BLEND);
    assert_true(s.material[0].emissive[1] == .5f && s.material[0].metallic == 0);
    /* alpha^2 = 2 / (98 + 2), roughness = sqrt(alpha) */
    assert_true(fabsf(powf(s.material[0].roughness, 4) - .02f) < 1e-6f);
    assert_true(s.material[1].roughness == 1 && s.material[1].metallic == .25f);
    assert_true(s.material[1].base[2] == .5f);
    assert_true(s.material[2].base[0] == 1 && s.material[2].roughness == 1);
}

static const uint8_t base_pixels[4][4] = {
    {10, 20, 30, 255}, {40, 50, 60, 255}, {70, 80, 90, 255}, {1, 2, 3, 255}};
static const uint8_t mask_pixels[1][4] = {{128, 0, 0, 255}};

static struct t3d_blob make_png(struct t3d_arena *a, const void *pixels, uint32_t side)
{
    struct t3d_png_writer *w;
    struct t3d_blob b = {0};
    const uint8_t *png;
    uint8_t *copy;

    assert_int_equal(t3d_png_writer_new(&w, NULL), T3D_OK);
    assert_int_equal(t3d_png_encode(w, pixels, side, side, 4, 8, NULL, 0, &png, &b.size, NULL),
                     T3D_OK);
    copy = t3d_alloc_raw(a, b.size, 1);
    assert_non_null(copy);
    memcpy(copy, png, b.size);
    b.data = copy;
    t3d_png_writer_free(w);
    return b;
}

/* Pictures come from memory: PNG files are not text. */
static int open_picture(void *ctx, const char *name, struct t3d_blob *out, struct t3d_err *err)
{
    struct t3d_blob *png = ctx;
    static const char mtl[] =
        "newmtl tint\nKd .5 1 .25\nmap_Kd base one.png\n"
        "newmtl m\nKd 0 0 0\nmap_Kd -s 2 3 1 -o .25 .5 -clamp on C:\\x\\base one.png\n"
        "map_d mask.png\nmap_Pr mask.png\nmap_Ke gone.png\nbump -bm .5 base one.png\n";

    if (strcmp(name, "m.mtl") == 0)
        *out = (struct t3d_blob){.data = (const uint8_t *)mtl, .size = sizeof mtl - 1};
    else if (strcmp(name, "base one.png") == 0)
        *out = png[0];
    else if (strcmp(name, "mask.png") == 0)
        *out = png[1];
    else
        return t3d_err_set(err, T3D_SKIP, "missing-file", "'%s'", name);
    return T3D_OK;
}

static void maps_are_loaded_and_combined(void **state)
{
    static const char text[] =
        "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl m\nf 1/1 2/1 3/1\n"
        "usemtl tint\nf 1/1 2/1 3/1\n";
    struct t3d_arena own = {0};
    struct t3d_blob png[2] = {0};
    struct t3d_source src = {.data = (const uint8_t *)text,
                             .size = sizeof text - 1,
                             .name = "m.obj",
                             .open = open_picture,
                             .ctx = png};
    struct t3d_material *m;
    struct t3d_scene s;
    struct t3d_err err;
    const uint8_t *p;

    (void)state;
    png[0] = make_png(&own, base_pixels, 2);
    png[1] = make_png(&own, mask_pixels, 1);
    assert_int_equal(t3d_read_obj(&s, &own, &src, T3D_READ_PIXELS, &err), T3D_OK);
    assert_int_equal(t3d_scene_check(&s, &err), T3D_OK);
    m = &s.material[0];
    p = s.image[m->texture[T3D_TEX_BASE].image].pixels;
    assert_true(p[0] == 10 && p[1] == 20 && p[2] == 30 && p[3] == 128 && p[12] == 1 &&
                p[15] == 128);
    assert_true(m->base[0] == 1 && m->alpha_mode == T3D_ALPHA_BLEND); /* black beside a map */
    assert_true(s.material[1].base[0] == .5f && s.material[1].base[1] == 1 &&
                s.material[1].base[2] == .25f); /* a tint */
    assert_int_equal(m->texture[T3D_TEX_BASE].wrap_s, T3D_WRAP_CLAMP);
    /* u' = 2u + .25; v, which grows downwards here, 3v + (1 - 3 - .5) */
    assert_true(m->texture[T3D_TEX_BASE].transform[0] == 2 &&
                m->texture[T3D_TEX_BASE].transform[2] == .25f);
    assert_true(m->texture[T3D_TEX_BASE].transform[4] == 3 &&
                m->texture[T3D_TEX_BASE].transform[5] == -2.5f);
    p = s.image[m->texture[T3D_TEX_METAL_ROUGH].image].pixels;
    assert_true(p[1] == 128 && p[2] == 255 && m->roughness == 1 && m->metallic == 0);
    assert_int_equal(s.image[m->texture[T3D_TEX_EMISSIVE].image].state, T3D_PICTURE_MISSING);
    assert_int_equal(m->texture[T3D_TEX_NORMAL].image, -1); /* grey-brown is no normal map */
    t3d_arena_free(&own);
}

/* One position with very many texture coordinates must not take quadratic time. */
static void long_chains_end(void **state)
{
    enum { N = 60000 };
    char *text = malloc(60 * N), *p = text;
    struct t3d_scene s;

    (void)state;
    assert_non_null(text);
    p += snprintf(p, 60, "v 0 0 0\n");
    for (int i = 0; i < N; i++)
        p += snprintf(p, 20, "vt %d 0\n", i);
    for (int i = 1; i <= N - 2; i++)
        p += snprintf(p, 40, "f 1/%d 1/%d 1/%d\n", i, i + 1, i + 2);
    s = read_text(text);
    assert_int_equal(s.n_triangles, N - 2);
    free(text);
}

static int teardown(void **state)
{
    (void)state;
    t3d_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_those_of_strtof),
        cmocka_unit_test(hard_floats),
        cmocka_unit_test(faces_are_fanned_and_vertices_shared),
        cmocka_unit_test(corners_are_told_apart),
        cmocka_unit_test(odd_spellings_are_read),
        cmocka_unit_test(bad_faces_are_skipped_with_a_reason),
        cmocka_unit_test(colours_are_srgb),
        cmocka_unit_test(groups_become_draws),
        cmocka_unit_test(maps_are_loaded_and_combined),
        cmocka_unit_test(long_chains_end),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
