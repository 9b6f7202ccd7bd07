/* SPDX-License-Identifier: Apache-2.0 */
/* y = act(x w^T + bias) + residual, and products of a batch, on cuBLASLt. */
#include <stddef.h>
#include <stdlib.h>

#include "num/cuda/op.h"
#include "num/cuda/product.h"

static const struct t3di_dev none;

/* --- linear layers ------------------------------------------------------------------------------
 */

enum { X, W, BIAS, RESIDUAL };

struct state {
    struct t3di_cuda_product *y, *dx, *dw;
    enum t3di_cuda_epilogue epilogue; /* what cuBLASLt is asked for */
    int onto;                         /* the residual is added by the product */
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

static int is_bf16(unsigned char storage)
{
    return storage == T3D_BF16;
}

/* cuBLASLt adds the bias and knows two activations; after those it cannot add a residual. Where
 * backward needs the value before the activation it is left to our own kernel, in every run of the
 * node alike. */
static enum t3di_cuda_epilogue epilogue_of(const struct t3d_call *c)
{
    enum t3di_unary act = act_of(c);

    if (act == T3DI_GELU_TANH && !c->in[RESIDUAL] && !c->trains)
        return T3DI_CUDA_GELU;
    if (act == T3DI_RELU && !c->in[RESIDUAL] && !c->trains)
        return T3DI_CUDA_RELU;
    return c->in[BIAS] ? T3DI_CUDA_BIAS : T3DI_CUDA_PLAIN;
}

static void release(void *p)
{
    struct state *s = p;

    t3di_cuda_product_free(s->y);
    t3di_cuda_product_free(s->dx);
    t3di_cuda_product_free(s->dw);
    free(s);
}

static int prepare_forward(const struct t3d_call *c, struct state *s, struct t3d_err *err)
{
    struct size z = size_of(c);
    struct t3di_cuda_product_desc d = {.of = {z.m, z.n, z.k, 1, z.k, 1, 1, z.k, z.n, 0, 0, 0, 1, 0},
                                       .a_bf16 = is_bf16(c->in_storage[X]),
                                       .b_bf16 = is_bf16(c->in_storage[W]),
                                       .c_bf16 = is_bf16(c->out_storage[0]),
                                       .epilogue = epilogue_of(c),
                                       .bias = c->in[BIAS] != NULL,
                                       .bias_bf16 = is_bf16(c->in_storage[BIAS])};

    d.onto = act_of(c) == T3DI_N_UNARY && c->in[RESIDUAL];
    s->epilogue = d.epilogue;
    s->onto = d.onto;
    return t3di_cuda_product_new(&s->y, &d, err);
}

static int prepare_backward(const struct t3d_call *c, struct state *s, struct t3d_err *err)
{
    struct size z = size_of(c);
    int gy = is_bf16(c->out_storage[0]), r = T3D_OK;
    struct t3di_cuda_product_desc dx = {
        .of = {z.m, z.k, z.n, 1, z.n, 1, z.k, 1, z.k, 0, 0, 0, 1, !c->grad_fresh[X]},
        .a_bf16 = gy,
        .b_bf16 = is_bf16(c->in_storage[W]),
        .c_bf16 = is_bf16(c->grad_in_storage[X])};
    struct t3di_cuda_product_desc dw = {
        .of = {z.n, z.k, z.m, 1, 1, z.n, z.k, 1, z.k, 0, 0, 0, 1, 1},
        .a_bf16 = gy,
        .b_bf16 = is_bf16(c->in_storage[X]),
        .c_bf16 = is_bf16(c->grad_in_storage[W])};

    if (c->grad_in[X])
        r = t3di_cuda_product_new(&s->dx, &dx, err);
    if (r == T3D_OK && c->grad_in[W])
        r = t3di_cuda_product_new(&s->dw, &dw, err);
    return r;
}

static int prepare(struct t3d_call *c, struct t3d_err *err)
{
    struct state *s = calloc(1, sizeof *s);
    int r;

    c->state = s;
    if (!s)
        return t3d_err_nomem(err, "a matrix product");
    r = prepare_forward(c, s, err);
    return r < 0 ? r : prepare_backward(c, s, err);
}

/* The gradient before the activation, then room for the sums of the bias. */
static size_t before_bytes(const struct t3d_call *c)
{
    return c->n_out == 2 ? (t3d_shape_bytes(&c->out_shape[0]) + 63) / 64 * 64 : 0;
}

static size_t work(const struct t3d_call *c, int backward)
{
    struct size z = size_of(c);

    return backward ? before_bytes(c) + (size_t)t3di_cuda_sum_work(1, z.m, z.n) : 0;
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct state *s = c->state;
    struct t3di_dev y = t3di_out(c, 0), pre = c->n_out == 2 ? t3di_out(c, 1) : none;
    struct t3di_dev bias = t3di_in(c, BIAS), residual = s->onto ? none : t3di_in(c, RESIDUAL);
    struct t3di_dev to = pre.p ? pre : y;
    struct size z = size_of(c);
    int fuses = t3di_cuda_product_fuses(s->y);
    int acts = act_of(c) != T3DI_N_UNARY && !(fuses && s->epilogue > T3DI_CUDA_BIAS);
    int r = t3di_cuda_product_run(s->y, to, t3di_in(c, X), t3di_in(c, W), t3di_in(c, RESIDUAL),
                                  bias, err);

    if (fuses)
        bias = none;
    if (r == T3D_OK && (acts || bias.p || residual.p))
        t3di_cuda_epilogue(act_of(c), y, bias.p ? pre : none, to, bias, residual, z.m, z.n,
                           c->stream);
    return r;
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct state *s = c->state;
    struct size z = size_of(c);
    struct t3di_dev gy = t3di_grad_out(c, 0);
    float *sums = (float *)((char *)c->work + before_bytes(c));
    int r = T3D_OK;

    if (c->grad_in[RESIDUAL])
        t3di_cuda_unary_grad(T3DI_LINEAR, t3di_grad_in(c, RESIDUAL), gy, none, z.m * z.n, 1, 0,
                             c->grad_fresh[RESIDUAL], c->stream);
    if (c->n_out == 2) {
        struct t3di_dev before = {c->work, gy.bf16};

        t3di_cuda_unary_grad(act_of(c), before, gy, t3di_out(c, 1), z.m * z.n, 0, 0, 1, c->stream);
        gy = before;
    }
    if (c->grad_in[BIAS])
        t3di_cuda_sum(t3di_grad_in(c, BIAS), gy, 1, z.m, z.n, 1, 1, sums, c->stream);
    if (s->dx)
        r = t3di_cuda_product_run(s->dx, t3di_grad_in(c, X), gy, t3di_in(c, W), none, none, err);
    if (r == T3D_OK && s->dw)
        r = t3di_cuda_product_run(s->dw, t3di_grad_in(c, W), gy, t3di_in(c, X), none, none, err);
    return r;
}

const struct t3d_op_backend t3di_cuda_matmul = {prepare, release, work, forward, backward};

/* --- batches
 * -------------------------------------------------------------------------------------- */

struct batch_state {
    struct t3di_cuda_product *y, *da, *db;
};

struct batch {
    int64_t count, m, n, k;
    int transpose;
    float scale;
};

static struct batch batch_of(const struct t3d_call *c)
{
    const struct t3di_batch_attr *attr = c->attr;
    const struct t3d_shape *a = &c->in_shape[0], *y = &c->out_shape[0];

