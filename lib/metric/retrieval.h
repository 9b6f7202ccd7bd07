/* SPDX-License-Identifier: Apache-2.0 */
/* metric/retrieval.h -- how well a CLIP tells the combinations of the primitives world apart.
 *
 * The pool is the world's whole core: 930 combinations of colours, shapes and "A on B", each with
 * its canonical caption and the canonical scene's pictures. Queries are the held-out combinations
 * (split test of geom/primitives.h), which nothing is ever trained on. Image to text: a picture's
 * nearest of the 930 canonical captions. Text to image: for each view, the nearest of the 930
 * pictures from there to each caption that the scene comes with (canonical one and paraphrases).
 * Nearest = largest cosine; R@1 is the share that finds its own combination.
 *
 * A wrong answer is sorted by what it mistakes: only colours, only shapes, the order ("B on A"), or
 * more. */
#ifndef T3D_METRIC_RETRIEVAL_H
#define T3D_METRIC_RETRIEVAL_H

#include <stddef.h>
#include <stdint.h>

#include "net/encoder.h"

struct t3d_retrieval_config {
    const char *view_set; /* NULL = "ring:4": views 0, 4, 8 and 12 of ring16+4 */
    int threads;
};

enum t3d_mistake {
    T3D_MISTAKE_COLOR,
    T3D_MISTAKE_SHAPE,
    T3D_MISTAKE_ORDER,
    T3D_MISTAKE_OTHER,
    T3D_MISTAKES
};
extern const char *const t3d_mistake_name[T3D_MISTAKES];

struct t3d_retrieval_side {
    uint64_t queries, hits, mistakes[T3D_MISTAKES];
};

struct t3d_retrieval {
    size_t pool, held_out, views;
    struct t3d_retrieval_side image_to_text, text_to_image;           /* held-out combinations */
    struct t3d_retrieval_side seen_image_to_text, seen_text_to_image; /* those of split train */
};

/* T3D_USAGE when the encoder takes no pictures or no texts; T3D_END when a stop was requested. */
int t3d_retrieval(struct t3d_retrieval *out, struct t3d_encoder *e,
                  const struct t3d_retrieval_config *c, struct t3d_err *err) T3D_MUST_CHECK;

/* Mistake of answering `got` for `want`, two different core combinations. */
enum t3d_mistake t3d_retrieval_mistake(uint32_t want, uint32_t got);

#endif
