/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reconstruct.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "model/file.h"
#include "model/reconstructor.h"

enum { VIEWS = T3D_GENERATOR_VIEWS, MAX_CONFIG = 1 << 20 };

struct t3d_reconstruct {
    struct t3d_generator_config config;
    struct t3d_graph *g;
    struct t3d_reconstructor m;
    struct t3d_arena arena; /* of the opening */
    int batch;
    char hash[T3D_SHA256_HEX];
};

static int read_config(struct t3d_reconstruct *s, const char *dir, struct t3d_err *err)
{
    char *path = t3d_path_join(&s->arena, dir, "config.json");
    cJSON *json = NULL;
    int r = path ? t3d_json_read(&json, path, MAX_CONFIG, err) : t3d_err_nomem(err, dir);

    if (r == T3D_OK)
        r = t3d_reconstructor_from_json(&s->config, json, err);
    cJSON_Delete(json);
    return r < 0 ? t3d_err_prefix(err, "%s", dir) : r;
}

static int build(struct t3d_reconstruct *s, const struct t3d_device *device, int threads,
                 struct t3d_err *err)
{
    struct t3d_plan plan = {.loss = T3D_NONE};

    s->g = t3d_device_graph(device, threads);
    if (!s->g)
        return t3d_err_nomem(err, "the model");
    s->m = t3d_reconstructor_build(s->g, &s->config, s->batch, 0);
    return t3d_graph_build(s->g, &plan, err);
}

static int place(struct t3d_reconstruct *s, struct t3d_err *err)
{
    struct t3d_view_rays rays = {0};
    struct t3d_view_set set;
    int r = t3d_view_set_load(&set, "ring16+4", &s->arena, err);

    if (r == T3D_OK)
        r = t3d_view_rays_new(&rays, &s->config, &set, err);
    for (int i = 0; i < s->batch && r == T3D_OK; i++)
        t3d_reconstructor_place(s->g, &s->m, &rays, i, t3d_generator_view);
    t3d_view_rays_free(&rays);
    return r;
}

int t3d_reconstruct_open(struct t3d_reconstruct **out, const char *dir, int batch,
                         const struct t3d_device *device, int threads, struct t3d_err *err)
{
    struct t3d_reconstruct *s = calloc(1, sizeof *s);
    int r;

    *out = NULL;
    if (!s)
        return t3d_err_nomem(err, "the reconstructor");
    s->batch = batch;
    r = read_config(s, dir, err);
    if (r == T3D_OK)
        r = build(s, device, threads, err);
    if (r == T3D_OK)
        r = t3d_model_read_weights(dir, s->g, s->hash, err);
    if (r == T3D_OK)
        r = place(s, err);
    t3d_arena_reset(&s->arena);
    if (r < 0)
        t3d_reconstruct_close(s);
    else
        *out = s;
    return r;
}

void t3d_reconstruct_close(struct t3d_reconstruct *s)
{
    if (!s)
        return;
    t3d_graph_free(s->g);
    t3d_arena_free(&s->arena);
    free(s);
}

const struct t3d_generator_config *t3d_reconstruct_config(const struct t3d_reconstruct *s)
{
    return &s->config;
}

const char *t3d_reconstruct_hash(const struct t3d_reconstruct *s)
{
    return s->hash;
}

int t3d_reconstruct_run(struct t3d_reconstruct *s, const float *views, struct t3d_err *err)
{
    int n = t3d_generator_gaussians(&s->config), side = s->config.side;
    t3d_real *out = t3d_graph_data(s->g, s->m.views);

    for (int i = 0; i < s->batch; i++)
        for (int k = 0; k < n; k++) {
            struct t3d_generator_pixel p = t3d_generator_pixel(&s->config, k);
            size_t from = (size_t)i * (size_t)n + (size_t)((p.view * side + p.y) * side + p.x);

            for (size_t j = 0; j < 3; j++)
                *out++ = (t3d_real)views[3 * from + j];
        }
    return t3d_graph_forward(s->g, err);
}

void t3d_reconstruct_gaussians(const struct t3d_reconstruct *s, int i, struct t3d_gaussians *g)
{
    size_t n = (size_t)t3d_generator_gaussians(&s->config), at = (size_t)i * n;

    *g = (struct t3d_gaussians){
        .n = n,
        .xyz = (const float *)t3d_graph_data(s->g, s->m.xyz) + 3 * at,
        .log_scale = (const float *)t3d_graph_data(s->g, s->m.log_scale) + 3 * at,
        .quaternion = (const float *)t3d_graph_data(s->g, s->m.quaternion) + 4 * at,
        .opacity = (const float *)t3d_graph_data(s->g, s->m.opacity) + at,
        .rgb = (const float *)t3d_graph_data(s->g, s->m.rgb) + 3 * at};
}

int t3d_reconstruct_copy(const char *from, const char *dir, struct t3d_err *err)
{
    static const char *const file[] = {"config.json", "model.safetensors"};
    struct t3d_arena a = {0};
    char *to = t3d_path_join(&a, dir, "reconstructor");
    int r = to ? t3d_make_dirs(to, err) : t3d_err_nomem(err, dir);

    for (size_t i = 0; i < T3D_COUNT(file) && r == T3D_OK; i++) {
        char *source = t3d_path_join(&a, from, file[i]), *target = t3d_path_join(&a, to, file[i]);
        struct t3d_blob b;

        r = source && target ? t3d_blob_open(&b, source, 0, err) : t3d_err_nomem(err, dir);
        if (r < 0)
            break;
        r = t3d_write_file(target, b.data, b.size, err);
        t3d_blob_close(&b);
    }
    t3d_arena_free(&a);
    return r;
}
