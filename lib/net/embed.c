/* SPDX-License-Identifier: Apache-2.0 */
#include "net/embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "image/image.h"

enum {
    GROUP = 64,               /* inputs of a call */
    FEATURE_BYTES = 64 << 20, /* most features of a call */
    BATCH_INPUTS = 512
};
#define BATCH_BYTES 48e6
#define BATCH_FLOPS 2e12

struct t3d_embedder {
    struct t3d_encoder *encoder;
    size_t group, picture; /* floats of a picture */
    float *pictures, *rows, *features;
    size_t n_features; /* room, in floats */
    struct t3d_tokens *tokens;
    struct t3d_embed_input **member; /* of the call in hand */
};

/* --- inputs
 * ----------------------------------------------------------------------------------------- */

static int make_row(const struct t3d_encoder *e, struct t3d_embed_input *in, struct t3d_arena *a,
                    struct t3d_err *err)
{
    int width = t3d_encoder_info(e)->width;

    in->row = t3d_alloc_raw(a, (size_t)width, sizeof *in->row);
    if (!in->row)
        return t3d_err_nomem(err, "a row");
    for (int i = 0; i < width; i++)
        in->row[i] = NAN;
    return T3D_OK;
}

int t3d_embed_failed(const struct t3d_encoder *e, struct t3d_embed_input *in,
                     const struct t3d_err *why, struct t3d_arena *a, struct t3d_err *err)
{
    in->failed = 1;
    in->err = *why;
    return in->row ? T3D_OK : make_row(e, in, a, err);
}

/* What is the input's fault stays with it. */
static int settle(struct t3d_embed_input *in, int r, const struct t3d_err *why, struct t3d_err *err)
{
    if (r == T3D_OK)
        return T3D_OK;
    if (r == T3D_SKIP) {
        in->failed = 1;
        in->err = *why;
        return T3D_OK;
    }
    if (err)
        *err = *why;
    return r;
}

int t3d_embed_picture(const struct t3d_encoder *e, struct t3d_embed_input *in, const void *data,
                      size_t size, struct t3d_arena *a, struct t3d_err *err)
{
    int side = t3d_encoder_info(e)->image_size;
    struct t3d_arena scratch = {0}; /* a large picture is not to lie there until the run */
    struct t3d_image_info info;
    struct t3d_err why = {0};
    uint8_t *pixels;
    float *out;
    int r = make_row(e, in, a, err);

    out = r == T3D_OK ? t3d_alloc_raw(a, (size_t)(3 * side * side), sizeof *out) : NULL;
    if (!out)
        return r < 0 ? r : t3d_err_nomem(err, "a picture");
    r = t3d_image_decode(&info, &pixels, &scratch, data, size, &why);
    if (r == T3D_OK)
        r = t3d_encoder_picture(e, out, pixels, info.width, info.height, &scratch, &why);
    t3d_arena_free(&scratch);
    in->picture = out;
    return settle(in, r, &why, err);
}

int t3d_embed_text(const struct t3d_encoder *e, struct t3d_embed_input *in, const char *text,
                   size_t size, int features, struct t3d_arena *a, struct t3d_err *err)
{
    size_t width = (size_t)t3d_encoder_info(e)->token_width;
    struct t3d_err why = {0};
    int r = make_row(e, in, a, err);

    if (r < 0)
        return r;
    r = t3d_encoder_tokenize(e, &in->tokens, text, size, a, &why);
    if (r == T3D_OK && features) {
        in->feature = t3d_alloc(a, in->tokens.n * width, sizeof *in->feature);
        if (!in->feature)
            return t3d_err_nomem(err, "token features");
    }
    return settle(in, r, &why, err);
}

size_t t3d_embed_weight(const struct t3d_encoder *e, const struct t3d_embed_input *in)
{
    const struct t3d_encoder_info *i = t3d_encoder_info(e);
    double pixels = (double)i->image_size * i->image_size, bytes, flops;

    bytes = in->picture ? 3 * pixels * sizeof(float)
                        : (in->feature ? (double)in->tokens.n * i->token_width * sizeof(float) : 0);
    flops = in->picture     ? i->image_flops
            : i->max_tokens ? i->text_flops * (double)in->tokens.n / i->max_tokens
                            : 0;
    return (size_t)(T3D_EMBED_BATCH * fmin(1, fmax(1. / BATCH_INPUTS, fmax(bytes / BATCH_BYTES,
                                                                           flops / BATCH_FLOPS))));
}

/* --- run
 * ------------------------------------------------------------------------------------------- */

int t3d_embedder_new(struct t3d_embedder **out, struct t3d_encoder *e, size_t batch,
                     struct t3d_err *err)
{
    const struct t3d_encoder_info *i = t3d_encoder_info(e);
    struct t3d_embedder *b = calloc(1, sizeof *b);

