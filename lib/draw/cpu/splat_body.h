/* SPDX-License-Identifier: Apache-2.0 */
/* draw/cpu/splat_body.h -- the inner loops of the Gaussian rasteriser; included once for each
 * instruction set. The equations of the gradients are the chain rule applied to those of
 * draw/splat.h and are written beside the code. */
#ifndef T3D_DRAW_CPU_SPLAT_BODY_H
#define T3D_DRAW_CPU_SPLAT_BODY_H

#include "draw/splat_impl.h"
#include "num/cpu/simd.h"

#define RAW __attribute__((uninitialized)) /* filled at once; the build clears others */

/* Masks of lanes, of the processor's own kind where it has one. */
#if defined(__AVX512F__) && !defined(T3D_REAL_DOUBLE)
typedef __mmask16 mask;

static inline mask m_ge(vec a, vec b)
{
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ);
}

static inline mask m_not(mask m)
{
    return (mask)~m;
}

static inline int m_any(mask m)
{
    return m != 0;
}

static inline vec m_select(mask m, vec yes, vec no)
{
    return (vec)_mm512_mask_mov_ps((__m512)no, m, (__m512)yes);
}
#else
typedef ivec mask;

static inline mask m_ge(vec a, vec b)
{
    return a >= b;
}

static inline mask m_not(mask m)
{
    return ~m;
}

static inline int m_any(mask m)
{
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0;
#elif defined(__AVX2__)
    return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#else
    int64_t t[sizeof m / 8], any = 0;

    memcpy(t, &m, sizeof m);
    for (size_t i = 0; i < sizeof m / 8; i++)
        any |= t[i];
    return any != 0;
#endif
}

static inline vec m_select(mask m, vec yes, vec no)
{
    return v_select(m, yes, no);
}
#endif

#ifdef T3D_REAL_DOUBLE
static inline vec exp_of_negative(vec x)
{
    return v_exp(x);
}
#else
/* exp x for x of at most a little over 0; what lies under -80 counts as -80. As v_exp, without its
 * care for the ends of the range. */
static inline vec exp_of_negative(vec x)
{
    const float magic = 12582912; /* 1.5 * 2^23: rounds to an integer */
    vec y = v_max(x, v_set(-80)), t = v_fma(y, v_set(1.44269504f), v_set(magic)), n = t - magic, p;
    vec r = v_fma(n, v_set(2.12194440e-4f), v_fma(n, v_set(-0.693359375f), y));

    p = v_fma(r, v_set(1.f / 720), v_set(1.f / 120));
    p = v_fma(p, r, v_set(1.f / 24));
    p = v_fma(p, r, v_set(1.f / 6));
    p = v_fma(p, r, v_set(.5f));
    p = v_fma(p, r, v_set(1));
    p = v_fma(p, r, v_set(1));
    return (vec)((ivec)p + ((ivec)t << 23));
}
#endif

#include "draw/splat_math.h"

/* --- from parameters to covariances ------------------------------------------------------------
 */

/* Rows to lanes: x (n, width) -> lane (width, T3DI_LANE). */
static inline void to_lanes(t3d_real (*lane)[T3DI_LANE], const t3d_real *x, int width, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < width; k++)
            lane[k][i] = x[i * width + k];
    for (int i = n; i < T3DI_LANE; i++)
        for (int k = 0; k < width; k++)
            lane[k][i] = 0;
}

