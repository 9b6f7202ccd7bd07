/* SPDX-License-Identifier: Apache-2.0 */
/* geom/read.h -- readers of 3D files. They parse hostile bytes and therefore normally run in the
 * sandboxed child behind geom/import.h; they are also called directly by tests and fuzzers.
 *
 *     struct t3d_source src = {.data = d, .size = n, .name = "chair.gltf", .open = resolve, .ctx =
 * c}; r = t3d_read_scene(&scene, &arena, &src, T3D_READ_PIXELS, err);
 */
#ifndef T3D_GEOM_READ_H
#define T3D_GEOM_READ_H

#include "base/file.h"
#include "geom/scene.h"

enum t3d_read_flag {
    T3D_READ_HEADERS = 0, /* sizes of pictures only */
    T3D_READ_PIXELS = 1,  /* decode pictures that a material uses */
    T3D_READ_NAMES = 2    /* only collect the names of external files: open is called for each, and
                             an empty scene is returned */
};

struct t3d_source {
    const uint8_t *data;
    size_t size;
    const char *name; /* for the format's ending (or the kind of member) and messages */
    /* Opens an external file by the name in the file (percent-decoded, not yet judged); the
     * resolver refuses absolute paths and "..". NULL = no external files. T3D_SKIP "missing-file"
     * etc. The blob stays valid until the arena of the call is freed. */
    int (*open)(void *ctx, const char *name, struct t3d_blob *out, struct t3d_err *err);
    void *ctx;
};

/* By content first, ending second: glb, gltf, obj, ply, stl (both), off, splat, and what
 * t3d_read_other reads. T3D_SKIP
 * "unknown-format" says what the bytes look like ("HTML page", "gzip", "empty file", ...).
 * A scene without triangles is not an error here: files of splats (doc/formats.md) have none. */
int t3d_read_scene(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                   unsigned flags, struct t3d_err *err) T3D_MUST_CHECK;

/* The formats, for fuzzers and tests. Each allocates from a only and fills s->notes. */
int t3d_read_gltf(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                  unsigned flags, struct t3d_err *err) T3D_MUST_CHECK; /* .glb and .gltf */
int t3d_read_obj(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                 unsigned flags, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_read_ply(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                 unsigned flags, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_read_stl(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                 unsigned flags, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_read_off(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                 unsigned flags, struct t3d_err *err) T3D_MUST_CHECK;

int t3d_read_splat(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                   unsigned flags, struct t3d_err *err) T3D_MUST_CHECK;

/* .fbx, .dae, .3ds and .3mf by assimp, where t3d_read_other_load has loaded it (0; -1 when it
 * cannot be loaded), else T3D_SKIP "no-library". Loading opens files: it comes before the filter.
 */
#define T3D_OTHER_FORMATS "fbx dae 3ds 3mf"
int t3d_read_other_load(void);
int t3d_read_other(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_source *src,
                   unsigned flags, struct t3d_err *err) T3D_MUST_CHECK;

/* Shared by readers: fill p from bytes (probe, and decode with T3D_READ_PIXELS). Failures become
 * the picture's state, never an error; only memory ends the read. */
int t3di_read_picture(struct t3d_picture *p, struct t3d_arena *a, const uint8_t *data, size_t size,
                      unsigned flags, struct t3d_err *err) T3D_MUST_CHECK;

#endif
