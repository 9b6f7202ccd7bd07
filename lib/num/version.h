/* SPDX-License-Identifier: Apache-2.0 */
/* num/version.h -- what `t3d version` says about the numerics core. */
#ifndef T3D_NUM_VERSION_H
#define T3D_NUM_VERSION_H

/* "oneDNN 2.6.3 (avx512_core_bf16), loops avx512": the library of the matrix products as loaded,
 * what it takes the processor for, and the instruction set of our own loops; "loops avx2" alone
 * where the products are ours, too. */
const char *t3d_num_libraries(void);

#endif
