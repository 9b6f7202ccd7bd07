/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: which steps run, when each value lives, and where in the arena it lies. */
#include <limits.h>
#include <string.h>

#include "num/graph_impl.h"

static struct t3di_value *root(struct t3d_graph *g, int value)
{
    return &g->value[g->value[value].root];
}

static int is_aux(const struct t3di_node *n, int k)
{
    return (int)(n->op->aux_out >> k & 1);
}

static int bit(uint32_t bits, int i)
{
    return (int)(bits >> i & 1);
}

/* --- how values lie in memory ----------------------------------------------------------------
 */

static enum t3d_storage storage_of(struct t3d_graph *g, int value)
{
    const struct t3di_value *v = root(g, value);
    int full = v->node >= 0 &&
               bit(g->node[v->node].op->full_out, g->value[value].root - g->node[v->node].value);

    return v->shape.type != T3D_REAL || t3d_shape_count(&v->shape) == 1 || full ? T3D_FULL
                                                                                : g->storage;
}

static void choose_storage(struct t3d_graph *g)
{
    for (int i = 0; i < g->n_values; i++)
        g->value[i].storage = storage_of(g, i);
    for (int i = 0; i < g->n_nodes; i++) {
        struct t3di_node *n = &g->node[i];

        for (int j = 0; n->op && j < n->call.n_in; j++)
            if (n->in[j] >= 0) {
                const struct t3di_value *v = root(g, n->in[j]);

                n->call.in_storage[j] = (unsigned char)v->storage;
                n->call.grad_in_storage[j] =
                    (unsigned char)(v->kind == T3DI_PARAM ? T3D_FULL : v->storage);
            }
        for (int k = 0; n->op && k < n->op->n_out; k++)
            n->call.out_storage[k] = (unsigned char)g->value[n->value + k].storage;
    }
}

/* --- what backward has to do ---------------------------------------------------------------- */

static void mark_needs_grad(struct t3d_graph *g)
{
    for (int i = 0; i < g->n_values; i++)
        g->value[i].needs_grad = g->value[i].kind == T3DI_PARAM;
    for (int i = 0; i < g->n_nodes; i++) {
        struct t3di_node *n = &g->node[i];
        int needs = 0;

        if (!n->op || !n->run || !n->run->backward)
            continue;
        for (int j = 0; j < n->call.n_in; j++)
            needs |= n->in[j] >= 0 && root(g, n->in[j])->needs_grad;
        for (int k = 0; k < n->op->n_out; k++) {
            struct t3di_value *v = &g->value[n->value + k];

            v->needs_grad = needs && !is_aux(n, k) && v->shape.type == T3D_REAL;
        }
    }
}

/* Nodes between the parameters and the loss. */
static void mark_backward(struct t3d_graph *g)
{
    int loss = g->node[g->plan.loss.node].value + g->plan.loss.out;

    root(g, loss)->flow = root(g, loss)->needs_grad;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        struct t3di_node *n = &g->node[i];

        if (!n->op)
            continue;
        for (int k = 0; k < n->op->n_out; k++)
            n->backward |= g->value[n->value + k].flow;
        n->call.trains = n->backward;
        for (int j = 0; n->backward && j < n->call.n_in; j++)
            if (n->in[j] >= 0 && root(g, n->in[j])->needs_grad)
                root(g, n->in[j])->flow = 1;
    }
}

/* A value is dropped after forward when its producer and all its readers are in one segment that
 * is computed again. */
static void mark_dropped(struct t3d_graph *g)
{
    for (int i = 0; i < g->n_values; i++) {
        struct t3di_value *v = &g->value[i];
        int segment = v->node < 0 ? 0 : g->node[v->node].segment;

        v->dropped = v->root == i && segment && segment < g->kept && !v->keep;
    }
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; g->node[i].op && j < g->node[i].call.n_in; j++)
            if (g->node[i].in[j] >= 0) {
                struct t3di_value *v = root(g, g->node[i].in[j]);

                v->n_reads++;
                if (v->dropped && g->node[v->node].segment != g->node[i].segment)
                    v->dropped = 0;
            }
    for (int i = 0; i < g->n_values; i++) {
        struct t3di_value *v = &g->value[i];
        int made = v->root == i && v->node >= 0; /* a view is no output of its node */

        if (made && !v->n_reads && !is_aux(&g->node[v->node], i - g->node[v->node].value)) {
            v->keep = 1; /* what nobody reads is a result */
            v->dropped = 0;
        }
    }
}

