/* SPDX-License-Identifier: Apache-2.0 */
/* The glTF reader: containers, external files, materials, pictures, and files that are wrong. */
#include "glb_maker.h"

#include "base/rng.h"
#include "image/png.h"

#define MESH "'meshes':[{'primitives':[{'attributes':{'POSITION':0}}]}]"
#define PAINTED                                                                                    \
    "'nodes':[{'mesh':0}],'meshes':[{'primitives':[{'attributes':{'POSITION':0},'material':0}]}]"

/* --- materials -----------------------------------------------------------------------------------
 */

static const struct t3d_material *must_material(const char *material)
{
    char text[4096];

    snprintf(text, sizeof text, PAINTED ",'materials':[{%s}]", material);
    must(text);
    assert_int_equal(scene.n_materials, 1);
    return &scene.material[0];
}

static void factors(void **state)
{
    const struct t3d_material *m;

    (void)state;
    unit_triangle();
    m = must_material("'pbrMetallicRoughness':{'baseColorFactor':[0.1,0.2,0.3,0.4],"
                      "'metallicFactor':0.5,'roughnessFactor':0.25},'emissiveFactor':[1,0.5,0],"
                      "'alphaMode':'MASK','alphaCutoff':0.3,'doubleSided':true,"
                      "'extensions':{'KHR_materials_emissive_strength':{'emissiveStrength':5}}");
    NEAR(m->base, 4, .1, .2, .3, .4);
    NEAR(m->emissive, 3, 5, 2.5, 0);
    NEAR(&m->metallic, 2, .5, .25);
    assert_true(m->alpha_mode == T3D_ALPHA_MASK && m->alpha_cutoff == .3f);
    assert_true(m->double_sided && !m->unlit && !m->spec_gloss);
    m = must_material("'alphaMode':'BLEND','extensions':{'KHR_materials_unlit':{}}");
    assert_true(m->alpha_mode == T3D_ALPHA_BLEND && m->unlit && !m->double_sided);
    NEAR(m->base, 4, 1, 1, 1, 1);
    m = must_material("'pbrMetallicRoughness':{'baseColorFactor':[9,1e999,-1,'x'],"
                      "'metallicFactor':-1e999},'emissiveFactor':[1,1]");
    NEAR(m->base, 4, 1, 1, 0, 0);
    NEAR(m->emissive, 3, 0, 0, 0);
    assert_true(m->metallic == 0);
}

static void specular_glossiness(void **state)
{
    const struct t3d_material *m;

    (void)state;
    unit_triangle();
    m = must_material("'pbrMetallicRoughness':{'baseColorFactor':[1,0,0,1]},'extensions':{"
                      "'KHR_materials_pbrSpecularGlossiness':{'diffuseFactor':[0.2,0.3,0.4,1],"
                      "'specularFactor':[0.5,0.6,0.7],'glossinessFactor':0.7}}");
    assert_true(m->spec_gloss);
    NEAR(m->base, 4, .2, .3, .4, 1);
    NEAR(m->specular, 4, .5, .6, .7, .7);
}

static void materials_in_use_only(void **state)
{
    (void)state;
    unit_triangle();
    must("'nodes':[{'mesh':0}],'materials':[{'alphaCutoff':0},{'alphaCutoff':1},{'alphaCutoff':2}],"
         "'meshes':[{'primitives':[{'attributes':{'POSITION':0},'material':2},"
         "{'attributes':{'POSITION':0}},{'attributes':{'POSITION':0},'material':1}]}]");
    assert_int_equal(scene.n_materials, 3);
    assert_true(scene.material[scene.draw[0].material].alpha_cutoff == 2);
    assert_true(scene.material[scene.draw[1].material].alpha_cutoff == .5f);
    assert_true(scene.material[scene.draw[2].material].alpha_cutoff == 1);
}

/* The extension's example: the lower left quadrant of the picture, turned clockwise by 90 degrees.
 */
