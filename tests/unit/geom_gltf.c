/* SPDX-License-Identifier: Apache-2.0 */
/* The glTF reader against closed forms: each test writes a small file and knows what must come out.
 */
#include "glb_maker.h"

/* --- primitives
 * ------------------------------------------------------------------------------------ */

static void a_plain_triangle(void **state)
{
    (void)state;
    unit_triangle();
    must_primitive("'attributes':{'POSITION':0}");
    assert_int_equal(scene.n_vertices, 3);
    NEAR(scene.position, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0);
    TRIANGLES(1, 0, 1, 2);
    assert_int_equal(scene.n_draws, 1);
    assert_int_equal(scene.draw[0].flags, 0);
    assert_int_equal(scene.n_materials, 1);
    assert_true(scene.material[0].metallic == 1 && scene.material[0].texture[0].image == -1);
    assert_string_equal(scene.notes.format, "glb");
    assert_string_equal(scene.notes.generator, "test? ??");
}

static void modes_and_windings(void **state)
{
    static const float p[15] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 2, 0};
    static const uint16_t order[5] = {4, 3, 2, 1, 0};

    (void)state;
    floats(p, 5, 3);
    shorts(order, 5);
    must_primitive("'attributes':{'POSITION':0},'mode':5");
    TRIANGLES(3, 0, 1, 2, 1, 3, 2, 2, 3, 4);
    must_primitive("'attributes':{'POSITION':0},'mode':6");
    TRIANGLES(3, 1, 2, 0, 2, 3, 0, 3, 4, 0);
    must_primitive("'attributes':{'POSITION':0},'mode':5,'indices':1");
    TRIANGLES(3, 4, 3, 2, 3, 1, 2, 2, 1, 0);
    must_primitive("'attributes':{'POSITION':0},'mode':6,'indices':1");
    TRIANGLES(3, 3, 2, 4, 2, 1, 4, 1, 0, 4);
    must_primitive("'attributes':{'POSITION':0},'indices':1"); /* two indices are left over */
    TRIANGLES(1, 2, 1, 0);
    assert_int_equal(scene.n_vertices, 3); /* vertices 2, 3, 4 of the file: only the range in use */
    NEAR(scene.position, 9, 0, 1, 0, 1, 1, 0, 0, 2, 0);
    must("'nodes':[{'mesh':0}],'meshes':[{'primitives':[{'attributes':{'POSITION':0},'mode':0},"
         "{'attributes':{'POSITION':0},'mode':1},{'attributes':{'POSITION':0},'mode':2},"
         "{'attributes':{'POSITION':0},'mode':3},{'attributes':{'POSITION':0},'mode':7}]}]");
    assert_int_equal(scene.n_triangles, 0);
    assert_int_equal(scene.notes.n_points, 1);
    assert_int_equal(scene.notes.n_lines, 3);
    assert_int_equal(scene.notes.n_bad_primitives, 1);
    assert_string_equal(scene.notes.first_bad, "bad-mode");
}

static void index_types(void **state)
{
    static const uint8_t bytes[3] = {0, 2, 1};
    static const uint32_t words[3] = {1, 0, 2};

    (void)state;
    unit_triangle();
    accessor(view(bytes, 3, 0), 5121, 3, "SCALAR", "");
    accessor(view(words, 12, 0), 5125, 3, "SCALAR", "");
    must_primitive("'attributes':{'POSITION':0},'indices':1");
    TRIANGLES(1, 0, 2, 1);
    must_primitive("'attributes':{'POSITION':0},'indices':2");
    TRIANGLES(1, 1, 0, 2);
    must_primitive("'attributes':{'POSITION':0},'indices':0"); /* VEC3 floats are no indices */
    assert_string_equal(scene.notes.first_bad, "bad-index-type");
}

/* --- accessors
 * --------------------------------------------------------------------------------------- */

