/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a generator, and of a reconstructor. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "model/generator.h"
#include "model/reconstructor.h"

enum { FORMAT = 1, TEXT_FIELDS = 2, VOCABULARY_FIELDS = 1, MAX_WIDTH = 1 << 16 };

static const struct {
    const char *name;
    size_t offset;
    int low, high;
} fields[] = {
    {"width", offsetof(struct t3d_generator_config, width), 8, 16384},
    {"layers", offsetof(struct t3d_generator_config, layers), 1, 256},
    {"heads", offsetof(struct t3d_generator_config, heads), 1, 256},
    {"resolution", offsetof(struct t3d_generator_config, side), 8, 1024},
    {"patch", offsetof(struct t3d_generator_config, patch), 2, 64},
    {"text_tokens", offsetof(struct t3d_generator_config, text_tokens), 2, 512},
    {"vocabulary", offsetof(struct t3d_generator_config, vocab), 2, 1 << 20},
};

static cJSON *config_json(const struct t3d_generator_config *c, const char *model, size_t n)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_str(o, "model", model);
    t3d_json_set_num(o, "format", FORMAT);
    t3d_json_set_str(o, "head", t3d_generator_head_name[c->head]);
    t3d_json_set_str(o, "size", c->size);
    for (size_t i = 0; i < n; i++)
        t3d_json_set_num(o, fields[i].name, *(const int *)((const char *)c + fields[i].offset));
    t3d_json_set_str(o, "view_set", "ring16+4");
    return o;
}