static void texture_transforms(void **state)
{
    const struct t3d_texture *t;

    (void)state;
    unit_triangle();
    t = &must_material("'occlusionTexture':{'index':0,'strength':0.5,'texCoord':1,'extensions':{"
                       "'KHR_texture_transform':{'offset':[0,1],'rotation':1.57079632679,"
                       "'scale':[0.5,0.5],'texCoord':0}}}")
             ->texture[T3D_TEX_OCCLUSION];
    NEAR(t->transform, 6, 0, .5, 0, -.5, 0, 1);
    assert_int_equal(t->uv, 0); /* the extension's texCoord holds */
    t = &must_material(
             "'normalTexture':{'index':0,'scale':-2,'extensions':{'KHR_texture_transform':"
             "{'offset':[0.25,0.5],'scale':[3,-4]}}}")
             ->texture[T3D_TEX_NORMAL];
    NEAR(t->transform, 6, 3, 0, .25, 0, -4, .5);
    assert_true(scene.material[0].normal_scale == -2);
}

static void uv_slots(void **state)
{
    static const float uv[6][6] = {{0}, {1}, {2}, {3}, {4}, {5}};
    const struct t3d_texture *t;

    (void)state;
    unit_triangle();
    for (int k = 0; k < 6; k++)
        floats(uv[k], 3, 2);
    must("'nodes':[{'mesh':0}],'textures':[{'sampler':0},{}],"
         "'samplers':[{'wrapS':33071,'wrapT':33648,'magFilter':9728}],'materials':[{"
         "'pbrMetallicRoughness':{'baseColorTexture':{'index':0,'texCoord':3},"
         "'metallicRoughnessTexture':{'index':1,'texCoord':5}},'normalTexture':{'index':0},"
         "'occlusionTexture':{'index':0,'texCoord':2},'emissiveTexture':{'index':0,'texCoord':4}}],"
         "'meshes':[{'primitives':[{'attributes':{'POSITION':0,'TEXCOORD_0':1,'TEXCOORD_1':2,"
         "'TEXCOORD_2':3,'TEXCOORD_3':4,'TEXCOORD_4':5,'TEXCOORD_5':6},'material':0}]}]");
    t = scene.material[0].texture;
    assert_true(scene.uv[0][0][0] == 0 && scene.uv[t[T3D_TEX_BASE].uv][0][0] == 3);
    assert_true(scene.uv[t[T3D_TEX_METAL_ROUGH].uv][0][0] == 5);
    assert_int_equal(t[T3D_TEX_NORMAL].uv, 0);
    assert_true(scene.uv[t[T3D_TEX_OCCLUSION].uv][0][0] == 2);
    assert_int_equal(t[T3D_TEX_EMISSIVE].image, -1); /* a fifth set */
    assert_int_equal(scene.notes.n_dropped_uv, 1);
    assert_int_equal(scene.draw[0].flags, 15 * T3D_HAS_UV0);
    assert_true(t[0].wrap_s == T3D_WRAP_CLAMP && t[0].wrap_t == T3D_WRAP_MIRROR && t[0].nearest);
    assert_true(t[1].wrap_s == T3D_WRAP_REPEAT && !t[1].nearest);
    assert_int_equal(scene.n_images, 1); /* the textures name no image: one that is missing */
    assert_int_equal(scene.image[0].state, T3D_PICTURE_MISSING);
}

/* --- pictures
 * ---------------------------------------------------------------------------------------- */

/* A 2 x 1 PNG of these pixels. */
static size_t make_png(uint8_t *out, size_t size)
{
    static const uint8_t pixels[8] = {255, 0, 0, 255, 0, 128, 64, 32};
    struct t3d_png_writer *w;
    const uint8_t *png;
    size_t n;

    assert_int_equal(t3d_png_writer_new(&w, NULL), T3D_OK);
    assert_int_equal(t3d_png_encode(w, pixels, 2, 1, 4, 8, NULL, 0, &png, &n, NULL), T3D_OK);
    assert_true(n <= size);
    memcpy(out, png, n);
    t3d_png_writer_free(w);
    return n;
}