static void component_types(void **state)
{
    static const int8_t i8[12] = {0, 0, 0, 0, 127, -127, -128, 0, 0, 64, 0, 0};
    static const uint8_t u8[12] = {0, 0, 0, 9, 255, 51, 0, 9, 0, 102, 0, 9};
    static const int16_t i16[12] = {0, 0, 0, 9, 32767, -32768, 0, 9, 0, 16384, 0, 9};
    static const uint16_t u16[12] = {0, 0, 0, 9, 65535, 13107, 0, 9, 0, 26214, 0, 9};
    const char *n = ",'normalized':true";

    (void)state;
    accessor(view(i8, 12, 4), 5120, 3, "VEC3", n);
    accessor(view(u8, 12, 4), 5121, 3, "VEC3", n);
    accessor(view(i16, 24, 8), 5122, 3, "VEC3", n);
    accessor(view(u16, 24, 8), 5123, 3, "VEC3", n);
    accessor(2, 5122, 3, "VEC3", "");
    accessor(1, 5121, 3, "VEC3", ",'byteOffset':0");
    must_primitive("'attributes':{'POSITION':0}");
    NEAR(scene.position, 9, 0, 0, 0, 1, -1, -1, 0, 64. / 127, 0);
    must_primitive("'attributes':{'POSITION':1}");
    NEAR(scene.position, 9, 0, 0, 0, 1, .2, 0, 0, .4, 0);
    must_primitive("'attributes':{'POSITION':2}");
    NEAR(scene.position, 9, 0, 0, 0, 1, -1, 0, 0, 16384. / 32767, 0);
    must_primitive("'attributes':{'POSITION':3}");
    NEAR(scene.position, 9, 0, 0, 0, 1, .2, 0, 0, .4, 0);
    must_primitive("'attributes':{'POSITION':4}");
    NEAR(scene.position, 9, 0, 0, 0, 32767, -32768, 0, 0, 16384, 0);
    must_primitive("'attributes':{'POSITION':5}");
    NEAR(scene.position, 9, 0, 0, 0, 255, 51, 0, 0, 102, 0);
}

static void interleaved_and_offset(void **state)
{
    /* x y z u v, three times, behind 4 bytes of something else */
    static const float data[16] = {99, 0, 0, 0, .25f, .5f, 1, 0, 0, 1, .5f, 0, 1, 0, .125f, 1};

    (void)state;
    view(data, sizeof data, 20);
    accessor(0, 5126, 3, "VEC3", ",'byteOffset':4");
    accessor(0, 5126, 3, "VEC2", ",'byteOffset':16");
    must_primitive("'attributes':{'POSITION':0,'TEXCOORD_0':1}");
    NEAR(scene.position, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0);
    NEAR(scene.uv[0], 6, .25, .5, 1, .5, .125, 1);
    assert_int_equal(scene.draw[0].flags, T3D_HAS_UV0);
}

static void sparse_accessors(void **state)
{
    static const uint16_t index[2] = {1, 3}, last[3] = {2, 3, 3};
    static const float value[6] = {7, 8, 9, 4, 5, 6},
                       base[12] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3};
    const char *sparse = ",'sparse':{'count':2,'indices':{'bufferView':0,'componentType':5123},"
                         "'values':{'bufferView':1}}";

    (void)state;
    view(index, 4, 0);
    view(value, 24, 0);
    view(base, 48, 0);
    accessor(2, 5126, 4, "VEC3", sparse);
    accessor(-1, 5126, 4, "VEC3", sparse);
    accessor(-1, 5126, 3, "VEC3", sparse); /* index 3 of 3 */
    must_primitive("'attributes':{'POSITION':0},'mode':5");
    NEAR(scene.position, 12, 0, 0, 0, 7, 8, 9, 2, 2, 2, 4, 5, 6);
    must_primitive("'attributes':{'POSITION':1},'mode':5");
    NEAR(scene.position, 12, 0, 0, 0, 7, 8, 9, 0, 0, 0, 4, 5, 6);
    must_primitive("'attributes':{'POSITION':2}");
    assert_string_equal(scene.notes.first_bad, "bad-sparse");
    /* only vertices 2 and 3 are used: the range begins between the two sparse entries */
    shorts(last, 3);
    must_primitive("'attributes':{'POSITION':0},'indices':3");
    NEAR(scene.position, 6, 2, 2, 2, 4, 5, 6);
}