/* --- encoders -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t offset, size;
} words[] = {
#define WORD(name, member)                                                                         \
    {                                                                                              \
        name, offsetof(struct t3d_generator_encoder, member),                                      \
            sizeof((struct t3d_generator_encoder *)0)->member                                      \
    }
    WORD("model", name),
    WORD("family", family),
    WORD("layout", layout),
    WORD("weights_sha256", weights),
    WORD("tokenizer_sha256", tokenizer),
};

static cJSON *encoder_json(const struct t3d_generator_encoder *e)
{
    cJSON *o = cJSON_CreateObject();

    for (size_t i = 0; i < T3D_COUNT(words); i++)
        t3d_json_set_str(o, words[i].name, (const char *)e + words[i].offset);
    t3d_json_set_num(o, "width", e->width);
    t3d_json_set_num(o, "tokens", e->tokens);
    return o;
}

static void set_encoders(cJSON *o, const struct t3d_generator_config *c)
{
    cJSON *list = cJSON_AddArrayToObject(o, "text_encoders");

    for (int i = 0; i < c->n_encoders; i++)
        cJSON_AddItemToArray(list, encoder_json(&c->encoder[i]));
    cJSON_DeleteItemFromObject(o, "vocabulary");
}

int t3d_generator_text_hash(const struct t3d_generator_config *c, char hash[T3D_SHA256_HEX],
                            struct t3d_err *err)
{
    struct t3d_sha256 *sha;
    int r = t3d_sha256_new(&sha, err);

    if (r < 0)
        return r;
    for (int i = 0; i < c->n_encoders; i++) {
        t3d_sha256_add_str(sha, c->encoder[i].weights);
        t3d_sha256_add_str(sha, c->encoder[i].tokenizer);
    }
    t3d_sha256_end(sha, hash);
    return T3D_OK;
}

cJSON *t3d_generator_json(const struct t3d_generator_config *c, const char *text_hash,
                          const char *reconstructor_hash)
{
    cJSON *o = config_json(c, "turbo3d", T3D_COUNT(fields));

    if (c->n_encoders)
        set_encoders(o, c);
    t3d_json_set_str(o, c->n_encoders ? "text_sha256" : "tokenizer_sha256", text_hash);
    if (reconstructor_hash)
        t3d_json_set_str(o, "reconstructor_sha256", reconstructor_hash);
    return o;
}

cJSON *t3d_reconstructor_json(const struct t3d_generator_config *c, const char *model)
{
    return config_json(c, model, T3D_COUNT(fields) - TEXT_FIELDS);
}

static int bad(struct t3d_err *err, const char *field, const char *what)
{
    return t3d_err_set(err, T3D_SKIP, "bad-config", "config.json: '%s' %s", field, what);
}

static int read_fields(struct t3d_generator_config *c, const cJSON *json, size_t n,
                       struct t3d_err *err)
{
    for (size_t i = 0; i < n; i++) {
        double v = t3d_json_num(json, fields[i].name, -1);

        if (!(v >= fields[i].low && v <= fields[i].high) || v != (int)v)
            return bad(err, fields[i].name, "is missing or out of range");
        *(int *)((char *)c + fields[i].offset) = (int)v;
    }
    if (c->width % c->heads || c->side % c->patch)
        return bad(err, "width", "and heads, or resolution and patch, do not divide");
    return T3D_OK;
}

static int read_encoder(struct t3d_generator_encoder *e, const cJSON *json, struct t3d_err *err)
{
    double width = t3d_json_num(json, "width", 0), tokens = t3d_json_num(json, "tokens", 0);

    for (size_t i = 0; i < T3D_COUNT(words); i++) {
        const char *word = t3d_json_str(json, words[i].name, "");

        if (!*word || strlen(word) >= words[i].size ||
            (words[i].size == T3D_SHA256_HEX && strlen(word) != T3D_SHA256_HEX - 1))
            return bad(err, "text_encoders", "has one that is not a whole description");
        snprintf((char *)e + words[i].offset, words[i].size, "%s", word);
    }
    if (!(width >= 1 && width <= MAX_WIDTH) || !(tokens >= 2 && tokens <= 512) ||
        width != (int)width || tokens != (int)tokens)
        return bad(err, "text_encoders", "has a 'width' or 'tokens' that is out of range");
    e->width = (int)width;
    e->tokens = (int)tokens;
    return T3D_OK;
}

static int read_encoders(struct t3d_generator_config *c, const cJSON *list, struct t3d_err *err)
{
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0, r = T3D_OK;

    if (n < 1 || n > T3D_GENERATOR_ENCODERS)
        return bad(err, "text_encoders", "is not a list of one or two");
    c->n_encoders = n;
    for (int i = 0; i < n && r == T3D_OK; i++)
        r = read_encoder(&c->encoder[i], cJSON_GetArrayItem(list, i), err);
    return r;
}

int t3d_generator_from_json(struct t3d_generator_config *c, const cJSON *json, struct t3d_err *err)
{
    const cJSON *encoders = cJSON_GetObjectItemCaseSensitive(json, "text_encoders");
    const struct t3d_generator_config *size;
    int head = t3d_generator_head(t3d_json_str(json, "head", ""));

    if (strcmp(t3d_json_str(json, "model", ""), "turbo3d") != 0 ||
        t3d_json_num(json, "format", 0) != FORMAT || head < 0)
        return bad(err, "model", "is not a generator (turbo3d, format 1) of this t3d");
    size = t3d_generator_size(t3d_json_str(json, "size", ""));
    if (!size)
        return bad(err, "size", "is not one of nano, small, base and large");
    *c = *size;
    c->head = (enum t3d_generator_head)head;
    if (!encoders)
        return read_fields(c, json, T3D_COUNT(fields), err);
    return read_fields(c, json, T3D_COUNT(fields) - VOCABULARY_FIELDS, err) == T3D_OK
               ? read_encoders(c, encoders, err)
               : T3D_SKIP;
}

int t3d_reconstructor_from_json(struct t3d_generator_config *c, const cJSON *json,
                                struct t3d_err *err)
{
    const struct t3d_generator_config *size;

    if (strcmp(t3d_json_str(json, "model", ""), "reconstructor") != 0 ||
        t3d_json_num(json, "format", 0) != FORMAT)
        return bad(err, "model", "is not a reconstructor (format 1) of this t3d");
    size = t3d_reconstructor_size(t3d_json_str(json, "size", ""));
    if (!size)
        return bad(err, "size", "is not one of nano, small, base and large");
    *c = *size;
    return read_fields(c, json, T3D_COUNT(fields) - TEXT_FIELDS, err);
}
