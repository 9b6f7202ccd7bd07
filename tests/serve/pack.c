/* SPDX-License-Identifier: Apache-2.0 */
/* pack KIND OUT MEMBER...: archives as no honest program writes them.
 *
 *     pack zip OUT MEMBER...       written by hand, central directory last
 *     pack tar OUT MEMBER...       ustar by hand, "-" = standard output
 *     pack 7z|tar.xz|tar.zst|... OUT MEMBER...    by libarchive: plain members only
 *
 *     MEMBER = NAME=FILE           a regular file
 *              link:NAME=TARGET    symbolic link; hard:NAME=TARGET, fifo:NAME=, dev:NAME=
 *              secret:NAME=FILE    marked as encrypted (zip)
 *              deflate:NAME=FILE   compressed (zip); zip64:NAME=FILE with its sizes in a zip64
 * field sparse:NAME=BYTES   so large by its header, with one block of data at its end (tar)
 *              claim:NAME=BYTES    its header claims so many bytes, and there are none (tar) */
#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <libdeflate.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct member {
    const char *kind, *name, *value;
    unsigned char *data;
    size_t n;
    size_t at, packed; /* in a zip */
    uint32_t crc;
};

static FILE *out;
static size_t written;

static void die(const char *why, const char *what)
{
    fprintf(stderr, "pack: %s %s\n", why, what);
    exit(1);
}

static void put(const void *data, size_t n)
{
    if (n && fwrite(data, n, 1, out) != 1)
        die("cannot write", "the archive");
    written += n;
}

static void put_le(uint64_t v, int bytes)
{
    for (; bytes--; v >>= 8) {
        unsigned char c = (unsigned char)v;
        put(&c, 1);
    }
}

static void load(struct member *m)
{
    FILE *f = fopen(m->value, "rb");
    size_t room = 1 << 16, k;

    if (!f)
        die("cannot open", m->value);
    m->data = malloc(room);
    while (m->data && (k = fread(m->data + m->n, 1, room - m->n, f)) > 0)
        if ((m->n += k) == room)
            m->data = realloc(m->data, room *= 2);
    if (!m->data)
        die("no memory for", m->value);
    fclose(f);
}

static int is(const struct member *m, const char *kind)
{
    return strcmp(m->kind, kind) == 0;
}

static void parse(struct member *m, char *arg)
{
    static const char *const kinds[] = {"link",    "hard",  "fifo",   "dev",  "secret",
                                        "deflate", "zip64", "sparse", "claim"};
    char *colon = strchr(arg, ':'), *equals;

    m->kind = "file";
    for (size_t i = 0; colon && i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i]) == (size_t)(colon - arg) &&
            strncmp(arg, kinds[i], (size_t)(colon - arg)) == 0) {
            m->kind = kinds[i];
            arg = colon + 1;
            break;
        }
    equals = strrchr(arg, '=');
    if (!equals)
        die("no '=' in", arg);
    *equals = 0;
    m->name = arg;
    m->value = equals + 1;
    if (is(m, "file") || is(m, "secret") || is(m, "deflate") || is(m, "zip64"))
        load(m);
}

/* --- zip: APPNOTE.TXT 6.3.9, sections 4.3.7, 4.3.12 to 4.3.16
 * ----------------------------------------- */

static void zip_head(const struct member *m, int central, size_t packed, int method)
{
    int wide = is(m, "zip64"), flags = is(m, "secret");
    size_t name = strlen(m->name);

    put_le(central ? 0x02014b50 : 0x04034b50, 4);
    if (central)
        put_le(0x031e, 2); /* made by: Unix */
    put_le(wide ? 45 : 20, 2);
    put_le((uint64_t)flags, 2);
    put_le((uint64_t)method, 2);
    put_le(0x5a210000, 4); /* 2025-01-01 */
    put_le(m->crc, 4);
    put_le(wide ? UINT32_MAX : packed, 4);
    put_le(wide ? UINT32_MAX : m->n, 4);
    put_le(name, 2);
    put_le(wide ? (central ? 28 : 20) : 0, 2);
    if (central) {
        put_le(0, 2 + 2 + 2);
        put_le((uint64_t)(is(m, "link") ? 0120777 : 0100644) << 16, 4);
        put_le(wide ? UINT32_MAX : m->at, 4);
    }
    put(m->name, name);
    if (wide) {
        put_le(1, 2);
        put_le(central ? 24 : 16, 2);
        put_le(m->n, 8);
        put_le(packed, 8);
        if (central)
            put_le(m->at, 8);
    }
}

static void zip_member(struct member *m)
{
    unsigned char *packed;
    int method = 0;

    m->at = written;
    if (is(m, "link")) {
        m->data = (unsigned char *)(uintptr_t)m->value;
        m->n = strlen(m->value);
    }
    m->crc = libdeflate_crc32(0, m->data, m->n);
    m->packed = m->n;
    packed = m->data;
    if (is(m, "deflate")) {
        struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
        size_t room = libdeflate_deflate_compress_bound(c, m->n);

        packed = malloc(room);
        m->packed = libdeflate_deflate_compress(c, m->data, m->n, packed, room);
        method = 8;
        libdeflate_free_compressor(c);
    }
    zip_head(m, 0, m->packed, method);
    put(packed, m->packed);
    if (packed != m->data)
        free(packed);
}

