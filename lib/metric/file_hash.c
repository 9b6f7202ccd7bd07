/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/file_hash.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/walk.h"
#include "geom/names.h"
#include "geom/read.h"

struct hasher {
    struct t3d_importer *importer;
    struct t3d_sha256 *h;
    char *folder;
};

/* A file that the main file names: its name and bytes join the hash. */
static int hash_external(void *ctx, const char *name, struct t3d_err *err)
{
    struct hasher *x = ctx;
    int fd = t3d_import_resolve_folder(x->folder, name, err);
    struct t3d_blob b;

    t3d_sha256_add_str(x->h, name);
    if (fd < 0 || t3d_blob_open_fd(&b, fd, name, 0, err) < 0)
        return fd;
    t3d_sha256_add(x->h, b.data, b.size);
    t3d_blob_close(&b);
    return fd;
}

static int hash_names(struct hasher *x, int thread, const char *path, struct t3d_err *err)
{
    struct t3d_imported names;
    int r = t3d_import(x->importer, thread, path, hash_external, x, T3D_READ_NAMES, &names, err);

    if (r == T3D_OK)
        t3d_imported_close(&names);
    return r == T3D_SKIP ? T3D_OK : r; /* the import proper will say what is wrong */
}

int t3d_file_hash(char hex[65], struct t3d_importer *importer, int thread, const char *path,
                  struct t3d_err *err)
{
    struct hasher x = {.importer = importer, .folder = strdup(path)};
    struct t3d_blob b;
    int r = x.folder ? t3d_blob_open(&b, path, 0, err) : t3d_err_nomem(err, path);

    if (r < 0) {
        free(x.folder);
        return r;
    }
    x.folder[T3D_MAX(t3d_path_base(path) - path, 1) - 1] = 0;
    r = t3d_sha256_new(&x.h, err);
    if (r == T3D_OK) {
        t3d_sha256_add(x.h, b.data, b.size);
        if (!t3d_ending_in(path, "npy png jpg jpeg webp") &&
            t3d_may_name_files(b.data, b.size, t3d_path_ending(path)))
            r = hash_names(&x, thread, path, err);
        t3d_sha256_end(x.h, hex);
    }
    t3d_blob_close(&b);
    free(x.folder);
    return r;
}
