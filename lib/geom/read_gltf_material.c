/* SPDX-License-Identifier: Apache-2.0 */
/* Materials, textures and pictures (glTF 2.0 sections 3.8, 3.9 and the extensions named below).
 * Only materials of planned primitives, and pictures of those materials, enter the scene. */
#include <math.h>
#include <string.h>

#include "geom/gltf_impl.h"

enum { NEAREST = 9728, CLAMP_TO_EDGE = 33071, MIRRORED_REPEAT = 33648 };

/* --- numbers -------------------------------------------------------------------------------------
 */

/* Members keep their default when absent or no number; what there is is clamped, so that no factor
 * is infinite. */
static void numbers(const struct t3di_gltf *g, uint32_t tok, const char *key, float *out, size_t n,
                    double low, double high)
{
    double v[4];

    if (t3di_gltf_numbers(g, t3d_jtok_member(&g->j, tok, key), v, n) != n)
        return;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)T3D_CLAMP(v[i], low, high);
}

static void one_number(const struct t3di_gltf *g, uint32_t tok, const char *key, float *out,
                       double low, double high)
{
    double v = t3d_jtok_number(&g->j, t3d_jtok_member(&g->j, tok, key), *out);

    *out = (float)T3D_CLAMP(v, low, high);
}

static int is_true(const struct t3di_gltf *g, uint32_t tok, const char *key)
{
    return g->j.tok[t3d_jtok_member(&g->j, tok, key)].type == T3D_JTOK_TRUE;
}

/* --- textures
 * -------------------------------------------------------------------------------------- */

static enum t3d_wrap wrap(const struct t3di_gltf *g, uint32_t sampler, const char *key)
{
    double v = t3d_jtok_number(&g->j, t3d_jtok_member(&g->j, sampler, key), 0);

    if (v == CLAMP_TO_EDGE)
        return T3D_WRAP_CLAMP;
    return v == MIRRORED_REPEAT ? T3D_WRAP_MIRROR : T3D_WRAP_REPEAT;
}

/* Image of a texture: WebP is preferred where it is offered, formats that are not read come last.
 * One past the last image stands for "none is named". */
static uint32_t image_of(const struct t3di_gltf *g, uint32_t texture)
{
    static const char *const extensions[] = {"EXT_texture_webp", NULL, "KHR_texture_basisu",
                                             "EXT_texture_avif", "MSFT_texture_dds"};

    for (size_t i = 0; i < T3D_COUNT(extensions); i++) {
        uint32_t holder = extensions[i] ? t3di_gltf_extension(g, texture, extensions[i]) : texture;
        uint32_t image = t3di_gltf_ref(g, holder, "source", GLTF_IMAGES);

        if (image < GLTF_INVALID)
            return image;
    }
    return g->list[GLTF_IMAGES].n;
}

/* Slot of a TEXCOORD set; -1 when all slots are taken. Slot 0 is always set 0. */
static int uv_slot(struct t3di_gltf *g, double set)
{
    if (!(set >= 0 && set < 1e6) || set != floor(set))
        return -1;
    for (uint32_t k = 0; k < g->n_uv; k++)
        if (g->uv_set[k] == (uint32_t)set)
            return (int)k;
    if (g->n_uv == T3D_MAX_UV)
        return -1;
    g->uv_set[g->n_uv] = (uint32_t)set;
    return (int)g->n_uv++;
}

/* KHR_texture_transform: uv' = T R S uv. R turns counter-clockwise as seen with v down, [c s; -s c]
 * on (u, v): the extension's worked example (the lower left quadrant of the picture) and its sample
 * viewer fix the sign, against the GLSL in its text. */
static void transform(const struct t3di_gltf *g, uint32_t e, float out[6])
{
    float offset[2] = {0, 0}, scale[2] = {1, 1}, angle = 0;
    double c, s;

    numbers(g, e, "offset", offset, 2, -1e6, 1e6);
    numbers(g, e, "scale", scale, 2, -1e6, 1e6);
    one_number(g, e, "rotation", &angle, -1e6, 1e6);
    c = cos(angle);
    s = sin(angle);
    out[0] = (float)(c * scale[0]);
    out[1] = (float)(s * scale[1]);
    out[2] = offset[0];
    out[3] = (float)(-s * scale[0]);
    out[4] = (float)(c * scale[1]);
    out[5] = offset[1];
}

