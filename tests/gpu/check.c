/* SPDX-License-Identifier: Apache-2.0 */
/* Every op on cuda:0 against the host: `make check-gpu`. A plain program that prints TAP, so that a
 * machine with a card needs only a C compiler, make and CUDA; 77 = no device.
 *
 *     check [OP...]      only these ops
 *
 * Each case of each op runs in float and with bf16 storage, trained and frozen, in place and in an
 * arena full of NaN (there the gradients of two passes add up), twice with the same bits. Inputs
 * are numbers that bf16 holds exactly. */
#include "tap.h"

#include "num/device.h"
#include "num/ops.h"
#include "num/optim.h"
#include "splat.h"
#include "whole.h"
#include "wide.h"

/* The nearest number with 8 bits. */
static float short_float(double x)
{
    int e;
    double m = frexp(x, &e);

    return (float)ldexp(nearbyint(m * 256) / 256, e);
}

static void fill(const struct t3d_op_case *k, int input, const struct t3d_shape *s, void *data)
{
    state = 1000003u * (uint64_t)(input + 1);
    for (int64_t i = 0; i < t3d_shape_count(s); i++) {
        double u = uniform();

        if (s->type == T3D_INT)
            ((int32_t *)data)[i] = (int32_t)(u * (k->int_below ? k->int_below : 1));
        else if (k->lo < k->hi)
            ((float *)data)[i] = short_float(T3D_MIN(k->lo + u * (k->hi - k->lo), k->hi));
        else
            ((float *)data)[i] =
                short_float(sqrt(-2 * log(u + 1e-12)) * cos(6.283185307179586 * uniform()));
    }
}

/* --- a case as a graph -------------------------------------------------------------------------
 */

struct how {
    const char *name;
    enum t3d_backend backend;
    enum t3d_storage storage;
    int frozen; /* real inputs but the first are constants; no backward */
    int hard;   /* in place, and in an arena full of NaN */
};

struct made {
    struct t3d_graph *g;
    struct t3d_ref in[T3D_MAX_IN], out[T3D_MAX_OUT], weight[T3D_MAX_OUT], loss;
    void *constant[T3D_MAX_IN];
    int n_out;
};

static int has_no_grad(const struct t3d_op_case *k, int i)
{
    return (k->absent | k->frozen) >> i & 1 || k->in[i].type == T3D_INT;
}

static struct t3d_ref make_input(struct made *m, const struct t3d_op_case *k, int i,
                                 const struct how *h)
{
    struct t3d_shape s = k->in[i];
    char name[32];

    snprintf(name, sizeof name, "in%d", i);
    if (s.type == T3D_INT || k->frozen >> i & 1)
        return m->in[i] = t3d_graph_input(m->g, name, s);
    if (h->frozen && i) {
        m->constant[i] = malloc(t3d_shape_bytes(&s));
        if (!m->constant[i])
            stop("check", "out of memory");
        fill(k, i, &s, m->constant[i]);
        return m->in[i] = t3d_graph_constant(m->g, name, s, m->constant[i]);
    }
    m->in[i] = t3d_graph_param(m->g, name, s);
    return h->hard ? t3d_linear(m->g, m->in[i], 1, 0) : m->in[i];
}

/* loss = the sum of every output times fixed weights. */
static void make_loss(struct made *m)
{
    m->loss = T3D_NONE;
    for (int k = 0; k < m->n_out; k++) {
        struct t3d_ref one;
        char name[32];

        snprintf(name, sizeof name, "weight%d", k);
        m->weight[k] = t3d_graph_input(m->g, name, t3d_graph_shape(m->g, m->out[k]));
        one = t3d_sum(m->g, t3d_mul(m->g, m->out[k], m->weight[k]), -1);
        m->loss = k ? t3d_add(m->g, m->loss, one) : one;
    }
}

static void set_inputs(struct made *m, const struct t3d_op_case *k)
{
    static const struct t3d_op_case weights = {.lo = -1, .hi = 1};

    for (int i = 0; i < k->n_in; i++)
        if (!(k->absent >> i & 1) && !m->constant[i]) {
            struct t3d_shape s = t3d_graph_shape(m->g, m->in[i]);

            fill(k, i, &s, t3d_graph_data(m->g, m->in[i]));
        }
    for (int i = 0; m->loss.node >= 0 && i < m->n_out; i++) {
        struct t3d_shape s = t3d_graph_shape(m->g, m->weight[i]);

        fill(&weights, 20 + i, &s, t3d_graph_data(m->g, m->weight[i]));
    }
}

