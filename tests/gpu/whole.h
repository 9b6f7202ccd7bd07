/* SPDX-License-Identifier: Apache-2.0 */
/* Whole graphs on the device: training, gradient checkpointing, shared constants, indices that do
 * not exist, numbers that are not finite, and what the host sees of it all. Part of check.c. */
#ifndef T3D_TESTS_GPU_WHOLE_H
#define T3D_TESTS_GPU_WHOLE_H

#include "tap.h"

enum { TOKENS = 12, WIDTH = 16, BATCH = 3, STEPS = 6 };

struct net {
    struct t3d_graph *g;
    struct t3d_ref x, target, first, loss;
};

/* Two residual blocks and a loss, trained by AdamW: most of what a model uses. */
static struct net make_net(enum t3d_backend backend, enum t3d_storage storage, int recompute)
{
    struct net n = {.g = t3d_graph_new(backend, 1)};
    struct t3d_graph *g = n.g;
    struct t3d_err err = {0};
    struct t3d_ref y;
    char name[32];

    t3d_graph_storage(g, storage);
    n.x = t3d_graph_input(g, "x", T3D_SHAPE(BATCH, TOKENS, WIDTH));
    n.target = t3d_graph_input(g, "target", T3D_SHAPE(BATCH, TOKENS, WIDTH));
    y = n.x;
#define PARAM(...)                                                                                 \
    (snprintf(name, sizeof name, "p%d", t3d_graph_n_params(g)),                                    \
     t3d_graph_param(g, name, T3D_SHAPE(__VA_ARGS__)))
    n.first = T3D_NONE;
    for (int i = 0; i < 2; i++) {
        struct t3d_ref h, w = PARAM(3 * WIDTH, WIDTH);

        if (!i)
            n.first = w;
        t3d_graph_segment_begin(g);
        h = t3d_matmul(g, t3d_layer_norm(g, y, PARAM(WIDTH), PARAM(WIDTH), 1e-5), w,
                       PARAM(3 * WIDTH), T3D_ACT_NONE);
        h = t3d_attend_packed(g, h, T3D_NONE, T3D_NONE, &(struct t3d_attention){.heads = 2});
        y = t3d_matmul_add(g, h, PARAM(WIDTH, WIDTH), PARAM(WIDTH), T3D_ACT_NONE, y);
        h = t3d_matmul(g, t3d_rms_norm(g, y, PARAM(WIDTH), 1e-6), PARAM(2 * WIDTH, WIDTH),
                       PARAM(2 * WIDTH), T3D_ACT_GELU_TANH);
        y = t3d_matmul_add(g, h, PARAM(WIDTH, 2 * WIDTH), PARAM(WIDTH), T3D_ACT_NONE, y);
        t3d_graph_segment_end(g);
    }
#undef PARAM
    n.loss = t3d_mse(g, y, n.target, T3D_NONE);
    if (t3d_graph_build(g, &(struct t3d_plan){.loss = n.loss, .recompute = recompute, .poison = 1},
                        &err) < 0)
        stop("net", err.msg);
    return n;
}

static void fill_net(struct net *n)
{
    state = 5;
    for (int i = 0; i < t3d_graph_n_params(n->g); i++) {
        struct t3d_ref r = t3d_graph_param_at(n->g, i, NULL);
        struct t3d_shape s = t3d_graph_shape(n->g, r);
        float *w = t3d_graph_data(n->g, r);

        for (int64_t k = 0; k < t3d_shape_count(&s); k++)
            w[k] = (float)(s.n == 1 ? 1 : 0.4 * (uniform() - 0.5));
    }
}

static float train_net(struct net *n, struct t3d_ema **ema)
{
    /* The gradient of a bias of keys is nothing but rounding: a large eps keeps it small. */
    const struct t3d_adamw_config config = {
        .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.1};
    struct t3d_adamw *opt = t3d_adamw_new(n->g, &config);
    float *x = t3d_graph_data(n->g, n->x), *target = t3d_graph_data(n->g, n->target);
    struct t3d_err err = {0};

    *ema = t3d_ema_new(n->g);
    if (!opt || !*ema)
        stop("training", "out of memory");
    for (int i = 0; i < STEPS; i++) {
        for (int k = 0; k < BATCH * TOKENS * WIDTH; k++) {
            x[k] = (float)uniform();
            target[k] = x[(k * 7 + 3) % (BATCH * TOKENS * WIDTH)];
        }
        t3d_graph_zero_grad(n->g);
        if (t3d_graph_forward(n->g, &err) < 0 || t3d_graph_backward(n->g, &err) < 0)
            stop("training", err.msg);
        t3d_grad_clip(n->g, 0.5);
        t3d_adamw_step(opt, n->g, 3e-3);
        t3d_ema_step(*ema, n->g, 0.8);
    }
    t3d_adamw_free(opt);
    return *(float *)t3d_graph_data(n->g, n->loss);
}

