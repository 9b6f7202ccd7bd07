/* SPDX-License-Identifier: Apache-2.0 */
/* The num row: one transformer block of CLIP B/32 on 32 pictures, forward, by kinds of op. */
#include <string.h>

#include "metric/speed.h"
#include "num/ops.h"

enum { TOKENS = 32 * 50, WIDTH = 768 };

static struct t3d_ref weight(struct t3d_graph *g, const char *name, int64_t rows, int64_t columns,
                             const t3d_real *data)
{
    return t3d_graph_constant(g, name, columns ? T3D_SHAPE(rows, columns) : T3D_SHAPE(rows), data);
}

static void build_block(struct t3d_graph *g, const t3d_real *w)
{
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(32, 50, WIDTH)), h;

    h = t3d_layer_norm(g, x, weight(g, "g1", WIDTH, 0, w), weight(g, "b1", WIDTH, 0, w), 1e-5);
    h = t3d_matmul(g, h, weight(g, "qkv", 3 * WIDTH, WIDTH, w), T3D_NONE, T3D_ACT_NONE);
    h = t3d_attend_packed(g, h, T3D_NONE, T3D_NONE, &(struct t3d_attention){.heads = 12});
    x = t3d_matmul_add(g, h, weight(g, "out", WIDTH, WIDTH, w), T3D_NONE, T3D_ACT_NONE, x);
    h = t3d_layer_norm(g, x, weight(g, "g2", WIDTH, 0, w), weight(g, "b2", WIDTH, 0, w), 1e-5);
    h = t3d_matmul(g, h, weight(g, "up", 4 * WIDTH, WIDTH, w), weight(g, "bias", 4 * WIDTH, 0, w),
                   T3D_ACT_QUICK_GELU);
    t3d_matmul_add(g, h, weight(g, "down", WIDTH, 4 * WIDTH, w), T3D_NONE, T3D_ACT_NONE, x);
}

static void read_profile(const struct t3d_graph *g, struct t3d_speed_row *row)
{
    for (int i = 0; i < t3d_graph_n_rows(g); i++) {
        struct t3d_graph_row r = t3d_graph_row_at(g, i);
        int phase = strncmp(r.op, "matmul", 6) == 0 ? 0 : strcmp(r.op, "attend") == 0 ? 1 : 2;

        row->phase_s[phase] += r.forward_s;
    }
}

int t3di_speed_num(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, b->threads);
    struct t3d_graph_size size;
    t3d_real *w = t3d_alloc(&b->arena, (size_t)4 * WIDTH * WIDTH, sizeof *w), *x;
    int r;

    *row = (struct t3d_speed_row){
        .unit = "GFLOP", .threads = b->threads, .phase = {"matmul", "attend", "norm"}};
    if (!g || !w) {
        t3d_graph_free(g);
        return t3d_err_nomem(err, "a network");
    }
    for (int i = 0; i < 4 * WIDTH * WIDTH; i++)
        w[i] = (t3d_real)(i % 61 - 30) / 1000;
    build_block(g, w);
    r = t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE, .profile = 1}, err);
    if (r == T3D_OK) {
        x = t3d_graph_data(g, t3d_graph_find(g, "x"));
        for (int i = 0; i < TOKENS * WIDTH; i++)
            x[i] = (t3d_real)(i % 127 - 63) / 64;
        t3d_graph_size(g, &size);
        row->work = 1e-9 * size.forward_flops;
        r = t3d_graph_forward(g, err);
    }
    if (r == T3D_OK)
        read_profile(g, row);
    t3d_graph_free(g);
    return r;
}
