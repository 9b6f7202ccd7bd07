/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/pickle.h"

static struct t3d_err err;

struct bytes {
    uint8_t b[8192];
    size_t n;
};

static void put(struct bytes *f, const void *data, size_t n)
{
    assert_true(n <= sizeof f->b - f->n);
    memcpy(f->b + f->n, data, n);
    f->n += n;
}
#define PUT(f, s) put(f, s, sizeof(s) - 1)

static void put_number(struct bytes *f, uint64_t v, int n)
{
    for (; n--; v >>= 8)
        put(f, &(uint8_t){(uint8_t)v}, 1);
}

/* Pickle fragments: a text, the id of a float storage, and the tensor that stands on it. */
#define TEXT3(s)   "X\3\0\0\0" s
#define GLOBAL     "c"
#define STORAGE(k) "(X\7\0\0\0storage" GLOBAL "torch\nFloatStorage\nX\1\0\0\0" k "X\3\0\0\0cpuK\6tQ"
#define LEGACY(k)  "(U\7storage" GLOBAL "torch\nFloatStorage\nU\1" k "U\6cuda:0\x8a\1\6NtQ"
#define REBUILD    GLOBAL "torch._utils\n_rebuild_tensor_v2\n"
#define ORDERED    GLOBAL "collections\nOrderedDict\n"

static const float six[6] = {0, 1, 2, 3, 4, 5};

static void put_head(struct bytes *f)
{
    PUT(f, "\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19.\x80\2M\xe9\3.");
    PUT(f, "\x80\2}q\1(U\x10protocol_versionq\2M\xe9\3U\rlittle_endianq\3\x88u.");
}

/* A legacy file: {body}, keys ["0"], six floats. */
static void put_legacy(struct bytes *f, const char *body, size_t n)
{
    put_head(f);
    put(f, body, n);
    PUT(f, "\x80\2]q\1U\1"
           "0a.");
    put_number(f, 6, 8);
    put(f, six, sizeof six);
}

static uint8_t *held; /* the file behind the last parse */

static int parse(struct t3d_pickle *p, const struct bytes *f)
{
    uint8_t *exact = malloc(f->n + !f->n); /* so that a sanitizer sees one byte too far */
    int r;

    memcpy(exact, f->b, f->n);
    r = t3d_pickle_parse(p, exact, f->n, "x", &err);
    free(held);
    held = exact;
    return r;
}

static void legacy_is_read(void **state)
{
    static const char body[] = "\x80\2" ORDERED "q\1]q\2(]q\3(" TEXT3("w.1") REBUILD "q\5(" LEGACY(
        "0") "q\6K\0(K\2K\3t(K\3K\1t\x89NtRq\x0a"
             "e]q\x0b(" TEXT3("w.2") "h\5(h\6K\0(K\3K\2t(K\1K\3t\x89NtRee\x85Rq\x0c}q\x0d"
                                     "U\x09_metadatah\1]\x85Rsb.";
    const float transposed[6] = {0, 3, 1, 4, 2, 5};
    const struct t3d_tensor *t;
    struct t3d_pickle p;
    struct bytes f = {.n = 0};
    float out[6];

    (void)state;
    put_legacy(&f, body, sizeof body - 1);
    assert_int_equal(parse(&p, &f), T3D_OK);
    assert_int_equal(p.n, 2);
    t = t3d_pickle_find(&p, "w.1");
    assert_non_null(t);
    assert_int_equal(t->type, T3D_TENSOR_F32);
    assert_int_equal(t->n_axes, 2);
    assert_int_equal(t->shape[1], 3);
    assert_memory_equal(t->data, six, sizeof six);
    t = t3d_pickle_find(&p, "w.2");
    assert_non_null(t);
    assert_int_equal(t->stride[0], 1);
    t3d_tensor_floats(t, out);
    assert_memory_equal(out, transposed, sizeof out);
    t3d_pickle_close(&p);
}

