/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reconstructor.h"

#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "model/stack_impl.h"

enum { VIEWS = T3D_GENERATOR_VIEWS };

/* GS-LRM's own is `large`. nano and small have the generator's width, so that weights can be
 * handed over. */
static const struct t3d_generator_config size_table[] = {
    T3DI_SIZE("nano", 256, 3, 8, 32, 8, 0, T3D_HEAD_GAUSS),
    T3DI_SIZE("small", 384, 8, 6, 128, 8, 0, T3D_HEAD_GAUSS),
    T3DI_SIZE("base", 768, 12, 12, 256, 8, 0, T3D_HEAD_GAUSS),
    T3DI_SIZE("large", 1024, 24, 16, 512, 8, 0, T3D_HEAD_GAUSS),
};

const struct t3d_generator_config *t3d_reconstructor_size(const char *name)
{
    for (size_t i = 0; i < T3D_COUNT(size_table); i++)
        if (strcmp(size_table[i].size, name) == 0)
            return &size_table[i];
    return NULL;
}

int64_t t3d_reconstructor_params(const struct t3d_generator_config *c, int hides)
{
    int64_t d = c->width, p = (int64_t)c->patch * c->patch;

    return c->layers * (12 * d * d + 2 * d + 2 * (d / c->heads)) + d * 9 * p + d +
           T3D_GAUSSIAN_RAW * p * d + (hides ? d : 0);
}

struct t3d_reconstructor t3d_reconstructor_build(struct t3d_graph *g,
                                                 const struct t3d_generator_config *c, int batch,
                                                 int hides)
{
    struct t3di_stack s = {
        .g = g, .c = c, .batch = batch, .views = t3d_generator_tokens(c), .seen = T3D_NONE};
    int64_t n = t3d_generator_gaussians(c), p = (int64_t)c->patch * c->patch;
    struct t3d_reconstructor m = {.hidden = T3D_NONE};
    struct t3di_gaussians made;
    struct t3d_ref x;

    m.views = t3d_graph_input(g, "views", T3D_SHAPE(batch, s.views, 3 * p));
    m.ray = t3d_graph_input(g, "ray", T3D_SHAPE(batch, n, 6));
    m.origin = t3d_graph_input(g, "origin", T3D_SHAPE(batch, n, 3));
    t3d_graph_scope(g, "tokens");
    x = t3di_view_tokens(&s, m.views, m.ray);
    if (hides) {
        m.hidden = t3d_graph_input(g, "hidden", T3D_SHAPE(batch, s.views, 1));
        x = t3d_add(g, x,
                    t3d_mul(g, m.hidden, t3di_weight(&s, 1, c->width, "views.hidden.weight")));
    }
    x = t3di_head(&s, t3di_blocks(&s, x), T3D_GAUSSIAN_RAW);
    made = t3di_gaussians(&s, x, m.ray, m.origin);
    m.xyz = made.xyz;
    m.log_scale = made.log_scale;
    m.quaternion = made.quaternion;
    m.opacity = made.opacity;
    m.rgb = made.rgb;
    return m;
}

/* --- rays ------------------------------------------------------------------------------------ */

int t3d_view_rays_new(struct t3d_view_rays *out, const struct t3d_generator_config *c,
                      const struct t3d_view_set *set, struct t3d_err *err)
{
    size_t n = (size_t)c->side * (size_t)c->side;

    out->pixels = n;
    out->ray = calloc(set->n * n, 6 * sizeof *out->ray);
    out->origin = calloc(set->n * n, 3 * sizeof *out->origin);
    if (!out->ray || !out->origin)
        return t3d_err_nomem(err, "the rays");
    for (size_t i = 0; i < set->n * n; i++) {
        struct t3d_generator_pixel p = t3d_generator_pixel(c, (int)(i % n));

        t3di_pixel_ray(&set->camera[i / n], c->side, p.y, p.x, out->ray + 6 * i,
                       out->origin + 3 * i);
    }
    return T3D_OK;
}

void t3d_view_rays_free(struct t3d_view_rays *r)
{
    free(r->ray);
    free(r->origin);
}

void t3d_reconstructor_place(struct t3d_graph *g, const struct t3d_reconstructor *m,
                             const struct t3d_view_rays *rays, int i, const int view[VIEWS])
{
    size_t n = rays->pixels;
    t3d_real *ray = (t3d_real *)t3d_graph_data(g, m->ray) + 6 * VIEWS * n * (size_t)i,
             *origin = (t3d_real *)t3d_graph_data(g, m->origin) + 3 * VIEWS * n * (size_t)i;

    for (size_t k = 0; k < VIEWS; k++) {
        memcpy(ray + 6 * n * k, rays->ray + 6 * n * (size_t)view[k], 6 * n * sizeof *ray);
        memcpy(origin + 3 * n * k, rays->origin + 3 * n * (size_t)view[k], 3 * n * sizeof *origin);
    }
}
