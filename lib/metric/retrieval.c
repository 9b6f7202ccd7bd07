/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/retrieval.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/tool.h"
#include "draw/views.h"
#include "geom/primitives.h"
#include "geom/read.h"
#include "image/image.h"

enum { POOL = T3D_CORE_COMBINATIONS, CHUNK = 64, MAX_CAPTIONS = 16 };

const char *const t3d_mistake_name[T3D_MISTAKES] = {"color", "shape", "order", "other"};

struct retrieval {
    struct t3d_encoder *e;
    const struct t3d_encoder_info *info;
    const struct t3d_retrieval_config *c;
    struct t3d_arena arena;
    struct t3d_view_set set;
    struct t3d_painter **painter; /* one per thread */
    float *image;                 /* (views, POOL, width) */
    float *caption;               /* (n_captions, width), combination after combination */
    uint32_t first[POOL + 1];     /* caption of a combination; the canonical one is the first */
};

/* --- rows ------------------------------------------------------------------------------------ */

/* The pictures of combination id into input (views, 3, S, S). */
static int paint(struct retrieval *r, int thread, uint32_t id, float *input, struct t3d_arena *a,
                 struct t3d_err *err)
{
    size_t size = (size_t)r->info->image_size, pixels = 3 * size * size;
    struct t3d_primitive_object o;
    struct t3d_scene scene;
    struct t3d_views views;
    int s = t3d_primitives_core(&o, id, a, err);

    if (s == T3D_OK) {
        struct t3d_source source = {.data = o.glb, .size = o.glb_size, .name = "scene.glb"};
        s = t3d_read_scene(&scene, a, &source, T3D_READ_PIXELS, err);
    }
    if (s == T3D_OK)
        s = t3d_paint_views(r->painter[thread], &scene, &r->set, t3d_light_find("studio"), a,
                            &views, err);
    for (size_t v = 0; v < r->set.n && s == T3D_OK; v++) {
        const struct t3d_png *png = &views.picture[v].png[0];
        struct t3d_image_info info;
        uint8_t *rgba;

        s = t3d_image_decode(&info, &rgba, a, png->data, png->size, err);
        if (s == T3D_OK)
            s = t3d_encoder_picture(r->e, input + v * pixels, rgba, info.width, info.height, a,
                                    err);
    }
    return s;
}

/* Combinations [begin, begin + n): painted by all threads, then embedded. */
static int embed_chunk(struct retrieval *r, uint32_t begin, uint32_t n, float *input, float *rows,
                       struct t3d_err *err)
{
    size_t views = r->set.n, width = (size_t)r->info->width;
    size_t pixels = 3 * (size_t)r->info->image_size * (size_t)r->info->image_size;
    struct t3d_err first = {0};
    int s = T3D_OK;

#pragma omp parallel for num_threads(r->c->threads) schedule(dynamic)
    for (uint32_t i = 0; i < n; i++) {
        struct t3d_arena a = {0};
        struct t3d_err mine = {0};

        if (paint(r, omp_get_thread_num(), begin + i, input + i * views * pixels, &a, &mine) < 0)
#pragma omp critical
            first = mine;
        t3d_arena_free(&a);
    }
    if (first.code) {
        if (err)
            *err = first;
        return first.code;
    }
    s = t3d_encoder_images(r->e, input, n * views, rows, err);
    for (size_t i = 0; i < n * views && s == T3D_OK; i++)
        memcpy(r->image + (i % views * POOL + begin + i / views) * width, rows + i * width,
               width * sizeof *rows);
    return s;
}

static int embed_images(struct retrieval *r, struct t3d_err *err)
{
    size_t size = (size_t)r->info->image_size, n = CHUNK * r->set.n;
    float *input = malloc(n * 3 * size * size * sizeof *input);
    float *rows = malloc(n * (size_t)r->info->width * sizeof *rows);
    int s = input && rows ? T3D_OK : t3d_err_nomem(err, "the pictures");

    for (uint32_t i = 0; i < POOL && s == T3D_OK; i += CHUNK)
        s = t3d_stop_requested()
                ? T3D_END
                : embed_chunk(r, i, T3D_MIN((uint32_t)CHUNK, POOL - i), input, rows, err);
    free(input);
    free(rows);
    return s;
}

static int embed_captions(struct retrieval *r, struct t3d_err *err)
{
    struct t3d_tokens *tokens = t3d_alloc(&r->arena, POOL * MAX_CAPTIONS, sizeof *tokens);
    struct t3d_arena a = {0};
    uint32_t n = 0;
    int s = tokens ? T3D_OK : t3d_err_nomem(err, "the captions");

    for (uint32_t id = 0; id < POOL && s == T3D_OK; id++) {
        struct t3d_primitive_object o;

        r->first[id] = n;
        s = t3d_primitives_core(&o, id, &a, err);
        for (size_t k = 0; s == T3D_OK && k < T3D_MIN(o.n_captions, (size_t)MAX_CAPTIONS); k++)
            s = t3d_encoder_tokenize(r->e, &tokens[n++], o.caption[k], strlen(o.caption[k]),
                                     &r->arena, err);
        t3d_arena_reset(&a);
    }
    t3d_arena_free(&a);
    r->first[POOL] = n;
    r->caption = malloc((size_t)n * (size_t)r->info->width * sizeof *r->caption + 1);
    if (s == T3D_OK && !r->caption)
        s = t3d_err_nomem(err, "the captions");
    return s == T3D_OK ? t3d_encoder_texts(r->e, tokens, n, r->caption, NULL, err) : s;
}

