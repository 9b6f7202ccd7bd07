/* SPDX-License-Identifier: Apache-2.0 */
/* The host as a place of tensors, and blocks of memory that a device and the host share. */
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "num/cuda_impl.h"
#include "num/graph_impl.h"
#include "num/pool_impl.h"

/* --- the host ------------------------------------------------------------------------------- */

enum { HUGE_PAGE = 2 << 20 };

/* Zeroed; large blocks lie on huge pages, which saves the TLB misses of long passes. */
unsigned char *t3di_block(size_t bytes)
{
    size_t whole = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    size_t small = bytes ? (bytes + 63) / 64 * 64 : 64;
    void *p;

    if (bytes < HUGE_PAGE) {
        p = aligned_alloc(64, small);
        if (p)
            memset(p, 0, small);
        return p;
    }
    p = aligned_alloc(HUGE_PAGE, whole);
    if (p) {
        madvise(p, whole, MADV_HUGEPAGE); /* only a wish */
        memset(p, 0, whole);
    }
    return p;
}

static void *host_alloc(size_t bytes)
{
    return t3di_block(bytes);
}

static int host_open(int device, void **stream, struct t3d_err *err)
{
    (void)device, (void)err;
    *stream = NULL;
    return T3D_OK;
}

static void host_select(int device)
{
    (void)device;
}

static void host_fill(void *p, int byte, size_t bytes, void *stream)
{
    (void)stream;
    memset(p, byte, bytes);
}

static void host_upload(void *to, const void *from, size_t bytes, void *stream)
{
    (void)stream;
    memcpy(to, from, bytes);
}

static int host_download(void *to, const void *from, size_t bytes, void *stream)
{
    (void)stream;
    memcpy(to, from, bytes);
    return 1;
}

static void host_convert(void *to, enum t3d_storage to_storage, const void *from,
                         enum t3d_storage from_storage, int64_t n, void *stream)
{
    (void)to_storage, (void)from_storage, (void)stream; /* there is but one */
    memcpy(to, from, (size_t)n * sizeof(t3d_real));
}

/* x * 0 is NaN for infinities and NaN, and 0 otherwise. */
static int host_is_finite(const void *x, enum t3d_storage storage, int64_t n, void *stream)
{
    const t3d_real *v = x;
    t3d_real sum = 0;

    (void)storage, (void)stream;
    for (int64_t i = 0; i < n; i++)
        sum += v[i] * 0;
    return !isnan(sum);
}

static int host_finish(void *stream, struct t3d_err *err)
{
    (void)stream, (void)err;
    return T3D_OK;
}

static const struct t3di_place host = {.backend = T3D_CPU,
                                       .is_host = 1,
                                       .open = host_open,
                                       .select = host_select,
                                       .alloc = host_alloc,
                                       .release = free,
                                       .alloc_host = host_alloc,
                                       .release_host = free,
                                       .fill = host_fill,
                                       .upload = host_upload,
                                       .download = host_download,
                                       .convert = host_convert,
                                       .is_finite = host_is_finite,
                                       .finish = host_finish};

const struct t3di_place *t3di_place(enum t3d_backend backend)
{
    return backend == T3D_CPU ? &host : t3di_cuda_place();
}

const struct t3d_op_backend *t3di_functions(const struct t3d_op *op, enum t3d_backend backend)
{
    if (op->backend[backend].forward)
        return &op->backend[backend];
    return backend == T3D_CUDA ? t3di_cuda_functions(op) : NULL;
}

/* --- blocks --------------------------------------------------------------------------------- */

int t3di_mirror_new(struct t3di_mirror *b, const struct t3di_place *p, size_t bytes, int with_half)
{
    b->bytes = bytes;
    b->device = p->alloc(bytes);
    b->host = p->is_host ? b->device : p->alloc_host(bytes);
    if (with_half)
        b->half = p->alloc(bytes / 2);
    return b->device && b->host && (b->half || !with_half) ? 0 : -1;
}

void t3di_mirror_free(struct t3di_mirror *b, const struct t3di_place *p)
{
    if (!p->is_host)
        p->release_host(b->host);
    p->release(b->half);
    p->release(b->device);
    *b = (struct t3di_mirror){0};
}

unsigned char *t3di_mirror_host(struct t3di_mirror *b, const struct t3di_place *p, void *stream)
{
    if (p->is_host)
        return b->host;
    if (b->device_newer && !p->download(b->host, b->device, b->bytes, stream))
        return NULL;
    b->device_newer = 0;
    b->host_newer = 1;
    return b->host;
}

unsigned char *t3di_mirror_device(struct t3di_mirror *b, const struct t3di_place *p, void *stream)
{
    if (p->is_host || !b->host_newer)
        return b->device;
    p->upload(b->device, b->host, b->bytes, stream);
    b->host_newer = 0;
    if (b->half)
        p->convert(b->half, T3D_BF16, b->device, T3D_FULL, (int64_t)(b->bytes / sizeof(t3d_real)),
                   stream);
    return b->device;
}

/* --- constants ------------------------------------------------------------------------------ */

struct constant {
    const struct t3di_place *place;
    const struct t3d_shape *shape;
    enum t3d_storage storage;
    void *stream;
};

static int place_copy(void *to, const struct t3di_pack *p, struct t3d_err *err)
{
    const struct constant *k = p->arg;
    void *full = to;

    if (k->storage == T3D_BF16) {
        full = k->place->alloc(p->source_bytes);
        if (!full)
            return t3d_err_nomem(err, "a constant on the device");
    }
    k->place->upload(full, p->source, p->source_bytes, k->stream);
    if (full != to) {
        k->place->convert(to, T3D_BF16, full, T3D_FULL, t3d_shape_count(k->shape), k->stream);
        k->place->finish(k->stream, NULL);
        k->place->release(full);
    }
    return k->place->finish(k->stream, err); /* the caller's memory is free again */
}

const void *t3di_place_constant(const struct t3di_place *p, struct t3d_pool *pool, const void *data,
                                const struct t3d_shape *shape, enum t3d_storage storage, int device,
                                void *stream, struct t3d_err *err)
{
    enum { CONSTANT = 0x636f6e73 }; /* tells these from what ops pack */
    struct constant k = {p, shape, storage, stream};
    struct t3d_call c = {.pool = pool};
    struct t3di_pack pack = {.source = data,
                             .source_bytes = t3d_shape_bytes(shape),
                             .key = {CONSTANT, p->backend, device, storage, t3d_shape_count(shape)},
                             .bytes = t3di_bytes(shape, storage),
                             .fill = place_copy,
                             .arg = &k,
                             .alloc = p->alloc,
                             .release = p->release};

    return t3di_pool_pack(&c, &pack, err);
}
