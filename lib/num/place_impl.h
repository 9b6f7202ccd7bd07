/* SPDX-License-Identifier: Apache-2.0 */
/* num/place_impl.h -- where tensors live and ops run: the host, or a device with memory of its own
 * that works on a stream behind our back. Plan and run loop know only this. */
#ifndef T3D_NUM_PLACE_IMPL_H
#define T3D_NUM_PLACE_IMPL_H

#include "num/op.h"

/* One step of AdamW on a device: chunks of the blocks, each of one parameter. */
struct t3di_chunk {
    int64_t at, n; /* multiples of 16 */
    int decays;
};
struct t3di_update {
    float *w, *first, *second;
    const float *grad;
    uint16_t *half;                 /* w once more as bf16, or NULL */
    const struct t3di_chunk *chunk; /* on the device */
    int n_chunks;
    float beta1, beta2; /* 1 - the option's */
    float rate, root, eps, keep;
};

/* Work on a stream happens in order; an error of it comes out in finish at the latest. */
struct t3di_place {
    enum t3d_backend backend;
    int is_host; /* its memory is the host's: nothing is ever copied */
    /* Make the device the calling thread's; gives its stream. T3D_USAGE when there is none. */
    int (*open)(int device, void **stream, struct t3d_err *err);
    void (*select)(int device);

    void *(*alloc)(size_t bytes); /* zeroed; NULL = out of memory */
    void (*release)(void *p);
    void *(*alloc_host)(size_t bytes); /* zeroed host memory that is quick to copy from and to */
    void (*release_host)(void *p);

    void (*fill)(void *p, int byte, size_t bytes, void *stream);
    void (*upload)(void *to, const void *from, size_t bytes, void *stream);
    int (*download)(void *to, const void *from, size_t bytes, void *stream); /* waits; 0 = failed */
    void (*convert)(void *to, enum t3d_storage to_storage, const void *from,
                    enum t3d_storage from_storage, int64_t n, void *stream);
    int (*is_finite)(const void *x, enum t3d_storage storage, int64_t n, void *stream);
    int (*finish)(void *stream, struct t3d_err *err);

    /* For optimisers, on blocks of float; a host has its own loops. */
    void (*adamw)(const struct t3di_update *u, void *stream);
    double (*squares)(const float *x, int64_t n, void *stream); /* their sum; waits */
    void (*blend)(float *y, float keep, const float *x, float take, int64_t n, void *stream);
};

/* NULL where it is not built in. */
const struct t3di_place *t3di_place(enum t3d_backend backend);
/* An op's functions there: its own, else those of num/cuda's table; NULL = it does not run there.
 */
const struct t3d_op_backend *t3di_functions(const struct t3d_op *op, enum t3d_backend backend);

/* Memory on both sides that is kept equal when somebody looks. On the host they are one. */
struct t3di_mirror {
    unsigned char *device, *host;
    unsigned char *half; /* bf16 copy on the device, at half the offsets; NULL = none */
    size_t bytes;
    int host_newer, device_newer;
};

int t3di_mirror_new(struct t3di_mirror *b, const struct t3di_place *p, size_t bytes, int with_half);
void t3di_mirror_free(struct t3di_mirror *b, const struct t3di_place *p);
/* The host's side, up to date; the caller may write to it. NULL = the copy failed. */
unsigned char *t3di_mirror_host(struct t3di_mirror *b, const struct t3di_place *p, void *stream);
/* The device's side, up to date, and its bf16 copy. */
unsigned char *t3di_mirror_device(struct t3di_mirror *b, const struct t3di_place *p, void *stream);

/* A constant's copy on a device, from the pool or made now. NULL = error. */
struct t3d_pool;
const void *t3di_place_constant(const struct t3di_place *p, struct t3d_pool *pool, const void *data,
                                const struct t3d_shape *shape, enum t3d_storage storage, int device,
                                void *stream, struct t3d_err *err);

#endif
