/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution of pictures (B, H, W, C) and its input gradient: with oneDNN where the weights are
 * constant, else by our own product over gathered patches (Chellapilla et al., "High Performance
 * Convolutional Neural Networks for Document Processing", 2006, section 3). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "num/cpu/conv.h"
#include "num/cpu/gemm.h"
#include "num/cpu/op_impl.h"
#include "num/pool_impl.h"

enum { X, W, BIAS };
enum { PIXELS = 64 }; /* of a task of our own loops */

struct state {
    struct t3di_conv_run *y, *dx;
    const t3d_real *packed_y, *packed_dx; /* the pool's, for our own loops */
};

static struct t3di_conv conv_of(const struct t3d_call *c)
{
    const struct t3di_conv_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[X], *w = &c->in_shape[W], *y = &c->out_shape[0];

    return (struct t3di_conv){.batch = x->dim[0],
                              .h = x->dim[1],
                              .w = x->dim[2],
                              .c = x->dim[3],
                              .oh = y->dim[1],
                              .ow = y->dim[2],
                              .o = w->dim[0],
                              .groups = a->groups,
                              .kh = w->dim[2],
                              .kw = w->dim[3],
                              .stride = a->stride,
                              .pad_h = a->pad_h,
                              .pad_w = a->pad_w,
                              .dilation = a->dilation,
                              .bias = c->in[BIAS] != NULL,
                              .relu = a->relu};
}

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_conv_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[X], *w = &c->in_shape[W];
    int64_t high, wide;

    if (x->n != 4 || w->n != 4)
        return t3d_shape_error(c, err, "pictures are (B, H, W, C), weights (O, C / groups, h, w)");
    if (a->stride < 1 || a->dilation < 1 || a->pad_h < 0 || a->pad_w < 0)
        return t3d_shape_error(c, err, "stride and dilation start at 1, padding at 0");
    if (a->groups < 1 || x->dim[3] % a->groups || w->dim[0] % a->groups ||
        w->dim[1] != x->dim[3] / a->groups)
        return t3d_shape_error(c, err, "%lld channels in %d groups do not fit the weights",
                               (long long)x->dim[3], a->groups);
    if (c->in[BIAS] && (c->in_shape[BIAS].n != 1 || c->in_shape[BIAS].dim[0] != w->dim[0]))
        return t3d_shape_error(c, err, "the bias must have %lld elements", (long long)w->dim[0]);
    high = x->dim[1] + 2 * (int64_t)a->pad_h - a->dilation * (w->dim[2] - 1) - 1;
    wide = x->dim[2] + 2 * (int64_t)a->pad_w - a->dilation * (w->dim[3] - 1) - 1;
    if (high < 0 || wide < 0)
        return t3d_shape_error(c, err, "the picture is smaller than the kernel");
    c->out_shape[0] = T3D_SHAPE(x->dim[0], high / a->stride + 1, wide / a->stride + 1, w->dim[0]);
    return T3D_OK;
}

static double flops(const struct t3d_call *c)
{
    const struct t3d_shape *w = &c->in_shape[W];

    return 2. * (double)t3d_shape_count(&c->out_shape[0]) *
           (double)(w->dim[1] * w->dim[2] * w->dim[3]);
}

/* --- our own loops ----------------------------------------------------------------------------
 *
 * Result pixel p of a picture is the product of its patch (k = kh kw from) with weights (k, to):
 * forward from = C, to = O; for the input gradient the other way round, with patches of gy. */

struct pass {
    struct t3di_conv d;
    int backward;
    int64_t from, to, k; /* channels of a group; length of a patch */
    int64_t h, w, oh, ow;
};

static struct pass pass_of(const struct t3d_call *c, int backward)
{
    struct t3di_conv d = conv_of(c);
    int64_t cg = d.c / d.groups, og = d.o / d.groups;

    if (backward)
        return (struct pass){d, 1, og, cg, og * d.kh * d.kw, d.oh, d.ow, d.h, d.w};
    return (struct pass){d, 0, cg, og, cg * d.kh * d.kw, d.h, d.w, d.oh, d.ow};
}

/* Row or column of the source under tap k of result i; -1 = none. */
static int64_t source_at(const struct t3di_conv *d, int backward, int64_t i, int64_t k, int64_t pad,
                         int64_t size)
{
    int64_t at = i * d->stride - pad + k * d->dilation;

    if (backward) {
        at = i + pad - k * d->dilation;
        if (at < 0 || at % d->stride)
            return -1;
        at /= d->stride;
    }
    return at < size ? at : -1;
}

