/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cpu/conv.h"

#include "num/cpu/dnnl_lib.h"
#include "num/cpu/dnnl_impl.h"

#if defined(T3D_HAVE_DNNL) && !defined(T3D_REAL_DOUBLE)

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KINDS = 8, MAX_ARGS = 5 };

/* What one thread needs to call a primitive. */
struct place {
    dnnl_memory_t from, to, weights, bias, scratch;
    void *scratch_data;
};

/* Bands of one size and padding are one primitive. */
struct kind {
    int64_t rows, out_rows, top, bottom;
    dnnl_primitive_t primitive;
    struct place *place; /* one a thread */
};

struct t3di_conv_run {
    struct t3di_conv d;
    int backward, threads, n_kinds;
    int64_t band, bands; /* result rows of a band; bands of a picture */
    struct kind kind[MAX_KINDS];
    dnnl_stream_t stream;
};

struct rows {
    int64_t first, n; /* of the picture */
    int64_t out, out_n, top, bottom;
};

static struct rows rows_of(const struct t3di_conv_run *r, int64_t band)
{
    const struct t3di_conv *d = &r->d;
    int64_t from = band * r->band, to = T3D_MIN(d->oh, from + r->band);
    int64_t low = from * d->stride - d->pad_h;
    int64_t high = (to - 1) * d->stride - d->pad_h + (d->kh - 1) * d->dilation;
    int64_t first = T3D_MAX(low, 0), last = T3D_MIN(high, d->h - 1);

    return (struct rows){first, last - first + 1, from, to - from, first - low, high - last};
}

static dnnl_status_t pictures(dnnl_memory_desc_t *md, int64_t n, int64_t c, int64_t h, int64_t w)
{
    dnnl_dims_t dims = {n, c, h, w};

    return dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, dnnl_nhwc);
}

static dnnl_status_t weights(dnnl_memory_desc_t *md, const struct t3di_conv *d, int plain)
{
    dnnl_dims_t five = {d->groups, d->o / d->groups, d->c / d->groups, d->kh, d->kw};
    dnnl_dims_t four = {d->o, d->c, d->kh, d->kw};

    if (d->groups > 1)
        return dnnl_memory_desc_init_by_tag(md, 5, five, dnnl_f32,
                                            plain ? dnnl_goihw : dnnl_format_tag_any);
    return dnnl_memory_desc_init_by_tag(md, 4, four, dnnl_f32,
                                        plain ? dnnl_oihw : dnnl_format_tag_any);
}

static dnnl_status_t make_attr(dnnl_primitive_attr_t *attr, int relu)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(attr);

    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success && relu) {
        s = dnnl_post_ops_create(&ops);
        if (s == dnnl_success)
            s = dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_relu, 0, 0);
        if (s == dnnl_success)
            s = dnnl_primitive_attr_set_post_ops(*attr, ops);
        if (ops)
            dnnl_post_ops_destroy(ops);
    }
    return s;
}

/* md: picture, weights, bias, result. */
static dnnl_status_t describe_kind(const struct t3di_conv_run *r, const struct kind *k,
                                   dnnl_memory_desc_t md[4])
{
    const struct t3di_conv *d = &r->d;
    int64_t n = r->backward ? d->batch : 1;
    dnnl_dims_t bias = {d->o};
    dnnl_status_t s = pictures(&md[0], n, d->c, k->rows, d->w);

    if (s == dnnl_success)
        s = weights(&md[1], d, 0);
    if (s == dnnl_success)
        s = dnnl_memory_desc_init_by_tag(&md[2], 1, bias, dnnl_f32, dnnl_a);
    if (s == dnnl_success)
        s = pictures(&md[3], n, d->o, k->out_rows, d->ow);
    return s;
}

static dnnl_status_t make_desc(const struct t3di_conv_run *r, const struct kind *k,
                               dnnl_primitive_desc_t *pd)
{
    const struct t3di_conv *d = &r->d;
    int64_t reach = (d->ow - 1) * d->stride + (d->kw - 1) * d->dilation + 1;
    dnnl_dims_t stride = {d->stride, d->stride}, dilation = {d->dilation - 1, d->dilation - 1};
    dnnl_dims_t before = {k->top, d->pad_w},
                after = {k->bottom, T3D_MAX(reach - d->w - d->pad_w, 0)};
    dnnl_primitive_desc_t forward = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_convolution_desc_t op;
    dnnl_memory_desc_t md[4];
    dnnl_status_t s = describe_kind(r, k, md);

    if (s == dnnl_success)
        s = make_attr(&attr, d->relu && !r->backward);
    if (s == dnnl_success)
        s = dnnl_dilated_convolution_forward_desc_init(
            &op, dnnl_forward_inference, dnnl_convolution_direct, &md[0], &md[1],
            d->bias && !r->backward ? &md[2] : NULL, &md[3], stride, dilation, before, after);
    if (s == dnnl_success)
        s = dnnl_primitive_desc_create(&forward, &op, attr, t3di_dnnl_engine(), NULL);
    *pd = forward;
    if (s == dnnl_success && r->backward) {
        s = dnnl_dilated_convolution_backward_data_desc_init(
            &op, dnnl_convolution_direct, &md[0], &md[1], &md[3], stride, dilation, before, after);
        if (s == dnnl_success)
            s = dnnl_primitive_desc_create(pd, &op, attr, t3di_dnnl_engine(), forward);
        dnnl_primitive_desc_destroy(forward);
    }
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return s;
}