static void to_base64(const uint8_t *in, size_t n, char *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? in[i + 1] : 0u) << 8 |
                     (i + 2 < n ? in[i + 2] : 0u);

        for (int k = 0; k < 4; k++)
            *out++ = i + (size_t)k <= n ? digit[v >> (18 - 6 * k) & 63] : '=';
    }
    *out = 0;
}

/* Read a painted triangle whose base colour texture is texture 0. */
static void must_picture(const char *textures_and_images, unsigned flags)
{
    char text[8192];
    size_t n;

    snprintf(text, sizeof text,
             PAINTED ",'materials':[{'pbrMetallicRoughness':{'baseColorTexture':{'index':0}}}],%s",
             textures_and_images);
    n = glb(file, sizeof file, text);
    keep_seed(file, n);
    assert_int_equal(read_bytes(file, n, flags), T3D_OK);
    assert_int_equal(scene.material[0].texture[T3D_TEX_BASE].image, 0);
    assert_int_equal(scene.n_images, 1);
}

static void is_png(int pixels)
{
    static const uint8_t want[8] = {255, 0, 0, 255, 0, 128, 64, 32};

    assert_int_equal(scene.image[0].state, T3D_PICTURE_OK);
    assert_true(scene.image[0].width == 2 && scene.image[0].height == 1);
    assert_true(scene.image[0].has_alpha);
    assert_int_equal(scene.image[0].pixels != NULL, pixels);
    if (pixels)
        assert_memory_equal(scene.image[0].pixels, want, 8);
}

static void pictures_from_three_places(void **state)
{
    uint8_t png[256];
    size_t n = make_png(png, sizeof png);
    char code[512], text[1024];

    (void)state;
    unit_triangle();
    view(png, n, 0);
    must_picture("'textures':[{'source':1}],'images':[{},{'bufferView':1}]", 0);
    is_png(0);
    must_picture("'textures':[{'source':0}],'images':[{'bufferView':1}]", T3D_READ_PIXELS);
    is_png(1);
    to_base64(png, n, code);
    snprintf(text, sizeof text,
             "'textures':[{'source':0}],'images':[{'uri':'data:image/png;base64,%s'}]", code);
    must_picture(text, T3D_READ_PIXELS);
    is_png(1);
    beside[0].name = "a folder/ä.png";
    beside[0].data = png;
    beside[0].size = n;
    must_picture("'textures':[{'source':0}],'images':[{'uri':'a%20folder/%c3%a4.png'}]", 0);
    is_png(0);
    assert_string_equal(asked, "[a folder/ä.png]");
    beside[0].name = NULL;
}

static void pictures_that_fail(void **state)
{
    static const char ktx[12] = "\xabKTX 20\xbb\r\n\x1a\n";
    uint8_t png[256];
    size_t n = make_png(png, sizeof png);

    (void)state;
    unit_triangle();
    view(png, n / 2, 0);
    view(ktx, sizeof ktx, 0);
    view(png, n, 0);
    must_picture("'textures':[{'source':0}],'images':[{'uri':'gone.png'}]", 0);
    assert_int_equal(scene.image[0].state, T3D_PICTURE_MISSING);
    must_picture("'textures':[{'source':0}],'images':[{'bufferView':1}]", T3D_READ_PIXELS);
    assert_int_equal(scene.image[0].state, T3D_PICTURE_BAD);
    must_picture("'textures':[{'source':0}],'images':[{'bufferView':9}]", 0);
    assert_int_equal(scene.image[0].state, T3D_PICTURE_BAD);
    must_picture("'textures':[{'source':0}],'images':[{'uri':'data:image/png;base64,@@@@'}]", 0);
    assert_int_equal(scene.image[0].state, T3D_PICTURE_BAD);
    must_picture("'textures':[{'source':7}],'images':[{}]", 0);
    assert_int_equal(scene.image[0].state, T3D_PICTURE_MISSING);
    must_picture("'textures':[{'extensions':{'KHR_texture_basisu':{'source':0}}}],"
                 "'images':[{'bufferView':2}]",
                 0);
    assert_int_equal(scene.image[0].state, T3D_PICTURE_UNSUPPORTED);
    /* a plain picture beside it is taken instead */
    must_picture("'textures':[{'source':1,'extensions':{'KHR_texture_basisu':{'source':0}}}],"
                 "'images':[{'bufferView':2},{'bufferView':3}]",
                 0);
    is_png(0);
    must_picture("'textures':[{'source':0,'extensions':{'EXT_texture_webp':{'source':1}}}],"
                 "'images':[{'bufferView':2},{'bufferView':3}]",
                 0);
    is_png(0);
}

