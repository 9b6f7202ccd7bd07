/* SPDX-License-Identifier: Apache-2.0 */
#include "model/checkpoint.h"

#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "store/safetensors.h"

#define FORMAT "t3d checkpoint 1"

enum { PARTS = 4 };

/* The blocks in the order of their names; an absent one is NULL. */
static const char *const part_name[PARTS] = {"weight", "first", "second", "ema"};

static void blocks(const struct t3d_training_state *s, t3d_real *block[PARTS])
{
    int64_t n;

    block[0] = t3d_graph_param_block(s->g, &n);
    block[1] = t3d_adamw_first(s->adamw, &n);
    block[2] = t3d_adamw_second(s->adamw, &n);
    block[3] = s->ema ? t3d_ema_data(s->ema, &n) : NULL;
}

/* Where parameter i begins in every block, its shape and name. */
static int64_t place_of(struct t3d_graph *g, int i, struct t3d_shape *shape, const char **name)
{
    struct t3d_ref p = t3d_graph_param_at(g, i, name);
    int64_t n;

    *shape = t3d_graph_shape(g, p);
    return (t3d_real *)t3d_graph_data(g, p) - t3d_graph_param_block(g, &n);
}

static enum t3d_tensor_type real_type(void)
{
    return sizeof(t3d_real) == sizeof(double) ? T3D_TENSOR_F64 : T3D_TENSOR_F32;
}

/* --- save ------------------------------------------------------------------------------------ */

static int list_tensors(const struct t3d_training_state *s, struct t3d_tensor *t, size_t *n,
                        struct t3d_arena *a)
{
    t3d_real *block[PARTS];

    blocks(s, block);
    for (int i = 0; i < t3d_graph_n_params(s->g); i++) {
        struct t3d_shape shape;
        const char *name;
        int64_t at = place_of(s->g, i, &shape, &name);

        for (int k = 0; k < PARTS; k++) {
            if (!block[k])
                continue;
            t[*n] = (struct t3d_tensor){.type = real_type(),
                                        .n_axes = shape.n,
                                        .name = t3d_sprintf(a, "%s/%s", part_name[k], name),
                                        .data = (const uint8_t *)(block[k] + at)};
            for (int d = 0; d < shape.n; d++)
                t[*n].shape[d] = (uint64_t)shape.dim[d];
            if (!t[(*n)++].name)
                return -1;
        }
    }
    return 0;
}

static int write_checkpoint(const char *path, const struct t3d_training_state *s,
                            struct t3d_arena *a, struct t3d_err *err)
{
    size_t n = 0, most = (size_t)t3d_graph_n_params(s->g) * PARTS;
    struct t3d_tensor *t = t3d_alloc(a, most, sizeof *t);
    char step[32], adamw[32], scale[32], rollbacks[32], best[32];
    struct t3d_safetensors_pair meta[] = {
        {"format", FORMAT},  {"step", step},           {"adamw_steps", adamw},
        {"lr_scale", scale}, {"rollbacks", rollbacks}, {"settings", s->settings},
        {"best", best}};

    if (!t || list_tensors(s, t, &n, a) < 0)
        return t3d_err_nomem(err, path);
    snprintf(step, sizeof step, "%" PRId64, s->step);
    snprintf(adamw, sizeof adamw, "%" PRId64, *t3d_adamw_steps(s->adamw));
    t3d_json_number(s->lr_scale, scale);
    snprintf(rollbacks, sizeof rollbacks, "%" PRId64, s->rollbacks);
    t3d_json_number(s->best, best);
    return t3d_safetensors_write(path, t, n, meta, T3D_COUNT(meta) - !isfinite(s->best), err);
}

/* Sorted by name, which is by step. */
static int list_files(const char *dir, glob_t *found, struct t3d_arena *a, struct t3d_err *err)
{
    char *pattern = t3d_sprintf(a, "%s/step-*.safetensors", dir);

    *found = (glob_t){0};
    if (!pattern)
        return t3d_err_nomem(err, dir);
    return glob(pattern, 0, NULL, found) == GLOB_NOSPACE ? t3d_err_nomem(err, dir) : T3D_OK;
}

int t3d_checkpoint_save(const char *dir, const struct t3d_training_state *s, int keep,
                        struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_sprintf(&a, "%s/step-%08" PRId64 ".safetensors", dir, s->step);
    glob_t found = {0};
    int r = path ? write_checkpoint(path, s, &a, err) : t3d_err_nomem(err, dir);

    if (r == T3D_OK && keep > 0)
        r = list_files(dir, &found, &a, err);
    for (size_t i = 0; i + (size_t)keep < found.gl_pathc; i++)
        if (strcmp(found.gl_pathv[i], path) !=
            0) /* one of a later step: its run was started anew */
            unlink(found.gl_pathv[i]);
    globfree(&found);
    t3d_arena_free(&a);
    return r;
}

