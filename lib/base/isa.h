/* SPDX-License-Identifier: Apache-2.0 */
/* base/isa.h -- the instruction-set class of this process, one answer for all layers. */
#ifndef T3D_BASE_ISA_H
#define T3D_BASE_ISA_H

enum t3d_isa { T3D_ISA_PORTABLE, T3D_ISA_AVX2, T3D_ISA_AVX512 };

/* The highest class of which the processor has everything that the Makefile's ISA.* flags let the
 * compiler use (avx2: fma, f16c, bmi2; avx512: also f, bw, dq, vl, cd). T3D_ISA=portable, avx2 or
 * avx512 in the environment caps it. Decided at the first call; any thread. */
enum t3d_isa t3d_isa(void);

#endif
