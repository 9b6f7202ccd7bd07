/* SPDX-License-Identifier: Apache-2.0 */
/* model/reconstructor.h -- four posed views to Gaussians, one for each of their pixels: the
 * generator's blocks without text and time, on pictures that are taken as they are (Zhang et al.,
 * "GS-LRM: Large Reconstruction Model for 3D Gaussian Splatting", 2024). Cameras are free: all that
 * the network knows of them are the rays.
 *
 * The same network learns by itself from pictures of which it sees a part of the patches alone
 * (`nerf_mae`, after Irshad et al., "NeRF-MAE", 2024): a hidden patch is its rays and a learned
 * vector. Parameters have the names of the generator's. */
#ifndef T3D_MODEL_RECONSTRUCTOR_H
#define T3D_MODEL_RECONSTRUCTOR_H

#include "model/generator.h"

/* "nano", "small", "base" or "large", or NULL; without text. */
const struct t3d_generator_config *t3d_reconstructor_size(const char *name);
/* hides: with the vector of hidden patches. */
int64_t t3d_reconstructor_params(const struct t3d_generator_config *c, int hides);

struct t3d_reconstructor {
    struct t3d_ref views;  /* (B, tokens, 3 patch^2) in [-1, 1], a patch as (patch, patch, 3) */
    struct t3d_ref hidden; /* (B, tokens, 1): 1 = not seen, its pixels are 0; else T3D_NONE */
    struct t3d_ref ray;    /* (B, gaussians, 6): o x d, d; the order of the views' pixels */
    struct t3d_ref origin; /* (B, gaussians, 3) */
    /* what it makes (B, gaussians, .), kept: as draw/splat.h takes them */
    struct t3d_ref xyz, log_scale, quaternion, opacity, rgb;
};

/* Into g, which is not built yet; its initial weights are those of t3d_generator_init. */
struct t3d_reconstructor t3d_reconstructor_build(struct t3d_graph *g,
                                                 const struct t3d_generator_config *c, int batch,
                                                 int hides);

/* Rays of every camera of a set, in the order of a view's patches: ray (n, side^2, 6), origin (n,
 * side^2, 3); freed by t3d_view_rays_free. */
struct t3d_view_rays {
    t3d_real *ray, *origin;
    size_t pixels; /* of a view */
};
int t3d_view_rays_new(struct t3d_view_rays *out, const struct t3d_generator_config *c,
                      const struct t3d_view_set *set, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_view_rays_free(struct t3d_view_rays *r);
/* Those of sample i, whose input views have these numbers. */
void t3d_reconstructor_place(struct t3d_graph *g, const struct t3d_reconstructor *m,
                             const struct t3d_view_rays *rays, int i,
                             const int view[T3D_GENERATOR_VIEWS]);

/* config.json of a model "reconstructor" or "nerf_mae". */
cJSON *t3d_reconstructor_json(const struct t3d_generator_config *c, const char *model);
/* T3D_SKIP "bad-config" names the field. */
int t3d_reconstructor_from_json(struct t3d_generator_config *c, const cJSON *json,
                                struct t3d_err *err) T3D_MUST_CHECK;

#endif
