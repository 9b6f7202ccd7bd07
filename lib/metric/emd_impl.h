/* SPDX-License-Identifier: Apache-2.0 */
/* metric/emd_impl.h -- the state of an auction: the points of a bid for the slots of b.
 *
 * Prices only rise. So a list of a bidder's best slots, and a bound below which no other slot can
 * be worth, stays good for many bids; only when the second best of the list rises above the bound
 * is all of b searched again. The search works in single precision on leaves of 16 slots and widens
 * its bounds by more than the rounding; all values that decide are doubles. */
#ifndef T3D_METRIC_EMD_IMPL_H
#define T3D_METRIC_EMD_IMPL_H

#include <stdint.h>

enum {
    T3DI_EMD_LIST = 16,  /* best slots kept of a bidder */
    T3DI_EMD_LEAF = 16,  /* slots of a leaf */
    T3DI_EMD_ROW = 64,   /* floats of a leaf: 16 x, y, z, price */
    T3DI_EMD_BOXES = 112 /* floats of 16 leaves: lo x y z, hi x y z, least price */
};

/* Relative rounding of a cost plus a price in single precision, with room: 8 units of 2^-24. */
#define T3DI_EMD_SLACK 0x1p-21

struct t3di_emd_list {
    uint32_t slot[T3DI_EMD_LIST];
    double cost[T3DI_EMD_LIST]; /* INFINITY behind the last */
    double bound;               /* every slot not listed is worth at least this */
};

struct t3di_emd {
    uint32_t n, n_leaves, n_rows;
    int squared;
    const float (*a)[3]; /* bidders, along the curve */
    const float (*b)[3]; /* slots, along the curve */
    double *price;       /* of each slot of the leaves; INFINITY for those beyond n */
    float *leaf, *box;
    struct t3di_emd_list *list;
    uint32_t *owner;    /* of each slot, UINT32_MAX = none */
    uint32_t *assigned; /* slot of each bidder, UINT32_MAX = none */
    uint32_t *stack;    /* bidders without a slot */
    uint32_t n_stack;
    uint64_t bids, searches;
};

struct t3di_emd_best {
    double first, second; /* the two least of cost plus price */
    uint32_t slot;        /* of the first */
};

struct t3di_emd_kernel {
    /* The best two slots of a bidder at the present prices, exact. */
    struct t3di_emd_best (*best)(struct t3di_emd *e, uint32_t bidder);
    /* Bids until everyone on the stack has a slot or the number of bids is reached. */
    void (*run)(struct t3di_emd *e, double eps, uint64_t most_bids);
};

extern const struct t3di_emd_kernel t3di_emd_portable, t3di_emd_avx2, t3di_emd_avx512;

#endif
