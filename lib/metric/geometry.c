/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/geometry.h"

#include <math.h>

#include "base/file.h"
#include "draw/splat_surface.h"
#include "geom/read.h"
#include "store/npy.h"

const char t3d_geometry_endings[] = "glb gltf obj ply stl off splat npy";
const char t3d_frame_names[] = "none ref-bbox1 ref-diag1 ref-sphere1 ref-cube2 self-bbox1";

#define MAX_POINTS (1u << 28)

/* --- opening --- */

static float half_to_float(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    float v = exponent == 31  ? (mantissa ? NAN : INFINITY)
              : exponent == 0 ? ldexpf((float)mantissa, -24)
                              : ldexpf((float)(1024 + mantissa), exponent - 25);

    return h >> 15 ? -v : v;
}

static float npy_value(const struct t3d_npy *n, uint64_t i)
{
    const char *d = n->data;
    uint16_t half;
    double wide;
    float f;

    switch (n->type) {
    case T3D_NPY_F16:
        memcpy(&half, d + 2 * i, sizeof half);
        return half_to_float(half);
    case T3D_NPY_F64:
        memcpy(&wide, d + 8 * i, sizeof wide);
        return (float)wide;
    default:
        memcpy(&f, d + 4 * i, sizeof f);
        return f;
    }
}

static int copy_npy(struct t3d_geometry *s, const struct t3d_npy *n, const char *path,
                    struct t3d_err *err)
{
    if (n->n_axes != 2 || n->shape[1] != 3 ||
        (n->type != T3D_NPY_F32 && n->type != T3D_NPY_F16 && n->type != T3D_NPY_F64))
        return t3d_err_set(err, T3D_SKIP, "bad-npy",
                           "'%s' is no point cloud: floats of shape (n, 3) are wanted", path);
    if (n->shape[0] > MAX_POINTS)
        return t3d_err_set(err, T3D_SKIP, "too-large", "'%s' has %llu points: at most %u are read",
                           path, (unsigned long long)n->shape[0], MAX_POINTS);
    s->points.n = (uint32_t)n->shape[0];
    s->own = malloc(n->shape[0] ? n->shape[0] * sizeof *s->own : 1);
    if (!s->own)
        return t3d_err_nomem(err, path);
    for (uint64_t i = 0; i < n->count; i++)
        s->own[i / 3][i % 3] = npy_value(n, i);
    s->points.point = s->own;
    s->is_cloud = 1;
    return T3D_OK;
}

static int open_npy(struct t3d_geometry *s, const char *path, struct t3d_err *err)
{
    struct t3d_npy n;
    int r = t3d_npy_open(&n, path, err);

    if (r < 0)
        return r;
    r = copy_npy(s, &n, path, err);
    t3d_npy_close(&n);
    return r;
}

/* The surface of the Gaussians takes the place of the scene. One thread: items are many. */
static int take_surface(struct t3d_geometry *s, const char *path, struct t3d_err *err)
{
    const struct t3d_splat_surface how = {.threads = 1};
    struct t3d_material *material = t3d_alloc(&s->surface, 1, sizeof *material);
    struct t3d_draw *draw = t3d_alloc(&s->surface, 1, sizeof *draw);
    struct t3d_colored_mesh m;
    int r;

    s->gaussians = t3d_gaussians_in(s->scene.gaussian, s->scene.n_gaussians);
    if (!material || !draw)
        return t3d_err_nomem(err, path);
    r = t3d_splat_surface(&m, &s->gaussians, &how, &s->surface, err);
    if (r < 0)
        return t3d_err_prefix(err, "'%s'", path);
    *material = t3d_material_default();
    material->metallic = 0;
    *draw = (struct t3d_draw){.n_triangles = m.mesh.n_triangles,
                              .n_vertices = m.mesh.n_vertices,
                              .flags = T3D_HAS_NORMAL | T3D_HAS_COLOR};
    s->scene = (struct t3d_scene){.n_vertices = m.mesh.n_vertices,
                                  .n_triangles = m.mesh.n_triangles,
                                  .n_draws = 1,
                                  .n_materials = 1,
                                  .position = m.mesh.position,
                                  .normal = m.normal,
                                  .color = m.color,
                                  .triangle = m.mesh.triangle,
                                  .draw = draw,
                                  .material = material,
                                  .notes = s->scene.notes};
    return T3D_OK;
}

