/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/scene.h"

#include <math.h>
#include <string.h>

#include "geom/gaussians.h"
#include "geom/read_impl.h"
#include "image/image.h"

enum { KNOWN_FLAGS = (T3D_HAS_UV0 << T3D_MAX_UV) - 1 };

struct t3d_material t3d_material_default(void)
{
    struct t3d_material m = {.base = {1, 1, 1, 1},
                             .metallic = 1,
                             .roughness = 1,
                             .normal_scale = 1,
                             .occlusion_strength = 1,
                             .specular = {1, 1, 1},
                             .glossiness = 1,
                             .alpha_cutoff = .5f};

    for (int i = 0; i < T3D_TEX_COUNT; i++) {
        m.texture[i].image = -1;
        m.texture[i].transform[0] = 1;
        m.texture[i].transform[4] = 1;
    }
    return m;
}

/* --- check -------------------------------------------------------------------- */

int t3di_all_finite(const void *floats, size_t n)
{
    const unsigned char *p = floats;
    uint32_t worst = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, p + 4 * i, 4);
        bits &= 0x7fffffff; /* NaN and infinity are the values whose exponent bits are all set */
        worst = bits > worst ? bits : worst;
    }
    return worst < 0x7f800000;
}

static int bad_scene(struct t3d_err *err, const char *what, size_t index)
{
    return t3d_err_value(err, T3D_SKIP, "bad-scene", (double)index,
                         "flat scene: wrong %s (item %zu)", what, index);
}

static int check_counts(const struct t3d_scene *s, struct t3d_err *err)
{
    if (s->n_vertices > T3D_MAX_VERTICES || s->n_triangles > T3D_MAX_TRIANGLES)
        return t3d_err_value(err, T3D_SKIP, "bad-scene",
                             s->n_triangles > T3D_MAX_TRIANGLES ? s->n_triangles : s->n_vertices,
                             "flat scene: %u vertices and %u triangles are more than %u and %u",
                             s->n_vertices, s->n_triangles, T3D_MAX_VERTICES, T3D_MAX_TRIANGLES);
    if (s->n_gaussians > T3D_MAX_GAUSSIANS)
        return t3d_err_value(err, T3D_SKIP, "bad-scene", s->n_gaussians,
                             "flat scene: %u Gaussians are more than %u", s->n_gaussians,
                             T3D_MAX_GAUSSIANS);
    if ((s->n_vertices && !s->position) || (s->n_gaussians && !s->gaussian) ||
        (s->n_triangles && !s->triangle) || (s->n_draws && !s->draw) ||
        (s->n_materials && !s->material) || (s->n_images && !s->image))
        return bad_scene(err, "pointer: an array is missing", 0);
    return T3D_OK;
}

static int check_floats(const struct t3d_scene *s, struct t3d_err *err)
{
    const struct {
        const void *data;
        size_t width;
        const char *name;
    } array[] = {{s->position, 3, "position"}, {s->normal, 3, "normal"}, {s->tangent, 4, "tangent"},
                 {s->color, 4, "color"},       {s->uv[0], 2, "uv 0"},    {s->uv[1], 2, "uv 1"},
                 {s->uv[2], 2, "uv 2"},        {s->uv[3], 2, "uv 3"}};

    _Static_assert(T3D_MAX_UV == 4, "one row for each uv slot");
    for (size_t k = 0; k < T3D_COUNT(array); k++)
        if (array[k].data && !t3di_all_finite(array[k].data, array[k].width * s->n_vertices))
            return t3d_err_set(err, T3D_SKIP, "non-finite", "a vertex has a NaN or infinite %s",
                               array[k].name);
    if (s->gaussian && !t3di_all_finite(s->gaussian, T3D_GAUSSIAN_FLOATS * (size_t)s->n_gaussians))
        return t3d_err_set(err, T3D_SKIP, "non-finite", "a Gaussian has a NaN or infinite value");
    return T3D_OK;
}

static int check_texture(const struct t3d_scene *s, const struct t3d_texture *t)
{
    return t->image >= -1 && t->image < (int64_t)s->n_images && t->uv < T3D_MAX_UV &&
           t->wrap_s <= T3D_WRAP_MIRROR && t->wrap_t <= T3D_WRAP_MIRROR && t->nearest <= 1;
}

