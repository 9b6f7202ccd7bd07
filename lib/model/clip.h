/* SPDX-License-Identifier: Apache-2.0 */
/* model/clip.h -- a CLIP that we train (Radford et al., "Learning Transferable Visual Models From
 * Natural Language Supervision", 2021), the mathematics and names of transformers' CLIPModel:
 * pre-LN blocks, QuickGELU, class token, causal text, the end token's row pooled.
 *
 * t3d_clip_build puts it into a graph; parameters have the names and shapes of the file. The last
 * block of each tower computes only the row that is pooled: the same numbers for less work. */
#ifndef T3D_MODEL_CLIP_H
#define T3D_MODEL_CLIP_H

#include <stdint.h>

#include "num/graph.h"
#include "store/tensor.h"

struct t3d_tower {
    int width, layers, heads, mlp; /* mlp: hidden units */
};

struct t3d_clip_config {
    int image_size, patch;
    struct t3d_tower vision, text;
    int vocab, context; /* tokens (of a size: at most); longest text */
    int embed;          /* width of the common space */
};

/* "nano". NULL for other names. */
const struct t3d_clip_config *t3d_clip_size(const char *name);
int64_t t3d_clip_params(const struct t3d_clip_config *c);

struct t3d_clip {
    struct t3d_ref pixels;                /* (B, 3, S, S), normalised */
    struct t3d_ref ids;                   /* (B, T) integers: start, text, end, then end again */
    struct t3d_ref seen;                  /* (B, T) integers: 1 up to the end token, 0 behind it */
    struct t3d_ref end;                   /* (B, 1) integers: place of the end token */
    struct t3d_ref first;                 /* (B, 1) integers: zeros, the place of the class token */
    struct t3d_ref image_rows, text_rows; /* (B, E) of length 1 */
    struct t3d_ref log_scale, loss;
};

/* Into g, which is not built yet: batch pairs of a picture and a text of at most `tokens` tokens.
 * image_rows, text_rows and loss are kept. */
struct t3d_clip t3d_clip_build(struct t3d_graph *g, const struct t3d_clip_config *c, int batch,
                               int tokens);

/* Initial weights of a built graph: normal, with the deviations of openai/CLIP's
 * initialize_parameters. Each parameter has its own stream of the seed. */
void t3d_clip_init(struct t3d_graph *g, const struct t3d_clip_config *c, uint64_t seed);

/* The scale of the logits stays at most 100, as in the paper. */
void t3d_clip_clamp_scale(struct t3d_graph *g, struct t3d_ref log_scale);

/* Write DIR as transformers saves a CLIP: config.json, model.safetensors (type F32 or F16),
 * preprocessor_config.json, tokenizer_config.json, special_tokens_map.json. vocab.json and
 * merges.txt are there already. */
int t3d_clip_save(const char *dir, struct t3d_graph *g, const struct t3d_clip_config *c,
                  enum t3d_tensor_type type, struct t3d_err *err) T3D_MUST_CHECK;

/* Mean and deviation of the pixels: CLIP's own. */
extern const double t3d_clip_mean[3], t3d_clip_std[3];

#endif