static int import(struct t3d_geometry *s, struct t3d_importer *importer, int thread,
                  const char *path, t3d_import_resolve *resolve, void *ctx, unsigned flags,
                  struct t3d_err *err)
{
    int r = t3d_import(importer, thread, path, resolve, ctx, flags, &s->imported, err);

    if (r < 0)
        return r;
    s->scene = s->imported.scene;
    if (s->scene.notes.n_non_finite)
        return t3d_err_set(err, T3D_SKIP, "non-finite",
                           "'%s': %u positions are no finite numbers: repair the file", path,
                           s->scene.notes.n_non_finite);
    if (s->scene.n_triangles == 0 && s->scene.n_gaussians > 0)
        return take_surface(s, path, err);
    if (s->scene.n_triangles == 0 && s->scene.notes.n_points > 0) {
        s->is_cloud = 1;
        s->points = (struct t3d_points){.n = s->scene.n_vertices, .point = s->scene.position};
    }
    return T3D_OK;
}

static int bound_cloud(struct t3d_geometry *s, const char *path, struct t3d_err *err)
{
    if (s->points.n == 0)
        return t3d_err_set(err, T3D_SKIP, "no-points", "'%s' has no points", path);
    for (int k = 0; k < 3; k++) {
        s->lo[k] = INFINITY;
        s->hi[k] = -INFINITY;
    }
    for (uint32_t i = 0; i < s->points.n; i++)
        for (int k = 0; k < 3; k++) {
            double v = (double)s->points.point[i][k];
            if (!isfinite(v))
                return t3d_err_set(err, T3D_SKIP, "non-finite",
                                   "'%s': point %u is not finite: repair the file", path, i);
            s->lo[k] = fmin(s->lo[k], v);
            s->hi[k] = fmax(s->hi[k], v);
        }
    return T3D_OK;
}

static void measure_point(double *most, const float p[3], const double centre[3])
{
    double d = 0;

    for (int k = 0; k < 3; k++)
        d += ((double)p[k] - centre[k]) * ((double)p[k] - centre[k]);
    *most = fmax(*most, d);
}

static void measure_radius(struct t3d_geometry *s)
{
    double centre[3], most = 0;

    for (int k = 0; k < 3; k++)
        centre[k] = .5 * (s->lo[k] + s->hi[k]);
    for (uint32_t i = 0; s->is_cloud && i < s->points.n; i++)
        measure_point(&most, s->points.point[i], centre);
    for (uint32_t i = 0; !s->is_cloud && i < 3 * s->scene.n_triangles; i++)
        measure_point(&most, s->scene.position[s->scene.triangle[i / 3][i % 3]], centre);
    s->radius = sqrt(most);
}

static int bound(struct t3d_geometry *s, const char *path, struct t3d_err *err)
{
    int r =
        s->is_cloud ? bound_cloud(s, path, err) : t3d_scene_bounds(&s->scene, s->lo, s->hi, err);

    if (r < 0)
        return s->is_cloud ? r : t3d_err_prefix(err, "'%s'", path);
    measure_radius(s);
    return T3D_OK;
}

int t3d_geometry_open_by(struct t3d_geometry *s, struct t3d_importer *importer, int thread,
                         const char *path, t3d_import_resolve *resolve, void *ctx, unsigned flags,
                         struct t3d_err *err)
{
    int r;

    *s = (struct t3d_geometry){.scale = 1};
    r = strcasecmp(t3d_path_ending(path), "npy") == 0
            ? open_npy(s, path, err)
            : import(s, importer, thread, path, resolve, ctx, flags, err);
    if (r == T3D_OK)
        r = bound(s, path, err);
    if (r < 0)
        t3d_geometry_close(s);
    return r;
}

