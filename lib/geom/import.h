/* SPDX-License-Identifier: Apache-2.0 */
/* geom/import.h -- readers behind the wall: files are parsed in sandboxed children.
 *
 *     t3d_importer_open(&im, threads, NULL, err);      before threads and large memory
 *     r = t3d_import(im, thread, "objects/ab/ab...glb", resolve, ctx, T3D_READ_PIXELS, &sc, err);
 *     ... sc.scene ...
 *     t3d_imported_close(&sc);
 *
 * The child has rlimits, a seccomp filter, no files and no network; names of external files are
 * asked from the parent, which opens them by `resolve`. A child parses up to T3D_SANDBOX_REQUESTS
 * objects (base/sandbox.h) and is replaced at once after any that failed. The result comes in a
 * memory file made for this object alone; the parent takes it only when it is sealed against
 * writing, and re-checks it (t3d_scene_unpack). A child that dies, or keeps its hold on the result,
 * is T3D_SKIP "parser-crashed", "parser-timeout" or "parser-memory". */
#ifndef T3D_GEOM_IMPORT_H
#define T3D_GEOM_IMPORT_H

#include "geom/scene.h"

struct t3d_importer;

struct t3d_import_limits {
    uint64_t memory_bytes; /* address space of the child; default 4 GiB */
    uint64_t output_bytes; /* flat scene; default 2 GiB */
    double wall_s, cpu_s;  /* of one object; defaults 60, 60 */
    uint64_t input_bytes;  /* largest file taken; default 1 GiB */
};

int t3d_importer_open(struct t3d_importer **im, int threads, const struct t3d_import_limits *limits,
                      struct t3d_err *err) T3D_MUST_CHECK;
void t3d_importer_close(struct t3d_importer *im);

/* 1 when the seccomp filter is in force in the children, 0 when only rlimits are (kernel refuses).
 */
int t3d_importer_has_seccomp(const struct t3d_importer *im);

struct t3d_imported {
    struct t3d_scene scene; /* pointers lead into map */
    void *map;              /* t3d_imported_close gives it back */
    size_t map_size;
};

/* Give an open descriptor for an external file named in the main file, or -1 with *err (T3D_SKIP
 * "missing-file", "unsafe-name", ...). Called in the calling thread. */
typedef int t3d_import_resolve(void *ctx, const char *name, struct t3d_err *err);

/* Resolver for files beside the main file: ctx is the folder's path (const char *). Refuses
 * absolute names, "..", symbolic links that leave the folder, and anything but regular files. */
int t3d_import_resolve_folder(void *ctx, const char *name, struct t3d_err *err);

/* thread: 0..threads-1, one call at a time for each. flags: enum t3d_read_flag of geom/read.h. */
int t3d_import(struct t3d_importer *im, int thread, const char *path, t3d_import_resolve *resolve,
               void *ctx, unsigned flags, struct t3d_imported *out,
               struct t3d_err *err) T3D_MUST_CHECK;
void t3d_imported_close(struct t3d_imported *i);

#endif
