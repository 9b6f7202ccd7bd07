/* SPDX-License-Identifier: Apache-2.0 */
/* num/graph_impl.h -- the graph's insides: values, nodes, slots of memory, steps. */
#ifndef T3D_NUM_GRAPH_IMPL_H
#define T3D_NUM_GRAPH_IMPL_H

#include "base/arena.h"
#include "num/graph.h"
#include "num/place_impl.h"

enum t3di_kind { T3DI_INNER, T3DI_INPUT, T3DI_PARAM, T3DI_CONSTANT };

/* A slot of the arena: who lives where and when. */
struct t3di_slot {
    size_t bytes, offset;
    int first, last; /* steps */
    int alias;       /* the slot whose memory it shares, or -1 */
};

struct t3di_value {
    struct t3d_shape shape;
    enum t3di_kind kind;
    const char *name;  /* of a source */
    const void *given; /* of a constant */
    size_t offset;     /* of an input or parameter in its block, in bytes */
    int root;          /* the value whose memory this is: itself, unless a view */
    int node;          /* its producer; -1 for sources */
    int keep, needs_grad;
    enum t3d_storage storage;
    const void *device; /* of a constant: its data where the ops run */
    size_t host_offset; /* of a kept value: in the graph's results */
    /* For roots, made by the plan: */
    int n_reads;           /* by forward steps */
    int flow;              /* a gradient arrives */
    int dropped;           /* not kept from forward to backward but computed again */
    int recomputed;        /* its producer runs again */
    int slot, again, grad; /* slots: of forward, of recomputation, of the gradient; -1 = none */
};

struct t3di_node {
    const struct t3d_op *op; /* NULL for a source or a view */
    const struct t3d_op_backend *run;
    const char *name;
    int in[T3D_MAX_IN]; /* values, -1 = none */
    int value;          /* its first output */
    int segment;        /* of recomputation; 0 = none */
    int backward, again;
    struct t3d_call call; /* shapes, attributes, state; pointers say presence */
    double flops, seconds[2];
    int64_t runs;
};

enum t3di_phase { T3DI_FORWARD, T3DI_AGAIN, T3DI_BACKWARD };

struct t3di_step {
    enum t3di_phase phase;
    int node, work; /* slot, -1 = none */
    uint32_t zero;  /* gradients to clear first, by input */
    struct t3d_call call;
};

struct t3d_graph {
    struct t3d_arena memory; /* of everything here but the tensors */
    enum t3d_backend backend;
    enum t3d_storage storage;
    const struct t3di_place *place; /* from build on */
    int device;
    int threads, built, ready, n_segments, in_segment;
    int kept; /* segments from this one on are not computed again */
    const char *scope;
    struct t3d_err err; /* the first complaint */
    int failed;
    struct t3d_plan plan;

    struct t3di_value *value;
    struct t3di_node *node;
    struct t3di_slot *slot;
    struct t3di_step *step;
    int n_values, n_nodes, n_slots, n_steps, n_forward;
    int max_values, max_nodes, max_slots, max_steps;

    struct t3d_pool *pool;
    struct t3d_graph *params_of; /* whose parameters and gradients these are; NULL = its own */
    void *stream;
    unsigned char *arena;
    struct t3di_mirror inputs, own_params, own_grads;
    struct t3di_mirror *params, *grads; /* its own, or those of params_of */
    unsigned char *results; /* host memory of kept values; NULL where the arena is the host's */
    size_t result_bytes;
    size_t arena_bytes, unplanned_bytes, input_bytes, param_bytes, work_bytes;
    int n_params;
};

/* plan.c: steps, liveness and offsets, from the nodes. */
int t3di_plan(struct t3d_graph *g, struct t3d_err *err);
/* run.c: the device, then memory, pointers, prepare. */
int t3di_open(struct t3d_graph *g, struct t3d_err *err);
int t3di_bind(struct t3d_graph *g, struct t3d_err *err);
void t3di_unbind(struct t3d_graph *g);

/* Zeroed memory of 64-byte alignment, of free; large blocks on huge pages. */
unsigned char *t3di_block(size_t bytes);

/* Grow a table by one zeroed element; NULL = out of memory. */
void *t3di_grow(struct t3d_graph *g, void **table, int *n, int *max, size_t size);
/* Bytes rounded up to a cache line. */
size_t t3di_round(size_t bytes);
/* Bytes of a tensor in this storage. */
size_t t3di_bytes(const struct t3d_shape *s, enum t3d_storage storage);

#endif
