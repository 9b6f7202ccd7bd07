/* SPDX-License-Identifier: Apache-2.0 */
/* The networks themselves, for texts that nobody has seen before. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/conditioning_impl.h"
#include "net/encoder.h"
#include "store/model_find.h"
#include "store/tensor.h"

enum { GROUP = 16 }; /* texts of a call: bounds the memory of their features */

struct networks {
    struct t3d_encoder *encoder[T3D_GENERATOR_ENCODERS];
    struct t3d_arena arena;
};

/* --- which networks -------------------------------------------------------------------------- */

static int is_of(const struct t3d_encoder *e, const struct t3d_generator_encoder *wanted)
{
    const struct t3d_encoder_info *i = t3d_encoder_info(e);

    return strcmp(i->weights_hash, wanted->weights) == 0 &&
           strcmp(i->tokenizer_hash, wanted->tokenizer) == 0 &&
           strcmp(i->layout, wanted->layout) == 0 && i->token_width == wanted->width;
}

/* Of what differs, both hashes. */
static int other(const struct t3d_encoder *e, const struct t3d_generator_encoder *wanted,
                 const char *dir, struct t3d_err *err)
{
    const struct t3d_encoder_info *i = t3d_encoder_info(e);
    int weights = strcmp(i->weights_hash, wanted->weights) != 0;
    const char *has = weights ? i->weights_hash : i->tokenizer_hash,
               *needs = weights ? wanted->weights : wanted->tokenizer;

    if (strcmp(has, needs) == 0) /* the same files, read in another way */
        return t3d_err_set(err, T3D_USAGE, "other-encoder",
                           "text encoder '%s' is read as %s saves it, the model was trained with "
                           "'%s' as %s does: give that folder with --text-encoder",
                           dir, i->layout, wanted->name, wanted->layout);
    return t3d_err_set(err, T3D_USAGE, "other-encoder",
                       "text encoder '%s' has %s of SHA-256 %s, the model was trained with '%s' of "
                       "%s: give the folder of that one with --text-encoder",
                       dir, weights ? "weights" : "a tokenizer", has, wanted->name, needs);
}

static int open_folder(struct t3d_encoder **out, const char *dir, int threads,
                       const struct t3d_device *device, struct t3d_err *err)
{
    char name[32] = "cpu";
    const struct t3d_encoder_options o = {.threads = threads, .device = name};

    if (device->backend != T3D_CPU)
        snprintf(name, sizeof name, "cuda:%d", device->index);
    return t3d_encoder_open(out, dir, &o, err);
}

/* A folder that the user names goes where its hashes belong. */
static int open_named(struct networks *x, const struct t3d_generator_config *c, const char *name,
                      const char *workspace, int threads, const struct t3d_device *device,
                      struct t3d_err *err)
{
    const struct t3d_generator_encoder *wanted = &c->encoder[0];
    const char *called = t3d_model_name(name, &x->arena);
    struct t3d_encoder *e = NULL;
    char *dir;
    int r = t3d_model_find(&dir, workspace, name, &x->arena, err);

    if (r == T3D_OK)
        r = open_folder(&e, dir, threads, device, err);
    for (int k = 0; k < c->n_encoders && e; k++) {
        if (!x->encoder[k] && is_of(e, &c->encoder[k])) {
            x->encoder[k] = e;
            return T3D_OK;
        }
        /* for the message: the one that was meant */
        if (strcmp(t3d_encoder_info(e)->family, c->encoder[k].family) == 0 &&
            (strcmp(wanted->family, c->encoder[k].family) != 0 ||
             (called && strcmp(called, c->encoder[k].name) == 0)))
            wanted = &c->encoder[k];
    }
    if (r == T3D_OK && is_of(e, wanted))
        r = t3d_err_set(err, T3D_USAGE, "usage", "--text-encoder %s is given twice", name);
    else if (r == T3D_OK)
        r = other(e, wanted, name, err);
    t3d_encoder_free(e);
    return r;
}

static int open_recorded(struct networks *x, int k, const struct t3d_generator_encoder *wanted,
                         const char *workspace, int threads, const struct t3d_device *device,
                         struct t3d_err *err)
{
    struct t3d_err why = {0};
    char *dir;
    int r = t3d_model_find(&dir, workspace, wanted->name, &x->arena, &why);

    if (r < 0)
        return t3d_err_set(err, r, why.reason,
                           "the model takes its text from '%s' (weights %.12s): %s; or give its "
                           "folder with --text-encoder DIR",
                           wanted->name, wanted->weights, why.msg);
    r = open_folder(&x->encoder[k], dir, threads, device, err);
    if (r == T3D_OK && !is_of(x->encoder[k], wanted))
        r = other(x->encoder[k], wanted, dir, err);
    return r;
}

