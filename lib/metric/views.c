/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/views.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "draw/draw.h"
#include "draw/splat_views.h"
#include "image/image.h"
#include "metric/consistency.h"
#include "metric/picture.h"

/* Sums over pictures of one object. */
struct sums {
    double value[T3D_METRICS_MAX];
    uint32_t n[T3D_METRICS_MAX], capped[T3D_METRICS_MAX];
};

static int add_picture(struct sums *s, const struct t3d_pair_options *o,
                       const struct t3d_picture_pair *p, int threads, struct t3d_err *err)
{
    for (int i = 0; i < t3d_n_metrics; i++) {
        const struct t3d_metric *m = &t3d_metrics[i];
        int capped = 0, r = T3D_OK;
        double v;
        if (!o->choice.on[i] || m->kind != T3D_METRIC_PICTURE)
            continue;
        if (m->what < T3D_SSIM_ROW)
            v = t3d_psnr(p, (enum t3d_psnr_rule)m->what, threads, &capped);
        else
            r = t3d_ssim(&v, p, (enum t3d_ssim_rule)(m->what - T3D_SSIM_ROW), threads, err);
        if (r < 0)
            return r;
        if (isnan(v))
            continue;
        s->value[i] += v;
        s->n[i]++;
        s->capped[i] += (uint32_t)capped;
    }
    return T3D_OK;
}

static void put_sums(struct t3d_pair_result *out, const struct sums *s, const char *what)
{
    for (int i = 0; i < t3d_n_metrics; i++) {
        if (!s->n[i])
            continue;
        out->value[i] = s->value[i] / s->n[i];
        snprintf(out->id[i], sizeof out->id[i], "%s:%s%s%s", t3d_metrics[i].family,
                 t3d_metrics[i].dialect, *what ? ":" : "", what);
        if (s->capped[i])
            snprintf(out->note[i], sizeof out->note[i], "capped: %u of %u", s->capped[i], s->n[i]);
    }
}

/* --- what is kept --- */

static int make_room(struct t3d_pictures *p, size_t n, uint32_t width, uint32_t height,
                     struct t3d_err *err)
{
    *p = (struct t3d_pictures){.n = n, .width = width, .height = height};
    p->pred = malloc(4 * n * width * height);
    p->ref = malloc(4 * n * width * height);
    if (p->pred && p->ref)
        return T3D_OK;
    t3d_pictures_free(p);
    return t3d_err_nomem(err, "pictures");
}

static void keep_pair(struct t3d_pictures *p, size_t i, const uint8_t *pred, const uint8_t *ref)
{
    size_t bytes = 4 * (size_t)p->width * p->height;

    memcpy(p->pred + i * bytes, pred, bytes);
    memcpy(p->ref + i * bytes, ref, bytes);
}

/* --- picture files --- */

static int read_picture(uint8_t **pixels, struct t3d_image_info *info, struct t3d_arena *a,
                        const char *path, const char *which, struct t3d_err *err)
{
    struct t3d_blob b;
    int r = t3d_blob_open(&b, path, 0, err);

    if (r < 0)
        return r;
    r = t3d_image_decode(info, pixels, a, b.data, b.size, err);
    t3d_blob_close(&b);
    return r < 0 ? t3d_err_prefix(err, "%s '%s'", which, path) : r;
}

int t3d_pair_pictures(struct t3d_pair_result *out, const struct t3d_pair_options *o,
                      const char *pred, const char *ref, struct t3d_pictures *keep,
                      struct t3d_err *err)
{
    struct t3d_image_info in_p, in_r;
    struct t3d_arena a = {0};
    struct sums s = {{0}, {0}, {0}};
    uint8_t *p, *r;
    int status = read_picture(&p, &in_p, &a, pred, "prediction", err);

    t3d_pair_clear(out);
    if (status == T3D_OK)
        status = read_picture(&r, &in_r, &a, ref, "reference", err);
    if (status == T3D_OK && (in_p.width != in_r.width || in_p.height != in_r.height))
        status = t3d_err_set(err, T3D_SKIP, "size-differs",
                             "the prediction has %u x %u pixels, the reference %u x %u: pictures "
                             "are not resized",
                             in_p.width, in_p.height, in_r.width, in_r.height);
    if (status == T3D_OK) {
        const struct t3d_picture_pair pair = {p, r, in_p.width, in_p.height};
        status = add_picture(&s, o, &pair, o->threads, err);
    }
    if (status == T3D_OK && keep)
        status = make_room(keep, 1, in_p.width, in_p.height, err);
    if (status == T3D_OK && keep)
        keep_pair(keep, 0, p, r);
    if (status == T3D_OK)
        put_sums(out, &s, "");
    t3d_arena_free(&a);
    return status;
}

