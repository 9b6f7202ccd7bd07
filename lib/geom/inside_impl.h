/* SPDX-License-Identifier: Apache-2.0 */
/* geom/inside_impl.h -- the fans that close a mesh, as the vector code wants them. */
#ifndef T3D_GEOM_INSIDE_IMPL_H
#define T3D_GEOM_INSIDE_IMPL_H

#include <stddef.h>
#include <stdint.h>

/* One array of `stride` floats (n rounded up to 16) for each; in units of the box's longest side.
 */
enum {
    T3DI_CAP_CORNERS = 9,
    T3DI_CAP_CENTRE = 9,
    T3DI_CAP_RADIUS = 12,
    T3DI_CAP_AREA = 13,
    T3DI_CAP_ARRAYS = 14
};

struct t3di_caps {
    uint32_t n, stride;
    float *data; /* (14, stride): corners a b c as x y z, centre, radius, area / (4 pi) */
};

/* Column (x, y) of n cells at z0 + i dz: inside[i] = |winding[i] - fans| >= .5. n is a multiple of
 * 16. */
typedef void t3di_column_fn(const struct t3di_caps *c, float x, float y, float z0, float dz,
                            const int16_t *winding, uint8_t *inside, uint32_t n);

t3di_column_fn t3di_column_portable, t3di_column_avx2, t3di_column_avx512;

#endif
