/* SPDX-License-Identifier: Apache-2.0 */
/* Attention: heads are gathered into matrices of their own, so that both products run as one batch
 * on cuBLASLt; the scores of as many samples as fit into SCORES bytes exist at once. Backward
 * computes the probabilities again from the stored log sums (Dao et al., "FlashAttention", 2022,
 * algorithm 4). */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "num/cuda/op.h"
#include "num/cuda/product.h"

enum { Q, K, V, MASK, BIAS };
enum { SCORES = 256 << 20 };
static const struct t3di_dev none;

struct size {
    int64_t batch, heads, tq, tk, width, d; /* width = heads d */
    int64_t row;                            /* elements between tokens of q, k and v */
    int64_t part;                           /* samples at once */
    int packed, bf16;
    float scale;
};

static struct size size_of(const struct t3d_call *c)
{
    const struct t3di_attend_attr *a = c->attr;
    const struct t3d_shape *q = &c->in_shape[Q];
    struct size z = {.batch = q->dim[0],
                     .heads = a->heads,
                     .tq = q->dim[1],
                     .tk = a->packed ? q->dim[1] : c->in_shape[K].dim[1],
                     .width = a->packed ? q->dim[2] / 3 : q->dim[2],
                     .packed = a->packed,
                     .bf16 = c->in_storage[Q] == T3D_BF16};

    z.d = z.width / z.heads;
    z.row = a->packed ? 3 * z.width : z.width;
    z.scale = (float)(a->scale > 0 ? a->scale : 1 / sqrt((double)z.d));
    z.part = SCORES / (z.heads * z.tq * z.tk * (int64_t)sizeof(float));
    z.part = T3D_CLAMP(z.part, 1, z.batch);
    return z;
}

/* --- room
 * --------------------------------------------------------------------------------------------- */

/* Of one part: heads (samples heads, tokens, d) as the graph keeps numbers, scores as floats, and
 * where bf16 is kept the scores once more as operands of the products. */
struct room {
    struct t3di_dev q, k, v, o, dq, dk, dv;
    float *scores, *dscores;
    struct t3di_dev p, ds;
    size_t bytes;
};

static void *take(char *base, size_t *at, int64_t numbers, int bf16)
{
    void *p = base + *at;

    *at += ((size_t)numbers * (bf16 ? 2 : 4) + 63) / 64 * 64;
    return p;
}

static struct room room_of(const struct size *z, void *work, int backward)
{
    int64_t queries = z->part * z->tq * z->width, keys = z->part * z->tk * z->width;
    int64_t scores = z->part * z->heads * z->tq * z->tk;
    struct room r = {0};
    char *base = work;

    r.q = (struct t3di_dev){take(base, &r.bytes, queries, z->bf16), z->bf16};
    r.k = (struct t3di_dev){take(base, &r.bytes, keys, z->bf16), z->bf16};
    r.v = (struct t3di_dev){take(base, &r.bytes, keys, z->bf16), z->bf16};
    r.o = (struct t3di_dev){take(base, &r.bytes, queries, z->bf16), z->bf16};
    r.scores = take(base, &r.bytes, scores, 0);
    r.p = (struct t3di_dev){z->bf16 ? take(base, &r.bytes, scores, 1) : r.scores, z->bf16};
    if (!backward)
        return r;
    r.dq = (struct t3di_dev){take(base, &r.bytes, queries, z->bf16), z->bf16};
    r.dk = (struct t3di_dev){take(base, &r.bytes, keys, z->bf16), z->bf16};
    r.dv = (struct t3di_dev){take(base, &r.bytes, keys, z->bf16), z->bf16};
    r.dscores = take(base, &r.bytes, scores, 0);
    r.ds = (struct t3di_dev){z->bf16 ? take(base, &r.bytes, scores, 1) : r.dscores, z->bf16};
    return r;
}

static size_t work(const struct t3d_call *c, int backward)
{
    struct size z = size_of(c);
    static char base; /* only distances count */

    return room_of(&z, &base, backward).bytes;
}

/* --- products
 * ------------------------------------------------------------------------------------------- */

enum { S, O, DP, DV, DQ, DK, N_PRODUCTS };

struct state {
    struct t3di_cuda_product *of[2][N_PRODUCTS]; /* whole parts, and the rest of the batch */
};

static void release(void *p)
{
    struct state *s = p;

    for (int i = 0; i < 2; i++)
        for (int j = 0; j < N_PRODUCTS; j++)
            t3di_cuda_product_free(s->of[i][j]);
    free(s);
}