/* Parameters and running means after some steps, against the host's. */
static void training(enum t3d_storage storage, int recompute, double tolerance, const char *what)
{
    struct net host = make_net(T3D_CPU, T3D_FULL, 0), dev = make_net(T3D_CUDA, storage, recompute);
    struct t3d_ema *host_ema, *dev_ema;
    int64_t n;
    const float *a, *b;
    double w, mean, l, m;

    fill_net(&host); /* each time the same numbers follow */
    l = (double)train_net(&host, &host_ema);
    fill_net(&dev);
    m = (double)train_net(&dev, &dev_ema);
    a = t3d_graph_param_block(host.g, &n);
    b = t3d_graph_param_block(dev.g, &n);
    w = distance(b, a, n, 1e-3);
    mean = distance(t3d_ema_data(dev_ema, &n), t3d_ema_data(host_ema, &n), n, 1e-3);
    report(fabs(l - m) <= tolerance * fabs(l) && w <= tolerance && mean <= tolerance,
           "%s # loss %.6g and %.6g, parameters %.1e, means %.1e apart", what, l, m, w, mean);
    t3d_ema_free(host_ema);
    t3d_ema_free(dev_ema);
    t3d_graph_free(host.g);
    t3d_graph_free(dev.g);
}

/* A card differs from the host by rounding; with itself it agrees to the bit. */
static void computing_again(enum t3d_storage storage, const char *what)
{
    struct net net[2];
    struct t3d_graph_size size[2];
    struct t3d_ema *ema;
    const float *w[2];
    float loss[2];
    int64_t n;

    for (int i = 0; i < 2; i++) {
        net[i] = make_net(T3D_CUDA, storage, i);
        fill_net(&net[i]);
        loss[i] = train_net(&net[i], &ema);
        t3d_ema_free(ema);
        w[i] = t3d_graph_param_block(net[i].g, &n);
        t3d_graph_size(net[i].g, &size[i]);
    }
    report(loss[0] == loss[1] && memcmp(w[0], w[1], (size_t)n * sizeof **w) == 0 &&
               size[1].again_flops > 0 && size[1].arena_bytes < size[0].arena_bytes,
           "%s # %zu and %zu bytes", what, size[0].arena_bytes, size[1].arena_bytes);
    t3d_graph_free(net[0].g);
    t3d_graph_free(net[1].g);
}

/* What the host writes between runs counts, and what it reads is the last run's. */
static void host_access(void)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CUDA, 1);
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(3)),
                   w = t3d_graph_param(g, "w", T3D_SHAPE(3));
    struct t3d_ref y = t3d_mul(g, x, w), loss = t3d_sum(g, y, -1);
    struct t3d_err err = {0};
    float *px, *pw;
    int ok = 1;

    t3d_graph_keep(g, y);
    if (t3d_graph_build(g, &(struct t3d_plan){.loss = loss}, &err) < 0)
        stop("access", err.msg);
    px = t3d_graph_data(g, x);
    for (int i = 1; i < 4; i++) {
        pw = t3d_graph_data(g, w);
        for (int k = 0; k < 3; k++) {
            px[k] = (float)(i + k);
            pw[k] = (float)(2 * i);
        }
        if (t3d_graph_forward(g, &err) < 0 || t3d_graph_backward(g, &err) < 0)
            stop("access", err.msg);
        ok &= ((float *)t3d_graph_data(g, y))[1] == (float)(2 * i * (i + 1));
        ok &= *(float *)t3d_graph_data(g, loss) == (float)(2 * i * (3 * i + 3));
        ok &= t3d_graph_grad(g, w)[0] == (float)(i * (i + 1)) / 2; /* they add up */
    }
    t3d_graph_grad(g, w)[0] = 40; /* as a sum over machines would */
    ok &= fabs(t3d_grad_clip(g, 0) - sqrt(40. * 40 + 9 * 9 + 12 * 12)) < 1e-4;
    report(ok, "the host writes and reads");
    t3d_graph_free(g);
}

