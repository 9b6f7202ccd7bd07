/* SPDX-License-Identifier: Apache-2.0 */
/* LPIPS against the lpips package and torchmetrics on made-up weights (tests/ref/make_lpips.py), in
 * bands and batches, and what is wrong with files. */
#include "net/lpips.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/defs.h"
#include "base/file.h"
#include "base/json.h"
#include "store/npy.h"
#include "net/lpips_distance.h"
#include "num/ops.h"
#include "store/safetensors.h"

#define REF "tests/ref/"

static char folder[] = "/tmp/t3d-lpips-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static char *in_folder(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void empty_folder(void)
{
    static const char *const name[] = {"net.safetensors", "heads.safetensors", "heads.pth",
                                       "other.safetensors"};

    for (size_t i = 0; i < T3D_COUNT(name); i++)
        unlink(in_folder(name[i]));
}

static int remove_folder(void **state)
{
    (void)state;
    empty_folder();
    return rmdir(folder);
}

/* Splitmix64 of (tensor, position), 24 bits: as make_lpips.py. */
static double uniform(uint64_t tensor, uint64_t i)
{
    uint64_t z = ((tensor << 40) + i + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 40) / (1 << 24) - .5;
}

static void fill(float *x, const struct t3d_tensor *t, int heads, int i, double gain)
{
    double inputs = (double)t->count / (double)t->shape[0];
    double scale = heads ? 1 : i % 2 ? .1 * gain : sqrt(24. / inputs) * (i ? 1 : gain);

    for (uint64_t k = 0; k < t->count; k++) {
        double u = uniform(heads ? 1000 + (uint64_t)i : (uint64_t)i, k);
        x[k] = (float)(heads ? fabs(u) : u * scale);
    }
}

/* The made-up backbone or heads, but for the tensor `without`. */
static void write_weights(const char *file, enum t3d_lpips_net net, int heads, double gain,
                          int without)
{
    struct t3d_lpips_tensor want[64];
    struct t3d_tensor tensor[64] = {0};
    struct t3d_arena a = {0};
    struct t3d_err err;
    size_t n = 0;

    for (int i = 0; t3d_lpips_tensor(net, heads, i, &want[i]); i++) {
        struct t3d_tensor *t = &tensor[n];
        uint64_t bytes;
        float *x;

        if (i == without)
            continue;
        *t = (struct t3d_tensor){
            .name = want[i].name, .type = T3D_TENSOR_F32, .n_axes = want[i].n_axes};
        memcpy(t->shape, want[i].shape, sizeof want[i].shape);
        assert_int_equal(t3d_tensor_layout(t, &bytes), 0);
        x = t3d_alloc(&a, t->count, sizeof *x);
        fill(x, t, heads, i, gain);
        t->data = (const uint8_t *)x;
        n++;
    }
    if (t3d_safetensors_write(in_folder(file), tensor, n, NULL, 0, &err) < 0)
        fail_msg("%s", err.msg);
    t3d_arena_free(&a);
}

static void copy_file(const char *from, const char *name)
{
    struct t3d_blob b;

    assert_int_equal(t3d_blob_open(&b, from, 0, NULL), T3D_OK);
    assert_int_equal(t3d_write_file(in_folder(name), b.data, b.size, NULL), T3D_OK);
    t3d_blob_close(&b);
}

static struct t3d_lpips *open_net(int threads, size_t memory)
{
    struct t3d_lpips *l;
    struct t3d_err err;

    if (t3d_lpips_open(&l, folder, &(struct t3d_lpips_options){threads, memory}, &err) < 0)
        fail_msg("%s", err.msg);
    return l;
}

struct pictures {
    struct t3d_npy a, b;
    uint32_t w, h;
};

static struct pictures read_pictures(void)
{
    struct pictures p;

    assert_int_equal(t3d_npy_open(&p.a, REF "metrics/picture-a.npy", NULL), T3D_OK);
    assert_int_equal(t3d_npy_open(&p.b, REF "metrics/picture-b.npy", NULL), T3D_OK);
    p.w = (uint32_t)p.a.shape[1];
    p.h = (uint32_t)p.a.shape[0];
    return p;
}