/* Reads of node n's backward: fn(value) for each. */
static void each_backward_read(struct t3d_graph *g, const struct t3di_node *n,
                               void (*fn)(struct t3d_graph *g, int value, int step), int step)
{
    for (int j = 0; j < n->call.n_in; j++)
        if (n->in[j] >= 0 && bit(n->op->backward_reads_in, j))
            fn(g, g->value[n->in[j]].root, step);
    for (int k = 0; k < n->op->n_out; k++)
        if (bit(n->op->backward_reads_out, k))
            fn(g, n->value + k, step);
}

static void want_again(struct t3d_graph *g, int value, int step)
{
    (void)step;
    if (g->value[value].dropped)
        g->value[value].recomputed = 1;
}

/* Which nodes of the segments run again, and which of their outputs must have memory then. */
static void mark_again(struct t3d_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i].op && g->node[i].backward)
            each_backward_read(g, &g->node[i], want_again, 0);
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        struct t3di_node *n = &g->node[i];

        for (int k = 0; n->op && k < n->op->n_out; k++)
            n->again |= g->value[n->value + k].recomputed;
        for (int j = 0; n->again && j < n->call.n_in; j++)
            if (n->in[j] >= 0)
                want_again(g, g->value[n->in[j]].root, 0);
    }
}

/* --- steps ---------------------------------------------------------------------------------- */

static int add_step(struct t3d_graph *g, enum t3di_phase phase, int node)
{
    struct t3di_step *s = t3di_grow(g, (void **)&g->step, &g->n_steps, &g->max_steps, sizeof *s);

    if (!s)
        return -1;
    s->phase = phase;
    s->node = node;
    s->work = -1;
    return 0;
}

static int add_again(struct t3d_graph *g, int segment)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i].op && g->node[i].segment == segment && g->node[i].again &&
            add_step(g, T3DI_AGAIN, i) < 0)
            return -1;
    return 0;
}

static int add_steps(struct t3d_graph *g)
{
    int last_segment = 0;

    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i].op && add_step(g, T3DI_FORWARD, i) < 0)
            return -1;
    g->n_forward = g->n_steps;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        struct t3di_node *n = &g->node[i];

        if (!n->op || !n->backward)
            continue;
        if (n->segment && n->segment != last_segment) {
            last_segment = n->segment;
            if (add_again(g, n->segment) < 0)
                return -1;
        }
        if (add_step(g, T3DI_BACKWARD, i) < 0)
            return -1;
    }
    return 0;
}

/* --- lives ---------------------------------------------------------------------------------- */

static size_t value_bytes(const struct t3di_value *v)
{
    return t3di_bytes(&v->shape, v->storage);
}

static int touch(struct t3d_graph *g, int *slot, size_t bytes, int step)
{
    struct t3di_slot *s;

    if (*slot < 0) {
        s = t3di_grow(g, (void **)&g->slot, &g->n_slots, &g->max_slots, sizeof *s);
        if (!s)
            return -1;
        *slot = g->n_slots - 1;
        *s = (struct t3di_slot){
            .bytes = t3di_round(bytes), .first = step, .last = step, .alias = -1};
    }
    g->slot[*slot].last = T3D_MAX(g->slot[*slot].last, step);
    return 0;
}

/* The slot of a root at a step of this phase. */
static int *slot_of(struct t3di_value *v, enum t3di_phase phase)
{
    return phase != T3DI_FORWARD && v->dropped ? &v->again : &v->slot;
}

static void read_in_backward(struct t3d_graph *g, int value, int step)
{
    struct t3di_value *v = &g->value[value];
    int *slot = slot_of(v, T3DI_BACKWARD);

    if (v->kind == T3DI_INNER && *slot >= 0)
        g->slot[*slot].last = T3D_MAX(g->slot[*slot].last, step);
}

/* An aux output has memory only if a later backward of this run reads it. */
static int is_written(const struct t3d_graph *g, const struct t3di_node *n, int k,
                      enum t3di_phase phase)
{
    if (!is_aux(n, k))
        return 1;
    return n->backward && bit(n->op->backward_reads_out, k) &&
           g->value[n->value + k].dropped == (phase == T3DI_AGAIN);
}

