/* SPDX-License-Identifier: Apache-2.0 */
/* The lpips rows: pairs of pictures through made-up weights, alone and in batches. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/rng.h"
#include "metric/speed.h"
#include "net/lpips.h"
#include "store/safetensors.h"

enum { PAIRS = 8, SIDE = 512, TENSORS = 64 };

static void fill(float *x, const struct t3d_tensor *t, int heads, int i)
{
    struct t3d_rng rng = t3d_rng_for(1, heads ? "heads" : "net", (uint64_t)i);
    double scale = sqrt(24. * (double)t->shape[0] / (double)t->count);

    for (uint64_t k = 0; k < t->count; k++) {
        double u = (double)t3d_rng_u32(&rng) / 4294967296.;
        x[k] = (float)(heads ? u : t->n_axes == 1 ? 0 : (u - .5) * scale);
    }
}

/* Files as torchvision and the lpips package have them, with random numbers. */
static int write_weights(struct t3d_speed *b, const char *dir, enum t3d_lpips_net net, int heads,
                         struct t3d_err *err)
{
    struct t3d_lpips_tensor want[TENSORS];
    struct t3d_tensor tensor[TENSORS] = {0};
    struct t3d_arena a = {0};
    char *path = t3d_path_join(&b->arena, dir, heads ? "b.safetensors" : "a.safetensors");
    int n = 0, r = path ? T3D_OK : t3d_err_nomem(err, dir);

    for (; n < TENSORS && r == T3D_OK && t3d_lpips_tensor(net, heads, n, &want[n]); n++) {
        struct t3d_tensor *t = &tensor[n];
        uint64_t bytes;
        float *x;

        *t = (struct t3d_tensor){
            .name = want[n].name, .type = T3D_TENSOR_F32, .n_axes = want[n].n_axes};
        memcpy(t->shape, want[n].shape, sizeof want[n].shape);
        x = t3d_tensor_layout(t, &bytes) < 0 ? NULL : t3d_alloc_raw(&a, t->count, sizeof *x);
        if (!x) {
            r = t3d_err_nomem(err, "weights");
            break;
        }
        fill(x, t, heads, n);
        t->data = (const uint8_t *)x;
    }
    if (r == T3D_OK)
        r = t3d_safetensors_write(path, tensor, (size_t)n, NULL, 0, err);
    t3d_arena_free(&a);
    return r;
}

static int open_net(struct t3d_speed *b, enum t3d_lpips_net net, struct t3d_err *err)
{
    char *dir = t3d_path_join(&b->arena, b->scratch, t3d_lpips_net_name[net]);
    int r = T3D_OK;

    if (b->lpips[net])
        return T3D_OK;
    if (!dir)
        return t3d_err_nomem(err, b->scratch);
    if (mkdir(dir, 0777) < 0)
        return t3d_err_set(err, T3D_IO, "io", "cannot make '%s': %s", dir, strerror(errno));
    for (int heads = 0; heads < 2 && r == T3D_OK; heads++)
        r = write_weights(b, dir, net, heads, err);
    if (r == T3D_OK)
        r = t3d_lpips_open(&b->lpips[net], dir, &(struct t3d_lpips_options){.threads = b->threads},
                           err);
    return r;
}

static int time_pairs(double *seconds, struct t3d_speed *b, enum t3d_lpips_net net,
                      const uint8_t *pixels, size_t n, uint32_t side, struct t3d_err *err)
{
    struct t3d_lpips_pair pair[PAIRS];
    double distance[PAIRS * T3D_LPIPS_RULES], start = t3d_clock_s();
    int r;

    for (size_t i = 0; i < n; i++)
        pair[i] = (struct t3d_lpips_pair){pixels + 4096 * i, pixels + 4096 * (i + 1), 255};
    r = t3d_lpips_run(b->lpips[net], distance, pair, n, side, side, err);
    *seconds = t3d_clock_s() - start;
    return r;
}

static int run(struct t3d_speed *b, struct t3d_speed_row *row, enum t3d_lpips_net net,
               struct t3d_err *err)
{
    static const uint32_t size[T3D_SPEED_PHASES] = {256, 256, 512};
    size_t pairs[T3D_SPEED_PHASES] = {1, net == T3D_LPIPS_VGG ? 4 : 8, 1};
    size_t bytes = (size_t)4 * SIDE * SIDE + (size_t)4096 * (PAIRS + 1);
    uint8_t *pixels = t3d_alloc_raw(&b->arena, bytes, 1);
    struct t3d_rng rng = t3d_rng_for(2, "pictures", 0);
    int r = pixels ? open_net(b, net, err) : t3d_err_nomem(err, "pictures");

    *row = (struct t3d_speed_row){
        .unit = "pairs",
        .threads = b->threads,
        .phase = {"256-b1", net == T3D_LPIPS_VGG ? "256-b4" : "256-b8", "512-b1"}};
    for (size_t i = 0; pixels && i < bytes; i++)
        pixels[i] = i % 4 == 3 ? 255 : (uint8_t)t3d_rng_u32(&rng);
    for (int k = 0; k < 3 && r == T3D_OK; k++) {
        row->work += (double)pairs[k];
        r = time_pairs(&row->phase_s[k], b, net, pixels, pairs[k], size[k], err);
    }
    return r;
}

int t3di_speed_lpips(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    return run(b, row, T3D_LPIPS_ALEX, err);
}

int t3di_speed_lpips_vgg(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    return run(b, row, T3D_LPIPS_VGG, err);
}
