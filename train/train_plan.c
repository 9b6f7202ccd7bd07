/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "model/clip_train.h"
#include "model/generator_train.h"
#include "model/reconstructor_train.h"
#include "num/report.h"
#include "train/train.h"

enum { MAX_BATCH = 65536 };

struct planning {
    const struct train_conf *conf;
    int threads, recompute;
};

static struct t3d_ref build(struct t3d_graph *g, const struct train_conf *c, int batch)
{
    const struct t3d_clip_config *clip = t3d_clip_size(c->size);
    struct t3d_generator_config generator, reconstructor;

    if (train_is_clip(c))
        return t3d_clip_build(g, clip, batch, clip->context).loss;
    reconstructor = train_reconstructor_of(c);
    if (train_is_of_views(c))
        return t3d_reconstructor_step_build(g, &reconstructor, batch, train_is_nerf_mae(c),
                                            &c->loss)
            .loss;
    generator = train_generator_of(c);
    return t3d_generator_step_build(g, &generator, batch, &c->loss).loss;
}

static struct t3d_graph *plan_of(void *arg, int64_t batch, struct t3d_err *err)
{
    const struct planning *p = arg;
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, p->threads);
    struct t3d_plan plan = {.dry = 1, .recompute = p->recompute};

    if (!g) {
        t3d_err_nomem(err, "a plan");
        return NULL;
    }
    plan.loss = build(g, p->conf, (int)batch);
    if (t3d_graph_build(g, &plan, err) < 0) {
        t3d_graph_free(g);
        return NULL;
    }
    return g;
}

static void print_size(const struct train_conf *c)
{
    const struct t3d_clip_config *clip = t3d_clip_size(c->size);
    struct t3d_generator_config g;

    if (train_is_clip(c)) {
        printf(
            "%s-%s: %lld parameters with a vocabulary of %d, batch of %llu, texts of %d tokens\n",
            c->model, c->size, (long long)t3d_clip_params(clip), clip->vocab,
            (unsigned long long)c->batch, clip->context);
        return;
    }
    if (train_is_of_views(c)) {
        g = train_reconstructor_of(c);
        printf("%s-%s: %lld parameters, batch of %llu, %d views of %d pixels, %d Gaussians\n",
               c->model, c->size, (long long)t3d_reconstructor_params(&g, train_is_nerf_mae(c)),
               (unsigned long long)c->batch, T3D_GENERATOR_VIEWS, g.side,
               t3d_generator_gaussians(&g));
        return;
    }
    g = train_generator_of(c);
    printf("%s-%s: %lld parameters with ", c->model, c->size, (long long)t3d_generator_params(&g));
    if (g.n_encoders)
        printf("features of %s", c->text_encoder);
    else
        printf("a vocabulary of %d", g.vocab);
    printf(", batch of %llu, %d views of %d pixels, ", (unsigned long long)c->batch,
           T3D_GENERATOR_VIEWS, g.side);
    if (g.head == T3D_HEAD_IMAGE)
        printf("head image: a reconstructor makes the object of them\n");
    else
        printf("%d Gaussians\n", t3d_generator_gaussians(&g));
}

/* One line of what the plan would be the other way. */
static int print_other(const struct planning *p, size_t memory, struct t3d_err *err)
{
    struct planning other = {p->conf, p->threads, !p->recompute};
    struct t3d_graph *g = plan_of(&other, (int64_t)p->conf->batch, err);
    struct t3d_graph_size s;
    int64_t batch;
    int r;

    if (!g)
        return T3D_FAIL;
    t3d_graph_size(g, &s);
    t3d_graph_free(g);
    r = t3d_report_largest_batch(plan_of, &other, memory, MAX_BATCH, &batch, err);
    if (r == T3D_OK)
        printf("with --%sgradient-checkpointing: %.1f MiB in all, backward %.3f GFLOP, largest "
               "batch %lld\n",
               p->recompute ? "no-" : "", (double)s.total_bytes / (1 << 20),
               s.backward_flops * 1e-9, (long long)batch);
    return r;
}

int train_print_plan(const struct train_conf *c, struct t3d_err *err)
{
    struct planning p = {c, (int)c->common.threads, c->recompute};
    struct t3d_graph *g = plan_of(&p, (int64_t)c->batch, err);
    size_t memory = t3d_report_memory();
    int64_t batch;
    int r;

    if (!g)
        return T3D_FAIL;
    print_size(c);
    r = t3d_report_plan(stdout, g) < 0 ? t3d_err_sys(err, "cannot write", "stdout") : T3D_OK;
    t3d_graph_free(g);
    if (r == T3D_OK)
        r = t3d_report_largest_batch(plan_of, &p, memory, MAX_BATCH, &batch, err);
    if (r < 0)
        return r;
    printf("largest batch in the %zu MiB that are free: %lld\n", memory >> 20, (long long)batch);
    return print_other(&p, memory, err);
}