static void vertex_colours(void **state)
{
    static const float rgb[9] = {1, 0, .5f, 0, 2, 0, 0, NAN, -1};
    static const uint8_t rgba[12] = {255, 0, 51, 102, 0, 0, 0, 0, 255, 255, 255, 255};
    static const uint16_t wide[12] = {65535, 0, 13107, 0, 0, 0, 0, 0, 0, 0, 0, 0};

    (void)state;
    unit_triangle();
    floats(rgb, 3, 3);
    accessor(view(rgba, 12, 0), 5121, 3, "VEC4", ""); /* normalised, said or not */
    accessor(view(wide, 24, 8), 5123, 3, "VEC3", ",'normalized':true");
    must_primitive("'attributes':{'POSITION':0,'COLOR_0':1}");
    NEAR(scene.color, 12, 1, 0, .5, 1, 0, 1, 0, 1, 0, 1, 0, 1); /* alpha 1, clamped, NaN = 1 */
    assert_int_equal(scene.draw[0].flags, T3D_HAS_COLOR);
    must_primitive("'attributes':{'POSITION':0,'COLOR_0':2}");
    NEAR(scene.color, 12, 1, 0, .2, .4, 0, 0, 0, 0, 1, 1, 1, 1);
    must_primitive("'attributes':{'POSITION':0,'COLOR_0':3}");
    NEAR(scene.color, 4, 1, 0, .2, 1);
    /* beside a primitive without colours: white there */
    must("'nodes':[{'mesh':0}],'meshes':[{'primitives':[{'attributes':{'POSITION':0}},"
         "{'attributes':{'POSITION':0,'COLOR_0':2}}]}]");
    NEAR(scene.color, 16, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, .2, .4);
    assert_int_equal(scene.draw[0].flags, 0);
}

/* --- nodes
 * ------------------------------------------------------------------------------------------------
 */

static void transforms_and_hierarchy(void **state)
{
    static const float n[9] = {.6f, 0, .8f, 0, 0, 1, 0, 0, 1};

    (void)state;
    unit_triangle();
    floats(n, 3, 3);
    /* child: scale (2,1,1) then 90 degrees about z: (x,y,z) -> (-y,2x,z); parent: + (10,0,0) */
    must("'nodes':[{'mesh':0,'rotation':[0,0,0.70710678118,0.70710678118],'scale':[2,1,1]},"
         "{'children':[0],'matrix':[1,0,0,0,0,1,0,0,0,0,1,0,10,0,0,1]}],"
         "'meshes':[{'primitives':[{'attributes':{'POSITION':0,'NORMAL':1}}]}]");
    NEAR(scene.position, 9, 10, 0, 0, 10, 2, 0, 9, 0, 0);
    TRIANGLES(1, 0, 1, 2);
    /* inverse transpose of the scale: (.6, 0, .8) -> (.3, 0, .8), turned: (0, .3, .8) */
    NEAR(scene.normal, 6, 0, .3 / sqrt(.73), .8 / sqrt(.73), 0, 0, 1);
    assert_int_equal(scene.notes.n_nodes, 2);
}

static void mirrors_flip_the_winding(void **state)
{
    static const float n[9] = {.6f, 0, .8f, 0, 0, 1, 0, 0, 1};
    static const float t[12] = {1, 0, 0, 1, 1, 0, 0, -1, 0, 3, 0, 1};

    (void)state;
    unit_triangle();
    floats(n, 3, 3);
    floats(t, 3, 4);
    must("'nodes':[{'mesh':0,'scale':[-1,1,1]}],"
         "'meshes':[{'primitives':[{'attributes':{'POSITION':0,'NORMAL':1,'TANGENT':2}}]}]");
    TRIANGLES(1, 0, 2, 1);
    NEAR(scene.position, 9, 0, 0, 0, -1, 0, 0, 0, 1, 0);
    NEAR(scene.normal, 6, -.6, 0, .8, 0, 0, 1);
    /* bitangent = cross(n, t) w must be the mirror image of the old one: w changes sign */
    NEAR(scene.tangent, 12, -1, 0, 0, -1, -1, 0, 0, 1, 0, 1, 0, -1);
    must("'nodes':[{'mesh':0,'scale':[-1,-1,1]}],'meshes':[{'primitives':[{'attributes':"
         "{'POSITION':0}}]}]");
    TRIANGLES(1, 0, 1, 2);
}

