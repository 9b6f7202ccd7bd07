/* SPDX-License-Identifier: Apache-2.0 */
/* draw/views.h -- one object from every camera of a view set, as PNG files in memory.
 *
 *     struct t3d_painter *p;                       one per thread: canvas and PNG writer
 *     t3d_painter_new(&p, 512, T3D_PASS_COLOR, err);
 *     t3d_paint_views(p, &scene, &set, light, &arena, &views, err);
 *     ... views.picture[i].png[k] ...
 */
#ifndef T3D_DRAW_VIEWS_H
#define T3D_DRAW_VIEWS_H

#include "draw/draw.h"

enum { T3D_N_PASSES = 5 };

/* The passes in the order of enum t3d_pass; names as in options and file names. */
extern const char *const t3d_pass_name[T3D_N_PASSES]; /* color depth normal albedo metal-rough */

/* Bit mask of a list of names; T3D_USAGE names the unknown word. */
int t3d_passes_parse(unsigned *passes, const char *const *word, size_t n,
                     struct t3d_err *err) T3D_MUST_CHECK;

struct t3d_png {
    const uint8_t *data;
    size_t size;
};

struct t3d_view_pictures {
    struct t3d_png png[T3D_N_PASSES]; /* size 0 for a pass that was not asked for */
    struct t3d_view_measures measures;
};

struct t3d_views {
    struct t3d_normalisation normalisation;
    size_t n;
    struct t3d_view_pictures *picture; /* n of them, in the arena */
    double draw_s, encode_s, model_s;  /* time spent, for benchmarks */
};

struct t3d_painter;

int t3d_painter_new(struct t3d_painter **out, uint32_t resolution, unsigned passes,
                    struct t3d_err *err) T3D_MUST_CHECK;
void t3d_painter_free(struct t3d_painter *p);

/* Normalises the scene and draws every view. T3D_SKIP "no-triangles" for an empty one. All of out
 * lies in the arena. */
int t3d_paint_views(struct t3d_painter *p, const struct t3d_scene *s,
                    const struct t3d_view_set *set, const struct t3d_light *light,
                    struct t3d_arena *a, struct t3d_views *out, struct t3d_err *err) T3D_MUST_CHECK;

/* Means over the views for filter --views and the manifest: {"views":[{coverage, luminance,
 * contrast, backfacing}, ...], "coverage", "luminance", "contrast", "backfacing", "touches_border"
 * (largest)}. All but coverage are weighted by coverage, so that edge-on views of a sheet do not
 * count as dark. Caller frees; NULL when memory is out. */
cJSON *t3d_views_measures(const struct t3d_views *v);

#endif
