/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures against those that the processors of transformers and open_clip make (tests/ref/clip).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "net/preprocess.h"
#include "store/safetensors.h"

static struct t3d_err err;
static struct t3d_arena arena;
static const uint8_t white[3] = {255, 255, 255};

/* The pictures of make_clip.py, picture(). */
static uint8_t *picture(uint32_t w, uint32_t h, int alpha)
{
    uint8_t *p = t3d_alloc(&arena, (size_t)w * h, 4);

    assert_non_null(p);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            uint8_t *px = p + ((size_t)y * w + x) * 4;

            for (uint32_t c = 0; c < 3; c++)
                px[c] = (uint8_t)((x * x * 3 + x * y + y * 7 + c * 50) ^ (x * 5 + (y >> 2)));
            px[3] = alpha == 0   ? 255
                    : alpha == 1 ? (uint8_t)(x * 13 + y * 29)
                    : y < h / 2  ? 0
                                 : 255;
        }
    return p;
}

static struct t3d_preprocess recipe(const cJSON *c, uint32_t size)
{
    struct t3d_preprocess p = {.size = size, .shortest = size, .scale = 1. / 255, .fill = 7};
    char name[32];

    snprintf(name, sizeof name, "%s", t3d_json_str(c, "recipe", ""));
    name[strcspn(name, " ")] = 0;
    assert_int_equal(t3d_recipe_find(&p.recipe, name), 0);
    p.mode = (enum t3d_resize_mode)t3d_json_num(c, "mode", 0);
    p.filter = t3d_json_num(c, "bilinear", 0) ? T3D_FILTER_BILINEAR : T3D_FILTER_BICUBIC;
    for (int k = 0; k < 3; k++) {
        p.mean[k] = t3d_json_num(c, "half", 0) ? .5 : t3d_openai_mean[k];
        p.std[k] = t3d_json_num(c, "half", 0) ? .5 : t3d_openai_std[k];
    }
    assert_int_equal(t3d_preprocess_init(&p, &err), T3D_OK);
    return p;
}

static void check_table(const struct t3d_preprocess *p, const struct t3d_safetensors *s,
                        const char *name)
{
    char key[64];
    float want[3][256];
    const struct t3d_tensor *t;

    snprintf(key, sizeof key, "table.%s", name);
    t = t3d_safetensors_find(s, key);
    assert_non_null(t);
    t3d_tensor_floats(t, want[0]);
    assert_memory_equal(p->table, want, sizeof want);
}

static void check_case(const cJSON *c, const struct t3d_safetensors *s, int index)
{
    enum { SIZE = 12 };
    const char *name = t3d_json_str(c, "recipe", "");
    struct t3d_preprocess p = recipe(c, SIZE);
    uint32_t w = (uint32_t)t3d_json_num(c, "w", 0), h = (uint32_t)t3d_json_num(c, "h", 0);
    const cJSON *colour = cJSON_GetObjectItem(c, "background");
    float out[3 * SIZE * SIZE];
    uint8_t background[3];
    const struct t3d_tensor *t;
    char key[32];

    check_table(&p, s, name);
    for (int k = 0; k < 3; k++)
        background[k] = (uint8_t)cJSON_GetArrayItem(colour, k)->valuedouble;
    snprintf(key, sizeof key, "case.%d", index);
    t = t3d_safetensors_find(s, key);
    assert_non_null(t);
    assert_int_equal(t->count, 3 * SIZE * SIZE);
    assert_int_equal(t3d_preprocess_run(&p, out, picture(w, h, (int)t3d_json_num(c, "alpha", 0)), w,
                                        h, background, &arena, &err),
                     T3D_OK);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < SIZE * SIZE; i++)
            if (out[k * SIZE * SIZE + i] != p.table[k][t->data[3 * i + k]])
                fail_msg("%s, %u x %u: pixel %d of channel %d is %g, not %g", name, w, h, i, k,
                         (double)out[k * SIZE * SIZE + i], (double)p.table[k][t->data[3 * i + k]]);
    t3d_arena_reset(&arena);
}

