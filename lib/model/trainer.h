/* SPDX-License-Identifier: Apache-2.0 */
/* model/trainer.h -- the loop that every model is trained by.
 *
 * A step: for each of `accumulate` micro-batches fill the graph's inputs, forward, backward; clip
 * the norm, AdamW at the warm-up and cosine rate, the model's own after_step, average. A step whose
 * loss or gradient is not finite is skipped; after three in a row the last checkpoint is loaded and
 * the rate halved, three times at most.
 *
 * In DIR: log.ndjson (one object a line: step, loss, ...; the last one has the seconds; on resume
 * lines of steps to be done again are dropped), the same as events.out.tfevents.t3d for
 * TensorBoard, and checkpoints/; with keep_best also best/, the model of the best validation. k
 * steps, then n - k in another process, give the same bits as n. SIGTERM, SIGINT and SIGUSR1 save a
 * checkpoint and end the loop.
 */
#ifndef T3D_MODEL_TRAINER_H
#define T3D_MODEL_TRAINER_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "num/device.h"
#include "num/optim.h"

struct t3d_trainer_config {
    const char *dir;
    const char *settings;           /* what decides the result, as JSON text; kept in checkpoints */
    int64_t steps;                  /* stop when so many are done */
    int64_t schedule_steps, warmup; /* of the learning rate */
    double learning_rate, max_grad_norm, ema_decay; /* ema_decay 0 = no average */
    struct t3d_adamw_config adamw;
    int accumulate;    /* micro-batches a step */
    int64_t log_every; /* 0 = never, as below */
    int64_t validate_every, checkpoint_every;
    int keep_last;        /* checkpoints; 0 = all */
    int keep_best;        /* the model of the best validation */
    const char *progress; /* as t3d_progress_new */
    const char *stage;    /* for the progress line: "train" */
    double samples;       /* a step, for the log */
    /* Whoever makes the graph makes it for this device, and plans it so (num/graph.h). */
    struct t3d_device device;
    int recompute;
};

struct t3d_trainer_ops {
    /* Write the inputs of micro-batch number `micro` (step * accumulate + i). */
    int (*fill)(void *ctx, int64_t micro, struct t3d_err *err);
    /* After the optimiser: keep parameters in range. May be NULL. */
    void (*after_step)(void *ctx);
    /* With the averaged weights in the graph: add figures to the line of the log. "sheet": a PNG
     * that was made, as a path below DIR. May be NULL. */
    int (*validate)(void *ctx, cJSON *line, struct t3d_err *err);
    const char *score; /* its figure that says which validation was the best: the highest */
    /* Make DIR a model of what is in the graph. */
    int (*keep)(void *ctx, const char *dir, struct t3d_err *err);
    /* More figures for the line of a step. May be NULL. */
    void (*describe)(void *ctx, cJSON *line);
    /* More figures for the last line of a run that has done all its steps. May be NULL. */
    void (*summarise)(void *ctx, cJSON *line);
};

struct t3d_trainer_result {
    int64_t step, resumed, skipped; /* steps done in all; at which this run went on; not finite */
    double loss, seconds;           /* of the last step; of this run */
    int stop;                       /* exit code a signal asked for, or 0 */
    int refused;                    /* checkpoints that could not be read */
    struct t3d_err why;             /* the last of them */
};

/* The graph is built and holds the initial weights. At the end (no signal) it holds the averaged
 * ones, if there are any. loss: the scalar. */
int t3d_trainer_run(const struct t3d_trainer_config *c, const struct t3d_trainer_ops *ops,
                    void *ctx, struct t3d_graph *g, struct t3d_ref loss,
                    struct t3d_trainer_result *result, struct t3d_err *err) T3D_MUST_CHECK;

/* One of the stages that a run in several resolutions is made of: as t3d_trainer_run, up to
 * stage->steps. At the end of the run's steps the model goes to c->dir by ops->keep. seconds of the
 * result are added to. */
struct t3d_trainer_stage {
    const char *settings;
    int64_t steps;
    double samples; /* a micro-batch */
    int coarse;     /* below the run's resolution: of it there is no best model, and a run that is
                       beyond it keeps the model that it has */
};
int t3d_trainer_run_stage(const struct t3d_trainer_config *c, const struct t3d_trainer_stage *stage,
                          const struct t3d_trainer_ops *ops, void *ctx, struct t3d_graph *g,
                          struct t3d_ref loss, struct t3d_trainer_result *result,
                          struct t3d_err *err) T3D_MUST_CHECK;

#endif
