/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/caption_accuracy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/defs.h"
#include "base/tool.h"

/* --- counting -------------------------------------------------------------------------------- */

void t3d_caption_count(struct t3d_caption_tally *t, const struct t3d_primitives_set *set,
                       uint32_t want, uint32_t got, int canonical)
{
    struct t3d_primitives_words a, b;

    t3d_primitives_set_words(set, want, &a);
    t3d_primitives_set_words(set, got, &b);
    t->n++;
    t->right += want == got;
    t->canonical += canonical != 0;
    t->canonical_right += canonical && want == got;
    t->with_parts[a.n_parts - 1]++;
    t->with_parts_right[a.n_parts - 1] += want == got;
    t->parts += (uint64_t)a.n_parts;
    for (int i = 0; i < T3D_MIN(a.n_parts, b.n_parts); i++) {
        t->colors += a.color[i] == b.color[i];
        t->shapes += a.shape[i] == b.shape[i];
    }
}

double t3d_wilson_lower(uint64_t k, uint64_t n, double z)
{
    double m = (double)n, p = n ? (double)k / m : 0, z2 = z * z;

    if (!n)
        return 0;
    return fmax(0,
                (p + z2 / (2 * m) - z * sqrt(p * (1 - p) / m + z2 / (4 * m * m))) / (1 + z2 / m));
}

/* --- asking a generator ---------------------------------------------------------------------- */

struct asking {
    const struct t3d_caption_pool *pool;
    const struct t3d_caption_maker *maker; /* NULL = the world itself */
    struct t3d_caption_query *query;       /* (count) */
    uint8_t *picture;                      /* (count, bytes) */
    uint32_t *id;                          /* (n_ids) candidates of the split */
    size_t n_ids, count;
    double seconds;
};

static int begin(struct asking *k, const struct t3d_caption_questions *what, struct t3d_err *err)
{
    const struct t3d_primitives_set *set = t3d_caption_pool_set(k->pool);
    uint32_t n = T3D_MIN(what->first, t3d_primitives_set_count(set));

    k->query = calloc(k->count + 1, sizeof *k->query);
    k->picture = malloc(k->count * t3d_caption_pool_bytes(k->pool) + 1);
    k->id = malloc((n + 1) * sizeof *k->id);
    if (!k->query || !k->picture || !k->id)
        return t3d_err_nomem(err, "the pictures");
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(what->split, "all") == 0 ||
            strcmp(t3d_primitives_set_words(set, i, NULL)->split, what->split) == 0)
            k->id[k->n_ids++] = i;
    if (!k->n_ids)
        return t3d_err_set(err, T3D_USAGE, "usage", "split '%s' has no captions in this world",
                           what->split);
    return T3D_OK;
}

static void end(struct asking *k)
{
    free(k->query);
    free(k->picture);
    free(k->id);
}

static struct t3d_caption_query query_of(const struct asking *k, uint32_t candidate, size_t number,
                                         uint64_t seed)
{
    const struct t3d_primitive_object *o =
        t3d_primitives_set_words(t3d_caption_pool_set(k->pool), candidate, NULL);
    size_t at = number % o->n_captions;

    return (struct t3d_caption_query){candidate, (int)at, o->caption[at], seed};
}

static int paint_world(struct asking *k, struct t3d_err *err)
{
    uint32_t *candidate = malloc((k->count + 1) * sizeof *candidate);
    uint64_t *variant = malloc((k->count + 1) * sizeof *variant);
    int r = candidate && variant ? T3D_OK : t3d_err_nomem(err, "the scenes");

    for (size_t i = 0; i < k->count && r == T3D_OK; i++) {
        candidate[i] = k->query[i].candidate;
        variant[i] = k->query[i].seed + 1;
    }
    if (r == T3D_OK)
        r = t3d_caption_pool_variants(k->pool, candidate, variant, k->count, k->picture, err);
    free(candidate);
    free(variant);
    return r;
}

