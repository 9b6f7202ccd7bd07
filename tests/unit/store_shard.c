/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "store/shard.h"

static char dir[64];
static struct t3d_err err;

static int set_up(void **state)
{
    (void)state;
    memset(&err, 0, sizeof err);
    snprintf(dir, sizeof dir, "/tmp/t3d-shard.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static const char *in_dir(const char *name)
{
    static char path[4][160];
    static int i;

    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
    return path[i];
}

static struct t3d_shards *open_shards(void)
{
    struct t3d_shards *s;

    assert_int_equal(t3d_shards_open(&s, dir, 0, 1, &err), T3D_OK);
    return s;
}

static void key_of(int64_t num, char key[33])
{
    char text[32], hex[65];

    snprintf(text, sizeof text, "object %" PRId64, num);
    t3d_sha256_hex(text, strlen(text), hex);
    snprintf(key, 33, "%.32s", hex);
}

/* Object num: two members, given in the wrong order, sizes around the block size; `version` changes
 * the bytes. */
static int put(struct t3d_shards *s, int64_t num, int version, struct t3d_err *e)
{
    char key[33], json[64], big[2048];
    struct t3d_member m[2] = {{"txt", big, 0}, {"json", json, 0}};

    key_of(num, key);
    m[1].size =
        (size_t)snprintf(json, sizeof json, "{\"num\":%" PRId64 ",\"version\":%d}\n", num, version);
    m[0].size = 510 + (size_t)(num % 5);
    memset(big, 'a' + (int)((num + version) % 26), sizeof big);
    return t3d_shards_put(s, num, key, m, 2, e);
}

/* What the shard must hold, made the naive way by tar(5)'s rules. */
static void naive_member(FILE *f, const char *name, const char *data, size_t n)
{
    char h[512] = {0};
    unsigned sum = 0;

    snprintf(h, 100, "%s", name);
    snprintf(h + 100, 8, "%07o", 0444);
    snprintf(h + 108, 8, "%07o", 0);
    snprintf(h + 116, 8, "%07o", 0);
    snprintf(h + 124, 12, "%011zo", n);
    snprintf(h + 136, 12, "%011o", 0);
    memset(h + 148, ' ', 8);
    h[156] = '0';
    memcpy(h + 257, "ustar", 6);
    memcpy(h + 263, "00", 2);
    snprintf(h + 329, 8, "%07o", 0);
    snprintf(h + 337, 8, "%07o", 0);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 7, "%06o", sum);
    fwrite(h, 1, 512, f);
    fwrite(data, 1, n, f);
    for (; n % 512; n++)
        fputc(0, f);
}

static void naive_shard(const char *path, const int64_t *num, const int *version, size_t n)
{
    FILE *f = fopen(path, "w");

    for (size_t i = 0; i < n; i++) {
        char key[33], name[64], json[64], big[2048];
        key_of(num[i], key);
        snprintf(json, sizeof json, "{\"num\":%" PRId64 ",\"version\":%d}\n", num[i], version[i]);
        memset(big, 'a' + (int)((num[i] + version[i]) % 26), sizeof big);
        snprintf(name, sizeof name, "%s.json", key);
        naive_member(f, name, json, strlen(json));
        snprintf(name, sizeof name, "%s.txt", key);
        naive_member(f, name, big, 510 + (size_t)(num[i] % 5));
    }
    for (int i = 0; i < 1024; i++)
        fputc(0, f);
    fclose(f);
}

static int same_bytes(const char *a, const char *b)
{
    struct t3d_blob x, y;
    int same;

    assert_int_equal(t3d_blob_open(&x, a, 0, &err), T3D_OK);
    assert_int_equal(t3d_blob_open(&y, b, 0, &err), T3D_OK);
    same = x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
    t3d_blob_close(&x);
    t3d_blob_close(&y);
    return same;
}

/* Only .tar and .idx are left of shard n, and they are right. */
static void assert_shard(int64_t shard, const int64_t *num, const int *version, size_t n)
{
    static const char *const gone[] = {"part", "journal", "lock"};
    char tar[32], name[32];

    snprintf(tar, sizeof tar, "%06" PRId64 ".tar", shard);
    naive_shard(in_dir("expected"), num, version, n);
    assert_true(same_bytes(in_dir(tar), in_dir("expected")));
    if (t3d_shard_check(in_dir(tar), &err) != T3D_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%06" PRId64 ".%s", shard, gone[i]);
        assert_int_not_equal(access(in_dir(name), F_OK), 0);
    }
}

static void order_does_not_matter(void **state)
{
    static const int64_t sorted[] = {0, 1, 5, 7, 255}, shuffled[] = {7, 0, 255, 5, 1};
    static const int version[5] = {0};

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct t3d_shards *s = open_shards();
        for (int i = 0; i < 5; i++)
            assert_int_equal(put(s, (k ? shuffled : sorted)[i], 0, &err), T3D_OK);
        assert_int_equal(put(s, 256, 0, &err), T3D_OK);
        assert_true(t3d_shards_has(s, 5));
        assert_false(t3d_shards_has(s, 6));
        assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
        assert_true(t3d_shards_has(s, 5));
        assert_false(t3d_shards_has(s, 6));
        assert_true(t3d_shards_has(s, 256));
        assert_shard(0, sorted, version, 5);
        assert_shard(1, (int64_t[]){256}, version, 1);
        t3d_shards_close(s);
        unlink(in_dir("000000.tar"));
        unlink(in_dir("000000.idx"));
    }
}

