/* SPDX-License-Identifier: Apache-2.0 */
/* The numerics core: one NDJSON row a measurement, the median of 5 runs of at least 40 ms.
 *
 *     build/release/bench/num [THREADS [OP]]
 *
 * "copy" is memcpy of 64 MiB by all threads, the ceiling of what only moves numbers. "matmul" are
 * linear layers with constant weights of CLIP (B/32 at batch 1, 8, 32; L/14 at 8) and of small
 * networks, the last of 2,048^3 the ceiling of what computes. "forward" and "backward" are the
 * bench cases of every op, the op alone: GFLOP/s and the share of the product's, or GB/s (each
 * value it reads or writes moved once, gradients read and written) and the share of the copy's. */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

#include "base/rng.h"
#include "base/tool.h"
#include "num/ops.h"
#include "num/version.h"

enum { RUNS = 5 };

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

static double bench_copy(int threads)
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
    return 2e-9 * (double)c.bytes / s;
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

static double bench_matmul(int64_t m, int64_t n, int64_t k, int threads)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, threads);
    struct t3d_shape sx = T3D_SHAPE(m, k), sw = T3D_SHAPE(n, k);
    float *w = malloc(t3d_shape_bytes(&sw));
    struct t3d_ref x = t3d_graph_input(g, "x", sx);
    struct t3d_err err = {0};
    double s;

    if (!w)
        stop("matmul", "out of memory");
    fill(w, &sw);
    t3d_matmul(g, x, t3d_graph_constant(g, "w", sw, w), T3D_NONE, T3D_ACT_NONE);
    if (t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err) < 0)
        stop("matmul", err.msg);
    fill(t3d_graph_data(g, x), &sx);
    s = measure(forward, g);
    printf("{\"work\":\"matmul\",\"m\":%lld,\"n\":%lld,\"k\":%lld,\"seconds\":%.3g,\"gflop_s\":%."
           "0f}\n",
           (long long)m, (long long)n, (long long)k, s,
           2e-9 * (double)m * (double)n * (double)k / s);
    t3d_graph_free(g);
    free(w);
    return 2e-9 * (double)m * (double)n * (double)k / s;
}

struct built {
    struct t3d_graph *g;
    int row;                  /* of the op */
    double forward, backward; /* bytes, each value moved once */
};

/* One op with real inputs as parameters, so that it has gradients to add to; frozen ones are
 * constants. */
static struct built build_case(const struct t3d_op *op, const struct t3d_op_case *k, int threads,
                               int backward)
{
    static void *frozen[T3D_MAX_IN];
    struct built r = {.g = t3d_graph_new(T3D_CPU, threads)};
    struct t3d_ref in[T3D_MAX_IN], y;
    struct t3d_plan plan = {.loss = T3D_NONE, .profile = 1};
    struct t3d_err err = {0};
    struct t3d_shape shape;
    char name[16];

    for (int i = 0; i < k->n_in; i++) {
        double bytes = (double)t3d_shape_bytes(&k->in[i]);

        snprintf(name, sizeof name, "in%d", i);
        in[i] = T3D_NONE;
        if (k->absent >> i & 1)
            continue;
        r.forward += bytes;
        r.backward += op->backward_reads_in >> i & 1 ? bytes : 0;
        if (k->in[i].type == T3D_INT) {
            in[i] = t3d_graph_input(r.g, name, k->in[i]);
        } else if (k->frozen >> i & 1) {
            free(frozen[i]);
            frozen[i] = malloc(t3d_shape_bytes(&k->in[i]));
            if (!frozen[i])
                stop(op->name, "out of memory");
            fill(frozen[i], &k->in[i]);
            in[i] = t3d_graph_constant(r.g, name, k->in[i], frozen[i]);
        } else {
            in[i] = t3d_graph_param(r.g, name, k->in[i]);
            r.backward += 2 * bytes; /* gradients of parameters are added to */
        }
    }
    y = t3d_graph_node(r.g, op, k->attr, in, k->n_in);
    r.row = t3d_graph_n_rows(r.g) - 1;
    shape = t3d_graph_shape(r.g, y);
    r.forward += (double)t3d_shape_bytes(&shape);
    r.backward += (double)t3d_shape_bytes(&shape) * (1 + (op->backward_reads_out & 1));
    if (backward)
        plan.loss = t3d_sum(r.g, y, -1);
    if (t3d_graph_build(r.g, &plan, &err) < 0)
        stop(op->name, err.msg);
    for (int i = 0; i < k->n_in; i++)
        if (in[i].node >= 0 && !(k->frozen >> i & 1))
            fill(t3d_graph_data(r.g, in[i]), &k->in[i]);
    return r;
}

