/* SPDX-License-Identifier: Apache-2.0 */
/* The writer against the specification: the file is taken apart here by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cjson/cJSON.h>
#include <math.h>

#include "base/arena.h"
#include "geom/read.h"
#include "geom/write_glb.h"

static struct t3d_arena arena;

static const float position[4][3] = {{0, 0, 0}, {1, 0, .1F}, {1, 1, -0.3333333F}, {0, 1e-20F, 3}};
static const float normal[4][3] = {{0, 0, 1}, {0, 0, 1}, {0, 1, 0}, {1, 0, 0}};
static const float color[4][4] = {{1, 0, 0, 1}, {0, 1, 0, 1}, {0, 0, 1, 1}, {.5F, .5F, .5F, .25F}};
static const float uv[4][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
static const uint32_t triangle[2][3] = {{0, 1, 2}, {0, 2, 3}};
static const uint8_t picture[5] = {1, 2, 3, 4, 5};

static struct t3d_glb_mesh quad(void)
{
    struct t3d_glb_mesh m = {.name = "a \"quad\"\n\\",
                             .n_vertices = 4,
                             .n_triangles = 2,
                             .position = position,
                             .normal = normal,
                             .color = color,
                             .uv = {uv},
                             .triangle = triangle};
    return m;
}

static uint32_t u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Check the container; the JSON chunk parsed, *bin the binary one. Section 4.4 of glTF 2.0. */
static cJSON *take_apart(const uint8_t *p, size_t size, const uint8_t **bin, size_t *bin_size)
{
    uint32_t json_size = u32(p + 12);
    const char *end;
    cJSON *o;

    assert_int_equal(u32(p), 0x46546C67);
    assert_int_equal(u32(p + 4), 2);
    assert_int_equal(u32(p + 8), size);
    assert_int_equal(u32(p + 16), 0x4E4F534A);
    assert_int_equal(json_size % 4, 0);
    o = cJSON_ParseWithLengthOpts((const char *)p + 20, json_size, &end, 0);
    assert_non_null(o);
    for (; end < (const char *)p + 20 + json_size; end++)
        assert_int_equal(*end, ' ');
    p += 20 + json_size;
    *bin_size = u32(p);
    assert_int_equal(*bin_size % 4, 0);
    assert_int_equal(u32(p + 4), 0x004E4942);
    assert_int_equal(28 + json_size + *bin_size, size);
    *bin = p + 8;
    return o;
}

static const cJSON *at(const cJSON *o, const char *list, int i)
{
    const cJSON *m = cJSON_GetArrayItem(cJSON_GetObjectItem(o, list), i);

    assert_non_null(m);
    return m;
}

static int number(const cJSON *o, const char *key)
{
    const cJSON *m = cJSON_GetObjectItem(o, key);

    assert_true(cJSON_IsNumber(m));
    return m->valueint;
}

static const uint8_t *accessor(const cJSON *o, const uint8_t *bin, size_t bin_size, int i,
                               const char *type, int component, int count)
{
    const cJSON *a = at(o, "accessors", i), *v = at(o, "bufferViews", number(a, "bufferView"));
    int offset = number(v, "byteOffset"), length = number(v, "byteLength");

    assert_string_equal(cJSON_GetObjectItem(a, "type")->valuestring, type);
    assert_int_equal(number(a, "componentType"), component);
    assert_int_equal(number(a, "count"), count);
    assert_int_equal(offset % 4, 0);
    assert_true((size_t)offset + (size_t)length <= bin_size);
    return bin + offset;
}

static cJSON *write(const struct t3d_glb *g, const uint8_t **bin, size_t *bin_size)
{
    struct t3d_err err = {0};
    uint8_t *data;
    size_t size;

    if (t3d_write_glb(g, &arena, &data, &size, &err) != T3D_OK)
        fail_msg("%s", err.msg);
    return take_apart(data, size, bin, bin_size);
}

