/* SPDX-License-Identifier: Apache-2.0 */
/* num/graph.h -- one static graph per (model, batch shape): built once by plain calls, planned into
 * one arena, run as a flat list.
 *
 *     struct t3d_graph *g = t3d_graph_new(T3D_CPU, threads);
 *     struct t3d_ref x = t3d_graph_input(g, "x", shape), w = t3d_graph_param(g, "w", wshape);
 *     struct t3d_ref y = t3d_matmul(g, x, w, b, T3D_ACT_GELU);
 *     struct t3d_ref loss = t3d_mse(g, y, target);
 *     if (t3d_graph_build(g, &(struct t3d_plan){.loss = loss}, err) < 0) ...
 *     t3d_graph_forward(g, err);  t3d_graph_backward(g, err);
 *     t3d_adamw_step(opt, g, ...);
 *
 * Building calls never fail at once: the first error sticks to the graph and t3d_graph_build
 * reports it with the node's name, so that a model reads like its paper. After build nothing is
 * allocated. Gradients of parameters accumulate until t3d_graph_zero_grad. */
#ifndef T3D_NUM_GRAPH_H
#define T3D_NUM_GRAPH_H

#include "num/op.h"

struct t3d_graph;
struct t3d_pool;

struct t3d_ref {
    int32_t node, out;
}; /* a value in the graph; node -1 = none */
#define T3D_NONE ((struct t3d_ref){-1, 0})

struct t3d_graph *t3d_graph_new(enum t3d_backend backend, int threads); /* NULL = out of memory */
/* The same for one of several devices (num/device.h); without it the first one is taken. */
void t3d_graph_device(struct t3d_graph *g, int index);
/* How values and their gradients are kept: T3D_BF16 (CUDA only) halves their memory. Arithmetic is
 * float, parameters stay float (ops read a bf16 copy), so do their gradients, single numbers such
 * as a loss, and statistics. Before build. */
void t3d_graph_storage(struct t3d_graph *g, enum t3d_storage storage);
void t3d_graph_free(struct t3d_graph *g);

/* Packed copies of constants, shared by the graphs that use one pool: those of several batch sizes
 * and lengths of one frozen network pack its weights once. A constant is known by its address, so
 * the data must stay as it is for the life of the pool. May be used by several threads. The pool
 * lives on until the last graph that uses it is freed; a graph without one has its own. */
struct t3d_pool *t3d_pool_new(void); /* NULL = out of memory */
void t3d_pool_free(struct t3d_pool *p);
size_t t3d_pool_bytes(struct t3d_pool *p);
/* These addresses are a file mapped read-only: the pages of a constant there are let go once it is
 * packed, so that a network is in memory once. Whoever reads them later gets them from the file
 * again. T3D_FAIL = out of memory. */
int t3d_pool_add_mapping(struct t3d_pool *p, const void *begin, size_t bytes) T3D_MUST_CHECK;
/* Before build. */
void t3d_graph_use_pool(struct t3d_graph *g, struct t3d_pool *p);
/* Before build: the parameters of g are those of `of` with the same names and shapes, and so are
 * their gradients (g may lack some of them; device and storage are the same). For one network in
 * batches of several shapes: build `of` first, with a loss if g has one, and free it last.
 * t3d_graph_param_block, grad_block and zero_grad of g work on all of `of`. */
void t3d_graph_share_params(struct t3d_graph *g, struct t3d_graph *of);

/* Sources. Names are unique; they are those of checkpoints. */
struct t3d_ref t3d_graph_input(struct t3d_graph *g, const char *name, struct t3d_shape s);
struct t3d_ref t3d_graph_param(struct t3d_graph *g, const char *name, struct t3d_shape s);
/* Frozen: data stays the caller's (an mmap'd file) and must live as long as the graph; no gradient.
 */
struct t3d_ref t3d_graph_constant(struct t3d_graph *g, const char *name, struct t3d_shape s,
                                  const void *data);

/* Any op. attr is copied. Optional inputs are T3D_NONE (the call then has in[i] = NULL). */
struct t3d_ref t3d_graph_node(struct t3d_graph *g, const struct t3d_op *op, const void *attr,
                              const struct t3d_ref *in, int n_in);
/* The same memory under another shape (as many elements): no copy, no step. */
struct t3d_ref t3d_graph_view(struct t3d_graph *g, struct t3d_ref r, struct t3d_shape s);
/* Output k of a node with several. */
struct t3d_ref t3d_graph_output(struct t3d_ref node, int k);
/* Name of the nodes made from now on ("blocks.3"), for messages and the profile. */
void t3d_graph_scope(struct t3d_graph *g, const char *fmt, ...) T3D_PRINTF(2, 3);
/* What a constructor has to complain about; the first complaint is the one reported. */
struct t3d_ref t3d_graph_fail(struct t3d_graph *g, const char *fmt, ...) T3D_PRINTF(2, 3);
struct t3d_shape t3d_graph_shape(const struct t3d_graph *g, struct t3d_ref r);
/* The value survives until the next forward (otherwise its memory is reused). A value that no node
 * reads is kept anyway. */
