/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/distance.h"

#include <math.h>

#include "geom/nearest.h"

enum { DIGIT = 11, DIGITS = 1 << DIGIT, LANES = 8 };

const double t3d_taus[T3D_N_TAUS] = {.005, .01, .02, .05, .01};

/* --- order statistics --- */

/* Distances are not negative, so their bits, read as whole numbers, are in the same order as they:
 * three passes by digits of 11 bits sort them. */
static int sort_distances(float *d, uint32_t n, struct t3d_err *err)
{
    uint32_t *from = malloc(2 * (size_t)n * sizeof *from), *to = from + n, *swap;
    uint32_t place[DIGITS];

    if (!from)
        return t3d_err_nomem(err, "distances");
    memcpy(from, d, n * sizeof *from);
    for (int shift = 0; shift < 3 * DIGIT; shift += DIGIT) {
        uint32_t sum = 0;
        memset(place, 0, sizeof place);
        for (uint32_t i = 0; i < n; i++)
            place[from[i] >> shift & (DIGITS - 1)]++;
        for (int k = 0; k < DIGITS; k++) {
            uint32_t count = place[k];
            place[k] = sum;
            sum += count;
        }
        for (uint32_t i = 0; i < n; i++)
            to[place[from[i] >> shift & (DIGITS - 1)]++] = from[i];
        swap = from;
        from = to;
        to = swap;
    }
    memcpy(d, from, n * sizeof *from);
    free(from < to ? from : to); /* the start of the one block */
    return T3D_OK;
}

/* As numpy.percentile(d, 95): at .95 (n - 1), linear between neighbours. */
static double percentile_95(const float *d, uint32_t n)
{
    double at = .95 * (n - 1), whole = floor(at), lo = (double)d[(uint32_t)whole];

    return at == whole ? lo : lo + (at - whole) * ((double)d[(uint32_t)whole + 1] - lo);
}

