/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/evaluate_maker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "draw/splat_views.h"
#include "model/sampler.h"
#include "store/model_find.h"

/* Raise when the same request gives another object. */
#define FORMAT "t3d evaluate --checkpoint 1"

/* As `t3d generate` leaves them out. */
#define MIN_OPACITY 0.02

enum { FPS_VIEWS = 4, MAX_RECORD = 1 << 16 };

struct evaluate_maker {
    struct evaluate_maker_options o;
    struct t3d_sampler *sampler;
    double bytes;
    struct t3d_arena arena; /* of one object */
};

/* --- what is there --- */

static int key_of(const struct evaluate_maker *m, const char *caption, char key[T3D_SHA256_HEX],
                  struct t3d_err *err)
{
    char settings[160];
    struct t3d_sha256 *h;
    int r = t3d_sha256_new(&h, err);

    if (r < 0)
        return r;
    snprintf(settings, sizeof settings, "%llu %d %.17g", (unsigned long long)m->o.seed, m->o.steps,
             m->o.guidance);
    t3d_sha256_add_str(h, FORMAT);
    t3d_sha256_add_str(h, t3d_sampler_hash(m->sampler));
    t3d_sha256_add_str(h, m->o.device);
    t3d_sha256_add_str(h, settings);
    t3d_sha256_add_str(h, caption);
    t3d_sha256_end(h, key);
    return T3D_OK;
}

static char *record_path(struct evaluate_maker *m, const char *path)
{
    return t3d_sprintf(&m->arena, "%.*s.json", (int)(strlen(path) - strlen(".ply")), path);
}

static int is_made(struct evaluate_maker *m, const char *path, const char *key,
                   struct evaluate_cost *cost)
{
    char *record = record_path(m, path);
    struct t3d_err ignored;
    cJSON *o = NULL;
    int same = record && !m->o.redo && access(path, F_OK) == 0 && access(record, F_OK) == 0 &&
               t3d_json_read(&o, record, MAX_RECORD, &ignored) == T3D_OK &&
               strcmp(t3d_json_str(o, "key", ""), key) == 0;

    if (same)
        *cost = (struct evaluate_cost){.seconds = t3d_json_num(o, "seconds", NAN),
                                       .peak_bytes = t3d_json_num(o, "peak_bytes", NAN),
                                       .fps = t3d_json_num(o, "splat_fps", NAN)};
    cJSON_Delete(o);
    return same && isfinite(cost->seconds);
}

static int remember(struct evaluate_maker *m, const char *caption, const char *path,
                    const char *key, const struct evaluate_cost *cost, struct t3d_err *err)
{
    char *record = record_path(m, path), *text;
    cJSON *o = cJSON_CreateObject();
    int r;

    t3d_json_set_str(o, "key", key);
    t3d_json_set_str(o, "caption", caption);
    t3d_json_set_num(o, "seconds", cost->seconds);
    t3d_json_set_num(o, "peak_bytes", cost->peak_bytes);
    if (isfinite(cost->fps))
        t3d_json_set_num(o, "splat_fps", cost->fps);
    text = t3d_json_text(o, 0);
    r = record && text ? t3d_write_file(record, text, strlen(text), err) : t3d_err_nomem(err, path);
    free(text);
    cJSON_Delete(o);
    return r;
}

/* --- making --- */

/* Pictures a second, from cameras around the object. */
static int time_pictures(struct evaluate_maker *m, double *fps, const struct t3d_gaussians *g,
                         struct t3d_err *err)
{
    uint8_t *rgba = t3d_alloc_raw(&m->arena, (size_t)4 * EVALUATE_FPS_SIDE, EVALUATE_FPS_SIDE);
    struct t3d_splat_painter *p = NULL;
    struct t3d_view_set set;
    double start = 0;
    int r = t3d_view_set_load(&set, "ring:4:20", &m->arena, err);

    *fps = NAN;
    if (r == T3D_OK && !rgba)
        r = t3d_err_nomem(err, "a picture");
    if (r < 0 || g->n == 0)
        return r;
    r = t3d_splat_painter_new(&p, g, EVALUATE_FPS_SIDE, m->o.threads, err);
    for (int i = -1; i < FPS_VIEWS && r == T3D_OK; i++) { /* the first one warms up */
        if (i == 0)
            start = t3d_clock_s();
        r = t3d_splat_paint(p, &set.camera[i < 0 ? 0 : i], T3D_SPLAT_STRAIGHT, rgba, NULL, err);
    }
    if (r == T3D_OK)
        *fps = FPS_VIEWS / fmax(t3d_clock_s() - start, 1e-9);
    t3d_splat_painter_free(p);
    return r;
}