int t3d_geometry_open(struct t3d_geometry *s, struct t3d_importer *importer, int thread,
                      const char *path, unsigned flags, struct t3d_err *err)
{
    size_t n = (size_t)(t3d_path_base(path) - path);
    char *folder = n ? strndup(path, n) : strdup(".");
    int r = folder ? t3d_geometry_open_by(s, importer, thread, path, t3d_import_resolve_folder,
                                          folder, flags, err)
                   : t3d_err_nomem(err, path);

    free(folder);
    return r;
}

void t3d_geometry_close(struct t3d_geometry *s)
{
    if (s->imported.map)
        t3d_imported_close(&s->imported);
    t3d_arena_free(&s->surface);
    free(s->own);
    *s = (struct t3d_geometry){0};
}

/* --- frames --- */

int t3d_frame_find(const char *name)
{
    static const char *const names[] = {"none",        "ref-bbox1", "ref-diag1",
                                        "ref-sphere1", "ref-cube2", "self-bbox1"};

    for (size_t i = 0; i < T3D_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (int)i;
    return -1;
}

static double longest_edge(const struct t3d_geometry *s)
{
    return fmax(fmax(s->hi[0] - s->lo[0], s->hi[1] - s->lo[1]), s->hi[2] - s->lo[2]);
}

static double diagonal(const struct t3d_geometry *s)
{
    return sqrt((s->hi[0] - s->lo[0]) * (s->hi[0] - s->lo[0]) +
                (s->hi[1] - s->lo[1]) * (s->hi[1] - s->lo[1]) +
                (s->hi[2] - s->lo[2]) * (s->hi[2] - s->lo[2]));
}

static int check_extent(double length, const char *which, struct t3d_err *err)
{
    if (length > 0 && isfinite(length))
        return T3D_OK;
    return t3d_err_set(err, T3D_SKIP, "no-extent",
                       "the %s has no extent to normalise by: use --normalize none", which);
}

/* Centre of the box to the origin, length to 1: a copy of the positions. */
static int move_to_unit(struct t3d_geometry *s, double length, const char *which,
                        struct t3d_err *err)
{
    uint32_t n = s->is_cloud ? s->points.n : s->scene.n_vertices;
    float(*from)[3] = s->is_cloud ? s->points.point : s->scene.position;
    double centre[3];
    float(*to)[3];
    int r = check_extent(length, which, err);

    if (r < 0)
        return r;
    to = malloc(n * sizeof *to);
    if (!to)
        return t3d_err_nomem(err, which);
    for (int k = 0; k < 3; k++)
        centre[k] = .5 * (s->lo[k] + s->hi[k]);
    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            to[i][k] = (float)(((double)from[i][k] - centre[k]) / length);
    for (int k = 0; k < 3; k++) {
        s->lo[k] = (s->lo[k] - centre[k]) / length;
        s->hi[k] = (s->hi[k] - centre[k]) / length;
        s->centre[k] += centre[k] / s->scale;
    }
    s->radius /= length;
    s->scale /= length;
    free(s->own);
    s->own = to;
    if (s->is_cloud)
        s->points.point = to;
    else
        s->scene.position = to;
    return T3D_OK;
}

int t3d_geometry_normalise(struct t3d_geometry *s, struct t3d_err *err)
{
    return move_to_unit(s, s->radius, "reference", err);
}

int t3d_frame_apply(enum t3d_frame_kind kind, struct t3d_geometry *pred, struct t3d_geometry *ref,
                    double *scale, double *edge, struct t3d_err *err)
{
    double length = kind == T3D_FRAME_REF_DIAG1     ? diagonal(ref)
                    : kind == T3D_FRAME_REF_SPHERE1 ? ref->radius
                    : kind == T3D_FRAME_REF_CUBE2   ? .5 * longest_edge(ref)
                                                    : longest_edge(ref);
    int r = kind == T3D_FRAME_NONE ? T3D_OK : check_extent(length, "reference", err);

    *scale = kind == T3D_FRAME_NONE ? 1 : 1 / length;
    *edge = longest_edge(ref) * *scale;
    if (r == T3D_OK && kind == T3D_FRAME_SELF_BBOX1) {
        r = move_to_unit(pred, longest_edge(pred), "prediction", err);
        if (r == T3D_OK)
            r = move_to_unit(ref, longest_edge(ref), "reference", err);
        *scale = *edge = 1;
    }
    return r;
}