    return (struct batch){t3d_shape_part(a, 0, a->n - 2),
                          a->dim[a->n - 2],
                          y->dim[y->n - 1],
                          a->dim[a->n - 1],
                          attr->transpose_b,
                          (float)attr->scale};
}

static void batch_release(void *p)
{
    struct batch_state *s = p;

    t3di_cuda_product_free(s->y);
    t3di_cuda_product_free(s->da);
    t3di_cuda_product_free(s->db);
    free(s);
}

/* da = gy b^T, db = a^T gy; of a transposed b: da = gy b, db = gy^T a. */
static int batch_prepare(struct t3d_call *c, struct t3d_err *err)
{
    struct batch_state *s = calloc(1, sizeof *s);
    struct batch z = batch_of(c);
    int64_t mk = z.m * z.k, kn = z.k * z.n, mn = z.m * z.n, t = z.transpose;
    int a = is_bf16(c->in_storage[0]), b = is_bf16(c->in_storage[1]);
    int y = is_bf16(c->out_storage[0]), r;
    struct t3di_cuda_product_desc forward = {.of = {z.m, z.n, z.k, z.count, z.k, 1, t ? 1 : z.n,
                                                    t ? z.k : 1, z.n, mk, kn, mn, z.scale, 0},
                                             .a_bf16 = a,
                                             .b_bf16 = b,
                                             .c_bf16 = y};
    struct t3di_cuda_product_desc da = {.of = {z.m, z.k, z.n, z.count, z.n, 1, t ? z.k : 1,
                                               t ? 1 : z.n, z.k, mn, kn, mk, z.scale, 1},
                                        .a_bf16 = y,
                                        .b_bf16 = b,
                                        .c_bf16 = is_bf16(c->grad_in_storage[0])};
    struct t3di_cuda_product_desc db = {
        .of = {z.k, z.n, z.m, z.count, 1, z.k, z.n, 1, z.n, mk, mn, kn, z.scale, 1},
        .a_bf16 = a,
        .b_bf16 = y,
        .c_bf16 = is_bf16(c->grad_in_storage[1])};
    struct t3di_cuda_product_desc dbt = {
        .of = {z.n, z.k, z.m, z.count, 1, z.n, z.k, 1, z.k, mn, mk, kn, z.scale, 1},
        .a_bf16 = y,
        .b_bf16 = a,
        .c_bf16 = is_bf16(c->grad_in_storage[1])};

    c->state = s;
    if (!s)
        return t3d_err_nomem(err, "matrix products");
    r = t3di_cuda_product_new(&s->y, &forward, err);
    if (r == T3D_OK && c->grad_in[0])
        r = t3di_cuda_product_new(&s->da, &da, err);
    if (r == T3D_OK && c->grad_in[1])
        r = t3di_cuda_product_new(&s->db, t ? &dbt : &db, err);
    return r;
}

static int batch_forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct batch_state *s = c->state;

    return t3di_cuda_product_run(s->y, t3di_out(c, 0), t3di_in(c, 0), t3di_in(c, 1), none, none,
                                 err);
}

static int batch_backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct batch_state *s = c->state;
    struct t3di_dev gy = t3di_grad_out(c, 0), a = t3di_in(c, 0), b = t3di_in(c, 1);
    int t = batch_of(c).transpose, r = T3D_OK;

    if (s->da)
        r = t3di_cuda_product_run(s->da, t3di_grad_in(c, 0), gy, b, none, none, err);
    if (r == T3D_OK && s->db)
        r = t3di_cuda_product_run(s->db, t3di_grad_in(c, 1), t ? gy : a, t ? a : gy, none, none,
                                  err);
    return r;
}

const struct t3d_op_backend t3di_cuda_batch_matmul = {batch_prepare, batch_release, NULL,
                                                      batch_forward, batch_backward};