static dnnl_status_t make_place(struct place *p, const struct t3di_conv_run *r,
                                dnnl_primitive_desc_t pd, const dnnl_memory_desc_t md[4],
                                const void *packed)
{
    const dnnl_memory_desc_t *want = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    const dnnl_memory_desc_t *pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    size_t bytes = (dnnl_memory_desc_get_size(pad) + 63) / 64 * 64;
    dnnl_engine_t engine = t3di_dnnl_engine();
    dnnl_status_t s =
        dnnl_memory_create(&p->from, &md[r->backward ? 3 : 0], engine, DNNL_MEMORY_NONE);

    if (s == dnnl_success)
        s = dnnl_memory_create(&p->to, &md[r->backward ? 0 : 3], engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success)
        s = dnnl_memory_create(&p->weights, want, engine, (void *)(uintptr_t)packed);
    if (s == dnnl_success && r->d.bias && !r->backward)
        s = dnnl_memory_create(&p->bias, &md[2], engine, DNNL_MEMORY_NONE);
    if (s != dnnl_success || !bytes)
        return s;
    p->scratch_data = aligned_alloc(64, bytes);
    if (!p->scratch_data)
        return dnnl_out_of_memory;
    return dnnl_memory_create(&p->scratch, pad, engine, p->scratch_data);
}

static int fail(struct t3d_err *err, const struct t3di_conv *d, int status)
{
    return t3d_err_set(err, T3D_FAIL, "onednn",
                       "oneDNN refuses a %lld x %lld convolution of %lld to %lld channels (status "
                       "%d): set T3D_BLAS=plain to go on without it",
                       (long long)d->kh, (long long)d->kw, (long long)d->c, (long long)d->o,
                       status);
}

static int fill_kind(struct t3di_conv_run *r, struct kind *k, const t3d_real *w, struct t3d_call *c,
                     struct t3d_err *err)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_memory_desc_t md[4], plain;
    const void *packed = NULL;
    int places = r->backward ? 1 : r->threads;
    dnnl_status_t s = make_desc(r, k, &pd);

    k->place = calloc((size_t)places, sizeof *k->place);
    if (s == dnnl_success)
        s = k->place ? dnnl_primitive_create(&k->primitive, pd) : dnnl_out_of_memory;
    if (s == dnnl_success)
        s = weights(&plain, &r->d, 1);
    if (s == dnnl_success)
        s = describe_kind(r, k, md);
    if (s == dnnl_success) {
        packed = t3di_dnnl_pack(c, w, &plain,
                                dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), err);
        if (!packed) {
            dnnl_primitive_desc_destroy(pd);
            return T3D_FAIL;
        }
    }
    for (int i = 0; i < places && s == dnnl_success; i++)
        s = make_place(&k->place[i], r, pd, md, packed);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return s == dnnl_success ? T3D_OK : fail(err, &r->d, s);
}

/* The kind of a band; the next free one where it is new; NULL = too many or without input. */
static struct kind *find_kind(struct t3di_conv_run *r, const struct rows *b)
{
    int i = 0;

    while (i < r->n_kinds && (r->kind[i].rows != b->n || r->kind[i].out_rows != b->out_n ||
                              r->kind[i].top != b->top || r->kind[i].bottom != b->bottom))
        i++;
    return i < MAX_KINDS && b->n > 0 ? &r->kind[i] : NULL;
}

/* Rows of a band: some 20 million operations and 128 pixels. */
static int64_t band_of(const struct t3di_conv *d)
{
    double row = 2. * (double)d->ow * (double)d->o * (double)(d->c / d->groups * d->kh * d->kw);
    int64_t work = (int64_t)(2e7 / row) + 1, pixels = (127 + d->ow) / d->ow;

    return T3D_MIN(d->oh, T3D_MAX(work, pixels));
}

static int fill_run(struct t3di_conv_run *r, const t3d_real *w, struct t3d_call *c,
                    struct t3d_err *err)
{
    int64_t bands = r->backward ? 1 : r->bands;

    for (int64_t i = 0; i < bands; i++) {
        struct rows b = rows_of(r, i);
        struct kind *k;
        int e;

        if (r->backward)
            b = (struct rows){0, r->d.h, 0, r->d.oh, r->d.pad_h, b.bottom};
        k = find_kind(r, &b);
        if (!k)
            return T3D_END; /* for our own loops */
        if (k != &r->kind[r->n_kinds])
            continue;
        r->n_kinds++;
        *k = (struct kind){.rows = b.n, .out_rows = b.out_n, .top = b.top, .bottom = b.bottom};
        e = fill_kind(r, k, w, c, err);
        if (e < 0)
            return e;
    }
    return T3D_OK;
}

