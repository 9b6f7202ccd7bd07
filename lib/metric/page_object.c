/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/page_object.h"

#include <math.h>
#include <string.h>

#include "base/defs.h"
#include "base/file.h"
#include "base/walk.h"
#include "geom/gaussians.h"
#include "geom/import.h"
#include "geom/read.h"
#include "image/colour.h"
#include "image/png.h"
#include "image/resize.h"
#include "metric/page_poster_impl.h"
#include "metric/geometry.h"

enum { MAX_TEXTURE = 512 };

static uint16_t u16_of(double v, float lo, float extent)
{
    double t = extent > 0 ? (v - (double)lo) / (double)extent : 0;

    return (uint16_t)T3D_CLAMP(floor(65535 * t + .5), 0, 65535);
}

static uint8_t u8_of(double v)
{
    return (uint8_t)T3D_CLAMP(floor(255 * v + .5), 0, 255);
}

/* Numbers are stored little-endian, whatever the machine. */
static uint8_t *put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    return p + 2;
}

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    return put_u16(put_u16(p, (uint16_t)v), (uint16_t)(v >> 16));
}

/* --- splats ---------------------------------------------------------------------------------- */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static int drawable(const struct t3d_gaussians *g, size_t i)
{
    double length = 0;

    for (size_t k = 0; k < 3; k++)
        if (!isfinite(g->xyz[3 * i + k]) || !isfinite(g->log_scale[3 * i + k]) ||
            !isfinite(g->rgb[3 * i + k]))
            return 0;
    for (size_t k = 0; k < 4; k++)
        length += (double)g->quaternion[4 * i + k] * (double)g->quaternion[4 * i + k];
    /* nothing below 1/255 is drawn (draw/splat.h) */
    return isfinite(length) && length > 0 && sigmoid((double)g->opacity[i]) * 255 >= 1;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Objects of t3d lie in the unit sphere and stay as they are. Those of others are brought into it:
 * about the medians of the coordinates, by the distance within which 95 % lie, so that what floats
 * far away does not count. */
static int frame_of(double centre[3], double *scale, const struct t3d_gaussians *g,
                    struct t3d_arena *a, struct t3d_err *err)
{
    float *v = t3d_alloc_raw(a, g->n + 1, sizeof *v);
    double radius;

    memset(centre, 0, 3 * sizeof *centre);
    *scale = 1;
    if (!v)
        return t3d_err_nomem(err, "an object of the page");
    for (int about_median = 0; about_median < 2 && g->n; about_median++) {
        for (size_t i = 0; i < g->n; i++) {
            double d = 0;

            for (size_t k = 0; k < 3; k++)
                d += pow((double)g->xyz[3 * i + k] - centre[k], 2);
            v[i] = (float)sqrt(d);
        }
        qsort(v, g->n, sizeof *v, by_value);
        radius = (double)v[(g->n - 1) * 95 / 100];
        if (about_median && radius > 0)
            *scale = 1 / radius;
        if (about_median || (radius > .2 && radius < 1.3))
            return T3D_OK;
        for (size_t k = 0; k < 3; k++) {
            for (size_t i = 0; i < g->n; i++)
                v[i] = g->xyz[3 * i + k];
            qsort(v, g->n, sizeof *v, by_value);
            centre[k] = (double)v[g->n / 2];
        }
    }
    return T3D_OK;
}

/* Those that can be drawn, in the frame of the page. */
static int normalise(struct t3d_gaussians *out, const struct t3d_gaussians *g, struct t3d_arena *a,
                     struct t3d_err *err)
{
    float *xyz = t3d_alloc_raw(a, 3 * g->n + 1, sizeof *xyz),
          *scale = t3d_alloc_raw(a, 3 * g->n + 1, sizeof *scale),
          *q = t3d_alloc_raw(a, 4 * g->n + 1, sizeof *q),
          *opacity = t3d_alloc_raw(a, g->n + 1, sizeof *opacity),
          *rgb = t3d_alloc_raw(a, 3 * g->n + 1, sizeof *rgb);
    double centre[3], s;
    size_t n = 0;
    int r;

    if (!xyz || !scale || !q || !opacity || !rgb)
        return t3d_err_nomem(err, "an object of the page");
    for (size_t i = 0; i < g->n; i++) {
        if (!drawable(g, i))
            continue;
        memcpy(xyz + 3 * n, g->xyz + 3 * i, 3 * sizeof *xyz);
        memcpy(scale + 3 * n, g->log_scale + 3 * i, 3 * sizeof *scale);
        memcpy(q + 4 * n, g->quaternion + 4 * i, 4 * sizeof *q);
        memcpy(rgb + 3 * n, g->rgb + 3 * i, 3 * sizeof *rgb);
        opacity[n++] = g->opacity[i];
    }
    *out = (struct t3d_gaussians){n, xyz, scale, q, opacity, rgb};
    r = frame_of(centre, &s, out, a, err);
    for (size_t i = 0; i < 3 * n && r == T3D_OK; i++) {
        xyz[i] = (float)(((double)xyz[i] - centre[i % 3]) * s);
        scale[i] += (float)log(s);
    }
    return r;
}

static void box_of(float *lo, float *extent, const float *v, size_t n, size_t width)
{
    for (size_t k = 0; k < width; k++) {
        float low = n ? v[k] : 0, high = low;

        for (size_t i = 1; i < n; i++) {
            low = fminf(low, v[width * i + k]);
            high = fmaxf(high, v[width * i + k]);
        }
        lo[k] = low;
        extent[k] = high - low;
    }
}

/* x y z of the unit quaternion, turned so that w >= 0. */
static uint8_t *put_rotation(uint8_t *p, const float q[4])
{
    double length = 0, sign = q[0] < 0 ? -1 : 1;

    for (int k = 0; k < 4; k++)
        length += (double)q[k] * (double)q[k];
    for (int k = 1; k < 4; k++)
        p = put_u16(p, (uint16_t)(int16_t)lrint(32767 * sign * (double)q[k] / sqrt(length)));
    return p;
}

static void pack_splats(struct t3d_page_object *o, uint8_t *p, const struct t3d_gaussians *g)
{
    for (size_t i = 0; i < 3 * g->n; i++)
        p = put_u16(p, u16_of((double)g->xyz[i], o->lo[i % 3], o->extent[i % 3]));
    for (size_t i = 0; i < 3 * g->n; i++)
        p = put_u16(p, u16_of((double)g->log_scale[i], o->scale[0], o->scale[1] - o->scale[0]));
    for (size_t i = 0; i < g->n; i++)
        p = put_rotation(p, g->quaternion + 4 * i);
    for (size_t i = 0; i < g->n; i++) {
        for (size_t k = 0; k < 3; k++)
            *p++ = u8_of((double)g->rgb[3 * i + k]);
        *p++ = u8_of(sigmoid((double)g->opacity[i]));
    }
}

int t3d_page_object_splats(struct t3d_page_object *o, const struct t3d_gaussians *g, int threads,
                           struct t3d_err *err)
{
    struct t3d_gaussians kept;
    uint8_t *data;
    int r = normalise(&kept, g, &o->arena, err);

    if (r < 0)
        return r;
    o->splats = 1;
    o->n = kept.n;
    o->size = 22 * kept.n;
    o->data = data = t3d_alloc_raw(&o->arena, o->size + 1, 1);
    if (!data)
        return t3d_err_nomem(err, "an object of the page");
    box_of(o->lo, o->extent, kept.xyz, kept.n, 3);
    box_of(o->scale, o->scale + 1, kept.log_scale, 3 * kept.n, 1);
    o->scale[1] += o->scale[0];
    pack_splats(o, data, &kept);
    return t3di_poster_splats(&o->poster, &kept, threads, &o->arena, err);
}

/* --- meshes ---------------------------------------------------------------------------------- */

/* The base-colour texture's coordinates of every vertex, as its material looks it up; the same
 * for all draws of a vertex, since vertices belong to one draw. */
static int coordinates_of(float (**out)[2], const struct t3d_scene *s, struct t3d_arena *a,
                          struct t3d_err *err)
{
    float(*uv)[2] = t3d_alloc(a, s->n_vertices + 1, sizeof *uv);

    *out = uv;
    if (!uv)
        return t3d_err_nomem(err, "an object of the page");
    for (uint32_t d = 0; d < s->n_draws; d++) {
        const struct t3d_draw *draw = &s->draw[d];
        const struct t3d_texture *t = &s->material[draw->material].texture[T3D_TEX_BASE];

        if (t->image < 0 || !s->uv[t->uv])
            continue;
        for (uint32_t i = draw->first_vertex; i < draw->first_vertex + draw->n_vertices; i++) {
            const float *from = s->uv[t->uv][i];

            uv[i][0] = t->transform[0] * from[0] + t->transform[1] * from[1] + t->transform[2];
            uv[i][1] = t->transform[3] * from[0] + t->transform[4] * from[1] + t->transform[5];
        }
    }
    return T3D_OK;
}

static uint8_t *put_vertices(const struct t3d_page_object *o, uint8_t *p, const struct t3d_scene *s,
                             const struct t3d_normalisation *n, float (*const uv)[2])
{
    for (uint32_t i = 0; i < s->n_vertices; i++)
        for (int k = 0; k < 3; k++)
            p = put_u16(p, u16_of(((double)s->position[i][k] - n->centre[k]) * n->scale, o->lo[k],
                                  o->extent[k]));
    for (uint32_t i = 0; i < s->n_vertices; i++)
        for (int k = 0; k < 2; k++)
            p = put_u16(p, u16_of((double)uv[i][k], o->uv[k], o->uv[2 + k]));
    for (uint32_t i = 0; i < s->n_vertices; i++)
        for (int k = 0; k < 4; k++) {
            float c = s->color ? s->color[i][k] : 1;

            *p++ = u8_of((double)(k < 3 ? t3d_linear_to_srgb(c) : c));
        }
    for (uint32_t i = 0; i < s->n_vertices; i++)
        for (int k = 0; k < 3; k++)
            *p++ =
                (uint8_t)(int8_t)(s->normal ? lrintf(127 * T3D_CLAMP(s->normal[i][k], -1, 1)) : 0);
    return p;
}

/* The box of the normalised vertices. */
static void mesh_box(struct t3d_page_object *o, const struct t3d_scene *s,
                     const struct t3d_normalisation *n)
{
    box_of(o->lo, o->extent, s->position[0], s->n_vertices, 3);
    for (int k = 0; k < 3; k++) {
        o->lo[k] = (float)(((double)o->lo[k] - n->centre[k]) * n->scale);
        o->extent[k] = (float)((double)o->extent[k] * n->scale);
    }
}

/* A picture in at most MAX_TEXTURE pixels a side, as PNG in the arena. Repeating needs no power of
 * two in WebGL 2. */
static int put_texture(struct t3d_page_png *out, const struct t3d_picture *picture,
                       struct t3d_arena *a, struct t3d_err *err)
{
    uint32_t w = T3D_MIN(picture->width, (uint32_t)MAX_TEXTURE),
             h = T3D_MIN(picture->height, (uint32_t)MAX_TEXTURE);
    const uint8_t *pixels = picture->pixels;
    uint8_t *small;

    if (w != picture->width || h != picture->height) {
        int r;

        small = t3d_alloc_raw(a, (size_t)w * h, 4);
        if (!small)
            return t3d_err_nomem(err, "a texture of the page");
        r = t3d_resize(small, w, h, pixels, picture->width, picture->height, 4, T3D_FILTER_BOX, a,
                       err);
        if (r < 0)
            return r;
        pixels = small;
    }
    return t3di_png_in_arena(out, pixels, w, h, a, err);
}

/* The textures that draws use, each once. */
static int put_textures(struct t3d_page_object *o, int *number, const struct t3d_scene *s,
                        struct t3d_err *err)
{
    struct t3d_page_png *texture = t3d_alloc(&o->arena, s->n_images + 1, sizeof *texture);

    o->texture = texture;
    if (!texture)
        return t3d_err_nomem(err, "an object of the page");
    for (uint32_t i = 0; i < s->n_images; i++)
        number[i] = -1;
    for (uint32_t d = 0; d < s->n_draws; d++) {
        int image = s->material[s->draw[d].material].texture[T3D_TEX_BASE].image, r;

        if (image < 0 || number[image] >= 0 || s->image[image].state != T3D_PICTURE_OK ||
            !s->image[image].pixels)
            continue;
        number[image] = (int)o->n_textures;
        r = put_texture(&texture[o->n_textures++], &s->image[image], &o->arena, err);
        if (r < 0)
            return r;
    }
    return T3D_OK;
}

static int put_draws(struct t3d_page_object *o, const struct t3d_scene *s, struct t3d_err *err)
{
    struct t3d_page_draw *draw = t3d_alloc(&o->arena, s->n_draws + 1, sizeof *draw);
    int *number = t3d_alloc(&o->arena, s->n_images + 1, sizeof *number);
    int r = draw && number ? put_textures(o, number, s, err)
                           : t3d_err_nomem(err, "an object of the page");

    if (r < 0)
        return r;
    o->draw = draw;
    o->n_draws = s->n_draws;
    for (uint32_t d = 0; d < s->n_draws; d++) {
        const struct t3d_material *m = &s->material[s->draw[d].material];
        int image = m->texture[T3D_TEX_BASE].image;

        draw[d] = (struct t3d_page_draw){
            .first = 3 * s->draw[d].first_triangle,
            .count = 3 * s->draw[d].n_triangles,
            .texture = image >= 0 ? number[image] : -1,
            .cutoff = m->alpha_mode == T3D_ALPHA_MASK ? m->alpha_cutoff : 0,
            .flat = !s->normal || !(s->draw[d].flags & T3D_HAS_NORMAL),
            .blended = m->alpha_mode == T3D_ALPHA_BLEND,
        };
        memcpy(draw[d].factor, m->base, sizeof draw[d].factor);
        if (m->alpha_mode == T3D_ALPHA_OPAQUE)
            draw[d].factor[3] = 1;
    }
    return T3D_OK;
}

int t3d_page_object_mesh(struct t3d_page_object *o, const struct t3d_scene *s, struct t3d_err *err)
{
    size_t vertices = ((size_t)17 * s->n_vertices + 3) / 4 * 4;
    struct t3d_normalisation n;
    float(*uv)[2] = NULL;
    uint8_t *p;
    int r = t3d_scene_normalisation(s, &n, err);

    if (r == T3D_OK)
        r = coordinates_of(&uv, s, &o->arena, err);
    if (r == T3D_OK)
        r = put_draws(o, s, err);
    if (r < 0)
        return r;
    o->n = s->n_vertices;
    o->size = vertices + (size_t)12 * s->n_triangles;
    o->data = p = t3d_alloc(&o->arena, o->size, 1);
    if (!p)
        return t3d_err_nomem(err, "an object of the page");
    mesh_box(o, s, &n);
    box_of(o->uv, o->uv + 2, uv[0], s->n_vertices, 2);
    put_vertices(o, p, s, &n, uv);
    p += vertices;
    for (uint32_t t = 0; t < s->n_triangles; t++)
        for (int k = 0; k < 3; k++)
            p = put_u32(p, s->triangle[t][k]);
    return t3di_poster_mesh(&o->poster, s, &o->arena, err);
}

/* --- files ----------------------------------------------------------------------------------- */

/* Points as grey balls, small beside the box. */
static int load_cloud(struct t3d_page_object *o, const struct t3d_points *points, int threads,
                      struct t3d_err *err)
{
    size_t n = points->n;
    float *v = t3d_alloc(&o->arena, 14 * n + 1, sizeof *v);
    struct t3d_gaussians g = {n, v, v + 3 * n, v + 6 * n, v + 10 * n, v + 11 * n};
    float lo[3] = {0}, extent[3] = {0};
    double radius;

    if (!v)
        return t3d_err_nomem(err, "an object of the page");
    if (n)
        box_of(lo, extent, points->point[0], n, 3);
    radius = hypot(hypot((double)extent[0], (double)extent[1]), (double)extent[2]) / 2;
    for (size_t i = 0; i < n; i++) {
        memcpy(v + 3 * i, points->point[i], 3 * sizeof *v);
        v[6 * n + 4 * i] = 1;
        v[10 * n + i] = 3;
        for (size_t k = 0; k < 3; k++) {
            v[3 * n + 3 * i + k] = (float)log(fmax(radius, 1e-6) / 150);
            v[11 * n + 3 * i + k] = .45f;
        }
    }
    return t3d_page_object_splats(o, &g, threads, err);
}

/* The file with what is beside it. */
static int import(struct t3d_imported *out, struct t3d_importer *importer, const char *path,
                  struct t3d_err *err)
{
    size_t n = (size_t)(t3d_path_base(path) - path);
    char *folder = n ? strndup(path, n) : strdup(".");
    int r = T3D_OK;

    if (!folder)
        return t3d_err_nomem(err, path);
    r = t3d_import(importer, 0, path, t3d_import_resolve_folder, folder, T3D_READ_PIXELS, out, err);
    free(folder);
    return r;
}

static int load_scene(struct t3d_page_object *o, const struct t3d_scene *s, int threads,
                      struct t3d_err *err)
{
    const struct t3d_points points = {.n = s->n_vertices, .point = s->position};

    if (s->n_gaussians) {
        const struct t3d_gaussians g = t3d_gaussians_in(s->gaussian, s->n_gaussians);

        return t3d_page_object_splats(o, &g, threads, err);
    }
    if (s->n_triangles || !s->n_vertices)
        return t3d_page_object_mesh(o, s, err);
    return load_cloud(o, &points, threads, err);
}

static int load_npy(struct t3d_page_object *o, struct t3d_importer *importer, const char *path,
                    int threads, struct t3d_err *err)
{
    struct t3d_geometry shape;
    int r = t3d_geometry_open(&shape, importer, 0, path, T3D_READ_HEADERS, err);

    if (r < 0)
        return r;
    r = load_cloud(o, &shape.points, threads, err);
    t3d_geometry_close(&shape);
    return r;
}

int t3d_page_object_load(struct t3d_page_object *o, struct t3d_importer *importer, const char *path,
                         int threads, struct t3d_err *err)
{
    struct t3d_imported imported;
    int r;

    if (t3d_ending_in(path, "npy"))
        return load_npy(o, importer, path, threads, err);
    r = import(&imported, importer, path, err);
    if (r < 0)
        return r;
    r = load_scene(o, &imported.scene, threads, err);
    t3d_imported_close(&imported);
    return r;
}

void t3d_page_object_free(struct t3d_page_object *o)
{
    t3d_arena_free(&o->arena);
}

size_t t3d_page_object_bytes(const struct t3d_page_object *o)
{
    size_t n = o->size + o->poster.size;

    for (size_t i = 0; i < o->n_textures; i++)
        n += o->texture[i].size;
    return n * 4 / 3 + 1024;
}
