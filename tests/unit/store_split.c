/* SPDX-License-Identifier: Apache-2.0 */
#include "store/split.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"

static const double usual[T3D_SPLITS] = {.8, .1, .1};

static struct t3d_splits *new_splits(uint64_t seed)
{
    struct t3d_splits *s = NULL;
    struct t3d_err err = {0};

    assert_int_equal(t3d_splits_new(&s, seed, usual, &err), T3D_OK);
    return s;
}

static size_t add(struct t3d_splits *s, const char *uid, const char *group, const char *geometry,
                  enum t3d_split given, enum t3d_split before)
{
    struct t3d_split_member m = {uid, group, geometry, given, before};
    struct t3d_err err = {0};
    size_t i;

    assert_int_equal(t3d_splits_add(s, &m, &i, &err), T3D_OK);
    return i;
}

static size_t add_plain(struct t3d_splits *s, const char *uid, const char *group,
                        const char *geometry)
{
    return add(s, uid, group, geometry, T3D_SPLIT_NONE, T3D_SPLIT_NONE);
}

/* The rule of the header, written again. */
static enum t3d_split by_rule(uint64_t seed, const char *kind, const char *anchor)
{
    char text[300];
    double u;

    snprintf(text, sizeof text, "%llu:%s:%s", (unsigned long long)seed, kind, anchor);
    u = ldexp((double)(t3d_hash64(text) >> 11), -53);
    return u < .8 ? T3D_SPLIT_TRAIN : u < .9 ? T3D_SPLIT_VAL : T3D_SPLIT_TEST;
}

static void lone_objects_follow_the_hash(void **state)
{
    struct t3d_splits *s = new_splits(7);
    uint64_t count[T3D_SPLITS] = {0};
    char uid[40];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        snprintf(uid, sizeof uid, "object-%d", i);
        add_plain(s, uid, NULL, "");
    }
    for (size_t i = 0; i < 20000; i++) {
        snprintf(uid, sizeof uid, "object-%zu", i);
        assert_int_equal(t3d_splits_of(s, i), by_rule(7, "uid", uid));
        count[t3d_splits_of(s, i)]++;
    }
    /* Binomial, n = 20000: five standard deviations are 283 (p .8) and 212 (p .1). */
    assert_true(llabs((long long)count[0] - 16000) < 283);
    assert_true(llabs((long long)count[1] - 2000) < 212);
    assert_true(llabs((long long)count[2] - 2000) < 212);
    t3d_splits_free(s);
}

static void anchor_is_group_then_geometry_then_uid(void **state)
{
    struct t3d_splits *s = new_splits(1);

    (void)state;
    for (int i = 0; i < 50; i++) {
        char uid[40], group[40], geometry[40];
        size_t a, b;

        snprintf(uid, sizeof uid, "u%d", i);
        snprintf(group, sizeof group, "g%d", i);
        snprintf(geometry, sizeof geometry, "h%d", i);
        a = add_plain(s, uid, group, geometry);
        assert_int_equal(t3d_splits_of(s, a), by_rule(1, "group", group));
        snprintf(geometry, sizeof geometry, "k%d", i);
        b = add_plain(s, uid, NULL, geometry);
        assert_int_equal(t3d_splits_of(s, b), by_rule(1, "geometry", geometry));
    }
    t3d_splits_free(s);
}

/* Any sequence: no two objects of one group or geometry are apart; growing by one never moves
 * anybody when earlier answers are handed back, except into the split of an older one. */
static void random_sets_never_leak(void **state)
{
    enum { N = 400 };
    static char group[N][8], geometry[N][8], uid[N][16];
    struct t3d_rng r = t3d_rng_for(3, "split", 0);
    enum t3d_split before[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(uid[i], sizeof uid[i], "u%d", i);
        snprintf(group[i], 8, "%s%u", t3d_rng_below(&r, 2) ? "" : "g", t3d_rng_below(&r, 150));
        if (group[i][0] != 'g')
            group[i][0] = 0;
        snprintf(geometry[i], 8, "h%u", t3d_rng_below(&r, 600));
        before[i] = T3D_SPLIT_NONE;
    }
    for (int n = 1; n <= N; n += 57) {
        struct t3d_splits *s = new_splits(11);
        for (int i = 0; i < n; i++)
            add(s, uid[i], group[i], geometry[i], T3D_SPLIT_NONE, before[i]);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++)
                if ((group[i][0] && !strcmp(group[i], group[j])) ||
                    !strcmp(geometry[i], geometry[j]))
                    assert_int_equal(t3d_splits_of(s, (size_t)i), t3d_splits_of(s, (size_t)j));
        for (int i = 0; i < n; i++) {
            enum t3d_split now = t3d_splits_of(s, (size_t)i);
            size_t oldest = t3d_splits_oldest(s, (size_t)i);
            if (before[i] != T3D_SPLIT_NONE && now != before[i])
                assert_int_equal(now, before[oldest]);
            if (oldest == (size_t)i && before[i] != T3D_SPLIT_NONE)
                assert_int_equal(now, before[i]);
        }
        for (int i = 0; i < n; i++)
            before[i] = t3d_splits_of(s, (size_t)i);
        t3d_splits_free(s);
    }
}

