/* SPDX-License-Identifier: Apache-2.0 */
/* antimatter15/splat's .splat (convert.py): rows of 32 bytes without a header: position 3 float,
 * scale 3 float, RGBA 8 bit, quaternion 4 x 8 bit as 128 + 128 q; y down. */
#include <math.h>
#include <string.h>

#include "geom/read_impl.h"
#include "geom/splat_impl.h"

enum { ROW = 32 };

int t3di_alloc_gaussians(struct t3d_scene *s, struct t3d_arena *a, uint64_t n, struct t3d_err *err)
{
    if (n > T3D_MAX_GAUSSIANS)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)n,
                             "the file has %llu Gaussians, more than %u", (unsigned long long)n,
                             T3D_MAX_GAUSSIANS);
    s->gaussian = t3d_alloc_raw(a, (size_t)n, sizeof(float[T3D_GAUSSIAN_FLOATS]));
    if (!s->gaussian)
        return t3di_no_room(a, err, "the Gaussians");
    s->n_gaussians = (uint32_t)n;
    return T3D_OK;
}

void t3di_put_gaussian(struct t3d_scene *s, uint32_t i, const struct t3di_gaussian *g)
{
    static const struct t3di_gaussian invisible = {.quaternion = {1}, .opacity = -100};
    const size_t n = s->n_gaussians;
    float *p = s->gaussian;

    _Static_assert(sizeof *g == sizeof(float[T3D_GAUSSIAN_FLOATS]), "floats without gaps");
    if (!t3di_all_finite(g, T3D_GAUSSIAN_FLOATS)) {
        s->notes.n_non_finite++;
        g = &invisible;
    }
    memcpy(p + 3 * (size_t)i, g->xyz, sizeof g->xyz);
    memcpy(p + 3 * n + 3 * (size_t)i, g->log_scale, sizeof g->log_scale);
    memcpy(p + 6 * n + 4 * (size_t)i, g->quaternion, sizeof g->quaternion);
    p[10 * n + i] = g->opacity;
    memcpy(p + 11 * n + 3 * (size_t)i, g->rgb, sizeof g->rgb);
}

/* The quaternion (0, 1, 0, 0) times q. */
void t3di_turn_up(struct t3di_gaussian *g)
{
    const float *q = g->quaternion, turned[4] = {-q[1], q[0], -q[3], q[2]};

    g->xyz[1] = -g->xyz[1];
    g->xyz[2] = -g->xyz[2];
    memcpy(g->quaternion, turned, sizeof turned);
}

float t3di_logit(double opacity)
{
    double a = opacity > 1e-4 ? opacity < 1 - 1e-4 ? opacity : 1 - 1e-4 : 1e-4;

    return (float)log(a / (1 - a));
}

static void read_row(struct t3di_gaussian *g, const uint8_t *row)
{
    memcpy(g->xyz, row, sizeof g->xyz);
    memcpy(g->log_scale, row + 12, sizeof g->log_scale);
    for (int k = 0; k < 3; k++) {
        g->log_scale[k] = logf(g->log_scale[k]); /* NaN below 0, infinite at 0: noted */
        g->rgb[k] = row[24 + k] / 255.f;
    }
    g->opacity = t3di_logit(row[27] / 255.);
    for (int k = 0; k < 4; k++)
        g->quaternion[k] = ((float)row[28 + k] - 128) / 128;
    t3di_turn_up(g);
}

int t3d_read_splat(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                   unsigned flags, struct t3d_err *err)
{
    int r;

    *s = (struct t3d_scene){0};
    memcpy(s->notes.format, "splat", 6);
    if (flags & T3D_READ_NAMES)
        return T3D_OK;
    if (src->size % ROW)
        return t3d_err_value(err, T3D_SKIP, "truncated", (double)src->size,
                             "a .splat file has 32 bytes for each Gaussian: %zu is no multiple",
                             src->size);
    r = t3di_alloc_gaussians(s, a, src->size / ROW, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < s->n_gaussians; i++) {
        struct t3di_gaussian g;
        read_row(&g, src->data + (size_t)i * ROW);
        t3di_put_gaussian(s, i, &g);
    }
    s->notes.n_points = s->n_gaussians;
    s->notes.n_nodes = s->notes.n_meshes = 1;
    return T3D_OK;
}
