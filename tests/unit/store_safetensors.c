/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <unistd.h>

#include "store/safetensors.h"

static char dir[64], path[128];
static struct t3d_err err;

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/t3d-safetensors.%ld", (long)getpid());
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    return t3d_make_dirs(dir, &err);
}

static int tear_down(void **state)
{
    (void)state;
    t3d_remove_tree(dir);
    return 0;
}

/* What safetensors 0.8.0 (safetensors.numpy.save) writes for the ten arrays of `arrays`. */
static const char reference_header[] =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"i\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
    "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[16,24]},"
    "\"b\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]},"
    "\"z\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[36,36]},"
    "\"k\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[36,40]},"
    "\"a.weight\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[40,48]},"
    "\"h\":{\"dtype\":\"I16\",\"shape\":[1],\"data_offsets\":[48,50]},"
    "\"n\xc3\xa9\\\"\\\\\\u0001\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[50,51]},"
    "\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[51,52]},"
    "\"flag\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[52,53]}}   ";
static const char reference_data[] =
    "\xff\xff\xff\xff\xff\xff\xff\xff\x05\0\0\0\0\0\0\0"
    "\0\0\0\0\0\0\xf8?\0\0\0\0\0\0\x80?\0\0\0@\xfd\xff\xff\xff\0\0\0<\0@\0B\x07\0\xfe\t\x01";

static const int64_t i64[] = {-1, 5};
static const double f64[] = {1.5};
static const float f32[] = {0, 1, 2};
static const int32_t i32[] = {-3};
static const uint16_t f16[] = {0, 0x3c00, 0x4000, 0x4200};
static const int16_t i16[] = {7};
static const int8_t i8[] = {-2};
static const uint8_t u8[] = {9}, flag[] = {1};

#define DATA(x) (const uint8_t *)(x)
static const struct t3d_tensor arrays[] = {
    {.name = "b", .type = T3D_TENSOR_F32, .n_axes = 1, .shape = {3}, .data = DATA(f32)},
    {.name = "a.weight", .type = T3D_TENSOR_F16, .n_axes = 2, .shape = {2, 2}, .data = DATA(f16)},
    {.name = "i", .type = T3D_TENSOR_I64, .n_axes = 1, .shape = {2}, .data = DATA(i64)},
    {.name = "flag", .type = T3D_TENSOR_BOOL, .data = flag},
    {.name = "z", .type = T3D_TENSOR_F32, .n_axes = 2, .shape = {0, 4}},
    {.name = "d", .type = T3D_TENSOR_F64, .n_axes = 1, .shape = {1}, .data = DATA(f64)},
    {.name = "h", .type = T3D_TENSOR_I16, .n_axes = 1, .shape = {1}, .data = DATA(i16)},
    {.name = "u", .type = T3D_TENSOR_U8, .n_axes = 1, .shape = {1}, .data = u8},
    {.name = "k", .type = T3D_TENSOR_I32, .n_axes = 1, .shape = {1}, .data = DATA(i32)},
    {.name = "n\xc3\xa9\"\\\x01",
     .type = T3D_TENSOR_I8,
     .n_axes = 1,
     .shape = {1},
     .data = DATA(i8)},
};
static const struct t3d_safetensors_pair format[] = {{"format", "pt"}};

static void write_is_the_references(void **state)
{
    struct t3d_tensor turned[T3D_COUNT(arrays)];
    struct t3d_blob b;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(arrays); i++)
        turned[i] = arrays[T3D_COUNT(arrays) - 1 - i];
    for (int k = 0; k < 2; k++) {
        assert_int_equal(
            t3d_safetensors_write(path, k ? turned : arrays, T3D_COUNT(arrays), format, 1, &err),
            0);
        assert_int_equal(t3d_blob_open(&b, path, 0, &err), T3D_OK);
        assert_int_equal(b.size, 8 + sizeof reference_header - 1 + sizeof reference_data - 1);
        assert_int_equal(b.data[0] | b.data[1] << 8, sizeof reference_header - 1);
        assert_memory_equal(b.data + 8, reference_header, sizeof reference_header - 1);
        assert_memory_equal(b.data + 8 + sizeof reference_header - 1, reference_data,
                            sizeof reference_data - 1);
        t3d_blob_close(&b);
    }
}

