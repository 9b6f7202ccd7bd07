/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/emd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "geom/nearest.h"
#include "metric/emd_impl.h"

enum { BIDS_A_POINT = 20000 }; /* where an auction is cut off; 60 are usual */
#define FIRST_EPS .0625        /* of the largest cost */
#define THETA     6            /* eps falls by this from phase to phase */
#define LEAST_GAP 1e-10        /* of the largest cost: below it a value counts as 0 */

struct solver {
    struct t3di_emd e;
    const struct t3di_emd_kernel *kernel;
    float (*point[2])[3]; /* of a and b, along their curves, times 2^-exponent */
    uint32_t *order[2];   /* their numbers as given */
    double largest;       /* no cost is above it */
    int exponent;
    double primal, dual;
};

static const struct t3di_emd_kernel *kernel(void)
{
    switch (t3d_isa()) {
    case T3D_ISA_AVX512:
        return &t3di_emd_avx512;
    case T3D_ISA_AVX2:
        return &t3di_emd_avx2;
    default:
        return &t3di_emd_portable;
    }
}

/* --- the points --- */

static int sort_cloud(struct solver *s, int which, const float (*p)[3], uint32_t n,
                      struct t3d_err *err)
{
    float scale = ldexpf(1, -s->exponent);
    struct t3d_nearest *t;
    int r = t3d_nearest_new(&t, p, n, 1, err);

    if (r < 0)
        return r;
    s->order[which] = malloc(n * sizeof *s->order[which]);
    s->point[which] = malloc(n * sizeof *s->point[which]);
    if (!s->order[which] || !s->point[which]) {
        t3d_nearest_free(t);
        return t3d_err_nomem(err, "the points of emd");
    }
    memcpy(s->order[which], t3d_nearest_order(t), n * sizeof *s->order[which]);
    t3d_nearest_free(t);
    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            s->point[which][i][k] = scale * p[s->order[which][i]][k];
    return T3D_OK;
}

/* A power of two that brings all coordinates below 1 in size, exactly. */
static int exponent_of(const float (*a)[3], const float (*b)[3], uint32_t n)
{
    float most = 0;
    int e = 0;

    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            most = fmaxf(most, fmaxf(fabsf(a[i][k]), fabsf(b[i][k])));
    if (isfinite(most))
        frexpf(most, &e);
    return T3D_MAX(e, -100);
}

/* The diagonal of the box of both, or its square. */
static double largest_cost(const struct solver *s, uint32_t n, int squared)
{
    double d = 0;

    for (int k = 0; k < 3; k++) {
        double lo = INFINITY, hi = -INFINITY;
        for (uint32_t i = 0; i < 2 * n; i++) {
            double v = (double)s->point[i >= n][i % n][k];
            lo = fmin(lo, v);
            hi = fmax(hi, v);
        }
        d += (hi - lo) * (hi - lo);
    }
    return squared ? d : sqrt(d);
}

/* --- the slots --- */

static void fill_leaf(struct t3di_emd *e, uint32_t leaf)
{
    float *row = e->leaf + (size_t)leaf * T3DI_EMD_ROW;
    float *box = e->box + (size_t)(leaf / 16) * T3DI_EMD_BOXES + leaf % 16;

    for (uint32_t i = 0; i < T3DI_EMD_LEAF; i++) {
        uint32_t slot = leaf * 16 + i;
        const float *p = e->b[slot < e->n ? slot : e->n - 1];
        for (uint32_t k = 0; k < 3; k++) {
            row[16 * k + i] = p[k];
            box[16 * k] = i ? fminf(box[16 * k], p[k]) : p[k];
            box[48 + 16 * k] = i ? fmaxf(box[48 + 16 * k], p[k]) : p[k];
        }
        row[48 + i] = slot < e->n ? 0 : INFINITY;
        e->price[slot] = slot < e->n ? 0 : INFINITY;
    }
    box[96] = 0;
}

/* Where a bidder's first search starts: the slots about its own rank along the curve, which is
 * near for clouds that are alike and valid for all. */
static void first_list(struct t3di_emd *e, uint32_t bidder)
{
    struct t3di_emd_list *l = &e->list[bidder];
    uint32_t m = T3D_MIN((uint32_t)T3DI_EMD_LIST, e->n);
    uint32_t first = bidder > m / 2 ? T3D_MIN(bidder - m / 2, e->n - m) : 0;

    l->bound = -1;
    for (uint32_t k = 0; k < T3DI_EMD_LIST; k++) {
        double d = 0;
        l->slot[k] = first + T3D_MIN(k, m - 1);
        for (int c = 0; c < 3; c++)
            d += pow((double)e->a[bidder][c] - (double)e->b[l->slot[k]][c], 2);
        l->cost[k] = k < m ? (e->squared ? d : sqrt(d)) : INFINITY;
    }
}

