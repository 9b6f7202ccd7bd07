/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/write_glb.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/arena.h"

enum {
    GL_UNSIGNED_SHORT = 5123,
    GL_UNSIGNED_INT = 5125,
    GL_FLOAT = 5126,
    GL_ARRAY_BUFFER = 34962,
    GL_ELEMENT_ARRAY_BUFFER = 34963,
    ATTRIBUTES = 4 + T3D_MAX_UV + 1 /* position, normal, tangent, colour, uv; indices */
};

/* One buffer view, which is also one accessor unless it holds a picture (components 0). */
struct view {
    const void *data;
    size_t size, offset; /* bytes; the offset is a multiple of 4 */
    uint32_t count, components;
    int type;    /* GL_FLOAT, ... */
    int narrow;  /* data are uint32_t to be stored as uint16_t */
    int bounded; /* POSITION: write min and max */
};

struct writer {
    FILE *json;
    struct t3d_err *err;
    const struct t3d_glb *g;
    struct view *view;
    uint32_t n_views, n_accessors;
    size_t bin;          /* bytes of the binary chunk */
    uint8_t sampler[18]; /* 1 + number of the sampler (wrap_s, wrap_t, nearest); 0 = not in use */
    int n_samplers, n_textures;
};

/* --- checks ----------------------------------------------------------------------------------- */

static int bad(struct writer *w, uint32_t i, const char *what)
{
    return t3d_err_set(w->err, T3D_USAGE, "bad-glb", "mesh %u: %s", i, what);
}

static int check_mesh(struct writer *w, uint32_t i)
{
    const struct t3d_glb_mesh *m = &w->g->mesh[i];

    if (!m->n_vertices || !m->n_triangles)
        return bad(w, i, "has no vertices or no triangles");
    if (m->material >= w->g->n_materials)
        return bad(w, i, "material is out of range");
    for (uint32_t t = 0; t < m->n_triangles; t++)
        for (int k = 0; k < 3; k++)
            if (m->triangle[t][k] >= m->n_vertices)
                return bad(w, i, "a triangle's index is out of range");
    for (uint32_t v = 0; v < m->n_vertices; v++)
        for (int k = 0; k < 3; k++)
            if (!isfinite(m->position[v][k]))
                return bad(w, i, "a position is not finite");
    for (int k = 1; k < T3D_MAX_UV; k++)
        if (m->uv[k] && !m->uv[k - 1])
            return bad(w, i, "a uv slot below a used one is empty");
    return T3D_OK;
}

static int check(struct writer *w)
{
    const struct t3d_glb *g = w->g;
    int r = T3D_OK;

    if (!g->n_meshes)
        return t3d_err_set(w->err, T3D_USAGE, "bad-glb", "there is no mesh");
    for (uint32_t i = 0; r == T3D_OK && i < g->n_meshes; i++)
        r = check_mesh(w, i);
    for (uint32_t i = 0; r == T3D_OK && i < g->n_materials; i++)
        for (int k = 0; k < T3D_TEX_COUNT; k++)
            if (g->material[i].texture[k].image >= (int64_t)g->n_images)
                r = t3d_err_set(w->err, T3D_USAGE, "bad-glb",
                                "material %u: texture %d names picture %d of %u", i, k,
                                g->material[i].texture[k].image, g->n_images);
    return r;
}

/* --- the binary chunk ------------------------------------------------------------------------- */

static void add_view(struct writer *w, struct view v)
{
    v.offset = w->bin;
    w->bin += (v.size + 3) & ~(size_t)3;
    w->view[w->n_views++] = v;
}

static void add_floats(struct writer *w, const void *data, uint32_t count, uint32_t components,
                       int bounded)
{
    if (data)
        add_view(w, (struct view){.data = data,
                                  .size = (size_t)count * components * sizeof(float),
                                  .count = count,
                                  .components = components,
                                  .type = GL_FLOAT,
                                  .bounded = bounded});
}

