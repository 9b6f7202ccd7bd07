/* SPDX-License-Identifier: Apache-2.0 */
/* draw/cpu/splat_body.h -- the inner loops of the Gaussian rasteriser; included once for each
 * instruction set. The equations of the gradients are the chain rule applied to those of
 * draw/splat.h and are written beside the code. */
#ifndef T3D_DRAW_CPU_SPLAT_BODY_H
#define T3D_DRAW_CPU_SPLAT_BODY_H

#include "draw/splat_impl.h"
#include "num/cpu/simd.h"

#define RAW          __attribute__((uninitialized)) /* filled at once; the build clears others */
#define MAX_ALPHA    ((t3d_real)0.99)
#define MIN_LIGHT    ((t3d_real)1e-4)
#define LOW_PASS     ((t3d_real)0.3)
#define FRUSTUM_EDGE ((t3d_real)1.3) /* how far outside the picture J may be taken */

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

static inline vec v_abs(vec x)
{
    return v_select(x < 0, -x, x);
}

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

/* The rotation of a unit quaternion w x y z. */
static inline void rotation(vec r[3][3], vec w, vec x, vec y, vec z)
{
    r[0][0] = 1 - 2 * (y * y + z * z);
    r[0][1] = 2 * (x * y - w * z);
    r[0][2] = 2 * (x * z + w * y);
    r[1][0] = 2 * (x * y + w * z);
    r[1][1] = 1 - 2 * (x * x + z * z);
    r[1][2] = 2 * (y * z - w * x);
    r[2][0] = 2 * (x * z - w * y);
    r[2][1] = 2 * (y * z + w * x);
    r[2][2] = 1 - 2 * (x * x + y * y);
}

