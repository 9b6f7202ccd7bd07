/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/read.h"

#include <strings.h>

#include "geom/read_impl.h"

int t3di_no_room(const struct t3d_arena *a, struct t3d_err *err, const char *what)
{
    if (!a->limit)
        return t3d_err_nomem(err, what);
    return t3d_err_value(err, T3D_SKIP, "too-large", (double)a->limit,
                         "%s: more memory is needed than the %zu bytes allowed", what, a->limit);
}

void t3di_copy_printable(char *out, size_t size, const char *s)
{
    size_t n = strnlen(s, size - 1);

    for (size_t i = 0; i < n; i++)
        out[i] = (char)(s[i] < 0x20 || s[i] > 0x7e ? '?' : s[i]);
    out[n] = 0;
}

/* --- what the bytes look like --------------------------------------------------------------- */

static int starts(const struct t3d_source *src, const char *with)
{
    size_t n = strlen(with);

    return src->size >= n && memcmp(src->data, with, n) == 0;
}

/* First byte that is neither white space nor a byte order mark; -1 when there is none. */
static int first_byte(const struct t3d_source *src)
{
    size_t i = starts(src, "\xef\xbb\xbf") ? 3 : 0;

    for (; i < src->size; i++)
        if (!strchr(" \t\r\n", src->data[i]) || !src->data[i])
            return src->data[i];
    return -1;
}

static int is_glb(const struct t3d_source *src)
{
    return starts(src, "glTF");
}

static int is_gltf(const struct t3d_source *src)
{
    return first_byte(src) == '{';
}

static int is_ply(const struct t3d_source *src)
{
    return starts(src, "ply\n") || starts(src, "ply\r") || starts(src, "ply ");
}

/* OFF behind at most the letters of its variants. */
static int is_off(const struct t3d_source *src)
{
    static const char *const first[] = {"OFF",    "COFF",   "NOFF", "CNOFF", "STOFF",
                                        "STCOFF", "STNOFF", "nOFF", "4OFF",  "STCNOFF"};

    for (size_t i = 0; i < T3D_COUNT(first); i++)
        if (starts(src, first[i]))
            return 1;
    return 0;
}

/* Binary STL has no mark, but its size says how many facets there are. */
static int is_stl(const struct t3d_source *src)
{
    const uint8_t *n = src->data + 80;

    if (src->size >= 84 && src->size == 84 + 50 * (n[0] | (uint64_t)n[1] << 8 |
                                                   (uint64_t)n[2] << 16 | (uint64_t)n[3] << 24))
        return 1;
    return starts(src, "solid ") || starts(src, "solid\n") || starts(src, "solid\r");
}

typedef int reader(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                   unsigned flags, struct t3d_err *err);

/* Content decides where it can (looks), the ending where it cannot. */
static const struct {
    const char *ending;
    int (*looks)(const struct t3d_source *src); /* NULL = only the ending tells */
    reader *read;
} formats[] = {
    {"glb", is_glb, t3d_read_gltf},  {"gltf", is_gltf, t3d_read_gltf},
    {"ply", is_ply, t3d_read_ply},   {"off", is_off, t3d_read_off},
    {"obj", NULL, t3d_read_obj},     {"off", NULL, t3d_read_off},
    {"splat", NULL, t3d_read_splat}, {"stl", NULL, t3d_read_stl},
    {"stl", is_stl, t3d_read_stl}, /* "solid" is a word: other
     formats first */
};

/* --- what else it may be -----------------------------------------------------------------------
 */

static const char *other_format(const struct t3d_source *src)
{
    static const struct {
        const char *start, *name;
        size_t n;
    } known[] = {
        {"\x1f\x8b", "gzip data", 2},
        {"PK\3\4", "a zip archive (or .usdz, .3mf)", 4},
        {"; FBX", "an ASCII FBX file without its header", 5},
        {"BLENDER", "a Blender file", 7},
        {"PXR-USDC", "a binary USD file", 8},
        {"#usda", "an ASCII USD file", 5},
        {"ISO-10303-21", "a STEP file", 12},
        {"\x89PNG", "a PNG picture", 4},
        {"\xff\xd8\xff", "a JPEG picture", 3},
        {"RIFF", "a RIFF file (WebP, WAV)", 4},
        {"%PDF", "a PDF document", 4},
        {"7z\xbc\xaf\x27\x1c", "a 7z archive", 6},
        {"Rar!", "a RAR archive", 4},
        {"\xfd"
         "7zXZ",
         "xz data", 5},
        {"\x28\xb5\x2f\xfd", "zstd data", 4},
        {"version https://git-lfs", "a Git LFS pointer, not the file itself", 23},
        {"<!DOCTYPE", "an HTML page", 9},
        {"<!doctype", "an HTML page", 9},
        {"<html", "an HTML page", 5},
        {"<HTML", "an HTML page", 5},
        {"<?xml", "an XML file (COLLADA, X3D?)", 5},
    };

    if (!src->size)
        return "an empty file";
    for (size_t i = 0; i < T3D_COUNT(known); i++)
        if (src->size >= known[i].n && memcmp(src->data, known[i].start, known[i].n) == 0)
            return known[i].name;
    switch (first_byte(src)) {
    case '<':
        return "an HTML or XML page";
    case '[':
        return "a JSON array";
    case -1:
        return "white space only";
    case 0:
        return "binary data that begins with zeros";
    default:
        return "no format known here";
    }
}

static const char *ending_of(const struct t3d_source *src)
{
    return src->name ? t3d_path_ending(src->name) : "";
}

int t3d_read_scene(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                   unsigned flags, struct t3d_err *err)
{
    const char *ending = ending_of(src);

    for (size_t i = 0; i < T3D_COUNT(formats); i++)
        if (formats[i].looks && formats[i].looks(src))
            return formats[i].read(s, a, src, flags, err);
    if (t3di_is_other(src))
        return t3d_read_other(s, a, src, flags, err);
    for (size_t i = 0; i < T3D_COUNT(formats) && src->size; i++)
        if (!formats[i].looks && strcasecmp(ending, formats[i].ending) == 0)
            return formats[i].read(s, a, src, flags, err);
    return t3d_err_set(err, T3D_SKIP, "unknown-format",
                       "no 3D file that can be read: its bytes look like %s", other_format(src));
}
