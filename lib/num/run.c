/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and execution of a planned graph. */
#include <omp.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "num/cuda_impl.h"
#include "num/graph_impl.h"

/* --- memory --------------------------------------------------------------------------------- */

static int allocate(struct t3d_graph *g, struct t3d_err *err)
{
    const struct t3di_place *p = g->place;
    int half = g->storage == T3D_BF16, trains = g->plan.loss.node >= 0;
    int ok = 1;

    g->params = g->params_of ? g->params_of->params : &g->own_params;
    g->grads = g->params_of ? g->params_of->grads : &g->own_grads;
    g->arena = p->alloc(g->arena_bytes);
    if (!g->pool)
        g->pool = t3d_pool_new();
    if (!g->params_of)
        ok = t3di_mirror_new(g->params, p, g->param_bytes, half) == 0 &&
             t3di_mirror_new(g->grads, p, trains ? g->param_bytes : 0, 0) == 0;
    if (ok && g->arena && g->pool && t3di_mirror_new(&g->inputs, p, g->input_bytes, half) == 0)
        return T3D_OK;
    return t3d_err_set(err, T3D_FAIL, "out-of-memory",
                       "out of memory: the graph needs %.1f MiB for values and %.1f MiB for "
                       "parameters: use a smaller batch",
                       (double)g->arena_bytes / (1 << 20), (double)g->param_bytes / (1 << 19));
}

/* Kept values have memory on the host, too, so that nothing is allocated when they are read. */
static int allocate_results(struct t3d_graph *g, struct t3d_err *err)
{
    if (g->place->is_host)
        return T3D_OK;
    for (int i = 0; i < g->n_values; i++) {
        struct t3di_value *v = &g->value[i];

        if (v->root != i || v->kind != T3DI_INNER || !v->keep)
            continue;
        v->host_offset = g->result_bytes;
        g->result_bytes += t3di_round(t3d_shape_bytes(&v->shape));
    }
    g->results = g->place->alloc_host(g->result_bytes);
    return g->results ? T3D_OK : t3d_err_nomem(err, "the results of a graph");
}

/* Constants are the caller's; a device needs copies, which the graphs of one pool share. */
static int place_constants(struct t3d_graph *g, struct t3d_err *err)
{
    for (int i = 0; i < g->n_values; i++) {
        struct t3di_value *v = &g->value[i];

        if (v->root != i || v->kind != T3DI_CONSTANT)
            continue;
        v->device = g->place->is_host ? v->given
                                      : t3di_place_constant(g->place, g->pool, v->given, &v->shape,
                                                            v->storage, g->device, g->stream, err);
        if (!v->device)
            return t3d_err_prefix(err, "constant '%s'", v->name);
    }
    return T3D_OK;
}

/* --- pointers ------------------------------------------------------------------------------- */

static void *at_slot(const struct t3d_graph *g, int slot)
{
    return slot < 0 ? NULL : g->arena + g->slot[slot].offset;
}

static void *in_mirror(const struct t3di_mirror *m, const struct t3di_value *v)
{
    return v->storage == T3D_BF16 ? m->half + v->offset / 2 : m->device + v->offset;
}

static void *at_value(const struct t3d_graph *g, int value, enum t3di_phase phase)
{
    const struct t3di_value *v = &g->value[g->value[value].root];

    switch (v->kind) {
    case T3DI_INPUT:
        return in_mirror(&g->inputs, v);
    case T3DI_PARAM:
        return in_mirror(g->params, v);
    case T3DI_CONSTANT:
        return (void *)(uintptr_t)v->device;
    case T3DI_INNER:
        break;
    }
    return at_slot(g, phase != T3DI_FORWARD && v->dropped ? v->again : v->slot);
}

static void *at_grad(const struct t3d_graph *g, int value)
{
    const struct t3di_value *v = &g->value[g->value[value].root];

    return v->kind == T3DI_PARAM ? g->grads->device + v->offset : at_slot(g, v->grad);
}

static void bind_forward(struct t3d_graph *g, struct t3di_step *s)
{
    const struct t3di_node *n = &g->node[s->node];

    s->call = n->call;
    s->call.stream = g->stream;
    for (int j = 0; j < n->call.n_in; j++)
        s->call.in[j] = n->in[j] < 0 ? NULL : at_value(g, n->in[j], s->phase);
    for (int k = 0; k < n->op->n_out; k++) {
        const struct t3di_value *v = &g->value[n->value + k];

        s->call.out[k] = at_slot(g, s->phase == T3DI_AGAIN ? v->again : v->slot);
    }
    s->call.work = at_slot(g, s->work);
}