/* The order here is the order of the accessors, on which write_meshes counts. */
static void lay_out(struct writer *w)
{
    const struct t3d_glb *g = w->g;

    for (uint32_t i = 0; i < g->n_meshes; i++) {
        const struct t3d_glb_mesh *m = &g->mesh[i];
        uint32_t n = m->n_vertices;
        int narrow = n <= 65535; /* the index 65535 would be primitive restart */
        add_floats(w, m->position, n, 3, 1);
        add_floats(w, m->normal, n, 3, 0);
        add_floats(w, m->tangent, n, 4, 0);
        add_floats(w, m->color, n, 4, 0);
        for (int k = 0; k < T3D_MAX_UV; k++)
            add_floats(w, m->uv[k], n, 2, 0);
        add_view(w, (struct view){.data = m->triangle,
                                  .size = (size_t)m->n_triangles * 3 * (narrow ? 2 : 4),
                                  .count = m->n_triangles * 3,
                                  .components = 1,
                                  .type = narrow ? GL_UNSIGNED_SHORT : GL_UNSIGNED_INT,
                                  .narrow = narrow});
    }
    w->n_accessors = w->n_views;
    for (uint32_t i = 0; i < g->n_images; i++)
        add_view(w, (struct view){.data = g->image[i].data, .size = g->image[i].size});
}

static void copy_view(uint8_t *out, const struct view *v)
{
    if (v->narrow) {
        const uint32_t *from = v->data;
        for (uint32_t i = 0; i < v->count; i++) {
            out[2 * i] = (uint8_t)from[i];
            out[2 * i + 1] = (uint8_t)(from[i] >> 8);
        }
    } else if (v->size) {
        memcpy(out, v->data, v->size); /* floats and indices are little-endian, as this machine */
    }
}

/* --- JSON ------------------------------------------------------------------------------------- */

T3D_PRINTF(2, 3) static void put(struct writer *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(w->json, fmt, ap);
    va_end(ap);
}

static void put_string(struct writer *w, const char *s)
{
    fputc('"', w->json);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            put(w, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            put(w, "\\u%04x", (unsigned char)*s);
        else
            fputc(*s, w->json);
    }
    fputc('"', w->json);
}

/* The fewest digits that read back as the same float. */
static void put_float(struct writer *w, float v)
{
    char s[32];

    for (int digits = 1; digits <= FLT_DECIMAL_DIG; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, (double)v);
        if (strtof(s, NULL) == v)
            break;
    }
    fputs(s, w->json);
}

static void put_floats(struct writer *w, const char *key, const float *v, int n)
{
    put(w, "\"%s\":[", key);
    for (int i = 0; i < n; i++) {
        if (i)
            fputc(',', w->json);
        put_float(w, v[i]);
    }
    fputc(']', w->json);
}

static void put_named_float(struct writer *w, const char *key, float v)
{
    put(w, ",\"%s\":", key);
    put_float(w, v);
}

static void put_scene(struct writer *w)
{
    const struct t3d_glb *g = w->g;

    put(w, "{\"asset\":{\"version\":\"2.0\",\"generator\":\"t3d\"");
    if (g->asset_extras)
        put(w, ",\"extras\":%s", g->asset_extras);
    put(w, "},\"scene\":0,\"scenes\":[{\"nodes\":[");
    for (uint32_t i = 0; i < g->n_meshes; i++)
        put(w, "%s%u", i ? "," : "", i);
    put(w, "]");
    if (g->extras)
        put(w, ",\"extras\":%s", g->extras);
    put(w, "}],\"nodes\":[");
    for (uint32_t i = 0; i < g->n_meshes; i++) {
        put(w, "%s{\"mesh\":%u", i ? "," : "", i);
        if (g->mesh[i].name) {
            put(w, ",\"name\":");
            put_string(w, g->mesh[i].name);
        }
        put(w, "}");
    }
    put(w, "]");
}