/* --- views of meshes and splats --- */

enum { RING = 16 }; /* the first views of T3D_VIEW_SET */

/* One of both objects: a model to be drawn, or pictures of splats that are there already. */
struct side {
    struct t3d_model *model;
    struct t3d_splat_picture splats; /* of all views; rgba NULL = it is a model */
};

/* view-consistency:warp-l1 of the ring's pictures, when it is chosen. */
static int put_warp(struct t3d_pair_result *out, const struct t3d_pair_options *o,
                    const struct t3d_view_set *set, const struct t3d_splat_picture *p,
                    struct t3d_err *err)
{
    struct t3d_consistency c;
    int r;

    if (!t3d_metrics_need(&o->choice, T3D_METRIC_WARP))
        return T3D_OK;
    r = t3d_view_consistency(&c, set, RING, p->rgba, p->depth, (int)o->resolution, o->threads, err);
    for (int i = 0; i < t3d_n_metrics && r == T3D_OK; i++) {
        if (!o->choice.on[i] || t3d_metrics[i].kind != T3D_METRIC_WARP)
            continue;
        out->value[i] = c.value;
        snprintf(out->id[i], sizeof out->id[i], "%s:%s:ring16-%u", t3d_metrics[i].family,
                 t3d_metrics[i].dialect, o->resolution);
        if (isnan(c.value))
            snprintf(out->note[i], sizeof out->note[i], "nothing is seen twice");
    }
    return r;
}

struct stage {
    struct t3d_view_set set;
    struct t3d_normalisation frame;
    struct side side[2]; /* prediction, reference */
    const struct t3d_light *light;
    struct t3d_pictures *keep;
};

static int draw_side(const uint8_t **rgba, struct t3d_canvas *canvas, const struct stage *st, int k,
                     size_t view, uint32_t resolution, struct t3d_err *err)
{
    const struct side *s = &st->side[k];

    if (s->splats.rgba) {
        *rgba = s->splats.rgba + 4 * view * (size_t)resolution * resolution;
        return T3D_OK;
    }
    *rgba = canvas->color;
    return t3d_draw(canvas, s->model, &st->set.camera[view], st->light, err);
}

/* One view of both, by one thread's canvases. */
static int add_view(struct sums *s, const struct t3d_pair_options *o, const struct stage *st,
                    struct t3d_canvas *const canvas[2], size_t view, struct t3d_err *err)
{
    const uint8_t *rgba[2] = {NULL, NULL};
    int r = draw_side(&rgba[0], canvas[0], st, 0, view, o->resolution, err);

    if (r == T3D_OK)
        r = draw_side(&rgba[1], canvas[1], st, 1, view, o->resolution, err);
    if (r == T3D_OK && st->keep)
        keep_pair(st->keep, view, rgba[0], rgba[1]);
    if (r == T3D_OK) {
        const struct t3d_picture_pair p = {rgba[0], rgba[1], o->resolution, o->resolution};
        r = add_picture(s, o, &p, 1, err);
    }
    return r;
}

/* Views in any order over the threads, each with sums of its own, added in order afterwards. */
static int add_views(struct sums *total, const struct t3d_pair_options *o, const struct stage *st,
                     struct t3d_err *err)
{
    struct sums *each = calloc(st->set.n, sizeof *each);
    int status = each ? T3D_OK : t3d_err_nomem(err, "the views");

#pragma omp parallel num_threads(o->threads) if (each)
    {
        struct t3d_canvas *canvas[2] = {NULL, NULL};
        struct t3d_err why;
        int r = T3D_OK;
        for (int k = 0; k < 2 && r == T3D_OK; k++)
            r = t3d_canvas_new(&canvas[k], o->resolution, T3D_PASS_COLOR, &why);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < st->set.n; i++)
            if (r == T3D_OK && each)
                r = add_view(&each[i], o, st, canvas, i, &why);
        for (int k = 0; k < 2; k++)
            t3d_canvas_free(canvas[k]);
        if (r < 0) {
#pragma omp critical
            {
                status = r;
                *err = why;
            }
        }
    }
    for (size_t v = 0; status == T3D_OK && v < st->set.n; v++)
        for (int i = 0; i < t3d_n_metrics; i++) {
            total->value[i] += each[v].value[i];
            total->n[i] += each[v].n[i];
            total->capped[i] += each[v].capped[i];
        }
    free(each);
    return status;
}

