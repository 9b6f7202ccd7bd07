/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/surface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum {
    FEW_POINTS = 8192, /* below it threads cost more than they save */
    BLOCK = 64         /* points made at once */
};

/* Cell i of the alias table: with a chance of keep / 2^32 triangle i, else other. */
struct cell {
    uint32_t keep, other;
};

struct t3d_surface {
    const struct t3d_scene *scene;
    struct cell *cell; /* (n_triangles) */
    double area;
};

/* Twice the area vector. */
static void cross_of(const struct t3d_scene *s, uint32_t t, double c[3])
{
    const float *p = s->position[s->triangle[t][0]], *q = s->position[s->triangle[t][1]],
                *r = s->position[s->triangle[t][2]];
    double a[3], b[3];

    for (int k = 0; k < 3; k++) {
        a[k] = (double)q[k] - (double)p[k];
        b[k] = (double)r[k] - (double)p[k];
    }
    for (int k = 0; k < 3; k++)
        c[k] = a[(k + 1) % 3] * b[(k + 2) % 3] - a[(k + 2) % 3] * b[(k + 1) % 3];
}

static double area_of(const struct t3d_scene *s, uint32_t t)
{
    double c[3], area;

    cross_of(s, t, c);
    area = 0.5 * sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2]);
    return isfinite(area) ? area : 0;
}

void t3d_triangle_normal(const struct t3d_scene *s, uint32_t triangle, float normal[3])
{
    double c[3], length;

    cross_of(s, triangle, c);
    length = sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2]);
    for (int k = 0; k < 3; k++)
        normal[k] = length > 0 && isfinite(length) ? (float)(c[k] / length) : 0;
}

/* Vose, "A linear algorithm for generating random numbers with a given distribution", 1991. share
 * is n times the chance of each and is used up; stack holds the small ones from the front and the
 * large ones from the back. */
static void fill_cells(struct cell *cell, double *share, uint32_t *stack, uint32_t n)
{
    uint32_t small = 0, large = n;

    for (uint32_t i = 0; i < n; i++)
        stack[share[i] < 1 ? small++ : --large] = i;
    while (small > 0 && large < n) {
        uint32_t s = stack[--small], l = stack[large];
        cell[s] = (struct cell){(uint32_t)(share[s] * 4294967296.), l};
        share[l] -= 1 - share[s];
        if (share[l] < 1) {
            large++;
            stack[small++] = l;
        }
    }
    /* Rounding leaves some that are 1 but for the last bits. */
    for (uint32_t i = 0; i < small; i++)
        cell[stack[i]] = (struct cell){UINT32_MAX, stack[i]};
    for (uint32_t i = large; i < n; i++)
        cell[stack[i]] = (struct cell){UINT32_MAX, stack[i]};
}

/* A triangle without area whose share rounding has left over must not be drawn: it hands its whole
 * cell to the largest. */
static void close_empty(struct cell *cell, const struct t3d_scene *s)
{
    uint32_t best = 0;
    double most = -1;

    for (uint32_t i = 0; i < s->n_triangles; i++) {
        double a = area_of(s, i);
        if (a > most) {
            most = a;
            best = i;
        }
    }
    for (uint32_t i = 0; i < s->n_triangles; i++)
        if (cell[i].keep == UINT32_MAX && cell[i].other == i && !(area_of(s, i) > 0))
            cell[i] = (struct cell){0, best};
}

static int build(struct t3d_surface *f, struct t3d_err *err)
{
    uint32_t n = f->scene->n_triangles;
    double *share = malloc(n * sizeof *share);
    uint32_t *stack = malloc(n * sizeof *stack);
    int r = T3D_OK;

    f->cell = malloc(n * sizeof *f->cell);
    if (!share || !stack || !f->cell)
        r = t3d_err_nomem(err, "the areas of a surface");
    for (uint32_t i = 0; r == T3D_OK && i < n; i++)
        f->area += share[i] = area_of(f->scene, i);
    if (r == T3D_OK && !(f->area > 0 && isfinite(f->area)))
        r = t3d_err_set(err, T3D_SKIP, "no-extent",
                        "the %u triangles have no area to take points from", n);
    if (r == T3D_OK) {
        for (uint32_t i = 0; i < n; i++)
            share[i] *= n / f->area;
        fill_cells(f->cell, share, stack, n);
        close_empty(f->cell, f->scene);
    }
    free(share);
    free(stack);
    return r;
}