/* log sigmoid(x) = -log(1 + exp(-x)) = min(x, 0) - log(1 + exp(-|x|)) */
static inline vec log_sigmoid(vec x)
{
    return v_min(x, v_set(0)) - v_log(1 + v_exp(-v_abs(x)));
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
        vec r[3][3], e[3], w = v_load(q[0] + i), x = v_load(q[1] + i), y = v_load(q[2] + i),
                           z = v_load(q[3] + i), square = w * w + x * x + y * y + z * z,
                           f = 1 / v_sqrt(square), log = log_sigmoid(v_load(o[0] + i)), cut, sum;

        rotation(r, w * f, x * f, y * f, z * f);
        for (int k = 0; k < 3; k++)
            e[k] = v_exp(2 * v_load(s[k] + i));
        sum = square + v_load(o[0] + i);
        for (int k = 0, field = T3DI_G_XX; k < 3; k++)
            for (int l = k; l < 3; l++, field++) {
                vec c =
                    r[k][0] * r[l][0] * e[0] + r[k][1] * r[l][1] * e[1] + r[k][2] * r[l][2] * e[2];

                v_store(block[field] + i, c);
                sum += c;
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

/* What projecting and its gradient both need, for LANES Gaussians. */
struct projection {
    vec t[3];               /* in the camera */
    vec iz, slope[2];       /* 1 / z; x / z and y / z as J has them */
    ivec inside[2];         /* the slope is the true one */
    vec j00, j11, j02, j12; /* J */
    vec m[2][3];            /* J W */
    vec mc[2][3];           /* J W C */
    vec xx, xy, yy, det;    /* S and its determinant */
};

static inline vec covariance(const t3d_real block[T3DI_G_FIELDS][T3DI_LANE], int i, int k, int l)
{
    static const uint8_t field[3][3] = {{T3DI_G_XX, T3DI_G_XY, T3DI_G_XZ},
                                        {T3DI_G_XY, T3DI_G_YY, T3DI_G_YZ},
                                        {T3DI_G_XZ, T3DI_G_YZ, T3DI_G_ZZ}};

    return v_load(block[field[k][l]] + i);
}

/* J is taken no further outside than FRUSTUM_EDGE times the picture: beyond it the linear
 * approximation blows up. */
static inline void slope(struct projection *p, int k, t3d_real f, t3d_real c, int size)
{
    vec s = p->t[k] * p->iz;
    vec low = v_set(-FRUSTUM_EDGE * c / f), high = v_set(FRUSTUM_EDGE * ((t3d_real)size - c) / f);

    p->inside[k] = (s >= low) & (s <= high);
    p->slope[k] = v_min(v_max(s, low), high);
}

static inline void project_lanes(struct projection *p,
                                 const t3d_real block[T3DI_G_FIELDS][T3DI_LANE], int i,
                                 const t3d_real *camera, const struct t3d_splat *attr)
{
    const t3d_real *w = camera + T3D_SPLAT_W2C, fx = camera[T3D_SPLAT_FX],
                   fy = camera[T3D_SPLAT_FY];
    vec x = v_load(block[T3DI_G_X] + i), y = v_load(block[T3DI_G_Y] + i),
        z = v_load(block[T3DI_G_Z] + i);

    for (int k = 0; k < 3; k++)
        p->t[k] = x * w[4 * k] + y * w[4 * k + 1] + z * w[4 * k + 2] + w[4 * k + 3];
    p->iz = 1 / p->t[2];
    slope(p, 0, fx, camera[T3D_SPLAT_CX], attr->width);
    slope(p, 1, fy, camera[T3D_SPLAT_CY], attr->height);
    p->j00 = fx * p->iz;
    p->j11 = fy * p->iz;
    p->j02 = -p->j00 * p->slope[0];
    p->j12 = -p->j11 * p->slope[1];
    for (int k = 0; k < 3; k++) {
        p->m[0][k] = p->j00 * w[k] + p->j02 * w[8 + k];
        p->m[1][k] = p->j11 * w[4 + k] + p->j12 * w[8 + k];
    }
    for (int r = 0; r < 2; r++)
        for (int k = 0; k < 3; k++)
            p->mc[r][k] = p->m[r][0] * covariance(block, i, 0, k) +
                          p->m[r][1] * covariance(block, i, 1, k) +
                          p->m[r][2] * covariance(block, i, 2, k);
    p->xx =
        p->mc[0][0] * p->m[0][0] + p->mc[0][1] * p->m[0][1] + p->mc[0][2] * p->m[0][2] + LOW_PASS;
    p->xy = p->mc[0][0] * p->m[1][0] + p->mc[0][1] * p->m[1][1] + p->mc[0][2] * p->m[1][2];
    p->yy =
        p->mc[1][0] * p->m[1][0] + p->mc[1][1] * p->m[1][1] + p->mc[1][2] * p->m[1][2] + LOW_PASS;
    p->det = p->xx * p->yy - p->xy * p->xy;
}

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

        project_lanes(&p, block, i, camera, attr);
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
    static const t3d_real cx[T3DI_BLOCK] = {0.5, 1.5, 2.5, 3.5, 0.5, 1.5, 2.5, 3.5,
                                            0.5, 1.5, 2.5, 3.5, 0.5, 1.5, 2.5, 3.5},
                          cy[T3DI_BLOCK] = {0.5, 0.5, 0.5, 0.5, 1.5, 1.5, 1.5, 1.5,
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
        for (int i = 0; i < T3DI_BLOCK; i += LANES)
            most = v_max(most, v_load(t->transmittance[k] + i));
    return !m_any(m_not(m_ge(v_set(0), most)));
}

static inline void blend_one(const struct blend *b, const struct t3di_splat2d *s)
{
    struct blocks r = blocks_of(s, b->t);

    for (int y = r.y0; y <= r.y1; y++)
        for (int x = r.x0; x <= r.x1; x++)
            for (int i = 0; i < T3DI_BLOCK; i += LANES)
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

            for (int i = 0; i < T3DI_BLOCK; i += LANES)
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
            for (int i = 0; i < T3DI_BLOCK; i += LANES)
                unblend_lanes(g, t, s, kept->block[r], i, kept->alpha[r] + i, kept->before[r] + i,
                              sum);
        reduce(sums[pair[k].slot], sum);
    }
}

/* --- through the projection
 * ----------------------------------------------------------------------- */

/* dL/dS (as a symmetric matrix) = -K G K, K the conic, G = [[dA, dB / 2], [dB / 2, dC]]. */
static inline void conic_grad(const struct projection *p, const vec d[T3DI_D_FIELDS], vec g[3])
{
    vec idet = 1 / p->det, a = p->yy * idet, b = -p->xy * idet, c = p->xx * idet;
    vec gxx = (t3d_real)0.5 * d[T3DI_D_VXX], gxy = (t3d_real)0.5 * d[T3DI_D_VXY],
        gyy = (t3d_real)0.5 * d[T3DI_D_VYY];
    vec l00 = a * gxx + b * gxy, l01 = a * gxy + b * gyy, l10 = b * gxx + c * gxy,
        l11 = b * gxy + c * gyy;

    g[0] = -(l00 * a + l01 * b);
    g[1] = -(l00 * b + l01 * c);
    g[2] = -(l10 * b + l11 * c);
}

/* The position in the camera: through u and v, through J, and by its depth. */
static inline void position_grad(const struct projection *p, const vec d[T3DI_D_FIELDS],
                                 const vec dm[2][3], const t3d_real *camera, vec dt[3])
{
    const t3d_real *w = camera + T3D_SPLAT_W2C, fx = camera[T3D_SPLAT_FX],
                   fy = camera[T3D_SPLAT_FY];
    vec idet = 1 / p->det, a = p->yy * idet, b = -p->xy * idet, c = p->xx * idet, iz2;
    vec du = -(a * d[T3DI_D_VX] + b * d[T3DI_D_VY]), dv = -(b * d[T3DI_D_VX] + c * d[T3DI_D_VY]);
    vec d00 = dm[0][0] * w[0] + dm[0][1] * w[1] + dm[0][2] * w[2];
    vec d02 = dm[0][0] * w[8] + dm[0][1] * w[9] + dm[0][2] * w[10];
    vec d11 = dm[1][0] * w[4] + dm[1][1] * w[5] + dm[1][2] * w[6];
    vec d12 = dm[1][0] * w[8] + dm[1][1] * w[9] + dm[1][2] * w[10];
    vec zero = v_set(0);

    iz2 = p->iz * p->iz;
    /* J02 = -fx slope / z: dJ02/dx = -fx / z^2 and dJ02/dz = 2 fx x / z^3 where the slope is x / z,
     * 0 and fx slope / z^2 where it was clamped */
    dt[0] = du * p->j00 + v_select(p->inside[0], -d02 * fx * iz2, zero);
    dt[1] = dv * p->j11 + v_select(p->inside[1], -d12 * fy * iz2, zero);
    dt[2] = d[T3DI_D_DEPTH] - (du * fx * p->t[0] + dv * fy * p->t[1]) * iz2 -
            (d00 * fx + d11 * fy) * iz2 +
            d02 * fx * p->slope[0] * iz2 * v_select(p->inside[0], v_set(2), v_set(1)) +
            d12 * fy * p->slope[1] * iz2 * v_select(p->inside[1], v_set(2), v_set(1));
}

/* One view's share, for LANES Gaussians from lane i. */
static inline void unproject_lanes(vec grad[13], const t3d_real block[T3DI_G_FIELDS][T3DI_LANE],
                                   int i, const vec d[T3DI_D_FIELDS], const t3d_real *camera,
                                   const struct t3d_splat *attr)
{
    const t3d_real *w = camera + T3D_SPLAT_W2C;
    struct projection p;
    vec g[3], dm[2][3], dt[3];
    int field = 3;

    project_lanes(&p, block, i, camera, attr);
    conic_grad(&p, d, g);
    /* S = M C M^T: dM = 2 G M C, dC = M^T G M */
    for (int k = 0; k < 3; k++) {
        dm[0][k] = 2 * (g[0] * p.mc[0][k] + g[1] * p.mc[1][k]);
        dm[1][k] = 2 * (g[1] * p.mc[0][k] + g[2] * p.mc[1][k]);
    }
    for (int k = 0; k < 3; k++)
        for (int l = k; l < 3; l++, field++) {
            vec c = g[0] * p.m[0][k] * p.m[0][l] + g[2] * p.m[1][k] * p.m[1][l] +
                    g[1] * (p.m[0][k] * p.m[1][l] + p.m[1][k] * p.m[0][l]);

            grad[field] += k == l ? c : 2 * c;
        }
    position_grad(&p, d, (const vec(*)[3])dm, camera, dt);
    for (int k = 0; k < 3; k++)
        grad[k] += w[k] * dt[0] + w[4 + k] * dt[1] + w[8 + k] * dt[2];
    grad[9] -= d[T3DI_D_V]; /* s - log opacity is what alpha has */
    for (int k = 0; k < 3; k++)
        grad[10 + k] += d[T3DI_D_RGB + k];
}

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
        unproject_lanes(g, block, i, d, cameras + v * T3D_SPLAT_CAMERA, attr);
        /* where nothing was drawn the projection need not be finite */
        for (int k = 0; k < 13; k++)
            g[k] = m_select(none, before[k], g[k]);
    }
}

