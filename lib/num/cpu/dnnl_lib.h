/* SPDX-License-Identifier: Apache-2.0 */
/* num/cpu/dnnl_lib.h -- what the files that call oneDNN share; only they include it. */
#ifndef T3D_NUM_CPU_DNNL_LIB_H
#define T3D_NUM_CPU_DNNL_LIB_H

#if defined(T3D_HAVE_DNNL) && !defined(T3D_REAL_DOUBLE)

#include <dnnl.h>

#include "num/op.h"

/* The engine; it lives as long as the process. NULL = oneDNN does not run here. */
dnnl_engine_t t3di_dnnl_engine(void);

/* A constant from its plain layout into the one that a primitive wants, by the pool of c.
 NULL = error. */
const void *t3di_dnnl_pack(struct t3d_call *c, const void *source, const dnnl_memory_desc_t *plain,
                           const dnnl_memory_desc_t *want, struct t3d_err *err);

#endif
#endif