static int make(struct made *m, const struct t3d_op *op, const struct t3d_op_case *k,
                const struct how *h, struct t3d_err *err)
{
    struct t3d_ref in[T3D_MAX_IN], node;
    int trains = op->backend[T3D_CPU].backward && !h->frozen;

    *m = (struct made){.g = t3d_graph_new(h->backend, 1), .loss = T3D_NONE};
    if (!m->g)
        stop("check", "out of memory");
    t3d_graph_storage(m->g, h->storage);
    for (int i = 0; i < k->n_in; i++)
        in[i] = k->absent >> i & 1 ? T3D_NONE : make_input(m, k, i, h);
    node = t3d_graph_node(m->g, op, k->attr, in, k->n_in);
    for (int j = 0; j < op->n_out; j++)
        if (!(op->aux_out >> j & 1)) {
            m->out[m->n_out++] = t3d_graph_output(node, j);
            t3d_graph_keep(m->g, t3d_graph_output(node, j));
        }
    if (trains)
        make_loss(m);
    if (t3d_graph_build(m->g, &(struct t3d_plan){.loss = m->loss, .poison = h->hard}, err) < 0)
        return -1;
    set_inputs(m, k);
    return 0;
}

/* times = 2: the gradients of two passes add up. */
static int run(struct made *m, int times, struct t3d_err *err)
{
    int r = T3D_OK;

    t3d_graph_zero_grad(m->g);
    for (int i = 0; i < times && r == T3D_OK; i++) {
        r = t3d_graph_forward(m->g, err);
        if (r == T3D_OK && m->loss.node >= 0)
            r = t3d_graph_backward(m->g, err);
    }
    return r;
}

static void discard(struct made *m)
{
    t3d_graph_free(m->g);
    for (int i = 0; i < T3D_MAX_IN; i++)
        free(m->constant[i]);
}

/* Outputs, then gradients of the real inputs: result j, or NULL after the last. */
static const float *result(struct made *m, const struct t3d_op_case *k, int j, int64_t *n)
{
    struct t3d_shape s;
    int wanted = j - m->n_out;
    const float *p = NULL;

    if (j < m->n_out) {
        s = t3d_graph_shape(m->g, m->out[j]);
        p = t3d_graph_data(m->g, m->out[j]);
    }
    for (int i = 0; !p && j >= m->n_out && m->loss.node >= 0 && i < k->n_in; i++) {
        if (has_no_grad(k, i) || wanted-- > 0)
            continue;
        s = t3d_graph_shape(m->g, m->in[i]);
        p = t3d_graph_grad(m->g, m->in[i]);
    }
    if (p)
        *n = t3d_shape_count(&s);
    return p;
}

/* --- comparison
 * ------------------------------------------------------------------------------------ */

/* Results of one run, copied: the device's are overwritten by the next. */
struct copies {
    float *result[T3D_MAX_OUT + T3D_MAX_IN];
    int64_t n[T3D_MAX_OUT + T3D_MAX_IN];
    int count;
};

static void copy_results(struct copies *c, struct made *m, const struct t3d_op_case *k)
{
    const float *p;
    int64_t n;

    c->count = 0;
    for (int j = 0; (p = result(m, k, j, &n)); j++) {
        c->result[j] = malloc((size_t)n * sizeof *p);
        if (!c->result[j])
            stop("check", "out of memory");
        memcpy(c->result[j], p, (size_t)n * sizeof *p);
        c->n[j] = n;
        c->count++;
    }
}

static void free_results(struct copies *c)
{
    for (int j = 0; j < c->count; j++)
        free(c->result[j]);
}

static int same_bits(const struct copies *a, const struct copies *b)
{
    int same = a->count == b->count;

    for (int j = 0; same && j < a->count; j++)
        same = memcmp(a->result[j], b->result[j], (size_t)a->n[j] * sizeof(float)) == 0;
    return same;
}

