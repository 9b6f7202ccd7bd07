/* SPDX-License-Identifier: Apache-2.0 */
/* num/cpu/kernel_body.h -- the inner loops themselves; included once for each instruction set. */
#ifndef T3D_NUM_CPU_KERNEL_BODY_H
#define T3D_NUM_CPU_KERNEL_BODY_H

#include "num/cpu/kernel.h"
#include "num/cpu/simd.h"

/* --- functions of one variable --------------------------------------------------------------- */

static inline vec v_sigmoid(vec x)
{
    return 1 / (1 + v_exp(-x));
}

static inline vec f_linear(vec x, vec p, vec q)
{
    return v_fma(x, p, q);
}

static inline vec d_linear(vec x, vec p, vec q)
{
    (void)x, (void)q;
    return p;
}

/* Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016: x Phi(x), and its tanh form.
 * Phi(-|x|) = erfc(|x| / sqrt 2) / 2; *e = exp(-x^2 / 2). */
static inline vec v_lower_tail(vec x, vec *e)
{
    *e = v_exp(x * x * (t3d_real)-0.5);
    return (t3d_real)0.5 * v_erfc_of(v_max(x, -x) * (t3d_real)0.70710678118654752, *e);
}

static inline vec f_gelu_erf(vec x, vec p, vec q)
{
    vec e, tail = v_lower_tail(x, &e);

    (void)p, (void)q;
    return v_max(x, v_set(0)) - v_max(x, -x) * tail;
}

static inline vec d_gelu_erf(vec x, vec p, vec q)
{
    vec e, tail = v_lower_tail(x, &e);

    (void)p, (void)q;
    return v_fma(x * (t3d_real)0.39894228040143268, e, v_select(x < 0, tail, 1 - tail));
}

static inline vec f_gelu_tanh(vec x, vec p, vec q)
{
    vec u = x * (t3d_real)0.79788456080286536 * (1 + x * x * (t3d_real)0.044715);

    (void)p, (void)q;
    return x * (t3d_real)0.5 * (1 + v_tanh(u));
}

static inline vec d_gelu_tanh(vec x, vec p, vec q)
{
    const t3d_real c = (t3d_real)0.79788456080286536;
    vec z = x * x, t = v_tanh(x * c * (1 + z * (t3d_real)0.044715));

    (void)p, (void)q;
    return (t3d_real)0.5 * (1 + t) +
           x * (t3d_real)0.5 * (1 - t * t) * c * (1 + z * (t3d_real)(3 * 0.044715));
}

static inline vec f_quick_gelu(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return x * v_sigmoid(x * (t3d_real)1.702);
}

static inline vec d_quick_gelu(vec x, vec p, vec q)
{
    vec s = v_sigmoid(x * (t3d_real)1.702);

    (void)p, (void)q;
    return s * (1 + x * (t3d_real)1.702 * (1 - s));
}

static inline vec f_silu(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return x * v_sigmoid(x);
}

static inline vec d_silu(vec x, vec p, vec q)
{
    vec s = v_sigmoid(x);

    (void)p, (void)q;
    return s * (1 + x * (1 - s));
}

static inline vec f_relu(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return v_max(x, v_set(0));
}

static inline vec d_relu(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return v_select(x > 0, v_set(1), v_set(0));
}

static inline vec f_sigmoid(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return v_sigmoid(x);
}

static inline vec d_sigmoid(vec x, vec p, vec q)
{
    vec s = v_sigmoid(x);

    (void)p, (void)q;
    return s * (1 - s);
}

static inline vec f_tanh(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return v_tanh(x);
}

static inline vec d_tanh(vec x, vec p, vec q)
{
    vec t = v_tanh(x);

    (void)p, (void)q;
    return 1 - t * t;
}

static inline vec f_exp(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return v_exp(x);
}

static inline vec d_exp(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return v_exp(x);
}

static inline vec f_log(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return v_log(x);
}

static inline vec d_log(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return 1 / x;
}

/* log(1 + exp x) = max(x, 0) + log(1 + exp -|x|) */
static inline vec f_softplus(vec x, vec p, vec q)
{
    vec a = v_max(x, -x);

    (void)p, (void)q;
    return v_max(x, v_set(0)) + v_log1p_of(v_exp(-a));
}