static void tar_can_read_it(void **state)
{
    struct t3d_shards *s = open_shards();
    char command[256];

    (void)state;
    assert_int_equal(put(s, 3, 0, &err), T3D_OK);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    t3d_shards_close(s);
    snprintf(command, sizeof command,
             "test \"$(tar -xOf %s/000000.tar --wildcards '*.json')\" = '%s'", dir,
             "{\"num\":3,\"version\":0}");
    assert_int_equal(system(command), 0);
}

static void one_object_changes_its_shard_only(void **state)
{
    struct t3d_shards *s = open_shards();
    struct stat before, after;

    (void)state;
    for (int64_t i = 0; i < 4; i++)
        assert_int_equal(put(s, i, 0, &err), T3D_OK);
    assert_int_equal(put(s, 300, 0, &err), T3D_OK);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    assert_int_equal(stat(in_dir("000001.tar"), &before), 0);
    assert_int_equal(put(s, 2, 9, &err), T3D_OK);
    assert_int_equal(t3d_shards_remove(s, 1, &err), T3D_OK);
    assert_int_equal(t3d_shards_remove(s, 100, &err), T3D_OK); /* is not there */
    assert_int_equal(put(s, 9, 0, &err), T3D_OK);
    assert_false(t3d_shards_has(s, 1));
    assert_true(t3d_shards_has(s, 3));
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    assert_shard(0, (int64_t[]){0, 2, 3, 9}, (int[]){0, 9, 0, 0}, 4);
    assert_int_equal(stat(in_dir("000001.tar"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(t3d_shards_remove(s, i, &err), T3D_OK);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    assert_int_not_equal(access(in_dir("000000.tar"), F_OK), 0); /* empty: no shard */
    t3d_shards_close(s);
}

static void more_shards_than_open_files(void **state)
{
    struct t3d_shards *s = open_shards();

    (void)state;
    for (int round = 0; round < 2; round++)
        for (int64_t shard = 0; shard < 20; shard++)
            assert_int_equal(put(s, 256 * shard + 1 - round, 0, &err), T3D_OK);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    for (int64_t shard = 0; shard < 20; shard++)
        assert_shard(shard, (int64_t[]){256 * shard, 256 * shard + 1}, (int[]){0, 0}, 2);
    t3d_shards_close(s);
}

static void copy_file(const char *from, const char *to, off_t bytes)
{
    struct t3d_blob b;

    assert_int_equal(t3d_blob_open(&b, from, 0, &err), T3D_OK);
    assert_int_equal(
        t3d_write_file(to, b.data, (size_t)bytes < b.size ? (size_t)bytes : b.size, &err), T3D_OK);
    t3d_blob_close(&b);
}

static off_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : -1;
}

/* A run died with `part` bytes of data and `journal` bytes of notes on the disk: the next run puts
 * what is missing and gets the same shard. */
static void rerun_after(off_t part, off_t journal, int *kept)
{
    struct t3d_shards *s;

    copy_file(in_dir("full.part"), in_dir("000000.part"), part);
    copy_file(in_dir("full.journal"), in_dir("000000.journal"), journal);
    unlink(in_dir("000000.tar"));
    unlink(in_dir("000000.idx"));
    s = open_shards();
    *kept = 0;
    for (int64_t i = 0; i < 3; i++) {
        if (t3d_shards_has(s, i))
            ++*kept;
        else
            assert_int_equal(put(s, i, 0, &err), T3D_OK);
    }
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    t3d_shards_close(s);
    assert_shard(0, (int64_t[]){0, 1, 2}, (int[]){0, 0, 0}, 3);
}

static void torn_files_are_repaired(void **state)
{
    struct t3d_shards *s = open_shards();
    off_t part, journal;
    int kept;

    (void)state;
    for (int64_t i = 0; i < 3; i++)
        assert_int_equal(put(s, i, 0, &err), T3D_OK);
    t3d_shards_close(s);
    part = size_of(in_dir("000000.part"));
    journal = size_of(in_dir("000000.journal"));
    assert_int_equal(rename(in_dir("000000.part"), in_dir("full.part")), 0);
    assert_int_equal(rename(in_dir("000000.journal"), in_dir("full.journal")), 0);
    rerun_after(part, journal, &kept);
    assert_int_equal(kept, 3);
    for (off_t j = 0; j < journal; j += 3) { /* killed while writing a note: the data is whole */
        rerun_after(part, j, &kept);
        assert_true(kept < 3);
    }
    for (off_t p = 0; p < part; p += 509) { /* data lost behind its notes: a power cut */
        rerun_after(p, journal, &kept);
        assert_true(kept < 3);
    }
    rerun_after(part - 1, journal, &kept);
    assert_int_equal(kept, 2);
}

/* The steps of finish: a kill between any two of them. */
static void killed_finish_is_finished(void **state)
{
    struct t3d_shards *s;

    (void)state;
    for (int step = 0; step < 4; step++) {
        s = open_shards();
        for (int64_t i = 0; i < 3; i++)
            assert_int_equal(put(s, i, 0, &err), T3D_OK);
        copy_file(in_dir("000000.journal"), in_dir("full.journal"), 1 << 20);
        copy_file(in_dir("000000.part"), in_dir("full.part"), 1 << 20);
        assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
        t3d_shards_close(s);
        copy_file(in_dir("full.journal"), in_dir("000000.journal"), 1 << 20);
        if (step == 0) /* renamed, no index yet */
            unlink(in_dir("000000.idx"));
        if (step == 1) /* the index of an older shard */
            copy_file(in_dir("000000.idx"), in_dir("000000.idx"), 300);
        if (step == 2) /* end marker written, not renamed */
            assert_int_equal(rename(in_dir("000000.tar"), in_dir("000000.part")), 0);
        if (step == 3) /* copied: the part is still there too */
            copy_file(in_dir("full.part"), in_dir("000000.part"), 1 << 20);
        s = open_shards();
        for (int64_t i = 0; i < 3; i++)
            assert_true(t3d_shards_has(s, i));
        assert_int_equal(put(s, 3, 0, &err), T3D_OK);
        assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
        t3d_shards_close(s);
        assert_shard(0, (int64_t[]){0, 1, 2, 3}, (int[]){0, 0, 0, 0}, 4);
        unlink(in_dir("000000.tar"));
        unlink(in_dir("000000.idx"));
    }
}

static void two_processes_share_a_shard(void **state)
{
    enum { OBJECTS = 60 };
    int64_t num[OBJECTS];
    int version[OBJECTS] = {0}, status;

    (void)state;
    for (int k = 0; k < 3; k++)
        if (fork() == 0) {
            struct t3d_shards *s;
            int bad = t3d_shards_open(&s, dir, 0, 1, &err) != T3D_OK;
            for (int64_t i = k; i < OBJECTS && !bad; i += 3) {
                bad = put(s, i, 0, &err) != T3D_OK;
                /* Finished by one while the others go on. */
                if (!bad && k == 0 && i % 5 == 0)
                    bad = t3d_shards_finish(s, &err) != T3D_OK;
            }
            bad = bad || t3d_shards_finish(s, &err) != T3D_OK;
            if (bad)
                fprintf(stderr, "# %s\n", err.msg);
            _exit(bad);
        }
    for (int k = 0; k < 3; k++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < OBJECTS; i++)
        num[i] = i;
    assert_shard(0, num, version, OBJECTS);
}

/* A full disk, by a limit on file size that falls into the middle of an object. */
static void full_disk_keeps_what_was_whole(void **state)
{
    struct rlimit limit, small;
    struct t3d_shards *s = open_shards();

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(put(s, 0, 0, &err), T3D_OK);
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = (rlim_t)size_of(in_dir("000000.part")) + 700;
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(put(s, 1, 0, &err), T3D_IO);
    assert_string_equal(err.reason, "disk-full");
    assert_int_equal(size_of(in_dir("000000.part")), small.rlim_cur - 700);
    small.rlim_cur = 600;
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_IO);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_true(t3d_shards_has(s, 0));
    assert_int_equal(put(s, 1, 0, &err), T3D_OK);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    t3d_shards_close(s);
    assert_shard(0, (int64_t[]){0, 1}, (int[]){0, 0}, 2);
}

static void parts_have_their_own_names(void **state)
{
    struct t3d_shards *s;

    (void)state;
    assert_int_equal(t3d_shards_open(&s, dir, 1, 4, &err), T3D_OK);
    assert_int_equal(put(s, 2, 0, &err), T3D_OK);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    t3d_shards_close(s);
    assert_int_equal(t3d_shard_check(in_dir("000000.p1of4.tar"), &err), T3D_OK);
    assert_int_not_equal(access(in_dir("000000.tar"), F_OK), 0);
}

static void bad_members_are_refused(void **state)
{
    struct t3d_shards *s = open_shards();
    char key[33], suffix[80];
    struct t3d_member m[2] = {{"json", "x", 1}, {"json", "y", 1}};

    (void)state;
    key_of(0, key);
    assert_int_equal(t3d_shards_put(s, 0, key, m, 2, &err), T3D_SKIP);
    assert_int_equal(t3d_shards_put(s, 0, key, m, 0, &err), T3D_SKIP);
    memset(suffix, 'a', sizeof suffix);
    suffix[68] = 0;
    m[0].suffix = suffix;
    assert_int_equal(t3d_shards_put(s, 0, key, m, 1, &err), T3D_SKIP);
    assert_string_equal(err.reason, "bad-member");
    suffix[67] = 0; /* 32 + 1 + 67 = 100 */
    assert_int_equal(t3d_shards_put(s, 0, key, m, 1, &err), T3D_OK);
    assert_int_equal(t3d_shards_put(s, 1, "nokey", m, 1, &err), T3D_FAIL);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    assert_int_equal(t3d_shard_check(in_dir("000000.tar"), &err), T3D_OK);
    t3d_shards_close(s);
}

static void reader_gives_samples(void **state)
{
    struct t3d_shards *s = open_shards();
    struct t3d_shard_reader *r;
    struct t3d_sample sample;
    struct t3d_arena a = {0};
    char key[33];

    (void)state;
    for (int64_t i = 0; i < 3; i++)
        assert_int_equal(put(s, i, 0, &err), T3D_OK);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    t3d_shards_close(s);
    assert_int_equal(t3d_shard_reader_open(&r, in_dir("000000.tar"), &err), T3D_OK);
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(t3d_shard_reader_next(r, &sample, &a, &err), T3D_OK);
        key_of(i, key);
        assert_string_equal(sample.key, key);
        assert_int_equal(sample.n, 2);
        assert_string_equal(sample.member[0].suffix, "json");
        assert_string_equal(sample.member[1].suffix, "txt");
        assert_int_equal(sample.member[1].size, 510 + i);
        assert_int_equal(*(const char *)sample.member[1].data, 'a' + i);
    }
    assert_int_equal(t3d_shard_reader_next(r, &sample, &a, &err), T3D_END);
    t3d_shard_reader_close(r);
    /* Any cut and any flipped bit of the headers is seen. */
    for (off_t n = 0; n < size_of(in_dir("000000.tar")); n += 512) {
        int got;
        copy_file(in_dir("000000.tar"), in_dir("cut.tar"), n);
        assert_int_equal(t3d_shard_reader_open(&r, in_dir("cut.tar"), &err), T3D_OK);
        while ((got = t3d_shard_reader_next(r, &sample, &a, &err)) == T3D_OK)
            ;
        assert_int_equal(got, T3D_SKIP);
        assert_string_equal(err.reason, "bad-shard");
        t3d_shard_reader_close(r);
    }
    t3d_arena_free(&a);
}

