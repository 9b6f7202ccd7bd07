/* SPDX-License-Identifier: Apache-2.0 */
/* store/split.h -- which objects train, validate and test: a stable split by hash without leaks.
 *
 *     t3d_splits_new(&s, seed, share, err);
 *     for each object in number order: t3d_splits_add(s, &member, &i, err);
 *     for each i: t3d_splits_of(s, i)
 *
 * Objects that share a group or a geometry hash are one component (union-find) and go to one split.
 * The split of a component is, in this order:
 *   1. the split given by the source of its lowest-numbered member that has a given one;
 *   2. the split an earlier run with the same seed and shares gave to its lowest-numbered member
 * that has one, so that a set that grows never moves what was there;
 *   3. train, val or test by u < share[0], u < share[0] + share[1], else, with u in [0, 1) from the
 *      first 8 bytes of SHA-256("SEED:KIND:ANCHOR"), ANCHOR = group, else geometry hash, else uid
 * of the lowest-numbered member. It depends on nothing else in the set. An object with a given
 * split keeps it, whatever its component takes.
 *
 * Memory: about 100 bytes an object, and 32 to 64 for each distinct group and geometry hash. */
#ifndef T3D_STORE_SPLIT_H
#define T3D_STORE_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum t3d_split { T3D_SPLIT_NONE = -1, T3D_SPLIT_TRAIN, T3D_SPLIT_VAL, T3D_SPLIT_TEST, T3D_SPLITS };

/* "train", "val", "test"; NULL for T3D_SPLIT_NONE. */
const char *t3d_split_name(enum t3d_split s);
/* NULL and unknown words give T3D_SPLIT_NONE. */
enum t3d_split t3d_split_from(const char *name);

struct t3d_split_member {
    const char *uid;
    const char *group, *geometry; /* NULL or "" = none */
    enum t3d_split given;         /* by the source; T3D_SPLIT_NONE = none */
    enum t3d_split before;        /* by an earlier run with the same seed and shares */
};

struct t3d_splits;

/* share[T3D_SPLITS]: each in [0, 1], sum within 1e-6 of 1; else T3D_USAGE with the sum. */
int t3d_splits_new(struct t3d_splits **s, uint64_t seed, const double share[T3D_SPLITS],
                   struct t3d_err *err) T3D_MUST_CHECK;
void t3d_splits_free(struct t3d_splits *s);

/* Add one more; *index counts from 0. Strings are copied or digested. The earlier an object is
 * added, the older it counts. */
int t3d_splits_add(struct t3d_splits *s, const struct t3d_split_member *m, size_t *index,
                   struct t3d_err *err) T3D_MUST_CHECK;

size_t t3d_splits_count(const struct t3d_splits *s);
const char *t3d_splits_uid(const struct t3d_splits *s, size_t index);
/* As things stand after all that was added so far. */
enum t3d_split t3d_splits_of(struct t3d_splits *s, size_t index);
enum t3d_split t3d_splits_before(const struct t3d_splits *s, size_t index);
/* The oldest member of the object's component. */
size_t t3d_splits_oldest(struct t3d_splits *s, size_t index);

struct t3d_split_report {
    uint64_t count[T3D_SPLITS];
    uint64_t components; /* of two or more objects */
    uint64_t given;      /* objects whose split the source gave */
    uint64_t moved;      /* had another split before: a new object joined their component to an
                            older one, or to one with a given split */
    uint64_t conflicts;  /* given objects whose component holds another given split: a leak that
                            only the source can mend */
    size_t moved_first, conflict_first; /* index of the first such object */
};
void t3d_splits_report(struct t3d_splits *s, struct t3d_split_report *r);

/* All indices of one split sorted by uid, bytewise: malloc'd, *n long; NULL when memory is out (and
 * when *n == 0). */
size_t *t3d_splits_sorted(struct t3d_splits *s, enum t3d_split which, size_t *n);

/* The lists as JSON to path, whole or not at all: schema, seed, shares, counts, and for each split
 * its sorted uids. seed and share as for t3d_splits_new; n: the report as things stand. */
int t3d_splits_write(struct t3d_splits *s, const char *path, uint64_t seed,
                     const double share[T3D_SPLITS], const struct t3d_split_report *n,
                     struct t3d_err *err) T3D_MUST_CHECK;

#endif