static inline vec d_softplus(vec x, vec p, vec q)
{
    (void)p, (void)q;
    return v_sigmoid(x);
}

static inline vec f_clamp(vec x, vec p, vec q)
{
    return v_min(v_max(x, p), q);
}

static inline vec d_clamp(vec x, vec p, vec q)
{
    return v_select((x > p) & (x < q), v_set(1), v_set(0));
}

#define T3DI_UNARY_OF(name)                                                                        \
    static inline void unary_##name(t3d_real *y, const t3d_real *x, int64_t n, t3d_real p,         \
                                    t3d_real q)                                                    \
    {                                                                                              \
        vec vp = v_set(p), vq = v_set(q);                                                          \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + LANES <= n; i += LANES)                                                         \
            v_store(y + i, f_##name(v_load(x + i), vp, vq));                                       \
        if (i < n)                                                                                 \
            v_store_part(y + i, f_##name(v_load_part(x + i, n - i), vp, vq), n - i);               \
    }                                                                                              \
    static inline void grad_##name(t3d_real *g, const t3d_real *gy, const t3d_real *x, int64_t n,  \
                                   t3d_real p, t3d_real q, int set)                                \
    {                                                                                              \
        vec vp = v_set(p), vq = v_set(q);                                                          \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + LANES <= n; i += LANES) {                                                       \
            vec d = v_load(gy + i) * d_##name(v_load(x + i), vp, vq);                              \
                                                                                                   \
            v_store(g + i, set ? d : v_load(g + i) + d);                                           \
        }                                                                                          \
        if (i < n) {                                                                               \
            vec d = v_load_part(gy + i, n - i) * d_##name(v_load_part(x + i, n - i), vp, vq);      \
                                                                                                   \
            v_store_part(g + i, set ? d : v_load_part(g + i, n - i) + d, n - i);                   \
        }                                                                                          \
    }

T3DI_UNARY_OF(linear)
T3DI_UNARY_OF(gelu_erf)
T3DI_UNARY_OF(gelu_tanh)
T3DI_UNARY_OF(quick_gelu)
T3DI_UNARY_OF(silu)
T3DI_UNARY_OF(relu)
T3DI_UNARY_OF(sigmoid)
T3DI_UNARY_OF(tanh)
T3DI_UNARY_OF(exp)
T3DI_UNARY_OF(log)
T3DI_UNARY_OF(softplus)
T3DI_UNARY_OF(clamp)

/* --- functions of two variables --------------------------------------------------------------- */

static inline vec v_next(const t3d_real *p, int step, int64_t i)
{
    return step ? v_load(p + i) : v_set(*p);
}

static inline vec v_next_part(const t3d_real *p, int step, int64_t i, int64_t n)
{
    return step ? v_load_part(p + i, n - i) : v_set(*p);
}

/* g = gy is the factor; a and b the operands. */
#define T3DI_BINARY_OF(name, value, by_a, by_b)                                                    \
    static inline vec f_##name(vec a, vec b)                                                       \
    {                                                                                              \
        return value;                                                                              \
    }                                                                                              \
    static inline vec a_##name(vec g, vec a, vec b)                                                \
    {                                                                                              \
        (void)a, (void)b;                                                                          \
        return by_a;                                                                               \
    }                                                                                              \
    static inline vec b_##name(vec g, vec a, vec b)                                                \
    {                                                                                              \
        (void)a, (void)b;                                                                          \
        return by_b;                                                                               \
    }                                                                                              \
    static inline void binary_##name(t3d_real *y, const t3d_real *a, int sa, const t3d_real *b,    \
                                     int sb, int64_t n)                                            \
    {                                                                                              \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + LANES <= n; i += LANES)                                                         \
            v_store(y + i, f_##name(v_next(a, sa, i), v_next(b, sb, i)));                          \
        if (i < n)                                                                                 \
            v_store_part(y + i, f_##name(v_next_part(a, sa, i, n), v_next_part(b, sb, i, n)),      \
                         n - i);                                                                   \
    }                                                                                              \
    T3DI_BINARY_GRAD(name, a)                                                                      \
    T3DI_BINARY_GRAD(name, b)

