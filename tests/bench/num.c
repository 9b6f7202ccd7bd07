/* SPDX-License-Identifier: Apache-2.0 */
/* The numerics core: one NDJSON row a measurement, the median of 7 runs of at least 40 ms.
 *
 *     build/release/bench/num [THREADS]
 *
 * "copy" is memcpy of 64 MiB by all threads, the ceiling of what only moves numbers. "matmul" are
 * linear layers with constant weights of CLIP (B/32 at batch 1, 8, 32; L/14 at 8) and of small
 * networks. "forward" and "train" (forward and backward) are the bench cases of every op, with
 * GB/s counted as each input read and each output written once. */
#include <math.h>
#include <omp.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/tool.h"
#include "num/ops.h"
#include "num/version.h"

enum { RUNS = 7 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void stop(const char *what, const char *message)
{
    fprintf(stderr, "bench num: %s: %s\n", what, message);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Median seconds of one call. */
static double measure(void (*fn)(void *), void *arg)
{
    double run[RUNS], start, took = 0;
    int calls = 1;

    fn(arg);
    for (start = now(); (took = now() - start) < 0.04; calls++)
        fn(arg);
    for (int r = 0; r < RUNS; r++) {
        start = now();
        for (int i = 0; i < calls; i++)
            fn(arg);
        run[r] = (now() - start) / calls;
    }
    qsort(run, RUNS, sizeof *run, by_value);
    return run[RUNS / 2];
}

struct copy {
    char *to, *from;
    size_t bytes;
    int threads;
};

static void copy(void *arg)
{
    const struct copy *c = arg;
    size_t part = c->bytes / (size_t)c->threads;

#pragma omp parallel for num_threads(c->threads)
    for (int i = 0; i < c->threads; i++)
        memcpy(c->to + (size_t)i * part, c->from + (size_t)i * part, part);
}

static void bench_copy(int threads)
{
    struct copy c = {.bytes = 64 << 20, .threads = threads};
    double s;

    c.to = aligned_alloc(1 << 21, c.bytes);
    c.from = aligned_alloc(1 << 21, c.bytes);
    if (!c.to || !c.from)
        stop("copy", "out of memory");
    memset(c.from, 1, c.bytes);
    memset(c.to, 1, c.bytes);
    s = measure(copy, &c);
    printf("{\"work\":\"copy\",\"seconds\":%.3g,\"gb_s\":%.1f}\n", s, 2e-9 * (double)c.bytes / s);
    free(c.to);
    free(c.from);
}

static void forward(void *g)
{
    struct t3d_err err = {0};

    if (t3d_graph_forward(g, &err) < 0)
        stop("forward", err.msg);
}

static void train(void *g)
{
    struct t3d_err err = {0};

    if (t3d_graph_forward(g, &err) < 0 || t3d_graph_backward(g, &err) < 0)
        stop("backward", err.msg);
}

static void fill(void *data, const struct t3d_shape *s)
{
    for (int64_t i = 0; i < t3d_shape_count(s); i++) {
        if (s->type == T3D_INT)
            ((int32_t *)data)[i] = 0;
        else
            ((t3d_real *)data)[i] = (t3d_real)((double)(i % 127) / 64 - 1);
    }
}

static void build(struct t3d_graph *g, struct t3d_ref loss)
{
    struct t3d_err err = {0};

    if (t3d_graph_build(g, &(struct t3d_plan){.loss = loss}, &err) < 0)
        stop("build", err.msg);
}

static void bench_matmul(int64_t m, int64_t n, int64_t k, int threads)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, threads);
    struct t3d_shape sx = T3D_SHAPE(m, k), sw = T3D_SHAPE(n, k);
    float *w = malloc(t3d_shape_bytes(&sw));
    struct t3d_ref x = t3d_graph_input(g, "x", sx);
    double s;

    if (!w)
        stop("matmul", "out of memory");
    fill(w, &sw);
    t3d_matmul(g, x, t3d_graph_constant(g, "w", sw, w), T3D_NONE, T3D_ACT_NONE);
    build(g, T3D_NONE);
    fill(t3d_graph_data(g, x), &sx);
    s = measure(forward, g);
    printf("{\"work\":\"matmul\",\"m\":%lld,\"n\":%lld,\"k\":%lld,\"seconds\":%.3g,\"gflop_s\":%."
           "0f}\n",
           (long long)m, (long long)n, (long long)k, s,
           2e-9 * (double)m * (double)n * (double)k / s);
    t3d_graph_free(g);
    free(w);
}

/* The first input is a parameter, so that there is something to train; the others inputs, or
 * parameters where the op trains them. */
static void bench_case(const struct t3d_op *op, const struct t3d_op_case *k, int threads,
                       int backward)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, threads);
    struct t3d_ref in[T3D_MAX_IN], y, loss = T3D_NONE;
    double bytes = 0, s;
    struct t3d_graph_size size;
    struct t3d_shape shape;
    char name[16];

    for (int i = 0; i < k->n_in; i++) {
        snprintf(name, sizeof name, "in%d", i);
        in[i] = T3D_NONE;
        if (k->absent >> i & 1)
            continue;
        in[i] = k->in[i].type == T3D_INT ? t3d_graph_input(g, name, k->in[i])
                                         : t3d_graph_param(g, name, k->in[i]);
        bytes += (double)t3d_shape_bytes(&k->in[i]);
    }
    y = t3d_graph_node(g, op, k->attr, in, k->n_in);
    shape = t3d_graph_shape(g, y);
    bytes += (double)t3d_shape_bytes(&shape);
    if (backward)
        loss = t3d_sum(g, y, -1);
    build(g, loss);
    for (int i = 0; i < k->n_in; i++)
        if (in[i].node >= 0)
            fill(t3d_graph_data(g, in[i]), &k->in[i]);
    s = measure(backward ? train : forward, g);
    t3d_graph_size(g, &size);
    printf("{\"work\":\"%s\",\"op\":\"%s\",\"case\":\"%s\",\"seconds\":%.3g,\"gflop_s\":%.1f,"
           "\"gb_s\":%.1f}\n",
           backward ? "train" : "forward", op->name, k->name, s,
           1e-9 * (size.forward_flops + size.backward_flops) / s, 1e-9 * bytes / s);
    t3d_graph_free(g);
}

int main(int argc, char **argv)
{
    static const int64_t shape[][3] = {{50, 2304, 768},    {50, 768, 3072},   {400, 2304, 768},
                                       {400, 768, 3072},   {1600, 2304, 768}, {1600, 768, 768},
                                       {1600, 3072, 768},  {1600, 768, 3072}, {2056, 3072, 1024},
                                       {2056, 1024, 4096}, {2560, 768, 256},  {2560, 1024, 256},
                                       {2560, 128, 128},   {2048, 2048, 2048}};
    int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : t3d_cpu_count();

    if (threads < 1)
        stop("threads", "not a number above 0");
    printf("{\"work\":\"setup\",\"threads\":%d,\"libraries\":\"%s\"}\n", threads,
           t3d_num_libraries());
    bench_copy(threads);
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        bench_matmul(shape[i][0], shape[i][1], shape[i][2], threads);
    for (int train_too = 0; train_too < 2; train_too++)
        for (int i = 0; t3d_ops[i]; i++)
            for (const struct t3d_op_case *k = t3d_ops[i]->cases; k->name; k++)
                if (k->bench)
                    bench_case(t3d_ops[i], k, threads, train_too);
    return fflush(stdout) ? 1 : 0;
}
