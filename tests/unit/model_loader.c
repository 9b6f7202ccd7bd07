/* SPDX-License-Identifier: Apache-2.0 */
/* The order of samples, and batches from a small workspace of shards whose pictures say which
 * object and view they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "image/png.h"
#include "model/loader.h"
#include "store/manifest.h"
#include "store/shard.h"

enum { OBJECTS = 300, VIEWS = 5, SIDE = 16, GROUPS = 50, BATCH = 40, KINDS = 4 };
enum { LACKING = 40 }; /* an object of split train without depth in the larger set */

static char dir[64];
static struct t3d_err err;

/* Objects i with i % 10 == 9 are test, == 8 val; group i % GROUPS; no caption for i % 7 == 6. */
static const char *split_of(int i)
{
    return i % 10 == 9 ? "test" : i % 10 == 8 ? "val" : "train";
}

static void describe(struct t3d_object *o, int i, char group[32], const char *caption[2])
{
    static char text[2][64];

    memset(o, 0, sizeof *o);
    o->source = "local";
    o->split = split_of(i);
    o->split_given = 1;
    snprintf(group, 32, "g%d", i % GROUPS);
    o->group = group;
    snprintf(o->ending, sizeof o->ending, "glb");
    snprintf(o->uid, sizeof o->uid, "u%d", i);
    t3d_sha256_hex(o->uid, strlen(o->uid), o->content);
    snprintf(text[0], sizeof text[0], "object %d kind%d", i, i % GROUPS % KINDS);
    snprintf(text[1], sizeof text[1], "thing %d", i);
    caption[0] = text[0];
    caption[1] = text[1];
    o->caption = caption;
    o->n_captions = i % 7 == 6 ? 0 : 2;
}

/* Depth code of a pixel: nothing in the first row of four; of a picture of 2 SIDE three codes
 * below a pixel of SIDE with a mean of that, and one that is nothing. */
static uint16_t code_of(int i, int view, int side, int p)
{
    int y = p / side, x = p % side, step = side / SIDE;
    uint16_t code = (uint16_t)(100 * i + 10 * view + x / step);

    if (y / step % 4 == 0 || (step == 2 && y % 2 && x % 2))
        return 65535;
    return (uint16_t)(step == 1 ? code : y % 2 ? code + 6 : x % 2 ? code - 1 : code - 5);
}

/* The picture to memory of its own. */
static uint8_t *encode(struct t3d_png_writer *w, const void *pixels, int side, int channels,
                       int depth, size_t *size)
{
    const uint8_t *png;
    uint8_t *copy;

    if (t3d_png_encode(w, pixels, (uint32_t)side, (uint32_t)side, channels, depth, NULL, 0, &png,
                       size, &err) < 0)
        return NULL;
    copy = malloc(*size);
    memcpy(copy, png, *size);
    return copy;
}

static int has_depth(int i, int side)
{
    return side == SIDE || i != LACKING;
}

