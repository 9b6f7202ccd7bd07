/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "bench/bench.h"
#include "geom/import.h"
#include "metric/judge.h"

struct stub_conf {
    struct t3d_common common;
};

static const struct t3d_opt opts[] = {{0}};

static int answer(const cJSON *question, struct t3d_err *err)
{
    cJSON *o;
    int r = t3d_judge_stub(&o, question, err);

    if (r == T3D_OK)
        r = t3d_emit(o, err);
    cJSON_Delete(o);
    return r;
}

static int run(void *conf, struct t3d_err *err)
{
    struct t3d_ndjson in;
    cJSON *question;
    int r;

    (void)conf;
    t3d_importer_close(bench_importer);
    t3d_ndjson_init(&in, stdin, "standard input");
    while ((r = t3d_ndjson_next(&in, &question, err)) == T3D_OK) {
        r = answer(question, err);
        cJSON_Delete(question);
        if (r != T3D_OK)
            break;
    }
    t3d_ndjson_fini(&in);
    return r == T3D_END ? T3D_OK : r == T3D_SKIP ? T3D_FAIL : r;
}

const struct t3d_command bench_stub_judge = {
    .name = "stub-judge",
    .summary = "answer what t3bench asks by written rules, for trying things out",
    .opts = opts,
    .conf_size = sizeof(struct stub_conf),
    .run = run};