static void prepare(t3d_real block[T3DI_G_FIELDS][T3DI_LANE], const struct t3di_splat_params *p,
                    const struct t3d_splat *attr)
{
    t3d_real log_min_alpha = (t3d_real)log(attr->min_alpha);
    RAW t3d_real s[3][T3DI_LANE], q[4][T3DI_LANE], o[1][T3DI_LANE];

    to_lanes(block + T3DI_G_X, p->xyz, 3, p->n);
    to_lanes(block + T3DI_G_RGB, p->rgb, 3, p->n);
    to_lanes(s, p->log_scale, 3, p->n);
    to_lanes(q, p->quaternion, 4, p->n);
    to_lanes(o, p->opacity, 1, p->n);
    for (int i = 0; i < T3DI_LANE; i += LANES) {
        vec log_scale[3], quaternion[4], c[6], square, cut, sum, log;

        for (int k = 0; k < 3; k++)
            log_scale[k] = v_load(s[k] + i);
        for (int k = 0; k < 4; k++)
            quaternion[k] = v_load(q[k] + i);
        square = quaternion[0] * quaternion[0] + quaternion[1] * quaternion[1] +
                 quaternion[2] * quaternion[2] + quaternion[3] * quaternion[3];
        covariance_of(c, log_scale, quaternion, 1 / v_sqrt(square));
        log = log_sigmoid(v_load(o[0] + i));
        sum = square + v_load(o[0] + i);
        for (int k = 0; k < 6; k++) {
            v_store(block[T3DI_G_XX + k] + i, c[k]);
            sum += c[k];
        }
        for (int k = 0; k < 3; k++)
            sum += v_load(block[T3DI_G_X + k] + i) + v_load(block[T3DI_G_RGB + k] + i);
        /* anything not finite makes the sum so, and sum - sum NaN */
        cut = v_select((sum - sum == 0) & (square > 0), 2 * (log - log_min_alpha), v_set(-1));
        v_store(block[T3DI_G_LOG] + i, log);
        v_store(block[T3DI_G_CUT] + i, cut);
    }
    for (int i = p->n; i < T3DI_LANE; i++)
        block[T3DI_G_CUT][i] = -1;
}

/* --- into the picture ---------------------------------------------------------------------------
 */

/* The pixels whose centre lies within radius of centre: first .. last of size; 1 when none. A
 * little more is taken than rounding could lose: which pixels are drawn is decided at each pixel.
 */
static inline int span(int16_t *first, int16_t *last, t3d_real centre, t3d_real radius, int size)
{
    t3d_real low = centre - radius - (t3d_real)0.52, high = centre + radius - (t3d_real)0.48;

    if (!(high >= 0 && low < (t3d_real)size))
        return 1;
    *first = low > 0 ? (int16_t)low : 0;
    *last = high < (t3d_real)(size - 1) ? (int16_t)high : (int16_t)(size - 1);
    return 0;
}

static int project(struct t3di_splat2d *out, const t3d_real block[T3DI_G_FIELDS][T3DI_LANE],
                   uint32_t first, const t3d_real *camera, const struct t3d_splat *attr)
{
    enum { U, V, A, B, C, RX, RY, SEEN, N };
    RAW t3d_real f[N][T3DI_LANE], depth[T3DI_LANE];
    struct t3di_splat2d *s = out;

    for (int i = 0; i < T3DI_LANE; i += LANES) {
        struct projection p;
        vec cut = v_load(block[T3DI_G_CUT] + i), idet;
        ivec seen;

        project_lanes(&p, block, i, camera, attr->width, attr->height);
        idet = 1 / p.det;
        seen = (cut > 0) & (p.t[2] > (t3d_real)attr->near) & (p.det > 0) & (idet > 0);
        v_store(f[U] + i,
                v_fma(p.t[0] * p.iz, v_set(camera[T3D_SPLAT_FX]), v_set(camera[T3D_SPLAT_CX])));
        v_store(f[V] + i,
                v_fma(p.t[1] * p.iz, v_set(camera[T3D_SPLAT_FY]), v_set(camera[T3D_SPLAT_CY])));
        v_store(f[A] + i, p.yy * idet);
        v_store(f[B] + i, -p.xy * idet);
        v_store(f[C] + i, p.xx * idet);
        v_store(f[RX] + i, v_sqrt(cut * p.xx));
        v_store(f[RY] + i, v_sqrt(cut * p.yy));
        v_store(f[SEEN] + i, v_select(seen, v_set(1), v_set(0)));
        v_store(depth + i, p.t[2]);
    }
    for (int i = 0; i < T3DI_LANE; i++)
        if (f[SEEN][i] != 0 && !span(&s->x0, &s->x1, f[U][i], f[RX][i], attr->width) &&
            !span(&s->y0, &s->y1, f[V][i], f[RY][i], attr->height)) {
            s->u = f[U][i];
            s->v = f[V][i];
            s->a = f[A][i];
            s->b = f[B][i];
            s->c = f[C][i];
            s->log = block[T3DI_G_LOG][i];
            for (int k = 0; k < 3; k++)
                s->rgb[k] = block[T3DI_G_RGB + k][i];
            s->z = depth[i];
            s->gaussian = first + (uint32_t)i;
            s++;
        }
    return (int)(s - out);
}

