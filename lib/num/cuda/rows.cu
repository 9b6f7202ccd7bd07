/* SPDX-License-Identifier: Apache-2.0 */
/* Norms, softmax and cross entropy: a team of threads a row. A row is read again from the cache,
 * not kept in registers, so that it may have any length. */
#include "num/cuda/device.cuh"

/* --- layer norm and RMS norm ---------------------------------------------------------------------
 */

struct norm {
    struct t3di_dev x, gamma, beta;
    int64_t rows, n;
    int rms;
    float eps;
};

template <int W>
static __global__ void norm_kernel(struct t3di_dev y, float *stat, struct norm a, int size)
{
    struct team t = team_here(size);
    int there = t.row < a.rows;
    int64_t base = t.row * a.n;
    float sum = 0, mean = 0, rstd;

    for (int64_t j = t.lane * W; there && !a.rms && j < a.n; j += size * W) {
        vec<W> x = load_vec<W>(a.x, base + j);

        for (int k = 0; k < W; k++)
            sum += x.v[k];
    }
    if (!a.rms)
        mean = team_sum(t, sum) / (float)a.n;
    sum = 0;
    for (int64_t j = t.lane * W; there && j < a.n; j += size * W) {
        vec<W> x = load_vec<W>(a.x, base + j);

        for (int k = 0; k < W; k++)
            sum = fmaf(x.v[k] - mean, x.v[k] - mean, sum);
    }
    rstd = 1 / sqrtf(team_sum(t, sum) / (float)a.n + a.eps);
    for (int64_t j = t.lane * W; there && j < a.n; j += size * W) {
        vec<W> x = load_vec<W>(a.x, base + j), w;

        for (int k = 0; k < W; k++)
            x.v[k] = (x.v[k] - mean) * rstd;
        if (a.gamma.p) {
            w = load_vec<W>(a.gamma, j);
            for (int k = 0; k < W; k++)
                x.v[k] *= w.v[k];
        }
        if (a.beta.p) {
            w = load_vec<W>(a.beta, j);
            for (int k = 0; k < W; k++)
                x.v[k] += w.v[k];
        }
        store_vec<W>(y, base + j, x);
    }
    if (there && stat && t.lane == 0) {
        stat[2 * t.row] = mean;
        stat[2 * t.row + 1] = rstd;
    }
}

void t3di_cuda_norm(struct t3di_dev y, float *stat, struct t3di_dev x, struct t3di_dev gamma,
                    struct t3di_dev beta, int64_t rows, int64_t n, int rms, float eps, void *stream)
{
    struct norm a = {x, gamma, beta, rows, n, rms, eps};
    int size = team_for(n);

    if (vec_ok(n))
        T3DI_LAUNCH(norm_kernel<4>, team_blocks(rows, size), THREADS, stream, y, stat, a, size);
    else
        T3DI_LAUNCH(norm_kernel<1>, team_blocks(rows, size), THREADS, stream, y, stat, a, size);
}

/* With h = (x - mean) rstd, e = gy gamma: dx = rstd (e - mean(e) - h mean(e h)). */
template <int W>
static __global__ void norm_grad_kernel(struct t3di_dev g, struct t3di_dev gy, const float *stat,
                                        struct norm a, int set, int size)
{
    struct team t = team_here(size);
    int there = t.row < a.rows;
    int64_t base = t.row * a.n;
    float mean = there ? stat[2 * t.row] : 0, rstd = there ? stat[2 * t.row + 1] : 0;
    float m1 = 0, m2 = 0;

    for (int64_t j = t.lane * W; there && j < a.n; j += size * W) {
        vec<W> x = load_vec<W>(a.x, base + j), e = load_vec<W>(gy, base + j), w;

        if (a.gamma.p) {
            w = load_vec<W>(a.gamma, j);
            for (int k = 0; k < W; k++)
                e.v[k] *= w.v[k];
        }
        for (int k = 0; k < W; k++) {
            m1 += e.v[k];
            m2 = fmaf(e.v[k], (x.v[k] - mean) * rstd, m2);
        }
    }
    m1 = a.rms ? 0 : team_sum(t, m1) / (float)a.n;
    m2 = team_sum(t, m2) / (float)a.n;
    for (int64_t j = t.lane * W; there && j < a.n; j += size * W) {
        vec<W> x = load_vec<W>(a.x, base + j), e = load_vec<W>(gy, base + j), w;

        if (a.gamma.p) {
            w = load_vec<W>(a.gamma, j);
            for (int k = 0; k < W; k++)
                e.v[k] *= w.v[k];
        }
        for (int k = 0; k < W; k++)
            e.v[k] = rstd * (e.v[k] - m1 - (x.v[k] - mean) * rstd * m2);
        add_vec<W>(g, base + j, e, set);
    }
}

/* Sums over rows of gy h and gy: a thread a column, blocks of rows. to (parts, 2, n). */
static __global__ void norm_columns_kernel(float *to, struct t3di_dev gy, const float *stat,
                                           struct norm a, int64_t part)
{
    int64_t j = (int64_t)blockIdx.x * THREADS + threadIdx.x, first = (int64_t)blockIdx.y * part;
    int64_t end = first + part < a.rows ? first + part : a.rows;
    float by_h = 0, plain = 0;