static void read_texture(struct t3di_gltf *g, uint32_t info, struct t3d_texture *t)
{
    uint32_t index = t3di_gltf_ref(g, info, "index", GLTF_TEXTURES);
    uint32_t e = t3di_gltf_extension(g, info, "KHR_texture_transform"), image, tok, sampler;
    double set = t3d_jtok_number(&g->j, t3d_jtok_member(&g->j, info, "texCoord"), 0);
    int slot;

    if (!info)
        return;
    slot = uv_slot(g, t3d_jtok_number(&g->j, t3d_jtok_member(&g->j, e, "texCoord"), set));
    if (slot < 0) {
        g->s->notes.n_dropped_uv++;
        return;
    }
    t->uv = (uint8_t)slot;
    if (e)
        transform(g, e, t->transform);
    tok = index < GLTF_INVALID ? g->list[GLTF_TEXTURES].tok[index] : T3D_JTOK_ABSENT;
    image = image_of(g, tok);
    if (g->image_map[image] == GLTF_NONE)
        g->image_map[image] = g->s->n_images++;
    t->image = (int32_t)g->image_map[image];
    sampler = t3di_gltf_ref(g, tok, "sampler", GLTF_SAMPLERS);
    if (sampler >= GLTF_INVALID)
        return;
    sampler = g->list[GLTF_SAMPLERS].tok[sampler];
    t->wrap_s = (uint8_t)wrap(g, sampler, "wrapS");
    t->wrap_t = (uint8_t)wrap(g, sampler, "wrapT");
    t->nearest = t3d_jtok_number(&g->j, t3d_jtok_member(&g->j, sampler, "magFilter"), 0) == NEAREST;
}

static void texture(struct t3di_gltf *g, uint32_t holder, const char *key, struct t3d_material *m,
                    enum t3d_texture_slot slot)
{
    read_texture(g, t3d_jtok_member(&g->j, holder, key), &m->texture[slot]);
}

/* --- materials
 * --------------------------------------------------------------------------------------- */

static void metallic_roughness(struct t3di_gltf *g, uint32_t pbr, struct t3d_material *m)
{
    numbers(g, pbr, "baseColorFactor", m->base, 4, 0, 1);
    one_number(g, pbr, "metallicFactor", &m->metallic, 0, 1);
    one_number(g, pbr, "roughnessFactor", &m->roughness, 0, 1);
    texture(g, pbr, "baseColorTexture", m, T3D_TEX_BASE);
    texture(g, pbr, "metallicRoughnessTexture", m, T3D_TEX_METAL_ROUGH);
}

/* KHR_materials_pbrSpecularGlossiness: where present it is preferred over metallic-roughness. */
static void specular_glossiness(struct t3di_gltf *g, uint32_t e, struct t3d_material *m)
{
    m->spec_gloss = 1;
    numbers(g, e, "diffuseFactor", m->base, 4, 0, 1);
    numbers(g, e, "specularFactor", m->specular, 3, 0, 1);
    one_number(g, e, "glossinessFactor", &m->glossiness, 0, 1);
    texture(g, e, "diffuseTexture", m, T3D_TEX_BASE);
    texture(g, e, "specularGlossinessTexture", m, T3D_TEX_SPEC_GLOSS);
}

static void emission(struct t3di_gltf *g, uint32_t tok, struct t3d_material *m)
{
    uint32_t e = t3di_gltf_extension(g, tok, "KHR_materials_emissive_strength");
    float strength = 1;

    numbers(g, tok, "emissiveFactor", m->emissive, 3, 0, 1);
    one_number(g, e, "emissiveStrength", &strength, 0, 1e6);
    for (int k = 0; k < 3; k++)
        m->emissive[k] *= strength;
    texture(g, tok, "emissiveTexture", m, T3D_TEX_EMISSIVE);
}

static void alpha(struct t3di_gltf *g, uint32_t tok, struct t3d_material *m)
{
    uint32_t mode = t3d_jtok_member(&g->j, tok, "alphaMode");

    if (t3d_jtok_is(&g->j, mode, "MASK"))
        m->alpha_mode = T3D_ALPHA_MASK;
    else if (t3d_jtok_is(&g->j, mode, "BLEND"))
        m->alpha_mode = T3D_ALPHA_BLEND;
    one_number(g, tok, "alphaCutoff", &m->alpha_cutoff, 0, 1e6);
}

static void read_material(struct t3di_gltf *g, uint32_t tok, struct t3d_material *m)
{
    uint32_t gloss = t3di_gltf_extension(g, tok, "KHR_materials_pbrSpecularGlossiness");
    uint32_t normal = t3d_jtok_member(&g->j, tok, "normalTexture");
    uint32_t occlusion = t3d_jtok_member(&g->j, tok, "occlusionTexture");

    *m = t3d_material_default();
    if (gloss)
        specular_glossiness(g, gloss, m);
    else
        metallic_roughness(g, t3d_jtok_member(&g->j, tok, "pbrMetallicRoughness"), m);
    read_texture(g, normal, &m->texture[T3D_TEX_NORMAL]);
    one_number(g, normal, "scale", &m->normal_scale, -1e6, 1e6);
    read_texture(g, occlusion, &m->texture[T3D_TEX_OCCLUSION]);
    one_number(g, occlusion, "strength", &m->occlusion_strength, 0, 1);
    emission(g, tok, m);
    alpha(g, tok, m);
    m->double_sided = (uint8_t)is_true(g, tok, "doubleSided");
    m->unlit = t3di_gltf_extension(g, tok, "KHR_materials_unlit") != T3D_JTOK_ABSENT;
}

