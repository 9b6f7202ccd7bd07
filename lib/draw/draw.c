/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/draw.h"

#include <math.h>
#include <pthread.h>

#include "base/isa.h"
#include "draw/draw_impl.h"

/* ---- samples
 * ------------------------------------------------------------------------------------- */

/* Eight samples on a 16 x 16 grid, one in each row and column of an 8 x 8 grid (Direct3D 11's
 * standard 8x pattern); their mean is the pixel's centre. */
const int8_t t3di_sample_kx[T3DI_SAMPLES] = {9, 7, 13, 5, 3, 1, 11, 15};
const int8_t t3di_sample_ky[T3DI_SAMPLES] = {5, 11, 9, 3, 13, 7, 15, 1};
float t3di_centroid_x[256], t3di_centroid_y[256];

static void make_centroids(void)
{
    for (int mask = 1; mask < 256; mask++) {
        int x = 0, y = 0, n = __builtin_popcount((unsigned)mask);
        for (int s = 0; s < T3DI_SAMPLES; s++)
            if (mask >> s & 1)
                x += t3di_sample_kx[s], y += t3di_sample_ky[s];
        t3di_centroid_x[mask] = (float)x / (16.0f * (float)n);
        t3di_centroid_y[mask] = (float)y / (16.0f * (float)n);
    }
}

/* ---- instruction sets
 * ------------------------------------------------------------------------------ */

static const struct t3di_isa *isa;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void choose(void)
{
    make_centroids();
    isa = t3di_isa_portable();
    if (t3d_isa() >= T3D_ISA_AVX2 && t3di_isa_avx2())
        isa = t3di_isa_avx2();
    if (t3d_isa() >= T3D_ISA_AVX512 && t3di_isa_avx512())
        isa = t3di_isa_avx512();
}

static const struct t3di_isa *chosen(void)
{
    pthread_once(&once, choose);
    return isa;
}

const char *t3d_draw_isa(void)
{
    return chosen()->name;
}

/* ---- canvas
 * ------------------------------------------------------------------------------------------ */

static void free_view(struct t3di_view *v)
{
    void *owned[] = {v->sx,          v->sy,          v->iw,          v->tri,
                     v->bin_start,   v->bin,         v->z,           v->id,
                     v->frag,        v->sorted,      v->frag_shader, v->shader_count,
                     v->acc,         v->through,     v->blend,       v->blend_value,
                     v->blend_start, v->blend_order, v->record,      v->nearest_blend,
                     v->covered,     v->filled,      v->record_of};
    for (size_t k = 0; k < T3D_COUNT(owned); k++)
        free(owned[k]);
    free(v);
}

void t3d_canvas_free(struct t3d_canvas *c)
{
    if (!c)
        return;
    free(c->color);
    free(c->depth);
    free(c->normal);
    free(c->albedo);
    free(c->metal_rough);
    if (c->impl)
        free_view(c->impl);
    free(c);
}

static void *aligned(size_t n, size_t size)
{
    return aligned_alloc(64, (n * size + 63) / 64 * 64);
}

static int new_view(struct t3d_canvas *c)
{
    enum { N = T3DI_TILE_PIXELS, S = T3DI_TILE_PIXELS * T3DI_SAMPLES };
    struct t3di_view *v = c->impl = calloc(1, sizeof *v);
    if (!v)
        return -1;
    v->c = c;
    v->n_tiles = (int)((c->resolution + T3DI_TILE - 1) / T3DI_TILE);
    size_t tiles = (size_t)v->n_tiles * (size_t)v->n_tiles;
    v->bin_start = malloc((tiles + 1) * sizeof *v->bin_start);
    v->covered = calloc((size_t)c->resolution * (size_t)v->n_tiles, sizeof *v->covered);
    v->filled = calloc((size_t)c->resolution * (size_t)v->n_tiles, sizeof *v->filled);
    v->z = aligned(S, sizeof *v->z);
    v->id = aligned(S, sizeof *v->id);
    v->frag = aligned(S, sizeof *v->frag);
    v->sorted = aligned(S, sizeof *v->sorted);
    v->frag_shader = aligned(S, sizeof *v->frag_shader);
    v->acc = aligned(T3DI_N_PASS, sizeof *v->acc);
    v->through = aligned(S, sizeof *v->through);
    v->blend_start = aligned(N + 1, sizeof *v->blend_start);
    v->nearest_blend = aligned(N, sizeof *v->nearest_blend);
    int ok = v->bin_start && v->covered && v->filled && v->z && v->id && v->frag && v->sorted &&
             v->frag_shader && v->acc && v->through && v->blend_start && v->nearest_blend;
    return ok ? 0 : -1;
}