static void bad_indices(enum t3d_backend backend, struct t3d_err *err, int *after)
{
    struct t3d_graph *g = t3d_graph_new(backend, 1);
    struct t3d_ref table = t3d_graph_param(g, "table", T3D_SHAPE(4, 2));
    struct t3d_ref ids = t3d_graph_input(g, "ids", T3D_SHAPE_INT(2, 3));
    struct t3d_err none = {0};
    int32_t *id;

    t3d_embedding(g, table, ids);
    if (t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, err) < 0)
        stop("indices", err->msg);
    id = t3d_graph_data(g, ids);
    id[2] = -7;
    id[5] = 4;
    if (t3d_graph_forward(g, err) == T3D_OK)
        err->msg[0] = 0;
    id[2] = id[5] = 3;
    *after = t3d_graph_forward(g, &none);
    t3d_graph_free(g);
}

static void index_errors(void)
{
    struct t3d_err host = {0}, dev = {0};
    int host_after, dev_after;

    bad_indices(T3D_CPU, &host, &host_after);
    bad_indices(T3D_CUDA, &dev, &dev_after);
    report(strstr(dev.msg, "index 2 is -7, not in 0..3") != NULL && dev.code == host.code &&
               strcmp(dev.reason, host.reason) == 0 && dev_after == T3D_OK,
           "an index out of range is named # %s", dev.msg);
}

static void not_finite(void)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CUDA, 1);
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(700));
    struct t3d_err err = {0};
    float *p;

    t3d_linear(g, t3d_log(g, x), 2, 0);
    if (t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE, .check_finite = 1}, &err) < 0)
        stop("not finite", err.msg);
    p = t3d_graph_data(g, x);
    for (int i = 0; i < 700; i++)
        p[i] = 1;
    report(t3d_graph_forward(g, &err) == T3D_OK, "finite numbers are passed # %s", err.msg);
    p[699] = -1;
    report(t3d_graph_forward(g, &err) == T3D_FAIL && strstr(err.msg, "log#") != NULL,
           "the op that makes a NaN is named # %s", err.msg);
    t3d_graph_free(g);
}

/* One copy of a constant for all graphs of a pool. */
static void shared_constants(void)
{
    static float w[64 * 32];
    struct t3d_pool *pool = t3d_pool_new();
    struct t3d_graph *g[2];
    struct t3d_err err = {0};
    size_t bytes[2];

    for (int i = 0; i < 2; i++) {
        struct t3d_ref x;

        g[i] = t3d_graph_new(T3D_CUDA, 1);
        t3d_graph_use_pool(g[i], pool);
        x = t3d_graph_input(g[i], "x", T3D_SHAPE(i + 1, 32));
        t3d_matmul(g[i], x, t3d_graph_constant(g[i], "w", T3D_SHAPE(64, 32), w), T3D_NONE,
                   T3D_ACT_NONE);
        if (t3d_graph_build(g[i], &(struct t3d_plan){.loss = T3D_NONE}, &err) < 0 ||
            t3d_graph_forward(g[i], &err) < 0)
            stop("constants", err.msg);
        bytes[i] = t3d_pool_bytes(pool);
    }
    report(bytes[0] == sizeof w && bytes[1] == sizeof w, "graphs of a pool share constants");
    t3d_graph_free(g[0]);
    t3d_graph_free(g[1]);
    t3d_pool_free(pool);
}

static void check_whole(void)
{
    training(T3D_FULL, 0, 2e-4, "training in float");
    training(T3D_FULL, 1, 2e-4, "training in float with recomputation");
    training(T3D_BF16, 0, 5e-2, "training with bf16 storage");
    training(T3D_BF16, 1, 5e-2, "training with bf16 storage and recomputation");
    computing_again(T3D_FULL, "blocks computed again give the same parameters");
    computing_again(T3D_BF16, "blocks computed again give the same parameters with bf16 storage");
    host_access();
    index_errors();
    not_finite();
    shared_constants();
}

#endif
