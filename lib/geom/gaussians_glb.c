/* SPDX-License-Identifier: Apache-2.0 */
/* glTF 2.0 binary with KHR_gaussian_splatting (KhronosGroup/glTF, extensions/2.0/Khronos,
 * release candidate of 2026). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/defs.h"
#include "base/json.h"
#include "geom/gaussians.h"

enum { GL_FLOAT = 5126, GL_POINTS = 0, GL_ARRAY_BUFFER = 34962 };
enum { POSITION, COLOR, ROTATION, SCALE, OPACITY, SH0, N_ATTRIBUTES };

#define SH0_FACTOR 0.28209479177387814
#define EXTENSION  "KHR_gaussian_splatting"

static const struct {
    const char *name, *type;
    size_t width;
} attribute[N_ATTRIBUTES] = {{"POSITION", "VEC3", 3},
                             {"COLOR_0", "VEC4", 4},
                             {EXTENSION ":ROTATION", "VEC4", 4},
                             {EXTENSION ":SCALE", "VEC3", 3},
                             {EXTENSION ":OPACITY", "SCALAR", 1},
                             {EXTENSION ":SH_DEGREE_0_COEF_0", "VEC3", 3}};

/* sRGB to linear (IEC 61966-2-1): COLOR_0 is linear in glTF. */
static float linear(float c)
{
    double x = T3D_CLAMP((double)c, 0, 1);

    return (float)(x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4));
}

/* Attribute k of Gaussian i. */
static void put(float *out, int k, const struct t3d_gaussians *g, size_t i)
{
    const float *q = g->quaternion + 4 * i, *rgb = g->rgb + 3 * i;
    double alpha = 1 / (1 + exp(-(double)g->opacity[i])), length = 0;

    for (int j = 0; j < 4; j++)
        length += (double)q[j] * q[j];
    length = length > 0 ? sqrt(length) : 1;
    for (int j = 0; j < (int)attribute[k].width; j++)
        switch (k) {
        case POSITION:
            out[j] = g->xyz[3 * i + (size_t)j];
            break;
        case COLOR:
            out[j] = j < 3 ? linear(rgb[j]) : (float)alpha;
            break;
        case ROTATION: /* x y z w */
            out[j] = (float)(q[(j + 1) % 4] / length);
            break;
        case SCALE:
            out[j] = (float)exp((double)g->log_scale[3 * i + (size_t)j]);
            break;
        case OPACITY:
            out[j] = (float)alpha;
            break;
        default:
            out[j] = (float)((rgb[j] - 0.5) / SH0_FACTOR);
        }
}

static cJSON *numbers(const double *x, int n)
{
    return cJSON_CreateDoubleArray(x, n);
}

static cJSON *accessor(const struct t3d_gaussians *g, int k)
{
    cJSON *o = cJSON_CreateObject();
    double low[3] = {0}, high[3] = {0};

    t3d_json_set_num(o, "bufferView", k);
    t3d_json_set_num(o, "componentType", GL_FLOAT);
    t3d_json_set_num(o, "count", (double)g->n);
    t3d_json_set_str(o, "type", attribute[k].type);
    for (size_t i = 0; k == POSITION && i < g->n; i++)
        for (size_t j = 0; j < 3; j++) {
            double x = (double)g->xyz[3 * i + j];

            low[j] = i ? T3D_MIN(low[j], x) : x;
            high[j] = i ? T3D_MAX(high[j], x) : x;
        }
    if (k == POSITION) {
        t3d_json_set(o, "min", numbers(low, 3));
        t3d_json_set(o, "max", numbers(high, 3));
    }
    return o;
}

static cJSON *primitive(void)
{
    cJSON *o = cJSON_CreateObject(), *attributes = cJSON_CreateObject(),
          *extensions = cJSON_CreateObject(), *splat = cJSON_CreateObject();

    for (int k = 0; k < N_ATTRIBUTES; k++)
        t3d_json_set_num(attributes, attribute[k].name, k);
    t3d_json_set_str(splat, "kernel", "ellipse");
    t3d_json_set_str(splat, "colorSpace", "srgb_rec709_display");
    t3d_json_set_str(splat, "projection", "perspective");
    t3d_json_set_str(splat, "sortingMethod", "cameraDistance");
    t3d_json_set(extensions, EXTENSION, splat);
    t3d_json_set(o, "attributes", attributes);
    t3d_json_set_num(o, "mode", GL_POINTS);
    t3d_json_set(o, "extensions", extensions);
    return o;
}

