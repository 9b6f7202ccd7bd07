/* SPDX-License-Identifier: Apache-2.0 */
/* The train row of `t3d bench speed`: one step of the nano generator, of 32 samples, on pictures of
 * a ball: noise, forward with drawing, backward, clipping, AdamW, the running mean of the weights.
 * Reading and decoding pictures goes on beside a step (doc/decisions/generator.md) and is not in
 * it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "draw/splat.h"
#include "geom/camera.h"
#include "metric/speed.h"
#include "model/generator_step.h"
#include "num/optim.h"

enum { BATCH = 32, VOCAB = 512, STEPS = 3, SEEN = T3D_GENERATOR_COMPARED };

struct nano {
    struct t3d_generator_config size;
    struct t3d_generator_step step;
    struct t3d_graph *g;
    struct t3d_adamw *adamw;
    t3d_real *average;
};

/* Noise in all views: the hardest and the most frequent case. */
static void put_noise(struct nano *n, uint64_t step)
{
    int64_t count = 3 * (int64_t)t3d_generator_gaussians(&n->size);
    t3d_real *noisy = t3d_graph_data(n->g, n->step.m.noisy);

#pragma omp parallel for
    for (int i = 0; i < BATCH; i++) {
        struct t3d_rng r = t3d_rng_for(step, "speed train", (uint64_t)i);

        for (int64_t k = 0; k < count; k++)
            noisy[i * count + k] = (t3d_real)t3d_rng_normal(&r);
    }
}

/* A ball in the middle, another colour in each sample, seen from four sides. */
static int put_pictures(struct nano *n, struct t3d_err *err)
{
    int side = n->size.side;
    t3d_real *rgb = t3d_graph_data(n->g, n->step.rgb), *alpha = t3d_graph_data(n->g, n->step.alpha),
             *cameras = t3d_graph_data(n->g, n->step.cameras);
    struct t3d_arena a = {0};
    struct t3d_view_set set;
    int r = t3d_view_set_load(&set, "ring16+4", &a, err);

    for (int64_t i = 0; r == T3D_OK && i < BATCH * SEEN; i++) {
        const struct t3d_camera *c = &set.camera[t3d_generator_view[i % SEEN]];

        t3d_splat_camera(cameras + i * T3D_SPLAT_CAMERA, c, side, side);
        for (int64_t k = 0; k < side * side; k++) {
            double x = (double)(k % side) - side / 2. + 0.5,
                   y = (double)(k / side) - side / 2. + 0.5;
            int inside = x * x + y * y < side * side / 9.;

            alpha[i * side * side + k] = (t3d_real)inside;
            for (int j = 0; j < 3; j++)
                rgb[(i * side * side + k) * 3 + j] = (t3d_real)(!inside || i / SEEN % 3 == j);
        }
    }
    t3d_arena_free(&a);
    return r;
}

static void put_texts(struct nano *n)
{
    int32_t *ids = t3d_graph_data(n->g, n->step.m.ids),
            *seen = t3d_graph_data(n->g, n->step.m.seen);
    t3d_real *time = t3d_graph_data(n->g, n->step.m.time),
             *weight = t3d_graph_data(n->g, n->step.weight);
    int texts = n->size.text_tokens, row = texts + t3d_generator_tokens(&n->size);

    for (int i = 0; i < BATCH; i++) {
        time[i] = (t3d_real)(i + 0.5) / BATCH;
        weight[i] = 1;
        for (int k = 0; k < texts; k++) {
            ids[i * texts + k] = (i * 37 + k * 11) % VOCAB;
            seen[i * row + k] = k < texts / 2;
        }
    }
}

static int open_nano(struct nano *n, int threads, struct t3d_err *err)
{
    struct t3d_plan plan = {.profile = 1};
    int64_t count;
    int r;

    n->size = *t3d_generator_size("nano");
    n->size.vocab = VOCAB;
    n->g = t3d_graph_new(T3D_CPU, threads);
    if (!n->g)
        return t3d_err_nomem(err, "the model");
    n->step = t3d_generator_step_build(n->g, &n->size, BATCH, NULL);
    plan.loss = n->step.loss;
    r = t3d_graph_build(n->g, &plan, err);
    if (r == T3D_OK)
        r = t3d_generator_prepare(n->g, &n->step.m, &n->size, BATCH, err);
    if (r < 0)
        return r;
    t3d_generator_init(n->g, 1);
    n->adamw = t3d_adamw_new(n->g, &(struct t3d_adamw_config){T3D_ADAMW_DEFAULT});
    t3d_graph_param_block(n->g, &count);
    n->average = calloc((size_t)count, sizeof *n->average);
    if (!n->adamw || !n->average)
        return t3d_err_nomem(err, "the state of the optimiser");
    put_texts(n);
    return put_pictures(n, err);
}

static void close_nano(struct nano *n)
{
    t3d_adamw_free(n->adamw);
    free(n->average);
    t3d_graph_free(n->g);
}

/* Seconds in the rasteriser since the graph was made. */
static double drawing(const struct nano *n)
{
    double s = 0;

    for (int i = 0; i < t3d_graph_n_rows(n->g); i++) {
        struct t3d_graph_row row = t3d_graph_row_at(n->g, i);

        if (strcmp(row.op, t3d_op_splat.name) == 0)
            s += row.forward_s + row.backward_s;
    }
    return s;
}

static int one_step(struct nano *n, int step, struct t3d_speed_row *row, struct t3d_err *err)
{
    double at[4], drawn = drawing(n);
    int r;

    at[0] = t3d_clock_s();
    put_noise(n, (uint64_t)step);
    at[1] = t3d_clock_s();
    t3d_graph_zero_grad(n->g);
    r = t3d_graph_forward(n->g, err);
    if (r == T3D_OK)
        r = t3d_graph_backward(n->g, err);
    at[2] = t3d_clock_s();
    t3d_grad_clip(n->g, 1);
    t3d_adamw_step(n->adamw, n->g, 1e-3);
    t3d_ema_update(n->average, n->g, 0.995);
    at[3] = t3d_clock_s();
    drawn = drawing(n) - drawn;
    row->phase_s[0] = at[1] - at[0];
    row->phase_s[1] = at[2] - at[1] - drawn;
    row->phase_s[2] = drawn;
    row->phase_s[3] = at[3] - at[2];
    return r;
}

int bench_train(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    struct nano n = {.g = NULL};
    double begin = t3d_clock_s();
    int r = open_nano(&n, b->threads, err);

    *row = (struct t3d_speed_row){.unit = "samples",
                                  .work = BATCH,
                                  .threads = b->threads,
                                  .phase = {"noise", "network", "splat", "optimizer"}};
    for (int i = 0; i < STEPS && r == T3D_OK; i++) {
        r = one_step(&n, i, row, err);
        if (i == 0)
            row->first_s = t3d_clock_s() - begin;
    }
    if (r == T3D_OK) {
        struct t3d_graph_size size;

        t3d_graph_size(n.g, &size);
        /* two moments and the running mean beside the parameters */
        row->memory = (double)size.total_bytes + 3 * (double)size.param_bytes;
    }
    close_nano(&n);
    return r;
}
