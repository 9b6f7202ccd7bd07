/* SPDX-License-Identifier: Apache-2.0 */
/* A CLIP of random weights, built as the trainer builds it and saved as it saves it: read back by
 * the frozen network of lib/net, which is written apart from it, its rows must be the same; and the
 * retrieval over it counts what it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/rng.h"
#include "geom/primitives.h"
#include "metric/retrieval.h"
#include "model/clip.h"
#include "net/bpe_train.h"

enum { BATCH = 5, TOKENS = 12 };

static char dir[64];
static struct t3d_err err;
static struct t3d_arena arena;
static struct t3d_clip_config config = {.image_size = 16,
                                        .patch = 8,
                                        .vision = {.width = 24, .layers = 2, .heads = 2, .mlp = 40},
                                        .text = {.width = 16, .layers = 3, .heads = 2, .mlp = 24},
                                        .context = TOKENS,
                                        .embed = 12};

static const char *const captions[BATCH] = {"a red cube on a blue cylinder", "one green torus", "",
                                            "a purple cone under a sphere that is very far away",
                                            "Two TORI, 3 cubes"};

static void make_vocabulary(void)
{
    struct t3d_bpe_trainer *b;

    assert_int_equal(t3d_bpe_trainer_new(&b, 540, &err), T3D_OK);
    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id += 31) {
        const char *text = t3d_primitives_core_caption(id, &arena);
        assert_int_equal(t3d_bpe_trainer_add(b, text, strlen(text), &err), T3D_OK);
    }
    assert_int_equal(t3d_bpe_trainer_write(b, dir, &err), T3D_OK);
    t3d_bpe_trainer_free(b);
}

/* Texts as the trainer puts them into the graph. */
static void put_texts(struct t3d_graph *g, const struct t3d_clip *m)
{
    int32_t *ids = t3d_graph_data(g, m->ids), *seen = t3d_graph_data(g, m->seen);
    int32_t *end = t3d_graph_data(g, m->end);
    struct t3d_clip_tokenizer *t;

    if (t3d_clip_tokenizer_open(&t, dir, &err) < 0)
        fail_msg("%s", err.msg);
    for (int i = 0; i < BATCH; i++) {
        struct t3d_tokens tokens;
        assert_int_equal(
            t3d_clip_tokenize(&tokens, t, captions[i], strlen(captions[i]), TOKENS, &arena, &err),
            T3D_OK);
        for (int k = 0; k < TOKENS; k++) {
            seen[i * TOKENS + k] = (size_t)k < tokens.n;
            ids[i * TOKENS + k] = (int32_t)tokens.id[T3D_MIN((size_t)k, tokens.n - 1)];
        }
        end[i] = (int32_t)tokens.n - 1;
    }
    t3d_clip_tokenizer_free(t);
}

static void same_rows(const float *a, const float *b, int n)
{
    for (int i = 0; i < n; i++)
        if (!(fabs((double)a[i] - (double)b[i]) < 2e-6))
            fail_msg("number %d is %.9g here, %.9g there", i, (double)a[i], (double)b[i]);
}

static void check_rows(struct t3d_graph *g, const struct t3d_clip *m, struct t3d_encoder *e)
{
    float rows[BATCH * 12];
    struct t3d_tokens tokens[BATCH];

    if (t3d_encoder_images(e, t3d_graph_data(g, m->pixels), BATCH, rows, &err) < 0)
        fail_msg("%s", err.msg);
    same_rows(rows, t3d_graph_data(g, m->image_rows), BATCH * 12);
    for (int i = 0; i < BATCH; i++)
        assert_int_equal(
            t3d_encoder_tokenize(e, &tokens[i], captions[i], strlen(captions[i]), &arena, &err),
            T3D_OK);
    if (t3d_encoder_texts(e, tokens, BATCH, rows, NULL, &err) < 0)
        fail_msg("%s", err.msg);
    same_rows(rows, t3d_graph_data(g, m->text_rows), BATCH * 12);
}

static struct t3d_encoder *open_encoder(void)
{
    struct t3d_encoder_options options = {.threads = 1, .background = {255, 255, 255}};
    struct t3d_encoder *e;

    if (t3d_encoder_open(&e, dir, &options, &err) < 0)
        fail_msg("%s", err.msg);
    return e;
}

