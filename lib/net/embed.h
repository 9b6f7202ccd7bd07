/* SPDX-License-Identifier: Apache-2.0 */
/* net/embed.h -- pictures and texts of many objects through one network, in batches: each input has
 * a row of its own, also the one that fails.
 *
 *     struct t3d_embedder *b;
 *     t3d_embedder_new(&b, encoder, 0, err);
 *     t3d_embed_picture(encoder, &input, png, size, &arena);         (from any thread)
 *     t3d_embed_text(encoder, &input, caption, size, 0, &arena);     (from any thread)
 *     t3d_embed_run(b, inputs, n, err);
 *     ... inputs[i]->row ...
 */
#ifndef T3D_NET_EMBED_H
#define T3D_NET_EMBED_H

#include "net/encoder.h"

struct t3d_embed_input {
    const float *picture; /* (3, S, S), the network's input, or NULL for a text */
    struct t3d_tokens tokens;
    float *row;     /* (width): of length 1, NaN when failed */
    float *feature; /* (tokens.n, token_width), or NULL when nobody wants it */
    int failed;     /* then err says why */
    struct t3d_err err;
};

/* Fill the input from the bytes of a PNG, JPEG or WebP; from a text. Everything lies in the arena,
 * the row with it. What is wrong with the picture or text goes into the input, whose row is then
 * NaN; T3D_FAIL only when memory is out. */
int t3d_embed_picture(const struct t3d_encoder *e, struct t3d_embed_input *in, const void *data,
                      size_t size, struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_embed_text(const struct t3d_encoder *e, struct t3d_embed_input *in, const char *text,
                   size_t size, int features, struct t3d_arena *a,
                   struct t3d_err *err) T3D_MUST_CHECK;
/* An input that cannot be had at all. */
int t3d_embed_failed(const struct t3d_encoder *e, struct t3d_embed_input *in,
                     const struct t3d_err *why, struct t3d_arena *a,
                     struct t3d_err *err) T3D_MUST_CHECK;

/* An input's share of a batch, whose whole is T3D_EMBED_BATCH: what it fills of 48 MB before the
 * run, or of 2 TFLOP, or of 512 inputs, whichever is most. So a batch is large enough for the
 * network, and a kill costs seconds. */
enum { T3D_EMBED_BATCH = 1 << 20 };
size_t t3d_embed_weight(const struct t3d_encoder *e, const struct t3d_embed_input *in);

struct t3d_embedder;
/* batch: pictures or texts of one call of the encoder; 0 = chosen. */
int t3d_embedder_new(struct t3d_embedder **out, struct t3d_encoder *e, size_t batch,
                     struct t3d_err *err) T3D_MUST_CHECK;
void t3d_embedder_free(struct t3d_embedder *b);

/* All inputs that have not failed. One whose row is not finite fails, the others of its batch do
 * not. */
int t3d_embed_run(struct t3d_embedder *b, struct t3d_embed_input *const *in, size_t n,
                  struct t3d_err *err) T3D_MUST_CHECK;

/* mean (width) of n unit rows, at length 1 again; NaN when one of them is, when there are none, and
 * when they cancel out. */
void t3d_embed_mean(const struct t3d_embed_input *const *in, size_t n, int width, float *mean);

#endif
