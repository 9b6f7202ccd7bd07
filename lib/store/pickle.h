/* SPDX-License-Identifier: Apache-2.0 */
/* store/pickle.h -- tensors in files written by torch.save, legacy (a row of pickles, then the
 * storages) and zip (data.pkl and one stored member a storage).
 *
 *     struct t3d_pickle p;
 *     r = t3d_pickle_open(&p, "alex.pth", err);
 *     const struct t3d_tensor *t = t3d_pickle_find(&p, "lin0.model.1.weight");
 *     ...
 *     t3d_pickle_close(&p);
 *
 * Nothing is executed: the reader knows the opcodes that torch.save writes and these globals, and
 * nothing else: collections.OrderedDict; torch._utils._rebuild_tensor_v2, _rebuild_tensor and
 * _rebuild_parameter; torch.<Type>Storage. Any other is T3D_SKIP "unsafe-pickle" and is named. A
 * damaged file is "bad-pickle"; complex, quantised or big-endian data is "unsupported-type".
 *
 * The tensors may stand in nested dicts and lists: {"state_dict": {"a": T}, "steps": 7} gives
 * "state_dict.a". Other values are passed over. */
#ifndef T3D_STORE_PICKLE_H
#define T3D_STORE_PICKLE_H

#include "base/arena.h"
#include "base/file.h"
#include "store/tensor.h"

struct t3d_pickle {
    struct t3d_tensor *tensor; /* (n) sorted by name; strides as stored, data in the map */
    size_t n;
    struct t3d_blob blob;
    struct t3d_arena arena;
};

int t3d_pickle_open(struct t3d_pickle *p, const char *path, struct t3d_err *err) T3D_MUST_CHECK;
/* The same from memory, which must outlive p. name is for messages. */
int t3d_pickle_parse(struct t3d_pickle *p, const void *data, size_t size, const char *name,
                     struct t3d_err *err) T3D_MUST_CHECK;
void t3d_pickle_close(struct t3d_pickle *p);

/* Borrowed; NULL when there is none. */
const struct t3d_tensor *t3d_pickle_find(const struct t3d_pickle *p, const char *name);

#endif
