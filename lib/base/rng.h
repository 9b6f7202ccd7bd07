/* SPDX-License-Identifier: Apache-2.0 */
/* base/rng.h -- counter-based random numbers: Philox4x32-10.
 *
 *     struct t3d_rng r = t3d_rng_for(seed, uid, view);
 *     double u = t3d_rng_uniform(&r);
 *
 * Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3;
 * checked against the Random123 known-answer vectors. A stream is a pure function of its key, so
 * results do not depend on threads or order. */
#ifndef T3D_BASE_RNG_H
#define T3D_BASE_RNG_H

#include <stdint.h>

struct t3d_rng {
    uint32_t key[2];     /* from the seed */
    uint32_t counter[4]; /* word 0-1: position, 2-3: stream */
    uint32_t out[4];     /* the current block */
    unsigned used;       /* words of out already handed out; 4 = none left */
};

/* One block of Philox4x32-10: out = f(counter, key). */
void t3d_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Blocks first .. first + n - 1 of a stream, word by word: out (4, n). */
void t3d_philox_run(const struct t3d_rng *r, uint64_t first, uint32_t n, uint32_t *out);

/* The stream of (seed, name, index): name is usually a uid (may be ""), index a view or a step. */
struct t3d_rng t3d_rng_for(uint64_t seed, const char *name, uint64_t index);

uint32_t t3d_rng_u32(struct t3d_rng *r);
uint64_t t3d_rng_u64(struct t3d_rng *r);
/* [0, 1) with 53 bits. */
double t3d_rng_uniform(struct t3d_rng *r);
/* [0, n), unbiased; n > 0. */
uint32_t t3d_rng_below(struct t3d_rng *r, uint32_t n);
/* Standard normal, by Box and Muller's transform (two uniforms a call). */
double t3d_rng_normal(struct t3d_rng *r);

#endif
