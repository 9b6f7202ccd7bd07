/* SPDX-License-Identifier: Apache-2.0 */
/* store/cap3d.h -- what Cap3D (tiange/Cap3D on Hugging Face's hub) has for the objects of a
 * workspace: captions, by Sketchfab's uid or by SHA-256. */
#ifndef T3D_STORE_CAP3D_H
#define T3D_STORE_CAP3D_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_dataset_conf;
struct t3d_manifest;

struct t3d_cap3d_counts {
    uint64_t rows, bad;                 /* of the list: usable ones, and those passed over */
    uint64_t objects, matched, changed; /* of the workspace: all, with a caption, with a new one */
    struct t3d_err first_bad;           /* why, when bad > 0 */
};

/* Captions from `file` (NULL = Cap3D's own list, fetched into <workspace>/lists/cap3d/) to the
 * objects of m (NULL = only the list is read). Several rows of one key add up. Memory does not
 * depend on the list: it is kept in a table on disk. */
int t3d_cap3d_captions(struct t3d_manifest *m, const struct t3d_dataset_conf *conf,
                       const char *file, struct t3d_cap3d_counts *n,
                       struct t3d_err *err) T3D_MUST_CHECK;

/* Side of a square PNG picture whose chunks are all sound; 0 = it is none. */
uint32_t t3d_cap3d_picture(const void *data, size_t size);

#endif
