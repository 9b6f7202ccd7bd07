/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"

static void round_once(uint32_t c[4], const uint32_t k[2])
{
    uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t c1 = c[1], c3 = c[3];

    c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ k[0];
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ k[1];
    c[3] = (uint32_t)p0;
}

void t3d_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t k[2] = {key[0], key[1]};

    memcpy(out, counter, 4 * sizeof *out);
    for (int i = 0; i < 10; i++) {
        round_once(out, k);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
}

enum { LANES = 16 }; /* blocks side by side, for vectors of any width */

static void lanes_once(uint32_t c[4][LANES], const uint32_t k[2])
{
    for (int i = 0; i < LANES; i++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c[0][i];
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2][i];
        uint32_t c1 = c[1][i], c3 = c[3][i];

        c[0][i] = (uint32_t)(p1 >> 32) ^ c1 ^ k[0];
        c[1][i] = (uint32_t)p1;
        c[2][i] = (uint32_t)(p0 >> 32) ^ c3 ^ k[1];
        c[3][i] = (uint32_t)p0;
    }
}

static void lanes_of(const struct t3d_rng *r, uint64_t first, uint32_t c[4][LANES])
{
    uint32_t k[2] = {r->key[0], r->key[1]};

    for (uint32_t i = 0; i < LANES; i++) {
        c[0][i] = (uint32_t)(first + i);
        c[1][i] = (uint32_t)((first + i) >> 32);
        c[2][i] = r->counter[2];
        c[3][i] = r->counter[3];
    }
    for (int i = 0; i < 10; i++) {
        lanes_once(c, k);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
}

void t3d_philox_run(const struct t3d_rng *r, uint64_t first, uint32_t n, uint32_t *out)
{
    for (uint32_t at = 0; at < n; at += LANES) {
        uint32_t c[4][LANES], m = n - at < LANES ? n - at : LANES;

        lanes_of(r, first + at, c);
        for (int w = 0; w < 4; w++)
            memcpy(out + (size_t)w * n + at, c[w], m * sizeof *out);
    }
}

struct t3d_rng t3d_rng_for(uint64_t seed, const char *name, uint64_t index)
{
    struct t3d_rng r = {.key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .used = 4};
    uint64_t stream = t3d_hash64(name);
    uint32_t where[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                         (uint32_t)(stream >> 32)};

    /* One block turns (name, index) into the stream's key, so that streams of neighbouring indices
     * do not share counters. */
    t3d_philox(where, r.key, r.out);
    memcpy(r.key, r.out, sizeof r.key);
    r.counter[2] = r.out[2];
    r.counter[3] = r.out[3];
    return r;
}

uint32_t t3d_rng_u32(struct t3d_rng *r)
{
    if (r->used == 4) {
        t3d_philox(r->counter, r->key, r->out);
        if (++r->counter[0] == 0)
            r->counter[1]++;
        r->used = 0;
    }
    return r->out[r->used++];
}

uint64_t t3d_rng_u64(struct t3d_rng *r)
{
    uint64_t hi = t3d_rng_u32(r);

    return hi << 32 | t3d_rng_u32(r);
}

double t3d_rng_uniform(struct t3d_rng *r)
{
    return (double)(t3d_rng_u64(r) >> 11) * 0x1p-53;
}

uint32_t t3d_rng_below(struct t3d_rng *r, uint32_t n)
{
    uint32_t limit = -n % n; /* 2^32 mod n: values below it would be drawn once too often */
    uint32_t x;

    do
        x = t3d_rng_u32(r);
    while (x < limit);
    return x % n;
}

double t3d_rng_normal(struct t3d_rng *r)
{
    double u = 1 - t3d_rng_uniform(r);
    double v = t3d_rng_uniform(r);

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}
