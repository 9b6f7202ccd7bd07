/* SPDX-License-Identifier: Apache-2.0 */
/* Wavefront MTL to metallic-roughness materials (glTF 2.0 section 3.9).
 *
 * Kd is linear, as Blender writes it, and is multiplied with map_Kd ("During rendering, the map_Kd
 * value is multiplied by the Kd value": Alias, "The MTL material file format", 1995; so do three.js
 * and assimp's viewers), but for a black one, which some exporters write beside every map; Ns
 * becomes the roughness of the GGX lobe as wide as Blinn-Phong's: alpha = sqrt(2 / (Ns + 2)),
 * roughness = sqrt(alpha) (Walter et al. 2007, section 5.2; Karis 2013); Ks black means no gloss at
 * all: roughness 1. Pr, Pm and their maps
 * ("Physically based extension", Clara.io 2014) come before Ns. d, or 1 - Tr, is alpha; an object
 * that this makes wholly invisible is taken as opaque, because exporters disagree about the sense
 * of Tr. */
#include "geom/obj_impl.h"

#include <math.h>
#include <string.h>

#include "geom/mesh_impl.h"
#include "geom/read_impl.h"

enum map_kind { MAP_KD, MAP_KA, MAP_D, MAP_KE, MAP_BUMP, MAP_NORM, MAP_PR, MAP_PM, MAP_COUNT };
enum { MAX_IMAGES = 4096 };

struct map {
    char *name; /* NULL = none */
    float offset[2], scale[2], bump;
    int clamp;
};

struct t3di_mtl {
    float kd[3], ks[3], ke[3], ns, d, pr, pm;
    int has_ks, has_d, has_pr;
    struct map map[MAP_COUNT];
};

/* Pictures of the scene: by the name in the file, or by two names and what was made of them. */
struct pictures {
    const struct t3di_obj_read *o;
    struct t3di_names names;
    int32_t *image; /* (MAX_IMAGES,): of each name */
    uint32_t capacity;
};

/* --- library
 * --------------------------------------------------------------------------------------- */

static int read_numbers(struct t3di_text *t, float *out, int n)
{
    int k = 0;
    float f;

    for (; k < n; k++) {
        struct t3di_text word, w;
        struct t3di_text before = *t;
        if (!t3di_read_word(t, &word))
            break;
        w = word;
        if (!t3di_read_float(&w, &f) || w.p != w.end) {
            *t = before;
            break;
        }
        out[k] = isfinite(f) ? f : 0;
    }
    return k;
}

/* One number means grey. */
static void read_colour(struct t3di_text *t, float out[3])
{
    int n = read_numbers(t, out, 3);

    if (n == 1)
        out[1] = out[2] = out[0];
    for (int k = 0; k < 3; k++)
        out[k] = T3D_MAX(out[k], 0);
}

static float read_number(struct t3di_text *t, float otherwise)
{
    float f = otherwise;

    return read_numbers(t, &f, 1) ? f : otherwise;
}

/* One option of a map statement; 0 when the text is at the name. */
static int read_option(struct t3di_text *t, struct map *m)
{
    static const char *const one_word[] = {"-blendu", "-blendv", "-cc",     "-boost",
                                           "-texres", "-type",   "-imfchan"};
    struct t3di_text before = *t, word, value;
    float x[3] = {0, 0, 0};
    int n = 0;

    if (!t3di_read_word(t, &word))
        return 0;
    if (t3di_word_is(&word, "-o") && (n = read_numbers(t, x, 3)) > 0) {
        m->offset[0] = x[0];
        m->offset[1] = x[1];
    } else if (t3di_word_is(&word, "-s") && (n = read_numbers(t, x, 3)) > 0) {
        m->scale[0] = x[0];
        m->scale[1] = n > 1 ? x[1] : 1;
    } else if (t3di_word_is(&word, "-t") || t3di_word_is(&word, "-mm")) {
        n = read_numbers(t, x, 3);
    } else if (t3di_word_is(&word, "-bm")) {
        m->bump = read_number(t, 1);
        n = 1;
    } else if (t3di_word_is(&word, "-clamp")) {
        n = t3di_read_word(t, &value);
        m->clamp = n && t3di_word_is(&value, "on");
    }
    for (size_t i = 0; !n && i < T3D_COUNT(one_word); i++)
        if (t3di_word_is(&word, one_word[i]))
            n = t3di_read_word(t, &value);
    if (!n)
        *t = before;
    return n > 0;
}