int t3d_surface_new(struct t3d_surface **out, const struct t3d_scene *s, struct t3d_err *err)
{
    struct t3d_surface *f;
    int r;

    if (s->n_triangles == 0)
        return t3d_err_set(err, T3D_SKIP, "no-triangles",
                           "there is no triangle to take points from");
    f = calloc(1, sizeof *f);
    if (!f)
        return t3d_err_nomem(err, "a surface");
    f->scene = s;
    r = build(f, err);
    if (r == T3D_OK)
        *out = f;
    else
        t3d_surface_free(f);
    return r;
}

void t3d_surface_free(struct t3d_surface *f)
{
    if (f)
        free(f->cell);
    free(f);
}

double t3d_surface_area(const struct t3d_surface *f)
{
    return f->area;
}

/* Points are made in blocks, one step after the other for the whole block: the steps without memory
 * run in vectors, those with memory have many loads under way at once. */
struct block {
    uint32_t word[4][BLOCK];   /* random */
    uint32_t triangle[BLOCK];  /* of the points */
    float corner[3][3][BLOCK]; /* its corners, coordinates */
};

/* 64 random bits pick the cell (times n, the whole part) and the choice in it (the first 32 bits of
 * the rest). */
static uint32_t pick(const struct t3d_surface *f, uint32_t high, uint32_t low)
{
    uint64_t bits = (uint64_t)high << 32 | low;
    unsigned __int128 wide = (unsigned __int128)bits * f->scene->n_triangles;
    uint32_t i = (uint32_t)(wide >> 64), rest = (uint32_t)((uint64_t)wide >> 32);
    struct cell c = f->cell[i];
    /* A mask and no branch: which of both it is cannot be foreseen. */
    uint32_t own = -(uint32_t)((rest < c.keep) | (c.keep == UINT32_MAX));

    return (i & own) | (c.other & ~own);
}

static void fetch_corners(const struct t3d_scene *s, struct block *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (int j = 0; j < 3; j++) {
            const float *p = s->position[s->triangle[b->triangle[i]][j]];
            for (int k = 0; k < 3; k++)
                b->corner[j][k][i] = p[k];
        }
}

static void place(const struct block *b, uint32_t n, float (*point)[3])
{
    double share[3][BLOCK];

    for (uint32_t i = 0; i < n; i++) {
        double root = sqrt((b->word[2][i] + 0.5) * 0x1p-32), v = (b->word[3][i] + 0.5) * 0x1p-32;
        share[0][i] = 1 - root;
        share[1][i] = root * (1 - v);
        share[2][i] = root * v;
    }
    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            point[i][k] = (float)(share[0][i] * (double)b->corner[0][k][i] +
                                  share[1][i] * (double)b->corner[1][k][i] +
                                  share[2][i] * (double)b->corner[2][k][i]);
}

void t3d_surface_sample(const struct t3d_surface *f, uint64_t seed, const char *name,
                        uint64_t stream, uint64_t first, uint32_t n, float (*point)[3],
                        uint32_t *triangle, int threads)
{
    const struct t3d_rng r = t3d_rng_for(seed, name, stream);

    if (n < FEW_POINTS)
        threads = 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (uint32_t at = 0; at < n; at += BLOCK) {
        uint32_t m = n - at < BLOCK ? n - at : BLOCK;
        struct block b;
        t3d_philox_run(&r, first + at, BLOCK, b.word[0]);
        for (uint32_t i = 0; i < m; i++)
            b.triangle[i] = pick(f, b.word[0][i], b.word[1][i]);
        fetch_corners(f->scene, &b, m);
        place(&b, m, point + at);
        if (triangle)
            memcpy(triangle + at, b.triangle, m * sizeof *triangle);
    }
}