static void all_types_come_back(void **state)
{
    struct t3d_safetensors s;

    (void)state;
    assert_int_equal(t3d_safetensors_write(path, arrays, T3D_COUNT(arrays), format, 1, &err), 0);
    assert_int_equal(t3d_safetensors_open(&s, dir, &err), T3D_OK);
    assert_int_equal(s.n, T3D_COUNT(arrays));
    for (size_t i = 0; i < T3D_COUNT(arrays); i++) {
        const struct t3d_tensor *t = t3d_safetensors_find(&s, arrays[i].name);

        assert_non_null(t);
        assert_int_equal(t->type, arrays[i].type);
        assert_int_equal(t->n_axes, arrays[i].n_axes);
        assert_memory_equal(t->shape, arrays[i].shape, sizeof t->shape);
        if (t->count)
            assert_memory_equal(t->data, arrays[i].data, t->count * t3d_tensor_type_size(t->type));
    }
    assert_null(t3d_safetensors_find(&s, "c"));
    assert_string_equal(t3d_safetensors_meta(&s, "format"), "pt");
    assert_null(t3d_safetensors_meta(&s, "other"));
    t3d_safetensors_close(&s);
    assert_int_equal(t3d_safetensors_write(path, NULL, 0, NULL, 0, &err), T3D_OK);
    assert_int_equal(t3d_safetensors_open(&s, path, &err), T3D_OK);
    assert_int_equal(s.n, 0);
    t3d_safetensors_close(&s);
}

static void writer_refuses(void **state)
{
    struct t3d_tensor t[2] = {arrays[0], arrays[0]};
    struct t3d_safetensors_pair twice[2] = {{"k", "1"}, {"k", "2"}};

    (void)state;
    assert_int_equal(t3d_safetensors_write(path, t, 2, NULL, 0, &err), T3D_FAIL);
    t[0].name = "__metadata__";
    assert_int_equal(t3d_safetensors_write(path, t, 1, NULL, 0, &err), T3D_FAIL);
    t[1].shape[0] = UINT64_MAX / 2;
    assert_int_equal(t3d_safetensors_write(path, t + 1, 1, NULL, 0, &err), T3D_FAIL);
    assert_int_equal(t3d_safetensors_write(path, arrays, 1, twice, 2, &err), T3D_FAIL);
}

static void floats_are_exact(void **state)
{
    static const struct {
        uint16_t bits;
        float half, brain;
    } cases[] = {
        {0x0000, 0, 0},
        {0x8000, -0.f, -0.f},
        {0x3c00, 1, 0x1p-7f},
        {0x3f80, 1.875f, 1},
        {0xc500, -5, -2048},
        {0x0001, 0x1p-24f, 0x1p-133f},
        {0x03ff, 0x3ffp-24f, 0x1.fep-120f},
        {0x7bff, 65504, 0x1.fep120f},
    };
    float out[6];
    struct t3d_tensor t = {.type = T3D_TENSOR_F32, .n_axes = 2, .shape = {3, 2}, .count = 6};
    const float in[6] = {0, 1, 2, 3, 4, 5}, transposed[6] = {0, 3, 1, 4, 2, 5};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(cases); i++) {
        struct t3d_tensor one = {.type = T3D_TENSOR_F16, .count = 1, .data = DATA(&cases[i].bits)};

        t3d_tensor_floats(&one, out);
        assert_memory_equal(out, &cases[i].half, 4);
        one.type = T3D_TENSOR_BF16;
        t3d_tensor_floats(&one, out);
        assert_memory_equal(out, &cases[i].brain, 4);
    }
    t.stride[0] = 1;
    t.stride[1] = 3;
    t.data = DATA(in);
    t3d_tensor_floats(&t, out);
    assert_memory_equal(out, transposed, sizeof out);
}

static int parse(const char *header, size_t data)
{
    size_t n = strlen(header);
    uint8_t *file = calloc(1, 8 + n + data);
    struct t3d_safetensors s;
    int r;

    err.reason[0] = 0;
    file[0] = (uint8_t)n;
    file[1] = (uint8_t)(n >> 8);
    memcpy(file + 8, header, n);
    r = t3d_safetensors_parse(&s, file, 8 + n + data, "x", &err);
    if (r == T3D_OK)
        t3d_safetensors_close(&s);
    free(file);
    return r;
}

static void malformed_files_are_named(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        const char *says; /* NULL = good */
    } cases[] = {
        {"{}", 0, NULL},
        {"{}   ", 0, NULL},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, NULL},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", 8, NULL},
        {" {}", 0, "'{'"},
        {"", 0, "'{'"},
        {"[]", 0, "'{'"},
        {"{", 0, "header"},
        {"{}x", 0, "header"},
        {"{\"\xff\":1}", 0, "UTF-8"},
        {"{\"a\":1}", 0, "object"},
        {"{\"__metadata__\":1}", 0, "__metadata__"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "not a string"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "lacks"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
         "member twice"},
        {"{\"a\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
        {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "F8_E4M3"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "whole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8,
         "axes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         "overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0,4294967296,4294967296],\"data_offsets\":[0,0]}}",
         0, "overflows"},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[4503599627370496,4096],\"data_offsets\":[0,0]}}", 0,
         "overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, "two whole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,7]}}", 8, "differ"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, "hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "1 bytes behind"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
         12, "overlaps"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
         16, "twice"},
    };

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(cases); i++) {
        int r = parse(cases[i].header, cases[i].data);

        if (r != (cases[i].says ? T3D_SKIP : T3D_OK) ||
            (r < 0 && (!err.reason[0] || !strstr(err.msg, cases[i].says))))
            fail_msg("%s: %d %s", cases[i].header, r, err.msg);
    }
}