/* Product `which` of so many matrices: s = scale q k^T, o = p v; dp = do v^T, dv = p^T do,
 * dq = scale ds k, dk = scale ds^T q. */
static struct t3di_cuda_product_desc product_of(const struct size *z, int which, int64_t count)
{
    int64_t q = z->tq, k = z->tk, d = z->d, qk = q * k, qd = q * d, kd = k * d;
    int half = z->bf16;
    const struct t3di_cuda_matrices of[N_PRODUCTS] = {
        [S] = {q, k, d, count, d, 1, 1, d, k, qd, kd, qk, z->scale, 0},
        [O] = {q, d, k, count, k, 1, d, 1, d, qk, kd, qd, 1, 0},
        [DP] = {q, k, d, count, d, 1, 1, d, k, qd, kd, qk, 1, 0},
        [DV] = {k, d, q, count, 1, k, d, 1, d, qk, qd, kd, 1, 0},
        [DQ] = {q, d, k, count, k, 1, d, 1, d, qk, kd, qd, z->scale, 0},
        [DK] = {k, d, q, count, 1, k, d, 1, d, qk, qd, kd, z->scale, 0}};

    return (struct t3di_cuda_product_desc){.of = of[which],
                                           .a_bf16 = half,
                                           .b_bf16 = half,
                                           .c_bf16 = which == S || which == DP ? 0 : half};
}

static int prepare(struct t3d_call *c, struct t3d_err *err)
{
    struct size z = size_of(c);
    int64_t rest = z.batch % z.part;
    struct state *s = calloc(1, sizeof *s);
    int r = T3D_OK;

    c->state = s;
    if (!s)
        return t3d_err_nomem(err, "attention");
    for (int i = 0; i < (rest ? 2 : 1); i++)
        for (int j = 0; j < (c->trains ? N_PRODUCTS : DP) && r == T3D_OK; j++) {
            struct t3di_cuda_product_desc d = product_of(&z, j, (i ? rest : z.part) * z.heads);

            r = t3di_cuda_product_new(&s->of[i][j], &d, err);
        }
    return r;
}

/* --- heads
 * ------------------------------------------------------------------------------------------------
 */

/* Tokens of one of q, k, v (or o) of samples from b on, and their gradients. */
static struct t3di_dev tokens(const struct t3d_call *c, const struct size *z, int input, int64_t b,
                              int grad)
{
    int from = z->packed ? Q : input;
    int64_t n = input == Q ? z->tq : z->tk;
    struct t3di_dev x = grad ? t3di_grad_in(c, from) : t3di_in(c, from);

    return x.p ? t3di_at(x, b * n * z->row + (z->packed ? input * z->width : 0)) : none;
}

/* head (samples, heads, n, d) and token (samples, n, row): heads gathered, or put back. */
static void move_heads(const struct t3d_call *c, const struct size *z, struct t3di_dev head,
                       struct t3di_dev token, int64_t samples, int64_t n, int64_t row, int back,
                       int add)
{
    struct t3di_walk w = {0};

    if (!token.p)
        return;
#define AXIS(dim, h, t) t3di_walk_add(&w, dim, back ? (t) : (h), back ? (h) : (t))
    AXIS(z->d, 1, 1);
    AXIS(n, z->d, row);
    AXIS(z->heads, n * z->d, z->d);
    AXIS(samples, z->heads * n * z->d, n * row);
#undef AXIS
    t3di_walk_end(&w);
    t3di_cuda_move(back ? token : head, back ? head : token, &w, add, c->stream);
}

static void gather(const struct t3d_call *c, const struct size *z, const struct room *r, int64_t b,
                   int64_t samples)
{
    move_heads(c, z, r->q, tokens(c, z, Q, b, 0), samples, z->tq, z->row, 0, 0);
    move_heads(c, z, r->k, tokens(c, z, K, b, 0), samples, z->tk, z->row, 0, 0);
    move_heads(c, z, r->v, tokens(c, z, V, b, 0), samples, z->tk, z->row, 0, 0);
}

/* The scores of samples from b on. */
static struct t3di_cuda_scores scores_of(const struct t3d_call *c, const struct size *z, int64_t b,
                                         int64_t samples)
{
    const struct t3di_attend_attr *a = c->attr;
    const int32_t *mask = c->n_in > MASK ? c->in[MASK] : NULL;
    struct t3di_cuda_scores s = {.samples = samples,
                                 .heads = z->heads,
                                 .queries = z->tq,
                                 .keys = z->tk,
                                 .causal = a->causal,
                                 .mask = mask ? mask + b * z->tk : NULL,
                                 .bias_samples = c->n_in > BIAS && c->in_shape[BIAS].n == 4};

    if (c->n_in > BIAS && c->in[BIAS])
        s.bias = t3di_at(t3di_in(c, BIAS), s.bias_samples ? b * z->heads * z->tq * z->tk : 0);
    return s;
}