/* Every pixel is (number low, number high, view, 255). */
static int put_object(struct t3d_shards *s, struct t3d_png_writer *w, const struct t3d_object *o,
                      int i, int side)
{
    struct t3d_member m[2 * VIEWS + 1] = {{0}};
    char suffix[2 * VIEWS][24], key[33], text[160] = "";
    uint8_t *copy[2 * VIEWS] = {0}, pixels[4 * 4 * SIDE * SIDE];
    uint16_t code[4 * SIDE * SIDE];
    size_t n = 0;
    int r;

    for (int v = 0; v < VIEWS; v++) {
        for (int p = 0; p < side * side; p++) {
            code[p] = code_of(i, v, side, p);
            pixels[4 * p] = (uint8_t)i;
            pixels[4 * p + 1] = (uint8_t)(i >> 8);
            pixels[4 * p + 2] = (uint8_t)v;
            pixels[4 * p + 3] = 255;
        }
        for (int k = 0; k < 1 + has_depth(i, side); k++, n++) {
            size_t size;

            copy[n] = encode(w, k ? (void *)code : pixels, side, k ? 1 : 4, k ? 16 : 8, &size);
            if (!copy[n])
                return -1;
            snprintf(suffix[n], sizeof suffix[n], "v%02d%s.png", v, k ? ".depth" : "");
            m[n] = (struct t3d_member){suffix[n], copy[n], size};
        }
    }
    for (size_t k = 0; k < o->n_captions; k++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", o->caption[k]);
    m[n] = (struct t3d_member){"txt", text, strlen(text)};
    t3d_object_key(o, key);
    r = t3d_shards_put(s, o->num, key, m, n + 1, &err);
    for (size_t v = 0; v < n; v++)
        free(copy[v]);
    return r;
}

/* Shards of pictures of 2 SIDE and SIDE pixels. */
static int put_all(struct t3d_manifest *m, const char *set, int side)
{
    struct t3d_shards *s;
    struct t3d_png_writer *w;
    char path[128];

    snprintf(path, sizeof path, "%s/renders/%s", dir, set);
    if (t3d_shards_open(&s, path, 0, 1, &err) < 0 || t3d_png_writer_new(&w, &err) < 0)
        return -1;
    for (int i = 0; i < OBJECTS; i++) {
        struct t3d_state done = {.code = T3D_STATE_OK, .value = NAN};
        struct t3d_object o;
        const char *caption[2];
        char group[32];

        describe(&o, i, group, caption);
        if (t3d_manifest_register(m, &o, 1, &err) < 0 ||
            t3d_manifest_put_state(m, "render", o.num, &done, &err) < 0 ||
            put_object(s, w, &o, i, side) < 0)
            return -1;
    }
    t3d_png_writer_free(w);
    if (t3d_shards_finish(s, &err) < 0)
        return -1;
    t3d_shards_close(s);
    return 0;
}

static int set_up(void **state)
{
    struct t3d_manifest *m = NULL;

    (void)state;
    memset(&err, 0, sizeof err);
    snprintf(dir, sizeof dir, "/tmp/t3d-loader.XXXXXX");
    if (!mkdtemp(dir) || t3d_manifest_open(&m, dir, T3D_MANIFEST_CREATE, &err) < 0 ||
        t3d_manifest_begin(m, &err) < 0 || put_all(m, "ring:5-16", SIDE) < 0 ||
        put_all(m, "ring:5-32", 2 * SIDE) < 0 || t3d_manifest_commit(m, &err) < 0)
        fail_msg("%s", err.msg);
    t3d_manifest_close(m);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    t3d_remove_tree(dir);
    return 0;
}

static const struct t3d_loader_config config = {.workspace = dir,
                                                .view_set = "ring:5",
                                                .split = "train",
                                                .resolution = SIDE,
                                                .batch = BATCH,
                                                .views = 2,
                                                .need_captions = 1,
                                                .seed = 3};

static struct t3d_loader *open_loader(const struct t3d_loader_config *c)
{
    struct t3d_loader *l;

    if (t3d_loader_open(&l, c, &err) < 0)
        fail_msg("%s", err.msg);
    return l;
}

static const struct t3d_batch *next(struct t3d_loader *l)
{
    const struct t3d_batch *b;

    if (t3d_loader_next(l, &b, &err) < 0)
        fail_msg("%s", err.msg);
    return b;
}

static void order_is_a_permutation(void **state)
{
    static const uint64_t sizes[] = {1, 2, 3, 7, 64, 65, 1000, 4097};
    uint8_t seen[4097];

    (void)state;
    for (size_t k = 0; k < T3D_COUNT(sizes); k++) {
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < sizes[k]; i++) {
            uint64_t at = t3d_loader_order(5, k, sizes[k], i);
            assert_true(at < sizes[k]);
            assert_false(seen[at]++);
        }
    }
}

static void order_depends_on_seed_and_epoch(void **state)
{
    int same[2] = {0};

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        same[0] += t3d_loader_order(1, 0, 1000, i) == t3d_loader_order(2, 0, 1000, i);
        same[1] += t3d_loader_order(1, 0, 1000, i) == t3d_loader_order(1, 1, 1000, i);
    }
    assert_true(same[0] < 10 && same[1] < 10);
}

/* Object number of slot i's view k, by its pixels. */
static int object_of(const struct t3d_batch *b, int i, int k)
{
    const uint8_t *p = b->pixels + ((size_t)i * (size_t)b->views + (size_t)k) * SIDE * SIDE * 4;

    assert_int_equal(p[2], b->view[i * b->views + k]);
    return p[0] | p[1] << 8;
}

