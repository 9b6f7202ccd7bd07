/* SPDX-License-Identifier: Apache-2.0 */
#include "model/conditioning.h"

#include <stdlib.h>
#include <string.h>

#include "model/conditioning_impl.h"
#include "model/vocabulary.h"

int t3di_conditioning_new(struct t3d_conditioning **out, const struct t3di_conditioning_kind *kind,
                          void *state, struct t3d_err *err)
{
    struct t3d_conditioning *t = calloc(1, sizeof *t);

    *out = t;
    if (!t)
        return t3d_err_nomem(err, "the text");
    t->kind = kind;
    t->state = state;
    return T3D_OK;
}

void t3d_conditioning_free(struct t3d_conditioning *t)
{
    if (!t)
        return;
    if (t->state)
        t->kind->free(t->state);
    t3d_clip_tokenizer_free(t->tokenizer);
    t3d_arena_free(&t->arena);
    free(t);
}

const char *t3d_conditioning_hash(const struct t3d_conditioning *t)
{
    return t->hash;
}

double t3d_conditioning_bytes(const struct t3d_conditioning *t)
{
    return t->bytes;
}

/* --- rows of the inputs ---------------------------------------------------------------------- */

static struct t3di_text_inputs inputs_of(struct t3d_graph *g, const struct t3d_generator *m,
                                         const struct t3d_generator_config *c)
{
    struct t3di_text_inputs in = {.c = c,
                                  .ids = t3d_graph_data(g, m->ids),
                                  .seen = t3d_graph_data(g, m->seen),
                                  .text = t3d_generator_text(c)};

    in.row = in.text + t3d_generator_tokens(c);
    for (int k = 0; k < c->n_encoders; k++)
        in.features[k] = t3d_graph_data(g, m->features[k]);
    return in;
}

/* Where the tokens of encoder k begin in the sequence. */
static int first_token(const struct t3d_generator_config *c, int k)
{
    int n = T3D_GENERATOR_NULL;

    for (int i = 0; i < k; i++)
        n += c->encoder[i].tokens;
    return n;
}

t3d_real *t3di_text_feature(const struct t3di_text_inputs *in, int row, int k, int i)
{
    const struct t3d_generator_encoder *e = &in->c->encoder[k];

    return in->features[k] + ((size_t)row * (size_t)e->tokens + (size_t)i) * (size_t)e->width;
}

void t3di_text_seen(const struct t3di_text_inputs *in, int row, int k, int n)
{
    const struct t3d_generator_encoder *e = &in->c->encoder[k];
    int32_t *seen = in->seen + (size_t)row * (size_t)in->row + first_token(in->c, k);
    size_t rest = (size_t)(e->tokens - n) * (size_t)e->width;

    for (int i = 0; i < e->tokens; i++)
        seen[i] = i < n;
    if (rest)
        memset(t3di_text_feature(in, row, k, n), 0, rest * sizeof **in->features);
}

int t3d_conditioning_put(struct t3d_conditioning *t, struct t3d_graph *g,
                         const struct t3d_generator *m, const struct t3d_generator_config *c,
                         struct t3d_condition *text, size_t n, struct t3d_err *err)
{
    struct t3di_text_inputs in = inputs_of(g, m, c);
    int r;

    if (!in.ids || !in.seen)
        return t3d_err_set(err, T3D_FAIL, "no-input", "the graph has no memory for texts");
    for (size_t i = 0; i < n && c->n_encoders; i++) {
        in.ids[text[i].row] = 0;
        in.seen[(size_t)text[i].row * (size_t)in.row] = !text[i].text;
        for (int k = 0; k < c->n_encoders && !text[i].text; k++)
            t3di_text_seen(&in, text[i].row, k, 0);
    }
    for (size_t i = 0; i < n; i++)
        text[i].cut = 0;
    r = t->kind->put(t, &in, text, n, err);
    t3d_arena_reset(&t->arena);
    return r;
}

/* --- words that are learned ------------------------------------------------------------------ */

static int put_learned(struct t3d_conditioning *t, const struct t3di_text_inputs *in,
                       struct t3d_condition *text, size_t n, struct t3d_err *err)
{
    int r = T3D_OK;

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        size_t row = (size_t)text[i].row;

        r = t3d_vocabulary_put(t->tokenizer, text[i].text, text[i].size, in->text,
                               in->ids + row * (size_t)in->text, in->seen + row * (size_t)in->row,
                               &text[i].cut, &t->arena, err);
    }
    return r;
}

int t3d_conditioning_learned(struct t3d_conditioning **out, struct t3d_clip_tokenizer *tokenizer,
                             struct t3d_err *err)
{
    static const struct t3di_conditioning_kind kind = {.put = put_learned};
    int r = t3di_conditioning_new(out, &kind, NULL, err);

    if (r < 0) {
        t3d_clip_tokenizer_free(tokenizer);
        return r;
    }
    (*out)->tokenizer = tokenizer;
    memcpy((*out)->hash, t3d_clip_tokenizer_hash(tokenizer), T3D_SHA256_HEX);
    return T3D_OK;
}

int t3d_conditioning_unknown(const struct t3d_conditioning *t, const char *text, char *word,
                             size_t n, struct t3d_err *err)
{
    *word = 0;
    return t->tokenizer ? t3d_vocabulary_unknown(t->tokenizer, text, word, n, err) : T3D_OK;
}