static int find(struct t3d_shard_finder *f, int64_t num, int version)
{
    struct t3d_arena a = {0};
    struct t3d_shard_place place;
    struct t3d_sample s;
    char key[33], want[64];
    int n, r;

    key_of(num, key);
    r = t3d_shard_find(f, num, key, &place, &err);
    if (r != T3D_OK)
        return r;
    assert_int_equal(t3d_shard_read(&place, &s, &a, &err), T3D_OK);
    close(place.fd);
    assert_string_equal(s.key, key);
    assert_int_equal(s.n, 2);
    assert_string_equal(s.member[0].suffix, "json");
    n = snprintf(want, sizeof want, "{\"num\":%" PRId64 ",\"version\":%d}\n", num, version);
    if (version >= 0) {
        assert_int_equal(s.member[0].size, n);
        assert_memory_equal(s.member[0].data, want, n);
    }
    assert_int_equal(s.member[1].size, 510 + num % 5);
    t3d_arena_free(&a);
    return T3D_OK;
}

/* Samples are found in the part while it is written and in the tar afterwards, the newest first. */
static void finder_finds(void **state)
{
    struct t3d_shards *s = open_shards();
    struct t3d_shard_finder *f;
    char key[33];

    (void)state;
    assert_int_equal(t3d_shard_finder_open(&f, dir, &err), T3D_OK);
    assert_int_equal(find(f, 3, 0), T3D_END);
    for (int64_t num = 300; num-- > 0;)
        assert_int_equal(put(s, num, 1, &err), T3D_OK);
    for (int64_t num = 0; num < 300; num++)
        assert_int_equal(find(f, num, 1), T3D_OK);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    for (int64_t num = 0; num < 300; num++)
        assert_int_equal(find(f, num, 1), T3D_OK);
    assert_int_equal(put(s, 7, 2, &err), T3D_OK);
    assert_int_equal(t3d_shards_remove(s, 8, &err), T3D_OK);
    t3d_shard_finder_close(f);
    assert_int_equal(t3d_shard_finder_open(&f, dir, &err), T3D_OK);
    assert_int_equal(find(f, 7, 2), T3D_OK);
    assert_int_equal(find(f, 8, 1), T3D_END);
    assert_int_equal(find(f, 9, 1), T3D_OK);
    key_of(10, key); /* the number of one, the key of another */
    assert_int_equal(t3d_shard_find(f, 9, key, &(struct t3d_shard_place){0}, &err), T3D_END);
    t3d_shards_close(s);
    t3d_shard_finder_close(f);
}

