/* SPDX-License-Identifier: Apache-2.0 */
/* Rows picked by indices, and rows added up by them. */
#include "num/cuda/device.cuh"

template <int W>
static __global__ void pick_kernel(struct t3di_dev few, struct t3di_dev many,
                                   struct t3di_cuda_pick p, int add, unsigned long long *check)
{
    int64_t total = p.batch * p.few * p.width;
    int64_t at = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * W;

    for (; at < total; at += (int64_t)gridDim.x * THREADS * W) {
        int64_t row = at / p.width, j = at % p.width;
        int32_t id = p.id[row];

        if (id < 0 || id >= p.many) {
            complain(check, row, id);
            id = 0;
        }
        add_vec<W>(few, at, load_vec<W>(many, (row / p.few * p.many + id) * p.width + j), !add);
    }
}

void t3di_cuda_pick(struct t3di_dev few, struct t3di_dev many, const struct t3di_cuda_pick *p,
                    int add, unsigned long long *check, void *stream)
{
    int64_t total = p->batch * p->few * p->width;

    if (vec_ok(p->width))
        T3DI_LAUNCH(pick_kernel<4>, blocks_for(total / 4), THREADS, stream, few, many, *p, add,
                    check);
    else
        T3DI_LAUNCH(pick_kernel<1>, blocks_for(total), THREADS, stream, few, many, *p, add, check);
}

/* A warp an index and 32 W columns. Of equal indices the first one's warp adds all their rows, in
 * order; the others leave. No two warps write to one place. */
template <int W>
static __global__ void spread_kernel(struct t3di_dev many, struct t3di_dev few,
                                     struct t3di_cuda_pick p, unsigned long long *check)
{
    struct team t = team_here(WARP);
    int64_t b = t.row / p.few, mine = t.row % p.few;
    int64_t column = ((int64_t)blockIdx.y * WARP + t.lane) * W;
    const int32_t *id = p.id + b * p.few;
    vec<W> sum = {};
    int32_t key;

    if (b >= p.batch) /* whole warps leave */
        return;
    key = id[mine];
    if (key < 0 || key >= p.many) {
        if (t.lane == 0 && blockIdx.y == 0)
            complain(check, t.row, key);
        return;
    }
    for (int64_t j = 0; j < mine; j += WARP)
        if (warp_ballot(j + t.lane < mine && id[j + t.lane] == key))
            return;
    for (int64_t j = mine; j < p.few; j += WARP) {
        unsigned same = warp_ballot(j + t.lane < p.few && id[j + t.lane] == key);

        for (int i = 0; same; i++, same >>= 1)
            if (same & 1 && column < p.width) {
                vec<W> x = load_vec<W>(few, (b * p.few + j + i) * p.width + column);

                for (int k = 0; k < W; k++)
                    sum.v[k] += x.v[k];
            }
    }
    if (column < p.width)
        add_vec<W>(many, (b * p.many + key) * p.width + column, sum, 0);
}

void t3di_cuda_spread(struct t3di_dev many, struct t3di_dev few, const struct t3di_cuda_pick *p,
                      unsigned long long *check, void *stream)
{
    unsigned blocks = team_blocks(p->batch * p->few, WARP);
    int w = vec_ok(p->width) ? 4 : 1;
    dim3 grid(blocks, (unsigned)((p->width + WARP * w - 1) / (WARP * w)));

    if (w == 4)
        T3DI_LAUNCH(spread_kernel<4>, grid, THREADS, stream, many, few, *p, check);
    else
        T3DI_LAUNCH(spread_kernel<1>, grid, THREADS, stream, many, few, *p, check);
}
