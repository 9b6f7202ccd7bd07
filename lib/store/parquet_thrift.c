/* SPDX-License-Identifier: Apache-2.0 */
/* Thrift's compact protocol, as much of it as Parquet's headers need. */
#include <string.h>

#include "store/parquet_impl.h"

enum { STOP, TRUE_, FALSE_, I8, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT };
enum { DEEPEST = 32 };

static uint8_t byte(struct t3di_thrift *t)
{
    if (t->p < t->end)
        return *t->p++;
    t->bad = 1;
    return 0;
}

static uint64_t varint(struct t3di_thrift *t)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t b = byte(t);

        v |= shift < 64 ? (uint64_t)(b & 0x7f) << shift : 0;
        if (!(b & 0x80))
            return v;
    }
    t->bad = 1;
    return 0;
}

static int64_t zigzag(struct t3di_thrift *t)
{
    uint64_t v = varint(t);

    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

int t3di_thrift_field(struct t3di_thrift *t, struct t3di_thrift_field *f)
{
    uint8_t b = t->bad ? 0 : byte(t);

    f->type = b & 15;
    if (f->type == STOP)
        return 0;
    if (b >> 4)
        f->id += b >> 4;
    else
        f->id = (int)(int16_t)zigzag(t);
    return !t->bad;
}

size_t t3di_thrift_list(struct t3di_thrift *t, int type, int *element)
{
    uint8_t b;
    uint64_t n;

    *element = STOP;
    if (type != LIST && type != SET) {
        t3di_thrift_skip(t, type);
        return 0;
    }
    b = byte(t);
    n = b >> 4 == 15 ? varint(t) : b >> 4;
    *element = b & 15;
    if (n > (uint64_t)(t->end - t->p)) /* each takes a byte at least */
        t->bad = 1;
    return t->bad ? 0 : (size_t)n;
}

static void pass(struct t3di_thrift *t, uint64_t n)
{
    if (n > (uint64_t)(t->end - t->p))
        t->bad = 1;
    else
        t->p += n;
}

static void skip(struct t3di_thrift *t, int type, int in_list, int depth);

static void skip_many(struct t3di_thrift *t, int type, int depth)
{
    struct t3di_thrift_field f = {0};
    int key = STOP, value = STOP;
    uint64_t n;

    if (type == STRUCT) {
        while (!t->bad && t3di_thrift_field(t, &f))
            skip(t, f.type, 0, depth);
    } else if (type == MAP) {
        n = varint(t);
        if (n) {
            uint8_t b = byte(t);

            key = b >> 4;
            value = b & 15;
        }
        for (; n && !t->bad; n--) {
            skip(t, key, 1, depth);
            skip(t, value, 1, depth);
        }
    } else {
        for (n = t3di_thrift_list(t, type, &value); n && !t->bad; n--)
            skip(t, value, 1, depth);
    }
}

static void skip(struct t3di_thrift *t, int type, int in_list, int depth)
{
    if (depth > DEEPEST) {
        t->bad = 1;
        return;
    }
    switch (type) {
    case TRUE_:
    case FALSE_:
        if (in_list)
            byte(t);
        break;
    case I8:
        byte(t);
        break;
    case I16:
    case I32:
    case I64:
        varint(t);
        break;
    case DOUBLE:
        pass(t, 8);
        break;
    case BINARY:
        pass(t, varint(t));
        break;
    case LIST:
    case SET:
    case MAP:
    case STRUCT:
        skip_many(t, type, depth + 1);
        break;
    default:
        t->bad = 1;
    }
}

void t3di_thrift_skip(struct t3di_thrift *t, int type)
{
    skip(t, type, 0, 0);
}

int64_t t3di_thrift_int(struct t3di_thrift *t, int type)
{
    if (type == I8)
        return (int8_t)byte(t);
    if (type == I16 || type == I32 || type == I64)
        return zigzag(t);
    t3di_thrift_skip(t, type);
    return 0;
}

int t3di_thrift_bool(struct t3di_thrift *t, int type)
{
    if (type != TRUE_ && type != FALSE_)
        t3di_thrift_skip(t, type);
    return type == TRUE_;
}

const char *t3di_thrift_text(struct t3di_thrift *t, int type, size_t *n)
{
    const char *s;
    uint64_t k;

    *n = 0;
    if (type != BINARY) {
        t3di_thrift_skip(t, type);
        return "";
    }
    k = varint(t);
    s = (const char *)t->p;
    pass(t, k);
    *n = t->bad ? 0 : (size_t)k;
    return s;
}

/* --- struct PageHeader
 * ------------------------------------------------------------------------------ */

static void data_v1(struct t3di_thrift *t, struct t3di_pq_header *h)
{
    struct t3di_thrift_field f = {0};

    while (t3di_thrift_field(t, &f))
        if (f.id == 1)
            h->values = t3di_thrift_int(t, f.type);
        else if (f.id == 2)
            h->encoding = t3di_thrift_int(t, f.type);
        else if (f.id == 3)
            h->levels = t3di_thrift_int(t, f.type);
        else
            t3di_thrift_skip(t, f.type);
}

static void data_v2(struct t3di_thrift *t, struct t3di_pq_header *h)
{
    struct t3di_thrift_field f = {0};

    h->is_packed = 1;
    while (t3di_thrift_field(t, &f))
        if (f.id == 1)
            h->values = t3di_thrift_int(t, f.type);
        else if (f.id == 4)
            h->encoding = t3di_thrift_int(t, f.type);
        else if (f.id == 5)
            h->def_bytes = t3di_thrift_int(t, f.type);
        else if (f.id == 6)
            h->rep_bytes = t3di_thrift_int(t, f.type);
        else if (f.id == 7)
            h->is_packed = t3di_thrift_bool(t, f.type);
        else
            t3di_thrift_skip(t, f.type);
}

size_t t3di_pq_header(struct t3di_pq_header *h, const uint8_t *p, size_t n)
{
    struct t3di_thrift t = {.p = p, .end = p + n};
    struct t3di_thrift_field f = {0};

    memset(h, 0, sizeof *h);
    h->type = -1;
    h->levels = PQ_RLE;
    while (t3di_thrift_field(&t, &f))
        if (f.id == 1) {
            h->type = (int)t3di_thrift_int(&t, f.type);
        } else if (f.id == 2) {
            h->size = t3di_thrift_int(&t, f.type);
        } else if (f.id == 3) {
            h->packed = t3di_thrift_int(&t, f.type);
        } else if (f.id == 4) {
            h->has_crc = 1;
            h->crc = (uint32_t)t3di_thrift_int(&t, f.type);
        } else if ((f.id == 5 || f.id == 7) && f.type == STRUCT) {
            data_v1(&t, h);
        } else if (f.id == 8 && f.type == STRUCT) {
            data_v2(&t, h);
        } else {
            t3di_thrift_skip(&t, f.type);
        }
    return t.bad ? 0 : (size_t)(t.p - p);
}