/* --- blending -----------------------------------------------------------------------------------
 */

/* The blocks of the tile that a splat may touch, inclusive. */
struct blocks {
    int x0, y0, x1, y1;
};

static inline struct blocks blocks_of(const struct t3di_splat2d *s, const struct t3di_tile *t)
{
    int x0 = s->x0 - t->x, y0 = s->y0 - t->y, x1 = s->x1 - t->x, y1 = s->y1 - t->y, n = T3DI_TILE;

    return (struct blocks){(x0 > 0 ? x0 : 0) / T3DI_SIDE, (y0 > 0 ? y0 : 0) / T3DI_SIDE,
                           (x1 < n ? x1 : n - 1) / T3DI_SIDE, (y1 < n ? y1 : n - 1) / T3DI_SIDE};
}

static inline int block_at(int x, int y)
{
    return y * (T3DI_TILE / T3DI_SIDE) + x;
}

/* From the splat's centre to the pixel centres of lanes i.. of a block. */
struct offset {
    vec x, y;
};

static inline struct offset offset_of(const struct t3di_tile *t, const struct t3di_splat2d *s,
                                      int block, int i)
{
    static const t3d_real cx[T3DI_SQUARE] = {0.5, 1.5, 2.5, 3.5, 0.5, 1.5, 2.5, 3.5,
                                             0.5, 1.5, 2.5, 3.5, 0.5, 1.5, 2.5, 3.5},
                          cy[T3DI_SQUARE] = {0.5, 0.5, 0.5, 0.5, 1.5, 1.5, 1.5, 1.5,
                                             2.5, 2.5, 2.5, 2.5, 3.5, 3.5, 3.5, 3.5};
    int n = T3DI_TILE / T3DI_SIDE, x = t->x + block % n * T3DI_SIDE,
        y = t->y + block / n * T3DI_SIDE;

    return (struct offset){v_load(cx + i) + ((t3d_real)x - s->u),
                           v_load(cy + i) + ((t3d_real)y - s->v)};
}

struct blend {
    struct t3di_tile *t;
    int median;
    t3d_real min_log;
};

/* Lanes i.. of a block; 1 when the splat has touched one. What is below min_alpha is told by its
 * logarithm, before the exponential is taken. */