    if (j >= a.n)
        return;
    for (int64_t i = first; i < end; i++) {
        float e = load(gy, i * a.n + j);

        by_h = fmaf(e, (load(a.x, i * a.n + j) - stat[2 * i]) * stat[2 * i + 1], by_h);
        plain += e;
    }
    to[(2 * (int64_t)blockIdx.y) * a.n + j] = by_h;
    to[(2 * (int64_t)blockIdx.y + 1) * a.n + j] = plain;
}

static __global__ void norm_gather_kernel(struct t3di_dev ggamma, struct t3di_dev gbeta,
                                          const float *from, int64_t n, int64_t parts)
{
    int64_t j = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    float by_h = 0, plain = 0;

    if (j >= n)
        return;
    for (int64_t i = 0; i < parts; i++) {
        by_h += from[2 * i * n + j];
        plain += from[(2 * i + 1) * n + j];
    }
    if (ggamma.p)
        store(ggamma, j, load(ggamma, j) + by_h);
    if (gbeta.p)
        store(gbeta, j, load(gbeta, j) + plain);
}

static int64_t norm_part(int64_t rows)
{
    int64_t part = (rows + 63) / 64;

    return part < 16 ? 16 : part;
}

int64_t t3di_cuda_norm_work(int64_t rows, int64_t n)
{
    int64_t part = norm_part(rows);

    return (rows + part - 1) / part * 2 * n * (int64_t)sizeof(float);
}

void t3di_cuda_norm_grad(struct t3di_dev g, struct t3di_dev ggamma, struct t3di_dev gbeta,
                         struct t3di_dev gy, struct t3di_dev x, const float *stat,
                         struct t3di_dev gamma, int64_t rows, int64_t n, int rms, int set,
                         float *work, void *stream)
{
    struct norm a = {x, gamma, {}, rows, n, rms, 0};
    int size = team_for(n);
    int64_t part = norm_part(rows), parts = (rows + part - 1) / part;
    unsigned blocks = (unsigned)((n + THREADS - 1) / THREADS);

    if (g.p && vec_ok(n))
        T3DI_LAUNCH(norm_grad_kernel<4>, team_blocks(rows, size), THREADS, stream, g, gy, stat, a,
                    set, size);
    else if (g.p)
        T3DI_LAUNCH(norm_grad_kernel<1>, team_blocks(rows, size), THREADS, stream, g, gy, stat, a,
                    set, size);
    if (!ggamma.p && !gbeta.p)
        return;
    T3DI_LAUNCH(norm_columns_kernel, dim3(blocks, (unsigned)parts), THREADS, stream, work, gy, stat,
                a, part);
    T3DI_LAUNCH(norm_gather_kernel, blocks, THREADS, stream, ggamma, gbeta, work, n, parts);
}

/* --- softmax
 * ---------------------------------------------------------------------------------------- */

template <int W>
__device__ static inline float row_max(struct team t, struct t3di_dev x, int64_t n, int there)
{
    float most = -INFINITY;

    for (int64_t j = t.lane * W; there && j < n; j += t.size * W) {
        vec<W> v = load_vec<W>(x, t.row * n + j);

        for (int k = 0; k < W; k++)
            most = fmaxf(most, v.v[k]);
    }
    return team_max(t, most);
}

template <int W>
__device__ static inline float row_exp_sum(struct team t, struct t3di_dev x, int64_t n, float most,
                                           int there)
{
    float sum = 0;

    for (int64_t j = t.lane * W; there && j < n; j += t.size * W) {
        vec<W> v = load_vec<W>(x, t.row * n + j);

        for (int k = 0; k < W; k++)
            sum += expf(v.v[k] - most);
    }
    return team_sum(t, sum);
}

template <int W>
static __global__ void softmax_kernel(struct t3di_dev y, struct t3di_dev x, int64_t rows, int64_t n,
                                      int size)
{
    struct team t = team_here(size);
    int there = t.row < rows;
    float most = row_max<W>(t, x, n, there), sum = row_exp_sum<W>(t, x, n, most, there);

    for (int64_t j = t.lane * W; there && j < n; j += size * W) {
        vec<W> v = load_vec<W>(x, t.row * n + j);

        for (int k = 0; k < W; k++)
            v.v[k] = expf(v.v[k] - most) / sum;
        store_vec<W>(y, t.row * n + j, v);
    }
}

void t3di_cuda_softmax(struct t3di_dev y, struct t3di_dev x, int64_t rows, int64_t n, void *stream)
{
    int size = team_for(n);

    if (vec_ok(n))
        T3DI_LAUNCH(softmax_kernel<4>, team_blocks(rows, size), THREADS, stream, y, x, rows, n,
                    size);
    else
        T3DI_LAUNCH(softmax_kernel<1>, team_blocks(rows, size), THREADS, stream, y, x, rows, n,
                    size);
}

