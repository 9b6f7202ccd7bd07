/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/pair.h"

#include <math.h>

#include "base/json.h"
#include "geom/facets.h"
#include "geom/surface.h"
#include "metric/emd.h"
#include "metric/iou.h"

enum { STREAM_PRED = 1, STREAM_REF = 2 };

/* One side as points: a cloud's own, or a sample of the mesh. */
struct sample {
    struct t3d_points points;
    float (*point)[3], (*normal)[3]; /* owned */
    double area;                     /* of a mesh, in the file's units; 0 for a cloud */
};

struct pair {
    const struct t3d_pair_options *o;
    const char *uid;
    struct t3d_geometry *pred, *ref;
    struct sample sample_pred, sample_ref;
    double scale, edge;
};

static void free_sample(struct sample *s)
{
    free(s->point);
    free(s->normal);
    *s = (struct sample){0};
}

static int sample_mesh(struct sample *s, const struct pair *p, const struct t3d_geometry *shape,
                       uint64_t stream, struct t3d_err *err)
{
    uint32_t n = p->o->n_points, *triangle = malloc(n * sizeof *triangle);
    struct t3d_surface *f = NULL;
    int r = t3d_surface_new(&f, &shape->scene, err);

    s->point = malloc(n * sizeof *s->point);
    s->normal = malloc(n * sizeof *s->normal);
    if (r == T3D_OK && (!s->point || !s->normal || !triangle))
        r = t3d_err_nomem(err, "the samples of a surface");
    if (r == T3D_OK) {
        s->area = t3d_surface_area(f);
        t3d_surface_sample(f, p->o->seed, p->uid, stream, 0, n, s->point, triangle, p->o->threads);
        for (uint32_t i = 0; i < n; i++)
            t3d_triangle_normal(&shape->scene, triangle[i], s->normal[i]);
        s->points = (struct t3d_points){n, s->point, s->normal};
    }
    t3d_surface_free(f);
    free(triangle);
    return r;
}

static int take_points(struct sample *s, const struct pair *p, const struct t3d_geometry *shape,
                       uint64_t stream, struct t3d_err *err)
{
    if (!shape->is_cloud)
        return sample_mesh(s, p, shape, stream, err);
    s->points = shape->points;
    return T3D_OK;
}

/* "n100000", "points" for clouds as given, or both. */
static void describe_points(const struct pair *p, char *out, size_t size)
{
    char n[24];

    snprintf(n, sizeof n, "n%u", p->o->n_points);
    snprintf(out, size, "%s", p->pred->is_cloud && p->ref->is_cloud ? "points" : n);
    if (p->pred->is_cloud != p->ref->is_cloud)
        snprintf(out, size, "%s-points", n);
}

static void put(struct t3d_pair_result *out, int i, double value, const struct pair *p,
                const char *points)
{
    const struct t3d_metric *m = &t3d_metrics[i];

    if (isnan(value))
        return;
    out->value[i] = value;
    snprintf(out->id[i], sizeof out->id[i], "%s:%s:%s%s%s%s", m->family, m->dialect,
             p->o->frame_name, points ? ":" : "", points ? points : "",
             (p->pred->gaussians.n || p->ref->gaussians.n) && m->kind != T3D_METRIC_CENTRES
                 ? T3D_METRIC_FROM_SPLATS
                 : "");
}

static int points_metrics(struct t3d_pair_result *out, const struct pair *p, struct t3d_err *err)
{
    const struct t3d_distance_options o = {p->scale, p->edge, p->o->threads};
    struct t3d_distances d;
    char points[32];
    int r = t3d_distances(&d, &p->sample_pred.points, &p->sample_ref.points, &o, err);

    if (r < 0)
        return r;
    describe_points(p, points, sizeof points);
    for (int i = 0; i < t3d_n_metrics; i++) {
        if (!p->o->choice.on[i] || t3d_metrics[i].kind != T3D_METRIC_POINTS)
            continue;
        put(out, i, t3d_metric_of_points(&t3d_metrics[i], &d), p, points);
        if (p->sample_pred.area > 0 && p->sample_ref.area > 0 && out->id[i][0])
            out->floor[i] = t3d_metric_floor(
                &t3d_metrics[i],
                p->sample_ref.points.n / (p->sample_ref.area * p->scale * p->scale), p->edge);
    }
    return T3D_OK;
}

