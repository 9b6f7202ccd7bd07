/* SPDX-License-Identifier: Apache-2.0 */
/* The op on a CUDA device: scratch memory, and the order of work. */
#include <math.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#include "draw/cuda/splat_kernel.h"
#include "draw/splat_impl.h"
#include "num/cuda/op.h"

enum { SOME_VIEWS = 256 };

/* Hands out pieces of a block of memory; with base NULL it only counts. */
struct carver {
    char *base;
    size_t used;
};

static void *carve(struct carver *m, int64_t n, size_t size)
{
    void *p = m->base ? m->base + m->used : NULL;

    m->used += ((size_t)n * size + 255) & ~(size_t)255;
    return p;
}

static size_t layout(const struct t3d_call *c, int backward, void *base, struct t3di_cuda_splat *s)
{
    const struct t3d_splat *a = c->attr;
    struct carver m = {base, 0};
    int64_t views, all;

    *s = (struct t3di_cuda_splat){.samples = c->in_shape[T3DI_SPLAT_XYZ].dim[0],
                                  .views = c->in_shape[T3DI_SPLAT_CAMERAS].dim[1],
                                  .n = c->in_shape[T3DI_SPLAT_XYZ].dim[1],
                                  .width = a->width,
                                  .height = a->height,
                                  .median = a->depth == T3D_SPLAT_MEDIAN,
                                  .near = (float)a->near,
                                  .min_log = (float)log(a->min_alpha),
                                  .xyz = t3di_in(c, T3DI_SPLAT_XYZ),
                                  .log_scale = t3di_in(c, T3DI_SPLAT_LOG_SCALE),
                                  .quaternion = t3di_in(c, T3DI_SPLAT_QUATERNION),
                                  .opacity = t3di_in(c, T3DI_SPLAT_OPACITY),
                                  .rgb = t3di_in(c, T3DI_SPLAT_RGB),
                                  .cameras = t3di_in(c, T3DI_SPLAT_CAMERAS),
                                  .pairs = a->pairs};
    views = s->samples * s->views;
    all = views * s->n;
    s->splat = carve(&m, all, T3DI_CUDA_SPLAT2D);
    for (int k = 0; k < 2; k++) {
        s->key[k] = carve(&m, all, sizeof **s->key);
        s->order[k] = carve(&m, all, sizeof **s->order);
    }
    s->rect = carve(&m, all, 4 * sizeof *s->rect);
    s->seen = carve(&m, views, sizeof *s->seen);
    if (backward) {
        s->slot = carve(&m, all, sizeof *s->slot);
        s->used = carve(&m, views, sizeof *s->used);
        s->pair = carve(&m, views * s->pairs, sizeof(float[T3DI_D_FIELDS]));
        s->sum = carve(&m, all, sizeof(float[T3DI_D_FIELDS]));
    }
    return m.used;
}

size_t t3di_splat_cuda_work(const struct t3d_call *c, int backward)
{
    struct t3di_cuda_splat s;

    return layout(c, backward, NULL, &s);
}

int t3di_splat_cuda_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_splat s;

    (void)err;
    layout(c, 0, c->work, &s);
    t3di_cuda_splat_project(&s, c->stream);
    t3di_cuda_splat_blend(&s, t3di_out(c, 0), t3di_out(c, 1), t3di_out(c, 2), c->stream);
    return T3D_OK;
}

/* Pairs of the view that has most of them, in slots just made. */
static int most_pairs(const struct t3di_cuda_splat *s, int64_t *most, void *stream,
                      struct t3d_err *err)
{
    int64_t views = s->samples * s->views;

    *most = 0;
    for (int64_t first = 0; first < views; first += SOME_VIEWS) {
        int64_t n = T3D_MIN(views - first, SOME_VIEWS);
        uint32_t used[SOME_VIEWS];
        cudaError_t e = cudaMemcpyAsync(used, s->used + first, (size_t)n * sizeof *used,
                                        cudaMemcpyDeviceToHost, stream);

        if (e == cudaSuccess)
            e = cudaStreamSynchronize(stream);
        if (e != cudaSuccess)
            return t3d_err_set(err, T3D_FAIL, "device", "splat: counting on the device: %s",
                               cudaGetErrorString(e));
        for (int64_t i = 0; i < n; i++)
            *most = T3D_MAX(*most, (int64_t)used[i]);
    }
    return T3D_OK;
}

/* A region whose pairs do not fit is halved, by rows and then by columns; one tile always fits. The
 * parts come in the order of tiles. */
static int unblend_parts(const struct t3d_call *c, const struct t3di_cuda_splat *s,
                         struct t3di_cuda_tiles t, struct t3d_err *err)
{
    struct t3di_dev none = {NULL, 0};
    struct t3di_cuda_tiles a = t, b = t;
    int64_t most;
    int r;

    t3di_cuda_splat_slots(s, &t, c->stream);
    r = most_pairs(s, &most, c->stream, err);
    if (r < 0)
        return r;
    if (most <= s->pairs) {
        t3di_cuda_splat_unblend(s, &t, c->grad_out[0] ? t3di_grad_out(c, 0) : none,
                                c->grad_out[1] ? t3di_grad_out(c, 1) : none,
                                c->grad_out[2] ? t3di_grad_out(c, 2) : none, c->stream);
        return T3D_OK;
    }
    if (t.y1 - t.y0 > 1)
        a.y1 = b.y0 = (t.y0 + t.y1) / 2;
    else
        a.x1 = b.x0 = (t.x0 + t.x1) / 2;
    r = unblend_parts(c, s, a, err);
    return r == T3D_OK ? unblend_parts(c, s, b, err) : r;
}

int t3di_splat_cuda_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_splat s;
    struct t3di_cuda_splat_grad g = {
        t3di_grad_in(c, T3DI_SPLAT_XYZ),        t3di_grad_in(c, T3DI_SPLAT_LOG_SCALE),
        t3di_grad_in(c, T3DI_SPLAT_QUATERNION), t3di_grad_in(c, T3DI_SPLAT_OPACITY),
        t3di_grad_in(c, T3DI_SPLAT_RGB),        c->grad_fresh[T3DI_SPLAT_XYZ],
        c->grad_fresh[T3DI_SPLAT_LOG_SCALE],    c->grad_fresh[T3DI_SPLAT_QUATERNION],
        c->grad_fresh[T3DI_SPLAT_OPACITY],      c->grad_fresh[T3DI_SPLAT_RGB]};
    struct t3di_cuda_tiles all = {0};
    struct t3di_dev sum;
    int r;

    layout(c, 1, c->work, &s);
    all.x1 = (s.width + T3DI_TILE - 1) / T3DI_TILE;
    all.y1 = (s.height + T3DI_TILE - 1) / T3DI_TILE;
    sum = (struct t3di_dev){s.sum, 0};
    t3di_cuda_splat_project(&s, c->stream);
    t3di_cuda_zero(sum, s.samples * s.views * s.n * T3DI_D_FIELDS, c->stream);
    r = unblend_parts(c, &s, all, err);
    if (r == T3D_OK)
        t3di_cuda_splat_unproject(&s, &g, c->stream);
    return r;
}