static void put_mesh(struct writer *w, const struct t3d_glb_mesh *m, uint32_t *accessor)
{
    put(w, "{\"primitives\":[{\"attributes\":{\"POSITION\":%u", (*accessor)++);
    if (m->normal)
        put(w, ",\"NORMAL\":%u", (*accessor)++);
    if (m->tangent)
        put(w, ",\"TANGENT\":%u", (*accessor)++);
    if (m->color)
        put(w, ",\"COLOR_0\":%u", (*accessor)++);
    for (int k = 0; k < T3D_MAX_UV && m->uv[k]; k++)
        put(w, ",\"TEXCOORD_%d\":%u", k, (*accessor)++);
    put(w, "},\"indices\":%u,\"material\":%u}]", (*accessor)++, m->material);
    if (m->name) {
        put(w, ",\"name\":");
        put_string(w, m->name);
    }
    put(w, "}");
}

static void put_meshes(struct writer *w)
{
    uint32_t accessor = 0;

    put(w, ",\"meshes\":[");
    for (uint32_t i = 0; i < w->g->n_meshes; i++) {
        if (i)
            put(w, ",");
        put_mesh(w, &w->g->mesh[i], &accessor);
    }
    put(w, "]");
}

/* A reference to the next texture; put_textures walks the slots in the same order. */
static void put_texture_info(struct writer *w, const char *key, const struct t3d_texture *t,
                             const char *extra, float value)
{
    static const float identity[6] = {1, 0, 0, 0, 1, 0};
    const float *m = t->transform;

    put(w, "\"%s\":{\"index\":%d", key, w->n_textures++);
    if (t->uv)
        put(w, ",\"texCoord\":%d", t->uv);
    if (extra && value != 1)
        put_named_float(w, extra, value);
    if (memcmp(m, identity, sizeof identity) != 0) {
        /* KHR_texture_transform has offset, rotation r and scale s: t0 = sx cos r, t3 = -sx sin r,
         * t1 = sy sin r, t4 = sy cos r; a shear has no place in it. */
        float scale[2] = {hypotf(m[0], m[3]), hypotf(m[1], m[4])}, offset[2] = {m[2], m[5]};
        if (m[0] * m[4] - m[1] * m[3] < 0)
            scale[1] = -scale[1];
        put(w, ",\"extensions\":{\"KHR_texture_transform\":{");
        put_floats(w, "offset", offset, 2);
        put_named_float(w, "rotation", atan2f(-m[3], m[0]) + 0.0F);
        put(w, ",");
        put_floats(w, "scale", scale, 2);
        put(w, "}}");
    }
    put(w, "}");
}

static void put_slot(struct writer *w, const char *key, const struct t3d_material *m,
                     enum t3d_texture_slot slot, const char *extra, float value)
{
    if (m->texture[slot].image < 0)
        return;
    put(w, ",");
    put_texture_info(w, key, &m->texture[slot], extra, value);
}

static void put_emissive(struct writer *w, const struct t3d_material *m, float *strength)
{
    float factor[3];

    *strength = fmaxf(1, fmaxf(m->emissive[0], fmaxf(m->emissive[1], m->emissive[2])));
    for (int k = 0; k < 3; k++)
        factor[k] = m->emissive[k] / *strength;
    if (factor[0] != 0 || factor[1] != 0 || factor[2] != 0) {
        put(w, ",");
        put_floats(w, "emissiveFactor", factor, 3);
    }
}

static void put_spec_gloss(struct writer *w, const struct t3d_material *m)
{
    put(w, "\"KHR_materials_pbrSpecularGlossiness\":{");
    put_floats(w, "diffuseFactor", m->base, 4);
    put(w, ",");
    put_floats(w, "specularFactor", m->specular, 3);
    put_named_float(w, "glossinessFactor", m->glossiness);
    put_slot(w, "diffuseTexture", m, T3D_TEX_BASE, NULL, 1);
    put_slot(w, "specularGlossinessTexture", m, T3D_TEX_SPEC_GLOSS, NULL, 1);
    put(w, "}");
}

