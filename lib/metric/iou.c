/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/iou.h"

#include <math.h>

#include "geom/inside.h"

int t3d_iou(struct t3d_iou *out, const struct t3d_geometry *pred, const struct t3d_geometry *ref,
            int threads, struct t3d_err *err)
{
    const struct t3d_geometry *shape[2] = {pred, ref};
    struct t3d_arena arena[2] = {{0}, {0}};
    struct t3d_inside in[2] = {{0}, {0}};
    struct t3d_err why[2];
    struct t3d_grid g;
    int r[2];

    *out = (struct t3d_iou){.value = NAN};
    for (int k = 0; k < 3; k++) {
        g.lo[k] = fmin(pred->lo[k], ref->lo[k]);
        g.hi[k] = fmax(pred->hi[k], ref->hi[k]);
        if (!(g.hi[k] > g.lo[k]))
            return T3D_OK;
    }
#pragma omp parallel for num_threads(2) if (threads > 1)
    for (int i = 0; i < 2; i++)
        r[i] = t3d_inside(&in[i], &shape[i]->scene, &g, &arena[i], &why[i]);
    for (size_t i = 0;
         r[0] == T3D_OK && r[1] == T3D_OK && i < (size_t)T3D_GRID * T3D_GRID * T3D_GRID; i++) {
        out->both += in[0].cell[i] & in[1].cell[i];
        out->either += in[0].cell[i] | in[1].cell[i];
    }
    out->pred_open = !in[0].closed;
    out->ref_open = !in[1].closed;
    if (out->either)
        out->value = (double)out->both / (double)out->either;
    for (int i = 0; i < 2; i++) {
        t3d_arena_free(&arena[i]);
        if (r[i] < 0)
            *err = why[i];
    }
    return r[0] < 0 ? r[0] : r[1];
}
