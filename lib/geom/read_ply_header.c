/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/ply_impl.h"

#include <string.h>

#include "geom/read_impl.h"

static const uint8_t type_size[] = {0, 1, 1, 2, 2, 4, 4, 4, 8};

/* --- header
 * ---------------------------------------------------------------------------------------- */

static int find_type(const struct t3di_text *word)
{
    static const struct {
        const char *name;
        int type;
    } types[] = {
        {"char", T3DI_I8},   {"int8", T3DI_I8},     {"uchar", T3DI_U8},   {"uint8", T3DI_U8},
        {"short", T3DI_I16}, {"int16", T3DI_I16},   {"ushort", T3DI_U16}, {"uint16", T3DI_U16},
        {"int", T3DI_I32},   {"int32", T3DI_I32},   {"uint", T3DI_U32},   {"uint32", T3DI_U32},
        {"float", T3DI_F32}, {"float32", T3DI_F32}, {"double", T3DI_F64}, {"float64", T3DI_F64}};

    for (size_t i = 0; i < T3D_COUNT(types); i++)
        if (t3di_word_is(word, types[i].name))
            return types[i].type;
    return T3DI_PLY_NONE;
}

static int find_role(const struct t3di_text *word, int is_list)
{
    static const struct {
        const char *name;
        int role;
    } scalars[] = {{"x", T3DI_PLY_X},
                   {"y", T3DI_PLY_Y},
                   {"z", T3DI_PLY_Z},
                   {"nx", T3DI_PLY_NX},
                   {"ny", T3DI_PLY_NY},
                   {"nz", T3DI_PLY_NZ},
                   {"red", T3DI_PLY_R},
                   {"green", T3DI_PLY_G},
                   {"blue", T3DI_PLY_B},
                   {"alpha", T3DI_PLY_A},
                   {"r", T3DI_PLY_R},
                   {"g", T3DI_PLY_G},
                   {"b", T3DI_PLY_B},
                   {"a", T3DI_PLY_A},
                   {"diffuse_red", T3DI_PLY_R},
                   {"diffuse_green", T3DI_PLY_G},
                   {"diffuse_blue", T3DI_PLY_B},
                   {"u", T3DI_PLY_U},
                   {"v", T3DI_PLY_V},
                   {"s", T3DI_PLY_U},
                   {"t", T3DI_PLY_V},
                   {"texture_u", T3DI_PLY_U},
                   {"texture_v", T3DI_PLY_V},
                   {"texture_s", T3DI_PLY_U},
                   {"texture_t", T3DI_PLY_V},
                   {"f_dc_0", T3DI_PLY_DC0},
                   {"f_dc_1", T3DI_PLY_DC1},
                   {"f_dc_2", T3DI_PLY_DC2},
                   {"opacity", T3DI_PLY_OPACITY},
                   {"scale_0", T3DI_PLY_SCALE0},
                   {"scale_1", T3DI_PLY_SCALE1},
                   {"scale_2", T3DI_PLY_SCALE2},
                   {"rot_0", T3DI_PLY_ROT0},
                   {"rot_1", T3DI_PLY_ROT1},
                   {"rot_2", T3DI_PLY_ROT2},
                   {"rot_3", T3DI_PLY_ROT3}},
      lists[] = {{"vertex_indices", T3DI_PLY_INDICES},
                 {"vertex_index", T3DI_PLY_INDICES},
                 {"texcoord", T3DI_PLY_TEXCOORD}};

    for (size_t i = 0; is_list && i < T3D_COUNT(lists); i++)
        if (t3di_word_is(word, lists[i].name))
            return lists[i].role;
    for (size_t i = 0; !is_list && i < T3D_COUNT(scalars); i++)
        if (t3di_word_is(word, scalars[i].name))
            return scalars[i].role;
    return T3DI_PLY_OTHER;
}

static int bad_header(struct t3d_err *err, const struct t3di_text *line, const char *what)
{
    return t3d_err_set(err, T3D_SKIP, "bad-header", "the PLY header has %s: '%.*s'", what,
                       (int)T3D_MIN(line->end - line->p, 80), line->p);
}

static int read_format(struct t3di_ply *p, struct t3di_text *line, struct t3d_err *err)
{
    struct t3di_text word;

    if (!t3di_read_word(line, &word))
        return bad_header(err, line, "no format");
    if (t3di_word_is(&word, "ascii"))
        p->format = T3DI_PLY_ASCII;
    else if (t3di_word_is(&word, "binary_little_endian"))
        p->format = T3DI_PLY_LITTLE;
    else if (t3di_word_is(&word, "binary_big_endian"))
        p->format = T3DI_PLY_BIG;
    else
        return bad_header(err, &word, "an unknown format");
    return T3D_OK;
}