static int write_object(struct evaluate_maker *m, const char *caption, const char *path,
                        struct t3d_gaussians *g, struct t3d_err *err)
{
    char *prompt = t3d_strdup(&m->arena, caption),
         *seed = t3d_sprintf(&m->arena, "%llu", (unsigned long long)m->o.seed);
    const struct t3d_origin origin[] = {
        {"prompt", prompt}, {"seed", seed}, {"model-sha256", t3d_sampler_hash(m->sampler)}};
    int side = t3d_sampler_config(m->sampler)->side;
    struct t3d_gaussians raw, kept;
    uint8_t *data;
    size_t size;
    int r = prompt && seed ? T3D_OK : t3d_err_nomem(err, path);

    t3d_sampler_gaussians(m->sampler, 0, &raw);
    if (r == T3D_OK)
        r = t3d_gaussians_prune(&kept, &raw, MIN_OPACITY, &m->arena, err);
    if (r == T3D_OK)
        r = t3d_splat_soften(g, &kept, side, &m->arena, err);
    if (r == T3D_OK)
        r = t3d_gaussians_ply(&data, &size, g, origin, T3D_COUNT(origin), &m->arena, err);
    if (r == T3D_OK)
        r = t3d_make_parent(path, err);
    return r == T3D_OK ? t3d_write_file(path, data, size, err) : r;
}

static int make(struct evaluate_maker *m, const char *caption, const char *path,
                struct evaluate_cost *cost, struct t3d_err *err)
{
    const struct t3d_sample sample = {caption, m->o.seed};
    double start = t3d_clock_s();
    struct t3d_gaussians g;
    struct rusage used;
    int r = t3d_sampler_run(m->sampler, &sample, 1, NULL, err);

    if (r == T3D_OK)
        r = write_object(m, caption, path, &g, err);
    cost->seconds = t3d_clock_s() - start;
    getrusage(RUSAGE_SELF, &used);
    cost->peak_bytes = 1024.0 * (double)used.ru_maxrss;
    return r == T3D_OK ? time_pictures(m, &cost->fps, &g, err) : r;
}

int evaluate_maker_run(struct evaluate_maker *m, const char *caption, const char *path,
                       struct evaluate_cost *cost, struct t3d_err *err)
{
    char key[T3D_SHA256_HEX];
    int r = key_of(m, caption, key, err);

    if (r == T3D_OK && is_made(m, path, key, cost))
        r = T3D_END;
    if (r == T3D_OK)
        r = make(m, caption, path, cost, err);
    if (r == T3D_OK)
        r = remember(m, caption, path, key, cost, err);
    t3d_arena_reset(&m->arena);
    return r;
}

/* --- opening --- */

/* Bytes of the files that the sampler reads. */
static double size_of(const char *dir, struct t3d_arena *a)
{
    static const char *const names[] = {"config.json", "model.safetensors", "vocab.json",
                                        "merges.txt", "reconstructor/model.safetensors"};
    double bytes = 0;
    struct stat st;

    for (size_t i = 0; i < T3D_COUNT(names); i++) {
        char *path = t3d_path_join(a, dir, names[i]);
        if (path && stat(path, &st) == 0)
            bytes += (double)st.st_size;
    }
    return bytes;
}

int evaluate_maker_open(struct evaluate_maker **out, const struct evaluate_maker_options *o,
                        struct t3d_err *err)
{
    struct t3d_sampler_options sampler = {.threads = o->threads,
                                          .batch = 1,
                                          .steps = o->steps,
                                          .guidance = o->guidance,
                                          .encoders = {o->workspace, o->encoder, o->n_encoders}};
    struct evaluate_maker *m = *out = calloc(1, sizeof *m);
    char *dir;
    int r =
        m ? t3d_device_parse(&sampler.device, o->device, err) : t3d_err_nomem(err, o->checkpoint);

    if (r == T3D_OK)
        r = t3d_model_find(&dir, o->workspace, o->checkpoint, &m->arena, err);
    if (r == T3D_OK)
        r = t3d_sampler_open(&m->sampler, dir, &sampler, err);
    if (r < 0) {
        evaluate_maker_close(m);
        *out = NULL;
        return r;
    }
    m->o = *o;
    m->bytes = size_of(dir, &m->arena) + t3d_sampler_text_bytes(m->sampler);
    t3d_arena_reset(&m->arena);
    return T3D_OK;
}

void evaluate_maker_close(struct evaluate_maker *m)
{
    if (!m)
        return;
    t3d_sampler_close(m->sampler);
    t3d_arena_free(&m->arena);
    free(m);
}

const char *evaluate_maker_hash(const struct evaluate_maker *m)
{
    return t3d_sampler_hash(m->sampler);
}

double evaluate_maker_bytes(const struct evaluate_maker *m)
{
    return m->bytes;
}