#define T3DI_BINARY_GRAD(name, by)                                                                 \
    static inline void by##_grad_##name(t3d_real *g, const t3d_real *gy, const t3d_real *a,        \
                                        int sa, const t3d_real *b, int sb, int64_t n, int set)     \
    {                                                                                              \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + LANES <= n; i += LANES) {                                                       \
            vec d = by##_##name(v_load(gy + i), v_next(a, sa, i), v_next(b, sb, i));               \
                                                                                                   \
            v_store(g + i, set ? d : v_load(g + i) + d);                                           \
        }                                                                                          \
        if (i < n) {                                                                               \
            vec d = by##_##name(v_load_part(gy + i, n - i), v_next_part(a, sa, i, n),              \
                                v_next_part(b, sb, i, n));                                         \
                                                                                                   \
            v_store_part(g + i, set ? d : v_load_part(g + i, n - i) + d, n - i);                   \
        }                                                                                          \
    }

T3DI_BINARY_OF(add, a + b, g, g)
T3DI_BINARY_OF(sub, a - b, g, -g)
T3DI_BINARY_OF(mul, a *b, g *b, g *a)
T3DI_BINARY_OF(div, a / b, g / b, -g *a / (b * b))

/* --- rows ------------------------------------------------------------------------------------- */

static inline void row_axpy(t3d_real *y, t3d_real a, const t3d_real *x, int64_t n)
{
    vec va = v_set(a);
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_fma(va, v_load(x + i), v_load(y + i)));
    if (i < n)
        v_store_part(y + i, v_fma(va, v_load_part(x + i, n - i), v_load_part(y + i, n - i)), n - i);
}

/* Sums run in 4 vectors, then lane by lane: an order fixed by n alone. */
#define T3DI_SUM_OF(name, args, term, part)                                                        \
    static inline t3d_real name args                                                               \
    {                                                                                              \
        vec s[4] = {{0}, {0}, {0}, {0}};                                                           \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + 4 * LANES <= n; i += 4 * LANES)                                                 \
            for (int k = 0; k < 4; k++) {                                                          \
                int64_t j = i + k * LANES;                                                         \
                                                                                                   \
                s[k] = term;                                                                       \
            }                                                                                      \
        for (int k = 0; i + LANES <= n; i += LANES, k++) {                                         \
            int64_t j = i;                                                                         \
                                                                                                   \
            s[k] = term;                                                                           \
        }                                                                                          \
        if (i < n)                                                                                 \
            s[3] += part;                                                                          \
        return v_sum((s[0] + s[1]) + (s[2] + s[3]));                                               \
    }

static inline vec v_square_part(const t3d_real *x, t3d_real mean, int64_t n)
{
    t3d_real t[LANES] = {0};

    for (int64_t i = 0; i < n; i++)
        t[i] = (x[i] - mean) * (x[i] - mean);
    return v_load(t);
}

static inline vec v_add_square(vec s, vec x)
{
    return v_fma(x, x, s);
}

T3DI_SUM_OF(row_sum, (const t3d_real *x, int64_t n), s[k] + v_load(x + j),
            v_load_part(x + i, n - i))
T3DI_SUM_OF(row_dot, (const t3d_real *x, const t3d_real *y, int64_t n),
            v_fma(v_load(x + j), v_load(y + j), s[k]),
            v_load_part(x + i, n - i) * v_load_part(y + i, n - i))
T3DI_SUM_OF(row_sum_squares, (const t3d_real *x, t3d_real mean, int64_t n),
            v_add_square(s[k], v_load(x + j) - mean), v_square_part(x + i, mean, n - i))

static inline t3d_real row_max(const t3d_real *x, int64_t n)
{
    t3d_real best = x[0], t[LANES];
    vec m = v_set(x[0]);
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        m = v_max(m, v_load(x + i));
    v_store(t, m);
    for (int k = 0; k < LANES; k++)
        best = T3D_MAX(best, t[k]);
    for (; i < n; i++)
        best = T3D_MAX(best, x[i]);
    return best;
}