static int read_element(struct t3di_ply *p, struct t3di_text *line, struct t3d_err *err)
{
    static const char *const names[] = {"", "vertex", "face", "tristrips"};
    struct t3di_ply_element e = {.first = p->n_properties};
    struct t3di_text word;
    int64_t count;

    if (!t3di_read_word(line, &word))
        return bad_header(err, line, "an element without a name");
    t3di_skip_blanks(line);
    if (!t3di_read_int(line, &count) || count < 0)
        return bad_header(err, line, "an element without a count");
    if (p->n_elements == T3DI_PLY_MAX_ELEMENTS)
        return bad_header(err, &word, "too many elements");
    e.count = (uint64_t)count;
    for (uint8_t kind = T3DI_PLY_VERTEX; kind <= T3DI_PLY_STRIPS; kind++)
        if (t3di_word_is(&word, names[kind]))
            e.kind = kind;
    /* Of two of a kind the first counts. */
    for (uint32_t i = 0; i < p->n_elements; i++)
        if (p->element[i].kind == e.kind)
            e.kind = T3DI_PLY_UNKNOWN;
    p->element[p->n_elements++] = e;
    return T3D_OK;
}

static int read_property(struct t3di_ply *p, struct t3di_text *line, struct t3d_err *err)
{
    struct t3di_ply_property q = {T3DI_PLY_NONE, T3DI_PLY_NONE, T3DI_PLY_OTHER};
    struct t3di_text word, whole = *line;
    int is_list, complete;

    if (!p->n_elements)
        return bad_header(err, line, "a property before any element");
    if (p->n_properties == T3DI_PLY_MAX_PROPERTIES)
        return bad_header(err, line, "too many properties");
    complete = t3di_read_word(line, &word);
    is_list = complete && t3di_word_is(&word, "list");
    if (is_list && (complete = t3di_read_word(line, &word))) {
        q.list_type = (uint8_t)find_type(&word);
        complete = q.list_type && t3di_read_word(line, &word);
    }
    q.type = complete ? (uint8_t)find_type(&word) : T3DI_PLY_NONE;
    if (!q.type || !t3di_read_word(line, &word))
        return bad_header(err, &whole, "a property of unknown type or without a name");
    q.role = (uint8_t)find_role(&word, is_list);
    p->property[p->n_properties++] = q;
    p->element[p->n_elements - 1].n++;
    return T3D_OK;
}

static void read_comment(struct t3di_ply *p, const struct t3di_text *line,
                         struct t3d_scene_notes *notes)
{
    struct t3di_text rest = *line, word;
    char text[sizeof notes->generator];

    if (t3di_read_word(&rest, &word) && t3di_word_is(&word, "texturefile")) {
        if (p->texture.p == p->texture.end)
            p->texture = t3di_trim(&rest);
        return;
    }
    if (notes->generator[0])
        return;
    rest = t3di_trim(line);
    snprintf(text, sizeof text, "%.*s", (int)T3D_MIN(rest.end - rest.p, 60), rest.p);
    t3di_copy_printable(notes->generator, sizeof notes->generator, text);
}

/* A line without its end, which is "\n", "\r\n" or "\r". 0 at the end of the text. */
static int read_line(struct t3di_text *t, struct t3di_text *line)
{
    line->p = t->p;
    while (t->p < t->end && *t->p != '\n' && *t->p != '\r')
        t->p++;
    line->end = t->p;
    if (t->p == t->end)
        return 0;
    t->p += 1 + (*t->p == '\r' && t->p + 1 < t->end && t->p[1] == '\n');
    return 1;
}

int t3di_ply_header(struct t3di_ply *p, const struct t3d_source *src, struct t3d_scene_notes *notes,
                    struct t3d_err *err)
{
    struct t3di_text line, word, whole;
    int r = T3D_OK, has_format = 0;

    memset(p, 0, sizeof *p);
    p->body.p = p->texture.p = p->texture.end = (const char *)src->data;
    p->body.end = p->body.p + src->size;
    if (!read_line(&p->body, &line) || !t3di_read_word(&line, &word) || !t3di_word_is(&word, "ply"))
        return t3d_err_set(err, T3D_SKIP, "bad-header", "the file does not begin with 'ply'");
    while (r == T3D_OK) {
        if (!read_line(&p->body, &line))
            return t3d_err_set(err, T3D_SKIP, "truncated", "the PLY file ends within its header");
        whole = line;
        if (!t3di_read_word(&line, &word))
            continue;
        if (t3di_word_is(&word, "end_header"))
            break;
        if (t3di_word_is(&word, "format")) {
            r = read_format(p, &line, err);
            has_format = 1;
        } else if (t3di_word_is(&word, "element")) {
            r = read_element(p, &line, err);
        } else if (t3di_word_is(&word, "property")) {
            r = read_property(p, &line, err);
        } else if (t3di_word_is(&word, "comment")) {
            read_comment(p, &line, notes);
        } else if (!t3di_word_is(&word, "obj_info")) {
            r = bad_header(err, &whole, "an unknown line");
        }
    }
    if (r == T3D_OK && !has_format)
        return t3d_err_set(err, T3D_SKIP, "bad-header", "the PLY header names no format");
    return r;
}

