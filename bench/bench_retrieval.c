/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/json.h"
#include "bench/bench.h"
#include "geom/import.h"
#include "metric/retrieval.h"
#include "store/model_find.h"

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
    int r = t3d_opt_refuse(&c->common, BENCH_UNUSED, err);

    if (r == T3D_OK)
        r = t3d_model_find(&dir, c->common.workspace, c->model, &a, err);
    if (r == T3D_OK)
        r = t3d_encoder_open(&e, dir, &options, err);
    if (r == T3D_OK)
        r = t3d_retrieval(&result, e, &config, err);
    if (r == T3D_OK)
        r = print_retrieval(&result, c, t3d_encoder_info(e), err);
    t3d_encoder_free(e);
    t3d_arena_free(&a);
    t3d_importer_close(bench_importer);
    return r;
}

const struct t3d_command bench_retrieval = {
    .name = "retrieval",
    .summary = "how well a CLIP tells held-out scenes of the built-in world apart",
    .opts = retrieval_opts,
    .conf_size = sizeof(struct retrieval_conf),
    .run = run_retrieval};
