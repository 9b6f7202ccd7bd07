/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/caption_accuracy.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/defs.h"
#include "base/tool.h"
#include "draw/splat_views.h"
#include "draw/views.h"
#include "geom/primitives.h"
#include "geom/read.h"
#include "image/image.h"

enum { POOL = T3D_CORE_COMBINATIONS };

struct t3d_caption_pool {
    int side, threads;
    size_t bytes; /* of one candidate */
    struct t3d_arena arena;
    struct t3d_view_set set;
    uint8_t *picture; /* (POOL, views, side, side, 3) */
};

/* --- the candidates -------------------------------------------------------------------------- */

static void over_white(const uint8_t *rgba, size_t n, uint8_t *rgb)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++) {
            unsigned a = rgba[4 * i + 3];

            rgb[3 * i + k] = (uint8_t)((rgba[4 * i + k] * a + 255 * (255 - a) + 127) / 255);
        }
}

static int paint_scene(const struct t3d_caption_pool *p, struct t3d_painter *painter,
                       const struct t3d_scene *scene, uint8_t *picture, struct t3d_arena *a,
                       struct t3d_err *err)
{
    size_t n = (size_t)p->side * (size_t)p->side;
    struct t3d_views views;
    int r = t3d_paint_views(painter, scene, &p->set, t3d_light_find("studio"), a, &views, err);

    for (size_t v = 0; v < p->set.n && r == T3D_OK; v++) {
        const struct t3d_png *png = &views.picture[v].png[0];
        struct t3d_image_info info;
        uint8_t *rgba;

        r = t3d_image_decode(&info, &rgba, a, png->data, png->size, err);
        if (r == T3D_OK)
            over_white(rgba, n, picture + v * n * 3);
    }
    return r;
}

static int paint(struct t3d_caption_pool *p, struct t3d_painter *painter, uint32_t id,
                 struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_primitive_object o;
    struct t3d_scene scene;
    int r = t3d_primitives_core(&o, id, a, err);

    if (r == T3D_OK) {
        struct t3d_source source = {.data = o.glb, .size = o.glb_size, .name = "scene.glb"};

        r = t3d_read_scene(&scene, a, &source, T3D_READ_PIXELS, err);
    }
    return r == T3D_OK ? paint_scene(p, painter, &scene, p->picture + id * p->bytes, a, err) : r;
}

int t3d_caption_pool_paint(const struct t3d_caption_pool *p, const struct t3d_scene *scene,
                           uint8_t *picture, struct t3d_err *err)
{
    struct t3d_painter *painter = NULL;
    struct t3d_arena a = {0};
    int r = t3d_painter_new(&painter, (uint32_t)p->side, T3D_PASS_COLOR, err);

    if (r == T3D_OK)
        r = paint_scene(p, painter, scene, picture, &a, err);
    t3d_painter_free(painter);
    t3d_arena_free(&a);
    return r;
}

static int paint_all(struct t3d_caption_pool *p, struct t3d_err *err)
{
    struct t3d_err first = {0};

#pragma omp parallel num_threads(p->threads)
    {
        struct t3d_err mine = {0};
        struct t3d_painter *painter = NULL;
        struct t3d_arena a = {0};
        int r = t3d_painter_new(&painter, (uint32_t)p->side, T3D_PASS_COLOR, &mine);

#pragma omp for schedule(dynamic)
        for (uint32_t id = 0; id < POOL; id++) {
            if (r == T3D_OK)
                r = paint(p, painter, id, &a, &mine);
            t3d_arena_reset(&a);
        }
        if (r < 0)
#pragma omp critical
            first = mine;
        t3d_painter_free(painter);
        t3d_arena_free(&a);
    }
    if (first.code && err)
        *err = first;
    return first.code ? first.code : T3D_OK;
}

