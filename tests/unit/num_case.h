/* SPDX-License-Identifier: Apache-2.0 */
/* One case of an op as a graph: real inputs are parameters, integer ones inputs, and the loss is a
 * fixed weighted sum of all outputs. The same in float and double. */
#ifndef NUM_CASE_H
#define NUM_CASE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "num/ops.h"

struct made {
    struct t3d_graph *g;
    struct t3d_ref in[T3D_MAX_IN], out[T3D_MAX_OUT], loss;
    int n_out;
};

struct make_options {
    int threads, poison;
    int inner;    /* inputs pass through a node, so that the op may work in place */
    int one;      /* only the first of the batch */
    int constant; /* real inputs but the first are constants */
    int forward_only;
};

/* Weight of element i of output k in the loss. */
static inline double probe_weight(int k, int64_t i)
{
    return sin(0.7 * (double)i + k + 1);
}

static inline int probe_shape(struct t3d_call *c, struct t3d_err *err)
{
    (void)err;
    c->out_shape[0] = T3D_SHAPE(1);
    return T3D_OK;
}

static inline int probe_forward(const struct t3d_call *c, struct t3d_err *err)
{
    double sum = 0;

    (void)err;
    for (int k = 0; k < c->n_in; k++)
        for (int64_t i = 0; i < t3d_shape_count(&c->in_shape[k]); i++)
            sum += probe_weight(k, i) * (double)((const t3d_real *)c->in[k])[i];
    *(t3d_real *)c->out[0] = (t3d_real)sum;
    return T3D_OK;
}

static inline int probe_backward(const struct t3d_call *c, struct t3d_err *err)
{
    t3d_real gy = *(const t3d_real *)c->grad_out[0];

    (void)err;
    for (int k = 0; k < c->n_in; k++)
        for (int64_t i = 0; c->grad_in[k] && i < t3d_shape_count(&c->in_shape[k]); i++)
            ((t3d_real *)c->grad_in[k])[i] += gy * (t3d_real)probe_weight(k, i);
    return T3D_OK;
}

static const struct t3d_op probe = {
    .name = "probe",
    .min_in = 1,
    .max_in = T3D_MAX_OUT,
    .n_out = 1,
    .shape = probe_shape,
    .backend[T3D_CPU] = {.forward = probe_forward, .backward = probe_backward}};

/* Values that are the same numbers in float and double. */
static inline void fill(const struct t3d_op *op, const struct t3d_op_case *k, int input,
                        const struct t3d_shape *s, void *data)
{
    struct t3d_rng r = t3d_rng_for(1, op->name, (uint64_t)input);

    for (int64_t i = 0; i < t3d_shape_count(s); i++) {
        double u = t3d_rng_uniform(&r);

        if (s->type == T3D_INT)
            ((int32_t *)data)[i] = (int32_t)(u * (k->int_below ? k->int_below : 1));
        else if (k->lo < k->hi)
            ((t3d_real *)data)[i] = (float)(k->lo + u * (k->hi - k->lo));
        else
            ((t3d_real *)data)[i] = (float)t3d_rng_normal(&r);
    }
}

static inline int has_no_grad(const struct t3d_op_case *k, int i)
{
    return (k->absent | k->frozen) >> i & 1 || k->in[i].type == T3D_INT;
}

static void *constant_data[T3D_MAX_IN]; /* of the last graph made */

static inline struct t3d_ref make_input(struct made *m, const struct t3d_op *op,
                                        const struct t3d_op_case *k, int i,
                                        const struct make_options *o)
{
    struct t3d_shape s = k->in[i];
    struct t3d_ref r;
    char name[16];

    if (o->one && k->batch >> i & 1)
        s.dim[0] = 1;
    snprintf(name, sizeof name, "in%d", i);
    if (s.type == T3D_INT || (k->frozen >> i & 1 && !o->constant))
        return m->in[i] = t3d_graph_input(m->g, name, s);
    if (o->constant && i) {
        free(constant_data[i]);
        constant_data[i] = malloc(t3d_shape_bytes(&s));
        assert_non_null(constant_data[i]);
        fill(op, k, i, &s, constant_data[i]);
        return m->in[i] = t3d_graph_constant(m->g, name, s, constant_data[i]);
    }
    r = m->in[i] = t3d_graph_param(m->g, name, s);
    return o->inner ? t3d_linear(m->g, r, 1, 0) : r;
}

static inline struct made make_case(const struct t3d_op *op, const struct t3d_op_case *k,
                                    const struct make_options *o)
{
    struct made m = {.g = t3d_graph_new(T3D_CPU, o->threads), .loss = T3D_NONE};
    struct t3d_ref in[T3D_MAX_IN], node, seen[T3D_MAX_OUT];
    struct t3d_plan plan = {.poison = o->poison, .check_finite = 1};
    struct t3d_err err = {0};
    int n = 0;

    assert_non_null(m.g);
    for (int i = 0; i < k->n_in; i++)
        in[i] = k->absent >> i & 1 ? T3D_NONE : make_input(&m, op, k, i, o);
    node = t3d_graph_node(m.g, op, k->attr, in, k->n_in);
    for (int j = 0; j < op->n_out; j++)
        if (!(op->aux_out >> j & 1)) {
            m.out[m.n_out++] = seen[n++] = t3d_graph_output(node, j);
            t3d_graph_keep(m.g, t3d_graph_output(node, j));
        }
    if (op->backend[T3D_CPU].backward && !o->forward_only)
        plan.loss = m.loss = t3d_graph_node(m.g, &probe, NULL, seen, n);
    else
        plan.loss = T3D_NONE;
    if (t3d_graph_build(m.g, &plan, &err) < 0)
        fail_msg("%s, %s: %s", op->name, k->name, err.msg);
    for (int i = 0; i < k->n_in; i++)
        if (!(k->absent >> i & 1) && (i == 0 || !o->constant || has_no_grad(k, i))) {
            struct t3d_shape s = t3d_graph_shape(m.g, m.in[i]);

            fill(op, k, i, &s, t3d_graph_data(m.g, m.in[i]));
        }
    return m;
}

static inline void run_case(struct made *m, const char *name)
{
    struct t3d_err err = {0};

    if (t3d_graph_forward(m->g, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    if (m->loss.node < 0)
        return;
    t3d_graph_zero_grad(m->g);
    if (t3d_graph_backward(m->g, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
}

/* Outputs, then gradients of the real inputs: result j, or NULL after the last. */
static inline const t3d_real *result(struct made *m, const struct t3d_op_case *k, int j, int64_t *n)
{
    struct t3d_shape s;
    int wanted = j - m->n_out;

    if (j < m->n_out) {
        s = t3d_graph_shape(m->g, m->out[j]);
        *n = t3d_shape_count(&s);
        return t3d_graph_data(m->g, m->out[j]);
    }
    for (int i = 0; m->loss.node >= 0 && i < k->n_in; i++) {
        if (has_no_grad(k, i) || wanted-- > 0)
            continue;
        s = t3d_graph_shape(m->g, m->in[i]);
        *n = t3d_shape_count(&s);
        return t3d_graph_grad(m->g, m->in[i]);
    }
    return NULL;
}

#endif
