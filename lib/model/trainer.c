/* SPDX-License-Identifier: Apache-2.0 */
#include "model/trainer.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/tool.h"
#include "model/checkpoint.h"
#include "store/tfevents.h"

enum { BAD_IN_A_ROW = 3, ROLLBACKS = 3 };

struct trainer {
    const struct t3d_trainer_config *c;
    const struct t3d_trainer_ops *ops;
    void *ctx;
    struct t3d_graph *g;
    struct t3d_ref loss;
    struct t3d_training_state state;
    struct t3d_trainer_result *result;
    struct t3d_progress *progress;
    struct t3d_arena arena;
    char *log_path, *checkpoints;
    FILE *log;
    struct t3d_tfevents *events;
    int bad;         /* steps in a row that were not finite */
    int64_t logged;  /* steps done at the last line */
    double logged_s; /* and when */
};

/* --- the log --------------------------------------------------------------------------------- */

/* Bytes of the lines up to and with `step`: a line cut by a kill, and those of steps that will be
 * done again, go. */
static uint64_t whole_lines(const struct t3d_blob *b, int64_t step)
{
    const char *p = (const char *)b->data, *stop = p + b->size, *end;

    for (; p < stop && (end = memchr(p, '\n', (size_t)(stop - p))); p = end + 1) {
        cJSON *o = cJSON_ParseWithLength(p, (size_t)(end - p));
        double at = t3d_json_num(o, "step", INFINITY);
        cJSON_Delete(o);
        if (!(at <= (double)step))
            break;
    }
    return (uint64_t)(p - (const char *)b->data);
}

static int open_log(struct trainer *t, struct t3d_err *err)
{
    uint64_t keep = 0;
    struct t3d_blob b;
    int fd;

    if (t->state.step > 0 && t3d_blob_open(&b, t->log_path, 0, NULL) == T3D_OK) {
        keep = whole_lines(&b, t->state.step);
        t3d_blob_close(&b);
    }
    fd = open(t->log_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, (off_t)keep) < 0 || lseek(fd, 0, SEEK_END) < 0 ||
        !(t->log = fdopen(fd, "w"))) {
        int r = t3d_err_sys(err, "cannot write", t->log_path);
        if (fd >= 0)
            close(fd);
        return r;
    }
    return T3D_OK;
}

static int open_logs(struct trainer *t, struct t3d_err *err)
{
    char *path = t3d_path_join(&t->arena, t->c->dir, "events.out.tfevents.t3d");
    int r = path ? open_log(t, err) : t3d_err_nomem(err, "the log");

    return r == T3D_OK ? t3d_tfevents_open(&t->events, path, t->state.step, err) : r;
}

static int write_line(struct trainer *t, const cJSON *line, struct t3d_err *err)
{
    int r = t3d_ndjson_write(t->log, line, err);

    if (r == T3D_OK && fflush(t->log) != 0)
        r = t3d_err_sys(err, "cannot write", t->log_path);
    return r == T3D_OK ? t3d_tfevents_numbers(t->events, t->state.step, line, err) : r;
}

static int log_step(struct trainer *t, double loss, double norm, double lr, struct t3d_err *err)
{
    int64_t done = t->state.step;
    double now = t3d_clock_s();
    cJSON *line;
    int r;

    if (!t->c->log_every || (done % t->c->log_every && done != t->c->steps))
        return T3D_OK;
    line = cJSON_CreateObject();
    t3d_json_set_num(line, "step", (double)done);
    t3d_json_set_num(line, "loss", loss);
    t3d_json_set_num(line, "grad_norm", norm);
    t3d_json_set_num(line, "learning_rate", lr);
    if (now > t->logged_s)
        t3d_json_set_num(line, "samples_per_second",
                         (double)(done - t->logged) * t->c->samples / (now - t->logged_s));
    if (t->result->skipped)
        t3d_json_set_num(line, "skipped_steps", (double)t->result->skipped);
    if (t->ops->describe)
        t->ops->describe(t->ctx, line);
    t->logged = done;
    t->logged_s = now;
    r = line ? write_line(t, line, err) : t3d_err_nomem(err, "a line of the log");
    cJSON_Delete(line);
    return r;
}

/* --- averaged weights ------------------------------------------------------------------------ */

static void swap_average(struct trainer *t)
{
    int64_t n;
    t3d_real *w = t3d_graph_param_block(t->g, &n),
             *mean = t->state.ema ? t3d_ema_data(t->state.ema, &n) : NULL;

    for (int64_t i = 0; w && mean && i < n; i++) {
        t3d_real x = w[i];
        w[i] = mean[i];
        mean[i] = x;
    }
}

static int keep_best(struct trainer *t, cJSON *line, struct t3d_err *err)
{
    double score = t->ops->score ? t3d_json_num(line, t->ops->score, NAN) : NAN;
    char *dir;

    if (!t->c->keep_best || !t->ops->keep || !isfinite(score) || score <= t->state.best)
        return T3D_OK;
    t->state.best = score;
    t3d_json_set_bool(line, "best", 1);
    dir = t3d_path_join(&t->arena, t->c->dir, "best");
    return dir ? t->ops->keep(t->ctx, dir, err) : t3d_err_nomem(err, "a path");
}