/* A view of a storage (torch 0.x): elements 2 to 5 of it, and the tensor begins one further. */
static void views_and_parameters_are_read(void **state)
{
    static const char body[] =
        "\x80\2}(K\7" GLOBAL "torch._utils\n_rebuild_parameter\n" GLOBAL
        "torch._utils\n_rebuild_tensor\n((U\7storage" GLOBAL "torch\nFloatStorage\nU\1"
        "0U\3cpuK\6("
        "U\1vK\2K\4ttQK\1(K\2t(K\2ttR\x88" ORDERED ")R\x87RU\4stepG\0\0\0\0\0\0\0\0U\4nest]]("
        "N" REBUILD "(" LEGACY("0") "K\5)"
                                    ")\x89NtReau.";
    const struct t3d_tensor *t;
    struct t3d_pickle p;
    struct bytes f = {.n = 0};
    float out[2];

    (void)state;
    put_legacy(&f, body, sizeof body - 1);
    assert_int_equal(parse(&p, &f), T3D_OK);
    assert_int_equal(p.n, 2);
    t = t3d_pickle_find(&p, "7");
    assert_non_null(t);
    t3d_tensor_floats(t, out);
    assert_float_equal(out[0], 3, 0);
    assert_float_equal(out[1], 5, 0);
    t = t3d_pickle_find(&p, "nest.0.1");
    assert_non_null(t);
    assert_int_equal(t->n_axes, 0);
    t3d_tensor_floats(t, out);
    assert_float_equal(out[0], 5, 0);
    t3d_pickle_close(&p);
}

static void put_local(struct bytes *f, const char *name, size_t size, int method)
{
    PUT(f, "PK\3\4");
    put_number(f, 0, 4);
    put_number(f, (uint64_t)method, 2);
    put_number(f, 0, 8); /* time, CRC */
    put_number(f, size, 4);
    put_number(f, size, 4);
    put_number(f, strlen(name), 2);
    put_number(f, 4, 2);
    put(f, name, strlen(name));
    PUT(f, "FB\0\0"); /* torch pads by such an extra field */
}

/* zip64 = 1: sizes, offsets and counts in the zip64 records. */
static void put_central(struct bytes *f, const char *name, size_t size, size_t at, int method,
                        int zip64)
{
    PUT(f, "PK\1\2");
    put_number(f, 0, 6);
    put_number(f, (uint64_t)method, 2);
    put_number(f, 0, 8);
    put_number(f, zip64 ? UINT32_MAX : size, 4);
    put_number(f, zip64 ? UINT32_MAX : size, 4);
    put_number(f, strlen(name), 2);
    put_number(f, zip64 ? 28 : 0, 2);
    put_number(f, 0, 10);
    put_number(f, zip64 ? UINT32_MAX : at, 4);
    put(f, name, strlen(name));
    if (zip64) {
        PUT(f, "\1\0\x18\0");
        put_number(f, size, 8);
        put_number(f, size, 8);
        put_number(f, at, 8);
    }
}

static void put_zip(struct bytes *f, const char *body, size_t n, const void *data, size_t n_data,
                    int zip64, int method)
{
    size_t at_data, at_dir, n_dir, end;

    put_local(f, "m/data.pkl", n, method);
    put(f, body, n);
    at_data = f->n;
    put_local(f, "m/data/0", n_data, 0);
    put(f, data, n_data);
    at_dir = f->n;
    put_central(f, "m/data.pkl", n, 0, method, zip64);
    put_central(f, "m/data/0", n_data, at_data, 0, zip64);
    n_dir = f->n - at_dir;
    end = f->n;
    if (zip64) {
        PUT(f, "PK\6\6");
        put_number(f, 44, 8);
        put_number(f, 0, 12);
        put_number(f, 2, 8);
        put_number(f, 2, 8);
        put_number(f, n_dir, 8);
        put_number(f, at_dir, 8);
        PUT(f, "PK\6\7\0\0\0\0");
        put_number(f, end, 8);
        put_number(f, 1, 4);
    }
    PUT(f, "PK\5\6\0\0\0\0");
    put_number(f, zip64 ? 0xffff : 2, 2);
    put_number(f, zip64 ? 0xffff : 2, 2);
    put_number(f, zip64 ? UINT32_MAX : n_dir, 4);
    put_number(f, zip64 ? UINT32_MAX : at_dir, 4);
    put_number(f, 0, 2);
}

static const char zip_body[] = "\x80\2}q\0(" TEXT3("a.b") REBUILD
    "(" STORAGE("0") "K\1(K\2K\2t(K\2K\1t\x89" ORDERED ")RtRq\1u.";