static int read_map(struct t3di_mtl *m, enum map_kind kind, struct t3di_text *t,
                    struct t3d_arena *a, struct t3d_err *err)
{
    struct map map = {.scale = {1, 1}, .bump = 1};
    struct t3di_text name;

    while (read_option(t, &map))
        ;
    name = t3di_trim(t);
    if (name.p == name.end)
        return T3D_OK;
    map.name = t3d_strndup(a, name.p, (size_t)(name.end - name.p));
    if (!map.name)
        return t3d_err_nomem(err, "the name of a picture");
    m->map[kind] = map;
    return T3D_OK;
}

static int read_statement(struct t3di_mtl *m, struct t3di_text *t, struct t3d_arena *a,
                          struct t3d_err *err)
{
    static const struct {
        const char *word;
        enum map_kind kind;
    } maps[] = {{"map_kd", MAP_KD},      {"map_ka", MAP_KA},     {"map_d", MAP_D},
                {"map_ke", MAP_KE},      {"map_bump", MAP_BUMP}, {"bump", MAP_BUMP},
                {"norm", MAP_NORM},      {"map_kn", MAP_NORM},   {"map_norm", MAP_NORM},
                {"map_pr", MAP_PR},      {"map_pm", MAP_PM},     {"map_opacity", MAP_D},
                {"map_emissive", MAP_KE}};
    struct t3di_text word;

    if (!t3di_read_word(t, &word))
        return T3D_OK;
    for (size_t i = 0; i < T3D_COUNT(maps); i++)
        if (t3di_word_is(&word, maps[i].word))
            return read_map(m, maps[i].kind, t, a, err);
    if (t3di_word_is(&word, "kd")) {
        read_colour(t, m->kd);
    } else if (t3di_word_is(&word, "ks")) {
        read_colour(t, m->ks);
        m->has_ks = 1;
    } else if (t3di_word_is(&word, "ke")) {
        read_colour(t, m->ke);
    } else if (t3di_word_is(&word, "ns")) {
        m->ns = read_number(t, 0);
    } else if (t3di_word_is(&word, "d")) {
        m->d = read_number(t, 1);
        m->has_d = 1;
    } else if (t3di_word_is(&word, "tr") && !m->has_d) {
        m->d = 1 - read_number(t, 0);
    } else if (t3di_word_is(&word, "pr")) {
        m->pr = read_number(t, 1);
        m->has_pr = 1;
    } else if (t3di_word_is(&word, "pm")) {
        m->pm = read_number(t, 0);
    }
    return T3D_OK;
}

/* The material called name, made when it is new. A second definition of a name is read over the
 * first. */
static struct t3di_mtl *begin_material(struct t3di_mtl_set *set, const struct t3di_text *line,
                                       struct t3d_arena *a)
{
    struct t3di_text name = t3di_trim(line);
    int64_t i = t3di_names_add(&set->names, name.p, (size_t)(name.end - name.p));
    struct t3di_mtl *m = t3d_alloc(a, 1, sizeof *m);

    if (i < 0 || !m)
        return NULL;
    if ((uint64_t)i >= set->capacity) {
        struct t3di_mtl **more = t3d_alloc(a, set->names.capacity, sizeof *more);
        if (!more)
            return NULL;
        if (set->capacity)
            memcpy(more, set->mtl, set->capacity * sizeof *more);
        set->mtl = more;
        set->capacity = set->names.capacity;
    }
    m->kd[0] = m->kd[1] = m->kd[2] = 1;
    m->d = 1;
    m->pr = 1;
    set->mtl[i] = m;
    return m;
}