/* How many of the sorted distances, times scale, are below tau, or equal to it as well. */
static uint32_t count_below(const float *d, uint32_t n, double scale, double tau, int or_equal)
{
    uint32_t lo = 0, hi = n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        double v = scale * (double)d[mid];
        if (v < tau || (or_equal && v == tau))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* --- sums --- */

static void sum_up(struct t3d_one_way *w, const float *d, uint32_t n, double scale)
{
    double sum[LANES] = {0}, squares[LANES] = {0};

    for (uint32_t i = 0; i < n; i++) {
        double v = (double)d[i];
        sum[i % LANES] += v;
        squares[i % LANES] += v * v;
    }
    for (int k = 0; k < LANES; k++) {
        w->sum += scale * sum[k];
        w->sum_squares += scale * scale * squares[k];
    }
}

int t3d_one_way_sum(struct t3d_one_way *w, float *distance, uint32_t n,
                    const struct t3d_distance_options *o, struct t3d_err *err)
{
    double most = t3d_taus[3] * o->edge, area = 0;
    int r = sort_distances(distance, n, err);

    *w = (struct t3d_one_way){.n = n};
    if (r < 0)
        return r;
    sum_up(w, distance, n, o->scale);
    if (!isfinite(w->sum_squares))
        return t3d_err_set(err, T3D_SKIP, "non-finite",
                           "the distances are too large to be summed: are the coordinates right?");
    for (int k = 0; k < T3D_N_TAUS; k++) {
        double tau = k == T3D_N_TAUS - 1 ? t3d_taus[k] : t3d_taus[k] * o->edge;
        w->within[k] = count_below(distance, n, o->scale, tau, 1);
        w->below[k] = count_below(distance, n, o->scale, tau, 0);
    }
    for (uint64_t i = 0; i < w->within[3]; i++)
        area += most - o->scale * (double)distance[i];
    w->auc = most > 0 ? area / (most * n) : NAN;
    w->most = o->scale * (double)distance[n - 1];
    w->q95 = o->scale * percentile_95(distance, n);
    return T3D_OK;
}

static void sum_normals(struct t3d_one_way *w, const struct t3d_points *from,
                        const struct t3d_points *to, const uint32_t *index)
{
    for (uint32_t i = 0; i < from->n; i++) {
        const float *a = from->normal[i], *b = to->normal[index[i]];
        double c = 0, aa = 0, bb = 0;
        for (int k = 0; k < 3; k++) {
            c += (double)a[k] * (double)b[k];
            aa += (double)a[k] * (double)a[k];
            bb += (double)b[k] * (double)b[k];
        }
        if (aa == 0 || bb == 0)
            continue;
        w->sum_cos += c;
        w->sum_abs_cos += fabs(c);
        w->n_cos++;
    }
}

static double f_of(uint32_t within_pred, uint32_t n_pred, uint32_t within_ref, uint32_t n_ref)
{
    double p = (double)within_pred / n_pred, r = (double)within_ref / n_ref;

    return p + r > 0 ? 2 * p * r / (p + r) : 0;
}

/* The F-score is a step function of the threshold: its mean over (0, .05 edge] is a sum over the
 * sorted distances of both sides. */
static double f_area(const float *a, uint32_t n_a, const float *b, uint32_t n_b,
                     const struct t3d_distance_options *o)
{
    double most = t3d_taus[3] * o->edge, area = 0, last = 0;
    uint32_t m_a = count_below(a, n_a, o->scale, most, 1),
             m_b = count_below(b, n_b, o->scale, most, 1), i = 0, j = 0;

    while (i < m_a || j < m_b) {
        float next = j >= m_b || (i < m_a && a[i] <= b[j]) ? a[i] : b[j];
        double at = o->scale * (double)next;
        area += (at - last) * f_of(i, n_a, j, n_b);
        last = at;
        while (i < m_a && a[i] <= next)
            i++;
        while (j < m_b && b[j] <= next)
            j++;
    }
    area += (most - last) * f_of(i, n_a, j, n_b);
    return most > 0 ? area / most : NAN;
}

/* --- both ways --- */

struct side {
    const struct t3d_points *p;
    struct t3d_nearest *tree;
    float *distance;
    uint32_t *index;
    struct t3d_err err;
    int r;
};

static void build_side(struct side *s, int threads)
{
    s->distance = malloc(s->p->n * sizeof *s->distance);
    s->index = s->p->normal ? malloc(s->p->n * sizeof *s->index) : NULL;
    s->r = t3d_nearest_new(&s->tree, (const float(*)[3])s->p->point, s->p->n, threads, &s->err);
    if (s->r == T3D_OK && (!s->distance || (s->p->normal && !s->index)))
        s->r = t3d_err_nomem(&s->err, "distances");
}

/* With two threads each builds a tree; with more, all work on one and then on the other. */
static int build_sides(struct side side[2], int threads, struct t3d_err *err)
{
#pragma omp parallel for num_threads(2) if (threads == 2)
    for (int i = 0; i < 2; i++)
        build_side(&side[i], threads == 2 ? 1 : threads);
    for (int i = 0; i < 2; i++)
        if (side[i].r < 0) {
            *err = side[i].err;
            return side[i].r;
        }
    return T3D_OK;
}

static int sum_sides(struct t3d_distances *d, struct side side[2],
                     const struct t3d_distance_options *o, struct t3d_err *err)
{
    struct t3d_one_way *way[2] = {&d->pred, &d->ref};

    for (int i = 0; i < 2; i++) {
        struct side *s = &side[i], *other = &side[!i];
        int r = t3d_one_way_sum(way[i], s->distance, s->p->n, o, err);
        if (r < 0)
            return r;
        if (s->p->normal && other->p->normal)
            sum_normals(way[i], s->p, other->p, s->index);
    }
    d->edge = o->edge;
    d->f_auc = f_area(side[0].distance, side[0].p->n, side[1].distance, side[1].p->n, o);
    return T3D_OK;
}

int t3d_distances(struct t3d_distances *d, const struct t3d_points *pred,
                  const struct t3d_points *ref, const struct t3d_distance_options *o,
                  struct t3d_err *err)
{
    struct side side[2] = {{.p = pred}, {.p = ref}};
    int r = build_sides(side, o->threads, err);

    *d = (struct t3d_distances){0};
    if (r == T3D_OK) {
        for (int i = 0; i < 2; i++)
            t3d_nearest_between(side[i].tree, side[!i].tree, side[i].distance,
                                side[!i].p->normal ? side[i].index : NULL, o->threads);
        r = sum_sides(d, side, o, err);
    }
    for (int i = 0; i < 2; i++) {
        t3d_nearest_free(side[i].tree);
        free(side[i].distance);
        free(side[i].index);
    }
    return r;
}