/* Does another input before j share its gradient? */
static int same_before(const struct t3d_graph *g, const struct t3di_node *n, int j)
{
    for (int i = 0; i < j; i++)
        if (n->in[i] >= 0 && g->value[n->in[i]].root == g->value[n->in[j]].root)
            return 1;
    return 0;
}

static int same_after(const struct t3d_graph *g, const struct t3di_node *n, int j)
{
    for (int i = j + 1; i < n->call.n_in; i++)
        if (n->in[i] >= 0 && g->value[n->in[i]].root == g->value[n->in[j]].root)
            return 1;
    return 0;
}

/* begun[root]: something was added to its gradient already. */
static void bind_backward(struct t3d_graph *g, struct t3di_step *s, unsigned char *begun)
{
    const struct t3di_node *n = &g->node[s->node];
    struct t3d_call *c = &s->call;

    *c = n->call;
    c->stream = g->stream;
    for (int j = 0; j < c->n_in; j++) {
        const struct t3di_value *v = n->in[j] < 0 ? NULL : &g->value[g->value[n->in[j]].root];
        int fresh;

        c->in[j] = v && n->op->backward_reads_in >> j & 1 ? at_value(g, n->in[j], s->phase) : NULL;
        c->grad_in[j] = v && v->needs_grad ? at_grad(g, n->in[j]) : NULL;
        if (!c->grad_in[j])
            continue;
        fresh = v->kind != T3DI_PARAM && !begun[v - g->value] && !same_before(g, n, j);
        if (fresh && (!(n->op->sets_grad >> j & 1) || same_after(g, n, j)))
            s->zero |= 1u << j;
        else
            c->grad_fresh[j] = fresh;
    }
    for (int j = 0; j < c->n_in; j++)
        if (c->grad_in[j])
            begun[g->value[n->in[j]].root] = 1;
    for (int k = 0; k < n->op->n_out; k++) {
        c->out[k] = n->op->backward_reads_out >> k & 1 ? at_value(g, n->value + k, s->phase) : NULL;
        c->grad_out[k] = g->value[n->value + k].flow ? at_grad(g, n->value + k) : NULL;
    }
    c->work = at_slot(g, s->work);
}

/* prepare gets the forward's pointers and the gradients that backward will want. */
static int prepare_step(struct t3d_graph *g, struct t3di_step *s, struct t3d_err *err)
{
    struct t3di_node *n = &g->node[s->node];
    const struct t3d_op_backend *b = n->run;
    struct t3d_call c = s->call;
    int r = T3D_OK;

    if (b->prepare) {
        memcpy(c.grad_in, n->call.grad_in, sizeof c.grad_in);
        memcpy(c.grad_fresh, n->call.grad_fresh, sizeof c.grad_fresh);
        c.pool = g->pool;
        r = b->prepare(&c, err);
    }
    n->call.state = c.state;
    n->call.state_bytes = c.state_bytes;
    n->call.shared_bytes = c.shared_bytes;
    if (r < 0)
        t3d_err_prefix(err, "%s", n->name);
    return r;
}

static int prepare(struct t3d_graph *g, struct t3d_err *err)
{
    int r = T3D_OK;

    for (int i = g->n_forward; i < g->n_steps; i++)
        if (g->step[i].phase == T3DI_BACKWARD) {
            struct t3di_node *n = &g->node[g->step[i].node];

            memcpy(n->call.grad_in, g->step[i].call.grad_in, sizeof n->call.grad_in);
            memcpy(n->call.grad_fresh, g->step[i].call.grad_fresh, sizeof n->call.grad_fresh);
        }
    for (int i = 0; i < g->n_forward && r == T3D_OK; i++)
        r = prepare_step(g, &g->step[i], err);
    for (int i = 0; i < g->n_steps; i++)
        g->step[i].call.state = g->node[g->step[i].node].call.state;
    return r;
}

int t3di_open(struct t3d_graph *g, struct t3d_err *err)
{
    const struct t3di_place *p = t3di_place(g->backend);
    int r = p ? p->open(g->device, &g->stream, err) : t3di_cuda_check(g->device, err);

    if (r < 0)
        return r;
    g->place = p;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i].op && !g->node[i].run)
            return t3d_err_set(err, T3D_USAGE, "bad-graph",
                               "%s: it does not run on this device: use --device cpu",
                               g->node[i].name);
    return T3D_OK;
}

