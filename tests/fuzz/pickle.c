/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: the reader of torch.save's files. What it accepts must be readable. */
#include <stdint.h>

#include "store/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct t3d_err err = {0};
    struct t3d_pickle p;
    int r = t3d_pickle_parse(&p, data, size, "x", &err);

    if (r < 0) {
        if (r != T3D_SKIP || !err.reason[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < p.n; i++) {
        const struct t3d_tensor *t = &p.tensor[i];
        float *f = t->count < 1 << 20 ? malloc(t->count * sizeof *f + 1) : NULL;

        if (f)
            t3d_tensor_floats(t, f);
        free(f);
        if (t3d_pickle_find(&p, t->name) != t)
            abort();
    }
    t3d_pickle_close(&p);
    return 0;
}
