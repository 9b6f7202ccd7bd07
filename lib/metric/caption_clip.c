/* SPDX-License-Identifier: Apache-2.0 */
/* Which caption a CLIP takes an object's views for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "metric/caption_accuracy.h"
#include "net/encoder.h"

struct t3d_caption_clip {
    struct t3d_encoder *e;
    const struct t3d_caption_pool *pool;
    size_t side, width; /* of the pool's pictures; of rows */
    uint32_t n;
    float *text;        /* (n, width) */
    float *input, *row; /* of one object's views */
    uint8_t *rgba;      /* of one view */
    struct t3d_arena arena;
};

static int embed_captions(struct t3d_caption_clip *c, struct t3d_err *err)
{
    const struct t3d_primitives_set *set = t3d_caption_pool_set(c->pool);
    struct t3d_arena a = {0};
    struct t3d_tokens *tokens = t3d_alloc(&a, c->n, sizeof *tokens);
    int r = tokens ? T3D_OK : t3d_err_nomem(err, "the captions");

    for (uint32_t i = 0; i < c->n && r == T3D_OK; i++) {
        const char *text = t3d_primitives_set_words(set, i, NULL)->caption[0];

        r = t3d_encoder_tokenize(c->e, &tokens[i], text, strlen(text), &a, err);
    }
    if (r == T3D_OK)
        r = t3d_encoder_texts(c->e, tokens, c->n, c->text, NULL, err);
    t3d_arena_free(&a);
    return r;
}

int t3d_caption_clip_new(struct t3d_caption_clip **out, struct t3d_encoder *e,
                         const struct t3d_caption_pool *p, struct t3d_err *err)
{
    const struct t3d_encoder_info *info = t3d_encoder_info(e);
    size_t input = 3 * (size_t)info->image_size * (size_t)info->image_size;
    struct t3d_caption_clip *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return t3d_err_nomem(err, "the captions");
    c->e = e;
    c->pool = p;
    c->n = t3d_primitives_set_count(t3d_caption_pool_set(p));
    c->width = (size_t)info->width;
    c->side = (size_t)t3d_caption_pool_side(p);
    c->text = malloc(c->n * c->width * sizeof *c->text);
    c->input = malloc(T3D_CAPTION_VIEWS * input * sizeof *c->input);
    c->row = malloc(T3D_CAPTION_VIEWS * c->width * sizeof *c->row);
    c->rgba = malloc(4 * c->side * c->side);
    r = c->text && c->input && c->row && c->rgba ? embed_captions(c, err)
                                                 : t3d_err_nomem(err, "the captions");
    if (r < 0)
        t3d_caption_clip_free(c);
    else
        *out = c;
    return r;
}

void t3d_caption_clip_free(struct t3d_caption_clip *c)
{
    if (!c)
        return;
    free(c->text);
    free(c->input);
    free(c->row);
    free(c->rgba);
    t3d_arena_free(&c->arena);
    free(c);
}

static int put_view(struct t3d_caption_clip *c, size_t view, const uint8_t *picture,
                    struct t3d_err *err)
{
    size_t pixels = c->side * c->side, size = (size_t)t3d_encoder_info(c->e)->image_size;
    const uint8_t *rgb = picture + view * pixels * 3;
    int r;

    for (size_t i = 0; i < pixels; i++) {
        memcpy(c->rgba + 4 * i, rgb + 3 * i, 3);
        c->rgba[4 * i + 3] = 255;
    }
    r = t3d_encoder_picture(c->e, c->input + view * 3 * size * size, c->rgba, (uint32_t)c->side,
                            (uint32_t)c->side, &c->arena, err);
    t3d_arena_reset(&c->arena);
    return r;
}

/* Rows have length 1, so that the mean's length does not change the order. */
static double nearness(const struct t3d_caption_clip *c, uint32_t i)
{
    const float *text = c->text + i * c->width;
    double sum = 0;

    for (size_t v = 0; v < T3D_CAPTION_VIEWS; v++)
        for (size_t k = 0; k < c->width; k++)
            sum += (double)c->row[v * c->width + k] * (double)text[k];
    return sum;
}

int t3d_caption_clip_nearest(struct t3d_caption_clip *c, const uint8_t *picture, uint32_t *found,
                             struct t3d_err *err)
{
    double best = -INFINITY;
    int r = T3D_OK;

    for (size_t v = 0; v < T3D_CAPTION_VIEWS && r == T3D_OK; v++)
        r = put_view(c, v, picture, err);
    if (r == T3D_OK)
        r = t3d_encoder_images(c->e, c->input, T3D_CAPTION_VIEWS, c->row, err);
    *found = 0;
    for (uint32_t i = 0; i < c->n && r == T3D_OK; i++) {
        double near = nearness(c, i);

        if (near > best) {
            best = near;
            *found = i;
        }
    }
    return r;
}
