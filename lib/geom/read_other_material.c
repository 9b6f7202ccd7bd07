/* SPDX-License-Identifier: Apache-2.0 */
/* Materials of an assimp scene, by the rules of read_obj_mtl.c: the diffuse colour is linear and
 * counts only without a map; a Phong exponent becomes a roughness; an object that its opacity makes
 * wholly invisible is opaque. Where the file has metallic-roughness values those count. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "geom/mesh_impl.h"
#include "geom/other_impl.h"
#include "geom/read_impl.h"

enum { MAX_PICTURES = 4096, MAX_MATERIALS = 1 << 16, MAX_NAME = 1024 };

struct pictures {
    struct t3di_other *o;
    const char *name[MAX_PICTURES]; /* of each picture of the scene */
};

/* --- properties
 * ----------------------------------------------------------------------------------- */

static const struct aiMaterialProperty *property(const struct aiMaterial *m, const char *key,
                                                 unsigned semantic, unsigned index)
{
    for (unsigned i = 0; i < m->mNumProperties; i++) {
        const struct aiMaterialProperty *p = m->mProperties[i];

        if (p && p->mData && p->mSemantic == semantic && p->mIndex == index &&
            strncmp(p->mKey.data, key, sizeof p->mKey.data) == 0)
            return p;
    }
    return NULL;
}

/* Up to n numbers; how many there were. */
static unsigned numbers(const struct aiMaterial *m, const char *key, unsigned semantic,
                        unsigned index, float *out, unsigned n)
{
    const struct aiMaterialProperty *p = property(m, key, semantic, index);
    unsigned size, k = 0;

    if (!p || (p->mType != aiPTI_Float && p->mType != aiPTI_Double && p->mType != aiPTI_Integer))
        return 0;
    size = p->mType == aiPTI_Double ? 8 : 4;
    for (; k < n && (k + 1) * size <= p->mDataLength; k++) {
        float f;
        double d;
        int32_t i;

        memcpy(&f, p->mData + k * size, sizeof f);
        memcpy(&i, p->mData + k * size, sizeof i);
        if (size == 8)
            memcpy(&d, p->mData + k * size, sizeof d);
        else
            d = p->mType == aiPTI_Float ? (double)f : (double)i;
        out[k] = isfinite(d) && fabs(d) < 1e30 ? (float)d : 0;
    }
    return k;
}

static float number(const struct aiMaterial *m, const char *key, float otherwise)
{
    float f;

    return numbers(m, key, 0, 0, &f, 1) ? f : otherwise;
}

/* aiString as a property: 32 bits of length, then the bytes. */
static int text(const struct aiMaterial *m, const char *key, unsigned semantic, unsigned index,
                char out[MAX_NAME])
{
    const struct aiMaterialProperty *p = property(m, key, semantic, index);
    uint32_t n;

    if (!p || p->mType != aiPTI_String || p->mDataLength < 5)
        return 0;
    memcpy(&n, p->mData, sizeof n);
    n = T3D_MIN(n, p->mDataLength - 4);
    n = T3D_MIN(n, (uint32_t)MAX_NAME - 1);
    memcpy(out, p->mData + 4, n);
    out[n] = 0;
    return out[0] != 0;
}

/* --- pictures
 * ------------------------------------------------------------------------------------- */

static const char *last_part(const char *name)
{
    const char *base = name;

    for (; *name; name++)
        if (*name == '/' || *name == '\\')
            base = name + 1;
    return base;
}

/* "*3", or the name of a file that is inside. */
static const struct aiTexture *embedded(const struct aiScene *ai, const char *name)
{
    unsigned long k;

    if (name[0] == '*') {
        k = strtoul(name + 1, NULL, 10);
        return k < ai->mNumTextures ? ai->mTextures[k] : NULL;
    }
    for (unsigned i = 0; i < ai->mNumTextures; i++) {
        const struct aiTexture *t = ai->mTextures[i];

        if (t && t->mFilename.length && t->mFilename.length < sizeof t->mFilename.data &&
            strcmp(last_part(t->mFilename.data), last_part(name)) == 0)
            return t;
    }
    return NULL;
}

/* Raw pixels: B, G, R, A. */
static int take_texels(struct t3di_other *o, const struct aiTexture *t, struct t3d_picture *p,
                       struct t3d_err *err)
{
    size_t n = (size_t)t->mWidth * t->mHeight;

