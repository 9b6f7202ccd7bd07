/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/t3bench.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/defs.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/tool.h"
#include "draw/splat_views.h"
#include "image/png.h"

enum { ROUNDS = 3, BATCH = 80 };

#define DISTANCE  2.2
#define CODED_CAP 4.84 /* 2.2 squared */
#define CAP_FOV   60.

const char *const t3d_t3bench_reading_name[T3D_T3BENCH_READINGS] = {"coded", "described"};
const double t3d_t3bench_fov[T3D_T3BENCH_FOVS] = {60, 45, 36, 30, 24};

/* --- the sphere ------------------------------------------------------------------------------ */

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Two vertices are neighbours when they see each other below this angle: edges are 63.4 deg in an
 * icosahedron, at most 36 and 18.7 after one and two subdivisions, all else is further apart. */
static void join(struct t3d_t3bench_sphere *s)
{
    double near = cos((s->n == 12 ? 70. : s->n == 42 ? 45. : 22.) * M_PI / 180);

    memset(s->degree, 0, sizeof s->degree);
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < s->n && s->degree[i] < 6; k++)
            if (k != i && dot(s->at[i], s->at[k]) > near)
                s->neighbour[i][s->degree[i]++] = k;
}

static void put(struct t3d_t3bench_sphere *s, double x, double y, double z)
{
    double length = sqrt(x * x + y * y + z * z);

    s->at[s->n][0] = x / length;
    s->at[s->n][1] = y / length;
    s->at[s->n++][2] = z / length;
}

/* The middle of each edge, pushed out to the sphere. */
static void subdivide(struct t3d_t3bench_sphere *s)
{
    int n = s->n;

    for (int i = 0; i < n; i++)
        for (int k = 0; k < s->degree[i]; k++) {
            const double *a = s->at[i], *b = s->at[s->neighbour[i][k]];

            if (s->neighbour[i][k] > i)
                put(s, a[0] + b[0], a[1] + b[1], a[2] + b[2]);
        }
    join(s);
}

int t3d_t3bench_sphere(struct t3d_t3bench_sphere *s, int n)
{
    double golden = (1 + sqrt(5)) / 2;

    if (n != 12 && n != 42 && n != 162)
        return -1;
    memset(s, 0, sizeof *s);
    for (int i = 0; i < 4; i++) {
        double a = i & 1 ? 1 : -1, b = i & 2 ? golden : -golden;

        /* theirs are (a, b, 0), (0, a, b), (b, 0, a); (x, y, z) is (x, z, -y) here */
        put(s, a, 0, -b);
        put(s, 0, b, -a);
        put(s, b, a, 0);
    }
    join(s);
    while (s->n < n)
        subdivide(s);
    return 0;
}

double t3d_t3bench_smooth(const struct t3d_t3bench_sphere *s, double *score)
{
    double next[T3D_T3BENCH_VIEWPOINTS], best = -INFINITY;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < s->n; i++) {
            double sum = score[i];

            for (int k = 0; k < s->degree[i]; k++)
                sum += score[s->neighbour[i][k]];
            next[i] = sum / (s->degree[i] + 1);
        }
        memcpy(score, next, (size_t)s->n * sizeof *score);
    }
    for (int i = 0; i < s->n; i++)
        best = fmax(best, score[i]);
    return best;
}

/* The poles are seen with -Z up, from above and from below, as the benchmark does. */
void t3d_t3bench_camera(struct t3d_camera *c, const double at[3], double distance, double fov_deg)
{
    double up = T3D_CLAMP(at[1], -1, 1);

    memset(c, 0, sizeof *c);
    c->distance = distance;
    c->fov_deg = fov_deg;
    c->elevation_deg = asin(up) * 180 / M_PI;
    c->azimuth_deg = atan2(at[0], at[2]) * 180 / M_PI;
    if (fabs(up) > .9999)
        c->azimuth_deg = up > 0 ? 0 : 180;
    t3d_camera_place(c);
}

/* --- the frame ------------------------------------------------------------------------------- */

