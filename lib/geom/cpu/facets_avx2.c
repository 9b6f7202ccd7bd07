/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/cpu/facets_body.h"

T3DI_FACETS(t3di_facets_avx2)
