/* SPDX-License-Identifier: Apache-2.0 */
#include "net/preprocess.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "image/image.h"

static const char *const names[] = {[T3D_RECIPE_HF] = "hf",
                                    [T3D_RECIPE_HF_FAST] = "hf-fast",
                                    [T3D_RECIPE_OPEN_CLIP] = "open_clip",
                                    [T3D_RECIPE_OPENAI] = "openai"};
const char t3d_recipe_names[] = "hf hf-fast open_clip openai";

const double t3d_openai_mean[3] = {0.48145466, 0.4578275, 0.40821073};
const double t3d_openai_std[3] = {0.26862954, 0.26130258, 0.27577711};

const char *t3d_recipe_name(enum t3d_recipe recipe)
{
    return names[recipe];
}

int t3d_recipe_find(enum t3d_recipe *recipe, const char *name)
{
    for (size_t i = 0; i < T3D_COUNT(names); i++)
        if (strcmp(names[i], name) == 0) {
            *recipe = (enum t3d_recipe)i;
            return 0;
        }
    return -1;
}

/* --- numbers -------------------------------------------------------------------------------- */

/* The number of byte u in a channel; each recipe rounds in its own places. */
static float number(const struct t3d_preprocess *p, int channel, int u)
{
    float mean = (float)p->mean[channel], std = (float)p->std[channel];
    float inverse = (float)(1 / p->scale);

    switch (p->recipe) {
    case T3D_RECIPE_HF: /* rescale in double, normalise in float */
        return ((float)(u * p->scale) - mean) / std;
    case T3D_RECIPE_HF_FAST: /* both in one: mean and deviation are scaled */
        return ((float)u - mean * inverse) / (std * inverse);
    default: /* ToTensor, then Normalize */
        return ((float)u / 255.f - mean) / std;
    }
}

int t3d_preprocess_init(struct t3d_preprocess *p, struct t3d_err *err)
{
    if (p->size < 1 || p->size > T3D_IMAGE_MAX_SIDE ||
        (p->mode == T3D_RESIZE_SHORTEST && p->shortest < p->size) ||
        p->shortest > T3D_IMAGE_MAX_SIDE)
        return t3d_err_set(err, T3D_SKIP, "bad-config",
                           "pictures cannot be resized to %u and cut to %u", p->shortest, p->size);
    for (int c = 0; c < 3; c++)
        for (int u = 0; u < 256; u++) {
            p->table[c][u] = number(p, c, u);
            if (!isfinite(p->table[c][u]))
                return t3d_err_set(err, T3D_SKIP, "bad-config",
                                   "a mean of %g and a deviation of %g with the scale %g give no "
                                   "numbers",
                                   p->mean[c], p->std[c], p->scale);
        }
    return T3D_OK;
}

/* --- pixels --------------------------------------------------------------------------------- */

/* c alpha + background (1 - alpha), rounded to nearest (255 is odd: there are no halves). */
static uint8_t *composite(const uint8_t *rgba, uint32_t w, uint32_t h, const uint8_t background[3],
                          struct t3d_arena *a)
{
    size_t n = (size_t)w * h;
    uint8_t *rgb = t3d_alloc_raw(a, n, 3);

    for (size_t i = 0; rgb && i < n; i++) {
        unsigned alpha = rgba[4 * i + 3];

        for (int c = 0; c < 3; c++)
            rgb[3 * i + (size_t)c] =
                (uint8_t)((rgba[4 * i + (size_t)c] * alpha + background[c] * (255 - alpha) + 127) /
                          255);
    }
    return rgb;
}

/* int(target long / short), in Python's arithmetic: the quotient of two whole numbers is the double
 * nearest to it. */
static uint32_t long_side(uint32_t target, uint32_t longer, uint32_t shorter)
{
    return (uint32_t)((double)((uint64_t)target * longer) / shorter);
}

/* Where the crop begins. */
static uint32_t crop_start(const struct t3d_preprocess *p, uint32_t side)
{
    uint32_t over = side - p->size;

    if (p->recipe == T3D_RECIPE_HF || p->recipe == T3D_RECIPE_HF_FAST)
        return over / 2;
    return (uint32_t)rint(over / 2.); /* half to even */
}

/* The part of the resized picture that is kept. */
static struct t3d_resize_part plan_part(const struct t3d_preprocess *p, uint32_t w, uint32_t h)
{
    struct t3d_resize_part part = {.whole_w = p->size,
                                   .whole_h = p->size,
                                   .w = p->size,
                                   .h = p->size,
                                   .filter = p->filter,
                                   .torch = p->recipe == T3D_RECIPE_HF_FAST,
                                   .pillow13 = p->recipe != T3D_RECIPE_HF_FAST};

    if (p->mode == T3D_RESIZE_SQUASH)
        return part;
    if (p->mode == T3D_RESIZE_SHORTEST) {
        part.whole_w = w <= h ? p->shortest : long_side(p->shortest, w, h);
        part.whole_h = h <= w ? p->shortest : long_side(p->shortest, h, w);
        part.x = crop_start(p, part.whole_w);
        part.y = crop_start(p, part.whole_h);
        return part;
    }
    /* ResizeKeepRatio of open_clip: each side is round(side / ratio), half to even. */
    part.whole_w = part.w = (uint32_t)T3D_MAX(rint(w / ((double)T3D_MAX(w, h) / p->size)), 1);
    part.whole_h = part.h = (uint32_t)T3D_MAX(rint(h / ((double)T3D_MAX(w, h) / p->size)), 1);
    return part;
}

/* rgb (h, w, 3), in the middle of the result. */
static void write_numbers(const struct t3d_preprocess *p, float *out, const uint8_t *rgb,
                          const struct t3d_resize_part *part)
{
    size_t s = p->size, left = (s - part->w) / 2, top = (s - part->h) / 2;

    for (size_t c = 0; c < 3; c++) {
        for (size_t i = 0; (part->w < s || part->h < s) && i < s * s; i++)
            out[c * s * s + i] = p->table[c][p->fill];
        for (size_t y = 0; y < part->h; y++) {
            float *row = out + (c * s + top + y) * s + left;

            for (size_t x = 0; x < part->w; x++)
                row[x] = p->table[c][rgb[(y * part->w + x) * 3 + c]];
        }
    }
}

int t3d_preprocess_run(const struct t3d_preprocess *p, float *out, const uint8_t *rgba, uint32_t w,
                       uint32_t h, const uint8_t background[3], struct t3d_arena *scratch,
                       struct t3d_err *err)
{
    struct t3d_resize_part part;
    uint8_t *rgb, *resized;
    int r;

    if (!w || !h || w > T3D_IMAGE_MAX_SIDE || h > T3D_IMAGE_MAX_SIDE)
        return t3d_err_set(err, T3D_USAGE, "bad-argument", "a picture of %u x %u pixels", w, h);
    part = plan_part(p, w, h);
    rgb = composite(rgba, w, h, background, scratch);
    resized = t3d_alloc_raw(scratch, (size_t)part.w * part.h, 3);
    if (!rgb || !resized)
        return t3d_err_nomem(err, "preprocessing a picture");
    r = t3d_resize_part(resized, &part, rgb, w, h, 3, scratch, err);
    if (r == T3D_OK)
        write_numbers(p, out, resized, &part);
    return r;
}
