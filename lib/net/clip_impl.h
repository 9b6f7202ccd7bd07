/* SPDX-License-Identifier: Apache-2.0 */
/* net/clip_impl.h -- CLIP (Radford et al., "Learning Transferable Visual Models From Natural
 * Language Supervision", 2021): what the configuration says, the weights, the graphs.
 *
 * B pictures or texts, T tokens, D width of a tower, E width of a row. */
#ifndef T3D_NET_CLIP_IMPL_H
#define T3D_NET_CLIP_IMPL_H

#include "net/encoder_impl.h"
#include "net/preprocess.h"
#include "net/weights_impl.h"
#include "num/ops.h"

enum t3di_clip_layout { T3DI_TRANSFORMERS, T3DI_OPEN_CLIP };

struct t3di_clip_tower {
    int present, projects;
    int64_t width, layers, heads, mlp, tokens; /* tokens: with the class token; longest text */
    double eps;
    enum t3d_act act;
};

struct t3di_clip_config {
    enum t3di_clip_layout layout;
    struct t3di_clip_tower image, text;
    int64_t embed, image_size, patch, vocab;
    int64_t eos; /* the pooled token is the first with this id; -1 = that of the largest id */
    struct t3d_preprocess preprocess;
    int has_preprocess;
};

/* Is it transformers' layout? Repositories that hold both go by whose weights are there. */
int t3di_clip_is_transformers(const struct t3di_folder *f);

/* From config.json, with preprocessor_config.json or processor_config.json beside it, or from
 * open_clip_config.json. recipe as in the options. T3D_SKIP "bad-config", "unsupported-model". */
int t3di_clip_configure(struct t3di_clip_config *c, struct t3d_encoder *e,
                        const struct t3di_folder *f, struct t3d_err *err);

struct t3di_clip_block {
    const float *norm1_w, *norm1_b, *q_w, *q_b, *k_w, *k_b, *v_w, *v_b, *out_w, *out_b;
    const float *norm2_w, *norm2_b, *up_w, *up_b, *down_w, *down_b;
};

struct t3di_clip_weights {
    struct t3di_clip_block *block; /* (layers) */
    const float *norm_w, *norm_b;  /* the last */
    const float *projection;       /* (E, D), or NULL */
    const float *position;         /* image: of the patches, (T - 1, D); text: (T, D) */
    const float *patch, *first;    /* image: (D, 3 p p); class token + its position, (batch, D) */
    const float *pre_w, *pre_b;
    const float *table; /* text: (vocab, D) */
};

enum t3di_clip_kind { T3DI_CLIP_IMAGE, T3DI_CLIP_TEXT, T3DI_CLIP_FEATURES };

/* One built graph. */
struct t3di_clip_graph {
    struct t3d_graph *g;
    enum t3di_clip_kind kind;
    int64_t batch, length;
    struct t3d_ref input, end, mask, rows, features;
    uint64_t used; /* time of the last use */
};

enum { T3DI_CLIP_GRAPHS = 24 };

struct t3di_clip {
    struct t3di_clip_config config;
    struct t3di_weights weights;
    struct t3di_clip_weights image, text;
    struct t3d_clip_tokenizer *tokenizer;
    struct t3d_pool *pool; /* of packed weights */
    int64_t max_batch;     /* of pictures */
    struct t3di_clip_graph graph[T3DI_CLIP_GRAPHS];
    uint64_t clock;
};

int t3di_clip_load(struct t3di_clip *clip, const char *dir, int threads, struct t3d_err *err);

/* The graph of this kind and shape, built when it is new; the one not used for longest gives way.
 */
int t3di_clip_graph(struct t3di_clip_graph **out, struct t3d_encoder *e, enum t3di_clip_kind kind,
                    int64_t batch, int64_t length, struct t3d_err *err);

#endif