static int live_forward(struct t3d_graph *g, int step)
{
    struct t3di_step *s = &g->step[step];
    struct t3di_node *n = &g->node[s->node];
    struct t3d_call call = n->call;
    size_t work;

    for (int k = 0; k < n->op->n_out; k++) {
        struct t3di_value *v = &g->value[n->value + k];

        if (!is_written(g, n, k, s->phase)) {
            call.out[k] = NULL;
            continue;
        }
        /* A segment's result is there already: a second run of its node writes to scratch. */
        if (touch(g, s->phase == T3DI_AGAIN ? &v->again : &v->slot, value_bytes(v), step) < 0)
            return -1;
    }
    for (int j = 0; j < n->call.n_in; j++) {
        struct t3di_value *v = n->in[j] < 0 ? NULL : root(g, n->in[j]);

        if (v && v->kind == T3DI_INNER && touch(g, slot_of(v, s->phase), value_bytes(v), step) < 0)
            return -1;
    }
    work = n->run && n->run->work ? n->run->work(&call, 0) : 0;
    g->work_bytes = T3D_MAX(g->work_bytes, work);
    return work ? touch(g, &s->work, work, step) : 0;
}

static int live_backward(struct t3d_graph *g, int step)
{
    struct t3di_step *s = &g->step[step];
    struct t3di_node *n = &g->node[s->node];
    struct t3d_call call = n->call;
    size_t work;

    each_backward_read(g, n, read_in_backward, step);
    for (int k = 0; k < n->op->n_out; k++) {
        struct t3di_value *v = &g->value[n->value + k];

        call.grad_out[k] = v->flow ? call.out[k] : NULL;
        if (v->flow && touch(g, &v->grad, value_bytes(v), step) < 0)
            return -1;
    }
    for (int j = 0; j < n->call.n_in; j++) {
        struct t3di_value *v = n->in[j] < 0 ? NULL : root(g, n->in[j]);

        call.grad_in[j] = v && v->needs_grad ? call.out[0] : NULL;
        if (v && v->needs_grad && v->kind == T3DI_INNER &&
            touch(g, &v->grad, value_bytes(v), step) < 0)
            return -1;
    }
    work = n->run && n->run->work ? n->run->work(&call, 1) : 0;
    g->work_bytes = T3D_MAX(g->work_bytes, work);
    return work ? touch(g, &s->work, work, step) : 0;
}

static int live(struct t3d_graph *g)
{
    for (int i = 0; i < g->n_steps; i++)
        if ((g->step[i].phase == T3DI_BACKWARD ? live_backward(g, i) : live_forward(g, i)) < 0)
            return -1;
    for (int i = 0; i < g->n_values; i++)
        if (g->value[i].keep && g->value[i].slot >= 0)
            g->slot[g->value[i].slot].last = g->n_steps;
    return 0;
}

/* --- in place ------------------------------------------------------------------------------- */

static int base_slot(const struct t3d_graph *g, int slot)
{
    while (g->slot[slot].alias >= 0)
        slot = g->slot[slot].alias;
    return slot;
}

/* Every use of that value by the node is one that allows it. */
static int reusable(struct t3d_graph *g, const struct t3di_node *n, int input)
{
    for (int j = 0; j < n->call.n_in; j++)
        if (n->in[j] >= 0 && root(g, n->in[j]) == root(g, n->in[input]) && !bit(n->op->reuse_in, j))
            return 0;
    return 1;
}

/* Number for number in the same places: slots are rounded, so equal bytes do not say so. */
static int same_layout(const struct t3di_value *v, const struct t3di_value *w)
{
    return v->storage == w->storage && t3d_shape_count(&v->shape) == t3d_shape_count(&w->shape);
}

static void place_in_place(struct t3d_graph *g)
{
    for (int i = 0; i < g->n_steps; i++) {
        const struct t3di_step *s = &g->step[i];
        const struct t3di_node *n = &g->node[s->node];
        struct t3di_value *out = &g->value[n->value];
        int o = s->phase == T3DI_AGAIN ? out->again : out->slot;

        if (s->phase == T3DI_BACKWARD || !n->op->reuse_in)
            continue;
        for (int j = 0; j < n->call.n_in && g->slot[o].alias < 0; j++) {
            struct t3di_value *v = n->in[j] < 0 ? NULL : root(g, n->in[j]);
            int a;

            if (!v || v->kind != T3DI_INNER || !reusable(g, n, j))
                continue;
            a = base_slot(g, *slot_of(v, s->phase));
            if (g->slot[a].last != i || a == o || !same_layout(v, out) ||
                g->slot[a].bytes != g->slot[o].bytes)
                continue;
            g->slot[o].alias = a;
            g->slot[a].last = g->slot[o].last;
        }
    }
}

/* --- offsets -------------------------------------------------------------------------------- */

struct order {
    const struct t3di_slot *slot;
    int index;
};

