/* SPDX-License-Identifier: Apache-2.0 */
/* The log for TensorBoard, read by a second, small parser of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "store/tfevents.h"

static char path[] = "/tmp/t3d-tfevents.XXXXXX";
static struct t3d_err err;

/* RFC 3720, appendix B.4, and the check value of the algorithm. */
static void crc(void **state)
{
    uint8_t zeros[32] = {0}, ones[32], up[32];

    (void)state;
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++)
        up[i] = (uint8_t)i;
    assert_int_equal(t3d_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(t3d_crc32c(zeros, 32), 0x8a9136aa);
    assert_int_equal(t3d_crc32c(ones, 32), 0x62a8ab43);
    assert_int_equal(t3d_crc32c(up, 32), 0x46dd794e);
}

static uint64_t varint(const uint8_t **p)
{
    uint64_t v = 0;
    int shift = 0;

    for (;; shift += 7) {
        uint8_t byte = *(*p)++;

        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return v;
    }
}

/* Value number k of an event: its tag, and its number or the size of its picture. */
struct value {
    char tag[40];
    float number;
    uint64_t height, width, png;
};

struct event {
    int64_t step;
    char version[20];
    struct value value[8];
    int n;
};

static void parse_image(const uint8_t *p, const uint8_t *end, struct value *v)
{
    while (p < end) {
        uint64_t key = varint(&p), x = varint(&p);

        if (key == (1 << 3))
            v->height = x;
        else if (key == (2 << 3))
            v->width = x;
        else if (key == (4 << 3 | 2)) {
            v->png = x;
            p += x;
        }
    }
}

static void parse_value(const uint8_t *p, const uint8_t *end, struct value *v)
{
    while (p < end) {
        uint64_t key = varint(&p), n;

        if (key == (2 << 3 | 5)) {
            memcpy(&v->number, p, 4);
            p += 4;
            continue;
        }
        n = varint(&p);
        if (key == (1 << 3 | 2))
            snprintf(v->tag, sizeof v->tag, "%.*s", (int)n, (const char *)p);
        else
            parse_image(p, p + n, v);
        p += n;
    }
}

static void parse(const uint8_t *p, const uint8_t *end, struct event *e)
{
    memset(e, 0, sizeof *e);
    while (p < end) {
        uint64_t key = varint(&p), n;

        if (key == (1 << 3 | 1)) {
            double time;
            memcpy(&time, p, 8);
            assert_true(time > 1.6e9);
            p += 8;
            continue;
        }
        n = varint(&p);
        if (key == (2 << 3)) {
            e->step = (int64_t)n;
            continue;
        }
        if (key == (3 << 3 | 2))
            snprintf(e->version, sizeof e->version, "%.*s", (int)n, (const char *)p);
        if (key == (5 << 3 | 2))
            for (const uint8_t *q = p; q < p + n;) {
                uint64_t size;

                assert_int_equal(varint(&q), 1 << 3 | 2);
                size = varint(&q);
                parse_value(q, q + size, &e->value[e->n++]);
                q += size;
            }
        p += n;
    }
}

/* All events of the file. */
static int read_all(struct event *e, int most)
{
    struct t3d_blob b;
    int n = 0;

    assert_int_equal(t3d_blob_open(&b, path, 0, &err), T3D_OK);
    for (size_t at = 0; at < b.size; n++) {
        uint64_t size;

        assert_true(n < most);
        memcpy(&size, b.data + at, 8);
        parse(b.data + at + 12, b.data + at + 12 + size, &e[n]);
        at += 12 + size + 4;
        assert_true(at <= b.size);
    }
    t3d_blob_close(&b);
    return n;
}

