/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of one column chunk, as values. Nothing that a page says is believed before it has been
 * compared with the bytes that are there. */
#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "store/parquet_impl.h"
#include "store/snappy_impl.h"

enum { HEADER_MAX = 1 << 20, HEADER_FIRST = 4096 };

static int fault(const struct t3di_pq_column *c, const char *reason, const char *what,
                 struct t3d_err *err)
{
    return t3d_err_set(err, T3D_FAIL, reason, "'%s' column %s, page at byte %lld: %s", c->file,
                       c->name, (long long)c->at, what);
}

static int bad(const struct t3di_pq_column *c, const char *what, struct t3d_err *err)
{
    return fault(c, "bad-parquet", what, err);
}

static int grow(uint8_t **p, size_t *capacity, size_t n)
{
    uint8_t *more;

    if (n <= *capacity)
        return 0;
    n += n / 4;
    more = realloc(*p, n);
    if (!more)
        return -1;
    *p = more;
    *capacity = n;
    return 0;
}

static int read_at(const struct t3di_pq_column *c, void *to, size_t n, int64_t at,
                   struct t3d_err *err)
{
    for (size_t got = 0; got < n;) {
        ssize_t k = pread(c->fd, (char *)to + got, n - got, (off_t)(at + (int64_t)got));

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return t3d_err_sys(err, "cannot read", c->file);
        if (k == 0)
            return bad(c, "the file is cut off", err);
        got += (size_t)k;
    }
    return T3D_OK;
}

/* --- runs
 * ------------------------------------------------------------------------------------------- */

int t3di_pq_run_next(struct t3di_pq_runs *r, uint32_t *value)
{
    if (r->left == 0) {
        uint64_t head = 0;
        size_t bytes = (r->width + 7) / 8;
        unsigned shift = 0;

        if (r->packed) /* groups of 8 values take whole bytes */
            r->p += (r->bit + 7) / 8;
        r->packed = 0;
        do {
            if (r->p >= r->end || shift > 35)
                return -1;
            head |= (uint64_t)(*r->p & 0x7f) << shift;
            shift += 7;
        } while (*r->p++ & 0x80);
        r->packed = head & 1;
        r->left = r->packed ? 8 * (head >> 1) : head >> 1;
        r->bit = 0;
        if (!r->left)
            return -1;
        if (!r->packed) {
            if ((size_t)(r->end - r->p) < bytes)
                return -1;
            r->value = 0;
            for (size_t i = 0; i < bytes; i++)
                r->value |= (uint32_t)r->p[i] << (8 * i);
            r->p += bytes;
        }
    }
    r->left--;
    if (!r->packed) {
        *value = r->value;
        return 0;
    }
    *value = 0;
    /* The last group may be shorter than it says: its missing values are never asked for. */
    if ((r->bit + r->width + 7) / 8 > (uint64_t)(r->end - r->p))
        return -1;
    for (unsigned i = 0; i < r->width;) {
        unsigned in_byte = (unsigned)(r->bit & 7), take = 8 - in_byte;

        take = take < r->width - i ? take : r->width - i;
        *value |= (uint32_t)((r->p[r->bit >> 3] >> in_byte) & ((1u << take) - 1)) << i;
        i += take;
        r->bit += take;
    }
    return 0;
}

/* --- one page
 * --------------------------------------------------------------------------------------- */

static const char *codec_name(int codec)
{
    static const char *const names[] = {"stored", "Snappy", "gzip",      "LZO",
                                        "Brotli", "LZ4",    "Zstandard", "LZ4_RAW"};

    return codec >= 0 && codec < 8 ? names[codec] : "an unknown one";
}

static int unpack(struct t3di_pq_column *c, const uint8_t *in, size_t in_n, uint8_t *out, size_t n,
                  struct t3d_err *err)
{
    struct libdeflate_decompressor *d;
    char what[80];
    int ok;

    switch (c->chunk.codec) {
    case PQ_STORED:
        ok = in_n == n;
        if (ok && n)
            memcpy(out, in, n);
        break;
    case PQ_SNAPPY:
        ok = t3di_snappy(in, in_n, out, n) == 0;
        break;
    case PQ_GZIP:
        d = libdeflate_alloc_decompressor();
        if (!d)
            return t3d_err_nomem(err, c->file);
        ok = libdeflate_gzip_decompress(d, in, in_n, out, n, NULL) == LIBDEFLATE_SUCCESS;
        libdeflate_free_decompressor(d);
        break;
    case PQ_ZSTD:
        ok = ZSTD_decompress(out, n, in, in_n) == n;
        break;
    default:
        snprintf(what, sizeof what, "its compression is not read: %s", codec_name(c->chunk.codec));
        return fault(c, "unsupported-parquet", what, err);
    }
    return ok ? T3D_OK : bad(c, "cannot be unpacked", err);
}

