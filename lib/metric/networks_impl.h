/* SPDX-License-Identifier: Apache-2.0 */
#ifndef T3D_METRIC_NETWORKS_IMPL_H
#define T3D_METRIC_NETWORKS_IMPL_H

#include "metric/caption_accuracy.h"
#include "metric/networks.h"
#include "net/encoder.h"
#include "net/lpips.h"

enum {
    T3DI_CAPTION_SIDE = 64 /* of the pictures in which caption-accuracy looks for the answer */
};

struct t3d_networks {
    struct t3d_networks_options options;
    struct t3d_arena arena;
    struct t3d_lpips *lpips[T3D_LPIPS_NETS];
    struct t3d_encoder *clip;
    const char *clip_name;
    struct t3d_err failed[T3D_NETWORKS]; /* code T3D_OK = it did not */
    /* texts: distinct captions of items and pool, sorted */
    const char **text;
    size_t n_texts, width;
    int ranks;             /* the pool matters */
    float *row, *prefixed; /* (n_texts, width); prefixed with "A photo depicts " */
    int64_t *item;         /* text of each item, -1 = none */
    int *combination;      /* of each item, T3D_NOT_CORE = another caption */
    size_t n_items;
    char pool_name[48], pool_hash[65];
    struct t3d_caption_pool *core;
};

/* --- networks_clip.c --- */

/* Rows of the texts, each once, and of the prefixed ones where the choice wants them. */
int t3di_networks_embed_texts(struct t3d_networks *n, int prefixed, struct t3d_err *err);
/* clip-score, r-precision and view-consistency:opposite. */
int t3di_networks_clip(struct t3d_networks *n, struct t3d_pair_result *out,
                       const struct t3d_metric_choice *choice, const struct t3d_pictures *p,
                       size_t item, const char *what, struct t3d_err *err);

#endif
