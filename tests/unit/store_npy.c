/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <unistd.h>

#include "store/npy.h"

static char path[64];
static struct t3d_err err;

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/t3d-npy.%ld", (long)getpid());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

/* The bytes that numpy 1.24 writes for np.arange(6, dtype='<f4').reshape(2, 3). */
static const char numpy_header[] =
    "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    "                                                          \n";

static void write_is_numpys(void **state)
{
    const float data[6] = {0, 1, 2, 3, 4, 5};
    struct t3d_blob b;

    (void)state;
    assert_int_equal(sizeof numpy_header - 1, 128);
    assert_int_equal(t3d_npy_write(path, T3D_NPY_F32, (uint64_t[]){2, 3}, 2, data, &err), T3D_OK);
    assert_int_equal(t3d_blob_open(&b, path, 0, &err), T3D_OK);
    assert_int_equal(b.size, 128 + sizeof data);
    assert_memory_equal(b.data, numpy_header, 128);
    assert_memory_equal(b.data + 128, data, sizeof data);
    t3d_blob_close(&b);
}

static void all_types_and_ranks_come_back(void **state)
{
    static const size_t bytes[] = {4, 2, 8, 1, 2, 4, 8};
    uint64_t shape[4] = {3, 1, 2, 5};
    uint8_t data[240];
    struct t3d_npy n;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    for (int t = T3D_NPY_F32; t <= T3D_NPY_I64; t++)
        for (int axes = 0; axes <= 4; axes++) {
            uint64_t count = 1;
            for (int i = 0; i < axes; i++)
                count *= shape[i];
            assert_int_equal(t3d_npy_write(path, (enum t3d_npy_type)t, shape, axes, data, &err),
                             T3D_OK);
            assert_int_equal(t3d_npy_open(&n, path, &err), T3D_OK);
            assert_int_equal(n.type, t);
            assert_int_equal(n.n_axes, axes);
            assert_int_equal(n.count, count);
            for (int i = 0; i < axes; i++)
                assert_int_equal(n.shape[i], shape[i]);
            assert_memory_equal(n.data, data, count * bytes[t]);
            assert_int_equal((uintptr_t)n.data % 64, 0);
            t3d_npy_close(&n);
        }
    assert_int_equal(t3d_npy_write(path, T3D_NPY_F32, (uint64_t[]){0, 8}, 2, NULL, &err), T3D_OK);
    assert_int_equal(t3d_npy_open(&n, path, &err), T3D_OK);
    assert_int_equal(n.count, 0);
    t3d_npy_close(&n);
}

static int open_header(const char *dict, int version, size_t data)
{
    char file[512] = "\x93NUMPY";
    size_t n = 10;
    struct t3d_npy npy;
    int r;

    file[6] = (char)version;
    if (version > 1) {
        file[8] = (char)strlen(dict);
        n = 12;
    } else {
        file[8] = (char)strlen(dict);
    }
    memcpy(file + n, dict, strlen(dict));
    assert_int_equal(t3d_write_file(path, file, n + strlen(dict) + data, &err), T3D_OK);
    r = t3d_npy_open(&npy, path, &err);
    if (r == T3D_OK)
        t3d_npy_close(&npy);
    else
        assert_string_equal(err.reason, "bad-npy");
    return r;
}

static void headers_are_read_strictly(void **state)
{
    (void)state;
    assert_int_equal(open_header("{'descr':'<f4','fortran_order':False,'shape':(2,)}", 1, 8),
                     T3D_OK);
    assert_int_equal(
        open_header("{\"shape\": (2, ), \"descr\": \"<i8\", 'fortran_order': False}\n", 2, 16),
        T3D_OK);
    assert_int_equal(open_header("{'descr':'<u1','fortran_order':False,'shape':()}", 1, 1), T3D_OK);
    assert_int_equal(open_header("{'descr':'<f4','fortran_order':False,'shape':(2,)}", 1, 7),
                     T3D_SKIP);
    assert_int_equal(open_header("{'descr':'>f4','fortran_order':False,'shape':(2,)}", 1, 8),
                     T3D_SKIP);
    assert_int_equal(open_header("{'descr':'|O','fortran_order':False,'shape':(2,)}", 1, 99),
                     T3D_SKIP);
    assert_int_equal(open_header("{'descr':'<f4','fortran_order':True,'shape':(2,)}", 1, 8),
                     T3D_SKIP);
    assert_int_equal(open_header("{'descr':'<f4','fortran_order':False,'shape':(1,1,1,1,1)}", 1, 8),
                     T3D_SKIP);
    assert_int_equal(open_header("{'descr':'<f4','fortran_order':False,'shape':(-1,)}", 1, 8),
                     T3D_SKIP);
    assert_int_equal(
        open_header("{'descr':'<f4','fortran_order':False,'shape':(4294967296,4294967296)}", 1, 8),
        T3D_SKIP);
    assert_int_equal(
        open_header("{'descr':'<f8','fortran_order':False,'shape':(2305843009213693952,)}", 1, 8),
        T3D_SKIP);
    assert_int_equal(open_header("{'descr':'<f4','fortran_order':False}", 1, 8), T3D_SKIP);
    assert_int_equal(open_header("{'descr':'<f4','fortran_order':False,'shape':(2", 1, 8),
                     T3D_SKIP);
    assert_int_equal(open_header("", 1, 0), T3D_SKIP);
    assert_int_equal(open_header("{'descr':'<f4','fortran_order':False,'shape':(2,)}", 9, 8),
                     T3D_SKIP);
    assert_int_equal(t3d_npy_open(&(struct t3d_npy){0}, "/nonexistent", &err), T3D_SKIP);
}

/* Every cut of a good file. */
static void cut_files_are_refused(void **state)
{
    struct t3d_npy n;

    (void)state;
    for (size_t i = 0; i < 128; i++) {
        assert_int_equal(t3d_write_file(path, numpy_header, i, &err), T3D_OK);
        assert_int_equal(t3d_npy_open(&n, path, &err), T3D_SKIP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(write_is_numpys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_types_and_ranks_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(headers_are_read_strictly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_files_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
