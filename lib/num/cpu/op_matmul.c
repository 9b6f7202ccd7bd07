/* SPDX-License-Identifier: Apache-2.0 */
/* y = act(x w^T + bias) + residual and its gradients. */
#include <stddef.h>
#include <stdlib.h>

#include "num/cpu/dnnl_impl.h"
#include "num/cpu/gemm.h"
#include "num/cpu/op_impl.h"
#include "num/pool_impl.h"

enum { X, W, BIAS, RESIDUAL };

struct state {
    struct t3di_product *y, *dx, *dw; /* oneDNN; NULL = the plain loops */
    const t3d_real *packed;           /* constant weights for the plain loops, the pool's */
};

struct size {
    int64_t m, n, k;
};

static struct size size_of(const struct t3d_call *c)
{
    const struct t3d_shape *x = &c->in_shape[X];

    return (struct size){t3d_shape_part(x, 0, x->n - 1), c->in_shape[W].dim[0],
                         c->in_shape[W].dim[1]};
}

static enum t3di_unary act_of(const struct t3d_call *c)
{
    return ((const struct t3di_matmul_attr *)c->attr)->act;
}

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *x = &c->in_shape[X], *w = &c->in_shape[W];
    struct t3d_shape *y = &c->out_shape[0];

    if (x->n < 1 || w->n != 2 || x->dim[x->n - 1] != w->dim[1])
        return t3d_shape_error(c, err, "the last axis of x must be the last of w (N, K)");
    if (c->in[BIAS] && (c->in_shape[BIAS].n != 1 || c->in_shape[BIAS].dim[0] != w->dim[0]))
        return t3d_shape_error(c, err, "the bias must have the %lld elements of w's first axis",
                               (long long)w->dim[0]);
    *y = *x;
    y->dim[x->n - 1] = w->dim[0];
    if (c->in[RESIDUAL] && !t3d_shape_equal(y, &c->in_shape[RESIDUAL]))
        return t3d_shape_error(c, err, "the residual must have the shape of the result");
    if (c->n_out == 2)
        c->out_shape[1] = *y;
    return T3D_OK;
}

static double flops(const struct t3d_call *c)
{
    struct size s = size_of(c);

    return 2. * (double)s.m * (double)s.n * (double)s.k;
}

/* --- preparation ------------------------------------------------------------------------------ */

static void release(void *p)
{
    struct state *s = p;

    t3di_product_free(s->y);
    t3di_product_free(s->dx);
    t3di_product_free(s->dw);
    free(s);
}

/* Does the product do the epilogue itself? Not where backward needs the value before act: then all
 * runs of the node compute alike, also those whose value before act is dropped. */
static int fuses(const struct t3d_call *c)
{
    return c->n_out < 2 || !c->trains;
}

/* Where the product goes. */
static t3d_real *product_of(const struct t3d_call *c)
{
    return !fuses(c) && c->out[1] ? c->out[1] : c->out[0];
}

static int prepare_dnnl(struct t3d_call *c, struct state *s, struct t3d_err *err)
{
    struct size z = size_of(c);
    struct t3di_product_desc y = {.m = z.m,
                                  .n = z.n,
                                  .k = z.k,
                                  .a_row = z.k,
                                  .a_col = 1,
                                  .b_row = 1,
                                  .b_col = z.k,
                                  .bias = c->in[BIAS] != NULL,
                                  .act = fuses(c) ? act_of(c) : T3DI_N_UNARY,
                                  .constant = c->in_is_constant[W] ? c->in[W] : NULL};
    struct t3di_product_desc dx = {.m = z.m,
                                   .n = z.k,
                                   .k = z.n,
                                   .a_row = z.n,
                                   .a_col = 1,
                                   .b_row = z.k,
                                   .b_col = 1,
                                   .act = T3DI_N_UNARY,
                                   .add = !c->grad_fresh[X],
                                   .constant = y.constant};
    struct t3di_product_desc dw = {.m = z.n,
                                   .n = z.k,
                                   .k = z.m,
                                   .a_row = 1,
                                   .a_col = z.n,
                                   .b_row = z.k,
                                   .b_col = 1,
                                   .act = T3DI_N_UNARY,
                                   .add = 1};
    int r;

    y.add = fuses(c) && c->in[RESIDUAL];
    r = t3di_product_new(&s->y, &y, c, err);
    if (r == T3D_OK && c->grad_in[X])
        r = t3di_product_new(&s->dx, &dx, c, err);
    if (r == T3D_OK && c->grad_in[W])
        r = t3di_product_new(&s->dw, &dw, c, err);
    return r;
}