/* --- wrong files
 * ---------------------------------------------------------------------------------------- */

static void bad_primitives_are_passed_over(void **state)
{
    static const uint16_t far[6] = {0, 1, 2, 0, 3, 65535};
    static const float wild[9] = {0, 0, 0, NAN, 0, 0, 0, 1, INFINITY};
    static const char *const bad[][2] = {{"'POSITION':0},'indices':1", "index-out-of-range"},
                                         {"'POSITION':2}", "non-finite"},
                                         {"'POSITION':3}", "accessor-out-of-range"},
                                         {"'POSITION':4}", "no-data"},
                                         {"'POSITION':99}", "bad-accessor"},
                                         {"'NORMAL':0}", "no-position"},
                                         {"'POSITION':0,'NORMAL':5}", "attribute-too-short"},
                                         {"'POSITION':0,'TEXCOORD_0':0}", "bad-attribute-type"},
                                         {"'POSITION':5}", "too-few-vertices"},
                                         {"'POSITION':6}", "buffer-view-out-of-range"},
                                         {"'POSITION':7}", "bad-stride"},
                                         {"'POSITION':8}", "accessor-out-of-range"},
                                         {"'POSITION':0},'material':0", "bad-material"}};
    char text[512];

    (void)state;
    unit_triangle();
    shorts(far, 6);
    floats(wild, 3, 3);
    accessor(0, 5126, 4, "VEC3", "");
    accessor(-1, 5126, 3, "VEC3", "");
    accessor(0, 5126, 2, "VEC3", "");
    append(bin.views, sizeof bin.views, ",{'buffer':0,'byteOffset':4,'byteLength':99999999}");
    accessor(bin.n_views++, 5126, 3, "VEC3", "");
    append(bin.views, sizeof bin.views, ",{'buffer':0,'byteLength':36,'byteStride':4}");
    accessor(bin.n_views++, 5126, 3, "VEC3", "");
    accessor(0, 5126, 3, "VEC3", ",'byteOffset':4");
    for (size_t i = 0; i < T3D_COUNT(bad); i++) {
        snprintf(text, sizeof text,
                 "'nodes':[{'mesh':0}],'meshes':[{'primitives':[{'attributes':{%s},"
                 "{'attributes':{'POSITION':0}}]}]",
                 bad[i][0]);
        must(text);
        assert_int_equal(scene.n_triangles, 1); /* the object stays */
        assert_int_equal(scene.notes.n_bad_primitives, 1);
        assert_string_equal(scene.notes.first_bad, bad[i][1]);
        assert_int_equal(scene.notes.n_bad_indices, i == 0 ? 2 : 0);
        assert_int_equal(scene.notes.n_non_finite, i == 1 ? 2 : 0);
    }
    /* a transform can make positions infinite; each instance is judged, the primitive counted once
     */
    must("'nodes':[{'mesh':0,'scale':[1e300,1,1]},{'mesh':0},{'mesh':0,'scale':[1,1e60,1]}]," MESH);
    assert_string_equal(scene.notes.first_bad, "non-finite");
    assert_int_equal(scene.notes.n_bad_primitives, 1);
}