/* bf16 has 8 bits: a sum of rounded terms is off by some units of its largest number. */
static double tolerance(const struct how *h)
{
    return h->storage == T3D_BF16 ? 2e-2 : 1e-5;
}

static void check_case(const struct t3d_op *op, const struct t3d_op_case *k, const struct how *h)
{
    struct how host = {"host", T3D_CPU, T3D_FULL, h->frozen, 0};
    struct made want, got;
    struct copies a, b, c;
    struct t3d_err err = {0};
    double worst = 0;
    int at = 0, r;

    if (make(&want, op, k, &host, &err) < 0 || run(&want, 1 + h->hard, &err) < 0)
        stop(op->name, err.msg);
    copy_results(&a, &want, k);
    r = make(&got, op, k, h, &err);
    if (r == 0)
        r = run(&got, 1 + h->hard, &err);
    if (r == 0) {
        copy_results(&b, &got, k);
        r = run(&got, 1 + h->hard, &err); /* the second run finds what the first has left */
    }
    if (r < 0) {
        report(0, "%s, %s, %s: %s", op->name, k->name, h->name, err.msg);
    } else {
        copy_results(&c, &got, k);
        for (int j = 0; j < a.count && j < b.count; j++) {
            double d = distance(b.result[j], a.result[j], a.n[j], 1e-3);

            at = d > worst ? j : at;
            worst = fmax(worst, d);
        }
        report(a.count == b.count && worst <= tolerance(h) && same_bits(&b, &c),
               "%s, %s, %s%s # %.1e in result %d of %d", op->name, k->name, h->name,
               same_bits(&b, &c) ? "" : ": the second run differs", worst, at, b.count);
        free_results(&b);
        free_results(&c);
    }
    free_results(&a);
    discard(&want);
    discard(&got);
}

static int runs(const struct t3d_op *op)
{
    const struct t3d_op_case *k = op->cases;
    struct how h = {"try", T3D_CUDA, T3D_FULL, 1, 0};
    struct t3d_err err = {0};
    struct made m;
    int ok = make(&m, op, k, &h, &err) == 0;

    discard(&m);
    return ok || !strstr(err.msg, "does not run on this device");
}

static void each_way(const struct t3d_op *op, const struct t3d_op_case *k)
{
    static const struct how how[] = {
        {"float", T3D_CUDA, T3D_FULL, 0, 0},         {"float in place", T3D_CUDA, T3D_FULL, 0, 1},
        {"float frozen", T3D_CUDA, T3D_FULL, 1, 1},  {"bf16", T3D_CUDA, T3D_BF16, 0, 0},
        {"bf16 in place", T3D_CUDA, T3D_BF16, 0, 1}, {"bf16 frozen", T3D_CUDA, T3D_BF16, 1, 1}};

    for (size_t i = 0; i < T3D_COUNT(how); i++)
        check_case(op, k, &how[i]);
}

static void check_op(const struct t3d_op *op)
{
    if (!runs(op)) {
        printf("ok %d - %s # SKIP it runs on the host only\n", ++n_tests, op->name);
        return;
    }
    for (const struct t3d_op_case *k = op->cases; k->name; k++)
        if (!k->bench)
            each_way(op, k);
    for (size_t i = 0; i < T3D_COUNT(wide); i++)
        if (wide[i].op == op)
            each_way(op, &wide[i].k);
}

/* --- the rest
 * ---------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    struct t3d_device d;
    struct t3d_err err = {0};
    char text[256];

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (t3d_device_parse(&d, "cuda:0", &err) < 0) {
        printf("1..0 # SKIP %s\n", err.msg);
        return 77;
    }
    t3d_device_describe(0, text, sizeof text);
    printf("# %s\n", text);
    t3d_device_support(text, sizeof text);
    printf("# %s\n", text);
    for (int i = 0; t3d_ops[i]; i++) {
        int wanted = argc < 2;

        for (int a = 1; a < argc; a++)
            wanted |= strcmp(argv[a], t3d_ops[i]->name) == 0;
        if (wanted)
            check_op(t3d_ops[i]);
    }
    if (argc < 2) {
        check_splat();
        check_whole();
    }
    printf("1..%d\n# %d failed\n", n_tests, n_failed);
    return n_failed != 0;
}