/* The pictures of all queries. */
static int ask(struct asking *k, struct t3d_err *err)
{
    size_t bytes = t3d_caption_pool_bytes(k->pool);
    int r = T3D_OK;

    if (!k->maker)
        return paint_world(k, err);
    for (size_t i = 0; i < k->count && r == T3D_OK; i += (size_t)k->maker->batch) {
        int n = (int)T3D_MIN((size_t)k->maker->batch, k->count - i);
        double start = t3d_clock_s();

        if (t3d_stop_requested())
            return T3D_END;
        r = k->maker->run(k->maker->ctx, k->query + i, n, err);
        k->seconds += t3d_clock_s() - start;
        for (int j = 0; j < n && r == T3D_OK; j++) {
            struct t3d_gaussians g;

            k->maker->object(k->maker->ctx, j, &g);
            r = t3d_caption_pool_draw(k->pool, &g, k->picture + (i + (size_t)j) * bytes, err);
        }
    }
    return r;
}

static int judge(const struct asking *k, size_t i, struct t3d_caption_tally *t,
                 struct t3d_caption_clip *clip, struct t3d_err *err)
{
    const struct t3d_caption_query *q = &k->query[i];
    const uint8_t *picture = k->picture + i * t3d_caption_pool_bytes(k->pool);
    uint32_t found;
    int r = T3D_OK;

    t3d_caption_count(t, t3d_caption_pool_set(k->pool), q->candidate,
                      t3d_caption_pool_nearest(k->pool, picture), q->number == 0);
    if (clip) {
        r = t3d_caption_clip_nearest(clip, picture, &found, err);
        t->clip_right += r == T3D_OK && found == q->candidate;
    }
    return r;
}

int t3d_caption_accuracy(struct t3d_caption_tally *out, double *seconds,
                         const struct t3d_caption_pool *p, const struct t3d_caption_maker *m,
                         const struct t3d_caption_questions *what, struct t3d_err *err)
{
    struct asking k = {.pool = p, .maker = m, .count = what->count};
    int r = begin(&k, what, err);

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < k.count && r == T3D_OK; i++) {
        size_t turn = i / k.n_ids;

        k.query[i] = query_of(&k, k.id[i % k.n_ids], turn, what->seed + turn);
    }
    if (r == T3D_OK)
        r = ask(&k, err);
    for (size_t i = 0; i < k.count && r == T3D_OK; i++)
        r = judge(&k, i, out, what->clip, err);
    *seconds = k.seconds;
    end(&k);
    return r;
}

/* --- diversity ------------------------------------------------------------------------------- */

/* Of the n pictures from the first on. */
static double mean_difference(const struct asking *k, size_t first, size_t n)
{
    size_t bytes = t3d_caption_pool_bytes(k->pool);
    const uint8_t *picture = k->picture + first * bytes;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            uint64_t d =
                t3d_caption_pool_distance(k->pool, picture + i * bytes, picture + j * bytes);

            sum += sqrt((double)d / (double)bytes) / 255;
        }
    return sum / ((double)n * (double)(n - 1) / 2);
}

int t3d_caption_diversity(double *out, const struct t3d_caption_pool *p,
                          const struct t3d_caption_maker *m,
                          const struct t3d_caption_questions *what, size_t n_captions,
                          size_t n_seeds, struct t3d_err *err)
{
    struct asking k = {.pool = p, .maker = m, .count = n_captions * n_seeds};
    size_t n;
    int r;

    *out = NAN;
    if (n_captions < 1 || n_seeds < 2)
        return t3d_err_set(err, T3D_USAGE, "usage", "diversity needs a caption and two seeds");
    r = begin(&k, what, err);
    n = T3D_MIN(n_captions, k.n_ids);
    k.count = n * n_seeds;
    for (size_t i = 0; i < k.count && r == T3D_OK; i++)
        k.query[i] = query_of(&k, k.id[i / n_seeds], 0, what->seed + i % n_seeds);
    if (r == T3D_OK)
        r = ask(&k, err);
    if (r == T3D_OK) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += mean_difference(&k, i * n_seeds, n_seeds);
        *out = sum / (double)n;
    }
    end(&k);
    return r;
}