/* Every cut, in memory of exactly that size, and a header length above the limit. */
static void cut_files_are_refused(void **state)
{
    size_t n = sizeof reference_header - 1 + 8 + sizeof reference_data - 1;
    uint8_t *file = calloc(1, n);
    struct t3d_safetensors s;

    (void)state;
    file[0] = (uint8_t)((sizeof reference_header - 1) & 255);
    file[1] = (uint8_t)((sizeof reference_header - 1) >> 8);
    memcpy(file + 8, reference_header, sizeof reference_header - 1);
    for (size_t i = 0; i < n; i++) {
        uint8_t *cut = malloc(i + !i);

        memcpy(cut, file, i);
        assert_int_equal(t3d_safetensors_parse(&s, cut, i, "x", &err), T3D_SKIP);
        assert_string_equal(err.reason, "bad-safetensors");
        free(cut);
    }
    assert_int_equal(t3d_safetensors_parse(&s, file, n, "x", &err), T3D_OK);
    t3d_safetensors_close(&s);
    file[7] = 1;
    assert_int_equal(t3d_safetensors_parse(&s, file, n, "x", &err), T3D_SKIP);
    assert_non_null(strstr(err.msg, "limit"));
    free(file);
}

static int open_index(const char *json)
{
    struct t3d_safetensors s;
    char index[160];
    int r;

    snprintf(index, sizeof index, "%s/w.safetensors.index.json", dir);
    assert_int_equal(t3d_write_file(index, json, strlen(json), &err), T3D_OK);
    r = t3d_safetensors_open(&s, index, &err);
    if (r < 0)
        return r;
    assert_int_equal(s.n, 2);
    assert_int_equal(t3d_safetensors_find(&s, "b")->data[4 + 3], 0x3f);
    assert_int_equal(t3d_safetensors_find(&s, "i")->data[8], 5);
    assert_string_equal(t3d_safetensors_meta(&s, "format"), "pt");
    t3d_safetensors_close(&s);
    return r;
}

static void shards_are_one_table(void **state)
{
    char one[160], two[160];

    (void)state;
    snprintf(one, sizeof one, "%s/one.safetensors", dir);
    snprintf(two, sizeof two, "%s/two.safetensors", dir);
    assert_int_equal(t3d_safetensors_write(one, &arrays[0], 1, format, 1, &err), T3D_OK);
    assert_int_equal(t3d_safetensors_write(two, &arrays[2], 1, format, 1, &err), T3D_OK);
    assert_int_equal(open_index("{\"metadata\":{\"total_size\":28},\"weight_map\":"
                                "{\"b\":\"one.safetensors\",\"i\":\"two.safetensors\"}}"),
                     T3D_OK);
    assert_int_equal(open_index("{\"weight_map\":{\"b\":\"one.safetensors\"}}x"), T3D_SKIP);
    assert_int_equal(open_index("{\"weight_map\":{}}"), T3D_SKIP);
    assert_int_equal(open_index("{\"weight_map\":{\"b\":1}}"), T3D_SKIP);
    assert_int_equal(open_index("{\"weight_map\":{\"b\":\"../one.safetensors\"}}"), T3D_SKIP);
    assert_non_null(strstr(err.msg, "plain"));
    assert_int_equal(open_index("{\"weight_map\":{\"b\":\"none.safetensors\"}}"), T3D_SKIP);
    assert_string_equal(err.reason, "missing-file");
    assert_int_equal(open_index("{\"weight_map\":{\"b\":\"one.safetensors\","
                                "\"i\":\"one.safetensors\"}}"),
                     T3D_SKIP);
    assert_non_null(strstr(err.msg, "not in its shard"));
    assert_int_equal(t3d_safetensors_write(two, &arrays[1], 2, format, 1, &err), T3D_OK);
    assert_int_equal(open_index("{\"weight_map\":{\"b\":\"one.safetensors\","
                                "\"i\":\"two.safetensors\"}}"),
                     T3D_SKIP);
    assert_non_null(strstr(err.msg, "shards have 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_is_the_references),
        cmocka_unit_test(all_types_come_back),
        cmocka_unit_test(writer_refuses),
        cmocka_unit_test(floats_are_exact),
        cmocka_unit_test(malformed_files_are_named),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(shards_are_one_table),
    };

    return cmocka_run_group_tests_name("store/safetensors", tests, set_up, tear_down);
}
