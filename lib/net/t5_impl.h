/* SPDX-License-Identifier: Apache-2.0 */
/* net/t5_impl.h -- configuration and weights of a T5 encoder, shared by the files that read them
 * and the one that runs them. */
#ifndef T3D_NET_T5_IMPL_H
#define T3D_NET_T5_IMPL_H

#include "net/t5.h"
#include "num/ops.h"
#include "store/safetensors.h"

enum { T3DI_T5_PATH = 4096 };

/* config.json of transformers (models/t5/configuration_t5.py); absent keys have its defaults. */
struct t3di_t5_config {
    int vocab, width, head_width, heads, layers, hidden; /* vocab_size d_model d_kv ... d_ff */
    int gated;                                           /* v1.1: wi_0 and wi_1 */
    enum t3d_act act;
    double eps;
    int buckets, max_distance;
    int positions; /* n_positions, 0 = not stated: the length the model was trained at */
};

int t3di_t5_config_read(struct t3di_t5_config *c, const char *path,
                        struct t3d_err *err) T3D_MUST_CHECK;

/* The bucket of key minus query (models/t5/modeling_t5.py, _relative_position_bucket,
 * bidirectional), 0 .. buckets - 1. */
int t3di_t5_bucket(const struct t3di_t5_config *c, int64_t distance);

struct t3di_t5_block {
    const float *norm1, *qkv, *out; /* (D) (3 H, D) (D, H), H = heads head_width */
    const float *norm2, *in, *gate; /* (D) (F, D); gate (F, D) is wi_1, NULL without gate */
    const float *down;              /* (D, F) */
};

struct t3di_t5_weights {
    struct t3d_safetensors file;
    struct t3d_arena arena;      /* what could not stay in the file */
    const float *table, *last;   /* (V, D), final_layer_norm (D) */
    const float *bias;           /* (buckets, heads) */
    struct t3di_t5_block *block; /* (layers) */
    size_t bytes;                /* of the encoder's tensors as stored */
};

/* Every expected tensor with its shape, finite; others are refused, but for a decoder's. close is
 * safe on a zeroed one and after a failure. */
int t3di_t5_weights_open(struct t3di_t5_weights *w, const struct t3di_t5_config *c, const char *dir,
                         struct t3d_err *err) T3D_MUST_CHECK;
void t3di_t5_weights_close(struct t3di_t5_weights *w);

#endif