static struct t3di_gemm forward_gemm(const struct t3d_call *c)
{
    struct size z = size_of(c);

    return (struct t3di_gemm){.m = z.m,
                              .n = z.n,
                              .k = z.k,
                              .a = c->in[X],
                              .a_row = z.k,
                              .a_col = 1,
                              .b = c->in[W],
                              .b_row = 1,
                              .b_col = z.k,
                              .c_row = z.n};
}

struct packing {
    const struct t3di_gemm *g;
    int threads;
};

static int fill_pack(void *to, const struct t3di_pack *p, struct t3d_err *err)
{
    const struct packing *k = p->arg;

    (void)err;
    t3di_gemm_pack(k->g, to, k->threads);
    return T3D_OK;
}

static int prepare(struct t3d_call *c, struct t3d_err *err)
{
    struct state *s = calloc(1, sizeof *s);
    struct t3di_gemm g = forward_gemm(c);
    struct packing k = {&g, c->threads};
    struct t3di_pack pack = {.source = c->in[W],
                             .source_bytes = t3d_shape_bytes(&c->in_shape[W]),
                             .key = {'p', g.n, g.k},
                             .bytes = t3di_gemm_packed(g.n, g.k),
                             .fill = fill_pack,
                             .arg = &k};

    c->state = s;
    if (!s)
        return t3d_err_nomem(err, "a matrix product");
    if (t3di_product_usable())
        return prepare_dnnl(c, s, err);
    if (!c->in_is_constant[W])
        return T3D_OK;
    s->packed = t3di_pool_pack(c, &pack, err);
    return s->packed ? T3D_OK : T3D_FAIL;
}

/* --- forward ---------------------------------------------------------------------------------- */

static size_t work(const struct t3d_call *c, int backward)
{
    struct size z = size_of(c);
    size_t y, dx, dw, pre;

    if (!backward)
        return t3di_product_usable()
                   ? 0
                   : t3di_gemm_work(z.m, z.n, z.k, c->threads, c->in_is_constant[W]);
    pre = c->n_out == 2 ? (t3d_shape_bytes(&c->out_shape[0]) + 63) / 64 * 64 : 0;
    if (t3di_product_usable())
        return pre;
    dx = t3di_gemm_work(z.m, z.k, z.n, c->threads, 0);
    dw = t3di_gemm_work(z.n, z.k, z.m, c->threads, 0);
    y = T3D_MAX(dx, dw);
    return pre + y;
}

/* y = act(x + bias) + residual, by rows; x may be y. What x holds then is x + bias. */
static void epilogue(const struct t3d_call *c, t3d_real *y, t3d_real *x, int add_residual)
{
    const struct t3di_kernel *k = t3di_kernel();
    const t3d_real *bias = c->in[BIAS], *residual = add_residual ? c->in[RESIDUAL] : NULL;
    enum t3di_unary act = act_of(c);
    struct size z = size_of(c);

    if (x == y && !bias && act == T3DI_N_UNARY && !residual)
        return;
#pragma omp parallel for num_threads(c->threads) if (z.m * z.n > T3DI_BLOCK)
    for (int64_t i = 0; i < z.m; i++) {
        t3d_real *row = x + i * z.n, *to = y + i * z.n;

        if (bias)
            k->binary[T3DI_ADD](row, row, 1, bias, 1, z.n);
        if (act != T3DI_N_UNARY)
            k->unary[act](to, row, z.n, 0, 0);
        if (residual)
            k->binary[T3DI_ADD](to, act == T3DI_N_UNARY ? row : to, 1, residual + i * z.n, 1, z.n);
    }
}