static int by_size(const void *a, const void *b)
{
    const struct order *x = a, *y = b;

    if (x->slot->bytes != y->slot->bytes)
        return x->slot->bytes < y->slot->bytes ? 1 : -1;
    return x->index - y->index;
}

static int by_offset(const void *a, const void *b)
{
    const struct order *x = a, *y = b;

    return x->slot->offset < y->slot->offset ? -1 : x->slot->offset > y->slot->offset;
}

/* The smallest gap that fits between the slots alive at the same time, else behind them all. */
static size_t best_gap(const struct order *busy, int n, size_t bytes)
{
    size_t end = 0, best = SIZE_MAX, gap = SIZE_MAX;

    for (int i = 0; i < n; i++) {
        const struct t3di_slot *s = busy[i].slot;

        if (s->offset >= end + bytes && s->offset - end < gap) {
            gap = s->offset - end;
            best = end;
        }
        end = T3D_MAX(end, s->offset + s->bytes);
    }
    return best == SIZE_MAX ? end : best;
}

/* Greedy by size (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference",
 * 2020, section 5). */
static int place(struct t3d_graph *g)
{
    struct order *all = t3d_alloc(&g->memory, (size_t)g->n_slots + 1, sizeof *all);
    struct order *busy = t3d_alloc(&g->memory, (size_t)g->n_slots + 1, sizeof *busy);
    int n = 0;

    if (!all || !busy)
        return -1;
    for (int i = 0; i < g->n_slots; i++) {
        g->unplanned_bytes += g->slot[i].bytes;
        if (g->slot[i].alias < 0)
            all[n++] = (struct order){&g->slot[i], i};
    }
    qsort(all, (size_t)n, sizeof *all, by_size);
    for (int i = 0; i < n; i++) {
        struct t3di_slot *s = &g->slot[all[i].index];
        int n_busy = 0;

        for (int j = 0; j < i; j++)
            if (all[j].slot->first <= s->last && s->first <= all[j].slot->last)
                busy[n_busy++] = all[j];
        qsort(busy, (size_t)n_busy, sizeof *busy, by_offset);
        s->offset = best_gap(busy, n_busy, s->bytes);
        g->arena_bytes = T3D_MAX(g->arena_bytes, s->offset + s->bytes);
    }
    for (int i = 0; i < g->n_slots; i++)
        g->slot[i].offset = g->slot[base_slot(g, i)].offset;
    return 0;
}

/* --- the whole plan ------------------------------------------------------------------------- */

static void forget(struct t3d_graph *g)
{
    for (int i = 0; i < g->n_values; i++) {
        struct t3di_value *v = &g->value[i];

        v->n_reads = v->recomputed = 0;
        v->slot = v->again = v->grad = -1;
    }
    for (int i = 0; i < g->n_nodes; i++)
        g->node[i].again = 0;
    if (g->n_steps)
        memset(g->step, 0, (size_t)g->n_steps * sizeof *g->step);
    g->n_steps = g->n_slots = 0;
    g->arena_bytes = g->unplanned_bytes = g->work_bytes = 0;
}

static int plan_with(struct t3d_graph *g, int kept)
{
    forget(g);
    g->kept = kept;
    mark_dropped(g);
    mark_again(g);
    if (add_steps(g) < 0 || live(g) < 0)
        return -1;
    place_in_place(g);
    return place(g);
}

/* The memory needed most is needed where the backward of a segment has all before it behind it.
 * For the last one that is where the forward ends: to keep its values until then may cost
 * nothing. */
static int plan_recompute(struct t3d_graph *g)
{
    int kept = g->n_segments + 1, r = plan_with(g, kept);

    while (r == 0 && kept > 1) {
        size_t bytes = g->arena_bytes;

        r = plan_with(g, kept - 1);
        if (r == 0 && g->arena_bytes > bytes)
            return plan_with(g, kept);
        kept--;
    }
    return r;
}

int t3di_plan(struct t3d_graph *g, struct t3d_err *err)
{
    choose_storage(g);
    mark_needs_grad(g);
    if (g->plan.loss.node >= 0) {
        int loss = g->node[g->plan.loss.node].value + g->plan.loss.out;

        root(g, loss)->keep = 1;
        if (!root(g, loss)->needs_grad)
            return t3d_err_set(err, T3D_USAGE, "bad-graph",
                               "the loss does not depend on any parameter");
        mark_backward(g);
    }
    if ((g->plan.recompute && g->plan.loss.node >= 0 ? plan_recompute(g) : plan_with(g, 1)) < 0)
        return t3d_err_nomem(err, "the plan");
    return T3D_OK;
}
