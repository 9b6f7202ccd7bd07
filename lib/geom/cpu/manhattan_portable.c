/* SPDX-License-Identifier: Apache-2.0 */
#define T3DI_MANHATTAN 1
#include "geom/cpu/nearest_body.h"

T3DI_NEAREST(t3di_manhattan_portable)