/* Half opaque: the logit is 0. */
static int is_vertex(const struct t3d_gaussians *g, size_t i, int all)
{
    return all || g->opacity[i] >= 0;
}

static double frame_of(const struct t3d_gaussians *g, int all, double centre[3])
{
    double n = 0, most = 0;

    for (size_t i = 0; i < g->n; i++)
        for (int k = 0; k < 3 && is_vertex(g, i, all); k++) {
            centre[k] += (double)g->xyz[3 * i + (size_t)k];
            n += k == 0;
        }
    for (int k = 0; k < 3; k++)
        centre[k] /= n > 0 ? n : 1;
    for (size_t i = 0; i < g->n; i++)
        for (int k = 0; k < 3 && is_vertex(g, i, all); k++)
            most = fmax(most, fabs((double)g->xyz[3 * i + (size_t)k] - centre[k]));
    return n > 0 ? most : -1;
}

int t3d_t3bench_fit(struct t3d_gaussians *out, const struct t3d_gaussians *g, struct t3d_arena *a,
                    struct t3d_err *err)
{
    float *xyz = t3d_alloc_raw(a, 3 * g->n + 1, sizeof *xyz),
          *scale = t3d_alloc_raw(a, 3 * g->n + 1, sizeof *scale);
    double centre[3] = {0}, most = frame_of(g, 0, centre);

    if (!xyz || !scale)
        return t3d_err_nomem(err, "the Gaussians");
    if (most < 0) {
        memset(centre, 0, sizeof centre);
        most = frame_of(g, 1, centre);
    }
    if (!(most > 0) || !isfinite(most))
        return t3d_err_set(err, T3D_SKIP, "no-extent",
                           "the object has %zu Gaussians, all in one place: there is nothing to "
                           "look at",
                           g->n);
    for (size_t i = 0; i < 3 * g->n; i++) {
        xyz[i] = (float)(((double)g->xyz[i] - centre[i % 3]) / most);
        scale[i] = (float)((double)g->log_scale[i] - log(most));
    }
    *out = *g;
    out->xyz = xyz;
    out->log_scale = scale;
    return T3D_OK;
}

/* --- quality --------------------------------------------------------------------------------- */

struct looking {
    const struct t3d_t3bench_options *o;
    const struct t3d_gaussians *g;
    float *input, *row;                 /* of a batch of pictures */
    struct t3d_splat_painter **painter; /* one per thread */
    uint8_t **rgba;
    struct t3d_arena *arena;
    int viewpoints; /* looked at */
};

static void close_eyes(struct looking *l)
{
    for (int i = 0; i < l->o->threads; i++) {
        if (l->painter)
            t3d_splat_painter_free(l->painter[i]);
        if (l->rgba)
            free(l->rgba[i]);
        if (l->arena)
            t3d_arena_free(&l->arena[i]);
    }
    free(l->painter);
    free(l->rgba);
    free(l->arena);
    free(l->input);
    free(l->row);
}

static int open_eyes(struct looking *l, struct t3d_err *err)
{
    const struct t3d_encoder_info *info = t3d_encoder_info(l->o->scorer);
    size_t threads = (size_t)l->o->threads, side = (size_t)l->o->resolution,
           s = (size_t)info->image_size;
    int r = T3D_OK;

    l->painter = calloc(threads, sizeof(struct t3d_splat_painter *));
    l->rgba = calloc(threads, sizeof(uint8_t *));
    l->arena = calloc(threads, sizeof *l->arena);
    l->input = malloc(BATCH * 3 * s * s * sizeof *l->input);
    l->row = malloc(BATCH * (size_t)info->width * sizeof *l->row);
    if (!l->painter || !l->rgba || !l->arena || !l->input || !l->row)
        return t3d_err_nomem(err, "the pictures");
    for (size_t i = 0; i < threads && r == T3D_OK; i++) {
        l->rgba[i] = malloc(side * side * 4);
        r = l->rgba[i] ? t3d_splat_painter_new(&l->painter[i], l->g, l->o->resolution, 1, err)
                       : t3d_err_nomem(err, "the pictures");
    }
    return r;
}

