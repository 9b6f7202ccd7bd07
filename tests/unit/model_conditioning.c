/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as inputs of a generator: what embed has stored and what the network makes are the same
 * numbers in the same places, and nothing else is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "model/conditioning.h"
#include "net/embed_rows.h"
#include "net/encoder.h"
#include "store/rows.h"
#include "store/tensor.h"

enum { BATCH = 3, ROOM = 6, TEXTS = 3 };

#define NET "models/clip-nano"

static const char *const text[TEXTS] = {"a red cube", "a green torus on a\nyellow, purple cone",
                                        "cube"};
static struct t3d_err err;
static struct t3d_arena arena;
static char workspace[64];
static struct t3d_tokens tokens[TEXTS];
static float *features[TEXTS];

static struct t3d_generator_config config = {.size = "tiny",
                                             .width = 16,
                                             .layers = 1,
                                             .heads = 2,
                                             .side = 8,
                                             .patch = 4,
                                             .text_tokens = ROOM};

struct model {
    struct t3d_graph *g;
    struct t3d_generator m;
};

static struct model make_model(void)
{
    struct model x = {.g = t3d_graph_new(T3D_CPU, 1)};
    struct t3d_plan plan = {.loss = T3D_NONE};

    x.m = t3d_generator_build(x.g, &config, BATCH);
    if (t3d_graph_build(x.g, &plan, &err) < 0 ||
        t3d_generator_prepare(x.g, &x.m, &config, BATCH, &err) < 0)
        fail_msg("%s", err.msg);
    return x;
}

/* Texts 0 and 1, the latter as shards have it, without a line break; and no text: on rows 2, 0 and
 * 1. */
static void put(struct model *x, struct t3d_conditioning *t, int cut[BATCH])
{
    static const char line[] = "a green torus on a yellow, purple cone";
    struct t3d_condition c[BATCH] = {
        {text[0], strlen(text[0]), 2, 7}, {line, strlen(line), 0, 7}, {NULL, 0, 1, 7}};

    if (t3d_conditioning_put(t, x->g, &x->m, &config, c, BATCH, &err) < 0)
        fail_msg("%s", err.msg);
    for (int i = 0; i < BATCH; i++)
        cut[c[i].row] = c[i].cut;
}

/* Row of the batch has the features of text k, the first ROOM - 1 and the last, as float16. */
static void check_row(const struct model *x, int row, int k)
{
    int width = config.encoder[0].width, all = k < 0 ? 0 : (int)tokens[k].n;
    int n = all < ROOM ? all : ROOM, length = t3d_generator_text(&config) + 16;
    const float *got = (const float *)t3d_graph_data(x->g, x->m.features[0]) + row * ROOM * width;
    const int32_t *seen = (const int32_t *)t3d_graph_data(x->g, x->m.seen) + row * length;

    assert_int_equal(t3d_generator_tokens(&config), 16);
    assert_int_equal(seen[0], k < 0);
    for (int i = 0; i < ROOM; i++) {
        int from = all > ROOM && i == ROOM - 1 ? all - 1 : i;

        assert_int_equal(seen[1 + i], i < n);
        for (int j = 0; j < width; j++) {
            float want =
                i < n ? t3d_half_to_float(t3d_half_from_float(features[k][from * width + j])) : 0;
            assert_true(got[i * width + j] == want);
        }
    }
    for (int i = 0; i < 16; i++)
        assert_int_equal(seen[1 + ROOM + i], 1);
}

static void check_inputs(struct t3d_conditioning *t)
{
    struct model x = make_model();
    int cut[BATCH];

    for (int again = 0; again < 2; again++) { /* what was there before is gone */
        memset(t3d_graph_data(x.g, x.m.features[0]), 0x41,
               sizeof(float) * BATCH * ROOM * (size_t)config.encoder[0].width);
        put(&x, t, cut);
        check_row(&x, 2, 0);
        check_row(&x, 0, 1);
        check_row(&x, 1, -1);
        assert_true(!cut[2] && cut[0] && !cut[1]);
    }
    t3d_graph_free(x.g);
}