/* Splats in the frame: p' = (((p - centre) scale) - frame.centre) frame.scale. */
static int draw_splats(struct side *side, const struct stage *st, const struct t3d_geometry *shape,
                       const struct t3d_pair_options *o, struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_gaussians g = shape->gaussians;
    float *xyz = t3d_alloc_raw(a, g.n, 3 * sizeof *xyz),
          *log_scale = t3d_alloc_raw(a, g.n, 3 * sizeof *log_scale);
    double grow = log(shape->scale * st->frame.scale);

    if (!xyz || !log_scale)
        return t3d_err_nomem(err, "the Gaussians");
    for (size_t i = 0; i < 3 * g.n; i++) {
        double p = ((double)g.xyz[i] - shape->centre[i % 3]) * shape->scale;
        xyz[i] = (float)((p - st->frame.centre[i % 3]) * st->frame.scale);
        log_scale[i] = (float)((double)g.log_scale[i] + grow);
    }
    g.xyz = xyz;
    g.log_scale = log_scale;
    return t3d_splat_views(&side->splats, &g, &st->set, (int)o->resolution, o->threads, a, err);
}

static int open_side(struct stage *st, int k, const struct t3d_geometry *shape,
                     const struct t3d_pair_options *o, struct t3d_arena *a, struct t3d_err *err)
{
    if (shape->gaussians.n)
        return draw_splats(&st->side[k], st, shape, o, a, err);
    return t3d_model_new(&st->side[k].model, &shape->scene, &st->frame, err);
}

int t3d_pair_views(struct t3d_pair_result *out, const struct t3d_pair_options *o,
                   const struct t3d_geometry *pred, const struct t3d_geometry *ref,
                   struct t3d_pictures *keep, struct t3d_err *err)
{
    struct stage st = {.light = t3d_light_find("studio"), .keep = keep};
    struct t3d_arena a = {0};
    struct sums s = {{0}, {0}, {0}};
    char what[48];
    int r;

    if (pred->is_cloud || ref->is_cloud)
        return T3D_OK;
    r = t3d_view_set_load(&st.set, T3D_VIEW_SET, &a, err);
    if (r == T3D_OK)
        r = t3d_scene_normalisation(&ref->scene, &st.frame, err);
    if (r == T3D_OK)
        r = open_side(&st, 0, pred, o, &a, err);
    if (r == T3D_OK)
        r = open_side(&st, 1, ref, o, &a, err);
    if (r == T3D_OK && st.side[0].splats.rgba)
        r = put_warp(out, o, &st.set, &st.side[0].splats, err);
    if (r == T3D_OK && keep)
        r = make_room(keep, st.set.n, o->resolution, o->resolution, err);
    if (r == T3D_OK)
        r = add_views(&s, o, &st, err);
    snprintf(what, sizeof what, "%s-%u", T3D_VIEW_SET, o->resolution);
    if (r == T3D_OK)
        put_sums(out, &s, what);
    t3d_model_free(st.side[0].model);
    t3d_model_free(st.side[1].model);
    t3d_arena_free(&a);
    return r;
}

/* --- views of splats --- */

int t3d_pair_warp(struct t3d_pair_result *out, const struct t3d_pair_options *o,
                  const struct t3d_gaussians *g, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_splat_picture p;
    struct t3d_view_set set;
    int r;

    if (!t3d_metrics_need(&o->choice, T3D_METRIC_WARP))
        return T3D_OK;
    r = t3d_view_set_load(&set, T3D_VIEW_SET, &a, err);
    set.n = RING;
    if (r == T3D_OK)
        r = t3d_splat_views(&p, g, &set, (int)o->resolution, o->threads, &a, err);
    if (r == T3D_OK)
        r = put_warp(out, o, &set, &p, err);
    t3d_arena_free(&a);
    return r;
}
