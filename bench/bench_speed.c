/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "bench/bench.h"
#include "draw/draw.h"
#include "geom/import.h"
#include "metric/speed.h"

enum { RUNS = 5 };

static const struct t3d_speed_stage of_models[] = {{"train", bench_train},
                                                   {"generate", bench_generate},
                                                   {"generate-mesh", bench_generate_mesh},
                                                   {NULL, NULL}};
static const struct t3d_speed_stage *const tables[] = {t3d_speed_stages, of_models};

struct conf {
    struct t3d_common common;
    struct t3d_list stage;
    uint64_t resolution, objects;
};

static const struct t3d_opt opts[] = {
    {0, "stage", T3D_OPT_WORDS, offsetof(struct conf, stage), "LIST", NULL,
     T3D_SPEED_NAMES " train generate generate-mesh", "rows to run; all by default"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct conf, resolution), "R", "512", NULL,
     "size of the pictures"},
    {0, "objects", T3D_OPT_U64, offsetof(struct conf, objects), "N", "100000", NULL,
     "objects in the manifest row"},
    {0}};

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
    if (row->memory > 0)
        t3d_json_set_num(o, "memory_bytes", row->memory);
    if (row->first_s > 0)
        t3d_json_set_num(o, "first_seconds", row->first_s);
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
                          .threads = bench_threads,
                          .importer = bench_importer};
    char scratch[] = "/tmp/t3d-bench.XXXXXX";
    int r;

    t3d_log_init("t3d bench", T3D_LOG_WARN); /* stages report through the rows */
    if (!mkdtemp(scratch))
        return t3d_err_sys(err, "cannot make a folder", scratch);
    b.scratch = scratch;
    r = t3d_opt_refuse(&c->common, BENCH_UNUSED, err);
    if (r == T3D_OK)
        r = t3d_speed_open(&b, c->common.operands.item, c->common.operands.n, err);
    for (size_t i = 0; i < T3D_COUNT(tables); i++)
        for (const struct t3d_speed_stage *s = tables[i]; s->name && r == T3D_OK; s++)
            if (chosen(c, s->name))
                r = run_stage(&b, s, err);
    t3d_speed_close(&b);
    t3d_importer_close(bench_importer);
    t3d_remove_tree(scratch);
    return r;
}

const struct t3d_command bench_speed = {.name = "speed",
                                        .operands = "[FILE...]",
                                        .summary = "time the stages on this machine",
                                        .opts = opts,
                                        .conf_size = sizeof(struct conf),
                                        .run = run};