static void put_pbr(struct writer *w, const struct t3d_material *m)
{
    put(w, "\"pbrMetallicRoughness\":{");
    put_floats(w, "baseColorFactor", m->base, 4);
    put_named_float(w, "metallicFactor", m->metallic);
    put_named_float(w, "roughnessFactor", m->roughness);
    put_slot(w, "baseColorTexture", m, T3D_TEX_BASE, NULL, 1);
    put_slot(w, "metallicRoughnessTexture", m, T3D_TEX_METAL_ROUGH, NULL, 1);
    put(w, "}");
}

static void put_material(struct writer *w, const struct t3d_material *m, const char *name)
{
    float strength;
    int n = 0;

    put(w, "{\"doubleSided\":%s", m->double_sided ? "true" : "false");
    if (name) {
        put(w, ",\"name\":");
        put_string(w, name);
    }
    if (!m->spec_gloss) {
        put(w, ",");
        put_pbr(w, m);
    }
    put_emissive(w, m, &strength);
    if (m->alpha_mode != T3D_ALPHA_OPAQUE)
        put(w, ",\"alphaMode\":\"%s\"", m->alpha_mode == T3D_ALPHA_MASK ? "MASK" : "BLEND");
    if (m->alpha_mode == T3D_ALPHA_MASK)
        put_named_float(w, "alphaCutoff", m->alpha_cutoff);
    if (m->spec_gloss || m->unlit || strength > 1) {
        put(w, ",\"extensions\":{");
        if (m->spec_gloss && ++n)
            put_spec_gloss(w, m);
        if (m->unlit)
            put(w, "%s\"KHR_materials_unlit\":{}", n++ ? "," : "");
        if (strength > 1) {
            put(w, "%s\"KHR_materials_emissive_strength\":{\"emissiveStrength\":", n ? "," : "");
            put_float(w, strength);
            put(w, "}");
        }
        put(w, "}");
    }
    put_slot(w, "normalTexture", m, T3D_TEX_NORMAL, "scale", m->normal_scale);
    put_slot(w, "occlusionTexture", m, T3D_TEX_OCCLUSION, "strength", m->occlusion_strength);
    put_slot(w, "emissiveTexture", m, T3D_TEX_EMISSIVE, NULL, 1);
    put(w, "}");
}

static void put_materials(struct writer *w)
{
    const struct t3d_glb *g = w->g;

    if (!g->n_materials)
        return;
    put(w, ",\"materials\":[");
    for (uint32_t i = 0; i < g->n_materials; i++) {
        if (i)
            put(w, ",");
        put_material(w, &g->material[i], g->material_name ? g->material_name[i] : NULL);
    }
    put(w, "]");
}

static void put_texture(struct writer *w, const struct t3d_texture *t, int *n)
{
    int kind = (t->wrap_s % 3 * 3 + t->wrap_t % 3) * 2 + (t->nearest != 0);
    int webp = strcmp(w->g->image[t->image].mime, "image/webp") == 0;

    if (!w->sampler[kind])
        w->sampler[kind] = (uint8_t)++w->n_samplers;
    put(w, "%s{\"sampler\":%d,", (*n)++ ? "," : "", w->sampler[kind] - 1);
    if (webp)
        put(w, "\"extensions\":{\"EXT_texture_webp\":{\"source\":%d}}}", t->image);
    else
        put(w, "\"source\":%d}", t->image);
}

