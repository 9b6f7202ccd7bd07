/* SPDX-License-Identifier: Apache-2.0 */
/* One training step of the size of the nano generator on the core alone: samples/s, and with
 * --profile where the time goes.
 *
 *     build/release/bench/num_train [THREADS [--profile]]
 *
 * 4 views of 32 x 32 in patches of 8 x 8 (576 numbers a token: RGB and rays) and 16 text tokens,
 * 3 blocks of width 256 with 8 heads, norms of q and k, a modulation by time, a head of 12 numbers
 * a pixel; the loss is the weighted square error of 14 numbers of each of 4,096 Gaussians, without
 * drawing them. A step = noise, forward, backward, clip to 1, AdamW, EMA. One NDJSON row, the
 * median of 15 steps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/tool.h"
#include "num/ops.h"
#include "num/optim.h"
#include "num/report.h"
#include "num/version.h"

enum { D = 256, LAYERS = 3, HEADS = 8, BATCH = 32, VIEW = 64, TEXT = 16, TOKENS = VIEW + TEXT };
enum { PIN = 576, POUT = 768, WORDS = 512, PIXELS = VIEW * 64, STEPS = 15 };

struct net {
    struct t3d_graph *g;
    struct t3d_ref x0, noise, rays, ids, time, target, weight, loss;
};

static struct t3d_ref weight(struct t3d_graph *g, const char *name, int i, int64_t n, int64_t k)
{
    char full[32];

    snprintf(full, sizeof full, "%s.%d", name, i);
    return t3d_graph_param(g, full, T3D_SHAPE(n, k));
}

static struct t3d_ref vector(struct t3d_graph *g, const char *name, int i, int64_t n)
{
    char full[32];

    snprintf(full, sizeof full, "%s.%d", name, i);
    return t3d_graph_param(g, full, T3D_SHAPE(n));
}

static struct t3d_ref linear(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref w,
                             enum t3d_act act)
{
    return t3d_matmul(g, x, w, T3D_NONE, act);
}

/* norm(x) (1 + scale) + shift */
static struct t3d_ref modulated(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref shift,
                                struct t3d_ref scale)
{
    struct t3d_ref h = t3d_layer_norm(g, x, T3D_NONE, T3D_NONE, 1e-5);

    return t3d_add(g, t3d_mul(g, h, t3d_linear(g, scale, 1, 1)), shift);
}

static struct t3d_ref normed_heads(struct t3d_graph *g, struct t3d_ref q, struct t3d_ref gamma)
{
    struct t3d_ref h = t3d_graph_view(g, q, T3D_SHAPE(BATCH, TOKENS, HEADS, D / HEADS));

    return t3d_graph_view(g, t3d_rms_norm(g, h, gamma, 1e-6), T3D_SHAPE(BATCH, TOKENS, D));
}

static struct t3d_ref block(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref mod, int i)
{
    struct t3d_ref table = t3d_graph_view(g, weight(g, "table", i, 6, D), T3D_SHAPE(1, 6, D));
    struct t3d_ref m[6], qkv[3], h;

    t3d_graph_scope(g, "blocks.%d", i);
    t3d_split(g, t3d_add(g, mod, table), 1, 6, m); /* (B, 1, D) each */
    h = modulated(g, x, m[0], m[1]);
    t3d_split(g, linear(g, h, weight(g, "qkv", i, 3 * D, D), T3D_ACT_NONE), 2, 3, qkv);
    h = t3d_attend(g, normed_heads(g, qkv[0], vector(g, "q", i, D / HEADS)),
                   normed_heads(g, qkv[1], vector(g, "k", i, D / HEADS)), qkv[2], T3D_NONE,
                   T3D_NONE, &(struct t3d_attention){.heads = HEADS});
    h = linear(g, h, weight(g, "out", i, D, D), T3D_ACT_NONE);
    x = t3d_add(g, x, t3d_mul(g, h, m[2]));
    h = modulated(g, x, m[3], m[4]);
    h = linear(g, h, weight(g, "up", i, 4 * D, D), T3D_ACT_GELU_TANH);
    h = linear(g, h, weight(g, "down", i, D, 4 * D), T3D_ACT_NONE);
    return t3d_add(g, x, t3d_mul(g, h, m[5]));
}