static void close_pictures(struct pictures *p)
{
    t3d_npy_close(&p->a);
    t3d_npy_close(&p->b);
}

static void near(const cJSON *want, const char *name, double got)
{
    double w = t3d_json_num(want, name, NAN);

    if (!(fabs(got - w) <= 1e-5 * w))
        fail_msg("%s %s: got %.9g, wanted %.9g", want->string, name, got, w);
}

/* The picture below itself until there are `h` rows. */
static uint8_t *tile(const struct t3d_npy *p, uint32_t h)
{
    size_t bytes = 4 * (size_t)p->shape[1] * p->shape[0], all = 4 * (size_t)p->shape[1] * h;
    uint8_t *out = malloc(all);

    for (size_t i = 0; i < all; i++)
        out[i] = ((const uint8_t *)p->data)[i % bytes];
    return out;
}

/* A picture over white in [0, 1]. */
static void put_white(t3d_real *out, const struct t3d_npy *p)
{
    const uint8_t *rgba = p->data;

    for (size_t i = 0; i < p->shape[0] * p->shape[1]; i++)
        for (size_t k = 0; k < 3; k++)
            out[3 * i + k] =
                (t3d_real)(rgba[4 * i + k] * rgba[4 * i + 3] + 255 * (255 - rgba[4 * i + 3])) /
                65025;
}

struct learner {
    struct t3d_graph *g;
    struct t3d_ref x, y, d;
};

/* The distances of n pairs of pictures of which the first ones are learned. */
static struct learner learner(const struct t3d_lpips *l, int n, uint32_t w, uint32_t h, int threads)
{
    struct learner m = {.g = t3d_graph_new(T3D_CPU, threads)};
    struct t3d_err err;

    m.x = t3d_graph_param(m.g, "x", T3D_SHAPE(n, h, w, 3));
    m.y = t3d_graph_input(m.g, "y", T3D_SHAPE(n, h, w, 3));
    m.d = t3d_lpips_distance(m.g, l, m.x, m.y);
    t3d_graph_keep(m.g, m.d);
    if (t3d_graph_build(m.g, &(struct t3d_plan){.loss = t3d_mean(m.g, m.d, -1)}, &err) < 0)
        fail_msg("%s", err.msg);
    return m;
}

/* In a graph that learns: the same distance, 0 and no gradient for equal pictures, the same bits
 * for any number of threads, and a step against the gradient makes it less. */
static void check_learner(const struct t3d_lpips *l, const struct pictures *p, const double d[])
{
    size_t n = 3 * (size_t)p->w * p->h;
    t3d_real *grad = malloc(n * sizeof *grad);
    double square = 0;
    int most = t3d_lpips_info(l)->net == T3D_LPIPS_VGG ? 1 : 3; /* which takes its time */
    struct t3d_err err;

    for (int threads = 1; threads <= most; threads += 2) {
        struct learner m = learner(l, 2, p->w, p->h, threads);
        t3d_real *x = t3d_graph_data(m.g, m.x), *y = t3d_graph_data(m.g, m.y), *got, *g;
        double before;

        put_white(x, &p->a);
        put_white(y, &p->b);
        put_white(x + n, &p->b);
        put_white(y + n, &p->b);
        assert_int_equal(t3d_graph_forward(m.g, &err), T3D_OK);
        got = t3d_graph_data(m.g, m.d);
        if (!(fabs((double)got[0] / d[T3D_LPIPS_TORCHMETRICS] - 1) < 2e-5))
            fail_msg("got %.9g, wanted %.9g", (double)got[0], d[T3D_LPIPS_TORCHMETRICS]);
        assert_true(got[1] == 0);
        before = (double)got[0];
        assert_int_equal(t3d_graph_backward(m.g, &err), T3D_OK);
        g = t3d_graph_grad(m.g, m.x);
        for (size_t i = 0; i < n; i++)
            assert_true(g[n + i] == 0);
        if (threads == 1) {
            memcpy(grad, g, n * sizeof *g);
            for (size_t i = 0; i < n; i++)
                square += (double)g[i] * (double)g[i];
            for (size_t i = 0; i < n; i++)
                x[i] -= (t3d_real)(1e-3 * before / square) * g[i];
            assert_int_equal(t3d_graph_forward(m.g, &err), T3D_OK);
            assert_true(got[0] < (t3d_real)before);
        }
        assert_memory_equal(grad, g, n * sizeof *g);
        t3d_graph_free(m.g);
    }
    free(grad);
}

