/* SPDX-License-Identifier: Apache-2.0 */
/* Mip chains. Colours are averaged in linear light (glTF 2.0 section 3.9.2 asks for filtering after
 * decoding) over the exact area of the texel; where alpha counts, weighted by alpha. */
#include "draw/draw_impl.h"

#include <pthread.h>

#include "image/colour.h"

struct plane {
    uint32_t *texel;
    uint32_t width, height, stride;
};

struct reducer {
    const float *linear; /* of 256 sRGB codes */
    enum t3di_mip_kind kind;
};

static uint32_t channel(uint32_t texel, int k)
{
    return texel >> (8 * k) & 255u;
}

/* Linear light to the nearest sRGB code by a table fine enough that a code is off by at most a
 * fifth. */
enum { ENCODE_STEPS = 16384 };
static uint8_t encode_table[ENCODE_STEPS + 1];
static pthread_once_t encode_once = PTHREAD_ONCE_INIT;

static void fill_encode_table(void)
{
    for (int k = 0; k <= ENCODE_STEPS; k++)
        encode_table[k] = t3d_linear_to_srgb8((float)k / ENCODE_STEPS);
}

static uint32_t encode(float linear)
{
    return encode_table[(int)(linear * ENCODE_STEPS + 0.5f)];
}

/* Weighted mean of n texels. */
static uint32_t mean(const struct reducer *r, const uint32_t *texel, const float *weight, int n)
{
    float sum[4] = {0}, alpha = 0.0f, plain[3] = {0};
    int data = r->kind == T3DI_MIP_DATA,
        by_alpha = r->kind == T3DI_MIP_BLEND || r->kind == T3DI_MIP_MASK;
    for (int k = 0; k < n; k++) {
        float a = (float)channel(texel[k], 3) * weight[k], w = by_alpha ? a : weight[k];
        for (int c = 0; c < 3; c++) {
            uint32_t code = channel(texel[k], c);
            float x = data ? (float)code : r->linear[code];
            sum[c] += w * x;
            plain[c] += weight[k] * x;
        }
        alpha += a;
    }
    uint32_t out = (uint32_t)(alpha + 0.5f) << 24;
    for (int c = 0; c < 3; c++) {
        float x = !by_alpha ? sum[c] : alpha > 0.0f ? sum[c] / alpha : plain[c];
        out |= (data ? (uint32_t)(x + 0.5f) : encode(T3D_MIN(x, 1.0f))) << (8 * c);
    }
    return out;
}

/* The texels [first, first + n) that lie in output texel i, and their share of it. */
static int taps(uint32_t i, uint32_t from, uint32_t to, uint32_t *first, float weight[4])
{
    uint64_t lo = (uint64_t)i * from, hi = lo + from; /* in units of 1/to texel */
    int n = 0;
    *first = (uint32_t)(lo / to);
    for (uint64_t k = *first; k * to < hi && n < 4; k++) {
        uint64_t a = T3D_MAX(lo, k * to), b = T3D_MIN(hi, (k + 1) * to);
        weight[n++] = (float)(b - a) / (float)from;
    }
    return n;
}

/* Mean of 2 x 2 texels whose alpha does not count as a weight. */
static uint32_t mean4(const struct reducer *r, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    uint32_t alpha = ((a >> 24) + (b >> 24) + (c >> 24) + (d >> 24) + 2) / 4, out = alpha << 24;
    for (int k = 0; k < 3; k++) {
        uint32_t i = channel(a, k), j = channel(b, k), m = channel(c, k), n = channel(d, k);
        if (r->kind == T3DI_MIP_DATA)
            out |= (i + j + m + n + 2) / 4 << (8 * k);
        else
            out |= encode((r->linear[i] + r->linear[j] + r->linear[m] + r->linear[n]) * 0.25f)
                   << (8 * k);
    }
    return out;
}

