/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a generator, and of a reconstructor. */
#include <string.h>

#include "base/json.h"
#include "model/generator.h"
#include "model/reconstructor.h"

enum { FORMAT = 1, TEXT_FIELDS = 2 };

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

cJSON *t3d_generator_json(const struct t3d_generator_config *c, const char *tokenizer_hash,
                          const char *reconstructor_hash)
{
    cJSON *o = config_json(c, "turbo3d", T3D_COUNT(fields));

    t3d_json_set_str(o, "tokenizer_sha256", tokenizer_hash);
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

int t3d_generator_from_json(struct t3d_generator_config *c, const cJSON *json, struct t3d_err *err)
{
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
    return read_fields(c, json, T3D_COUNT(fields), err);
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
