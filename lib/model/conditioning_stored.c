/* SPDX-License-Identifier: Apache-2.0 */
/* Token features that embed has written (doc/formats.md, "Embeddings"), found by their caption. */
#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "model/conditioning_impl.h"
#include "store/rows_read.h"

enum { MAX_ABOUT = 1 << 20, MAX_RUN = 1 << 20, KEY = 16 };

/* The features of one caption: n rows of a table, from `row` on. */
struct run {
    uint8_t key[KEY]; /* of SHA-256 of the caption */
    uint64_t row;
    uint32_t n; /* 0 = the slot is free */
    uint32_t table;
};

/* One encoder: its tables (several when embed ran in parts) and a hash table over their captions.
 */
struct source {
    const char *name;
    struct t3d_rows_reader *table; /* (n_tables) */
    size_t n_tables;
    struct run *run; /* (capacity), a power of two, at most half full */
    size_t capacity;
};

struct stored {
    struct source source[T3D_GENERATOR_ENCODERS];
    int n;
    struct t3d_generator_config config;
    struct t3d_arena arena;
};

static int no_features(const char *name, struct t3d_err *err)
{
    return t3d_err_set(err, T3D_USAGE, "no-features",
                       "there are no token features of '%s' in embeddings/%s: run `t3d embed "
                       "--model %s --tokens` (its folder, where it is not one of models/)",
                       name, name, name);
}

/* --- what is said of the rows ---------------------------------------------------------------- */

static int take_word(char *to, size_t size, const cJSON *about, const char *key)
{
    const char *word = t3d_json_str(about, key, "");
    int n = snprintf(to, size, "%s", word);

    return n > 0 && (size_t)n < size ? 0 : -1;
}

static int take_about(struct t3d_generator_encoder *e, const cJSON *about, const char *path,
                      struct t3d_err *err)
{
    double width = t3d_json_num(about, "token_width", 0);

    if (take_word(e->family, sizeof e->family, about, "family") < 0 ||
        take_word(e->layout, sizeof e->layout, about, "layout") < 0 ||
        take_word(e->weights, sizeof e->weights, about, "weights_sha256") < 0 ||
        take_word(e->tokenizer, sizeof e->tokenizer, about, "tokenizer_sha256") < 0 ||
        !(width >= 1 && width <= 1 << 16) || width != (int)width)
        return t3d_err_set(err, T3D_SKIP, "bad-rows",
                           "'%s' does not say which network its token features are of: `t3d embed "
                           "--model %s --tokens --redo` makes them anew",
                           path, e->name);
    e->width = (int)width;
    return T3D_OK;
}

/* embed.json, or that of a part. */
static int read_about(struct t3d_generator_encoder *e, const char *path, struct t3d_err *err)
{
    cJSON *about = NULL;
    int r = t3d_json_read(&about, path, MAX_ABOUT, err);

    if (r == T3D_OK)
        r = take_about(e, about, path, err);
    cJSON_Delete(about);
    return r;
}

/* The names of the tables without .npy: tokens, or tokens.p<i>of<N>. */
static int find_tables(glob_t *found, const char *dir, struct t3d_arena *a, struct t3d_err *err)
{
    char *whole = t3d_sprintf(a, "%s/tokens.npy", dir);
    char *parts = t3d_sprintf(a, "%s/tokens.p*of*.npy", dir);

    *found = (glob_t){0};
    if (!whole || !parts || glob(whole, GLOB_NOESCAPE, NULL, found) == GLOB_NOSPACE ||
        glob(parts, GLOB_NOESCAPE | GLOB_APPEND, NULL, found) == GLOB_NOSPACE)
        return t3d_err_nomem(err, dir);
    for (size_t i = 0; i < found->gl_pathc; i++)
        found->gl_pathv[i][strlen(found->gl_pathv[i]) - strlen(".npy")] = 0;
    return T3D_OK;
}

