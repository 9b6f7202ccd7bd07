/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cpu/gemm.h"

#include <omp.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "num/cpu/kernel.h"

enum {
    KC = 256,     /* a panel of B (KC, nr) fills half of the first-level cache */
    PANELS_M = 8, /* panels of A that a task packs */
    MAX_MR = 16
};

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

size_t t3di_gemm_packed(int64_t n, int64_t k)
{
    int nr = t3di_kernel()->nr;

    return (size_t)(ceil_div(n, nr) * nr * k) * sizeof(t3d_real);
}

size_t t3di_gemm_work(int64_t m, int64_t n, int64_t k, int threads, int packed)
{
    (void)m;
    return (packed ? 0 : (t3di_gemm_packed(n, k) + 63) / 64 * 64) +
           (size_t)threads * PANELS_M * MAX_MR * KC * sizeof(t3d_real);
}

/* to[p w + i] = from[i step + p] for 4 i and 4 p. */
static void transpose_4(t3d_real *to, int w, const t3d_real *from, int64_t step)
{
#if defined(__SSE2__) && !defined(T3D_REAL_DOUBLE)
    __m128 r0 = _mm_loadu_ps(from), r1 = _mm_loadu_ps(from + step);
    __m128 r2 = _mm_loadu_ps(from + 2 * step), r3 = _mm_loadu_ps(from + 3 * step);

    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    _mm_storeu_ps(to, r0);
    _mm_storeu_ps(to + w, r1);
    _mm_storeu_ps(to + 2 * w, r2);
    _mm_storeu_ps(to + 3 * w, r3);
#else
    for (int i = 0; i < 4; i++)
        for (int p = 0; p < 4; p++)
            to[p * w + i] = from[i * step + p];
#endif
}

static void pack_rows(t3d_real *to, int w, const t3d_real *from, int have, int64_t step, int64_t k)
{
    int i = 0;

    for (; i + 4 <= have; i += 4) {
        const t3d_real *row = from + i * step;
        int64_t p = 0;

        for (; p + 4 <= k; p += 4)
            transpose_4(to + p * w + i, w, row + p, step);
        for (; p < k; p++)
            for (int j = 0; j < 4; j++)
                to[p * w + i + j] = row[j * step + p];
    }
    for (; i < have; i++)
        for (int64_t p = 0; p < k; p++)
            to[p * w + i] = from[i * step + p];
}

/* to[p w + i] = from[i step_i + p step_p] for i < have, 0 up to w. */
static void pack_panel(t3d_real *to, int w, const t3d_real *from, int have, int64_t step_i,
                       int64_t k, int64_t step_p)
{
    if (have < w)
        memset(to, 0, (size_t)(k * w) * sizeof *to);
    if (step_i == 1 && have == w) {
        for (int64_t p = 0; p < k; p++)
            memcpy(to + p * w, from + p * step_p, (size_t)w * sizeof *to);
        return;
    }
    if (step_p == 1) {
        pack_rows(to, w, from, have, step_i, k);
        return;
    }
    for (int i = 0; i < have; i++)
        for (int64_t p = 0; p < k; p++)
            to[p * w + i] = from[i * step_i + p * step_p];
}

void t3di_gemm_pack(const struct t3di_gemm *g, t3d_real *to, int threads)
{
    int nr = t3di_kernel()->nr;
    int64_t panels = ceil_div(g->n, nr);

#pragma omp parallel for if (threads > 1) num_threads(threads)
    for (int64_t j = 0; j < panels; j++)
        for (int64_t p = 0; p < g->k; p += KC) {
            int64_t kc = T3D_MIN(KC, g->k - p);
            int have = (int)T3D_MIN(nr, g->n - j * nr);

            pack_panel(to + p * panels * nr + j * nr * kc, nr,
                       g->b + p * g->b_row + j * nr * g->b_col, have, g->b_col, kc, g->b_row);
        }
}

/* Rows [i0, i1) and panels [j0, j1) of C. */
static void block(const struct t3di_gemm *g, const t3d_real *packed, t3d_real *a_panels, int64_t i0,
                  int64_t i1, int64_t j0, int64_t j1)
{
    const struct t3di_kernel *kernel = t3di_kernel();
    int mr = kernel->mr, nr = kernel->nr;
    int64_t width = ceil_div(g->n, nr) * nr;

    for (int64_t p = 0; p < g->k; p += KC) {
        int64_t kc = T3D_MIN(KC, g->k - p);

        for (int64_t i = i0; i < i1; i += mr)
            pack_panel(a_panels + (i - i0) * kc, mr, g->a + i * g->a_row + p * g->a_col,
                       (int)T3D_MIN(mr, i1 - i), g->a_row, kc, g->a_col);
        for (int64_t j = j0; j < j1; j++)
            for (int64_t i = i0; i < i1; i += mr)
                kernel->tile(g->c + i * g->c_row + j * nr, g->c_row, a_panels + (i - i0) * kc,
                             packed + p * width + j * nr * kc, kc, (int)T3D_MIN(mr, i1 - i),
                             (int)T3D_MIN(nr, g->n - j * nr), g->add || p);
    }
}

void t3di_gemm(const struct t3di_gemm *g, void *work, int threads)
{
    const struct t3di_kernel *kernel = t3di_kernel();
    int64_t panels = ceil_div(g->n, kernel->nr), rows = PANELS_M * kernel->mr;
    int64_t down = ceil_div(g->m, rows), wide = T3D_MIN(panels, 32), across;
    t3d_real *scratch = work;
    const t3d_real *packed = g->packed;

    if (!packed) {
        t3di_gemm_pack(g, scratch, threads);
        packed = scratch;
        scratch += (t3di_gemm_packed(g->n, g->k) + 63) / 64 * 64 / sizeof *scratch;
    }
    while (wide > 4 && down * ceil_div(panels, wide) < 4 * threads && threads > 1)
        wide = (wide + 1) / 2;
    across = ceil_div(panels, wide);
#pragma omp parallel for if (threads > 1) num_threads(threads)
    for (int64_t t = 0; t < down * across; t++) {
        int64_t i = t / across * rows, j = t % across * wide;
        t3d_real *mine =
            scratch + (size_t)(threads > 1 ? omp_get_thread_num() : 0) * PANELS_M * MAX_MR * KC;

        block(g, packed, mine, i, T3D_MIN(g->m, i + rows), j, T3D_MIN(panels, j + wide));
    }
}

size_t t3di_gemm_small_work(int64_t n, int64_t k)
{
    return (t3di_gemm_packed(n, k) + 63) / 64 * 64;
}

void t3di_gemm_small(const struct t3di_gemm *g, void *work)
{
    const struct t3di_kernel *kernel = t3di_kernel();
    int nr = kernel->nr, pack = g->b_col != 1;
    /* rows in equal parts: five of 10 are faster than four of 12 and one of 2 */
    int64_t parts = ceil_div(g->m, kernel->small_rows), rows = ceil_div(g->m, parts);
    t3d_real *panel = work;

    for (int64_t j = 0; j < g->n; j += nr) {
        int64_t n = T3D_MIN(nr, g->n - j);
        const t3d_real *b = g->b + j * g->b_col;

        if (pack) {
            pack_panel(panel, nr, b, (int)n, g->b_col, g->k, g->b_row);
            b = panel;
        }
        for (int64_t i = 0; i < g->m; i += rows)
            kernel->small(g->c + i * g->c_row + j, g->c_row, g->a + i * g->a_row, g->a_row,
                          g->a_col, b, pack ? nr : g->b_row, g->k, (int)T3D_MIN(rows, g->m - i), n,
                          g->add);
    }
}
