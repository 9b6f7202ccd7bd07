/* SPDX-License-Identifier: Apache-2.0 */
/* metric/emd_body.h -- the bidding, once per instruction set. */
#ifndef T3D_METRIC_EMD_BODY_H
#define T3D_METRIC_EMD_BODY_H

#include <math.h>
#include <stddef.h>

#include "base/defs.h"
#include "geom/cpu/simd16.h"
#include "metric/emd_impl.h"

enum { FOUND = 160, FULL = FOUND - 16 };

struct found {
    float value[FOUND];
    uint32_t slot[FOUND];
    uint32_t n;
    float bound; /* what is not below it does not count */
};

static double exact_cost(const struct t3di_emd *e, uint32_t bidder, uint32_t slot)
{
    const float *p = e->a[bidder], *q = e->b[slot];
    double d = 0;

    for (int k = 0; k < 3; k++)
        d += ((double)p[k] - (double)q[k]) * ((double)p[k] - (double)q[k]);
    return e->squared ? d : sqrt(d);
}

V16 v16 cost16(const struct t3di_emd *e, v16 dx, v16 dy, v16 dz)
{
    v16 d = v16_fma(dx, dx, v16_fma(dy, dy, v16_mul(dz, dz)));

    return e->squared ? d : v16_sqrt(d);
}

/* Reorder so that the k least stand first, in no order (Hoare's selection). */
static void select_least(struct found *f, uint32_t k)
{
    uint32_t lo = 0, hi = f->n - 1;

    while (lo < hi) {
        float pivot = f->value[lo + (hi - lo) / 2];
        uint32_t i = lo, j = hi;
        for (;;) {
            while (f->value[i] < pivot)
                i++;
            while (pivot < f->value[j])
                j--;
            if (i >= j)
                break;
            float v = f->value[i];
            uint32_t s = f->slot[i];
            f->value[i] = f->value[j];
            f->slot[i++] = f->slot[j];
            f->value[j] = v;
            f->slot[j--] = s;
        }
        if (k <= j)
            hi = j;
        else if (k > j + 1 || i > j)
            lo = j + 1;
        else
            return;
    }
}

/* Keep the best of the list and one more, whose value is the new bound. */
static void thin(struct found *f)
{
    float bound;

    if (f->n <= T3DI_EMD_LIST)
        return;
    select_least(f, T3DI_EMD_LIST);
    bound = f->value[T3DI_EMD_LIST];
    for (uint32_t i = T3DI_EMD_LIST; i < f->n; i++)
        bound = f->value[i] < bound ? f->value[i] : bound;
    f->bound = bound < f->bound ? bound : f->bound;
    f->n = T3DI_EMD_LIST;
}

static void scan_leaf(struct t3di_emd *e, struct found *f, uint32_t leaf, v16 x, v16 y, v16 z)
{
    const float *p = e->leaf + (size_t)leaf * T3DI_EMD_ROW;
    v16 price = v16_load(p + 48);
    v16 v = v16_add(cost16(e, v16_sub(v16_load(p), x), v16_sub(v16_load(p + 16), y),
                           v16_sub(v16_load(p + 32), z)),
                    price);
    unsigned below = v16_lt(v, v16_set(f->bound));
    float value[16];

    e->box[(size_t)(leaf / 16) * T3DI_EMD_BOXES + 96 + leaf % 16] = v16_least(price);
    if (!below)
        return;
    v16_store(value, v);
    for (; below; below &= below - 1) {
        unsigned i = (unsigned)__builtin_ctz(below);
        f->value[f->n] = value[i];
        f->slot[f->n++] = leaf * 16 + i;
    }
    if (f->n > FULL)
        thin(f);
}

V16 v16 outside(v16 p, v16 lo, v16 hi)
{
    return v16_max(v16_max(v16_sub(lo, p), v16_sub(p, hi)), v16_set(0));
}