static int run(const struct t3di_cuda_product *p, struct t3di_dev to, struct t3di_dev a,
               struct t3di_dev b, struct t3d_err *err)
{
    return t3di_cuda_product_run(p, to, a, b, none, none, err);
}

/* --- forward
 * ------------------------------------------------------------------------------------------------
 */

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct state *s = c->state;
    struct size z = size_of(c);
    struct room r = room_of(&z, c->work, 0);
    float *log_sum = c->out[1];
    int code = T3D_OK;

    for (int64_t b = 0; b < z.batch && code == T3D_OK; b += z.part) {
        int64_t n = T3D_MIN(z.part, z.batch - b);
        struct t3di_cuda_product *const *of = s->of[n < z.part];
        struct t3di_cuda_scores a = scores_of(c, &z, b, n);

        gather(c, &z, &r, b, n);
        code = run(of[S], (struct t3di_dev){r.scores, 0}, r.q, r.k, err);
        if (code < 0)
            return code;
        t3di_cuda_attend(r.p, r.scores, log_sum ? log_sum + b * z.heads * z.tq : NULL, 1, &a,
                         c->stream);
        code = run(of[O], r.o, r.p, r.v, err);
        move_heads(c, &z, r.o, t3di_at(t3di_out(c, 0), b * z.tq * z.width), n, z.tq, z.width, 1, 0);
    }
    return code;
}

/* --- backward
 * ------------------------------------------------------------------------------------------------
 */

/* p and ds of one part; r->o holds the gradient of the output. */
static int score_gradient(const struct t3d_call *c, const struct size *z, const struct room *r,
                          struct t3di_cuda_product *const *of, int64_t b, int64_t n,
                          struct t3d_err *err)
{
    struct t3di_cuda_scores a = scores_of(c, z, b, n);
    float *log_sum = (float *)c->out[1] + b * z->heads * z->tq;
    int code = run(of[S], (struct t3di_dev){r->scores, 0}, r->q, r->k, err);

    if (code < 0)
        return code;
    t3di_cuda_attend(r->p, r->scores, log_sum, 0, &a, c->stream);
    code = run(of[DP], (struct t3di_dev){r->dscores, 0}, r->o, r->v, err);
    if (code < 0)
        return code;
    t3di_cuda_attend_grad(r->ds, r->p, r->dscores, &a, c->stream);
    if (c->n_in > BIAS && c->grad_in[BIAS])
        t3di_cuda_attend_bias_grad(
            t3di_at(t3di_grad_in(c, BIAS), a.bias_samples ? b * z->heads * z->tq * z->tk : 0),
            r->ds, &a, c->stream);
    return T3D_OK;
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct state *s = c->state;
    struct size z = size_of(c);
    struct room r = room_of(&z, c->work, 1);
    int code = T3D_OK;

    for (int64_t b = 0; b < z.batch && code == T3D_OK; b += z.part) {
        int64_t n = T3D_MIN(z.part, z.batch - b);
        struct t3di_cuda_product *const *of = s->of[n < z.part];

        gather(c, &z, &r, b, n);
        move_heads(c, &z, r.o, t3di_at(t3di_grad_out(c, 0), b * z.tq * z.width), n, z.tq, z.width,
                   0, 0);
        code = score_gradient(c, &z, &r, of, b, n, err);
        if (code == T3D_OK)
            code = run(of[DV], r.dv, r.p, r.o, err);
        if (code == T3D_OK)
            code = run(of[DQ], r.dq, r.ds, r.k, err);
        if (code == T3D_OK)
            code = run(of[DK], r.dk, r.ds, r.q, err);
        move_heads(c, &z, r.dq, tokens(c, &z, Q, b, 1), n, z.tq, z.row, 1, 1);
        move_heads(c, &z, r.dk, tokens(c, &z, K, b, 1), n, z.tk, z.row, 1, 1);
        move_heads(c, &z, r.dv, tokens(c, &z, V, b, 1), n, z.tk, z.row, 1, 1);
    }
    return code;
}

const struct t3d_op_backend t3di_cuda_attend_op = {prepare, release, work, forward, backward};
