/* SPDX-License-Identifier: Apache-2.0 */
/* The algorithm of Pillow's ImagingResample for 8-bit pixels, restated: the filter's support grows
 * with the scale when shrinking; coefficients are normalised in double and rounded (halves away
 * from zero) to 22 bits of fraction; each pass sums in 32 bits from one half, shifts right and
 * clips; rows first, then columns; a pass that keeps its size is left out. */
#include "image/resize.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/isa.h"
#include "image/image_impl.h"
#include "image/resize_impl.h"

static double box(double x)
{
    return x > -.5 && x <= .5 ? 1 : 0;
}

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, eq. 15 with a = -1/2.
 */
static double bicubic(double x)
{
    const double a = -.5;

    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x)
{
    x *= M_PI;
    return x == 0 ? 1 : sin(x) / x;
}

static double lanczos(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct {
    double (*f)(double x);
    double support;
} filters[] = {
    [T3D_FILTER_BOX] = {box, .5},
    [T3D_FILTER_BILINEAR] = {bilinear, 1},
    [T3D_FILTER_BICUBIC] = {bicubic, 2},
    [T3D_FILTER_LANCZOS] = {lanczos, 3},
};

/* Coefficients of output i in w, normalised, and their place in the input. */
static void weigh(double *w, uint32_t *start, uint32_t *count, uint32_t i, uint32_t in,
                  double scale, enum t3d_filter filter)
{
    double stretch = scale < 1 ? 1 : scale, support = filters[filter].support * stretch;
    double center = (i + .5) * scale, step = 1 / stretch, sum = 0;
    double low = center - support + .5, high = center + support + .5;
    uint32_t first = low < 0 ? 0 : (uint32_t)low;
    uint32_t last = high > in ? in : (uint32_t)high;

    *start = first;
    *count = last - first;
    for (uint32_t x = 0; x < last - first; x++) {
        w[x] = filters[filter].f((x + first - center + .5) * step);
        sum += w[x];
    }
    for (uint32_t x = 0; x < last - first && sum != 0; x++)
        w[x] /= sum;
}

/* Bits of fraction with which the largest coefficient of all outputs is below 2^15: what torch
 * takes (ATen/native/cpu/UpSampleKernel.cpp, _compute_index_ranges_int16_weights). */
static int torch_bits(double *w, uint32_t in, uint32_t out, double scale, enum t3d_filter filter)
{
    uint32_t first, count;
    double most = 0;
    int bits = 0;

    for (uint32_t i = 0; i < out; i++) {
        weigh(w, &first, &count, i, in, scale, filter);
        for (uint32_t x = 0; x < count; x++)
            most = fmax(most, w[x]);
    }
    while (bits < T3DI_RESIZE_BITS && (int)(.5 + most * (2 << bits)) < 1 << 15)
        bits++;
    return bits;
}

/* Of the outputs [from, from + n) of `out`. Coefficients rounded to fewer bits are shifted to the
 * place of the others, which changes no result. */
static int make_taps(struct t3di_taps *t, uint32_t in, uint32_t out, uint32_t from, uint32_t n,
                     const struct t3d_resize_part *part, struct t3d_arena *a)
{
    double scale = (double)in / out;
    double support = filters[part->filter].support * (scale < 1 ? 1 : scale);
    int bits = T3DI_RESIZE_BITS;
    double *w;

    t->width = ((size_t)ceil(support) * 2 + 1 + 1) & ~(size_t)1;
    t->first = t3d_alloc_raw(a, n, sizeof *t->first);
    t->count = t3d_alloc_raw(a, n, sizeof *t->count);
    t->k = t3d_alloc(a, t->width * n, sizeof *t->k);
    w = t3d_alloc_raw(a, t->width, sizeof *w);
    if (!t->first || !t->count || !t->k || !w)
        return -1;
    if (part->torch)
        bits = torch_bits(w, in, out, scale, part->filter);
    for (uint32_t i = 0; i < n; i++) {
        weigh(w, &t->first[i], &t->count[i], from + i, in, scale, part->filter);
        for (uint32_t x = 0; x < t->count[i]; x++) {
            double k = w[x] * (1 << bits);

            t->k[t->width * i + x] =
                (int32_t)(k < 0 ? k - .5 : k + .5) * (1 << (T3DI_RESIZE_BITS - bits));
        }
    }
    return 0;
}

static inline uint8_t clip(int32_t sum)
{
    sum >>= T3DI_RESIZE_BITS;
    return (uint8_t)T3D_CLAMP(sum, 0, 255);
}

void t3di_horizontal(uint8_t *const out[4], const uint8_t *const in[4], uint32_t n, int channels,
                     const struct t3di_taps *taps)
{
    size_t c = (size_t)channels;

    for (int r = 0; r < 4; r++)
        for (uint32_t i = 0; i < n; i++) {
            const uint8_t *p = in[r] + taps->first[i] * c;
            const int32_t *k = taps->k + taps->width * i;

            for (size_t j = 0; j < c; j++) {
                int32_t sum = 1 << (T3DI_RESIZE_BITS - 1);

                for (uint32_t t = 0; t < taps->count[i]; t++)
                    sum += p[t * c + j] * k[t];
                out[r][i * c + j] = clip(sum);
            }
        }
}

void t3di_vertical(uint8_t *out, const uint8_t *in, size_t stride, size_t n, const int32_t *k,
                   uint32_t count)
{
    enum { BLOCK = 64 };

    for (size_t i = 0; i < n; i += BLOCK) {
        size_t m = n - i < BLOCK ? n - i : BLOCK;
        int32_t sum[BLOCK];

        for (size_t j = 0; j < m; j++)
            sum[j] = 1 << (T3DI_RESIZE_BITS - 1);
        for (uint32_t t = 0; t < count; t++)
            for (size_t j = 0; j < m; j++)
                sum[j] += in[stride * t + i + j] * k[t];
        for (size_t j = 0; j < m; j++)
            out[i + j] = clip(sum[j]);
    }
}

/* Rows of w pixels to rows of part->w pixels. Input rows near the end of the picture are copied, so
 * that vectors do not read behind it; so are all when w is tiny. */
static int resize_rows(uint8_t *out, const uint8_t *in, uint32_t w, uint32_t h, int channels,
                       const struct t3di_taps *taps, uint32_t n, struct t3d_arena *a)
{
    t3di_horizontal_fn *pass = t3d_isa() >= T3D_ISA_AVX2 ? t3di_horizontal_avx2 : t3di_horizontal;
    size_t stride = (size_t)w * (size_t)channels, out_stride = (size_t)n * (size_t)channels;
    uint8_t *copy = t3d_alloc(a, stride + T3DI_RESIZE_SLACK, 4);

    if (!copy)
        return -1;
    for (uint32_t y = 0; y < h; y += 4) {
        const uint8_t *from[4];
        uint8_t *to[4];

        for (uint32_t r = 0; r < 4; r++) {
            uint32_t row = y + r < h ? y + r : h - 1; /* the last row again, to the same place */

            from[r] = in + stride * row;
            to[r] = out + out_stride * row;
            if (stride * (h - 1 - row) < T3DI_RESIZE_SLACK) {
                from[r] = copy + (stride + T3DI_RESIZE_SLACK) * r;
                memcpy(copy + (stride + T3DI_RESIZE_SLACK) * r, in + stride * row, stride);
            }
        }
        pass(to, from, n, channels, taps);
    }
    return 0;
}

/* Rows of n bytes, stride apart, to rows of n bytes. */
static void resize_columns(uint8_t *out, const uint8_t *in, size_t stride, size_t n,
                           const struct t3di_taps *taps, uint32_t rows)
{
    t3di_vertical_fn *pass = t3d_isa() >= T3D_ISA_AVX2 ? t3di_vertical_avx2 : t3di_vertical;

    for (uint32_t y = 0; y < rows; y++)
        pass(out + n * y, in + stride * taps->first[y], stride, n, taps->k + taps->width * y,
             taps->count[y]);
}

/* The inputs [first, last) that one axis of the part is made of, and how; taps then count from
 * first. An axis that keeps its size has no taps. */
struct axis {
    uint32_t first, last;
    int resized;
    struct t3di_taps taps;
};

static int make_axis(struct axis *x, uint32_t in, uint32_t out, uint32_t from, uint32_t n,
                     const struct t3d_resize_part *part, struct t3d_arena *a)
{
    *x = (struct axis){.first = from, .last = from + n, .resized = in != out};
    if (!x->resized)
        return 0;
    if (make_taps(&x->taps, in, out, from, n, part, a) < 0)
        return -1;
    x->first = in;
    x->last = 0;
    for (uint32_t i = 0; i < n; i++) {
        x->first = T3D_MIN(x->first, x->taps.first[i]);
        x->last = T3D_MAX(x->last, x->taps.first[i] + x->taps.count[i]);
    }
    for (uint32_t i = 0; i < n; i++)
        x->taps.first[i] -= x->first;
    return 0;
}

static int columns_go_first(const struct t3d_resize_part *part, uint32_t w, uint32_t h)
{
    int64_t down = (int64_t)h - part->whole_h, across = (int64_t)w - part->whole_w;

    return part->pillow13 && down > 0 && down > 2 * across;
}

/* The inputs that take part, as rows without gaps, in the arena (or where they are). */
static const uint8_t *cut(const uint8_t *in, uint32_t w, const struct axis *x, const struct axis *y,
                          size_t c, struct t3d_arena *a)
{
    size_t n = (size_t)(x->last - x->first) * c;
    uint8_t *copy;

    in += (size_t)w * c * y->first;
    if (x->last - x->first == w)
        return in;
    copy = t3d_alloc_raw(a, n, y->last - y->first);
    for (uint32_t i = 0; copy && i < y->last - y->first; i++)
        memcpy(copy + n * i, in + ((size_t)w * i + x->first) * c, n);
    return copy;
}

static int run(uint8_t *out, const uint8_t *in, uint32_t w, uint32_t h, int channels,
               const struct t3d_resize_part *part, struct t3d_arena *a)
{
    struct axis x, y;
    size_t c = (size_t)channels, n;
    uint32_t rows;
    uint8_t *half = out;
    int first;

    if (make_axis(&x, w, part->whole_w, part->x, part->w, part, a) < 0 ||
        make_axis(&y, h, part->whole_h, part->y, part->h, part, a) < 0)
        return -1;
    first = columns_go_first(part, w, h);
    in = cut(in, w, &x, &y, c, a);
    w = x.last - x.first;
    rows = y.last - y.first;
    n = (size_t)T3D_MAX(w, part->w) * c * T3D_MAX(rows, part->h);
    if (x.resized && y.resized)
        half = t3d_alloc_raw(a, n, 1);
    if (!in || !half)
        return -1;
    if (x.resized && y.resized && first) {
        resize_columns(half, in, w * c, w * c, &y.taps, part->h);
        return resize_rows(out, half, w, part->h, channels, &x.taps, part->w, a);
    }
    if (x.resized && resize_rows(half, in, w, rows, channels, &x.taps, part->w, a) < 0)
        return -1;
    if (y.resized)
        resize_columns(out, x.resized ? half : in, part->w * c, part->w * c, &y.taps, part->h);
    if (!x.resized && !y.resized)
        memcpy(out, in, (size_t)part->w * part->h * c);
    return 0;
}

int t3d_resize_part(uint8_t *out, const struct t3d_resize_part *part, const uint8_t *in, uint32_t w,
                    uint32_t h, int channels, struct t3d_arena *scratch, struct t3d_err *err)
{
    const struct t3d_resize_part *p = part;

    if ((channels != 1 && channels != 3 && channels != 4) || !p->w || !p->h || !w || !h ||
        T3D_MAX(T3D_MAX(p->w, p->h), T3D_MAX(w, h)) > T3D_IMAGE_MAX_SIDE || p->whole_w > 1u << 30 ||
        p->whole_h > 1u << 30 || p->whole_w < p->w || p->whole_h < p->h ||
        p->x > p->whole_w - p->w || p->y > p->whole_h - p->h)
        return t3d_err_set(err, T3D_USAGE, "bad-argument",
                           "cannot resize %u x %u pixels of %d channels to %u x %u", w, h, channels,
                           p->w, p->h);
    if (run(out, in, w, h, channels, part, scratch) < 0)
        return t3d_err_nomem(err, "resizing a picture");
    return T3D_OK;
}

int t3d_resize(uint8_t *out, uint32_t ow, uint32_t oh, const uint8_t *in, uint32_t w, uint32_t h,
               int channels, enum t3d_filter filter, struct t3d_arena *scratch, struct t3d_err *err)
{
    struct t3d_resize_part part = {
        .whole_w = ow, .whole_h = oh, .w = ow, .h = oh, .filter = filter};

    return t3d_resize_part(out, &part, in, w, h, channels, scratch, err);
}