/* --- values
 * ---------------------------------------------------------------------------------------- */

/* Bytes of one value, as a number with its lowest byte first. */
static int take(struct t3di_ply *p, int type, uint64_t *bits)
{
    int n = type_size[type];
    uint64_t v = 0;

    if (p->body.end - p->body.p < n)
        return 0;
    for (int i = 0; i < n; i++) {
        uint64_t byte = (uint8_t)p->body.p[i];
        v = p->format == T3DI_PLY_BIG ? v << 8 | byte : v | byte << (8 * i);
    }
    p->body.p += n;
    *bits = v;
    return 1;
}

static int64_t to_int(uint64_t bits, int type)
{
    switch (type) {
    case T3DI_I8:
        return (int8_t)bits;
    case T3DI_I16:
        return (int16_t)bits;
    case T3DI_I32:
        return (int32_t)bits;
    default:
        return (int64_t)bits;
    }
}

static double to_double(uint64_t bits, int type)
{
    uint32_t low = (uint32_t)bits;
    double d;
    float f;

    if (type == T3DI_F32) {
        memcpy(&f, &low, 4);
        return f;
    }
    if (type == T3DI_F64) {
        memcpy(&d, &bits, 8);
        /* A float cannot hold more; the caller counts infinity as what it is. */
        return d > 3.4028235e38    ? (double)__builtin_inff()
               : d < -3.4028235e38 ? (double)-__builtin_inff()
                                   : d;
    }
    return (double)to_int(bits, type);
}

static int at_word_end(const struct t3di_text *t)
{
    return t->p == t->end || t3di_is_space(*t->p);
}

int t3di_ply_float(struct t3di_ply *p, int type, float *out)
{
    uint64_t bits;

    if (p->format == T3DI_PLY_ASCII) {
        t3di_skip_spaces(&p->body);
        return t3di_read_float(&p->body, out) && at_word_end(&p->body);
    }
    if (!take(p, type, &bits))
        return 0;
    *out = (float)to_double(bits, type);
    return 1;
}

int t3di_ply_int(struct t3di_ply *p, int type, int64_t *out)
{
    uint64_t bits;
    double d;
    float f;

    if (p->format == T3DI_PLY_ASCII) {
        struct t3di_text before;
        t3di_skip_spaces(&p->body);
        before = p->body;
        if (t3di_read_int(&p->body, out) && at_word_end(&p->body))
            return 1;
        p->body = before; /* "3.0" */
        if (!t3di_read_float(&p->body, &f) || !at_word_end(&p->body))
            return 0;
        d = f;
    } else {
        if (!take(p, type, &bits))
            return 0;
        if (type < T3DI_F32) {
            *out = to_int(bits, type);
            return 1;
        }
        d = to_double(bits, type);
    }
    *out = d >= -1e15 && d <= 1e15 ? (int64_t)d : -1; /* as an index: wrong */
    return 1;
}

int t3di_ply_skip(struct t3di_ply *p, const struct t3di_ply_property *q)
{
    int64_t n = 1;

    if (q->list_type && (!t3di_ply_int(p, q->list_type, &n) || n < 0))
        return 0;
    if (p->format == T3DI_PLY_ASCII) {
        struct t3di_text word;
        for (; n > 0; n--) {
            t3di_skip_spaces(&p->body);
            if (!t3di_read_word(&p->body, &word))
                return 0;
        }
        return 1;
    }
    if ((p->body.end - p->body.p) / type_size[q->type] < n)
        return 0;
    p->body.p += n * type_size[q->type];
    return 1;
}

void t3di_ply_end_row(struct t3di_ply *p)
{
    if (p->format == T3DI_PLY_ASCII)
        while (p->body.p < p->body.end && *p->body.p != '\n' && *p->body.p != '\r')
            p->body.p++;
}

uint64_t t3di_ply_least_bytes(const struct t3di_ply *p, const struct t3di_ply_element *e)
{
    uint64_t row = 0, bytes;

    for (uint32_t i = e->first; i < e->first + e->n; i++) {
        const struct t3di_ply_property *q = &p->property[i];
        /* A digit and a space; the last one may lack its space, which the caller allows for. */
        row += p->format == T3DI_PLY_ASCII ? 2 : type_size[q->list_type ? q->list_type : q->type];
    }
    return __builtin_mul_overflow(row, e->count, &bytes) ? UINT64_MAX : bytes;
}
