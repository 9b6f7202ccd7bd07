/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a folder and handing calls to its family. */
#include "net/encoder.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/tool.h"
#include "net/encoder_impl.h"

static const struct t3di_encoder_family *const families[] = {&t3di_clip_family, &t3di_t5_family};

void t3di_encoder_note(struct t3d_encoder *e, const char *fmt, ...)
{
    struct t3di_note *note = t3d_alloc(&e->arena, 1, sizeof *note);
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!note || !(note->text = t3d_strdup(&e->arena, text)))
        return; /* notes are for people: one less is no failure */
    if (e->last_note)
        e->last_note->next = note;
    else
        e->first_note = note;
    e->last_note = note;
}

int t3di_unit_rows(float *rows, size_t n, int width, struct t3d_err *err)
{
    for (size_t i = 0; i < n; i++) {
        float *x = rows + i * (size_t)width;
        double sum = 0;

        for (int k = 0; k < width; k++)
            sum += (double)x[k] * x[k];
        if (!(sum > 0) || !isfinite(sum))
            return t3d_err_set(err, T3D_SKIP, "not-finite",
                               "the network's output for input %zu has length %g", i, sqrt(sum));
        for (int k = 0; k < width; k++)
            x[k] = (float)(x[k] / sqrt(sum));
    }
    return T3D_OK;
}

/* --- opening -------------------------------------------------------------------------------- */

enum { CONFIG_MAX = 16 << 20 };

/* NULL stays when there is no such file. */
static int read_config(cJSON **out, const char *dir, const char *name, struct t3d_arena *a,
                       struct t3d_err *err)
{
    char *path = t3d_path_join(a, dir, name);
    int r;

    if (!path)
        return t3d_err_nomem(err, dir);
    if (access(path, F_OK) != 0)
        return T3D_OK;
    r = t3d_json_read(out, path, CONFIG_MAX, err);
    if (r < 0 && strcmp(err->reason, "not-json") == 0)
        return t3d_err_set(err, T3D_SKIP, "bad-config", "'%s' is not JSON", path);
    if (r == T3D_OK && !cJSON_IsObject(*out))
        return t3d_err_set(err, T3D_SKIP, "bad-config", "'%s' is not a JSON object", path);
    return r;
}

static int check_options(struct t3d_encoder *e, struct t3d_err *err)
{
    struct t3d_encoder_options *o = &e->options;

    if (o->threads < 0 || o->batch < 0)
        return t3d_err_set(err, T3D_USAGE, "bad-argument",
                           "threads %d and batch %d must not be negative", o->threads, o->batch);
    if (o->threads == 0)
        o->threads = t3d_cpu_count();
    return t3d_device_parse(&e->device, o->device, err);
}

static int choose(struct t3d_encoder *e, const struct t3di_folder *f, struct t3d_err *err)
{
    const char *type;

    for (size_t i = 0; i < T3D_COUNT(families) && !e->family; i++)
        if (families[i]->matches(f))
            e->family = families[i];
    if (e->family)
        return T3D_OK;
    if (!f->config)
        return t3d_err_set(err, T3D_SKIP, "missing-file",
                           "'%s' has neither config.json nor open_clip_config.json: give a folder "
                           "saved by transformers or open_clip",
                           f->path);
    type = t3d_json_str(f->config, "model_type", "");
    return t3d_err_set(err, T3D_SKIP, "unsupported-model",
                       "'%s/config.json': model_type '%s' is not one of the networks known here "
                       "(clip, clip_text_model, clip_vision_model, t5)",
                       f->path, type);
}

static int check_folder(const char *dir, struct t3d_err *err)
{
    struct stat st;

    if (stat(dir, &st) != 0)
        return t3d_err_set(err, T3D_SKIP, "missing-file", "there is no folder '%s'", dir);
    if (!S_ISDIR(st.st_mode))
        return t3d_err_set(err, T3D_SKIP, "missing-file",
                           "'%s' is not a folder: give the one that holds the weights and their "
                           "configuration",
                           dir);
    return T3D_OK;
}

static int load(struct t3d_encoder *e, const char *dir, struct t3d_err *err)
{
    struct t3di_folder f = {.path = dir};
    struct t3d_err local;
    int r;

    err = err ? err : &local;
    r = check_options(e, err);
    if (r == T3D_OK)
        r = check_folder(dir, err);
    if (r == T3D_OK)
        r = read_config(&f.config, dir, "config.json", &e->arena, err);
    if (r == T3D_OK)
        r = read_config(&f.open_clip, dir, "open_clip_config.json", &e->arena, err);
    if (r == T3D_OK)
        r = choose(e, &f, err);
    if (r == T3D_OK) {
        e->info.family = e->family->name;
        r = e->family->open(e, &f, err);
    }
    cJSON_Delete(f.config);
    cJSON_Delete(f.open_clip);
    return r;
}

