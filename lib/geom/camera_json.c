/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/camera.h"

#include <math.h>
#include <string.h>

/* Building stops adding once memory is out; the whole object is then dropped. */
struct build {
    int failed;
};

static void add(struct build *b, cJSON *o, const char *key, cJSON *value)
{
    if (value && cJSON_AddItemToObject(o, key, value))
        return;
    cJSON_Delete(value);
    b->failed = 1;
}

static void add_number(struct build *b, cJSON *o, const char *key, double v)
{
    add(b, o, key, cJSON_CreateNumber(v));
}

static void add_string(struct build *b, cJSON *o, const char *key, const char *s)
{
    add(b, o, key, cJSON_CreateString(s));
}

static cJSON *matrix(struct build *b, const double *m, int rows, int columns)
{
    cJSON *list = cJSON_CreateArray();

    for (int i = 0; list && i < rows; i++) {
        cJSON *row = cJSON_CreateDoubleArray(m + i * columns, columns);
        if (!row || !cJSON_AddItemToArray(list, row)) {
            cJSON_Delete(row);
            b->failed = 1;
            break;
        }
    }
    return list;
}

static cJSON *normalisation(struct build *b, const struct t3d_normalisation *n)
{
    cJSON *o = cJSON_CreateObject();

    add(b, o, "centre", cJSON_CreateDoubleArray(n->centre, 3));
    add_number(b, o, "scale", n->scale);
    return o;
}

static cJSON *view(struct build *b, const struct t3d_view_set *v, size_t i, uint32_t resolution)
{
    const struct t3d_camera *c = &v->camera[i];
    char name[T3D_VIEW_NAME_SIZE];
    cJSON *o = cJSON_CreateObject();
    double k[3][3];

    t3d_view_name(v, i, name);
    t3d_camera_intrinsics(c, resolution, k);
    add_string(b, o, "name", name);
    add_number(b, o, "azimuth", c->azimuth_deg);
    add_number(b, o, "elevation", c->elevation_deg);
    add_number(b, o, "distance", c->distance);
    add_number(b, o, "fov", c->fov_deg);
    add_number(b, o, "near", c->near);
    add_number(b, o, "far", c->far);
    add(b, o, "K", matrix(b, &k[0][0], 3, 3));
    add(b, o, "c2w", matrix(b, &c->c2w[0][0], 4, 4));
    add(b, o, "w2c", matrix(b, &c->w2c[0][0], 4, 4));
    return o;
}

static cJSON *finish(struct build *b, cJSON *o)
{
    if (!b->failed)
        return o;
    cJSON_Delete(o);
    return NULL;
}

cJSON *t3d_cameras_json(const struct t3d_view_set *v, uint32_t resolution,
                        const struct t3d_normalisation *n)
{
    struct build b = {0};
    cJSON *o = cJSON_CreateObject(), *views = cJSON_CreateArray();

    add_number(&b, o, "version", 1);
    add_string(&b, o, "view_set", v->name);
    add_number(&b, o, "resolution", resolution);
    add_string(&b, o, "up_axis", "+Y");
    add_string(&b, o, "front_axis", "+Z");
    add(&b, o, "normalisation", normalisation(&b, n));
    for (size_t i = 0; views && !b.failed && i < v->n; i++) {
        cJSON *item = view(&b, v, i, resolution);
        if (item && cJSON_AddItemToArray(views, item))
            continue;
        cJSON_Delete(item);
        b.failed = 1;
    }
    add(&b, o, "views", views);
    return finish(&b, o);
}

/* --- nerfstudio ------------------------------------------------------------------------------- */

/* +Y up to +Z up: (x, y, z) -> (x, -z, y), as glTF importers turn objects. */
static const double to_z_up[3][4] = {{1, 0, 0, 0}, {0, 0, -1, 0}, {0, 1, 0, 0}};

/* The conversion in pattern ("%d", "%03d", "%03zu", ...): its place and length; the number of
 * digits. */
static const char *find_conversion(const char *pattern, size_t *length, int *digits)
{
    const char *p = strchr(pattern, '%'), *s;

    if (!p)
        return NULL;
    *digits = 0;
    for (s = p + 1; *s >= '0' && *s <= '9' && *digits < 10; s++)
        *digits = *digits * 10 + (*s - '0');
    s += strspn(s, "zl");
    if (*s != 'd' && *s != 'u')
        return NULL;
    *length = (size_t)(s + 1 - p);
    return p;
}

static void add_path(struct build *b, cJSON *o, const char *pattern, size_t i)
{
    size_t length = 0;
    int digits = 0;
    const char *p = find_conversion(pattern, &length, &digits);
    size_t n = strlen(pattern) + 128;
    char *path = malloc(n);

    if (!path) {
        b->failed = 1;
        return;
    }
    if (p)
        snprintf(path, n, "%.*s%0*zu%s", (int)(p - pattern), pattern, digits, i, p + length);
    else
        snprintf(path, n, "%s", pattern);
    add_string(b, o, "file_path", path);
    free(path);
}

static void add_intrinsics(struct build *b, cJSON *o, const struct t3d_camera *c,
                           uint32_t resolution)
{
    static const char distortion[4][3] = {"k1", "k2", "p1", "p2"};
    double k[3][3];

    t3d_camera_intrinsics(c, resolution, k);
    add_number(b, o, "fl_x", k[0][0]);
    add_number(b, o, "fl_y", k[1][1]);
    add_number(b, o, "cx", k[0][2]);
    add_number(b, o, "cy", k[1][2]);
    add_number(b, o, "w", resolution);
    add_number(b, o, "h", resolution);
    for (int i = 0; i < 4; i++)
        add_number(b, o, distortion[i], 0);
}

static cJSON *transform(struct build *b, const struct t3d_camera *c)
{
    double m[4][4] = {{0}};

    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            for (int k = 0; k < 3; k++)
                m[i][j] += to_z_up[i][k] * c->c2w[k][j];
    m[3][3] = 1;
    return matrix(b, &m[0][0], 4, 4);
}

cJSON *t3d_transforms_json(const struct t3d_view_set *v, uint32_t resolution,
                           const struct t3d_normalisation *n, const char *file_pattern)
{
    struct build b = {0};
    cJSON *o = cJSON_CreateObject(), *frames = cJSON_CreateArray();
    int shared = 1;

    for (size_t i = 1; i < v->n; i++)
        shared = shared && v->camera[i].fov_deg == v->camera[0].fov_deg;
    add_string(&b, o, "camera_model", "OPENCV");
    if (shared && v->n)
        add_intrinsics(&b, o, &v->camera[0], resolution);
    add(&b, o, "applied_transform", matrix(&b, &to_z_up[0][0], 3, 4));
    add(&b, o, "normalisation", normalisation(&b, n));
    for (size_t i = 0; frames && !b.failed && i < v->n; i++) {
        cJSON *frame = cJSON_CreateObject();
        add_path(&b, frame, file_pattern, i);
        if (!shared)
            add_intrinsics(&b, frame, &v->camera[i], resolution);
        add(&b, frame, "transform_matrix", transform(&b, &v->camera[i]));
        if (!frame || !cJSON_AddItemToArray(frames, frame)) {
            cJSON_Delete(frame);
            b.failed = 1;
        }
    }
    add(&b, o, "frames", frames);
    return finish(&b, o);
}