template <int W>
static __global__ void softmax_grad_kernel(struct t3di_dev g, struct t3di_dev gy, struct t3di_dev y,
                                           int64_t rows, int64_t n, int set, int size)
{
    struct team t = team_here(size);
    int there = t.row < rows;
    float dot = 0;

    for (int64_t j = t.lane * W; there && j < n; j += size * W) {
        vec<W> a = load_vec<W>(gy, t.row * n + j), b = load_vec<W>(y, t.row * n + j);

        for (int k = 0; k < W; k++)
            dot = fmaf(a.v[k], b.v[k], dot);
    }
    dot = team_sum(t, dot);
    for (int64_t j = t.lane * W; there && j < n; j += size * W) {
        vec<W> a = load_vec<W>(gy, t.row * n + j), b = load_vec<W>(y, t.row * n + j);

        for (int k = 0; k < W; k++)
            a.v[k] = b.v[k] * (a.v[k] - dot);
        add_vec<W>(g, t.row * n + j, a, set);
    }
}

void t3di_cuda_softmax_grad(struct t3di_dev g, struct t3di_dev gy, struct t3di_dev y, int64_t rows,
                            int64_t n, int set, void *stream)
{
    int size = team_for(n);

    if (vec_ok(n))
        T3DI_LAUNCH(softmax_grad_kernel<4>, team_blocks(rows, size), THREADS, stream, g, gy, y,
                    rows, n, set, size);
    else
        T3DI_LAUNCH(softmax_grad_kernel<1>, team_blocks(rows, size), THREADS, stream, g, gy, y,
                    rows, n, set, size);
}

/* --- cross entropy
 * ------------------------------------------------------------------------------------ */

__device__ static inline int64_t target_of(const struct t3di_cuda_rows *r, int64_t i)
{
    return r->target ? r->target[i] : i;
}

/* A row's loss to row_loss[i]; 0 where it does not count. */
static __global__ void entropy_kernel(float *row_loss, float *log_sum, struct t3di_cuda_rows r,
                                      unsigned long long *check, int size)
{
    struct team t = team_here(size);
    int there = t.row < r.rows;
    float most = row_max<1>(t, r.x, r.classes, there);
    float l = most + logf(row_exp_sum<1>(t, r.x, r.classes, most, there));
    int64_t target = there ? target_of(&r, t.row) : -1;

    if (!there || t.lane)
        return;
    if (target >= r.classes) {
        complain(check, t.row, (int32_t)target);
        target = -1;
    }
    row_loss[t.row] = target < 0 ? 0 : l - load(r.x, t.row * r.classes + target);
    if (log_sum)
        log_sum[t.row] = l;
}

/* One block: the number of rows that count, at least 1, to *counted; the mean to *loss. */
static __global__ void entropy_mean_kernel(float *loss, float *counted, const float *row_loss,
                                           struct t3di_cuda_rows r)
{
    double sum = 0, n = 0;

    for (int64_t i = threadIdx.x; i < r.rows; i += THREADS) {
        sum += row_loss ? (double)row_loss[i] : 0;
        n += target_of(&r, i) >= 0;
    }
    sum = block_sum(sum);
    n = block_sum(n);
    n = n < 1 ? 1 : n;
    if (threadIdx.x)
        return;
    if (loss)
        *loss = (float)(sum / n);
    if (counted)
        *counted = (float)n;
}

int64_t t3di_cuda_entropy_work(int64_t rows)
{
    return rows * (int64_t)sizeof(float);
}

void t3di_cuda_entropy(float *loss, float *log_sum, const struct t3di_cuda_rows *r,
                       unsigned long long *check, float *work, void *stream)
{
    int size = team_for(r->classes);

    T3DI_LAUNCH(entropy_kernel, team_blocks(r->rows, size), THREADS, stream, work, log_sum, *r,
                check, size);
    T3DI_LAUNCH(entropy_mean_kernel, 1, THREADS, stream, loss, (float *)0, work, *r);
}

/* dx = gy (softmax - one hot) / rows that count */
static __global__ void entropy_grad_kernel(struct t3di_dev g, const float *gy, const float *log_sum,
                                           const float *counted, struct t3di_cuda_rows r, int size)
{
    struct team t = team_here(size);
    int64_t target = t.row < r.rows ? target_of(&r, t.row) : -1;
    float scale;

    if (target < 0 || target >= r.classes)
        return;
    scale = *gy / *counted;
    for (int64_t j = t.lane; j < r.classes; j += size) {
        int64_t at = t.row * r.classes + j;
        float p = expf(load(r.x, at) - log_sum[t.row]) - (j == target ? 1 : 0);

        store(g, at, load(g, at) + scale * p);
    }
}

void t3di_cuda_entropy_grad(struct t3di_dev g, const float *gy, const float *log_sum,
                            const struct t3di_cuda_rows *r, float *work, void *stream)
{
    int size = team_for(r->classes);

    T3DI_LAUNCH(entropy_mean_kernel, 1, THREADS, stream, (float *)0, work, (const float *)0, *r);
    T3DI_LAUNCH(entropy_grad_kernel, team_blocks(r->rows, size), THREADS, stream, g, gy, log_sum,
                work, *r, size);
}