static void zips_are_read(void **state)
{
    (void)state;
    for (int zip64 = 0; zip64 < 2; zip64++) {
        struct bytes f = {.n = 0};
        struct t3d_pickle p;
        const struct t3d_tensor *t;

        put_zip(&f, zip_body, sizeof zip_body - 1, six, sizeof six, zip64, 0);
        assert_int_equal(parse(&p, &f), T3D_OK);
        assert_int_equal(p.n, 1);
        t = t3d_pickle_find(&p, "a.b");
        assert_non_null(t);
        assert_int_equal(t->count, 4);
        assert_memory_equal(t->data, six + 1, 4 * sizeof *six);
        t3d_pickle_close(&p);
        for (size_t i = 0; i < f.n; i++) { /* every cut is refused */
            struct bytes cut = f;
            cut.n = i;
            assert_int_equal(parse(&p, &cut), T3D_SKIP);
        }
    }
}

static void wrong_zips_are_refused(void **state)
{
    struct t3d_pickle p;
    struct bytes f = {.n = 0};

    (void)state;
    put_zip(&f, zip_body, sizeof zip_body - 1, six, sizeof six, 0, 8);
    assert_int_equal(parse(&p, &f), T3D_SKIP);
    assert_non_null(strstr(err.msg, "compressed"));
    f.n = 0;
    put_zip(&f, zip_body, sizeof zip_body - 1, six, sizeof six - 4, 0, 0);
    assert_int_equal(parse(&p, &f), T3D_SKIP);
    assert_non_null(strstr(err.msg, "another size"));
}

static void hostile_pickles_are_named(void **state)
{
#define CASE(body, reason, says)                                                                   \
    {                                                                                              \
        body, sizeof(body) - 1, reason, says                                                       \
    }
    static const struct {
        const char *body;
        size_t n;
        const char *reason, *says;
    } cases[] = {
        CASE("\x80\2" GLOBAL "os\nsystem\nU\2ls\x85R.", "unsafe-pickle", "os.system"),
        CASE("\x80\4\x8c\5posix\x8c\6system\x93.", "unsafe-pickle", "posix.system"),
        CASE("\x80\2" GLOBAL "torch\nLongStorag\n.", "unsafe-pickle", "torch.LongStorag"),
        CASE("\x80\2(ios\nsystem\n.", "unsafe-pickle", "opcode 0x69"),
        CASE("\x80\2" ORDERED ")\x81.", "unsafe-pickle", "opcode 0x81"),
        CASE("\x80\2\x82\1.", "unsafe-pickle", "opcode 0x82"),
        CASE("\x80\2" GLOBAL "torch\nFloatStorage\n)R.", "bad-pickle", "storage type"),
        CASE("\x80\2" GLOBAL "torch._utils\n_rebuild_parameter\n)R.", "bad-pickle", "parameter"),
        CASE("\x80\2.", "bad-pickle", "one value"),
        CASE("\x80\2(.", "bad-pickle", "one value"),
        CASE("\x80\2NN.", "bad-pickle", "one value"),
        CASE("\x80\2"
             "0.",
             "bad-pickle", "empty"),
        CASE("\x80\2t.", "bad-pickle", "mark"),
        CASE("\x80\2N(t.", "bad-pickle", "one value"),
        CASE("\x80\2N\x86.", "bad-pickle", "empty"),
        CASE("\x80\2(\x85.", "bad-pickle", "inside a tuple"),
        CASE("\x80\2NNa.", "bad-pickle", "puts items"),
        CASE("\x80\2}(NNNu.", "bad-pickle", "puts items"),
        CASE("\x80\2h\1.", "bad-pickle", "not in its memo"),
        CASE("\x80\2Nj\xff\xff\xff\xff.", "bad-pickle", "not in its memo"),
        CASE("\x80\2Nr\xff\xff\xff\xff.", "bad-pickle", "wrong memo"),
        CASE("\x80\2NNb.", "bad-pickle", "state"),
        CASE("\x80\2X\xff\xff\xff\xff"
             "a.",
             "bad-pickle", "cut off"),
        CASE("\x80\2NQ.", "bad-pickle", "unexpected"),
        CASE("\x80\2)Q.", "bad-pickle", "no torch storage"),
        CASE("\x80\2" ORDERED "N\x85R.", "bad-pickle", "pairs"),
        CASE("\x80\2" ORDERED "]Na\x85R.", "bad-pickle", "pairs"),
        CASE("\x80\2" REBUILD "(" LEGACY("0") "K\0(K\2K\4t(K\4K\1t\x89NtR.", "bad-pickle",
             "inside its storage"),
        CASE("\x80\2" REBUILD "(" LEGACY("0") "K\6)"
                                              ")\x89NtR.",
             "bad-pickle", "inside its"),
        CASE("\x80\2" REBUILD "(" LEGACY("0") "K\0(\x8a\1\xffK\1\x86t)tR.", "bad-pickle", "tensor"),
        CASE("\x80\2" REBUILD "(" LEGACY("0") "K\0J\xff\xff\xff\xff\x85K\1\x85\x89NtR.",
             "bad-pickle", "negative"),
        CASE("\x80\2" REBUILD "(" LEGACY("0") "K\0\x8a\x08\0\0\0\0\0\0\0\x40\x8a\x08\0\0\0\0\0\0\0"
                                              "\x40\x86K\1K\1\x86\x89NtR.",
             "bad-pickle", "overflows"),
        CASE("\x80\2" REBUILD
             "(" LEGACY("0") "K\0K\2\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85\x89NtR.",
             "bad-pickle", "inside its"),
        CASE("\x80\2(U\7storage" GLOBAL "torch\nFloatStorage\nU\1"
             "0U\3cpuK\6(U\1vK\2K\5ttQ.",
             "bad-pickle", "view"),
        CASE("\x80\2(" LEGACY("0") "(U\7storage" GLOBAL "torch\nHalfStorage\nU\1"
                                   "0U\1cK\6tQt.",
             "bad-pickle", "two types"),
    };
#undef CASE

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(cases); i++) {
        struct bytes f = {.n = 0};
        struct t3d_pickle p;
        int r;

        put_legacy(&f, cases[i].body, cases[i].n);
        err.reason[0] = 0;
        r = parse(&p, &f);
        if (r != T3D_SKIP || strcmp(err.reason, cases[i].reason) || !strstr(err.msg, cases[i].says))
            fail_msg("case %zu: %d %s: %s", i, r, err.reason, err.msg);
    }
}

