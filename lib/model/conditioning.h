/* SPDX-License-Identifier: Apache-2.0 */
/* model/conditioning.h -- what texts are to a generator: the rows of its inputs ids, seen and
 * features (model/generator.h).
 *
 *     r = t3d_conditioning_learned(&t, tokenizer, err);                    words of its own, or
 *     r = t3d_conditioning_stored(&t, &config, workspace, err);            to train: rows of embed
 *     r = t3d_conditioning_encoders(&t, &config, &where, threads, device, err);   to generate
 *     r = t3d_conditioning_put(t, g, &m, &config, texts, n, err);
 *     t3d_conditioning_free(t);
 *
 * Training reads token features that `t3d embed --tokens` has written, and never runs the network
 * they come from; they are found by the caption itself, in files that stay on disk (mapped, a few
 * rows a step), with about 100 bytes of memory a caption. What makes an object runs the very
 * networks, known by the hashes of weights and tokenizer, and rounds their features to float16 as
 * they are stored: the numbers are those that training has read. A text with more tokens than the
 * model takes keeps its first ones and its last, the end token. */
#ifndef T3D_MODEL_CONDITIONING_H
#define T3D_MODEL_CONDITIONING_H

#include "model/generator.h"
#include "model/loader.h"
#include "net/tokenize_clip.h"
#include "num/device.h"

struct t3d_conditioning;

/* --- who makes the text's tokens --- */

/* The tokenizer is taken over, also on failure. */
int t3d_conditioning_learned(struct t3d_conditioning **out, struct t3d_clip_tokenizer *tokenizer,
                             struct t3d_err *err) T3D_MUST_CHECK;

/* What <workspace>/embeddings/NAME says of the network that its rows come from; longest text =
 * tokens. T3D_USAGE "no-features" when it has no token features: the message names the command that
 * makes them. */
int t3d_conditioning_find(struct t3d_generator_encoder *e, const char *workspace, const char *name,
                          int tokens, struct t3d_err *err) T3D_MUST_CHECK;
/* Features of c's encoders from there. T3D_SKIP "bad-npy", "bad-rows"; T3D_USAGE "no-features",
 * "other-encoder" when they are of another network. */
int t3d_conditioning_stored(struct t3d_conditioning **out, const struct t3d_generator_config *c,
                            const char *workspace, struct t3d_err *err) T3D_MUST_CHECK;
/* Are all captions of the loader there? T3D_USAGE "no-features" names one that is not. The number
 * of those that are cut is added to *cut. */
int t3d_conditioning_covers(const struct t3d_conditioning *t, const struct t3d_loader *l,
                            uint64_t *cut, struct t3d_err *err) T3D_MUST_CHECK;

struct t3d_text_encoders {
    const char *workspace;   /* where networks lie (store/model_find.h); NULL = "." */
    const char *const *name; /* (n) names or folders of some of them; others by their own names */
    size_t n;
};
/* Those of c, opened. T3D_USAGE "missing-model", "other-encoder": the message has both hashes. */
int t3d_conditioning_encoders(struct t3d_conditioning **out, const struct t3d_generator_config *c,
                              const struct t3d_text_encoders *where, int threads,
                              const struct t3d_device *device, struct t3d_err *err) T3D_MUST_CHECK;

void t3d_conditioning_free(struct t3d_conditioning *t);

/* --- texts --- */

struct t3d_condition {
    const char *text; /* (size) UTF-8, no NUL needed; NULL = no text */
    size_t size;
    int row; /* of the batch */
    int cut; /* set by put: it was longer than the model takes */
};

/* The rows of a built graph's inputs. */
int t3d_conditioning_put(struct t3d_conditioning *t, struct t3d_graph *g,
                         const struct t3d_generator *m, const struct t3d_generator_config *c,
                         struct t3d_condition *text, size_t n, struct t3d_err *err) T3D_MUST_CHECK;

/* SHA-256 in hex of what its tokens mean: the tokenizer's, or t3d_generator_text_hash. */
const char *t3d_conditioning_hash(const struct t3d_conditioning *t);
/* Bytes of the weights of the networks that it runs. */
double t3d_conditioning_bytes(const struct t3d_conditioning *t);
/* As t3d_vocabulary_unknown; "" where words are not learned. */
int t3d_conditioning_unknown(const struct t3d_conditioning *t, const char *text, char *word,
                             size_t n, struct t3d_err *err) T3D_MUST_CHECK;

#endif
