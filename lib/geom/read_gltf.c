/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "geom/gltf_impl.h"

enum { MAX_DEPTH = 256 }; /* of the JSON text; nodes lie flat, so this bounds only extras */

int t3di_gltf_bad(struct t3di_gltf *g, const char *why)
{
    g->why = why;
    return GLTF_BAD;
}

uint32_t t3di_gltf_ref(const struct t3di_gltf *g, uint32_t tok, const char *key,
                       enum gltf_array array)
{
    uint32_t t = t3d_jtok_member(&g->j, tok, key);
    uint64_t i;

    if (!t)
        return GLTF_NONE;
    return t3d_jtok_whole(&g->j, t, &i) && i < g->list[array].n ? (uint32_t)i : GLTF_INVALID;
}

size_t t3di_gltf_numbers(const struct t3di_gltf *g, uint32_t tok, double *out, size_t n)
{
    const struct t3d_jtok *t = &g->j.tok[tok];
    size_t i = 0;

    if (t->type != T3D_JTOK_ARRAY)
        return 0;
    for (uint32_t e = t3d_jtok_first(&g->j, tok); i < t->n && i < n; i++, e = g->j.tok[e].next)
        out[i] = t3d_jtok_number(&g->j, e, 0);
    return t->n;
}

uint32_t t3di_gltf_extension(const struct t3di_gltf *g, uint32_t tok, const char *name)
{
    return t3d_jtok_member(&g->j, t3d_jtok_member(&g->j, tok, "extensions"), name);
}

/* --- container ------------------------------------------------------------------------- */

static uint32_t u32_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int bad_glb(struct t3di_gltf *g, const char *what)
{
    return t3d_err_set(g->err, T3D_SKIP, "bad-glb", "%s", what);
}

/* Section 4.4: 12 bytes of header, a JSON chunk, then perhaps a BIN chunk, then chunks to pass
 * over. */
static int split_glb(struct t3di_gltf *g, const char **text, size_t *text_size)
{
    const uint8_t *d = g->src->data;
    uint32_t version, length, chunk;
    size_t at;

    if (g->src->size < 20)
        return t3d_err_value(g->err, T3D_SKIP, "truncated", (double)g->src->size,
                             "a .glb of %zu bytes has no room for its headers", g->src->size);
    version = u32_at(d + 4);
    length = u32_at(d + 8);
    if (version != 2)
        return t3d_err_value(g->err, T3D_SKIP, "unsupported-version", version,
                             "binary glTF version %u is not 2", version);
    if (length > g->src->size)
        return t3d_err_value(g->err, T3D_SKIP, "truncated", (double)g->src->size,
                             "a .glb of %u bytes ends at byte %zu", length, g->src->size);
    chunk = u32_at(d + 12);
    if (length < 20 || chunk > length - 20 || memcmp(d + 16, "JSON", 4) != 0)
        return bad_glb(g, "the first chunk of the .glb is no JSON chunk inside the file");
    *text = (const char *)d + 20;
    *text_size = chunk;
    for (at = 20 + (size_t)chunk; at + 8 <= length; at += 8 + (size_t)chunk) {
        chunk = u32_at(d + at);
        if (chunk > length - at - 8)
            return bad_glb(g, "a chunk of the .glb reaches beyond the end of the file");
        if (memcmp(d + at + 4, "BIN\0", 4) == 0 && !g->bin) {
            g->bin = d + at + 8;
            g->bin_size = chunk;
        }
    }
    return T3D_OK;
}

static int split(struct t3di_gltf *g, const char **text, size_t *text_size)
{
    int glb = g->src->size >= 4 && memcmp(g->src->data, "glTF", 4) == 0;

    t3di_copy_printable(g->s->notes.format, sizeof g->s->notes.format, glb ? "glb" : "gltf");
    if (glb)
        return split_glb(g, text, text_size);
    *text = (const char *)g->src->data;
    *text_size = g->src->size;
    return T3D_OK;
}

/* --- head of the JSON ------------------------------------------------------------------ */

static int check_asset(struct t3di_gltf *g)
{
    uint32_t asset = t3d_jtok_member(&g->j, T3D_JTOK_ROOT, "asset");
    char *version = t3d_jtok_string(&g->j, t3d_jtok_member(&g->j, asset, "version"), g->a);
    char *generator = t3d_jtok_string(&g->j, t3d_jtok_member(&g->j, asset, "generator"), g->a);

    if (!version || strncmp(version, "2.", 2) != 0)
        return t3d_err_set(g->err, T3D_SKIP, version ? "unsupported-version" : "bad-gltf",
                           "asset.version is '%s', not 2.x: is this a glTF 2.0 file?",
                           version ? version : "");
    if (generator)
        t3di_copy_printable(g->s->notes.generator, sizeof g->s->notes.generator, generator);
    return T3D_OK;
}

