/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a split as a file. */
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "store/split.h"

static int write_list(struct t3d_splits *s, FILE *f, enum t3d_split which, struct t3d_err *err)
{
    size_t n, *list = t3d_splits_sorted(s, which, &n);

    if (n && !list)
        return t3d_err_nomem(err, "the lists");
    fprintf(f, ",\n\"%s\":[", t3d_split_name(which));
    for (size_t i = 0; i < n; i++) /* a uid needs no escapes */
        fprintf(f, "%s\n\"%s\"", i ? "," : "", t3d_splits_uid(s, list[i]));
    fputs("]", f);
    free(list);
    return T3D_OK;
}

static void write_head(FILE *f, uint64_t seed, const double share[T3D_SPLITS],
                       const struct t3d_split_report *n)
{
    char number[32];

    fprintf(f, "{\"schema\":1,\n\"seed\":%llu,\n\"shares\":{", (unsigned long long)seed);
    for (int i = 0; i < T3D_SPLITS; i++) {
        t3d_json_number(share[i], number);
        fprintf(f, "%s\"%s\":%s", i ? "," : "", t3d_split_name((enum t3d_split)i), number);
    }
    fputs("},\n\"counts\":{", f);
    for (int i = 0; i < T3D_SPLITS; i++)
        fprintf(f, "%s\"%s\":%llu", i ? "," : "", t3d_split_name((enum t3d_split)i),
                (unsigned long long)n->count[i]);
    fputs("}", f);
}

int t3d_splits_write(struct t3d_splits *s, const char *path, uint64_t seed,
                     const double share[T3D_SPLITS], const struct t3d_split_report *n,
                     struct t3d_err *err)
{
    struct t3d_out out;
    int r = t3d_out_open(&out, path, err);

    if (r < 0)
        return r;
    write_head(out.f, seed, share, n);
    for (int i = 0; i < T3D_SPLITS && r == T3D_OK; i++)
        r = write_list(s, out.f, (enum t3d_split)i, err);
    fputs("}\n", out.f);
    if (r == T3D_OK)
        return t3d_out_commit(&out, 0, err);
    t3d_out_abort(&out);
    return r;
}
