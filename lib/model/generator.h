/* SPDX-License-Identifier: Apache-2.0 */
/* model/generator.h -- text and noise to Gaussians, or to four views: a transformer over text
 * tokens and patches of four noisy views. Its head `gauss` gives one Gaussian for each pixel of
 * these views; its head `image` gives the clean views themselves, of which a reconstructor
 * (model/reconstructor.h) makes the object, as in Turbo3D (Hu et al., 2024).
 *
 * Rectified flow with x-prediction (Liu et al., "Flow Straight and Fast", 2022; Li and He, "Back to
 * Basics: Let Denoising Generative Models Denoise", 2025): z = t x + (1 - t) e with noise e, so t =
 * 0 is noise. With Gaussians x is what the cameras see of them, so the views agree by construction.
 * Blocks are pre-norm with RMS norm, queries and keys normed by head, adaptive gains shared by all
 * blocks (a table tells them apart: Chen et al., "PixArt-alpha", 2023, section 2.3) and no biases.
 * Rays enter as Pluecker coordinates and Gaussians lie on the rays of their pixels, with the
 * activations of GS-LRM (Zhang et al., 2024, section 3.3).
 *
 * Text is in-context: its tokens stand before those of the views. They are rows of a table that is
 * learned with the model (n_encoders 0), or token features of one or two frozen networks
 * (net/encoder.h), each with a matrix to the width, a vector that says whose they are and positions
 * of its own; then one learned token, first in the sequence, stands for no text. Which of them are
 * there is said by a mask over keys, so a short text costs no other numbers than a long one. */
#ifndef T3D_MODEL_GENERATOR_H
#define T3D_MODEL_GENERATOR_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/hash.h"
#include "geom/camera.h"
#include "num/graph.h"
#include "store/tensor.h"

enum {
    T3D_GENERATOR_VIEWS = 4, /* of the input: azimuths 0, 90, 180, 270 of ring16+4 */
    T3D_GAUSSIAN_RAW = 12,   /* numbers of the head a Gaussian: rgb, scale, quaternion, opacity,
                                depth */
    T3D_GENERATOR_NULL = 1,  /* one more row in the table of tokens: no text */
    T3D_GENERATOR_ENCODERS = 2
};

enum t3d_generator_head { T3D_HEAD_GAUSS, T3D_HEAD_IMAGE };

/* A frozen network whose token features are the text: which one, exactly. */
struct t3d_generator_encoder {
    char name[129], family[16], layout[32];                  /* net/encoder.h */
    char weights[T3D_SHA256_HEX], tokenizer[T3D_SHA256_HEX]; /* hashes in hex */
    int width;                                               /* of a token's features */
    int tokens;                                              /* longest text */
};

struct t3d_generator_config {
    const char *size; /* its name */
    int width, layers, heads;
    int side, patch; /* of a view, pixels */
    int text_tokens; /* longest text (of each encoder) */
    int vocab;       /* tokens; T3D_GENERATOR_NULL more rows are made; 0 with encoders */
    enum t3d_generator_head head;
    int n_encoders; /* 0 = the text's tokens are learned with the model */
    struct t3d_generator_encoder encoder[T3D_GENERATOR_ENCODERS];
};

/* "nano", "small", "base" or "large", or NULL. vocab is filled in by the caller. */
const struct t3d_generator_config *t3d_generator_size(const char *name);
extern const char t3d_generator_sizes[]; /* their names, space-separated */
/* "gauss" or "image"; T3D_HEAD_..., or -1. */
extern const char *const t3d_generator_head_name[2];
int t3d_generator_head(const char *name);
int64_t t3d_generator_params(const struct t3d_generator_config *c);
int t3d_generator_text(const struct t3d_generator_config *c);      /* tokens before the views */
int t3d_generator_tokens(const struct t3d_generator_config *c);    /* of the views */
int t3d_generator_gaussians(const struct t3d_generator_config *c); /* one a pixel */

/* The input views' numbers in ring16+4. */
extern const int t3d_generator_view[T3D_GENERATOR_VIEWS];

struct t3d_generator {
    struct t3d_ref noisy; /* (B, tokens, 3 patch^2): z in [-1, 1], a patch as (patch, patch, 3) */
    struct t3d_ref time;  /* (B) */
    struct t3d_ref ids;   /* (B, text_tokens) integers; vocab = the null token. With encoders
                             (B, 1), always 0 */
    struct t3d_ref seen;  /* (B, text + tokens) integers: 0 = padding of the text; with encoders
                             the first of them is the null token */
    struct t3d_ref features[T3D_GENERATOR_ENCODERS]; /* (B, tokens, width), else T3D_NONE */
    struct t3d_ref ray;    /* (1, gaussians, 6): o x d, d; the order of noisy's pixels */
    struct t3d_ref origin; /* (1, gaussians, 3) */
    /* what it makes (B, gaussians, .), kept: as draw/splat.h takes them */
    struct t3d_ref xyz, log_scale, quaternion, opacity, rgb;
    /* instead, with the head image: the clean views (B, tokens, 3 patch^2) as noisy, kept */
    struct t3d_ref clean;
};

/* Into g, which is not built yet. */
struct t3d_generator t3d_generator_build(struct t3d_graph *g, const struct t3d_generator_config *c,
                                         int batch);
/* What is the same in every run: rays, origins, and the view tokens of seen. For a built graph. */
int t3d_generator_prepare(struct t3d_graph *g, const struct t3d_generator *m,
                          const struct t3d_generator_config *c, int batch,
                          struct t3d_err *err) T3D_MUST_CHECK;
/* Initial weights of a built graph; each parameter has its own stream of the seed. */
void t3d_generator_init(struct t3d_graph *g, uint64_t seed);

/* The pixel of an input view that is number i of a sample: view, row, column. */
struct t3d_generator_pixel {
    int view, y, x;
};
struct t3d_generator_pixel t3d_generator_pixel(const struct t3d_generator_config *c, int i);

/* Tells apart what tokens of the text mean: over the hashes of all encoders. */
int t3d_generator_text_hash(const struct t3d_generator_config *c, char hash[T3D_SHA256_HEX],
                            struct t3d_err *err) T3D_MUST_CHECK;
/* DIR/config.json, with the hash of what the text's tokens mean (the tokenizer's, or the above)
 * and, NULL = none, of the reconstructor. */
cJSON *t3d_generator_json(const struct t3d_generator_config *c, const char *text_hash,
                          const char *reconstructor_hash);
/* T3D_SKIP "bad-config" names the field. size is borrowed from the table of sizes. */
int t3d_generator_from_json(struct t3d_generator_config *c, const cJSON *json,
                            struct t3d_err *err) T3D_MUST_CHECK;

#endif
