/* SPDX-License-Identifier: Apache-2.0 */
/* From a layout to a .glb file. */
#include <string.h>

#include "base/arena.h"
#include "geom/primitives_impl.h"
#include "geom/write_glb.h"
#include "image/png.h"

enum { SIDE = 64, DEPTH = 4 }; /* texture pixels; samples per pixel and axis */

static int is_second(int texture, int x, int y)
{
    int n = SIDE * DEPTH, dx = 2 * x + 1 - n, dy = 2 * y + 1 - n;

    switch (texture) {
    case T3DI_CHECKER:
        return (x < n / 2) != (y < n / 2);
    case T3DI_STRIPES:
        return y < n / 2;
    default: /* a dot of radius .28 */
        return (int64_t)dx * dx + (int64_t)dy * dy < (int64_t)(.56 * n * .56 * n);
    }
}

/* One tile, which repeats; edges are smoothed by averaging the sRGB codes. */
static void paint(uint8_t (*pixel)[3], const struct t3di_item *m)
{
    const uint8_t *first = t3di_color[m->color].srgb;
    const uint8_t *second = t3di_color[m->color == T3DI_WHITE ? T3DI_BLACK : T3DI_WHITE].srgb;
    int all = DEPTH * DEPTH;

    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            int n = 0;
            for (int i = 0; i < all; i++)
                n += is_second(m->texture, x * DEPTH + i % DEPTH, y * DEPTH + i / DEPTH);
            for (int k = 0; k < 3; k++)
                pixel[y * SIDE + x][k] =
                    (uint8_t)((first[k] * (all - n) + second[k] * n + all / 2) / all);
        }
}

static int encode(struct t3d_glb_image *image, const struct t3di_item *m, struct t3d_arena *a,
                  struct t3d_err *err)
{
    static const char mime[] = "image/png";
    uint8_t pixel[SIDE * SIDE][3];
    struct t3d_png_writer *w;
    const uint8_t *png;
    uint8_t *copy;
    size_t size;
    int r = t3d_png_writer_new(&w, err);

    if (r < 0)
        return r;
    paint(pixel, m);
    r = t3d_png_encode(w, pixel, SIDE, SIDE, 3, 8, NULL, 0, &png, &size, err);
    if (r == T3D_OK) {
        copy = t3d_alloc_raw(a, size, 1);
        if (copy)
            memcpy(copy, png, size);
        else
            r = t3d_err_nomem(err, "a texture");
        *image = (struct t3d_glb_image){copy, size, mime};
    }
    t3d_png_writer_free(w);
    return r;
}

static void make_material(struct t3d_material *m, const struct t3di_item *item)
{
    static const float usual[4] = {1, 1, 1, 1};

    *m = t3d_material_default();
    memcpy(m->base, usual, sizeof m->base);
    if (!item->texture)
        memcpy(m->base, t3di_color[item->color].linear, sizeof t3di_color[item->color].linear);
    m->metallic = item->finish == T3DI_METALLIC;
    m->roughness = (float)item->roughness;
}

struct parts {
    struct t3d_glb_mesh mesh[T3DI_MAX_ITEMS];
    struct t3d_material material[T3DI_MAX_ITEMS];
    const char *name[T3DI_MAX_ITEMS];
    struct t3d_glb_image image[T3DI_MAX_ITEMS];
    uint32_t n_images;
};

static int add_part(struct parts *s, uint32_t i, const struct t3di_item *item, struct t3d_arena *a,
                    struct t3d_err *err)
{
    struct t3d_glb_mesh *m = &s->mesh[i];
    struct t3di_part p;
    int r = t3di_part_build(&p, item, a, err);

    if (r < 0)
        return r;
    *m = (struct t3d_glb_mesh){
        .name = t3di_noun(item, a),
        .n_vertices = p.n_vertices,
        .n_triangles = p.n_triangles,
        .position = (const float(*)[3])p.position,
        .normal = (const float(*)[3])p.normal,
        .triangle = (const uint32_t(*)[3])p.triangle,
        .material = i,
    };
    s->name[i] = m->name;
    if (!m->name)
        return t3d_err_nomem(err, "a part's name");
    make_material(&s->material[i], item);
    if (!item->texture)
        return T3D_OK;
    m->uv[0] = (const float(*)[2])p.uv;
    s->material[i].texture[T3D_TEX_BASE].image = (int32_t)s->n_images;
    return encode(&s->image[s->n_images++], item, a, err);
}

int t3di_layout_write(const struct t3di_layout *l, const char *extras, const uint8_t **glb,
                      size_t *size, struct t3d_arena *a, struct t3d_err *err)
{
    struct parts s = {.n_images = 0};
    struct t3d_glb g = {.mesh = s.mesh,
                        .material = s.material,
                        .material_name = s.name,
                        .image = s.image,
                        .n_meshes = (uint32_t)l->n,
                        .n_materials = (uint32_t)l->n,
                        .extras = extras};
    uint8_t *data;
    int r = T3D_OK;

    for (int i = 0; r == T3D_OK && i < l->n; i++)
        r = add_part(&s, (uint32_t)i, &l->item[i], a, err);
    g.n_images = s.n_images;
    if (r == T3D_OK)
        r = t3d_write_glb(&g, a, &data, size, err);
    if (r == T3D_OK)
        *glb = data;
    return r;
}