static void saved_model_is_the_frozen_network(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_rng r = t3d_rng_for(1, "pixels", 0);
    struct t3d_plan plan = {0};
    struct t3d_clip_tokenizer *t;
    struct t3d_encoder *e;
    struct t3d_clip m;
    float *pixels;

    (void)state;
    make_vocabulary();
    assert_int_equal(t3d_clip_tokenizer_open(&t, dir, &err), T3D_OK);
    config.vocab = (int)t3d_clip_tokenizer_size(t);
    t3d_clip_tokenizer_free(t);
    m = t3d_clip_build(g, &config, BATCH, TOKENS);
    plan.loss = m.loss;
    if (t3d_graph_build(g, &plan, &err) < 0)
        fail_msg("%s", err.msg);
    t3d_clip_init(g, &config, 5);
    memset(t3d_graph_data(g, m.first), 0, BATCH * sizeof(int32_t));
    pixels = t3d_graph_data(g, m.pixels);
    for (int i = 0; i < BATCH * 3 * 16 * 16; i++)
        pixels[i] = (float)t3d_rng_normal(&r);
    put_texts(g, &m);
    assert_int_equal(t3d_graph_forward(g, &err), T3D_OK);
    if (t3d_clip_save(dir, g, &config, T3D_TENSOR_F32, &err) < 0)
        fail_msg("%s", err.msg);
    e = open_encoder();
    assert_int_equal(t3d_encoder_info(e)->width, 12);
    assert_int_equal(t3d_encoder_info(e)->max_tokens, TOKENS);
    check_rows(g, &m, e);
    t3d_encoder_free(e);
    t3d_graph_free(g);
}

static void retrieval_counts_every_query(void **state)
{
    struct t3d_retrieval_config c = {.threads = 2, .view_set = "ring:2"};
    struct t3d_encoder *e = open_encoder();
    struct t3d_retrieval r[2];
    uint64_t wrong = 0;
    size_t held_out = 0;

    (void)state;
    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id++)
        held_out += strcmp(t3d_primitives_core_split(id), "test") == 0;
    for (int k = 0; k < 2; k++, c.threads = 1)
        if (t3d_retrieval(&r[k], e, &c, &err) < 0)
            fail_msg("%s", err.msg);
    assert_memory_equal(&r[0], &r[1], sizeof r[0]); /* for any number of threads */
    assert_int_equal(r[0].pool, T3D_CORE_COMBINATIONS);
    assert_int_equal(r[0].held_out, held_out);
    assert_int_equal(r[0].image_to_text.queries, 2 * held_out);
    assert_true(r[0].text_to_image.queries >= 6 * held_out); /* at least 3 captions, 2 views */
    for (int i = 0; i < T3D_MISTAKES; i++)
        wrong += r[0].image_to_text.mistakes[i];
    assert_int_equal(r[0].image_to_text.hits + wrong, r[0].image_to_text.queries);
    assert_true(r[0].image_to_text.hits * 10 < r[0].image_to_text.queries); /* random weights */
    t3d_encoder_free(e);
}

static uint32_t id_of(const char *caption)
{
    int id = t3d_primitives_core_find(caption);

    assert_true(id >= 0);
    return (uint32_t)id;
}

static void mistakes_are_told_apart(void **state)
{
    uint32_t want = id_of("a red cube on a blue cone");

    (void)state;
    assert_int_equal(t3d_retrieval_mistake(want, id_of("a green cube on a blue cone")),
                     T3D_MISTAKE_COLOR);
    assert_int_equal(t3d_retrieval_mistake(want, id_of("a red cube on a blue torus")),
                     T3D_MISTAKE_SHAPE);
    assert_int_equal(t3d_retrieval_mistake(want, id_of("a blue cone on a red cube")),
                     T3D_MISTAKE_ORDER);
    assert_int_equal(t3d_retrieval_mistake(want, id_of("a red cube")), T3D_MISTAKE_OTHER);
    assert_int_equal(t3d_retrieval_mistake(want, id_of("a green torus on a blue cone")),
                     T3D_MISTAKE_OTHER);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/t3d-retrieval.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    t3d_remove_tree(dir);
    t3d_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(saved_model_is_the_frozen_network),
                                       cmocka_unit_test(retrieval_counts_every_query),
                                       cmocka_unit_test(mistakes_are_told_apart)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