int t3d_caption_pool_new(struct t3d_caption_pool **out, int side, int threads, struct t3d_err *err)
{
    struct t3d_caption_pool *p = calloc(1, sizeof *p);
    int r;

    if (!p)
        return t3d_err_nomem(err, "the candidates");
    p->side = side;
    p->threads = threads > 0 ? threads : 1;
    /* the input views of a generator: 0, 4, 8 and 12 of ring16+4 */
    r = t3d_view_set_load(&p->set, "ring:4", &p->arena, err);
    if (r == T3D_OK) {
        p->bytes = p->set.n * (size_t)side * (size_t)side * 3;
        p->picture = malloc(POOL * p->bytes);
        r = p->picture ? paint_all(p, err) : t3d_err_nomem(err, "the candidates");
    }
    if (r < 0)
        t3d_caption_pool_free(p);
    else
        *out = p;
    return r;
}

void t3d_caption_pool_free(struct t3d_caption_pool *p)
{
    if (!p)
        return;
    t3d_arena_free(&p->arena);
    free(p->picture);
    free(p);
}

size_t t3d_caption_pool_bytes(const struct t3d_caption_pool *p)
{
    return p->bytes;
}

const uint8_t *t3d_caption_pool_picture(const struct t3d_caption_pool *p, uint32_t combination)
{
    return p->picture + combination * p->bytes;
}

static uint64_t squared_difference(const uint8_t *a, const uint8_t *b, size_t n)
{
    enum { RUN = 4096 }; /* 4096 * 255^2 fits 32 bits */
    uint64_t sum = 0;

    for (size_t begin = 0; begin < n; begin += RUN) {
        uint32_t part = 0;

        for (size_t i = begin, end = T3D_MIN(n, begin + RUN); i < end; i++) {
            int d = a[i] - b[i];

            part += (uint32_t)(d * d);
        }
        sum += part;
    }
    return sum;
}

uint32_t t3d_caption_pool_nearest(const struct t3d_caption_pool *p, const uint8_t *picture)
{
    uint64_t best = UINT64_MAX;
    uint32_t found = 0;

    for (uint32_t id = 0; id < POOL; id++) {
        uint64_t d = squared_difference(t3d_caption_pool_picture(p, id), picture, p->bytes);

        if (d < best) {
            best = d;
            found = id;
        }
    }
    return found;
}

int t3d_caption_pool_draw(const struct t3d_caption_pool *p, const struct t3d_gaussians *g,
                          uint8_t *picture, struct t3d_err *err)
{
    struct t3d_splat_picture drawn;
    struct t3d_arena a = {0};
    int r = t3d_splat_views(&drawn, g, &p->set, p->side, p->threads, &a, err);

    if (r == T3D_OK)
        over_white(drawn.rgba, p->bytes / 3, picture);
    t3d_arena_free(&a);
    return r;
}

/* --- counting -------------------------------------------------------------------------------- */

void t3d_caption_count(struct t3d_caption_tally *t, uint32_t want, uint32_t got, int canonical)
{
    int color[2][2] = {{0}}, shape[2][2] = {{0}};
    int n = t3d_primitives_core_kinds(want, color[0], shape[0]);
    int m = t3d_primitives_core_kinds(got, color[1], shape[1]);

    t->n++;
    t->right += want == got;
    t->canonical += canonical != 0;
    t->canonical_right += canonical && want == got;
    t->parts += (uint64_t)n;
    for (int i = 0; i < T3D_MIN(n, m); i++) {
        t->colors += color[0][i] == color[1][i];
        t->shapes += shape[0][i] == shape[1][i];
    }
}

double t3d_wilson_lower(uint64_t k, uint64_t n, double z)
{
    double m = (double)n, p = n ? (double)k / m : 0, z2 = z * z;

    if (!n)
        return 0;
    return fmax(0,
                (p + z2 / (2 * m) - z * sqrt(p * (1 - p) / m + z2 / (4 * m * m))) / (1 + z2 / m));
}

/* --- asking a generator ---------------------------------------------------------------------- */

struct asking {
    const struct t3d_caption_pool *pool;
    const struct t3d_caption_maker *maker;
    struct t3d_arena arena;
    struct t3d_caption_query *query; /* (count) */
    uint32_t id[POOL];               /* combinations of the split */
    size_t n_ids, count;
    uint8_t *picture; /* (count, bytes) */
};