static void bombs_are_caught_early(void **state)
{
    char *text = malloc(1 << 20);
    size_t n;

    (void)state;
    arena.limit = 64 << 20;
    unit_triangle();
    accessor(-1, 5126, 101000000, "VEC3",
             ",'sparse':{'count':1,'indices':{'bufferView':0,'componentType':5121},"
             "'values':{'bufferView':0}}");
    accessor(-1, 5125, 210000000, "SCALAR",
             ",'sparse':{'count':1,'indices':{'bufferView':0,'componentType':5121},"
             "'values':{'bufferView':0}}");
    refused("'nodes':[{'mesh':0}],'meshes':[{'primitives':[{'attributes':{'POSITION':1}}]}]",
            "too-large");
    assert_non_null(strstr(err.msg, "vertices, as instanced"));
    refused("'nodes':[{'mesh':0}],'meshes':[{'primitives':[{'attributes':{'POSITION':0},"
            "'indices':2}]}]",
            "too-large");
    assert_non_null(strstr(err.msg, "triangles, as instanced"));
    /* 500 nodes, each with 101000000 instances of a mesh of 2000 triangles */
    n = (size_t)snprintf(text, 1 << 20, "'meshes':[{'primitives':[");
    for (int i = 0; i < 2000; i++)
        n += (size_t)snprintf(text + n, 99, "%s{'attributes':{'POSITION':0}}", i ? "," : "");
    n += (size_t)snprintf(text + n, 99, "]}],'nodes':[");
    for (int i = 0; i < 500; i++)
        n += (size_t)snprintf(text + n, 199,
                              "%s{'mesh':0,'extensions':{'EXT_mesh_gpu_instancing':{'attributes':"
                              "{'SCALE':1}}}}",
                              i ? "," : "");
    snprintf(text + n, 9, "]");
    refused(text, "too-large");
    assert_non_null(strstr(err.msg, "as instanced"));
    assert_true(arena.used < 8 << 20);
    free(text);
}

static void extensions_that_are_required(void **state)
{
    static const char *const no[] = {"KHR_draco_mesh_compression", "EXT_meshopt_compression",
                                     "KHR_texture_basisu", "VENDOR_anything"};
    char text[512];

    (void)state;
    unit_triangle();
    for (size_t i = 0; i < T3D_COUNT(no); i++) {
        snprintf(text, sizeof text, "'extensionsRequired':['KHR_mesh_quantization','%s']", no[i]);
        refused(text, "required-extension");
        assert_non_null(strstr(err.msg, no[i]));
    }
    must("'extensionsRequired':['KHR_mesh_quantization','KHR_texture_transform','EXT_texture_webp',"
         "'KHR_materials_unlit','KHR_materials_pbrSpecularGlossiness',"
         "'KHR_materials_emissive_strength','EXT_mesh_gpu_instancing']");
    /* not required, but the plain data is not there */
    accessor(-1, 5126, 3, "VEC3", "");
    must_primitive("'attributes':{'POSITION':1},'extensions':{'KHR_draco_mesh_compression':{}}");
    assert_string_equal(scene.notes.first_bad, "draco-compressed");
}

static void containers(void **state)
{
    size_t n;

    (void)state;
    unit_triangle();
    n = glb(file, sizeof file, "'nodes':[{'mesh':0}]," MESH);
    for (size_t k = 0; k < n; k++) { /* cut anywhere */
        assert_int_equal(read_bytes(file, k, 0), T3D_SKIP);
        if (k >= 4)
            assert_string_equal(err.reason, "truncated");
    }
    file[4] = 1;
    assert_int_equal(read_bytes(file, n, 0), T3D_SKIP);
    assert_string_equal(err.reason, "unsupported-version");
    file[4] = 2;
    put32(file + 12, n);
    assert_int_equal(read_bytes(file, n, 0), T3D_SKIP);
    assert_string_equal(err.reason, "bad-glb");
    put32(file + 12, 8);
    assert_int_equal(read_bytes(file, n, 0), T3D_SKIP);
    assert_true(!strcmp(err.reason, "bad-glb") || !strcmp(err.reason, "bad-json"));
}