static void given_splits_win(void **state)
{
    struct t3d_splits *s = new_splits(5);
    struct t3d_split_report report;
    size_t a = add(s, "a", "g", "x", T3D_SPLIT_NONE, T3D_SPLIT_TRAIN);
    size_t b = add(s, "b", NULL, "x", T3D_SPLIT_TEST, T3D_SPLIT_NONE);
    size_t c = add(s, "c", "g", "y", T3D_SPLIT_VAL, T3D_SPLIT_NONE);
    size_t d = add(s, "d", NULL, "y", T3D_SPLIT_NONE, T3D_SPLIT_NONE);

    (void)state;
    assert_int_equal(t3d_splits_of(s, a), T3D_SPLIT_TEST); /* b's is the older given one */
    assert_int_equal(t3d_splits_of(s, b), T3D_SPLIT_TEST);
    assert_int_equal(t3d_splits_of(s, c), T3D_SPLIT_VAL); /* given: kept, and reported */
    assert_int_equal(t3d_splits_of(s, d), T3D_SPLIT_TEST);
    t3d_splits_report(s, &report);
    assert_int_equal(report.conflicts, 1);
    assert_int_equal(report.conflict_first, c);
    assert_int_equal(report.moved, 1);
    assert_int_equal(report.moved_first, a);
    assert_int_equal(report.given, 2);
    assert_int_equal(report.components, 1);
    assert_int_equal(report.count[T3D_SPLIT_TEST], 3);
    t3d_splits_free(s);
}

static void older_assignment_wins_a_merge(void **state)
{
    struct t3d_splits *s = new_splits(5);
    size_t a = add(s, "a", "one", NULL, T3D_SPLIT_NONE, T3D_SPLIT_VAL);
    size_t b = add(s, "b", NULL, "two", T3D_SPLIT_NONE, T3D_SPLIT_TEST);
    size_t c;

    (void)state;
    assert_int_equal(t3d_splits_of(s, a), T3D_SPLIT_VAL);
    assert_int_equal(t3d_splits_of(s, b), T3D_SPLIT_TEST);
    c = add_plain(s, "c", "one", "two");
    assert_int_equal(t3d_splits_of(s, a), T3D_SPLIT_VAL);
    assert_int_equal(t3d_splits_of(s, b), T3D_SPLIT_VAL);
    assert_int_equal(t3d_splits_of(s, c), T3D_SPLIT_VAL);
    assert_int_equal(t3d_splits_before(s, b), T3D_SPLIT_TEST);
    t3d_splits_free(s);
}

/* A group and a geometry hash of the same spelling are different things. */
static void kinds_do_not_mix(void **state)
{
    struct t3d_splits *s = new_splits(5);
    size_t a = add_plain(s, "a", "same", NULL), b = add_plain(s, "b", NULL, "same");

    (void)state;
    assert_int_equal(t3d_splits_oldest(s, a), a);
    assert_int_equal(t3d_splits_oldest(s, b), b);
    t3d_splits_free(s);
}

static void shares_are_checked(void **state)
{
    static const double bad[][T3D_SPLITS] = {
        {.8, .1, .2}, {.8, .1, .099}, {1.5, -.5, 0}, {NAN, .5, .5}, {.8, .1, .1 + 3e-6}};
    static const double all[][T3D_SPLITS] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    struct t3d_splits *s = NULL;
    struct t3d_err err;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(bad); i++)
        assert_int_equal(t3d_splits_new(&s, 0, bad[i], &err), T3D_USAGE);
    assert_int_equal(t3d_splits_new(&s, 0, bad[0], &err), T3D_USAGE);
    assert_non_null(strstr(err.msg, "1.1"));
    for (size_t k = 0; k < T3D_COUNT(all); k++) {
        char uid[16];
        assert_int_equal(t3d_splits_new(&s, 0, all[k], &err), T3D_OK);
        for (size_t i = 0; i < 500; i++) {
            snprintf(uid, sizeof uid, "%zu", i);
            add_plain(s, uid, NULL, NULL);
            assert_int_equal(t3d_splits_of(s, i), k);
        }
        t3d_splits_free(s);
    }
}

static void lists_are_sorted_and_whole(void **state)
{
    struct t3d_splits *s = new_splits(9);
    size_t total = 0;

    (void)state;
    for (int i = 0; i < 300; i++) {
        char uid[16];
        snprintf(uid, sizeof uid, "%d", i * 7919 % 1000);
        add_plain(s, uid, NULL, NULL);
    }
    for (int k = 0; k < T3D_SPLITS; k++) {
        size_t n, *list = t3d_splits_sorted(s, (enum t3d_split)k, &n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(t3d_splits_of(s, list[i]), k);
            if (i)
                assert_true(strcmp(t3d_splits_uid(s, list[i - 1]), t3d_splits_uid(s, list[i])) < 0);
        }
        total += n;
        free(list);
    }
    assert_int_equal(total, 300);
    assert_int_equal(t3d_splits_count(s), 300);
    t3d_splits_free(s);
}

static void names_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < T3D_SPLITS; i++)
        assert_int_equal(t3d_split_from(t3d_split_name((enum t3d_split)i)), i);
    assert_int_equal(t3d_split_from("training"), T3D_SPLIT_NONE);
    assert_int_equal(t3d_split_from(NULL), T3D_SPLIT_NONE);
    assert_null(t3d_split_name(T3D_SPLIT_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lone_objects_follow_the_hash),
        cmocka_unit_test(anchor_is_group_then_geometry_then_uid),
        cmocka_unit_test(random_sets_never_leak),
        cmocka_unit_test(given_splits_win),
        cmocka_unit_test(older_assignment_wins_a_merge),
        cmocka_unit_test(kinds_do_not_mix),
        cmocka_unit_test(shares_are_checked),
        cmocka_unit_test(lists_are_sorted_and_whole),
        cmocka_unit_test(names_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