/* DIR/embed.json for DIR/tokens, DIR/embed.p0of2.json for DIR/tokens.p0of2. */
static char *about_path(const char *table, struct t3d_arena *a)
{
    const char *base = t3d_path_base(table);

    return t3d_sprintf(a, "%.*sembed%s.json", (int)(base - table), table, base + strlen("tokens"));
}

int t3d_conditioning_find(struct t3d_generator_encoder *e, const char *workspace, const char *name,
                          int tokens, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *dir = t3d_sprintf(&a, "%s/embeddings/%s", workspace, name), *path;
    glob_t found = {0};
    int r = dir ? find_tables(&found, dir, &a, err) : t3d_err_nomem(err, name);

    *e = (struct t3d_generator_encoder){.tokens = tokens};
    snprintf(e->name, sizeof e->name, "%s", name);
    if (r == T3D_OK && found.gl_pathc == 0)
        r = no_features(name, err);
    if (r == T3D_OK) {
        path = about_path(found.gl_pathv[0], &a);
        r = path ? read_about(e, path, err) : t3d_err_nomem(err, name);
    }
    globfree(&found);
    t3d_arena_free(&a);
    return r;
}

/* --- captions to rows ------------------------------------------------------------------------ */

/* Shards have a caption a line, with spaces for the breaks in it. */
static int key_of(uint8_t key[KEY], const char *text, size_t size, struct t3d_arena *a)
{
    char hex[T3D_SHA256_HEX], *line = t3d_strndup(a, text, size);

    if (!line)
        return -1;
    for (size_t i = 0; i < size; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    t3d_sha256_hex(line, size, hex);
    hex[2 * (size_t)KEY] = 0;
    return t3d_unhex(hex, KEY, key);
}

/* The caption's slot, or the free one where it would be. */
static struct run *slot_of(const struct source *s, const uint8_t key[KEY])
{
    uint64_t at;

    memcpy(&at, key, sizeof at);
    for (;; at++) {
        struct run *run = &s->run[at & (s->capacity - 1)];
        if (!run->n || memcmp(run->key, key, KEY) == 0)
            return run;
    }
}

static int add_line(struct source *s, size_t table, uint64_t number, struct t3d_arena *a,
                    struct t3d_err *err)
{
    const struct t3d_rows_reader *t = &s->table[table];
    cJSON *line = t3d_rows_line(t, number);
    const char *caption = line ? t3d_json_str(line, "caption", NULL) : NULL;
    double row = t3d_json_num(line, "row", -1), n = t3d_json_num(line, "n", -1);
    struct run *slot;
    uint8_t key[KEY];
    int r = T3D_OK;

    if (!caption || !(row >= 0 && n >= 0 && n <= MAX_RUN && row + n <= (double)t->n))
        r = t3d_err_set(err, T3D_SKIP, "bad-rows",
                        "line %" PRIu64 " of the index of token features does not fit its table",
                        number + 1);
    else if (key_of(key, caption, strlen(caption), a) < 0)
        r = t3d_err_nomem(err, "the captions");
    else if (n >= 1 && !(slot = slot_of(s, key))->n) {
        *slot = (struct run){.row = (uint64_t)row, .n = (uint32_t)n, .table = (uint32_t)table};
        memcpy(slot->key, key, KEY);
    }
    cJSON_Delete(line);
    return r;
}

static int same_encoder(const struct t3d_generator_encoder *e, const char *table,
                        struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_generator_encoder there = {.tokens = e->tokens};
    char *path = about_path(table, a);
    int r;

    snprintf(there.name, sizeof there.name, "%s", e->name);
    r = path ? read_about(&there, path, err) : t3d_err_nomem(err, table);
    if (r == T3D_OK && (strcmp(there.weights, e->weights) != 0 ||
                        strcmp(there.tokenizer, e->tokenizer) != 0 || there.width != e->width))
        r = t3d_err_set(err, T3D_USAGE, "other-encoder",
                        "'%s': the token features are of weights %.12s and tokenizer %.12s, not of "
                        "%.12s and %.12s: run `t3d embed --model %s --tokens` with one network",
                        path, there.weights, there.tokenizer, e->weights, e->tokenizer, e->name);
    return r;
}

static int open_table(struct source *s, const struct t3d_generator_encoder *e, const char *path,
                      struct t3d_arena *a, struct t3d_err *err)
{
    const char *base = t3d_path_base(path);
    char *dir = t3d_strndup(a, path, (size_t)(base - path));
    int r = dir ? same_encoder(e, path, a, err) : t3d_err_nomem(err, path);

    if (r == T3D_OK)
        r = t3d_rows_reader_open(&s->table[s->n_tables], dir, base, err);
    if (r < 0)
        return r;
    if (s->table[s->n_tables++].width == (uint64_t)e->width)
        return T3D_OK;
    return t3d_err_set(err, T3D_SKIP, "bad-rows", "'%s.npy' has rows of %" PRIu64 ", not of %d",
                       path, s->table[s->n_tables - 1].width, e->width);
}

static int index_captions(struct source *s, struct t3d_arena *scratch, struct t3d_err *err)
{
    uint64_t lines = 0;
    int r = T3D_OK;

    for (size_t t = 0; t < s->n_tables; t++)
        lines += s->table[t].n_lines;
    for (s->capacity = 2; s->capacity < 2 * lines; s->capacity *= 2) {
    }
    s->run = calloc(s->capacity, sizeof *s->run);
    if (!s->run)
        return t3d_err_nomem(err, "the captions");
    for (size_t t = 0; t < s->n_tables && r == T3D_OK; t++)
        for (uint64_t i = 0; i < s->table[t].n_lines && r == T3D_OK; i++) {
            r = add_line(s, t, i, scratch, err);
            t3d_arena_reset(scratch);
        }
    return r;
}

static int open_source(struct source *s, const struct t3d_generator_encoder *e,
                       const char *workspace, struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_arena scratch = {0};
    char *dir = t3d_sprintf(a, "%s/embeddings/%s", workspace, e->name);
    glob_t found = {0};
    int r = dir ? find_tables(&found, dir, a, err) : t3d_err_nomem(err, e->name);

    s->name = e->name;
    if (r == T3D_OK && found.gl_pathc == 0)
        r = no_features(e->name, err);
    s->table = t3d_alloc(a, found.gl_pathc + 1, sizeof *s->table);
    if (r == T3D_OK && !s->table)
        r = t3d_err_nomem(err, e->name);
    for (size_t i = 0; i < found.gl_pathc && r == T3D_OK; i++)
        r = open_table(s, e, found.gl_pathv[i], a, err);
    if (r == T3D_OK)
        r = index_captions(s, &scratch, err);
    globfree(&found);
    t3d_arena_free(&scratch);
    if (r == T3D_SKIP)
        t3d_err_prefix(err, "embeddings/%s (`t3d embed --model %s --tokens --redo` makes it anew)",
                       e->name, e->name);
    return r;
}

/* --- use ------------------------------------------------------------------------------------- */

static int not_there(const struct source *s, const char *text, size_t size, struct t3d_err *err)
{
    return t3d_err_set(err, T3D_USAGE, "no-features",
                       "the caption '%.*s' has no token features of '%s': run `t3d embed --model "
                       "%s --tokens`",
                       (int)T3D_MIN(size, (size_t)100), text, s->name, s->name);
}

static int put_one(struct stored *x, const struct t3di_text_inputs *in, struct t3d_condition *text,
                   int k, struct t3d_arena *a, struct t3d_err *err)
{
    const struct source *s = &x->source[k];
    int room = in->c->encoder[k].tokens, width = in->c->encoder[k].width, n;
    const struct run *run;
    uint8_t key[KEY];

    if (key_of(key, text->text, text->size, a) < 0)
        return t3d_err_nomem(err, "a caption");
    run = slot_of(s, key);
    if (!run->n)
        return not_there(s, text->text, text->size, err);
    n = (int)T3D_MIN(run->n, (uint32_t)room);
    text->cut |= run->n > (uint32_t)room;
    for (int i = 0; i < n; i++) {
        t3d_real *out = t3di_text_feature(in, text->row, k, i);
        int from = t3di_kept_token(i, (int)run->n, room);

        t3d_rows_floats(&s->table[run->table], run->row + (uint64_t)from, (float *)out);
        for (int j = 0; j < width; j++)
            if (!isfinite(out[j]))
                return t3d_err_set(err, T3D_FAIL, "bad-rows",
                                   "embeddings/%s: row %" PRIu64 " of the token features has a "
                                   "number that is not finite: `t3d embed --model %s --tokens "
                                   "--redo` makes them anew",
                                   s->name, run->row + (uint64_t)from, s->name);
    }
    t3di_text_seen(in, text->row, k, n);
    return T3D_OK;
}

static int put_stored(struct t3d_conditioning *t, const struct t3di_text_inputs *in,
                      struct t3d_condition *text, size_t n, struct t3d_err *err)
{
    struct stored *x = t->state;
    int r = T3D_OK;

    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < x->n && text[i].text && r == T3D_OK; k++)
            r = put_one(x, in, &text[i], k, &t->arena, err);
    return r;
}

