/* SPDX-License-Identifier: Apache-2.0 */
#include "store/tfevents.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

enum { HEAD = 12, TAIL = 4, MAX_TAG = 128, PNG_SIDES = 16 };

/* Tag bytes of protobuf: field * 8 + wire type; 0 varint, 1 eight bytes, 2 length, 5 four bytes. */
enum wire { VARINT = 0, EIGHT = 1, BYTES = 2, FOUR = 5 };

struct t3d_tfevents {
    int fd;
    char *path;
};

/* --- bytes ----------------------------------------------------------------------------------- */

uint32_t t3d_crc32c(const void *data, size_t n)
{
    const uint8_t *p = data;
    uint32_t c = 0xffffffff;

    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = (c >> 1) ^ (c & 1 ? 0x82f63b78 : 0);
    }
    return ~c;
}

static uint32_t masked(const void *data, size_t n)
{
    uint32_t c = t3d_crc32c(data, n);

    return (c >> 15 | c << 17) + 0xa282ead8;
}

struct bytes {
    uint8_t *at;
    size_t n, capacity;
    int failed; /* memory was out */
};

static void put(struct bytes *b, const void *data, size_t n)
{
    if (n > b->capacity - b->n) {
        size_t capacity = 2 * b->capacity + n + 64;
        uint8_t *at = b->failed ? NULL : realloc(b->at, capacity);

        if (!at) {
            b->failed = 1;
            return;
        }
        b->at = at;
        b->capacity = capacity;
    }
    memcpy(b->at + b->n, data, n);
    b->n += n;
}

static void put_little(struct bytes *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        put(b, &(uint8_t){(uint8_t)(v >> 8 * i)}, 1);
}

static void put_varint(struct bytes *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        put(b, &(uint8_t){(uint8_t)(v | 0x80)}, 1);
    put(b, &(uint8_t){(uint8_t)v}, 1);
}

static void put_tag(struct bytes *b, int field, enum wire wire)
{
    put_varint(b, (uint64_t)field << 3 | wire);
}

static void put_number(struct bytes *b, int field, uint64_t v)
{
    put_tag(b, field, VARINT);
    put_varint(b, v);
}

static void put_bytes(struct bytes *b, int field, const void *data, size_t n)
{
    put_tag(b, field, BYTES);
    put_varint(b, n);
    put(b, data, n);
}

static void put_message(struct bytes *b, int field, const struct bytes *inner)
{
    put_bytes(b, field, inner->at ? inner->at : (const uint8_t *)"", inner->n);
    b->failed |= inner->failed;
}

/* --- records --------------------------------------------------------------------------------- */

/* TensorBoard orders and shows by this time; nothing else of a run knows it. */
static void begin_event(struct bytes *b)
{
    struct timespec t;
    double now;
    uint64_t bits;

    clock_gettime(CLOCK_REALTIME, &t);
    now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    memcpy(&bits, &now, sizeof bits);
    put_tag(b, 1, EIGHT);
    put_little(b, bits, 8);
}

/* One write, so that a kill cuts at most this record. Takes event. */
static int write_record(struct t3d_tfevents *e, struct bytes *event, struct t3d_err *err)
{
    struct bytes b = {0};
    int r;

    put_little(&b, event->n, 8);
    if (!b.failed)
        put_little(&b, masked(b.at, 8), 4);
    if (!event->failed && !b.failed) {
        put(&b, event->at, event->n);
        put_little(&b, masked(event->at, event->n), 4);
    }
    r = event->failed || b.failed ? t3d_err_nomem(err, e->path)
                                  : t3d_write_all(e->fd, b.at, b.n, e->path, err);
    free(event->at);
    free(b.at);
    return r;
}

static int write_summary(struct t3d_tfevents *e, int64_t step, struct bytes *summary,
                         struct t3d_err *err)
{
    struct bytes event = {0};

    begin_event(&event);
    put_number(&event, 2, (uint64_t)step);
    put_message(&event, 5, summary);
    free(summary->at);
    return write_record(e, &event, err);
}

/* --- what is there --------------------------------------------------------------------------- */