static void batches_hold_what_they_say(void **state)
{
    struct t3d_loader *l = open_loader(&config);
    int drawn[OBJECTS] = {0}, want = 0;

    (void)state;
    for (int i = 0; i < OBJECTS; i++)
        want += strcmp(split_of(i), "train") == 0 && i % 7 != 6;
    assert_int_equal(t3d_loader_samples(l), want);
    assert_int_equal(t3d_loader_source(l), SIDE);
    assert_int_equal(t3d_loader_set_views(l), VIEWS);
    for (int s = 0; s < 40; s++) {
        const struct t3d_batch *b = next(l);
        assert_int_equal(b->step, s);
        for (int i = 0; i < BATCH; i++) {
            char text[2][48], got[48];
            int o = object_of(b, i, 0);
            assert_int_equal(object_of(b, i, 1), o);
            assert_int_not_equal(b->view[2 * i], b->view[2 * i + 1]);
            assert_string_equal(split_of(o), "train");
            snprintf(text[0], sizeof text[0], "object %d kind%d", o, o % GROUPS % KINDS);
            snprintf(text[1], sizeof text[1], "thing %d", o);
            snprintf(got, sizeof got, "%.*s", (int)b->caption[i].size, b->caption[i].text);
            assert_true(strcmp(got, text[0]) == 0 || strcmp(got, text[1]) == 0);
            drawn[o]++;
        }
    }
    assert_int_equal(t3d_loader_groups(l), 40); /* i % 50 leaves 8 and 9 mod 10 out */
    for (int i = 0; i < OBJECTS; i++)
        assert_int_equal(drawn[i] > 0, strcmp(split_of(i), "train") == 0 && i % 7 != 6);
    t3d_loader_close(l);
}

/* An epoch has each group as often as it has samples, at first all groups once. */
static void epochs_go_over_the_groups_in_rounds(void **state)
{
    struct t3d_loader_config c = config;
    int samples[GROUPS] = {0}, times[GROUPS] = {0}, want = 0;
    struct t3d_loader *l;

    (void)state;
    for (int i = 0; i < OBJECTS; i++)
        if (strcmp(split_of(i), "train") == 0 && i % 7 != 6) {
            samples[i % GROUPS]++;
            want++;
        }
    c.batch = 1;
    for (int k = 0; k < 2; k++) {
        memset(times, 0, sizeof times);
        c.neighbours = 5 * k;
        l = open_loader(&c);
        for (int i = 0; i < want; i++) {
            int g = object_of(next(l), 0, 0) % GROUPS;
            assert_true(i >= 40 || times[g] == 0); /* the first round: 40 groups */
            times[g]++;
        }
        assert_memory_equal(times, samples, sizeof times);
        t3d_loader_close(l);
    }
}

/* Share of neighbours in the order whose captions have the kind in common. */
static double alike(int neighbours)
{
    struct t3d_loader_config c = config;
    int same = 0, n = 0, before = -1;
    struct t3d_loader *l;

    c.neighbours = neighbours;
    l = open_loader(&c);
    for (int s = 0; s < 60; s++) {
        const struct t3d_batch *b = next(l);
        for (int i = 0; i < BATCH; i++, n++) {
            int kind = object_of(b, i, 0) % GROUPS % KINDS;
            same += kind == before;
            before = kind;
        }
    }
    t3d_loader_close(l);
    return (double)same / n;
}

static void similar_captions_stand_together(void **state)
{
    double random = alike(0), together = alike(10);

    (void)state;
    assert_true(random > 0.15 && random < 0.35); /* 4 kinds */
    assert_true(together > random + 0.15);
}