/* In the order in which put_material numbered them. */
static void put_textures(struct writer *w)
{
    static const uint8_t order[] = {T3D_TEX_BASE,   T3D_TEX_METAL_ROUGH, T3D_TEX_SPEC_GLOSS,
                                    T3D_TEX_NORMAL, T3D_TEX_OCCLUSION,   T3D_TEX_EMISSIVE};
    int n = 0;

    put(w, ",\"textures\":[");
    for (uint32_t i = 0; i < w->g->n_materials; i++) {
        const struct t3d_material *m = &w->g->material[i];
        for (size_t k = 0; k < T3D_COUNT(order); k++) {
            int unused = order[k] == (m->spec_gloss ? T3D_TEX_METAL_ROUGH : T3D_TEX_SPEC_GLOSS);
            if (!unused && m->texture[order[k]].image >= 0)
                put_texture(w, &m->texture[order[k]], &n);
        }
    }
    put(w, "]");
}

static void put_samplers(struct writer *w)
{
    static const int wrap[3] = {10497, 33071, 33648}; /* REPEAT, CLAMP_TO_EDGE, MIRRORED_REPEAT */

    put(w, ",\"samplers\":[");
    for (int i = 1; i <= w->n_samplers; i++) {
        const uint8_t *at = memchr(w->sampler, i, sizeof w->sampler);
        int kind = (int)(at - w->sampler), nearest = kind & 1;
        put(w, "%s{\"magFilter\":%d,\"minFilter\":%d,\"wrapS\":%d,\"wrapT\":%d}", i > 1 ? "," : "",
            nearest ? 9728 : 9729, nearest ? 9986 : 9987, wrap[kind / 6], wrap[kind / 2 % 3]);
    }
    put(w, "]");
}

static void put_images(struct writer *w)
{
    if (!w->n_textures)
        return;
    put_textures(w);
    put_samplers(w);
    put(w, ",\"images\":[");
    for (uint32_t i = 0; i < w->g->n_images; i++)
        put(w, "%s{\"bufferView\":%u,\"mimeType\":\"%s\"}", i ? "," : "", w->n_accessors + i,
            w->g->image[i].mime);
    put(w, "]");
}

static void put_bounds(struct writer *w, const struct view *v)
{
    const float(*p)[3] = v->data;
    float lo[3], hi[3];

    memcpy(lo, p[0], sizeof lo);
    memcpy(hi, p[0], sizeof hi);
    for (uint32_t i = 1; i < v->count; i++)
        for (int k = 0; k < 3; k++) {
            lo[k] = fminf(lo[k], p[i][k]);
            hi[k] = fmaxf(hi[k], p[i][k]);
        }
    put(w, ",");
    put_floats(w, "min", lo, 3);
    put(w, ",");
    put_floats(w, "max", hi, 3);
}

static void put_buffers(struct writer *w)
{
    static const char *const type[] = {"", "SCALAR", "VEC2", "VEC3", "VEC4"};

    put(w, ",\"accessors\":[");
    for (uint32_t i = 0; i < w->n_accessors; i++) {
        const struct view *v = &w->view[i];
        put(w, "%s{\"bufferView\":%u,\"componentType\":%d,\"count\":%u,\"type\":\"%s\"",
            i ? "," : "", i, v->type, v->count, type[v->components]);
        if (v->bounded)
            put_bounds(w, v);
        put(w, "}");
    }
    put(w, "],\"bufferViews\":[");
    for (uint32_t i = 0; i < w->n_views; i++) {
        const struct view *v = &w->view[i];
        put(w, "%s{\"buffer\":0,\"byteOffset\":%zu,\"byteLength\":%zu", i ? "," : "", v->offset,
            v->size);
        if (v->components)
            put(w, ",\"target\":%d",
                v->components == 1 ? GL_ELEMENT_ARRAY_BUFFER : GL_ARRAY_BUFFER);
        put(w, "}");
    }
    put(w, "],\"buffers\":[{\"byteLength\":%zu}]", w->bin);
}

struct extension {
    const char *name;
    int used, required;
};