static int show_sheet(struct trainer *t, const cJSON *line, struct t3d_err *err)
{
    const char *sheet = t3d_json_str(line, "sheet", NULL);
    char *path = sheet ? t3d_path_join(&t->arena, t->c->dir, sheet) : NULL;
    struct t3d_blob png;
    int r;

    if (!sheet)
        return T3D_OK;
    r = path ? t3d_blob_open(&png, path, 0, err) : t3d_err_nomem(err, "a path");
    if (r < 0)
        return r;
    r = t3d_tfevents_png(t->events, t->state.step, "samples", png.data, png.size, err);
    t3d_blob_close(&png);
    return r;
}

static int validate(struct trainer *t, struct t3d_err *err)
{
    cJSON *line;
    int r;

    if (!t->ops->validate || !t->c->validate_every ||
        (t->state.step % t->c->validate_every && t->state.step != t->c->steps))
        return T3D_OK;
    line = cJSON_CreateObject();
    t3d_json_set_num(line, "step", (double)t->state.step);
    swap_average(t);
    r = line ? t->ops->validate(t->ctx, line, err) : t3d_err_nomem(err, "a line of the log");
    if (r == T3D_OK)
        r = keep_best(t, line, err);
    swap_average(t);
    if (r == T3D_OK)
        r = write_line(t, line, err);
    if (r == T3D_OK)
        r = show_sheet(t, line, err);
    cJSON_Delete(line);
    return r;
}

/* --- steps ----------------------------------------------------------------------------------- */

/* Gradients of all micro-batches are summed and then scaled to their mean. */
static int gradients(struct trainer *t, double *loss, struct t3d_err *err)
{
    int n = t->c->accumulate, r = T3D_OK;

    *loss = 0;
    t3d_graph_zero_grad(t->g);
    for (int i = 0; i < n && r == T3D_OK; i++) {
        r = t->ops->fill(t->ctx, t->state.step * n + i, err);
        if (r == T3D_OK)
            r = t3d_graph_forward(t->g, err);
        if (r == T3D_OK)
            *loss += (double)*(t3d_real *)t3d_graph_data(t->g, t->loss) / n;
        if (r == T3D_OK)
            r = t3d_graph_backward(t->g, err);
    }
    if (r == T3D_OK && n > 1) {
        int64_t count;
        t3d_real *grad = t3d_graph_grad_block(t->g, &count);

        for (int64_t i = 0; grad && i < count; i++)
            grad[i] /= (t3d_real)n;
    }
    return r;
}

static int roll_back(struct trainer *t, struct t3d_err *err)
{
    struct t3d_training_state *s = &t->state;
    double scale = s->lr_scale;
    int64_t rollbacks = s->rollbacks;
    int refused, r;

    if (rollbacks >= ROLLBACKS)
        return t3d_err_set(err, T3D_FAIL, "diverged",
                           "the loss is not finite at step %lld, after %d roll-backs: give a lower "
                           "--learning-rate",
                           (long long)s->step, ROLLBACKS);
    r = t3d_checkpoint_resume(t->checkpoints, s, &refused, err);
    if (r == T3D_END)
        return t3d_err_set(err, T3D_FAIL, "diverged",
                           "the loss is not finite at step %lld, before the first checkpoint: give "
                           "a lower --learning-rate",
                           (long long)s->step);
    s->lr_scale = scale / 2;
    s->rollbacks = rollbacks + 1;
    t->bad = 0;
    /* The checkpoint is replaced, so that a kill cannot undo the roll-back. */
    return r < 0 ? r : t3d_checkpoint_save(t->checkpoints, s, t->c->keep_last, err);
}

static int step(struct trainer *t, struct t3d_err *err)
{
    const struct t3d_trainer_config *c = t->c;
    struct t3d_training_state *s = &t->state;
    double lr =
        s->lr_scale * t3d_warmup_cosine(s->step, c->warmup, c->schedule_steps, c->learning_rate, 0);
    double loss, norm;
    int r = gradients(t, &loss, err);

    if (r < 0)
        return r;
    norm = t3d_grad_clip(t->g, c->max_grad_norm);
    if (!isfinite(loss) || !isfinite(norm)) {
        t->result->skipped++;
        if (++t->bad >= BAD_IN_A_ROW)
            return roll_back(t, err);
    } else {
        t->bad = 0;
        t3d_adamw_step(s->adamw, t->g, lr);
        if (t->ops->after_step)
            t->ops->after_step(t->ctx);
        /* Early on the average follows quickly: (1 + t) / (10 + t). */
        if (s->ema)
            t3d_ema_step(s->ema, t->g,
                         T3D_MIN(c->ema_decay, (1.0 + (double)s->step) / (10.0 + (double)s->step)));
    }
    s->step++;
    t->result->loss = loss;
    t3d_progress_add(t->progress, 0);
    r = log_step(t, loss, norm, lr, err);
    return r == T3D_OK ? validate(t, err) : r;
}

