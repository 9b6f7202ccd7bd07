/* SPDX-License-Identifier: Apache-2.0 */
/* net/preprocess.h -- pictures to the input of an image tower, by the recipe of the library that a
 * network was trained with. The recipes differ, and so do the rows:
 *
 *     hf         transformers' CLIPImageProcessor on PIL: (long side) = int(S long / short); the
 *                crop begins at (H - S) / 2 rounded down; float((double)u scale), then - mean, /
 * std hf-fast    its torchvision sibling: torch's own 8-bit bicubic, whose coefficients have 16
 *                bits; (u - mean / scale) / (std / scale) in float
 *     open_clip  torchvision on PIL: the crop begins at (H - S) / 2 rounded half to even; or the
 *                picture is squashed to (S, S); or the long side becomes S and the rest is filled;
 *                (u / 255 - mean) / std in float
 *     openai     open_clip's with "shortest" and OpenAI's mean and deviation
 *
 * (transformers: image_processing_backends.py, image_transforms.py; open_clip: transform.py;
 * torchvision: transforms/functional.py; openai/CLIP: clip/clip.py.)
 *
 * A picture with transparency is put over a background first, in 8 bits, and is RGB from then on.
 */
#ifndef T3D_NET_PREPROCESS_H
#define T3D_NET_PREPROCESS_H

#include <stdint.h>

#include "base/err.h"
#include "image/resize.h"

struct t3d_arena;

enum t3d_recipe {
    T3D_RECIPE_HF,
    T3D_RECIPE_HF_FAST,
    T3D_RECIPE_OPEN_CLIP,
    T3D_RECIPE_OPENAI,
    T3D_N_RECIPES
};

enum t3d_resize_mode {
    T3D_RESIZE_SHORTEST, /* the short side becomes `shortest`, the centre is cut out */
    T3D_RESIZE_SQUASH,   /* both sides become `size` */
    T3D_RESIZE_LONGEST   /* the long side becomes `size`, the rest is `fill` */
};

struct t3d_preprocess {
    enum t3d_recipe recipe;
    uint32_t size;     /* side of the result */
    uint32_t shortest; /* >= size */
    enum t3d_resize_mode mode;
    enum t3d_filter filter; /* bicubic or bilinear */
    double scale;           /* hf, hf-fast: of a byte, 1/255 */
    double mean[3], std[3];
    uint8_t fill;
    float table[3][256]; /* of t3d_preprocess_init: a byte to a number of the input */
};

const char *t3d_recipe_name(enum t3d_recipe recipe);
/* 0, or -1 when there is none of that name. */
int t3d_recipe_find(enum t3d_recipe *recipe, const char *name) T3D_MUST_CHECK;
/* Space-separated, for option tables. */
extern const char t3d_recipe_names[];
/* OpenAI's constants (openai/CLIP: clip/clip.py, _transform). */
extern const double t3d_openai_mean[3], t3d_openai_std[3];

/* Check the numbers and fill the table. T3D_SKIP "bad-config". */
int t3d_preprocess_init(struct t3d_preprocess *p, struct t3d_err *err) T3D_MUST_CHECK;

/* Straight-alpha RGBA (h, w, 4), sides 1 to T3D_IMAGE_MAX_SIDE -> out (3, size, size). Any
 * thread. */
int t3d_preprocess_run(const struct t3d_preprocess *p, float *out, const uint8_t *rgba, uint32_t w,
                       uint32_t h, const uint8_t background[3], struct t3d_arena *scratch,
                       struct t3d_err *err) T3D_MUST_CHECK;

#endif