static int open_auction(struct solver *s, uint32_t n, int squared, struct t3d_err *err)
{
    struct t3di_emd *e = &s->e;
    size_t slots;

    *e = (struct t3di_emd){.n = n,
                           .n_leaves = (n + 15) / 16,
                           .squared = squared,
                           .a = (const float(*)[3])s->point[0],
                           .b = (const float(*)[3])s->point[1]};
    e->n_rows = (e->n_leaves + 15) / 16;
    slots = (size_t)e->n_leaves * 16;
    e->price = malloc(slots * sizeof *e->price);
    e->owner = malloc(slots * sizeof *e->owner);
    e->leaf = malloc((size_t)e->n_leaves * T3DI_EMD_ROW * sizeof *e->leaf);
    e->box = malloc((size_t)e->n_rows * T3DI_EMD_BOXES * sizeof *e->box);
    e->list = malloc(n * sizeof *e->list);
    e->assigned = malloc(n * sizeof *e->assigned);
    e->stack = malloc(n * sizeof *e->stack);
    if (!e->price || !e->owner || !e->leaf || !e->box || !e->list || !e->assigned || !e->stack)
        return t3d_err_nomem(err, "emd");
    for (size_t i = 0; i < (size_t)e->n_rows * T3DI_EMD_BOXES; i++)
        e->box[i] = INFINITY; /* leaves that are not there are far from everything */
    for (uint32_t i = 0; i < e->n_leaves; i++)
        fill_leaf(e, i);
    memset(e->owner, 0xff, slots * sizeof *e->owner);
    memset(e->assigned, 0xff, n * sizeof *e->assigned);
    for (uint32_t i = 0; i < n; i++)
        first_list(e, i);
    return T3D_OK;
}

static void close_auction(struct t3di_emd *e)
{
    free(e->price);
    free(e->owner);
    free(e->leaf);
    free(e->box);
    free(e->list);
    free(e->assigned);
    free(e->stack);
}

/* --- phases --- */

static double cost_of(const struct t3di_emd *e, uint32_t bidder, uint32_t slot)
{
    double d = 0;

    for (int k = 0; k < 3; k++) {
        double x = (double)e->a[bidder][k] - (double)e->b[slot][k];
        d += x * x;
    }
    return e->squared ? d : sqrt(d);
}

/* Means of the matching's costs and of the dual: sum over bidders of the least cost plus price,
 * less the prices (Bertsekas 1988, equation 6). Only when everyone has a slot is there a primal. */
static void certify(struct solver *s)
{
    struct t3di_emd *e = &s->e;
    double primal = 0, dual = 0;

    for (uint32_t i = 0; i < e->n; i++) {
        uint32_t slot = e->assigned[i];
        primal += slot == UINT32_MAX ? INFINITY : cost_of(e, i, slot);
        dual += s->kernel->best(e, i).first;
    }
    for (uint32_t j = 0; j < e->n; j++)
        dual -= e->price[j];
    s->primal = primal / e->n;
    s->dual = T3D_MAX(s->dual, dual / e->n);
}

/* Bidders whose slot is worse than the best by more than eps must bid again; the others keep it. */
static void reopen(struct solver *s, double eps)
{
    struct t3di_emd *e = &s->e;

    e->n_stack = 0;
    for (uint32_t i = e->n; i-- > 0;) {
        uint32_t slot = e->assigned[i];
        if (slot != UINT32_MAX &&
            cost_of(e, i, slot) + e->price[slot] <= s->kernel->best(e, i).first + eps)
            continue;
        if (slot != UINT32_MAX)
            e->owner[slot] = UINT32_MAX;
        e->assigned[i] = UINT32_MAX;
        e->stack[e->n_stack++] = i;
    }
}

static int is_done(const struct solver *s)
{
    return s->primal - s->dual <= T3D_MAX(T3D_EMD_GAP * s->primal, LEAST_GAP * s->largest);
}

/* At the end of a phase nobody is further than eps from the best, so the gap is below eps. Bidders
 * that are cut off are matched as they come: any matching is a valid upper value. */
static void match_rest(struct t3di_emd *e)
{
    uint32_t slot = 0;

    while (e->n_stack) {
        uint32_t bidder = e->stack[--e->n_stack];
        while (e->owner[slot] != UINT32_MAX)
            slot++;
        e->owner[slot] = bidder;
        e->assigned[bidder] = slot;
    }
}

static void solve(struct solver *s)
{
    double eps = FIRST_EPS * s->largest;
    uint64_t most = (uint64_t)BIDS_A_POINT * s->e.n;

    for (;;) {
        reopen(s, eps);
        s->kernel->run(&s->e, eps, most);
        match_rest(&s->e);
        certify(s);
        if (is_done(s) || s->e.bids >= most)
            return;
        eps = fmax(eps / THETA, .9 * fmax(T3D_EMD_GAP * s->dual, LEAST_GAP * s->largest));
    }
}

int t3d_emd(struct t3d_emd *out, const float (*a)[3], const float (*b)[3], uint32_t n, int squared,
            uint32_t *index, struct t3d_err *err)
{
    struct solver s = {.kernel = kernel(), .dual = 0};
    double unit;
    int r;

    *out = (struct t3d_emd){0};
    s.exponent = exponent_of(a, b, n);
    r = sort_cloud(&s, 0, a, n, err);
    if (r == T3D_OK)
        r = sort_cloud(&s, 1, b, n, err);
    if (r == T3D_OK)
        r = open_auction(&s, n, squared, err);
    if (r == T3D_OK) {
        s.largest = largest_cost(&s, n, squared);
        if (s.largest > 0)
            solve(&s);
        unit = ldexp(1, squared ? 2 * s.exponent : s.exponent);
        *out = (struct t3d_emd){s.primal * unit, s.dual * unit, s.largest == 0 || is_done(&s),
                                s.e.bids, s.e.searches};
        for (uint32_t i = 0; index && i < n; i++)
            index[s.order[0][i]] = s.order[1][s.largest > 0 ? s.e.assigned[i] : i];
    }
    close_auction(&s.e);
    for (int k = 0; k < 2; k++) {
        free(s.point[k]);
        free(s.order[k]);
    }
    return r;
}
