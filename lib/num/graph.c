/* SPDX-License-Identifier: Apache-2.0 */
/* Building: sources, nodes, views and their shapes. */
#include "num/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "num/graph_impl.h"
#include "num/pool_impl.h"

size_t t3di_round(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

size_t t3di_bytes(const struct t3d_shape *s, enum t3d_storage storage)
{
    return storage == T3D_BF16 ? (size_t)t3d_shape_count(s) * 2 : t3d_shape_bytes(s);
}

void *t3di_grow(struct t3d_graph *g, void **table, int *n, int *max, size_t size)
{
    if (*n == *max) {
        int more = *max ? 2 * *max : 64;
        char *p = t3d_alloc(&g->memory, (size_t)more, size);

        if (!p)
            return NULL;
        if (*n)
            memcpy(p, *table, (size_t)*n * size);
        *table = p;
        *max = more;
    }
    return (char *)*table + (size_t)(*n)++ * size;
}

struct t3d_graph *t3d_graph_new(enum t3d_backend backend, int threads)
{
    struct t3d_graph *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->backend = backend;
    g->threads = threads < 1 ? 1 : threads;
    g->scope = "";
    return g;
}

void t3d_graph_device(struct t3d_graph *g, int index)
{
    g->device = index;
}

void t3d_graph_storage(struct t3d_graph *g, enum t3d_storage storage)
{
    if (storage != T3D_FULL && g->backend != T3D_CUDA)
        t3d_graph_fail(g, "bf16 storage needs a CUDA device");
    g->storage = storage;
}

void t3d_graph_free(struct t3d_graph *g)
{
    if (!g)
        return;
    t3di_unbind(g);
    t3d_arena_free(&g->memory);
    free(g);
}

struct t3d_ref t3d_graph_fail(struct t3d_graph *g, const char *fmt, ...)
{
    char text[sizeof g->err.msg];
    va_list ap;

    if (!g->failed) {
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        t3d_err_set(&g->err, T3D_USAGE, "bad-graph", "%s%s%s", g->scope, *g->scope ? ": " : "",
                    text);
        g->failed = 1;
    }
    return T3D_NONE;
}

static struct t3d_ref no_memory(struct t3d_graph *g)
{
    if (!g->failed)
        t3d_err_nomem(&g->err, "the graph");
    g->failed = 1;
    return T3D_NONE;
}

/* A node with its outputs; the node is the last of the table. */
static struct t3di_node *add_node(struct t3d_graph *g, int n_out)
{
    struct t3di_node *n;

    if (g->built) {
        t3d_graph_fail(g, "a node was added after the graph was built");
        return NULL;
    }
    n = t3di_grow(g, (void **)&g->node, &g->n_nodes, &g->max_nodes, sizeof *n);
    if (!n) {
        no_memory(g);
        return NULL;
    }
    n->value = g->n_values;
    n->segment = g->in_segment;
    for (int k = 0; k < n_out; k++) {
        struct t3di_value *v =
            t3di_grow(g, (void **)&g->value, &g->n_values, &g->max_values, sizeof *v);

        if (!v) {
            no_memory(g);
            return NULL;
        }
        v->root = g->n_values - 1;
        v->node = g->n_nodes - 1;
        v->slot = v->again = v->grad = -1;
    }
    return n;
}

static int find_value(const struct t3d_graph *g, struct t3d_ref r)
{
    if (r.node < 0 || r.node >= g->n_nodes)
        return -1;
    return g->node[r.node].value + r.out;
}

static struct t3d_ref source(struct t3d_graph *g, enum t3di_kind kind, const char *name,
                             struct t3d_shape s)
{
    struct t3di_value *v;
    char text[T3D_SHAPE_TEXT];

    if (t3d_shape_count(&s) < 0)
        return t3d_graph_fail(g, "'%s': shape %s is empty or too large", name,
                              t3d_shape_text(&s, text, sizeof text));
    if (t3d_graph_find(g, name).node >= 0)
        return t3d_graph_fail(g, "the name '%s' is used twice", name);
    if (kind == T3DI_PARAM && s.type != T3D_REAL)
        return t3d_graph_fail(g, "parameter '%s' has integers", name);
    if (!add_node(g, 1))
        return T3D_NONE;
    v = &g->value[g->n_values - 1];
    v->name = t3d_strdup(&g->memory, name);
    if (!v->name)
        return no_memory(g);
    v->shape = s;
    v->kind = kind;
    v->node = -1;
    return (struct t3d_ref){g->n_nodes - 1, 0};
}

struct t3d_ref t3d_graph_input(struct t3d_graph *g, const char *name, struct t3d_shape s)
{
    struct t3d_ref r = source(g, T3DI_INPUT, name, s);

    if (r.node >= 0) {
        g->value[g->n_values - 1].offset = g->input_bytes;
        g->input_bytes += t3di_round(t3d_shape_bytes(&s));
    }
    return r;
}

struct t3d_ref t3d_graph_param(struct t3d_graph *g, const char *name, struct t3d_shape s)
{
    struct t3d_ref r = source(g, T3DI_PARAM, name, s);

    if (r.node >= 0) {
        g->value[g->n_values - 1].offset = g->param_bytes;
        g->param_bytes += t3di_round(t3d_shape_bytes(&s));
        g->n_params++;
    }
    return r;
}

struct t3d_ref t3d_graph_constant(struct t3d_graph *g, const char *name, struct t3d_shape s,
                                  const void *data)
{
    struct t3d_ref r = source(g, T3DI_CONSTANT, name, s);

    if (r.node >= 0)
        g->value[g->n_values - 1].given = data;
    return r;
}

struct t3d_ref t3d_graph_view(struct t3d_graph *g, struct t3d_ref r, struct t3d_shape s)
{
    int from = find_value(g, r);
    char a[T3D_SHAPE_TEXT], b[T3D_SHAPE_TEXT];
    struct t3di_value *v;

    if (g->failed || from < 0)
        return t3d_graph_fail(g, "a view of nothing");
    s.type = g->value[from].shape.type;
    if (t3d_shape_count(&s) != t3d_shape_count(&g->value[from].shape))
        return t3d_graph_fail(g, "a view of %s as %s has another number of elements",
                              t3d_shape_text(&g->value[from].shape, a, sizeof a),
                              t3d_shape_text(&s, b, sizeof b));
    if (!add_node(g, 1))
        return T3D_NONE;
    v = &g->value[g->n_values - 1];
    *v = g->value[from];
    v->shape = s;
    v->name = NULL;
    return (struct t3d_ref){g->n_nodes - 1, 0};
}

static char present; /* address of what will have memory */

/* Inputs and attributes of the node's call, and its outputs' shapes. */
static int describe(struct t3d_graph *g, struct t3di_node *n, const struct t3d_op *op,
                    const struct t3d_ref *in, int n_in)
{
    struct t3d_call *c = &n->call;

    n->op = c->op = op;
    n->run = t3di_functions(op, g->backend);
    c->n_in = n_in;
    c->n_out = op->n_out;
    c->threads = g->threads;
    for (int i = 0; i < T3D_MAX_IN; i++)
        n->in[i] = -1;
    for (int i = 0; i < n_in; i++) {
        n->in[i] = in[i].node < 0 ? -1 : find_value(g, in[i]);
        if (n->in[i] < 0)
            continue;
        c->in[i] = &present;
        c->in_shape[i] = g->value[n->in[i]].shape;
        c->in_is_constant[i] = g->value[n->in[i]].kind == T3DI_CONSTANT;
    }
    for (int k = 0; k < op->n_out; k++)
        c->out[k] = &present;
    return op->shape(c, &g->err);
}

struct t3d_ref t3d_graph_node(struct t3d_graph *g, const struct t3d_op *op, const void *attr,
                              const struct t3d_ref *in, int n_in)
{
    struct t3di_node *n;
    char *copy = NULL;

    if (g->failed)
        return T3D_NONE;
    if (n_in < op->min_in || n_in > op->max_in)
        return t3d_graph_fail(g, "%s takes %d to %d inputs, not %d", op->name, op->min_in,
                              op->max_in, n_in);
    for (int i = 0; i < op->min_in; i++)
        if (find_value(g, in[i]) < 0)
            return t3d_graph_fail(g, "%s: input %d is missing", op->name, i);
    n = add_node(g, op->n_out);
    if (!n)
        return T3D_NONE;
    n->name = t3d_sprintf(&g->memory, "%s%s%s#%d", g->scope, *g->scope ? "/" : "", op->name,
                          g->n_nodes - 1);
    if (attr && op->attr_size) {
        copy = t3d_alloc(&g->memory, 1, op->attr_size);
        if (copy)
            memcpy(copy, attr, op->attr_size);
    }
    if (!n->name || (op->attr_size && !copy))
        return no_memory(g);
    n->call.attr = copy;
    if (describe(g, n, op, in, n_in) < 0) {
        if (*g->scope)
            t3d_err_prefix(&g->err, "%s", g->scope);
        g->failed = 1;
        return T3D_NONE;
    }
    for (int k = 0; k < op->n_out; k++)
        g->value[n->value + k].shape = n->call.out_shape[k];
    n->flops = op->flops ? op->flops(&n->call) : (double)t3d_shape_count(&n->call.out_shape[0]);
    return (struct t3d_ref){g->n_nodes - 1, 0};
}

struct t3d_ref t3d_graph_output(struct t3d_ref node, int k)
{
    return (struct t3d_ref){node.node, node.node < 0 ? 0 : k};
}

struct t3d_shape t3d_graph_shape(const struct t3d_graph *g, struct t3d_ref r)
{
    int v = find_value(g, r);

    return v < 0 ? (struct t3d_shape){0} : g->value[v].shape;
}

void t3d_graph_keep(struct t3d_graph *g, struct t3d_ref r)
{
    int v = find_value(g, r);

    if (v >= 0)
        g->value[g->value[v].root].keep = 1;
}

void t3d_graph_segment_begin(struct t3d_graph *g)
{
    if (g->in_segment)
        t3d_graph_fail(g, "a segment begins within another");
    g->in_segment = ++g->n_segments;
}

void t3d_graph_segment_end(struct t3d_graph *g)
{
    if (!g->in_segment)
        t3d_graph_fail(g, "a segment ends that has not begun");
    g->in_segment = 0;
}

void t3d_graph_scope(struct t3d_graph *g, const char *fmt, ...)
{
    char text[128];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    g->scope = t3d_strdup(&g->memory, text);
    if (!g->scope) {
        g->scope = "";
        no_memory(g);
    }
}

void t3d_graph_use_pool(struct t3d_graph *g, struct t3d_pool *p)
{
    if (g->built || g->pool) {
        t3d_graph_fail(g, "a pool comes before the graph is built, and once");
        return;
    }
    t3di_pool_retain(p);
    g->pool = p;
}

void t3d_graph_share_params(struct t3d_graph *g, struct t3d_graph *of)
{
    if (!of->built || of->params_of || of->backend != g->backend || of->device != g->device)
        t3d_graph_fail(g, "the parameters to share are not those of a graph that is built");
    g->params_of = of;
}

/* Places of the parameters in the other graph's block. */
static void find_shared(struct t3d_graph *g)
{
    const struct t3d_graph *of = g->params_of;

    if (of->storage != g->storage)
        t3d_graph_fail(g, "the graph whose parameters are shared has another storage");
    if (of->plan.dry && !g->plan.dry)
        t3d_graph_fail(g, "the graph whose parameters are shared is only planned");
    if (g->plan.loss.node >= 0 && of->plan.loss.node < 0)
        t3d_graph_fail(g, "the graph whose parameters are shared has no loss, so no gradients");
    for (int i = 0; i < g->n_nodes && !g->failed; i++) {
        struct t3di_value *v = &g->value[g->node[i].value];
        const struct t3di_value *o;
        struct t3d_ref r;

        if (g->node[i].op || !v->name || v->kind != T3DI_PARAM)
            continue;
        r = t3d_graph_find(of, v->name);
        o = r.node < 0 ? NULL : &of->value[of->node[r.node].value];
        if (!o || o->kind != T3DI_PARAM || !t3d_shape_equal(&o->shape, &v->shape))
            t3d_graph_fail(g, "parameter '%s' is not one of the shared ones, or of another shape",
                           v->name);
        else
            v->offset = o->offset;
    }
    for (int i = 0; i < g->n_values; i++) /* views */
        if (g->value[i].root != i)
            g->value[i].offset = g->value[g->value[i].root].offset;
    g->param_bytes = of->param_bytes;
}

int t3d_graph_build(struct t3d_graph *g, const struct t3d_plan *plan, struct t3d_err *err)
{
    int r;

    if (g->built)
        return t3d_err_set(err, T3D_USAGE, "bad-graph", "the graph is built already");
    if (plan->loss.node >= 0) {
        struct t3d_shape s = t3d_graph_shape(g, plan->loss);

        if (t3d_shape_count(&s) != 1 || s.type != T3D_REAL)
            t3d_graph_fail(g, "the loss is not a single real number");
    }
    if (g->in_segment)
        t3d_graph_fail(g, "a segment has no end");
    g->plan = *plan;
    if (g->params_of && !g->failed)
        find_shared(g);
    if (g->failed) {
        if (err)
            *err = g->err;
        return g->err.code;
    }
    r = plan->dry ? T3D_OK : t3di_open(g, err);
    if (r == T3D_OK)
        r = t3di_plan(g, err);
    if (r == T3D_OK && !plan->dry)
        r = t3di_bind(g, err);
    g->built = r == T3D_OK;
    return r;
}

struct t3d_ref t3d_graph_find(const struct t3d_graph *g, const char *name)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct t3di_value *v = &g->value[g->node[i].value];

        if (!g->node[i].op && v->name && strcmp(v->name, name) == 0)
            return (struct t3d_ref){i, 0};
    }
    return T3D_NONE;
}

