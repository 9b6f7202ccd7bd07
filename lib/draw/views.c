/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/views.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "image/png.h"

const char *const t3d_pass_name[T3D_N_PASSES] = {"color", "depth", "normal", "albedo",
                                                 "metal-rough"};

struct t3d_painter {
    struct t3d_canvas *canvas;
    struct t3d_png_writer *png;
};

int t3d_passes_parse(unsigned *passes, const char *const *word, size_t n, struct t3d_err *err)
{
    *passes = 0;
    for (size_t i = 0; i < n; i++) {
        int k = 0;
        while (k < T3D_N_PASSES && strcmp(word[i], t3d_pass_name[k]) != 0)
            k++;
        if (k == T3D_N_PASSES)
            return t3d_err_set(err, T3D_USAGE, "usage",
                               "pass '%s' is not one of color, depth, normal, albedo, metal-rough",
                               word[i]);
        *passes |= 1u << k;
    }
    return T3D_OK;
}

int t3d_painter_new(struct t3d_painter **out, uint32_t resolution, unsigned passes,
                    struct t3d_err *err)
{
    struct t3d_painter *p = calloc(1, sizeof *p);
    int r;

    if (!p)
        return t3d_err_nomem(err, "a painter");
    r = t3d_canvas_new(&p->canvas, resolution, passes, err);
    if (r == T3D_OK)
        r = t3d_png_writer_new(&p->png, err);
    if (r < 0) {
        t3d_painter_free(p);
        return r;
    }
    *out = p;
    return T3D_OK;
}

void t3d_painter_free(struct t3d_painter *p)
{
    if (!p)
        return;
    t3d_canvas_free(p->canvas);
    t3d_png_writer_free(p->png);
    free(p);
}

/* Encode one pass of the canvas into the arena. */
static int encode(struct t3d_painter *p, int pass, struct t3d_arena *a, struct t3d_png *out,
                  struct t3d_err *err)
{
    const struct t3d_canvas *c = p->canvas;
    const void *pixels[T3D_N_PASSES] = {c->color, c->depth, c->normal, c->albedo, c->metal_rough};
    int grey = 1u << pass == T3D_PASS_DEPTH;
    const uint8_t *png;
    uint8_t *copy;
    size_t size;
    int r = t3d_png_encode(p->png, pixels[pass], c->resolution, c->resolution, grey ? 1 : 4,
                           grey ? 16 : 8, NULL, 0, &png, &size, err);

    if (r < 0)
        return r;
    copy = t3d_alloc_raw(a, size, 1);
    if (!copy)
        return t3d_err_nomem(err, "a picture");
    memcpy(copy, png, size);
    out->data = copy;
    out->size = size;
    return T3D_OK;
}

static int paint_view(struct t3d_painter *p, const struct t3d_model *m,
                      const struct t3d_camera *camera, const struct t3d_light *light,
                      struct t3d_arena *a, struct t3d_views *all, struct t3d_view_pictures *out,
                      struct t3d_err *err)
{
    double start = t3d_clock_s(), drawn;
    int r = t3d_draw(p->canvas, m, camera, light, err);

    drawn = t3d_clock_s();
    for (int k = 0; k < T3D_N_PASSES && r == T3D_OK; k++)
        if (p->canvas->passes & 1u << k)
            r = encode(p, k, a, &out->png[k], err);
    out->measures = p->canvas->measures;
    all->draw_s += drawn - start;
    all->encode_s += t3d_clock_s() - drawn;
    return r;
}

int t3d_paint_views(struct t3d_painter *p, const struct t3d_scene *s,
                    const struct t3d_view_set *set, const struct t3d_light *light,
                    struct t3d_arena *a, struct t3d_views *out, struct t3d_err *err)
{
    struct t3d_model *model = NULL;
    double start = t3d_clock_s();
    int r;

    memset(out, 0, sizeof *out);
    r = t3d_scene_normalisation(s, &out->normalisation, err);
    if (r < 0)
        return r;
    out->picture = t3d_alloc(a, set->n, sizeof *out->picture);
    if (!out->picture)
        return t3d_err_nomem(err, "the pictures of an object");
    r = t3d_model_new(&model, s, &out->normalisation, err);
    if (r < 0)
        return r;
    out->model_s = t3d_clock_s() - start;
    for (; out->n < set->n && r == T3D_OK; out->n++)
        r = paint_view(p, model, &set->camera[out->n], light, a, out, &out->picture[out->n], err);
    t3d_model_free(model);
    return r;
}

static cJSON *view_row(const struct t3d_view_measures *m)
{
    cJSON *row = cJSON_CreateObject();

    if (t3d_json_set_num(row, "coverage", m->coverage) < 0 ||
        t3d_json_set_num(row, "luminance", m->luminance) < 0 ||
        t3d_json_set_num(row, "contrast", m->contrast) < 0 ||
        t3d_json_set_num(row, "backfacing", m->backfacing) < 0) {
        cJSON_Delete(row);
        return NULL;
    }
    return row;
}

cJSON *t3d_views_measures(const struct t3d_views *v)
{
    cJSON *o = cJSON_CreateObject(), *per = cJSON_AddArrayToObject(o, "views");
    double covered = 0, luminance = 0, contrast = 0, backfacing = 0, border = 0, weight;
    int bad = !per;

    for (size_t i = 0; i < v->n && !bad; i++) {
        const struct t3d_view_measures *m = &v->picture[i].measures;
        bad = !cJSON_AddItemToArray(per, view_row(m));
        border = T3D_MAX(border, m->touches_border);
        covered += m->coverage;
        luminance += m->coverage * m->luminance;
        contrast += m->coverage * m->contrast;
        backfacing += m->coverage * m->backfacing;
    }
    weight = covered > 0 ? covered : 1;
    if (bad || t3d_json_set_num(o, "coverage", v->n ? covered / (double)v->n : 0) < 0 ||
        t3d_json_set_num(o, "luminance", luminance / weight) < 0 ||
        t3d_json_set_num(o, "contrast", contrast / weight) < 0 ||
        t3d_json_set_num(o, "backfacing", backfacing / weight) < 0 ||
        t3d_json_set_num(o, "touches_border", border) < 0) {
        cJSON_Delete(o);
        return NULL;
    }
    return o;
}
