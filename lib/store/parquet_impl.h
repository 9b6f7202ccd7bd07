/* SPDX-License-Identifier: Apache-2.0 */
/* store/parquet_impl.h -- between the parts of the Parquet reader: parquet_thrift.c reads headers,
 * parquet_page.c turns the pages of a column into values, parquet.c does the rest. */
#ifndef T3D_STORE_PARQUET_IMPL_H
#define T3D_STORE_PARQUET_IMPL_H

#include "store/parquet.h"

/* Bytes of one page, unpacked; writers make 1 MiB. */
enum { T3DI_PAGE_MAX = 64 << 20, T3DI_NAME = 128 };

/* parquet.thrift: enum Type, Encoding, CompressionCodec, PageType, FieldRepetitionType. */
enum t3di_pq_type {
    PQ_BOOLEAN,
    PQ_INT32,
    PQ_INT64,
    PQ_INT96,
    PQ_FLOAT,
    PQ_DOUBLE,
    PQ_BYTES,
    PQ_FIXED
};
enum t3di_pq_encoding { PQ_PLAIN = 0, PQ_PLAIN_DICTIONARY = 2, PQ_RLE = 3, PQ_RLE_DICTIONARY = 8 };
enum t3di_pq_codec {
    PQ_STORED,
    PQ_SNAPPY,
    PQ_GZIP,
    PQ_LZO,
    PQ_BROTLI,
    PQ_LZ4,
    PQ_ZSTD,
    PQ_LZ4_RAW
};
enum t3di_pq_page { PQ_DATA, PQ_INDEX, PQ_DICTIONARY, PQ_DATA_V2 };
enum t3di_pq_repetition { PQ_REQUIRED, PQ_OPTIONAL, PQ_REPEATED };

/* --- parquet_thrift.c: the compact protocol (apache/thrift, doc/specs/thrift-compact-protocol.md)
 */

struct t3di_thrift {
    const uint8_t *p, *end;
    int bad; /* damaged or cut off: all that is read from then on is 0 */
};

struct t3di_thrift_field {
    int id, type; /* type 0 = the struct ends */
};

/* The field behind f of the same struct (all zero before the first one). 0 = there is none. */
int t3di_thrift_field(struct t3di_thrift *t, struct t3di_thrift_field *f);
void t3di_thrift_skip(struct t3di_thrift *t, int type);
int64_t t3di_thrift_int(struct t3di_thrift *t, int type); /* i8 to i64; others are passed over */
int t3di_thrift_bool(struct t3di_thrift *t, int type);    /* of a field */
/* n bytes, borrowed; *n 0 when it is something else. */
const char *t3di_thrift_text(struct t3di_thrift *t, int type, size_t *n);
/* Number of elements, at most as many as there are bytes; *type of each. */
size_t t3di_thrift_list(struct t3di_thrift *t, int type, int *element);

struct t3di_pq_header {
    int type;
    int64_t size, packed; /* bytes of the page, unpacked and as it stands in the file */
    int has_crc;
    uint32_t crc;
    int64_t values, encoding, levels; /* levels: encoding of the definition levels */
    int64_t rep_bytes, def_bytes;     /* of version 2 */
    int is_packed;                    /* of version 2 */
};
/* Bytes taken, 0 = damaged or cut off. */
size_t t3di_pq_header(struct t3di_pq_header *h, const uint8_t *p, size_t n);

/* --- parquet_page.c: a column of a row group */

/* Runs of equal and of bit-packed numbers (Encodings.md, RLE/Bit-Packing Hybrid). */
struct t3di_pq_runs {
    const uint8_t *p, *end;
    unsigned width; /* bits, 0 to 32 */
    uint64_t left;  /* of the run */
    int packed;
    uint32_t value; /* of a run of equal ones */
    uint64_t bit;   /* of the next one of a packed run, from p */
};
/* 0, or -1 when the bytes are at an end. */
int t3di_pq_run_next(struct t3di_pq_runs *r, uint32_t *value);

struct t3di_pq_chunk { /* a column in a row group */
    int64_t at, bytes; /* in the file; bytes 0 = there is none */
    int64_t values;
    int codec;
};

struct t3di_pq_column {
    const char *file, *name; /* for messages */
    int fd;
    int type, optional;
    int64_t length; /* of PQ_FIXED */
    struct t3di_pq_chunk chunk;
    int64_t at, end, left; /* of the chunk: the next page, behind the last, values to come */
    uint8_t *page, *packed, *dictionary;
    size_t page_capacity, packed_capacity, dictionary_capacity, dictionary_n;
    uint32_t *entry; /* where each value of the dictionary begins */
    size_t entries, entry_capacity;
    int64_t page_left; /* values of the page to come */
    int encoding;
    struct t3di_pq_runs levels, indices;
    const uint8_t *p, *p_end; /* plain values */
    unsigned bit;             /* of plain booleans */
};

int t3di_pq_column_next(struct t3di_pq_column *c, struct t3d_parquet_value *v,
                        struct t3d_err *err) T3D_MUST_CHECK;
void t3di_pq_column_begin(struct t3di_pq_column *c, const struct t3di_pq_chunk *chunk);
void t3di_pq_column_fini(struct t3di_pq_column *c);

#endif
