/* SPDX-License-Identifier: Apache-2.0 */
#include "net/lpips_body.h"

const struct t3di_lpips_kernel t3di_lpips_avx512 = {.pixels = pixels};