static void forward_plain(const struct t3d_call *c)
{
    const struct state *s = c->state;
    struct t3di_gemm g = forward_gemm(c);
    /* Without an activation the product is added to the residual, be it in place or not. */
    int onto = c->in[RESIDUAL] && act_of(c) == T3DI_N_UNARY;

    g.c = product_of(c);
    if (onto && c->in[RESIDUAL] != c->out[0])
        t3di_add_into(c->out[0], c->in[RESIDUAL], g.m * g.n, 1, c->threads);
    g.packed = s->packed;
    g.add = onto;
    t3di_gemm(&g, c->work, c->threads);
    epilogue(c, c->out[0], g.c, !onto);
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct state *s = c->state;
    t3d_real *to = product_of(c);
    int64_t n = t3d_shape_count(&c->out_shape[0]);
    int r;

    if (!s->y) {
        forward_plain(c);
        return T3D_OK;
    }
    /* Whether the residual lies in place may differ from one run of the node to another. */
    if (fuses(c) && c->in[RESIDUAL] && c->in[RESIDUAL] != to)
        t3di_add_into(to, c->in[RESIDUAL], n, 1, c->threads);
    r = t3di_product_run(s->y, c->in[X], c->in[W], c->in[BIAS], to, err);
    if (r < 0 || fuses(c))
        return r;
    t3di_unary_run(act_of(c), c->out[0], to, n, 0, 0, c->threads);
    if (c->in[RESIDUAL])
        t3di_add_into(c->out[0], c->in[RESIDUAL], n, 0, c->threads);
    return T3D_OK;
}

/* --- backward --------------------------------------------------------------------------------- */

static void backward_plain(const struct t3d_call *c, const t3d_real *gy, void *scratch)
{
    struct size z = size_of(c);

    if (c->grad_in[X])
        t3di_gemm(&(struct t3di_gemm){.m = z.m,
                                      .n = z.k,
                                      .k = z.n,
                                      .a = gy,
                                      .a_row = z.n,
                                      .a_col = 1,
                                      .b = c->in[W],
                                      .b_row = z.k,
                                      .b_col = 1,
                                      .c = c->grad_in[X],
                                      .c_row = z.k,
                                      .add = !c->grad_fresh[X]},
                  scratch, c->threads);
    if (c->grad_in[W])
        t3di_gemm(&(struct t3di_gemm){.m = z.n,
                                      .n = z.k,
                                      .k = z.m,
                                      .a = gy,
                                      .a_row = 1,
                                      .a_col = z.n,
                                      .b = c->in[X],
                                      .b_row = z.k,
                                      .b_col = 1,
                                      .c = c->grad_in[W],
                                      .c_row = z.k,
                                      .add = 1},
                  scratch, c->threads);
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct state *s = c->state;
    struct size z = size_of(c);
    const t3d_real *gy = c->grad_out[0];
    char *scratch = c->work;
    int r = T3D_OK;

    if (c->grad_in[RESIDUAL])
        t3di_add_into(c->grad_in[RESIDUAL], gy, z.m * z.n, c->grad_fresh[RESIDUAL], c->threads);
    if (c->n_out == 2) {
        t3di_unary_grad_run(act_of(c), c->work, gy, c->out[1], z.m * z.n, 0, 0, 1, c->threads);
        gy = c->work;
        scratch += (t3d_shape_bytes(&c->out_shape[0]) + 63) / 64 * 64;
    }
    if (c->grad_in[BIAS])
        t3di_add_columns(c->grad_in[BIAS], gy, z.m, z.n, c->threads);
    if (!s->y)
        backward_plain(c, gy, scratch);
    if (s->dx)
        r = t3di_product_run(s->dx, gy, c->in[W], NULL, c->grad_in[X], err);
    if (r == T3D_OK && s->dw)
        r = t3di_product_run(s->dw, gy, c->in[X], NULL, c->grad_in[W], err);
    return r;
}