static int make_run(struct t3di_conv_run **run, const struct t3di_conv *d, const t3d_real *w,
                    int backward, struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_conv_run *r;
    int threads = omp_get_max_threads(), e;

    if (!t3di_product_usable())
        return T3D_OK;
    r = calloc(1, sizeof *r);
    if (!r)
        return t3d_err_nomem(err, "a convolution");
    *r = (struct t3di_conv_run){.d = *d, .backward = backward, .threads = c->threads};
    r->band = backward ? d->oh : band_of(d);
    r->bands = (d->oh + r->band - 1) / r->band;
    e = dnnl_stream_create(&r->stream, t3di_dnnl_engine(), dnnl_stream_default_flags);
    if (e != dnnl_success) {
        t3di_conv_free(r);
        return fail(err, d, e);
    }
    if (!backward)
        omp_set_num_threads(1); /* the blocking of a primitive is chosen for them */
    e = fill_run(r, w, c, err);
    omp_set_num_threads(threads);
    if (e == T3D_OK)
        *run = r;
    else
        t3di_conv_free(r);
    return e < 0 ? e : T3D_OK;
}

int t3di_conv_new(struct t3di_conv_run **run, const struct t3di_conv *d, const t3d_real *w,
                  struct t3d_call *c, struct t3d_err *err)
{
    return make_run(run, d, w, 0, c, err);
}

int t3di_conv_new_backward(struct t3di_conv_run **run, const struct t3di_conv *d, const t3d_real *w,
                           struct t3d_call *c, struct t3d_err *err)
{
    return make_run(run, d, w, 1, c, err);
}

void t3di_conv_free(struct t3di_conv_run *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->n_kinds; i++) {
        struct kind *k = &r->kind[i];

        for (int t = 0; k->place && t < (r->backward ? 1 : r->threads); t++) {
            struct place *p = &k->place[t];
            dnnl_memory_t memory[] = {p->from, p->to, p->weights, p->bias, p->scratch};

            for (int j = 0; j < MAX_ARGS; j++)
                if (memory[j])
                    dnnl_memory_destroy(memory[j]);
            free(p->scratch_data);
        }
        free(k->place);
        if (k->primitive)
            dnnl_primitive_destroy(k->primitive);
    }
    if (r->stream)
        dnnl_stream_destroy(r->stream);
    free(r);
}

static int call(const struct t3di_conv_run *r, struct kind *k, int place, const t3d_real *from,
                const t3d_real *bias, t3d_real *to)
{
    struct place *p = &k->place[place];
    dnnl_exec_arg_t arg[MAX_ARGS];
    int n = 0;

    dnnl_memory_set_data_handle(p->from, (void *)(uintptr_t)from);
    dnnl_memory_set_data_handle(p->to, to);
    arg[n++] = (dnnl_exec_arg_t){r->backward ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, p->from};
    arg[n++] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, p->weights};
    arg[n++] = (dnnl_exec_arg_t){r->backward ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, p->to};
    if (p->bias) {
        dnnl_memory_set_data_handle(p->bias, (void *)(uintptr_t)bias);
        arg[n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, p->bias};
    }
    if (p->scratch)
        arg[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, p->scratch};
    return (int)dnnl_primitive_execute(k->primitive, r->stream, n, arg);
}

int t3di_conv_execute(struct t3di_conv_run *r, const t3d_real *from, const t3d_real *bias,
                      t3d_real *to, struct t3d_err *err)
{
    const struct t3di_conv *d = &r->d;
    int status = 0;

    if (r->backward) {
        status = call(r, &r->kind[0], 0, from, NULL, to);
    } else {
#pragma omp parallel for num_threads(r->threads) schedule(dynamic) reduction(| : status)
        for (int64_t t = 0; t < d->batch * r->bands; t++) {
            struct rows b = rows_of(r, t % r->bands);
            int64_t i = t / r->bands;

            status |= call(r, find_kind(r, &b), omp_get_thread_num(),
                           from + (i * d->h + b.first) * d->w * d->c, bias,
                           to + (i * d->oh + b.out) * d->ow * d->o);
        }
    }
    return status == dnnl_success ? T3D_OK : fail(err, d, status);
}

#else

int t3di_conv_new(struct t3di_conv_run **run, const struct t3di_conv *d, const t3d_real *w,
                  struct t3d_call *c, struct t3d_err *err)
{
    (void)run, (void)d, (void)w, (void)c, (void)err;
    return T3D_OK;
}

int t3di_conv_new_backward(struct t3di_conv_run **run, const struct t3di_conv *d, const t3d_real *w,
                           struct t3d_call *c, struct t3d_err *err)
{
    (void)run, (void)d, (void)w, (void)c, (void)err;
    return T3D_OK;
}

void t3di_conv_free(struct t3di_conv_run *r)
{
    (void)r;
}

int t3di_conv_execute(struct t3di_conv_run *r, const t3d_real *from, const t3d_real *bias,
                      t3d_real *to, struct t3d_err *err)
{
    (void)r, (void)from, (void)bias, (void)to;
    return t3d_err_set(err, T3D_FAIL, "onednn", "this build has no oneDNN");
}

#endif