    *p = (struct t3d_picture){.state = T3D_PICTURE_UNSUPPORTED};
    if (t->mWidth > 16384 || t->mHeight > 16384 || n > 64u << 20 || !n)
        return T3D_OK;
    p->state = T3D_PICTURE_OK;
    p->width = t->mWidth;
    p->height = t->mHeight;
    if (!(o->flags & T3D_READ_PIXELS))
        return T3D_OK;
    p->pixels = t3d_alloc_raw(o->a, n, 4);
    if (!p->pixels)
        return t3di_no_room(o->a, err, "the pixels of a picture");
    for (size_t i = 0; i < n; i++) {
        uint8_t *c = p->pixels + 4 * i;
        c[0] = t->pcData[i].r;
        c[1] = t->pcData[i].g;
        c[2] = t->pcData[i].b;
        c[3] = t->pcData[i].a;
        p->has_alpha |= c[3] != 255;
    }
    return T3D_OK;
}

static int read_picture(struct t3di_other *o, const char *name, struct t3d_picture *p,
                        struct t3d_err *err)
{
    const struct aiTexture *t = embedded(o->ai, name);
    struct t3d_blob b;
    int r;

    *p = (struct t3d_picture){.state = T3D_PICTURE_MISSING};
    if (t && t->pcData && t->mHeight)
        return take_texels(o, t, p, err);
    if (t && t->pcData) /* the file as it is; mWidth is its size in bytes */
        return t3di_read_picture(p, o->a, (const uint8_t *)t->pcData, t->mWidth, o->flags, err);
    if (name[0] == '*')
        return T3D_OK;
    r = t3di_open_beside(o->src, o->a, name, strlen(name), &b, err);
    if (r != T3D_OK)
        return r == T3D_END ? T3D_OK : r;
    return t3di_read_picture(p, o->a, b.data, b.size, o->flags, err);
}

/* Index of the picture of that name; *index = -1 when there are too many. */
static int picture(struct pictures *all, const char *name, int32_t *index, struct t3d_err *err)
{
    struct t3di_other *o = all->o;
    struct t3d_scene *s = o->s;

    *index = -1;
    for (uint32_t i = 0; i < s->n_images; i++)
        if (strcmp(all->name[i], name) == 0) {
            *index = (int32_t)i;
            return T3D_OK;
        }
    if (s->n_images == MAX_PICTURES)
        return T3D_OK;
    all->name[s->n_images] = t3d_strdup(o->a, name);
    if (!all->name[s->n_images])
        return t3di_no_room(o->a, err, "the name of a picture");
    *index = (int32_t)s->n_images++;
    return read_picture(o, name, &s->image[*index], err);
}

/* --- one material
 * --------------------------------------------------------------------------------- */

static uint8_t wrap(const struct aiMaterial *m, const char *key, unsigned type)
{
    float mode = 0;

    numbers(m, key, type, 0, &mode, 1);
    if (mode == (float)aiTextureMapMode_Mirror)
        return T3D_WRAP_MIRROR;
    return mode == (float)aiTextureMapMode_Wrap ? T3D_WRAP_REPEAT : T3D_WRAP_CLAMP;
}

/* aiUVTransform: translation, scaling, rotation about (0.5, 0.5), in coordinates with v upwards. */
static void transform(const struct aiMaterial *m, unsigned type, float out[6])
{
    float t[5] = {0, 0, 1, 1, 0};
    double c, s;

    if (numbers(m, "$tex.uvtrafo", type, 0, t, 5) < 5)
        return;
    if (t[0] == 0 && t[1] == 0 && t[2] == 1 && t[3] == 1 && t[4] == 0)
        return;
    c = cos((double)t[4]);
    s = sin((double)t[4]);
    {
        /* v up: p' = R (S p - h) + h + T; v down is 1 - v before and after */
        double a = c * (double)t[2], b = -s * (double)t[3], d = s * (double)t[2],
               e = c * (double)t[3];
        double x = -.5 * c + .5 * s + .5 + (double)t[0], y = -.5 * s - .5 * c + .5 + (double)t[1];

        out[0] = (float)a;
        out[1] = (float)-b;
        out[2] = (float)(x + b);
        out[3] = (float)-d;
        out[4] = (float)e;
        out[5] = (float)(1 - y - e);
    }
    for (int k = 0; k < 6; k++)
        out[k] = isfinite(out[k]) ? out[k] : 0;
}

/* The first map of the types listed, ended by 0. */
static int map(struct pictures *all, const struct aiMaterial *m, const unsigned *types,
               struct t3d_texture *t, struct t3d_err *err)
{
    char name[MAX_NAME];

    for (; *types; types++) {
        float uv = 0;
        int r;

        if (!text(m, "$tex.file", *types, 0, name))
            continue;
        r = picture(all, name, &t->image, err);
        if (r < 0 || t->image < 0)
            return r;
        numbers(m, "$tex.uvwsrc", *types, 0, &uv, 1);
        t->uv = uv >= 0 && uv < T3D_MAX_UV ? (uint8_t)uv : 0;
        t->wrap_s = wrap(m, "$tex.mapmodeu", *types);
        t->wrap_t = wrap(m, "$tex.mapmodev", *types);
        transform(m, *types, t->transform);
        return T3D_OK;
    }
    return T3D_OK;
}