static int check_materials(const struct t3d_scene *s, struct t3d_err *err)
{
    for (uint32_t i = 0; i < s->n_materials; i++) {
        const struct t3d_material *m = &s->material[i];
        /* base ... alpha_cutoff are floats without gaps */
        size_t floats = offsetof(struct t3d_material, alpha_mode) / sizeof(float);
        int finite = t3di_all_finite(m, floats);

        if (m->alpha_mode > T3D_ALPHA_BLEND || m->double_sided > 1 || m->unlit > 1 ||
            m->spec_gloss > 1)
            return bad_scene(err, "material", i);
        for (int k = 0; k < T3D_TEX_COUNT; k++) {
            finite &= t3di_all_finite(m->texture[k].transform, 6);
            if (!check_texture(s, &m->texture[k]))
                return bad_scene(err, "texture of a material", i);
        }
        if (!finite)
            return t3d_err_value(err, T3D_SKIP, "non-finite", i,
                                 "material %u has a NaN or infinite value", i);
    }
    return T3D_OK;
}

static int check_pictures(const struct t3d_scene *s, struct t3d_err *err)
{
    for (uint32_t i = 0; i < s->n_images; i++) {
        const struct t3d_picture *p = &s->image[i];
        int ok = p->state == T3D_PICTURE_OK;

        if (p->state > T3D_PICTURE_UNSUPPORTED || p->has_alpha > 1 || (p->pixels && !ok) ||
            (ok != (p->width > 0)) || (ok != (p->height > 0)) || p->width > T3D_IMAGE_MAX_SIDE ||
            p->height > T3D_IMAGE_MAX_SIDE)
            return bad_scene(err, "picture", i);
    }
    return T3D_OK;
}

static int check_indices(const struct t3d_scene *s, const struct t3d_draw *d, struct t3d_err *err)
{
    const uint32_t(*t)[3];
    uint32_t worst = 0; /* largest distance from the first vertex; wraps for those below it */

    if (!d->n_triangles)
        return T3D_OK;
    t = (const uint32_t(*)[3])s->triangle + d->first_triangle;
    for (uint32_t i = 0; i < d->n_triangles; i++)
        for (int k = 0; k < 3; k++) {
            uint32_t v = t[i][k] - d->first_vertex;

            worst = v > worst ? v : worst;
        }
    if (worst >= d->n_vertices)
        return t3d_err_value(err, T3D_SKIP, "index-out-of-range", (double)worst,
                             "draw %zu: a triangle refers to vertex %u of %u",
                             (size_t)(d - s->draw), worst, d->n_vertices);
    return T3D_OK;
}

/* Every triangle belongs to exactly one draw, in order; vertex ranges may overlap. */
static int check_draws(const struct t3d_scene *s, struct t3d_err *err)
{
    uint64_t next = 0;
    int r;

    for (uint32_t i = 0; i < s->n_draws; i++) {
        const struct t3d_draw *d = &s->draw[i];
        int missing = (d->flags & T3D_HAS_NORMAL && !s->normal) ||
                      (d->flags & T3D_HAS_TANGENT && !s->tangent) ||
                      (d->flags & T3D_HAS_COLOR && !s->color);

        for (int k = 0; k < T3D_MAX_UV; k++)
            missing |= d->flags & (unsigned)T3D_HAS_UV0 << k && !s->uv[k];
        if ((missing && d->n_vertices) || d->flags & ~(unsigned)KNOWN_FLAGS ||
            d->material >= s->n_materials)
            return bad_scene(err, "flags or material of a draw", i);
        if (d->first_triangle != next || d->n_triangles > s->n_triangles - next ||
            d->first_vertex > s->n_vertices || d->n_vertices > s->n_vertices - d->first_vertex)
            return bad_scene(err, "range of a draw", i);
        next += d->n_triangles;
        r = check_indices(s, d, err);
        if (r < 0)
            return r;
    }
    return next == s->n_triangles ? T3D_OK : bad_scene(err, "triangles without a draw", next);
}

static int printable(const char *s, size_t size)
{
    size_t n = strnlen(s, size);

    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x20 || s[i] > 0x7e)
            return 0;
    return n < size;
}

int t3d_scene_check(const struct t3d_scene *s, struct t3d_err *err)
{
    const struct t3d_scene_notes *n = &s->notes;
    int r = check_counts(s, err);

    if (r < 0)
        return r;
    if (!printable(n->first_bad, sizeof n->first_bad) || !printable(n->format, sizeof n->format) ||
        !printable(n->generator, sizeof n->generator))
        return bad_scene(err, "text in the notes", 0);
    if ((r = check_draws(s, err)) < 0 || (r = check_floats(s, err)) < 0 ||
        (r = check_materials(s, err)) < 0)
        return r;
    return check_pictures(s, err);
}

/* --- flat form ------------------------------------------------------------------ */

/* The layout follows from the counts in the header alone: the header, then each array that is
 * present, then the pixels of each picture that has them, all aligned to 64 bytes. A picture's
 * pointer is packed as "not NULL" only; unpacking puts the true one there. */
static const char magic[8] = "t3dscn2";

