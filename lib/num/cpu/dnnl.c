/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cpu/dnnl_impl.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(T3D_HAVE_DNNL) && !defined(T3D_REAL_DOUBLE)

#include <pthread.h>

#include "num/cpu/dnnl_lib.h"

enum { MAX_ARGS = 4 };

struct t3di_product {
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, bias, c;
    dnnl_stream_t stream;
    int packed; /* b's data is the pool's */
};

static dnnl_engine_t engine; /* lives as long as the process */
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void make_engine(void)
{
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        engine = NULL;
}

dnnl_engine_t t3di_dnnl_engine(void)
{
    pthread_once(&engine_once, make_engine);
    return engine;
}

int t3di_product_usable(void)
{
    const char *choice = getenv("T3D_BLAS");

    if (choice && strcmp(choice, "plain") == 0)
        return 0;
    return t3di_dnnl_engine() && strcmp(t3di_kernel()->isa, "avx512") == 0 &&
           (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

static int algorithm(enum t3di_unary act, dnnl_alg_kind_t *kind, float *alpha)
{
    *alpha = 1;
    switch (act) {
    case T3DI_GELU_ERF:
        *kind = dnnl_eltwise_gelu_erf;
        return 1;
    case T3DI_GELU_TANH:
        *kind = dnnl_eltwise_gelu_tanh;
        return 1;
    case T3DI_QUICK_GELU:
        *kind = dnnl_eltwise_swish;
        *alpha = 1.702f;
        return 1;
    case T3DI_SILU:
        *kind = dnnl_eltwise_swish;
        return 1;
    case T3DI_RELU:
        *kind = dnnl_eltwise_relu;
        *alpha = 0;
        return 1;
    default:
        return 0;
    }
}

int t3di_product_has(enum t3di_unary act)
{
    dnnl_alg_kind_t kind;
    float alpha;

    return algorithm(act, &kind, &alpha);
}

static int fail(struct t3d_err *err, const struct t3di_product_desc *d, int status)
{
    return t3d_err_set(err, T3D_FAIL, "onednn",
                       "oneDNN refuses a %lld x %lld x %lld product (status %d): set "
                       "T3D_BLAS=plain to go on without it",
                       (long long)d->m, (long long)d->n, (long long)d->k, status);
}

static dnnl_status_t matrix(dnnl_memory_desc_t *md, int64_t rows, int64_t cols, int64_t row,
                            int64_t col)
{
    dnnl_dims_t dims = {rows, cols}, strides = {row, col};

    return dnnl_memory_desc_init_by_strides(md, 2, dims, dnnl_f32, strides);
}

static dnnl_status_t post_ops(dnnl_primitive_attr_t attr, const struct t3di_product_desc *d)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_alg_kind_t kind;
    float alpha;
    dnnl_status_t s = dnnl_post_ops_create(&ops);

    if (s == dnnl_success && algorithm(d->act, &kind, &alpha))
        s = dnnl_post_ops_append_eltwise(ops, 1, kind, alpha, 0);
    if (s == dnnl_success && d->add)
        s = dnnl_post_ops_append_sum(ops, 1);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return s;
}

static dnnl_status_t describe(dnnl_primitive_desc_t *pd, const struct t3di_product_desc *d,
                              dnnl_memory_desc_t md[4])
{
    dnnl_dims_t dims = {d->k, d->n}, bias = {1, d->n}, row = {d->n, 1};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_matmul_desc_t md_op;
    dnnl_status_t s = matrix(&md[0], d->m, d->k, d->a_row, d->a_col);

    if (s == dnnl_success)
        s = d->constant
                ? dnnl_memory_desc_init_by_tag(&md[1], 2, dims, dnnl_f32, dnnl_format_tag_any)
                : matrix(&md[1], d->k, d->n, d->b_row, d->b_col);
    if (s == dnnl_success)
        s = dnnl_memory_desc_init_by_strides(&md[2], 2, bias, dnnl_f32, row);
    if (s == dnnl_success)
        s = matrix(&md[3], d->m, d->n, d->n, 1);
    if (s == dnnl_success)
        s = dnnl_matmul_desc_init(&md_op, &md[0], &md[1], d->bias ? &md[2] : NULL, &md[3]);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_create(&attr);
    if (s == dnnl_success)
        s = post_ops(attr, d);
    if (s == dnnl_success)
        s = dnnl_primitive_desc_create(pd, &md_op, attr, engine, NULL);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return s;
}

static int pack(struct t3di_product *p, const struct t3di_product_desc *d, dnnl_primitive_desc_t pd,
                struct t3d_call *c, struct t3d_err *err)
{
    const dnnl_memory_desc_t *want = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_memory_desc_t plain;
    dnnl_status_t s = matrix(&plain, d->k, d->n, d->b_row, d->b_col);
    const void *data;

    if (s != dnnl_success)
        return fail(err, d, s);
    data = t3di_dnnl_pack(c, d->constant, &plain, want, err);
    if (!data)
        return T3D_FAIL;
    p->packed = 1;
    s = dnnl_memory_create(&p->b, want, engine, (void *)(uintptr_t)data);
    return s == dnnl_success ? T3D_OK : fail(err, d, s);
}

static dnnl_status_t make(struct t3di_product *p, const struct t3di_product_desc *d,
                          dnnl_primitive_desc_t *pd)
{
    dnnl_memory_desc_t md[4];
    dnnl_status_t s = describe(pd, d, md);

    if (s == dnnl_success)
        s = dnnl_stream_create(&p->stream, engine, dnnl_stream_default_flags);
    if (s == dnnl_success)
        s = dnnl_primitive_create(&p->primitive, *pd);
    if (s == dnnl_success)
        s = dnnl_memory_create(&p->a, &md[0], engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success && !d->constant)
        s = dnnl_memory_create(&p->b, &md[1], engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success && d->bias)
        s = dnnl_memory_create(&p->bias, &md[2], engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success)
        s = dnnl_memory_create(&p->c, &md[3], engine, DNNL_MEMORY_NONE);
    return s;
}

int t3di_product_new(struct t3di_product **product, const struct t3di_product_desc *d,
                     struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_product *p = calloc(1, sizeof *p);
    dnnl_primitive_desc_t pd = NULL;
    int r;

    if (!p)
        return t3d_err_nomem(err, "a matrix product");
    r = (int)make(p, d, &pd);
    r = r == dnnl_success ? T3D_OK : fail(err, d, r);
    if (r == T3D_OK && d->constant)
        r = pack(p, d, pd, c, err);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (r < 0)
        t3di_product_free(p);
    else
        *product = p;
    return r;
}

void t3di_product_free(struct t3di_product *p)
{
    dnnl_memory_t memory[MAX_ARGS];

    if (!p)
        return;
    memcpy(memory, (dnnl_memory_t[]){p->a, p->b, p->bias, p->c}, sizeof memory);
    for (int i = 0; i < MAX_ARGS; i++)
        if (memory[i])
            dnnl_memory_destroy(memory[i]);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    if (p->stream)
        dnnl_stream_destroy(p->stream);
    free(p);
}

static dnnl_exec_arg_t argument(int arg, dnnl_memory_t m, const t3d_real *data)
{
    dnnl_memory_set_data_handle(m, (void *)(uintptr_t)data);
    return (dnnl_exec_arg_t){arg, m};
}

int t3di_product_run(struct t3di_product *p, const t3d_real *a, const t3d_real *b,
                     const t3d_real *bias, t3d_real *c, struct t3d_err *err)
{
    dnnl_exec_arg_t arg[MAX_ARGS];
    int n = 0, status;

    arg[n++] = argument(DNNL_ARG_SRC, p->a, a);
    arg[n++] =
        p->packed ? (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, p->b} : argument(DNNL_ARG_WEIGHTS, p->b, b);
    arg[n++] = argument(DNNL_ARG_DST, p->c, c);
    if (p->bias)
        arg[n++] = argument(DNNL_ARG_BIAS, p->bias, bias);
    status = dnnl_primitive_execute(p->primitive, p->stream, n, arg);
    if (status == dnnl_success)
        status = dnnl_stream_wait(p->stream);
    if (status != dnnl_success)
        return t3d_err_set(err, T3D_FAIL, "onednn", "oneDNN failed with status %d", status);
    return T3D_OK;
}

static const char *isa_name(dnnl_cpu_isa_t isa)
{
    switch (isa) {
    case dnnl_cpu_isa_sse41:
        return "sse41";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
        return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_core_amx";
    default:
        return "other";
    }
}

const char *t3di_product_library(void)
{
    static char text[64];
    const dnnl_version_t *v = dnnl_version();

    snprintf(text, sizeof text, "%d.%d.%d (%s)", v->major, v->minor, v->patch,
             isa_name(dnnl_get_effective_cpu_isa()));
    return text;
}

#else

int t3di_product_usable(void)
{
    return 0;
}

int t3di_product_has(enum t3di_unary act)
{
    (void)act;
    return 0;
}

int t3di_product_new(struct t3di_product **product, const struct t3di_product_desc *d,
                     struct t3d_call *c, struct t3d_err *err)
{
    (void)product, (void)d, (void)c;
    return t3d_err_set(err, T3D_FAIL, "onednn", "this build has no oneDNN");
}

void t3di_product_free(struct t3di_product *p)
{
    (void)p;
}

int t3di_product_run(struct t3di_product *p, const t3d_real *a, const t3d_real *b,
                     const t3d_real *bias, t3d_real *c, struct t3d_err *err)
{
    (void)p, (void)a, (void)b, (void)bias, (void)c;
    return t3d_err_set(err, T3D_FAIL, "onednn", "this build has no oneDNN");
}

const char *t3di_product_library(void)
{
    return NULL;
}

#endif
