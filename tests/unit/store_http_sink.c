/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that hash and write: every body whole and in order, whatever goes on beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "store/http_impl.h"

enum { BODIES = 6, BYTES = 9000000 }; /* more than may wait at once */

static struct t3d_err err;

static void wait_for(struct t3di_sink *k, struct t3di_stream *s, int want)
{
    struct pollfd p = {.fd = t3di_sink_event(k), .events = POLLIN};
    int r;

    while ((r = t3di_stream_poll(s, &err)) == T3D_RETRY) {
        uint64_t n;

        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_true(read(p.fd, &n, sizeof n) > 0);
    }
    assert_int_equal(r, want);
}

static void bodies_side_by_side(void **state)
{
    struct t3di_sink *k;
    struct t3di_stream *s[BODIES];
    struct t3d_sha256 *hash[BODIES];
    char path[BODIES][64], got[65], want[65];
    size_t at[BODIES] = {0}, left = BODIES;
    unsigned char *data = malloc(BYTES + BODIES);
    struct t3d_rng rng = t3d_rng_for(3, "sink", 0);
    struct t3d_blob b;
    int fd[BODIES];

    (void)state;
    for (size_t i = 0; i < BYTES + BODIES; i++)
        data[i] = (unsigned char)(i * 2654435761u >> 13);
    assert_int_equal(t3di_sink_open(&k, &err), T3D_OK);
    for (int i = 0; i < BODIES; i++) {
        snprintf(path[i], sizeof path[i], "/tmp/t3d-sink.%ld.%d", (long)getpid(), i);
        fd[i] = open(path[i], O_RDWR | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(t3d_sha256_new(&hash[i], &err), T3D_OK);
        assert_int_equal(t3di_stream_new(&s[i], k, fd[i], path[i], hash[i], &err), T3D_OK);
    }
    while (left) { /* pieces of any size, the bodies in any order; body i begins at byte i */
        int i = (int)(t3d_rng_uniform(&rng) * BODIES);
        size_t piece = (size_t)(t3d_rng_uniform(&rng) * 400000), n = T3D_MIN(piece, BYTES - at[i]);

        assert_int_equal(t3di_stream_add(s[i], data + i + at[i], n, &err), T3D_OK);
        left -= n && at[i] + n == BYTES;
        at[i] += n;
    }
    for (int i = 0; i < BODIES; i++) {
        if (i % 2)
            wait_for(k, s[i], T3D_OK);
        assert_int_equal(t3di_stream_free(s[i], 1, &err), T3D_OK);
        t3d_sha256_end(hash[i], got);
        t3d_sha256_hex(data + i, BYTES, want);
        assert_string_equal(got, want);
        assert_int_equal(t3d_blob_open(&b, path[i], 0, &err), T3D_OK);
        assert_int_equal(b.size, BYTES);
        assert_memory_equal(b.data, data + i, BYTES);
        t3d_blob_close(&b);
        close(fd[i]);
        unlink(path[i]);
    }
    t3di_sink_close(k);
    free(data);
}

/* A disk that is full is the error of this body, not of its neighbour. */
static void a_full_disk(void **state)
{
    static unsigned char block[1 << 19];
    struct t3di_sink *k;
    struct t3di_stream *bad, *good, *dropped;
    struct t3d_sha256 *hash[3];
    char got[65], want[65];
    int full = open("/dev/full", O_WRONLY), null = open("/dev/null", O_WRONLY), r = T3D_OK;

    (void)state;
    assert_int_equal(t3di_sink_open(&k, &err), T3D_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(t3d_sha256_new(&hash[i], &err), T3D_OK);
    assert_int_equal(t3di_stream_new(&bad, k, full, "full", hash[0], &err), T3D_OK);
    assert_int_equal(t3di_stream_new(&good, k, null, "null", hash[1], &err), T3D_OK);
    assert_int_equal(t3di_stream_new(&dropped, k, null, "null", hash[2], &err), T3D_OK);
    assert_int_equal(t3di_stream_add(good, block, sizeof block, &err), T3D_OK);
    for (int i = 0; i < 2000 && r == T3D_OK; i++) /* it is told while the body still comes */
        r = t3di_stream_add(bad, block, sizeof block, &err);
    assert_int_equal(r, T3D_IO);
    assert_non_null(strstr(err.msg, "full"));
    assert_int_equal(t3di_stream_free(bad, 1, &err), T3D_IO);
    assert_int_equal(t3di_stream_add(dropped, block, sizeof block, &err), T3D_OK);
    assert_int_equal(t3di_stream_free(dropped, 0, NULL), T3D_OK);
    assert_int_equal(t3di_stream_free(good, 1, &err), T3D_OK);
    t3d_sha256_end(hash[1], got);
    t3d_sha256_hex(block, sizeof block, want);
    assert_string_equal(got, want);
    t3d_sha256_free(hash[0]);
    t3d_sha256_free(hash[2]);
    t3di_sink_close(k);
    close(full);
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_side_by_side),
        cmocka_unit_test(a_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