static void zip(struct member *m, size_t n)
{
    size_t at, wide = 0, size;

    for (size_t i = 0; i < n; i++) {
        zip_member(&m[i]);
        wide |= is(&m[i], "zip64");
    }
    at = written;
    for (size_t i = 0; i < n; i++)
        zip_head(&m[i], 1, m[i].packed, is(&m[i], "deflate") ? 8 : 0);
    size = written - at;
    if (wide) {
        size_t end = written;

        put_le(0x06064b50, 4);
        put_le(44, 8);
        put_le(45, 2);
        put_le(45, 2);
        put_le(0, 8);
        put_le(n, 8);
        put_le(n, 8);
        put_le(size, 8);
        put_le(at, 8);
        put_le(0x07064b50, 4);
        put_le(0, 4);
        put_le(end, 8);
        put_le(1, 4);
    }
    put_le(0x06054b50, 4);
    put_le(0, 4);
    put_le(wide ? 0xffff : n, 2);
    put_le(wide ? 0xffff : n, 2);
    put_le(wide ? UINT32_MAX : size, 4);
    put_le(wide ? UINT32_MAX : at, 4);
    put_le(0, 2);
}

/* --- tar: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format" -------
 */

static void number(char *field, size_t width, uint64_t v)
{
    if (v >> (3 * (width - 1))) { /* GNU: the first bit set, then binary */
        memset(field, 0, width);
        for (size_t i = 0; i < 8; i++)
            field[width - 1 - i] = (char)(v >> (8 * i));
        field[0] = (char)0x80;
    } else {
        snprintf(field, width, "%0*llo", (int)width - 1, (unsigned long long)v);
    }
}

static void tar_member(const struct member *m)
{
    static const char zeros[512];
    char h[512] = {0};
    unsigned sum = 0;
    uint64_t value = strtoull(m->value, NULL, 10), size = m->n;
    int sparse = is(m, "sparse");

    memcpy(h, m->name, strnlen(m->name, 100));
    number(h + 100, 8, 0644);
    number(h + 108, 8, 0);
    number(h + 116, 8, 0);
    size = sparse ? 512 : is(m, "claim") ? value : size;
    number(h + 124, 12, size);
    number(h + 136, 12, 0);
    h[156] = is(m, "hard")   ? '1'
             : is(m, "link") ? '2'
             : is(m, "dev")  ? '3'
             : is(m, "fifo") ? '6'
                             : '0';
    if (is(m, "hard") || is(m, "link"))
        memcpy(h + 157, m->value, strnlen(m->value, 100));
    memcpy(h + 257, sparse ? "ustar  " : "ustar\00000", 8);
    if (sparse) {
        h[156] = 'S';
        number(h + 386, 12, value - 512);
        number(h + 398, 12, 512);
        number(h + 483, 12, value);
    }
    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < sizeof h; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    put(h, sizeof h);
    put(m->data, m->n);
    put(zeros, sparse ? 512 : (512 - m->n % 512) % 512);
}

static void tar(const struct member *m, size_t n)
{
    static const char zeros[1024];

    for (size_t i = 0; i < n; i++)
        tar_member(&m[i]);
    put(zeros, sizeof zeros);
}

/* --- what takes a library
 * ------------------------------------------------------------------------- */

static void *function(const char *name)
{
    static void *h;

    h = h ? h : dlopen("libarchive.so.13", RTLD_NOW);
    return h ? dlsym(h, name) : NULL;
}
#define F(name) ((__typeof__(&(name)))function(#name))

static void by_library(const char *kind, const char *path, const struct member *m, size_t n)
{
    struct archive *a = function("archive_write_new") ? F(archive_write_new)() : NULL;
    const char *filter = strncmp(kind, "tar.", 4) == 0 ? kind + 4 : NULL;

    if (!a)
        die("no libarchive for", kind);
    if (filter ? F(archive_write_set_format_ustar)(a) : F(archive_write_set_format_7zip)(a))
        die("cannot write", kind);
    if (filter && F(archive_write_add_filter_by_name)(a, filter))
        die("cannot write", kind);
    if (F(archive_write_open_filename)(a, path))
        die("cannot create", path);
    for (size_t i = 0; i < n; i++) {
        struct archive_entry *e = F(archive_entry_new)();

        F(archive_entry_set_pathname)(e, m[i].name);
        F(archive_entry_set_size)(e, (la_int64_t)m[i].n);
        F(archive_entry_set_filetype)(e, AE_IFREG);
        F(archive_entry_set_perm)(e, 0644);
        if (F(archive_write_header)(a, e) ||
            F(archive_write_data)(a, m[i].data, m[i].n) != (la_ssize_t)m[i].n)
            die("cannot write", m[i].name);
        F(archive_entry_free)(e);
    }
    if (F(archive_write_close)(a))
        die("cannot write", path);
    F(archive_write_free)(a);
}

int main(int argc, char **argv)
{
    size_t n = argc > 3 ? (size_t)argc - 3 : 0;
    struct member *m = calloc(n + 1, sizeof *m);

    if (argc < 3 || !m)
        die("usage:", "pack KIND OUT MEMBER...");
    for (size_t i = 0; i < n; i++)
        parse(&m[i], argv[i + 3]);
    if (strcmp(argv[1], "zip") != 0 && strcmp(argv[1], "tar") != 0) {
        by_library(argv[1], argv[2], m, n);
        return 0;
    }
    out = strcmp(argv[2], "-") == 0 ? stdout : fopen(argv[2], "wb");
    if (!out)
        die("cannot create", argv[2]);
    if (strcmp(argv[1], "zip") == 0)
        zip(m, n);
    else
        tar(m, n);
    return fclose(out) != 0;
}
