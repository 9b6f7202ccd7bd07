/* SPDX-License-Identifier: Apache-2.0 */
/* net/lpips_impl.h -- the networks as tables, their graphs, and the operation at each depth. */
#ifndef T3D_NET_LPIPS_IMPL_H
#define T3D_NET_LPIPS_IMPL_H

#include "net/lpips.h"
#include "net/weights_impl.h"
#include "num/graph.h"

enum t3di_lpips_kind {
    T3DI_LPIPS_END,
    T3DI_LPIPS_CONV, /* with ReLU */
    T3DI_LPIPS_POOL, /* maximum, without padding */
    T3DI_LPIPS_FIRE, /* 1x1 to `kernel` channels, then 1x1 and 3x3 to half of `out` each */
    T3DI_LPIPS_TAP   /* features are compared here */
};

struct t3di_lpips_layer {
    enum t3di_lpips_kind kind;
    int index; /* "features.INDEX" */
    int in, out, kernel, stride, pad;
};

enum { T3DI_LPIPS_MAX_TAPS = 7, T3DI_LPIPS_MAX_CONVS = 26, T3DI_LPIPS_GRAPHS = 6 };

struct t3di_lpips_net {
    const struct t3di_lpips_layer *layer;
    int ceil_mode; /* of the pools */
    int align;     /* rows at which a band may begin: the product of all strides */
    int halo;      /* rows beyond a band that its features depend on, in multiples of align */
    const char *catalogue; /* store/weights.h */
};
extern const struct t3di_lpips_net t3di_lpips_net[T3D_LPIPS_NETS];

/* The network for `pairs` pairs of height x width. Of the rows of its input the first `above` and
 * the last `below` are there for what they say about their neighbours. */
struct t3di_lpips_graph {
    struct t3d_graph *g;
    struct t3d_ref input; /* (2 pairs, height, width, 3): a and b in turn */
    struct t3d_ref tap[T3DI_LPIPS_MAX_TAPS];
    int64_t pairs, height, width, above, below;
    size_t bytes;
    uint64_t used; /* when, for making room */
};

struct t3d_lpips {
    struct t3d_lpips_info info;
    const struct t3di_lpips_net *net;
    int threads, n_taps;
    size_t memory;
    struct t3di_weights backbone, heads;
    struct t3d_pool *pool;
    const float *weight[T3DI_LPIPS_MAX_CONVS], *bias[T3DI_LPIPS_MAX_CONVS];
    const float *head[T3DI_LPIPS_MAX_TAPS];
    struct t3di_lpips_graph graph[T3DI_LPIPS_GRAPHS];
    uint64_t runs;
};

/* The convolutions of a layer in the order of their tensors: 1, or 3 of a fire module. */
struct t3di_lpips_conv {
    char name[32]; /* "features.3.squeeze" */
    int in, out, kernel;
};
int t3di_lpips_convs(const struct t3di_lpips_layer *layer, struct t3di_lpips_conv c[3]);

/* Borrowed; made when there is none of that shape, in the place of those used least recently where
 * memory would pass the limit. And the bytes that one takes. */
int t3di_lpips_graph(struct t3di_lpips_graph **out, struct t3d_lpips *l,
                     const struct t3di_lpips_graph *want, struct t3d_err *err) T3D_MUST_CHECK;
int t3di_lpips_bytes(size_t *bytes, const struct t3d_lpips *l, const struct t3di_lpips_graph *want,
                     struct t3d_err *err) T3D_MUST_CHECK;

/* Rows of the features at a depth for a picture of that height, below 1 when it is too small; and
 * input rows to a row there: feature row i of a part of a picture that begins at a multiple of
 * align is row i + begin / stride of the whole. */
int64_t t3di_lpips_rows(const struct t3di_lpips_net *net, int tap, int64_t height);
int64_t t3di_lpips_stride(const struct t3di_lpips_net *net, int tap);

/* x (2 B, H, W, C), head (C) -> (B, rules): the mean over the pixels of rows [first, last). C is a
 * multiple of 16. */
struct t3di_lpips_tap {
    int64_t first, last;
};
extern const struct t3d_op t3di_lpips_op;
/* x, y (N, H, W, C), head (C) -> (N): the mean over the pixels by the rule of torchmetrics, with a
 * gradient for x alone. C is a multiple of 16. */
extern const struct t3d_op t3di_lpips_distance_op;

/* Sums over n pixels, both rules, of the weighted squared difference. */
struct t3di_lpips_kernel {
    void (*pixels)(double sum[T3D_LPIPS_RULES], const float *a, const float *b, const float *head,
                   int64_t n, int64_t channels);
};
extern const struct t3di_lpips_kernel t3di_lpips_portable, t3di_lpips_avx2, t3di_lpips_avx512;

#endif