static void wrong_containers_are_refused(void **state)
{
    static const char body[] =
        "\x80\2}" TEXT3("a.b") REBUILD "(" LEGACY("0") "K\0K\6\x85K\1\x85\x89NtRs.";
    struct t3d_pickle p;
    struct bytes f = {.n = 0};
    size_t whole;

    (void)state;
    put_legacy(&f, body, sizeof body - 1);
    for (whole = f.n, f.n = 0; f.n < whole; f.n++) {
        assert_int_equal(parse(&p, &f), T3D_SKIP);
        assert_string_equal(err.reason, "bad-pickle");
    }
    f.b[whole - sizeof six - 8]++; /* the size of the storage */
    assert_int_equal(parse(&p, &f), T3D_SKIP);
    assert_non_null(strstr(err.msg, "two sizes"));
    f.n = 0;
    put_head(&f);
    f.b[f.n - 3] = 0x89; /* little_endian: false */
    PUT(&f, "\x80\2}.\x80\2].");
    assert_int_equal(parse(&p, &f), T3D_SKIP);
    assert_string_equal(err.reason, "unsupported-type");
    f.n = 0;
    PUT(&f, "\x80\2}.");
    assert_int_equal(parse(&p, &f), T3D_SKIP);
    assert_non_null(strstr(err.msg, "magic"));
}

/* A list that holds itself, and one nested without end. */
static void endless_values_are_survived(void **state)
{
    struct t3d_pickle p;
    struct bytes f = {.n = 0};

    (void)state;
    put_head(&f);
    PUT(&f, "\x80\2]q\1h\1a.\x80\2].");
    assert_int_equal(parse(&p, &f), T3D_OK);
    assert_int_equal(p.n, 0);
    t3d_pickle_close(&p);
    f.n = 0;
    put_head(&f);
    PUT(&f, "\x80\2");
    for (int i = 0; i < 1000; i++)
        PUT(&f, "]");
    for (int i = 0; i < 999; i++)
        PUT(&f, "a");
    PUT(&f, ".\x80\2].");
    assert_int_equal(parse(&p, &f), T3D_SKIP);
    assert_non_null(strstr(err.msg, "deep"));
}

static int tear_down(void **state)
{
    (void)state;
    free(held);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legacy_is_read),
        cmocka_unit_test(views_and_parameters_are_read),
        cmocka_unit_test(zips_are_read),
        cmocka_unit_test(wrong_zips_are_refused),
        cmocka_unit_test(hostile_pickles_are_named),
        cmocka_unit_test(wrong_containers_are_refused),
        cmocka_unit_test(endless_values_are_survived),
    };

    return cmocka_run_group_tests_name("store/pickle", tests, NULL, tear_down);
}