static void halve_even(const struct reducer *r, const struct plane *in, const struct plane *out)
{
    static const float quarter[4] = {0.25f, 0.25f, 0.25f, 0.25f};
    int by_alpha = r->kind == T3DI_MIP_BLEND || r->kind == T3DI_MIP_MASK;
    for (uint32_t y = 0; y < out->height; y++) {
        const uint32_t *p = in->texel + (size_t)(2 * y) * in->stride, *q = p + in->stride;
        uint32_t *o = out->texel + (size_t)y * out->stride;
        for (uint32_t x = 0; x < out->width; x++, p += 2, q += 2) {
            uint32_t t[4] = {p[0], p[1], q[0], q[1]};
            if (t[0] == t[1] && t[2] == t[3] && t[0] == t[2])
                o[x] = t[0];
            else
                o[x] = by_alpha ? mean(r, t, quarter, 4) : mean4(r, t[0], t[1], t[2], t[3]);
        }
    }
}

static void halve(const struct reducer *r, const struct plane *in, const struct plane *out)
{
    if (in->width == 2 * out->width && in->height == 2 * out->height) {
        halve_even(r, in, out);
        return;
    }
    for (uint32_t y = 0; y < out->height; y++) {
        uint32_t y0, x0, texel[16];
        float wy[4], wx[4], weight[16];
        int ny = taps(y, in->height, out->height, &y0, wy);
        for (uint32_t x = 0; x < out->width; x++) {
            int nx = taps(x, in->width, out->width, &x0, wx), n = 0;
            for (int j = 0; j < ny; j++)
                for (int i = 0; i < nx; i++) {
                    texel[n] =
                        in->texel[(size_t)(y0 + (uint32_t)j) * in->stride + x0 + (uint32_t)i];
                    weight[n++] = wx[i] * wy[j];
                }
            uint32_t same = 1;
            for (int k = 1; k < n; k++)
                same &= texel[k] == texel[0];
            out->texel[(size_t)y * out->stride + x] = same ? texel[0] : mean(r, texel, weight, n);
        }
    }
}

/* ---- alpha
 * ----------------------------------------------------------------------------------------- */

static void count_alpha(const struct plane *p, uint64_t histogram[256])
{
    memset(histogram, 0, 256 * sizeof *histogram);
    for (uint32_t y = 0; y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++)
            histogram[p->texel[(size_t)y * p->stride + x] >> 24]++;
}

static int smallest_alpha(const struct plane *p)
{
    uint32_t lowest = 255;
    for (uint32_t y = 0; y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++)
            lowest = T3D_MIN(lowest, p->texel[(size_t)y * p->stride + x] >> 24);
    return (int)lowest;
}

static double share_above(const struct plane *p, double cutoff)
{
    uint64_t h[256], n = 0, above = 0;
    count_alpha(p, h);
    for (int k = 0; k < 256; k++) {
        n += h[k];
        above += k >= cutoff ? h[k] : 0;
    }
    return n ? (double)above / (double)n : 0.0;
}

/* Scale alpha so that the share of texels at or above the cutoff is the base level's (Castano 2010,
 * "Computing alpha mipmaps"). */
static void keep_coverage(const struct plane *p, double cutoff, double share)
{
    uint64_t h[256], n = (uint64_t)p->width * p->height, above = 0;
    if (share <= 0.0 || share >= 1.0 || cutoff <= 0.0)
        return;
    count_alpha(p, h);
    int level = 255; /* the alpha that as large a share reaches */
    for (; level > 1; level--) {
        above += h[level];
        if ((double)above >= share * (double)n)
            break;
    }
    double scale = cutoff / level;
    for (uint32_t y = 0; y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++) {
            uint32_t *t = &p->texel[(size_t)y * p->stride + x];
            double a = T3D_MIN((*t >> 24) * scale + 0.5, 255.0);
            *t = (*t & 0xffffffu) | (uint32_t)a << 24;
        }
}

/* ---- the chain
 * --------------------------------------------------------------------------------------- */