/* Parts of --shard i/N lie side by side. */
static void finder_knows_parts(void **state)
{
    struct t3d_shard_finder *f;

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct t3d_shards *s;
        assert_int_equal(t3d_shards_open(&s, dir, i, 3, &err), T3D_OK);
        for (int64_t num = i; num < 30; num += 3)
            assert_int_equal(put(s, num, 1, &err), T3D_OK);
        if (i < 2)
            assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
        t3d_shards_close(s);
    }
    assert_int_equal(t3d_shard_finder_open(&f, dir, &err), T3D_OK);
    for (int64_t num = 0; num < 30; num++)
        assert_int_equal(find(f, num, 1), T3D_OK);
    t3d_shard_finder_close(f);
}

/* A writer that puts and finishes again and again never makes an object vanish. */
static void finder_beside_a_writer(void **state)
{
    struct t3d_shards *s = open_shards();
    struct t3d_shard_finder *f;
    pid_t child;

    (void)state;
    for (int64_t num = 0; num < 40; num++)
        assert_int_equal(put(s, num, 0, &err), T3D_OK);
    child = fork();
    if (child == 0) {
        for (int version = 1; version < 6; version++) {
            for (int64_t num = 40; num-- > 0;)
                if (num % version == 0 && put(s, num, version, &err) != T3D_OK)
                    _exit(1);
            if (t3d_shards_finish(s, &err) != T3D_OK)
                _exit(2);
        }
        _exit(0);
    }
    assert_int_equal(t3d_shard_finder_open(&f, dir, &err), T3D_OK);
    for (int round = 0; round < 20; round++)
        for (int64_t num = 0; num < 40; num++)
            assert_int_equal(find(f, num, -1), T3D_OK);
    t3d_shard_finder_close(f);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    t3d_shards_close(s);
}

