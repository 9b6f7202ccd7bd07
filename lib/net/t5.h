/* SPDX-License-Identifier: Apache-2.0 */
/* net/t5.h -- the T5 encoder (Raffel et al., "Exploring the Limits of Transfer Learning with a
 * Unified Text-to-Text Transformer", 2020), v1.0 (ReLU) and v1.1 (gated GELU; FLAN-T5 too), from a
 * folder that transformers saved, as T5EncoderModel or T5ForConditionalGeneration.
 *
 * Inside net: encoder.h is the public door. */
#ifndef T3D_NET_T5_H
#define T3D_NET_T5_H

#include <stddef.h>

#include "base/err.h"
#include "net/tokenize_clip.h" /* struct t3d_tokens */

struct t3di_t5;

struct t3di_t5_options {
    int threads;    /* 0 = all */
    int batch;      /* texts a run at most; 0 = chosen */
    int no_savings; /* every text at full length */
};

/* T3D_SKIP "missing-file", "bad-config", "bad-weights" or "unsupported-model". */
int t3di_t5_open(struct t3di_t5 **out, const char *dir, const struct t3di_t5_options *o,
                 struct t3d_err *err) T3D_MUST_CHECK;
void t3di_t5_free(struct t3di_t5 *t);

int t3di_t5_width(const struct t3di_t5 *t);
int t3di_t5_vocab(const struct t3di_t5 *t);
int t3di_t5_positions(const struct t3di_t5 *t); /* tokens of a text at most */
size_t t3di_t5_weights_bytes(const struct t3di_t5 *t);
double t3di_t5_flops(const struct t3di_t5 *t, int tokens);

/* rows (n, width), the means over all tokens, of length 1; features, when not NULL, (sum of
 * tokens[i].n, width): the last hidden state after the final norm, text after text. A text of no
 * token, of more than t3di_t5_positions, or an id outside the table is T3D_SKIP "bad-tokens". */
int t3di_t5_texts(struct t3di_t5 *t, const struct t3d_tokens *tokens, size_t n, float *rows,
                  float *features, struct t3d_err *err) T3D_MUST_CHECK;

#endif