static void normals_are_repaired(void **state)
{
    static const float n[9] = {0, 0, 5, NAN, 0, 0, 0, 0, 0};
    static const float t[12] = {1, 0, 0, 1, NAN, 0, 0, 1, 1, 0, 0, 1};

    (void)state;
    unit_triangle();
    floats(n, 3, 3);
    floats(t, 3, 4);
    must_primitive("'attributes':{'POSITION':0,'NORMAL':1,'TANGENT':2}");
    NEAR(scene.normal, 9, 0, 0, 1, 0, 0, 1, 0, 0, 1);
    assert_int_equal(scene.draw[0].flags, T3D_HAS_NORMAL | T3D_HAS_TANGENT);
    NEAR(scene.tangent[2], 4, 1, 0, 0, 1);
    assert_true(scene.tangent[1][2] == 0); /* in the plane of the triangle, length 1 */
    assert_true(fabsf(hypotf(scene.tangent[1][0], scene.tangent[1][1]) - 1) < 1e-6f);
    /* without normals, tangents are ignored */
    must_primitive("'attributes':{'POSITION':0,'TANGENT':2}");
    assert_int_equal(scene.draw[0].flags, 0);
}

#define MESH "'meshes':[{'primitives':[{'attributes':{'POSITION':0}}]}]"

static void scenes_choose_roots(void **state)
{
    (void)state;
    unit_triangle();
    must("'nodes':[{'mesh':0},{'mesh':0},{'mesh':0}]," MESH
         ",'scenes':[{'nodes':[0]},{'nodes':[1,2]}],'scene':1");
    assert_int_equal(scene.n_draws, 2);
    must("'nodes':[{'mesh':0},{'mesh':0},{'mesh':0}]," MESH ",'scenes':[{'nodes':[0]},{}]");
    assert_int_equal(scene.n_draws, 1);
    must("'nodes':[{'mesh':0},{'mesh':0},{'mesh':0,'children':[0]}]," MESH);
    assert_int_equal(scene.n_draws, 3);
    must("'nodes':[{'mesh':0}]," MESH ",'scenes':[{'nodes':[0,0]}]"); /* named twice, there once */
    assert_int_equal(scene.n_draws, 1);
    must("'scenes':[{}]");
    assert_int_equal(scene.n_triangles, 0);
    refused("'nodes':[{'mesh':0}]," MESH ",'scenes':[{'nodes':[1]}]", "bad-gltf");
    refused("'nodes':[{'mesh':0}]," MESH ",'scenes':[{}],'scene':1", "bad-gltf");
}

static void broken_hierarchies(void **state)
{
    (void)state;
    unit_triangle();
    refused("'nodes':[{'children':[1]},{'children':[2]},{'children':[1]}]", "multiple-parents");
    refused("'nodes':[{'children':[1]},{'children':[0]}]", "node-cycle");
    refused("'nodes':[{'mesh':0},{'children':[1]}]," MESH ",'scenes':[{'nodes':[0]}]",
            "node-cycle");
    refused("'nodes':[{'children':[3]}]", "bad-node");
    refused("'nodes':[{'mesh':1}]," MESH, "bad-node");
    refused("'nodes':[{'mesh':-1}]," MESH, "bad-node");
    refused("'nodes':[{'mesh':0.5}]," MESH, "bad-node");
}

