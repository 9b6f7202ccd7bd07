/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "draw/draw.h"
#include "draw/splat_views.h"
#include "image/png.h"
#include "metric/page_poster_impl.h"

enum { SIDE = 256 };
#define VIEWPOINT                                                                                  \
    {                                                                                              \
        .azimuth_deg = 30, .elevation_deg = 20, .distance = T3D_DEFAULT_DISTANCE,                  \
        .fov_deg = T3D_DEFAULT_FOV_DEG                                                             \
    }

int t3di_png_in_arena(struct t3d_page_png *out, const uint8_t *pixels, uint32_t w, uint32_t h,
                      struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_png_writer *writer;
    const uint8_t *png;
    uint8_t *copy;
    size_t size;
    int r = t3d_png_writer_new(&writer, err);

    if (r < 0)
        return r;
    r = t3d_png_encode(writer, pixels, w, h, 4, 8, NULL, 0, &png, &size, err);
    if (r == T3D_OK) {
        copy = t3d_alloc_raw(a, size, 1);
        if (copy)
            memcpy(copy, png, size);
        else
            r = t3d_err_nomem(err, "a picture of the page");
        *out = (struct t3d_page_png){copy, size};
    }
    t3d_png_writer_free(writer);
    return r;
}

int t3di_poster_splats(struct t3d_page_png *out, const struct t3d_gaussians *g, int threads,
                       struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_camera camera = VIEWPOINT;
    const struct t3d_view_set set = {.n = 1, .camera = &camera};
    struct t3d_splat_picture picture;
    int r;

    t3d_camera_place(&camera);
    r = t3d_splat_views(&picture, g, &set, SIDE, threads, a, err);
    return r == T3D_OK ? t3di_png_in_arena(out, picture.rgba, SIDE, SIDE, a, err) : r;
}

int t3di_poster_mesh(struct t3d_page_png *out, const struct t3d_scene *s, struct t3d_arena *a,
                     struct t3d_err *err)
{
    struct t3d_camera camera = VIEWPOINT;
    struct t3d_canvas *canvas = NULL;
    struct t3d_model *model = NULL;
    struct t3d_normalisation n;
    int r = t3d_scene_normalisation(s, &n, err);

    t3d_camera_place(&camera);
    if (r == T3D_OK)
        r = t3d_model_new(&model, s, &n, err);
    if (r == T3D_OK)
        r = t3d_canvas_new(&canvas, SIDE, T3D_PASS_COLOR, err);
    if (r == T3D_OK)
        r = t3d_draw(canvas, model, &camera, t3d_light_find("studio"), err);
    if (r == T3D_OK)
        r = t3di_png_in_arena(out, canvas->color, SIDE, SIDE, a, err);
    t3d_canvas_free(canvas);
    t3d_model_free(model);
    return r;
}