/* Where the values of the dictionary begin; fixed-size ones need no list. */
static int index_dictionary(struct t3di_pq_column *c, int64_t values, struct t3d_err *err)
{
    size_t at = 0;

    c->entries = 0;
    if (values < 0 || (uint64_t)values > c->dictionary_n + 1)
        return bad(c, "the dictionary has more values than bytes", err);
    if ((size_t)values + 1 > c->entry_capacity) {
        uint32_t *more = realloc(c->entry, ((size_t)values + 1) * sizeof *more);

        if (!more)
            return t3d_err_nomem(err, c->file);
        c->entry = more;
        c->entry_capacity = (size_t)values + 1;
    }
    for (int64_t i = 0; i < values; i++) {
        const uint8_t *p = c->dictionary + at;
        uint64_t n = c->type == PQ_FIXED                          ? (uint64_t)c->length
                     : c->type == PQ_INT32 || c->type == PQ_FLOAT ? 4
                                                                  : 8;

        if (c->type == PQ_BYTES) {
            if (c->dictionary_n - at < 4)
                return bad(c, "the dictionary is cut off", err);
            n = 4 + ((uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
                     (uint64_t)p[3] << 24);
        }
        if (n > c->dictionary_n - at)
            return bad(c, "the dictionary is cut off", err);
        c->entry[c->entries++] = (uint32_t)at;
        at += n;
    }
    return T3D_OK;
}

static int take_dictionary(struct t3di_pq_column *c, const struct t3di_pq_header *h,
                           struct t3d_err *err)
{
    int r;

    if (h->encoding != PQ_PLAIN && h->encoding != PQ_PLAIN_DICTIONARY)
        return fault(c, "unsupported-parquet", "a dictionary that is not plain", err);
    if (c->type == PQ_BOOLEAN)
        return bad(c, "a dictionary of booleans", err);
    if (grow(&c->dictionary, &c->dictionary_capacity, (size_t)h->size + 1) < 0)
        return t3d_err_nomem(err, c->file);
    r = unpack(c, c->packed, (size_t)h->packed, c->dictionary, (size_t)h->size, err);
    c->dictionary_n = (size_t)h->size;
    return r == T3D_OK ? index_dictionary(c, h->values, err) : r;
}

static const char *encoding_name(int64_t e)
{
    static const char *const names[] = {
        "PLAIN",          "GROUP_VAR_INT",       "PLAIN_DICTIONARY",        "RLE",
        "BIT_PACKED",     "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY",
        "RLE_DICTIONARY", "BYTE_STREAM_SPLIT"};

    return e >= 0 && e < 10 ? names[e] : "an unknown one";
}

/* The values, behind the levels. */
static int begin_values(struct t3di_pq_column *c, const uint8_t *p, const uint8_t *end,
                        struct t3d_err *err)
{
    char what[80];

    c->p = p;
    c->p_end = end;
    c->bit = 0;
    switch (c->encoding) {
    case PQ_PLAIN:
        return T3D_OK;
    case PQ_PLAIN_DICTIONARY:
    case PQ_RLE_DICTIONARY:
        if (p == end) /* all are null */
            return T3D_OK;
        if (*p > 32)
            return bad(c, "indices of more than 32 bits", err);
        c->indices = (struct t3di_pq_runs){.p = p + 1, .end = end, .width = *p};
        return T3D_OK;
    case PQ_RLE:
        if (c->type != PQ_BOOLEAN)
            break;
        if (end - p < 4)
            return bad(c, "is cut off", err);
        c->indices = (struct t3di_pq_runs){.p = p + 4, .end = end, .width = 1};
        return T3D_OK;
    default:
        break;
    }
    snprintf(what, sizeof what, "its encoding is not read: %s", encoding_name(c->encoding));
    return fault(c, "unsupported-parquet", what, err);
}

/* Version 1: levels with their length before them, all compressed together. */
static int take_v1(struct t3di_pq_column *c, const struct t3di_pq_header *h, struct t3d_err *err)
{
    const uint8_t *p, *end;
    int r;

    if (grow(&c->page, &c->page_capacity, (size_t)h->size + 1) < 0)
        return t3d_err_nomem(err, c->file);
    r = unpack(c, c->packed, (size_t)h->packed, c->page, (size_t)h->size, err);
    if (r < 0)
        return r;
    p = c->page;
    end = p + h->size;
    if (c->optional) {
        uint64_t n;

        if (h->levels != PQ_RLE)
            return fault(c, "unsupported-parquet", "levels that are not in runs", err);
        if (end - p < 4)
            return bad(c, "is cut off", err);
        n = (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
        p += 4;
        if (n > (uint64_t)(end - p))
            return bad(c, "the levels are longer than the page", err);
        c->levels = (struct t3di_pq_runs){.p = p, .end = p + n, .width = 1};
        p += n;
    }
    return begin_values(c, p, end, err);
}

/* Version 2: levels without a length, never compressed. */
static int take_v2(struct t3di_pq_column *c, const struct t3di_pq_header *h, struct t3d_err *err)
{
    int64_t levels = h->def_bytes;
    int codec = c->chunk.codec, r;

    if (h->rep_bytes != 0 || levels < 0 || levels > h->size || levels > h->packed)
        return bad(c, "the levels are longer than the page", err);
    if (grow(&c->page, &c->page_capacity, (size_t)h->size + 1) < 0)
        return t3d_err_nomem(err, c->file);
    memcpy(c->page, c->packed, (size_t)levels);
    if (!h->is_packed)
        c->chunk.codec = PQ_STORED;
    r = h->size == levels ? T3D_OK
                          : unpack(c, c->packed + levels, (size_t)(h->packed - levels),
                                   c->page + levels, (size_t)(h->size - levels), err);
    c->chunk.codec = codec;
    if (r < 0)
        return r;
    c->levels = (struct t3di_pq_runs){.p = c->page, .end = c->page + levels, .width = 1};
    return begin_values(c, c->page + levels, c->page + h->size, err);
}

/* The header of the page at c->at; its bytes into c->packed. */
static int load(struct t3di_pq_column *c, struct t3di_pq_header *h, struct t3d_err *err)
{
    size_t room = (size_t)(c->end - c->at), n = room < HEADER_FIRST ? room : HEADER_FIRST, k;
    int r;

    for (;; n *= 8) { /* statistics may make it long */
        n = n < room ? n : room;
        if (grow(&c->packed, &c->packed_capacity, n + 1) < 0)
            return t3d_err_nomem(err, c->file);
        r = read_at(c, c->packed, n, c->at, err);
        if (r < 0)
            return r;
        k = t3di_pq_header(h, c->packed, n);
        if (k)
            break;
        if (n == room || n >= HEADER_MAX)
            return bad(c, "has no sound header", err);
    }
    if (h->size < 0 || h->packed < 0 || h->values < 0 || h->size > T3DI_PAGE_MAX ||
        h->packed > c->end - c->at - (int64_t)k)
        return bad(c, "says that it is longer than it can be", err);
    if (grow(&c->packed, &c->packed_capacity, (size_t)h->packed + 1) < 0)
        return t3d_err_nomem(err, c->file);
    r = read_at(c, c->packed, (size_t)h->packed, c->at + (int64_t)k, err);
    if (r == T3D_OK && h->has_crc && libdeflate_crc32(0, c->packed, (size_t)h->packed) != h->crc)
        r = bad(c, "has another checksum", err);
    c->at += (int64_t)k + h->packed;
    return r;
}

static int next_page(struct t3di_pq_column *c, struct t3d_err *err)
{
    while (c->page_left == 0) {
        struct t3di_pq_header h;
        int r;

        if (c->at >= c->end)
            return bad(c, "the column has fewer values than the table has rows", err);
        r = load(c, &h, err);
        if (r < 0)
            return r;
        if (h.type == PQ_DICTIONARY) {
            r = take_dictionary(c, &h, err);
        } else if (h.type == PQ_DATA || h.type == PQ_DATA_V2) {
            if (h.values > c->left)
                return bad(c, "has more values than the column", err);
            c->encoding = (int)h.encoding;
            r = h.type == PQ_DATA ? take_v1(c, &h, err) : take_v2(c, &h, err);
            c->page_left = h.values;
        } /* an index page is passed over */
        if (r < 0)
            return r;
    }
    return T3D_OK;
}

/* --- values
 * ------------------------------------------------------------------------------------------ */

/* The value at p; bytes taken, 0 = it is not all there. */
static size_t plain(const struct t3di_pq_column *c, const uint8_t *p, const uint8_t *end,
                    struct t3d_parquet_value *v)
{
    size_t n = (size_t)(end - p);
    uint32_t w = 0;
    uint64_t d = 0;
    float f;

    if (n >= 4)
        memcpy(&w, p, 4); /* little-endian, as the machines we know */
    if (n >= 8)
        memcpy(&d, p, 8);
    switch (c->type) {
    case PQ_BYTES:
        if (n < 4 || w > n - 4)
            return 0;
        *v = (struct t3d_parquet_value){
            .type = T3D_PARQUET_TEXT, .text = (const char *)p + 4, .n = w};
        return 4 + (size_t)w;
    case PQ_FIXED:
        if (n < (size_t)c->length)
            return 0;
        *v = (struct t3d_parquet_value){
            .type = T3D_PARQUET_TEXT, .text = (const char *)p, .n = (size_t)c->length};
        return (size_t)c->length;
    case PQ_INT32:
        *v = (struct t3d_parquet_value){.type = T3D_PARQUET_WHOLE, .whole = (int32_t)w};
        return n < 4 ? 0 : 4;
    case PQ_FLOAT:
        memcpy(&f, &w, 4);
        *v = (struct t3d_parquet_value){.type = T3D_PARQUET_REAL, .real = (double)f};
        return n < 4 ? 0 : 4;
    case PQ_INT64:
        *v = (struct t3d_parquet_value){.type = T3D_PARQUET_WHOLE, .whole = (int64_t)d};
        return n < 8 ? 0 : 8;
    default: /* PQ_DOUBLE */
        *v = (struct t3d_parquet_value){.type = T3D_PARQUET_REAL};
        memcpy(&v->real, &d, 8);
        return n < 8 ? 0 : 8;
    }
}

static int take_value(struct t3di_pq_column *c, struct t3d_parquet_value *v, struct t3d_err *err)
{
    uint32_t i;
    size_t k;

    if (c->encoding == PQ_RLE) {
        if (t3di_pq_run_next(&c->indices, &i) < 0)
            return bad(c, "has too few values", err);
        *v = (struct t3d_parquet_value){.type = T3D_PARQUET_WHOLE, .whole = i & 1};
    } else if (c->encoding != PQ_PLAIN) {
        if (!c->indices.p || t3di_pq_run_next(&c->indices, &i) < 0)
            return bad(c, "has too few indices", err);
        if (i >= c->entries)
            return bad(c, "an index is outside of the dictionary", err);
        plain(c, c->dictionary + c->entry[i], c->dictionary + c->dictionary_n, v);
    } else if (c->type == PQ_BOOLEAN) {
        if (c->p >= c->p_end)
            return bad(c, "has too few values", err);
        *v = (struct t3d_parquet_value){.type = T3D_PARQUET_WHOLE, .whole = *c->p >> c->bit & 1};
        c->bit = (c->bit + 1) & 7;
        c->p += c->bit == 0;
    } else {
        k = plain(c, c->p, c->p_end, v);
        if (!k)
            return bad(c, "has too few values", err);
        c->p += k;
    }
    return T3D_OK;
}

int t3di_pq_column_next(struct t3di_pq_column *c, struct t3d_parquet_value *v, struct t3d_err *err)
{
    uint32_t level = 1;

    v->type = T3D_PARQUET_NULL;
    if (c->page_left == 0) {
        int r = next_page(c, err);

        if (r < 0)
            return r;
    }
    if (c->optional && t3di_pq_run_next(&c->levels, &level) < 0)
        return bad(c, "has too few levels", err);
    c->page_left--;
    c->left--;
    return level ? take_value(c, v, err) : T3D_OK;
}

void t3di_pq_column_begin(struct t3di_pq_column *c, const struct t3di_pq_chunk *chunk)
{
    c->chunk = *chunk;
    c->at = chunk->at;
    c->end = chunk->at + chunk->bytes;
    c->left = chunk->values;
    c->page_left = 0;
    c->entries = 0;
    c->indices = c->levels = (struct t3di_pq_runs){0};
}

void t3di_pq_column_fini(struct t3di_pq_column *c)
{
    free(c->page);
    free(c->packed);
    free(c->dictionary);
    free(c->entry);
}
