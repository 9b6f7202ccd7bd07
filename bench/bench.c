/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-bench: `t3d bench speed` times each stage on this machine, on generated input or on files
 * named, and prints one JSON object per row. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "draw/draw.h"
#include "geom/import.h"
#include "metric/retrieval.h"
#include "metric/speed.h"
#include "store/model_find.h"

enum { RUNS = 5 };

struct conf {
    struct t3d_common common;
    struct t3d_list stage;
    uint64_t resolution, objects;
};

static const struct t3d_opt opts[] = {
    {0, "stage", T3D_OPT_WORDS, offsetof(struct conf, stage), "LIST", NULL, t3d_speed_names,
     "rows to run; all by default"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct conf, resolution), "R", "512", NULL,
     "size of the pictures"},
    {0, "objects", T3D_OPT_U64, offsetof(struct conf, objects), "N", "100000", NULL,
     "objects in the manifest row"},
    {0}};

static struct t3d_importer *importer;
static int importer_threads;

static int before(int threads, struct t3d_err *err)
{
    importer_threads = threads;
    return t3d_importer_open(&importer, threads, NULL, err);
}

static int by_seconds(const void *a, const void *b)
{
    double x = t3d_speed_seconds(a), y = t3d_speed_seconds(b);

    return (x > y) - (x < y);
}

static int print_row(const struct t3d_speed_stage *s, const struct t3d_speed_row *row,
                     struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject(), *phases;
    double sum = t3d_speed_phases(row), seconds = t3d_speed_seconds(row);
    int r;

    t3d_json_set_str(o, "stage", s->name);
    t3d_json_set_str(o, "unit", row->unit);
    t3d_json_set_num(o, "work", row->work);
    t3d_json_set_num(o, "threads", row->threads);
    t3d_json_set_num(o, "seconds", seconds);
    t3d_json_set_num(o, "per_second", row->work / seconds);
    t3d_json_set_num(o, "seconds_each", seconds / row->work);
    if (row->bytes > 0)
        t3d_json_set_num(o, "bytes", row->bytes);
    phases = cJSON_AddObjectToObject(o, "share");
    for (int i = 0; i < T3D_SPEED_PHASES && row->phase[i]; i++)
        t3d_json_set_num(phases, row->phase[i], sum > 0 ? row->phase_s[i] / sum : 0);
    t3d_json_set_str(o, "isa", t3d_draw_isa());
    r = t3d_emit(o, err);
    cJSON_Delete(o);
    return r;
}

static int run_stage(struct t3d_speed *b, const struct t3d_speed_stage *s, struct t3d_err *err)
{
    struct t3d_speed_row row[RUNS + 1];

    for (int i = 0; i < RUNS + 1; i++) { /* the first is the warm-up */
        int r = s->run(b, &row[i], err);
        if (r < 0)
            return t3d_err_prefix(err, "bench %s", s->name);
        if (t3d_stop_requested())
            return T3D_END;
    }
    qsort(row + 1, RUNS, sizeof *row, by_seconds);
    return print_row(s, &row[1 + RUNS / 2], err);
}

static int chosen(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->stage.n; i++)
        if (strcmp(c->stage.item[i], name) == 0)
            return 1;
    return c->stage.n == 0;
}

static int run(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;
    struct t3d_speed b = {.resolution = (uint32_t)c->resolution,
                          .objects = c->objects,
                          .threads = importer_threads,
                          .importer = importer};
    char scratch[] = "/tmp/t3d-bench.XXXXXX";
    int r;

    t3d_log_init("t3d bench", T3D_LOG_WARN); /* stages report through the rows */
    if (!mkdtemp(scratch))
        return t3d_err_sys(err, "cannot make a folder", scratch);
    b.scratch = scratch;
    r = t3d_speed_open(&b, c->common.operands.item, c->common.operands.n, err);
    for (const struct t3d_speed_stage *s = t3d_speed_stages; s->name && r == T3D_OK; s++)
        if (chosen(c, s->name))
            r = run_stage(&b, s, err);
    t3d_speed_close(&b);
    t3d_importer_close(importer);
    t3d_remove_tree(scratch);
    return r;
}

