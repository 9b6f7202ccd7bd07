/* SPDX-License-Identifier: Apache-2.0 */
/* Names of devices, and what is said where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "num/device.h"
#include "num/ops.h"

static void the_host_needs_no_device(void **state)
{
    static const char *const name[] = {NULL, "", "cpu"};
    struct t3d_device d = {T3D_CUDA, 7};

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t3d_device_parse(&d, name[i], NULL), T3D_OK);
        assert_int_equal(d.backend, T3D_CPU);
    }
}

static void words_that_are_no_devices_are_named(void **state)
{
    static const char *const name[] = {"gpu",     "cuda:", "cuda:x", "cuda:-1",
                                       "cuda:1x", "cuda0", "CPU",    "cuda:99999999999999999999"};
    struct t3d_device d;

    (void)state;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        struct t3d_err err = {0};

        assert_int_equal(t3d_device_parse(&d, name[i], &err), T3D_USAGE);
        assert_string_equal(err.reason, "bad-device");
        assert_non_null(strstr(err.msg, name[i]));
    }
}

/* One more than there are: the error holds on machines with cards, too. */
static void a_device_that_is_not_there_is_an_error(void **state)
{
    struct t3d_err err = {0};
    struct t3d_device d;
    char name[32];

    (void)state;
    snprintf(name, sizeof name, "cuda:%d", t3d_device_count());
    assert_int_equal(t3d_device_parse(&d, name, &err), T3D_USAGE);
    assert_string_equal(err.reason, "no-device");
    assert_non_null(strstr(err.msg, name));
    assert_non_null(strstr(err.msg, "--device cpu"));
}

static void a_graph_without_its_device_is_not_built(void **state)
{
    struct t3d_device d = {T3D_CUDA, t3d_device_count()};
    struct t3d_graph *g = t3d_device_graph(&d, 1);
    struct t3d_err err = {0};

    (void)state;
    assert_non_null(g);
    t3d_linear(g, t3d_graph_input(g, "x", T3D_SHAPE(2, 3)), 2, 1);
    assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err), T3D_USAGE);
    assert_string_equal(err.reason, "no-device");
    assert_null(t3d_graph_data(g, t3d_graph_find(g, "x")));
    t3d_graph_free(g);
}

static void bf16_is_not_for_the_host(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_err err = {0};

    (void)state;
    t3d_graph_storage(g, T3D_BF16);
    t3d_linear(g, t3d_graph_input(g, "x", T3D_SHAPE(2, 3)), 2, 1);
    assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "bf16"));
    t3d_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_needs_no_device),
        cmocka_unit_test(words_that_are_no_devices_are_named),
        cmocka_unit_test(a_device_that_is_not_there_is_an_error),
        cmocka_unit_test(a_graph_without_its_device_is_not_built),
        cmocka_unit_test(bf16_is_not_for_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
