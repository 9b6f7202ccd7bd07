/* SPDX-License-Identifier: Apache-2.0 */
/* num/op.h -- an operation of the graph is a value: shape rule, workspace, forward and backward for
 * each back end, and the cases that test it.
 *
 *     const struct t3d_op t3d_op_silu = {.name = "silu", .min_in = 1, .max_in = 1, .n_out = 1,
 *         .shape = same_shape, .backward_reads_in = 1, .reuse_in = 1,
 *         .backend[T3D_CPU] = {.forward = silu_forward, .backward = silu_backward},
 *         .cases = silu_cases};
 *
 * Any layer may define an op (draw defines t3d_op_splat) and put it into a graph by t3d_graph_node;
 * num never names it. One table of tests (tests/unit/num_ops.c) runs the cases of every op: double
 * against finite differences, float against double, 1, 2 and 3 threads bitwise, a poisoned arena,
 * CUDA against CPU.
 *
 * Rules for an implementation: no allocation and no lock in forward and backward; results are the
 * same bits for any number of threads (fixed blocks, never an OpenMP reduction of floats); a
 * sample's result does not depend on the others of its batch; OpenMP on the outermost loop only. */
#ifndef T3D_NUM_OP_H
#define T3D_NUM_OP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The CPU back end computes in float; the test build (-DT3D_REAL_DOUBLE) compiles the same source
 * in double. Storage and arithmetic are t3d_real throughout lib/num/cpu. */
#ifdef T3D_REAL_DOUBLE
typedef double t3d_real;
#else
typedef float t3d_real;
#endif

enum { T3D_MAX_AXES = 5, T3D_MAX_IN = 12, T3D_MAX_OUT = 3 };

enum t3d_backend { T3D_CPU, T3D_CUDA, T3D_N_BACKENDS };

enum t3d_dtype {
    T3D_REAL, /* t3d_real on the CPU; float or bf16 storage on CUDA */
    T3D_INT   /* int32_t: indices, masks; no gradient */
};

/* How real numbers lie in memory. bf16 exists on CUDA, where it is a choice of the graph. */
enum t3d_storage {
    T3D_FULL, /* t3d_real */
    T3D_BF16, /* the upper half of a float, rounded to even */
};

struct t3d_shape {
    int n;                     /* axes, 0 = a scalar */
    int64_t dim[T3D_MAX_AXES]; /* outermost first, C order; a size is never 0 */
    enum t3d_dtype type;
};

struct t3d_pool;

/* One use of an op: what its functions get. Pointers are device pointers on CUDA. */
struct t3d_call {
    const struct t3d_op *op;
    const void *attr; /* op->attr_size bytes, or NULL */
    int n_in, n_out, threads;
    int trains; /* backward will run on what forward computes */
    struct t3d_shape in_shape[T3D_MAX_IN], out_shape[T3D_MAX_OUT];
    const void *in[T3D_MAX_IN];
    void *out[T3D_MAX_OUT];            /* in backward: only if backward_reads_out */
    const void *grad_out[T3D_MAX_OUT]; /* backward: NULL when nothing flows into that output */
    void *grad_in[T3D_MAX_IN];         /* backward: add into it; NULL = not wanted */
    int grad_fresh[T3D_MAX_IN];        /* of an input in sets_grad: nothing there yet, overwrite */
    void *work;                        /* backend.work bytes, 64-byte aligned, not zeroed */
    void *state;                       /* from prepare; lives as long as the graph */
    struct t3d_pool *pool;             /* prepare: where packed constants live */
    size_t state_bytes, shared_bytes;  /* packed by prepare; of these, found in the pool */
    int in_is_constant[T3D_MAX_IN];    /* frozen weights: prepare may pack them once */
    /* enum t3d_storage; grad_out[k] lies as out[k] does. */
    unsigned char in_storage[T3D_MAX_IN], grad_in_storage[T3D_MAX_IN], out_storage[T3D_MAX_OUT];
    void *stream; /* CUDA */
};