static double mean_distance(const struct t3d_nearest *from, const struct t3d_nearest *to,
                            float *distance, int threads)
{
    uint32_t n = t3d_nearest_count(from);
    double sum = 0;

    t3d_nearest_manhattan(from, to, distance, threads);
    for (uint32_t i = 0; i < n; i++)
        sum += (double)distance[i];
    return sum / n;
}

/* The sum of both ways' means of |dx| + |dy| + |dz|: pytorch3d's chamfer_distance with norm=1. */
static int manhattan_metrics(struct t3d_pair_result *out, const struct pair *p, struct t3d_err *err)
{
    const struct t3d_points *a = &p->sample_pred.points, *b = &p->sample_ref.points;
    float *distance = malloc(T3D_MAX(T3D_MAX(a->n, b->n), 1u) * sizeof *distance);
    struct t3d_nearest *ta = NULL, *tb = NULL;
    char points[32];
    int r = distance ? T3D_OK : t3d_err_nomem(err, "distances"), threads = p->o->threads;

    if (r == T3D_OK)
        r = t3d_nearest_new(&ta, (const float(*)[3])a->point, a->n, threads, err);
    if (r == T3D_OK)
        r = t3d_nearest_new(&tb, (const float(*)[3])b->point, b->n, threads, err);
    describe_points(p, points, sizeof points);
    for (int i = 0; r == T3D_OK && i < t3d_n_metrics; i++)
        if (p->o->choice.on[i] && t3d_metrics[i].kind == T3D_METRIC_MANHATTAN)
            put(out, i,
                (mean_distance(ta, tb, distance, threads) +
                 mean_distance(tb, ta, distance, threads)) *
                    p->scale,
                p, points);
    t3d_nearest_free(ta);
    t3d_nearest_free(tb);
    free(distance);
    return r;
}

/* From the samples of `from` to the triangles of `to`. */
static int one_way(struct t3d_one_way *w, const struct pair *p, const struct sample *from,
                   const struct t3d_geometry *to, struct t3d_err *err)
{
    const struct t3d_distance_options o = {p->scale, p->edge, p->o->threads};
    float *distance = malloc(from->points.n * sizeof *distance);
    struct t3d_facets *f = NULL;
    struct t3d_nearest *t = NULL;
    int r = distance ? T3D_OK : t3d_err_nomem(err, "distances");

    if (r == T3D_OK)
        r = t3d_facets_new(&f, &to->scene, o.threads, err);
    if (r == T3D_OK)
        r = t3d_nearest_new(&t, (const float(*)[3])from->points.point, from->points.n, o.threads,
                            err);
    if (r == T3D_OK) {
        t3d_facets_between(t, f, distance, NULL, o.threads);
        r = t3d_one_way_sum(w, distance, from->points.n, &o, err);
    }
    t3d_nearest_free(t);
    t3d_facets_free(f);
    free(distance);
    return r;
}

/* Without sampling noise: what two samplings of one surface score is 0, or all. */
static int surface_metrics(struct t3d_pair_result *out, const struct pair *p, struct t3d_err *err)
{
    struct t3d_distances d = {.edge = p->edge, .f_auc = NAN};
    char points[32];
    int r;

    if (p->pred->is_cloud || p->ref->is_cloud)
        return T3D_OK;
    r = one_way(&d.pred, p, &p->sample_pred, p->ref, err);
    if (r == T3D_OK)
        r = one_way(&d.ref, p, &p->sample_ref, p->pred, err);
    describe_points(p, points, sizeof points);
    for (int i = 0; r == T3D_OK && i < t3d_n_metrics; i++)
        if (p->o->choice.on[i] && t3d_metrics[i].kind == T3D_METRIC_SURFACE)
            put(out, i, t3d_metric_of_points(&t3d_metrics[i], &d), p, points);
    return r;
}

/* The centres of all Gaussians of a file of splats, moved as its surface was; else the sample. */
static int take_centres(struct t3d_points *out, float (**own)[3], const struct t3d_geometry *shape,
                        const struct sample *sample, struct t3d_err *err)
{
    size_t n = shape->gaussians.n;

    *out = sample->points;
    if (n == 0)
        return T3D_OK;
    *own = malloc(n * sizeof **own);
    if (!*own)
        return t3d_err_nomem(err, "the centres of splats");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++)
            (*own)[i][k] = (float)(((double)shape->gaussians.xyz[3 * i + k] - shape->centre[k]) *
                                   shape->scale);
    *out = (struct t3d_points){.n = (uint32_t)n, .point = *own};
    return T3D_OK;
}