static int parse_library(struct t3di_mtl_set *set, const struct t3di_obj_read *o,
                         const struct t3d_blob *b, struct t3d_err *err)
{
    struct t3di_mtl *m = NULL;
    struct t3di_lines l;
    struct t3di_text line, word, rest;
    int r;

    t3di_lines_begin(&l, o->arena, b->data, b->size);
    while ((r = t3di_lines_next(&l, &line, err)) == T3D_OK) {
        rest = line;
        if (t3di_read_word(&rest, &word) && t3di_word_is(&word, "newmtl")) {
            m = begin_material(set, &rest, o->arena);
            if (!m)
                return t3d_err_nomem(err, "the materials");
        } else if (m && (r = read_statement(m, &line, o->arena, err)) < 0) {
            return r;
        }
    }
    return r < 0 ? r : T3D_OK;
}

/* --- external files
 * ---------------------------------------------------------------------------------- */

static int open_named(const struct t3di_obj_read *o, const char *name, size_t n, struct t3d_blob *b,
                      struct t3d_err *err)
{
    return t3di_open_beside(o->src, o->arena, name, n, b, err);
}

int t3di_mtl_library(struct t3di_mtl_set *set, const struct t3di_obj_read *o,
                     const struct t3di_text *names, struct t3d_err *err)
{
    struct t3di_text rest = t3di_trim(names), word = rest;
    struct t3d_blob b;
    int r = open_named(o, rest.p, (size_t)(rest.end - rest.p), &b, err);

    if (r == T3D_OK)
        return parse_library(set, o, &b, err);
    if (r < 0 || !memchr(rest.p, ' ', (size_t)(rest.end - rest.p)))
        return r < 0 ? r : T3D_OK;
    /* Not one name with spaces, so several names. */
    while (t3di_read_word(&rest, &word)) {
        r = open_named(o, word.p, (size_t)(word.end - word.p), &b, err);
        if (r < 0 || (r == T3D_OK && (r = parse_library(set, o, &b, err)) < 0))
            return r;
    }
    return T3D_OK;
}

int t3di_mtl_ask(const struct t3di_mtl_set *set, const struct t3di_obj_read *o, struct t3d_err *err)
{
    struct t3di_names asked = {.a = o->arena};

    for (uint32_t i = 0; i < set->names.n; i++)
        for (int k = 0; k < MAP_COUNT; k++) {
            const char *name = set->mtl[i]->map[k].name;
            uint32_t before = asked.n;
            struct t3d_blob b;
            int r;
            if (!name)
                continue;
            if (t3di_names_add(&asked, name, strlen(name)) < 0)
                return t3d_err_nomem(err, "the names of pictures");
            if (asked.n == before || asked.n > MAX_IMAGES)
                continue;
            if ((r = open_named(o, name, strlen(name), &b, err)) < 0)
                return r;
        }
    return T3D_OK;
}

/* --- pictures
 * ---------------------------------------------------------------------------------------- */

/* Room for one more image of the scene; its number, or -1. */
static int32_t add_image(struct pictures *p, const struct t3d_picture *picture)
{
    struct t3d_scene *s = p->o->scene;

    if (s->n_images == p->capacity) {
        uint32_t capacity = p->capacity ? 2 * p->capacity : 16;
        struct t3d_picture *more = t3d_alloc(p->o->arena, capacity, sizeof *more);
        if (!more)
            return -1;
        if (s->n_images)
            memcpy(more, s->image, s->n_images * sizeof *more);
        s->image = more;
        p->capacity = capacity;
    }
    s->image[s->n_images] = *picture;
    return (int32_t)s->n_images++;
}

