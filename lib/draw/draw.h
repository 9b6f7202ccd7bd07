/* SPDX-License-Identifier: Apache-2.0 */
/* draw/draw.h -- the PBR rasteriser: an object from one camera to pictures and measures.
 *
 *     struct t3d_model *m;
 *     t3d_model_new(&m, &scene, &normalisation, err);        mips, tangents: once per object
 *     t3d_canvas_new(&c, 512, T3D_PASS_COLOR | T3D_PASS_DEPTH, err);   once per thread
 *     t3d_draw(c, m, &camera, &light, err);                  fills c->color, ...
 *
 * glTF 2.0 appendix B (metallic-roughness), split-sum image-based light with an analytic
 * environment and multi-scatter (Fdez-Aguera 2019), linear light, Khronos PBR Neutral tone map,
 * several coverage samples per pixel; both sides of every triangle are drawn. Alpha: MASK is tested
 * per sample, BLEND is sorted back to front by triangle centre over the opaque picture (stated in
 * doc/formats.md). Pictures are a pure function of scene, camera, light and instruction-set class;
 * the threads of the caller change nothing. A canvas belongs to one thread; a model may be shared
 * by threads. */
#ifndef T3D_DRAW_DRAW_H
#define T3D_DRAW_DRAW_H

#include <stdint.h>

#include "geom/camera.h"
#include "geom/scene.h"

enum t3d_pass {
    T3D_PASS_COLOR = 1,
    T3D_PASS_DEPTH = 2,
    T3D_PASS_NORMAL = 4,
    T3D_PASS_ALBEDO = 8,
    T3D_PASS_METAL_ROUGH = 16
};

struct t3d_model;

/* The scene must stay valid while the model lives (textures are copied into mips). */
int t3d_model_new(struct t3d_model **out, const struct t3d_scene *s,
                  const struct t3d_normalisation *n, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_model_free(struct t3d_model *m);

/* Presets: "studio" (default: soft environment, key light, ambient occlusion from the environment),
 * "flat" (albedo only), "sun" (hard key light), "uniform" (white furnace-like environment). */
struct t3d_light;
const struct t3d_light *t3d_light_find(const char *name); /* NULL = unknown */
extern const char t3d_light_names[];                      /* space-separated, for option tables */

struct t3d_view_measures {
    double coverage; /* mean alpha */
    double luminance,
        contrast;      /* mean and standard deviation of linear luminance over covered pixels */
    double backfacing; /* share of covered samples whose front triangle faces away */
    double depth_min, depth_max; /* linear, of covered samples; 0 when none */
    double touches_border;       /* share of border pixels covered: > 0 means cropped */
};

struct t3d_canvas {
    uint32_t resolution;
    unsigned passes;
    uint8_t *color;  /* (H, W, 4) sRGB, straight alpha, colour bled under alpha 0 */
    uint16_t *depth; /* (H, W) linear: round(65535 (z - near) / (far - near)), 65535 = nothing */
    uint8_t *normal; /* (H, W, 4) world space, 127.5 n + 127.5; alpha = coverage */
    uint8_t *albedo; /* (H, W, 4) sRGB base colour; alpha = coverage */
    uint8_t *metal_rough; /* (H, W, 4) R 0, G roughness, B metallic; alpha = coverage */
    struct t3d_view_measures measures;
    void *impl;
};

int t3d_canvas_new(struct t3d_canvas **out, uint32_t resolution, unsigned passes,
                   struct t3d_err *err) T3D_MUST_CHECK;
void t3d_canvas_free(struct t3d_canvas *c);

int t3d_draw(struct t3d_canvas *c, const struct t3d_model *m, const struct t3d_camera *camera,
             const struct t3d_light *light, struct t3d_err *err) T3D_MUST_CHECK;

/* "avx512", "avx2" or "portable": what this process uses; T3D_ISA in the environment caps it. */
const char *t3d_draw_isa(void);

#endif