static const struct t3d_command speed = {.name = "speed",
                                         .operands = "[FILE...]",
                                         .summary = "time the stages on this machine",
                                         .opts = opts,
                                         .conf_size = sizeof(struct conf),
                                         .run = run};

/* --- retrieval ------------------------------------------------------------------------------- */

struct retrieval_conf {
    struct t3d_common common;
    const char *model, *view_set;
};

static const struct t3d_opt retrieval_opts[] = {
    {0, "model", T3D_OPT_STRING, offsetof(struct retrieval_conf, model), "NAME-or-DIR", "clip-nano",
     NULL, "a CLIP: a model's name, or the path of a folder"},
    {0, "view-set", T3D_OPT_STRING, offsetof(struct retrieval_conf, view_set), "NAME", "ring:4",
     NULL, "views of each scene"},
    {0}};

static cJSON *side_json(const struct t3d_retrieval_side *s)
{
    cJSON *o = cJSON_CreateObject(), *mistakes;

    t3d_json_set_num(o, "r_at_1", (double)s->hits / (double)s->queries);
    t3d_json_set_num(o, "queries", (double)s->queries);
    mistakes = cJSON_AddObjectToObject(o, "mistakes");
    for (int i = 0; i < T3D_MISTAKES; i++)
        t3d_json_set_num(mistakes, t3d_mistake_name[i], (double)s->mistakes[i]);
    return o;
}

static int print_retrieval(const struct t3d_retrieval *r, const struct retrieval_conf *c,
                           const struct t3d_encoder_info *info, struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject();
    int s;

    t3d_json_set_str(o, "bench", "retrieval");
    t3d_json_set_str(o, "model", c->model);
    t3d_json_set_str(o, "weights", info->weights_hash);
    t3d_json_set_str(o, "view_set", c->view_set);
    t3d_json_set_num(o, "pool", (double)r->pool);
    t3d_json_set_num(o, "held_out", (double)r->held_out);
    t3d_json_set(o, "image_to_text", side_json(&r->image_to_text));
    t3d_json_set(o, "text_to_image", side_json(&r->text_to_image));
    t3d_json_set(o, "seen_image_to_text", side_json(&r->seen_image_to_text));
    t3d_json_set(o, "seen_text_to_image", side_json(&r->seen_text_to_image));
    s = t3d_emit(o, err);
    cJSON_Delete(o);
    return s;
}

static int run_retrieval(void *conf, struct t3d_err *err)
{
    const struct retrieval_conf *c = conf;
    struct t3d_retrieval_config config = {.view_set = c->view_set,
                                          .threads = (int)c->common.threads};
    struct t3d_encoder_options options = {.threads = config.threads, .background = {255, 255, 255}};
    struct t3d_encoder *e = NULL;
    struct t3d_retrieval result;
    struct t3d_arena a = {0};
    char *dir;
    int r = t3d_model_find(&dir, c->common.workspace, c->model, &a, err);

    if (r == T3D_OK)
        r = t3d_encoder_open(&e, dir, &options, err);
    if (r == T3D_OK)
        r = t3d_retrieval(&result, e, &config, err);
    if (r == T3D_OK)
        r = print_retrieval(&result, c, t3d_encoder_info(e), err);
    t3d_encoder_free(e);
    t3d_arena_free(&a);
    t3d_importer_close(importer);
    return r;
}

static const struct t3d_command retrieval = {
    .name = "retrieval",
    .summary = "how well a CLIP tells held-out scenes of the built-in world apart",
    .opts = retrieval_opts,
    .conf_size = sizeof(struct retrieval_conf),
    .run = run_retrieval};

static const struct t3d_command *const commands[] = {&speed, &retrieval, NULL};

static const struct t3d_tool tool = {
    .name = "bench",
    .summary = "time the stages on this machine",
    .about =
        "One JSON object a row on stdout: the work done in one run, its seconds (the median of "
        "five "
        "after a warm-up) and the share of each phase. The input is generated, the same "
        "everywhere, "
        "unless 3D files are named. Rows: read (parse and measure, one thread, in this process), "
        "import (the same behind the sandbox), render (20 views to a shard, all threads), png, "
        "shards "
        "(write; read and decode), manifest (register and claim); evaluate (each input beside "
        "itself, all metrics), chamfer, emd, sample, iou, pictures (psnr, ssim).",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
