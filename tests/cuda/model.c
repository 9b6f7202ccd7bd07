/* SPDX-License-Identifier: Apache-2.0 */
/* A small generator trained on the emulated device: as on the host but for rounding, and stopped
 * and gone on with the same bits. Prints TAP. */
#include <stdio.h>
#include <unistd.h>

#include "../gpu/tap.h"
#include "base/file.h"
#include "draw/splat.h"
#include "geom/camera.h"
#include "model/generator_step.h"
#include "model/trainer.h"

enum { BATCH = 1, SIDE = 8, TEXT = 4, VIEWS = T3D_GENERATOR_COMPARED, STEPS = 2 };

static const struct t3d_generator_config config = {.size = "tiny",
                                                   .width = 32,
                                                   .layers = 2,
                                                   .heads = 2,
                                                   .side = SIDE,
                                                   .patch = 4,
                                                   .text_tokens = TEXT,
                                                   .vocab = 9};

struct model {
    struct t3d_graph *g;
    struct t3d_generator_step step;
};

static void put(struct model *m, struct t3d_ref r, double low, double high)
{
    struct t3d_shape s = t3d_graph_shape(m->g, r);
    t3d_real *x = t3d_graph_data(m->g, r);

    for (int64_t i = 0; i < t3d_shape_count(&s); i++)
        x[i] = (t3d_real)(low + (high - low) * uniform());
}

/* Micro-batch `micro`: other numbers for each, the same on every device. */
static int fill(void *ctx, int64_t micro, struct t3d_err *err)
{
    struct model *m = ctx;
    int32_t *ids = t3d_graph_data(m->g, m->step.m.ids),
            *seen = t3d_graph_data(m->g, m->step.m.seen);
    t3d_real *row = t3d_graph_data(m->g, m->step.cameras);

    (void)err;
    state = (uint64_t)micro * 1000 + 17;
    put(m, m->step.m.noisy, -1, 1);
    put(m, m->step.m.time, 0.1, 0.9);
    put(m, m->step.weight, 0.5, 2);
    put(m, m->step.rgb, 0, 1);
    put(m, m->step.alpha, 0, 1);
    for (int i = 0; i < BATCH * TEXT; i++) {
        ids[i] = (int32_t)(uniform() * config.vocab);
        seen[i / TEXT * (TEXT + t3d_generator_tokens(&config)) + i % TEXT] = i % TEXT < 3;
    }
    for (int i = 0; i < BATCH * VIEWS; i++) {
        struct t3d_camera c = {.azimuth_deg = 40. * i,
                               .elevation_deg = 10,
                               .distance = T3D_DEFAULT_DISTANCE,
                               .fov_deg = T3D_DEFAULT_FOV_DEG};

        t3d_camera_place(&c);
        t3d_splat_camera(row + (size_t)i * T3D_SPLAT_CAMERA, &c, SIDE, SIDE);
    }
    return T3D_OK;
}

static struct model make(enum t3d_backend backend, int recompute)
{
    struct model m = {.g = t3d_graph_new(backend, 1)};
    struct t3d_plan plan = {.recompute = recompute, .poison = 1};
    struct t3d_err err = {0};

    m.step = t3d_generator_step_build(m.g, &config, BATCH, NULL);
    plan.loss = m.step.loss;
    if (t3d_graph_build(m.g, &plan, &err) < 0 ||
        t3d_generator_prepare(m.g, &m.step.m, &config, BATCH, &err) < 0)
        stop("model", err.msg);
    t3d_generator_init(m.g, 3);
    return m;
}

/* Trains in dir up to `steps`; the weights, copied. */
static float *train(enum t3d_backend backend, int recompute, const char *dir, int64_t steps,
                    int64_t *n, double *loss)
{
    static const struct t3d_trainer_ops ops = {.fill = fill};
    struct t3d_trainer_config c = {.dir = dir,
                                   .settings = "{}",
                                   .steps = steps,
                                   .schedule_steps = STEPS,
                                   .warmup = 1,
                                   .learning_rate = 1e-3,
                                   .max_grad_norm = 1,
                                   .ema_decay = 0.9,
                                   .adamw = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-4},
                                   .accumulate = 2,
                                   .keep_last = 1,
                                   .progress = "none",
                                   .stage = "train",
                                   .samples = BATCH};
    struct model m = make(backend, recompute);
    struct t3d_trainer_result result;
    struct t3d_err err = {0};
    const float *w;
    float *copy;

    if (t3d_make_dirs(dir, &err) < 0 ||
        t3d_trainer_run(&c, &ops, &m, m.g, m.step.loss, &result, &err) < 0)
        stop("training", err.msg);
    w = t3d_graph_param_block(m.g, n);
    copy = malloc((size_t)*n * sizeof *copy);
    if (!copy)
        stop("training", "out of memory");
    memcpy(copy, w, (size_t)*n * sizeof *copy);
    *loss = result.loss;
    t3d_graph_free(m.g);
    return copy;
}

int main(void)
{
    char dir[] = "/tmp/t3d-model-cuda.XXXXXX", at[64];
    double host_loss, loss, again_loss;
    float *host, *whole, *parts, *again;
    int64_t n;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(dir))
        stop("model", "no folder in /tmp");
    snprintf(at, sizeof at, "%s/host", dir);
    host = train(T3D_CPU, 0, at, STEPS, &n, &host_loss);
    snprintf(at, sizeof at, "%s/whole", dir);
    whole = train(T3D_CUDA, 0, at, STEPS, &n, &loss);
    snprintf(at, sizeof at, "%s/parts", dir);
    free(train(T3D_CUDA, 0, at, STEPS / 2, &n, &again_loss));
    parts = train(T3D_CUDA, 0, at, STEPS, &n, &again_loss);
    snprintf(at, sizeof at, "%s/again", dir);
    again = train(T3D_CUDA, 1, at, STEPS, &n, &again_loss);
    report(fabs(loss - host_loss) < 1e-5 * host_loss && distance(whole, host, n, 1e-3) < 1e-4,
           "a generator trained on the device # loss %.7g and %.7g, weights %.1e apart", loss,
           host_loss, distance(whole, host, n, 1e-3));
    report(memcmp(whole, parts, (size_t)n * sizeof *whole) == 0,
           "one step, and one after a checkpoint, are two");
    report(again_loss == loss && memcmp(whole, again, (size_t)n * sizeof *whole) == 0,
           "blocks computed again give the same weights");
    free(host);
    free(whole);
    free(parts);
    free(again);
    t3d_remove_tree(dir);
    printf("1..%d\n# %d failed\n", n_tests, n_failed);
    return n_failed != 0;
}