/* Extensions whose effect on surfaces is read, or which have none. */
static int is_supported(const struct t3d_jsontok *j, uint32_t t)
{
    static const char *const names[] = {"KHR_mesh_quantization",
                                        "KHR_texture_transform",
                                        "KHR_materials_unlit",
                                        "KHR_materials_pbrSpecularGlossiness",
                                        "KHR_materials_emissive_strength",
                                        "EXT_texture_webp",
                                        "EXT_mesh_gpu_instancing",
                                        "KHR_gaussian_splatting",
                                        "KHR_lights_punctual",
                                        "KHR_materials_variants",
                                        "KHR_animation_pointer",
                                        "KHR_xmp",
                                        "KHR_xmp_json_ld"};

    for (size_t i = 0; i < T3D_COUNT(names); i++)
        if (t3d_jtok_is(j, t, names[i]))
            return 1;
    return 0;
}

static int check_extensions(struct t3di_gltf *g)
{
    uint32_t list = t3d_jtok_member(&g->j, T3D_JTOK_ROOT, "extensionsRequired");
    uint32_t t = t3d_jtok_first(&g->j, list);

    for (uint32_t i = 0; t && i < g->j.tok[list].n; i++, t = g->j.tok[t].next) {
        char *name;

        if (is_supported(&g->j, t))
            continue;
        name = t3d_jtok_string(&g->j, t, g->a);
        return t3d_err_set(g->err, T3D_SKIP, "required-extension",
                           "the object requires the glTF extension '%s', which is not supported",
                           name ? name : "?");
    }
    return T3D_OK;
}

static uint32_t count_of(const struct t3di_gltf *g, uint32_t tok)
{
    return g->j.tok[tok].type == T3D_JTOK_ARRAY ? g->j.tok[tok].n : 0;
}

static int make_lists(struct t3di_gltf *g)
{
    static const char *const names[GLTF_ARRAYS] = {
        "accessors", "bufferViews", "buffers", "images", "materials", "meshes",
        "nodes",     "samplers",    "scenes",  "skins",  "textures"};

    for (int k = 0; k < GLTF_ARRAYS; k++) {
        uint32_t tok = t3d_jtok_member(&g->j, T3D_JTOK_ROOT, names[k]), t;
        struct gltf_list *l = &g->list[k];

        l->n = count_of(g, tok);
        l->tok = t3d_alloc_raw(g->a, l->n, sizeof *l->tok);
        if (!l->tok)
            return t3di_no_room(g->a, g->err, "a glTF file");
        t = t3d_jtok_first(&g->j, tok);
        for (uint32_t i = 0; i < l->n; i++, t = g->j.tok[t].next)
            l->tok[i] = t;
    }
    g->buffer = t3d_alloc(g->a, g->list[GLTF_BUFFERS].n, sizeof *g->buffer);
    g->accessor = t3d_alloc(g->a, g->list[GLTF_ACCESSORS].n, sizeof *g->accessor);
    g->mesh = t3d_alloc(g->a, g->list[GLTF_MESHES].n, sizeof *g->mesh);
    g->skin = t3d_alloc(g->a, g->list[GLTF_SKINS].n, sizeof *g->skin);
    if (!g->buffer || !g->accessor || !g->mesh || !g->skin)
        return t3di_no_room(g->a, g->err, "a glTF file");
    return T3D_OK;
}

static void fill_notes(struct t3di_gltf *g)
{
    struct t3d_scene_notes *n = &g->s->notes;
    uint32_t animations = t3d_jtok_member(&g->j, T3D_JTOK_ROOT, "animations");

    n->n_nodes = g->list[GLTF_NODES].n;
    n->n_meshes = g->list[GLTF_MESHES].n;
    n->n_skins = g->list[GLTF_SKINS].n;
    n->n_animations = count_of(g, animations);
    for (uint32_t i = 0; i < g->list[GLTF_MESHES].n; i++) {
        uint32_t p = t3d_jtok_member(&g->j, g->list[GLTF_MESHES].tok[i], "primitives");
        uint32_t first = t3d_jtok_first(&g->j, p);

        n->n_morph_targets += count_of(g, t3d_jtok_member(&g->j, first, "targets"));
    }
}

static int read_head(struct t3di_gltf *g)
{
    const char *text = NULL;
    size_t size = 0;
    int r = split(g, &text, &size);

    if (r < 0 || (r = t3d_jsontok_parse(&g->j, g->a, text, size, MAX_DEPTH, g->err)) < 0)
        return r;
    if (g->j.tok[T3D_JTOK_ROOT].type != T3D_JTOK_OBJECT)
        return t3d_err_set(g->err, T3D_SKIP, "bad-gltf", "the JSON text is no object");
    if ((r = check_asset(g)) < 0 || (r = check_extensions(g)) < 0 || (r = make_lists(g)) < 0)
        return r;
    fill_notes(g);
    return T3D_OK;
}

int t3d_read_gltf(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                  unsigned flags, struct t3d_err *err)
{
    struct t3di_gltf g = {.a = a, .s = s, .src = src, .err = err, .flags = flags};
    int r;

    *s = (struct t3d_scene){0};
    if ((r = read_head(&g)) < 0)
        return r;
    if (flags & T3D_READ_NAMES)
        return t3di_gltf_names(&g);
    if ((r = t3di_gltf_nodes(&g)) < 0 || (r = t3di_gltf_plan(&g)) < 0 ||
        (r = t3di_gltf_materials(&g)) < 0 || (r = t3di_gltf_draws(&g)) < 0 ||
        (r = t3di_gltf_splats(&g)) < 0)
        return r;
    return t3di_gltf_pictures(&g);
}
