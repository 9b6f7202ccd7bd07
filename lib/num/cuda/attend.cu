/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of attention's scores: mask, bias and softmax in one pass over a row, and back. */
#include "num/cuda/device.cuh"

#define NOTHING 1e30f /* log sum of a row that sees no key: exp(s - NOTHING) = 0 */

/* A row of scores: which sample, head and query it is, and what it sees. */
struct row {
    int64_t at, sample, bias;
    int64_t seen;
};

__device__ static inline struct row row_at(const struct t3di_cuda_scores *a, int64_t i)
{
    int64_t query = i % a->queries, head = i / a->queries % a->heads;
    struct row r;

    r.at = i * a->keys;
    r.sample = i / a->queries / a->heads;
    r.bias = (((a->bias_samples ? r.sample : 0) * a->heads + head) * a->queries + query) * a->keys;
    r.seen = a->causal ? a->keys - a->queries + query + 1 : a->keys;
    return r;
}

__device__ static inline float score(const struct t3di_cuda_scores *a, const struct row *r,
                                     const float *s, int64_t j)
{
    float x;

    if (j >= r->seen || (a->mask && !a->mask[r->sample * a->keys + j]))
        return -INFINITY;
    x = s[r->at + j];
    return a->bias.p ? x + load(a->bias, r->bias + j) : x;
}

static __global__ void attend_kernel(struct t3di_dev p, const float *s, float *log_sum, int write,
                                     struct t3di_cuda_scores a, int size)
{
    struct team t = team_here(size);
    int there = t.row < a.samples * a.heads * a.queries;
    struct row r = row_at(&a, there ? t.row : 0);
    float most = -INFINITY, sum = 0, shift;

    if (write) {
        for (int64_t j = t.lane; there && j < a.keys; j += size)
            most = fmaxf(most, score(&a, &r, s, j));
        most = team_max(t, most);
        for (int64_t j = t.lane; there && j < a.keys && most > -INFINITY; j += size)
            sum += expf(score(&a, &r, s, j) - most);
        sum = team_sum(t, sum);
        shift = sum > 0 ? most + logf(sum) : NOTHING;
        if (there && log_sum && t.lane == 0)
            log_sum[t.row] = shift;
    } else {
        shift = there ? log_sum[t.row] : 0;
    }
    for (int64_t j = t.lane; there && j < a.keys; j += size)
        store(p, r.at + j,
              !write    ? expf(score(&a, &r, s, j) - shift)
              : sum > 0 ? expf(score(&a, &r, s, j) - most) / sum
                        : 0);
}

void t3di_cuda_attend(struct t3di_dev p, const float *s, float *log_sum, int write,
                      const struct t3di_cuda_scores *a, void *stream)
{
    int size = team_for(a->keys);

    T3DI_LAUNCH(attend_kernel, team_blocks(a->samples * a->heads * a->queries, size), THREADS,
                stream, p, s, log_sum, write, *a, size);
}

static __global__ void attend_grad_kernel(struct t3di_dev ds, struct t3di_dev p, const float *dp,
                                          struct t3di_cuda_scores a, int size)
{
    struct team t = team_here(size);
    int there = t.row < a.samples * a.heads * a.queries;
    int64_t at = t.row * a.keys;
    float delta = 0;

    for (int64_t j = t.lane; there && j < a.keys; j += size)
        delta = fmaf(load(p, at + j), dp[at + j], delta);
    delta = team_sum(t, delta);
    for (int64_t j = t.lane; there && j < a.keys; j += size)
        store(ds, at + j, load(p, at + j) * (dp[at + j] - delta));
}

void t3di_cuda_attend_grad(struct t3di_dev ds, struct t3di_dev p, const float *dp,
                           const struct t3di_cuda_scores *a, void *stream)
{
    int size = team_for(a->keys);

    T3DI_LAUNCH(attend_grad_kernel, team_blocks(a->samples * a->heads * a->queries, size), THREADS,
                stream, ds, p, dp, *a, size);
}

static __global__ void attend_bias_grad_kernel(struct t3di_dev g, struct t3di_dev ds,
                                               struct t3di_cuda_scores a)
{
    int64_t one = a.heads * a.queries * a.keys, n = a.bias_samples ? one * a.samples : one;

    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS) {
        float sum = 0;

        for (int64_t b = 0; b < (a.bias_samples ? 1 : a.samples); b++)
            sum += load(ds, b * one + i);
        store(g, i, load(g, i) + sum);
    }
}

void t3di_cuda_attend_bias_grad(struct t3di_dev g, struct t3di_dev ds,
                                const struct t3di_cuda_scores *a, void *stream)
{
    int64_t n = a->heads * a->queries * a->keys * (a->bias_samples ? a->samples : 1);

    T3DI_LAUNCH(attend_bias_grad_kernel, blocks_for(n), THREADS, stream, g, ds, *a);
}