static void plain_mesh(void **state)
{
    struct t3d_material material = t3d_material_default();
    struct t3d_glb_mesh m = quad();
    struct t3d_glb g = {.mesh = &m,
                        .material = &material,
                        .n_meshes = 1,
                        .n_materials = 1,
                        .extras = "{\"seed\":7}"};
    const uint8_t *bin;
    size_t size;
    cJSON *o = write(&g, &bin, &size);
    const cJSON *p = cJSON_GetArrayItem(cJSON_GetObjectItem(at(o, "meshes", 0), "primitives"), 0);
    const cJSON *a = cJSON_GetObjectItem(p, "attributes"), *box;

    (void)state;
    assert_string_equal(
        cJSON_GetObjectItem(cJSON_GetObjectItem(o, "asset"), "version")->valuestring, "2.0");
    assert_int_equal(number(cJSON_GetObjectItem(at(o, "scenes", 0), "extras"), "seed"), 7);
    assert_string_equal(cJSON_GetObjectItem(at(o, "nodes", 0), "name")->valuestring, m.name);
    assert_int_equal(number(at(o, "buffers", 0), "byteLength"), size);
    assert_memory_equal(accessor(o, bin, size, number(a, "POSITION"), "VEC3", 5126, 4), position,
                        sizeof position);
    assert_memory_equal(accessor(o, bin, size, number(a, "NORMAL"), "VEC3", 5126, 4), normal,
                        sizeof normal);
    assert_memory_equal(accessor(o, bin, size, number(a, "COLOR_0"), "VEC4", 5126, 4), color,
                        sizeof color);
    assert_memory_equal(accessor(o, bin, size, number(a, "TEXCOORD_0"), "VEC2", 5126, 4), uv,
                        sizeof uv);
    static const uint8_t indices[12] = {0, 0, 1, 0, 2, 0, 0, 0, 2, 0, 3, 0};
    assert_memory_equal(accessor(o, bin, size, number(p, "indices"), "SCALAR", 5123, 6), indices,
                        sizeof indices);
    /* min and max must be exactly the stored floats (section 3.6.2.5). */
    box = cJSON_GetObjectItem(at(o, "accessors", number(a, "POSITION")), "min");
    assert_true((float)cJSON_GetArrayItem(box, 2)->valuedouble == -0.3333333F);
    assert_true((float)cJSON_GetArrayItem(box, 1)->valuedouble == 0);
    box = cJSON_GetObjectItem(at(o, "accessors", number(a, "POSITION")), "max");
    assert_true((float)cJSON_GetArrayItem(box, 2)->valuedouble == 3);
    assert_null(cJSON_GetObjectItem(o, "extensionsUsed"));
    assert_null(cJSON_GetObjectItem(o, "images"));
    cJSON_Delete(o);
}

static void wide_indices(void **state)
{
    static float many[65536][3];
    static const uint32_t last[1][3] = {{0, 1, 65535}};
    struct t3d_material material = t3d_material_default();
    struct t3d_glb_mesh m = {.n_vertices = 65536,
                             .n_triangles = 1,
                             .position = (const float(*)[3])many,
                             .triangle = last};
    struct t3d_glb g = {.mesh = &m, .material = &material, .n_meshes = 1, .n_materials = 1};
    const uint8_t *bin;
    size_t size;
    cJSON *o = write(&g, &bin, &size);

    (void)state;
    assert_int_equal(u32(accessor(o, bin, size, 1, "SCALAR", 5125, 3) + 8), 65535);
    cJSON_Delete(o);
    m.n_vertices = 65535; /* fits 16 bits, and 65535 itself does not occur */
    m.triangle = triangle;
    o = write(&g, &bin, &size);
    accessor(o, bin, size, 1, "SCALAR", 5123, 3);
    cJSON_Delete(o);
}

static const cJSON *member(const cJSON *o, const char *a, const char *b)
{
    const cJSON *m = cJSON_GetObjectItem(cJSON_GetObjectItem(o, a), b);

    assert_non_null(m);
    return m;
}

