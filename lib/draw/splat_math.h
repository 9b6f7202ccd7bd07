/* SPDX-License-Identifier: Apache-2.0 */
/* draw/splat_math.h -- what one Gaussian is in a view, and the gradient of that: the mathematics
 * that the processor and a CUDA device share.
 *
 * By default a number is a vector of the processor, of several Gaussians. A device says before it
 * includes this what vec and ivec are (one number, one truth), has v_load, v_set, v_min, v_max,
 * v_select, v_abs, v_sqrt, v_log and v_exp, and defines T3DI_EACH, how a function is declared, and
 * T3DI_ROW, how many Gaussians a row of a block has. The equations of the gradients are the chain
 * rule applied to those of draw/splat.h and are written beside the code. */
#ifndef T3D_DRAW_SPLAT_MATH_H
#define T3D_DRAW_SPLAT_MATH_H

#include "draw/splat_impl.h"

#ifndef T3DI_EACH
#include "num/cpu/simd.h"

#define T3DI_EACH static inline
#define T3DI_ROW  T3DI_LANE

static inline vec v_abs(vec x)
{
    return v_select(x < 0, -x, x);
}
#endif

#define MAX_ALPHA    ((t3d_real)0.99)
#define MIN_LIGHT    ((t3d_real)1e-4)
#define LOW_PASS     ((t3d_real)0.3)
#define FRUSTUM_EDGE ((t3d_real)1.3) /* how far outside the picture J may be taken */

/* The rotation of a unit quaternion w x y z. */
T3DI_EACH void rotation(vec r[3][3], vec w, vec x, vec y, vec z)
{
    r[0][0] = 1 - 2 * (y * y + z * z);
    r[0][1] = 2 * (x * y - w * z);
    r[0][2] = 2 * (x * z + w * y);
    r[1][0] = 2 * (x * y + w * z);
    r[1][1] = 1 - 2 * (x * x + z * z);
    r[1][2] = 2 * (y * z - w * x);
    r[2][0] = 2 * (x * z - w * y);
    r[2][1] = 2 * (y * z + w * x);
    r[2][2] = 1 - 2 * (x * x + y * y);
}

/* log sigmoid(x) = -log(1 + exp(-x)) = min(x, 0) - log(1 + exp(-|x|)) */
T3DI_EACH vec log_sigmoid(vec x)
{
    return v_min(x, v_set(0)) - v_log(1 + v_exp(-v_abs(x)));
}

/* C = R diag(exp(2 log_scale)) R^T of a quaternion of length 1 / inverse_length. */
T3DI_EACH void covariance_of(vec c[6], const vec log_scale[3], const vec quaternion[4],
                             vec inverse_length)
{
    vec r[3][3], e[3];

    rotation(r, quaternion[0] * inverse_length, quaternion[1] * inverse_length,
             quaternion[2] * inverse_length, quaternion[3] * inverse_length);
    for (int k = 0; k < 3; k++)
        e[k] = v_exp(2 * log_scale[k]);
    for (int k = 0, field = 0; k < 3; k++)
        for (int l = k; l < 3; l++, field++)
            c[field] =
                r[k][0] * r[l][0] * e[0] + r[k][1] * r[l][1] * e[1] + r[k][2] * r[l][2] * e[2];
}

/* --- into the picture --- */

/* What projecting and its gradient both need, for LANES Gaussians. */
struct projection {
    vec t[3];               /* in the camera */
    vec iz, slope[2];       /* 1 / z; x / z and y / z as J has them */
    ivec inside[2];         /* the slope is the true one */
    vec j00, j11, j02, j12; /* J */
    vec m[2][3];            /* J W */
    vec mc[2][3];           /* J W C */
    vec xx, xy, yy, det;    /* S and its determinant */
};

T3DI_EACH vec covariance(const t3d_real block[T3DI_G_FIELDS][T3DI_ROW], int i, int k, int l)
{
    static const uint8_t field[3][3] = {{T3DI_G_XX, T3DI_G_XY, T3DI_G_XZ},
                                        {T3DI_G_XY, T3DI_G_YY, T3DI_G_YZ},
                                        {T3DI_G_XZ, T3DI_G_YZ, T3DI_G_ZZ}};

    return v_load(block[field[k][l]] + i);
}

/* J is taken no further outside than FRUSTUM_EDGE times the picture: beyond it the linear
 * approximation blows up. */
T3DI_EACH void slope(struct projection *p, int k, t3d_real f, t3d_real c, int size)
{
    vec s = p->t[k] * p->iz;
    vec low = v_set(-FRUSTUM_EDGE * c / f), high = v_set(FRUSTUM_EDGE * ((t3d_real)size - c) / f);

    p->inside[k] = (s >= low) & (s <= high);
    p->slope[k] = v_min(v_max(s, low), high);
}