/* Mark the materials of planned primitives in material_map, then number them in the file's order.
 */
static int number_materials(struct t3di_gltf *g)
{
    uint32_t n = g->list[GLTF_MATERIALS].n, n_images = g->list[GLTF_IMAGES].n;

    g->material_map = t3d_alloc_raw(g->a, n, sizeof *g->material_map);
    g->image_map = t3d_alloc_raw(g->a, (size_t)n_images + 1, sizeof *g->image_map);
    if (!g->material_map || !g->image_map)
        return t3di_no_room(g->a, g->err, "the materials of a glTF file");
    memset(g->material_map, 0xff, n * sizeof *g->material_map);
    memset(g->image_map, 0xff, ((size_t)n_images + 1) * sizeof *g->image_map);
    g->default_material = GLTF_NONE;
    for (uint32_t i = 0; i < g->list[GLTF_MESHES].n; i++)
        for (uint32_t k = 0; k < g->mesh[i].n; k++) {
            uint32_t m = g->mesh[i].primitive[k].material;

            *(m == GLTF_NONE ? &g->default_material : &g->material_map[m]) = 0;
        }
    for (uint32_t i = 0; i < n; i++)
        if (g->material_map[i] != GLTF_NONE)
            g->material_map[i] = g->s->n_materials++;
    if (g->default_material != GLTF_NONE)
        g->default_material = g->s->n_materials++;
    return T3D_OK;
}

int t3di_gltf_materials(struct t3di_gltf *g)
{
    int r = number_materials(g);

    if (r < 0)
        return r;
    g->n_uv = 1; /* slot 0 = TEXCOORD_0 */
    g->s->material = t3d_alloc(g->a, g->s->n_materials, sizeof *g->s->material);
    if (!g->s->material)
        return t3di_no_room(g->a, g->err, "the materials of a glTF file");
    for (uint32_t i = 0; i < g->list[GLTF_MATERIALS].n; i++)
        if (g->material_map[i] != GLTF_NONE)
            read_material(g, g->list[GLTF_MATERIALS].tok[i], &g->s->material[g->material_map[i]]);
    if (g->default_material != GLTF_NONE)
        g->s->material[g->default_material] = t3d_material_default();
    return T3D_OK;
}

/* --- pictures
 * ------------------------------------------------------------------------------------------ */

static int read_image(struct t3di_gltf *g, uint32_t tok, struct t3d_picture *p)
{
    uint32_t uri = t3d_jtok_member(&g->j, tok, "uri");
    uint32_t view = t3di_gltf_ref(g, tok, "bufferView", GLTF_VIEWS);
    struct t3d_err why = {0}, *err = g->err;
    const uint8_t *data = NULL;
    size_t size = 0, stride;
    int r = GLTF_BAD;

    p->state = uri || view != GLTF_NONE ? T3D_PICTURE_BAD : T3D_PICTURE_MISSING;
    g->err = &why;
    if (uri)
        r = t3di_gltf_uri(g, uri, &data, &size);
    else if (view < GLTF_INVALID)
        r = t3di_gltf_view(g, view, &data, &size, &stride);
    g->err = err;
    if (r == GLTF_BAD)
        return T3D_OK;
    if (r == T3D_SKIP) {
        int bad = strcmp(why.reason, "bad-uri") == 0 || strcmp(why.reason, "truncated") == 0;

        p->state = bad ? T3D_PICTURE_BAD : T3D_PICTURE_MISSING;
        return T3D_OK;
    }
    if (r < 0) {
        if (err)
            *err = why;
        return r;
    }
    return t3di_read_picture(p, g->a, data, size, g->flags, err);
}

int t3di_gltf_pictures(struct t3di_gltf *g)
{
    int r;

    g->s->image = t3d_alloc(g->a, g->s->n_images, sizeof *g->s->image);
    if (!g->s->image)
        return t3di_no_room(g->a, g->err, "the pictures of a glTF file");
    for (uint32_t i = 0; i <= g->list[GLTF_IMAGES].n; i++) {
        uint32_t to = g->image_map[i];
        int named = i < g->list[GLTF_IMAGES].n;

        if (to == GLTF_NONE)
            continue;
        g->s->image[to].state = T3D_PICTURE_MISSING;
        if (named && (r = read_image(g, g->list[GLTF_IMAGES].tok[i], &g->s->image[to])) < 0)
            return r;
    }
    return T3D_OK;
}
