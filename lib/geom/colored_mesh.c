/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/colored_mesh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "geom/write_glb.h"
#include "image/colour.h"

static char *extras_text(const struct t3d_origin *origin, size_t n)
{
    cJSON *o = cJSON_CreateObject();
    char *text;

    for (size_t i = 0; i < n; i++)
        t3d_json_set_str(o, origin[i].key, origin[i].value);
    text = o ? t3d_json_text(o, 0) : NULL;
    cJSON_Delete(o);
    return text;
}

int t3d_colored_mesh_glb(uint8_t **data, size_t *size, const struct t3d_colored_mesh *m,
                         const struct t3d_origin *origin, size_t n_origin, struct t3d_arena *a,
                         struct t3d_err *err)
{
    const struct t3d_glb_mesh mesh = {.n_vertices = m->mesh.n_vertices,
                                      .n_triangles = m->mesh.n_triangles,
                                      .position = (const float(*)[3])m->mesh.position,
                                      .normal = (const float(*)[3])m->normal,
                                      .color = (const float(*)[4])m->color,
                                      .triangle = (const uint32_t(*)[3])m->mesh.triangle};
    struct t3d_material material = t3d_material_default();
    struct t3d_glb glb = {.mesh = &mesh, .material = &material, .n_meshes = 1, .n_materials = 1};
    char *extras = extras_text(origin, n_origin);
    int r;

    if (!extras)
        return t3d_err_nomem(err, "a .glb file");
    material.metallic = 0;
    glb.asset_extras = extras;
    r = t3d_write_glb(&glb, a, data, size, err);
    free(extras);
    return r;
}

/* A comment is one line: what would end it, or go on in the next, becomes a space. */
static void put_comment(FILE *f, const struct t3d_origin *o)
{
    fprintf(f, "# %s: ", o->key);
    for (const char *p = o->value; *p; p++)
        fputc((unsigned char)*p < ' ' || *p == 127 || *p == '\\' ? ' ' : *p, f);
    fputc('\n', f);
}

static void put_rows(FILE *f, const struct t3d_colored_mesh *m)
{
    for (uint32_t i = 0; i < m->mesh.n_vertices; i++) {
        const float *p = m->mesh.position[i], *c = m->color[i];
        fprintf(f, "v %.7g %.7g %.7g %.4g %.4g %.4g\n", (double)p[0], (double)p[1], (double)p[2],
                (double)t3d_linear_to_srgb(c[0]), (double)t3d_linear_to_srgb(c[1]),
                (double)t3d_linear_to_srgb(c[2]));
    }
    for (uint32_t i = 0; i < m->mesh.n_vertices; i++) {
        const float *n = m->normal[i];
        fprintf(f, "vn %.4g %.4g %.4g\n", (double)n[0], (double)n[1], (double)n[2]);
    }
    for (uint32_t i = 0; i < m->mesh.n_triangles; i++) {
        const uint32_t *t = m->mesh.triangle[i], x = t[0] + 1, y = t[1] + 1, z = t[2] + 1;
        fprintf(f, "f %u//%u %u//%u %u//%u\n", x, x, y, y, z, z);
    }
}

int t3d_colored_mesh_obj(uint8_t **data, size_t *size, const struct t3d_colored_mesh *m,
                         const struct t3d_origin *origin, size_t n_origin, struct t3d_arena *a,
                         struct t3d_err *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    int failed = !f;

    *data = NULL;
    if (f) {
        fprintf(f, "# vertex colours are sRGB\n");
        for (size_t i = 0; i < n_origin; i++)
            put_comment(f, &origin[i]);
        put_rows(f, m);
        failed = ferror(f);
        failed |= fclose(f) != 0;
    }
    if (!failed && (*data = t3d_alloc_raw(a, n, 1)))
        memcpy(*data, text, *size = n);
    free(text);
    return *data ? T3D_OK : t3d_err_nomem(err, "an .obj file");
}