T3DI_EACH void project_lanes(struct projection *p, const t3d_real block[T3DI_G_FIELDS][T3DI_ROW],
                             int i, const t3d_real *camera, int width, int height)
{
    const t3d_real *w = camera + T3D_SPLAT_W2C, fx = camera[T3D_SPLAT_FX],
                   fy = camera[T3D_SPLAT_FY];
    vec x = v_load(block[T3DI_G_X] + i), y = v_load(block[T3DI_G_Y] + i),
        z = v_load(block[T3DI_G_Z] + i);

    for (int k = 0; k < 3; k++)
        p->t[k] = x * w[4 * k] + y * w[4 * k + 1] + z * w[4 * k + 2] + w[4 * k + 3];
    p->iz = 1 / p->t[2];
    slope(p, 0, fx, camera[T3D_SPLAT_CX], width);
    slope(p, 1, fy, camera[T3D_SPLAT_CY], height);
    p->j00 = fx * p->iz;
    p->j11 = fy * p->iz;
    p->j02 = -p->j00 * p->slope[0];
    p->j12 = -p->j11 * p->slope[1];
    for (int k = 0; k < 3; k++) {
        p->m[0][k] = p->j00 * w[k] + p->j02 * w[8 + k];
        p->m[1][k] = p->j11 * w[4 + k] + p->j12 * w[8 + k];
    }
    for (int r = 0; r < 2; r++)
        for (int k = 0; k < 3; k++)
            p->mc[r][k] = p->m[r][0] * covariance(block, i, 0, k) +
                          p->m[r][1] * covariance(block, i, 1, k) +
                          p->m[r][2] * covariance(block, i, 2, k);
    p->xx =
        p->mc[0][0] * p->m[0][0] + p->mc[0][1] * p->m[0][1] + p->mc[0][2] * p->m[0][2] + LOW_PASS;
    p->xy = p->mc[0][0] * p->m[1][0] + p->mc[0][1] * p->m[1][1] + p->mc[0][2] * p->m[1][2];
    p->yy =
        p->mc[1][0] * p->m[1][0] + p->mc[1][1] * p->m[1][1] + p->mc[1][2] * p->m[1][2] + LOW_PASS;
    p->det = p->xx * p->yy - p->xy * p->xy;
}

/* --- and back --- */

/* dL/dS (as a symmetric matrix) = -K G K, K the conic, G = [[dA, dB / 2], [dB / 2, dC]]. */
T3DI_EACH void conic_grad(const struct projection *p, const vec d[T3DI_D_FIELDS], vec g[3])
{
    vec idet = 1 / p->det, a = p->yy * idet, b = -p->xy * idet, c = p->xx * idet;
    vec gxx = (t3d_real)0.5 * d[T3DI_D_VXX], gxy = (t3d_real)0.5 * d[T3DI_D_VXY],
        gyy = (t3d_real)0.5 * d[T3DI_D_VYY];
    vec l00 = a * gxx + b * gxy, l01 = a * gxy + b * gyy, l10 = b * gxx + c * gxy,
        l11 = b * gxy + c * gyy;

    g[0] = -(l00 * a + l01 * b);
    g[1] = -(l00 * b + l01 * c);
    g[2] = -(l10 * b + l11 * c);
}

/* The position in the camera: through u and v, through J, and by its depth. */
T3DI_EACH void position_grad(const struct projection *p, const vec d[T3DI_D_FIELDS],
                             const vec dm[2][3], const t3d_real *camera, vec dt[3])
{
    const t3d_real *w = camera + T3D_SPLAT_W2C, fx = camera[T3D_SPLAT_FX],
                   fy = camera[T3D_SPLAT_FY];
    vec idet = 1 / p->det, a = p->yy * idet, b = -p->xy * idet, c = p->xx * idet, iz2;
    vec du = -(a * d[T3DI_D_VX] + b * d[T3DI_D_VY]), dv = -(b * d[T3DI_D_VX] + c * d[T3DI_D_VY]);
    vec d00 = dm[0][0] * w[0] + dm[0][1] * w[1] + dm[0][2] * w[2];
    vec d02 = dm[0][0] * w[8] + dm[0][1] * w[9] + dm[0][2] * w[10];
    vec d11 = dm[1][0] * w[4] + dm[1][1] * w[5] + dm[1][2] * w[6];
    vec d12 = dm[1][0] * w[8] + dm[1][1] * w[9] + dm[1][2] * w[10];
    vec zero = v_set(0);

    iz2 = p->iz * p->iz;
    /* J02 = -fx slope / z: dJ02/dx = -fx / z^2 and dJ02/dz = 2 fx x / z^3 where the slope is x / z,
     * 0 and fx slope / z^2 where it was clamped */
    dt[0] = du * p->j00 + v_select(p->inside[0], -d02 * fx * iz2, zero);
    dt[1] = dv * p->j11 + v_select(p->inside[1], -d12 * fy * iz2, zero);
    dt[2] = d[T3DI_D_DEPTH] - (du * fx * p->t[0] + dv * fy * p->t[1]) * iz2 -
            (d00 * fx + d11 * fy) * iz2 +
            d02 * fx * p->slope[0] * iz2 * v_select(p->inside[0], v_set(2), v_set(1)) +
            d12 * fy * p->slope[1] * iz2 * v_select(p->inside[1], v_set(2), v_set(1));
}

