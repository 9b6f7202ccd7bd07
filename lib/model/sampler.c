/* SPDX-License-Identifier: Apache-2.0 */
#include "model/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/tool.h"
#include "draw/splat.h"
#include "geom/camera.h"
#include "model/file.h"
#include "model/reconstruct.h"
#include "num/ops.h"

enum { VIEWS = T3D_GENERATOR_VIEWS, DEFAULT_STEPS = 4, MAX_CONFIG = 1 << 20 };

#define DEFAULT_GUIDANCE 2.0
/* With many steps all but the first are between these times. Of 100 times that training draws
 * (model/generator_train.h) three are later: what the network makes of later ones it has not
 * learned. Earlier the text alone can decide, and does so best at once: in small steps the network
 * reads its own half-made picture back and loses colours. */
#define SECOND_TIME 0.25
#define LAST_TIME   0.75

struct t3d_sampler {
    struct t3d_sampler_options o;
    struct t3d_generator_config config;
    struct t3d_conditioning *text, *own_text; /* own: to be freed */
    struct t3d_graph *g;
    struct t3d_generator m;
    struct t3d_ref cameras, picture; /* (rows, 4, S, S, 3) over white; of the head gauss */
    struct t3d_reconstruct *second;  /* of the head image */
    float *views;                    /* (batch, 4, S, S, 3) that it takes */
    struct t3d_arena arena;          /* paths, cameras */
    struct t3d_condition *condition; /* (rows) */
    float *z;                        /* (batch, gaussians, 3) */
    int32_t *pixel;                  /* (gaussians) place in picture and views, of a row */
    int rows;                        /* of the graph: with a text, then without */
    char hash[T3D_SHA256_HEX];
};

/* --- open ------------------------------------------------------------------------------------ */

/* The reconstructor that the head image needs: DIR/reconstructor, the one that config.json names.
 */
static int open_second(struct t3d_sampler *s, const char *dir, const char *hash,
                       struct t3d_err *err)
{
    char *path = t3d_path_join(&s->arena, dir, "reconstructor");
    size_t n = (size_t)s->o.batch * 3 * (size_t)t3d_generator_gaussians(&s->config);
    int r;

    if (s->config.head != T3D_HEAD_IMAGE)
        return T3D_OK;
    if (!*hash)
        return t3d_err_set(err, T3D_SKIP, "missing-reconstructor",
                           "the model makes four views and has nothing to make an object of them: "
                           "give the training run, finished as it is, --reconstructor DIR once "
                           "more");
    s->views = calloc(n, sizeof *s->views);
    if (!path || !s->views)
        return t3d_err_nomem(err, dir);
    r = t3d_reconstruct_open(&s->second, path, s->o.batch, &s->o.device, s->o.threads, err);
    if (r == T3D_OK && strcmp(t3d_reconstruct_hash(s->second), hash) != 0)
        r = t3d_err_set(err, T3D_SKIP, "bad-weights",
                        "reconstructor/model.safetensors is not the one that config.json names");
    if (r == T3D_OK && t3d_reconstruct_config(s->second)->side != s->config.side)
        r = t3d_err_set(err, T3D_SKIP, "bad-config",
                        "reconstructor/config.json: 'resolution' is not the generator's");
    return r;
}

/* Words of its own: those of the folder. */
static int open_learned(struct t3d_sampler *s, const char *dir, const cJSON *json,
                        struct t3d_err *err)
{
    struct t3d_clip_tokenizer *t;
    int r;

    if (s->o.encoders.n)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "the model learned its words itself: leave out --text-encoder %s",
                           s->o.encoders.name[0]);
    r = t3d_clip_tokenizer_open(&t, dir, err);
    if (r < 0)
        return r;
    if ((int)t3d_clip_tokenizer_size(t) == s->config.vocab &&
        strcmp(t3d_clip_tokenizer_hash(t), t3d_json_str(json, "tokenizer_sha256", "")) == 0)
        return t3d_conditioning_learned(&s->own_text, t, err);
    t3d_clip_tokenizer_free(t);
    return t3d_err_set(err, T3D_SKIP, "bad-tokenizer",
                       "%s: vocab.json and merges.txt are not those that the model was trained "
                       "with",
                       dir);
}

static int read_config(struct t3d_sampler *s, const char *dir, struct t3d_err *err)
{
    char *path = t3d_path_join(&s->arena, dir, "config.json");
    cJSON *json = NULL;
    int r = path ? t3d_json_read(&json, path, MAX_CONFIG, err) : t3d_err_nomem(err, dir);

    if (r == T3D_OK)
        r = t3d_generator_from_json(&s->config, json, err);
    if (r == T3D_OK)
        r = s->config.n_encoders
                ? t3d_conditioning_encoders(&s->own_text, &s->config, &s->o.encoders, s->o.threads,
                                            &s->o.device, err)
                : open_learned(s, dir, json, err);
    s->text = s->own_text;
    if (r == T3D_OK)
        r = open_second(s, dir, t3d_json_str(json, "reconstructor_sha256", ""), err);
    cJSON_Delete(json);
    return r < 0 ? t3d_err_prefix(err, "%s", dir) : r;
}