/* --- load ------------------------------------------------------------------------------------ */

static int bad(struct t3d_err *err, const char *path, const char *what, const char *name)
{
    return t3d_err_set(err, T3D_SKIP, "bad-checkpoint", "'%s': %s '%.200s'", path, what, name);
}

static int same_shape(const struct t3d_tensor *t, const struct t3d_shape *s)
{
    int same = t->type == real_type() && t->n_axes == s->n;

    for (int d = 0; same && d < s->n; d++)
        same = t->shape[d] == (uint64_t)s->dim[d];
    return same;
}

/* Check all (copy = 0), then copy all, so that a bad file changes nothing. */
static int take_tensors(const struct t3d_safetensors *f, const char *path,
                        struct t3d_training_state *s, int copy, struct t3d_err *err)
{
    t3d_real *block[PARTS];
    char full[512];

    blocks(s, block);
    for (int i = 0; i < t3d_graph_n_params(s->g); i++) {
        struct t3d_shape shape;
        const char *name;
        int64_t at = place_of(s->g, i, &shape, &name);

        for (int k = 0; k < PARTS; k++) {
            const struct t3d_tensor *t;

            if (!block[k])
                continue;
            snprintf(full, sizeof full, "%s/%s", part_name[k], name);
            t = t3d_safetensors_find(f, full);
            if (!t)
                return bad(err, path, "it has no tensor", full);
            if (!same_shape(t, &shape))
                return bad(err, path, "of another shape than this model's is", full);
            if (copy)
                memcpy(block[k] + at, t->data, t->count * sizeof(t3d_real));
        }
    }
    return T3D_OK;
}

static int read_number(const struct t3d_safetensors *f, const char *path, const char *key,
                       double *out, struct t3d_err *err)
{
    const char *text = t3d_safetensors_meta(f, key);
    char *end;

    *out = text ? strtod(text, &end) : NAN;
    if (!text || *end || end == text || !(*out >= 0 && *out < 0x1p53))
        return bad(err, path, "its metadata have no number", key);
    return T3D_OK;
}

static int take(const struct t3d_safetensors *f, const char *path, struct t3d_training_state *s,
                struct t3d_err *err)
{
    const char *format = t3d_safetensors_meta(f, "format");
    const char *settings = t3d_safetensors_meta(f, "settings"),
               *best = t3d_safetensors_meta(f, "best");
    double step, adamw, scale, rollbacks;
    int r;

    if (!format || strcmp(format, FORMAT) != 0)
        return bad(err, path, "its format is not", FORMAT);
    if (!settings || strcmp(settings, s->settings) != 0)
        return t3d_err_set(err, T3D_FAIL, "other-settings",
                           "'%s' was made with other settings (%.150s)", path,
                           settings ? settings : "none");
    r = read_number(f, path, "step", &step, err);
    if (r == T3D_OK)
        r = read_number(f, path, "adamw_steps", &adamw, err);
    if (r == T3D_OK)
        r = read_number(f, path, "lr_scale", &scale, err);
    if (r == T3D_OK)
        r = read_number(f, path, "rollbacks", &rollbacks, err);
    if (r == T3D_OK)
        r = take_tensors(f, path, s, 0, err);
    if (r == T3D_OK)
        r = take_tensors(f, path, s, 1, err);
    if (r < 0)
        return r;
    s->step = (int64_t)step;
    *t3d_adamw_steps(s->adamw) = (int64_t)adamw;
    s->lr_scale = scale;
    s->rollbacks = (int64_t)rollbacks;
    s->best = best ? strtod(best, NULL) : NAN;
    return T3D_OK;
}

int t3d_checkpoint_load(const char *path, struct t3d_training_state *s, struct t3d_err *err)
{
    struct t3d_safetensors f;
    int r = t3d_safetensors_open(&f, path, err);

    if (r < 0)
        return r;
    r = take(&f, path, s, err);
    t3d_safetensors_close(&f);
    return r;
}

int t3d_checkpoint_resume(const char *dir, struct t3d_training_state *s, int *refused,
                          struct t3d_err *err)
{
    struct t3d_arena a = {0};
    glob_t found;
    int r = list_files(dir, &found, &a, err), load = T3D_END;

    *refused = 0;
    for (size_t i = r == T3D_OK ? found.gl_pathc : 0; i > 0; i--) {
        load = t3d_checkpoint_load(found.gl_pathv[i - 1], s, err);
        if (load != T3D_SKIP)
            break;
        ++*refused;
        load = T3D_END;
    }
    globfree(&found);
    t3d_arena_free(&a);
    return r < 0 ? r : load;
}