/* (B, PIXELS, 12) -> (B, PIXELS, 14): place along the ray, scale, rotation, opacity, colour. */
static struct t3d_ref gaussians(struct t3d_graph *g, struct t3d_ref h, struct t3d_ref rays)
{
    struct t3d_ref from = t3d_slice(g, rays, 2, 0, 3), along = t3d_slice(g, rays, 2, 3, 3);
    struct t3d_ref depth = t3d_linear(g, t3d_sigmoid(g, t3d_slice(g, h, 2, 11, 1)), 2.8, 1.3);
    struct t3d_ref part[] = {
        t3d_add(g, from, t3d_mul(g, along, depth)),
        t3d_clamp(g, t3d_exp(g, t3d_linear(g, t3d_slice(g, h, 2, 3, 3), 1, -3.2)), 0, 0.3),
        t3d_unit_rows(g, t3d_linear(g, t3d_slice(g, h, 2, 6, 4), 1, 0.25), 1e-12),
        t3d_sigmoid(g, t3d_linear(g, t3d_slice(g, h, 2, 10, 1), 1, -1)),
        t3d_linear(g, t3d_slice(g, h, 2, 0, 3), 1, 0.5)};

    return t3d_concat(g, part, 5, 2);
}

static struct net make_net(int threads, int profile)
{
    struct net n = {.g = t3d_graph_new(T3D_CPU, threads)};
    struct t3d_graph *g = n.g;
    struct t3d_ref c, mod, text, x, fin[2];
    struct t3d_err err = {0};

    n.noise = t3d_graph_input(g, "noisy", T3D_SHAPE(BATCH, VIEW, PIN));
    n.rays = t3d_graph_input(g, "rays", T3D_SHAPE(BATCH, PIXELS, 6));
    n.ids = t3d_graph_input(g, "ids", T3D_SHAPE_INT(BATCH, TEXT));
    n.time = t3d_graph_input(g, "time", T3D_SHAPE(BATCH));
    n.target = t3d_graph_input(g, "target", T3D_SHAPE(BATCH, PIXELS, 14));
    n.weight = t3d_graph_input(g, "weight", T3D_SHAPE(BATCH));
    c = t3d_sinusoid(g, n.time, 64, 1000, 10000);
    c = linear(g, c, weight(g, "t", 1, D, 64), T3D_ACT_SILU);
    c = linear(g, c, weight(g, "t", 2, D, D), T3D_ACT_SILU);
    mod = t3d_graph_view(g, linear(g, c, weight(g, "ada", 0, 6 * D, D), T3D_ACT_NONE),
                         T3D_SHAPE(BATCH, 6, D));
    text = t3d_embedding(g, weight(g, "words", 0, WORDS, D), n.ids);
    text = t3d_add(g, text, weight(g, "places", 0, TEXT, D));
    x = linear(g, n.noise, weight(g, "patch", 0, D, PIN), T3D_ACT_NONE);
    x = t3d_concat(g, (struct t3d_ref[]){text, x}, 2, 1);
    for (int i = 0; i < LAYERS; i++)
        x = block(g, x, mod, i);
    t3d_graph_scope(g, "head");
    c = linear(g, c, weight(g, "fin", 0, 2 * D, D), T3D_ACT_NONE);
    t3d_split(g, t3d_graph_view(g, c, T3D_SHAPE(BATCH, 1, 2 * D)), 2, 2, fin);
    x = modulated(g, t3d_slice(g, x, 1, TEXT, VIEW), fin[0], fin[1]);
    x = linear(g, x, weight(g, "head", 0, POUT, D), T3D_ACT_NONE);
    x = gaussians(g, t3d_graph_view(g, x, T3D_SHAPE(BATCH, PIXELS, 12)), n.rays);
    n.loss = t3d_mse(g, x, n.target, n.weight);
    if (t3d_graph_build(g, &(struct t3d_plan){.loss = n.loss, .profile = profile}, &err) < 0) {
        fprintf(stderr, "bench num_train: %s\n", err.msg);
        exit(1);
    }
    return n;
}

static void fill_normal(t3d_real *x, int64_t n, uint64_t key, double scale)
{
    struct t3d_rng r = t3d_rng_for(1, "train", key);

    for (int64_t i = 0; i < n; i++)
        x[i] = (t3d_real)(scale * t3d_rng_normal(&r));
}