/* dL/dR to dL/dq for unit q, and from there to a quaternion of any length: what points along q does
 * nothing. */
static inline void quaternion_grad(vec out[4], vec d[3][3], const vec q[4], vec inverse_length)
{
    vec w = q[0], x = q[1], y = q[2], z = q[3], along;

    out[0] = 2 * (x * (d[2][1] - d[1][2]) + y * (d[0][2] - d[2][0]) + z * (d[1][0] - d[0][1]));
    out[1] = 2 * (y * (d[0][1] + d[1][0]) + z * (d[0][2] + d[2][0]) + w * (d[2][1] - d[1][2]) -
                  2 * x * (d[1][1] + d[2][2]));
    out[2] = 2 * (x * (d[0][1] + d[1][0]) + z * (d[1][2] + d[2][1]) + w * (d[0][2] - d[2][0]) -
                  2 * y * (d[0][0] + d[2][2]));
    out[3] = 2 * (x * (d[0][2] + d[2][0]) + y * (d[1][2] + d[2][1]) + w * (d[1][0] - d[0][1]) -
                  2 * z * (d[0][0] + d[1][1]));
    along = out[0] * w + out[1] * x + out[2] * y + out[3] * z;
    for (int k = 0; k < 4; k++)
        out[k] = (out[k] - along * q[k]) * inverse_length;
}