/* --- answers --------------------------------------------------------------------------------- */

enum t3d_mistake t3d_retrieval_mistake(uint32_t want, uint32_t got)
{
    int color[2][2] = {{0}}, shape[2][2] = {{0}};
    int n = t3d_primitives_core_kinds(want, color[0], shape[0]);
    int m = t3d_primitives_core_kinds(got, color[1], shape[1]);
    int colors = memcmp(color[0], color[1], (size_t)n * sizeof(int)) == 0;
    int shapes = memcmp(shape[0], shape[1], (size_t)n * sizeof(int)) == 0;

    if (n != m)
        return T3D_MISTAKE_OTHER;
    if (n == 2 && color[0][0] == color[1][1] && color[0][1] == color[1][0] &&
        shape[0][0] == shape[1][1] && shape[0][1] == shape[1][0])
        return T3D_MISTAKE_ORDER;
    return shapes ? T3D_MISTAKE_COLOR : colors ? T3D_MISTAKE_SHAPE : T3D_MISTAKE_OTHER;
}

/* Which combination's row has the largest product with the query: row at[i], or i. */
static uint32_t nearest(const struct retrieval *r, const float *query, const float *rows,
                        const uint32_t *at)
{
    int width = r->info->width;
    uint32_t found = 0;
    double best = -INFINITY;

    for (uint32_t i = 0; i < POOL; i++) {
        const float *row = rows + (size_t)(at ? at[i] : i) * (size_t)width;
        double dot = 0;
        for (int k = 0; k < width; k++)
            dot += (double)query[k] * (double)row[k];
        if (dot > best) {
            best = dot;
            found = i;
        }
    }
    return found;
}

static void count(struct t3d_retrieval_side *s, uint32_t want, uint32_t got)
{
    s->queries++;
    if (want == got)
        s->hits++;
    else
        s->mistakes[t3d_retrieval_mistake(want, got)]++;
}

static void answer(const struct retrieval *r, uint32_t id, size_t view,
                   struct t3d_retrieval_side *to_text, struct t3d_retrieval_side *to_image)
{
    size_t width = (size_t)r->info->width;
    const float *images = r->image + view * POOL * width;

    count(to_text, id, nearest(r, images + id * width, r->caption, r->first));
    for (uint32_t k = r->first[id]; k < r->first[id + 1]; k++)
        count(to_image, id, nearest(r, r->caption + k * width, images, NULL));
}

static void answer_all(const struct retrieval *r, struct t3d_retrieval *out)
{
    out->pool = POOL;
    out->views = r->set.n;
    for (uint32_t id = 0; id < POOL; id++) {
        const char *split = t3d_primitives_core_split(id);
        int held_out = strcmp(split, "test") == 0, seen = strcmp(split, "train") == 0;

        out->held_out += (size_t)held_out;
        for (size_t v = 0; v < r->set.n; v++) {
            if (held_out)
                answer(r, id, v, &out->image_to_text, &out->text_to_image);
            if (seen)
                answer(r, id, v, &out->seen_image_to_text, &out->seen_text_to_image);
        }
    }
}

/* --- the whole ------------------------------------------------------------------------------- */

static int prepare(struct retrieval *r, struct t3d_err *err)
{
    size_t threads = (size_t)r->c->threads;
    int s;

    if (!r->info->image_size || !r->info->max_tokens)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "retrieval needs a model for pictures and texts: this one takes no %s",
                           r->info->image_size ? "texts" : "pictures");
    s = t3d_view_set_load(&r->set, r->c->view_set ? r->c->view_set : "ring:4", &r->arena, err);
    if (s < 0)
        return s;
    r->painter = t3d_alloc(&r->arena, threads, sizeof(struct t3d_painter *));
    r->image = malloc(r->set.n * POOL * (size_t)r->info->width * sizeof *r->image);
    if (!r->painter || !r->image)
        return t3d_err_nomem(err, "the pool");
    for (size_t i = 0; i < threads && s == T3D_OK; i++)
        s = t3d_painter_new(&r->painter[i], (uint32_t)r->info->image_size, T3D_PASS_COLOR, err);
    return s;
}

int t3d_retrieval(struct t3d_retrieval *out, struct t3d_encoder *e,
                  const struct t3d_retrieval_config *c, struct t3d_err *err)
{
    struct retrieval r = {.e = e, .info = t3d_encoder_info(e), .c = c};
    int s = prepare(&r, err);

    memset(out, 0, sizeof *out);
    if (s == T3D_OK)
        s = embed_captions(&r, err);
    if (s == T3D_OK)
        s = embed_images(&r, err);
    if (s == T3D_OK)
        answer_all(&r, out);
    for (int i = 0; r.painter && i < c->threads; i++)
        t3d_painter_free(r.painter[i]);
    free(r.image);
    free(r.caption);
    t3d_arena_free(&r.arena);
    return s;
}