static void free_stored(void *state)
{
    struct stored *x = state;

    for (int k = 0; k < T3D_GENERATOR_ENCODERS; k++) {
        for (size_t i = 0; i < x->source[k].n_tables; i++)
            t3d_rows_reader_close(&x->source[k].table[i]);
        free(x->source[k].run);
    }
    t3d_arena_free(&x->arena);
    free(x);
}

int t3d_conditioning_stored(struct t3d_conditioning **out, const struct t3d_generator_config *c,
                            const char *workspace, struct t3d_err *err)
{
    static const struct t3di_conditioning_kind kind = {.put = put_stored, .free = free_stored};
    struct stored *x = calloc(1, sizeof *x);
    int r = x ? t3di_conditioning_new(out, &kind, x, err) : t3d_err_nomem(err, "the text");

    if (r < 0) {
        free(x);
        return r;
    }
    x->config = *c;
    x->n = c->n_encoders;
    r = t3d_generator_text_hash(c, (*out)->hash, err);
    for (int k = 0; k < x->n && r == T3D_OK; k++)
        r = open_source(&x->source[k], &x->config.encoder[k], workspace, &x->arena, err);
    if (r < 0) {
        t3d_conditioning_free(*out);
        *out = NULL;
    }
    return r;
}

static int covers_caption(const struct stored *x, struct t3d_caption caption, struct t3d_arena *a,
                          uint64_t *cut, struct t3d_err *err)
{
    int was_cut = 0;
    uint8_t key[KEY];

    if (key_of(key, caption.text, caption.size, a) < 0)
        return t3d_err_nomem(err, "a caption");
    t3d_arena_reset(a);
    for (int k = 0; k < x->n; k++) {
        const struct run *run = slot_of(&x->source[k], key);

        if (!run->n)
            return not_there(&x->source[k], caption.text, caption.size, err);
        was_cut |= run->n > (uint32_t)x->config.encoder[k].tokens;
    }
    *cut += (uint64_t)was_cut;
    return T3D_OK;
}

int t3d_conditioning_covers(const struct t3d_conditioning *t, const struct t3d_loader *l,
                            uint64_t *cut, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    int r = T3D_OK;

    for (uint32_t i = 0; i < t3d_loader_samples(l) && r == T3D_OK; i++)
        for (size_t k = 0; k < t3d_loader_captions(l, i) && r == T3D_OK; k++)
            r = covers_caption(t->state, t3d_loader_caption(l, i, k), &a, cut, err);
    t3d_arena_free(&a);
    return r;
}
