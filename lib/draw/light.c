/* SPDX-License-Identifier: Apache-2.0 */
/* The light presets. The radiance of the surroundings is a constant, a vertical gradient, and a few
 * spherical Gaussians (soft boxes): their irradiance is projected on spherical harmonics of degree
 * 2 (Ramamoorthi and Hanrahan 2001), their reflection in a rough surface is again a Gaussian. */
#include "draw/draw_impl.h"

#include <math.h>
#include <pthread.h>

const char t3d_light_names[] = "studio flat sun uniform";

static struct t3d_light presets[] = {
    {.name = "studio",
     .tone_map = 1,
     .ambient = {.50f, .51f, .53f},
     .gradient = {.16f, .17f, .19f},
     .n_lobes = 4,
     .lobe = {{{-.55f, .60f, .58f}, 7.0f, {1.55f, 1.50f, 1.42f}}, /* large box, front left */
              {{.86f, .25f, .44f}, 9.0f, {.62f, .66f, .72f}},     /* fill, front right */
              {{.45f, .50f, -.74f}, 9.0f, {1.05f, 1.05f, 1.05f}}, /* rim, back right */
              {{-.75f, .15f, -.65f}, 9.0f, {.60f, .62f, .66f}}},  /* fill, back left */
     .key_direction = {-.43f, .70f, .57f},
     .key_color = {.30f, .29f, .275f}},
    {.name = "flat", .flat = 1},
    {.name = "sun",
     .tone_map = 1,
     .ambient = {.30f, .33f, .38f},
     .gradient = {.12f, .15f, .22f},
     .key_direction = {-.43f, .70f, .57f},
     .key_color = {.95f, .92f, .85f}},
    {.name = "uniform", .ambient = {1.0f, 1.0f, 1.0f}},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void normalise(float v[3])
{
    float len = sqrtf(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int k = 0; k < 3 && len > 0.0f; k++)
        v[k] /= len;
}

/* Legendre moments of exp(s (t - 1)): m[l] = (2 l + 1) / 2 * integral over [-1, 1], by Simpson's
 * rule. */
static void moments(double s, double m[3])
{
    enum { N = 2000 };
    memset(m, 0, 3 * sizeof *m);
    for (int k = 0; k <= N; k++) {
        double t = -1.0 + 2.0 * k / N, w = (k == 0 || k == N ? 1.0
                                            : k % 2          ? 4.0
                                                             : 2.0) /
                                           (3.0 * N) * 2.0;
        double f = exp(s * (t - 1.0)) * w;
        m[0] += 0.5 * f;
        m[1] += 1.5 * f * t;
        m[2] += 2.5 * f * (1.5 * t * t - 0.5);
    }
}

/* Irradiance / pi as a quadratic form; the cosine lobe has factors 1, 2/3, 1/4 by degree. */
static void project(struct t3d_light *l)
{
    for (int c = 0; c < 3; c++) {
        float *e = l->irradiance[c];
        memset(e, 0, sizeof l->irradiance[c]);
        e[0] = l->ambient[c];
        e[2] = l->gradient[c] * (2.0f / 3.0f);
    }
    for (int k = 0; k < l->n_lobes; k++) {
        const float *a = l->lobe[k].axis;
        double m[3];
        moments((double)l->lobe[k].sharpness, m);
        float m0 = (float)m[0], m1 = (float)m[1] * (2.0f / 3.0f), m2 = (float)m[2] * 0.25f;
        const float form[10] = {m0 - 0.5f * m2,
                                m1 * a[0],
                                m1 * a[1],
                                m1 * a[2],
                                3.0f * m2 * a[0] * a[1],
                                3.0f * m2 * a[1] * a[2],
                                3.0f * m2 * a[2] * a[0],
                                1.5f * m2 * a[0] * a[0],
                                1.5f * m2 * a[1] * a[1],
                                1.5f * m2 * a[2] * a[2]};
        for (int c = 0; c < 3; c++)
            for (int j = 0; j < 10; j++)
                l->irradiance[c][j] += l->lobe[k].color[c] * form[j];
    }
}

static void prepare(void)
{
    for (size_t k = 0; k < T3D_COUNT(presets); k++) {
        struct t3d_light *l = &presets[k];
        for (int j = 0; j < l->n_lobes; j++)
            normalise(l->lobe[j].axis);
        normalise(l->key_direction);
        project(l);
    }
}

const struct t3d_light *t3d_light_find(const char *name)
{
    pthread_once(&once, prepare);
    for (size_t k = 0; k < T3D_COUNT(presets); k++)
        if (name && strcmp(presets[k].name, name) == 0)
            return &presets[k];
    return NULL;
}