static uint64_t little(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

/* The step of an event as we write it: behind the nine bytes of its time. */
static int64_t step_of(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    if (n < 11 || p[0] != (1 << 3 | EIGHT) || p[9] != (2 << 3 | VARINT))
        return 0;
    for (size_t i = 10, shift = 0; i < n && shift < 63; i++, shift += 7) {
        v |= (uint64_t)(p[i] & 0x7f) << shift;
        if (!(p[i] & 0x80))
            break;
    }
    return (int64_t)v;
}

static size_t whole_records(const uint8_t *p, size_t size, int64_t step)
{
    size_t at = 0;

    while (size - at >= HEAD + TAIL) {
        const uint8_t *r = p + at;
        uint64_t n = little(r, 8);

        if (little(r + 8, 4) != masked(r, 8) || n > size - at - HEAD - TAIL ||
            little(r + HEAD + n, 4) != masked(r + HEAD, (size_t)n) ||
            step_of(r + HEAD, (size_t)n) > step)
            break;
        at += HEAD + (size_t)n + TAIL;
    }
    return at;
}

static int begin_file(struct t3d_tfevents *e, struct t3d_err *err)
{
    static const char version[] = "brain.Event:2";
    struct bytes event = {0};

    begin_event(&event);
    put_bytes(&event, 3, version, sizeof version - 1);
    return write_record(e, &event, err);
}

int t3d_tfevents_open(struct t3d_tfevents **out, const char *path, int64_t step,
                      struct t3d_err *err)
{
    struct t3d_tfevents *e = calloc(1, sizeof *e);
    struct t3d_blob b;
    size_t keep = 0;
    int r = T3D_OK;

    if (!e || !(e->path = strdup(path))) {
        free(e);
        return t3d_err_nomem(err, path);
    }
    if (t3d_blob_open(&b, path, 0, NULL) == T3D_OK) {
        keep = step > 0 ? whole_records(b.data, b.size, step) : 0;
        t3d_blob_close(&b);
    }
    e->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (e->fd < 0 || ftruncate(e->fd, (off_t)keep) < 0 || lseek(e->fd, 0, SEEK_END) < 0)
        r = t3d_err_sys(err, "cannot write", path);
    if (r == T3D_OK && !keep)
        r = begin_file(e, err);
    if (r < 0)
        t3d_tfevents_close(e);
    else
        *out = e;
    return r;
}

void t3d_tfevents_close(struct t3d_tfevents *e)
{
    if (!e)
        return;
    if (e->fd >= 0)
        close(e->fd);
    free(e->path);
    free(e);
}

/* --- events ---------------------------------------------------------------------------------- */

static void put_scalar(struct bytes *summary, const char *tag, double v)
{
    struct bytes value = {0};
    float x = (float)v;
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    put_bytes(&value, 1, tag, strlen(tag));
    put_tag(&value, 2, FOUR);
    put_little(&value, bits, 4);
    put_message(summary, 1, &value);
    free(value.at);
}

/* An array's numbers are KEY/0, KEY/1, ... */
static void put_item(struct bytes *summary, const cJSON *item)
{
    const cJSON *member;
    char tag[MAX_TAG];
    int i = 0;

    if (cJSON_IsNumber(item) && isfinite(item->valuedouble) && strcmp(item->string, "step") != 0)
        put_scalar(summary, item->string, item->valuedouble);
    if (!cJSON_IsArray(item))
        return;
    cJSON_ArrayForEach (member, item) {
        snprintf(tag, sizeof tag, "%s/%d", item->string, i++);
        if (cJSON_IsNumber(member))
            put_scalar(summary, tag, member->valuedouble);
    }
}

int t3d_tfevents_numbers(struct t3d_tfevents *e, int64_t step, const cJSON *line,
                         struct t3d_err *err)
{
    struct bytes summary = {0};
    const cJSON *item;

    cJSON_ArrayForEach (item, line)
        put_item(&summary, item);
    return write_summary(e, step, &summary, err);
}

static uint64_t big(const uint8_t *p)
{
    return (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];
}

int t3d_tfevents_png(struct t3d_tfevents *e, int64_t step, const char *tag, const void *png,
                     size_t size, struct t3d_err *err)
{
    struct bytes image = {0}, value = {0}, summary = {0};
    const uint8_t *p = png;

    if (size < PNG_SIDES + 8)
        return t3d_err_set(err, T3D_SKIP, "bad-image", "'%s' is not a PNG", tag);
    /* width and height stand big-endian in the first chunk (PNG specification, 11.2.2) */
    put_number(&image, 1, big(p + 20));
    put_number(&image, 2, big(p + 16));
    put_number(&image, 3, 3);
    put_bytes(&image, 4, png, size);
    put_bytes(&value, 1, tag, strlen(tag));
    put_message(&value, 4, &image);
    put_message(&summary, 1, &value);
    free(image.at);
    free(value.at);
    return write_summary(e, step, &summary, err);
}
