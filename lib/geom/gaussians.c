/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/gaussians.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/defs.h"

enum { PLY_FLOATS = 17, SPLAT_BYTES = 32 };

#define SH0 0.28209479177387814 /* Y_0^0 = 1 / (2 sqrt pi) */

static const char *const ply_property[PLY_FLOATS] = {
    "x",       "y",       "z",       "nx",      "ny",    "nz",    "f_dc_0", "f_dc_1", "f_dc_2",
    "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2",  "rot_3"};

struct t3d_gaussians t3d_gaussians_in(const float *block, size_t n)
{
    return (struct t3d_gaussians){
        n, block, block + 3 * n, block + 6 * n, block + 10 * n, block + 11 * n};
}

/* --- pruning --------------------------------------------------------------------------------- */

int t3d_gaussians_prune(struct t3d_gaussians *out, const struct t3d_gaussians *g,
                        double min_opacity, struct t3d_arena *a, struct t3d_err *err)
{
    double logit = log(min_opacity / (1 - min_opacity));
    float *block = t3d_alloc_raw(a, g->n * T3D_GAUSSIAN_FLOATS + 1, sizeof *block), *p;
    size_t n = 0;

    if (!block)
        return t3d_err_nomem(err, "the Gaussians");
    for (size_t i = 0; i < g->n; i++)
        n += g->opacity[i] >= logit;
    p = block;
    *out = t3d_gaussians_in(p, n);
    n = 0;
    for (size_t i = 0; i < g->n; i++)
        if (g->opacity[i] >= logit) {
            memcpy(p + 3 * n, g->xyz + 3 * i, 3 * sizeof *p);
            memcpy(p + 3 * out->n + 3 * n, g->log_scale + 3 * i, 3 * sizeof *p);
            memcpy(p + 6 * out->n + 4 * n, g->quaternion + 4 * i, 4 * sizeof *p);
            p[10 * out->n + n] = g->opacity[i];
            memcpy(p + 11 * out->n + 3 * n, g->rgb + 3 * i, 3 * sizeof *p);
            n++;
        }
    return T3D_OK;
}

/* --- turning --------------------------------------------------------------------------------- */

/* By 180 degrees about x: (x, -y, -z); the quaternion (0, 1, 0, 0) times q. */
static void turn_xyz(float out[3], const float in[3])
{
    out[0] = in[0];
    out[1] = -in[1];
    out[2] = -in[2];
}

static void turn_quaternion(float out[4], const float q[4])
{
    const float t[4] = {-q[1], q[0], -q[3], q[2]};

    memcpy(out, t, sizeof t);
}

/* w x y z of length 1; a zero one is no rotation. */
static void unit(float out[4], const float q[4])
{
    double length =
        sqrt((double)q[0] * q[0] + (double)q[1] * q[1] + (double)q[2] * q[2] + (double)q[3] * q[3]);

    for (int k = 0; k < 4; k++)
        out[k] = length > 0 ? (float)(q[k] / length) : (float)(k == 0);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* --- .ply ------------------------------------------------------------------------------------ */

/* A comment is one line: what would end it becomes a space. */
static void put_comment(FILE *f, const struct t3d_origin *o)
{
    fprintf(f, "comment %s: ", o->key);
    for (const char *p = o->value; *p; p++)
        fputc((unsigned char)*p < ' ' || *p == 127 ? ' ' : *p, f);
    fputc('\n', f);
}

static void put_ply(FILE *f, const struct t3d_gaussians *g, size_t i)
{
    float row[PLY_FLOATS] = {0};

    turn_xyz(row, g->xyz + 3 * i);
    for (int k = 0; k < 3; k++) {
        row[6 + k] = (float)((g->rgb[3 * i + (size_t)k] - 0.5) / SH0);
        row[10 + k] = g->log_scale[3 * i + (size_t)k];
    }
    row[9] = g->opacity[i];
    turn_quaternion(row + 13, g->quaternion + 4 * i);
    fwrite(row, sizeof *row, PLY_FLOATS, f);
}

/* What a memory stream has written goes to the arena. */
static int take(FILE *f, char **text, const size_t *n, uint8_t **data, size_t *size,
                struct t3d_arena *a, struct t3d_err *err)
{
    int r = T3D_OK;

    *data = NULL;
    if (!f || ferror(f) || fclose(f) != 0 || !(*data = t3d_alloc_raw(a, *n ? *n : 1, 1)))
        r = t3d_err_nomem(err, "a file of Gaussians");
    if (*data)
        memcpy(*data, *text, *size = *n);
    free(*text);
    return r;
}

int t3d_gaussians_ply(uint8_t **data, size_t *size, const struct t3d_gaussians *g,
                      const struct t3d_origin *origin, size_t n_origin, struct t3d_arena *a,
                      struct t3d_err *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    if (f) {
        fprintf(f, "ply\nformat binary_little_endian 1.0\n");
        fprintf(f, "comment 3D Gaussian splats, turned 180 degrees about x: y is down\n");
        for (size_t i = 0; i < n_origin; i++)
            put_comment(f, &origin[i]);
        fprintf(f, "element vertex %zu\n", g->n);
        for (int i = 0; i < PLY_FLOATS; i++)
            fprintf(f, "property float %s\n", ply_property[i]);
        fprintf(f, "end_header\n");
        for (size_t i = 0; i < g->n; i++)
            put_ply(f, g, i);
    }
    return take(f, &text, &n, data, size, a, err);
}

/* --- .splat ---------------------------------------------------------------------------------- */

struct ranked {
    double size;
    uint32_t index;
};

static int larger_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static uint8_t byte_of(double x)
{
    return (uint8_t)T3D_CLAMP(floor(x + 0.5), 0, 255);
}

static void put_splat(uint8_t out[SPLAT_BYTES], const struct t3d_gaussians *g, size_t i)
{
    float xyz[3], scale[3], q[4], turned[4];

    turn_xyz(xyz, g->xyz + 3 * i);
    turn_quaternion(turned, g->quaternion + 4 * i);
    unit(q, turned);
    for (size_t k = 0; k < 3; k++) {
        scale[k] = (float)exp((double)g->log_scale[3 * i + k]);
        out[24 + k] = byte_of(255.0 * g->rgb[3 * i + k]);
    }
    memcpy(out, xyz, sizeof xyz);
    memcpy(out + 12, scale, sizeof scale);
    out[27] = byte_of(255 * sigmoid((double)g->opacity[i]));
    for (int k = 0; k < 4; k++)
        out[28 + k] = byte_of(128.0 + 128.0 * q[k]);
}

int t3d_gaussians_splat(uint8_t **data, size_t *size, const struct t3d_gaussians *g,
                        struct t3d_arena *a, struct t3d_err *err)
{
    struct ranked *rank = t3d_alloc_raw(a, g->n + 1, sizeof *rank);

    *data = t3d_alloc_raw(a, g->n + 1, SPLAT_BYTES);
    *size = g->n * SPLAT_BYTES;
    if (!rank || !*data)
        return t3d_err_nomem(err, "a file of Gaussians");
    for (size_t i = 0; i < g->n; i++) {
        const float *s = g->log_scale + 3 * i;

        rank[i] = (struct ranked){exp((double)s[0] + (double)s[1] + (double)s[2]) *
                                      sigmoid((double)g->opacity[i]),
                                  (uint32_t)i};
    }
    qsort(rank, g->n, sizeof *rank, larger_first);
    for (size_t i = 0; i < g->n; i++)
        put_splat(*data + i * SPLAT_BYTES, g, rank[i].index);
    return T3D_OK;
}