/* The column and row beyond the edge: the other edge's when the picture repeats, else the same. */
static void pad(const struct plane *p, int wrap_s, int wrap_t)
{
    for (uint32_t y = 0; y < p->height; y++) {
        uint32_t *row = p->texel + (size_t)y * p->stride;
        row[p->width] = wrap_s == T3D_WRAP_REPEAT ? row[0] : row[p->width - 1];
    }
    const uint32_t *from =
        p->texel + (wrap_t == T3D_WRAP_REPEAT ? 0 : (size_t)(p->height - 1) * p->stride);
    memcpy(p->texel + (size_t)p->height * p->stride, from, p->stride * sizeof *from);
}

static struct plane level_of(const struct t3di_mips *m, int l)
{
    return (struct plane){m->texel + m->offset[l], (uint32_t)m->width[l], (uint32_t)m->height[l],
                          (uint32_t)m->stride[l]};
}

static size_t lay_out(struct t3di_mips *m, uint32_t w, uint32_t h)
{
    size_t n = 0;
    for (m->n_levels = 0;; w = T3D_MAX(w / 2, 1), h = T3D_MAX(h / 2, 1)) {
        int l = m->n_levels++;
        m->width[l] = (float)w, m->height[l] = (float)h;
        m->stride[l] = (int32_t)w + 1, m->offset[l] = (int32_t)n;
        n += (size_t)(w + 1) * (h + 1);
        if (w == 1 && h == 1)
            return n;
    }
}

/* Pictures beyond T3DI_MAX_TEXTURE are halved before; *top is freed by the caller when owned. */
static int shrink(const struct reducer *r, struct plane *top, int *owned)
{
    while (top->width > T3DI_MAX_TEXTURE || top->height > T3DI_MAX_TEXTURE) {
        struct plane half = {NULL, T3D_MAX(top->width / 2, 1), T3D_MAX(top->height / 2, 1), 0};
        half.stride = half.width;
        half.texel = malloc((size_t)half.width * half.height * sizeof *half.texel);
        if (half.texel)
            halve(r, top, &half);
        if (*owned)
            free(top->texel);
        if (!half.texel)
            return -1;
        *top = half, *owned = 1;
    }
    return 0;
}

int t3di_mips_new(struct t3di_mips **out, struct t3d_arena *a, const struct t3d_picture *p,
                  enum t3di_mip_kind kind, int wrap_s, int wrap_t, float cutoff,
                  struct t3d_err *err)
{
    pthread_once(&encode_once, fill_encode_table);
    struct reducer r = {t3d_srgb_to_linear_table(), kind};
    struct plane top = {(uint32_t *)(void *)p->pixels, p->width, p->height, p->width};
    int owned = 0;
    if (shrink(&r, &top, &owned) < 0)
        return t3d_err_nomem(err, "texture");
    struct t3di_mips *m = t3d_alloc(a, 1, sizeof *m);
    size_t n = m ? lay_out(m, top.width, top.height) : 0;
    if (m)
        m->texel = t3d_alloc_raw(a, n + 16, sizeof *m->texel);
    if (!m || !m->texel) {
        if (owned)
            free(top.texel);
        return t3d_err_nomem(err, "texture");
    }
    m->wrap_s = (uint8_t)wrap_s, m->wrap_t = (uint8_t)wrap_t;
    struct plane base = level_of(m, 0);
    for (uint32_t y = 0; y < base.height; y++)
        memcpy(base.texel + (size_t)y * base.stride, top.texel + (size_t)y * top.stride,
               base.width * sizeof *base.texel);
    if (owned)
        free(top.texel);
    m->min_alpha = (uint8_t)smallest_alpha(&base);
    double share = kind == T3DI_MIP_MASK ? share_above(&base, (double)cutoff * 255.0) : 0.0;
    for (int l = 1; l < m->n_levels; l++) {
        struct plane from = level_of(m, l - 1), to = level_of(m, l);
        halve(&r, &from, &to);
    }
    for (int l = 0; l < m->n_levels; l++) {
        struct plane q = level_of(m, l);
        if (kind == T3DI_MIP_MASK && l > 0)
            keep_coverage(&q, (double)cutoff * 255.0, share);
        pad(&q, wrap_s, wrap_t);
    }
    *out = m;
    return T3D_OK;
}