static inline int blend_lanes(const struct blend *b, const struct t3di_splat2d *s, int block, int i,
                              t3d_real *keep_alpha, t3d_real *keep_before)
{
    struct t3di_tile *t = b->t;
    t3d_real *light = t->transmittance[block] + i;
    struct offset d = offset_of(t, s, block, i);
    vec before = v_load(light), along = v_fma(d.x, v_set((t3d_real)-0.5 * s->a), d.y * -s->b);
    vec log = v_fma(d.x, along, v_fma(d.y * d.y, v_set((t3d_real)-0.5 * s->c), v_set(s->log)));
    mask in = m_ge(log, v_set(b->min_log)) & m_not(m_ge(v_set(0), before)), lives;
    vec alpha, weight, after;

    if (!m_any(in))
        return 0;
    alpha = v_min(exp_of_negative(log), v_set(MAX_ALPHA));
    lives = in & m_ge(before - alpha * before, v_set(MIN_LIGHT));
    alpha = m_select(lives, alpha, v_set(0));
    weight = alpha * before;
    after = before - weight;
    for (int k = 0; k < 3; k++) {
        t3d_real *sum = t->sum[k][block] + i;

        v_store(sum, v_fma(weight, v_set(s->rgb[k]), v_load(sum)));
    }
    if (b->median) {
        vec half = v_set((t3d_real)0.5), z = v_load(t->sum[3][block] + i);
        mask crosses = m_not(m_ge(half, before)) & m_ge(half, after);

        v_store(t->sum[3][block] + i, m_select(crosses, v_set(s->z), z));
    } else {
        v_store(t->sum[3][block] + i, v_fma(weight, v_set(s->z), v_load(t->sum[3][block] + i)));
    }
    v_store(light, m_select(in & m_not(lives), -before, after));
    if (keep_alpha) {
        v_store(keep_alpha, alpha);
        v_store(keep_before, before);
    }
    return 1;
}

static int ended(const struct t3di_tile *t)
{
    vec most = v_set(0);

    for (int k = 0; k < T3DI_BLOCKS; k++)
        for (int i = 0; i < T3DI_SQUARE; i += LANES)
            most = v_max(most, v_load(t->transmittance[k] + i));
    return !m_any(m_not(m_ge(v_set(0), most)));
}

static inline void blend_one(const struct blend *b, const struct t3di_splat2d *s)
{
    struct blocks r = blocks_of(s, b->t);

    for (int y = r.y0; y <= r.y1; y++)
        for (int x = r.x0; x <= r.x1; x++)
            for (int i = 0; i < T3DI_SQUARE; i += LANES)
                blend_lanes(b, s, block_at(x, y), i, NULL, NULL);
}

/* The same, keeping what it touched; returns the next free place. */
static inline uint32_t blend_keep(const struct blend *b, const struct t3di_splat2d *s,
                                  struct t3di_kept *kept, uint32_t at)
{
    struct blocks r = blocks_of(s, b->t);

    for (int y = r.y0; y <= r.y1; y++)
        for (int x = r.x0; x <= r.x1; x++) {
            int touched = 0;

            for (int i = 0; i < T3DI_SQUARE; i += LANES)
                if (blend_lanes(b, s, block_at(x, y), i, kept->alpha[at] + i,
                                kept->before[at] + i)) {
                    touched = 1;
                } else {
                    v_store(kept->alpha[at] + i, v_set(0));
                    v_store(kept->before[at] + i, v_set(1));
                }
            kept->block[at] = (uint8_t)block_at(x, y);
            at += (uint32_t)touched;
        }
    return at;
}

static int64_t blend(struct t3di_tile *t, const struct t3di_splat2d *splat,
                     const struct t3di_pair *pair, int64_t n, const struct t3d_splat *attr,
                     struct t3di_kept *kept)
{
    const struct blend b = {t, attr->depth == T3D_SPLAT_MEDIAN, (t3d_real)log(attr->min_alpha)};
    uint32_t at = 0;
    int64_t i = 0;

    for (; i < n; i++) {
        if (i % 32 == 0 && ended(t))
            break;
        if (kept) {
            kept->start[i] = at;
            at = blend_keep(&b, &splat[pair[i].splat], kept, at);
        } else {
            blend_one(&b, &splat[pair[i].splat]);
        }
    }
    if (kept)
        kept->start[i] = at;
    return i;
}

/* --- and back ------------------------------------------------------------------------------------
 */

/* dL/dweight = g.rgb + g_depth z =: e. With B the sum of what lies behind, weighted:
 * dL/dalpha = T e - B / (1 - alpha); then B += alpha T e. dL/ds = -alpha dL/dalpha, and nothing
 * where alpha was clamped. */
