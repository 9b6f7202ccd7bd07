/* SPDX-License-Identifier: Apache-2.0 */
/* net/tokenize_unigram.h -- sentencepiece's unigram model, as T5 uses it.
 *
 *     struct t3d_unigram_tokenizer *t;
 *     r = t3d_unigram_tokenizer_open(&t, "flan-t5-base", err);
 *     r = t3d_unigram_tokenize(&tokens, t, text, strlen(text), 512, arena, err);
 *     t3d_unigram_tokenizer_free(t);
 *
 * Of a spiece.model the ids are those of sentencepiece: the text is normalised by the map inside
 * the model (nmt_nfkc in T5's), spaces become U+2581, the path of the highest score is found, and
 * </s> is put behind. Control pieces spelled out in the text ("</s>") are ordinary text, since
 * sentencepiece never makes them of text.
 *
 * Of a tokenizer.json the ids are those of the fast tokenizers of transformers, whose steps the
 * file states: its added tokens spelled out in the text are those tokens, "</s>" too, since the
 * library that saved the folder and trained or served the model with it reads them so, and a T5
 * row, the mean over all tokens, has no place that such a token could usurp. The two differ also on
 * characters with combining marks, a literal U+2581, and white space that the map leaves.
 *
 * Every text is valid. Bytes that are not UTF-8 become U+FFFD. */
#ifndef T3D_NET_TOKENIZE_UNIGRAM_H
#define T3D_NET_TOKENIZE_UNIGRAM_H

#include "net/tokenize_clip.h" /* struct t3d_tokens */

struct t3d_unigram_tokenizer;

/* path is a folder with tokenizer.json, which is preferred as transformers prefers it, or
 * spiece.model, or such a file (the ending .json tells which). T3D_SKIP "bad-tokenizer" names what
 * is wrong; "missing-file". */
int t3d_unigram_tokenizer_open(struct t3d_unigram_tokenizer **out, const char *path,
                               struct t3d_err *err) T3D_MUST_CHECK;
void t3d_unigram_tokenizer_free(struct t3d_unigram_tokenizer *t);

/* Number of pieces; ids are below it. The id of </s>. The SHA-256 of the file, as hex, borrowed. */
uint32_t t3d_unigram_tokenizer_size(const struct t3d_unigram_tokenizer *t);
uint32_t t3d_unigram_tokenizer_end(const struct t3d_unigram_tokenizer *t);
const char *t3d_unigram_tokenizer_hash(const struct t3d_unigram_tokenizer *t);
/* The text of a piece, cut to fit into buf; NULL when there is no such id. */
const char *t3d_unigram_tokenizer_piece(const struct t3d_unigram_tokenizer *t, uint32_t id,
                                        char *buf, size_t n);

/* At most max (>= 1) tokens, </s> the last of them. The arena also serves as scratch. */
int t3d_unigram_tokenize(struct t3d_tokens *out, const struct t3d_unigram_tokenizer *t,
                         const char *text, size_t size, size_t max, struct t3d_arena *a,
                         struct t3d_err *err) T3D_MUST_CHECK;

#endif