static void draw(struct t3d_sampler *s)
{
    const struct t3d_splat splat = {.width = s->config.side, .height = s->config.side};
    struct t3d_ref drawn;

    s->cameras = t3d_graph_input(s->g, "cameras", T3D_SHAPE(s->rows, VIEWS, T3D_SPLAT_CAMERA));
    t3d_graph_scope(s->g, "splat");
    drawn = t3d_splat(s->g, s->m.xyz, s->m.log_scale, s->m.quaternion, s->m.opacity, s->m.rgb,
                      s->cameras, &splat);
    s->picture = t3d_sub(s->g, t3d_linear(s->g, drawn, 1, 1), t3d_graph_output(drawn, 1));
    t3d_graph_keep(s->g, s->picture);
}

static int build(struct t3d_sampler *s, struct t3d_err *err)
{
    struct t3d_plan plan = {.loss = T3D_NONE};

    s->g = t3d_device_graph(&s->o.device, s->o.threads);
    if (!s->g)
        return t3d_err_nomem(err, "the model");
    s->m = t3d_generator_build(s->g, &s->config, s->rows);
    if (s->config.head == T3D_HEAD_GAUSS)
        draw(s);
    return t3d_graph_build(s->g, &plan, err);
}

static int place_cameras(struct t3d_sampler *s, struct t3d_err *err)
{
    t3d_real(*camera)[T3D_SPLAT_CAMERA] = t3d_graph_data(s->g, s->cameras);
    struct t3d_view_set set;
    int side = s->config.side, r = t3d_view_set_load(&set, "ring16+4", &s->arena, err);

    for (int i = 0; r == T3D_OK && i < s->rows * VIEWS; i++)
        t3d_splat_camera(camera[i], &set.camera[t3d_generator_view[i % VIEWS]], side, side);
    return r;
}

static int lay_out(struct t3d_sampler *s, struct t3d_err *err)
{
    int n = t3d_generator_gaussians(&s->config), side = s->config.side;
    int r = t3d_generator_prepare(s->g, &s->m, &s->config, s->rows, err);

    if (r == T3D_OK && s->config.head == T3D_HEAD_GAUSS)
        r = place_cameras(s, err);
    if (r < 0)
        return r;
    s->z = calloc((size_t)s->o.batch * (size_t)n * 3, sizeof *s->z);
    s->pixel = calloc((size_t)n, sizeof *s->pixel);
    s->condition = calloc((size_t)s->rows, sizeof *s->condition);
    if (!s->z || !s->pixel || !s->condition)
        return t3d_err_nomem(err, "the noise");
    for (int i = 0; i < n; i++) {
        struct t3d_generator_pixel p = t3d_generator_pixel(&s->config, i);

        s->pixel[i] = (p.view * side + p.y) * side + p.x;
    }
    return T3D_OK;
}

/* One hash for both parts. */
static int add_hash(struct t3d_sampler *s, const char *other, struct t3d_err *err)
{
    struct t3d_sha256 *sha;
    int r = t3d_sha256_new(&sha, err);

    if (r < 0)
        return r;
    t3d_sha256_add_str(sha, s->hash);
    t3d_sha256_add_str(sha, other);
    t3d_sha256_end(sha, s->hash);
    return T3D_OK;
}

static struct t3d_sampler *new_sampler(const struct t3d_sampler_options *o, struct t3d_err *err)
{
    struct t3d_sampler *s = calloc(1, sizeof *s);

    if (!s) {
        t3d_err_nomem(err, "the sampler");
        return NULL;
    }
    s->o = *o;
    s->o.threads = o->threads > 0 ? o->threads : t3d_cpu_count();
    s->o.batch = o->batch > 0 ? o->batch : 1;
    s->o.steps = o->steps > 0 ? o->steps : DEFAULT_STEPS;
    s->o.guidance = o->guidance > 0 ? o->guidance : DEFAULT_GUIDANCE;
    s->rows = s->o.guidance == 1 ? s->o.batch : 2 * s->o.batch;
    return s;
}

int t3d_sampler_open(struct t3d_sampler **out, const char *dir, const struct t3d_sampler_options *o,
                     struct t3d_err *err)
{
    struct t3d_sampler *s = new_sampler(o, err);
    int r;