/* Patches of pixels [from, to) of one picture into col (to - from, k). */
static void gather_patches(const struct pass *p, const t3d_real *x, int64_t group, int64_t from,
                           int64_t to, t3d_real *col)
{
    const struct t3di_conv *d = &p->d;
    int64_t row = p->from * d->groups;
    size_t run = (size_t)p->from * sizeof *x;

    for (int64_t i = from; i < to; i++)
        for (int64_t ky = 0; ky < d->kh; ky++) {
            int64_t y = source_at(d, p->backward, i / p->ow, ky, d->pad_h, p->h);

            for (int64_t kx = 0; kx < d->kw; kx++, col += p->from) {
                int64_t at = source_at(d, p->backward, i % p->ow, kx, d->pad_w, p->w);

                if (y < 0 || at < 0)
                    memset(col, 0, run);
                else
                    memcpy(col, x + (y * p->w + at) * row + group * p->from, run);
            }
        }
}

static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Bytes of the weights of a group, arranged as (to, k), and packed from there. */
static size_t arranged_bytes(const struct pass *p)
{
    return rounded((size_t)(p->to * p->k) * sizeof(t3d_real));
}

static size_t packed_bytes(const struct pass *p)
{
    return rounded(t3di_gemm_packed(p->to, p->k));
}

/* to[j][ky][kx][i] = w[o][c][ky][kx] of one group; forward j = o, i = c. */
static void arrange(const struct pass *p, const t3d_real *w, int64_t group, t3d_real *to)
{
    const struct t3di_conv *d = &p->d;
    int64_t taps = d->kh * d->kw, cg = d->c / d->groups;

    w += group * (d->o / d->groups) * cg * taps;
    for (int64_t j = 0; j < p->to; j++)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = 0; i < p->from; i++)
                *to++ = p->backward ? w[(i * cg + j) * taps + t] : w[(j * cg + i) * taps + t];
}

static void pack_weights(const struct pass *p, const t3d_real *w, char *to, t3d_real *scratch)
{
    for (int64_t g = 0; g < p->d.groups; g++) {
        arrange(p, w, g, scratch);
        t3di_gemm_pack(
            &(struct t3di_gemm){.n = p->to, .k = p->k, .b = scratch, .b_row = 1, .b_col = p->k},
            (t3d_real *)(to + (size_t)g * packed_bytes(p)), 1);
    }
}

static int fill_pack(void *to, const struct t3di_pack *pack, struct t3d_err *err)
{
    const struct pass *p = pack->arg;
    t3d_real *scratch = malloc(arranged_bytes(p));

    if (!scratch)
        return t3d_err_nomem(err, "packed weights");
    pack_weights(p, pack->source, to, scratch);
    free(scratch);
    return T3D_OK;
}

static size_t task_bytes(const struct pass *p)
{
    return rounded((size_t)(PIXELS * p->k) * sizeof(t3d_real)) +
           rounded(t3di_gemm_work(PIXELS, p->to, p->k, 1, 1));
}

struct job {
    struct pass p;
    const t3d_real *from, *bias;
    const char *packed;
    t3d_real *to;
    int add, relu;
};

/* One tile of pixels of one group. */
static void tile(const struct job *j, int64_t picture, int64_t group, int64_t first, char *scratch)
{
    const struct t3di_kernel *kernel = t3di_kernel();
    const struct pass *p = &j->p;
    int64_t row = p->to * p->d.groups, last = T3D_MIN(p->oh * p->ow, first + PIXELS);
    t3d_real *col = (t3d_real *)scratch;
    t3d_real *to = j->to + (picture * p->oh * p->ow + first) * row + group * p->to;

    gather_patches(p, j->from + picture * p->h * p->w * p->from * p->d.groups, group, first, last,
                   col);
    t3di_gemm(&(struct t3di_gemm){.m = last - first,
                                  .n = p->to,
                                  .k = p->k,
                                  .a = col,
                                  .a_row = p->k,
                                  .a_col = 1,
                                  .packed = (const t3d_real *)(j->packed +
                                                               (size_t)group * packed_bytes(p)),
                                  .c = to,
                                  .c_row = row,
                                  .add = j->add},
              scratch + rounded((size_t)(PIXELS * p->k) * sizeof(t3d_real)), 1);
    for (int64_t i = 0; i < last - first; i++, to += row) {
        if (j->bias)
            kernel->binary[T3DI_ADD](to, to, 1, j->bias + group * p->to, 1, p->to);
        if (j->relu)
            kernel->unary[T3DI_RELU](to, to, p->to, 0, 0);
    }
}