void t3d_graph_keep(struct t3d_graph *g, struct t3d_ref r);
/* The nodes made between begin and end are a segment, a block of a model: what the plan may compute
 * again (plan.recompute). Segments do not nest; what one makes may be used anywhere. */
void t3d_graph_segment_begin(struct t3d_graph *g);
void t3d_graph_segment_end(struct t3d_graph *g);

struct t3d_plan {
    struct t3d_ref loss; /* scalar; T3D_NONE = forward only */
    /* Values that are made and read only within one segment are not kept for backward: the segment
     * runs once more before its backward (gradient checkpointing: Chen et al., "Training Deep Nets
     * with Sublinear Memory Cost", 2016). The last segments run once where that takes no more
     * memory. Results and gradients are the same bits. */
    int recompute;
    int check_finite; /* the op and node that first makes a NaN or infinity is named */
    int profile;      /* time each node */
    int dry;          /* plan only: sizes become known, nothing is allocated, nothing runs */
    int poison;       /* tests: the arena is filled with NaN before each forward */
};
int t3d_graph_build(struct t3d_graph *g, const struct t3d_plan *plan,
                    struct t3d_err *err) T3D_MUST_CHECK;

struct t3d_graph_size {
    size_t arena_bytes;     /* values and gradients after planning, with scratch */
    size_t unplanned_bytes; /* the same if each had memory of its own */
    size_t work_bytes;      /* scratch: the largest of any step */
    size_t input_bytes, param_bytes, grad_bytes; /* grad: of parameters; 0 where they are shared */
    size_t constant_bytes;                       /* the caller's */
    size_t state_bytes, shared_bytes; /* packed constants (of a dry plan an estimate: each once); of
                                         these, packed by other graphs of the pool */
    size_t total_bytes;               /* what this graph allocates: all but constants and shared */
    double forward_flops, backward_flops;
    double again_flops; /* of backward: what is computed again */
    int n_nodes, n_params;
};
void t3d_graph_size(const struct t3d_graph *g, struct t3d_graph_size *s);

int t3d_graph_forward(struct t3d_graph *g, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_graph_backward(struct t3d_graph *g, struct t3d_err *err) T3D_MUST_CHECK; /* d loss = 1 */
void t3d_graph_zero_grad(struct t3d_graph *g);

/* Host memory of a value (inputs and params: write before forward; kept values: read after it) and
 * of a parameter's gradient. CPU: the place itself. On a device it is a copy, made by this call:
 * ask again after each run for what the run has changed, and before each time you write to a
 * parameter; an input may be written to the same place before every forward. NULL: no such value,
 * or the device has failed (the next run says why). Real numbers are t3d_real for any storage. */
void *t3d_graph_data(struct t3d_graph *g, struct t3d_ref r);
t3d_real *t3d_graph_grad(struct t3d_graph *g, struct t3d_ref r);
struct t3d_ref t3d_graph_find(const struct t3d_graph *g, const char *name); /* params and inputs */
/* All parameters (or gradients) are one block in the order of their making, each padded with zeros
 * to 64 bytes: what an optimiser works on. On a device as with t3d_graph_data; what is written to
 * the gradients counts, too. */
t3d_real *t3d_graph_param_block(struct t3d_graph *g, int64_t *n);
t3d_real *t3d_graph_grad_block(struct t3d_graph *g, int64_t *n);
int t3d_graph_n_params(const struct t3d_graph *g);
struct t3d_ref t3d_graph_param_at(const struct t3d_graph *g, int i, const char **name);

/* One row a node, in the order of their making; seconds are sums since build (plan.profile). */
struct t3d_graph_row {
    const char *name, *op;
    double forward_s, backward_s, flops; /* flops of one forward */
    int64_t runs;                        /* forwards */
};
int t3d_graph_n_rows(const struct t3d_graph *g);
struct t3d_graph_row t3d_graph_row_at(const struct t3d_graph *g, int i);

/* Where the plan has put things: for tests and pictures of the plan. */
struct t3d_graph_slot {
    size_t offset, bytes;
    int first, last; /* steps; last includes the reading one */
    int in_place_of; /* slot whose memory this one goes on with, or -1 */
};
int t3d_graph_n_slots(const struct t3d_graph *g);
struct t3d_graph_slot t3d_graph_slot_at(const struct t3d_graph *g, int i);

#endif
