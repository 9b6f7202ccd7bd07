/* SPDX-License-Identifier: Apache-2.0 */
/* store/gather.h -- copy the files of one object into the content store as its main file names
 * them.
 *
 *     t3d_gather_begin(&g, workspace, folder, open_in_folder, &arena);
 *     t3d_gather_main(&g, fd, &st, "set/chair.gltf", &object, err);
 *     t3d_import(..., t3d_gather_resolve, &g, T3D_READ_NAMES, ...);
 *     t3d_gather_end(&g, &object, &stamp, err);
 *     t3d_gather_fini(&g);
 *
 * A picture or .mtl that is not there is counted; anything else that is not there or cannot be
 * taken is the object's failure. */
#ifndef T3D_STORE_GATHER_H
#define T3D_STORE_GATHER_H

#include "store/content.h"
#include "store/manifest.h"
#include "store/stamp.h"

struct t3d_gather {
    uint64_t missing; /* files that are named and not there */
    /* the rest is the module's */
    const char *workspace;
    const void *folder;
    int (*open)(void *folder, const char *name, struct t3d_err *err);
    struct t3d_arena *arena;
    struct t3d_stamp stamp;
    struct t3d_part *part;
    size_t n, capacity;
    int pictures_only;  /* the format can do without any of its files */
    struct t3d_err err; /* code 0 = all is well so far */
};

/* open: gives a descriptor for a name in the folder (whatever that is to open), or -1 and T3D_SKIP
 * "missing-file", "unsafe-name", ... */
void t3d_gather_begin(struct t3d_gather *g, const char *workspace, const void *folder,
                      int (*open)(void *folder, const char *name, struct t3d_err *err),
                      struct t3d_arena *a);
/* The main file: fills ending, file_sha256 and bytes of o. st: of fd. */
int t3d_gather_main(struct t3d_gather *g, int fd, const struct stat *st, const char *path,
                    struct t3d_object *o, struct t3d_err *err) T3D_MUST_CHECK;
/* The same for a main file that is in the store already: o has its ending and hash. */
void t3d_gather_stored(struct t3d_gather *g, const struct t3d_object *o);
/* Copy one external file; a descriptor of it at its start, or -1. ctx is the struct t3d_gather. */
int t3d_gather_resolve(void *ctx, const char *name, struct t3d_err *err);
/* T3D_OK, or what made a file that is needed impossible to take. */
int t3d_gather_check(const struct t3d_gather *g, struct t3d_err *err) T3D_MUST_CHECK;
/* Forget all external files. */
void t3d_gather_forget(struct t3d_gather *g);
/* Writes .parts; fills content and bytes of o; *stamp is in the arena. */
int t3d_gather_end(struct t3d_gather *g, struct t3d_object *o, const char **stamp,
                   struct t3d_err *err) T3D_MUST_CHECK;
void t3d_gather_fini(struct t3d_gather *g);

#endif