/* Picture i of all, viewpoint after viewpoint, to input. */
static int look(struct looking *l, int thread, int i, float *input, struct t3d_err *err)
{
    const struct t3d_t3bench_sphere *s = &l->o->sphere;
    int v = i / T3D_T3BENCH_FOVS * s->n / l->viewpoints;
    uint32_t side = (uint32_t)l->o->resolution;
    struct t3d_camera c;
    int r;

    t3d_t3bench_camera(&c, s->at[v], DISTANCE, t3d_t3bench_fov[i % T3D_T3BENCH_FOVS]);
    r = t3d_splat_paint(l->painter[thread], &c, T3D_SPLAT_BLACK, l->rgba[thread], NULL, err);
    if (r == T3D_OK)
        r = t3d_encoder_picture(l->o->scorer, input, l->rgba[thread], side, side, &l->arena[thread],
                                err);
    t3d_arena_reset(&l->arena[thread]);
    return r;
}

/* Pictures [begin, begin + n) to rows. */
static int look_at_batch(struct looking *l, int begin, int n, struct t3d_err *err)
{
    size_t s = (size_t)t3d_encoder_info(l->o->scorer)->image_size;
    struct t3d_err first = {0};

#pragma omp parallel for num_threads(l->o->threads) schedule(dynamic)
    for (int i = 0; i < n; i++) {
        struct t3d_err mine = {0};

        if (look(l, omp_get_thread_num(), begin + i, l->input + (size_t)i * 3 * s * s, &mine) < 0)
#pragma omp critical
            first = mine;
    }
    if (first.code) {
        if (err)
            *err = first;
        return first.code;
    }
    return t3d_encoder_images(l->o->scorer, l->input, (size_t)n, l->row, err);
}

static int score_all(struct looking *l, const float *text, double *score, struct t3d_err *err)
{
    int width = t3d_encoder_info(l->o->scorer)->width, pictures = l->viewpoints * T3D_T3BENCH_FOVS;

    for (int begin = 0; begin < pictures; begin += BATCH) {
        int n = T3D_MIN(BATCH, pictures - begin), r = look_at_batch(l, begin, n, err);

        if (r < 0)
            return r;
        for (int i = 0; i < n; i++) {
            double cosine = 0, *best = &score[(begin + i) / T3D_T3BENCH_FOVS];

            for (int k = 0; k < width; k++)
                cosine += (double)l->row[i * width + k] * (double)text[k];
            *best = fmax(*best, cosine);
        }
        if (t3d_stop_requested())
            return T3D_END;
    }
    return T3D_OK;
}

int t3d_t3bench_quality(double *quality, const struct t3d_t3bench_options *o,
                        const struct t3d_gaussians *g, const float *text, int views,
                        struct t3d_err *err)
{
    struct looking l = {.o = o, .g = g, .viewpoints = views > 0 ? views : o->sphere.n};
    double score[T3D_T3BENCH_VIEWPOINTS];
    int r;

    for (int i = 0; i < T3D_T3BENCH_VIEWPOINTS; i++)
        score[i] = -INFINITY;
    r = open_eyes(&l, err);
    if (r == T3D_OK)
        r = score_all(&l, text, score, err);
    close_eyes(&l);
    if (r == T3D_OK && l.viewpoints == o->sphere.n)
        *quality = t3d_t3bench_smooth(&o->sphere, score);
    return r;
}

/* --- the captioner's pictures ---------------------------------------------------------------- */

static int write_picture(char sha256[65], struct t3d_png_writer *w, uint8_t *rgba, uint32_t side,
                         const char *path, struct t3d_err *err)
{
    const uint8_t *png;
    size_t size;
    int r;

    for (size_t i = 0; i < (size_t)side * side; i++) /* to RGB, in place */
        memmove(rgba + 3 * i, rgba + 4 * i, 3);
    r = t3d_png_encode(w, rgba, side, side, 3, 8, NULL, 0, &png, &size, err);
    if (r < 0)
        return r;
    t3d_sha256_hex(png, size, sha256);
    return t3d_write_file(path, png, size, err);
}