struct t3d_op_backend {
    /* Once, when the graph is built: make primitives, pack constant inputs into c->state. It sees
     * forward's pointers and the grad_in that backward will want. May be NULL. */
    int (*prepare)(struct t3d_call *c, struct t3d_err *err);
    void (*release)(void *state);
    /* Bytes of scratch for forward (backward = 0) or backward (1). NULL = none. Called before
     * memory is placed: a pointer of the call says only whether the value will be there. */
    size_t (*work)(const struct t3d_call *c, int backward);
    int (*forward)(const struct t3d_call *c, struct t3d_err *err);
    /* Adds to every grad_in that is not NULL. NULL = the op has no gradient. */
    int (*backward)(const struct t3d_call *c, struct t3d_err *err);
};

struct t3d_op_case {
    const char *name; /* NULL ends the list */
    int n_in;
    struct t3d_shape in[T3D_MAX_IN];
    const void *attr;
    double lo, hi;     /* range of real inputs; 0, 0 = normal(0, 1) */
    uint32_t absent;   /* bit i: optional input i is T3D_NONE */
    uint32_t frozen;   /* bit i: input i gets no gradient by the op's definition */
    uint32_t batch;    /* bit i: axis 0 of input i is the batch, as is that of the outputs */
    int32_t int_below; /* integer inputs are uniform in [0, int_below) */
    double tolerance;  /* relative, of gradients against differences; 0 = 1e-6 */
    int bench;         /* large: timed by the bench, not tested */
};

struct t3d_op {
    const char *name;
    int min_in, max_in, n_out; /* the first min_in are never T3D_NONE */
    size_t attr_size;
    /* Check the inputs and fill out_shape; T3D_USAGE names the axis and both sizes. */
    int (*shape)(struct t3d_call *c, struct t3d_err *err);
    /* What backward looks at, by bit: values of inputs, values of outputs. Others may be dead by
     * then. */
    uint32_t backward_reads_in, backward_reads_out;
    uint32_t reuse_in;  /* bit i: out[0] may lie in the place of input i */
    uint32_t aux_out;   /* bit k: output k exists for backward; out[k] = NULL when there is none */
    uint32_t full_out;  /* bit k: output k is T3D_FULL in any graph (statistics, log sums) */
    uint32_t sets_grad; /* bit i: backward heeds grad_fresh[i], the graph need not zero it first */
    double (*flops)(const struct t3d_call *c); /* forward; NULL = counted as one an element */
    /* For CUDA an op of num itself has none: lib/num/cuda keeps a table of its own. */
    struct t3d_op_backend backend[T3D_N_BACKENDS];
    const struct t3d_op_case *cases;
};

/* T3D_SHAPE(2, 3) is a real shape of two axes, T3D_SHAPE_INT(4) an integer one; T3D_DIMS and
 * T3D_DIMS_INT are the same as initialisers of static tables. */
#define T3D_DIMS_OF(kind, ...)                                                                     \
    {                                                                                              \
        .n = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = {__VA_ARGS__},             \
        .type = (kind)                                                                             \
    }
#define T3D_DIMS(...)      T3D_DIMS_OF(T3D_REAL, __VA_ARGS__)
#define T3D_DIMS_INT(...)  T3D_DIMS_OF(T3D_INT, __VA_ARGS__)
#define T3D_SHAPE(...)     ((struct t3d_shape)T3D_DIMS_OF(T3D_REAL, __VA_ARGS__))
#define T3D_SHAPE_INT(...) ((struct t3d_shape)T3D_DIMS_OF(T3D_INT, __VA_ARGS__))

/* Product of the dims; 1 for a scalar; -1 when a dim is not positive or the bytes overflow. */
int64_t t3d_shape_count(const struct t3d_shape *s);
/* The product of the axes from `from` up to `to` (not included). */
int64_t t3d_shape_part(const struct t3d_shape *s, int from, int to);
size_t t3d_shape_bytes(const struct t3d_shape *s);
int t3d_shape_equal(const struct t3d_shape *a, const struct t3d_shape *b); /* dims and type */

/* "(2, 3)" into buf; returns buf. */
const char *t3d_shape_text(const struct t3d_shape *s, char *buf, size_t n);
enum { T3D_SHAPE_TEXT = 128 };

/* T3D_USAGE "op: <text>" for shape rules; the shapes of all inputs are added to the message. */
int t3d_shape_error(const struct t3d_call *c, struct t3d_err *err, const char *fmt, ...)
    T3D_PRINTF(3, 4);

#endif