static void run_own(const struct t3d_call *c, struct job *j, const t3d_real *w,
                    const t3d_real *packed, char *scratch)
{
    const struct pass *p = &j->p;
    int64_t tiles = (p->oh * p->ow + PIXELS - 1) / PIXELS;
    size_t one = task_bytes(p);

    j->packed = (const char *)packed;
    if (!packed) {
        j->packed = scratch;
        scratch += (size_t)p->d.groups * packed_bytes(p);
        pack_weights(p, w, (char *)(uintptr_t)j->packed, (t3d_real *)scratch);
        scratch += arranged_bytes(p);
    }
#pragma omp parallel for num_threads(c->threads)
    for (int64_t t = 0; t < p->d.batch * p->d.groups * tiles; t++)
        tile(j, t / tiles / p->d.groups, t / tiles % p->d.groups, t % tiles * PIXELS,
             scratch + one * (size_t)t3di_thread());
}

/* --- the op ----------------------------------------------------------------------------------- */

static void release(void *p)
{
    struct state *s = p;

    t3di_conv_free(s->y);
    t3di_conv_free(s->dx);
    free(s);
}

static int pack_own(struct t3d_call *c, int backward, const t3d_real **packed, struct t3d_err *err)
{
    struct pass p = pass_of(c, backward);
    struct t3di_pack pack = {.source = c->in[W],
                             .source_bytes = t3d_shape_bytes(&c->in_shape[W]),
                             .key = {'c', backward, p.d.o, p.d.c, p.d.groups, p.d.kh, p.d.kw},
                             .bytes = (size_t)p.d.groups * packed_bytes(&p),
                             .fill = fill_pack,
                             .arg = &p};

    *packed = t3di_pool_pack(c, &pack, err);
    return *packed ? T3D_OK : T3D_FAIL;
}

static int prepare(struct t3d_call *c, struct t3d_err *err)
{
    struct state *s = calloc(1, sizeof *s);
    struct t3di_conv d = conv_of(c);
    int r = T3D_OK;

    c->state = s;
    if (!s)
        return t3d_err_nomem(err, "a convolution");
    if (c->grad_in[W] || c->grad_in[BIAS])
        return t3d_err_set(err, T3D_USAGE, "bad-graph",
                           "a convolution has no gradient for its weights: make them constants, "
                           "or use patchify and matmul");
    if (!c->in_is_constant[W])
        return T3D_OK;
    r = t3di_conv_new(&s->y, &d, c->in[W], c, err);
    if (r == T3D_OK && !s->y)
        r = pack_own(c, 0, &s->packed_y, err);
    if (r == T3D_OK && c->grad_in[X])
        r = t3di_conv_new_backward(&s->dx, &d, c->in[W], c, err);
    if (r == T3D_OK && c->grad_in[X] && !s->dx)
        r = pack_own(c, 1, &s->packed_dx, err);
    return r;
}

static size_t relu_bytes(const struct t3d_call *c)
{
    return ((const struct t3di_conv_attr *)c->attr)->relu
               ? rounded(t3d_shape_bytes(&c->out_shape[0]))
               : 0;
}

/* Enough for either way, since which one is known only once primitives have been made. */
static size_t work(const struct t3d_call *c, int backward)
{
    struct pass p = pass_of(c, backward);
    size_t own = task_bytes(&p) * (size_t)c->threads;

    if (!c->in_is_constant[W])
        own += (size_t)p.d.groups * packed_bytes(&p) + arranged_bytes(&p);
    if (!backward)
        return own;
    return relu_bytes(c) + T3D_MAX(own, rounded(t3d_shape_bytes(&c->in_shape[X])));
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct state *s = c->state;
    struct job j = {.p = pass_of(c, 0), .from = c->in[X], .bias = c->in[BIAS], .to = c->out[0]};

    if (s->y)
        return t3di_conv_execute(s->y, c->in[X], c->in[BIAS], c->out[0], err);
    j.relu = j.p.d.relu;
    run_own(c, &j, c->in[W], s->packed_y, c->work);
    return T3D_OK;
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct state *s = c->state;
    int64_t n = t3d_shape_count(&c->in_shape[X]);
    char *scratch = c->work;
    struct job j = {
        .p = pass_of(c, 1), .from = c->grad_out[0], .to = c->grad_in[X], .add = !c->grad_fresh[X]};
    int r;

    if (!c->grad_in[X])
        return T3D_OK;
    if (j.p.d.relu) { /* y > 0 where the value before it is */
        t3di_unary_grad_run(T3DI_RELU, c->work, c->grad_out[0], c->out[0],
                            t3d_shape_count(&c->out_shape[0]), 0, 0, 1, c->threads);
        j.from = c->work;
        scratch += relu_bytes(c);
    }
    if (!s->dx) {
        run_own(c, &j, c->in[W], s->packed_dx, scratch);
        return T3D_OK;
    }
    if (!j.add)
        return t3di_conv_execute(s->dx, j.from, NULL, j.to, err);
    r = t3di_conv_execute(s->dx, j.from, NULL, (t3d_real *)scratch, err);
    if (r == T3D_OK)
        t3di_add_into(j.to, (t3d_real *)scratch, n, 0, c->threads);
    return r;
}

