/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/caption_pool.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/defs.h"
#include "draw/splat_views.h"
#include "draw/views.h"
#include "geom/read.h"
#include "image/image.h"

struct t3d_caption_pool {
    int side, threads;
    size_t bytes; /* of one candidate */
    struct t3d_arena arena;
    struct t3d_view_set set;
    struct t3d_primitives_set *scenes;
    uint8_t *picture; /* (candidates, views, side, side, 3) */
};

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

static int paint(const struct t3d_caption_pool *p, struct t3d_painter *painter, uint32_t id,
                 uint64_t variant, uint8_t *picture, struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_primitive_object o;
    struct t3d_scene scene;
    int r = t3d_primitives_set_object(&o, p->scenes, id, variant, a, err);

    if (r == T3D_OK) {
        struct t3d_source source = {.data = o.glb, .size = o.glb_size, .name = "scene.glb"};

        r = t3d_read_scene(&scene, a, &source, T3D_READ_PIXELS, err);
    }
    return r == T3D_OK ? paint_scene(p, painter, &scene, picture, a, err) : r;
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

int t3d_caption_pool_variants(const struct t3d_caption_pool *p, const uint32_t *candidate,
                              const uint64_t *variant, size_t n, uint8_t *picture,
                              struct t3d_err *err)
{
    struct t3d_err first = {0};

#pragma omp parallel num_threads(p->threads)
    {
        struct t3d_err mine = {0};
        struct t3d_painter *painter = NULL;
        struct t3d_arena a = {0};
        int r = t3d_painter_new(&painter, (uint32_t)p->side, T3D_PASS_COLOR, &mine);

#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < n; i++) {
            if (r == T3D_OK)
                r = paint(p, painter, candidate[i], variant[i], picture + i * p->bytes, &a, &mine);
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

static int paint_all(struct t3d_caption_pool *p, struct t3d_err *err)
{
    uint32_t n = t3d_primitives_set_count(p->scenes);
    uint32_t *candidate = t3d_alloc(&p->arena, n, sizeof *candidate);
    uint64_t *variant = t3d_alloc(&p->arena, n, sizeof *variant);

    p->bytes = p->set.n * (size_t)p->side * (size_t)p->side * 3;
    p->picture = malloc(n * p->bytes);
    if (!candidate || !variant || !p->picture)
        return t3d_err_nomem(err, "the candidates");
    for (uint32_t i = 0; i < n; i++)
        candidate[i] = i;
    return t3d_caption_pool_variants(p, candidate, variant, n, p->picture, err);
}

int t3d_caption_pool_new(struct t3d_caption_pool **out, const char *set, int side, int threads,
                         struct t3d_err *err)
{
    struct t3d_caption_pool *p = calloc(1, sizeof *p);
    int r;

    if (!p)
        return t3d_err_nomem(err, "the candidates");
    p->side = side;
    p->threads = threads > 0 ? threads : 1;
    r = t3d_primitives_set_new(&p->scenes, set, err);
    /* the input views of a generator: 0, 4, 8 and 12 of ring16+4 */
    if (r == T3D_OK)
        r = t3d_view_set_load(&p->set, "ring:4", &p->arena, err);
    if (r == T3D_OK)
        r = paint_all(p, err);
    if (r < 0)
        t3d_caption_pool_free(p);
    else
        *out = p;
    return r;
}

const struct t3d_primitives_set *t3d_caption_pool_set(const struct t3d_caption_pool *p)
{
    return p->scenes;
}

void t3d_caption_pool_free(struct t3d_caption_pool *p)
{
    if (!p)
        return;
    t3d_primitives_set_free(p->scenes);
    t3d_arena_free(&p->arena);
    free(p->picture);
    free(p);
}

int t3d_caption_pool_side(const struct t3d_caption_pool *p)
{
    return p->side;
}

size_t t3d_caption_pool_bytes(const struct t3d_caption_pool *p)
{
    return p->bytes;
}

const uint8_t *t3d_caption_pool_picture(const struct t3d_caption_pool *p, uint32_t candidate)
{
    return p->picture + candidate * p->bytes;
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

uint64_t t3d_caption_pool_distance(const struct t3d_caption_pool *p, const uint8_t *a,
                                   const uint8_t *b)
{
    return squared_difference(a, b, p->bytes);
}

uint32_t t3d_caption_pool_nearest(const struct t3d_caption_pool *p, const uint8_t *picture)
{
    uint64_t best = UINT64_MAX;
    uint32_t found = 0;

    for (uint32_t id = 0; id < t3d_primitives_set_count(p->scenes); id++) {
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
