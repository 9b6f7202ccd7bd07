/* SPDX-License-Identifier: Apache-2.0 */
/* The CLIP family: opening, pictures and texts in batches of few shapes. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "net/clip_impl.h"
#include "net/tokenize_clip_impl.h"

enum { MAX_BATCH = 1024 };

/* --- opening -------------------------------------------------------------------------------- */

static int exists(const char *dir, const char *name)
{
    struct t3d_arena a = {0};
    char *path = t3d_path_join(&a, dir, name);
    int found = path && access(path, F_OK) == 0;

    t3d_arena_free(&a);
    return found;
}

int t3di_clip_is_transformers(const struct t3di_folder *f)
{
    const char *type = t3d_json_str(f->config, "model_type", "");

    if (strcmp(type, "clip") != 0 && strcmp(type, "clip_text_model") != 0 &&
        strcmp(type, "clip_vision_model") != 0)
        return 0;
    return !f->open_clip || exists(f->path, "model.safetensors") ||
           exists(f->path, "model.safetensors.index.json") || exists(f->path, "pytorch_model.bin");
}

static int matches(const struct t3di_folder *f)
{
    return f->open_clip || t3di_clip_is_transformers(f);
}

static void free_clip(void *state)
{
    struct t3di_clip *c = state;

    for (int i = 0; i < T3DI_CLIP_GRAPHS; i++)
        t3d_graph_free(c->graph[i].g);
    t3d_pool_free(c->pool);
    t3d_clip_tokenizer_free(c->tokenizer);
    t3di_weights_close(&c->weights);
    free(c);
}

/* Operations of one input through a tower: linear layers and attention, a multiply-add as two. */
static double tower_flops(const struct t3di_clip_tower *t, double tokens)
{
    double d = (double)t->width, per_token = 8 * d * d + 4 * d * (double)t->mlp;

    return (double)t->layers * tokens * (per_token + 4 * tokens * d);
}

/* As many pictures a run as give about 2000 tokens: more brings nothing but memory. */
static int64_t batch_for(const struct t3di_clip_config *c, int asked)
{
    int64_t n = 1;

    if (asked)
        return T3D_MIN(asked, MAX_BATCH);
    while (n < 64 && 2 * n * c->image.tokens <= 2400)
        n *= 2;
    return n;
}

/* A folder without a tokenizer still serves pictures. */
static int open_tokenizer(struct t3d_encoder *e, struct t3d_err *err)
{
    struct t3di_clip *c = e->state;
    int r;

    if (!exists(e->path, "tokenizer.json") && !exists(e->path, "vocab.json")) {
        t3di_encoder_note(e, "tokenizer: none in the folder, so it takes no texts");
        return T3D_OK;
    }
    r = t3d_clip_tokenizer_open(&c->tokenizer, e->path, err);
    if (r < 0)
        return r;
    if (t3d_clip_tokenizer_size(c->tokenizer) > (uint64_t)c->config.vocab)
        return t3d_err_set(err, T3D_SKIP, "bad-tokenizer",
                           "'%s': the tokenizer has %u entries, the network's table %lld", e->path,
                           t3d_clip_tokenizer_size(c->tokenizer), (long long)c->config.vocab);
    if (c->config.eos >= 0 && c->config.eos != t3d_clip_tokenizer_end(c->tokenizer))
        return t3d_err_set(err, T3D_SKIP, "bad-config",
                           "'%s': eos_token_id is %lld, the tokenizer's end token %u", e->path,
                           (long long)c->config.eos, t3d_clip_tokenizer_end(c->tokenizer));
    if (c->config.layout == T3DI_OPEN_CLIP)
        t3d_clip_tokenizer_clean_as(c->tokenizer, T3D_CLEANING_OPEN_CLIP);
    t3di_encoder_note(e, "texts: cleaned as %s does",
                      c->config.layout == T3DI_OPEN_CLIP ? "open_clip" : "transformers");
    e->info.tokenizer_hash = t3d_clip_tokenizer_hash(c->tokenizer);
    e->info.max_tokens = (int)c->config.text.tokens;
    return T3D_OK;
}

static void describe(struct t3d_encoder *e)
{
    const struct t3di_clip *c = e->state;
    const struct t3di_clip_config *f = &c->config;
    double patch = 2. * 3 * (double)(f->patch * f->patch * f->image.width * (f->image.tokens - 1));

    e->info.layout = f->layout == T3DI_OPEN_CLIP ? "open_clip" : "transformers";
    e->info.width = (int)f->embed;
    e->info.weights_hash = c->weights.hash;
    e->info.weights_bytes = c->weights.bytes;
    if (f->image.present) {
        e->info.image_size = (int)f->image_size;
        e->info.recipe = t3d_recipe_name(f->preprocess.recipe);
        e->info.image_flops = tower_flops(&f->image, (double)f->image.tokens) + patch +
                              2. * (double)(f->image.width * f->embed);
    }
    if (f->text.present) {
        e->info.token_width = (int)f->text.width;
        e->info.text_flops =
            tower_flops(&f->text, (double)f->text.tokens) + 2. * (double)(f->text.width * f->embed);
    }
}

