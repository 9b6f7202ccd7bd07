/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/cpu/nearest_body.h"

T3DI_NEAREST(t3di_nearest_avx512)
