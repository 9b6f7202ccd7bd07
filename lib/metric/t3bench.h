/* SPDX-License-Identifier: Apache-2.0 */
/* metric/t3bench.h -- the views and sums of T3Bench (He et al., "T3Bench: Benchmarking Current
 * Progress in Text-to-3D Generation", 2023, section 4; code: THU-LYJ-Lab/T3Bench).
 *
 * Quality: an object is seen from the 162 vertices of an icosahedron that was subdivided twice, at
 * radius 2.2, with five fields of view (60, 45, 36, 30, 24 deg). A scorer says how well each
 * picture fits the prompt. The score of a vertex is the best of its five; three times each vertex
 * becomes the mean of itself and its neighbours; the quality is the largest value.
 *
 * Alignment: a captioner describes what 12 views show, a judge makes one caption of the
 * descriptions and then says from 1 to 5 how much of the prompt it covers. The tables have
 * (mean - 1) * 25.
 *
 * Its world is +Z up: here that axis is +Y. Pictures are over black, 512 x 512. */
#ifndef T3D_METRIC_T3BENCH_H
#define T3D_METRIC_T3BENCH_H

#include <cjson/cJSON.h>

#include "geom/camera.h"
#include "geom/gaussians.h"
#include "net/encoder.h"

enum {
    T3D_T3BENCH_VIEWPOINTS = 162, /* the most */
    T3D_T3BENCH_FOVS = 5,
    T3D_T3BENCH_CAPTIONS = 12, /* views that are described */
    T3D_T3BENCH_RESOLUTION = 512
};

/* How the benchmark is read: its code puts the captioner's cameras at radius 4.84, since the radius
 * is multiplied in twice; the paper has them at 2.2 like the others. */
enum t3d_t3bench_reading { T3D_T3BENCH_CODED, T3D_T3BENCH_DESCRIBED, T3D_T3BENCH_READINGS };
extern const char *const t3d_t3bench_reading_name[T3D_T3BENCH_READINGS]; /* coded described */

struct t3d_t3bench_sphere {
    int n;
    double at[T3D_T3BENCH_VIEWPOINTS][3]; /* of length 1 */
    int degree[T3D_T3BENCH_VIEWPOINTS], neighbour[T3D_T3BENCH_VIEWPOINTS][6];
};

/* n: 12, 42 or 162; 0, or -1 for another number. */
int t3d_t3bench_sphere(struct t3d_t3bench_sphere *s, int n) T3D_MUST_CHECK;
/* The largest of n scores after three rounds, which score is left with. */
double t3d_t3bench_smooth(const struct t3d_t3bench_sphere *s, double *score);

/* Looks from at * distance to the origin. */
void t3d_t3bench_camera(struct t3d_camera *c, const double at[3], double distance, double fov_deg);
extern const double t3d_t3bench_fov[T3D_T3BENCH_FOVS];

/* The benchmark's frame: the mean of the vertices is the origin, the largest coordinate is 1. For
 * Gaussians the vertices are the centres of those that are at least half opaque (of all when there
 * are none): fainter ones are no surface. Arrays in the arena. */
int t3d_t3bench_fit(struct t3d_gaussians *out, const struct t3d_gaussians *g, struct t3d_arena *a,
                    struct t3d_err *err) T3D_MUST_CHECK;

struct t3d_t3bench_options {
    struct t3d_encoder *scorer; /* takes pictures and texts; opened with a black background */
    struct t3d_t3bench_sphere sphere;
    enum t3d_t3bench_reading reading;
    int resolution, threads;
};

/* Of an object in the benchmark's frame: text is the scorer's row of the prompt. *quality is a
 * cosine. views: only that many viewpoints, spread evenly, are looked at (0 = all): for timing,
 * there is no quality then. T3D_END when a stop was requested. */
int t3d_t3bench_quality(double *quality, const struct t3d_t3bench_options *o,
                        const struct t3d_gaussians *g, const float *text, int views,
                        struct t3d_err *err) T3D_MUST_CHECK;

/* The captioner's 12 pictures as files DIR/00.png ..., RGB, with the SHA-256 of each. */
int t3d_t3bench_pictures(char sha256[T3D_T3BENCH_CAPTIONS][65], const struct t3d_t3bench_options *o,
                         const struct t3d_gaussians *g, const char *dir,
                         struct t3d_err *err) T3D_MUST_CHECK;

/* --- what is asked of captioner and judge (doc/formats.md), as objects without "id" ------------
 */

cJSON *t3d_t3bench_ask_caption(const char *path, const char *sha256);
cJSON *t3d_t3bench_ask_merge(const char *const *caption, int n);
cJSON *t3d_t3bench_ask_score(const char *prompt, const char *caption);
/* The score in a judge's text, 1 to 5, rounded half to even as numpy does. T3D_SKIP "judge-prose"
 * when the text is not a number, "judge-range". */
int t3d_t3bench_score(int *score, const char *text, struct t3d_err *err) T3D_MUST_CHECK;

#endif
