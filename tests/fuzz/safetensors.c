/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: the safetensors reader. What it accepts must be readable to the last byte. */
#include <stdint.h>

#include "store/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct t3d_err err = {0};
    struct t3d_safetensors s;
    uint64_t sum = 0;
    int r = t3d_safetensors_parse(&s, data, size, "x", &err);

    if (r < 0) {
        if (r != T3D_SKIP || !err.reason[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < s.n; i++) {
        const struct t3d_tensor *t = &s.tensor[i];
        size_t bytes = t->count * t3d_tensor_type_size(t->type);
        float *f = malloc(t->count * sizeof *f + 1);

        for (size_t k = 0; k < bytes; k++)
            sum += t->data[k];
        if (f)
            t3d_tensor_floats(t, f);
        free(f);
        if (t3d_safetensors_find(&s, t->name) != t)
            abort();
    }
    t3d_safetensors_close(&s);
    return sum == UINT64_MAX;
}