static int open_networks(struct networks *x, const struct t3d_generator_config *c,
                         const struct t3d_text_encoders *where, int threads,
                         const struct t3d_device *device, struct t3d_err *err)
{
    const char *workspace = where->workspace ? where->workspace : ".";
    int r = T3D_OK;

    if (where->n > (size_t)c->n_encoders)
        r = t3d_err_set(err, T3D_USAGE, "usage",
                        "--text-encoder names %zu networks, the model takes %d", where->n,
                        c->n_encoders);
    for (size_t i = 0; i < where->n && r == T3D_OK; i++)
        r = open_named(x, c, where->name[i], workspace, threads, device, err);
    for (int k = 0; k < c->n_encoders && r == T3D_OK; k++)
        if (!x->encoder[k])
            r = open_recorded(x, k, &c->encoder[k], workspace, threads, device, err);
    return r;
}

/* --- texts ----------------------------------------------------------------------------------- */

/* Features as they are stored by embed, in float16. */
static int put_features(const struct t3di_text_inputs *in, struct t3d_condition *text, int k,
                        const struct t3d_tokens *tokens, const float *features, struct t3d_err *err)
{
    int room = in->c->encoder[k].tokens, width = in->c->encoder[k].width, all = (int)tokens->n,
        n = T3D_MIN(all, room);

    text->cut |= tokens->truncated || all > room;
    for (int i = 0; i < n; i++) {
        const float *from = features + (size_t)t3di_kept_token(i, all, room) * (size_t)width;
        t3d_real *out = t3di_text_feature(in, text->row, k, i);

        for (int j = 0; j < width; j++) {
            out[j] = t3d_half_to_float(t3d_half_from_float(from[j]));
            if (!isfinite(out[j]))
                return t3d_err_set(err, T3D_FAIL, "not-finite",
                                   "'%s' makes numbers of the text '%.*s' that are not finite",
                                   in->c->encoder[k].name, (int)T3D_MIN(text->size, (size_t)100),
                                   text->text);
        }
    }
    t3di_text_seen(in, text->row, k, n);
    return T3D_OK;
}

static int put_group(struct networks *x, const struct t3di_text_inputs *in,
                     struct t3d_condition *const *text, size_t n, int k, struct t3d_arena *a,
                     struct t3d_err *err)
{
    const struct t3d_encoder_info *info = t3d_encoder_info(x->encoder[k]);
    struct t3d_tokens tokens[GROUP];
    size_t total = 0, at = 0, width = (size_t)info->token_width;
    float *rows = t3d_alloc_raw(a, n * (size_t)info->width, sizeof *rows), *features;
    int r = rows ? T3D_OK : t3d_err_nomem(err, "rows");

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        r = t3d_encoder_tokenize(x->encoder[k], &tokens[i], text[i]->text, text[i]->size, a, err);
        total += r == T3D_OK ? tokens[i].n : 0;
    }
    features = r == T3D_OK ? t3d_alloc_raw(a, total * width, sizeof *features) : NULL;
    if (r == T3D_OK && !features)
        r = t3d_err_nomem(err, "token features");
    if (r == T3D_OK)
        r = t3d_encoder_texts(x->encoder[k], tokens, n, rows, features, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        r = put_features(in, text[i], k, &tokens[i], features + at * width, err);
        at += tokens[i].n;
    }
    t3d_arena_reset(a);
    return r;
}

static int put_encoded(struct t3d_conditioning *t, const struct t3di_text_inputs *in,
                       struct t3d_condition *text, size_t n, struct t3d_err *err)
{
    int r = T3D_OK;

    for (size_t i = 0; i < n && r == T3D_OK;) {
        struct t3d_condition *group[GROUP];
        size_t m = 0;

        for (; i < n && m < GROUP; i++)
            if (text[i].text)
                group[m++] = &text[i];
        for (int k = 0; k < in->c->n_encoders && m && r == T3D_OK; k++)
            r = put_group(t->state, in, group, m, k, &t->arena, err);
    }
    return r;
}

static void free_networks(void *state)
{
    struct networks *x = state;

    for (int k = 0; k < T3D_GENERATOR_ENCODERS; k++)
        t3d_encoder_free(x->encoder[k]);
    t3d_arena_free(&x->arena);
    free(x);
}

int t3d_conditioning_encoders(struct t3d_conditioning **out, const struct t3d_generator_config *c,
                              const struct t3d_text_encoders *where, int threads,
                              const struct t3d_device *device, struct t3d_err *err)
{
    static const struct t3di_conditioning_kind kind = {.put = put_encoded, .free = free_networks};
    struct networks *x = calloc(1, sizeof *x);
    int r = x ? t3di_conditioning_new(out, &kind, x, err) : t3d_err_nomem(err, "the text");

    if (r < 0) {
        free(x);
        return r;
    }
    r = t3d_generator_text_hash(c, (*out)->hash, err);
    if (r == T3D_OK)
        r = open_networks(x, c, where, threads, device, err);
    for (int k = 0; k < c->n_encoders && r == T3D_OK; k++)
        (*out)->bytes += (double)t3d_encoder_info(x->encoder[k])->weights_bytes;
    if (r < 0) {
        t3d_conditioning_free(*out);
        *out = NULL;
    }
    return r;
}
