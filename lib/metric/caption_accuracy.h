/* SPDX-License-Identifier: Apache-2.0 */
/* metric/caption_accuracy.h -- does a generator make what the caption says?
 *
 * The candidates are the 930 combinations of the core of the primitives world (geom/primitives.h):
 * their canonical scenes, drawn from the four input views of a generator at its resolution, over
 * white. A made object is drawn from the same cameras; the candidate with the least sum of squared
 * differences is the answer, and it is right when it is the combination that the caption was of.
 * No network judges, so none can be fooled.
 *
 * Parts are counted besides: of the parts that the caption names, how many of the answer's parts in
 * the same place have that colour, and that shape. */
#ifndef T3D_METRIC_CAPTION_ACCURACY_H
#define T3D_METRIC_CAPTION_ACCURACY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "geom/gaussians.h"
#include "geom/scene.h"

/* --- the candidates -------------------------------------------------------------------------- */

struct t3d_caption_pool;

/* side: of the pictures, pixels. */
int t3d_caption_pool_new(struct t3d_caption_pool **out, int side, int threads,
                         struct t3d_err *err) T3D_MUST_CHECK;
void t3d_caption_pool_free(struct t3d_caption_pool *p);

size_t t3d_caption_pool_bytes(const struct t3d_caption_pool *p); /* of one candidate's pictures */
/* (4 views, side, side, RGB) over white; borrowed. */
const uint8_t *t3d_caption_pool_picture(const struct t3d_caption_pool *p, uint32_t combination);
/* The candidate nearest to these pictures; of equal ones the first. */
uint32_t t3d_caption_pool_nearest(const struct t3d_caption_pool *p, const uint8_t *picture);
/* The pictures of an object made of Gaussians. */
int t3d_caption_pool_draw(const struct t3d_caption_pool *p, const struct t3d_gaussians *g,
                          uint8_t *picture, struct t3d_err *err) T3D_MUST_CHECK;
/* Those of a mesh, normalised as the candidates are; read with T3D_READ_PIXELS. */
int t3d_caption_pool_paint(const struct t3d_caption_pool *p, const struct t3d_scene *scene,
                           uint8_t *picture, struct t3d_err *err) T3D_MUST_CHECK;

/* --- counting -------------------------------------------------------------------------------- */

struct t3d_caption_tally {
    uint64_t n, right;
    uint64_t canonical, canonical_right; /* those whose text was the canonical caption */
    uint64_t parts, colors, shapes;
    double difference; /* sum over pairs of the root mean square difference, of 0 to 1 */
    uint64_t pairs;    /* objects of one combination, of other seeds */
};

void t3d_caption_count(struct t3d_caption_tally *t, uint32_t want, uint32_t got, int canonical);

/* The lower end of the interval of k right out of n by Wilson's score at z (1.96: 95 %, two-sided;
 * Wilson, "Probable Inference", 1927). 0 for n = 0. */
double t3d_wilson_lower(uint64_t k, uint64_t n, double z);

/* --- asking a generator ---------------------------------------------------------------------- */

struct t3d_caption_query {
    uint32_t combination;
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
    uint32_t world;    /* the first so many combinations; T3D_CORE_KINDS: the lone parts */
    const char *split; /* of these "train", "val" or "test", which is held out; or "all" */
    size_t count;      /* objects */
    uint64_t seed;
};

/* The combinations in turn, each time round with the next of their captions and another seed.
 * seconds: time spent in run. T3D_END when a stop was requested. */
int t3d_caption_accuracy(struct t3d_caption_tally *out, double *seconds,
                         const struct t3d_caption_pool *p, const struct t3d_caption_maker *m,
                         const struct t3d_caption_questions *what,
                         struct t3d_err *err) T3D_MUST_CHECK;

#endif