static int open_clip(struct t3d_encoder *e, const struct t3di_folder *f, struct t3d_err *err)
{
    struct t3di_clip *c = calloc(1, sizeof *c);
    int r;

    e->state = c;
    if (!c)
        return t3d_err_nomem(err, f->path);
    r = t3di_clip_configure(&c->config, e, f, err);
    if (r < 0)
        return r;
    c->max_batch = batch_for(&c->config, e->options.batch);
    r = t3di_clip_load(c, f->path, e->options.threads, err);
    if (r == T3D_OK)
        r = t3di_weights_pool(&c->weights, &c->pool, err);
    if (r == T3D_OK)
        describe(e);
    if (r == T3D_OK && c->config.text.present)
        r = open_tokenizer(e, err);
    return r;
}

/* --- pictures ------------------------------------------------------------------------------- */

static int picture(const struct t3d_encoder *e, float *out, const uint8_t *rgba, uint32_t w,
                   uint32_t h, struct t3d_arena *scratch, struct t3d_err *err)
{
    const struct t3di_clip *c = e->state;

    return t3d_preprocess_run(&c->config.preprocess, out, rgba, w, h, e->options.background,
                              scratch, err);
}

/* The rows and columns that make whole patches. */
static void copy_pixels(float *to, const float *from, int64_t planes, int64_t side, int64_t used)
{
    for (int64_t i = 0; i < planes * used; i++)
        memcpy(to + i * used, from + (i / used * side + i % used) * side,
               (size_t)used * sizeof *to);
}

static int images(struct t3d_encoder *e, const float *input, size_t n, float *rows,
                  struct t3d_err *err)
{
    struct t3di_clip *c = e->state;
    int64_t side = c->config.image_size, used = side / c->config.patch * c->config.patch;
    size_t width = (size_t)c->config.embed, at = 0;
    int64_t batch = c->max_batch;
    int r = T3D_OK;

    while (at < n && r == T3D_OK) {
        struct t3di_clip_graph *g;

        while ((size_t)batch > n - at)
            batch = (batch + 1) / 2;
        r = t3di_clip_graph(&g, e, T3DI_CLIP_IMAGE, batch, 0, err);
        if (r < 0)
            return r;
        copy_pixels(t3d_graph_data(g->g, g->input), input + at * (size_t)(3 * side * side),
                    3 * batch, side, used);
        r = t3d_graph_forward(g->g, err);
        memcpy(rows + at * width, t3d_graph_data(g->g, g->rows),
               (size_t)batch * width * sizeof *rows);
        at += (size_t)batch;
    }
    return r < 0 ? r : t3di_unit_rows(rows, n, (int)width, err);
}

/* --- texts ---------------------------------------------------------------------------------- */

static int tokenize(const struct t3d_encoder *e, struct t3d_tokens *out, const char *text,
                    size_t size, struct t3d_arena *a, struct t3d_err *err)
{
    const struct t3di_clip *c = e->state;

    return t3d_clip_tokenize(out, c->tokenizer, text, size, (size_t)c->config.text.tokens, a, err);
}

/* Bytes of the symbol, "_" behind the last of a word; returns how many. A file may have made a
 * symbol of itself: depth ends that. */
static size_t spell(const struct t3d_clip_tokenizer *t, uint32_t id, char *to, size_t room,
                    int depth)
{
    size_t n;

    for (unsigned k = 0; k < 2; k++)
        for (unsigned b = 0; b < 256; b++)
            if (t->byte[k][b] == id && room > k) {
                to[0] = (char)b;
                to[k] = k ? '_' : (char)b;
                return 1 + k;
            }
    for (size_t i = 0; i <= t->merge_mask && depth < 64; i++)
        if (t->merge[i].rank != T3DI_NO_MERGE && t->merge[i].id == id) {
            n = spell(t, t->merge[i].left, to, room, depth + 1);
            return n + spell(t, t->merge[i].right, to + n, room - n, depth + 1);
        }
    return 0;
}

static const char *piece(const struct t3d_encoder *e, uint32_t id, char *buf, size_t n)
{
    const struct t3di_clip *c = e->state;

    if (id == t3d_clip_tokenizer_start(c->tokenizer))
        return "(start)";
    if (id == t3d_clip_tokenizer_end(c->tokenizer))
        return "(end)";
    buf[spell(c->tokenizer, id, buf, n - 1, 0)] = 0;
    return buf;
}

/* A text of the call, in the order of work. */
struct item {
    const struct t3d_tokens *t;
    size_t index, feature; /* of its row; of its first token's features */
    int32_t end;           /* the pooled token */
};