static inline t3d_real row_exp_sum(t3d_real *y, const t3d_real *x, t3d_real shift, int64_t n)
{
    vec s = {0};
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        vec e = v_exp(v_load(x + i) - shift);

        v_store(y + i, e);
        s += e;
    }
    if (i < n) {
        t3d_real t[LANES] = {0};

        v_store_part(t, v_exp(v_load_part(x + i, n - i) - shift), n - i);
        memcpy(y + i, t, (size_t)(n - i) * sizeof *y);
        s += v_load(t);
    }
    return v_sum(s);
}

static inline vec v_normal(vec x, vec mean, vec rstd, vec gamma, vec beta)
{
    return v_fma((x - mean) * rstd, gamma, beta);
}

static inline void row_normalise(t3d_real *y, const t3d_real *x, t3d_real mean, t3d_real rstd,
                                 const t3d_real *gamma, const t3d_real *beta, int64_t n)
{
    const t3d_real one = 1, zero = 0;
    const t3d_real *pg = gamma ? gamma : &one, *pb = beta ? beta : &zero;
    vec m = v_set(mean), r = v_set(rstd);
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_normal(v_load(x + i), m, r, v_next(pg, gamma != NULL, i),
                                v_next(pb, beta != NULL, i)));
    if (i < n)
        v_store_part(y + i,
                     v_normal(v_load_part(x + i, n - i), m, r, v_next_part(pg, gamma != NULL, i, n),
                              v_next_part(pb, beta != NULL, i, n)),
                     n - i);
}

/* Of gy and h = (x - mean) rstd: by_gamma += gy h, by_beta += gy; sum[0] = the sum of e = gy gamma,
 * sum[1] = that of e h. */
static inline void row_norm_sums(const t3d_real *gy, const t3d_real *x, t3d_real mean,
                                 t3d_real rstd, const t3d_real *gamma, t3d_real *by_gamma,
                                 t3d_real *by_beta, int64_t n, t3d_real sum[2])
{
    const t3d_real one = 1, *pg = gamma ? gamma : &one;
    vec m = v_set(mean), r = v_set(rstd), s0 = {0}, s1 = {0};
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        vec g = v_load(gy + i), h = (v_load(x + i) - m) * r, e = g * v_next(pg, gamma != NULL, i);

        v_store(by_gamma + i, v_fma(g, h, v_load(by_gamma + i)));
        v_store(by_beta + i, v_load(by_beta + i) + g);
        s0 += e;
        s1 = v_fma(e, h, s1);
    }
    if (i < n) { /* beyond n, gy and so all else is 0 */
        vec g = v_load_part(gy + i, n - i), h = (v_load_part(x + i, n - i) - m) * r;
        vec e = g * v_next_part(pg, gamma != NULL, i, n);

        v_store_part(by_gamma + i, v_fma(g, h, v_load_part(by_gamma + i, n - i)), n - i);
        v_store_part(by_beta + i, v_load_part(by_beta + i, n - i) + g, n - i);
        s0 += e;
        s1 = v_fma(e, h, s1);
    }
    sum[0] = v_sum(s0);
    sum[1] = v_sum(s1);
}

/* g (+)= rstd (gy gamma - m1 - h m2) */
static inline void row_norm_grad(t3d_real *g, const t3d_real *gy, const t3d_real *x, t3d_real mean,
                                 t3d_real rstd, const t3d_real *gamma, t3d_real m1, t3d_real m2,
                                 int64_t n, int set)
{
    const t3d_real one = 1, *pg = gamma ? gamma : &one;
    vec m = v_set(mean), r = v_set(rstd), a = v_set(m1), b = v_set(-m2);
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        vec h = (v_load(x + i) - m) * r;
        vec d = r * v_fma(h, b, v_load(gy + i) * v_next(pg, gamma != NULL, i) - a);

        v_store(g + i, set ? d : v_load(g + i) + d);
    }
    if (i < n) {
        vec h = (v_load_part(x + i, n - i) - m) * r;
        vec d =
            r * v_fma(h, b, v_load_part(gy + i, n - i) * v_next_part(pg, gamma != NULL, i, n) - a);

        v_store_part(g + i, set ? d : v_load_part(g + i, n - i) + d, n - i);
    }
}