static void add(struct t3d_tfevents *e, int64_t step, double loss)
{
    cJSON *line = cJSON_CreateObject(), *list;

    t3d_json_set_num(line, "step", (double)step);
    t3d_json_set_num(line, "loss", loss);
    list = cJSON_AddArrayToObject(line, "by_time");
    cJSON_AddItemToArray(list, cJSON_CreateNumber(7));
    cJSON_AddItemToArray(list, cJSON_CreateNull());
    cJSON_AddItemToArray(list, cJSON_CreateNumber(9));
    t3d_json_set_str(line, "sheet", "x.png");
    assert_int_equal(t3d_tfevents_numbers(e, step, line, &err), T3D_OK);
    cJSON_Delete(line);
}

static void numbers_and_pictures(void **state)
{
    uint8_t png[40] = {[18] = 1, [19] = 44, [23] = 200};
    struct t3d_tfevents *e;
    struct event got[8];

    (void)state;
    unlink(path);
    assert_int_equal(t3d_tfevents_open(&e, path, 0, &err), T3D_OK);
    add(e, 1, 0.5);
    add(e, 300, 0.25);
    assert_int_equal(t3d_tfevents_png(e, 300, "samples", png, sizeof png, &err), T3D_OK);
    assert_int_equal(t3d_tfevents_png(e, 300, "samples", png, 5, &err), T3D_SKIP);
    t3d_tfevents_close(e);
    assert_int_equal(read_all(got, 8), 4);
    assert_string_equal(got[0].version, "brain.Event:2");
    assert_int_equal(got[2].step, 300);
    assert_int_equal(got[2].n, 3);
    assert_string_equal(got[2].value[0].tag, "loss");
    assert_true(got[2].value[0].number == 0.25F);
    assert_string_equal(got[2].value[1].tag, "by_time/0");
    assert_string_equal(got[2].value[2].tag, "by_time/2");
    assert_true(got[2].value[2].number == 9);
    assert_string_equal(got[3].value[0].tag, "samples");
    assert_int_equal(got[3].value[0].width, 300);
    assert_int_equal(got[3].value[0].height, 200);
    assert_int_equal(got[3].value[0].png, sizeof png);
}

/* Steps that are done again are there once; a record cut anywhere goes; so does a damaged one. */
static void goes_on(void **state)
{
    struct t3d_tfevents *e;
    static uint8_t whole[4096];
    struct event got[8];
    struct t3d_blob b;
    size_t size;

    (void)state;
    unlink(path);
    assert_int_equal(t3d_tfevents_open(&e, path, 0, &err), T3D_OK);
    for (int i = 1; i <= 5; i++)
        add(e, i, i);
    t3d_tfevents_close(e);
    assert_int_equal(t3d_tfevents_open(&e, path, 3, &err), T3D_OK);
    add(e, 4, 44);
    t3d_tfevents_close(e);
    assert_int_equal(read_all(got, 8), 5);
    assert_int_equal(got[3].step, 3);
    assert_true(got[4].step == 4 && got[4].value[0].number == 44);

    assert_int_equal(t3d_blob_open(&b, path, 0, &err), T3D_OK);
    assert_true(b.size < sizeof whole);
    memcpy(whole, b.data, size = b.size);
    t3d_blob_close(&b);
    for (size_t cut = 1; cut < 60; cut += 7) {
        assert_int_equal(t3d_write_file(path, whole, size - cut, &err), T3D_OK);
        assert_int_equal(t3d_tfevents_open(&e, path, 4, &err), T3D_OK);
        t3d_tfevents_close(e);
        assert_int_equal(read_all(got, 8), 4);
    }
    whole[size - 20] ^= 1;
    assert_int_equal(t3d_write_file(path, whole, size, &err), T3D_OK);
    assert_int_equal(t3d_tfevents_open(&e, path, 4, &err), T3D_OK);
    t3d_tfevents_close(e);
    assert_int_equal(read_all(got, 8), 4);
}

static int make_path(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd) < 0 ? -1 : 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc), cmocka_unit_test(numbers_and_pictures), cmocka_unit_test(goes_on)};

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
