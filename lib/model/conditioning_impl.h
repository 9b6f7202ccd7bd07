/* SPDX-License-Identifier: Apache-2.0 */
/* model/conditioning_impl.h -- the three kinds behind model/conditioning.h. */
#ifndef T3D_MODEL_CONDITIONING_IMPL_H
#define T3D_MODEL_CONDITIONING_IMPL_H

#include "base/arena.h"
#include "base/hash.h"
#include "model/conditioning.h"

/* The inputs of a graph, whole. */
struct t3di_text_inputs {
    const struct t3d_generator_config *c;
    int32_t *ids, *seen;
    t3d_real *features[T3D_GENERATOR_ENCODERS];
    int text, row; /* tokens of the text; of the text and the views: a row of seen */
};

struct t3di_conditioning_kind {
    /* Texts that are not NULL, and, only for words that are learned, those that are. */
    int (*put)(struct t3d_conditioning *t, const struct t3di_text_inputs *in,
               struct t3d_condition *text, size_t n, struct t3d_err *err);
    void (*free)(void *state);
};

struct t3d_conditioning {
    const struct t3di_conditioning_kind *kind;
    void *state;
    struct t3d_clip_tokenizer *tokenizer; /* of words that are learned, else NULL */
    char hash[T3D_SHA256_HEX];
    double bytes;
    struct t3d_arena arena; /* of one put */
};

int t3di_conditioning_new(struct t3d_conditioning **out, const struct t3di_conditioning_kind *kind,
                          void *state, struct t3d_err *err) T3D_MUST_CHECK;

/* Of n tokens those that a model with room for `room` takes: the first, and the last in the last
 * place. The place of token i of them in the text. */
static inline int t3di_kept_token(int i, int n, int room)
{
    return n > room && i == room - 1 ? n - 1 : i;
}

/* Token i of the features of encoder k in a row of the batch; the caller writes its width numbers.
 */
t3d_real *t3di_text_feature(const struct t3di_text_inputs *in, int row, int k, int i);
/* n tokens of encoder k are there, zeros follow. */
void t3di_text_seen(const struct t3di_text_inputs *in, int row, int k, int n);

#endif