int t3di_bind(struct t3d_graph *g, struct t3d_err *err)
{
    unsigned char *begun = t3d_alloc(&g->memory, (size_t)g->n_values + 1, 1);
    int threads = omp_get_max_threads();
    int r = begun ? allocate(g, err) : t3d_err_nomem(err, "the graph");

    if (r == T3D_OK)
        r = allocate_results(g, err);
    if (r == T3D_OK)
        r = place_constants(g, err);
    if (r < 0)
        return r;
    if (g->plan.loss.node >= 0)
        begun[g->value[g->node[g->plan.loss.node].value + g->plan.loss.out].root] = 1;
    for (int i = 0; i < g->n_steps; i++) {
        if (g->step[i].phase == T3DI_BACKWARD)
            bind_backward(g, &g->step[i], begun);
        else
            bind_forward(g, &g->step[i]);
    }
    omp_set_num_threads(g->threads);
    r = prepare(g, err);
    omp_set_num_threads(threads);
    return r;
}

void t3di_unbind(struct t3d_graph *g)
{
    const struct t3di_place *p = g->place;

    if (p)
        p->select(g->device);
    for (int i = 0; p && i < g->n_nodes; i++) {
        struct t3di_node *n = &g->node[i];

        if (n->op && n->call.state && n->run->release)
            n->run->release(n->call.state);
    }
    if (p) {
        p->release(g->arena);
        p->release_host(g->results);
        t3di_mirror_free(&g->inputs, p);
        t3di_mirror_free(&g->own_params, p);
        t3di_mirror_free(&g->own_grads, p);
    }
    t3d_pool_free(g->pool);
}

/* --- running -------------------------------------------------------------------------------- */

static int check_step(const struct t3d_graph *g, const struct t3di_step *s, struct t3d_err *err)
{
    const struct t3d_call *c = &s->call;
    int backward = s->phase == T3DI_BACKWARD;
    int n = backward ? c->n_in : c->n_out;

    for (int i = 0; i < n; i++) {
        const struct t3d_shape *shape = backward ? &c->in_shape[i] : &c->out_shape[i];
        const void *x = backward ? c->grad_in[i] : c->out[i];
        enum t3d_storage storage = backward ? c->grad_in_storage[i] : c->out_storage[i];

        if (x && shape->type == T3D_REAL &&
            !g->place->is_finite(x, storage, t3d_shape_count(shape), g->stream))
            return t3d_err_set(err, T3D_FAIL, "not-finite",
                               "%s: %s %d has a NaN or infinity, the first in this run",
                               g->node[s->node].name, backward ? "gradient of input" : "output", i);
    }
    return T3D_OK;
}

static void seed_loss(struct t3d_graph *g, int node)
{
    int value = g->node[g->plan.loss.node].value + g->plan.loss.out;
    const struct t3di_value *v = &g->value[g->value[value].root];
    static const t3d_real one = 1;

    if (v->node == node)
        g->place->upload(at_grad(g, value), &one, sizeof one, g->stream);
}

static int run_step(struct t3d_graph *g, struct t3di_step *s, struct t3d_err *err)
{
    struct t3di_node *n = &g->node[s->node];
    const struct t3d_op_backend *b = n->run;
    double start = g->plan.profile ? t3d_clock_s() : 0;
    int backward = s->phase == T3DI_BACKWARD, r;

    if (backward)
        seed_loss(g, s->node);
    for (int j = 0; s->zero && j < s->call.n_in; j++)
        if (s->zero >> j & 1)
            g->place->fill(s->call.grad_in[j], 0,
                           t3di_bytes(&s->call.in_shape[j], s->call.grad_in_storage[j]), g->stream);
    r = backward ? b->backward(&s->call, err) : b->forward(&s->call, err);
    if (g->plan.profile && r == T3D_OK)
        r = g->place->finish(g->stream, err);
    if (g->plan.profile)
        n->seconds[s->phase != T3DI_FORWARD] += t3d_clock_s() - start;
    n->runs += s->phase == T3DI_FORWARD;
    if (r < 0) {
        t3d_err_prefix(err, "%s", n->name);
        return r;
    }
    return g->plan.check_finite ? check_step(g, s, err) : T3D_OK;
}

static int run_steps(struct t3d_graph *g, int from, int to, struct t3d_err *err)
{
    int threads = omp_get_max_threads(), r = T3D_OK;

    omp_set_num_threads(g->threads);
    for (int i = from; i < to && r >= 0; i++)
        r = run_step(g, &g->step[i], err);
    omp_set_num_threads(threads);
    return r < 0 ? r : T3D_OK;
}

static int can_run(const struct t3d_graph *g)
{
    return g->built && !g->plan.dry;
}

