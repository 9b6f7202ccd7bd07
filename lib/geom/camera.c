/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/camera.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"

enum { MAX_VIEWS = 1024, MAX_FILE = 16 << 20 };

#define RADIANS 0.017453292519943295

/* Sine of degrees, exact at multiples of 90, so that the axis-aligned views have no 6e-17 in them.
 */
static double sin_deg(double deg)
{
    double r = remainder(deg, 360.0); /* exact; [-180, 180] */

    if (r > 90)
        r = 180 - r;
    else if (r < -90)
        r = -180 - r;
    if (fabs(r) == 90)
        return r > 0 ? 1 : -1;
    return sin(r * RADIANS);
}

static double cos_deg(double deg)
{
    return sin_deg(90 - fabs(remainder(deg, 360.0)));
}

/* The rigid inverse of c2w, with the camera's y and z axes turned: OpenCV's w2c. */
static void invert(struct t3d_camera *c)
{
    static const double turn[3] = {1, -1, -1};

    memset(c->w2c, 0, sizeof c->w2c);
    for (int i = 0; i < 3; i++) {
        double t = 0;
        for (int j = 0; j < 3; j++) {
            c->w2c[i][j] = turn[i] * c->c2w[j][i] + 0.0; /* + 0: no negative zero in files */
            t += c->w2c[i][j] * c->c2w[j][3];
        }
        c->w2c[i][3] = 0.0 - t;
    }
    c->w2c[3][3] = 1;
}

/* The depth of the origin, give or take the bounding sphere and a little. */
static void set_range(struct t3d_camera *c)
{
    c->near = fmax(c->w2c[2][3] - 1.01, 0.01);
    c->far = c->w2c[2][3] + 1.01;
}

void t3d_camera_place(struct t3d_camera *c)
{
    double sa = sin_deg(c->azimuth_deg), ca = cos_deg(c->azimuth_deg);
    double se = sin_deg(c->elevation_deg), ce = cos_deg(c->elevation_deg);
    double axis[3][3] = {
        {ca, 0, -sa}, {-se * sa, ce, -se * ca}, {ce * sa, se, ce * ca}}; /* right, up, back */

    memset(c->c2w, 0, sizeof c->c2w);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            c->c2w[i][j] = axis[j][i] + 0.0;
        c->c2w[i][3] = axis[2][i] * c->distance + 0.0;
    }
    c->c2w[3][3] = 1;
    invert(c);
    c->w2c[0][3] = c->w2c[1][3] = 0; /* by construction */
    c->w2c[2][3] = c->distance;
    set_range(c);
}

static double focal(double fov_deg, uint32_t resolution)
{
    return resolution / (2 * tan(fov_deg * RADIANS / 2));
}

void t3d_camera_intrinsics(const struct t3d_camera *c, uint32_t resolution, double k[3][3])
{
    double f = focal(c->fov_deg, resolution), centre = resolution / 2.0;
    double m[3][3] = {{f, 0, centre}, {0, f, centre}, {0, 0, 1}};

    memcpy(k, m, sizeof m);
}

void t3d_view_name(const struct t3d_view_set *v, size_t i, char name[T3D_VIEW_NAME_SIZE])
{
    int digits = v->n <= 100 ? 2 : v->n <= 1000 ? 3 : 4;

    snprintf(name, T3D_VIEW_NAME_SIZE, "v%0*u", digits, (unsigned)(i % 10000));
}

/* --- the built-in sets ------------------------------------------------------------------------ */

static int make_views(struct t3d_view_set *v, size_t n, struct t3d_arena *a, struct t3d_err *err)
{
    v->camera = t3d_alloc(a, n, sizeof *v->camera);
    if (!v->camera)
        return t3d_err_nomem(err, "the cameras of a view set");
    v->n = n;
    return T3D_OK;
}

static void place(struct t3d_camera *c, double azimuth, double elevation)
{
    c->azimuth_deg = azimuth;
    c->elevation_deg = elevation;
    c->distance = T3D_DEFAULT_DISTANCE;
    c->fov_deg = T3D_DEFAULT_FOV_DEG;
    t3d_camera_place(c);
}