struct header {
    char magic[8];
    uint32_t n_vertices, n_triangles, n_draws, n_materials, n_images, n_gaussians;
    uint32_t present; /* bit 0 normal, 1 tangent, 2 color, 3 + k uv slot k */
    struct t3d_scene_notes notes;
};

enum { ALIGN = 64, N_ARRAYS = 9 + T3D_MAX_UV, IMAGES = N_ARRAYS - 1 };

struct layout {
    size_t at[N_ARRAYS];
    size_t bytes[N_ARRAYS]; /* 0 = absent or empty */
    size_t pixels;          /* where the first picture's pixels begin */
};

static size_t aligned(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

/* The counts are 32 bits wide and rows small, so these sums cannot overflow 64 bits. */
static void lay_out(struct layout *l, const struct header *h)
{
    const size_t v = h->n_vertices;
    const size_t bytes[N_ARRAYS] = {12 * v,
                                    h->present & 1 ? 12 * v : 0,
                                    h->present & 2 ? 16 * v : 0,
                                    h->present & 4 ? 16 * v : 0,
                                    h->present & 8 ? 8 * v : 0,
                                    h->present & 16 ? 8 * v : 0,
                                    h->present & 32 ? 8 * v : 0,
                                    h->present & 64 ? 8 * v : 0,
                                    sizeof(uint32_t[3]) * h->n_triangles,
                                    sizeof(struct t3d_draw) * h->n_draws,
                                    sizeof(struct t3d_material) * h->n_materials,
                                    sizeof(float[T3D_GAUSSIAN_FLOATS]) * h->n_gaussians,
                                    sizeof(struct t3d_picture) * h->n_images};
    size_t at = aligned(sizeof *h);

    for (int i = 0; i < N_ARRAYS; i++) {
        l->at[i] = at;
        l->bytes[i] = bytes[i];
        at += aligned(bytes[i]);
    }
    l->pixels = at;
}

static void fill_header(struct header *h, const struct t3d_scene *s)
{
    *h = (struct header){.n_vertices = s->n_vertices,
                         .n_triangles = s->n_triangles,
                         .n_draws = s->n_draws,
                         .n_materials = s->n_materials,
                         .n_images = s->n_images,
                         .n_gaussians = s->n_gaussians,
                         .notes = s->notes};
    memcpy(h->magic, magic, sizeof magic);
    h->present = (s->normal ? 1u : 0) | (s->tangent ? 2u : 0) | (s->color ? 4u : 0);
    for (int k = 0; k < T3D_MAX_UV; k++)
        h->present |= s->uv[k] ? 8u << k : 0;
}

static size_t pixel_bytes(uint32_t width, uint32_t height)
{
    return (size_t)4 * width * height;
}

size_t t3d_scene_packed_size(const struct t3d_scene *s)
{
    struct header h;
    struct layout l;
    size_t size;

    fill_header(&h, s);
    lay_out(&l, &h);
    size = l.pixels;
    for (uint32_t i = 0; i < s->n_images; i++)
        if (s->image[i].pixels)
            size += aligned(pixel_bytes(s->image[i].width, s->image[i].height));
    return size;
}

static void put(char *base, size_t at, const void *data, size_t bytes)
{
    if (bytes)
        memcpy(base + at, data, bytes);
    memset(base + at + bytes, 0, aligned(bytes) - bytes);
}

/* Field by field into zeroed bytes: neither padding nor addresses of this process leave it. */
static void put_picture(char *at, const struct t3d_picture *p)
{
    struct t3d_picture flat;

    memset(&flat, 0, sizeof flat);
    flat.width = p->width;
    flat.height = p->height;
    flat.state = p->state;
    flat.has_alpha = p->has_alpha;
    memset(&flat.pixels, p->pixels != NULL, sizeof flat.pixels);
    memcpy(at, &flat, sizeof flat);
}

void t3d_scene_pack(const struct t3d_scene *s, void *buf)
{
    const void *array[] = {s->position, s->normal, s->tangent,  s->color, s->uv[0],    s->uv[1],
                           s->uv[2],    s->uv[3],  s->triangle, s->draw,  s->material, s->gaussian};
    struct header h;
    struct layout l;
    char *base = buf;
    size_t at;

    fill_header(&h, s);
    lay_out(&l, &h);
    put(base, 0, &h, sizeof h);
    for (size_t i = 0; i < T3D_COUNT(array); i++)
        put(base, l.at[i], array[i], l.bytes[i]);
    memset(base + l.at[IMAGES], 0, aligned(l.bytes[IMAGES]));
    at = l.pixels;
    for (uint32_t i = 0; i < s->n_images; i++) {
        const struct t3d_picture *p = &s->image[i];

        put_picture(base + l.at[IMAGES] + i * sizeof *p, p);
        if (p->pixels) {
            put(base, at, p->pixels, pixel_bytes(p->width, p->height));
            at += aligned(pixel_bytes(p->width, p->height));
        }
    }
}

/* Where array i lies, NULL when it is absent. */
static void *array_at(char *base, const struct layout *l, int i)
{
    return l->bytes[i] ? base + l->at[i] : NULL;
}

static void point(struct t3d_scene *s, const struct header *h, char *base, const struct layout *l)
{
    *s = (struct t3d_scene){.n_vertices = h->n_vertices,
                            .n_triangles = h->n_triangles,
                            .n_draws = h->n_draws,
                            .n_materials = h->n_materials,
                            .n_images = h->n_images,
                            .n_gaussians = h->n_gaussians,
                            .notes = h->notes};
    s->position = array_at(base, l, 0);
    s->normal = array_at(base, l, 1);
    s->tangent = array_at(base, l, 2);
    s->color = array_at(base, l, 3);
    for (int k = 0; k < T3D_MAX_UV; k++)
        s->uv[k] = array_at(base, l, 4 + k);
    s->triangle = array_at(base, l, 4 + T3D_MAX_UV);
    s->draw = array_at(base, l, 5 + T3D_MAX_UV);
    s->material = array_at(base, l, 6 + T3D_MAX_UV);
    s->gaussian = array_at(base, l, 7 + T3D_MAX_UV);
    s->image = array_at(base, l, IMAGES);
}

/* Replace the marks by pointers into the buffer, as far as it reaches. */
static int point_pictures(struct t3d_scene *s, char *base, size_t at, size_t size,
                          struct t3d_err *err)
{
    int r = check_pictures(s, err);

    if (r < 0)
        return r;
    for (uint32_t i = 0; i < s->n_images; i++) {
        struct t3d_picture *p = &s->image[i];
        size_t bytes = aligned(pixel_bytes(p->width, p->height));

        if (!p->pixels)
            continue;
        if (bytes > size - at)
            return bad_scene(err, "size: pixels reach beyond the end", i);
        p->pixels = (uint8_t *)base + at;
        at += bytes;
    }
    return at == size ? T3D_OK : bad_scene(err, "size: bytes are left over", size - at);
}

int t3d_scene_unpack(struct t3d_scene *s, void *buf, size_t size, struct t3d_err *err)
{
    struct header h;
    struct layout l;
    int r;

    if (size < sizeof h)
        return bad_scene(err, "size: no room for the header", size);
    memcpy(&h, buf, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.present >> (3 + T3D_MAX_UV))
        return bad_scene(err, "header", 0);
    lay_out(&l, &h);
    if (l.pixels > size)
        return bad_scene(err, "size: arrays reach beyond the end", size);
    point(s, &h, buf, &l);
    r = point_pictures(s, buf, l.pixels, size, err);
    return r < 0 ? r : t3d_scene_check(s, err);
}

/* --- bounds ----------------------------------------------------------------------- */

int t3d_scene_bounds(const struct t3d_scene *s, double lo[3], double hi[3], struct t3d_err *err)
{
    float low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};

    if (!s->n_triangles)
        return t3d_err_set(err, T3D_SKIP, "no-triangles", "the object has no triangles");
    for (uint32_t t = 0; t < s->n_triangles; t++)
        for (int c = 0; c < 3; c++) {
            const float *p = s->position[s->triangle[t][c]];

            for (int k = 0; k < 3; k++) {
                low[k] = p[k] < low[k] ? p[k] : low[k];
                high[k] = p[k] > high[k] ? p[k] : high[k];
            }
        }
    for (int k = 0; k < 3; k++) {
        lo[k] = low[k];
        hi[k] = high[k];
    }
    return T3D_OK;
}

int t3d_scene_normalisation(const struct t3d_scene *s, struct t3d_normalisation *n,
                            struct t3d_err *err)
{
    double lo[3], hi[3], far = 0;
    int r = t3d_scene_bounds(s, lo, hi, err);

    if (r < 0)
        return r;
    for (int k = 0; k < 3; k++)
        n->centre[k] = lo[k] + (hi[k] - lo[k]) / 2;
    for (uint32_t t = 0; t < s->n_triangles; t++)
        for (int c = 0; c < 3; c++) {
            const float *p = s->position[s->triangle[t][c]];
            double x = p[0] - n->centre[0], y = p[1] - n->centre[1], z = p[2] - n->centre[2];
            double d = x * x + y * y + z * z;

            far = d > far ? d : far;
        }
    if (!(far > 0))
        return t3d_err_value(err, T3D_SKIP, "no-extent", 0,
                             "all triangles of the object lie in one point");
    n->scale = 1 / sqrt(far);
    return T3D_OK;
}