static void textured(void **state)
{
    struct t3d_material m[2] = {t3d_material_default(), t3d_material_default()};
    struct t3d_glb_mesh mesh[2] = {quad(), quad()};
    struct t3d_glb_image image[2] = {{picture, 5, "image/png"}, {picture, 3, "image/webp"}};
    static const char *const names[2] = {"first", "second"};
    struct t3d_glb g = {.mesh = mesh,
                        .material = m,
                        .material_name = names,
                        .image = image,
                        .n_meshes = 2,
                        .n_materials = 2,
                        .n_images = 2};
    const uint8_t *bin;
    size_t size;
    const cJSON *x, *info;
    cJSON *o;

    (void)state;
    mesh[1].material = 1;
    m[0].texture[T3D_TEX_BASE].image = 1;
    m[0].texture[T3D_TEX_NORMAL].image = 0;
    m[0].normal_scale = .5F;
    m[0].emissive[1] = 4;
    m[1].texture[T3D_TEX_EMISSIVE].image = 0;
    m[1].texture[T3D_TEX_EMISSIVE].wrap_s = T3D_WRAP_CLAMP;
    m[1].texture[T3D_TEX_EMISSIVE].nearest = 1;
    m[1].alpha_mode = T3D_ALPHA_MASK;
    m[1].alpha_cutoff = .25F;
    m[1].unlit = m[1].double_sided = 1;
    o = write(&g, &bin, &size);

    /* The chain material -> texture -> image -> bytes. */
    info = member(at(o, "materials", 0), "pbrMetallicRoughness", "baseColorTexture");
    x = at(o, "textures", number(info, "index"));
    x = cJSON_GetObjectItem(cJSON_GetObjectItem(x, "extensions"), "EXT_texture_webp");
    assert_int_equal(number(x, "source"), 1);
    info = cJSON_GetObjectItem(at(o, "materials", 0), "normalTexture");
    assert_true(cJSON_GetObjectItem(info, "scale")->valuedouble == .5);
    x = at(o, "textures", number(info, "index"));
    assert_int_equal(number(x, "source"), 0);
    x = at(o, "bufferViews", number(at(o, "images", 0), "bufferView"));
    assert_int_equal(number(x, "byteLength"), 5);
    assert_memory_equal(bin + number(x, "byteOffset"), picture, 5);
    info = cJSON_GetObjectItem(at(o, "materials", 1), "emissiveTexture");
    x = at(o, "textures", number(info, "index"));
    x = at(o, "samplers", number(x, "sampler"));
    assert_int_equal(number(x, "wrapS"), 33071);
    assert_int_equal(number(x, "wrapT"), 10497);
    assert_int_equal(number(x, "magFilter"), 9728);

    x = member(at(o, "materials", 0), "extensions", "KHR_materials_emissive_strength");
    assert_int_equal(number(x, "emissiveStrength"), 4);
    x = cJSON_GetObjectItem(at(o, "materials", 0), "emissiveFactor");
    assert_true(cJSON_GetArrayItem(x, 1)->valuedouble == 1);
    assert_string_equal(cJSON_GetObjectItem(at(o, "materials", 1), "alphaMode")->valuestring,
                        "MASK");
    assert_true(cJSON_GetObjectItem(at(o, "materials", 1), "alphaCutoff")->valuedouble == .25);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(at(o, "materials", 1), "doubleSided")));
    member(at(o, "materials", 1), "extensions", "KHR_materials_unlit");
    assert_string_equal(cJSON_GetObjectItem(at(o, "materials", 1), "name")->valuestring, "second");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "extensionsUsed")), 3);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "extensionsRequired")), 1);
    cJSON_Delete(o);
}

/* What the reader makes of what was written. */
static struct t3d_scene read_back(const struct t3d_glb *g)
{
    struct t3d_source source = {.name = "x.glb"};
    struct t3d_err err = {0};
    struct t3d_scene s;
    uint8_t *data;

    if (t3d_write_glb(g, &arena, &data, &source.size, &err) != T3D_OK)
        fail_msg("%s", err.msg);
    source.data = data;
    if (t3d_read_gltf(&s, &arena, &source, T3D_READ_HEADERS, &err) != T3D_OK ||
        t3d_scene_check(&s, &err) != T3D_OK)
        fail_msg("%s", err.msg);
    return s;
}

static void same_texture(const struct t3d_texture *a, const struct t3d_texture *b)
{
    assert_int_equal(a->image, b->image);
    if (a->image < 0)
        return;
    assert_int_equal(a->uv, b->uv);
    assert_int_equal(a->wrap_s, b->wrap_s);
    assert_int_equal(a->wrap_t, b->wrap_t);
    assert_int_equal(a->nearest, b->nearest);
    for (int k = 0; k < 6; k++)
        assert_true(fabsf(a->transform[k] - b->transform[k]) < 1e-6F);
}

static void same_material(const struct t3d_material *a, const struct t3d_material *b)
{
    assert_memory_equal(a->base, b->base, sizeof a->base);
    for (int k = 0; k < 3; k++)
        assert_true(fabsf(a->emissive[k] - b->emissive[k]) <= 1e-6F * a->emissive[k]);
    assert_true(a->metallic == b->metallic && a->roughness == b->roughness);
    assert_true(a->normal_scale == b->normal_scale);
    assert_true(a->occlusion_strength == b->occlusion_strength);
    assert_memory_equal(a->specular, b->specular, sizeof a->specular);
    assert_true(a->glossiness == b->glossiness && a->alpha_cutoff == b->alpha_cutoff);
    assert_int_equal(a->alpha_mode, b->alpha_mode);
    assert_int_equal(a->double_sided, b->double_sided);
    assert_int_equal(a->unlit, b->unlit);
    assert_int_equal(a->spec_gloss, b->spec_gloss);
    for (int k = 0; k < T3D_TEX_COUNT; k++)
        same_texture(&a->texture[k], &b->texture[k]);
}