    if (!s)
        return T3D_FAIL;
    r = read_config(s, dir, err);
    if (r == T3D_OK)
        r = build(s, err);
    if (r == T3D_OK)
        r = t3d_model_read_weights(dir, s->g, s->hash, err);
    if (r == T3D_OK)
        r = lay_out(s, err);
    if (r == T3D_OK && s->second)
        r = add_hash(s, t3d_reconstruct_hash(s->second), err);
    t3d_arena_reset(&s->arena);
    if (r < 0)
        t3d_sampler_close(s);
    else
        *out = s;
    return r;
}

static int copy_weights(struct t3d_graph *to, struct t3d_graph *from, struct t3d_err *err)
{
    for (int i = 0; i < t3d_graph_n_params(to); i++) {
        const char *name;
        struct t3d_ref p = t3d_graph_param_at(to, i, &name), q = t3d_graph_find(from, name);
        struct t3d_shape shape = t3d_graph_shape(to, p), other = t3d_graph_shape(from, q);
        int64_t n = t3d_shape_count(&shape);
        void *data = t3d_graph_data(to, p), *source = t3d_graph_data(from, q);

        if (!data || !source || t3d_shape_count(&other) != n)
            return t3d_err_set(err, T3D_FAIL, "bad-weights", "'%s' is not in the graph", name);
        memcpy(data, source, (size_t)n * sizeof(t3d_real));
    }
    return T3D_OK;
}

int t3d_sampler_of(struct t3d_sampler **out, struct t3d_conditioning *text,
                   const struct t3d_generator_config *c, struct t3d_graph *weights,
                   const struct t3d_sampler_options *o, struct t3d_err *err)
{
    struct t3d_sampler *s = new_sampler(o, err);
    int r;

    if (!s)
        return T3D_FAIL;
    s->config = *c;
    s->text = text;
    r = build(s, err);
    if (r == T3D_OK)
        r = copy_weights(s->g, weights, err);
    if (r == T3D_OK)
        r = lay_out(s, err);
    t3d_arena_reset(&s->arena);
    if (r < 0)
        t3d_sampler_close(s);
    else
        *out = s;
    return r;
}

void t3d_sampler_close(struct t3d_sampler *s)
{
    if (!s)
        return;
    t3d_graph_free(s->g);
    t3d_reconstruct_close(s->second);
    free(s->views);
    t3d_conditioning_free(s->own_text);
    t3d_arena_free(&s->arena);
    free(s->condition);
    free(s->z);
    free(s->pixel);
    free(s);
}

const struct t3d_generator_config *t3d_sampler_config(const struct t3d_sampler *s)
{
    return &s->config;
}

const char *t3d_sampler_hash(const struct t3d_sampler *s)
{
    return s->hash;
}

double t3d_sampler_text_bytes(const struct t3d_sampler *s)
{
    return t3d_conditioning_bytes(s->text);
}

int t3d_sampler_unknown(const struct t3d_sampler *s, const char *prompt, char *word, size_t n,
                        struct t3d_err *err)
{
    return t3d_conditioning_unknown(s->text, prompt, word, n, err);
}

/* --- run ------------------------------------------------------------------------------------- */

/* Rows beyond the n objects, and the second half, for guidance, have no text: every row has valid
 * input. */
static int put_texts(struct t3d_sampler *s, const struct t3d_sample *sample, int n, int *cut,
                     struct t3d_err *err)
{
    int r;

    for (int i = 0; i < s->rows; i++) {
        const char *prompt = i < n ? sample[i].prompt : NULL;

        s->condition[i] =
            (struct t3d_condition){.text = prompt, .size = prompt ? strlen(prompt) : 0, .row = i};
    }
    r = t3d_conditioning_put(s->text, s->g, &s->m, &s->config, s->condition, (size_t)s->rows, err);
    for (int i = 0; i < n && cut; i++)
        cut[i] = s->condition[i].cut;
    return r;
}

static void put_noise(struct t3d_sampler *s, const struct t3d_sample *sample, int n)
{
    size_t row = 3 * (size_t)t3d_generator_gaussians(&s->config);

    for (int i = 0; i < s->o.batch; i++) {
        struct t3d_rng r = t3d_rng_for(sample[i < n ? i : 0].seed, "generate", 0);

        for (size_t k = 0; k < row; k++)
            s->z[(size_t)i * row + k] = (float)t3d_rng_normal(&r);
    }
}

static void put_state(struct t3d_sampler *s, double time)
{
    size_t row = 3 * (size_t)t3d_generator_gaussians(&s->config), n = (size_t)s->o.batch * row;
    t3d_real *noisy = t3d_graph_data(s->g, s->m.noisy), *t = t3d_graph_data(s->g, s->m.time);

    memcpy(noisy, s->z, n * sizeof *noisy);
    if (s->rows > s->o.batch)
        memcpy(noisy + n, s->z, n * sizeof *noisy);
    for (int i = 0; i < s->rows; i++)
        t[i] = (t3d_real)time;
}