/* The image of a map: *image = -1 without one. Each name is read once. */
static int load(struct pictures *p, const struct map *m, int32_t *image, struct t3d_err *err)
{
    struct t3d_picture picture = {.state = T3D_PICTURE_MISSING};
    uint32_t before = p->names.n;
    struct t3d_blob b;
    int64_t i;
    int r;

    *image = -1;
    if (!m->name || before >= MAX_IMAGES)
        return T3D_OK;
    i = t3di_names_add(&p->names, m->name, strlen(m->name));
    if (i < 0)
        return t3d_err_nomem(err, "the names of pictures");
    if (p->names.n == before) {
        *image = p->image[i];
        return T3D_OK;
    }
    r = open_named(p->o, m->name, strlen(m->name), &b, err);
    if (r == T3D_OK)
        r = t3di_read_picture(&picture, p->o->arena, b.data, b.size, p->o->flags, err);
    if (r < 0)
        return r;
    *image = p->image[i] = add_image(p, &picture);
    return *image < 0 ? t3d_err_nomem(err, "the pictures") : T3D_OK;
}

static int is_ok(const struct pictures *p, int32_t image)
{
    return image >= 0 && p->o->scene->image[image].state == T3D_PICTURE_OK;
}

static const uint8_t *pixels_of(const struct pictures *p, int32_t image)
{
    return is_ok(p, image) ? p->o->scene->image[image].pixels : NULL;
}

/* --- materials
 * --------------------------------------------------------------------------------------- */

static void set_texture(struct t3d_texture *t, int32_t image, const struct map *m)
{
    if (image < 0)
        return;
    t->image = image;
    t->wrap_s = t->wrap_t = m->clamp ? T3D_WRAP_CLAMP : T3D_WRAP_REPEAT;
    /* OBJ's v grows upwards: with v' = 1 - v, s v + o becomes s v' + (1 - s - o). */
    t->transform[0] = m->scale[0];
    t->transform[2] = m->offset[0];
    t->transform[4] = m->scale[1];
    t->transform[5] = 1 - m->scale[1] - m->offset[1];
}

/* A picture as large as the larger of two, whose channel c is that of image from[c] (its channel
 * in[c]), or 255; nearest samples. The same is made once. */
static int combine(struct pictures *p, const int32_t from[4], const int in[4], int has_alpha,
                   int32_t *image, struct t3d_err *err)
{
    struct t3d_picture out = {.state = T3D_PICTURE_OK, .has_alpha = (uint8_t)has_alpha};
    struct t3d_scene *s = p->o->scene;
    uint32_t before = p->names.n;
    char key[64];
    int64_t i;

    /* A newline is in no name. */
    snprintf(key, sizeof key, "\n%d %d %d %d", (int)from[0], (int)from[1], (int)from[2],
             (int)from[3]);
    *image = -1;
    if (before >= MAX_IMAGES)
        return T3D_OK;
    i = t3di_names_add(&p->names, key, strlen(key));
    if (i < 0)
        return t3d_err_nomem(err, "the names of pictures");
    if (p->names.n == before) {
        *image = p->image[i];
        return T3D_OK;
    }
    for (int c = 0; c < 4; c++)
        if (from[c] >= 0) {
            out.width = T3D_MAX(out.width, s->image[from[c]].width);
            out.height = T3D_MAX(out.height, s->image[from[c]].height);
        }
    out.pixels = t3d_alloc_raw(p->o->arena, (size_t)out.width * out.height, 4);
    if (!out.pixels)
        return t3di_no_room(p->o->arena, err, "a combined picture");
    memset(out.pixels, 255, 4 * (size_t)out.width * out.height);
    for (int c = 0; c < 4; c++) {
        const struct t3d_picture *f = from[c] >= 0 ? &s->image[from[c]] : NULL;
        for (uint32_t y = 0; f && y < out.height; y++) {
            const uint8_t *row =
                f->pixels + 4 * (size_t)f->width * ((uint64_t)y * f->height / out.height);
            uint8_t *to = out.pixels + 4 * (size_t)out.width * y;
            for (uint32_t x = 0; x < out.width; x++)
                to[4 * x + (uint32_t)c] =
                    row[4 * ((uint64_t)x * f->width / out.width) + (uint32_t)in[c]];
        }
    }
    *image = p->image[i] = add_image(p, &out);
    return *image < 0 ? t3d_err_nomem(err, "the pictures") : T3D_OK;
}

