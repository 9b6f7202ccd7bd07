/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/emd_body.h"

T3DI_EMD(t3di_emd_avx2);
