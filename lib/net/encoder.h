/* SPDX-License-Identifier: Apache-2.0 */
/* net/encoder.h -- a frozen network read from a folder as transformers or open_clip saved it:
 * pictures and texts to rows (CLIP), texts to rows and token features (CLIP, T5).
 *
 *     struct t3d_encoder *e;
 *     r = t3d_encoder_open(&e, "clip-vit-b32", &(struct t3d_encoder_options){.threads = 2}, err);
 *     t3d_encoder_picture(e, input, rgba, w, h, &arena, err);        (from any thread)
 *     t3d_encoder_images(e, input, n, rows, err);
 *     t3d_encoder_tokenize(e, &tokens[i], text, size, &arena, err);  (from any thread)
 *     t3d_encoder_texts(e, tokens, n, rows, NULL, err);
 *     t3d_encoder_free(e);
 *
 * A row's bits depend on its own input, the weights and the instruction set alone: not on the batch
 * it came in, nor on the number of threads. */
#ifndef T3D_NET_ENCODER_H
#define T3D_NET_ENCODER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "net/tokenize_clip.h" /* struct t3d_tokens */

struct t3d_arena;
struct t3d_encoder;

struct t3d_encoder_options {
    int threads;           /* 0 = all */
    const char *device;    /* "cpu" (also NULL), "cuda:0" */
    const char *recipe;    /* preprocessing; NULL = that of the library that saved the folder */
    uint8_t background[3]; /* pictures with transparency are put over it first */
    int batch;             /* pictures or texts a run at most; 0 = chosen */
    int no_savings;        /* tests and benches: whole sequences, every row of the last block */
};

struct t3d_encoder_info {
    const char *family; /* "clip", "t5" */
    const char *layout; /* who saved the folder: "transformers", "open_clip" */
    int width;          /* of a row */
    int token_width;    /* of a token's features: the last hidden state after the final norm */
    int max_tokens;     /* longer texts are cut; 0 = takes no texts (or has no tokenizer) */
    int image_size;     /* side of the input; 0 = takes no pictures */
    const char *recipe; /* preprocessing in use */
    const char *weights_hash, *tokenizer_hash; /* SHA-256 in hex, "" = none */
    size_t weights_bytes;                      /* of the tensors as stored */
    double image_flops, text_flops;            /* of one input at full length */
};

/* Everything is read, checked (every expected tensor with its shape; missing and extra ones are
 * named; values are finite; the configuration agrees with the tensors; activation, heads, mean and
 * deviation are stated, never guessed) and packed. T3D_SKIP with reason "missing-file",
 * "bad-config", "bad-weights", "bad-tokenizer", "unsupported-model"; T3D_USAGE for options. */
int t3d_encoder_open(struct t3d_encoder **out, const char *dir, const struct t3d_encoder_options *o,
                     struct t3d_err *err) T3D_MUST_CHECK;
void t3d_encoder_free(struct t3d_encoder *e);
const struct t3d_encoder_info *t3d_encoder_info(const struct t3d_encoder *e);

/* Straight-alpha RGBA (h, w, 4) -> out (3, S, S), the network's input, by the recipe. */
int t3d_encoder_picture(const struct t3d_encoder *e, float *out, const uint8_t *rgba, uint32_t w,
                        uint32_t h, struct t3d_arena *scratch, struct t3d_err *err) T3D_MUST_CHECK;
/* input (n, 3, S, S) -> rows (n, width) of length 1. */
int t3d_encoder_images(struct t3d_encoder *e, const float *input, size_t n, float *rows,
                       struct t3d_err *err) T3D_MUST_CHECK;

/* Ids in the arena, cut at max_tokens as the folder's library cuts them; every text is valid. */
int t3d_encoder_tokenize(const struct t3d_encoder *e, struct t3d_tokens *out, const char *text,
                         size_t size, struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;
/* rows (n, width) of length 1 (T5: the mean over all tokens with </s>); features, when not NULL,
 * (sum of tokens[i].n, token_width), text after text. */
int t3d_encoder_texts(struct t3d_encoder *e, const struct t3d_tokens *tokens, size_t n, float *rows,
                      float *features, struct t3d_err *err) T3D_MUST_CHECK;

/* What was found in the folder and from which file each choice came, a line each; with a text: its
 * token ids and pieces. */
void t3d_encoder_explain(const struct t3d_encoder *e, const char *text, FILE *out);

#endif