int t3d_t3bench_pictures(char sha256[T3D_T3BENCH_CAPTIONS][65], const struct t3d_t3bench_options *o,
                         const struct t3d_gaussians *g, const char *dir, struct t3d_err *err)
{
    double distance = o->reading == T3D_T3BENCH_CODED ? CODED_CAP : DISTANCE;
    uint8_t *rgba = malloc((size_t)o->resolution * (size_t)o->resolution * 4);
    struct t3d_splat_painter *painter = NULL;
    struct t3d_png_writer *writer = NULL;
    struct t3d_t3bench_sphere s;
    struct t3d_arena a = {0};
    int r = rgba && t3d_t3bench_sphere(&s, T3D_T3BENCH_CAPTIONS) == 0
                ? t3d_make_dirs(dir, err)
                : t3d_err_nomem(err, "the pictures");

    if (r == T3D_OK)
        r = t3d_splat_painter_new(&painter, g, o->resolution, o->threads, err);
    if (r == T3D_OK)
        r = t3d_png_writer_new(&writer, err);
    for (int i = 0; i < T3D_T3BENCH_CAPTIONS && r == T3D_OK; i++) {
        char *path = t3d_sprintf(&a, "%s/%02d.png", dir, i);
        struct t3d_camera c;

        t3d_t3bench_camera(&c, s.at[i], distance, CAP_FOV);
        r = path ? t3d_splat_paint(painter, &c, T3D_SPLAT_BLACK, rgba, NULL, err)
                 : t3d_err_nomem(err, "the pictures");
        if (r == T3D_OK)
            r = write_picture(sha256[i], writer, rgba, (uint32_t)o->resolution, path, err);
    }
    t3d_splat_painter_free(painter);
    t3d_png_writer_free(writer);
    t3d_arena_free(&a);
    free(rgba);
    return r;
}

/* --- questions ------------------------------------------------------------------------------- */

static cJSON *question(const char *task, const char *instruction)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_str(o, "task", task);
    t3d_json_set_str(o, "instruction", instruction);
    return o;
}

cJSON *t3d_t3bench_ask_caption(const char *path, const char *sha256)
{
    cJSON *o = question("caption", "Describe the object in this picture in one short sentence. The "
                                   "background is black and is not part of it.");

    t3d_json_set_str(o, "image", path);
    t3d_json_set_str(o, "image_sha256", sha256);
    return o;
}

cJSON *t3d_t3bench_ask_merge(const char *const *caption, int n)
{
    cJSON *o =
        question("merge", "These captions describe one 3D object from several sides. Make "
                          "one short caption of them that says what the object is. Leave out "
                          "background, surface and pose. Answer with the caption alone.");
    cJSON *list = cJSON_AddArrayToObject(o, "captions");

    for (int i = 0; i < n; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(caption[i]));
    return o;
}

cJSON *t3d_t3bench_ask_score(const char *prompt, const char *caption)
{
    cJSON *o = question(
        "score",
        "A 3D object was to be made from the prompt; the caption describes what was made. "
        "How much of what the prompt says is in the caption? What the caption has besides "
        "does not count against it; right colours and features may raise the score. "
        "Answer with a whole number from 1 (nothing) to 5 (everything) and no other word.");

    t3d_json_set_str(o, "prompt", prompt);
    t3d_json_set_str(o, "caption", caption);
    return o;
}

int t3d_t3bench_score(int *score, const char *text, struct t3d_err *err)
{
    char *end;
    double x = strtod(text, &end);

    if (end == text || end[strspn(end, " \t\r\n")] || !isfinite(x))
        return t3d_err_set(err, T3D_SKIP, "judge-prose",
                           "the judge's answer '%.80s' is not a number from 1 to 5", text);
    x = nearbyint(x);
    if (x < 1 || x > 5)
        return t3d_err_value(err, T3D_SKIP, "judge-range", x,
                             "the judge's answer %.80s is not within 1 and 5", text);
    *score = (int)x;
    return T3D_OK;
}