int t3d_graph_n_params(const struct t3d_graph *g)
{
    return g->n_params;
}

struct t3d_ref t3d_graph_param_at(const struct t3d_graph *g, int index, const char **name)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct t3di_value *v = &g->value[g->node[i].value];

        if (!g->node[i].op && v->name && v->kind == T3DI_PARAM && index-- == 0) {
            if (name)
                *name = v->name;
            return (struct t3d_ref){i, 0};
        }
    }
    return T3D_NONE;
}

/* What prepare would pack: matrices that are constant. */
static size_t estimate_state(const struct t3d_graph *g, const struct t3di_node *n)
{
    size_t bytes = 0;

    for (int j = 0; n->op->backend[g->backend].prepare && j < n->call.n_in; j++)
        if (n->call.in_is_constant[j] && n->call.in_shape[j].n > 1)
            bytes += t3di_round(t3d_shape_bytes(&n->call.in_shape[j]));
    return bytes;
}

static void size_of_nodes(const struct t3d_graph *g, struct t3d_graph_size *s)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct t3di_node *n = &g->node[i];
        const struct t3di_value *v = &g->value[n->value];

        if (!n->op) {
            if (v->kind == T3DI_CONSTANT && v->name)
                s->constant_bytes += t3d_shape_bytes(&v->shape);
            continue;
        }
        s->n_nodes++;
        s->state_bytes += g->plan.dry ? estimate_state(g, n) : n->call.state_bytes;
        s->shared_bytes += n->call.shared_bytes;
        s->forward_flops += n->flops;
        s->again_flops += n->again ? n->flops : 0;
        s->backward_flops += n->backward ? 2 * n->flops : 0;
    }
    s->backward_flops += s->again_flops;
}