static inline void unblend_lanes(struct t3di_tile_grad *g, const struct t3di_tile *t,
                                 const struct t3di_splat2d *s, int block, int i,
                                 const t3d_real *alpha, const t3d_real *before,
                                 vec sum[T3DI_D_FIELDS])
{
    struct offset o = offset_of(t, s, block, i);
    vec a = v_load(alpha), light = v_load(before), weight = a * light, v, vx, vy;
    vec behind = v_load(g->behind[block] + i), depth = v_load(g->of[3][block] + i),
        e = depth * s->z;

    for (int k = 0; k < 3; k++) {
        vec gk = v_load(g->of[k][block] + i);

        e = v_fma(gk, v_set(s->rgb[k]), e);
        sum[T3DI_D_RGB + k] = v_fma(weight, gk, sum[T3DI_D_RGB + k]);
    }
    sum[T3DI_D_DEPTH] = v_fma(weight, depth, sum[T3DI_D_DEPTH]);
    v = a * (behind / (1 - a) - light * e);
    v = m_select(m_ge(a, v_set(MAX_ALPHA)), v_set(0), v);
    v_store(g->behind[block] + i, v_fma(weight, e, behind));
    vx = v * o.x;
    vy = v * o.y;
    sum[T3DI_D_V] += v;
    sum[T3DI_D_VX] += vx;
    sum[T3DI_D_VXX] = v_fma(vx, o.x, sum[T3DI_D_VXX]);
    sum[T3DI_D_VY] += vy;
    sum[T3DI_D_VXY] = v_fma(vx, o.y, sum[T3DI_D_VXY]);
    sum[T3DI_D_VYY] = v_fma(vy, o.y, sum[T3DI_D_VYY]);
}

#if T3DI_VEC_BYTES >= 32 && (!defined(T3D_REAL_DOUBLE) || T3DI_VEC_BYTES == 64)
typedef t3d_real vec8 __attribute__((vector_size(8 * sizeof(t3d_real))));

static inline vec8 fold(vec v)
{
#if T3DI_VEC_BYTES == 64 && !defined(T3D_REAL_DOUBLE)
    return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
           __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    return v;
#endif
}