static int is_same(const struct map *a, const struct map *b)
{
    return a->name && b->name && strcmp(a->name, b->name) == 0;
}

/* Can the picture's alpha be what map_d means? Where the pixels are known, one that is full
 * everywhere is not. */
static int has_mask(const struct t3d_picture *p)
{
    size_t n = (size_t)p->width * p->height, i = 0;

    while (p->pixels && i < n && p->pixels[4 * i + 3] == 255)
        i++;
    return p->has_alpha && (!p->pixels || i < n);
}

/* Colour from map_Kd (else map_Ka), alpha from map_d's alpha, or from its red where it has none. */
static int set_base(struct pictures *p, const struct t3di_mtl *m, struct t3d_material *out,
                    struct t3d_err *err)
{
    const struct map *kd = &m->map[m->map[MAP_KD].name ? MAP_KD : MAP_KA], *d = &m->map[MAP_D];
    int black = m->kd[0] <= 0 && m->kd[1] <= 0 && m->kd[2] <= 0;
    int32_t color, alpha, image;
    int r;

    if ((r = load(p, kd, &color, err)) < 0 || (r = load(p, d, &alpha, err)) < 0)
        return r;
    image = color;
    for (int k = 0; k < 3; k++)
        out->base[k] = is_ok(p, color) && black ? 1 : m->kd[k];
    out->base[3] = m->d > 0 ? T3D_MIN(m->d, 1) : 1;
    if (is_ok(p, alpha)) {
        int own = has_mask(&p->o->scene->image[alpha]);
        if (!is_same(kd, d) && pixels_of(p, alpha) && (!is_ok(p, color) || pixels_of(p, color))) {
            int32_t c = is_ok(p, color) ? color : -1;
            if ((r = combine(p, (int32_t[4]){c, c, c, alpha}, (int[4]){0, 1, 2, own ? 3 : 0}, 1,
                             &image, err)) < 0)
                return r;
        } else if (!is_ok(p, color)) {
            image = alpha;
        }
        if (!is_same(kd, d) || own)
            out->alpha_mode = T3D_ALPHA_BLEND;
    }
    if (out->base[3] < 1)
        out->alpha_mode = T3D_ALPHA_BLEND;
    set_texture(&out->texture[T3D_TEX_BASE], image, is_ok(p, color) || !d->name ? kd : d);
    return T3D_OK;
}

/* The red channels of two pictures become green and blue of one; a picture named for both has them.
 */
static int set_metal_rough(struct pictures *p, const struct t3di_mtl *m, struct t3d_material *out,
                           struct t3d_err *err)
{
    const struct map *pr = &m->map[MAP_PR], *pm = &m->map[MAP_PM];
    int32_t rough, metal, image;
    int r;