static void check_sees_damage(void **state)
{
    struct t3d_shards *s = open_shards();
    struct t3d_blob b;
    char copy[8192];
    size_t n;

    (void)state;
    for (int64_t i = 0; i < 2; i++)
        assert_int_equal(put(s, i, 0, &err), T3D_OK);
    assert_int_equal(t3d_shards_finish(s, &err), T3D_OK);
    t3d_shards_close(s);
    assert_int_equal(t3d_shard_check(in_dir("000000.tar"), &err), T3D_OK);
    assert_int_equal(t3d_blob_open(&b, in_dir("000000.tar"), 0, &err), T3D_OK);
    n = b.size;
    assert_true(n <= sizeof copy);
    memcpy(copy, b.data, n);
    t3d_blob_close(&b);
    for (size_t i = 0; i < 512; i += 7) { /* each field of the first header */
        copy[i] ^= 1;
        assert_int_equal(t3d_write_file(in_dir("000000.tar"), copy, n, &err), T3D_OK);
        assert_int_equal(t3d_shard_check(in_dir("000000.tar"), &err), T3D_SKIP);
        copy[i] ^= 1;
    }
    assert_int_equal(t3d_write_file(in_dir("000000.tar"), copy, n, &err), T3D_OK);
    assert_int_equal(t3d_shard_check(in_dir("000000.tar"), &err), T3D_OK);
    copy_file(in_dir("000000.idx"), in_dir("000000.idx"), 200);
    assert_int_equal(t3d_shard_check(in_dir("000000.tar"), &err), T3D_SKIP);
    assert_string_equal(err.reason, "bad-index");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(order_does_not_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tar_can_read_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_object_changes_its_shard_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_shards_than_open_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(torn_files_are_repaired, set_up, tear_down),
        cmocka_unit_test_setup_teardown(killed_finish_is_finished, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_processes_share_a_shard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_disk_keeps_what_was_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_have_their_own_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_members_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reader_gives_samples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finder_finds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finder_knows_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finder_beside_a_writer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(check_sees_damage, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
