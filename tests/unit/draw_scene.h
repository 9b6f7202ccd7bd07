/* SPDX-License-Identifier: Apache-2.0 */
/* Small scenes built in memory for the tests and benchmarks of draw. */
#ifndef T3D_TESTS_DRAW_SCENE_H
#define T3D_TESTS_DRAW_SCENE_H

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "draw/draw.h"

#define DS_UNUSED static inline __attribute__((unused))

/* Room for one draw of nv vertices and nt triangles with normals, uv and (on request) colours. */
struct ds {
    struct t3d_arena a;
    struct t3d_scene s;
    struct t3d_draw draw[8];
    struct t3d_material material[8];
    struct t3d_picture image[8];
};

DS_UNUSED struct t3d_material ds_material(float r, float g, float b, float metallic,
                                          float roughness)
{
    struct t3d_material m = {.base = {r, g, b, 1},
                             .metallic = metallic,
                             .roughness = roughness,
                             .normal_scale = 1,
                             .occlusion_strength = 1,
                             .alpha_cutoff = .5f};
    for (int k = 0; k < T3D_TEX_COUNT; k++)
        m.texture[k] = (struct t3d_texture){.image = -1, .transform = {1, 0, 0, 0, 1, 0}};
    return m;
}

DS_UNUSED void ds_init(struct ds *d, uint32_t vertices, uint32_t triangles)
{
    memset(d, 0, sizeof *d);
    d->s.position = t3d_alloc(&d->a, vertices, sizeof *d->s.position);
    d->s.normal = t3d_alloc(&d->a, vertices, sizeof *d->s.normal);
    d->s.color = t3d_alloc(&d->a, vertices, sizeof *d->s.color);
    d->s.uv[0] = t3d_alloc(&d->a, vertices, sizeof *d->s.uv[0]);
    d->s.triangle = t3d_alloc(&d->a, triangles, sizeof *d->s.triangle);
    d->s.draw = d->draw;
    d->s.material = d->material;
    d->s.image = d->image;
    for (uint32_t k = 0; k < vertices; k++)
        for (int j = 0; j < 4; j++)
            d->s.color[k][j] = 1;
}

DS_UNUSED void ds_free(struct ds *d)
{
    t3d_arena_free(&d->a);
}

DS_UNUSED uint32_t ds_vertex(struct ds *d, float x, float y, float z, float nx, float ny, float nz,
                             float u, float v)
{
    uint32_t k = d->s.n_vertices++;
    float p[3] = {x, y, z}, n[3] = {nx, ny, nz};
    memcpy(d->s.position[k], p, sizeof p);
    memcpy(d->s.normal[k], n, sizeof n);
    d->s.uv[0][k][0] = u;
    d->s.uv[0][k][1] = v;
    return k;
}

DS_UNUSED void ds_triangle(struct ds *d, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t *t = d->s.triangle[d->s.n_triangles++];
    t[0] = a, t[1] = b, t[2] = c;
}

/* Everything since the last call becomes a draw with a material of its own. */
DS_UNUSED struct t3d_material *ds_draw(struct ds *d, struct t3d_material m, uint32_t flags)
{
    struct t3d_draw *w = &d->draw[d->s.n_draws], *last = w - 1;
    w->first_triangle = d->s.n_draws ? last->first_triangle + last->n_triangles : 0;
    w->first_vertex = d->s.n_draws ? last->first_vertex + last->n_vertices : 0;
    w->n_triangles = d->s.n_triangles - w->first_triangle;
    w->n_vertices = d->s.n_vertices - w->first_vertex;
    w->material = d->s.n_materials++;
    w->flags = flags;
    d->material[w->material] = m;
    return &d->material[d->draw[d->s.n_draws++].material];
}

/* Unit sphere, n x 2n quads, uv once around. */
DS_UNUSED void ds_sphere(struct ds *d, int n, float radius)
{
    uint32_t first = d->s.n_vertices, row = 2 * (uint32_t)n + 1;
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= 2 * n; j++) {
            double a = M_PI * i / n, b = M_PI * j / n;
            float p[3] = {(float)(sin(a) * sin(b)), (float)cos(a), (float)(sin(a) * cos(b))};
            ds_vertex(d, radius * p[0], radius * p[1], radius * p[2], p[0], p[1], p[2],
                      (float)j / (2 * (float)n), (float)i / (float)n);
        }
    for (uint32_t i = 0; i < (uint32_t)n; i++)
        for (uint32_t j = 0; j < 2 * (uint32_t)n; j++) {
            uint32_t o = first + i * row + j;
            ds_triangle(d, o, o + row, o + 1);
            ds_triangle(d, o + 1, o + row, o + row + 1);
        }
}

/* Rectangle [-x, x] x [-y, y] at depth z facing +Z; uv (0, 0) at the upper left. */
DS_UNUSED void ds_quad(struct ds *d, float x, float y, float z)
{
    uint32_t a = ds_vertex(d, -x, y, z, 0, 0, 1, 0, 0), b = ds_vertex(d, -x, -y, z, 0, 0, 1, 0, 1);
    uint32_t c = ds_vertex(d, x, -y, z, 0, 0, 1, 1, 1), e = ds_vertex(d, x, y, z, 0, 0, 1, 1, 0);
    ds_triangle(d, a, b, c);
    ds_triangle(d, a, c, e);
}

DS_UNUSED uint8_t *ds_image(struct ds *d, uint32_t w, uint32_t h)
{
    struct t3d_picture *p = &d->image[d->s.n_images++];
    *p = (struct t3d_picture){.width = w, .height = h, .state = T3D_PICTURE_OK, .has_alpha = 1};
    p->pixels = t3d_alloc(&d->a, (size_t)w * h, 4);
    return p->pixels;
}

DS_UNUSED struct t3d_camera ds_camera(double azimuth, double elevation)
{
    struct t3d_camera c = {.azimuth_deg = azimuth,
                           .elevation_deg = elevation,
                           .distance = T3D_DEFAULT_DISTANCE,
                           .fov_deg = T3D_DEFAULT_FOV_DEG,
                           .near = 1.69,
                           .far = 3.71};
    t3d_camera_place(&c);
    return c;
}

static const struct t3d_normalisation ds_identity __attribute__((unused)) = {{0, 0, 0}, 1};

#endif