    if ((r = load(p, pr, &rough, err)) < 0 || (r = load(p, pm, &metal, err)) < 0)
        return r;
    out->metallic = is_ok(p, metal) ? 1 : T3D_CLAMP(m->pm, 0, 1);
    out->roughness = is_ok(p, rough) ? 1
                     : m->has_pr     ? T3D_CLAMP(m->pr, 0, 1)
                     : m->has_ks && m->ks[0] <= 0 && m->ks[1] <= 0 && m->ks[2] <= 0
                         ? 1
                         : (float)sqrt(sqrt(2 / (T3D_MAX((double)m->ns, 0) + 2)));
    image = is_ok(p, rough) ? rough : metal;
    if (!is_same(pr, pm) && (pixels_of(p, rough) || pixels_of(p, metal))) {
        int32_t g = pixels_of(p, rough) ? rough : -1, b = pixels_of(p, metal) ? metal : -1;
        if ((r = combine(p, (int32_t[4]){-1, g, b, -1}, (int[4]){0, 0, 0, 0}, 0, &image, err)) < 0)
            return r;
    }
    set_texture(&out->texture[T3D_TEX_METAL_ROUGH], image, is_ok(p, rough) ? pr : pm);
    return T3D_OK;
}

/* Does the picture look like a tangent-space normal map? Its mean is near (.5, .5, 1); a height
 * map, which the same statement may name, is grey. */
static int is_normal_map(const struct t3d_picture *p)
{
    uint64_t sum[3] = {0, 0, 0}, n = (uint64_t)p->width * p->height, step = n / 65536 + 1, seen = 0;

    for (uint64_t i = 0; i < n; i += step, seen++)
        for (int c = 0; c < 3; c++)
            sum[c] += p->pixels[4 * i + (uint64_t)c];
    return sum[0] > 90 * seen && sum[0] < 165 * seen && sum[1] > 90 * seen && sum[1] < 165 * seen &&
           sum[2] > 180 * seen;
}

static int set_normal(struct pictures *p, const struct t3di_mtl *m, struct t3d_material *out,
                      struct t3d_err *err)
{
    const struct map *map = &m->map[m->map[MAP_NORM].name ? MAP_NORM : MAP_BUMP];
    int32_t image;
    int r = load(p, map, &image, err);

    if (r < 0)
        return r;
    if (map == &m->map[MAP_BUMP] && pixels_of(p, image) &&
        !is_normal_map(&p->o->scene->image[image]))
        image = -1;
    set_texture(&out->texture[T3D_TEX_NORMAL], image, map);
    out->normal_scale = map->name ? map->bump : 1;
    return T3D_OK;
}

static int set_emission(struct pictures *p, const struct t3di_mtl *m, struct t3d_material *out,
                        struct t3d_err *err)
{
    int black = m->ke[0] <= 0 && m->ke[1] <= 0 && m->ke[2] <= 0;
    int32_t image;
    int r = load(p, &m->map[MAP_KE], &image, err);

    if (r < 0)
        return r;
    for (int k = 0; k < 3; k++)
        out->emissive[k] = black && is_ok(p, image) ? 1 : m->ke[k];
    set_texture(&out->texture[T3D_TEX_EMISSIVE], image, &m->map[MAP_KE]);
    return T3D_OK;
}

int t3di_mtl_scene(const struct t3di_mtl_set *set, const struct t3di_obj_read *o, char *const *name,
                   uint32_t n, struct t3d_err *err)
{
    struct pictures p = {.o = o, .names = {.a = o->arena}};
    struct t3d_scene *s = o->scene;
    int r;

    s->material = t3d_alloc(o->arena, n, sizeof *s->material);
    p.image = t3d_alloc(o->arena, MAX_IMAGES, sizeof *p.image);
    if (!s->material || !p.image)
        return t3d_err_nomem(err, "the materials");
    for (uint32_t i = 0; i < n; i++) {
        int64_t k = t3di_names_find(&set->names, name[i], strlen(name[i]));
        struct t3d_material *out = &s->material[i];
        const struct t3di_mtl *m = k >= 0 ? set->mtl[k] : NULL;
        *out = t3di_plain_material();
        if (m &&
            ((r = set_base(&p, m, out, err)) < 0 || (r = set_metal_rough(&p, m, out, err)) < 0 ||
             (r = set_normal(&p, m, out, err)) < 0 || (r = set_emission(&p, m, out, err)) < 0))
            return r;
    }
    s->n_materials = n;
    return T3D_OK;
}