static void same_batches_from_anywhere(void **state)
{
    struct t3d_loader_config other = config, mine = config;
    struct t3d_loader *a, *b;

    (void)state;
    other.threads = 3;
    other.neighbours = mine.neighbours = 7;
    other.cache_bytes = 20 * SIDE * SIDE * 4; /* a few views */
    a = open_loader(&mine);
    b = open_loader(&other);
    for (int s = 0; s < 5; s++)
        next(a);
    t3d_loader_seek(b, 5);
    for (int s = 5; s < 12; s++) {
        const struct t3d_batch *x = next(a), *y = next(b);
        assert_int_equal(x->step, y->step);
        assert_memory_equal(x->pixels, y->pixels, BATCH * 2 * SIDE * SIDE * 4);
        assert_memory_equal(x->view, y->view, BATCH * 2 * sizeof(int));
        for (int i = 0; i < BATCH; i++) {
            assert_int_equal(x->sample[i], y->sample[i]);
            assert_int_equal(x->caption[i].size, y->caption[i].size);
            assert_memory_equal(x->caption[i].text, y->caption[i].text, x->caption[i].size);
        }
    }
    assert_string_equal(t3d_loader_hash(a), t3d_loader_hash(b));
    t3d_loader_close(a);
    t3d_loader_close(b);
}

/* Half of a batch of 40 is what two batches of 20 are. */
static void position_decides_not_the_batch(void **state)
{
    struct t3d_loader_config half = config;
    struct t3d_loader *a = open_loader(&config), *b;

    (void)state;
    half.batch = BATCH / 2;
    b = open_loader(&half);
    for (int s = 0; s < 4; s++) {
        const struct t3d_batch *x = next(a);
        for (int k = 0; k < 2; k++) {
            const struct t3d_batch *y = next(b);
            assert_memory_equal(x->sample + k * BATCH / 2, y->sample,
                                BATCH / 2 * sizeof *y->sample);
        }
    }
    t3d_loader_close(a);
    t3d_loader_close(b);
}

static void smallest_sufficient_set_is_reduced(void **state)
{
    struct t3d_loader_config c = config;
    struct t3d_loader *l;

    (void)state;
    c.resolution = SIDE + 1; /* only the larger set will do */
    l = open_loader(&c);
    assert_int_equal(t3d_loader_source(l), 2 * SIDE);
    t3d_loader_close(l);
    c.resolution = 2 * SIDE + 1;
    assert_int_equal(t3d_loader_open(&l, &c, &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "t3d render --view-set ring:5 --resolution 33"));
}

/* Where it is asked for, each view has its own, as it is or reduced, from the cache too; else there
 * is none, and it is not missed. */
static void depth_is_that_of_the_view(void **state)
{
    struct t3d_loader_config c = config;
    struct t3d_loader *l = open_loader(&c);

    (void)state;
    assert_null(next(l)->depth);
    t3d_loader_close(l);
    c.need_depth = 1;
    for (int cached = 0; cached < 2; cached++) {
        c.cache_bytes = cached ? 0 : 1;
        l = open_loader(&c);
        for (int s = 0; s < 8; s++) {
            const struct t3d_batch *b = next(l);

            for (int k = 0; k < 2 * BATCH; k++)
                for (int p = 0; p < SIDE * SIDE; p++)
                    assert_int_equal(b->depth[(size_t)k * SIDE * SIDE + (size_t)p],
                                     code_of(object_of(b, k / 2, k % 2), b->view[k], SIDE, p));
        }
        t3d_loader_close(l);
    }
}

static void missing_depth_is_named(void **state)
{
    struct t3d_loader_config c = config;
    struct t3d_loader *l;

    (void)state;
    c.resolution = 2 * SIDE;
    l = open_loader(&c);
    t3d_loader_close(l);
    c.need_depth = 1;
    assert_int_equal(t3d_loader_open(&l, &c, &err), T3D_USAGE);
    assert_string_equal(err.reason, "no-depth");
    assert_non_null(strstr(err.msg, "lacks depth pictures of 1 of "));
    assert_non_null(strstr(err.msg, "t3d render --passes color,depth --view-set ring:5 "
                                    "--resolution 32"));
    c.split = "val"; /* which lacks none */
    c.resolution = SIDE + 1;
    assert_int_equal(t3d_loader_open(&l, &c, &err), T3D_OK);
    t3d_loader_close(l);
}

/* From twice the side: the mean of the three source pixels that have a depth, and without one none.
 */