static void as_references(void **state)
{
    struct pictures p = read_pictures();
    uint8_t *large[2] = {tile(&p.a, 300), tile(&p.b, 300)};
    static const uint32_t least[T3D_LPIPS_NETS] = {31, 16, 25}; /* the last pool needs a window */
    cJSON *expected;

    (void)state;
    assert_int_equal(t3d_json_read(&expected, REF "lpips/expected.json", 1 << 20, NULL), T3D_OK);
    for (int net = 0; net < T3D_LPIPS_NETS; net++) {
        const cJSON *want = cJSON_GetObjectItem(expected, t3d_lpips_net_name[net]);
        struct t3d_lpips_pair pair[3] = {
            {p.a.data, p.b.data, 255}, {p.a.data, p.b.data, 0}, {p.b.data, p.b.data, 255}};
        double d[3][T3D_LPIPS_RULES], whole[T3D_LPIPS_RULES], bands[T3D_LPIPS_RULES];
        struct t3d_lpips *l;

        write_weights("net.safetensors", net, 0, 1, -1);
        if (net == T3D_LPIPS_SQUEEZE)
            write_weights("heads.safetensors", net, 1, 1, -1);
        else /* as torch.save wrote them, in the old format and in the new one */
            copy_file(net == T3D_LPIPS_ALEX ? REF "lpips/heads-alex.pth"
                                            : REF "lpips/heads-vgg.pth",
                      "heads.pth");
        l = open_net(2, 0);
        assert_int_equal(t3d_lpips_info(l)->net, net);
        assert_false(t3d_lpips_info(l)->published);
        assert_int_equal(t3d_lpips_info(l)->min_side, least[net]);
        assert_int_equal(t3d_lpips_run(l, d[0], pair, 3, p.w, p.h, NULL), T3D_OK);
        near(want, "package", d[0][T3D_LPIPS_PACKAGE]);
        near(want, "torchmetrics", d[0][T3D_LPIPS_TORCHMETRICS]);
        near(want, "package-black", d[1][T3D_LPIPS_PACKAGE]);
        assert_true(d[2][0] == 0 && d[2][1] == 0); /* equal pictures */
        check_learner(l, &p, d[0]);

        pair[0] = (struct t3d_lpips_pair){large[0], large[1], 255};
        assert_int_equal(t3d_lpips_run(l, whole, pair, 1, p.w, 300, NULL), T3D_OK);
        near(want, "package-large", whole[T3D_LPIPS_PACKAGE]);
        t3d_lpips_free(l);
        l = open_net(1, 1); /* so little memory that it goes in bands of 64 rows */
        assert_int_equal(t3d_lpips_run(l, bands, pair, 1, p.w, 300, NULL), T3D_OK);
        assert_true(fabs(bands[0] - whole[0]) < 1e-6 * whole[0]);
        t3d_lpips_free(l);
        empty_folder();
    }
    cJSON_Delete(expected);
    free(large[0]);
    free(large[1]);
    close_pictures(&p);
}

/* Features about as short as the numbers that keep from dividing by zero: there the rules differ.
 */