static void fill_net(struct net *n)
{
    int32_t *ids = t3d_graph_data(n->g, n->ids);
    t3d_real *target = t3d_graph_data(n->g, n->target);

    for (int i = 0; i < t3d_graph_n_params(n->g); i++) {
        struct t3d_ref r = t3d_graph_param_at(n->g, i, NULL);
        struct t3d_shape s = t3d_graph_shape(n->g, r);
        t3d_real *w = t3d_graph_data(n->g, r);

        fill_normal(w, t3d_shape_count(&s), (uint64_t)i, s.n > 1 ? 0.03 : 0);
        for (int64_t j = 0; s.n == 1 && j < s.dim[0]; j++)
            w[j] = 1;
    }
    for (int i = 0; i < BATCH * TEXT; i++)
        ids[i] = i * 37 % WORDS;
    fill_normal(t3d_graph_data(n->g, n->noise), (int64_t)BATCH * VIEW * PIN, 100, 1);
    fill_normal(t3d_graph_data(n->g, n->rays), (int64_t)BATCH * PIXELS * 6, 101, 1);
    for (int i = 0; i < BATCH * PIXELS * 14; i++)
        target[i] = (t3d_real)(i * 29 % 101) / 101;
}

/* z = t x0 + (1 - t) noise into the first 192 numbers of a token: the rays stay. */
static void add_noise(const struct net *n, const t3d_real *x0, int step)
{
    t3d_real *z = t3d_graph_data(n->g, n->noise), *time = t3d_graph_data(n->g, n->time);
    t3d_real *w = t3d_graph_data(n->g, n->weight);

#pragma omp parallel for
    for (int b = 0; b < BATCH; b++) {
        struct t3d_rng r = t3d_rng_for(2, "noise", (uint64_t)(step * BATCH + b));
        double t = 1 / (1 + exp(0.4 - t3d_rng_normal(&r)));

        time[b] = (t3d_real)t;
        w[b] = (t3d_real)fmin(1 / ((1 - t) * (1 - t)), 10);
        for (int i = 0; i < VIEW; i++)
            for (int j = 0; j < 192; j++)
                z[(b * VIEW + i) * PIN + j] = (t3d_real)(t * (double)x0[(b * VIEW + i) * 192 + j] +
                                                         (1 - t) * t3d_rng_normal(&r));
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : t3d_cpu_count();
    struct net n = make_net(threads, argc > 2);
    struct t3d_adamw *opt = t3d_adamw_new(n.g, &(struct t3d_adamw_config){T3D_ADAMW_DEFAULT});
    struct t3d_graph_size size;
    struct t3d_err err = {0};
    double seconds[STEPS + 1], flops;
    int64_t count;
    t3d_real *params = t3d_graph_param_block(n.g, &count);
    t3d_real *ema = malloc((size_t)count * sizeof *ema);
    t3d_real *x0 = malloc(sizeof *x0 * BATCH * VIEW * 192);

    if (!opt || !ema || !x0)
        return 1;
    fill_net(&n);
    memcpy(ema, params, (size_t)count * sizeof *ema);
    fill_normal(x0, (int64_t)BATCH * VIEW * 192, 102, 1);
    for (int i = 0; i <= STEPS; i++) { /* the first warms up */
        double start = t3d_clock_s();

        add_noise(&n, x0, i);
        t3d_graph_zero_grad(n.g);
        if (t3d_graph_forward(n.g, &err) < 0 || t3d_graph_backward(n.g, &err) < 0) {
            fprintf(stderr, "bench num_train: %s\n", err.msg);
            return 1;
        }
        t3d_grad_clip(n.g, 1);
        t3d_adamw_step(opt, n.g, 1e-3);
        t3d_ema_update(ema, n.g, 0.995);
        seconds[i] = t3d_clock_s() - start;
    }
    qsort(seconds + 1, STEPS, sizeof *seconds, by_value);
    t3d_graph_size(n.g, &size);
    flops = 3 * (24. * D * D * LAYERS * TOKENS + 4. * TOKENS * TOKENS * D * LAYERS +
                 2. * VIEW * D * (PIN + POUT) + 2. * D * (9 * D + 64));
    printf("{\"work\":\"train nano\",\"threads\":%d,\"batch\":%d,\"params\":%lld,\"seconds\":%.4g,"
           "\"best\":%.4g,\"samples_per_s\":%.1f,\"gflop_s\":%.0f,\"arena_mib\":%.0f,\"loss\":%.4f,"
           "\"libraries\":\"%s\"}\n",
           threads, BATCH, (long long)count, seconds[1 + STEPS / 2], seconds[1],
           BATCH / seconds[1 + STEPS / 2], 1e-9 * flops * BATCH / seconds[1 + STEPS / 2],
           (double)size.arena_bytes / (1 << 20), (double)*(t3d_real *)t3d_graph_data(n.g, n.loss),
           t3d_num_libraries());
    if (argc > 2 && t3d_report_profile(stdout, n.g, 20) < 0)
        return 1;
    t3d_adamw_free(opt);
    t3d_graph_free(n.g);
    free(ema);
    free(x0);
    return fflush(stdout) ? 1 : 0;
}