static int read_text(const char *json, unsigned flags)
{
    char *copy = t3d_strdup(&arena, json);

    assert_non_null(copy);
    quotes(copy);
    return read_bytes((uint8_t *)copy, strlen(copy), flags);
}

#define TEXT_MESH(buffer)                                                                          \
    "{'asset':{'version':'2.0'},'buffers':[" buffer "],'bufferViews':[{'buffer':0,"                \
    "'byteLength':36}],'accessors':[{'bufferView':0,'componentType':5126,'count':3,'type':"        \
    "'VEC3'}],'nodes':[{'mesh':0}]," MESH "}"

static void external_and_inline_buffers(void **state)
{
    static const float p[9] = {0, 0, 0, 1, 0, 0, 0, 1, 0};

    (void)state;
    beside[0].name = "a b.bin";
    beside[0].data = p;
    beside[0].size = sizeof p;
    assert_int_equal(read_text(TEXT_MESH("{'byteLength':36,'uri':'a%20b.bin'}"), 0), T3D_OK);
    assert_string_equal(scene.notes.format, "gltf");
    NEAR(scene.position, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0);
    assert_int_equal(read_text(TEXT_MESH("{'byteLength':36,'uri':'other.bin'}"), 0), T3D_SKIP);
    assert_string_equal(err.reason, "missing-file");
    beside[0].size = 35;
    assert_int_equal(read_text(TEXT_MESH("{'byteLength':36,'uri':'a b.bin'}"), 0), T3D_SKIP);
    assert_string_equal(err.reason, "truncated");
    beside[0].name = NULL;
    assert_int_equal(
        read_text(TEXT_MESH("{'byteLength':36,'uri':'data:application/octet-stream;base64,"
                            "AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA'}"),
                  0),
        T3D_OK);
    NEAR(scene.position, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0);
    assert_int_equal(read_text(TEXT_MESH("{'byteLength':36}"), 0), T3D_OK);
    assert_string_equal(scene.notes.first_bad, "missing-buffer");
}

static void names_of_external_files(void **state)
{
    (void)state;
    assert_int_equal(read_text("{'asset':{'version':'2.0'},'buffers':[{'uri':'x%2fy.bin'},{},"
                               "{'uri':'data:,abc'}],'images':[{'uri':'../p.png'},{'uri':3}]}",
                               T3D_READ_NAMES),
                     T3D_OK);
    assert_string_equal(asked, "[x/y.bin][../p.png]");
    assert_int_equal(scene.n_triangles, 0);
}

static void reasons_of_refusal(void **state)
{
    static const char *const texts[][2] = {
        {"{}", "bad-gltf"},
        {"{'asset':{'version':'1.0'}}", "unsupported-version"},
        {"{'asset':{'version':'2.0'}", "bad-json"},
        {"{'asset':{'version':'2.0'}} x", "bad-json"},
        {"", "unknown-format"},
        {"<!DOCTYPE html><html>", "unknown-format"},
        {"[1]", "unknown-format"},
    };

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(texts); i++) {
        assert_int_equal(read_text(texts[i][0], 0), T3D_SKIP);
        assert_string_equal(err.reason, texts[i][1]);
    }
    assert_int_equal(read_text("<html><body>404", 0), T3D_SKIP);
    assert_non_null(strstr(err.msg, "HTML page"));
    assert_int_equal(read_bytes((const uint8_t *)"\x1f\x8b\x08", 3, 0), T3D_SKIP);
    assert_non_null(strstr(err.msg, "gzip"));
    assert_int_equal(read_text("", 0), T3D_SKIP);
    assert_non_null(strstr(err.msg, "empty file"));
}