static int centres_metrics(struct t3d_pair_result *out, const struct pair *p, struct t3d_err *err)
{
    const struct t3d_distance_options o = {p->scale, p->edge, p->o->threads};
    int splats = (p->pred->gaussians.n > 0) + (p->ref->gaussians.n > 0), r;
    float(*own[2])[3] = {NULL, NULL};
    struct t3d_points pred, ref;
    struct t3d_distances d;
    char points[32];

    if (!splats)
        return T3D_OK;
    snprintf(points, sizeof points, splats == 2 ? "points" : "n%u-points", p->o->n_points);
    r = take_centres(&pred, &own[0], p->pred, &p->sample_pred, err);
    if (r == T3D_OK)
        r = take_centres(&ref, &own[1], p->ref, &p->sample_ref, err);
    if (r == T3D_OK)
        r = t3d_distances(&d, &pred, &ref, &o, err);
    for (int i = 0; r == T3D_OK && i < t3d_n_metrics; i++)
        if (p->o->choice.on[i] && t3d_metrics[i].kind == T3D_METRIC_CENTRES)
            put(out, i, t3d_metric_of_points(&t3d_metrics[i], &d), p, points);
    free(own[0]);
    free(own[1]);
    return r;
}

/* The first points of both streams; of clouds all, when there are as many in both. 0 = no emd. */
static uint32_t emd_count(const struct pair *p)
{
    uint32_t a = p->sample_pred.points.n, b = p->sample_ref.points.n;

    if (p->pred->is_cloud && p->ref->is_cloud)
        return a == b && a <= T3D_MAX_EMD_POINTS ? a : 0;
    if (p->pred->is_cloud || p->ref->is_cloud) {
        uint32_t n = p->pred->is_cloud ? a : b;
        return n <= T3D_MIN(T3D_MAX_EMD_POINTS, p->o->n_points) ? n : 0;
    }
    return p->o->n_emd_points;
}

/* Of a mesh beside a mesh: what emd says of two samplings of the reference, its noise floor. The
 * second one is the next points of the reference's own stream. */
static void emd_floor(struct t3d_pair_result *out, const struct pair *p, int row, uint32_t n)
{
    const struct t3d_points *s = &p->sample_ref.points;
    int squared = t3d_metrics[row].what == T3D_EMD_SQUARED;
    struct t3d_err ignored;
    struct t3d_emd e;

    if (p->pred->is_cloud || p->ref->is_cloud || s->n < 2 * n || !p->o->emd_floor)
        return;
    if (t3d_emd(&e, (const float(*)[3])s->point, (const float(*)[3])(s->point + n), n, squared,
                NULL, &ignored) == T3D_OK)
        out->floor[row] = e.value * (squared ? p->scale * p->scale : p->scale);
}

/* Both dialects, each by a thread of its own when there are two. */
static int emd_metrics(struct t3d_pair_result *out, const struct pair *p, struct t3d_err *err)
{
    uint32_t n = emd_count(p);
    struct t3d_emd e[T3D_METRICS_MAX];
    struct t3d_err why[T3D_METRICS_MAX];
    int row[T3D_METRICS_MAX], r[T3D_METRICS_MAX], n_rows = 0;
    char points[32];

    for (int i = 0; i < t3d_n_metrics && n; i++)
        if (p->o->choice.on[i] && t3d_metrics[i].kind == T3D_METRIC_EMD)
            row[n_rows++] = i;
#pragma omp parallel for num_threads(p->o->threads) schedule(dynamic)
    for (int k = 0; k < n_rows; k++) {
        r[k] = t3d_emd(&e[k], (const float(*)[3])p->sample_pred.points.point,
                       (const float(*)[3])p->sample_ref.points.point, n,
                       t3d_metrics[row[k]].what == T3D_EMD_SQUARED, NULL, &why[k]);
        emd_floor(out, p, row[k], n);
    }
    snprintf(points, sizeof points, p->pred->is_cloud && p->ref->is_cloud ? "points" : "n%u", n);
    for (int k = 0; k < n_rows; k++) {
        double unit = t3d_metrics[row[k]].what == T3D_EMD_SQUARED ? p->scale * p->scale : p->scale;
        if (r[k] < 0) {
            *err = why[k];
            return r[k];
        }
        put(out, row[k], e[k].value * unit, p, points);
        if (!e[k].exact)
            snprintf(out->note[row[k]], sizeof out->note[row[k]], "at least %.6g",
                     e[k].bound * unit);
    }
    return T3D_OK;
}