static int loop(struct trainer *t, struct t3d_err *err)
{
    int64_t saved = t->state.step;
    int r = T3D_OK;

    while (r == T3D_OK && t->state.step < t->c->steps && !t3d_stop_requested()) {
        r = step(t, err);
        if (r == T3D_OK && t->c->checkpoint_every && t->state.step % t->c->checkpoint_every == 0) {
            r = t3d_checkpoint_save(t->checkpoints, &t->state, t->c->keep_last, err);
            saved = t->state.step;
        }
    }
    if (r == T3D_OK && saved != t->state.step)
        r = t3d_checkpoint_save(t->checkpoints, &t->state, t->c->keep_last, err);
    return r;
}

static int log_end(struct trainer *t, double seconds, struct t3d_err *err)
{
    cJSON *line;
    int r;

    if (t->state.step < t->c->steps || t->state.step == t->result->resumed)
        return T3D_OK;
    line = cJSON_CreateObject();
    t3d_json_set_num(line, "step", (double)t->state.step);
    t3d_json_set_num(line, "seconds", seconds);
    t3d_json_set_num(line, "steps_in_them", (double)(t->state.step - t->result->resumed));
    if (t->ops->summarise)
        t->ops->summarise(t->ctx, line);
    r = line ? write_line(t, line, err) : t3d_err_nomem(err, "a line of the log");
    cJSON_Delete(line);
    return r;
}

/* --- set-up ---------------------------------------------------------------------------------- */

static int prepare(struct trainer *t, struct t3d_err *err)
{
    struct t3d_training_state *s = &t->state;

    t->log_path = t3d_path_join(&t->arena, t->c->dir, "log.ndjson");
    t->checkpoints = t3d_path_join(&t->arena, t->c->dir, "checkpoints");
    s->g = t->g;
    s->lr_scale = 1;
    s->best = NAN;
    s->settings = t->c->settings;
    s->adamw = t3d_adamw_new(t->g, &t->c->adamw);
    if (t->c->ema_decay > 0)
        s->ema = t3d_ema_new(t->g);
    if (!t->log_path || !t->checkpoints || !s->adamw || (t->c->ema_decay > 0 && !s->ema))
        return t3d_err_nomem(err, "the optimiser");
    return t3d_make_dirs(t->checkpoints, err);
}

static int resume(struct trainer *t, struct t3d_err *err)
{
    struct t3d_err why = {0};
    int r = t3d_checkpoint_resume(t->checkpoints, &t->state, &t->result->refused, &why);

    t->result->why = why;
    t->result->resumed = t->state.step;
    if (r < 0 && err)
        *err = why;
    return r < 0 ? r : open_logs(t, err);
}

int t3d_trainer_run(const struct t3d_trainer_config *c, const struct t3d_trainer_ops *ops,
                    void *ctx, struct t3d_graph *g, struct t3d_ref loss,
                    struct t3d_trainer_result *result, struct t3d_err *err)
{
    struct trainer t = {.c = c, .ops = ops, .ctx = ctx, .g = g, .loss = loss, .result = result};
    double begin = t3d_clock_s();
    int r;

    *result = (struct t3d_trainer_result){.loss = NAN};
    r = prepare(&t, err);
    if (r == T3D_OK)
        r = resume(&t, err);
    if (r == T3D_OK) {
        int64_t left = c->steps - t.state.step;
        t.logged = t.state.step;
        t.logged_s = t3d_clock_s();
        t.progress =
            t3d_progress_new(c->progress, c->stage, "steps", left > 0 ? (uint64_t)left : 0);
        r = loop(&t, err);
        t3d_progress_free(t.progress);
        if (r == T3D_OK)
            r = log_end(&t, t3d_clock_s() - begin, err);
    }
    if (t.log && fclose(t.log) != 0 && r == T3D_OK)
        r = t3d_err_sys(err, "cannot write", t.log_path);
    result->step = t.state.step;
    result->stop = t3d_stop_requested();
    result->seconds = t3d_clock_s() - begin;
    if (r == T3D_OK && !result->stop)
        swap_average(&t);
    t3d_tfevents_close(t.events);
    t3d_adamw_free(t.state.adamw);
    t3d_ema_free(t.state.ema);
    t3d_arena_free(&t.arena);
    return r;
}

int t3d_trainer_run_stage(const struct t3d_trainer_config *c, const struct t3d_trainer_stage *stage,
                          const struct t3d_trainer_ops *ops, void *ctx, struct t3d_graph *g,
                          struct t3d_ref loss, struct t3d_trainer_result *result,
                          struct t3d_err *err)
{
    struct t3d_trainer_config of_stage = *c;
    double before = result->seconds;
    int r;

    of_stage.settings = stage->settings;
    of_stage.samples = stage->samples * c->accumulate;
    of_stage.stage = "train";
    of_stage.steps = stage->steps;
    of_stage.keep_best &= !stage->coarse;
    r = t3d_trainer_run(&of_stage, ops, ctx, g, loss, result, err);
    result->seconds += before;
    if (r < 0 || result->stop || stage->steps < c->steps)
        return r;
    return stage->coarse && result->step > stage->steps ? r : ops->keep(ctx, c->dir, err);
}