static void stored_features_are_put(void **state)
{
    struct t3d_conditioning *t;

    (void)state;
    if (t3d_conditioning_stored(&t, &config, workspace, &err) < 0)
        fail_msg("%s", err.msg);
    check_inputs(t);
    t3d_conditioning_free(t);
}

static void the_network_makes_the_same(void **state)
{
    const struct t3d_device cpu = {T3D_CPU, 0};
    const char *name = NET;
    struct t3d_conditioning *t;

    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        struct t3d_text_encoders where = {".", &name, 1};

        if (t3d_conditioning_encoders(&t, &config, &where, threads, &cpu, &err) < 0)
            fail_msg("%s", err.msg);
        check_inputs(t);
        assert_true(t3d_conditioning_bytes(t) > 1e5);
        t3d_conditioning_free(t);
    }
}

static void other_networks_are_refused(void **state)
{
    const struct t3d_device cpu = {T3D_CPU, 0};
    const char *name[] = {NET, NET};
    struct t3d_generator_config other = config;
    struct t3d_text_encoders where = {".", name, 1};
    struct t3d_conditioning *t;

    (void)state;
    memset(other.encoder[0].weights, 'a', 64);
    assert_int_equal(t3d_conditioning_encoders(&t, &other, &where, 1, &cpu, &err), T3D_USAGE);
    assert_string_equal(err.reason, "other-encoder");
    assert_non_null(strstr(err.msg, other.encoder[0].weights));
    assert_non_null(strstr(err.msg, config.encoder[0].weights));
    assert_int_equal(t3d_conditioning_stored(&t, &other, workspace, &err), T3D_USAGE);
    assert_string_equal(err.reason, "other-encoder");
    other = config;
    memset(other.encoder[0].tokenizer, 'b', 64);
    assert_int_equal(t3d_conditioning_encoders(&t, &other, &where, 1, &cpu, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "tokenizer"));
    where.n = 2;
    assert_int_equal(t3d_conditioning_encoders(&t, &config, &where, 1, &cpu, &err), T3D_USAGE);
    name[0] = "/no/such/folder";
    where.n = 1;
    assert_int_equal(t3d_conditioning_encoders(&t, &config, &where, 1, &cpu, &err), T3D_USAGE);
    assert_string_equal(err.reason, "missing-model");
}

static void missing_captions_are_named(void **state)
{
    struct model x = make_model();
    struct t3d_condition c = {"a cube that nobody saw", 22, 0, 0};
    struct t3d_conditioning *t;

    (void)state;
    assert_int_equal(t3d_conditioning_stored(&t, &config, workspace, &err), T3D_OK);
    assert_int_equal(t3d_conditioning_put(t, x.g, &x.m, &config, &c, 1, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "'a cube that nobody saw'"));
    assert_non_null(strstr(err.msg, "t3d embed --model clip-nano --tokens"));
    t3d_conditioning_free(t);
    t3d_graph_free(x.g);
}

static void config_comes_back(void **state)
{
    struct t3d_generator_config c = *t3d_generator_size("nano"), back;
    cJSON *json, *list;

    (void)state;
    c.n_encoders = 2;
    c.encoder[0] = c.encoder[1] = config.encoder[0];
    snprintf(c.encoder[1].name, sizeof c.encoder[1].name, "other");
    c.encoder[1].tokens = 9;
    json = t3d_generator_json(&c, "hash", NULL);
    assert_int_equal(t3d_generator_from_json(&back, json, &err), T3D_OK);
    assert_int_equal(back.n_encoders, 2);
    assert_int_equal(back.vocab, 0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(back.encoder[i].name, c.encoder[i].name);
        assert_string_equal(back.encoder[i].family, "clip");
        assert_string_equal(back.encoder[i].layout, c.encoder[i].layout);
        assert_string_equal(back.encoder[i].weights, c.encoder[i].weights);
        assert_string_equal(back.encoder[i].tokenizer, c.encoder[i].tokenizer);
        assert_int_equal(back.encoder[i].width, c.encoder[i].width);
    }
    assert_int_equal(t3d_generator_text(&back), 1 + ROOM + 9);
    list = cJSON_GetObjectItem(json, "text_encoders");
    cJSON_ReplaceItemInObject(cJSON_GetArrayItem(list, 1), "tokens", cJSON_CreateNumber(1e9));
    assert_int_equal(t3d_generator_from_json(&back, json, &err), T3D_SKIP);
    cJSON_DeleteItemFromArray(list, 1);
    assert_int_equal(t3d_generator_from_json(&back, json, &err), T3D_OK);
    cJSON_ReplaceItemInObject(cJSON_GetArrayItem(list, 0), "weights_sha256",
                              cJSON_CreateString("12"));
    assert_int_equal(t3d_generator_from_json(&back, json, &err), T3D_SKIP);
    cJSON_DeleteItemFromArray(list, 0);
    assert_int_equal(t3d_generator_from_json(&back, json, &err), T3D_SKIP);
    cJSON_Delete(json);
}

