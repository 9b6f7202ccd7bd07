/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of the kernels on cuda:0, `make bench-gpu`: one NDJSON row a measurement; 77 = no device.
 *
 * "copy" is the driver's copy of 1 GiB from device to device, the ceiling of what only moves
 * numbers. A "forward" is the median of 7 runs of a graph that holds the op REPEATS times, divided
 * by that, so that a launch of the graph does not count; the numbers of large cases do not fit in
 * the card's cache. A "backward" is the op's own time with a wait behind it. Numbers are random:
 * zeros run faster. */
#include "tap.h"

#include <cuda_runtime_api.h>

#include "base/clock.h"
#include "num/device.h"
#include "num/ops.h"
#include "num/optim.h"

enum { RUNS = 7, REPEATS = 8 };

static double ceiling; /* bytes a second of copy */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *run)
{
    qsort(run, RUNS, sizeof *run, by_value);
    return run[RUNS / 2];
}

static void bench_copy(void)
{
    size_t bytes = (size_t)1 << 30;
    double run[RUNS];
    void *to = NULL, *from = NULL;

    if (cudaMalloc(&to, bytes) != cudaSuccess || cudaMalloc(&from, bytes) != cudaSuccess)
        stop("copy", "out of memory");
    cudaMemset(from, 0x55, bytes);
    for (int i = -2; i < RUNS; i++) {
        double start = t3d_clock_s();

        for (int k = 0; k < REPEATS; k++)
            cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, NULL);
        if (cudaDeviceSynchronize() != cudaSuccess)
            stop("copy", "the device has failed");
        if (i >= 0)
            run[i] = (t3d_clock_s() - start) / REPEATS;
    }
    cudaFree(to);
    cudaFree(from);
    ceiling = 2. * (double)bytes / median(run);
    printf("{\"work\":\"copy\",\"seconds\":%.3g,\"gb_s\":%.0f}\n", median(run), 1e-9 * ceiling);
}

static void fill(struct t3d_graph *g, struct t3d_ref r)
{
    struct t3d_shape s = t3d_graph_shape(g, r);
    float *x = t3d_graph_data(g, r);

    if (!x)
        stop("bench", "no memory of the host");
    for (int64_t i = 0; i < t3d_shape_count(&s); i++)
        x[i] = (float)(uniform() - 0.5);
}

/* Seconds of one of the graph's REPEATS; the first runs do not count. */
static double forward(struct t3d_graph *g)
{
    struct t3d_err err = {0};
    double run[RUNS];

    for (int i = -2; i < RUNS; i++) {
        double start = t3d_clock_s();

        if (t3d_graph_forward(g, &err) < 0)
            stop("forward", err.msg);
        if (i >= 0)
            run[i] = (t3d_clock_s() - start) / REPEATS;
    }
    return median(run);
}

static void build(struct t3d_graph *g, struct t3d_ref loss)
{
    struct t3d_err err = {0};

    if (t3d_graph_build(g, &(struct t3d_plan){.loss = loss, .profile = loss.node >= 0}, &err) < 0)
        stop("build", err.msg);
    for (int i = 0; i < t3d_graph_n_params(g); i++)
        fill(g, t3d_graph_param_at(g, i, NULL));
}

static const char *name_of(enum t3d_storage storage)
{
    return storage == T3D_BF16 ? "bf16" : "float";
}

static struct t3d_graph *new_graph(enum t3d_storage storage)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CUDA, 1);

    if (!g)
        stop("bench", "out of memory");
    t3d_graph_storage(g, storage);
    return g;
}

/* --- products ----------------------------------------------------------------------------------
 */

static void bench_matmul(int64_t m, int64_t n, int64_t k, enum t3d_act act,
                         enum t3d_storage storage)
{
    struct t3d_graph *g = new_graph(storage);
    struct t3d_ref x = t3d_graph_param(g, "x", T3D_SHAPE(m, k));
    struct t3d_ref w = t3d_graph_param(g, "w", T3D_SHAPE(n, k));
    struct t3d_ref b = t3d_graph_param(g, "b", T3D_SHAPE(n));
    double s;

