/* SPDX-License-Identifier: Apache-2.0 */
/* A product of matrices with any steps: tiles of 64 x 64 through shared memory, 4 x 4 a thread. */
#include "num/cuda/device.cuh"

enum { SIDE = 64, DEPTH = 16, EACH = 4 };

/* tile[d][i] = x[(i0 + i) step + (d0 + d) depth_step], zero outside; neighbouring threads take the
 * axis whose elements are neighbours. */
__device__ static inline void load_tile(float tile[DEPTH][SIDE + 4], struct t3di_dev x, int64_t at,
                                        int64_t step, int64_t depth_step, int64_t i0, int64_t n,
                                        int64_t d0, int64_t depth)
{
    for (int t = (int)threadIdx.x; t < SIDE * DEPTH; t += THREADS) {
        int i = depth_step == 1 ? t / DEPTH : t % SIDE;
        int d = depth_step == 1 ? t % DEPTH : t / SIDE;
        int there = i0 + i < n && d0 + d < depth;

        tile[d][i] = there ? load(x, at + (i0 + i) * step + (d0 + d) * depth_step) : 0;
    }
}

static __global__ void gemm_kernel(struct t3di_cuda_matrices g, struct t3di_dev c,
                                   struct t3di_dev a, struct t3di_dev b)
{
    __shared__ float ta[DEPTH][SIDE + 4], tb[DEPTH][SIDE + 4];
    int64_t across = (g.n + SIDE - 1) / SIDE;
    int64_t i0 = (int64_t)blockIdx.x / across * SIDE, j0 = (int64_t)blockIdx.x % across * SIDE;
    int ti = (int)threadIdx.x / (SIDE / EACH) * EACH, tj = (int)threadIdx.x % (SIDE / EACH) * EACH;

    for (int64_t z = blockIdx.y; z < g.batch; z += gridDim.y) {
        float sum[EACH][EACH] = {};

        for (int64_t d0 = 0; d0 < g.k; d0 += DEPTH) {
            __syncthreads(); /* the tiles before are read */
            load_tile(ta, a, z * g.a_next, g.a_row, g.a_col, i0, g.m, d0, g.k);
            load_tile(tb, b, z * g.b_next, g.b_col, g.b_row, j0, g.n, d0, g.k);
            __syncthreads();
            for (int d = 0; d < DEPTH; d++)
                for (int i = 0; i < EACH; i++)
                    for (int j = 0; j < EACH; j++)
                        sum[i][j] = fmaf(ta[d][ti + i], tb[d][tj + j], sum[i][j]);
        }
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++)
                if (i0 + ti + i < g.m && j0 + tj + j < g.n) {
                    int64_t at = z * g.c_next + (i0 + ti + i) * g.c_row + j0 + tj + j;
                    float v = g.alpha * sum[i][j];

                    store(c, at, g.add ? load(c, at) + v : v);
                }
    }
}

void t3di_cuda_gemm(const struct t3di_cuda_matrices *g, struct t3di_dev c, struct t3di_dev a,
                    struct t3di_dev b, void *stream)
{
    int64_t tiles = (g->m + SIDE - 1) / SIDE * ((g->n + SIDE - 1) / SIDE);
    unsigned batch = (unsigned)(g->batch < 65535 ? g->batch : 65535);

    T3DI_LAUNCH(gemm_kernel, dim3((unsigned)tiles, batch), THREADS, stream, *g, c, a, b);
}