void t3d_graph_size(const struct t3d_graph *g, struct t3d_graph_size *s)
{
    size_t params = g->params_of ? 0 : g->param_bytes;

    *s = (struct t3d_graph_size){.arena_bytes = g->arena_bytes,
                                 .unplanned_bytes = g->unplanned_bytes,
                                 .work_bytes = g->work_bytes,
                                 .input_bytes = g->input_bytes,
                                 .param_bytes = params,
                                 .grad_bytes = g->plan.loss.node >= 0 ? params : 0,
                                 .n_params = g->n_params};
    size_of_nodes(g, s);
    s->total_bytes = s->arena_bytes + s->input_bytes + s->param_bytes + s->grad_bytes +
                     s->state_bytes - s->shared_bytes;
}

int t3d_graph_n_rows(const struct t3d_graph *g)
{
    return g->n_nodes;
}

struct t3d_graph_row t3d_graph_row_at(const struct t3d_graph *g, int i)
{
    const struct t3di_node *n = &g->node[i];
    const char *name = n->op ? n->name : g->value[n->value].name;

    return (struct t3d_graph_row){.name = name ? name : "view",
                                  .op = n->op ? n->op->name : "source",
                                  .forward_s = n->seconds[0],
                                  .backward_s = n->seconds[1],
                                  .flops = n->flops,
                                  .runs = n->runs};
}

int t3d_graph_n_slots(const struct t3d_graph *g)
{
    return g->n_slots;
}

struct t3d_graph_slot t3d_graph_slot_at(const struct t3d_graph *g, int i)
{
    const struct t3di_slot *s = &g->slot[i];

    return (struct t3d_graph_slot){s->offset, s->bytes, s->first, s->last, s->alias};
}