static void place_ring(struct t3d_view_set *v, size_t n, double elevation)
{
    for (size_t i = 0; i < n; i++)
        place(&v->camera[i], 360.0 * (double)i / (double)n, elevation);
}

/* Hammersley's points ((i + 1/2) / n, radical inverse of i in base 2) laid on the sphere by equal
 * areas; Wong, Luk and Heng, "Sampling with Hammersley and Halton Points", J. Graphics Tools 2(2),
 * 1997. */
static void place_hammersley(struct t3d_view_set *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double inverse = 0, digit = 0.5;
        for (size_t k = i; k; k >>= 1, digit /= 2)
            inverse += (double)(k & 1) * digit;
        place(&v->camera[i], 360 * inverse, asin(1 - (2.0 * (double)i + 1) / (double)n) / RADIANS);
    }
}

/* "N" or "N:ELEVATION" behind the colon of name. elevation NULL: only "N". */
static int parse_counted(const char *name, size_t *n, double *elevation, struct t3d_err *err)
{
    const char *s = strchr(name, ':') + 1;
    char *end;
    unsigned long k = *s >= '0' && *s <= '9' ? strtoul(s, &end, 10) : 0;

    if (k < 1 || k > MAX_VIEWS)
        return t3d_err_set(err, T3D_USAGE, "bad-view-set",
                           "view set '%s': the number of views must be 1 to %d", name, MAX_VIEWS);
    if (*end == ':' && elevation && end[1]) {
        *elevation = strtod(end + 1, &end);
        if (*end == 0 && !(fabs(*elevation) <= 90))
            return t3d_err_set(err, T3D_USAGE, "bad-view-set",
                               "view set '%s': the elevation must be -90 to 90 degrees", name);
    }
    if (*end)
        return t3d_err_set(err, T3D_USAGE, "bad-view-set", "view set '%s': expected %s", name,
                           elevation ? "ring:N or ring:N:ELEVATION" : "hammersley:N");
    *n = k;
    return T3D_OK;
}

static int load_default(struct t3d_view_set *v, struct t3d_arena *a, struct t3d_err *err)
{
    static const double extra[4][2] = {{45, 60}, {225, 60}, {135, -20}, {315, -20}};
    int r = make_views(v, 20, a, err);

    if (r < 0)
        return r;
    place_ring(v, 16, 20);
    for (int i = 0; i < 4; i++)
        place(&v->camera[16 + i], extra[i][0], extra[i][1]);
    return T3D_OK;
}

static int load_counted(struct t3d_view_set *v, const char *name, int ring, struct t3d_arena *a,
                        struct t3d_err *err)
{
    double elevation = 20;
    size_t n = 0;
    int r = parse_counted(name, &n, ring ? &elevation : NULL, err);

    if (r == T3D_OK)
        r = make_views(v, n, a, err);
    if (r < 0)
        return r;
    if (ring)
        place_ring(v, n, elevation);
    else
        place_hammersley(v, n);
    return T3D_OK;
}

/* --- sets from a file ------------------------------------------------------------------------- */

/* Where in the file a value stands, for messages. */
struct where {
    const char *path;
    int view; /* -1: the file's top level */
};

static int bad(struct t3d_err *err, const struct where *w, const char *field, const char *must)
{
    if (w->view < 0)
        return t3d_err_set(err, T3D_USAGE, "bad-view-set", "view set '%s': %s must be %s", w->path,
                           field, must);
    return t3d_err_set(err, T3D_USAGE, "bad-view-set", "view set '%s': views[%d].%s must be %s",
                       w->path, w->view, field, must);
}

/* An optional number lo <= x <= hi; *value is left alone when the member is absent. */
static int read_number(double *value, const cJSON *o, const char *field, double lo, double hi,
                       const struct where *w, struct t3d_err *err)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, field);
    char must[64];

    if (!m)
        return T3D_OK;
    if (!cJSON_IsNumber(m) || !(m->valuedouble >= lo && m->valuedouble <= hi)) {
        snprintf(must, sizeof must, "a number from %g to %g", lo, hi);
        return bad(err, w, field, must);
    }
    *value = m->valuedouble;
    return T3D_OK;
}