/* A file with everything, one to four bytes changed: any answer but a crash or an unsound scene. */
static void damage_does_no_harm(void **state)
{
    static const float n[9] = {0, 0, 1, 0, 0, 1, 0, 0, 1}, w[12] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    static const uint8_t j[12] = {0}, index[2] = {0, 2};
    struct t3d_rng r = t3d_rng_for(3, "gltf", 0);
    uint8_t png[256], *copy;
    size_t size, good = 0;

    (void)state;
    unit_triangle();
    floats(n, 3, 3);
    accessor(view(j, 12, 0), 5121, 3, "VEC4", "");
    floats(w, 3, 4);
    view(png, make_png(png, sizeof png), 0);
    view(index, 2, 0);
    accessor(0, 5126, 3, "VEC3",
             ",'sparse':{'count':2,'indices':{'bufferView':5,'componentType':5121},"
             "'values':{'bufferView':1}}");
    size =
        glb(file, sizeof file,
            "'nodes':[{'mesh':0,'skin':0,'children':[1]},{'scale':[1,2,3],'mesh':0,'extensions':"
            "{'EXT_mesh_gpu_instancing':{'attributes':{'TRANSLATION':0}}}}],'skins':[{'joints':"
            "[1]}],'meshes':[{'weights':[1],'primitives':[{'attributes':{'POSITION':4,'NORMAL':1,"
            "'JOINTS_0':2,'WEIGHTS_0':3,'TANGENT':3,'COLOR_0':0},'material':0,'mode':5,'targets':"
            "[{'POSITION':0}]}]}],'materials':[{'normalTexture':{'index':0,'extensions':{"
            "'KHR_texture_transform':{'rotation':1}}}}],'textures':[{'source':0}],'images':[{"
            "'bufferView':4}],'scenes':[{'nodes':[0]}],'scene':0");
    keep_seed(file, size);
    assert_int_equal(read_bytes(file, size, T3D_READ_PIXELS), T3D_OK);
    assert_int_equal(scene.n_draws, 4);
    assert_int_equal(scene.image[0].state, T3D_PICTURE_OK);
    copy = malloc(size);
    arena.limit = 64 << 20;
    for (int i = 0; i < 15000; i++) {
        memcpy(copy, file, size);
        for (uint32_t k = 1 + t3d_rng_below(&r, 4); k; k--) {
            uint32_t at = t3d_rng_below(&r, (uint32_t)size);

            copy[at] =
                (uint8_t)(t3d_rng_below(&r, 2) ? '0' + t3d_rng_below(&r, 10) : t3d_rng_u32(&r));
        }
        t3d_arena_reset(&arena);
        good += read_bytes(copy, size, T3D_READ_PIXELS) == T3D_OK;
    }
    assert_true(good > 1000);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(factors, fresh),
        cmocka_unit_test_setup(specular_glossiness, fresh),
        cmocka_unit_test_setup(materials_in_use_only, fresh),
        cmocka_unit_test_setup(texture_transforms, fresh),
        cmocka_unit_test_setup(uv_slots, fresh),
        cmocka_unit_test_setup(pictures_from_three_places, fresh),
        cmocka_unit_test_setup(pictures_that_fail, fresh),
        cmocka_unit_test_setup(bad_primitives_are_passed_over, fresh),
        cmocka_unit_test_setup(bombs_are_caught_early, fresh),
        cmocka_unit_test_setup(extensions_that_are_required, fresh),
        cmocka_unit_test_setup(containers, fresh),
        cmocka_unit_test_setup(external_and_inline_buffers, fresh),
        cmocka_unit_test_setup(names_of_external_files, fresh),
        cmocka_unit_test_setup(reasons_of_refusal, fresh),
        cmocka_unit_test_setup(damage_does_no_harm, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