static void faint(void **state)
{
    struct pictures p = read_pictures();
    struct t3d_lpips_pair pair = {p.a.data, p.b.data, 255};
    double d[T3D_LPIPS_RULES];
    struct t3d_lpips *l;
    const cJSON *want;
    cJSON *expected;

    (void)state;
    assert_int_equal(t3d_json_read(&expected, REF "lpips/expected.json", 1 << 20, NULL), T3D_OK);
    want = cJSON_GetObjectItem(expected, "alex");
    write_weights("net.safetensors", T3D_LPIPS_ALEX, 0, 1e-4, -1);
    write_weights("heads.safetensors", T3D_LPIPS_ALEX, 1, 1, -1);
    l = open_net(2, 0);
    assert_int_equal(t3d_lpips_run(l, d, &pair, 1, p.w, p.h, NULL), T3D_OK);
    near(want, "package-faint", d[T3D_LPIPS_PACKAGE]);
    near(want, "torchmetrics-faint", d[T3D_LPIPS_TORCHMETRICS]);
    t3d_lpips_free(l);
    empty_folder();
    cJSON_Delete(expected);
    close_pictures(&p);
}

/* Any number of threads, any company in the batch: the same bits. And the least size. */
static void batches(void **state)
{
    struct pictures p = read_pictures();
    struct t3d_lpips_pair pair[21];
    double d[21][T3D_LPIPS_RULES], e[21][T3D_LPIPS_RULES];
    struct t3d_err err;
    struct t3d_lpips *l;
    uint32_t least;

    (void)state;
    write_weights("net.safetensors", T3D_LPIPS_ALEX, 0, 1, -1);
    write_weights("heads.safetensors", T3D_LPIPS_ALEX, 1, 1, -1);
    for (int i = 0; i < 21; i++)
        pair[i] = (struct t3d_lpips_pair){p.a.data, i % 2 ? p.b.data : p.a.data, (uint8_t)(i * 12)};
    l = open_net(1, 0);
    assert_int_equal(t3d_lpips_run(l, d[0], pair, 21, p.w, p.h, NULL), T3D_OK);
    t3d_lpips_free(l);
    l = open_net(3, 0);
    for (int i = 0; i < 21; i++)
        assert_int_equal(t3d_lpips_run(l, e[i], &pair[i], 1, p.w, p.h, NULL), T3D_OK);
    assert_memory_equal(d, e, sizeof d);
    least = t3d_lpips_info(l)->min_side;
    assert_int_equal(least, 31); /* 31 -> 7 -> 3 -> 1 */
    assert_int_equal(t3d_lpips_run(l, e[0], pair, 1, least, least, NULL), T3D_OK);
    assert_int_equal(t3d_lpips_run(l, e[0], pair, 1, least, least - 1, &err), T3D_SKIP);
    assert_string_equal(err.reason, "too-small");
    t3d_lpips_free(l);
    empty_folder();
    close_pictures(&p);
}

static void expect(const char *reason, const char *word)
{
    struct t3d_lpips *l;
    struct t3d_err err;

    assert_int_equal(t3d_lpips_open(&l, folder, &(struct t3d_lpips_options){.threads = 1}, &err),
                     T3D_SKIP);
    assert_string_equal(err.reason, reason);
    if (!strstr(err.msg, word))
        fail_msg("no '%s' in: %s", word, err.msg);
}

static void wrong_files(void **state)
{
    (void)state;
    expect("missing-file", "torchvision");
    write_weights("net.safetensors", T3D_LPIPS_ALEX, 0, 1, -1);
    expect("missing-file", "heads");
    copy_file(REF "lpips/heads-vgg.pth", "heads.pth");
    expect("bad-weights", "heads of another network than alex");
    copy_file(REF "lpips/heads-alex.pth", "heads.pth");
    write_weights("other.safetensors", T3D_LPIPS_SQUEEZE, 0, 1, -1);
    expect("ambiguous-weights", "features.0.weight");
    unlink(in_folder("other.safetensors"));
    write_weights("net.safetensors", T3D_LPIPS_ALEX, 0, 1, 4);
    expect("bad-weights", "'features.6.weight'");
    write_weights("net.safetensors", T3D_LPIPS_ALEX, 0, NAN, -1);
    expect("bad-weights", "NaN");
    empty_folder();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_references),
        cmocka_unit_test(faint),
        cmocka_unit_test(batches),
        cmocka_unit_test(wrong_files),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