static void depth_needs_no_stack(void **state)
{
    enum { DEEP = 200000 };
    char *json = malloc(64 * DEEP), *at = json;
    static const char tail[] = "{\"mesh\":0,\"translation\":[1,0,0]}],\"meshes\":[]}";
    int r;

    (void)state;
    at += snprintf(at, 128, "{\"asset\":{\"version\":\"2.0\"},\"nodes\":[");
    for (int i = 0; i < DEEP; i++)
        at += snprintf(at, 64, "{\"children\":[%d],\"scale\":[1,1,1]},", i + 1);
    memcpy(at, tail, sizeof tail);
    memcpy(strstr(at, "\"mesh\":0,"), "         ", 9);
    r = read_bytes((uint8_t *)json, (size_t)(at - json) + sizeof tail - 1, 0);
    assert_int_equal(r, T3D_OK);
    assert_int_equal(scene.notes.n_nodes, DEEP + 1);
    assert_string_equal(scene.notes.format, "gltf");
    free(json);
}

static void instancing(void **state)
{
    static const float t[6] = {5, 0, 0, 0, 7, 0}, s[6] = {1, 1, 1, -2, 1, 1};
    static const int8_t q[8] = {0, 0, 0, 127, 0, 0, 0, 127};

    (void)state;
    unit_triangle();
    floats(t, 2, 3);
    floats(s, 2, 3);
    accessor(view(q, 8, 0), 5120, 2, "VEC4", ",'normalized':true");
    must("'nodes':[{'mesh':0,'translation':[0,0,1],'extensions':{'EXT_mesh_gpu_instancing':"
         "{'attributes':{'TRANSLATION':1,'SCALE':2,'ROTATION':3}}}}]," MESH);
    assert_int_equal(scene.n_draws, 2);
    NEAR(scene.position, 18, 5, 0, 1, 6, 0, 1, 5, 1, 1, 0, 7, 1, -2, 7, 1, 0, 8, 1);
    TRIANGLES(2, 0, 1, 2, 3, 5, 4);
    must("'nodes':[{'mesh':0,'extensions':{'EXT_mesh_gpu_instancing':{'attributes':"
         "{'TRANSLATION':1,'SCALE':0}}}},{'mesh':0}]," MESH); /* counts 2 and 3 */
    assert_int_equal(scene.n_draws, 1);
    assert_string_equal(scene.notes.first_bad, "bad-instancing");
}

/* --- morphs and skins
 * ----------------------------------------------------------------------------------------- */

static void morph_targets(void **state)
{
    static const float up[9] = {0, 0, 1, 0, 0, 2, 0, 0, 3}, right[9] = {4, 0, 0, 0, 0, 0, 0, 0, 0};
    static const float n[9] = {0, 0, 1, 0, 0, 1, 0, 0, 1}, tilt[9] = {0, 2, 0, 0, 0, 0, 0, 0, 0};
    const char *mesh = "'meshes':[{'weights':[0.5,1],'primitives':[{'attributes':{'POSITION':0,"
                       "'NORMAL':3},'targets':[{'POSITION':1,'NORMAL':4},{'POSITION':2}]}]}]";
    char text[1024];

    (void)state;
    unit_triangle();
    floats(up, 3, 3);
    floats(right, 3, 3);
    floats(n, 3, 3);
    floats(tilt, 3, 3);
    snprintf(text, sizeof text, "'nodes':[{'mesh':0}],%s", mesh);
    must(text);
    NEAR(scene.position, 9, 4, 0, .5, 1, 0, 1, 0, 1, 1.5);
    NEAR(scene.normal, 6, 0, sqrt(.5), sqrt(.5), 0, 0, 1);
    assert_int_equal(scene.notes.n_morph_targets, 2);
    snprintf(text, sizeof text, "'nodes':[{'mesh':0,'weights':[1,0]}],%s", mesh);
    must(text);
    NEAR(scene.position, 9, 0, 0, 1, 1, 0, 2, 0, 1, 3);
    must_primitive("'attributes':{'POSITION':0},'targets':[{'POSITION':1}]"); /* no weights: 0 */
    NEAR(scene.position, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0);
}

/* Two joints: joint 0 moved by (0,0,1) since the bind, joint 1 turned by 90 degrees about z and
 * doubled. */