/* C = M M^T with M = R diag(s): dM = 2 dC M (dC a symmetric matrix, of whose off-diagonal numbers
 * each counts half); d log s_j = sum_i dM_ij M_ij, dR_ij = dM_ij s_j. */
static inline void shape_grad(vec log_scale[3], vec quaternion[4], const vec c[6])
{
    vec q[4], r[3][3], d[3][3];
    vec f = 1 / v_sqrt(quaternion[0] * quaternion[0] + quaternion[1] * quaternion[1] +
                       quaternion[2] * quaternion[2] + quaternion[3] * quaternion[3]);

    for (int k = 0; k < 4; k++)
        q[k] = quaternion[k] * f;
    rotation(r, q[0], q[1], q[2], q[3]);
    for (int j = 0; j < 3; j++) {
        vec square = v_exp(2 * log_scale[j]), dc[3];

        dc[0] = 2 * c[0] * r[0][j] + c[1] * r[1][j] + c[2] * r[2][j];
        dc[1] = c[1] * r[0][j] + 2 * c[3] * r[1][j] + c[4] * r[2][j];
        dc[2] = c[2] * r[0][j] + c[4] * r[1][j] + 2 * c[5] * r[2][j];
        for (int i = 0; i < 3; i++)
            d[i][j] = square * dc[i];
        log_scale[j] = d[0][j] * r[0][j] + d[1][j] * r[1][j] + d[2][j] * r[2][j];
    }
    quaternion_grad(quaternion, d, q, f);
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
