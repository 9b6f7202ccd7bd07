/* SPDX-License-Identifier: Apache-2.0 */
/* model/vocabulary.h -- the tokens of a model that learns its words itself: a byte-pair vocabulary
 * made from the training captions. */
#ifndef T3D_MODEL_VOCABULARY_H
#define T3D_MODEL_VOCABULARY_H

#include "model/loader.h"
#include "net/tokenize_clip.h"

/* Open the vocabulary in DIR, after making it from all captions of the loader when there is none
 * yet; size: most entries. */
int t3d_vocabulary_open(struct t3d_clip_tokenizer **out, const char *dir,
                        const struct t3d_loader *captions, int size,
                        struct t3d_err *err) T3D_MUST_CHECK;

/* vocab.json and merges.txt of one folder also into another. */
int t3d_vocabulary_copy(const char *from, const char *to, struct t3d_err *err) T3D_MUST_CHECK;

/* A text as the inputs of a model: ids (n), seen (n) 1 for its tokens and 0 for padding. A longer
 * text is cut, and *cut (may be NULL) says so. text NULL = no text: the token numbered as the
 * vocabulary is large, alone. */
int t3d_vocabulary_put(const struct t3d_clip_tokenizer *t, const char *text, size_t size, int n,
                       int32_t *ids, int32_t *seen, int *cut, struct t3d_arena *scratch,
                       struct t3d_err *err) T3D_MUST_CHECK;

/* The first word of a text that the captions did not have: one that takes several tokens. word (n):
 * "" when there is none; a long one is cut. */
int t3d_vocabulary_unknown(const struct t3d_clip_tokenizer *t, const char *text, char *word,
                           size_t n, struct t3d_err *err) T3D_MUST_CHECK;

#endif