static void skins_in_rest_pose(void **state)
{
    static const float bind[32] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, -2, 1,
                                   1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0,  1};
    static const uint8_t joints[12] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 9, 9};
    static const float weights[12] = {1, 0, 0, 0, 2, 0, 0, 0, .5f, .5f, 0, 0};
    static const float n[9] = {0, 0, 1, 1, 0, 0, 0, 0, 1};
    const char *rest =
        "'skin':0,'translation':[50,50,50],'scale':[-1,1,1]},{'translation':[0,0,3]},"
        "{'rotation':[0,0,0.70710678118,0.70710678118],'scale':[2,2,2]}],"
        "'meshes':[{'primitives':[{'attributes':{'POSITION':0,'JOINTS_0':2,'WEIGHTS_0':3,'NORMAL':4"
        "}}]}],'skins':[{'joints':[1,2],'inverseBindMatrices':1}]";
    char text[1024];

    (void)state;
    unit_triangle();
    floats(bind, 2, 16);
    accessor(view(joints, 12, 0), 5121, 3, "VEC4", "");
    floats(weights, 3, 4);
    floats(n, 3, 3);
    snprintf(text, sizeof text, "'nodes':[{'mesh':0,%s", rest);
    must(text);
    /* (0,1,0): mean of (0,1,1) and (-2,0,0) */
    NEAR(scene.position, 9, 0, 0, 1, 0, 2, 0, -1, .5, .5);
    NEAR(scene.normal, 6, 0, 0, 1, 0, 1, 0);
    TRIANGLES(1, 0, 1, 2); /* the mesh node's mirror has no effect */
    assert_int_equal(scene.notes.n_skins, 1);
    snprintf(text, sizeof text, "'nodes':[{'mesh':0},{'mesh':0,'children':[]},{'mesh':0}],%s",
             strstr(rest, "'meshes'")); /* no skin on the node: its own transform */
    must(text);
    NEAR(scene.position, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0);
}

static void must_skin(int weights, const char *joints)
{
    char text[1024];

    snprintf(
        text, sizeof text,
        "'meshes':[{'primitives':[{'attributes':{'POSITION':0,'JOINTS_0':1,'WEIGHTS_0':%d}}]}],"
        "'nodes':[{'mesh':0,'skin':0},{'translation':[0,0,3]},{'translation':[0,0,4]}],"
        "'skins':[{'joints':[%s]}]",
        weights, joints);
    must(text);
}

static void wrong_skins(void **state)
{
    static const uint8_t joints[12] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    static const float zero[12] = {0}, one[12] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0};

    (void)state;
    unit_triangle();
    accessor(view(joints, 12, 0), 5121, 3, "VEC4", "");
    floats(zero, 3, 4);
    floats(one, 3, 4);
    must_skin(2, "1,2"); /* all weights zero: the first joint */
    NEAR(scene.position, 9, 0, 0, 3, 1, 0, 4, 0, 1, 3);
    must_skin(3, "1");
    assert_int_equal(scene.n_draws, 0);
    assert_string_equal(scene.notes.first_bad, "joint-out-of-range");
    must_skin(3, "7");
    assert_string_equal(scene.notes.first_bad, "bad-skin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_plain_triangle, fresh),
        cmocka_unit_test_setup(modes_and_windings, fresh),
        cmocka_unit_test_setup(index_types, fresh),
        cmocka_unit_test_setup(component_types, fresh),
        cmocka_unit_test_setup(interleaved_and_offset, fresh),
        cmocka_unit_test_setup(sparse_accessors, fresh),
        cmocka_unit_test_setup(vertex_colours, fresh),
        cmocka_unit_test_setup(transforms_and_hierarchy, fresh),
        cmocka_unit_test_setup(mirrors_flip_the_winding, fresh),
        cmocka_unit_test_setup(normals_are_repaired, fresh),
        cmocka_unit_test_setup(scenes_choose_roots, fresh),
        cmocka_unit_test_setup(broken_hierarchies, fresh),
        cmocka_unit_test_setup(depth_needs_no_stack, fresh),
        cmocka_unit_test_setup(instancing, fresh),
        cmocka_unit_test_setup(morph_targets, fresh),
        cmocka_unit_test_setup(skins_in_rest_pose, fresh),
        cmocka_unit_test_setup(wrong_skins, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
