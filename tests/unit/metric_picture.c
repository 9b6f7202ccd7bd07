/* SPDX-License-Identifier: Apache-2.0 */
/* PSNR and SSIM against reference implementations (tests/ref/make_metrics.py) and closed forms. */
#include "metric/picture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "store/npy.h"

#define REF "tests/ref/metrics/"

static const char *const psnr_name[] = {"psnr:white", "psnr:black", "psnr:mask", "psnr:linear",
                                        "psnr:bbox"};
static const char *const ssim_name[] = {"ssim:gauss11", "ssim:skimage", "ssim:torchmetrics",
                                        "ssim:luma",    "ssim:black",   "ssim:mask"};

static void as_references(void **state)
{
    struct t3d_npy a, b;
    struct t3d_picture_pair p;
    cJSON *want, *values;
    int capped;

    (void)state;
    assert_int_equal(t3d_json_read(&want, REF "expected.json", 1 << 20, NULL), T3D_OK);
    values = cJSON_GetObjectItem(want, "picture");
    assert_int_equal(t3d_npy_open(&a, REF "picture-a.npy", NULL), T3D_OK);
    assert_int_equal(t3d_npy_open(&b, REF "picture-b.npy", NULL), T3D_OK);
    p = (struct t3d_picture_pair){a.data, b.data, (uint32_t)a.shape[1], (uint32_t)a.shape[0]};
    for (size_t k = 0; k < T3D_COUNT(psnr_name); k++) {
        double v = t3d_psnr(&p, (enum t3d_psnr_rule)k, 1, &capped);
        double w = t3d_json_num(values, psnr_name[k], NAN);
        if (!(fabs(v - w) <= 1e-6 * w) || capped)
            fail_msg("%s: got %.12g, wanted %.12g", psnr_name[k], v, w);
    }
    for (size_t k = 0; k < T3D_COUNT(ssim_name); k++) {
        double u = t3d_json_num(values, ssim_name[k], NAN), s[2];
        for (int t = 0; t < 2; t++)
            assert_int_equal(t3d_ssim(&s[t], &p, (enum t3d_ssim_rule)k, 1 + 2 * t, NULL), T3D_OK);
        if (!(fabs(s[0] - u) <= 1e-6 * u))
            fail_msg("%s: got %.12g, wanted %.12g", ssim_name[k], s[0], u);
        assert_memory_equal(&s[0], &s[1], sizeof s[0]); /* one thread and three */
    }
    t3d_npy_close(&a);
    t3d_npy_close(&b);
    cJSON_Delete(want);
}

static uint8_t *plain(uint32_t n, uint8_t grey, uint8_t alpha)
{
    uint8_t *p = malloc(4 * (size_t)n);

    for (uint32_t i = 0; i < n; i++) {
        memset(p + 4 * (size_t)i, grey, 3);
        p[4 * (size_t)i + 3] = alpha;
    }
    return p;
}

/* Plain pictures: the mean square and the index of two constants are known. */
static void constants(void **state)
{
    static const uint32_t sizes[][2] = {{16, 16}, {11, 11}, {37, 300}, {129, 12}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(sizes); i++) {
        uint32_t n = sizes[i][0] * sizes[i][1];
        uint8_t *a = plain(n, 100, 255), *b = plain(n, 151, 255), *c = plain(n, 100, 0);
        struct t3d_picture_pair p = {a, b, sizes[i][0], sizes[i][1]};
        double x = 100 / 255., y = 151 / 255., s;
        int capped;
        assert_float_equal(t3d_psnr(&p, T3D_PSNR_WHITE, 1, &capped), -20 * log10(51 / 255.), 1e-6);
        assert_int_equal(t3d_ssim(&s, &p, T3D_SSIM_GAUSS11, 1, NULL), T3D_OK);
        assert_float_equal(s, (2 * x * y + 1e-4) / (x * x + y * y + 1e-4), 1e-6);
        p.b = a;
        assert_true(t3d_psnr(&p, T3D_PSNR_WHITE, 1, &capped) == T3D_PSNR_CAP && capped);
        assert_int_equal(t3d_ssim(&s, &p, T3D_SSIM_SKIMAGE, 1, NULL), T3D_OK);
        assert_true(s == 1);
        p.b = c; /* transparent: white, or black */
        assert_float_equal(t3d_psnr(&p, T3D_PSNR_WHITE, 1, &capped), -20 * log10(155 / 255.), 1e-6);
        assert_float_equal(t3d_psnr(&p, T3D_PSNR_BLACK, 1, &capped), -20 * log10(100 / 255.), 1e-6);
        p.a = c; /* nothing to see */
        assert_true(isnan(t3d_psnr(&p, T3D_PSNR_MASK, 1, &capped)));
        free(a);
        free(b);
        free(c);
    }
}

static void too_small(void **state)
{
    uint8_t *a = plain(100, 9, 255);
    struct t3d_picture_pair p = {a, a, 10, 10};
    struct t3d_err err;
    double s;

    (void)state;
    assert_int_equal(t3d_ssim(&s, &p, T3D_SSIM_GAUSS11, 1, &err), T3D_SKIP);
    assert_string_equal(err.reason, "too-small");
    assert_int_equal(t3d_ssim(&s, &p, T3D_SSIM_SKIMAGE, 1, &err), T3D_OK);
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_references),
        cmocka_unit_test(constants),
        cmocka_unit_test(too_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