static int volume_metrics(struct t3d_pair_result *out, const struct pair *p, struct t3d_err *err)
{
    struct t3d_iou iou;
    int r;

    if (p->pred->is_cloud || p->ref->is_cloud)
        return T3D_OK;
    r = t3d_iou(&iou, p->pred, p->ref, p->o->threads, err);
    for (int i = 0; r == T3D_OK && i < t3d_n_metrics; i++)
        if (p->o->choice.on[i] && t3d_metrics[i].kind == T3D_METRIC_VOLUME) {
            put(out, i, iou.value, p, NULL);
            if (iou.pred_open || iou.ref_open)
                snprintf(out->note[i], sizeof out->note[i], "winding number: %s",
                         !iou.ref_open    ? "prediction"
                         : !iou.pred_open ? "reference"
                                          : "both");
        }
    return r;
}

static int needs_points(const struct t3d_metric_choice *c)
{
    return t3d_metrics_need(c, T3D_METRIC_POINTS) || t3d_metrics_need(c, T3D_METRIC_SURFACE) ||
           t3d_metrics_need(c, T3D_METRIC_MANHATTAN) || t3d_metrics_need(c, T3D_METRIC_CENTRES) ||
           t3d_metrics_need(c, T3D_METRIC_EMD);
}

static int measure(struct t3d_pair_result *out, struct pair *p, struct t3d_err *err)
{
    int r = t3d_frame_apply(p->o->frame, p->pred, p->ref, &p->scale, &p->edge, err);
    int samples = needs_points(&p->o->choice);

    if (r == T3D_OK && samples)
        r = take_points(&p->sample_pred, p, p->pred, STREAM_PRED, err);
    if (r == T3D_OK && samples)
        r = take_points(&p->sample_ref, p, p->ref, STREAM_REF, err);
    if (r == T3D_OK && t3d_metrics_need(&p->o->choice, T3D_METRIC_POINTS))
        r = points_metrics(out, p, err);
    if (r == T3D_OK && t3d_metrics_need(&p->o->choice, T3D_METRIC_MANHATTAN))
        r = manhattan_metrics(out, p, err);
    if (r == T3D_OK && t3d_metrics_need(&p->o->choice, T3D_METRIC_SURFACE))
        r = surface_metrics(out, p, err);
    if (r == T3D_OK && t3d_metrics_need(&p->o->choice, T3D_METRIC_CENTRES))
        r = centres_metrics(out, p, err);
    if (r == T3D_OK && t3d_metrics_need(&p->o->choice, T3D_METRIC_EMD))
        r = emd_metrics(out, p, err);
    if (r == T3D_OK && t3d_metrics_need(&p->o->choice, T3D_METRIC_VOLUME))
        r = volume_metrics(out, p, err);
    return r;
}

void t3d_pair_clear(struct t3d_pair_result *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < T3D_METRICS_MAX; i++)
        out->value[i] = out->floor[i] = NAN;
}

int t3d_pair_shapes(struct t3d_pair_result *out, const struct t3d_pair_options *o, const char *uid,
                    struct t3d_geometry *pred, struct t3d_geometry *ref, struct t3d_err *err)
{
    struct pair p = {.o = o, .uid = uid, .pred = pred, .ref = ref};
    int r;

    t3d_pair_clear(out);
    r = measure(out, &p, err);
    free_sample(&p.sample_pred);
    free_sample(&p.sample_ref);
    return r;
}

cJSON *t3d_pair_json(const struct t3d_pair_result *res)
{
    cJSON *o = cJSON_CreateObject(), *metrics = cJSON_AddObjectToObject(o, "metrics"), *floors,
          *notes;

    floors = cJSON_CreateObject();
    notes = cJSON_CreateObject();
    for (int i = 0; i < t3d_n_metrics; i++) {
        if (!res->id[i][0])
            continue;
        if (!isnan(res->value[i])) /* else there is a note that says why */
            t3d_json_set_num(metrics, res->id[i], res->value[i]);
        if (isfinite(res->floor[i]))
            t3d_json_set_num(floors, res->id[i], res->floor[i]);
        if (res->note[i][0])
            t3d_json_set_str(notes, res->id[i], res->note[i]);
    }
    t3d_json_set(o, floors->child ? "floors" : "", floors);
    t3d_json_set(o, notes->child ? "notes" : "", notes);
    cJSON_DeleteItemFromObjectCaseSensitive(o, "");
    return o;
}