static double dot(const double m[4][4], int i, int j)
{
    return m[0][i] * m[0][j] + m[1][i] * m[1][j] + m[2][i] * m[2][j];
}

/* Gram and Schmidt over the columns: files carry rounded numbers. */
static void orthonormalise(double m[4][4])
{
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < i; j++) {
            double d = dot(m, i, j);
            for (int k = 0; k < 3; k++)
                m[k][i] -= d * m[k][j];
        }
        double length = sqrt(dot(m, i, i));
        for (int k = 0; k < 3; k++)
            m[k][i] /= length;
    }
}

static int is_rigid(const double m[4][4])
{
    double det = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                 m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                 m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);

    for (int i = 0; i < 3; i++)
        for (int j = 0; j <= i; j++)
            if (!(fabs(dot(m, i, j) - (i == j)) < 1e-3))
                return 0;
    return det > 0 && m[3][0] == 0 && m[3][1] == 0 && m[3][2] == 0 && m[3][3] == 1;
}

static int read_c2w(struct t3d_camera *c, const cJSON *list, const struct where *w,
                    struct t3d_err *err)
{
    const cJSON *m;
    double *x = &c->c2w[0][0], d;
    int n = 0;

    cJSON_ArrayForEach (m, list) {
        if (n == 16 || !cJSON_IsNumber(m) || !isfinite(m->valuedouble))
            return bad(err, w, "c2w", "16 finite numbers, row by row");
        x[n++] = m->valuedouble;
    }
    if (n != 16)
        return bad(err, w, "c2w", "16 finite numbers, row by row");
    if (!is_rigid(c->c2w))
        return bad(err, w, "c2w", "a rotation and a translation without scale or mirror");
    orthonormalise(c->c2w);
    invert(c);
    d = sqrt(dot(c->c2w, 3, 3));
    if (!(d > 0 && d <= 1e6) || c->w2c[2][3] <= -1)
        return bad(err, w, "c2w", "a camera in front of the object, not at its centre");
    c->distance = d;
    c->azimuth_deg = atan2(c->c2w[0][3], c->c2w[2][3]) / RADIANS;
    if (c->azimuth_deg < 0)
        c->azimuth_deg += 360;
    c->elevation_deg = asin(T3D_CLAMP(c->c2w[1][3] / d, -1, 1)) / RADIANS;
    set_range(c);
    return T3D_OK;
}

static int read_view(struct t3d_camera *c, const cJSON *o, const struct where *w,
                     struct t3d_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "c2w");
    int r;

    if (!cJSON_IsObject(o))
        return bad(err, w, "(itself)", "an object");
    r = read_number(&c->fov_deg, o, "fov", 0.1, 170, w, err);
    if (r == T3D_OK && list)
        return read_c2w(c, list, w, err);
    if (r == T3D_OK)
        r = read_number(&c->distance, o, "distance", 1e-3, 1e6, w, err);
    c->azimuth_deg = c->elevation_deg = NAN;
    if (r == T3D_OK)
        r = read_number(&c->azimuth_deg, o, "azimuth", -1e6, 1e6, w, err);
    if (r == T3D_OK)
        r = read_number(&c->elevation_deg, o, "elevation", -90, 90, w, err);
    if (r < 0)
        return r;
    if (isnan(c->azimuth_deg))
        return bad(err, w, "azimuth", "given (or c2w)");
    if (isnan(c->elevation_deg))
        return bad(err, w, "elevation", "given (or c2w)");
    t3d_camera_place(c);
    return T3D_OK;
}

/* The set's name becomes part of a folder's name. */
static int name_is_good(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n < 64 && s[0] != '.' && strcmp(s, "ring16+4") != 0 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") == n;
}