static int longest_first(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (x->t->n != y->t->n)
        return x->t->n < y->t->n ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

/* The first of the ids that is the end token, by the rule of the configuration. */
static int find_end(struct item *it, const struct t3di_clip_config *c, struct t3d_err *err)
{
    const struct t3d_tokens *t = it->t;
    uint32_t most = 0;

    if (t->n < 1 || t->n > (size_t)c->text.tokens)
        return t3d_err_set(err, T3D_USAGE, "bad-tokens",
                           "text %zu has %zu tokens: expected 1 to %lld", it->index, t->n,
                           (long long)c->text.tokens);
    it->end = -1;
    for (size_t i = 0; i < t->n; i++) {
        if (t->id[i] >= (uint64_t)c->vocab)
            return t3d_err_set(err, T3D_USAGE, "bad-tokens",
                               "token %zu of text %zu is %u: the table has %lld rows", i, it->index,
                               t->id[i], (long long)c->vocab);
        if (c->eos < 0 ? it->end < 0 || t->id[i] > most : it->end < 0 && t->id[i] == c->eos) {
            most = t->id[i];
            it->end = (int32_t)i;
        }
    }
    if (it->end < 0)
        return t3d_err_set(err, T3D_USAGE, "bad-tokens", "text %zu has no end token %lld",
                           it->index, (long long)c->eos);
    return T3D_OK;
}

/* Lengths and batches come in steps, so that there are few graphs: up to 32 tokens by 4, then by 8,
 * then by 16; about 512 tokens a run. */
static int64_t bucket(int64_t n, int64_t most)
{
    int64_t step = n <= 32 ? 4 : n <= 64 ? 8 : 16;

    return T3D_MIN((n + step - 1) / step * step, most);
}

static int64_t texts_for(int64_t length, int asked)
{
    int64_t n = 1;

    if (asked)
        return T3D_MIN(asked, MAX_BATCH);
    while (n < 64 && n * length < 512)
        n *= 2;
    return n;
}

/* Fills one run with texts; places behind the last repeat it. */
static void fill(struct t3di_clip_graph *g, const struct item *item, int64_t n)
{
    int32_t *ids = t3d_graph_data(g->g, g->input), *end = t3d_graph_data(g->g, g->end);
    int32_t *mask = t3d_graph_data(g->g, g->mask);

    for (int64_t i = 0; i < g->batch; i++) {
        const struct item *it = &item[T3D_MIN(i, n - 1)];
        int64_t have = (int64_t)it->t->n;

        end[i] = it->end;
        for (int64_t k = 0; k < g->length; k++) {
            ids[i * g->length + k] = (int32_t)it->t->id[T3D_MIN(k, have - 1)];
            if (mask)
                mask[i * g->length + k] = k <= it->end;
        }
    }
}

static void take(const struct t3di_clip *c, struct t3di_clip_graph *g, const struct item *item,
                 int64_t n, float *rows, float *features)
{
    const float *row = t3d_graph_data(g->g, g->rows), *f = t3d_graph_data(g->g, g->features);
    size_t width = (size_t)c->config.embed, d = (size_t)c->config.text.width;

    for (int64_t i = 0; i < n; i++) {
        memcpy(rows + item[i].index * width, row + (size_t)i * width, width * sizeof *rows);
        if (features)
            memcpy(features + item[i].feature * d, f + (size_t)(i * g->length) * d,
                   item[i].t->n * d * sizeof *features);
    }
}

static int run_texts(struct t3d_encoder *e, const struct item *item, size_t n, float *rows,
                     float *features, struct t3d_err *err)
{
    const struct t3di_clip *c = e->state;
    int64_t most = c->config.text.tokens;
    int r = T3D_OK;

    for (size_t at = 0; at < n && r == T3D_OK;) {
        int64_t length = e->options.no_savings ? most : bucket((int64_t)item[at].t->n, most);
        int64_t batch = texts_for(length, e->options.batch), have;
        struct t3di_clip_graph *g;

        while (batch > 1 && 2 * (n - at) <= (size_t)batch)
            batch /= 2;
        have = T3D_MIN(batch, (int64_t)(n - at));
        r = t3di_clip_graph(&g, e, features ? T3DI_CLIP_FEATURES : T3DI_CLIP_TEXT, batch, length,
                            err);
        if (r < 0)
            return r;
        fill(g, item + at, have);
        r = t3d_graph_forward(g->g, err);
        take(c, g, item + at, have, rows, features);
        at += (size_t)have;
    }
    return r;
}

static int texts(struct t3d_encoder *e, const struct t3d_tokens *tokens, size_t n, float *rows,
                 float *features, struct t3d_err *err)
{
    const struct t3di_clip *c = e->state;
    struct item *item = calloc(n, sizeof *item);
    size_t feature = 0;
    int r = item ? T3D_OK : t3d_err_nomem(err, "texts");

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        item[i] = (struct item){.t = &tokens[i], .index = i, .feature = feature};
        feature += tokens[i].n;
        r = find_end(&item[i], &c->config, err);
    }
    if (r == T3D_OK) {
        qsort(item, n, sizeof *item, longest_first);
        r = run_texts(e, item, n, rows, features, err);
    }
    free(item);
    return r < 0 ? r : t3di_unit_rows(rows, n, (int)c->config.embed, err);
}

const struct t3di_encoder_family t3di_clip_family = {.name = "clip",
                                                     .matches = matches,
                                                     .open = open_clip,
                                                     .free = free_clip,
                                                     .picture = picture,
                                                     .images = images,
                                                     .tokenize = tokenize,
                                                     .texts = texts,
                                                     .piece = piece};