/* --- a workspace with features --------------------------------------------------------------- */

static void store(struct t3d_encoder *e)
{
    const uint8_t white[3] = {255, 255, 255};
    const struct t3d_encoder_info *info = t3d_encoder_info(e);
    struct t3d_rows_table table = {
        .name = "tokens", .width = (uint32_t)info->token_width, .half = 1, .runs = 1};
    cJSON *about = t3d_embed_about(e, "clip-nano", white, NULL, 0);
    struct t3d_rows_options o = {.set = "embed", .table = &table, .n_tables = 1, .about = about};
    struct t3d_rows *rows;

    o.dir = t3d_sprintf(&arena, "%s/embeddings/clip-nano", workspace);
    assert_int_equal(t3d_rows_open(&rows, &o, &err), T3D_OK);
    for (int i = TEXTS - 1; i >= 0; i--) {
        cJSON *line = cJSON_CreateObject();
        struct t3d_rows_object put = {.num = i};
        struct t3d_rows_line l = {.n = tokens[i].n};

        t3d_json_set_str(line, "uid", "x");
        t3d_json_set_str(line, "caption", text[i]);
        l.members = t3d_embed_members(line, NULL, &arena);
        memset(put.key, '1', T3D_ROWS_KEY);
        put.block[0] = (struct t3d_rows_block){features[i], &l, 1};
        assert_int_equal(t3d_rows_put(rows, &put, 1, &err), T3D_OK);
    }
    assert_int_equal(t3d_rows_finish(rows, &err), T3D_OK);
    t3d_rows_close(rows);
    cJSON_Delete(about);
}

static int set_up(void **state)
{
    struct t3d_encoder *e;
    float row[4096];

    (void)state;
    snprintf(workspace, sizeof workspace, "/tmp/t3d-conditioning.%ld", (long)getpid());
    if (t3d_make_dirs(workspace, &err) < 0 ||
        t3d_encoder_open(&e, NET, &(struct t3d_encoder_options){.threads = 1}, &err) < 0)
        return -1;
    for (int i = 0; i < TEXTS; i++) {
        size_t width = (size_t)t3d_encoder_info(e)->token_width;

        if (t3d_encoder_tokenize(e, &tokens[i], text[i], strlen(text[i]), &arena, &err) < 0)
            return -1;
        features[i] = t3d_alloc(&arena, tokens[i].n * width, sizeof(float));
        if (t3d_encoder_texts(e, &tokens[i], 1, row, features[i], &err) < 0)
            return -1;
    }
    store(e);
    t3d_encoder_free(e);
    config.n_encoders = 1;
    return t3d_conditioning_find(&config.encoder[0], workspace, "clip-nano", ROOM, &err);
}

static int tear_down(void **state)
{
    (void)state;
    t3d_remove_tree(workspace);
    t3d_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_features_are_put),    cmocka_unit_test(the_network_makes_the_same),
        cmocka_unit_test(other_networks_are_refused), cmocka_unit_test(missing_captions_are_named),
        cmocka_unit_test(config_comes_back),
    };

    return cmocka_run_group_tests_name("model/conditioning", tests, set_up, tear_down);
}