    for (int i = 0; i < REPEATS; i++)
        t3d_matmul(g, x, w, b, act);
    build(g, T3D_NONE);
    s = forward(g);
    printf("{\"work\":\"matmul\",\"storage\":\"%s\",\"act\":%d,\"m\":%lld,\"n\":%lld,\"k\":%lld,"
           "\"seconds\":%.3g,\"tflop_s\":%.1f}\n",
           name_of(storage), (int)act, (long long)m, (long long)n, (long long)k, s,
           2e-12 * (double)m * (double)n * (double)k / s);
    t3d_graph_free(g);
}

static void bench_products(void)
{
    static const int64_t shape[][3] = {{400, 2304, 768},   {1600, 3072, 768},  {1600, 768, 3072},
                                       {8192, 1024, 1024}, {8192, 4096, 1024}, {8192, 1024, 4096},
                                       {2560, 768, 256},   {8192, 8192, 8192}};

    for (size_t i = 0; i < T3D_COUNT(shape); i++)
        for (int h = 0; h < 2; h++) {
            enum t3d_storage storage = h ? T3D_BF16 : T3D_FULL;

            bench_matmul(shape[i][0], shape[i][1], shape[i][2], T3D_ACT_NONE, storage);
            if (i == 4)
                for (int act = T3D_ACT_GELU; act <= T3D_ACT_RELU; act++)
                    bench_matmul(shape[i][0], shape[i][1], shape[i][2], (enum t3d_act)act, storage);
        }
}

/* --- what moves numbers --------------------------------------------------------------------------
 */

enum { ROWS = 8192, COLUMNS = 4096 };
enum which {
    LINEAR,
    GELU,
    QUICK_GELU,
    ADD,
    ADD_ROW,
    LAYER_NORM,
    RMS_NORM,
    SOFTMAX,
    PERMUTE,
    SUM,
    N
};

static struct t3d_ref make(struct t3d_graph *g, enum which which, struct t3d_ref x,
                           struct t3d_ref y, struct t3d_ref row)
{
    switch (which) {
    case LINEAR:
        return t3d_linear(g, x, 1.5, 0.5);
    case GELU:
        return t3d_gelu(g, x);
    case QUICK_GELU:
        return t3d_quick_gelu(g, x);
    case ADD:
        return t3d_add(g, x, y);
    case ADD_ROW:
        return t3d_add(g, x, row);
    case LAYER_NORM:
        return t3d_layer_norm(g, x, row, row, 1e-5);
    case RMS_NORM:
        return t3d_rms_norm(g, x, row, 1e-6);
    case SOFTMAX:
        return t3d_softmax(g, x);
    case PERMUTE:
        return t3d_permute(g, x, (const int[]){1, 0});
    case SUM:
        return t3d_sum(g, x, 0);
    case N:
        break;
    }
    return T3D_NONE;
}

/* Bytes count once for each number that has to be read and written. */
static void bench_mover(enum which which, enum t3d_storage storage)
{
    static const char *const name[N] = {"linear",  "gelu",       "quick_gelu", "add",
                                        "add_row", "layer_norm", "rms_norm",   "softmax",
                                        "permute", "sum"};
    struct t3d_graph *g = new_graph(storage);
    struct t3d_ref x = t3d_graph_param(g, "x", T3D_SHAPE(ROWS, COLUMNS));
    struct t3d_ref y = t3d_graph_param(g, "y", T3D_SHAPE(ROWS, COLUMNS));
    struct t3d_ref row = t3d_graph_param(g, "row", T3D_SHAPE(COLUMNS));
    double bytes = (storage == T3D_BF16 ? 2. : 4.) * ROWS * COLUMNS;
    double s;

    bytes *= which == ADD ? 3 : which == SUM ? 1 : 2;
    for (int i = 0; i < REPEATS; i++)
        make(g, which, x, y, row);
    build(g, T3D_NONE);
    s = forward(g);
    printf("{\"work\":\"forward\",\"op\":\"%s\",\"storage\":\"%s\",\"seconds\":%.3g,\"gb_s\":%.0f,"
           "\"of_copy\":%.2f}\n",
           name[which], name_of(storage), s, 1e-9 * bytes / s, bytes / s / ceiling);
    t3d_graph_free(g);
}

/* --- attention, forward and backward
 * --------------------------------------------------------------- */