int t3d_canvas_new(struct t3d_canvas **out, uint32_t resolution, unsigned passes,
                   struct t3d_err *err)
{
    if (resolution < 1 || resolution > T3DI_MAX_RESOLUTION)
        return t3d_err_set(err, T3D_USAGE, "bad-resolution",
                           "resolution %u is outside 1..%d pixels: choose a smaller picture",
                           resolution, T3DI_MAX_RESOLUTION);
    struct t3d_canvas *c = calloc(1, sizeof *c);
    if (!c)
        return t3d_err_nomem(err, "canvas");
    size_t n = (size_t)resolution * resolution;
    c->resolution = resolution;
    c->passes = passes | T3D_PASS_COLOR;
    c->color = malloc(4 * n);
    if (passes & T3D_PASS_DEPTH)
        c->depth = malloc(2 * n);
    if (passes & T3D_PASS_NORMAL)
        c->normal = malloc(4 * n);
    if (passes & T3D_PASS_ALBEDO)
        c->albedo = malloc(4 * n);
    if (passes & T3D_PASS_METAL_ROUGH)
        c->metal_rough = malloc(4 * n);
    if (new_view(c) < 0 || !c->color || ((passes & T3D_PASS_DEPTH) && !c->depth) ||
        ((passes & T3D_PASS_NORMAL) && !c->normal) || ((passes & T3D_PASS_ALBEDO) && !c->albedo) ||
        ((passes & T3D_PASS_METAL_ROUGH) && !c->metal_rough)) {
        t3d_canvas_free(c);
        return t3d_err_nomem(err, "canvas");
    }
    *out = c;
    return T3D_OK;
}

/* ---- one view
 * ------------------------------------------------------------------------------------------ */

static int check_camera(const struct t3d_camera *k, struct t3d_err *err)
{
    int finite = 1;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            finite &= isfinite(k->w2c[i][j]) && isfinite(k->c2w[i][j]);
    if (!finite)
        return t3d_err_set(err, T3D_USAGE, "bad-camera", "camera: c2w or w2c is not finite");
    if (!(k->fov_deg > 0.0 && k->fov_deg < 180.0))
        return t3d_err_set(err, T3D_USAGE, "bad-camera", "camera: fov %g is outside 0..180 degrees",
                           k->fov_deg);
    if (!(k->near > 0.0 && k->far > k->near && isfinite(k->far)))
        return t3d_err_set(err, T3D_USAGE, "bad-camera",
                           "camera: near %g, far %g: need 0 < near < far", k->near, k->far);
    return T3D_OK;
}

static void aim(struct t3di_view *v, const struct t3d_camera *k)
{
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            v->r[i][j] = (float)k->w2c[i][j];
        v->t[i] = (float)k->w2c[i][3];
        v->eye[i] = k->c2w[i][3];
    }
    v->center = (float)v->c->resolution * 0.5f;
    v->focal = (float)(v->c->resolution / (2.0 * tan(k->fov_deg * (M_PI / 360.0))));
    v->near = (float)k->near, v->far = (float)k->far;
}

static int resize(void **p, size_t n, size_t size)
{
    free(*p);
    *p = aligned(n, size);
    return *p ? 0 : -1;
}

/* Buffers for a model of this size; they stay for the next. */
static int make_room(struct t3di_view *v)
{
    const struct t3d_model *m = v->m;
    size_t n = (size_t)m->n_vertices + 32;
    if (n > v->cap_vertices) {
        v->cap_vertices = 0;
        if (resize((void **)&v->sx, n, 4) < 0 || resize((void **)&v->sy, n, 4) < 0 ||
            resize((void **)&v->iw, n, 4) < 0)
            return -1;
        v->cap_vertices = n;
    }
    if (m->n_triangles + (size_t)1 > v->cap_record_of) {
        v->cap_record_of = 0;
        if (resize((void **)&v->record_of, m->n_triangles + (size_t)1, sizeof *v->record_of) < 0)
            return -1;
        v->cap_record_of = m->n_triangles + (size_t)1;
    }
    if (m->n_shaders + (size_t)1 > v->cap_shaders) {
        v->cap_shaders = 0;
        if (resize((void **)&v->shader_count, m->n_shaders + (size_t)1, sizeof *v->shader_count) <
            0)
            return -1;
        v->cap_shaders = m->n_shaders + (size_t)1;
    }
    memset(v->record_of, 0, m->n_triangles * sizeof *v->record_of);
    v->n_record = 1; /* 0 means none */
    memset(&v->sum, 0, sizeof v->sum);
    v->sum.iw_min = INFINITY;
    v->out_of_memory = 0;
    return 0;
}