static void scan(struct t3di_emd *e, struct found *f, const float p[3])
{
    v16 x = v16_set(p[0]), y = v16_set(p[1]), z = v16_set(p[2]);

    for (uint32_t row = 0; row < e->n_rows; row++) {
        const float *b = e->box + (size_t)row * T3DI_EMD_BOXES;
        v16 least = v16_add(cost16(e, outside(x, v16_load(b), v16_load(b + 48)),
                                   outside(y, v16_load(b + 16), v16_load(b + 64)),
                                   outside(z, v16_load(b + 32), v16_load(b + 80))),
                            v16_load(b + 96));
        unsigned open = v16_lt(least, v16_set(f->bound));
        float value[16];
        if (!open)
            continue;
        v16_store(value, least);
        for (; open; open &= open - 1) {
            unsigned i = (unsigned)__builtin_ctz(open);
            if (value[i] < f->bound)
                scan_leaf(e, f, row * 16 + i, x, y, z);
        }
    }
}

/* A new list. The old one's worst value bounds what is looked for: so many slots are below it. */
static void search(struct t3di_emd *e, uint32_t bidder)
{
    struct t3di_emd_list *l = &e->list[bidder];
    struct found f __attribute__((uninitialized));
    double most = 0;

    e->searches++;
    for (int k = 0; k < T3DI_EMD_LIST && isfinite(l->cost[k]); k++) {
        double v = l->cost[k] + e->price[l->slot[k]];
        most = v > most ? v : most;
    }
    f.n = 0;
    f.bound = (float)(most * (1 + 4 * T3DI_EMD_SLACK)) + 0x1p-120f;
    scan(e, &f, e->a[bidder]);
    thin(&f);
    l->bound = (double)f.bound * (1 - T3DI_EMD_SLACK);
    for (uint32_t k = 0; k < T3DI_EMD_LIST; k++) {
        l->slot[k] = k < f.n ? f.slot[k] : 0;
        l->cost[k] = k < f.n ? exact_cost(e, bidder, f.slot[k]) : INFINITY;
    }
}

static struct t3di_emd_best best_of_list(const struct t3di_emd *e, const struct t3di_emd_list *l)
{
    struct t3di_emd_best r = {INFINITY, INFINITY, 0};
    double v[T3DI_EMD_LIST];

    for (int k = 0; k < T3DI_EMD_LIST; k++)
        v[k] = l->cost[k] + e->price[l->slot[k]];
    for (int k = 0; k < T3DI_EMD_LIST; k++) {
        double above = v[k] > r.first ? v[k] : r.first;
        r.slot = v[k] < r.first ? l->slot[k] : r.slot;
        r.second = above < r.second ? above : r.second;
        r.first = v[k] < r.first ? v[k] : r.first;
    }
    return r;
}

/* The list decides when its second best is not above what is not in it. Where b has fewer slots
 * than a list the bound is that of the search, above all values. */
static struct t3di_emd_best best(struct t3di_emd *e, uint32_t bidder)
{
    struct t3di_emd_best r = best_of_list(e, &e->list[bidder]);

    if (r.second <= e->list[bidder].bound)
        return r;
    search(e, bidder);
    return best_of_list(e, &e->list[bidder]);
}

static void run(struct t3di_emd *e, double eps, uint64_t most_bids)
{
    while (e->n_stack && e->bids < most_bids) {
        uint32_t bidder = e->stack[--e->n_stack], before;
        struct t3di_emd_best r = best(e, bidder);
        /* With one slot in reach there is no second: any rise will do. */
        double rise = isfinite(r.second) ? r.second - r.first + eps : eps;

        e->bids++;
        e->price[r.slot] += rise;
        e->leaf[(size_t)(r.slot / 16) * T3DI_EMD_ROW + 48 + r.slot % 16] = (float)e->price[r.slot];
        before = e->owner[r.slot];
        e->owner[r.slot] = bidder;
        e->assigned[bidder] = r.slot;
        if (before != UINT32_MAX) {
            e->assigned[before] = UINT32_MAX;
            e->stack[e->n_stack++] = before;
        }
    }
}

#define T3DI_EMD(name) const struct t3di_emd_kernel name = {best, run}

#endif
