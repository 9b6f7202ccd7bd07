/* SPDX-License-Identifier: Apache-2.0 */
#include "num/device.h"

#include <stdlib.h>
#include <string.h>

#include "num/cuda_impl.h"

int t3d_device_parse(struct t3d_device *d, const char *text, struct t3d_err *err)
{
    char *end;
    long index = 0;

    *d = (struct t3d_device){T3D_CPU, 0};
    if (!text || !*text || strcmp(text, "cpu") == 0)
        return T3D_OK;
    if (strncmp(text, "cuda", 4) != 0)
        goto bad;
    if (text[4]) {
        if (text[4] != ':' || text[5] < '0' || text[5] > '9')
            goto bad;
        index = strtol(text + 5, &end, 10);
        if (*end || index > 1023)
            goto bad;
    }
    *d = (struct t3d_device){T3D_CUDA, (int)index};
    return t3di_cuda_check((int)index, err);
bad:
    return t3d_err_set(err, T3D_USAGE, "bad-device", "device '%s': it is cpu or cuda:N", text);
}

struct t3d_graph *t3d_device_graph(const struct t3d_device *d, int threads)
{
    struct t3d_graph *g = t3d_graph_new(d->backend, threads);

    if (g)
        t3d_graph_device(g, d->index);
    return g;
}

int t3d_device_count(void)
{
    return t3di_cuda_count();
}

void t3d_device_describe(int index, char *text, size_t n)
{
    t3di_cuda_describe(index, text, n);
}

void t3d_device_support(char *text, size_t n)
{
    t3di_cuda_text(text, n);
}