/* [{key: value}] with one element. */
static cJSON *list_of(cJSON *o)
{
    cJSON *list = cJSON_CreateArray();

    cJSON_AddItemToArray(list, o);
    return list;
}

static cJSON *object_of(const char *key, cJSON *value)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set(o, key, value);
    return o;
}

static cJSON *asset(const struct t3d_origin *origin, size_t n)
{
    cJSON *o = cJSON_CreateObject(), *extras = cJSON_CreateObject();

    t3d_json_set_str(o, "version", "2.0");
    t3d_json_set_str(o, "generator", "t3d");
    for (size_t i = 0; i < n; i++)
        t3d_json_set_str(extras, origin[i].key, origin[i].value);
    t3d_json_set(o, "extras", extras);
    return o;
}

static cJSON *document(const struct t3d_gaussians *g, const struct t3d_origin *origin,
                       size_t n_origin, size_t *bin)
{
    cJSON *o = cJSON_CreateObject(), *views = cJSON_CreateArray(), *accessors = cJSON_CreateArray();

    *bin = 0;
    for (int k = 0; k < N_ATTRIBUTES; k++) {
        cJSON *view = cJSON_CreateObject();
        size_t bytes = g->n * attribute[k].width * sizeof(float);

        t3d_json_set_num(view, "buffer", 0);
        t3d_json_set_num(view, "byteOffset", (double)*bin);
        t3d_json_set_num(view, "byteLength", (double)bytes);
        t3d_json_set_num(view, "target", GL_ARRAY_BUFFER);
        cJSON_AddItemToArray(views, view);
        cJSON_AddItemToArray(accessors, accessor(g, k));
        *bin += bytes;
    }
    t3d_json_set(o, "asset", asset(origin, n_origin));
    t3d_json_set(o, "extensionsUsed", list_of(cJSON_CreateString(EXTENSION)));
    t3d_json_set_num(o, "scene", 0);
    t3d_json_set(o, "scenes", list_of(object_of("nodes", list_of(cJSON_CreateNumber(0)))));
    t3d_json_set(o, "nodes", list_of(object_of("mesh", cJSON_CreateNumber(0))));
    t3d_json_set(o, "meshes", list_of(object_of("primitives", list_of(primitive()))));
    t3d_json_set(o, "accessors", accessors);
    t3d_json_set(o, "bufferViews", views);
    t3d_json_set(o, "buffers", list_of(object_of("byteLength", cJSON_CreateNumber((double)*bin))));
    return o;
}

static void put_u32(uint8_t *p, size_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

int t3d_gaussians_glb(uint8_t **data, size_t *size, const struct t3d_gaussians *g,
                      const struct t3d_origin *origin, size_t n_origin, struct t3d_arena *a,
                      struct t3d_err *err)
{
    size_t bin, n, padded;
    cJSON *json = document(g, origin, n_origin, &bin);
    char *text = json ? t3d_json_text(json, 0) : NULL;
    uint8_t *p = NULL;
    float *out;

    cJSON_Delete(json);
    if (text) {
        n = strlen(text);
        padded = (n + 3) & ~(size_t)3;
        *size = 12 + 8 + padded + 8 + bin;
        p = *size <= UINT32_MAX ? t3d_alloc(a, *size, 1) : NULL;
    }
    if (!p) {
        free(text);
        return t3d_err_nomem(err, "a file of Gaussians");
    }
    memcpy(p, "glTF\2\0\0\0", 8);
    put_u32(p + 8, *size);
    put_u32(p + 12, padded);
    memcpy(p + 16, "JSON", 4);
    memcpy(p + 20, text, n);
    memset(p + 20 + n, ' ', padded - n);
    put_u32(p + 20 + padded, bin);
    memcpy(p + 24 + padded, "BIN", 4);
    out = (float *)(void *)(p + 28 + padded);
    for (int k = 0; k < N_ATTRIBUTES; k++)
        for (size_t i = 0; i < g->n; i++, out += attribute[k].width)
            put(out, k, g, i);
    free(text);
    *data = p;
    return T3D_OK;
}