/* Median seconds of the op alone, forward or backward. */
static double measure_row(const struct built *r, int backward)
{
    double run[RUNS], before = 0;

    for (int i = -1; i < RUNS; i++) {
        struct t3d_graph_row row;
        double now_s, start = now();
        int calls = 0;

        do {
            (backward ? train : forward)(r->g);
            calls++;
        } while (now() - start < 0.03);
        row = t3d_graph_row_at(r->g, r->row);
        now_s = backward ? row.backward_s : row.forward_s;
        if (i >= 0)
            run[i] = (now_s - before) / calls;
        before = now_s;
    }
    qsort(run, RUNS, sizeof *run, by_value);
    return run[RUNS / 2];
}

/* copy_gb_s, product_gflop_s: the ceilings measured in this run. */
static void bench_case(const struct t3d_op *op, const struct t3d_op_case *k, int threads,
                       int backward, double copy_gb_s, double product_gflop_s)
{
    struct built r = build_case(op, k, threads, backward);
    double s = measure_row(&r, backward), bytes = backward ? r.backward : r.forward;
    double flops = op->flops ? t3d_graph_row_at(r.g, r.row).flops * (backward ? 2 : 1) : 0;

    if (backward && k->frozen)
        flops /= 2; /* the gradient of one of two factors */
    printf("{\"work\":\"%s\",\"op\":\"%s\",\"case\":\"%s\",\"seconds\":%.3g",
           backward ? "backward" : "forward", op->name, k->name, s);
    if (flops > 0)
        printf(",\"gflop_s\":%.1f,\"of_product\":%.2f}\n", 1e-9 * flops / s,
               1e-9 * flops / s / product_gflop_s);
    else
        printf(",\"gb_s\":%.1f,\"of_copy\":%.2f}\n", 1e-9 * bytes / s,
               1e-9 * bytes / s / copy_gb_s);
    t3d_graph_free(r.g);
}

int main(int argc, char **argv)
{
    static const int64_t shape[][3] = {{50, 2304, 768},    {50, 768, 3072},   {400, 2304, 768},
                                       {400, 768, 3072},   {1600, 2304, 768}, {1600, 768, 768},
                                       {1600, 3072, 768},  {1600, 768, 3072}, {2056, 3072, 1024},
                                       {2056, 1024, 4096}, {2560, 768, 256},  {2560, 1024, 256},
                                       {2560, 128, 128},   {2048, 2048, 2048}};
    double gb_s, gflop_s = 1;
    int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : t3d_cpu_count();

    if (threads < 1)
        stop("threads", "not a number above 0");
    printf("{\"work\":\"setup\",\"threads\":%d,\"libraries\":\"%s\"}\n", threads,
           t3d_num_libraries());
    gb_s = bench_copy(threads);
    for (size_t i = argc < 3 ? 0 : sizeof shape / sizeof *shape - 1;
         i < sizeof shape / sizeof *shape; i++)
        gflop_s = bench_matmul(shape[i][0], shape[i][1], shape[i][2], threads);
    for (int i = 0; t3d_ops[i]; i++)
        for (const struct t3d_op_case *k = t3d_ops[i]->cases; k->name; k++)
            for (int back = 0; k->bench && back < 2; back++)
                if (argc < 3 || strcmp(argv[2], t3d_ops[i]->name) == 0)
                    bench_case(t3d_ops[i], k, threads, back, gb_s, gflop_s);
    return fflush(stdout) ? 1 : 0;
}