/* One view's share, for LANES Gaussians from lane i. */
T3DI_EACH void unproject_lanes(vec grad[13], const t3d_real block[T3DI_G_FIELDS][T3DI_ROW], int i,
                               const vec d[T3DI_D_FIELDS], const t3d_real *camera, int width,
                               int height)
{
    const t3d_real *w = camera + T3D_SPLAT_W2C;
    struct projection p;
    vec g[3], dm[2][3], dt[3];
    int field = 3;

    project_lanes(&p, block, i, camera, width, height);
    conic_grad(&p, d, g);
    /* S = M C M^T: dM = 2 G M C, dC = M^T G M */
    for (int k = 0; k < 3; k++) {
        dm[0][k] = 2 * (g[0] * p.mc[0][k] + g[1] * p.mc[1][k]);
        dm[1][k] = 2 * (g[1] * p.mc[0][k] + g[2] * p.mc[1][k]);
    }
    for (int k = 0; k < 3; k++)
        for (int l = k; l < 3; l++, field++) {
            vec c = g[0] * p.m[0][k] * p.m[0][l] + g[2] * p.m[1][k] * p.m[1][l] +
                    g[1] * (p.m[0][k] * p.m[1][l] + p.m[1][k] * p.m[0][l]);

            grad[field] += k == l ? c : 2 * c;
        }
    position_grad(&p, d, (const vec(*)[3])dm, camera, dt);
    for (int k = 0; k < 3; k++)
        grad[k] += w[k] * dt[0] + w[4 + k] * dt[1] + w[8 + k] * dt[2];
    grad[9] -= d[T3DI_D_V]; /* s - log opacity is what alpha has */
    for (int k = 0; k < 3; k++)
        grad[10 + k] += d[T3DI_D_RGB + k];
}

/* dL/dR to dL/dq for unit q, and from there to a quaternion of any length: what points along q does
 * nothing. */
T3DI_EACH void quaternion_grad(vec out[4], vec d[3][3], const vec q[4], vec inverse_length)
{
    vec w = q[0], x = q[1], y = q[2], z = q[3], along;

    out[0] = 2 * (x * (d[2][1] - d[1][2]) + y * (d[0][2] - d[2][0]) + z * (d[1][0] - d[0][1]));
    out[1] = 2 * (y * (d[0][1] + d[1][0]) + z * (d[0][2] + d[2][0]) + w * (d[2][1] - d[1][2]) -
                  2 * x * (d[1][1] + d[2][2]));
    out[2] = 2 * (x * (d[0][1] + d[1][0]) + z * (d[1][2] + d[2][1]) + w * (d[0][2] - d[2][0]) -
                  2 * y * (d[0][0] + d[2][2]));
    out[3] = 2 * (x * (d[0][2] + d[2][0]) + y * (d[1][2] + d[2][1]) + w * (d[1][0] - d[0][1]) -
                  2 * z * (d[0][0] + d[1][1]));
    along = out[0] * w + out[1] * x + out[2] * y + out[3] * z;
    for (int k = 0; k < 4; k++)
        out[k] = (out[k] - along * q[k]) * inverse_length;
}

/* C = M M^T with M = R diag(s): dM = 2 dC M (dC a symmetric matrix, of whose off-diagonal numbers
 * each counts half); d log s_j = sum_i dM_ij M_ij, dR_ij = dM_ij s_j. */
T3DI_EACH void shape_grad(vec log_scale[3], vec quaternion[4], const vec c[6])
{
    vec q[4], r[3][3], d[3][3];
    vec f = 1 / v_sqrt(quaternion[0] * quaternion[0] + quaternion[1] * quaternion[1] +
                       quaternion[2] * quaternion[2] + quaternion[3] * quaternion[3]);

    for (int k = 0; k < 4; k++)
        q[k] = quaternion[k] * f;
    rotation(r, q[0], q[1], q[2], q[3]);
    for (int j = 0; j < 3; j++) {
        vec square = v_exp(2 * log_scale[j]), dc[3];

        dc[0] = 2 * c[0] * r[0][j] + c[1] * r[1][j] + c[2] * r[2][j];
        dc[1] = c[1] * r[0][j] + 2 * c[3] * r[1][j] + c[4] * r[2][j];
        dc[2] = c[2] * r[0][j] + c[4] * r[1][j] + 2 * c[5] * r[2][j];
        for (int i = 0; i < 3; i++)
            d[i][j] = square * dc[i];
        log_scale[j] = d[0][j] * r[0][j] + d[1][j] * r[1][j] + d[2][j] * r[2][j];
    }
    quaternion_grad(quaternion, d, q, f);
}

#endif