int t3d_graph_forward(struct t3d_graph *g, struct t3d_err *err)
{
    int r;

    if (!can_run(g))
        return t3d_err_set(err, T3D_USAGE, "bad-graph", "the graph is not built to run");
    g->place->select(g->device);
    if (g->plan.poison) /* all bits set is a NaN of any type */
        g->place->fill(g->arena, 0xff, g->arena_bytes, g->stream);
    g->inputs.host_newer = 1; /* they may be written at any time */
    t3di_mirror_device(&g->inputs, g->place, g->stream);
    t3di_mirror_device(g->params, g->place, g->stream);
    r = run_steps(g, 0, g->n_forward, err);
    if (r == T3D_OK)
        r = g->place->finish(g->stream, err);
    g->ready = r == T3D_OK;
    return r;
}

int t3d_graph_backward(struct t3d_graph *g, struct t3d_err *err)
{
    if (!can_run(g) || g->plan.loss.node < 0)
        return t3d_err_set(err, T3D_USAGE, "bad-graph", "the graph was not built with a loss");
    if (!g->ready)
        return t3d_err_set(err, T3D_USAGE, "bad-graph",
                           "backward needs a forward before it, once for each");
    g->ready = 0;
    g->place->select(g->device);
    t3di_mirror_device(g->grads, g->place, g->stream);
    g->grads->device_newer = 1;
    return run_steps(g, g->n_forward, g->n_steps, err);
}

void t3d_graph_zero_grad(struct t3d_graph *g)
{
    if (!can_run(g) || g->plan.loss.node < 0)
        return;
    g->place->select(g->device);
    g->place->fill(g->grads->device, 0, g->param_bytes, g->stream);
    g->grads->host_newer = 0;
    g->grads->device_newer = 1;
}

/* A kept value on the host: as it is, or widened from bf16. */
static void *fetch(struct t3d_graph *g, const struct t3di_value *v)
{
    unsigned char *to = g->results + v->host_offset;
    int64_t n = t3d_shape_count(&v->shape);

    if (!v->keep || v->slot < 0 ||
        !g->place->download(to, at_slot(g, v->slot), t3di_bytes(&v->shape, v->storage), g->stream))
        return NULL;
    for (int64_t i = n - 1; v->storage == T3D_BF16 && i >= 0; i--) { /* in place: the last first */
        uint16_t half;
        uint32_t bits;

        memcpy(&half, to + (size_t)i * sizeof half, sizeof half);
        bits = (uint32_t)half << 16;
        memcpy(to + (size_t)i * sizeof bits, &bits, sizeof bits);
    }
    return to;
}

void *t3d_graph_data(struct t3d_graph *g, struct t3d_ref r)
{
    const struct t3di_value *v;
    unsigned char *p;

    if (!can_run(g) || r.node < 0 || r.node >= g->n_nodes)
        return NULL;
    if (g->place->is_host)
        return at_value(g, g->node[r.node].value + r.out, T3DI_FORWARD);
    g->place->select(g->device);
    v = &g->value[g->value[g->node[r.node].value + r.out].root];
    if (v->kind == T3DI_CONSTANT)
        return (void *)(uintptr_t)v->given;
    if (v->kind == T3DI_INNER)
        return fetch(g, v);
    p = t3di_mirror_host(v->kind == T3DI_PARAM ? g->params : &g->inputs, g->place, g->stream);
    return p ? p + v->offset : NULL;
}

t3d_real *t3d_graph_grad(struct t3d_graph *g, struct t3d_ref r)
{
    const struct t3di_value *v;
    unsigned char *p;

    if (!can_run(g) || r.node < 0 || r.node >= g->n_nodes || g->plan.loss.node < 0)
        return NULL;
    v = &g->value[g->value[g->node[r.node].value + r.out].root];
    if (v->kind != T3DI_PARAM)
        return NULL;
    g->place->select(g->device);
    p = t3di_mirror_host(g->grads, g->place, g->stream);
    return p ? (t3d_real *)(p + v->offset) : NULL;
}

t3d_real *t3d_graph_param_block(struct t3d_graph *g, int64_t *n)
{
    *n = (int64_t)(g->param_bytes / sizeof(t3d_real));
    if (!can_run(g))
        return NULL;
    g->place->select(g->device);
    return (t3d_real *)t3di_mirror_host(g->params, g->place, g->stream);
}

t3d_real *t3d_graph_grad_block(struct t3d_graph *g, int64_t *n)
{
    *n = (int64_t)(g->param_bytes / sizeof(t3d_real));
    if (!can_run(g) || g->plan.loss.node < 0)
        return NULL;
    g->place->select(g->device);
    return (t3d_real *)t3di_mirror_host(g->grads, g->place, g->stream);
}
