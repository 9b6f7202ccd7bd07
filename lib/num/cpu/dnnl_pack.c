/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cpu/dnnl_lib.h"

#if defined(T3D_HAVE_DNNL) && !defined(T3D_REAL_DOUBLE)

#include <stdint.h>

#include "num/pool_impl.h"

struct layouts {
    const dnnl_memory_desc_t *plain, *want;
};

static dnnl_status_t run(dnnl_primitive_t reorder, dnnl_memory_t from, dnnl_memory_t to)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_stream_t stream;
    dnnl_status_t s = dnnl_stream_create(&stream, t3di_dnnl_engine(), dnnl_stream_default_flags);

    if (s != dnnl_success)
        return s;
    s = dnnl_primitive_execute(reorder, stream, 2, args);
    if (s == dnnl_success)
        s = dnnl_stream_wait(stream);
    dnnl_stream_destroy(stream);
    return s;
}

static dnnl_status_t reorder(void *to, const void *from, const struct layouts *l)
{
    dnnl_engine_t engine = t3di_dnnl_engine();
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t plain = NULL, packed = NULL;
    dnnl_status_t s = dnnl_memory_create(&packed, l->want, engine, to);

    if (s == dnnl_success)
        s = dnnl_memory_create(&plain, l->plain, engine, (void *)(uintptr_t)from);
    if (s == dnnl_success)
        s = dnnl_reorder_primitive_desc_create(&pd, l->plain, engine, l->want, engine, NULL);
    if (s == dnnl_success)
        s = dnnl_primitive_create(&primitive, pd);
    if (s == dnnl_success)
        s = run(primitive, plain, packed);
    if (primitive)
        dnnl_primitive_destroy(primitive);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (plain)
        dnnl_memory_destroy(plain);
    if (packed)
        dnnl_memory_destroy(packed);
    return s;
}

static int fill(void *to, const struct t3di_pack *p, struct t3d_err *err)
{
    dnnl_status_t s = reorder(to, p->source, p->arg);

    if (s == dnnl_success)
        return T3D_OK;
    return t3d_err_set(err, T3D_FAIL, "onednn",
                       "oneDNN cannot pack weights (status %d): set T3D_BLAS=plain to go on "
                       "without it",
                       (int)s);
}

/* A layout as numbers. With many threads and few rows oneDNN asks for narrower blocks, so that a
 * constant may be there in two. */
static int add_layout(int64_t *key, int n, const dnnl_memory_desc_t *md)
{
    const dnnl_blocking_desc_t *b = &md->format_desc.blocking;

    for (int i = 0; i < md->ndims && n + 2 <= T3DI_PACK_KEY; i++) {
        key[n++] = md->padded_dims[i];
        key[n++] = b->strides[i];
    }
    for (int i = 0; i < b->inner_nblks && n + 2 <= T3DI_PACK_KEY; i++) {
        key[n++] = b->inner_blks[i];
        key[n++] = b->inner_idxs[i];
    }
    return n;
}

const void *t3di_dnnl_pack(struct t3d_call *c, const void *source, const dnnl_memory_desc_t *plain,
                           const dnnl_memory_desc_t *want, struct t3d_err *err)
{
    struct layouts l = {plain, want};
    struct t3di_pack pack = {.source = source,
                             .source_bytes = dnnl_memory_desc_get_size(plain),
                             .bytes = dnnl_memory_desc_get_size(want),
                             .fill = fill,
                             .arg = &l};

    pack.key[0] = 'd';
    add_layout(pack.key, add_layout(pack.key, 1, plain), want);
    return t3di_pool_pack(c, &pack, err);
}

#else
typedef int t3di_dnnl_pack_is_empty; /* ISO C wants a declaration */
#endif