static void shade(const struct aiMaterial *m, struct t3d_material *out)
{
    float c[4] = {1, 1, 1, 1}, specular[4] = {0}, shine = number(m, "$mat.shininess", 0);
    int has_map = out->texture[T3D_TEX_BASE].image >= 0;

    if (numbers(m, "$clr.base", 0, 0, c, 4) < 3 && !has_map &&
        numbers(m, "$clr.diffuse", 0, 0, c, 3) < 3)
        c[0] = c[1] = c[2] = .8f;
    for (int k = 0; k < 3; k++)
        out->base[k] = has_map && !property(m, "$clr.base", 0, 0) ? 1 : T3D_CLAMP(c[k], 0, 1);
    memset(c, 0, sizeof c);
    numbers(m, "$clr.emissive", 0, 0, c, 3);
    for (int k = 0; k < 3; k++)
        out->emissive[k] = out->texture[T3D_TEX_EMISSIVE].image >= 0 && c[0] + c[1] + c[2] == 0
                               ? 1
                               : T3D_CLAMP(c[k], 0, 1e4f);
    out->metallic = T3D_CLAMP(number(m, "$mat.metallicFactor", 0), 0, 1);
    numbers(m, "$clr.specular", 0, 0, specular, 3);
    out->roughness = 1;
    if (specular[0] + specular[1] + specular[2] > 0 && shine > 0)
        out->roughness = sqrtf(sqrtf(2 / (shine + 2)));
    out->roughness = T3D_CLAMP(number(m, "$mat.roughnessFactor", out->roughness), 0, 1);
}

static void see_through(const struct aiMaterial *m, struct t3d_material *out)
{
    char base[MAX_NAME] = "", alpha[MAX_NAME] = "";
    float opacity = number(m, "$mat.opacity", 1);

    opacity = T3D_CLAMP(opacity, 0, 1);
    out->base[3] = opacity > 0 ? opacity : 1;
    if (!text(m, "$tex.file", aiTextureType_BASE_COLOR, 0, base))
        text(m, "$tex.file", aiTextureType_DIFFUSE, 0, base);
    text(m, "$tex.file", aiTextureType_OPACITY, 0, alpha);
    /* A map of opacity that is the colour's own picture is its alpha. */
    if (out->base[3] < 1 || (*base && strcmp(base, alpha) == 0))
        out->alpha_mode = T3D_ALPHA_BLEND;
}

static int material(struct pictures *all, const struct aiMaterial *m, struct t3d_material *out,
                    struct t3d_err *err)
{
    static const unsigned base[] = {aiTextureType_BASE_COLOR, aiTextureType_DIFFUSE, 0},
                          normal[] = {aiTextureType_NORMALS, aiTextureType_NORMAL_CAMERA, 0},
                          emissive[] = {aiTextureType_EMISSION_COLOR, aiTextureType_EMISSIVE, 0},
                          rough[] = {aiTextureType_DIFFUSE_ROUGHNESS, aiTextureType_METALNESS, 0};
    float two_sided = 0;
    int r;

    *out = t3di_plain_material();
    r = map(all, m, base, &out->texture[T3D_TEX_BASE], err);
    if (r == T3D_OK)
        r = map(all, m, normal, &out->texture[T3D_TEX_NORMAL], err);
    if (r == T3D_OK)
        r = map(all, m, emissive, &out->texture[T3D_TEX_EMISSIVE], err);
    if (r == T3D_OK)
        r = map(all, m, rough, &out->texture[T3D_TEX_METAL_ROUGH], err);
    if (r < 0)
        return r;
    shade(m, out);
    see_through(m, out);
    numbers(m, "$mat.twosided", 0, 0, &two_sided, 1);
    out->double_sided = two_sided != 0;
    return T3D_OK;
}

int t3di_other_materials(struct t3di_other *o, struct t3d_err *err)
{
    struct t3d_scene *s = o->s;
    uint32_t n = T3D_MIN(o->ai->mNumMaterials, (unsigned)MAX_MATERIALS);
    struct pictures *all = t3d_alloc(o->a, 1, sizeof *all);
    int r = T3D_OK;

    s->image = t3d_alloc(o->a, MAX_PICTURES, sizeof *s->image);
    s->material = t3d_alloc(o->a, n + 1, sizeof *s->material);
    if (!all || !s->image || !s->material)
        return t3di_no_room(o->a, err, "the materials");
    all->o = o;
    for (uint32_t i = 0; i < n && r == T3D_OK; i++)
        r = material(all, o->ai->mMaterials[i], &s->material[i], err);
    s->material[n] = t3di_plain_material(); /* for meshes that name none */
    s->n_materials = n + 1;
    if (r == T3D_OK && o->flags & T3D_READ_NAMES) {
        s->n_materials = 0;
        s->n_images = 0;
    }
    return r;
}
