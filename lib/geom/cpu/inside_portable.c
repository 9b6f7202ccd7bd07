/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/cpu/inside_body.h"

T3DI_COLUMN(t3di_column_portable)