/* --- the tile of a matrix product --------------------------------------------------------------
 */

#if defined(__AVX512F__)
enum { MR = 14 }; /* 28 of 32 registers */
#elif defined(__AVX2__)
enum { MR = 6 }; /* 12 of 16 */
#else
enum { MR = 4 };
#endif
enum { NR = 2 * LANES };

/* Registers for the most part: the hardening flag that clears variables would clear 2 KiB a call.
 */
#define T3DI_RAW __attribute__((uninitialized))
#ifdef __clang__
#define T3DI_UNROLL _Pragma("unroll")
#else
#define T3DI_UNROLL _Pragma("GCC unroll 16")
#endif

static inline void tile(t3d_real *c, int64_t ldc, const t3d_real *a, const t3d_real *b, int64_t k,
                        int m, int n, int add)
{
    T3DI_RAW vec acc[MR][2];
    T3DI_RAW t3d_real edge[MR][NR];

    T3DI_UNROLL
    for (int i = 0; i < MR; i++)
        acc[i][0] = acc[i][1] = v_set(0);
    for (int64_t p = 0; p < k; p++, a += MR, b += NR) {
        vec b0 = v_load(b), b1 = v_load(b + LANES);

        T3DI_UNROLL
        for (int i = 0; i < MR; i++) {
            vec x = v_set(a[i]);

            acc[i][0] = v_fma(x, b0, acc[i][0]);
            acc[i][1] = v_fma(x, b1, acc[i][1]);
        }
    }
    if (m == MR && n == NR) {
        T3DI_UNROLL
        for (int i = 0; i < MR; i++) {
            t3d_real *row = c + i * ldc;

            v_store(row, add ? v_load(row) + acc[i][0] : acc[i][0]);
            v_store(row + LANES, add ? v_load(row + LANES) + acc[i][1] : acc[i][1]);
        }
        return;
    }
    T3DI_UNROLL
    for (int i = 0; i < MR; i++) {
        v_store(edge[i], acc[i][0]);
        v_store(edge[i] + LANES, acc[i][1]);
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            c[i * ldc + j] = add ? c[i * ldc + j] + edge[i][j] : edge[i][j];
}

/* Small products read their operands where they lie: up to 12 rows (4 where there are 16 registers)
 * and NR columns at once, each row of A by its own address. n: columns of b and c; whole: NR. */
#if defined(__AVX512F__)
enum { SMALL_ROWS = 12 };
#else
enum { SMALL_ROWS = 4 };
#endif

static inline __attribute__((always_inline)) void small_tile(t3d_real *c, int64_t ldc,
                                                             const t3d_real *a, int64_t a_row,
                                                             int64_t a_col, const t3d_real *b,
                                                             int64_t b_row, int64_t k, const int m,
                                                             int64_t n, const int whole, int add)
{
    int64_t n0 = T3D_MIN(n, LANES), n1 = n - n0;
    const t3d_real *q[3] = {a, a + 4 * a_row, a + 8 * a_row};
    T3DI_RAW vec acc[SMALL_ROWS][2];

    T3DI_UNROLL
    for (int i = 0; i < m; i++)
        acc[i][0] = acc[i][1] = v_set(0);
    for (int64_t p = 0; p < k; p++, b += b_row) {
        vec b0 = whole ? v_load(b) : v_load_part(b, n0);
        vec b1 = whole ? v_load(b + LANES) : v_load_part(b + n0, n1);

        T3DI_UNROLL
        for (int i = 0; i < m; i++) {
            vec x = v_set(q[i / 4][i % 4 * a_row]);

            acc[i][0] = v_fma(x, b0, acc[i][0]);
            acc[i][1] = v_fma(x, b1, acc[i][1]);
        }
        for (int i = 0; i < 3; i++)
            q[i] += a_col;
    }
    T3DI_UNROLL
    for (int i = 0; i < m; i++) {
        t3d_real *row = c + i * ldc;

        if (whole) {
            v_store(row, add ? v_load(row) + acc[i][0] : acc[i][0]);
            v_store(row + LANES, add ? v_load(row + LANES) + acc[i][1] : acc[i][1]);
        } else {
            v_store_part(row, add ? v_load_part(row, n0) + acc[i][0] : acc[i][0], n0);
            v_store_part(row + n0, add ? v_load_part(row + n0, n1) + acc[i][1] : acc[i][1], n1);
        }
    }
}

#define T3DI_SMALL(m)                                                                              \
    case m:                                                                                        \
        if (n == NR)                                                                               \
            small_tile(c, ldc, a, a_row, a_col, b, b_row, k, m, n, 1, add);                        \
        else                                                                                       \
            small_tile(c, ldc, a, a_row, a_col, b, b_row, k, m, n, 0, add);                        \
        break;

static inline void small(t3d_real *c, int64_t ldc, const t3d_real *a, int64_t a_row, int64_t a_col,
                         const t3d_real *b, int64_t b_row, int64_t k, int rows, int64_t n, int add)
{
    switch (rows) {
        T3DI_SMALL(1)
        T3DI_SMALL(2)
        T3DI_SMALL(3)
        T3DI_SMALL(4)
#if defined(__AVX512F__)
        T3DI_SMALL(5)
        T3DI_SMALL(6)
        T3DI_SMALL(7)
        T3DI_SMALL(8)
        T3DI_SMALL(9)
        T3DI_SMALL(10)
        T3DI_SMALL(11)
        T3DI_SMALL(12)
#endif
    default:
        break;
    }
}

/* --- the optimiser ------------------------------------------------------------------------------
 */

/* step: 1 - beta1, 1 - beta2 (in float exact where 1 - (float)beta is not), lr / (1 - beta1^t), 1 /
 * sqrt(1 - beta2^t), epsilon, 1 - lr decay. The arrays are padded to whole vectors. */
static inline void adamw(t3d_real *w, t3d_real *m, t3d_real *v, const t3d_real *g, int64_t n,
                         const t3d_real step[6])
{
    for (int64_t i = 0; i < n; i += LANES) {
        vec x = v_load(g + i), m1 = v_load(m + i), v1 = v_load(v + i);

        m1 = v_fma(v_set(step[0]), x - m1, m1);
        v1 = v_fma(v_set(step[1]), x * x - v1, v1);
        v_store(m + i, m1);
        v_store(v + i, v1);
        v_store(w + i, v_load(w + i) * step[5] -
                           m1 * step[2] / v_fma(v_sqrt(v1), v_set(step[3]), v_set(step[4])));
    }
}

#define T3DI_KERNEL(name)                                                                          \
    {                                                                                              \
        .isa = (name), .mr = MR, .nr = NR, .small_rows = SMALL_ROWS, .small = small,               \
        .unary = {unary_linear, unary_gelu_erf, unary_gelu_tanh, unary_quick_gelu,                 \
                  unary_silu,   unary_relu,     unary_sigmoid,   unary_tanh,                       \
                  unary_exp,    unary_log,      unary_softplus,  unary_clamp},                     \
        .unary_grad = {grad_linear, grad_gelu_erf, grad_gelu_tanh, grad_quick_gelu,                \
                       grad_silu,   grad_relu,     grad_sigmoid,   grad_tanh,                      \
                       grad_exp,    grad_log,      grad_softplus,  grad_clamp},                    \
        .binary = {binary_add, binary_sub, binary_mul, binary_div},                                \
        .binary_grad = {{a_grad_add, b_grad_add},                                                  \
                        {a_grad_sub, b_grad_sub},                                                  \
                        {a_grad_mul, b_grad_mul},                                                  \
                        {a_grad_div, b_grad_div}},                                                 \
        .axpy = row_axpy, .sum = row_sum, .dot = row_dot, .sum_squares = row_sum_squares,          \
        .max = row_max, .exp_sum = row_exp_sum, .normalise = row_normalise,                        \
        .norm_sums = row_norm_sums, .norm_grad = row_norm_grad, .tile = tile, .adamw = adamw       \
    }

#endif
