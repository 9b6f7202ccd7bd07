/* SPDX-License-Identifier: Apache-2.0 */
/* num/cpu/conv.h -- a convolution by oneDNN, with constant weights. */
#ifndef T3D_NUM_CPU_CONV_H
#define T3D_NUM_CPU_CONV_H

#include "num/op.h"

/* Pictures (batch, h, w, c) to (batch, oh, ow, o); weights (o, c / groups, kh, kw). */
struct t3di_conv {
    int64_t batch, h, w, c, oh, ow, o, groups;
    int64_t kh, kw, stride, pad_h, pad_w, dilation;
    int bias, relu;
};

struct t3di_conv_run; /* primitives of one direction with their weights */

/* Forward, where a result does not depend on the number of threads nor on the batch: each picture
 * is cut into bands of rows, of a height that depends on the shapes alone, and a band is one call
 * on one thread (with more than one, oneDNN 2.6.3's blocking, and so the last bit, may change with
 * their number: 1 of 21 shapes between 7 and 16 threads). w is kept by the pool of c. *run stays
 * NULL where oneDNN is not to be used. */
int t3di_conv_new(struct t3di_conv_run **run, const struct t3di_conv *d, const t3d_real *w,
                  struct t3d_call *c, struct t3d_err *err) T3D_MUST_CHECK;
/* Input gradient: one call for all; 21 shapes are the same for 1 to 16 threads and any batch. */
int t3di_conv_new_backward(struct t3di_conv_run **run, const struct t3di_conv *d, const t3d_real *w,
                           struct t3d_call *c, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_conv_free(struct t3di_conv_run *r);

/* from: x, or the gradient of y; to: y, or the gradient of x, overwritten. */
int t3di_conv_execute(struct t3di_conv_run *r, const t3d_real *from, const t3d_real *bias,
                      t3d_real *to, struct t3d_err *err) T3D_MUST_CHECK;

#endif