static int read_name(struct t3d_view_set *v, const cJSON *file, const struct where *w,
                     struct t3d_err *err)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(file, "name");
    const char *s = name ? cJSON_GetStringValue(name) : t3d_path_base(w->path);
    const char *ending = name ? "" : t3d_path_ending(w->path);
    size_t n = s ? strlen(s) - strlen(ending) - (*ending != 0) : 0;

    if (n < sizeof v->name && s) {
        memcpy(v->name, s, n);
        v->name[n] = 0;
    }
    if (!name_is_good(v->name))
        return bad(err, w, name ? "name" : "the file's name (or a member \"name\")",
                   "1 to 63 of [A-Za-z0-9._+-], not led by '.' and not \"ring16+4\"");
    return T3D_OK;
}

static int read_views(struct t3d_view_set *v, const cJSON *file, struct where *w,
                      struct t3d_arena *a, struct t3d_err *err)
{
    const cJSON *views = cJSON_GetObjectItemCaseSensitive(file, "views"), *o;
    double fov = T3D_DEFAULT_FOV_DEG, distance = T3D_DEFAULT_DISTANCE;
    int n = cJSON_IsArray(views) ? cJSON_GetArraySize(views) : 0, r;

    if (!cJSON_IsObject(file))
        return bad(err, w, "it", "a JSON object with a list \"views\"");
    if (n < 1 || n > MAX_VIEWS)
        return bad(err, w, "views", "a list of 1 to 1024 views");
    r = read_name(v, file, w, err);
    if (r == T3D_OK)
        r = read_number(&fov, file, "fov", 0.1, 170, w, err);
    if (r == T3D_OK)
        r = read_number(&distance, file, "distance", 1e-3, 1e6, w, err);
    if (r == T3D_OK)
        r = make_views(v, (size_t)n, a, err);
    if (r < 0)
        return r;
    cJSON_ArrayForEach (o, views) {
        struct t3d_camera *c = &v->camera[++w->view];
        c->fov_deg = fov;
        c->distance = distance;
        r = read_view(c, o, w, err);
        if (r < 0)
            return r;
    }
    return T3D_OK;
}

static int load_file(struct t3d_view_set *v, const char *path, struct t3d_arena *a,
                     struct t3d_err *err)
{
    struct where w = {.path = path, .view = -1};
    struct t3d_blob b;
    const char *end = NULL;
    cJSON *file;
    int r = t3d_blob_open(&b, path, MAX_FILE, err);

    if (r < 0)
        return t3d_err_set(err, T3D_USAGE, "unknown-view-set",
                           "view set '%.200s' is not ring16+4, ring:N[:ELEVATION] or hammersley:N, "
                           "and not a readable JSON file",
                           path);
    file = cJSON_ParseWithLengthOpts((const char *)b.data, b.size, &end, 0);
    if (!file)
        r = t3d_err_set(err, T3D_USAGE, "not-json", "view set '%s' is not JSON near byte %zu", path,
                        end ? (size_t)(end - (const char *)b.data) : 0);
    t3d_blob_close(&b);
    if (file)
        r = read_views(v, file, &w, a, err);
    cJSON_Delete(file);
    return r;
}

int t3d_view_set_load(struct t3d_view_set *v, const char *name_or_path, struct t3d_arena *a,
                      struct t3d_err *err)
{
    int ring = strncmp(name_or_path, "ring:", 5) == 0;
    int hammersley = strncmp(name_or_path, "hammersley:", 11) == 0;

    memset(v, 0, sizeof *v);
    if (strcmp(name_or_path, "ring16+4") == 0 || ring || hammersley) {
        if (strlen(name_or_path) >= sizeof v->name)
            return t3d_err_set(err, T3D_USAGE, "bad-view-set", "view set '%.80s...' is too long",
                               name_or_path);
        memcpy(v->name, name_or_path, strlen(name_or_path) + 1);
        return ring || hammersley ? load_counted(v, name_or_path, ring, a, err)
                                  : load_default(v, a, err);
    }
    return load_file(v, name_or_path, a, err);
}