static void find_extensions(const struct t3d_glb *g, struct extension e[5])
{
    static const float identity[6] = {1, 0, 0, 0, 1, 0};

    for (uint32_t i = 0; i < g->n_materials; i++) {
        const struct t3d_material *m = &g->material[i];
        e[0].used |= m->spec_gloss;
        e[1].used |= m->unlit;
        e[2].used |= m->emissive[0] > 1 || m->emissive[1] > 1 || m->emissive[2] > 1;
        for (int k = 0; k < T3D_TEX_COUNT; k++) {
            const struct t3d_texture *t = &m->texture[k];
            if (t->image < 0)
                continue;
            e[3].used |= memcmp(t->transform, identity, sizeof identity) != 0;
            e[4].used |= strcmp(g->image[t->image].mime, "image/webp") == 0;
        }
    }
    e[4].required = e[4].used;
}

static void put_extensions(struct writer *w)
{
    struct extension e[5] = {{.name = "KHR_materials_pbrSpecularGlossiness"},
                             {.name = "KHR_materials_unlit"},
                             {.name = "KHR_materials_emissive_strength"},
                             {.name = "KHR_texture_transform"},
                             {.name = "EXT_texture_webp"}};
    int n = 0;

    find_extensions(w->g, e);
    for (int i = 0; i < 5; i++)
        if (e[i].used)
            put(w, "%s\"%s\"", n++ ? "," : ",\"extensionsUsed\":[", e[i].name);
    if (n)
        put(w, "]");
    if (e[4].required)
        put(w, ",\"extensionsRequired\":[\"%s\"]", e[4].name);
}

/* --- the file --------------------------------------------------------------------------------- */

static void put_u32(uint8_t *p, size_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static int assemble(struct writer *w, const char *json, size_t n, struct t3d_arena *a,
                    uint8_t **data, size_t *size)
{
    size_t padded = (n + 3) & ~(size_t)3, total = 12 + 8 + padded + 8 + w->bin;
    uint8_t *p;

    if (total > UINT32_MAX)
        return t3d_err_value(w->err, T3D_SKIP, "too-large", (double)total,
                             "a .glb file of %zu bytes is above the format's 4 GiB", total);
    p = t3d_alloc(a, total, 1);
    if (!p)
        return t3d_err_nomem(w->err, "a .glb file");
    memcpy(p, "glTF\2\0\0\0", 8);
    put_u32(p + 8, total);
    put_u32(p + 12, padded);
    memcpy(p + 16, "JSON", 4);
    memcpy(p + 20, json, n);
    memset(p + 20 + n, ' ', padded - n);
    put_u32(p + 20 + padded, w->bin);
    memcpy(p + 24 + padded, "BIN", 4);
    for (uint32_t i = 0; i < w->n_views; i++)
        copy_view(p + 28 + padded + w->view[i].offset, &w->view[i]);
    *data = p;
    *size = total;
    return T3D_OK;
}

int t3d_write_glb(const struct t3d_glb *g, struct t3d_arena *a, uint8_t **data, size_t *size,
                  struct t3d_err *err)
{
    struct writer w = {.g = g, .err = err};
    char *json = NULL;
    size_t n = 0;
    int r = check(&w);

    if (r < 0)
        return r;
    w.view = t3d_alloc(a, (size_t)g->n_meshes * ATTRIBUTES + g->n_images, sizeof *w.view);
    w.json = open_memstream(&json, &n);
    if (w.view && w.json) {
        lay_out(&w);
        put_scene(&w);
        put_meshes(&w);
        put_materials(&w);
        put_images(&w);
        put_buffers(&w);
        put_extensions(&w);
        put(&w, "}");
    }
    if (!w.view || !w.json || ferror(w.json) || fclose(w.json) != 0)
        r = t3d_err_nomem(err, "a .glb file");
    else
        r = assemble(&w, json, n, a, data, size);
    free(json);
    return r;
}
