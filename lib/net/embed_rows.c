/* SPDX-License-Identifier: Apache-2.0 */
#include "net/embed_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"

/* Raise when the same inputs give other numbers or other files: all are then made anew. */
enum { FORMAT_VERSION = 1 };

cJSON *t3d_embed_about(const struct t3d_encoder *e, const char *model, const uint8_t background[3],
                       const char *renders, int half)
{
    const struct t3d_encoder_info *i = t3d_encoder_info(e);
    cJSON *o = cJSON_CreateObject();
    char colour[8];
    int bad = !o;

    snprintf(colour, sizeof colour, "%02x%02x%02x", background[0], background[1], background[2]);
    bad = bad || t3d_json_set_num(o, "format", FORMAT_VERSION);
    bad = bad || t3d_json_set_str(o, "model", model) || t3d_json_set_str(o, "family", i->family);
    bad = bad || t3d_json_set_str(o, "layout", i->layout);
    bad = bad || t3d_json_set_str(o, "weights_sha256", i->weights_hash);
    bad = bad || t3d_json_set_str(o, "tokenizer_sha256", i->tokenizer_hash);
    bad = bad || t3d_json_set_str(o, "recipe", i->recipe ? i->recipe : "");
    bad = bad || t3d_json_set_str(o, "background", colour);
    bad = bad || t3d_json_set_str(o, "computed", "float32");
    bad = bad || t3d_json_set_str(o, "stored", half ? "float16" : "float32");
    bad = bad || t3d_json_set_num(o, "width", i->width);
    bad = bad || t3d_json_set_num(o, "token_width", i->token_width);
    if (renders)
        bad = bad || t3d_json_set_str(o, "renders", renders);
    if (bad) {
        cJSON_Delete(o);
        return NULL;
    }
    return o;
}

const char *t3d_embed_members(cJSON *o, const struct t3d_embed_input *in, struct t3d_arena *a)
{
    char *text = NULL, *members = NULL;
    int bad = !o;

    if (in && in->failed) {
        bad = bad || t3d_json_set_str(o, "reason", *in->err.reason ? in->err.reason : "failed");
        bad = bad || t3d_json_set_str(o, "message", in->err.msg);
    }
    if (in && in->tokens.truncated)
        bad = bad || t3d_json_set_bool(o, "truncated", 1);
    text = bad ? NULL : t3d_json_text(o, 0);
    cJSON_Delete(o);
    if (text)
        members = t3d_strndup(a, text + 1, strlen(text) - 2);
    free(text);
    return members;
}

int t3d_embed_block(const struct t3d_encoder *e, const struct t3d_embed_input *const *in,
                    const char *const *members, size_t n, struct t3d_rows_block *block,
                    struct t3d_arena *a, struct t3d_err *err)
{
    size_t width = (size_t)t3d_encoder_info(e)->width;
    struct t3d_rows_line *line = t3d_alloc(a, n, sizeof *line);
    float *row = t3d_alloc_raw(a, n * width, sizeof *row);

    if (!line || !row)
        return t3d_err_nomem(err, "rows");
    for (size_t i = 0; i < n; i++) {
        line[i] = (struct t3d_rows_line){members[i], 1};
        memcpy(row + i * width, in[i]->row, width * sizeof *row);
    }
    *block = (struct t3d_rows_block){row, line, n};
    return T3D_OK;
}

int t3d_embed_texts(const struct t3d_encoder *e, const struct t3d_embed_input *const *in,
                    const char *const *members, size_t n, struct t3d_rows_block *texts,
                    struct t3d_rows_block *tokens, struct t3d_arena *a, struct t3d_err *err)
{
    size_t width = (size_t)t3d_encoder_info(e)->token_width, total = 0, at = 0;
    int r = t3d_embed_block(e, in, members, n, texts, a, err);
    struct t3d_rows_line *line;
    float *feature;

    if (r < 0 || !tokens)
        return r;
    for (size_t i = 0; i < n; i++)
        total += in[i]->failed ? 0 : in[i]->tokens.n;
    line = t3d_alloc(a, n, sizeof *line);
    feature = t3d_alloc_raw(a, total * width, sizeof *feature);
    if (!line || !feature)
        return t3d_err_nomem(err, "token features");
    for (size_t i = 0; i < n; i++) {
        line[i] = (struct t3d_rows_line){members[i], in[i]->failed ? 0 : in[i]->tokens.n};
        if (line[i].n)
            memcpy(feature + at, in[i]->feature, line[i].n * width * sizeof *feature);
        at += line[i].n * width;
    }
    *tokens = (struct t3d_rows_block){feature, line, n};
    return T3D_OK;
}