static void pictures_are_the_libraries(void **state)
{
    struct t3d_safetensors s;
    struct t3d_ndjson in;
    FILE *f = fopen("tests/ref/clip/pictures.ndjson", "rb");
    cJSON *c;
    int n = 0;

    (void)state;
    assert_non_null(f);
    assert_int_equal(t3d_safetensors_open(&s, "tests/ref/clip/pictures.safetensors", &err), T3D_OK);
    t3d_ndjson_init(&in, f, "cases");
    for (; t3d_ndjson_next(&in, &c, &err) == T3D_OK; n++) {
        check_case(c, &s, n);
        cJSON_Delete(c);
    }
    assert_true(n > 80);
    t3d_ndjson_fini(&in);
    fclose(f);
    t3d_safetensors_close(&s);
}

static struct t3d_preprocess plain(enum t3d_recipe r, uint32_t size)
{
    struct t3d_preprocess p = {.recipe = r,
                               .size = size,
                               .shortest = size,
                               .filter = T3D_FILTER_BICUBIC,
                               .scale = 1. / 255,
                               .mean = {.5, .5, .5},
                               .std = {.5, .5, .5}};

    assert_int_equal(t3d_preprocess_init(&p, &err), T3D_OK);
    return p;
}

/* A picture of one colour stays of one colour, whatever its sides are. */
static void check_flat(enum t3d_recipe r, uint32_t w, uint32_t h)
{
    struct t3d_preprocess p = plain(r, 24);
    uint8_t *rgba = t3d_alloc_raw(&arena, (size_t)w * h, 4);
    float out[3 * 24 * 24];

    assert_non_null(rgba);
    for (size_t i = 0; i < (size_t)w * h; i++)
        memcpy(rgba + 4 * i, (uint8_t[]){10, 100, 250, 255}, 4);
    assert_int_equal(t3d_preprocess_run(&p, out, rgba, w, h, white, &arena, &err), T3D_OK);
    for (int i = 0; i < 24 * 24; i++)
        assert_true(out[i] == p.table[0][10] && out[24 * 24 + i] == p.table[1][100] &&
                    out[2 * 24 * 24 + i] == p.table[2][250]);
    t3d_arena_reset(&arena);
}

static void any_sides(void **state)
{
    (void)state;
    for (int r = 0; r < T3D_N_RECIPES; r++) {
        check_flat((enum t3d_recipe)r, 1, 1);
        check_flat((enum t3d_recipe)r, 1, 16384);
        check_flat((enum t3d_recipe)r, 16384, 1);
        check_flat((enum t3d_recipe)r, 3, 1000);
    }
    check_flat(T3D_RECIPE_HF, 8000, 8000);
    t3d_arena_free(&arena);
}

/* What is transparent shows the background, not the colour hidden in it. */
static void hidden_colours_stay_hidden(void **state)
{
    struct t3d_preprocess p = plain(T3D_RECIPE_OPENAI, 8);
    uint8_t rgba[16 * 16 * 4];
    float out[3 * 8 * 8];

    (void)state;
    for (int i = 0; i < 16 * 16; i++)
        memcpy(rgba + 4 * i, (uint8_t[]){200, 80, 30, 0}, 4);
    assert_int_equal(t3d_preprocess_run(&p, out, rgba, 16, 16, white, &arena, &err), T3D_OK);
    for (int i = 0; i < 3 * 8 * 8; i++)
        assert_true(out[i] == 1);
}

static void bad_numbers_are_refused(void **state)
{
    struct t3d_preprocess p = plain(T3D_RECIPE_HF, 8);

    (void)state;
    p.std[1] = 0;
    assert_int_equal(t3d_preprocess_init(&p, &err), T3D_SKIP);
    assert_string_equal(err.reason, "bad-config");
    p = plain(T3D_RECIPE_HF, 8);
    p.shortest = 7;
    assert_int_equal(t3d_preprocess_init(&p, &err), T3D_SKIP);
    p.size = 0;
    assert_int_equal(t3d_preprocess_init(&p, &err), T3D_SKIP);
    p = plain(T3D_RECIPE_HF, 8);
    assert_int_equal(t3d_preprocess_run(&p, NULL, NULL, 0, 5, white, &arena, &err), T3D_USAGE);
    assert_int_equal(t3d_recipe_find(&p.recipe, "bicubic"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_the_libraries),
        cmocka_unit_test(any_sides),
        cmocka_unit_test(hidden_colours_stay_hidden),
        cmocka_unit_test(bad_numbers_are_refused),
    };

    int r = cmocka_run_group_tests(tests, NULL, NULL);
    t3d_arena_free(&arena);
    return r;
}