/* The sums of eight vectors at once: three rounds of exchanging halves, quarters, eighths. */
static inline vec8 sums_of_8(const vec8 v[8])
{
    vec8 a[4], b[2];

    for (int i = 0; i < 4; i++)
        a[i] = __builtin_shufflevector(v[i], v[i + 4], 0, 1, 2, 3, 8, 9, 10, 11) +
               __builtin_shufflevector(v[i], v[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    for (int i = 0; i < 2; i++)
        b[i] = __builtin_shufflevector(a[i], a[i + 2], 0, 1, 8, 9, 4, 5, 12, 13) +
               __builtin_shufflevector(a[i], a[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(b[0], b[1], 0, 8, 2, 10, 4, 12, 6, 14) +
           __builtin_shufflevector(b[0], b[1], 1, 9, 3, 11, 5, 13, 7, 15);
}

static inline void reduce(t3d_real out[T3DI_D_FIELDS], const vec sum[T3DI_D_FIELDS])
{
    RAW vec8 v[8];
    vec8 r;

    for (int i = 0; i < 8; i++)
        v[i] = fold(sum[i]);
    r = sums_of_8(v);
    memcpy(out, &r, sizeof r);
    for (int i = 0; i < 8; i++)
        v[i] = i < T3DI_D_FIELDS - 8 ? fold(sum[8 + i]) : (vec8){0};
    r = sums_of_8(v);
    memcpy(out + 8, &r, (T3DI_D_FIELDS - 8) * sizeof *out);
}
#else
static inline void reduce(t3d_real out[T3DI_D_FIELDS], const vec sum[T3DI_D_FIELDS])
{
    for (int i = 0; i < T3DI_D_FIELDS; i++)
        out[i] = v_sum(sum[i]);
}
#endif

static void unblend(struct t3di_tile_grad *g, const struct t3di_tile *t,
                    const struct t3di_splat2d *splat, const struct t3di_pair *pair, int64_t n,
                    const struct t3di_kept *kept, t3d_real (*sums)[T3DI_D_FIELDS])
{
    for (int64_t k = n; k-- > 0;) {
        const struct t3di_splat2d *s = &splat[pair[k].splat];
        vec sum[T3DI_D_FIELDS] = {{0}};

        for (uint32_t r = kept->start[k]; r < kept->start[k + 1]; r++)
            for (int i = 0; i < T3DI_SQUARE; i += LANES)
                unblend_lanes(g, t, s, kept->block[r], i, kept->alpha[r] + i, kept->before[r] + i,
                              sum);
        reduce(sums[pair[k].slot], sum);
    }
}

/* --- through the projection
 * ----------------------------------------------------------------------- */

/* All views' shares of position, covariance, log opacity and colour. */
static inline void unproject_views(vec g[13], const t3d_real block[T3DI_G_FIELDS][T3DI_LANE], int i,
                                   const t3d_real *sums, int64_t view_stride,
                                   const t3d_real *cameras, int n_views,
                                   const struct t3d_splat *attr)
{
    for (int v = 0; v < n_views; v++) {
        vec d[T3DI_D_FIELDS], before[13], most = v_set(0);
        mask none;

        for (int k = 0; k < T3DI_D_FIELDS; k++) {
            d[k] = v_load(sums + v * view_stride + k * T3DI_LANE + i);
            most = v_max(most, v_abs(d[k]));
        }
        none = m_ge(v_set(0), most);
        if (!m_any(m_not(none)))
            continue;
        memcpy(before, g, sizeof before);
        unproject_lanes(g, block, i, d, cameras + v * T3D_SPLAT_CAMERA, attr->width, attr->height);
        /* where nothing was drawn the projection need not be finite */
        for (int k = 0; k < 13; k++)
            g[k] = m_select(none, before[k], g[k]);
    }
}

static void unproject(t3d_real grad[T3DI_P_FIELDS][T3DI_LANE],
                      const t3d_real block[T3DI_G_FIELDS][T3DI_LANE],
                      const struct t3di_splat_params *p, const t3d_real *sums, int64_t view_stride,
                      const t3d_real *cameras, int n_views, const struct t3d_splat *attr)
{
    to_lanes(grad + T3DI_P_LOG_SCALE, p->log_scale, 3, p->n);
    to_lanes(grad + T3DI_P_QUATERNION, p->quaternion, 4, p->n);
    to_lanes(grad + T3DI_P_OPACITY, p->opacity, 1, p->n);
    for (int i = 0; i < T3DI_LANE; i += LANES) {
        vec g[13] = {{0}}, out[T3DI_P_FIELDS];
        ivec drawn = v_load(block[T3DI_G_CUT] + i) > 0;

        unproject_views(g, block, i, sums, view_stride, cameras, n_views, attr);
        for (int k = 0; k < T3DI_P_FIELDS; k++)
            out[k] = v_load(grad[k] + i);
        shape_grad(out + T3DI_P_LOG_SCALE, out + T3DI_P_QUATERNION, g + 3);
        /* d log sigmoid(x) / dx = sigmoid(-x) */
        out[T3DI_P_OPACITY] = g[9] / (1 + v_exp(out[T3DI_P_OPACITY]));
        for (int k = 0; k < 3; k++) {
            out[T3DI_P_XYZ + k] = g[k];
            out[T3DI_P_RGB + k] = g[10 + k];
        }
        for (int k = 0; k < T3DI_P_FIELDS; k++)
            v_store(grad[k] + i, v_select(drawn, out[k], v_set(0)));
    }
}

#define T3DI_SPLAT_ISA                                                                             \
    {                                                                                              \
        prepare, project, blend, unblend, unproject                                                \
    }

#endif
