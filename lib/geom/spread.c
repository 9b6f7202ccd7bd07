/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/spread.h"

#include <math.h>
#include <string.h>

/* Sums over triangles: area, first moment, second moment (xx, yy, zz, xy, yz, zx) about the origin.
 */
struct moments {
    double area, first[3], second[6];
};

static void add_outer(double m[6], const double p[3], double w)
{
    m[0] += w * p[0] * p[0];
    m[1] += w * p[1] * p[1];
    m[2] += w * p[2] * p[2];
    m[3] += w * p[0] * p[1];
    m[4] += w * p[1] * p[2];
    m[5] += w * p[2] * p[0];
}

static void add_triangle(struct moments *m, const float *a, const float *b, const float *c)
{
    double u[3], v[3], mean[3], n[3], area;
    const float *corner[3] = {a, b, c};

    for (int k = 0; k < 3; k++) {
        u[k] = (double)b[k] - a[k];
        v[k] = (double)c[k] - a[k];
        mean[k] = ((double)a[k] + b[k] + c[k]) / 3;
    }
    n[0] = u[1] * v[2] - u[2] * v[1];
    n[1] = u[2] * v[0] - u[0] * v[2];
    n[2] = u[0] * v[1] - u[1] * v[0];
    area = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) / 2;
    m->area += area;
    for (int k = 0; k < 3; k++)
        m->first[k] += area * mean[k];
    add_outer(m->second, mean, area);
    for (int i = 0; i < 3; i++) {
        double d[3];
        for (int k = 0; k < 3; k++)
            d[k] = corner[i][k] - mean[k];
        add_outer(m->second, d, area / 12);
    }
}

/* Eigenvalues of a symmetric 3x3 matrix, largest first, in closed form: O. K. Smith, "Eigenvalues
 * of a symmetric 3 x 3 matrix", CACM 4(4), 1961. */
static void eigenvalues(const double m[6], double e[3])
{
    double off = m[3] * m[3] + m[4] * m[4] + m[5] * m[5];
    double q = (m[0] + m[1] + m[2]) / 3;
    double x = m[0] - q, y = m[1] - q, z = m[2] - q;
    double p = sqrt((x * x + y * y + z * z + 2 * off) / 6), r, phi;

    if (p == 0) {
        e[0] = e[1] = e[2] = q;
        return;
    }
    r = (x * (y * z - m[4] * m[4]) - m[3] * (m[3] * z - m[4] * m[5]) +
         m[5] * (m[3] * m[4] - y * m[5])) /
        (2 * p * p * p);
    phi = acos(T3D_CLAMP(r, -1.0, 1.0)) / 3;
    e[0] = q + 2 * p * cos(phi);
    e[2] = q + 2 * p * cos(phi + 2.0943951023931953);
    e[1] = 3 * q - e[0] - e[2];
}

void t3d_scene_spread(const struct t3d_scene *s, double spread[3])
{
    struct moments m = {0};
    double c[6], e[3], mean[3];

    memset(spread, 0, 3 * sizeof *spread);
    for (uint32_t t = 0; t < s->n_triangles; t++) {
        const uint32_t *v = s->triangle[t];
        add_triangle(&m, s->position[v[0]], s->position[v[1]], s->position[v[2]]);
    }
    if (!(m.area > 0))
        return;
    for (int k = 0; k < 3; k++)
        mean[k] = m.first[k] / m.area;
    for (int k = 0; k < 3; k++) {
        c[k] = m.second[k] / m.area - mean[k] * mean[k];
        c[3 + k] = m.second[3 + k] / m.area - mean[k] * mean[(k + 1) % 3];
    }
    eigenvalues(c, e);
    for (int k = 0; k < 3; k++)
        spread[k] = sqrt(e[k] > 0 ? e[k] : 0);
}