static void bench_attend(int64_t batch, int64_t tokens, int64_t width, int heads,
                         enum t3d_storage storage)
{
    double flops = 4. * (double)batch * (double)tokens * (double)tokens * (double)width, s = 0;
    struct t3d_attention attr = {.heads = heads};

    for (int trains = 0; trains < 2; trains++) {
        struct t3d_graph *g = new_graph(storage);
        struct t3d_ref x = t3d_graph_param(g, "x", T3D_SHAPE(batch, tokens, 3 * width)), y, loss;
        struct t3d_err err = {0};

        y = loss = T3D_NONE;
        for (int i = 0; i < (trains ? 1 : REPEATS); i++)
            y = t3d_attend_packed(g, x, T3D_NONE, T3D_NONE, &attr);
        if (trains)
            loss = t3d_sum(g, y, -1);
        build(g, loss);
        if (!trains)
            s = forward(g);
        for (int i = 0; trains && i < RUNS; i++)
            if (t3d_graph_forward(g, &err) < 0 || t3d_graph_backward(g, &err) < 0)
                stop("attend", err.msg);
        if (trains)
            s = t3d_graph_row_at(g, y.node).backward_s / RUNS;
        printf("{\"work\":\"%s\",\"op\":\"attend\",\"storage\":\"%s\",\"batch\":%lld,\"tokens\":%"
               "lld,\"width\":%lld,\"heads\":%d,\"seconds\":%.3g,\"tflop_s\":%.1f}\n",
               trains ? "backward" : "forward", name_of(storage), (long long)batch,
               (long long)tokens, (long long)width, heads, s,
               1e-12 * flops * (trains ? 2.5 : 1) / s);
        t3d_graph_free(g);
    }
}

/* --- a step of AdamW
 * --------------------------------------------------------------------------------- */

/* 28 bytes a parameter: three arrays read and written, the gradient read. */
static void bench_adamw(void)
{
    const struct t3d_adamw_config config = {T3D_ADAMW_DEFAULT};
    struct t3d_graph *g = new_graph(T3D_FULL);
    struct t3d_ref w = t3d_graph_param(g, "w", T3D_SHAPE(8192, 8192));
    struct t3d_adamw *opt;
    struct t3d_err err = {0};
    double run[RUNS], s, n = 8192. * 8192.;

    build(g, t3d_mean(g, w, -1));
    opt = t3d_adamw_new(g, &config);
    if (!opt || t3d_graph_forward(g, &err) < 0 || t3d_graph_backward(g, &err) < 0)
        stop("adamw", err.msg);
    for (int i = -2; i < RUNS; i++) {
        double start = t3d_clock_s();

        for (int k = 0; k < REPEATS; k++)
            t3d_adamw_step(opt, g, 1e-3);
        t3d_grad_clip(g, 0); /* waits; one read of the gradients */
        if (i >= 0)
            run[i] = (t3d_clock_s() - start) / REPEATS;
    }
    s = median(run);
    printf("{\"work\":\"adamw\",\"parameters\":%.0f,\"seconds\":%.3g,\"gb_s\":%.0f,\"of_copy\":%."
           "2f}\n",
           n, s, 28e-9 * n / s, 28 * n / s / ceiling);
    t3d_adamw_free(opt);
    t3d_graph_free(g);
}

int main(void)
{
    struct t3d_device d;
    struct t3d_err err = {0};
    char card[128], text[256];

    if (t3d_device_parse(&d, "cuda:0", &err) < 0) {
        fprintf(stderr, "bench-gpu: %s\n", err.msg);
        return 77;
    }
    t3d_device_describe(0, card, sizeof card);
    t3d_device_support(text, sizeof text);
    printf("{\"work\":\"setup\",\"device\":\"%s\",\"libraries\":\"%s\"}\n", card, text);
    bench_copy();
    bench_products();
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < N; i++)
            bench_mover((enum which)i, h ? T3D_BF16 : T3D_FULL);
    for (int h = 0; h < 2; h++) {
        bench_attend(32, 50, 768, 12, h ? T3D_BF16 : T3D_FULL);
        bench_attend(16, 272, 256, 8, h ? T3D_BF16 : T3D_FULL);
        bench_attend(4, 2048, 1024, 16, h ? T3D_BF16 : T3D_FULL);
    }
    bench_adamw();
    return n_failed || fflush(stdout) ? 1 : 0;
}
