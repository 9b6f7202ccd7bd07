/* SPDX-License-Identifier: Apache-2.0 */
/* metric/caption_accuracy.h -- does a generator make what the caption says?
 *
 * The answer to a made object is the candidate (metric/caption_pool.h) that it looks most like; it
 * is right when it is the scene that the caption was of. Parts are counted besides: of the parts
 * that the caption names, how many of the answer's parts in the same place have that colour, and
 * that shape. Beside it, as a second opinion and never a gate, a CLIP's: the caption nearest to the
 * object's views.
 *
 * The same is asked of the world itself, whose scenes vary in what their captions leave open: what
 * it scores is the most that can be asked for. */
#ifndef T3D_METRIC_CAPTION_ACCURACY_H
#define T3D_METRIC_CAPTION_ACCURACY_H

#include "metric/caption_pool.h"

struct t3d_caption_clip;
struct t3d_encoder;

/* --- counting -------------------------------------------------------------------------------- */

struct t3d_caption_tally {
    uint64_t n, right;
    uint64_t canonical, canonical_right; /* those whose text was the canonical caption */
    uint64_t parts, colors, shapes;
    uint64_t with_parts[3], with_parts_right[3]; /* of scenes of 1, 2, 3 parts */
    uint64_t clip_right; /* the CLIP's answers; counted where there is one */
};

void t3d_caption_count(struct t3d_caption_tally *t, const struct t3d_primitives_set *set,
                       uint32_t want, uint32_t got, int canonical);

/* The lower end of the interval of k right out of n by Wilson's score at z (1.96: 95 %, two-sided;
 * Wilson, "Probable Inference", 1927). 0 for n = 0. */
double t3d_wilson_lower(uint64_t k, uint64_t n, double z);

/* --- asking a generator ---------------------------------------------------------------------- */

struct t3d_caption_query {
    uint32_t candidate;
    int number;       /* of its captions; 0 = the canonical one */
    const char *text; /* borrowed while the call lasts */
    uint64_t seed;
};

/* Who makes the objects: run n <= batch of them, then borrow each. */
struct t3d_caption_maker {
    void *ctx;
    int batch;
    int (*run)(void *ctx, const struct t3d_caption_query *q, int n, struct t3d_err *err);
    void (*object)(void *ctx, int i, struct t3d_gaussians *g);
};

struct t3d_caption_questions {
    uint32_t first;    /* only the first so many candidates; T3D_CORE_KINDS: the lone parts */
    const char *split; /* of these "train", "val" or "test", which is held out; or "all" */
    size_t count;      /* objects */
    uint64_t seed;
    struct t3d_caption_clip *clip; /* NULL = is not asked */
};

/* The candidates in turn, each time round with the next of their captions and another seed. m NULL:
 * of the world itself, whose variant seed + 1 stands for what a seed makes. seconds: time spent in
 * run. T3D_END when a stop was requested. */
int t3d_caption_accuracy(struct t3d_caption_tally *out, double *seconds,
                         const struct t3d_caption_pool *p, const struct t3d_caption_maker *m,
                         const struct t3d_caption_questions *what,
                         struct t3d_err *err) T3D_MUST_CHECK;

/* How much objects of one caption differ: over the first n_captions of the questions' split the
 * mean, over pairs of n_seeds seeds the mean, of the root mean square difference of their pictures,
 * of 0 (all are alike) to 1. what->count and clip are not looked at. T3D_END as above. */
int t3d_caption_diversity(double *out, const struct t3d_caption_pool *p,
                          const struct t3d_caption_maker *m,
                          const struct t3d_caption_questions *what, size_t n_captions,
                          size_t n_seeds, struct t3d_err *err) T3D_MUST_CHECK;

/* --- a CLIP's opinion ------------------------------------------------------------------------ */

/* Rows of the candidates' canonical captions. The encoder takes texts and pictures, and stays the
 * caller's. */
int t3d_caption_clip_new(struct t3d_caption_clip **out, struct t3d_encoder *e,
                         const struct t3d_caption_pool *p, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_caption_clip_free(struct t3d_caption_clip *c);
/* The candidate whose caption's row is nearest to the mean of the views' rows. */
int t3d_caption_clip_nearest(struct t3d_caption_clip *c, const uint8_t *picture, uint32_t *found,
                             struct t3d_err *err) T3D_MUST_CHECK;

#endif