static void round_trip(void **state)
{
    static const float tangent[4][4] = {{1, 0, 0, 1}, {1, 0, 0, -1}, {1, 0, 0, 1}, {0, 1, 0, 1}};
    struct t3d_material m[3] = {t3d_material_default(), t3d_material_default(),
                                t3d_material_default()};
    struct t3d_glb_mesh mesh[3] = {quad(), quad(), quad()};
    struct t3d_glb_image image[2] = {{picture, 5, "image/png"}, {picture, 5, "image/jpeg"}};
    struct t3d_glb g = {.mesh = mesh,
                        .material = m,
                        .image = image,
                        .n_meshes = 3,
                        .n_materials = 3,
                        .n_images = 2};
    struct t3d_scene s;

    (void)state;
    mesh[0].tangent = tangent;
    mesh[1].uv[1] = uv;
    mesh[1].color = NULL;
    mesh[2].material = 2;
    mesh[1].material = 1;
    m[0] = t3d_material_default();
    m[0].base[0] = .3F;
    m[0].metallic = .1F;
    m[0].roughness = .7F;
    m[0].emissive[0] = .2F;
    m[0].emissive[2] = 3;
    m[0].occlusion_strength = .5F;
    /* The reader numbers pictures by first use. */
    m[0].texture[T3D_TEX_OCCLUSION].image = 0;
    m[0].texture[T3D_TEX_METAL_ROUGH].image = 0;
    m[0].texture[T3D_TEX_METAL_ROUGH].wrap_t = T3D_WRAP_MIRROR;
    m[1].texture[T3D_TEX_BASE].image = 1;
    m[1].texture[T3D_TEX_BASE].uv = 1;
    float turned[6] = {2 * .8F, 3 * .6F, .25F, 2 * -.6F, 3 * .8F, -.5F};
    memcpy(m[1].texture[T3D_TEX_BASE].transform, turned, sizeof turned);
    m[1].alpha_mode = T3D_ALPHA_BLEND;
    m[2].spec_gloss = 1;
    m[2].specular[1] = .4F;
    m[2].glossiness = .3F;
    m[2].texture[T3D_TEX_SPEC_GLOSS].image = 1;
    m[2].texture[T3D_TEX_NORMAL].image = 0;
    m[2].normal_scale = 2;
    s = read_back(&g);
    assert_int_equal(s.n_draws, 3);
    assert_int_equal(s.n_vertices, 12);
    assert_int_equal(s.n_triangles, 6);
    assert_int_equal(s.n_images, 2);
    assert_memory_equal(s.tangent, tangent, sizeof tangent);
    for (uint32_t i = 0; i < 3; i++) {
        const struct t3d_draw *d = &s.draw[i];
        assert_memory_equal(s.position + d->first_vertex, position, sizeof position);
        assert_memory_equal(s.normal + d->first_vertex, normal, sizeof normal);
        assert_memory_equal(s.uv[0] + d->first_vertex, uv, sizeof uv);
        for (int k = 0; k < 6; k++)
            assert_int_equal((&s.triangle[d->first_triangle][0])[k],
                             d->first_vertex + (&triangle[0][0])[k]);
        same_material(&m[i], &s.material[d->material]);
    }
    assert_memory_equal(s.color, color, sizeof color);
    assert_true(s.draw[1].flags & (T3D_HAS_UV0 << 1));
    assert_false(s.draw[1].flags & T3D_HAS_COLOR);
    assert_int_equal(s.notes.n_bad_primitives, 0);
}

static void refused(void **state)
{
    static const uint32_t outside[1][3] = {{0, 1, 4}};
    static const float infinite[4][3] = {{0, 0, INFINITY}};
    struct t3d_material material = t3d_material_default();
    struct t3d_glb_mesh m = quad();
    struct t3d_glb g = {.mesh = &m, .material = &material, .n_meshes = 1, .n_materials = 1};
    struct t3d_err err;
    uint8_t *data;
    size_t size;

    (void)state;
    m.n_triangles = 0;
    assert_int_equal(t3d_write_glb(&g, &arena, &data, &size, &err), T3D_USAGE);
    m = quad();
    m.n_triangles = 1;
    m.triangle = outside;
    assert_int_equal(t3d_write_glb(&g, &arena, &data, &size, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "index"));
    m = quad();
    m.position = infinite;
    assert_int_equal(t3d_write_glb(&g, &arena, &data, &size, &err), T3D_USAGE);
    m = quad();
    m.material = 1;
    assert_int_equal(t3d_write_glb(&g, &arena, &data, &size, &err), T3D_USAGE);
    m = quad();
    material.texture[T3D_TEX_BASE].image = 0;
    assert_int_equal(t3d_write_glb(&g, &arena, &data, &size, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "picture 0 of 0"));
    g.n_meshes = 0;
    assert_int_equal(t3d_write_glb(&g, &arena, &data, &size, &err), T3D_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_mesh), cmocka_unit_test(wide_indices), cmocka_unit_test(textured),
        cmocka_unit_test(round_trip), cmocka_unit_test(refused),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    t3d_arena_free(&arena);
    return r;
}