int t3d_encoder_open(struct t3d_encoder **out, const char *dir, const struct t3d_encoder_options *o,
                     struct t3d_err *err)
{
    struct t3d_encoder *e = calloc(1, sizeof *e);
    int r;

    *out = NULL;
    if (!e)
        return t3d_err_nomem(err, dir);
    e->options = *o;
    e->info.weights_hash = e->info.tokenizer_hash = e->info.recipe = "";
    e->path = t3d_strdup(&e->arena, dir);
    r = e->path ? load(e, dir, err) : t3d_err_nomem(err, dir);
    if (r < 0)
        t3d_encoder_free(e);
    else
        *out = e;
    return r;
}

void t3d_encoder_free(struct t3d_encoder *e)
{
    if (!e)
        return;
    if (e->state)
        e->family->free(e->state);
    t3d_arena_free(&e->arena);
    free(e);
}

const struct t3d_encoder_info *t3d_encoder_info(const struct t3d_encoder *e)
{
    return &e->info;
}

/* --- calls ---------------------------------------------------------------------------------- */

static int no_input(const struct t3d_encoder *e, const char *what, const char *lacks,
                    struct t3d_err *err)
{
    return t3d_err_set(err, T3D_USAGE, "no-such-input", "'%s' takes no %s: it has no %s", e->path,
                       what, lacks);
}

int t3d_encoder_picture(const struct t3d_encoder *e, float *out, const uint8_t *rgba, uint32_t w,
                        uint32_t h, struct t3d_arena *scratch, struct t3d_err *err)
{
    if (!e->info.image_size)
        return no_input(e, "pictures", "image tower", err);
    return e->family->picture(e, out, rgba, w, h, scratch, err);
}

int t3d_encoder_images(struct t3d_encoder *e, const float *input, size_t n, float *rows,
                       struct t3d_err *err)
{
    if (!e->info.image_size)
        return no_input(e, "pictures", "image tower", err);
    return n ? e->family->images(e, input, n, rows, err) : T3D_OK;
}

int t3d_encoder_tokenize(const struct t3d_encoder *e, struct t3d_tokens *out, const char *text,
                         size_t size, struct t3d_arena *a, struct t3d_err *err)
{
    if (!e->info.max_tokens)
        return no_input(e, "texts", "text tower with a tokenizer", err);
    return e->family->tokenize(e, out, text, size, a, err);
}

int t3d_encoder_texts(struct t3d_encoder *e, const struct t3d_tokens *tokens, size_t n, float *rows,
                      float *features, struct t3d_err *err)
{
    if (!e->info.token_width)
        return no_input(e, "texts", "text tower", err);
    return n ? e->family->texts(e, tokens, n, rows, features, err) : T3D_OK;
}

/* --- explaining ----------------------------------------------------------------------------- */

static void explain_text(const struct t3d_encoder *e, const char *text, FILE *out)
{
    struct t3d_arena a = {0};
    struct t3d_tokens t;
    struct t3d_err err;
    char buf[64];

    if (t3d_encoder_tokenize(e, &t, text, strlen(text), &a, &err) < 0) {
        fprintf(out, "tokens: %s\n", err.msg);
    } else {
        fprintf(out, "tokens: %zu%s\n", t.n, t.truncated ? ", cut" : "");
        for (size_t i = 0; i < t.n; i++) {
            const char *piece =
                e->family->piece ? e->family->piece(e, t.id[i], buf, sizeof buf) : NULL;

            fprintf(out, "  %u%s%s\n", t.id[i], piece ? "  " : "", piece ? piece : "");
        }
    }
    t3d_arena_free(&a);
}

void t3d_encoder_explain(const struct t3d_encoder *e, const char *text, FILE *out)
{
    const struct t3d_encoder_info *i = &e->info;

    fprintf(out, "folder: %s\nfamily: %s, saved by %s\nrow: %d numbers\n", e->path, i->family,
            i->layout, i->width);
    if (i->image_size)
        fprintf(out, "pictures: %d x %d, recipe %s, %.2f GFLOP each\n", i->image_size,
                i->image_size, i->recipe, 1e-9 * i->image_flops);
    if (i->token_width)
        fprintf(out, "texts: at most %d tokens of %d numbers, %.2f GFLOP at full length\n",
                i->max_tokens, i->token_width, 1e-9 * i->text_flops);
    fprintf(out, "weights: %.1f MiB, SHA-256 %s\n", (double)i->weights_bytes / (1 << 20),
            i->weights_hash);
    if (*i->tokenizer_hash)
        fprintf(out, "tokenizer: SHA-256 %s\n", i->tokenizer_hash);
    for (const struct t3di_note *n = e->first_note; n; n = n->next)
        fprintf(out, "%s\n", n->text);
    if (text)
        explain_text(e, text, out);
}