    *out = NULL;
    if (!b)
        return t3d_err_nomem(err, "batches");
    b->encoder = e;
    b->group = batch ? batch : GROUP;
    b->picture = 3 * (size_t)i->image_size * (size_t)i->image_size;
    b->rows = malloc(b->group * (size_t)i->width * sizeof *b->rows);
    b->tokens = malloc(b->group * sizeof *b->tokens);
    b->member = malloc(b->group * sizeof(struct t3d_embed_input *));
    if (!b->rows || !b->tokens || !b->member) {
        t3d_embedder_free(b);
        return t3d_err_nomem(err, "batches");
    }
    *out = b;
    return T3D_OK;
}

void t3d_embedder_free(struct t3d_embedder *b)
{
    if (!b)
        return;
    free(b->pictures);
    free(b->rows);
    free(b->features);
    free(b->tokens);
    free(b->member);
    free(b);
}

/* The pictures of the call, one behind the other: where they lie so, that is the place. */
static const float *join_pictures(struct t3d_embedder *b, size_t n, struct t3d_err *err)
{
    size_t together = 1;

    while (together < n &&
           b->member[together]->picture == b->member[together - 1]->picture + b->picture)
        together++;
    if (together == n)
        return b->member[0]->picture;
    if (!b->pictures)
        b->pictures = malloc(b->group * b->picture * sizeof *b->pictures);
    if (!b->pictures) {
        t3d_err_nomem(err, "a batch of pictures");
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(b->pictures + i * b->picture, b->member[i]->picture,
               b->picture * sizeof *b->pictures);
    return b->pictures;
}

static int call_images(struct t3d_embedder *b, size_t n, struct t3d_err *err)
{
    const float *pictures = join_pictures(b, n, err);

    return pictures ? t3d_encoder_images(b->encoder, pictures, n, b->rows, err) : T3D_FAIL;
}

static int call_texts(struct t3d_embedder *b, size_t n, struct t3d_err *err)
{
    size_t width = (size_t)t3d_encoder_info(b->encoder)->token_width, need = 0, at = 0;
    int r;

    for (size_t i = 0; i < n; i++) {
        b->tokens[i] = b->member[i]->tokens;
        need += b->member[i]->feature ? b->tokens[i].n * width : 0;
    }
    if (need > b->n_features) {
        free(b->features);
        b->features = malloc(need * sizeof *b->features);
        b->n_features = b->features ? need : 0;
        if (!b->features)
            return t3d_err_nomem(err, "token features");
    }
    r = t3d_encoder_texts(b->encoder, b->tokens, n, b->rows, need ? b->features : NULL, err);
    for (size_t i = 0; i < n && need && r == T3D_OK; i++) {
        memcpy(b->member[i]->feature, b->features + at,
               b->tokens[i].n * width * sizeof *b->features);
        at += b->tokens[i].n * width;
    }
    return r;
}

/* The members; if one of them spoils it, each alone. */
static int call(struct t3d_embedder *b, size_t n, struct t3d_err *err)
{
    size_t width = (size_t)t3d_encoder_info(b->encoder)->width;
    struct t3d_err why = {0};
    int r = b->member[0]->picture ? call_images(b, n, &why) : call_texts(b, n, &why);

    if (r == T3D_SKIP && n > 1) {
        struct t3d_embed_input *first = b->member[0];
        r = T3D_OK;
        for (size_t i = 0; i < n && r == T3D_OK; i++) {
            b->member[0] = i ? b->member[i] : first;
            r = call(b, 1, err);
        }
        return r;
    }
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        memcpy(b->member[i]->row, b->rows + i * width, width * sizeof *b->rows);
    return settle(b->member[0], r, &why, err);
}

/* Inputs of one kind, in groups. */
static int run_kind(struct t3d_embedder *b, struct t3d_embed_input *const *in, size_t n,
                    int pictures, struct t3d_err *err)
{
    size_t width = (size_t)t3d_encoder_info(b->encoder)->token_width * sizeof(float);
    size_t have = 0, bytes = 0;
    int r = T3D_OK;

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        size_t more;
        if (in[i]->failed || (in[i]->picture != NULL) != pictures)
            continue;
        more = in[i]->feature ? in[i]->tokens.n * width : 0;
        if (have == b->group || (have && bytes + more > FEATURE_BYTES)) {
            r = call(b, have, err);
            have = bytes = 0;
        }
        b->member[have++] = in[i];
        bytes += more;
    }
    return r == T3D_OK && have ? call(b, have, err) : r;
}

int t3d_embed_run(struct t3d_embedder *b, struct t3d_embed_input *const *in, size_t n,
                  struct t3d_err *err)
{
    int r = run_kind(b, in, n, 1, err);

    return r == T3D_OK ? run_kind(b, in, n, 0, err) : r;
}

void t3d_embed_mean(const struct t3d_embed_input *const *in, size_t n, int width, float *mean)
{
    double length = 0;

    for (int k = 0; k < width; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += in[i]->row[k];
        mean[k] = (float)sum;
        length += sum * sum;
    }
    length = sqrt(length);
    for (int k = 0; k < width; k++)
        mean[k] = length > 1e-6 * (double)n && isfinite(length) ? (float)(mean[k] / length) : NAN;
}