/* --- cases ------------------------------------------------------------------------------------ */

#define ATTR(...)                                                                                  \
    .attr = &(const struct t3di_conv_attr)                                                         \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
/* The weights have no gradient. */
#define FROZEN .frozen = 1 << W | 1 << BIAS, .batch = 1

static const struct t3d_op_case cases[] = {
    {"3 x 3",
     3,
     {T3D_DIMS(2, 7, 6, 3), T3D_DIMS(5, 3, 3, 3), T3D_DIMS(5)},
     ATTR(1, 1, 1, 1, 1, 0),
     FROZEN},
    {"stride 2, relu",
     3,
     {T3D_DIMS(2, 8, 11, 4), T3D_DIMS(17, 4, 3, 3), T3D_DIMS(17)},
     ATTR(2, 1, 1, 1, 1, 1),
     FROZEN},
    {"alexnet's first",
     3,
     {T3D_DIMS(2, 20, 19, 3), T3D_DIMS(6, 3, 11, 11), T3D_DIMS(6)},
     ATTR(4, 2, 2, 1, 1, 0),
     FROZEN},
    {"1 x 7",
     3,
     {T3D_DIMS(2, 5, 9, 4), T3D_DIMS(3, 4, 1, 7)},
     ATTR(1, 0, 3, 1, 1, 0),
     .absent = 1 << BIAS,
     FROZEN},
    {"1 x 1",
     3,
     {T3D_DIMS(2, 5, 4, 16), T3D_DIMS(32, 16, 1, 1), T3D_DIMS(32)},
     ATTR(1, 0, 0, 1, 1, 1),
     FROZEN},
    {"dilation 2",
     3,
     {T3D_DIMS(1, 9, 8, 3), T3D_DIMS(4, 3, 3, 3), T3D_DIMS(4)},
     ATTR(1, 2, 1, 2, 1, 0),
     FROZEN},
    {"dilation, stride",
     3,
     {T3D_DIMS(1, 12, 10, 3), T3D_DIMS(4, 3, 2, 3), T3D_DIMS(4)},
     ATTR(3, 2, 0, 3, 1, 0),
     FROZEN},
    {"groups",
     3,
     {T3D_DIMS(2, 6, 5, 6), T3D_DIMS(9, 2, 3, 3), T3D_DIMS(9)},
     ATTR(1, 1, 1, 1, 3, 0),
     FROZEN},
    {"each channel",
     3,
     {T3D_DIMS(2, 6, 5, 8), T3D_DIMS(8, 1, 3, 3)},
     ATTR(2, 1, 1, 1, 8, 0),
     .absent = 1 << BIAS,
     FROZEN},
    {"wide padding", /* rows that see padding alone */
     3,
     {T3D_DIMS(1, 3, 3, 2), T3D_DIMS(2, 2, 2, 2), T3D_DIMS(2)},
     ATTR(1, 3, 3, 1, 1, 0),
     FROZEN},
    {"several bands",
     3,
     {T3D_DIMS(2, 33, 31, 32), T3D_DIMS(48, 32, 3, 3), T3D_DIMS(48)},
     ATTR(1, 1, 1, 1, 1, 1),
     .lo = -1,
     .hi = 1,
     FROZEN},
    {"vgg conv2",
     3,
     {T3D_DIMS(2, 128, 128, 64), T3D_DIMS(128, 64, 3, 3), T3D_DIMS(128)},
     ATTR(1, 1, 1, 1, 1, 1),
     FROZEN,
     .bench = 1},
    {"vgg conv5",
     3,
     {T3D_DIMS(2, 16, 16, 512), T3D_DIMS(512, 512, 3, 3), T3D_DIMS(512)},
     ATTR(1, 1, 1, 1, 1, 1),
     FROZEN,
     .bench = 1},
    {.name = NULL}};

const struct t3d_op t3d_op_conv = {.name = "conv2d",
                                   .min_in = 2,
                                   .max_in = 3,
                                   .n_out = 1,
                                   .attr_size = sizeof(struct t3di_conv_attr),
                                   .shape = shape,
                                   .backward_reads_in = 1 << W,
                                   .backward_reads_out = 1,
                                   .sets_grad = 1 << X,
                                   .flops = flops,
                                   .backend[T3D_CPU] = {prepare, release, work, forward, backward},
                                   .cases = cases};