static void depth_is_reduced(void **state)
{
    struct t3d_loader_config c = config;
    char from[128], to[128];
    struct t3d_loader *l;
    const struct t3d_batch *b;

    (void)state;
    snprintf(from, sizeof from, "%s/renders/ring:5-16", dir);
    snprintf(to, sizeof to, "%s/renders/elsewhere", dir);
    assert_int_equal(rename(from, to), 0);
    c.need_depth = 1;
    c.split = "val";
    l = open_loader(&c);
    assert_int_equal(t3d_loader_source(l), 2 * SIDE);
    b = next(l);
    for (int k = 0; k < 2 * BATCH; k++)
        for (int p = 0; p < SIDE * SIDE; p++)
            assert_int_equal(b->depth[(size_t)k * SIDE * SIDE + (size_t)p],
                             code_of(object_of(b, k / 2, k % 2), b->view[k], SIDE, p));
    t3d_loader_close(l);
    assert_int_equal(rename(to, from), 0);
}

static void only_uids_of_the_split_are_read(void **state)
{
    const char *good[] = {"u0", "u10"}, *bad[] = {"u0", "u9"}, *none[] = {"nobody"};
    struct t3d_loader_config c = config;
    struct t3d_loader *l;

    (void)state;
    c.uid = good;
    c.n_uids = 2;
    l = open_loader(&c);
    assert_int_equal(t3d_loader_samples(l), 2);
    for (int i = 0; i < BATCH; i++)
        assert_true(object_of(next(l), i, 0) % 10 == 0);
    t3d_loader_close(l);
    c.uid = bad;
    assert_int_equal(t3d_loader_open(&l, &c, &err), T3D_USAGE);
    assert_string_equal(err.reason, "wrong-split");
    assert_non_null(strstr(err.msg, "'u9' is of split test"));
    c.uid = none;
    c.n_uids = 1;
    assert_int_equal(t3d_loader_open(&l, &c, &err), T3D_USAGE);
    assert_string_equal(err.reason, "unknown-uid");
}

/* Damage the pictures of one shard from the outside: they are passed over and counted. */
static void corrupt_samples_are_passed_over(void **state)
{
    struct t3d_loader_config c = config;
    struct t3d_loader *l;
    struct t3d_err last;
    struct t3d_blob b;
    char path[128];
    uint8_t *copy;
    int bad = 0;

    (void)state;
    snprintf(path, sizeof path, "%s/renders/ring:5-16/000001.tar", dir);
    assert_int_equal(t3d_blob_open(&b, path, 0, &err), T3D_OK);
    copy = malloc(b.size);
    memcpy(copy, b.data, b.size);
    for (size_t i = 0; i + 8 < b.size; i++)
        if (memcmp(copy + i, "IDAT", 4) == 0)
            copy[i + 6] ^= 0x55;
    assert_int_equal(t3d_write_file(path, copy, b.size, &err), T3D_OK);
    l = open_loader(&c);
    for (int s = 0; s < 20; s++) {
        const struct t3d_batch *x = next(l);
        for (int i = 0; i < BATCH; i++)
            bad += object_of(x, i, 0) >= 256;
    }
    assert_int_equal(bad, 0);
    assert_true(t3d_loader_skipped(l, &last) > 0);
    assert_string_equal(last.reason, "bad-image");
    t3d_loader_close(l);
    assert_int_equal(t3d_write_file(path, b.data, b.size, &err), T3D_OK);
    t3d_blob_close(&b);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(order_is_a_permutation),
                                       cmocka_unit_test(order_depends_on_seed_and_epoch),
                                       cmocka_unit_test(batches_hold_what_they_say),
                                       cmocka_unit_test(epochs_go_over_the_groups_in_rounds),
                                       cmocka_unit_test(similar_captions_stand_together),
                                       cmocka_unit_test(same_batches_from_anywhere),
                                       cmocka_unit_test(position_decides_not_the_batch),
                                       cmocka_unit_test(smallest_sufficient_set_is_reduced),
                                       cmocka_unit_test(depth_is_that_of_the_view),
                                       cmocka_unit_test(missing_depth_is_named),
                                       cmocka_unit_test(depth_is_reduced),
                                       cmocka_unit_test(only_uids_of_the_split_are_read),
                                       cmocka_unit_test(corrupt_samples_are_passed_over)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