/* --- cases ------------------------------------------------------------------------------------ */

#define ACT(kind)                                                                                  \
    .attr = &(const struct t3di_matmul_attr)                                                       \
    {                                                                                              \
        T3DI_##kind                                                                                \
    }

static const struct t3d_op_case cases[] = {
    {"plain", 4, {T3D_DIMS(3, 5), T3D_DIMS(4, 5)}, ACT(N_UNARY), .absent = 12, .batch = 1},
    {"bias",
     4,
     {T3D_DIMS(2, 3, 7), T3D_DIMS(9, 7), T3D_DIMS(9)},
     ACT(N_UNARY),
     .absent = 8,
     .batch = 1},
    {"residual", 4, {T3D_DIMS(5, 6), T3D_DIMS(3, 6), T3D_DIMS(3), T3D_DIMS(5, 3)}, ACT(N_UNARY)},
    {"tiles",
     4,
     {T3D_DIMS(61, 300), T3D_DIMS(70, 300), T3D_DIMS(70)},
     ACT(N_UNARY),
     .absent = 8,
     .batch = 1},
    {"one row", 4, {T3D_DIMS(1, 65), T3D_DIMS(33, 65)}, ACT(N_UNARY), .absent = 12, .batch = 1},
    {"clip qkv",
     4,
     {T3D_DIMS(1600, 768), T3D_DIMS(2304, 768), T3D_DIMS(2304)},
     ACT(N_UNARY),
     .absent = 8,
     .bench = 1},
    {.name = NULL}};

static const struct t3d_op_case act_cases[] = {
    {"gelu",
     4,
     {T3D_DIMS(3, 5), T3D_DIMS(4, 5), T3D_DIMS(4)},
     ACT(GELU_ERF),
     .absent = 8,
     .batch = 1},
    {"gelu tanh",
     4,
     {T3D_DIMS(3, 5), T3D_DIMS(4, 5), T3D_DIMS(4)},
     ACT(GELU_TANH),
     .absent = 8,
     .batch = 1},
    {"quick gelu", 4, {T3D_DIMS(3, 5), T3D_DIMS(4, 5)}, ACT(QUICK_GELU), .absent = 12, .batch = 1},
    {"silu, residual", 4, {T3D_DIMS(3, 5), T3D_DIMS(4, 5), T3D_DIMS(4), T3D_DIMS(3, 4)}, ACT(SILU)},
    {"relu",
     4,
     {T3D_DIMS(17, 19), T3D_DIMS(33, 19), T3D_DIMS(33)},
     ACT(RELU),
     .absent = 8,
     .batch = 1},
    {"clip mlp",
     4,
     {T3D_DIMS(1600, 768), T3D_DIMS(3072, 768), T3D_DIMS(3072)},
     ACT(QUICK_GELU),
     .absent = 8,
     .bench = 1},
    {.name = NULL}};

const struct t3d_op t3d_op_matmul = {
    .name = "matmul",
    .min_in = 2,
    .max_in = 4,
    .n_out = 1,
    .attr_size = sizeof(struct t3di_matmul_attr),
    .shape = shape,
    .backward_reads_in = 1 << X | 1 << W,
    .reuse_in = 1 << RESIDUAL,
    .sets_grad = 1 << X | 1 << RESIDUAL,
    .flops = flops,
    .backend[T3D_CPU] = {prepare, release, work, forward, backward},
    .cases = cases};

const struct t3d_op t3d_op_matmul_act = {
    .name = "matmul_act",
    .min_in = 2,
    .max_in = 4,
    .n_out = 2,
    .attr_size = sizeof(struct t3di_matmul_attr),
    .shape = shape,
    .backward_reads_in = 1 << X | 1 << W,
    .backward_reads_out = 2,
    .aux_out = 2,
    .sets_grad = 1 << X | 1 << RESIDUAL,
    .flops = flops,
    .backend[T3D_CPU] = {prepare, release, work, forward, backward},
    .cases = act_cases};