/* What the network takes the clean views for, pixel k of row i, in [-1, 1]; the row's text, or its
 * difference to none, as the guidance says. */
static void clean_pixel(const struct t3d_sampler *s, int i, int k, float x[3])
{
    size_t n = 3 * (size_t)t3d_generator_gaussians(&s->config);
    int image = s->config.head == T3D_HEAD_IMAGE;
    const t3d_real *all = t3d_graph_data(s->g, image ? s->m.clean : s->picture),
                   *with = all + (size_t)i * n,
                   *without = all + (size_t)(s->rows - s->o.batch + i) * n;
    float w = (float)s->o.guidance;

    for (int c = 0; c < 3; c++) {
        size_t at = 3 * (size_t)(image ? k : s->pixel[k]) + (size_t)c;

        x[c] = (float)(without[at] + w * (with[at] - without[at]));
        if (!image)
            x[c] = 2 * x[c] - 1;
    }
}

double t3d_sampler_time(int i, int n)
{
    if (n <= 4 || i == 0)
        return (double)i / n;
    return SECOND_TIME + (LAST_TIME - SECOND_TIME) * (i - 1) / (n - 2);
}

/* z += (x - z) dt / (1 - t) */
static void advance(struct t3d_sampler *s, double time, double next)
{
    int n = t3d_generator_gaussians(&s->config);
    float step = (float)((next - time) / (1 - time));

    for (int i = 0; i < s->o.batch; i++) {
        float *z = s->z + (size_t)i * (size_t)n * 3, x[3];

        for (int k = 0; k < n; k++) {
            clean_pixel(s, i, k, x);
            for (int c = 0; c < 3; c++)
                z[3 * k + c] += step * (x[c] - z[3 * k + c]);
        }
    }
}

/* The views of the last step to Gaussians. */
static int reconstruct(struct t3d_sampler *s, struct t3d_err *err)
{
    int n = t3d_generator_gaussians(&s->config);

    for (int i = 0; i < s->o.batch; i++)
        for (int k = 0; k < n; k++) {
            float x[3], *out = s->views + 3 * ((size_t)i * (size_t)n + (size_t)s->pixel[k]);

            clean_pixel(s, i, k, x);
            for (int c = 0; c < 3; c++)
                out[c] = fminf(fmaxf(x[c], -1), 1);
        }
    return t3d_reconstruct_run(s->second, s->views, err);
}

int t3d_sampler_run(struct t3d_sampler *s, const struct t3d_sample *sample, int n, int *cut,
                    struct t3d_err *err)
{
    int r = put_texts(s, sample, n, cut, err);

    put_noise(s, sample, n);
    for (int i = 0; i < s->o.steps && r == T3D_OK; i++) {
        double time = t3d_sampler_time(i, s->o.steps);

        put_state(s, time);
        r = t3d_graph_forward(s->g, err);
        if (r == T3D_OK && i + 1 < s->o.steps)
            advance(s, time, t3d_sampler_time(i + 1, s->o.steps));
    }
    return r == T3D_OK && s->second ? reconstruct(s, err) : r;
}

void t3d_sampler_gaussians(const struct t3d_sampler *s, int i, struct t3d_gaussians *g)
{
    size_t n = (size_t)t3d_generator_gaussians(&s->config), at = (size_t)i * n;

    if (s->second) {
        t3d_reconstruct_gaussians(s->second, i, g);
        return;
    }
    *g = (struct t3d_gaussians){
        .n = n,
        .xyz = (const float *)t3d_graph_data(s->g, s->m.xyz) + 3 * at,
        .log_scale = (const float *)t3d_graph_data(s->g, s->m.log_scale) + 3 * at,
        .quaternion = (const float *)t3d_graph_data(s->g, s->m.quaternion) + 4 * at,
        .opacity = (const float *)t3d_graph_data(s->g, s->m.opacity) + at,
        .rgb = (const float *)t3d_graph_data(s->g, s->m.rgb) + 3 * at};
}

void t3d_sampler_views(const struct t3d_sampler *s, int i, uint8_t *rgba)
{
    int n = t3d_generator_gaussians(&s->config), image = s->config.head == T3D_HEAD_IMAGE;
    const t3d_real *all = t3d_graph_data(s->g, image ? s->m.clean : s->picture);

    for (int k = 0; k < n; k++) {
        const t3d_real *from =
            all + 3 * ((size_t)i * (size_t)n + (size_t)(image ? k : s->pixel[k]));
        uint8_t *to = rgba + 4 * s->pixel[k];

        for (int c = 0; c < 3; c++) {
            double x = (double)from[c];

            to[c] = (uint8_t)lrint(255 * T3D_CLAMP(image ? (x + 1) / 2 : x, 0.0, 1.0));
        }
        to[3] = 255;
    }
}