static int write_queries(struct asking *k, const struct t3d_caption_questions *what,
                         struct t3d_err *err)
{
    struct t3d_arena a = {0}; /* of one scene */
    int r = T3D_OK;

    for (uint32_t id = 0; id < T3D_MIN(what->world, (uint32_t)POOL); id++)
        if (strcmp(what->split, "all") == 0 ||
            strcmp(t3d_primitives_core_split(id), what->split) == 0)
            k->id[k->n_ids++] = id;
    if (!k->n_ids)
        return t3d_err_set(err, T3D_USAGE, "usage", "split '%s' has no captions in this world",
                           what->split);
    for (size_t i = 0; i < k->count && r == T3D_OK; i++) {
        struct t3d_caption_query *q = &k->query[i];
        size_t turn = i / k->n_ids;
        struct t3d_primitive_object o;

        q->combination = k->id[i % k->n_ids];
        q->seed = what->seed + turn;
        r = t3d_primitives_core(&o, q->combination, &a, err);
        if (r == T3D_OK) {
            q->number = (int)(turn % o.n_captions);
            q->text = t3d_strdup(&k->arena, o.caption[q->number]);
            r = q->text ? T3D_OK : t3d_err_nomem(err, "the captions");
        }
        t3d_arena_reset(&a);
    }
    t3d_arena_free(&a);
    return r;
}

static void judge(const struct asking *k, size_t i, struct t3d_caption_tally *t)
{
    const struct t3d_caption_query *q = &k->query[i];
    const uint8_t *picture = k->picture + i * k->pool->bytes;

    t3d_caption_count(t, q->combination, t3d_caption_pool_nearest(k->pool, picture),
                      q->number == 0);
    if (i >= k->n_ids) { /* the same combination, the last time round */
        uint64_t d =
            squared_difference(picture, picture - k->n_ids * k->pool->bytes, k->pool->bytes);

        t->difference += sqrt((double)d / (double)k->pool->bytes) / 255;
        t->pairs++;
    }
}

static int ask(struct asking *k, struct t3d_caption_tally *t, double *seconds, struct t3d_err *err)
{
    int r = T3D_OK;

    for (size_t i = 0; i < k->count && r == T3D_OK; i += (size_t)k->maker->batch) {
        int n = (int)T3D_MIN((size_t)k->maker->batch, k->count - i);
        double begin = t3d_clock_s();

        if (t3d_stop_requested())
            return T3D_END;
        r = k->maker->run(k->maker->ctx, k->query + i, n, err);
        *seconds += t3d_clock_s() - begin;
        for (int j = 0; j < n && r == T3D_OK; j++) {
            struct t3d_gaussians g;

            k->maker->object(k->maker->ctx, j, &g);
            r = t3d_caption_pool_draw(k->pool, &g, k->picture + (i + (size_t)j) * k->pool->bytes,
                                      err);
            if (r == T3D_OK)
                judge(k, i + (size_t)j, t);
        }
    }
    return r;
}

int t3d_caption_accuracy(struct t3d_caption_tally *out, double *seconds,
                         const struct t3d_caption_pool *p, const struct t3d_caption_maker *m,
                         const struct t3d_caption_questions *what, struct t3d_err *err)
{
    struct asking k = {.pool = p, .maker = m, .count = what->count};
    int r = T3D_OK;

    memset(out, 0, sizeof *out);
    *seconds = 0;
    k.query = calloc(k.count + 1, sizeof *k.query);
    k.picture = malloc(k.count * p->bytes + 1);
    if (!k.query || !k.picture)
        r = t3d_err_nomem(err, "the pictures");
    if (r == T3D_OK)
        r = write_queries(&k, what, err);
    if (r == T3D_OK)
        r = ask(&k, out, seconds, err);
    free(k.query);
    free(k.picture);
    t3d_arena_free(&k.arena);
    return r;
}