static void clear(struct t3d_canvas *c)
{
    struct t3di_view *v = c->impl;
    size_t n = (size_t)c->resolution * c->resolution;
    uint8_t *rgba[] = {c->color, c->normal, c->albedo, c->metal_rough};
    for (size_t k = 0; k < T3D_COUNT(rgba); k++)
        if (rgba[k])
            memset(rgba[k], 0, 4 * n);
    if (c->depth)
        memset(c->depth, 0xff, 2 * n);
    memset(v->covered, 0, (size_t)c->resolution * (size_t)v->n_tiles * sizeof *v->covered);
}

static int is_covered(const struct t3di_view *v, uint32_t x, uint32_t y)
{
    return v->covered[(size_t)y * (size_t)v->n_tiles + x / T3DI_TILE] >> (x % T3DI_TILE) & 1;
}

static void measure(struct t3d_canvas *c)
{
    const struct t3di_view *v = c->impl;
    struct t3d_view_measures *m = &c->measures;
    uint32_t n = c->resolution, last = n - 1, hit = 0, border = n > 1 ? 4 * last : 1;
    memset(m, 0, sizeof *m);
    m->coverage = v->sum.alpha / ((double)n * n);
    if (v->sum.alpha > 0.0) {
        m->luminance = v->sum.lum / v->sum.alpha;
        m->contrast = sqrt(fmax(v->sum.lum2 / v->sum.alpha - m->luminance * m->luminance, 0.0));
    }
    if (v->sum.samples)
        m->backfacing = (double)v->sum.backfacing / (double)v->sum.samples;
    if (v->sum.iw_max > 0.0f) {
        m->depth_min = 1.0 / (double)v->sum.iw_max;
        m->depth_max = 1.0 / (double)v->sum.iw_min;
    }
    for (uint32_t k = 0; k < n; k++) {
        hit += (uint32_t)is_covered(v, k, 0) + (uint32_t)(n > 1 && is_covered(v, k, last));
        if (k > 0 && k < last)
            hit += (uint32_t)is_covered(v, 0, k) + (uint32_t)is_covered(v, last, k);
    }
    m->touches_border = (double)hit / border;
}

int t3d_draw(struct t3d_canvas *c, const struct t3d_model *m, const struct t3d_camera *camera,
             const struct t3d_light *light, struct t3d_err *err)
{
    const struct t3di_isa *use = chosen();
    struct t3di_view *v = c->impl;
    int r = check_camera(camera, err);
    if (r != T3D_OK)
        return r;
    v->m = m, v->light = light;
    aim(v, camera);
    if (make_room(v) < 0)
        return t3d_err_nomem(err, "view");
    memset(v->nanoseconds, 0, sizeof v->nanoseconds);
    uint64_t start = t3di_clock();
    use->transform(v);
    uint64_t transformed = t3di_clock();
    v->nanoseconds[T3DI_TRANSFORM] = transformed - start;
    r = t3di_setup(v);
    v->nanoseconds[T3DI_SETUP] = t3di_clock() - transformed;
    clear(c);
    if (r < 0)
        return t3d_err_nomem(err, "triangles of a view");
    for (int ty = 0; ty < v->n_tiles; ty++)
        for (int tx = 0; tx < v->n_tiles; tx++) {
            size_t b = (size_t)ty * (size_t)v->n_tiles + (size_t)tx;
            if (v->bin_start[b] < v->bin_start[b + 1])
                use->tile(v, tx, ty);
        }
    if (v->out_of_memory)
        return t3d_err_nomem(err, "fragments of a view");
    start = t3di_clock();
    t3di_bleed(v);
    measure(c);
    v->nanoseconds[T3DI_RESOLVE] += t3di_clock() - start;
    return T3D_OK;
}
