/* SPDX-License-Identifier: Apache-2.0 */
/* net/t5_impl.h -- the T5 encoder (Raffel et al., "Exploring the Limits of Transfer Learning with a
 * Unified Text-to-Text Transformer", 2020), v1.0 (ReLU) and v1.1 (gated GELU; FLAN-T5 too): what
 * its files share. */
#ifndef T3D_NET_T5_IMPL_H
#define T3D_NET_T5_IMPL_H

#include "net/encoder_impl.h"
#include "net/tokenize_unigram.h"
#include "net/weights_impl.h"
#include "num/ops.h"

enum {
    T3DI_T5_GRAPHS = 8,    /* kept at a time */
    T3DI_T5_TRAINED = 512, /* tokens: n_positions of every published T5 */
    T3DI_T5_LONGEST = 2048 /* the position bias of a text is (heads, T, T) */
};

/* config.json of transformers (models/t5/configuration_t5.py); absent keys have its defaults. */
struct t3di_t5_config {
    int vocab, width, head_width, heads, layers, hidden; /* vocab_size d_model d_kv ... d_ff */
    int gated;                                           /* v1.1: wi_0 and wi_1 */
    enum t3d_act act;
    double eps;
    int buckets, max_distance;
    int positions; /* n_positions, 0 = not stated */
};

/* path is for messages. */
int t3di_t5_configure(struct t3di_t5_config *c, const cJSON *json, const char *path,
                      struct t3d_err *err) T3D_MUST_CHECK;

/* The bucket of key minus query (models/t5/modeling_t5.py, _relative_position_bucket,
 * bidirectional), 0 .. buckets - 1. */
int t3di_t5_bucket(const struct t3di_t5_config *c, int64_t distance);

struct t3di_t5_block {
    const float *norm1, *q, *k, *v, *out; /* (D) 3 times (H, D) (D, H), H = heads head_width */
    const float *norm2, *in, *gate;       /* (D) (F, D); gate (F, D) is wi_1, NULL without gate */
    const float *down;                    /* (D, F) */
};

/* A batch of texts of one length, padded, under a key mask. */
struct t3di_t5_graph {
    struct t3d_graph *g;
    int batch, tokens;
    uint64_t last_use;
    float *bias;                   /* (heads, T, T) */
    struct t3d_ref ids, mask, out; /* (B, T), (B, T), (B, T, D) */
};

struct t3di_t5 {
    struct t3di_t5_config config;
    struct t3di_weights weights;
    const float *table, *last;   /* (V, D), final_layer_norm (D) */
    const float *bias;           /* (buckets, heads) */
    struct t3di_t5_block *block; /* (layers) */
    struct t3d_arena arena;
    struct t3d_unigram_tokenizer *tokenizer; /* NULL = none */
    struct t3d_pool *pool;
    struct t3di_t5_graph graph[T3DI_T5_GRAPHS];
    uint64_t clock;
    int longest; /* tokens of a text at most */
};

/* Every expected tensor with its shape, finite; others are refused, but for a decoder's. */
int t3di_t5_load(struct t3di_t5 *t, const char *dir, int threads,
                 struct t3d_err *err) T3D_MUST_CHECK;
/* The graph of this shape; the one not used for the longest time makes room. */
int t3di_t5_find_graph(struct t3di_t5_graph **out, struct t3d_encoder *e, int batch, int tokens,
                       struct t3d_err *err) T3D_MUST_CHECK;
void t3di_t5_graph_fini(struct t3di_t5_graph *n);

#endif
