/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/generate_made.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

/* Raise when the same request gives other bytes. */
#define FORMAT "t3d generate 1"

int t3d_made_key(char key[T3D_SHA256_HEX], const char *looks, const struct t3d_origin *o, size_t n,
                 struct t3d_err *err)
{
    struct t3d_sha256 *h;
    int r = t3d_sha256_new(&h, err);

    if (r < 0)
        return r;
    t3d_sha256_add_str(h, FORMAT);
    t3d_sha256_add_str(h, looks);
    for (size_t i = 0; i < n; i++) {
        t3d_sha256_add_str(h, o[i].key);
        t3d_sha256_add_str(h, o[i].value);
    }
    t3d_sha256_end(h, key);
    return T3D_OK;
}

int t3d_made_is(const char *dir, const char *uid, const char *path, const char *key,
                struct t3d_arena *a)
{
    char *stamp = t3d_sprintf(a, "%s/.made/%s", dir, uid);
    struct t3d_blob b;
    int same;

    if (!stamp || access(path, F_OK) < 0 || t3d_blob_open(&b, stamp, 0, NULL) < 0)
        return 0;
    same = b.size == strlen(key) + 1 && memcmp(b.data, key, strlen(key)) == 0;
    t3d_blob_close(&b);
    return same;
}

int t3d_made_set(const char *dir, const char *uid, const char *key, struct t3d_arena *a,
                 struct t3d_err *err)
{
    char *stamp = t3d_sprintf(a, "%s/.made/%s", dir, uid), *line = t3d_sprintf(a, "%s\n", key);
    int r = stamp && line ? t3d_make_parent(stamp, err) : t3d_err_nomem(err, dir);

    return r == T3D_OK ? t3d_write_file(stamp, line, strlen(line), err) : r;
}
